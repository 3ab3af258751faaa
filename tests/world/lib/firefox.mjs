// Real Firefox, by WebDriver BiDi: the interface of browser.mjs.

import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';
import { NetworkLog } from './browser.mjs';

const executablePath = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

/** Why there is no Firefox here; false if there is. In CI a missing one is a failure, by hand a skip. */
export function unableFirefox() {
  if (existsSync(executablePath)) return false;
  if (process.env.CI === 'true') throw new Error(`no Firefox at ${executablePath}: install firefox-esr`);
  return `no Firefox at ${executablePath}`;
}

/** Starts a browser with a fresh profile (Puppeteer makes and removes its directory). */
export async function openBrowser() {
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true });
  return {
    /** A container of its own: cookies, cache and SharedWorker apart from all others. */
    async person(cookies = []) {
      const context = await browser.createBrowserContext();
      if (cookies.length) await context.setCookie(...cookies);
      return context;
    },
    close: () => browser.close(),
  };
}

/** Opens `url` and keeps its network log and its complaints. A window for each: tabs behind another one are hidden. */
export async function openPage(context, url) {
  const page = await context.newPage({ type: 'window' });
  const log = new NetworkLog();
  page.on('request', (request) => {
    if (request.redirectChain().length) return;
    log.sent({ request: { url: request.url(), method: request.method(), headers: request.headers() } });
  });
  page.on('console', (message) => {
    if (message.type() === 'error') log.complaints.push(message.text());
  });
  page.on('pageerror', (error) => log.complaints.push(String(error)));
  await page.goto(url);
  return { page, log };
}
