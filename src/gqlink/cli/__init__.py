"""The command line: arguments in, text and exit codes out.

`app` lists the commands; each stands in a file of its own. The commands that talk to a server use the client's
public door and nothing else.
"""

from gqlink.errors import MissingExtra

try:
    from gqlink.cli.app import main
except ImportError as exc:
    if (exc.name or "gqlink").startswith("gqlink"):
        raise  # ours, or a room below has said it already
    raise MissingExtra("cli", module=exc.name) from exc

__all__ = ("main",)
