// What every contestant serves, for those in Node; see ../messages.py.
import { buildSchema } from 'graphql';
import { PubSub } from 'graphql-subscriptions';
import jwt from 'jsonwebtoken';

const [secret, issuer] = [process.env.SECRET, process.env.ISSUER];
const STORED = 50;

export const typeDefs = `
type Query { messages: [Message!] }
type Mutation { addMessage(text: String!): Message }
type Subscription { messageAdded: Message }
type Message { id: ID! user: String! text: String! }
`;

export const subjectOf = (token) => {
  const text = String(token ?? '').replace(/^Bearer /, '');
  return jwt.verify(text, secret, { algorithms: ['HS256'], issuer, audience: issuer }).sub;
};

let count = 0;
const make = (user, text) => ({ id: String((count += 1)), user, text });
const all = Array.from({ length: STORED }, (_, number) => make(`user${number % 7}`, 'x'.repeat(100)));
const hub = new PubSub();
hub.ee.setMaxListeners(0);

export const lastMessages = () => all.slice(-STORED);

export const addMessage = (user, text) => {
  const message = make(user, text);
  all.push(message);
  hub.publish('messageAdded', { messageAdded: message });
  return message;
};

export const executable = () => {
  const schema = buildSchema(typeDefs);
  schema.getQueryType().getFields().messages.resolve = lastMessages;
  schema.getMutationType().getFields().addMessage.resolve = (_, { text }, { user }) => addMessage(user, text);
  schema.getSubscriptionType().getFields().messageAdded.subscribe = () => hub.asyncIterableIterator(['messageAdded']);
  return schema;
};
