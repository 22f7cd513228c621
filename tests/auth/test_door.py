import sys

import pytest

import gqlink.auth
from gqlink.errors import MissingExtra


def test_the_door_lists_what_is_public() -> None:
    """Everything in `__all__` is there, sorted, and nothing else is promised."""
    assert gqlink.auth.__all__ == (
        "ANONYMOUS",
        "Authenticate",
        "Credentials",
        "DenyList",
        "Identity",
        "PasswordHasher",
        "Revocation",
        "SigningKey",
        "Token",
        "TokenSigner",
        "credentials_from_http",
        "credentials_from_init",
    )
    assert all(hasattr(gqlink.auth, name) for name in gqlink.auth.__all__)


@pytest.mark.parametrize("module", ["jwt", "argon2"])
def test_a_missing_extra_says_which_one_to_install(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Without PyJWT or argon2-cffi the room does not open, and says what would open it."""
    for name in [name for name in sys.modules if name.startswith("gqlink.auth")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"gqlink\[server\]") as caught:
        __import__("gqlink.auth")
    assert (caught.value.extra, caught.value.module) == ("server", module)
