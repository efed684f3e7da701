"""The training page's pictures: one line a loss over the epochs, with a band where it has seeds; without arrays."""

from collections.abc import Sequence

from lossviz.figures.style import COLOURS, Spec, axis, layout, line

LABEL_ROOM = 196
"""Pixels right of the picture for the names at the lines' ends."""


def curves(names: Sequence[str], epochs: int, words: Sequence[str], banded: bool = False) -> dict[str, Spec]:
    """Return the specs ``accuracy``, ``train_loss``, ``grad_norm`` and ``test_loss`` for losses called ``names``.

    In ``accuracy`` and ``test_loss`` each loss has a line (the sample of 1,000) and dots (all 10,000): first all the
    lines, then all the dots. ``banded`` puts a band for each loss before them. ``words`` are the axes' titles: epoch,
    accuracy, train loss, gradient norm, test loss.
    """
    epoch, accuracy, train_loss, grad_norm, test_loss = words
    x = axis(epoch, range=[0, epochs], rangemode="tozero")
    bands = [_band(i, name) for i, name in enumerate(names)] if banded else []
    lines = [*bands, *(line(i, name, 2) for i, name in enumerate(names))]
    dots = [_dots(i, name) for i, name in enumerate(names)]
    wide = (58, LABEL_ROOM, 10, 40)

    def picture(title: str, data: Sequence[Spec], margin: tuple[int, int, int, int], **y: object) -> Spec:
        return {"data": list(data), "layout": layout(x, axis(title, **y), margin)}

    narrow = (58, 16, 10, 40)
    log = {"type": "log", "dtick": "D2", "tickformat": "~g", "range": [-1, 0.5]}
    return {
        "accuracy": picture(accuracy, [*lines, *dots], wide, range=[0, 1]),
        "train_loss": picture(train_loss, lines, narrow, **log),
        "grad_norm": picture(grad_norm, lines, narrow, **log),
        "test_loss": picture(test_loss, [*lines, *dots], narrow, **log),
    }


def _band(position: int, name: str) -> Spec:
    """Between a lower and an upper line: the points go along one and come back along the other."""
    return {
        "type": "scatter",
        "mode": "lines",
        "fill": "toself",
        "name": name,
        "x": [],
        "y": [],
        "line": {"width": 0, "color": COLOURS[position], "dash": "solid"},
        "fillcolor": COLOURS[position],
        "opacity": 0.18,
        "hoverinfo": "skip",
    }


def _dots(position: int, name: str) -> Spec:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [],
        "y": [],
        "marker": {"color": COLOURS[position], "size": 8, "line": {"color": "@surface", "width": 1.5}},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }
