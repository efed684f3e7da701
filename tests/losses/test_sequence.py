"""Alignments at their ends: no labels, padding of any value, frames too few."""

import math

import pytest
import torch
from loss_samples import autograd, sample_of
from torch import Tensor

import lossviz

TOO_FEW = {
    "pred": torch.tensor([[[0.5, 1.0, -1.0], [2.0, 0.0, 1.0]]] * 2, dtype=torch.float64),
    "target": torch.tensor([[1, 1], [1, 2]]),
    "input_lengths": torch.tensor([2, 1]),
    "target_lengths": torch.tensor([2, 2]),
}


def agree(key: str, inputs: dict[str, Tensor]) -> None:
    loss = lossviz.get(key)
    torch.testing.assert_close(loss.formula[-1].value(**inputs), loss.fn(**inputs))
    torch.testing.assert_close(loss.derivation[-1].value(**inputs), autograd(loss, inputs, {})["pred"])


@pytest.mark.parametrize("key", ["ctc", "rnnt"])
def test_formula_and_derivation_hold_at_the_ends(key: str) -> None:
    for inputs in sample_of(lossviz.get(key)).extremes(torch.float64):
        agree(key, inputs)


def test_frames_too_few_cost_without_end_and_pull_nowhere() -> None:
    assert lossviz.get("ctc").fn(**TOO_FEW).tolist() == [math.inf, math.inf]
    agree("ctc", TOO_FEW)
