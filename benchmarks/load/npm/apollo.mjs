// Apollo Server with the server of its own, in production mode.
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { startStandaloneServer } from '@apollo/server/standalone';
import { lastMessages, subjectOf, typeDefs } from './messages.mjs';

const server = new ApolloServer({
  typeDefs,
  resolvers: { Query: { messages: lastMessages } },
  plugins: [ApolloServerPluginLandingPageDisabled()],
});
await startStandaloneServer(server, {
  listen: { port: Number(process.argv[2]), host: '127.0.0.1' },
  context: async ({ req }) => ({ user: subjectOf(req.headers.authorization) }),
});
process.stdin.on('end', () => process.exit(0)).resume();
