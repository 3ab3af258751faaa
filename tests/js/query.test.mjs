import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import * as v5 from '@tanstack/query-core';
import * as v4 from 'query-core-v4';
import { createPage, settle } from './refresh-page.mjs';

const v3 = createRequire(import.meta.url)('query-v3/lib/core');
v3.setLogger({ log() {}, warn() {}, error() {} });
const MAJORS = { v5, v4, v3 };
const HOOK = '__REACT_DEVTOOLS_GLOBAL_HOOK__';

/** Without the timer that sweeps a cache in five minutes: it would keep the process alive. */
const createClient = ({ QueryClient }) => new QueryClient({
  defaultOptions: { queries: { retry: false, gcTime: Infinity, cacheTime: Infinity } },
});

/** What React would commit: a provider some levels below the root. */
function tree(client) {
  const root = { memoizedProps: null };
  const list = { memoizedProps: { value: 'theme' }, return: root };
  const leaf = { memoizedProps: 'text', return: list };
  const provider = { memoizedProps: { client }, return: root };
  root.child = list;
  list.child = leaf;
  list.sibling = provider;
  return { current: root };
}

function start({ QueryClient, QueryObserver }) {
  const page = createPage();
  page.install();
  const client = createClient({ QueryClient });
  page.window[HOOK].onCommitFiberRoot(page.window[HOOK].inject({}), tree(client));
  const asked = [];
  /** The app's request for a topic, as the shim's fetch sees it; answered by `answer`. */
  const request = (key) => {
    const attribution = page.query.attribution();
    const own = page.query.asked(key, attribution);
    return new Promise((answer) => asked.push({ key, attribution, own, answer }));
  };
  const watch = (key, options, queryFn = () => request(key)) =>
    new QueryObserver(client, { queryKey: [key], queryFn, refetchInterval: 2000, ...options });
  const answer = async (value) => {
    asked.filter((it) => !it.done).forEach((it) => { it.done = true; it.answer(value); });
    await settle();
  };
  return { page, client, asked, watch, answer, request };
}

for (const [name, major] of Object.entries(MAJORS)) {
  test(`${name}: a query's request is its own, and is asked again on a push`, async () => {
    const { page, asked, watch, answer } = start(major);
    const observer = watch('/a');
    const results = [];
    const stop = observer.subscribe((result) => results.push(result.data));
    const native = observer.getCurrentQuery().options.queryFn;
    assert.equal(native, observer.options.queryFn, 'the function is back in its place');
    assert.equal(asked[0].attribution.interval, 2000);
    assert.equal(asked[0].attribution.own, false);
    await answer('one');
    assert.equal(page.query.attribution(), null);
    assert.equal(page.query.refresh('/a'), 1);
    assert.equal(page.query.refresh('/b'), 0);
    assert.deepEqual([asked.length, asked[1].own], [2, true]);
    await answer('two');
    assert.equal(results.at(-1), 'two');
    stop();
    assert.equal(page.query.refresh('/a'), 0, 'nobody looks at it');
    assert.deepEqual(page.failures, []);
  });

  test(`${name}: what changed while it was fetching is asked for afterwards, once`, async () => {
    const { page, asked, watch, answer } = start(major);
    watch('/a').subscribe(() => {});
    assert.deepEqual([page.query.refresh('/a'), page.query.refresh('/a')], [1, 1]);
    assert.equal(asked.length, 1);
    await answer('one');
    assert.equal(asked.length, 2);
    await answer('two');
    assert.equal(asked.length, 2);
  });

  test(`${name}: without an interval, or disabled, a query is left alone`, async () => {
    const { page, asked, watch, answer } = start(major);
    watch('/form', { refetchInterval: false }).subscribe(() => {});
    const off = watch('/off');
    off.subscribe(() => {});
    await answer('one');
    off.setOptions({ ...off.options, enabled: false });
    assert.equal(asked[0].attribution.interval, 0);
    assert.deepEqual([page.query.refresh('/form'), page.query.refresh('/off')], [0, 0]);
    assert.equal(asked.length, 2);
  });

  test(`${name}: queries that ask later are told apart by who is in flight`, async () => {
    const { page, client, asked, watch, answer, request } = start(major);
    const late = (key) => async () => { await settle(); return request(key); };
    const a = watch('/a', {}, late('/a'));
    a.subscribe(() => {});
    const b = watch('/b', {}, late('/b'));
    b.subscribe(() => {});
    const fetches = { a: 0, b: 0 };
    client.getQueryCache().subscribe((event) => {
      if (event?.action?.type === 'fetch') fetches[event.query.queryKey[0].slice(1)]++;
    });
    await settle();
    await settle();
    assert.deepEqual(asked.map((it) => it.attribution), [null, null]);
    await answer(1);
    assert.equal(page.query.refresh('/a'), 0, 'one meeting may be chance');
    a.refetch();
    await settle();
    await settle();
    await answer(2);
    assert.equal(page.query.refresh('/a'), 1);
    assert.deepEqual(fetches, { a: 2, b: 0 });
  });

  test(`${name}: a failing refresh is the app's business, not an unhandled rejection`, async () => {
    const { page, client, watch } = start(major);
    let calls = 0;
    watch('/a', {}, async () => {
      page.query.asked('/a', page.query.attribution());
      if (++calls > 1) throw new Error('refused');
      return 1;
    }).subscribe(() => {});
    await settle();
    assert.equal(page.query.refresh('/a'), 1);
    await settle();
    assert.equal(client.getQueryState(['/a']).status, 'error');
    assert.deepEqual(page.failures, []);
  });

  test(`${name}: a removed query is forgotten`, async () => {
    const { page, client, watch, answer } = start(major);
    watch('/a').subscribe(() => {});
    await answer('one');
    client.getQueryCache().clear();
    assert.equal(page.query.refresh('/a'), 0);
  });
}

test('of those in flight, the one that has started since the last call is asking', async () => {
  const { page, asked, watch, answer, request } = start(v5);
  const late = (key) => async () => { await settle(); return request(key); };
  const [a, b] = ['/a', '/b'].map((key) => watch(key, {}, late(key)));
  a.subscribe(() => {});
  b.subscribe(() => {});
  const reached = async (count) => { while (asked.length < count) await settle(); };
  await reached(2);
  await answer(1);
  a.refetch();
  await reached(3);
  b.refetch();
  await reached(4);
  await answer(2);
  assert.equal(page.query.refresh('/b'), 1, 'not a, which was in flight at both calls of b');
});

test('what else runs before the next microtask is not the query\'s', async () => {
  const { asked, watch, request } = start(v5);
  watch('/a').subscribe(() => {});
  request('/other');
  assert.deepEqual(asked.map((it) => !!it.attribution), [true, false]);
});

test('attribution goes on behind cookieStore.get(), each query for itself', async () => {
  const { page, asked, watch, request } = start(v5);
  const axios = (key) => async () => { await page.cookieStore.get('xsrf'); return request(key); };
  const observers = ['/a', '/b'].map((key) => watch(key, {}, axios(key)));
  for (const observer of observers) observer.subscribe(() => {});
  for (const answer of page.cookieAnswers) {
    answer();
    await settle();
  }
  const askers = observers.map((observer) => page.query.note(observer.getCurrentQuery()));
  assert.deepEqual(asked.map((it) => askers.indexOf(it.attribution.id)), [0, 1]);
});

test('an interval given by a function is never called: v5 polls at an unknown pace', async () => {
  const { asked, watch } = start(v5);
  let calls = 0;
  watch('/a', { refetchInterval: () => { calls++; return 500; } }).subscribe(() => {});
  const before = calls;
  assert.equal(asked[0].attribution.interval, 1);
  assert.equal(calls, before);
});

test('a client is found through the root element, and through Vue', async () => {
  for (const found of [
    (client) => ({ __reactContainer$x1: { stateNode: tree(client) } }),
    (client) => ({ __vue_app__: { _context: { provides: { VUE_QUERY_CLIENT: client } } } }),
  ]) {
    const page = createPage();
    page.install();
    const client = createClient(v5);
    page.document.body.children.push({ children: [found(client)] });
    page.query.asked('/a', null);
    let attribution;
    const queryFn = () => { attribution = page.query.attribution(); return 1; };
    client.fetchQuery({ queryKey: ['a'], queryFn });
    assert.equal(attribution.interval, 0);
    await settle();
  }
});

test('the hook chains to the one that is there, and leaves it as it was', () => {
  const page = createPage();
  const commits = [];
  const theirs = { supportsFiber: true, onCommitFiberRoot: (...args) => commits.push(args) };
  const before = theirs.onCommitFiberRoot;
  page.window[HOOK] = theirs;
  page.install();
  theirs.onCommitFiberRoot(1, { current: {} }, 2);
  assert.deepEqual(commits, [[1, { current: {} }, 2]]);
  page.uninstall();
  assert.equal(theirs.onCommitFiberRoot, before);
});

test('a hook of ours goes if no React met it, else it sleeps and can be woken', () => {
  const page = createPage();
  page.install();
  page.uninstall();
  assert.equal(HOOK in page.window, false);
  page.install();
  const hook = page.window[HOOK];
  hook.inject({});
  const inner = hook.onCommitFiberRoot;
  let calls = 0;
  hook.onCommitFiberRoot = (...args) => { calls++; return inner(...args); };
  page.uninstall();
  page.install();
  hook.onCommitFiberRoot(1, { current: {} });
  assert.equal(calls, 1);
  assert.equal(page.window[HOOK], hook);
});

test('after uninstall a cache has no listener of ours', async () => {
  const { page, client } = start(v5);
  assert.equal(client.getQueryCache().hasListeners(), true);
  page.uninstall();
  assert.equal(client.getQueryCache().hasListeners(), false);
});
