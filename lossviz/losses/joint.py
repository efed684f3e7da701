"""Losses of networks that learn from one another."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossviz.losses._checks import (
    check_finite,
    check_labels,
    require_axes,
    require_classes,
    require_floating,
    require_same_shape,
    require_shape,
)
from lossviz.losses.entry import (
    Code,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    no,
    number_of_values,
    yes,
)

_LOGITS = "all real logits"
_PERMUTED = "all real logits; the classes permuted"


def _one_hot(pred: Tensor, target: Tensor) -> Tensor:
    return (target[:, None] == torch.arange(pred.shape[-1], device=pred.device)).to(pred.dtype)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) along the last axis."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _label_cost(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return pred.logsumexp(-1) - pred.gather(-1, target[:, None])[:, 0]


def _divergence_of_logits(u: Tensor, v: Tensor) -> Tensor:
    """KL(softmax(u) || softmax(v)) by its normalisers, which come out of the sum."""
    return (u.softmax(-1) * (u - v)).sum(-1) - u.logsumexp(-1) + v.logsumexp(-1)


# --- distillation


def distillation(
    *, pred: Tensor, teacher: Tensor, target: Tensor, temperature: float = 4.0, alpha: float = 0.9
) -> Tensor:
    """A small network imitates a large one's softened answers, and learns the labels beside.

    Args:
        pred: the student's logits, shape ``(N, K)``.
        teacher: the teacher's logits, same shape; constants.
        target: class index, shape ``(N,)``, int64.
        temperature: what both logits are divided by for the imitation; above 0.
        alpha: share of the imitation, 0 to 1; the rest is cross-entropy with the label.

    Returns:
        Loss per row, shape ``(N,)``, in nats; the imitation times the temperature squared, so that its gradient keeps
        its size.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Hinton, Vinyals and Dean (2015), arXiv:1503.02531.
    """
    _require_taught(pred, teacher, target)
    imitation = _divergence(_softened(teacher.detach(), temperature), _softened(pred, temperature))
    return alpha * temperature**2 * imitation + (1 - alpha) * cross_entropy(pred, target, reduction="none")


def _softened(logits: Tensor, temperature: float) -> Tensor:
    return (logits / temperature).log_softmax(-1)


def _require_taught(pred: Tensor, teacher: Tensor, target: Tensor) -> None:
    require_floating(pred=pred, teacher=teacher)
    require_same_shape(pred=pred, teacher=teacher)
    require_classes(pred=pred, target=target)


def _distillation_grad(
    *, pred: Tensor, teacher: Tensor, target: Tensor, temperature: float, alpha: float
) -> dict[str, Tensor]:
    apart = _softened(pred, temperature).exp() - _softened(teacher, temperature).exp()
    return {"pred": alpha * temperature * apart + (1 - alpha) * (pred.softmax(-1) - _one_hot(pred, target))}


def _check_taught(inputs: Inputs, params: Params) -> None:
    pred, teacher, target = inputs["pred"], inputs["teacher"], inputs["target"]
    _require_taught(pred, teacher, target)
    check_finite(pred=pred, teacher=teacher)
    check_labels(target, pred.shape[1])


def _imitation(*, pred: Tensor, teacher: Tensor, temperature: float, **_: object) -> Tensor:
    return _divergence_of_logits(teacher / temperature, pred / temperature)


def _distillation_line(*, pred: Tensor, teacher: Tensor, target: Tensor, temperature: float, alpha: float) -> Tensor:
    imitation = _imitation(pred=pred, teacher=teacher, temperature=temperature)
    return alpha * temperature**2 * imitation + (1 - alpha) * _label_cost(pred=pred, target=target)


def _imitation_slope(*, pred: Tensor, teacher: Tensor, temperature: float, **_: object) -> Tensor:
    return ((pred / temperature).softmax(-1) - (teacher / temperature).softmax(-1)) / temperature


def _label_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return pred.softmax(-1) - _one_hot(pred, target)


def _distillation_slope(*, pred: Tensor, teacher: Tensor, target: Tensor, temperature: float, alpha: float) -> Tensor:
    imitation = _imitation_slope(pred=pred, teacher=teacher, temperature=temperature)
    return alpha * temperature**2 * imitation + (1 - alpha) * _label_slope(pred=pred, target=target)


DISTILLATION = Loss(
    key="distillation",
    name="Knowledge distillation",
    name_zh="知识蒸馏损失",
    family="joint",
    tasks=("joint",),
    input_kind="student_teacher",
    inputs={
        "pred": "the student's logits, (N, K)",
        "teacher": "the teacher's logits, same shape",
        "target": "class index, 0 to K - 1, (N,) int64",
    },
    differentiable=("pred",),
    fn=distillation,
    denominator=number_of_values,
    check=_check_taught,
    grad=_distillation_grad,
    formula=(
        Line(
            r"d = \sum_k t_k \ln \frac{t_k}{s_k}, \quad t = \mathrm{softmax}(v / T), \; s = \mathrm{softmax}(z / T)",
            _imitation,
        ),
        Line(r"c = \ln \sum_k e^{z_k} - z_y", _label_cost),
        Line(r"\ell = \alpha\, T^2 d + (1 - \alpha)\, c", _distillation_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = \alpha\, T\, (s_k - t_k) + (1 - \alpha)(p_k - [k = y]), "
    r"\quad p = \mathrm{softmax}(z)",
    derivation=(
        Line(
            r"\frac{\partial d}{\partial z_k} = -\sum_j t_j \frac{\partial \ln s_j}{\partial z_k}"
            r" = -\sum_j t_j \cdot \frac{1}{T} \left([j = k] - s_k\right) = \frac{s_k - t_k}{T}",
            _imitation_slope,
        ),
        Line(
            r"\frac{\partial c}{\partial z_k} = \frac{e^{z_k}}{\sum_j e^{z_j}} - [k = y] = p_k - [k = y]",
            _label_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \alpha\, T^2 \frac{\partial d}{\partial z_k}"
            r" + (1 - \alpha) \frac{\partial c}{\partial z_k}"
            r" = \alpha\, T\, (s_k - t_k) + (1 - \alpha) \left(p_k - [k = y]\right)",
            _distillation_slope,
        ),
    ),
    params={
        "temperature": Number("What both logits are divided by for the imitation.", 4.0, 0.1, 20.0, "log"),
        "alpha": Number("Share of the imitation; the rest is cross-entropy with the label.", 0.9, 0.0, 1.0),
    },
    properties=Properties(
        convex_in_logits=yes(_LOGITS),
        bounded=no(_LOGITS, {"pred": [[-1e6, 0.0]], "teacher": [[0.0, 0.0]], "target": [0]}),
        lipschitz=yes(_LOGITS, constant=lambda p: math.sqrt(2) * (p["alpha"] * p["temperature"] + 1 - p["alpha"])),
        smooth=yes(_LOGITS, constant=lambda _: 0.5),
        symmetric=yes(_PERMUTED),
        scale_invariant=no(_LOGITS, {"pred": [[1.0, 0.0]], "teacher": [[0.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "Without the factor of the temperature squared, a high temperature silences the imitation.",
        "Here alpha weighs the imitation; much code weighs the labels with it.",
        "The divergence differs from the cross-entropy with soft labels by the teacher's entropy: in value, not in "
        "gradient.",
        "PyTorch's reduction 'mean' of kl_div divides by rows and classes; 'batchmean' is meant.",
        "At high temperatures the two answers are nearly equal: in float16 their difference is mostly rounding.",
    ),
    reference="Hinton, Vinyals and Dean (2015), Distilling the knowledge in a neural network, arXiv:1503.02531.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "student = (pred / {temperature}).log_softmax(-1)\n"
        "soft = (teacher / {temperature}).log_softmax(-1)\n"
        'imitation = F.kl_div(student, soft, log_target=True, reduction="batchmean")\n'
        "loss = {alpha} * {temperature} ** 2 * imitation + (1 - {alpha}) * F.cross_entropy(pred, target)\n",
        keras=None,
        optax=None,
        note="The teacher's logits come from a network in evaluation mode, without gradients.",
    ),
)


# --- deep mutual learning


def deep_mutual(*, pred: Tensor, peers: Tensor, target: Tensor) -> Tensor:
    """Networks that learn together: each learns the labels, and to agree with what the others answer.

    Args:
        pred: this network's logits, shape ``(N, K)``.
        peers: the logits of the M other networks, shape ``(M, N, K)``; constants.
        target: class index, shape ``(N,)``, int64.

    Returns:
        Loss per row, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Zhang, Xiang, Hospedales and Lu (2018), arXiv:1706.00384.
    """
    _require_peers(pred, peers, target)
    divergences = _divergence(peers.detach().log_softmax(-1), pred.log_softmax(-1))
    return cross_entropy(pred, target, reduction="none") + divergences.mean(0)


def _require_peers(pred: Tensor, peers: Tensor, target: Tensor) -> None:
    require_floating(pred=pred, peers=peers)
    require_classes(pred=pred, target=target)
    require_axes("(M, N, K)", peers=peers)
    require_shape("peers", peers, (peers.shape[0], *pred.shape), "the shape of pred for each peer")


def _deep_mutual_grad(*, pred: Tensor, peers: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": 2 * pred.softmax(-1) - _one_hot(pred, target) - peers.softmax(-1).mean(0)}


def _check_peers(inputs: Inputs, params: Params) -> None:
    pred, peers, target = inputs["pred"], inputs["peers"], inputs["target"]
    _require_peers(pred, peers, target)
    check_finite(pred=pred, peers=peers)
    check_labels(target, pred.shape[1])


def _disagreement(*, pred: Tensor, peers: Tensor, target: Tensor) -> Tensor:
    each = [_divergence_of_logits(peer, pred) for peer in peers]
    return torch.stack(each).sum(0) / len(each)


def _deep_mutual_line(*, pred: Tensor, peers: Tensor, target: Tensor) -> Tensor:
    return _label_cost(pred=pred, target=target) + _disagreement(pred=pred, peers=peers, target=target)


def _peer_slopes(*, pred: Tensor, peers: Tensor, **_: object) -> Tensor:
    return torch.stack([pred.softmax(-1) - peer.softmax(-1) for peer in peers])


def _disagreement_slope(*, pred: Tensor, peers: Tensor, **_: object) -> Tensor:
    each = _peer_slopes(pred=pred, peers=peers)
    return each.sum(0) / len(each)


def _deep_mutual_slope(*, pred: Tensor, peers: Tensor, target: Tensor) -> Tensor:
    return _label_slope(pred=pred, target=target) + _disagreement_slope(pred=pred, peers=peers)


DEEP_MUTUAL = Loss(
    key="deep_mutual",
    name="Deep mutual learning",
    name_zh="深度互学习损失",
    family="joint",
    tasks=("joint",),
    input_kind="peers",
    inputs={
        "pred": "this network's logits, (N, K)",
        "peers": "the other networks' logits, (M, N, K)",
        "target": "class index, 0 to K - 1, (N,) int64",
    },
    differentiable=("pred",),
    fn=deep_mutual,
    denominator=number_of_values,
    check=_check_peers,
    grad=_deep_mutual_grad,
    formula=(
        Line(r"c = \ln \sum_k e^{z_k} - z_y", _label_cost),
        Line(
            r"d = \frac{1}{M} \sum_m \sum_k q^{(m)}_k \ln \frac{q^{(m)}_k}{p_k}, \quad p = \mathrm{softmax}(z)",
            _disagreement,
        ),
        Line(r"\ell = c + d", _deep_mutual_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = p_k - [k = y] + p_k - \frac{1}{M} \sum_m q^{(m)}_k",
    derivation=(
        Line(
            r"\frac{\partial c}{\partial z_k} = \frac{e^{z_k}}{\sum_j e^{z_j}} - [k = y] = p_k - [k = y]",
            _label_slope,
        ),
        Line(
            r"-\sum_j q^{(m)}_j \frac{\partial \ln p_j}{\partial z_k}"
            r" = -\sum_j q^{(m)}_j \left([j = k] - p_k\right) = p_k - q^{(m)}_k",
            _peer_slopes,
        ),
        Line(
            r"\frac{\partial d}{\partial z_k} = \frac{1}{M} \sum_m \left(p_k - q^{(m)}_k\right)",
            _disagreement_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{\partial c}{\partial z_k} + \frac{\partial d}{\partial z_k}"
            r" = p_k - [k = y] + p_k - \frac{1}{M} \sum_m q^{(m)}_k",
            _deep_mutual_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=yes(_LOGITS),
        bounded=no(_LOGITS, {"pred": [[-1e6, 0.0]], "peers": [[[0.0, 0.0]]], "target": [0]}),
        lipschitz=yes(_LOGITS, constant=lambda _: 2 * math.sqrt(2)),
        smooth=yes(_LOGITS, constant=lambda _: 1.0),
        symmetric=yes(_PERMUTED),
        scale_invariant=no(_LOGITS, {"pred": [[1.0, 0.0]], "peers": [[[0.0, 0.0]]], "target": [0]}),
    ),
    pitfalls=(
        "The peer is the first argument of the divergence and a constant here; each network has a loss of its own.",
        "The divergences are averaged over the peers, so a larger group does not pull harder.",
        "There is no temperature: answers are compared as they are.",
        "In the paper the networks take turns, each seeing the others' answers after their update.",
    ),
    reference="Zhang, Xiang, Hospedales and Lu (2018), Deep mutual learning, arXiv:1706.00384.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "log_p = pred.log_softmax(-1)\n"
        "divergences = [\n"
        '    F.kl_div(log_p, peer.log_softmax(-1), log_target=True, reduction="batchmean") for peer in peers.detach()\n'
        "]\n"
        "loss = F.cross_entropy(pred, target) + sum(divergences) / len(divergences)\n",
        keras=None,
        optax=None,
        note="PyTorch's kl_div takes the logarithm of its second distribution first.",
    ),
)


LOSSES: tuple[Loss, ...] = (DISTILLATION, DEEP_MUTUAL)
