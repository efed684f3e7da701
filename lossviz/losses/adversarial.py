"""Losses on inputs that were changed to fool the network."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossviz.losses._checks import (
    check_between,
    check_finite,
    check_labels,
    check_where,
    require_classes,
    require_floating,
    require_index,
    require_same_shape,
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
    no,
    number_of_values,
    yes,
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


def _slope_of_logits(logits: Tensor, target: Tensor) -> Tensor:
    return logits.softmax(-1) - _one_hot(logits, target)


def _fgsm_logits(
    *, model: Model, x: Tensor, target: Tensor, epsilon: float, clip_min: float, clip_max: float
) -> Tensor:
    return model(_fgsm_input(model=model, x=x, target=target, epsilon=epsilon, clip_min=clip_min, clip_max=clip_max))


def _fgsm_probabilities(**given: Any) -> Tensor:
    return _fgsm_logits(**given).softmax(-1)


def _fgsm_slope(*, target: Tensor, **given: Any) -> Tensor:
    return _slope_of_logits(_fgsm_logits(target=target, **given), target)


FGSM_CE = Loss(
    key="fgsm_ce",
    name="FGSM adversarial cross-entropy",
    name_zh="FGSM 对抗交叉熵",
    family="adversarial",
    tasks=("adversarial",),
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
    r"\sum_k \left(p_k(x') - [k = y]\right) \frac{\partial f_k(x')}{\partial \theta}, \quad x' \text{ constant}",
    derivation=(
        Line(r"z'_k = f_k(x'), \quad x' \text{ constant}", _fgsm_logits),
        Line(
            r"\frac{\partial}{\partial z'_k} \ln \sum_j e^{z'_j} = \frac{e^{z'_k}}{\sum_j e^{z'_j}} = p_k(x')",
            _fgsm_probabilities,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z'_k} = \frac{\partial}{\partial z'_k}"
            r" \left(\ln \sum_j e^{z'_j} - z'_y\right) = p_k(x') - [k = y]",
            _fgsm_slope,
        ),
    ),
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
    detached="the attacked input",
    models=("model",),
    outputs=_fgsm_outputs,
)


# --- PGD


def pgd_ce(
    *,
    model: Model,
    x: Tensor,
    target: Tensor,
    epsilon: float = 0.1,
    step_size: float = 0.03,
    steps: int = 7,
    clip_min: float = 0.0,
    clip_max: float = 1.0,
) -> Tensor:
    """Cross-entropy after several small steps that fool the network, none of which leaves a box around the input.

    Args:
        model: gives logits ``(N, K)`` for ``x``; in evaluation mode, if that makes a difference.
        x: inputs, shape ``(N, ...)``, from ``clip_min`` to ``clip_max``.
        target: class index, shape ``(N,)``, int64.
        epsilon: largest change of a coordinate; 0 or more.
        step_size: change of a coordinate in one step; 0 or more.
        steps: number of steps; 0 gives the plain cross-entropy. The first starts at ``x``, not at random.
        clip_min: the smallest value that an input can have.
        clip_max: the largest.

    Returns:
        Loss per row, shape ``(N,)``, in nats. The changed input is a constant: gradients reach the weights only.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Madry et al. (2018), arXiv:1706.06083.
    """
    _require_images(x, target)
    return _cross_entropy(model, _pgd(model, x, target, epsilon, step_size, steps, clip_min, clip_max), target)


def _pgd(
    model: Model,
    x: Tensor,
    target: Tensor,
    epsilon: float,
    step_size: float,
    steps: int,
    clip_min: float,
    clip_max: float,
) -> Tensor:
    low, high = (x.detach() - epsilon), (x.detach() + epsilon)
    x_adv = x.detach()
    for _ in range(steps):
        stepped = x_adv + step_size * _ascent(model, x_adv, target)
        x_adv = stepped.clamp(low, high).clamp(clip_min, clip_max)
    return x_adv


def _pgd_outputs(
    *,
    model: Model,
    x: Tensor,
    target: Tensor,
    epsilon: float,
    step_size: float,
    steps: int,
    clip_min: float,
    clip_max: float,
) -> dict[str, Tensor]:
    return {"x_adv": _pgd(model, x, target, epsilon, step_size, steps, clip_min, clip_max)}


def _pgd_first(*, model: Model, x: Tensor, target: Tensor, step_size: float, **_: object) -> Tensor:
    return step_size * _ascent(model, x, target)


def _pgd_input(
    *,
    model: Model,
    x: Tensor,
    target: Tensor,
    epsilon: float,
    step_size: float,
    steps: int,
    clip_min: float,
    clip_max: float,
) -> Tensor:
    x_adv = x
    for _ in range(steps):
        moved = x_adv + _pgd_first(model=model, x=x_adv, target=target, step_size=step_size)
        # Box and range in one: both are intervals around x.
        x_adv = moved.maximum((x - epsilon).clamp(min=clip_min)).minimum((x + epsilon).clamp(max=clip_max))
    return x_adv


def _pgd_line(
    *,
    model: Model,
    x: Tensor,
    target: Tensor,
    epsilon: float,
    step_size: float,
    steps: int,
    clip_min: float,
    clip_max: float,
) -> Tensor:
    x_adv = _pgd_input(
        model=model,
        x=x,
        target=target,
        epsilon=epsilon,
        step_size=step_size,
        steps=steps,
        clip_min=clip_min,
        clip_max=clip_max,
    )
    logits = model(x_adv)
    return logits.logsumexp(-1) - logits.gather(-1, target[:, None])[:, 0]


def _pgd_logits(*, model: Model, **given: Any) -> Tensor:
    return model(_pgd_input(model=model, **given))


def _pgd_probabilities(**given: Any) -> Tensor:
    return _pgd_logits(**given).softmax(-1)


def _pgd_slope(*, target: Tensor, **given: Any) -> Tensor:
    return _slope_of_logits(_pgd_logits(target=target, **given), target)


PGD_CE = Loss(
    key="pgd_ce",
    name="PGD adversarial cross-entropy",
    name_zh="PGD 对抗交叉熵",
    family="adversarial",
    tasks=("adversarial",),
    input_kind="model",
    inputs=FGSM_CE.inputs,
    differentiable=(),
    fn=pgd_ce,
    denominator=number_of_values,
    check=_check_attack,
    grad=None,
    formula=(
        Line(r"\delta(x) = \eta \operatorname{sign} \nabla_x \mathrm{CE}(f(x), y)", _pgd_first),
        Line(
            r"x_{t+1} = \min(\max(x_t + \delta(x_t), x_0 - \varepsilon, a), x_0 + \varepsilon, b), \quad x' = x_n",
            _pgd_input,
        ),
        Line(r"\ell = \ln \sum_k e^{f_k(x')} - f_y(x')", _pgd_line),
    ),
    gradient=FGSM_CE.gradient,
    derivation=(
        Line(r"z'_k = f_k(x'), \quad x' \text{ constant}", _pgd_logits),
        Line(
            r"\frac{\partial}{\partial z'_k} \ln \sum_j e^{z'_j} = \frac{e^{z'_k}}{\sum_j e^{z'_j}} = p_k(x')",
            _pgd_probabilities,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z'_k} = \frac{\partial}{\partial z'_k}"
            r" \left(\ln \sum_j e^{z'_j} - z'_y\right) = p_k(x') - [k = y]",
            _pgd_slope,
        ),
    ),
    params={
        "epsilon": FGSM_CE.params["epsilon"],
        "step_size": Number("Change of a coordinate in one step.", 0.03, 0.0, 10.0),
        "steps": Number("Number of steps.", 7, 0, 50, integer=True),
        **_CLIP,
    },
    properties=Properties(),
    pitfalls=(
        "Most libraries start at a random point of the box; here it starts at the input, so that it can be repeated.",
        "With step size times steps below epsilon the edge of the box is never reached.",
        "The box first, then the range of the inputs: either may cut what the other left.",
        "Each step costs a pass forward and back, so training takes that many times as long.",
    ),
    reference="Madry, Makelov, Schmidt, Tsipras and Vladu (2018), "
    "Towards deep learning models resistant to adversarial attacks, arXiv:1706.06083.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "x_adv = x.clone()\n"
        "for _ in range({steps}):\n"
        "    leaf = x_adv.clone().requires_grad_()\n"
        "    (slope,) = torch.autograd.grad(F.cross_entropy(model(leaf), target), leaf)\n"
        "    x_adv = x_adv + {step_size} * slope.sign()\n"
        "    x_adv = x_adv.clamp(x - {epsilon}, x + {epsilon}).clamp({clip_min}, {clip_max})\n"
        "loss = F.cross_entropy(model(x_adv), target)\n",
        keras=None,
        optax=None,
        note="In torchattacks it is PGD with random_start=False.",
    ),
    detached="the attacked input",
    models=("model",),
    outputs=_pgd_outputs,
)


# --- TRADES


def trades(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float = 6.0) -> Tensor:
    """Cross-entropy of the clean input, and how far the attacked input's answer is from the clean one's.

    Args:
        clean: logits of the clean input, shape ``(N, K)``.
        adv: logits of the attacked input, same shape.
        target: class index, shape ``(N,)``, int64.
        beta: weight of agreement against accuracy; 0 or more.

    Returns:
        Loss per row, shape ``(N,)``, in nats. Gradients reach both logits.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Zhang et al. (2019), arXiv:1901.08573.
    """
    _require_attacked(clean, adv, target)
    return cross_entropy(clean, target, reduction="none") + beta * _divergence(clean, adv)


def _require_attacked(clean: Tensor, adv: Tensor, target: Tensor) -> None:
    require_floating(clean=clean, adv=adv)
    require_same_shape(clean=clean, adv=adv)
    require_classes(pred=clean, target=target)


def _check_attacked(inputs: Inputs, params: Params) -> None:
    clean, adv, target = inputs["clean"], inputs["adv"], inputs["target"]
    _require_attacked(clean, adv, target)
    check_finite(clean=clean, adv=adv)
    check_labels(target, clean.shape[1])


def _divergence(clean: Tensor, adv: Tensor) -> Tensor:
    """KL(softmax(clean) || softmax(adv)) of each row."""
    log_p, log_q = clean.log_softmax(-1), adv.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _divergence_by_clean(clean: Tensor, adv: Tensor) -> Tensor:
    log_p, log_q = clean.log_softmax(-1), adv.log_softmax(-1)
    return log_p.exp() * (log_p - log_q - _divergence(clean, adv)[:, None])


def _one_hot(pred: Tensor, target: Tensor) -> Tensor:
    return (target[:, None] == torch.arange(pred.shape[-1], device=pred.device)).to(pred.dtype)


def _trades_grad(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float) -> dict[str, Tensor]:
    p = clean.softmax(-1)
    return {
        "clean": p - _one_hot(clean, target) + beta * _divergence_by_clean(clean, adv),
        "adv": beta * (adv.softmax(-1) - p),
    }


def _label_cost(*, clean: Tensor, target: Tensor, **_: object) -> Tensor:
    return clean.logsumexp(-1) - clean.gather(-1, target[:, None])[:, 0]


def _disagreement(*, clean: Tensor, adv: Tensor, **_: object) -> Tensor:
    # p adds up to 1, so the two normalisers come out of the sum: KL = sum p (z - z') - lse(z) + lse(z').
    p, gap = clean.softmax(-1), clean - adv
    top = gap.amax(-1, keepdim=True)
    return (p * (gap - top)).sum(-1) + top[:, 0] - clean.logsumexp(-1) + adv.logsumexp(-1)


def _trades_line(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float) -> Tensor:
    return _label_cost(clean=clean, target=target) + beta * _disagreement(clean=clean, adv=adv)


_ATTACKED = {
    "clean": "logits of the clean input, (N, K)",
    "adv": "logits of the attacked input, same shape",
    "target": "class index, 0 to K - 1, (N,) int64",
}
_LOGITS = "all real logits"
_STEEP = {"clean": [[0.0, 0.0]], "adv": [[1e6, 0.0]], "target": [0]}
_UNEVEN = (
    {"clean": [[1.0, 0.0]], "adv": [[1e8, 0.0]], "target": [0]},
    {"clean": [[1.1, 0.0]], "adv": [[1e8, 0.0]], "target": [0]},
)
_DIVERGENCE_LATEX = r"d = \sum_k p_k \ln \frac{p_k}{q_k}, \quad p = \mathrm{softmax}(z), \; q = \mathrm{softmax}(z')"
_DIVERGENCE_SLOPE_LATEX = (
    r"\frac{\partial d}{\partial z_k} = \sum_j \frac{\partial d}{\partial p_j} \cdot \frac{\partial p_j}{\partial z_k}"
    r" = p_k \left(\ln \frac{p_k}{q_k} - d\right)"
)


def _label_slope(*, clean: Tensor, target: Tensor, **_: object) -> Tensor:
    return _slope_of_logits(clean, target)


def _log_ratio(*, clean: Tensor, adv: Tensor, **_: object) -> Tensor:
    return clean.log_softmax(-1) - adv.log_softmax(-1)


def _disagreement_by_p(*, clean: Tensor, adv: Tensor, **_: object) -> Tensor:
    return _log_ratio(clean=clean, adv=adv) + 1


def _p_by_logits(*, clean: Tensor, **_: object) -> Tensor:
    p = clean.softmax(-1)
    return p.diag_embed() - p[:, :, None] * p[:, None, :]


def _disagreement_slope(*, clean: Tensor, adv: Tensor, **_: object) -> Tensor:
    return (_disagreement_by_p(clean=clean, adv=adv)[:, :, None] * _p_by_logits(clean=clean)).sum(1)


def _trades_slope(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float) -> Tensor:
    return _label_slope(clean=clean, target=target) + beta * _disagreement_slope(clean=clean, adv=adv)


TRADES = Loss(
    key="trades",
    name="TRADES",
    name_zh="TRADES 对抗损失",
    family="adversarial",
    tasks=("adversarial",),
    input_kind="clean_adversarial",
    inputs=_ATTACKED,
    differentiable=("clean", "adv"),
    fn=trades,
    denominator=number_of_values,
    check=_check_attacked,
    grad=_trades_grad,
    formula=(
        Line(r"c = \ln \sum_k e^{z_k} - z_y", _label_cost),
        Line(_DIVERGENCE_LATEX, _disagreement),
        Line(r"\ell = c + \beta\, d", _trades_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = p_k - [k = y] + "
    r"\beta\, p_k \left(\ln \frac{p_k}{q_k} - d\right), \quad "
    r"\frac{\partial \ell}{\partial z'_k} = \beta\, (q_k - p_k)",
    derivation=(
        Line(
            r"\frac{\partial c}{\partial z_k} = \frac{e^{z_k}}{\sum_j e^{z_j}} - [k = y] = p_k - [k = y]",
            _label_slope,
        ),
        Line(r"\frac{\partial d}{\partial p_j} = \ln \frac{p_j}{q_j} + 1", _disagreement_by_p),
        Line(r"\frac{\partial p_j}{\partial z_k} = p_j \left([j = k] - p_k\right)", _p_by_logits),
        Line(_DIVERGENCE_SLOPE_LATEX, _disagreement_slope),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{\partial c}{\partial z_k}"
            r" + \beta \frac{\partial d}{\partial z_k}"
            r" = p_k - [k = y] + \beta\, p_k \left(\ln \frac{p_k}{q_k} - d\right)",
            _trades_slope,
        ),
    ),
    params={"beta": Number("Weight of agreement against accuracy.", 6.0, 0.0, 20.0)},
    properties=Properties(
        convex_in_logits=no(
            "all real clean logits; convex along the attacked ones",
            {"clean": [[1.0, 4.0]], "adv": [[-6.0, 6.0]], "target": [0]},
            {"clean": [[5.0, -5.0]], "adv": [[-6.0, 6.0]], "target": [0]},
        ),
        bounded=no(_LOGITS, {"clean": [[-1e6, 0.0]], "adv": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=no(_LOGITS, _STEEP),
        smooth=no(_LOGITS, *_UNEVEN),
        symmetric=yes("all real logits; the classes permuted"),
        scale_invariant=no("the clean logits alone", {"clean": [[1.0, 0.0]], "adv": [[0.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "The clean answer is the target of the divergence and yet not detached: both inputs have gradients.",
        "The divergence is summed over classes and averaged over rows; PyTorch's reduction 'mean' divides by K too.",
        "The attack maximises the divergence, not the cross-entropy, and starts a little off the clean input, "
        "where the divergence has a slope at all.",
        "The network is in evaluation mode while the attacked input is made, and back in training mode here.",
    ),
    reference="Zhang, Yu, Jiao, Xing, El Ghaoui and Jordan (2019), "
    "Theoretically principled trade-off between robustness and accuracy, arXiv:1901.08573.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "log_p, log_q = clean.log_softmax(-1), adv.log_softmax(-1)\n"
        'divergence = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")\n'
        "loss = F.cross_entropy(clean, target) + {beta} * divergence\n",
        keras=None,
        optax=None,
        note="The authors divide by the size of the batch as well.",
    ),
)


# --- MART


def mart(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float = 6.0) -> Tensor:
    """Pushes the attacked input's label above its rivals, and wants agreement most where the clean answer errs.

    Args:
        clean: logits of the clean input, shape ``(N, K)``.
        adv: logits of the attacked input, same shape.
        target: class index, shape ``(N,)``, int64.
        beta: weight of agreement; 0 or more.

    Returns:
        Loss per row, shape ``(N,)``, in nats; exact, without the small constants of the authors' code. Gradients reach
        both logits.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Wang et al. (2020), International Conference on Learning Representations.
    """
    _require_attacked(clean, adv, target)
    log_q = adv.log_softmax(-1)
    # 1 - q of the rival as what the other classes have: the difference loses all digits as q nears 1.
    not_rival = log_q.masked_fill(_rival(adv, target), -math.inf).logsumexp(-1)
    boosted = -log_q.gather(-1, target[:, None])[:, 0] - not_rival
    return boosted + beta * _divergence(clean, adv) * _missing(clean, target)


def _rival(adv: Tensor, target: Tensor) -> Tensor:
    """(N, K): whether this is the strongest class beside the label; the first of several."""
    others = adv.masked_fill(_one_hot(adv, target) > 0, -math.inf)
    return _one_hot(adv, others.argmax(-1)) > 0


def _missing(clean: Tensor, target: Tensor) -> Tensor:
    """What the clean answer lacks to be sure of the label."""
    return clean.softmax(-1).masked_fill(_one_hot(clean, target) > 0, 0.0).sum(-1)


def _mart_grad(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float) -> dict[str, Tensor]:
    p, q, label = clean.softmax(-1), adv.softmax(-1), _one_hot(adv, target)
    without_rival = adv.masked_fill(_rival(adv, target), -math.inf).softmax(-1)
    missing = _missing(clean, target)[:, None]
    by_missing = p * (1 - label - missing)
    return {
        "clean": beta * (missing * _divergence_by_clean(clean, adv) + _divergence(clean, adv)[:, None] * by_missing),
        "adv": 2 * q - label - without_rival + beta * missing * (q - p),
    }


def _boosted(*, adv: Tensor, target: Tensor, **_: object) -> Tensor:
    label = adv.gather(-1, target[:, None])
    ranked = adv.scatter(-1, target[:, None], -math.inf).sort(-1, descending=True).values
    rest = torch.cat([label, ranked[:, 1:-1]], -1)
    return 2 * adv.logsumexp(-1) - label[:, 0] - rest.logsumexp(-1)


def _doubt(*, clean: Tensor, target: Tensor, **_: object) -> Tensor:
    wrong = clean.scatter(-1, target[:, None], -math.inf)
    return (wrong.logsumexp(-1) - clean.logsumexp(-1)).exp()


def _mart_line(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float) -> Tensor:
    agreement = _disagreement(clean=clean, adv=adv) * _doubt(clean=clean, target=target)
    return _boosted(adv=adv, target=target) + beta * agreement


def _boosted_slope(*, clean: Tensor, **_: object) -> Tensor:
    return torch.zeros_like(clean)


def _doubt_slope(*, clean: Tensor, target: Tensor, **_: object) -> Tensor:
    p = clean.softmax(-1)
    return p.gather(-1, target[:, None]) * _slope_of_logits(clean, target)


def _mart_slope(*, clean: Tensor, adv: Tensor, target: Tensor, beta: float) -> Tensor:
    doubt, apart = _doubt(clean=clean, target=target)[:, None], _disagreement(clean=clean, adv=adv)[:, None]
    by_disagreement = doubt * _disagreement_slope(clean=clean, adv=adv)
    product = by_disagreement + apart * _doubt_slope(clean=clean, target=target)
    return _boosted_slope(clean=clean) + beta * product


MART = Loss(
    key="mart",
    name="MART",
    name_zh="MART 对抗损失",
    family="adversarial",
    tasks=("adversarial",),
    input_kind="clean_adversarial",
    inputs=_ATTACKED,
    differentiable=("clean", "adv"),
    fn=mart,
    denominator=number_of_values,
    check=_check_attacked,
    grad=_mart_grad,
    formula=(
        Line(r"b = -\ln q_y - \ln(1 - \max_{k \ne y} q_k)", _boosted),
        Line(_DIVERGENCE_LATEX, _disagreement),
        Line(r"w = 1 - p_y", _doubt),
        Line(r"\ell = b + \beta\, w\, d", _mart_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = \beta \left(w\, p_k \left(\ln \frac{p_k}{q_k} - d\right) + "
    r"d\, p_y (p_k - [k = y])\right), \quad "
    r"\frac{\partial \ell}{\partial z'_k} = 2 q_k - [k = y] - \frac{q_k\, [k \ne m]}{1 - q_m} + "
    r"\beta\, w\, (q_k - p_k), \quad m = \operatorname{argmax}_{k \ne y} q_k",
    derivation=(
        Line(r"\frac{\partial b}{\partial z_k} = 0", _boosted_slope),
        Line(_DIVERGENCE_SLOPE_LATEX, _disagreement_slope),
        Line(
            r"\frac{\partial w}{\partial z_k} = -\frac{\partial p_y}{\partial z_k} = p_y \left(p_k - [k = y]\right)",
            _doubt_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{\partial b}{\partial z_k} + \beta \left("
            r"w \frac{\partial d}{\partial z_k} + d\, \frac{\partial w}{\partial z_k}\right)"
            r" = \beta \left(w\, p_k \left(\ln \frac{p_k}{q_k} - d\right) + d\, p_y \left(p_k - [k = y]\right)\right)",
            _mart_slope,
        ),
    ),
    params={"beta": Number("Weight of agreement.", 6.0, 0.0, 20.0)},
    properties=Properties(
        convex_in_logits=no(
            "all real clean logits",
            {"clean": [[-6.0, 6.0]], "adv": [[6.0, -6.0]], "target": [0]},
            {"clean": [[4.0, 2.0]], "adv": [[6.0, -6.0]], "target": [0]},
        ),
        bounded=no(_LOGITS, {"clean": [[0.0, 0.0]], "adv": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=no(_LOGITS, _STEEP),
        smooth=no(_LOGITS, *_UNEVEN),
        symmetric=yes("all real logits; the classes permuted"),
        scale_invariant=no("the clean logits alone", {"clean": [[1.0, 0.0]], "adv": [[0.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "The authors' code adds small constants inside the logarithms; where the network is sure of a wrong class "
        "that caps the loss at some 30 where it grows without bound here.",
        "The weight 1 - p of the clean answer is not detached: the loss can also fall by raising it.",
        "The attacked input is made with the plain cross-entropy, as in PGD, not with this loss.",
        "Where two rivals tie, the gradient may go to either.",
    ),
    reference="Wang, Zou, Yi, Bailey, Ma and Gu (2020), Improving adversarial robustness requires revisiting "
    "misclassified examples, International Conference on Learning Representations.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "label = F.one_hot(target, clean.shape[1]).bool()\n"
        "log_p, log_q = clean.log_softmax(-1), adv.log_softmax(-1)\n"
        'rival = log_q.masked_fill(label, -float("inf")).argmax(-1, keepdim=True)\n'
        'not_rival = log_q.scatter(-1, rival, -float("inf")).logsumexp(-1)\n'
        'divergence = F.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)\n'
        "missing = log_p.exp().masked_fill(label, 0).sum(-1)\n"
        "loss = (-log_q[label] - not_rival + {beta} * divergence * missing).mean()\n",
        keras=None,
        optax=None,
        note="The authors' code differs by about 1e-4 where nothing saturates.",
    ),
)


# --- virtual adversarial training


def vat(
    *, model: Model, x: Tensor, d0: Tensor, xi: float = 0.1, epsilon: float = 1.0, power_iterations: int = 1
) -> Tensor:
    """How far the answer moves when the input is moved a little in the direction that changes it most; needs no label.

    Args:
        model: gives logits ``(N, K)`` for ``x``; in evaluation mode, if that makes a difference.
        x: inputs, shape ``(N, ...)``.
        d0: directions to start from, same shape; no row is zero, their length does not matter.
        xi: how far the power iteration looks; above 0.
        epsilon: length of the move, for each row; 0 or more.
        power_iterations: how often the direction is improved; 1 or more.

    Returns:
        Divergence of the moved answer from the clean one per row, shape ``(N,)``, in nats. The clean answer and the
        move are constants: gradients reach the weights only through the moved answer.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Miyato et al. (2018), arXiv:1704.03976.
    """
    _require_directions(x, d0)
    return _divergence(model(x).detach(), model(x + _worst_move(model, x, d0, xi, epsilon, power_iterations)))


def _require_directions(x: Tensor, d0: Tensor) -> None:
    require_floating(x=x, d0=d0)
    require_same_shape(x=x, d0=d0)


def _lengths(d: Tensor) -> Tensor:
    """(N, 1, ...): Euclidean length of each row."""
    return d.flatten(1).square().sum(-1).sqrt().reshape(-1, *[1] * (d.ndim - 1))


def _unit(d: Tensor) -> Tensor:
    """Rows of length 1; a zero row, where the network is flat, stays zero."""
    # Scaled first, so that squares of tiny slopes do not vanish.
    scaled = d / d.flatten(1).abs().amax(-1).clamp(min=torch.finfo(d.dtype).tiny).reshape(-1, *[1] * (d.ndim - 1))
    return scaled / _lengths(scaled).clamp(min=torch.finfo(d.dtype).tiny)


def _worst_move(model: Model, x: Tensor, d0: Tensor, xi: float, epsilon: float, power_iterations: int) -> Tensor:
    direction = _unit(d0.detach())
    with torch.no_grad():
        clean = model(x)
    for _ in range(power_iterations):
        with torch.inference_mode(False), torch.enable_grad():
            leaf = direction.clone().detach().requires_grad_()
            change = _divergence(clean.clone(), model(x.clone().detach() + xi * leaf)).sum()
            (slope,) = torch.autograd.grad(change, leaf)
        direction = _unit(slope)
    return epsilon * direction


def _vat_outputs(
    *, model: Model, x: Tensor, d0: Tensor, xi: float, epsilon: float, power_iterations: int
) -> dict[str, Tensor]:
    return {"r_adv": _worst_move(model, x, d0, xi, epsilon, power_iterations)}


def _check_vat(inputs: Inputs, params: Params) -> None:
    x, d0 = inputs["x"], inputs["d0"]
    _require_directions(x, d0)
    check_finite(x=x, d0=d0)
    longest = d0.flatten(1).abs().amax(-1)
    check_where("the largest entry of d0", longest, longest > 0, "above 0, since a direction is needed")


def _first_direction(*, d0: Tensor, **_: object) -> Tensor:
    return _unit(d0)


def _vat_move(*, model: Model, x: Tensor, d0: Tensor, xi: float, epsilon: float, power_iterations: int) -> Tensor:
    return _worst_move(model, x, d0, xi, epsilon, power_iterations)


def _vat_line(*, model: Model, x: Tensor, d0: Tensor, xi: float, epsilon: float, power_iterations: int) -> Tensor:
    move = _vat_move(model=model, x=x, d0=d0, xi=xi, epsilon=epsilon, power_iterations=power_iterations)
    return _disagreement(clean=model(x), adv=model(x + move))


def _vat_logits(*, model: Model, x: Tensor, **given: Any) -> Tensor:
    return model(x + _vat_move(model=model, x=x, **given))


def _vat_clean(*, model: Model, x: Tensor, **_: object) -> Tensor:
    return model(x).softmax(-1)


def _vat_moved(**given: Any) -> Tensor:
    return _vat_logits(**given).softmax(-1)


def _vat_slope(**given: Any) -> Tensor:
    return _vat_moved(**given) - _vat_clean(**given)


VAT = Loss(
    key="vat",
    name="Virtual adversarial training",
    name_zh="虚拟对抗训练",
    family="adversarial",
    tasks=("semi-supervised", "adversarial"),
    input_kind="model_directions",
    inputs={
        "model": "network that gives logits (N, K) for x",
        "x": "inputs, (N, ...)",
        "d0": "directions to start from, the shape of x, no row zero",
    },
    differentiable=(),
    fn=vat,
    denominator=number_of_values,
    check=_check_vat,
    grad=None,
    formula=(
        Line(r"d = d_0 / \lVert d_0 \rVert_2", _first_direction),
        Line(
            r"\text{repeat: } g = \nabla_d \mathrm{KL}(p(x) \,\Vert\, p(x + \xi d)), \; "
            r"d \leftarrow g / \lVert g \rVert_2; \quad r = \varepsilon d",
            _vat_move,
        ),
        Line(r"\ell = \mathrm{KL}(p(x) \,\Vert\, p(x + r)) = \sum_k p_k(x) \ln \frac{p_k(x)}{p_k(x + r)}", _vat_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \theta} = \sum_k \left(p_k(x + r) - p_k(x)\right) "
    r"\frac{\partial f_k(x + r)}{\partial \theta}, \quad r, p(x) \text{ constant}",
    derivation=(
        Line(r"z'_k = f_k(x + r), \quad r \text{ constant}", _vat_logits),
        Line(r"p_k(x), \quad \text{constant}", _vat_clean),
        Line(
            r"\frac{\partial \ln p_j(x + r)}{\partial z'_k} = [j = k] - p_k(x + r), \quad"
            r" p_k(x + r) = \frac{e^{z'_k}}{\sum_j e^{z'_j}}",
            _vat_moved,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z'_k} = -\sum_j p_j(x) \frac{\partial \ln p_j(x + r)}{\partial z'_k}"
            r" = p_k(x + r) - p_k(x)",
            _vat_slope,
        ),
    ),
    params={
        "xi": Number("How far the power iteration looks.", 0.1, 1e-6, 10.0, "log"),
        "epsilon": Number("Length of the move.", 1.0, 0.0, 20.0),
        "power_iterations": Number("How often the direction is improved.", 1, 1, 10, integer=True),
    },
    properties=Properties(),
    pitfalls=(
        "The length is that of each row; one norm over the batch moves each row less the larger the batch is.",
        "A xi of 1e-6, as in some code, leaves no correct digit of the direction in float32.",
        "The clean answer is a constant; without the detach the network learns to be unsure everywhere.",
        "At the clean input itself the slope is exactly 0, which is why the iteration looks a step xi away.",
    ),
    reference="Miyato, Maeda, Koyama and Ishii (2018), Virtual adversarial training: a regularization method for "
    "supervised and semi-supervised learning, doi:10.1109/TPAMI.2018.2858821, arXiv:1704.03976.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "log_p = model(x).log_softmax(-1).detach()\n\n\n"
        "def divergence(move):\n"
        "    log_q = model(x + move).log_softmax(-1)\n"
        '    return F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")\n\n\n'
        "def unit(d):\n"
        "    return F.normalize(d.flatten(1), eps=1e-30).reshape(d.shape)\n\n\n"
        "d = unit(d0)\n"
        "for _ in range({power_iterations}):\n"
        "    leaf = d.clone().requires_grad_()\n"
        "    (slope,) = torch.autograd.grad(divergence({xi} * leaf), leaf)\n"
        "    d = unit(slope)\n"
        "loss = divergence({epsilon} * d)\n",
        keras=None,
        optax=None,
        note="Draw d0 from a normal distribution, anew for each batch.",
    ),
    detached="the clean answer and the move",
    models=("model",),
    outputs=_vat_outputs,
)


LOSSES: tuple[Loss, ...] = (FGSM_CE, PGD_CE, TRADES, MART, VAT)
