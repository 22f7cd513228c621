'use strict';
// One JSON value per line: commands come in on stdin, events leave on stdout.
// Ends the program when stdin ends, and after `capSeconds` whatever happens, so that no test leaves a process behind.

const { createInterface } = require('readline');

function emit(event) {
  process.stdout.write(JSON.stringify(event) + '\n');
}

function failed(reason) {
  emit({ event: 'failed', reason: String(reason) });
}

/** Runs `commands[line.do](line)` for every line. A command that throws is reported and the next one is read. */
function serveLines(commands, { capSeconds }) {
  setTimeout(() => process.exit(3), capSeconds * 1000).unref();
  process.on('uncaughtException', (error) => failed(error?.stack ?? error));
  process.on('unhandledRejection', (error) => failed(error?.stack ?? error));
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    try {
      const command = JSON.parse(line);
      await commands[command.do](command);
    } catch (error) {
      failed(error?.stack ?? error);
    }
  });
  lines.on('close', () => process.exit(0));
}

module.exports = { emit, serveLines };
