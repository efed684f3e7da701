"""Where values are equal, zero or at a bend, and at the ends of the domain: all that gives a slope gives the same."""

from typing import Any

import torch
from loss_samples import EVERY_SETTING, autograd, closed_form, sample_of
from sampling import Inputs, Random
from test_catalogue import slope_by_logits
from torch import Tensor

from lossviz.losses import Loss

SEEDS = range(8)
ROWS = 6


class Coarse(Random):
    """Halves and quarters, few of them different: so that margins are met exactly and most values have an equal one."""

    def reals(self, *shape: int) -> Tensor:
        return (super().reals(*shape) * 2).round().clamp(-6, 6) / 2

    def fractions(self, *shape: int) -> Tensor:
        return (super().fractions(*shape) * 4).round() / 4


def coarse(loss: Loss, params: dict[str, Any], seed: int) -> Inputs:
    inputs = sample_of(loss).draw(Coarse(max(ROWS, sample_of(loss).fewest), seed))
    loss.check(inputs, params)
    return inputs


def wanted(loss: Loss, inputs: Inputs, params: dict[str, Any]) -> Tensor:
    """What a derivation leads to."""
    if loss.returns == "gradients":
        return loss.fn(**inputs, **params)
    if loss.differentiable:
        return autograd(loss, inputs, params)[loss.differentiable[0]]
    return slope_by_logits(loss, inputs, params)


@EVERY_SETTING
def test_all_agree_on_coarse_numbers(loss: Loss, params: dict[str, Any]) -> None:
    for seed in SEEDS:
        inputs = coarse(loss, params, seed)
        values = loss.fn(**inputs, **params).detach()
        line = loss.formula[-1].value(**inputs, **params).detach()
        torch.testing.assert_close(line, values, rtol=1e-9, atol=1e-9)
        if loss.grad:
            slopes, expected = closed_form(loss, inputs, params), autograd(loss, inputs, params)
            torch.testing.assert_close(slopes, expected, rtol=1e-9, atol=1e-9)
        slope, want = loss.derivation[-1].value(**inputs, **params).detach(), wanted(loss, inputs, params)
        torch.testing.assert_close(slope, want, rtol=1e-9, atol=1e-9)


@EVERY_SETTING
def test_the_derivation_ends_at_the_gradient_at_the_ends_of_the_domain(loss: Loss, params: dict[str, Any]) -> None:
    for inputs in sample_of(loss).extremes(torch.float64):
        slope, want = loss.derivation[-1].value(**inputs, **params).detach(), wanted(loss, inputs, params)
        torch.testing.assert_close(slope, want, rtol=1e-4, atol=1e-6)
