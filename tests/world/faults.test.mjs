// What breaks under an open page: the page polls on, shows every change, and is pushed again afterwards.
//
// The only complaint tolerated in the console is the browser's own line for a request that found no server
// ("Failed to load resource"), which every polling app shows while its server is away.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Relay } from './lib/blackhole.mjs';
import { isPushed, shows } from './lib/items.mjs';
import { unable, unableWithout } from './lib/pollcast.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const everyMs = 500;

/** A page that polls through a relay, pushed if Pollcast is there. */
async function pushedPage(t) {
  const all = await world(t);
  const { origin, browser, base, open, pushed } = all;
  const { hostname: host, port } = new URL(base);
  const relay = await Relay.start(() => ({ host, port: Number(port) }));
  t.after(() => relay.stop());
  const tab = await open(await browser.person(), `/items?every=${everyMs}`, relay.base);
  await shows(tab.page, 1);
  if (pushed) await isPushed(tab, origin, 4 * everyMs);
  return { ...all, relay, tab };
}

/** The end of every story: changes show, polls stop, nobody complained. */
async function recovers({ origin, tab, pushed }) {
  await shows(tab.page, origin.add('after the fault').id + 1, 30_000);
  if (pushed) await isPushed(tab, origin, 4 * everyMs, 60_000);
  for (let n = 0; n < 5; n += 1) await shows(tab.page, origin.add(`last ${n}`).id + 1, 30_000);
  assert.deepEqual(tab.log.faults(), []);
}

test('the proxy is killed and started again: no change is lost, the page is pushed again',
  { skip: unableWithout() }, async (t) => {
    const story = await pushedPage(t);
    const { origin, pollcast, tab } = story;
    await pollcast.kill();
    origin.add('while the proxy is down');
    const since = Date.now();
    await until('the page polls', () => tab.log.gets('/api/items', since).length >= 1);
    await pollcast.launch();
    await shows(tab.page, origin.items.length, 30_000);
    await recovers(story);
  });

test('the stream falls into a black hole: the page polls the network and shows changes',
  { skip: unable() }, async (t) => {
    const story = await pushedPage(t);
    const { origin, relay, tab, pushed } = story;
    const streams = relay.stallStreams();
    if (pushed) assert.ok(streams >= 1, 'there was a stream to stall');
    await shows(tab.page, origin.add('into the black hole').id + 1, 30_000);
    await shows(tab.page, origin.add('and another').id + 1, 30_000);
    relay.restore();
    await recovers(story);
  });

test('all connections fall into a black hole and come back as resets: nothing is lost',
  { skip: unable() }, async (t) => {
    const story = await pushedPage(t);
    const { origin, relay, tab, pushed } = story;
    relay.stall();
    origin.add('nobody hears');
    const since = Date.now();
    // With Pollcast the first poll on the network shows that the page no longer believes its stream.
    await until('the page asks', () => tab.log.gets('/api/items', since).length >= 1, 30_000);
    if (!pushed) assert.ok(tab.log.gets('/api/items').length >= 1);
    relay.restore();
    await shows(tab.page, origin.items.length, 30_000);
    await recovers(story);
  });

test('the stream is cut: nothing is lost, the page is pushed again', { skip: unable() }, async (t) => {
  const story = await pushedPage(t);
  const { origin, relay, tab } = story;
  for (let n = 0; n < 3; n += 1) {
    relay.cut();
    await shows(tab.page, origin.add(`cut ${n}`).id + 1, 30_000);
  }
  await recovers(story);
});

test('the origin fails for a while: the app sees its own errors, then its own data',
  { skip: unable() }, async (t) => {
    const story = await pushedPage(t);
    const { origin, tab } = story;
    origin.failWith = 503;
    const since = Date.now();
    await until('the page asks the network', () => tab.log.gets('/api/items', since).length >= 2);
    origin.failWith = 0;
    await shows(tab.page, origin.add('well again').id + 1, 30_000);
    await recovers(story);
  });

test('mode off and on again in the config: plain polling within a second, pushed again afterwards',
  { skip: unableWithout() }, async (t) => {
    const story = await pushedPage(t);
    const { origin, pollcast, tab } = story;
    await pollcast.configure({ mode: 'off' });
    const off = Date.now();
    await until('the page polls', () => tab.log.gets('/api/items', off).length >= 1);
    const first = tab.log.gets('/api/items', off)[0].at - off;
    t.diagnostic(`switched off: the first poll left the page after ${first} ms`);
    await shows(tab.page, origin.add('while off').id + 1);
    const before = Date.now();
    await until('it goes on polling', () => tab.log.gets('/api/items', before).length >= 4);
    await pollcast.configure({ mode: 'push' });
    await recovers(story);
  });
