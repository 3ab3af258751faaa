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
 * Opened objects → {url, method, headers, odd, mime, sent, plan: while the network answers; at:
 * readyState of a local answer, got: the state it shows, words: its statusText, value: `response`}.
 */
const requests = new WeakMap();
/** Media types of which the text isn't plain UTF-8, or not all. */
const UNFIT = /xml|charset=(?!"?utf-?8)/i;
/** False if a member of the prototype couldn't be had. */
let whole = false;

const read = (self, name) => Reflect.get(XHR, name, self);
const isText = (self) => /^(text)?$/.test(read(self, 'responseType'));
const fire = (self, event) => Reflect.apply(dispatchEvent, self, [event]);
const tellState = (self) => fire(self, new Event('readystatechange'));

function tell(self, type, loaded = 0, total = 0) {
  fire(self, new ProgressEvent(type, { loaded, total, lengthComputable: total > 0 }));
}

function wrongState() {
  throw new DOMException('The object is in the wrong state', 'InvalidStateError');
}

function installXhr() {
  const wrap = (name, act, kind) => patch(XHR, name, (target, self, args) => {
    const it = requests.get(self) || {};
    return act(it, () => Reflect.apply(target, self, args), self, args);
  }, kind);
  const shown = (name, get) =>
    wrap(name, (it, call, self) => it.at >= 0 ? get(it, self) : call(), 'get');
  const refused = (name, from, kind) =>
    wrap(name, (it, call) => it.at >= from ? wrongState() : call(), kind);
  whole = [
    wrap('open', onOpen),
    wrap('send', onSend),
    wrap('abort', onAbort),
    wrap('setRequestHeader', (it, call, self, [name, value]) => {
      if (it.at >= 0) wrongState();
      call();
      guard(() => it.headers && it.headers.append(name, value))();
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
    shown('status', ({ got }) => got ? got.status : 0),
    shown('statusText', ({ got, words }) => got ? words : ''),
    shown('responseURL', ({ got, url }) => got ? url : ''),
    shown('response', (it, self) => isText(self) ? textOf(it) : valueOf(it, self)),
    shown('responseText', (it, self) => isText(self) ? textOf(it) : wrongState()),
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
  if (it.at < 4 || !it.got) return null;
  if (it.value === undefined) it.value = makeValue(it, read(self, 'responseType'));
  return it.value;
}

function makeValue(it, type) {
  const { body } = it.got;
  if (type === 'arraybuffer') return new TextEncoder().encode(body).buffer;
  if (type === 'blob') {
    return new W.Blob([body], { type: typeOf(it.got).split(';')[0].trim().toLowerCase() });
  }
  try {
    return type === 'json' ? JSON.parse(textOf(it)) : null;
  } catch {
    return null;
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
    if (typeof url === 'string' || url instanceof URL) it.url = withoutHash(url);
    // Any third argument that isn't true means synchronous, undefined too; then user and password.
    it.odd = (rest.length && !rest[0]) || rest[1] != null || rest[2] != null;
    if (old.plan) onSettled(old.plan, false);
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
    const ask = inspect(url, { method, headers, body, credentials, mode: odd && 'odd' });
    if (ask && ask.write) {
      noteWriter();
      it.writes = true;
      Reflect.apply(addEventListener, self, ['readystatechange', onWritten, true]);
    } else if (ask) {
      ask.unfit = whole ? UNFIT : /^/;
      const plan = decide(ask);
      if (plan.local) return void begin(self, it, plan);
      it.plan = plan;
      // Capturing: the first to hear, so that what the app asks next is known to follow an answer.
      Reflect.apply(addEventListener, self, ['readystatechange', onState, true]);
      if (plan.mark) {
        serve(self);
        Reflect.apply(setRequestHeader, self, ['Pollcast-Client', plan.mark]);
      }
    }
  } catch {
    leave();
  }
  return call();
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
  it.words = topic.statusText;
  // Each handler may abort, or open anew.
  const mine = () => requests.get(self) === it;
  const reach = (at) => {
    if (!mine() || it.at !== at - 1) return false;
    it.at = at;
    it.got = local;
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

/** Before `load`, `loadend` and what the app registered: what it asks next comes after the write. */
const onWritten = guard(({ currentTarget: self }) => {
  const it = requests.get(self);
  if (!it.writes || read(self, 'readyState') < 4) return;
  it.writes = false;
  if (active) wrote();
});

/** What the network says: as 80-fetch's onAnswer(), once all of it is here. */
const onState = guard(({ currentTarget: self }) => {
  const it = requests.get(self);
  const { plan } = it;
  if (!active || !plan || read(self, 'readyState') < 4) return;
  it.plan = null;
  const [status, statusText] = [read(self, 'status'), read(self, 'statusText')];
  // After the app has seen the answer.
  const settle = (answered) => later(() => onSettled(plan, answered), 0);
  if (!status) {
    // The mark costs a preflight, which may be refused where the app's own request isn't.
    if (cross && plan.mark) letGo(plan.topic);
    return settle(false);
  }
  plan.source.answered = now();
  const lines = Reflect.apply(getAllResponseHeaders, self, []).matchAll(/^(.+?): ?(.*)$/gm);
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
