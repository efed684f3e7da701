"""Losses between class scores and a class index that forgive wrong labels."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossviz.losses._checks import require_classes
from lossviz.losses._logits import (
    ALL_LOGITS,
    CLASS_INPUTS,
    LOG_P_SLOPE,
    P_SLOPE,
    SOFTMAX,
    SOFTMAX_FORECAST,
    ce_line,
    check_class_logits,
    is_label,
    log_p_label,
    log_p_slope_line,
    p_slope_line,
    rest,
    rest_line,
    shifted_line,
    surplus,
)
from lossviz.losses.entry import Code, Line, Loss, Number, Params, Properties, no, number_of_values, yes

_SQRT2 = math.sqrt(2)
_ROBUST_SOURCE = "Ghosh, Kumar and Sastry (2017), arXiv:1712.09482."
_UNEVEN = ({"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]})
_TRUTH = {"pred": [[math.log(0.7), math.log(0.3)]], "target": [0]}
_OVERSTATED = {"pred": [[math.log(0.95), math.log(0.05)]], "target": [0]}


# --- generalized cross-entropy


def generalized_ce(*, pred: Tensor, target: Tensor, q: float = 0.7) -> Tensor:
    """``(1 - p^q) / q``: from the cross-entropy as q nears 0 to ``1 - p`` at q = 1, which wrong labels hardly move.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        q: above 0, up to 1; the larger, the less a wrong label counts.

    Returns:
        Loss per row, shape ``(N,)``; from 0 to ``1 / q``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Zhang and Sabuncu (2018), arXiv:1805.07836.
    """
    require_classes(pred=pred, target=target)
    return -torch.expm1(q * log_p_label(pred, target)) / q


def _generalized_grad(*, pred: Tensor, target: Tensor, q: float) -> dict[str, Tensor]:
    return {"pred": (q * log_p_label(pred, target)).exp()[:, None] * surplus(pred, target)}


def _power_line(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    return -q * ce_line(pred=pred, target=target)


def _generalized_line(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    x = _power_line(pred=pred, target=target, q=q)
    return -(1 + x.exp()) * (x / 2).tanh() / q


def _power_slope(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    return q * log_p_slope_line(pred=pred, target=target)


def _generalized_by_power(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    return -_power_line(pred=pred, target=target, q=q).exp() / q


def _generalized_slope(*, pred: Tensor, target: Tensor, q: float) -> Tensor:
    outer = _generalized_by_power(pred=pred, target=target, q=q)
    return outer[:, None] * _power_slope(pred=pred, target=target, q=q)


GENERALIZED_CE = Loss(
    key="generalized_ce",
    name="Generalized cross-entropy",
    name_zh="广义交叉熵",
    family="noise_robust",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=generalized_ce,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_generalized_grad,
    formula=(
        Line(r"-\ln p_y = \ln \sum_k e^{z_k} - z_y", ce_line),
        Line(r"x = q \ln p_y", _power_line),
        Line(r"\ell = \frac{1 - p_y^q}{q} = -\frac{(1 + e^x) \tanh(x / 2)}{q}", _generalized_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = p_y^q \left(p_k - [k = y]\right)",
    derivation=(
        SOFTMAX,
        LOG_P_SLOPE,
        Line(
            r"\frac{\partial x}{\partial z_k} = q\,\frac{\partial \ln p_y}{\partial z_k}"
            r" = q \left([k = y] - p_k\right)",
            _power_slope,
        ),
        Line(
            r"\frac{d \ell}{dx} = \frac{d}{dx}\,\frac{1 - e^x}{q} = -\frac{e^x}{q} = -\frac{p_y^q}{q}",
            _generalized_by_power,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{d \ell}{dx} \cdot \frac{\partial x}{\partial z_k}"
            r" = p_y^q \left(p_k - [k = y]\right)",
            _generalized_slope,
        ),
    ),
    params={"q": Number("The larger, the less a wrong label counts.", 0.7, 1e-8, 1.0)},
    properties=Properties(
        convex_in_logits=no(ALL_LOGITS, {"pred": [[-10.0, 0.0]], "target": [0]}, {"pred": [[0.0, 0.0]], "target": [0]}),
        bounded=yes(ALL_LOGITS, constant=lambda p: 1 / p["q"]),
        lipschitz=yes(ALL_LOGITS, constant=lambda _: _SQRT2),
        smooth=yes(ALL_LOGITS, constant=lambda p: 0.5 + 2 * p["q"]),
        robust=yes("all real logits, q = 1", source=_ROBUST_SOURCE, q=1.0),
        symmetric=yes(ALL_LOGITS),
        proper=no(f"{SOFTMAX_FORECAST}, q = 0.7", _TRUTH, _OVERSTATED),
        calibrated=yes(ALL_LOGITS, source="Zhang and Sabuncu (2018), arXiv:1805.07836."),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "Raised to the power q directly, a probability that underflows to 0 has a NaN gradient; "
        "here the power is taken of the logarithm.",
        "At q = 1 it is half the absolute error between probabilities and label: robust, but many classes then "
        "start with gradients close to 0 and learn nothing.",
        "The softmax is over-confident after training: for q above 0 it is no proper scoring rule.",
    ),
    reference="Zhang and Sabuncu (2018), Generalized cross entropy loss for training deep neural networks with noisy "
    "labels, arXiv:1805.07836.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        'log_p = -F.cross_entropy(pred, target, reduction="none")\n'
        "loss = (-torch.expm1({q} * log_p) / {q}).mean()\n",
        keras="import keras\n\n"
        "log_p = -keras.losses.sparse_categorical_crossentropy(target, pred, from_logits=True)\n"
        "loss = keras.ops.mean(-keras.ops.expm1({q} * log_p) / {q})\n",
        optax=None,
        note="Keras's categorical_generalized_cross_entropy takes probabilities and loses small q to rounding. "
        "The paper's truncated version, which drops rows with a small p, is another loss.",
    ),
)


# --- symmetric cross-entropy


def symmetric_ce(*, pred: Tensor, target: Tensor, alpha: float = 0.1, beta: float = 1.0, A: float = -4.0) -> Tensor:
    """Cross-entropy of the label against the forecast, plus that of the forecast against the label.

    The second takes ``A`` for the logarithm of 0, which makes it ``-A (1 - p)``.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        alpha: weight of the cross-entropy, which learns fast; 0 or more.
        beta: weight of the reverse one, which forgives wrong labels; 0 or more.
        A: stands for the logarithm of 0; below 0.

    Returns:
        Loss per row, shape ``(N,)``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Wang et al. (2019), arXiv:1908.06112.
    """
    require_classes(pred=pred, target=target)
    return alpha * cross_entropy(pred, target, reduction="none") - beta * A * rest(pred, target)


def _symmetric_grad(*, pred: Tensor, target: Tensor, alpha: float, beta: float, A: float) -> dict[str, Tensor]:
    p = log_p_label(pred, target).exp()
    return {"pred": (alpha - beta * A * p)[:, None] * surplus(pred, target)}


def _reverse_line(*, pred: Tensor, target: Tensor, A: float, **_: object) -> Tensor:
    return -A * rest_line(pred=pred, target=target)


def _symmetric_line(*, pred: Tensor, target: Tensor, alpha: float, beta: float, A: float) -> Tensor:
    return alpha * ce_line(pred=pred, target=target) + beta * _reverse_line(pred=pred, target=target, A=A)


def _reverse_slope(*, pred: Tensor, target: Tensor, A: float, **_: object) -> Tensor:
    return A * p_slope_line(pred=pred, target=target)


def _symmetric_slope(*, pred: Tensor, target: Tensor, alpha: float, beta: float, A: float) -> Tensor:
    reverse = _reverse_slope(pred=pred, target=target, A=A)
    return -alpha * log_p_slope_line(pred=pred, target=target) + beta * reverse


def _reverse_weight(params: Params) -> float:
    return -params["beta"] * params["A"]


SYMMETRIC_CE = Loss(
    key="symmetric_ce",
    name="Symmetric cross-entropy",
    name_zh="对称交叉熵",
    family="noise_robust",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=symmetric_ce,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_symmetric_grad,
    formula=(
        Line(r"C = -\ln p_y = \ln \sum_k e^{z_k} - z_y", ce_line),
        Line(r"R = -\sum_{k \ne y} p_k A = -A\,(1 - p_y)", _reverse_line),
        Line(r"\ell = \alpha C + \beta R", _symmetric_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = (\alpha - \beta A p_y) \left(p_k - [k = y]\right)",
    derivation=(
        SOFTMAX,
        LOG_P_SLOPE,
        P_SLOPE,
        Line(
            r"\frac{\partial R}{\partial z_k} = A\,\frac{\partial p_y}{\partial z_k}"
            r" = -A\,p_y \left(p_k - [k = y]\right)",
            _reverse_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = -\alpha\,\frac{\partial \ln p_y}{\partial z_k}"
            r" + \beta\,\frac{\partial R}{\partial z_k} = (\alpha - \beta A p_y) \left(p_k - [k = y]\right)",
            _symmetric_slope,
        ),
    ),
    params={
        "alpha": Number("Weight of the cross-entropy.", 0.1, 0.0, 10.0),
        "beta": Number("Weight of the reverse cross-entropy.", 1.0, 0.0, 10.0),
        "A": Number("Stands for the logarithm of 0.", -4.0, -20.0, -0.01),
    },
    properties=Properties(
        convex_in_logits=no(ALL_LOGITS, {"pred": [[-6.0, 0.0]], "target": [0]}, {"pred": [[-2.0, 0.0]], "target": [0]}),
        bounded=no("all real logits; bounded at alpha = 0 alone", {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(ALL_LOGITS, constant=lambda p: _SQRT2 * (p["alpha"] + _reverse_weight(p))),
        # p (1 - p)^2 is at most 4/27, and the squared length of the surplus at most 2 (1 - p)^2.
        smooth=yes(
            ALL_LOGITS, constant=lambda p: 0.5 * (p["alpha"] + _reverse_weight(p)) + _reverse_weight(p) * 8 / 27
        ),
        robust=yes("all real logits, alpha = 0", source="Wang et al. (2019), arXiv:1908.06112.", alpha=0.0),
        symmetric=yes(ALL_LOGITS),
        proper=no(f"{SOFTMAX_FORECAST}; proper at beta = 0 alone", _TRUTH, _OVERSTATED),
        calibrated=yes(ALL_LOGITS),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "It is named after label and forecast changing places; with alpha other than beta they do not weigh the same.",
        "A and beta do the same thing: only their product counts.",
        "The paper has A = -4; the authors' code clamps the one-hot label at 1e-4, which is A = -9.21.",
        "As soon as alpha is above 0 it is no longer robust in the strict sense.",
    ),
    reference="Wang, Ma, Chen, Luo, Yi and Bailey (2019), Symmetric cross entropy for robust learning with noisy "
    "labels, arXiv:1908.06112.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        'ce = F.cross_entropy(pred, target, reduction="none")\n'
        "loss = ({alpha} * ce - {beta} * {A} * (1 - torch.exp(-ce))).mean()\n",
        keras=None,
        optax=None,
    ),
)


# --- bi-tempered logistic loss


def bi_tempered(*, pred: Tensor, target: Tensor, t1: float = 0.8, t2: float = 1.2, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with a logarithm that ends (``t1``) and a softmax with heavy tails (``t2``).

    The first bounds what one wrong label can cost, the second lets confident scores stay undecided. Both at 1 give the
    cross-entropy. The tempered softmax's normalisation is solved to machine precision, not cut short.

    Args:
        pred: scores, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        t1: temperature of the logarithm; 0 to 1, bounded below 1.
        t2: temperature of the softmax; above 1 for heavy tails, below 1 for classes of exactly 0.
        smoothing: probability of the label that is given to the other classes, evenly; from 0 to below 1.

    Returns:
        Loss per row, shape ``(N,)``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Amid et al. (2019), arXiv:1906.03361.
    """
    require_classes(pred=pred, target=target)
    log_p, inside = _tempered_log_softmax(pred, t2)
    label = _smoothed(pred=pred, target=target, smoothing=smoothing)
    log_label = _tempered(label.where(label > 0, 1).log(), t1)
    log_forecast = _tempered(log_p, t1).where(inside, _tempered_log_of_zero(t1))
    cross = (label * (log_label - log_forecast)).where(label > 0, 0)
    mass = ((2 - t1) * log_p).exp().where(inside, 0)
    return (cross + (mass - label ** (2 - t1)) / (2 - t1)).sum(-1)


def _tempered(log_x: Tensor, t: float) -> Tensor:
    """The tempered logarithm of x from its natural one: ``(x^(1 - t) - 1) / (1 - t)``."""
    return log_x if t == 1 else torch.expm1((1 - t) * log_x) / (1 - t)


def _tempered_log_of_zero(t: float) -> float:
    return -math.inf if t == 1 else -1 / (1 - t)


def _smoothed(*, pred: Tensor, target: Tensor, smoothing: float, **_: object) -> Tensor:
    other = smoothing / (pred.shape[1] - 1)
    return other + (1 - smoothing - other) * is_label(pred, target).to(pred.dtype)


def _tempered_log_softmax(pred: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """Natural logarithms of the tempered probabilities, and where these are above 0 (elsewhere the logarithm is 0)."""
    if t == 1:
        return pred.log_softmax(-1), torch.ones_like(pred, dtype=torch.bool)
    scores = shifted_line(pred=pred)
    level = torch.zeros_like(scores[:, :1])
    for _ in range(NEWTON_STEPS):
        level = level + _newton_step(scores.detach() - level, t)
    # One more step with the gradient on: at the solution its slope is that of the solution.
    level = level + _newton_step(scores - level, t)
    return _log_exp_t(scores - level, t)


NEWTON_STEPS = 12
"""They never pass the solution; eight were the most it took for 2 to 1,000 classes and t2 from 0.2 to 5."""


def _newton_step(u: Tensor, t: float) -> Tensor:
    """How far to lower all scores so that their tempered exponentials come nearer to a sum of 1.

    Newton's method on the tempered logarithm of the sum: in that scale it is a straight line where scores tie.
    """
    log_p, inside = _log_exp_t(u, t)
    log_sum = log_p.masked_fill(~inside, -math.inf).logsumexp(-1, keepdim=True)
    log_slope = (t * log_p).masked_fill(~inside, -math.inf).logsumexp(-1, keepdim=True)
    return _tempered(log_sum, t) * (t * log_sum - log_slope).exp()


def _log_exp_t(u: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """Natural logarithm of ``max(0, 1 + (1 - t) u)^(1 / (1 - t))``, and where that is above 0."""
    x = (1 - t) * u
    inside = x > -1
    return torch.log1p(x.where(inside, 0)) / (1 - t), inside


def _bi_tempered_grad(*, pred: Tensor, target: Tensor, t1: float, t2: float, smoothing: float) -> dict[str, Tensor]:
    log_p, inside = _tempered_log_softmax(pred, t2)
    label = _smoothed(pred=pred, target=target, smoothing=smoothing)
    direct = ((log_p.exp() - label) * ((t2 - t1) * log_p).exp()).where(inside, 0)
    # The level moves with every score, by the share of its probability to the power t2.
    share = (t2 * log_p).masked_fill(~inside, -math.inf).softmax(-1)
    return {"pred": direct - share * direct.sum(-1, keepdim=True)}


def _level_line(*, pred: Tensor, t2: float, **_: object) -> Tensor:
    scores = shifted_line(pred=pred)
    if t2 == 1:
        return scores.logsumexp(-1, keepdim=True)
    low = torch.zeros_like(scores[:, :1])
    widest = (pred.shape[1] ** (t2 - 1) - 1) / (t2 - 1)
    for halving in range(1, 91):
        step = widest / 2**halving
        above = _exp_t_line(scores - low - step, t2).sum(-1, keepdim=True) >= 1
        low = low + step * above
    return low


def _exp_t_line(u: Tensor, t: float) -> Tensor:
    return u.exp() if t == 1 else (1 + (1 - t) * u).clamp(min=0) ** (1 / (1 - t))


def _forecast_line(*, pred: Tensor, t2: float, **_: object) -> Tensor:
    return _exp_t_line(shifted_line(pred=pred) - _level_line(pred=pred, t2=t2), t2)


def _log_t_line(x: Tensor, t: float) -> Tensor:
    return x.log() if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def _bi_tempered_line(*, pred: Tensor, target: Tensor, t1: float, t2: float, smoothing: float) -> Tensor:
    p = _forecast_line(pred=pred, t2=t2)
    label = _smoothed(pred=pred, target=target, smoothing=smoothing)
    cross = label * (_log_t_line(label, t1) - _log_t_line(p, t1))
    cross = cross.masked_fill(label == 0, 0)
    return cross.sum(-1) - (label ** (2 - t1) - p ** (2 - t1)).sum(-1) / (2 - t1)


def _forecast_slope(*, pred: Tensor, t2: float, **_: object) -> Tensor:
    p = _forecast_line(pred=pred, t2=t2)
    return p**t2


def _level_slope(*, pred: Tensor, t2: float, **_: object) -> Tensor:
    slope = _forecast_slope(pred=pred, t2=t2)
    return slope / slope.sum(-1, keepdim=True)


def _bi_tempered_by_p(*, pred: Tensor, target: Tensor, t1: float, t2: float, smoothing: float) -> Tensor:
    p, label = _forecast_line(pred=pred, t2=t2), _smoothed(pred=pred, target=target, smoothing=smoothing)
    return ((p - label) * p ** (t2 - t1)).where(p > 0, 0)


def _bi_tempered_slope(*, pred: Tensor, target: Tensor, t1: float, t2: float, smoothing: float) -> Tensor:
    direct = _bi_tempered_by_p(pred=pred, target=target, t1=t1, t2=t2, smoothing=smoothing)
    return direct - _level_slope(pred=pred, t2=t2) * direct.sum(-1, keepdim=True)


def _highest(params: Params) -> float:
    t1 = params["t1"]
    return 1 / (1 - t1) + (1 / (2 - t1) if params["smoothing"] else 0)


BI_TEMPERED = Loss(
    key="bi_tempered",
    name="Bi-tempered logistic loss",
    name_zh="双温逻辑损失",
    family="noise_robust",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=bi_tempered,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_bi_tempered_grad,
    formula=(
        Line(r"s_k = z_k - \max_j z_j", shifted_line),
        Line(r"\lambda: \sum_k \exp_{t_2}(s_k - \lambda) = 1", _level_line),
        Line(
            r"p_k = \exp_{t_2}(s_k - \lambda), \quad \exp_t(u) = \max(0, 1 + (1 - t) u)^{1 / (1 - t)}", _forecast_line
        ),
        Line(r"y_k = \left(1 - \frac{K}{K - 1} \varepsilon\right) [k = y] + \frac{\varepsilon}{K - 1}", _smoothed),
        Line(
            r"\ell = \sum_k y_k \left(\ln_{t_1} y_k - \ln_{t_1} p_k\right)"
            r" - \frac{y_k^{2 - t_1} - p_k^{2 - t_1}}{2 - t_1}, \quad \ln_t x = \frac{x^{1 - t} - 1}{1 - t}",
            _bi_tempered_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = h_k - e_k \sum_j h_j, \quad "
    r"h_k = (p_k - y_k)\,p_k^{t_2 - t_1}, \quad e_k = \frac{p_k^{t_2}}{\sum_j p_j^{t_2}}",
    derivation=(
        Line(
            r"\frac{d p_k}{d u_k} = p_k^{t_2}, \quad u_k = s_k - \lambda = z_k - \Lambda,"
            r" \quad \Lambda = \lambda + \max_j z_j",
            _forecast_slope,
        ),
        Line(
            r"\sum_j p_j^{t_2} \left([j = k] - \frac{\partial \Lambda}{\partial z_k}\right) = 0"
            r" \Rightarrow \frac{\partial \Lambda}{\partial z_k} = \frac{p_k^{t_2}}{\sum_j p_j^{t_2}} = e_k",
            _level_slope,
        ),
        Line(
            r"h_k = \frac{\partial \ell}{\partial p_k} \cdot \frac{d p_k}{d u_k}"
            r" = \left(p_k^{1 - t_1} - y_k\,p_k^{-t_1}\right) p_k^{t_2}"
            r" = (p_k - y_k)\,p_k^{t_2 - t_1} \quad (0 \text{ where } p_k = 0)",
            _bi_tempered_by_p,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k}"
            r" = \sum_j h_j \left([j = k] - \frac{\partial \Lambda}{\partial z_k}\right) = h_k - e_k \sum_j h_j",
            _bi_tempered_slope,
        ),
    ),
    params={
        "t1": Number("Temperature of the logarithm: the lower, the less one wrong label can cost.", 0.8, 0.0, 1.0),
        "t2": Number("Temperature of the softmax: the higher, the heavier its tails.", 1.2, 0.8, 5.0),
        "smoothing": Number("Probability of the label that is given to the other classes.", 0.0, 0.0, 0.5),
    },
    properties=Properties(
        convex_in_logits=no(
            ALL_LOGITS, {"pred": [[-200.0, 0.0]], "target": [0]}, {"pred": [[0.0, 0.0]], "target": [0]}
        ),
        bounded=yes("all real logits, t1 = 0.8", constant=_highest, t1=0.8),
        lipschitz=yes("all real logits, t2 of at least t1", constant=lambda _: _SQRT2 + 2),
        smooth=no(
            "all real logits, t2 below 1: a kink where a class reaches 0",
            {"pred": [[-5 - 1e-9, 0.0]], "target": [0]},
            {"pred": [[-5 + 1e-9, 0.0]], "target": [0]},
            t2=0.8,
        ),
        robust=no(ALL_LOGITS, *_UNEVEN),
        symmetric=yes(ALL_LOGITS),
        proper=yes(
            f"{SOFTMAX_FORECAST}, t2 = 1, no smoothing",
            source="Amid, Warmuth, Anil and Koren (2019), arXiv:1906.03361.",
            t2=1.0,
            smoothing=0.0,
        ),
        calibrated=yes("no smoothing", smoothing=0.0),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "With t2 other than 1 a softmax of the scores is not the forecast: decisions stay, probabilities do not.",
        "The usual fixed number of iterations for the normalisation has not converged at t2 = 2: "
        "five of them leave an error of 7e-4.",
        "Its smoothing gives a share to each of the K - 1 other classes, not to all K.",
        "For t2 below 1 a class can reach exactly 0, and a row whose label has done so has no pull on that score.",
    ),
    reference="Amid, Warmuth, Anil and Koren (2019), Robust bi-tempered logistic loss based on Bregman divergences, "
    "arXiv:1906.03361.",
    code=Code(
        pytorch="import torch\n\n"
        "t1, t2, smoothing = {t1}, {t2}, {smoothing}\n"
        "classes = pred.shape[1]\n\n\n"
        "def exp_t(u, t):\n"
        "    return u.exp() if t == 1 else (1 + (1 - t) * u).clamp(min=0) ** (1 / (1 - t))\n\n\n"
        "def log_t(x, t):\n"
        "    return x.log() if t == 1 else (x ** (1 - t) - 1) / (1 - t)\n\n\n"
        "scores = pred - pred.amax(-1, keepdim=True)\n"
        "if t2 == 1:\n"
        "    p = scores.softmax(-1)\n"
        "else:  # the normalisation by halving\n"
        "    low = torch.zeros_like(scores[:, :1])\n"
        "    step = (classes ** (t2 - 1) - 1) / (t2 - 1)\n"
        "    for _ in range(90):\n"
        "        step = step / 2\n"
        "        total = exp_t(scores - low - step, t2).sum(-1, keepdim=True)\n"
        "        low = torch.where(total >= 1, low + step, low)\n"
        "    p = exp_t(scores - low, t2)\n"
        "    # One step of Newton's method, through which the gradient passes.\n"
        "    low = low + (p.sum(-1, keepdim=True) - 1) / (p.detach() ** t2).sum(-1, keepdim=True)\n"
        "    p = exp_t(scores - low, t2)\n"
        "other = smoothing / (classes - 1)\n"
        "y = torch.full_like(p, other).scatter(-1, target[:, None], 1 - smoothing)\n"
        "cross = torch.where(y > 0, y * (log_t(y, t1) - log_t(p, t1)), 0.0)\n"
        "loss = (cross - (y ** (2 - t1) - p ** (2 - t1)) / (2 - t1)).sum(-1).mean()\n",
        keras=None,
        optax=None,
        note="The authors' code iterates a fixed number of times and adds 1e-10 inside the logarithm.",
    ),
)


LOSSES: tuple[Loss, ...] = (GENERALIZED_CE, SYMMETRIC_CE, BI_TEMPERED)
