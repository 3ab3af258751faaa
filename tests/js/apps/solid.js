import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/solid-query';
import { createComponent, createEffect } from 'solid-js';
import { render } from 'solid-js/web';

const client = new QueryClient();
const load = (url) => fetch(url).then((answer) => answer.json());

function Polled({ url, refetchInterval }) {
  const state = useQuery(() => ({ queryKey: [url], queryFn: () => load(url), refetchInterval }));
  const output = document.createElement('output');
  output.id = url;
  createEffect(() => { output.textContent = state.isSuccess ? state.data.n : ''; });
  return output;
}

render(() => createComponent(QueryClientProvider, {
  client,
  get children() {
    return [
      createComponent(Polled, { url: '/api/ticks', refetchInterval: 300 }),
      createComponent(Polled, { url: '/api/slower', refetchInterval: 400 }),
    ];
  },
}), document.getElementById('app'));
