// Whatever an app is built with, Pollcast works unnoticed: real libraries in real browsers, each with and without it.
//
// MATRIX_ROWS=<words of ids> plays some rows only; UPDATE=1 writes docs/COMPATIBILITY.md anew.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import test from 'node:test';
import * as chromium from './lib/browser.mjs';
import * as firefox from './lib/firefox.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { buildRows } from './matrix/build.mjs';
import { differences, lapses } from './matrix/compare.mjs';
import { lapsed, log, planted } from './matrix/planted.mjs';
import { page } from './matrix/report.mjs';
import { rows as all } from './matrix/rows.mjs';
import { Side } from './matrix/side.mjs';
import { Tab, play } from './matrix/story.mjs';
import { verdict } from './matrix/verdict.mjs';

const words = process.env.MATRIX_ROWS?.split(/[ ,]+/);
const rows = words ? all.filter(({ id }) => words.some((word) => id.includes(word))) : all;
const document = new URL('../../docs/COMPATIBILITY.md', import.meta.url);
/** Rows that are open at the same time: more, and a small machine shows its own pauses. */
const TOGETHER = 12;

test('the comparison sees what it is there for', () => {
  assert.deepEqual([...differences(log, log), ...lapses(log)], []);
  for (const [what, other, finding] of planted) {
    assert.ok(differences(log, other).some((line) => finding.test(line)), what);
  }
  for (const other of lapsed) assert.ok(lapses(other).length > 0);
});

test('chromium', { skip: unableWithout() }, async (t) => {
  const verdicts = await measure(t, chromium, rows);
  await judge(t, verdicts);
  if (words) return;
  await t.test('docs/COMPATIBILITY.md says what was seen', async () => {
    const fresh = await page(rows, verdicts);
    if (process.env.UPDATE === '1') await writeFile(document, fresh);
    assert.equal(await readFile(document, 'utf8').catch(() => 'none'), fresh);
  });
});

test('firefox', { skip: unableWithout() || firefox.unableFirefox() }, async (t) => {
  await judge(t, await measure(t, firefox, rows.filter((row) => row.firefox)));
});

/**
 * Row id → verdict. A row with a fault is played once more, with few beside it, and that counts: what
 * is compared is two runs side by side, and a pause of the machine can fall into one of them.
 */
async function measure(t, kind, list) {
  const browser = await kind.openBrowser();
  t.after(() => browser.close());
  const pages = await buildRows(list);
  const [direct, through] = [true, false].map((is) => Side.start(t, { pages, browser, direct: is }));
  const sides = await Promise.all([direct, through]);
  const verdicts = new Map();
  const playGroup = async (group) => {
    const stories = group.map((row) => ({
      row,
      tabs: sides.map((side) => new Tab(row, side, kind.openPage)),
      alone: kind === chromium && row.by === 'library' ? new Tab(row, sides[1], kind.openPage) : null,
    }));
    await play(stories, sides);
    for (const { row, tabs: [one, other], alone } of stories) {
      const seen = { direct: one.result, through: other.result, alone: alone?.result.pushed };
      verdicts.set(row.id, verdict(row, seen));
    }
  };
  for (let n = 0; n < list.length; n += TOGETHER) await playGroup(list.slice(n, n + TOGETHER));
  const doubtful = list.filter(({ id }) => verdicts.get(id).faults.length);
  if (doubtful.length && doubtful.length <= TOGETHER / 2) {
    for (const { id } of doubtful) t.diagnostic(`again: ${id}, for ${verdicts.get(id).faults}`);
    await playGroup(doubtful);
  }
  return verdicts;
}

async function judge(t, verdicts) {
  for (const [id, { faults }] of verdicts) await t.test(id, () => assert.deepEqual(faults, []));
}
