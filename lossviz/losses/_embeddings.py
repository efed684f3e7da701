"""What the losses of embeddings share: unit vectors, cosines, who is whose positive, and the way back through them."""

import torch
from torch import Tensor

from lossviz.losses._checks import check_finite, require_floating, require_index, require_rows

SHORTEST = 1e-12
"""Shorter vectors are treated as if they had this length, so that a zero vector has cosine 0 with all others."""


def require_labelled(*, pred: Tensor, target: Tensor) -> None:
    """The first is (N, D) and floating, the second (N,) int64.

    Raises:
        ValueError: naming shape or dtype and what is allowed.
    """
    require_rows(pred=pred)
    require_index("target", target, pred.shape[:1])


def require_centres(name: str, centres: Tensor, *, pred: Tensor, target: Tensor) -> None:
    """Labelled embeddings, and (K, D) centres of their classes.

    Raises:
        ValueError: naming shape or dtype and what is allowed.
    """
    require_floating(pred=pred, **{name: centres})
    require_labelled(pred=pred, target=target)
    if centres.ndim != 2 or centres.shape[1] != pred.shape[1]:
        raise ValueError(
            f"{name} has shape {tuple(centres.shape)}, allowed: (K, {pred.shape[1]}), one row for each class"
        )


def check_labelled(*, pred: Tensor, target: Tensor) -> None:
    """Labelled embeddings, all of them finite.

    Raises:
        ValueError: naming what does not fit.
    """
    require_labelled(pred=pred, target=target)
    check_finite(pred=pred)


def norm(x: Tensor, p: float = 2.0) -> Tensor:
    """The ``p``-norm along the last axis, which is kept; torch gives it the slope 0 at 0."""
    return torch.pairwise_distance(x, torch.zeros_like(x), p, 0.0, keepdim=True)


def length(x: Tensor) -> Tensor:
    """Euclidean length along the last axis, which is kept; at least ``SHORTEST``."""
    # Clamped before the root, whose slope at 0 is infinite.
    return x.square().sum(-1, keepdim=True).clamp(min=SHORTEST**2).sqrt()


def unit(x: Tensor) -> Tensor:
    """The vectors along the last axis, scaled to length 1; a zero vector stays one."""
    return x / length(x)


def through_unit(x: Tensor, slope: Tensor) -> Tensor:
    """The gradient by ``x`` from the gradient by ``unit(x)``: what points along ``x`` changes nothing."""
    direction = unit(x)
    # Below SHORTEST the length divided by is a constant, so its own slope drops out.
    long = (x.square().sum(-1, keepdim=True) >= SHORTEST**2).to(x.dtype)
    along = long * (direction * slope).sum(-1, keepdim=True)
    return (slope - along * direction) / length(x)


def cosines(pred: Tensor) -> Tensor:
    """(N, N): cosine of the angle between each two rows."""
    directions = unit(pred)
    return directions @ directions.mT


def through_cosines(pred: Tensor, slopes: Tensor) -> Tensor:
    """The gradient by ``pred`` from the gradient by each entry of ``cosines(pred)``."""
    return through_unit(pred, (slopes + slopes.mT) @ unit(pred))


def cosine_slopes(x: Tensor, others: Tensor) -> Tensor:
    """(N, K, D): the gradient by each row of ``x`` of its cosine with each of the others."""
    return through_unit(x[:, None], unit(others))


def itself(target: Tensor) -> Tensor:
    """(N, N): whether two rows are the same one."""
    return torch.eye(target.shape[0], dtype=torch.bool, device=target.device)


def positives(target: Tensor) -> Tensor:
    """(N, N): whether the row of the second index is another one of the same class."""
    return (target[:, None] == target) & ~itself(target)


def negatives(target: Tensor) -> Tensor:
    """(N, N): whether the row of the second index is of another class."""
    return target[:, None] != target


def one_hot(target: Tensor, centres: Tensor) -> Tensor:
    """(N, K): 1 in the column of each row's class, in the dtype of ``centres``."""
    classes = torch.arange(centres.shape[0], device=target.device)
    return (target[:, None] == classes).to(centres.dtype)
