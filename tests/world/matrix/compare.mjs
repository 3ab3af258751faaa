// What an app could tell apart: the logs of one row with and without Pollcast.
//
// What may differ: states that last only while a request is on its way are missing where none is, and how often a state
// comes depends on when things happen. What may not: a state, an event or an error that there isn't without Pollcast,
// or that is missing; their order, where it is one of values; more renders for a look at an unchanged list.

/** Differences, a line each. */
export function differences(direct, through) {
  return [
    ...unequal('faults', kinds(direct, 'fault'), kinds(through, 'fault')),
    ...order(values(direct), values(through)),
    ...states(direct, through),
    ...unequal('requests', requests(direct), requests(through)),
    ...renders(direct, through),
  ];
}

/** Own writes that weren't read back, and values that went back: none, on either side. */
export function lapses(log) {
  const found = [];
  let [highest, owed] = [0, 0];
  for (const [kind, detail] of log) {
    if (kind === 'written') owed = detail;
    if (kind !== 'state' || !detail.version) continue;
    const { version } = detail;
    if (version < owed) found.push(`shows ${version} after ${owed} was written`);
    if (version < highest) found.push(`goes back from ${highest} to ${version}`);
    highest = Math.max(highest, version);
  }
  return found;
}

const unique = (list) => [...new Set(list.map((one) => JSON.stringify(one)))];
const kinds = (log, wanted) => log.filter(([kind]) => kind === wanted).map(([, detail]) => detail);

/** The values that were shown, one after the other. */
function values(log) {
  const all = kinds(log, 'state').map((one) => JSON.stringify(one));
  return all.filter((one, n) => one !== all[n - 1]);
}

function order(direct, through) {
  const at = direct.findIndex((one, n) => one !== through[n]);
  if (at < 0 && direct.length === through.length) return [];
  const from = at < 0 ? direct.length : at;
  const some = (list) => list.slice(from, from + 3).join(' ') || 'nothing';
  return [`values: at ${from} ${some(direct)}, with Pollcast ${some(through)}`];
}

/** States with all that is only there for a moment; which version they show doesn't matter. */
function moments(log) {
  return unique(log.filter(([kind]) => kind === 'state')
    .map(([, { version, ...settled }, flying]) => ({ any: version > 0, ...settled, ...flying })));
}

function states(direct, through) {
  const there = new Set(moments(direct));
  return moments(through).filter((one) => !there.has(one)).map((one) => `states: only with Pollcast ${one}`);
}

/** What became of requests; one that its app gave up depends on when it did. */
function requests(log) {
  return kinds(log, 'request').filter((events) => !/abort|cancel/i.test(JSON.stringify(events)));
}

function unequal(what, direct, through) {
  const [here, there] = [unique(direct), unique(through)];
  return [
    ...there.filter((one) => !here.includes(one)).map((one) => `${what}: only with Pollcast ${one}`),
    ...here.filter((one) => !there.includes(one)).map((one) => `${what}: missing ${one}`),
  ];
}

/** Renders of one look at an unchanged list. */
function renders(direct, through) {
  const [here, there] = [mostRenders(direct), mostRenders(through)];
  return there > here ? [`renders: ${there} a look, without Pollcast ${here}`] : [];
}

function mostRenders(log) {
  const at = (name) => log.findIndex(([kind, detail]) => kind === 'mark' && detail === name);
  let [most, count] = [0, 0];
  for (const [kind] of log.slice(at('quiet'), at('changes'))) {
    count = kind === 'request' ? 0 : count + (kind === 'state');
    most = Math.max(most, count);
  }
  return most;
}
