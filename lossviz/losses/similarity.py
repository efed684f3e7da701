"""Losses between two embeddings: one value per pair of rows."""

import math

from torch import Tensor

from lossviz.losses._checks import check_finite, require_floating, require_same_shape
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Code,
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


def cosine_similarity(*, x1: Tensor, x2: Tensor, eps: float = 1e-8) -> Tensor:
    """Cosine distance, one minus the cosine of the angle: the lengths of the two vectors do not count.

    Args:
        x1: embeddings, shape ``(N, D)``.
        x2: embeddings, same shape.
        eps: smallest length divided by, so that a zero vector has cosine 0; above 0.

    Returns:
        Loss per pair, shape ``(N,)``, from 0 (same direction) to 2 (opposite), without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    _require_pairs(x1=x1, x2=x2)
    return 1 - (_unit(x1, eps) * _unit(x2, eps)).sum(-1)


def _require_pairs(*, x1: Tensor, x2: Tensor) -> None:
    require_floating(x1=x1, x2=x2)
    require_same_shape(x1=x1, x2=x2)
    if x1.ndim != 2:
        raise ValueError(f"x1 has shape {tuple(x1.shape)}, allowed: (N, D)")


def _length(x: Tensor, eps: float) -> Tensor:
    # Clamped before the root, whose slope at 0 is infinite.
    return x.square().sum(-1, keepdim=True).clamp(min=eps**2).sqrt()


def _unit(x: Tensor, eps: float) -> Tensor:
    return x / _length(x, eps)


def _grad(*, x1: Tensor, x2: Tensor, eps: float) -> dict[str, Tensor]:
    u1, u2 = _unit(x1, eps), _unit(x2, eps)
    cosine = (u1 * u2).sum(-1, keepdim=True)

    def of(x: Tensor, unit: Tensor, other: Tensor) -> Tensor:
        # Below eps the length divided by is a constant, so its own slope drops out.
        along = cosine * (x.square().sum(-1, keepdim=True) >= eps**2).to(x.dtype)
        return (along * unit - other) / _length(x, eps)

    return {"x1": of(x1, u1, u2), "x2": of(x2, u2, u1)}


def _check(inputs: Inputs, params: Params) -> None:
    _require_pairs(x1=inputs["x1"], x2=inputs["x2"])
    check_finite(x1=inputs["x1"], x2=inputs["x2"])


def _length_1(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    return (x1 * x1).sum(-1).sqrt().clamp(min=eps)


def _length_2(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    return (x2 * x2).sum(-1).sqrt().clamp(min=eps)


def _cosine(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    return (x1 * x2).sum(-1) / (_length_1(x1=x1, x2=x2, eps=eps) * _length_2(x1=x1, x2=x2, eps=eps))


def _line(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    return 1 - _cosine(x1=x1, x2=x2, eps=eps)


def _length_slope(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    length = _length_1(x1=x1, x2=x2, eps=eps)[:, None]
    # Below eps the length divided by is a constant.
    return x1 / length * ((x1 * x1).sum(-1, keepdim=True) >= eps**2).to(x1.dtype)


def _inner_slope(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    return x2


def _cosine_slope(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    first, second = _length_1(x1=x1, x2=x2, eps=eps)[:, None], _length_2(x1=x1, x2=x2, eps=eps)[:, None]
    cosine = _cosine(x1=x1, x2=x2, eps=eps)[:, None]
    return _inner_slope(x1=x1, x2=x2, eps=eps) / (first * second) - cosine / first * _length_slope(
        x1=x1, x2=x2, eps=eps
    )


def _slope(*, x1: Tensor, x2: Tensor, eps: float) -> Tensor:
    return -_cosine_slope(x1=x1, x2=x2, eps=eps)


_EVERYWHERE = "all real vectors"

COSINE_SIMILARITY = Loss(
    key="cosine_similarity",
    name="Cosine similarity loss",
    name_zh="余弦相似度损失",
    family="similarity",
    tasks=("similarity",),
    input_kind="pairs",
    inputs={"x1": "embeddings, (N, D)", "x2": "embeddings, (N, D)"},
    differentiable=("x1", "x2"),
    fn=cosine_similarity,
    denominator=number_of_values,
    check=_check,
    grad=_grad,
    formula=(
        Line(r"n_1 = \max(\lVert x_1 \rVert, \varepsilon)", _length_1),
        Line(r"n_2 = \max(\lVert x_2 \rVert, \varepsilon)", _length_2),
        Line(r"c = \frac{x_1 \cdot x_2}{n_1 n_2}", _cosine),
        Line(r"\ell = 1 - c", _line),
    ),
    gradient=r"\frac{\partial \ell}{\partial x_1} = \frac{1}{n_1} \left(c\,\frac{x_1}{n_1} - \frac{x_2}{n_2}\right), "
    r"\quad \frac{\partial \ell}{\partial x_2} = \frac{1}{n_2} \left(c\,\frac{x_2}{n_2} - \frac{x_1}{n_1}\right) "
    r"\quad (\text{a vector shorter than } \varepsilon \text{ without the term in } c)",
    derivation=(
        Line(
            r"\frac{\partial n_1}{\partial x_1} = \frac{x_1}{n_1}\,[\lVert x_1 \rVert \ge \varepsilon]",
            _length_slope,
        ),
        Line(r"\frac{\partial}{\partial x_1} (x_1 \cdot x_2) = x_2", _inner_slope),
        Line(
            r"\frac{\partial c}{\partial x_1} = \frac{x_2}{n_1 n_2} - \frac{x_1 \cdot x_2}{n_1^2\,n_2} "
            r"\frac{\partial n_1}{\partial x_1} = \frac{x_2}{n_1 n_2} - \frac{c}{n_1} "
            r"\frac{\partial n_1}{\partial x_1}",
            _cosine_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial x_1} = -\frac{\partial c}{\partial x_1} = \frac{1}{n_1} "
            r"\left(c\,\frac{\partial n_1}{\partial x_1} - \frac{x_2}{n_2}\right)",
            _slope,
        ),
    ),
    params={"eps": Number("Shorter vectors are treated as if they had this length.", 1e-8, 1e-12, 1e-2, "log")},
    properties=Properties(
        convex_in_pred=no(
            "x1, for a fixed x2", {"x1": [[1.0, 1.0]], "x2": [[1.0, 0.0]]}, {"x1": [[-3.0, 1.0]], "x2": [[1.0, 0.0]]}
        ),
        convex_in_logits=NOT_APPLICABLE,
        bounded=yes(_EVERYWHERE, constant=lambda _: 2.0),
        lipschitz=yes(
            "all real vectors, with a constant of the order of 1/eps: near the zero vector the slope is enormous",
            constant=lambda p: math.sqrt(2) / p["eps"],
        ),
        smooth=no(
            "all real vectors; the kink is where a length passes eps",
            {"x1": [[0.9e-8, 0.0]], "x2": [[1.0, 0.0]]},
            {"x1": [[1.1e-8, 0.0]], "x2": [[1.0, 0.0]]},
        ),
        robust=NOT_APPLICABLE,
        symmetric=yes(_EVERYWHERE),
        proper=NOT_APPLICABLE,
        calibrated=NOT_APPLICABLE,
        scale_invariant=yes("vectors not shorter than eps"),
        needs_pairs=pairs("two embeddings that should point the same way"),
    ),
    pitfalls=(
        "Keras returns minus the cosine, from -1 to 1, instead of one minus the cosine.",
        "The gradient is inversely proportional to the length: short embeddings turn fast, long ones hardly at all.",
        "A zero vector has loss 1 whatever the other one is, and below eps the gradient is of the order of 1/eps.",
        "On exactly opposite vectors the gradient vanishes although the loss is at its maximum.",
    ),
    reference="Salton, Wong and Yang (1975), A vector space model for automatic indexing, doi:10.1145/361219.361220.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "loss = (1 - F.cosine_similarity(x1, x2, dim=-1, eps={eps})).mean()\n",
        keras="import keras\n\nloss = 1 + keras.ops.mean(keras.losses.cosine_similarity(x1, x2))\n",
        optax="import optax\n\nloss = optax.losses.cosine_distance(x1, x2, epsilon={eps} ** 2).mean()\n",
        note="Keras gives minus the cosine, so 1 is added; its own, fixed epsilon matters near the zero vector only. "
        "Optax compares epsilon with squared lengths.",
    ),
)


LOSSES: tuple[Loss, ...] = (COSINE_SIMILARITY,)
