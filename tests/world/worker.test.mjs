// Where the stream lives: one for all pages of a browser, and one in the page where nothing can be shared.

import assert from 'node:assert/strict';
import test from 'node:test';
import http from 'node:http';
import { openPage } from './lib/browser.mjs';
import { isPushed, shows, write } from './lib/items.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const skip = unableWithout();
const admin = '127.0.0.1:0';
const everyMs = 1000;
const path = `/items?every=${everyMs}`;

const streams = ({ pollcast }) => pollcast.metric('pollcast_streams');

test('ten tabs of one browser: one stream, and each tab shows each change', { skip }, async (t) => {
  const here = await world(t, { admin });
  const person = await here.browser.person();
  const tabs = [];
  for (let n = 0; n < 10; n += 1) tabs.push(await here.open(person, path));
  for (const tab of tabs) await isPushed(tab, here.origin, 3 * everyMs);
  await until('one stream is left', async () => await streams(here) === 1);
  const item = await write(tabs[0].page, 'for all');
  for (const { page } of tabs) await shows(page, item.id + 1);
  // A write may be a login: all ask anew, and share the next one.
  for (const tab of tabs) await isPushed(tab, here.origin, 3 * everyMs);
  assert.equal(await streams(here), 1);
  for (const { page } of tabs.splice(0, 9)) await page.close();
  await isPushed(tabs[0], here.origin, 3 * everyMs);
  assert.equal(await streams(here), 1);
  await tabs[0].page.close();
  await until('nobody is left', async () => await streams(here) === 0);
});

test('a tab that holds the stream crashes: the others are pushed again', { skip }, async (t) => {
  const here = await world(t, { admin });
  const person = await here.browser.person();
  const first = await here.open(person, path);
  await isPushed(first, here.origin, 3 * everyMs);
  const others = [await here.open(person, path), await here.open(person, path)];
  for (const tab of others) await isPushed(tab, here.origin, 3 * everyMs);
  await first.page.goto('chrome://crash').catch(() => {});
  const { id } = here.origin.add('after the crash');
  for (const { page } of others) await shows(page, id + 1);
  for (const tab of others) await isPushed(tab, here.origin, 3 * everyMs);
  // The page that crashed said no goodbye.
  await until('one stream is left', async () => await streams(here) === 1);
});

/** One host, two apps: `/one/…` and `/two/…`, as a proxy in front would have them. */
async function front(t, bases) {
  const server = http.createServer((request, response) => {
    const { hostname: host, port } = new URL(bases[request.url.startsWith('/one/') ? 0 : 1]);
    const { method, url, headers } = request;
    const onward = http.request({ host, port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${server.address().port}`;
}

test('two apps on one host, each behind a prefix of its own: a stream each', { skip }, async (t) => {
  const apps = [];
  for (const name of ['one', 'two']) {
    const watch = [{ name: 'api', path: `/${name}/api/**`, mode: 'push' }];
    const app = await world(t, { admin, top: { prefix: `/${name}/__pollcast` }, watch });
    app.origin.route(`/${name}/`, (request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><head><link rel=icon href="data:,">
        <script>setInterval(async () => {
          document.title = (await (await fetch('/${name}/api/items')).json()).version; }, ${everyMs})</script></head>`);
    });
    app.origin.route(`/${name}/api/items`, (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ version: app.origin.items.length }));
    });
    apps.push(app);
  }
  const base = await front(t, apps.map((app) => app.base));
  const person = await apps[0].browser.person();
  const tabs = [];
  for (const path of ['/one/', '/two/', '/one/', '/two/']) tabs.push(await openPage(person, base + path));
  for (const [n, { page }] of tabs.entries()) {
    const { origin } = apps[n % 2];
    const state = () => page.evaluate(() => globalThis.pollcast.topics()[0]?.state);
    await until('a tab is pushed', async () => await state() === 'pushed', 30_000);
    const { id } = origin.add('for one app only');
    await until('it shows', async () => Number(await page.title()) > id);
  }
  for (const app of apps) await until('one stream for each app', async () => await streams(app) === 1);
  for (const { log } of tabs) assert.deepEqual(log.faults(), []);
});

// What is taken from the page before any script runs.
const poorer = {
  'no SharedWorker': () => delete window.SharedWorker,
  'SharedWorker that throws': () => {
    window.SharedWorker = function SharedWorker() { throw new DOMException('no', 'SecurityError'); };
  },
  'SharedWorker that never says a word': () => {
    window.SharedWorker = function SharedWorker() { this.port = new MessageChannel().port1; };
  },
  'no BroadcastChannel': () => delete window.BroadcastChannel,
  'no storage': () => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });
    }
  },
  'no locks, no crypto': () => { delete Navigator.prototype.locks; delete Crypto.prototype.randomUUID; },
};

for (const [name, take] of Object.entries(poorer)) {
  test(`a poorer browser is pushed all the same: ${name}`, { skip }, async (t) => {
    const here = await world(t, { admin });
    const person = await here.browser.person();
    await person.addInitScript(take);
    const tab = await here.open(person, path);
    await isPushed(tab, here.origin, 3 * everyMs, 60_000);
    assert.deepEqual(tab.log.faults(), []);
    await tab.page.close();
    await until('its stream is closed', async () => await streams(here) === 0);
  });
}

// Policies that come with the page; what the console may say of them.
const policies = {
  "worker-src 'none'": 0,
  "script-src 'self'; worker-src 'none'": 0,
  "script-src 'nonce-abc' 'strict-dynamic'": 0,
  "script-src 'nonce-abc'": 0,
  "require-trusted-types-for 'script'; trusted-types 'none'": 0,
  "default-src 'self'": 0,
  // Not a policy about scripts, but one about what a document may load at all.
  isolated: 0,
};

test('policies: pushed all the same, and nothing on the console', { skip }, async (t) => {
  const here = await world(t, { admin });
  for (const [policy, lines] of Object.entries(policies)) {
    const poll = `setInterval(async () => {
      document.title = (await (await fetch("/api/items")).json()).version; }, 1000);`;
    here.origin.route('/poll.js', (request, response) => {
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(poll);
    });
    here.origin.route('/page', (request, response) => {
      const isolation = { 'cross-origin-embedder-policy': 'require-corp', 'cross-origin-opener-policy': 'same-origin' };
      const fields = policy === 'isolated' ? isolation : { 'content-security-policy': policy };
      response.writeHead(200, { 'content-type': 'text/html', ...fields });
      const icon = '<link rel=icon href="data:,">';
      response.end(`<!doctype html><head>${icon}<script nonce=abc src=/poll.js></script></head>`);
    });
    const tab = await openPage(await here.browser.person(), `${here.base}/page`);
    const last = () => tab.log.gets('/api/items').at(-1)?.at ?? 0;
    await until(`pushed under ${policy}`, () => Date.now() - last() > 3000, 40_000);
    const { id } = here.origin.add(policy);
    await until('it shows', async () => Number(await tab.page.title()) > id);
    const ours = tab.log.complaints.filter((line) => line.includes('__pollcast'));
    assert.equal(ours.length, lines, `${policy}: ${ours.join('\n')}`);
    await tab.page.close();
  }
});

test('the worker can not be fetched for a while: the app polls, and is pushed later', { skip }, async (t) => {
  const here = await world(t, { admin });
  const person = await here.browser.person();
  let broken = true;
  const answer = (route) => (broken ? route.fulfill({ status: 502, body: '<html>' }) : route.continue());
  await person.route(/worker\.js/, answer);
  const tab = await here.open(person, path);
  const { id } = here.origin.add('polled');
  await shows(tab.page, id + 1);
  await until('it was tried', () => tab.log.complaints.length > 0 || tab.log.polls('/api/items').length > 6);
  broken = false;
  await isPushed(tab, here.origin, 3 * everyMs, 90_000);
});
