from __future__ import annotations

import pytest

from gqlink.auth import SigningKey, Token
from gqlink.chat.refresh_tokens import RefreshTokens
from gqlink.errors import InvalidToken

OLD = SigningKey("old", b"o" * 32)
NEW = SigningKey("new", b"n" * 32)
SESSION = "0123456789abcdefghij_-"


def test_a_token_says_its_session_and_generation_to_us() -> None:
    """To nobody else it is of use, and it is the same each time."""
    tokens = RefreshTokens([NEW])
    token = tokens.write(SESSION, generation=7)
    assert tokens.read(token) == (SESSION, 7)
    assert token == tokens.write(SESSION, generation=7)
    assert token != tokens.write(SESSION, generation=8)


def test_a_key_that_was_replaced_still_reads() -> None:
    """Nobody is logged out by a new signing key; without the old one they are."""
    token = RefreshTokens([OLD]).write(SESSION, generation=1)
    assert RefreshTokens([OLD, NEW]).read(token) == (SESSION, 1)
    assert RefreshTokens([OLD, NEW]).write(SESSION, generation=1) == RefreshTokens([NEW]).write(SESSION, generation=1)
    with pytest.raises(InvalidToken):
        RefreshTokens([NEW]).read(token)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(".7.", ".8."),
        lambda text: text.replace(SESSION, SESSION[::-1]),
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"),
        lambda text: text[:-1],
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: text.replace(".7.", ".07."),
        lambda text: text.replace(".7.", ".0."),
        lambda text: text.replace(".7.", ".\N{ARABIC-INDIC DIGIT SEVEN}."),
        lambda text: text.rpartition(".")[0],
        lambda text: f"{text}.",
        lambda _: "x" * 60_000,
        lambda _: "é",
    ],
)
def test_a_token_that_we_did_not_write_is_refused(change: object) -> None:
    """Whatever has been done to it."""
    assert callable(change)
    tokens = RefreshTokens([NEW])
    with pytest.raises(InvalidToken):
        tokens.read(Token(change(tokens.write(SESSION, generation=7).reveal())))
