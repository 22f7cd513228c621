'use strict';
// apollo-link-ws, as an Apollo Client 1 or 2 uses it: an ApolloLink over subscriptions-transport-ws 0.9.18.

const { execute } = require('apollo-link');
const { WebSocketLink } = require('apollo-link-ws');
const { parse } = require('graphql');
const WebSocket = require('ws');
const { drive } = require('../lib/driver.cjs');
const { optionsOf } = require('./stw.cjs');

function adapter(options) {
  const link = new WebSocketLink({ uri: options.url, options: optionsOf(options), webSocketImpl: options.WebSocket });
  const request = ({ query, variables }, sink) => {
    const subscription = execute(link, { query: parse(query), variables }).subscribe(sink);
    return () => subscription.unsubscribe();
  };
  return {
    subscribe: request,
    execute: request,
    closeSocket: () => link.subscriptionClient.close(false, false),
    dispose: () => link.subscriptionClient.close(),
  };
}

drive(adapter, WebSocket);
