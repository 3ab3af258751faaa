// One stream for all pages of a browser: the code that holds it, with the pages that it tells.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Page, fnv1a } from './page.mjs';

/** Two pages of one browser that poll; `page.streams` of the first has what both opened. */
async function two(url = '/api/x', init = undefined, other = url) {
  const one = new Page().load();
  await one.vouched(url);
  const next = new Page({ beside: one }).load();
  next.polling = next.poll(other, 2000, init);
  await one.clock.pass(3100);
  return [one, next];
}

/** Answers the newest stream: hello, and each of its topics as the pages know it. */
async function confirm(page, epoch = 'e1') {
  await page.stream.hello(epoch);
  for (const [index, { have }] of page.stream.topics.entries()) {
    if (have) await page.stream.send('current', { hash: have, seq: 1 }, index);
    else await page.stream.snapshot(index, page.state);
  }
}

async function isPushed(page, url = '/api/x', init = undefined) {
  page.seen.length = 0;
  await page.read(url, init);
  return page.asked(url) === 0;
}

test('a second page: one stream that began after it came, and both are pushed', async () => {
  const [one, next] = await two();
  assert.equal(one.streams.length, 2);
  assert.equal(one.stream.topics.length, 1);
  assert.equal(await isPushed(next), false, 'the stream of before may be another user’s');
  await confirm(one);
  await one.clock.pass(100);
  assert.equal(one.streams[0].open, false);
  assert.equal(await isPushed(one), true);
  assert.equal(await isPushed(next), true);
});

test('what changes reaches each page; a page that knows it already gets no body', async () => {
  const [one, next] = await two();
  await confirm(one);
  await one.clock.pass(100);
  await one.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  await one.clock.pass(60);
  for (const page of [one, next]) {
    page.seen.length = 0;
    assert.equal(await page.read('/api/x'), '{"n":2}');
    assert.equal(page.asked(), 0);
  }
});

test('another Authorization in another tab is another topic of the same stream', async () => {
  const init = { headers: { authorization: 'Bearer b' } };
  const [one, next] = await two('/api/x', init);
  assert.equal(one.stream.topics.length, 2);
  assert.notDeepEqual(one.stream.topics[0].headers, one.stream.topics[1].headers);
  await one.stream.hello();
  const mine = one.stream.topics.findIndex(({ headers }) => headers.some(([name]) => name === 'authorization'));
  await one.stream.snapshot(mine, { hash: 'hb', seq: 7, body: '{"b":1}' });
  await one.stream.snapshot(1 - mine, { hash: 'ha', seq: 7, body: '{"a":1}' });
  await one.clock.pass(2100);
  assert.equal(await one.read('/api/x'), '{"a":1}');
  assert.equal(await next.read('/api/x', init), '{"b":1}');
});

test('a beat speaks for a page only once each of its topics had its word', async () => {
  const [one, next] = await two('/api/x', undefined, '/api/y');
  await one.stream.hello();
  const y = one.stream.topics.findIndex(({ url }) => url === '/api/y');
  await one.stream.send('current', { hash: 'h1', seq: 1 }, 1 - y);
  await one.clock.pass(11000);
  await one.stream.send('beat', {});
  await one.clock.pass(1100);
  // The hello is too old by now, and the beat was not about it.
  await one.stream.send('current', { hash: 'h1', seq: 1 }, y);
  assert.equal(await isPushed(one), true);
  assert.equal(await isPushed(next, '/api/y'), false);
  await one.stream.send('beat', {});
  assert.equal(await isPushed(next, '/api/y'), true);
});

test('a page that comes to a stream is told what the stream has said: stale, too', async () => {
  const one = new Page().load();
  await one.vouched();
  await one.stream.send('stale', { reason: 'timeout' }, 0);
  const topic = () => one.window.pollcast.topics()[0].state;
  assert.equal(topic(), 'stale');
  one.poll('/api/y', 2000);
  await one.clock.pass(2200);
  await one.stream.hello();
  const x = one.stream.topics.findIndex(({ url }) => url === '/api/x');
  await one.stream.send('stale', { reason: 'timeout' }, x);
  await one.clock.pass(100);
  assert.equal(topic(), 'stale');
  assert.equal(await isPushed(one), false);
});

test('the fastest cadence of all pages; a page that leaves takes its topics along', async () => {
  const one = new Page().load();
  await one.vouched();
  const next = new Page({ beside: one }).load();
  const polling = next.poll('/api/x', 500);
  next.poll('/api/z', 2000);
  await one.clock.pass(4200);
  await confirm(one);
  await one.clock.pass(1200);
  const asked = () => one.stream.topics.map(({ url, every_ms }) => [url, every_ms]).sort();
  assert.deepEqual(asked(), [['/api/x', 500], ['/api/z', 2000]]);
  polling.stop();
  next.emit(next.window, 'pagehide');
  await one.clock.pass(1500);
  assert.deepEqual(asked(), [['/api/x', 2000]]);
});

test('a page that crashed is forgotten', async () => {
  const one = new Page().load();
  await one.vouched();
  const next = new Page({ beside: one }).load();
  next.poll('/api/z', 2000);
  await one.clock.pass(3200);
  await confirm(one);
  await one.clock.pass(100);
  assert.equal(one.stream.topics.length, 2);
  next.crash();
  await one.stream.send('beat', {});
  for (let n = 0; n < 4; n += 1) {
    await one.clock.pass(10000);
    await one.stream.send('beat', {});
  }
  assert.deepEqual(one.stream.topics.map(({ url }) => url), ['/api/x']);
});

test('another process answers: pages ask anew, each once', async () => {
  const [one, next] = await two();
  await confirm(one);
  await one.clock.pass(100);
  one.state.epoch = next.state.epoch = 'e2';
  one.stream.end();
  await one.clock.pass(1500);
  await confirm(one, 'e2');
  await one.clock.pass(2100);
  for (const page of [one, next]) assert.equal(await isPushed(page), true);
});

test('more topics than a stream may carry: the newest have it, the others poll', async () => {
  const config = { cap: 2 };
  const one = new Page({ config }).load();
  one.poll('/api/a', 2000);
  one.poll('/api/b', 2000);
  await one.clock.pass(2200);
  await confirm(one);
  const next = new Page({ beside: one, config }).load();
  next.poll('/api/c', 2000);
  await one.clock.pass(3200);
  assert.equal(one.stream.topics.length, 2);
  assert.ok(one.stream.topics.some(({ url }) => url === '/api/c'));
  const states = one.window.pollcast.topics().map(({ state }) => state);
  assert.equal(states.filter((state) => state === 'left alone').length, 1);
});

test('off, before any hello: all pages leave', async () => {
  const [one, next] = await two();
  await one.stream.send('bye', { reason: 'off', retry_ms: 5000 });
  await one.clock.pass(50);
  for (const page of [one, next]) assert.equal(page.untouched(), true);
});

test('a delta that does not fit ends the stream for all, and the next one asks for the whole body', async () => {
  const [one, next] = await two();
  await confirm(one);
  await one.clock.pass(100);
  const body = '{"n":12}';
  const delta = { from: 'h1', hash: 'h2', seq: 2, length: body.length, check: fnv1a(body) + 1, ops: [[0, 6], '2}'] };
  await one.stream.send('delta', delta, 0);
  assert.equal(one.stream.open, false);
  for (const page of [one, next]) assert.equal(await isPushed(page), false);
  await one.clock.pass(1500);
  assert.equal(one.stream.topics[0].have, undefined);
});

test('a worker that died is given up for a new one', async () => {
  const [one] = await two();
  await confirm(one);
  await one.clock.pass(100);
  assert.equal(await isPushed(one), true);
  one.worker.die();
  one.stream.end();
  await one.clock.pass(20000);
  await confirm(one);
  await one.clock.pass(100);
  assert.equal(await isPushed(one), true);
});

/** The newest stream says `body` of each topic, with a number that passes for newer than what pages know. */
async function say(page, body, seq = 50) {
  await page.stream.hello();
  for (const index of page.stream.topics.keys()) await page.stream.snapshot(index, { hash: 'hs' + seq, seq, body });
}

test('a write, and at once other topics: nothing that a stream of before the write says is believed', async () => {
  const one = new Page().load();
  one.poll('/api/x');
  one.poll('/api/y');
  await one.clock.pass(2100);
  await confirm(one);
  assert.equal(one.stream.topics.length, 2);
  const x = one.stream.topics.findIndex(({ url }) => url === '/api/x');
  await one.fetch('/api/login', { method: 'POST' });
  await one.clock.pass(30);
  // No view of after the write has been told hello when the next one, without this topic, takes its place.
  one.state = { hash: '', body: '' };
  await one.read('/api/y');
  one.state = { hash: 'hb', seq: 2, epoch: 'e1', body: '{"b":1}' };
  await one.read('/api/x');
  await one.clock.pass(60);
  assert.equal(one.streams.length, 1);
  await one.stream.snapshot(x, { hash: 'ha', seq: 9, body: '{"a":9}' });
  await one.stream.send('beat', {});
  assert.equal(await one.read('/api/x'), '{"b":1}');
  assert.equal(await isPushed(one), false);
});

test('a page that was put aside heard of no login: it is told nothing by a stream of before it came back', async () => {
  const [one, next] = await two();
  await confirm(one);
  await one.clock.pass(100);
  next.emit(next.window, 'pagehide');
  await one.clock.pass(100);
  const { length } = one.streams;
  next.emit(next.window, 'pageshow', { persisted: true });
  await one.clock.pass(100);
  assert.equal(await isPushed(next), false);
  await one.clock.pass(1000);
  assert.equal(one.streams.length, length + 1);
  await say(one, '{"n":5}');
  await one.clock.pass(100);
  assert.equal(await isPushed(next), true);
});

test('after a gap longer than the silence, a beat that waited is none of now', async () => {
  const one = new Page().load();
  await one.vouched();
  // The machine slept: no timer ran, and what had come before is read only now.
  one.clock.wall += 3600000;
  await one.stream.send('beat', {});
  assert.equal(await isPushed(one), false);
});

test('the network is back: the next try comes at once, however long the wait was to be', async () => {
  const one = new Page().load();
  await one.vouched();
  one.accept = () => new Response('', { status: 502 });
  one.stream.end();
  await one.clock.pass(200000);
  one.accept = () => null;
  const { length } = one.streams;
  one.emit(one.window, 'online');
  await one.clock.pass(1100);
  assert.equal(one.streams.length, length + 1);
});

test('views that end since another page wrote: what they know is the base of the streams to come', async () => {
  const [one] = await two('/api/x', undefined, '/api/y');
  await confirm(one);
  await one.clock.pass(100);
  await one.fetch('/api/x', { method: 'POST' });
  await one.read('/api/x');
  await one.clock.pass(1100);
  await confirm(one);
  await one.clock.pass(100);
  new Page({ beside: one }).load().poll('/api/z');
  await one.clock.pass(3500);
  const { topics } = one.stream;
  assert.equal(topics.length, 3);
  for (const { url, have } of topics) assert.ok(have, url);
});

test('an app that clears all timers there are: its polls bring the stream back', async () => {
  const one = new Page().load();
  const { stop } = await one.vouched();
  stop();
  // One of them was about to run.
  await one.fetch('/api/z', { method: 'POST' });
  for (const [id, { owner }] of [...one.clock.due]) if (owner === one) one.window.clearTimeout(id);
  one.poll('/api/x', 2000);
  const { length } = one.streams;
  for (let n = 0; n < 30 && one.streams.length === length; n += 1) await one.clock.pass(2000);
  await confirm(one);
  await one.clock.pass(100);
  assert.equal(await isPushed(one), true);
});

test('put aside for "back": the only page of a stream ends it by its name, one of two does not', async () => {
  const one = new Page().load();
  await one.vouched();
  await one.clock.pass(2100);
  const left = () => one.seen.map(({ url }) => url).filter((url) => url.includes('/leave/'));
  one.emit(one.window, 'pagehide', { persisted: true });
  assert.deepEqual(left(), [`/__pollcast/leave/${one.streams[0].name}`]);
  one.emit(one.window, 'pageshow', { persisted: true });
  await one.clock.pass(2100);
  one.seen.length = 0;
  one.emit(one.window, 'pagehide', { persisted: false });
  assert.deepEqual(left(), [], 'the page goes for good, and its worker with it');
  const [first, next] = await two();
  await confirm(first);
  await first.clock.pass(2100);
  next.emit(next.window, 'pagehide', { persisted: true });
  assert.deepEqual(next.seen.filter(({ url }) => url.includes('/leave/')), []);
});

test('a page that comes without a body is sent its own user’s, not what another page was told', async () => {
  const one = new Page().load();
  await one.vouched();
  const next = new Page({ beside: one }).load();
  // Of such a request the script can't read the text.
  const ask = () => next.xhr('/api/x', (xhr) => { xhr.responseType = 'json'; });
  ask();
  next.window.setInterval(ask, 2000);
  await one.clock.pass(4200);
  assert.equal(one.streams.length, 2);
  assert.equal(one.stream.topics[0].have, undefined);
});
