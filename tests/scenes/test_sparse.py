"""Sparse penalties and maps: solutions are the smallest sums, zeros are exact, pictures are what they say."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz.losses import CATALOGUE, get, proximal, value_and_grad
from lossviz.losses.entry import Loss
from lossviz.losses.sparse_maps import entmax15, sparsemax
from lossviz.scenes.sparse import (
    GROUPINGS,
    LEVELS,
    PENALTIES,
    REACH,
    ROUND,
    SCORE_REACH,
    SIDE,
    SPARSE,
    STRENGTHS,
    strength,
)

LOSSES = SPARSE.losses(CATALOGUE)
PENALTY = [loss for loss in LOSSES if loss.input_kind in PENALTIES]
MAPS = [loss for loss in LOSSES if loss.input_kind not in PENALTIES]
every_penalty = pytest.mark.parametrize("loss", PENALTY, ids=lambda loss: loss.key)
every_map = pytest.mark.parametrize("loss", MAPS, ids=lambda loss: loss.key)

places = st.floats(-REACH, REACH)
held = st.fixed_dictionaries(
    {
        **{name: places for name in ("optimum.x", "optimum.y", "w.x", "w.y")},
        **{f"z{k}": st.floats(-SCORE_REACH, SCORE_REACH) for k in (1, 2, 3)},
        "label": st.integers(1, 3),
        "correlation": st.floats(-0.9, 0.9),
    }
).map(SPARSE.parse_handles)
strengths = st.floats(0.0, 3.0)


def params_of(loss: Loss, pull: float, **more: Any) -> dict[str, Any]:
    return loss.resolve({strength(loss): pull, **more})


def total(loss: Loss, handles: dict[str, Any], params: dict[str, Any], w: tuple[float, float]) -> float:
    """Data term and penalty, number by number."""
    dx, dy = w[0] - handles["optimum.x"], w[1] - handles["optimum.y"]
    data = 0.5 * (dx * dx + 2 * handles["correlation"] * dx * dy + dy * dy)
    weights = torch.tensor(w, dtype=torch.float64)
    return data + loss.reduce(loss.fn(w=weights, **params), {"w": weights}, params).item()


def solved(loss: Loss, handles: dict[str, Any], params: dict[str, Any]) -> tuple[float, float]:
    numbers = SPARSE.views([loss], handles, {loss.key: params}, []).numbers[loss.key]
    return numbers["solution.1"], numbers["solution.2"]


def test_the_losses_are_the_penalties_and_the_sparse_maps() -> None:
    keys = {"l1_penalty", "l2_penalty", "elastic_net", "group_lasso", "sparsemax_loss", "entmax15_loss"}
    assert {loss.key for loss in LOSSES} == keys


@every_penalty
@given(handles=held, pull=strengths)
@settings(max_examples=15, deadline=None)
def test_numbers_are_those_of_torch(loss: Loss, handles: dict[str, Any], pull: float) -> None:
    params = params_of(loss, pull)
    numbers = SPARSE.views([loss], handles, {loss.key: params}, []).numbers[loss.key]
    w = handles["w.x"], handles["w.y"]
    value, grads = value_and_grad(loss, {"w": torch.tensor(w, dtype=torch.float64)}, params)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    assert [numbers["gradient.1"], numbers["gradient.2"]] == pytest.approx(grads["w"].tolist(), rel=1e-12)
    assert numbers["gradient"] == pytest.approx(math.hypot(*grads["w"].tolist()), rel=1e-12)
    assert numbers["total"] == pytest.approx(total(loss, handles, params, w), rel=1e-9, abs=1e-12)
    assert numbers["data"] == pytest.approx(numbers["total"] - numbers["loss"], rel=1e-9, abs=1e-9)
    solution = numbers["solution.1"], numbers["solution.2"]
    assert numbers["smallest"] == pytest.approx(total(loss, handles, params, solution), rel=1e-9, abs=1e-12)


@every_penalty
@given(handles=held, pull=strengths)
@settings(max_examples=25, deadline=None)
def test_the_solution_stays_where_it_is_to_twelve_digits(loss: Loss, handles: dict[str, Any], pull: float) -> None:
    params = params_of(loss, pull)
    x, y = solved(loss, handles, params)
    rho = handles["correlation"]
    dx, dy = x - handles["optimum.x"], y - handles["optimum.y"]
    slope = torch.tensor([dx + rho * dy, rho * dx + dy], dtype=torch.float64)
    w = torch.tensor([x, y], dtype=torch.float64)
    # The one place that a proximal step of any length does not leave is the solution.
    for rate in (0.3, 1.0):
        torch.testing.assert_close(proximal.step(loss.key, w - rate * slope, rate, params), w, rtol=0, atol=1e-12)


@every_penalty
@given(handles=held, pull=strengths)
@settings(max_examples=6, deadline=None)
def test_no_place_of_ever_finer_grids_is_better(loss: Loss, handles: dict[str, Any], pull: float) -> None:
    params = params_of(loss, pull)
    x, y = solved(loss, handles, params)
    least = total(loss, handles, params, (x, y))
    middle, half = (0.0, 0.0), REACH
    for _ in range(12):
        steps = [half * k / 8 for k in range(-8, 9)]
        grid = [(middle[0] + dx, middle[1] + dy) for dx in steps for dy in steps]
        costs = [total(loss, handles, params, place) for place in grid]
        assert min(costs) >= least - 1e-12
        middle, half = grid[costs.index(min(costs))], half / 3
    assert middle == pytest.approx((x, y), abs=2e-3)


def test_l1_sticks_to_an_axis_where_l2_only_shrinks() -> None:
    handles = SPARSE.parse_handles({"optimum.x": 2.0, "optimum.y": 0.5, "correlation": 0.0})
    assert solved(get("l1_penalty"), handles, {"lambda_": 0.8}) == (pytest.approx(1.2, abs=1e-12), 0.0)
    assert solved(get("l2_penalty"), handles, {"lambda_": 0.4}) == pytest.approx((2 / 1.8, 0.5 / 1.8), abs=1e-12)
    # Soft thresholding, then the half square: (|o| - a r) / (1 + a (1 - r)).
    net = solved(get("elastic_net"), handles, {"alpha": 0.8, "l1_ratio": 0.75})
    assert net == (pytest.approx(1.4 / 1.2, abs=1e-12), 0.0)
    # Both weights are one group: none of them alone becomes zero, and then both at once.
    together = solved(get("group_lasso"), handles, params_of(get("group_lasso"), 1.4))
    length = math.hypot(2.0, 0.5)
    share = 1 - 1.4 * math.sqrt(2) / length
    assert together == pytest.approx((2.0 * share, 0.5 * share), abs=1e-12)
    assert solved(get("group_lasso"), handles, params_of(get("group_lasso"), 1.5)) == (0.0, 0.0)
    alone = params_of(get("group_lasso"), 0.8, groups=[[0], [1]])
    assert solved(get("group_lasso"), handles, alone) == (pytest.approx(1.2, abs=1e-12), 0.0)


@given(handles=held, pull=strengths)
@settings(max_examples=20, deadline=None)
def test_groups_of_one_are_the_l1_penalty(handles: dict[str, Any], pull: float) -> None:
    group, l1 = get("group_lasso"), get("l1_penalty")
    _, alone, first = GROUPINGS
    views = ["solutions", "paths", *(f"{view}:{loss.key}" for view in ("levels", "touch") for loss in (group, l1))]
    params = {group.key: params_of(group, pull, groups=alone), l1.key: params_of(l1, pull)}
    frame = SPARSE.views([group, l1], handles, params, views)
    numbers = [frame.numbers[key] for key in (group.key, l1.key)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-11, abs=1e-11)
    for name in ("solutions", "paths"):
        torch.testing.assert_close(*frame.arrays[name], rtol=1e-11, atol=1e-11)
    for view in ("levels", "touch"):
        of = [frame.arrays[f"{view}:{key}"] for key in (group.key, l1.key)]
        torch.testing.assert_close(*of, rtol=1e-7, atol=1e-7, equal_nan=True)
    # A weight in no group goes wherever the data term wants it, given the other one.
    x, y = solved(group, handles, params_of(group, pull, groups=first))
    rest = handles["optimum.y"] - handles["correlation"] * (x - handles["optimum.x"])
    assert y == pytest.approx(rest, abs=1e-11)


@pytest.mark.parametrize("groups", GROUPINGS)
def test_level_sets_of_groups_are_level(groups: list[list[int]] | None) -> None:
    group = get("group_lasso")
    params = params_of(group, 0.5, groups=groups)
    frame = SPARSE.views([group], SPARSE.parse_handles({}), {group.key: params}, [f"levels:{group.key}"])
    for radius, ring in zip(LEVELS.tolist(), frame.arrays[f"levels:{group.key}"], strict=True):
        reached = ring[~ring.isnan().any(-1)]
        # Straight up there is no first weight, and where that is all that counts no level is ever reached.
        assert len(reached) == len(ring) if groups != [[0]] else len(reached) > len(ring) / 2
        levels = [group.fn(w=w, **params).sum().item() for w in reached]
        expected = group.fn(w=torch.tensor([radius, 0.0], dtype=torch.float64), **params).sum().item()
        assert levels == pytest.approx([expected] * len(levels), rel=1e-9)


@every_penalty
@given(handles=held)
@settings(max_examples=6, deadline=None)
def test_the_path_holds_the_solution_of_each_strength(loss: Loss, handles: dict[str, Any]) -> None:
    path = SPARSE.views([loss], handles, {loss.key: params_of(loss, 0.5)}, ["paths"]).arrays["paths"][0]
    torch.testing.assert_close(path[:, 0], STRENGTHS)
    assert path[0, 1:].tolist() == pytest.approx([handles["optimum.x"], handles["optimum.y"]], abs=1e-12)
    for k in (1, 17, 40, 80):
        alone = solved(loss, handles, params_of(loss, STRENGTHS[k].item()))
        assert path[k, 1:].tolist() == pytest.approx(alone, abs=1e-11)


@every_penalty
@given(handles=held, pull=st.floats(0.05, 3.0))
@settings(max_examples=10, deadline=None)
def test_level_sets_are_level(loss: Loss, handles: dict[str, Any], pull: float) -> None:
    params = params_of(loss, pull)
    wanted = ["data", "solutions", f"levels:{loss.key}", f"touch:{loss.key}"]
    frame = SPARSE.views([loss], handles, {loss.key: params}, wanted)
    none = {**params, strength(loss): 0.0}

    def of(points: Tensor, chosen: dict[str, Any], data: bool) -> list[float]:
        centre = handles if data else {**handles, "optimum.x": 0.0, "optimum.y": 0.0}
        pairs = [tuple(point) for point in points.tolist()]
        whole = [total(loss, centre, chosen, pair) for pair in pairs]
        return whole if data else [v - total(loss, centre, none, pair) for v, pair in zip(whole, pairs, strict=True)]

    for i, radius in enumerate(LEVELS.tolist()):
        ring = frame.arrays["data"][i][::7]
        assert of(ring, none, True) == pytest.approx([radius**2 / 2] * len(ring), rel=1e-9)
        ring = frame.arrays[f"levels:{loss.key}"][i][::7]
        level = of(torch.tensor([[radius, 0.0]]), params, False)[0]
        assert of(ring, params, False) == pytest.approx([level] * len(ring), rel=1e-6, abs=1e-9)
    numbers = frame.numbers[loss.key]
    solution = torch.tensor([[numbers["solution.1"], numbers["solution.2"]]], dtype=torch.float64)
    assert frame.arrays["solutions"][0].tolist() == solution[0].tolist()
    through = frame.arrays[f"touch:{loss.key}"]
    level = of(solution, none, True)[0]
    assert of(through[0][::7], none, True) == pytest.approx([level] * 18, rel=1e-6, abs=1e-9)
    level = of(solution, params, False)[0]
    assert of(through[1][::7], params, False) == pytest.approx([level] * 18, rel=1e-6, abs=1e-9)
    assert through.shape == (2, len(ROUND), 2)


def test_without_strength_a_penalty_has_no_level_sets_and_the_solution_is_the_optimum() -> None:
    loss = get("l1_penalty")
    handles, params = SPARSE.parse_handles({}), {"lambda_": 0.0}
    frame = SPARSE.views([loss], handles, {loss.key: params}, [f"levels:{loss.key}", f"touch:{loss.key}"])
    assert frame.arrays["levels:l1_penalty"].isnan().all()
    assert solved(loss, handles, params) == pytest.approx((handles["optimum.x"], handles["optimum.y"]), abs=1e-12)


@every_penalty
@given(handles=held, pull=strengths)
@settings(max_examples=5, deadline=None)
def test_the_map_is_the_sum_over_both_weights(loss: Loss, handles: dict[str, Any], pull: float) -> None:
    params = params_of(loss, pull)
    drawn = SPARSE.views([loss], handles, {loss.key: params}, [f"surface:{loss.key}"]).arrays[f"surface:{loss.key}"]
    for i, j in ((0, 0), (30, 30), (12, 51), (60, 3)):
        place = (-REACH + 2 * REACH * j / (SIDE - 1), -REACH + 2 * REACH * i / (SIDE - 1))
        assert drawn[i, j].item() == pytest.approx(total(loss, handles, params, place), rel=1e-9, abs=1e-9)


@every_penalty
@pytest.mark.parametrize("method", ["gradient", "proximal"])
def test_steps_of_either_method_go_down_and_arrows_say_where(loss: Loss, method: str) -> None:
    params = params_of(loss, 0.5)
    handles = SPARSE.parse_handles({"method": method, "rate": 0.1})
    assert SPARSE.step
    moved = SPARSE.step(loss, handles, params)
    w = handles["w.x"], handles["w.y"]
    after = moved["w.x"], moved["w.y"]
    assert total(loss, handles, params, after) < total(loss, handles, params, w)
    pulls = SPARSE.views([loss], handles, {loss.key: params}, [f"pulls:{loss.key}"]).arrays[f"pulls:{loss.key}"]
    assert pulls[:, :2].tolist() == [list(w)] * 3
    assert (pulls[2, :2] + pulls[2, 2:]).tolist() == pytest.approx(after, abs=1e-12)
    dx, dy = w[0] - handles["optimum.x"], w[1] - handles["optimum.y"]
    rho = handles["correlation"]
    assert pulls[0, 2:].tolist() == pytest.approx([-0.1 * (dx + rho * dy), -0.1 * (rho * dx + dy)], abs=1e-12)
    _, grads = value_and_grad(loss, SPARSE.inputs(handles, loss), params)
    assert pulls[1, 2:].tolist() == pytest.approx((-0.1 * grads["w"]).tolist(), abs=1e-12)
    if method == "gradient":
        assert pulls[2, 2:].tolist() == pytest.approx((pulls[0, 2:] + pulls[1, 2:]).tolist(), abs=1e-12)


def test_proximal_steps_reach_the_exact_zero_that_gradient_steps_jump_over() -> None:
    loss, params = get("l1_penalty"), {"lambda_": 0.8}
    ends: dict[str, float] = {}
    for method in ("gradient", "proximal"):
        handles = SPARSE.parse_handles({"method": method})
        for _ in range(200):
            handles |= SPARSE.step(loss, handles, params) if SPARSE.step else {}
        ends[method] = handles["w.y"]
    assert ends["proximal"] == 0.0 and 1e-3 < abs(ends["gradient"]) < 0.3


@given(handles=held)
@settings(max_examples=60, deadline=None)
def test_maps_give_probabilities_and_the_best_ones(handles: dict[str, Any]) -> None:
    frame = SPARSE.views([get("l1_penalty")], handles, {}, ["maps"])
    scores = torch.tensor([handles[f"z{k}"] for k in (1, 2, 3)], dtype=torch.float64)
    soft, entmax, sparse = frame.arrays["maps"]
    torch.testing.assert_close(soft, scores.exp() / scores.exp().sum(), rtol=1e-12, atol=1e-12)
    for p in (soft, entmax, sparse):
        assert p.sum().item() == pytest.approx(1, abs=1e-12) and (p >= 0).all()
    # Sparsemax is the nearest point of the simplex, 1.5-entmax the best of p.z plus its entropy: none drawn is better.
    source = torch.Generator().manual_seed(0)
    others = torch.distributions.Dirichlet(torch.full((3,), 0.7, dtype=torch.float64))
    torch.manual_seed(source.initial_seed())
    drawn = others.sample((400,))
    assert ((drawn - scores).square().sum(-1) >= (sparse - scores).square().sum() - 1e-9).all()

    def worth(p: Tensor) -> Tensor:
        return (p * scores).sum(-1) + 4 / 3 * (1 - p.pow(1.5).sum(-1))

    assert (worth(drawn) <= worth(entmax) + 1e-9).all()
    numbers = frame.numbers["l1_penalty"]
    for name, p in (("softmax", soft), ("entmax15", entmax), ("sparsemax", sparse)):
        assert [numbers[f"{name}.{k}"] for k in (1, 2, 3)] == p.tolist()


def test_a_lead_of_one_or_two_leaves_exact_zeros() -> None:
    scores = torch.tensor([[2.0, 1.0, -3.0], [2.0, 0.0, -3.0]], dtype=torch.float64)
    assert sparsemax(scores)[0].tolist() == [1.0, 0.0, 0.0]
    assert entmax15(scores)[1].tolist() == [1.0, 0.0, 0.0]
    assert entmax15(scores)[0, 1] > 0 and torch.softmax(scores, -1).min() > 0


@every_map
@given(handles=held)
@settings(max_examples=25, deadline=None)
def test_a_map_has_the_gradient_p_minus_y_and_its_map_is_the_loss_over_two_scores(
    loss: Loss, handles: dict[str, Any]
) -> None:
    frame = SPARSE.views([loss], handles, {}, [f"surface:{loss.key}", "maps"])
    numbers = frame.numbers[loss.key]
    scores = torch.tensor([[handles[f"z{k}"] for k in (1, 2, 3)]], dtype=torch.float64)
    label = int(handles["label"])
    named = {"pred": scores, "target": torch.tensor([label - 1])}
    value, grads = value_and_grad(loss, named)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    p = frame.arrays["maps"][{"entmax15_loss": 1, "sparsemax_loss": 2}[loss.key]]
    for k in (1, 2, 3):
        assert numbers[f"gradient.{k}"] == pytest.approx(grads["pred"][0, k - 1].item(), abs=1e-12)
        assert numbers[f"gradient.{k}"] == pytest.approx(p[k - 1].item() - (k == label), abs=1e-9)
    drawn = frame.arrays[f"surface:{loss.key}"]
    for i, j in ((0, 0), (30, 12), (58, 44)):
        first, second = (-SCORE_REACH + 2 * SCORE_REACH * k / (SIDE - 1) for k in (j, i))
        there = SPARSE.views([loss], {**handles, "z1": first, "z2": second}, {}, []).numbers[loss.key]["loss"]
        assert drawn[i, j].item() == pytest.approx(there, rel=1e-9, abs=1e-9)


def test_groups_of_weights_that_are_not_there_are_said() -> None:
    loss = get("group_lasso")
    bad = {loss.key: params_of(loss, 0.5, groups=[[0], [5]])}
    frame = SPARSE.views([loss], SPARSE.parse_handles({}), bad, list(SPARSE.view_names))
    assert loss.key not in frame.numbers and "5" in frame.notes[loss.key]
    assert frame.arrays["solutions"].isnan().all() and frame.arrays["paths"].isnan().all()
