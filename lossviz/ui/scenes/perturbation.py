"""Perturbation: what its module in the browser needs."""

from math import log
from typing import Any

from lossviz.figures.perturbation import figures
from lossviz.scenes import toynet
from lossviz.scenes.perturbation import PLANE_REACH, PLANE_SIDE, SIDE
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    places, classes = toynet.points()
    words = (
        tr("First coordinate"),
        tr("Second coordinate"),
        tr("Step of the attack"),
        tr("Cross-entropy"),
        tr("Along the attack"),
        tr("Across it, at random"),
    )
    return {
        "side": SIDE,
        "planeSide": PLANE_SIDE,
        "points": [places[classes == k].T.tolist() for k in range(toynet.CLASSES)],
        "chance": log(toynet.CLASSES),
        "round": [loss.key for loss in state.losses if loss.input_kind == "model_directions"],
        "figures": figures(names, words, PLANE_REACH),
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
            "termsScale": tr("full bar: {most}"),
            "digit": tr("The same attack on an MNIST digit"),
            "digitPictures": [tr("input"), tr("move"), tr("attacked")],
            "digitVerdict": tr("{before} → {after}"),
            "digitNumbers": {
                "digit.loss": tr("Loss"),
                "digit.clean": tr("CE before"),
                "digit.attacked": tr("CE after"),
            },
            "digitMissing": tr("MNIST is not on this machine. Run `lossviz data` to get it."),
            "crossEntropy": tr("cross-entropy"),
            "digitPlane": tr("Around the digit: {name}"),
            "digitPlaneHelp": tr("1 is as far as the attack went. Dashed: where the network begins to err."),
            "digitStill": tr("This attack moves nothing, so that it has no direction. Let it go farther."),
            "digitPoint": tr("A digit on the plane: along and across the attack"),
            "digitStart": tr("digit"),
            "digitEnd": tr("attacked"),
            "digitHere": tr("under your finger"),
            "digitRead": tr("read as {digit}"),
            "digitHead": tr("Read as"),
            "digitAt": {"at.loss": tr("Loss, ended here"), "at.clean": tr("CE here")},
            "digitSentence": tr(
                "The digit {along} of the attack's way along it and {across} across is read as {digit};"
                " cross-entropy {clean}."
            ),
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
