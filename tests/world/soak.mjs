// An hour of one browser's pages behind a bad network: cuts, stalls, gateways and portals that answer in our place,
// restarts, tabs that come, go and freeze. `scripts/browser-soak [minutes]` runs it.
//
// Each answer that a page got is held against the origin's own log: how long before the page asked had that state been
// replaced? No answer may be older than what the protocol promises, no log may go back, at the end every tab shows the
// origin's state, and the pages' memory is as it was.

import { openBrowser, openPage } from './lib/browser.mjs';
import { Relay, lies } from './lib/blackhole.mjs';
import { Origin } from './lib/origin.mjs';
import { buildPages } from './lib/pages.mjs';
import { Pollcast } from './lib/pollcast.mjs';
import { generator } from './lib/random.mjs';
import { neverBack, oldest, taken, ticks } from './lib/tickers.mjs';
import { pass } from './lib/wait.mjs';

const minutes = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? Date.now() % 100000);
const every = 1000;
// A state may be vouched for while its verification is no older than the cadence and half of it again, and a beat is
// believed for two beats (half a cadence each) and half a second: docs/PROTOCOL.md, "Bound". What the page's own poll
// takes is the machine's noise.
const boundMs = 1.5 * every + (2 * 500 + 500) + 500;
const random = generator(seed);
const between = (least, most) => least + random() * (most - least);
const pick = (list) => list[Math.floor(random() * list.length)];

const origin = await Origin.start(await buildPages());
const pollcast = await Pollcast.start(origin.base, { admin: '127.0.0.1:0' });
const { hostname: host, port } = new URL(pollcast.base);
const relay = await Relay.start(() => ({ host, port: Number(port) }));
const browser = await openBrowser();
const faults = [];
const totals = { answers: 0, oldest: 0, changes: 0, failed: 0, fates: {} };

async function openTab(person) {
  const by = pick(['fetch', 'xhr']);
  const tab = await openPage(person, `${relay.base}/ticker?every=${every}&by=${by}`);
  const session = await person.newCDPSession(tab.page);
  await session.send('Performance.enable');
  return { ...tab, session, by };
}

const people = [await browser.person(), await browser.person()];
const tabs = [];
for (let n = 0; n < 6; n += 1) tabs.push({ person: people[n % 2], ...(await openTab(people[n % 2])) });

async function audit() {
  for (const tab of tabs) {
    const log = await taken(tab.page);
    totals.answers += log.length;
    const age = oldest(log, origin.items);
    totals.oldest = Math.max(totals.oldest, age);
    if (age > boundMs) faults.push(`${tab.by}: an answer ${Math.round(age)} ms old`);
    if (!neverBack(log)) faults.push(`${tab.by}: a log that goes back: ${JSON.stringify(log)}`);
    if (tab.log.faults().length) faults.push(...tab.log.faults().splice(0));
    tab.log.complaints.length = 0;
    tab.log.requests.length = 0;
  }
}

async function heap() {
  let bytes = 0;
  for (const { session } of tabs.slice(0, 4)) {
    await session.send('HeapProfiler.collectGarbage');
    const { metrics } = await session.send('Performance.getMetrics');
    bytes += metrics.find(({ name }) => name === 'JSHeapUsedSize').value;
  }
  return bytes / 4 / 1024;
}

const fates = {
  cut: async () => relay.cut(),
  'streams stalled': async () => {
    relay.stallStreams();
    await pass(between(500, 5000));
    relay.restore();
  },
  'all stalled': async () => {
    relay.stall();
    await pass(between(500, 8000));
    relay.restore();
  },
  restart: async () => {
    await pollcast.kill();
    await pass(between(0, 2000));
    await pollcast.launch();
  },
  'origin fails': async () => {
    origin.failWith = 503;
    await pass(between(500, 4000));
    origin.failWith = 0;
  },
  'tab loaded anew': async () => {
    await pick(tabs).page.reload();
  },
  'tab opened anew': async () => {
    const tab = pick(tabs.slice(4));
    await tab.page.close();
    Object.assign(tab, await openTab(tab.person));
  },
  'tab frozen': async () => {
    const { session } = pick(tabs);
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    await pass(between(1000, 8000));
    await session.send('Page.setWebLifecycleState', { state: 'active' });
  },
};
for (const [name, answer] of Object.entries(lies)) {
  fates[name] = async () => {
    relay.lie(answer);
    await pass(between(500, 5000));
    relay.lie(null);
  };
}

async function changes(end) {
  while (Date.now() < end) {
    await pass(between(100, 1500));
    origin.add('tick');
    // A page answers the last fifty; the log of times is what counts.
    origin.items.at(-1).title = 'tick';
    totals.changes += 1;
  }
}

const end = Date.now() + minutes * 60_000;
const heaps = [];
let minute = 0;
console.log(`soak: ${minutes} minutes, seed ${seed}, an answer may be ${boundMs} ms old`);
const changing = changes(end);
while (Date.now() < end) {
  const name = pick(Object.keys(fates));
  totals.fates[name] = (totals.fates[name] ?? 0) + 1;
  try {
    await fates[name]();
  } catch (error) {
    faults.push(`${name}: ${error.message.split('\n')[0]}`);
  }
  await pass(between(2000, 12_000));
  await audit();
  if (Date.now() > end - (minutes - minute - 1) * 60_000) {
    minute += 1;
    heaps.push(await heap());
    console.log(`minute ${minute}: ${totals.answers} answers, the oldest ${Math.round(totals.oldest)} ms, `
      + `${totals.changes} changes, heap ${Math.round(heaps.at(-1))} KiB, faults ${faults.length}`);
  }
}
await changing;

relay.lie(null);
relay.restore();
const last = origin.add('last');
for (const { page } of tabs) {
  await ticks(page, last.id + 1, 60_000).catch((error) => faults.push(error.message));
}
await audit();
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const third = Math.max(1, Math.floor(heaps.length / 3));
const [before, after] = [median(heaps.slice(1, 1 + third)) ?? heaps[0], median(heaps.slice(-third))];
console.log(JSON.stringify(totals));
console.log(`heap of a page: ${Math.round(before)} KiB in the first third, ${Math.round(after)} KiB in the last`);
if (heaps.length >= 6 && after > before * 1.2) faults.push('the pages grow');
await browser.close();
await relay.stop();
await pollcast.stop();
await origin.stop();
for (const fault of faults.slice(0, 50)) console.log(`fault: ${fault}`);
console.log(faults.length ? `soak: FAILED: ${faults.length} faults` : 'soak: passed');
process.exit(faults.length ? 1 : 0);
