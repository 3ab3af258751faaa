import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPage, settle } from './refresh-page.mjs';

function installed() {
  const page = createPage();
  page.install();
  page.pass(10000);
  return page;
}

const answered = () => new Promise((done) => setImmediate(done));

test('an interval is known while its callback runs, and in the promises behind it', async () => {
  const page = installed();
  const seen = [];
  const id = page.window.setInterval(async (a, b) => {
    seen.push(page.timers.current(), a, b);
    await null;
    await Promise.resolve().then(() => {});
    seen.push(page.timers.current());
    await answered();
    seen.push(page.timers.current());
  }, 2000, 'a', 'b');
  await page.tick(id);
  await settle();
  const [first, a, b, second, third] = seen;
  assert.deepEqual([first.delay, first.repeat, a, b], [2000, true, 'a', 'b']);
  assert.equal(second, first);
  assert.equal(third, null, 'behind a further task nothing is claimed');
  assert.equal(page.timers.current(), null);
});

test('short delays, text handlers and foreign receivers go to the native function', () => {
  const page = installed();
  page.window.setTimeout(() => {}, 249);
  page.window.setTimeout('code', 1000);
  page.window.setTimeout.call({}, () => {}, 1000);
  page.window.setTimeout(() => {}, '1000');
  const [short, text, foreign, string] = [...page.pending.values()];
  for (const timer of [short, text, foreign, string]) {
    timer.callback.call?.(undefined);
    assert.equal(page.timers.current(), null);
  }
  assert.equal(text.callback, 'code');
});

test('a recursive one-shot is one handle, known from its second tick on', async () => {
  const page = installed();
  const seen = [];
  async function poll() {
    seen.push(page.timers.current());
    await answered();
    page.window.setTimeout(poll, 1000);
  }
  await page.tick(page.window.setTimeout(poll, 1000));
  await settle();
  await page.tick(page.newest(1000));
  await settle();
  assert.equal(seen[0], null, 'the first tick may be a debounced click');
  assert.ok(seen[1]);
  const pending = page.newest(1000);
  assert.equal(seen[1].run(), true);
  await settle();
  assert.equal(seen[2], seen[1]);
  assert.equal(page.pending.has(pending), false, 'the run replaces the pending tick');
  assert.equal(page.pending.size, 1, 'and the app armed the next one');
});

test('a loop that sleeps is known by its call site', async () => {
  const page = installed();
  const seen = [];
  const sleep = (ms) => new Promise((done) => page.window.setTimeout(done, ms));
  (async () => {
    for (let round = 0; round < 6; round++) {
      await sleep(3000);
      seen.push(page.timers.current());
      await answered();
    }
  })();
  for (let round = 0; round < 5; round++) {
    await page.tick(page.newest(3000));
    await settle();
  }
  assert.ok(seen[3]);
  assert.equal(seen[4], seen[3]);
  assert.equal(seen[4].run(), true);
  await settle();
  assert.equal(seen[5], seen[4]);
});

test('what a person debounces is no evidence', async () => {
  const page = installed();
  const seen = [];
  const search = () => seen.push(page.timers.current());
  for (let round = 0; round < 4; round++) {
    page.pass(400);
    page.input();
    await page.tick(page.window.setTimeout(search, 300));
  }
  assert.deepEqual(seen, [null, null, null, null]);
});

test('what a message debounces is no evidence', async () => {
  const page = installed();
  const seen = [];
  const reload = () => seen.push(page.timers.current());
  for (let round = 0; round < 4; round++) {
    page.window.event = { target: new EventTarget() };
    const id = page.window.setTimeout(reload, 300);
    page.window.event = undefined;
    await page.tick(id);
  }
  assert.deepEqual(seen, [null, null, null, null]);
});

test('run() leaves the schedule of an interval, and runs nothing that was cleared', async () => {
  const page = installed();
  let runs = 0;
  let handle;
  const id = page.window.setInterval(() => { runs++; handle = page.timers.current(); }, 1000);
  await page.tick(id);
  page.pass(100);
  assert.equal(handle.run(), true);
  assert.equal(runs, 2);
  assert.equal(page.pending.has(id), true);
  await settle();
  page.pass(100);
  page.window.clearTimeout(String(id));
  assert.equal(handle.run(), false);
  assert.equal(runs, 2);
});

test('runs in quick succession become one later run', async () => {
  const page = installed();
  let runs = 0;
  let handle;
  await page.tick(page.window.setInterval(() => { runs++; handle = page.timers.current(); }, 1000));
  page.pass(100);
  handle.run();
  await settle();
  page.pass(10);
  assert.deepEqual([handle.run(), handle.run(), runs], [true, true, 2]);
  await page.tick(page.newest(40));
  assert.equal(runs, 3);
});

test('a callback does not re-enter, and its error is reported, not ours', async () => {
  const page = installed();
  let handle;
  let depth = 0;
  const failure = new Error('the app failed');
  const id = page.window.setInterval(() => {
    depth++;
    handle = page.timers.current();
    if (depth === 1) return;
    assert.equal(handle.run(), false);
    throw failure;
  }, 1000);
  await page.tick(id);
  page.pass(100);
  assert.equal(handle.run(), true);
  await settle();
  assert.deepEqual([depth, page.reported], [2, [failure]]);
  await assert.rejects(page.tick(id), failure, 'on its own schedule the browser reports it');
  assert.equal(page.failures.length, 0);
});

test('two runs at once keep their continuations apart', async () => {
  const page = installed();
  const handles = {};
  const seen = [];
  const start = (name) => page.window.setInterval(async () => {
    handles[name] = page.timers.current();
    await null;
    seen.push([name, page.timers.current() === handles[name]]);
  }, 1000);
  await page.tick(start('a'));
  await page.tick(start('b'));
  page.pass(100);
  assert.deepEqual([handles.a.run(), handles.b.run()], [true, true]);
  await settle();
  await page.tick(page.newest(0));
  assert.deepEqual(seen.slice(2), [['a', true], ['b', true]]);
});

test('attribution goes on behind cookieStore.get()', async () => {
  const page = installed();
  let inside;
  await page.tick(page.window.setInterval(async () => {
    await page.cookieStore.get('xsrf');
    await null;
    inside = page.timers.current();
  }, 1000));
  assert.equal(page.timers.current(), null);
  page.cookieAnswers.pop()();
  await settle();
  assert.equal(inside.delay, 1000);
});

test('answers that are delivered together are attributed to nobody', async () => {
  const page = installed();
  const seen = [];
  const start = () => page.window.setInterval(async () => {
    await page.cookieStore.get('xsrf');
    await null;
    seen.push(page.timers.current());
  }, 1000);
  await page.tick(start());
  await page.tick(start());
  page.cookieAnswers.forEach((answer) => answer());
  await settle();
  assert.deepEqual(seen, [null, null]);
});

test('uninstall gives every function back and lets the timers go on', async () => {
  const page = createPage();
  const names = ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'];
  const before = names.map((name) => Object.getOwnPropertyDescriptor(page.window, name));
  page.install();
  assert.equal(page.window.setTimeout.name, before[0].value.name);
  assert.equal(page.window.setTimeout.length, before[0].value.length);
  let runs = 0;
  let handle;
  const id = page.window.setInterval(() => { runs++; handle ||= page.timers.current(); }, 1000);
  await page.tick(id);
  page.uninstall();
  assert.deepEqual(
    names.map((name) => Object.getOwnPropertyDescriptor(page.window, name)), before,
  );
  assert.equal(page.listeners.size, 0);
  page.pass(100);
  assert.equal(handle.run(), false);
  await page.tick(id);
  assert.equal(runs, 2);
});

test('a library that wrapped ours keeps working through off and on', async () => {
  const page = installed();
  const inner = page.window.setInterval;
  let calls = 0;
  page.window.setInterval = function (...args) { calls++; return inner.apply(this, args); };
  page.uninstall();
  page.window.setInterval(() => {}, 1000);
  page.install();
  let current;
  await page.tick(page.window.setInterval(() => { current = page.timers.current(); }, 1000));
  assert.equal(calls, 2);
  assert.equal(current.delay, 1000);
});
