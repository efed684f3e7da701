"""Where values are equal, zero or at a bend, and at the ends of the domain: all that gives a slope gives the same."""

import math
from typing import Any

import pytest
import torch
from loss_samples import EVERY_SETTING, autograd, closed_form, coarse, draw, name_of, sample_of
from sampling import Inputs, Random
from test_catalogue import slope_by_logits
from torch import Tensor
from torch.nn.functional import normalize

import lossviz
from lossviz.losses import CATALOGUE, Loss, _embeddings

SEEDS = range(8)
ROWS = 6


def wanted(loss: Loss, inputs: Inputs, params: dict[str, Any]) -> Tensor:
    """What a derivation leads to."""
    if loss.returns == "gradients":
        return loss.fn(**inputs, **params)
    if loss.differentiable:
        return autograd(loss, inputs, params)[loss.differentiable[0]]
    return slope_by_logits(loss, inputs, params)


@EVERY_SETTING
def test_all_agree_on_coarse_numbers(loss: Loss, params: dict[str, Any]) -> None:
    for seed in SEEDS:
        inputs = coarse(loss, max(ROWS, sample_of(loss).fewest), seed)
        loss.check(inputs, params)
        values = loss.fn(**inputs, **params).detach()
        line = loss.formula[-1].value(**inputs, **params).detach()
        torch.testing.assert_close(line, values, rtol=1e-9, atol=1e-9)
        if loss.grad:
            slopes, expected = closed_form(loss, inputs, params), autograd(loss, inputs, params)
            torch.testing.assert_close(slopes, expected, rtol=1e-9, atol=1e-9)
        slope, want = loss.derivation[-1].value(**inputs, **params).detach(), wanted(loss, inputs, params)
        torch.testing.assert_close(slope, want, rtol=1e-9, atol=1e-9)


@EVERY_SETTING
def test_the_derivation_ends_at_the_gradient_at_the_ends_of_the_domain(loss: Loss, params: dict[str, Any]) -> None:
    for inputs in sample_of(loss).extremes(torch.float64):
        slope, want = loss.derivation[-1].value(**inputs, **params).detach(), wanted(loss, inputs, params)
        torch.testing.assert_close(slope, want, rtol=1e-4, atol=1e-6)


LENGTHS = (1e-13, 0.5, 1.0, 1.5, 1e3, 1e6)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_short_vectors_have_the_slopes_of_what_is_computed(dimensions: int) -> None:
    """On both sides of the length from which on a unit vector is one, however many dimensions share it."""
    source = Random(len(LENGTHS), seed=1)
    lengths = _embeddings.SHORTEST * torch.tensor(LENGTHS, dtype=torch.float64)[:, None]
    x = (normalize(source.reals(len(LENGTHS), dimensions)) * lengths).requires_grad_()
    slope = source.reals(len(LENGTHS), dimensions)
    (want,) = torch.autograd.grad((_embeddings.unit(x) * slope).sum(), x)
    found = _embeddings.through_unit(x.detach(), slope)
    # Row by row: the shorter, the steeper. In one dimension a unit vector does not turn, and rounding is all there is.
    for row, wanted_row, length in zip(found, want, lengths, strict=True):
        torch.testing.assert_close(row * length, wanted_row * length, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("eps", [1e-8, 0.5])
def test_cosine_similarity_of_vectors_about_as_long_as_eps(eps: float) -> None:
    loss = lossviz.get("cosine_similarity")
    source = Random(len(LENGTHS), seed=2)
    x1, x2 = (normalize(source.reals(len(LENGTHS), 3)) for _ in range(2))
    lengths = eps * torch.tensor(LENGTHS, dtype=torch.float64)[:, None]
    for inputs in ({"x1": x1 * lengths, "x2": x2}, {"x1": x1, "x2": x2 * lengths}):
        want = autograd(loss, inputs, {"eps": eps})
        line = loss.derivation[-1].value(**inputs, eps=eps)
        found = closed_form(loss, inputs, {"eps": eps})
        for slope, wanted_slope in ((line, want["x1"]), (found["x1"], want["x1"]), (found["x2"], want["x2"])):
            torch.testing.assert_close(slope * lengths, wanted_slope * lengths, rtol=1e-9, atol=1e-12)


def test_tasks_that_are_alike_pull_none_of_their_weights() -> None:
    loss = lossviz.get("gradnorm")
    alike = torch.ones(3, dtype=torch.float64)
    inputs, params = dict.fromkeys(loss.inputs, alike), loss.resolve()
    for found in (
        autograd(loss, inputs, params)["weights"],
        closed_form(loss, inputs, params)["weights"],
        loss.derivation[-1].value(**inputs, **params),
    ):
        assert found.tolist() == [0, 0, 0]


@pytest.mark.parametrize("distance", [1e-4, 1e-3, 4e-3, 9e-3, 1.1e-2, 3e-2])
def test_superloss_solves_its_equation_where_the_weight_leaves_its_ceiling(distance: float) -> None:
    """There the solution has an infinite slope, and the loss hardly feels an error of it."""
    loss = lossviz.get("superloss")
    w = distance - 1
    losses = torch.tensor([1 + 2 * w * math.exp(w)], dtype=torch.float64)
    assert loss.outputs is not None
    found = -loss.outputs(losses=losses, tau=1.0, lambda_=1.0)["sigma"].log()
    assert float(found) == pytest.approx(w, abs=1e-11 / distance)


@pytest.mark.parametrize("key", ["ranknet", "lambdarank"])
def test_lists_without_a_relevant_item_cost_nothing(key: str) -> None:
    loss = lossviz.get(key)
    scores = Random(2, seed=3).reals(2, 4)
    inputs, params = {"scores": scores, "relevance": torch.zeros_like(scores)}, loss.resolve()
    assert not loss.fn(**inputs, **params).any()
    assert not loss.formula[-1].value(**inputs, **params).any()
    for slope in (autograd(loss, inputs, params), closed_form(loss, inputs, params)):
        assert not slope["scores"].any()
    assert not loss.derivation[-1].value(**inputs, **params).any()


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_size_of_gradients_does_not_change_how_they_are_combined(size: float) -> None:
    """Their products and squares would leave the range of numbers long before they do."""
    loss = lossviz.get("pcgrad")
    grads = Random(3, seed=4).reals(3, 4)
    for call in (loss.fn, loss.formula[-1].value):
        torch.testing.assert_close(call(grads=grads * size) / size, call(grads=grads), rtol=1e-9, atol=1e-12)


NUMBER_AND_LABEL = {"regression", "nonnegative", "positive", "regression_batch", "nonnegative_batch"}
EXACT = [loss for loss in CATALOGUE if loss.input_kind in NUMBER_AND_LABEL]


@pytest.mark.parametrize("loss", EXACT, ids=name_of)
def test_predictions_that_are_all_right_have_finite_slopes_that_agree(loss: Loss) -> None:
    inputs, params = draw(loss, ROWS, seed=1), loss.resolve()
    inputs["pred"] = inputs["target"].clone()
    want = autograd(loss, inputs, params)
    assert want["pred"].isfinite().all()
    torch.testing.assert_close(closed_form(loss, inputs, params)["pred"], want["pred"], rtol=1e-9, atol=1e-12)
    line = loss.derivation[-1].value(**inputs, **params)
    torch.testing.assert_close(line, want["pred"], rtol=1e-9, atol=1e-12)


def test_a_network_that_answers_everything_alike_has_no_worst_direction() -> None:
    network = torch.nn.Linear(2, 3, dtype=torch.float64)
    torch.nn.init.zeros_(network.weight)
    inputs = {"model": network, "x": torch.ones(2, 2, dtype=torch.float64), "d0": torch.ones(2, 2, dtype=torch.float64)}
    value, gradients = lossviz.value_and_grad("vat", inputs)
    assert float(value) == pytest.approx(0.0, abs=1e-12)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_a_label_that_a_light_tail_rules_out_costs_without_end_where_the_logarithm_is_the_natural_one() -> None:
    loss = lossviz.get("bi_tempered")
    params = loss.resolve({"t1": 1.0, "t2": 0.8})
    inputs = {"pred": torch.tensor([[0.0, 60.0, 0.0]], dtype=torch.float64), "target": torch.tensor([0])}
    assert loss.fn(**inputs, **params).tolist() == [math.inf]
    assert loss.formula[-1].value(**inputs, **params).tolist() == [math.inf]
    assert closed_form(loss, inputs, params)["pred"].isfinite().all()


def test_asl_keeps_its_digits_where_a_negative_is_surely_taken_for_a_positive() -> None:
    """Up to where ``eps`` takes over: there 1 less the probability has lost half of its digits."""
    loss = lossviz.get("asl")
    params = loss.resolve({"clip": 0.0, "gamma_neg": 0.0, "gamma_pos": 0.0})
    pred = torch.linspace(5, 18, 27, dtype=torch.float64).reshape(1, -1)
    inputs = {"pred": pred, "target": torch.zeros_like(pred)}
    want = torch.nn.functional.softplus(pred, threshold=100)
    for found in (loss.fn(**inputs, **params), loss.formula[-1].value(**inputs, **params)):
        torch.testing.assert_close(found, want, rtol=1e-12, atol=0)


def test_stirling_begins_just_above_one() -> None:
    loss = lossviz.get("poisson_nll")
    params = loss.resolve({"full": "stirling"})
    target = torch.tensor([0.0, 1.0, 1.0001, 1.05, 2.0], dtype=torch.float64)
    inputs = {"pred": torch.linspace(-1, 1, 5, dtype=torch.float64), "target": target}
    want = torch.nn.functional.poisson_nll_loss(*inputs.values(), full=True, reduction="none")
    torch.testing.assert_close(loss.fn(**inputs, **params), want)
    torch.testing.assert_close(loss.formula[-1].value(**inputs, **params), want)
