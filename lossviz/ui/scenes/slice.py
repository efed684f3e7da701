"""One loss along its slice: what its module in the browser needs."""

from typing import Any

from lossviz.figures.slice import figures
from lossviz.losses.entry import Loss
from lossviz.scenes.slices import slice_of
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    loss = state.losses[0]
    line = slice_of(loss)
    transform = loss.returns == "gradients"
    charge = tr("Length of the combined gradient") if transform else tr("Loss")
    pictures = figures(tr(loss.name), line.low, line.high, (tr(line.label), charge, tr("Slope")))
    return {
        "low": line.low,
        "high": line.high,
        "figures": {name: figure for name, figure in pictures.items() if name == "curve" or not transform},
        "numbers": [("x", tr("At")), ("loss", charge), *([] if transform else [("gradient", tr("Slope"))])],
        "text": {
            "curve": tr("{what} over: {axis}", what=charge, axis=tr(line.label)),
            "derivative": _slope_title(loss),
            "axis": tr(line.label),
            "inputs": tr("The inputs now, and the gradient by each"),
            "gradient": tr("gradient"),
            "network": tr("a network"),
            "position": tr("{axis}: {x}."),
            "sentence": tr("{name}: loss {loss}, slope {gradient}."),
            "slope": tr("slope"),
        },
    }


def _slope_title(loss: Loss) -> str:
    if loss.input_kind in ("regression", "nonnegative", "positive"):
        return tr("Influence function: how hard a sample pulls, by its prediction")
    return tr("Slope along the same line")
