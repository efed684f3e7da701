"""Proximal steps: each is the best place between where a weight was and where its penalty wants it."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossviz.losses import CATALOGUE, get, proximal

PARAMS: dict[str, dict[str, Any]] = {
    "l1_penalty": {"lambda_": 0.7},
    "l2_penalty": {"lambda_": 0.7},
    "elastic_net": {"alpha": 0.9, "l1_ratio": 0.3},
    "group_lasso": {"lambda_": 0.7, "groups": [[0, 2], [1]], "sqrt_size": True},
}
weights = st.lists(st.floats(-3, 3), min_size=3, max_size=3)
rates = st.floats(0.05, 2.0)


def test_every_penalty_on_weights_has_one() -> None:
    assert set(proximal.STEPS) == {loss.key for loss in CATALOGUE if loss.input_kind in ("parameters", "groups")}


@pytest.mark.parametrize("key", PARAMS)
@given(w=weights, rate=rates, seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_no_other_place_is_better(key: str, w: list[float], rate: float, seed: int) -> None:
    loss, params = get(key), get(key).resolve(PARAMS[key])
    start = torch.tensor(w, dtype=torch.float64)

    def cost(v: torch.Tensor) -> float:
        named = {"w": v}
        return (loss.reduce(loss.fn(w=v, **params), named, params) + (v - start).square().sum() / (2 * rate)).item()

    best = proximal.step(key, start, rate, params)
    source = torch.Generator().manual_seed(seed)
    for size in (1.0, 1e-1, 1e-3, 1e-5):
        for _ in range(8):
            other = best + size * torch.randn(3, generator=source, dtype=torch.float64)
            assert cost(other) >= cost(best) - 1e-13 * (1 + abs(cost(best)))


@pytest.mark.parametrize("key", PARAMS)
def test_a_batch_is_its_rows_and_may_have_a_strength_each(key: str) -> None:
    params = get(key).resolve(PARAMS[key])
    name = "alpha" if "alpha" in params else "lambda_"
    w = torch.tensor([[1.0, -2.0, 0.1], [0.0, 0.0, 0.0], [0.3, 0.2, -3.0]], dtype=torch.float64)
    strengths = torch.tensor([[0.1], [0.5], [2.0]], dtype=torch.float64)
    together = proximal.step(key, w, 0.5, {**params, name: strengths})
    alone = [proximal.step(key, w[i], 0.5, {**params, name: strengths[i].item()}) for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-15, atol=1e-15)
    assert (together[1] == 0).all()


def test_kinks_make_exact_zeros_and_squares_do_not() -> None:
    small = torch.tensor([0.2, -0.3], dtype=torch.float64)
    for key in ("l1_penalty", "group_lasso", "elastic_net"):
        strength = {"alpha": 2.0} if key == "elastic_net" else {"lambda_": 2.0}
        assert (proximal.step(key, small, 1.0, get(key).resolve(strength)) == 0).all()
    assert (proximal.step("l2_penalty", small, 1.0, {"lambda_": 2.0}) != 0).all()
