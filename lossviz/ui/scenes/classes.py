"""Several classes: what its module in the browser needs."""

from typing import Any

from lossviz.figures.classes import figures
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    count, soft = int(state.handles["classes"]), bool(state.handles["soft"])
    gradients = [(f"gradient.{k}", tr("by logit {k}", k=k)) for k in range(1, count + 1)]
    return {
        "figures": figures(names, (tr("class"), tr("Gradient by logit"), tr("Loss")), count),
        "count": count,
        "soft": soft,
        "placed": ["reduction"],
        "weighted": [loss.key for loss in state.losses if "weight" in loss.inputs],
        "numbers": [("loss", tr("Expected loss") if soft else tr("Loss")), *gradients],
        "text": {
            "logits": tr("Logits, and the probabilities that softmax makes of them"),
            "ladder": tr("Logits, and the probabilities that softmax makes of them; ◆ is the label"),
            "logitsSoft": tr("Logits; bar: probability, ◆: the label’s share"),
            "aLogit": tr("Logit of class {k}"),
            "aShare": tr("Label’s share of class {k}"),
            "label": {
                "title": tr("Label"),
                "class": tr("one class"),
                "soft": tr("soft"),
                "meaning": tr("Each loss is its mean over the label: Σ yₖ · loss if class k is right."),
                "weighted": tr("Class weights, which stand beside the batch, count in it."),
            },
            "floor": tr("Softmax twice: even with all probability on the label, {name} is still {floor}."),
            "floorSoft": tr("Softmax twice: where the probabilities are the label itself, {name} is still {floor}."),
            "batch": _batch(),
            "bars": tr("Gradient by logit (unweighted cross-entropy: p − y)")
            if soft
            else tr("Gradient by logit (cross-entropy: p − y)"),
            "point": tr("Probabilities on the simplex"),
            "pointX": tr("Across: towards class 2"),
            "pointY": tr("Up: towards class 3"),
            "softPoint": tr("Soft label on the simplex"),
            "position": tr("Probabilities {probs}."),
            "surely": tr("The label is class {label}."),
            "softly": tr("The label’s shares are {shares}."),
            "sentence": tr("{name}: loss {loss}, gradient by logit {gradient}."),
            "aClass": tr("class {k}"),
            "aClassHead": tr("Class"),
            "logit": tr("Logit"),
            "probability": tr("Probability"),
            "share": tr("Label"),
            "slope": tr("gradient"),
            "map": tr("{name} over the probabilities; arrows: where a gradient step on the logits leads"),
        },
    }


def _batch() -> dict[str, Any]:
    return {
        "title": {
            "mean": tr("A batch of four: what each row adds to the mean, and to the gradient, of {name}"),
            "sum": tr("A batch of four: what each row adds to the sum, and to the gradient, of {name}"),
            "none": tr("A batch of four: the value of each row, and its gradient, of {name}"),
        },
        "reduction": tr("Reduction"),
        "rows": [tr("yours"), tr("sure, right"), tr("not sure"), tr("sure, wrong")],
        "logits": [tr("row"), tr("label"), tr("loss")],
        "share": {"mean": tr("share of the mean"), "sum": tr("share of the sum"), "none": tr("no reduction")},
        "gradient": {
            "mean": tr("gradient of the mean by the row’s logits"),
            "sum": tr("gradient of the sum by the row’s logits"),
            "none": tr("gradient of the row’s value by its logits"),
        },
        "labelOf": tr("Label of the row: {row}"),
        "soft": tr("soft"),
        "ignored": tr("ignored"),
        "ignore": tr("ignore"),
        "sum": {
            "mean": tr("sum {sum} ÷ {over} = mean {mean}."),
            "sum": tr("sum {sum}: nothing is divided, so that value and gradient grow with the batch."),
            "none": tr("Four values and no single one to descend: each gradient is that of its own row’s value."),
        },
        "plain": {
            "ignored": tr("Divided by all {rows} rows, ignored ones (target {index}) too, it would be {plain}."),
            "weighted": tr("Divided by the {rows} rows and not by their weights it would be {plain}."),
            "both": tr(
                "Divided by all {rows} rows, ignored ones (target {index}) too, and not by weights it would be {plain}."
            ),
        },
        "rowsCount": tr("With probabilities as target PyTorch’s mean divides by the rows, whatever the class weights."),
        "weights": tr("Class weights"),
    }
