// A TCP relay before a server: logs the heads of the requests that really left a browser (any browser, its workers
// too), and can refuse connections for a while.

import net from 'node:net';

export class Tap {
  /** `target`: function that answers `{ host, port }`, asked per connection. */
  static async start(target) {
    const tap = new Tap();
    tap.target = target;
    tap.requests = []; // { method, path, renewal }
    tap.sockets = new Set();
    await tap.open(0);
    return tap;
  }

  async open(port = this.port) {
    this.server = net.createServer((socket) => this.#accept(socket));
    await new Promise((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.base = `http://127.0.0.1:${this.port}`;
  }

  /** From now on connections are refused; those there are get a reset. */
  async refuse() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.resetAndDestroy();
    await closed;
  }

  /** How many GETs of `path` have left that are polls, no renewals. */
  polls(path) {
    return this.requests.filter((one) => one.path === path && one.method === 'GET' && !one.renewal).length;
  }

  #accept(near) {
    const far = net.connect(this.target());
    near.on('data', (bytes) => this.#note(bytes));
    for (const [one, other] of [[near, far], [far, near]]) {
      this.sockets.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
  }

  // Browsers don't pipeline, and begin a request with a packet of its own.
  #note(bytes) {
    const head = bytes.toString('latin1').split('\r\n\r\n')[0];
    const [, method, target] = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n/.exec(head) ?? [];
    if (!method) return;
    const renewal = /\r\npollcast-client:[^\r]*;renew/i.test(head);
    this.requests.push({ marked: /\r\npollcast-client:/i.test(head), method, path: target.split('?')[0], renewal });
  }
}
