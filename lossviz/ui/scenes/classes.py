"""Three classes: what its module in the browser needs."""

from typing import Any

from lossviz.figures.classes import figures
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    gradients = [(f"gradient.{k}", tr("by logit {k}", k=k)) for k in (1, 2, 3)]
    return {
        "figures": figures(names, (tr("class"), tr("Gradient by logit"), tr("Loss"))),
        "numbers": [("loss", tr("Loss")), *gradients],
        "text": {
            "logits": tr("Logits, and the probabilities that softmax makes of them"),
            "bars": tr("Gradient by logit (cross-entropy: p − y)"),
            "point": tr("Probabilities on the simplex"),
            "pointX": tr("Across: towards class 2"),
            "pointY": tr("Up: towards class 3"),
            "position": tr("Probabilities {probs}; the label is class {label}."),
            "sentence": tr("{name}: loss {loss}, gradient by logit {gradient}."),
            "aClass": tr("class {k}"),
            "aClassHead": tr("Class"),
            "logit": tr("Logit"),
            "probability": tr("Probability"),
            "slope": tr("gradient"),
            "map": tr("{name} over the probabilities; arrows: where a gradient step on the logits leads"),
        },
    }
