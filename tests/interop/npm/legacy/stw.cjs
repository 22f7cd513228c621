'use strict';
// The adapter of subscriptions-transport-ws; 0.9.18 and 0.11 have the same surface. `reconnect` is its own back-off,
// 0.1 s at first; `retryWait` has no counterpart here.

const optionsOf = ({ connectionParams, lazy, inactivityTimeout, reconnect }) => ({
  connectionParams,
  lazy,
  inactivityTimeout,
  reconnect,
});

const request = (client) => (operation, sink) => {
  const subscription = client.request(operation).subscribe(sink);
  return () => subscription.unsubscribe();
};

const subscriptionsTransport = (SubscriptionClient) => (options) => {
  const client = new SubscriptionClient(options.url, optionsOf(options), options.WebSocket);
  return {
    subscribe: request(client),
    execute: request(client),
    closeSocket: () => client.close(false, false),
    dispose: () => client.close(),
  };
};

module.exports = { optionsOf, subscriptionsTransport };
