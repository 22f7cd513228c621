"""The same schema in a FastAPI application: `.venv/bin/uvicorn --app-dir examples/howto fastapi_app:app`."""

from fastapi import FastAPI
from starlette_app import graphql  # type: ignore[import-not-found] # --app-dir is where it is found

# region app
app = FastAPI(lifespan=graphql.lifespan)
app.router.routes.extend(graphql.routes("/graphql"))


@app.get("/hello")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


# endregion
