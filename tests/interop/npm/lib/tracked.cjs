'use strict';
// A `ws` WebSocket that reports its life. Stock clients hide the close code, or tell it each in another way;
// this is the one place where all six are seen alike.

const { outline } = require('./frames.cjs');

function trackedWebSocket(WebSocket, emit) {
  let count = 0;
  return class TrackedWebSocket extends WebSocket {
    constructor(...options) {
      super(...options);
      const socket = (this.number = ++count);
      emit({ event: 'dialling', socket });
      this.on('open', () => emit({ event: 'connected', socket, subprotocol: this.protocol }));
      this.on('message', (data) => this.report(data));
      this.on('error', (error) => emit({ event: 'socket_error', socket, reason: error.message }));
      this.on('close', (code, reason) => emit({ event: 'closed', socket, code, reason: String(reason) }));
    }

    send(data, ...options) {
      emit({ event: 'sent', socket: this.number, ...outline(data) });
      super.send(data, ...options);
    }

    report(data) {
      const frame = outline(data);
      emit({ event: 'received', socket: this.number, ...frame });
      if (frame.type === 'connection_ack') emit({ event: 'acked', socket: this.number });
      if (frame.type === 'connection_error') {
        emit({ event: 'refused', socket: this.number, reason: JSON.stringify(JSON.parse(String(data)).payload) });
      }
    }
  };
}

module.exports = { trackedWebSocket };
