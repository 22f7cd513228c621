// What the server tells its page before anybody has signed in.

export interface Account {
  name: string;
  password: string;
}

export interface Config {
  /** Public accounts, and the panel that shows the frames. */
  demo: boolean;
  accounts: readonly Account[];
  /** Where GraphQL is, as an absolute URL. */
  graphql: string;
  playground: boolean;
}

const PLAIN = { demo: false, accounts: [], graphql: "/graphql", playground: false };

export async function loadConfig(): Promise<Config> {
  const told: Partial<Config> = await fetch("config.json", { credentials: "omit" })
    .then((answer) => (answer.ok ? answer.json() : {}))
    .catch(() => ({}));
  const config = { ...PLAIN, ...told };
  return { ...config, graphql: new URL(config.graphql, document.baseURI).href };
}
