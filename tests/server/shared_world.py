"""An application whose subscriptions may be shared, and the same one in which each subscriber is executed alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graphql import build_schema

from gqlink.auth import Identity
from gqlink.protocol import TRANSPORT_WS
from gqlink.pubsub import Topic
from server.recorder import Scene
from server.world import WorldBroker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import GraphQLSchema

    from gqlink.auth import Credentials
    from gqlink.protocol import Dialect
    from gqlink.pubsub import Stream
    from gqlink.server import GraphQLApp, PolicyEvent, PolicyOperation

FIELDS: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "text": ("String", lambda event, _info: event["text"]),
    "role": ("String!", lambda _event, info: info.context["role"]),
    "later": ("String", lambda event, _info: _later(event["text"])),
    "length": ("Int!", lambda event, _info: len(event["text"])),
    "missing": ("Int!", lambda event, _info: None if event["text"] == "odd" else 1),
    "fails": ("Int", lambda event, _info: _fail(event["text"])),
    "number": ("Float", lambda event, _info: event.get("number")),
}
"""What a schema may have: the type of each field, and what resolves it."""


async def _later(text: str) -> str:
    await asyncio.sleep(0)
    return text.upper()


def _fail(text: str) -> int:
    if text == "odd":
        raise RuntimeError("secret text")
    return len(text)


CURSORS = {"gqlink": {"cursor": True}}
"""The wish for cursors, as `extensions` of a subscription."""


class SharedWorld:
    """One application.

    Args:
        fields: Of the type `Said`: some of `FIELDS`.
        shared: Whether it has a `shared_context`.
    """

    def __init__(self, fields: tuple[str, ...] = ("text", "role"), *, shared: bool = True) -> None:
        self.broker = WorldBroker()
        self.happened: list[str] = []
        self.runs = 0
        """How often an event was executed."""
        self.look: Callable[[Any], object] = lambda _info: None
        """Called where an event is executed."""
        self._shared = shared
        self.schema = self._build(fields)

    def topic(self, room: str) -> Topic:
        """Return the topic of a room."""
        return Topic(self.broker, room)

    async def say(self, text: str, *, room: str = "lobby", number: float | None = None) -> None:
        """Publish an event."""
        await self.topic(room).publish({"text": text, "number": number})

    def app(self, **options: Any) -> GraphQLApp:
        """Serve it; a token is its subject's name."""
        from gqlink.server import GraphQLApp

        shared = {"shared_context": lambda key: {"role": key}} if self._shared else {}
        given = {
            "authenticate": _authenticate,
            "broker": self.broker,
            "context": lambda identity, _transport: {"role": role_of(identity), "identity": identity},
        }
        return GraphQLApp(self.schema, **{**given, **shared, **options})

    def _build(self, fields: tuple[str, ...]) -> GraphQLSchema:
        members = "\n".join(f"{name}: {FIELDS[name][0]}" for name in fields)
        schema = build_schema(
            f"type Query {{ hello: String }} type Said {{ {members} }}"
            'type Subscription { said(room: String! = "lobby", scale: Float): Said }'
        )
        for name in fields:
            schema.type_map["Said"].fields[name].resolve = FIELDS[name][1]  # type: ignore[attr-defined]
        field = schema.type_map["Subscription"].fields["said"]  # type: ignore[attr-defined]
        field.subscribe, field.resolve = self._hear, self._resolve
        return schema

    def _hear(self, _root: object, info: Any, *, room: str, scale: float | None = None) -> Stream:
        del scale
        return self.topic(room).stream(share_key=info.context["role"])

    def _resolve(self, event: Any, info: Any, *, scale: float | None = None, **_room: str) -> Any:
        self.runs += 1
        self.look(info)
        return {**event, "number": scale}


def role_of(identity: Identity) -> str:
    """Say what somebody is: those whose name begins with "a" are administrators."""
    return "admin" if (identity.subject or "").startswith("a") else "user"


def no_secrets_for_bob(identity: Identity, what: PolicyOperation | PolicyEvent) -> bool:
    """Refuse one event to one person."""
    data = getattr(what, "data", None)
    return not (identity.subject == "bob" and isinstance(data, dict) and data["text"] == "secret")


async def _authenticate(credentials: Credentials) -> Identity:
    name, _, seconds = (credentials.token.reveal() if credentials.token else "").partition(":")
    return Identity(subject=name or None, expires_at=float(seconds) if seconds else None)


class Party:
    """Several sockets of one application, which share whatever may be shared.

    Args:
        world: Whose application.
        options: Of the application.
    """

    def __init__(self, world: SharedWorld, **options: Any) -> None:
        self.world = world
        self.first = Scene(world, TRANSPORT_WS, **options)  # type: ignore[arg-type] # as much of a world as it needs
        self.host = self.first.host

    async def admit(self, name: str, dialect: Dialect = TRANSPORT_WS) -> Scene:
        """Let somebody in."""
        scene = self.first.another(dialect)
        self.host.listeners.add(scene.listener)
        return await scene.admitted(name)
