import assert from 'node:assert/strict';
import test from 'node:test';
import { Page, settle } from './page.mjs';

const marks = (page) => page.seen.map((it) => Boolean(it.marked));

/** Asks every `ms` without a timer of the page: evidence by the gap alone. */
async function ask(page, times, ms, before = () => {}) {
  for (let i = 0; i < times; i++) {
    await before();
    await page.read('/api/x');
    await page.clock.pass(Array.isArray(ms) ? ms[i] : ms);
  }
}

test('an interval timer is evidence at the second request', async () => {
  const page = new Page().load();
  page.poll();
  await page.clock.pass(2100);
  assert.deepEqual(marks(page), [false, true]);
});

test('a chain of timers is evidence once it is known to be a chain', async () => {
  const page = new Page().load();
  const tick = async () => {
    await page.read('/api/x');
    page.window.setTimeout(tick, 1000);
  };
  tick();
  await page.clock.pass(5000);
  const all = marks(page);
  assert.equal(all[0], false);
  assert.equal(all[1], false);
  assert.ok(all.includes(true));
  assert.equal(page.stream.topics[0].every_ms, 1000);
});

test('three requests at a regular gap are evidence, two are not', async () => {
  const page = new Page().load();
  await ask(page, 4, [1000, 1100, 950, 1000]);
  assert.deepEqual(marks(page), [false, false, true, true]);
});

test('an irregular gap, or one under 250 ms, is no evidence', async () => {
  for (const gaps of [[1000, 2000, 700, 3000, 1000, 1], [200, 200, 200, 200, 200, 200]]) {
    const page = new Page().load();
    await ask(page, 6, gaps);
    assert.equal(marks(page).includes(true), false);
  }
});

test('a person who clicks, at whatever rhythm, is no evidence', async () => {
  const page = new Page().load();
  await ask(page, 8, 1500, () => page.emit(page.window, 'click'));
  await ask(page, 2, 300, () => page.emit(page.window, 'click'));
  assert.equal(marks(page).includes(true), false);
});

test('an input that is debounced by a timer is no evidence', async () => {
  const page = new Page().load();
  for (let i = 0; i < 6; i++) {
    page.emit(page.window, 'input');
    page.window.setTimeout(() => page.read('/api/x'), 300);
    await page.clock.pass(2000);
  }
  assert.equal(marks(page).includes(true), false);
});

test('what scripts dispatch is not a person', async () => {
  const page = new Page().load();
  await ask(page, 3, 1000, () => page.emit(page.window, 'click', { isTrusted: false }));
  assert.deepEqual(marks(page), [false, false, true]);
});

test('a loop is never polled, and is left alone for long', async () => {
  const page = new Page().load();
  page.reply = async ({ marked }) => {
    await new Promise((resolve) => page.clock.set(resolve, 1000));
    return page.answer(marked);
  };
  let stop = false;
  const loop = async () => {
    while (!stop) await page.read('/api/x');
  };
  loop();
  await page.clock.pass(10000);
  stop = true;
  await page.clock.pass(2000);
  assert.equal(marks(page).includes(true), false);
  page.seen.length = 0;
  page.reply = ({ marked }) => page.answer(marked);
  page.poll();
  await page.clock.pass(20000);
  assert.equal(marks(page).includes(true), false, 'excluded for long');
});

test('an answer that took long is a long poll', async () => {
  const page = new Page().load();
  page.reply = async ({ marked }) => {
    await new Promise((resolve) => page.clock.set(resolve, 6000));
    return page.answer(marked);
  };
  page.poll('/api/x', 10000);
  await page.clock.pass(60000);
  assert.equal(marks(page).includes(true), false);
});

test('only a 200 with text is evidence', async () => {
  const types = {
    'application/json; charset=utf-8': true,
    'application/problem+json': true,
    'text/plain': true,
    'application/xml': true,
    'text/event-stream': false,
    'application/x-ndjson': false,
    'application/jsonl': false,
    'multipart/mixed': false,
    'image/png': false,
    '': false,
  };
  for (const [type, good] of Object.entries(types)) {
    const page = new Page().load();
    page.reply = () => page.answer(null, page.state, { headers: { 'Content-Type': type } });
    page.poll();
    await page.clock.pass(2100);
    assert.equal(marks(page).includes(true), good, type);
  }
  const page = new Page().load();
  page.reply = () => page.answer(null, page.state, { status: 404 });
  page.poll();
  await page.clock.pass(6000);
  assert.equal(marks(page).includes(true), false);
});

test('a marked answer without a state backs off, for longer each time', async () => {
  const page = new Page().load();
  page.reply = () => page.answer(null);
  page.poll('/api/x', 1000);
  await page.clock.pass(59000);
  assert.equal(marks(page).filter(Boolean).length, 1);
  await page.clock.pass(10000);
  assert.equal(marks(page).filter(Boolean).length, 2);
  await page.clock.pass(100000);
  assert.equal(marks(page).filter(Boolean).length, 2, 'two minutes by now');
  await page.clock.pass(30000);
  assert.equal(marks(page).filter(Boolean).length, 3);
});

test('asked much faster than its cadence: let go', async () => {
  const page = new Page().load();
  const poll = await page.vouched();
  poll.stop();
  for (let i = 0; i < 8; i++) {
    await page.read('/api/x');
    await page.clock.pass(100);
  }
  assert.ok(page.asked() >= 3, 'the network is asked again');
});

test('what refresh() causes is not faster than its cadence', async () => {
  const page = new Page().load();
  await page.vouched();
  for (let seq = 2; seq < 12; seq++) {
    await page.stream.snapshot(0, { hash: 'h' + seq, seq, body: `{"n":${seq}}` });
    await page.clock.pass(100);
  }
  assert.equal(page.asked(), 0);
});

test('cache busters are no part of a key, times that mean something are', async () => {
  const page = new Page().load();
  const urls = (at) => ({
    [`/api/a?_=${at}`]: true,
    [`/api/b?x=1&ts=${at}&y=2`]: true,
    [`/api/c?nocache=${at}`]: true,
    [`/api/d?nocache=${Math.floor(at / 1000)}`]: true,
    [`/api/e?${at}`]: true,
    [`/api/f?from=${at - 3600000}`]: false,
    [`/api/g?since=${at - 2000}`]: false,
    [`/api/h?page=${at % 9973}`]: false,
    // A configured name, but a short value: a question.
    [`/api/k?t=${at % 9973}`]: false,
    [`/api/i?day=1763900000`]: true,
    [`/api/j?born=1234567890`]: true,
  });
  const all = [];
  for (let i = 0; i < 4; i++) {
    for (const [url, same] of Object.entries(urls(page.clock.wall))) {
      await page.read(url);
      all.push([url, same]);
    }
    await page.clock.pass(1001);
  }
  for (const [url, same] of all.slice(-11)) {
    const { marked } = page.seen.findLast((it) => it.url === url);
    assert.equal(Boolean(marked), same, url);
  }
});

test('another Authorization is another topic; a request id is not', async () => {
  const page = new Page().load();
  const poll = await page.vouched('/api/x', { headers: { Authorization: 'Bearer a' } });
  assert.deepEqual(page.stream.topics[0].headers, [
    ['accept', '*/*'],
    ['authorization', 'Bearer a'],
  ]);
  poll.stop();
  await page.read('/api/x', { headers: { authorization: 'Bearer b' } });
  assert.equal(page.asked(), 1);
  await page.read('/api/x', { headers: { authorization: 'Bearer a', 'X-Request-Id': '7' } });
  assert.equal(page.asked(), 0);
  await settle();
});

test('a loop over frames that asks by the clock is answered from pushed state', async () => {
  const page = new Page().load();
  const got = [];
  let last = -Infinity;
  // Frames are no timers of the page: nothing can make this one look earlier.
  const frame = () => {
    page.clock.set(frame, 16);
    if (page.clock.wall - last < 2000) return;
    last = page.clock.wall;
    page.read('/api/x').then((text) => got.push(text));
  };
  frame();
  await page.clock.pass(6200);
  assert.deepEqual(marks(page), [false, false, true, true]);
  assert.equal(page.stream.topics[0].every_ms, 2000);
  await page.stream.hello('e1');
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  const seen = page.seen.length;
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  assert.equal(got.at(-1), '{"n":1}', 'it has not looked yet');
  await page.clock.pass(2100);
  assert.deepEqual([got.at(-1), page.seen.length], ['{"n":2}', seen]);
});
