"""A slice leads any loss through its own domain; its scene gives the numbers that the catalogue shows."""

import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from lossviz import value_and_grad
from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import InputKind, Loss, split_weight
from lossviz.scenes import EVERY_SCENE, MAX_LOSSES, SCENES, SLICE, get_scene
from lossviz.scenes.slice import POINTS, place, share_at_start
from lossviz.scenes.slices import _SLICES, example, slice_of

EVERY_LOSS = pytest.mark.parametrize("loss", CATALOGUE, ids=lambda loss: loss.key)
CURVES = ("curve", "slopes")


def views_of(loss: Loss) -> list[str]:
    return [f"{view}:{loss.key}" for view in SLICE.view_names]


def test_every_kind_of_input_has_a_slice() -> None:
    assert set(_SLICES) == set(get_args(InputKind)) == set(SLICE.input_kinds)


@EVERY_LOSS
def test_a_slice_moves_what_has_a_gradient_and_nothing_else(loss: Loss) -> None:
    line = slice_of(loss)
    assert line.low < line.start < line.high and line.label[0].isupper()
    here, there = line.at(line.low), line.at(line.high)
    assert set(here) == set(there) == set(loss.inputs)
    _, slopes = value_and_grad(loss, here)
    for name in line.direction:
        assert name in slopes or loss.returns == "gradients"
    moved = {split_weight(name)[0] for name in line.direction}
    for name in loss.inputs:
        a, b = (inputs[name] for inputs in (here, there))
        if isinstance(a, nn.Module):
            same = all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
        else:
            same = torch.equal(a, b)
        assert same == (name not in moved), name
        assert not isinstance(a, Tensor) or a.dtype in (torch.float64, torch.int64)


@EVERY_LOSS
def test_the_example_can_be_evaluated_and_is_not_changed_by_it(loss: Loss) -> None:
    line = slice_of(loss)
    value, _ = value_and_grad(loss, example(loss))
    assert value.isfinite().all()
    first, _ = value_and_grad(loss, line.at(line.low))
    again, _ = value_and_grad(loss, line.at(line.low))
    assert torch.equal(first, again)


@EVERY_LOSS
def test_numbers_and_curves_are_those_of_torch(loss: Loss) -> None:
    line = slice_of(loss)
    inside = 0
    frame = SLICE.views([loss], {"t": 0.5}, {}, [f"{view}:{loss.key}" for view in CURVES])
    xs, curve = frame.arrays[f"curve:{loss.key}"]
    slopes = frame.arrays[f"slopes:{loss.key}"][1]
    assert len(xs) == POINTS and xs[0] == line.low and xs[-1] == pytest.approx(line.high)
    for k in (0, 13, 40, 61, POINTS - 1):
        try:
            value, gradients = value_and_grad(loss, line.at(xs[k].item()))
        except ValueError:
            assert curve[k].isnan() and slopes[k].isnan()
            continue
        inside += 1
        if loss.returns == "gradients":
            assert curve[k].item() == pytest.approx(value.norm().item()) and slopes[k].isnan()
            continue
        slope = sum(float((gradients[name] * step).sum()) for name, step in line.direction.items())
        assert curve[k].item() == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
        assert slopes[k].item() == pytest.approx(slope, rel=1e-9, abs=1e-9)
    assert inside >= 3
    assert curve.isfinite().sum() >= POINTS / 2
    assert float(curve[curve.isfinite()].max() - curve[curve.isfinite()].min()) > 1e-3, "a thumbnail shows nothing"


@EVERY_LOSS
def test_a_frame_holds_every_view(loss: Loss) -> None:
    share = share_at_start(loss)
    frame = SLICE.views([loss], {"t": share}, {}, views_of(loss))
    x, named = place(loss, share), SLICE.inputs({"t": share}, loss)
    assert x == pytest.approx(slice_of(loss).start, abs=1e-9)
    value, gradients = value_and_grad(loss, named)
    numbers = frame.numbers[loss.key]
    assert numbers["x"] == x
    assert [len(frame.lines[loss.key]), len(frame.steps[loss.key])] == [len(loss.formula), len(loss.derivation)]
    for name, tensor in named.items():
        if isinstance(tensor, Tensor):
            assert torch.equal(frame.arrays[f"input.{name}:{loss.key}"], tensor)
    denied = {name for name, shown in frame.witnesses[loss.key].items() if shown.segment is not None}
    assert denied == {name.split(":")[0].removeprefix("witness.") for name in frame.arrays if "witness." in name}
    if loss.returns == "gradients":
        assert numbers == {"x": x, "loss": value.norm().item()} and not frame.proofs
        return
    assert numbers["loss"] == value.item()
    (x0, x1), (y0, y1) = frame.arrays[f"tangent:{loss.key}"].tolist()
    assert (y1 - y0) / (x1 - x0) == pytest.approx(numbers["gradient"], rel=1e-6, abs=1e-9)
    assert (y0 + y1) / 2 == pytest.approx(numbers["loss"])
    assert frame.proofs[loss.key].autograd == numbers["gradient"]
    for name in loss.differentiable:
        torch.testing.assert_close(frame.arrays[f"grad.{name}:{loss.key}"], gradients[name])


def test_parameters_reach_curve_numbers_and_lines() -> None:
    huber = get("huber")
    narrow, wide = (
        SLICE.views([huber], {"t": 0.9}, {"huber": {"delta": delta}}, views_of(huber)) for delta in (0.5, 3.0)
    )
    for frame, delta in ((narrow, 0.5), (wide, 3.0)):
        assert frame.numbers["huber"]["gradient"] == delta
        assert float(frame.arrays["slopes:huber"][1].max()) == delta
        assert frame.lines["huber"][-1] == [frame.numbers["huber"]["loss"]]
        assert frame.steps["huber"][-1] == [delta]


def test_outside_the_domain_there_is_a_sentence_and_a_gap() -> None:
    poisson = get("poisson_nll")
    frame = SLICE.views([poisson], {"t": 0.0}, {"poisson_nll": {"log_input": False}}, views_of(poisson))
    assert "pred at (0,) is -3" in frame.notes["poisson_nll"] and not frame.numbers
    curve = frame.arrays["curve:poisson_nll"][1]
    assert curve[0].isnan() and curve[-1].isfinite()


def test_a_transform_has_no_slope() -> None:
    pcgrad = get("pcgrad")
    frame = SLICE.views([pcgrad], {"t": 0.3}, {}, views_of(pcgrad))
    assert set(frame.numbers["pcgrad"]) == {"x", "loss"}
    assert math.isfinite(frame.numbers["pcgrad"]["loss"])


def test_several_losses_each_go_their_own_way() -> None:
    losses = CATALOGUE[:MAX_LOSSES]
    together = SLICE.views(losses, {"t": 0.25}, {}, [])
    for loss in losses:
        assert together.numbers[loss.key] == SLICE.views([loss], {"t": 0.25}, {}, []).numbers[loss.key]


def test_the_explorer_does_not_offer_the_catalogues_scene() -> None:
    assert SLICE not in SCENES and get_scene("slice", EVERY_SCENE) is SLICE
    with pytest.raises(ValueError, match="there are regression, "):
        get_scene("slice")


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)
def test_the_explorers_scenes_prove_their_gradients(scene: Any) -> None:
    handles = scene.parse_handles({})
    for loss in scene.losses(CATALOGUE):
        frame = scene.views([loss], handles, {}, [f"proof:{loss.key}"])
        proof, numbers = frame.proofs.get(loss.key), frame.numbers.get(loss.key)
        if proof and numbers:
            assert proof.verdict != "differ" and (proof.verdict != "detached" or loss.detached)
            # What the others' numbers call a gradient is another one; their own tests compare.
            if scene.key in ("regression", "classes"):
                shown = numbers.get("gradient", numbers.get(f"gradient.{int(handles.get('label', 0))}"))
                assert proof.autograd == shown
