import subprocess
import sys

import gqlink.client


def test_the_door_lists_what_is_public() -> None:
    """Everything in `__all__` is there, sorted, and nothing else is promised."""
    assert gqlink.client.__all__ == (
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
    assert all(hasattr(gqlink.client, name) for name in gqlink.client.__all__)


def test_the_room_opens_without_any_extra() -> None:
    """Nothing of the server's, the chat's or the command line's dependencies is imported."""
    extras = ["jwt", "argon2", "starlette", "uvicorn", "ariadne", "sqlalchemy", "typer", "rich", "websockets"]
    code = f"import sys, gqlink.client; print(sorted(set({extras!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
