// A proxy to try the shim against: PROTOCOL.md on one topic per URL, state in memory, no origin.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { fnv1a, source, workerSource } from './page.mjs';

const hashOf = (body) => createHash('sha256').update(body).digest('hex').slice(0, 32);

export class StandIn {
  epoch = '0123456789abcdef';
  /** URL → {body, hash, seq}. */
  states = new Map();
  /** Open streams: {response, topics}. */
  streams = new Set();
  /** What reached the network: [method, url, mark]. */
  seen = [];
  mode = 'push';
  /** The page's own script. */
  app = '';

  async listen() {
    this.server = createServer((request, response) => this.answer(request, response));
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    this.url = `http://127.0.0.1:${this.server.address().port}/`;
    this.beating = setInterval(() => this.each((stream) => stream.send('beat', {})), 1000);
    return this;
  }

  async close() {
    clearInterval(this.beating);
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  each(fn) {
    for (const stream of [...this.streams]) fn(stream);
  }

  state(url) {
    if (!this.states.has(url)) this.set(url, '{"n":0}');
    return this.states.get(url);
  }

  /** A new state: pushed to whoever asked for it, as a delta of one splice. */
  set(url, body) {
    const old = this.states.get(url);
    const state = { body, hash: hashOf(body), seq: old ? old.seq + 1 : 1 };
    this.states.set(url, state);
    this.each((stream) => {
      const index = stream.topics.findIndex((topic) => topic.url === url);
      if (index >= 0) stream.send('delta', this.delta(old, state), index);
    });
  }

  delta(old, { body, hash, seq }) {
    let same = 0;
    while (same < old.body.length && old.body[same] === body[same]) same++;
    const ops = [[0, same], body.slice(same)];
    return { from: old.hash, hash, seq, length: body.length, check: fnv1a(body), ops };
  }

  async answer(request, response) {
    const { method, url } = request;
    let text = '';
    for await (const chunk of request) text += chunk;
    if (url === '/__pollcast/shim.js') return this.send(response, 'text/javascript', this.script());
    if (url.startsWith('/__pollcast/worker.js')) {
      return this.send(response, 'text/javascript', `(()=>{${workerSource()}})();`);
    }
    if (url === '/app.js') return this.send(response, 'text/javascript', this.app);
    if (url === '/__pollcast/stream') return this.open(JSON.parse(text), response);
    const mode = JSON.stringify({ mode: this.mode });
    if (url === '/__pollcast/mode') return this.send(response, 'application/json', mode);
    const mark = request.headers['pollcast-client'];
    if (url.startsWith('/api/')) return this.api(method, url, mark, response);
    if (url !== '/') return this.send(response, 'text/plain', '');
    const tags = '<script src="/__pollcast/shim.js"></script><script src="/app.js" defer></script>';
    const page = `<!doctype html><html><head>${tags}</head><body><p id=out></p></body></html>`;
    return this.send(response, 'text/html', page);
  }

  script() {
    return `(()=>{${source({ v: '1', mode: this.mode })}})();`;
  }

  send(response, type, body) {
    response.setHeader('Content-Type', type);
    response.end(body);
  }

  api(method, url, mark, response) {
    this.seen.push([method, url, mark]);
    if (method !== 'GET') this.set(url, `{"n":${JSON.parse(this.state(url).body).n + 1}}`);
    const { body, hash, seq } = this.state(url);
    if (mark) response.setHeader('Pollcast-State', `${hash};seq=${seq};epoch=${this.epoch}`);
    this.send(response, 'application/json', body);
  }

  open({ topics }, response) {
    response.setHeader('Content-Type', 'text/event-stream');
    const send = (name, data, index) => {
      const which = index === undefined ? '' : `data: ${index}\n`;
      response.write(`event: ${name}\n${which}data: ${JSON.stringify(data)}\n\n`);
    };
    const stream = { topics, send, response };
    this.streams.add(stream);
    response.on('close', () => this.streams.delete(stream));
    send('hello', { v: 1, epoch: this.epoch, beat_ms: 1000, silence_ms: 5000 });
    topics.forEach(({ url, have }, index) => {
      const { body, hash, seq } = this.state(url);
      const headers = [['content-type', 'application/json']];
      if (have === hash) return send('current', { hash, seq }, index);
      const whole = { hash, seq, length: body.length, check: fnv1a(body) };
      return send('snapshot', { ...whole, status: 200, headers, body }, index);
    });
  }

  off(retry_ms) {
    this.mode = 'off';
    this.each((stream) => {
      stream.send('bye', { reason: 'off', retry_ms });
      stream.response.end();
    });
  }
}
