"""Several classes: the simplex, bars and a surface, without their arrays."""

from collections.abc import Sequence
from math import sqrt

from lossviz.figures.parts import MAP, arrows, bar, scene_3d
from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout

CORNER_GAP = 0.11
BAR_GROUP = 0.7
MOST_NAMED = 4


def figures(names: Sequence[str], words: Sequence[str], count: int = 3) -> dict[str, Spec]:
    """Return the specs ``simplex`` and ``bars`` and ``surface``; ``words``: class, gradient by logit, loss.

    ``count`` is how many classes the bars have; more than a few are named by their number alone.
    """
    a_class, gradient, loss = words
    height = sqrt(3) / 2
    hidden = {"visible": False, "fixedrange": True}
    corners = [[0, 0], [1, 0], [0.5, height]]
    contour = {
        "type": "contour",
        "z": [],
        "zmin": 0,
        "colorscale": MAP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "ncontours": 16,
        "line": {"width": 0.6, "color": "rgba(255,255,255,.55)"},
        "colorbar": {**bar(), "orientation": "h", "x": 0.5, "y": 0, "yanchor": "top", "len": 0.7},
        "meta": {"clip": corners},
        "hoverinfo": "skip",
    }
    outline = {
        "type": "scatter",
        "mode": "lines",
        "x": [x for x, _ in (*corners, corners[0])],
        "y": [y for _, y in (*corners, corners[0])],
        "line": {"color": "@muted", "width": 1.5},
        "hoverinfo": "skip",
    }
    x = {**hidden, "range": [-CORNER_GAP, 1 + CORNER_GAP]}
    y = {**hidden, "range": [-CORNER_GAP, height + CORNER_GAP], "scaleanchor": "x"}
    classes = list(range(1, count + 1))
    width = BAR_GROUP / max(1, len(names))
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": classes,
            "y": [],
            "offset": -BAR_GROUP / 2 + i * width,
            "width": width,
            "line": {"color": COLOURS[i], "dash": DASHES[i], "width": 2},
        }
        for i, name in enumerate(names)
    ]
    short = count > MOST_NAMED
    texts = [str(k) if short else f"{a_class} {k}" for k in classes]
    ticks = {"tickvals": classes, "ticktext": texts, "range": [0.5, count + 0.5]}
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    return {
        "simplex": {"data": [contour, outline, arrows(1.6)], "layout": layout(x, y, (8, 8, 8, 56))},
        "bars": {
            "data": bars,
            "layout": layout(
                axis(a_class if short else "", showgrid=False, **ticks), axis(gradient, zerolinewidth=1.5)
            ),
        },
        "surface": {"data": [surface], "layout": scene_3d("", "", loss)},
    }
