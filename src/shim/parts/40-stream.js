// This page's part of the event stream: what it wants, and what it is told.
//
// All pages of a browser share one stream, which a SharedWorker holds (`worker/`); where there is
// none, the page holds its own. Here a `conn` is this page's view of it.
//
// Rules: a view's topics never change, so another set means another view (the old one goes once the
// new one said `hello`). A view that ends or falls silent vouches for nothing from that instant;
// the app polls the network until the next one is up.

/** How often a sign of life is asked for, and how long a worker may owe it. */
const ALIVE_MS = 2000;
const DEAD_MS = 7000;

const stream = {
  /** The view that vouches. */
  live: null,
  /** The one being opened. */
  next: null,
  /** Nobody looks at this page, or it is in the back/forward cache. */
  parked: false,
  /** The timers of the next reconcile() and of the next look at the demand. */
  timer: 0,
  demandTimer: 0,
  /** When the page came back: while it was away, nobody asked. */
  visible: 0,
  /** The worker's port, when it was heard last, and how often it was lost before a word. */
  port: null,
  heard: 0,
  /** Name of the stream, if no other page uses it. */
  lone: '',
  deaf: 0,
  serial: 0,
  /** Generation of the last view that a stream took which began after that view was asked for. */
  fresh: -1,
};

/**
 * Brings the stream in line with what the app polls; soon, so that several topics share one
 * opening.
 */
function sync() {
  if (active && !stream.parked) stream.timer ||= later(reconcile, 25);
}

function reconcile() {
  stream.timer = 0;
  if (!active || stream.parked) return;
  const want = wanted();
  if (!want.length) return closeStreams();
  stream.demandTimer ||= later(alive, ALIVE_MS);
  if (!covers(stream.next || stream.live, want)) open(want);
}

/** A worker that died says nothing, ever. */
function alive() {
  native.clearTimeout(stream.demandTimer);
  stream.demandTimer = 0;
  if (stream.port && now() - stream.heard > DEAD_MS) lose();
  tellWorker({});
  sync();
}

/**
 * The topics that the app still polls: three cadences of silence mean that it has stopped. Where a
 * stream can't have them all, those that it has stay.
 */
function wanted() {
  const at = now();
  const conn = stream.next || stream.live;
  const there = (topic) => conn?.entries.has(topic);
  const demanded = ({ asked, every }) =>
    at - Math.max(asked, stream.visible) < Math.max(10000, 3 * every);
  return [...topics.values()]
    .filter((topic) => topic.polled && topic.shown && demanded(topic))
    .sort((a, b) => there(b) - there(a) || b.asked - a.asked)
    .slice(0, CONFIG.cap);
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
  // A page in the back/forward cache may have no port.
  dropPort();
}

function dropPort() {
  tellWorker(null);
  stream.port?.close();
  stream.port = null;
}

function close(conn) {
  if (stream.live === conn) stream.live = null;
  if (stream.next === conn) stream.next = null;
  tellWorker({ n: conn.n });
}

function open(want) {
  if (stream.next) close(stream.next);
  checkJar();
  const conn = {
    n: ++stream.serial,
    /** Topic → {topic, every, wire, vouched, gone}; in the order of the request. */
    entries: new Map(),
    generation,
    epoch: '',
    /** When the stream last said `beat` or `hello`. */
    beat: null,
    silence: 0,
  };
  for (const topic of want) {
    // Of what an XMLHttpRequest showed we may have no body. And where a hash stands for a part only,
    // another user's body may be another one.
    const { held, watch } = topic;
    const known = held?.body !== undefined && (!watch.part || held.generation === generation);
    const wire = known ? held : null;
    conn.entries.set(topic, { topic, every: topic.every, wire, vouched: false, gone: false });
  }
  conn.list = [...conn.entries.values()];
  // What was opened before the last write may be another user's.
  const fresh = stream.fresh !== generation;
  stream.next = conn;
  // The worker has the body of what it told us last.
  const known = ({ topic, wire }) => wire?.hash === topic.told;
  const state = (entry) => known(entry) ? { hash: entry.wire.hash } : entry.wire;
  const list = conn.list.map((entry) => {
    const { id, url, asked, headers, anonymous } = entry.topic;
    const at = Date.now() - (now() - asked);
    const credentials = anonymous ? false : undefined;
    return { id, url, at, headers, credentials, every: entry.every, state: state(entry) };
  });
  const url = BASE + CONFIG.prefix + '/stream';
  const ask = { url, client: clientId, most: CONFIG.cap, foreign: cross };
  tellWorker({ n: conn.n, topics: list, fresh, ask });
}

function tellWorker(message) {
  if (message?.topics) stream.port ||= connect();
  stream.port?.postMessage(message);
}

/** A port to the worker that all pages share, or to the same code in this page. */
function connect() {
  stream.heard = now();
  const url = BASE + CONFIG.prefix + '/worker.js?' + CONFIG.worker;
  // `data-alone`: the page's policy forbids workers, as far as the proxy can see.
  if (!cross && stream.deaf < 2 && !(script && 'alone' in script.dataset)) {
    try {
      const worker = new W.SharedWorker(url, { name: 'pollcast' });
      // A policy forbids it, or it can't be fetched.
      worker.onerror = guard(() => {
        stream.deaf = 2;
        lose();
      });
      return listenTo(worker.port);
    } catch {
      // None here, or Trusted Types.
      stream.deaf = 2;
    }
  }
  const { port1, port2 } = new W.MessageChannel();
  const serve = () => natives.serve(port2);
  if (natives.serve) serve();
  // A module that couldn't be fetched is remembered as such.
  else import(url + '&' + stream.serial).then(serve).catch(() => later(lose, jitter(15000)));
  return listenTo(port1);
}

function listenTo(port) {
  port.onmessage = guard(({ data }) => {
    if (port !== stream.port) return;
    stream.heard = now();
    if (stream.deaf < 2) stream.deaf = 0;
    if (data.length > 1) onWord(...data);
    else stream.lone = data[0];
  });
  return port;
}

/** The worker is gone: whatever it vouched for is over. */
function lose() {
  stream.deaf++;
  dropPort();
  stream.live = stream.next = null;
  sync();
}

function onWord(n, name, at, index, value) {
  const conn = [stream.live, stream.next].find((it) => it?.n === n);
  if (!conn) return;
  const entry = conn.list[index];
  if (name === 'hello') {
    conn.epoch = value.epoch;
    if (stream.live && stream.live !== conn) close(stream.live);
    stream.live = conn;
    stream.next = null;
    // Not when it was asked for: a view that another one replaces is never told of.
    stream.fresh = conn.generation;
    value = value.silence_ms;
  }
  if (name === 'beat' || name === 'hello') {
    conn.silence = value;
    // It may have waited long for us: this page was frozen.
    conn.beat = { mono: now() - Math.max(0, Date.now() - at), wall: at };
  }
  if (name === 'stale') entry.vouched = false;
  if (name === 'gone') onGone(entry, value);
  if (name === 'state') {
    accept(conn, entry, value);
    microtask(guard(refreshChanged));
  }
  if (name === 'off') switchOff(value);
  if (name === 'end') {
    close(conn);
    sync();
  }
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

/** Kept for "back", a page takes the worker along that it alone uses: both stand still at once. */
function putAside({ persisted }) {
  const url = BASE + CONFIG.prefix + '/leave/' + stream.lone;
  if (persisted && stream.lone) native.fetch(url, { method: 'POST', keepalive: true }).catch(noop);
  park();
}

/** Hidden pages let go: nobody looks, and where each page has its own stream, six hang a host. */
function park() {
  if (!stream.parked) {
    // What the app has left by now doesn't come back with the page.
    const kept = wanted();
    for (const topic of topics.values()) topic.polled &&= kept.includes(topic);
  }
  stream.parked = true;
  native.clearTimeout(stream.timer);
  native.clearTimeout(stream.demandTimer);
  stream.timer = stream.demandTimer = 0;
  closeStreams();
  // It would keep the page out of the back/forward cache. So this page won't hear who else writes.
  closeTabs();
}

function unpark() {
  if (stream.parked) {
    stream.visible = now();
    generation++;
  }
  stream.parked = false;
  openTabs();
  sync();
}
