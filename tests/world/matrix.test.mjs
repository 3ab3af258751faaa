// Whatever an app is built with, Pollcast works unnoticed: real libraries in real browsers, each with and without it.
//
// MATRIX_ROWS=<words of ids> plays some rows only; UPDATE=1 writes docs/COMPATIBILITY.md anew.

import assert from 'node:assert/strict';
import test from 'node:test';
import { openBrowser } from './lib/browser.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { buildRows } from './matrix/build.mjs';
import { differences, lapses } from './matrix/compare.mjs';
import { rows as all } from './matrix/rows.mjs';
import { Side } from './matrix/side.mjs';
import { Tab, isPushedWithoutTimers, play } from './matrix/story.mjs';

const words = process.env.MATRIX_ROWS?.split(/[ ,]+/);
const rows = words ? all.filter(({ id }) => words.some((word) => id.includes(word))) : all;
/** Rows that are open at the same time. */
const TOGETHER = 16;

test('chromium', { skip: unableWithout() }, async (t) => {
  const browser = await openBrowser();
  t.after(() => browser.close());
  const measured = await measure(t, browser, rows);
  for (const row of rows) await t.test(row.id, () => judge(row, measured.get(row.id)));
});

/** Row id → what was seen: `direct` and `through` (see story.mjs), `alone` without timers. */
async function measure(t, browser, list) {
  const measured = new Map();
  const pages = await buildRows(list);
  const sides = [];
  for (const direct of [true, false]) sides.push(await Side.start(t, { pages, rows: list, browser, direct }));
  const [direct, through] = sides;
  for (let n = 0; n < list.length; n += TOGETHER) {
    const group = list.slice(n, n + TOGETHER);
    const tabs = group.map((row) => [new Tab(row, direct), new Tab(row, through)]);
    await play(tabs.flat(), sides);
    group.forEach((row, at) => {
      const [one, other] = tabs[at];
      measured.set(row.id, { direct: one.result, through: other.result });
    });
  }
  await Promise.all(list.filter(({ by }) => by === 'library').map(async (row) => {
    const one = measured.get(row.id);
    one.alone = await isPushedWithoutTimers(new Tab(row, through)).catch((error) => error);
  }));
  return measured;
}

function judge({ by, known = [] }, { direct, through, alone }) {
  for (const { failure } of [direct, through]) if (failure) throw failure;
  const isLeftAlone = by === 'network';
  const isPushed = by === 'library' || by === 'timer';
  assert.ok(direct.pushed < 2, 'without Pollcast changes wait for the next look');
  assert.equal(through.spared, !isLeftAlone, 'polls on the network stop');
  assert.equal(through.polled, isLeftAlone, 'and stay away');
  if (!isLeftAlone) assert.ok(through.sparedAgain, 'polls stop again after a restart');
  assert.equal(through.pushed > 1, isPushed, `changes show before the next look (${through.pushed} of 3)`);
  if (by === 'library') assert.equal(alone, true, 'the library refreshes by itself');
  assert.deepEqual(lapses(direct.log), []);
  assert.deepEqual(lapses(through.log), []);
  const found = differences(direct.log, through.log);
  assert.deepEqual(found.filter((line) => !known.some(({ match }) => match.test(line))), []);
  for (const { match } of known) assert.ok(found.some((line) => match.test(line)), `no longer: ${match}`);
}
