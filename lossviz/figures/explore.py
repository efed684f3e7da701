"""The explorer's pictures: curves, derivatives, contours and surfaces, without their arrays."""

from collections.abc import Sequence
from math import sqrt

from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout, line

MAP = "Cividis"
CORNER_GAP = 0.11
BAR_GROUP = 0.7


def regression(names: Sequence[str], low: float, high: float, words: Sequence[str]) -> dict[str, Spec]:
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
        "colorbar": _bar(),
        "hoverinfo": "skip",
    }
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    return {
        "curve": {
            "data": [*curves, *tangents, _points(names), _arrows(2.5)],
            "layout": layout(axis(prediction, **span), axis(loss, rangemode="tozero"), (84, 14, 12, 92)),
        },
        "derivative": {
            "data": [*[line(i, name) for i, name in enumerate(names)], _points(names)],
            "layout": layout(axis(prediction, **span), axis(derivative)),
        },
        "contour": {
            "data": [contour],
            "layout": layout(axis(prediction, **span), axis(label, **span), (52, 64, 10, 40)),
        },
        "surface": {"data": [surface], "layout": _scene_3d(prediction, label, loss)},
    }


def slice_of_loss(name: str, low: float, high: float, words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``curve`` and ``derivative`` for one loss over a line; ``words``: what moves, loss, slope."""
    moved, loss, slope = words
    x = axis(moved, range=[low, high])
    tangent = {**line(0, name, 1.5), "opacity": 0.65}
    tangent["line"] = {**tangent["line"], "dash": "solid"}
    return {
        "curve": {
            "data": [line(0, name, 3), tangent, _points([name])],
            "layout": layout(x, axis(loss), (72, 14, 12, 92)),
        },
        "derivative": {
            "data": [line(0, name, 2.5), _points([name])],
            "layout": layout(x, axis(slope), (72, 14, 10, 44)),
        },
    }


def classes(names: Sequence[str], words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``simplex`` and ``bars`` and ``surface``; ``words``: class, gradient by logit, loss."""
    a_class, gradient, loss = words
    height = sqrt(3) / 2
    hidden = {"visible": False, "fixedrange": True}
    contour = {
        "type": "contour",
        "z": [],
        "zmin": 0,
        "colorscale": MAP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "ncontours": 16,
        "line": {"width": 0.6, "color": "rgba(255,255,255,.55)"},
        "colorbar": {**_bar(), "orientation": "h", "x": 0.5, "y": 0, "yanchor": "top", "len": 0.7},
        "connectgaps": False,
        "hoverinfo": "skip",
    }
    outline = {
        "type": "scatter",
        "mode": "lines",
        "x": [0, 1, 0.5, 0],
        "y": [0, 0, height, 0],
        "line": {"color": "@muted", "width": 1.5},
        "hoverinfo": "skip",
    }
    x = {**hidden, "range": [-CORNER_GAP, 1 + CORNER_GAP]}
    y = {**hidden, "range": [-CORNER_GAP, height + CORNER_GAP], "scaleanchor": "x"}
    width = BAR_GROUP / max(1, len(names))
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": [1, 2, 3],
            "y": [],
            "offset": -BAR_GROUP / 2 + i * width,
            "width": width,
            "line": {"color": COLOURS[i], "dash": DASHES[i], "width": 2},
        }
        for i, name in enumerate(names)
    ]
    ticks = {"tickvals": [1, 2, 3], "ticktext": [f"{a_class} {k}" for k in (1, 2, 3)], "range": [0.5, 3.5]}
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    return {
        "simplex": {"data": [contour, outline, _arrows(1.6)], "layout": layout(x, y, (8, 8, 8, 56))},
        "bars": {
            "data": bars,
            "layout": layout(axis("", showgrid=False, **ticks), axis(gradient, zerolinewidth=1.5)),
        },
        "surface": {"data": [surface], "layout": _scene_3d("", "", loss)},
    }


def _points(names: Sequence[str]) -> Spec:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "marker": {
            "size": 10,
            "color": [COLOURS[i] for i in range(len(names))],
            "line": {"color": "@surface", "width": 2},
        },
        "hoverinfo": "skip",
    }


def _arrows(width: float) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [],
        "y": [],
        "line": {"color": "@warm", "width": width},
        "marker": {"symbol": "arrow", "angleref": "previous", "color": "@warm"},
        "hoverinfo": "skip",
    }


def _bar() -> Spec:
    return {"thickness": 8, "outlinewidth": 0, "tickfont": {"size": 11, "color": "@muted"}, "x": 1.02, "nticks": 5}


def _scene_3d(x: str, y: str, z: str) -> Spec:
    def side(title: str) -> Spec:
        return {"title": {"text": title, "font": {"size": 12}}, "gridcolor": "@grid", "color": "@muted"}

    return {
        "scene": {
            "xaxis": side(x),
            "yaxis": side(y),
            "zaxis": side(z),
            "camera": {"eye": {"x": -1.3, "y": -1.5, "z": 0.9}},
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.75},
        },
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@text", "family": "@font"},
        "uirevision": "held",
    }
