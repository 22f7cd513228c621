// The Node client that client_flood.py measures: graphql-ws over ws, as its own documentation does it.
//
//     node flood_node.mjs FOLDER flood|clients|subscriptions PORT COUNT
//
// FOLDER has the packages. The answer is one line of JSON, as from flood_clients.py.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';

const [folder, measure, port, count] = process.argv.slice(2);
const packages = createRequire(`${folder}/package.json`);
const { createClient } = packages('graphql-ws');
const WebSocket = packages('ws');
const query = 'subscription { messageAdded { id from text room { id } createdAt } }';

const open = (path, options = {}) =>
  createClient({ url: `ws://127.0.0.1:${port}${path}`, webSocketImpl: WebSocket, ...options });

const answer = (values) => process.stdout.write(`${JSON.stringify(values)}\n`, () => process.exit(0));

const fail = (error) => {
  console.error(error);
  process.exit(1);
};

async function residentBytes() {
  await pause(200);
  globalThis.gc?.();
  await pause(50);
  return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;
}

function flood() {
  const cpu = process.cpuUsage();
  const began = performance.now();
  let events = 0;
  const complete = () => {
    const { user, system } = process.cpuUsage(cpu);
    answer({ events, cpu_seconds: (user + system) / 1e6, seconds: (performance.now() - began) / 1e3 });
  };
  const next = (result) => {
    if (result.data !== null) events += 1;
  };
  open(`/flood/${count}`).subscribe({ query }, { next, error: fail, complete });
}

const connect = () => new Promise((resolve) => {
  const client = open('/idle', { lazy: false, onNonLazyError: fail, on: { connected: () => resolve(client) } });
});

const subscribe = (client) => new Promise((resolve) => {
  client.subscribe({ query }, { next: resolve, error: fail, complete: () => {} });
});

async function clients() {
  const kept = [await connect()];
  const before = await residentBytes();
  while (kept.length <= Number(count)) kept.push(await connect());
  answer({ bytes: ((await residentBytes()) - before) / (kept.length - 1) });
}

async function subscriptions() {
  const client = await connect();
  await subscribe(client);
  const before = await residentBytes();
  await Promise.all(Array.from({ length: Number(count) }, () => subscribe(client)));
  answer({ bytes: ((await residentBytes()) - before) / Number(count) });
}

await { flood, clients, subscriptions }[measure]();
