// Apollo over GET, a URL for each operation.
import { ApolloClient, ApolloProvider, HttpLink, InMemoryCache, gql, useQuery } from '@apollo/client';
import { show } from 'app-root';
import { createElement as h } from 'react';
import { Output, Part } from './parts.js';

const uri = ({ operationName }) => `/api/${operationName}`;
const link = new HttpLink({ uri, useGETForQueries: true });
const client = new ApolloClient({ link, cache: new InMemoryCache() });
const of = (name) => gql(`query ${name} { n }`);
const queries = { ticks: of('ticks'), slower: of('slower'), form: of('form') };

function Polled({ url, pollInterval }) {
  const name = url.slice('/api/'.length);
  const { data, loading, refetch } = useQuery(queries[name], {
    pollInterval, fetchPolicy: 'network-only', notifyOnNetworkStatusChange: true,
  });
  return h(Output, { url, data, fetching: loading, again: refetch });
}

show(h(
  ApolloProvider,
  { client },
  h(Part, { as: Polled, url: '/api/ticks', pollInterval: 300 }),
  h(Part, { as: Polled, url: '/api/slower', pollInterval: 400 }),
  h(Part, { as: Polled, url: '/api/form', pollInterval: 0 }),
));
