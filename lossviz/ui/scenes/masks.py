"""Masks: what its module in the browser needs."""

from typing import Any

from lossviz.figures.masks import figures
from lossviz.losses.entry import Loss
from lossviz.scenes.masks import EDGE, PRESETS, PROFILE, SIDE, by
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    return {
        "figures": figures(names, (tr("Probability of this pixel"), tr("Loss"))),
        "side": SIDE,
        "profile": PROFILE.tolist(),
        "presets": {name: {"pred": list(pred), "target": list(target)} for name, (pred, target) in PRESETS.items()},
        "taken": {loss.key: _taken(loss) for loss in state.losses},
        "numbers": [("loss", tr("Loss")), ("gradient", tr("Gradient of the pixel"))],
        "text": {
            "grids": {"pred": tr("Predicted mask"), "target": tr("True mask")},
            "hints": {
                "pred": tr("Paint with the brush, or arrow keys and space; outlined: the true mask."),
                "target": tr("Painting what is already there clears it."),
            },
            "gradient": tr("{name}: gradient by pixel"),
            "legendLow": tr("wants more"),
            "legendHigh": tr("wants less"),
            "profile": tr("What the pixel under the cursor alone could do"),
            "start": tr("Start from"),
            "presets": {
                "object": tr("Object"),
                "empty truth": tr("Empty truth"),
                "empty prediction": tr("Empty prediction"),
                "both empty": tr("Both empty"),
                "one pixel": tr("One pixel"),
            },
            "sums": {
                "pred": {"area": tr("area, sum of p"), "intersection": tr("soft intersection, sum of p t")},
                "target": {"area.target": tr("area, sum of t")},
            },
            "cell": tr("row {row}, column {column}: {value}"),
            "pixel": tr("Probability of the pixel under the cursor"),
            "row": tr("Row"),
            "column": tr("Column"),
            "position": tr("Predicted area {area}, true area {target}, soft intersection {intersection}."),
            "sentence": tr("{name}: loss {loss}, gradient of the pixel {gradient}."),
            "slope": tr("gradient"),
        },
    }


def _taken(loss: Loss) -> str:
    """In which form the loss gets the image, a sentence."""
    low, high = EDGE, 1 - EDGE
    match by(loss):
        case "logit":
            return tr(
                "By logit: it gets ln(p / (1 − p)), with p kept between {low:g} and {high:g}.", low=low, high=high
            )
        case "class":
            return tr("By probability: it gets two classes, the object with p and the background with 1 − p.")
        case _:
            return tr("By probability.")
