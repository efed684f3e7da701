"""Losses that arrange embeddings by class: pairs, triplets, all pairs of a batch, centres."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import relu

from lossviz.losses._checks import (
    check_among,
    check_finite,
    check_labels,
    require_floating,
    require_rows,
    require_shape,
)
from lossviz.losses._embeddings import (
    check_labelled,
    cosine_slopes,
    cosines,
    length,
    negatives,
    norm,
    one_hot,
    positives,
    require_centres,
    require_labelled,
    through_cosines,
    through_unit,
    unit,
)
from lossviz.losses.entry import (
    Choice,
    Code,
    Flag,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    no,
    number_of_values,
    pairs,
    yes,
)

_EVERYWHERE = "all real embeddings"
_NOT_ZERO = "embeddings that are not zero"
_SHORT = "all real embeddings; short ones turn fast"
_RENAMED = "the samples permuted, the classes renamed"
_PERMUTED = "the classes permuted"
_FEW = 5
_LABELLED = {"pred": "embeddings, (N, D)", "target": "class index, (N,) int64"}
_LABELLED_PAIRS = pairs("pairs, each labelled similar or dissimilar")
_ALL_PAIRS = pairs("all pairs of a batch, told apart by the labels of their rows")
_UNEVEN: tuple[Mapping[str, Any], Mapping[str, Any]] = (
    {"pred": [[3.0, 0.1], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
    {"pred": [[-1.0, 0.1], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
)
_SHORT_ROW: tuple[Mapping[str, Any], Mapping[str, Any]] = (
    {"pred": [[1e-8, 0.0], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
    {"pred": [[2e-8, 0.0], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
)


def _require_labelled_pairs(*, x1: Tensor, x2: Tensor, target: Tensor) -> None:
    require_floating(x1=x1, x2=x2, target=target)
    require_rows(x1=x1, x2=x2)
    require_shape("target", target, x1.shape[:1], "one for each pair")


def _check_labelled_pairs(inputs: Inputs) -> None:
    _require_labelled_pairs(x1=inputs["x1"], x2=inputs["x2"], target=inputs["target"])
    check_finite(x1=inputs["x1"], x2=inputs["x2"])


def _check_labelled(inputs: Inputs, params: Params) -> None:
    check_labelled(pred=inputs["pred"], target=inputs["target"])


def _direction(difference: Tensor, p: float = 2.0) -> Tensor:
    """The slope of the p-norm, for p of 1 or 2: 0 at 0."""
    if p == 1:
        return difference.sign()
    distance = norm(difference)
    return difference / distance.where(distance > 0, torch.ones_like(distance))


# --- cosine embedding


def cosine_embedding(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float = 0.0) -> Tensor:
    """Similar pairs should point the same way; the cosine of dissimilar ones need only stay below ``margin``.

    Args:
        x1: embeddings, shape ``(N, D)``; their length does not count.
        x2: embeddings, same shape.
        target: shape ``(N,)``; +1 similar, -1 dissimilar.
        margin: cosine below which a dissimilar pair costs nothing; -1 to 1.

    Returns:
        Loss per pair, shape ``(N,)``, from 0 to 2, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: PyTorch, torch.nn.CosineEmbeddingLoss.
    """
    _require_labelled_pairs(x1=x1, x2=x2, target=target)
    cosine = _pair_cosine(x1=x1, x2=x2)
    return (1 - cosine).where(target > 0, relu(cosine - margin))


def _pair_cosine(*, x1: Tensor, x2: Tensor, **_: object) -> Tensor:
    return (unit(x1) * unit(x2)).sum(-1)


def _cosine_embedding_grad(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> dict[str, Tensor]:
    cosine = _pair_cosine(x1=x1, x2=x2)
    slope = torch.where(target > 0, -torch.ones_like(cosine), (cosine > margin).to(cosine.dtype))[:, None]
    return {"x1": through_unit(x1, slope * unit(x2)), "x2": through_unit(x2, slope * unit(x1))}


def _check_cosine_embedding(inputs: Inputs, params: Params) -> None:
    _check_labelled_pairs(inputs)
    check_among("target", inputs["target"], (-1.0, 1.0), "-1 or +1")


def _inner_over_lengths(*, x1: Tensor, x2: Tensor, **_: object) -> Tensor:
    return (x1 * x2).sum(-1) / (length(x1) * length(x2))[:, 0]


def _cosine_embedding_line(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> Tensor:
    cosine = _inner_over_lengths(x1=x1, x2=x2)
    return (1 + target) / 2 * (1 - cosine) + (1 - target) / 2 * (cosine - margin).clamp(min=0)


def _first_direction(*, x1: Tensor, **_: object) -> Tensor:
    return unit(x1)


def _pair_cosine_slope(*, x1: Tensor, x2: Tensor, **_: object) -> Tensor:
    cosine = _inner_over_lengths(x1=x1, x2=x2)[:, None]
    return x2 / (length(x1) * length(x2)) - cosine / length(x1) * _first_direction(x1=x1)


def _cosine_embedding_by_cosine(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> Tensor:
    above = (_inner_over_lengths(x1=x1, x2=x2) > margin).to(x1.dtype)
    return (1 - target) / 2 * above - (1 + target) / 2


def _cosine_embedding_slope(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> Tensor:
    by_cosine = _cosine_embedding_by_cosine(x1=x1, x2=x2, target=target, margin=margin)
    return by_cosine[:, None] * _pair_cosine_slope(x1=x1, x2=x2)


_OPPOSITE = (
    {"x1": [[3.0, 0.1]], "x2": [[-1.0, 0.0]], "target": [1.0]},
    {"x1": [[-1.0, 0.1]], "x2": [[-1.0, 0.0]], "target": [1.0]},
)

COSINE_EMBEDDING = Loss(
    key="cosine_embedding",
    name="Cosine embedding loss",
    name_zh="余弦嵌入损失",
    family="metric",
    tasks=("similarity",),
    input_kind="pairs_labelled",
    inputs={
        "x1": "embeddings, (N, D)",
        "x2": "embeddings, (N, D)",
        "target": "+1 for a similar pair, -1 for a dissimilar one, (N,)",
    },
    differentiable=("x1", "x2"),
    fn=cosine_embedding,
    denominator=number_of_values,
    check=_check_cosine_embedding,
    grad=_cosine_embedding_grad,
    formula=(
        Line(r"c = \frac{x_1 \cdot x_2}{\lVert x_1 \rVert\,\lVert x_2 \rVert}", _inner_over_lengths),
        Line(r"\ell = \tfrac{1 + t}{2} (1 - c) + \tfrac{1 - t}{2} \max(0, c - m)", _cosine_embedding_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial x_1} = \frac{g}{\lVert x_1 \rVert} \left(\hat x_2 - c\,\hat x_1\right), "
    r"\quad g = \begin{cases} -1 & t = 1 \\ [c > m] & t = -1 \end{cases}",
    derivation=(
        Line(
            r"\frac{\partial \lVert x_1 \rVert}{\partial x_1} = \frac{x_1}{\lVert x_1 \rVert} = \hat x_1",
            _first_direction,
        ),
        Line(
            r"\frac{\partial c}{\partial x_1} = \frac{x_2}{\lVert x_1 \rVert\,\lVert x_2 \rVert} - "
            r"\frac{c}{\lVert x_1 \rVert} \frac{\partial \lVert x_1 \rVert}{\partial x_1} = "
            r"\frac{1}{\lVert x_1 \rVert} \left(\hat x_2 - c\,\hat x_1\right)",
            _pair_cosine_slope,
        ),
        Line(
            r"g = \frac{\partial \ell}{\partial c} = -\tfrac{1 + t}{2} + \tfrac{1 - t}{2}\,[c > m]",
            _cosine_embedding_by_cosine,
        ),
        Line(
            r"\frac{\partial \ell}{\partial x_1} = g \cdot \frac{\partial c}{\partial x_1}",
            _cosine_embedding_slope,
        ),
    ),
    params={"margin": Number("Cosine below which a dissimilar pair costs nothing.", 0.0, -1.0, 1.0)},
    properties=Properties(
        convex_in_pred=no("x1, for a fixed x2", *_OPPOSITE),
        bounded=yes(_EVERYWHERE, constant=lambda _: 2.0),
        lipschitz=no(_SHORT, {"x1": [[1e-6, 0.0]], "x2": [[0.0, 1.0]], "target": [1.0]}),
        smooth=no(
            "all real embeddings: short ones turn fast, and a dissimilar pair has a kink at the margin",
            {"x1": [[1.0, -1e-9]], "x2": [[0.0, 1.0]], "target": [-1.0]},
            {"x1": [[1.0, 1e-9]], "x2": [[0.0, 1.0]], "target": [-1.0]},
        ),
        symmetric=yes("the two of a pair exchanged"),
        scale_invariant=yes(_NOT_ZERO),
        needs_pairs=_LABELLED_PAIRS,
    ),
    pitfalls=(
        "The target is -1 or +1: with 0 for dissimilar pairs PyTorch gives them the loss 0 without a word.",
        "At margin 0 dissimilar pairs that are orthogonal cost nothing; only a negative margin drives them on.",
        "Exactly opposite similar pairs have the largest loss and no gradient.",
    ),
    reference="PyTorch documentation, torch.nn.CosineEmbeddingLoss.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.cosine_embedding_loss(x1, x2, target, margin={margin})\n",
        keras="import keras\n\n"
        "cosine = -keras.losses.cosine_similarity(x1, x2)\n"
        "apart = keras.ops.relu(cosine - {margin})\n"
        "loss = keras.ops.mean(keras.ops.where(target > 0, 1 - cosine, apart))\n",
        optax="import jax.numpy as jnp\nimport optax\n\n"
        "cosine = optax.losses.cosine_similarity(x1, x2, epsilon=1e-24)\n"
        "loss = jnp.where(target > 0, 1 - cosine, jnp.maximum(cosine - {margin}, 0)).mean()\n",
        note="PyTorch adds 1e-12 to the squared lengths, which is felt near the zero vector only.",
    ),
)


# --- contrastive


def contrastive(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float = 1.0, half: bool = True) -> Tensor:
    """Similar pairs are drawn together by a spring; dissimilar ones pushed apart until they are ``margin`` away.

    Args:
        x1: embeddings, shape ``(N, D)``.
        x2: embeddings, same shape.
        target: shape ``(N,)``; 1 similar, 0 dissimilar.
        margin: distance at which a dissimilar pair costs nothing, in the unit of ``x1``; above 0.
        half: with the factor 1/2 of the paper.

    Returns:
        Loss per pair, shape ``(N,)``, in the unit of ``x1`` squared, 0 or more.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Hadsell, Chopra and LeCun (2006), doi:10.1109/CVPR.2006.100.
    """
    _require_labelled_pairs(x1=x1, x2=x2, target=target)
    lack = relu(margin - norm(x1 - x2)[:, 0])
    return (0.5 if half else 1.0) * (x1 - x2).square().sum(-1).where(target > 0, lack.square())


def _contrastive_grad(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float, half: bool) -> dict[str, Tensor]:
    difference = x1 - x2
    apart = relu(margin - norm(difference)) * _direction(difference)
    slope = (1.0 if half else 2.0) * difference.where(target[:, None] > 0, -apart)
    return {"x1": slope, "x2": -slope}


def _check_contrastive(inputs: Inputs, params: Params) -> None:
    _check_labelled_pairs(inputs)
    check_among("target", inputs["target"], (0.0, 1.0), "0 for dissimilar or 1 for similar")


def _pair_distance(*, x1: Tensor, x2: Tensor, **_: object) -> Tensor:
    return (x1 - x2).square().sum(-1).sqrt()


def _contrastive_line(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float, half: bool) -> Tensor:
    distance = _pair_distance(x1=x1, x2=x2)
    return (target * distance**2 + (1 - target) * (margin - distance).clamp(min=0) ** 2) / (2 if half else 1)


def _pair_distance_slope(*, x1: Tensor, x2: Tensor, **_: object) -> Tensor:
    return _direction(x1 - x2)


def _lack_slope(*, x1: Tensor, x2: Tensor, margin: float, **_: object) -> Tensor:
    return -2 * (margin - _pair_distance(x1=x1, x2=x2)).clamp(min=0)


def _contrastive_by_distance(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float, half: bool) -> Tensor:
    apart = (1 - target) * _lack_slope(x1=x1, x2=x2, margin=margin)
    return (target * 2 * _pair_distance(x1=x1, x2=x2) + apart) / (2 if half else 1)


def _contrastive_slope(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float, half: bool) -> Tensor:
    by_distance = _contrastive_by_distance(x1=x1, x2=x2, target=target, margin=margin, half=half)
    return by_distance[:, None] * _pair_distance_slope(x1=x1, x2=x2)


CONTRASTIVE = Loss(
    key="contrastive",
    name="Contrastive loss (pairs)",
    name_zh="对比损失（成对）",
    family="metric",
    tasks=("similarity",),
    input_kind="pairs_labelled",
    inputs={
        "x1": "embeddings, (N, D)",
        "x2": "embeddings, (N, D)",
        "target": "1 for a similar pair, 0 for a dissimilar one, (N,)",
    },
    differentiable=("x1", "x2"),
    fn=contrastive,
    denominator=number_of_values,
    check=_check_contrastive,
    grad=_contrastive_grad,
    formula=(
        Line(r"d = \lVert x_1 - x_2 \rVert_2", _pair_distance),
        Line(
            r"\ell = h \left(t\,d^2 + (1 - t) \max(0, m - d)^2\right), \quad h = \tfrac{1}{2} \text{ or } 1",
            _contrastive_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial x_1} = 2 h \left(t - (1 - t)\,\frac{\max(0, m - d)}{d}\right) "
    r"(x_1 - x_2) = -\frac{\partial \ell}{\partial x_2}, \quad 0 \text{ at } d = 0",
    derivation=(
        Line(
            r"\frac{\partial d}{\partial x_1} = \frac{x_1 - x_2}{d}, \quad 0 \text{ at } d = 0",
            _pair_distance_slope,
        ),
        Line(r"\frac{\partial}{\partial d} \max(0, m - d)^2 = -2 \max(0, m - d)", _lack_slope),
        Line(
            r"\frac{\partial \ell}{\partial d} = h \left(t \cdot 2 d - (1 - t) \cdot 2 \max(0, m - d)\right)",
            _contrastive_by_distance,
        ),
        Line(
            r"\frac{\partial \ell}{\partial x_1} = \frac{\partial \ell}{\partial d} \cdot "
            r"\frac{\partial d}{\partial x_1} = "
            r"2 h \left(t - (1 - t)\,\frac{\max(0, m - d)}{d}\right) (x_1 - x_2)",
            _contrastive_slope,
        ),
    ),
    params={
        "margin": Number("Distance at which a dissimilar pair costs nothing.", 1.0, 0.01, 100.0, "log"),
        "half": Flag("With the factor 1/2.", True),
    },
    properties=Properties(
        convex_in_pred=no(
            "dissimilar pairs",
            {"x1": [[0.5, 0.0]], "x2": [[0.0, 0.0]], "target": [0.0]},
            {"x1": [[-0.5, 0.0]], "x2": [[0.0, 0.0]], "target": [0.0]},
        ),
        bounded=no(_EVERYWHERE, {"x1": [[100.0]], "x2": [[0.0]], "target": [1.0]}),
        lipschitz=no(_EVERYWHERE, {"x1": [[1e6]], "x2": [[0.0]], "target": [1.0]}),
        smooth=no(
            "dissimilar pairs: the push turns round where they meet",
            {"x1": [[-1e-9]], "x2": [[0.0]], "target": [0.0]},
            {"x1": [[1e-9]], "x2": [[0.0]], "target": [0.0]},
        ),
        symmetric=yes("the two of a pair exchanged"),
        scale_invariant=no(_EVERYWHERE, {"x1": [[1.0]], "x2": [[0.0]], "target": [1.0]}),
        needs_pairs=_LABELLED_PAIRS,
    ),
    pitfalls=(
        "A similar pair has the label 1 here; in the paper it is 0.",
        "Two dissimilar embeddings at the very same place have the largest loss of all and no direction to part.",
        "The margin is in the unit of the embeddings: if these are normalised, no distance exceeds 2.",
        "The ContrastiveLoss of pytorch-metric-learning does not square and averages over pairs that cost something.",
    ),
    reference="Hadsell, Chopra and LeCun (2006), Dimensionality reduction by learning an invariant mapping, "
    "doi:10.1109/CVPR.2006.100.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "d = F.pairwise_distance(x1, x2, eps=0.0)\n"
        "losses = target * d**2 + (1 - target) * torch.relu({margin} - d) ** 2\n"
        "half = {half}\n"
        "loss = losses.mean() / 2 if half else losses.mean()\n",
        keras=None,
        optax=None,
        note="PyTorch's pairwise_distance adds 1e-6 to every difference unless told otherwise.",
    ),
)


# --- triplet margin


def triplet_margin(
    *, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: int = 2, swap: bool = False
) -> Tensor:
    """The positive should be nearer to the anchor than the negative, by ``margin``; only the order counts.

    Args:
        anchor: embeddings, shape ``(N, D)``.
        positive: embeddings of the anchor's class, same shape.
        negative: embeddings of another class, same shape.
        margin: by how much the negative has to be farther, in the unit of ``anchor``; 0 or more.
        p: 2 for Euclidean distances, 1 for sums of absolute differences.
        swap: measure the negative from the positive where it is nearer to that than to the anchor.

    Returns:
        Loss per triplet, shape ``(N,)``, in the unit of ``anchor``, 0 or more.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Schroff, Kalenichenko and Philbin (2015), arXiv:1503.03832; Balntas et al. (2016) for ``swap``.
    """
    require_rows(anchor=anchor, positive=positive, negative=negative)
    far = norm(anchor - negative, p)
    if swap:
        far = far.minimum(norm(positive - negative, p))
    return relu(norm(anchor - positive, p) - far + margin)[:, 0]


def _triplet_margin_grad(
    *, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, p: int, swap: bool
) -> dict[str, Tensor]:
    near, far, across = anchor - positive, anchor - negative, positive - negative
    # How much of the negative's distance is measured from the anchor: at a tie one half.
    own = torch.heaviside(norm(across, p) - norm(far, p), anchor.new_tensor(0.5)) if swap else 1.0
    values = triplet_margin(anchor=anchor, positive=positive, negative=negative, margin=margin, p=p, swap=swap)
    active = (values > 0).to(anchor.dtype)[:, None]
    pull, push = active * _direction(near, p), active * own * _direction(far, p)
    push_across = active * (1 - own) * _direction(across, p)
    return {"anchor": pull - push, "positive": -pull - push_across, "negative": push + push_across}


def _check_triplets(inputs: Inputs, params: Params) -> None:
    triplets = {name: inputs[name] for name in ("anchor", "positive", "negative")}
    require_rows(**triplets)
    check_finite(**triplets)


def _near(*, anchor: Tensor, positive: Tensor, p: int, **_: object) -> Tensor:
    return (anchor - positive).abs().pow(p).sum(-1) ** (1 / p)


def _far(*, anchor: Tensor, positive: Tensor, negative: Tensor, p: int, swap: bool, **_: object) -> Tensor:
    from_anchor = (negative - anchor).abs().pow(p).sum(-1) ** (1 / p)
    from_positive = (negative - positive).abs().pow(p).sum(-1) ** (1 / p)
    return torch.stack([from_anchor, from_positive]).amin(0) if swap else from_anchor


def _triplet_line(*, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, p: int, swap: bool) -> Tensor:
    far = _far(anchor=anchor, positive=positive, negative=negative, p=p, swap=swap)
    return (_near(anchor=anchor, positive=positive, p=p) - far + margin).clamp(min=0)


def _near_slope(*, anchor: Tensor, positive: Tensor, p: int, **_: object) -> Tensor:
    return _direction(anchor - positive, p)


def _far_slope(*, anchor: Tensor, positive: Tensor, negative: Tensor, p: int, swap: bool, **_: object) -> Tensor:
    slope = _direction(anchor - negative, p)
    if not swap:
        return slope
    lead = norm(positive - negative, p) - norm(anchor - negative, p)
    return (1 + lead.sign()) / 2 * slope


def _costs(*, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, p: int, swap: bool) -> Tensor:
    line = _triplet_line(anchor=anchor, positive=positive, negative=negative, margin=margin, p=p, swap=swap)
    return (line > 0).to(anchor.dtype)


def _triplet_slope(*, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, p: int, swap: bool) -> Tensor:
    counts = _costs(anchor=anchor, positive=positive, negative=negative, margin=margin, p=p, swap=swap)
    far = _far_slope(anchor=anchor, positive=positive, negative=negative, p=p, swap=swap)
    return counts[:, None] * (_near_slope(anchor=anchor, positive=positive, p=p) - far)


TRIPLET_MARGIN = Loss(
    key="triplet_margin",
    name="Triplet margin loss",
    name_zh="三元组损失",
    family="metric",
    tasks=("similarity",),
    input_kind="triplets",
    inputs={
        "anchor": "embeddings, (N, D)",
        "positive": "embeddings of the anchor's class, (N, D)",
        "negative": "embeddings of another class, (N, D)",
    },
    differentiable=("anchor", "positive", "negative"),
    fn=triplet_margin,
    denominator=number_of_values,
    check=_check_triplets,
    grad=_triplet_margin_grad,
    formula=(
        Line(r"d_+ = \lVert a - p \rVert", _near),
        Line(
            r"d_- = \lVert a - n \rVert \quad (\text{with swap: } \min(\lVert a - n \rVert, \lVert p - n \rVert))", _far
        ),
        Line(r"\ell = \max(0, d_+ - d_- + m)", _triplet_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial a} = [\ell > 0] \left(u_{ap} - w\,u_{an}\right), \quad "
    r"\frac{\partial \ell}{\partial p} = -[\ell > 0] \left(u_{ap} + (1 - w)\,u_{pn}\right), \quad "
    r"\frac{\partial \ell}{\partial n} = [\ell > 0] \left(w\,u_{an} + (1 - w)\,u_{pn}\right), \quad "
    r"u_{xy} = \frac{\partial \lVert x - y \rVert}{\partial x}, \quad w = 1 \quad "
    r"(\text{with swap: } [\lVert a - n \rVert < \lVert p - n \rVert], \text{ at a tie } \tfrac{1}{2})",
    derivation=(
        Line(
            r"\frac{\partial d_+}{\partial a} = u_{ap} = \begin{cases} \frac{a - p}{\lVert a - p \rVert} & "
            r"\text{Euclidean} \\ \operatorname{sign}(a - p) & \text{absolute differences} \end{cases}",
            _near_slope,
        ),
        Line(
            r"\frac{\partial d_-}{\partial a} = w\,u_{an} \quad "
            r"(w = 0 \text{ where swap measures from the positive})",
            _far_slope,
        ),
        Line(r"\frac{\partial \ell}{\partial d_+} = -\frac{\partial \ell}{\partial d_-} = [\ell > 0]", _costs),
        Line(
            r"\frac{\partial \ell}{\partial a} = \frac{\partial \ell}{\partial d_+} \cdot "
            r"\frac{\partial d_+}{\partial a} + \frac{\partial \ell}{\partial d_-} \cdot "
            r"\frac{\partial d_-}{\partial a} = [\ell > 0] \left(u_{ap} - w\,u_{an}\right)",
            _triplet_slope,
        ),
    ),
    params={
        "margin": Number("By how much the negative has to be farther away.", 1.0, 0.0, 100.0),
        "p": Number(
            "Which norm: 2 for Euclidean distances, 1 for sums of absolute differences.", 2, 1, 2, integer=True
        ),
        "swap": Flag("Measure the negative from the positive where that is nearer.", False),
    },
    properties=Properties(
        convex_in_pred=no(
            "the anchor",
            {"anchor": [[-1.0]], "positive": [[3.0]], "negative": [[0.0]]},
            {"anchor": [[1.0]], "positive": [[3.0]], "negative": [[0.0]]},
        ),
        bounded=no(_EVERYWHERE, {"anchor": [[1e3]], "positive": [[0.0]], "negative": [[1e3]]}),
        lipschitz=yes("Euclidean distances", constant=lambda _: math.sqrt(6), p=2),
        smooth=no(
            _EVERYWHERE,
            {"anchor": [[-1e-9]], "positive": [[0.0]], "negative": [[0.5]]},
            {"anchor": [[1e-9]], "positive": [[0.0]], "negative": [[0.5]]},
        ),
        symmetric=yes("anchor and positive exchanged, with swap", swap=True),
        scale_invariant=no(_EVERYWHERE, {"anchor": [[2.0]], "positive": [[0.0]], "negative": [[3.0]]}),
        needs_pairs=pairs("triplets, chosen by labels"),
    ),
    pitfalls=(
        "A loss that stays at exactly the margin means collapse: all embeddings at one point.",
        "FaceNet squares the distances; then the gradient grows with them.",
        "PyTorch adds 1e-6 to every difference before the norm, Optax a number under the root.",
        "Most random triplets soon cost nothing: without a choice of hard ones training stands still, "
        "and a mean over those that cost something is another loss.",
    ),
    reference="Schroff, Kalenichenko and Philbin (2015), FaceNet: A unified embedding for face recognition and "
    "clustering, arXiv:1503.03832; swap: Balntas, Riba, Ponsa and Mikolajczyk (2016), Learning local feature "
    "descriptors with triplets and shallow convolutional neural networks, doi:10.5244/C.30.119.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "p, swap = {p}, {swap}\n"
        "near = F.pairwise_distance(anchor, positive, p=p, eps=0.0)\n"
        "far = F.pairwise_distance(anchor, negative, p=p, eps=0.0)\n"
        "if swap:\n"
        "    far = torch.minimum(far, F.pairwise_distance(positive, negative, p=p, eps=0.0))\n"
        "loss = torch.relu(near - far + {margin}).mean()\n",
        keras=None,
        optax=None,
        note="PyTorch's triplet_margin_loss with eps=0 is the same; it refuses a margin of 0. Optax's with eps=0 "
        "agrees for p = 2 without swap; for p = 1 it adds up signed differences.",
    ),
)


# --- circle


def circle(*, pred: Tensor, target: Tensor, m: float = 0.4, gamma: float = 80.0) -> Tensor:
    """Raises cosines within a class and lowers the others, each the harder the farther it is from its optimum.

    Args:
        pred: embeddings, shape ``(N, D)``; their length does not count.
        target: class index, shape ``(N,)``, int64.
        m: relaxation: the optima are ``1 + m`` and ``-m``, the margins ``1 - m`` and ``m``; 0 to 1.
        gamma: factor on the similarities; above 0.

    Returns:
        Loss per row, shape ``(N,)``, without unit; 0 for a row that lacks positives or negatives.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Sun et al. (2020), arXiv:2002.10857.
    """
    require_labelled(pred=pred, target=target)
    low, high, _, _ = _circle_logits(pred, target, m, gamma)
    together = high.logsumexp(-1) + low.logsumexp(-1)
    return together.logaddexp(torch.zeros_like(together))


def _circle_logits(pred: Tensor, target: Tensor, m: float, gamma: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(N, N) logits of positives and of negatives, minus infinity elsewhere; then their slopes by the cosine."""
    cosine = cosines(pred)
    # How far a cosine is from its optimum weighs it, as a constant: that is the paper's definition.
    pull, push = gamma * relu(1 + m - cosine.detach()), gamma * relu(cosine.detach() + m)
    low = (-pull * (cosine - (1 - m))).masked_fill(~positives(target), -math.inf)
    high = (push * (cosine - m)).masked_fill(~negatives(target), -math.inf)
    return low, high, -pull, push


def _circle_grad(*, pred: Tensor, target: Tensor, m: float, gamma: float) -> dict[str, Tensor]:
    low, high, low_slope, high_slope = _circle_logits(pred, target, m, gamma)
    gate = (high.logsumexp(-1) + low.logsumexp(-1)).sigmoid()[:, None]
    return {"pred": through_cosines(pred, gate * (_share(low) * low_slope + _share(high) * high_slope))}


def _share(logits: Tensor) -> Tensor:
    """Softmax of each row; zeros where the whole row is minus infinity."""
    top = logits.amax(-1, keepdim=True)
    powers = (logits - top.where(top.isfinite(), torch.zeros_like(top))).exp()
    return powers / powers.sum(-1, keepdim=True).clamp(min=1)


def _row_cosines(*, pred: Tensor, **_: object) -> Tensor:
    return cosines(pred)


def _circle_low(*, pred: Tensor, m: float, gamma: float, **_: object) -> Tensor:
    cosine = cosines(pred)
    return gamma * (1 + m - cosine).clamp(min=0) * (1 - m - cosine)


def _circle_high(*, pred: Tensor, m: float, gamma: float, **_: object) -> Tensor:
    cosine = cosines(pred)
    return gamma * (cosine + m).clamp(min=0) * (cosine - m)


def _circle_line(*, pred: Tensor, target: Tensor, m: float, gamma: float) -> Tensor:
    low, high = _circle_low(pred=pred, m=m, gamma=gamma), _circle_high(pred=pred, m=m, gamma=gamma)
    both = low[:, :, None] + high[:, None, :]
    counts = positives(target)[:, :, None] & negatives(target)[:, None, :]
    none = torch.zeros_like(both[:, :1, 0])
    return torch.cat([both.masked_fill(~counts, -math.inf).flatten(1), none], -1).logsumexp(-1)


def _batch_cosine_slopes(*, pred: Tensor, **_: object) -> Tensor:
    return cosine_slopes(pred, pred)


_BATCH_COSINE_SLOPES = Line(
    r"\frac{\partial c_{ij}}{\partial x_i} = \frac{1}{\lVert x_i \rVert} "
    r"\left(\hat x_j - c_{ij} \hat x_i\right)",
    _batch_cosine_slopes,
)
_BATCH_SLOPE = (
    r"\frac{\partial}{\partial x_i} \sum_k \ell_k = \sum_j \left(g_{ij} + g_{ji}\right) "
    r"\frac{\partial c_{ij}}{\partial x_i}"
)


def _batch_slope(pred: Tensor, by_cosine: Tensor) -> Tensor:
    both = by_cosine + by_cosine.mT
    return (both[:, :, None] * _batch_cosine_slopes(pred=pred)).sum(1)


def _circle_low_slope(*, pred: Tensor, m: float, gamma: float, **_: object) -> Tensor:
    return -gamma * (1 + m - cosines(pred)).clamp(min=0)


def _circle_high_slope(*, pred: Tensor, m: float, gamma: float, **_: object) -> Tensor:
    return gamma * (cosines(pred) + m).clamp(min=0)


def _circle_gate(*, pred: Tensor, target: Tensor, m: float, gamma: float) -> Tensor:
    return -(-_circle_line(pred=pred, target=target, m=m, gamma=gamma)).expm1()


def _circle_by_cosine(*, pred: Tensor, target: Tensor, m: float, gamma: float) -> Tensor:
    low = _circle_low(pred=pred, m=m, gamma=gamma).masked_fill(~positives(target), -math.inf)
    high = _circle_high(pred=pred, m=m, gamma=gamma).masked_fill(~negatives(target), -math.inf)
    pull = _share(low) * _circle_low_slope(pred=pred, m=m, gamma=gamma)
    push = _share(high) * _circle_high_slope(pred=pred, m=m, gamma=gamma)
    return _circle_gate(pred=pred, target=target, m=m, gamma=gamma)[:, None] * (pull + push)


def _circle_slope(*, pred: Tensor, target: Tensor, m: float, gamma: float) -> Tensor:
    return _batch_slope(pred, _circle_by_cosine(pred=pred, target=target, m=m, gamma=gamma))


CIRCLE = Loss(
    key="circle",
    name="Circle loss",
    name_zh="圆损失",
    family="metric",
    tasks=("similarity",),
    input_kind="labelled_embeddings",
    inputs=_LABELLED,
    differentiable=("pred",),
    fn=circle,
    denominator=number_of_values,
    check=_check_labelled,
    grad=_circle_grad,
    formula=(
        Line(r"c_{ij} = \hat x_i \cdot \hat x_j", _row_cosines),
        Line(r"a_{ij} = \gamma \max(0, 1 + m - c_{ij}) (1 - m - c_{ij})", _circle_low),
        Line(r"b_{ij} = \gamma \max(0, c_{ij} + m) (c_{ij} - m)", _circle_high),
        Line(r"\ell_i = \ln\left(1 + \sum_{p \in P_i} \sum_{n \in N_i} e^{a_{ip} + b_{in}}\right)", _circle_line),
    ),
    gradient=r"\frac{\partial \ell_i}{\partial c_{ip}} = -q_i\,\gamma \max(0, 1 + m - c_{ip}) "
    r"\frac{e^{a_{ip}}}{\sum_{P_i} e^{a}}, \quad "
    r"\frac{\partial \ell_i}{\partial c_{in}} = q_i\,\gamma \max(0, c_{in} + m) \frac{e^{b_{in}}}{\sum_{N_i} e^{b}}, "
    r"\quad q_i = 1 - e^{-\ell_i} \quad (\text{the factors } \max(\ldots) \text{ held constant})",
    derivation=(
        Line(
            r"\frac{\partial a_{ij}}{\partial c_{ij}} = -\gamma \max(0, 1 + m - c_{ij}) \quad "
            r"(\max(\ldots) \text{ held constant})",
            _circle_low_slope,
        ),
        Line(
            r"\frac{\partial b_{ij}}{\partial c_{ij}} = \gamma \max(0, c_{ij} + m) \quad "
            r"(\max(\ldots) \text{ held constant})",
            _circle_high_slope,
        ),
        Line(
            r"q_i = \frac{\sum_{p, n} e^{a_{ip} + b_{in}}}{1 + \sum_{p, n} e^{a_{ip} + b_{in}}} = 1 - e^{-\ell_i}",
            _circle_gate,
        ),
        Line(
            r"g_{ij} = \frac{\partial \ell_i}{\partial c_{ij}} = q_i \left([j \in P_i]\,"
            r"\frac{e^{a_{ij}}}{\sum_{P_i} e^{a}} \frac{\partial a_{ij}}{\partial c_{ij}} + [j \in N_i]\,"
            r"\frac{e^{b_{ij}}}{\sum_{N_i} e^{b}} \frac{\partial b_{ij}}{\partial c_{ij}}\right)",
            _circle_by_cosine,
        ),
        _BATCH_COSINE_SLOPES,
        Line(_BATCH_SLOPE, _circle_slope),
    ),
    detached="the weights max(0, 1 + m - c) and max(0, c + m) of the cosines",
    params={
        "m": Number(
            "Relaxation: the cosines should pass 1 - m within a class and stay below m elsewhere.", 0.4, 0.0, 1.0
        ),
        "gamma": Number("Factor on the similarities.", 80.0, 1.0, 512.0, "log"),
    },
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, *_UNEVEN),
        bounded=yes(
            f"batches of {_FEW} rows; the bound grows with the logarithm of the batch size",
            constant=lambda p: p["gamma"] * (5 - 2 * p["m"] ** 2) + math.log(1 + _FEW**2 / 4),
        ),
        lipschitz=no(_SHORT, _SHORT_ROW[0]),
        smooth=no(_SHORT, *_SHORT_ROW),
        symmetric=yes(_RENAMED),
        scale_invariant=yes(_NOT_ZERO),
        needs_pairs=_ALL_PAIRS,
    ),
    pitfalls=(
        "The weights are constants for the gradient, in the paper and here; Keras lets it flow through them: "
        "same value, another gradient.",
        "Keras does not normalise the embeddings.",
        "A row without positives or without negatives costs nothing, so a batch needs several rows a class.",
        "The values are of the order of gamma: the learning rate has to fit.",
    ),
    reference="Sun et al. (2020), Circle loss: A unified perspective of pair similarity optimization, "
    "arXiv:2002.10857.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "m, gamma = {m}, {gamma}\n"
        "z = F.normalize(pred)\n"
        "c = z @ z.mT\n"
        "same = target[:, None] == target\n"
        "itself = torch.eye(len(c), dtype=torch.bool, device=c.device)\n"
        "low = -gamma * torch.relu(1 + m - c.detach()) * (c - (1 - m))\n"
        "high = gamma * torch.relu(c.detach() + m) * (c - m)\n"
        'low = low.masked_fill(~same | itself, float("-inf")).logsumexp(-1)\n'
        'high = high.masked_fill(same, float("-inf")).logsumexp(-1)\n'
        "loss = torch.logaddexp(low + high, torch.zeros_like(low)).mean()\n",
        keras="import keras\n\n"
        "z = keras.ops.normalize(pred, axis=-1)\n"
        "loss = keras.ops.mean(keras.losses.circle(target, z, gamma={gamma}, margin={m}))\n",
        optax=None,
        note="In pytorch-metric-learning it is CircleLoss, whose default mean leaves out the rows that cost nothing. "
        "In Keras the gradient passes through the weights as well.",
    ),
)


# --- multi-similarity


def multi_similarity(
    *, pred: Tensor, target: Tensor, alpha: float = 2.0, beta: float = 50.0, lambda_: float = 0.5
) -> Tensor:
    """Raises cosines within a class above ``lambda_`` and lowers the others below it, the hardest pairs most.

    Args:
        pred: embeddings, shape ``(N, D)``; their length does not count.
        target: class index, shape ``(N,)``, int64.
        alpha: sharpness for positives; above 0.
        beta: sharpness for negatives; above 0.
        lambda_: cosine that separates the two; -1 to 1.

    Returns:
        Loss per row, shape ``(N,)``, without unit, 0 or more; all pairs count, none is mined.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Wang et al. (2019), arXiv:1904.06627.
    """
    require_labelled(pred=pred, target=target)
    low, high = _similarity_logits(pred, target, alpha, beta, lambda_)
    zero = torch.zeros_like(low[:, 0])
    return low.logsumexp(-1).logaddexp(zero) / alpha + high.logsumexp(-1).logaddexp(zero) / beta


def _similarity_logits(
    pred: Tensor, target: Tensor, alpha: float, beta: float, lambda_: float
) -> tuple[Tensor, Tensor]:
    above = cosines(pred) - lambda_
    low = (-alpha * above).masked_fill(~positives(target), -math.inf)
    return low, (beta * above).masked_fill(~negatives(target), -math.inf)


def _multi_similarity_grad(
    *, pred: Tensor, target: Tensor, alpha: float, beta: float, lambda_: float
) -> dict[str, Tensor]:
    low, high = _similarity_logits(pred, target, alpha, beta, lambda_)
    shares = [_share(logits) * logits.logsumexp(-1, keepdim=True).sigmoid() for logits in (low, high)]
    return {"pred": through_cosines(pred, shares[1] - shares[0])}


def _positive_part(*, pred: Tensor, target: Tensor, alpha: float, lambda_: float, **_: object) -> Tensor:
    return _soft_hinge(alpha * (lambda_ - cosines(pred)), positives(target)) / alpha


def _negative_part(*, pred: Tensor, target: Tensor, beta: float, lambda_: float, **_: object) -> Tensor:
    return _soft_hinge(beta * (cosines(pred) - lambda_), negatives(target)) / beta


def _soft_hinge(exponents: Tensor, counts: Tensor) -> Tensor:
    """Logarithm of 1 plus the sum of the exponentials that count."""
    top = exponents.amax(-1).clamp(min=0)
    powers = (exponents - top[:, None]).exp() * counts.to(exponents.dtype)
    return top + ((-top).exp() + powers.sum(-1)).log()


def _multi_similarity_line(*, pred: Tensor, target: Tensor, alpha: float, beta: float, lambda_: float) -> Tensor:
    low = _positive_part(pred=pred, target=target, alpha=alpha, lambda_=lambda_)
    return low + _negative_part(pred=pred, target=target, beta=beta, lambda_=lambda_)


def _multi_similarity_bound(params: Params) -> float:
    alpha, beta, lambda_ = params["alpha"], params["beta"], params["lambda_"]
    others = _FEW - 1
    # All positives opposite and all negatives equal: more than can be at once. log(1 + n e^x) <= log(1 + n) + x.
    return (math.log1p(others) + alpha * (1 + lambda_)) / alpha + (math.log1p(others) + beta * (1 - lambda_)) / beta


def _positive_slope(*, pred: Tensor, target: Tensor, alpha: float, lambda_: float, **_: object) -> Tensor:
    part = _positive_part(pred=pred, target=target, alpha=alpha, lambda_=lambda_)[:, None]
    return -(-alpha * (cosines(pred) - lambda_ + part)).masked_fill(~positives(target), -math.inf).exp()


def _negative_slope(*, pred: Tensor, target: Tensor, beta: float, lambda_: float, **_: object) -> Tensor:
    part = _negative_part(pred=pred, target=target, beta=beta, lambda_=lambda_)[:, None]
    return (beta * (cosines(pred) - lambda_ - part)).masked_fill(~negatives(target), -math.inf).exp()


def _multi_similarity_by_cosine(*, pred: Tensor, target: Tensor, alpha: float, beta: float, lambda_: float) -> Tensor:
    low = _positive_slope(pred=pred, target=target, alpha=alpha, lambda_=lambda_)
    return low + _negative_slope(pred=pred, target=target, beta=beta, lambda_=lambda_)


def _multi_similarity_slope(*, pred: Tensor, target: Tensor, alpha: float, beta: float, lambda_: float) -> Tensor:
    by_cosine = _multi_similarity_by_cosine(pred=pred, target=target, alpha=alpha, beta=beta, lambda_=lambda_)
    return _batch_slope(pred, by_cosine)


MULTI_SIMILARITY = Loss(
    key="multi_similarity",
    name="Multi-similarity loss",
    name_zh="多重相似度损失",
    family="metric",
    tasks=("similarity",),
    input_kind="labelled_embeddings",
    inputs=_LABELLED,
    differentiable=("pred",),
    fn=multi_similarity,
    denominator=number_of_values,
    check=_check_labelled,
    grad=_multi_similarity_grad,
    formula=(
        Line(r"c_{ij} = \hat x_i \cdot \hat x_j", _row_cosines),
        Line(
            r"A_i = \frac{1}{\alpha} \ln\left(1 + \sum_{p \in P_i} e^{-\alpha (c_{ip} - \lambda)}\right)",
            _positive_part,
        ),
        Line(
            r"B_i = \frac{1}{\beta} \ln\left(1 + \sum_{n \in N_i} e^{\beta (c_{in} - \lambda)}\right)",
            _negative_part,
        ),
        Line(r"\ell_i = A_i + B_i", _multi_similarity_line),
    ),
    gradient=r"\frac{\partial \ell_i}{\partial c_{ip}} = "
    r"-\frac{e^{-\alpha (c_{ip} - \lambda)}}{1 + \sum_{P_i} e^{-\alpha (c - \lambda)}}, \quad "
    r"\frac{\partial \ell_i}{\partial c_{in}} = "
    r"\frac{e^{\beta (c_{in} - \lambda)}}{1 + \sum_{N_i} e^{\beta (c - \lambda)}}",
    derivation=(
        Line(
            r"\frac{\partial A_i}{\partial c_{ij}} = \frac{1}{\alpha} \cdot \frac{-\alpha\,e^{-\alpha (c_{ij} - "
            r"\lambda)}}{1 + \sum_{P_i} e^{-\alpha (c - \lambda)}} = -e^{-\alpha (c_{ij} - \lambda + A_i)}, \quad "
            r"0 \text{ for } j \notin P_i",
            _positive_slope,
        ),
        Line(
            r"\frac{\partial B_i}{\partial c_{ij}} = \frac{1}{\beta} \cdot \frac{\beta\,e^{\beta (c_{ij} - "
            r"\lambda)}}{1 + \sum_{N_i} e^{\beta (c - \lambda)}} = e^{\beta (c_{ij} - \lambda - B_i)}, \quad "
            r"0 \text{ for } j \notin N_i",
            _negative_slope,
        ),
        Line(
            r"g_{ij} = \frac{\partial \ell_i}{\partial c_{ij}} = \frac{\partial A_i}{\partial c_{ij}} + "
            r"\frac{\partial B_i}{\partial c_{ij}}",
            _multi_similarity_by_cosine,
        ),
        _BATCH_COSINE_SLOPES,
        Line(_BATCH_SLOPE, _multi_similarity_slope),
    ),
    params={
        "alpha": Number("Sharpness for positives: the larger, the more the hardest counts.", 2.0, 0.1, 100.0, "log"),
        "beta": Number("Sharpness for negatives: the larger, the more the hardest counts.", 50.0, 0.1, 200.0, "log"),
        "lambda_": Number("Cosine that should separate positives from negatives.", 0.5, -1.0, 1.0),
    },
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, *_UNEVEN),
        bounded=yes(
            f"batches of {_FEW} rows; the bound grows with the logarithm of the batch size",
            constant=_multi_similarity_bound,
        ),
        lipschitz=no(_SHORT, _SHORT_ROW[0]),
        smooth=no(_SHORT, *_SHORT_ROW),
        symmetric=yes(_RENAMED),
        scale_invariant=yes(_NOT_ZERO),
        needs_pairs=_ALL_PAIRS,
    ),
    pitfalls=(
        "The paper also leaves out easy pairs before it sums; here all pairs count.",
        "It never is 0: pairs on the right side still cost a little.",
        "lambda_ is called base in pytorch-metric-learning; the authors' code uses 0.5, their paper 1.",
    ),
    reference="Wang, Han, Huang, Dong and Scott (2019), Multi-similarity loss with general pair weighting for deep "
    "metric learning, arXiv:1904.06627.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "z = F.normalize(pred)\n"
        "above = z @ z.mT - {lambda_}\n"
        "same = target[:, None] == target\n"
        "itself = torch.eye(len(z), dtype=torch.bool, device=z.device)\n"
        'low = (-{alpha} * above).masked_fill(~same | itself, float("-inf")).logsumexp(-1)\n'
        'high = ({beta} * above).masked_fill(same, float("-inf")).logsumexp(-1)\n'
        "loss = (low.exp().log1p() / {alpha} + high.exp().log1p() / {beta}).mean()\n",
        keras=None,
        optax=None,
        note="In pytorch-metric-learning it is MultiSimilarityLoss, without a miner.",
    ),
)


# --- centre


def center(*, pred: Tensor, centers: Tensor, target: Tensor) -> Tensor:
    """Half the squared distance to the centre of one's class: it gathers the classes but does not part them.

    Args:
        pred: embeddings, shape ``(N, D)``.
        centers: class centres, shape ``(K, D)``, in the unit of ``pred``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.

    Returns:
        Loss per row, shape ``(N,)``, in the unit of ``pred`` squared, 0 or more.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Wen, Zhang, Li and Qiao (2016), doi:10.1007/978-3-319-46478-7_31.
    """
    require_centres("centers", centers, pred=pred, target=target)
    return 0.5 * (pred - centers[target]).square().sum(-1)


def _center_grad(*, pred: Tensor, centers: Tensor, target: Tensor) -> dict[str, Tensor]:
    away = pred - centers[target]
    return {"pred": away, "centers": -one_hot(target, centers).mT @ away}


def _check_center(inputs: Inputs, params: Params) -> None:
    _check_centres("centers", inputs)


def _check_centres(name: str, inputs: Inputs) -> None:
    require_centres(name, inputs[name], pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"], **{name: inputs[name]})
    check_labels(inputs["target"], inputs[name].shape[0])


def _own_distance(*, pred: Tensor, centers: Tensor, target: Tensor) -> Tensor:
    return norm(pred - centers.index_select(0, target))[:, 0]


def _center_line(*, pred: Tensor, centers: Tensor, target: Tensor) -> Tensor:
    return _own_distance(pred=pred, centers=centers, target=target) ** 2 / 2


def _own_distance_slope(*, pred: Tensor, centers: Tensor, target: Tensor) -> Tensor:
    return _direction(pred - centers.index_select(0, target))


def _center_slope(*, pred: Tensor, centers: Tensor, target: Tensor) -> Tensor:
    distance = _own_distance(pred=pred, centers=centers, target=target)[:, None]
    return distance * _own_distance_slope(pred=pred, centers=centers, target=target)


CENTER = Loss(
    key="center",
    name="Centre loss",
    name_zh="中心损失",
    family="metric",
    tasks=("similarity",),
    input_kind="centres",
    inputs={
        "pred": "embeddings, (N, D)",
        "centers": "class centres, (K, D)",
        "target": "class index, 0 to K - 1, (N,) int64",
    },
    differentiable=("pred", "centers"),
    fn=center,
    denominator=number_of_values,
    check=_check_center,
    grad=_center_grad,
    formula=(
        Line(r"d = \lVert x - c_y \rVert_2", _own_distance),
        Line(r"\ell = \tfrac{1}{2} d^2", _center_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial x} = x - c_y, \quad "
    r"\frac{\partial \ell}{\partial c_k} = -[k = y] (x - c_y)",
    derivation=(
        Line(
            r"\frac{\partial d}{\partial x} = \frac{x - c_y}{d}, \quad 0 \text{ at } d = 0",
            _own_distance_slope,
        ),
        Line(r"\frac{\partial \ell}{\partial d} = d", _own_distance),
        Line(
            r"\frac{\partial \ell}{\partial x} = \frac{\partial \ell}{\partial d} \cdot "
            r"\frac{\partial d}{\partial x} = x - c_y",
            _center_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [[100.0]], "centers": [[0.0]], "target": [0]}),
        lipschitz=no(_EVERYWHERE, {"pred": [[1e6]], "centers": [[0.0]], "target": [0]}),
        smooth=yes("the embedding, for fixed centres", constant=lambda _: 1.0),
        symmetric=yes(_PERMUTED),
        scale_invariant=no(_EVERYWHERE, {"pred": [[1.0]], "centers": [[0.5]], "target": [0]}),
    ),
    pitfalls=(
        "Alone it collapses: all embeddings and all centres at one point cost nothing. Add it to a cross-entropy.",
        "The paper moves the centres by a rule of its own, averaged over the rows of a class, not by this gradient.",
        "Here it is a mean over the batch; the paper sums. Without the factor 1/2 it is twice as large.",
        "A class that does not occur in the batch leaves its centre where it is.",
    ),
    reference="Wen, Zhang, Li and Qiao (2016), A discriminative feature learning approach for deep face recognition, "
    "doi:10.1007/978-3-319-46478-7_31.",
    code=Code(
        pytorch="loss = ((pred - centers[target]) ** 2).sum(-1).mean() / 2\n",
        keras=None,
        optax="import optax\n\nloss = optax.losses.l2_loss(pred, centers[target]).sum(-1).mean()\n",
        note="Optax's l2_loss has the factor 1/2.",
    ),
)


# --- proxy NCA


def proxy_nca(
    *, pred: Tensor, proxies: Tensor, target: Tensor, scale: float = 1.0, denominator: str = "negatives"
) -> Tensor:
    """Which proxy is nearest? Cross-entropy of squared distances on the sphere, so that no pairs need be drawn.

    Args:
        pred: embeddings, shape ``(N, D)``; their length does not count.
        proxies: one for each class, shape ``(K, D)``, K of at least 2; their length does not count.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        scale: factor on the squared distances; above 0.
        denominator: ``"negatives"``, the proxies of the other classes, as in the paper; or ``"all"``.

    Returns:
        Loss per row, shape ``(N,)``, in nats; with ``"negatives"`` it can be negative.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Movshovitz-Attias et al. (2017), arXiv:1703.07464.
    """
    _require_proxies(proxies, pred=pred, target=target)
    logits = -scale * _proxy_distances(pred=pred, proxies=proxies)
    own = logits.gather(-1, target[:, None])[:, 0]
    return _rivals(logits, target, denominator).logsumexp(-1) - own


def _require_proxies(proxies: Tensor, *, pred: Tensor, target: Tensor) -> None:
    require_centres("proxies", proxies, pred=pred, target=target)
    if proxies.shape[0] < 2:
        raise ValueError(f"proxies has shape {tuple(proxies.shape)}, allowed: (K, D) with 2 classes or more")


def _proxy_distances(*, pred: Tensor, proxies: Tensor, **_: object) -> Tensor:
    return (unit(pred)[:, None] - unit(proxies)).square().sum(-1)


def _rivals(logits: Tensor, target: Tensor, denominator: str) -> Tensor:
    """The logits that the denominator adds up, minus infinity for the others."""
    if denominator == "all":
        return logits
    return logits.masked_fill(target[:, None] == torch.arange(logits.shape[1], device=target.device), -math.inf)


def _proxy_nca_grad(
    *, pred: Tensor, proxies: Tensor, target: Tensor, scale: float, denominator: str
) -> dict[str, Tensor]:
    logits = -scale * _proxy_distances(pred=pred, proxies=proxies)
    by_logit = _rivals(logits, target, denominator).softmax(-1) - one_hot(target, proxies)
    apart = -2 * scale * by_logit[:, :, None] * (unit(pred)[:, None] - unit(proxies))
    return {"pred": through_unit(pred, apart.sum(1)), "proxies": through_unit(proxies, -apart.sum(0))}


def _check_proxy_nca(inputs: Inputs, params: Params) -> None:
    _require_proxies(inputs["proxies"], pred=inputs["pred"], target=inputs["target"])
    _check_centres("proxies", inputs)


def _expanded_distances(*, pred: Tensor, proxies: Tensor, **_: object) -> Tensor:
    u, v = unit(pred), unit(proxies)
    return u.square().sum(-1, keepdim=True) - 2 * u @ v.mT + v.square().sum(-1)


def _proxy_nca_line(*, pred: Tensor, proxies: Tensor, target: Tensor, scale: float, denominator: str) -> Tensor:
    distances = _expanded_distances(pred=pred, proxies=proxies)
    nearer = scale * (distances.gather(-1, target[:, None]) - distances)
    return _rivals(nearer, target, denominator).logsumexp(-1)


def _proxy_shares(*, pred: Tensor, proxies: Tensor, target: Tensor, scale: float, denominator: str) -> Tensor:
    logits = -scale * _expanded_distances(pred=pred, proxies=proxies)
    return _rivals(logits, target, denominator).softmax(-1)


def _proxy_nca_by_distance(*, pred: Tensor, proxies: Tensor, target: Tensor, scale: float, denominator: str) -> Tensor:
    shares = _proxy_shares(pred=pred, proxies=proxies, target=target, scale=scale, denominator=denominator)
    return scale * (one_hot(target, proxies) - shares)


def _proxy_distance_slopes(*, pred: Tensor, proxies: Tensor, **_: object) -> Tensor:
    return -2 * cosine_slopes(pred, proxies)


def _proxy_nca_slope(*, pred: Tensor, proxies: Tensor, target: Tensor, scale: float, denominator: str) -> Tensor:
    by_distance = _proxy_nca_by_distance(
        pred=pred, proxies=proxies, target=target, scale=scale, denominator=denominator
    )
    return (by_distance[:, :, None] * _proxy_distance_slopes(pred=pred, proxies=proxies)).sum(1)


_CLASSES = 3
_OTHER_SIDE = {"proxies": [[1.0, 0.0], [0.0, 1.0]], "target": [1]}

PROXY_NCA = Loss(
    key="proxy_nca",
    name="Proxy-NCA",
    name_zh="代理 NCA 损失",
    family="metric",
    tasks=("similarity",),
    input_kind="centres",
    inputs={
        "pred": "embeddings, (N, D)",
        "proxies": "a proxy for each class, (K, D)",
        "target": "class index, 0 to K - 1, (N,) int64",
    },
    differentiable=("pred", "proxies"),
    fn=proxy_nca,
    denominator=number_of_values,
    check=_check_proxy_nca,
    grad=_proxy_nca_grad,
    formula=(
        Line(r"d_k = \lVert \hat x - \hat p_k \rVert^2 = 2 - 2\,\hat x \cdot \hat p_k", _expanded_distances),
        Line(
            r"\ell = -\ln \frac{e^{-s d_y}}{\sum_{k} e^{-s d_k}} = \ln \sum_{k} e^{s (d_y - d_k)} "
            r"\quad (k \ne y, \text{ or all } k)",
            _proxy_nca_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial d_k} = s \left([k = y] - q_k\right), \quad "
    r"q_k = \frac{e^{-s d_k}}{\sum_j e^{-s d_j}} \quad (j, k \ne y, \text{ or all})",
    derivation=(
        Line(
            r"q_k = -\frac{1}{s} \frac{\partial}{\partial d_k} \ln \sum_j e^{-s d_j} = "
            r"\frac{e^{-s d_k}}{\sum_j e^{-s d_j}} \quad (j, k \ne y, \text{ or all})",
            _proxy_shares,
        ),
        Line(
            r"\frac{\partial \ell}{\partial d_k} = s \left([k = y] - q_k\right)",
            _proxy_nca_by_distance,
        ),
        Line(
            r"\frac{\partial d_k}{\partial x} = -2\,\frac{\partial}{\partial x} (\hat x \cdot \hat p_k) = "
            r"-\frac{2}{\lVert x \rVert} \left(\hat p_k - (\hat x \cdot \hat p_k)\,\hat x\right)",
            _proxy_distance_slopes,
        ),
        Line(
            r"\frac{\partial \ell}{\partial x} = \sum_k \frac{\partial \ell}{\partial d_k} \cdot "
            r"\frac{\partial d_k}{\partial x}",
            _proxy_nca_slope,
        ),
    ),
    params={
        "scale": Number("Factor on the squared distances, an inverse temperature.", 1.0, 0.1, 100.0, "log"),
        "denominator": Choice(
            "Which proxies the denominator adds up: those of the other classes, or all.",
            "negatives",
            ("negatives", "all"),
        ),
    },
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, {"pred": [[3.0, 0.1]], **_OTHER_SIDE}, {"pred": [[-1.0, 0.1]], **_OTHER_SIDE}),
        bounded=yes(
            "3 classes; the bound grows with the logarithm of their number",
            constant=lambda p: 4 * p["scale"] + math.log(_CLASSES),
        ),
        lipschitz=no(_SHORT, {"pred": [[1e-8, 0.0]], **_OTHER_SIDE}),
        smooth=no(_SHORT, {"pred": [[1e-8, 0.0]], **_OTHER_SIDE}, {"pred": [[2e-8, 0.0]], **_OTHER_SIDE}),
        symmetric=yes(_PERMUTED),
        scale_invariant=yes(_NOT_ZERO),
    ),
    pitfalls=(
        "With the paper's denominator it is no cross-entropy: it falls below 0 and keeps pushing when all is right.",
        "ProxyNCA++ and pytorch-metric-learning put all proxies into the denominator: another loss.",
        "At scale 1 the squared distances, 4 at most, hardly tell classes apart: the softmax stays flat.",
    ),
    reference="Movshovitz-Attias, Toshev, Leung, Ioffe and Singh (2017), No fuss distance metric learning using "
    "proxies, arXiv:1703.07464.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "u, v = F.normalize(pred), F.normalize(proxies)\n"
        "logits = -{scale} * ((u[:, None] - v) ** 2).sum(-1)\n"
        "label = F.one_hot(target, len(v)) > 0\n"
        "denominator = {denominator}\n"
        'rivals = logits if denominator == "all" else logits.masked_fill(label, float("-inf"))\n'
        "loss = (rivals.logsumexp(-1) - logits[label]).mean()\n",
        keras=None,
        optax=None,
        note="In pytorch-metric-learning it is ProxyNCALoss, with all proxies in the denominator.",
    ),
)


LOSSES: tuple[Loss, ...] = (
    COSINE_EMBEDDING,
    CONTRASTIVE,
    TRIPLET_MARGIN,
    CIRCLE,
    MULTI_SIMILARITY,
    CENTER,
    PROXY_NCA,
)
