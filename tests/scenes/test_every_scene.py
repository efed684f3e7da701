"""What holds for every scene with every loss it lists: numbers are torch's, steps descend, options are heard."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lossviz import value_and_grad
from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Choice, Flag, Loss
from lossviz.scenes import SCENES, Frame, Handle, Scene, Series, Text

EVERY = [
    pytest.param(scene, loss, id=f"{scene.key}-{loss.key}") for scene in SCENES for loss in scene.losses(CATALOGUE)
]
every_loss = pytest.mark.parametrize(("scene", "loss"), EVERY)
every_scene = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)


def wanted(scene: Scene, *losses: Loss) -> list[str]:
    """Every view, once for each loss and once for all of them."""
    return [*scene.view_names, *(f"{view}:{loss.key}" for view in scene.view_names for loss in losses)]


def frame_of(scene: Scene, loss: Loss, **held: Any) -> Frame:
    return scene.views([loss], scene.parse_handles(held), {}, wanted(scene, loss))


@every_loss
def test_a_loss_is_evaluated_where_the_scene_begins(scene: Scene, loss: Loss) -> None:
    frame = frame_of(scene, loss)
    if loss.key not in frame.numbers:
        assert frame.notes[loss.key]
        return
    numbers = frame.numbers[loss.key]
    assert math.isfinite(numbers["loss"])
    named = scene.inputs(scene.parse_handles({}), loss)
    assert set(named) == set(loss.inputs)
    value, _ = value_and_grad(loss, named)
    if value.ndim == 0:
        assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    for name, array in frame.arrays.items():
        assert isinstance(array, Tensor) and array.numel() < 100_000, name
        assert not array.is_floating_point() or not array.isinf().any(), f"{name}: gaps are NaN"


@every_loss
def test_the_gradient_is_proven_where_it_is_shown(scene: Scene, loss: Loss) -> None:
    proof = frame_of(scene, loss).proofs.get(loss.key)
    if proof:
        assert proof.verdict != "differ", proof


@every_loss
def test_a_small_step_does_not_climb(scene: Scene, loss: Loss) -> None:
    if scene.step is None or loss.returns != "loss":
        return
    rate = {"rate": 1e-3} if "rate" in scene.options else {}
    held = scene.parse_handles(rate)
    before = scene.views([loss], held, {}, []).numbers.get(loss.key)
    if before is None or loss.detached:
        return
    moved = scene.step(loss, held, loss.resolve())
    assert set(moved) <= set(scene.names)
    after = scene.views([loss], scene.parse_handles({**held, **moved}), {}, []).numbers[loss.key]
    assert after["loss"] <= before["loss"] + 1e-9 * (1 + abs(before["loss"]))


@every_scene
def test_a_scene_opens_with_losses_of_its_own(scene: Scene) -> None:
    offered = {loss.key for loss in scene.losses(CATALOGUE)}
    assert scene.opening and set(scene.opening) <= offered
    assert scene.key.islower() and scene.name[0].isupper() and scene.task.endswith((".", "?"))
    assert set(scene.without) <= {loss.key for loss in CATALOGUE if loss.input_kind in scene.input_kinds}


@every_scene
def test_names_are_its_own_and_collide_with_nothing_in_an_address(scene: Scene) -> None:
    assert len(set(scene.names)) == len(scene.names)
    assert not set(scene.names) & {"scene", "loss", "focus", "tab", "present", "step"}


@every_scene
def test_every_option_can_have_every_value(scene: Scene) -> None:
    loss = get(scene.opening[0])
    for name, option in scene.options.items():
        if isinstance(option, Choice):
            values: list[Any] = list(option.options)
        elif isinstance(option, Flag):
            values = [True, False]
        else:
            values = [option.low, option.high]  # pyright: ignore[reportAttributeAccessIssue]
        for value in values:
            frame = frame_of(scene, loss, **{name: value})
            assert loss.key in frame.numbers or loss.key in frame.notes


@every_scene
def test_the_ends_of_every_handle_can_be_reached(scene: Scene) -> None:
    loss = get(scene.opening[0])
    for handle in scene.handles:
        if isinstance(handle, Text):
            continue  # what is typed has no ends
        for end in (handle.low, handle.high):
            value: Any = end if isinstance(handle, Handle) else [end] * len(handle.default)
            frame = frame_of(scene, loss, **{handle.name: value})
            numbers = frame.numbers.get(loss.key)
            assert frame.notes.get(loss.key) if numbers is None else not math.isnan(numbers["loss"])


def test_a_series_names_what_is_wrong_with_it() -> None:
    series = Series("mask", "Mask", 0.0, 1.0, 0.1, (0.0, 1.0, 0.5))
    assert series.parse([0, 1, 0.25]) == series.parse((0, 1, 0.25)) == [0.0, 1.0, 0.25]
    for bad in (None, "0,1,1", [0, 1], [0, 1, 2], [0, 1, True], [0, 1, math.nan], [0, 1, "1"], {}, [[0], 1, 1]):
        with pytest.raises(ValueError, match=r"Handle mask is .*; allowed: 3 numbers from 0 to 1\."):
            series.parse(bad)
    points = replace(series, fewest=2, most=4)
    assert points.parse([1, 1]) == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"allowed: 2 to 4 numbers from 0 to 1\."):
        points.parse([1] * 5)


@every_scene
def test_a_frame_is_the_same_again(scene: Scene) -> None:
    loss = get(scene.opening[0])
    first, second = frame_of(scene, loss), frame_of(scene, loss)
    assert first.numbers == second.numbers and set(first.arrays) == set(second.arrays)
    for name, array in first.arrays.items():
        torch.testing.assert_close(array, second.arrays[name], rtol=0, atol=0, equal_nan=True)
