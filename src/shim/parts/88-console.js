// What the script does and why, for whoever asks: `pollcast` on the console, and its events.
//
// `pollcast.topics()`: one object for each URL that a watch matches. Events, each with such an
// object as `detail`: `change` (the stream told a new state) and `network` (the app asked, and `why`
// the network was to answer). Silent otherwise: nothing is ever written to the console.

const outside = new W.EventTarget();

/** Why a poll of this topic can't be answered locally at this very moment; '' if it can. */
function obstacle(topic) {
  const { held } = topic;
  const conn = stream.live;
  const entry = conn?.entries.get(topic);
  if (!topic.polled) return now() < topic.quiet ? 'left alone' : 'not polled';
  if (!entry) return 'no stream';
  if (!entry.vouched) return 'stale';
  if (age(conn.beat) >= conn.silence) return 'silence';
  if (!held || held.body === undefined || entry.wire.hash !== held.hash) return 'no state';
  if (writing || conn.generation !== generation || topic.seen !== generation) return 'write';
  if (topic.seenEpoch !== conn.epoch) return 'restart';
  // Polled centrally more slowly than this app polls by now: a local answer could be too old.
  if (entry.every > topic.every * 1.25) return 'faster';
  return now() < topic.renewal ? '' : 'renewal';
}

function describe(topic) {
  const { url, every, why } = topic;
  // In quotes: names of our own are shortened, and these are everybody's.
  return {
    url,
    every,
    why,
    'polled': topic.polled,
    'state': obstacle(topic) || 'pushed',
    'hash': topic.shown,
    'local': topic.locals,
    'network': topic.networks,
  };
}

function emit(type, topic) {
  outside.dispatchEvent(new CustomEvent(type, { detail: describe(topic) }));
}

function installConsole() {
  // The app's own, or an element's id.
  if ('pollcast' in W) return;
  outside.topics = () => [...topics.values()].map(describe);
  outside.version = CONFIG.v;
  define(W, { 'pollcast': outside });
  undo.push(() => W.pollcast === outside && delete W.pollcast);
}
