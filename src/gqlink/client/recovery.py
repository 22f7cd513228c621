"""What follows from the end of a connection: the verdict table put to work, with a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gqlink.client.retry import Backoff
from gqlink.errors import ConnectionRefused
from gqlink.protocol import CloseCode, Verdict

if TYPE_CHECKING:
    from gqlink.client.ending import Ending
    from gqlink.client.params import Credential, Reason
    from gqlink.client.settings import LinkSettings
    from gqlink.errors import GqlinkError
    from gqlink.protocol import Dialect

__all__ = ("Recovery",)

_REMEMBERED: Final = 32
# So many tokens in a row may turn out to have ended before the server saw them.
_LATE_TOKENS: Final = 5


class Recovery:
    """Decides after each connection whether there will be another, when, and how.

    It remembers which credentials were refused, so that none is presented twice, which subprotocol the server
    understands, and how many connections in a row have failed. What a token source gave and a server refused in so
    many words is remembered for all who use the source.

    Args:
        settings: The policy.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._backoff = Backoff(settings.retry)
        self._refused: dict[bytes, GqlinkError] = {}
        self._suspected: set[bytes] = set()
        self._refused_in_a_row = self._expired_in_a_row = 0
        self._redialled = False
        self._was_acknowledged = False
        # Since when there has been a connection, or one after the other without a failure: with short tokens none of
        # them lasts for long.
        self._up_since: float | None = None
        self.offer: tuple[Dialect, ...] = settings.dialects
        self.reason: Reason = "first"
        self.stale: str | None = None

    def refusal_of(self, credential: Credential) -> GqlinkError | None:
        """Return what the server said when it refused exactly this; None if it has not."""
        error = self._refused.get(credential.fingerprint)
        if error is None and self._settings.refusals is not None:
            error = self._settings.refusals.find(credential.token)
        return error

    def require_fresh(self, credential: Credential) -> None:
        """Refuse what the server has refused.

        Raises:
            ConnectionRefused: The server has refused exactly this; it is not sent again.
        """
        error = self.refusal_of(credential)
        if isinstance(error, ConnectionRefused):
            raise ConnectionRefused(error.code, error.reason)
        if error is not None:
            raise ConnectionRefused(None, str(error)) from error

    def remember(self, error: GqlinkError, credential: Credential) -> None:
        """Keep a credential that the server refused in so many words from being presented again."""
        refusals = self._settings.refusals
        if refusals is not None and credential.token is not None and credential.token == credential.sourced:
            refusals.refused(credential.token, error)
            return
        self._refused[credential.fingerprint] = error
        while len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]

    def acknowledged(self) -> None:
        """The server let us in."""
        self._was_acknowledged = True
        if self._up_since is None:
            self._up_since = self._settings.clock.now()
        self._refused_in_a_row = self._expired_in_a_row = 0
        self._redialled = False
        self.reason = "reconnect"

    def after(self, ending: Ending, *, credential: Credential | None, lived_out: bool = False) -> float | None:
        """Decide what follows.

        Args:
            ending: How the connection ended.
            credential: What it presented.
            lived_out: Whether its credential lived for as long as the server had said: its end is then no failure.

        Returns:
            How many seconds to wait before the next connection; None for not at all.

        Raises:
            GqlinkError: There will be no other connection; this is what its users are told.
        """
        if ending.dialled:  # otherwise nobody could say what to present: why it was asked for still holds
            self.reason = "reconnect" if self._was_acknowledged else "first"
        match ending.verdict:
            case None:
                self._up_since = None
                return None
            case Verdict.RETRY:
                return self._retry(ending)
            case Verdict.REFRESH:
                return self._refresh(ending, credential, lived_out=lived_out and ending.expired)
            case Verdict.OTHER_DIALECT:
                self._other_dialect(ending)
                return None
            case Verdict.FAIL:
                if ending.refusal and credential is not None:
                    self.remember(ending.error, credential)
                raise ending.error

    def spare_failed(self, ending: Ending) -> float:
        """Count a second socket that failed, which a renewal wanted; return when another one may be tried.

        Args:
            ending: How it ended.
        """
        return self._backoff.spare_failed(now=self._settings.clock.now(), retry_after=ending.retry_after)

    def forget(self) -> None:
        """Start anew, after giving up; a credential that was refused in so many words stays refused."""
        self._backoff.reset()
        self._refused_in_a_row = self._expired_in_a_row = 0
        self._redialled = False
        self.offer = self._settings.dialects
        # A close before the ack without a word about the credential (1000, 1008) is a suspicion, held for one attempt.
        for fingerprint in self._suspected:
            self._refused.pop(fingerprint, None)
        self._suspected.clear()

    def _retry(self, ending: Ending) -> float:
        if not self._settings.reconnect:
            raise ending.error
        return self._wait(ending)

    def _wait(self, ending: Ending) -> float:
        """Count a failure, and say how long to wait."""
        clock, now = self._settings.clock, self._settings.clock.now()
        stayed_seconds = ending.stayed_seconds if self._up_since is None else now - self._up_since
        self._up_since = None
        self._backoff.failed(stayed_seconds=stayed_seconds, now=now)
        if self._backoff.exhausted:
            raise ending.error
        # Where nobody could say what to present, no server has stopped.
        code = ending.code if ending.dialled else CloseCode.NORMAL
        return self._backoff.delay(chance=clock.chance(), now=now, code=code, retry_after=ending.retry_after)

    def _refresh(self, ending: Ending, credential: Credential | None, *, lived_out: bool) -> float | None:
        """Ask for another credential and try once with it; the same one is caught by `require_fresh`."""
        if credential is not None:
            self._suspect(ending, credential)
        if self._may_have_ended_on_its_way(ending, credential):
            self._expired_in_a_row += 1
        else:
            self._refused_in_a_row += 1
        if self._refused_in_a_row > 1 or (ending.acknowledged and not self._settings.reconnect):
            raise ending.error
        self.reason = "expired" if ending.expired else "refused"
        self.stale = None if credential is None else credential.sourced
        if lived_out:
            return None
        delay = self._wait(ending)
        return None if self._backoff.is_first else delay

    def _may_have_ended_on_its_way(self, ending: Ending, credential: Credential | None) -> bool:
        """Say whether a token of known life was refused as expired: on a slow line that happens to good ones.

        Not for ever: a server whose clock is wrong says so of each.
        """
        known = credential is not None and credential.expires_at is not None
        return ending.expired and known and self._expired_in_a_row < _LATE_TOKENS

    def _other_dialect(self, ending: Ending) -> None:
        """Offer only the other subprotocol, once; if the server likes it, that is remembered."""
        others = tuple(dialect for dialect in self._settings.dialects if dialect is not ending.dialect)
        if self._redialled or not others:
            raise ending.error
        self._redialled = True
        self.offer = others

    def _suspect(self, ending: Ending, credential: Credential) -> None:
        if ending.refusal:
            self.remember(ending.error, credential)
        else:
            self._refused[credential.fingerprint] = ending.error
            self._suspected.add(credential.fingerprint)
