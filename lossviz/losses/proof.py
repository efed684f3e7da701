"""One gradient three ways: by hand, by autograd, and as the difference of two values of the loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, isnan, nan
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Loss, Params

Verdict: TypeAlias = Literal["agree", "kink", "detached", "differ"]
Found: TypeAlias = tuple[Tensor, Mapping[str, Tensor]]
"""A value and its gradients, as ``value_and_grad`` gives them."""

STEP = 1e-5
"""Small enough for the curvature, large enough for float64's sixteen digits: central differences keep ten."""
TOLERANCE = 1e-6
"""Relative: what is left of ten digits for losses as steep as they come."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The slope of the reduced loss along a direction.

    Attributes:
        hand: from the hand-written gradient; ``None`` where the loss has none.
        autograd: from autograd.
        left: from the loss a step behind; NaN outside the loss's domain.
        right: from the loss a step ahead; NaN outside the loss's domain.
        deviation: the largest difference of a component by hand and by autograd; ``None`` without ``hand``.
        detached: what the loss takes as constant; empty for nothing.
    """

    hand: float | None
    autograd: float
    left: float
    right: float
    deviation: float | None
    detached: str

    @property
    def difference(self) -> float:
        """The central difference; at the end of the domain the one-sided one that exists."""
        sides = [side for side in (self.left, self.right) if not isnan(side)]
        return sum(sides) / len(sides) if sides else nan

    @property
    def verdict(self) -> Verdict:
        """Whether all agree; if not, whether a kink or a detached part is why."""
        size = TOLERANCE * (1 + abs(self.autograd))
        if self.deviation is not None and not self.deviation <= size:
            return "differ"
        one_sided = isnan(self.left) or isnan(self.right)
        # One-sided differences are off by half a step times the curvature.
        if abs(self.difference - self.autograd) <= size * (1e3 if one_sided else 1):
            return "agree"
        if self.detached:
            return "detached"
        low, high = sorted((self.left, self.right))
        jump = high - low > 1e3 * size
        return "kink" if jump and low - size <= self.autograd <= high + size else "differ"


def prove(
    loss: Loss,
    at: Callable[[float], Mapping[str, Any]],
    x: float,
    params: Params,
    way: Mapping[str, Tensor],
    found: Found | None = None,
) -> Proof:
    """The slope at ``x`` along ``way``, three ways.

    Args:
        loss: a loss with a scalar to differentiate.
        at: inputs of the loss at a place on the way, float64.
        x: the place.
        params: all parameters, resolved.
        way: for each input that moves, how fast it does; names as those of ``value_and_grad``'s gradients.
        found: what ``value_and_grad`` says at ``x``, where it has been asked already.

    Raises:
        ValueError: the inputs at ``x`` are outside the loss's domain.
    """
    inputs = at(x)
    value, slopes = found or value_and_grad(loss, inputs, params)
    hand = deviation = None
    if loss.grad is not None:
        with torch.inference_mode():
            own = by_hand(loss, inputs, params)
            hand = along(own, way)
            deviation = max(float((own[name] - slopes[name]).abs().max()) for name in own)
    return Proof(
        hand=hand,
        autograd=along(slopes, way),
        left=(value.item() - _value(loss, at(x - STEP), params)) / STEP,
        right=(_value(loss, at(x + STEP), params) - value.item()) / STEP,
        deviation=deviation,
        detached=loss.detached,
    )


def by_hand(loss: Loss, inputs: Mapping[str, Any], params: Params) -> dict[str, Tensor]:
    """The hand-written gradient of the reduced loss.

    Raises:
        ValueError: the loss has none.
    """
    if loss.grad is None:
        raise ValueError(f"{loss.key} has no hand-written gradient")
    denominator = 1.0
    if loss.denominator is not None:
        denominator = loss.denominator(loss.fn(**inputs, **params), inputs, params)
    return {name: slope / denominator for name, slope in loss.grad(**inputs, **params).items()}


def along(slopes: Mapping[str, Tensor], way: Mapping[str, Tensor]) -> float:
    """The slope in a direction."""
    return sum(float((slopes[name] * step).sum()) for name, step in way.items())


def _value(loss: Loss, inputs: Mapping[str, Any], params: Params) -> float:
    try:
        loss.check(inputs, params)
    except ValueError:
        return nan
    with torch.no_grad():
        value = loss.reduce(loss.fn(**inputs, **params), inputs, params).item()
    return value if isfinite(value) else nan
