// An app with users: React Query, polling what is one's own and what is everybody's. `?auth=session` logs in with a
// cookie, `?auth=bearer` with a token in sessionStorage; `?every=<ms>` is the interval; with `?via=xhr` it writes by
// XMLHttpRequest, as axios does.

import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';

const asked = new URLSearchParams(location.search);
const every = Number(asked.get('every') ?? 500);
const bearer = asked.get('auth') === 'bearer';
const xhr = asked.get('via') === 'xhr';
const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });

// In the order in which the app's own code came to know it: who is in by now, what polls gave (when they began, and
// whose data it was), and whose data a frame showed that was another than the one before.
let moment = 0;
const tick = () => { moment += 1; return moment; };
window.trail = { learnt: [], given: [], shown: [] };

const token = () => (bearer ? sessionStorage.getItem('token') : null);

async function get(path) {
  const begun = tick();
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const response = await fetch(path, { headers });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const data = await response.json();
  window.trail.given.push([begun, data.owner]);
  return data;
}

/** As axios sends: whoever waits goes on in `onloadend`, which is there before the request goes. */
function send(path, headers, body) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', path, true);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.onloadend = () => resolve(new Response(request.responseText, { status: request.status }));
    request.onerror = () => reject(new Error('no answer'));
    request.send(body);
  });
}

async function post(path, body = {}) {
  const headers = { 'content-type': 'application/json' };
  if (token()) headers.authorization = `Bearer ${token()}`;
  const text = JSON.stringify(body);
  const response = await (xhr ? send(path, headers, text) : fetch(path, { method: 'POST', headers, body: text }));
  if (!response.ok) throw new Error(`status ${response.status}`);
  const answer = await response.json();
  if (bearer && answer.token) sessionStorage.setItem('token', answer.token);
}

/** Who is in has changed: what counts from now on is asked for at once, as by `invalidateQueries`. */
function changed() {
  window.trail.learnt.push(tick());
  get('/api/mine').catch(() => {});
}

function useData(path, user) {
  const query = useQuery({ queryKey: [path, user], queryFn: () => get(path), refetchInterval: every });
  return query.isError || !query.data ? { owner: '', version: 0 } : query.data;
}

function App() {
  const [user, setUser] = useState(asked.get('user') ?? '');
  window.app = {
    login: async (name) => {
      await post('/login', { name, bearer });
      changed();
      setUser(name);
    },
    logout: async () => {
      if (bearer) sessionStorage.clear();
      else await post('/logout');
      changed();
      setUser('');
    },
    renew: () => post('/renew', { bearer }),
  };
  const mine = useData('/api/mine', user);
  const board = useData('/api/board', user);
  return <main data-owner={mine.owner} data-version={mine.version} data-board={board.version} />;
}

// What a person would have seen: one entry for each frame that shows something else than the one before.
window.seen = [];
(function look() {
  const main = document.querySelector('main');
  if (main) {
    const { owner, version, board } = main.dataset;
    const now = [owner, Number(version), Number(board)];
    if (String(window.seen.at(-1)?.slice(1)) !== String(now)) {
      window.seen.push([Date.now(), ...now]);
      window.trail.shown.push([tick(), owner]);
    }
  }
  requestAnimationFrame(look);
})();

createRoot(document.getElementById('root')).render(
  <QueryClientProvider client={client}><App /></QueryClientProvider>,
);
