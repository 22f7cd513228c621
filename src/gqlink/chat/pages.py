"""The chat's page, and what it asks first: where everything is, and whether this is a demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse
from starlette.routing import Route

from gqlink.chat.accounts import DEMO_PASSWORDS
from gqlink.server import BuiltPage, security_policy

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from gqlink.chat.settings import ChatSettings
    from gqlink.server import Doorkeeper

FOLDER: Final = Path(__file__).parent / "page"


def page_routes(settings: ChatSettings, *, doorkeeper: Doorkeeper) -> list[BaseRoute]:
    """Return the routes of the page: /, /assets/…, /config.json.

    Shape:
        /config.json is {"demo": bool, "accounts"?: [{"name": str, "password": str}], "graphql": str,
        "playground": bool}; the accounts are those of the demo, whose passwords are public.
    """
    page = BuiltPage(FOLDER, policy=security_policy(), doorkeeper=doorkeeper)

    async def config(request: Request) -> Response:
        content = _config(settings, root=request.scope.get("root_path", ""))
        return page.refusal(request) or JSONResponse(content, headers={"cache-control": "no-store"})

    return [Route("/config.json", config, methods=("GET",)), *page.routes("/")]


def _config(settings: ChatSettings, *, root: str) -> dict[str, object]:
    config: dict[str, object] = {
        "demo": settings.demo,
        "graphql": f"{root}/graphql",
        "playground": settings.playground,
    }
    if settings.demo:
        config["accounts"] = [{"name": name, "password": password} for name, password in DEMO_PASSWORDS.items()]
    return config
