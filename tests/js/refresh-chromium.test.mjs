// Real Chromium, real React and React Query, production builds: the client is found before the
// first request, and a refresh answered locally reaches the page without a render that says
// `isFetching`.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bundle, launch, open, skip } from './refresh-browser.mjs';

let browser;
let opened;
let page;

before(async () => {
  if (skip) return;
  browser = await launch();
  opened = await open(browser, await bundle('polling.js'));
  page = opened.page;
});

after(async () => {
  await opened?.close();
  await browser?.close();
});

const first = (url) => page.evaluate((it) => window.check.log.find(({ url }) => url === it), url);
const shows = (url, n) => page.waitForFunction(
  ([id, text]) => document.getElementById(id).textContent === text, [url, String(n)]);

/** 30 changes, each asked for as soon as the page shows the one before; how long each took. */
function changes(url, make) {
  return page.evaluate(async ([topic, kind]) => {
    const { local, query, handles } = window.check;
    const output = document.getElementById(topic);
    const times = [];
    window.renders.length = 0;
    for (let n = 1; n <= 30; n++) {
      local.set(topic, `{"n":${n}}`);
      const shown = new Promise((done) => {
        const observer = new MutationObserver(() => {
          if (output.textContent !== String(n)) return;
          observer.disconnect();
          done(performance.now());
        });
        observer.observe(output, { childList: true, characterData: true, subtree: true });
      });
      const start = performance.now();
      const count = kind === 'query' ? query.refresh(topic) : Number(handles.get(topic).run());
      if (count !== 1) throw new Error(`${topic}: refreshed ${count}`);
      times.push(await shown - start);
      // Closer than this a timer's runs are put together on purpose.
      if (kind === 'timer') await new Promise((done) => setTimeout(done, 60));
    }
    times.sort((a, b) => a - b);
    const flickers = window.renders.filter(({ url, isFetching }) => url === topic && isFetching);
    return { median: times[15], worst: times[29], flickers: flickers.length };
  }, [url, make]);
}

test('the client is found before the first request', { skip }, async () => {
  const { by, interval } = await first('/api/plain');
  assert.deepEqual([by, interval], ['/api/plain', 60000]);
  assert.equal((await first('/api/form')).interval, 0);
});

test('a refresh reaches the page without a flicker', { skip }, async (t) => {
  const measured = await changes('/api/plain', 'query');
  t.diagnostic(`query: ${JSON.stringify(measured)}`);
  assert.equal(measured.flickers, 0);
  assert.equal(await page.evaluate(() => window.check.query.refresh('/api/form')), 0);
});

test('axios is attributed behind its wait, by either adapter', { skip }, async (t) => {
  for (const url of ['/api/xhr1', '/api/xhr2', '/api/axios1', '/api/axios2']) {
    await page.waitForFunction((it) =>
      window.check.log.filter(({ url, by }) => url === it && by === it).length > 2, url);
    const seen = await page.evaluate((it) => window.check.log.filter(({ url }) => url === it), url);
    const count = seen.filter(({ by }) => by === url).length;
    t.diagnostic(`${url}: ${count} of ${seen.length} attributed`);
    assert.ok(seen.every(({ by }) => by === url || by === null), 'never to another query');
  }
  const measured = await changes('/api/axios1', 'query');
  t.diagnostic(`axios by fetch: ${JSON.stringify(measured)}`);
});

test('an interval given by a function is learnt from its timer', { skip }, async () => {
  await page.waitForFunction(() =>
    window.check.log.some(({ url, interval }) => url === '/api/function' && interval === 300));
});

test('a query that asks behind another timer is found by who is in flight', { skip }, async () => {
  await page.waitForFunction(() => window.check.query.refresh('/api/token') > 0);
});

test('plain timers are known, and run on demand', { skip }, async (t) => {
  for (const [url, delay] of [['interval', 300], ['recursion', 310], ['sleep', 320]]) {
    const topic = `/api/${url}`;
    await page.waitForFunction((it) => window.check.handles.has(it), topic);
    const seen = await page.evaluate((it) => window.check.handles.get(it).delay, topic);
    assert.equal(seen, delay);
    await page.evaluate(([it]) => window.check.local.set(it, '{"n":"now"}'), [topic]);
    await page.waitForFunction((it) => window.check.handles.get(it).run(), topic);
    await shows(topic, 'now');
    t.diagnostic(`${url}: shown`);
  }
  const measured = await changes('/api/interval', 'timer');
  t.diagnostic(`interval: ${JSON.stringify(measured)}`);
});

test('nothing went wrong inside', { skip }, async () => {
  assert.deepEqual(await page.evaluate(() => window.check.failures), []);
});
