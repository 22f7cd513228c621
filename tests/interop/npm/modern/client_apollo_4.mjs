// @apollo/client 4 as its documentation sets it up: subscriptions over graphql-ws, everything else over HTTP.

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { drive } from '../lib/driver.cjs';
import { graphqlWsClient } from './graphql_ws.mjs';

// GraphQLWsLink looks at WebSocket.CLOSED when a socket fails; Node has that global from version 22 on.
globalThis.WebSocket ??= WebSocket;

const POLICIES = { fetchPolicy: 'no-cache', errorPolicy: 'all' };

function httpLink({ httpUrl, token }) {
  const authorised = new SetContextLink(({ headers }) => ({
    headers: token() ? { ...headers, authorization: `Bearer ${token()}` } : headers,
  }));
  return authorised.concat(new HttpLink({ uri: httpUrl }));
}

/** Apollo asks for `__typename` everywhere; left out here, so that all six clients show the same. */
const plain = (data) =>
  JSON.parse(JSON.stringify(data ?? null, (key, value) => (key === '__typename' ? undefined : value)));

/** Apollo gives GraphQL errors and the failure of a socket in the same place; told apart here. */
function relay({ data, error }, sink) {
  if (error && !error.errors) sink.error(error);
  else sink.next({ data: plain(data), ...(error ? { errors: error.errors } : {}) });
}

function adapter(options) {
  const socket = graphqlWsClient(createClient, options);
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      httpLink(options),
    ),
  });
  const ask = (document, variables) =>
    document.definitions[0].operation === OperationTypeNode.MUTATION
      ? client.mutate({ mutation: document, variables, ...POLICIES })
      : client.query({ query: document, variables, ...POLICIES });
  return {
    subscribe({ query, variables }, sink) {
      const subscription = client
        .subscribe({ query: gql(query), variables, ...POLICIES })
        .subscribe({ ...sink, next: (result) => relay(result, sink) });
      return () => subscription.unsubscribe();
    },
    execute: ({ query, variables }, sink) =>
      ask(gql(query), variables).then((result) => {
        relay(result, sink);
        sink.complete();
      }, sink.error),
    closeSocket: () => socket.terminate(),
    dispose: () => {
      client.stop();
      socket.dispose();
    },
  };
}

drive(adapter, WebSocket);
