// Angular with zone.js: HttpClient, asked by a timer of RxJS. Compiled at run time: its own compiler comes along.

import 'zone.js';
import '@angular/compiler';
import { HttpClient, HttpEventType, provideHttpClient } from '@angular/common/http';
import * as angularHttp from '@angular/common/http';
import { ChangeDetectorRef, Component, inject, provideZoneChangeDetection } from '@angular/core';
import { bootstrapApplication } from '@angular/platform-browser';
import { catchError, exhaustMap, firstValueFrom, lastValueFrom, of, tap, timer } from 'rxjs';
import { asked, every, shape, state, url, written } from './record.js';

class Items {
  data = undefined;
  error = null;
  http = inject(HttpClient);
  changes = inject(ChangeDetectorRef);

  constructor() {
    timer(0, every).pipe(exhaustMap(() => this.load())).subscribe();
    window.app = {
      write: async (title) => {
        const { version } = await firstValueFrom(this.http.post(url, { title }));
        await lastValueFrom(this.load());
        return written(version);
      },
    };
  }

  load() {
    const events = [];
    const note = ({ type, status, statusText, ok, url: from, body, headers, loaded, total }) => {
      const named = { type: HttpEventType[type], status, statusText, ok, body: typeof body, loaded: loaded > 0, total };
      const fields = headers && { type: headers.get('content-type'), total: headers.has('x-total') };
      events.push({ ...named, total: total === undefined, from: from?.replace(location.origin, ''), fields });
    };
    state({ data: this.data, error: this.error }, { loading: true });
    return this.http.request('GET', url, { observe: 'events', reportProgress: true }).pipe(
      tap((event) => {
        note(event);
        if (event.type === HttpEventType.Response) this.show(event.body, null, events);
      }),
      catchError((error) => {
        events.push(shape(error));
        this.show(this.data, error, events);
        return of(null);
      }),
    );
  }

  show(data, error, events) {
    this.data = data;
    this.error = error;
    this.changes.markForCheck();
    asked(events);
    state({ data, error }, { loading: false });
  }
}

const template = '<ul>@for (item of data?.items; track item) { <li>{{ item }}</li> }</ul>';
const App = Component({ selector: 'app-root', standalone: true, template })(Items);
const backend = BACKEND === 'xhr' ? [angularHttp.withXhr()] : [];
bootstrapApplication(App, { providers: [provideZoneChangeDetection(), provideHttpClient(...backend)] })
  .catch((error) => reportError(error));
