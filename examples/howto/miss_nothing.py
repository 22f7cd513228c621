"""Subscribers that know what they have missed, and a mutation that is done once."""

import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from uuid import uuid4

from gqlink.client import CatchUp, Client, Event, Gap
from gqlink.errors import ContinuityLost, OutcomeUnknown

MESSAGES = "{ messages { id text } }"
MESSAGE_ADDED = "subscription { messageAdded { id text } }"
SPEAK = "mutation ($text: String!, $id: ID!) { addMessage(input: {text: $text, clientId: $id}) { id text } }"
PRICE = "subscription { price }"

Take = Callable[[Any], None]


# region log
async def listen(client: Client, take: Take) -> None:
    async with client.subscribe(MESSAGE_ADDED) as events:
        async for event in events:
            take(event.data)


# endregion


# region yield
async def show(client: Client, take: Take, reload: Callable[[], Awaitable[None]]) -> None:
    async with client.subscribe(MESSAGE_ADDED, on_gap="yield") as events:
        async for event in events:
            if event.gap is not None:
                await reload()  # what is on the screen may have a hole
            else:
                take(event.data)


# endregion


# region raise
async def mirror(client: Client, replace: Take, take: Take) -> None:
    while True:
        try:
            async with client.subscribe(MESSAGE_ADDED, on_gap="raise") as events:
                replace(await client.execute(MESSAGES))  # what is said from here on is heard as well
                async for event in events:
                    take(event.data)
            return
        except ContinuityLost as lost:
            print(f"copying everything again: {lost}")


# endregion


# region function
def complain(gap: Gap) -> None:
    number = "some" if gap.missed is None else str(gap.missed)
    print(f"{number} messages may be missing: {gap.reason}", file=sys.stderr)


async def listen_and_complain(client: Client, take: Take) -> None:
    async with client.subscribe(MESSAGE_ADDED, on_gap=complain) as events:
        async for event in events:
            take(event.data)


# endregion


# region ignore
async def watch(client: Client, take: Take) -> None:
    async with client.subscribe(PRICE, on_gap="ignore", overflow="latest", buffer=1) as events:
        async for event in events:
            take(event.data)


# endregion


# region restart
async def go_on(client: Client, kept: MutableMapping[str, str], take: Take) -> None:
    async with client.subscribe(MESSAGE_ADDED, after=kept.get("cursor"), on_gap="yield") as events:
        async for event in events:
            if event.gap is not None:
                print(f"read the history: {event.gap.reason}")
                continue
            take(event.data)
            if event.cursor is not None:
                kept["cursor"] = event.cursor  # after it was taken, so that it comes again rather than never


# endregion


# region resume
def last_id(event: Event) -> dict[str, object]:
    match event.data:
        case {"messages": {"id": identifier}}:
            return {"after": identifier}
    return {}


async def resume(client: Client, take: Take) -> None:
    query = "subscription ($after: ID) { messages(after: $after) { id text } }"
    async with client.subscribe(query, resume=last_id) as events:
        async for event in events:
            take(event.data)


# endregion


# region catch_up
def message_id(event: Event) -> object:
    match event.data:
        case {"messageAdded": {"id": identifier}}:
            return identifier
    return None


def as_events(data: Any) -> Sequence[object]:
    return [{"messageAdded": message} for message in data["messages"]]


async def catch_up(client: Client, take: Take) -> None:
    missed = CatchUp(MESSAGES, as_events)
    async with client.subscribe(MESSAGE_ADDED, key=message_id, catch_up=missed, on_gap="raise") as events:
        async for event in events:
            take(event.data)


# endregion


# region slow
async def skim(client: Client, take: Callable[[Any], Awaitable[None]]) -> None:
    async with client.subscribe(MESSAGE_ADDED, buffer=100, overflow="drop_oldest", on_gap="yield") as events:
        async for event in events:
            if event.gap is not None:
                print(f"left out {event.gap.missed}")
            else:
                await take(event.data)  # takes its time


# endregion


# region speak
async def speak(client: Client, text: str, *, attempts: int = 5) -> object:
    """Say something once, however often it has to be sent."""
    variables = {"text": text, "id": str(uuid4())}
    while True:
        attempts -= 1
        try:
            return await client.execute(SPEAK, variables, timeout=10.0)
        except (OutcomeUnknown, TimeoutError):
            if not attempts:
                raise  # perhaps it was said


# endregion
