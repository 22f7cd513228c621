import pytest

from auth.forge import PEM
from gqlink.auth import SigningKey
from gqlink.auth.keys import key_ring


def test_a_key_never_shows_its_secret() -> None:
    """A key has a redacting representation."""
    shown = repr(SigningKey("2027-01", b"correct horse battery staple...."))
    assert "horse" not in shown
    assert "2027-01" in shown


@pytest.mark.parametrize(("algorithm", "shortest"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_at_least_as_long_as_its_digest(algorithm: str, shortest: int) -> None:
    """RFC 7518, section 3.2."""
    assert SigningKey("a", b"k" * shortest, algorithm).algorithm == algorithm
    with pytest.raises(ValueError, match=f"at least {shortest} bytes"):
        SigningKey("a", b"k" * (shortest - 1), algorithm)


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "", "hs256", "RS256", "ES256", "EdDSA", "HS1"])
def test_only_allowed_algorithms_make_a_key(algorithm: str) -> None:
    """The algorithms are an allow-list, written exactly so."""
    with pytest.raises(ValueError, match="algorithm"):
        SigningKey("a", b"k" * 64, algorithm)


@pytest.mark.parametrize("secret", [PEM, b"ssh-rsa " + b"A" * 64])
def test_a_public_key_is_no_secret(secret: bytes) -> None:
    """With a public key as the secret of an HMAC everybody could sign."""
    with pytest.raises(ValueError, match="random bytes") as caught:
        SigningKey("a", secret)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["", "a b", "é", "a\n", "x" * 129])
def test_a_key_id_is_a_short_visible_text(name: str) -> None:
    """It travels in the header of every token."""
    with pytest.raises(ValueError, match="id"):
        SigningKey(name, b"k" * 32)


def test_a_ring_keeps_the_order_of_its_keys() -> None:
    """The newest key is the last."""
    keys = [SigningKey(name, b"k" * 32) for name in ("c", "a", "b")]
    assert list(key_ring(keys)) == ["c", "a", "b"]


def test_a_ring_has_at_least_one_key() -> None:
    """Without a key nothing could be signed."""
    with pytest.raises(ValueError, match="no key"):
        key_ring([])


def test_a_ring_has_no_two_keys_with_one_id() -> None:
    """The id alone chooses the key that verifies."""
    with pytest.raises(ValueError, match="same id"):
        key_ring([SigningKey("a", b"k" * 32), SigningKey("a", b"l" * 32)])
