"""What holds for scenes, and of regression and classes: numbers and arrays are what torch gives point by point."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz import value_and_grad
from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Choice, Flag, Loss, Number
from lossviz.scenes import MAX_LOSSES, SCENES, Scene, get_scene
from lossviz.scenes.classes import ARROW_ROWS, EDGE, HEIGHT, RIM, SIDE
from lossviz.scenes.regression import HIGH, LOW, TANGENT_REACH
from lossviz.scenes.scene import Handle, Series

EXACT = {"rtol": 1e-12, "atol": 1e-12, "equal_nan": True}
REGRESSION, CLASSES = get_scene("regression"), get_scene("classes")
REGRESSION_GRID = [LOW + (HIGH - LOW) * i / 400 for i in range(401)]


def settings_of(loss: Loss) -> Iterator[dict[str, Any]]:
    """The defaults, then each parameter at its ends (a dropped one is invisible at its default)."""
    yield loss.resolve({})
    for name, param in loss.params.items():
        if isinstance(param, Flag | Choice):
            ends: list[Any] = [True, False] if isinstance(param, Flag) else list(param.options)
        else:
            ends = [param.low, param.high]
            if not isinstance(param, Number) and loss.input_kind == "classes":
                ends.append([param.low, param.high, (param.low + param.high) / 2])
        yield from (loss.resolve({name: end}) for end in ends)


EVERY_LOSS = [(scene, loss) for scene in (REGRESSION, CLASSES) for loss in scene.losses(CATALOGUE)]
EVERY_SETTING = [(scene, loss, params) for scene, loss in EVERY_LOSS for params in settings_of(loss)]
every_setting = pytest.mark.parametrize(
    ("scene", "loss", "params"), EVERY_SETTING, ids=[f"{s.key}-{x.key}-{p}" for s, x, p in EVERY_SETTING]
)


def of_scene(scene: Scene) -> pytest.MarkDecorator:
    chosen = [(loss, params) for each, loss, params in EVERY_SETTING if each is scene]
    return pytest.mark.parametrize(("loss", "params"), chosen, ids=[f"{loss.key}-{params}" for loss, params in chosen])


def handles_of(scene: Scene) -> st.SearchStrategy[dict[str, float]]:
    def one(handle: Handle) -> st.SearchStrategy[float]:
        if handle.whole:
            return st.integers(int(handle.low), int(handle.high)).map(float)
        return st.floats(handle.low, handle.high)

    held = {handle.name: one(handle) for handle in scene.handles if isinstance(handle, Handle)}
    if scene is CLASSES:
        held["label"] = st.integers(1, 3).map(float)  # of the three classes that there are by default
    return st.fixed_dictionaries(held).map(scene.parse_handles)


def alone(loss: Loss, params: dict[str, Any], **inputs: Tensor) -> Tensor:
    """The unreduced value of one sample, or NaN where the loss is not defined."""
    try:
        loss.check(inputs, params)
    except ValueError:
        return torch.tensor(torch.nan, dtype=torch.float64)
    return loss.fn(**inputs, **params)[0]


def number(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


# --- numbers


@every_setting
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_numbers_are_those_of_torch(scene: Scene, loss: Loss, params: dict[str, Any], data: st.DataObject):
    handles = data.draw(handles_of(scene))
    frame = scene.views([loss], handles, {loss.key: params}, [f"formula:{loss.key}"])
    named = scene.inputs(handles, loss)
    try:
        value, grads = value_and_grad(loss, named, params)
    except ValueError as error:
        assert loss.key not in frame.numbers
        assert frame.notes == {loss.key: str(error)}
        return
    numbers = frame.numbers[loss.key]
    slopes = [numbers["gradient"]] if scene is REGRESSION else [numbers[f"gradient.{k}"] for k in (1, 2, 3)]
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    assert slopes == pytest.approx(grads["pred"].flatten().tolist(), rel=1e-12, abs=1e-12)
    assert frame.notes == {}
    lines = [line.value(**named, **params).flatten().tolist() for line in loss.formula]
    assert len(frame.lines[loss.key]) == len(lines)
    for shown, line in zip(frame.lines[loss.key], lines, strict=True):
        assert shown == pytest.approx(line, rel=1e-12, abs=1e-12)
    assert frame.lines[loss.key][-1] == pytest.approx([value.item()], rel=1e-9, abs=1e-9)


@given(handles=handles_of(CLASSES))
@settings(max_examples=30, deadline=None)
def test_probabilities_are_the_softmax_of_the_logits(handles: dict[str, float]):
    frame = CLASSES.views([get("cross_entropy")], handles, {}, [])
    powers = [math.exp(handles[f"z{k}"]) for k in (1, 2, 3)]
    expected = [power / sum(powers) for power in powers]
    assert frame.arrays["probs"].tolist() == pytest.approx(expected, rel=1e-12)
    assert [frame.numbers["cross_entropy"][f"p.{k}"] for k in (1, 2, 3)] == pytest.approx(expected, rel=1e-12)


@given(data=st.data(), scene=st.sampled_from(SCENES))
@settings(max_examples=30, deadline=None)
def test_several_losses_in_one_frame_are_those_of_frames_alone(data: st.DataObject, scene: Scene):
    losses = data.draw(st.lists(st.sampled_from(scene.losses(CATALOGUE)), min_size=1, max_size=MAX_LOSSES, unique=True))
    handles = data.draw(handles_of(scene))
    together = scene.views(losses, handles, {}, scene.view_names)
    for place, loss in enumerate(losses):
        single = scene.views([loss], handles, {}, scene.view_names)
        assert together.numbers.get(loss.key) == single.numbers.get(loss.key)
        assert together.notes.get(loss.key) == single.notes.get(loss.key)
        for name in {"curve", "derivative", "tangent", "arrows", "bars"} & set(single.arrays):
            torch.testing.assert_close(together.arrays[name][place], single.arrays[name][0], **EXACT)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)
def test_a_frame_holds_what_was_asked_for_and_no_more(scene: Scene):
    loss = scene.losses(CATALOGUE)[0]
    handles = scene.parse_handles({})
    assert set(scene.views([loss], handles, {}, []).arrays) <= {"probs"}
    surface = f"surface:{loss.key}"
    assert set(scene.views([loss], handles, {}, [surface]).arrays) <= {"probs", surface}
    assert scene.views([loss], handles, {}, [surface]).lines == {}


# --- the regression scene's arrays


@of_scene(REGRESSION)
@given(handles=handles_of(REGRESSION))
@settings(max_examples=3, deadline=None)
def test_curve_and_derivative_equal_evaluations_point_by_point(
    loss: Loss, params: dict[str, Any], handles: dict[str, float]
):
    arrays = REGRESSION.views([loss], handles, {loss.key: params}, ["curve", "derivative"]).arrays
    label = number(handles["target"])
    values = [alone(loss, params, pred=number(x), target=label) for x in REGRESSION_GRID]
    torch.testing.assert_close(arrays["curve"][0], torch.stack(values), **EXACT)
    assert loss.grad
    slopes = [
        value.fill_(torch.nan) if value.isnan() else loss.grad(pred=number(x), target=label, **params)["pred"][0]
        for x, value in zip(REGRESSION_GRID, values, strict=True)
    ]
    # The grid's own points and ours may fall on different sides of a kink, where they differ in the last bit.
    off_kink = torch.tensor([abs(x - handles["target"]) > 1e-9 for x in REGRESSION_GRID])
    torch.testing.assert_close(arrays["derivative"][0][off_kink], torch.stack(slopes)[off_kink], **EXACT)


@of_scene(REGRESSION)
@given(handles=handles_of(REGRESSION))
@settings(max_examples=5, deadline=None)
def test_derivative_is_the_central_difference_of_the_loss_off_its_kinks(
    loss: Loss, params: dict[str, Any], handles: dict[str, float]
):
    step = 1e-6
    drawn = REGRESSION.views([loss], handles, {loss.key: params}, ["derivative"]).arrays["derivative"][0]
    label = number(handles["target"])
    compared = 0
    for x, slope in list(zip(REGRESSION_GRID, drawn.tolist(), strict=True))[::4]:
        above, here, below = (alone(loss, params, pred=number(x + d), target=label).item() for d in (step, 0.0, -step))
        if abs(x - handles["target"]) < 2 * step or math.isnan(above) or math.isnan(below):
            continue
        left, right = (here - below) / step, (above - here) / step
        if abs(right - left) > 1e-3 * (1 + abs(left) + abs(right)):
            # A kink: any slope between those of its two sides is right.
            assert min(left, right) - 1e-5 <= slope <= max(left, right) + 1e-5
        else:
            assert slope == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-5)
        compared += 1
    outside = loss.input_kind == "nonnegative" and handles["target"] < 0
    assert compared == 0 if outside else compared > 45


@of_scene(REGRESSION)
def test_surface_equals_evaluations_point_by_point(loss: Loss, params: dict[str, Any]):
    frame = REGRESSION.views([loss], REGRESSION.parse_handles({}), {loss.key: params}, [f"surface:{loss.key}"])
    surface = frame.arrays[f"surface:{loss.key}"]
    assert surface.shape == (61, 61)
    places = range(0, 61, 3)
    at = [LOW + (HIGH - LOW) * i / 60 for i in range(61)]
    expected = [[alone(loss, params, pred=number(at[j]), target=number(at[i])) for j in places] for i in places]
    torch.testing.assert_close(surface[::3, ::3], torch.stack([torch.stack(row) for row in expected]), **EXACT)


@given(handles=handles_of(REGRESSION))
@settings(max_examples=30, deadline=None)
def test_tangent_and_arrow_start_from_the_numbers_shown(handles: dict[str, float]):
    losses = REGRESSION.losses(CATALOGUE)
    frame = REGRESSION.views(losses, handles, {}, ["curve"])
    for loss, tangent, arrow in zip(losses, frame.arrays["tangent"], frame.arrays["arrows"], strict=True):
        numbers = frame.numbers.get(loss.key)
        if numbers is None:
            assert tangent.isnan().all() and arrow[1].isnan()
            continue
        pred, value, slope = handles["pred"], numbers["loss"], numbers["gradient"]
        rise = TANGENT_REACH * slope
        expected = [pred - TANGENT_REACH, pred + TANGENT_REACH, value - rise, value + rise]
        assert tangent.flatten().tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert arrow.tolist() == pytest.approx([pred, pred - handles["rate"] * slope], rel=1e-12, abs=1e-12)


def test_the_undefined_half_is_left_out_exactly():
    msle = get("msle")
    handles = REGRESSION.parse_handles({"pred": -0.1, "target": 1.0})
    frame = REGRESSION.views([msle, get("mse")], handles, {}, ["curve", "derivative", "surface:msle"])
    grid = torch.tensor(REGRESSION_GRID)
    for name in ("curve", "derivative"):
        assert torch.equal(frame.arrays[name][0].isnan(), grid < -1e-9)
        assert not frame.arrays[name][1].isnan().any()
    axis = torch.linspace(LOW, HIGH, 61) < -1e-6
    assert torch.equal(frame.arrays["surface:msle"].isnan(), axis[:, None] | axis[None, :])
    assert set(frame.numbers) == {"mse"}
    assert "-0.1" in frame.notes["msle"] and "0 or more" in frame.notes["msle"]


# --- the classes scene's arrays


def row(loss: Loss, probs: list[float], label: int) -> dict[str, Tensor]:
    named = {
        "pred": torch.tensor([probs], dtype=torch.float64).log(),
        "target": torch.tensor([label]),
        "weight": torch.ones(3, dtype=torch.float64),
    }
    return {name: tensor for name, tensor in named.items() if name in loss.inputs}


@of_scene(CLASSES)
@pytest.mark.parametrize("label", [1, 3])
def test_simplex_surface_equals_evaluations_point_by_point(loss: Loss, params: dict[str, Any], label: int):
    handles = CLASSES.parse_handles({"label": label})
    frame = CLASSES.views([loss], handles, {loss.key: params}, [f"surface:{loss.key}"])
    surface = frame.arrays[f"surface:{loss.key}"]
    assert surface.shape == (SIDE, SIDE)
    for i in range(0, SIDE, 4):
        for j in range(0, SIDE, 4):
            third = i / (SIDE - 1)
            second = j / (SIDE - 1) - third / 2
            probs = [1 - second - third, second, third]
            drawn = surface[i, j].item()
            assert math.isnan(drawn) == (min(probs) < -RIM), probs
            if min(probs) < -RIM:
                continue
            kept = [max(p, EDGE) for p in probs]
            value = loss.fn(**row(loss, [p / sum(kept) for p in kept], label - 1), **params).item()
            assert drawn == pytest.approx(value, rel=1e-12, abs=1e-12)


@of_scene(CLASSES)
@pytest.mark.parametrize("label", [1, 2, 3])
def test_arrows_are_a_small_step_of_descent_on_the_logits(loss: Loss, params: dict[str, Any], label: int):
    handles = CLASSES.parse_handles({"label": label})
    frame = CLASSES.views([loss], handles, {loss.key: params}, [f"arrows:{loss.key}"])
    arrows = frame.arrays[f"arrows:{loss.key}"]
    counts = [(i, j, ARROW_ROWS - i - j) for i in range(1, ARROW_ROWS) for j in range(1, ARROW_ROWS - i)]
    assert arrows.shape == (len(counts), 4)
    rate = 1e-5
    for drawn, count in zip(arrows, counts, strict=True):
        probs = [c / ARROW_ROWS for c in count]
        named = row(loss, probs, label - 1)
        _, grads = value_and_grad(loss, named, params)
        ahead, behind = (torch.softmax(named["pred"] - d * grads["pred"], -1)[0] for d in (rate, -rate))
        step = ((ahead - behind) / (2 * rate)).tolist()
        expected = [
            probs[1] + probs[2] / 2,
            probs[2] * HEIGHT,
            step[1] + step[2] / 2,
            step[2] * HEIGHT,
        ]
        assert drawn.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-8)


@given(handles=handles_of(CLASSES))
@settings(max_examples=30, deadline=None)
def test_bars_of_the_cross_entropy_are_p_minus_y(handles: dict[str, float]):
    frame = CLASSES.views([get("cross_entropy"), get("softmax_focal")], handles, {}, ["bars"])
    one_hot = torch.zeros(3, dtype=torch.float64)
    one_hot[int(handles["label"]) - 1] = 1
    torch.testing.assert_close(frame.arrays["bars"][0], frame.arrays["probs"] - one_hot, **EXACT)
    focal = [frame.numbers["softmax_focal"][f"gradient.{k}"] for k in (1, 2, 3)]
    assert frame.arrays["bars"][1].tolist() == focal


def test_a_loss_without_a_value_has_a_note_and_no_bars():
    ignored = {"cross_entropy": {"ignore_index": 0}}
    frame = CLASSES.views([get("cross_entropy")], CLASSES.parse_handles({"label": 1}), ignored, ["bars"])
    assert frame.numbers == {}
    assert "every row is ignored" in frame.notes["cross_entropy"]
    assert frame.arrays["bars"].isnan().all()


@of_scene(REGRESSION)
def test_below_is_the_curvature_or_the_influence_if_asked(loss: Loss, params: dict[str, Any]):
    held = REGRESSION.parse_handles({"pred": 2.13, "target": 0.71, "below": "second derivative"})
    frame = REGRESSION.views([loss], held, {loss.key: params}, ["derivative"])

    def slope(pred: float, target: float) -> float:
        assert loss.grad is not None
        return loss.grad(pred=number(pred), target=number(target), **params)["pred"].item()

    bend = (slope(2.13 + 1e-5, 0.71) - slope(2.13 - 1e-5, 0.71)) / 2e-5
    assert frame.arrays["below"].item() == pytest.approx(bend, rel=1e-4, abs=1e-6)
    frame = REGRESSION.views([loss], {**held, "below": "influence"}, {loss.key: params}, ["derivative"])
    assert frame.arrays["below"].item() == pytest.approx(slope(2.13, 0.71))
    label = REGRESSION_GRID[300]
    assert frame.arrays["derivative"][0, 300].item() == pytest.approx(slope(2.13, label))


# --- handles


BAD = [math.nan, math.inf, -math.inf, 5.000001, -6, 10**400, -(10**400), True, False, "1", None, [1.0], {}, 1j]


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value)[:20])
def test_a_handle_refuses_what_it_cannot_hold(value: object):
    with pytest.raises(ValueError, match=r"Handle pred is .*; allowed: a number from -5 to 5\."):
        REGRESSION.handles[0].parse(value)


@pytest.mark.parametrize("value", [0, 11, 1.5, math.nan, "2", True])
def test_a_label_is_a_whole_number_in_its_range(value: object):
    with pytest.raises(ValueError, match=r"Handle label is .*; allowed: a "):
        CLASSES.handles[3].parse(value)


@given(value=st.floats(LOW, HIGH) | st.integers(int(LOW), int(HIGH)))
def test_a_handle_takes_every_number_in_its_range_as_it_is(value: float):
    parsed = REGRESSION.handles[0].parse(value)
    assert isinstance(parsed, float) and parsed == value


def test_handles_left_out_have_their_default_and_unknown_ones_are_named():
    held = REGRESSION.parse_handles({"pred": 1})
    assert (held["pred"], held["target"], held["rate"], held["arrows"]) == (1.0, 0.5, 0.25, True)
    with pytest.raises(ValueError, match="Unknown handle 'z9'; this scene has pred, target, below"):
        REGRESSION.parse_handles({"z9": 1})


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)
def test_every_handle_starts_inside_its_bounds(scene: Scene):
    for handle in scene.handles:
        default = handle.default
        assert handle.parse(default) == (list(default) if isinstance(default, tuple) else default)
        if isinstance(handle, Handle | Series):
            assert 0 < handle.step <= handle.high - handle.low


def test_an_unknown_scene_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"Unknown scene 'regresion'; there are regression, .*\. Did you mean reg"):
        get_scene("regresion")


def test_every_scene_offers_the_losses_of_its_geometry_and_no_other():
    for scene in SCENES:
        offered = {loss.key for loss in scene.losses(CATALOGUE)}
        fit = {loss.key for loss in CATALOGUE if loss.input_kind in scene.input_kinds}
        assert offered and offered == fit - set(scene.without)
    assert "hinge" not in {loss.key for scene in (REGRESSION, CLASSES) for loss in scene.losses(CATALOGUE)}
