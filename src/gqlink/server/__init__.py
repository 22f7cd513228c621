"""GraphQL for any ASGI server, over HTTP and both WebSocket subprotocols, with one way to know who speaks.

`app` is the promise; `http`, `listener` and `event_stream` are the shells, `asgi_socket` and `asgi_event_stream` drive
the last two on any ASGI server; `speaker` decides what these may send; `execution` runs operations; `origin`, `cors`,
`limits`, `masking`, `policy`, `requirements` and `revocations` keep it safe; `playground` is a page to try it in.
"""

from gqlink.errors import MissingExtra

try:
    from gqlink.server.app import GraphQLApp
    from gqlink.server.authorization_directives import AUTHORIZATION_DIRECTIVES
    from gqlink.server.clock import Clock, SystemClock, Timer
    from gqlink.server.cors import CrossOrigin
    from gqlink.server.cost_directives import COST_DIRECTIVES
    from gqlink.server.limits import Limits
    from gqlink.server.origin import Doorkeeper
    from gqlink.server.pages import BuiltPage, security_policy
    from gqlink.server.playground import Playground
    from gqlink.server.policy import Policy, PolicyEvent, PolicyOperation
    from gqlink.server.requirements import Requirements
    from gqlink.server.revocation_file import FileRevocationStore
    from gqlink.server.revocations import RevocationStore
    from gqlink.server.statistics import ServerStatistics
    from gqlink.server.transport import Context, SocketEvent, Transport
except ImportError as exc:
    if (exc.name or "gqlink").startswith("gqlink"):
        raise  # ours, or a room below has said it already
    raise MissingExtra("server", module=exc.name) from exc

__all__ = (
    "AUTHORIZATION_DIRECTIVES",
    "COST_DIRECTIVES",
    "BuiltPage",
    "Clock",
    "Context",
    "CrossOrigin",
    "Doorkeeper",
    "FileRevocationStore",
    "GraphQLApp",
    "Limits",
    "Playground",
    "Policy",
    "PolicyEvent",
    "PolicyOperation",
    "Requirements",
    "RevocationStore",
    "ServerStatistics",
    "SocketEvent",
    "SystemClock",
    "Timer",
    "Transport",
    "security_policy",
)
