// React Query where the client is an argument: no provider tells it.
import { QueryClient, useQuery } from '@tanstack/react-query';
import { show } from 'app-root';
import { createElement as h, Fragment } from 'react';
import { Output, Part, load } from './parts.js';

const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });

function Polled({ url, ...options }) {
  const all = { queryKey: [url], queryFn: () => load(url), refetchInterval: 60000, ...options };
  const { data, isFetching, refetch } = useQuery(all, client);
  return h(Output, { url, data, fetching: isFetching, again: refetch });
}

show(h(
  Fragment,
  null,
  h(Part, { as: Polled, url: '/api/a' }),
  h(Part, { as: Polled, url: '/api/b' }),
  h(Part, { as: Polled, url: '/api/late' }),
  h(Part, { as: Polled, url: '/api/form', refetchInterval: false }),
  h(Part, { as: Polled, url: '/api/ticks', refetchInterval: 300 }),
));
