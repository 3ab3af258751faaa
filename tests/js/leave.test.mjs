import assert from 'node:assert/strict';
import test from 'node:test';
import { Page, settle } from './page.mjs';

const HOOK = '__REACT_DEVTOOLS_GLOBAL_HOOK__';

test('bye off: everything as it was, then one question now and then', async () => {
  const page = new Page();
  const before = Object.getOwnPropertyDescriptors(page.window);
  const send = page.window.XMLHttpRequest.prototype.send;
  page.load();
  const { stop } = await page.vouched();
  stop();
  await page.stream.send('bye', { reason: 'off', retry_ms: 10000 });
  for (const name of ['fetch', 'setTimeout', 'setInterval', 'clearTimeout', 'clearInterval']) {
    const after = Object.getOwnPropertyDescriptor(page.window, name);
    assert.deepEqual(after, before[name], name);
  }
  assert.equal(page.window.XMLHttpRequest.prototype.send, send);
  assert.equal(HOOK in page.window, false);
  assert.equal(page.listening(), 0);
  assert.equal(page.stream.open, false);
  assert.equal([...page.clock.due.values()].filter(({ worker }) => !worker).length, 1);
  page.reply = () => new Response('{"mode":"off"}');
  await page.clock.pass(10100);
  assert.equal(page.asked('/__pollcast/mode'), 1);
  assert.equal(page.untouched(), true);
  page.reply = () => new Response('{"mode":"push"}');
  await page.clock.pass(10100);
  assert.equal(page.untouched(), false);
  page.reply = ({ marked }) => page.answer(marked);
  await page.vouched();
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
});

test('an app that wrapped our fetch keeps its wrapper, and we come back beneath it', async () => {
  const page = new Page().load();
  await page.vouched();
  const ours = page.window.fetch;
  let wrapped = 0;
  page.window.fetch = (...args) => (wrapped++, ours(...args));
  await page.stream.send('bye', { reason: 'off', retry_ms: 10000 });
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
  assert.equal(wrapped, 1);
  const { reply } = page;
  page.reply = (ask) =>
    ask.url === '/__pollcast/mode' ? new Response('{"mode":"push"}') : reply(ask);
  await page.clock.pass(10100);
  page.seen.length = 0;
  await page.clock.pass(8000);
  await page.stream.hello();
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
});

test('loaded in mode off: nothing is touched', async () => {
  const page = new Page({ config: { mode: 'off' } }).load();
  assert.equal(page.untouched(), true);
  assert.equal(page.listening(), 0);
  page.reply = () => new Response('{"mode":"push"}');
  await page.clock.pass(16000);
  assert.equal(page.untouched(), false);
});

test('a second copy does nothing, and the tag is gone', async () => {
  const page = new Page();
  let removed = 0;
  page.document.currentScript = { remove: () => removed++ };
  page.load();
  const { fetch } = page.window;
  page.load();
  assert.equal(page.window.fetch, fetch);
  assert.equal(removed, 2);
});

test('not in the cohort, or overridden for this tab', () => {
  const config = { watches: [{ re: '^/api/', push: true, percent: 0 }] };
  assert.equal(new Page({ config }).load().untouched(), true);
  assert.equal(new Page({ config, search: '?pollcast=on' }).load().untouched(), false);
  assert.equal(new Page({ search: '?pollcast=off' }).load().untouched(), true);
  const tab = new Page({ search: '?pollcast=off' });
  tab.load();
  const next = new Page();
  next.window.sessionStorage = tab.window.sessionStorage;
  assert.equal(next.load().untouched(), true);
  assert.equal(new Page({ config: { watches: [] } }).load().untouched(), true);
});

test('storage that is denied does not matter', async () => {
  const page = new Page();
  const denied = { get: () => { throw new Error('denied'); } };
  Object.defineProperty(page.window, 'localStorage', denied);
  Object.defineProperty(page.window, 'sessionStorage', denied);
  page.load();
  await page.vouched();
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
});

const FAULTS = {
  weigh: 'function weigh(',
  decide: 'function decide(',
  obstacle: 'function obstacle(',
  topicFor: 'function topicFor(',
  onAnswer: 'function onAnswer(',
  learn: 'function learn(',
  dress: 'function dress(',
  reconcile: 'function reconcile(',
  wanted: 'function wanted(',
  refreshChanged: 'function refreshChanged(',
  watchPerson: 'function watchPerson(',
  installFetch: 'function installFetch(',
  wrote: 'function wrote(',
};

for (const [name, head] of Object.entries(FAULTS)) {
  test(`fail open: ${name}() throws`, async () => {
    const change = (text) => {
      assert.ok(text.includes(head));
      const fault = `function ${name}() { throw new Error('inner'); }\n`;
      return text.replace(head, fault + head.replace(name, 'was_' + name));
    };
    const page = new Page({ change }).load();
    const poll = page.poll('/api/x', 1000);
    await page.clock.pass(1500);
    if (page.stream) {
      await page.stream.hello();
      if (page.stream.open) await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
    }
    await page.fetch('/api/w', { method: 'POST' });
    await page.clock.pass(3000);
    assert.ok(poll.got.length >= 4);
    assert.ok(poll.got.every((text) => text !== null));
    assert.equal(page.untouched(), true, 'left');
    assert.equal(page.listening(), 0);
    page.seen.length = 0;
    await page.read('/api/x');
    assert.equal(page.asked(), 1);
    await settle();
  });
}
