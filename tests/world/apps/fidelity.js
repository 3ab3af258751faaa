// Does a local answer differ from a native one? One case per tick of a poll, so that cases are what the app's polls are.
//
// Until `run(only)` timers poll the URLs that the cases ask for. After it, each tick runs the next case whose name
// matches `only`, and `report` grows by `[name, outcome, when it began]` (in milliseconds since 1970). `finished` says
// when the last was over. Any driver will do: what it needs lies on the window.

import { answerCases } from './cases/answers.js';
import { fetchCases } from './cases/fetch.js';
import { requestCases } from './cases/requests.js';
import { stateCases } from './cases/states.js';
import { clients, wrapperCases } from './cases/wrappers.js';
import { xhrCases } from './cases/xhr.js';

const url = '/api/fidelity';
const everyMs = 300;
const all = Object.entries(
  { ...fetchCases, ...answerCases, ...requestCases, ...xhrCases, ...stateCases, ...wrapperCases });
let cases;
let busy = false;

performance.setResourceTimingBufferSize(10_000);
globalThis.report = [];
globalThis.finished = false;
globalThis.run = (only = '') => { cases = all.filter(([name]) => new RegExp(only).test(name)); };

setInterval(() => {
  if (busy || globalThis.finished) return;
  if (!cases) fetch(url).then((response) => response.json(), () => {});
  else if (cases.length) runCase(...cases.shift());
  else globalThis.finished = Date.now();
}, everyMs);

// Libraries send fields of their own, so theirs are topics of their own; and a topic that isn't polled is let go.
const others = [
  ...['/api/plain', '/api/empty', '/api/zipped'].map((path) => () => fetch(path).then((it) => it.text())),
  ...clients.map((ask) => () => ask(url)),
];
const poll = (ask) => setInterval(() => { if (!busy) ask().catch(() => {}); }, everyMs);
// Between two cases, or a case that patches would see them.
setTimeout(() => others.forEach(poll), everyMs / 2);

async function runCase(name, action) {
  busy = true;
  const at = Date.now();
  let outcome;
  try {
    outcome = await Promise.race([action(url), late()]);
  } catch (error) {
    outcome = { threw: error?.name ?? String(error) };
  }
  globalThis.report.push([name, outcome, at]);
  busy = false;
}

function late() {
  return new Promise((resolve) => setTimeout(resolve, 5_000, 'no outcome in 5 s'));
}
