"""Scalar regression: what its module in the browser needs."""

from typing import Any

from lossviz.figures.regression import figures
from lossviz.scenes.regression import HIGH, LOW
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in (*state.scene.made(state.handles), *state.losses)]
    low, high = LOW, HIGH
    words = tr("Prediction"), tr("Label"), tr("Loss"), tr("Derivative")
    return {
        "low": low,
        "high": high,
        "figures": figures(names, low, high, words),
        "numbers": [("loss", tr("Loss")), ("gradient", tr("Gradient"))],
        "text": {
            "curve": tr("Loss over the prediction, with its tangent; arrows show one gradient step"),
            "below": {
                "derivative": [tr("Derivative over the prediction"), tr("Prediction"), tr("Derivative")],
                "second derivative": [tr("Second derivative over the prediction"), tr("Prediction"), tr("Curvature")],
                "influence": [
                    tr("Influence: the pull on this prediction, by the label"),
                    tr("Label"),
                    tr("Derivative"),
                ],
            },
            "derivative": tr("Derivative over the prediction"),
            "point": tr("Prediction and label"),
            "position": tr("Prediction {pred}, label {target}."),
            "sentence": tr("{name}: loss {loss}, gradient {gradient}."),
            "prediction": tr("Prediction"),
            "slope": tr("derivative"),
            "map": tr("Map: {name}"),
        },
    }
