// Many browsers, one identity: what reaches the network, and what reaches the origin.

import assert from 'node:assert/strict';
import test from 'node:test';
import { isPushed, shows } from './lib/items.mjs';
import { unable, without } from './lib/pollcast.mjs';
import { pass, until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const people = 5;
const everyMs = 1000;
const minuteMs = Number(process.env.WORLD_MINUTE_MS ?? 60_000);

test('five browsers that poll every second: no poll reaches the network, the origin sees one poller',
  { skip: unable() }, async (t) => {
    // Both at once: they share nothing but the machine, and what counts here is requests, not time.
    const [bare, pushed] = await Promise.all([minute(t, true), without || minute(t, false)]);
    t.diagnostic(line('without Pollcast', bare));
    if (without) return;
    t.diagnostic(line('with Pollcast   ', pushed));
    const cadences = minuteMs / everyMs;
    assert.equal(pushed.polls, 0, 'polls that left a page after its URL was known to be polled');
    assert.ok(pushed.renewals <= people * 2 * (minuteMs / 60_000), `${pushed.renewals} renewals`);
    assert.ok(pushed.origin <= cadences + pushed.renewals + 1,
      `origin saw ${pushed.origin} requests in ${cadences} cadences`);
    assert.ok(pushed.faults.length === 0, pushed.faults.join('\n'));
  });

/** A minute of five pages; counts begin when all are settled. */
async function minute(t, direct) {
  const { origin, browser, base, open } = await world(t, { direct });
  const { hostname } = new URL(base);
  const cookies = [{ name: 'sid', value: 'one-person', domain: hostname, path: '/' }];
  const tabs = [];
  for (let n = 0; n < people; n += 1) {
    tabs.push(await open(await browser.person(cookies), `/items?every=${everyMs}`));
  }
  await settled(tabs, origin, direct);
  const since = Date.now();
  await pass(minuteMs);
  const end = Date.now();
  const { id } = origin.add('last');
  for (const { page } of tabs) await shows(page, id + 1);
  const all = tabs.flatMap(({ log }) => log.gets('/api/items', since)).filter((one) => one.at < end);
  return {
    polls: all.filter((one) => !one.renewal).length,
    renewals: all.filter((one) => one.renewal).length,
    origin: origin.seen('/api/items', since).filter((one) => one.at < end).length,
    faults: tabs.flatMap(({ log }) => log.faults()),
  };
}

async function settled(tabs, origin, direct) {
  for (const tab of tabs) {
    if (direct) await until('the page polls', () => tab.log.polls('/api/items').length >= 2);
    else await isPushed(tab, origin, 2 * everyMs);
  }
}

function line(name, { polls, renewals, origin }) {
  return `${name}: ${polls} polls and ${renewals} renewals left ${people} pages in `
    + `${minuteMs / 1000} s, ${origin} requests reached the origin`;
}
