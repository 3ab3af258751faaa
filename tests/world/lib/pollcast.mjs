// Runs the real binary on a config of its own, in a directory of its own, on a free port.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './wait.mjs';

const fallback = fileURLToPath(new URL('../../../target/debug/pollcast', import.meta.url));

/** The binary under test. */
export const binary = process.env.POLLCAST_BIN ?? fallback;

/** True if the tests run against the origin itself: what polling does without Pollcast. */
export const without = process.env.POLLCAST_WITHOUT === '1';

/** Why a test can't run here; false if it can. In CI a missing binary is a failure, by hand a skip. */
export function unable() {
  if (without || existsSync(binary)) return false;
  if (process.env.CI === 'true') throw new Error(`no binary at ${binary}: build it first`);
  return `no binary at ${binary}`;
}

/** Why a test that makes no sense without Pollcast can't run here; false if it can. */
export function unableWithout() {
  return without ? 'its subject is Pollcast itself' : unable();
}

const defaults = {
  top: {},
  watch: [{ name: 'api', path: '/api/**', mode: 'push' }],
  stream: { beat: '1s', off_retry: '2s' },
  poll: {},
};

export class Pollcast {
  /** `options`: tables of the config, laid over the defaults of these tests. */
  static async start(origin, options = {}) {
    const pollcast = new Pollcast();
    pollcast.options = { ...defaults, ...options };
    pollcast.origin = origin;
    pollcast.listen = '127.0.0.1:0';
    pollcast.lines = [];
    pollcast.dir = await mkdtemp(join(tmpdir(), 'pollcast-world-'));
    pollcast.config = join(pollcast.dir, 'proxy.toml');
    await pollcast.configure();
    await pollcast.launch();
    return pollcast;
  }

  /** Writes the config, as an editor does: a new file moved over the old one. */
  async configure(top = {}) {
    this.options = { ...this.options, top: { ...this.options.top, ...top } };
    const text = toToml(this.origin, this.listen, this.options);
    await writeFile(`${this.config}.new`, text);
    await rename(`${this.config}.new`, this.config);
  }

  /** Starts the process. */
  async launch() {
    const stdio = ['ignore', 'pipe', 'pipe'];
    const child = spawn(binary, ['run', '--config', this.config], { stdio });
    this.child = child;
    this.address = undefined;
    this.exited = new Promise((resolve) => child.once('exit', () => resolve(true)));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#line(line));
    }
    let left = false;
    child.once('exit', () => { left = true; });
    await until('the proxy listens', () => this.address || left, 10_000);
    if (!this.address) throw new Error(`pollcast left at once:\n${this.lines.join('\n')}`);
    this.base = `http://${this.address}`;
  }

  /** SIGKILL: no drain, no goodbye. `launch` starts it again. */
  async kill() {
    this.child.kill('SIGKILL');
    await this.exited;
    // The next process takes the port that the pages know.
    this.listen = this.address;
    await this.configure();
  }

  async stop() {
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
    await this.exited;
    clearTimeout(late);
    await rm(this.dir, { recursive: true, force: true });
  }

  #line(line) {
    this.lines.push(line);
    const address = /"addr":"([^"]+)"/.exec(line);
    if (!address || !line.includes('"listening"')) return;
    this.address ??= address[1];
    this.adminAddress = /"admin":"([^"]+)"/.exec(line)?.[1];
  }

  /** A number of the operator's listener, by the name of its metric; for tests that switch it on. */
  async metric(name) {
    const response = await fetch(`http://${this.adminAddress}/metrics`);
    const line = (await response.text()).split('\n').find((one) => one.startsWith(`${name} `));
    if (!line) throw new Error(`no metric ${name}`);
    return Number(line.slice(name.length + 1));
  }
}

function toToml(origin, listen, { top, watch, admin = 'off', ...tables }) {
  const all = { listen, origin, mode: 'push', ...top };
  const sections = { log: { format: 'json' }, ...tables };
  const parts = [pairs(all)];
  // By default the port of the operator's listener is fixed, and tests share a machine.
  parts.push(`[admin]\nlisten = "${admin}"`);
  for (const [name, table] of Object.entries(sections)) {
    if (Object.keys(table).length) parts.push(`[${name}]\n${pairs(table)}`);
  }
  for (const rule of watch) parts.push(`[[watch]]\n${pairs(rule)}`);
  return `${parts.join('\n\n')}\n`;
}

function pairs(table) {
  return Object.entries(table).map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n');
}

/** Runs the demo: its own origin, the proxy before it. Answers its address and how to end it. */
export async function startDemo() {
  const args = ['demo', '--listen', '127.0.0.1:0', '--admin', 'off'];
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let base;
  createInterface({ input: child.stdout }).on('line', (line) => {
    base ??= /Open\s+(http:\/\/[^/]+)\//.exec(line)?.[1];
  });
  await until('the demo says where it is', () => base || child.exitCode !== null, 10_000);
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  return { base, stop };
}
