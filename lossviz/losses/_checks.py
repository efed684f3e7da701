"""Checks shared by the entries.

``require_*`` look at shapes and dtypes only, so that ``fn`` can be batched and captured; ``check_*`` look at values.
"""

import math
import sys
from collections.abc import Sequence

import torch
from torch import Tensor


def require_floating(**tensors: Tensor) -> None:
    """All are of one floating dtype and none is empty.

    Raises:
        ValueError: naming the tensor, what it has and what is allowed.
    """
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(f"{name} has dtype {tensor.dtype}, allowed: a floating dtype such as torch.float32")
        if tensor.dtype != first.dtype:
            raise ValueError(f"{name} has dtype {tensor.dtype}, allowed: that of {first_name}, {first.dtype}")
        if tensor.numel() == 0:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}: the batch is empty, allowed: one value or more")


def require_same_shape(**tensors: Tensor) -> None:
    """All have one shape; nothing is broadcast, since (N,) against (N, 1) would silently give (N, N).

    Raises:
        ValueError: naming both shapes.
    """
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        if tensor.shape != first.shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}, allowed: that of {first_name}, {tuple(first.shape)}"
            )


def require_elementwise(*, pred: Tensor, target: Tensor) -> None:
    """The two are floating, not empty and of one shape.

    Raises:
        ValueError: naming what differs.
    """
    require_floating(pred=pred, target=target)
    require_same_shape(pred=pred, target=target)


def require_classes(*, pred: Tensor, target: Tensor) -> None:
    """The first is (N, K) and floating with K of at least 2, the second (N,) int64.

    Raises:
        ValueError: naming shape or dtype and what is allowed.
    """
    require_floating(pred=pred)
    if pred.ndim != 2 or pred.shape[1] < 2:
        raise ValueError(f"pred has shape {tuple(pred.shape)}, allowed: (N, K) with 2 classes or more")
    if target.dtype != torch.int64:
        raise ValueError(f"target has dtype {target.dtype}, allowed: torch.int64, a class index")
    if target.shape != pred.shape[:1]:
        raise ValueError(f"target has shape {tuple(target.shape)}, allowed: {tuple(pred.shape[:1])}, one for each row")


def require_one_per_class(name: str, tensor: Tensor, pred: Tensor) -> None:
    """The tensor holds one value for each class of ``pred``.

    Raises:
        ValueError: naming both shapes.
    """
    if tensor.shape != pred.shape[1:]:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}, allowed: {tuple(pred.shape[1:])}, one for each class"
        )


def require_axes(axes: str, **tensors: Tensor) -> None:
    """All have as many axes as ``axes`` names, ``"(N, D)"`` for instance.

    Raises:
        ValueError: naming the shape and the axes.
    """
    for name, tensor in tensors.items():
        if tensor.ndim != axes.count(",") + (not axes.endswith((",)", "()"))):
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, allowed: {axes}")


def require_shape(name: str, tensor: Tensor, shape: Sequence[int], why: str) -> None:
    """The tensor has this shape; ``why`` ends the sentence, ``"one for each row"`` for instance.

    Raises:
        ValueError: naming both shapes.
    """
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, allowed: {tuple(shape)}, {why}")


def require_rows(**tensors: Tensor) -> None:
    """All are floating, (N, D), and of one shape.

    Raises:
        ValueError: naming shape or dtype and what is allowed.
    """
    require_floating(**tensors)
    require_axes("(N, D)", **tensors)
    require_same_shape(**tensors)


def require_index(name: str, tensor: Tensor, shape: Sequence[int], why: str = "one for each row") -> None:
    """The tensor holds int64 indices and has this shape.

    Raises:
        ValueError: naming shape or dtype and what is allowed.
    """
    if tensor.dtype != torch.int64:
        raise ValueError(f"{name} has dtype {tensor.dtype}, allowed: torch.int64, an index")
    require_shape(name, tensor, shape, why)


# Masks of good values cost several times what a loss costs: they are made only to find the place of a bad one.


def _all_between(tensor: Tensor, low: float, high: float) -> bool:
    """Whether every value is from ``low`` to ``high``, both included; NaN is not."""
    if tensor.numel() == 0:
        return True
    smallest, largest = tensor.detach().aminmax()
    return low <= smallest.item() and largest.item() <= high


def _distances(tensor: Tensor, values: Sequence[float]) -> Tensor:
    """Product of the distances to the values: 0 at them alone, since so far apart it cannot underflow."""
    product = tensor - values[-1]
    for value in values[:-1]:
        product *= tensor - value if value else tensor
    return product


def check_where(name: str, tensor: Tensor, good: Tensor, allowed: str) -> None:
    """Every value is good.

    Raises:
        ValueError: naming the first bad value, its place and what is allowed.
    """
    if not bool(good.all()):
        place = tuple(int(i) for i in (~good).nonzero()[0])
        where = f" at {place}" if place else ""
        raise ValueError(f"{name}{where} is {tensor[place].item():g}, allowed: {allowed}")


def check_finite(**tensors: Tensor) -> None:
    """Every value is finite.

    Raises:
        ValueError: naming the first that is not.
    """
    for name, tensor in tensors.items():
        if not _all_between(tensor, -sys.float_info.max, sys.float_info.max):
            check_where(name, tensor, tensor.isfinite(), "finite numbers")


def check_between(name: str, tensor: Tensor, low: float, high: float) -> None:
    """Every value is from ``low`` to ``high``, both included; NaN is not.

    Raises:
        ValueError: naming the first that is not.
    """
    if not _all_between(tensor, low, high):
        check_where(name, tensor, (tensor >= low) & (tensor <= high), f"{low:g} to {high:g}")


def check_at_least(name: str, tensor: Tensor, low: float) -> None:
    """Every value is finite and at least ``low``.

    Raises:
        ValueError: naming the first that is not.
    """
    if not _all_between(tensor, low, sys.float_info.max):
        check_where(name, tensor, (tensor >= low) & tensor.isfinite(), f"{low:g} or more")


def check_above(name: str, tensor: Tensor, low: float) -> None:
    """Every value is finite and above ``low``.

    Raises:
        ValueError: naming the first that is not.
    """
    if not _all_between(tensor, math.nextafter(low, math.inf), sys.float_info.max):
        check_where(name, tensor, (tensor > low) & tensor.isfinite(), f"finite numbers above {low:g}")


def check_among(name: str, tensor: Tensor, values: Sequence[float], allowed: str) -> None:
    """Every value is one of a few, such as -1 and +1, at least 1 apart; ``allowed`` says them in words.

    Raises:
        ValueError: naming the first that is not.
    """
    # Part by part: fresh memory for whole maps takes longer than the arithmetic.
    parts = torch.split(tensor.flatten(), 2**15)
    if not all(_all_between(_distances(part, values), 0.0, 0.0) for part in parts):
        check_where(name, tensor, torch.isin(tensor, torch.tensor(values).to(tensor)), allowed)


def check_labels(target: Tensor, classes: int) -> None:
    """Every label is a class index.

    Raises:
        ValueError: naming the first that is not.
    """
    if not _all_between(target, 0, classes - 1):
        check_where("target", target, (target >= 0) & (target < classes), f"0 to {classes - 1}")


def check_distribution(name: str, tensor: Tensor) -> None:
    """Every value is a probability and those of the last axis add up to 1, within 1e-3 (half-precision sums).

    Raises:
        ValueError: naming the first value or sum that is not.
    """
    check_between(name, tensor, 0.0, 1.0)
    total = tensor.sum(-1)
    if not _all_between(total - 1, -1e-3, 1e-3):
        check_where(f"the sum of {name}", total, (total - 1).abs() <= 1e-3, "1, since it holds probabilities")
