"""What may happen in a conversation: everything that a peer may send, good and bad, and that an application may decide.

A finite alphabet, shared by the state machines and the fuzzer, which draw from it in their own ways.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from gqlink.protocol import Dialect, Event, Kind, Request, Side
from protocol.watched import Watched, WatchedClient, WatchedPair, WatchedServer

IDS = ("1", "2", "3", "😀", "a" * 128)
RESULTS = (b'{"data":{"hello":"world"}}', b'{"data":null,"errors":[{"message":"no"}]}')
ERRORS: tuple[list[dict[str, object]], ...] = (
    [{"message": "no"}],
    [{"message": "a"}, {"message": "b", "extensions": {"code": "X"}}],
)
CLOSES = ((1000, ""), (1012, "Service restart"), (4403, "Token expired"), (4400, "ü" * 200), (1006, "no frame has it"))
SECONDS = (0.5, 4.9, 5.0, 60.0)

Move = tuple[str, Callable[[], None]]
Moves = tuple[tuple[Move, ...], tuple[Move, ...]]
"""What leaves a conversation alive, and what ends it."""


def server_moves(server: WatchedServer) -> Moves:
    """Return everything that an application of the server may decide."""
    return tuple(_server_decisions(server)), (
        *((f"refuse {code}", partial(server.refuse, code, reason)) for code, reason in CLOSES),
        *((f"close {code}", partial(server.close, code, reason)) for code, reason in CLOSES),
        *_losses(server),
    )


def _server_decisions(server: WatchedServer) -> Iterator[Move]:
    for _ in range(4):
        yield "acknowledge", server.acknowledge
    yield "acknowledge unwritable", lambda: _unwritable(server)
    for operation_id in IDS:
        yield f"next {operation_id}", partial(server.next, operation_id, RESULTS[0])
        yield f"next {operation_id}", partial(server.next, operation_id, RESULTS[1])
        yield f"complete {operation_id}", partial(server.end, operation_id, None)
        for errors in ERRORS:
            yield f"error {operation_id}", partial(server.end, operation_id, errors)
    yield "no errors", lambda: _must_refuse(server, partial(server.server.error, "1", []))
    yield "keep alive", lambda: _ignore(server.decide(server.server.keep_alive))
    yield from _signs_of_life(server)


def client_moves(client: WatchedClient) -> Moves:
    """Return everything that an application of the client may decide."""
    return tuple(_client_decisions(client)), (
        *((f"close {code}", partial(client.close, code, reason)) for code, reason in CLOSES),
        *_losses(client),
    )


def _client_decisions(client: WatchedClient) -> Iterator[Move]:
    yield "initialise", client.initialise
    yield "unwritable", lambda: _must_refuse(client, partial(client.client.initialise, {"a": object()}))
    for operation_id in IDS:
        yield f"subscribe {operation_id}", partial(client.subscribe, operation_id)
        yield f"subscribe {operation_id}", partial(client.subscribe, operation_id)
        yield f"complete {operation_id}", partial(client.complete, operation_id)
    yield "empty id", lambda: _must_refuse(client, partial(client.client.subscribe, "", Request("q")))
    yield from _signs_of_life(client)


def pair_moves(pair: WatchedPair) -> Moves:
    """Return everything that the two applications and the wires may do."""
    return tuple(_pair_decisions(pair)), (
        ("refuse", partial(pair.server.refuse, 4403, "Token expired")),
        ("server closes", partial(pair.server.close, 1012, "Service restart")),
        ("client closes", partial(pair.client.close, 1000, "")),
        ("wait", partial(pair.wait, 5.0)),
    )


def _pair_decisions(pair: WatchedPair) -> Iterator[Move]:
    for _ in range(6):
        yield "to the server", partial(pair.carry, Side.CLIENT)
        yield "to the client", partial(pair.carry, Side.SERVER)
    for _ in range(2):
        yield "initialise", pair.client.initialise
        yield "acknowledge", pair.server.acknowledge
        yield "subscribe", pair.subscribe
        yield "subscribe", pair.subscribe
    for which in range(3):
        yield f"client completes {which}", partial(pair.complete, which)
        yield f"next {which}", partial(pair.next, which)
        yield f"complete {which}", partial(pair.end, which, None)
        yield f"error {which}", partial(pair.end, which, ERRORS[which % 2])
    for watched in (pair.client, pair.server):
        yield "ping", partial(_ping, watched)
        yield "pong", partial(_pong, watched)
    yield "keep alive", lambda: _ignore(pair.server.decide(pair.server.server.keep_alive))
    yield "wait", partial(pair.wait, 0.01)


def _signs_of_life(watched: Watched) -> Iterator[Move]:
    yield "wait", partial(watched.wait, 0.01)
    yield "ping", partial(_ping, watched)
    yield "pong", partial(_pong, watched)


def _losses(watched: Watched) -> Iterator[Move]:
    for seconds in SECONDS:
        yield f"wait {seconds}", partial(watched.wait, seconds)
    yield "binary", watched.hear_binary
    yield "lost", watched.lose
    yield "left", partial(watched.lose, 1001, "Going away")


def _ping(watched: Watched) -> None:
    watched.decide(partial(watched.machine.ping, {"at": 1}))


def _pong(watched: Watched) -> None:
    watched.decide(partial(watched.machine.pong, {"at": 1}))


def _unwritable(server: WatchedServer) -> None:
    _must_refuse(server, partial(server.server.acknowledge, {"a": object()}))


def _must_refuse(watched: Watched, do: Callable[[], Sequence[Event] | None]) -> None:
    assert not watched.decide(do)


def _ignore(_: object) -> None:
    """Whether it was legal does not matter here."""


Texts = tuple[tuple[str, ...], tuple[str, ...]]
"""What leaves a connection alive most of the time, and what often ends it."""


def heard_by_a_server(dialect: Dialect) -> Texts:
    """Return what clients may say: each word, with ids and payloads of all kinds, and what is no message."""
    start, stop = dialect.types[Side.CLIENT, Kind.SUBSCRIBE], dialect.types[Side.CLIENT, Kind.COMPLETE]
    good = [_message(word, id=operation_id, payload=REQUEST) for word in (start, stop, stop) for operation_id in IDS]
    large = [_message(start, id=operation_id, payload={"query": "x" * 300}) for operation_id in IDS]
    pings = ["ping", "pong"] * 4 if (Side.CLIENT, Kind.PING) in dialect.types else []
    return (*good, *good, *large, *_failing(start), *map(_message, pings)), tuple(_everything(_words(dialect)))


def heard_by_a_client(dialect: Dialect) -> Texts:
    """Return what servers may say."""
    words = [dialect.types[Side.SERVER, kind] for kind in (Kind.NEXT, Kind.ERROR, Kind.COMPLETE)]
    good = [_message(word, id=operation_id, payload=RESULT) for word in words for operation_id in IDS]
    failing = [text for word in words for text in _failing(word)]
    heard = ["ka", "toast", "pong", "connection_error"]
    return (*good, *good, *failing, *map(_message, heard)), tuple(
        _everything([*_words(dialect), "ka", "connection_error"])
    )


def _failing(word: str) -> Iterator[str]:
    """What may fail an operation, but no connection."""
    for payload in PAYLOADS:
        yield _message(word, id="1", payload=payload)
    for unreadable in UNREADABLE:
        yield f'{{"id":"1","type":"{word}","payload":{unreadable}}}'
        yield f'{{"type":"{word}","payload":{{"query":"q","variables":{{"a":{unreadable}}}}},"id":"2"}}'


REQUEST: dict[str, object] = {"query": "{ hello }"}
RESULT: dict[str, object] = {"data": {"hello": "world"}}
PAYLOADS: tuple[object, ...] = (
    REQUEST, RESULT, None, {}, [], "text", 1, {"query": 1}, {"query": "q", "variables": []}, {"message": "no"},
    {"errors": [{"message": "no"}]}, [{"message": "no"}], {"gqlink": {"accessToken": "a", "seq": 1}},
    {"query": "x" * 400},
)  # fmt: skip
ODD_IDS: tuple[object, ...] = ("", "a" * 129, "é" * 65, 1, None, True, ["1"], {"id": "1"}, 1.5)
NO_MESSAGES = (
    "", "not json", "[]", "null", '"x"', "1", "{}", '{"type":1}', '{"type":"toast"}', '{"type":"ping"}x', "[" * 500,
    "x" * 601, '{"type":"\\ud83d"}', "\ud83d", '{"type":"connection_init","payload":{"a":"\ud83d"}}', '{"a":1e400}',
)  # fmt: skip
# In place of a payload: what only a second reading can make anything of.
UNREADABLE = ('"\\ud83d"', "1e400", "9" * 450, "[" * 100 + "]" * 100, '{"a":' * 50, "NaN", '"\ud83d"')


def _words(dialect: Dialect) -> list[str]:
    return sorted(set(dialect.types.values()))


def _everything(words: Sequence[str]) -> Iterator[str]:
    yield from NO_MESSAGES
    for word in words:
        yield _message(word)
        for payload in PAYLOADS:
            yield _message(word, payload=payload)
        for operation_id in ODD_IDS:
            yield _message(word, id=operation_id, payload=REQUEST)
        yield from _failing(word)


def _message(word: str, **members: object) -> str:
    return json.dumps({"type": word, **members}, ensure_ascii=False)
