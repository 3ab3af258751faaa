// node --test tests/js/
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (name) => readFileSync(new URL(`../../src/shim/${name}`, import.meta.url), 'utf8');
const part = read('parts/20-shared.js') + read('worker/20-delta.js');
const { applyDelta, fnv1a } = new Function(`'use strict';${part}\nreturn { applyDelta, fnv1a };`)();
const vectors = JSON.parse(readFileSync(new URL('../vectors/delta.json', import.meta.url), 'utf8'));

for (const { name, old, new: body, ops, length, check } of vectors) {
  test(`delta: ${name}`, () => {
    assert.equal(body.length, length);
    assert.equal(fnv1a(body), check);
    assert.equal(applyDelta(old, ops, length, check), body);
    assert.equal(applyDelta(old, ops, length + 1, check), null);
    assert.equal(applyDelta(old, ops, length, check ^ 1), null);
    assert.equal(applyDelta(old, ops.concat('x'), length, check), null);
    const copied = ops.some((op) => Array.isArray(op) && op[1] > 0);
    if (copied) assert.equal(applyDelta('', ops, length, check), null);
  });
}

test('the check is FNV-1a', () => {
  assert.equal(fnv1a(''), 2166136261);
  assert.equal(fnv1a('foobar'), 0xbf9cf968);
});

test('half a surrogate pair is a unit like any other', () => {
  assert.equal(applyDelta('\ud83d', [[0, 1], '\ude00'], 2, fnv1a('😀')), '😀');
});

test('whatever is wrong gives null', () => {
  const ok = fnv1a('abc');
  assert.equal(applyDelta('abc', [[0, 3]], 3, ok), 'abc');
  assert.equal(applyDelta('abc', [[0, 2], [2, 0], 'c'], 3, ok), 'abc');
  const wrong = [
    null, undefined, 'abc', {}, 3, [null], [3], [{}], [true], [[]], [[0]], [[0, 3, 0]], [[0, 4]],
    [[1, 3]], [[-3, 3]], [['0', 3]], [[0, '3']], [[0, 2.5]], [[0.5, 3]], [[NaN, 3]],
    [[0, Infinity]], [[0, null]], [[3, -1]], [[2 ** 53, 3]],
    [[0, 3], [4, 0]], [['abc']], [], ['ab'], [[0, 3], 'c'],
  ];
  for (const ops of wrong) assert.equal(applyDelta('abc', ops, 3, ok), null, JSON.stringify(ops));
  for (const length of [2, 4, '3', null, undefined, NaN, 3.5]) {
    assert.equal(applyDelta('abc', [[0, 3]], length, ok), null);
  }
  for (const check of [ok + 1, String(ok), null, undefined, -ok]) {
    assert.equal(applyDelta('abc', [[0, 3]], 3, check), null);
  }
  for (const old of [null, undefined, 3, ['abc'], { length: 3 }]) {
    assert.equal(applyDelta(old, [[0, 3]], 3, ok), null);
  }
});

test('a text that outgrows its length is given up at once', () => {
  const old = 'x'.repeat(1 << 20);
  const ops = Array.from({ length: 1 << 12 }, () => [0, 1 << 20]);
  assert.equal(applyDelta(old, ops, 1 << 20, 0), null);
});

test('a long chain of deltas stays exact', () => {
  let text = JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, name: `é😀${id}` })));
  for (let i = 0; i < 500; i++) {
    const cut = (i * 7919) % text.length;
    const next = text.slice(0, cut) + i + text.slice(cut + 3);
    const tail = Math.min(cut + 3, text.length);
    const ops = [[0, cut], String(i), [tail, text.length - tail]];
    text = applyDelta(text, ops, next.length, fnv1a(next));
    assert.equal(text, next);
  }
});
