"""Losses between a number and its label that come from a distribution, or that count relative errors."""

import math

import torch
from torch import Tensor

from lossviz.losses._checks import (
    check_above,
    check_at_least,
    check_finite,
    check_where,
    require_elementwise,
    require_floating,
    require_same_shape,
)
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Choice,
    Code,
    Flag,
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

_EVERYWHERE = "all real predictions and labels"
_NONNEGATIVE = "predictions and labels of 0 or more"
_POSITIVE = "predictions and labels above 0"
_GLM = "Nelder and Wedderburn (1972), Generalized linear models, doi:10.2307/2344614."


def _check_finite(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"], target=inputs["target"])


def _inverse_eps(params: Params) -> float:
    return 1 / params["eps"]


def _nothing_by_pred(*, pred: Tensor, **_: object) -> Tensor:
    return torch.zeros_like(pred)


# --- root mean squared logarithmic error


def rmsle(*, pred: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared error of ``log(1 + x)``: roughly the relative error of a typical large label.

    Args:
        pred: predictions, shape ``(*batch)``; at least 0.
        target: labels, same shape; at least 0.

    Returns:
        The scalar, shape ``()``, without unit: no mean of losses of samples gives it.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    # The distance's slope at 0 is 0; that of the square root of a mean is infinite, times 0: NaN.
    return torch.dist(pred.log1p(), target.log1p()) / math.sqrt(pred.numel())


def _rmsle_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    value = rmsle(pred=pred, target=target)
    slope = (pred.log1p() - target.log1p()) / (1 + pred) / (pred.numel() * value)
    return {"pred": torch.where(value > 0, slope, torch.zeros_like(slope))}


def _check_nonnegative(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    for name in ("pred", "target"):
        check_at_least(name, inputs[name], 0)


def _log_ratio(*, pred: Tensor, target: Tensor) -> Tensor:
    return ((1 + pred) / (1 + target)).log()


def _rmsle_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return (_log_ratio(pred=pred, target=target) ** 2).mean().sqrt()


def _log_ratio_by_pred(*, pred: Tensor, **_: object) -> Tensor:
    return 1 / (1 + pred)


def _rmsle_by_log_ratio(*, pred: Tensor, target: Tensor) -> Tensor:
    value = _rmsle_line(pred=pred, target=target)
    slope = _log_ratio(pred=pred, target=target) / (pred.numel() * value)
    return torch.where(value > 0, slope, torch.zeros_like(slope))


def _rmsle_by_pred(*, pred: Tensor, target: Tensor) -> Tensor:
    return _rmsle_by_log_ratio(pred=pred, target=target) * _log_ratio_by_pred(pred=pred)


RMSLE = Loss(
    key="rmsle",
    name="Root mean squared logarithmic error",
    name_zh="均方根对数误差",
    family="deviance",
    tasks=("regression",),
    input_kind="nonnegative_batch",
    inputs={"pred": "prediction of 0 or more, any shape", "target": "label of 0 or more, the shape of pred"},
    differentiable=("pred",),
    fn=rmsle,
    denominator=None,
    check=_check_nonnegative,
    grad=_rmsle_grad,
    formula=(
        Line(r"d_i = \ln(1 + \hat y_i) - \ln(1 + y_i) = \ln \frac{1 + \hat y_i}{1 + y_i}", _log_ratio),
        Line(r"L = \sqrt{\frac{1}{N} \sum_i d_i^2}", _rmsle_line),
    ),
    gradient=r"\frac{\partial L}{\partial \hat y_i} = \frac{d_i}{N L (1 + \hat y_i)}, \quad 0 \text{ at } L = 0",
    derivation=(
        Line(r"\frac{\partial d_i}{\partial \hat y_i} = \frac{1}{1 + \hat y_i}", _log_ratio_by_pred),
        Line(
            r"\frac{\partial L}{\partial d_i} = \frac{1}{2 L} \cdot \frac{2 d_i}{N} = \frac{d_i}{N L}, "
            r"\quad 0 \text{ at } L = 0",
            _rmsle_by_log_ratio,
        ),
        Line(
            r"\frac{\partial L}{\partial \hat y_i} = \frac{\partial L}{\partial d_i} \cdot "
            r"\frac{\partial d_i}{\partial \hat y_i} = \frac{d_i}{N L (1 + \hat y_i)}",
            _rmsle_by_pred,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=no(_NONNEGATIVE, {"pred": [10.0], "target": [0.0]}, {"pred": [1000.0], "target": [0.0]}),
        bounded=no(_NONNEGATIVE, {"pred": [1e300], "target": [0.0]}),
        lipschitz=yes(_NONNEGATIVE, constant=lambda _: 1.0),
        smooth=no(_NONNEGATIVE, {"pred": [1 - 1e-9], "target": [1.0]}, {"pred": [1 + 1e-9], "target": [1.0]}),
        robust=no(
            "all numbers of 0 or more: the logarithm of a single label can outvote those of all others",
            {"pred": [20.0] * 5, "target": [0.0, 0.0, 0.0, 0.0, 1e9]},
        ),
        symmetric=no(
            "all errors of the batch change sign together",
            {"pred": [3.0], "target": [1.5]},
            {"pred": [0.0], "target": [1.5]},
        ),
        scale_invariant=no(_NONNEGATIVE, {"pred": [2.0], "target": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "It is no mean over samples: the mean of the batches' values is not the value of all samples together.",
        "Negative values have no place here: some libraries raise, some clip in silence, some return NaN.",
        "A plain square root has the gradient NaN where every prediction is exact; here it is 0.",
    ),
    reference="Folklore; known from competitions that forecast prices and counts.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "loss = F.mse_loss(torch.log1p(pred), torch.log1p(target)).sqrt()\n",
        keras="import keras\n\n"
        "losses = keras.losses.mean_squared_logarithmic_error(target, pred)\n"
        "loss = keras.ops.sqrt(keras.ops.mean(losses))\n",
        optax="import jax.numpy as jnp\n"
        "import optax\n\n"
        "loss = jnp.sqrt(optax.losses.squared_error(jnp.log1p(pred), jnp.log1p(target)).mean())\n",
        note="In scikit-learn, root_mean_squared_log_error is the same for one output.",
    ),
)


# --- mean absolute percentage error


def mape(*, pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """Absolute error as a fraction of the label; times 100 it is a percentage.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape; of either sign.
        eps: labels nearer to 0 are divided by this instead, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    return (pred - target).abs() / _label_size(target=target, eps=eps)


def _label_size(*, target: Tensor, eps: float, **_: object) -> Tensor:
    return target.abs().clamp(min=eps)


def _mape_grad(*, pred: Tensor, target: Tensor, eps: float) -> dict[str, Tensor]:
    return {"pred": (pred - target).sign() / _label_size(target=target, eps=eps)}


def _mape_line(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    size = _label_size(target=target, eps=eps)
    return (pred / size - target / size).abs()


def _error_size_by_pred(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (pred > target).to(pred.dtype) - (pred < target).to(pred.dtype)


_ERROR_SIZE_BY_PRED = Line(
    r"\frac{\partial |\hat y - y|}{\partial \hat y} = \operatorname{sign}(\hat y - y), \quad 0 \text{ at } \hat y = y",
    _error_size_by_pred,
)


def _mape_by_pred(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    return _error_size_by_pred(pred=pred, target=target) / _label_size(target=target, eps=eps)


MAPE = Loss(
    key="mape",
    name="Mean absolute percentage error",
    name_zh="平均绝对百分比误差",
    family="deviance",
    tasks=("regression",),
    input_kind="regression",
    inputs={"pred": "prediction, any shape", "target": "label, the shape of pred"},
    differentiable=("pred",),
    fn=mape,
    denominator=number_of_values,
    check=_check_finite,
    grad=_mape_grad,
    formula=(
        Line(r"m = \max(|y|, \epsilon)", _label_size),
        Line(r"\ell = \frac{|\hat y - y|}{m} = \left|\frac{\hat y}{m} - \frac{y}{m}\right|", _mape_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{\operatorname{sign}(\hat y - y)}{m}",
    derivation=(
        _ERROR_SIZE_BY_PRED,
        Line(r"\frac{\partial m}{\partial \hat y} = 0", _nothing_by_pred),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{1}{m} \cdot "
            r"\frac{\partial |\hat y - y|}{\partial \hat y} = \frac{\operatorname{sign}(\hat y - y)}{m}",
            _mape_by_pred,
        ),
    ),
    params={"eps": Number("Labels nearer to 0 than this are divided by it instead.", 1e-7, 1e-12, 1.0, "log")},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [1.0]}),
        lipschitz=yes("all real predictions and labels; where y is not near 0, 1 / |y| will do", constant=_inverse_eps),
        smooth=no(_EVERYWHERE, {"pred": [1 - 1e-9], "target": [1.0]}, {"pred": [1 + 1e-9], "target": [1.0]}),
        robust=yes(
            "all real predictions and labels; a label near 0 pulls hardest, a large one hardly", constant=_inverse_eps
        ),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=yes("labels further from 0 than eps", eps=1e-12),
    ),
    pitfalls=(
        "A label of 0 gives an enormous loss that eps alone decides: libraries have 1e-7, 1.17e-6 or 2.2e-16.",
        "Keras gives percent, 100 times this; scikit-learn and torchmetrics give the fraction.",
        "Where labels and predictions are positive it rewards low ones: too low costs 1 at most, "
        "too high without limit.",
    ),
    reference="Folklore of forecasting; for its faults see Hyndman and Koehler (2006), "
    "doi:10.1016/j.ijforecast.2006.03.001.",
    code=Code(
        pytorch="loss = ((pred - target).abs() / target.abs().clamp(min={eps})).mean()\n",
        keras="import keras\n\n"
        "loss = keras.ops.mean(\n"
        "    keras.ops.abs(pred - target) / keras.ops.maximum(keras.ops.abs(target), {eps})\n"
        ")\n",
        optax=None,
        note="Keras's own mean_absolute_percentage_error is 100 times this, with eps at keras.config.epsilon().",
    ),
)


# --- symmetric mean absolute percentage error


def smape(*, pred: Tensor, target: Tensor, eps: float = 1.17e-6) -> Tensor:
    """Absolute error as a fraction of the mean of both sizes; from 0 to 2.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape; of either sign.
        eps: smallest sum of both sizes to divide by, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit; from 0 to 2.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Makridakis (1993), doi:10.1016/0169-2070(93)90079-3.
    """
    require_elementwise(pred=pred, target=target)
    return 2 * (pred - target).abs() / _both_sizes(pred=pred, target=target, eps=eps)


def _both_sizes(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    return (pred.abs() + target.abs()).clamp(min=eps)


def _smape_grad(*, pred: Tensor, target: Tensor, eps: float) -> dict[str, Tensor]:
    residual, size = pred - target, _both_sizes(pred=pred, target=target, eps=eps)
    grows = pred.sign() * (pred.abs() + target.abs() >= eps).to(pred.dtype)
    return {"pred": 2 * (residual.sign() - residual.abs() / size * grows) / size}


def _smape_line(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    size = _both_sizes(pred=pred, target=target, eps=eps)
    return 2 * (pred / size - target / size).abs()


def _smape_slope(params: Params) -> float:
    return 4 / params["eps"]


def _both_sizes_by_pred(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    return pred.sign() * (pred.abs() + target.abs() >= eps).to(pred.dtype)


def _smape_by_pred(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    size = _both_sizes(pred=pred, target=target, eps=eps)
    through_error = size * _error_size_by_pred(pred=pred, target=target)
    through_size = (pred - target).abs() * _both_sizes_by_pred(pred=pred, target=target, eps=eps)
    return 2 * (through_error - through_size) / size**2


SMAPE = Loss(
    key="smape",
    name="Symmetric mean absolute percentage error",
    name_zh="对称平均绝对百分比误差",
    family="deviance",
    tasks=("regression",),
    input_kind="regression",
    inputs={"pred": "prediction, any shape", "target": "label, the shape of pred"},
    differentiable=("pred",),
    fn=smape,
    denominator=number_of_values,
    check=_check_finite,
    grad=_smape_grad,
    formula=(
        Line(r"s = \max(|\hat y| + |y|, \epsilon)", _both_sizes),
        Line(r"\ell = \frac{2 |\hat y - y|}{s} = 2 \left|\frac{\hat y}{s} - \frac{y}{s}\right|", _smape_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{2}{s} \left(\operatorname{sign}(\hat y - y) - "
    r"\frac{|\hat y - y|}{s} \operatorname{sign}(\hat y) [\,|\hat y| + |y| \ge \epsilon\,]\right)",
    derivation=(
        _ERROR_SIZE_BY_PRED,
        Line(
            r"\frac{\partial s}{\partial \hat y} = \operatorname{sign}(\hat y) [\,|\hat y| + |y| \ge \epsilon\,]",
            _both_sizes_by_pred,
        ),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{2}{s^2} \left("
            r"s \frac{\partial |\hat y - y|}{\partial \hat y} - |\hat y - y| \frac{\partial s}{\partial \hat y}\right)",
            _smape_by_pred,
        ),
    ),
    params={"eps": Number("Smallest sum of both sizes to divide by.", 1.17e-6, 1e-12, 1.0, "log")},
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, {"pred": [-1.0], "target": [1.0]}, {"pred": [1.0], "target": [1.0]}),
        bounded=yes(_EVERYWHERE, constant=lambda _: 2.0),
        lipschitz=yes(_EVERYWHERE, constant=_smape_slope),
        smooth=no(_EVERYWHERE, {"pred": [1 - 1e-9], "target": [1.0]}, {"pred": [1 + 1e-9], "target": [1.0]}),
        robust=yes(_EVERYWHERE, constant=_smape_slope),
        symmetric=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}, {"pred": [0.0], "target": [1.0]}),
        scale_invariant=yes("predictions and labels whose sizes add up to more than eps", eps=1e-12),
    ),
    pitfalls=(
        "Despite its name it is not symmetric in the error: one too low costs more than one too high.",
        "A prediction of the wrong sign costs exactly 2 and has no gradient, so nothing pulls it back.",
        "Three scales are in use: 0 to 2 (here), 0 to 1, and 0 % to 200 %.",
    ),
    reference="Makridakis (1993), Accuracy measures: theoretical and practical concerns, "
    "doi:10.1016/0169-2070(93)90079-3.",
    code=Code(
        pytorch="loss = (2 * (pred - target).abs() / (pred.abs() + target.abs()).clamp(min={eps})).mean()\n",
        keras=None,
        optax=None,
        note="In torchmetrics, symmetric_mean_absolute_percentage_error is the same.",
    ),
)


# --- Poisson negative log-likelihood


def poisson_nll(
    *, pred: Tensor, target: Tensor, log_input: bool = True, full: str = "none", eps: float = 1e-8
) -> Tensor:
    """Negative log-likelihood of counts: the noise of a large count is expected to be large.

    Args:
        pred: logarithms of the rates, or the rates themselves if not ``log_input``; shape ``(*batch)``.
        target: counts, same shape; at least 0, whole or not.
        log_input: whether ``pred`` holds logarithms.
        full: the term without ``pred``: ``"none"``, ``"exact"`` for the logarithm of the factorial, or
            ``"stirling"`` for its approximation, at counts above 1 alone.
        eps: added to a rate before its logarithm is taken; 0 or more. Not used if ``log_input``.

    Returns:
        Loss per value, shape ``(*batch)``, in nats; it may be negative.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    rate, log_rate = (pred.exp(), pred) if log_input else (pred, (pred + eps).log())
    return rate - target * log_rate + _constant(target=target, full=full)


def _constant(*, target: Tensor, full: str, **_: object) -> Tensor:
    if full == "exact":
        return (target + 1).lgamma()
    if full == "none":
        return torch.zeros_like(target)
    count = target.clamp(min=1)
    stirling = count * count.log() - count + 0.5 * (2 * math.pi * count).log()
    return stirling.where(target > 1, torch.zeros_like(target))


def _poisson_grad(*, pred: Tensor, target: Tensor, log_input: bool, full: str, eps: float) -> dict[str, Tensor]:
    return {"pred": pred.exp() - target if log_input else 1 - target / (pred + eps)}


def _check_poisson(inputs: Inputs, params: Params) -> None:
    _check_finite(inputs, params)
    pred, target = inputs["pred"], inputs["target"]
    check_at_least("target", target, 0)
    if not params["log_input"]:
        eps = params["eps"]
        allowed = "0 or more, since it is a rate" if eps > 0 else "above 0, since it is a rate and eps is 0"
        check_where("pred", pred, (pred >= 0) & (pred + eps > 0), allowed)


def _rate(*, pred: Tensor, log_input: bool, **_: object) -> Tensor:
    return pred.exp() if log_input else pred


def _log_rate(*, pred: Tensor, log_input: bool, eps: float, **_: object) -> Tensor:
    return pred if log_input else (pred + eps).log()


def _poisson_line(*, pred: Tensor, target: Tensor, log_input: bool, full: str, eps: float) -> Tensor:
    likelihood = target * _log_rate(pred=pred, log_input=log_input, eps=eps) - _rate(pred=pred, log_input=log_input)
    return _constant(target=target, full=full) - likelihood


def _rate_by_pred(*, pred: Tensor, log_input: bool, **_: object) -> Tensor:
    return pred.exp() if log_input else torch.ones_like(pred)


def _log_rate_by_pred(*, pred: Tensor, log_input: bool, eps: float, **_: object) -> Tensor:
    return torch.ones_like(pred) if log_input else 1 / (pred + eps)


def _poisson_by_pred(*, pred: Tensor, target: Tensor, log_input: bool, eps: float, **_: object) -> Tensor:
    log_rate = _log_rate_by_pred(pred=pred, log_input=log_input, eps=eps)
    return _rate_by_pred(pred=pred, log_input=log_input) - target * log_rate


POISSON_NLL = Loss(
    key="poisson_nll",
    name="Poisson negative log-likelihood",
    name_zh="泊松负对数似然",
    family="deviance",
    tasks=("regression",),
    input_kind="counts",
    inputs={"pred": "logarithm of the rate, or the rate; any shape", "target": "count of 0 or more, the shape of pred"},
    differentiable=("pred",),
    fn=poisson_nll,
    denominator=number_of_values,
    check=_check_poisson,
    grad=_poisson_grad,
    formula=(
        Line(r"\lambda = e^{\hat y} \quad (\hat y \text{ where it is the rate})", _rate),
        Line(r"\ln \lambda = \hat y \quad (\ln(\hat y + \epsilon))", _log_rate),
        Line(
            r"k = 0, \; \ln \Gamma(y + 1), \; \text{or } y \ln y - y + \tfrac{1}{2} \ln(2 \pi y) \text{ where } y > 1",
            _constant,
        ),
        Line(r"\ell = \lambda - y \ln \lambda + k", _poisson_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \begin{cases} e^{\hat y} - y & \text{logarithm of the rate} \\ "
    r"1 - \frac{y}{\hat y + \epsilon} & \text{rate} \end{cases}",
    derivation=(
        Line(
            r"\frac{\partial \lambda}{\partial \hat y} = e^{\hat y} \quad "
            r"(1 \text{ where } \hat y \text{ is the rate})",
            _rate_by_pred,
        ),
        Line(
            r"\frac{\partial \ln \lambda}{\partial \hat y} = 1 \quad \left(\frac{1}{\hat y + \epsilon}\right)",
            _log_rate_by_pred,
        ),
        Line(r"\frac{\partial k}{\partial \hat y} = 0", _nothing_by_pred),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{\partial \lambda}{\partial \hat y} - "
            r"y \frac{\partial \ln \lambda}{\partial \hat y} + \frac{\partial k}{\partial \hat y} = e^{\hat y} - y "
            r"\quad \left(1 - \frac{y}{\hat y + \epsilon}\right)",
            _poisson_by_pred,
        ),
    ),
    params={
        "log_input": Flag("Whether predictions are logarithms of rates.", True),
        "full": Choice("The term that does not depend on the prediction.", "none", ("none", "exact", "stirling")),
        "eps": Number("Added to a rate before its logarithm is taken.", 1e-8, 0.0, 1e-3),
    },
    properties=Properties(
        convex_in_pred=yes("counts of 0 or more"),
        bounded=no("counts of 0 or more", {"pred": [10.0], "target": [0.0]}),
        lipschitz=no("counts of 0 or more", {"pred": [20.0], "target": [0.0]}),
        smooth=no("counts of 0 or more", {"pred": [20.0], "target": [0.0]}, {"pred": [20.1], "target": [0.0]}),
        robust=no("counts of 0 or more", {"pred": [0.0], "target": [1e6]}),
        symmetric=no("rates", {"pred": [3.0], "target": [2.0]}, {"pred": [1.0], "target": [2.0]}, log_input=False),
        scale_invariant=no("counts of 0 or more", {"pred": [1.0], "target": [1.0]}),
    ),
    pitfalls=(
        "PyTorch takes logarithms of rates unless told otherwise, Keras takes rates: "
        "one given to the other still trains.",
        "PyTorch's full=True is Stirling's approximation, 0.04 short of the logarithm of the factorial at a count of 2 "
        "and closer at larger ones.",
        "The exponential overflows at a log-rate of 709, in single precision at 88: standardise inputs, start small.",
        "Without the constant it is negative for large counts; differences between models are right all the same.",
    ),
    reference=_GLM,
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "full = {full}\n"
        "loss = F.poisson_nll_loss(\n"
        '    pred, target, log_input={log_input}, full=full == "stirling", eps={eps}\n'
        ")\n"
        'if full == "exact":\n'
        "    loss = loss + torch.lgamma(target + 1).mean()\n",
        keras=None,
        optax=None,
        note="Keras's poisson is the rate form with eps at keras.config.epsilon() and without the constant.",
    ),
)


# --- Gaussian negative log-likelihood


def gaussian_nll(*, pred: Tensor, target: Tensor, var: Tensor, full: bool = False, eps: float = 1e-6) -> Tensor:
    """Negative log-likelihood under a normal distribution whose variance is predicted as well.

    Args:
        pred: means, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        var: variances, same shape, in the unit of ``target`` squared; at least 0.
        full: whether to add the constant ln(2 pi) / 2.
        eps: variances below this count as this; above 0. The gradient takes no notice, so that a variance at 0
            can grow again.

    Returns:
        Loss per value, shape ``(*batch)``, in nats; it may be negative.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Nix and Weigend (1994), doi:10.1109/ICNN.1994.374138.
    """
    _require_gaussian(pred=pred, target=target, var=var)
    variance = var + (var.clamp(min=eps) - var).detach()
    return 0.5 * (variance.log() + (pred - target) ** 2 / variance) + (0.5 * math.log(2 * math.pi) if full else 0.0)


def _require_gaussian(**tensors: Tensor) -> None:
    require_floating(**tensors)
    require_same_shape(**tensors)


def _gaussian_grad(*, pred: Tensor, target: Tensor, var: Tensor, full: bool, eps: float) -> dict[str, Tensor]:
    variance, residual = var.clamp(min=eps), pred - target
    return {"pred": residual / variance, "var": 0.5 * (1 - residual**2 / variance) / variance}


def _check_gaussian(inputs: Inputs, params: Params) -> None:
    _require_gaussian(**inputs)
    check_finite(pred=inputs["pred"], target=inputs["target"])
    check_at_least("var", inputs["var"], 0)


def _variance(*, var: Tensor, eps: float, **_: object) -> Tensor:
    return var.clamp(min=eps)


def _standardised(*, pred: Tensor, target: Tensor, var: Tensor, eps: float, **_: object) -> Tensor:
    return (pred - target) / _variance(var=var, eps=eps).sqrt()


def _gaussian_line(*, pred: Tensor, target: Tensor, var: Tensor, full: bool, eps: float) -> Tensor:
    z, variance = _standardised(pred=pred, target=target, var=var, eps=eps), _variance(var=var, eps=eps)
    return 0.5 * z**2 + 0.5 * ((2 * math.pi if full else 1.0) * variance).log()


def _gaussian_by_variance(*, pred: Tensor, target: Tensor, var: Tensor, eps: float, **_: object) -> Tensor:
    z, variance = _standardised(pred=pred, target=target, var=var, eps=eps), _variance(var=var, eps=eps)
    return z * (-z / (2 * variance)) + 1 / (2 * variance)


def _standardised_by_pred(*, var: Tensor, eps: float, **_: object) -> Tensor:
    return 1 / _variance(var=var, eps=eps).sqrt()


def _gaussian_by_pred(*, pred: Tensor, target: Tensor, var: Tensor, eps: float, **_: object) -> Tensor:
    return _standardised(pred=pred, target=target, var=var, eps=eps) * _standardised_by_pred(var=var, eps=eps)


GAUSSIAN_NLL = Loss(
    key="gaussian_nll",
    name="Gaussian negative log-likelihood",
    name_zh="高斯负对数似然",
    family="deviance",
    tasks=("regression",),
    input_kind="mean_variance",
    inputs={
        "pred": "mean, any shape",
        "target": "label, the shape of pred",
        "var": "variance of 0 or more, the shape of pred",
    },
    differentiable=("pred", "var"),
    fn=gaussian_nll,
    denominator=number_of_values,
    check=_check_gaussian,
    grad=_gaussian_grad,
    formula=(
        Line(r"v = \max(\sigma^2, \epsilon)", _variance),
        Line(r"z = \frac{\hat y - y}{\sqrt{v}}", _standardised),
        Line(
            r"\ell = \tfrac{1}{2} z^2 + \tfrac{1}{2} \ln v \quad \left(+ \tfrac{1}{2} \ln 2 \pi \text{ if full}\right)",
            _gaussian_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{\hat y - y}{v}, \quad "
    r"\frac{\partial \ell}{\partial \sigma^2} = \frac{1 - z^2}{2 v}",
    derivation=(
        Line(r"\frac{\partial \ell}{\partial z} = \tfrac{1}{2} \cdot 2 z = z", _standardised),
        Line(
            r"\frac{\partial \ell}{\partial \sigma^2} = z \cdot \frac{\partial z}{\partial v} + \frac{1}{2 v} = "
            r"z \cdot \left(-\frac{z}{2 v}\right) + \frac{1}{2 v} = \frac{1 - z^2}{2 v}",
            _gaussian_by_variance,
        ),
        Line(r"\frac{\partial z}{\partial \hat y} = \frac{1}{\sqrt{v}}", _standardised_by_pred),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{\partial \ell}{\partial z} \cdot "
            r"\frac{\partial z}{\partial \hat y} = \frac{z}{\sqrt{v}} = \frac{\hat y - y}{v}",
            _gaussian_by_pred,
        ),
    ),
    params={
        "full": Flag("Whether to add the constant, half of ln(2 pi).", False),
        "eps": Number("Smallest variance.", 1e-6, 1e-9, 1e-3, "log"),
    },
    properties=Properties(
        convex_in_pred=yes("means, at a fixed variance; not convex in both together"),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0], "var": [1.0]}),
        lipschitz=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0], "var": [1.0]}),
        smooth=no(
            _EVERYWHERE,
            {"pred": [0.0], "target": [0.0], "var": [1e-4]},
            {"pred": [0.0], "target": [0.0], "var": [2e-4]},
        ),
        robust=no(_EVERYWHERE, {"pred": [0.0], "target": [1e6], "var": [1.0]}),
        symmetric=yes("errors that change sign at a fixed variance"),
        scale_invariant=no("prediction and label at a fixed variance", {"pred": [2.0], "target": [1.0], "var": [1.0]}),
    ),
    pitfalls=(
        "It takes the variance, not its root nor its logarithm; a network's raw output needs a softplus first.",
        "Where a few samples are fitted exactly the variance falls to eps and their gradients explode.",
        "The error of the mean is divided by the variance, so hard samples are explained by noise instead of learnt.",
        "In PyTorch, too, the gradient passes where the variance is below eps.",
    ),
    reference="Nix and Weigend (1994), Estimating the mean and variance of the target probability distribution, "
    "doi:10.1109/ICNN.1994.374138.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "loss = F.gaussian_nll_loss(pred, target, var, full={full}, eps={eps})\n",
        keras=None,
        optax=None,
        note="With a variance of 1 it is half the squared error.",
    ),
)


# --- gamma deviance


def gamma_deviance(*, pred: Tensor, target: Tensor) -> Tensor:
    """Twice the log-likelihood that a gamma distribution lacks against a perfect fit: counts relative errors.

    Args:
        pred: predicted means, shape ``(*batch)``; above 0.
        target: labels, same shape; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Nelder and Wedderburn (1972), doi:10.2307/2344614.
    """
    require_elementwise(pred=pred, target=target)
    ratio = target / pred
    return 2 * (ratio - 1 - ratio.log())


def _gamma_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": 2 * (pred - target) / pred / pred}


def _check_positive(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    for name in ("pred", "target"):
        check_above(name, inputs[name], 0)


def _ratio(*, pred: Tensor, target: Tensor) -> Tensor:
    return target / pred


def _gamma_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return 2 * (pred.log() - target.log() + (target - pred) / pred)


def _ratio_by_pred(*, pred: Tensor, target: Tensor) -> Tensor:
    return -target / pred / pred


def _gamma_by_ratio(*, pred: Tensor, target: Tensor) -> Tensor:
    return 2 * (1 - 1 / _ratio(pred=pred, target=target))


def _gamma_by_pred(*, pred: Tensor, target: Tensor) -> Tensor:
    return _gamma_by_ratio(pred=pred, target=target) * _ratio_by_pred(pred=pred, target=target)


GAMMA_DEVIANCE = Loss(
    key="gamma_deviance",
    name="Gamma deviance",
    name_zh="伽马偏差",
    family="deviance",
    tasks=("regression",),
    input_kind="positive",
    inputs={"pred": "predicted mean above 0, any shape", "target": "label above 0, the shape of pred"},
    differentiable=("pred",),
    fn=gamma_deviance,
    denominator=number_of_values,
    check=_check_positive,
    grad=_gamma_grad,
    formula=(
        Line(r"x = y / \hat y", _ratio),
        Line(r"\ell = 2 (x - 1 - \ln x) = 2 \left(\ln \hat y - \ln y + \frac{y - \hat y}{\hat y}\right)", _gamma_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{2 (\hat y - y)}{\hat y^2}",
    derivation=(
        Line(r"\frac{\partial x}{\partial \hat y} = -\frac{y}{\hat y^2}", _ratio_by_pred),
        Line(r"\frac{d \ell}{d x} = 2 \left(1 - \frac{1}{x}\right)", _gamma_by_ratio),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d x} \cdot \frac{\partial x}{\partial \hat y} = "
            r"2 \left(1 - \frac{\hat y}{y}\right) \cdot \left(-\frac{y}{\hat y^2}\right) = "
            r"\frac{2 (\hat y - y)}{\hat y^2}",
            _gamma_by_pred,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=no(_POSITIVE, {"pred": [10.0], "target": [1.0]}, {"pred": [1000.0], "target": [1.0]}),
        bounded=no(_POSITIVE, {"pred": [1e-3], "target": [1e3]}),
        lipschitz=no(_POSITIVE, {"pred": [1e-3], "target": [1.0]}),
        smooth=no(_POSITIVE, {"pred": [1e-3], "target": [1.0]}, {"pred": [1.1e-3], "target": [1.0]}),
        robust=no(_POSITIVE, {"pred": [1.0], "target": [1e6]}),
        symmetric=no(_POSITIVE, {"pred": [1.5], "target": [1.0]}, {"pred": [0.5], "target": [1.0]}),
        scale_invariant=yes(_POSITIVE),
    ),
    pitfalls=(
        "It is twice the half deviance that code for generalised linear models minimises: gradients differ by 2.",
        "A label of 0 has no place here: its likelihood is infinite. For zeros take a Tweedie power below 2.",
        "Predictions have to stay above 0: predict the logarithm, which makes it convex as well.",
    ),
    reference=_GLM,
    code=Code(
        pytorch="import torch\n\nloss = (2 * (torch.log(pred / target) + target / pred - 1)).mean()\n",
        keras=None,
        optax=None,
        note="In scikit-learn, mean_gamma_deviance is the same.",
    ),
)


# --- Tweedie deviance


def tweedie_deviance(*, pred: Tensor, target: Tensor, power: float = 1.5) -> Tensor:
    """Deviance of distributions whose variance grows as the mean to a power: from normal to inverse Gaussian.

    Args:
        pred: predicted means, shape ``(*batch)``; above 0, at power 0 any.
        target: labels, same shape; at powers from 1 at least 0, from 2 above 0.
        power: 0 is normal, 1 Poisson, 1 to 2 sums of gamma variables, 2 gamma, 3 inverse Gaussian; 0 or less, or
            1 or more.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target`` to the power ``2 - power``.

    Raises:
        ValueError: shapes or dtypes do not fit, the batch is empty, or no distribution has this power.

    Reference: Jørgensen (1987), doi:10.1111/j.2517-6161.1987.tb01685.x.
    """
    require_elementwise(pred=pred, target=target)
    _require_power(power)
    if power == 0:
        return (pred - target) ** 2
    a, b, above = 1 - power, 2 - power, target > 0
    ratio = torch.where(above, target, pred) / pred
    # The textbook's three terms cancel near powers 1 and 2 and near the label; these two do not.
    close = pred**b * (ratio * _box_cox(ratio, a) - _box_cox(ratio, b))
    if power < 0:
        # Far from the label it is these two whose gradients cancel.
        far = target.clamp(min=0) ** b / (a * b) + pred**a * (pred / b - target / a)
        return 2 * torch.where(above & (ratio > 0.5) & (ratio < 2), close, far)
    return 2 * torch.where(above, close, pred**b / b if power < 2 else torch.zeros_like(pred))


def _box_cox(x: Tensor, power: float) -> Tensor:
    """The integral of ``u**(power - 1)`` from 1 to x: ``(x**power - 1) / power``, and ln x at 0."""
    return (power * x.log()).expm1() / power if power else x.log()


def _require_power(power: float) -> None:
    if 0 < power < 1:
        raise ValueError(f"power is {power:g}, allowed: 0 or less, or 1 or more; in between there is no distribution")


def _tweedie_grad(*, pred: Tensor, target: Tensor, power: float) -> dict[str, Tensor]:
    return {"pred": 2 * (pred - target) * pred ** (-power) if power else 2 * (pred - target)}


def _check_tweedie(inputs: Inputs, params: Params) -> None:
    _check_finite(inputs, params)
    power = params["power"]
    _require_power(power)
    if power != 0:
        check_above("pred", inputs["pred"], 0)
    if power >= 2:
        check_above("target", inputs["target"], 0)
    elif power >= 1:
        check_at_least("target", inputs["target"], 0)


def _variance_of_mean(*, pred: Tensor, power: float, **_: object) -> Tensor:
    return pred**power


def _tweedie_line(*, pred: Tensor, target: Tensor, power: float) -> Tensor:
    if power == 0:
        return (target - pred) ** 2
    if power == 1:
        return 2 * (torch.xlogy(target, target / pred) - target + pred)
    if power == 2:
        return 2 * ((pred / target).log() + target / pred - 1)
    a, b = 1 - power, 2 - power
    return 2 * (target.clamp(min=0) ** b / (a * b) - target * pred**a / a + pred**b / b)


def _integrand(*, pred: Tensor, target: Tensor, power: float) -> Tensor:
    return (target - pred) / _variance_of_mean(pred=pred, power=power)


def _integral_by_pred(*, pred: Tensor, target: Tensor, power: float) -> Tensor:
    return -_integrand(pred=pred, target=target, power=power)


def _tweedie_by_pred(*, pred: Tensor, target: Tensor, power: float) -> Tensor:
    return 2 * _integral_by_pred(pred=pred, target=target, power=power)


TWEEDIE_DEVIANCE = Loss(
    key="tweedie_deviance",
    name="Tweedie deviance",
    name_zh="Tweedie 偏差",
    family="deviance",
    tasks=("regression",),
    input_kind="positive",
    inputs={"pred": "predicted mean above 0, any shape", "target": "label of 0 or more, the shape of pred"},
    differentiable=("pred",),
    fn=tweedie_deviance,
    denominator=number_of_values,
    check=_check_tweedie,
    grad=_tweedie_grad,
    formula=(
        Line(r"V = \hat y^p", _variance_of_mean),
        Line(
            r"\ell = 2 \int_{\hat y}^{y} \frac{y - u}{u^p} \, du = \begin{cases} (y - \hat y)^2 & p = 0 \\ "
            r"2 \left(y \ln \frac{y}{\hat y} - y + \hat y\right) & p = 1 \\ "
            r"2 \left(\ln \frac{\hat y}{y} + \frac{y}{\hat y} - 1\right) & p = 2 \\ "
            r"2 \left(\frac{\max(y, 0)^{2 - p}}{(1 - p)(2 - p)} - \frac{y \hat y^{1 - p}}{1 - p} + "
            r"\frac{\hat y^{2 - p}}{2 - p}\right) & \text{else} \end{cases}",
            _tweedie_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{2 (\hat y - y)}{V}",
    derivation=(
        Line(r"g(u) = \frac{y - u}{u^p}, \quad g(\hat y) = \frac{y - \hat y}{V}", _integrand),
        Line(r"\frac{\partial}{\partial \hat y} \int_{\hat y}^{y} g(u) \, du = -g(\hat y)", _integral_by_pred),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = 2 \cdot \left(-g(\hat y)\right) = \frac{2 (\hat y - y)}{V}",
            _tweedie_by_pred,
        ),
    ),
    params={
        "power": Number(
            "The variance is the mean to this power; 0 or less, or 1 or more: in between there is no distribution.",
            1.5,
            -1.0,
            4.0,
        )
    },
    properties=Properties(
        convex_in_pred=no(
            "predictions and labels above 0; convex at powers 0 and 1 alone",
            {"pred": [10.0], "target": [0.1]},
            {"pred": [1000.0], "target": [0.1]},
        ),
        bounded=no(_POSITIVE, {"pred": [1e-3], "target": [1e3]}),
        lipschitz=no(_POSITIVE, {"pred": [1e-3], "target": [100.0]}),
        smooth=no(_POSITIVE, {"pred": [1e-3], "target": [100.0]}, {"pred": [1.1e-3], "target": [100.0]}),
        robust=no(_POSITIVE, {"pred": [1.0], "target": [1e6]}),
        symmetric=no(
            "predictions and labels above 0; symmetric at power 0 alone",
            {"pred": [1.5], "target": [1.0]},
            {"pred": [0.5], "target": [1.0]},
        ),
        scale_invariant=no(
            "predictions and labels above 0; scale-invariant at power 2 alone", {"pred": [2.0], "target": [1.0]}
        ),
    ),
    pitfalls=(
        "It is the deviance; half of it, or the likelihood without its constants, goes by the same name elsewhere.",
        "At power 1 it is twice the Poisson loss up to a constant, at power 2 the gamma deviance.",
        "Between 1 and 2 exact zeros are allowed in the labels: rainfall, claims; from 2 on they are not.",
        "Its unit changes with the power: values at two powers cannot be compared.",
    ),
    reference="Jørgensen (1987), Exponential dispersion models, doi:10.1111/j.2517-6161.1987.tb01685.x.",
    code=Code(
        pytorch="import torch\n\n"
        "p = {power}\n"
        "if p == 0:\n    loss = ((target - pred) ** 2).mean()\n"
        "elif p == 1:\n    loss = (2 * (torch.xlogy(target, target / pred) - target + pred)).mean()\n"
        "elif p == 2:\n    loss = (2 * (torch.log(pred / target) + target / pred - 1)).mean()\n"
        "else:\n"
        "    first = target.clamp(min=0) ** (2 - p) / ((1 - p) * (2 - p))\n"
        "    loss = (2 * (first - target * pred ** (1 - p) / (1 - p) + pred ** (2 - p) / (2 - p))).mean()\n",
        keras=None,
        optax=None,
        note="In scikit-learn, mean_tweedie_deviance is the same.",
    ),
)


LOSSES: tuple[Loss, ...] = (RMSLE, MAPE, SMAPE, POISSON_NLL, GAUSSIAN_NLL, GAMMA_DEVIANCE, TWEEDIE_DEVIANCE)
