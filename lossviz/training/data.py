"""MNIST as the engine wants it: compact and wholly on the device, so that no loader feeds the steps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lossviz import data

SAMPLE = slice(None, None, 10)
"""Every tenth test image: 1,000 that span the file, whose first half is easier than its second."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Images ``(N, 784)`` as uint8 and labels ``(N,)`` as int64, on one device."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @property
    def device(self) -> torch.device:
        """Where the images lie."""
        return self.images.device

    @classmethod
    def load(cls, device: torch.device) -> "Dataset":
        """MNIST, verified and moved to ``device``.

        Raises:
            DataError: it is not there or damaged; the sentence says what to do.
        """
        train, test = data.load("train"), data.load("test")
        arrays = (train.images, train.labels, test.images, test.labels)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


def pixels(images: Tensor) -> Tensor:
    """Images as float32 from 0 (paper) to 1 (ink)."""
    return images.to(torch.float32).div_(255)
