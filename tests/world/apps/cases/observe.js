// What can be seen of an answer, as plain data.

// Fields that belong to one connection (RFC 9110 section 7.6.1): a proxy's differ from the origin's by right.
const hopByHop = /^(connection|keep-alive|transfer-encoding)$/;

const events = ['readystatechange', 'loadstart', 'progress', 'load', 'error', 'abort', 'timeout', 'loadend'];

/** Name of what `action` throws or rejects with, or what it answers. */
export async function outcome(action) {
  try {
    return { value: await action() };
  } catch (error) {
    return { threw: error?.name ?? String(error), isError: error instanceof Error };
  }
}

/** The same for what answers at once. */
export function atOnce(action) {
  try {
    return { value: action() };
  } catch (error) {
    return { threw: error.name };
  }
}

/** Names and values of fields, less what differs by right; of `date` the name alone. */
export function fields(headers) {
  return [...headers].filter(([name]) => !hopByHop.test(name))
    .map(([name, value]) => (name === 'date' ? [name] : [name, value]));
}

/** The same of an XMLHttpRequest, in its own form. */
export function fieldLines(xhr) {
  return xhr.getAllResponseHeaders().split('\r\n')
    .filter((line) => line && !hopByHop.test(line.split(':')[0]))
    .map((line) => (line.startsWith('date:') ? 'date' : line));
}

export const surface = (response) => ({
  path: response.url.replace(location.origin, ''),
  status: response.status, ok: response.ok, statusText: response.statusText,
  type: response.type, redirected: response.redirected, bodyUsed: response.bodyUsed,
  isResponse: response instanceof Response, tag: String(response),
  body: response.body instanceof ReadableStream, locked: response.body?.locked,
});

/** All of a stream, by its reader. */
export async function readAll(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let allBytes = true;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { text, allBytes };
    allBytes &&= value instanceof Uint8Array;
    text += decoder.decode(value, { stream: true });
  }
}

/** Logs every event of `xhr`, in order, with what can be seen then. */
export function logged(xhr, more = () => []) {
  const log = [];
  for (const type of events) {
    xhr.addEventListener(type, (event) => {
      const sizes = event instanceof ProgressEvent
        ? [event.loaded, event.total, event.lengthComputable] : [];
      log.push([type, xhr.readyState, xhr.status, event.target === xhr, event.currentTarget === xhr,
        event.constructor.name, ...sizes, ...more(event)]);
    });
  }
  return log;
}

export function opened(url, responseType = '') {
  const xhr = new XMLHttpRequest();
  xhr.open('GET', url);
  xhr.responseType = responseType;
  return xhr;
}

/** Sends and waits for `loadend`. */
export function finish(xhr) {
  return new Promise((resolve) => {
    xhr.addEventListener('loadend', () => resolve(xhr), { once: true });
    xhr.send();
  });
}

/** Until events that come at all have come. */
export function later(ms = 100) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Until `xhr` is in one of `states` once `begun()`, and then until stray events have come. */
export async function settled(xhr, states, begun = () => true) {
  while (!begun() || !states.includes(xhr.readyState)) await later(10);
  await later(200);
}
