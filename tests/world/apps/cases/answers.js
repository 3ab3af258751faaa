// Cases of fetch: what can be done with an answer besides reading it.

import { outcome, surface } from './observe.js';

export const answerCases = {
  'fields, iterated and asked': async (url) => {
    const { headers } = await fetch(url);
    const seen = [];
    headers.forEach((value, name) => seen.push(name));
    return [seen.filter((name) => !/^(connection|keep-alive|transfer-encoding)$/.test(name)),
      headers.get('x-many'), headers.get('x-empty'), headers.getSetCookie(), headers.has('x-none'),
      await outcome(() => headers.get('no such: name'))];
  },
  'fields stay the same object': async (url) => {
    const response = await fetch(url);
    return response.headers === response.headers;
  },
  'enumerable members': async (url) => {
    const response = await fetch(url);
    return [Object.keys(response), JSON.stringify(response)];
  },
  'own members': async (url) => Object.getOwnPropertyNames(await fetch(url)),
  'for … in': async (url) => {
    const names = [];
    for (const name in await fetch(url)) names.push(name);
    return names.sort();
  },
  'methods taken off': async (url) => {
    const { text } = Response.prototype;
    return text.call(await fetch(url));
  },
  'getters of the prototype': async (url) => {
    const response = await fetch(url);
    const get = (name) => Object.getOwnPropertyDescriptor(Response.prototype, name).get.call(response);
    return ['status', 'ok', 'statusText', 'redirected', 'bodyUsed'].map(get);
  },
  'url and type by the prototype': async (url) => {
    const response = await fetch(url);
    const get = (name) => Object.getOwnPropertyDescriptor(Response.prototype, name).get.call(response);
    return [get('url').replace(location.origin, ''), get('type')];
  },
  'byob reader': (url) => outcome(async () => {
    const reader = (await fetch(url)).body.getReader({ mode: 'byob' });
    const { value } = await reader.read(new Uint8Array(4));
    return [...value];
  }),
  'pipeTo': async (url) => {
    const response = await fetch(url);
    let bytes = 0;
    await response.body.pipeTo(new WritableStream({ write: (chunk) => { bytes += chunk.length; } }));
    return [bytes, response.bodyUsed, response.body.locked];
  },
  'values, one of them': async (url) => {
    const response = await fetch(url);
    for await (const chunk of response.body.values({ preventCancel: true })) {
      return [chunk instanceof Uint8Array, response.body.locked, response.bodyUsed];
    }
    return 'none';
  },
  'clone, one half read, the other cancelled': async (url) => {
    const response = await fetch(url);
    const copy = response.clone();
    const text = await response.text();
    await Promise.race([copy.body.cancel(), new Promise((resolve) => setTimeout(resolve, 50))]);
    return [text.length, copy.bodyUsed];
  },
  'clone behind a reader': async (url) => {
    const response = await fetch(url);
    response.body.getReader();
    return outcome(() => String(response.clone()));
  },
  'json twice at once': async (url) => {
    const response = await fetch(url);
    return Promise.all([outcome(() => response.json()), outcome(() => response.json())]);
  },
  'parsed anew each time': async (url) => {
    const response = await fetch(url);
    const [one, two] = await Promise.all([response.clone().json(), response.json()]);
    return [one === two, one.n === two.n];
  },
  'aborted behind the headers, read by a reader': (url) => outcome(async () => {
    const stop = new AbortController();
    const response = await fetch(url, { signal: stop.signal });
    const reader = response.body.getReader();
    stop.abort();
    const { value } = await reader.read();
    return value.length;
  }),
  'aborted behind the headers, read as text': (url) => outcome(async () => {
    const stop = new AbortController();
    const response = await fetch(`${url}`, { signal: stop.signal });
    stop.abort(new RangeError('enough'));
    return response.text();
  }),
  'aborted behind the headers, clone read': (url) => outcome(async () => {
    const stop = new AbortController();
    const copy = (await fetch(url, { signal: stop.signal })).clone();
    stop.abort();
    return copy.json();
  }),
  'put into a cache': async (url) => {
    const cache = await caches.open('fidelity');
    await cache.put(url, await fetch(url));
    const back = await cache.match(url);
    const seen = [{ ...surface(back), path: '' }, await back.text()];
    await caches.delete('fidelity');
    return seen;
  },
  'wrapped in another Response, its url': async (url) => {
    const response = await fetch(url);
    return new Response(response.body, { headers: response.headers }).url;
  },
  'in the list of resources': async (url) => {
    const count = () => performance.getEntriesByName(location.origin + url, 'resource').length;
    const before = count();
    await (await fetch(url)).text();
    await new Promise((resolve) => setTimeout(resolve, 50));
    return count() - before;
  },
  'structuredClone': async (url) => outcome(async () => structuredClone(await fetch(url))),
  'a FormData of it': (url) => outcome(async () => (await fetch(url)).formData()),
};
