"""Optimisers on one flat tensor of weights: the rules of ``torch.optim`` without its bookkeeping for each step."""

from typing import Protocol

import torch
from torch import Tensor

from lossviz.runs.spec import Optimizer
from lossviz.training.backward import Weights


class Step(Protocol):
    """One step of an optimiser."""

    def __call__(self) -> None:
        """Change the weights by the gradient that lies beside them."""
        ...


def optimizer(name: Optimizer, weights: Weights, learning_rate: float) -> Step:
    """The optimiser of that name, at PyTorch's default settings; ``momentum`` is 0.9 without Nesterov."""
    match name:
        case "sgd":
            return lambda: _descend(weights.values, weights.gradient, learning_rate)
        case "momentum":
            return _Momentum(weights, learning_rate)
        case "adam":
            return _Adam(weights, learning_rate)


def _descend(values: Tensor, direction: Tensor, learning_rate: float) -> None:
    values.add_(direction, alpha=-learning_rate)


class _Momentum:
    def __init__(self, weights: Weights, learning_rate: float) -> None:
        self._weights = weights
        self._learning_rate = learning_rate
        self._velocity = torch.zeros_like(weights.values)

    def __call__(self) -> None:
        self._velocity.mul_(0.9).add_(self._weights.gradient)
        _descend(self._weights.values, self._velocity, self._learning_rate)


class _Adam:
    def __init__(self, weights: Weights, learning_rate: float) -> None:
        self._weights = weights
        self._learning_rate = learning_rate
        self._mean = torch.zeros_like(weights.values)
        self._square = torch.zeros_like(weights.values)
        self._count = torch.zeros((), device=weights.values.device)

    def __call__(self) -> None:
        self._count.add_(1)
        # What torch.optim.Adam(fused=True) ends in; its way there costs five times as much as the update itself.
        torch._fused_adam_(  # pyright: ignore[reportPrivateImportUsage]
            [self._weights.values],
            [self._weights.gradient],
            [self._mean],
            [self._square],
            [],
            [self._count],
            lr=self._learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )
