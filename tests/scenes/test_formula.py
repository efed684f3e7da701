"""Your own loss: its numbers are torch's, and a search refutes what is not so, and nothing else."""

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lossviz.language import FormulaError, parse
from lossviz.losses import get, snippet, value_and_grad
from lossviz.losses.entry import Loss
from lossviz.scenes import Frame, Text, get_scene
from lossviz.scenes.formula import KEY, own_loss
from lossviz.scenes.refute import refute
from lossviz.ui.scenes.formula import PRESETS

FORMULA, REGRESSION = get_scene("formula"), get_scene("regression")
VIEWS = ["curve", "derivative", "surface:formula", "formula:formula", "proof:formula", "checks"]
points = st.floats(-5, 5)


def held(formula: str, *values: float, **handles: Any) -> dict[str, Any]:
    return FORMULA.parse_handles({"formula": formula, "values": [*values, *[1.0] * (6 - len(values))], **handles})


def frame_of(formula: str, *values: float, losses: tuple[Loss, ...] = (), **handles: Any) -> Frame:
    return FORMULA.views(losses, held(formula, *values, **handles), {}, VIEWS)


PRESET = {name: (formula, values) for name, formula, values in PRESETS}
SAME = {
    "Huber": ("huber", {"delta": 1.0}),
    "Log-cosh": ("log_cosh", {}),
    "Quantile": ("quantile", {"q": 0.8}),
    "Welsch": ("welsch", {"c": 1.5}),
}


@pytest.mark.parametrize("name", SAME)
@given(pred=points, target=points)
@settings(max_examples=25, deadline=None)
def test_the_examples_are_the_catalogues_losses(name: str, pred: float, target: float):
    key, params = SAME[name]
    formula, values = PRESET[name]
    frame = frame_of(formula, *values, pred=pred, target=target)
    value, slopes = value_and_grad(key, FORMULA.inputs({"pred": pred, "target": target}, get(key)), params)
    assert frame.numbers[KEY]["loss"] == pytest.approx(value.item(), rel=1e-9, abs=1e-9)
    if pred != target:
        assert frame.numbers[KEY]["gradient"] == pytest.approx(slopes["pred"].item(), rel=1e-6, abs=1e-6)


@given(pred=points, target=points, p=st.floats(0.1, 4))
@settings(max_examples=40, deadline=None)
def test_numbers_are_those_of_python(pred: float, target: float, p: float):
    assume(abs(pred - target) > 1e-3)
    frame = frame_of("abs(pred - target)**p / p", p, pred=pred, target=target)
    r = pred - target
    assert frame.numbers[KEY]["loss"] == pytest.approx(abs(r) ** p / p, rel=1e-12)
    assert frame.numbers[KEY]["gradient"] == pytest.approx(math.copysign(abs(r) ** (p - 1), r), rel=1e-12)
    assert frame.proofs[KEY].verdict == "agree"
    assert frame.lines[KEY] == [[pytest.approx(abs(r) ** p / p, rel=1e-12)]]
    assert frame.told["parameters"] == ["p"]


@pytest.mark.parametrize("name", ["self", "params", "named", "loss", "torch", "lambda", "inputs", "fn", "x", "E"])
def test_a_parameter_may_have_any_name(name: str):
    frame = frame_of(f"{name} * (pred - target)**2", 3.0, pred=1.5, target=0.5)
    assert frame.numbers[KEY] == {"loss": 3.0, "gradient": 6.0}
    assert frame.proofs[KEY].verdict == "agree" and frame.told["parameters"] == [name]


def test_arrays_are_those_of_regression_with_a_row_more():
    losses = (get("mse"), get("huber"))
    own = frame_of("(pred - target)**2", losses=losses, pred=1.5)
    plain = REGRESSION.views(losses, REGRESSION.parse_handles({"pred": 1.5}), {}, VIEWS)
    for name in ("curve", "tangent", "arrows", "derivative", "below"):
        assert own.arrays[name].shape[0] == 3
        torch.testing.assert_close(own.arrays[name][1:], plain.arrays[name], rtol=0, atol=0)
        torch.testing.assert_close(own.arrays[name][0], plain.arrays[name][0], rtol=1e-12, atol=1e-12)
    other = REGRESSION.views((get("mse"),), REGRESSION.parse_handles({}), {}, ["surface:mse"])
    torch.testing.assert_close(own.arrays["surface:formula"], other.arrays["surface:mse"])


@pytest.mark.parametrize("below", ["derivative", "second derivative", "influence"])
def test_what_is_drawn_below_is_autograds(below: str):
    own, plain = (
        scene.views((get("mse"),), scene.parse_handles({**extra, "below": below}), {}, ["derivative"])
        for scene, extra in ((FORMULA, {"formula": "pred**2 + target**2 - 2*pred*target"}), (REGRESSION, {}))
    )
    torch.testing.assert_close(own.arrays["derivative"][0], plain.arrays["derivative"][0], rtol=1e-9, atol=1e-9)


def test_reductions_stay_within_one_prediction():
    """A curve of many predictions is not a batch."""
    own = frame_of("sum((pred - target)**2) + 0*mean(pred) + max(pred) - pred")
    plain = REGRESSION.views((get("mse"),), REGRESSION.parse_handles({}), {}, ["curve"])
    torch.testing.assert_close(own.arrays["curve"], plain.arrays["curve"], rtol=1e-12, atol=1e-12)


def test_where_nothing_is_finite_there_is_a_sentence_and_a_gap():
    frame = frame_of("log(pred)", pred=-1.0)
    assert KEY not in frame.numbers and frame.notes[KEY] == "The formula gives no number at prediction -1, label 0.5."
    assert frame.arrays["curve"][0, :200].isnan().all() and frame.arrays["curve"][0, 201:].isfinite().all()
    frame = frame_of("sqrt(pred)", pred=0.0)
    assert frame.numbers[KEY] == {"loss": 0, "gradient": math.inf} and KEY not in frame.proofs
    frame = frame_of("where(pred > 0, sqrt(abs(pred)), 0)", pred=0.0)
    assert math.isnan(frame.numbers[KEY]["gradient"]) and "Autograd gives no finite slope" in frame.notes[KEY]
    assert FORMULA.step and FORMULA.step(own_loss(held("sqrt(pred)", pred=0.0)), held("sqrt(pred)", pred=0.0), {}) == {}


@pytest.mark.parametrize("formula", ["where(pred < target, 1, 2)", "sign(pred) * 0 + 3", "0 * pred"])
def test_what_does_not_lean_on_the_prediction_has_slope_0(formula: str):
    assert frame_of(formula).numbers[KEY]["gradient"] == 0


def test_a_step_descends():
    handles = held("abs(pred - target)**p / p", 1.5)
    assert FORMULA.step
    assert FORMULA.step(own_loss(handles), handles, {})["pred"] == pytest.approx(2 - 0.25 * 1.5**0.5)


@pytest.mark.parametrize(("name", "formula", "values"), PRESETS, ids=lambda value: str(value)[:12])
def test_the_program_of_an_example_reproduces_its_numbers(
    name: str, formula: str, values: tuple[float, ...], capsys: pytest.CaptureFixture[str]
):
    handles = held(formula, *values, pred=1.75, target=-0.5)
    program = snippet(own_loss(handles), "pytorch", FORMULA.inputs(handles, own_loss(handles)))
    assert program and len(parse(formula).parameters) == len(values)
    exec(compile(program, name, "exec"), {})
    value, slope = capsys.readouterr().out.splitlines()
    numbers = frame_of(formula, *values, pred=1.75, target=-0.5).numbers[KEY]
    assert float(value) == pytest.approx(numbers["loss"], rel=1e-12)
    assert float(slope.split("[")[1].split("]")[0]) == pytest.approx(numbers["gradient"], abs=1e-4)


# --- the search for counter-examples

NAMES = ("convex", "minimum", "nonnegative", "symmetric", "bounded", "smooth", "finite")


@pytest.mark.parametrize(
    ("formula", "holds"),
    [
        ("(pred - target)**2", "yyyynyy"),
        ("abs(pred - target)", "yyyyyny"),
        ("abs(pred - target)**1.5", "yyyynny"),
        ("abs(pred - target)**1.9", "yyyynny"),
        ("sqrt(1 + (pred - target)**2) - 1", "yyyyyyy"),
        (PRESET["Huber"][0].replace("delta", "1"), "yyyyyyy"),
        (PRESET["Log-cosh"][0], "yyyyyyy"),
        (PRESET["Quantile"][0].replace("q", "0.8"), "yyynyny"),
        (PRESET["LINEX"][0].replace("a *", "1 *"), "yyynnyy"),
        ("1 - exp(-(pred - target)**2)", "nyyyyyy"),
        ("abs(pred - target)**0.5", "nyyynnn"),
        ("where(pred < target, 1, 2)", "nnynyny"),
        ("pred * target", "ynnnyyy"),
        ("(pred - target)**4", "yyyynyy"),
        ("sin(3 * (pred - target))", "nnnnyyy"),
        ("log(abs(pred - target))", "n-nynnn"),
        ("exp(pred)**1e308", "yyyynnn"),
    ],
)
def test_what_is_refuted(formula: str, holds: str):
    loss = own_loss(held(formula))
    found = refute(lambda pred, target: loss.fn(pred=pred, target=target))
    assert tuple(each.name for each in found) == NAMES
    marks = {True: "y", False: "n", None: "-"}
    assert "".join(marks[each.holds] for each in found) == holds
    assert all(math.isfinite(number) for each in found for number in each.numbers.values())
    assert all((each.trials > 0) == (each.holds is not None) for each in found)


def test_a_counter_example_shows_what_it_says():
    loss = own_loss(held("1 - exp(-(pred - target)**2) - 0.1 * pred"))
    found = {each.name: each.numbers for each in refute(lambda pred, target: loss.fn(pred=pred, target=target))}

    def at(pred: float, target: float) -> float:
        return 1 - math.exp(-((pred - target) ** 2)) - 0.1 * pred

    convex = found["convex"]
    middle = (convex["pred"] + convex["other"]) / 2
    assert convex["middle"] == pytest.approx(middle)
    assert convex["high"] == pytest.approx(at(middle, convex["target"])) and convex["high"] > convex["low"]
    ends = [at(convex[name], convex["target"]) for name in ("pred", "other")]
    assert convex["low"] == pytest.approx(sum(ends) / 2)
    lowest = found["minimum"]
    assert lowest["value"] == pytest.approx(at(lowest["pred"], lowest["target"])) and lowest["value"] < lowest["home"]
    assert found["nonnegative"]["value"] < 0
    mirror = found["symmetric"]
    assert mirror["other"] == pytest.approx(2 * mirror["target"] - mirror["pred"])
    assert mirror["mirrored"] == pytest.approx(at(mirror["other"], mirror["target"]))


def test_where_nothing_is_defined_nothing_is_claimed():
    loss = own_loss(held("sqrt(-1 - pred**2)"))
    found = refute(lambda pred, target: loss.fn(pred=pred, target=target))
    assert [each.holds for each in found[:5]] == [None] * 5 and found[-1].holds is False


# --- the handle


def test_a_typed_line_is_bounded_and_says_what_is_wrong():
    text = next(handle for handle in FORMULA.handles if isinstance(handle, Text))
    assert text.parse("pred") == "pred"
    for bad in ("p" * 201, "pred\n", "\x00", None, 7, ["pred"]):
        with pytest.raises(ValueError, match=r"Handle formula is .*; allowed: a line of at most 200 printable"):
            text.parse(bad)
    with pytest.raises(FormulaError, match=r"Character 6 of the formula: something is missing at the end\."):
        text.parse("pred+")


# --- the ranges of sliders


def test_a_slider_begins_with_a_range_that_fits_its_name():
    frame = frame_of("p * q * delta * w * pred")
    assert frame.told["ranges"] == [(0.1, 5, "linear"), (0, 1, "linear"), (0.01, 100, "log"), (-5, 5, "linear")]


def test_a_range_is_chosen_by_name_and_moves_no_number():
    ranges = "delta:-2:1e3,w:0.001:10:log,gone:0:1"
    chosen = frame_of("p * delta * w * pred", 2.0, ranges=ranges)
    assert chosen.told["ranges"] == [(0.1, 5, "linear"), (-2, 1000, "linear"), (0.001, 10, "log")]
    assert chosen.numbers == frame_of("p * delta * w * pred", 2.0).numbers


@pytest.mark.parametrize(
    "text",
    [
        *(",", "p", "p:1", "p:1:2:3", "p:2:1", "p:1:1", "p:1:2:log:", "p:0:1:log", "p:-1:1:log", ":1:2", "1:1:2"),
        *("p:nan:1", "p:0:inf", "p:0:1e7", "p:-1e7:1", "p:0:1e999", "p:1.2.3:4", "p: 0:1", "p:0:1 ", "p:٣:4", "é:1:2"),
        *("p" * 21 + ":0:1", "p:0:1,p:0:2", ",".join(f"p{i}:0:1" for i in range(7)), "p:0:1,", "pred.__class__:0:1"),
    ],
)
def test_a_range_that_is_none_gets_a_sentence(text: str):
    with pytest.raises(ValueError, match=r"ranges? of (a parameter is .*|parameters); allowed: .*\.$"):
        held("pred", ranges=text)
