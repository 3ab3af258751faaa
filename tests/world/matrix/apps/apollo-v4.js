// What Apollo Client 4 exports, in one place.

export { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
export { ApolloProvider, useMutation, useQuery } from '@apollo/client/react';
