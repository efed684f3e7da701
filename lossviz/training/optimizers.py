"""Optimisers on one flat tensor of weights: the rules of ``torch.optim`` without its bookkeeping for each step."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lossviz.runs.spec import Optimizer, Schedule
from lossviz.training.backward import Weights

Step = Callable[[float], None]
"""One step at a learning rate: changes the weights by the gradient that lies beside them."""

MOMENTUM = 0.9
CYCLE_RISES, CYCLE_STARTS, CYCLE_ENDS = 0.3, 1 / 25, 1 / 25e4
"""PyTorch's one-cycle: the share of the steps that rise, and where it starts and ends in parts of the peak."""


def optimizer(name: Optimizer, weights: Weights, decay: float = 0.0) -> Step:
    """The optimiser of that name, at PyTorch's default settings but for the weight decay; ``momentum`` is 0.9."""
    match name:
        case "adam" | "adamw":
            return _Adam(weights, decay, decoupled=name == "adamw")
        case "sgd":
            rule = _sgd(weights)
        case "momentum" | "nesterov":
            rule = _momentum(weights, ahead=name == "nesterov")
        case "rmsprop":
            rule = _rmsprop(weights)
        case "adagrad":
            rule = _adagrad(weights)
    if decay == 0:
        return rule

    def decayed(rate: float) -> None:
        weights.gradient.add_(weights.values, alpha=decay)
        rule(rate)

    return decayed


def learning_rates(schedule: Schedule, peak: float, steps: int) -> Callable[[int], float]:
    """The learning rate of each step, counted from 0, over a whole run; ``peak`` is the highest."""
    match schedule:
        case "constant":
            return lambda step: peak
        case "cosine":
            return lambda step: peak * _cosine(1, 0, step / steps)
        case "step":
            return lambda step: peak * 0.1 ** (3 * step // steps)
        case "one-cycle":
            return lambda step: peak * _cycle(step, steps)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _cycle(step: int, steps: int) -> float:
    top = CYCLE_RISES * steps - 1
    if step <= top:
        return _cosine(CYCLE_STARTS, 1, step / top)
    return _cosine(1, CYCLE_ENDS, (step - top) / (steps - 1 - top))


def _sgd(weights: Weights) -> Step:
    def step(rate: float) -> None:
        weights.values.add_(weights.gradient, alpha=-rate)

    return step


def _momentum(weights: Weights, ahead: bool) -> Step:
    velocity = torch.zeros_like(weights.values)

    def step(rate: float) -> None:
        velocity.mul_(MOMENTUM).add_(weights.gradient)
        direction = weights.gradient.add_(velocity, alpha=MOMENTUM) if ahead else velocity
        weights.values.add_(direction, alpha=-rate)

    return step


def _rmsprop(weights: Weights) -> Step:
    square = torch.zeros_like(weights.values)

    def step(rate: float) -> None:
        square.mul_(0.99).addcmul_(weights.gradient, weights.gradient, value=0.01)
        weights.values.addcdiv_(weights.gradient, square.sqrt().add_(1e-8), value=-rate)

    return step


def _adagrad(weights: Weights) -> Step:
    total = torch.zeros_like(weights.values)

    def step(rate: float) -> None:
        total.addcmul_(weights.gradient, weights.gradient)
        weights.values.addcdiv_(weights.gradient, total.sqrt().add_(1e-10), value=-rate)

    return step


class _Adam:
    def __init__(self, weights: Weights, decay: float, decoupled: bool) -> None:
        self._decay = decay
        # What torch.optim.Adam(fused=True) ends in; its way there costs five times as much as the update itself.
        self._update = torch._fused_adamw_ if decoupled else torch._fused_adam_  # pyright: ignore[reportPrivateImportUsage]
        self._values, self._gradient = [weights.values], [weights.gradient]
        self._mean, self._square = [torch.zeros_like(weights.values)], [torch.zeros_like(weights.values)]
        self._count: list[Tensor] = [torch.zeros((), device=weights.values.device)]

    def __call__(self, rate: float) -> None:
        self._count[0].add_(1)
        self._update(
            self._values,
            self._gradient,
            self._mean,
            self._square,
            [],
            self._count,
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self._decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
