"""A small application that shows what the server does to it: every resolver leaves a trace."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLScalarType, build_schema

from gqlink.auth import ANONYMOUS, Identity
from gqlink.errors import AuthUnavailable, InvalidToken, PermissionDenied, SessionRevoked, TokenExpired
from gqlink.pubsub import MemoryBroker, Statistics, Topic
from gqlink.server import GraphQLApp
from gqlink.server.control import CONTROL_TOPIC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql import GraphQLSchema

    from gqlink.auth import Credentials
    from gqlink.pubsub import Stream

SDL = """
    scalar Even

    type Query {
        hello: String
        whoami: String
        echo(text: String, number: Float): String
        even(value: Even!): Boolean
        slow: String
        fail: String
        denied: String
        spoken: String
        gone: String
        unwritable: String
        again: Query
        blob(bytes: Int!): String
        "Needs what cannot be null."
        required: String!
    }

    type Mutation {
        add(text: String!): String
        slowAdd(text: String!): String
    }

    type Subscription {
        messages: String
        whoAmI: String
        count(to: Int!): Int
        forever: Int
        stubborn: Int
        failing: Int
        gone: Int
        nothing: Int
        unreachable: Int
        late: Int
        flood(bytes: Int!): String
        slowly: Int
        flaky: Int
    }
"""


class WorldBroker(MemoryBroker):
    """A broker that counts what operations hold; the server itself listens too, for orders of other nodes."""

    def statistics(self) -> Statistics:
        """Leave the server's own topic out."""
        found = super().statistics()
        control = self._logs.get(CONTROL_TOPIC)
        if control is None:
            return found
        subscriptions = found.subscriptions - len(control.subscriptions)
        return replace(found, topics=found.topics - 1, subscriptions=subscriptions)


class World:
    """One test's application: its schema, its broker, its doors, and what happened behind them."""

    def __init__(self) -> None:
        self.broker = WorldBroker()
        self.messages = Topic(self.broker, "messages")
        self.gate = asyncio.Event()
        """Opens `slow`, `slowAdd`, `late` and a slow authentication."""
        self.happened: list[str] = []
        self.resolved = 0
        self.open_generators = 0
        self.authenticated = 0
        self.authenticating = 0
        self.most_authenticating = 0
        self.schema = self._build()

    def app(self, **options: Any) -> GraphQLApp:
        """Serve the schema, with the world's broker and authentication unless told otherwise."""
        return GraphQLApp(self.schema, **{"authenticate": self.authenticate, "broker": self.broker, **options})

    async def authenticate(self, credentials: Credentials) -> Identity:
        """A token is its subject's name; a few names mean trouble."""
        self.authenticated += 1
        self.authenticating += 1
        self.most_authenticating = max(self.authenticating, self.most_authenticating)
        try:
            return await self._identify(credentials)
        finally:
            self.authenticating -= 1

    async def _identify(self, credentials: Credentials) -> Identity:
        match credentials.token.reveal() if credentials.token else None:
            case None:
                return ANONYMOUS
            case "bad":
                raise InvalidToken("the signature is wrong")
            case "expired":
                raise TokenExpired("at noon")
            case "revoked":
                raise SessionRevoked("by the administrator")
            case "unavailable":
                raise AuthUnavailable("the database is away", retry_after=7)
            case "crash":
                raise RuntimeError("secret text")
            case "slow":
                await self.gate.wait()
                return Identity(subject="slow")
            case "confused":
                return None  # type: ignore[return-value] # what an application may do by mistake
            case "cancelled":
                raise asyncio.CancelledError
            case name:
                return Identity(subject=name)

    def _build(self) -> GraphQLSchema:
        schema = build_schema(SDL)
        for type_name in ("Query", "Mutation"):
            for name in schema.type_map[type_name].fields:  # type: ignore[attr-defined]
                resolve = getattr(self, f"resolve_{name}", None)
                if resolve is not None:
                    schema.type_map[type_name].fields[name].resolve = self._counted(resolve)  # type: ignore[attr-defined]
        for name, field in schema.type_map["Subscription"].fields.items():  # type: ignore[attr-defined]
            field.subscribe = self._counted(getattr(self, f"subscribe_{name}"))
            field.resolve = getattr(self, f"resolve_event_{name}", lambda event, _info, **_: event)
        even = schema.type_map["Even"]
        assert isinstance(even, GraphQLScalarType)
        even.coerce_input_value = _read_even
        even.parse_value = _read_even  # type: ignore[method-assign]
        return schema

    def _counted(self, resolve: Any) -> Any:
        def counting(root: object, info: Any, **arguments: object) -> object:
            self.resolved += 1
            return resolve(root, info, **arguments)

        return counting

    def resolve_hello(self, _root: object, _info: Any) -> str:
        """Say hello."""
        return "world"

    def resolve_whoami(self, _root: object, info: Any) -> str | None:
        """Say whom the default context stands for."""
        return _subject(info)

    def resolve_echo(self, _root: object, _info: Any, *, text: str | None = None, number: float | None = None) -> str:
        """Say it again."""
        return f"{text} {number}"

    def resolve_even(self, _root: object, _info: Any, *, value: int) -> bool:
        """Take a number that the scalar has checked."""
        return bool(value) or True

    async def resolve_slow(self, _root: object, _info: Any) -> str:
        """Wait for the gate."""
        return await self._slowly("slow")

    def resolve_fail(self, _root: object, _info: Any) -> str:
        """Fail in a way that nobody expected."""
        raise RuntimeError("secret text")

    def resolve_denied(self, _root: object, _info: Any) -> str:
        """Fail in gqlink's words."""
        raise PermissionDenied("look at this")

    def resolve_spoken(self, _root: object, _info: Any) -> str:
        """Fail in the application's own words."""
        raise GraphQLError("The cat sleeps.", extensions={"code": "CAT_ASLEEP"})

    async def resolve_gone(self, _root: object, _info: Any) -> str:
        """Await something that somebody else has cancelled."""
        other: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        other.cancel()
        return await other

    def resolve_unwritable(self, _root: object, _info: Any) -> str:
        """Fail with something that JSON has no form for."""
        raise GraphQLError("Look.", extensions={"code": "ODD", "it": object()})

    def resolve_again(self, _root: object, _info: Any) -> str:
        """Nest."""
        return "again"

    def resolve_blob(self, _root: object, _info: Any, *, bytes: int) -> str:  # noqa: A002 -- the argument's name
        """Be large."""
        return "x" * bytes

    async def resolve_add(self, _root: object, _info: Any, *, text: str) -> str:
        """Publish."""
        await self.messages.publish(text)
        self.happened.append(f"add {text}")
        return text

    async def resolve_slowAdd(self, _root: object, _info: Any, *, text: str) -> str:  # noqa: N802 -- the field's name
        """Publish when the gate opens."""
        await self._slowly("slowAdd")
        await self.messages.publish(text)
        self.happened.append(f"add {text}")
        return text

    def subscribe_messages(self, _root: object, _info: Any) -> Stream:
        """Hear what `add` says."""
        return self.messages.stream()

    def subscribe_whoAmI(self, _root: object, _info: Any) -> Stream:  # noqa: N802 -- the field's name
        """Hear what `add` says, and answer with a name."""
        return self.messages.stream()

    def resolve_event_whoAmI(self, event: object, info: Any) -> str:  # noqa: N802 -- the field's name
        """Say whom this event's context stands for."""
        return f"{event} {_subject(info)}"

    async def subscribe_count(self, _root: object, _info: Any, *, to: int) -> AsyncIterator[int]:
        """Count, and end."""
        for number in range(1, to + 1):
            yield number

    def resolve_event_count(self, event: int, _info: Any, **_arguments: object) -> int:
        """Return the number."""
        return event

    async def subscribe_forever(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Say 1, then nothing; clean up slowly."""
        self.open_generators += 1
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.open_generators -= 1
            self.happened.append("closed")

    async def subscribe_stubborn(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Take no notice of a cancellation."""
        self.open_generators += 1
        try:
            yield 1
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.happened.append("ignored")
            while True:
                yield 2
        finally:
            self.open_generators -= 1

    async def subscribe_failing(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Say 1, then fail in a way that nobody expected."""
        yield 1
        raise RuntimeError("secret text")

    async def subscribe_gone(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Say 1, then stumble over somebody else's cancellation."""
        yield 1
        raise asyncio.CancelledError

    def subscribe_nothing(self, _root: object, _info: Any) -> int:
        """Return no stream at all."""
        return 5

    async def subscribe_unreachable(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Fail before there is a stream."""
        raise PermissionDenied("listen")

    async def subscribe_late(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Begin when the gate opens."""
        await self._slowly("late")
        return self.subscribe_count(None, None, to=1)

    async def subscribe_flood(self, _root: object, _info: Any, *, bytes: int) -> AsyncIterator[str]:  # noqa: A002
        """Say a lot, without a pause."""
        self.open_generators += 1
        try:
            while True:
                self.happened.append("flooded")
                yield "x" * bytes
                await asyncio.sleep(0)
        finally:
            self.open_generators -= 1

    async def subscribe_slowly(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Say three things."""
        for number in (1, 2, 3):
            yield number

    async def resolve_event_slowly(self, event: int, _info: Any) -> int:
        """Resolve the second of them when the gate opens."""
        if event == 2:
            await self.gate.wait()
        return event

    async def subscribe_flaky(self, _root: object, _info: Any) -> AsyncIterator[int]:
        """Say three things."""
        for number in (1, 2, 3):
            yield number

    def resolve_event_flaky(self, event: int, _info: Any) -> int:
        """Fail at the second of them."""
        if event == 2:
            raise RuntimeError("secret text")
        return event

    async def _slowly(self, name: str) -> str:
        self.happened.append(f"{name} begins")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.happened.append(f"{name} cancelled")
            raise
        self.happened.append(f"{name} ends")
        return "at last"


def _subject(info: Any) -> str | None:
    subject: str | None = info.context.identity.subject
    return subject


def _read_even(value: object) -> int:
    if not isinstance(value, int) or value % 2:
        raise ValueError("this is not even")
    return value
