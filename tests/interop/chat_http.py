"""The chat over HTTP: logging in, and what a test does beside the socket. For the Node servers and ours alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import httpx2
import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGES = "{ messages { id from text } }"
ADD_MESSAGE = "mutation ($text: String!) { addMessage(input: {text: $text}) { id from text } }"


class _Grant(msgspec.Struct):
    token: str


class _Error(msgspec.Struct):
    message: str
    extensions: dict[str, object] = {}


class _Result(msgspec.Struct):
    data: dict[str, object] | None = None
    errors: list[_Error] = []


class _Said(msgspec.Struct):
    text: str


class _History(msgspec.Struct):
    messages: list[_Said]


class ChatHttp:
    """Speaks to a chat for the length of an `async with` block.

    Args:
        base_url: For example `http://127.0.0.1:9000`.
    """

    def __init__(self, base_url: str) -> None:
        # Without TLS there is nothing to verify, and loading the certificates takes longer than a test.
        self._http = httpx2.AsyncClient(base_url=base_url, trust_env=False, verify=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def login(self, name: str, **more: object) -> str:
        """Log in with the password of the demo; `expiresIn`, in seconds, is understood by the Node servers only."""
        response = await self._http.post("/login", json={"name": name, "password": f"{name}123", **more})
        response.raise_for_status()
        return msgspec.json.decode(response.content, type=_Grant).token

    async def execute(
        self, query: str, *, variables: Mapping[str, object] | None = None, token: str | None = None
    ) -> dict[str, object]:
        """Return `data`; a GraphQL error fails the test."""
        result = await self._answer(query, variables=variables, token=token)
        assert not result.errors, result.errors
        return result.data or {}

    async def error_codes(
        self, query: str, *, variables: Mapping[str, object] | None = None, token: str | None = None
    ) -> tuple[object, ...]:
        """Return the `extensions.code` of each GraphQL error."""
        result = await self._answer(query, variables=variables, token=token)
        return tuple(error.extensions.get("code") for error in result.errors)

    async def _answer(self, query: str, *, variables: Mapping[str, object] | None, token: str | None) -> _Result:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": dict(variables or {})}
        response = await self._http.post("/graphql", json=body, headers=headers)
        return msgspec.json.decode(response.content, type=_Result)

    async def say(self, text: str, *, token: str) -> None:
        """Add a message."""
        await self.execute(ADD_MESSAGE, variables={"text": text}, token=token)

    async def texts(self, *, token: str) -> list[str]:
        """What is stored, oldest first."""
        data = await self.execute(MESSAGES, token=token)
        return [said.text for said in msgspec.convert(data, _History).messages]
