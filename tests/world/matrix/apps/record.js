// What an app of the matrix tells the test: every state that its library showed, every request that it made, and what
// became of it, in order. The same with and without Pollcast, or somebody would notice.

const asking = new URLSearchParams(location.search);
export const url = `/api/${asking.get('list')}/items`;
export const every = Number(asking.get('every'));

const log = [];
let waiting = [];

/** Reads are requests of the app that were answered, by whomever; `…At` is when that last changed. */
export const record = { log, reads: 0, readAt: 0, version: 0, versionAt: 0, error: null, until };
window.record = record;

/** Resolves once `what` holds: `version` or `reads` is at least `least`, or `error` is there or not. */
function until(what, least) {
  return new Promise((resolve) => {
    waiting.push({ what, least, resolve });
    check();
  });
}

function check() {
  const holds = ({ what, least }) =>
    (what === 'error' ? Boolean(record.error) === least : record[what] >= least);
  const over = waiting.filter(holds);
  waiting = waiting.filter((one) => !holds(one));
  for (const { resolve } of over) resolve();
}

/** A state that the library shows: `flying` says what only holds while a request is under way. */
export function state({ data, error, ...settled }, flying = {}) {
  const version = data?.version ?? 0;
  log.push(['state', { version, error: error ? shape(error) : null, ...settled }, flying]);
  if (version !== record.version) record.versionAt = performance.now();
  record.version = version;
  record.error = error ?? null;
  check();
}

/** A request of the app is over; `events` is all that could be seen of it. */
export function asked(events) {
  log.push(['request', events]);
  record.reads += 1;
  record.readAt = performance.now();
  check();
}

/** The library says that a write is through, and that the list has been read again where it does that. */
export function written(version) {
  log.push(['written', version]);
  return version;
}

export function mark(name) {
  log.push(['mark', name]);
}
record.mark = mark;

/** Everything of an error that an app could tell apart. */
export function shape(error) {
  if (typeof error !== 'object' || !error) return String(error);
  const { name, message, code, status, cause, response, request, headers, timeout, crossDomain } = error;
  const all = {
    kind: Object.prototype.toString.call(error), name, message, code, status, timeout, crossDomain,
    keys: Object.keys(error).sort(), cause: cause && shape(cause),
    response: response && { status: response.status, data: response.data ?? response.body, type: response.type },
    request: request && Object.prototype.toString.call(request),
    headers: headers && Object.prototype.toString.call(headers),
  };
  return JSON.parse(JSON.stringify(all).replaceAll(location.origin, ''));
}

/** Everything of a Response that an app could tell apart, but for the body. */
export function answer({ status, statusText, ok, type, redirected, url: from, headers }) {
  const fields = { type: headers.get('content-type'), total: headers.has('x-total') };
  return { status, statusText, ok, type, redirected, url: from.replace(location.origin, ''), fields };
}

window.addEventListener('error', ({ message }) => log.push(['fault', message]));
window.addEventListener('unhandledrejection', ({ reason }) => log.push(['fault', String(reason)]));
