"""The networks that losses are tried on: from an image of 784 pixels to 10 logits, as small as each idea allows."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

PIXELS = 784
CLASSES = 10


@dataclass(frozen=True, slots=True)
class Network:
    """A network by name.

    Attributes:
        key: stable name; stored runs hold it.
        description: one line for people.
        layers: makes the layers, their weights not yet drawn.
    """

    key: str
    description: str
    layers: Callable[[], nn.Module]

    def build(self, seed: int) -> nn.Module:
        """The network with weights that depend on ``seed`` alone; takes images ``(N, 784)``, gives logits ``(N, 10)``.

        Weights and biases are uniform in +-1/sqrt(fan-in), PyTorch's default.
        """
        module = self.layers()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer in module.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    bound = 1 / math.sqrt(layer.weight[0].numel())
                    layer.weight.uniform_(-bound, bound, generator=generator)
                    _bias(layer).uniform_(-bound, bound, generator=generator)
        return module

    def parameters(self) -> int:
        """How many numbers are learnt."""
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in self.layers().parameters())


def _bias(layer: nn.Linear | nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def _softmax() -> nn.Module:
    return nn.Linear(PIXELS, CLASSES)


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(PIXELS, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 8, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(400, CLASSES),
    )


NETWORKS: dict[str, Network] = {
    network.key: network
    for network in (
        Network("softmax", "Softmax layer: every pixel votes for every digit, 784 to 10.", _softmax),
        Network("mlp", "Two layers with ReLU between them, 784 to 128 to 10.", _mlp),
        Network("cnn", "Two small convolutions (8 of 5x5, 16 of 3x3), each pooled, and a last layer to 10.", _cnn),
    )
}
