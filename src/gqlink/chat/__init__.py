"""The chat application that the library is proved by: accounts, login, and a conversation that updates by itself."""

from gqlink.errors import MissingExtra

try:
    from gqlink.chat.accounts import DEMO_PASSWORDS, Accounts
    from gqlink.chat.administration import Administration
    from gqlink.chat.app import create_app, open_administration
    from gqlink.chat.settings import ChatSettings
except ImportError as exc:
    raise MissingExtra("chat", module=exc.module if isinstance(exc, MissingExtra) else exc.name) from exc

__all__ = ("DEMO_PASSWORDS", "Accounts", "Administration", "ChatSettings", "create_app", "open_administration")
