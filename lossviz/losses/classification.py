"""Losses between scores and a class."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from lossviz.losses._checks import (
    check_finite,
    check_where,
    require_classes,
    require_elementwise,
    require_floating,
    require_one_per_class,
)
from lossviz.losses._logits import LOG_P_SLOPE, SOFTMAX, log_p_slope_line
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Code,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    Vector,
    no,
    number_of_values,
    yes,
)

_ALL_LOGITS = "all real logits"
_PROPER_SOURCE = "Gneiting and Raftery (2007), doi:10.1198/016214506000001437."
_CALIBRATED_SOURCE = "Bartlett, Jordan and McAuliffe (2006), doi:10.1198/016214505000000907."


# --- binary cross-entropy


def bce_with_logits(*, pred: Tensor, target: Tensor, pos_weight: float = 1.0) -> Tensor:
    """Cross-entropy of a yes-or-no label against the sigmoid of a logit.

    Args:
        pred: logits, shape ``(*batch)``.
        target: probability of the positive class, same shape; from 0 to 1.
        pos_weight: weight of the positive term alone; above 0. The mean divides by the number of values all the same.

    Returns:
        Loss per value, shape ``(*batch)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    return -pos_weight * target * logsigmoid(pred) - (1 - target) * logsigmoid(-pred)


def _bce_grad(*, pred: Tensor, target: Tensor, pos_weight: float) -> dict[str, Tensor]:
    return {"pred": (1 - target) * pred.sigmoid() - pos_weight * target * (-pred).sigmoid()}


def _check_bce(inputs: Inputs, params: Params) -> None:
    pred, target = inputs["pred"], inputs["target"]
    require_elementwise(pred=pred, target=target)
    check_finite(pred=pred, target=target)
    check_where("target", target, (target >= 0) & (target <= 1), "0 to 1")


def _log_p(*, pred: Tensor, **_: object) -> Tensor:
    return -torch.logaddexp(-pred, torch.zeros_like(pred))


def _log_not_p(*, pred: Tensor, **_: object) -> Tensor:
    return -torch.logaddexp(pred, torch.zeros_like(pred))


def _bce_line(*, pred: Tensor, target: Tensor, pos_weight: float) -> Tensor:
    return -(pos_weight * target * _log_p(pred=pred) + (1 - target) * _log_not_p(pred=pred))


def _log_p_slope(*, pred: Tensor, **_: object) -> Tensor:
    return (-pred).sigmoid()


def _log_not_p_slope(*, pred: Tensor, **_: object) -> Tensor:
    return -pred.sigmoid()


def _bce_slope(*, pred: Tensor, target: Tensor, pos_weight: float) -> Tensor:
    return -pos_weight * target * _log_p_slope(pred=pred) - (1 - target) * _log_not_p_slope(pred=pred)


BCE_WITH_LOGITS = Loss(
    key="bce_with_logits",
    name="Binary cross-entropy (logits)",
    name_zh="二元交叉熵（logits）",
    family="classification",
    tasks=("classification", "segmentation", "detection"),
    input_kind="binary",
    inputs={"pred": "logit, any shape", "target": "probability of the positive class, 0 to 1, the shape of pred"},
    differentiable=("pred",),
    fn=bce_with_logits,
    denominator=number_of_values,
    check=_check_bce,
    grad=_bce_grad,
    formula=(
        Line(r"\ln p = -\ln(1 + e^{-z})", _log_p),
        Line(r"\ln(1 - p) = -\ln(1 + e^{z})", _log_not_p),
        Line(r"\ell = -w_+ t \ln p - (1 - t) \ln(1 - p)", _bce_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z} = (1 - t)\,p - w_+ t\,(1 - p), \quad p = \frac{1}{1 + e^{-z}}",
    derivation=(
        Line(r"\frac{\partial \ln p}{\partial z} = \frac{e^{-z}}{1 + e^{-z}} = 1 - p", _log_p_slope),
        Line(r"\frac{\partial \ln(1 - p)}{\partial z} = -\frac{e^{z}}{1 + e^{z}} = -p", _log_not_p_slope),
        Line(
            r"\frac{\partial \ell}{\partial z} = -w_+ t\,\frac{\partial \ln p}{\partial z}"
            r" - (1 - t)\,\frac{\partial \ln(1 - p)}{\partial z} = (1 - t)\,p - w_+ t\,(1 - p)",
            _bce_slope,
        ),
    ),
    params={"pos_weight": Number("Weight of the positive term.", 1.0, 0.01, 100.0, "log")},
    properties=Properties(
        convex_in_pred=NOT_APPLICABLE,
        convex_in_logits=yes(_ALL_LOGITS),
        bounded=no(_ALL_LOGITS, {"pred": [-1e6], "target": [1.0]}),
        lipschitz=yes(_ALL_LOGITS, constant=lambda p: max(1.0, p["pos_weight"])),
        smooth=yes(_ALL_LOGITS, constant=lambda p: max(1.0, p["pos_weight"]) / 4),
        robust=no(_ALL_LOGITS, {"pred": [0.0], "target": [1.0]}, {"pred": [3.0], "target": [1.0]}),
        symmetric=yes("all real logits, pos_weight = 1", pos_weight=1.0),
        proper=yes("the sigmoid of the logit as forecast, pos_weight = 1", source=_PROPER_SOURCE, pos_weight=1.0),
        calibrated=yes("two classes, pos_weight = 1", source=_CALIBRATED_SOURCE, pos_weight=1.0),
        scale_invariant=no(_ALL_LOGITS, {"pred": [1.0], "target": [1.0]}),
    ),
    pitfalls=(
        "It takes logits: a sigmoid in front of it is applied twice and flattens the gradient.",
        "pos_weight multiplies the positive term only, and the mean still divides by the number of values.",
        "The logarithm of a sigmoid, computed in two steps, is minus infinity for logits below about -745; "
        "the log-sigmoid is not.",
        "With pos_weight other than 1 the sigmoid no longer estimates the probability.",
    ),
    reference="Good (1952), Rational decisions, Journal of the Royal Statistical Society B 14, "
    "doi:10.1111/j.2517-6161.1952.tb00104.x.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "pos_weight = torch.tensor({pos_weight}, dtype=pred.dtype)\n"
        "loss = F.binary_cross_entropy_with_logits(pred, target, pos_weight=pos_weight)\n",
        keras="import keras\n\n"
        "bce, ones = keras.ops.binary_crossentropy, keras.ops.ones_like(pred)\n"
        "positive, negative = bce(ones, pred, from_logits=True), bce(0 * ones, pred, from_logits=True)\n"
        "loss = keras.ops.mean({pos_weight} * target * positive + (1 - target) * negative)\n",
        optax="import jax.numpy as jnp\n"
        "import optax\n\n"
        "bce, ones = optax.losses.sigmoid_binary_cross_entropy, jnp.ones_like(pred)\n"
        "loss = ({pos_weight} * target * bce(pred, ones) + (1 - target) * bce(pred, 0 * ones)).mean()\n",
        note="Keras and Optax have it for pos_weight = 1. Keras expects probabilities unless from_logits=True.",
    ),
)


# --- cross-entropy


def cross_entropy(*, pred: Tensor, target: Tensor, weight: Tensor, ignore_index: int = -100) -> Tensor:
    """Negative log-probability that the softmax gives to the right class, times that class's weight.

    The scalar is a weighted mean: the sum divided by the summed weights of the rows that are kept.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1, or ``ignore_index``.
        weight: class weights, shape ``(K,)``; 0 or more. Ones for none.
        ignore_index: rows with this label count neither in the sum nor in the denominator.

    Returns:
        Loss per row, shape ``(N,)``, in nats; 0 where ignored.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    _require_weighted_classes(pred=pred, target=target, weight=weight)
    label = _label(target, ignore_index)
    log_p = pred.log_softmax(-1).gather(-1, label[:, None])[:, 0]
    return -_row_weight(target, weight, ignore_index) * log_p


def _require_weighted_classes(*, pred: Tensor, target: Tensor, weight: Tensor) -> None:
    require_classes(pred=pred, target=target)
    require_floating(pred=pred, weight=weight)
    require_one_per_class("weight", weight, pred)


def _label(target: Tensor, ignore_index: int) -> Tensor:
    return target.masked_fill(target == ignore_index, 0)


def _row_weight(target: Tensor, weight: Tensor, ignore_index: int) -> Tensor:
    return weight[_label(target, ignore_index)].masked_fill(target == ignore_index, 0)


def _summed_weight(unreduced: Tensor, inputs: Inputs, params: Params) -> Tensor:
    return _row_weight(inputs["target"], inputs["weight"], params["ignore_index"]).sum()


def _cross_entropy_grad(*, pred: Tensor, target: Tensor, weight: Tensor, ignore_index: int) -> dict[str, Tensor]:
    ignored = target == ignore_index
    label = target.masked_fill(ignored, 0)
    row = weight.index_select(0, label).masked_fill(ignored, 0)
    surplus = pred.softmax(-1).scatter_add(-1, label[:, None], pred.new_full((len(pred), 1), -1.0))
    return {"pred": row[:, None] * surplus}


def _is_label(pred: Tensor, label: Tensor) -> Tensor:
    return label[:, None] == torch.arange(pred.shape[1], device=pred.device)


def _check_classes(inputs: Inputs, kept: Tensor, also: str) -> None:
    pred, target = inputs["pred"], inputs["target"]
    require_classes(pred=pred, target=target)
    check_finite(pred=pred)
    in_range = (target >= 0) & (target < pred.shape[1])
    check_where("target", target, in_range | ~kept, f"0 to {pred.shape[1] - 1}{also}")


def _check_cross_entropy(inputs: Inputs, params: Params) -> None:
    weight, ignore_index = inputs["weight"], params["ignore_index"]
    _require_weighted_classes(pred=inputs["pred"], target=inputs["target"], weight=weight)
    _check_classes(inputs, inputs["target"] != ignore_index, f", or {ignore_index} to ignore the row")
    check_where("weight", weight, weight.isfinite() & (weight >= 0), "0 or more")
    if _row_weight(inputs["target"], weight, ignore_index).sum() == 0:
        raise ValueError(
            "the summed weight of the labels is 0, allowed: above 0; every row is ignored or weighs nothing"
        )


def _shifted(*, pred: Tensor, **_: object) -> Tensor:
    return pred - pred.amax(-1, keepdim=True)


def _log_sum(*, pred: Tensor, **_: object) -> Tensor:
    return _shifted(pred=pred).exp().sum(-1).log()


def _log_p_label(*, pred: Tensor, target: Tensor, ignore_index: int = -100, **_: object) -> Tensor:
    label = _label(target, ignore_index)
    return _shifted(pred=pred).gather(-1, label[:, None])[:, 0] - _log_sum(pred=pred)


def _cross_entropy_line(*, pred: Tensor, target: Tensor, weight: Tensor, ignore_index: int) -> Tensor:
    weighted = weight[_label(target, ignore_index)] * _log_p_label(pred=pred, target=target, ignore_index=ignore_index)
    return torch.where(target == ignore_index, torch.zeros_like(weighted), -weighted)


def _ce_by_log_p(*, target: Tensor, weight: Tensor, ignore_index: int, **_: object) -> Tensor:
    kept = target != ignore_index
    return -weight[target.where(kept, 0)] * kept


def _cross_entropy_slope(*, pred: Tensor, target: Tensor, weight: Tensor, ignore_index: int) -> Tensor:
    outer = _ce_by_log_p(target=target, weight=weight, ignore_index=ignore_index)
    return outer[:, None] * log_p_slope_line(pred=pred, target=target)


CROSS_ENTROPY = Loss(
    key="cross_entropy",
    name="Cross-entropy (softmax)",
    name_zh="交叉熵（softmax）",
    family="classification",
    tasks=("classification", "segmentation"),
    input_kind="classes",
    inputs={
        "pred": "logits, (N, K)",
        "target": "class index, 0 to K - 1 or ignore_index, (N,) int64",
        "weight": "class weights, (K,); ones for none",
    },
    differentiable=("pred",),
    fn=cross_entropy,
    denominator=_summed_weight,
    check=_check_cross_entropy,
    grad=_cross_entropy_grad,
    formula=(
        Line(r"s_k = z_k - \max_j z_j", _shifted),
        Line(r"L = \ln \sum_k e^{s_k}", _log_sum),
        Line(r"\ln p_y = s_y - L", _log_p_label),
        Line(r"\ell = -w_y \ln p_y \quad (0 \text{ where ignored})", _cross_entropy_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = w_y \left(p_k - [k = y]\right)",
    derivation=(
        SOFTMAX,
        LOG_P_SLOPE,
        Line(r"\frac{\partial \ell}{\partial \ln p_y} = -w_y \quad (0 \text{ where ignored})", _ce_by_log_p),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{\partial \ell}{\partial \ln p_y} \cdot"
            r" \frac{\partial \ln p_y}{\partial z_k} = w_y \left(p_k - [k = y]\right)",
            _cross_entropy_slope,
        ),
    ),
    params={"ignore_index": Number("Rows with this label are left out.", -100, -100, 255, integer=True)},
    properties=Properties(
        convex_in_pred=NOT_APPLICABLE,
        convex_in_logits=yes(_ALL_LOGITS),
        bounded=no(_ALL_LOGITS, {"pred": [[-1e6, 0.0]], "target": [0], "weight": [1.0, 1.0]}),
        lipschitz=yes("all real logits, class weights of at most 1", constant=lambda _: math.sqrt(2)),
        smooth=yes("all real logits, class weights of at most 1", constant=lambda _: 0.5),
        robust=no(
            _ALL_LOGITS,
            {"pred": [[0.0, 0.0]], "target": [0], "weight": [1.0, 1.0]},
            {"pred": [[3.0, 0.0]], "target": [0], "weight": [1.0, 1.0]},
        ),
        symmetric=yes("all real logits, equal class weights"),
        proper=yes("the softmax of the logits as forecast, equal class weights", source=_PROPER_SOURCE),
        calibrated=yes("equal class weights"),
        scale_invariant=no(_ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0], "weight": [1.0, 1.0]}),
    ),
    pitfalls=(
        "It takes logits: a softmax in front of it is applied twice. Keras expects probabilities by default.",
        "With class weights the mean divides by the summed weights of the labels, not by the number of rows.",
        "If every row is ignored, sum and denominator are both 0; here that is an error, in PyTorch it is NaN.",
        "One wrong label with a confident prediction costs as much as the logits are apart, without bound.",
    ),
    reference="Good (1952), Rational decisions, Journal of the Royal Statistical Society B 14, "
    "doi:10.1111/j.2517-6161.1952.tb00104.x.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "loss = F.cross_entropy(pred, target, weight=weight, ignore_index={ignore_index})\n",
        keras="import keras\n\n"
        "counted = target != {ignore_index}\n"
        "label = keras.ops.where(counted, target, 0)\n"
        "losses = keras.losses.sparse_categorical_crossentropy(label, pred, from_logits=True)\n"
        "row_weight = keras.ops.where(counted, keras.ops.take(weight, label), 0.0)\n"
        "loss = keras.ops.sum(row_weight * losses) / keras.ops.sum(row_weight)\n",
        optax="import jax.numpy as jnp\n"
        "import optax\n\n"
        "counted = target != {ignore_index}\n"
        "label = jnp.where(counted, target, 0)\n"
        "losses = optax.losses.softmax_cross_entropy_with_integer_labels(pred, label)\n"
        "row_weight = jnp.where(counted, weight[label], 0)\n"
        "loss = (row_weight * losses).sum() / row_weight.sum()\n",
        note="Keras and Optax leave weights and ignored rows to you; a mean over the rows is another loss.",
    ),
)


# --- focal loss


def softmax_focal(
    *, pred: Tensor, target: Tensor, alpha: float | list[float] | Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    """Cross-entropy times ``(1 - p)^gamma``: samples that are already right hardly count.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        alpha: a weight for all classes, or one for each, shape ``(K,)``; 0 or more. ``None`` for none.
        gamma: how strongly confident rows are played down; 0 or more. At 0 it is the cross-entropy.

    Returns:
        Loss per row, shape ``(N,)``, in nats times ``alpha``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Lin et al. (2017), arXiv:1708.02002.
    """
    log_p, log_rest = _focal_logs(pred, target)
    return -_alpha(pred, target, alpha) * (gamma * log_rest).exp() * log_p


def _focal_logs(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of p and 1 - p; the latter from the other classes, since 1 - p loses all digits as p nears 1."""
    require_classes(pred=pred, target=target)
    log_p = pred.log_softmax(-1)
    rest = log_p.masked_fill(_is_label(pred, target), -math.inf).logsumexp(-1)
    return log_p.gather(-1, target[:, None])[:, 0], rest


def _alpha(pred: Tensor, target: Tensor, alpha: float | list[float] | Tensor | None) -> Tensor | float:
    if alpha is None:
        return 1.0
    if isinstance(alpha, int | float):
        return alpha
    weights = torch.as_tensor(alpha, dtype=pred.dtype, device=pred.device)
    require_one_per_class("alpha", weights, pred)
    return weights[target]


def _focal_grad(
    *, pred: Tensor, target: Tensor, alpha: float | list[float] | Tensor | None, gamma: float
) -> dict[str, Tensor]:
    # As _focal_logs, but the rivals' share of each other gives 1 - p too: its sum costs as much again.
    label = target[:, None]
    log_all = pred.log_softmax(-1)
    log_share = pred.scatter(-1, label, -math.inf).log_softmax(-1)
    log_rest = log_all.scatter(-1, label, -math.inf).amax(-1) - log_share.amax(-1)
    log_p = log_all.gather(-1, label)[:, 0]
    steepness = (gamma * log_rest).exp() * (log_rest.exp() - gamma * log_p.exp() * log_p)
    surplus = log_share.exp().scatter(-1, label, -1.0)
    return {"pred": (_alpha(pred, target, alpha) * steepness)[:, None] * surplus}


def _check_focal(inputs: Inputs, params: Params) -> None:
    _check_classes(inputs, torch.ones_like(inputs["target"], dtype=torch.bool), "")
    _alpha(inputs["pred"], inputs["target"], params["alpha"])


def _focal_factor(*, pred: Tensor, target: Tensor, gamma: float, **_: object) -> Tensor:
    p = pred.softmax(-1)
    return p.masked_fill(_is_label(pred, target), 0).sum(-1) ** gamma


def _focal_line(*, pred: Tensor, target: Tensor, alpha: float | list[float] | Tensor | None, gamma: float) -> Tensor:
    factor = _focal_factor(pred=pred, target=target, gamma=gamma)
    return -_alpha(pred, target, alpha) * factor * _log_p_label(pred=pred, target=target)


def _log_odds(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    rivals = pred.masked_fill(_is_label(pred, target), -math.inf)
    return pred.gather(-1, target[:, None])[:, 0] - rivals.logsumexp(-1)


def _log_odds_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    is_label = _is_label(pred, target)
    return is_label.to(pred.dtype) - pred.masked_fill(is_label, -math.inf).softmax(-1)


def _log_p_by_log_odds(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (-_log_odds(pred=pred, target=target)).sigmoid()


def _factor_by_log_odds(*, pred: Tensor, target: Tensor, gamma: float, **_: object) -> Tensor:
    factor = _focal_factor(pred=pred, target=target, gamma=gamma)
    return -gamma * factor * _log_odds(pred=pred, target=target).sigmoid()


def _focal_by_log_odds(
    *, pred: Tensor, target: Tensor, alpha: float | list[float] | Tensor | None, gamma: float
) -> Tensor:
    first = _factor_by_log_odds(pred=pred, target=target, gamma=gamma) * _log_p_label(pred=pred, target=target)
    factor = _focal_factor(pred=pred, target=target, gamma=gamma)
    return -_alpha(pred, target, alpha) * (first + factor * _log_p_by_log_odds(pred=pred, target=target))


def _focal_slope_line(
    *, pred: Tensor, target: Tensor, alpha: float | list[float] | Tensor | None, gamma: float
) -> Tensor:
    outer = _focal_by_log_odds(pred=pred, target=target, alpha=alpha, gamma=gamma)
    return outer[:, None] * _log_odds_slope(pred=pred, target=target)


def _largest(alpha: float | list[float] | None) -> float:
    return 1.0 if alpha is None else max(alpha) if isinstance(alpha, list) else alpha


def _focal_slope(params: Params) -> float:
    # -p log p is at most 1/e, and the gradient's direction is at most sqrt(2) long.
    return _largest(params["alpha"]) * math.sqrt(2) * (1 + params["gamma"] / math.e)


def _focal_curvature(params: Params) -> float:
    # The chain rule through the margin m = z_y - logsumexp of the others: |dm|^2 <= 2 and the Hessian of m <= 1/2.
    gamma = params["gamma"]
    slope = 1 + gamma / math.e
    return _largest(params["alpha"]) * (2 * (gamma * slope + (1 + gamma) / 4 + gamma / math.e) + slope / 2)


SOFTMAX_FOCAL = Loss(
    key="softmax_focal",
    name="Focal loss (softmax)",
    name_zh="焦点损失（softmax）",
    family="classification",
    tasks=("classification", "detection"),
    input_kind="classes",
    inputs={"pred": "logits, (N, K)", "target": "class index, 0 to K - 1, (N,) int64"},
    differentiable=("pred",),
    fn=softmax_focal,
    denominator=number_of_values,
    check=_check_focal,
    grad=_focal_grad,
    formula=(
        Line(r"\ln p_y = z_y - \ln \sum_k e^{z_k}", _log_p_label),
        Line(r"f = (1 - p_y)^\gamma", _focal_factor),
        Line(r"\ell = -\alpha_y\, f \ln p_y", _focal_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = \alpha_y (1 - p_y)^\gamma "
    r"\left(1 - p_y - \gamma\,p_y \ln p_y\right) \left(\frac{p_k\,[k \ne y]}{1 - p_y} - [k = y]\right)",
    derivation=(
        Line(r"m = \ln \frac{p_y}{1 - p_y} = z_y - \ln \sum_{j \ne y} e^{z_j}", _log_odds),
        Line(
            r"\frac{\partial m}{\partial z_k} = [k = y] - \frac{e^{z_k}\,[k \ne y]}{\sum_{j \ne y} e^{z_j}}"
            r" = [k = y] - \frac{p_k\,[k \ne y]}{1 - p_y}",
            _log_odds_slope,
        ),
        Line(r"\frac{d \ln p_y}{dm} = \frac{d}{dm} \left(-\ln(1 + e^{-m})\right) = 1 - p_y", _log_p_by_log_odds),
        Line(
            r"\frac{df}{dm} = \gamma (1 - p_y)^{\gamma - 1} \cdot \left(-p_y (1 - p_y)\right) = -\gamma\,p_y f",
            _factor_by_log_odds,
        ),
        Line(
            r"\frac{d \ell}{dm} = -\alpha_y \left(\frac{df}{dm} \ln p_y + f\,\frac{d \ln p_y}{dm}\right)"
            r" = -\alpha_y f \left(1 - p_y - \gamma\,p_y \ln p_y\right)",
            _focal_by_log_odds,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{d \ell}{dm} \cdot \frac{\partial m}{\partial z_k}"
            r" = \alpha_y f \left(1 - p_y - \gamma\,p_y \ln p_y\right)"
            r" \left(\frac{p_k\,[k \ne y]}{1 - p_y} - [k = y]\right)",
            _focal_slope_line,
        ),
    ),
    params={
        "alpha": Vector("A weight for all classes, or one for each class.", None, 0.0, 10.0, nullable=True),
        "gamma": Number("How strongly rows that are already right are played down.", 2.0, 0.0, 10.0),
    },
    properties=Properties(
        convex_in_pred=NOT_APPLICABLE,
        convex_in_logits=no(
            "all real logits; convex at gamma = 0 alone",
            {"pred": [[-6.0, 0.0]], "target": [0]},
            {"pred": [[-2.0, 0.0]], "target": [0]},
        ),
        bounded=no(_ALL_LOGITS, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(_ALL_LOGITS, constant=_focal_slope),
        smooth=yes(_ALL_LOGITS, constant=_focal_curvature),
        robust=no(_ALL_LOGITS, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes("all real logits, one alpha for all classes", alpha=None),
        proper=no(
            "the softmax of the logits as forecast; proper at gamma = 0 alone",
            {"pred": [[math.log(0.9), math.log(0.1)]], "target": [0]},
            {"pred": [[math.log(0.7), math.log(0.3)]], "target": [0]},
        ),
        calibrated=yes(
            "one alpha for all classes",
            source="Charoenphakdee, Vongkulbhisal, Chairatanakul and Sugiyama (2021), arXiv:2011.09172.",
            alpha=None,
        ),
        scale_invariant=no(_ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "The softmax is under-confident after training with it: for gamma above 0 it is no proper scoring rule.",
        "One number for alpha weighs all classes alike here and in Keras; "
        "other libraries read it as background against the rest.",
        "It is small: with gamma = 2 a row at p = 0.9 counts a hundredth, so the learning rate may need to grow.",
        "MONAI takes the mean over rows and classes, which divides by K once more.",
    ),
    reference="Lin, Goyal, Girshick, He and Dollár (2017), Focal loss for dense object detection, arXiv:1708.02002.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "alpha = {alpha}  # None, one number, or one for each class\n"
        "weight = torch.tensor(1.0 if alpha is None else alpha, dtype=pred.dtype).expand(pred.shape[1])\n"
        'ce = F.cross_entropy(pred, target, reduction="none")\n'
        "loss = (weight[target] * (1 - torch.exp(-ce)) ** {gamma} * ce).mean()\n",
        keras="import keras\n\n"
        "alpha = {alpha}  # None, one number, or one for each class\n"
        "weight = keras.ops.broadcast_to(1.0 if alpha is None else alpha, (pred.shape[1],))\n"
        "ce = keras.losses.sparse_categorical_crossentropy(target, pred, from_logits=True)\n"
        "focus = (1 - keras.ops.exp(-ce)) ** {gamma}\n"
        "loss = keras.ops.mean(keras.ops.take(weight, target) * focus * ce)\n",
        optax=None,
        note="Keras's categorical_focal_crossentropy has alpha = 0.25 by default and clips the probability at 1e-7. "
        "Optax's sigmoid_focal_loss is the binary loss of the paper.",
    ),
)


# --- hinge


def hinge(*, pred: Tensor, target: Tensor) -> Tensor:
    """Zero once a score is on the right side by a margin of 1, linear before: only the hard samples pull.

    Args:
        pred: scores, shape ``(*batch)``.
        target: labels, same shape; -1 or +1.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of the score.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Cortes and Vapnik (1995), doi:10.1007/BF00994018.
    """
    require_elementwise(pred=pred, target=target)
    return relu(1 - target * pred)


def _hinge_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": -target * (target * pred < 1).to(pred.dtype)}


def _check_hinge(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"])
    check_where("target", inputs["target"], inputs["target"].abs() == 1, "-1 or +1")


def _margin(*, pred: Tensor, target: Tensor) -> Tensor:
    return target * pred


def _hinge_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return (1 - _margin(pred=pred, target=target)).clamp(min=0)


def _margin_slope(*, target: Tensor, **_: object) -> Tensor:
    return target


def _hinge_by_margin(*, pred: Tensor, target: Tensor) -> Tensor:
    return -(_margin(pred=pred, target=target) < 1).to(pred.dtype)


def _hinge_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _hinge_by_margin(pred=pred, target=target) * _margin_slope(target=target)


_ALL_SCORES = "all real scores"

HINGE = Loss(
    key="hinge",
    name="Hinge loss",
    name_zh="合页损失",
    family="classification",
    tasks=("classification",),
    input_kind="margin",
    inputs={"pred": "score, any shape", "target": "label, -1 or +1, the shape of pred"},
    differentiable=("pred",),
    fn=hinge,
    denominator=number_of_values,
    check=_check_hinge,
    grad=_hinge_grad,
    formula=(Line(r"m = t\,s", _margin), Line(r"\ell = \max(0, 1 - m)", _hinge_line)),
    gradient=r"\frac{\partial \ell}{\partial s} = \begin{cases} -t & m < 1 \\ 0 & m \ge 1 \end{cases}",
    derivation=(
        Line(r"\frac{\partial m}{\partial s} = t", _margin_slope),
        Line(r"\frac{d \ell}{dm} = \begin{cases} -1 & m < 1 \\ 0 & m \ge 1 \end{cases}", _hinge_by_margin),
        Line(
            r"\frac{\partial \ell}{\partial s} = \frac{d \ell}{dm} \cdot \frac{\partial m}{\partial s}"
            r" = \begin{cases} -t & m < 1 \\ 0 & m \ge 1 \end{cases}",
            _hinge_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_SCORES),
        convex_in_logits=NOT_APPLICABLE,
        bounded=no(_ALL_SCORES, {"pred": [-1e6], "target": [1.0]}),
        lipschitz=yes(_ALL_SCORES, constant=lambda _: 1.0),
        smooth=no(_ALL_SCORES, {"pred": [1 - 1e-9], "target": [1.0]}, {"pred": [1 + 1e-9], "target": [1.0]}),
        robust=no(_ALL_SCORES, {"pred": [0.0], "target": [1.0]}, {"pred": [3.0], "target": [1.0]}),
        symmetric=yes(_ALL_SCORES),
        proper=NOT_APPLICABLE,
        calibrated=yes("two classes", source=_CALIBRATED_SOURCE),
        scale_invariant=no(_ALL_SCORES, {"pred": [0.5], "target": [1.0]}),
    ),
    pitfalls=(
        "Labels are -1 and +1: with 0 and 1 every negative sample has loss 1 and no gradient. "
        "Keras converts in silence.",
        "PyTorch's HingeEmbeddingLoss is another loss.",
        "The score is no probability, and its size means nothing beyond the margin.",
        "Exactly at the margin any slope from -1 to 0 is right; here it is 0, in JAX one half of the step.",
    ),
    reference="Cortes and Vapnik (1995), Support-vector networks, doi:10.1007/BF00994018.",
    code=Code(
        pytorch="import torch\n\nloss = torch.relu(1 - target * pred).mean()\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.hinge(target, pred))\n",
        optax="import optax\n\nloss = optax.losses.hinge_loss(pred, target).mean()\n",
        note="All three agree for labels of -1 and +1.",
    ),
)


LOSSES: tuple[Loss, ...] = (BCE_WITH_LOGITS, CROSS_ENTROPY, SOFTMAX_FOCAL, HINGE)
