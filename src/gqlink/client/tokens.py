"""Where a client's token comes from."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, runtime_checkable

import httpx2

from gqlink.client.clock import SystemClock
from gqlink.client.sharing import SharedCall
from gqlink.errors import AuthUnavailable, BadUserInput, GqlinkError

if TYPE_CHECKING:
    from gqlink.client.clock import Clock

__all__ = (
    "AccessToken",
    "Auth",
    "Change",
    "Changed",
    "FunctionSource",
    "TokenFunction",
    "TokenSource",
    "Unsubscribe",
    "as_token_source",
)

Change: TypeAlias = Literal["renewed", "changed"]
"""What became of the credential: "renewed" is another token of the same login; "changed" a login, logout or switch."""
Changed: TypeAlias = Callable[[Change], Awaitable[None]]
Unsubscribe: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and how long it lasts.

    Args:
        value: What is presented; never empty.
        expires_in: For how many seconds from now; None for unknown.

    Raises:
        BadUserInput: The value is empty, or the time is no number.
    """

    value: str = field(repr=False)
    expires_in: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.value, str) or not self.value:
            raise BadUserInput("a token must be a text that is not empty; None stands for nobody")
        if self.expires_in is not None and not math.isfinite(self.expires_in):
            raise BadUserInput("expires_in must be a number of seconds, or None")


TokenFunction: TypeAlias = Callable[[], str | AccessToken | None] | Callable[[], Awaitable[str | AccessToken | None]]


@runtime_checkable
class TokenSource(Protocol):
    """Knows the present token, gets the next one, and says when it becomes another one."""

    async def token(self) -> str | None:
        """Return the token to present now, or None when nobody is logged in.

        Raises:
            GqlinkError: It cannot be known now; `temporary` says whether asking again may help.
        """

    async def refresh(self, stale: str | None) -> str | None:
        """Get a token that is not `stale`.

        Where the present one is another one already, that is it; nobody is asked. Otherwise somebody is: once at a
        time, for all who want it. It never waits for those who are told of the change.

        Args:
            stale: What has expired, will soon, or was refused.

        Returns:
            What holds afterwards: `stale` itself where there is no other, None where the login is over.

        Raises:
            AuthUnavailable: Whoever gives tokens cannot be asked now. That is no refusal: the old token stays.
            RequestFailed: Likewise, or the answer makes no sense.
        """

    @property
    def expires_at(self) -> float | None:
        """When the token that was given last ends, in seconds of the monotonic clock; None for unknown."""

    def subscribe(self, changed: Changed) -> Unsubscribe:
        """Ask to be told of every change of the credential.

        Args:
            changed: Called in the moment of a change. What it returns is awaited before whoever caused a "changed"
                (`login`, `logout`) goes on; `refresh` waits for nobody. It may be called again while it works.

        Returns:
            A function that ends it.
        """


Auth: TypeAlias = TokenSource | TokenFunction


# For so long an answer is worth more than another question; a text does not say when it ends.
_RECENT_SECONDS: Final = 10.0


class FunctionSource:
    """A bare function as a token source: it is asked each time and cannot say when its answer changes.

    Links make one of it themselves. Make it yourself to give several links the same one, so that they share refreshes
    and what they learn of refusals.

    Args:
        function: Returns the token or None; it may be a coroutine function.
        clock: For tests.
    """

    def __init__(self, function: TokenFunction, *, clock: Clock | None = None) -> None:
        self._function = function
        self._clock = clock or SystemClock()
        self._last: tuple[AccessToken, float | None] | None = None
        self._asked = 0
        self._answered = 0
        self._answered_at = -math.inf  # when its last answer was asked for
        self._asking = SharedCall(self._ask, name="gqlink token function")

    async def token(self) -> str | None:
        """Ask the function.

        Raises:
            AuthUnavailable: It raised an `OSError`: it cannot say now.
            BadUserInput: It failed otherwise, or gave something else than a token or None.
            GqlinkError: Whatever of ours it raised.
        """
        return await self._ask()

    async def refresh(self, stale: str | None) -> str | None:
        """Ask the function, once for all who want it; it raises what `token` raises.

        It is not asked where it has given another token than `stale` within the last ten seconds, and that lasts.
        """
        recent = self._recent()
        if recent is not None and recent != stale:
            return recent
        joined = self._asking.running
        token = await self._asking()
        if joined and token == stale:
            token = await self._asking()  # that answer may be older than the wish for another one
        return token

    @property
    def expires_at(self) -> float | None:
        """When the last answer ends, if it was an `AccessToken` that says so."""
        return None if self._last is None else self._last[1]

    def subscribe(self, changed: Changed) -> Unsubscribe:
        """Do nothing: with a bare function, `await client.credentials_changed()` says it."""
        del changed
        return _nothing

    async def _ask(self) -> str | None:
        self._asked += 1
        asked_at, number = self._clock.now(), self._asked
        try:
            given = self._function()
            answer = await given if inspect.isawaitable(given) else given
        except GqlinkError:
            raise
        except (OSError, httpx2.TransportError) as exc:
            raise AuthUnavailable(f"auth: {type(exc).__name__}") from exc
        except Exception as exc:
            raise BadUserInput(f"auth raised {type(exc).__name__}") from exc
        token = AccessToken(answer) if answer is not None and not isinstance(answer, AccessToken) else answer
        if number > self._answered:  # what was asked for later is newer, whichever answer comes last
            self._answered, self._answered_at = number, asked_at
            self._keep(token, asked_at)
        return None if token is None else token.value

    def _keep(self, token: AccessToken | None, asked_at: float) -> None:
        if token is None:
            self._last = None
        # A function that keeps its token says the same seconds again: they count from the first time.
        elif self._last is None or self._last[0] != token:
            self._last = (token, None if token.expires_in is None else asked_at + token.expires_in)

    def _recent(self) -> str | None:
        """Return what the function has said lately, if it is a token that has not ended."""
        now = self._clock.now()
        if self._last is None or now > self._answered_at + _RECENT_SECONDS:
            return None
        token, ends_at = self._last
        return token.value if ends_at is None or now < ends_at else None


def as_token_source(auth: Auth) -> TokenSource:
    """Take a token source as it is, and make one of a function.

    Raises:
        BadUserInput: It is neither.
    """
    if isinstance(auth, TokenSource):
        return auth
    if callable(auth):
        return FunctionSource(auth)
    raise BadUserInput("auth must be a token source, or a function that returns a token or None")


def _nothing() -> None:
    """There is nothing to end."""
