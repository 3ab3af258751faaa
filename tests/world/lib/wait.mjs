// Waiting on values: a test never sleeps to let something happen, it asks until it has happened.

/** Asks `probe` until it answers something truthy, and returns that. Throws, with `what`, after `deadlineMs`. */
export async function until(what, probe, deadlineMs = 15_000, everyMs = 20) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${deadlineMs} ms in vain: ${what}`);
    await pass(everyMs);
  }
}

/** Lets time pass. For tests whose subject is time itself (a minute of polling), and for `until`. */
export function pass(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Order statistics of a list of numbers, for a line of print. */
export function distribution(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
  return { n: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted.at(-1) };
}
