"""An application that its operator can watch: `.venv/bin/uvicorn --app-dir examples/howto operated_app:app`."""

import os

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from starlette.applications import Starlette
from starlette_app import authenticate, schema  # type: ignore[import-not-found] # --app-dir is where it is found

from gqlink.server import GraphQLApp

# region spans
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"span: {span.name}\n")))
trace.set_tracer_provider(provider)
# endregion

# region metrics
graphql = GraphQLApp(schema, authenticate=authenticate)
metrics = graphql.metrics_route("/metrics", token=os.environ.get("METRICS_TOKEN"))
app = Starlette(routes=[*graphql.routes("/graphql"), metrics], lifespan=graphql.lifespan)
# endregion
