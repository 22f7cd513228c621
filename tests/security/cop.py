"""Thirteen questions that tell whether a GraphQL server is left open; graphql-cop asks the same over HTTP.

Each is an async function that takes a `Road` and returns what it has found, in a sentence, or None. Nearly all are
asked over sockets too, where the server that answers them over HTTP need not be the one that answers them there.

What counts as a finding where one may be of two minds: that a GET runs queries is the specification's wish, so the
finding is a query, or a mutation, that runs for a page of another site, as a plain image or form of it would send it
(over a socket: in a handshake that such a page would make); or a mutation that a GET runs for anybody.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from security.roads import HttpRoad

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from security.roads import Answer, Road

FOREIGN = "https://elsewhere.example"
IDE_PATHS = ("", "/", "/graphql", "/graphiql", "/playground", "/playground/", "/console", "/altair", "/voyager", "/v1")
IDE_MARKS = ("graphiql", "graphql playground", "apollo sandbox", "altair", "voyager", "embeddable-sandbox")


async def alias_overloading(road: Road) -> str | None:
    """One field under 101 names is not answered 101 times."""
    query = "{ " + " ".join(f"alias{number}: __typename" for number in range(101)) + " }"
    answer = await road.ask({"query": query})
    return "101 aliases are answered" if len(answer.data) == 101 else None


async def batch_queries(road: Road) -> str | None:
    """A list of requests is not answered with a list of results."""
    answer = await road.ask([{"query": "{ __typename }"}] * 10)
    return "a batch of 10 is answered" if sum("data" in result for result in answer.results) >= 10 else None


async def directive_overloading(road: Road) -> str | None:
    """Neither are ten unknown directives worth ten errors, nor are hundreds of known ones carried out."""
    answer = await road.ask({"query": "{ __typename " + "@aa" * 10 + " }"})
    if len(answer.errors) >= 10:
        return "10 unknown directives are answered with an error each"
    fields = " ".join("... @include(if: true) { __typename }" for _ in range(200))
    answer = await road.ask({"query": f"{{ {fields} }}"})
    return "200 directives are carried out" if answer.data else None


async def circular_introspection(road: Road) -> str | None:
    """Nobody walks the schema's own circle of fields and types."""
    query = "name"
    for _ in range(5):
        query = f"fields {{ type {{ {query} }} }}"
    answer = await road.ask({"query": f"{{ __schema {{ types {{ {query} }} }} }}"})
    return "introspection goes round in circles" if answer.data.get("__schema") else None


async def field_duplication(road: Road) -> str | None:
    """The same field 500 times is not carried out."""
    answer = await road.ask({"query": "{ " + "__typename " * 500 + "}"})
    return "500 times the same field is carried out" if answer.data else None


async def suggestions(road: Road) -> str | None:
    """Nobody who guesses a name is told the right one."""
    for query in (
        "{ __schema { directive } }",
        "{ __typenam }",
        "{ __typename @skp(if: true) }",
        "{ ... on Quer { a } }",
    ):
        answer = await road.ask({"query": query})
        if any("did you mean" in message.lower() for message in answer.messages):
            return f"names are suggested: {answer.messages[0]}"
    return None


async def get_queries(road: Road) -> str | None:
    """A page of another site runs no query: neither by an image or link, nor with a socket."""
    return await _for_another_site(road, "query")


async def get_mutations(road: Road) -> str | None:
    """A mutation runs neither by GET, whoever asks, nor for a page of another site."""
    if isinstance(road, HttpRoad):
        answer = await road.send("GET", params={"query": "mutation { __typename }"})
        if answer.data:
            return "GET runs a mutation"
    return await _for_another_site(road, "mutation")


async def _for_another_site(road: Road, kind: str) -> str | None:
    query = f"{kind} {{ __typename }}"
    if not isinstance(road, HttpRoad):
        answer = await road.ask({"query": query}, origin=FOREIGN)
        return f"a socket of another site runs a {kind}" if answer.data else None
    # An image, a script or a link tells no Origin; every browser of today tells where it comes from.
    for headers in ({"origin": FOREIGN}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}):
        answer = await road.send("GET", params={"query": query}, headers=headers)
        if answer.data:
            return f"GET runs a {kind} for another site"
    return None


async def urlencoded_post(road: Road) -> str | None:
    """A form, which any site may send, is no request; nor is JSON that says it is plain text."""
    if not isinstance(road, HttpRoad):
        return None
    answer = await road.send("POST", data={"query": "{ __typename }"})
    if answer.data:
        return "a form is taken"
    body = json.dumps({"query": "{ __typename }"}).encode()
    answer = await road.send("POST", content=body, headers={"content-type": "text/plain"})
    return "plain text is taken" if answer.data else None


async def ide(road: Road) -> str | None:
    """No page to try the schema in is served."""
    if not isinstance(road, HttpRoad):
        return None
    for path in IDE_PATHS:
        answer = await road.send("GET", path=path or road.path, headers={"accept": "text/html, */*;q=0.8"})
        if answer.status == 200 and any(mark in answer.text.lower() for mark in IDE_MARKS):
            return f"a page to try queries in is at {path or road.path}"
    return None


async def introspection(road: Road) -> str | None:
    """The schema is not told to whoever asks."""
    for query in ("{ __schema { types { name fields { name } } } }", '{ __type(name: "Query") { name } }'):
        answer = await road.ask({"query": query})
        if answer.data:
            return "introspection is answered"
    return None


async def tracing(road: Road) -> str | None:
    """No answer says how long each resolver took."""
    answer = await road.ask({"query": "{ __typename }"})
    marked = any("tracing" in (result.get("extensions") or {}) for result in answer.results)
    return "answers carry a trace" if marked else None


async def unhandled_errors(road: Road) -> str | None:
    """What is no GraphQL is refused in a sentence, not with a stack of frames."""
    for payload in (
        {"query": "qwerty cop { abc }"},
        {"query": "{ __typename"},
        {"query": 1},
        {"query": None},
        {},
        5,
        None,
    ):
        answer = await road.ask(payload)
        if leak := _leak(answer):
            return leak
    return None


def _leak(answer: Answer) -> str | None:
    for mark in ("Traceback", '"exception"', '"stacktrace"', ".py", "0x7f"):
        if mark in answer.text:
            return f"an error shows {mark}"
    if answer.status is not None and answer.status >= 500:
        return f"a bad request is answered with {answer.status}"
    return (
        f"a bad request ends the socket with {answer.closed[0]}"
        if answer.closed and answer.closed[0] in {1006, 1011}
        else None
    )


CHECKS: dict[str, Callable[[Road], Awaitable[str | None]]] = {
    check.__name__: check
    for check in (
        alias_overloading,
        batch_queries,
        directive_overloading,
        circular_introspection,
        field_duplication,
        suggestions,
        get_queries,
        get_mutations,
        urlencoded_post,
        ide,
        introspection,
        tracing,
        unhandled_errors,
    )
}
HTTP_ONLY = frozenset({"urlencoded_post", "ide"})


async def patrol(road: Road) -> dict[str, str]:
    """Ask all thirteen, and return what was found, by the question's name."""
    found = {name: await check(road) for name, check in CHECKS.items()}
    return {name: finding for name, finding in found.items() if finding is not None}
