// The shim in real Chromium, against a stand-in proxy: an app that polls by setInterval and knows
// nothing of it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { StandIn } from './standin.mjs';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
const skip = !existsSync(executablePath) && !process.env.CI && `no ${executablePath}`;

const APP = `
window.shown = [];
window.rejected = [];
addEventListener('unhandledrejection', (event) => {
  rejected.push(String(event.reason));
  event.preventDefault();
});
async function poll() {
  const { n } = await (await fetch('/api/x')).json();
  out.textContent = n;
  shown.push([n, Date.now()]);
}
setTimeout(() => { poll(); setInterval(poll, 400); }, 0);`;

let proxy;
let browser;
let page;
const said = [];

const shows = (n) => page.waitForFunction((want) => out.textContent === String(want), n);
const polls = () => proxy.seen.splice(0).filter(([method]) => method === 'GET').length;

/** Waits until the page is answered locally: three polls without one on the network. */
async function quiet() {
  for (;;) {
    await page.evaluate(() => (shown.length = 0));
    proxy.seen.length = 0;
    await page.waitForFunction(() => shown.length >= 3);
    if (!polls()) return;
  }
}

before(async () => {
  if (skip) return;
  proxy = await new StandIn().listen();
  proxy.app = APP;
  browser = await chromium.launch({
    executablePath,
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  });
  page = await browser.newPage();
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  await page.goto(proxy.url);
  await quiet();
});

after(async () => {
  if (skip) return;
  await browser.close();
  await proxy.close();
});

test('changes reach the page by the stream alone, each of them at once', { skip }, async () => {
  const late = [];
  for (let n = 1; n <= 20; n++) {
    const at = Date.now();
    proxy.set('/api/x', `{"n":${n}}`);
    await shows(n);
    late.push((await page.evaluate(() => shown.at(-1)[1])) - at);
  }
  assert.equal(polls(), 0);
  assert.deepEqual(said, []);
  // Told, not asserted: a loaded machine is no defect.
  console.log('server to page, ms:', late.sort((a, b) => a - b).join(' '));
});

test('a local answer behaves as the network’s does', { skip }, async () => {
  const seen = await page.evaluate(async () => {
    const pause = () => new Promise((done) => setTimeout(done, 230));
    const facts = async (response) => {
      const copy = response.clone();
      const { url, type, status, statusText, ok, redirected, bodyUsed } = response;
      const text = await response.text();
      const again = await response.text().then(() => 'read twice', (error) => error.name);
      const used = response.bodyUsed;
      const blob = await copy.clone().blob();
      const reader = copy.body.getReader();
      const chunk = new TextDecoder().decode((await reader.read()).value);
      const kind = Object.prototype.toString.call(response) + (response instanceof Response);
      return { url, type, status, statusText, ok, redirected, bodyUsed, text, again, used, kind,
        blob: [blob.type, blob.size], chunk, header: response.headers.get('content-type') };
    };
    const aborted = async (options, read) => {
      const control = new AbortController();
      const response = await fetch('/api/x', { ...options, signal: control.signal });
      control.abort();
      return response[read]().then(() => 'read', (error) => error.name);
    };
    const all = [];
    for (const options of [{}, { cache: 'reload' }]) {
      await pause();
      const one = await facts(await fetch('/api/x#part', options));
      await pause();
      one.request = await facts(await fetch(new Request('/api/x', options)));
      for (const read of ['text', 'json', 'arrayBuffer', 'blob']) {
        await pause();
        one['aborted ' + read] = await aborted(options, read);
      }
      one.early = await fetch('/api/x', { ...options, signal: AbortSignal.abort() })
        .catch((error) => error.name);
      all.push(one);
    }
    return all;
  });
  assert.deepEqual(seen[0], seen[1]);
  assert.equal(seen[0].text, '{"n":20}');
  assert.equal(polls(), 6, 'only what asked for the network');
});

test('fetch keeps its name, its text, and its unhandled rejections', { skip }, async () => {
  const facts = await page.evaluate(async () => {
    fetch('http://[', { method: 'POST' });
    fetch('/api/x', { headers: { 'bad name': '1' } });
    fetch('/api/y', { signal: AbortSignal.abort('gone') });
    fetch('/api/y', { method: 'POST', signal: AbortSignal.abort('written') });
    fetch('/api/y', { signal: AbortSignal.abort('handled') }).catch(() => {});
    await new Promise((done) => setTimeout(done, 100));
    const text = Function.prototype.toString.call(fetch);
    return [fetch.name, fetch.length, /\[native code\]/.test(text), rejected.length];
  });
  assert.deepEqual(facts, ['fetch', 1, true, 4]);
});

test('its own write is seen, and the next change is pushed again', { skip }, async () => {
  await quiet();
  await page.evaluate(() => fetch('/api/x', { method: 'POST' }));
  const n = await page.evaluate(async () => (await (await fetch('/api/x')).json()).n);
  assert.equal(n, 21);
  await quiet();
  proxy.set('/api/x', '{"n":22}');
  await shows(22);
  assert.equal(polls(), 0);
});

test('the stream is cut: the app polls, then is pushed again', { skip }, async () => {
  proxy.each((stream) => stream.response.destroy());
  proxy.states.set('/api/x', { ...proxy.state('/api/x'), body: '{"n":23}', hash: 'ab', seq: 99 });
  await shows(23);
  await quiet();
  proxy.set('/api/x', '{"n":24}');
  await shows(24);
  assert.equal(polls(), 0);
});

test('off: the page is as it was, and comes back when it is on', { skip }, async () => {
  const before = await page.evaluate(() => String(shown.length));
  proxy.off(300);
  await page.waitForFunction(() => !('__REACT_DEVTOOLS_GLOBAL_HOOK__' in window));
  proxy.seen.length = 0;
  await page.waitForFunction((n) => shown.length > Number(n) + 3, before);
  assert.ok(proxy.seen.length > 0);
  assert.ok(proxy.seen.every(([, , mark]) => !mark));
  proxy.mode = 'push';
  await quiet();
  proxy.set('/api/x', '{"n":25}');
  await shows(25);
  assert.equal(polls(), 0);
});
