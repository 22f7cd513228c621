'use strict';
// What of a frame may be printed: its type, its operation, and for `connection_init` which keys it had and whose token.

const { fingerprint } = require('./tokens.cjs');

function outline(data) {
  let message;
  try {
    message = JSON.parse(String(data));
  } catch {
    return { type: 'unreadable' };
  }
  const { type, id, payload } = message;
  if (type !== 'connection_init') return { type, id };
  const tokens = Object.values(payload ?? {}).filter((value) => typeof value === 'string');
  return { type, keys: Object.keys(payload ?? {}), token: fingerprint(tokens[0]) };
}

module.exports = { outline };
