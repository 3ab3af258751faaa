// The middleware that SWR 2 takes from a global, called as SWR calls it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPage, settle } from './refresh-page.mjs';

const USE = '__SWR_DEVTOOLS_USE__';

/** A hook of SWR's: `render` returns the fetcher that SWR would call. */
function start(config = { refreshInterval: 2000 }) {
  const page = createPage();
  page.install();
  const [middleware] = page.window[USE];
  const calls = { mutate: 0 };
  const mutate = () => { calls.mutate++; return Promise.resolve(); };
  const render = (key, fetcher, options = config) => {
    const next = (...args) => { calls.next = args; return { mutate }; };
    calls.result = middleware(next)(key, fetcher, options);
    return calls.next[1];
  };
  return { page, middleware, calls, mutate, render };
}

/** The app's request, as the shim's fetch sees it. */
function ask(page, key) {
  const by = page.query.attribution();
  page.query.asked(key, by);
  return by;
}

test('the arguments, the result and the errors are the app’s own', () => {
  const { page, middleware, calls, mutate, render } = start();
  const fetcher = (...args) => { throw args; };
  const config = {};
  const wrapped = render(['/a', 1], fetcher, config);
  assert.deepEqual(calls.next[0], ['/a', 1]);
  assert.equal(calls.next[2], config);
  assert.equal(calls.result.mutate, mutate);
  assert.throws(() => wrapped('/a', 1), (error) => error.join() === '/a,1');
  const suspended = Promise.resolve();
  const suspend = () => { throw suspended; };
  assert.throws(() => middleware(suspend)('/a', fetcher, config), (it) => it === suspended);
  render('/a', null, config);
  assert.equal(calls.next[1], null);
  page.uninstall();
  render('/a', fetcher, config);
  assert.equal(calls.next[1], fetcher, 'gone');
  assert.throws(() => wrapped('/a', 1), (error) => error.join() === '/a,1');
  assert.deepEqual(page.failures, []);
});

test('what its fetcher asks for is its own, and is asked for again by mutate()', async () => {
  const { page, calls, render } = start();
  let by;
  await render('/a', () => { by = ask(page, '/api/a'); return Promise.resolve(1); })('/a');
  assert.equal(by.interval, 2000);
  assert.equal(page.query.attribution(), null);
  assert.deepEqual([page.query.refresh('/api/a'), page.query.refresh('/api/b')], [1, 0]);
  assert.equal(calls.mutate, 1);
});

test('a thenable that asks anew for each then() is left to SWR', () => {
  const { render } = start();
  let thens = 0;
  const lazy = { then() { thens++; } };
  assert.equal(render('/a', () => lazy)('/a'), lazy);
  assert.equal(thens, 0);
});

test('without an interval, or with another key since, nothing is asked for', async () => {
  const { page, calls, render } = start();
  const fetcher = (key) => { ask(page, key); return Promise.resolve(1); };
  await render('/a', fetcher)('/a');
  await render('/b', fetcher)('/b');
  assert.deepEqual([page.query.refresh('/a'), page.query.refresh('/b')], [0, 1]);
  render('/b', fetcher, { refreshInterval: 0 });
  await settle();
  assert.equal(page.query.refresh('/b'), 0);
  assert.equal(calls.mutate, 1);
});

for (const refreshInterval of [2000, () => 2000]) {
  test(`${typeof refreshInterval}: it polls as long as its timer is set`, async () => {
    const { page, calls, render } = start({ refreshInterval });
    const fetcher = render('/a', () => { ask(page, '/a'); return Promise.resolve(1); });
    const execute = () => fetcher('/a').then(() => { id = page.window.setTimeout(execute, 2000); });
    let id = page.window.setTimeout(execute, 2000);
    await page.tick(id);
    assert.equal(page.query.refresh('/a'), 1);
    page.window.clearTimeout(id);
    assert.equal(page.query.refresh('/a'), 0, 'unmounted');
    assert.equal(calls.mutate, 1);
  });
}

test('a timer of another delay says nothing about it', async () => {
  const { page, render } = start();
  const fetcher = render('/a', () => { ask(page, '/a'); return Promise.resolve(1); });
  const retry = page.window.setTimeout(() => fetcher('/a'), 5000);
  await page.tick(retry);
  assert.equal(page.query.refresh('/a'), 1);
});

test('a change while it fetches is asked for afterwards', async () => {
  const { page, calls, render } = start();
  let answer;
  const pending = new Promise((done) => { answer = done; });
  render('/a', () => { ask(page, '/a'); return pending; })('/a');
  assert.deepEqual([page.query.refresh('/a'), page.query.refresh('/a')], [1, 1]);
  assert.equal(calls.mutate, 0);
  await page.tick(page.newest(50));
  answer(1);
  await settle();
  await page.tick(page.newest(50));
  assert.equal(calls.mutate, 1);
});

test('the global: chained to what is there, and taken back', () => {
  const page = createPage();
  const theirs = [() => {}];
  page.window[USE] = theirs;
  page.install();
  assert.equal(page.window[USE].length, 2);
  assert.equal(page.window[USE][0], theirs[0]);
  page.uninstall();
  assert.equal(page.window[USE], theirs);
  delete page.window[USE];
  page.install();
  page.window.__SWR_DEVTOOLS_REACT__ = {};
  page.uninstall();
  assert.deepEqual(Object.keys(page.window).filter((name) => /SWR/.test(name)), []);
  page.install();
  const others = page.window[USE] = [];
  page.uninstall();
  assert.equal(page.window[USE], others, 'what came after us is not ours to take');
});
