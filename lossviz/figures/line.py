"""Regression line: points and lines, pulls, contour and surface over slope and intercept, without their arrays."""

from collections.abc import Sequence

from plotly.colors import sequential

from lossviz.figures.parts import arrows, bar, scene_3d
from lossviz.figures.style import COLOURS, Spec, axis, layout, line

BAR_GROUP = 0.36
DEEP = [[(i / (len(sequential.Cividis) - 1)) ** 2, colour] for i, colour in enumerate(sequential.Cividis)]
"""The valley's floor gets most of the colours: there all the optima lie."""
EDGE = 0.05
"""Share of a range left free at either end, so that a disc at the bound is whole."""


def figures(names: Sequence[str], spans: Sequence[tuple[float, float]], words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``plane``, ``pulls``, ``contour`` and ``surface`` for losses called ``names``.

    Bars stand in the order of ``names``. ``spans`` are the ends of x, y, slope and intercept; ``words`` the titles of
    x, y, slope, intercept, pull and loss.
    """
    x, y, slope, intercept, pull, loss = words
    across, up, slopes, intercepts = ({"range": _wider(*span)} for span in spans)
    width = BAR_GROUP / max(1, len(names))
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": [],
            "y": [],
            "offset": -BAR_GROUP / 2 + i * width,
            "width": width,
            "line": {"color": COLOURS[i], "dash": "solid", "width": 1.6},
        }
        for i, name in enumerate(names)
    ]
    contour = {
        "type": "contour",
        "z": [],
        "colorscale": DEEP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "ncontours": 40,
        "line": {"width": 0.6, "color": "rgba(255,255,255,.5)"},
        "colorbar": bar(),
        "connectgaps": False,
        "hoverinfo": "skip",
    }
    surface = {"type": "surface", "z": [], "colorscale": DEEP, "showscale": False, "hoverinfo": "skip"}
    margin = (56, 14, 10, 42)
    solid = scene_3d(slope, intercept, loss)
    # Its card is tall: from farther away all of the valley is in sight.
    solid["scene"]["camera"] = {"eye": {"x": -1.8, "y": -2.1, "z": 1.3}}
    return {
        "plane": {
            "data": [_plain("@warm", 1.4), *[line(i, name, 2.8) for i, name in enumerate(names)], _plain("@text", 2.2)],
            "layout": layout(axis(x, **across), axis(y, **up), margin),
        },
        "pulls": {
            "data": bars,
            "layout": layout(axis(x, **across), axis(pull, zerolinewidth=1.5), margin),
        },
        "contour": {
            "data": [contour, _path(), arrows(2.6)],
            "layout": layout(axis(slope, **slopes), axis(intercept, **intercepts), (52, 60, 10, 42)),
        },
        "surface": {"data": [surface], "layout": solid},
    }


def _wider(low: float, high: float) -> list[float]:
    spare = EDGE * (high - low)
    return [low - spare, high + spare]


def _plain(colour: str, width: float) -> Spec:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [],
        "y": [],
        "line": {"color": colour, "width": width},
        "hoverinfo": "skip",
    }


def _path() -> Spec:
    """Steps of descent: white on the dark valley, edged where the map is bright."""
    return {
        **_plain("#ffffff", 1.6),
        "mode": "lines+markers",
        "marker": {"size": 5.5, "color": "#ffffff", "line": {"color": "#1f2937", "width": 0.8}},
    }
