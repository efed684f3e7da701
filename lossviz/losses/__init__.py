"""The catalogue of losses: written once in torch, everything else is derived from here."""

import reprlib
from dataclasses import fields
from typing import get_args

import torch
from torch import Tensor

from lossviz.losses import (
    adaptive,
    adversarial,
    angular,
    binary,
    classification,
    contrastive,
    detection,
    deviance,
    divergences,
    gan,
    generative,
    joint,
    margins,
    metric,
    multiclass,
    multitask,
    noise_robust,
    ranking,
    regression,
    robust,
    segmentation,
    semisupervised,
    sequence,
    similarity,
    snippets,
    sparse,
    sparse_maps,
    transport,
)
from lossviz.losses.entry import Inputs, Loss, Model, Params, Properties, Task, nearest
from lossviz.losses.snippets import Library

__all__ = ["CATALOGUE", "Inputs", "Library", "Loss", "Model", "Params", "find", "get", "snippet", "value_and_grad"]

CATALOGUE: tuple[Loss, ...] = (
    *regression.LOSSES,
    *robust.LOSSES,
    *deviance.LOSSES,
    *classification.LOSSES,
    *binary.LOSSES,
    *margins.LOSSES,
    *multiclass.LOSSES,
    *noise_robust.LOSSES,
    *divergences.LOSSES,
    *transport.LOSSES,
    *sparse_maps.LOSSES,
    *similarity.LOSSES,
    *metric.LOSSES,
    *contrastive.LOSSES,
    *angular.LOSSES,
    *detection.LOSSES,
    *segmentation.LOSSES,
    *sequence.LOSSES,
    *gan.LOSSES,
    *multitask.LOSSES,
    *adaptive.LOSSES,
    *adversarial.LOSSES,
    *joint.LOSSES,
    *sparse.LOSSES,
    *semisupervised.LOSSES,
    *generative.LOSSES,
    *ranking.LOSSES,
)

TASKS: tuple[str, ...] = get_args(Task)
PROPERTIES = ("convex", *(field.name for field in fields(Properties)))
"""What ``find`` can be asked for."""
_BY_KEY = {loss.key: loss for loss in CATALOGUE}


def get(key: str) -> Loss:
    """The loss with this key.

    Raises:
        KeyError: there is none; the nearest keys are listed.
    """
    if key not in _BY_KEY:
        raise KeyError(f"No loss is called {key[:50]!r}; nearest: {nearest(key, _BY_KEY)}")
    return _BY_KEY[key]


def find(task: Task | None = None, **properties: bool | None) -> tuple[Loss, ...]:
    """The losses of a task that have all of these properties, in display order.

    Args:
        task: one of the tasks of ``Loss.tasks``; ``None`` for all.
        properties: fields of ``Properties``, each ``True`` (it is claimed to hold, for all parameters or for some),
            ``False`` (claimed not to) or ``None`` (not applicable). ``convex=True`` asks for ``convex_in_pred`` or
            ``convex_in_logits``, ``convex=False`` for a loss that lacks one of them and has neither.

    Raises:
        TypeError: no property has this name; the nearest are listed.
        ValueError: no task has this name, or a property is asked to be something else.
    """
    if task is not None and task not in TASKS:
        raise ValueError(f"No task is called {reprlib.repr(task)}; nearest: {nearest(task, TASKS)}; {_all(TASKS)}")
    for name, value in properties.items():
        if name not in PROPERTIES:
            near = nearest(name, PROPERTIES)
            raise TypeError(f"No property is called {reprlib.repr(name)}; nearest: {near}; {_all(PROPERTIES)}")
        if value is not None and not isinstance(value, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValueError(f"{name} is {reprlib.repr(value)}, allowed: True, False or None")
    return tuple(
        loss
        for loss in CATALOGUE
        if (task is None or task in loss.tasks)
        and all(_holds(loss.properties, name) is value for name, value in properties.items())
    )


def _all(words: tuple[str, ...]) -> str:
    return f"allowed: {', '.join(words)}"


def _holds(properties: Properties, name: str) -> bool | None:
    if name != "convex":
        return getattr(properties, name).holds
    either = {properties.convex_in_pred.holds, properties.convex_in_logits.holds}
    return True if True in either else False if False in either else None


def snippet(key_or_loss: str | Loss, library: Library, inputs: Inputs, params: Params | None = None) -> str | None:
    """A complete program that computes the loss at these inputs; see :func:`lossviz.losses.snippets.snippet`.

    Raises:
        KeyError: no loss has this key.
        TypeError, ValueError: as ``value_and_grad``; also for a network that can't be written as code.
    """
    loss = get(key_or_loss) if isinstance(key_or_loss, str) else key_or_loss
    _require_names(loss, inputs)
    return snippets.snippet(loss, library, inputs, params)


def value_and_grad(
    key_or_loss: str | Loss, inputs: Inputs, params: Params | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The reduced loss and its gradient, by autograd, for each differentiable input.

    Args:
        key_or_loss: a loss or its key.
        inputs: every input of the loss by name; shapes as ``loss.inputs`` says.
        params: parameters; those left out have their default.

    Returns:
        The scalar, and a gradient shaped like its input for each of ``loss.differentiable``; none requires grad. Where
        a network is a ``torch.nn.Module``, also a gradient for each of its trainable weights, named
        ``"model.<weight>"``. Where ``loss.returns`` is ``"gradients"``: the combined gradient, and nothing else.

    Raises:
        KeyError: no loss has this key.
        TypeError: an input is no tensor, or no network where the loss wants one.
        ValueError: an input is missing, unknown, of a wrong shape or dtype, or holds a value outside the domain; or a
            parameter is unknown or out of range.
    """
    loss = get(key_or_loss) if isinstance(key_or_loss, str) else key_or_loss
    resolved = loss.resolve(params)
    _require_names(loss, inputs)
    loss.check(inputs, resolved)
    with torch.inference_mode(False), torch.enable_grad():
        own = {name: value if name in loss.models else _own(value, loss) for name, value in inputs.items()}
        leaves = {name: own[name].requires_grad_() for name in loss.differentiable}
        for name in loss.models:
            leaves |= _weights(name, inputs[name])
        value = loss.reduce(loss.fn(**own, **resolved), own, resolved)
        if leaves and value.requires_grad:
            # A generator's loss leaves real samples out, a linear critic its bias: their gradient is zero.
            slopes = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        else:
            slopes = [torch.zeros_like(leaf) for leaf in leaves.values()]
    return value.detach(), dict(zip(leaves, slopes, strict=True))


def _own(value: Tensor, loss: Loss) -> Tensor:
    """The tensor as a leaf of a graph of its own; a copy only where sharing memory would do harm, for it takes long."""
    # Tensors made in inference mode cannot be saved for a backward pass, and a network may write into its input.
    return value.detach().clone() if value.is_inference() or loss.models else value.detach()


def _weights(name: str, model: Model) -> dict[str, Tensor]:
    """The network's trainable weights, where it says which they are."""
    if not isinstance(model, torch.nn.Module):
        return {}
    return {f"{name}.{key}": weight for key, weight in model.named_parameters() if weight.requires_grad}


def _require_names(loss: Loss, inputs: Inputs) -> None:
    if set(inputs) != set(loss.inputs):
        raise ValueError(f"{loss.key} got the inputs {sorted(inputs)}, allowed: {sorted(loss.inputs)}")
    for name, value in inputs.items():
        if name in loss.models:
            if not callable(value):
                raise TypeError(
                    f"{loss.key}.{name} is a {type(value).__name__}, allowed: a network, called with a tensor"
                )
        elif not isinstance(value, Tensor):
            raise TypeError(f"{loss.key}.{name} is a {type(value).__name__}, allowed: a torch.Tensor")
