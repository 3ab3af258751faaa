// node --test tests/js/
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const part = readFileSync(new URL('../../src/shim/worker/10-sse.js', import.meta.url), 'utf8');
const { createSseParser } = new Function(`'use strict';${part}\nreturn { createSseParser };`)();
const vectors = JSON.parse(readFileSync(new URL('../vectors/sse.json', import.meta.url), 'utf8'));
const deltas = JSON.parse(readFileSync(new URL('../vectors/delta.json', import.meta.url), 'utf8'));

// The events of `pieces`, which are strings.
function parsed(pieces) {
  const events = [];
  const parser = createSseParser((name, data) => events.push([name, data]));
  for (const piece of pieces) parser.push(piece);
  return events;
}

// The text of a byte stream that arrives cut at `cuts`.
function decoded(bytes, cuts, options) {
  const decoder = new TextDecoder('utf-8', options);
  const ends = [...cuts, bytes.length];
  const piece = (end, i) => bytes.subarray(i ? ends[i - 1] : 0, end);
  return ends.map((end, i) => decoder.decode(piece(end, i), { stream: true }));
}

function cutEverywhere(stream, events) {
  const bytes = new TextEncoder().encode(stream);
  const every = Array.from(bytes.keys());
  for (const options of [{}, { ignoreBOM: true }]) {
    const same = (cuts) => {
      assert.deepEqual(parsed(decoded(bytes, cuts, options)), events, `cut at ${cuts}`);
    };
    same([]);
    same(every);
    for (const cut of every) same([cut]);
    for (const cut of every) same([cut, cut + 1]);
  }
}

for (const { name, stream, events } of vectors) {
  test(`event stream: ${name}`, () => cutEverywhere(stream, events));
}

for (const end of ['\n', '\r\n', '\r']) {
  test(`deltas cross in events that end with ${JSON.stringify(end)}`, () => {
    const data = (ops, i) => [`data: ${i}`, `data: ${JSON.stringify(ops)}`];
    const wire = ({ ops }, i) => ['event: delta', ...data(ops, i), '', ''];
    const some = deltas.slice(0, 8);
    const events = some.map(({ ops }, i) => ['delta', `${i}\n${JSON.stringify(ops)}`]);
    cutEverywhere(some.map((delta, i) => wire(delta, i).join(end)).join(''), events);
  });
}

test('an event is delivered by the CR that ends it', () => {
  assert.deepEqual(parsed(['data: 1\r\r']), [['message', '1']]);
  assert.deepEqual(parsed(['data: 1\r\n\r']), [['message', '1']]);
  const two = [['message', '1'], ['message', '2']];
  assert.deepEqual(parsed(['data: 1\r\n\r', '', '\ndata: 2\n\n']), two);
});

test('a line or an event without end is an error', () => {
  const chunk = 'x'.repeat(1 << 20);
  const endless = createSseParser(() => assert.fail('no event'));
  endless.push('data: ');
  assert.throws(() => {
    for (let i = 0; i < 10; i++) endless.push(chunk);
  }, RangeError);
  const lines = createSseParser(() => assert.fail('no event'));
  assert.throws(() => {
    for (let i = 0; i < 10; i++) lines.push(`data: ${chunk}\n`);
  }, RangeError);
  const below = [];
  const parser = createSseParser((name, data) => below.push(data.length));
  for (let i = 0; i < 10; i++) parser.push(`data: ${chunk}\n\n`);
  assert.deepEqual(below, Array(10).fill(1 << 20));
});

test('many short lines in one piece take one pass', () => {
  const count = 200_000;
  assert.equal(parsed(['data: 1\n\n'.repeat(count)]).length, count);
  assert.equal(parsed(['data: 1\r\r'.repeat(count)]).length, count);
});
