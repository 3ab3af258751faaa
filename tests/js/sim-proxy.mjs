// The proxy that sim-world.mjs's pages ask, with its origin: one process or two; what a stream says takes its time.

import { fnv1a } from './page.mjs';

/** The same for all users. */
export const COMMON = '/api/common';
export const URLS = ['/api/a', '/api/b', COMMON];
export const USERS = ['ann', 'bob'];
export const PIPE_MS = 250;

export class Server {
  jar = USERS[0];
  streams = new Set();
  /** Key → every version and since when it is the truth. */
  versions = new Map();
  /** Processes of the proxy: {epoch, hub: key → what it knows}. */
  replicas = [];
  /** Every body that the origin ever sent. */
  sent = new Set();
  failing = false;
  slowMs = 40;
  /** It doesn't sleep when the browser's machine does. */
  slept = 0;

  constructor(clock, random) {
    Object.assign(this, { clock, random });
    clock.set(() => this.tick(), 500, true, [], this);
    this.start(0);
    if (random() < 0.25) this.start(1);
    /** How likely it is that something changes within half a second. */
    this.churn = random() ** 2 * 0.6;
  }

  later(ms, fn) {
    this.clock.set(fn, ms, false, [], this);
  }

  start(index) {
    this.replicas[index] = { epoch: 'e' + Math.floor(this.random() * 1e6), hub: new Map() };
  }

  any = (list) => list[Math.floor(this.random() * list.length)];

  now = () => this.clock.at + this.slept;

  key = (id, url) => (url === COMMON ? url : `${id} ${url}`);

  truth(id, url, at = Infinity) {
    const key = this.key(id, url);
    if (!this.versions.has(key)) this.versions.set(key, [{ v: 1, at: 0 }]);
    return this.versions.get(key).findLast((version) => version.at <= at);
  }

  change(id, url) {
    const { v } = this.truth(id, url);
    this.versions.get(this.key(id, url)).push({ v: v + 1, at: this.clock.wall });
    return v + 1;
  }

  /** What the origin says now. `r` is a member that the watch ignores. */
  read(id, url) {
    const { v } = this.truth(id, url);
    const mine = url === COMMON ? '' : id;
    const pad = 'abcdefgh'.repeat(8);
    const body = JSON.stringify({ id: mine, url, v, pad, r: Math.floor(this.random() * 1e6) });
    this.sent.add(body);
    const name = `${mine}${url}${v}`;
    const hash = [name, name + '!'].map((text) => fnv1a(text).toString(16).padStart(8, '0')).join('');
    return { body, hash, v, begun: this.now() };
  }

  known({ hub }, key) {
    let it = hub.get(key);
    if (!it) {
      // Numbers of two identities must not be comparable by chance.
      it = { seq: Math.floor(this.random() * 6), now: null, past: new Map(), last: -1, stale: '', hinted: -1 };
      hub.set(key, it);
    }
    return it;
  }

  observe(replica, key, { body, hash, begun }) {
    const it = this.known(replica, key);
    if (begun >= it.last) {
      it.last = it.verified = begun;
      it.stale = '';
      if (!it.now || it.now.hash !== hash) {
        it.seq += 1;
        it.now = { hash, body };
        it.past.set(hash, { seq: it.seq, body });
      } else it.past.get(hash).seq = it.seq;
      this.spread(replica, key);
    }
    return { hash, seq: it.past.has(hash) ? it.past.get(hash).seq : it.seq - 1 };
  }

  fail(replica, key) {
    const it = this.known(replica, key);
    if (!it.now) return;
    it.stale = 'timeout';
    this.spread(replica, key);
  }

  spread(replica, key) {
    for (const stream of this.streams) {
      if (stream.replica === replica) stream.topics.forEach((topic) => topic.key === key && stream.news(topic));
    }
  }

  poll(replica, id, url) {
    const key = this.key(id, url);
    const it = this.known(replica, key);
    it.polled = this.now();
    const { failing } = this;
    const got = this.read(id, url);
    this.later(5 + this.random() * this.slowMs, () => {
      if (failing) this.fail(replica, key);
      else this.observe(replica, key, got);
    });
  }

  tick() {
    if (this.random() < this.churn) this.change(this.jar, this.any(URLS));
    for (const stream of this.streams) {
      const { replica } = stream;
      for (const { key, id, url, every } of stream.topics) {
        const it = this.known(replica, key);
        if (!(this.now() - it.polled < every - 250)) this.poll(replica, id, url);
      }
      stream.beat();
    }
  }

  /** Only the process that the write went through knows of it. */
  hint(replica, id, url) {
    const key = this.key(id, url);
    this.known(replica, key).hinted = this.now();
    const on = ({ topics, replica: its }) => its === replica && topics.some((one) => one.key === key);
    if ([...this.streams].some(on)) this.poll(replica, id, url);
  }

  restart() {
    const index = Math.floor(this.random() * this.replicas.length);
    const old = this.replicas[index];
    this.start(index);
    for (const stream of [...this.streams]) if (stream.replica === old) stream.end();
  }

  /** A request of a page, with the cookies of the instant it was made. */
  async answer(request, url, marked) {
    const { jar: id, clock } = this;
    const away = () => 2 + this.random() * this.slowMs;
    const pass = (ms) => new Promise((resolve) => this.later(ms, resolve));
    await pass(away());
    const replica = this.any(this.replicas);
    if (request.method === 'POST') {
      if (url === '/api/login') {
        const to = USERS[1 - USERS.indexOf(id)];
        await pass(away());
        this.jar = to;
        this.onLogin(to);
        return new Response('{}');
      }
      const v = this.change(id, url);
      this.hint(replica, id, url);
      await pass(away());
      return new Response(JSON.stringify({ id, url, v }));
    }
    if (this.failing && this.random() < 0.5) {
      await pass(away());
      if (this.random() < 0.5) throw new TypeError('Failed to fetch');
      return new Response('bad gateway', { status: 502 });
    }
    const key = this.key(id, url);
    const headers = { 'Content-Type': 'application/json' };
    const it = replica.hub.get(key);
    let state = null;
    let body;
    const snapshot = marked && !marked.endsWith(';renew') && it && it.now && !it.stale
      && it.verified > it.hinted && this.now() - it.verified < 1000;
    if (snapshot) {
      body = it.now.body;
      state = { hash: it.now.hash, seq: it.seq };
      await pass(away());
    } else {
      const got = this.read(id, url);
      body = got.body;
      await pass(away());
      if (marked) state = this.observe(replica, key, got);
    }
    if (state) headers['Pollcast-State'] = `${state.hash};seq=${state.seq};epoch=${replica.epoch}`;
    return new Response(body, { headers });
  }

}

/** An event stream as the proxy writes it; what is written arrives in order, a little later. */
export class Stream {
  stalled = false;
  arrives = 0;
  beaten = 0;

  constructor(server, { topics }, signal) {
    const id = server.jar;
    this.server = server;
    this.topics = topics.map(({ url, have, every_ms: every }, index) => {
      const bound = Math.max(1000, 1.5 * every);
      return { index, url, id, key: server.key(id, url), held: have, every, bound, told: '' };
    });
    this.beatMs = Math.max(500, Math.min(...this.topics.map(({ every }) => every)) / 2);
    this.silenceMs = 2 * this.beatMs + 500;
    const body = new ReadableStream({ start: (controller) => (this.controller = controller) });
    signal.addEventListener('abort', () => this.end(signal.reason));
    this.response = new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
    server.streams.add(this);
    this.replica = server.any(server.replicas);
    const { epoch } = this.replica;
    this.send('hello', { v: 1, epoch, beat_ms: this.beatMs, silence_ms: this.silenceMs });
    this.topics.forEach((topic) => this.news(topic));
  }

  send(name, data, index) {
    const { clock, random } = this.server;
    const which = index === undefined ? '' : `data: ${index}\n`;
    const text = `event: ${name}\n${which}data: ${JSON.stringify(data)}\n\n`;
    const at = Math.max(this.arrives, clock.at + random() ** 3 * PIPE_MS);
    this.arrives = at;
    this.server.later(at - clock.at, () => {
      if (!this.over && !this.stalled) this.controller.enqueue(new TextEncoder().encode(text));
    });
  }

  news(topic) {
    const { server, server: { random } } = this;
    const it = server.known(this.replica, topic.key);
    if (it.stale) return this.stale(topic, it.stale);
    if (!it.now || server.now() - it.verified > topic.bound) return;
    const { hash, body } = it.now;
    if (topic.told === hash) return;
    const { seq } = it;
    const old = it.past.get(topic.held);
    if (topic.held === hash) this.send('current', { hash, seq }, topic.index);
    else {
      const whole = { hash, seq, length: body.length, check: fnv1a(body) };
      if (old && random() < 0.8) {
        let same = 0;
        while (old.body[same] === body[same]) same += 1;
        this.send('delta', { ...whole, from: topic.held, ops: [[0, same], body.slice(same)] }, topic.index);
      } else {
        const headers = [['content-type', 'application/json']];
        this.send('snapshot', { ...whole, status: 200, headers, body }, topic.index);
      }
    }
    topic.held = topic.told = hash;
  }

  stale(topic, reason) {
    if (topic.told === 'stale') return;
    topic.told = 'stale';
    this.send('stale', { reason }, topic.index);
  }

  beat() {
    const { clock } = this.server;
    if (clock.at - this.beaten < this.beatMs - 1) return;
    this.beaten = clock.at;
    for (const topic of this.topics) {
      const { verified } = this.server.known(this.replica, topic.key);
      if (topic.told && !(this.server.now() - verified <= topic.bound)) this.stale(topic, 'unverified');
    }
    this.send('beat', {});
  }

  end(reason) {
    if (this.over) return;
    this.over = true;
    this.server.streams.delete(this);
    if (reason) this.controller.error(reason);
    else this.controller.close();
  }
}
