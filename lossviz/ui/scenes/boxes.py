"""Boxes: what its module in the browser needs."""

from typing import Any

from lossviz.figures.boxes import figures
from lossviz.scenes.boxes import ANCHOR, EDGES, HEIGHT, MAP_X, MAP_Y, SLIDE_GRID, SMALLEST, WIDTH
from lossviz.scenes.state import State
from lossviz.ui.words import tr

ARROW_SCALE = 15.0
"""Units of the canvas for a gradient of 1: long enough to see, short enough to stay inside."""
KEY_GRADIENT = 0.1
"""The gradient of the arrow that the legend shows."""


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    words = tr("x"), tr("y, downwards as in images"), tr("Centre of the predicted box, x"), tr("y"), tr("Loss")
    return {
        "figures": figures(names, WIDTH, HEIGHT, words),
        "canvas": {"width": WIDTH, "height": HEIGHT, "smallest": SMALLEST, "anchor": ANCHOR},
        "arrow": {"scale": ARROW_SCALE, "key": KEY_GRADIENT},
        "grids": {"slide": SLIDE_GRID.tolist(), "x": MAP_X.tolist(), "y": MAP_Y.tolist()},
        "encoded": any(loss.input_kind == "box_deltas" for loss in state.losses),
        "numbers": [
            ("loss", tr("Loss")),
            ("iou", tr("IoU")),
            *((f"gradient.{edge}", tr("by {edge}", edge=edge)) for edge in EDGES),
        ],
        "text": {
            "canvas": tr("Boxes"),
            "legend": {
                "pred": tr("predicted"),
                "target": tr("true"),
                "overlap": tr("overlap"),
                "outer": tr("around both"),
                "anchor": tr("anchor"),
            },
            "arrowKey": tr("minus gradient, of {size}", size=KEY_GRADIENT),
            "slide": tr("Loss while the predicted box slides left and right"),
            "map": tr("{name} by where the predicted box is"),
            "boxes": {"pred": tr("Predicted box"), "target": tr("True box")},
            "corner": {
                "x1y1": tr("{box}, top left corner"),
                "x2y2": tr("{box}, bottom right corner"),
                "x2y1": tr("{box}, top right corner"),
                "x1y2": tr("{box}, bottom left corner"),
            },
            "centre": tr("{box}, centre"),
            "centreX": tr("Centre, across"),
            "centreY": tr("Centre, downwards"),
            "silent": tr("No gradient here: {names}"),
            "encoding": {
                "anchor": tr(
                    "Smooth L1 compares (centre / {side}, ln(size / {side})), relative to a {side} x {side} anchor; "
                    "its gradient is led back to the corners."
                ),
                "corners": tr("Smooth L1 compares the corners as they are."),
            },
            "position": tr("Predicted box {pred}, true box {target}."),
            "sentence": tr("{name}: loss {loss}, gradient by x1, y1, x2, y2: {gradient}."),
            "edge": tr("Edge"),
            "slope": tr("gradient"),
        },
    }
