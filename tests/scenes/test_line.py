"""The regression line: numbers are torch's, best lines are best, paths descend, maps are the loss point by point."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz import value_and_grad
from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Loss
from lossviz.scenes.fitting import TOLERANCE, batch_loss, batch_slopes, fit
from lossviz.scenes.line import FEWEST, INTERCEPT, INTERCEPTS, LINE, MOST, OUTLIERS, SIDE, SLOPE, SLOPES

LOSSES = LINE.losses(CATALOGUE)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
EXACT = {"rtol": 1e-12, "atol": 1e-12, "equal_nan": True}
XS = torch.tensor(LINE.parse_handles({})["xs"], dtype=torch.float64)
YS = torch.tensor(LINE.parse_handles({})["ys"], dtype=torch.float64)

point = st.tuples(st.integers(-25, 25), st.integers(0, 80)).map(lambda at: (at[0] / 10, at[1] / 10))
points = st.lists(point, min_size=FEWEST, max_size=MOST)


def tensor(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def value_of(loss: Loss, slope: float, intercept: float, xs: Tensor, ys: Tensor, params: dict[str, Any]) -> float:
    """The reduced loss of one line, infinite where it is not defined."""
    try:
        return value_and_grad(loss, {"pred": slope * xs + intercept, "target": ys}, params)[0].item()
    except ValueError:
        return math.inf


def ends_of(loss: Loss) -> list[dict[str, Any]]:
    """The defaults, and each number at its low and high end."""
    numbers = {name: param for name, param in loss.params.items() if hasattr(param, "low")}
    return [loss.resolve(), *(loss.resolve({n: getattr(p, e)}) for n, p in numbers.items() for e in ("low", "high"))]


# --- numbers


@every_loss
@given(places=points, slope=st.floats(-3, 3), intercept=st.floats(-2, 8))
@settings(max_examples=6, deadline=None)
def test_numbers_are_those_of_autograd_through_the_line(
    loss: Loss, places: list[tuple[float, float]], slope: float, intercept: float
):
    xs, ys = map(list, zip(*places, strict=True))
    handles = LINE.parse_handles({"xs": xs, "ys": ys, "slope": slope, "intercept": intercept})
    frame = LINE.views([loss], handles, {}, ["pulls"])
    held = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (slope, intercept)]
    named = {"pred": held[0] * tensor(xs) + held[1], "target": tensor(ys)}
    params = loss.resolve()
    try:
        loss.check({name: value.detach() for name, value in named.items()}, params)
    except ValueError as error:
        assert loss.key not in frame.numbers
        assert frame.notes == {loss.key: str(error)}
        assert frame.arrays["pulls"].isnan().all()
        return
    value = loss.reduce(loss.fn(**named, **params), named, params)
    named["pred"].retain_grad()
    value.backward()
    numbers = frame.numbers[loss.key]
    expected = [value.item(), *(float(v.grad) if v.grad is not None else math.nan for v in held)]
    shown = [numbers[name] for name in ("loss", "gradient.slope", "gradient.intercept")]
    assert shown == pytest.approx(expected, rel=1e-9, abs=1e-11)
    assert named["pred"].grad is not None
    torch.testing.assert_close(frame.arrays["pulls"][0], -named["pred"].grad, **EXACT)


def test_a_loss_outside_its_domain_has_a_note_and_its_best_line_all_the_same():
    frame = LINE.views([get("msle")], LINE.parse_handles({"slope": -3, "intercept": 0}), {}, ["fits", "surface:msle"])
    assert "0 or more" in frame.notes["msle"] and frame.numbers == {}
    assert frame.arrays["fits"].isfinite().all()
    below = LINE.parse_handles({"ys": [-1.0, *YS.tolist()[1:]]})
    frame = LINE.views([get("msle"), get("mse")], below, {}, ["fits", "pulls", "surface:msle", "path:msle"])
    assert set(frame.notes) == {"msle"} and set(frame.numbers) == {"mse"}
    assert frame.arrays["fits"][0].isnan().all() and frame.arrays["fits"][1].isfinite().all()
    assert frame.arrays["surface:msle"].isnan().all() and frame.arrays["path:msle"].isnan().all()


# --- best lines


@given(places=points)
@settings(max_examples=30, deadline=None)
def test_the_best_line_of_squares_is_the_closed_form(places: list[tuple[float, float]]):
    xs, ys = map(list, zip(*places, strict=True))
    x, y = tensor(xs), tensor(ys)
    design = torch.stack([x, torch.ones_like(x)], -1)
    rank = torch.linalg.matrix_rank(design)
    expected = torch.linalg.lstsq(design, y[:, None]).solution.flatten().tolist() if rank == 2 else None
    for key in ("mse", "rmse"):
        best = fit(get(key), x, y, {})
        assert best.converged
        assert best.sloped == (len(set(xs)) > 1)
        if expected is None or x.std() < 0.05:
            continue
        # A root's slope stays steep up to an optimum of 0, so that a line through all points is met from all sides.
        assert [best.slope, best.intercept] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def brute_force(loss: Loss, xs: Tensor, ys: Tensor, params: dict[str, Any]) -> float:
    """The lowest loss of a fine grid, and of the lines through every two points, of which kinked losses choose."""
    grid = torch.cartesian_prod(torch.linspace(-4, 4, 161).double(), torch.linspace(-4, 12, 161).double())
    i, j = torch.triu_indices(len(xs), len(xs), 1)
    i, j = i[xs[i] != xs[j]], j[xs[i] != xs[j]]
    slope = (ys[i] - ys[j]) / (xs[i] - xs[j])
    lines = torch.cat([grid, torch.stack([slope, ys[i] - slope * xs[i]], -1)])
    return batch_loss(loss, lines[:, :1] * xs + lines[:, 1:], ys, params).nan_to_num(math.inf).min().item()


@every_loss
@pytest.mark.parametrize("count", [0, FEWEST, 3, 9, MOST])
def test_no_line_of_a_grid_or_through_two_points_is_better(loss: Loss, count: int):
    generator = torch.Generator().manual_seed(count)
    xs = 5 * torch.rand(count, generator=generator, dtype=torch.float64) - 2.5 if count else XS
    ys = 8 * torch.rand(count, generator=generator, dtype=torch.float64) if count else YS
    params = loss.resolve()
    best = fit(loss, xs, ys, params)
    assert best.converged and best.sloped
    assert best.loss <= brute_force(loss, xs, ys, params) + 1e-9
    assert best.loss == pytest.approx(value_of(loss, best.slope, best.intercept, xs, ys, params), rel=1e-9, abs=1e-9)


@every_loss
def test_a_best_line_is_found_for_every_parameter_or_said_not_to_be(loss: Loss):
    for params in ends_of(loss):
        best = fit(loss, XS, YS, params)
        assert math.isfinite(best.slope) and math.isfinite(best.intercept)
        squares = value_of(loss, 0.5444, 2.5495, XS, YS, params)
        assert best.loss <= squares + 1e-9 * (1 + squares)
        if best.converged:
            nearby = [(best.slope + a, best.intercept + b) for a in (0, 3e-6, -3e-6) for b in (0, 3e-6, -3e-6)]
            lowest = min(value_of(loss, *line, XS, YS, params) for line in nearby)
            assert lowest >= best.loss - 1e-9 * (1 + best.loss)


@every_loss
def test_the_outlier_moves_squares_further_than_losses_that_level_off(loss: Loss):
    moved = YS.clone()
    moved[7] = 6.0
    turns = {key: fit(get(key), XS, moved, get(key).resolve()).slope for key in (loss.key, "mse")}
    still = {key: fit(get(key), XS, YS, get(key).resolve()).slope for key in turns}
    assert turns["mse"] - still["mse"] > 0.5
    if loss.key in ("welsch", "geman_mcclure", "cauchy"):
        assert abs(turns[loss.key] - still[loss.key]) < 0.5 * (turns["mse"] - still["mse"])


def test_points_above_one_another_leave_the_slope_free_and_say_so():
    frame = LINE.views([get("mse")], LINE.parse_handles({"xs": [1.0] * 9}), {}, ["fits"])
    numbers = frame.numbers["mse"]
    assert "any slope" in frame.notes["mse"]
    assert [numbers["fit.slope"], numbers["fit.intercept"]] == pytest.approx([0, YS.mean().item()], abs=1e-9)


def test_a_search_that_is_cut_short_is_said_to_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lossviz.scenes.fitting.MOST_SEARCHES", 0)
    monkeypatch.setattr("lossviz.scenes.fitting.MOST_STEPS", 0)
    monkeypatch.setattr("lossviz.scenes.fitting.STARTS", 1)
    assert not fit(get("huber"), XS, YS, {"delta": 1.0}).converged
    frame = LINE.views([get("huber")], LINE.parse_handles({"xs": [0.123, *XS.tolist()[1:]]}), {}, [])
    assert f"{TOLERANCE:g}" in frame.notes["huber"]


# --- pictures


@every_loss
def test_the_map_is_the_loss_of_each_line(loss: Loss):
    params = loss.resolve()
    surface = LINE.views([loss], LINE.parse_handles({}), {}, [f"surface:{loss.key}"]).arrays[f"surface:{loss.key}"]
    assert surface.shape == (SIDE, SIDE)
    assert (SLOPES[0], SLOPES[-1], INTERCEPTS[0], INTERCEPTS[-1]) == (
        SLOPE.low,
        SLOPE.high,
        INTERCEPT.low,
        INTERCEPT.high,
    )
    for i in range(0, SIDE, 12):
        for j in range(0, SIDE, 12):
            expected = value_of(loss, SLOPES[j].item(), INTERCEPTS[i].item(), XS, YS, params)
            drawn = surface[i, j].item()
            assert math.isnan(drawn) if math.isinf(expected) else drawn == pytest.approx(expected, rel=1e-12, abs=1e-12)


@every_loss
def test_slopes_by_hand_are_those_of_autograd(loss: Loss):
    pred = (0.3 * XS + 3.07)[None].expand(3, -1)
    _, grads = value_and_grad(loss, {"pred": pred[0], "target": YS})
    for row in batch_slopes(loss, pred, YS, loss.resolve()):
        torch.testing.assert_close(row, grads["pred"], rtol=1e-9, atol=1e-12)


@every_loss
def test_the_path_takes_the_steps_of_the_button(loss: Loss):
    handles = LINE.parse_handles({"rate": 0.1, "path": 6})
    arrays = LINE.views([loss], handles, {}, [f"path:{loss.key}"]).arrays
    path, arrow = arrays[f"path:{loss.key}"], arrays[f"arrow:{loss.key}"]
    assert path.shape == (7, 2)
    torch.testing.assert_close(arrow, path[:2], **EXACT)
    for row in path:
        torch.testing.assert_close(row, tensor([handles["slope"], handles["intercept"]]), rtol=1e-9, atol=1e-9)
        assert LINE.step
        handles |= LINE.step(loss, handles, loss.resolve())
    none = LINE.views([loss], LINE.parse_handles({"path": 0}), {}, [f"path:{loss.key}"]).arrays
    assert none[f"path:{loss.key}"].shape == (1, 2) and none[f"arrow:{loss.key}"].shape == (2, 2)


def test_a_path_that_runs_away_ends_where_it_leaves_all_bounds():
    handles = LINE.parse_handles({"rate": 2.0, "path": 100})
    path = LINE.views([get("mse")], handles, {}, ["path:mse"]).arrays["path:mse"]
    left = path.isnan().any(-1)
    assert left.any() and not left[0]
    assert path[~left].abs().max() < 1e3
    assert left[left.nonzero()[0].item() :].all()


@pytest.mark.parametrize("key", ["mse", "huber", "log_cosh", "cauchy"])
def test_many_steps_end_at_the_best_line(key: str):
    handles = LINE.parse_handles({"rate": 0.3, "path": 300})
    frame = LINE.views([get(key)], handles, {}, [f"path:{key}", "fits"])
    torch.testing.assert_close(frame.arrays[f"path:{key}"][-1], frame.arrays["fits"][0], rtol=1e-4, atol=1e-4)


def test_steps_stay_inside_the_bounds():
    assert LINE.step
    handles = LINE.parse_handles({"rate": 10.0})
    moved = LINE.step(get("mse"), handles, {})
    assert moved == {"slope": SLOPE.high, "intercept": INTERCEPT.low}


# --- points that come and go


@every_loss
@pytest.mark.parametrize("count", [FEWEST, MOST])
def test_every_view_has_as_many_points_as_there_are(loss: Loss, count: int):
    xs = [round(-2.4 + 4.8 * k / (count - 1), 3) for k in range(count)]
    handles = LINE.parse_handles({"xs": xs, "ys": [OUTLIERS[k % 2] for k in range(count)]})
    wanted = ["fits", "pulls", *(f"{view}:{loss.key}" for view in ("surface", "path", "formula"))]
    frame = LINE.views([loss], handles, {}, wanted)
    assert frame.arrays["pulls"].shape == (1, count)
    # Every loss is defined at the heights of outliers.
    assert frame.arrays["fits"].isfinite().all()


def test_a_point_without_its_height_and_too_many_points_are_refused():
    with pytest.raises(ValueError, match=r"There are 2 of xs and 9 of ys; allowed: as many of each\."):
        LINE.parse_handles({"xs": [0.0, 1.0]})
    for count in (FEWEST - 1, MOST + 1):
        with pytest.raises(ValueError, match="allowed: 2 to 24 numbers"):
            LINE.parse_handles({"xs": [0.0] * count, "ys": [0.0] * count})
