// The askers of SWR and RTK Query, and of TanStack's observers where no provider tells their
// client.
//
// SWR 2 takes a middleware from a global, in production too: it sees each call of a fetcher, so it
// knows exactly who asks. All others are found in the state of React's hooks, a list at each fiber.
// There who asked is told by who is in flight. What is mounted is looked up anew for each refresh,
// because a query that nobody shows must stay as it is.

const libraries = (() => {
  const USE = '__SWR_DEVTOOLS_USE__';
  const HOOKS_MAX = 200, MOUNTED_MS = 50;
  // Askers found by the last scan.
  const mounted = new Set();
  // Redux stores found by the last scan.
  const stores = new Set();
  // Cache key → asker, as of the last scan and the one before.
  let known = new Map(), before = known;
  // SWR's bound mutate (there is one per hook) → asker.
  let hooks = new WeakMap();
  let use;

  // Mounted hooks that poll have a timer pending, or the fetch that it led to. So a function given
  // as interval needn't be asked, which may count its calls.
  function paceOf({ interval, timer, busy }) {
    if (!interval || (timer && !timer.pending && !busy)) return 0;
    return interval > 0 ? interval : timer ? timer.delay : 1;
  }

  // `mutate` comes around SWR's deduplication, and leaves paused and unmounted hooks alone.
  function hookOf(mutate, key, config) {
    let it = hooks.get(mutate);
    if (!it) {
      it = query.createAsker(() => !it.busy, () => paceOf(it), () => mutate());
      it.busy = 0;
      hooks.set(mutate, it);
    }
    // Arrays and functions may be new in each render, and mean the same.
    if (it.key !== key && typeof key === 'string') query.forget(it);
    it.key = key;
    it.interval = config.refreshInterval;
    return it;
  }

  function fetching(it, fn) {
    const timer = timers.owner(), { interval } = it;
    if (timer && (!(interval > 0) || timer.delay === interval)) it.timer = timer;
    const done = () => { it.busy--; };
    let answer;
    it.busy++;
    try {
      return answer = query.within(it, fn);
    } finally {
      // A thenable of the app may ask anew for each `then`.
      if (answer instanceof Promise) answer.then(done, done);
      else done();
    }
  }

  // SWR keeps it for good. It calls no hook of its own, so it may come and go between two renders.
  const middleware = (next) => (key, fetcher, config) => {
    if (!active || typeof fetcher !== 'function') return next(key, fetcher, config);
    let it = null;
    const result = next(key, function (...args) {
      const fn = () => fetcher.apply(this, args);
      return active && it ? fetching(it, fn) : fn();
    }, config);
    it = guard(hookOf)(result.mutate, key, config);
    return result;
  };

  function install() {
    use = W[USE] = [...(W[USE] || []), middleware];
  }

  function uninstall() {
    if (W[USE] === use) {
      W[USE] = use.filter((it) => it !== middleware);
      if (use.length < 2) {
        delete W[USE];
        // SWR's own answer to it.
        delete W.__SWR_DEVTOOLS_REACT__;
      }
    }
    hooks = new WeakMap();
    begin();
    known.clear();
    before.clear();
  }

  function begin() {
    mounted.clear();
    stores.clear();
    before = known;
    known = new Map();
  }

  const isPending = (key) => [...stores].some((store) =>
    Object.values(store.getState() || {}).some((slice) =>
      slice && slice.queries && slice.queries[key] && slice.queries[key].status === 'pending'));

  // SWR 1 keeps it apart from the data.
  const isValidating = (key, { cache }) =>
    ['', '$swr$'].some((prefix) => (cache.get(prefix + key) || {}).isValidating);

  const polls = ({ refreshInterval, subscriptionOptions }) =>
    refreshInterval || (subscriptionOptions && subscriptionOptions.pollingInterval);

  // One asker for all hooks of a cache key.
  function found(key, ref) {
    let it = known.get(key) || before.get(key);
    if (!it) {
      const isBusy = () => {
        const [ref] = it.refs;
        // A store throws while it reduces.
        try { return ref.refetch ? isPending(key) : isValidating(key, ref); } catch { return false; }
      };
      const polling = () => it.refs.find(polls);
      const shown = () => { query.scan(MOUNTED_MS); return mounted.has(it) && polling() ? 1 : 0; };
      const ask = () => (polling().refetch ? polling().refetch() : polling().mutate(key));
      it = query.createAsker(() => !isBusy(), shown, ask);
    }
    if (!mounted.has(it)) it.refs = [];
    it.refs.push(ref);
    known.set(key, it);
    mounted.add(it);
  }

  // What a hook keeps: RTK Query a subscription, SWR its config (and two hooks before that its
  // key), React Query an observer.
  function probe(kept, earlier) {
    const it = kept && (kept.current || kept);
    if (!it || typeof it !== 'object') return;
    if (it.queryCacheKey && it.refetch) found(it.queryCacheKey, it);
    else if (it.dedupingInterval >= 0 && it.cache && it.mutate && earlier.current) {
      found(earlier.current, it);
    } else if (it.getCurrentQuery && it.refetch) {
      const asker = query.met(it.getCurrentQuery());
      if (asker) mounted.add(asker);
    }
  }

  function lookAt({ stateNode, memoizedState }, props) {
    // What a class component keeps is the app's.
    if (stateNode) return;
    const store = props && (props.store || (props.value && props.value.store));
    if (store && typeof store.getState === 'function') stores.add(store);
    let left = HOOKS_MAX, last = null, earlier = null;
    for (let hook = memoizedState; hook && left--; hook = hook.next) {
      const kept = hook.memoizedState;
      probe(kept, earlier);
      earlier = last;
      last = kept;
    }
  }

  return {
    install, uninstall, begin, mounted,
    // What the app keeps there may throw when it is looked at.
    lookAt(fiber, props) { try { lookAt(fiber, props); } catch { return; } },
  };
})();
