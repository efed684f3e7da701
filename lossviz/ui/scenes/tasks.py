"""Task gradients: what its module in the browser needs."""

from typing import Any

from lossviz.figures.tasks import figures
from lossviz.scenes.state import State
from lossviz.scenes.tasks import COUNTS, NEEDS, REACH
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    words = tr("First shared weight"), tr("Second shared weight"), tr("Task"), tr("Weight"), tr("Fall")
    needed = {name for loss in state.losses for name in NEEDS[loss.input_kind]}
    return {
        "figures": figures(names, words),
        "reach": REACH,
        "counts": COUNTS,
        "needed": sorted(needed),
        "numbers": [
            ("loss", tr("Value")),
            *((f"falls.{k}", tr("Fall {k}", k=k)) for k in (1, 2, 3)),
        ],
        "text": {
            "plane": tr("Gradients of the tasks (numbered) and what each method makes of them"),
            "bars": tr("Weight of each task's gradient"),
            "falls": tr("How fast each task's loss falls; below 0 it rises"),
            "tasks": tr("The tasks' losses, and what the methods know beside them"),
            "task": tr("Task {k}"),
            "gradient": tr("Gradient of task {k}"),
            "across": tr("Gradient of task {k}, across"),
            "up": tr("Gradient of task {k}, up"),
            "ofTask": tr("{label}, task {k}"),
            "pair": tr("{i} and {j}"),
            "degrees": tr("{angle}°"),
            "cosine": tr("cosine"),
            "conflict": tr("conflict"),
            "agree": tr("no conflict"),
            "cone": tr("Shaded: a step against such a gradient lets no loss rise"),
            "noCone": tr("No direction lets all losses fall"),
            "position": tr("{pairs}."),
            "sentence": tr("{name}: {loss}, weights {weights}, losses fall by {falls}."),
            "weight": tr("weight"),
            "fall": tr("fall"),
            "loss": tr("loss"),
        },
    }
