"""Sequences: what its module in the browser needs."""

from typing import Any

from lossviz.figures.sequence import figures
from lossviz.scenes.sequence import CLASSES, POSITIONS, PRESETS
from lossviz.scenes.state import State
from lossviz.ui.words import tr

NAMES = ("∅", "a", "b", "c")
"""Of the classes: the blank or padding, and three labels."""

ARROW_FULL = 0.5
"""The gradient whose arrow is half a cell long."""


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    members = {place: tr(loss.name) for place, loss in enumerate(state.losses) if loss.input_kind == "tokens"}
    presets = PRESETS.items()
    return {
        "figures": figures(members, POSITIONS, (tr("Position"), tr("Loss, nats"))),
        "positions": POSITIONS,
        "arrowFull": ARROW_FULL,
        "classes": CLASSES,
        "names": NAMES,
        "members": list(members),
        "kinds": {loss.key: loss.input_kind for loss in state.losses},
        "presets": {name: {"logits": list(logits), "target": list(target)} for name, (logits, target) in presets},
        "numbers": [("loss", tr("Loss")), ("gradient", tr("by the cell’s logit"))],
        "text": {
            "start": tr("Start from"),
            "presets": {
                "start": tr("First example"),
                "spread": tr("All classes alike"),
                "sharp": tr("Sure of one path"),
                "repeated label": tr("Repeated label"),
                "too few frames": tr("Too few frames"),
            },
            "grid": tr("Probabilities: drag a cell up or down"),
            "gridLabel": tr("Logits by class and position: arrow keys move, plus and minus change"),
            "target": tr("target"),
            "targetAt": tr("Target, entry {t}"),
            "unit": {"ctc": tr("Frame"), "tokens": tr("Position")},
            "cell": {
                "ctc": tr("frame {t}, class {k}: logit {z}"),
                "tokens": tr("position {t}, class {k}: logit {z}"),
            },
            "hint": {
                "ctc": tr("Ringed: best path. ∅ in the target is no label."),
                "tokens": tr("Ringed: the label. Hatched: padding."),
            },
            "arrowKey": tr("Arrow of half a cell: gradient {size:g} or more.", size=ARROW_FULL),
            "wanted": {
                "ctc": tr("Occupancy q: who emits what, given the labels"),
                "tokens": tr("Label q: what each position wants"),
            },
            "gradient": {"ctc": tr("Gradient by logit: p − q"), "tokens": tr("Gradient by logit: (p − q) / {n}")},
            "more": tr("wants more"),
            "less": tr("wants less"),
            "lattice": tr("{paths} paths say “{labels}”"),
            "latticeNone": tr("One path says nothing"),
            "latticeNote": tr(
                "Discs: chance of a state in a frame, given the labels. Line: best path, “{path}”. A blank may be left "
                "out between different labels."
            ),
            "latticeShort": tr("No path from the first column to the last: too few frames for these labels."),
            "latticeNumbers": {
                "likelihood": tr("P(labels)"),
                "best": tr("best path"),
                "share": tr("its share"),
            },
            "tokens": tr("Loss of each position, and what it adds to the mean"),
            "tokensNote": tr("Above the bars: {name}, divided by the number of positions that are no padding, {n}."),
            "adds": tr("+{value}"),
            "padding": tr("padding"),
            "position": {"ctc": tr("Labels: {labels}."), "tokens": tr("Target: {labels}.")},
            "sentence": tr("{name}: loss {loss}, gradient by the logit of {cell} {gradient}."),
            "bestSentence": tr("Best path {path}, probability {best}, of {paths} paths."),
            "aClass": tr("Class"),
            "logit": tr("Logit"),
            "probability": tr("Probability p"),
            "wish": tr("Wanted q"),
            "slope": tr("gradient"),
        },
    }
