// A local answer looks to the app like the native one: the same page, native and locally answered, compared.

import assert from 'node:assert/strict';
import test from 'node:test';
import { json } from './lib/origin.mjs';
import { unable, without } from './lib/pollcast.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const path = '/api/fidelity';
const body = '{"big":99999999999999999999,"float":3.0,"price":99999.50,"text":"é\\u2028 😀 \u2028","n":[1,2]}';

// Cases whose outcome may differ, each with the reason. Keep it short.
const accepted = new Map([
  ['headers access', 'a constructed answer lets its fields be changed; the bytes to forbid it are worth more elsewhere'],
  ['xhr: same object each time', 'the standard and Firefox say the same object; Chromium parses JSON anew at each read'],
]);

// Cases that go to the network by right: another method, other fields, another URL, and every XMLHttpRequest, which
// only passes through.
const native = ['Request of a field', 'HEAD', 'aborted after the headers', 'not found', 'no content',
  'redirected'];

test('interception fidelity: a locally answered page reports what a native one reports',
  { skip: unable() }, async (t) => {
    // Without Pollcast native is compared with native: the cases themselves don't waver.
    const [direct, local] = await Promise.all([report(t, true), report(t, without)]);
    t.diagnostic(`${direct.outcomes.size} cases, native: ${direct.polls} requests`);
    t.diagnostic(`locally answered: ${local.polls} requests`);
    assert.deepEqual(late(direct.outcomes), []);
    const differing = [...direct.outcomes]
      .filter(([name, outcome]) => local.outcomes.get(name) !== outcome && !accepted.has(name))
      .map(([name, outcome]) => `${name}\n  native ${outcome}\n  local  ${local.outcomes.get(name)}`);
    assert.deepEqual(differing.join('\n'), '');
    assert.deepEqual(local.faults, []);
    if (without) return;
    const passing = [...direct.outcomes.keys()].filter((name) => name.startsWith('xhr:'));
    // One case asks twice, one not at all, and a poll may find the topic due for the network.
    assert.ok(local.polls <= native.length + passing.length + 4,
      `too few were local: ${local.urls.join(' ')}`);
  });

async function report(t, direct) {
  const { origin, browser, base, open } = await world(t, { direct });
  origin.route(path, answer);
  const { page, log } = await open(await browser.person(), '/fidelity');
  const last = () => log.gets(path).at(-1)?.at ?? Date.now();
  if (direct) await until('the page polls', () => log.gets(path).length >= 3);
  else await until('no poll leaves the page', () => Date.now() - last() > 2_000, 20_000);
  const since = Date.now();
  await page.evaluate(() => globalThis.run());
  await until('all cases ran', () => page.evaluate(() => globalThis.finished), 120_000, 200);
  const all = await page.evaluate(() => globalThis.report);
  const polls = log.polls(path, since);
  const outcomes = new Map(all.map(([name, outcome]) =>
    [name, JSON.stringify(outcome).replaceAll(base, '')]));
  return { outcomes, polls: polls.length, urls: polls.map((one) => one.url), faults: log.faults() };
}

function late(outcomes) {
  return [...outcomes].filter(([, outcome]) => outcome === '"no outcome in 5 s"');
}

function answer(request, response, url) {
  const to = url.searchParams.get('to');
  const status = Number(url.searchParams.get('status') ?? 200);
  if (to) return response.writeHead(302, { location: to }).end();
  if (status !== 200) return status === 204 ? response.writeHead(204).end() : json(response, status, {});
  response.writeHead(200, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-own': 'of the app',
  });
  if (!url.searchParams.has('slow')) return response.end(body);
  // The head and half of the body; the rest when the client has gone or after a while.
  response.write(Buffer.from(body).subarray(0, 20));
  const rest = setTimeout(() => response.end(Buffer.from(body).subarray(20)), 3_000);
  response.on('close', () => clearTimeout(rest));
}
