"""Ways to combine the losses or gradients of several tasks."""

from typing import cast

import torch
from torch import Tensor

from lossviz.losses._checks import (
    check_above,
    check_at_least,
    check_between,
    check_finite,
    check_where,
    require_axes,
    require_floating,
    require_same_shape,
)
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Choice,
    Code,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    no,
    yes,
)


def _require_tasks(**tensors: Tensor) -> None:
    require_floating(**tensors)
    require_axes("(T,)", **tensors)
    require_same_shape(**tensors)


def _total(unreduced: Tensor, inputs: Inputs, params: Params) -> float:
    """The tasks' terms are added up, not averaged."""
    return 1.0


# --- weighted sum


def weighted_sum(*, losses: Tensor, weights: Tensor) -> Tensor:
    """Every task's loss times a fixed weight.

    Args:
        losses: loss of each task, shape ``(T,)``.
        weights: weight of each task, same shape; they need not add up to anything.

    Returns:
        Term of each task, shape ``(T,)``; their sum is the loss.

    Raises:
        ValueError: shapes or dtypes do not fit, or there is no task.
    """
    _require_tasks(losses=losses, weights=weights)
    return weights * losses


def _weighted_sum_grad(*, losses: Tensor, weights: Tensor) -> dict[str, Tensor]:
    return {"losses": weights, "weights": losses}


def _check_weighted_sum(inputs: Inputs, params: Params) -> None:
    losses, weights = inputs["losses"], inputs["weights"]
    _require_tasks(losses=losses, weights=weights)
    check_finite(losses=losses)
    check_at_least("weights", weights, 0.0)


def _diagonal(*, losses: Tensor, weights: Tensor) -> Tensor:
    return weights.diag()


def _weighted_line(*, losses: Tensor, weights: Tensor) -> Tensor:
    return _diagonal(losses=losses, weights=weights) @ losses


_ALL_LOSSES = "all real losses of the tasks"
_TASKS_PERMUTED = "the tasks permuted, with all that belongs to each"
_LOSSES_ALONE = "the losses alone"


def _sum_slope(*, losses: Tensor, weights: Tensor) -> Tensor:
    return torch.ones_like(losses)


def _weighted_slope(*, losses: Tensor, weights: Tensor) -> Tensor:
    return _sum_slope(losses=losses, weights=weights) @ _diagonal(losses=losses, weights=weights)


WEIGHTED_SUM = Loss(
    key="weighted_sum",
    name="Weighted sum",
    name_zh="加权和（多任务）",
    family="multitask",
    tasks=("multi-task",),
    input_kind="tasks",
    inputs={"losses": "loss of each task, (T,)", "weights": "weight of each task, (T,), 0 or more"},
    differentiable=("losses", "weights"),
    fn=weighted_sum,
    denominator=_total,
    check=_check_weighted_sum,
    grad=_weighted_sum_grad,
    formula=(
        Line(r"W = \operatorname{diag}(w)", _diagonal),
        Line(r"t = W L, \quad \ell = \sum_i t_i", _weighted_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial L_i} = w_i, \quad \frac{\partial \ell}{\partial w_i} = L_i",
    derivation=(
        Line(r"\frac{\partial t_i}{\partial L_j} = W_{ij} = w_i\,[i = j]", _diagonal),
        Line(r"\frac{\partial \ell}{\partial t_i} = 1", _sum_slope),
        Line(
            r"\frac{\partial \ell}{\partial L_j} = \sum_i \frac{\partial \ell}{\partial t_i} \cdot"
            r" \frac{\partial t_i}{\partial L_j} = w_j",
            _weighted_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_LOSSES),
        bounded=no(_ALL_LOSSES, {"losses": [1e6], "weights": [1.0]}),
        lipschitz=no(_ALL_LOSSES, {"losses": [1e6], "weights": [1.0]}),
        smooth=yes(_ALL_LOSSES, constant=lambda _: 1.0),
        symmetric=yes(_TASKS_PERMUTED),
        scale_invariant=no(_LOSSES_ALONE, {"losses": [1.0], "weights": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The terms are added, not averaged, and the weights are taken as they are: doubling all of them is a doubled "
        "learning rate.",
        "A task with large losses rules the sum; equal weights are not equal influence.",
        "Where the trade-off between the tasks is not convex, no weights reach the points in its dents.",
        "Learnt weights must not follow this gradient: they would all shrink to 0.",
    ),
    reference="Zadeh (1963), Optimality and non-scalar-valued performance criteria, doi:10.1109/TAC.1963.1105511.",
    code=Code(
        pytorch="loss = (weights * losses).sum()\n",
        keras=None,
        optax=None,
        note="Keras takes the same weights as loss_weights of compile.",
    ),
)


# --- uncertainty weighting


def uncertainty_weighting(*, losses: Tensor, log_var: Tensor, variant: str = "half") -> Tensor:
    """Learns how noisy each task is: a noisy task counts less, and calling it noisy has a price.

    Args:
        losses: loss of each task, shape ``(T,)``.
        log_var: logarithm of each task's variance, same shape; from -50 to 50.
        variant: ``half`` is the form for regression, ``plain`` has no factor 1/2.

    Returns:
        Term of each task, shape ``(T,)``; their sum is the loss. It can be negative.

    Raises:
        ValueError: shapes or dtypes do not fit, or there is no task.

    Reference: Kendall, Gal and Cipolla (2018), arXiv:1705.07115.
    """
    _require_tasks(losses=losses, log_var=log_var)
    return _factor(variant) * ((-log_var).exp() * losses + log_var)


def _factor(variant: str) -> float:
    return 0.5 if variant == "half" else 1.0


def _uncertainty_grad(*, losses: Tensor, log_var: Tensor, variant: str) -> dict[str, Tensor]:
    precision = (-log_var).exp()
    return {"losses": _factor(variant) * precision, "log_var": _factor(variant) * (1 - precision * losses)}


def _check_uncertainty(inputs: Inputs, params: Params) -> None:
    losses, log_var = inputs["losses"], inputs["log_var"]
    _require_tasks(losses=losses, log_var=log_var)
    check_finite(losses=losses)
    # Beyond, the precision leaves float32.
    check_between("log_var", log_var, -50.0, 50.0)


def _deviation(*, losses: Tensor, log_var: Tensor, variant: str) -> Tensor:
    return (log_var / 2).exp()


def _uncertainty_line(*, losses: Tensor, log_var: Tensor, variant: str) -> Tensor:
    sigma = _deviation(losses=losses, log_var=log_var, variant=variant)
    term = losses / (2 * sigma**2) + sigma.log()
    return term if variant == "half" else 2 * term


_VARIANCES = "all real losses, log-variances from -50 to 50"


def _precision(*, log_var: Tensor, **_: object) -> Tensor:
    return 1 / log_var.exp()


def _price_slope(*, losses: Tensor, **_: object) -> Tensor:
    return torch.zeros_like(losses)


def _uncertainty_slope(*, losses: Tensor, log_var: Tensor, variant: str) -> Tensor:
    return _factor(variant) * _precision(log_var=log_var) + _price_slope(losses=losses)


UNCERTAINTY_WEIGHTING = Loss(
    key="uncertainty_weighting",
    name="Uncertainty weighting",
    name_zh="不确定性加权",
    family="multitask",
    tasks=("multi-task",),
    input_kind="task_variances",
    inputs={"losses": "loss of each task, (T,)", "log_var": "log-variance of each task, (T,), -50 to 50"},
    differentiable=("losses", "log_var"),
    fn=uncertainty_weighting,
    denominator=_total,
    check=_check_uncertainty,
    grad=_uncertainty_grad,
    formula=(
        Line(r"\sigma_i = e^{s_i / 2}", _deviation),
        Line(
            r"t_i = \frac{L_i}{2 \sigma_i^2} + \ln \sigma_i \quad (\text{plain: twice that}), "
            r"\quad \ell = \sum_i t_i",
            _uncertainty_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial L_i} = \frac{e^{-s_i}}{2}, \quad "
    r"\frac{\partial \ell}{\partial s_i} = \frac{1 - e^{-s_i} L_i}{2} \quad (\text{plain: twice that})",
    derivation=(
        Line(r"\frac{\partial}{\partial L_i} \frac{L_i}{\sigma_i^2} = \frac{1}{\sigma_i^2} = e^{-s_i}", _precision),
        Line(r"\frac{\partial \ln \sigma_i}{\partial L_i} = 0", _price_slope),
        Line(
            r"\frac{\partial \ell}{\partial L_i} = \frac{1}{2} \cdot \frac{\partial}{\partial L_i}"
            r" \frac{L_i}{\sigma_i^2} + \frac{\partial \ln \sigma_i}{\partial L_i} = \frac{e^{-s_i}}{2}"
            r" \quad (\text{plain: twice that})",
            _uncertainty_slope,
        ),
    ),
    params={
        "variant": Choice("With the factor 1/2 of the form for regression, or without.", "half", ("half", "plain"))
    },
    properties=Properties(
        convex_in_pred=yes(f"{_VARIANCES}; along the losses"),
        bounded=no(_VARIANCES, {"losses": [1e6], "log_var": [0.0]}),
        lipschitz=no(_VARIANCES, {"losses": [1.0], "log_var": [-30.0]}),
        smooth=no(_VARIANCES, {"losses": [1.0], "log_var": [-30.0]}, {"losses": [1.0], "log_var": [-29.0]}),
        symmetric=yes(_TASKS_PERMUTED),
        scale_invariant=no(_LOSSES_ALONE, {"losses": [1.0], "log_var": [0.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The learnt number is the logarithm of the variance; with that of the deviation the second term doubles.",
        "Tasks of classification use the plain form: their exponent has no 1/2.",
        "The optimum is at a variance equal to the loss, so every task ends up with the weighted loss of 1/2 (or 1): "
        "the tasks are balanced by scale, not by importance.",
        "Its value goes below 0 and is no measure of progress.",
    ),
    reference="Kendall, Gal and Cipolla (2018), Multi-task learning using uncertainty to weigh losses for scene "
    "geometry and semantics, arXiv:1705.07115.",
    code=Code(
        pytorch="variant = {variant}\n"
        'factor = 0.5 if variant == "half" else 1.0\n'
        "loss = factor * ((-log_var).exp() * losses + log_var).sum()\n",
        keras=None,
        optax=None,
        note="LibMTL's UW is the half form.",
    ),
)


# --- GradNorm


def gradnorm(
    *, losses: Tensor, initial_losses: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float = 1.5
) -> Tensor:
    """Adjusts the tasks' weights until each task's gradient is as long as its progress says: laggards pull harder.

    Args:
        losses: loss of each task now, shape ``(T,)``; above 0.
        initial_losses: loss of each task at the start, same shape; above 0.
        grad_norms: length of each task's unweighted gradient at the last shared layer, same shape; 0 or more.
        weights: the weights to learn, same shape; 0 or more, adding up to T.
        alpha: how strongly laggards are favoured; 0 or more. At 0 all gradients are to be of one length.

    Returns:
        Distance of each task's weighted gradient length from its target, shape ``(T,)``; their sum is the loss. The
        target is a constant: gradients reach the weights only where they stand before it.

    Raises:
        ValueError: shapes or dtypes do not fit, or there is no task.

    Reference: Chen et al. (2018), arXiv:1711.02257.
    """
    _require_tasks(losses=losses, initial_losses=initial_losses, grad_norms=grad_norms, weights=weights)
    return (weights * grad_norms - _norm_targets(losses, initial_losses, grad_norms, weights, alpha)).abs()


def _norm_targets(losses: Tensor, initial: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float) -> Tensor:
    remaining = losses / initial
    return ((weights * grad_norms).mean() * (remaining / remaining.mean()) ** alpha).detach()


def _gradnorm_grad(
    *, losses: Tensor, initial_losses: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float
) -> dict[str, Tensor]:
    targets = _norm_targets(losses, initial_losses, grad_norms, weights, alpha)
    return {"weights": grad_norms * (weights * grad_norms - targets).sign()}


def _gradnorm_outputs(
    *, losses: Tensor, initial_losses: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float
) -> dict[str, Tensor]:
    """The targets, and the gradient by the logits of ``weights = T softmax(logits)``, which keeps their sum."""
    slope = _gradnorm_grad(
        losses=losses, initial_losses=initial_losses, grad_norms=grad_norms, weights=weights, alpha=alpha
    )["weights"]
    return {
        "targets": _norm_targets(losses, initial_losses, grad_norms, weights, alpha),
        "grad_wrt_softmax_logits": weights * (slope - (weights * slope).mean()),
    }


def _check_gradnorm(inputs: Inputs, params: Params) -> None:
    names = ("losses", "initial_losses", "grad_norms", "weights")
    _require_tasks(**{name: inputs[name] for name in names})
    check_above("losses", inputs["losses"], 0.0)
    check_above("initial_losses", inputs["initial_losses"], 0.0)
    check_at_least("grad_norms", inputs["grad_norms"], 0.0)
    check_at_least("weights", inputs["weights"], 0.0)


def _weighted_norms(*, grad_norms: Tensor, weights: Tensor, **_: object) -> Tensor:
    return weights * grad_norms


def _relative_rates(*, losses: Tensor, initial_losses: Tensor, **_: object) -> Tensor:
    shares = losses / initial_losses
    return shares.numel() * shares / shares.sum()


def _gradnorm_line(
    *, losses: Tensor, initial_losses: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float
) -> Tensor:
    norms = _weighted_norms(grad_norms=grad_norms, weights=weights)
    rates = _relative_rates(losses=losses, initial_losses=initial_losses)
    targets = norms.sum() / norms.numel() * rates**alpha
    return norms.maximum(targets) - norms.minimum(targets)


_NORMS = "positive losses, gradient lengths and weights of 0 or more"


def _norm_gaps(*, losses: Tensor, initial_losses: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float) -> Tensor:
    return weights * grad_norms - _norm_targets(losses, initial_losses, grad_norms, weights, alpha)


def _norm_sides(*, losses: Tensor, initial_losses: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float) -> Tensor:
    gaps = _norm_gaps(losses=losses, initial_losses=initial_losses, grad_norms=grad_norms, weights=weights, alpha=alpha)
    return (gaps > 0).to(gaps.dtype) - (gaps < 0).to(gaps.dtype)


def _norm_by_weight(*, grad_norms: Tensor, **_: object) -> Tensor:
    return grad_norms


def _gradnorm_slope(
    *, losses: Tensor, initial_losses: Tensor, grad_norms: Tensor, weights: Tensor, alpha: float
) -> Tensor:
    sides = _norm_sides(
        losses=losses, initial_losses=initial_losses, grad_norms=grad_norms, weights=weights, alpha=alpha
    )
    return sides * _norm_by_weight(grad_norms=grad_norms)


_EVEN = {"losses": [1.0, 1.0], "initial_losses": [1.0, 1.0], "grad_norms": [1.0, 1.0]}

GRADNORM = Loss(
    key="gradnorm",
    name="GradNorm",
    name_zh="梯度归一化（GradNorm）",
    family="multitask",
    tasks=("multi-task",),
    input_kind="task_norms",
    inputs={
        "losses": "loss of each task now, (T,), above 0",
        "initial_losses": "loss of each task at the start, (T,), above 0",
        "grad_norms": "length of each task's unweighted gradient, (T,), 0 or more",
        "weights": "weight of each task, (T,), adding up to T",
    },
    differentiable=("weights",),
    fn=gradnorm,
    denominator=_total,
    check=_check_gradnorm,
    grad=_gradnorm_grad,
    formula=(
        Line(r"G_i = w_i\, n_i", _weighted_norms),
        Line(r"r_i = \frac{L_i / L_i^{(0)}}{\frac{1}{T} \sum_j L_j / L_j^{(0)}}", _relative_rates),
        Line(r"t_i = \left| G_i - \bar G\, r_i^\alpha \right|, \quad \ell = \sum_i t_i", _gradnorm_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial w_i} = n_i \operatorname{sign}(G_i - \bar G\, r_i^\alpha), "
    r"\quad \bar G\, r_i^\alpha \text{ constant}",
    derivation=(
        Line(r"d_i = G_i - \bar G\, r_i^\alpha", _norm_gaps),
        Line(
            r"\frac{\partial t_i}{\partial G_i} = \frac{\partial |d_i|}{\partial d_i} = \operatorname{sign}(d_i),"
            r" \quad \bar G\, r_i^\alpha \text{ constant}",
            _norm_sides,
        ),
        Line(r"\frac{\partial G_i}{\partial w_i} = n_i", _norm_by_weight),
        Line(
            r"\frac{\partial \ell}{\partial w_i} = \frac{\partial t_i}{\partial G_i} \cdot"
            r" \frac{\partial G_i}{\partial w_i} = n_i \operatorname{sign}(d_i)",
            _gradnorm_slope,
        ),
    ),
    params={"alpha": Number("How strongly tasks that lag behind are favoured.", 1.5, 0.0, 5.0)},
    properties=Properties(
        convex_in_pred=yes(_NORMS),
        bounded=no(
            _NORMS,
            {"losses": [1.0, 1.0], "initial_losses": [1.0, 1.0], "grad_norms": [1e3, 0.0], "weights": [1.0, 1.0]},
        ),
        lipschitz=no(
            _NORMS,
            {"losses": [1.0, 1.0], "initial_losses": [1.0, 1.0], "grad_norms": [1e6, 0.0], "weights": [1.0, 1.0]},
        ),
        smooth=no(
            "positive losses, gradient lengths and weights of 0 or more: a kink where a length meets its target",
            {**_EVEN, "weights": [1.0 - 1e-9, 1.0 + 1e-9]},
            {**_EVEN, "weights": [1.0 + 1e-9, 1.0 - 1e-9]},
        ),
        symmetric=yes(_TASKS_PERMUTED),
        scale_invariant=no(
            "the weights",
            {"losses": [1.0, 1.0], "initial_losses": [1.0, 1.0], "grad_norms": [2.0, 0.5], "weights": [1.0, 1.0]},
        ),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The target is a constant: without the detach the weights drift to 0, where everything matches.",
        "Only the weights learn from this loss, the network learns from the weighted sum.",
        "After each step the weights are scaled back to the sum T, or they change the learning rate.",
        "The lengths are those at the last shared layer, before weighting; at another layer they are other numbers.",
        "Dividing by the initial loss asks for one that is typical: a lucky start distorts all rates.",
    ),
    reference="Chen, Badrinarayanan, Lee and Rabinovich (2018), GradNorm: gradient normalization for adaptive loss "
    "balancing in deep multitask networks, arXiv:1711.02257.",
    code=Code(
        pytorch="remaining = losses / initial_losses\n"
        "norms = weights * grad_norms\n"
        "target = (norms.mean() * (remaining / remaining.mean()) ** {alpha}).detach()\n"
        "loss = (norms - target).abs().sum()\n",
        keras=None,
        optax=None,
        note="LibMTL learns the logits of a softmax in place of the weights.",
    ),
    detached="the targets of the gradients' lengths",
    outputs=_gradnorm_outputs,
)


# --- PCGrad


def pcgrad(*, grads: Tensor) -> Tensor:
    """Takes from each task's gradient what works against another task, one task after the other in natural order.

    Args:
        grads: gradient of each task, shape ``(T, D)``.

    Returns:
        The projected gradients, shape ``(T, D)``; their sum over the tasks is the step to take.

    Raises:
        ValueError: shape or dtype do not fit, or there is no task.

    Reference: Yu et al. (2020), arXiv:2001.06782. There the order is random.
    """
    require_floating(grads=grads)
    require_axes("(T, D)", grads=grads)
    projected = grads
    others = ~torch.eye(len(grads), dtype=torch.bool, device=grads.device)
    for j, direction in enumerate(_directions(grads).unbind()):
        # A zero gradient has no direction, and its product with every other is 0 too.
        square = (direction * direction).sum().clamp(min=torch.finfo(grads.dtype).tiny)
        along = (projected * direction).sum(-1) / square
        conflict = (along < 0) & others[j]
        projected = projected - torch.where(conflict, along, torch.zeros_like(along))[:, None] * direction
    return projected


def _directions(grads: Tensor) -> Tensor:
    """The gradients with 1 as the largest entry: squares of tiny ones would vanish."""
    return grads / grads.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(grads.dtype).tiny)


def _pcgrad_outputs(*, grads: Tensor) -> dict[str, Tensor]:
    projected = pcgrad(grads=grads)
    return {"projected": projected, "combined": projected.sum(0)}


def _check_grads(inputs: Inputs, params: Params) -> None:
    require_floating(grads=inputs["grads"])
    require_axes("(T, D)", grads=inputs["grads"])
    check_finite(grads=inputs["grads"])


def _conflicts(*, grads: Tensor) -> Tensor:
    return grads @ grads.T


def _pcgrad_line(*, grads: Tensor) -> Tensor:
    rows: list[Tensor] = []
    directions = _directions(grads)
    for i, own in enumerate(grads):
        a = own
        for j, other in enumerate(directions):
            if i != j and torch.dot(a, other) < 0:
                a = a - torch.dot(a, other) / torch.dot(other, other) * other
        rows.append(a)
    return torch.stack(rows)


def _first_shares(*, grads: Tensor) -> Tensor:
    lengths = (grads * grads).sum(-1).clamp(min=torch.finfo(grads.dtype).tiny)
    shares = (-grads @ grads.T / lengths).clamp(min=0)
    return shares - shares.diag().diag()


def _shares(*, grads: Tensor) -> Tensor:
    shares = torch.zeros(len(grads), len(grads), dtype=grads.dtype, device=grads.device)
    for i, own in enumerate(grads):
        a = own
        for j, other in enumerate(grads):
            square = torch.dot(other, other)
            if i != j and square > 0:
                shares[i, j] = -torch.dot(a, other).clamp(max=0) / square
                a = a + shares[i, j] * other
    return shares


def _surgery(*, grads: Tensor) -> Tensor:
    return grads + _shares(grads=grads) @ grads


PCGRAD = Loss(
    key="pcgrad",
    name="PCGrad gradient surgery",
    name_zh="梯度手术（PCGrad）",
    family="multitask",
    tasks=("multi-task",),
    input_kind="task_gradients",
    inputs={"grads": "gradient of each task, (T, D)"},
    differentiable=(),
    fn=pcgrad,
    denominator=None,
    check=_check_grads,
    grad=None,
    formula=(
        Line(r"c_{ij} = g_i \cdot g_j", _conflicts),
        Line(
            r"a_i = g_i; \; \text{for } j \ne i: \; a_i \leftarrow a_i - "
            r"\frac{\min(a_i \cdot g_j, 0)}{\lVert g_j \rVert^2} g_j",
            _pcgrad_line,
        ),
    ),
    gradient=r"g = \sum_i a_i",
    derivation=(
        Line(
            r"\min_a \tfrac{1}{2} \lVert a - g_i \rVert^2 \text{ where } a \cdot g_j \ge 0: \;"
            r" a = g_i + \mu_{ij}\, g_j, \; \mu_{ij} = \max\left(0, -\frac{g_i \cdot g_j}{\lVert g_j \rVert^2}\right)",
            _first_shares,
        ),
        Line(
            r"\text{one } j \text{ after the other: } \mu_{ij} = \max\left(0, -\frac{1}{\lVert g_j \rVert^2}"
            r" \left(g_i + \sum_{k < j} \mu_{ik}\, g_k\right) \cdot g_j\right), \quad \mu_{ii} = 0",
            _shares,
        ),
        Line(r"a_i = g_i + \sum_j \mu_{ij}\, g_j", _surgery),
    ),
    params={},
    properties=Properties(needs_pairs=NOT_APPLICABLE),
    pitfalls=(
        "The paper visits the other tasks in random order; with three tasks or more the order changes the result.",
        "It projects on the other tasks' original gradients, not on those already projected.",
        "The step is the sum of the projected gradients; dividing by the number of tasks is a smaller learning rate.",
    ),
    reference="Yu et al. (2020), Gradient surgery for multi-task learning, arXiv:2001.06782.",
    code=Code(
        pytorch="import torch\n\n"
        "rows = []\n"
        "for i, own in enumerate(grads):\n"
        "    a = own.clone()\n"
        "    for j, other in enumerate(grads):\n"
        "        if i != j and a @ other < 0:\n"
        "            a -= (a @ other) / (other @ other) * other\n"
        "    rows.append(a)\n"
        "loss = torch.stack(rows).sum(0)\n",
        keras=None,
        optax=None,
        note="The result is the combined gradient, not a loss.",
    ),
    outputs=_pcgrad_outputs,
    returns="gradients",
)


# --- multiple-gradient descent


def mgda(*, grads: Tensor) -> Tensor:
    """Weights the tasks' gradients so that their sum is as short as it can be: no task gets worse along it.

    Args:
        grads: gradient of each task, shape ``(T, D)``.

    Returns:
        Each task's gradient times its weight, shape ``(T, D)``; their sum over the tasks is the step to take: the
        point nearest to 0 among all weighted means of the gradients. Where several weights lead to it, as with more
        tasks than dimensions, one of them is taken.

    Raises:
        ValueError: shape or dtype do not fit, or there is no task.

    Reference: Désidéri (2012), doi:10.1016/j.crma.2012.03.014. Exact, by Wolfe (1976), doi:10.1007/BF01580381.
    """
    require_floating(grads=grads)
    require_axes("(T, D)", grads=grads)
    return _shortest_weights(grads)[:, None] * grads


def _shortest_weights(grads: Tensor) -> Tensor:
    """(T,): 0 or more, adding up to 1, for the shortest weighted mean.

    Wolfe's algorithm: the tasks that count are a growing set of corners; a corner leaves it where the nearest point of
    their plane lies outside. Every round shortens the mean and no set comes twice, so it ends.
    """
    points = _corners(grads)
    chosen = [int(points.square().sum(-1).argmin())]
    weights = points.new_ones(1)
    mean = points[chosen[0]]
    while True:
        along = points @ mean
        against = int(along.argmin())
        if against in chosen or not float(along[against]) < float(mean @ mean):
            break
        grown, longer = _nearest(points, [*chosen, against], torch.cat([weights, weights.new_zeros(1)]))
        shorter = longer @ points[grown]
        if not float(shorter @ shorter) < float(mean @ mean):
            break  # what is left is rounding
        chosen, weights, mean = grown, longer, shorter
    return points.new_zeros(len(points)).scatter(0, torch.tensor(chosen), weights).to(grads)


def _corners(grads: Tensor) -> Tensor:
    """The gradients with 1 as the largest entry; on the CPU, where least squares need not be of full rank."""
    scaled = grads.detach().to("cpu", torch.float64)
    return scaled / scaled.abs().max().clamp(min=torch.finfo(scaled.dtype).tiny)


def _nearest(points: Tensor, chosen: list[int], weights: Tensor) -> tuple[list[int], Tensor]:
    """The corners and weights of a mean nearer to 0, on the way to the nearest point of the chosen corners' plane."""
    while True:
        corner, edges = points[chosen[0]], points[chosen[1:]] - points[chosen[0]]
        rest = _least_squares(edges.T, -corner)
        goal = torch.cat([1 - rest.sum(0, keepdim=True), rest])
        if bool((goal >= 0).all()):
            return chosen, goal
        # As far as all weights stay 0 or more; those that reach 0 there leave. The newcomer starts at 0 and stays.
        out = goal < 0
        shares = weights[out] / (weights - goal)[out]
        weights = (weights + shares.min() * (goal - weights)).clamp(min=0)
        weights[out.nonzero()[int(shares.argmin()), 0]] = 0
        stay = (weights > 0) | ~out
        chosen = [index for index, kept in zip(chosen, stay, strict=True) if kept]
        weights = weights[stay] / weights[stay].sum()


def _least_squares(matrix: Tensor, right: Tensor) -> Tensor:
    solved = cast("Tensor", torch.linalg.lstsq(matrix, right[:, None]).solution)  # pyright: ignore[reportUnknownMemberType]
    return solved[:, 0]


def _mgda_outputs(*, grads: Tensor) -> dict[str, Tensor]:
    weights = _shortest_weights(grads)
    return {"weights": weights, "combined": weights @ grads}


def _mgda_weights(*, grads: Tensor) -> Tensor:
    return _shortest_weights(grads)


def _mgda_line(*, grads: Tensor) -> Tensor:
    return _mgda_weights(grads=grads).diag() @ grads


def _mean_slopes(*, grads: Tensor) -> Tensor:
    return _conflicts(grads=grads) @ _mgda_weights(grads=grads)


def _surplus_slopes(*, grads: Tensor) -> Tensor:
    slopes = _mean_slopes(grads=grads)
    return slopes - _mgda_weights(grads=grads) @ slopes


MGDA = Loss(
    key="mgda",
    name="Multiple-gradient descent (MGDA)",
    name_zh="多梯度下降（MGDA）",
    family="multitask",
    tasks=("multi-task",),
    input_kind="task_gradients",
    inputs=PCGRAD.inputs,
    differentiable=(),
    fn=mgda,
    denominator=None,
    check=_check_grads,
    grad=None,
    formula=(
        Line(r"c_{ij} = g_i \cdot g_j", _conflicts),
        Line(
            r"w = \operatorname{argmin}_w \sum_{ij} w_i w_j c_{ij} = "
            r"\operatorname{argmin}_w \left\lVert \sum_i w_i g_i \right\rVert^2, \quad w_i \ge 0, \; \sum_i w_i = 1",
            _mgda_weights,
        ),
        Line(r"a_i = w_i\, g_i", _mgda_line),
    ),
    gradient=r"g = \sum_i w_i\, g_i",
    derivation=(
        Line(r"\frac{\partial}{\partial w_i} \tfrac{1}{2} \lVert g \rVert^2 = g_i \cdot g", _mean_slopes),
        Line(
            r"g_i \cdot g - \lVert g \rVert^2 \ge 0, \quad = 0 \text{ where } w_i > 0 \quad (\text{else weight moved}"
            r"\text{ from one task to another would shorten } g)",
            _surplus_slopes,
        ),
        Line(r"g = \sum_i a_i, \quad a_i = w_i\, g_i", _mgda_line),
    ),
    params={},
    properties=Properties(needs_pairs=NOT_APPLICABLE),
    pitfalls=(
        "Along the step every task falls at least as fast as the step's squared length says; where the step is 0 no "
        "direction helps all tasks, and training stops there, good point or not.",
        "The task with the shortest gradient gets the most weight, often all of it: the authors' code can scale the "
        "gradients by their lengths or losses first.",
        "The step is a mean of the gradients, not their sum: it wants a larger learning rate than added losses.",
        "The authors search by Frank-Wolfe and stop early, so their weights are near these, not equal to them.",
        "With gradients at a shared layer's output in place of its weights (MGDA-UB) the weights are other numbers.",
    ),
    reference="Désidéri (2012), Multiple-gradient descent algorithm (MGDA) for multiobjective optimization, "
    "doi:10.1016/j.crma.2012.03.014; for networks Sener and Koltun (2018), Multi-task learning as multi-objective "
    "optimization, arXiv:1810.04650.",
    code=Code(
        pytorch="import itertools\n\n"
        "import torch\n\n"
        "loss = min(grads, key=torch.linalg.norm)\n"
        "for size in range(2, len(grads) + 1):\n"
        "    for rows in itertools.combinations(grads, size):\n"
        "        edges = torch.stack(rows[1:]) - rows[0]\n"
        "        rest = -torch.linalg.lstsq(edges.T, rows[0][:, None]).solution[:, 0]\n"
        "        mean = rows[0] + rest @ edges\n"
        "        if rest.min() >= 0 and rest.sum() <= 1 and mean.norm() < loss.norm():\n"
        "            loss = mean\n",
        keras=None,
        optax=None,
        note="The result is the combined gradient, not a loss; the snippet tries every set of tasks.",
    ),
    outputs=_mgda_outputs,
    returns="gradients",
)


# --- dynamic weight average


def dwa(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float = 2.0) -> Tensor:
    """Weights each task by how slowly its loss fell over the last two epochs.

    Args:
        losses: loss of each task now, shape ``(T,)``.
        prev1: mean loss of each task in the last epoch, same shape; 0 or more.
        prev2: mean loss of each task in the epoch before, same shape; above 0.
        temperature: how evenly the weights are spread; above 0. Very large: all weights are 1.

    Returns:
        Term of each task, shape ``(T,)``; their sum is the loss. The weights are constants and add up to T.

    Raises:
        ValueError: shapes or dtypes do not fit, or there is no task.

    Reference: Liu, Johns and Davison (2019), arXiv:1803.10704.
    """
    _require_tasks(losses=losses, prev1=prev1, prev2=prev2)
    return _dwa_weights(prev1, prev2, temperature) * losses


def _dwa_weights(prev1: Tensor, prev2: Tensor, temperature: float) -> Tensor:
    return (prev1.numel() * (prev1 / prev2 / temperature).softmax(0)).detach()


def _dwa_grad(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float) -> dict[str, Tensor]:
    return {"losses": _dwa_weights(prev1, prev2, temperature)}


def _dwa_outputs(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float) -> dict[str, Tensor]:
    return {"weights": _dwa_weights(prev1, prev2, temperature)}


def _check_dwa(inputs: Inputs, params: Params) -> None:
    losses, prev1, prev2 = inputs["losses"], inputs["prev1"], inputs["prev2"]
    _require_tasks(losses=losses, prev1=prev1, prev2=prev2)
    check_finite(losses=losses)
    check_at_least("prev1", prev1, 0.0)
    check_above("prev2", prev2, 0.0)
    ratio = prev1 / prev2 / params["temperature"]
    check_where("prev2", prev2, ratio.isfinite(), "large enough for prev1 / prev2 / temperature to be finite")


def _ratios(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float) -> Tensor:
    return prev1 / prev2


def _spread_weights(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float) -> Tensor:
    heat = _ratios(losses=losses, prev1=prev1, prev2=prev2, temperature=temperature) / temperature
    share = (heat - heat.amax()).exp()
    return share / share.mean()


def _dwa_line(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float) -> Tensor:
    return losses * _spread_weights(losses=losses, prev1=prev1, prev2=prev2, temperature=temperature)


def _weights_by_losses(*, losses: Tensor, **_: object) -> Tensor:
    return torch.zeros(len(losses), len(losses), dtype=losses.dtype, device=losses.device)


def _terms_by_losses(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float) -> Tensor:
    weights = _spread_weights(losses=losses, prev1=prev1, prev2=prev2, temperature=temperature)
    return weights.diag() + losses[:, None] * _weights_by_losses(losses=losses)


def _dwa_slope(*, losses: Tensor, prev1: Tensor, prev2: Tensor, temperature: float) -> Tensor:
    return _terms_by_losses(losses=losses, prev1=prev1, prev2=prev2, temperature=temperature).sum(0)


DWA = Loss(
    key="dwa",
    name="Dynamic weight average",
    name_zh="动态权重平均",
    family="multitask",
    tasks=("multi-task",),
    input_kind="task_history",
    inputs={
        "losses": "loss of each task now, (T,)",
        "prev1": "loss of each task in the last epoch, (T,), 0 or more",
        "prev2": "loss of each task in the epoch before, (T,), above 0",
    },
    differentiable=("losses",),
    fn=dwa,
    denominator=_total,
    check=_check_dwa,
    grad=_dwa_grad,
    formula=(
        Line(r"r_i = \frac{L_i^{(t-1)}}{L_i^{(t-2)}}", _ratios),
        Line(r"w_i = T \frac{e^{r_i / \tau}}{\sum_j e^{r_j / \tau}}", _spread_weights),
        Line(r"t_i = w_i L_i, \quad \ell = \sum_i t_i", _dwa_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial L_i} = w_i",
    derivation=(
        Line(r"\frac{\partial w_i}{\partial L_j} = 0", _weights_by_losses),
        Line(
            r"\frac{\partial t_i}{\partial L_j} = w_i\,[i = j] + L_i \frac{\partial w_i}{\partial L_j}"
            r" = w_i\,[i = j]",
            _terms_by_losses,
        ),
        Line(
            r"\frac{\partial \ell}{\partial L_j} = \sum_i \frac{\partial t_i}{\partial L_j} = w_j",
            _dwa_slope,
        ),
    ),
    params={"temperature": Number("How evenly the weights are spread; very large: all are 1.", 2.0, 0.1, 1e6, "log")},
    properties=Properties(
        convex_in_pred=yes(_ALL_LOSSES),
        bounded=no(_ALL_LOSSES, {"losses": [1e6], "prev1": [1.0], "prev2": [1.0]}),
        # The weights are the slope; they are not negative and add up to the number of tasks.
        lipschitz=yes("all real losses of 5 tasks; the bound is the number of tasks", constant=lambda _: 5.0),
        smooth=yes(_ALL_LOSSES, constant=lambda _: 0.0),
        symmetric=yes(_TASKS_PERMUTED),
        scale_invariant=no("the losses of now alone", {"losses": [1.0], "prev1": [1.0], "prev2": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "There is no history in the first two epochs: use weights of 1 then (equal losses give them).",
        "The losses of the past are means over an epoch; those of single batches make the weights jump.",
        "A task that got worse gets more weight, even one that is noise.",
        "The ratio does not see how large a loss is, so tasks have to be of similar scale.",
    ),
    reference="Liu, Johns and Davison (2019), End-to-end multi-task learning with attention, arXiv:1803.10704.",
    code=Code(
        pytorch="weights = losses.numel() * (prev1 / prev2 / {temperature}).softmax(0)\n"
        "loss = (weights * losses).sum()\n",
        keras=None,
        optax=None,
        note="LibMTL's DWA is the same.",
    ),
    outputs=_dwa_outputs,
)


LOSSES: tuple[Loss, ...] = (WEIGHTED_SUM, UNCERTAINTY_WEIGHTING, GRADNORM, PCGRAD, MGDA, DWA)
