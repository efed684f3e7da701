"""Bridges: how the ten logits of a classifier become the inputs of a loss, made for it or not.

Both ways are written out: the inputs of the loss, and the pull-back of its hand-written gradient to the logits, so that
no autograd graph runs through a loss of the catalogue; a typed formula has one, from its inputs to its values. What is
trained on is the mean over the images of a batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from lossviz import language, losses
from lossviz.losses.entry import Loss
from lossviz.losses.typed import typed_loss
from lossviz.models import CLASSES
from lossviz.runs import RunSpec
from lossviz.runs.spec import LossChoice

Inputs = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Bridge:
    """A way from logits ``(N, 10)`` and labels ``(N,)`` to a loss.

    Attributes:
        text: what it does, in plain words.
        latex: the training loss of one image with logits z and label c, in terms of the loss.
        inputs: the loss's inputs from ``(logits, labels)``.
        pull_back: the gradient by the logits, from the gradients by the inputs and the inputs themselves.
    """

    text: str
    latex: str
    inputs: Callable[[Tensor, Tensor], Inputs]
    pull_back: Callable[[Inputs, Inputs], Tensor]


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss with its parameters and its bridge: what a classifier is trained on."""

    loss: Loss
    params: Mapping[str, Any]
    bridge: Bridge

    def values(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of each image, shape ``(N,)``: summed over the classes where the loss has a value for each."""
        return _per_image(self.loss.fn(**self.bridge.inputs(logits, labels), **self.params))

    def gradient(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The gradient of the summed ``values`` by the logits, shape ``(N, 10)``; a new tensor, in no graph."""
        inputs = self.bridge.inputs(logits, labels)
        slopes = self.loss.grad(**inputs, **self.params) if self.loss.grad else self._by_autograd(inputs)
        return self.bridge.pull_back(slopes, inputs)

    def _by_autograd(self, inputs: Inputs) -> Inputs:
        with torch.enable_grad():
            leaves = {name: inputs[name].detach().requires_grad_() for name in self.loss.differentiable}
            value = self.loss.fn(**{**inputs, **leaves}, **self.params)
            slopes = torch.autograd.grad(value.sum(), list(leaves.values()))
        return dict(zip(leaves, slopes, strict=True))


def offered() -> tuple[str, ...]:
    """Keys of the losses that a classifier can be trained on, in the catalogue's order."""
    return tuple(loss.key for loss in losses.CATALOGUE if loss.key in BRIDGES)


def loss_of(choice: LossChoice) -> Loss:
    """The catalogue's loss, or the one that was typed.

    Raises:
        ValueError: there is no such loss, or what was typed is no formula.
    """
    if choice.key == language.KEY:
        return typed_loss(choice.formula)
    try:
        return losses.get(choice.key)
    except KeyError as error:
        raise ValueError(str(error.args[0])) from error


def bridge_to(key: str) -> Bridge:
    """The bridge to the loss with this key.

    Raises:
        ValueError: there is none.
    """
    if key == language.KEY:
        return FORMULA
    if key not in BRIDGES:
        raise ValueError(f"a classifier cannot be trained on {key}; allowed: {', '.join((*offered(), language.KEY))}")
    return BRIDGES[key]


def objective(choice: LossChoice) -> Objective:
    """The objective for a loss of a run.

    Raises:
        ValueError: there is no such loss, no bridge to it, a parameter is unknown or out of range, or a formula has no
            value at the probabilities that a network begins near, all alike.
    """
    loss = loss_of(choice)
    made = Objective(loss, loss.resolve(choice.params), bridge_to(loss.key))
    labels = torch.arange(CLASSES)
    loss.check(made.bridge.inputs(torch.zeros(CLASSES, CLASSES), labels), made.params)
    made.values(torch.zeros(CLASSES, CLASSES), labels)
    return made


def validate(spec: RunSpec) -> None:
    """Check what ``RunSpec.parse`` cannot: that each loss exists, has a bridge, and takes its parameters.

    Raises:
        ValueError: names the value and what is allowed.
    """
    for choice in spec.losses:
        objective(choice)


def _per_image(values: Tensor) -> Tensor:
    return values.sum(-1) if values.ndim == 2 else values


def _one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    return _identity(logits.shape[-1], logits.dtype, logits.device).index_select(0, labels)


@cache
def _identity(classes: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.eye(classes, dtype=dtype, device=device)


def _probabilities(pred: str, target: str) -> Callable[[Tensor, Tensor], Inputs]:
    return lambda logits, labels: {pred: torch.softmax(logits, -1), target: _one_hot(logits, labels)}


def _through_softmax(pred: str) -> Callable[[Inputs, Inputs], Tensor]:
    def pull_back(gradients: Inputs, inputs: Inputs) -> Tensor:
        weighted = inputs[pred] * gradients[pred]
        return weighted.addcmul_(inputs[pred], weighted.sum(-1, keepdim=True), value=-1)

    return pull_back


def _straight(name: str) -> Callable[[Inputs, Inputs], Tensor]:
    return lambda gradients, inputs: gradients[name]


def _against_probabilities(name: str) -> Bridge:
    return Bridge(
        text=f"Softmax probabilities against the one-hot label, {name} summed over the 10 classes.",
        latex=r"\sum_{k=1}^{10} \ell\bigl(\mathrm{softmax}(z)_k,\ [k = c]\bigr)",
        inputs=_probabilities("pred", "target"),
        pull_back=_through_softmax("pred"),
    )


BRIDGES: dict[str, Bridge] = {
    "mse": _against_probabilities("squared error"),
    "mae": _against_probabilities("absolute error"),
    "huber": _against_probabilities("Huber loss"),
    "msle": _against_probabilities("squared logarithmic error"),
    "bce_with_logits": Bridge(
        text="One against the rest: each logit alone against 0 or 1, summed over the 10 classes.",
        latex=r"\sum_{k=1}^{10} \ell\bigl(z_k,\ [k = c]\bigr)",
        inputs=lambda logits, labels: {"pred": logits, "target": _one_hot(logits, labels)},
        pull_back=_straight("pred"),
    ),
    "cross_entropy": Bridge(
        text="The logits and the label's index, as they are; an ignored label counts as a loss of 0.",
        latex=r"\ell(z,\ c)",
        inputs=lambda logits, labels: {"pred": logits, "target": labels, "weight": logits.new_ones(logits.shape[-1])},
        pull_back=_straight("pred"),
    ),
    "softmax_focal": Bridge(
        text="The logits and the label's index, as they are.",
        latex=r"\ell(z,\ c)",
        inputs=lambda logits, labels: {"pred": logits, "target": labels},
        pull_back=_straight("pred"),
    ),
    "hinge": Bridge(
        text="One against the rest: each logit alone against the label -1 or +1, summed over the 10 classes.",
        latex=r"\sum_{k=1}^{10} \ell\bigl(z_k,\ 2\,[k = c] - 1\bigr)",
        inputs=lambda logits, labels: {"pred": logits, "target": 2 * _one_hot(logits, labels) - 1},
        pull_back=_straight("pred"),
    ),
    "cosine_similarity": Bridge(
        text="The angle between the vector of softmax probabilities and the one-hot label.",
        latex=r"\ell\bigl(\mathrm{softmax}(z),\ e_c\bigr)",
        inputs=_probabilities("x1", "x2"),
        pull_back=_through_softmax("x1"),
    ),
}
"""By loss of the catalogue. ``quantile`` has none: a quantile of a one-hot label means nothing."""

FORMULA = _against_probabilities("the formula")
"""To whatever was typed."""
