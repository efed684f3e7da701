"""For each scene what its module in the browser needs: pictures without arrays, numbers to show, words."""

from collections.abc import Callable, Mapping
from typing import Any

from lossviz.scenes.state import State
from lossviz.ui.scenes import (
    boxes,
    classes,
    critic,
    distributions,
    embeddings,
    formula,
    line,
    margin,
    masks,
    perturbation,
    regression,
    sequence,
    slice,
    sparse,
    tasks,
)

DATA: Mapping[str, Callable[[State], dict[str, Any]]] = {
    "regression": regression.data,
    "line": line.data,
    "margin": margin.data,
    "classes": classes.data,
    "distributions": distributions.data,
    "boxes": boxes.data,
    "masks": masks.data,
    "embeddings": embeddings.data,
    "sequence": sequence.data,
    "critic": critic.data,
    "tasks": tasks.data,
    "perturbation": perturbation.data,
    "sparse": sparse.data,
    "formula": formula.data,
    "slice": slice.data,
}
