// One test's world: origin, Pollcast (or not), browser; all of it torn down when the test ends.

import { openBrowser, openPage } from './browser.mjs';
import { Origin } from './origin.mjs';
import { buildPages } from './pages.mjs';
import { Pollcast, without } from './pollcast.mjs';

let built;

/** All apps, built once per test file. */
export function pages() {
  built ??= buildPages();
  return built;
}

/** Starts a world for test `t`. `direct`: without Pollcast, whatever the environment says. */
export async function world(t, { direct = without, ...options } = {}) {
  const origin = await Origin.start(await pages());
  t.after(() => origin.stop());
  let pollcast;
  if (!direct) {
    pollcast = await Pollcast.start(origin.base, options);
    t.after(() => pollcast.stop());
  }
  const browser = await openBrowser();
  t.after(() => browser.close());
  const base = pollcast?.base ?? origin.base;
  const open = (context, path, at = base) => openPage(context, at + path);
  return { origin, pollcast, browser, base, open, pushed: !direct };
}
