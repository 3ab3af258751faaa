// Solid Query, without JSX, whose compiler is all that is missing here.

import { QueryClient, QueryClientProvider, createMutation, createQuery, useQueryClient }
  from '@tanstack/solid-query';
import { createComponent, createEffect } from 'solid-js';
import { insert, render } from 'solid-js/web';
import { addItem, getItems } from 'http';
import { every, state, written } from './record.js';

function Items() {
  const client = useQueryClient();
  const items = createQuery(() => ({ queryKey: ['items'], queryFn: getItems, refetchInterval: every }));
  const add = createMutation(() => ({
    mutationFn: addItem,
    onSuccess: () => client.invalidateQueries({ queryKey: ['items'] }),
  }));
  window.app = { write: async (title) => written((await add.mutateAsync(title)).version) };
  createEffect(() => {
    const { data, error, status, isError, isSuccess, isFetching, isLoading, fetchStatus, failureCount } = items;
    state({ data, error, status, isError, isSuccess }, { isFetching, isLoading, fetchStatus, failureCount });
  });
  const list = document.createElement('ul');
  insert(list, () => items.data?.items.join(', '));
  return list;
}

const queries = { retry: 1, retryDelay: 200 };
const client = new QueryClient({ defaultOptions: { queries } });
render(() => createComponent(QueryClientProvider, {
  client,
  get children() {
    return createComponent(Items, {});
  },
}), document.getElementById('root'));
