// Builds a body from the one before it. Offsets and lengths are UTF-16 code units, which is what a
// string slices by.

// The new text, or null for any fault: then the network has the answer, never a guess.
function applyDelta(old, ops, length, check) {
  if (typeof old !== 'string' || !Array.isArray(ops)) return null;
  let text = '';
  for (const op of ops) {
    if (typeof op === 'string') {
      text += op;
    } else {
      if (!Array.isArray(op) || op.length !== 2) return null;
      const [offset, size] = op;
      // slice() would take a negative or a fractional offset, and cut off what lies behind the end.
      if (!Number.isInteger(offset) || !Number.isInteger(size)) return null;
      if (offset < 0 || size < 0 || offset + size > old.length) return null;
      text += old.slice(offset, offset + size);
    }
    // Otherwise a few operations on a long text would fill the page's memory. `!(<=)` refuses a
    // length that is no number too.
    if (!(text.length <= length)) return null;
  }
  return text.length === length && fnv1a(text) === check ? text : null;
}
