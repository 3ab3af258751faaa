// A scriptable origin: an app that knows nothing of Pollcast, and a record of every request it saw.
//
// State is one list behind `GET /api/items`; a write adds to it. A read fixes what it will answer when it begins, and
// answers `readDelayMs` later: the worst honest server, whose slow reads answer what was true before a write.

import http from 'node:http';
import { randomUUID } from 'node:crypto';

export class Origin {
  constructor(pages) {
    this.pages = pages; // path → { type, body }
    this.requests = []; // { at, method, url, path, headers, status }
    this.routes = new Map(); // path → (request, response, url) => void
    this.items = [{ id: 0, title: 'first', at: Date.now() }];
    this.readDelayMs = 0;
    this.failWith = 0; // a status: every API read answers it
    this.server = http.createServer((request, response) => this.#answer(request, response));
    this.server.keepAliveTimeout = 60_000;
  }

  static async start(pages) {
    const origin = new Origin(pages);
    await new Promise((resolve) => origin.server.listen(0, '127.0.0.1', resolve));
    origin.base = `http://127.0.0.1:${origin.server.address().port}`;
    return origin;
  }

  /** Serves `path` by `handler(request, response, url)` from now on. */
  route(path, handler) {
    this.routes.set(path, handler);
  }

  /** Changes the state without any request: what a job or another replica would do. */
  add(title) {
    const item = { id: this.items.length, title, at: Date.now() };
    this.items = [...this.items, item];
    return item;
  }

  /** Requests for `path` since `since` (ms since epoch). */
  seen(path, since = 0) {
    return this.requests.filter((one) => one.path === path && one.at >= since);
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request, response) {
    const url = new URL(request.url, 'http://origin');
    const { method, headers } = request;
    const record = { at: Date.now(), method, url: request.url, path: url.pathname, headers };
    this.requests.push(record);
    response.on('finish', () => { record.status = response.statusCode; });
    const route = this.routes.get(url.pathname);
    if (route) return route(request, response, url);
    if (url.pathname === '/api/items') return this.#items(request, response);
    return this.#page(request, response, url.pathname);
  }

  async #items(request, response) {
    if (request.method === 'POST') {
      const item = this.add(JSON.parse(await text(request)).title);
      return json(response, 201, item);
    }
    const state = { version: this.items.length, items: this.items.slice(-50) };
    const status = this.failWith;
    await new Promise((resolve) => setTimeout(resolve, this.readDelayMs));
    return status ? json(response, status, { error: 'as asked' }) : json(response, 200, state);
  }

  #page(request, response, path) {
    const page = this.pages.get(path);
    if (!page) return json(response, 404, { error: 'no such page' });
    const fields = { 'content-type': page.type, 'cache-control': 'no-store' };
    const isDocument = page.type.startsWith('text/html');
    if (isDocument && !/\bsid=/.test(request.headers.cookie ?? '')) {
      fields['set-cookie'] = `sid=${randomUUID()}; Path=/; HttpOnly`;
    }
    response.writeHead(200, fields).end(page.body);
  }
}

/** Answers JSON. */
export function json(response, status, value, fields = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...fields });
  response.end(JSON.stringify(value));
}

/** The whole body of a request. */
export async function text(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}
