// The script tag is invisible: each page is the same document with and without Pollcast, the shim runs before all else
// in it, or the page crosses byte for byte and a log line says why.

import assert from 'node:assert/strict';
import test from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { hasShim, note, soup } from './lib/documents.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { site } from './lib/site.mjs';
import { until } from './lib/wait.mjs';

const skip = unableWithout();

const script = `<script id=own>${note}</script>`;
const documents = {
  'whole': `<!doctype html><html><head><title>t</title>${script}</head><body>b</body></html>`,
  'no head': `<!doctype html><html><body>${script}b</body></html>`,
  'no html tag': `<!doctype html>\n<title>t</title>${script}<p>b`,
  'no doctype': `<p>quirks</p>${script}`,
  'old doctype': `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">\n<html>${script}`,
  'text only': 'only text & more',
  'frameset': '<html><frameset cols="50%,50%"><frame src="about:blank"><frame src="about:blank"></frameset></html>',
  'xhtml as html': '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" ' +
    `"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\n<html xmlns="http://www.w3.org/1999/xhtml"><head />${script}</html>`,
  'conditional comments': '<!--[if IE]><html class=ie><![endif]--><!--[if !IE]><!--><html class=other><!--<![endif]-->' +
    `<head>${script}</head>`,
  'comments before the head': `<!-- <head> --><!doctype html><!-- a --><html><!-- b -->\n<head><!-- c -->${script}`,
  'head in a comment and in a string': `<!doctype html><!-- <head> --><script id=own>${note}"<head>"</script><head>`,
  'a script before the head': `<!doctype html><html>${script}<head><title>t</title></head>`,
  'noscript': `<!doctype html><head><noscript><meta http-equiv=refresh content="0;url=/x"></noscript>${script}`,
  'a refresh that is far off': `<!doctype html><head><meta http-equiv=refresh content="999;url=/x">${script}`,
  'a document that writes': `<!doctype html><head>${script}<script>document.write('<p>written<script id=w>${note}<\\/script>')</script>`,
  'a document that writes itself anew': `<!doctype html><head><script id=own>${note}
    addEventListener('load', () => { document.open(); document.write('<!doctype html><p>anew'); document.close(); });</script>`,
  'svg first': '<!doctype html><svg><title>t</title></svg><head>',
  'plaintext': '<!doctype html><plaintext><head>',
  'template first': `<!doctype html><template><head></template>${script}`,
};

test('a document is the same with and without the tag, and the shim is first in it', { skip }, async (t) => {
  const { say, both, complaints } = await site(t);
  for (const [name, body] of Object.entries(documents)) {
    say('/page', body);
    const { direct, through, shim } = await both('/page');
    assert.deepEqual(through, direct, name);
    assert.ok(shim, `${name}: no shim`);
    assert.deepEqual(complaints, [], name);
  }
});

test('the shim is there before any script of the page', { skip }, async (t) => {
  const { say, page, base } = await site(t);
  for (const [name, body] of Object.entries(documents).filter(([, text]) => text.includes(note))) {
    say('/page', body);
    await page.goto(base + '/page');
    assert.equal(await page.evaluate(() => globalThis.late), false, name);
  }
});

test('random pages are the same documents with and without the tag', { skip }, async (t) => {
  const { say, both } = await site(t);
  const first = Number(process.env.POLLCAST_SEED ?? 1);
  const count = Number(process.env.POLLCAST_SOUPS ?? 60);
  for (let seed = first; seed < first + count; seed += 1) {
    const text = soup(seed);
    say('/page', text);
    const { direct, through } = await both('/page');
    assert.deepEqual(through, direct, `seed ${seed}: ${JSON.stringify(text)}`);
  }
});

test('the encoding of a page is found as without the tag', { skip }, async (t) => {
  const { say, both } = await site(t);
  const meta = '<meta charset=windows-1251>';
  for (const end of [100, 960, 1000, 1024, 1030, 1500, 4000]) {
    const head = '<!doctype html><html><head>';
    const fill = ' '.repeat(end - head.length - meta.length - 7);
    const text = Buffer.concat([
      Buffer.from(`${head}<!--${fill}-->${meta}<title>`), Buffer.from([0xcf, 0xf0]), Buffer.from(`</title>${script}`),
    ]);
    say('/page', text, { type: 'text/html' });
    const { direct, through, shim } = await both('/page');
    assert.deepEqual(through, direct, `the name ends at ${end}`);
    assert.equal(through.encoding, 'windows-1251', `the name ends at ${end}`);
    assert.ok(shim);
  }
  const wide = Buffer.from('\ufeff<!doctype html><head><title>wide</title>', 'utf16le');
  say('/page', wide, { type: 'text/html' });
  const { direct, through, shim } = await both('/page');
  assert.deepEqual([through, shim], [direct, false]);
  say('/page', `\ufeff<!doctype html><head><title>marked é</title>${script}`, { type: 'text/html' });
  const marked = await both('/page');
  assert.deepEqual([marked.through, marked.shim], [marked.direct, true]);
});

test('what only looks like a page crosses as it came', { skip }, async (t) => {
  const { say, both, page, base, logged } = await site(t);
  const xml = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body/></html>';
  say('/xhtml', xml, { type: 'application/xhtml+xml' });
  const { direct, through, shim } = await both('/xhtml');
  assert.deepEqual([through, shim], [direct, false]);
  await until('a line says why', () => logged('xhtml'));
  say('/svg', '<svg xmlns="http://www.w3.org/2000/svg"><title>t</title></svg>', { type: 'image/svg+xml' });
  const drawn = await both('/svg');
  assert.deepEqual([drawn.through, drawn.shim], [drawn.direct, false]);
  // What scripts fetch, whole documents included.
  say('/', documents.whole);
  say('/page', documents.whole, { etag: '"e"' });
  await page.goto(base + '/');
  const fetched = await page.evaluate(async () => (await fetch('/page', { cache: 'no-store' })).text());
  assert.equal(fetched, documents.whole);
});

test('every content coding is read by the browser as before', { skip }, async (t) => {
  const { say, both, origin, page, base, logged } = await site(t);
  const text = `<!doctype html><head><title>coded</title>${script}</head><body>${'<p>row</p>'.repeat(5000)}`;
  for (const [coding, encode] of Object.entries({
    gzip: gzipSync, 'x-gzip': gzipSync, deflate: deflateSync, br: brotliCompressSync,
  })) {
    say('/page', encode(text), { 'content-encoding': coding });
    const { direct, through, shim } = await both('/page');
    assert.deepEqual([through.title, shim], ['coded', true], coding);
    assert.deepEqual(through, direct, coding);
  }
  // Raw deflate isn't what the name means (RFC 9110, section 8.4.1.2), though browsers read it.
  say('/page', deflateRawSync(text), { 'content-encoding': 'deflate' });
  const raw = await both('/page');
  assert.deepEqual([raw.through, raw.shim], [raw.direct, false]);
  await until('a line says why', () => logged('broken'));
  say('/page', brotliCompressSync(gzipSync(text)), { 'content-encoding': 'gzip, br' });
  const stacked = await both('/page');
  assert.deepEqual([stacked.through, stacked.shim], [stacked.direct, false]);
  await until('a line says why', () => logged('coding'));
  await page.goto(base + '/page');
  assert.ok(origin.seen('/page').every(({ headers }) => headers['accept-encoding']));
});

test('a page arrives piece by piece, coded or not', { skip }, async (t) => {
  const { origin, page, base } = await site(t);
  const { createGzip } = await import('node:zlib');
  for (const coded of [false, true]) {
    let more;
    origin.route('/page', (request, response) => {
      const fields = { 'content-type': 'text/html; charset=utf-8' };
      response.writeHead(200, coded ? { ...fields, 'content-encoding': 'gzip' } : fields);
      const out = coded ? createGzip() : response;
      if (coded) out.pipe(response);
      const write = (text) => { out.write(text); out.flush?.(); };
      write(`<!doctype html><head>${script}</head><body><p id=one>1</p>`);
      more = () => { write('<p id=two>2</p>'); return () => out.end('<p id=three>3</p>'); };
    });
    const done = page.goto(base + '/page');
    await page.locator('#one').waitFor();
    assert.ok(await hasShim(page));
    assert.equal(await page.locator('#two').count(), 0);
    const end = more();
    await page.locator('#two').waitFor();
    assert.equal(await page.locator('#three').count(), 0);
    end();
    await done;
    assert.equal(await page.locator('#three').count(), 1);
  }
});

test('frames: pages in them get the shim, what the page itself makes does not', { skip }, async (t) => {
  const { say, page, base, complaints } = await site(t);
  say('/inner', documents.whole);
  say('/part', '<li>x</li>');
  say('/page', `<!doctype html><head></head><body><iframe name=whole src=/inner></iframe>
    <iframe name=part src=/part></iframe><iframe name=own srcdoc="<p>x</p>"></iframe>
    <iframe name=boxed sandbox=allow-scripts src=/inner></iframe>`);
  await page.goto(base + '/page');
  const frame = (name) => page.frames().find((one) => one.name() === name);
  assert.equal(await hasShim(frame('whole')), true);
  assert.equal(await hasShim(frame('part')), false);
  assert.equal(await hasShim(frame('own')), false);
  assert.equal(await hasShim(frame('boxed')), false, 'another origin: it leaves by itself');
  assert.equal(await frame('boxed').evaluate(() => document.scripts.length), 1);
  assert.deepEqual(complaints, []);
});

test('pages come from caches as they should', { skip }, async (t) => {
  const { origin, page, base, pollcast } = await site(t, { inject: { enabled: false } });
  const date = 'Mon, 01 Jan 2024 00:00:00 GMT';
  const validators = { '/etag': { etag: '"e"' }, '/date': { 'last-modified': date } };
  const statuses = (path) => origin.seen(path).map(({ status }) => status);
  for (const [path, fields] of Object.entries(validators)) {
    origin.route(path, (request, response) => {
      const { 'if-none-match': tag, 'if-modified-since': since } = request.headers;
      const known = fields.etag ? tag === fields.etag : since === date;
      response.writeHead(known ? 304 : 200, { ...fields, 'content-type': 'text/html', 'cache-control': 'no-cache' });
      response.end(known ? undefined : documents.whole);
    });
    await page.goto(base + path);
    assert.equal(await hasShim(page), false);
    await page.goto(base + path);
    assert.deepEqual(statuses(path), [200, 304]);
  }
  pollcast.options.inject = { enabled: true };
  await pollcast.configure();
  await until('the tag is on', () => pollcast.lines.some((line) => line.includes('is in force')));
  for (const path of Object.keys(validators)) {
    await page.goto(base + path);
    assert.equal(await hasShim(page), true, `${path}: cached without the tag, never confirmed`);
    await page.goto(base + path);
    assert.equal(await hasShim(page), true);
    assert.deepEqual(statuses(path), [200, 304, 200, 304], path);
  }
});

test('a page that a service worker passes on, or that was prefetched, has the shim', { skip }, async (t) => {
  const { say, page, base, origin } = await site(t);
  say('/worker.js', `addEventListener('install', () => skipWaiting());
    addEventListener('activate', (event) => event.waitUntil(clients.claim()));
    addEventListener('fetch', (event) => event.respondWith(fetch(event.request)));`, { type: 'text/javascript' });
  say('/page', documents.whole);
  say('/start', `<!doctype html><script>navigator.serviceWorker.register('/worker.js')
    .then(() => navigator.serviceWorker.ready).then(() => { document.title = 'ready'; });</script>`);
  say('/next', documents.whole, { 'cache-control': 'max-age=60' });
  say('/links', '<!doctype html><head><link rel=prefetch href=/next></head><a href=/next>next</a>');
  await page.goto(base + '/links');
  await until('it is prefetched', () => origin.seen('/next').length > 0);
  await page.click('a');
  await page.waitForURL('**/next');
  assert.ok(await hasShim(page));
  await page.goto(base + '/start');
  await page.waitForFunction(() => document.title === 'ready');
  await page.goto(base + '/page');
  assert.ok(await page.evaluate(() => navigator.serviceWorker.controller !== null));
  assert.ok(await hasShim(page));
});

test('a page with a base elsewhere still asks its own site, and is pushed', { skip }, async (t) => {
  const { say, page, base } = await site(t);
  say('/page', `<!doctype html><head><base href="http://elsewhere.invalid/x/"></head><script>
    setInterval(async () => { await (await fetch(location.origin + '/api/items')).json(); }, 300);</script>`);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(base + '/page');
  const state = () => page.evaluate(() => globalThis.pollcast.topics()[0]?.state);
  await until('the page is pushed', async () => await state() === 'pushed');
  assert.deepEqual(asked.filter((url) => url.includes('elsewhere')), []);
});
