"""Losses between a predicted number and a label.

All of them are elementwise: ``pred`` and ``target`` have one shape, nothing is broadcast, and the scalar is the mean.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import relu

from lossviz.losses._checks import check_finite, check_where, require_elementwise
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Code,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    no,
    number_of_values,
    yes,
)

_INPUTS = {"pred": "prediction, any shape", "target": "label, the shape of pred"}
_EVERYWHERE = "all real predictions and labels"


def _check_finite(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"], target=inputs["target"])


def _residual(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return pred - target


def _residual_by_pred(*, pred: Tensor, **_: object) -> Tensor:
    return torch.ones_like(pred)


_RESIDUAL_BY_PRED = Line(r"\frac{\partial r}{\partial \hat y} = 1", _residual_by_pred)
_CHAIN = r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d r} \cdot \frac{\partial r}{\partial \hat y} = "


def _one(params: Params) -> float:
    return 1.0


# --- mean squared error


def mse(*, pred: Tensor, target: Tensor) -> Tensor:
    """Squared error, without the factor 1/2 that some texts put in front.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target`` squared.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    return (pred - target) ** 2


def _mse_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": 2 * (pred - target)}


def _mse_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    residual = pred - target
    return residual * residual


def _mse_by_residual(*, pred: Tensor, target: Tensor) -> Tensor:
    residual = _residual(pred=pred, target=target)
    return residual + residual


MSE = Loss(
    key="mse",
    name="Mean squared error",
    name_zh="均方误差",
    family="regression",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=mse,
    denominator=number_of_values,
    check=_check_finite,
    grad=_mse_grad,
    formula=(Line(r"r = \hat y - y", _residual), Line(r"\ell = r^2", _mse_line)),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = 2 r",
    derivation=(
        _RESIDUAL_BY_PRED,
        Line(r"\frac{d \ell}{d r} = \frac{d}{d r} (r \cdot r) = r + r = 2 r", _mse_by_residual),
        Line(_CHAIN + r"2 r \cdot 1 = 2 (\hat y - y)", _mse_by_residual),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        convex_in_logits=NOT_APPLICABLE,
        bounded=no(_EVERYWHERE, {"pred": [1000.0], "target": [0.0]}),
        lipschitz=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        smooth=yes(_EVERYWHERE, constant=lambda _: 2.0),
        robust=no(_EVERYWHERE, {"pred": [0.0], "target": [1e6]}),
        symmetric=yes(_EVERYWHERE),
        proper=NOT_APPLICABLE,
        calibrated=NOT_APPLICABLE,
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "One outlier can outweigh all other samples, because its pull grows with its distance.",
        "Some libraries halve it: their gradient, and so the fitting learning rate, differs by a factor of 2.",
        "A prediction of shape (N, 1) against labels of shape (N,) broadcasts to (N, N) in plain tensor code; "
        "here it is an error.",
    ),
    reference="Legendre (1805), Nouvelles méthodes pour la détermination des orbites des comètes.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.mse_loss(pred, target)\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.mean_squared_error(target, pred))\n",
        optax="import optax\n\nloss = optax.losses.squared_error(pred, target).mean()\n",
        factors={"optax.losses.l2_loss": 0.5},
        note="Optax's l2_loss is half of this; its squared_error is the same.",
    ),
)


# --- mean absolute error


def mae(*, pred: Tensor, target: Tensor) -> Tensor:
    """Absolute error: every sample pulls equally hard, so the best constant prediction is the median.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    return (pred - target).abs()


def _mae_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": (pred - target).sign()}


def _mae_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return pred.maximum(target) - pred.minimum(target)


def _mae_by_residual(*, pred: Tensor, target: Tensor) -> Tensor:
    return (pred > target).to(pred.dtype) - (pred < target).to(pred.dtype)


MAE = Loss(
    key="mae",
    name="Mean absolute error",
    name_zh="平均绝对误差",
    family="regression",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=mae,
    denominator=number_of_values,
    check=_check_finite,
    grad=_mae_grad,
    formula=(Line(r"r = \hat y - y", _residual), Line(r"\ell = |r| = \max(\hat y, y) - \min(\hat y, y)", _mae_line)),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \operatorname{sign}(r), \quad 0 \text{ at } r = 0",
    derivation=(
        _RESIDUAL_BY_PRED,
        Line(r"\frac{d \ell}{d r} = \begin{cases} 1 & r > 0 \\ 0 & r = 0 \\ -1 & r < 0 \end{cases}", _mae_by_residual),
        Line(_CHAIN + r"\operatorname{sign}(r)", _mae_by_residual),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        convex_in_logits=NOT_APPLICABLE,
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=_one),
        smooth=no(_EVERYWHERE, {"pred": [-1e-9], "target": [0.0]}, {"pred": [1e-9], "target": [0.0]}),
        robust=yes(_EVERYWHERE, constant=_one),
        symmetric=yes(_EVERYWHERE),
        proper=NOT_APPLICABLE,
        calibrated=NOT_APPLICABLE,
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "The gradient keeps its size right up to the label, so a fixed learning rate oscillates around it.",
        "At zero error any slope from -1 to 1 is a subgradient; here and in PyTorch it is 0, in JAX it is 1.",
        "It fits the median, not the mean: on skewed labels the predictions come out below or above the average.",
    ),
    reference="Laplace (1774), Mémoire sur la probabilité des causes par les événements.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.l1_loss(pred, target)\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.mean_absolute_error(target, pred))\n",
        optax=None,
        note="In JAX, jnp.abs(pred - target).mean() has slope 1 at zero error.",
    ),
)


# --- Huber


def huber(*, pred: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
    """Squared error near the label, absolute error far from it: an outlier pulls no harder than ``delta``.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        delta: where the two halves meet, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target`` squared.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Huber (1964), doi:10.1214/aoms/1177703732.
    """
    require_elementwise(pred=pred, target=target)
    distance = (pred - target).abs()
    near = distance.clamp(max=delta)
    return 0.5 * near**2 + delta * (distance - near)


def _huber_grad(*, pred: Tensor, target: Tensor, delta: float) -> dict[str, Tensor]:
    return {"pred": (pred - target).clamp(-delta, delta)}


def _huber_near(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return 0.5 * (pred - target) ** 2


def _huber_far(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    return delta * ((pred - target).abs() - 0.5 * delta)


def _huber_line(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    near, far = _huber_near(pred=pred, target=target), _huber_far(pred=pred, target=target, delta=delta)
    return near.where((pred - target).abs() <= delta, far)


def _huber_far_by_residual(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    return delta * _residual(pred=pred, target=target).sign()


def _huber_by_pred(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    residual = _residual(pred=pred, target=target)
    return residual.where(residual.abs() <= delta, _huber_far_by_residual(pred=pred, target=target, delta=delta))


HUBER = Loss(
    key="huber",
    name="Huber loss",
    name_zh="Huber 损失",
    family="regression",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=huber,
    denominator=number_of_values,
    check=_check_finite,
    grad=_huber_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(r"\ell_{\text{near}} = \tfrac{1}{2} r^2", _huber_near),
        Line(r"\ell_{\text{far}} = \delta \left(|r| - \tfrac{1}{2} \delta\right)", _huber_far),
        Line(
            r"\ell = \begin{cases} \ell_{\text{near}} & |r| \le \delta \\ \ell_{\text{far}} & |r| > \delta \end{cases}",
            _huber_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \min(\max(r, -\delta), \delta)",
    derivation=(
        _RESIDUAL_BY_PRED,
        Line(r"\frac{d \ell_{\text{near}}}{d r} = \tfrac{1}{2} \cdot 2 r = r", _residual),
        Line(r"\frac{d \ell_{\text{far}}}{d r} = \delta \operatorname{sign}(r)", _huber_far_by_residual),
        Line(
            _CHAIN
            + r"\begin{cases} r & |r| \le \delta \\ \delta \operatorname{sign}(r) & |r| > \delta \end{cases} \; = "
            r"\min(\max(r, -\delta), \delta)",
            _huber_by_pred,
        ),
    ),
    params={
        "delta": Number("Residuals beyond this are outliers and pull with this strength.", 1.0, 0.01, 100.0, "log")
    },
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        convex_in_logits=NOT_APPLICABLE,
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=lambda p: p["delta"]),
        smooth=yes(_EVERYWHERE, constant=_one),
        robust=yes(_EVERYWHERE, source="Huber (1964), doi:10.1214/aoms/1177703732.", constant=lambda p: p["delta"]),
        symmetric=yes(_EVERYWHERE),
        proper=NOT_APPLICABLE,
        calibrated=NOT_APPLICABLE,
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "delta is in the unit of the label: after rescaling the labels it has to be rescaled too.",
        "PyTorch's smooth_l1_loss with beta = delta is this divided by delta.",
        "Near the label it is half the squared error, so as delta grows it tends to half of mse.",
    ),
    reference="Huber (1964), Robust estimation of a location parameter, doi:10.1214/aoms/1177703732.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.huber_loss(pred, target, delta={delta})\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.huber(target, pred, delta={delta}))\n",
        optax="import optax\n\nloss = optax.losses.huber_loss(pred, target, delta={delta}).mean()\n",
        note="All three agree. Smooth L1 with beta = delta is this divided by delta.",
    ),
)


# --- mean squared logarithmic error


def msle(*, pred: Tensor, target: Tensor) -> Tensor:
    """Squared error of ``log(1 + x)``: being wrong by a factor costs much the same for small and large labels.

    Args:
        pred: predictions, shape ``(*batch)``; at least 0.
        target: labels, same shape; at least 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    return (pred.log1p() - target.log1p()) ** 2


def _msle_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": 2 * (pred.log1p() - target.log1p()) / (1 + pred)}


def _check_nonnegative(inputs: Inputs, params: Params) -> None:
    _check_finite(inputs, params)
    for name in ("pred", "target"):
        check_where(name, inputs[name], inputs[name] >= 0, "0 or more")


def _log_pred(*, pred: Tensor, **_: object) -> Tensor:
    return pred.log1p()


def _log_target(*, target: Tensor, **_: object) -> Tensor:
    return target.log1p()


def _msle_line(*, pred: Tensor, target: Tensor) -> Tensor:
    difference = _log_pred(pred=pred) - _log_target(target=target)
    return difference * difference


_MSLE_MAX_LABEL = 1e6


def _log_pred_by_pred(*, pred: Tensor, **_: object) -> Tensor:
    return 1 / (1 + pred)


def _msle_by_log_pred(*, pred: Tensor, target: Tensor) -> Tensor:
    return 2 * (_log_pred(pred=pred) - _log_target(target=target))


def _msle_by_pred(*, pred: Tensor, target: Tensor) -> Tensor:
    return _msle_by_log_pred(pred=pred, target=target) * _log_pred_by_pred(pred=pred)


MSLE = Loss(
    key="msle",
    name="Mean squared logarithmic error",
    name_zh="均方对数误差",
    family="regression",
    tasks=("regression",),
    input_kind="nonnegative",
    inputs={"pred": "prediction of 0 or more, any shape", "target": "label of 0 or more, the shape of pred"},
    differentiable=("pred",),
    fn=msle,
    denominator=number_of_values,
    check=_check_nonnegative,
    grad=_msle_grad,
    formula=(
        Line(r"a = \ln(1 + \hat y)", _log_pred),
        Line(r"b = \ln(1 + y)", _log_target),
        Line(r"\ell = (a - b)^2", _msle_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{2 (a - b)}{1 + \hat y}",
    derivation=(
        Line(r"\frac{\partial a}{\partial \hat y} = \frac{1}{1 + \hat y}", _log_pred_by_pred),
        Line(r"\frac{\partial \ell}{\partial a} = 2 (a - b)", _msle_by_log_pred),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{\partial \ell}{\partial a} \cdot "
            r"\frac{\partial a}{\partial \hat y} = \frac{2 (a - b)}{1 + \hat y}",
            _msle_by_pred,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=no(
            "predictions and labels of 0 or more",
            {"pred": [10.0], "target": [0.0]},
            {"pred": [1000.0], "target": [0.0]},
        ),
        convex_in_logits=NOT_APPLICABLE,
        bounded=no("predictions and labels of 0 or more", {"pred": [1e300], "target": [0.0]}),
        lipschitz=yes(
            "predictions of 0 or more, labels from 0 to 1,000,000", constant=lambda _: 2 * math.log1p(_MSLE_MAX_LABEL)
        ),
        smooth=yes(
            "predictions of 0 or more, labels from 0 to 1,000,000",
            constant=lambda _: 2 + 2 * math.log1p(_MSLE_MAX_LABEL),
        ),
        robust=no("predictions and labels of 0 or more", {"pred": [0.0], "target": [1e308]}),
        symmetric=no(
            "predictions and labels of 0 or more",
            {"pred": [15.0], "target": [10.0]},
            {"pred": [5.0], "target": [10.0]},
        ),
        proper=NOT_APPLICABLE,
        calibrated=NOT_APPLICABLE,
        scale_invariant=no("predictions and labels of 0 or more", {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "Negative values have no place here: some libraries raise, some clip in silence, some return NaN.",
        "Predicting too little costs more than predicting too much by the same amount.",
        "It takes log(1 + x), not log(x), so below 1 it behaves like plain squared error.",
        "It is not convex in the prediction: far above the label the gradient fades.",
    ),
    reference="Folklore; popular for forecasts of counts and prices.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "loss = F.mse_loss(torch.log1p(pred), torch.log1p(target))\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.mean_squared_logarithmic_error(target, pred))\n",
        optax="import jax.numpy as jnp\n"
        "import optax\n\n"
        "loss = optax.losses.squared_error(jnp.log1p(pred), jnp.log1p(target)).mean()\n",
        note="Keras clips both sides at its epsilon, 1e-7, before the logarithm.",
    ),
)


# --- quantile


def quantile(*, pred: Tensor, target: Tensor, q: float = 0.5) -> Tensor:
    """Tilted absolute error: the best constant prediction is the ``q``-quantile of the labels.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        q: the quantile; between 0 and 1. Predicting too little costs ``q`` per unit, too much ``1 - q``.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Koenker and Bassett (1978), doi:10.2307/1913643.
    """
    require_elementwise(pred=pred, target=target)
    shortfall = target - pred
    return q * relu(shortfall) + (1 - q) * relu(-shortfall)


def _quantile_grad(*, pred: Tensor, target: Tensor, q: float) -> dict[str, Tensor]:
    return {"pred": (1 - q) * (pred > target).to(pred.dtype) - q * (pred < target).to(pred.dtype)}


def _shortfall(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return target - pred


def _quantile_line(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    shortfall = _shortfall(pred=pred, target=target)
    return (q * shortfall).maximum((q - 1) * shortfall)


def _quantile_slope(params: Params) -> float:
    return max(params["q"], 1 - params["q"])


def _shortfall_by_pred(*, pred: Tensor, **_: object) -> Tensor:
    return -torch.ones_like(pred)


def _quantile_by_shortfall(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    shortfall = _shortfall(pred=pred, target=target)
    return q * (shortfall > 0).to(pred.dtype) + (q - 1) * (shortfall < 0).to(pred.dtype)


def _quantile_by_pred(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    return _quantile_by_shortfall(pred=pred, target=target, q=q) * _shortfall_by_pred(pred=pred)


QUANTILE = Loss(
    key="quantile",
    name="Quantile (pinball) loss",
    name_zh="分位数（弹球）损失",
    family="regression",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=quantile,
    denominator=number_of_values,
    check=_check_finite,
    grad=_quantile_grad,
    formula=(Line(r"r = y - \hat y", _shortfall), Line(r"\ell = \max(q\,r, (q - 1)\,r)", _quantile_line)),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = "
    r"\begin{cases} -q & r > 0 \\ 0 & r = 0 \\ 1 - q & r < 0 \end{cases}",
    derivation=(
        Line(r"\frac{\partial r}{\partial \hat y} = -1", _shortfall_by_pred),
        Line(
            r"\frac{d \ell}{d r} = \begin{cases} q & r > 0 \\ 0 & r = 0 \\ q - 1 & r < 0 \end{cases}",
            _quantile_by_shortfall,
        ),
        Line(_CHAIN + r"\begin{cases} -q & r > 0 \\ 0 & r = 0 \\ 1 - q & r < 0 \end{cases}", _quantile_by_pred),
    ),
    params={"q": Number("The quantile to predict.", 0.5, 0.001, 0.999)},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        convex_in_logits=NOT_APPLICABLE,
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=_quantile_slope),
        smooth=no(_EVERYWHERE, {"pred": [-1e-9], "target": [0.0]}, {"pred": [1e-9], "target": [0.0]}),
        robust=yes(_EVERYWHERE, constant=_quantile_slope),
        symmetric=no(
            "all real predictions and labels; it is symmetric at q = 0.5 alone",
            {"pred": [1.0], "target": [0.0]},
            {"pred": [-1.0], "target": [0.0]},
            q=0.9,
        ),
        proper=NOT_APPLICABLE,
        calibrated=NOT_APPLICABLE,
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "The residual is label minus prediction, so q weighs predictions that are too low.",
        "At q = 0.5 it is half the absolute error, not the absolute error.",
        "Quantiles fitted one by one may cross: the predicted 90 % quantile can come out below the 50 % one.",
        "At zero error any slope from -q to 1 - q is a subgradient; here it is 0.",
    ),
    reference="Koenker and Bassett (1978), Regression quantiles, doi:10.2307/1913643.",
    code=Code(
        pytorch="import torch\n\nerror = target - pred\nloss = torch.maximum({q} * error, ({q} - 1) * error).mean()\n",
        keras=None,
        optax=None,
        factors={"torch.nn.functional.l1_loss": 2.0},
        note="At q = 0.5 the mean absolute error is twice this. scikit-learn's mean_pinball_loss is the same.",
    ),
)


LOSSES: tuple[Loss, ...] = (MSE, MAE, HUBER, MSLE, QUANTILE)
