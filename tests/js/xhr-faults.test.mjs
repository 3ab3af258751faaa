// A fault inside what stands before XMLHttpRequest: the app never hears of it.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Page } from './page.mjs';

/** Polls by XMLHttpRequest from the app's own setInterval. */
function poll(page, change, ms = 2000) {
  const got = [];
  const ask = () => page.xhr('/api/x', change).done.then((xhr) => got.push(xhr.response));
  ask();
  page.window.setInterval(ask, ms);
  return got;
}

for (const name of ['begin', 'decide', 'judge', 'wrote', 'withoutHash']) {
  test(`fail open: ${name}() throws`, async () => {
    const head = `function ${name}(`;
    const change = (text) => {
      assert.ok(text.includes(head));
      const fault = `function ${name}() { throw new Error('inner'); }\n`;
      return text.replace(head, fault + head.replace(name, 'was_' + name));
    };
    const page = new Page({ change }).load();
    const got = poll(page, undefined, 1000);
    await page.clock.pass(1500);
    if (page.stream) {
      await page.stream.hello();
      await page.stream.send('current', { hash: 'h1', seq: 1 }, 0);
    }
    const xhr = new page.window.XMLHttpRequest();
    xhr.open('POST', '/api/w');
    xhr.send();
    await page.clock.pass(3000);
    assert.ok(got.length >= 4);
    assert.ok(got.every((text) => text === '{"n":1}'));
  });
}
