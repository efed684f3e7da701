"""Parts that several losses between class scores and a class index are made of."""

import math

import torch
from torch import Tensor

from lossviz.losses._checks import check_finite, check_labels, require_classes
from lossviz.losses.entry import Inputs, Line, Params

CLASS_INPUTS = {"pred": "logits, (N, K)", "target": "class index, 0 to K - 1, (N,) int64"}
ALL_LOGITS = "all real logits"
SOFTMAX_FORECAST = "the softmax of the logits as forecast"


def is_label(pred: Tensor, target: Tensor) -> Tensor:
    """Where a class is the row's label: ``(N, K)`` of truth values."""
    return target[:, None] == torch.arange(pred.shape[1], device=pred.device)


def at_label(values: Tensor, target: Tensor) -> Tensor:
    """The value of each row's label: ``(N,)`` of ``(N, K)``."""
    return values.gather(-1, target[:, None])[:, 0]


def log_p_label(pred: Tensor, target: Tensor) -> Tensor:
    """The logarithm of the probability that the softmax gives to the label: ``(N,)``."""
    return at_label(pred.log_softmax(-1), target)


def rest(pred: Tensor, target: Tensor) -> Tensor:
    """``1 - p`` of the label, ``(N,)``, added up from the other classes: the difference has no digits where p is 1."""
    return pred.log_softmax(-1).masked_fill(is_label(pred, target), -math.inf).logsumexp(-1).exp()


def surplus(pred: Tensor, target: Tensor) -> Tensor:
    """The gradient of the cross-entropy, ``(N, K)``: probabilities less the one-hot label."""
    return pred.softmax(-1) - is_label(pred, target).to(pred.dtype)


def check_class_logits(inputs: Inputs, params: Params) -> None:
    """``pred`` is finite ``(N, K)``, ``target`` an index of its classes.

    Raises:
        ValueError: naming the first value that is not.
    """
    require_classes(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"])
    check_labels(inputs["target"], inputs["pred"].shape[1])


# --- lines of formulas: written another way than what they check


def shifted_line(*, pred: Tensor, **_: object) -> Tensor:
    """Scores less the largest of the row: ``(N, K)``."""
    return pred - pred.amax(-1, keepdim=True)


def ce_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    """The cross-entropy of each row: ``(N,)``."""
    shifted = shifted_line(pred=pred)
    return shifted.exp().sum(-1).log() - at_label(shifted, target)


def p_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    """The softmax's probability of the label: ``(N,)``."""
    return at_label(pred.softmax(-1), target)


def rest_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    """What the softmax gives to the other classes: ``(N,)``."""
    return pred.softmax(-1).masked_fill(is_label(pred, target), 0).sum(-1)


# --- lines of derivations


def softmax_line(*, pred: Tensor, **_: object) -> Tensor:
    """The softmax's probabilities: ``(N, K)``."""
    weights = shifted_line(pred=pred).exp()
    return weights / weights.sum(-1, keepdim=True)


def log_p_slope_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    """How the logarithm of the label's probability moves with each logit: ``(N, K)``."""
    return is_label(pred, target).to(pred.dtype) - softmax_line(pred=pred)


def p_slope_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    """How the label's probability itself moves: ``(N, K)``."""
    return p_line(pred=pred, target=target)[:, None] * log_p_slope_line(pred=pred, target=target)


SOFTMAX = Line(r"\frac{\partial}{\partial z_k} \ln \sum_j e^{z_j} = \frac{e^{z_k}}{\sum_j e^{z_j}} = p_k", softmax_line)
LOG_P_SLOPE = Line(
    r"\frac{\partial \ln p_y}{\partial z_k}"
    r" = \frac{\partial}{\partial z_k} \left(z_y - \ln \sum_j e^{z_j}\right) = [k = y] - p_k",
    log_p_slope_line,
)
P_SLOPE = Line(
    r"\frac{\partial p_y}{\partial z_k} = p_y \cdot \frac{\partial \ln p_y}{\partial z_k}"
    r" = p_y \left([k = y] - p_k\right)",
    p_slope_line,
)
