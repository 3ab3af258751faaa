// An origin of single pages, and what a browser makes of them.

import { hasShim, portrait } from './documents.mjs';
import { world } from './world.mjs';

/** A world whose origin says what it is told to; and one page of one person in it. */
export async function site(t, options = {}) {
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
