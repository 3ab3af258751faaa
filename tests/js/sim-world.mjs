// What shim-sim.test.mjs moves: a browser whose pages poll, and the proxy that they ask, with its origin.

import assert from 'node:assert/strict';
import { Page, fnv1a } from './page.mjs';

/** The same for all users. */
export const COMMON = '/api/common';
export const URLS = ['/api/a', '/api/b', COMMON];
const USERS = ['ann', 'bob'];
const PIPE_MS = 250;

/** mulberry32 */
function createRandom(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const hop = () => new Promise((resolve) => setImmediate(resolve));
async function settle() {
  for (let n = 0; n < 6; n += 1) await hop();
}

class Server {
  jar = USERS[0];
  epoch = 'e1';
  streams = new Set();
  /** Key → every version and since when it is the truth. */
  versions = new Map();
  /** Key → what the proxy knows. */
  hub = new Map();
  /** Every body that the origin ever sent. */
  sent = new Set();
  failing = false;
  slowMs = 40;

  constructor(clock, random) {
    Object.assign(this, { clock, random });
    clock.set(() => this.tick(), 500, true, [], this);
  }

  later(ms, fn) {
    this.clock.set(fn, ms, false, [], this);
  }

  key = (id, url) => (url === COMMON ? url : `${id} ${url}`);

  truth(id, url, at = Infinity) {
    const key = this.key(id, url);
    if (!this.versions.has(key)) this.versions.set(key, [{ v: 1, at: 0 }]);
    return this.versions.get(key).findLast((version) => version.at <= at);
  }

  change(id, url) {
    const { v } = this.truth(id, url);
    this.versions.get(this.key(id, url)).push({ v: v + 1, at: this.clock.at });
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
    return { body, hash, v, begun: this.clock.at };
  }

  known(key) {
    let it = this.hub.get(key);
    if (!it) {
      // Numbers of two identities must not be comparable by chance.
      it = { seq: Math.floor(this.random() * 6), now: null, past: new Map(), last: -1, stale: '', hinted: -1 };
      this.hub.set(key, it);
    }
    return it;
  }

  observe(key, { body, hash, begun }) {
    const it = this.known(key);
    if (begun >= it.last) {
      it.last = it.verified = begun;
      it.stale = '';
      if (!it.now || it.now.hash !== hash) {
        it.seq += 1;
        it.now = { hash, body };
        it.past.set(hash, { seq: it.seq, body });
      } else it.past.get(hash).seq = it.seq;
      this.spread(key);
    }
    return { hash, seq: it.past.has(hash) ? it.past.get(hash).seq : it.seq - 1 };
  }

  fail(key) {
    const it = this.known(key);
    if (!it.now) return;
    it.stale = 'timeout';
    this.spread(key);
  }

  spread(key) {
    for (const stream of this.streams) stream.topics.forEach((topic) => topic.key === key && stream.news(topic));
  }

  poll(id, url) {
    const key = this.key(id, url);
    const it = this.known(key);
    it.polled = this.clock.at;
    const { failing, epoch } = this;
    const got = this.read(id, url);
    this.later(5 + this.random() * this.slowMs, () => {
      if (epoch === this.epoch) failing ? this.fail(key) : this.observe(key, got);
    });
  }

  tick() {
    for (const stream of this.streams) {
      for (const { key, id, url, every } of stream.topics) {
        const it = this.known(key);
        if (!(this.clock.at - it.polled < every - 250)) this.poll(id, url);
      }
      stream.beat();
    }
  }

  hint(key) {
    this.known(key).hinted = this.clock.at;
    for (const { topics } of this.streams) {
      const topic = topics.find((one) => one.key === key);
      if (topic) return this.poll(topic.id, topic.url);
    }
  }

  restart() {
    this.epoch = 'e' + Math.floor(this.random() * 1e6);
    this.hub.clear();
    for (const stream of [...this.streams]) stream.end();
  }

  /** A request of a page, with the cookies of the instant it was made. */
  async answer(request, url, marked) {
    const { jar: id, clock } = this;
    const away = () => 2 + this.random() * this.slowMs;
    const pass = (ms) => new Promise((resolve) => this.later(ms, resolve));
    await pass(away());
    if (request.method === 'POST') {
      if (url === '/api/login') {
        const to = USERS[1 - USERS.indexOf(id)];
        await pass(away());
        this.jar = to;
        this.onLogin(to);
        return new Response('{}');
      }
      const v = this.change(id, url);
      this.hint(this.key(id, url));
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
    const { epoch } = this;
    const it = this.hub.get(key);
    let state = null;
    let body;
    const snapshot = marked && !marked.endsWith(';renew') && it && it.now && !it.stale
      && it.verified > it.hinted && clock.at - it.verified < 1000;
    if (snapshot) {
      body = it.now.body;
      state = { hash: it.now.hash, seq: it.seq };
      await pass(away());
    } else {
      const got = this.read(id, url);
      body = got.body;
      await pass(away());
      if (marked && epoch === this.epoch) state = this.observe(key, got);
    }
    if (state) headers['Pollcast-State'] = `${state.hash};seq=${state.seq};epoch=${epoch}`;
    return new Response(body, { headers });
  }

}

/** An event stream as the proxy writes it; what is written arrives in order, a little later. */
class Stream {
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
    const { epoch } = server;
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
    const { server, server: { clock, random } } = this;
    const it = server.known(topic.key);
    if (it.stale) return this.stale(topic, it.stale);
    if (!it.now || clock.at - it.verified > topic.bound) return;
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
      const { verified } = this.server.known(topic.key);
      if (topic.told && !(clock.at - verified <= topic.bound)) this.stale(topic, 'unverified');
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

/** What one browser's pages write on, a few milliseconds later, in all others. */
function channels(clock, random) {
  const open = new Set();
  return class {
    constructor() {
      open.add(this);
    }
    postMessage(data) {
      for (const other of open) {
        if (other !== this) clock.set(() => open.has(other) && other.onmessage({ data }), random() * 4, false, [], open);
      }
    }
    close() {
      open.delete(this);
    }
  };
}

/** A page, and what it was shown. */
class Tab {
  polls = new Map();
  /** Key → the least version that a local answer may show. */
  least = new Map();
  hiddenAt = -1;

  constructor(browser) {
    const { server, random, first } = browser;
    this.browser = browser;
    this.page = new Page({ beside: first });
    const { page } = this;
    const { window } = page;
    window.Math.random = random;
    const Channel = browser.Channel;
    const tab = this;
    window.BroadcastChannel = class extends Channel {
      set onmessage(fn) {
        this.hear = fn;
      }
      get onmessage() {
        return (event) => {
          tab.learns();
          this.hear(event);
        };
      }
    };
    if (browser.alone) window.SharedWorker = undefined;
    page.network = (input, init) => this.network(input, init, server);
    page.load();
    this.learns();
  }

  async network(input, init, server) {
    const request = input instanceof Request ? input : new this.page.window.Request(input, init);
    const url = new URL(request.url).pathname;
    if (url === '/__pollcast/stream') {
      this.browser.counts.streams += 1;
      const stream = new Promise((resolve, reject) => {
        init.signal.addEventListener('abort', () => reject(init.signal.reason));
        const open = () => init.signal.aborted || resolve(new Stream(server, JSON.parse(init.body), init.signal).response);
        server.later(2 + this.browser.random() * server.slowMs, open);
      });
      return stream;
    }
    this.asked = true;
    return server.answer(request, url, request.headers.get('pollcast-client'));
  }

  /** From now on nothing of before may be shown: another tab wrote, or this one did. */
  learns() {
    const { clock, server } = this.browser;
    this.learntAt = clock.at;
    for (const [key, versions] of this.browser.settled) this.expect(key, versions);
    this.ids = new Set([server.jar]);
  }

  expect(key, v) {
    this.least.set(key, Math.max(v, this.least.get(key) ?? 0));
  }

  start(url, everyMs) {
    if (this.polls.has(url)) return;
    const poll = { url, everyMs, last: null };
    const ask = () => this.ask(poll);
    poll.timer = this.page.window.setInterval(ask, everyMs);
    this.polls.set(url, poll);
    ask();
  }

  stop(url) {
    const poll = this.polls.get(url);
    if (poll) this.page.window.clearInterval(poll.timer);
    this.polls.delete(url);
  }

  ask(poll) {
    this.asked = false;
    const answer = this.page.window.fetch(poll.url);
    const local = !this.asked;
    this.browser.counts[local ? 'local' : 'network'] += 1;
    // Before the app could learn of anything else.
    const allowed = { at: this.browser.clock.at, ids: new Set(this.ids), least: new Map(this.least) };
    const read = async () => {
      const response = await answer;
      const text = await response.text();
      if (response.status !== 200) return;
      const shown = JSON.parse(text);
      if (local) this.check(poll, text, shown, allowed);
      this.expect(this.browser.server.key(shown.id, shown.url), shown.v);
      poll.last = shown;
    };
    read().catch((error) => {
      if (error instanceof assert.AssertionError) this.browser.fault ??= error;
    });
  }

  check({ url, everyMs }, text, { id, url: of, v }, { at, ids, least }) {
    const { server } = this.browser;
    const mine = url === COMMON ? '' : id;
    assert.equal(of, url, 'another URL’s state');
    assert.ok(server.sent.has(text), 'bytes that the origin never sent');
    if (mine) assert.ok(ids.has(id), `${url} at ${at}: the state of ${id}, though only ${[...ids]} may be shown`);
    const key = server.key(id, url);
    assert.ok(v >= (least.get(key) ?? 0), `${url} at ${at}: version ${v}, and ${least.get(key)} was seen or written`);
    // Of its bound, two beats and a half, and the way here.
    const oldest = at - 1.25 * (Math.max(1000, 1.5 * everyMs) + Math.max(500, everyMs / 2) * 2 + 500) - PIPE_MS - 600;
    const { v: then } = server.truth(id, url, oldest);
    assert.ok(v >= then, `${url} at ${at}: version ${v}, and ${then} was the truth at ${oldest}`);
  }

  async write(url) {
    try {
      const response = await this.page.window.fetch(url, { method: 'POST' });
      const { id, v } = await response.json();
      if (!v) return;
      const key = this.browser.server.key(id, url);
      this.browser.settled.set(key, Math.max(v, this.browser.settled.get(key) ?? 0));
    } finally {
      this.learns();
    }
  }

  hide() {
    if (this.page.document.hidden) return;
    this.hiddenAt = this.browser.clock.at;
    this.page.document.hidden = true;
    this.page.emit(this.page.document, 'visibilitychange');
  }

  show() {
    const { page } = this;
    if (!page.document.hidden) return;
    page.document.hidden = false;
    // It was told nothing meanwhile.
    if (this.browser.clock.at - this.hiddenAt > 5000) this.learns();
    page.emit(page.document, 'visibilitychange');
  }

  /** To the back/forward cache and back. */
  away() {
    this.page.emit(this.page.window, 'pagehide');
    this.learns();
    this.page.emit(this.page.window, 'pageshow', { persisted: true });
  }
}

export class Browser {
  tabs = [];
  counts = { local: 0, network: 0, streams: 0 };
  /** Key → the newest version that a page's settled write made. */
  settled = new Map();
  fault = null;

  constructor(seed) {
    this.random = createRandom(seed);
    this.alone = seed % 5 === 0;
    // Holds the clock and the worker; never loaded itself.
    this.first = new Page();
    this.first.window.Math.random = this.random;
    this.clock = this.first.clock;
    this.server = new Server(this.clock, this.random);
    // The new user's state is right whoever knows of it.
    this.server.onLogin = (id) => this.tabs.forEach(({ ids }) => ids.add(id));
    this.Channel = channels(this.clock, this.random);
    const holder = Object.assign(Object.create(Tab.prototype), { browser: this, page: this.first });
    this.first.network = (input, init) => holder.network(input, init, this.server);
  }

  any = (list) => list[Math.floor(this.random() * list.length)];

  load() {
    if (this.tabs.length >= 4) return;
    const tab = new Tab(this);
    this.tabs.push(tab);
    for (const url of URLS) if (this.random() < 0.7) tab.start(url, this.any([1000, 2000]));
  }

  act(name) {
    const tab = this.any(this.tabs);
    const { server } = this;
    const stream = this.any([...server.streams]);
    const url = this.any(URLS);
    const acts = {
      wait() {},
      write: () => tab && void tab.write(url),
      change: () => server.change(this.any(USERS), url),
      login: () => tab && void tab.write('/api/login'),
      hide: () => tab?.hide(),
      show: () => tab?.show(),
      away: () => tab?.away(),
      crash: () => {
        if (this.tabs.length < 2) return;
        tab.page.crash();
        this.tabs.splice(this.tabs.indexOf(tab), 1);
      },
      load: () => this.load(),
      cut: () => stream?.end(),
      stall: () => stream && (stream.stalled = true),
      bye: () => stream?.send('bye', { reason: this.any(['drain', 'lifetime']), retry_ms: 200 }),
      restart: () => server.restart(),
      fail: () => (server.failing = true),
      mend: () => (server.failing = false),
      die: () => {
        this.first.worker.die();
        for (const one of this.alone ? [] : [...server.streams]) one.end();
      },
      start: () => tab?.start(url, this.any([1000, 2000])),
      stop: () => tab?.stop(url),
      slow: () => (server.slowMs = 1500),
      quick: () => (server.slowMs = 40),
    };
    acts[name]();
  }

  calm() {
    const { server } = this;
    server.failing = false;
    server.slowMs = 40;
    for (const tab of this.tabs) {
      tab.show();
      for (const url of URLS) tab.start(url, 2000);
    }
  }

  async pass(ms) {
    const { clock } = this;
    const end = clock.at + ms;
    for (;;) {
      await settle();
      if (this.fault) throw this.fault;
      let next = null;
      for (const [id, timer] of clock.due) {
        if (timer.at <= end && (!next || timer.at < next[1].at)) next = [id, timer];
      }
      if (!next) break;
      const [id, timer] = next;
      clock.wall += timer.at - clock.at;
      clock.at = timer.at;
      if (timer.repeat) timer.at += Math.max(timer.ms, 1);
      else clock.due.delete(id);
      timer.fn(...timer.args);
    }
    clock.wall += end - clock.at;
    clock.at = end;
  }
}
