// A worker that polls for its page.

const asking = new URLSearchParams(location.search);

async function load() {
  const events = [];
  try {
    const response = await fetch(asking.get('url'));
    events.push(response.status, response.type);
    if (!response.ok) throw new Error(`status ${response.status}`);
    postMessage({ list: await response.json(), error: null, events });
  } catch ({ name, message }) {
    postMessage({ error: { name, message }, events: [...events, name] });
  }
}

load();
setInterval(load, Number(asking.get('every')));
