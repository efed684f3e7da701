"""Task gradients: arrows in a plane and bars by task, without their arrays."""

from collections.abc import Sequence

from lossviz.figures.parts import arrows
from lossviz.figures.style import COLOURS, DASHES, Spec, axis, layout, line

BAR_GROUP = 0.76


def figures(names: Sequence[str], words: Sequence[str]) -> dict[str, Spec]:
    """Return the specs ``plane``, ``bars`` and ``falls`` for methods called ``names``.

    ``words`` are the axes' titles: first and second shared weight, task, weight, fall.
    """
    first, second, task, weight, fall = words
    shafts = [line(i, name, 3) for i, name in enumerate(names)]
    heads = [{**arrows(3), "line": {"color": COLOURS[i], "width": 3}} for i in range(len(names))]
    own = {**arrows(2), "line": {"color": "@text", "width": 2}}
    return {
        "plane": {
            "data": [own, *shafts, *heads],
            "layout": layout(
                axis(first, zerolinewidth=1.5), axis(second, zerolinewidth=1.5, scaleanchor="x"), (52, 12, 8, 40)
            ),
        },
        "bars": _by_task(names, task, weight),
        "falls": _by_task(names, task, fall),
    }


def _by_task(names: Sequence[str], task: str, height: str) -> Spec:
    width = BAR_GROUP / max(1, len(names))
    bars = [
        {
            "type": "bar",
            "name": name,
            "x": [],
            "y": [],
            "offset": -BAR_GROUP / 2 + i * width,
            "width": width,
            "line": {"color": COLOURS[i], "dash": DASHES[i], "width": 2},
        }
        for i, name in enumerate(names)
    ]
    return {"data": bars, "layout": layout(axis(task, showgrid=False, dtick=1), axis(height, zerolinewidth=1.5))}
