// graphql-ws over ws, as its documentation shows it.
import { createServer } from 'node:http';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { executable, subjectOf } from './messages.mjs';

const server = createServer((_, response) => response.writeHead(404).end());
const sockets = new WebSocketServer({ server, path: '/graphql' });
useServer(
  {
    schema: executable(),
    onConnect({ connectionParams, extra }) {
      try {
        extra.user = subjectOf(connectionParams?.accessToken);
        return true;
      } catch {
        return false;
      }
    },
    context: ({ extra }) => ({ user: extra.user }),
  },
  sockets,
);
server.listen(Number(process.argv[2]), '127.0.0.1', 1024);
process.stdin.on('end', () => process.exit(0)).resume();
