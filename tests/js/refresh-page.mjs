// A page without a browser: the shim's base, timers and query parts over a window whose timers and
// clock the test turns by hand, so no test waits for time to pass.
import { readFileSync } from 'node:fs';

const PARTS = ['00-base', '20-shared', '50-timers', '60-query', '65-libraries', '70-evidence'];

/** The script's parts that find who asks, and what they stand on. */
export const FINDERS = PARTS.map((name) =>
  readFileSync(new URL(`../../src/shim/parts/${name}.js`, import.meta.url), 'utf8')).join('');

const SOURCE = `'use strict';
${FINDERS}
function leave() {
  failures.push(new Error('the shim left'));
  uninstall();
}
function install() { active = true; timers.install(); query.install(); watchPerson(); }
function uninstall() {
  active = false;
  timers.uninstall();
  query.uninstall();
  while (undo.length) undo.pop()();
}
return { timers, query, install, uninstall };`;

export function createPage() {
  // Node sets one; a browser has none unless the app does.
  Error.prepareStackTrace = undefined;
  const pending = new Map();
  const listeners = new Map();
  let serial = 0;
  let clock = 0;
  class CookieStore {
    get(name) {
      return new Promise((answer) => page.cookieAnswers.push(() => answer({ name })));
    }
  }
  const start = (repeat) =>
    function (callback, delay, ...args) {
      pending.set(++serial, { callback, delay, args, repeat });
      return serial;
    };
  const stop = (id) => void pending.delete(Number(id));
  const own = (value) => ({ value, writable: true, enumerable: true, configurable: true });
  const window = Object.defineProperties({}, {
    setTimeout: own(start(false)), setInterval: own(start(true)),
    clearTimeout: own((id) => stop(id)), clearInterval: own((id) => stop(id)),
    fetch: own(() => new Promise(() => {})),
  });
  Object.assign(window, {
    origin: 'http://page.test', event: undefined, CookieStore, queueMicrotask, Request, Response,
    Headers, URL, TextDecoder, TextEncoder, ReadableStream, AbortController, Date, Math, JSON,
    Promise, Proxy, Reflect, MessagePort, XMLHttpRequest: class XMLHttpRequest {},
    performance: { now: () => clock },
    location: new URL('http://page.test/'),
    addEventListener: (type, fn) => listeners.set(type, fn),
    removeEventListener: (type) => listeners.delete(type),
    reportError: (error) => page.reported.push(error),
  });
  const document = { currentScript: null, body: { children: [] } };
  window.document = document;
  const failures = [];
  const page = {
    window, document, pending, listeners, failures, reported: [], cookieAnswers: [],
    cookieStore: new CookieStore(),
    /** Time passes; no timer runs by itself. */
    pass(ms) { clock += ms; },
    /** One native timer is due: its callback runs in a task of its own. */
    async tick(id) {
      const timer = pending.get(id);
      clock += timer.delay;
      if (!timer.repeat) pending.delete(id);
      timer.callback.apply(undefined, timer.args);
      await settle();
    },
    /** The newest pending timer with this delay. */
    newest(delay) {
      return [...pending].filter(([, timer]) => timer.delay === delay).map(([id]) => id).pop();
    },
    input(type = 'click') { listeners.get(type)({ isTrusted: true }); },
  };
  const shim = new Function('window', 'document', 'CONFIG', 'failures', SOURCE)(
    window, document, { v: 'test' }, failures,
  );
  return Object.assign(page, shim);
}

/** Until every microtask is through. */
export const settle = () => new Promise((done) => setImmediate(done));
