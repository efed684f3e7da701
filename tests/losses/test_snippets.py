"""Complete programs: run from nothing they give the value and the gradients that lossviz gives."""

import contextlib
import io
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from loss_samples import EVERY_LOSS, EVERY_SETTING, draw, sample_of
from networks import sequential
from sampling import Inputs
from torch import nn

import lossviz
from lossviz.losses import Loss
from lossviz.losses.entry import Choice, Code, Groups, Number, Vector
from lossviz.losses.snippets import Library, filled, snippet

ROWS = 5
ROUNDING = {
    "cosine_embedding": 1e-10,  # PyTorch adds 1e-12 to squared lengths
    "vat": 1e-9,  # a difference over 1e-6 loses six digits
}
"""How closely values agree, where not to 1e-12."""


def drawn(loss: Loss, dtype: torch.dtype = torch.float64) -> Inputs:
    """Inputs whose network, where there is one, can be written as code."""
    inputs = draw(loss, ROWS, seed=4, dtype=dtype)
    return inputs | {name: sequential(loss, dtype) for name in loss.models}


def run(program: str) -> tuple[dict[str, Any], list[str]]:
    """The names that a program leaves behind, and the lines that it prints."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(program, names)  # our own text, from the catalogue
    return names, printed.getvalue().splitlines()


def program(loss: Loss, library: Library, inputs: Inputs, params: dict[str, Any] | None = None) -> str:
    text = snippet(loss, library, inputs, params)
    assert text is not None
    return text


@EVERY_SETTING
def test_the_pytorch_program_gives_our_value_and_gradients(loss: Loss, params: dict[str, Any]) -> None:
    inputs = drawn(loss)
    names, printed = run(program(loss, "pytorch", inputs, params))
    value, slopes = lossviz.value_and_grad(loss, inputs, params)
    torch.testing.assert_close(names["loss"].detach(), value, rtol=ROUNDING.get(loss.key, 1e-12), atol=1e-15)
    assert torch.tensor(eval(printed[0]), dtype=torch.float64).equal(names["loss"].detach())
    for name in loss.differentiable:
        found = names[name].grad
        assert (f"print({name}.grad)" in program(loss, "pytorch", inputs, params)) == (found is not None)
        if found is None:
            assert not slopes[name].any()
        else:
            torch.testing.assert_close(
                found, slopes[name], rtol=1e-9, atol=1e-9 * (1 + float(slopes[name].abs().max()))
            )


@EVERY_LOSS
def test_the_pytorch_program_holds_at_the_ends_of_the_domain(loss: Loss) -> None:
    if loss.models or loss.key == "kl_divergence":  # whose note says where it is NaN
        return
    for inputs in sample_of(loss).extremes(torch.float64):
        value, _ = lossviz.value_and_grad(loss, inputs)
        torch.testing.assert_close(
            run(program(loss, "pytorch", inputs))[0]["loss"].detach(), value, rtol=1e-9, atol=1e-9
        )


FULL = torch.float64


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(0.1, dtype=FULL),
        torch.tensor([1 / 3, -5e-324, 1e300], dtype=FULL),
        torch.tensor(-7),
        torch.tensor([[True, False]]),
        torch.tensor([[1, -(2**62)]]),
        torch.tensor([1, 2], dtype=torch.int32),
        torch.tensor([0.1, 1 / 3, 3.4028234e38, -1e-45]),
        torch.tensor([0.1, float("inf"), -float("inf")]),
        torch.randn(40, generator=torch.Generator().manual_seed(0)),
        torch.randn(3, 2, 9, 9, generator=torch.Generator().manual_seed(0), dtype=FULL),
        torch.zeros(2, 0, dtype=torch.int64),
    ],
    ids=lambda value: f"{value.dtype}-{tuple(value.shape)}",
)
def test_inputs_are_written_without_loss(value: torch.Tensor) -> None:
    loss = replace(
        lossviz.get("mse"),
        inputs={"given": ""},
        differentiable=(),
        check=lambda inputs, params: None,
        fn=lambda given: given.sum(),
        denominator=None,
        code=Code(pytorch="loss = given.sum()", keras=None, optax=None),
    )
    text = program(loss, "pytorch", {"given": value})
    given = run(text)[0]["given"]
    assert given.dtype == value.dtype and given.equal(value)
    assert max(map(len, text.splitlines())) <= 88


def test_a_short_input_is_a_line_and_a_long_one_a_row_a_line() -> None:
    inputs = {"pred": torch.tensor([[0.1, 2.0, -1.0]] * 4), "target": torch.tensor([0, 1, 2, 0])}
    text = program(lossviz.get("label_smoothing_ce"), "pytorch", inputs)
    assert "pred = torch.tensor([\n    [0.1, 2.0, -1.0],\n" in text and "\n], requires_grad=True)\n" in text
    assert "target = torch.tensor([0, 1, 2, 0])\n" in text


def test_a_library_without_the_loss_has_no_program() -> None:
    inputs = {"pred": torch.ones(1), "target": torch.ones(1)}
    assert snippet(lossviz.get("quantile"), "keras", inputs) is None
    assert snippet(lossviz.get("quantile"), "optax", inputs) is None


def test_what_the_loss_refuses_has_no_program() -> None:
    inputs = {"pred": torch.ones(1), "target": -torch.ones(1)}
    with pytest.raises(ValueError, match=r"target at .* is -1, allowed: 0 or more"):
        snippet(lossviz.get("msle"), "pytorch", inputs)
    with pytest.raises(ValueError, match=r"huber\.delta is -1"):
        snippet(lossviz.get("huber"), "pytorch", inputs, {"delta": -1})


def test_parameters_are_filled_in() -> None:
    params = {
        "power": Number("", 1.0, -8.0, 2.0, also=(-math.inf,)),
        "floor": Number("", None, 0.0, 1.0, nullable=True),
        "kind": Choice("", "a", ("a", "b")),
        "weights": Vector("", 1.0, 0.0, 10.0),
        "groups": Groups(""),
    }
    code = "loss = [{power}, {floor}, {kind}, {weights}, {groups}, {{}}]"
    loss = replace(lossviz.get("mse"), params=params, code=Code(pytorch=code, keras=None, optax=code))
    given = {"power": "-inf", "weights": [0, 2.5], "groups": [[0, 1], [2]]}
    text = filled(loss, "optax", given)
    assert text is not None and eval(text.removeprefix("loss = ")) == [
        -math.inf,
        None,
        "a",
        [0.0, 2.5],
        [[0, 1], [2]],
        {},
    ]
    assert filled(loss, "keras", given) is None


NAMED = "holds a {}, allowed in a program: a torch.nn.Sequential of Linear, Tanh, ReLU and Flatten layers"


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (nn.Linear(2, 3), "Linear"),
        (nn.Sequential(nn.Linear(2, 3), nn.Dropout()), "Dropout"),
        (nn.Sequential(nn.Sequential(nn.Linear(2, 3))), "Sequential"),
        (lambda x: x @ torch.ones(2, 3), "function"),
    ],
)
def test_a_network_that_is_no_code_is_named(network: Any, named: str) -> None:
    inputs = {"model": network, "x": torch.rand(2, 2), "target": torch.tensor([0, 2])}
    with pytest.raises(ValueError, match=f"model {NAMED.format(named)}"):
        snippet(lossviz.get("fgsm_ce"), "pytorch", inputs)


def test_a_network_is_written_layer_by_layer() -> None:
    network = nn.Sequential(nn.Flatten(0, 1), nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 3))
    inputs = {"model": network, "x": torch.rand(2, 1, 2), "target": torch.tensor([0, 2])}
    text = program(lossviz.get("fgsm_ce"), "pytorch", inputs)
    model = run(text)[0]["model"]
    assert str(model) == str(network)
    torch.testing.assert_close(model.state_dict(), network.state_dict(), rtol=0, atol=0)


def test_a_network_without_weights_needs_no_state() -> None:
    inputs = {"model": nn.Sequential(nn.Flatten()), "x": torch.rand(2, 3), "target": torch.tensor([0, 2])}
    assert "load_state_dict" not in program(lossviz.get("fgsm_ce"), "pytorch", inputs)
