"""How the search for the slowest document makes documents.

A document is grown from a short list of genes, because numbers are what Hypothesis can climb with. Each gene says what
to write, and where: in the operation or in one of its fragments. The list is repeated for as long as the document stays
within the limits, so that every document is as large as it may be.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from bombs import CHAT, INTRICATE, KINDS
from graphql import GraphQLError, parse
from hypothesis import strategies as st

from gqlink.errors import LimitExceeded
from gqlink.server.document_limits import check_document, check_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gqlink.server import Limits

_MOST_PIECES: Final = 256
_SMALL: Final = st.integers(0, 63)


class Gene(NamedTuple):
    """What to write, in which fragment (0 is the operation), and two numbers more."""

    kind: str
    place: int
    first: int
    second: int


@dataclass(frozen=True)
class Names:
    """What a schema calls things.

    Args:
        root: A field of the query, with an object.
        kinds: The types that there may be.
        leaves: Fields with no selection.
        nested: Fields with one, in which every fragment may be spread again.
        value: A field of the query that takes a value.
    """

    root: str
    kinds: tuple[str, ...]
    leaves: tuple[str, ...]
    nested: tuple[str, ...]
    value: Callable[[str], str]


_LEAVES: Final = ("id", "__typename", *(f"field{number}" for number in range(20)))
NAMES: Final = {
    INTRICATE: Names("node", ("Node", *KINDS), _LEAVES, ("self", "nodes", "a", "any"), "x(filter:{})".format),
    CHAT: Names("messages", ("Message", "Room"), ("id", "text", "from", "createdAt"), ("room",), "rooms".format),
}


@st.composite
def documents(draw: st.DrawFn, schema: str, limits: Limits) -> str:
    """Draw a document that is as large as the limits allow."""
    genes = draw(
        st.lists(st.builds(Gene, st.sampled_from(sorted(_WRITERS)), _SMALL, _SMALL, _SMALL), min_size=1, max_size=10)
    )
    return grow(genes, NAMES[schema], limits)


def grow(genes: Sequence[Gene], names: Names, limits: Limits) -> str:
    """Repeat genes for as long as the document stays within the limits."""
    least, most = 1, _MOST_PIECES
    while least < most:
        middle = (least + most + 1) // 2
        if _is_within(_write(genes, names, pieces=middle), limits):
            least = middle
        else:
            most = middle - 1
    return _write(genes, names, pieces=least)


def _is_within(text: str, limits: Limits) -> bool:
    try:
        check_text(text, limits)
        check_document(parse(text), limits)
    except LimitExceeded:
        return False
    except GraphQLError:
        return True
    return True


class _Page:
    """A document that is being written."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.selections: dict[int, list[str]] = defaultdict(list)
        self.values: list[str] = []
        self.variables: dict[int, str] = {}
        self.operations: list[str] = []
        self.padding: list[str] = []
        self.spread: set[int] = set()

    def spread_of(self, place: int, number: int) -> str:
        """Spread a fragment that stands later than where it is spread, so that none is in itself."""
        later = place + 1 + number % 8
        self.spread.add(later)
        return f"...F{later}"

    def text(self) -> str:
        """Put it together; what is spread nowhere is spread by the operation."""
        places = sorted({place for place in self.selections if place} | self.spread)
        loose = "".join(f"...F{place} " for place in places if place not in self.spread)
        root, kinds = self.names.root, self.names.kinds
        declared = f"({''.join(f'$v{n}:{kind} ' for n, kind in self.variables.items())})" if self.variables else ""
        body = f"{root}{{id {' '.join(self.selections[0])} {loose}}} {' '.join(self.values)}"
        fragments = "".join(
            f"fragment F{place} on {kinds[place % len(kinds)]}{{id {' '.join(self.selections[place])}}}"
            for place in places
        )
        return f"{''.join(self.padding)}query Q{declared}{{{body}}}{fragments}{''.join(self.operations)}"


def _write(genes: Sequence[Gene], names: Names, *, pieces: int) -> str:
    page = _Page(names)
    for number in range(pieces):
        gene = genes[number % len(genes)]
        turn = number // len(genes)
        # Each turn writes a little elsewhere: to the same fragment, to the next, or to the operation.
        place = (gene.place + turn * (gene.second % 3)) % 40
        _WRITERS[gene.kind](page, gene._replace(place=place), turn)
    return page.text()


def _field(page: _Page, gene: Gene, turn: int) -> None:
    names = page.names.leaves
    page.selections[gene.place] += [
        names[(gene.first + turn + each) % len(names)] for each in range(1 + gene.second % 8)
    ]


def _nest(page: _Page, gene: Gene, turn: int) -> None:
    names = page.names.nested
    levels = [names[(gene.second + level) % len(names)] for level in range(1 + gene.first % 8)]
    inner = "id" if turn % 2 else page.spread_of(gene.place, gene.first)
    page.selections[gene.place].append("{".join(levels) + "{id " + inner + "}" * len(levels))


def _spread(page: _Page, gene: Gene, turn: int) -> None:
    page.selections[gene.place].append(page.spread_of(gene.place, gene.first + turn))


def _aliased(page: _Page, gene: Gene, turn: int) -> None:
    name = page.names.nested[gene.second % len(page.names.nested)]
    page.selections[gene.place].append(
        f"n{gene.first + turn}:{name}{{{page.spread_of(gene.place, gene.second + turn)}}}"
    )


def _inline(page: _Page, gene: Gene, turn: int) -> None:
    kind = page.names.kinds[(gene.first + turn) % len(page.names.kinds)]
    name = page.names.nested[gene.second % len(page.names.nested)]
    page.selections[gene.place].append(f"...on {kind}{{{name}{{id {page.spread_of(gene.place, gene.first)}}}}}")


def _list(page: _Page, gene: Gene, _turn: int) -> None:
    page.values.append(f"x(ids:[{'1 ' * (1 + 4 * gene.first)}])")


def _objects(page: _Page, gene: Gene, _turn: int) -> None:
    depth = 1 + gene.second % 12
    one = "{and:[" * depth + '{id:1 text:"a" color:RED}' + "]}" * depth
    page.values.append(f"x(filter:{{or:[{one * (1 + gene.first % 16)}]}})")


def _variable(page: _Page, gene: Gene, turn: int) -> None:
    number = gene.first + turn
    page.variables[number] = ("Int", "Int=5", "[ID!]", "Color=RED")[gene.second % 4]
    page.values.append(f"x(n:$v{number} filter:{{and:[{f'{{n:$v{number}}}' * (gene.second % 8)}]}})")


def _directive(page: _Page, gene: Gene, turn: int) -> None:
    used = "@include(if:true)" if gene.second % 2 else f"@d{turn}(a:{gene.first})"
    page.selections[gene.place].append(f"id{used * (1 + gene.second % 3)}")


def _mistake(page: _Page, gene: Gene, turn: int) -> None:
    made = (f"nothing{turn}", f"id(no{turn}:1)", "id{id}", "...on Color{id}", "self", f"...None{turn}")
    page.selections[gene.place].append(made[gene.first % len(made)])


def _conflict(page: _Page, gene: Gene, turn: int) -> None:
    page.selections[gene.place].append(f"c{gene.first % 4}:{page.names.leaves[turn % len(page.names.leaves)]}")


def _string(page: _Page, gene: Gene, _turn: int) -> None:
    size = 16 * (1 + gene.first)
    text = ('"' + "\\n" * size + '"', '"""' + "\n a" * size + '"""', '"' + "ж" * size + '"')[gene.second % 3]
    page.values.append(f"x(filter:{{text:{text}}})")


def _padding(page: _Page, gene: Gene, _turn: int) -> None:
    page.padding.append(("\n", ",", "#\n", "\r\n", " ")[gene.second % 5] * (1 + gene.first))


def _operation(page: _Page, gene: Gene, turn: int) -> None:
    page.operations.append(f"query O{turn}_{gene.first}{{{page.names.root}{{id {page.spread_of(gene.place, turn)}}}}}")


_WRITERS: Final[dict[str, Callable[[_Page, Gene, int], None]]] = {
    writer.__name__.removeprefix("_"): writer
    for writer in (
        _field,
        _nest,
        _spread,
        _aliased,
        _inline,
        _list,
        _objects,
        _variable,
        _directive,
        _mistake,
        _conflict,
        _string,
        _padding,
        _operation,
    )
}
