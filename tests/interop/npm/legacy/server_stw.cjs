'use strict';
// subscriptions-transport-ws 0.11 with ws 7 and graphql 15. As its users run it, it leaves the choice of a subprotocol
// to ws, which takes the first offered, and then closes 1002 when that is not its own. With {"negotiate": true} it
// picks its own out of several.

const graphql = require('graphql');
const { SubscriptionServer } = require('subscriptions-transport-ws-0.11');
const WebSocket = require('ws');
const { serve, watch } = require('../lib/serve.cjs');

const SUBPROTOCOL = 'graphql-ws';
const choose = (offered) => [...offered].includes(SUBPROTOCOL) && SUBPROTOCOL;

serve(graphql, (server, chat, { negotiate }) => {
  const { execute, subscribe } = graphql;
  const handleProtocols = negotiate ? choose : null;
  const sockets = new WebSocket.Server({ server, path: '/graphql', handleProtocols });
  watch(sockets);
  SubscriptionServer.create(
    {
      schema: chat.schema,
      execute,
      subscribe,
      onConnect: (payload) => ({ user: chat.identify(payload?.accessToken) }),
    },
    sockets,
  );
  return sockets;
});
