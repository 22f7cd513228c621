"""What the server counts, in the text format of Prometheus.

The numbers are those of the `Meter`, read when somebody asks; so counting costs an addition, and what prometheus-client
does is paid by the scrape. Every label's values come from a set that is bounded here, whatever clients say; what can be
named beforehand is there from the start, at 0, so that the first one is seen as a rise.

Source: Prometheus, "Metric and label naming" and the text exposition format.
"""

from __future__ import annotations

import dataclasses
from itertools import accumulate, product
from typing import TYPE_CHECKING, Final

from gqlink import __version__
from gqlink.errors import MissingExtra
from gqlink.server.limits import Limits
from gqlink.server.statistics import BUCKETS, OTHER

try:
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector
except ImportError as exc:
    raise MissingExtra("metrics", module=exc.name) from exc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gqlink.server.host import Host
    from gqlink.server.statistics import Durations, Meter, Road

__all__ = ("Metrics",)

_STATES: Final = ("unacknowledged", "acknowledged", "closing")
_IDENTITIES: Final = ("anonymous", "identified")
_ROADS: Final[tuple[Road, ...]] = ("http", "socket", "renewal")
_OUTCOMES: Final = (
    "accepted",
    "anonymous",
    "other",
    "session_revoked",
    "subject_changed",
    "timeout",
    "token_expired",
    "token_invalid",
    "unavailable",
)
_LIMITS: Final = tuple(field.name for field in dataclasses.fields(Limits))


class Metrics:
    """The metrics of one application, and of the process: memory, processor time, open files.

    Args:
        host: What the application shares between all transports.
        collectors: What is written besides.

    Raises:
        MissingExtra: When this module is imported without prometheus-client.
    """

    def __init__(self, host: Host, *, collectors: Sequence[Collector] = ()) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Application(host))
        for collector in collectors:
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def write(self) -> bytes:
        """Write them as they are now; to be called in the application's event loop.

        It takes some microseconds for each socket and each operation.
        """
        return generate_latest(self._registry)


class _Application(Collector):
    """Reads one application's numbers when prometheus-client asks."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def collect(self) -> Iterable[Metric]:
        """Yield every metric as it is now."""
        yield from self._now()
        yield from _totals(self._host.meter)
        yield _execution(self._host.meter.durations)

    def _now(self) -> Iterable[Metric]:
        meter = self._host.meter
        yield InfoMetricFamily("gqlink", "The version of gqlink.", value={"version": __version__})
        yield _gauges("sockets", "WebSockets that are open.", ("state", "identity"), self._sockets().items())
        streams = sum(speaker.kind == "event_stream" for speaker in self._host.listeners)
        yield _gauge("event_streams", "Event streams that are open.", streams)
        yield _gauges(
            "operations_running",
            "Operations that run, a mutation until it has finished.",
            ("kind", "transport"),
            meter.running.items(),
        )
        yield _gauge("send_buffer_bytes", "What waits to be sent to clients.", meter.waiting_bytes)
        most = "The most that has waited to be sent to clients, all together, since the start."
        yield _gauge("send_buffer_highwater_bytes", most, meter.most_waiting_bytes)
        yield _gauge("documents_cached", "Validated documents that are kept.", len(self._host.execution.documents))

    def _sockets(self) -> Mapping[tuple[str, str], int]:
        counts = dict.fromkeys(product(_STATES, _IDENTITIES), 0)
        for speaker in tuple(self._host.listeners):
            if speaker.kind == "websocket":
                counts[speaker.state, "anonymous" if speaker.identity.is_anonymous else "identified"] += 1
        return counts


def _totals(meter: Meter) -> Iterable[Metric]:
    yield _counter("sockets_opened", "WebSockets that were opened.", meter.sockets_opened)
    yield _counters(
        "foreign_requests",
        "Requests and handshakes that were turned away because of their Host or their Origin.",
        ("transport", "header"),
        ((key, meter.foreign[key]) for key in product(("http", "websocket"), ("host", "origin"))),
    )
    yield _counters(
        "authentications",
        "Credentials that were looked at, and what came of it.",
        ("road", "outcome"),
        ((key, meter.authentications[key]) for key in product(_ROADS, _OUTCOMES)),
    )
    yield _counters(
        "closes",
        "Conversations that ended, by close code, normative reason and who ended them.",
        ("code", "reason", "by"),
        meter.closings.items(),
    )
    yield _counters("operations", "Operations that ended.", ("kind", "transport", "outcome"), meter.operations.items())
    yield _counter("events_sent", "Events of subscriptions that were sent.", meter.events_sent)
    yield _counter("messages_sent", "Messages and events that the ASGI server has taken.", meter.messages_sent)
    yield _counters("refusals", "Times that a limit was exceeded.", ("limit",), _by_limit(meter.refusals).items())
    yield _counter("masked_errors", "Errors of which a client reads only an id.", meter.masked_errors)
    yield _counter("slow_consumers", "Clients that were closed because they did not read.", meter.slow_consumers)


def _by_limit(refusals: Mapping[str, int]) -> Mapping[tuple[str], int]:
    """Count what is no limit of ours as one: an application may call its own anything."""
    counts = {(name,): refusals.get(name, 0) for name in _LIMITS}
    known = sum(counts.values())
    return counts | {(OTHER,): sum(refusals.values()) - known}


def _execution(durations: Mapping[tuple[str, str], Durations]) -> Metric:
    what = "How long queries and mutations took, from when they were let begin to their answer."
    family = HistogramMetricFamily("gqlink_execution_seconds", what, labels=("kind", "transport"))
    for labels, taken in durations.items():
        counts = zip((*map(str, BUCKETS), "+Inf"), accumulate(taken.counts), strict=True)
        family.add_metric(labels, buckets=list(counts), sum_value=taken.seconds)
    return family


def _gauge(name: str, what: str, value: int) -> Metric:
    return GaugeMetricFamily(f"gqlink_{name}", what, value=value)


def _counter(name: str, what: str, value: int) -> Metric:
    return CounterMetricFamily(f"gqlink_{name}", what, value=value)


def _gauges(name: str, what: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    family = GaugeMetricFamily(f"gqlink_{name}", what, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def _counters(name: str, what: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], int]]) -> Metric:
    family = CounterMetricFamily(f"gqlink_{name}", what, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family
