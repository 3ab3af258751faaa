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
  'RTK Query 2, React 19': ['toolkit.js', V19],
  'RTK Query 1, React 18': ['toolkit.js', {
    ...V18, '@reduxjs/toolkit': 'toolkit-v1', 'react-redux': 'react-redux-v8',
  }],
  'React Query without a provider': ['observers.js', V19],
};

let browser;

before(async () => { if (!skip) browser = await launch(); });
after(() => browser?.close());

/** What a test does to a page, and sees of it. */
function hands(page) {
  let n = 0;
  const fresh = () => `value ${++n}`;
  const shows = (url, text) => page.waitForFunction(
    ([id, want]) => document.getElementById(id).textContent === want, [url, text]);
  const set = (url, text) => page.evaluate(
    ([id, it]) => window.check.local.set(id, JSON.stringify({ n: it })), [url, text]);
  /** Refreshes, and lets all that can go on go on: how many, and what was asked for. */
  const refresh = (url) => page.evaluate(async (id) => {
    const { log, query } = window.check, { length } = log;
    const count = query.refresh(id);
    for (let i = 0; i < 5; i++) await new Promise((done) => requestAnimationFrame(done));
    const asked = log.slice(length).map((it) => it.url);
    return [count, ...asked.filter((it) => !/ticks|done/.test(it))];
  }, url);
  /** The app asks by itself, until that is seen. */
  const again = async (url) => {
    const value = fresh();
    await set(url, value);
    await page.evaluate((id) => window.again(id), url);
    await shows(url, value);
  };
  /** Until a new value is shown, by a refresh or by the app's timer: renders with a spinner. */
  const spinners = (url, refreshed) => page.evaluate(async ([id, value, ours]) => {
    const { query, local } = window.check, output = document.getElementById(id);
    local.set(id, JSON.stringify({ n: value }));
    window.renders.length = 0;
    const shown = new Promise((done) => {
      const observer = new MutationObserver(() => {
        if (output.textContent !== value) return;
        observer.disconnect();
        done();
      });
      observer.observe(output, { childList: true, characterData: true, subtree: true });
    });
    if (ours && query.refresh(id) !== 1) throw new Error(`${id} was not refreshed`);
    await shown;
    return window.renders.filter(({ url: of, fetching }) => of === id && fetching).length;
  }, [url, fresh(), refreshed]);
  return { fresh, shows, set, refresh, again, spinners };
}

const POLLED = ['/api/a', '/api/b', '/api/late'];

async function asksExactly({ set, shows, refresh, fresh }) {
  for (let round = 0; round < 5; round++) {
    for (const url of POLLED) {
      const value = fresh();
      await set(url, value);
      assert.deepEqual(await refresh(url), [1, url]);
      await shows(url, value);
    }
  }
}

/** What changes while a query is fetching is asked for afterwards. */
async function asksAfterwards(page, { shows, fresh }) {
  const [before, value] = [fresh(), fresh()];
  const counts = await page.evaluate(async ([old, text]) => {
    const { local, query, log } = window.check;
    let release;
    local.set('/api/a', new Promise((done) => { release = done; }));
    window.again('/api/a');
    const asked = () => log.filter(({ url }) => url === '/api/a').length;
    while (!(await null, asked() > 2)) await new Promise(requestAnimationFrame);
    const { length } = log;
    const both = [query.refresh('/api/a'), query.refresh('/api/a')];
    both.push(log.slice(length).filter(({ url }) => url === '/api/a').length);
    local.set('/api/a', JSON.stringify({ n: text }));
    release(JSON.stringify({ n: old }));
    return both;
  }, [before, value]);
  assert.deepEqual(counts, [1, 1, 0]);
  await shows('/api/a', value);
}

async function staysAway(page, { set, refresh, again, fresh }) {
  for (let i = 0; i < 2; i++) await again('/api/form');
  await set('/api/form', fresh());
  assert.deepEqual(await refresh('/api/form'), [0], 'without an interval');
  await page.evaluate(() => window.hide('/api/b'));
  await page.waitForFunction(() => !document.getElementById('/api/b'));
  await page.evaluate(() => window.check.query.scan(0));
  const [, ...asked] = await refresh('/api/b');
  assert.deepEqual(asked, [], 'that is not shown');
}

async function flickersNoMore({ spinners }) {
  const most = async (refreshed) => {
    const counts = [];
    for (let i = 0; i < 4; i++) counts.push(await spinners('/api/ticks', refreshed));
    return Math.max(...counts);
  };
  const [polling, ours] = [await most(false), await most(true)];
  assert.ok(ours <= polling, `${ours} renders with a spinner, ${polling} when it polls`);
}

for (const [name, [entry, alias]] of Object.entries(PAGES)) {
  test(name, { skip }, async (t) => {
    const { page, errors, close } = await open(browser, await bundle(entry, alias));
    t.after(close);
    const hand = hands(page);
    // Twice: where nobody says who asks, it takes two meetings.
    for (const url of [...POLLED, ...POLLED]) await hand.again(url);
    await asksExactly(hand);
    await asksAfterwards(page, hand);
    await flickersNoMore(hand);
    await staysAway(page, hand);
    if (entry === 'swr.js') await knowsPausedAndDone(page, hand, alias.swr !== 'swr-v1');
    await page.evaluate(() => window.check.local.set('/api/a', 'no JSON'));
    assert.deepEqual(await hand.refresh('/api/a'), [1, '/api/a'], 'an error is the app\'s business');
    await page.evaluate(() => window.check.uninstall());
    assert.deepEqual(await hand.refresh('/api/late'), [0], 'gone');
    await page.evaluate(() => window.again('/api/late'));
    await hand.shows('/api/late', '0');
    const left = await page.evaluate(() => Object.keys(window).filter((it) => /SWR/.test(it)));
    assert.deepEqual(left, []);
    await page.evaluate(() => window.check.install());
    await hand.again('/api/late');
    await hand.again('/api/late');
    assert.deepEqual(await hand.refresh('/api/late'), [1, '/api/late'], 'and back');
    assert.deepEqual(await page.evaluate(() => window.check.failures), []);
    assert.deepEqual(errors, []);
  });
}

async function knowsPausedAndDone(page, { set, shows, refresh, fresh, again }, exact) {
  for (let i = 0; i < 2; i++) await again('/api/paused');
  await page.evaluate(() => { window.paused = true; });
  await set('/api/paused', fresh());
  const [, ...asked] = await refresh('/api/paused');
  assert.deepEqual(asked, []);
  if (!exact) return;
  // Its function says 0 from now on.
  await set('/api/done', 'done');
  await shows('/api/done', 'done');
  assert.equal(await page.evaluate(() => window.check.query.refresh('/api/done')), 0);
}

const BY_TIMER = { 'Apollo': ['apollo.js', V19], 'Solid Query': ['solid.js', {}] };

for (const [name, [entry, alias]] of Object.entries(BY_TIMER)) {
  test(`${name}: by its timer`, { skip }, async (t) => {
    const { page, errors, close } = await open(browser, await bundle(entry, alias));
    t.after(close);
    for (const url of ['/api/ticks', '/api/slower']) {
      await page.waitForFunction((it) => window.check.handles.get(it)?.armed, url);
      // Within one task: none of the app's timers can come in between.
      const asked = await page.evaluate(async (it) => {
        const { log, handles } = window.check, { length } = log;
        const ran = handles.get(it).run();
        for (let i = 0; i < 50; i++) await null;
        return [ran, ...log.slice(length).map(({ url }) => url)];
      }, url);
      assert.deepEqual(asked, [true, url]);
    }
    assert.deepEqual(errors, []);
  });
}
