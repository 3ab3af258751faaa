// Requests that look alike: which of them a state can answer, and which the network alone.

import { fieldLines, finish, later, opened, outcome, readAll, surface } from './observe.js';

const brief = async (response) => [response.status, response.url.replace(location.origin, ''),
  (await response.text()).length];

const briefly = (xhr) => [xhr.status, xhr.responseURL.replace(location.origin, ''), xhr.responseText.length];

/** Runs `action` in a document whose base is another path. */
async function based(action) {
  const base = document.createElement('base');
  base.href = '/api/deep/';
  document.head.append(base);
  try {
    return await action();
  } finally {
    base.remove();
  }
}

function asked(url, change, ...body) {
  const xhr = opened(url);
  change?.(xhr);
  return new Promise((resolve) => {
    xhr.addEventListener('loadend', () => resolve(briefly(xhr)));
    xhr.send(...body);
  });
}

const withField = (name, value) => (xhr) => xhr.setRequestHeader(name, value);

export const requestCases = {
  'cache: reload': async (url) => brief(await fetch(url, { cache: 'reload' })),
  'cache: no-cache': async (url) => brief(await fetch(url, { cache: 'no-cache' })),
  'cache: force-cache': async (url) => brief(await fetch(url, { cache: 'force-cache' })),
  'cache: only-if-cached': (url) =>
    outcome(async () => brief(await fetch(url, { cache: 'only-if-cached', mode: 'same-origin' }))),
  'cache: no-store': async (url) => brief(await fetch(url, { cache: 'no-store' })),
  'Cache-Control: no-cache, for once': async (url) =>
    brief(await fetch(url, { headers: { 'Cache-Control': 'no-cache', 'Pragma': 'no-cache' } })),
  'If-None-Match': async (url) => {
    const response = await fetch(url, { headers: { 'If-None-Match': '"v1"' } });
    return [response.status, (await response.text()).length];
  },
  'Range': async (url) => brief(await fetch(url, { headers: { Range: 'bytes=0-4' } })),
  'credentials: omit': async (url) => brief(await fetch(url, { credentials: 'omit' })),
  'credentials: same-origin': async (url) => brief(await fetch(url, { credentials: 'same-origin' })),
  'credentials: include': async (url) => brief(await fetch(url, { credentials: 'include' })),
  'mode: same-origin': async (url) => surface(await fetch(url, { mode: 'same-origin' })),
  'mode: no-cors': async (url) => surface(await fetch(url, { mode: 'no-cors' })),
  'redirect: error': async (url) => surface(await fetch(url, { redirect: 'error' })),
  'keepalive': async (url) => brief(await fetch(url, { keepalive: true })),
  'priority, referrer and its policy': async (url) => brief(await fetch(url,
    { priority: 'low', referrer: '', referrerPolicy: 'no-referrer', window: null })),
  'empty fields, in three forms': async (url) => [
    await brief(await fetch(url, { headers: {} })),
    await brief(await fetch(url, { headers: [] })),
    await brief(await fetch(url, { headers: new Headers() })),
  ],
  'init null': async (url) => brief(await fetch(url, null)),
  'scheme and host in upper case': async (url) => brief(await fetch(location.origin.toUpperCase() + url)),
  'user and password in the URL': (url) =>
    outcome(async () => brief(await fetch(location.origin.replace('//', '//me:secret@') + url))),
  'dots in the path': async (url) => brief(await fetch(`/api/x/..${url.slice(4)}`)),
  'relative to a base': (url) => based(async () => brief(await fetch(`..${url.slice(4)}#part`))),
  'something that stringifies itself': async (url) => brief(await fetch({ toString: () => url })),
  'called with undefined': async (url) => brief(await fetch.call(undefined, url)),
  'called with another object': (url) => outcome(() => fetch.call({}, url)),
  'Request with a signal that fires late': async (url) => {
    const stop = new AbortController();
    const response = await fetch(new Request(url, { signal: stop.signal }));
    const text = await response.text();
    stop.abort();
    return text.length;
  },
  'Request with a signal, read by a reader': async (url) => {
    const { signal } = new AbortController();
    return readAll((await fetch(new Request(url, { signal }))).body);
  },
  'Request with a signal of its own, overridden': (url) => outcome(async () => {
    const request = new Request(url, { signal: AbortSignal.abort() });
    return brief(await fetch(request, { signal: new AbortController().signal }));
  }),
  'two at once': async (url) =>
    Promise.all([fetch(url), fetch(url)].map(async (one) => brief(await one))),
  'an abort that nobody handles is reported': async (url) => {
    const reported = [];
    const note = (event) => { reported.push(event.reason.name); event.preventDefault(); };
    addEventListener('unhandledrejection', note);
    fetch(url, { signal: AbortSignal.abort() });
    await later();
    removeEventListener('unhandledrejection', note);
    return reported;
  },

  'xhr: relative to a base': (url) => based(() => asked(`..${url.slice(4)}#part`)),
  'xhr: URL object': (url) => asked(new URL(url, location.href)),
  'xhr: fragment': (url) => asked(`${url}#part`),
  'xhr: method in lower case': async (url) => {
    const xhr = new XMLHttpRequest();
    xhr.open('get', url);
    return briefly(await finish(xhr));
  },
  'xhr: send(null), send(undefined), send(\'\')': async (url) =>
    [await asked(url, null, null), await asked(url, null, undefined), await asked(url, null, '')],
  'xhr: a body on GET': (url) => asked(url, null, 'body'),
  'xhr: HEAD': async (url) => {
    const xhr = new XMLHttpRequest();
    xhr.open('HEAD', url);
    return fieldLines(await finish(xhr));
  },
  'xhr: user and password': async (url) => {
    const xhr = new XMLHttpRequest();
    xhr.open('GET', url, true, 'me', 'secret');
    return briefly(await finish(xhr));
  },
  'xhr: user and password in the URL': (url) =>
    asked(location.origin.replace('//', '//me:secret@') + url),
  'xhr: user and password null': async (url) => {
    const xhr = new XMLHttpRequest();
    xhr.open('GET', url, true, null, null);
    return briefly(await finish(xhr));
  },
  'xhr: withCredentials': (url) => asked(url, (xhr) => { xhr.withCredentials = true; }),
  'xhr: Range': (url) => asked(url, withField('Range', 'bytes=0-4')),
  'xhr: If-None-Match': async (url) => (await asked(url, withField('If-None-Match', '"v1"')))[0],
  'xhr: Cache-Control: no-cache, for once': (url) => asked(url, withField('Cache-Control', 'no-cache')),
  'xhr: a forbidden field': (url) => asked(url, withField('Accept-Encoding', 'none')),
  'xhr: upload has listeners': (url) => {
    const heard = [];
    return asked(url, ({ upload }) => {
      for (const type of ['loadstart', 'load', 'loadend']) upload.addEventListener(type, () => heard.push(type));
    }).then((seen) => [seen, heard]);
  },
};
