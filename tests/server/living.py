"""A listener whose tokens say how long they live, and what they allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gqlink.auth import Identity
from gqlink.protocol import Kind, Text
from server.recorder import Scene

if TYPE_CHECKING:
    from gqlink.auth import Credentials
    from gqlink.protocol import Dialect
    from server.world import World


def living(world: World, dialect: Dialect, **options: Any) -> Scene:
    """Set a scene in which "alice:90:admin" is alice for 90 seconds from its verification, with one scope.

    "alice" lives for ever, and the names that mean trouble still do.
    """

    async def authenticate(credentials: Credentials) -> Identity:
        text = credentials.token.reveal() if credentials.token else ""
        if ":" not in text:
            return await world.authenticate(credentials)
        name, seconds, *scopes = text.split(":")
        return Identity(
            subject=name or None,
            scopes=frozenset(scopes),
            session=f"session of {name}",
            issued_at=scene.clock.wall(),
            expires_at=scene.clock.wall() + float(seconds) if seconds else None,
        )

    scene = Scene(world, dialect, **{"authenticate": authenticate, **options})
    # As the transports do: who is revoked must be found.
    scene.host.listeners.add(scene.listener)
    return scene


def ping(scene: Scene, token: object, *, seq: object = 1) -> None:
    """Let the client ask for a renewal."""
    scene.say(Kind.PING, payload={"gqlink": {"accessToken": token, "seq": seq}})


async def renewed(scene: Scene, token: object, *, seq: int = 1) -> dict[str, Any]:
    """Let the client ask for a renewal, and return what came of it; it is taken out of what was said."""
    ping(scene, token, seq=seq)
    await scene.until(lambda: bool(outcomes(scene)) or scene.close is not None)
    [outcome] = outcomes(scene) or [{}]
    scene.outlet.frames[:] = [
        frame for frame in scene.outlet.frames if not (isinstance(frame, Text) and b'"pong"' in frame.data)
    ]
    return outcome


def outcomes(scene: Scene) -> list[dict[str, Any]]:
    """Return what the server said of renewals so far."""
    pongs = (message for message in scene.said if message["type"] == "pong")
    return [pong["payload"]["gqlink"] for pong in pongs if "payload" in pong]
