"""The scene of task gradients: every method's direction, weights and falls are what torch makes of the catalogue."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz.losses import CATALOGUE, get, snippet, value_and_grad
from lossviz.losses.entry import Loss
from lossviz.scenes.tasks import COUNTS, LEAST_LOSS, NEEDS, REACH, TASKS, gradients

LOSSES = TASKS.losses(CATALOGUE)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
coordinate = st.floats(-REACH, REACH).map(lambda x: round(x, 3))


def triple(name: str) -> st.SearchStrategy[list[float]]:
    (series,) = [handle for handle in TASKS.handles if handle.name == name]
    return st.lists(st.floats(series.low, series.high), min_size=3, max_size=3)


held = st.fixed_dictionaries(
    {
        **{f"g{k}.{axis}": coordinate for k in (1, 2, 3) for axis in "xy"},
        **{name: triple(name) for name in ("losses", "weights", "log_var", "initial", "last", "before")},
        "tasks": st.sampled_from(list(COUNTS)),
    }
).map(TASKS.parse_handles)


def t(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def expected(loss: Loss, handles: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The combined gradient and the weights, written as the papers do."""
    count = COUNTS[handles["tasks"]]
    grads = [t([handles[f"g{k}.x"], handles[f"g{k}.y"]]) for k in range(1, count + 1)]
    now, weights, log_var, last, before = (
        t(handles[name][:count]) for name in ("losses", "weights", "log_var", "last", "before")
    )
    if loss.key == "pcgrad":
        rows, shares = [], torch.ones(count, dtype=torch.float64)
        for i, own in enumerate(grads):
            row = own.clone()
            for j, other in enumerate(grads):
                if i != j and row @ other < 0:
                    share = (row @ other) / (other @ other)
                    shares[j] -= share
                    row = row - share * other
            rows.append(row)
        return torch.stack(rows).sum(0), shares
    if loss.key == "mgda":
        weights = get("mgda").outputs(grads=torch.stack(grads))["weights"]  # pyright: ignore[reportOptionalCall]
    elif loss.key == "gradnorm":
        weights = count * weights / weights.sum()
    elif loss.key == "uncertainty_weighting":
        weights = (-log_var).exp() / 2
    elif loss.key == "dwa":
        weights = count * torch.softmax(last / before / 2, 0)
    assert now.shape == weights.shape
    return sum((w * g for w, g in zip(weights, grads, strict=True)), torch.zeros(2, dtype=torch.float64)), weights


@every_loss
@given(handles=held)
@settings(max_examples=25, deadline=None)
def test_direction_weights_and_falls_are_those_of_torch(loss: Loss, handles: dict[str, Any]):
    frame = TASKS.views([loss], handles, {}, ["arrows", "bars", "falls"])
    numbers, grads = frame.numbers[loss.key], gradients(handles)
    combined, weights = expected(loss, handles)
    value, _ = value_and_grad(loss, TASKS.inputs(handles, loss))
    length = math.hypot(*combined.tolist())
    assert numbers["loss"] == pytest.approx(length if value.ndim else value.item(), rel=1e-9, abs=1e-9)
    near = {"rel": 1e-9, "abs": 1e-9}
    assert [numbers["x"], numbers["y"], numbers["length"]] == pytest.approx([*combined.tolist(), length], **near)
    count = len(grads)
    assert [numbers[f"weight.{k}"] for k in range(1, count + 1)] == pytest.approx(weights.tolist(), **near)
    falls = [(grad @ combined).item() for grad in grads]
    assert [numbers[f"falls.{k}"] for k in range(1, count + 1)] == pytest.approx(falls, **near)
    assert f"weight.{count + 1}" not in numbers
    assert frame.arrays["arrows"][0].tolist() == [numbers["x"], numbers["y"]]
    assert frame.arrays["bars"][0].tolist() == [numbers[f"weight.{k}"] for k in range(1, count + 1)]
    assert frame.arrays["falls"][0].tolist() == [numbers[f"falls.{k}"] for k in range(1, count + 1)]


@every_loss
@given(handles=held)
@settings(max_examples=25, deadline=None)
def test_a_method_is_a_weighted_sum_of_the_gradients(loss: Loss, handles: dict[str, Any]):
    numbers = TASKS.views([loss], handles, {}, []).numbers[loss.key]
    grads = gradients(handles)
    weights = t([numbers[f"weight.{k + 1}"] for k in range(len(grads))])
    assert (weights @ grads).tolist() == pytest.approx([numbers["x"], numbers["y"]], rel=1e-8, abs=1e-8)
    assert min(weights) >= 0


@given(handles=held)
@settings(max_examples=60, deadline=None)
def test_conflict_is_a_negative_product_and_an_angle_wider_than_a_right_one(handles: dict[str, Any]):
    numbers = TASKS.views([get("pcgrad")], handles, {}, []).numbers["pcgrad"]
    count = COUNTS[handles["tasks"]]
    for i, j in ((1, 2), (1, 3), (2, 3)):
        if j > count:
            assert f"dot.{i}.{j}" not in numbers
            continue
        a, b = ((handles[f"g{k}.x"], handles[f"g{k}.y"]) for k in (i, j))
        dot = a[0] * b[0] + a[1] * b[1]
        assert numbers[f"dot.{i}.{j}"] == pytest.approx(dot, rel=1e-12, abs=1e-12)
        if math.hypot(*a) == 0 or math.hypot(*b) == 0:
            assert f"cosine.{i}.{j}" not in numbers
            continue
        turn = abs(math.atan2(a[1], a[0]) - math.atan2(b[1], b[0])) % (2 * math.pi)
        turn = min(turn, 2 * math.pi - turn)
        assert numbers[f"cosine.{i}.{j}"] == pytest.approx(math.cos(turn), abs=1e-9)
        assert numbers[f"angle.{i}.{j}"] == pytest.approx(math.degrees(turn), abs=1e-4)


@given(handles=held, turn=st.floats(-math.pi, math.pi))
@settings(max_examples=200, deadline=None)
def test_the_shaded_region_is_where_no_loss_rises(handles: dict[str, Any], turn: float):
    cone, grads = TASKS.views([get("mgda")], handles, {}, ["arrows"]).arrays["cone"], gradients(handles)
    way = t([math.cos(turn), math.sin(turn)])
    products = grads @ way
    if cone.isnan().any():
        # Where every gradient is 0 nothing rises anywhere, and nothing is shaded.
        assert not grads.any() or products.min() <= 1e-9
        return
    assert cone[0].tolist() == [0, 0]
    assert (cone[1:] @ grads.T).min() >= -1e-9 * 100
    first, last = cone[1], cone[-1]
    inside = first[0] * way[1] - first[1] * way[0] >= 0 and way[0] * last[1] - way[1] * last[0] >= 0
    if products.abs().min() > 1e-6 and (first + last).abs().max() > 1e-6:
        assert inside == bool((products > 0).all())


@every_loss
@pytest.mark.parametrize("tasks", COUNTS)
def test_a_step_moves_every_loss_as_its_product_says(loss: Loss, tasks: str):
    handles = TASKS.parse_handles({"rate": 0.01, "tasks": tasks})
    assert TASKS.step
    moved = TASKS.step(loss, handles, loss.resolve())
    numbers, count = TASKS.views([loss], handles, {}, []).numbers[loss.key], COUNTS[tasks]
    falls = [numbers.get(f"falls.{k}", 0.0) for k in (1, 2, 3)]
    assert moved["losses"] == pytest.approx(
        [at - 0.01 * fall for at, fall in zip(handles["losses"], falls, strict=True)]
    )
    assert set(moved) - {"losses"} <= set(NEEDS[loss.input_kind])
    after = TASKS.parse_handles({**handles, **moved})
    assert all(after[name][count:] == handles[name][count:] for name in moved)


def test_playing_uncertainty_weighting_learns_that_a_variance_is_the_loss():
    loss = get("uncertainty_weighting")
    handles = TASKS.parse_handles({"rate": 0.2, **{f"g{k}.{axis}": 0.0 for k in (1, 2) for axis in "xy"}})
    assert TASKS.step
    for _ in range(200):
        handles = {**handles, **TASKS.step(loss, handles, loss.resolve())}
    assert [math.exp(s) for s in handles["log_var"][:2]] == pytest.approx(handles["losses"][:2], rel=1e-3)


def test_playing_gradnorm_brings_the_weighted_gradients_to_their_targets():
    loss = get("gradnorm")
    handles = TASKS.parse_handles({"rate": 0.01, "losses": [1.0] * 3, "initial": [1.0] * 3})
    assert TASKS.step
    before = TASKS.views([loss], handles, {}, []).numbers["gradnorm"]["loss"]
    for _ in range(40):
        handles = {**handles, **TASKS.step(loss, handles, loss.resolve()), "losses": [1.0] * 3}
    assert TASKS.views([loss], handles, {}, []).numbers["gradnorm"]["loss"] < 0.1 * before


@pytest.mark.parametrize("key", ["mgda", "pcgrad", "weighted_sum"])
def test_a_long_play_ends_at_the_smallest_loss(key: str):
    handles, loss = TASKS.parse_handles({"rate": 10.0}), get(key)
    assert TASKS.step
    handles = {**handles, **TASKS.step(loss, handles, loss.resolve())}
    assert TASKS.parse_handles(handles) and min(handles["losses"]) == LEAST_LOSS


def test_the_gradients_that_it_opens_with_conflict_and_only_the_plain_sum_harms_a_task():
    frame = TASKS.views([get(key) for key in TASKS.opening], TASKS.parse_handles({}), {}, [])
    assert frame.numbers["mgda"]["dot.1.2"] < 0
    worst = {key: min(numbers["falls.1"], numbers["falls.2"]) for key, numbers in frame.numbers.items()}
    assert worst["weighted_sum"] < 0 < min(worst["pcgrad"], worst["mgda"])


@every_loss
def test_without_a_gradient_there_is_nothing_to_combine(loss: Loss):
    flat = TASKS.parse_handles({f"g{k}.{axis}": 0.0 for k in (1, 2, 3) for axis in "xy"})
    frame = TASKS.views([loss], flat, {}, ["arrows", "bars", "falls"])
    assert frame.numbers[loss.key]["length"] == 0
    assert "cosine.1.2" not in frame.numbers[loss.key]
    assert frame.arrays["cone"].isnan().all()


@every_loss
def test_the_program_gives_the_number_shown(loss: Loss):
    handles = TASKS.parse_handles({"tasks": "three", "losses": [0.7, 1.3, 2.1]})
    program = snippet(loss, "pytorch", TASKS.inputs(handles, loss))
    assert program
    names: dict[str, Any] = {}
    exec(program, names)
    shown = TASKS.views([loss], handles, {}, []).numbers[loss.key]
    made = names["loss"].detach()
    value = math.hypot(*made.tolist()) if made.ndim else made.item()
    assert value == pytest.approx(shown["loss"], rel=1e-9, abs=1e-9)
