// The pages of this browser, and what each of them is told.
//
// From a page: `null` (all is over), or an object. `{}`: a sign of life. Each is answered by
// `[name]`: the stream's, or '' if other pages use it too. `retry`: the network is back. `n` without
// `topics`: the view of that number is over. With `topics`: a new view of `[{id, url, at, headers,
// credentials, every, state}]`, where `at` is when the app asked for `url`, and `state` what the page
// holds (its hash alone if it came from here); `fresh`: by a stream that begins later; `ask`: where
// and as whom to ask.
// To a page: `[n, name, at, index, value]`; names are `hello` ({epoch, silence_ms}), `beat` (the
// silence), `state` ({hash, seq, status, headers} and `body` if the page doesn't hold it), `stale`
// and `gone` (a reason), `end` (ask again), `off` (when to ask for the mode).

/** `at`: the wall clock when it was heard, since a page may read this long after. */
function tell({ port, n }, name, at, index, value) {
  port.postMessage([n, name, at, index, value]);
}

function serve(port) {
  ports.set(port, now());
  // Whatever refused us before: this page may come from a login.
  failures = 0;
  notBefore = Math.min(notBefore, now() + REOPEN_MS);
  if (!sweeping) sweeping = setTimeout(sweep, PORT_MS / 2);
  port.onmessage = ({ data }) => hear(port, data);
}

/** A page speaks: a wish, the end of one, a sign of life, or (null) the end of all. */
function hear(port, wish) {
  if (wish === null) return drop(port);
  ports.set(port, now());
  answer(port);
  if (wish.retry) notBefore = Math.min(notBefore, now() + REOPEN_MS);
  else if (!wish.n) return;
  for (const view of views) if (view.port === port && view.n === wish.n) views.delete(view);
  if (wish.topics) admit(port, wish);
  soon();
}

/** The page learns that somebody is here; and the stream's name, if it is the only one to use it. */
function answer(port) {
  const conn = live || next;
  port.postMessage([conn && ports.size < 2 ? conn.name : '']);
}

function admit(port, { n, topics: list, fresh, ask }) {
  const mine = [...views].filter((view) => view.port === port);
  for (const old of mine.slice(0, Math.max(0, mine.length - VIEWS_MAX + 1))) end(old);
  const entries = new Map();
  list.forEach((wish, index) => {
    const { id, every, state } = wish;
    const known = live && live.entries.get(id);
    let topic = topics.get(id);
    // Its views may all have ended a moment ago.
    if (!topic) topics.set(id, (topic = { state: known ? known.state : null }));
    Object.assign(topic, { wish });
    // What the page was shown by the network is as good a base as any: the check decides.
    if (state && state.body !== undefined && !(known && known.verdict)) topic.state = state;
    // It may be another user's page: equal hashes leave out what is ignored, so it gets whole bodies.
    if (fresh && !state) topic.state = null;
    entries.set(id, { id, index, every, hash: state && state.hash, told: false, gone: false });
  });
  views.add({ port, n, entries, fresh, ask, born: ++serial, on: null });
}

function drop(port) {
  ports.delete(port);
  port.close();
  for (const view of views) if (view.port === port) views.delete(view);
  if (!ports.size) sweeping = clearTimeout(sweeping);
  // With its last page a worker may be frozen: no timer would run.
  if (views.size) soon();
  else reconcile();
}

/** Pages that crashed say no goodbye. */
function sweep() {
  sweeping = 0;
  for (const [port, heard] of ports) if (now() - heard > PORT_MS) drop(port);
  if (ports.size) sweeping = setTimeout(sweep, PORT_MS / 2);
}

function end(view) {
  views.delete(view);
  tell(view, 'end');
}

function join(view) {
  view.on = live;
  const { epoch, silence_ms } = live.hello;
  tell(view, 'hello', live.beat, 0, { epoch, silence_ms });
  for (const entry of view.entries.values()) say(view, entry);
  answer(view.port);
}

/** Tells a view what its stream has said of a topic. */
function say(view, entry) {
  const { verdict, reason, state } = view.on.entries.get(entry.id) || {};
  if (!verdict || entry.gone) return;
  entry.told = true;
  if (verdict !== 'state') {
    entry.gone = verdict === 'gone';
    return tell(view, verdict, 0, entry.index, reason);
  }
  const { body, ...rest } = state;
  const known = entry.hash === rest.hash;
  entry.hash = rest.hash;
  tell(view, 'state', 0, entry.index, known ? rest : { body, ...rest });
}

/** A stream is over: so is what it vouched for. */
function endViews(conn) {
  for (const view of views) if (view.on === conn) end(view);
}

function refuse(id) {
  for (const view of views) {
    const entry = view.entries.get(id);
    if (entry) entry.gone = true;
    if (entry) tell(view, 'gone', 0, entry.index, 'limit');
  }
}

function pass(conn, id) {
  for (const view of views) {
    const entry = view.on === conn && view.entries.get(id);
    if (entry) say(view, entry);
  }
}

if (host === self) self.onconnect = ({ ports: [port] }) => serve(port);
else host.serve = serve;
