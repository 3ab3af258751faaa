// Differences that the comparison must see: a log, and what Pollcast could do to it.

const shown = (version, { settled, flying } = {}) =>
  ['state', { version, error: null, ...settled }, { fetching: false, ...flying }];
const request = (...events) => ['request', events];

export const log = [
  shown(0, { flying: { fetching: true } }), request('send', 'done'), shown(1),
  ['mark', 'quiet'], request('send', 'done'), shown(1), request('send', 'done'), shown(1), ['mark', 'changes'],
  shown(2), ['written', 3], shown(3),
  request('send', 'fail'), shown(3, { settled: { error: 'status 500' } }), shown(4),
];

const edit = (at, ...fresh) => log.toSpliced(at, 1, ...fresh);
const last = log.length - 1;

/** [what, the log with it, words of the finding]. */
export const planted = [
  ['an error that there wasn\'t', edit(last, shown(4), shown(4, { settled: { error: 'x' } })), /^values/],
  ['an error that is missing', edit(last - 1, shown(3)), /^values/],
  ['another error', edit(last - 1, shown(3, { settled: { error: 'status 502' } })), /^values/],
  ['a value that is missing', edit(9, shown(1)), /^values/],
  ['a combination of flags that there never was', edit(9, shown(2, { flying: { fetching: true } })), /^states/],
  ['an event more', edit(last - 2, request('send', 'late', 'fail')), /^requests: only/],
  ['an event less', edit(last - 2, request('fail')), /^requests: missing/],
  ['renders for nothing', edit(5, shown(1), shown(1), shown(1)), /^renders/],
  ['an unhandled error', edit(last, shown(4), ['fault', 'boom']), /^faults/],
];

/** Logs with a lapse. */
export const lapsed = [edit(last, shown(2)), edit(11, shown(2), shown(3))];
