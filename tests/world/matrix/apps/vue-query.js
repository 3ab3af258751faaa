// Vue Query, both majors.

import { VueQueryPlugin, useMutation, useQuery, useQueryClient } from '@tanstack/vue-query';
import { createApp, h, unref } from 'vue';
import { addItem, getItems } from 'http';
import { every, state, written } from './record.js';

const App = {
  setup() {
    const client = useQueryClient();
    const items = useQuery({ queryKey: ['items'], queryFn: getItems, refetchInterval: every });
    const add = useMutation({
      mutationFn: addItem,
      onSuccess: () => client.invalidateQueries({ queryKey: ['items'] }),
    });
    window.app = { write: async (title) => written((await add.mutateAsync(title)).version) };
    const now = (...names) => Object.fromEntries(names.map((name) => [name, unref(items[name])]));
    return () => {
      state(now('data', 'error', 'status', 'isError', 'isSuccess'),
        now('isFetching', 'isLoading', 'isRefetching', 'fetchStatus', 'failureCount'));
      return h('ul', unref(items.data)?.items.map((item) => h('li', { key: item }, item)));
    };
  },
};

const queries = { retry: 1, retryDelay: 200 };
createApp(App).use(VueQueryPlugin, { queryClientConfig: { defaultOptions: { queries } } }).mount('#root');
