"""Masks: what one pixel does to the losses, without its arrays; the masks themselves are no Plotly pictures."""

from collections.abc import Sequence

from lossviz.figures.parts import points
from lossviz.figures.style import Spec, axis, layout, line


def figures(names: Sequence[str], words: Sequence[str]) -> dict[str, Spec]:
    """Return the spec ``profile`` for losses called ``names``; ``words`` are the axes' titles: probability, loss."""
    probability, loss = words
    return {
        "profile": {
            "data": [*[line(i, name) for i, name in enumerate(names)], points(names)],
            "layout": layout(axis(probability, range=[0, 1]), axis(loss, rangemode="tozero"), (52, 22, 10, 52)),
        }
    }
