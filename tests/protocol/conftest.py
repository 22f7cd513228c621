"""How many conversations the state machines hold: few in `make check`, as many as asked for otherwise."""

import os

from hypothesis import HealthCheck, settings

CONVERSATIONS = int(os.environ.get("GQLINK_CONVERSATIONS", "0"))

settings.register_profile("gqlink-short", max_examples=60, stateful_step_count=30, deadline=None)
settings.register_profile(
    "gqlink-long",
    max_examples=max(CONVERSATIONS, 1),
    stateful_step_count=30,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
