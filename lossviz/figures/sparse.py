"""Sparse penalties: level sets and solutions, their path, and the sum as a map; without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import MAP, arrows, bar, points, scene_3d
from lossviz.figures.style import Spec, axis, layout, line


def figures(names: Sequence[str], reach: float, strongest: float, words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``plane``, ``path``, ``map`` and ``surface`` for losses called ``names``.

    ``words``: first weight, second weight, strength, weights at the solution, loss.
    """
    first, second, strength, weights, loss = words
    span = {"range": [-reach, reach], "constrain": "domain"}
    equal = {**span, "scaleanchor": "x"}
    ways = [line(i, name, 2) for i, name in enumerate(names)]
    solutions = points(names)
    solutions["marker"] = {**solutions["marker"], "size": 15}
    plane = [
        _line("@muted", 1, 0.55),
        _line("@loss0", 1, 0.5),
        _line("@text", 2, 0.85),
        _line("@loss0", 2.5, 0.9),
        *[{**way, "opacity": 0.8} for way in ways],
        _arrows("@muted", 1.8),
        _arrows("@loss0", 1.8),
        arrows(2.8),
        solutions,
    ]
    now = {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "marker": {"size": 11, "color": "@warm", "line": {"color": "@surface", "width": 2}},
        "hoverinfo": "skip",
    }
    contour = {
        "type": "contour",
        "z": [],
        "colorscale": MAP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "ncontours": 18,
        "line": {"width": 0.6, "color": "rgba(255,255,255,.55)"},
        "colorbar": bar(),
        "hoverinfo": "skip",
    }
    here = {**now, "marker": {"size": 13, "color": "@warm", "line": {"color": "#fff", "width": 2}}}
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    return {
        "plane": {"data": plane, "layout": layout(axis(first, **span), axis(second, **equal), (52, 14, 8, 44))},
        "path": {
            "data": [_line("@zero", 1.5, 1), _line("@text", 2.5, 1), _line("@text", 2.5, 1, "7px 4px"), now],
            "layout": layout(
                axis(strength, range=[0, strongest], tickangle=0),
                axis(weights, range=[-reach, reach]),
                (50, 40, 8, 42),
            ),
        },
        "map": {
            "data": [contour, here],
            "layout": layout(axis(first, **span), axis(second, **equal), (44, 52, 8, 40)),
        },
        "surface": {"data": [surface], "layout": scene_3d(first, second, loss)},
    }


def _line(colour: str, width: float, opacity: float, dash: str = "solid") -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [],
        "y": [],
        "line": {"color": colour, "width": width, "dash": dash},
        "opacity": opacity,
        "hoverinfo": "skip",
    }


def _arrows(colour: str, width: float) -> Spec:
    return {**arrows(width), "line": {"color": colour, "width": width}}
