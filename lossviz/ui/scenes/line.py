"""Regression line: what its module in the browser needs."""

from typing import Any

from lossviz.figures.line import figures
from lossviz.scenes.line import INTERCEPT, OUTLIERS, SIDE, SLOPE, XS, YS
from lossviz.scenes.state import State
from lossviz.ui.words import tr


def data(state: State) -> dict[str, Any]:
    """Pictures, numbers and words of the scene."""
    names = [tr(loss.name) for loss in state.losses]
    spans = [(handle.low, handle.high) for handle in (XS, YS, SLOPE, INTERCEPT)]
    words = tr("x"), tr("y"), tr("Slope"), tr("Intercept"), tr("Pull (−∂L/∂ŷ)"), tr("Loss")
    return {
        "side": SIDE,
        "outliers": OUTLIERS,
        "figures": figures(names, spans, words),
        "numbers": [
            ("loss", tr("Loss")),
            ("gradient.slope", tr("by slope")),
            ("gradient.intercept", tr("by intercept")),
            ("fit.loss", tr("Best loss")),
            ("fit.slope", tr("its slope")),
            ("fit.intercept", tr("its intercept")),
        ],
        "text": {
            "plane": tr("Your line with its residuals, and each loss's best line"),
            "pulls": tr("How hard each point pulls your line up or down"),
            "aPoint": tr("Point {k}"),
            "add": tr("Add a point"),
            "addHelp": tr("Or double-click where it shall be; on a touch screen, hold a finger there."),
            "outlier": tr("Add an outlier"),
            "outlierHelp": tr("A point far from the best line of the loss in focus."),
            "remove": tr("Remove point {k}"),
            "removeHelp": tr("The point last touched; or press Delete on it."),
            "count": tr("{count} points"),
            "fewest": tr("These points are the fewest that a line needs."),
            "most": tr("There is no room for more points."),
            "line": tr("Your line: slope across, intercept up"),
            "best": tr("best: {name}"),
            "position": tr("Your line: slope {slope}, intercept {intercept}."),
            "sentence": tr("{name}: loss {loss}; best line: slope {slope}, intercept {intercept}, loss {best}."),
            "pull": tr("pull"),
            "point": tr("Point"),
            "map": tr("{name} over slope and intercept"),
        },
    }
