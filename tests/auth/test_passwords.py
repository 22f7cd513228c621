import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Literal

import argon2
import pytest
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from gqlink.auth import PasswordHasher
from gqlink.errors import AuthUnavailable, BadUserInput

PATIENCE = 10.0


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    """A hasher at the lowest cost."""
    made = PasswordHasher(parameters=CHEAPEST)
    yield made
    await made.aclose()


class Recorder(argon2.PasswordHasher):
    """Argon2 that writes down what each finished comparison cost."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1, hash_len=16, salt_len=8)
        self.finished: list[argon2.Parameters] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 -- its name there
        """Verify, and record it unless it ended before the work was done."""
        try:
            answer = super().verify(hash, password)
        except argon2.exceptions.VerifyMismatchError:
            self.finished.append(argon2.extract_parameters(str(hash)))
            raise
        self.finished.append(argon2.extract_parameters(str(hash)))
        return answer


class Gate:
    """Work for a hasher's threads that lasts until it is let go, and counts itself."""

    def __init__(self, *, expected: int) -> None:
        self.peak = 0
        self.finished = 0
        self._expected = expected
        self._running = 0
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self._released = threading.Event()

    def work(self) -> None:
        """Be busy until `release`."""
        with self._lock:
            self._running += 1
            self.peak = max(self.peak, self._running)
            if self._running == self._expected:
                self._reached.set()
        self._released.wait(PATIENCE)
        with self._lock:
            self._running -= 1
            self.finished += 1

    async def wait_busy(self) -> None:
        """Wait until as many as expected are at work."""
        assert await asyncio.to_thread(self._reached.wait, PATIENCE)

    def release(self) -> None:
        """Let all of them finish, now and later."""
        self._released.set()


# What it answers


@pytest.mark.parametrize(
    "password", ["alice123", "pass word", "pässwörd", "密码🔑", "a\0b", "\0", "", "x" * 1024, "é" * 512]
)
async def test_a_password_verifies_against_its_own_hash(hasher: PasswordHasher, password: str) -> None:
    """Any Unicode text of up to 1024 bytes, NUL included."""
    assert await hasher.verify(password, await hasher.hash(password))


@pytest.mark.parametrize(
    ("password", "other"),
    [("alice123", "alice124"), ("alice123", "Alice123"), ("a\0b", "a\0c"), ("a\0", "a"), ("a", "a "), ("", "\0")],
)
async def test_another_password_does_not(hasher: PasswordHasher, password: str, other: str) -> None:
    """To the last byte, also after a NUL."""
    assert not await hasher.verify(other, await hasher.hash(password))


async def test_a_letter_is_the_same_however_it_was_typed(hasher: PasswordHasher) -> None:
    """One character or two: keyboards and systems differ (RFC 8265, section 4.2)."""
    assert await hasher.verify("caf\u00e9", await hasher.hash("cafe\u0301"))


async def test_a_hash_is_argon2id_with_a_salt_of_its_own(hasher: PasswordHasher) -> None:
    """The same password is stored differently each time, and never as itself."""
    one, other = await hasher.hash("alice123"), await hasher.hash("alice123")
    assert one.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert one != other
    assert "alice" not in one


async def test_nobody_has_no_password(hasher: PasswordHasher) -> None:
    """Without an account there is no hash, and every password is wrong."""
    assert not await hasher.verify("alice123", None)


@pytest.mark.parametrize(
    "stored", ["", "!", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$$", "$2b$12$abc", "ümläut", "\ud83d"]
)
async def test_what_is_no_hash_locks_the_account(hasher: PasswordHasher, stored: str) -> None:
    """No password opens it, and nothing is raised."""
    assert not await hasher.verify("alice123", stored)
    assert not await hasher.verify(stored, stored)


@pytest.mark.parametrize("password", ["x" * 1025, "é" * 513, "\U0001f511" * 257, "x" * 1_000_000, "\ud83d"])
async def test_a_password_that_is_too_long_or_no_text_is_refused(hasher: PasswordHasher, password: str) -> None:
    """When it is set, with a sentence for the user; at a login it is simply wrong, account or not."""
    with pytest.raises(BadUserInput, match="1024 bytes") as caught:
        await hasher.hash(password)
    assert password not in str(caught.value)
    assert not await hasher.verify(password, await hasher.hash("alice123"))
    assert not await hasher.verify(password, None)


async def test_a_hash_of_another_cost_wants_to_be_renewed(hasher: PasswordHasher) -> None:
    """Verified as it is, and made anew at the next login."""
    dearer = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("alice123")
    assert await hasher.verify("alice123", dearer)
    assert hasher.needs_rehash(dearer)
    assert not hasher.needs_rehash(await hasher.hash("alice123"))


@pytest.mark.parametrize("stored", ["", "!", "ümläut", "$argon2id$v=19$"])
def test_what_is_no_hash_wants_to_be_renewed(stored: str) -> None:
    """Should there ever be a password for it."""
    assert PasswordHasher(parameters=CHEAPEST).needs_rehash(stored)


def test_the_cost_is_rfc_9106_unless_said_otherwise() -> None:
    """The second recommended option: 64 MiB, 3 passes, 4 lanes."""
    assert PasswordHasher()._argon2.memory_cost == 65536
    assert argon2.extract_parameters(PasswordHasher()._dummy) == RFC_9106_LOW_MEMORY


# What it costs


async def test_the_work_is_the_same_whichever_half_is_wrong() -> None:
    """Exactly one whole comparison at the same cost: right, wrong password, no such account, locked account."""
    recorder = Recorder()
    parameters = argon2.Parameters(argon2.Type.ID, 19, 8, 16, 1, 8, 1)
    hasher = PasswordHasher(parameters=parameters)
    hasher._argon2 = recorder
    stored = await hasher.hash("alice123")
    assert await hasher.verify("alice123", stored)
    for password, known in [("wrong", stored), ("alice123", None), ("", None), ("x", "!"), ("x", "$argon2id$x")]:
        assert not await hasher.verify(password, known)
    assert recorder.finished == [parameters] * 6
    await hasher.aclose()


async def test_the_event_loop_is_not_held_up(hasher: PasswordHasher) -> None:
    """The work is done by a thread of its own."""
    assert await hasher._in_thread(threading.get_ident) != threading.get_ident()


async def test_concurrency_is_bounded_even_if_callers_give_up() -> None:
    """A caller who goes away does not make room: the thread is still at work."""
    gate, hasher = Gate(expected=2), PasswordHasher(concurrency=2, parameters=CHEAPEST)
    callers = [asyncio.create_task(hasher._in_thread(gate.work)) for _ in range(6)]
    await gate.wait_busy()
    for caller in callers[:2]:
        caller.cancel()
    await asyncio.gather(*callers[:2], return_exceptions=True)
    verified = asyncio.create_task(hasher.verify("alice123", None))
    gate.release()
    await asyncio.gather(*callers[2:])
    assert await verified is False
    assert gate.peak == 2
    await hasher.aclose()
    assert gate.finished == 6


async def test_one_too_many_is_refused_at_once() -> None:
    """The queue is bounded; whoever comes later is told to try again, and may."""
    gate, hasher = Gate(expected=1), PasswordHasher(concurrency=1, waiting=1, parameters=CHEAPEST)
    busy = asyncio.create_task(hasher._in_thread(gate.work))
    await gate.wait_busy()
    waiting = asyncio.create_task(hasher._in_thread(gate.work))
    with pytest.raises(AuthUnavailable, match="too many") as caught:
        await asyncio.gather(hasher.verify("alice123", None), waiting)
    assert caught.value.temporary
    gate.release()
    await asyncio.gather(busy, waiting, return_exceptions=True)
    assert await hasher.verify("alice123", await hasher.hash("alice123"))
    await hasher.aclose()


async def test_whoever_gives_up_waiting_makes_room() -> None:
    """And nothing is done for them."""
    gate, hasher = Gate(expected=1), PasswordHasher(concurrency=1, waiting=1, parameters=CHEAPEST)
    busy = asyncio.create_task(hasher._in_thread(gate.work))
    await gate.wait_busy()
    for _ in range(3):
        waiting = asyncio.create_task(hasher._in_thread(gate.work))
        asyncio.get_running_loop().call_soon(waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting
    gate.release()
    await busy
    await hasher.aclose()
    assert gate.finished == 1


# How it ends


async def test_closing_ends_the_threads_and_loses_nothing() -> None:
    """What was asked for is answered, then no thread is left, and nothing more is taken."""
    hasher = PasswordHasher(concurrency=1, parameters=CHEAPEST)
    asked = [asyncio.create_task(hasher.hash("alice123")) for _ in range(4)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    await hasher.aclose()
    await hasher.aclose()
    assert len(await asyncio.gather(*asked)) == 4
    assert not [thread for thread in threading.enumerate() if thread in hasher._threads._threads]
    with pytest.raises(AuthUnavailable, match="closed"):
        await hasher.verify("alice123", None)
