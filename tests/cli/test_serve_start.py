"""What `gqlink serve` does once it has started."""

from __future__ import annotations

import gc
import socket

import uvicorn

from gqlink.cli.serve import _Server
from server.world import World


async def test_what_the_start_made_is_left_out_of_collections() -> None:
    graphql = World().app()
    frozen_before = gc.get_freeze_count()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(graphql, lifespan="off", log_config=None)
        config.load()
        server = _Server(config, welcome="ready", graphql=graphql)
        server.lifespan = config.lifespan_class(config)
        try:
            await server.startup([listening])
            assert gc.get_freeze_count() > frozen_before
        finally:
            gc.unfreeze()
            await server.shutdown([listening])
