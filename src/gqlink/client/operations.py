"""What is running: every operation that was asked for and has not ended, and which socket carries it.

Most of the time an operation has one carriage: a socket, and the id under which it runs there. It has none while there
is no connection, and two while a subscription is handed over from one socket to the next (see `crossing`).
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakSet

from gqlink.client.asking import Asking
from gqlink.client.continuity import Continuity, SubscriptionPhase
from gqlink.client.crossing import Crossing, Ended
from gqlink.client.event import cursor_of, read_event
from gqlink.client.event_queue import EventQueue
from gqlink.client.link import PLAIN
from gqlink.client.quoting import quote_errors
from gqlink.client.request import OperationKind
from gqlink.client.telemetry import log_event
from gqlink.client.tracing import trace_subscription
from gqlink.client.twin import twin
from gqlink.errors import (
    BadUserInput,
    LocalProtocolError,
    OperationFailed,
    OutcomeUnknown,
    SubjectChanged,
    SubscriberLagging,
)
from gqlink.protocol import ExecutionResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gqlink.client.clock import Clock
    from gqlink.client.gaps import SubscribeOptions
    from gqlink.client.request import Request
    from gqlink.client.socket import Socket
    from gqlink.client.tracing import Stay
    from gqlink.errors import GqlinkError
    from gqlink.protocol import NextReceived, ResultMessage

__all__ = ("Carriage", "Operation", "Operations", "same_error")


class Carriage:
    """One operation on one socket, under one id.

    Args:
        operation: What is carried.
        socket: By which socket.
        identifier: As the socket's server knows it; no id is ever used twice on a link.
    """

    __slots__ = ("asking", "crossing", "id", "operation", "socket", "stay")

    def __init__(self, operation: Operation, socket: Socket, identifier: str) -> None:
        self.operation = operation
        self.socket = socket
        self.id = identifier
        self.crossing: Crossing[Carriage] | None = None
        self.stay: Stay | None = None
        self.asking: Asking | None = None
        """Until the first result, which may say where events begin."""


class Operation:
    """One operation, from the call to its end.

    Args:
        request: What it asks.
        queue: What waits for the consumer.
        options: What a subscriber wants beside events.
        continuity: Where a subscription stands; None for what is answered once.
        subject: For whom it was asked, where a server had told; None for nobody, or where nobody knows.
    """

    __slots__ = (
        "__weakref__",
        "answered",
        "brief",
        "carriages",
        "changes",
        "continuity",
        "options",
        "queue",
        "request",
        "subject",
        "written",
    )

    def __init__(
        self,
        request: Request,
        *,
        queue: EventQueue,
        options: SubscribeOptions,
        continuity: Continuity | None,
        subject: str | None,
    ) -> None:
        self.request = request
        self.queue = queue
        self.options = options
        self.continuity = continuity
        self.subject = subject
        self.changes: int | None = None
        """How often the credential had changed, where somebody asked for whom no socket had spoken yet."""
        self.carriages: list[Carriage] = []
        self.written = False
        self.answered = False
        self.brief = continuity is None or not continuity.remembers
        """Whether there is nothing to do with an event but to hand it on."""

    @property
    def name(self) -> str:
        """What it is called, for errors and logs."""
        return _name_of(self.request)

    @property
    def hold(self) -> bool:
        """Whether it waits, unwritten, while nobody is logged in."""
        return self.options.when_anonymous == "hold"

    @property
    def once(self) -> bool:
        """Whether it must never be written a second time."""
        return self.request.kind is OperationKind.MUTATION

    @property
    def repeats(self) -> bool:
        """Whether one result is not the end."""
        return self.request.kind is OperationKind.SUBSCRIPTION


class Operations:
    """The running operations, in the order in which they were asked for.

    Args:
        buffer: How many results may wait for each consumer, unless it says so itself.
        clock: Tells the time.
        on_gap: Told of each gap in a subscription.
        is_somebody: Says whether somebody is logged in, as far as the token source tells.
    """

    def __init__(
        self, *, buffer: int, clock: Clock, on_gap: Callable[[], None], is_somebody: Callable[[], bool]
    ) -> None:
        self._buffer = buffer
        self._is_somebody = is_somebody
        self._clock = clock
        self._on_gap = on_gap
        self.subject: str | None = None
        """For whom the last socket spoke, as its server told; None for nobody, or after a change."""
        self.changes = 0
        """How often the credential has changed."""
        self._running: dict[Operation, None] = {}
        self._by_id: dict[str, Carriage] = {}
        # Buffers outlive their operations: what waits in them is still somebody's.
        self._buffered: WeakSet[Operation] = WeakSet()
        self._ids = count(1)

    def __len__(self) -> int:
        return len(self._running)

    def add(self, request: Request, options: SubscribeOptions = PLAIN) -> Operation:
        """Take note of a new operation."""
        name = _name_of(request)
        queue = EventQueue(name, bound=options.buffer or self._buffer, overflow=options.overflow)
        continuity = None
        if request.kind is OperationKind.SUBSCRIPTION:
            continuity = Continuity(name, options, queue=queue, clock=self._clock, on_gap=self._on_gap)
            continuity.spans = trace_subscription(request)
            continuity.remembers |= continuity.spans is not None  # then events are counted, which takes the longer way
        operation = Operation(request, queue=queue, options=options, continuity=continuity, subject=self.subject)
        if self.subject is None and self._is_somebody():
            operation.changes = self.changes
        self._running[operation] = None
        self._buffered.add(operation)
        return operation

    def need(self, *, anonymous: bool) -> bool:
        """Say whether anything needs a socket that speaks for somebody, or for nobody."""
        return any(not operation.hold for operation in self._running) if anonymous else bool(self._running)

    def write(self, operation: Operation, socket: Socket, *, anonymous: bool) -> None:
        """Have a socket carry an operation, unless it waits for somebody to log in."""
        if anonymous and operation.hold:
            self._rest(operation)
        elif operation.once and self._is_for_somebody_else(operation, socket):
            # Not written yet, and asked for by somebody else: what one person wants is not done in the name of another.
            self._finish(operation, SubjectChanged("the login changed before the mutation was sent"))
        else:
            self._carry(operation, socket)

    def write_waiting(self, socket: Socket, *, anonymous: bool) -> None:
        """Have a socket carry every operation that none carries, oldest first."""
        for operation in [each for each in self._running if not each.carriages]:
            self.write(operation, socket, anonymous=anonymous)

    def begin_held(self) -> None:
        """Let those go on who entered a subscription that waits for somebody to log in."""
        for operation in self._running:
            if operation.hold:
                self._rest(operation)

    def stop(self, operation: Operation) -> None:
        """End one, also on the server; harmless when it is over."""
        for carriage in list(operation.carriages):
            self._drop(carriage)
        self._running.pop(operation, None)
        if operation.continuity is not None:
            operation.continuity.show(SubscriptionPhase.ENDED)

    def carried_by(self, socket: Socket) -> list[Operation]:
        """Return those that a socket carries, oldest first."""
        return [carriage.operation for carriage in self._by_id.values() if carriage.socket is socket]

    def cross(self, operation: Operation, new: Socket) -> Crossing[Carriage] | None:
        """Have a second socket carry a subscription that one carries already; None if it cannot be written again."""
        self._carry(operation, new, crossing=True)
        if not operation.carriages:
            return None
        old, second = operation.carriages
        key = operation.options.key
        old.crossing = second.crossing = crossing = Crossing(old, second, key=key, before=old.crossing)
        return crossing

    def arrive(self, crossing: Crossing[Carriage], *, lost: bool = False) -> None:
        """Hear the new socket from here on, the old one no more; what the new one has brought comes first.

        Args:
            crossing: Of one subscription.
            lost: Whether the old socket was lost, and not left.
        """
        operation = crossing.old.operation
        if crossing.arrived or operation not in self._running:
            return
        self._drop(crossing.old)
        if crossing.new.asking is not None and lost:
            crossing.new.asking.lose()
        if crossing.unproved is not None and not crossing.has_passed(crossing.unproved.unproved):
            crossing.unproved.break_off()
        for result in crossing.arrive():
            self._accept(operation, result)
        if crossing.ended is not None:
            self._finish(operation, crossing.ended.error)

    def turn_back(self, crossing: Crossing[Carriage]) -> None:
        """Go on hearing the old socket only: the new one is lost."""
        crossing.old.crossing = crossing.before
        self._drop(crossing.new)

    def forget(self, crossing: Crossing[Carriage]) -> None:
        """Take what the new socket brings for news from here on; it may be the old one of another crossing by now."""
        if crossing.forget() and crossing.new.crossing is crossing:
            crossing.new.crossing = None

    def results(self, results: Sequence[NextReceived | ResultMessage]) -> bool:
        """Hand results on, oldest first; False when a consumer lags and its operation is over."""
        ok, room = True, 0
        identifier: str | None = None
        wait: Callable[[ExecutionResult], None] = _nowhere
        for each in results:
            if each.id != identifier:
                identifier = each.id
                room, wait = self._way(identifier)
            result = each.result
            if room > 0 and result.errors is None and result.extensions is None:
                # As nearly always, and without a call: they come by the hundred thousand. `_result` would do no more.
                wait(result)
                room -= 1
            elif (carriage := self._by_id.get(identifier)) is not None:
                ok &= self._result(carriage, result)
                identifier = None  # whatever has happened there
        return ok

    def _way(self, identifier: str) -> tuple[int, Callable[[ExecutionResult], None]]:
        """Return how many plain results may wait for an operation's consumer with nothing else to be done, and where.

        The consumer is woken for the first of them already: before it runs, they are there.
        """
        carriage = self._by_id.get(identifier)
        if carriage is None or carriage.asking is not None or carriage.crossing is not None:
            return 0, _nowhere
        if not carriage.operation.brief:
            return 0, _nowhere
        carriage.operation.answered = True
        queue = carriage.operation.queue
        if queue.asleep:
            queue.wake()
        return queue.bound - len(queue.waiting), queue.waiting.append

    def _result(self, carriage: Carriage, result: ExecutionResult) -> bool:
        operation = carriage.operation
        operation.answered = True
        if result.errors:
            errors = quote_errors(result.errors, carriage.socket.conceal)
            result = ExecutionResult(result.data, errors, result.extensions)
        if carriage.asking is not None:
            asking, carriage.asking = carriage.asking, None
            if asking.takes(result):
                self._go_live(carriage, asking)
                return True
        crossing = carriage.crossing
        if crossing is not None and not crossing.passes(carriage, result):
            if crossing.holds(operation.options.buffer or self._buffer):
                self.arrive(crossing)
            if crossing.is_late and not crossing.owes_copies():
                carriage.crossing = None
            return True
        return self._accept(operation, result)

    def _go_live(self, carriage: Carriage, asking: Asking) -> None:
        """Take note of where a second socket begins: what that proves shows when the first one has been left."""
        crossing = carriage.crossing
        if crossing is None or carriage is not crossing.new:
            return
        if not crossing.arrived:
            crossing.unproved = asking if asking.unproved is not None else None
            if crossing.old.asking is not None:
                self.arrive(crossing)  # the old one has said nothing yet: it would come behind this one
        elif asking.unproved is not None and not crossing.has_passed(asking.unproved):
            asking.break_off()

    def completed(self, identifier: str) -> None:
        """The server ended one."""
        carriage = self._by_id.get(identifier)
        if carriage is None or self._ends_later(carriage, Ended(None)):
            return
        self._finish(carriage.operation)

    def failed(self, socket: Socket, identifier: str | None, errors: Sequence[Mapping[str, object]]) -> None:
        """The server failed one; where it does not say which, only a single one can be meant."""
        carriage = self._by_id.get(identifier) if identifier is not None else self._only(socket)
        if carriage is None:
            log_event("stray_error", "the server reported an error that belongs to no operation", socket=socket.number)
            return
        error = OperationFailed(quote_errors(errors, socket.conceal))
        if self._ends_later(carriage, Ended(error)):
            return
        crossing = carriage.crossing
        if crossing is not None and not crossing.arrived and crossing.ended is None:
            # The old socket speaks with an older credential: what the new one says of the subscription counts.
            self.arrive(crossing)
        else:
            self._finish(carriage.operation, error)

    def connection_ended(self, socket: Socket, *, code: int | None, reason: str) -> None:
        """A socket carries nothing any more: end what cannot go on, keep what will be written again."""
        for operation in self.carried_by(socket):
            for carriage in [each for each in operation.carriages if each.socket is socket]:
                self._drop(carriage, code=code)
            if operation.carriages:
                continue
            if operation.answered and not operation.repeats:
                self._finish(operation)
            elif operation.written and operation.once:
                self._finish(operation, OutcomeUnknown(operation.request.operation_name, code=code, reason=reason))
            elif operation.continuity is not None:
                operation.continuity.show(SubscriptionPhase.WAITING)

    def fail(self, error: GqlinkError) -> None:
        """End them all."""
        for operation in list(self._running):
            outcome = error
            if operation.written and operation.once and not operation.answered:
                code, reason = getattr(error, "code", None), getattr(error, "reason", "")
                outcome = OutcomeUnknown(operation.request.operation_name, code=code, reason=reason)
            self._finish(operation, same_error(outcome))

    def discard_buffers(self, why: str) -> None:
        """Forget every result that no consumer has taken yet.

        A subscription that no socket carries goes back to what its consumer has had, and asks again from there, if it
        is for the same subject; for one that is carried that is a gap.

        Args:
            why: For the log, which is told how many there were.
        """
        total = 0
        for operation in self._buffered:
            count, gap = operation.queue.discard()
            total += count
            if operation.continuity is None:
                continue
            if operation.carriages and gap is not None:
                operation.continuity.break_off(f"{gap.reason}; what came after it was discarded: {why}")
            elif operation.carriages and count:
                operation.continuity.break_off(f"they were discarded: {why}", missed=count)
            elif not operation.carriages:
                operation.continuity.rewind(discarded=count > 0 or gap is not None)
        if total:
            log_event("discarded", "%d events that nobody had taken were discarded: %s", total, why, missed=total)

    def _carry(self, operation: Operation, socket: Socket, *, crossing: bool = False) -> None:
        carriage = Carriage(operation, socket, str(next(self._ids)))
        self._by_id[carriage.id] = carriage
        operation.carriages.append(carriage)
        operation.written = True
        message = operation.request.message
        if operation.continuity is None:
            operation.queue.begin()
        else:
            carriage.stay = None if operation.continuity.spans is None else operation.continuity.spans.stay(socket)
            others = [each.asking for each in operation.carriages if each is not carriage]
            owes = any(other is not None and other.owes for other in others)
            carriage.asking = Asking(
                operation.continuity, operation.queue, addition=socket.addition, crossing=crossing, owes=owes
            )
            message = carriage.asking.ask(message)
        try:
            socket.start(carriage.id, message)
        except LocalProtocolError as exc:
            error = BadUserInput("variables must be values that JSON can express")
            error.__cause__ = exc
            self._finish(operation, error)

    def _accept(self, operation: Operation, result: ExecutionResult) -> bool:
        """Let a result wait for its consumer; False when too many do, and the operation is over."""
        continuity = operation.continuity
        if continuity is not None:
            if result.extensions is not None:
                continuity.cursor = cursor_of(result) or continuity.cursor
            if continuity.remembers:
                continuity.last = read_event(result)
            if continuity.spans is not None:
                continuity.spans.events += 1
        if operation.queue.put(result):
            return True
        log_event("lagging", "the consumer of %s is too slow", operation.name, operation=operation.name)
        if continuity is not None and continuity.spans is not None:
            continuity.spans.failed(SubscriberLagging(operation.name, buffered=0))
        self.stop(operation)
        return False

    def _is_for_somebody_else(self, operation: Operation, socket: Socket) -> bool:
        """Say whether who asked for an operation that was never written is not whom the socket speaks for."""
        if operation.written:
            return False
        if operation.subject is not None:
            return socket.addition is not None and socket.addition.subject != operation.subject
        return operation.changes is not None and operation.changes != self.changes

    def _rest(self, operation: Operation) -> None:
        """Let a subscription wait for somebody to log in; what it has heard was for somebody else."""
        operation.queue.begin()  # nobody knows when that will be: whoever entered the subscription goes on
        if operation.continuity is not None:
            if operation.written:
                operation.continuity.forget()
            operation.continuity.show(SubscriptionPhase.WAITING)

    def _ends_later(self, carriage: Carriage, ended: Ended) -> bool:
        """Put off the end that a new socket brings, until what the old one brings has had its time."""
        crossing = carriage.crossing
        if crossing is None or crossing.arrived or carriage is crossing.old:
            return False
        crossing.ended = ended
        self._drop(carriage)
        return True

    def _only(self, socket: Socket) -> Carriage | None:
        carriages = [carriage for carriage in self._by_id.values() if carriage.socket is socket]
        return carriages[0] if len(carriages) == 1 else None

    def _drop(self, carriage: Carriage, *, code: int | None = None) -> None:
        """Let a socket carry an operation no more; nothing that it still brings is heard."""
        if carriage.stay is not None:
            carriage.stay.end(code)
        self._by_id.pop(carriage.id, None)
        if carriage.asking is not None:
            carriage.asking.close()
        if carriage in carriage.operation.carriages:
            carriage.operation.carriages.remove(carriage)
        carriage.socket.complete(carriage.id)

    def _finish(self, operation: Operation, error: GqlinkError | None = None) -> None:
        """End one, after what waits for its consumer."""
        if error is not None and operation.continuity is not None and operation.continuity.spans is not None:
            operation.continuity.spans.failed(error)
        self.stop(operation)
        operation.queue.finish(error)


def _nowhere(_result: ExecutionResult) -> None:
    raise AssertionError("there is no room")


def _name_of(request: Request) -> str:
    return request.operation_name or f"an anonymous {request.kind}"


def same_error(error: GqlinkError) -> GqlinkError:
    """Return an equal error with the same cause, for each of several tasks that raise it."""
    equal = twin(error)
    equal.__cause__ = error.__cause__
    return equal
