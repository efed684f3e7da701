"""The Keras and Optax snippets and the factors of look-alikes, run against those libraries where installed."""

import importlib
from typing import Any

import pytest
import torch
from loss_samples import draw, name_of, sample_of, settings

from lossviz.losses import CATALOGUE, Loss


def library(name: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("KERAS_BACKEND", "torch")
    pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[oracles]'")


@pytest.mark.parametrize("name", ["keras", "optax"])
@pytest.mark.parametrize("loss", CATALOGUE, ids=name_of)
def test_snippet_of_another_library_gives_the_same_loss(loss: Loss, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    snippet: str | None = getattr(loss.code, name)
    if snippet is None:
        return
    library(name, monkeypatch)
    for params in settings(loss)[: 1 if sample_of(loss).only_defaults else None]:
        inputs = draw(loss, 5, seed=5, dtype=torch.float32)
        if loss.key == "cross_entropy":
            inputs["weight"] = torch.tensor([0.5, 1.0, 2.0])
        names: dict[str, Any] = {key: tensor if name == "keras" else as_jax(tensor) for key, tensor in inputs.items()}
        exec(snippet.format(**{key: repr(value) for key, value in params.items()}), names)
        want = loss.reduce(loss.fn(**inputs, **params), inputs, params)
        assert float(names["loss"]) == pytest.approx(float(want), rel=1e-5, abs=1e-6), params


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
