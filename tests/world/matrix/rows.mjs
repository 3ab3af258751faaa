// The rows of the matrix: what an app is built with, and what Pollcast must do for it.
//
// `parts`: the names that people know and the installed packages behind them. `alias`: what the app's imports mean in
// this row. `by`: who shows a change before the app's interval is over: `library` (its own refresh), `timer` (its own
// timer, run now), `tick` (nobody: its next look, answered in the page), `network` (left alone). `firefox`: there too.
// `known`: where the app's behaviour differs from that without Pollcast, and why → compare.mjs.

const react17 = { react: 'react-v17', 'react-dom': 'react-dom-v17', mount: './apps/mount-render.js' };
const react18 = { react: 'react-v18', 'react-dom': 'react-dom-v18', mount: './apps/mount-root.js' };
const react19 = { mount: './apps/mount-root.js' };
const http = (name) => ({ http: `./apps/http-${name}.js` });

const React17 = ['React', 'react-v17'];
const React18 = ['React', 'react-v18'];
const React19 = ['React', 'react'];
const query3 = { '@tanstack/react-query': 'react-query-v3' };
const query4 = { '@tanstack/react-query': 'react-query-v4' };

export const rows = [
  {
    id: 'react-query-3', app: 'react-query.jsx', by: 'library',
    parts: [['React Query', 'react-query-v3'], React17],
    alias: { ...react17, ...query3, ...http('fetch') },
  },
  {
    id: 'react-query-4', app: 'react-query.jsx', by: 'library',
    parts: [['React Query', 'react-query-v4'], React18],
    alias: { ...react18, ...query4, ...http('fetch') },
  },
  {
    id: 'react-query-5', app: 'react-query.jsx', by: 'library', firefox: true,
    parts: [['React Query', '@tanstack/react-query'], React19],
    alias: { ...react19, ...http('fetch') },
  },
  {
    id: 'fetch-interval', app: 'plain.js', by: 'timer', firefox: true,
    parts: [['fetch in setInterval']], alias: http('fetch'),
  },
];
