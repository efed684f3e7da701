"""Losses between a number and its label that outliers cannot drag away, and their relatives."""

import math

import torch
from torch import Tensor

from lossviz.losses._checks import check_finite, require_elementwise
from lossviz.losses.entry import Code, Inputs, Line, Loss, Params, Properties, no, yes

_INPUTS = {"pred": "prediction, any shape", "target": "label, the shape of pred"}
_EVERYWHERE = "all real predictions and labels"


def _check_finite(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"], target=inputs["target"])


def _residual(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return pred - target


# --- root mean squared error


def rmse(*, pred: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared error: as convex and as easily dragged as ``mse``, in the unit of the label.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.

    Returns:
        The scalar, shape ``()``: no mean of losses of samples gives it.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    # The distance's slope at 0 is 0; that of the square root of a mean is infinite, times 0: NaN.
    return torch.dist(pred, target) / math.sqrt(pred.numel())


def _rmse_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    value = rmse(pred=pred, target=target)
    slope = (pred - target) / (pred.numel() * value)
    return {"pred": torch.where(value > 0, slope, torch.zeros_like(slope))}


def _mean_square(*, pred: Tensor, target: Tensor) -> Tensor:
    return ((pred - target) ** 2).mean()


def _rmse_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _mean_square(pred=pred, target=target).sqrt()


RMSE = Loss(
    key="rmse",
    name="Root mean squared error",
    family="robust",
    input_kind="regression_batch",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=rmse,
    denominator=None,
    check=_check_finite,
    grad=_rmse_grad,
    formula=(
        Line(r"r_i = \hat y_i - y_i", _residual),
        Line(r"m = \frac{1}{N} \sum_i r_i^2", _mean_square),
        Line(r"L = \sqrt{m}", _rmse_line),
    ),
    gradient=r"\frac{\partial L}{\partial \hat y_i} = \frac{r_i}{N L}, \quad 0 \text{ at } L = 0",
    params={},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=lambda _: 1.0),
        smooth=no(_EVERYWHERE, {"pred": [-1e-9], "target": [0.0]}, {"pred": [1e-9], "target": [0.0]}),
        symmetric=yes("all errors of the batch change sign together"),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "It is no mean over samples: the mean of the batches' values is not the value of all samples together.",
        "A plain square root has the gradient NaN where every prediction is exact; here it is 0.",
    ),
    reference="Legendre (1805), Nouvelles méthodes pour la détermination des orbites des comètes.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.mse_loss(pred, target).sqrt()\n",
        keras=None,
        optax="import jax.numpy as jnp\nimport optax\n\n"
        "loss = jnp.sqrt(optax.losses.squared_error(pred, target).mean())\n",
        note="In scikit-learn, root_mean_squared_error is the same for one output.",
    ),
)


LOSSES: tuple[Loss, ...] = (RMSE,)
