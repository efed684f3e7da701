"""Two distributions: p upwards and q downwards, the pull on every bin, and losses over a slide; without arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import arrows, points
from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout, line

BAR = 0.8
BAR_GROUP = 0.8


def figures(names: Sequence[str], words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``pair``, ``pull`` and ``slide`` for losses called ``names``.

    ``words`` are the axes' titles: bin, probability, gradient, centre of q, loss. In ``pair`` the traces are the bars
    of p and q, the outlines of q over p and of p over q, the stems of p and of q, arrows. In ``pull`` and ``slide``
    each loss has a bar or a line; ``pull`` has lines after its bars, for the many bins of bell curves.
    """
    a_bin, probability, gradient, centre, loss = words
    width = BAR_GROUP / max(1, len(names))
    grouped = [_bar(-BAR_GROUP / 2 + i * width, width, COLOURS[i], DASHES[i]) for i in range(len(names))]
    lines = [line(i, name, 2.5) for i, name in enumerate(names)]
    middle = {**line(0, "", 1.5), "opacity": 0.8}
    middle["line"] = {**middle["line"], "color": "@muted", "dash": "4px 4px"}
    return {
        "pair": {
            "data": [
                _bar(-BAR / 2, BAR, "@text", "solid"),
                _bar(-BAR / 2, BAR, "@warm", "solid"),
                _outline("@warm"),
                _outline("@text"),
                _stem("@text"),
                _stem("@warm"),
                arrows(2.2),
            ],
            "layout": layout(
                axis(a_bin, showgrid=False, zeroline=False, dtick=1),
                axis(probability, zerolinewidth=1.5),
                (64, 14, 12, 40),
            ),
        },
        "pull": {
            "data": [*grouped, *lines],
            "layout": layout(
                axis(a_bin, showgrid=False, zeroline=False, dtick=1),
                axis(gradient, zerolinewidth=1.5),
                (60, 12, 58, 40),
            ),
        },
        "slide": {
            "data": [*[line(i, name) for i, name in enumerate(names)], middle, points(names)],
            "layout": layout(axis(centre, zeroline=False), axis(loss), (56, 12, 42, 40)),
        },
    }


def _bar(offset: float, width: float, colour: str, dash: str) -> Spec:
    style = {"color": colour, "dash": dash, "width": 2}
    return {"type": "bar", "x": [], "y": [], "offset": offset, "width": width, "line": style}


def _outline(colour: str) -> Spec:
    return {**line(0, "", 1.5), "opacity": 0.8, "line": {"color": colour, "dash": "3px 3px", "width": 1.5}}


def _stem(colour: str) -> Spec:
    return {**line(0, "", 1.5), "opacity": 0.55, "line": {"color": colour, "dash": "solid", "width": 1.5}}
