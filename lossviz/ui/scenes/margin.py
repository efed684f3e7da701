"""Binary margin: what its module in the browser needs."""

from typing import Any

from lossviz.figures.margin import figures
from lossviz.scenes.margin import REACH
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    reach = REACH
    words = tr("Loss"), tr("Derivative"), tr("Score z (logit)"), tr("Size of the gradient")
    return {
        "reach": reach,
        "figures": figures(names, words),
        "axes": _axes(reach),
        "numbers": [
            ("loss", tr("Loss")),
            ("gradient.logit", tr("by logit")),
            ("gradient.probability", tr("by probability")),
        ],
        "text": {
            "score": tr("Score"),
            "label": tr("Label"),
            "labels": [tr("0 (−1)"), tr("1 (+1)")],
            "probability": tr("probability p = σ(z)"),
            "margin": tr("margin m = ±z"),
            "residual": tr("residual r = p − y"),
            "sizes": tr("One loss, two gradients: {name}"),
            "byLogit": tr("by logit"),
            "byProbability": tr("by probability"),
            "rise": tr("p(1 − p)"),
            "shown": tr("on the axis"),
            "other": tr("the other label"),
            "position": tr("Score {score}, label {label}, probability {probability}."),
            "sentence": tr("{name}: loss {loss}, gradient by logit {logit}, by probability {byProbability}."),
            "slope": tr("derivative"),
        },
    }


def _axes(reach: float) -> dict[str, dict[str, Any]]:
    """For each value of the option ``axis`` its range and words."""
    return {
        "logit": {
            "low": -reach,
            "high": reach,
            "title": tr("Score z (logit)"),
            "curve": tr("Loss over the score"),
            "derivative": tr("Derivative by logit: what a network's last layer is given"),
        },
        "probability": {
            "low": 0.0,
            "high": 1.0,
            "title": tr("Probability p = σ(z)"),
            "curve": tr("Loss over the probability"),
            "derivative": tr("Derivative by probability: not yet what the last layer is given"),
        },
        "residual": {
            "low": -1.0,
            "high": 1.0,
            "title": tr("Residual r = p − y"),
            "curve": tr("Loss over the residual"),
            "derivative": tr("Derivative by residual: the same number as by probability"),
        },
    }
