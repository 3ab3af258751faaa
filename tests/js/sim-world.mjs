// What shim-sim.test.mjs moves: a browser whose pages poll, and what each of them may be shown.

import assert from 'node:assert/strict';
import { generator } from '../world/lib/random.mjs';
import { Page } from './page.mjs';
import { COMMON, PIPE_MS, Server, Stream, URLS, USERS } from './sim-proxy.mjs';

const hop = () => new Promise((resolve) => setImmediate(resolve));
async function settle() {
  for (let n = 0; n < 6; n += 1) await hop();
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
        const hear = () => open.has(other) && other.onmessage({ data });
        if (other !== this) clock.set(hear, random() * 4, false, [], open);
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
    const { Channel } = browser;
    const tab = this;
    if (Channel) window.BroadcastChannel = class extends Channel {
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
    const { SharedWorker } = window;
    window.SharedWorker = browser.alone ? undefined : function Slow() {
      const worker = new SharedWorker();
      tab.slow(worker.port);
      return worker;
    };
    page.network = (input, init) => this.network(input, init, server);
    page.load();
    this.learns();
  }

  /** What comes to a busy page waits, in order. */
  slow(port) {
    const { browser: { clock }, page } = this;
    let hear = null;
    let waiting = [];
    const flush = () => {
      for (const event of waiting.splice(0)) if (!port.closed) hear(event);
    };
    Object.defineProperty(port, 'onmessage', {
      set: (fn) => { hear = fn; },
      get: () => (event) => {
        const wait = (page.busyUntil ?? 0) - clock.at;
        if (wait <= 0 && !waiting.length) return hear(event);
        if (!waiting.length) clock.set(flush, wait, false, [], page);
        waiting.push(event);
      },
    });
  }

  async network(input, init, server) {
    const request = input instanceof Request ? input : new this.page.window.Request(input, init);
    const url = new URL(request.url).pathname;
    if (url === '/__pollcast/stream') {
      this.browser.counts.streams += 1;
      const stream = new Promise((resolve, reject) => {
        init.signal.addEventListener('abort', () => reject(init.signal.reason));
        const open = () => {
          if (!init.signal.aborted) resolve(new Stream(server, JSON.parse(init.body), init.signal).response);
        };
        server.later(2 + this.browser.random() * server.slowMs, open);
      });
      return stream;
    }
    this.asked = true;
    const response = await server.answer(request, url, request.headers.get('pollcast-client'));
    return Object.defineProperty(response, 'url', { value: request.url });
  }

  /** From now on nothing of before may be shown: another tab wrote, or this one did. */
  learns() {
    const { server } = this.browser;
    for (const [key, versions] of this.browser.settled) this.expect(key, versions);
    this.ids = new Set([server.jar]);
  }

  expect(key, v) {
    this.least.set(key, Math.max(v, this.least.get(key) ?? 0));
  }

  start(url, everyMs) {
    if (this.polls.has(url)) return;
    const poll = { url, everyMs, last: null, xhr: this.browser.random() < 0.3 };
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
    const answer = poll.xhr ? this.page.xhr(poll.url).done : this.page.window.fetch(poll.url);
    const local = !this.asked;
    this.browser.counts[local ? 'local' : 'network'] += 1;
    // Before the app could learn of anything else.
    const allowed = { at: this.browser.clock.wall, ids: new Set(this.ids), least: new Map(this.least) };
    const read = async () => {
      const response = await answer;
      if (response.status !== 200) return;
      const text = poll.xhr ? response.responseText : await response.text();
      const shown = JSON.parse(text);
      if (local) this.check(poll, text, shown, allowed);
      const { server } = this.browser;
      const key = server.key(shown.id, shown.url);
      // Two processes don't know of each other: by the network a page may go back, as it would without us.
      if (!local && server.replicas.length > 1) this.least.delete(key);
      this.expect(key, shown.v);
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
    this.random = generator(seed);
    this.alone = seed % 5 === 0;
    // Holds the clock and the worker; never loaded itself.
    this.first = new Page();
    this.first.window.Math.random = this.random;
    this.clock = this.first.clock;
    this.server = new Server(this.clock, this.random);
    // The new user's state is right whoever knows of it.
    this.server.onLogin = (id) => this.tabs.forEach(({ ids }) => ids.add(id));
    this.Channel = seed % 7 ? channels(this.clock, this.random) : null;
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
      change: () => server.change(this.any([server.jar, ...USERS]), url),
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
      // The origin, for central polls; pages fare a little better.
      fail: () => (server.failing = true),
      mend: () => (server.failing = false),
      die: () => {
        this.first.worker.die();
        for (const one of this.alone ? [] : [...server.streams]) one.end();
      },
      // Its timers and its messages wait; time does not.
      busy: () => tab && this.hold(tab, 500 + this.random() ** 2 * 40000),
      sleep: () => this.sleep(1000 + this.random() * 100000),
      start: () => tab?.start(url, this.any([1000, 2000])),
      stop: () => tab?.stop(url),
      slow: () => (server.slowMs = 1500),
      quick: () => (server.slowMs = 40),
    };
    acts[name]();
  }

  /** No timer of any page or worker ran meanwhile, and what is in the pipes is read late. */
  sleep(ms) {
    const { server } = this;
    for (const url of URLS) if (this.random() < 0.5) server.change(server.jar, url);
    server.slept += ms;
    this.clock.wall += ms;
  }

  hold({ page }, ms) {
    const { clock } = this;
    const until = clock.at + ms;
    page.busyUntil = Math.max(page.busyUntil ?? 0, until);
    for (const timer of clock.due.values()) if (timer.owner === page) timer.at = Math.max(timer.at, until);
  }

  calm() {
    const { server } = this;
    server.failing = false;
    server.churn = 0;
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
