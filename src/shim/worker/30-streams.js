// One event stream for all pages of this browser: their wishes joined, its events told to each.
//
// Runs in a SharedWorker, or in the page where there is none. Each page opens streams of its own
// here (a "view": a list of topics that never changes), and is told `hello`, the state of each
// topic, `beat` and so on as if it had the server to itself. One stream to the server carries all.
//
// Rules: a view is vouched for only by a stream that carries its topics with its words said. A page
// that asks for a `fresh` one (it may be another user since) is given none that began before it
// asked; and with that one all older views end. A stream that ends, falls silent or makes no sense
// ends every view on it. It is never given up for good.

/** Two openings are at least this far apart, however often topics or writes ask for one. */
const REOPEN_MS = 1000;
/** A page that says nothing for so long is gone: frozen, crashed, or its port was lost. */
const PORT_MS = 20000;
/** Views of one page: the one that vouches, and the one that takes over. */
const VIEWS_MAX = 4;

// In a page the natives: its own may be patched.
const host = self[Symbol.for('pollcast')] || self;
const { fetch, setTimeout, clearTimeout } = host;
const stamp = () => ({ mono: now(), wall: Date.now() });

/** Topics by id: what the page says of it, and the newest state that a stream or a page showed. */
const topics = new Map();
const views = new Set();
/** Port → when its page was heard last. */
const ports = new Map();
/** The stream that vouches, and the one being opened. */
let live = null;
let next = null;
/** Not before then: backoff, `bye`, or REOPEN_MS. */
let notBefore = 0;
let failures = 0;
let timer = 0;
let due = 0;
let sweeping = 0;
/** Orders what pages ask and what streams begin. */
let serial = 0;

/** Brings the stream in line with what the pages want; a little later, so that they share one. */
function soon(wait = 10) {
  const at = now() + wait;
  if (timer && due <= at) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(reconcile, wait);
}

function reconcile() {
  clearTimeout(timer);
  timer = 0;
  const want = wanted();
  for (const id of topics.keys()) if (!want.has(id)) topics.delete(id);
  if (!want.size) {
    for (const conn of [live, next]) if (conn) close(conn);
    return;
  }
  for (const view of views) if (!view.on && live && serves(live, view)) join(view);
  const conn = next || live;
  const older = ({ on, fresh, born }) => !on && fresh && born > conn.born;
  if (conn && covers(conn, want) && ![...views].some(older)) return;
  const wait = notBefore - now();
  if (wait > 0) return soon(wait);
  open(want);
}

/** What all pages want: the fastest cadence of each topic. */
function wanted() {
  const want = new Map();
  for (const { entries } of views) {
    for (const { id, every, gone } of entries.values()) {
      if (!gone) want.set(id, Math.min(every, want.get(id) || Infinity));
    }
  }
  return want;
}

const near = (entry, every) => entry && !entry.gone && entry.every <= every * 1.25;

function covers({ entries }, want) {
  const there = [...entries.values()].filter(({ gone }) => !gone).length;
  return there === want.size && [...want].every(([id, every]) => {
    const entry = entries.get(id);
    return near(entry, every) && entry.every * 2 >= every;
  });
}

/** True if a stream that is up may speak to this view. */
function serves(conn, { fresh, born, entries }) {
  if (fresh && born > conn.born) return false;
  const there = ({ id, every, gone }) => gone || near(conn.entries.get(id), every);
  return [...entries.values()].every(there);
}

function close(conn) {
  conn.closed = true;
  clearTimeout(conn.watchdog);
  if (live === conn) live = null;
  if (next === conn) next = null;
  conn.abort.abort();
}

function open(want) {
  if (next) close(next);
  const { ask } = [...views].at(-1);
  const ids = [...want.keys()];
  const entries = new Map();
  for (const id of ids.slice(-ask.most)) {
    // `state`: what the server believes this stream to hold, whatever another one says meanwhile.
    const { state } = topics.get(id);
    entries.set(id, { id, every: want.get(id), state, verdict: '', reason: '', gone: false });
  }
  // More than a stream may carry: the newcomers have it, the others poll as before.
  for (const id of ids.slice(0, -ask.most)) refuse(id);
  const conn = {
    abort: new AbortController(),
    entries,
    list: [...entries.values()],
    born: ++serial,
    // By it a page that is put aside can end the stream, when nothing of us runs any more.
    name: crypto.getRandomValues(new Uint32Array(4)).join('-'),
    // Somebody may be another user since: what older streams said is not for the views to come.
    fresh: [...views].some((view) => view.fresh && !view.on),
    hello: null,
    beat: 0,
    heard: stamp(),
    silence: 15000,
    watchdog: 0,
    closed: false,
  };
  next = conn;
  notBefore = now() + REOPEN_MS;
  watchSilence(conn);
  // Another host may refuse us, which shows on the console.
  const over = () => (ask.foreign && !conn.hello ? refused : ended)(conn);
  run(conn, ask).then(over, over);
}

/** A connection that a middlebox has swallowed reports no error, ever. */
function watchSilence(conn) {
  clearTimeout(conn.watchdog);
  const left = conn.silence - age(conn.heard);
  if (left <= 0) return ended(conn);
  conn.watchdog = setTimeout(watchSilence, left + 5, conn);
}

/** The proxy knows cache busters by their being now, as they were when the app asked. */
function freshUrl({ url, at }) {
  const fresh = (value, ms) => {
    const old = Math.abs(at - value * (ms ? 1 : 1000)) < (ms ? 251 : 1000);
    return old ? String(Date.now()).slice(0, value.length) : value;
  };
  return url.replace(/\b\d{10}(\d{3})?\b/g, fresh);
}

async function run(conn, { url, client }) {
  const asked = conn.list.map(({ id, every, state }) => {
    const { wish } = topics.get(id);
    const { headers, credentials } = wish;
    return {
      url: freshUrl(wish),
      headers,
      credentials,
      have: state ? state.hash : undefined,
      every_ms: Math.round(every),
    };
  });
  const response = await fetch(url, {
    method: 'POST',
    credentials: 'include',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ client, name: conn.name, now_ms: Date.now(), topics: asked }),
    signal: conn.abort.signal,
  });
  const streams = /^text\/event-stream/.test(response.headers.get('content-type'));
  if (response.status !== 200 || !streams) return refused(conn);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = createSseParser((name, data) => conn.closed || onEvent(conn, name, data));
  for (;;) {
    const { done, value } = await reader.read();
    // After a gap (the machine slept) what comes first is as old as the gap: no beat of now.
    if (done || conn.closed || age(conn.heard) > conn.silence) return;
    conn.heard = stamp();
    parser.push(decoder.decode(value, { stream: true }));
  }
}

/** A login page, a 404, a cap: each attempt shows on the console, so they become rare. */
function refused(conn) {
  if (!conn.closed) over(conn, 15000, 300000);
}

/** The stream is over, and nobody asked for that. */
function ended(conn) {
  if (conn.closed) return;
  // It got through and lasted: the next failure is a new one.
  if (conn.hello && age(conn.opened) > 5000) failures = 0;
  over(conn, 300, 15000);
}

/** The next opening waits for `ms`, twice that after another failure, and so on to `most`. */
function over(conn, ms, most) {
  close(conn);
  endViews(conn);
  notBefore = now() + jitter(Math.min(ms * 2 ** failures++, most));
  soon();
}

function onEvent(conn, name, data) {
  if (name === 'hello') return onHello(conn, JSON.parse(data));
  // Where the mode is off it is all there is.
  if (name === 'bye') return onBye(conn, JSON.parse(data));
  if (!conn.hello) return;
  if (name === 'beat') return onBeat(conn);
  const cut = data.indexOf('\n');
  const entry = cut > 0 && conn.list[+data.slice(0, cut)];
  // An event of a later version, or of no topic of ours.
  if (!entry || entry.verdict === 'gone') return;
  const event = JSON.parse(data.slice(cut + 1));
  if (name === 'stale' || name === 'gone') {
    entry.verdict = name;
    entry.reason = event.reason;
    entry.gone = name === 'gone';
  } else if (/^(current|snapshot|delta)$/.test(name)) {
    const state = nextState(entry.state, name, event);
    if (state) state.seq = event.seq;
    // What may be another user's is no base for whoever waits for the next stream. Nor is anything
    // if the two don't agree on what is held: that stream asks for the whole body.
    const waits = ({ on, fresh, born, entries }) =>
      !on && fresh && born > conn.born && entries.has(entry.id);
    if (!state || ![...views].some(waits)) Object.assign(topics.get(entry.id) || {}, { state });
    if (!state) return ended(conn);
    entry.state = state;
    entry.verdict = 'state';
  }
  if (conn === live) pass(conn, entry.id);
}

function nextState(old, name, event) {
  const { hash, length, check } = event;
  if (name === 'current') return old && old.hash === hash ? { ...old } : null;
  if (name === 'snapshot') {
    const { body, headers, status } = event;
    return body.length === length && fnv1a(body) === check ? { hash, body, headers, status } : null;
  }
  if (!old || old.hash !== event.from) return null;
  const body = applyDelta(old.body, event.ops, length, check);
  return body === null ? null : { ...old, hash, body, headers: event.headers || old.headers };
}

function onHello(conn, hello) {
  if (hello.v !== 1) return refused(conn);
  if (conn.hello) return;
  conn.hello = hello;
  conn.silence = hello.silence_ms;
  conn.opened = stamp();
  conn.beat = Date.now();
  const before = live;
  if (before) {
    // Make before break: views go on, unless what they know isn't comparable with what comes.
    for (const view of views) {
      if (view.on !== before) continue;
      const fits = !conn.fresh && hello.epoch === before.hello.epoch && serves(conn, view);
      if (!fits) {
        end(view);
        // Its page comes back at once, with the same wishes.
        notBefore = Math.max(notBefore, now() + REOPEN_MS / 2);
      }
      view.on = conn;
      for (const entry of view.entries.values()) entry.told = false;
    }
    close(before);
  }
  live = conn;
  next = null;
  watchSilence(conn);
  reconcile();
}

/** A beat speaks for a view once each of its topics has had its word on this stream. */
function onBeat(conn) {
  conn.beat = Date.now();
  for (const view of views) {
    const heard = view.on === conn && [...view.entries.values()].every((it) => it.told || it.gone);
    if (heard) tell(view, 'beat', conn.beat, 0, conn.silence);
  }
}

function onBye(conn, { reason, retry_ms }) {
  if (reason === 'off') {
    for (const view of views) tell(view, 'off', 0, 0, retry_ms);
    views.clear();
    return reconcile();
  }
  failures = 0;
  over(conn, retry_ms || 1000, Infinity);
  failures = 0;
}
