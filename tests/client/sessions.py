"""A server with POST /login, /refresh and /logout, whose answers a test holds back, counts and spoils."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import httpx2

URL = "http://chat.invalid"


class SessionServer:
    """Knows one password for everybody.

    Tokens are "alice-1", "alice-2", ...; refresh tokens "alice-r1", "alice-r2", ...

    Args:
        rotates: Whether a refresh brings another refresh token; the one before is then refused.
        refreshes: Whether it gives refresh tokens at all.
        expires_in: How long its tokens last, in seconds.
    """

    def __init__(self, *, rotates: bool = True, refreshes: bool = True, expires_in: float = 60.0) -> None:
        self.rotates = rotates
        self.refreshes = refreshes
        self.expires_in = expires_in
        self.asked: list[str] = []
        self.bodies: list[dict[str, str]] = []
        self.spoilt: dict[str, httpx2.Response | Exception] = {}
        self.sessions: dict[str, str] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._given: Counter[str] = Counter()
        self.transport = httpx2.MockTransport(self._answer)

    def hold(self, path: str) -> asyncio.Event:
        """Let answers wait until the event is set; what they say was decided before."""
        gate = self._gates[path] = asyncio.Event()
        return gate

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path, body = request.url.path, json.loads(request.content)
        self.asked.append(path)
        self.bodies.append(body)
        spoilt = self.spoilt.get(path)
        answer = self._decide(path, body) if spoilt is None else spoilt
        if path in self._gates:
            await self._gates[path].wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _decide(self, path: str, body: dict[str, str]) -> httpx2.Response:
        match path:
            case "/login" if body["password"] == "right":
                return self._grant(body["name"])
            case "/refresh" if (name := self.sessions.get(body["refreshToken"])) is not None:
                if self.rotates:
                    del self.sessions[body["refreshToken"]]
                return self._grant(name, refresh_token=None if self.rotates else body["refreshToken"])
            case "/logout":
                self.sessions.pop(body["refreshToken"], None)
                return httpx2.Response(204)
        return httpx2.Response(401, json={"error": {"code": "UNAUTHENTICATED", "message": "no"}})

    def _grant(self, name: str, *, refresh_token: str | None = None) -> httpx2.Response:
        self._given[name] += 1
        answer: dict[str, object] = {
            "token": f"{name}-{self._given[name]}",
            "expiresIn": self.expires_in,
            "name": name,
        }
        if self.refreshes:
            refresh_token = refresh_token or f"{name}-r{self._given[name]}"
            self.sessions[refresh_token] = name
            answer["refreshToken"] = refresh_token
        return httpx2.Response(200, json=answer)
