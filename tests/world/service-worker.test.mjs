// A page with a service worker: the script comes first, then the worker, then the network.

import assert from 'node:assert/strict';
import test from 'node:test';
import { json } from './lib/origin.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { pass, until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const everyMs = 400;

/** Counts what it sees of `/api/`, adds a field, and makes up the answers of `/api/mock`. */
const worker = `
const counts = {};
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(clients.claim()));
self.addEventListener('fetch', (event) => {
  const { pathname } = new URL(event.request.url);
  if (pathname === '/counts') return event.respondWith(Response.json(counts));
  if (!pathname.startsWith('/api/')) return;
  counts[pathname] = (counts[pathname] || 0) + 1;
  event.respondWith(pathname === '/api/mock' ? Response.json({ n: counts[pathname] }) : pass(event.request));
});
async function pass(request) {
  const response = await fetch(request);
  const headers = new Headers(response.headers);
  headers.set('x-by', 'worker');
  return new Response(response.body, { status: response.status, headers });
}`;

const page = `<!doctype html><title>worker</title><link rel="icon" href="data:,"><main></main><script>
const ready = (async () => {
  await navigator.serviceWorker.register('/worker.js');
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done));
  }
})();
window.seen = { fetch: 0, xhr: 0, mock: 0 };
ready.then(() => {
  setInterval(async () => { seen.fetch = (await (await fetch('/api/x')).json()).n; }, ${everyMs});
  setInterval(() => {
    const xhr = new XMLHttpRequest();
    xhr.open('GET', '/api/y');
    xhr.onload = () => { seen.xhr = JSON.parse(xhr.responseText).n; seen.by = xhr.getResponseHeader('x-by'); };
    xhr.send();
  }, ${everyMs});
  setInterval(async () => { seen.mock = (await (await fetch('/api/mock')).json()).n; }, ${everyMs});
});
</script>`;

test('behind the script and before the network', { skip: unableWithout() }, async (t) => {
  const { origin, browser, open } = await world(t);
  let n = 1;
  for (const path of ['/api/x', '/api/y', '/api/mock']) {
    origin.route(path, (request, response) => json(response, 200, { n }));
  }
  const serve = (path, type, text) => origin.route(path, (request, response) => {
    response.writeHead(200, { 'content-type': type }).end(text);
  });
  serve('/worker.js', 'text/javascript', worker);
  serve('/page', 'text/html', page);
  const tab = await open(await browser.person(), '/page');
  const seen = () => tab.page.evaluate(() => globalThis.seen);
  const counts = () => tab.page.evaluate(async () => (await fetch('/counts')).json());
  await until('the worker stands before the network', async () => (await seen()).by === 'worker');
  let known = {};
  let since = Date.now();
  await until('no poll comes to the worker', async () => {
    const now = await counts();
    if (now['/api/x'] !== known['/api/x'] || now['/api/y'] !== known['/api/y']) since = Date.now();
    known = now;
    return Date.now() - since > 4 * everyMs;
  }, 30_000, 100);
  n = 2;
  await until('a change is pushed', async () => {
    const { fetch, xhr } = await seen();
    return fetch === 2 && xhr === 2;
  });
  assert.equal((await seen()).by, null, 'what a worker adds to an answer is not in a pushed state');
  const after = await counts();
  assert.deepEqual([after['/api/x'], after['/api/y']], [known['/api/x'], known['/api/y']]);
  // What it makes up is asked of it each time.
  const { mock } = await seen();
  await until('made up anew', async () => (await seen()).mock > mock + 3);
  assert.ok((await counts())['/api/mock'] > after['/api/mock']);
  await tab.page.evaluate(async () => (await fetch('/api/x', { cache: 'reload' })).text());
  assert.equal((await counts())['/api/x'], after['/api/x'] + 1);
  await pass(2 * everyMs);
  assert.deepEqual(tab.log.faults(), []);
});
