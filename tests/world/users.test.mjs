// Another user in the same page, the same browser, or on the same endpoint. What a person sees is recorded frame by
// frame; the old user's data must not be in one that plain polling would not have shown.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unable } from './lib/pollcast.mjs';
import { EVERY, Users, frames, leftovers, settle, shown } from './lib/users.mjs';
import { pass, until } from './lib/wait.mjs';

const skip = unable();
const now = () => Date.now();

const WAYS = [['session', 'fetch'], ['session', 'xhr'], ['bearer', 'fetch']];

for (const [auth, via] of WAYS) {
  test(`${auth}, ${via}: logout and login without a reload`, { skip }, async (t) => {
    const users = await Users.start(t);
    const tab = await users.open(await users.world.browser.person(), 'alice', auth, via);
    await tab.page.evaluate(() => window.app.logout());
    users.change('alice');
    await settle();
    assert.deepEqual(await leftovers(tab.page, 'alice'), []);
    assert.equal((await shown(tab.page))[0], '');
    await tab.page.evaluate(() => window.app.login('bob'));
    users.change('alice');
    await users.pushed(tab, 'bob', 30_000);
    assert.deepEqual(await leftovers(tab.page, 'alice'), []);
    assert.deepEqual(tab.log.faults(), []);
  });

  test(`${auth}, ${via}: another user logs in over the first one`, { skip }, async (t) => {
    const users = await Users.start(t);
    const tab = await users.open(await users.world.browser.person(), 'alice', auth, via);
    await tab.page.evaluate(() => window.app.login('bob'));
    users.change('alice');
    await users.pushed(tab, 'bob', 30_000);
    assert.deepEqual(await leftovers(tab.page, 'alice'), []);
  });
}

for (const auth of ['session', 'bearer']) {
  test(`${auth}: the session or token is renewed`, { skip }, async (t) => {
    const users = await Users.start(t);
    const tab = await users.open(await users.world.browser.person(), 'alice', auth);
    await tab.page.evaluate(() => window.app.renew());
    await users.pushed(tab, 'alice', 30_000);
    const seen = await tab.page.evaluate(() => window.seen.map(([, owner]) => owner));
    assert.ok(seen.lastIndexOf('') < seen.indexOf('alice'), 'never logged out in between');
  });
}

test('two tabs, one jar: a login in one is a login in both', { skip }, async (t) => {
  const ways = {
    'by fetch': (other) => other.page.evaluate(() => window.app.login('bob')),
    'by a form': (other) => other.page.evaluate(() => {
      const body = '<form method="post" action="/form"><input name="name" value="bob"></form>';
      document.body.insertAdjacentHTML('beforeend', body);
      const loaded = new Promise((resolve) => { window.onpagehide = resolve; });
      document.forms[0].submit();
      return loaded;
    }).catch(() => {}),
    'by a GET that sets the cookie': (other) => other.page.evaluate(async () => {
      await fetch('/switch?to=bob');
    }),
  };
  for (const [name, log_in] of Object.entries(ways)) {
    await t.test(name, async (t) => {
      const users = await Users.start(t);
      const person = await users.world.browser.person();
      const tab = await users.open(person, 'alice');
      const other = await users.open(person, '');
      await tab.page.bringToFront();
      await users.pushed(tab, 'alice');
      await log_in(other);
      await until('the other user is in', () => users.known.size > 1);
      const since = now();
      users.change('alice');
      // Its next poll is the new user's: the same as without Pollcast.
      await until('the new user shows', async () => (await shown(tab.page))[0] === 'bob', 10 * EVERY);
      await settle();
      assert.deepEqual(await frames(tab.page, 'alice', since + 2 * EVERY), []);
      const versions = (await frames(tab.page, 'alice', 0)).map((frame) => frame[2]);
      assert.ok(Math.max(...versions) < users.versions.alice, 'nothing new of the old user');
    });
  }
});

test('two tabs, a token each: both keep their own, and are pushed', { skip }, async (t) => {
  const users = await Users.start(t);
  const person = await users.world.browser.person();
  const one = await users.open(person, 'alice', 'bearer');
  const two = await users.open(person, 'bob', 'bearer');
  await pass(2 * EVERY);
  assert.equal((await shown(two.page))[0], 'bob');
  await one.page.bringToFront();
  await users.pushed(one, 'alice', 30_000);
  assert.deepEqual(await frames(one.page, 'bob', 0), []);
  assert.deepEqual(await frames(two.page, 'alice', 0), []);
});

test('the page itself drops the cookie', { skip }, async (t) => {
  const users = await Users.start(t);
  users.httpOnly = false;
  const tab = await users.open(await users.world.browser.person(), 'alice');
  await tab.page.evaluate(() => { document.cookie = 'sid=; Max-Age=0; Path=/'; });
  const since = now();
  await until('logged out', async () => (await shown(tab.page))[0] === '', 4 * EVERY);
  users.change('alice');
  await settle();
  assert.deepEqual(await frames(tab.page, 'alice', since + 2 * EVERY), []);
});

test('the origin ends the session: nothing new is shown, and the page learns of it', { skip }, async (t) => {
  const users = await Users.start(t);
  const tab = await users.open(await users.world.browser.person(), 'alice');
  users.known.clear();
  const last = users.versions.alice;
  users.change('alice');
  await until('logged out', async () => (await shown(tab.page))[0] === '', 10 * EVERY);
  await settle();
  const versions = (await frames(tab.page, 'alice', 0)).map((frame) => frame[2]);
  assert.equal(Math.max(...versions), last);
});

test('six users, one board: one poll for all, and everyone sees a change', { skip }, async (t) => {
  const users = await Users.start(t, { poll: { reauthorize: '60s' } });
  const names = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'];
  const tabs = [];
  for (const name of names) {
    users.versions[name] ??= 1;
    tabs.push(await users.open(await users.world.browser.person(), name));
  }
  const since = now();
  await pass(12 * EVERY);
  const polls = users.origin.seen('/api/board', since).length;
  const own = users.origin.seen('/api/mine', since).length;
  t.diagnostic(`six users, 12 intervals: ${polls} requests for the board, ${own} for their own`);
  assert.ok(polls <= 12 + 3 + names.length, `${polls} requests for the board`);
  users.board = 2;
  const at = now();
  await until('everyone sees it', async () => {
    const boards = await Promise.all(tabs.map(async ({ page }) => (await shown(page))[2]));
    return boards.every((board) => board === 2);
  }, 4 * EVERY);
  t.diagnostic(`everyone saw the change after ${now() - at} ms`);
  for (const [n, tab] of tabs.entries()) {
    for (const other of names.filter((name) => name !== names[n])) {
      assert.deepEqual(await frames(tab.page, other, 0), []);
    }
  }
});
