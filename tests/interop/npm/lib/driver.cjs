'use strict';
// What the programs of all stock clients share: one connection_params as an object or a function, one set of
// operations, one vocabulary of events. An adapter only says how its client is created, subscribed and closed:
//
//   adapter({url, httpUrl, WebSocket, connectionParams, token, lazy, inactivityTimeout, reconnect, retryWait})
//     -> {subscribe(operation, sink) -> end, execute(operation, sink), closeSocket(), dispose()}
//
// The commands and events are described in ../../harness.py.

const { emit, serveLines } = require('./lines.cjs');
const { trackedWebSocket } = require('./tracked.cjs');
const { fingerprint } = require('./tokens.cjs');

const CAP_SECONDS = 120;

/** Every client reports a failure in its own shape: GraphQL errors, a close event, or an exception. */
function failure(error) {
  if (Array.isArray(error)) return { errors: error };
  if (Array.isArray(error?.errors)) return { errors: error.errors };
  if (typeof error?.code === 'number') return { code: error.code, reason: String(error.reason ?? error.message) };
  if (error instanceof Error || error?.type === 'error') return { reason: error.message };
  return { errors: [error] };
}

function sinkOf(id) {
  return {
    next: (payload) => emit({ event: 'next', id, payload }),
    error: (error) => emit({ event: 'error', id, ...failure(error) }),
    complete: () => emit({ event: 'complete', id }),
  };
}

function drive(adapter, WebSocket) {
  const Tracked = trackedWebSocket(WebSocket, emit);
  const ends = new Map();
  let client = null;
  let token = null;
  let count = 0;

  const paramsFunction = (key) => () => {
    emit({ event: 'params_called', count: ++count, token: fingerprint(token) });
    return { [key]: token };
  };

  serveLines(
    {
      create({ params = 'function', key = 'accessToken', ...options }) {
        token = options.token ?? null;
        client = adapter({
          lazy: true,
          inactivityTimeout: 0,
          reconnect: true,
          ...options,
          WebSocket: Tracked,
          connectionParams: params === 'function' ? paramsFunction(key) : { [key]: token },
          token: () => token,
        });
        emit({ event: 'created' });
      },
      set_token(command) {
        token = command.token;
      },
      subscribe({ id, query, variables }) {
        ends.set(id, client.subscribe({ query, variables }, sinkOf(id)));
      },
      unsubscribe({ id }) {
        ends.get(id)();
        ends.delete(id);
      },
      execute({ id, query, variables }) {
        client.execute({ query, variables }, sinkOf(id));
      },
      close_socket() {
        client.closeSocket();
      },
      dispose() {
        client.dispose();
      },
    },
    { capSeconds: CAP_SECONDS },
  );
  emit({ event: 'ready' });
}

module.exports = { drive };
