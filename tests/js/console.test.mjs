// `pollcast`: what the script does, for whoever asks.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Page } from './page.mjs';

test('each URL with its state, and why the network was asked last', async () => {
  const page = new Page().load();
  const { pollcast } = page.window;
  assert.deepEqual(pollcast.topics(), []);
  await page.vouched();
  await page.read('/api/x');
  const [topic, ...others] = pollcast.topics();
  assert.deepEqual(others, []);
  const { url, polled, every, state, hash, local, network, why } = topic;
  assert.deepEqual({ url, polled, every, state, hash, network, why }, {
    url: '/api/x', polled: true, every: 2000, state: 'pushed', hash: 'h1', network: 2, why: '',
  });
  assert.ok(local >= 1);
  await page.stream.send('stale', { reason: 'timeout' }, 0);
  assert.equal(pollcast.topics()[0].state, 'stale');
  await page.read('/api/x');
  assert.equal(pollcast.topics()[0].why, 'stale');
});

test('why: each reason by its name', async () => {
  const page = new Page().load();
  const state = () => page.window.pollcast.topics()[0].state;
  await page.read('/api/x');
  assert.equal(state(), 'not polled');
  const polling = await page.vouched();
  assert.equal(state(), 'pushed');
  page.clock.wall += 60000;
  assert.equal(state(), 'silence');
  page.clock.wall -= 60000;
  await page.fetch('/api/w', { method: 'POST' });
  assert.equal(state(), 'write');
  polling.stop();
  page.stream.end();
  await page.clock.pass(100);
  assert.equal(state(), 'no stream');
});

test('events: a change, and a poll that went to the network', async () => {
  const page = new Page().load();
  const heard = [];
  for (const type of ['change', 'network']) {
    page.window.pollcast.addEventListener(type, ({ detail }) => heard.push([type, detail.url, detail.why]));
  }
  await page.vouched();
  assert.deepEqual(heard, [['network', '/api/x', 'not polled'], ['network', '/api/x', 'no stream']]);
  heard.length = 0;
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  await page.clock.pass(60);
  assert.deepEqual(heard, [['change', '/api/x', 'no stream']]);
});

test('gone with the script; a name that is taken stays as it is', async () => {
  const page = new Page().load();
  await page.vouched();
  await page.stream.send('bye', { reason: 'off', retry_ms: 1000 });
  assert.equal('pollcast' in page.window, false);
  const other = new Page();
  other.window.pollcast = 'mine';
  other.load();
  assert.equal(other.window.pollcast, 'mine');
});
