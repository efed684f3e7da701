"""Values and gradients against independent implementations (third-party libraries, float64)."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from loss_samples import closed_form
from torch import Tensor

import lossviz
from lossviz.losses import CATALOGUE, Loss

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "golden.json").read_text())
CASES = [(loss, case) for loss in CATALOGUE for case in GOLDEN[loss.key]]
IDS = [case["id"] for _, case in CASES]
DTYPES = {"float64": torch.float64, "int64": torch.int64}


def tensors(case: dict[str, Any]) -> dict[str, Tensor]:
    return {
        name: torch.tensor(entry["data"], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in case["inputs"].items()
    }


def uses_alternative(case: dict[str, Any], value: float) -> bool:
    """Another defensible convention gives this value; then neither per-sample values nor gradients are compared."""
    return any(value == pytest.approx(other["value"], rel=1e-4, abs=1e-6) for other in case["alternatives"])


def assert_gradients(case: dict[str, Any], gradients: dict[str, Tensor]) -> None:
    """As close as the case's tolerance says; where it is a kink, any subgradient in its range."""
    assert set(gradients) == set(case["grad"]["wrt"])
    for name, expected in case["grad"]["wrt"].items():
        want, got = torch.tensor(expected["data"], dtype=torch.float64).reshape(expected["shape"]), gradients[name]
        assert got.shape == want.shape
        wrong = (got - want).abs() > case["tol"]["grad_atol"] + case["tol"]["grad_rtol"] * want.abs().max()
        for place, low, high in case["grad"]["kinks"].get(name, []):
            inside = low - 1e-4 * (1 + abs(low)) <= got[tuple(place)] <= high + 1e-4 * (1 + abs(high))
            wrong[tuple(place)] = not inside
        assert not wrong.any(), (name, got, want)


def test_all_ten_have_cases_in_the_same_order() -> None:
    assert [loss.key for loss in CATALOGUE] == list(GOLDEN)
    assert len(CASES) == 86


@pytest.mark.parametrize(("loss", "case"), CASES, ids=IDS)
def test_values(loss: Loss, case: dict[str, Any]) -> None:
    inputs, params, tol = tensors(case), loss.resolve(case["params"]), case["tol"]
    loss.check(inputs, params)
    unreduced = loss.fn(**inputs, **params)
    value = float(loss.reduce(unreduced, inputs, params))
    if uses_alternative(case, value):
        return
    assert value == pytest.approx(case["expected"]["value"], rel=tol["rtol"], abs=tol["atol"])
    want = torch.tensor(case["expected"]["per_sample"], dtype=torch.float64)
    torch.testing.assert_close(unreduced, want, rtol=tol["rtol"], atol=tol["atol"])
    torch.testing.assert_close(loss.formula[-1].value(**inputs, **params), want, rtol=tol["rtol"], atol=tol["atol"])


@pytest.mark.parametrize(("loss", "case"), CASES, ids=IDS)
def test_gradients_by_autograd(loss: Loss, case: dict[str, Any]) -> None:
    value, gradients = lossviz.value_and_grad(loss, tensors(case), case["params"])
    if case["grad"] is None or uses_alternative(case, float(value)):
        assert all(gradient.isfinite().all() for gradient in gradients.values())
    else:
        assert_gradients(case, gradients)


@pytest.mark.parametrize(("loss", "case"), CASES, ids=IDS)
def test_gradients_in_closed_form(loss: Loss, case: dict[str, Any]) -> None:
    inputs, params = tensors(case), loss.resolve(case["params"])
    unreduced = loss.fn(**inputs, **params)
    assert loss.denominator is not None
    denominator = loss.denominator(unreduced, inputs, params)
    gradients = {name: gradient / denominator for name, gradient in closed_form(loss, inputs, params).items()}
    if case["grad"] is None or uses_alternative(case, float(loss.reduce(unreduced, inputs, params))):
        assert all(gradient.isfinite().all() for gradient in gradients.values())
    else:
        assert_gradients(case, gradients)
