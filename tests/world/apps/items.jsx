// A list that polls, as anyone would write it: React Query with `refetchInterval`, a mutation that invalidates.
// `?every=<ms>` is the interval, `?by=axios` asks by axios, that is by XMLHttpRequest.

import { QueryClient, QueryClientProvider, useMutation, useQuery, useQueryClient }
  from '@tanstack/react-query';
import axios from 'axios';
import { createRoot } from 'react-dom/client';

const asked = new URLSearchParams(location.search);
const every = Number(asked.get('every') ?? 1000);
const byAxios = asked.get('by') === 'axios';

async function getItems({ signal }) {
  if (byAxios) return (await axios.get('/api/items', { signal })).data;
  const response = await fetch('/api/items', { signal });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

async function addItem(title) {
  if (byAxios) return (await axios.post('/api/items', { title })).data;
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ title });
  const response = await fetch('/api/items', { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

function App() {
  const client = useQueryClient();
  const items = useQuery({ queryKey: ['items'], queryFn: getItems, refetchInterval: every });
  const add = useMutation({
    mutationFn: addItem,
    onSuccess: () => client.invalidateQueries({ queryKey: ['items'] }),
  });
  return (
    <main id="list" data-version={items.data?.version ?? 0} data-status={items.status}
      data-saved={add.isSuccess ? add.data.id : -1}>
      <button id="add" onClick={() => add.mutate('mine')} disabled={add.isPending}>Add</button>
      <ul>{items.data?.items.map((item) => <li key={item.id}>{item.title}</li>)}</ul>
    </main>
  );
}

createRoot(document.getElementById('root')).render(
  <QueryClientProvider client={new QueryClient()}><App /></QueryClientProvider>,
);
