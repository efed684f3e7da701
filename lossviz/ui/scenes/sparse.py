"""Sparse penalties and maps: what its module in the browser needs."""

from typing import Any

from lossviz.figures.sparse import figures
from lossviz.scenes.sparse import GROUPINGS, MAPS, PENALTIES, REACH, SCORE_REACH, SIDE, STRONGEST, strength
from lossviz.scenes.state import State
from lossviz.ui.words import tr

STRENGTH_SHOWN = 4.0


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    penalties = [loss.key for loss in state.losses if loss.input_kind in PENALTIES]
    words = tr("First weight"), tr("Second weight"), tr("Strength of the penalty"), tr("Solution"), tr("Loss")
    groups = (
        (tr("together"), tr("The length of both: together they go to zero, or neither does.")),
        (tr("each alone"), tr("A group of one is what the L1 penalty is: each goes to zero by itself.")),
        (tr("only w₁"), tr("The second weight is in no group and not pulled at all.")),
    )
    titles = dict(zip(MAPS, (tr("softmax"), tr("1.5-entmax"), tr("sparsemax")), strict=True))
    return {
        "figures": figures(names, REACH, STRENGTH_SHOWN, words),
        "numbers": [("loss", tr("Loss")), ("gradient", tr("Gradient length"))],
        "penalties": penalties,
        "strength": {loss.key: strength(loss) for loss in state.losses if loss.key in penalties},
        "grouped": [loss.key for loss in state.losses if "groups" in loss.params],
        "groupings": [
            {"groups": members, "name": name, "meaning": meaning}
            for members, (name, meaning) in zip(GROUPINGS, groups, strict=True)
        ],
        "strongest": STRONGEST,
        "strengthShown": STRENGTH_SHOWN,
        "reach": REACH,
        "scoreReach": SCORE_REACH,
        "side": SIDE,
        "maps": titles,
        "text": {
            "plane": tr("Where data term and penalty together are smallest"),
            "key": tr("Level sets: data term grey, {name} coloured; bold: through its solution"),
            "arrows": tr("Arrows at w: data term grey, penalty coloured, one step orange"),
            "groups": tr("Groups of {name}:"),
            "ofGroups": tr("{name}, {groups}"),
            "none": tr("Choose a penalty on the left to see its solution."),
            "path": tr("Solution by strength"),
            "pathOf": tr("Solution by strength: {name}"),
            "map": tr("Data term + penalty: {name}"),
            "scoreMap": tr("{name} over two scores"),
            "maps": tr("Three scores as probabilities: zeros are exact"),
            "score1": tr("Score of class 1"),
            "score2": tr("Score of class 2"),
            "weight1": tr("First weight"),
            "weight2": tr("Second weight"),
            "optimum": tr("Optimum w* without a penalty"),
            "weights": tr("Weights w on their way"),
            "solution": tr("Solution"),
            "exact": tr("exactly"),
            "aClass": tr("class {k}"),
            "position": tr("Optimum without a penalty {optimum}; weights {weights}; scores {scores}; label {label}."),
            "sentence": tr("{name}: loss {loss}, gradient length {gradient}."),
            "solved": tr("Its solution: {first} and {second}."),
            "lossHead": tr("Loss"),
            "strengthHead": tr("Strength"),
            "firstHead": tr("w₁ of the solution"),
            "secondHead": tr("w₂ of the solution"),
        },
    }
