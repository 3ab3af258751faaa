// Real Chromium, and what a page's network log says.

import { chromium } from 'playwright-core';

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Starts a browser with a fresh profile (Playwright makes and removes its directory). */
export async function openBrowser({ more = [], ignoreDefaultArgs } = {}) {
  const args = [...flags, ...more];
  const browser = await chromium.launch({ executablePath, args, ignoreDefaultArgs, headless: true });
  return {
    /** A context of its own: cookies, cache and SharedWorker apart from all others, like another person's browser. */
    async person(cookies = []) {
      const context = await browser.newContext();
      if (cookies.length) await context.addCookies(cookies);
      return context;
    },
    close: () => browser.close(),
  };
}

/** Opens `url` and keeps its network log (CDP) and its complaints. */
export async function openPage(context, url) {
  const page = await context.newPage();
  const log = new NetworkLog();
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  session.on('Network.requestWillBeSent', (event) => log.sent(event));
  page.on('console', (message) => {
    if (message.type() === 'error') log.complaints.push(message.text());
  });
  page.on('pageerror', (error) => log.complaints.push(String(error)));
  await page.goto(url);
  return { page, log };
}

/** Requests that left the page for the network. */
export class NetworkLog {
  constructor() {
    this.requests = []; // { at, began (by the page's clock), method, path, url, marked, renewal }
    this.complaints = [];
  }

  sent({ request, redirectResponse, wallTime }) {
    if (redirectResponse || !request.url.startsWith('http')) return;
    const url = new URL(request.url);
    const mark = Object.entries(request.headers)
      .find(([name]) => name.toLowerCase() === 'pollcast-client')?.[1] ?? '';
    this.requests.push({
      at: Date.now(), began: wallTime * 1000, method: request.method, path: url.pathname, url: url.pathname + url.search,
      marked: mark !== '', renewal: mark.includes(';renew'),
    });
  }

  /** GETs of `path` since `since`. */
  gets(path, since = 0) {
    return this.requests.filter((one) => one.method === 'GET' && one.path === path && one.at >= since);
  }

  /** GETs of `path` since `since` that are polls: no renewals. */
  polls(path, since = 0) {
    return this.gets(path, since).filter((one) => !one.renewal);
  }

  /** Complaints that aren't the browser's own line about a failed load, which a page can't prevent. */
  faults() {
    return this.complaints.filter((line) => !line.startsWith('Failed to load resource:'));
  }
}
