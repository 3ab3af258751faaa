// The script tag is invisible: each page is the same document with and without Pollcast, the shim runs before all else
// in it, or the page crosses byte for byte and a log line says why.

import assert from 'node:assert/strict';
import test from 'node:test';
import { hasShim, note, portrait, soup } from './lib/documents.mjs';
import { unableWithout } from './lib/pollcast.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const skip = unableWithout();

/** A world whose origin says what `pages` has for a path: `{ type, fields, body }`. */
async function site(t, options = {}) {
  const all = await world(t, options);
  const pages = new Map();
  const say = (path, body, { type = 'text/html; charset=utf-8', ...fields } = {}) => {
    pages.set(path, body);
    all.origin.route(path, (request, response) => {
      response.writeHead(200, { ...(type && { 'content-type': type }), ...fields });
      response.end(pages.get(path));
    });
  };
  all.origin.route('/favicon.ico', (request, response) => response.writeHead(204).end());
  const context = await all.browser.person();
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (line) => { if (line.type() === 'error') complaints.push(line.text()); });
  page.on('pageerror', (error) => complaints.push(String(error)));
  /** What the browser makes of `path`, with and without Pollcast. */
  const both = async (path) => {
    await page.goto(all.origin.base + path);
    const direct = await portrait(page);
    complaints.length = 0;
    await page.goto(all.base + path);
    const through = await portrait(page);
    return { direct, through, shim: await hasShim(page) };
  };
  const logged = (reason) => all.pollcast.lines.some((line) => line.includes(`"reason":"${reason}"`));
  return { ...all, say, page, context, both, complaints, logged };
}

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
  const count = Number(process.env.POLLCAST_SOUPS ?? 150);
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
