// What the tests read off the list app (`apps/items.jsx`).

import { until } from './wait.mjs';

/** The version the page shows. */
export function shown(page) {
  return page.locator('#list').getAttribute('data-version', { timeout: 5_000 }).then(Number);
}

/** Waits until the page shows at least `version`. */
export function shows(page, version, deadlineMs) {
  return until(`the page shows version ${version}`, async () => (await shown(page)) >= version,
    deadlineMs);
}

/**
 * Waits until the page is pushed: `quietMs` without a poll on the network, while a change made meanwhile shows.
 * `quietMs` must be longer than the app's interval.
 */
export async function isPushed({ page, log }, origin, quietMs, deadlineMs = 30_000) {
  const last = () => log.gets('/api/items').at(-1)?.at ?? 0;
  await until('no poll leaves the page', () => Date.now() - last() > quietMs, deadlineMs);
  const { id } = origin.add('are you there');
  await shows(page, id + 1);
}

/** A write made by another page (any page of the same base); answers the new item. */
export function write(page, title) {
  return page.evaluate(async (body) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch('/api/items', { method: 'POST', headers, body });
    if (response.status !== 201) throw new Error(`the write failed: ${response.status}`);
    return response.json();
  }, JSON.stringify({ title }));
}
