// Pages of one browser, the worker that they share and a proxy, moved at random; a shadow model says what a page may
// be answered locally. SIM_SEED=<n> replays one run, SIM_SEEDS=<n> makes that many.

import assert from 'node:assert/strict';
import test from 'node:test';
import { COMMON, URLS } from './sim-proxy.mjs';
import { Browser } from './sim-world.mjs';

const SEEDS = Number(process.env.SIM_SEEDS ?? 60);
const ONLY = process.env.SIM_SEED;
const STEPS = 40;

/** What may happen, and how often. */
const ACTIONS = {
  wait: 6, write: 6, change: 8, login: 5, hide: 3, show: 5, away: 1, crash: 1, load: 2, cut: 2, stall: 1, bye: 1,
  restart: 1, busy: 2, sleep: 1, fail: 2, mend: 3, die: 0.5, start: 3, stop: 2, slow: 2, quick: 2,
};

function pick(random) {
  let left = random() * Object.values(ACTIONS).reduce((sum, weight) => sum + weight, 0);
  return Object.keys(ACTIONS).find((name) => (left -= ACTIONS[name]) < 0);
}

async function run(seed) {
  const browser = new Browser(seed);
  const { random, server } = browser;
  browser.load();
  browser.load();
  await browser.pass(4500);
  for (let step = 0; step < STEPS; step += 1) {
    browser.act(pick(random));
    await browser.pass(random() < 0.5 ? random() * 150 : random() * 2500);
  }
  browser.calm();
  // A page that hears of no login by others learns of it by its next renewal.
  await browser.pass(browser.Channel ? 45000 : 100000);
  for (const tab of browser.tabs) {
    assert.equal(tab.page.untouched(), false, 'the script left');
    for (const { url, last } of tab.polls.values()) {
      assert.ok(last, 'nothing was answered');
      const { v } = server.truth(server.jar, url);
      assert.deepEqual([last.id, last.v], [url === COMMON ? '' : server.jar, v], `${url} is behind at the end`);
    }
  }
  return browser;
}

test('whatever happens: nobody else’s state, none too old, and in the end the newest', async (t) => {
  const counts = { local: 0, network: 0, streams: 0 };
  const seeds = ONLY ? [Number(ONLY)] : Array.from({ length: SEEDS }, (_, n) => n + 1);
  for (const seed of seeds) {
    let browser;
    try {
      browser = await run(seed);
    } catch (error) {
      error.message = `SIM_SEED=${seed}: ${error.message}`;
      throw error;
    }
    for (const name of Object.keys(counts)) counts[name] += browser.counts[name];
  }
  t.diagnostic(`${URLS.length} URLs, ${seeds.length} runs: ${JSON.stringify(counts)}`);
  assert.ok(counts.local > counts.network / 4, 'pages were hardly ever answered locally');
});
