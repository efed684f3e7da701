"""Inputs and parameters that every test of the catalogue runs over."""

from typing import Any

import pytest
import torch
from samples import SAMPLES
from sampling import CLASSES, Inputs, Random, Sample
from torch import Tensor

from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.entry import Choice, Flag, Groups, Param, Vector


def name_of(loss: Loss) -> str:
    """How a test calls a loss: ``-k "robust."`` runs a family's tests, ``-k "huber"`` a loss's."""
    return f"{loss.family}.{loss.key}"


def sample_of(loss: Loss) -> Sample:
    assert loss.key in SAMPLES, f"tests/losses/samples/{loss.family}.py says nothing of {loss.key}"
    return SAMPLES[loss.key]


def ends(param: Param) -> list[Any]:
    """Both ends of a parameter's range, and the other forms it allows."""
    if isinstance(param, Groups):
        return []
    if isinstance(param, Choice):
        return [option for option in param.options if option != param.default]
    if isinstance(param, Flag):
        return [not param.default]
    values: list[Any] = [param.low, param.high]
    if isinstance(param, Vector):
        return [*values, [param.low + (param.high - param.low) * k / (CLASSES - 1) for k in range(CLASSES)]]
    return [*values, *param.also]


def settings(loss: Loss) -> list[dict[str, Any]]:
    """The defaults, and for each parameter its ends with all others at their defaults."""
    own = SAMPLES[loss.key].ends if loss.key in SAMPLES else {}
    changed = [
        loss.resolve({name: value}) for name, param in loss.params.items() for value in own.get(name, ends(param))
    ]
    return [loss.resolve(), *changed]


EVERY_LOSS = pytest.mark.parametrize("loss", CATALOGUE, ids=name_of)
SETTINGS = [(loss, params) for loss in CATALOGUE for params in settings(loss)]
EVERY_SETTING = pytest.mark.parametrize(
    ("loss", "params"), SETTINGS, ids=[f"{name_of(loss)}-{params}" for loss, params in SETTINGS]
)


def draw(loss: Loss, rows: int, seed: int = 0, dtype: torch.dtype = torch.float64, spread: float = 1.0) -> Inputs:
    """Random inputs inside the domain; ``spread`` is how many powers of ten the sizes cover each way."""
    return sample_of(loss).draw(Random(rows, seed, dtype, spread))


class Coarse(Random):
    """Halves and quarters, few of them different: so that margins are met exactly and most values have an equal one."""

    def reals(self, *shape: int) -> Tensor:
        return (super().reals(*shape) * 2).round().clamp(-6, 6) / 2

    def fractions(self, *shape: int) -> Tensor:
        return (super().fractions(*shape) * 4).round() / 4


def coarse(loss: Loss, rows: int, seed: int) -> Inputs:
    """Inputs full of ties, zeros and values at a bend."""
    return sample_of(loss).draw(Coarse(rows, seed))


def tensors_of(inputs: Inputs) -> dict[str, Tensor]:
    """The inputs without networks."""
    return {name: value for name, value in inputs.items() if isinstance(value, Tensor)}


def autograd(loss: Loss, inputs: Inputs, params: dict[str, Any]) -> dict[str, Tensor]:
    """Gradient of the summed unreduced values by autograd."""
    own = inputs | {name: inputs[name].clone().requires_grad_() for name in loss.differentiable}
    leaves = [own[name] for name in loss.differentiable]
    total = loss.fn(**own, **params).sum()
    if not leaves or not total.requires_grad:
        return {name: torch.zeros_like(inputs[name]) for name in loss.differentiable}
    gradients = torch.autograd.grad(total, leaves, materialize_grads=True)
    return dict(zip(loss.differentiable, gradients, strict=True))


def closed_form(loss: Loss, inputs: Inputs, params: dict[str, Any]) -> dict[str, Tensor]:
    """The hand-written gradient, where autograd cannot help it."""
    assert loss.grad is not None
    with torch.inference_mode():
        return {name: gradient.clone() for name, gradient in loss.grad(**inputs, **params).items()}


def gradient(loss: Loss, inputs: Inputs, params: dict[str, Any]) -> dict[str, Tensor]:
    """The hand-written gradient of the summed unreduced values, or autograd's where there is none."""
    return closed_form(loss, inputs, params) if loss.grad else autograd(loss, inputs, params)
