"""Critic and generator: the critic over line or plane, the pull over the distance, bars, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import MAP, arrows, bar, points, scene_3d
from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout, line

BAR_GROUP = 0.76
DECADES = [10.0**power for power in range(-8, 5)]
EDGE = 0.12
"""So that discs at the ends of the line are seen whole."""
PALE = 0.5
"""So that arrows in the losses' colours stand out against the map."""


def figures(
    names: Sequence[str], low: float, high: float, most: float, samples: int, words: Sequence[str]
) -> dict[str, Spec]:
    """Return the specs ``critic``, ``reach`` and ``bars`` for losses called ``names``.

    ``low`` and ``high`` are the ends of the line, ``most`` the largest distance. ``words`` are the axes' titles: place,
    score, distance, pull, sample, gradient.
    """
    place, score, distance, pull, sample, gradient = words
    drawn = {**line(0, score, 3), "line": {"color": "@text", "width": 3}}
    x = axis(place, range=[low - EDGE, high + EDGE])
    width = BAR_GROUP / max(1, len(names))
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": list(range(1, samples + 1)),
            "y": [],
            "offset": -BAR_GROUP / 2 + i * width,
            "width": width,
            "line": {"color": COLOURS[i], "dash": DASHES[i], "width": 1.6},
        }
        for i, name in enumerate(names)
    ]
    ticks = {"tickvals": list(range(1, samples + 1)), "range": [0.5, samples + 0.5]}
    return {
        "critic": {
            "data": [
                *[line(i, name, 3) for i, name in enumerate(names)],
                drawn,
                _discs(8, "@muted", "@surface"),
                _discs(11, "@surface", "@text"),
                _discs(11, "@warm", "@surface"),
                arrows(1.6),
                *[_pull(i) for i in range(len(names))],
            ],
            "layout": layout(x, axis(score), (84, 14, 12, 96)),
        },
        "reach": {
            "data": [*[line(i, name) for i, name in enumerate(names)], points(names)],
            "layout": layout(
                axis(distance, range=[0, most]),
                axis(pull, type="log", tickvals=DECADES, ticktext=[f"{decade:g}" for decade in DECADES]),
            ),
        },
        "bars": {
            "data": bars,
            "layout": layout(axis(sample, showgrid=False, **ticks), axis(gradient, zerolinewidth=1.5)),
        },
    }


def plane(names: Sequence[str], low: float, high: float, words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``map`` and ``surface`` for losses called ``names``.

    ``map`` holds the critic, where its score is 0, what joins the pairs of samples, the places between them, the
    critic's slope there and the length that costs nothing, the posts, where a step takes these, and the pulls of each
    loss. ``low`` and ``high`` are the ends of either coordinate. ``words``: first and
    second coordinate, score.
    """
    first, second, score = words
    span = {"range": [low - EDGE, high + EDGE], "showgrid": False, "zeroline": False, "constrain": "domain"}
    x, y = axis(first, **span), axis(second, **span, scaleanchor="x", constraintoward="top")
    below = {"orientation": "h", "x": 0.5, "y": 0, "yanchor": "top", "len": 1, "nticks": 9}
    critic = {
        "type": "contour",
        "z": [],
        "colorscale": MAP,
        "contours": {"coloring": "heatmap", "showlines": True},
        "line": {"width": 0.6, "color": "@muted"},
        "opacity": PALE,
        "colorbar": {**bar(), **below},
        "hoverinfo": "skip",
    }
    even = {
        **critic,
        "contours": {"coloring": "none", "showlines": True, "start": 0, "end": 0, "size": 1},
        "line": {"width": 2, "color": "@text", "dash": "8px 5px"},
        "showscale": False,
    }
    surface = {"type": "surface", "z": [], "colorscale": MAP, "showscale": False, "hoverinfo": "skip"}
    return {
        "map": {
            "data": [
                critic,
                even,
                _thread("3px 4px", 1.2),
                _discs(8, "@surface", "@text"),
                {**arrows(1.8), "line": {"color": "@text", "width": 1.8}},
                _thread("1px 3px", 1),
                _thread("solid", 2.5),
                arrows(1.8),
                *[_pull(i, 2.6) for i in range(len(names))],
            ],
            "layout": layout(x, y, (52, 16, 6, 92)),
        },
        "surface": {"data": [surface], "layout": scene_3d(first, second, score)},
    }


def _thread(dash: str, width: float) -> Spec:
    style = {"color": "@text", "width": width, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": [], "y": [], "line": style, "hoverinfo": "skip"}


def _pull(position: int, width: float = 2.2) -> Spec:
    return {**arrows(width), "line": {"color": COLOURS[position], "width": width}}


def _discs(size: float, colour: str, edge: str) -> Spec:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "marker": {"size": size, "color": colour, "line": {"color": edge, "width": 2}},
        "hoverinfo": "skip",
    }
