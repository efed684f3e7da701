"""Several classes: what its module in the browser needs."""

from typing import Any

from lossviz.figures.classes import figures
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    count = int(state.handles["classes"])
    gradients = [(f"gradient.{k}", tr("by logit {k}", k=k)) for k in range(1, count + 1)]
    return {
        "figures": figures(names, (tr("class"), tr("Gradient by logit"), tr("Loss")), count),
        "count": count,
        "weighted": [loss.key for loss in state.losses if "weight" in loss.inputs],
        "numbers": [("loss", tr("Loss")), *gradients],
        "text": {
            "logits": tr("Logits, and the probabilities that softmax makes of them"),
            "ladder": tr("Logits, and the probabilities that softmax makes of them; ◆ is the label"),
            "aLogit": tr("Logit of class {k}"),
            "floor": tr("Softmax twice: even with all probability on the label, {name} is still {floor}."),
            "batch": {
                "title": tr("A batch of four: what each row adds to the mean, and to the gradient, of {name}"),
                "rows": [tr("yours"), tr("sure, right"), tr("not sure"), tr("sure, wrong")],
                "head": [tr("row"), tr("label"), tr("loss"), tr("share of the mean")],
                "gradient": tr("gradient of the mean by the row’s logits"),
                "ignored": tr("ignored"),
                "sum": tr("sum {sum} ÷ {over} = mean {mean}"),
                "weights": tr("Class weights"),
            },
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
