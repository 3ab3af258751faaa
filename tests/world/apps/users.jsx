// An app with users: React Query, polling what is one's own and what is everybody's. `?auth=session` logs in with a
// cookie, `?auth=bearer` with a token in sessionStorage; `?every=<ms>` is the interval.

import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';

const asked = new URLSearchParams(location.search);
const every = Number(asked.get('every') ?? 500);
const bearer = asked.get('auth') === 'bearer';
const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });

const token = () => (bearer ? sessionStorage.getItem('token') : null);

async function get(path) {
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const response = await fetch(path, { headers });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

async function post(path, body = {}) {
  const headers = { 'content-type': 'application/json' };
  if (token()) headers.authorization = `Bearer ${token()}`;
  const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const answer = await response.json();
  if (bearer && answer.token) sessionStorage.setItem('token', answer.token);
}

function useData(path, user) {
  const query = useQuery({ queryKey: [path, user], queryFn: () => get(path), refetchInterval: every });
  return query.isError || !query.data ? { owner: '', version: 0 } : query.data;
}

function App() {
  const [user, setUser] = useState(asked.get('user') ?? '');
  window.app = {
    login: async (name) => { await post('/login', { name, bearer }); setUser(name); },
    logout: async () => {
      if (bearer) sessionStorage.clear();
      else await post('/logout');
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
    if (String(window.seen.at(-1)?.slice(1)) !== String(now)) window.seen.push([Date.now(), ...now]);
  }
  requestAnimationFrame(look);
})();

createRoot(document.getElementById('root')).render(
  <QueryClientProvider client={client}><App /></QueryClientProvider>,
);
