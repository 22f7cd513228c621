"""Pictures of the figures, as SVG that is written here: bars for the servers, lines for the scaling curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from load.figures import Results

__all__ = ("Line", "draw_bars", "draw_lines")

_WIDTH: Final = 840
_STYLE: Final = (
    "text{font:14px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:16px}.quiet{fill:#59636e}"
    ".axis{stroke:#d1d9e0;stroke-width:1}"
)
_OWN: Final = "#1a7f37"
_OTHER: Final = "#8c959f"
_COLOURS: Final = (_OWN, _OTHER, "#0969da", "#bc4c00")
_BAR: Final = 20
_ROW: Final = 28
_NAMES: Final = 300
_LONGEST: Final = _WIDTH - _NAMES - 110


def draw_bars(results: Results, *, names: Mapping[str, str], panels: Sequence[tuple[str, str]]) -> str:
    """Draw a panel of bars for each of some figures.

    Args:
        results: What was measured.
        names: The servers to show, by key, in their order; those in bold are ours.
        panels: Title and figure of each.
    """
    parts, top = [], 20
    for title, figure in panels:
        bars = [(name, spread.middle) for key, name in names.items() if (spread := results.spread(figure, key))]
        parts.append(_text(20, top + 14, title, "title"))
        parts += _bars(bars, top + 34)
        top += 34 + _ROW * len(bars) + 24
    return _svg(parts, height=top)


def _bars(bars: Sequence[tuple[str, float]], top: int) -> list[str]:
    most = max((value for _, value in bars), default=1)
    parts = []
    for place, (name, value) in enumerate(bars):
        y, length = top + place * _ROW, max(1.0, value / most * _LONGEST)
        colour = _OWN if "**" in name else _OTHER
        parts += [
            _text(_NAMES + 10, y + 15, name.replace("*", "").replace("`", ""), at="end"),
            f'<rect x="{_NAMES + 20}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
            _text(_NAMES + 28 + length, y + 15, f"{value:.3g} µs", "quiet"),
        ]
    return parts


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Args:
        name: Beside its end.
        points: x and y, all greater than 0.
    """

    name: str
    points: Sequence[tuple[float, float]]


_LEFT: Final = 70
_PLOT_WIDTH: Final = 560
_PLOT_HEIGHT: Final = 220
_LINE_HEIGHT: Final = 18


def draw_lines(panels: Sequence[tuple[str, Sequence[Line]]], *, below: str) -> str:
    """Draw lines over one another, both axes logarithmic.

    Args:
        panels: Title and lines of each.
        below: What the horizontal axis says.
    """
    parts, top = [], 20
    for title, lines in panels:
        parts.append(_text(20, top + 14, title, "title"))
        parts += _plot(lines, top + 36)
        top += _PLOT_HEIGHT + 84
    parts.append(_text(_LEFT, top - 10, below, "quiet"))
    return _svg(parts, height=top + 10)


def _plot(lines: Sequence[Line], top: int) -> list[str]:
    across = [x for line in lines for x, _ in line.points]
    up = [y for line in lines for _, y in line.points]
    low, high = 10.0 ** math.floor(math.log10(min(up))), 10.0 ** math.ceil(math.log10(max(up)))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + _PLOT_WIDTH * _share(x, min(across), max(across)),
            top + _PLOT_HEIGHT * (1 - _share(y, low, high)),
        )

    parts = []
    for exponent in range(round(math.log10(low)), round(math.log10(high)) + 1):
        _, y = place(min(across), 10.0**exponent)
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_LEFT + _PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 8, y + 5, f"{10.0**exponent:g}", "quiet", at="end"))
    bottom = top + _PLOT_HEIGHT + 20
    parts += [_text(place(x, low)[0], bottom, f"{x:,.0f}", "quiet", at="middle") for x in sorted(set(across))]
    for line, colour in zip(lines, _COLOURS, strict=False):
        spots = [place(*point) for point in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in spots]
    ends = [(line.name, place(*line.points[-1])) for line in lines]
    return parts + _names_at(ends)


def _names_at(ends: Sequence[tuple[str, tuple[float, float]]]) -> list[str]:
    """Write a name at the end of each line, none over another."""
    parts, free = [], 0.0
    for name, (x, y) in sorted(ends, key=lambda end: end[1][1]):
        free = max(free, y + 5)
        parts.append(_text(x + 12, free, name))
        free += _LINE_HEIGHT
    return parts


def _share(value: float, low: float, high: float) -> float:
    return math.log(value / low) / math.log(high / low) if high > low else 0.5


def _text(x: float, y: float, text: str, kind: str = "", *, at: str = "start") -> str:
    attributes = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{at}"{attributes}>{escape(text)}</text>'


def _svg(parts: Sequence[str], *, height: int) -> str:
    box = f'width="{_WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {box}>',
            f"<style>{_STYLE}</style>",
            f'<rect {box} rx="6" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )
