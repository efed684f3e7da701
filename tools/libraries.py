"""Measures how the same losses of other libraries differ from ours, and writes ``lossviz/losses/libraries.json``.

To run: ``pip install -e '.[oracles]'`` in an environment of its own, then ``python tools/libraries.py``. Where a row's
reason does not account for what is measured it says so, writes nothing and ends with 1. ``ROWS`` says what is compared,
``COVERAGE`` what became of every public loss of every library.
"""

import ast
import importlib
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from lossviz.losses import get, value_and_grad

# Before Keras is first imported: it asks once.
os.environ.setdefault("KERAS_BACKEND", "torch")

FILE = Path(__file__).parents[1] / "lossviz" / "losses" / "libraries.json"
DIGITS = 12
EPSILON = 1e-7
"""Keras's default ``keras.config.epsilon()``; rows may change it and it is put back."""


# --- inputs: whole numbers become int64, the others float64

_PRED, _TARGET = [0.4, -1.3, 2.5, 4.0, 0.1], [0.9, 0.5, 2.2, 1.0, -0.3]
_AMOUNTS, _TRUE_AMOUNTS = [0.5, 3.0, 0.2, 7.5], [1.0, 2.5, 0.4, 9.0]
_LOGITS = [[1.2, 0.4, -0.6], [0.3, 1.1, 0.7], [-0.2, 0.9, 0.5], [0.8, -1.4, 0.6]]
_LABELS = [0, 2, 1, 2]
_ONE = [[0.9, -0.4, 1.1], [0.2, 1.3, -0.7], [-1.2, 0.5, 0.3], [0.6, 0.8, 1.4]]
_TWO = [[0.7, 0.3, 0.8], [-0.5, 1.1, 0.4], [-0.9, 0.1, 1.0], [1.5, -0.6, 0.2]]
_THREE = [[-0.3, 0.9, 0.5], [1.0, 0.7, -1.1], [0.4, -0.8, 0.6], [-0.7, 1.2, 0.1]]
_CENTRES = [[1.0, 0.2, 0.5], [-0.6, 0.9, 0.3], [0.1, -0.7, 1.2]]
_FOREGROUND = [[[0.9, 0.3, 0.6], [0.2, 0.8, 0.4]], [[0.7, 0.1, 0.35], [0.55, 0.25, 0.65]]]
_MASK = [[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]


def _not(image: list[list[float]]) -> list[list[float]]:
    return [[round(1 - pixel, 12) for pixel in row] for row in image]


INPUTS: Mapping[str, Mapping[str, Any]] = {
    "regression": {"pred": _PRED, "target": _TARGET},
    "regression, a label of 0": {"pred": [0.5, 2.0], "target": [0.0, 1.0]},
    "regression_batch": {"pred": _PRED, "target": _TARGET},
    "nonnegative": {"pred": _AMOUNTS, "target": _TRUE_AMOUNTS},
    "nonnegative_batch": {"pred": _AMOUNTS, "target": _TRUE_AMOUNTS},
    "positive": {"pred": [0.5, 2.0, 3.5, 1.2], "target": [1.0, 1.5, 4.0, 0.3]},
    "counts": {"pred": [0.3, -0.5, 1.2, 0.1], "target": [2.0, 0.0, 3.0, 1.0]},
    "counts, rates": {"pred": [1.3, 0.6, 3.2, 1.0], "target": [2.0, 0.0, 3.0, 1.0]},
    "counts, a rate of 0": {"pred": [0.0, 2.0], "target": [1.0, 2.0]},
    "binary": {"pred": [0.8, -1.5, 2.2, -0.3], "target": [1.0, 0.0, 0.0, 1.0]},
    "binary, sure and wrong": {"pred": [20.0, -0.5], "target": [0.0, 1.0]},
    "binary_probabilities": {"pred": [0.9, 0.2, 0.65, 0.4], "target": [1.0, 0.0, 0.0, 1.0]},
    "binary_probabilities, sure and wrong": {"pred": [0.0, 0.2], "target": [1.0, 0.0]},
    "margin": {"pred": [0.8, -1.5, 2.2, -0.3], "target": [1.0, -1.0, -1.0, 1.0]},
    "classes": {"pred": _LOGITS, "target": _LABELS},
    "classes, equal weights": {"pred": _LOGITS, "target": _LABELS, "weight": [1.0, 1.0, 1.0]},
    "classes, weighted": {"pred": _LOGITS, "target": _LABELS, "weight": [0.5, 1.0, 2.0]},
    "classes, rivals below 0": {"pred": [[0.2, -1.5, -0.7], [-2.0, -0.4, -0.9]], "target": [0, 1]},
    "classes, sure and wrong": {"pred": [[20.0, 0.0, 0.0], [0.3, 0.5, -0.2]], "target": [1, 1]},
    "classes, two of them": {"pred": [[0.3, -0.1], [-0.6, 0.2], [1.5, 0.2]], "target": [1, 0, 0]},
    "log_probabilities": {
        "pred": [[math.log(p) for p in row] for row in ([0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.6, 0.3])],
        "target": [0, 2, 2],
    },
    "probabilities": {"pred": [[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.6, 0.3]], "target": [0, 2, 2]},
    "distributions": {"pred": [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]], "target": [[0.5, 0.25, 0.25], [0.1, 0.7, 0.2]]},
    "distributions, a forecast near 0": {"pred": [[1e-9, 0.5, 0.499999999]], "target": [[0.5, 0.3, 0.2]]},
    "pairs": {"x1": _ONE, "x2": _TWO},
    "pairs_labelled": {"x1": _ONE, "x2": _TWO, "target": [1.0, 0.0, 1.0, 0.0]},
    "triplets": {"anchor": _ONE, "positive": _TWO, "negative": _THREE},
    "views": {"z1": _ONE, "z2": _TWO},
    "views, query and positive": {"query": _ONE, "positive": _TWO},
    "views, predictor and projector": {"p": _ONE, "z": _TWO},
    "labelled_embeddings": {"pred": [*_ONE, _TWO[0]], "target": [0, 0, 1, 1, 2]},
    "centres": {"pred": _ONE, "weight": _CENTRES, "target": _LABELS},
    "centres, proxies": {"pred": _ONE, "proxies": _CENTRES, "target": _LABELS},
    "boxes": {
        "pred": [[0.0, 0.0, 2.0, 3.0], [1.0, 1.0, 4.0, 2.0], [0.0, 0.0, 1.0, 1.0]],
        "target": [[0.5, 1.0, 2.5, 4.5], [1.5, 0.5, 3.0, 3.0], [2.0, 2.0, 3.0, 4.0]],
    },
    "box_deltas": {
        "pred": [[0.1, -0.4, 1.5, 0.3], [0.9, 0.2, -0.6, -2.0], [0.0, 0.5, 0.2, 0.7]],
        "target": [[0.3, 0.4, 0.1, 0.2], [0.5, -0.9, -0.5, 0.4], [0.6, 0.2, 0.3, -0.8]],
    },
    "masks": {"pred": [[image] for image in _FOREGROUND], "target": [[mask] for mask in _MASK]},
    "masks, two classes": {
        "pred": [[image, _not(image)] for image in _FOREGROUND],
        "target": [[mask, _not(mask)] for mask in _MASK],
    },
    "masks, one empty": {
        "pred": [[image] for image in _FOREGROUND],
        "target": [[_MASK[0]], [[[0.0] * 3, [0.0] * 3]]],
    },
    "masks, all empty": {"pred": [[[[0.0, 0.0]]]], "target": [[[[0.0, 0.0]]]]},
    "mask_logits": {
        "pred": [[[1.4, -0.3, 0.5], [-0.9, 0.2, 2.1]], [[0.6, -1.2, 0.1], [-0.4, 0.8, -2.0]]],
        "target": _MASK,
    },
    "class_masks": {
        "pred": [
            [[[0.6, 0.2], [0.1, 0.5]], [[0.3, 0.7], [0.5, 0.3]], [[0.1, 0.1], [0.4, 0.2]]],
            [[[0.25, 0.8], [0.45, 0.3]], [[0.55, 0.15], [0.35, 0.6]], [[0.2, 0.05], [0.2, 0.1]]],
        ],
        "target": [[[0, 1], [1, 0]], [[1, 0], [0, 0]]],
    },
    "tokens": {
        "pred": [
            [[0.2, 1.1, -0.4, 0.6], [0.9, -0.3, 0.5, 1.2], [0.1, 0.8, -0.6, 0.3]],
            [[-0.5, 0.4, 1.3, 0.0], [0.7, 1.6, 0.2, -0.9], [1.0, 0.3, -0.2, 0.5]],
        ],
        "target": [[1, 3, 0], [2, 1, 3]],
    },
    "ctc": {
        "pred": [
            [[0.2, 1.1, -0.4], [0.9, -0.3, 0.5], [0.1, 0.8, -0.6], [0.4, 0.0, 1.2], [1.0, 0.3, -0.2]],
            [[-0.5, 0.4, 1.3], [0.7, 1.6, 0.2], [1.0, 0.3, -0.2], [0.6, -0.8, 0.5], [0.3, 0.9, 0.1]],
        ],
        "target": [[1, 2], [2, 0]],
        "input_lengths": [5, 4],
        "target_lengths": [2, 1],
    },
    "ctc, too few frames": {
        "pred": [[[0.2, 1.1, -0.4], [0.9, -0.3, 0.5]]],
        "target": [[1, 1]],
        "input_lengths": [2],
        "target_lengths": [2],
    },
    "parameters": {"w": [0.5, -1.2, 0.3, 2.0]},
    "rankings": {
        "scores": [[0.3, 1.2, -0.5, 0.8], [1.1, 0.2, 0.6, -0.4]],
        "relevance": [[2.0, 1.0, 0.0, 3.0], [0.0, 1.0, 3.0, 2.0]],
    },
}


def tensors(name: str) -> dict[str, Tensor]:
    """The inputs of this name."""
    return {key: torch.tensor(value, dtype=_dtype(value)) for key, value in INPUTS[name].items()}


def _dtype(value: Any) -> torch.dtype:
    while isinstance(value, list):
        value = value[0]
    return torch.int64 if isinstance(value, int) else torch.float64


# --- the libraries


@dataclass(frozen=True, kw_only=True)
class Library:
    """How calls of a library run.

    Attributes:
        imports: the import lines a call needs.
        distributions: whose versions are recorded.
        arrays: what the inputs are handed over as.
        tolerance: relative difference that its arithmetic explains.
        precision: said of a row that agrees no better than that.
        no_gradient: why no gradient is compared; empty where one is.
        public: the module that lists its losses, and which of the public names are meant.
    """

    imports: tuple[str, ...]
    distributions: tuple[str, ...]
    arrays: Literal["torch", "jax", "numpy"]
    tolerance: float
    precision: str = ""
    no_gradient: str = ""
    public: Mapping[str, Callable[[ModuleType], Iterable[str]]]


def _functions(module: ModuleType) -> Iterable[str]:
    return [name for name, _ in inspect.getmembers(module, inspect.isfunction) if not name.startswith("_")]


def _keras_losses(module: ModuleType) -> Iterable[str]:
    """The functions, of which each class wraps one."""
    losses = set(_functions(module)) - {"get", "serialize", "deserialize"}
    wrapped = {_keras_function(kind) for kind in _classes(module) if kind != "Loss"}
    if wrapped - losses:
        raise ValueError(f"Keras has classes that wrap none of its public functions: {sorted(wrapped - losses)}")
    return losses


def _keras_function(kind: str) -> str:
    keras = importlib.import_module("keras")
    return getattr(keras.losses, kind)().fn.__name__


def _keras_penalties(module: ModuleType) -> Iterable[str]:
    """The classes; each has a second name in lower case."""
    return [name for name in _classes(module) if name[0].isupper() and name != "Regularizer"]


def _classes(module: ModuleType) -> Iterable[str]:
    return [name for name, _ in inspect.getmembers(module, inspect.isclass) if not name.startswith("_")]


def _optax_losses(module: ModuleType) -> Iterable[str]:
    return [name for name in vars(module) if not name.startswith("_") and callable(getattr(module, name))]


def _ending(*ends: str) -> Callable[[ModuleType], Iterable[str]]:
    return lambda module: [name for name in module.__all__ if name.endswith(ends)]


def _listed(module: ModuleType) -> Iterable[str]:
    return module.__all__


def _sgd_losses(module: ModuleType) -> Iterable[str]:
    return [name for name in _classes(module) if name not in ("Regression", "Classification")]


LIBRARIES: Mapping[str, Library] = {
    "Keras": Library(
        imports=("import keras",),
        distributions=("keras", "torch"),
        arrays="torch",
        tolerance=1e-6,
        precision="Keras computes in float32 on its way, whatever it is given, so the two agree to seven digits only.",
        public={"keras.losses": _keras_losses, "keras.regularizers": _keras_penalties},
    ),
    "Optax": Library(
        imports=("import jax", "import jax.numpy as jnp", "import optax"),
        distributions=("optax", "jax"),
        arrays="jax",
        tolerance=1e-9,
        public={"optax.losses": _optax_losses},
    ),
    "torchvision": Library(
        imports=("import torchvision",),
        distributions=("torchvision",),
        arrays="torch",
        tolerance=1e-9,
        public={"torchvision.ops": _ending("_loss", "box_iou")},
    ),
    "scikit-learn": Library(
        imports=(
            "import math",
            "import numpy as np",
            "import scipy.special",
            "import sklearn._loss.loss",
            "import sklearn.linear_model._sgd_fast",
            "import sklearn.metrics",
        ),
        distributions=("scikit-learn",),
        arrays="numpy",
        tolerance=1e-9,
        no_gradient="scikit-learn computes with NumPy, which has no gradients.",
        public={
            "sklearn.metrics": _ending("_loss", "_error", "_deviance"),
            "sklearn._loss": _listed,
            "sklearn.linear_model._sgd_fast": _sgd_losses,
        },
    ),
    "kornia": Library(
        imports=("import kornia", "import torch"),
        distributions=("kornia",),
        arrays="torch",
        tolerance=1e-9,
        public={"kornia.losses": _listed},
    ),
    "segmentation-models-pytorch": Library(
        imports=("import segmentation_models_pytorch as smp", "import torch"),
        distributions=("segmentation-models-pytorch",),
        arrays="torch",
        tolerance=1e-9,
        public={"segmentation_models_pytorch.losses": _classes},
    ),
    "pytorch-metric-learning": Library(
        imports=(
            "import math",
            "import pytorch_metric_learning as pml",
            "import pytorch_metric_learning.distances",
            "import pytorch_metric_learning.losses",
            "import pytorch_metric_learning.reducers",
            "import torch",
        ),
        distributions=("pytorch-metric-learning",),
        arrays="torch",
        tolerance=1e-9,
        public={"pytorch_metric_learning.losses": _classes},
    ),
}


def public_losses(library: str) -> set[str]:
    """The names of the losses that a library offers, asked of the library."""
    return {name for path, find in LIBRARIES[library].public.items() for name in find(importlib.import_module(path))}


# --- what is compared


@dataclass(frozen=True, kw_only=True)
class Row:
    """One loss in one library.

    Attributes:
        key: the loss here.
        library: a key of ``LIBRARIES``.
        call: Python as people write it: the value of its last line is compared, what it reads are the inputs.
        kind: what is claimed: the same; explained, so that ``adjust`` makes it the same; or another function.
        reason: why it is as it is, in sentences.
        params: the parameters here.
        at: a key of ``INPUTS``.
        adjust: Python that gives our value instead; it may read ``theirs``, the value of ``call``.
        ours: parameters of ours with which we give their value, where no option of theirs gives ours.
        gradient: why the gradients differ although the values do not; empty where they agree.
        tolerance: relative difference that the arithmetic of this loss explains, if not that of its library.
    """

    key: str
    library: str
    call: str
    kind: Literal["same", "explained", "different"]
    reason: str
    params: Mapping[str, Any] = field(default_factory=dict)
    at: str
    adjust: str = ""
    ours: Mapping[str, Any] = field(default_factory=dict)
    gradient: str = ""
    tolerance: float | None = None

    @property
    def close(self) -> float:
        """The relative difference that arithmetic explains."""
        return self.tolerance or LIBRARIES[self.library].tolerance


def _row(
    kind: Literal["same", "explained", "different"], key: str, library: str, call: str, reason: str, **details: Any
) -> Row:
    """A row at the inputs of the loss's own kind, unless ``details`` name others."""
    details.setdefault("at", get(key).input_kind)
    return Row(key=key, library=library, call=call, kind=kind, reason=reason, **details)


def same(key: str, library: str, call: str, reason: str, **details: Any) -> Row:
    """The two agree as they are."""
    return _row("same", key, library, call, reason, **details)


def explained(key: str, library: str, call: str, reason: str, **details: Any) -> Row:
    """The two differ, and ``adjust`` or ``ours`` makes them agree."""
    return _row("explained", key, library, call, reason, **details)


def different(key: str, library: str, call: str, reason: str, **details: Any) -> Row:
    """The two differ for good."""
    return _row("different", key, library, call, reason, **details)


_TURNED = "Keras takes the label first, and its function averages over the last axis alone."
_UNREDUCED = "Optax leaves the mean over the batch to you."
_PLAIN = "The same function; scikit-learn takes the label first."
_HALF_GLM = (
    "The half deviance without the terms of the label alone, and of the logarithm of the mean: twice it, with "
    "scikit-learn's own constant added, is the deviance."
)
_KEEP = "kornia returns every value unless told to reduce"
_KORNIA_WIDTH = f"{_KEEP}, and fixes the width at 1: divide prediction and label by it."
_SGD = "The loss of SGDClassifier and SGDRegressor, private there and for one number at a time."
_NO_EPS = (
    "The matrix of all pairs, without an epsilon; its diagonal holds the pairs. Our epsilon of 1e-7 changes the eighth "
    "digit."
)
_MATRIX = "The matrix of all pairs, whose diagonal holds the pairs. Whatever eps is, its IoU has none."
_FIXED_GENERALISED = "Both distributions add up to 1, so the two terms added to the divergence cancel."
_LOGIT = "Optax takes logits, and refuses the probabilities of a single class."
_FLOAT32 = "It computes in float32, and fails for float64."
_SOFTMAX = (
    "Its softmax divides by the sum of the probabilities. That is 1, so no value changes, but from the slopes of a "
    "pixel their mean, weighted by the probabilities, is taken away."
)
_PML_CENTRES = "The centres are the loss's own weights, one column a class."

ROWS: tuple[Row, ...] = (
    # regression
    same("mse", "Keras", "keras.ops.mean(keras.losses.mean_squared_error(target, pred))", _TURNED),
    same("mse", "Optax", "optax.losses.squared_error(pred, target).mean()", _UNREDUCED),
    explained(
        "mse",
        "Optax",
        "optax.losses.l2_loss(pred, target).mean()",
        "Optax's l2_loss has the factor 1/2 in front.",
        adjust="theirs * 2",
    ),
    same("mse", "scikit-learn", "sklearn.metrics.mean_squared_error(target, pred)", _PLAIN),
    explained(
        "mse",
        "scikit-learn",
        "sklearn._loss.loss.HalfSquaredError()(target, pred)",
        "The loss of the gradient boosting has the factor 1/2 in front, as its name says.",
        adjust="theirs * 2",
    ),
    same("mae", "Keras", "keras.ops.mean(keras.losses.mean_absolute_error(target, pred))", _TURNED),
    same("mae", "scikit-learn", "sklearn.metrics.mean_absolute_error(target, pred)", _PLAIN),
    same("mae", "scikit-learn", "sklearn._loss.loss.AbsoluteError()(target, pred)", _PLAIN),
    same(
        "rmse",
        "scikit-learn",
        "sklearn.metrics.root_mean_squared_error(target, pred)",
        "The same for one output; of several, scikit-learn averages the roots.",
    ),
    same(
        "huber",
        "Keras",
        "keras.ops.mean(keras.losses.huber(target, pred, delta=0.7))",
        _TURNED,
        params={"delta": 0.7},
    ),
    same(
        "huber", "Optax", "optax.losses.huber_loss(pred, target, delta=0.7).mean()", _UNREDUCED, params={"delta": 0.7}
    ),
    same(
        "huber",
        "scikit-learn",
        "sklearn._loss.loss.HuberLoss(delta=0.7)(target, pred)",
        "The same at a given delta; the gradient boosting sets it anew from a quantile of the residuals in each step.",
        params={"delta": 0.7},
    ),
    explained(
        "smooth_l1",
        "Keras",
        "keras.ops.mean(keras.losses.huber(target, pred, delta=0.7))",
        "Keras has Huber's loss alone, which is beta times this at delta = beta.",
        params={"beta": 0.7},
        adjust="theirs / 0.7",
    ),
    explained(
        "smooth_l1",
        "Optax",
        "optax.losses.huber_loss(pred, target, delta=0.7).mean()",
        "Optax has Huber's loss alone, which is beta times this at delta = beta.",
        params={"beta": 0.7},
        adjust="theirs / 0.7",
    ),
    same("log_cosh", "Keras", "keras.ops.mean(keras.losses.log_cosh(target, pred))", _TURNED),
    same("log_cosh", "Optax", "optax.losses.log_cosh(pred, target).mean()", _UNREDUCED),
    same(
        "quantile",
        "scikit-learn",
        "sklearn.metrics.mean_pinball_loss(target, pred, alpha=0.3)",
        "The same function; scikit-learn takes the label first and calls the quantile alpha.",
        params={"q": 0.3},
    ),
    same(
        "quantile",
        "scikit-learn",
        "sklearn._loss.loss.PinballLoss(quantile=0.3)(target, pred)",
        _PLAIN,
        params={"q": 0.3},
    ),
    same(
        "msle",
        "Keras",
        "keras.ops.mean(keras.losses.mean_squared_logarithmic_error(target, pred))",
        f"{_TURNED} It clips both at 1e-7, where negative values are an error here.",
    ),
    same("msle", "scikit-learn", "sklearn.metrics.mean_squared_log_error(target, pred)", _PLAIN),
    same(
        "rmsle",
        "scikit-learn",
        "sklearn.metrics.root_mean_squared_log_error(target, pred)",
        "The same for one output; of several, scikit-learn averages the roots.",
    ),
    explained(
        "mape",
        "Keras",
        "keras.ops.mean(keras.losses.mean_absolute_percentage_error(target, pred))",
        "Keras gives percent, a hundred times the fraction.",
        adjust="theirs / 100",
    ),
    same(
        "mape",
        "scikit-learn",
        "sklearn.metrics.mean_absolute_percentage_error(target, pred)",
        "A fraction too, despite the name; the label comes first.",
    ),
    explained(
        "mape",
        "scikit-learn",
        "sklearn.metrics.mean_absolute_percentage_error(target, pred)",
        "A label of 0 counts as 2.2e-16, the precision of float64, in scikit-learn and as 1e-7 here.",
        at="regression, a label of 0",
        adjust="np.mean(np.abs(target - pred) / np.maximum(np.abs(target), 1e-7))",
    ),
    # counts and positive numbers
    same(
        "poisson_nll",
        "Keras",
        "keras.ops.mean(keras.losses.poisson(target, pred))",
        "Keras takes rates, not their logarithms, and adds 1e-7 to them where the default here is 1e-8.",
        params={"log_input": False},
        at="counts, rates",
    ),
    explained(
        "poisson_nll",
        "Keras",
        "keras.ops.mean(keras.losses.poisson(target, pred))",
        "At a rate of 0 the epsilon decides: 1e-7 in Keras, 1e-8 here.",
        params={"log_input": False},
        at="counts, a rate of 0",
        adjust="keras.config.set_epsilon(1e-8)\nkeras.ops.mean(keras.losses.poisson(target, pred))",
    ),
    same(
        "poisson_nll",
        "scikit-learn",
        "sklearn._loss.loss.HalfPoissonLoss()(target, pred)",
        "Takes the logarithm of the rate too and leaves out the same constant; the label comes first.",
    ),
    same("gamma_deviance", "scikit-learn", "sklearn.metrics.mean_gamma_deviance(target, pred)", _PLAIN),
    explained(
        "gamma_deviance",
        "scikit-learn",
        "sklearn._loss.loss.HalfGammaLoss()(target, np.log(pred))",
        _HALF_GLM,
        adjust="2 * (theirs + sklearn._loss.loss.HalfGammaLoss().constant_to_optimal_zero(target).mean())",
    ),
    same(
        "tweedie_deviance",
        "scikit-learn",
        "sklearn.metrics.mean_tweedie_deviance(target, pred, power=1.3)",
        _PLAIN,
        params={"power": 1.3},
    ),
    same(
        "tweedie_deviance",
        "scikit-learn",
        "sklearn.metrics.mean_poisson_deviance(target, pred)",
        "The deviance at power = 1.",
        params={"power": 1.0},
    ),
    explained(
        "tweedie_deviance",
        "scikit-learn",
        "sklearn._loss.loss.HalfTweedieLoss(power=1.3)(target, np.log(pred))",
        _HALF_GLM,
        params={"power": 1.3},
        adjust="2 * (theirs + sklearn._loss.loss.HalfTweedieLoss(power=1.3).constant_to_optimal_zero(target).mean())",
    ),
    explained(
        "tweedie_deviance",
        "scikit-learn",
        "sklearn._loss.loss.HalfTweedieLossIdentity(power=1.3)(target, pred)",
        "The half deviance, of the mean itself.",
        params={"power": 1.3},
        adjust="theirs * 2",
    ),
    # robust regression
    explained(
        "barron",
        "kornia",
        'kornia.losses.charbonnier_loss(pred, target, reduction="mean")',
        f"At alpha = 1 it is kornia's charbonnier_loss. {_KORNIA_WIDTH}",
        params={"alpha": 1.0, "c": 1.7},
        adjust='kornia.losses.charbonnier_loss(pred / 1.7, target / 1.7, reduction="mean")',
    ),
    explained(
        "cauchy",
        "kornia",
        'kornia.losses.cauchy_loss(pred, target, reduction="mean")',
        _KORNIA_WIDTH,
        params={"c": 1.7},
        adjust='kornia.losses.cauchy_loss(pred / 1.7, target / 1.7, reduction="mean")',
    ),
    explained(
        "geman_mcclure",
        "kornia",
        'kornia.losses.geman_mcclure_loss(pred, target, reduction="mean")',
        _KORNIA_WIDTH,
        params={"c": 1.7},
        adjust='kornia.losses.geman_mcclure_loss(pred / 1.7, target / 1.7, reduction="mean")',
    ),
    explained(
        "welsch",
        "kornia",
        'kornia.losses.welsch_loss(pred, target, reduction="mean")',
        _KORNIA_WIDTH,
        params={"c": 1.7},
        adjust='kornia.losses.welsch_loss(pred / 1.7, target / 1.7, reduction="mean")',
    ),
    explained(
        "pseudo_huber",
        "kornia",
        'kornia.losses.charbonnier_loss(pred, target, reduction="mean")',
        "kornia's charbonnier_loss is this at delta = 1: divide prediction and label by delta, then multiply by its "
        "square.",
        params={"delta": 0.7},
        adjust='0.7**2 * kornia.losses.charbonnier_loss(pred / 0.7, target / 0.7, reduction="mean")',
    ),
    same(
        "epsilon_insensitive",
        "scikit-learn",
        "loss = sklearn.linear_model._sgd_fast.EpsilonInsensitive(0.3)\n"
        "np.mean([loss.py_loss(p, y) for p, y in zip(pred, target)])",
        _SGD,
        params={"epsilon": 0.3},
    ),
    # two classes
    same(
        "bce_with_logits",
        "Keras",
        "keras.ops.mean(keras.losses.binary_crossentropy(target, pred, from_logits=True))",
        _TURNED,
    ),
    explained(
        "bce_with_logits",
        "Keras",
        "keras.ops.mean(keras.losses.binary_crossentropy(target, pred))",
        "Keras takes its input for probabilities unless told otherwise, and clips what is none.",
        adjust="keras.ops.mean(keras.losses.binary_crossentropy(target, pred, from_logits=True))",
    ),
    same("bce_with_logits", "Optax", "optax.losses.sigmoid_binary_cross_entropy(pred, target).mean()", _UNREDUCED),
    same(
        "bce_with_logits",
        "scikit-learn",
        "sklearn.metrics.log_loss(target, scipy.special.expit(pred))",
        "scikit-learn takes probabilities, and the label first.",
    ),
    same("bce_with_logits", "scikit-learn", "sklearn._loss.loss.HalfBinomialLoss()(target, pred)", _PLAIN),
    same(
        "bce_with_logits",
        "segmentation-models-pytorch",
        "smp.losses.SoftBCEWithLogitsLoss(pos_weight=torch.tensor(3.0))(pred, target)",
        "The same function; labels of -100 cost nothing there, but count in the mean.",
        params={"pos_weight": 3.0},
    ),
    same("bce", "Keras", "keras.ops.mean(keras.losses.binary_crossentropy(target, pred))", _TURNED),
    explained(
        "bce",
        "Keras",
        "keras.ops.mean(keras.losses.binary_crossentropy(target, pred))",
        "A probability of 0 for what came true costs 100 here, as in PyTorch, and 16.1 in Keras, which keeps "
        "probabilities 1e-7 away from 0 and 1.",
        at="binary_probabilities, sure and wrong",
        ours={"log_clamp": math.log(EPSILON)},
    ),
    same("bce", "scikit-learn", "sklearn.metrics.log_loss(target, pred)", _PLAIN),
    explained(
        "bce",
        "scikit-learn",
        "sklearn.metrics.log_loss(target, pred)",
        "A probability of 0 for what came true costs 100 here, as in PyTorch, and 36.0 in scikit-learn, which keeps "
        "probabilities 2.2e-16, the precision of float64, away from 0 and 1.",
        at="binary_probabilities, sure and wrong",
        ours={"log_clamp": math.log(sys.float_info.epsilon)},
    ),
    explained(
        "sigmoid_focal",
        "Keras",
        "keras.ops.mean(\n"
        "    keras.losses.binary_focal_crossentropy(target, pred, alpha=0.3, gamma=1.5, from_logits=True)\n"
        ")",
        "Keras ignores alpha unless apply_class_balancing is set.",
        params={"alpha": 0.3, "gamma": 1.5},
        adjust="keras.ops.mean(\n"
        "    keras.losses.binary_focal_crossentropy(\n"
        "        target, pred, alpha=0.3, gamma=1.5, from_logits=True, apply_class_balancing=True\n"
        "    )\n"
        ")",
    ),
    explained(
        "sigmoid_focal",
        "Keras",
        "keras.ops.mean(keras.losses.binary_focal_crossentropy(target, pred, gamma=1.5, from_logits=True))",
        "Even from logits Keras keeps the probability 1e-7 away from 0 and 1, so that no value costs more than 16.1.",
        params={"alpha": None, "gamma": 1.5},
        at="binary, sure and wrong",
        adjust="keras.config.set_epsilon(1e-12)\n"
        "keras.ops.mean(keras.losses.binary_focal_crossentropy(target, pred, gamma=1.5, from_logits=True))",
    ),
    same(
        "sigmoid_focal",
        "Optax",
        "optax.losses.sigmoid_focal_loss(pred, target, alpha=0.3, gamma=1.5).mean()",
        f"{_UNREDUCED} It weighs no class unless alpha is given.",
        params={"alpha": 0.3, "gamma": 1.5},
    ),
    same(
        "sigmoid_focal",
        "torchvision",
        'torchvision.ops.sigmoid_focal_loss(pred, target, alpha=0.3, gamma=1.5, reduction="mean")',
        "torchvision returns every value unless told to reduce; alpha = -1 switches the weights off there, None here.",
        params={"alpha": 0.3, "gamma": 1.5},
    ),
    same(
        "sigmoid_focal",
        "kornia",
        "kornia.losses.binary_focal_loss_with_logits(\n"
        '    pred[:, None], target[:, None], alpha=0.3, gamma=1.5, reduction="mean"\n'
        ")",
        f"{_KEEP}, and wants an axis of classes.",
        params={"alpha": 0.3, "gamma": 1.5},
    ),
    same(
        "sigmoid_focal",
        "segmentation-models-pytorch",
        'smp.losses.FocalLoss("binary", alpha=0.3, gamma=1.5)(pred, target)',
        "The same function; it weighs no class unless alpha is given.",
        params={"alpha": 0.3, "gamma": 1.5},
    ),
    same(
        "hinge",
        "Keras",
        "keras.ops.mean(keras.losses.hinge(target, pred))",
        f"{_TURNED} Labels of 0 and 1 are turned into -1 and +1 in silence.",
    ),
    same(
        "hinge",
        "Optax",
        "optax.losses.hinge_loss(pred, target).mean()",
        f"{_UNREDUCED} Labels of 0 and 1 are taken as they are and give nonsense.",
    ),
    same("hinge", "scikit-learn", "sklearn.metrics.hinge_loss(target, pred)", _PLAIN),
    same(
        "hinge",
        "scikit-learn",
        "loss = sklearn.linear_model._sgd_fast.Hinge(1.0)\nnp.mean([loss.py_loss(p, y) for p, y in zip(pred, target)])",
        _SGD,
    ),
    same(
        "squared_hinge",
        "Keras",
        "keras.ops.mean(keras.losses.squared_hinge(target, pred))",
        f"{_TURNED} Labels of 0 and 1 are turned into -1 and +1 in silence.",
    ),
    same(
        "squared_hinge",
        "scikit-learn",
        "loss = sklearn.linear_model._sgd_fast.SquaredHinge(1.0)\n"
        "np.mean([loss.py_loss(p, y) for p, y in zip(pred, target)])",
        _SGD,
    ),
    same(
        "exponential",
        "scikit-learn",
        "sklearn._loss.loss.ExponentialLoss()((target + 1) / 2, pred)",
        "The loss of the gradient boosting, private there, takes labels of 0 and 1.",
    ),
    # several classes
    explained(
        "cross_entropy",
        "Keras",
        "loss = keras.losses.sparse_categorical_crossentropy(target, pred, from_logits=True)\n"
        "keras.ops.mean(loss * keras.ops.take(weight, target))",
        "Keras divides the weighted sum by the number of rows; here and in PyTorch it is divided by the sum of their "
        "weights.",
        at="classes, weighted",
        adjust="theirs * len(target) / keras.ops.sum(keras.ops.take(weight, target))",
    ),
    explained(
        "cross_entropy",
        "Keras",
        "probabilities = keras.ops.softmax(pred)\n"
        "keras.ops.mean(keras.losses.sparse_categorical_crossentropy(target, probabilities, from_logits=True))",
        "The output of a network that ends in a softmax is no logits: here the softmax is applied twice.",
        at="classes, equal weights",
        adjust="keras.ops.mean(keras.losses.sparse_categorical_crossentropy(target, keras.ops.softmax(pred)))",
    ),
    same(
        "cross_entropy",
        "Keras",
        "keras.ops.mean(\n"
        "    keras.losses.categorical_crossentropy(keras.ops.one_hot(target, 3), pred, from_logits=True)\n"
        ")",
        "The same from one-hot labels, which Keras takes first.",
        at="classes, equal weights",
    ),
    explained(
        "cross_entropy",
        "Optax",
        "loss = optax.losses.softmax_cross_entropy_with_integer_labels(pred, target)\n(loss * weight[target]).mean()",
        "Optax leaves weights and mean to you: here and in PyTorch the sum is divided by the sum of the weights.",
        at="classes, weighted",
        adjust="theirs * len(target) / weight[target].sum()",
    ),
    same(
        "cross_entropy",
        "Optax",
        "optax.losses.softmax_cross_entropy(pred, jax.nn.one_hot(target, 3)).mean()",
        "The same from one-hot labels.",
        at="classes, equal weights",
    ),
    same(
        "cross_entropy",
        "Optax",
        "optax.losses.safe_softmax_cross_entropy(pred, jax.nn.one_hot(target, 3)).mean()",
        "The same from one-hot labels; a label of 0 may meet a logit of minus infinity.",
        at="classes, equal weights",
    ),
    same(
        "cross_entropy",
        "scikit-learn",
        "sklearn.metrics.log_loss(target, scipy.special.softmax(pred, -1), sample_weight=weight[target])",
        "scikit-learn takes probabilities, and divides by the sum of the weights too.",
        at="classes, weighted",
    ),
    same(
        "cross_entropy",
        "scikit-learn",
        "sklearn._loss.loss.HalfMultinomialLoss(n_classes=3)(target.astype(float), pred)",
        "The loss of the gradient boosting takes logits too, and labels as floating-point numbers.",
        at="classes, equal weights",
    ),
    same(
        "cross_entropy",
        "segmentation-models-pytorch",
        "smp.losses.SoftCrossEntropyLoss(smooth_factor=0.0)(pred, target)",
        "The same function without weights; ignored labels count in its mean, and it needs a smooth_factor.",
        at="classes, equal weights",
    ),
    same(
        "nll",
        "Keras",
        "keras.ops.mean(keras.losses.sparse_categorical_crossentropy(target, keras.ops.exp(pred)))",
        "Keras takes probabilities, and divides each row by its sum, which is 1.",
        gradient="The division by the row's sum gives every class a slope in Keras; here the true one alone has one.",
    ),
    same(
        "nll",
        "Optax",
        "optax.losses.softmax_cross_entropy_with_integer_labels(pred, target).mean()",
        "Log-probabilities are logits whose normaliser is 0, so the cross-entropy changes no value.",
        gradient="Through the normaliser every class has a slope in Optax; here the true class alone.",
    ),
    same(
        "nll",
        "scikit-learn",
        "sklearn.metrics.log_loss(target, np.exp(pred), labels=[0, 1, 2])",
        "scikit-learn takes probabilities, and the label first; the labels are needed where a class does not occur.",
    ),
    same(
        "label_smoothing_ce",
        "Keras",
        "keras.ops.mean(\n"
        "    keras.losses.categorical_crossentropy(\n"
        "        keras.ops.one_hot(target, 3), pred, from_logits=True, label_smoothing=0.3\n"
        "    )\n"
        ")",
        "Keras spreads the share over all K classes too.",
        params={"smoothing": 0.3},
    ),
    same(
        "label_smoothing_ce",
        "Optax",
        "labels = optax.losses.smooth_labels(jax.nn.one_hot(target, 3), 0.3)\n"
        "optax.losses.softmax_cross_entropy(pred, labels).mean()",
        "Optax spreads the share over all K classes too.",
        params={"smoothing": 0.3},
    ),
    same(
        "label_smoothing_ce",
        "segmentation-models-pytorch",
        "smp.losses.SoftCrossEntropyLoss(smooth_factor=0.3)(pred, target)",
        "It spreads the share over all K classes too.",
        params={"smoothing": 0.3},
    ),
    explained(
        "softmax_focal",
        "Keras",
        "keras.ops.mean(\n"
        "    keras.losses.categorical_focal_crossentropy(\n"
        "        keras.ops.one_hot(target, 3), pred, gamma=1.5, from_logits=True\n"
        "    )\n"
        ")",
        "Keras's default alpha of 0.25 multiplies every class, so it only makes the loss smaller.",
        params={"gamma": 1.5},
        adjust="theirs / 0.25",
    ),
    explained(
        "softmax_focal",
        "Keras",
        "keras.ops.mean(\n"
        "    keras.losses.categorical_focal_crossentropy(\n"
        "        keras.ops.one_hot(target, 3), pred, alpha=1.0, gamma=1.5, from_logits=True\n"
        "    )\n"
        ")",
        "Even from logits Keras keeps probabilities 1e-7 away from 0 and 1, so that no value costs more than 16.1.",
        params={"gamma": 1.5},
        at="classes, sure and wrong",
        adjust="keras.config.set_epsilon(1e-12)\n"
        "keras.ops.mean(\n"
        "    keras.losses.categorical_focal_crossentropy(\n"
        "        keras.ops.one_hot(target, 3), pred, alpha=1.0, gamma=1.5, from_logits=True\n"
        "    )\n"
        ")",
    ),
    explained(
        "softmax_focal",
        "kornia",
        'kornia.losses.focal_loss(pred, target, alpha=0.2, gamma=1.5, reduction="mean")',
        "kornia reads alpha as the weight of every class but the first, which gets 1 - alpha, and its mean divides by "
        "the number of classes too.",
        params={"alpha": [0.8, 0.2, 0.2], "gamma": 1.5},
        adjust="theirs * 3",
    ),
    different(
        "softmax_focal",
        "segmentation-models-pytorch",
        'smp.losses.FocalLoss("multiclass", gamma=1.5)(pred, target)',
        "It is the mean over the classes of K sigmoid focal losses, one against the rest, and no softmax.",
        params={"gamma": 1.5},
    ),
    same(
        "poly1_ce",
        "Optax",
        "optax.losses.poly_loss_cross_entropy(pred, jax.nn.one_hot(target, 3), epsilon=0.7).mean()",
        "The same from one-hot labels; epsilon is 2 there too unless given.",
        params={"epsilon": 0.7},
    ),
    same(
        "multiclass_hinge",
        "Keras",
        "keras.ops.mean(keras.losses.categorical_hinge(keras.ops.one_hot(target, 3), pred))",
        "The same from one-hot labels, as long as the best rival's score is not below 0.",
    ),
    explained(
        "multiclass_hinge",
        "Keras",
        "keras.ops.mean(keras.losses.categorical_hinge(keras.ops.one_hot(target, 3), pred))",
        "Keras takes the greatest of (1 - label) x score, which is 0 for the true class: where all rivals are below 0, "
        "that 0 stands for the best of them. Scores of 0 and more, shifted all alike, undo it.",
        at="classes, rivals below 0",
        adjust="keras.ops.mean(keras.losses.categorical_hinge(keras.ops.one_hot(target, 3), pred + 9))",
    ),
    same(
        "multiclass_hinge",
        "Optax",
        "optax.losses.multiclass_hinge_loss(pred, target).mean()",
        _UNREDUCED,
    ),
    same(
        "multiclass_hinge",
        "scikit-learn",
        "sklearn.metrics.hinge_loss(target, pred, labels=[0, 1, 2])",
        "The same function; the labels are needed where a class does not occur.",
    ),
    same(
        "generalized_ce",
        "Keras",
        "keras.ops.mean(\n"
        "    keras.losses.categorical_generalized_cross_entropy(target, keras.ops.softmax(pred), q=0.4)\n"
        ")",
        "Keras takes probabilities and class indices, its name notwithstanding.",
        params={"q": 0.4},
    ),
    same(
        "brier",
        "scikit-learn",
        "sklearn.metrics.brier_score_loss(target, pred, labels=[0, 1, 2])",
        "The same for three classes and more; of two, scikit-learn halves it unless scale_by_half=False.",
    ),
    explained(
        "brier",
        "Keras",
        "keras.ops.mean(keras.losses.mean_squared_error(keras.ops.one_hot(target, 3), pred))",
        "The mean over the classes is the sum divided by K.",
        adjust="theirs * 3",
    ),
    same(
        "sparsemax_loss",
        "Optax",
        "optax.losses.multiclass_sparsemax_loss(pred, target).mean()",
        _UNREDUCED,
    ),
    same(
        "sparsemax_loss",
        "Optax",
        "optax.losses.sparsemax_loss(pred[:, 1] - pred[:, 0], target).mean()",
        "Optax's sparsemax_loss is that of two classes: it takes the difference of the two logits.",
        at="classes, two of them",
    ),
    # distributions
    same(
        "kl_divergence",
        "Keras",
        "keras.ops.mean(keras.losses.kl_divergence(target, pred))",
        "Keras takes the true distribution first, and clips both at 1e-7.",
    ),
    explained(
        "kl_divergence",
        "Keras",
        "keras.ops.mean(keras.losses.kl_divergence(target, pred))",
        "Keras counts a forecast below 1e-7 as 1e-7, so that a sure and wrong one costs less.",
        at="distributions, a forecast near 0",
        adjust="keras.config.set_epsilon(1e-15)\nkeras.ops.mean(keras.losses.kl_divergence(target, pred))",
    ),
    same(
        "kl_divergence",
        "Optax",
        "optax.losses.kl_divergence(jnp.log(pred), target).mean()",
        "Optax takes the forecast first, as logarithms.",
    ),
    same(
        "kl_divergence",
        "Optax",
        "optax.losses.kl_divergence_with_log_targets(jnp.log(pred), jnp.log(target)).mean()",
        "Both as logarithms.",
    ),
    same(
        "kl_divergence",
        "Optax",
        "optax.losses.generalized_kl_divergence(jnp.log(pred), target).mean()",
        _FIXED_GENERALISED,
        gradient="What is added to the divergence has the slope 1 for each probability of the forecast.",
    ),
    same(
        "kl_divergence",
        "Optax",
        "optax.losses.convex_kl_divergence(jnp.log(pred), target).mean()",
        f"The old name of generalized_kl_divergence. {_FIXED_GENERALISED}",
        gradient="What is added to the divergence has the slope 1 for each probability of the forecast.",
    ),
    same(
        "kl_divergence",
        "kornia",
        "kornia.losses.kl_div_loss_2d(pred[:, None, None], target[:, None, None])",
        "Meant for heat maps: each row is an image of one line, over whose pixels the sum runs.",
    ),
    same(
        "js_divergence",
        "kornia",
        "kornia.losses.js_div_loss_2d(pred[:, None, None], target[:, None, None])",
        "Meant for heat maps: each row is an image of one line, over whose pixels the sum runs.",
    ),
    explained(
        "total_variation",
        "Keras",
        "keras.ops.mean(keras.losses.mean_absolute_error(target, pred))",
        "The mean absolute error divides the sum over the classes by K, where half of it is taken here.",
        adjust="theirs * 3 / 2",
    ),
    # embeddings
    explained(
        "cosine_similarity",
        "Keras",
        "keras.ops.mean(keras.losses.cosine_similarity(x1, x2))",
        "Keras gives minus the cosine, from -1 to 1.",
        adjust="1 + theirs",
    ),
    same("cosine_similarity", "Optax", "optax.losses.cosine_distance(x1, x2).mean()", _UNREDUCED),
    explained(
        "cosine_similarity",
        "Optax",
        "optax.losses.cosine_similarity(x1, x2).mean()",
        "Optax's cosine_similarity is the cosine itself, to be maximised and no loss.",
        adjust="1 - theirs",
    ),
    same(
        "negative_cosine",
        "Keras",
        "keras.ops.mean(keras.losses.cosine_similarity(z, p))",
        "Keras's cosine_similarity is minus the cosine. It holds neither side still: stop the gradient of z yourself.",
        at="views, predictor and projector",
    ),
    explained(
        "negative_cosine",
        "Optax",
        "optax.losses.cosine_similarity(p, z).mean()",
        "Optax's cosine_similarity is the cosine itself. It holds neither side still: stop the gradient of z yourself.",
        at="views, predictor and projector",
        adjust="-theirs",
    ),
    explained(
        "contrastive",
        "pytorch-metric-learning",
        "i, similar = torch.arange(len(target)), target == 1\n"
        "pairs = (i[similar], i[similar], i[~similar], i[~similar])\n"
        "pml.losses.ContrastiveLoss(neg_margin=1.3)(x1, indices_tuple=pairs, ref_emb=x2)",
        "It scales embeddings to length 1, does not square the distances, has no 1/2, and adds the mean over the "
        "similar pairs that cost something to that over the dissimilar ones.",
        params={"margin": 1.3},
        adjust="i, similar = torch.arange(len(target)), target == 1\n"
        "pairs = (i[similar], i[similar], i[~similar], i[~similar])\n"
        "parts = pml.losses.ContrastiveLoss(\n"
        "    neg_margin=1.3,\n"
        "    distance=pml.distances.LpDistance(normalize_embeddings=False),\n"
        "    reducer=pml.reducers.DoNothingReducer(),\n"
        ")(x1, indices_tuple=pairs, ref_emb=x2)\n"
        'squares = [parts[name]["losses"].square().sum() for name in ("pos_loss", "neg_loss")]\n'
        "0.5 * sum(squares) / len(target)",
    ),
    explained(
        "triplet_margin",
        "Optax",
        "optax.losses.triplet_margin_loss(anchor, positive, negative, margin=0.5).mean()",
        "Optax adds 1e-6 to the squared distance before the root.",
        params={"margin": 0.5},
        adjust="optax.losses.triplet_margin_loss(anchor, positive, negative, margin=0.5, eps=0.0).mean()",
    ),
    explained(
        "triplet_margin",
        "Optax",
        "optax.losses.triplet_margin_loss(\n"
        "    anchor, positive, negative, norm_degree=1, margin=0.5, eps=0.0\n"
        ").mean()",
        "With norm_degree=1 Optax adds up the differences themselves, not their absolute values, so that they cancel; "
        "given absolute differences it agrees.",
        params={"margin": 0.5, "p": 1},
        adjust="near, far = jnp.abs(anchor - positive), jnp.abs(anchor - negative)\n"
        "optax.losses.triplet_margin_loss(\n"
        "    jnp.zeros_like(near), -near, -far, norm_degree=1, margin=0.5, eps=0.0\n"
        ").mean()",
    ),
    explained(
        "triplet_margin",
        "pytorch-metric-learning",
        "rows = torch.cat([anchor, positive, negative])\n"
        "triplets = torch.arange(len(rows)).reshape(3, -1).unbind()\n"
        "pml.losses.TripletMarginLoss(margin=0.5)(rows, indices_tuple=triplets)",
        "It scales embeddings to length 1, and averages only the triplets that cost something.",
        params={"margin": 0.5},
        adjust="rows = torch.cat([anchor, positive, negative])\n"
        "triplets = torch.arange(len(rows)).reshape(3, -1).unbind()\n"
        "pml.losses.TripletMarginLoss(\n"
        "    margin=0.5,\n"
        "    distance=pml.distances.LpDistance(normalize_embeddings=False),\n"
        "    reducer=pml.reducers.MeanReducer(),\n"
        ")(rows, indices_tuple=triplets)",
    ),
    explained(
        "circle",
        "Keras",
        "keras.ops.mean(keras.losses.circle(target, pred, gamma=8, margin=0.3))",
        "Keras takes embeddings for unit vectors, and does not make them so.",
        params={"m": 0.3, "gamma": 8.0},
        adjust="unit = keras.ops.normalize(pred)\n"
        "keras.ops.mean(keras.losses.circle(target, unit, gamma=8, margin=0.3))",
        gradient="The weights of the pairs are constants in the paper and here; Keras differentiates them too.",
    ),
    explained(
        "circle",
        "pytorch-metric-learning",
        "pml.losses.CircleLoss(m=0.3, gamma=8)(pred, target)",
        "It averages only the rows that cost something; one that is alone in its class costs nothing.",
        params={"m": 0.3, "gamma": 8.0},
        adjust="pml.losses.CircleLoss(m=0.3, gamma=8, reducer=pml.reducers.MeanReducer())(pred, target)",
    ),
    same(
        "multi_similarity",
        "pytorch-metric-learning",
        "pml.losses.MultiSimilarityLoss(alpha=1.5, beta=20, base=0.3)(pred, target)",
        "The same without a miner; lambda is called base there.",
        params={"alpha": 1.5, "beta": 20.0, "lambda_": 0.3},
    ),
    explained(
        "proxy_nca",
        "pytorch-metric-learning",
        "loss = pml.losses.ProxyNCALoss(num_classes=3, embedding_size=3, softmax_scale=1.5)\n"
        "loss.proxies.data = proxies\n"
        "loss(pred, target)",
        "Its denominator holds all proxies, that of the paper the other classes' alone.",
        params={"scale": 1.5},
        at="centres, proxies",
        ours={"denominator": "all"},
    ),
    same(
        "info_nce",
        "pytorch-metric-learning",
        "loss = pml.losses.NTXentLoss(temperature=0.3)\n"
        "pml.losses.SelfSupervisedLoss(loss, symmetric=False)(query, positive)",
        "NTXentLoss from the queries to the others' positives alone; with symmetric=True it is NT-Xent.",
        params={"temperature": 0.3},
        at="views, query and positive",
    ),
    same(
        "info_nce",
        "pytorch-metric-learning",
        "labels = torch.arange(len(query)).repeat(2)\npml.losses.NPairsLoss()(torch.cat([query, positive]), labels)",
        "NPairsLoss has no temperature, and takes one pair of each class; it scales embeddings to length 1 too.",
        params={"temperature": 1.0},
        at="views, query and positive",
    ),
    same(
        "nt_xent",
        "Optax",
        "labels = jnp.tile(jnp.arange(len(z1)), 2)\n"
        "optax.losses.ntxent(jnp.concatenate([z1, z2]), labels, temperature=0.3)",
        "Optax takes one array, and labels that say which rows belong together; its default temperature is 0.07.",
        params={"temperature": 0.3},
    ),
    same(
        "nt_xent",
        "pytorch-metric-learning",
        "labels = torch.arange(len(z1)).repeat(2)\npml.losses.NTXentLoss(temperature=0.3)(torch.cat([z1, z2]), labels)",
        "It takes one tensor, and labels that say which rows belong together; its default temperature is 0.07.",
        params={"temperature": 0.3},
    ),
    same(
        "supcon",
        "pytorch-metric-learning",
        "pml.losses.SupConLoss(temperature=0.3)(pred, target)",
        "The same; rows that are alone in their class count in neither mean.",
        params={"temperature": 0.3},
    ),
    same(
        "vicreg",
        "pytorch-metric-learning",
        "pml.losses.VICRegLoss(invariance_lambda=10, variance_mu=5, covariance_v=2)(z1, ref_emb=z2)",
        "The variance term is halved there too, as in the authors' code and not in the paper.",
        params={"lambda_": 10.0, "mu": 5.0, "nu": 2.0},
    ),
    explained(
        "arcface",
        "pytorch-metric-learning",
        "loss = pml.losses.ArcFaceLoss(num_classes=3, embedding_size=3, margin=0.3, scale=8)\n"
        "loss.W.data = weight.T\n"
        "loss(pred, target)",
        f"It takes the margin in degrees, not radians. {_PML_CENTRES}",
        params={"s": 8.0, "m": 0.3},
        adjust="loss = pml.losses.ArcFaceLoss(num_classes=3, embedding_size=3, margin=math.degrees(0.3), scale=8)\n"
        "loss.W.data = weight.T\n"
        "loss(pred, target)",
    ),
    same(
        "cosface",
        "pytorch-metric-learning",
        "loss = pml.losses.CosFaceLoss(num_classes=3, embedding_size=3, margin=0.3, scale=8)\n"
        "loss.W.data = weight.T\n"
        "loss(pred, target)",
        _PML_CENTRES,
        params={"s": 8.0, "m": 0.3},
    ),
    same(
        "cosface",
        "pytorch-metric-learning",
        "loss = pml.losses.NormalizedSoftmaxLoss(num_classes=3, embedding_size=3, temperature=1 / 8)\n"
        "loss.W.data = weight.T\n"
        "loss(pred, target)",
        f"NormalizedSoftmaxLoss is this without a margin, at the temperature 1 / s. {_PML_CENTRES}",
        params={"s": 8.0, "m": 0.0},
    ),
    # boxes
    explained(
        "iou",
        "torchvision",
        "1 - torchvision.ops.box_iou(pred, target).diagonal().mean()",
        _NO_EPS,
        ours={"eps": 1e-12},
    ),
    same(
        "giou",
        "torchvision",
        'torchvision.ops.generalized_box_iou_loss(pred, target, reduction="mean", eps=0.01)',
        "torchvision returns every value unless told to reduce.",
        params={"eps": 0.01},
    ),
    same(
        "giou",
        "torchvision",
        "1 - torchvision.ops.generalized_box_iou(pred, target).diagonal().mean()",
        "The matrix of all pairs, without an epsilon; its diagonal holds the pairs.",
        params={"eps": 1e-12},
    ),
    same(
        "diou",
        "torchvision",
        'torchvision.ops.distance_box_iou_loss(pred, target, reduction="mean", eps=0.01)',
        "torchvision returns every value unless told to reduce.",
        params={"eps": 0.01},
    ),
    same(
        "diou",
        "torchvision",
        "1 - torchvision.ops.distance_box_iou(pred, target, eps=1e-12).diagonal().mean()",
        _MATRIX,
        params={"eps": 1e-12},
    ),
    same(
        "ciou",
        "torchvision",
        'torchvision.ops.complete_box_iou_loss(pred, target, reduction="mean")',
        "torchvision returns every value unless told to reduce; it holds the weight of the aspect term still too.",
    ),
    different(
        "ciou",
        "torchvision",
        'torchvision.ops.complete_box_iou_loss(pred, target, reduction="mean", eps=0.01)',
        "torchvision uses eps in the weight of the aspect term alone: its IoU and its distance part keep 1e-7.",
        params={"eps": 0.01},
    ),
    same(
        "ciou",
        "torchvision",
        "1 - torchvision.ops.complete_box_iou(pred, target, eps=1e-12).diagonal().mean()",
        _MATRIX,
        params={"eps": 1e-12},
    ),
    explained(
        "box_smooth_l1",
        "Keras",
        "keras.ops.mean(keras.losses.huber(target, pred, delta=0.7))",
        "Keras averages the four offsets, which are added up here, and Huber's loss is beta times this.",
        params={"beta": 0.7},
        adjust="theirs * 4 / 0.7",
    ),
    explained(
        "box_smooth_l1",
        "Optax",
        "optax.losses.huber_loss(pred, target, delta=0.7).mean()",
        "The mean over the four offsets, which are added up here, and Huber's loss is beta times this.",
        params={"beta": 0.7},
        adjust="theirs * 4 / 0.7",
    ),
    # masks
    explained(
        "dice",
        "Keras",
        "keras.losses.dice(target, pred)",
        "Keras sums over batch and channels: one value in all, where here it is one for each image and channel. It "
        "smooths the denominator alone, by 1e-7.",
        params={"smooth_nr": 0.0, "smooth_dr": EPSILON},
        adjust="keras.ops.mean(keras.losses.dice(target, pred, axis=(2, 3)))",
    ),
    explained(
        "dice",
        "Keras",
        "keras.losses.dice(target, pred)",
        "An empty prediction of an empty mask costs 1 in Keras, since nothing is added to the numerator, and 0 here.",
        at="masks, all empty",
        ours={"smooth_nr": 0.0},
    ),
    explained(
        "dice",
        "Optax",
        "optax.losses.binary_dice_loss(jax.scipy.special.logit(pred[:, 0]), target[:, 0], smooth=0.6).mean()",
        f"Optax adds smooth to half of the numerator and of the denominator, so it needs half of ours. {_LOGIT}",
        params={"smooth_nr": 0.6, "smooth_dr": 0.6},
        adjust="optax.losses.binary_dice_loss(jax.scipy.special.logit(pred[:, 0]), target[:, 0], smooth=0.3).mean()",
    ),
    explained(
        "dice",
        "Optax",
        "optax.losses.dice_loss(\n"
        "    jnp.moveaxis(pred, 1, -1), jnp.moveaxis(target, 1, -1), smooth=0.6, apply_softmax=False\n"
        ").mean()",
        "Optax adds smooth to half of the numerator and of the denominator, so it needs half of ours. It takes logits "
        "unless told otherwise, with the classes last.",
        params={"smooth_nr": 0.6, "smooth_dr": 0.6},
        at="masks, two classes",
        adjust="optax.losses.dice_loss(\n"
        "    jnp.moveaxis(pred, 1, -1), jnp.moveaxis(target, 1, -1), smooth=0.3, apply_softmax=False\n"
        ").mean()",
    ),
    explained(
        "dice",
        "kornia",
        "kornia.losses.dice_loss(pred.log(), target.argmax(1))",
        "kornia takes logits and a class map, and gives one value for all classes of an image; with macro it averages "
        "over the classes that occur in it. It adds 1e-8 to the denominator alone.",
        params={"smooth_nr": 0.0, "smooth_dr": EPSILON},
        at="masks, two classes",
        adjust='kornia.losses.dice_loss(pred.log(), target.argmax(1), average="macro", eps=1e-7)',
        gradient=_SOFTMAX,
    ),
    explained(
        "dice",
        "segmentation-models-pytorch",
        'smp.losses.DiceLoss("binary", from_logits=False, smooth=0.6)(pred, target)',
        "It sums over the batch, and adds smooth to half of the numerator and of the denominator, so it needs half of "
        "ours; by default it smooths nothing.",
        params={"smooth_nr": 0.6, "smooth_dr": 0.6},
        adjust='loss = smp.losses.DiceLoss("binary", from_logits=False, smooth=0.3)\n'
        "torch.stack([loss(pred[i : i + 1], target[i : i + 1]) for i in range(len(pred))]).mean()",
    ),
    different(
        "dice",
        "segmentation-models-pytorch",
        'loss = smp.losses.DiceLoss("binary", from_logits=False, smooth=0.3)\n'
        "torch.stack([loss(pred[i : i + 1], target[i : i + 1]) for i in range(len(pred))]).mean()",
        "Where the mask is empty it gives 0 whatever is predicted, so that false alarms there cost nothing.",
        params={"smooth_nr": 0.6, "smooth_dr": 0.6},
        at="masks, one empty",
    ),
    same(
        "jaccard",
        "segmentation-models-pytorch",
        'smp.losses.JaccardLoss("binary", from_logits=False, smooth=0.6)(pred, target)',
        "It sums over the batch; by default it smooths nothing. Its smooth is ours, unlike that of its DiceLoss.",
        params={"smooth_nr": 0.6, "smooth_dr": 0.6, "batch": True},
    ),
    explained(
        "tversky",
        "Keras",
        "keras.losses.tversky(target, pred, alpha=0.3, beta=0.7)",
        "Keras's alpha weighs false negatives and its beta false positives, the other way round than in the paper. It "
        "sums over batch and channels, and smooths the denominator alone, by 1e-7.",
        params={"alpha": 0.3, "beta": 0.7, "smooth_nr": 0.0, "smooth_dr": EPSILON, "batch": True},
        adjust="keras.losses.tversky(target, pred, alpha=0.7, beta=0.3)",
    ),
    same(
        "tversky",
        "Optax",
        "optax.losses.dice_loss(\n"
        "    jnp.moveaxis(pred, 1, -1),\n"
        "    jnp.moveaxis(target, 1, -1),\n"
        "    alpha=0.3,\n"
        "    beta=0.7,\n"
        "    smooth=0.6,\n"
        "    apply_softmax=False,\n"
        ").mean()",
        "Optax's dice_loss has the two weights; with them it smooths as we do.",
        params={"alpha": 0.3, "beta": 0.7, "smooth_nr": 0.6, "smooth_dr": 0.6},
        at="masks, two classes",
    ),
    explained(
        "tversky",
        "kornia",
        "kornia.losses.tversky_loss(pred.log(), target.argmax(1), alpha=0.3, beta=0.7, eps=0.6)",
        "kornia takes logits and a class map, averages over the classes that occur in an image, and adds eps to the "
        "denominator alone.",
        params={"alpha": 0.3, "beta": 0.7, "smooth_nr": 0.6, "smooth_dr": 0.6},
        at="masks, two classes",
        ours={"smooth_nr": 0.0},
        gradient=_SOFTMAX,
    ),
    same(
        "tversky",
        "segmentation-models-pytorch",
        'smp.losses.TverskyLoss(\n    "binary", from_logits=False, alpha=0.3, beta=0.7, smooth=0.6\n)(pred, target)',
        "It sums over the batch; by default it smooths nothing, and both weights are 0.5.",
        params={"alpha": 0.3, "beta": 0.7, "smooth_nr": 0.6, "smooth_dr": 0.6, "batch": True},
    ),
    explained(
        "focal_tversky",
        "segmentation-models-pytorch",
        "smp.losses.TverskyLoss(\n"
        '    "multilabel", from_logits=False, alpha=0.3, beta=0.7, gamma=3.0, smooth=0.6\n'
        ")(pred, target)",
        "Its gamma is our exponent, the reciprocal of the paper's gamma. It raises the mean over the channels to the "
        "power, where here each channel is; one channel at a time the two agree.",
        params={"alpha": 0.3, "beta": 0.7, "exponent": 3.0, "smooth_nr": 0.6, "smooth_dr": 0.6, "batch": True},
        at="masks, two classes",
        adjust="loss = smp.losses.TverskyLoss(\n"
        '    "multilabel", from_logits=False, alpha=0.3, beta=0.7, gamma=3.0, smooth=0.6\n'
        ")\n"
        "torch.stack([loss(pred[:, c : c + 1], target[:, c : c + 1]) for c in range(2)]).mean()",
    ),
    same(
        "lovasz_hinge",
        "kornia",
        "kornia.losses.lovasz_hinge_loss(pred[:, None], target)",
        "The same for each image; the prediction needs an axis of one channel.",
    ),
    explained(
        "lovasz_hinge",
        "segmentation-models-pytorch",
        'smp.losses.LovaszLoss("binary")(pred.float(), target)',
        f"It takes all images of the batch for one unless per_image is set. {_FLOAT32}",
        adjust='smp.losses.LovaszLoss("binary", per_image=True)(pred.float(), target)',
        tolerance=1e-6,
    ),
    explained(
        "lovasz_softmax",
        "kornia",
        "kornia.losses.lovasz_softmax_loss(pred.log(), target)",
        "kornia takes logits, treats each image by itself, and counts classes that do not occur.",
        ours={"per_image": True, "classes": "all"},
        gradient=_SOFTMAX,
    ),
    same(
        "lovasz_softmax",
        "segmentation-models-pytorch",
        'smp.losses.LovaszLoss("multiclass")(pred.log().float(), target)',
        f"It takes logits; classes that do not occur are skipped there too. {_FLOAT32}",
        tolerance=1e-6,
        gradient=_SOFTMAX,
    ),
    # sequences
    explained(
        "seq_cross_entropy",
        "Keras",
        "keras.ops.mean(\n"
        "    keras.losses.sparse_categorical_crossentropy(target, pred, from_logits=True, ignore_class=0)\n"
        ")",
        "Ignored tokens cost nothing, but the mean of the function counts them.",
        adjust="theirs * target.numel() / (target != 0).sum()",
    ),
    explained(
        "seq_cross_entropy",
        "Optax",
        "optax.losses.softmax_cross_entropy_with_integer_labels(pred, target).mean()",
        "Optax knows no padding: mask it, and divide by the number of the other tokens.",
        adjust="real = target != 0\n"
        "loss = optax.losses.softmax_cross_entropy_with_integer_labels(pred, target)\n"
        "(loss * real).sum() / real.sum()",
    ),
    explained(
        "seq_cross_entropy",
        "segmentation-models-pytorch",
        "loss = smp.losses.SoftCrossEntropyLoss(smooth_factor=0.0, ignore_index=0)\nloss(pred.transpose(1, 2), target)",
        "Ignored tokens cost nothing, but its mean counts them; the classes are the second axis.",
        adjust="theirs * target.numel() / (target != 0).sum()",
    ),
    explained(
        "seq_label_smoothed_ce",
        "Optax",
        "labels = optax.losses.smooth_labels(jax.nn.one_hot(target, 4), 0.2)\n"
        "optax.losses.softmax_cross_entropy(pred, labels).mean()",
        "Optax knows no padding: mask it, and divide by the number of the other tokens.",
        params={"smoothing": 0.2},
        adjust="real = target != 0\n"
        "labels = optax.losses.smooth_labels(jax.nn.one_hot(target, 4), 0.2)\n"
        "(optax.losses.softmax_cross_entropy(pred, labels) * real).sum() / real.sum()",
    ),
    explained(
        "seq_label_smoothed_ce",
        "segmentation-models-pytorch",
        "loss = smp.losses.SoftCrossEntropyLoss(smooth_factor=0.2, ignore_index=0)\nloss(pred.transpose(1, 2), target)",
        "Ignored tokens cost nothing, but its mean counts them; the classes are the second axis.",
        params={"smoothing": 0.2},
        adjust="theirs * target.numel() / (target != 0).sum()",
    ),
    explained(
        "ctc",
        "Keras",
        "keras.ops.mean(keras.losses.ctc(target, pred))",
        "Keras takes no lengths: all frames count, and the labels that are not 0. One sequence at a time, cut to its "
        "frames, it agrees.",
        adjust="keras.ops.mean(\n"
        "    keras.ops.stack(\n"
        "        [keras.losses.ctc(target[i : i + 1], pred[i : i + 1, : input_lengths[i]]) for i in range(len(pred))]\n"
        "    )\n"
        ")",
    ),
    same(
        "ctc",
        "Optax",
        "frame, label = jnp.arange(pred.shape[1]), jnp.arange(target.shape[1])\n"
        "optax.losses.ctc_loss(\n"
        "    pred, frame >= input_lengths[:, None] * 1.0, target, label >= target_lengths[:, None] * 1.0\n"
        ").mean()",
        "Optax takes the padding as masks, 1 where padded, in place of lengths.",
    ),
    different(
        "ctc",
        "Optax",
        "nothing = jnp.zeros(pred.shape[:2]), jnp.zeros(target.shape)\n"
        "optax.losses.ctc_loss(pred, nothing[0], target, nothing[1]).mean()",
        "Two equal labels need three frames. What cannot be costs infinity here, and about 1e5 in Optax: minus its "
        "log_epsilon.",
        at="ctc, too few frames",
        gradient="Where the loss is infinite the gradient is 0 here; in Optax the impossible path has a slope.",
    ),
    # weights
    same(
        "l1_penalty",
        "Keras",
        "keras.regularizers.L1(0.3)(w)",
        "A sum in Keras too.",
        params={"lambda_": 0.3},
    ),
    explained(
        "elastic_net",
        "Keras",
        "keras.regularizers.L1L2(l1=0.8 * 0.25, l2=0.8 * 0.75)(w)",
        "Keras's squared part has no factor 1/2.",
        params={"alpha": 0.8, "l1_ratio": 0.25},
        adjust="keras.regularizers.L1L2(l1=0.8 * 0.25, l2=0.8 * 0.75 / 2)(w)",
    ),
    same(
        "l2_penalty",
        "Keras",
        "keras.regularizers.L2(0.3)(w)",
        "No factor 1/2 in Keras either.",
        params={"lambda_": 0.3},
    ),
    # lists of scores
    explained(
        "listnet",
        "Optax",
        "optax.losses.ranking_softmax_loss(scores, relevance)",
        "Optax takes the labels as they are; ListNet turns them into probabilities by a softmax first.",
        adjust="optax.losses.ranking_softmax_loss(scores, jax.nn.softmax(relevance))",
    ),
)


# --- what became of every public loss: keys here, the public name it is another form of, or why it has no row

_BARE = "No loss of the catalogue: "

COVERAGE: Mapping[str, Mapping[str, tuple[str, ...] | str]] = {
    "Keras": {
        "L1": ("l1_penalty",),
        "L1L2": ("elastic_net",),
        "L2": ("l2_penalty",),
        "OrthogonalRegularizer": f"{_BARE}it keeps rows of a weight matrix orthogonal.",
        "binary_crossentropy": ("bce", "bce_with_logits"),
        "binary_focal_crossentropy": ("sigmoid_focal",),
        "categorical_crossentropy": ("cross_entropy", "label_smoothing_ce"),
        "categorical_focal_crossentropy": ("softmax_focal",),
        "categorical_generalized_cross_entropy": ("generalized_ce",),
        "categorical_hinge": ("multiclass_hinge",),
        "circle": ("circle",),
        "cosine_similarity": ("cosine_similarity", "negative_cosine"),
        "ctc": ("ctc",),
        "dice": ("dice",),
        "hinge": ("hinge",),
        "huber": ("huber", "smooth_l1", "box_smooth_l1"),
        "kl_divergence": ("kl_divergence",),
        "log_cosh": ("log_cosh",),
        "mean_absolute_error": ("mae", "total_variation"),
        "mean_absolute_percentage_error": ("mape",),
        "mean_squared_error": ("mse", "brier"),
        "mean_squared_logarithmic_error": ("msle",),
        "poisson": ("poisson_nll",),
        "sparse_categorical_crossentropy": ("cross_entropy", "nll", "seq_cross_entropy"),
        "squared_hinge": ("squared_hinge",),
        "tversky": ("tversky",),
    },
    "Optax": {
        "binary_dice_loss": ("dice",),
        "convex_kl_divergence": ("kl_divergence",),
        "cosine_distance": ("cosine_similarity",),
        "cosine_similarity": ("cosine_similarity", "negative_cosine"),
        "ctc_loss": ("ctc",),
        "ctc_loss_with_forward_probs": "ctc_loss",
        "dice_loss": ("dice", "tversky"),
        "generalized_kl_divergence": ("kl_divergence",),
        "hinge_loss": ("hinge",),
        "huber_loss": ("huber", "smooth_l1", "box_smooth_l1"),
        "kl_divergence": ("kl_divergence",),
        "kl_divergence_with_log_targets": ("kl_divergence",),
        "l2_loss": ("mse",),
        "log_cosh": ("log_cosh",),
        "make_fenchel_young_loss": f"{_BARE}it makes losses, from any regulariser.",
        "multiclass_generalized_dice_loss": f"{_BARE}it is the Dice loss with weights from the sizes of the classes.",
        "multiclass_hinge_loss": ("multiclass_hinge",),
        "multiclass_perceptron_loss": f"{_BARE}it is the multi-class hinge loss without a margin.",
        "multiclass_sparsemax_loss": ("sparsemax_loss",),
        "ntxent": ("nt_xent",),
        "perceptron_loss": f"{_BARE}it is the hinge loss without a margin.",
        "poly_loss_cross_entropy": ("poly1_ce",),
        "ranking_softmax_loss": ("listnet",),
        "safe_softmax_cross_entropy": ("cross_entropy",),
        "sigmoid_binary_cross_entropy": ("bce_with_logits",),
        "sigmoid_focal_loss": ("sigmoid_focal",),
        "smooth_labels": ("label_smoothing_ce", "seq_label_smoothed_ce"),
        "softmax_cross_entropy": ("cross_entropy", "label_smoothing_ce", "seq_label_smoothed_ce"),
        "softmax_cross_entropy_with_integer_labels": ("cross_entropy", "nll", "seq_cross_entropy"),
        "sparsemax_loss": ("sparsemax_loss",),
        "squared_error": ("mse",),
        "triplet_margin_loss": ("triplet_margin",),
    },
    "torchvision": {
        "box_iou": ("iou",),
        "complete_box_iou": ("ciou",),
        "complete_box_iou_loss": ("ciou",),
        "distance_box_iou": ("diou",),
        "distance_box_iou_loss": ("diou",),
        "generalized_box_iou": ("giou",),
        "generalized_box_iou_loss": ("giou",),
        "sigmoid_focal_loss": ("sigmoid_focal",),
    },
    "scikit-learn": {
        "AbsoluteError": ("mae",),
        "EpsilonInsensitive": ("epsilon_insensitive",),
        "HalfBinomialLoss": ("bce_with_logits",),
        "HalfBinomialLossArrayAPI": "HalfBinomialLoss",
        "HalfGammaLoss": ("gamma_deviance",),
        "HalfMultinomialLoss": ("cross_entropy",),
        "HalfMultinomialLossArrayAPI": "HalfMultinomialLoss",
        "HalfPoissonLoss": ("poisson_nll",),
        "HalfSquaredError": ("mse",),
        "HalfTweedieLoss": ("tweedie_deviance",),
        "HalfTweedieLossIdentity": ("tweedie_deviance",),
        "Hinge": ("hinge",),
        "HuberLoss": ("huber",),
        "ModifiedHuber": f"{_BARE}it is the squared hinge loss, made linear for margins below -1.",
        "PinballLoss": ("quantile",),
        "SquaredEpsilonInsensitive": f"{_BARE}it is the epsilon-insensitive loss, squared.",
        "SquaredHinge": ("squared_hinge",),
        "brier_score_loss": ("brier",),
        "coverage_error": f"{_BARE}it counts ranks, and has no slope.",
        "hamming_loss": f"{_BARE}it counts wrong labels, and has no slope.",
        "hinge_loss": ("hinge", "multiclass_hinge"),
        "label_ranking_loss": f"{_BARE}it counts pairs in the wrong order, and has no slope.",
        "log_loss": ("bce", "bce_with_logits", "cross_entropy", "nll"),
        "max_error": f"{_BARE}it is the one largest residual.",
        "mean_absolute_error": ("mae",),
        "mean_absolute_percentage_error": ("mape",),
        "mean_gamma_deviance": ("gamma_deviance",),
        "mean_pinball_loss": ("quantile",),
        "mean_poisson_deviance": ("tweedie_deviance",),
        "mean_squared_error": ("mse",),
        "mean_squared_log_error": ("msle",),
        "mean_tweedie_deviance": ("tweedie_deviance",),
        "median_absolute_error": f"{_BARE}it is the one residual in the middle.",
        "root_mean_squared_error": ("rmse",),
        "root_mean_squared_log_error": ("rmsle",),
        "zero_one_loss": f"{_BARE}it counts wrong classes, and has no slope.",
    },
    "kornia": {
        "BinaryFocalLossWithLogits": "binary_focal_loss_with_logits",
        "CauchyLoss": "cauchy_loss",
        "CharbonnierLoss": "charbonnier_loss",
        "DiceLoss": "dice_loss",
        "FocalLoss": "focal_loss",
        "GemanMcclureLoss": "geman_mcclure_loss",
        "HausdorffERLoss": f"{_BARE}it is the distance between outlines, by eroding the error.",
        "HausdorffERLoss3D": f"{_BARE}it is the distance between outlines, by eroding the error.",
        "InverseDepthSmoothnessLoss": "inverse_depth_smoothness_loss",
        "LovaszHingeLoss": "lovasz_hinge_loss",
        "LovaszSoftmaxLoss": "lovasz_softmax_loss",
        "MIKernel": f"{_BARE}it lists the kernels of the mutual information.",
        "MILossFromRef": "mutual_information_loss",
        "MILossFromRef2D": "mutual_information_loss",
        "MILossFromRef3D": "mutual_information_loss",
        "MS_SSIMLoss": f"{_BARE}it compares images by structure, at several scales.",
        "NMILossFromRef": "normalized_mutual_information_loss",
        "NMILossFromRef2D": "normalized_mutual_information_loss",
        "NMILossFromRef3D": "normalized_mutual_information_loss",
        "PSNRLoss": "psnr_loss",
        "SSIM3DLoss": "ssim3d_loss",
        "SSIMLoss": "ssim_loss",
        "TotalVariation": "total_variation",
        "TverskyLoss": "tversky_loss",
        "WelschLoss": "welsch_loss",
        "binary_focal_loss_with_logits": ("sigmoid_focal",),
        "cauchy_loss": ("cauchy",),
        "charbonnier_loss": ("barron", "pseudo_huber"),
        "dice_loss": ("dice",),
        "focal_loss": ("softmax_focal",),
        "geman_mcclure_loss": ("geman_mcclure",),
        "inverse_depth_smoothness_loss": f"{_BARE}it keeps depth smooth where the image is.",
        "js_div_loss_2d": ("js_divergence",),
        "kl_div_loss_2d": ("kl_divergence",),
        "lovasz_hinge_loss": ("lovasz_hinge",),
        "lovasz_softmax_loss": ("lovasz_softmax",),
        "mutual_information_loss": f"{_BARE}it is the negative mutual information of two images.",
        "mutual_information_loss_2d": "mutual_information_loss",
        "mutual_information_loss_3d": "mutual_information_loss",
        "normalized_mutual_information_loss": f"{_BARE}it is the mutual information of two images, normalised.",
        "normalized_mutual_information_loss_2d": "normalized_mutual_information_loss",
        "normalized_mutual_information_loss_3d": "normalized_mutual_information_loss",
        "one_hot": f"{_BARE}it is a helper.",
        "psnr_loss": f"{_BARE}it is the negative signal-to-noise ratio of two images.",
        "ssim3d_loss": f"{_BARE}it compares images by structure.",
        "ssim_loss": f"{_BARE}it compares images by structure.",
        "total_variation": f"{_BARE}it is a penalty on an image, and compares nothing.",
        "tversky_loss": ("tversky",),
        "welsch_loss": ("welsch",),
    },
    "segmentation-models-pytorch": {
        "DiceLoss": ("dice",),
        "FocalLoss": ("sigmoid_focal", "softmax_focal"),
        "JaccardLoss": ("jaccard",),
        "LovaszLoss": ("lovasz_hinge", "lovasz_softmax"),
        "MCCLoss": f"{_BARE}it is one minus Matthews' correlation coefficient of soft counts.",
        "SoftBCEWithLogitsLoss": ("bce_with_logits",),
        "SoftCrossEntropyLoss": (
            "cross_entropy",
            "label_smoothing_ce",
            "seq_cross_entropy",
            "seq_label_smoothed_ce",
        ),
        "TverskyLoss": ("tversky", "focal_tversky"),
    },
    "pytorch-metric-learning": {
        "AngularLoss": f"{_BARE}it bounds the angle at the negative of a triplet.",
        "ArcFaceLoss": ("arcface",),
        "BaseLossWrapper": f"{_BARE}it is a base class.",
        "BaseMetricLossFunction": f"{_BARE}it is a base class.",
        "CircleLoss": ("circle",),
        "ContrastiveLoss": ("contrastive",),
        "CosFaceLoss": ("cosface",),
        "CrossBatchMemory": f"{_BARE}it adds embeddings of earlier batches to any loss.",
        "DynamicSoftMarginLoss": f"{_BARE}it weighs triplets by their rank in a running histogram.",
        "EmbeddingRegularizerMixin": f"{_BARE}it is a base class.",
        "FastAPLoss": f"{_BARE}it is the average precision, by histograms.",
        "GeneralizedLiftedStructureLoss": f"{_BARE}it is a smooth version of the lifted structure loss.",
        "GenericPairLoss": f"{_BARE}it is a base class.",
        "HistogramLoss": f"{_BARE}it is the overlap of the histograms of similar and dissimilar pairs.",
        "InstanceLoss": f"{_BARE}its logits are the cosines between the rows of a batch, its labels the classes.",
        "IntraPairVarianceLoss": f"{_BARE}it is the spread of the cosines of pairs.",
        "LargeMarginSoftmaxLoss": f"{_BARE}its margin multiplies the angle.",
        "LiftedStructureLoss": f"{_BARE}it sets each positive pair against all of its negatives.",
        "ManifoldLoss": f"{_BARE}it learns proxies by random walks over the batch.",
        "MarginLoss": f"{_BARE}it learns the boundary between near and far.",
        "MultiSimilarityLoss": ("multi_similarity",),
        "MultipleLosses": f"{_BARE}it adds up losses.",
        "NCALoss": f"{_BARE}its denominator holds the rows of the batch and no proxies.",
        "NPairsLoss": ("info_nce",),
        "NTXentLoss": ("info_nce", "nt_xent"),
        "NormalizedSoftmaxLoss": ("cosface",),
        "P2SGradLoss": f"{_BARE}it is made of the gradient of a softmax of cosines.",
        "PNPLoss": f"{_BARE}it counts the negatives ranked before a positive.",
        "ProxyAnchorLoss": f"{_BARE}its anchors are the proxies.",
        "ProxyNCALoss": ("proxy_nca",),
        "RankedListLoss": f"{_BARE}it keeps each class inside a ball.",
        "SelfSupervisedLoss": ("info_nce",),
        "SignalToNoiseRatioContrastiveLoss": f"{_BARE}its distance is a ratio of variances.",
        "SmoothAPLoss": f"{_BARE}it is the average precision, by sigmoids.",
        "SoftTripleLoss": f"{_BARE}it has several centres a class.",
        "SphereFaceLoss": f"{_BARE}its margin multiplies the angle.",
        "SubCenterArcFaceLoss": f"{_BARE}it has several centres a class.",
        "SupConLoss": ("supcon",),
        "ThresholdConsistentMarginLoss": f"{_BARE}it is a penalty on cosines beyond two thresholds.",
        "TripletMarginLoss": ("triplet_margin",),
        "TupletMarginLoss": f"{_BARE}its margin divides the angle.",
        "VICRegLoss": ("vicreg",),
        "WeightRegularizerMixin": f"{_BARE}it is a base class.",
    },
}


# --- measuring


def run(code: str, names: Mapping[str, Any]) -> Any:
    """The value of the code's last line, as a notebook gives it."""
    tree = ast.parse(code)
    last = tree.body.pop()
    if not isinstance(last, ast.Expr):
        raise ValueError(f"the last line is no expression: {code}")
    scope = dict(names)
    exec(compile(tree, "<call>", "exec"), scope)
    return eval(compile(ast.Expression(last.value), "<call>", "eval"), scope)


def measure(row: Row) -> dict[str, Any]:
    """The row as the file holds it.

    Raises:
        ValueError: the row claims what was not measured.
    """
    library, inputs = LIBRARIES[row.library], tensors(row.at)
    params = get(row.key).resolve(row.params)
    ours, slopes = value_and_grad(row.key, inputs, params)
    theirs, their_slopes = _theirs(row.call, row, inputs)
    left, right, adjusted = float(ours), theirs, None
    if row.ours:
        ours_too, slopes = value_and_grad(row.key, inputs, params | dict(row.ours))
        left = adjusted = float(ours_too)
    if row.adjust:
        right, their_slopes = _theirs(row.adjust, row, inputs)
        adjusted = right
    _check_kind(row, float(ours), theirs, left, right)
    deviation = _deviation(slopes[get(row.key).differentiable[0]], their_slopes)
    _check_gradient(row, deviation)
    exact = math.isclose(left, right, rel_tol=10.0**-DIGITS)
    return {
        "library": row.library,
        "call": row.call,
        "params": dict(row.params),
        "input": row.at,
        "ours": _number(float(ours)),
        "theirs": _number(theirs),
        # Of the two numbers as they are shown, so that it adds up.
        "difference": _number(float(_number(theirs)) - float(_number(float(ours))), like=float(ours)),
        "ratio": _number(theirs / float(ours)) if ours and math.isfinite(ours) else None,
        "kind": row.kind,
        "adjust": row.adjust or ", ".join(f"{name}={value!r}" for name, value in row.ours.items()),
        "adjusts": "theirs" if row.adjust else "ours" if row.ours else "",
        "adjusted": None if adjusted is None else _number(adjusted),
        "tolerance": row.close,
        "gradient_difference": None if deviation is None else float(f"{deviation:.1g}") * (deviation >= 1e-12),
        "gradient": row.gradient or library.no_gradient,
        "reason": row.reason if exact or row.kind == "different" else f"{row.reason} {library.precision}".strip(),
    }


def _theirs(code: str, row: Row, inputs: Mapping[str, Tensor]) -> tuple[float, Tensor | None]:
    """The value that the code gives, and its gradient by the first differentiable input, where there is one."""
    library, first = LIBRARIES[row.library], get(row.key).differentiable[0]
    names = _modules(library)
    try:
        if library.arrays == "numpy":
            return float(_with_theirs(code, row, names | {k: v.numpy() for k, v in inputs.items()})), None
        if library.arrays == "jax":
            # JAX computes in float32 unless told otherwise; for this call alone, not for the whole process.
            with names["jax"].enable_x64(True):
                arrays = names | {key: names["jnp"].asarray(value.numpy()) for key, value in inputs.items()}
                both = names["jax"].value_and_grad(lambda leaf: _with_theirs(code, row, arrays | {first: leaf}))
                value, slope = both(arrays[first])
            return float(value), torch.tensor(slope.tolist(), dtype=torch.float64)
        leaf = inputs[first].clone().requires_grad_()
        value = _with_theirs(code, row, names | dict(inputs) | {first: leaf})
        return float(value.detach()), torch.autograd.grad(value, leaf)[0]
    finally:
        if row.library == "Keras":
            names["keras"].config.set_epsilon(EPSILON)


def _with_theirs(code: str, row: Row, names: Mapping[str, Any]) -> Any:
    return run(code, {**names, "theirs": run(row.call, names)} if "theirs" in code else names)


def _modules(library: Library) -> dict[str, Any]:
    """What the import lines bring."""
    scope: dict[str, Any] = {}
    exec("\n".join(library.imports), scope)
    return scope


def _check_kind(row: Row, ours: float, theirs: float, left: float, right: float) -> None:
    agree = math.isclose(ours, theirs, rel_tol=row.close)
    if agree != (row.kind == "same"):
        raise ValueError(f"{row.kind}: ours {ours!r}, theirs {theirs!r}")
    if (row.kind == "explained") != bool(row.adjust or row.ours):
        raise ValueError(f"{row.kind} with the adjustment {row.adjust or dict(row.ours)!r}")
    if row.kind == "explained" and not math.isclose(left, right, rel_tol=row.close):
        raise ValueError(f"explained by {row.adjust or row.ours}: ours {left!r}, theirs {right!r}")


def _deviation(ours: Tensor, theirs: Tensor | None) -> float | None:
    """The largest difference relative to the largest slope."""
    if theirs is None:
        return None
    largest = max(float(ours.abs().max()), float(theirs.abs().max()))
    return float((ours - theirs).abs().max()) / largest if largest else 0.0


def _check_gradient(row: Row, deviation: float | None) -> None:
    # Slopes of float32 lose a digit that their mean keeps.
    agree = deviation is None or deviation <= 10 * row.close
    if row.kind != "different" and agree == bool(row.gradient):
        raise ValueError(f"gradient differs by {deviation}, said of it: {row.gradient!r}")


def _number(value: float, like: float | None = None) -> float | str:
    """The value to ``DIGITS`` significant digits, of ``like`` where that is given; strict JSON has no infinity."""
    if not math.isfinite(value):
        return str(value)
    if like is None or not math.isfinite(like) or not like:
        return float(f"{value:.{DIGITS}g}")
    # Adding 0 turns minus 0 into 0.
    return float(f"{round(value, DIGITS - 1 - math.floor(math.log10(abs(like)))):.{DIGITS}g}") + 0.0


def main() -> int:
    """Measures all rows; writes the file, or says what is wrong and returns 1."""
    rows: dict[str, list[dict[str, Any]]] = {}
    wrong = 0
    for row in ROWS:
        try:
            rows.setdefault(row.key, []).append(measure(row))
        except Exception as error:  # each row is tried, so that all errors are seen at once
            wrong += 1
            print(f"{row.key}, {row.library} at {row.at!r}:\n{row.call}\n  {type(error).__name__}: {error}\n")
    if wrong:
        print(f"{wrong} of {len(ROWS)} rows are wrong; nothing was written.")
        return 1
    distributions = sorted({"torch", *(name for library in LIBRARIES.values() for name in library.distributions)})
    text = {
        "versions": {name: metadata.version(name).partition("+")[0] for name in distributions},
        "imports": {name: list(library.imports) for name, library in sorted(LIBRARIES.items())},
        "inputs": {name: dict(INPUTS[name]) for name in sorted({row.at for row in ROWS})},
        "rows": {key: rows[key] for key in sorted(rows)},
    }
    FILE.write_text(json.dumps(text, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    print(f"{len(ROWS)} rows written to {FILE}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
