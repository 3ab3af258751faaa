// Does a local answer differ from a native one? One case per tick of a poll, so that cases are what the app's polls are.
//
// Until `run()` the timer polls `/api/fidelity` plainly. After it, each tick runs the next case on that URL and
// `report` grows by `[name, outcome]`. `finished` says so.

import { fetchCases } from './cases/fetch.js';
import { xhrCases } from './cases/xhr.js';

const url = '/api/fidelity';
const everyMs = 400;
const cases = Object.entries({ ...fetchCases, ...xhrCases });
let next = -1;
let busy = false;

globalThis.report = [];
globalThis.finished = false;
globalThis.run = () => { next = 0; };

setInterval(() => {
  if (busy || globalThis.finished) return;
  if (next < 0) fetch(url).then((response) => response.json(), () => {});
  else if (next < cases.length) runCase(...cases[next++]);
  else globalThis.finished = true;
}, everyMs);

async function runCase(name, action) {
  busy = true;
  let outcome;
  try {
    outcome = await Promise.race([action(url), late()]);
  } catch (error) {
    outcome = { threw: error?.name ?? String(error) };
  }
  globalThis.report.push([name, outcome]);
  busy = false;
}

function late() {
  return new Promise((resolve) => setTimeout(resolve, 5_000, 'no outcome in 5 s'));
}
