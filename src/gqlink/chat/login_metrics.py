"""How logins end, for Prometheus, beside what the server counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from gqlink.chat.login_limit import LOGIN_OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric

    from gqlink.chat.login_limit import LoginLimit

__all__ = ("LoginMetrics",)


class LoginMetrics(Collector):
    """Reads the counts of a `LoginLimit` when prometheus-client asks.

    Args:
        limit: Who counts.
    """

    def __init__(self, limit: LoginLimit) -> None:
        self._limit = limit

    def collect(self) -> Iterable[Metric]:
        """Yield the one metric as it is now."""
        what = "Logins with a name and a password, by what came of them."
        family = CounterMetricFamily("gqlink_chat_logins", what, labels=("outcome",))
        for outcome in LOGIN_OUTCOMES:
            family.add_metric((outcome,), self._limit.outcomes[outcome])
        yield family
