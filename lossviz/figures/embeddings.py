"""Embeddings: points in the plane, their distances, the pull on each, a map; without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import MAP, arrows, bar, scene_3d
from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout

BAR_GROUP = 0.8
FARTHEST = 4.0


def figures(names: Sequence[str], reach: float, nodes: Sequence[str], words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``plane``, ``distances``, ``pulls``, ``map`` and ``surface`` for losses called ``names``.

    ``nodes`` are the names of points and centres; ``words``: first and second coordinate, distance, same class,
    different classes, gradient length, loss.
    """
    first, second, distance, same, different, length, loss = words
    span = {"range": [-reach, reach], "constrain": "domain"}
    equal = {**span, "scaleanchor": "x"}
    plane = layout(axis(first, **span), axis(second, **equal), (52, 14, 8, 44))
    rows = {"tickvals": [1, 0], "ticktext": [same, different], "range": [-0.6, 1.6], "showgrid": False}
    strip = layout(axis(distance, range=[0, FARTHEST]), axis("", zeroline=False, **rows), (126, 76, 6, 40))
    ticks = {
        "tickvals": list(range(1, len(nodes) + 1)),
        "ticktext": list(nodes),
        "range": [0.4, len(nodes) + 0.6],
        "showgrid": False,
    }
    width = BAR_GROUP / max(1, len(names))
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": list(range(1, len(nodes) + 1)),
            "y": [],
            "offset": -BAR_GROUP / 2 + i * width,
            "width": width,
            "line": {"color": COLOURS[i], "dash": DASHES[i], "width": 1.5},
        }
        for i, name in enumerate(names)
    ]
    contour = {
        "type": "contour",
        "z": [],
        "colorscale": MAP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "ncontours": 14,
        "line": {"width": 0.6, "color": "rgba(255,255,255,.55)"},
        "colorbar": {**bar(), "orientation": "h", "x": 0.5, "y": 0, "yanchor": "top", "ypad": 46, "len": 0.9},
        "hoverinfo": "skip",
    }
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    return {
        "plane": {
            "data": [
                _line("@muted", 1.2, 0.6),
                _line("@muted", 1.2, 0.4),
                _line("@muted", 1.2, 0.4, "4px 4px"),
                _line("@text", 1.8, 0.75),
                _line("@text", 1.8, 0.75, "5px 4px"),
                arrows(2.5),
            ],
            "layout": plane,
        },
        "distances": {
            "data": [
                _dots("@text", "@surface", 10, 1.5),
                _dots("@surface", "@text", 10, 1.5),
                _line("@warm", 3, 1),
            ],
            "layout": strip,
        },
        "pulls": {
            "data": bars,
            "layout": layout(axis("", **ticks), axis(length, range=[0, 1]), (52, 10, 8, 26)),
        },
        "map": {
            "data": [
                contour,
                _dots("rgba(255,255,255,.8)", "rgba(15,23,42,.8)", 7, 1),
                _dots("@warm", "#fff", 13, 2),
                arrows(2),
            ],
            "layout": layout(axis(first, **span), axis(second, constraintoward="top", **equal), (44, 12, 8, 92)),
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


def _dots(fill: str, edge: str, size: float, width: float) -> Spec:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "marker": {"size": size, "color": fill, "line": {"color": edge, "width": width}},
        "hoverinfo": "skip",
    }
