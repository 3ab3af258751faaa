// The event stream: one at a time, a second one only while it takes over.
//
// Rules: a stream's topics never change, so another set means another stream (the old one goes once
// the new one said `hello`). A stream that ends, falls silent or makes no sense vouches for nothing
// from that instant; the app polls the network until the next one is up. It is never given up for
// good.

/** Two openings are at least this far apart, however often topics or writes ask for one. */
const REOPEN_MS = 1000;

const stream = {
  /** The one that vouches. */
  live: null,
  /** The one being opened. */
  next: null,
  /** Not before then: backoff, `bye`, or REOPEN_MS. */
  notBefore: 0,
  /** Failures in a row. */
  failures: 0,
  /** Nobody looks at this page, or it is in the back/forward cache. */
  parked: false,
  /** The timers of the next reconcile() and of the next look at the demand. */
  timer: 0,
  demandTimer: 0,
  /** Since when the page is visible: while it was hidden, nobody asked. */
  visible: 0,
};

/**
 * Brings the stream in line with what the app polls; soon, so that several topics share one
 * opening.
 */
function sync() {
  if (!active || stream.parked || stream.timer) return;
  stream.timer = later(reconcile, Math.max(25, stream.notBefore - now()));
}

function reconcile() {
  stream.timer = 0;
  if (!active || stream.parked) return;
  const want = wanted();
  if (!want.length) return closeStreams();
  native.clearTimeout(stream.demandTimer);
  stream.demandTimer = later(sync, 5000);
  if (covers(stream.next || stream.live, want)) return;
  if (now() < stream.notBefore) return sync();
  open(want);
}

/** The topics that the app still polls: three cadences of silence mean that it has stopped. */
function wanted() {
  const at = now();
  const demanded = ({ asked, every }) =>
    at - Math.max(asked, stream.visible) < Math.max(10000, 3 * every);
  return [...topics.values()]
    .filter((topic) => topic.polled && topic.shown && demanded(topic))
    .sort((a, b) => b.asked - a.asked)
    .slice(0, CONFIG.topics_per_stream);
}

function covers(conn, want) {
  if (!conn || conn.generation !== generation) return false;
  const there = conn.list.filter((entry) => !entry.gone).length;
  return there === want.length && want.every((topic) => {
    const entry = conn.entries.get(topic);
    if (!entry || entry.gone) return false;
    return entry.every <= topic.every * 1.25 && entry.every * 2 >= topic.every;
  });
}

function closeStreams() {
  for (const conn of [stream.live, stream.next]) if (conn) close(conn);
}

function close(conn) {
  conn.closed = true;
  native.clearTimeout(conn.watchdog);
  if (stream.live === conn) stream.live = null;
  if (stream.next === conn) stream.next = null;
  conn.abort.abort();
}

function open(want) {
  if (stream.next) close(stream.next);
  checkJar();
  const conn = {
    abort: new AbortController(),
    closed: false,
    /** Topic → {topic, every, wire, vouched, gone}; in the order of the request. */
    entries: new Map(),
    generation,
    epoch: '',
    /** When `hello` came; the last `beat` or `hello`; the last byte. */
    opened: null,
    beat: null,
    heard: stamp(),
    silence: 15000,
    watchdog: 0,
  };
  for (const topic of want) {
    const wire = topic.bare ? null : topic.held;
    conn.entries.set(topic, { topic, every: topic.every, wire, vouched: false, gone: false });
  }
  conn.list = [...conn.entries.values()];
  stream.next = conn;
  stream.notBefore = now() + REOPEN_MS;
  watchSilence(conn);
  // Another host may refuse us, which shows on the console.
  const over = guard(() => (cross && !conn.opened ? refused : ended)(conn));
  run(conn).then(over, over);
}

/** A connection that a middlebox has swallowed reports no error, ever. */
function watchSilence(conn) {
  native.clearTimeout(conn.watchdog);
  const left = conn.silence - age(conn.heard);
  if (left <= 0) return ended(conn);
  conn.watchdog = later(() => watchSilence(conn), left + 5);
}

async function run(conn) {
  const ask = ({ topic, every, wire }) => ({
    url: freshUrl(topic),
    headers: topic.headers,
    credentials: topic.anonymous ? false : undefined,
    have: wire ? wire.hash : undefined,
    every_ms: Math.round(every),
  });
  // A whole address: the page's `<base>` would send this, credentials included, to another host.
  const response = await native.fetch(BASE + CONFIG.prefix + '/stream', {
    method: 'POST',
    credentials: 'include',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ client: clientId, topics: conn.list.map(ask) }),
    signal: conn.abort.signal,
  });
  const streams = /^text\/event-stream/.test(response.headers.get('content-type'));
  if (response.status !== 200 || !streams) return refused(conn);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = createSseParser((name, data) => conn.closed || onEvent(conn, name, data));
  for (;;) {
    const { done, value } = await reader.read();
    if (done || conn.closed) return;
    conn.heard = stamp();
    parser.push(decoder.decode(value, { stream: true }));
    guard(refreshChanged)();
  }
}

/** A login page, a 404, a cap: each attempt shows on the app's console, so they become rare. */
function refused(conn) {
  if (conn.closed) return;
  close(conn);
  pause(15000, 300000);
}

/** The stream is over, and nobody asked for that. */
function ended(conn) {
  if (conn.closed) return;
  // It got through and lasted: the next failure is a new one.
  if (conn.opened && age(conn.opened) > 5000) stream.failures = 0;
  close(conn);
  pause(300, 15000);
}

/** The next opening waits for `ms`, twice that after another failure, and so on to `most`. */
function pause(ms, most) {
  stream.notBefore = now() + jitter(Math.min(ms * 2 ** stream.failures++, most));
  sync();
}

function onEvent(conn, name, data) {
  if (name === 'hello') return onHello(conn, JSON.parse(data));
  if (name === 'beat') return void (conn.beat = stamp());
  if (name === 'bye') return onBye(conn, JSON.parse(data));
  const cut = data.indexOf('\n');
  const entry = cut > 0 && conn.list[+data.slice(0, cut)];
  // An event of a later version, or of no topic of ours.
  if (!entry || entry.gone) return;
  const event = JSON.parse(data.slice(cut + 1));
  if (name === 'stale') {
    entry.vouched = false;
  } else if (name === 'gone') {
    onGone(entry, event.reason);
  } else if (/^(current|snapshot|delta)$/.test(name) && !accept(conn, entry, name, event)) {
    ended(conn);
  }
}

function onHello(conn, { v, epoch, silence_ms }) {
  if (v !== 1) return refused(conn);
  if (conn.opened) return;
  conn.epoch = epoch;
  conn.silence = silence_ms;
  conn.beat = conn.opened = stamp();
  if (stream.live) close(stream.live);
  stream.live = conn;
  stream.next = null;
  watchSilence(conn);
}

function onGone(entry, reason) {
  entry.gone = true;
  entry.vouched = false;
  const { topic } = entry;
  if (reason === 'anew') distrust();
  else if (reason === 'refused' && now() - topic.refusedAt > 60000) {
    // The origin refuses this user. Once it shows the page something again, it may be another one.
    topic.refusedAt = now();
    topic.held = null;
    topic.shown = '';
  } else letGo(topic, reason === 'unwatchable' ? LONG_MS : 0);
}

function onBye(conn, { reason, retry_ms }) {
  if (reason === 'off') return switchOff(retry_ms);
  close(conn);
  stream.failures = 0;
  pause(retry_ms || 1000, Infinity);
}

/** Hidden pages let go: over HTTP/1.1 six streams would hang every other request to the host. */
function park() {
  stream.parked = true;
  native.clearTimeout(stream.timer);
  native.clearTimeout(stream.demandTimer);
  stream.timer = 0;
  closeStreams();
  // It would keep the page out of the back/forward cache.
  closeTabs();
}

function unpark() {
  stream.parked = false;
  openTabs();
  stream.visible = now();
  sync();
}
