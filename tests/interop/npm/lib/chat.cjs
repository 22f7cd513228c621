'use strict';
// The chat that both Node servers serve, kept in memory. The caller brings its own version of `graphql`.

const { sign, verify } = require('./tokens.cjs');
const { Topic } = require('./topic.cjs');

const SDL = `
scalar DateTime
type Query {
  viewer: User
  messages(room: ID! = "general", last: Int! = 50, before: ID): [Message!]!
  rooms: [Room!]!
}
type Mutation { addMessage(input: MessageInput!): Message! }
type Subscription { messageAdded(room: ID! = "general"): Message! }
type Message { id: ID! clientId: ID from: String! text: String! room: Room! createdAt: DateTime! }
type User { name: String! }
type Room { id: ID! title: String! }
input MessageInput { text: String! room: ID! = "general" clientId: ID }
`;
const PASSWORDS = { alice: 'alice123', bob: 'bob123', charlie: 'charlie123' };
const LIFETIME_SECONDS = 120;

/** An error whose `extensions.code` reaches the client; this form works in graphql 15 and 16 alike. */
function coded(message, code) {
  return Object.assign(new Error(message), { extensions: { code } });
}

function requireUser(context) {
  if (!context.user) throw coded('You must be logged in.', 'UNAUTHENTICATED');
  return context.user;
}

function makeChat({ buildSchema }, { secret, emit }) {
  const general = { id: 'general', title: 'General' };
  const topic = new Topic();
  const messages = [];

  function inRoom(id) {
    if (id !== general.id) throw coded('There is no such room.', 'BAD_USER_INPUT');
    return messages;
  }

  function earlier(stored, before) {
    const place = stored.findIndex(({ id }) => id === before);
    return place < 0 ? stored : stored.slice(0, place);
  }

  function addMessage(user, { text, room, clientId }) {
    const stored = inRoom(room);
    const said = clientId && stored.find((message) => message.from === user && message.clientId === clientId);
    if (said) return said;
    const id = String(stored.length + 1);
    const message = { id, clientId, from: user, text, room: general, createdAt: new Date().toISOString() };
    stored.push(message);
    topic.publish({ messageAdded: message });
    return message;
  }

  const resolvers = {
    Query: {
      viewer: { resolve: (_, __, { user }) => (user ? { name: user } : null) },
      messages: {
        resolve: (_, { room, last, before }, context) =>
          requireUser(context) && earlier(inRoom(room), before).slice(-last),
      },
      rooms: { resolve: (_, __, context) => requireUser(context) && [general] },
    },
    Mutation: { addMessage: { resolve: (_, { input }, context) => addMessage(requireUser(context), input) } },
    Subscription: {
      messageAdded: {
        subscribe(_, { room }, context) {
          const user = requireUser(context);
          inRoom(room);
          const listener = topic.listen();
          emit({ event: 'listening', user });
          return listener;
        },
      },
    },
  };
  const schema = buildSchema(SDL);
  for (const [type, fields] of Object.entries(resolvers)) {
    for (const [name, functions] of Object.entries(fields)) {
      Object.assign(schema.getType(type).getFields()[name], functions);
    }
  }

  return {
    schema,
    /** null when the name or the password is wrong. */
    login(name, password, expiresIn = LIFETIME_SECONDS) {
      if (!Object.hasOwn(PASSWORDS, name) || PASSWORDS[name] !== password) return null;
      const now = Math.floor(Date.now() / 1000);
      return { token: sign({ sub: name, iat: now, exp: now + expiresIn }, secret), expiresIn };
    },
    /** The user's name, null for nobody; throws for a token that does not verify. */
    identify: (token) => (token ? verify(token, secret).sub : null),
  };
}

module.exports = { makeChat };
