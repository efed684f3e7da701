"""Critic and generator: the critic over the line, the pull over the distance, bars, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import arrows, points
from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout, line

BAR_GROUP = 0.76
DECADES = [10.0**power for power in range(-8, 5)]
EDGE = 0.12
"""So that discs at the ends of the line are seen whole."""


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


def _pull(position: int) -> Spec:
    return {**arrows(2.2), "line": {"color": COLOURS[position], "width": 2.2}}


def _discs(size: float, colour: str, edge: str) -> Spec:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "marker": {"size": size, "color": colour, "line": {"color": edge, "width": 2}},
        "hoverinfo": "skip",
    }
