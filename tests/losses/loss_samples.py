"""Inputs and parameters that every test of the catalogue runs over."""

from typing import Any

import torch
from torch import Tensor

from lossviz.losses import Loss
from lossviz.losses.entry import Number, Param, Vector

CLASSES = 3


def ends(param: Param) -> list[Any]:
    """Both ends of a parameter's range, and the other forms it allows."""
    assert isinstance(param, Number | Vector), "the first ten have numbers and vectors only"
    values: list[Any] = [param.low, param.high]
    if isinstance(param, Vector):
        values.append([param.low, (param.low + param.high) / 2, param.high])
    return values


def settings(loss: Loss) -> list[dict[str, Any]]:
    """The defaults, and for each parameter its ends with all others at their defaults."""
    changed = [loss.resolve({name: value}) for name, param in loss.params.items() for value in ends(param)]
    return [loss.resolve(), *changed]


def draw(
    loss: Loss, rows: int, seed: int = 0, dtype: torch.dtype = torch.float64, spread: float = 1.0
) -> dict[str, Tensor]:
    """Random inputs inside the domain; ``spread`` is how many powers of ten the sizes cover each way."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        powers = (torch.rand(shape[0], generator=generator, dtype=torch.float64) * 2 - 1) * spread
        size = (10**powers).reshape(-1, *[1] * (len(shape) - 1))
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * size).to(dtype)

    def positive(*shape: int) -> Tensor:
        return normal(*shape).abs().clamp(max=1e6)

    labels = torch.randint(CLASSES, (rows,), generator=generator)
    chance = torch.rand(rows, generator=generator, dtype=torch.float64).to(dtype)
    kinds: dict[str, dict[str, Tensor]] = {
        "regression": {"pred": normal(rows), "target": normal(rows)},
        "nonnegative": {"pred": positive(rows), "target": positive(rows)},
        "binary": {"pred": normal(rows), "target": chance.where(chance < 0.5, chance.round())},
        "margin": {"pred": normal(rows), "target": chance.round() * 2 - 1},
        "classes": {"pred": normal(rows, CLASSES), "target": labels},
        "pairs": {"x1": normal(rows, 4), "x2": normal(rows, 4)},
    }
    inputs = kinds[loss.input_kind]
    if "weight" in loss.inputs:
        inputs["weight"] = torch.ones(CLASSES, dtype=dtype)
    return inputs


def autograd(loss: Loss, inputs: dict[str, Tensor], params: dict[str, Any]) -> dict[str, Tensor]:
    """Gradient of the summed unreduced values by autograd."""
    own = {name: tensor.clone() for name, tensor in inputs.items()}
    leaves = [own[name].requires_grad_() for name in loss.differentiable]
    gradients = torch.autograd.grad(loss.fn(**own, **params).sum(), leaves)
    return dict(zip(loss.differentiable, gradients, strict=True))


def closed_form(loss: Loss, inputs: dict[str, Tensor], params: dict[str, Any]) -> dict[str, Tensor]:
    """The hand-written gradient, where autograd cannot help it."""
    assert loss.grad is not None
    with torch.inference_mode():
        return {name: gradient.clone() for name, gradient in loss.grad(**inputs, **params).items()}
