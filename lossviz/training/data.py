"""MNIST as the engine wants it: compact and wholly on the device, so that no loader feeds the steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lossviz import data

SAMPLE = slice(None, None, 10)
"""Every tenth test image: 1,000 that span the file, whose first half is easier than its second."""

GATHERED = 8_192
"""Images of a seed that are put in order at once: one call for many steps, which then find them in the cache."""


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

    def batches(self, seeds: Sequence[int], batch_size: int, epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images ``(S, batch_size, 784)`` and labels ``(S, batch_size)``; each seed has an order of its own."""
        # Drawn on the CPU, so that the order is the same on every device.
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for _ in range(epochs):
            orders = [torch.randperm(len(self.labels), generator=generator) for generator in generators]
            for order in torch.stack(orders).to(self.device).split(max(1, GATHERED // batch_size) * batch_size, 1):
                images = self.images.index_select(0, order.flatten()).view(*order.shape, -1)
                yield from zip(images.split(batch_size, 1), self.labels[order].split(batch_size, 1), strict=True)

    @classmethod
    def load(cls, device: torch.device) -> "Dataset":
        """MNIST, verified and moved to ``device``.

        Raises:
            DataError: it is not there or damaged; the sentence says what to do.
        """
        train, test = data.load("train"), data.load("test")
        arrays = (train.images, train.labels, test.images, test.labels)
        return cls(*(torch.from_numpy(array).to(device) for array in arrays))


def pixels(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Images as floating-point numbers from 0 (paper) to 1 (ink)."""
    return images.to(dtype).div_(255)
