// What this page measures about itself. Every number is counted where it happens: network
// requests by the browser's own resource timing, answers by the query cache, arrivals by the
// feed in the moment in which the DOM shows them.

import { useSyncExternalStore } from 'react';

/** Rates count what happened within this time. */
export const WINDOW_MS = 30_000;
/** So many arrivals are kept. */
export const ARRIVALS_MAX = 24;

let state = {
  network: 0,
  answered: 0,
  networkRate: 0,
  answeredRate: 0,
  networkTimes: [],
  answeredTimes: [],
  arrivals: [],
};
const listeners = new Set();

function set(change) {
  state = { ...state, ...change };
  for (const listener of listeners) listener();
}

/** Begins to count. `cache` is the query cache whose answers count. */
export function startMeter(cache) {
  const observer = new PerformanceObserver((list) => {
    const times = list
      .getEntries()
      .filter((entry) => new URL(entry.name).pathname.startsWith('/api/'))
      .map((entry) => entry.startTime);
    if (times.length > 0) {
      count('network', times);
    }
  });
  observer.observe({ type: 'resource', buffered: true });

  cache.subscribe((event) => {
    if (event.type === 'updated' && event.action.type === 'success' && !event.action.manual) {
      count('answered', [performance.now()]);
    }
  });

  setInterval(() => {
    count('network', []);
    count('answered', []);
  }, 1000);
}

function count(what, times) {
  const since = performance.now() - WINDOW_MS;
  const recent = [...state[`${what}Times`], ...times].filter((time) => time >= since);
  set({
    [what]: state[what] + times.length,
    [`${what}Times`]: recent,
    [`${what}Rate`]: recent.length,
  });
}

/** Notes that the DOM shows a change, so many milliseconds after the server made it. */
export function arrived(changes) {
  set({ arrivals: [...state.arrivals, ...changes].slice(-ARRIVALS_MAX) });
}

export function useMeter() {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}
