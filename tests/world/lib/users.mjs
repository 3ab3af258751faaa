// An origin with users: sessions in a cookie or tokens, data of one's own, and a board that is the same for all.

import { randomUUID } from 'node:crypto';
import { pass, until } from './wait.mjs';
import { world } from './world.mjs';

export const EVERY = 500;

/** The watches: what is one's own, and what all share. */
const options = {
  identity: { cookies: ['sid'] },
  watch: [
    { name: 'board', path: '/api/board', mode: 'push', audience: 'shared' },
    { name: 'api', path: '/api/**', mode: 'push' },
  ],
  stream: { beat: '1s' },
};

export class Users {
  /** sid or token → name. */
  known = new Map();
  versions = { alice: 1, bob: 1 };
  board = 1;
  httpOnly = true;

  static async start(t, extra = {}) {
    const users = new Users();
    users.world = await world(t, { ...options, ...extra });
    users.origin = users.world.origin;
    users.routes();
    return users;
  }

  routes() {
    const { origin } = this;
    origin.route('/api/mine', (request, response) => {
      const name = this.who(request);
      if (!name) return say(response, 401, { error: 'log in' });
      return say(response, 200, { owner: name, version: this.versions[name] ?? 0 });
    });
    origin.route('/api/board', (request, response) => {
      if (!this.who(request)) return say(response, 401, { error: 'log in' });
      return say(response, 200, { version: this.board });
    });
    origin.route('/login', async (request, response) => {
      const { name, bearer } = JSON.parse(await text(request));
      this.admit(response, name, bearer);
    });
    origin.route('/form', async (request, response) => {
      const name = new URLSearchParams(await text(request)).get('name');
      response.setHeader('location', '/users?auth=session&user=' + name);
      this.admit(response, name, false, 303);
    });
    origin.route('/renew', async (request, response) => {
      const { bearer } = JSON.parse(await text(request));
      this.admit(response, this.who(request), bearer);
    });
    origin.route('/logout', (request, response) => {
      this.known.delete(secret(request));
      response.setHeader('set-cookie', 'sid=; Max-Age=0; Path=/');
      say(response, 200, {});
    });
    // A GET that makes somebody else of whoever asks.
    origin.route('/switch', (request, response, url) => {
      this.admit(response, url.searchParams.get('to'));
    });
  }

  admit(response, name, bearer = false, status = 200) {
    const id = randomUUID();
    this.known.set(id, name);
    const flags = this.httpOnly ? '; HttpOnly' : '';
    if (!bearer) response.setHeader('set-cookie', `sid=${id}; Path=/${flags}`);
    say(response, status, { token: id });
  }

  who(request) {
    return this.known.get(secret(request));
  }

  /** Somebody else changes what this user sees. */
  change(name) {
    this.versions[name] += 1;
    return this.versions[name];
  }

  /** A page of a person (a browser context), logged in and pushed. */
  async open(person, name, auth = 'session', via = 'fetch') {
    const at = `/users?auth=${auth}&every=${EVERY}&via=${via}`;
    const { page, log } = await this.world.open(person, at);
    if (name) await page.evaluate((who) => window.app.login(who), name);
    const tab = { page, log };
    if (name) await this.pushed(tab, name);
    return tab;
  }

  /** Waits until the page doesn't poll any more and a change shows all the same. */
  async pushed({ page, log }, name, deadlineMs = 20_000) {
    const last = () => Math.max(0, ...['/api/mine', '/api/board'].map(
      (path) => log.polls(path).at(-1)?.at ?? 0));
    await until(`${name} shows`, async () => (await shown(page))[0] === name, deadlineMs);
    await until('no poll leaves the page', () => Date.now() - last() > 3 * EVERY, deadlineMs);
    const version = this.change(name);
    await until('a change shows', async () => (await shown(page))[1] === version, deadlineMs);
  }
}

/** What the page shows: owner, version, version of the board. */
export function shown(page) {
  return page.evaluate(() => window.seen.at(-1).slice(1));
}

/** Frames that showed this owner's data after `since` (in milliseconds since 1970). */
export async function frames(page, owner, since) {
  const seen = await page.evaluate(() => window.seen);
  const before = seen.findLast(([at]) => at <= since);
  const from = before ? [[since, ...before.slice(1)]] : [];
  return [...from, ...seen.filter(([at]) => at > since)].filter(([, who]) => who === owner);
}

/**
 * What of this owner's data the page was given by polls that began after its own code had learnt that somebody else is
 * in, or nobody, and what frames showed of it then that the one before hadn't shown. The frame of that moment stands
 * until the app draws another; whoever comes after it must not show the old user again.
 */
export async function leftovers(page, owner) {
  const { learnt, given, shown: drawn } = await page.evaluate(() => window.trail);
  const since = learnt.at(-1);
  return [...given, ...drawn].filter(([at, who]) => at > since && who === owner);
}

/** Gives everything that could go wrong the time to do so. */
export async function settle() {
  await pass(4 * EVERY);
  return Date.now();
}

function secret({ headers }) {
  const cookie = /(?:^|; )sid=([^;]+)/.exec(headers.cookie ?? '');
  return headers.authorization?.replace('Bearer ', '') ?? cookie?.[1];
}

async function text(request) {
  let all = '';
  for await (const chunk of request) all += chunk;
  return all;
}

function say(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
