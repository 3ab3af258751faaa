// A page on one host, its API through Pollcast on another: what the origin lets the page read is pushed to it, and what
// it doesn't stays out of its reach.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unable } from './lib/pollcast.mjs';
import { pass, until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const skip = unable();
const EVERY = 400;

const ways = {
  fetch: (url, credentials) => `
const ask = () => fetch('${url}', { credentials: '${credentials}' })
  .then(async (response) => {
    document.querySelector('main').textContent = await response.text();
    window.type = response.type;
  }, () => { window.failed++; });`,
  XMLHttpRequest: (url, credentials) => `
const ask = () => {
  const xhr = new XMLHttpRequest();
  xhr.open('GET', '${url}');
  xhr.withCredentials = ${credentials === 'include'};
  xhr.onload = () => { document.querySelector('main').textContent = xhr.responseText; };
  xhr.onerror = () => { window.failed++; };
  xhr.send();
};`,
};

/** A page that polls `api` and shows what came; `window.failed` counts what was refused. */
function page(api, credentials, way) {
  return `<!doctype html><title>cross</title><link rel="icon" href="data:,">
<script src="${api}/__pollcast/shim.js"></script><main></main><script>
window.failed = 0;${ways[way](`${api}/api/x`, credentials)}
ask();
setInterval(ask, ${EVERY});
</script>`;
}

/** The page is on the origin's own port, the API on Pollcast's. */
async function start(t, { credentials = 'include', named = true, way = 'fetch' } = {}) {
  let options = {};
  const { origin, pollcast, browser, open } = await world(t, {
    get cors() { return options.cors ?? {}; },
  });
  options = { cors: named ? { origins: [origin.base] } : {} };
  pollcast.options = { ...pollcast.options, ...options };
  await pollcast.kill();
  await pollcast.launch();
  const api = { n: 1, admits: true };
  origin.route('/api/x', (request, response) => {
    if (api.admits) {
      response.setHeader('access-control-allow-origin', origin.base);
      response.setHeader('access-control-allow-credentials', 'true');
    }
    // It knows no preflights.
    const status = request.method === 'OPTIONS' ? 405 : 200;
    response.writeHead(status, { 'content-type': 'application/json', 'x-secret': 'x' });
    response.end(String(api.n));
  });
  origin.route('/cross', (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(page(pollcast.base, credentials, way));
  });
  const tab = await open(await browser.person(), '/cross', origin.base);
  const shows = (n) => until(`the page shows ${n}`,
    async () => (await tab.page.locator('main').textContent()) === String(n), 20 * EVERY);
  return { api, origin, tab, shows };
}

for (const [way, credentials] of Object.keys(ways).flatMap(
  (one) => [[one, 'include'], [one, 'same-origin']])) {
  test(`${way}, credentials: ${credentials}: pushed, until the origin says no`, { skip }, async (t) => {
    const { api, origin, tab, shows } = await start(t, { credentials, way });
    const polls = () => tab.log.polls('/api/x').filter(({ method }) => method === 'GET');
    await shows(1);
    await until('no poll leaves the page',
      () => Date.now() - (polls().at(-1)?.at ?? 0) > 4 * EVERY, 20_000);
    api.n = 2;
    await shows(2);
    if (way === 'fetch') assert.equal(await tab.page.evaluate(() => window.type), 'cors');
    assert.equal(await tab.page.evaluate(() => window.failed), 0);
    assert.ok(origin.seen('/api/x').length > 0);
    api.admits = false;
    api.n = 3;
    await until('the page is refused as ever', () => tab.page.evaluate(() => window.failed > 1),
      20 * EVERY);
    assert.equal(await tab.page.locator('main').textContent(), '2');
  });
}

test('a host that the configuration does not name polls as ever', { skip }, async (t) => {
  const { api, tab, shows } = await start(t, { named: false });
  await shows(1);
  await pass(8 * EVERY);
  api.n = 2;
  await shows(2);
  assert.equal(await tab.page.evaluate(() => window.failed), 0);
  const asked = tab.log.requests.filter(({ path }) => path === '/__pollcast/stream');
  assert.ok(asked.length <= 2, `${asked.length} attempts at a stream`);
});
