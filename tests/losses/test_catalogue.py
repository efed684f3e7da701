"""What holds for every loss: gradients, formulas, ends of the domain, batching, errors, code."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from latex2mathml.converter import convert
from loss_samples import (
    EVERY_LOSS,
    EVERY_SETTING,
    autograd,
    closed_form,
    draw,
    gradient,
    name_of,
    sample_of,
    tensors_of,
)
from samples import SAMPLES
from sampling import Bad, Drawn, Inputs
from torch import Tensor

import lossviz
from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.entry import Line

ROWS = 5
DRAWN_BY_SCENES_AND_TRAINING = {
    *("regression", "nonnegative", "positive", "counts", "mean_variance"),
    *("binary", "binary_probabilities", "margin", "multilabel", "classes", "log_probabilities", "probabilities"),
    *("box_deltas", "masks"),
}


def few_examples(number: int) -> Callable[..., Any]:
    return hypothesis_settings(max_examples=number, deadline=None, derandomize=True)


def agree(loss: Loss, params: dict[str, Any], data: st.DataObject) -> None:
    sample = sample_of(loss)
    rows = data.draw(st.integers(sample.fewest, sample.fewest + 3))
    inputs = sample.draw(Drawn(data.draw, rows, sample.reach))
    loss.check(inputs, params)
    values = loss.fn(**inputs, **params)
    assert values.isfinite().all()
    if loss.returns == "loss":
        assert (values >= sample.lowest - 1e-12).all()
    torch.testing.assert_close(loss.formula[-1].value(**inputs, **params), values, rtol=1e-9, atol=1e-9)
    expected = autograd(loss, inputs, params)
    assert all(slope.isfinite().all() for slope in expected.values())
    if loss.grad is None:
        return
    found = closed_form(loss, inputs, params)
    assert set(found) == set(loss.differentiable)
    for name, slope in found.items():
        assert slope.shape == inputs[name].shape
        largest = float(expected[name].abs().max())
        torch.testing.assert_close(slope, expected[name], rtol=1e-9, atol=1e-9 * (1 + largest))


@EVERY_SETTING
@few_examples(12)
@given(data=st.data())
def test_formula_and_closed_form_agree_with_fn(loss: Loss, params: dict[str, Any], data: st.DataObject) -> None:
    agree(loss, params, data)


@pytest.mark.slow
@EVERY_SETTING
@few_examples(100)
@given(data=st.data())
def test_formula_and_closed_form_agree_with_fn_for_long(
    loss: Loss, params: dict[str, Any], data: st.DataObject
) -> None:
    agree(loss, params, data)


@EVERY_LOSS
def test_what_scenes_and_training_draw_has_a_closed_form(loss: Loss) -> None:
    assert loss.grad is not None or loss.input_kind not in DRAWN_BY_SCENES_AND_TRAINING


@EVERY_SETTING
def test_the_gradient_agrees_with_central_differences(loss: Loss, params: dict[str, Any]) -> None:
    tolerance = sample_of(loss).difference
    if tolerance is None or not loss.differentiable:
        return
    inputs = draw(loss, ROWS, seed=1, spread=0.3)
    size = float(loss.fn(**inputs, **params).detach().abs().sum())
    for name, slope in gradient(loss, inputs, params).items():
        found = torch.zeros_like(slope)
        for i in range(slope.numel()):
            step = torch.zeros_like(slope)
            step.view(-1)[i] = 1e-5
            up = loss.fn(**inputs | {name: inputs[name] + step}, **params).sum()
            down = loss.fn(**inputs | {name: inputs[name] - step}, **params).sum()
            found.view(-1)[i] = (up - down) / 2e-5
        largest = float(slope.abs().max())
        torch.testing.assert_close(found, slope, rtol=tolerance, atol=tolerance * (0.1 + largest) + 1e-10 * size)


@EVERY_SETTING
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_the_ends_of_the_domain(loss: Loss, params: dict[str, Any], dtype: torch.dtype) -> None:
    for inputs in sample_of(loss).extremes(dtype):
        loss.check(inputs, params)
        values, expected = loss.fn(**inputs, **params), autograd(loss, inputs, params)
        assert values.dtype == dtype and values.isfinite().all()
        for name, slope in gradient(loss, inputs, params).items():
            assert slope.dtype == dtype and slope.isfinite().all()
            assert expected[name].isfinite().all()
            torch.testing.assert_close(slope, expected[name], rtol=1e-4, atol=1e-6)


@EVERY_SETTING
def test_float32_is_as_good_as_float32_can_be(loss: Loss, params: dict[str, Any]) -> None:
    tolerance = sample_of(loss).float32
    if tolerance is None:
        return
    exact = loss.fn(**draw(loss, ROWS, seed=2), **params)
    rounded = loss.fn(**draw(loss, ROWS, seed=2, dtype=torch.float32), **params)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=tolerance, atol=tolerance / 10)


@EVERY_SETTING
def test_vmap_gives_what_a_loop_gives(loss: Loss, params: dict[str, Any]) -> None:
    if loss.models or sample_of(loss).unbatched:
        return
    batches = [draw(loss, ROWS, seed=seed) for seed in range(3)]
    stacked = {name: torch.stack([batch[name] for batch in batches]) for name in loss.inputs}

    def reduced(inputs: Inputs) -> Tensor:
        return loss.reduce(loss.fn(**inputs, **params), inputs, params)

    def slopes(inputs: Inputs) -> dict[str, Tensor]:
        return loss.grad(**inputs, **params) if loss.grad else {}

    torch.testing.assert_close(torch.vmap(reduced)(stacked), torch.stack([reduced(batch) for batch in batches]))
    if loss.grad:
        for name, slope in torch.vmap(slopes)(stacked).items():
            torch.testing.assert_close(slope, torch.stack([slopes(batch)[name] for batch in batches]))


@EVERY_LOSS
def test_a_batch_of_one_is_its_row(loss: Loss) -> None:
    sample = sample_of(loss)
    if not sample.rowwise:
        return
    assert loss.denominator is not None and sample.fewest == 1
    inputs, params = draw(loss, ROWS, seed=3), loss.resolve()
    rows = loss.fn(**inputs, **params)
    assert rows.numel() == ROWS, "a rowwise sample draws inputs that give one value a row"
    for i in range(ROWS):
        row = dict(inputs)
        for name, tensor in tensors_of(inputs).items():
            axis = sample.axis.get(name, 0)
            row[name] = tensor if axis is None else tensor.narrow(axis, i, 1)
        torch.testing.assert_close(loss.fn(**row, **params), rows[i : i + 1])


@EVERY_LOSS
def test_the_smallest_batch_is_finite_and_a_smaller_one_is_an_error(loss: Loss) -> None:
    fewest, params = sample_of(loss).fewest, loss.resolve()
    value, slopes = lossviz.value_and_grad(loss, draw(loss, fewest, seed=7))
    assert value.isfinite().all() and all(slope.isfinite().all() for slope in slopes.values())
    if fewest > 1:
        with pytest.raises(ValueError, match="allowed: "):
            loss.check(draw(loss, fewest - 1), params)


@EVERY_LOSS
def test_an_empty_batch_is_an_error_that_says_so(loss: Loss) -> None:
    with pytest.raises(ValueError, match="the batch is empty"):
        loss.fn(**draw(loss, 0), **loss.resolve())


@EVERY_LOSS
def test_nothing_is_broadcast(loss: Loss) -> None:
    sample, inputs, params = sample_of(loss), draw(loss, ROWS), loss.resolve()
    tensors = tensors_of(inputs)
    for name, tensor in tensors.items():
        wrong = [] if name in sample.free_shape else [tensor[..., None]]
        alone = len(tensors) == 1 or name in sample.free_rows
        if tensor.ndim and not alone:
            wrong.append(tensor[:-1])
        for each in wrong:
            for function in (loss.fn, checked(loss)):
                with pytest.raises(ValueError, match=r"has shape \(.*allowed: "):
                    function(**inputs | {name: each}, **params)


def checked(loss: Loss) -> Callable[..., None]:
    """``check``, called as ``fn`` is called."""

    def call(**both: Any) -> None:
        loss.check({name: both.pop(name) for name in loss.inputs}, both)

    return call


@EVERY_LOSS
def test_dtypes_are_not_mixed(loss: Loss) -> None:
    inputs = draw(loss, ROWS)
    tensors = tensors_of(inputs)
    floating = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
    wrong = {name: tensor.to(torch.int32) for name, tensor in tensors.items()}
    if len(floating) > 1:
        wrong[floating[-1]] = tensors[floating[-1]].to(torch.float32)
    for name, tensor in wrong.items():
        for function in (loss.fn, checked(loss)):
            with pytest.raises(ValueError, match=r"has dtype torch\.\w+, allowed: "):
                function(**inputs | {name: tensor}, **loss.resolve())


@EVERY_LOSS
def test_a_network_has_to_be_one(loss: Loss) -> None:
    for name in loss.models:
        with pytest.raises(TypeError, match=rf"{loss.key}\.{name} is a int, allowed: a network"):
            lossviz.value_and_grad(loss, draw(loss, ROWS) | {name: 3})


@EVERY_LOSS
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_check_names_a_number_that_is_not_finite(loss: Loss, bad: float) -> None:
    inputs, params = draw(loss, ROWS), loss.resolve()
    loss.check(inputs, params)
    for name, tensor in tensors_of(inputs).items():
        if tensor.is_floating_point():
            spoilt = tensor.clone()
            spoilt.view(-1)[-1] = bad
            with pytest.raises(ValueError, match=rf"^{name}( at \(.*\))? is {bad:g}, allowed: "):
                loss.check(inputs | {name: spoilt}, params)


BAD = [
    pytest.param(loss, bad, id=f"{name_of(loss)}-{bad.name}={bad.value}-{dict(bad.params)}")
    for loss in CATALOGUE
    if loss.key in SAMPLES
    for bad in SAMPLES[loss.key].bad
]


@pytest.mark.parametrize(("loss", "bad"), BAD)
def test_check_names_a_value_outside_the_domain(loss: Loss, bad: Bad) -> None:
    inputs, params = draw(loss, ROWS), loss.resolve(bad.params)
    spoilt = inputs[bad.name].clone()
    spoilt.view(-1)[0] = bad.value
    with pytest.raises(ValueError, match=bad.message):
        loss.check(inputs | {bad.name: spoilt}, params)
    with pytest.raises(ValueError, match=bad.message):
        lossviz.value_and_grad(loss, inputs | {bad.name: spoilt}, params)


def test_all_rows_ignored_is_an_error_rather_than_nan() -> None:
    loss = lossviz.get("cross_entropy")
    inputs = draw(loss, ROWS) | {"target": torch.full((ROWS,), 255)}
    with pytest.raises(ValueError, match="summed weight of the labels is 0"):
        lossviz.value_and_grad(loss, inputs, {"ignore_index": 255})


def test_one_class_is_no_choice() -> None:
    with pytest.raises(ValueError, match=r"pred has shape \(2, 1\), allowed: \(N, K\) with 2 classes or more"):
        lossviz.get("softmax_focal").fn(pred=torch.zeros(2, 1), target=torch.zeros(2, dtype=torch.int64))


def test_alpha_has_one_value_for_each_class() -> None:
    inputs = draw(lossviz.get("softmax_focal"), ROWS)
    with pytest.raises(ValueError, match=r"alpha has shape \(2,\), allowed: \(3,\), one for each class"):
        lossviz.value_and_grad("softmax_focal", inputs, {"alpha": [0.3, 0.7]})


@EVERY_LOSS
def test_the_signature_is_the_entry(loss: Loss) -> None:
    parameters = inspect.signature(loss.fn).parameters
    assert list(parameters) == [*loss.inputs, *loss.params]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())
    for name, param in loss.params.items():
        assert parameters[name].default == param.default == loss.resolve()[name]
    assert set(loss.differentiable) <= set(loss.inputs)


@EVERY_LOSS
def test_every_line_of_the_formula_has_numbers(loss: Loss) -> None:
    inputs, params = draw(loss, ROWS), loss.resolve()
    assert len(loss.formula) >= 2
    for line in loss.formula:
        assert isinstance(line, Line)
        assert line.value(**inputs, **params).isfinite().all()
    for latex in (*[line.latex for line in loss.formula], loss.gradient):
        pairs = re.findall(r"\\(left|right)(?![a-z])", latex)
        assert latex.count("{") == latex.count("}") and pairs.count("left") == pairs.count("right")


@EVERY_LOSS
def test_every_command_of_the_latex_is_drawn(loss: Loss) -> None:
    for latex in (*[line.latex for line in (*loss.formula, *loss.derivation)], loss.gradient):
        assert "\\" not in convert(latex), latex


@EVERY_SETTING
def test_the_derivation_ends_at_the_gradient(loss: Loss, params: dict[str, Any]) -> None:
    assert len(loss.derivation) >= 2, f"lossviz/losses/{loss.family}.py: {loss.key} needs lines in `derivation`"
    for seed in (5, 6):
        inputs = draw(loss, ROWS, seed=seed)
        lines = [line.value(**inputs, **params).detach() for line in loss.derivation]
        assert all(line.isfinite().all() for line in lines)
        if loss.returns == "gradients":
            want = loss.fn(**inputs, **params)
        elif loss.differentiable:
            want = autograd(loss, inputs, params)[loss.differentiable[0]]
        else:
            want = slope_by_logits(loss, inputs, params)
        torch.testing.assert_close(lines[-1], want, rtol=1e-9, atol=1e-9 * (1 + float(want.abs().max())))


def slope_by_logits(loss: Loss, inputs: Inputs, params: dict[str, Any]) -> Tensor:
    """Where only the network learns: the gradient by what it answered when it was asked last."""
    answers: list[Tensor] = []

    def listening(x: Tensor) -> Tensor:
        answers.append(inputs["model"](x))
        return answers[-1]

    total = loss.fn(**inputs | {"model": listening}, **params).sum()
    return torch.autograd.grad(total, answers[-1])[0]


@EVERY_LOSS
def test_what_is_detached_is_said(loss: Loss) -> None:
    assert bool(loss.detached) == (sample_of(loss).difference is None)


PAIR_KINDS = {"pairs", "pairs_labelled", "triplets", "views", "labelled_embeddings", "ranking_pairs", "rankings"}


@EVERY_LOSS
def test_a_loss_that_needs_no_pairs_charges_every_row_alone(loss: Loss) -> None:
    claim = loss.properties.needs_pairs
    if loss.input_kind in PAIR_KINDS:
        assert claim.holds, f"lossviz/losses/{loss.family}.py: {loss.key} compares examples: needs_pairs=pairs(...)"
    if claim.holds is False:
        assert sample_of(loss).rowwise, f"{loss.key}: rows feel one another, so needs_pairs cannot be ALONE"


@EVERY_LOSS
def test_texts_are_sentences(loss: Loss) -> None:
    assert loss.pitfalls
    notes = [loss.code.note] if loss.code.note else []
    for text in (*loss.pitfalls, *notes, *[param.meaning for param in loss.params.values()]):
        assert text[0].isupper() or text.startswith((*loss.params, *loss.inputs)), text
        assert text.endswith("."), text
