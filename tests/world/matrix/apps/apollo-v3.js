// What Apollo Client 3 exports, in one place.

export { ApolloClient, ApolloLink, ApolloProvider, HttpLink, InMemoryCache, gql, useMutation, useQuery }
  from '@apollo/client';
