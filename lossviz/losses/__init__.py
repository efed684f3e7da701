"""The catalogue of losses: written once in torch, everything else is derived from here."""

import torch
from torch import Tensor

from lossviz.losses.classification import BCE_WITH_LOGITS, CROSS_ENTROPY, HINGE, SOFTMAX_FOCAL
from lossviz.losses.entry import Inputs, Loss, Params, nearest
from lossviz.losses.regression import HUBER, MAE, MSE, MSLE, QUANTILE
from lossviz.losses.similarity import COSINE_SIMILARITY

__all__ = ["CATALOGUE", "Inputs", "Loss", "Params", "get", "value_and_grad"]

CATALOGUE: tuple[Loss, ...] = (
    MSE,
    MAE,
    HUBER,
    MSLE,
    QUANTILE,
    BCE_WITH_LOGITS,
    CROSS_ENTROPY,
    SOFTMAX_FOCAL,
    HINGE,
    COSINE_SIMILARITY,
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
        The scalar, and a gradient shaped like its input for each of ``loss.differentiable``; none requires grad.

    Raises:
        KeyError: no loss has this key.
        TypeError: an input is no tensor.
        ValueError: an input is missing, unknown, of a wrong shape or dtype, or holds a value outside the domain; or a
            parameter is unknown or out of range.
    """
    loss = get(key_or_loss) if isinstance(key_or_loss, str) else key_or_loss
    resolved = loss.resolve(params)
    _require_names(loss, inputs)
    loss.check(inputs, resolved)
    # Tensors made in inference mode cannot be saved for a backward pass; their copies can.
    with torch.inference_mode(False), torch.enable_grad():
        own = {name: tensor.clone().detach() for name, tensor in inputs.items()}
        leaves = [own[name].requires_grad_() for name in loss.differentiable]
        value = loss.reduce(loss.fn(**own, **resolved), own, resolved)
        gradients = torch.autograd.grad(value, leaves)
    return value.detach(), dict(zip(loss.differentiable, gradients, strict=True))


def _require_names(loss: Loss, inputs: Inputs) -> None:
    if set(inputs) != set(loss.inputs):
        raise ValueError(f"{loss.key} got the inputs {sorted(inputs)}, allowed: {sorted(loss.inputs)}")
    for name, tensor in inputs.items():
        if not isinstance(tensor, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{loss.key}.{name} is a {type(tensor).__name__}, allowed: a torch.Tensor")
