// graphql-ws 6 with ws 8 and graphql 16.

import * as graphql from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { serve, watch } from '../lib/serve.cjs';

serve(graphql, (server, chat) => {
  const sockets = new WebSocketServer({ server, path: '/graphql' });
  watch(sockets);
  useServer(
    {
      schema: chat.schema,
      onConnect({ connectionParams, extra }) {
        try {
          extra.user = chat.identify(connectionParams?.accessToken);
          return true;
        } catch (error) {
          extra.socket.close(4403, error.message); // the library alone would say "Forbidden"
          return false;
        }
      },
      context: ({ extra }) => ({ user: extra.user }),
    },
    sockets,
  );
  return sockets;
});
