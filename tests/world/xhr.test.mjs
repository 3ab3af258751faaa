// Polls by XMLHttpRequest in whole apps: pushed as those by fetch are.

import assert from 'node:assert/strict';
import test from 'node:test';
import { isPushed, shown, shows, write } from './lib/items.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const everyMs = 1_000;

test('React Query over axios: what others write is pushed, and its own writes are seen',
  { skip: unableWithout() }, async (t) => {
    const { origin, browser, open } = await world(t);
    const tab = await open(await browser.person(), `/items?by=axios&every=${everyMs}`);
    const { page, log } = tab;
    await isPushed(tab, origin, 2 * everyMs);
    const other = await open(await browser.person(), '/items?every=60000');
    const since = Date.now();
    const late = [];
    for (let n = 0; n < 10; n += 1) {
      const { id, at } = await write(other.page, `change ${n}`);
      await shows(page, id + 1);
      late.push(Date.now() - at);
    }
    t.diagnostic(`written to shown, ms: ${late.sort((a, b) => a - b).join(' ')}`);
    // A machine under load may be late with a central poll, and then one poll goes to the network.
    const polls = log.polls('/api/items', since);
    assert.ok(polls.length <= 2, `${polls.length} polls left the page`);
    const before = await shown(page);
    await page.click('#add');
    await until('its own write shows', async () => (await shown(page)) > before);
    await isPushed(tab, origin, 2 * everyMs);
    assert.deepEqual(log.faults(), []);
  });
