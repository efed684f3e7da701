"""Perturbation: what its module in the browser needs."""

from math import log
from typing import Any

from lossviz.figures.perturbation import figures
from lossviz.scenes import toynet
from lossviz.scenes.perturbation import SIDE
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    places, classes = toynet.points()
    words = tr("First coordinate"), tr("Second coordinate"), tr("Step of the attack"), tr("Cross-entropy")
    return {
        "side": SIDE,
        "points": [places[classes == k].T.tolist() for k in range(toynet.CLASSES)],
        "chance": log(toynet.CLASSES),
        "round": [loss.key for loss in state.losses if loss.input_kind == "model_directions"],
        "figures": figures(names, words),
        "numbers": [
            ("loss", tr("Loss")),
            ("clean", tr("CE before")),
            ("attacked", tr("CE after")),
            ("epsilon", tr("ε")),
            ("gradient.x1", tr("by x₁")),
            ("gradient.x2", tr("by x₂")),
        ],
        "text": {
            "climb": tr("How each attack climbs; above the dashed line the network errs"),
            "terms": tr("What each loss adds up"),
            "digit": tr("The same attack on an MNIST digit"),
            "digitPictures": [tr("input"), tr("move"), tr("attacked")],
            "digitVerdict": tr("{before} → {after}"),
            "digitNumbers": {
                "digit.loss": tr("Loss"),
                "digit.clean": tr("CE before"),
                "digit.attacked": tr("CE after"),
            },
            "digitMissing": tr("MNIST is not on this machine. Run `lossviz data` to get it."),
            "point": tr("Input"),
            "verdict": tr("class {before} → class {after}"),
            "aClass": tr("class {k}"),
            "label": tr("Label"),
            "parts": {
                "trades": [tr("cross-entropy"), tr("β × disagreement")],
                "mart": [tr("boosted cross-entropy"), tr("β × doubt × disagreement")],
            },
            "whole": tr("one term"),
            "position": tr("Input ({x1}, {x2}), label class {label}."),
            "sentence": tr("{name}: loss {loss}; the attack within {epsilon} turns class {before} into class {after}."),
            "attackStep": tr("Step of the attack"),
            "map": tr("Over the plane: {name}; dashed, where the network decides"),
            "cleanMap": tr("Over the plane: cross-entropy; dashed, where the network decides"),
        },
    }
