import assert from 'node:assert/strict';
import test from 'node:test';
import { Page, fnv1a, settle } from './page.mjs';

const POST = { method: 'POST' };

async function vouchedPage(options) {
  const page = new Page(options).load();
  page.polling = await page.vouched();
  return page;
}

test('a current topic is answered without the network', async () => {
  const page = await vouchedPage();
  assert.equal(await page.read('/api/x'), '{"n":1}');
  await page.stream.send('beat', {});
  await page.clock.pass(4000);
  assert.equal(page.asked(), 0);
});

test('a push makes the app look at once, and only once', async () => {
  const page = await vouchedPage();
  const { got } = page.polling;
  const before = got.length;
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  await page.clock.pass(60);
  assert.deepEqual(got.slice(before), ['{"n":2}']);
  assert.equal(page.asked(), 0);
});

test('a delta builds on what the stream sent', async () => {
  const page = await vouchedPage();
  const body = '{"n":12}';
  const ops = [[0, 6], '2}'];
  const delta = { from: 'h1', hash: 'h2', seq: 2, length: body.length, check: fnv1a(body), ops };
  await page.stream.send('delta', delta, 0);
  await page.clock.pass(60);
  assert.equal(page.polling.got.at(-1), body);
  assert.equal(page.asked(), 0);
});

test('a delta that does not fit: network, and a stream without have', async () => {
  for (const fault of [{ from: 'h0' }, { check: 1 }, { length: 3 }, { ops: [[0, 99]] }]) {
    const page = await vouchedPage();
    const body = '{"n":12}';
    const good = { from: 'h1', length: body.length, check: fnv1a(body), ops: [[0, 6], '2}'] };
    const { stream } = page;
    await stream.send('delta', { hash: 'h2', seq: 2, ...good, ...fault }, 0);
    assert.equal(stream.open, false);
    await page.read('/api/x');
    assert.equal(page.asked(), 1);
    await page.clock.pass(1000);
    assert.notEqual(page.stream, stream);
    assert.equal(page.stream.topics[0].have, undefined);
    await page.stream.hello();
    await page.stream.snapshot(0, { hash: 'h2', seq: 2, body });
    await page.clock.pass(60);
    page.seen.length = 0;
    assert.equal(await page.read('/api/x'), body);
    assert.equal(page.asked(), 0);
  }
});

test('an event older than what the network showed is ignored', async () => {
  const page = await vouchedPage();
  page.state = { hash: 'h9', seq: 9, epoch: 'e1', body: '{"n":9}' };
  await page.fetch('/api/w', POST);
  await page.clock.pass(2000);
  await page.stream.hello();
  await page.stream.snapshot(0, { hash: 'h8', seq: 8, body: '{"n":8}' });
  await page.clock.pass(60);
  assert.equal(await page.read('/api/x'), '{"n":9}');
  assert.ok(page.asked() > 0, 'not vouched until the stream has caught up');
  await page.stream.snapshot(0, { hash: 'h9', seq: 9, body: '{"n":9}' });
  page.seen.length = 0;
  assert.equal(await page.read('/api/x'), '{"n":9}');
  assert.equal(page.asked(), 0);
});

test('seq is not compared across epochs, and another epoch asks the network once', async () => {
  const page = await vouchedPage();
  page.stream.end();
  page.state = { hash: 'h2', seq: 1, epoch: 'e2', body: '{"n":2}' };
  await page.clock.pass(1100);
  await page.stream.hello('e2');
  page.seen.length = 0;
  await page.stream.snapshot(0, { hash: 'h2', seq: 1, body: '{"n":2}' });
  await page.clock.pass(60);
  assert.equal(page.polling.got.at(-1), '{"n":2}');
  assert.equal(page.asked(), 1);
  assert.equal(await page.read('/api/x'), '{"n":2}');
  assert.equal(page.asked(), 0);
});

test('silence: nobody vouches once the last beat is too old, whatever else arrives', async () => {
  const page = await vouchedPage();
  await page.clock.pass(11000);
  assert.equal(page.asked(), 0);
  await page.stream.send('stale', { reason: 'timeout' }, 7);
  await page.clock.pass(1500);
  await page.read('/api/x');
  assert.ok(page.asked() >= 1);
});

test('a clock that jumped (sleep) counts as silence', async () => {
  const page = await vouchedPage();
  page.clock.wall += 60000;
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
});

test('no byte within the silence: the stream is opened anew', async () => {
  const page = await vouchedPage();
  await page.clock.pass(14000);
  assert.equal(page.streams[0].open, false);
  assert.equal(page.streams.length, 2);
});

test('stale: network until told otherwise', async () => {
  const page = await vouchedPage();
  await page.stream.send('stale', { reason: 'status', status: 500 }, 0);
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
});

test('gone: the app polls as before, unmarked', async () => {
  const page = await vouchedPage();
  await page.stream.send('gone', { reason: 'unwatchable' }, 0);
  await page.clock.pass(20000);
  assert.equal(page.seen.some((it) => it.marked), false);
  assert.ok(page.asked() >= 9);
  assert.equal(page.stream.open, false, 'no topic, no stream');
});

test('after a write: the origin itself, until a stream opened since then vouches', async () => {
  const page = await vouchedPage();
  let finish;
  const { reply } = page;
  page.reply = (ask) => (ask.method === 'POST' ? new Promise((go) => (finish = go)) : reply(ask));
  const write = page.fetch('/api/w', POST);
  await settle();
  await page.read('/api/x');
  assert.equal(page.asked(), 0, 'in flight: local answers are fine');
  finish(page.answer(null));
  await write;
  await page.read('/api/x');
  assert.match(page.seen[0].marked, /^[\w-]+;renew$/);
  await page.clock.pass(1100);
  assert.equal(page.streams[0].open, true, 'make before break');
  await page.stream.hello();
  assert.equal(page.streams[0].open, false);
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
});

test('a read that began before the write settled proves nothing', async () => {
  const page = await vouchedPage();
  await page.fetch('/api/w', POST);
  const slow = [];
  const { reply } = page;
  page.reply = (ask) => new Promise((go) => slow.push(() => go(reply(ask))));
  const early = page.read('/api/x');
  await settle();
  page.reply = reply;
  await page.fetch('/api/w', POST);
  slow[0]();
  await early;
  await page.clock.pass(1000);
  await page.stream.hello();
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
});

test('writes by XMLHttpRequest and sendBeacon count; GETs by it do not', async () => {
  const page = await vouchedPage();
  await page.xhr('/other').done;
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
  const xhr = new page.window.XMLHttpRequest();
  xhr.open('PUT', '/other');
  const done = new Promise((resolve) => xhr.addEventListener('loadend', resolve));
  xhr.send('x');
  await done;
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
  const other = await vouchedPage();
  Reflect.apply(other.window.Navigator.prototype.sendBeacon, {}, ['/log', 'x']);
  await other.read('/api/x');
  assert.equal(other.asked(), 1);
});

test('a write to another site changes nothing here; one to a host of this domain may', async () => {
  const page = await vouchedPage();
  const beacon = (url) => Reflect.apply(page.window.Navigator.prototype.sendBeacon, {}, [url, 'x']);
  for (const url of ['https://errors.example/api', 'http://localhost/log']) {
    await page.fetch(url, POST);
    await page.fetch(new page.window.Request(url, POST));
    beacon(url);
    const xhr = new page.window.XMLHttpRequest();
    xhr.open('POST', url);
    xhr.send('x');
    await page.clock.pass(50);
    page.seen.length = 0;
    await page.read('/api/x');
    assert.equal(page.asked(), 0, url);
  }
  await page.fetch('http://login.app.test/session', POST);
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
});

test('a write that the operator says changes nothing is none, by whatever it is sent', async () => {
  const page = await vouchedPage({ config: { mute: '^/ingest/(?:.*)?$|^/log$' } });
  const beacon = (url) => Reflect.apply(page.window.Navigator.prototype.sendBeacon, {}, [url, 'x']);
  for (const url of ['/ingest/e?x=1', 'http://data.app.test/log']) {
    await page.fetch(url, POST);
    beacon(url);
    const xhr = new page.window.XMLHttpRequest();
    xhr.open('POST', url);
    xhr.send('x');
    await page.clock.pass(50);
    page.seen.length = 0;
    await page.read('/api/x');
    assert.equal(page.asked(), 0, url);
  }
  await page.fetch('/ingestion', POST);
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
});

test('a write by XMLHttpRequest is known before the app learns that it is over', async () => {
  for (const type of ['readystatechange', 'load', 'loadend']) {
    const page = await vouchedPage();
    const xhr = new page.window.XMLHttpRequest();
    const read = new Promise((resolve) => {
      // Registered before send(), as axios does.
      xhr.addEventListener(type, () => xhr.readyState === 4 && resolve(page.read('/api/x')));
    });
    xhr.open('PUT', '/other');
    page.seen.length = 0;
    xhr.send('x');
    await read;
    assert.equal(page.asked(), 1, type);
  }
});

test('what a person asked for once may have been a write', async () => {
  const page = await vouchedPage();
  page.emit(page.window, 'click');
  await page.read('/api/logout');
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
});

test('after a login the old stream can no longer change what the page shows', async () => {
  const page = await vouchedPage();
  page.state = { hash: 'b1', seq: 1, epoch: 'e1', body: '{"user":"b"}' };
  await page.fetch('/api/login', POST);
  assert.equal(await page.read('/api/x'), '{"user":"b"}');
  await page.streams[0].snapshot(0, { hash: 'a9', seq: 99, body: '{"user":"a"}' });
  await page.clock.pass(900);
  assert.equal(await page.read('/api/x'), '{"user":"b"}');
  assert.ok(page.polling.got.every((text) => !text.includes('"a"')));
});

test('a renewal is a real poll, marked as one', async () => {
  const page = await vouchedPage({ config: { renew_ms: 6000 } });
  await page.clock.pass(4000);
  assert.equal(page.asked(), 0);
  await page.clock.pass(2000);
  assert.match(page.seen[0].marked, /;renew$/);
  assert.equal(page.asked(), 1);
});

test('a renewal that shows another error passes, and ends local answers', async () => {
  const page = await vouchedPage({ config: { renew_ms: 3000 } });
  page.reply = () => page.answer(null, { body: 'no' }, { status: 401 });
  await page.clock.pass(4000);
  assert.equal((await page.fetch('/api/x')).status, 401);
  assert.ok(page.asked() >= 2);
});

test('the network shows a lower seq than the stream did: another identity', async () => {
  const page = await vouchedPage({ config: { renew_ms: 3000 } });
  await page.stream.snapshot(0, { hash: 'a9', seq: 9, body: '{"user":"a"}' });
  await page.clock.pass(60);
  page.state = { hash: 'b1', seq: 1, epoch: 'e1', body: '{"user":"b"}' };
  await page.clock.pass(4000);
  assert.equal(page.polling.got.at(-1), '{"user":"b"}');
  assert.equal(page.streams.length > 1, true);
});

test('bye: comes back after retry_ms; a lost stream after a backoff', async () => {
  const page = await vouchedPage();
  await page.stream.send('bye', { reason: 'drain', retry_ms: 3000 });
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
  await page.clock.pass(2900);
  assert.equal(page.streams.length, 1);
  await page.clock.pass(200);
  assert.equal(page.streams.length, 2);
  page.stream.end();
  await page.clock.pass(1100);
  assert.equal(page.streams.length, 3);
});

test('a refusal is not repeated soon', async () => {
  const page = new Page().load();
  let tries = 0;
  page.accept = () => (tries++, new Response('no', { status: 404 }));
  page.poll();
  await page.clock.pass(60000);
  assert.ok(tries >= 2 && tries <= 3, String(tries));
  assert.ok(page.asked() > 25);
});

test('another topic joins by a new stream; the old one goes when the new one is up', async () => {
  const page = await vouchedPage();
  page.poll('/api/y', 3000);
  await page.clock.pass(3100);
  assert.equal(page.streams.length, 2);
  assert.deepEqual(page.stream.topics.map((it) => it.url).sort(), ['/api/x', '/api/y']);
  assert.equal(page.streams[0].open, true);
  await page.stream.hello();
  assert.equal(page.streams[0].open, false);
});

test('a topic that is no longer asked for leaves the stream', async () => {
  const page = await vouchedPage();
  page.polling.stop();
  for (let i = 0; i < 4; i++) {
    await page.clock.pass(5000);
    if (page.stream.open) await page.stream.send('beat', {});
  }
  assert.equal(page.stream.open, false);
});

test('an app that polls faster than before is not answered until the stream knows', async () => {
  const page = await vouchedPage();
  page.polling.stop();
  page.poll('/api/x', 500);
  await page.clock.pass(700);
  assert.ok(page.asked() >= 1);
  await page.clock.pass(1000);
  assert.equal(page.stream.topics[0].every_ms, 500);
});

test('hidden for long: no stream; seen again: network, then a stream', async () => {
  const page = await vouchedPage();
  page.document.hidden = true;
  page.emit(page.document, 'visibilitychange');
  await page.clock.pass(4000);
  assert.equal(page.stream.open, true);
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  await page.clock.pass(1500);
  assert.equal(page.stream.open, false);
  await page.clock.pass(60000);
  assert.equal(page.streams.length, 1);
  page.seen.length = 0;
  page.document.hidden = false;
  page.emit(page.document, 'visibilitychange');
  await page.read('/api/x');
  assert.ok(page.asked() >= 1);
  await page.clock.pass(1100);
  assert.equal(page.streams.length, 2);
});

test('a push while the app is asking: it looks again afterwards', async () => {
  const page = await vouchedPage();
  await page.stream.send('stale', { reason: 'timeout' }, 0);
  const { reply } = page;
  let go;
  page.reply = (ask) => new Promise((done) => (go = () => done(reply(ask))));
  await page.clock.pass(2000);
  page.reply = reply;
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  assert.equal(page.polling.got.includes('{"n":2}'), false);
  go();
  await page.clock.pass(100);
  assert.equal(page.polling.got.at(-1), '{"n":2}');
});
