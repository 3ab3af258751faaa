// Cases of XMLHttpRequest: each takes the polled URL and answers what can be seen, as plain data.

import { atOnce as outcome, fieldLines, finish, later, logged, opened, settled } from './observe.js';

async function typed(url, type) {
  const xhr = await finish(opened(url, type));
  const { response } = xhr;
  if (response instanceof ArrayBuffer) return [...new Uint8Array(response)];
  if (response instanceof Blob) return [response.type, await response.text()];
  return { response, text: outcome(() => xhr.responseText), xml: outcome(() => xhr.responseXML) };
}

export const xhrCases = {
  'xhr: events in order': async (url) => {
    const xhr = opened(url);
    const log = logged(xhr);
    log.push('send');
    const done = finish(xhr);
    log.push('sent');
    await done;
    return log;
  },
  'xhr: handlers by property, and listeners': async (url) => {
    const xhr = new XMLHttpRequest();
    const log = [];
    for (const type of events) {
      xhr[`on${type}`] = function handler() { log.push([`on${type}`, this === xhr, xhr.readyState]); };
      xhr.addEventListener(type, { handleEvent: () => log.push([type, xhr.readyState]) });
    }
    xhr.open('GET', url);
    await finish(xhr);
    return log;
  },
  'xhr: surface': async (url) => {
    const xhr = await finish(opened(url));
    return [xhr.readyState, xhr.status, xhr.statusText, xhr.responseURL.replace(location.origin, ''),
      xhr.responseText, xhr.response, xhr.responseType, xhr.timeout, xhr.withCredentials];
  },
  'xhr: fields': async (url) => {
    const xhr = await finish(opened(url));
    return [fieldLines(xhr), xhr.getResponseHeader('X-Own'), xhr.getResponseHeader('x-none')];
  },
  'xhr: type text': (url) => typed(url, 'text'),
  'xhr: type json': (url) => typed(url, 'json'),
  'xhr: type arraybuffer': (url) => typed(url, 'arraybuffer'),
  'xhr: type blob': (url) => typed(url, 'blob'),
  'xhr: type document': (url) => typed(url, 'document'),
  'xhr: same object each time': async (url) => {
    const xhr = await finish(opened(url, 'json'));
    return xhr.response === xhr.response;
  },
  'xhr: overrideMimeType': async (url) => {
    const xhr = opened(url);
    xhr.overrideMimeType('text/plain; charset=x-user-defined');
    return (await finish(xhr)).responseText;
  },
  'xhr: reused': async (url) => {
    const xhr = opened(url);
    const log = logged(xhr);
    await finish(xhr);
    xhr.open('GET', url);
    const between = [xhr.readyState, xhr.status, xhr.responseText];
    await finish(xhr);
    return { log, between, text: xhr.responseText };
  },
  'xhr: abort at once': async (url) => {
    const xhr = opened(url);
    const log = logged(xhr);
    xhr.send();
    xhr.abort();
    await later();
    return [log, xhr.readyState, xhr.status, xhr.responseText];
  },
  'xhr: abort at readyState 2': (url) => abortAt(url, 2),
  'xhr: abort at readyState 4': (url) => abortAt(url, 4),
  'xhr: abort after the end': async (url) => {
    const xhr = await finish(opened(url));
    const log = logged(xhr);
    xhr.abort();
    await later();
    return [log, xhr.readyState, xhr.status, xhr.responseText];
  },
  'xhr: opened again in flight': async (url) => {
    const xhr = opened(url);
    const log = logged(xhr);
    xhr.send();
    xhr.open('GET', url);
    await finish(xhr);
    return log;
  },
  'xhr: a timeout that does not come': async (url) => {
    const xhr = opened(url);
    xhr.timeout = 60_000;
    return [(await finish(xhr)).status, xhr.timeout];
  },
  'xhr: calls out of turn': async (url) => {
    const xhr = new XMLHttpRequest();
    const early = [outcome(() => xhr.send()), outcome(() => xhr.setRequestHeader('a', 'b'))];
    xhr.open('GET', url);
    const done = finish(xhr);
    const sent = [outcome(() => xhr.send()), outcome(() => xhr.setRequestHeader('a', 'b')),
      outcome(() => { xhr.withCredentials = true; }), outcome(() => xhr.getAllResponseHeaders())];
    await done;
    return { early, sent, late: outcome(() => { xhr.responseType = 'json'; }) };
  },
  'xhr: with a field': async (url) => {
    const xhr = opened(url);
    xhr.setRequestHeader('x-field', '1');
    return (await finish(xhr)).responseText;
  },
  'xhr: synchronous': async (url) => {
    const xhr = new XMLHttpRequest();
    xhr.open('GET', url, false);
    xhr.send();
    return [xhr.readyState, xhr.status, xhr.responseText];
  },
  'xhr: subclass': async (url) => {
    class Own extends XMLHttpRequest {
      get own() { return `own ${this.status}`; }
    }
    const xhr = new Own();
    xhr.open('GET', url);
    await finish(xhr);
    return [xhr.own, xhr instanceof XMLHttpRequest, xhr instanceof Own, String(xhr),
      xhr.constructor === Own, XMLHttpRequest.DONE, xhr.OPENED];
  },
  'xhr: a listener removed, one that throws': async (url) => {
    const xhr = opened(url);
    const log = [];
    const gone = () => log.push('gone');
    const swallow = (event) => { log.push(event.error?.message); event.preventDefault(); };
    window.addEventListener('error', swallow);
    xhr.addEventListener('load', gone);
    xhr.removeEventListener('load', gone);
    xhr.addEventListener('load', () => { throw new Error('of the app'); });
    xhr.addEventListener('load', () => log.push('kept'), { once: true });
    await finish(xhr);
    window.removeEventListener('error', swallow);
    return log;
  },
  'xhr: not found': async (url) => {
    const xhr = await finish(opened(`${url}?status=404`));
    return [xhr.status, xhr.statusText, xhr.responseText];
  },
};

async function abortAt(url, state) {
  const xhr = opened(url);
  const log = logged(xhr);
  xhr.addEventListener('readystatechange', () => { if (xhr.readyState === state) xhr.abort(); });
  xhr.send();
  await settled(xhr, [0]);
  return [log, xhr.readyState, xhr.status];
}
