// A TCP relay that can lose its other side the way networks do: cut (RST), or stall (everything is accepted, nothing
// is forwarded, nobody is told), or lie (somebody else answers: a captive portal, a gateway without a back end).

import net from 'node:net';

export class Relay {
  /** `target`: function that returns `{ host, port }`, asked per connection (the other side may move). */
  static async start(target) {
    const relay = new Relay();
    relay.target = target;
    relay.pairs = new Set();
    relay.stalled = false;
    relay.server = net.createServer((socket) => relay.#accept(socket));
    await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
    relay.base = `http://127.0.0.1:${relay.server.address().port}`;
    return relay;
  }

  /** Stalls every connection that carries an event stream; others go on. Returns how many. */
  stallStreams() {
    const streams = [...this.pairs].filter((pair) => pair.isStream);
    for (const pair of streams) pair.stalled = true;
    return streams.length;
  }

  /** Stalls all, those to come included. */
  stall() {
    this.stalled = true;
    for (const pair of this.pairs) pair.stalled = true;
  }

  /** What was stalled is reset (as a router does when it comes back without its table); new connections work. */
  restore() {
    this.stalled = false;
    for (const pair of this.pairs) if (pair.stalled) pair.reset();
  }

  /** From now on somebody else answers, whatever is asked; `null`: no more. */
  lie(answer) {
    this.answer = answer;
    this.cut();
  }

  /** Resets all connections. */
  cut() {
    for (const pair of this.pairs) pair.reset();
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #accept(near) {
    if (this.answer) return this.#lie(near);
    const far = net.connect(this.target());
    const pair = { stalled: this.stalled, isStream: false };
    pair.reset = () => {
      this.pairs.delete(pair);
      near.resetAndDestroy();
      far.destroy();
    };
    this.pairs.add(pair);
    near.on('data', (bytes) => { if (!pair.stalled) far.write(bytes); });
    far.on('data', (bytes) => {
      if (isEventStream(bytes)) pair.isStream = true;
      if (!pair.stalled) near.write(bytes);
    });
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('end', () => { if (!pair.stalled) other.end(); });
      one.on('error', () => { if (!pair.stalled) pair.reset(); });
      one.on('close', () => { if (!pair.stalled) this.pairs.delete(pair); });
    }
  }

  #lie(near) {
    const pair = { reset: () => near.destroy() };
    this.pairs.add(pair);
    near.on('error', () => near.destroy());
    near.on('close', () => this.pairs.delete(pair));
    near.once('data', () => near.end(this.answer));
  }
}

/** What those say that answer in another's place. */
export const lies = {
  gateway: 'HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<h1>502</h1>',
  portal: 'HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<h1>Welcome to our hotel</h1>',
  login: 'HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
};

function isEventStream(bytes) {
  const head = bytes.subarray(0, 2048).toString('latin1').toLowerCase();
  return head.startsWith('http/1.1 200') && head.includes('content-type: text/event-stream');
}
