"""Every "yes" of a loss's properties goes through a search that can refute it; every "no" is shown by its example."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from loss_samples import CLASSES, closed_form, draw, settings
from torch import Tensor

from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.entry import SEARCHED, TRIALS, Properties, Property

Inputs = dict[str, Tensor]
Params = dict[str, Any]
NAMES = list(Properties.__dataclass_fields__)
# Vectors much shorter than eps are where the cosine's slope is steepest.
SPREAD = {"pairs": 12.0, "classes": 2.5, "binary": 2.5, "nonnegative": 6.0, "margin": 1.0}


def claims(holds: bool) -> list[Any]:
    return [
        pytest.param(loss, name, id=f"{loss.key}-{name}")
        for loss in CATALOGUE
        for name in NAMES
        if getattr(loss.properties, name).holds is holds
    ]


def sample(loss: Loss, seed: int) -> Inputs:
    return draw(loss, TRIALS, seed, spread=SPREAD.get(loss.input_kind, 4.0))


def neighbours(loss: Loss, a: Inputs, seed: int) -> Inputs:
    """Another prediction for each row of ``a``: far away in even rows, near in odd ones; labels as in ``a``."""
    far, near = sample(loss, seed), draw(loss, TRIALS, seed + 1, spread=2.0)
    moved = dict(a)
    for name in loss.differentiable:
        step = near[name] * 1e-2
        odd = (torch.arange(TRIALS) % 2 == 1).reshape(-1, *[1] * (a[name].ndim - 1))
        moved[name] = torch.where(odd, a[name] + step, far[name])
    return moved | {name: value.abs() for name, value in moved.items() if loss.input_kind == "nonnegative"}


def per_row(tensors: dict[str, Tensor]) -> Tensor:
    """Euclidean norm of all that belongs to a row."""
    return torch.cat([tensor.reshape(len(tensor), -1) for tensor in tensors.values()], -1).norm(dim=-1)


def gradient_norm(loss: Loss, inputs: Inputs, params: Params) -> Tensor:
    return per_row(closed_form(loss, inputs, params))


def convex(loss: Loss, a: Inputs, b: Inputs, params: Params) -> Tensor:
    """How far the value in the middle exceeds the mean of the two."""
    name = loss.differentiable[0]
    b = a | {name: b[name]}
    middle = a | {name: (a[name] + b[name]) / 2}
    mean = (loss.fn(**a, **params) + loss.fn(**b, **params)) / 2
    return loss.fn(**middle, **params) - mean - 1e-12 * mean.abs()


def mirrored(loss: Loss, inputs: Inputs, seed: int = 0) -> Inputs:
    """The inputs after the exchange that a symmetric loss of this kind does not notice."""
    if loss.input_kind == "pairs":
        return {"x1": inputs["x2"], "x2": inputs["x1"]}
    pred, target = inputs["pred"], inputs["target"]
    if loss.input_kind == "classes":
        order = torch.randperm(pred.shape[1], generator=torch.Generator().manual_seed(seed))
        return inputs | {"pred": pred[:, order], "target": order.argsort()[target]}
    new = {
        "regression": (2 * target - pred, target),
        "nonnegative": (2 * target - pred, target),
        "binary": (-pred, 1 - target),
        "margin": (-pred, -target),
    }[loss.input_kind]
    return {"pred": new[0], "target": new[1]}


def scaled(loss: Loss, inputs: Inputs, factor: float) -> Inputs:
    names = ("pred", "target") if loss.input_kind in ("regression", "nonnegative") else loss.differentiable[:1]
    return inputs | {name: inputs[name] * factor for name in names}


def difference(loss: Loss, a: Inputs, b: Inputs, params: Params) -> Tensor:
    """Relative difference of the values, for values that should be equal."""
    first, second = loss.fn(**a, **params), loss.fn(**b, **params)
    return (first - second).abs() / (1 + first.abs())


def values_for_all_labels(loss: Loss, pred: Tensor, params: Params) -> Tensor:
    """(N, labels): the value of each row for each label it could have."""
    others: Inputs = {"weight": torch.ones(pred.shape[-1]).to(pred)} if "weight" in loss.inputs else {}
    if loss.input_kind == "classes":
        labels = [torch.full((len(pred),), k) for k in range(pred.shape[1])]
    else:
        labels = [torch.full_like(pred, k) for k in ((0, 1) if loss.input_kind == "binary" else (-1, 1))]
    return torch.stack([loss.fn(pred=pred, target=label, **others, **params) for label in labels], -1)


def chances(loss: Loss, pred: Tensor) -> Tensor:
    """(N, labels): the probabilities that the scores stand for."""
    return pred.softmax(-1) if loss.input_kind == "classes" else torch.stack([(-pred).sigmoid(), pred.sigmoid()], -1)


def expected_gain(loss: Loss, truth: Tensor, other: Tensor, params: Params) -> Tensor:
    """How much a forecast saves over telling the truth; above 0 refutes a proper scoring rule."""
    p = chances(loss, truth)
    honest = (p * values_for_all_labels(loss, truth, params)).sum(-1)
    return honest - (p * values_for_all_labels(loss, other, params)).sum(-1)


def wrong_decisions(loss: Loss, params: Params) -> Tensor:
    """For random class probabilities, 1 where the minimiser on a grid does not choose the likeliest class."""
    if loss.input_kind == "classes":
        steps = torch.cartesian_prod(*[torch.arange(1, 100, dtype=torch.float64)] * CLASSES)
        grid = steps[steps.sum(-1) == 100].log()
        decision = grid.argmax(-1)
    else:
        grid = torch.linspace(-6, 6, 961, dtype=torch.float64)
        decision = (grid > 0).long()
    labels = CLASSES if loss.input_kind == "classes" else 2
    share = -torch.rand(TRIALS, labels, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log()
    p = share / share.sum(-1, keepdim=True)
    top = p.topk(2).values
    clear = top[:, 0] - top[:, 1] > 0.1
    best = (p @ values_for_all_labels(loss, grid, params).T).argmin(-1)
    return ((decision[best] != p.argmax(-1)) & clear).to(p)


def search(loss: Loss, name: str, claim: Property, params: Params, seed: int) -> Tensor:
    """One number for each trial; above 0 refutes the claim."""
    a = sample(loss, seed)
    b = neighbours(loss, a, seed + 1)
    # Where a claim is limited to a part of the domain: mirror images that are not negative, vectors longer than eps.
    inside = a | {"pred": a["pred"].minimum(2 * a["target"])} if loss.input_kind == "nonnegative" else a
    long = draw(loss, TRIALS, seed, spread=1.0) if loss.input_kind == "pairs" else a
    bound = claim.constant(params) if claim.constant else 10.0
    label_noise = loss.input_kind in ("binary", "margin", "classes")
    searches: dict[str, Callable[[], Tensor]] = {
        "convex_in_pred": lambda: convex(loss, a, b, params) - 1e-9,
        "convex_in_logits": lambda: convex(loss, a, b, params) - 1e-9,
        "bounded": lambda: loss.fn(**a, **params) - bound * (1 + 1e-9),
        "lipschitz": lambda: gradient_norm(loss, a, params) - bound * (1 + 1e-9),
        "smooth": lambda: unevenness(loss, a, b, params, bound),
        "robust": lambda: label_sum_spread(loss, a, params) if label_noise else gradient_norm(loss, a, params) - bound,
        "symmetric": lambda: difference(loss, inside, mirrored(loss, inside, seed), params) - 1e-9,
        "proper": lambda: expected_gain(loss, a["pred"], b["pred"], params) - 1e-9,
        "calibrated": lambda: wrong_decisions(loss, params),
        "scale_invariant": lambda: difference(loss, long, scaled(loss, long, 3.7), params) - 1e-9,
    }
    return searches[name]()


def unevenness(loss: Loss, a: Inputs, b: Inputs, params: Params, bound: float) -> Tensor:
    """How far the gradient changes more than ``bound`` times the move."""
    first, second = closed_form(loss, a, params), closed_form(loss, b, params)
    change = per_row({name: first[name] - second[name] for name in first})
    move = per_row({name: a[name] - b[name] for name in first})
    return change - bound * move * (1 + 1e-9) - 1e-9 * (1 + per_row(first))


def label_sum_spread(loss: Loss, inputs: Inputs, params: Params) -> Tensor:
    total = values_for_all_labels(loss, inputs["pred"], params).sum(-1)
    return (total - total[0]).abs() - 1e-9


def tensors(point: Any) -> Inputs:
    return {
        name: torch.tensor(value, dtype=torch.int64 if isinstance(value[0], int) else torch.float64)
        for name, value in point.items()
    }


def shows(loss: Loss, name: str, points: list[Inputs], params: Params) -> bool:
    """Whether the example refutes the property, by a margin that rounding cannot explain."""
    a, b = points[0], points[-1]
    label_noise = loss.input_kind in ("binary", "margin", "classes")
    checks: dict[str, Callable[[], Tensor]] = {
        "convex_in_pred": lambda: convex(loss, a, b, params) > 1e-3,
        "convex_in_logits": lambda: convex(loss, a, b, params) > 1e-3,
        "bounded": lambda: loss.fn(**a, **params) > 1e5,
        "lipschitz": lambda: gradient_norm(loss, a, params) > 1e5,
        "smooth": lambda: unevenness(loss, a, b, params, 1e6) > 0,
        "robust": lambda: (
            values_for_all_labels(loss, torch.cat([a["pred"], b["pred"]]), params).sum(-1).diff().abs() > 1e-3
            if label_noise
            else gradient_norm(loss, a, params) > 1e3
        ),
        "symmetric": lambda: difference(loss, a, mirrored(loss, a), params) > 1e-3,
        "proper": lambda: expected_gain(loss, a["pred"], b["pred"], params) > 1e-3,
        "scale_invariant": lambda: difference(loss, a, scaled(loss, a, 2.0), params) > 1e-3,
    }
    return bool(checks[name]().all())


@pytest.mark.parametrize(("loss", "name"), claims(True))
def test_no_search_refutes_a_yes(loss: Loss, name: str) -> None:
    claim: Property = getattr(loss.properties, name)
    assert claim.evidence.endswith(SEARCHED) and claim.domain and claim.counter_example is None
    assert (claim.constant is not None) == (name in ("bounded", "lipschitz", "smooth") or name == "robust")
    for seed, params in enumerate(settings(loss)):
        params = loss.resolve(params | dict(claim.fixed))
        excess = search(loss, name, claim, params, 10 * seed)
        assert excess.shape == (TRIALS,) and excess.max() <= 0, (params, float(excess.max()))


@pytest.mark.parametrize(("loss", "name"), claims(False))
def test_the_counter_example_shows_a_no(loss: Loss, name: str) -> None:
    claim: Property = getattr(loss.properties, name)
    assert claim.counter_example is not None and claim.domain
    points, params = [tensors(point) for point in claim.counter_example.points], dict(claim.counter_example.params)
    for point in points:
        loss.check(point, loss.resolve(params))
    assert shows(loss, name, points, loss.resolve(params))


@pytest.mark.parametrize(("loss", "name"), claims(False))
def test_the_search_would_have_found_a_false_yes(loss: Loss, name: str) -> None:
    claim: Property = getattr(loss.properties, name)
    assert claim.counter_example is not None
    assert search(loss, name, claim, loss.resolve(dict(claim.counter_example.params)), 0).max() > 0


def test_every_loss_says_something_about_every_property_that_applies() -> None:
    for loss in CATALOGUE:
        applies = {name for name in NAMES if getattr(loss.properties, name).holds is not None}
        assert {"bounded", "lipschitz", "smooth", "symmetric", "scale_invariant"} <= applies
        assert len({"convex_in_pred", "convex_in_logits"} & applies) == 1
