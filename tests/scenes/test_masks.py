"""The scene of masks: one image for losses of probabilities, logits and classes, and what an empty one does to them."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz import get
from lossviz.losses import CATALOGUE
from lossviz.scenes.masks import CELLS, EDGE, GUESS, OBJECT, PRESETS, PROFILE, SIDE, by
from lossviz.scenes.masks import MASKS as SCENE

LOSSES = SCENE.losses(CATALOGUE)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
# Steps of the painting, and whatever steps of descent make of them.
probabilities = st.one_of(st.sampled_from([k / 20 for k in range(21)]), st.floats(0, 1))
images = st.lists(probabilities, min_size=CELLS, max_size=CELLS)
masks = st.lists(st.sampled_from([0.0, 1.0]), min_size=CELLS, max_size=CELLS)
positions = st.builds(lambda p, t, i: held(p, t, i), images, masks, st.integers(0, CELLS - 1))


def held(pred: Any, target: Any, cursor: int = 20, **options: Any) -> dict[str, Any]:
    return SCENE.parse_handles({"pred": list(pred), "target": list(target), "cursor": cursor, **options})


def as_taught(handles: dict[str, Any], loss: Any) -> tuple[Tensor, Tensor]:
    """The reduced loss and its gradient by pixel, written anew."""
    p = torch.tensor(handles["pred"], dtype=torch.float64).reshape(SIDE, SIDE)
    t = torch.tensor(handles["target"], dtype=torch.float64).reshape(SIDE, SIDE)
    free = p.clone()
    if loss.input_kind in ("binary", "mask_logits"):
        kept = p.clamp(EDGE, 1 - EDGE)
        free = torch.log(kept / (1 - kept))
    free.requires_grad_()
    shapes: dict[str, tuple[Tensor, Tensor]] = {
        "binary": (free, t),
        "binary_probabilities": (free, t),
        "mask_logits": (free.reshape(1, SIDE, SIDE), t.reshape(1, SIDE, SIDE)),
        "masks": (free.reshape(1, 1, SIDE, SIDE), t.reshape(1, 1, SIDE, SIDE)),
        "class_masks": (torch.stack([1 - free, free]).reshape(1, 2, SIDE, SIDE), (t == 1).long()[None]),
    }
    pred, target = shapes[loss.input_kind]
    value = loss.fn(pred=pred, target=target, **loss.resolve()).mean()
    return value.detach(), torch.autograd.grad(value, free)[0]


@every_loss
@given(handles=positions)
@settings(max_examples=15, deadline=None)
def test_numbers_and_the_map_of_gradients_are_torchs(loss: Any, handles: dict[str, Any]):
    frame = SCENE.views([loss], handles, {}, [f"gradient:{loss.key}", f"formula:{loss.key}"])
    value, slope = as_taught(handles, loss)
    numbers = frame.numbers[loss.key]
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-9, abs=1e-12)
    assert numbers["gradient"] == frame.arrays[f"gradient:{loss.key}"].flatten()[int(handles["cursor"])].item()
    torch.testing.assert_close(frame.arrays[f"gradient:{loss.key}"], slope, rtol=1e-9, atol=1e-12)
    pairs = list(zip(handles["pred"], handles["target"], strict=True))
    assert numbers["intersection"] == pytest.approx(math.fsum(p * t for p, t in pairs))
    assert numbers["area"] == pytest.approx(math.fsum(handles["pred"]))
    assert numbers["area.target"] == sum(handles["target"])
    assert frame.lines[loss.key]


@every_loss
@given(handles=positions)
@settings(max_examples=5, deadline=None)
def test_the_profile_is_the_loss_with_this_pixel_alone_changed(loss: Any, handles: dict[str, Any]):
    profile = SCENE.views([loss], handles, {}, ["profile"]).arrays["profile"]
    assert profile.shape == (1, len(PROFILE))
    for i in range(0, len(PROFILE), 6):
        pred = list(handles["pred"])
        pred[int(handles["cursor"])] = PROFILE[i].item()
        value, _ = as_taught({**handles, "pred": pred}, loss)
        assert profile[0, i].item() == pytest.approx(value.item(), rel=1e-9, abs=1e-12)


def test_the_profile_runs_from_0_to_1():
    assert (PROFILE[0].item(), PROFILE[-1].item()) == (0, 1) and (PROFILE.diff() > 0).all()


@every_loss
@given(handles=positions)
@settings(max_examples=10, deadline=None)
def test_the_three_ways_to_the_slope_of_the_pixel_meet(loss: Any, handles: dict[str, Any]):
    frame = SCENE.views([loss], handles, {}, [f"proof:{loss.key}"])
    proof = frame.proofs.get(loss.key)
    if proof:
        assert proof.verdict != "differ", proof
        assert proof.autograd == pytest.approx(frame.numbers[loss.key]["gradient"], rel=1e-9, abs=1e-12)


@every_loss
def test_many_steps_paint_the_object(loss: Any):
    handles = held(GUESS, OBJECT, rate=5.0)
    before = SCENE.views([loss], handles, {}, []).numbers[loss.key]["loss"]
    assert SCENE.step
    for _ in range(150):
        handles = SCENE.parse_handles({**handles, **SCENE.step(loss, handles, loss.resolve())})
    assert SCENE.views([loss], handles, {}, []).numbers[loss.key]["loss"] < 0.75 * before
    inside = sum(p for p, t in zip(handles["pred"], OBJECT, strict=True) if t) / sum(OBJECT)
    outside = sum(p for p, t in zip(handles["pred"], OBJECT, strict=True) if not t) / (CELLS - sum(OBJECT))
    assert inside > 0.6 and outside < 0.1


@every_loss
def test_a_step_moves_what_is_pulled_and_nothing_else(loss: Any):
    handles = held(GUESS, OBJECT, rate=0.5)
    assert SCENE.step
    moved = SCENE.step(loss, handles, loss.resolve())["pred"]
    slope = as_taught(handles, loss)[1].flatten().tolist()
    for old, new, pull in zip(GUESS, moved, slope, strict=True):
        if pull == 0 and EDGE < old < 1 - EDGE:
            assert new == pytest.approx(old, abs=1e-12)
        elif pull > 0:
            assert new <= max(old, EDGE)
        elif pull < 0:
            assert new >= min(old, 1 - EDGE)


def at_preset(name: str) -> dict[str, dict[str, float]]:
    pred, target = PRESETS[name]
    frame = SCENE.views([get(loss.key) for loss in LOSSES][:8], held(pred, target), {}, [])
    assert not frame.notes
    return frame.numbers


def test_presets_are_the_cases_that_their_names_say():
    areas = {name: (sum(pred), sum(target)) for name, (pred, target) in PRESETS.items()}
    assert areas["both empty"] == (0, 0)
    assert areas["empty truth"][1] == areas["empty prediction"][0] == 0
    assert areas["empty truth"][0] > 0 and areas["empty prediction"][1] > 0
    assert areas["one pixel"][1] == 1
    assert PRESETS["object"] == (SCENE.handles[0].default, SCENE.handles[1].default)


def test_without_an_object_overlap_says_1_and_hardly_pulls():
    numbers = at_preset("empty truth")
    for key in ("dice", "jaccard", "tversky", "focal_tversky"):
        assert numbers[key]["loss"] == pytest.approx(1, abs=1e-4)
        assert abs(numbers[key]["gradient"]) < 1e-6 < numbers["bce"]["gradient"]


def test_nothing_predicted_and_nothing_there_is_perfect_up_to_the_smoothing():
    numbers = at_preset("both empty")
    for key in ("dice", "jaccard", "tversky", "focal_tversky", "bce", "lovasz_hinge"):
        assert numbers[key]["loss"] == pytest.approx(0, abs=1e-12)
    # One step away everything changes: the smoothing alone is below the fraction bar.
    assert numbers["dice"]["gradient"] == pytest.approx(1e5)


def test_an_empty_prediction_has_the_cut_off_logarithm_and_no_gradient_of_it():
    numbers = at_preset("empty prediction")
    assert numbers["bce"]["loss"] == pytest.approx(100 * sum(OBJECT) / CELLS)
    assert numbers["bce"]["gradient"] == 0 > numbers["dice"]["gradient"]


@every_loss
def test_a_truth_between_0_and_1_has_a_sentence_unless_the_loss_takes_it(loss: Any):
    soft = held(GUESS, [0.5, *OBJECT[1:]])
    frame = SCENE.views([loss], soft, {}, ["profile", f"gradient:{loss.key}"])
    if loss.key in ("bce", "bce_with_logits"):
        assert math.isfinite(frame.numbers[loss.key]["loss"])
        return
    assert frame.numbers == {} and "0 or 1" in frame.notes[loss.key]
    assert frame.arrays["profile"].isnan().all()


def test_every_loss_says_what_its_gradient_is_by():
    assert {loss.key: by(loss) for loss in LOSSES} == {
        "bce_with_logits": "logit",
        "bce": "probability",
        "sigmoid_focal": "logit",
        "dice": "probability",
        "jaccard": "probability",
        "tversky": "probability",
        "focal_tversky": "probability",
        "lovasz_hinge": "logit",
        "lovasz_softmax": "class",
    }
