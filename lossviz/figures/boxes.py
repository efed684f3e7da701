"""Boxes: canvas, the slide from left to right, contour and surface, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import MAP, arrows, bar, points, scene_3d
from lossviz.figures.style import COLOURS, Spec, axis, layout, line

ARROW_WIDTH = 2.2


def figures(names: Sequence[str], width: float, height: float, words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``canvas``, ``slide``, ``contour`` and ``surface`` for losses called ``names``.

    ``words`` are the axes' titles: x, y, centre's x, centre's y, loss.
    """
    x, y, centre_x, centre_y, loss = words
    across, down = {"range": [0, width]}, {"range": [height, 0]}
    pulls = [arrows(ARROW_WIDTH) for _ in names]
    for colour, pull in zip(COLOURS, pulls, strict=False):
        pull["line"] = {**pull["line"], "color": colour}
    contour = {
        "type": "contour",
        "z": [],
        "colorscale": MAP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "ncontours": 14,
        "line": {"width": 0.6, "color": "rgba(255,255,255,.55)"},
        "colorbar": bar(),
        "hoverinfo": "skip",
    }
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    solid = scene_3d(centre_x, centre_y, loss)
    solid["scene"]["yaxis"]["autorange"] = "reversed"
    square = {"scaleanchor": "x", "constrain": "domain"}
    return {
        "canvas": {
            "data": pulls,
            "layout": layout(axis(x, constrain="domain", **across), axis(y, **down, **square), (44, 12, 8, 36)),
        },
        "slide": {
            "data": [*[line(i, name) for i, name in enumerate(names)], points(names)],
            "layout": layout(axis(centre_x, **across), axis(loss, rangemode="tozero")),
        },
        "contour": {
            "data": [contour],
            "layout": layout(axis(centre_x, **across), axis(centre_y, **down), (52, 64, 10, 40)),
        },
        "surface": {"data": [surface], "layout": solid},
    }
