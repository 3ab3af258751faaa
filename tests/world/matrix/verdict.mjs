// What was seen of a row, in the words of the table; and what is wrong with it.

import { differences, lapses } from './compare.mjs';

/** Of two sides: `{ stops, by, writes, fallback, same }`, and `faults`, a line each. */
export function verdict(row, { direct, through, alone }) {
  const failures = [direct, through].flatMap(({ failure }) => (failure ? [String(failure)] : []));
  if (failures.length) return { faults: failures };
  const known = row.known ?? [];
  const found = differences(...[direct, through].map(({ log, list }) => anonymous(log, list)));
  const unknown = found.filter((line) => !known.some(({ match }) => match.test(line)));
  const seen = {
    stops: through.spared && !through.polled,
    by: shownBy(row, through, alone),
    writes: !lapses(through.log).length,
    fallback: !through.spared || through.sparedAgain,
    same: !unknown.length,
  };
  const hoped = { stops: row.by !== 'network', by: row.by, writes: true, fallback: true, same: true };
  const faults = Object.keys(hoped).filter((key) => seen[key] !== hoped[key])
    .map((key) => `${key}: ${seen[key]}, should be ${hoped[key]} (${through.pushed} of 5 changes pushed)`);
  if (direct.pushed > 2) faults.push('without Pollcast changes should wait for the next look');
  const ended = known.filter(({ match, sometimes }) => !sometimes && !found.some((line) => match.test(line)));
  faults.push(...unknown, ...lapses(direct.log), ...lapses(through.log));
  faults.push(...ended.map(({ match }) => `known, and no longer there: ${match}`));
  return { ...seen, faults };
}

/** The two sides' lists have names of their own. */
function anonymous(log, name) {
  return JSON.parse(JSON.stringify(log).replaceAll(name, 'list'));
}

function shownBy({ by }, { spared, pushed }, alone) {
  if (!spared) return 'network';
  if (pushed < 2) return 'tick';
  // Where nobody looked (another browser), the mechanism is what it is.
  if (alone === undefined) return by === 'library' ? 'library' : 'timer';
  return alone === true ? 'library' : 'timer';
}
