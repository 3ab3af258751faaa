// An XMLHttpRequest for pages without a browser: states, events and refusals of the standard, over
// the network of the page.

const refuse = () => {
  throw new DOMException('wrong state', 'InvalidStateError');
};

/** The class, for a page whose network `ask(method, url, headers)` speaks for. */
export function nativeXhr(ask) {
  return class XMLHttpRequest extends EventTarget {
    #state = 0;
    #sent = false;
    #headers = new Headers();
    #response = null;
    #body = new Uint8Array();
    #type = '';
    #call = null;
    #credentials = false;
    #target = [];

    open(method, url, async = true) {
      if (arguments.length < 2) throw new TypeError('2 arguments required');
      if (/[^\w-]/.test(method)) throw new DOMException('not a method', 'SyntaxError');
      this.#target = [String(method).toUpperCase(), String(url), async];
      this.#reset();
      if (this.#state === 1) return;
      this.#become(1);
    }

    #reset() {
      this.#sent = false;
      this.#headers = new Headers();
      this.#response = null;
      this.#body = new Uint8Array();
      this.#call = {};
    }

    #become(state) {
      this.#state = state;
      this.dispatchEvent(new Event('readystatechange'));
    }

    #tell(type) {
      this.dispatchEvent(Object.assign(new Event(type), { loaded: this.#body.length }));
    }

    setRequestHeader(name, value) {
      if (this.#state !== 1 || this.#sent) refuse();
      this.#headers.append(name, value);
    }

    send() {
      if (this.#state !== 1 || this.#sent) refuse();
      this.#sent = true;
      const call = this.#call;
      this.#tell('loadstart');
      if (call !== this.#call) return;
      const [method, url, async] = this.#target;
      if (async === false && method !== 'GET') {
        // There is no network without an event loop: it fails, and only this call says so.
        this.#state = 4;
        throw new DOMException('no network', 'NetworkError');
      }
      ask(method, url, this.#headers).then(async (response) => {
        const body = new Uint8Array(await response.arrayBuffer());
        if (call === this.#call) this.#arrive(call, response, body);
      }, () => call === this.#call && this.#fail('error'));
    }

    #arrive(call, response, body) {
      this.#response = response;
      for (const state of [2, 3, 4]) {
        if (state === 3) this.#body = body;
        if (call !== this.#call) return;
        this.#become(state);
      }
      for (const type of ['load', 'loadend']) if (call === this.#call) this.#tell(type);
    }

    #fail(type) {
      this.#reset();
      this.#become(4);
      this.#tell(type);
      this.#tell('loadend');
    }

    abort() {
      if (this.#sent && this.#state < 4) this.#fail('abort');
      if (this.#state === 4) this.#state = 0;
      this.#response = null;
    }

    overrideMimeType() {
      if (this.#state > 2) refuse();
    }

    getResponseHeader(name) {
      return this.#response ? this.#response.headers.get(name) : null;
    }

    getAllResponseHeaders() {
      const all = this.#response ? [...this.#response.headers] : [];
      return all.map((field) => field.join(': ') + '\r\n').join('');
    }

    get readyState() {
      return this.#state;
    }

    get status() {
      return this.#response ? this.#response.status : 0;
    }

    get statusText() {
      return this.#response ? this.#response.statusText : '';
    }

    get responseURL() {
      return this.#response ? this.#response.url : '';
    }

    get responseText() {
      if (!/^(text)?$/.test(this.#type)) refuse();
      return new TextDecoder().decode(this.#body);
    }

    get responseXML() {
      return null;
    }

    get response() {
      if (/^(text)?$/.test(this.#type)) return this.responseText;
      return this.#state === 4 ? JSON.parse(new TextDecoder().decode(this.#body)) : null;
    }

    get responseType() {
      return this.#type;
    }

    set responseType(type) {
      if (this.#state > 2) refuse();
      this.#type = type;
    }

    get withCredentials() {
      return this.#credentials;
    }

    set withCredentials(value) {
      if (this.#state > 1 || this.#sent) refuse();
      this.#credentials = value;
    }
  };
}
