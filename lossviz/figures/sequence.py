"""Sequences: the loss of each position as bars, without their arrays; grids and lattice are no Plotly pictures."""

from collections.abc import Mapping, Sequence

from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout

GUTTER, EDGE = 58, 14
"""Pixels left and right of the positions, in every picture: a column is the same position from top to bottom."""
GROUP = 0.72


def figures(members: Mapping[int, str], positions: int, words: Sequence[str]) -> dict[str, Spec]:
    """Return the spec ``tokens``: bars at 1 to ``positions``; ``words``: position, loss.

    ``members`` are the names of the losses that have a value for each position, by their place in the chosen list.
    """
    position, loss = words
    width = GROUP / max(1, len(members))
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": list(range(1, positions + 1)),
            "y": [],
            "offset": -GROUP / 2 + i * width,
            "width": width,
            "line": {"color": COLOURS[place], "dash": DASHES[place], "width": 2},
        }
        for i, (place, name) in enumerate(members.items())
    ]
    ticks = {"tickvals": list(range(1, positions + 1)), "range": [0.5, positions + 0.5], "showgrid": False}
    vertical = axis(loss, rangemode="tozero", nticks=6)
    return {"tokens": {"data": bars, "layout": layout(axis(position, **ticks), vertical, (GUTTER, EDGE, 22, 46))}}
