// The whole set-up, to copy: GraphQL over HTTP and over WebSocket, both speaking for whoever is signed in right now.
//
// Queries and mutations go over HTTP and carry the token in a header. Subscriptions go over one WebSocket and carry
// it in `connection_init`, the first message of every connection. Both ask `getAccessToken` at that moment; neither
// remembers an answer. A token ends, and its socket with it: whenever the login has exchanged it for another one of the
// same person, give that to `renewal.renew`, and the socket lives on.

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { getMainDefinition } from "@apollo/client/utilities";
import { createClient as createSocket, type Client as Socket, type ClientOptions } from "graphql-ws";
import { Renewal } from "./renewal";

export interface ChatClientOptions {
  /** Where GraphQL is, such as "https://chat.example/graphql"; the WebSocket has the same address. */
  url: string;
  /** The access token of whoever is signed in, or null. */
  getAccessToken: () => Promise<string | null>;
  /** Anything else that graphql-ws understands. */
  socket?: Partial<ClientOptions>;
}

export interface ChatClient {
  apollo: ApolloClient;
  socket: Socket;
  renewal: Renewal;
}

export function createChatClient({ url, getAccessToken, socket: socketOptions }: ChatClientOptions): ChatClient {
  const socket = createSocket({
    url: url.replace(/^http/, "ws"),
    // A function: graphql-ws calls it at each connection. As a plain object it would be read once, here, before
    // anybody has signed in, and every connection would say `accessToken: null` for ever.
    connectionParams: async () => ({ accessToken: await getAccessToken() }),
    // A connection that cannot be made is an `error` event to graphql-ws, and fatal unless we say otherwise.
    shouldRetry: () => true,
    retryAttempts: Infinity,
    ...socketOptions,
  });

  const authorization = new SetContextLink(async ({ headers }) => {
    const token = await getAccessToken();
    return { headers: token === null ? headers : { ...headers, authorization: `Bearer ${token}` } };
  });
  const http = authorization.concat(new HttpLink({ uri: url, credentials: "omit" }));

  const apollo = new ApolloClient({
    link: ApolloLink.split(isSubscription, new GraphQLWsLink(socket), http),
    cache: new InMemoryCache(),
  });
  return { apollo, socket, renewal: new Renewal(socket) };
}

function isSubscription({ query }: ApolloLink.Operation): boolean {
  const definition = getMainDefinition(query);
  return definition.kind === "OperationDefinition" && definition.operation === "subscription";
}
