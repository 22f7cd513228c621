"""Everything at once, for a quarter of an hour: is anything lost without a word, doubled, mixed up, wrongly answered?

    python benchmarks/soak.py
    python benchmarks/soak.py --seconds 120 --clients 40 --messages 40

Many clients, half of them in the legacy subprotocol, half sending over HTTP, share some logins with tokens of three
seconds. They talk in the rooms of the real chat (soak_server.py), through a network that cuts, stalls and half-opens
connections at random (soak_network.py); the server is killed and started again every minute; people log out, and in
again as themselves or as somebody else. In the end the network heals, everybody says one last thing, and what each
client has heard and been answered is compared with the database (soak_judge.py).

Ends with status 1 if there was a loss without a gap report, a gap report without a restart of the server, a double, an
event out of order or for somebody else, or a mutation that is not stored exactly as it was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import resource
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from urllib.request import urlopen

from soak_judge import Heard, Sent, judge

from gqlink.client import Client, HttpLink, PasswordLogin, WebSocketLink, is_subscription, split
from gqlink.errors import GqlinkError, OutcomeUnknown

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from gqlink.client import Event, Subscription

HERE: Final = Path(__file__).parent
PASSWORD: Final = "correct horse"
LISTEN: Final = "subscription ($room: ID!) { messageAdded(room: $room) { id clientId from text } }"
SAY: Final = "mutation Say($input: MessageInput!) { addMessage(input: $input) { id clientId from text } }"
DIALECTS: Final = (["graphql-transport-ws"], ["graphql-ws"])
_LINES: Final = 6
_BETWEEN_RESTARTS: Final = 4
PATIENCE: Final = 60.0
"""Seconds in which everybody must have heard the last word once the network is well again."""


@dataclass(slots=True)
class Person:
    """One login, which some clients share.

    Args:
        account: The token source.
        names: The two accounts that it is logged in as by turns.
        name: The present one; None from a `logout` that has returned to the next `login`.
        generation: Counts the logouts and logins: what is heard belongs to one.
        speaks: Whether the login has succeeded, and no logout has begun.
    """

    account: PasswordLogin
    names: tuple[str, str]
    name: str | None = None
    generation: int = 0
    speaks: bool = False


@dataclass(slots=True)
class Soak:
    """What all have in common."""

    options: argparse.Namespace
    chance: random.Random
    kills: list[float] = field(default_factory=list)
    logins: int = 0
    logouts: int = 0
    sending: bool = True


class Talker:
    """One client: hears one room, and speaks in it.

    Args:
        number: Its own.
        person: Who it is logged in as.
        room: Where it is.
        port: The network's.
        soak: What all have in common.
    """

    def __init__(self, number: int, *, person: Person, room: str, port: int, soak: Soak) -> None:
        self.number = number
        self.person = person
        self.room = room
        self.heard = Heard(number, room)
        self.sent: dict[str, Sent] = {}
        self._soak = soak
        self.link = WebSocketLink(
            f"ws://127.0.0.1:{port}/graphql",
            auth=person.account,
            subprotocols=DIALECTS[number % 2],
            connect_seconds=5.0,
            ack_seconds=5.0,
            ping_seconds=2.0,
        )
        over_http = HttpLink(f"http://127.0.0.1:{port}/graphql", auth=person.account, timeout=5.0)
        self._client = Client(split(is_subscription, self.link, over_http) if number % 4 < 2 else self.link)  # noqa: PLR2004

    async def live(self) -> None:
        """Hear and speak until cancelled."""
        async with self._client, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear())
            tasks.create_task(self._speak())

    async def say(self, words: str) -> None:
        """Say something; where the outcome is unknown, ask again with the same id until it is known."""
        name = self.person.name
        if name is None or not self.person.speaks:
            return
        client_id = f"{self.number}-{len(self.sent)}"
        sent = self.sent[client_id] = Sent(client_id, name, words, self.room)
        message = {"text": words, "room": self.room, "clientId": client_id}
        for attempt in range(30):
            sent.attempts = attempt + 1
            try:
                data: Any = await self._client.execute(SAY, {"input": message}, timeout=15.0)
            except OutcomeUnknown:
                sent.unknown += 1
            except (GqlinkError, TimeoutError) as exc:
                sent.refused = f"{type(exc).__name__}: {exc}"
                if attempt == 0:
                    return
            else:
                sent.answer = data["addMessage"]
                return
            await asyncio.sleep(self._soak.chance.uniform(0.5, 1.0) * min(16.0, 2.0**attempt))
            if self.person.name != name or not self.person.speaks:
                return  # the id is unique for each author, and the author has gone, or is about to go
        return

    async def _hear(self) -> None:
        while True:
            subscription = self._client.subscribe(LISTEN, {"room": self.room}, when_anonymous="hold", on_gap="yield")
            try:
                async with subscription as events:
                    await self._listen(events)
                self.heard.ended("completed")
            except GqlinkError as exc:
                self.heard.ended(f"{type(exc).__name__}: {exc}")
            await asyncio.sleep(1.0)

    async def _listen(self, events: Subscription) -> None:
        async for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        person = self.person
        if event.gap is not None:
            self.heard.gap(event.gap.reason, at=time.monotonic())
            return
        data: Any = event.data
        if event.errors or data is None:
            self.heard.errors.append(str(event.errors))
            return
        # Between a logout and a login nothing may come; afterwards the socket must speak for the new one.
        state = self.link.state
        stranger = person.name is None or (state.subject is not None and state.subject != person.name)
        self.heard.message(data["messageAdded"], generation=person.generation, stranger=stranger, at=time.monotonic())

    async def _speak(self) -> None:
        period = self._soak.options.clients / self._soak.options.messages
        async with asyncio.TaskGroup() as saying:
            while True:
                await asyncio.sleep(self._soak.chance.uniform(0, 2 * period))
                if self._soak.sending:  # whether or not the last one has been answered
                    saying.create_task(self.say(f"{self.number} says {len(self.sent)}"))


async def come_and_go(person: Person, soak: Soak) -> None:
    """Log in, stay for a while, log out, and come back as oneself or as the other one; or change places at once."""
    while True:
        await log_in(person, soak.chance.choice(person.names), soak)
        await asyncio.sleep(soak.chance.uniform(0.5, 1.5) * soak.options.stay_seconds)
        if not soak.sending:
            return
        await log_out(person, soak)
        await asyncio.sleep(soak.chance.uniform(0.0, 3.0))


async def log_out(person: Person, soak: Soak) -> None:
    """Log out; the server may be away, or nobody may wait for the end, and the client has logged out all the same."""
    person.speaks = False
    try:
        with suppress(GqlinkError):
            await person.account.logout()
    finally:
        person.name, person.generation = None, person.generation + 1
        soak.logouts += 1


async def log_in(person: Person, name: str, soak: Soak) -> None:
    """Log in, however long it takes: the server may be away."""
    person.name, person.generation = name, person.generation + 1  # the last attempt may have come through
    while True:
        try:
            await person.account.login(name, PASSWORD)
        except GqlinkError:
            await asyncio.sleep(1.0)
        else:
            soak.logins += 1
            person.speaks = True
            return


async def start(script: str, options: dict[str, Any]) -> Process:
    """Start one of the other programs."""
    return await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / script), json.dumps(options), stdout=asyncio.subprocess.PIPE
    )


async def read_line(process: Process) -> Any:
    """Read one line of JSON that a program says."""
    assert process.stdout is not None
    return json.loads(await asyncio.wait_for(process.stdout.readline(), 60))


class Server:
    """The server's process, one after the other."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self.process: Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = await start("soak_server.py", self._options)
        address = f"http://127.0.0.1:{self._options['port']}/healthz"
        for _ in range(300):
            await asyncio.sleep(0.1)
            with suppress(OSError):
                await asyncio.to_thread(lambda: urlopen(address, timeout=1).close())
                return
        raise SystemExit("the server did not start")

    async def kill(self) -> None:
        """Kill it, without a word."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    @property
    def megabytes(self) -> float:
        """Its resident memory."""
        return 0.0 if self.process is None else resident(self.process.pid)


def resident(pid: int | str) -> float:
    """Return a process's resident memory, in MiB."""
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    return 0.0


async def kill_and_start(server: Server, soak: Soak, *, until: float) -> None:
    """Kill the server every minute, and start it again."""
    while True:
        await asyncio.sleep(soak.options.kill_seconds)
        if time.monotonic() > until - soak.options.kill_seconds / 2:
            return
        soak.kills.append(time.monotonic())
        await server.kill()
        await server.start()


async def watch(server: Server, talkers: list[Talker], *, began_at: float) -> list[tuple[float, float]]:
    """Say once a minute how it goes, and keep both processes' memory, in MiB."""
    memory: list[tuple[float, float]] = []
    try:
        while True:
            await asyncio.sleep(10)
            memory.append((resident("self"), server.megabytes))
            if len(memory) % _LINES == _BETWEEN_RESTARTS:
                heard = sum(talker.heard.count for talker in talkers)
                sent = sum(len(talker.sent) for talker in talkers)
                live = sum(talker.link.state.phase == "live" for talker in talkers)
                print(
                    f"{time.monotonic() - began_at:5.0f} s: {sent} said, {heard} heard, {live} live, "
                    f"{memory[-1][0]:.0f} MiB here, {memory[-1][1]:.0f} MiB there",
                    flush=True,
                )
    except asyncio.CancelledError:
        return memory


async def last_word(talkers: list[Talker]) -> None:
    """Say one last thing in each room, and wait until all in it have heard it."""
    words = {talker.room: talker for talker in talkers if talker.person.speaks}
    await asyncio.gather(*(talker.say("the last word") for talker in words.values()))
    deadline = time.monotonic() + PATIENCE
    for talker in talkers:
        while talker.heard.last_text != "the last word" and time.monotonic() < deadline:  # noqa: ASYNC110 -- cheap
            await asyncio.sleep(0.2)


async def run(options: argparse.Namespace, directory: Path, port: int) -> int:
    soak = Soak(options, random.Random(options.seed))
    people_number = max(1, options.clients // 5)
    rooms = max(1, options.clients // 2)
    settings = {"data": str(directory), "port": port, "token_seconds": options.token_seconds}
    preparing = await start("soak_server.py", settings | {"accounts": 2 * people_number, "rooms": rooms})
    if await preparing.wait():
        raise SystemExit("the data could not be made")
    server = Server(settings)
    await server.start()
    weather = {
        "target": f"127.0.0.1:{port}",
        "faults": options.faults,
        "seconds": options.seconds,
        "seed": options.seed,
    }
    network = await start("soak_network.py", weather)
    through = (await read_line(network))["port"]
    people = [
        Person(PasswordLogin(f"http://127.0.0.1:{through}"), (f"user{2 * number}", f"user{2 * number + 1}"))
        for number in range(people_number)
    ]
    talkers = [
        # Rooms mix people, and people mix rooms.
        Talker(n, person=people[n % people_number], room=f"room-{(n // 2) % rooms}", port=through, soak=soak)
        for n in range(options.clients)
    ]
    began_at = time.monotonic()
    tasks = [asyncio.create_task(talker.live()) for talker in talkers]
    comings = [asyncio.create_task(come_and_go(person, soak)) for person in people]
    killing = asyncio.create_task(kill_and_start(server, soak, until=began_at + options.seconds))
    watching = asyncio.create_task(watch(server, talkers, began_at=began_at))
    await asyncio.sleep(options.seconds)
    soak.sending = False
    killing.cancel()
    faults = await read_line(network)
    for coming in comings:
        coming.cancel()
    await asyncio.gather(*comings, return_exceptions=True)
    await asyncio.gather(*(log_in(person, person.names[0], soak) for person in people if not person.speaks))
    await asyncio.sleep(20.0)  # what was under way has its outcome
    await last_word(talkers)
    watching.cancel()
    memory = await watching
    for task in tasks:
        task.cancel()
    crashed = [each for each in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(each, Exception)]
    await asyncio.gather(*(person.account.aclose() for person in people), return_exceptions=True)
    network.terminate()
    await network.wait()
    await server.kill()
    print(f"faults {faults}, kills {len(soak.kills)}, logins {soak.logins}, logouts {soak.logouts}, crashed {crashed}")
    return judge(
        directory / "chat.sqlite3",
        heard=[talker.heard for talker in talkers],
        sent=[sent for talker in talkers for sent in talker.sent.values()],
        kills=soak.kills,
        memory=memory,
    ) + len(crashed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--messages", type=float, default=100.0, help="said a second, by all; each is heard by two")
    parser.add_argument("--token-seconds", type=float, default=3.0)
    parser.add_argument("--stay-seconds", type=float, default=60.0, help="how long a login lasts, on average")
    parser.add_argument("--kill-seconds", type=float, default=60.0, help="how often the server is killed")
    parser.add_argument("--faults", type=float, default=2.0, help="of the network, a second")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # that lines are lost is what it is about
    with TemporaryDirectory() as directory:
        return min(1, asyncio.run(run(options, Path(directory), options.port or free_port())))


def free_port() -> int:
    """Find a port that the server can come back to."""
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
