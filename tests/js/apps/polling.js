// An app that polls in the usual ways, as its authors would write it: it knows nothing of a proxy.
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import axios from 'axios';
import { createElement as h, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const plain = (url) => () => fetch(url).then((answer) => answer.json());
const byAxios = (url, adapter) => () => axios.get(url, { adapter }).then((answer) => answer.data);
const byToken = (url) => async () => {
  await sleep(1);
  return plain(url)();
};

function Polled({ url, queryFn = plain(url), refetchInterval = 60000 }) {
  const { data, isFetching } = useQuery({ queryKey: [url], queryFn, refetchInterval });
  window.renders.push({ url, isFetching, n: data?.n });
  return h('output', { id: url }, data ? data.n : '');
}

function Timed({ url, poll }) {
  const [n, setN] = useState('');
  useEffect(() => poll(async () => setN((await plain(url)()).n)), []);
  return h('output', { id: url }, n);
}

function byInterval(load) {
  const id = setInterval(load, 300);
  return () => clearInterval(id);
}

function byRecursion(load) {
  let id;
  const again = () => load().then(() => { id = setTimeout(again, 310); });
  again();
  return () => clearTimeout(id);
}

function bySleep(load) {
  let on = true;
  (async () => {
    for (; on; await sleep(320)) await load();
  })();
  return () => { on = false; };
}

const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });

const App = () => h(
  QueryClientProvider,
  { client },
  h(Polled, { url: '/api/plain' }),
  h(Polled, { url: '/api/form', refetchInterval: false }),
  h(Polled, { url: '/api/function', refetchInterval: () => 300 }),
  h(Polled, { url: '/api/xhr1', queryFn: byAxios('/api/xhr1', 'xhr'), refetchInterval: 400 }),
  h(Polled, { url: '/api/xhr2', queryFn: byAxios('/api/xhr2', 'xhr'), refetchInterval: 450 }),
  h(Polled, { url: '/api/axios1', queryFn: byAxios('/api/axios1', 'fetch'), refetchInterval: 500 }),
  h(Polled, { url: '/api/axios2', queryFn: byAxios('/api/axios2', 'fetch'), refetchInterval: 550 }),
  h(Polled, { url: '/api/token', queryFn: byToken('/api/token'), refetchInterval: 350 }),
  h(Timed, { url: '/api/interval', poll: byInterval }),
  h(Timed, { url: '/api/recursion', poll: byRecursion }),
  h(Timed, { url: '/api/sleep', poll: bySleep }),
);

window.renders = [];
// For the test: who is who.
window.client = client;
createRoot(document.getElementById('app')).render(h(App));
