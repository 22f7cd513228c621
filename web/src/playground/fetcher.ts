// How GraphiQL reaches the server: queries and mutations by POST with the header, subscriptions on the one socket.

import type { Fetcher, FetcherParams } from "@graphiql/toolkit";
import { parse, type DocumentNode, type ExecutionResult } from "graphql";
import { authorization, type Identity } from "./identity";

type Result = ExecutionResult<Record<string, unknown>>;

export function createFetcher(url: string, identity: Identity): Fetcher {
  return (params, options) => {
    const document = options?.documentAST ?? parsed(params.query);
    return document !== null && isSubscription(document, params.operationName) ? subscribe(params, identity) : post(url, params, identity);
  };
}

/** What is refused with 401 has not run: with another token of the same person it is asked for again, once. */
async function post(url: string, params: FetcherParams, identity: Identity): Promise<Result> {
  const { token } = identity;
  const name = identity.name.get();
  const answer = await ask(url, params, token);
  if (answer.status !== 401) return (await answer.json()) as Result;
  const refusal = await answer.text();
  const isWorthAgain = (await identity.refused(token, refusal)) && identity.name.get() === name;
  return isWorthAgain ? ((await (await ask(url, params, identity.token)).json()) as Result) : (JSON.parse(refusal) as Result);
}

function ask(url: string, params: FetcherParams, token: string | null): Promise<Response> {
  return fetch(url, {
    method: "POST",
    credentials: "omit",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json;q=0.9",
      ...authorization(token),
    },
    body: JSON.stringify(params),
  });
}

function subscribe({ query, operationName, variables }: FetcherParams, identity: Identity): AsyncIterable<Result> {
  return identity.socket.iterate({
    query,
    operationName: operationName ?? null,
    variables: variables as Record<string, unknown>,
  }) as AsyncIterable<Result>;
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
