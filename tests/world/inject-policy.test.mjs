// Content-Security-Policy and its kin: either the shim runs and nobody complains, or the page has no tag at all.

import assert from 'node:assert/strict';
import test from 'node:test';
import { createHash } from 'node:crypto';
import { hasShim } from './lib/documents.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { site } from './lib/site.mjs';
import { until } from './lib/wait.mjs';

const skip = unableWithout();
const inline = 'globalThis.own = true;';
const hash = `'sha256-${createHash('sha256').update(inline).digest('base64')}'`;
const csp = 'content-security-policy';
const page = (head = '') => '<!doctype html><html><head><link rel=icon href="data:,">' +
  `${head}<script nonce=abc>${inline}</script><script src=/foreign.js></script></head><body></body></html>`;

// Name → the fields; whether the shim runs by default, and with `csp = "extend"`.
const policies = {
  'none': [{}, true, true],
  'self': [{ [csp]: "default-src 'self' 'unsafe-inline'" }, true, true],
  'nonce': [{ [csp]: "script-src 'nonce-abc'" }, true, true],
  'nonce and strict-dynamic': [{ [csp]: "script-src 'nonce-abc' 'strict-dynamic' https: 'unsafe-inline'" }, true, true],
  'hash': [{ [csp]: `script-src ${hash}` }, false, true],
  'hash and strict-dynamic': [{ [csp]: `script-src ${hash} 'strict-dynamic'` }, false, false],
  'nothing at all': [{ [csp]: "default-src 'none'" }, false, true],
  'inline only': [{ [csp]: "script-src 'unsafe-inline'" }, false, true],
  'connections elsewhere': [{ [csp]: "connect-src https://api.example" }, false, true],
  'a default with a nonce': [{ [csp]: "default-src 'nonce-abc'" }, false, true],
  'scripts apart from elements': [{ [csp]: "script-src 'self' 'unsafe-inline'; script-src-elem 'nonce-abc'" }, true, true],
  'two policies': [{ [csp]: ["script-src 'self' 'unsafe-inline'", "script-src 'nonce-abc'"] }, true, true],
  'two policies, one too many': [{ [csp]: "script-src 'nonce-abc', script-src 'none'" }, false, true],
  'two nonces': [{ [csp]: "script-src 'nonce-abc', script-src 'nonce-def'" }, false, false],
  'trusted types': [{ [csp]: "require-trusted-types-for 'script'; trusted-types 'none'" }, true, true],
  'integrity policy': [{ 'integrity-policy': 'blocked-destinations=(script)' }, false, false],
  'sandbox': [{ [csp]: 'sandbox allow-scripts' }, false, false],
  'report only': [{ [`${csp}-report-only`]: "script-src 'nonce-abc'; report-uri /reports" }, true, true],
  'isolation': [{ 'cross-origin-embedder-policy': 'require-corp', 'cross-origin-opener-policy': 'same-origin' }, true, true],
};

/** What the browser complains of that has to do with us; policies that it quotes may well name our paths. */
function ours(complaints) {
  return complaints.filter((line) => /'http[^']*__pollcast/.test(line) || line.includes('shim.js:'));
}

for (const [mode, column] of [['leave', 1], ['extend', 2]]) {
  test(`policies, csp = "${mode}": the shim runs, or there is no tag`, { skip }, async (t) => {
    const { say, page: tab, base, origin, complaints } = await site(t, { inject: { csp: mode } });
    const reports = [];
    origin.route('/reports', (request, response) => {
      request.on('data', (bytes) => reports.push(String(bytes)));
      response.end();
    });
    say('/foreign.js', 'globalThis.foreign = true;', { type: 'text/javascript' });
    for (const [name, row] of Object.entries(policies)) {
      say('/page', page(), row[0]);
      await tab.goto(origin.base + '/page');
      const look = () => tab.evaluate(() => [globalThis.own, globalThis.foreign, document.documentElement.outerHTML]);
      const direct = await look();
      complaints.length = 0;
      await tab.goto(base + '/page');
      assert.equal(await hasShim(tab), row[column], name);
      assert.deepEqual(await look(), direct, `${name}: something else runs, or doesn't`);
      assert.deepEqual(ours(complaints), [], name);
      if (!row[column]) continue;
      const reached = tab.evaluate(async () => (await fetch(location.origin + '/__pollcast/mode')).status);
      assert.equal(await reached.catch(String), 200, `${name}: the stream is out of reach`);
    }
    assert.deepEqual(reports.filter((one) => one.includes('__pollcast')), []);
  });
}

test('a policy that was extended forbids all else that it forbade', { skip }, async (t) => {
  const { say, page: tab, base } = await site(t, { inject: { csp: 'extend' } });
  say('/foreign.js', 'globalThis.foreign = true;', { type: 'text/javascript' });
  say('/api/x', '{}', { type: 'application/json' });
  for (const policy of ["default-src 'none'", "script-src 'none'; connect-src 'none'; worker-src 'none'",
    `script-src ${hash}; connect-src https://a.example`]) {
    say('/page', page(), { [csp]: policy });
    await tab.goto(base + '/page');
    assert.ok(await hasShim(tab), policy);
    const got = await tab.evaluate(async () => {
      const tries = {
        connect: () => fetch('/api/x'),
        worker: () => new Promise((resolve, reject) => {
          const worker = new Worker('/__pollcast/shim.js');
          worker.onerror = reject;
          setTimeout(resolve, 500);
        }),
        script: () => new Promise((resolve, reject) => {
          const element = document.createElement('script');
          Object.assign(element, { src: '/foreign.js?2', onload: resolve, onerror: reject });
          document.head.append(element);
        }),
        attribute: async () => {
          const element = document.createElement('p');
          element.setAttribute('onclick', 'globalThis.clicked = true');
          element.click();
          if (!globalThis.clicked) throw new Error('blocked');
        },
      };
      const allowed = [];
      for (const [name, attempt] of Object.entries(tries)) {
        await attempt().then(() => allowed.push(name), () => {});
      }
      return [allowed, globalThis.foreign];
    });
    assert.deepEqual(got, [[], undefined], policy);
  }
});

test('policies in the page: the shim runs, and lets go if its stream is out of reach', { skip }, async (t) => {
  const { say, page: tab, base, complaints, logged } = await site(t);
  for (const policy of ["script-src 'nonce-abc'", "default-src 'self' 'unsafe-inline'",
    "require-trusted-types-for 'script'; trusted-types 'none'", "script-src 'nonce-abc' 'strict-dynamic'"]) {
    say('/page', page(`<meta http-equiv=Content-Security-Policy content="${policy}">`));
    complaints.length = 0;
    await tab.goto(base + '/page');
    assert.ok(await hasShim(tab), policy);
    assert.ok(await tab.evaluate(() => globalThis.own), policy);
    assert.deepEqual(ours(complaints), [], policy);
  }
  // Polling is allowed, neither a worker nor the stream: a line for each, and the page polls as ever.
  const poll = `<script nonce=abc>globalThis.polls = 0; setInterval(async () => {
    await (await fetch(location.origin + '/api/items')).json(); globalThis.polls += 1; }, 300);</script>`;
  say('/page', page(`<meta http-equiv=Content-Security-Policy content="connect-src ${base}/api/;worker-src 'none'">${poll}`));
  complaints.length = 0;
  await tab.goto(base + '/page');
  await until('it tries its stream', () => ours(complaints).length > 1);
  const polls = await tab.evaluate(() => globalThis.polls);
  await until('the page polls on', async () => (await tab.evaluate(() => globalThis.polls)) > polls + 5);
  assert.equal(ours(complaints).filter((line) => line.includes('Security Policy')).length, 2, complaints.join('\n'));
  say('/page', page(), { [csp]: "script-src 'none'" });
  await tab.goto(base + '/page');
  await until('a line says why', () => logged('script-src'));
});
