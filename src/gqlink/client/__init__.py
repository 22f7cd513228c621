"""GraphQL over HTTP and WebSocket, with the present credential on every connection.

`client` is the promise, `http` and `websocket` are the links. `keeper` is the life of a link's connections, in which
`params` says what to present, `dialling` opens a `socket`, `ending` reads how it ended and `recovery` what follows;
`renewer` keeps the credential of a live socket fresh, and a `handover` moves what runs to another one. `tokens` says
what a token source is; `password_login`, `refresh_login`, `token_file` and `environment` are those that come along.
"""

from gqlink.client.client import Client
from gqlink.client.clock import Clock, SystemClock, Timer
from gqlink.client.continuity import SubscriptionPhase, SubscriptionState
from gqlink.client.environment import EnvironmentToken
from gqlink.client.event import Event
from gqlink.client.frames import SocketFrame
from gqlink.client.gaps import CatchUp, EventKey, Gap, OnGap, Overflow, SubscribeOptions, WhenAnonymous
from gqlink.client.http import HttpLink
from gqlink.client.link import Link, Subscription
from gqlink.client.params import Attempt, ConnectionParams, Headers
from gqlink.client.password_login import LoginIdentity, PasswordLogin
from gqlink.client.refresh_login import RefreshTokenLogin
from gqlink.client.request import OperationKind, Request, is_subscription
from gqlink.client.retry import Retry
from gqlink.client.split import SplitLink, split
from gqlink.client.state import LinkPhase, LinkState
from gqlink.client.sync_client import SyncClient, SyncSubscription
from gqlink.client.token_file import TokenFile
from gqlink.client.tokens import AccessToken, Auth, Change, FunctionSource, TokenSource
from gqlink.client.websocket import WebSocketLink

__all__ = (
    "AccessToken",
    "Attempt",
    "Auth",
    "CatchUp",
    "Change",
    "Client",
    "Clock",
    "ConnectionParams",
    "EnvironmentToken",
    "Event",
    "EventKey",
    "FunctionSource",
    "Gap",
    "Headers",
    "HttpLink",
    "Link",
    "LinkPhase",
    "LinkState",
    "LoginIdentity",
    "OnGap",
    "OperationKind",
    "Overflow",
    "PasswordLogin",
    "RefreshTokenLogin",
    "Request",
    "Retry",
    "SocketFrame",
    "SplitLink",
    "SubscribeOptions",
    "Subscription",
    "SubscriptionPhase",
    "SubscriptionState",
    "SyncClient",
    "SyncSubscription",
    "SystemClock",
    "Timer",
    "TokenFile",
    "TokenSource",
    "WebSocketLink",
    "WhenAnonymous",
    "is_subscription",
    "split",
)
