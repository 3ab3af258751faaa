// A local answer looks to the app like the native one: the same page, native and locally answered, compared.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { json } from './lib/origin.mjs';
import { unable, without } from './lib/pollcast.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const path = '/api/fidelity';
const beside = ['/api/plain', '/api/empty', '/api/zipped'];
const body = '{"big":99999999999999999999,"float":3.0,"price":99999.50,"text":"é\\u2028 😀 \u2028","n":[1,2]}';

/** The two lists of docs/INTERCEPTION.md: differences that are accepted, and cases that the network answers. */
const docs = readFileSync(new URL('../../docs/INTERCEPTION.md', import.meta.url), 'utf8');
const listed = (heading) => {
  const section = docs.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return [...section.matchAll(/^\| `(.+?)` \|/gm)].map(([, name]) => name);
};
const accepted = listed('Accepted differences');
const native = listed('What the network answers');

// No case finds the topic due for its renewal.
const options = { poll: { reauthorize: '10m' } };

// Cases that tell whether others that patch are in the way.
const some = '^(xhr: (abort|another|events|getters|handlers|reused|sent|subclass|surface|traced|type)|axios|jQuery|rxjs)';

for (const [title, setup] of Object.entries({
  'a locally answered page reports what a native one reports': { page: '/fidelity' },
  'patches that were there before us': { page: '/fidelity', only: some, before: patchFirst },
  'zone.js, loaded behind us': { page: '/fidelity-zone', only: some },
})) {
  test(`interception fidelity: ${title}`, { skip: unable() }, async (t) => {
    // Without Pollcast native is compared with native: the cases themselves don't waver.
    const [direct, local] = await Promise.all([report(t, true, setup), report(t, without, setup)]);
    t.diagnostic(`${direct.outcomes.size} cases; requests: native ${direct.requests}, local ${local.requests}`);
    assert.deepEqual(late(direct.outcomes), []);
    const differing = [...direct.outcomes].filter(([name, seen]) => local.outcomes.get(name) !== seen);
    const lines = differing.filter(([name]) => !accepted.includes(name))
      .map(([name, seen]) => `${name}\n  native ${seen}\n  local  ${local.outcomes.get(name)}`);
    assert.equal(lines.join('\n'), '');
    assert.deepEqual(local.faults.filter((line) => !direct.faults.includes(line)), []);
    if (without) return;
    const names = [...direct.outcomes.keys()];
    const mine = (list) => list.filter((name) => names.includes(name)).sort();
    assert.deepEqual(mine(local.networked), mine(native), 'asked of the network: those that are documented');
    if (setup.only) return;
    const seen = differing.map(([name]) => name).sort();
    assert.deepEqual(seen, [...accepted].sort(), 'docs/INTERCEPTION.md lists what differs, and no more');
    assert.deepEqual(native.filter((name) => !names.includes(name)), [], 'no case of that name');
  });
}

/** As a tool does that the page loads before anything else. */
function patchFirst() {
  const { prototype } = XMLHttpRequest;
  const { open, send } = prototype;
  Object.assign(prototype, {
    open(...args) { this.early = args[0]; return open.apply(this, args); },
    send(...args) {
      this.addEventListener('loadend', () => { this.early += this.status; });
      return send.apply(this, args);
    },
  });
}

async function report(t, direct, { page: address, only = '', before }) {
  const { origin, browser, base, open } = await world(t, { direct, ...options });
  for (const one of [path, ...beside]) origin.route(one, answer);
  const person = await browser.person();
  if (before) await person.addInitScript(before);
  const { page, log } = await open(person, address);
  const all = [path, ...beside];
  const gets = (since) => all.flatMap((one) => log.gets(one, since));
  if (direct) await until('the page polls', () => log.gets(path).length >= 3);
  else {
    const last = () => Math.max(0, ...gets().map(({ at }) => at));
    await until('no poll leaves the page', () => last() && Date.now() - last() > 2_000, 30_000);
  }
  const since = Date.now();
  await page.evaluate((names) => globalThis.run(names), only);
  await until('all cases ran', () => page.evaluate(() => globalThis.finished), 240_000, 200);
  const cases = await page.evaluate(() => globalThis.report);
  const ended = await page.evaluate(() => globalThis.finished);
  const ends = (at) => cases[at + 1]?.[2] ?? ended;
  const during = (from, to) => log.gets(path).filter(({ began }) => began >= from && began < to);
  const networked = cases.filter(([, , from], at) => during(from, ends(at)).length)
    .map(([name]) => name);
  const anywhere = (text) => text.replaceAll(base, '').replaceAll(new URL(base).host, '');
  const outcomes = new Map(cases.map(([name, outcome]) => [name, anywhere(JSON.stringify(outcome))]));
  return { outcomes, networked, requests: gets(since).length, faults: log.faults().map(anywhere) };
}

function late(outcomes) {
  return [...outcomes].filter(([, outcome]) => outcome === '"no outcome in 5 s"');
}

function answer(request, response, url) {
  const to = url.searchParams.get('to');
  const status = Number(url.searchParams.get('status') ?? 200);
  if (to) return response.writeHead(302, { location: to }).end();
  if (status !== 200) return status === 204 ? response.writeHead(204).end() : json(response, status, {});
  const [type, content] = {
    '/api/plain': ['text/plain', 'no json: {'],
    '/api/empty': ['text/plain; charset=utf-8', ''],
    '/api/zipped': ['application/json', body],
  }[url.pathname] ?? ['application/json; charset=utf-8', body];
  const zip = url.pathname === '/api/zipped';
  const bytes = zip ? gzipSync(content) : Buffer.from(content);
  const fields = { 'content-type': type, 'cache-control': 'no-store', 'x-own': 'of the app', 'x-empty': '',
    'x-many': ['one', 'two'], 'etag': '"v1"', ...(zip && { 'content-encoding': 'gzip' }) };
  if (request.headers['if-none-match'] === '"v1"') return response.writeHead(304, fields).end();
  if (request.headers.range === 'bytes=0-4') {
    const range = { 'content-range': `bytes 0-4/${bytes.length}`, 'content-length': 5 };
    return response.writeHead(206, { ...fields, ...range }).end(bytes.subarray(0, 5));
  }
  response.writeHead(200, { ...fields, 'content-length': bytes.length });
  if (!url.searchParams.has('slow')) return response.end(bytes);
  // The head and half of the body; the rest when the client has gone or after a while.
  response.write(bytes.subarray(0, 20));
  const rest = setTimeout(() => response.end(bytes.subarray(20)), 3_000);
  response.on('close', () => clearTimeout(rest));
}
