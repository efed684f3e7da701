"""A softmax layer that has learnt digits in a moment, and the digits it is tried on; only where MNIST is on disk."""

from functools import lru_cache

import torch
from torch import Tensor, nn

from lossviz.data import Split, find, load
from lossviz.losses import get
from lossviz.models import CLASSES, NETWORKS

SHOWN = 100
"""So many of the test images can be chosen."""
INK = 255
_LEARNT = 2000
_SEED = 5
_STEPS = 60
_RATE = 0.2
_MOMENTUM = 0.9


def available() -> bool:
    """Whether MNIST is on this machine."""
    return find() is not None


@lru_cache(1)
def digits() -> tuple[Tensor, Tensor]:
    """Test images ``(SHOWN, 784)``, 0 is paper and 1 is ink, float64, and the digits they show, ``(SHOWN,)``.

    Raises:
        DataError: MNIST is missing or damaged.
    """
    split = load("test")
    return _pixels(split, SHOWN), torch.tensor(split.labels[:SHOWN])


def _pixels(split: Split, count: int) -> Tensor:
    return torch.tensor(split.images[:count], dtype=torch.float64) / INK


@lru_cache(1)
def network() -> nn.Module:
    """Logits ``(N, 10)`` for images ``(N, 784)``, float64: trained on the first training images, at the first call.

    Raises:
        DataError: MNIST is missing or damaged.
    """
    split = load("train")
    images, target = _pixels(split, _LEARNT), torch.tensor(split.labels[:_LEARNT])
    loss, even = get("cross_entropy"), torch.ones(CLASSES, dtype=torch.float64)
    with torch.inference_mode(False), torch.enable_grad():
        model = NETWORKS["softmax"].build(_SEED).double()
        weights = list(model.parameters())
        speeds = [torch.zeros_like(w) for w in weights]
        for _ in range(_STEPS):
            value = loss.fn(pred=model(images), target=target, weight=even, **loss.resolve()).mean()
            slopes = torch.autograd.grad(value, weights)
            with torch.no_grad():
                for w, speed, slope in zip(weights, speeds, slopes, strict=True):
                    speed.mul_(_MOMENTUM).sub_(slope, alpha=_RATE)
                    w.add_(speed)
    return model
