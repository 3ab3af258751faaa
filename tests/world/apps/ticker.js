// A page that polls by its own timer and keeps a log of what it was answered: `?every=<ms>`, `?by=xhr`.
//
// `seen`: [asked, answered, version] of each answer, as the wall clock has it; taken away by the test.

const query = new URLSearchParams(location.search);
const every = Number(query.get('every') ?? 1000);
const root = document.getElementById('root');

globalThis.seen = [];
globalThis.failed = 0;

function byFetch() {
  return fetch('/api/items').then((response) => {
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.json();
  });
}

function byXhr() {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.onload = () => (xhr.status === 200 ? resolve(JSON.parse(xhr.responseText)) : reject(new Error('status')));
    xhr.onerror = () => reject(new Error('network'));
    xhr.open('GET', '/api/items');
    xhr.send();
  });
}

const get = query.get('by') === 'xhr' ? byXhr : byFetch;

async function tick() {
  const asked = Date.now();
  try {
    const { version } = await get();
    globalThis.seen.push([asked, Date.now(), version]);
    root.dataset.version = version;
  } catch {
    globalThis.failed += 1;
  }
}

setInterval(tick, every);
tick();
