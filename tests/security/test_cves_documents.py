"""What was found in the parsers and limits of others, asked of ours over every road; named for their reports."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from graphql import parse
from hypothesis import given
from hypothesis import strategies as st

from gqlink.errors import LimitExceeded
from gqlink.server import Limits
from gqlink.server.document_limits import check_document
from security.served import ROADS, road_to
from serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import DocumentNode

    from server.world import World

HUGE = 10**9
LOOSE = Limits(
    message_bytes=1_000_000, document_bytes=HUGE, document_tokens=HUGE, depth=HUGE, aliases=HUGE, directives=HUGE,
    fragments=HUGE, root_fields=HUGE, repeated_fields=HUGE, cost=HUGE, variables_bytes=HUGE,
)  # fmt: skip
"""As if there were no limit on documents: what is left is graphql-core and what we do with it."""

BOMBS: dict[str, Callable[[int], str]] = {
    "selections": lambda depth: "{ again " * depth + "{ hello }" + "}" * depth,
    "selections that do not end": lambda depth: "{ again " * depth,
    "lists": lambda depth: "{ echo(text: " + "[" * depth + "]" * depth + ") }",
    "lists that do not end": lambda depth: "{ echo(text: " + "[" * depth,
    "objects": lambda depth: "{ echo(text: " + "{a: " * depth + "1" + "}" * depth + ") }",
    "types": lambda depth: "query ($v: " + "[" * depth + "Int" + "]" * depth + ") { hello }",
    "inline fragments": lambda depth: "{ " + "... { " * depth + "hello" + " }" * depth + " }",
    "directives": lambda depth: "{ hello " + "@include(if: " + "[" * depth + "]" * depth + ") }",
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("shape", BOMBS)
async def test_cve_2026_40324_and_cve_2023_28867_nesting_ends_no_worker(world: World, shape: str, road: str) -> None:
    """However deep, within the limits or with none: an answer, no resolver, and the next request is served."""
    for limits, depths in ((Limits(), (150, 2_000)), (LOOSE, (2_000, 20_000))):
        async with serving(world.app(limits=limits)) as authority:
            for depth in depths:
                answer = await road_to(authority, road).ask({"query": BOMBS[shape](depth)})
                assert answer.errors, (depth, answer)
                assert answer.errors[0]["extensions"]["code"] in {
                    "LIMIT_EXCEEDED",
                    "GRAPHQL_PARSE_FAILED",
                    "GRAPHQL_VALIDATION_FAILED",
                }
                assert world.resolved == 0
            well = await road_to(authority, road).ask({"query": "{ hello }"})
            assert well.data == {"hello": "world"}
        world.resolved = 0


LIMITED = {
    "depth": "{ again " * 16 + "{ hello }" + "}" * 16,
    "aliases": "{ " + " ".join(f"a{number}: again {{ b{number}: hello }}" for number in range(16)) + " }",
    "directives": "{ hello " + "@include(if: true) " * 51 + "}",
    "root_fields": "{ " + "hello " * 21 + "}",
    "repeated_fields": "{ again { " + "hello " * 11 + "} }",
    "fragments": "{ " + "... { hello } " * 51 + "}",
}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("limit", LIMITED)
async def test_cve_2026_30241_a_limit_holds_on_every_road(world: World, limit: str, road: str) -> None:
    """There is one place where requests are prepared, and every road comes by there."""
    async with serving(world.app()) as authority:
        answer = await road_to(authority, road).ask({"query": LIMITED[limit]})

    assert (answer.refusal["code"], answer.refusal["limit"]) == ("LIMIT_EXCEEDED", limit)
    assert world.resolved == 0


@pytest.mark.parametrize("road", ROADS)
async def test_cve_2026_47707_aliases_count_wherever_their_fragment_is_spread(world: World, road: str) -> None:
    """Four in a fragment, spread eight times, are 32: two more than are allowed."""
    spread = " ".join(["again { ...F }"] * 8)
    fragment = "fragment F on Query { a: hello b: hello c: hello d: hello }"
    async with serving(world.app()) as authority:
        answer = await road_to(authority, road).ask({"query": f"{{ {spread} }} {fragment}"})

    assert (answer.refusal["limit"], answer.refusal["actual"]) == ("aliases", 32)
    assert world.resolved == 0


@given(st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=6))
def test_cve_2026_47707_aliases_are_those_of_the_document_written_out(levels: list[list[bool]]) -> None:
    """Each level is a fragment of aliases and of spreads of the next; a list is written out, and counted."""
    fragments, written = [], 0
    for number, level in reversed(list(enumerate(levels))):
        inner = f"...F{number + 1}" if number + 1 < len(levels) else "hello"
        body = " ".join("a: hello" if is_alias else inner for is_alias in level) or "hello"
        written = sum(1 if is_alias else written for is_alias in level)
        fragments.append(f"fragment F{number} on Query {{ {body} }}")
    document = parse("{ again { ...F0 } } " + " ".join(fragments))
    limits = Limits(**dict.fromkeys(("fragments", "repeated_fields", "cost"), HUGE), aliases=max(written, 1))
    check_document(document, limits)
    if written > 1:
        tighter = Limits(**dict.fromkeys(("fragments", "repeated_fields", "cost"), HUGE), aliases=written - 1)
        with pytest.raises(LimitExceeded, match=f"got {written}"):
            check_document(document, tighter)


def fan_out(levels: int) -> DocumentNode:
    """Write a document of a few lines that stands for 2 to the power of `levels` fields."""
    fragments = " ".join(
        f"fragment F{level} on Query {{ again {{ ...F{level + 1} }} again {{ ...F{level + 1} }} }}"
        for level in range(levels)
    )
    return parse(f"{{ ...F0 }} {fragments} fragment F{levels} on Query {{ hello }}")


def calls_of(work: Callable[[], object]) -> int:
    """Count the Python functions that are called; time would depend on the machine."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_cve_2026_34573_a_limit_costs_no_more_than_what_it_bounds() -> None:
    """Twice the fragments take twice the steps, no two thousand times: 2 to the power of 22 is added, not walked."""

    def check(levels: int) -> Callable[[], object]:
        document = fan_out(levels)

        def work() -> None:
            with pytest.raises(LimitExceeded):
                check_document(document, Limits())

        return work

    few, many = calls_of(check(11)), calls_of(check(22))
    assert many < 3 * few


@pytest.mark.parametrize("road", ROADS)
async def test_cve_2026_34573_fragments_that_fan_out_are_refused_on_every_road(world: World, road: str) -> None:
    """Before they are validated, which would write them out."""
    query = "{ ...F0 } " + " ".join(
        f"fragment F{level} on Query {{ ...F{level + 1} ...F{level + 1} }}" for level in range(22)
    )
    async with serving(world.app()) as authority:
        answer = await road_to(authority, road).ask({"query": f"{query} fragment F22 on Query {{ hello }}"})

    assert answer.refusal["code"] == "LIMIT_EXCEEDED"
    assert world.resolved == 0


def test_the_bombs_are_documents_of_the_schema() -> None:
    """Shallow ones of the same shape parse, so that it is the nesting that is refused."""
    for shape, bomb in BOMBS.items():
        if "not end" not in shape:
            assert parse(bomb(2)).definitions
