"""The scene of boxes: numbers and arrays are torch's at every position, and what is no box says so."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz import get, value_and_grad
from lossviz.losses import CATALOGUE
from lossviz.scenes.boxes import BOXES_SCENE as SCENE
from lossviz.scenes.boxes import EDGES, HEIGHT, MAP_X, MAP_Y, SLIDE_GRID, SMALLEST, WIDTH

LOSSES = SCENE.losses(CATALOGUE)
IOU_LOSSES = [loss for loss in LOSSES if loss.input_kind == "boxes"]
SMOOTH = get("box_smooth_l1")
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)


def held(pred: tuple[float, ...], target: tuple[float, ...], **options: Any) -> dict[str, Any]:
    corners = {"pred": pred, "target": target}
    values = {f"{name}.{e}": v for name, box in corners.items() for e, v in zip(EDGES, box, strict=True)}
    return SCENE.parse_handles({**values, **options})


APART = held((1, 1, 3, 3), (8, 4, 12, 7))
CROSSED = held((5, 3, 9, 6), (7, 1, 12, 5))


def spans(most: float) -> st.SearchStrategy[tuple[float, float]]:
    ends = st.tuples(st.floats(0, most), st.floats(0, most))
    return ends.map(lambda pair: (min(pair), max(pair))).filter(lambda pair: pair[1] - pair[0] > 1e-3)


boxes = st.tuples(spans(WIDTH), spans(HEIGHT)).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))
positions = st.builds(held, boxes, boxes, offsets=st.sampled_from(["anchor", "corners"]))


def as_taught(handles: dict[str, Any], loss_kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes or offsets, written anew, and the edges of the prediction that they hang on."""
    pred, target = (torch.tensor([handles[f"{n}.{e}"] for e in EDGES], dtype=torch.float64) for n in ("pred", "target"))
    pred.requires_grad_()
    if loss_kind == "boxes" or handles["offsets"] == "corners":
        return pred[None] * 1, target[None], pred

    def offsets(b: Tensor) -> Tensor:
        x1, y1, x2, y2 = b
        return torch.stack([(x1 + x2) / 8, (y1 + y2) / 8, torch.log((x2 - x1) / 4), torch.log((y2 - y1) / 4)])[None]

    return offsets(pred), offsets(target), pred


@every_loss
@given(handles=positions)
@settings(max_examples=25, deadline=None)
@example(handles=APART)
@example(handles=CROSSED)
def test_numbers_are_torchs_by_corner(loss: Any, handles: dict[str, Any]):
    frame = SCENE.views([loss], handles, {}, [f"formula:{loss.key}"])
    pred, target, edges = as_taught(handles, loss.input_kind)
    value = loss.fn(pred=pred, target=target, **loss.resolve())[0]
    slope = torch.autograd.grad(value, edges)[0]
    numbers = frame.numbers[loss.key]
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    shown = [numbers[f"gradient.{edge}"] for edge in EDGES]
    assert shown == pytest.approx(slope.tolist(), rel=1e-9, abs=1e-12)
    assert frame.lines[loss.key][-1] == pytest.approx([value.item()], rel=1e-9, abs=1e-9)


@given(handles=positions)
@settings(max_examples=50, deadline=None)
@example(handles=APART)
@example(handles=CROSSED)
def test_the_overlap_is_counted_once_for_all_losses(handles: dict[str, Any]):
    frame = SCENE.views(LOSSES, handles, {}, ["canvas"])
    (px1, py1, px2, py2), (tx1, ty1, tx2, ty2) = ([handles[f"{n}.{e}"] for e in EDGES] for n in ("pred", "target"))
    common = max(0.0, min(px2, tx2) - max(px1, tx1)) * max(0.0, min(py2, ty2) - max(py1, ty1))
    union = (px2 - px1) * (py2 - py1) + (tx2 - tx1) * (ty2 - ty1) - common
    for numbers in frame.numbers.values():
        assert numbers["iou"] == pytest.approx(common / union, rel=1e-3, abs=1e-6)
    outer = [min(px1, tx1), min(py1, ty1), max(px2, tx2), max(py2, ty2)]
    assert frame.arrays["outer"].tolist() == outer
    if common > 0:
        assert frame.arrays["overlap"].tolist() == [max(px1, tx1), max(py1, ty1), min(px2, tx2), min(py2, ty2)]
    else:
        assert frame.arrays["overlap"].isnan().all()


@pytest.mark.parametrize(
    "handles", [APART, CROSSED, {**CROSSED, "offsets": "corners"}], ids=["apart", "crossed", "plain"]
)
def test_every_corner_is_pulled_against_its_gradient(handles: dict[str, Any]):
    frame = SCENE.views(LOSSES, handles, {}, ["canvas"])
    pull = frame.arrays["pull"]
    assert pull.shape == (len(LOSSES), 4, 4)
    for loss, corners in zip(LOSSES, pull.tolist(), strict=True):
        numbers = frame.numbers[loss.key]
        for (x, y), corner in zip((("x1", "y1"), ("x2", "y1"), ("x2", "y2"), ("x1", "y2")), corners, strict=True):
            at = [handles[f"pred.{x}"], handles[f"pred.{y}"]]
            assert corner == [*at, -numbers[f"gradient.{x}"], -numbers[f"gradient.{y}"]]


def test_apart_iou_alone_does_not_pull():
    numbers = SCENE.views(LOSSES, APART, {}, []).numbers
    slopes = {key: [values[f"gradient.{edge}"] for edge in EDGES] for key, values in numbers.items()}
    assert numbers["iou"]["loss"] == 1 and slopes["iou"] == [0, 0, 0, 0]
    for key in set(slopes) - {"iou"}:
        assert any(slopes[key]), key
    # The label is to the right and below: the edges that face it are pulled there.
    for key in ("giou", "diou", "ciou", "box_smooth_l1"):
        assert slopes[key][2] < 0 and slopes[key][3] < 0
    assert SCENE.step
    still = SCENE.step(get("iou"), APART, get("iou").resolve())
    assert still == {f"pred.{edge}": APART[f"pred.{edge}"] for edge in EDGES}


@every_loss
@pytest.mark.parametrize("offsets", ["anchor", "corners"])
def test_map_and_slide_are_the_loss_with_the_box_carried_there(loss: Any, offsets: str):
    handles = {**CROSSED, "offsets": offsets}
    arrays = SCENE.views([loss], handles, {}, ["slide", f"surface:{loss.key}"]).arrays
    surface, slide = arrays[f"surface:{loss.key}"], arrays["slide"]
    assert surface.shape == (len(MAP_Y), len(MAP_X)) and slide.shape == (1, len(SLIDE_GRID))
    width, height = 4.0, 3.0

    def there(x: float, y: float) -> float:
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        moved = {**handles, **{f"pred.{e}": v for e, v in zip(EDGES, corners, strict=True)}}
        return value_and_grad(loss, SCENE.inputs(moved, loss))[0].item()

    for i in range(0, len(MAP_Y), 5):
        for j in range(0, len(MAP_X), 7):
            assert surface[i, j].item() == pytest.approx(there(MAP_X[j].item(), MAP_Y[i].item()), rel=1e-9, abs=1e-9)
    for j in range(0, len(SLIDE_GRID), 8):
        assert slide[0, j].item() == pytest.approx(there(SLIDE_GRID[j].item(), 4.5), rel=1e-9, abs=1e-9)


def test_the_grids_begin_and_end_at_the_edges_of_the_canvas():
    for grid, most in ((MAP_X, WIDTH), (MAP_Y, HEIGHT), (SLIDE_GRID, WIDTH)):
        assert (grid[0].item(), grid[-1].item()) == (0, most)
        assert grid.diff().tolist() == pytest.approx([most / (len(grid) - 1)] * (len(grid) - 1))


@every_loss
def test_many_steps_lead_towards_the_label(loss: Any):
    handles = {**CROSSED, "rate": 1.0}
    before = SCENE.views([loss], handles, {}, []).numbers[loss.key]["loss"]
    assert SCENE.step
    for _ in range(400):
        handles = SCENE.parse_handles({**handles, **SCENE.step(loss, handles, loss.resolve())})
    after = SCENE.views([loss], handles, {}, []).numbers[loss.key]
    assert after["loss"] < 0.3 * before and after["iou"] > 0.8


@given(handles=positions, rate=st.floats(0.001, 10))
@settings(max_examples=40, deadline=None)
def test_a_step_stays_on_the_canvas_and_keeps_the_box_open(handles: dict[str, Any], rate: float):
    assert SCENE.step
    for loss in LOSSES:
        moved = SCENE.parse_handles({**handles, **SCENE.step(loss, {**handles, "rate": rate}, loss.resolve())})
        for axis in "xy":
            assert moved[f"pred.{axis}2"] - moved[f"pred.{axis}1"] >= SMALLEST - 1e-9


@pytest.mark.parametrize("name", ["pred", "target"])
@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_box_the_wrong_way_round_has_a_sentence_and_no_numbers(name: str, axis: str):
    bad = SCENE.parse_handles({**CROSSED, f"{name}.{axis}1": 7.5, f"{name}.{axis}2": 2.25})
    frame = SCENE.views(LOSSES, bad, {}, ["canvas", "slide", "surface:iou", "formula:iou", "proof:iou"])
    assert frame.numbers == {} and set(frame.notes) == {loss.key for loss in LOSSES}
    for note in frame.notes.values():
        assert f"{axis}1 = 7.5 and {axis}2 = 2.25; allowed: {axis}1 at most {axis}2." in note
    for array in ("pull", "slide", "surface:iou"):
        assert frame.arrays[array][..., -1].isnan().all()


def test_a_box_without_width_has_an_overlap_but_no_logarithm():
    flat = SCENE.parse_handles({**CROSSED, "pred.x2": CROSSED["pred.x1"]})
    frame = SCENE.views(LOSSES, flat, {}, [])
    assert set(frame.notes) == {"box_smooth_l1"} and "a side whose logarithm is finite" in frame.notes["box_smooth_l1"]
    for loss in IOU_LOSSES:
        assert math.isfinite(frame.numbers[loss.key]["loss"])
    plain = SCENE.views([SMOOTH], {**flat, "offsets": "corners"}, {}, [])
    assert plain.notes == {} and math.isfinite(plain.numbers["box_smooth_l1"]["loss"])


@every_loss
@given(handles=positions)
@settings(max_examples=10, deadline=None)
def test_the_three_ways_to_the_slope_by_the_left_edge_meet(loss: Any, handles: dict[str, Any]):
    # The log of a thin side bends too much for a finite difference, and a short area is all eps.
    assume(all(handles[f"{n}.{a}2"] - handles[f"{n}.{a}1"] > 0.2 for n in ("pred", "target") for a in "xy"))
    frame = SCENE.views([loss], handles, {}, [f"proof:{loss.key}"])
    proof = frame.proofs[loss.key]
    assert proof.verdict != "differ"
    assert proof.autograd == pytest.approx(frame.numbers[loss.key]["gradient.x1"], rel=1e-9, abs=1e-12)
