import { createClient } from 'graphql-sse';
import WebSocket from 'ws';
import { drive } from '../lib/driver.cjs';

/** npm's graphql-sse in its distinct-connections mode; the token travels in a header of each request. */
function graphqlSse({ httpUrl, connectionParams, reconnect, retryWait }) {
  const params = typeof connectionParams === 'function' ? connectionParams : () => connectionParams;
  const client = createClient({
    url: httpUrl,
    headers: () => {
      const { accessToken } = params();
      return accessToken ? { authorization: `Bearer ${accessToken}` } : {};
    },
    ...(reconnect ? {} : { retryAttempts: 0 }),
    ...(retryWait === undefined ? {} : { retry: () => new Promise((resolve) => setTimeout(resolve, retryWait)) }),
  });
  return {
    subscribe: (operation, sink) => client.subscribe(operation, sink),
    execute: (operation, sink) => client.subscribe(operation, sink),
    closeSocket: () => {},
    dispose: () => client.dispose(),
  };
}

drive(graphqlSse, WebSocket);
