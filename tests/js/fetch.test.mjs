import assert from 'node:assert/strict';
import test from 'node:test';
import { Page } from './page.mjs';

async function local(init, url = '/api/x') {
  const page = new Page().load();
  await page.vouched(url);
  const response = await page.fetch(url, init);
  assert.equal(page.asked(url), 0);
  return { page, response };
}

/** Asks once more: as a person would, and not so soon that it would pass for a rush. */
async function calm(page, init) {
  await page.clock.pass(600);
  page.emit(page.window, 'wheel');
  await page.stream.send('beat', {});
  return page.fetch('/api/x', init);
}

test('a local answer looks like the network’s', async () => {
  const { response } = await local(undefined, '/api/x?q=1');
  assert.ok(response instanceof Response);
  assert.equal(response.url, 'http://app.test/api/x?q=1');
  assert.equal(response.type, 'basic');
  assert.equal(response.status, 200);
  assert.equal(response.statusText, 'OK');
  assert.equal(response.ok, true);
  assert.equal(response.redirected, false);
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.equal(response.headers.has('pollcast-state'), false);
  assert.equal(response.bodyUsed, false);
  const copy = response.clone();
  assert.equal(copy.url, response.url);
  assert.deepEqual(await response.json(), { n: 1 });
  assert.equal(response.bodyUsed, true);
  await assert.rejects(() => response.text(), TypeError);
  assert.throws(() => response.clone(), TypeError);
  assert.equal(await copy.text(), '{"n":1}');
});

test('the url of an answer has no fragment', async () => {
  const page = new Page().load();
  await page.vouched();
  assert.equal((await page.fetch('/api/x#part')).url, 'http://app.test/api/x');
  assert.equal(page.asked(), 0);
});

test('every reader of a local answer works', async () => {
  const { page } = await local();
  const signal = new AbortController().signal;
  for (const init of [undefined, { signal }]) {
    const get = () => calm(page, init);
    assert.equal(Buffer.from(await (await get()).arrayBuffer()).toString(), '{"n":1}');
    const blob = await (await get()).blob();
    assert.equal(blob.type, 'application/json');
    assert.equal(await blob.text(), '{"n":1}');
    let text = '';
    for await (const chunk of (await get()).body) text += Buffer.from(chunk);
    assert.equal(text, '{"n":1}');
    assert.deepEqual(await (await get()).clone().json(), { n: 1 });
  }
});

test('json() of a local answer resolves in microtasks', async () => {
  const { page } = await local();
  let done = false;
  page.fetch('/api/x').then((response) => response.json()).then(() => (done = true));
  for (let i = 0; i < 20; i++) await null;
  assert.equal(done, true);
});

test('aborted before: the reason; aborted after: the readers reject', async () => {
  const { page } = await local();
  const reason = new Error('mine');
  const early = AbortSignal.abort(reason);
  await assert.rejects(page.fetch('/api/x', { signal: early }), reason);
  for (const reader of ['text', 'json', 'arrayBuffer', 'blob']) {
    const control = new AbortController();
    const response = await calm(page, { signal: control.signal });
    control.abort(reason);
    await assert.rejects(response[reader](), reason, reader);
  }
  const control = new AbortController();
  const request = new page.window.Request('/api/x', { signal: control.signal });
  await page.clock.pass(600);
  const response = await page.fetch(request);
  control.abort(reason);
  await assert.rejects(response.text());
  assert.equal(page.asked(), 0);
});

test('a Request as input is answered, and not consumed', async () => {
  const { page } = await local();
  const request = new page.window.Request('/api/x');
  assert.equal(await page.read(request), '{"n":1}');
  assert.equal(request.bodyUsed, false);
  await page.clock.pass(600);
  assert.equal(await page.read(new URL('http://app.test/api/x')), '{"n":1}');
  assert.equal(page.asked(), 0);
});

test('a byte order mark survives, and is not part of the text', async () => {
  const page = new Page();
  page.state.body = '\ufeff{"n":1}';
  page.load();
  await page.vouched();
  assert.equal(await page.read('/api/x'), '{"n":1}');
  const bytes = new Uint8Array(await (await page.fetch('/api/x')).arrayBuffer());
  assert.deepEqual([...bytes.slice(0, 3)], [0xef, 0xbb, 0xbf]);
  assert.equal(page.asked(), 0);
});

test('broken UTF-8 is never held', async () => {
  const page = new Page();
  page.state.body = new Uint8Array([0x7b, 0xff, 0x7d]);
  page.load();
  page.poll();
  await page.clock.pass(10000);
  assert.equal(page.streams.length, 0);
});

test('a marked answer does not show its mark, cloned or not', async () => {
  const page = new Page().load();
  page.poll();
  await page.clock.pass(2100);
  page.emit(page.window, 'pagehide');
  const response = await page.fetch('/api/x');
  assert.ok(page.seen.at(-1).marked);
  assert.equal(response.headers.has('pollcast-state'), false);
  assert.equal(response.clone().headers.has('pollcast-state'), false);
  assert.equal(response.headers.get('content-type'), 'application/json');
  assert.deepEqual(await response.clone().json(), { n: 1 });
  assert.equal(await response.text(), '{"n":1}');
});

test('not ours: the same arguments, the very promise', async () => {
  const page = new Page();
  const calls = [];
  const promise = Promise.resolve(new Response('x'));
  page.window.fetch = function fetch(...args) {
    calls.push([this, args]);
    return promise;
  };
  page.load();
  const init = { headers: { a: 'b' } };
  assert.equal(page.window.fetch('/static/x', init), promise);
  assert.equal(calls[0][0], page.window);
  assert.equal(calls[0][1][1], init);
  assert.equal(page.window.fetch.call(undefined, 'http://other.test/api/x'), promise);
  assert.equal(page.window.fetch('/__pollcast/mode'), promise);
  assert.equal(page.window.fetch.name, 'fetch');
});

test('what only the network can answer goes there', async () => {
  const { page } = await local();
  const inits = [
    { cache: 'reload' },
    { cache: 'no-cache' },
    { cache: 'force-cache' },
    { credentials: 'omit' },
    { redirect: 'manual' },
    { integrity: 'sha256-x' },
    { mode: 'no-cors' },
    { keepalive: true },
    { headers: { Range: 'bytes=0-1' } },
    { headers: { 'If-None-Match': '"x"' } },
    { headers: new Map([['a', 'b']]).entries() },
  ];
  for (const init of inits) {
    await page.fetch('/api/x', init).catch(() => {});
    assert.equal(page.asked(), 1, JSON.stringify(init));
  }
  assert.equal((await page.fetch('/api/x', { cache: 'no-store' })).status, 200);
  assert.equal(page.asked(), 0);
});

test('arguments that fetch refuses are refused by fetch', async () => {
  const { page } = await local();
  await assert.rejects(page.fetch('http://['), TypeError);
  await assert.rejects(page.fetch('/api/x', { headers: { 'bad name': 'x' } }), TypeError);
  assert.equal(page.untouched(), false, 'not our fault: we stay');
});
