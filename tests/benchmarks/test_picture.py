from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from load.figures import Results
from load.picture import Line, draw_bars, draw_lines


def _tags(picture: str, tag: str) -> list[ET.Element]:
    return ET.fromstring(picture).findall(f"{{http://www.w3.org/2000/svg}}{tag}")


def test_bars_are_as_long_as_their_figures() -> None:
    """A picture tells the proportion, not the rank."""
    results = Results()
    for key, cpu_us in (("ours", 10.0), ("theirs", 40.0)):
        results.add(key, {"serial": [{"cpu_us": cpu_us}]})

    picture = draw_bars(results, names={"ours": "**ours**", "theirs": "theirs & others"}, panels=[("cost", "serial")])

    own, theirs = (float(bar.attrib["width"]) for bar in _tags(picture, "rect")[1:])
    assert theirs == 4 * own
    assert "theirs & others" in [text.text for text in _tags(picture, "text")]


def test_a_server_that_was_not_measured_has_no_bar() -> None:
    """Nothing is drawn for nothing."""
    results = Results()
    results.add("ours", {"serial": [{"cpu_us": 10.0}]})

    picture = draw_bars(results, names={"ours": "ours", "theirs": "theirs"}, panels=[("cost", "serial")])

    assert len(_tags(picture, "rect")) == 2


def test_names_of_lines_that_end_together_do_not_cover_each_other() -> None:
    """One reads which line is whose."""
    same = [(100.0, 1.0), (1000.0, 10.0)]

    picture = draw_lines([("latency", [Line("one", same), Line("other", same)])], below="sockets")

    heights = {text.text: float(text.attrib["y"]) for text in _tags(picture, "text")}
    assert heights["other"] - heights["one"] >= 18
    spots = re.findall(r"[\d.]+,[\d.]+", _tags(picture, "polyline")[0].attrib["points"])
    assert len(spots) == 2
