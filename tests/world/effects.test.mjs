// Asking has effects: such GETs under the glob behave as without Pollcast. Each story runs in two worlds at once, one
// without and one with Pollcast, and what page and origin saw must be the same.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import test from 'node:test';
import { json } from './lib/origin.mjs';
import { unable, without } from './lib/pollcast.mjs';
import { pass, until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

// Long enough for a central poll of anything that was wrongly believed to be polled.
const watchfulMs = 4_000;

/** Plays one story in both worlds: `route(origin)` sets the origin up, `play({ page, origin, log })` acts. */
async function compare(t, story, path, route, play) {
  const [bare, pushed] = await Promise.all([true, without].map(async (direct) => {
    const { origin, browser, open } = await world(t, { direct });
    route(origin);
    const { page, log } = await open(await browser.person(), `/effects?do=${story}`);
    await play({ page, origin, log });
    const played = origin.seen(path).length;
    await pass(watchfulMs);
    const asked = origin.seen(path).map((one) => `${one.method} ${one.url}`);
    const report = await page.evaluate(() => globalThis.report);
    return { asked, report, faults: log.faults(), later: asked.length - played };
  }));
  t.diagnostic(`${story}: ${bare.asked.length} requests without, ${pushed.asked.length} with`);
  assert.deepEqual(pushed.asked, bare.asked, 'the origin saw the same requests');
  assert.deepEqual(pushed.report, bare.report, 'the page saw the same answers');
  assert.deepEqual(pushed.faults, bare.faults, 'the console says the same');
  assert.equal(pushed.later, 0, 'nothing asked after the story');
  return bare;
}

const reported = (page, count, deadlineMs) => until(`${count} answers`,
  async () => (await page.evaluate(() => globalThis.report.length)) >= count, deadlineMs);

test('a GET that adds to the cart, clicked, and clicked twice in a second: exactly once each',
  { skip: unable() }, async (t) => {
    const { report } = await compare(t, 'clicks', '/api/data', (origin) => {
      const cart = [];
      origin.route('/api/data', (request, response, url) => {
        cart.push(url.searchParams.get('add'));
        json(response, 200, { cart });
      });
    }, async ({ page }) => {
      await page.click('#add');
      await reported(page, 1);
      await pass(1_500);
      for (const count of [2, 3]) {
        await page.click('#add');
        await reported(page, count);
      }
      // As a person tries again, at no regular gap.
      await pass(700);
      await page.click('#add');
      await reported(page, 4);
    });
    assert.equal(JSON.parse(report.at(-1)[1]).cart.length, 4);
  });

test('a long poll held for 20 s in a loop stays one request at a time', { skip: unable() },
  async (t) => {
    await compare(t, 'longPoll', '/api/long', (origin) => {
      let asked = 0;
      origin.route('/api/long', (request, response) => {
        asked += 1;
        // Three changes come soon, then nothing happens for the whole hold, then a change, then silence.
        const holdMs = [300, 300, 300, 20_000, 300][asked - 1] ?? 60_000;
        const answer = JSON.stringify({ asked });
        setTimeout(() => json(response, 200, { answer }), holdMs).unref();
      });
    }, ({ page, origin }) => until('the sixth request',
      async () => (await page.evaluate(() => globalThis.report.length)) >= 5
        && origin.seen('/api/long').length >= 6, 40_000));
  });

test('a cursor that the server moves at each read: polled by a timer, then clicked',
  { skip: unable() }, async (t) => {
    const { report } = await compare(t, 'cursor', '/api/feed', (origin) => {
      let read = 0;
      origin.route('/api/feed', (request, response) => json(response, 200, { read: read += 1 }));
    }, async ({ page }) => {
      await reported(page, 10);
      for (const count of [11, 12, 13]) {
        await page.click('#more');
        await reported(page, count);
      }
    });
    const reads = report.map(([, text]) => JSON.parse(text).read);
    assert.deepEqual(reads, Array.from({ length: 13 }, (_, n) => n + 1));
  });

test('NDJSON arrives line by line, clicked and polled', { skip: unable() }, async (t) => {
  const { report } = await compare(t, 'lines', '/api/lines', routeLines, async ({ page }) => {
    await page.click('#read');
    await reported(page, 1, 40_000);
    await page.click('#poll');
    await reported(page, 5, 60_000);
  });
  assert.ok(report.every(([, seen]) => seen === '0 1 2 3 4'), JSON.stringify(report));
});

/** Sends a line only when the page has confirmed the one before; whoever holds the lines back gets `late` instead. */
function routeLines(origin) {
  const waiting = new Map();
  let readings = 0;
  origin.route('/ack', (request, response, url) => {
    waiting.get(`${url.searchParams.get('reading')} ${url.searchParams.get('n')}`)?.();
    json(response, 200, {});
  });
  origin.route('/api/lines', async (request, response) => {
    const reading = readings += 1;
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    for (let n = 0; n < 5; n += 1) {
      response.write(`${JSON.stringify({ reading, n })}\n`);
      const confirmed = await new Promise((resolve) => {
        waiting.set(`${reading} ${n}`, () => resolve(true));
        setTimeout(resolve, 5_000, false).unref();
      });
      if (!confirmed) return response.end(`${JSON.stringify({ reading, n: 'late' })}\n`);
    }
    response.end();
  });
}

test('a session cookie that each answer replaces: polled every second, nobody is logged out',
  { skip: unable() }, async (t) => {
    const { report } = await compare(t, 'rotation', '/api/session', (origin) => {
      let session;
      origin.route('/api/session', (request, response) => {
        const [, sent] = /\btoken=([^;]*)/.exec(request.headers.cookie ?? '') ?? [];
        if (session && sent !== session) return json(response, 401, { error: 'logged out' });
        session = randomUUID();
        json(response, 200, { user: 'me' }, { 'set-cookie': `token=${session}; Path=/; HttpOnly` });
      });
    }, ({ page }) => reported(page, 12, 30_000));
    assert.deepEqual(report.map(([status]) => status), Array(12).fill(200));
  });
