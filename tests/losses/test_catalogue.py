"""What holds for every loss: gradients, formulas, ends of the domain, batching, errors, code."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from loss_samples import CLASSES, autograd, closed_form, draw, settings
from torch import Tensor

import lossviz
from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.entry import Line

EVERY_LOSS = pytest.mark.parametrize("loss", CATALOGUE, ids=lambda loss: loss.key)
SETTINGS = [(loss, params) for loss in CATALOGUE for params in settings(loss)]
EVERY_SETTING = pytest.mark.parametrize(("loss", "params"), SETTINGS, ids=[f"{s[0].key}-{s[1]}" for s in SETTINGS])
ROWS = 5


def hand_made(loss: Loss, floats: st.SearchStrategy[float]) -> st.SearchStrategy[dict[str, Tensor]]:
    """Inputs of every size and shape that a hypothesis example can shrink."""

    def numbers(rows: int, columns: int = 0) -> st.SearchStrategy[Tensor]:
        count = rows * max(columns, 1)
        shape = (rows, columns) if columns else (rows,)
        return st.lists(floats, min_size=count, max_size=count).map(
            lambda values: torch.tensor(values, dtype=torch.float64).reshape(shape)
        )

    def one_of(rows: int, options: list[float], dtype: torch.dtype = torch.float64) -> st.SearchStrategy[Tensor]:
        return st.lists(st.sampled_from(options), min_size=rows, max_size=rows).map(
            lambda v: torch.tensor(v, dtype=dtype)
        )

    def of_size(size: tuple[int, int]) -> st.SearchStrategy[dict[str, Tensor]]:
        rows, columns = size
        kinds: dict[str, dict[str, st.SearchStrategy[Tensor]]] = {
            "regression": {"pred": numbers(rows), "target": numbers(rows)},
            "nonnegative": {"pred": numbers(rows).map(torch.abs), "target": numbers(rows).map(torch.abs)},
            "binary": {"pred": numbers(rows), "target": one_of(rows, [0.0, 0.3, 1.0])},
            "margin": {"pred": numbers(rows), "target": one_of(rows, [-1.0, 1.0])},
            "classes": {"pred": numbers(rows, columns), "target": one_of(rows, list(range(columns)), torch.int64)},
            "pairs": {"x1": numbers(rows, columns), "x2": numbers(rows, columns)},
        }
        inputs = kinds[loss.input_kind]
        if "weight" in loss.inputs:
            inputs["weight"] = one_of(columns, [0.5, 1.0, 2.0])
        return st.fixed_dictionaries(inputs)

    # A setting may hold one alpha for each class, so the number of classes stays.
    return st.integers(1, 4).map(lambda rows: (rows, CLASSES)).flatmap(of_size)


@EVERY_SETTING
@hypothesis_settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_formula_and_closed_form_agree_with_fn(loss: Loss, params: dict[str, Any], data: st.DataObject) -> None:
    inputs = data.draw(hand_made(loss, st.floats(-1e3, 1e3)))
    loss.check(inputs, params)
    values = loss.fn(**inputs, **params)
    assert values.isfinite().all() and (values >= -1e-12).all()
    torch.testing.assert_close(loss.formula[-1].value(**inputs, **params), values, rtol=1e-9, atol=1e-9)
    expected = autograd(loss, inputs, params)
    for name, gradient in closed_form(loss, inputs, params).items():
        assert gradient.shape == inputs[name].shape
        largest = float(expected[name].abs().max())
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-9 * (1 + largest))


@EVERY_SETTING
def test_closed_form_agrees_with_central_differences(loss: Loss, params: dict[str, Any]) -> None:
    inputs = draw(loss, ROWS, seed=1, spread=0.3)
    for name, gradient in closed_form(loss, inputs, params).items():
        for i in range(inputs[name].numel()):
            step = torch.zeros_like(inputs[name])
            step.view(-1)[i] = 1e-5
            up = loss.fn(**inputs | {name: inputs[name] + step}, **params).sum()
            down = loss.fn(**inputs | {name: inputs[name] - step}, **params).sum()
            assert float((up - down) / 2e-5) == pytest.approx(float(gradient.view(-1)[i]), rel=1e-6, abs=1e-7)


@EVERY_SETTING
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_at_the_ends_of_the_domain(loss: Loss, params: dict[str, Any], dtype: torch.dtype) -> None:
    for inputs in extremes(loss, dtype):
        loss.check(inputs, params)
        values, gradients = loss.fn(**inputs, **params), autograd(loss, inputs, params)
        assert values.dtype == dtype and values.isfinite().all()
        for name, gradient in closed_form(loss, inputs, params).items():
            assert gradient.dtype == dtype and gradient.isfinite().all()
            assert gradients[name].isfinite().all()
            torch.testing.assert_close(gradient, gradients[name], rtol=1e-4, atol=1e-6)


def extremes(loss: Loss, dtype: torch.dtype) -> list[dict[str, Tensor]]:
    def of(*values: object) -> Tensor:
        return torch.tensor(values, dtype=dtype)

    labels = torch.arange(CLASSES)
    logits = of([1000, -1000, 0], [1000, -1000, 0], [-1000, -1000, 1000])
    kinds: dict[str, list[dict[str, Tensor]]] = {
        "regression": [{"pred": of(1e6, -1e6, 0, 3), "target": of(-1e6, 1e6, 0, 3)}],
        "nonnegative": [{"pred": of(0, 1e6, 0, 1e6), "target": of(0, 0, 1e6, 1e6)}],
        "binary": [{"pred": of(1000, -1000, 1000, -1000, 0), "target": of(0, 0, 1, 1, 0.5)}],
        "margin": [{"pred": of(1000, -1000, 1, 0), "target": of(1, 1, 1, -1)}],
        "classes": [{"pred": logits, "target": labels}, {"pred": torch.zeros_like(logits), "target": labels}],
        "pairs": [
            {"x1": of([0, 0], [1e6, 0], [1, 0]), "x2": of([1, 2], [-1e6, 0], [1e-6, 0])},
            # Shorter than the largest eps without being zero.
            {"x1": of([3e-3, 4e-3], [1, 1]), "x2": of([1, 1], [-3e-3, 4e-3])},
        ],
    }
    weight = {"weight": of(0, 1, 10)} if "weight" in loss.inputs else {}
    return [inputs | weight for inputs in kinds[loss.input_kind]]


@EVERY_SETTING
def test_float32_is_as_good_as_float32_can_be(loss: Loss, params: dict[str, Any]) -> None:
    exact = loss.fn(**draw(loss, ROWS, seed=2), **params)
    rounded = loss.fn(**draw(loss, ROWS, seed=2, dtype=torch.float32), **params)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded.double(), exact, rtol=2e-5, atol=2e-6)


@EVERY_SETTING
def test_vmap_gives_what_a_loop_gives(loss: Loss, params: dict[str, Any]) -> None:
    batches = [draw(loss, ROWS, seed=seed) for seed in range(3)]
    stacked = {name: torch.stack([batch[name] for batch in batches]) for name in loss.inputs}

    def reduced(inputs: dict[str, Tensor]) -> Tensor:
        return loss.reduce(loss.fn(**inputs, **params), inputs, params)

    def gradients(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        assert loss.grad is not None
        return loss.grad(**inputs, **params)

    torch.testing.assert_close(torch.vmap(reduced)(stacked), torch.stack([reduced(batch) for batch in batches]))
    for name, gradient in torch.vmap(gradients)(stacked).items():
        torch.testing.assert_close(gradient, torch.stack([gradients(batch)[name] for batch in batches]))


@EVERY_LOSS
def test_a_batch_of_one_is_its_row(loss: Loss) -> None:
    inputs, params = draw(loss, ROWS, seed=3), loss.resolve()
    rows = loss.fn(**inputs, **params)
    for i in range(ROWS):
        row = {name: tensor if name == "weight" else tensor[i : i + 1] for name, tensor in inputs.items()}
        torch.testing.assert_close(loss.fn(**row, **params), rows[i : i + 1])


@EVERY_LOSS
def test_an_empty_batch_is_an_error_that_says_so(loss: Loss) -> None:
    empty = {name: t if name == "weight" else t[:0] for name, t in draw(loss, ROWS).items()}
    with pytest.raises(ValueError, match="the batch is empty"):
        loss.fn(**empty, **loss.resolve())


@EVERY_LOSS
def test_nothing_is_broadcast(loss: Loss) -> None:
    inputs = draw(loss, ROWS)
    for name in loss.inputs:
        for wrong in (inputs[name][..., None], inputs[name][:-1]):
            for function in (loss.fn, checked(loss)):
                with pytest.raises(ValueError, match=r"has shape \(.*allowed: "):
                    function(**inputs | {name: wrong}, **loss.resolve())


def checked(loss: Loss) -> Callable[..., None]:
    """``check``, called as ``fn`` is called."""

    def call(**both: Any) -> None:
        loss.check({name: both.pop(name) for name in loss.inputs}, both)

    return call


@EVERY_LOSS
def test_dtypes_are_not_mixed(loss: Loss) -> None:
    inputs = draw(loss, ROWS)
    floating = [name for name, tensor in inputs.items() if tensor.is_floating_point()]
    wrong = {name: inputs[name].to(torch.int32) for name in inputs}
    if len(floating) > 1:
        wrong[floating[-1]] = inputs[floating[-1]].to(torch.float32)
    for name, tensor in wrong.items():
        for function in (loss.fn, checked(loss)):
            with pytest.raises(ValueError, match=r"has dtype torch\.\w+, allowed: "):
                function(**inputs | {name: tensor}, **loss.resolve())


@EVERY_LOSS
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_check_names_a_number_that_is_not_finite(loss: Loss, bad: float) -> None:
    inputs, params = draw(loss, ROWS), loss.resolve()
    loss.check(inputs, params)
    for name, tensor in inputs.items():
        if tensor.is_floating_point():
            spoilt = tensor.clone()
            spoilt.view(-1)[-1] = bad
            with pytest.raises(ValueError, match=rf"^{name} at \(.*\) is {bad:g}, allowed: "):
                loss.check(inputs | {name: spoilt}, params)


@pytest.mark.parametrize(
    ("key", "name", "value", "message"),
    [
        ("msle", "pred", -0.5, r"pred at \(0,\) is -0.5, allowed: 0 or more"),
        ("msle", "target", -0.5, r"target at \(0,\) is -0.5, allowed: 0 or more"),
        ("bce_with_logits", "target", 1.5, r"target at \(0,\) is 1.5, allowed: 0 to 1"),
        ("bce_with_logits", "target", -1.0, r"target at \(0,\) is -1, allowed: 0 to 1"),
        ("hinge", "target", 0.0, r"target at \(0,\) is 0, allowed: -1 or \+1"),
        ("cross_entropy", "target", 3, r"target at \(0,\) is 3, allowed: 0 to 2, or -100 to ignore the row"),
        ("cross_entropy", "target", -1, r"target at \(0,\) is -1, allowed: 0 to 2, or -100 to ignore the row"),
        ("cross_entropy", "weight", -1.0, r"weight at \(0,\) is -1, allowed: 0 or more"),
        ("softmax_focal", "target", 3, r"target at \(0,\) is 3, allowed: 0 to 2"),
        ("softmax_focal", "target", -100, r"target at \(0,\) is -100, allowed: 0 to 2"),
    ],
)
def test_check_names_a_value_outside_the_domain(key: str, name: str, value: float, message: str) -> None:
    loss = lossviz.get(key)
    inputs = draw(loss, ROWS)
    inputs[name][0] = value
    with pytest.raises(ValueError, match=message):
        loss.check(inputs, loss.resolve())
    with pytest.raises(ValueError, match=message):
        lossviz.value_and_grad(key, inputs)


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


@EVERY_SETTING
def test_pytorch_snippet_gives_the_same_loss(loss: Loss, params: dict[str, Any]) -> None:
    inputs = draw(loss, ROWS, seed=4)
    names: dict[str, Any] = dict(inputs)
    exec(loss.pytorch(params), names)  # our own text, from the catalogue
    want = loss.reduce(loss.fn(**inputs, **params), inputs, params)
    torch.testing.assert_close(names["loss"], want, rtol=1e-9, atol=1e-9)


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
        assert latex.count("{") == latex.count("}") and latex.count(r"\left") == latex.count(r"\right")


@EVERY_LOSS
def test_texts_are_sentences(loss: Loss) -> None:
    assert loss.pitfalls
    for text in (*loss.pitfalls, loss.code.note, *[param.meaning for param in loss.params.values()]):
        assert text[0].isupper() or text.startswith(tuple(loss.params)), text
        assert text.endswith("."), text
