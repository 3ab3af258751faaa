// A page in a real browser: the shim's parts that find who asks, an app as a bundler would ship it,
// and a stand-in for the rest of the shim, that answers what the test wants it to.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { FINDERS } from './refresh-page.mjs';

const executablePath = process.env.CHROMIUM || '/usr/bin/chromium';
export const skip = !existsSync(executablePath) && !process.env.CI && `no ${executablePath}`;
const near = (path) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Stands for the rest of the shim: who asked is noted, and `local` answers: a text, or a promise of
 * one.
 */
const TAIL = `
const failures = [];
function leave() { failures.push('left'); active = false; }
const log = [], local = new Map(), handles = new Map();
function asked(url) {
  const by = query.attribution(), timer = timers.current();
  if (timer) handles.set(url, timer);
  const own = query.asked(url, by);
  log.push({ url, by: by && nameOf(by.id), interval: by && by.interval, own,
    timer: timer && timer.delay });
}
function nameOf(id) {
  const all = W.client ? W.client.getQueryCache().getAll() : [];
  const of = all.find((it) => query.note(it) === id);
  return of ? of.queryKey[0] : id.key;
}
patch(W, 'fetch', (target, self, args) => {
  const url = new URL(args[0].url || args[0], location.href).pathname;
  asked(url);
  if (!local.has(url)) {
    return Reflect.apply(target, self, args).finally(() => query.settled(url));
  }
  const answer = (body) => {
    const headers = { 'content-type': 'application/json' };
    const response = new Response(body, { headers });
    for (const [name, read] of [['json', JSON.parse], ['text', String]]) {
      Object.defineProperty(response, name, { value: async () => read(body) });
    }
    return response;
  };
  const body = local.get(url);
  return typeof body === 'string' ? Promise.resolve(answer(body)) : body.then(answer);
});
const urls = new WeakMap();
patch(XMLHttpRequest.prototype, 'open', (target, self, args) => {
  urls.set(self, new URL(args[1], location.href).pathname);
  return Reflect.apply(target, self, args);
});
patch(XMLHttpRequest.prototype, 'send', (target, self, args) => {
  asked(urls.get(self));
  return Reflect.apply(target, self, args);
});
function install() { active = true; timers.install(); query.install(); watchPerson(); }
function uninstall() { active = false; timers.uninstall(); query.uninstall(); }
install();
W.check = { query, timers, log, local, handles, failures, install, uninstall };`;

const SHIM = `(() => { 'use strict'; const CONFIG = { v: 'check' };
${FINDERS}${TAIL} })();`;

/** `apps/<entry>` as it is shipped; `alias` chooses versions. */
export async function bundle(entry, alias = {}) {
  const local = (to) => (to.startsWith('./') ? near(to) : to);
  const { outputFiles } = await build({
    entryPoints: [near(`apps/${entry}`)], bundle: true, minify: true, write: false,
    define: { 'process.env.NODE_ENV': '"production"' }, format: 'iife', absWorkingDir: near('.'),
    alias: Object.fromEntries(Object.entries(alias).map(([from, to]) => [from, local(to)])),
  });
  return outputFiles[0].text;
}

const TYPES = { '/': 'text/html', '/shim.js': 'text/javascript', '/app.js': 'text/javascript' };

function answer(app, request, response) {
  response.setHeader('content-type', TYPES[request.url] || 'application/json');
  if (request.url === '/shim.js') return response.end(SHIM);
  if (request.url === '/app.js') return response.end(app);
  if (request.url.includes('?query=')) return response.end('{"data":{"n":0}}');
  if (request.url !== '/') return response.end('{"n":0}');
  const scripts = '<script src="/shim.js"></script><script src="/app.js" defer></script>';
  return response.end(`<!doctype html><head>${scripts}</head><body><div id="app"></div>`);
}

export const launch = () => chromium.launch({
  executablePath,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

/** A page with the app in it, once each output shows what the network says. */
export async function open(browser, app) {
  const server = createServer((request, response) => answer(app, request, response));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  server.unref();
  const page = await browser.newPage();
  page.setDefaultTimeout(15000);
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => document.querySelector('output')
    && [...document.querySelectorAll('output')].every(({ textContent }) => textContent === '0'));
  const close = async () => {
    await page.close();
    server.closeAllConnections();
    server.close();
  };
  return { page, errors, close };
}
