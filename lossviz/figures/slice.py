"""One loss along a line: its curve and its slope, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import points
from lossviz.figures.style import Spec, axis, layout, line


def figures(name: str, low: float, high: float, words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``curve`` and ``derivative`` for one loss over a line; ``words``: what moves, loss, slope."""
    moved, loss, slope = words
    x = axis(moved, range=[low, high])
    tangent = {**line(0, name, 1.5), "opacity": 0.65}
    tangent["line"] = {**tangent["line"], "dash": "solid"}
    return {
        "curve": {
            "data": [line(0, name, 3), tangent, points([name])],
            "layout": layout(x, axis(loss), (72, 14, 12, 92)),
        },
        "derivative": {
            "data": [line(0, name, 2.5), points([name])],
            "layout": layout(x, axis(slope), (72, 14, 10, 44)),
        },
    }
