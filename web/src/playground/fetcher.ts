// How GraphiQL reaches the server: queries and mutations by POST with the header, subscriptions on the one socket.

import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { parse, type DocumentNode, type ExecutionResult } from "graphql";
import type { Identity } from "./identity";

export function createFetcher(url: string, identity: Identity): Fetcher {
  return (params, options) => {
    const document = options?.documentAST ?? parsed(params.query);
    return document !== null && isSubscription(document, params.operationName) ? subscribe(params, identity) : post(url, params, identity);
  };
}

async function post(url: string, params: FetcherParams, identity: Identity): Promise<ExecutionResult<Record<string, unknown>>> {
  const answer = await fetch(url, {
    method: "POST",
    credentials: "omit",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json;q=0.9",
      ...identity.headers(),
    },
    body: JSON.stringify(params),
  });
  return (await answer.json()) as ExecutionResult<Record<string, unknown>>;
}

function subscribe({ query, operationName, variables }: FetcherParams, identity: Identity): AsyncIterable<ExecutionResult<Record<string, unknown>>> {
  return identity.socket.iterate({
    query,
    operationName: operationName ?? null,
    variables: variables as Record<string, unknown>,
  }) as AsyncIterable<ExecutionResult<Record<string, unknown>>>;
}

/** What cannot be read is the server's to explain. */
function parsed(query: string): DocumentNode | null {
  try {
    return parse(query);
  } catch {
    return null;
  }
}

function isSubscription(document: DocumentNode, name: string | null | undefined): boolean {
  const operations = document.definitions.filter((each) => each.kind === "OperationDefinition");
  const chosen = name ? operations.find((each) => each.name?.value === name) : operations[0];
  return chosen?.operation === "subscription";
}
