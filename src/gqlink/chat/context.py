"""What a resolver of the chat gets to see: who is asking, and the conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gqlink.errors import LoginRequired

if TYPE_CHECKING:
    from gqlink.auth import Identity
    from gqlink.chat.conversation import Conversation


@dataclass(frozen=True, slots=True)
class ChatContext:
    """`info.context`, made anew for every operation and every event.

    Attributes:
        identity: Who is asking; the subject is the account's name.
        conversation: The domain.
    """

    identity: Identity
    conversation: Conversation

    def require_login(self) -> str:
        """Say who is logged in.

        Returns:
            The account's name.

        Raises:
            LoginRequired: Nobody is.
        """
        if self.identity.is_anonymous or self.identity.subject is None:
            raise LoginRequired
        return self.identity.subject


@dataclass(frozen=True, slots=True)
class SharedChatContext:
    """`info.context` of an event that is executed once for everybody in a room; who that is, it does not know."""
