// Cases of what else stands between an app and XMLHttpRequest: libraries, and tools that patch.

import axios from 'axios';
import $ from 'jquery';
import { ajax } from 'rxjs/ajax';
import { atOnce, finish, logged, opened } from './observe.js';

/** How each library polls. */
export const clients = [
  (url) => axios.get(url),
  (url) => Promise.resolve($.ajax(url)),
  (url) => new Promise((resolve, reject) => { ajax(url).subscribe({ next: resolve, error: reject }); }),
];

const intercepted = axios.create();

/** Puts `wrap(native)` in the place of methods of the prototype for as long as `action` takes. */
async function patched(names, wrap, action) {
  const { prototype } = XMLHttpRequest;
  const before = names.map((name) => prototype[name]);
  names.forEach((name) => { prototype[name] = wrap(name, prototype[name]); });
  try {
    return await action();
  } finally {
    names.forEach((name, at) => { prototype[name] = before[at]; });
  }
}

/** As tools that trace requests do: notes on the object, a listener of its own, a field of its own. */
function traced(log) {
  return (name, native) => function wrapped(...args) {
    log.push(name);
    if (name === 'open') {
      this.traced = { method: args[0] };
      this.addEventListener('readystatechange', () => {
        if (this.readyState === 4) log.push(`${this.traced.method} ${this.status}`);
      });
    }
    if (name === 'send') this.setRequestHeader('sentry-trace', '1-2-3');
    return native.apply(this, args);
  };
}

/** As tools that mock requests do: another constructor, whose objects are proxies with members of their own. */
async function replaced(action) {
  const Native = window.XMLHttpRequest;
  const log = [];
  window.XMLHttpRequest = new Proxy(Native, {
    construct(target, args, newTarget) {
      const inner = Reflect.construct(target, args, newTarget);
      for (const [name, it] of Object.entries(Object.getOwnPropertyDescriptors(target.prototype))) {
        if (name !== 'constructor') Reflect.defineProperty(inner, name, it);
      }
      return new Proxy(inner, {
        get(object, name) {
          const value = Reflect.get(object, name, object);
          if (typeof value !== 'function') return value;
          return (...rest) => { log.push(name); return value.apply(object, rest); };
        },
        set: (object, name, value) => Reflect.set(object, name, value, object),
      });
    },
  });
  try {
    return [await action(), log];
  } finally {
    window.XMLHttpRequest = Native;
  }
}

const shape = (object, names) => names.map((name) => {
  const { get, set, value, ...flags } = Object.getOwnPropertyDescriptor(object, name);
  const text = (fn) => fn && [fn.name, fn.length, Function.prototype.toString.call(fn).includes('[native code]')];
  return [name, flags, text(get), text(set), text(value)];
});

export const wrapperCases = {
  'axios': async (url) => {
    const { data, status, statusText, headers } = await axios.get(url);
    return [data, status, statusText, headers['x-own'], headers.get('content-type')];
  },
  'axios: arraybuffer': async (url) =>
    (await axios.get(url, { responseType: 'arraybuffer' })).data.byteLength,
  'axios: progress': async (url) => {
    const seen = [];
    const onDownloadProgress = ({ loaded, total, progress }) => seen.push([loaded, total, progress]);
    await axios.get(url, { onDownloadProgress });
    return seen.at(-1);
  },
  'axios: cancelled': async (url) => {
    const stop = new AbortController();
    const asked = axios.get(url, { signal: stop.signal }).catch((error) => error.name);
    stop.abort();
    return asked;
  },
  'axios: by fetch': async (url) => {
    const { data, headers } = await axios.get(url, { adapter: 'fetch' });
    return [data, headers.get('x-own')];
  },
  'axios: with interceptors': async (url) => {
    const { interceptors } = intercepted;
    const ids = [interceptors.request.use(async (config) => config),
      interceptors.response.use((response) => ({ ...response, seen: true }))];
    const { seen, status } = await intercepted.get(url);
    interceptors.request.eject(ids[0]);
    interceptors.response.eject(ids[1]);
    return [seen, status];
  },
  'jQuery': async (url) => {
    const jqxhr = $.ajax(url);
    const data = await jqxhr;
    return [data, jqxhr.status, jqxhr.statusText, jqxhr.getResponseHeader('X-Own')];
  },
  'jQuery: aborted': async (url) => {
    const jqxhr = $.ajax(url);
    jqxhr.abort();
    return jqxhr.then(() => 'came', ({ status, statusText }) => [status, statusText]);
  },
  'rxjs': (url) => new Promise((resolve, reject) => {
    ajax(url).subscribe({
      next: ({ status, response, responseType, loaded, total, type }) =>
        resolve([status, response, responseType, loaded, total, type]),
      error: reject,
    });
  }),
  'rxjs: unsubscribed': (url) => new Promise((resolve) => {
    const seen = [];
    const asked = ajax(url).subscribe({ next: () => seen.push('next'), complete: () => seen.push('end') });
    asked.unsubscribe();
    setTimeout(() => resolve(seen), 100);
  }),
  'xhr: traced by patches put on later': async (url) => {
    const log = [];
    const outcome = await patched(['open', 'send'], traced(log), async () => {
      const xhr = opened(url);
      const events = logged(xhr);
      await finish(xhr);
      return [events, xhr.traced, xhr.status];
    });
    return [outcome, log];
  },
  'xhr: getters replaced later': async (url) => {
    const { prototype } = XMLHttpRequest;
    const native = Object.getOwnPropertyDescriptor(prototype, 'responseText');
    const get = function get() { return `wrapped ${native.get.call(this).length}`; };
    Object.defineProperty(prototype, 'responseText', { ...native, get });
    try {
      return (await finish(opened(url))).responseText;
    } finally {
      Object.defineProperty(prototype, 'responseText', native);
    }
  },
  'xhr: another constructor with proxies': (url) => replaced(async () => {
    const xhr = new XMLHttpRequest();
    xhr.open('GET', url);
    xhr.responseType = 'json';
    const seen = [];
    await new Promise((resolve) => {
      xhr.onreadystatechange = () => seen.push(xhr.readyState);
      xhr.onloadend = resolve;
      xhr.send();
    });
    return [seen, xhr.status, xhr.response, xhr.getResponseHeader('x-own')];
  }),
  'xhr: subclass that overrides and calls up': async (url) => {
    class Own extends XMLHttpRequest {
      log = [];

      open(...args) { this.log.push('open'); return super.open(...args); }

      send(...args) { this.log.push('send'); return super.send(...args); }

      get status() { return -super.status; }

      get responseText() { return super.responseText.toUpperCase(); }
    }
    const xhr = new Own();
    xhr.open('GET', url);
    await finish(xhr);
    return [xhr.log, xhr.status, xhr.responseText, xhr.responseURL.endsWith(url)];
  },
  'xhr: members of the prototype': async () => {
    const { prototype } = XMLHttpRequest;
    return [Object.getOwnPropertyNames(prototype), shape(prototype, ['open', 'send', 'abort', 'setRequestHeader',
      'getResponseHeader', 'getAllResponseHeaders', 'overrideMimeType', 'readyState', 'status', 'statusText',
      'response', 'responseText', 'responseXML', 'responseURL', 'responseType', 'withCredentials', 'timeout'])];
  },
  'xhr: text of a method': async () => Function.prototype.toString.call(XMLHttpRequest.prototype.open),
  'xhr: called on something else': async () => {
    const { prototype } = XMLHttpRequest;
    return [atOnce(() => prototype.open.call({}, 'GET', '/')), atOnce(() => prototype.send.call(undefined)),
      atOnce(() => prototype.readyState), atOnce(() => { prototype.responseType = 'json'; }),
      atOnce(() => prototype.getAllResponseHeaders.call(new EventTarget()))];
  },
};
