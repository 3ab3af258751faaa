// Cases of fetch: each takes the polled URL and answers what can be seen, as plain data.

import { fields, outcome, readAll, surface } from './observe.js';

export const fetchCases = {
  'surface': async (url) => surface(await fetch(url)),
  'text': async (url) => (await fetch(url)).text(),
  'json': async (url) => (await fetch(url)).json(),
  'arrayBuffer': async (url) => [...new Uint8Array(await (await fetch(url)).arrayBuffer())],
  'bytes': async (url) => [...await (await fetch(url)).bytes()],
  'blob': async (url) => {
    const blob = await (await fetch(url)).blob();
    return { size: blob.size, type: blob.type, text: await blob.text() };
  },
  'formData of JSON': async (url) => outcome(async () => (await fetch(url)).formData()),
  'reader': async (url) => readAll((await fetch(url)).body),
  'async iteration': async (url) => {
    let length = 0;
    for await (const chunk of (await fetch(url)).body) length += chunk.length;
    return length;
  },
  'pipeThrough': async (url) =>
    (await readPieces((await fetch(url)).body.pipeThrough(new TextDecoderStream()))).join(''),
  'tee': async (url) => {
    const [one, two] = (await fetch(url)).body.tee();
    return [await readAll(one), await readAll(two)];
  },
  'cancel': async (url) => {
    const response = await fetch(url);
    await response.body.cancel();
    return { used: response.bodyUsed, again: await outcome(() => response.text()) };
  },
  'double read': async (url) => {
    const response = await fetch(url);
    await response.json();
    const readers = ['json', 'text', 'blob', 'arrayBuffer'];
    const again = await Promise.all(readers.map((name) => outcome(() => response[name]())));
    return { again, used: response.bodyUsed, locked: response.body.locked };
  },
  'two reads at once': async (url) => {
    const response = await fetch(url);
    return Promise.all([outcome(() => response.text()), outcome(() => response.text())]);
  },
  'bodyUsed while reading': async (url) => {
    const response = await fetch(url);
    const reading = response.text();
    const during = response.bodyUsed;
    await reading;
    return [during, response.bodyUsed];
  },
  'read behind a reader': async (url) => {
    const response = await fetch(url);
    const reader = response.body.getReader();
    const locked = await outcome(() => response.text());
    reader.releaseLock();
    return { locked, after: await outcome(() => response.text()) };
  },
  'clone': async (url) => {
    const response = await fetch(url);
    const copy = response.clone();
    const texts = await Promise.all([response.text(), copy.text()]);
    return { texts, surface: [copy.url === response.url, copy.status, copy.type, copy.redirected] };
  },
  'clone of a clone, read as a stream': async (url) => {
    const copy = (await fetch(url)).clone().clone();
    return { ...surface(copy), all: await readAll(copy.body) };
  },
  'clone after reading': async (url) => {
    const response = await fetch(url);
    await response.text();
    return outcome(() => String(response.clone()));
  },
  'headers': async (url) => fields((await fetch(url)).headers),
  'headers access': async (url) => {
    const { headers } = await fetch(url);
    return { get: headers.get('Content-Type'), has: headers.has('x-own'), own: headers.get('X-OWN'),
      none: headers.get('x-none'), isHeaders: headers instanceof Headers,
      set: await outcome(() => headers.set('x', 'y')), cookie: headers.get('set-cookie'),
      state: headers.get('pollcast-state') };
  },
  'rewrap': async (url) => {
    const response = await fetch(url);
    const wrapped = new Response(response.body, response);
    return [wrapped.status, wrapped.headers.get('x-own'), await wrapped.text()];
  },
  'Request object': async (url) => {
    const request = new Request(url);
    return { ...surface(await fetch(request)), used: request.bodyUsed };
  },
  'Request object, twice': async (url) => {
    const request = new Request(url);
    return [await (await fetch(request)).text(), await (await fetch(request.clone())).text()];
  },
  'Request with init': async (url) =>
    surface(await fetch(new Request(url), { cache: 'no-store', credentials: 'include' })),
  'Request of a field': async (url) =>
    surface(await fetch(new Request(url, { headers: { 'x-field': '1' } }))),
  'URL object': async (url) => surface(await fetch(new URL(url, location.href))),
  'absolute with fragment': async (url) => surface(await fetch(`${location.origin}${url}#part`)),
  'method in lower case': async (url) => surface(await fetch(url, { method: 'get' })),
  'HEAD': async (url) => (await fetch(url, { method: 'HEAD' })).text(),
  'body on GET': (url) => outcome(() => fetch(url, { body: 'x' })),
  'bad init': (url) => outcome(() => fetch(url, { mode: 'nonsense' })),
  'no arguments': () => outcome(() => fetch()),
  'called without this': async (url) => {
    const bare = fetch;
    return (await bare(url)).status;
  },
  'is a function like the native one': async () =>
    [typeof fetch, fetch.name, fetch.length, Object.hasOwn(globalThis, 'fetch'),
      Object.prototype.propertyIsEnumerable.call(globalThis, 'fetch')],
  'answers a native promise': async (url) => {
    const promise = fetch(url);
    const { constructor } = promise;
    await promise;
    return [promise instanceof Promise, constructor === Promise];
  },
  'not answered synchronously': async (url) => {
    const order = [];
    const asked = fetch(url).then(() => order.push('answer'));
    order.push('after the call');
    await asked;
    return order;
  },
  'aborted before': (url) => outcome(() => fetch(url, { signal: AbortSignal.abort() })),
  'aborted before, with a reason': (url) =>
    outcome(() => fetch(url, { signal: AbortSignal.abort('why') })),
  'aborted during': async (url) => {
    const stop = new AbortController();
    const asked = outcome(() => fetch(url, { signal: stop.signal }));
    stop.abort();
    return asked;
  },
  'aborted during, with a reason, by the Request': async (url) => {
    const stop = new AbortController();
    const asked = outcome(() => fetch(new Request(url, { signal: stop.signal })));
    stop.abort(new RangeError('enough'));
    return asked;
  },
  'aborted after the headers': async (url) => {
    const stop = new AbortController();
    const response = await fetch(`${url}?slow`, { signal: stop.signal });
    stop.abort();
    return outcome(() => response.text());
  },
  'aborted after the body': async (url) => {
    const stop = new AbortController();
    const response = await fetch(url, { signal: stop.signal });
    const text = await response.text();
    stop.abort();
    return [text.length, response.status];
  },
  'a signal that never fires': async (url) =>
    surface(await fetch(url, { signal: AbortSignal.timeout(60_000) })),
  'not found': async (url) => surface(await fetch(`${url}?status=404`)),
  'no content': async (url) => {
    const response = await fetch(`${url}?status=204`);
    return [response.status, response.body, await response.text()];
  },
  'redirected': async (url) => surface(await fetch(`${url}?to=${url}`)),
};

async function readPieces(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}
