// What each row lives through, on either side: the same steps, each of them waited for, none of them timed.

import { List } from './backend.mjs';

/** The apps' interval. */
export const EVERY_MS = 2000;
const DEADLINE_MS = 45_000;

/** Pages that start at the same time. All of them at once would keep a small machine busy past every deadline. */
const STARTING = 4;
const starts = Array(STARTING).fill(Promise.resolve());

/** Runs `start` when its turn comes. */
function opening(start) {
  const mine = starts.shift().then(start);
  starts.push(mine.catch(() => {}));
  return mine;
}

/** One row's page on one side. */
export class Tab {
  constructor(row, side, open) {
    Object.assign(this, { row, side, open });
    this.list = new List(side.origin, row);
    this.result = { list: this.list.name };
  }

  /** The first version shows. */
  async opens(setUp = async () => {}) {
    await opening(async () => {
      this.context = await this.side.browser.person();
      await setUp(this.context);
      const at = `${this.side.tap.base}/${this.row.id}?every=${EVERY_MS}&list=${this.list.name}`;
      const { page } = await this.open(this.context, at);
      this.page = page;
    });
    await this.until('version', 1);
  }

  /** Resolves once the page says so: see `until` in apps/record.js. */
  async until(what, least, deadlineMs = DEADLINE_MS) {
    const said = this.page.evaluate(([kind, value]) => window.record.until(kind, value), [what, least]);
    if (await isWithin(said, deadlineMs)) return;
    const tail = await this.page.evaluate(() => JSON.stringify(window.record.log.slice(-6)));
    const { id } = this.row;
    throw new Error(`${id}: waited in vain for ${what} ${least}; the page's last words: ${tail}`);
  }

  polls() {
    return this.side.tap.polls(this.list.path);
  }

  reads() {
    return this.page.evaluate(() => window.record.reads);
  }

  mark(name) {
    return this.page.evaluate((at) => window.record.mark(at), name);
  }

  async looks(more) {
    await this.until('reads', (await this.reads()) + more);
  }

  /** The app shows an error, and has looked again since: what it shows then depends on what it showed before. */
  async fails() {
    await this.until('error', true);
    await this.looks(3);
  }

  /** True once the app has looked twice without a poll on the network. */
  async isSpared(attempts) {
    for (let n = 0; n < attempts; n += 1) {
      const before = this.polls();
      await this.looks(2);
      if (this.polls() === before) return true;
    }
    return false;
  }

  /** Somebody else writes; true if it showed before the app would have looked anyway, by the page's own clock. */
  async isPushed() {
    await this.looks(1);
    const look = await this.page.evaluate(() => window.record.readAt);
    await this.until('version', await this.othersWrite());
    const shown = await this.page.evaluate(() => window.record.versionAt);
    return shown - look < EVERY_MS * 0.75;
  }

  /** The app's own write; answers once the app says that it is through and shows it. */
  async writes(title) {
    const version = await this.page.evaluate((what) => window.app.write(what), title);
    await this.until('version', version);
  }

  /** Another client's write, by the same way. Answers the version that it made. */
  async othersWrite() {
    const body = JSON.stringify({ title: 'of another' });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(this.side.inner + this.list.path, { method: 'POST', headers, body });
    if (response.status !== 201) throw new Error(`the write failed: ${response.status}`);
    return this.list.version;
  }
}

/** True if `promise` resolves within `ms`. */
async function isWithin(promise, ms) {
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, ms, false); });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Up to the moment when all connections break. */
export async function before(tab) {
  const { result, row, side } = tab;
  const isLeftAlone = side.direct || row.by === 'network';
  await tab.opens();
  await tab.looks(isLeftAlone ? 3 : 2);
  result.spared = isLeftAlone ? false : await tab.isSpared(4);
  await tab.mark('quiet');
  // One hiccup of a loaded machine (a late beat, say) sends a poll to the network, as it must.
  result.polled = !(await tab.isSpared(isLeftAlone ? 1 : 3));
  await tab.mark('changes');
  result.pushed = 0;
  // A machine under load may be late more than once: two of five are enough.
  for (let n = 0; n < 5; n += 1) result.pushed += await tab.isPushed();
  await tab.mark('writes');
  await tab.writes('mine');
  // Where no timer tells a poll from what is read after a write, a third one in a row would pass for a rush, and the
  // URL would be let go of for a minute.
  if (row.by !== 'tick') await tab.writes('mine, too');
  await tab.mark('errors');
  tab.list.failWith = 500;
  await tab.fails();
  const version = await tab.othersWrite();
  tab.list.failWith = 0;
  await tab.until('version', version);
  await tab.until('error', false);
  await tab.mark('refused');
}

/** While connections are refused. */
export async function during(tab) {
  await tab.fails();
}

/** After that. */
export async function after(tab) {
  const { result, row, side } = tab;
  await tab.until('error', false);
  await tab.until('version', await tab.othersWrite());
  if (!side.direct && result.spared) result.sparedAgain = await tab.isSpared(8);
  result.log = await tab.page.evaluate(() => window.record.log);
  await tab.context.close();
}

/**
 * Whether a change is pushed to a page whose timers nobody can wrap: what shows it then is the library's own refresh.
 * Whoever patches a global passes by what can't be configured.
 */
async function alone(tab) {
  await tab.opens((context) => context.addInitScript(() => {
    for (const name of ['setTimeout', 'setInterval']) {
      Object.defineProperty(window, name, { value: window[name], writable: true, configurable: false });
    }
  }));
  await tab.looks(2);
  await tab.isSpared(4);
  let pushed = 0;
  for (let n = 0; n < 6 && pushed < 2; n += 1) pushed += await tab.isPushed();
  tab.result.pushed = pushed > 1;
  await tab.context.close();
}

/** All rows through the whole story, at the same time; what fails is that tab's `failure`. */
export async function play(stories, sides) {
  const tabs = stories.flatMap((story) => story.tabs);
  const others = stories.flatMap((story) => story.alone ?? []);
  await Promise.all([all(tabs, before), all(others, alone)]);
  await Promise.all(sides.map((side) => side.fall()));
  await all(tabs, during);
  await Promise.all(sides.map((side) => side.rise()));
  await all(tabs, after);
}

function all(tabs, step) {
  return Promise.all(tabs.map(async (tab) => {
    if (tab.result.failure) return;
    try {
      await step(tab);
    } catch (error) {
      tab.result.failure = error;
    }
  }));
}
