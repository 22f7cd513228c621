// The audits of npm's graphql-http against the server at the address that is given, as whoever GQLINK_TOKEN stands for.
// One JSON object a line: {"id", "name", "status", "reason"}. Ends by itself, and after a minute whatever happens.

import { serverAudits } from 'graphql-http';

const [url] = process.argv.slice(2);
const token = process.env.GQLINK_TOKEN;

setTimeout(() => process.exit(3), 60_000).unref();

function ask(address, init = {}) {
  const headers = token ? { ...init.headers, authorization: `Bearer ${token}` } : init.headers;
  return fetch(address, { ...init, headers });
}

for (const audit of serverAudits({ url, fetchFn: ask })) {
  const { status, reason } = await audit.fn();
  process.stdout.write(JSON.stringify({ id: audit.id, name: audit.name, status, reason: reason ?? null }) + '\n');
}
