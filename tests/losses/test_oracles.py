"""The Keras and Optax programs and the factors of look-alikes, run against those libraries where installed."""

import importlib
import os
from typing import Any

import pytest
import torch
from loss_samples import draw, name_of, sample_of, settings
from sampling import Inputs

from lossviz.losses import CATALOGUE, Library, Loss, get, value_and_grad
from lossviz.losses.snippets import snippet

ROWS = 5
UNDEFINED = ("kl_divergence",)
"""At the ends of their domain other libraries give NaN, as the entries' notes say."""


def library(name: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[oracles]'")


def drawn(loss: Loss) -> Inputs:
    """Inputs that are as exact in float32."""
    inputs = draw(loss, ROWS, seed=5, dtype=torch.float32)
    if loss.key == "cross_entropy":
        inputs["weight"] = torch.tensor([0.5, 1.0, 2.0])
    return {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}


IN = [
    pytest.param(loss, name, id=f"{name_of(loss)}-{name}")
    for loss in CATALOGUE
    for name in ("keras", "optax")
    if getattr(loss.code, name)
]


@pytest.mark.parametrize(("loss", "name"), IN)
def test_the_program_in_another_library_gives_our_value(
    loss: Loss, name: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    library(name, monkeypatch)
    inputs = drawn(loss)
    ends = [] if loss.key in UNDEFINED else sample_of(loss).extremes(torch.float64)
    for given, params in [(inputs, params) for params in settings(loss)] + [(end, loss.resolve()) for end in ends]:
        program = snippet(loss, name, given, params)
        assert program is not None
        names: dict[str, Any] = {}
        exec(program, names)  # our own text, from the catalogue
        want = float(loss.reduce(loss.fn(**given, **params), given, params))
        # Keras computes in float32.
        precision = {"rel": 1e-5, "abs": 1e-6} if name == "keras" else {"rel": 1e-9, "abs": 1e-12}
        assert float(names["loss"]) == pytest.approx(want, **precision), params
        assert float(capsys.readouterr().out) == float(names["loss"])


@pytest.mark.parametrize("name", ["keras", "optax"])
def test_ignored_rows_are_left_out(name: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library(name, monkeypatch)
    loss = get("cross_entropy")
    inputs = drawn(loss) | {"target": torch.tensor([0, 7, 2, 7, 1])}
    names: dict[str, Any] = {}
    exec(snippet(loss, name, inputs, {"ignore_index": 7}) or "", names)
    kept = {row: inputs[row][[0, 2, 4]] for row in ("pred", "target")}
    value, _ = value_and_grad(loss, inputs | kept)
    assert float(names["loss"]) == pytest.approx(float(value), rel=1e-5)


def as_jax(tensor: torch.Tensor) -> Any:
    return importlib.import_module("jax.numpy").asarray(tensor.numpy())


FACTORS = [
    pytest.param(loss, path, factor, id=f"{name_of(loss)}-{path}")
    for loss in CATALOGUE
    for path, factor in loss.code.factors.items()
]


@pytest.mark.parametrize(("loss", "path", "factor"), FACTORS)
def test_a_look_alike_differs_by_its_factor(
    loss: Loss, path: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, function = path.rpartition(".")
    library(module.partition(".")[0], monkeypatch)
    inputs, params = draw(loss, 5, seed=6, dtype=torch.float32), loss.resolve()
    args = [tensor if module.startswith("torch") else as_jax(tensor) for tensor in inputs.values()]
    other = getattr(importlib.import_module(module), function)(*args).mean()
    ours = loss.reduce(loss.fn(**inputs, **params), inputs, params)
    assert float(other) == pytest.approx(factor * float(ours), rel=1e-5)
