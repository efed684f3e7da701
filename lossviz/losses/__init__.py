"""The catalogue of losses: written once in torch, everything else is derived from here."""

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
    sparse,
    sparse_maps,
)
from lossviz.losses.entry import Inputs, Loss, Model, Params, nearest

__all__ = ["CATALOGUE", "Inputs", "Loss", "Model", "Params", "get", "value_and_grad"]

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

_BY_KEY = {loss.key: loss for loss in CATALOGUE}


def get(key: str) -> Loss:
    """The loss with this key.

    Raises:
        KeyError: there is none; the nearest keys are listed.
    """
    if key not in _BY_KEY:
        raise KeyError(f"No loss is called {key[:50]!r}; nearest: {nearest(key, _BY_KEY)}")
    return _BY_KEY[key]


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
