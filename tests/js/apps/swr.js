import { createElement as h } from 'react';
import { show } from 'app-root';
import useSWR, { SWRConfig } from 'swr';
import { Output, Part, load } from './parts.js';

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const late = (url) => sleep(1).then(() => load(url));

function Polled({ url, fetcher = load, of = url, ...config }) {
  const { data, isValidating, mutate } = useSWR(of, fetcher, config);
  return h(Output, { url, data, fetching: isValidating, again: () => mutate() });
}

const every = { as: Polled, refreshInterval: 60000 };

show(h(
  SWRConfig,
  { value: { revalidateOnFocus: false } },
  h(Part, { ...every, url: '/api/a' }),
  h(Part, { ...every, url: '/api/b', fetcher: () => load('/api/b'), of: ['/api/b', 1] }),
  h(Part, { ...every, url: '/api/late', fetcher: late }),
  h(Part, { ...every, url: '/api/form', refreshInterval: 0 }),
  h(Part, { ...every, url: '/api/paused', isPaused: () => window.paused === true }),
  h(Part, { ...every, url: '/api/ticks', refreshInterval: 300, dedupingInterval: 0 }),
  h(Part, {
    ...every, url: '/api/done', dedupingInterval: 0,
    refreshInterval: (data) => (data && data.n === 'done' ? 0 : 310),
  }),
));
