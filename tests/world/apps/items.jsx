// A list that polls, as anyone would write it: React Query with `refetchInterval`, a mutation that invalidates.
// `?every=<ms>` is the interval.

import { QueryClient, QueryClientProvider, useMutation, useQuery, useQueryClient }
  from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';

const every = Number(new URLSearchParams(location.search).get('every') ?? 1000);

async function getItems({ signal }) {
  const response = await fetch('/api/items', { signal });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

async function addItem(title) {
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
