// What the page and the worker both need; `build.rs` puts it into either script.

const now = () => performance.now();

/** Milliseconds since a stamp. The monotonic clock may stand still while the machine sleeps. */
function age(since) {
  return Math.max(now() - since.mono, Date.now() - since.wall);
}

/** `ms`, give or take a quarter: pages that woke together must not come together. */
function jitter(ms) {
  return ms * (0.75 + Math.random() / 2);
}

// FNV-1a, 32 bits, over code units.
function fnv1a(text) {
  let hash = 2166136261;
  // Math.imul: the product passes 2^53, where plain multiplication loses the low bits.
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return hash >>> 0;
}
