// RTK Query, both majors: its own fetch, an interval, a mutation that invalidates a tag.

import { configureStore } from '@reduxjs/toolkit';
import { createApi, fetchBaseQuery } from '@reduxjs/toolkit/query/react';
import { Provider } from 'react-redux';
import { mount } from 'mount';
import { answer, asked, every, record, shape, state, url, written } from './record.js';

const ask = fetchBaseQuery({ baseUrl: location.origin });

async function baseQuery(args, api, options) {
  const result = await ask(args, api, options);
  const { response } = result.meta ?? {};
  if (api.type === 'query') asked([response ? answer(response) : null, shape(result.error ?? null)]);
  return result;
}

const api = createApi({
  baseQuery,
  tagTypes: ['Items'],
  endpoints: (build) => ({
    items: build.query({ query: () => url, providesTags: ['Items'] }),
    add: build.mutation({
      query: (title) => ({ url, method: 'POST', body: { title } }),
      invalidatesTags: ['Items'],
    }),
  }),
});

const store = configureStore({
  reducer: { [api.reducerPath]: api.reducer },
  middleware: (defaults) => defaults().concat(api.middleware),
});

function App() {
  const items = api.useItemsQuery(undefined, { pollingInterval: every });
  const [add] = api.useAddMutation();
  // The mutation is over before the list that it invalidates has been read again.
  window.app = {
    async write(title) {
      const { version } = await add(title).unwrap();
      await record.until('version', version);
      return written(version);
    },
  };
  const { data, error, status, isError, isSuccess, isFetching, isLoading } = items;
  state({ data, error }, { status, isError, isSuccess, isFetching, isLoading });
  return <ul>{data?.items.map((item) => <li key={item}>{item}</li>)}</ul>;
}

mount(<Provider store={store}><App /></Provider>);
