// What a local answer costs the page: microseconds from the call to the body in the app's hands, the network's beside
// it. Prints, asserts nothing: `node page-cost.mjs [answers]`.

import { json } from './lib/origin.mjs';
import { until } from './lib/wait.mjs';
import { world } from './lib/world.mjs';

const answers = Number(process.argv[2] ?? 2_000);
const closing = [];
const { origin, browser, base, open } = await world({ after: (close) => closing.unshift(close) });

const paths = Object.fromEntries([1, 10, 100].map((kb) => [`/api/${kb}kb`, kb]));
for (const [path, kb] of Object.entries(paths)) {
  const rows = Array.from({ length: kb * 10 }, (_, id) => ({ id, title: 'x'.repeat(78) }));
  origin.route(path, (request, response) => json(response, 200, rows));
}
const script = `
const asks = [];
const byFetch = (path) => fetch(path).then((response) => response.json());
const byXhr = (path) => new Promise((resolve) => {
  const xhr = new XMLHttpRequest();
  xhr.open('GET', path);
  xhr.onload = () => resolve(JSON.parse(xhr.responseText));
  xhr.send();
});
const networked = () => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/')).length;
for (const path of ${JSON.stringify(Object.keys(paths))}) setInterval(byFetch, 400, path);
async function measure(path, way, count) {
  // The script counts no request of a hidden page as evidence: this many would pass for a loop.
  Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });
  performance.clearResourceTimings();
  const ask = way === 'fetch' ? byFetch : byXhr;
  const times = [];
  for (let n = 0; n < count; n += 1) {
    const begin = performance.now();
    await ask(path);
    times.push(performance.now() - begin);
    // Not all in one task.
    if (n % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const local = networked() === 0;
  delete document.hidden;
  const sum = times.reduce((a, b) => a + b, 0);
  return { local, mean: 1000 * sum / count, worst: 1000 * Math.max(...times) };
}`;
origin.route('/cost', (request, response) => {
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end(`<!doctype html><title>cost</title><link rel="icon" href="data:,"><script>${script}</script>`);
});

/** What the script costs a page that loads: from its text to all of it installed, in ms; and its size. */
async function loads(person, count) {
  const response = await fetch(`${base}/__pollcast/shim.js`);
  const text = await response.text();
  origin.route('/empty', (request, answer) => {
    answer.writeHead(200, { 'content-type': 'text/html' });
    answer.end('<!doctype html><head><title>empty</title><link rel="icon" href="data:,"></head>');
  });
  const page = await person.newPage();
  const times = [];
  for (let n = 0; n < count; n += 1) {
    await page.goto(`${origin.base}/empty`);
    times.push(await page.evaluate((source) => {
      const script = document.createElement('script');
      script.textContent = source;
      const begin = performance.now();
      document.head.append(script);
      return performance.now() - begin;
    }, text));
  }
  await page.close();
  times.sort((one, other) => one - other);
  return { median: times[count >> 1], worst: times.at(-1), bytes: text.length };
}

try {
  const { median, worst, bytes } = await loads(await browser.person(), 40);
  console.log(`a page that loads: ${median.toFixed(2)} ms to compile and install ${bytes} bytes (median of 40; `
    + `worst ${worst.toFixed(2)} ms)\n`);
  console.log('| body | by | mean | worst | of the network: mean |\n|---|---|---|---|---|');
  const person = await browser.person();
  const bare = await open(person, '/cost', origin.base);
  const pushed = await open(person, '/cost');
  const last = () => Math.max(0, ...Object.keys(paths).map((path) => pushed.log.gets(path).at(-1)?.at ?? 0));
  await until('no poll leaves the page', () => last() && Date.now() - last() > 2_000, 30_000);
  for (const [path, kb] of Object.entries(paths)) {
    for (const way of ['fetch', 'XMLHttpRequest']) {
      const run = (page, count) => page.evaluate(([one, by, n]) => globalThis.eval('measure')(one, by, n),
        [path, way, count]);
      const direct = await run(bare.page, Math.min(answers, 200));
      await run(pushed.page, 200);
      const { local, mean, worst } = await run(pushed.page, answers);
      const cells = [`${kb} KB`, way, `${mean.toFixed(1)} µs`, `${worst.toFixed(0)} µs`, `${direct.mean.toFixed(0)} µs`];
      console.log(`| ${cells.join(' | ')} |${local ? '' : ' NOT ALL LOCAL'}`);
    }
  }
} finally {
  for (const close of closing) await close();
}
