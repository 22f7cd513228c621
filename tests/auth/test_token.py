import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqlink.auth import Token

SECRET = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"


@pytest.mark.parametrize("shown", [str(Token(SECRET)), repr(Token(SECRET)), f"{Token(SECRET)}", f"{[Token(SECRET)]}"])
def test_a_token_never_shows_its_value(shown: str) -> None:
    """A token has a redacting representation: logs, errors and traces hold none by accident."""
    assert SECRET not in shown
    assert "eyJ" not in shown


def test_a_token_has_no_attribute_dictionary() -> None:
    """Tools that print an object's attributes find none."""
    assert not hasattr(Token(SECRET), "__dict__")


@given(st.text(min_size=1))
def test_reveal_gives_the_value_back(value: str) -> None:
    """What goes in comes out, whatever text it is."""
    assert Token(value).reveal() == value


def test_an_empty_token_is_refused() -> None:
    """An empty text is no token; None stands for none."""
    with pytest.raises(ValueError, match="empty"):
        Token("")


@given(st.text(min_size=1), st.text(min_size=1))
def test_tokens_are_equal_exactly_if_their_values_are(one: str, other: str) -> None:
    """Equality is by value, also for text that is no UTF-8, and equal tokens have equal hashes."""
    assert (Token(one) == Token(other)) is (one == other)
    assert Token(one) == Token(one)
    assert hash(Token(one)) == hash(Token(one))


def test_half_a_surrogate_pair_can_be_compared() -> None:
    """JavaScript can send one: it must not make a comparison fail."""
    assert Token("\ud83d") == Token("\ud83d")
    assert Token("\ud83d") != Token("\ude00")
    assert len(Token("\ud83d").digest()) == 32


def test_a_token_is_not_its_own_text() -> None:
    """A token and a string are never equal, so that neither stands in for the other unnoticed."""
    assert Token(SECRET) != SECRET


def test_the_digest_stands_for_the_token_without_telling_it() -> None:
    """SHA-256 of the text."""
    assert Token("abc").digest().hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
