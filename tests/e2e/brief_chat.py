"""A demo in the test's own process, whose tokens last for seconds, and which can be told to revoke."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from gqlink.chat import ChatSettings, create_app
from serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gqlink.server import GraphQLApp

_SAY = "mutation ($input: MessageInput!) { addMessage(input: $input) { id } }"


@dataclass(frozen=True)
class BriefChat:
    """A demo that runs.

    Attributes:
        url: Where it is, such as "http://127.0.0.1:40123".
        graphql: Its heart, which revokes.
    """

    url: str
    graphql: GraphQLApp

    async def say(self, text: str, *, name: str = "charlie") -> None:
        """Add a message over HTTP, as somebody who has just logged in."""
        async with httpx2.AsyncClient(base_url=self.url) as client:
            token = (await client.post("/login", json={"name": name, "password": f"{name}123"})).json()["token"]
            headers = {"authorization": f"Bearer {token}"}
            body = {"query": _SAY, "variables": {"input": {"text": text}}}
            answer = (await client.post("/graphql", json=body, headers=headers)).json()
        assert "errors" not in answer, answer["errors"]


@asynccontextmanager
async def brief_chat(folder: Path, *, token_seconds: float) -> AsyncIterator[BriefChat]:
    """Serve a demo whose access tokens last so long."""
    app = create_app(ChatSettings(data_dir=folder, demo=True, playground=True, token_lifetime=token_seconds))
    async with serving(app) as authority:
        yield BriefChat(f"http://{authority}", app.state.graphql)
