"""Losses on inputs that were changed to fool the network."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossviz.losses._checks import (
    check_between,
    check_finite,
    check_labels,
    require_classes,
    require_floating,
    require_index,
)
from lossviz.losses.entry import (
    Code,
    Inputs,
    Line,
    Loss,
    Model,
    Number,
    Params,
    Properties,
    number_of_values,
)

# --- FGSM


def fgsm_ce(
    *,
    model: Model,
    x: Tensor,
    target: Tensor,
    epsilon: float = 0.1,
    clip_min: float = 0.0,
    clip_max: float = 1.0,
) -> Tensor:
    """Cross-entropy after one step of size ``epsilon`` in every coordinate in the direction that fools the network.

    Args:
        model: gives logits ``(N, K)`` for ``x``; in evaluation mode, if that makes a difference.
        x: inputs, shape ``(N, ...)``, from ``clip_min`` to ``clip_max``.
        target: class index, shape ``(N,)``, int64.
        epsilon: largest change of a coordinate; 0 or more.
        clip_min: the smallest value that an input can have.
        clip_max: the largest.

    Returns:
        Loss per row, shape ``(N,)``, in nats. The changed input is a constant: gradients reach the weights only.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Goodfellow, Shlens and Szegedy (2015), arXiv:1412.6572.
    """
    _require_images(x, target)
    x_adv = _fgsm(model, x, target, epsilon, clip_min, clip_max)
    return _cross_entropy(model, x_adv, target)


def _require_images(x: Tensor, target: Tensor) -> None:
    require_floating(x=x)
    require_index("target", target, x.shape[:1])


def _cross_entropy(model: Model, x: Tensor, target: Tensor) -> Tensor:
    logits = model(x)
    require_classes(pred=logits, target=target)
    return cross_entropy(logits, target, reduction="none")


def _ascent(model: Model, x: Tensor, target: Tensor) -> Tensor:
    """Sign of the slope of the summed cross-entropy by ``x``; the weights' own gradients are left alone."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.clone().detach().requires_grad_()
        (slope,) = torch.autograd.grad(_cross_entropy(model, leaf, target).sum(), leaf)
    return slope.sign()


def _fgsm(model: Model, x: Tensor, target: Tensor, epsilon: float, clip_min: float, clip_max: float) -> Tensor:
    return (x.detach() + epsilon * _ascent(model, x, target)).clamp(clip_min, clip_max)


def _fgsm_outputs(
    *, model: Model, x: Tensor, target: Tensor, epsilon: float, clip_min: float, clip_max: float
) -> dict[str, Tensor]:
    return {"x_adv": _fgsm(model, x, target, epsilon, clip_min, clip_max)}


def _check_attack(inputs: Inputs, params: Params) -> None:
    x, target = inputs["x"], inputs["target"]
    _require_images(x, target)
    check_finite(x=x)
    low, high = params["clip_min"], params["clip_max"]
    if low >= high:
        raise ValueError(f"clip_min is {low:g}, allowed: below clip_max, {high:g}")
    check_between("x", x, low, high)
    with torch.no_grad():
        check_labels(target, inputs["model"](x).shape[-1])


def _fgsm_step(*, model: Model, x: Tensor, target: Tensor, epsilon: float, **_: object) -> Tensor:
    return epsilon * _ascent(model, x, target)


def _fgsm_input(*, model: Model, x: Tensor, target: Tensor, epsilon: float, clip_min: float, clip_max: float) -> Tensor:
    moved = x + _fgsm_step(model=model, x=x, target=target, epsilon=epsilon)
    return moved.maximum(torch.full_like(x, clip_min)).minimum(torch.full_like(x, clip_max))


def _fgsm_line(*, model: Model, x: Tensor, target: Tensor, epsilon: float, clip_min: float, clip_max: float) -> Tensor:
    x_adv = _fgsm_input(model=model, x=x, target=target, epsilon=epsilon, clip_min=clip_min, clip_max=clip_max)
    logits = model(x_adv)
    return logits.logsumexp(-1) - logits.gather(-1, target[:, None])[:, 0]


_CLIP = {
    "clip_min": Number("The smallest value that an input can have.", 0.0, -10.0, 10.0),
    "clip_max": Number("The largest value that an input can have.", 1.0, -10.0, 10.0),
}

FGSM_CE = Loss(
    key="fgsm_ce",
    name="FGSM adversarial cross-entropy",
    family="adversarial",
    input_kind="model",
    inputs={
        "model": "network that gives logits (N, K) for x",
        "x": "inputs, (N, ...), from clip_min to clip_max",
        "target": "class index, (N,)",
    },
    differentiable=(),
    fn=fgsm_ce,
    denominator=number_of_values,
    check=_check_attack,
    grad=None,
    formula=(
        Line(r"\delta = \varepsilon \operatorname{sign} \nabla_x \mathrm{CE}(f(x), y)", _fgsm_step),
        Line(r"x' = \min(\max(x + \delta, a), b)", _fgsm_input),
        Line(r"\ell = \ln \sum_k e^{f_k(x')} - f_y(x')", _fgsm_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \theta} = "
    r"\sum_k \left(p_k(x') - 1[k = y]\right) \frac{\partial f_k(x')}{\partial \theta}, \quad x' \text{ constant}",
    params={"epsilon": Number("Largest change of a coordinate.", 0.1, 0.0, 10.0), **_CLIP},
    properties=Properties(),
    pitfalls=(
        "Attack in evaluation mode: dropout and batch statistics make another network of it.",
        "Clip after the step, not before; where the slope is exactly 0 nothing moves.",
        "Only the sign of the slope counts, so the mean and the sum over the batch give the same attack.",
    ),
    reference="Goodfellow, Shlens and Szegedy (2015), Explaining and harnessing adversarial examples, arXiv:1412.6572.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "leaf = x.clone().requires_grad_()\n"
        "(slope,) = torch.autograd.grad(F.cross_entropy(model(leaf), target), leaf)\n"
        "x_adv = (x + {epsilon} * slope.sign()).clamp({clip_min}, {clip_max})\n"
        "loss = F.cross_entropy(model(x_adv), target)\n",
        keras=None,
        optax=None,
        note="Needs nothing but the network; attack libraries give the same input.",
    ),
    models=("model",),
    outputs=_fgsm_outputs,
)


LOSSES: tuple[Loss, ...] = (FGSM_CE,)
