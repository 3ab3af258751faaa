import assert from 'node:assert/strict';
import test from 'node:test';
import { Page } from './page.mjs';

const EVENTS = 'readystatechange loadstart progress load error abort timeout loadend'.split(' ');

/** Every event of an object with what can be seen then. */
function logged(xhr) {
  const log = [];
  const note = ({ type }) => log.push(`${type} ${xhr.readyState} ${xhr.status}`);
  for (const type of EVENTS) xhr.addEventListener(type, note);
  return log;
}

/** A page whose fetch polls are vouched for: an XMLHttpRequest of the same is, too. */
async function vouched(url, config) {
  const page = new Page(config).load();
  await page.vouched(url);
  return page;
}

/** Lets the next request be what a person might ask: no rush, no poll. */
async function calm(page) {
  await page.beating(600);
  page.emit(page.window, 'wheel');
}

/** Polls by XMLHttpRequest from the app's own setInterval. */
function poll(page, change, ms = 2000) {
  const got = [];
  const ask = () => page.xhr('/api/x', change).done.then((xhr) => got.push(xhr.response));
  ask();
  page.window.setInterval(ask, ms);
  return got;
}

test('a poll by XMLHttpRequest is evidence, and is pushed', async () => {
  const page = new Page().load();
  const got = poll(page);
  await page.clock.pass(2100);
  assert.ok(page.seen.at(-1).marked);
  assert.equal(page.stream.topics[0].have, 'h1', 'its text is known');
  await page.stream.hello();
  await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
  await page.stream.send('beat', {});
  page.seen.length = 0;
  await page.clock.pass(4000);
  assert.equal(page.asked(), 0);
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  await page.clock.pass(100);
  assert.equal(got.at(-1), '{"n":2}', 'the timer was run at once');
  assert.equal(page.asked(), 0);
});

test('where the text can’t be read, the stream sends it', async () => {
  // U+FFFD: broken UTF-8, or a character of the text, nobody can tell.
  for (const [type, body] of [['json', '{"n":1}'], ['text', '{"n":"\ufffd"}']]) {
    const page = new Page();
    page.state.body = body;
    const change = (xhr) => (xhr.responseType = type);
    page.load();
    const got = poll(page, change);
    await page.clock.pass(2100);
    assert.equal(page.stream.topics[0].have, undefined);
    await page.stream.hello();
    page.seen.length = 0;
    await page.clock.pass(1900);
    assert.equal(page.asked(), 1, 'nothing to answer with');
    await page.stream.snapshot(0, { hash: 'h1', seq: 1, body: page.state.body });
    await page.clock.pass(2000);
    assert.equal(page.asked(), 0);
    assert.equal(JSON.stringify(got.at(-1)), JSON.stringify(got.at(0)));
    // A renewal keeps the text where the state is the same.
    await page.beating(70000);
    assert.ok(page.asked() >= 1);
    await page.beating(6000);
    assert.equal(page.asked(), 0);
  }
});

test('a newer state without a text is never answered by an older one', async () => {
  const page = new Page().load();
  const json = (xhr) => (xhr.responseType = 'json');
  const got = poll(page, json);
  await page.clock.pass(2100);
  await page.stream.hello();
  await page.stream.snapshot(0, { hash: 'h1', seq: 1, body: '{"n":1}' });
  await page.beating(50000);
  page.seen.length = 0;
  page.state = { hash: 'h2', seq: 2, epoch: 'e1', body: '{"n":2}' };
  // The renewal is the first to show it; the stream is late.
  while (!page.seen.length) await page.beating(2000);
  assert.deepEqual(got.at(-1), { n: 2 });
  await page.beating(4000);
  assert.ok(page.asked() >= 3);
  assert.deepEqual(got.at(-1), { n: 2 });
  await page.stream.snapshot(0, { hash: 'h2', seq: 2, body: '{"n":2}' });
  await page.beating(4000);
  assert.equal(page.asked(), 0);
  assert.deepEqual(got.at(-1), { n: 2 });
});

test('the events and states of a local answer', async () => {
  const page = await vouched();
  let log;
  const xhr = page.xhr('/api/x', (it) => (log = logged(it)));
  assert.deepEqual(log, ['loadstart 1 0']);
  assert.equal(xhr.getAllResponseHeaders(), '');
  assert.equal(xhr.responseURL, '');
  await null;
  assert.deepEqual(log.slice(1), ['readystatechange 2 200', 'readystatechange 3 200',
    'progress 3 200', 'readystatechange 4 200', 'load 4 200', 'loadend 4 200']);
  assert.equal(xhr.responseText, '{"n":1}');
  assert.equal(xhr.responseURL, 'http://app.test/api/x');
  assert.equal(xhr.statusText, 'OK');
  assert.equal(xhr.getResponseHeader('Content-TYPE'), 'application/json');
  assert.equal(xhr.getResponseHeader('pollcast-state'), null);
  assert.equal(xhr.getAllResponseHeaders(), 'content-type: application/json\r\n');
  for (const act of [() => xhr.send(), () => xhr.setRequestHeader('a', 'b'),
    () => (xhr.responseType = 'json'), () => (xhr.withCredentials = true),
    () => xhr.overrideMimeType('text/plain')]) {
    assert.throws(act, { name: 'InvalidStateError' });
  }
  assert.equal(page.asked(), 0);
});

test('JSON that is false, zero, null or empty; and none of it once aborted', async () => {
  for (const body of ['false', '0', 'null', '""', '{bad', '{"n":[1]}']) {
    const page = new Page();
    page.state.body = body;
    page.load();
    await page.vouched();
    const xhr = await page.xhr('/api/x', (it) => (it.responseType = 'json')).done;
    const want = body === '{bad' ? null : JSON.parse(body);
    assert.deepEqual(xhr.response, want);
    assert.equal(xhr.response, xhr.response, 'the same each time');
    xhr.abort();
    assert.equal(xhr.response, null);
    assert.equal(page.asked(), 0);
  }
});

test('a loop and a long poll by XMLHttpRequest are left alone', async () => {
  const page = new Page().load();
  let rounds = 0;
  const again = () => page.xhr('/api/x', (it) => it.addEventListener('load', () => {
    if (rounds++ < 50) again();
  }));
  again();
  await page.clock.pass(5000);
  assert.equal(rounds, 51);
  assert.equal(page.asked(), 51);
  poll(page);
  await page.clock.pass(20000);
  assert.equal(page.streams.length, 0, 'the loop is remembered');
  const slow = new Page();
  slow.reply = async ({ marked }) => {
    await new Promise((resolve) => slow.clock.set(resolve, 6000));
    return slow.answer(marked);
  };
  slow.load();
  poll(slow, undefined, 8000);
  await slow.clock.pass(60000);
  assert.equal(slow.streams.length, 0, 'held back by the origin');
});

test('a marked answer does not show its mark', async () => {
  const page = new Page().load();
  const seen = [];
  poll(page, (xhr) => xhr.addEventListener('loadend', () => {
    seen.push(xhr.getResponseHeader('Pollcast-State') + xhr.getAllResponseHeaders());
  }));
  await page.clock.pass(2100);
  assert.ok(page.seen.at(-1).marked);
  assert.deepEqual(seen, Array(2).fill('nullcontent-type: application/json\r\n'));
});

test('open() reveals the headers to whoever sets them in its event', async () => {
  const page = await vouched();
  const xhr = new page.window.XMLHttpRequest();
  xhr.addEventListener('readystatechange', () => {
    if (xhr.readyState === 1) xhr.setRequestHeader('authorization', 'Bearer other');
  });
  xhr.open('GET', '/api/x');
  xhr.send();
  await page.clock.pass(1);
  assert.equal(page.asked(), 1, 'another user: never answered by what this one was shown');
});

test('what only the network can answer goes there', async () => {
  const page = await vouched();
  const Xhr = page.window.XMLHttpRequest;
  const field = (xhr, ...pair) => (xhr.open('GET', '/api/x'), xhr.setRequestHeader(...pair));
  const as = (xhr, mime) => (xhr.overrideMimeType(mime), xhr.open('GET', '/api/x'));
  const cases = {
    'a part': (xhr) => field(xhr, 'range', 'bytes=0-1'),
    'conditional': (xhr) => field(xhr, 'if-match', '"a"'),
    'reloaded': (xhr) => field(xhr, 'cache-control', 'no-cache'),
    'a password': (xhr) => xhr.open('GET', '/api/x', true, 'me', 'secret'),
    'synchronous': (xhr) => xhr.open('GET', '/api/x', false),
    'synchronous, undefined': (xhr) => xhr.open('GET', '/api/x', undefined),
    'another charset': (xhr) => as(xhr, 'text/plain; charset=x-user-defined'),
    'XML': (xhr) => as(xhr, 'text/xml'),
    'a blob of another type': (xhr) => (as(xhr, 'text/html'), (xhr.responseType = 'blob')),
    'a document': (xhr) => (xhr.open('GET', '/api/x'), (xhr.responseType = 'document')),
    'HEAD': (xhr) => xhr.open('HEAD', '/api/x'),
  };
  for (const [name, open] of Object.entries(cases)) {
    const xhr = new Xhr();
    open(xhr);
    xhr.send();
    await page.clock.pass(1);
    assert.equal(page.asked(), 1, name);
  }
  // What htmx says of all its requests changes nothing in a text.
  for (const mime of ['text/html', 'a/b; charset=UTF-8']) {
    const text = new Xhr();
    as(text, mime);
    text.send();
    await page.clock.pass(1);
    assert.equal(page.asked(), 0, mime);
    assert.equal(text.responseText, '{"n":1}');
  }
  const xhr = new Xhr();
  xhr.open('GET', '/api/x');
  xhr.send('a body');
  await page.clock.pass(1);
  assert.equal(page.asked(), 1, 'a body');
});

test('called on something else: refused, and not our fault', async () => {
  const page = await vouched();
  const { prototype } = page.window.XMLHttpRequest;
  for (const self of [undefined, null, {}, prototype]) {
    for (const name of ['send', 'abort', 'getAllResponseHeaders', 'overrideMimeType']) {
      assert.throws(() => prototype[name].call(self), TypeError, name);
    }
    assert.throws(() => prototype.open.call(self, 'GET', '/api/x'), TypeError);
  }
  assert.throws(() => prototype.readyState, TypeError);
  assert.throws(() => new page.window.XMLHttpRequest().send(), { name: 'InvalidStateError' });
  assert.equal(page.untouched(), false, 'we stay');
});

test('XML and other charsets are left to the network', async () => {
  for (const type of ['text/xml', 'application/atom+xml', 'application/json; charset=latin1']) {
    const page = new Page();
    const headers = { 'Content-Type': type };
    page.reply = ({ marked }) => page.answer(marked, page.state, { headers });
    page.load();
    poll(page);
    await page.clock.pass(9000);
    assert.equal(page.streams.length, 0, type);
  }
});

test('what a handler of a write reads is the origin’s', async () => {
  const ends = {
    'at readyState 4': (xhr, ask) => xhr.addEventListener('readystatechange',
      () => xhr.readyState === 4 && ask()),
    'at load': (xhr, ask) => xhr.addEventListener('load', ask),
    'aborted': (xhr, ask) => (xhr.addEventListener('abort', ask), xhr.send(), xhr.abort()),
    'opened anew': (xhr, ask) => (xhr.send(), xhr.open('GET', '/other'), ask()),
  };
  for (const [name, end] of Object.entries(ends)) {
    const page = await vouched();
    const xhr = new page.window.XMLHttpRequest();
    xhr.open('POST', '/api/w');
    // Node calls listeners in the order of their coming; browsers call ours first.
    if (!/readyState/.test(name)) end(xhr, () => page.xhr());
    if (xhr.readyState === 1 && !/anew/.test(name)) xhr.send();
    if (/readyState/.test(name)) end(xhr, () => page.xhr());
    await page.clock.pass(1);
    assert.equal(page.asked(), 1, name);
  }
});

test('a write by XMLHttpRequest: then the origin itself', async () => {
  const page = await vouched();
  const xhr = new page.window.XMLHttpRequest();
  xhr.open('POST', '/api/x');
  xhr.send('x');
  await page.clock.pass(1);
  page.seen.length = 0;
  await page.xhr().done;
  assert.equal(page.asked(), 1);
  assert.equal(page.untouched(), false);
});

test('a synchronous write that fails tells nobody but its caller: then the origin, then the stream', async () => {
  const page = await vouched();
  const xhr = new page.window.XMLHttpRequest();
  xhr.open('POST', '/api/x', false);
  assert.throws(() => xhr.send(), { name: 'NetworkError' });
  await page.read('/api/x');
  assert.equal(page.asked(), 1);
  await page.clock.pass(1200);
  await page.stream.hello();
  await page.stream.snapshot(0, page.state);
  await page.clock.pass(60);
  page.seen.length = 0;
  await page.read('/api/x');
  assert.equal(page.asked(), 0);
});

test('what a person asked for once may have been a write, whatever its URL is', async () => {
  for (const url of ['/api/logout', { toString: () => '/api/logout' }]) {
    const page = await vouched();
    page.emit(page.window, 'click');
    await page.xhr(url).done;
    page.seen.length = 0;
    await page.xhr().done;
    assert.equal(page.asked(), 1);
  }
});

test('another host that refuses the mark: one poll fails, the next go without it', async () => {
  const page = new Page();
  page.document.currentScript = { src: 'http://api.test/__pollcast/shim.js', remove() {} };
  page.reply = ({ marked }) => {
    if (marked) throw new TypeError('refused');
    return page.answer(false);
  };
  page.load();
  const ends = [];
  page.window.setInterval(() => page.xhr('http://api.test/api/x').done.then(
    ({ status }) => ends.push(status)), 2000);
  await page.clock.pass(20100);
  assert.deepEqual(ends.slice(0, 3), [200, 0, 200]);
  assert.ok(ends.length > 8 && ends.slice(2).every((status) => status === 200));
});

test('aborted before, during, after; opened anew in a handler', async () => {
  const page = await vouched();
  const abortAt = async (when) => {
    await calm(page);
    let log;
    const xhr = page.xhr('/api/x', (it) => {
      log = logged(it);
      it.addEventListener(when, () => it.abort(), { once: true });
    });
    await page.clock.pass(1);
    assert.equal(xhr.readyState, 0, when);
    assert.equal(xhr.status, 0);
    assert.equal(xhr.responseText, '');
    assert.throws(() => xhr.send(), { name: 'InvalidStateError' });
    return log.join();
  };
  const aborted = 'readystatechange 4 0,abort 4 0,loadend 4 0';
  assert.equal(await abortAt('loadstart'), `loadstart 1 0,${aborted}`);
  assert.match(await abortAt('progress'), new RegExp(`progress 3 200,${aborted}$`));
  assert.match(await abortAt('load'), /load 4 200,loadend 0 0$/);
  let again = 0;
  await calm(page);
  const xhr = page.xhr('/api/x', (it) => it.addEventListener('load', () => {
    if (again++) return;
    it.open('GET', '/api/other');
    it.send();
  }));
  await page.clock.pass(1);
  assert.equal(again, 2);
  assert.equal(xhr.responseURL, 'http://app.test/api/other');
});

test('off: what was answered stays readable, what is asked is native', async () => {
  const page = await vouched();
  const { prototype } = page.window.XMLHttpRequest;
  const done = await page.xhr().done;
  await calm(page);
  const under = page.xhr();
  const ended = logged(under);
  // Between send() and its answer.
  page.stream.send('bye', { reason: 'off', retry_ms: 10000 });
  await under.done;
  await page.clock.pass(1);
  assert.equal(page.untouched(), true);
  assert.equal(ended.at(-1), 'loadend 4 200');
  assert.equal(done.responseText, '{"n":1}');
  assert.equal(under.responseText, '{"n":1}');
  assert.equal(page.asked(), 0);
  done.open('GET', '/api/x');
  assert.equal(done.responseText, '');
  done.send();
  await page.clock.pass(1);
  assert.equal(page.asked(), 1);
  assert.equal(done.responseText, '{"n":1}');
  assert.ok('open' in prototype);
});

test('off, and nothing was answered: the prototype is what it was', async () => {
  const page = new Page();
  const { prototype } = page.window.XMLHttpRequest;
  const before = Object.getOwnPropertyDescriptors(prototype);
  page.load();
  assert.notEqual(prototype.send, before.send.value);
  const { stop } = await page.vouched();
  stop();
  await page.stream.send('bye', { reason: 'off', retry_ms: 10000 });
  assert.deepEqual(Object.getOwnPropertyDescriptors(prototype), before);
});
