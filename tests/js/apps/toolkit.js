import { configureStore } from '@reduxjs/toolkit';
import { createApi, fetchBaseQuery } from '@reduxjs/toolkit/query/react';
import { show } from 'app-root';
import { createElement as h } from 'react';
import { Provider } from 'react-redux';
import { Output, Part } from './parts.js';

const api = createApi({
  baseQuery: fetchBaseQuery({ baseUrl: location.origin }),
  endpoints: ({ query }) => ({ item: query({ query: (url) => url }) }),
});
const { reducer, reducerPath, middleware } = api;
const store = configureStore({
  reducer: { [reducerPath]: reducer, nothing: () => null },
  middleware: (defaults) => defaults().concat(middleware),
});

function Polled({ url, ...options }) {
  const { data, isFetching, refetch } = api.useItemQuery(url, options);
  return h(Output, { url, data, fetching: isFetching, again: refetch });
}

const every = { as: Polled, pollingInterval: 60000 };

show(h(
  Provider,
  { store },
  h(Part, { ...every, url: '/api/a' }),
  h(Part, { ...every, url: '/api/b' }),
  h(Part, { ...every, url: '/api/late', pollingInterval: 70000 }),
  h(Part, { ...every, url: '/api/form', pollingInterval: 0 }),
  h(Part, { ...every, url: '/api/ticks', pollingInterval: 300 }),
));
