// React Query, all majors: an interval, a mutation that invalidates.

import { QueryClient, QueryClientProvider, useMutation, useQuery, useQueryClient }
  from '@tanstack/react-query';
import { addItem, getItems } from 'http';
import { mount } from 'mount';
import { every, state, written } from './record.js';

function App() {
  const client = useQueryClient();
  const items = useQuery({ queryKey: ['items'], queryFn: getItems, refetchInterval: every });
  const add = useMutation({
    mutationFn: addItem,
    onSuccess: () => client.invalidateQueries({ queryKey: ['items'] }),
  });
  window.app = { write: async (title) => written((await add.mutateAsync(title)).version) };
  const { data, error, status, isError, isSuccess, isStale, isPreviousData, isPlaceholderData } = items;
  const { isFetching, isLoading, isRefetching, fetchStatus, failureCount } = items;
  state({ data, error, status, isError, isSuccess, isPreviousData, isPlaceholderData },
    { isStale, isFetching, isLoading, isRefetching, fetchStatus, failureCount });
  return <ul>{data?.items.map((item) => <li key={item}>{item}</li>)}</ul>;
}

const queries = { retry: 1, retryDelay: 200 };
const client = new QueryClient({ defaultOptions: { queries } });
mount(<QueryClientProvider client={client}><App /></QueryClientProvider>);
