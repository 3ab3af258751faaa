// What the shim takes from the page, once, before the app can change it; and how it hooks in and
// out.
//
// Rule: an error of the shim never reaches the app. Whatever the page calls (a patched function, a
// timer, a listener) is guarded: a throw inside means `leave()`, and from then on all is native.

const W = window;
const D = document;
const MARK = Symbol.for('pollcast');
// A script tag left in the document breaks the hydration of a whole document (React: five errors).
const script = D.currentScript;
if (script) script.remove();
// A second copy would patch the first one's patches. 'null' is the origin of a sandboxed page.
if (W[MARK] || W.origin === 'null' || typeof W.fetch !== 'function') return;

/** Scheme and host of the API: the page's own, or those of the script. */
const BASE = script?.src ? new URL(script.src).origin : W.origin;
const cross = BASE !== W.origin;
// Its preflights would fail, and with them the app's own requests.
if (cross && !CONFIG.origins.includes(W.origin)) return;

// What apps and their tests like to replace: polyfills, mocks, false clocks.
const { Request, Response, Headers, Date, Math, performance } = W;
const noop = () => {};
const native = {
  fetch: W.fetch.bind(W),
  setTimeout: W.setTimeout.bind(W),
  clearTimeout: W.clearTimeout.bind(W),
};
/** For the stream's code, if it runs in this page: what it works with, and what it leaves here. */
const natives = { ...native, v: CONFIG.v, serve: null };
Object.defineProperty(W, MARK, { value: natives, configurable: true });

/** False until install() and after uninstall(): every patched function is then the native one. */
let active = false;
/** What uninstall() runs, newest first. */
const undo = [];
/**
 * Names of what is patched. A patch that the app has wrapped can't be taken out, only put to sleep
 * and woken again.
 */
const lingering = new Set();

function guard(fn) {
  return function guarded(...args) {
    try {
      return fn.apply(this, args);
    } catch {
      leave();
    }
  };
}

/** Runs `fn` later, on the native timer. */
function later(fn, ms) {
  return native.setTimeout(guard(fn), ms);
}

/** Objects whose answer lives in here: they are served for as long as the page has them. */
const kept = new WeakSet();
/** The prototype of those, once there are any: its patches stay. */
let keeper = null;

/**
 * Replaces `owner[name]`, or its `get` or `set`, by a proxy that calls
 * `handle(target, self, args)`; false if it can't be replaced. A proxy keeps name, length, own
 * properties and `toString` ("[native code]") as they are, so feature tests of libraries pass.
 */
function patch(owner, name, handle, kind = 'value') {
  const id = name + kind;
  if (lingering.has(id)) return true;
  const before = Object.getOwnPropertyDescriptor(owner, name);
  if (!before?.configurable || typeof before[kind] !== 'function') return false;
  const ours = new Proxy(before[kind], {
    apply: (target, self, args) =>
      active || kept.has(self) ? handle(target, self, args) : Reflect.apply(target, self, args),
  });
  Object.defineProperty(owner, name, { ...before, [kind]: ours });
  lingering.add(id);
  undo.push(() => {
    const after = Object.getOwnPropertyDescriptor(owner, name);
    // Something of the app sits on top of us: taking it out would break the app.
    if (owner === keeper || !after || after[kind] !== ours) return;
    lingering.delete(id);
    Object.defineProperty(owner, name, { ...after, [kind]: before[kind] });
  });
  return true;
}

/** Gives an object members that `for … in` doesn't show. */
function define(object, members) {
  for (const [name, value] of Object.entries(members)) {
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
  }
  return object;
}

/** Listens until uninstall(). */
function listen(target, type, fn, options) {
  const guarded = guard(fn);
  target.addEventListener(type, guarded, options);
  undo.push(() => target.removeEventListener(type, guarded, options));
}

/**
 * A value kept for this browser (localStorage) or this tab (sessionStorage); storage may be denied.
 */
function remembered(area, fresh) {
  try {
    const store = W[area];
    const old = store.getItem('pollcast');
    const value = fresh(old);
    if (value) store.setItem('pollcast', value);
    return value;
  } catch {
    return fresh(null);
  }
}

const clientId = remembered('localStorage', (old) => {
  if (old && /^[\w-]{1,64}$/.test(old)) return old;
  return Math.random().toString(36).slice(2) + Date.now();
});
