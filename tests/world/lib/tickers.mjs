// Tabs of the ticker app (`apps/ticker.js`), and what their logs must say.

import { until } from './wait.mjs';

/** The log of what the page was answered since the last time this was asked. */
export function taken(page) {
  return page.evaluate(() => globalThis.seen.splice(0));
}

/** The version that the page shows. */
export function ticked(page) {
  return page.evaluate(() => Number(document.getElementById('root').dataset.version ?? 0));
}

export async function ticks(page, version, deadlineMs = 30_000) {
  await until(`a tab shows version ${version}`, async () => (await ticked(page)) >= version, deadlineMs);
}

/**
 * How old the oldest answer of a log was, in ms: how long before the page asked the state that it got had been
 * replaced. `items[v]` made version v + 1.
 */
export function oldest(log, items) {
  const age = ([asked, , version]) => (version < items.length ? asked - items[version].at : 0);
  return log.reduce((most, answer) => Math.max(most, age(answer)), 0);
}

/** True if a log never goes back. Answers may overtake each other only where the page asked twice at once. */
export function neverBack(log) {
  return log.every(([asked, , version], n) => n === 0 || version >= log[n - 1][2] || asked <= log[n - 1][1]);
}
