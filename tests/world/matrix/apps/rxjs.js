// RxJS: a timer, and its ajax.

import { catchError, exhaustMap, firstValueFrom, of, tap, timer } from 'rxjs';
import { ajax } from 'rxjs/ajax';
import { asked, every, shape, state, url, written } from './record.js';

let data;
let failure = null;

function load() {
  state({ data, error: failure }, { loading: true });
  const events = [];
  return ajax({ url, includeDownloadProgress: true }).pipe(
    tap((event) => {
      const { type, status, response, responseType, responseHeaders } = event;
      const fields = { type: responseHeaders['content-type'], total: 'x-total' in responseHeaders };
      events.push({ type, status, response: typeof response, responseType, fields });
      if (type === 'download_load') show(response, null, events);
    }),
    catchError((error) => {
      events.push(shape(error));
      show(data, error, events);
      return of(null);
    }),
  );
}

function show(fresh, error, events) {
  data = fresh;
  failure = error;
  asked(events);
  state({ data, error }, { loading: false });
}

timer(0, every).pipe(exhaustMap(load)).subscribe();

window.app = {
  async write(title) {
    const { response } = await firstValueFrom(
      ajax.post(url, { title }, { 'content-type': 'application/json' }));
    await new Promise((resolve) => load().subscribe({ complete: resolve }));
    return written(response.version);
  },
};
