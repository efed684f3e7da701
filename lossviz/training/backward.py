"""Many equal networks as one program: their weights in one flat tensor, one forward pass and one way back for all.

The networks stand for S seeds times L losses, seeds first: network ``s * L + l`` learns loss ``l`` from seed ``s``. All
losses of a seed see the same images, so the first layer of all of them is one matrix product. Fully connected networks
are differentiated by hand, which takes a third of autograd's time for nets as small as these; convolutions go through
autograd, in as many groups as there are networks.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossviz.models import CLASSES


class Weights:
    """The parameters of all networks as views into one flat tensor, and their gradients into another.

    Attributes:
        values: every number that is learnt.
        gradient: the gradient by each of them.
        parameters: for each parameter of the network its ``(values, gradient)``, shape ``(S * L, *shape)``; those of
            a convolution with their channels last, which halves the time of a small CNN on a CPU.
    """

    def __init__(self, networks: Sequence[nn.Module], losses: int) -> None:
        """Start ``losses`` networks from the weights of each of ``networks``, one for each seed."""
        alike = zip(*(network.parameters() for network in networks), strict=True)
        stacks = [
            torch.stack([_channels_last(each.detach()) for each in same]).repeat_interleave(losses, 0) for same in alike
        ]
        self.values = torch.cat([stack.flatten() for stack in stacks])
        self.gradient = torch.zeros_like(self.values)
        sizes = [stack.numel() for stack in stacks]
        pieces = zip(stacks, self.values.split(sizes), self.gradient.split(sizes), strict=True)
        self.parameters = [(values.view_as(stack), gradient.view_as(stack)) for stack, values, gradient in pieces]

    def norms(self) -> Tensor:
        """The norm of each network's gradient, in float64."""
        parts = [gradient.flatten(1) for _, gradient in self.parameters]
        norms = [torch.linalg.vector_norm(part, dim=1, dtype=torch.float64) for part in parts]
        return torch.linalg.vector_norm(torch.stack(norms), dim=0)

    def shorten(self, longest: float) -> None:
        """Scale the gradient of each network whose norm is above ``longest`` down to it, as PyTorch's clipping does."""
        factors = (longest / (self.norms() + 1e-6)).clamp_(max=1.0).to(self.values.dtype)
        for _, gradient in self.parameters:
            gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))

    def finite(self) -> Tensor:
        """Whether all of a network's weights are finite, for each network."""
        return torch.stack([values.flatten(1).isfinite().all(1) for values, _ in self.parameters]).all(0)


def _channels_last(parameter: Tensor) -> Tensor:
    return parameter.permute(0, 2, 3, 1) if parameter.ndim == 4 else parameter


class Program(Protocol):
    """A forward pass that is remembered, and the way back through it."""

    def logits(self, images: Tensor) -> list[Tensor]:
        """For each loss the logits ``(S * N, 10)`` of images ``(S, N, 784)``, apart from any autograd graph."""
        ...

    def fill(self, gradients: Sequence[Tensor | None]) -> None:
        """Write the gradient by the weights into ``Weights.gradient``.

        Args:
            gradients: for each loss that of its sum over all images by the last logits, ``(S * N, 10)``, to be
                changed in place; what is descended on is the mean over a seed's N. ``None`` counts as zero.
        """
        ...


def program(network: nn.Module, weights: Weights, seeds: int, losses: int) -> Program:
    """The quickest way through networks like ``network``, whose parameters are those of ``weights``."""
    layers = [network] if isinstance(network, nn.Linear) else list(network.children())
    dense = all(isinstance(layer, nn.Linear if place % 2 == 0 else nn.ReLU) for place, layer in enumerate(layers))
    if dense and len(layers) % 2 == 1:
        return Dense(weights, seeds, losses)
    return Convolutional(layers, weights, seeds, losses)


class Dense:
    """Linear layers with ReLU between them.

    Activations lie with the images last, ``(networks, features, N)``: then each product has large contiguous rows, and
    what leaves the first layer of all of a seed's networks is what enters their second. A single matrix has no first
    axis, because plain products are quicker than batched ones of one.
    """

    def __init__(self, weights: Weights, seeds: int, losses: int) -> None:
        self._shape = (seeds, losses)
        self._layers: list[_Layer] = []
        pairs = zip(weights.parameters[::2], weights.parameters[1::2], strict=True)
        for (weight, weight_gradient), (bias, bias_gradient) in pairs:
            # The networks of a seed share what enters the first layer.
            products = seeds * losses if self._layers else seeds
            together = () if products == 1 else (products,)
            rows, column = (*together, -1, weight.shape[-1]), (*together, -1, 1)
            self._layers.append(
                _Layer(weight.view(rows), bias.view(column), weight_gradient.view(rows), bias_gradient.view(column))
            )
        self._entered: list[Tensor] = []
        self._left = torch.empty(0)

    def logits(self, images: Tensor) -> list[Tensor]:
        """See ``Program``."""
        seeds, losses = self._shape
        passing = (images[0] if seeds == 1 else images).mT
        self._entered = [passing]
        for layer in self._layers[:-1]:
            passing = layer.forward(passing).relu_()
            if seeds * losses > 1:
                passing = passing.view(seeds * losses, -1, passing.shape[-1])
            self._entered.append(passing)
        self._left = self._layers[-1].forward(passing)
        if losses == 1:
            return [self._left.mT.reshape(-1, CLASSES)]
        apart = self._left.view(seeds, losses, CLASSES, -1).permute(1, 0, 3, 2)
        return list(apart.clone(memory_format=torch.contiguous_format).view(losses, -1, CLASSES).unbind())

    def fill(self, gradients: Sequence[Tensor | None]) -> None:
        """See ``Program``."""
        gradient = self._arranged(gradients)
        for place in reversed(range(len(self._layers))):
            layer, entered = self._layers[place], self._entered[place]
            layer.fill(gradient, entered)
            if place > 0:
                gradient = layer.product(layer.weight.mT, gradient).mul_(entered > 0)
                gradient = gradient.view(self._layers[place - 1].left(gradient.shape[-1]))

    def _arranged(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """The gradient of the means by what the last layer gave, shaped as that."""
        seeds, losses = self._shape
        count = self._left.shape[-1]
        if losses == 1 and gradients[0] is not None:
            gradient = gradients[0].div_(count)
            return gradient.t() if seeds == 1 else gradient.view(seeds, count, CLASSES).mT
        # The logits have been handed out as a copy: what they were made of takes the gradient by them.
        for part, into in zip(gradients, self._left.view(seeds, losses, CLASSES, count).unbind(1), strict=True):
            if part is None:
                into.zero_()
            else:
                into.copy_(part.view(seeds, count, CLASSES).mT)
        return self._left.div_(count)


class _Layer:
    """A linear layer of several networks: weights ``(networks, out, in)``, biases ``(networks, out, 1)``."""

    def __init__(self, weight: Tensor, bias: Tensor, weight_gradient: Tensor, bias_gradient: Tensor) -> None:
        self.weight = weight
        self.product = torch.mm if weight.ndim == 2 else torch.bmm
        self._bias = bias
        self._affine = torch.addmm if weight.ndim == 2 else torch.baddbmm
        self._gradients = weight_gradient, bias_gradient

    def forward(self, entered: Tensor) -> Tensor:
        return self._affine(self._bias, self.weight, entered)

    def fill(self, gradient: Tensor, entered: Tensor) -> None:
        weight_gradient, bias_gradient = self._gradients
        self.product(gradient, entered.mT, out=weight_gradient)
        torch.sum(gradient, -1, keepdim=True, out=bias_gradient)

    def left(self, count: int) -> tuple[int, ...]:
        """The shape of what leaves for ``count`` images."""
        return (*self._bias.shape[:-1], count)


class Convolutional:
    """Convolutions, what stands between them, and a linear layer at the end; the networks lie along the channels."""

    def __init__(self, layers: Sequence[nn.Module], weights: Weights, seeds: int, losses: int) -> None:
        self._layers = layers
        self._weights = weights
        self._shape = (seeds, losses)
        self._logits = torch.empty(0)
        self._parameters = [_leaf(_in_a_row(values), _in_a_row(gradient)) for values, gradient in weights.parameters]

    def logits(self, images: Tensor) -> list[Tensor]:
        """See ``Program``."""
        seeds, losses = self._shape
        passing = images.transpose(0, 1)
        parameters = iter(self._parameters)
        for layer in self._layers:
            match layer:
                case nn.Unflatten():
                    passing = passing.unflatten(-1, layer.unflattened_size).flatten(1, 2)
                    passing = passing.contiguous(memory_format=torch.channels_last)
                case nn.Conv2d():
                    groups = passing.shape[1] // layer.in_channels
                    passing = F.conv2d(passing, next(parameters), next(parameters).flatten(), groups=groups)
                case nn.Flatten():
                    passing = passing.unflatten(1, (seeds * losses, -1)).flatten(2).transpose(0, 1)
                case nn.Linear():
                    weight, bias = next(parameters).transpose(1, 2), next(parameters).unsqueeze(1)
                    passing = torch.baddbmm(bias, passing, weight)
                case _:
                    passing = layer(passing)
        self._logits = passing.unflatten(0, (seeds, losses)).transpose(0, 1)
        return list(self._logits.detach().reshape(losses, -1, CLASSES).unbind())

    def fill(self, gradients: Sequence[Tensor | None]) -> None:
        """See ``Program``."""
        shape = self._logits.shape
        parts = [self._logits.new_zeros(shape[1:]) if part is None else part.view(shape[1:]) for part in gradients]
        self._weights.gradient.zero_()
        self._logits.backward(torch.stack(parts).div_(shape[2]))


def _in_a_row(parameter: Tensor) -> Tensor:
    """The kernels of all networks one after the other, as a convolution wants them; anything else as it is."""
    return parameter.flatten(0, 1).permute(0, 3, 1, 2) if parameter.ndim == 5 else parameter


def _leaf(values: Tensor, gradient: Tensor) -> Tensor:
    leaf = values.detach().requires_grad_()
    leaf.grad = gradient
    return leaf
