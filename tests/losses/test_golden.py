"""Values, gradients and outputs against independent implementations (third-party libraries, float64)."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from loss_samples import closed_form, name_of
from networks import Critic, TanhNetwork
from samples import FAMILIES, MISSING
from torch import Tensor

import lossviz
from lossviz.losses import CATALOGUE, Loss

FOLDER = Path(__file__).parent / "golden"
Case = dict[str, Any]
BY_FAMILY: dict[str, dict[str, list[Case]]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))
}
GOLDEN = {key: cases for family in BY_FAMILY.values() for key, cases in family.items()}
EVERY_CASE = pytest.mark.parametrize(
    ("loss", "case"),
    [
        pytest.param(loss, case, id=f"{name_of(loss)}/{case['id'].rpartition('/')[2]}")
        for loss in CATALOGUE
        for case in GOLDEN.get(loss.key, [])
    ],
)
DTYPES = {"float64": torch.float64, "int64": torch.int64, "bool": torch.bool}


def number(value: Any) -> Any:
    """A number for "inf", "-inf" and "nan"; other words and all else as they are."""
    if isinstance(value, list):
        return [number(entry) for entry in value]
    return float(value) if value in ("inf", "-inf", "nan") else value


def tensor(entry: dict[str, Any], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(number(entry["data"]), dtype=dtype).reshape(entry["shape"])


def inputs_of(loss: Loss, case: Case) -> dict[str, Any]:
    """The case's inputs; what the loss does not name are its network's weights."""
    given = {name: tensor(entry, DTYPES[entry["dtype"]]) for name, entry in case["inputs"].items()}
    if not loss.models:
        return given
    weights = {name: given.pop(name) for name in list(given) if name not in loss.inputs}
    network = (Critic if loss.input_kind == "critic_model" else TanhNetwork)(**weights)
    return given | {name: network for name in loss.models}


def params_of(case: Case) -> dict[str, Any]:
    return {name: number(value) for name, value in case["params"].items()}


def close(got: float, want: float, rtol: float, atol: float) -> bool:
    return got == want if math.isinf(want) else abs(got - want) <= atol + rtol * abs(want)


def uses_alternative(case: Case, value: float) -> bool:
    """It gives another defensible convention's value; then neither per-sample values nor gradients are compared."""
    expected, tol = number(case["expected"]["value"]), case["tol"]
    if expected is None or close(value, expected, tol["rtol"], tol["atol"]):
        return False
    return any(close(value, number(other["value"]), 1e-4, 1e-6) for other in case["alternatives"])


def assert_close(got: Tensor, want: Tensor, case: Case) -> None:
    torch.testing.assert_close(got, want, rtol=case["tol"]["rtol"], atol=case["tol"]["atol"])


def assert_gradients(case: Case, gradients: dict[str, Tensor]) -> None:
    """As close as the case's tolerance says; where it is a kink, any subgradient in its range."""
    assert set(gradients) == set(case["grad"]["wrt"])
    for name, expected in case["grad"]["wrt"].items():
        want, got = tensor(expected), gradients[name]
        assert got.shape == want.shape
        wrong = ~((got - want).abs() <= case["tol"]["grad_atol"] + case["tol"]["grad_rtol"] * want.abs().max())
        for place, low, high in case["grad"]["kinks"].get(name, []):
            inside = low - 1e-4 * (1 + abs(low)) <= got[tuple(place)] <= high + 1e-4 * (1 + abs(high))
            wrong[tuple(place)] = not inside
        assert not wrong.any(), (name, got, want)


def assert_finite(case: Case, gradients: dict[str, Tensor]) -> None:
    """Where the gradient is undefined it still has to be a number, unless the loss itself is none."""
    if case["expected"]["value"] != "inf":
        assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_every_golden_loss_is_in_the_catalogue_or_known_to_be_missing() -> None:
    keys = [loss.key for loss in CATALOGUE]
    assert len(keys) == len(set(keys))
    assert len(GOLDEN) == 115 and sum(map(len, GOLDEN.values())) == 1008
    assert set(MISSING) <= set(GOLDEN)
    assert not set(keys) & set(MISSING), "in the catalogue: take it out of MISSING in tests/losses/samples"
    assert set(GOLDEN) <= set(keys) | set(MISSING)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_family_has_its_files(family: str) -> None:
    own = [loss.key for loss in CATALOGUE if loss.family == family]
    module = getattr(__import__(f"lossviz.losses.{family}").losses, family)
    assert [loss.key for loss in module.LOSSES] == own, "family is the name of the file"
    assert sorted(FAMILIES[family].SAMPLES) == sorted(own)
    assert set(BY_FAMILY.get(family, {})) <= {*own, *FAMILIES[family].MISSING}


@EVERY_CASE
def test_values(loss: Loss, case: Case) -> None:
    inputs, params, expected = inputs_of(loss, case), loss.resolve(params_of(case)), case["expected"]
    loss.check(inputs, params)
    # A network's weights want gradients; here only numbers are compared.
    unreduced = loss.fn(**inputs, **params).detach()
    reduced = loss.reduce(unreduced, inputs, params)
    tol = case["tol"]
    formula = loss.formula[-1].value(**inputs, **params).detach()
    torch.testing.assert_close(formula, unreduced, rtol=tol["rtol"], atol=tol["atol"])
    outputs = loss.outputs(**inputs, **params) if loss.outputs else {}
    assert set(expected.get("outputs", {})) <= set(outputs)
    for name, entry in expected.get("outputs", {}).items():
        assert_close(outputs[name].detach(), tensor(entry), case)
    if loss.returns == "gradients":
        assert_close(reduced, outputs["combined"], case)
        return
    if uses_alternative(case, float(reduced)):
        return
    assert close(float(reduced), number(expected["value"]), tol["rtol"], tol["atol"]), (reduced, expected["value"])
    if expected["per_sample"] is not None:
        want = torch.tensor(number(expected["per_sample"]), dtype=torch.float64)
        assert_close(unreduced.flatten(), want.flatten(), case)


@EVERY_CASE
def test_gradients_by_autograd(loss: Loss, case: Case) -> None:
    value, gradients = lossviz.value_and_grad(loss, inputs_of(loss, case), params_of(case))
    if loss.returns == "gradients":
        assert gradients == {}
    elif case["grad"] is None or uses_alternative(case, float(value)):
        assert_finite(case, gradients)
    else:
        assert_gradients(case, {name.removeprefix("model."): gradient for name, gradient in gradients.items()})


@EVERY_CASE
def test_gradients_in_closed_form(loss: Loss, case: Case) -> None:
    if loss.grad is None:
        return
    inputs, params = inputs_of(loss, case), loss.resolve(params_of(case))
    unreduced = loss.fn(**inputs, **params)
    denominator = loss.denominator(unreduced, inputs, params) if loss.denominator else 1.0
    gradients = {name: gradient / denominator for name, gradient in closed_form(loss, inputs, params).items()}
    if case["grad"] is None or uses_alternative(case, float(loss.reduce(unreduced, inputs, params))):
        assert_finite(case, gradients)
    else:
        assert_gradients(case, gradients)
