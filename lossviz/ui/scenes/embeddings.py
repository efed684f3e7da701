"""Embeddings: what its module in the browser needs."""

from typing import Any

from lossviz.figures.embeddings import figures
from lossviz.losses.entry import Loss
from lossviz.scenes.embeddings import COINCIDE, EDGES, HALF, LABELS, POINTS, SIDE, STILL
from lossviz.scenes.state import State
from lossviz.ui.words import tr

CLASSES = ("A", "B", "C")


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    centred = any(loss.input_kind == "centres" for loss in state.losses)
    points = [str(k + 1) for k in range(POINTS)]
    words = (
        tr("First coordinate"),
        tr("Second coordinate"),
        tr("Distance of two points"),
        tr("Same class"),
        tr("Different classes"),
        tr("Gradient length"),
        tr("Loss"),
    )
    return {
        "figures": figures(names, EDGES["plane"], [*points, *(CLASSES if centred else ())], words),
        "numbers": [("loss", tr("Loss")), ("gradient", tr("Gradient length"))],
        "edges": EDGES,
        "side": SIDE,
        "labels": LABELS,
        "classNames": CLASSES,
        "centred": {loss.key: loss.input_kind == "centres" for loss in state.losses},
        "coincide": COINCIDE,
        "still": STILL,
        "made": {loss.key: _made(loss) for loss in state.losses},
        "text": {
            "plane": tr("Points, numbered; colour and shape by class"),
            "distances": tr("Distances: 28 pairs of points, and their means"),
            "pulls": tr("How hard each point is pulled"),
            "map": tr("Point {mover} elsewhere: {name}"),
            "point": tr("Point {k}, class {name}"),
            "centre": tr("Centre of class {name}"),
            "x": tr("first coordinate"),
            "y": tr("second coordinate"),
            "within": tr("Mean distance within a class"),
            "between": tr("Mean distance between classes"),
            "spread": tr("Spread"),
            "collapse": tr("Collapse"),
            "collapseHelp": tr("Put all points into one place: which loss gets them apart again?"),
            "scatter": tr("Scatter"),
            "scatterHelp": tr("Put all points at random places"),
            "coincides": tr("Collapsed: all points are in one place."),
            "stands": tr("No loss pulls: every gradient is zero."),
            "stuck": tr("No pull by {names}: the gradient is zero."),
            "scale": tr("Arrows: {factor} × one step"),
            "links": tr("Lines: together (solid), apart (dashed); faint: costs nothing now"),
            "position": tr("Mean distance within a class {within}, between classes {between}, spread {spread}."),
            "sentence": tr("{name}: loss {loss}, gradient length {gradient}."),
            "node": tr("Point"),
            "aClass": tr("Class"),
            "centreName": tr("centre {name}"),
            "slope": tr("gradient"),
        },
    }


def _made(loss: Loss) -> dict[str, str]:
    """How the loss's inputs are made of the points, in words; triplets by miner."""
    anchors = tr("Triplets, for each anchor:")
    if loss.input_kind == "triplets":
        return {
            "all": f"{anchors} {tr('every other point of its class, every point of another')}",
            "first": f"{anchors} {tr('the first other point of its class, the first of another')}",
            "hard": f"{anchors} {tr('the farthest of its class, the nearest of another')}",
            "semi-hard": f"{anchors} {tr('every point of its class, the nearest of another beyond it')}",
        }
    words = {
        "pairs": tr("Pairs: each point with the next one of its class"),
        "pairs_labelled": tr("Pairs: all 28, similar where the classes are the same"),
        "labelled_embeddings": tr("All points at once, with their classes"),
        "centres": tr("All points, and a centre for each class (hollow)"),
        "views": tr(
            "Two views: points 1 to {half}, and points {next} to {last}", half=HALF, next=HALF + 1, last=POINTS
        ),
    }
    return {"": words[loss.input_kind]}
