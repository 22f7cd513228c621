"""What follows from the end of a connection: the verdict table put to work, with a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gqlink.client.retry import Backoff
from gqlink.errors import ConnectionRefused
from gqlink.protocol import Verdict

if TYPE_CHECKING:
    from gqlink.client.ending import Ending
    from gqlink.client.params import Credential, Reason
    from gqlink.client.settings import LinkSettings
    from gqlink.protocol import Dialect

__all__ = ("Recovery",)

_REMEMBERED: Final = 32


class Recovery:
    """Decides after each connection whether there will be another, when, and how.

    It remembers which credentials were refused, so that none is presented twice, which subprotocol the server
    understands, and how many connections in a row have failed.

    Args:
        settings: The policy.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._backoff = Backoff(settings.retry)
        self._refused: dict[bytes, Ending] = {}
        self._refused_in_a_row = 0
        self._redialled = False
        self._was_acknowledged = False
        self.offer: tuple[Dialect, ...] = settings.dialects
        self.reason: Reason = "first"

    def require_fresh(self, credential: Credential) -> None:
        """Refuse what the server has refused.

        Raises:
            ConnectionRefused: The server has refused exactly this; it is not sent again.
        """
        ending = self._refused.get(credential.fingerprint)
        if ending is not None:
            raise ConnectionRefused(ending.code, ending.reason)

    def acknowledged(self) -> None:
        """The server let us in."""
        self._was_acknowledged = True
        self._refused_in_a_row = 0
        self._redialled = False
        self.reason = "reconnect"

    def after(self, ending: Ending, *, credential: Credential | None) -> float | None:
        """Decide what follows.

        Args:
            ending: How the connection ended.
            credential: What it presented.

        Returns:
            How many seconds to wait before the next connection; None for not at all.

        Raises:
            GqlinkError: There will be no other connection; this is what its users are told.
        """
        self.reason = "reconnect" if self._was_acknowledged else "first"
        match ending.verdict:
            case None:
                return None
            case Verdict.RETRY:
                return self._retry(ending)
            case Verdict.REFRESH:
                return self._refresh(ending, credential)
            case Verdict.OTHER_DIALECT:
                self._other_dialect(ending)
                return None
            case Verdict.FAIL:
                if ending.refusal and credential is not None:
                    self._remember(ending, credential)
                raise ending.error

    def forget(self) -> None:
        """Start anew, after giving up; a credential that was refused in so many words stays refused."""
        self._backoff.reset()
        self._refused_in_a_row = 0
        self._redialled = False
        self.offer = self._settings.dialects
        # A close before the ack without a word about the credential (1000, 1008) is a suspicion, held for one attempt.
        self._refused = {key: ending for key, ending in self._refused.items() if ending.refusal}

    def _retry(self, ending: Ending) -> float:
        if not self._settings.reconnect:
            raise ending.error
        self._backoff.failed(stayed_seconds=ending.stayed_seconds)
        if self._backoff.exhausted:
            raise ending.error
        return self._backoff.delay(chance=self._settings.clock.chance(), code=ending.code)

    def _refresh(self, ending: Ending, credential: Credential | None) -> float | None:
        """Ask for another credential and try once with it; the same one is caught by `require_fresh`."""
        if credential is not None:
            self._remember(ending, credential)
        self._refused_in_a_row += 1
        if self._refused_in_a_row > 1 or (ending.acknowledged and not self._settings.reconnect):
            raise ending.error
        self.reason = "expired" if ending.expired else "refused"
        self._backoff.failed(stayed_seconds=ending.stayed_seconds)
        if self._backoff.failures <= 1:
            return None
        if self._backoff.exhausted:
            raise ending.error
        return self._backoff.delay(chance=self._settings.clock.chance())

    def _other_dialect(self, ending: Ending) -> None:
        """Offer only the other subprotocol, once; if the server likes it, that is remembered."""
        others = tuple(dialect for dialect in self._settings.dialects if dialect is not ending.dialect)
        if self._redialled or not others:
            raise ending.error
        self._redialled = True
        self.offer = others

    def _remember(self, ending: Ending, credential: Credential) -> None:
        self._refused[credential.fingerprint] = ending
        while len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]
