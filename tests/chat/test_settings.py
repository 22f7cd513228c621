from __future__ import annotations

from pathlib import Path

import pytest

from gqlink.chat.settings import ChatSettings

DATA = Path("data")


def test_tokens_last_a_quarter_of_an_hour_and_two_minutes_in_a_demo() -> None:
    """Unless somebody says otherwise."""
    assert ChatSettings(data_dir=DATA).token_seconds == 900
    assert ChatSettings(data_dir=DATA, demo=True).token_seconds == 120
    assert ChatSettings(data_dir=DATA, demo=True, token_lifetime=3).token_seconds == 3


def test_as_it_stands_only_this_machine_is_served_and_nothing_is_shown() -> None:
    """Everything beyond is a choice."""
    settings = ChatSettings(data_dir=DATA)
    assert settings.allowed_hosts == ("localhost", "127.0.0.1", "::1")
    assert settings.origins == ()
    assert not settings.demo
    assert not settings.debug


def test_a_demo_may_be_used_from_every_port_of_this_machine() -> None:
    """A front end in development is served from a port of its own."""
    settings = ChatSettings(data_dir=DATA, demo=True, allowed_origins=("https://chat.example",))
    assert settings.origins[0] == "https://chat.example"
    assert "http://localhost:*" in settings.origins


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_token_lasts_a_positive_time(seconds: float) -> None:
    """Anything else would be no token, or one for ever."""
    with pytest.raises(ValueError, match="token_lifetime"):
        ChatSettings(data_dir=DATA, token_lifetime=seconds)


@pytest.mark.parametrize("seconds", [1.0, 900.0, 86_400.0])
def test_a_revocation_is_remembered_an_hour_longer_than_a_token_lives(seconds: float) -> None:
    """Then the tokens that it denies have expired, and whoever logs in and out all day fills no memory with it."""
    assert ChatSettings(data_dir=DATA, token_lifetime=seconds).revocation_seconds == seconds + 3600
