'use strict';
// What both Node servers share: HTTP beside the socket, a report of every socket's life, and commands that disturb it.

const { createServer } = require('http');
const { emit, serveLines } = require('./lines.cjs');
const { makeChat } = require('./chat.cjs');
const { outline } = require('./frames.cjs');

const CAP_SECONDS = 300;
const BEARER = /^Bearer +/i;

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const refusal = (status, code, message) => [status, { error: { code, message } }];

function answerLogin(chat, { name, username, password, expiresIn }) {
  const grant = chat.login(name ?? username, password, expiresIn);
  return grant ? [200, grant] : refusal(401, 'UNAUTHENTICATED', 'Wrong name or password.');
}

/** Bad credentials are an error; no credentials are nobody. */
async function answerGraphql(chat, graphql, { query, variables, operationName }, authorization) {
  let user;
  try {
    user = chat.identify(authorization.replace(BEARER, ''));
  } catch (error) {
    return [401, { errors: [{ message: error.message, extensions: { code: 'UNAUTHENTICATED' } }] }];
  }
  const context = { schema: chat.schema, contextValue: { user } };
  return [200, await graphql({ ...context, source: query ?? '', variableValues: variables, operationName })];
}

async function answer(chat, graphql, request) {
  if (request.method !== 'POST') return refusal(405, 'METHOD_NOT_ALLOWED', 'Only POST.');
  const body = await bodyOf(request).catch(() => null);
  if (body === null) return refusal(400, 'BAD_USER_INPUT', 'The body is not JSON.');
  if (request.url === '/login') return answerLogin(chat, body);
  if (request.url === '/graphql') return answerGraphql(chat, graphql, body, request.headers.authorization ?? '');
  return refusal(404, 'NOT_FOUND', 'Nothing here.');
}

/** Prints what happens to each socket. To be called before the server's own library listens to it. */
function watch(webSocketServer) {
  let count = 0;
  webSocketServer.on('connection', (webSocket, request) => {
    const socket = ++count;
    const offered = request.headers['sec-websocket-protocol'];
    emit({ event: 'opened', socket, subprotocol: webSocket.protocol, offered });
    webSocket.on('message', (data) => emit({ event: 'received', socket, ...outline(data) }));
    webSocket.on('close', (code, reason) => emit({ event: 'closed', socket, code, reason: String(reason) }));
    const send = webSocket.send.bind(webSocket);
    webSocket.send = (data, ...options) => {
      emit({ event: 'sent', socket, ...outline(data) });
      send(data, ...options);
    };
  });
}

/**
 * Serves the chat until stdin ends. The first argument of the program is {"secret": str}.
 * `attach(server, chat)` mounts the socket under /graphql and returns the WebSocket server.
 */
function serve(graphqlModule, attach) {
  const { secret, ...options } = JSON.parse(process.argv[2]);
  const chat = makeChat(graphqlModule, { secret, emit });
  const server = createServer(async (request, response) => {
    const [status, body] = await answer(chat, graphqlModule.graphql, request);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const webSocketServer = attach(server, chat, options);
  serveLines(
    {
      cut: () => webSocketServer.clients.forEach((webSocket) => webSocket.terminate()),
      close: ({ code, reason }) => webSocketServer.clients.forEach((webSocket) => webSocket.close(code, reason)),
    },
    { capSeconds: CAP_SECONDS },
  );
  server.listen(0, '127.0.0.1', () => emit({ port: server.address().port, event: 'ready' }));
}

module.exports = { serve, watch };
