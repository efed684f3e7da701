"""Losses that need no label: the network's own answers are the target."""

import math

import torch
from torch import Tensor

from lossviz.losses._checks import (
    check_finite,
    require_axes,
    require_floating,
    require_same_shape,
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


def _require_logits(**tensors: Tensor) -> None:
    require_floating(**tensors)
    require_axes("(N, K)", **tensors)
    require_same_shape(**tensors)
    for name, tensor in tensors.items():
        if tensor.shape[1] < 2:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, allowed: (N, K) with 2 classes or more")


def _check_pred(inputs: Inputs, params: Params) -> None:
    _require_logits(pred=inputs["pred"])
    check_finite(pred=inputs["pred"])


def _one_hot(index: Tensor, pred: Tensor) -> Tensor:
    return (index[:, None] == torch.arange(pred.shape[-1], device=pred.device)).to(pred.dtype)


def _cost(log_p: Tensor, index: Tensor) -> Tensor:
    return -log_p.gather(-1, index[:, None])[:, 0]


def _sure(pred: Tensor, threshold: float) -> Tensor:
    """(N,): whether the likeliest class has at least this probability."""
    return pred.softmax(-1).amax(-1) >= threshold


def _where_sure(sure: Tensor, cost: Tensor) -> Tensor:
    return torch.where(sure, cost, torch.zeros_like(cost))


def _probabilities(*, pred: Tensor, **_: object) -> Tensor:
    powers = (pred - pred.amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


def _probability_slopes(*, pred: Tensor, **_: object) -> Tensor:
    p = _probabilities(pred=pred)
    return p.diag_embed() - p[:, :, None] * p[:, None, :]


_SOFTMAX_SLOPES = Line(
    r"\frac{\partial p_j}{\partial z_k} = p_j \left([j = k] - p_k\right)",
    _probability_slopes,
)


# --- entropy minimisation


def entropy_min(*, pred: Tensor) -> Tensor:
    """How undecided the network is: minimised, it moves the border between classes away from the samples.

    Args:
        pred: logits, shape ``(N, K)``.

    Returns:
        Entropy per row, shape ``(N,)``, in nats; 0 to ln K.

    Raises:
        ValueError: shape or dtype do not fit, or the batch is empty.

    Reference: Grandvalet and Bengio (2005), Advances in Neural Information Processing Systems 17.
    """
    _require_logits(pred=pred)
    log_p = pred.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def _entropy_grad(*, pred: Tensor) -> dict[str, Tensor]:
    log_p = pred.log_softmax(-1)
    return {"pred": -log_p.exp() * (log_p + entropy_min(pred=pred)[:, None])}


def _shifted(*, pred: Tensor) -> Tensor:
    return pred - pred.amax(-1, keepdim=True)


def _entropy_line(*, pred: Tensor) -> Tensor:
    s = _shifted(pred=pred)
    return s.exp().sum(-1).log() - (_probabilities(pred=pred) * s).sum(-1)


def _entropy_by_p(*, pred: Tensor) -> Tensor:
    return -(pred.log_softmax(-1) + 1)


def _entropy_slope(*, pred: Tensor) -> Tensor:
    return (_entropy_by_p(pred=pred)[:, :, None] * _probability_slopes(pred=pred)).sum(1)


ENTROPY_MIN = Loss(
    key="entropy_min",
    name="Entropy minimisation",
    name_zh="熵最小化",
    family="semisupervised",
    tasks=("semi-supervised",),
    input_kind="logits",
    inputs={"pred": "logits, (N, K)"},
    differentiable=("pred",),
    fn=entropy_min,
    denominator=number_of_values,
    check=_check_pred,
    grad=_entropy_grad,
    formula=(
        Line(r"s_k = z_k - \max_j z_j", _shifted),
        Line(r"p_k = \frac{e^{s_k}}{\sum_j e^{s_j}}", _probabilities),
        Line(r"\ell = -\sum_k p_k \ln p_k = \ln \sum_k e^{s_k} - \sum_k p_k s_k", _entropy_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = -p_k \left(\ln p_k + \ell\right)",
    derivation=(
        Line(
            r"\frac{\partial \ell}{\partial p_j} = -\left(\ln p_j + p_j \cdot \frac{1}{p_j}\right)"
            r" = -\left(\ln p_j + 1\right)",
            _entropy_by_p,
        ),
        _SOFTMAX_SLOPES,
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \sum_j \frac{\partial \ell}{\partial p_j} \cdot"
            r" \frac{\partial p_j}{\partial z_k} = -p_k \left(\ln p_k - \sum_j p_j \ln p_j\right)"
            r" = -p_k \left(\ln p_k + \ell\right)",
            _entropy_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=no(_LOGITS, {"pred": [[-3.0, 0.0]]}, {"pred": [[3.0, 0.0]]}),
        bounded=yes("three classes; ln K for K of them", constant=lambda _: math.log(3)),
        lipschitz=yes("three classes", constant=lambda _: 0.5),
        smooth=yes("three classes", constant=lambda _: 1.0),
        symmetric=yes(_PERMUTED),
        scale_invariant=no(_LOGITS, {"pred": [[1.0, 0.0]]}),
    ),
    pitfalls=(
        "Alone it is smallest where every sample gets the same class: it needs labelled samples beside it.",
        "It makes the network surer of its mistakes too.",
        "Where all classes are equally likely the gradient is 0: from there it does not start.",
        "The unit is nats; with a logarithm of base 2 the value is larger by 1 / ln 2.",
    ),
    reference="Grandvalet and Bengio (2005), Semi-supervised learning by entropy minimization, "
    "Advances in Neural Information Processing Systems 17.",
    code=Code(
        pytorch="log_p = pred.log_softmax(-1)\nloss = -(log_p.exp() * log_p).sum(-1).mean()\n",
        keras=None,
        optax=None,
        note="The entropy of torch.distributions.Categorical(logits=pred) is the same.",
    ),
)


# --- FixMatch


def fixmatch(*, weak: Tensor, strong: Tensor, threshold: float = 0.95) -> Tensor:
    """What the network is sure of for a slightly changed image becomes the label of the heavily changed one.

    Args:
        weak: logits of the slightly changed inputs, shape ``(N, K)``; constants.
        strong: logits of the heavily changed inputs, same shape.
        threshold: probability from which on the guess counts as a label, 0 to 1.

    Returns:
        Loss per row, shape ``(N,)``, in nats; 0 where the network is not sure.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Sohn et al. (2020), arXiv:2001.07685.
    """
    _require_logits(weak=weak, strong=strong)
    guess = weak.detach()
    return _where_sure(_sure(guess, threshold), _cost(strong.log_softmax(-1), guess.argmax(-1)))


def _fixmatch_grad(*, weak: Tensor, strong: Tensor, threshold: float) -> dict[str, Tensor]:
    slope = strong.softmax(-1) - _one_hot(weak.argmax(-1), strong)
    return {"strong": _sure(weak, threshold)[:, None].to(slope.dtype) * slope}


def _check_fixmatch(inputs: Inputs, params: Params) -> None:
    _require_logits(weak=inputs["weak"], strong=inputs["strong"])
    check_finite(weak=inputs["weak"], strong=inputs["strong"])


def _confidence(*, weak: Tensor, **_: object) -> Tensor:
    return weak.softmax(-1).amax(-1)


def _kept(*, weak: Tensor, threshold: float, **_: object) -> Tensor:
    return (_confidence(weak=weak) >= threshold).to(weak.dtype)


def _fixmatch_line(*, weak: Tensor, strong: Tensor, threshold: float) -> Tensor:
    cost = strong.logsumexp(-1) - (strong * _one_hot(weak.argmax(-1), strong)).sum(-1)
    return _kept(weak=weak, threshold=threshold) * cost


def _strong_probabilities(*, strong: Tensor, **_: object) -> Tensor:
    return _probabilities(pred=strong)


def _fixmatch_slope(*, weak: Tensor, strong: Tensor, threshold: float) -> Tensor:
    surplus = _strong_probabilities(strong=strong) - _one_hot(weak.argmax(-1), strong)
    return _kept(weak=weak, threshold=threshold)[:, None] * surplus


FIXMATCH = Loss(
    key="fixmatch",
    name="FixMatch (unlabelled part)",
    name_zh="FixMatch 无标签损失",
    family="semisupervised",
    tasks=("semi-supervised",),
    input_kind="weak_strong",
    inputs={"weak": "logits of slightly changed inputs, (N, K)", "strong": "of heavily changed ones, same shape"},
    differentiable=("strong",),
    fn=fixmatch,
    denominator=number_of_values,
    check=_check_fixmatch,
    grad=_fixmatch_grad,
    formula=(
        Line(r"c = \max_k \mathrm{softmax}(u)_k", _confidence),
        Line(r"m = [c \ge \tau]", _kept),
        Line(
            r"\ell = m \left(\ln \sum_k e^{z_k} - z_{\hat y}\right), \quad \hat y = \operatorname{argmax}_k u_k",
            _fixmatch_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = m \left(p_k - [k = \hat y]\right), \quad "
    r"p = \mathrm{softmax}(z)",
    derivation=(
        Line(
            r"\frac{\partial}{\partial z_k} \ln \sum_j e^{z_j} = \frac{e^{z_k}}{\sum_j e^{z_j}} = p_k",
            _strong_probabilities,
        ),
        Line(r"m = [c \ge \tau], \quad \text{constant, as is } \hat y", _kept),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = m \cdot \frac{\partial}{\partial z_k}"
            r" \left(\ln \sum_j e^{z_j} - z_{\hat y}\right) = m \left(p_k - [k = \hat y]\right)",
            _fixmatch_slope,
        ),
    ),
    params={"threshold": Number("Probability from which on a guess counts as a label.", 0.95, 0.0, 1.0)},
    properties=Properties(
        convex_in_logits=yes("all real logits of the heavily changed inputs"),
        bounded=no(_LOGITS, {"weak": [[9.0, 0.0]], "strong": [[-1e6, 0.0]]}),
        lipschitz=yes(_LOGITS, constant=lambda _: math.sqrt(2)),
        smooth=yes(_LOGITS, constant=lambda _: 0.5),
        symmetric=yes(_PERMUTED),
        scale_invariant=no(_LOGITS, {"weak": [[9.0, 0.0]], "strong": [[1.0, 0.0]]}),
    ),
    pitfalls=(
        "The mean is over all unlabelled rows, not over those kept: early in training the loss is small because "
        "few are kept.",
        "No gradient goes into the slightly changed inputs' answer; with one it would teach itself to agree.",
        "Wrong guesses made with confidence are repeated; classes that are learnt first crowd out the others.",
        "It is the unlabelled part: the cross-entropy of labelled samples is added to it.",
    ),
    reference="Sohn et al. (2020), FixMatch: simplifying semi-supervised learning with consistency and confidence, "
    "arXiv:2001.07685.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "confidence, label = weak.detach().softmax(-1).max(-1)\n"
        'losses = F.cross_entropy(strong, label, reduction="none")\n'
        "loss = (losses * (confidence >= {threshold})).mean()\n",
        keras=None,
        optax=None,
        note="The threshold itself counts as sure.",
    ),
)


# --- pseudo-label


def pseudo_label(*, pred: Tensor, threshold: float = 0.0) -> Tensor:
    """The class that is likeliest now is taken for the label: the network is told to be surer of it.

    Args:
        pred: logits, shape ``(N, K)``.
        threshold: probability from which on the guess counts as a label, 0 to 1; 0 for every row.

    Returns:
        Loss per row, shape ``(N,)``, in nats; 0 where the network is not sure.

    Raises:
        ValueError: shape or dtype do not fit, or the batch is empty.

    Reference: Lee (2013), ICML workshop on challenges in representation learning.
    """
    _require_logits(pred=pred)
    return _where_sure(_sure(pred, threshold), _cost(pred.log_softmax(-1), pred.argmax(-1)))


def _pseudo_label_grad(*, pred: Tensor, threshold: float) -> dict[str, Tensor]:
    slope = pred.softmax(-1) - _one_hot(pred.argmax(-1), pred)
    return {"pred": _sure(pred, threshold)[:, None].to(slope.dtype) * slope}


def _behind(*, pred: Tensor, threshold: float) -> Tensor:
    return pred.amax(-1, keepdim=True) - pred


def _pseudo_label_line(*, pred: Tensor, threshold: float) -> Tensor:
    cost = (-_behind(pred=pred, threshold=threshold)).exp().sum(-1).log()
    return _sure(pred, threshold).to(pred.dtype) * cost


def _sure_rows(*, pred: Tensor, threshold: float) -> Tensor:
    return _sure(pred, threshold).to(pred.dtype)


def _pseudo_label_slope(*, pred: Tensor, threshold: float) -> Tensor:
    surplus = _probabilities(pred=pred) - _one_hot(pred.argmax(-1), pred)
    return _sure_rows(pred=pred, threshold=threshold)[:, None] * surplus


PSEUDO_LABEL = Loss(
    key="pseudo_label",
    name="Pseudo-label",
    name_zh="伪标签损失",
    family="semisupervised",
    tasks=("semi-supervised",),
    input_kind="logits",
    inputs={"pred": "logits, (N, K)"},
    differentiable=("pred",),
    fn=pseudo_label,
    denominator=number_of_values,
    check=_check_pred,
    grad=_pseudo_label_grad,
    formula=(
        Line(r"b_k = \max_j z_j - z_k", _behind),
        Line(
            r"\ell = [\max_k p_k \ge \tau]\, \ln \sum_k e^{-b_k} = -[\max_k p_k \ge \tau]\, \ln \max_k p_k",
            _pseudo_label_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = [\max_j p_j \ge \tau] \left(p_k - [k = \hat y]\right), "
    r"\quad \hat y = \operatorname{argmax}_k z_k",
    derivation=(
        Line(
            r"\frac{\partial}{\partial z_k} \ln \sum_j e^{z_j} = \frac{e^{z_k}}{\sum_j e^{z_j}} = p_k",
            _probabilities,
        ),
        Line(r"m = [\max_k p_k \ge \tau], \quad \text{constant, as is } \hat y", _sure_rows),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = m \cdot \frac{\partial}{\partial z_k}"
            r" \left(\ln \sum_j e^{z_j} - z_{\hat y}\right) = m \left(p_k - [k = \hat y]\right)",
            _pseudo_label_slope,
        ),
    ),
    params={
        "threshold": Number("Probability from which on a guess counts as a label; 0 for every row.", 0.0, 0.0, 1.0)
    },
    properties=Properties(
        convex_in_logits=no(_LOGITS, {"pred": [[1.0, 0.0]]}, {"pred": [[0.0, 1.0]]}),
        bounded=yes("three classes; ln K for K of them", constant=lambda _: math.log(3)),
        lipschitz=yes(_LOGITS, constant=lambda _: math.sqrt(2)),
        smooth=no(_LOGITS, {"pred": [[-1e-9, 0.0]]}, {"pred": [[1e-9, 0.0]]}),
        symmetric=yes(_PERMUTED),
        scale_invariant=no(_LOGITS, {"pred": [[1.0, 0.0]]}),
    ),
    pitfalls=(
        "It can only confirm what the network thinks: mistakes made at the start become labels.",
        "The article raises its weight slowly while training; that weight is outside this loss.",
        "The mean is over all rows, also over those below the threshold.",
        "The value jumps where a row crosses the threshold, and its gradient does not see that.",
    ),
    reference="Lee (2013), Pseudo-label: the simple and efficient semi-supervised learning method for deep neural "
    "networks, ICML workshop on challenges in representation learning.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "confidence, label = pred.softmax(-1).max(-1)\n"
        'losses = F.cross_entropy(pred, label, reduction="none")\n'
        "loss = (losses * (confidence >= {threshold})).mean()\n",
        keras=None,
        optax=None,
        note="Some code makes the labels once an epoch rather than once a step.",
    ),
)


# --- mean teacher


def mean_teacher(*, pred: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference of two networks' probabilities, one of which is the other's average over time.

    Args:
        pred: the student's logits, shape ``(N, K)``.
        teacher: the averaged network's logits, same shape; constants.

    Returns:
        Loss per row, shape ``(N,)``: the mean over classes, 0 to 2 / K.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Tarvainen and Valpola (2017), arXiv:1703.01780.
    """
    _require_logits(pred=pred, teacher=teacher)
    return (pred.softmax(-1) - teacher.detach().softmax(-1)).square().mean(-1)


def _mean_teacher_grad(*, pred: Tensor, teacher: Tensor) -> dict[str, Tensor]:
    p = pred.softmax(-1)
    apart = p - teacher.softmax(-1)
    return {"pred": 2 / pred.shape[1] * p * (apart - (p * apart).sum(-1, keepdim=True))}


def _check_mean_teacher(inputs: Inputs, params: Params) -> None:
    _require_logits(pred=inputs["pred"], teacher=inputs["teacher"])
    check_finite(pred=inputs["pred"], teacher=inputs["teacher"])


def _teacher_probabilities(*, pred: Tensor, teacher: Tensor) -> Tensor:
    return _probabilities(pred=teacher)


def _mean_teacher_line(*, pred: Tensor, teacher: Tensor) -> Tensor:
    apart = _probabilities(pred=pred) - _teacher_probabilities(pred=pred, teacher=teacher)
    return (apart * apart).sum(-1) / pred.shape[1]


def _mean_teacher_by_p(*, pred: Tensor, teacher: Tensor) -> Tensor:
    apart = _probabilities(pred=pred) - _teacher_probabilities(pred=pred, teacher=teacher)
    return 2 / pred.shape[1] * apart


def _mean_teacher_slope(*, pred: Tensor, teacher: Tensor) -> Tensor:
    by_p = _mean_teacher_by_p(pred=pred, teacher=teacher)
    return (by_p[:, :, None] * _probability_slopes(pred=pred)).sum(1)


MEAN_TEACHER = Loss(
    key="mean_teacher",
    name="Mean teacher (consistency)",
    name_zh="平均教师一致性损失",
    family="semisupervised",
    tasks=("semi-supervised",),
    input_kind="teacher",
    inputs={"pred": "the student's logits, (N, K)", "teacher": "the averaged network's logits, same shape"},
    differentiable=("pred",),
    fn=mean_teacher,
    denominator=number_of_values,
    check=_check_mean_teacher,
    grad=_mean_teacher_grad,
    formula=(
        Line(r"p = \mathrm{softmax}(z)", _probabilities),
        Line(r"q = \mathrm{softmax}(v)", _teacher_probabilities),
        Line(r"\ell = \frac{1}{K} \sum_k (p_k - q_k)^2", _mean_teacher_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = "
    r"\frac{2}{K}\, p_k \left(p_k - q_k - \sum_j p_j (p_j - q_j)\right)",
    derivation=(
        Line(
            r"\frac{\partial \ell}{\partial p_j} = \frac{2}{K} (p_j - q_j), \quad q \text{ constant}",
            _mean_teacher_by_p,
        ),
        _SOFTMAX_SLOPES,
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \sum_j \frac{\partial \ell}{\partial p_j} \cdot"
            r" \frac{\partial p_j}{\partial z_k} = \frac{2}{K}\, p_k \left(p_k - q_k - \sum_j p_j (p_j - q_j)\right)",
            _mean_teacher_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=no(
            _LOGITS,
            {"pred": [[8.0, 0.0]], "teacher": [[-8.0, 0.0]]},
            {"pred": [[-4.0, 0.0]], "teacher": [[-8.0, 0.0]]},
        ),
        bounded=yes(_LOGITS, constant=lambda _: 1.0),
        lipschitz=yes(_LOGITS, constant=lambda _: math.sqrt(2) / 2),
        smooth=yes(_LOGITS, constant=lambda _: 1.0),
        symmetric=yes(_PERMUTED),
        scale_invariant=no(_LOGITS, {"pred": [[1.0, 0.0]], "teacher": [[0.0, 0.0]]}),
    ),
    pitfalls=(
        "It compares probabilities, not logits: where the student is sure, even of the wrong class, it has hardly "
        "any gradient.",
        "The authors divide by the number of classes; code that adds the classes up weighs it K times as much.",
        "The teacher is a constant here and an average of the student's weights elsewhere.",
        "Its weight is raised slowly in training; at the start the teacher knows nothing.",
    ),
    reference="Tarvainen and Valpola (2017), Mean teachers are better role models: weight-averaged consistency targets "
    "improve semi-supervised deep learning results, arXiv:1703.01780.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "loss = F.mse_loss(pred.softmax(-1), teacher.detach().softmax(-1))\n",
        keras=None,
        optax=None,
        note="The mean over rows and classes is the mean of these rows.",
    ),
)


LOSSES: tuple[Loss, ...] = (ENTROPY_MIN, FIXMATCH, PSEUDO_LABEL, MEAN_TEACHER)
