from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gqlink.auth import ANONYMOUS, Identity
from gqlink.chat.context import ChatContext
from gqlink.errors import LoginRequired

if TYPE_CHECKING:
    from gqlink.chat.conversation import Conversation


async def test_it_knows_who_is_logged_in(conversation: Conversation) -> None:
    """The subject of the token is the account's name."""
    assert ChatContext(Identity("alice"), conversation).require_login() == "alice"


async def test_it_insists_on_somebody(conversation: Conversation) -> None:
    """A stranger is nobody."""
    with pytest.raises(LoginRequired):
        ChatContext(ANONYMOUS, conversation).require_login()
