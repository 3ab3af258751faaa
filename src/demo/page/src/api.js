// The board's API, and the two queries that poll it.

import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

/** How often the page asks for the board and for the feed. */
export const POLL_MS = 2000;

/** Marks this page's writes, so that the feed shows which changes are its own. */
export const MARK = Math.random().toString(36).slice(2, 14);

async function request(method, path, body) {
  const init = { method, headers: { accept: 'application/json' } };
  if (method !== 'GET') {
    init.headers['x-client-mark'] = MARK;
  }
  if (body) {
    init.headers['content-type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  const response = await fetch(path, init);
  if (!response.ok) {
    const problem = await response.json().catch(() => ({}));
    throw new Error(problem.error ?? `The server answered ${response.status}`);
  }
  return response.status === 204 ? null : response.json();
}

export function useBoard() {
  return useQuery({
    queryKey: ['board'],
    queryFn: () => request('GET', '/api/board'),
    refetchInterval: POLL_MS,
  });
}

export function useEvents() {
  return useQuery({
    queryKey: ['events'],
    queryFn: () => request('GET', '/api/events'),
    refetchInterval: POLL_MS,
  });
}

function useWrite(mutationFn) {
  const client = useQueryClient();
  return useMutation({ mutationFn, onSettled: () => client.invalidateQueries() });
}

/** Everything a person can do to the board. */
export function useActions() {
  const add = useWrite((item) => request('POST', '/api/items', item));
  const edit = useWrite(({ id, ...change }) => request('PATCH', `/api/items/${id}`, change));
  const remove = useWrite((id) => request('DELETE', `/api/items/${id}`));
  const note = useWrite((text) => request('POST', '/api/actions', { text }));
  return { add, edit, remove, note };
}
