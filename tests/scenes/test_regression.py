"""What is left out to be quick changes no bit: curves, slopes and proofs are those of the plain way to make them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lossviz.losses import CATALOGUE
from lossviz.losses.entry import Loss
from lossviz.losses.proof import prove
from lossviz.scenes.regression import GRID, REGRESSION, inputs

every_loss = pytest.mark.parametrize("loss", REGRESSION.losses(CATALOGUE), ids=lambda loss: loss.key)
PLACES = [(2.0, 0.5), (0.5, 0.5), (-1.25, 3.0), (0.0, 0.0), (4.999, -5.0), (0.1 + 0.2, 1 / 3)]


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(torch.int64)


def plainly(loss: Loss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Value and slope of every point, 0 in place of what is outside the domain and NaN over it."""
    low = 0.0 if loss.input_kind == "nonnegative" else -torch.inf
    outside = (pred < low) | (target < low)
    named = {"pred": pred.masked_fill(outside, 0.0), "target": target.masked_fill(outside, 0.0)}
    assert loss.grad
    slope = loss.grad(**named, **loss.resolve())["pred"]
    return loss.fn(**named, **loss.resolve()).masked_fill(outside, torch.nan), slope.masked_fill(outside, torch.nan)


@every_loss
@pytest.mark.parametrize(("pred", "target"), PLACES)
def test_curve_slope_and_proof_have_the_bits_of_the_plain_way(loss: Loss, pred: float, target: float):
    handles = REGRESSION.parse_handles({"pred": pred, "target": target})
    frame = REGRESSION.views([loss], handles, {}, ["curve", "derivative", f"proof:{loss.key}"])
    value, slope = plainly(loss, GRID, torch.full_like(GRID, target))
    assert torch.equal(bits(frame.arrays["curve"][0]), bits(value))
    assert torch.equal(bits(frame.arrays["derivative"][0]), bits(slope))
    if loss.key in frame.numbers:

        def at(x: float) -> dict[str, Any]:
            return inputs({**handles, "pred": x}, loss)

        whole = prove(loss, at, pred, loss.resolve(), {"pred": torch.ones(1, dtype=torch.float64)})
        assert repr(frame.proofs[loss.key]) == repr(whole)
