"""Distances of distributions against a plan that moves the earth, prices that prove it cheapest, and all events."""

from collections.abc import Iterable
from itertools import product

import pytest
import torch
from loss_samples import draw
from torch import Tensor

import lossviz
from lossviz.losses import Loss

WASSERSTEIN, VARIATION = lossviz.get("wasserstein_1"), lossviz.get("total_variation")
BOTH = pytest.mark.parametrize("loss", [WASSERSTEIN, VARIATION], ids=lambda loss: loss.key)


def pairs(bins: int) -> Iterable[tuple[list[float], list[float]]]:
    """Distributions of that many bins, some of them empty."""
    generator = torch.Generator().manual_seed(bins)
    for _ in range(20):
        heaps = torch.rand(2, bins, generator=generator, dtype=torch.float64)
        heaps = heaps * (torch.rand(2, bins, generator=generator) < 0.7) + 1e-3
        pred, target = (heaps / heaps.sum(-1, keepdim=True)).tolist()
        yield pred, target


def value(loss: Loss, pred: list[float], target: list[float]) -> float:
    rows = torch.tensor([[pred], [target]], dtype=torch.float64)
    return float(lossviz.value_and_grad(loss, {"pred": rows[0], "target": rows[1]})[0])


def work_of_a_plan(pred: list[float], target: list[float]) -> float:
    """The work of filling the bins from the left with what is left of the other heap: one plan, maybe not the best."""
    left, wanted, work = list(pred), list(target), 0.0
    source = sink = 0
    while source < len(left) and sink < len(wanted):
        moved = min(left[source], wanted[sink])
        left[source], wanted[sink], work = left[source] - moved, wanted[sink] - moved, work + moved * abs(source - sink)
        if left[source] <= wanted[sink]:
            source += 1
        else:
            sink += 1
    return work


def worth_at_best_prices(pred: list[float], target: list[float]) -> float:
    """The most that the change is worth where prices of neighbouring bins differ by 1: no plan costs less than this."""
    worths: list[float] = []
    for steps in product((-1, 1), repeat=len(pred) - 1):
        prices = [sum(steps[:k]) for k in range(len(pred))]
        worths.append(sum(price * (p - q) for price, p, q in zip(prices, pred, target, strict=True)))
    return max(worths)


@pytest.mark.parametrize("bins", [1, 2, 3, 5, 9])
def test_the_distance_is_the_work_of_a_plan_that_no_other_undercuts(bins: int) -> None:
    for pred, target in pairs(bins):
        distance = value(WASSERSTEIN, pred, target)
        assert distance == pytest.approx(work_of_a_plan(pred, target), abs=1e-12)
        assert distance == pytest.approx(worth_at_best_prices(pred, target), abs=1e-12)


@pytest.mark.parametrize("bins", [1, 2, 3, 5, 9])
def test_the_variation_is_the_most_that_two_chances_of_an_event_differ(bins: int) -> None:
    for pred, target in pairs(bins):
        gaps = [p - q for p, q in zip(pred, target, strict=True)]
        most = max(
            sum(gap for gap, inside in zip(gaps, event, strict=True) if inside)
            for event in product((0, 1), repeat=bins)
        )
        assert value(VARIATION, pred, target) == pytest.approx(most, abs=1e-12)


def test_moving_costs_the_share_times_at_least_one_bin_and_at_most_all() -> None:
    for pred, target in pairs(6):
        share, distance = value(VARIATION, pred, target), value(WASSERSTEIN, pred, target)
        assert share - 1e-12 <= distance <= 5 * share + 1e-12


@pytest.mark.parametrize(
    ("pred", "target", "distance", "variation"),
    [
        ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], 2.0, 1.0),
        ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 1.0, 1.0),
        ([0.5, 0.0, 0.5], [0.0, 1.0, 0.0], 1.0, 1.0),
        ([0.25, 0.5, 0.25], [0.25, 0.25, 0.5], 0.25, 0.25),
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5], 0.0, 0.0),
    ],
)
def test_distances_known_by_hand(pred: list[float], target: list[float], distance: float, variation: float) -> None:
    assert value(WASSERSTEIN, pred, target) == pytest.approx(distance)
    assert value(VARIATION, pred, target) == pytest.approx(variation)


@BOTH
def test_the_gradient_never_promises_too_much(loss: Loss) -> None:
    here, there = draw(loss, 200, 1), draw(loss, 200, 2)
    slopes = lossviz.value_and_grad(loss, here)[1]["pred"] * 200
    values, others = loss.fn(**here), loss.fn(**here | {"pred": there["pred"]})
    promised = values + (slopes * (there["pred"] - here["pred"])).sum(-1)
    assert bool((others >= promised - 1e-12).all())


@BOTH
def test_at_the_target_there_is_nothing_to_do(loss: Loss) -> None:
    same: Tensor = draw(loss, 50, 3)["pred"]
    found, slopes = lossviz.value_and_grad(loss, {"pred": same, "target": same})
    assert float(found) == 0 and not slopes["pred"].any()
