"""The server of a page of another origin: `.venv/bin/uvicorn --app-dir examples/howto other_origin_app:app`."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette_app import authenticate, schema  # type: ignore[import-not-found] # --app-dir is where it is found

from gqlink.server import CrossOrigin, Doorkeeper, GraphQLApp

# region app
PAGES = os.environ.get("PAGES", "http://localhost:5173").split()

graphql = GraphQLApp(schema, authenticate=authenticate, allowed_origins=PAGES)
# endregion

# region beside
doorkeeper = Doorkeeper(["localhost", "127.0.0.1"], PAGES)


async def feedback(request: Request) -> Response:
    refusal = doorkeeper.refusal(request.headers)
    if refusal is not None:
        return JSONResponse({"message": refusal.message}, status_code=refusal.status)
    return JSONResponse({"thanks": len(await request.body())})


app = Starlette(
    routes=[*graphql.routes("/graphql"), Route("/feedback", feedback, methods=["POST"])],
    middleware=[Middleware(CrossOrigin, doorkeeper=doorkeeper)],
    lifespan=graphql.lifespan,
)
# endregion
