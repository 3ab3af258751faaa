// What stands behind the apps: one list for each page, in the form that its library reads.

import { json, text } from '../lib/origin.mjs';

/** A read takes this long, or no library would ever be seen waiting. */
const READ_MS = 25;

export class List {
  version = 1;
  /** A status that reads are answered with. */
  failWith = 0;

  constructor(origin, { id, format = 'json', chunked = false }) {
    // Several pages of one row must not see each other's writes.
    this.name = `${id}-${origin.routes.size}`;
    this.path = `/api/${this.name}/items`;
    Object.assign(this, { format, chunked });
    origin.route(this.path, (request, response, url) => this.#answer(request, response, url));
  }

  async #answer(request, response, url) {
    if (request.method === 'POST') {
      await text(request);
      this.version += 1;
      const item = { version: this.version };
      const said = this.format === 'graphql' ? { data: { add: { ...item, __typename: 'Item' } } } : item;
      return json(response, 201, said);
    }
    const { version, failWith } = this;
    await new Promise((resolve) => setTimeout(resolve, READ_MS));
    if (failWith) return json(response, failWith, { error: 'as asked' });
    return this.#read(response, version, url);
  }

  #read(response, version) {
    const items = Array.from({ length: Math.min(version, 20) }, (_, n) => `item ${version - n}`);
    if (this.format === 'html') {
      const lines = items.map((item) => `<li>${item}</li>`).join('\n');
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      return response.end(`<ul id="list" data-version="${version}">\n${lines}\n</ul>`);
    }
    const list = { version, items };
    const said = this.format === 'graphql' ? { data: { list: { ...list, __typename: 'List' } } } : list;
    const length = this.chunked ? {} : { 'content-length': Buffer.byteLength(JSON.stringify(said)) };
    return json(response, 200, said, { 'x-total': String(version), ...length });
  }
}
