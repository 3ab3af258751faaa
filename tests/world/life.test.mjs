// The life of a page: away and back (back/forward cache), frozen, hidden, on a plain host name, after a jump in time.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openBrowser } from './lib/browser.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { taken, ticks, oldest } from './lib/tickers.mjs';
import { pass, until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const skip = unableWithout();
const every = 500;

const topic = (page) => page.evaluate(() => globalThis.pollcast.topics().find(({ url }) => url === '/api/items'));

function pushed(page) {
  return until('the page is pushed', async () => (await topic(page))?.state === 'pushed', 30_000);
}

/** A browser that keeps pages for "back", as browsers do, and knows the host `intranet`. */
async function browserOf(t) {
  const browser = await openBrowser({
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
    more: ['--host-resolver-rules=MAP intranet 127.0.0.1'],
  });
  t.after(() => browser.close());
  return browser;
}

for (const [name, hostOf] of [['a local address', (url) => url], ['a plain host name', (url) => {
  const { port } = new URL(url);
  return `http://intranet:${port}`;
}]]) {
  test(`${name}: pushed by a worker, kept for "back", and pushed again after it`, { skip }, async (t) => {
    const here = await world(t, { admin: '127.0.0.1:0' });
    const browser = await browserOf(t);
    const person = await browser.person();
    const page = await person.newPage();
    await page.goto(`${hostOf(here.base)}/ticker?every=${every}`);
    await pushed(page);
    await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => { globalThis.persisted = persisted; }));
    await page.goto(`${here.origin.base}/blank`);
    await until('the stream is closed', async () => await here.pollcast.metric('pollcast_streams') === 0);
    const { id } = here.origin.add('while it was away');
    await page.goBack({ waitUntil: 'commit' });
    await ticks(page, id + 1);
    assert.equal(await page.evaluate(() => globalThis.persisted), true, 'the page was kept');
    await pushed(page);
    await ticks(page, here.origin.add('after').id + 1);
  });
}

test('frozen for longer than a beat is believed: nothing old is answered on waking', { skip }, async (t) => {
  const here = await world(t, { admin: '127.0.0.1:0' });
  const person = await here.browser.person();
  const tabs = [];
  for (let n = 0; n < 2; n += 1) {
    const page = await person.newPage();
    await page.goto(`${here.base}/ticker?every=${every}`);
    const session = await person.newCDPSession(page);
    const life = (state) => session.send('Page.setWebLifecycleState', { state });
    tabs.push({ page, life });
  }
  for (const { page } of tabs) await pushed(page);
  const [frozen, awake] = tabs;
  await taken(frozen.page);
  await frozen.life('frozen');
  for (let n = 0; n < 10; n += 1) {
    await pass(400);
    await ticks(awake.page, here.origin.add(`frozen ${n}`).id + 1);
  }
  await frozen.life('active');
  await ticks(frozen.page, here.origin.items.length);
  // What it was answered had not been replaced for longer than the protocol's bound.
  const log = await taken(frozen.page);
  assert.ok(oldest(log, here.origin.items) <= 1000 + 1500 + 500, JSON.stringify(log));
  await pushed(frozen.page);
});

test('hidden, then seen again: no stream meanwhile, and the state of then', { skip }, async (t) => {
  const here = await world(t, { admin: '127.0.0.1:0' });
  const person = await here.browser.person();
  const page = await person.newPage();
  await page.goto(`${here.base}/ticker?every=${every}`);
  await pushed(page);
  const hide = (hidden) => page.evaluate((value) => {
    Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
  await hide(true);
  await until('the stream is let go', async () => await here.pollcast.metric('pollcast_streams') === 0);
  const { id } = here.origin.add('while nobody looked');
  await hide(false);
  await ticks(page, id + 1);
  await pushed(page);
});

test('the clock of the machine jumps: the network is asked until a beat says otherwise', { skip }, async (t) => {
  const here = await world(t);
  const person = await here.browser.person();
  await person.addInitScript(() => {
    const real = Date.now;
    globalThis.shift = 0;
    Date.now = () => real() + globalThis.shift;
  });
  const page = await person.newPage();
  await page.goto(`${here.base}/ticker?every=${every}`);
  await pushed(page);
  for (const shift of [3_600_000, 86_400_000, -3_600_000]) {
    await page.evaluate((value) => { globalThis.shift = value; }, shift);
    await ticks(page, here.origin.add(`the clock jumps by ${shift}`).id + 1);
    if (shift > 0) assert.equal((await topic(page)).state, 'silence');
  }
  await page.evaluate(() => { globalThis.shift = 0; });
  await pushed(page);
});

test('what the console says is in the names that the documents give', { skip }, async (t) => {
  const here = await world(t);
  const page = await (await here.browser.person()).newPage();
  await page.goto(`${here.base}/ticker?every=${every}`);
  await pushed(page);
  const names = ['every', 'hash', 'local', 'network', 'polled', 'state', 'url', 'why'];
  assert.deepEqual(Object.keys(await topic(page)).sort(), names);
  const said = await page.evaluate(() => new Promise((resolve) => {
    globalThis.pollcast.addEventListener('change', ({ detail }) => resolve(detail.url));
    fetch('/api/items', { method: 'POST', body: '{"title":"x"}' });
  }));
  assert.equal(said, '/api/items');
});
