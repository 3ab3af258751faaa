// A TCP relay that can lose its other side the way networks do: cut (RST), or stall (everything is accepted, nothing
// is forwarded, nobody is told).

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

  /** Resets all connections. */
  cut() {
    for (const pair of this.pairs) pair.reset();
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #accept(near) {
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
}

function isEventStream(bytes) {
  const head = bytes.subarray(0, 2048).toString('latin1').toLowerCase();
  return head.startsWith('http/1.1 200') && head.includes('content-type: text/event-stream');
}
