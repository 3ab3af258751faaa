// Writes: another browser's show at once, one's own never vanish.

import assert from 'node:assert/strict';
import test from 'node:test';
import { isPushed, shown, shows, write } from './lib/items.mjs';
import { unable } from './lib/pollcast.mjs';
import { distribution, until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

test('an app that polls every 30 s shows 100 writes of another browser without waiting',
  { skip: unable() }, async (t) => {
    const { origin, browser, open, pushed } = await world(t);
    const everyMs = pushed ? 30_000 : 500;
    const writes = pushed ? 100 : 5;
    const tab = await open(await browser.person(), `/items?every=${everyMs}`);
    const other = await open(await browser.person(), '/blank');
    await shows(tab.page, 1);
    await until('the second poll', () => tab.log.polls('/api/items').length >= 2, everyMs + 10_000);
    // The stream comes up in the moment after that poll: one write to wait for it, not counted.
    await shows(tab.page, (await write(other.page, 'first')).id + 1, everyMs + 10_000);
    await tab.page.evaluate(noteArrivals);
    const since = Date.now();
    const expected = [];
    for (let n = 0; n < writes; n += 1) {
      const item = await write(other.page, `write ${n}`);
      expected.push(item);
      await shows(tab.page, item.id + 1, everyMs);
    }
    const arrivals = new Map(await tab.page.evaluate(() => globalThis.arrivals));
    const took = expected.map(({ id, at }) => arrivals.get(id + 1) - at);
    assert.ok(took.every(Number.isFinite), 'each write showed by itself');
    const { n, p50, p90, p99, max } = distribution(took);
    const seen = origin.seen('/api/items', since).filter((one) => one.method === 'GET').length;
    t.diagnostic(`write to DOM, ${n} writes, an app that polls every ${everyMs} ms: `
      + `p50 ${p50} ms, p90 ${p90} ms, p99 ${p99} ms, max ${max} ms; ${seen} reads of the origin`);
    if (pushed) assert.ok(max < everyMs / 2, `a change waited for a poll: ${max} ms`);
    assert.deepEqual(tab.log.faults(), []);
  });

/** Runs in the page: when each version first stood in the DOM, in the clock that the origin stamps with. */
function noteArrivals() {
  const list = document.querySelector('#list');
  globalThis.arrivals = [];
  const note = () => globalThis.arrivals.push([Number(list.dataset.version), Date.now()]);
  new MutationObserver(note).observe(list, { attributeFilter: ['data-version'] });
}

for (const by of ['fetch', 'axios']) {
  test(`own writes by ${by}: after invalidateQueries the page never shows the state before, reads take 300 ms`,
    { skip: unable() }, async (t) => {
      const { origin, browser, open, pushed } = await world(t);
      const tab = await open(await browser.person(), `/items?every=1000&by=${by}`);
      await shows(tab.page, 1);
      if (pushed) await isPushed(tab, origin, 2000);
      origin.readDelayMs = 300;
      await tab.page.evaluate(sampleFrames);
      for (let n = 0; n < 30; n += 1) await addInPage(tab.page);
      const { frames, faults } = await tab.page.evaluate(() => globalThis.samples);
      t.diagnostic(`own writes: 30 writes, ${frames} frames sampled, ${faults.length} showed old state`);
      assert.ok(frames > 30, 'frames were sampled');
      assert.deepEqual(faults, []);
      assert.deepEqual(tab.log.faults(), []);
      assert.equal(await shown(tab.page), origin.items.length);
    });
}

/** Clicks the app's button and waits until the app itself says that write and invalidation are through. */
async function addInPage(page) {
  const saved = () => page.locator('#list').getAttribute('data-saved').then(Number);
  const before = await saved();
  await page.locator('#add').click();
  await until('the write is through', async () => (await saved()) > before);
}

/** Runs in the page: at each frame, what was saved must be shown, and nothing shown may vanish. */
function sampleFrames() {
  const list = document.querySelector('#list');
  const samples = { frames: 0, faults: [] };
  globalThis.samples = samples;
  let highest = 0;
  let owed = 0;
  const sample = () => {
    const version = Number(list.dataset.version);
    // `saved` is -1 while the next write is on its way; what was saved before stays owed.
    owed = Math.max(owed, Number(list.dataset.saved) + 1);
    if (version < owed) samples.faults.push(`shows ${version} after ${owed} was saved`);
    if (version < highest) samples.faults.push(`went back from ${highest} to ${version}`);
    highest = Math.max(highest, version);
    samples.frames += 1;
    requestAnimationFrame(sample);
  };
  requestAnimationFrame(sample);
}
