from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from graphql import ExecutionResult, GraphQLError, graphql, parse, print_schema, subscribe

from gqlink.auth import ANONYMOUS, Identity
from gqlink.chat.context import ChatContext, SharedChatContext
from gqlink.chat.resolvers import chat_schema
from gqlink.errors import BadUserInput, LimitExceeded, LoginRequired
from gqlink.pubsub import Stream
from gqlink.server import Limits
from gqlink.server.documents import Document, Documents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from gqlink.chat.conversation import Conversation
    from gqlink.chat.store import Store

ALICE = Identity("alice")
BOB = Identity("bob")

READ = "{ messages { id clientId from text room { id title } createdAt } }"
WRITE = "mutation ($input: MessageInput!) { addMessage(input: $input) { id clientId from text room { id } createdAt } }"
HEAR = "subscription { messageAdded { id from text } }"


class Asker:
    """Executes operations as somebody."""

    def __init__(self, conversation: Conversation, identity: Identity) -> None:
        self.context = ChatContext(identity, conversation)

    async def ask(self, text: str, **variables: object) -> ExecutionResult:
        """Give the whole answer."""
        return await graphql(chat_schema(), text, context_value=self.context, variable_values=variables)

    async def data(self, text: str, **variables: object) -> Mapping[str, object]:
        """Give the data of an answer without errors."""
        result = await self.ask(text, **variables)
        assert result.errors is None
        assert result.data is not None
        return result.data

    async def cause(self, text: str, **variables: object) -> BaseException | None:
        """Give what the only error of an answer came from."""
        result = await self.ask(text, **variables)
        assert result.errors is not None
        (error,) = result.errors
        return error.original_error

    async def hear(self, text: str) -> AsyncIterator[ExecutionResult] | ExecutionResult:
        """Give the events, or the answer that refuses them."""
        found = subscribe(chat_schema(), parse(text), context_value=self.context)
        return await found if asyncio.iscoroutine(found) else found  # type: ignore[return-value]


@dataclass(frozen=True)
class FakeInfo:
    """As much of GraphQL's info as a resolver looks at."""

    context: ChatContext | SharedChatContext


def message_added() -> Any:
    """The field, whose two functions graphql-core types as anything."""
    subscription = chat_schema().subscription_type
    assert subscription is not None
    return subscription.fields["messageAdded"]


async def row_count(store: Store) -> int:
    query = "SELECT count(*) FROM messages"
    return await store.write(lambda connection: cast("int", connection.exec_driver_sql(query).scalar_one()))


@pytest.fixture
def alice(conversation: Conversation) -> Asker:
    return Asker(conversation, ALICE)


@pytest.fixture
def stranger(conversation: Conversation) -> Asker:
    return Asker(conversation, ANONYMOUS)


def test_the_schema_is_the_contract() -> None:
    """Fields, arguments and defaults are those of the design; descriptions are ours."""
    lines = [line.strip() for line in print_schema(chat_schema()).splitlines()]
    for line in (
        "viewer: User",
        'messages(room: ID! = "general", last: Int! = 50, before: ID): [Message!]!',
        "rooms: [Room!]!",
        "addMessage(input: MessageInput!): Message!",
        'messageAdded(room: ID! = "general"): Message!',
        "clientId: ID",
        "from: String!",
        "createdAt: DateTime!",
        'room: ID! = "general"',
    ):
        assert line in lines


@pytest.mark.parametrize(
    ("arguments", "cost"), [("", 501), ("(last: 200)", 2_001), ("(last: 10)", 101), ('(before: "m5")', 501)]
)
def test_every_page_that_may_be_asked_for_is_within_the_default_cost(arguments: str, cost: int) -> None:
    """Up to 200 messages with all their fields, and with the type names that some clients add everywhere."""
    found = Documents(chat_schema(), limits=Limits(), debug=False).find(
        f"{{ messages{arguments} {{ __typename id clientId from text room {{ __typename id title }} createdAt }} }}"
    )
    assert isinstance(found, Document)
    operation = found.operation(None)
    assert operation is not None
    assert operation.cost.total({}) == cost <= Limits().cost


def test_a_page_of_a_million_is_over_the_default_cost() -> None:
    """It is refused before the database hears of it."""
    found = Documents(chat_schema(), limits=Limits(), debug=False).find(
        "query ($n: Int!) { messages(last: $n) { id } }"
    )
    assert isinstance(found, Document)
    operation = found.operation(None)
    assert operation is not None
    with pytest.raises(LimitExceeded, match="cost is limited to 2500, got 1000001"):
        operation.cost.check({"n": 1_000_000}, Limits())


async def test_a_stranger_is_nobody(stranger: Asker) -> None:
    """`viewer` is null, which is no error."""
    assert await stranger.data("{ viewer { name } }") == {"viewer": None}


async def test_who_is_logged_in_can_ask_who_they_are(alice: Asker) -> None:
    """`viewer` has the account's name."""
    assert await alice.data("{ viewer { name } }") == {"viewer": {"name": "alice"}}


@pytest.mark.parametrize("text", [READ, "{ rooms { id } }", '{ messages(room: "nowhere", last: 0) { id } }'])
async def test_a_stranger_can_read_nothing(stranger: Asker, text: str) -> None:
    """Nor learn whether an argument would have been right."""
    assert isinstance(await stranger.cause(text), LoginRequired)


async def test_a_stranger_can_change_nothing(stranger: Asker, alice: Asker, store: Store) -> None:
    """The number of rows stays as it is."""
    await alice.data(WRITE, input={"text": "hi"})
    before = await row_count(store)
    assert isinstance(await stranger.cause(WRITE, input={"text": "hi"}), LoginRequired)
    assert await row_count(store) == before == 1


async def test_a_stranger_hears_nothing(stranger: Asker) -> None:
    """The subscription ends before it begins, and listens to nothing."""
    result = await stranger.hear(HEAR)
    assert isinstance(result, ExecutionResult)
    assert result.errors is not None
    assert isinstance(result.errors[0].original_error, LoginRequired)


async def test_what_is_said_can_be_read_by_others(alice: Asker, conversation: Conversation) -> None:
    """With the author's name, the room, and the moment in ISO 8601 with a Z."""
    said = await alice.data(WRITE, input={"text": "hi", "clientId": "c1"})
    moment = "2027-01-15T08:00:00.125Z"
    message = {"id": "1", "clientId": "c1", "from": "alice", "text": "hi", "createdAt": moment}
    assert said == {"addMessage": message | {"room": {"id": "general"}}}
    read = await Asker(conversation, BOB).data(READ)
    assert read == {"messages": [message | {"room": {"id": "general", "title": "General"}}]}


async def test_the_clients_of_2020_can_speak_to_it(alice: Asker) -> None:
    """Their documents name neither room nor clientId."""
    mutation = "mutation ($input: MessageInput!) { addMessage(input: $input) { id } }"
    said = await alice.data(mutation, input={"text": "a"})
    assert said == {"addMessage": {"id": "1"}}
    assert await alice.data("{ messages { id from text } }") == {
        "messages": [{"id": "1", "from": "alice", "text": "a"}]
    }


async def test_repeating_a_client_id_answers_the_same(alice: Asker, store: Store) -> None:
    """Also twice in one document, where mutations run one after the other."""
    words = '{text: "x", clientId: "c"}'
    text = f"mutation {{ a: addMessage(input: {words}) {{ id }} b: addMessage(input: {words}) {{ id }} }}"
    assert await alice.data(text) == {"a": {"id": "1"}, "b": {"id": "1"}}
    assert await row_count(store) == 1


async def test_rooms_can_be_listed(alice: Asker) -> None:
    """There is one so far."""
    assert await alice.data("{ rooms { id title } }") == {"rooms": [{"id": "general", "title": "General"}]}


async def test_a_page_can_be_asked_for(alice: Asker) -> None:
    """By number, as GraphQL lets one write an ID, or by text."""
    for text in "abc":
        await alice.data(WRITE, input={"text": text})
    assert await alice.data("{ messages(last: 1, before: 3) { text } }") == {"messages": [{"text": "b"}]}
    assert await alice.data('{ messages(last: 1, before: "3") { text } }') == {"messages": [{"text": "b"}]}
    assert len(cast("list[object]", (await alice.data("{ messages(before: null) { text } }"))["messages"])) == 3


@pytest.mark.parametrize(
    "text",
    [
        "{ messages(last: 0) { id } }",
        '{ messages(before: "x") { id } }',
        '{ messages(room: "nowhere") { id } }',
        'mutation { addMessage(input: {text: " "}) { id } }',
        'mutation { addMessage(input: {text: "x", room: "nowhere"}) { id } }',
        'mutation { addMessage(input: {text: "x", clientId: ""}) { id } }',
    ],
)
async def test_bad_input_is_called_so(alice: Asker, text: str) -> None:
    """The server shows the sentence to the user."""
    assert isinstance(await alice.cause(text), BadUserInput)


async def test_who_is_logged_in_hears_what_is_said(alice: Asker, conversation: Conversation) -> None:
    """Each message once, in order, from the moment of listening on."""
    bob = Asker(conversation, BOB)
    events = await bob.hear(HEAR)
    assert not isinstance(events, ExecutionResult)
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for text in "ab":
        await alice.data(WRITE, input={"text": text})
    assert (await first).data == {"messageAdded": {"id": "1", "from": "alice", "text": "a"}}
    assert (await anext(events)).data == {"messageAdded": {"id": "2", "from": "alice", "text": "b"}}
    await events.aclose()  # type: ignore[attr-defined]


async def test_a_subscription_to_nowhere_is_refused(alice: Asker) -> None:
    """Before anything is listened to."""
    result = await alice.hear('subscription { messageAdded(room: "nowhere") { id } }')
    assert isinstance(result, ExecutionResult)
    assert isinstance(cast("list[GraphQLError]", result.errors)[0].original_error, BadUserInput)


async def test_the_source_of_a_subscription_is_a_stream(alice: Asker) -> None:
    """The server needs its positions, so it must not be wrapped."""
    source = await message_added().subscribe(None, FakeInfo(alice.context), room="general")
    assert isinstance(source, Stream)
    assert source.subscription is None


async def test_an_event_is_resolved_once_for_whoever_hears_it(alice: Asker) -> None:
    """Nobody is known there: who may hear it is decided for each of them, where it is sent."""
    message = await alice.context.conversation.add_message("hi", author="alice", room_id="general")
    assert message_added().resolve(message, FakeInfo(SharedChatContext()), room="general") is message
    stream = await alice.context.conversation.listen("general")
    assert stream.share_key == "members"


async def test_a_stranger_may_not_listen(stranger: Asker) -> None:
    """Before there is anything to hear."""
    with pytest.raises(LoginRequired):
        await message_added().subscribe(None, FakeInfo(stranger.context), room="general")
