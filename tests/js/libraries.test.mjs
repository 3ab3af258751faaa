// Real Chromium, the libraries as they are shipped: what changes is asked for at once, by exactly
// the query that polls it, and by nothing else. The intervals are longer than the test.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bundle, launch, open, skip } from './refresh-browser.mjs';

const V19 = { 'app-root': './apps/root.js' };
const V18 = { 'app-root': './apps/root.js', react: 'react-v18', 'react-dom': 'react-dom-v18' };
const V17 = { 'app-root': './apps/root-v17.js', react: 'react-v17', 'react-dom': 'react-dom-v17' };

const PAGES = {
  'SWR 2, React 19': ['swr.js', V19],
  'SWR 2, React 17': ['swr.js', V17],
  'SWR 1, React 18': ['swr.js', { ...V18, swr: 'swr-v1' }],
};

let browser;

before(async () => { if (!skip) browser = await launch(); });
after(() => browser?.close());

/** What a test does to a page. */
function hands(page) {
  let n = 0;
  const shows = (url, text) => page.waitForFunction(
    ([id, want]) => document.getElementById(id).textContent === want, [url, String(text)]);
  const set = (url, text) => page.evaluate(
    ([id, it]) => window.check.local.set(id, JSON.stringify({ n: it })), [url, text]);
  /** Asks for a refresh, lets all that can go on go on; what was asked for. */
  const refresh = (url) => page.evaluate(async (id) => {
    const { log, query } = window.check, { length } = log;
    const count = query.refresh(id);
    for (let i = 0; i < 5; i++) await new Promise((done) => requestAnimationFrame(done));
    const quiet = ({ url }) => !/ticks|done/.test(url) || url === id;
    return [count, ...log.slice(length).filter(quiet).map(({ url }) => url)];
  }, url);
  /** The app asks once more; until that is seen. */
  const again = async (url) => {
    const value = `again ${++n}`;
    await set(url, value);
    await page.evaluate((id) => window.again(id), url);
    await shows(url, value);
  };
  return { shows, set, refresh, again };
}

for (const [name, [entry, alias]] of Object.entries(PAGES)) {
  test(name, { skip }, async (t) => {
    const { page, errors, close } = await open(browser, await bundle(entry, alias));
    t.after(close);
    const log = await page.evaluate(() => window.check.log);
    console.log(name, JSON.stringify(log));
    const { shows, set, refresh, again } = hands(page);
    for (const url of ['/api/a', '/api/b', '/api/late', '/api/form']) { await again(url); await again(url); }
    for (const url of ['/api/a', '/api/b', '/api/late', '/api/form']) {
      await set(url, 'new');
      console.log(url, await refresh(url));
      console.log(await page.evaluate((id) => document.getElementById(id).textContent, url));
    }
    console.log(errors, await page.evaluate(() => window.check.failures));
  });
}
