// Another user in the same browser, and pages on another host than their API.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Page } from './page.mjs';

async function vouchedPage({ jar = 'sid=a', tabs, api, config, init } = {}) {
  const page = new Page({ config });
  page.document.cookie = jar;
  if (tabs) page.window.BroadcastChannel = tabs;
  if (api) page.document.currentScript = { src: api + '/__pollcast/shim.js', remove() {} };
  page.load();
  page.polling = await page.vouched(api && api + '/api/x', init);
  return page;
}

/** The browser's channels: what one posts, all others hear. */
function channels() {
  const open = new Set();
  return class {
    constructor(name) {
      this.name = name;
      open.add(this);
    }
    postMessage(data) {
      for (const other of open) {
        if (other !== this && other.name === this.name) other.onmessage({ data });
      }
    }
    close() {
      open.delete(this);
    }
    static get open() {
      return open.size;
    }
  };
}

/** After this the page asked the network, and a stream opened since then is believed again. */
async function asksAnew(page) {
  page.state = { hash: 'hb', seq: 1, epoch: 'e1', body: '{"b":1}' };
  page.seen.length = 0;
  assert.equal(await page.read('/api/x'), '{"b":1}');
  assert.equal(page.asked(), 1);
  await page.clock.pass(1200);
  await page.stream.hello();
  await page.stream.snapshot(0, page.state);
  await page.clock.pass(60);
  page.seen.length = 0;
  assert.equal(await page.read('/api/x'), '{"b":1}');
  assert.equal(page.asked(), 0);
}

test('other cookies: not one more poll is answered with the old user’s state', async () => {
  const page = await vouchedPage();
  assert.equal(await page.read('/api/x'), '{"n":1}');
  assert.equal(page.asked(), 0);
  page.document.cookie = 'sid=b';
  await asksAnew(page);
});

test('cookies that tell nobody apart may change as they like', async () => {
  const page = await vouchedPage({ config: { cookies: ['sid'] }, jar: 'sid=a; ad=1' });
  page.document.cookie = 'ad=2; sid=a';
  assert.equal(await page.read('/api/x'), '{"n":1}');
  assert.equal(page.asked(), 0);
  page.document.cookie = 'ad=2; sid=b';
  await asksAnew(page);
});

test('a page whose cookies can not be read goes on', async () => {
  const page = new Page();
  Object.defineProperty(page.document, 'cookie', { get() { throw new Error('denied'); } });
  page.load();
  await page.vouched();
  assert.equal(await page.read('/api/x'), '{"n":1}');
  assert.equal(page.asked(), 0);
});

test('a write in one tab: the others ask the network, and nobody echoes', async () => {
  const tabs = channels();
  const [one, other] = [await vouchedPage({ tabs }), await vouchedPage({ tabs })];
  await one.fetch('/api/login', { method: 'POST' });
  const streams = one.streams.length;
  await asksAnew(other);
  assert.equal(one.streams.length, streams);
});

test('a page that starts may come from a login', async () => {
  const tabs = channels();
  const page = await vouchedPage({ tabs });
  await vouchedPage({ tabs });
  await asksAnew(page);
});

test('the channel is closed while nobody looks, and when the script leaves', async () => {
  const tabs = channels();
  const page = await vouchedPage({ tabs });
  assert.equal(tabs.open, 1);
  page.emit(page.window, 'pagehide');
  assert.equal(tabs.open, 0);
  page.emit(page.window, 'pageshow', { persisted: true });
  assert.equal(tabs.open, 1);
  await page.clock.pass(1500);
  await page.stream.send('bye', { reason: 'off', retry_ms: 1000 });
  assert.equal(tabs.open, 0);
});

test('gone anew: the network is asked, and a new stream comes at once', async () => {
  const page = await vouchedPage();
  await page.stream.send('gone', { reason: 'anew' }, 0);
  await asksAnew(page);
});

test('gone refused: no stream until the origin shows a state; twice, and it is left alone', async () => {
  const page = await vouchedPage();
  const { length } = page.streams;
  const { reply } = page;
  page.reply = () => new Response('', { status: 401 });
  await page.stream.send('gone', { reason: 'refused' }, 0);
  await page.clock.pass(10000);
  assert.equal(page.streams.length, length);
  page.reply = reply;
  await asksAnew(page);
  await page.stream.send('gone', { reason: 'refused' }, 0);
  const again = page.streams.length;
  await page.clock.pass(50000);
  assert.equal(page.streams.length, again);
  assert.ok(page.asked() >= 24);
});

test('a page of another host: the API is the script’s host', async () => {
  const api = 'http://api.test';
  const page = await vouchedPage({ api, init: { credentials: 'include' } });
  const response = await page.fetch(api + '/api/x', { credentials: 'include' });
  assert.equal(page.asked(), 0);
  assert.equal(response.type, 'cors');
  assert.equal(response.url, api + '/api/x');
  // Another mode is another topic; the page's own host isn't watched at all.
  await page.read(api + '/api/x');
  assert.equal(page.asked(), 1);
  await page.read('/api/x', { credentials: 'include' });
  assert.equal(page.asked(), 1);
});

test('without cookies there, the stream says so', async () => {
  const page = await vouchedPage({ api: 'http://api.test' });
  assert.equal(page.stream.topics[0].credentials, false);
  const same = await vouchedPage();
  assert.equal(same.stream.topics[0].credentials, undefined);
});

test('a host that does not name this page: nothing is touched', () => {
  const page = new Page({ config: { origins: ['http://other.test'] } });
  page.document.currentScript = { src: 'http://api.test/__pollcast/shim.js', remove() {} };
  assert.ok(page.load().untouched());
});

test('a mark whose preflight is refused: the app’s own request goes instead', async () => {
  const api = 'http://api.test';
  const page = await vouchedPage({ api });
  const { reply } = page;
  page.reply = (asked) => {
    if (asked.marked) throw new TypeError('Failed to fetch');
    return reply(asked);
  };
  await page.fetch(api + '/api/w', { method: 'POST' });
  assert.equal(await page.read(api + '/api/x'), '{"n":1}');
  assert.deepEqual(page.seen.slice(-2).map(({ marked }) => Boolean(marked)), [true, false]);
});

test('refused by another host: one line on the console now and then', async () => {
  const page = new Page();
  page.document.currentScript = { src: 'http://api.test/__pollcast/shim.js', remove() {} };
  let tries = 0;
  page.accept = () => {
    tries++;
    throw new TypeError('Failed to fetch');
  };
  page.load().poll('http://api.test/api/x');
  await page.clock.pass(60000);
  assert.ok(tries >= 1 && tries <= 4, String(tries));
});

test('a page that is put aside hears nothing, but what it writes is told', async () => {
  const tabs = channels();
  const [one, other] = [await vouchedPage({ tabs }), await vouchedPage({ tabs })];
  one.emit(one.window, 'pagehide');
  await one.fetch('/api/login', { method: 'POST' });
  assert.equal(tabs.open, 1);
  await asksAnew(other);
});
