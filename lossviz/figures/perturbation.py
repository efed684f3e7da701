"""Perturbation: the plane with its attacks, their climb and a surface, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import MAP, arrows, bar, points, scene_3d
from lossviz.figures.style import Spec, axis, layout, line

EDGE = 0.03
INK, PAPER = "#111827", "#ffffff"
"""Marks on the map, which is the same in light and dark."""


def figures(names: Sequence[str], words: Sequence[str], reach: float) -> dict[str, Spec]:
    """Return the specs ``contour``, ``climb``, ``surface`` and ``digit`` for losses called ``names``.

    ``contour`` holds the map, the boundary, the points of class 1 and 2, the box, an attack for each loss, the steps of
    the one in focus, where all end, and the arrow; ``digit`` the map of a plane that goes ``reach`` far to either side,
    the boundary, the way of the attack, the digit and the attack's end. ``words``: first and second coordinate, step,
    loss, along and across the attack.
    """
    first, second, step, loss, along, across = words
    contour = _map(18)
    attacks = [line(i, name, 3) for i, name in enumerate(names)]
    span = {"range": [-EDGE, 1 + EDGE], "showgrid": False, "zeroline": False, "dtick": 0.2}
    x, y = axis(first, **span, constrain="domain"), axis(second, **span, scaleanchor="x", constrain="domain")
    classes, steps = [_marks(INK, PAPER), _marks(PAPER, INK)], _marks(PAPER, INK, 6)
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    chance = {**_outline("@zero", 1.5), "line": {"color": "@zero", "width": 1.5, "dash": "5px 4px"}}
    return {
        "contour": {
            "data": [contour, _boundary(3), *classes, _outline(PAPER, 2), *attacks, steps, points(names), arrows(2.6)],
            "layout": layout(x, y, (56, 58, 10, 92)),
        },
        "climb": {
            "data": [chance, *[{**line(i, name), "cliponaxis": False} for i, name in enumerate(names)]],
            "layout": layout(axis(step), axis(loss), (52, 16, 12, 42)),
        },
        "surface": {"data": [surface], "layout": scene_3d(first, second, loss)},
        "digit": _plane(reach, along, across),
    }


def _plane(reach: float, along: str, across: str) -> Spec:
    span = {"range": [-reach, reach], "showgrid": False, "zeroline": False, "dtick": 1, "constrain": "domain"}
    x, y = axis(along, **span), axis(across, **span, scaleanchor="x")
    way = {**_outline(PAPER, 2), "x": [0, 1], "y": [0, 0]}
    marks = [{**_marks(PAPER, INK, 8), "x": [0], "y": [0]}, {**_marks(INK, PAPER, 10), "x": [1], "y": [0]}]
    return {"data": [_map(12), _boundary(2.5), way, *marks], "layout": layout(x, y, (48, 54, 8, 40))}


def _map(lines: int) -> Spec:
    return {
        "type": "contour",
        "z": [],
        "zmin": 0,
        "colorscale": MAP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "ncontours": lines,
        "line": {"width": 0.6, "color": "rgba(255,255,255,.45)"},
        "colorbar": bar(),
        "hoverinfo": "skip",
    }


def _boundary(width: float) -> Spec:
    """Where the network is undecided."""
    return {
        "type": "contour",
        "z": [],
        "autocontour": False,
        "contours": {"coloring": "none", "showlines": True, "start": 0, "end": 0, "size": 1},
        "line": {"width": width, "color": PAPER, "dash": "9px 6px"},
        "showscale": False,
        "hoverinfo": "skip",
    }


def _marks(fill: str, edge: str, size: float = 7) -> Spec:
    marker = {"size": size, "color": fill, "line": {"color": edge, "width": 1.2}}
    return {"type": "scatter", "mode": "markers", "x": [], "y": [], "marker": marker, "hoverinfo": "skip"}


def _outline(colour: str, width: float) -> Spec:
    style = {"color": colour, "width": width}
    return {"type": "scatter", "mode": "lines", "x": [], "y": [], "line": style, "hoverinfo": "skip"}
