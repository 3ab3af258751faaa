// The app's fetch, and what 85-xhr has in common with it.
//
// Rules: what no watch names crosses as it came (same arguments, the very promise). A watched
// answer reaches the app through one more promise only, because a handler on the native one would
// silence `unhandledrejection`.

/** Options of a request; with any other value, only the network (or the HTTP cache) can answer. */
const OPTIONS = ['cache', 'mode', 'redirect', 'credentials', 'integrity', 'keepalive', 'body'];
const PLAIN = ['default', 'no-store', 'cors', 'same-origin', 'follow', 'include'];
/** Methods that write nothing, by what HTTP says (RFC 9110 §9.2.1). */
const SAFE = /^(get|head|options)$/i;
/** Fields that make an answer depend on what the app holds, or a part of it. */
const PARTIAL = /^(range|if-.*|pollcast-.*)$/;

/**
 * Each watch's pattern, and whether this browser is in its cohort; the first that matches counts.
 */
let watches = [];
/** Timers that have written something: never run early, or each push could cause the next. */
const writers = new Set();

function installFetch() {
  const override = remembered('sessionStorage', (old) => {
    const asked = /[?&]pollcast=(on|off)(&|$)/.exec(W.location.search);
    return asked ? asked[1] : old;
  });
  const cohort = fnv1a(clientId) % 100;
  watches = CONFIG.watches.map(({ re, push, percent, ...rest }) => ({
    ...rest,
    re: RegExp(re),
    push: push && override !== 'off' && (override === 'on' || cohort < percent),
  }));
  if (!watches.some(({ push }) => push)) return false;
  patch(W, 'fetch', onFetch);
  patch(W.Navigator.prototype, 'sendBeacon', (target, self, args) => {
    // Nothing tells when a beacon has arrived.
    if (!isForeign(args[0])) {
      guard(wrote)();
      later(wrote, 2000);
    }
    return Reflect.apply(target, self, args);
  });
  installXhr();
  return true;
}

function onFetch(target, self, args) {
  const call = () => Reflect.apply(target, self, args);
  let ask = null;
  try {
    // Called on anything else it refuses.
    if (self == null || self === W) ask = inspect(args[0], args[1]);
  } catch {
    // Arguments that fetch itself will refuse.
    return call();
  }
  if (!ask) return call();
  if (ask.write) return followWrite(call());
  try {
    const plan = decide(ask);
    if (plan.local) return answerLocally(plan, ask);
    // Built here, so that it is the native fetch that fails if anything does.
    const marked = plan.mark && markedRequest(args, plan.mark);
    const answer = marked ? target.call(self, marked) : call();
    // The mark costs a preflight, which may be refused where the app's own request isn't.
    const unmarked = (reason) => {
      if (!cross || !marked || marked.signal.aborted) throw reason;
      letGo(plan.topic);
      return call();
    };
    const seen = (response) => onAnswer(response, plan);
    const safe = cross ? answer.catch(unmarked) : answer;
    return follow(safe, seen, () => onSettled(plan, false));
  } catch {
    leave();
    return call();
  }
}

/**
 * A write to another site (error reports, analytics) can neither change what this API says nor who
 * is logged in here; one to a host of the same domain can, unless the operator knows better. By the
 * last two labels: a little more than the domain is taken for the same.
 */
function isForeign(input) {
  const site = ({ hostname }) => hostname.split('.').slice(-2).join();
  try {
    const url = new URL(input.url || input, D.baseURI);
    return RegExp(CONFIG.mute).test(url.pathname)
      || ![W.origin, BASE].some((own) => site(new URL(own)) === site(url));
  } catch {
    return false;
  }
}

/** What a call asks for: null if it is none of ours, {write: true}, or {key, url, headers, …}. */
function inspect(input, init) {
  const request = input instanceof Request ? input : null;
  const option = (name) => {
    const own = init ? init[name] : undefined;
    return own === undefined && request ? request[name] : own;
  };
  const method = option('method') || 'GET';
  const pressed = now() - person.pressed < PERSON_MS && !timers.current();
  if (!/^get$/i.test(method)) {
    return SAFE.test(method) || isForeign(input) ? null : { write: true };
  }
  // Another realm's Request, or something that stringifies itself.
  if (!request && typeof input !== 'string' && !(input instanceof URL)) return null;
  const url = new URL(request ? request.url : input, D.baseURI);
  // `GET /api/logout` after a click: not known to be polled, so it may be a write.
  url.hash = '';
  const same = url.origin === BASE;
  const rest = pressed && same ? { write: true } : null;
  const watch = watches.find(({ re }) => re.test(url.pathname));
  // Other credentials than the page's; fetch refuses them.
  if (!same || !watch || !watch.push || url.username || url.password) return rest;
  if (OPTIONS.some((name) => option(name) && !PLAIN.includes(option(name)))) return rest;
  if (cross && option('mode') === 'same-origin') return rest;
  const bare = cross && option('credentials') !== 'include';
  const fields = option('headers');
  // An iterator can be read once, and that is fetch's right.
  if (fields && typeof fields.next === 'function') return rest;
  const headers = new Headers(fields);
  if ([...headers.keys()].some((name) => PARTIAL.test(name))) return rest;
  const key = keyOf(url);
  return key ? { key, url, headers, bare, signal: option('signal'), pressed, watch } : rest;
}

/**
 * {topic, local: what to answer with} or {topic, source, start, mark}. `ask.unfit` knows media
 * types that the asker can't be given.
 */
function decide(ask) {
  const topic = topicFor(ask);
  const { unfit } = ask;
  const by = query.attribution();
  const timer = timers.current();
  const ours = query.asked(topic.id, by);
  const known = topic.polled;
  weigh(topic, by, timer, ours || ask.pressed);
  const source = sourceOf(topic, by, timer);
  checkJar();
  const { held } = topic;
  // Who presses "refresh" wants the origin's word, and not one that is a poll old.
  topic.why = (ask.pressed && !ours && 'pressed') || obstacle(topic)
    || (unfit?.test(typeOf(held)) ? 'media type' : '');
  if (!topic.why) {
    topic.locals++;
    source.answered = now();
    topic.shown = held.hash;
    // The app's library learns of the end as it would from the network: after it has seen the
    // answer.
    microtask(guard(() => query.settled(topic.id)));
    return { topic, local: held };
  }
  topic.networks++;
  // An app that clears all timers there are clears ours, too.
  if (stream.port && now() - stream.heard > 2 * DEAD_MS) {
    stream.timer = 0;
    alive();
  }
  emit('network', topic);
  topic.inflight++;
  // Nothing but the origin itself knows what a write has changed, whichever way the write went.
  const renew = topic.shown
    && (ask.pressed || now() >= topic.renewal || topic.seen !== generation);
  const mark = topic.polled && clientId + (renew ? ';renew' : '');
  return { topic, source, mark, unfit, start: beginRead(topic), write: ask.pressed && !known };
}

const typeOf = ({ headers }) => new Headers(headers).get('content-type') || '';

function markedRequest([input, init], mark) {
  try {
    const request = new Request(input, init);
    request.headers.set('Pollcast-Client', mark);
    return request;
  } catch {
    // What fetch will refuse.
    return null;
  }
}

/** Passes an answer of the network on to the app, through `seen`; `failed` learns of a failure. */
function follow(answer, seen, failed) {
  return answer.then(
    (response) => {
      try {
        return seen(response);
      } catch {
        leave();
        return response;
      }
    },
    (reason) => {
      guard(failed)();
      throw reason;
    },
  );
}

function onAnswer(response, plan) {
  const marked = response.headers.has('Pollcast-State');
  const state = judge(response, plan);
  if (!state) {
    onSettled(plan, true);
    return marked ? withoutState(response) : response;
  }
  keep(response.clone(), state, plan).then(
    () => guard(onSettled)(plan, true),
    // The app aborted, or the connection broke.
    () => guard(onSettled)(plan, false),
  );
  return withoutState(response);
}

/** What an answer of the network says of its topic; the state it carries, if that counts. */
function judge({ status, statusText, redirected, headers }, { topic, mark, start, unfit }) {
  const slow = now() - start.at > SLOW_MS;
  const type = headers.get('content-type');
  const fits = HOLDABLE.test(type) && !unfit?.test(type);
  topic.fit = status === 200 && !redirected && !slow && fits;
  const state = mark && readState(headers.get('Pollcast-State'));
  if (!state || slow) {
    // Marked, good, and still no state: it can't be pushed, as far as the proxy can see.
    if (mark && (slow || status === 200)) letGo(topic);
    // What was held is not what the origin says now.
    topic.seen = -1;
    return null;
  }
  const fields = [...headers].filter(([name]) => name !== 'pollcast-state');
  topic.statusText = statusText;
  return Object.assign(state, { headers: fields, status });
}

/** `<state hash>;seq=<n>;epoch=<id>` */
function readState(value) {
  const found = /^(\w+);seq=(\d+);epoch=(\w+)$/.exec(value || '');
  return found && { hash: found[1], seq: +found[2], epoch: found[3] };
}

async function keep(copy, state, plan) {
  const bytes = await copy.arrayBuffer();
  try {
    // text() would drop a byte order mark and mend broken UTF-8: then it isn't what the origin
    // sent.
    state.body = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return letGo(plan.topic, LONG_MS);
  }
  if (bytes.byteLength > CONFIG.body) return letGo(plan.topic, LONG_MS);
  hold(state, plan);
}

function hold(state, { topic, start }) {
  if (!active || !topic.polled) return;
  topic.penalty = 0;
  guard(learn)(topic, state, start);
  sync();
}

function onSettled({ topic, source, write }, answered) {
  topic.inflight--;
  if (answered) source.answered = now();
  if (write) wrote();
  query.settled(topic.id);
  const { held } = topic;
  // Overtaken by what the stream said. After a failure another request would but fail again.
  const late = answered && topic.seen === generation && held && held.hash !== topic.shown;
  if (topic.dirty || late) refresh(topic);
}

/** The native response, but for the field that the app has never heard of. */
function withoutState(response) {
  const headers = new Headers(response.headers);
  headers.delete('Pollcast-State');
  const clone = response.clone;
  return define(response, {
    headers,
    clone: () => withoutState(clone.call(response)),
  });
}

function answerLocally({ topic: { statusText }, local }, { url, signal }) {
  const response = new Response(local.body, { ...local, statusText });
  // A microtask later, because an abort in the same task as the call must reject.
  return Promise.resolve(dress(response, local.body, url.href, signal)).then((answer) => {
    if (signal?.aborted) throw signal.reason;
    return answer;
  });
}

/** What a constructed Response lacks. Readers resolve in microtasks, or the app flickers. */
function dress(response, body, url, signal) {
  const { clone } = response;
  const again = () => dress(clone.call(response), body, url, signal);
  const members = { url, type: cross ? 'cors' : 'basic', clone: again };
  for (const name of ['text', 'json', 'arrayBuffer', 'blob', 'bytes', 'formData']) {
    const reader = response[name];
    members[name] = () => {
      // Read before, or locked: the native reader has the right error. Aborted: it hasn't.
      if (response.bodyUsed || response.body.locked) return reader.call(response);
      if (signal?.aborted) return Promise.reject(signal.reason);
      const parse = { text: String, json: JSON.parse }[name];
      if (!parse) return reader.call(response);
      // Locked for good, as after a native read.
      response.body.getReader().cancel();
      return Promise.resolve(body.replace(/^\ufeff/, '')).then((text) => parse(text));
    };
    // Not in every browser.
    if (!reader) delete members[name];
  }
  return define(response, members);
}

/** Once a write has settled, only the network knows. */
function followWrite(answer) {
  noteWriter();
  return follow(answer, (response) => (wrote(), response), wrote);
}

const noteWriter = guard(() => {
  const timer = timers.current();
  if (timer) writers.add(timer.id);
  if (now() - person.acted > PERSON_MS) wroteAlone = now();
});

/** Makes the app look at a topic now: its own library first, else the timers that poll it. */
function refresh(topic) {
  topic.dirty = D.hidden || topic.inflight > 0;
  if (topic.dirty || !topic.polled) return;
  // What asks writes too, and that is the next change: no more of them than the app makes itself.
  if (topic.echo > 2 && now() - topic.refreshed < topic.every) return;
  topic.echo *= 0.7;
  topic.refreshed = now();
  // Nobody, the app's library, or its timers too.
  const { look } = topic.watch;
  if (!look || query.refresh(topic.id) > 0 || look < 2) return;
  for (const { timer, asked } of topic.sources.values()) {
    const still = topic.refreshed - asked < Math.max(10000, 3 * topic.every);
    if (timer && still && !writers.has(timer.id)) timer.run();
  }
}

function refreshChanged() {
  const list = [...changed];
  changed.clear();
  for (const topic of list) refresh(topic);
}
