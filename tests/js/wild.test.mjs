// What apps do that no poll is made of: cursors, buttons, heartbeats, lists longer than a stream,
// pages left for an hour. Each once lost an update, showed the wrong thing, or asked far too often.

import assert from 'node:assert/strict';
import test from 'node:test';
import { CONFIG, Page } from './page.mjs';

/** Of a watch that ignores members: equal hashes don't mean equal bodies. */
const PART = { config: { watches: [{ ...CONFIG.watches[0], part: 1 }] } };

/** A page whose topics are all polled, on a stream that says what the page has. */
async function vouchedPage(options) {
  const page = new Page(options).load();
  page.polling = await page.vouched();
  return page;
}

/** `ms` pass with streams that open, speak for each topic and beat. */
async function living(page, ms, state = () => page.state) {
  for (let left = ms; left > 0; left -= 100) {
    await page.clock.pass(100);
    for (const stream of page.streams) {
      if (!stream.open) continue;
      if (!stream.greeted) {
        stream.greeted = true;
        await stream.hello();
        for (const index of stream.topics.keys()) await stream.snapshot(index, state());
      } else if (left % 1000 < 100) await stream.send('beat', {});
    }
  }
}

async function hidden(page, ms) {
  page.document.hidden = true;
  page.emit(page.document, 'visibilitychange');
  await page.clock.pass(ms);
  page.document.hidden = false;
  page.emit(page.document, 'visibilitychange');
}

test('the time of the last poll is a question: each goes to the origin, as it was asked', async () => {
  for (const unit of [1, 1000]) {
    const page = new Page().load();
    const url = (at) => `/api/changes?since=${Math.floor(at / unit)}`;
    let last = page.clock.wall;
    page.window.setInterval(() => {
      page.read(url(last));
      last = page.clock.wall;
    }, 1000);
    await living(page, 10000);
    assert.equal(page.streams.length, 0);
    assert.equal(page.seen.length, 10);
    assert.ok(page.seen.every(({ marked }) => !marked));
  }
});

test('a time that has stood still for a minute is the name of something', async () => {
  const page = new Page().load();
  page.poll(`/api/day?from=${page.clock.wall}`, 2000);
  await living(page, 58000);
  assert.equal(page.streams.length, 0);
  await living(page, 8000);
  assert.equal(page.stream.topics.length, 1);
});

test('`t` and `ts` say which thread, or which day', async () => {
  const page = new Page().load();
  page.reply = ({ url, marked }) => page.answer(marked, { ...page.state, body: JSON.stringify(url) });
  for (const [one, other] of [['ts=1512085950.000216', 'ts=1512085950.000217'], ['t=20240115', 't=20240116']]) {
    const { stop } = page.poll(`/api/x?${one}`);
    await living(page, 4200, () => ({ ...page.state, body: JSON.stringify(`/api/x?${one}`) }));
    stop();
    assert.equal(await page.read(`/api/x?${other}`), JSON.stringify(`/api/x?${other}`));
  }
});

test('seen again after a login elsewhere: equal but for what is ignored, and still the new user’s', async () => {
  const page = await vouchedPage(PART);
  await hidden(page, 6000);
  page.state = { ...page.state, body: '{"n":1,"who":"b"}' };
  await page.clock.pass(1200);
  // The stream has both users' state under one hash, and must not be asked to leave the body out.
  assert.equal(page.stream.topics[0].have, undefined);
  await page.stream.hello();
  await page.stream.snapshot(0, page.state);
  for (let i = 0; i < 3; i++) {
    assert.equal(await page.read('/api/x'), '{"n":1,"who":"b"}');
    await page.clock.pass(100);
  }
});

test('after a write the stream’s word comes first: no body of before it', async () => {
  const page = await vouchedPage(PART);
  page.polling.stop();
  await page.fetch('/api/login', { method: 'POST' });
  page.state = { ...page.state, body: '{"n":1,"who":"b"}' };
  await page.clock.pass(1200);
  assert.equal(page.stream.topics[0].have, undefined);
  await page.stream.hello();
  await page.stream.snapshot(0, page.state);
  for (let i = 0; i < 3; i++) assert.equal(await page.read('/api/x'), '{"n":1,"who":"b"}');
});

test('the old stream’s word behind a login is no base for the new one', async () => {
  const page = await vouchedPage(PART);
  page.polling.stop();
  const old = page.stream;
  await page.fetch('/api/login', { method: 'POST' });
  await page.clock.pass(60);
  assert.equal(page.streams.length, 1, 'the next one waits');
  await old.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2,"who":"a"}' });
  await page.clock.pass(1300);
  assert.equal(page.stream.topics[0].have, undefined);
  page.state = { hash: 'h2', seq: 3, epoch: 'e1', body: '{"n":2,"who":"b"}' };
  await page.stream.hello();
  await page.stream.snapshot(0, page.state);
  page.poll();
  for (let i = 0; i < 4; i++) {
    await page.clock.pass(100);
    assert.equal(await page.read('/api/x'), page.state.body);
  }
});

test('where a hash stands for the whole body, a write costs no body', async () => {
  const page = await vouchedPage();
  for (let i = 0; i < 3; i++) {
    await page.fetch('/api/x', { method: 'POST' });
    await page.clock.pass(1200);
    assert.equal(page.stream.topics[0].have, 'h1');
    await page.stream.hello();
    await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  }
});

/** What the origin says while it refuses. */
const REFUSALS = {
  offline: () => Promise.reject(new TypeError('Failed to fetch')),
  401: () => new Response('no', { status: 401 }),
  429: () => new Response('slow down', { status: 429 }),
};

for (const [name, refusal] of Object.entries(REFUSALS)) {
  test(`an origin that refuses is asked no more often than the app asks: ${name}`, async () => {
    for (const by of ['fetch', 'xhr']) {
      const page = new Page().load();
      const ask = () => by === 'xhr' ? page.xhr('/api/x') : page.read('/api/x').catch(() => {});
      ask();
      page.window.setInterval(ask, 2000);
      await page.clock.pass(2100);
      await page.stream.hello();
      await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
      // What the stream said is newer than what the app saw, and every poll fails.
      page.reply = ({ method, marked }) => method === 'POST' ? page.answer(marked) : refusal();
      await page.fetch('/api/x', { method: 'POST' });
      await page.clock.pass(1300);
      await page.stream.hello();
      await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
      await page.clock.pass(100);
      page.seen.length = 0;
      await living(page, 10000);
      assert.ok(page.asked() <= 6, by);
    }
  });
}

test('woken while the origin refuses: no more requests than the app makes', async () => {
  const page = new Page().load();
  const ask = () => page.document.hidden || page.read('/api/x').catch(() => {});
  ask();
  page.window.setInterval(ask, 2000);
  await page.clock.pass(2100);
  await page.stream.hello();
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  page.document.hidden = true;
  page.emit(page.document, 'visibilitychange');
  await page.clock.pass(1000);
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  page.reply = REFUSALS.offline;
  page.accept = () => new Response('no', { status: 503 });
  await page.clock.pass(3600000);
  page.document.hidden = false;
  page.emit(page.document, 'visibilitychange');
  page.seen.length = 0;
  await page.clock.pass(60000);
  assert.ok(page.asked() <= 31);
});

/** Reads, then writes what changes the read: presence, `lastSeen`. Counts the writes. */
function heartbeat(page, ms) {
  const count = { posts: 0 };
  let seq = 1;
  page.beatState = () => ({ hash: `h${seq}`, seq, epoch: 'e1', body: `{"n":${seq}}` });
  page.reply = async ({ method, marked }) => {
    await new Promise((resolve) => page.clock.set(resolve, 30));
    if (method !== 'POST') return page.answer(marked, page.beatState());
    count.posts++;
    seq++;
    page.clock.set(async () => {
      const stream = page.streams.findLast(({ open, greeted }) => open && greeted);
      if (stream) await stream.snapshot(0, page.beatState());
    }, 20);
    return page.answer(null, {});
  };
  page.window.setInterval(async () => {
    await page.read('/api/x');
    await page.fetch('/api/x/heartbeat', { method: 'POST' });
  }, ms);
  return count;
}

test('what reads and then writes what it reads is not made to write by each push', async () => {
  const page = new Page().load();
  const count = heartbeat(page, 5000);
  await living(page, 60000, () => page.beatState());
  // 12 by its own timer, as many by being made to look, and a few more until it is noticed.
  assert.ok(count.posts >= 12 && count.posts <= 28, String(count.posts));
});

test('an app that writes now and then, by itself, goes on to be told at once', async () => {
  const page = await vouchedPage();
  let seq = 1;
  page.window.setInterval(() => page.fetch('https://elsewhere.test/log', { method: 'POST' }), 3000);
  for (let i = 0; i < 20; i++) {
    seq++;
    page.state = { hash: `h${seq}`, seq, epoch: 'e1', body: `{"n":${seq}}` };
    await page.stream.snapshot(0, page.state);
    await page.clock.pass(60);
    assert.equal(page.polling.got.at(-1), page.state.body);
    await page.beating(2000);
  }
});

test('an app that says what it has shown is told of the next at once', async () => {
  const page = await vouchedPage();
  const late = [];
  let [seq, shown, born] = [1, '', 0];
  page.polling.stop();
  const ask = async () => {
    const text = await page.read('/api/x');
    if (text === shown) return;
    if (born) late.push(page.clock.at - born);
    shown = text;
    page.window.setTimeout(() => page.fetch('/api/seen', { method: 'POST' }), 5);
  };
  page.window.setInterval(ask, 10000);
  await living(page, 35000);
  for (let i = 0; i < 10; i++) {
    seq++;
    page.state = { hash: `h${seq}`, seq, epoch: 'e1', body: `{"n":${seq}}` };
    born = page.clock.at;
    await page.streams.findLast(({ open, greeted }) => open && greeted).snapshot(0, page.state);
    await living(page, 11000);
  }
  assert.ok(late.length >= 10 && late.every((ms) => ms < 100), String(late));
});

test('who presses "refresh" gets the origin’s word, a poll does not ask for it', async () => {
  const page = new Page({ config: { renew_ms: 600000 } }).load();
  page.poll('/api/x', 60000);
  await page.clock.pass(60100);
  await page.stream.hello();
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  await page.beating(20000);
  page.state = { hash: 'h2', seq: 2, epoch: 'e1', body: '{"n":2}' };
  page.seen.length = 0;
  assert.equal(await page.read('/api/x'), '{"n":1}');
  assert.equal(page.asked(), 0);
  page.emit(page.window, 'click');
  assert.equal(await page.read('/api/x'), '{"n":2}');
  const { marked } = page.seen.at(-1);
  assert.equal(page.asked(), 1);
  assert.equal(page.window.pollcast.topics()[0].why, 'pressed');
  // Not from a snapshot of the proxy's.
  assert.match(marked, /;renew$/);
});

test('who presses "refresh" again and again is no other poll: pushed as before', async () => {
  const page = await vouchedPage();
  for (let i = 0; i < 6; i++) {
    page.emit(page.window, 'click');
    await page.read('/api/x');
    await page.clock.pass(150);
  }
  await page.stream.send('beat', {});
  await page.clock.pass(1000);
  page.seen.length = 0;
  await page.beating(4000);
  assert.equal(page.asked(), 0);
  assert.equal(page.window.pollcast.topics()[0].polled, true);
});

test('what a timer asks for right after a click is the timer’s: a poll, and no write', async () => {
  const page = new Page().load();
  page.window.setInterval(() => {
    page.read('/api/x');
    page.read('/other');
  }, 2000);
  await living(page, 9500);
  page.emit(page.window, 'click');
  await living(page, 2500);
  page.seen.length = 0;
  await living(page, 10000);
  assert.equal(page.seen.filter(({ url }) => url === '/api/x').length, 0);
  const before = page.seen.filter(({ url }) => url === '/other').length;
  page.state = { hash: 'h2', seq: 2, epoch: 'e1', body: '{"n":2}' };
  await page.stream.snapshot(0, page.state);
  await page.clock.pass(100);
  // The timer was run early, as it would have been without the click.
  assert.equal(page.seen.filter(({ url }) => url === '/other').length, before + 1);
});

test('what the app has left does not come back with the tab', async () => {
  const page = new Page().load();
  for (let i = 0; i < 5; i++) {
    const { stop } = page.poll(`/api/doc/${i}`, 30000);
    await living(page, 60100);
    stop();
  }
  const last = page.poll('/api/doc/last', 30000);
  await living(page, 400000);
  await hidden(page, 1000);
  await living(page, 2000);
  assert.deepEqual(page.stream.topics.map(({ url }) => url), ['/api/doc/last']);
  await hidden(page, 7000);
  await living(page, 2000);
  assert.deepEqual(page.stream.topics.map(({ url }) => url), ['/api/doc/last']);
  last.stop();
});

test('more topics than a stream carries: those that it has stay, the others poll', async () => {
  const page = new Page().load();
  for (let i = 0; i < 150; i++) {
    page.poll(`/api/row/${i}`, 5000);
    await page.clock.pass(30);
  }
  await living(page, 20000);
  const streams = page.streams.length;
  page.seen.length = 0;
  await living(page, 20000);
  assert.equal(page.streams.length, streams);
  assert.ok(page.seen.length <= 200, String(page.seen.length));
});

test('arguments that fetch refuses, for a URL that is polled: its error, and polls go on here', async () => {
  const page = await vouchedPage();
  await page.stream.send('stale', { reason: 'status' }, 0);
  await assert.rejects(page.fetch('/api/x', { referrerPolicy: 'bogus' }), TypeError);
  assert.equal(page.untouched(), false);
  await page.stream.snapshot(0, page.state);
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
});
