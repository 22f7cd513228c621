"""How long can a document within the limits hold the event loop?

Hypothesis looks for the slowest one, with time as its target, for the chat's schema and for one with all that makes
validation slow; documents and variables that were written by hand take part too. What counts is all that happens
before a resolver runs: the limits, parsing, validation, what is found out about the operation, and coercing variables,
or the errors as a client reads them. The slowest are measured again, many times: the figure is the median.

Also shown: what real applications send, and whether it passes.

Ends with status 1 if the slowest takes longer than 10 ms, or a real document does not pass.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bombs import CHAT, INTRICATE, WIDE, allowed, schemas, variables
from document_strategies import documents
from graphql import get_introspection_query
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import seed as with_seed

from gqlink.protocol import Request
from gqlink.server import Limits
from gqlink.server.execution import Execution
from gqlink.server.executor import OperationExecutor
from gqlink.server.masking import ErrorFormatter
from gqlink.server.results import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import GraphQLSchema

GOAL_MS: Final = 10.0
KEPT: Final = 12
FOUND: Final = "found"


@dataclass(order=True)
class Found:
    """A document, and how long it took, in milliseconds."""

    ms: float
    name: str
    least_ms: float = field(compare=False, default=0.0, kw_only=True)
    schema: str = field(compare=False)
    query: str = field(compare=False)
    variables: dict[str, object] | None = field(default=None, compare=False)
    outcome: str = field(default="", compare=False)


class Stopwatch:
    """Measures documents of one schema.

    Args:
        schema: The schema.
        introspection: Allow introspection.
    """

    def __init__(self, schema: GraphQLSchema, *, introspection: bool = False) -> None:
        self._schema = schema
        self._limits = Limits()
        self._introspection = introspection

    def measure(self, found: Found, *, repeats: int) -> Found:
        """Fill in the median of some repeats, in processor time, and what came of it."""
        times = []
        for _ in range(repeats):
            seconds, found.outcome = self._once(found)
            times.append(1_000 * seconds)
        found.ms, found.least_ms = statistics.median(times), min(times)
        return found

    def _once(self, found: Found) -> tuple[float, str]:
        # A new one each time: what is kept of a document must not help.
        execution = Execution(
            self._schema,
            limits=self._limits,
            errors=ErrorFormatter(debug=False),
            debug=False,
            introspection=self._introspection,
        )
        name = "Q" if found.name == FOUND else None
        request = Request(found.query, operation_name=name, variables=found.variables)
        gc.collect(0)
        began_at = time.process_time()
        try:
            operation = execution.prepare(request)
            built = OperationExecutor.build(
                self._schema, operation.document, raw_variable_values=request.variables, hide_suggestions=True
            )
        except RequestError as exc:
            return time.process_time() - began_at, _outcome(exc.errors)
        if isinstance(built, list):
            ErrorFormatter(debug=False).format_all(built, code="BAD_USER_INPUT")
        return time.process_time() - began_at, "runs" if not isinstance(built, list) else "BAD_USER_INPUT"


def search(schema: str, watch: Stopwatch, options: argparse.Namespace) -> list[Found]:
    """Let Hypothesis look for slow documents; return the slowest."""
    slowest: list[Found] = []

    @with_seed(options.seed)
    @settings(
        max_examples=options.examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )
    @given(documents(schema, Limits()))
    def look(query: str) -> None:
        found = watch.measure(Found(0.0, FOUND, schema, query), repeats=3)
        target(found.ms, label="milliseconds")
        if all(found.query != each.query for each in slowest):
            heapq.heappush(slowest, found)
            if len(slowest) > KEPT:
                heapq.heappop(slowest)

    look()
    return slowest


def real_documents() -> Iterator[Found]:
    """Yield what applications send; each must pass."""
    yield Found(0, "GraphiQL's introspection", CHAT, get_introspection_query(descriptions=True))
    yield Found(
        0,
        "its introspection with all options",
        CHAT,
        get_introspection_query(
            specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
        ),
    )
    yield Found(0, "a page of the chat", CHAT, _CHAT_PAGE, {"room": "general"})
    yield Found(0, "a large page: 150 fields, ten deep", WIDE, _large_page(), {"id": "1"})


_CHAT_PAGE: Final = """
query Page($room: ID!, $before: ID) {
  viewer { name }
  rooms { id title }
  messages(room: $room, last: 50, before: $before) { id clientId from text createdAt room { id title } }
}
"""


def _large_page() -> str:
    """Write a query as a large application has it: indented, 150 fields, ten deep, ten fragments, arguments."""
    leaves = "\n    ".join(f"field{number}" for number in range(9))
    parts = "\n".join(
        f"fragment Part{number} on Thing {{\n    id\n    {leaves}\n"
        f"    related(first: 10) {{ id __typename field{number} }}\n}}"
        for number in range(10)
    )
    spreads = "\n".join(f"    part{number}: thing {{ ...Part{number} }}" for number in range(10))
    deep = "thing { " * 8 + "id" + " }" * 8
    return f"query Page($id: ID!) {{\n  thing(id: $id) {{\n    id\n    deep: {deep}\n{spreads}\n  }}\n}}\n{parts}\n"


def _outcome(errors: list[dict[str, Any]]) -> str:
    extensions = errors[0].get("extensions", {})
    return f"{extensions.get('code')} {extensions.get('limit', '')}".strip()


def _all_found(options: argparse.Namespace) -> list[Found]:
    watches = {name: Stopwatch(schema) for name, schema in schemas().items()}
    found = [Found(0, name, schema, query) for name, (schema, query) in allowed().items()]
    found += [Found(0, name, INTRICATE, query, given) for name, (query, given) in variables().items()]
    for name in (CHAT, INTRICATE) if options.examples else ():
        found += search(name, watches[name], options)
    return [watches[each.schema].measure(each, repeats=options.repeats) for each in found]


def report(options: argparse.Namespace) -> bool:
    """Print what was found; return whether the goals are met."""
    found = sorted(_all_found(options), reverse=True)
    print(
        f"median and least of {options.repeats} repeats, in processor time; {options.examples} examples for each schema"
    )
    for each in found[: options.show]:
        print(_line(each))
    if options.text:
        print(found[0].query)
    print("what real applications send")
    passed = True
    for each in real_documents():
        Stopwatch(schemas()[each.schema], introspection=True).measure(each, repeats=options.repeats)
        print(_line(each))
        passed &= each.outcome == "runs"
    return passed and found[0].ms < GOAL_MS


def _line(found: Found) -> str:
    size = f"{len(found.query.encode()):6,} bytes"
    return f"  {found.ms:7.2f} {found.least_ms:7.2f} ms  {size}  {found.schema:9}  {found.name}: {found.outcome}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1_000, help="for each schema; 0 for those by hand alone")
    parser.add_argument("--repeats", type=int, default=15, help="of the slowest")
    parser.add_argument("--show", type=int, default=12, help="how many of the slowest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--text", action="store_true", help="print the slowest document, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(0 if report(_options()) else 1)
