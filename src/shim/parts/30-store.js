// What the page knows of each topic, and which of two states is the newer one.
//
// Rules: a state counts only if it was read after this page's last write settled (`generation`).
// Within one epoch and one generation `seq` orders states; across either nothing does, and the
// network decides.

/** How many topics are remembered: a page that asks a thousand URLs keeps the ones it polls. */
const TOPICS_MAX = 200;
/** How long a URL is left alone that must never be polled (a long poll, a loop, a refusal). */
const LONG_MS = 1800000;

/** A time in the URL that is younger is no key of anything that could be polled for all. */
const CURSOR_MS = 60000;

/**
 * A change so soon after a write that no person made, of what the app was just made to look at, may
 * be its doing: on the stream that follows a write, too.
 */
const ECHO_MS = 2000;

/** Topics by id: the key of the URL, then the fields that the app set, each on a line. */
const topics = new Map();
/** Topics whose state changed since the app last saw one: refreshed once the chunk is through. */
const changed = new Set();
/**
 * Counts this page's settled writes. Any write may be a login, and seq numbers of two identities
 * can't be compared; so what was learnt before a write is worth nothing after it.
 */
let generation = 0;
/**
 * Writes by XMLHttpRequest on their way: nothing is answered here meanwhile. Listeners of such an
 * object run in the order of their registration, so the app may hear of the end before us.
 */
let writing = 0;

/**
 * Fields that never change what an origin answers; a new value in each request would split topics.
 * `Cache-Control` and `Pragma` aren't among them: a poll that always sends them is a topic like any
 * other, but a request that sends them for once ("reload") asks for the origin's word.
 */
const IRRELEVANT =
  /^(baggage|sentry-trace|trace(parent|state)|x-((correlation|request)-id))$/;

function relevant([name]) {
  const listed = (field) =>
    field.endsWith('*') ? name.startsWith(field.slice(0, -1)) : name === field;
  return !IRRELEVANT.test(name) && !CONFIG.skip.some(listed);
}

/** How far a parameter's value is from now, if it is a time in s or ms. */
function skew(part) {
  const value = part.slice(part.indexOf('=') + 1);
  const unit = value[10] ? 1 : 1000;
  return /^\d{10}(\d{3})?$/.test(value) ? Math.abs(Date.now() - value * unit) : Infinity;
}

/**
 * Path and query without cache busters: configured names with a long number in the value (`_=books`
 * is a question), and values that are the clock's, made for this request. '' if there is a time that
 * is neither that nor long ago: `since=` the last poll, which the proxy could take for one.
 */
function keyOf({ pathname, search }) {
  const named = (part) => /=.*\d{8}/.test(part) && CONFIG.busters.includes(part.split('=')[0]);
  const asked = search.slice(1).split('&').filter((part) => !named(part));
  const rest = asked.filter((part) => skew(part) > (/\d{13}$/.test(part) ? 250 : 999));
  return rest.some((part) => skew(part) < CURSOR_MS) ? '' : pathname + '?' + rest.join('&');
}

/** The topic of a request: the same URL with other fields (Authorization) is another topic. */
function topicFor({ key, url, headers, bare, watch }) {
  const fields = [...headers].filter(relevant);
  if (!headers.has('accept')) fields.push(['accept', '*/*']);
  fields.sort((a, b) => (a[0] < b[0] ? -1 : 1));
  const id = [key, bare, ...fields.map((field) => field.join(': '))].join('\n');
  let topic = topics.get(id);
  if (!topic) {
    if (topics.size >= TOPICS_MAX) forgetOldest();
    topic = newTopic(id, fields, bare);
    topics.set(id, topic);
  }
  topic.url = url.pathname + url.search;
  topic.watch = watch;
  return topic;
}

function newTopic(id, headers, anonymous) {
  return {
    id,
    /** Path and query as the app asked last, busters and all. */
    url: '',
    headers,
    /** The app asks another host, and without cookies. */
    anonymous,
    /** When the app asked last, answered by whom ever. */
    asked: -Infinity,
    /** Who asks: query id, timer id or '' → see 70-evidence.js. */
    sources: new Map(),
    /** The last answer of the network: could it be pushed, by all that can be seen of it? */
    fit: false,
    /** Evidence says that the app polls this. */
    polled: false,
    /** Until when this is left alone, and how long it was last time (doubles). */
    quiet: -Infinity,
    penalty: 0,
    /** When the origin refused it last. */
    refusedAt: -Infinity,
    /** The app's cadence. */
    every: CONFIG.min_ms,
    /** The newest state: {hash, seq, epoch, body (where it's known), headers, status}. */
    held: null,
    /** Generation and epoch of the last answer from the network that carried a state. */
    seen: -1,
    seenEpoch: '',
    /** Of the last answer of the network: events carry none. */
    statusText: '',
    /** When the next real poll is due. */
    renewal: -Infinity,
    /** Hash of the state that the stream told last. */
    told: '',
    /** State hash that the app saw last. */
    shown: '',
    /** When we last made the app ask. */
    refreshed: -Infinity,
    /** Changes that may come of that; they fade with each time that there is none. */
    echo: 0,
    /** Its own requests that are on their way. */
    inflight: 0,
    /** A change came while the app couldn't be made to look. */
    dirty: false,
    /** How often it was answered here, and by the network; and why the last time by that. */
    locals: 0,
    networks: 0,
    why: '',
  };
}

/** One that was polled if need be: a cursor in the URL makes one after the other. */
function forgetOldest() {
  const [oldest] = [...topics.values()].sort((a, b) => a.polled - b.polled || a.asked - b.asked);
  topics.delete(oldest.id);
}

/** Leaves a topic to the network: for `ms`, or for a minute, then two, four … an hour at most. */
function letGo(topic, ms) {
  if (!ms) topic.penalty = Math.min(topic.penalty * 2 || 60000, 3600000);
  topic.quiet = now() + (ms || topic.penalty);
  topic.polled = false;
  topic.held = null;
  topic.seen = -1;
  topic.sources.clear();
  changed.delete(topic);
  sync();
}

/** From here on the network is asked until it showed the topic again. */
function distrust() {
  generation++;
  if (stream.live || stream.next) sync();
}

/** A write of this page has settled. */
function wrote() {
  distrust();
  tellTabs();
}

/** The cookies that tell users apart, as far as a page can see them. */
function readJar() {
  try {
    const all = D.cookie.split('; ');
    const named = (pair) => CONFIG.cookies.includes(pair.split('=')[0]);
    return String(CONFIG.cookies ? all.filter(named) : all);
  } catch {
    return '';
  }
}

let jar = readJar();

/** With other cookies the app may be another user's, whoever changed them. */
function checkJar() {
  const fresh = readJar();
  if (fresh === jar) return;
  jar = fresh;
  distrust();
}

/** The other pages of this browser: what is written in one may be a login for all. */
let tabs = null;

function openTabs() {
  if (tabs || !W.BroadcastChannel) return;
  tabs = new W.BroadcastChannel('pollcast' + CONFIG.prefix);
  tabs.onmessage = guard(distrust);
}

function closeTabs() {
  tabs?.close();
  tabs = null;
}

function tellTabs() {
  openTabs();
  tabs?.postMessage(0);
  if (stream.parked) closeTabs();
}

/** What a network answer is compared with when it comes: taken as its request starts. */
function beginRead(topic) {
  const { held } = topic;
  return { generation, epoch: held?.epoch, seq: held?.seq, at: now() };
}

/** True if `seq` says which of two states is the newer one. */
function comparable(held, state) {
  return held?.epoch === state.epoch && held.generation === generation;
}

/** An answer of the network that carried a state has been read to its end. */
function learn(topic, state, start) {
  topic.shown = state.hash;
  // It began before a write settled: it may show what was before the write.
  if (start.generation !== generation) return;
  const { held } = topic;
  const ordered = comparable(held, state);
  if (ordered && start.epoch === state.epoch && start.seq > state.seq) {
    // Each answer is observed before it is sent on, so its seq can't be below what was known when
    // it was asked for. It is: then this is another identity's topic, and the stream still speaks
    // for the old one.
    topic.held = null;
    distrust();
    return;
  }
  topic.seen = generation;
  topic.seenEpoch = state.epoch;
  topic.renewal = now() + jitter(CONFIG.renew_ms);
  if (ordered && state.seq < held.seq) return;
  // Equal states may differ in ignored members; deltas are built on the bytes that the stream sent,
  // if that was for the same user.
  const entry = stream.live?.entries.get(topic);
  for (const known of [held, entry?.wire]) {
    const same = known?.hash === state.hash && known.generation === generation;
    if (same) state.body = known.body ?? state.body;
  }
  // Not every answer lets us read its text: then the stream sends it.
  topic.held = { ...state, generation };
}

/**
 * The stream says what a topic's state is. `entry.wire` is what it has told this view: a state
 * without a body is that one.
 */
function accept(conn, entry, event) {
  const { topic, wire } = entry;
  if (event.body === undefined && !wire) return;
  const state = { ...wire, ...event, epoch: conn.epoch, generation: conn.generation };
  // Of the body before.
  state.size = undefined;
  entry.wire = state;
  entry.vouched = state.status === 200;
  topic.told = state.hash;
  // Opened before the last write: it may speak for another identity. Worth a look, not worth
  // keeping.
  if (conn.generation === generation && entry.vouched) {
    if (comparable(topic.held, state) && state.seq < topic.held.seq) return;
    topic.held = state;
  }
  if (topic.shown === state.hash) return;
  if (now() - Math.min(topic.refreshed, wroteAlone) < ECHO_MS) topic.echo++;
  changed.add(topic);
  emit('change', topic);
}
