"""From the gradient by the logits to the gradient by the weights, all of them in one flat tensor.

Fully connected networks are differentiated by hand, which takes a third of autograd's time for nets as small as these;
anything else goes through autograd.
"""

from typing import Protocol

import torch
from torch import Tensor, nn


class Weights:
    """All parameters of a network as views into one flat tensor, and their gradients into another.

    Convolutions keep their channels last there, which halves the time of a small CNN on a CPU.
    """

    def __init__(self, network: nn.Module) -> None:
        parameters = list(network.parameters())
        self.values = torch.cat([_channels_last(parameter.detach()).flatten() for parameter in parameters])
        self.gradient = torch.zeros_like(self.values)
        sizes = [parameter.numel() for parameter in parameters]
        pieces = zip(parameters, self.values.split(sizes), self.gradient.split(sizes), strict=True)
        for parameter, values, gradient in pieces:
            parameter.data, parameter.grad = _like(parameter, values), _like(parameter, gradient)


def _channels_last(parameter: Tensor) -> Tensor:
    return parameter.permute(0, 2, 3, 1) if parameter.ndim == 4 else parameter


def _like(parameter: Tensor, flat: Tensor) -> Tensor:
    viewed = flat.view(_channels_last(parameter).shape)
    return viewed.permute(0, 3, 1, 2) if parameter.ndim == 4 else viewed


class Backward(Protocol):
    """A forward pass that is remembered, and the way back through it."""

    def logits(self, images: Tensor) -> Tensor:
        """Logits ``(N, 10)`` of images ``(N, 784)``, apart from any autograd graph."""
        ...

    def fill(self, gradient: Tensor) -> None:
        """Write the gradient by the weights into ``Weights.gradient``, from that by the last logits."""
        ...


def backward(network: nn.Module, weights: Weights) -> Backward:
    """The quickest way through ``network``, whose parameters are those of ``weights``."""
    layers = [network] if isinstance(network, nn.Linear) else list(network.children())
    dense = all(isinstance(layer, nn.Linear if place % 2 == 0 else nn.ReLU) for place, layer in enumerate(layers))
    if dense and len(layers) % 2 == 1:
        return Dense([layer for layer in layers if isinstance(layer, nn.Linear)])
    return Autograd(network, weights)


class Dense:
    """Linear layers with ReLU between them."""

    def __init__(self, layers: list[nn.Linear]) -> None:
        self._layers = [
            (layer.weight.data, layer.bias.data, _gradient(layer.weight), _gradient(layer.bias)) for layer in layers
        ]
        self._inputs: list[Tensor] = []

    def logits(self, images: Tensor) -> Tensor:
        """See ``Backward``."""
        self._inputs = [images]
        for weight, bias, _, _ in self._layers[:-1]:
            self._inputs.append(torch.addmm(bias, self._inputs[-1], weight.t()).relu_())
        weight, bias, _, _ = self._layers[-1]
        return torch.addmm(bias, self._inputs[-1], weight.t())

    def fill(self, gradient: Tensor) -> None:
        """See ``Backward``."""
        for place in reversed(range(len(self._layers))):
            weight, _, weight_gradient, bias_gradient = self._layers[place]
            entered = self._inputs[place]
            torch.mm(gradient.t(), entered, out=weight_gradient)
            torch.sum(gradient, 0, out=bias_gradient)
            if place > 0:
                gradient = (gradient @ weight).mul_(entered > 0)


class Autograd:
    """Any network, by PyTorch's own differentiation."""

    def __init__(self, network: nn.Module, weights: Weights) -> None:
        self._network = network
        self._weights = weights
        self._logits = torch.empty(0)

    def logits(self, images: Tensor) -> Tensor:
        """See ``Backward``."""
        self._logits = self._network(images)
        return self._logits.detach()

    def fill(self, gradient: Tensor) -> None:
        """See ``Backward``."""
        self._weights.gradient.zero_()
        self._logits.backward(gradient)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
