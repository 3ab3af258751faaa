// Apollo Client over GET, both majors: an interval, a mutation that refetches.

import { ApolloClient, ApolloLink, ApolloProvider, HttpLink, InMemoryCache, gql, useMutation, useQuery }
  from 'apollo';
import { mount } from 'mount';
import { answer, asked, every, shape, state, url, written } from './record.js';

const ITEMS = gql`query Items { list { version items } }`;
const ADD = gql`mutation Add($title: String!) { add(title: $title) { version } }`;

async function noting(target, init) {
  if (init.method !== 'GET') return fetch(target, init);
  const events = [];
  try {
    const response = await fetch(target, init);
    events.push({ ...answer(response), url });
    return response;
  } catch (error) {
    events.push(shape(error));
    throw error;
  } finally {
    asked(events);
  }
}

const http = new HttpLink({ uri: url, useGETForQueries: true, fetch: noting });
const client = new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.from([http]) });

function App() {
  const items = useQuery(ITEMS, { pollInterval: every, notifyOnNetworkStatusChange: true });
  const [add] = useMutation(ADD, { refetchQueries: [ITEMS], awaitRefetchQueries: true });
  window.app = {
    write: async (title) => written((await add({ variables: { title } })).data.add.version),
  };
  const { data, error, loading, networkStatus } = items;
  state({ data: data?.list, error }, { loading, networkStatus });
  return <ul>{data?.list.items.map((item) => <li key={item}>{item}</li>)}</ul>;
}

mount(<ApolloProvider client={client}><App /></ApolloProvider>);
