"""The playground: GraphiQL, served by the application itself beside its endpoint.

It is a page like any other client: it holds no right that its user has not logged in for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from gqlink.server.pages import BuiltPage, security_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from gqlink.server.origin import Doorkeeper

__all__ = ("Playground", "playground_routes")

FOLDER: Final = Path(__file__).parent / "playground"

# Its editor writes styles of its own and starts its workers from the assets, or from a blob that loads them.
POLICY: Final = security_policy(style_src="'self' 'unsafe-inline'", worker_src="'self' blob:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Playground:
    """Where the playground is, and how somebody signs in there; paths begin with "/" and are of this application.

    Args:
        path: Of the page, without a slash at its end.
        login: Takes a POST of `{"name", "password"}` and answers `{"token", "expiresIn"}`; None where a token is had
            elsewhere, and pasted.
        refresh: Takes a POST of `{"refreshToken"}` and answers like `login`; None where a session cannot be renewed.
        logout: Takes a POST of `{"refreshToken"}`; None where there is nothing to end.
        accounts: Passwords by name, of accounts that anybody may try; the page makes a button of each.
    """

    path: str = "/playground"
    login: str | None = None
    refresh: str | None = None
    logout: str | None = None
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)


def playground_routes(playground: Playground, *, graphql: str, doorkeeper: Doorkeeper) -> list[BaseRoute]:
    """Return the routes of the playground, for an application whose GraphQL endpoint is at `graphql`.

    Shape:
        <path>/config.json is {"graphql": str, "login": str or null, "refresh": str or null, "logout": str or null,
        "accounts"?: [{"name": str, "password": str}]}, with paths from the server's root.
    """
    page = BuiltPage(FOLDER, policy=POLICY, doorkeeper=doorkeeper)
    paths = {
        "graphql": graphql,
        "login": playground.login,
        "refresh": playground.refresh,
        "logout": playground.logout,
    }

    accounts = [{"name": name, "password": password} for name, password in playground.accounts.items()]
    public = {"accounts": accounts} if accounts else {}

    async def enter(_: Request) -> Response:
        # Relative, so that it is right under any mount; with the slash, the page's own addresses are relative too.
        return RedirectResponse(playground.path.rpartition("/")[2] + "/")

    async def config(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        found = {name: None if path is None else root + path for name, path in paths.items()}
        return page.refusal(request) or JSONResponse(found | public, headers={"cache-control": "no-store"})

    return [
        Route(playground.path, enter, methods=("GET",)),
        Route(f"{playground.path}/config.json", config, methods=("GET",)),
        *page.routes(f"{playground.path}/"),
    ]
