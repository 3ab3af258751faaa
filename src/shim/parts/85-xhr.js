// The app's XMLHttpRequest: a poll that is answered locally goes through the states and events of a
// native one.
//
// Rules: native open() and setRequestHeader() always run, so that what they refuse is refused as
// ever; a local answer skips native send() alone, and the object beneath stays opened. Who can't be
// answered as the network would is left to it: another charset, XML (such a document knows its
// URL), a body, a password, a synchronous call.

const XHR = W.XMLHttpRequest.prototype;
const { setRequestHeader, getAllResponseHeaders } = XHR;
const { addEventListener, dispatchEvent } = W.EventTarget.prototype;
const { Event, ProgressEvent, DOMException } = W;

/**
 * Opened objects → {url, method, headers, odd, mime, sent; write, plan: while the network answers;
 * at: readyState of a local answer, got: what it shows, value: its `response`}.
 */
const requests = new WeakMap();
/** Media types of which the text isn't plain UTF-8, or not all. */
const UNFIT = /xml|charset=(?!"?utf-?8)/i;
/** False if a member of the prototype couldn't be had. */
let whole = false;

const read = (self, name) => Reflect.get(XHR, name, self);
const isText = (self) => /^(text)?$/.test(read(self, 'responseType'));
const tellState = (self) => dispatchEvent.call(self, new Event('readystatechange'));

function tell(self, type, loaded = 0, total = 0) {
  const lengthComputable = total > 0;
  dispatchEvent.call(self, new ProgressEvent(type, { loaded, total, lengthComputable }));
}

function wrongState() {
  throw new DOMException('Wrong state', 'InvalidStateError');
}

function installXhr() {
  const wrap = (name, act, kind) => patch(XHR, name, (target, self, args) => {
    const it = requests.get(self) || {};
    return act(it, () => Reflect.apply(target, self, args), self, args);
  }, kind);
  const shown = (name, get) =>
    wrap(name, (it, call, self) => it.at >= 0 ? get(it, self) : call(), 'get');
  const fact = (name, none) => shown(name, ({ got }) => got ? got[name] : none);
  const text = (it, self) => isText(self) ? textOf(it) : null;
  const refused = (name, from, kind) =>
    wrap(name, (it, call) => it.at >= from ? wrongState() : call(), kind);
  whole = [
    wrap('open', onOpen),
    wrap('send', onSend),
    wrap('abort', onAbort),
    wrap('setRequestHeader', (it, call, self, [name, value]) => {
      if (it.at >= 0) wrongState();
      call();
      guard(() => it.headers?.append(name, value))();
    }),
    wrap('overrideMimeType', (it, call, self, [mime]) => {
      if (it.at > 2) wrongState();
      call();
      it.mime = mime;
      requests.set(self, it);
    }),
    wrap('getResponseHeader', (it, call, self, [name]) => {
      const value = call();
      const asked = String(name).toLowerCase();
      const field = fieldsOf(it).find((pair) => pair[0] === asked);
      if (it.at >= 0) return field ? field[1] : null;
      return asked === 'pollcast-state' ? null : value;
    }),
    wrap('getAllResponseHeaders', (it, call) => it.at >= 0
      ? fieldsOf(it).map((pair) => pair.join(': ') + '\r\n').join('')
      : call().replace(/^pollcast-state:.*\r\n/im, '')),
    shown('readyState', ({ at }) => at),
    fact('status', 0),
    fact('statusText', ''),
    fact('responseURL', ''),
    shown('response', (it, self) => text(it, self) ?? valueOf(it, self)),
    shown('responseText', (it, self) => text(it, self) ?? wrongState()),
    shown('responseXML', (it, self) =>
      /^(document)?$/.test(read(self, 'responseType')) ? null : wrongState()),
    refused('responseType', 3, 'set'),
    refused('withCredentials', 1, 'set'),
  ].every(Boolean);
}

/** True if another media type than the origin's shows: htmx always says `text/html`, which doesn't. */
const isOdd = ({ mime }, self) =>
  mime && !(isText(self) && /^[\w/.+-]+( *; *charset="?utf-?8"?)?$/i.test(mime) && !/xml/i.test(mime));

const fieldsOf = ({ got }) => got ? [...new Headers(got.headers)] : [];
const textOf = ({ at, got }) => at > 2 && got ? got.body.replace(/^\ufeff/, '') : '';

/** The same object each time, as long as it is the same answer. */
function valueOf(it, self) {
  const { at, got, value } = it;
  if (at < 4 || !got) return null;
  if (value !== undefined) return value;
  const type = read(self, 'responseType');
  if (type === 'arraybuffer') return (it.value = new TextEncoder().encode(got.body).buffer);
  const media = typeOf(got).split(';')[0].trim().toLowerCase();
  if (type === 'blob') return (it.value = new W.Blob([got.body], { type: media }));
  try {
    return (it.value = type === 'json' ? JSON.parse(textOf(it)) : null);
  } catch {
    return (it.value = null);
  }
}

function onOpen(old, call, self, [method, url, ...rest]) {
  // Before native open(), whose event may already lead to setRequestHeader().
  const it = { method, headers: new Headers(), mime: old.mime };
  requests.set(self, it);
  try {
    call();
  } catch (error) {
    requests.set(self, old);
    throw error;
  }
  guard(() => {
    kept.delete(self);
    // Something else would be asked for its text twice.
    if (typeof url === 'string' || url instanceof URL) it.url = withoutHash(url);
    // Any third argument that isn't true means synchronous, undefined too; then user and password.
    it.odd = !it.url || (rest.length && !rest[0]) || rest[1] != null || rest[2] != null;
    if (old.plan) onSettled(old.plan, false);
    if (old.write) written();
    // The object beneath is still open from last time, and said nothing.
    if (old.at >= 0 && old.at !== 1) tellState(self);
  })();
}

function withoutHash(input) {
  const url = new URL(input, D.baseURI);
  url.hash = '';
  return url.href;
}

function onSend(it, call, self, [body]) {
  if (it.at >= 0) wrongState();
  // Sent already, never opened, or no such object: it is refused.
  if (it.sent || !it.headers) return call();
  it.sent = true;
  try {
    const { url, method, headers } = it;
    const odd = it.odd || isOdd(it, self) || read(self, 'responseType') === 'document';
    const credentials = read(self, 'withCredentials') && 'include';
    const ask = inspect(url || '/', { method, headers, body, credentials, mode: odd && 'odd' });
    if (ask) {
      if (ask.write) noteWriter();
      ask.unfit = whole ? UNFIT : /^/;
      const plan = ask.write ? { ...ask } : decide(ask);
      if (plan.local) return void begin(self, it, plan);
      it.write = plan.write;
      if (plan.write) writing++;
      plan.write = false;
      if (!ask.write) it.plan = plan;
      addEventListener.call(self, 'readystatechange', onState);
      if (plan.mark) {
        serve(self);
        setRequestHeader.call(self, 'Pollcast-Client', plan.mark);
      }
    }
  } catch {
    leave();
  }
  try {
    return call();
  } finally {
    // A synchronous one that fails throws, and tells no listener.
    if (it.write && read(self, 'readyState') > 3) {
      it.write = null;
      guard(written)();
    }
  }
}

function serve(self) {
  kept.add(self);
  keeper = XHR;
}

/** The states and events of an answer: `loadstart` at once, the others in the next microtask. */
function begin(self, it, { topic, local }) {
  local.size ??= new TextEncoder().encode(local.body).length;
  const { size } = local;
  const fields = new Headers(local.headers);
  const known = fields.has('content-length') && !fields.has('content-encoding');
  serve(self);
  it.at = 1;
  const got = { ...local, statusText: topic.statusText, responseURL: it.url };
  // Each handler may abort, or open anew.
  const mine = () => requests.get(self) === it;
  const reach = (at) => {
    if (!mine() || it.at !== at - 1) return false;
    it.at = at;
    it.got = got;
    tellState(self);
    return true;
  };
  const said = (type) => {
    const loaded = mine() && it.got ? size : 0;
    tell(self, type, loaded, known ? loaded : 0);
  };
  tell(self, 'loadstart');
  microtask(() => {
    reach(2);
    if (!size && it.at === 2) it.at = 3;
    else if (reach(3)) said('progress');
    if (!reach(4) || !mine() || !it.got) return;
    said('load');
    said('loadend');
  });
}

function written() {
  // It may have begun before the script left, and came again.
  if (writing) writing--;
  wrote();
}

/** What the network says: as 80-fetch's onAnswer(), once all of it is here. */
const onState = guard(({ currentTarget: self }) => {
  const it = requests.get(self);
  const { plan, write } = it;
  if (!active || read(self, 'readyState') < 4) return;
  it.plan = it.write = null;
  if (write) written();
  if (!plan) return;
  const status = read(self, 'status');
  const statusText = read(self, 'statusText');
  // After the app has seen the answer.
  const settle = (answered) => later(() => onSettled(plan, answered), 0);
  if (!status) {
    // The mark costs a preflight, which may be refused where the app's own request isn't.
    if (cross && plan.mark) letGo(plan.topic);
    return settle(false);
  }
  plan.source.answered = now();
  const lines = getAllResponseHeaders.call(self).matchAll(/^(.+?): ?(.*)$/gm);
  const headers = new Headers([...lines].map(([, name, value]) => [name, value]));
  const redirected = read(self, 'responseURL') !== it.url;
  const state = judge({ status, statusText, redirected, headers }, plan);
  if (state) {
    if (isText(self) && !isOdd(it, self) && !plan.unfit.test(headers.get('content-type'))) {
      const text = read(self, 'responseText');
      // It stands for what couldn't be read, too.
      if (!text.includes('\ufffd')) state.body = text;
    }
    hold(state, plan);
  }
  settle(true);
});

function onAbort(it, call, self) {
  if (it.plan) guard(onSettled)(it.plan, false);
  it.plan = null;
  if (!(it.at >= 0)) return call();
  it.got = null;
  if (it.at > 0 && it.at < 4) {
    it.at = 4;
    tellState(self);
    tell(self, 'abort');
    tell(self, 'loadend');
  }
  if (it.at === 4) it.at = 0;
}
