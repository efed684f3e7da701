"""The gradient three ways: they agree along every loss's slice, and the badge notices when they do not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from loss_samples import name_of
from torch import Tensor

import lossviz
from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.slices import slice_of

HAVE_A_SLOPE = [loss for loss in CATALOGUE if loss.returns == "loss"]
PLACES = (0.03, 0.137, 0.251, 0.451, 0.683, 0.83, 0.97)


def proof_at(loss: Loss, x: float) -> Proof:
    line = slice_of(loss)
    return prove(loss, line.at, x, loss.resolve(), line.direction)


@pytest.mark.parametrize("loss", HAVE_A_SLOPE, ids=name_of)
def test_all_three_agree_along_the_slice(loss: Loss) -> None:
    line = slice_of(loss)
    verdicts = [proof_at(loss, line.low + (line.high - line.low) * share).verdict for share in PLACES]
    allowed = {"agree", "detached"} if loss.detached else {"agree"}
    assert set(verdicts) <= allowed, verdicts


def test_what_is_detached_shows() -> None:
    proof = proof_at(lossviz.get("gradnorm"), 1.4)
    assert proof.hand == proof.autograd == pytest.approx(2.1)
    assert proof.difference != pytest.approx(2.1, rel=0.1)
    assert proof.verdict == "detached"


def test_a_kink_is_called_one() -> None:
    proof = proof_at(lossviz.get("hinge"), 1.0)
    assert (proof.left, proof.right) == pytest.approx((-1.0, 0.0), abs=1e-6)
    assert proof.autograd in (-1.0, 0.0) and proof.verdict == "kink"


def test_at_the_end_of_the_domain_one_side_is_enough() -> None:
    loss = lossviz.get("msle")
    proof = proof_at(loss, 0.0)
    assert proof.left != proof.left and proof.difference == proof.right
    assert proof.verdict == "agree"


def test_outside_the_domain_there_is_nothing_to_prove() -> None:
    with pytest.raises(ValueError, match=r"pred at \(0,\) is -1"):
        proof_at(lossviz.get("msle"), -1.0)


def wrong(change: Callable[[Tensor], Tensor]) -> Loss:
    """Huber's loss with another gradient by hand."""
    huber = lossviz.get("huber")
    assert huber.grad is not None
    grad = huber.grad

    def spoilt(**inputs: Any) -> dict[str, Tensor]:
        return {name: change(slope) for name, slope in grad(**inputs).items()}

    return replace(huber, grad=spoilt)


@pytest.mark.parametrize("change", [lambda g: -g, lambda g: 2 * g, lambda g: g + 1e-5, lambda g: g * torch.nan])
def test_a_wrong_gradient_by_hand_is_caught(change: Callable[[Tensor], Tensor]) -> None:
    assert proof_at(wrong(change), 1.0).verdict == "differ"


def test_an_autograd_gradient_that_is_not_the_slope_is_caught() -> None:
    huber = lossviz.get("huber")
    held = replace(huber, grad=None, fn=lambda *, pred, target, delta: pred.detach() * pred + 0 * target)
    assert proof_at(held, 1.0).verdict == "differ"
    assert proof_at(replace(held, detached="the prediction"), 1.0).verdict == "detached"
