"""Who hears it: topics whose every publication has a position, so that a subscriber can say where it left off.

`MemoryBroker` serves one process and needs nothing beside Python; other engines stand behind the same `Broker`.
"""

from gqlink.pubsub.broker import Broker, Position, Publication, Subscription
from gqlink.pubsub.memory import MemoryBroker, Statistics
from gqlink.pubsub.topic import Stream, Topic

__all__ = (
    "Broker",
    "MemoryBroker",
    "Position",
    "Publication",
    "Statistics",
    "Stream",
    "Subscription",
    "Topic",
)
