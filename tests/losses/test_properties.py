"""Every "yes" of a loss's properties goes through a search that can refute it; every "no" is shown by its example.

A loss of independent rows is searched with all trials in one call. Where rows feel one another, or ``fn`` gives the
scalar, a trial is a small batch: few of them here, as many as the evidence says under the marker ``slow``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from loss_samples import draw, gradient, name_of, sample_of, settings, tensors_of
from sampling import CLASSES, Inputs
from torch import Tensor

from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.entry import SEARCHED, TRIALS, Properties, Property

Params = dict[str, Any]
# Needing pairs is no statement about values: it has a test of its own.
NAMES = [name for name in Properties.__dataclass_fields__ if name != "needs_pairs"]
FEW_BATCHES = 40
BATCH = 5
PARTS = 8
CLASS_KINDS = ("classes", "probabilities", "log_probabilities", "distributions", "tokens")
LABEL_KINDS = (*CLASS_KINDS, "binary", "binary_probabilities", "margin", "multilabel")
BATCH_KINDS = ("regression_batch", "nonnegative_batch")
ABOVE_ZERO = ("nonnegative", "nonnegative_batch", "positive", "counts")
HAVE_ALL = ("regression", "nonnegative", "binary", "margin", "classes", "pairs")


def claims(holds: bool) -> list[Any]:
    return [
        pytest.param(loss, name, id=f"{name_of(loss)}-{name}")
        for loss in CATALOGUE
        for name in NAMES
        if getattr(loss.properties, name).holds is holds
    ]


# --- one number for each trial


def values(loss: Loss, inputs: Inputs, params: Params) -> Tensor:
    unreduced = loss.fn(**inputs, **params).detach()
    return unreduced.flatten() if sample_of(loss).rowwise else loss.reduce(unreduced, inputs, params).reshape(1)


def moved(loss: Loss) -> list[str]:
    """The inputs that are moved about: where rows are independent, only those that belong to a row."""
    sample = sample_of(loss)
    return [name for name in loss.differentiable if not sample.rowwise or sample.axis.get(name, 0) == 0]


def norms(loss: Loss, tensors: dict[str, Tensor]) -> Tensor:
    """Euclidean norm of all that belongs to a trial."""
    trials = len(next(iter(tensors.values()))) if sample_of(loss).rowwise else 1
    return torch.cat([tensor.reshape(trials, -1) for tensor in tensors.values()], -1).norm(dim=-1)


def slopes(loss: Loss, inputs: Inputs, params: Params) -> dict[str, Tensor]:
    """The gradient of each trial's value."""
    every = gradient(loss, inputs, params)
    found = {name: every[name] for name in moved(loss)}
    if sample_of(loss).rowwise or loss.denominator is None:
        return found
    denominator = loss.denominator(loss.fn(**inputs, **params), inputs, params)
    return {name: slope / denominator for name, slope in found.items()}


def slope_norms(loss: Loss, inputs: Inputs, params: Params) -> Tensor:
    return norms(loss, slopes(loss, inputs, params))


# --- trials


def trials(loss: Loss, seed: int, batches: int, spread: float | None = None) -> Iterator[tuple[Inputs, Inputs]]:
    """Inputs, and other predictions for the same labels: half of them far away, half near."""
    spread = sample_of(loss).spread if spread is None else spread
    rowwise = sample_of(loss).rowwise
    # What all rows share, such as the centres of classes, is drawn anew for each part of them.
    parts = PARTS if None in sample_of(loss).axis.values() else 1
    rows = TRIALS // parts if rowwise else max(BATCH, sample_of(loss).fewest)
    for k in range(parts if rowwise else batches):
        start = 100_000 * seed + 2 * k
        a, far = draw(loss, rows, start, spread=spread), draw(loss, rows, start + 1, spread=spread)
        generator = torch.Generator().manual_seed(start + 50_000)
        b = dict(a)
        for name in moved(loss):
            b[name] = torch.lerp(a[name], far[name], moves(loss, a[name], k, generator))
        yield a, b


def moves(loss: Loss, tensor: Tensor, batch: int, generator: torch.Generator) -> Tensor:
    """How far towards another draw: all the way in even trials, a small part in odd ones.

    A part of the way stays inside every domain that we have: all of them are convex.
    """
    trials = tensor.shape[0] if sample_of(loss).rowwise else 1
    near = 10 ** -(0.5 + 4 * torch.rand(trials, generator=generator, dtype=torch.float64))
    odd = (torch.arange(trials) + batch) % 2 == 1
    part = near.where(odd, torch.ones_like(near))
    return part.reshape(-1, *[1] * (tensor.ndim - 1)) if tensor.ndim else part[0]


def few(loss: Loss) -> int:
    return max(4, FEW_BATCHES // len(settings(loss)))


def enough(loss: Loss) -> int:
    """So many batches for each setting that all together are those that the evidence names."""
    return -(-TRIALS // len(settings(loss)))


# --- searches: above 0 refutes the claim


def convex(loss: Loss, a: Inputs, b: Inputs, params: Params) -> Tensor:
    """How far the value in the middle exceeds the mean of the two."""
    name = loss.differentiable[0]
    b = a | {name: b[name]}
    middle = a | {name: (a[name] + b[name]) / 2}
    first, second = values(loss, a, params), values(loss, b, params)
    size = first.abs() + second.abs()
    return values(loss, middle, params) - (first + second) / 2 - 1e-12 * size


def unevenness(loss: Loss, a: Inputs, b: Inputs, params: Params, bound: float) -> Tensor:
    """How far the gradient changes more than ``bound`` times the move."""
    first, second = slopes(loss, a, params), slopes(loss, b, params)
    change = norms(loss, {name: first[name] - second[name] for name in first})
    move = norms(loss, {name: a[name] - b[name] for name in first})
    return change - bound * move * (1 + 1e-9) - 1e-9 * (1 + norms(loss, first))


def mirrored(loss: Loss, inputs: Inputs, seed: int = 0) -> Inputs:
    """The inputs after the exchange that a symmetric loss of this kind does not notice."""
    mirror = sample_of(loss).mirror
    assert mirror is not None, f"{loss.key} claims something of symmetry: its sample has to say which exchange"
    return mirror(inputs, seed)


def asymmetry(loss: Loss, inputs: Inputs, params: Params, seed: int = 0) -> Tensor:
    """How far the values are from those of the mirror image."""
    first, second = values(loss, inputs, params), values(loss, mirrored(loss, inputs, seed), params)
    if sample_of(loss).moves_rows:
        first, second = first.sort().values, second.sort().values
    return relative(first, second)


def scaled(loss: Loss, inputs: Inputs, factor: float) -> Inputs:
    names = sample_of(loss).scales or loss.differentiable[:1]
    return inputs | {name: inputs[name] * factor for name in names}


def difference(loss: Loss, a: Inputs, b: Inputs, params: Params) -> Tensor:
    """Relative difference of the values, for values that should be equal."""
    return relative(values(loss, a, params), values(loss, b, params))


def relative(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs() / (1 + first.abs())


def values_for_all_labels(loss: Loss, inputs: Inputs, params: Params) -> Tensor:
    """(N, labels): the value of each row, or of each label of a row, for each label it could have."""
    targets = every_target(loss, inputs["pred"])
    return torch.stack([loss.fn(**inputs | {"target": target}, **params) for target in targets], -1).flatten(0, -2)


def every_target(loss: Loss, pred: Tensor) -> list[Tensor]:
    if loss.input_kind == "distributions":
        return [corner.expand_as(pred) for corner in torch.eye(pred.shape[-1], dtype=pred.dtype)]
    if loss.input_kind in CLASS_KINDS:
        return [torch.full(pred.shape[:-1], k) for k in range(pred.shape[-1])]
    return [torch.full_like(pred, k) for k in ((-1, 1) if loss.input_kind == "margin" else (0, 1))]


def one_per_trial(loss: Loss, excess: Tensor) -> Tensor:
    """The strongest evidence of a batch, where a trial is one and not a row."""
    return excess if sample_of(loss).rowwise else excess.max().reshape(1)


def chances(loss: Loss, pred: Tensor) -> Tensor:
    """(N, labels): the probabilities that the scores stand for."""
    own = sample_of(loss).forecast
    if own:
        return own(pred)
    return {
        "classes": lambda: pred.softmax(-1),
        "tokens": lambda: pred.softmax(-1).flatten(0, -2),
        "probabilities": lambda: pred,
        "distributions": lambda: pred,
        "log_probabilities": lambda: pred.exp(),
        "binary_probabilities": lambda: torch.stack([1 - pred, pred], -1),
        "binary": lambda: torch.stack([(-pred).sigmoid(), pred.sigmoid()], -1),
        "margin": lambda: torch.stack([(-pred).sigmoid(), pred.sigmoid()], -1),
        "multilabel": lambda: torch.stack([(-pred).sigmoid(), pred.sigmoid()], -1).flatten(0, -2),
    }[loss.input_kind]()


def expected_gain(loss: Loss, a: Inputs, b: Inputs, params: Params) -> Tensor:
    """How much a forecast saves over telling the truth; above 0 refutes a proper scoring rule."""
    p = chances(loss, a["pred"])
    honest, other = values_for_all_labels(loss, a, params), values_for_all_labels(loss, b, params)
    return (p * (honest - other)).sum(-1)


def label_sum_spread(loss: Loss, inputs: Inputs, params: Params) -> Tensor:
    total = values_for_all_labels(loss, inputs, params).sum(-1)
    return (total - total[0]).abs() - 1e-9


def shared(inputs: Inputs) -> Inputs:
    """One prediction for all rows, above all labels but the highest."""
    second, highest = inputs["target"].sort().values[-2:]
    return inputs | {"pred": torch.lerp(second, highest, 0.1).expand_as(inputs["pred"])}


def pull_of_one(loss: Loss, inputs: Inputs, params: Params) -> Tensor:
    """How hard the batch pulls up a prediction that all rows share and that all labels but one are below."""
    assert ((inputs["pred"] > inputs["target"]).sum() + 1 == len(inputs["pred"])).all()
    return -slopes(loss, inputs, params)["pred"].sum().reshape(1)


def grid(loss: Loss) -> Tensor:
    """Predictions among which to look for the best one."""
    own = sample_of(loss).grid
    if own:
        return own()
    if loss.input_kind in CLASS_KINDS:
        steps = torch.cartesian_prod(*[torch.arange(1, 100, dtype=torch.float64)] * CLASSES)
        shares = steps[steps.sum(-1) == 100] / 100
        return shares if loss.input_kind in ("probabilities", "distributions") else shares.log()
    if loss.input_kind == "binary_probabilities":
        return torch.linspace(0.001, 0.999, 961, dtype=torch.float64)
    return torch.linspace(-6, 6, 961, dtype=torch.float64)


def wrong_decisions(loss: Loss, params: Params, p: Tensor) -> Tensor:
    """For class probabilities (T, labels), 1 where the minimiser on a grid does not choose the likeliest class."""
    predictions = grid(loss)
    others = {name: tensor for name, tensor in draw(loss, BATCH).items() if name not in ("pred", "target")}
    decision = chances(loss, predictions).argmax(-1)
    best = (p @ values_for_all_labels(loss, {"pred": predictions, "target": None} | others, params).T).argmin(-1)
    return (decision[best] != p.argmax(-1)).to(p)


def clear_chances(loss: Loss) -> Tensor:
    """Random class probabilities whose likeliest class leads by more than a tenth."""
    labels = CLASSES if loss.input_kind in CLASS_KINDS else 2
    share = -torch.rand(TRIALS, labels, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log()
    p = share / share.sum(-1, keepdim=True)
    top = p.topk(2).values
    return p[top[:, 0] - top[:, 1] > 0.1]


def search(loss: Loss, name: str, claim: Property, params: Params, seed: int, batches: int) -> float:
    """The strongest evidence against the claim; above 0 refutes it."""
    if name == "calibrated":
        return float(wrong_decisions(loss, params, clear_chances(loss)).max())
    # Scale invariance is claimed of vectors that are longer than eps.
    spread = 1.0 if name == "scale_invariant" and loss.input_kind == "pairs" else None
    found = [one_search(loss, name, claim, params, a, b, seed) for a, b in trials(loss, seed, batches, spread)]
    together = torch.cat(found)
    assert together.shape == (TRIALS if sample_of(loss).rowwise else batches,)
    assert not together.isnan().any()
    return float(together.max())


def one_search(loss: Loss, name: str, claim: Property, params: Params, a: Inputs, b: Inputs, seed: int) -> Tensor:
    bound = claim.constant(params) if claim.constant else 10.0
    # Where the label is more than half of the prediction, the mirror image is above 0 too.
    inside = a | {"pred": a["pred"].minimum(1.9 * a["target"])} if loss.input_kind in ABOVE_ZERO else a
    searches: dict[str, Callable[[], Tensor]] = {
        "convex_in_pred": lambda: convex(loss, a, b, params) - 1e-9,
        "convex_in_logits": lambda: convex(loss, a, b, params) - 1e-9,
        "bounded": lambda: values(loss, a, params) - bound * (1 + 1e-9),
        "lipschitz": lambda: slope_norms(loss, a, params) - bound * (1 + 1e-9),
        "smooth": lambda: unevenness(loss, a, b, params, bound),
        "robust": lambda: (
            one_per_trial(loss, label_sum_spread(loss, a, params))
            if loss.input_kind in LABEL_KINDS
            else pull_of_one(loss, shared(a), params)
            if loss.input_kind in BATCH_KINDS
            else slope_norms(loss, a, params) - bound * (1 + 1e-9)
        ),
        "symmetric": lambda: asymmetry(loss, inside, params, seed) - 1e-9,
        "proper": lambda: one_per_trial(loss, expected_gain(loss, a, b, params)) - 1e-9,
        "scale_invariant": lambda: difference(loss, a, scaled(loss, a, 3.7), params) - 1e-9,
    }
    return searches[name]()


def assert_not_refuted(loss: Loss, name: str, batches: int) -> None:
    claim: Property = getattr(loss.properties, name)
    assert claim.evidence.endswith(SEARCHED) and claim.domain and claim.counter_example is None
    needs_constant = name in ("bounded", "lipschitz", "smooth") or (
        name == "robust" and loss.input_kind not in (*LABEL_KINDS, *BATCH_KINDS)
    )
    assert (claim.constant is not None) == needs_constant
    for seed, params in enumerate(settings(loss)):
        params = loss.resolve(params | dict(claim.fixed))
        excess = search(loss, name, claim, params, seed, batches)
        assert excess <= 0, (params, excess)


@pytest.mark.parametrize(("loss", "name"), claims(True))
def test_no_search_refutes_a_yes(loss: Loss, name: str) -> None:
    assert_not_refuted(loss, name, few(loss))


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "name"), claims(True))
def test_no_long_search_refutes_a_yes(loss: Loss, name: str) -> None:
    if not sample_of(loss).rowwise:
        assert_not_refuted(loss, name, enough(loss))


# --- counter-examples


def tensors(point: Any) -> Inputs:
    whole = {name: not torch.tensor(value).is_floating_point() for name, value in point.items()}
    return {
        name: torch.tensor(value, dtype=torch.int64 if whole[name] else torch.float64) for name, value in point.items()
    }


def shows(loss: Loss, name: str, points: list[Inputs], params: Params) -> bool:
    """Whether the example refutes the property, by a margin that rounding cannot explain."""
    a, b = points[0], points[-1]
    checks: dict[str, Callable[[], Tensor]] = {
        "convex_in_pred": lambda: convex(loss, a, b, params) > 1e-3,
        "convex_in_logits": lambda: convex(loss, a, b, params) > 1e-3,
        "bounded": lambda: values(loss, a, params) > 300,
        "lipschitz": lambda: slope_norms(loss, a, params) > 1e5,
        "smooth": lambda: unevenness(loss, a, b, params, 1e6) > 0,
        "robust": lambda: (
            (values_for_all_labels(loss, a, params) - values_for_all_labels(loss, b, params)).sum(-1).abs() > 1e-3
            if loss.input_kind in LABEL_KINDS
            else pull_of_one(loss, a, params) > 1e-3
            if loss.input_kind in BATCH_KINDS
            else slope_norms(loss, a, params) > 1e3
        ),
        "symmetric": lambda: asymmetry(loss, a, params) > 1e-3,
        "proper": lambda: expected_gain(loss, a, b, params) > 1e-3,
        "calibrated": lambda: wrong_decisions(loss, params, a["chances"].reshape(1, -1)) > 0,
        "scale_invariant": lambda: difference(loss, a, scaled(loss, a, 2.0), params) > 1e-3,
    }
    return bool(checks[name]().all())


@pytest.mark.parametrize(("loss", "name"), claims(False))
def test_the_counter_example_shows_a_no(loss: Loss, name: str) -> None:
    claim: Property = getattr(loss.properties, name)
    assert claim.counter_example is not None and claim.domain
    points, params = [tensors(point) for point in claim.counter_example.points], dict(claim.counter_example.params)
    for point in points if name != "calibrated" else []:
        loss.check(point, loss.resolve(params))
    if name == "symmetric":
        assert len(points) == 2, "the second point is the first one's mirror image"
        torch.testing.assert_close(points[1], {k: v for k, v in mirrored(loss, points[0]).items() if k in points[1]})
    assert shows(loss, name, points, loss.resolve(params))


@pytest.mark.parametrize(("loss", "name"), claims(False))
def test_the_search_would_have_found_a_false_yes(loss: Loss, name: str) -> None:
    claim: Property = getattr(loss.properties, name)
    assert claim.counter_example is not None
    if name == "smooth" and not sample_of(loss).rowwise:
        return  # a few dozen batches hit no kink by chance
    params = loss.resolve(dict(claim.counter_example.params))
    assert search(loss, name, claim, params, 0, FEW_BATCHES) > 0


@pytest.mark.parametrize("loss", CATALOGUE, ids=name_of)
def test_a_loss_says_something_about_every_property_that_applies(loss: Loss) -> None:
    applies = {name for name in NAMES if getattr(loss.properties, name).holds is not None}
    if loss.input_kind in HAVE_ALL:
        assert applies >= {"bounded", "lipschitz", "smooth", "symmetric", "scale_invariant"}
        assert len({"convex_in_pred", "convex_in_logits"} & applies) == 1
    elif loss.returns == "loss" and not loss.models:
        assert "bounded" in applies and len({"convex_in_pred", "convex_in_logits"} & applies) == 1
    if loss.models:
        assert not tensors_of(draw(loss, BATCH)).keys() & set(loss.models)
