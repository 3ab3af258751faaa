// A page for the shim to run in, without a browser: the parts in one function scope over a fake
// window, an origin and a stream that the test speaks for, and a clock that only the test moves.

import { readFileSync, readdirSync } from 'node:fs';
import { nativeXhr } from './native-xhr.mjs';

const PARTS = new URL('../../src/shim/parts/', import.meta.url);
const WORKER = new URL('../../src/shim/worker/', import.meta.url);

export const CONFIG = {
  v: 'test',
  mode: 'push',
  prefix: '/__pollcast',
  worker: 'w1',
  watches: [{ re: '^/api/(?:.*)?$', push: true, percent: 100, look: 2 }],
  busters: ['_', 'cb'],
  renew_ms: 60000,
  off_ms: 15000,
  body: 1048576,
  min_ms: 250,
  skip: [],
  mute: '^$',
  cap: 100,
  origins: ['http://app.test'],
};

function join(room) {
  const names = readdirSync(room).filter((name) => /^\d\d-.*\.js$/.test(name)).sort();
  return names.map((name) => readFileSync(new URL(name, room), 'utf8')).join('');
}

/** The code that holds the stream, as it is served. */
export function workerSource() {
  return `'use strict';${readFileSync(new URL('20-shared.js', PARTS), 'utf8')}${join(WORKER)}`;
}

/** The script as it is served. `change` may rewrite its source, to make a part fail. */
export function source(config = {}, change = (text) => text) {
  const parts = join(PARTS);
  const head = `'use strict';const CONFIG=${JSON.stringify({ ...CONFIG, ...config })};`;
  return change(head + parts);
}

export function fnv1a(text) {
  let hash = 2166136261;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return hash >>> 0;
}

/** Lets every promise that can go on go on. */
export async function settle() {
  for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
}

const BASE = 'http://app.test';

class ProgressEvent extends Event {
  constructor(type, members) {
    super(type);
    Object.assign(this, members);
  }
}

class Clock {
  at = 1000;
  wall = 1763932000000;
  serial = 0;
  due = new Map();

  set = (fn, ms = 0, repeat = false, args = [], owner = null) => {
    this.due.set(++this.serial, { at: this.at + Math.max(ms, 1), fn, ms, repeat, args, owner });
    return this.serial;
  };

  clear = (id) => this.due.delete(id);

  forget(owner) {
    for (const [id, timer] of this.due) if (timer.owner === owner) this.due.delete(id);
  }

  /** Moves on by `ms`, running what falls due, each with its microtasks. */
  async pass(ms) {
    await settle();
    const end = this.at + ms;
    for (;;) {
      const due = [...this.due].filter(([, timer]) => timer.at <= end);
      const next = due.sort((a, b) => a[1].at - b[1].at)[0];
      if (!next) break;
      const [id, timer] = next;
      this.wall += timer.at - this.at;
      this.at = timer.at;
      if (timer.repeat) timer.at += Math.max(timer.ms, 1);
      else this.due.delete(id);
      timer.fn(...timer.args);
      await settle();
    }
    this.wall += end - this.at;
    this.at = end;
    await settle();
  }
}

/** One event stream that the shim has opened. */
class Stream {
  open = true;

  constructor(request, signal) {
    this.topics = request.topics;
    this.client = request.client;
    this.name = request.name;
    const stream = new ReadableStream({ start: (controller) => (this.controller = controller) });
    signal.addEventListener('abort', () => this.end(signal.reason));
    const headers = { 'Content-Type': 'text/event-stream' };
    this.response = new Response(stream, { headers });
  }

  end(reason) {
    if (!this.open) return;
    this.open = false;
    if (reason) this.controller.error(reason);
    else this.controller.close();
  }

  async send(name, data, topic) {
    const index = topic === undefined ? '' : `data: ${topic}\n`;
    const text = `event: ${name}\n${index}data: ${JSON.stringify(data)}\n\n`;
    this.controller.enqueue(new TextEncoder().encode(text));
    await settle();
  }

  hello(epoch = 'e1') {
    return this.send('hello', { v: 1, epoch, beat_ms: 5000, silence_ms: 12000 });
  }

  snapshot(topic, { hash, seq, body }) {
    const headers = [['content-type', 'application/json']];
    const length = body.length;
    const event = { hash, seq, length, check: fnv1a(body), status: 200, headers, body };
    return this.send('snapshot', event, topic);
  }
}

/** Two ends of a channel: what goes in at one comes out at the other, as a copy, in a later task. */
function channel() {
  const ends = [{}, {}];
  ends.forEach((end, index) => {
    const other = ends[1 - index];
    end.postMessage = (value) => {
      const data = structuredClone(value);
      setImmediate(() => {
        // What was sent before the sender closed its end still arrives.
        if (!other.closed && other.onmessage) other.onmessage({ data });
      });
    };
    end.close = () => {
      end.closed = true;
    };
  });
  return ends;
}

/** The worker that all pages of a browser share: `connect()` is what `new SharedWorker` does. */
class Shared {
  constructor(page) {
    this.page = page;
    this.begin();
  }

  begin() {
    const { clock, window } = this.page;
    this.ports = [];
    this.scope = {
      fetch: (input, init) => this.page.network(input, init),
      setTimeout: (fn, ms, ...args) => clock.set(fn, ms, false, args, this),
      clearTimeout: clock.clear,
    };
    const names = ['self', 'performance', 'Date', 'Math'];
    const { performance, Date, Math } = window;
    new Function(...names, workerSource())(this.scope, performance, Date, Math);
  }

  connect() {
    const [port, other] = channel();
    this.ports.push(other);
    this.scope.onconnect({ ports: [other] });
    return port;
  }

  /** As with the process that ran it: nobody is told. Who connects from now on gets a new one. */
  die() {
    for (const port of this.ports) port.close();
    this.page.clock.forget(this);
    this.begin();
  }
}

export class Page {
  clock = new Clock();
  /** Requests that reached the network: {method, url, headers}. */
  seen = [];
  /** Its ends of the channels to the worker. */
  ports = [];
  /** Streams that were opened, in order. */
  streams = [];
  /** What the network says; a test replaces or changes it. */
  state = { hash: 'h1', seq: 1, epoch: 'e1', body: '{"n":1}' };
  reply = ({ marked }) => this.answer(marked);
  /** Answers on the stream's URL; a test may refuse. */
  accept = () => null;
  listeners = new Map();

  /** `beside`: another page of the same browser. */
  constructor({ config, change, search = '', hidden = false, beside } = {}) {
    if (beside) this.clock = beside.clock;
    this.document = this.target({ hidden, baseURI: BASE + '/', currentScript: null });
    this.window = this.target(this.globals(search));
    this.nativeFetch = this.window.fetch;
    // Functions made from text can't import.
    this.text = source(config, change).replace(/\bimport\(/g, 'W.imported(');
    this.worker = beside ? beside.worker : new Shared(this);
  }

  /** Nothing of it runs any more, and it says no goodbye. */
  crash() {
    this.clock.forget(this);
    for (const port of this.ports) port.close();
  }

  load() {
    new Function('window', 'document', this.text)(this.window, this.document);
    return this;
  }

  target(object) {
    const all = new Map();
    this.listeners.set(object, all);
    object.addEventListener = (type, fn) => all.set(type, [...(all.get(type) || []), fn]);
    object.removeEventListener = (type, fn) =>
      all.set(type, (all.get(type) || []).filter((it) => it !== fn));
    return object;
  }

  emit(object, type, event = {}) {
    for (const fn of this.listeners.get(object).get(type) || []) {
      fn.call(object, { type, isTrusted: true, target: object, ...event });
    }
  }

  listening() {
    return [...this.listeners.values()].flatMap((all) => [...all.values()].flat()).length;
  }

  globals(search) {
    const { clock } = this;
    const storage = () => {
      const map = new Map();
      return { getItem: (k) => map.get(k) ?? null, setItem: (k, v) => map.set(k, String(v)) };
    };
    class PageRequest extends Request {
      constructor(input, init) {
        super(typeof input === 'string' ? new URL(input, BASE) : input, init);
      }
    }
    class Navigator {
      sendBeacon() {
        return true;
      }
    }
    const page = this;
    return {
      origin: BASE,
      location: Object.assign(new URL(BASE + '/' + search), {}),
      performance: { now: () => clock.at },
      Date: Object.assign(class extends Date {}, { now: () => clock.wall }),
      localStorage: storage(),
      sessionStorage: storage(),
      fetch: function fetch(input, init) {
        return page.network(input, init);
      },
      setTimeout: (fn, ms, ...args) => clock.set(fn, ms, false, args, page),
      setInterval: (fn, ms, ...args) => clock.set(fn, ms, true, args, page),
      clearTimeout: clock.clear,
      clearInterval: clock.clear,
      queueMicrotask,
      Request: PageRequest,
      Navigator,
      XMLHttpRequest: nativeXhr((method, url, headers) => page.network(url, { method, headers })),
      SharedWorker: function SharedWorker() {
        const port = page.worker.connect();
        page.ports.push(port);
        return { port };
      },
      imported: async () => {
        const { performance, Date, Math } = page.window;
        const run = new Function('self', 'performance', 'Date', 'Math', workerSource());
        run(page.window, performance, Date, Math);
      },
      MessageChannel: function MessageChannel() {
        const [port1, port2] = channel();
        return { port1, port2 };
      },
      Math: Object.assign(Object.create(Math), { random: () => 0.5, imul: Math.imul }),
      ...{ Response, Headers, URL, URLSearchParams, TextDecoder, TextEncoder, ReadableStream },
      ...{ Blob, DOMException, Event, EventTarget, ProgressEvent },
      ...{ AbortController, JSON, Promise, Proxy, Reflect },
    };
  }

  async network(input, init) {
    const request = input instanceof Request ? input : new this.window.Request(input, init);
    const { pathname, search } = new URL(request.url);
    const url = pathname + search;
    if (url === '/__pollcast/stream') {
      const refusal = this.accept();
      if (refusal) return refusal;
      const stream = new Stream(JSON.parse(init.body), init.signal);
      this.streams.push(stream);
      return stream.response;
    }
    const marked = request.headers.get('pollcast-client');
    this.seen.push({ method: request.method, url, marked, headers: request.headers });
    const response = await this.reply({ url, marked, method: request.method, request });
    Object.defineProperty(response, 'url', { value: request.url, configurable: true });
    return response;
  }

  answer(marked, state = this.state, init = {}) {
    const headers = { 'Content-Type': 'application/json', ...init.headers };
    if (marked && state.hash) {
      headers['Pollcast-State'] = `${state.hash};seq=${state.seq};epoch=${state.epoch}`;
    }
    return new Response(state.body, { status: 200, statusText: 'OK', ...init, headers });
  }

  fetch(input, init) {
    return this.window.fetch(input, init);
  }

  async read(input, init) {
    return (await this.fetch(input, init)).text();
  }

  /** Polls `url` by the app's own setInterval; returns what came, and a way to stop. */
  poll(url = '/api/x', ms = 2000, init) {
    const got = [];
    const ask = () => this.read(url, init).then((text) => got.push(text), () => got.push(null));
    ask();
    const id = this.window.setInterval(ask, ms);
    return { got, stop: () => this.window.clearInterval(id) };
  }

  /** Opens and sends an XMLHttpRequest; `change` may do something before it is sent. */
  xhr(url = '/api/x', change = () => {}) {
    const xhr = new this.window.XMLHttpRequest();
    xhr.open('GET', url);
    change(xhr);
    xhr.done = new Promise((resolve) => xhr.addEventListener('loadend', () => resolve(xhr)));
    xhr.send();
    return xhr;
  }

  get stream() {
    return this.streams.at(-1);
  }

  /** Polls until a stream is open and says that what the page has is the state. */
  async vouched(url, init) {
    const poll = this.poll(url, 2000, init);
    await this.clock.pass(2100);
    await this.stream.hello(this.state.epoch);
    await this.stream.send('current', { hash: this.state.hash, seq: this.state.seq }, 0);
    this.seen.length = 0;
    return poll;
  }

  /** Passes time with a stream that stays alive. */
  async beating(ms) {
    for (let left = ms; left > 0; left -= 2000) {
      await this.clock.pass(Math.min(left, 2000));
      await this.stream.send('beat', {});
    }
  }

  /** How many requests of a URL the network saw since the last look. */
  asked(url = '/api/x') {
    return this.seen.splice(0).filter((it) => it.url === url).length;
  }

  untouched() {
    return this.window.fetch === this.nativeFetch;
  }
}
