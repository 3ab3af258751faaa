// The askers of SWR and RTK Query, and of TanStack's observers where no provider tells their
// client.
//
// SWR 2 takes a middleware from a global, in production too: it sees each call of a fetcher, so it
// knows exactly who asks. All others are found in the state of React's hooks, a list at each fiber;
// who of them asked is told by who is in flight. What is mounted is looked up anew for a refresh,
// because a query that nobody shows must stay as it is.

const libraries = (() => {
  const USE = '__SWR_DEVTOOLS_USE__';
  const HOOKS_MAX = 200, KNOWN_MAX = 1000, MOUNTED_MS = 50;
  // What the last scan has found: askers, and Redux stores.
  const mounted = new Set(), stores = new Set();
  // Cache key → asker.
  const known = new Map();
  // SWR's bound mutate (there is one per hook) → asker.
  let hooks = new WeakMap();
  let use, old;

  // `mutate` goes around SWR's deduplication, and leaves paused and unmounted hooks alone.
  function hookOf(mutate, key, { refreshInterval }) {
    let it = hooks.get(mutate);
    if (!it) hooks.set(mutate, it = createHook(mutate));
    // Arrays and functions may be new in each render, and mean the same.
    if (it.key !== key && typeof key === 'string') query.forget(it);
    it.key = key;
    it.every = refreshInterval;
    return it;
  }

  function createHook(mutate) {
    let busy = 0, timer = null;
    const done = () => { busy--; };
    const fits = (by) => by && (!(it.every > 0) || by.delay === it.every);
    // A mounted hook that polls has a timer pending, or the fetch that it led to. So a function
    // given as interval needn't be asked, which may count its calls.
    const pace = () => {
      if (!it.every || (fits(timer) && !timer.armed && !busy)) return 0;
      return it.every > 0 ? it.every : timer ? timer.delay : 1;
    };
    const it = query.createAsker(() => !busy, pace, mutate);
    it.run = (fn) => {
      const by = timers.owner();
      let answer;
      if (fits(by)) timer = by;
      busy++;
      try {
        return answer = query.within(it, fn);
      } finally {
        // A thenable of the app may ask anew for each `then`.
        if (answer instanceof Promise) answer.then(done, done);
        else done();
      }
    };
    return it;
  }

  // SWR keeps it for good. It calls no hook of its own, so it may come and go between two renders.
  const middleware = (next) => (key, fetcher, config) => {
    if (!active || !fetcher) return next(key, fetcher, config);
    let it;
    const result = next(key, (...args) => {
      const fn = () => fetcher(...args);
      return active && it ? it.run(fn) : fn();
    }, config);
    it = guard(hookOf)(result.mutate, key, config);
    return result;
  };

  function install() {
    old = W[USE];
    use = W[USE] = [...(old || []), middleware];
  }

  function uninstall() {
    if (W[USE] === use) {
      W[USE] = old;
      if (!old) {
        delete W[USE];
        // SWR's own answer to it.
        delete W.__SWR_DEVTOOLS_REACT__;
      }
    }
    hooks = new WeakMap();
    known.clear();
    begin();
  }

  function begin() {
    mounted.clear();
    stores.clear();
  }

  const isPending = (key) => [...stores].some((store) =>
    Object.values(store.getState()).some((slice) => slice?.queries?.[key]?.status === 'pending'));

  // SWR 1 keeps it apart from the data.
  const isValidating = (key, cache) =>
    cache.get(key)?.isValidating || cache.get('$swr$' + key)?.isValidating;

  const polls = (ref) => ref.refreshInterval || ref.subscriptionOptions?.pollingInterval;

  // One asker for all hooks of a cache key.
  function found(key, ref) {
    let it = known.get(key);
    if (!it) {
      const isIdle = () => {
        const [{ cache }] = it.refs;
        // The app's cache; and a store throws while it reduces.
        try { return !(cache ? isValidating(key, cache) : isPending(key)); } catch { return true; }
      };
      const polling = () => {
        query.scan(MOUNTED_MS);
        return mounted.has(it) && it.refs.find(polls);
      };
      const ask = () => (polling().refetch ? polling().refetch() : polling().mutate(key));
      if (known.size >= KNOWN_MAX) known.clear();
      known.set(key, it = query.createAsker(isIdle, polling, ask));
    }
    if (!mounted.has(it)) it.refs = [];
    it.refs.push(ref);
    mounted.add(it);
  }

  // What a hook keeps: RTK Query a subscription, SWR its config (and two hooks before that its
  // key), React Query an observer.
  function probe(kept, earlier) {
    const it = kept?.current || kept;
    // A proxy of the app that has any member is a function, as a rule.
    if (typeof it !== 'object' || !it) return;
    if (typeof it.queryCacheKey === 'string') found(it.queryCacheKey, it);
    else if (typeof it.dedupingInterval === 'number' && earlier?.current) {
      found(earlier.current, it);
    } else if (it.getCurrentQuery && !query.caches.size) {
      mounted.add(query.note(it.getCurrentQuery()));
    }
  }

  function lookAt({ stateNode, memoizedState: hook }, props) {
    // What a class component keeps is the app's.
    if (stateNode) return;
    // So may be what is looked at here, and throw.
    try {
      const store = props?.store || props?.value?.store;
      if (store?.getState) stores.add(store);
      let left = HOOKS_MAX, last, earlier;
      for (; hook && left--; hook = hook.next) {
        probe(hook.memoizedState, earlier);
        earlier = last;
        last = hook.memoizedState;
      }
    } catch { return; }
  }

  return { install, uninstall, begin, mounted, lookAt };
})();
