"""A small GraphQL server that has the flaws that it is told to have, and no others; for loopback, and for tests only.

It is built on graphql-core alone, so that what is wrong with it cannot be right by our own code.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    GraphQLError,
    MaxIntrospectionDepthRule,
    NoSchemaIntrospectionCustomRule,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.language import DirectiveNode, Visitor
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route, WebSocketRoute

from gqlink.protocol import DIALECTS, Kind, Side

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

SDL = """
    type Query { hello: String }
    type Mutation { add(text: String): String }
    type Subscription { messages: String }
"""
_MOST = 20


class _Counts(Visitor):
    """Counts what an attacker repeats."""

    def __init__(self) -> None:
        super().__init__()
        self.aliases = 0
        self.directives = 0
        self.names: Counter[str] = Counter()

    def enter_field(self, node: FieldNode, *_args: Any) -> None:
        """Count a field."""
        if node.alias is None:
            self.names[node.name.value] += 1
        else:
            self.aliases += 1

    def enter_directive(self, _node: DirectiveNode, *_args: Any) -> None:
        """Count a directive."""
        self.directives += 1


class BrokenServer:
    """An application with `/graphql` over HTTP and both subprotocols.

    Args:
        flaws: Names of the questions in cop.py that it is to fail.
    """

    def __init__(self, *flaws: str) -> None:
        self._flaws = flaws
        self._schema = build_schema(SDL)
        paths = [Route("/graphql", self._http, methods=["GET", "POST"]), WebSocketRoute("/graphql", self._socket)]
        if "ide" in flaws:
            paths.append(Route("/graphiql", lambda _request: HTMLResponse("<title>GraphiQL</title>")))
        self.app = Starlette(routes=paths)

    async def _http(self, request: Request) -> Response:
        if request.method == "GET":
            return await self._get(request)
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind != "application/json":
            if "urlencoded_post" not in self._flaws:
                return JSONResponse({"errors": [{"message": "JSON, please."}]}, 415)
            # Without a parser for forms, which Starlette leaves to another package.
            text = (await request.body()).decode()
            query = text if text.startswith("{") else text.partition("=")[2]
            return JSONResponse(await self._answer({"query": "{ __typename }" if query else ""}))
        return JSONResponse(await self._answer(await request.json()))

    async def _get(self, request: Request) -> Response:
        query = request.query_params.get("query", "")
        foreign = "origin" in request.headers or request.headers.get("sec-fetch-site") == "cross-site"
        mutation = query.startswith("mutation")
        if (mutation or foreign) and ("get_mutations" if mutation else "get_queries") not in self._flaws:
            return JSONResponse({"errors": [{"message": "Not like this."}]}, 405)
        return JSONResponse(await self._answer({"query": query}))

    async def _socket(self, socket: WebSocket) -> None:
        [subprotocol] = socket.scope["subprotocols"]
        words = DIALECTS[subprotocol].types
        foreign = "origin" in socket.headers
        if foreign and not {"get_queries", "get_mutations"} & set(self._flaws):
            await socket.close()
            return
        await socket.accept(subprotocol)
        await socket.receive_json()
        await socket.send_json({"type": words[Side.SERVER, Kind.CONNECTION_ACK]})
        payload = (await socket.receive_json()).get("payload")
        query = payload.get("query") if isinstance(payload, dict) else None
        flaw = "get_mutations" if str(query).startswith("mutation") else "get_queries"
        if foreign and flaw not in self._flaws:
            await socket.close(4403)
            return
        answer = await self._answer(payload)
        await socket.send_json({"type": words[Side.SERVER, Kind.NEXT], "id": "1", "payload": answer})
        await socket.send_json({"type": words[Side.SERVER, Kind.COMPLETE], "id": "1"})
        await socket.close()

    async def _answer(self, payload: object) -> object:
        if isinstance(payload, list) and "batch_queries" in self._flaws:
            return [await self._run(item) for item in payload]
        return await self._run(payload)

    async def _run(self, payload: Any) -> dict[str, object]:
        try:
            return await self._execute(payload["query"])
        except (GraphQLError, LookupError, TypeError) as exc:
            error: dict[str, object] = {"message": getattr(exc, "message", "Not like this.")}
            if "unhandled_errors" in self._flaws:
                error["extensions"] = {"exception": {"stacktrace": traceback.format_exc()}}
            return {"errors": [error]}

    async def _execute(self, query: str) -> dict[str, object]:
        if not isinstance(query, str):
            raise TypeError
        document = parse(query, no_location=True)
        self._require_small(document)
        errors = validate(
            self._schema,
            document,
            self._rules(),
            hide_suggestions="suggestions" not in self._flaws,
            max_errors=None if "directive_overloading" in self._flaws else 3,
        )
        if errors:
            return {"errors": [error.formatted for error in errors]}
        assert get_operation_ast(document) is not None
        result: dict[str, object] = dict(execute_sync(self._schema, document).formatted)
        if "tracing" in self._flaws:
            result["extensions"] = {"tracing": {"duration": 1}}
        return result

    def _rules(self) -> list[Any]:
        rules = [*specified_rules]
        if "circular_introspection" in self._flaws:
            rules.remove(MaxIntrospectionDepthRule)
        elif "introspection" not in self._flaws:
            rules.append(NoSchemaIntrospectionCustomRule)
        return rules

    def _require_small(self, document: Any) -> None:
        counts = _Counts()
        visit(document, counts)
        bounds = {
            "alias_overloading": counts.aliases,
            "directive_overloading": counts.directives - 10,
            "field_duplication": 0 if counts.directives else max(counts.names.values(), default=0),
            "circular_introspection": counts.names["fields"] * 7,
        }
        for flaw, count in bounds.items():
            if count > _MOST and flaw not in self._flaws:
                raise GraphQLError(f"Too much: {json.dumps(flaw)}")
