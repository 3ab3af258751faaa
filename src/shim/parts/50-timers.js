// Which of the app's timers is asking, and running that timer now.
//
// The rule this rests on: a microtask checkpoint ends before the next task begins. So what a
// timer's callback starts, and the promises it goes on in, can be told from everything else until
// the checkpoint after it is over. What lies behind a further task (a fetch's answer, IndexedDB) is
// attributed to nobody: `current()` is evidence, never a guess.

const microtask = W.queueMicrotask.bind(W);

// A value that lasts until the microtasks behind the running callback are through (or HOPS of them:
// a promise loop must not keep us busy for ever). Two values in one checkpoint can't be told apart,
// so there is none: answers that the browser delivers together (cookieStore.get) do that.
function createTrail() {
  const HOPS = 100;
  let value = null, hops = 0;
  const step = () => { if (--hops > 0) microtask(step); else value = null; };
  return {
    get: () => value,
    follow(next) {
      value = hops <= 0 || value === next ? next : null;
      if (hops <= 0) microtask(step);
      hops = HOPS;
    },
  };
}

const timers = (() => {
  const TRACKED_MS = 250, AGAIN_MS = 50, LINK_MS = 1000, CARRY_MS = 2000;
  const ASKED_MAX = 64, FRAMES = 6;
  const trail = createTrail();
  // Pending tracked timers by native id. Bounded by the app's own pending timers.
  const records = new Map();
  // One handle per timer or chain of timers: what callers keep. Looked up by callback, then by call
  // site.
  let byCallback = new WeakMap();
  // Handles under which a watched request was seen, oldest first: only their call sites are worth
  // comparing.
  let asked = [];
  let running = null, serial = 0;

  const owner = () => running || trail.get();

  function site(trace) {
    // An app's own prepareStackTrace is app code: not ours to call.
    if (!trace || Error.prepareStackTrace) return '';
    const frames = String(trace.stack).split('\n').slice(0, FRAMES);
    return frames.filter((line) => !/^\s*at async /.test(line)).join();
  }

  function capture(below) {
    const trace = {};
    if (!Error.captureStackTrace || Error.prepareStackTrace) return null;
    Error.captureStackTrace(trace, below);
    return trace;
  }

  // A one-shot is a link of a chain if the tick before led to it: re-armed in that tick or soon
  // after by an answer, with the same delay, and not by a person or a message. A debounced click or
  // socket handler re-arms too, and a request that such a one makes must not pass for a poll.
  function isLink(handle, record, mine) {
    if (record.delay !== handle.delay || now() - person.acted < PERSON_MS) return false;
    if (mine) return true;
    const at = W.event?.target;
    const byAnswer = !at || at instanceof W.XMLHttpRequest || at instanceof W.MessagePort;
    return byAnswer && now() - handle.tickedAt < LINK_MS;
  }

  function findHandle(record) {
    const mine = owner();
    const fits = (handle) => handle && !handle.armed && handle.repeat === record.repeat;
    if (fits(mine) && mine.callback === record.callback) return mine;
    const same = byCallback.get(record.callback);
    if (fits(same) && (!record.repeat || same.delay === record.delay)) return same;
    const free = asked.filter((it) => fits(it) && it.site && it.delay === record.delay);
    if (!free.length) return null;
    const at = site(record.trace), match = free.filter((it) => it.site === at);
    return match.includes(mine) ? mine : match[0] || null;
  }

  function adopt(record) {
    let handle = findHandle(record);
    if (handle) record.link = !record.repeat && isLink(handle, record, handle === owner());
    else {
      handle = { id: ++serial, repeat: record.repeat, tickedAt: -Infinity, ranAt: -Infinity };
      handle.run = () => run(handle);
      const same = byCallback.get(record.callback);
      if (!same || !same.armed) byCallback.set(record.callback, handle);
    }
    record.handle = handle;
    handle.delay = record.delay;
    handle.callback = record.callback;
    handle.trace = record.trace;
    handle.armed = record;
    records.set(record.id, record);
  }

  function drop(record) {
    if (!record) return;
    records.delete(record.id);
    if (record.handle.armed === record) record.handle.armed = null;
  }

  function fire(record) {
    const { handle } = record, before = running;
    if (!active || !handle) return Reflect.apply(record.callback, W, record.args);
    if (!record.repeat) drop(record);
    running = handle;
    handle.busy = true;
    handle.linked = record.link;
    handle.tickedAt = now();
    try {
      return Reflect.apply(record.callback, W, record.args);
    } finally {
      running = before;
      handle.busy = false;
      trail.follow(handle);
    }
  }

  function set(target, self, args, repeat) {
    const [callback, delay] = args;
    const tracked = typeof callback === 'function' && typeof delay === 'number'
      && delay >= TRACKED_MS && (self == null || self === W);
    if (!tracked) return Reflect.apply(target, self, args);
    const record = { callback, delay, args: args.slice(2), repeat, trace: capture(set) };
    record.id = Reflect.apply(target, self, [() => { fire(record); }, delay]);
    guard(adopt)(record);
    return record.id;
  }

  function clear(target, self, args) {
    // What has no number is refused by the native one, with the same error.
    drop(records.get(+args[0]));
    return Reflect.apply(target, self, args);
  }

  const report = (error) => {
    if (W.reportError) W.reportError(error);
    else native.setTimeout(() => { throw error; }, 0);
  };

  // Runs what is pending, now. False: nothing is, or it is running. Runs closer than AGAIN_MS
  // become one later run, and a run never shares a checkpoint with another one, or their requests
  // could not be told apart.
  function run(handle) {
    const record = handle.armed, wait = handle.ranAt + AGAIN_MS - now();
    if (!active || !record || handle.busy) return false;
    if (wait > 0 || owner()) {
      const again = () => { handle.waiting = 0; run(handle); };
      handle.waiting ||= native.setTimeout(again, Math.max(wait, 0));
      return true;
    }
    handle.ranAt = now();
    if (!record.repeat) native.clearTimeout(record.id);
    try { fire(record); } catch (error) { report(error); }
    return true;
  }

  function current() {
    const handle = owner();
    if (!active || !handle) return null;
    if (!asked.includes(handle)) {
      asked.push(handle);
      if (asked.length > ASKED_MAX) asked.shift();
    }
    if (handle.trace) {
      handle.site = site(handle.trace);
      handle.trace = null;
    }
    // The first tick of a one-shot proves nothing: it may be a debounced click.
    return handle.repeat || handle.linked ? handle : null;
  }

  // Attribution goes on where `promise` does. Only for promises whose rejection nobody needs to
  // hear of: a reaction of ours would keep the browser from reporting it as unhandled.
  function carry(promise) {
    const handle = owner(), back = query.hold();
    const mine = handle && now() - handle.tickedAt < CARRY_MS;
    const resume = () => { if (active && mine) trail.follow(handle); if (back) back(); };
    if (mine || back) promise.then(resume, resume);
    return promise;
  }

  return {
    install() {
      patch(W, 'setTimeout', (target, self, args) => set(target, self, args, false));
      patch(W, 'setInterval', (target, self, args) => set(target, self, args, true));
      patch(W, 'clearTimeout', clear);
      patch(W, 'clearInterval', clear);
      // axios awaits cookieStore.get() before it sends.
      const cookies = W.CookieStore?.prototype;
      const got = (target, self, args) => carry(Reflect.apply(target, self, args));
      if (cookies) patch(cookies, 'get', got);
    },
    // The app's native timers run on; what we know of them goes.
    uninstall() {
      for (const { handle } of records.values()) handle.armed = null;
      records.clear();
      byCallback = new WeakMap();
      asked = [];
    },
    current,
    owner,
  };
})();
