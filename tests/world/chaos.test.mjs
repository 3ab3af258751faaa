// Ten tabs of one browser, and one after the other is closed, frozen or crashed: the others go on as if nothing was.
//
// WORLD_ROUNDS: how many times (20; a hundred are in docs/SOAK.md).

import assert from 'node:assert/strict';
import test from 'node:test';
import { openPage } from './lib/browser.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { generator } from './lib/random.mjs';
import { neverBack, taken, ticks } from './lib/tickers.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const rounds = Number(process.env.WORLD_ROUNDS ?? 20);
const seed = Number(process.env.WORLD_SEED ?? Date.now() % 100000);
const every = 500;

async function openTicker(here, person) {
  const tab = await openPage(person, `${here.base}/ticker?every=${every}&by=${here.pick(['fetch', 'xhr'])}`);
  const session = await person.newCDPSession(tab.page);
  const life = (state) => session.send('Page.setWebLifecycleState', { state });
  return { ...tab, life, versions: [] };
}

// What happens to a tab; answers whether it goes on.
const fates = {
  async closed({ page }) {
    await page.close();
  },
  async crashed({ page }) {
    await page.goto('chrome://crash').catch(() => {});
    await page.close();
  },
  async frozen({ life }, during) {
    await life('frozen');
    await during();
    await life('active');
    return true;
  },
  async reloaded({ page }) {
    await page.reload();
    return true;
  },
};

test(`ten tabs, ${rounds} times one is closed, crashed, frozen or loaded anew (seed ${seed})`,
  { skip: unableWithout() }, async (t) => {
    const here = await world(t, { admin: '127.0.0.1:0' });
    const random = generator(seed);
    here.pick = (list) => list[Math.floor(random() * list.length)];
    const person = await here.browser.person();
    const tabs = [];
    for (let n = 0; n < 10; n += 1) tabs.push(await openTicker(here, person));
    const counts = {};
    for (let round = 0; round < rounds; round += 1) {
      const fate = here.pick(Object.keys(fates));
      counts[fate] = (counts[fate] ?? 0) + 1;
      const tab = here.pick(tabs);
      const others = tabs.filter((other) => other !== tab);
      const change = async () => {
        const { id } = here.origin.add(`${fate} ${round}`);
        for (const { page } of others) await ticks(page, id + 1);
      };
      const stays = await fates[fate](tab, change);
      if (!stays) tabs.splice(tabs.indexOf(tab), 1, await openTicker(here, person));
      await change();
      for (const { page } of tabs) await ticks(page, here.origin.items.length);
      for (const one of others) {
        const log = await taken(one.page);
        assert.ok(neverBack(log), `${fate}: a tab went back: ${JSON.stringify(log)}`);
      }
      await until('one stream', async () => await here.pollcast.metric('pollcast_streams') === 1, 30_000);
    }
    t.diagnostic(JSON.stringify(counts));
    const last = (log) => Math.max(0, ...log.polls('/api/items').map(({ at }) => at));
    await until('no poll leaves a tab', () =>
      tabs.every(({ log }) => Date.now() - last(log) > 4 * every), 60_000);
    for (const { log } of tabs) assert.deepEqual(log.faults(), []);
  });
