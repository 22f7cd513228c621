// The adapter of npm's graphql-ws; versions 5 and 6 have the same surface.

/** A stock client with the options that a test may turn. `retryWait` in milliseconds replaces a random 1.3 to 4 s. */
export function graphqlWsClient(createClient, options) {
  const { url, WebSocket, connectionParams, lazy, inactivityTimeout, reconnect, retryWait } = options;
  return createClient({
    url,
    webSocketImpl: WebSocket,
    connectionParams,
    lazy,
    lazyCloseTimeout: inactivityTimeout,
    onNonLazyError: () => {},
    ...(reconnect ? {} : { retryAttempts: 0 }),
    ...(retryWait === undefined
      ? {}
      : { retryWait: () => new Promise((resolve) => setTimeout(resolve, retryWait)) }),
  });
}

export const graphqlWs = (createClient) => (options) => {
  const client = graphqlWsClient(createClient, options);
  return {
    subscribe: (operation, sink) => client.subscribe(operation, sink),
    execute: (operation, sink) => client.subscribe(operation, sink),
    closeSocket: () => client.terminate(),
    dispose: () => client.dispose(),
  };
};
