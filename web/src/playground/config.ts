// Where things are, as config.json beside the page says; everything in it may be missing.

export interface Config {
  /** Where GraphQL is, as an absolute URL. */
  graphql: string;
  /** Where a name and a password become a token; null where tokens come from elsewhere and are pasted. */
  login: string | null;
  /** Where a session is renewed, and where it is ended; null where it cannot be. */
  refresh: string | null;
  logout: string | null;
  accounts: readonly { name: string; password: string }[];
}

export async function loadConfig(): Promise<Config> {
  const told: Partial<Config> = await fetch("config.json", { credentials: "omit" })
    .then((answer) => (answer.ok ? answer.json() : {}))
    .catch(() => ({}));
  const absolute = (path: string) => new URL(path, document.baseURI).href;
  return {
    graphql: absolute(told.graphql ?? "/graphql"),
    login: told.login == null ? null : absolute(told.login),
    refresh: told.refresh == null ? null : absolute(told.refresh),
    logout: told.logout == null ? null : absolute(told.logout),
    accounts: told.accounts ?? [],
  };
}
