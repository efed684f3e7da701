"""Proximal steps of the penalties: where a weight goes that is held to its place by a spring and pulled by the penalty.

``step(key, w, rate, params)`` minimises ``penalty(v) + (v - w)^2 / (2 rate)`` over v: what a gradient step approximates
where the penalty is smooth, and what gives exact zeros where it has a kink.
Reference: Parikh and Boyd (2014), Proximal algorithms, doi:10.1561/2400000003.
"""

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

from torch import Tensor
from torch.nn.functional import relu

Strength = float | Tensor


def step(key: str, w: Tensor, rate: float, params: Mapping[str, Any]) -> Tensor:
    """Return the weights after one proximal step of a penalty.

    Args:
        key: the penalty, one of ``STEPS``.
        w: weights, shape ``(*batch, D)``.
        rate: length of the step; above 0.
        params: all parameters of the penalty; its strength may be a tensor of shape ``(*batch, 1)``.

    Raises:
        KeyError: the penalty has no proximal step here.
    """
    return STEPS[key](w, rate, **params)


def _soft(w: Tensor, threshold: Strength) -> Tensor:
    """Nearer to 0 by the threshold; exactly 0 within it."""
    return w.sign() * relu(w.abs() - threshold)


def _l1(w: Tensor, rate: float, *, lambda_: Strength) -> Tensor:
    return _soft(w, rate * lambda_)


def _l2(w: Tensor, rate: float, *, lambda_: Strength) -> Tensor:
    return w / (1 + 2 * rate * lambda_)


def _elastic(w: Tensor, rate: float, *, alpha: Strength, l1_ratio: float) -> Tensor:
    return _soft(w, rate * alpha * l1_ratio) / (1 + rate * alpha * (1 - l1_ratio))


def _group(w: Tensor, rate: float, *, lambda_: Strength, groups: list[list[int]] | None, sqrt_size: bool) -> Tensor:
    moved = w.clone()
    for group in groups or [list(range(w.shape[-1]))]:
        own = w[..., group]
        length = own.square().sum(-1, keepdim=True).sqrt()
        short = relu(length - rate * lambda_ * (sqrt(len(group)) if sqrt_size else 1.0))
        # A group of length 0 stays one, whatever it is divided by.
        moved[..., group] = own * (short / length.clamp(min=1e-300))
    return moved


STEPS: Mapping[str, Callable[..., Tensor]] = {
    "l1_penalty": _l1,
    "l2_penalty": _l2,
    "elastic_net": _elastic,
    "group_lasso": _group,
}
