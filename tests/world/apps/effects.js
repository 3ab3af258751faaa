// GETs that must never be polled centrally or answered locally, because asking has effects.
// `?do=<story>` picks one; what the page saw stands in `report`.

const report = [];
globalThis.report = report;

const stories = { clicks, longPoll, cursor, lines, rotation };
stories[new URLSearchParams(location.search).get('do')]();

function button(id, action) {
  const element = document.createElement('button');
  element.id = id;
  element.textContent = id;
  element.addEventListener('click', action);
  document.body.append(element);
}

/** Runs `action(n)` every `everyMs`, `times` times. */
function repeat(times, everyMs, action) {
  let n = 0;
  const timer = setInterval(() => {
    n += 1;
    if (n === times) clearInterval(timer);
    action(n);
  }, everyMs);
}

async function get(url) {
  const response = await fetch(url);
  report.push([response.status, await response.text()]);
}

/** A person clicks; each click adds to the cart. */
function clicks() {
  button('add', () => get('/api/data?add=milk'));
}

/** The next request follows the last answer at once. */
async function longPoll() {
  for (;;) await get('/api/long');
}

/** The server keeps a cursor per session and moves it on at every read. */
function cursor() {
  let rid = 0;
  repeat(10, 300, () => get(`/api/feed?rid=${rid += 1}`));
  button('more', () => get(`/api/feed?rid=${rid += 1}`));
}

/** NDJSON, each line confirmed as it arrives: the server sends the next one only then. */
function lines() {
  button('read', () => readLines('clicked'));
  button('poll', () => repeat(4, 1500, (n) => readLines(`polled ${n}`)));
}

async function readLines(name) {
  const { body } = await fetch('/api/lines');
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const seen = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const line of value.split('\n').filter(Boolean)) {
      const { reading, n } = JSON.parse(line);
      seen.push(n);
      await fetch(`/ack?reading=${reading}&n=${n}`);
    }
  }
  report.push([name, seen.join(' ')]);
}

/** Every answer sets a fresh session; the one before is refused from then on. */
function rotation() {
  repeat(12, 1000, () => get('/api/session'));
}
