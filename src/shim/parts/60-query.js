// The app's libraries, found without the app's help: who of them asked for which topic, and asking
// again for exactly those. An asker is { isIdle(), intervalOf(), ask() } of one query; here are the
// askers of TanStack's clients (React Query v3, v4, v5; Vue Query), in 65-libraries.js all others.
//
// Ways in: the hook for React's developer tools, which React calls in production too; the property
// React leaves on its root elements; `__vue_app__`. The cache says `fetch` before it calls the
// query function, in all three majors. Refreshed is only what polls by itself (an enabled observer
// with a refetchInterval): an edit form must not start to refresh because the same URL is polled
// elsewhere.

const query = (() => {
  const HOOK = '__REACT_DEVTOOLS_GLOBAL_HOOK__';
  const EAGER_COMMITS = 20, LOOK_MS = 2000, LOOK_AGAIN_MS = 10000;
  const FIBERS_MAX = 20000, ELEMENTS_MAX = 300, TOPICS_MAX = 500, FLYING_MAX = 1000;
  const AGAIN_MS = 50, SCAN_MS = 250;
  const trail = createTrail();
  // Caches we listen to → what ends it.
  const caches = new Map();
  // React's roots: their trees are walked.
  const roots = new Set();
  // Askers with a fetch under way, or lately so.
  const flying = new Set();
  // Those that were in flight at the last call that nobody was seen making.
  let earlier = flying;
  // Topic key → { exact: askers seen asking for it; maybe, streak: in flight at each of the last
  // calls of it }.
  let topics = new Map();
  // TanStack's query → its asker; learnt: delay of the timer that runs it.
  let notes = new WeakMap();
  let inside = null, commits = 0, scannedAt = -Infinity;
  let hook = null, chained = null;
  let made = false, placed = false;

  // Some clients of other kinds (tRPC, Comlink) are proxies that have any member.
  const isClient = (it) => !!it && typeof it === 'object' && typeof it.getQueryCache === 'function'
    && typeof it.invalidateQueries === 'function' && typeof it.setQueryData === 'function';

  // v3 has no fetchStatus.
  const isIdle = ({ state: { fetchStatus, isFetching } }) =>
    (fetchStatus === undefined ? !isFetching : fetchStatus === 'idle');

  /** With it, again: refresh once it settles; own: it is fetching for us. */
  const createAsker = (isIdle, intervalOf, ask) =>
    ({ isIdle, intervalOf, ask, again: false, own: false });

  function note(asking, cache) {
    let it = notes.get(asking);
    const gone = () => cache && cache.get(asking.queryHash) !== asking;
    if (!it) {
      notes.set(asking, it = createAsker(
        () => isIdle(asking),
        () => (gone() || asking.state.fetchStatus === 'paused' ? 0 : intervalOf(asking)),
        () => asking.fetch(undefined, { cancelRefetch: false }),
      ));
    }
    return it;
  }

  /** Runs `fn`: what it asks for, `it` does. */
  function within(it, fn) {
    const before = inside;
    inside = it;
    try { return fn(); } finally { inside = before; }
  }

  // Marks what runs inside the query function, to the end of its synchronous part. The function is
  // put back before it runs. A window up to the next microtask instead would also take in what the
  // next effect of the page asks for.
  function watchFunction(asking, it) {
    const { options } = asking, native = options?.queryFn;
    if (typeof native !== 'function') return;
    const restore = () => { if (options.queryFn === ours) options.queryFn = native; };
    const ours = function (...args) {
      restore();
      return within(it, () => native.apply(this, args));
    };
    try { options.queryFn = ours; } catch { return; }
    microtask(restore);
  }

  function started(asking, cache) {
    const it = note(asking, cache), timer = timers.current();
    if (timer?.repeat) it.learnt = timer.delay;
    fly(it);
    watchFunction(asking, it);
  }

  function fly(it) {
    if (flying.size >= FLYING_MAX) flying.clear();
    flying.add(it);
  }

  function ended(it) {
    flying.delete(it);
    it.own = false;
    if (!it.again) return;
    it.again = false;
    // A query leaves its running state only after it told us.
    microtask(() => { if (active) ask(it); });
  }

  // For libraries that don't tell.
  function waitFor(it) {
    later(() => {
      if (it.isIdle()) ended(it);
      else if (active) waitFor(it);
    }, AGAIN_MS);
  }

  function heard(event, cache) {
    const { type, action, query: asking } = event || {};
    if (!asking) return;
    if (type === 'removed' || type === 'queryRemoved') forget(notes.get(asking));
    else if (action?.type === 'fetch') started(asking, cache);
    else if (action && isIdle(asking)) ended(note(asking, cache));
  }

  function forget(it) {
    flying.delete(it);
    for (const topic of topics.values()) {
      topic.exact.delete(it);
      topic.maybe.delete(it);
    }
  }

  function hear(client) {
    const cache = client.getQueryCache();
    if (!cache || caches.has(cache)) return;
    caches.set(cache, cache.subscribe(guard((event) => { if (active) heard(event, cache); })));
  }

  function walk(root, left) {
    for (let fiber = root; fiber && left-- > 0;) {
      const props = fiber.memoizedProps;
      if (isClient(props?.client)) hear(props.client);
      else if (isClient(props?.value)) hear(props.value);
      libraries.lookAt(fiber, props);
      if (fiber.child) fiber = fiber.child;
      else {
        while (fiber && fiber !== root && !fiber.sibling) fiber = fiber.return;
        fiber = fiber && fiber !== root ? fiber.sibling : null;
      }
    }
    return left;
  }

  // All trees, unless that was done less than `ms` ago.
  function scan(ms) {
    if (now() - scannedAt < ms) return;
    scannedAt = now();
    if (!caches.size) look();
    libraries.begin();
    let left = FIBERS_MAX;
    for (const root of roots) {
      // Which of its two trees is the current one changes with each commit.
      const { current } = root;
      if (!current?.child) roots.delete(root);
      else left = walk(current, left);
    }
  }

  // The first commits hold the provider and come before the first fetch. Later on a client is rare,
  // and a full walk of a large page costs milliseconds.
  function committed(root) {
    roots.add(root);
    const rest = caches.size ? LOOK_AGAIN_MS : LOOK_MS;
    scan(++commits > EAGER_COMMITS ? rest : 0);
  }

  function lookAt(element) {
    const provided = element.__vue_app__?._context?.provides?.VUE_QUERY_CLIENT;
    if (isClient(provided)) hear(provided);
    const name = Object.keys(element).find((key) => key.startsWith('__reactContainer$'));
    const root = element[name]?.stateNode;
    if (root) roots.add(root);
  }

  // For Vue, for an app that neutered the hook, and for a script that came after React.
  function look() {
    const { body } = D;
    lookAt(D);
    if (!body) return;
    const near = [body, ...body.children];
    for (const child of body.children) near.push(...child.children);
    near.slice(0, ELEMENTS_MAX).forEach(lookAt);
  }

  function onCommitFiberRoot(id, root) {
    if (active) guard(committed)(root);
    if (chained) return chained.apply(this, arguments);
  }

  function installHook() {
    // Others chained to ours and call it still: to chain to them would close a circle.
    if (placed) return;
    placed = true;
    hook = W[HOOK];
    if (!hook) {
      // No onCommitFiberUnmount: React 17 and 18 would call it once per unmounted fiber.
      const renderers = new Map();
      const inject = (renderer) => renderers.set(renderers.size + 1, renderer).size;
      hook = { renderers, supportsFiber: true, checkDCE() {}, inject, onCommitFiberRoot };
      define(W, { [HOOK]: hook });
      made = true;
    } else {
      chained = typeof hook.onCommitFiberRoot === 'function' ? hook.onCommitFiberRoot : null;
      hook.onCommitFiberRoot = onCommitFiberRoot;
    }
  }

  // A React that met our hook keeps it: then it stays, and does nothing while we are off.
  function uninstallHook() {
    if (!placed || hook.onCommitFiberRoot !== onCommitFiberRoot) return;
    if (made) {
      if (hook.renderers.size || W[HOOK] !== hook) return;
      delete W[HOOK];
    } else if (chained) hook.onCommitFiberRoot = chained;
    else delete hook.onCommitFiberRoot;
    placed = made = false;
    chained = null;
  }

  function observerInterval(observer, asking) {
    const { refetchInterval, enabled, queryFn } = observer.options || {};
    const is = typeof enabled === 'function' ? enabled(asking) : enabled;
    if (is === false || typeof queryFn === 'symbol' || !refetchInterval) return 0;
    if (typeof refetchInterval === 'number') return refetchInterval;
    // An app's function may count its calls: v3 and v4 show its last answer; for v5 it is the delay
    // of the timer that asked, or 1: polled, at a pace we don't know.
    if ('currentRefetchInterval' in observer) return Number(observer.currentRefetchInterval) || 0;
    return notes.get(asking)?.learnt || 1;
  }

  function intervalOf(asking) {
    let least = Infinity;
    for (const observer of asking.observers || []) {
      // `enabled` may be the app's own function.
      try {
        const ms = observerInterval(observer, asking);
        if (ms > 0 && ms < least) least = ms;
      } catch { continue; }
    }
    return least < Infinity ? least : 0;
  }

  function attribution() {
    const it = active && (inside || trail.get());
    return it ? { id: it, interval: it.intervalOf(), own: it.own } : null;
  }

  // For a promise that the query function awaits before it asks: what makes the attribution go on
  // behind it.
  function hold() {
    const it = active && (inside || trail.get());
    return it ? () => { if (active) trail.follow(it); } : null;
  }

  function topicOf(key) {
    let topic = topics.get(key);
    if (topic) topics.delete(key);
    else topic = { exact: new Set(), maybe: new Set(), streak: 0 };
    if (topics.size >= TOPICS_MAX) topics.delete(topics.keys().next().value);
    topics.set(key, topic);
    return topic;
  }

  // The true query is in flight at each call, so it survives every intersection; and most likely it
  // has started since the call before. Our own refreshes start all of them at once and prove
  // nothing.
  function narrow(topic) {
    scan(libraries.mounted.size ? SCAN_MS : LOOK_MS);
    libraries.mounted.forEach(fly);
    for (const it of flying) if (it.isIdle()) flying.delete(it);
    for (const it of flying) if (it.own) return;
    const all = [...flying], fresh = all.filter((it) => !earlier.has(it));
    earlier = new Set(all);
    const both = [fresh, all].map((list) => list.filter((it) => topic.maybe.has(it)));
    const left = both.find(({ length }) => length);
    topic.streak = left ? topic.streak + 1 : all.length ? 1 : 0;
    topic.maybe = new Set(left || (fresh.length ? fresh : all));
  }

  // Returns whether a refresh of ours led to this call.
  function asked(key, attr) {
    if (!active) return false;
    if (!caches.size) scan(LOOK_MS);
    const topic = topicOf(key);
    if (!attr) narrow(topic);
    else topic.exact.add(attr.id);
    return queriesOf(topic).some(({ own }) => own);
  }

  // The true query waits for this answer still.
  function settled(key) {
    const topic = active && topics.get(key);
    if (!topic || topic.exact.size || topic.maybe.size < 2) return;
    const waiting = [...topic.maybe].filter((it) => !it.isIdle());
    if (waiting.length) topic.maybe = new Set(waiting);
  }

  // One meeting in flight may be chance, and then nobody else would be asked to look.
  const queriesOf = ({ exact, maybe, streak }) =>
    [...(exact.size ? exact : streak > 1 ? maybe : [])];

  // One that can't be asked polls as before.
  function ask(it) {
    try {
      if (!it.intervalOf()) return 0;
      if (!it.own && !it.again) waitFor(it);
      if (it.isIdle()) {
        it.own = true;
        Promise.resolve(it.ask()).catch(noop);
        // What runs may have read the state before this one.
      } else it.again = true;
      return 1;
    } catch { return 0; }
  }

  function refresh(key) {
    const topic = active && topics.get(key);
    let count = 0;
    for (const it of topic ? queriesOf(topic) : []) count += ask(it);
    return count;
  }

  function install() {
    commits = 0;
    scannedAt = -Infinity;
    installHook();
    libraries.install();
  }

  function uninstall() {
    for (const stop of caches.values()) stop();
    caches.clear();
    flying.clear();
    earlier = flying;
    roots.clear();
    topics = new Map();
    notes = new WeakMap();
    uninstallHook();
    libraries.uninstall();
  }

  return {
    install, uninstall, attribution, hold, asked, settled, refresh,
    caches, createAsker, note, forget, within, scan,
  };
})();
