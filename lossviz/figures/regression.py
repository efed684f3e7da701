"""Scalar regression: curves, derivatives, contour and surface, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import MAP, arrows, bar, points, scene_3d
from lossviz.figures.style import Spec, axis, layout, line


def figures(names: Sequence[str], low: float, high: float, words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``curve``, ``derivative``, ``contour`` and ``surface`` for losses called ``names``.

    ``words`` are the axes' titles: prediction, label, loss, derivative.
    """
    prediction, label, loss, derivative = words
    span = {"range": [low, high]}
    tangents = [{**line(i, name, 1.5), "opacity": 0.65} for i, name in enumerate(names)]
    for tangent in tangents:
        tangent["line"] = {**tangent["line"], "dash": "solid"}
    curves = [line(i, name, 3) for i, name in enumerate(names)]
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
    return {
        "curve": {
            "data": [*curves, *tangents, points(names), arrows(2.5)],
            "layout": layout(axis(prediction, **span), axis(loss, rangemode="tozero"), (84, 14, 12, 92)),
        },
        "derivative": {
            "data": [*[line(i, name) for i, name in enumerate(names)], points(names)],
            "layout": layout(axis(prediction, **span), axis(derivative)),
        },
        "contour": {
            "data": [contour],
            "layout": layout(axis(prediction, **span), axis(label, **span), (52, 64, 10, 40)),
        },
        "surface": {"data": [surface], "layout": scene_3d(prediction, label, loss)},
    }
