// The demo's page shows numbers about itself: they are what the browser's own network log says.
//
// With UPDATE_SCREENSHOT set, its picture goes to docs/demo.png.

import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBrowser, openPage } from './lib/browser.mjs';
import { startDemo, unableWithout } from './lib/pollcast.mjs';
import { pass, until } from './lib/wait.mjs';

const picture = fileURLToPath(new URL('../../docs/demo.png', import.meta.url));
const api = (log) => log.requests.filter((one) => one.path.startsWith('/api/')).length;

/** The number under a heading of the page's meter. */
async function figure(page, heading) {
  const one = page.locator('.figure').filter({ has: page.getByText(heading, { exact: true }) });
  const text = await one.locator('.value').innerText();
  return Number(text.replace(/[^0-9]/g, '') || NaN);
}

/** Waits for a moment in which page and network log agree, and answers what they say. */
async function agreed({ page, log }) {
  let said;
  await until('the page shows as many requests as left it', async () => {
    said = await figure(page, 'Network requests');
    return said === api(log);
  }, 10_000);
  return said;
}

test('the demo page: its numbers are real, pushed and not', { skip: unableWithout() }, async (t) => {
  const demo = await startDemo();
  t.after(demo.stop);
  const browser = await openBrowser();
  t.after(() => browser.close());
  const pushed = await openPage(await browser.person(), `${demo.base}/`);
  const plain = await openPage(await browser.person(), `${demo.base}/?pollcast=off`);
  await pushed.page.getByText('Network requests', { exact: true }).waitFor();
  const last = () => pushed.log.requests.filter((one) => one.path.startsWith('/api/')).at(-1).at;
  await until('the pushed page falls silent', () => Date.now() - last() > 6_000, 40_000);
  const quiet = await agreed(pushed);
  const answered = await figure(pushed.page, 'Polls answered');
  const polls = await agreed(plain);
  await until('polls go on being answered in the pushed page',
    async () => (await figure(pushed.page, 'Polls answered')) > answered);
  await until('the other page goes on polling', () => api(plain.log) >= polls + 4);
  await agreed(plain);
  assert.equal(await agreed(pushed), quiet, 'nothing left the pushed page meanwhile');
  await until('a change of the colleague arrived', async () =>
    Number.isFinite(await figure(pushed.page, 'Last change arrived after')), 20_000);
  const took = await figure(pushed.page, 'Last change arrived after');
  t.diagnostic(`demo: ${api(pushed.log)} requests pushed, ${api(plain.log)} polling; the last `
    + `change arrived after ${took} ms pushed, `
    + `${await figure(plain.page, 'Last change arrived after')} ms polling`);
  assert.deepEqual([...pushed.log.faults(), ...plain.log.faults()], []);
  if (process.env.UPDATE_SCREENSHOT) await screenshot(pushed.page);
});

async function screenshot(page) {
  // Long enough for the meter to have something to show.
  await pass(30_000);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.screenshot({ path: picture });
}
