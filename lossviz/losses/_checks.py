"""Checks shared by the entries.

``require_*`` look at shapes and dtypes only, so that ``fn`` can be batched and captured; ``check_*`` look at values.
"""

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
        check_where(name, tensor, tensor.isfinite(), "finite numbers")
