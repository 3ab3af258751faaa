// TanStack's query clients (React Query v3, v4, v5; Vue Query), found without the app's help: which
// query asked for which topic, and asking again for exactly those.
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
  const trail = createTrail();
  // Caches we listen to → what ends it.
  const caches = new Map();
  // Queries with a fetch under way, or lately so.
  const flying = new Set();
  // Topic key → { exact: queries seen asking for it; maybe, streak: in flight at each of the last
  // calls of it }.
  let topics = new Map();
  // Query → { cache, learnt: delay of the timer that runs it, again: refresh once it settles,
  // own: fetching for us }.
  let notes = new WeakMap();
  let inside = null, commits = 0, lookedAt = -Infinity;
  let hook = null, chained = null;
  let made = false, placed = false;

  const isClient = (it) => !!it && typeof it === 'object' && typeof it.getQueryCache === 'function'
    && typeof it.invalidateQueries === 'function' && typeof it.setQueryData === 'function';

  // v3 has no fetchStatus.
  const isIdle = ({ state: { fetchStatus, isFetching } }) =>
    (fetchStatus === undefined ? !isFetching : fetchStatus === 'idle');

  function note(asking, cache) {
    let it = notes.get(asking);
    if (!it) notes.set(asking, it = { cache, learnt: 0, again: false, own: false });
    return it;
  }

  // Marks what runs inside the query function, to the end of its synchronous part. The function is
  // put back before it runs. A window up to the next microtask instead would also take in what the
  // next effect of the page asks for.
  function watchFunction(asking) {
    const { options } = asking, native = options && options.queryFn;
    if (typeof native !== 'function') return;
    const restore = () => { if (options.queryFn === ours) options.queryFn = native; };
    const ours = function (...args) {
      const before = inside;
      restore();
      inside = asking;
      try { return native.apply(this, args); } finally { inside = before; }
    };
    try { options.queryFn = ours; } catch { return; }
    microtask(restore);
  }

  function started(asking, cache) {
    const it = note(asking, cache), timer = timers.current();
    if (timer && timer.repeat) it.learnt = timer.delay;
    if (flying.size >= FLYING_MAX) flying.clear();
    flying.add(asking);
    watchFunction(asking);
  }

  function ended(asking) {
    const it = notes.get(asking);
    flying.delete(asking);
    if (!it) return;
    it.own = false;
    if (!it.again) return;
    it.again = false;
    // The query leaves its running state only after it told us.
    microtask(() => { if (active) ask(asking, it); });
  }

  function heard(event, cache) {
    const { type, action, query: asking } = event || {};
    if (!asking) return;
    if (type === 'removed' || type === 'queryRemoved') forget(asking);
    else if (action && action.type === 'fetch') started(asking, cache);
    else if (action && isIdle(asking)) ended(asking);
  }

  function forget(asking) {
    flying.delete(asking);
    for (const topic of topics.values()) {
      topic.exact.delete(asking);
      topic.maybe.delete(asking);
    }
  }

  function hear(client) {
    const cache = client.getQueryCache();
    if (!cache || caches.has(cache)) return;
    caches.set(cache, cache.subscribe(guard((event) => { if (active) heard(event, cache); })));
  }

  function walk(root) {
    let left = FIBERS_MAX;
    for (let fiber = root; fiber && left-- > 0;) {
      const props = fiber.memoizedProps;
      if (props && typeof props === 'object') {
        if (isClient(props.client)) hear(props.client);
        else if (isClient(props.value)) hear(props.value);
      }
      if (fiber.child) fiber = fiber.child;
      else {
        while (fiber && fiber !== root && !fiber.sibling) fiber = fiber.return;
        fiber = fiber && fiber !== root ? fiber.sibling : null;
      }
    }
  }

  // The first commits hold the provider and come before the first fetch. Later on a client is rare,
  // and a full walk of a large page costs milliseconds.
  function committed(root) {
    const since = now() - lookedAt;
    if (++commits > EAGER_COMMITS && since < (caches.size ? LOOK_AGAIN_MS : LOOK_MS)) return;
    lookedAt = now();
    if (root && root.current) walk(root.current);
  }

  function lookAt(element) {
    const app = element.__vue_app__;
    const provided = app && app._context && app._context.provides;
    if (provided && isClient(provided.VUE_QUERY_CLIENT)) hear(provided.VUE_QUERY_CLIENT);
    const name = Object.keys(element).find((key) => key.startsWith('__reactContainer$'));
    const fiber = name && element[name], root = fiber && fiber.stateNode;
    // Which of the two trees is the current one changes with each commit; the root knows.
    if (fiber) walk((root && root.current) || fiber);
  }

  // For Vue, for an app that neutered the hook, and for a script that came after React.
  function look() {
    if (now() - lookedAt < LOOK_MS) return;
    lookedAt = now();
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
      Object.defineProperty(W, HOOK, { value: hook, configurable: true, writable: true });
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
    return (notes.get(asking) || {}).learnt || 1;
  }

  function intervalOf(asking) {
    let least = 0;
    for (const observer of asking.observers || []) {
      let ms = 0;
      // `enabled` may be the app's own function.
      try { ms = observerInterval(observer, asking); } catch { ms = 0; }
      if (ms > 0 && (!least || ms < least)) least = ms;
    }
    return least;
  }

  function attribution() {
    const asking = active && (inside || trail.get());
    if (!asking) return null;
    return { id: asking, interval: intervalOf(asking), own: !!(notes.get(asking) || {}).own };
  }

  // For a promise that the query function awaits before it asks: what makes the attribution go on
  // behind it.
  function hold() {
    const asking = active && (inside || trail.get());
    return asking ? () => { if (active) trail.follow(asking); } : null;
  }

  function topicOf(key) {
    let topic = topics.get(key);
    if (topic) topics.delete(key);
    else topic = { exact: new Set(), maybe: new Set(), streak: 0 };
    if (topics.size >= TOPICS_MAX) topics.delete(topics.keys().next().value);
    topics.set(key, topic);
    return topic;
  }

  // The true query is in flight at each call, so it survives every intersection. Our own refreshes
  // start all of them at once and prove nothing.
  function narrow(topic) {
    for (const asking of flying) if (isIdle(asking)) flying.delete(asking);
    for (const asking of flying) if ((notes.get(asking) || {}).own) return;
    const both = new Set([...topic.maybe].filter((asking) => flying.has(asking)));
    topic.streak = both.size ? topic.streak + 1 : flying.size ? 1 : 0;
    topic.maybe = both.size ? both : new Set(flying);
  }

  // Returns whether a refresh of ours led to this call.
  function asked(key, attr) {
    if (!active) return false;
    if (!caches.size) {
      look();
      if (!caches.size) return false;
    }
    const topic = topicOf(key);
    if (!attr) narrow(topic);
    else topic.exact.add(attr.id);
    return attr ? attr.own : queriesOf(topic).some((asking) => notes.get(asking).own);
  }

  // The true query waits for this answer still.
  function settled(key) {
    const topic = active && topics.get(key);
    if (!topic || topic.exact.size || topic.maybe.size < 2) return;
    const waiting = [...topic.maybe].filter((asking) => !isIdle(asking));
    if (waiting.length) topic.maybe = new Set(waiting);
  }

  // One meeting in flight may be chance, and then nobody else would be asked to look.
  function queriesOf({ exact, maybe, streak }) {
    const chosen = exact.size ? exact : streak > 1 ? maybe : [];
    return [...chosen].filter((asking) => notes.has(asking));
  }

  function ask(asking, it) {
    if (it.cache.get(asking.queryHash) !== asking || !intervalOf(asking)) return 0;
    if (!isIdle(asking)) {
      // What runs may have read the state before this one.
      if (asking.state.fetchStatus !== 'paused') it.again = true;
      return it.again ? 1 : 0;
    }
    it.own = true;
    Promise.resolve(asking.fetch(undefined, { cancelRefetch: false })).catch(noop);
    return 1;
  }

  function refresh(key) {
    const topic = active && topics.get(key);
    let count = 0;
    for (const asking of topic ? queriesOf(topic) : []) {
      // One that can't be asked polls as before.
      try { count += ask(asking, notes.get(asking)); } catch { continue; }
    }
    return count;
  }

  function install() {
    commits = 0;
    lookedAt = -Infinity;
    installHook();
  }

  function uninstall() {
    for (const stop of caches.values()) stop();
    caches.clear();
    flying.clear();
    topics = new Map();
    notes = new WeakMap();
    uninstallHook();
  }

  return { install, uninstall, attribution, hold, asked, settled, refresh };
})();
