"""The networks that the golden cases of four losses were computed with, and random ones of their shape."""

import torch
from sampling import Source
from torch import Tensor, nn

from lossviz.losses import Loss


class Weights(nn.Module):
    """Holds named weights; ``model.W1`` and the like are the names of their gradients."""

    def __init__(self, **weights: Tensor) -> None:
        super().__init__()
        for name, weight in weights.items():
            self.register_parameter(name, nn.Parameter(weight.clone()))


class TanhNetwork(Weights):
    """``tanh(x W1 + b1) W2 + b2``, with W1 ``(D, H)``, b1 ``(H,)``, W2 ``(H, K)``, b2 ``(K,)``."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.W1 + self.b1) @ self.W2 + self.b2


class Critic(Weights):
    """``w.x + x'Ax / 2 + tanh(u.x)``, one score a row, with w ``(D,)``, A ``(D, D)`` symmetric, u ``(D,)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.w + 0.5 * ((x @ self.A) * x).sum(-1) + torch.tanh(x @ self.u)


def _normal(dtype: torch.dtype, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).to(dtype)


def classifier(source: Source, features: int = 2, classes: int = 3) -> TanhNetwork:
    """A network with four hidden units; always the same one, so that only inputs are searched over."""
    shapes = {"W1": (features, 4), "b1": (4,), "W2": (4, classes), "b2": (classes,)}
    return TanhNetwork(**{name: _normal(source.dtype, *shape) for name, shape in shapes.items()})


def critic(source: Source, features: int = 2) -> Critic:
    """A critic; always the same one."""
    a = _normal(source.dtype, features, features)
    return Critic(w=_normal(source.dtype, features), A=a + a.T, u=_normal(source.dtype, features) + 1)


def sequential(loss: Loss, dtype: torch.dtype) -> nn.Sequential:
    """A network for one of the losses that take one, of layers that can be written as code; always the same one."""
    last = [nn.Linear(4, 1), nn.Flatten(0)] if loss.input_kind == "critic_model" else [nn.Linear(4, 3)]
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 4), nn.Tanh(), *last).to(dtype)
    for weight in network.parameters():
        weight.data = _normal(dtype, *weight.shape)
    return network
