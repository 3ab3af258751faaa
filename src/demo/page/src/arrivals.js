// How long a change took from the server to the DOM.

import { useLayoutEffect, useRef } from 'react';
import { MARK } from './api.js';
import { arrived } from './meter.js';

// A hidden page doesn't poll, so a change from that time tells nothing about arriving.
let visibleSince = document.hidden ? Infinity : 0;
document.addEventListener('visibilitychange', () => {
  visibleSince = document.hidden ? Infinity : Date.now();
});

/** Measures every event that is new to this page and not its own doing. */
export function useArrivals(events) {
  const seen = useRef(null);
  // A layout effect runs when the DOM has just been changed: the moment that counts.
  useLayoutEffect(() => {
    if (!events || events.length === 0) return;
    const now = Date.now();
    if (seen.current !== null) {
      const fresh = events.filter(
        (event) => event.id > seen.current && event.mark !== MARK && event.at >= visibleSince,
      );
      if (fresh.length > 0) {
        const took = (event) => ({ id: event.id, ms: Math.max(0, now - event.at) });
        arrived(fresh.reverse().map(took));
      }
    }
    seen.current = events[0].id;
  }, [events]);
}
