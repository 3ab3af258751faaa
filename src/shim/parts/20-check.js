// FNV-1a, 32 bits, over code units.
function fnv1a(text) {
  let hash = 2166136261;
  // Math.imul: the product passes 2^53, where plain multiplication loses the low bits.
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return hash >>> 0;
}
