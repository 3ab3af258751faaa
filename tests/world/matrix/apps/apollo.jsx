// Apollo Client over GET, both majors: an interval, a mutation that refetches.

import { ApolloClient, ApolloLink, ApolloProvider, HttpLink, InMemoryCache, gql, useMutation, useQuery }
  from 'apollo';
import { mount } from 'mount';
import { answer, asked, every, record, shape, state, url, written } from './record.js';

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

let settled;

function App() {
  const items = useQuery(ITEMS, { pollInterval: every, notifyOnNetworkStatusChange: true });
  const [add] = useMutation(ADD, { refetchQueries: [ITEMS], awaitRefetchQueries: true });
  window.app = {
    async write(title) {
      const { version } = (await add({ variables: { title } })).data.add;
      await record.until('version', version);
      return written(version);
    },
  };
  const { data, error, loading, networkStatus } = items;
  // Each new attempt takes the error away for as long as it lasts.
  if (!loading) settled = error;
  state({ data: data?.list, error: settled }, { loading, networkStatus, failing: Boolean(error) });
  return <ul>{data?.list.items.map((item) => <li key={item}>{item}</li>)}</ul>;
}

mount(<ApolloProvider client={client}><App /></ApolloProvider>);
