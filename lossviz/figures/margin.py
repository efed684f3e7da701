"""Binary margin: curves, derivatives and the two gradients' sizes, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import arrows, points
from lossviz.figures.style import Spec, axis, layout, line

DECADES = (-4, 4)
"""Sizes of gradients that are drawn, as powers of ten."""


def figures(names: Sequence[str], words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``curve``, ``derivative`` and ``sizes`` for losses called ``names``.

    ``words`` are the axes' titles: loss, derivative, score, size of the gradient. The title of the axis that the
    option ``axis`` chooses is set where it is drawn.
    """
    loss, derivative, score, size = words
    tangents = [{**line(i, name, 1.5), "opacity": 0.65} for i, name in enumerate(names)]
    for tangent in tangents:
        tangent["line"] = {**tangent["line"], "dash": "solid"}
    other = {**line(0, "", 1.5), "opacity": 0.45}
    by_logit, by_probability = line(0, "", 3), line(0, "", 3)
    span = arrows(1.6)
    return {
        "curve": {
            "data": [*[line(i, name, 3) for i, name in enumerate(names)], *tangents, other, points(names), arrows(2.5)],
            "layout": layout(axis(""), axis(loss, rangemode="tozero"), (84, 14, 12, 92)),
        },
        "derivative": {
            "data": [*[line(i, name) for i, name in enumerate(names)], points(names)],
            "layout": layout(axis(""), axis(derivative), (56, 12, 10, 40)),
        },
        "sizes": {
            "data": [by_logit, by_probability, points(["", ""]), span],
            "layout": layout(
                axis(score),
                axis(size, type="log", range=list(DECADES), dtick=2, exponentformat="power"),
                (56, 12, 62, 40),
            ),
        },
    }
