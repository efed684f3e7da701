"""The margin scene: both gradients are torch's, and every array means what its docstring says."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Loss
from lossviz.scenes import get_scene
from lossviz.scenes.margin import REACH, TANGENT_REACH

MARGIN = get_scene("margin")
LOSSES = MARGIN.losses(CATALOGUE)
AXES = ("logit", "probability", "residual")
GRID = torch.tensor([-REACH + 2 * REACH * i / 400 for i in range(401)], dtype=torch.float64)
NEAR: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12, "equal_nan": True}
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
scores = st.floats(-REACH, REACH)
labels = st.sampled_from([0, 1])


def reduced(loss: Loss, score: Tensor, label: int) -> Tensor:
    """Each value of the loss as a function of scores, with probabilities in between where it takes them."""
    target = torch.full_like(score, 2 * label - 1 if loss.input_kind == "margin" else label)
    pred = 1 / (1 + torch.exp(-score)) if loss.input_kind == "binary_probabilities" else score
    return loss.fn(pred=pred, target=target, **loss.resolve())


def by_logit_and_probability(loss: Loss, at: Tensor, label: int) -> tuple[Tensor, Tensor]:
    """Autograd through the score, and through the probability with the score taken from it."""
    score = at.clone().requires_grad_()
    (by_logit,) = torch.autograd.grad(reduced(loss, score, label).sum(), score)
    probability = torch.sigmoid(at).requires_grad_()
    again = torch.log(probability) - torch.log1p(-probability)
    (by_probability,) = torch.autograd.grad(reduced(loss, again, label).sum(), probability)
    return by_logit, by_probability


def off_kinks(loss: Loss, scores: Tensor, label: int) -> Tensor:
    """Where the way back from the probability cannot land on the other side of the hinge's corner."""
    margin = (2 * label - 1) * scores
    return (margin - 1).abs() > 1e-9 if loss.key == "hinge" else torch.ones_like(margin, dtype=torch.bool)


def frame_of(loss: Loss, *wanted: str, **held: Any) -> Any:
    return MARGIN.views([loss], MARGIN.parse_handles(held), {}, wanted)


def test_the_three_kinds_are_offered_together() -> None:
    keys = {loss.key for loss in LOSSES}
    assert keys == {"hinge", "squared_hinge", "exponential", "bce_with_logits", "sigmoid_focal", "bce"}


@every_loss
@given(score=scores, label=labels)
@settings(max_examples=30, deadline=None)
def test_numbers_are_those_of_torch(loss: Loss, score: float, label: int) -> None:
    numbers = frame_of(loss, score=score, label=label).numbers[loss.key]
    at = torch.tensor([score], dtype=torch.float64)
    by_logit, by_probability = by_logit_and_probability(loss, at, label)
    p = 1 / (1 + math.exp(-score))
    expected = {
        "loss": reduced(loss, at, label).item(),
        "rise": math.exp(-score) * p**2,
        "margin": score if label else -score,
        "probability": p,
        "residual": p - label,
    }
    if off_kinks(loss, at, label).all():
        expected |= {"gradient.logit": by_logit.item(), "gradient.probability": by_probability.item()}
    shown = {name: numbers[name] for name in expected}
    assert shown == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert set(numbers) == {*expected, "gradient.logit", "gradient.probability"}
    # The published error: the two differ by a factor of at least 4, and as far as the score goes by thousands.
    assert numbers["gradient.logit"] == pytest.approx(numbers["gradient.probability"] * numbers["rise"], rel=1e-12)


@every_loss
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("axis", AXES)
def test_curve_and_derivative_lie_on_the_axis(loss: Loss, axis: str, label: int) -> None:
    arrays = frame_of(loss, "curve", "derivative", axis=axis, label=label).arrays
    p = torch.sigmoid(GRID)
    x = {"logit": GRID, "probability": p, "residual": p - label}[axis]
    torch.testing.assert_close(arrays["x"], x, **NEAR)
    torch.testing.assert_close(arrays["curve"][0], reduced(loss, GRID, label), **NEAR)
    by_logit, by_probability = by_logit_and_probability(loss, GRID, label)
    slopes = by_logit if axis == "logit" else by_probability
    kept = off_kinks(loss, GRID, label)
    torch.testing.assert_close(arrays["derivative"][0][kept], slopes[kept], rtol=1e-8, atol=1e-12)


@every_loss
@pytest.mark.parametrize("axis", AXES)
def test_the_derivative_drawn_is_the_slope_of_the_curve_drawn(loss: Loss, axis: str) -> None:
    """Whatever the axis: the rise of the curve over the axis itself, whatever it is called."""
    arrays = frame_of(loss, "curve", "derivative", axis=axis).arrays
    x, y, slope = arrays["x"], arrays["curve"][0], arrays["derivative"][0]
    chords = (y[2:] - y[:-2]) / (x[2:] - x[:-2])
    smooth = (slope[2:] - slope[:-2]).abs() < 0.1 * (1e-6 + slope[1:-1].abs())
    assert smooth.sum() > 60
    torch.testing.assert_close(slope[1:-1][smooth], chords[smooth], rtol=2e-2, atol=1e-6)


@every_loss
@given(score=scores, label=labels, axis=st.sampled_from(AXES))
@settings(max_examples=20, deadline=None)
def test_tangent_and_arrow_start_from_the_numbers(loss: Loss, score: float, label: int, axis: str) -> None:
    frame = frame_of(loss, "curve", score=score, label=label, axis=axis)
    numbers = frame.numbers[loss.key]
    p = 1 / (1 + math.exp(-score))
    here = {"logit": score, "probability": p, "residual": p - label}[axis]
    slope = numbers["gradient.logit" if axis == "logit" else "gradient.probability"]
    ends = [here - TANGENT_REACH[axis], here + TANGENT_REACH[axis]]
    heights = [numbers["loss"] + slope * (end - here) for end in ends]
    assert frame.arrays["tangent"][0].flatten().tolist() == pytest.approx([*ends, *heights], rel=1e-9, abs=1e-9)
    moved = max(-REACH, min(REACH, score - 0.25 * numbers["gradient.logit"]))
    q = 1 / (1 + math.exp(-moved))
    after = {"logit": moved, "probability": q, "residual": q - label}[axis]
    assert frame.arrays["arrows"][0].tolist() == pytest.approx([here, after], rel=1e-9, abs=1e-12)


@every_loss
@pytest.mark.parametrize("label", [0, 1])
def test_the_thin_line_is_the_other_label(loss: Loss, label: int) -> None:
    for axis in AXES:
        x, y = frame_of(loss, f"other:{loss.key}", axis=axis, label=label).arrays[f"other:{loss.key}"]
        held = frame_of(loss, "curve", axis=axis, label=1 - label).arrays
        assert torch.equal(x, held["x"]) and torch.equal(y, held["curve"][0])


@every_loss
def test_sizes_have_gaps_where_there_is_no_slope(loss: Loss) -> None:
    by_logit, by_probability = frame_of(loss, f"sizes:{loss.key}").arrays[f"sizes:{loss.key}"]
    slopes = by_logit_and_probability(loss, GRID, 1)
    kept = off_kinks(loss, GRID, 1)
    assert torch.equal(by_logit.isnan()[kept], (slopes[0] == 0)[kept])
    drawn = kept & ~by_logit.isnan()
    torch.testing.assert_close(by_logit[drawn], slopes[0].abs()[drawn], rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(by_probability[drawn], slopes[1].abs()[drawn], rtol=1e-8, atol=1e-12)


@every_loss
@given(score=scores, label=labels)
@settings(max_examples=20, deadline=None)
def test_the_proof_goes_along_the_score_to_its_very_ends(loss: Loss, score: float, label: int) -> None:
    frame = frame_of(loss, f"proof:{loss.key}", score=score, label=label)
    proof = frame.proofs[loss.key]
    assert proof.verdict in ("agree", "kink")
    assert proof.autograd == pytest.approx(frame.numbers[loss.key]["gradient.logit"], rel=1e-9, abs=1e-15)


def test_logits_and_probabilities_give_the_same_cross_entropy() -> None:
    pair = [get("bce_with_logits"), get("bce")]
    for score in (-7.3, -1.5, 0.0, 4.2):
        frame = MARGIN.views(pair, MARGIN.parse_handles({"score": score}), {}, ["curve", "derivative"])
        first, second = (frame.numbers[loss.key] for loss in pair)
        assert first == pytest.approx(second, rel=1e-9)
    torch.testing.assert_close(frame.arrays["curve"][0], frame.arrays["curve"][1], **NEAR)


def test_a_step_goes_by_the_logit_and_stays_on_the_axis() -> None:
    step = MARGIN.step
    assert step
    for loss in LOSSES:
        held = MARGIN.parse_handles({"score": -3.0, "rate": 2.0})
        slope = MARGIN.views([loss], held, {}, []).numbers[loss.key]["gradient.logit"]
        expected = max(-REACH, min(REACH, -3.0 - 2.0 * slope))
        assert step(loss, held, loss.resolve()) == {"score": pytest.approx(expected)}
