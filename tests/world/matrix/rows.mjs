// The rows of the matrix: what an app is built with, and what Pollcast must do for it.
//
// `parts`: the names that people know and the installed packages behind them. `alias`: what the app's imports mean in
// this row. `by`: who shows a change before the app's interval is over: `library` (its own refresh), `timer` (its own
// timer, run now), `tick` (nobody: its next look, answered in the page), `network` (left alone). `firefox`: there too.
// `known`: where the app's behaviour differs from that without Pollcast, and why → compare.mjs;
// `sometimes`: if the timing is so.

const react17 = { react: 'react-v17', 'react-dom': 'react-dom-v17', mount: './apps/mount-render.js' };
const react18 = { react: 'react-v18', 'react-dom': 'react-dom-v18', mount: './apps/mount-root.js' };
const react19 = { mount: './apps/mount-root.js' };
const http = (name) => ({ http: `./apps/http-${name}.js` });

const React17 = ['React', 'react-v17'];
const React18 = ['React', 'react-v18'];
const React19 = ['React', 'react'];
const Vue = ['Vue', 'vue'];
const query5 = ['React Query', '@tanstack/react-query'];
const angular = { body: '<app-root></app-root>' };
const query3 = { '@tanstack/react-query': 'react-query-v3' };
const query4 = { '@tanstack/react-query': 'react-query-v4' };

const fetching = http('fetch');

export const rows = [
  {
    id: 'react-query-3', app: 'react-query.jsx', by: 'library',
    parts: [['React Query', 'react-query-v3'], React17],
    alias: { ...react17, ...query3, ...fetching },
  },
  {
    id: 'react-query-4', app: 'react-query.jsx', by: 'library',
    parts: [['React Query', 'react-query-v4'], React18],
    alias: { ...react18, ...query4, ...fetching },
  },
  {
    id: 'react-query-5-on-18', app: 'react-query.jsx', by: 'library',
    parts: [query5, React18], alias: { ...react18, ...fetching },
  },
  {
    id: 'react-query-5', app: 'react-query.jsx', by: 'library', firefox: true,
    parts: [query5, React19], alias: { ...react19, ...fetching },
  },
  {
    id: 'react-query-5-axios', app: 'react-query.jsx', by: 'library',
    parts: [query5, React19, ['axios', 'axios']], alias: { ...react19, ...http('axios') },
  },
  {
    id: 'react-query-5-ky', app: 'react-query.jsx', by: 'library',
    parts: [query5, React19, ['ky', 'ky']], alias: { ...react19, ...http('ky') },
  },
  {
    id: 'react-query-5-ofetch', app: 'react-query.jsx', by: 'library',
    parts: [query5, React19, ['ofetch', 'ofetch']], alias: { ...react19, ...http('ofetch') },
  },
  {
    id: 'vue-query-4', app: 'vue-query.js', by: 'library',
    parts: [['Vue Query', 'vue-query-v4'], Vue],
    alias: { '@tanstack/vue-query': 'vue-query-v4', ...fetching },
  },
  {
    id: 'vue-query-5', app: 'vue-query.js', by: 'library', firefox: true,
    parts: [['Vue Query', '@tanstack/vue-query'], Vue], alias: fetching,
  },
  {
    id: 'swr-1', app: 'swr.jsx', by: 'library',
    parts: [['SWR', 'swr-v1'], React17], alias: { ...react17, swr: 'swr-v1', ...fetching },
  },
  {
    id: 'swr-2', app: 'swr.jsx', by: 'library', firefox: true,
    parts: [['SWR', 'swr'], React19], alias: { ...react19, ...fetching },
  },
  {
    id: 'rtk-query-1', app: 'rtk-query.jsx', by: 'library',
    parts: [['RTK Query', 'rtk-v1'], React18, ['React Redux', 'react-redux-v8']],
    alias: { ...react18, '@reduxjs/toolkit': 'rtk-v1', 'react-redux': 'react-redux-v8' },
  },
  {
    id: 'rtk-query-2', app: 'rtk-query.jsx', by: 'library',
    parts: [['RTK Query', '@reduxjs/toolkit'], React19, ['React Redux', 'react-redux']], alias: react19,
  },
  {
    id: 'apollo-3', app: 'apollo.jsx', by: 'timer', format: 'graphql',
    parts: [['Apollo Client over GET', 'apollo-v3'], React18],
    alias: { ...react18, apollo: './apps/apollo-v3.js', '@apollo/client': 'apollo-v3' },
  },
  {
    id: 'apollo-4', app: 'apollo.jsx', by: 'timer', format: 'graphql',
    parts: [['Apollo Client over GET', '@apollo/client'], React19],
    alias: { ...react19, apollo: './apps/apollo-v4.js' },
  },
  {
    id: 'svelte-query', app: 'svelte-query.js', by: 'timer',
    parts: [['Svelte Query', '@tanstack/svelte-query'], ['Svelte', 'svelte']], alias: fetching,
  },
  {
    id: 'solid-query', app: 'solid-query.js', by: 'timer',
    parts: [['Solid Query', '@tanstack/solid-query'], ['Solid', 'solid-js']], alias: fetching,
  },
  {
    id: 'angular-17', app: 'angular.js', by: 'timer', ...angular,
    parts: [['Angular HttpClient', 'angular-common-v17'], ['RxJS timer', 'rxjs'], ['zone.js', 'zone-v0.14']],
    alias: {
      '@angular/common': 'angular-common-v17',
      '@angular/compiler': 'angular-compiler-v17',
      '@angular/core': 'angular-core-v17',
      '@angular/platform-browser': 'angular-platform-browser-v17',
      'zone.js': 'zone-v0.14',
    },
  },
  {
    id: 'angular', app: 'angular.js', by: 'timer', ...angular, chunked: true,
    parts: [['Angular HttpClient', '@angular/common'], ['RxJS timer', 'rxjs'], ['zone.js', 'zone.js']],
    known: [{
      sometimes: true,
      match: /^requests: only with Pollcast .*"type":"DownloadProgress",[^}]*"total":false/,
      reason: 'where the origin sends an answer without its length, one that Pollcast held has it, and progress'
        + ' events tell it.',
    }],
  },
  {
    id: 'angular-xhr', app: 'angular.js', by: 'timer', ...angular, backend: 'xhr',
    parts: [['Angular HttpClient (withXhr)', '@angular/common'], ['RxJS timer', 'rxjs'], ['zone.js', 'zone.js']],
  },
  {
    id: 'rxjs', app: 'rxjs.js', by: 'timer',
    parts: [['RxJS timer and ajax', 'rxjs']],
  },
  {
    id: 'fetch-interval', app: 'plain.js', by: 'timer', firefox: true,
    parts: [['fetch, setInterval']], alias: fetching,
  },
  {
    id: 'fetch-mixed', app: 'plain.js', by: 'timer',
    parts: [['fetch, setInterval; writes by XMLHttpRequest']], alias: http('mixed'),
  },
  {
    id: 'fetch-timeout', app: 'plain.js', by: 'timer', loop: 'timeout',
    parts: [['fetch, setTimeout after each answer']], alias: fetching,
  },
  {
    id: 'fetch-frames', app: 'plain.js', by: 'tick', loop: 'frames',
    parts: [['fetch, requestAnimationFrame']], alias: fetching,
  },
  {
    id: 'fetch-worker', app: 'worker-page.js', worker: 'worker.js', by: 'network',
    parts: [['fetch, setInterval in a worker']], alias: fetching,
  },
  {
    id: 'axios-0', app: 'plain.js', by: 'timer',
    parts: [['axios', 'axios-v0'], ['setInterval']], alias: { ...http('axios'), axios: 'axios-v0' },
  },
  {
    id: 'axios-1', app: 'plain.js', by: 'timer', firefox: true,
    parts: [['axios', 'axios'], ['setInterval']], alias: http('axios'),
  },
  {
    id: 'superagent', app: 'plain.js', by: 'timer',
    parts: [['superagent', 'superagent'], ['setInterval']], alias: http('superagent'),
  },
  {
    id: 'jquery-3', app: 'plain.js', by: 'timer',
    parts: [['jQuery', 'jquery-v3'], ['setInterval']], alias: { ...http('jquery'), jquery: 'jquery-v3' },
  },
  {
    id: 'jquery-4', app: 'plain.js', by: 'timer', firefox: true,
    parts: [['jQuery', 'jquery'], ['setInterval']], alias: http('jquery'),
  },
  {
    id: 'htmx-1', app: 'htmx.js', by: 'timer', format: 'html', body: '<div id="list"></div>',
    parts: [['htmx', 'htmx-v1']], alias: { 'htmx.org': 'htmx-v1' },
  },
  {
    id: 'htmx-2', app: 'htmx.js', by: 'timer', format: 'html', body: '<div id="list"></div>',
    parts: [['htmx', 'htmx.org']],
  },
];
