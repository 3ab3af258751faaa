// Is this URL polled? Only evidence counts, because asking for a URL can have effects.
//
// Rule: the same topic is asked again, and the app's library says that it polls, or one of the
// app's timers asked, or three requests came at a regular gap. What a person does is never
// evidence, and neither is a request that follows its own last answer at once: a long poll or a
// loop, which would spin if it were answered locally.

/** A request this soon after a person did something may be that person's doing. */
const PERSON_MS = 1000;
/** A request this soon after its own answer waited for nothing but that answer. */
const LOOP_MS = 50;
/** A request this soon after refresh() is our own doing. */
const REFRESH_MS = 250;
/** An answer that took longer was held back by the origin: a long poll. */
const SLOW_MS = 5000;

const person = {
  /**
   * When a person last did anything that makes apps ask: input of any kind, coming back to the
   * page.
   */
  acted: -Infinity,
  /** When a person last pressed something: what is asked then may have an effect. */
  pressed: -Infinity,
};

/** When the page last wrote and no person had done anything. */
let wroteAlone = -Infinity;

const ACTS =
  'pointerdown pointerup keydown keyup input paste touchend wheel click submit change drop' +
  ' focus online popstate hashchange visibilitychange';

function watchPerson() {
  const note = ({ type, isTrusted, target, key }) => {
    // An element gets the focus by scripts too.
    if (!isTrusted || (type === 'focus' && target !== W)) return;
    person.acted = now();
    if (/^(click|submit|change|drop)$/.test(type) || key === 'Enter') person.pressed = now();
  };
  for (const type of ACTS.split(' ')) listen(W, type, note, { capture: true, passive: true });
}

/** Text that stands for a state; event streams and line formats grow without end. */
const HOLDABLE =
  /^(text\/(?!event-str|.*(ndjson|jsonl))[^;]+|application\/((?!str)[^;]+\+)?(json|xml)) *(;|$)/i;

/**
 * The app asks for a topic: `query` and `timer` say who, as far as that is known, `forced` whether
 * we or a person made it.
 */
function weigh(topic, query, timer, forced) {
  const at = now();
  const again = topic.asked > -Infinity;
  topic.asked = at;
  const source = sourceOf(topic, query, timer);
  const gap = at - source.asked;
  source.asked = at;
  // Proves nothing: somebody made the app ask, or its timers are throttled.
  if (forced || at - topic.refreshed < REFRESH_MS || D.hidden) return void (source.gap = 0);
  if (isLoop(topic, source, timer, at)) return;
  // After a write an app reads at once, and the network answers: no spin, however often.
  if (topic.polled && topic.seen === generation && isRush(topic, source, gap)) return;
  const every = again ? cadence(source, gap, query, timer, at) : 0;
  // A person's request breaks the row of three.
  source.gap = at - person.acted < PERSON_MS ? 0 : gap;
  if (!every) return;
  source.every = every;
  topic.every = Math.max(CONFIG.min_ms, fastest(topic, at));
  if (topic.fit && at >= topic.quiet) topic.polled = true;
}

function sourceOf(topic, query, timer) {
  const id = query ? query.id : timer ? 'timer ' + timer.id : '';
  let source = topic.sources.get(id);
  if (!source) {
    // A page that starts a new timer for each request would fill the map.
    if (topic.sources.size >= 16) topic.sources.delete(topic.sources.keys().next().value);
    source = {
      asked: -Infinity, answered: -Infinity, gap: 0, every: 0, loops: 0, rushes: 0, timer: null,
    };
    topic.sources.set(id, source);
  }
  if (timer) source.timer = timer;
  return source;
}

function isLoop(topic, source, timer, at) {
  // setInterval doesn't wait for answers.
  const loop = at - source.answered < LOOP_MS && !timer?.repeat;
  source.loops = loop ? source.loops + 1 : 0;
  if (source.loops > 1) letGo(topic, LONG_MS);
  return loop;
}

/**
 * Much faster than its cadence, more than twice in a row: whatever that is, it isn't the poll we
 * know.
 */
function isRush(topic, source, gap) {
  source.rushes = gap < topic.every / 4 ? source.rushes + 1 : 0;
  if (source.rushes > 2) letGo(topic);
  return source.rushes > 2;
}

/** How often this source polls in ms; 0 if this request is no evidence that it does. */
function cadence(source, gap, query, timer, at) {
  if (query?.interval > 1) return query.interval;
  const calm = at - person.acted;
  // A one-shot timer that a person started (a debounced input, an undo delay) asks once for each
  // thing done.
  if (timer && (timer.repeat || calm > timer.delay + PERSON_MS)) return timer.delay;
  const [shorter, longer] = gap < source.gap ? [gap, source.gap] : [source.gap, gap];
  const regular = shorter >= 250 && longer < Infinity && longer - shorter <= longer / 4;
  if (regular && calm >= PERSON_MS) return shorter;
  // The library computes the interval anew each time: known to poll, not yet how often.
  return query?.interval ? source.every || 1000 : 0;
}

/** The cadence of the fastest source that still polls. */
function fastest(topic, at) {
  let least = Infinity;
  for (const { every, asked } of topic.sources.values()) {
    if (every && every < least && at - asked <= 3 * every + 1000) least = every;
  }
  return least;
}
