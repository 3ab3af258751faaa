// Cases of XMLHttpRequest: what each state shows and refuses, and what handlers may do in it.

import { atOnce, fieldLines, finish, logged, opened, settled } from './observe.js';

const moments = ['loadstart 1', 'readystatechange 2', 'readystatechange 3', 'progress 3',
  'readystatechange 4', 'load 4', 'loadend 4'];

/** Does `act` once, at one moment of an answer; the whole log, and where it ends. */
async function actAt(url, moment, act, ends = [0, 4]) {
  const xhr = opened(url);
  const log = logged(xhr);
  const [type, state] = moment.split(' ');
  let done = false;
  xhr.addEventListener(type, () => {
    if (done || xhr.readyState !== Number(state)) return;
    done = true;
    log.push('acts');
    act(xhr);
    log.push('acted');
  });
  xhr.send();
  await settled(xhr, ends, () => done);
  return [log, xhr.readyState, xhr.status, xhr.responseText.length, xhr.responseURL !== '',
    xhr.getAllResponseHeaders().length > 0];
}

/** What a property or a call says at each state. */
async function atEach(url, look, type = '') {
  const xhr = opened(url, type);
  const seen = [['opened', atOnce(() => look(xhr))]];
  xhr.addEventListener('readystatechange', () => seen.push([xhr.readyState, atOnce(() => look(xhr))]));
  xhr.send();
  seen.push(['sent', atOnce(() => look(xhr))]);
  await new Promise((resolve) => { xhr.onloadend = resolve; });
  xhr.abort();
  seen.push(['aborted', atOnce(() => look(xhr))]);
  return seen;
}

const kind = (value) => (value === null || typeof value === 'string' ? value
  : Object.prototype.toString.call(value));

const byMoment = (name, act, ends) => Object.fromEntries(moments.map((moment) =>
  [`xhr: ${name} at ${moment}`, (url) => actAt(url, moment, (xhr) => act(xhr, url), ends)]));

export const stateCases = {
  ...byMoment('abort', (xhr) => xhr.abort()),
  ...byMoment('open', (xhr, url) => xhr.open('GET', url), [1, 3]),
  'xhr: sent anew at load': (url) =>
    actAt(url, 'load 4', (xhr) => { xhr.open('GET', url); xhr.send(); }, [4]),
  'xhr: sent anew at loadend': (url) =>
    actAt(url, 'loadend 4', (xhr) => { xhr.open('GET', url); xhr.send(); }, [4]),
  'xhr: sent anew at abort': async (url) => {
    const xhr = opened(url);
    const log = logged(xhr);
    xhr.addEventListener('abort', () => { xhr.open('GET', url); xhr.send(); }, { once: true });
    xhr.send();
    xhr.abort();
    await settled(xhr, [4], () => xhr.status);
    return [log, xhr.readyState, xhr.status];
  },
  'xhr: a bad open() in the middle': (url) =>
    actAt(url, 'readystatechange 2', (xhr) => atOnce(() => xhr.open('BAD METHOD', url))),
  'xhr: response at each state': (url) => atEach(url, (xhr) => kind(xhr.response)),
  'xhr: response at each state, json': (url) => atEach(url, (xhr) => kind(xhr.response), 'json'),
  'xhr: response at each state, arraybuffer': (url) =>
    atEach(url, (xhr) => kind(xhr.response), 'arraybuffer'),
  'xhr: response at each state, blob': (url) => atEach(url, (xhr) => kind(xhr.response), 'blob'),
  'xhr: responseText at each state': (url) => atEach(url, (xhr) => xhr.responseText),
  'xhr: responseText at each state, json': (url) => atEach(url, (xhr) => xhr.responseText, 'json'),
  'xhr: responseXML at each state': (url) => atEach(url, (xhr) => xhr.responseXML),
  'xhr: responseXML at each state, blob': (url) => atEach(url, (xhr) => xhr.responseXML, 'blob'),
  'xhr: status and its text at each state': (url) =>
    atEach(url, (xhr) => [xhr.status, xhr.statusText, xhr.responseURL !== '']),
  'xhr: fields at each state': (url) =>
    atEach(url, (xhr) => [fieldLines(xhr), xhr.getResponseHeader('CONTENT-type')]),
  'xhr: setting responseType at each state': (url) =>
    atEach(url, (xhr) => { xhr.responseType = 'text'; return xhr.responseType; }),
  'xhr: setting withCredentials at each state': (url) =>
    atEach(url, (xhr) => { xhr.withCredentials = false; return xhr.withCredentials; }),
  'xhr: setting timeout at each state': (url) =>
    atEach(url, (xhr) => { xhr.timeout = 50_000; return xhr.timeout; }),
  'xhr: setRequestHeader at each state': (url) =>
    atEach(url, (xhr) => xhr.readyState > 1 && xhr.setRequestHeader('x-late', '1')),
  'xhr: overrideMimeType in the end': (url) =>
    atEach(url, (xhr) => xhr.readyState > 2 && xhr.overrideMimeType('text/plain')),
  'xhr: an array buffer is the same each time': async (url) => {
    const xhr = await finish(opened(url, 'arraybuffer'));
    return [xhr.response === xhr.response, xhr.response.byteLength];
  },
  'xhr: a blob is the same each time': async (url) => {
    const xhr = await finish(opened(url, 'blob'));
    return [xhr.response === xhr.response, xhr.response.size, xhr.response.type];
  },
  'xhr: another type after another open()': async (url) => {
    const xhr = opened(url, 'json');
    const first = kind((await finish(xhr)).response);
    xhr.open('GET', url);
    xhr.responseType = 'text';
    return [first, (await finish(xhr)).response.length];
  },
  'xhr: getResponseHeader, oddly': async (url) => {
    const xhr = await finish(opened(url));
    return [atOnce(() => xhr.getResponseHeader()), atOnce(() => xhr.getResponseHeader('no such: name')),
      xhr.getResponseHeader('x-many'), xhr.getResponseHeader('X-EMPTY'), xhr.getResponseHeader('set-cookie'),
      xhr.getResponseHeader('pollcast-state')];
  },
  'xhr: events in detail': async (url) => {
    const xhr = opened(url);
    const log = logged(xhr, (event) => [event.bubbles, event.cancelable, event.composed,
      event.eventPhase, typeof event.timeStamp, event.defaultPrevented]);
    await finish(xhr);
    return log;
  },
  'xhr: isTrusted': async (url) => {
    const xhr = opened(url);
    const seen = new Set();
    for (const type of ['loadstart', 'load']) xhr.addEventListener(type, (event) => seen.add(event.isTrusted));
    await finish(xhr);
    return [...seen];
  },
  'xhr: stopImmediatePropagation': async (url) => {
    const xhr = opened(url);
    const log = [];
    xhr.addEventListener('load', (event) => { log.push('first'); event.stopImmediatePropagation(); });
    xhr.addEventListener('load', () => log.push('second'));
    xhr.onloadend = () => log.push('loadend');
    await finish(xhr);
    return log;
  },
  'xhr: handlers replaced in flight': async (url) => {
    const xhr = opened(url);
    const log = [];
    xhr.onload = () => log.push('old');
    xhr.onreadystatechange = () => { if (xhr.readyState === 2) xhr.onload = () => log.push('new'); };
    await finish(xhr);
    return log;
  },
  'xhr: a handler that throws stops nobody': async (url) => {
    const xhr = opened(url);
    const log = logged(xhr);
    const swallow = (event) => { log.push(event.error?.message); event.preventDefault(); };
    window.addEventListener('error', swallow);
    xhr.onreadystatechange = () => { throw new Error(`in ${xhr.readyState}`); };
    await finish(xhr);
    window.removeEventListener('error', swallow);
    return log;
  },
  'xhr: nothing of ours on the object': async (url) => {
    const xhr = await finish(opened(url));
    return [Object.keys(xhr), Object.getOwnPropertyNames(xhr), JSON.stringify(xhr)];
  },
  'xhr: an empty body': async () => {
    const xhr = opened('/api/empty');
    const log = logged(xhr);
    await finish(xhr);
    return [log, xhr.responseText];
  },
  'xhr: an empty body as json': async () => (await finish(opened('/api/empty', 'json'))).response,
  'xhr: text that is no json': async () => (await finish(opened('/api/plain', 'json'))).response,
  'xhr: a compressed body': async () => {
    const xhr = opened('/api/zipped');
    const log = [];
    // Not how much is to come: it is known where the answer came decoded.
    for (const type of ['progress', 'load']) xhr.addEventListener(type, ({ loaded }) => log.push([type, loaded]));
    await finish(xhr);
    return [log, xhr.responseText];
  },
  'text that is no json': async () => {
    const response = await fetch('/api/plain');
    return [response.headers.get('content-type'),
      await response.clone().json().then(() => 'parsed', (error) => error.name), await response.text()];
  },
  'an empty body': async () => {
    const response = await fetch('/api/empty');
    return [response.body instanceof ReadableStream, await response.text(), response.bodyUsed];
  },
};
