// Who is made to look when a state has changed, and who isn't.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Page } from './page.mjs';

const POST = { method: 'POST' };

async function vouchedPage(options) {
  const page = new Page(options).load();
  page.polling = await page.vouched();
  return page;
}

test('whom the watch lets be asked: no timer, and nobody', async () => {
  for (const look of [0, 1]) {
    const watches = [{ re: '^/api/', push: true, percent: 100, look }];
    const page = await vouchedPage({ config: { watches } });
    const { got } = page.polling;
    const before = got.length;
    await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
    await page.clock.pass(60);
    assert.equal(got.length, before);
    // Its own next look shows it, answered here.
    await page.clock.pass(2100);
    assert.equal(got.at(-1), '{"n":2}');
    assert.equal(page.asked(), 0);
  }
});

test('a timer that writes is never run early', async () => {
  const page = new Page().load();
  page.window.setInterval(() => {
    page.fetch('/api/alive', POST);
    page.read('/api/x');
  }, 2000);
  await page.clock.pass(6100);
  await page.stream.hello();
  page.seen.length = 0;
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  await page.clock.pass(300);
  assert.equal(page.asked('/api/alive'), 0);
});

test('URLs that were polled make room for others: a cursor in the query makes one after the other', async () => {
  const page = new Page().load();
  page.poll('/api/x', 2000);
  for (let n = 0; n < 230; n += 1) {
    const { stop } = page.poll(`/api/x?since=${n}`, 250);
    await page.clock.pass(600);
    stop();
  }
  const topics = page.window.pollcast.topics();
  assert.equal(topics.length, 200);
  for (const wanted of ['/api/x', '/api/x?since=229']) {
    assert.ok(topics.some(({ url, polled }) => url === wanted && polled), wanted);
  }
});

test('equal but for ignored members, after a login: the new user’s bytes', async () => {
  const page = new Page().load();
  await page.vouched();
  await page.fetch('/api/login', { method: 'POST' });
  page.state = { ...page.state, body: '{"n":1,"ignored":2}' };
  await page.read('/api/x');
  await page.clock.pass(1200);
  await page.stream.hello();
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  page.seen.length = 0;
  assert.equal(await page.read('/api/x'), '{"n":1,"ignored":2}');
  assert.equal(page.asked(), 0);
});
