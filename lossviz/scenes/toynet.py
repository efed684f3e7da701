"""A network small enough to be drawn: two moons in the unit square, learnt in a moment, always to the same weights."""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from lossviz.losses import get

CLASSES = 2
HIDDEN = 10
_SEED = 5
_A_MOON = 40
_NOISE = 0.035
_STEPS = 500
_RATE = 0.3
_MOMENTUM = 0.9
_DECAY = 3e-4
_SHARPNESS = 5.0
_DIGITS = 3


@lru_cache(1)
def points() -> tuple[Tensor, Tensor]:
    """The training points ``(N, 2)``, inside the unit square, float64, and their classes ``(N,)``, 0 or 1."""
    generator = torch.Generator().manual_seed(_SEED)
    angle = torch.linspace(0, math.pi, _A_MOON, dtype=torch.float64)
    upper = torch.stack([0.36 + 0.26 * angle.cos(), 0.42 + 0.36 * angle.sin()], -1)
    lower = torch.stack([0.64 - 0.26 * angle.cos(), 0.58 - 0.36 * angle.sin()], -1)
    both = torch.cat([upper, lower])
    noise = _NOISE * torch.randn(both.shape, generator=generator, dtype=torch.float64)
    return (both + noise).clamp(0.02, 0.98), torch.arange(CLASSES).repeat_interleave(_A_MOON)


@lru_cache(1)
def network() -> nn.Sequential:
    """Logits ``(N, 2)`` for points ``(N, 2)``, float64: trained on `points` with momentum, its weights then rounded.

    Rounded so that machines which add in another order end at the same weights.
    """
    with torch.inference_mode(False), torch.enable_grad():
        model = _drawn()
        inputs, target = points()
        loss, weight = get("cross_entropy"), torch.ones(CLASSES, dtype=torch.float64)
        weights = list(model.parameters())
        speeds = [torch.zeros_like(w) for w in weights]
        for _ in range(_STEPS):
            value = loss.fn(pred=model(inputs), target=target, weight=weight, **loss.resolve()).mean()
            slopes = torch.autograd.grad(value, weights)
            with torch.no_grad():
                for w, speed, slope in zip(weights, speeds, slopes, strict=True):
                    speed.mul_(_MOMENTUM).sub_(slope + _DECAY * w, alpha=_RATE)
                    w.add_(speed)
        with torch.no_grad():
            for w in weights:
                w.copy_((w * 10**_DIGITS).round() / 10**_DIGITS)
    return model


def _drawn() -> nn.Sequential:
    """Untrained: each hidden unit turns over along a line of its own through the middle of the square."""
    generator = torch.Generator().manual_seed(_SEED)
    first = nn.Linear(2, HIDDEN, dtype=torch.float64)
    last = nn.Linear(HIDDEN, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        first.weight.copy_(_SHARPNESS * torch.randn(first.weight.shape, generator=generator, dtype=torch.float64))
        through = 0.2 + 0.6 * torch.rand(first.weight.shape, generator=generator, dtype=torch.float64)
        first.bias.copy_(-(first.weight * through).sum(-1))
        last.weight.copy_(torch.randn(last.weight.shape, generator=generator, dtype=torch.float64) / HIDDEN)
        last.bias.zero_()
    return nn.Sequential(first, nn.Tanh(), last)
