"""Losses between a score and a yes-or-no label: of probabilities, and with weights that depend on the score."""

import math

from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from lossviz.losses._checks import (
    check_among,
    check_between,
    check_finite,
    require_axes,
    require_elementwise,
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
    number_of_rows,
    number_of_values,
    yes,
)

_ALL_LOGITS = "all real logits"


# --- binary cross-entropy of probabilities


def bce(*, pred: Tensor, target: Tensor, log_clamp: float = -100.0) -> Tensor:
    """Cross-entropy of a yes-or-no label against a probability; its logarithms stop at ``log_clamp``.

    Where a logarithm is cut off its slope is 0, also at a probability of exactly 0 or 1.

    Args:
        pred: probability of the positive class, shape ``(*batch)``; from 0 to 1.
        target: probability of the positive class, same shape; from 0 to 1.
        log_clamp: smallest logarithm; below 0.

    Returns:
        Loss per value, shape ``(*batch)``, in nats; from 0 to ``-log_clamp``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    log_p = _log(pred, log_clamp)
    log_not_p = _log(1 - pred, log_clamp)
    return -target * log_p - (1 - target) * log_not_p


def _log(p: Tensor, low: float) -> Tensor:
    # The slope at 0 would be infinite, and NaN after the clamp.
    above = p > 0
    return p.where(above, 1).log().where(above, low).clamp(min=low)


def _bce_grad(*, pred: Tensor, target: Tensor, log_clamp: float) -> dict[str, Tensor]:
    return {"pred": (1 - target) * _log_slope(1 - pred, log_clamp) - target * _log_slope(pred, log_clamp)}


def _log_slope(p: Tensor, low: float) -> Tensor:
    kept = (p > 0) & (p.log() >= low)
    return (1 / p.where(kept, 1)).where(kept, 0)


def _check_bce(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    for name in ("pred", "target"):
        check_between(name, inputs[name], 0, 1)


def _log_p_line(*, pred: Tensor, log_clamp: float, **_: object) -> Tensor:
    return pred.log().clamp(min=log_clamp)


def _log_not_p_line(*, pred: Tensor, log_clamp: float, **_: object) -> Tensor:
    return pred.neg().log1p().clamp(min=log_clamp)


def _bce_line(*, pred: Tensor, target: Tensor, log_clamp: float) -> Tensor:
    log_p = _log_p_line(pred=pred, log_clamp=log_clamp)
    return -(target * log_p + (1 - target) * _log_not_p_line(pred=pred, log_clamp=log_clamp))


def _a_slope(*, pred: Tensor, log_clamp: float, **_: object) -> Tensor:
    return _log_slope(pred, log_clamp)


def _b_slope(*, pred: Tensor, log_clamp: float, **_: object) -> Tensor:
    return -_log_slope(1 - pred, log_clamp)


def _bce_slope(*, pred: Tensor, target: Tensor, log_clamp: float) -> Tensor:
    return -target * _a_slope(pred=pred, log_clamp=log_clamp) - (1 - target) * _b_slope(pred=pred, log_clamp=log_clamp)


_UNIT = "probabilities from 0 to 1"

BCE = Loss(
    key="bce",
    name="Binary cross-entropy (probabilities)",
    name_zh="二元交叉熵（概率）",
    family="binary",
    tasks=("classification",),
    input_kind="binary_probabilities",
    inputs={
        "pred": "probability of the positive class, 0 to 1, any shape",
        "target": "probability of the positive class, 0 to 1, the shape of pred",
    },
    differentiable=("pred",),
    fn=bce,
    denominator=number_of_values,
    check=_check_bce,
    grad=_bce_grad,
    formula=(
        Line(r"a = \max(\ln p, c)", _log_p_line),
        Line(r"b = \max(\ln(1 - p), c)", _log_not_p_line),
        Line(r"\ell = -t\,a - (1 - t)\,b", _bce_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p} = \frac{1 - t}{1 - p} - \frac{t}{p}, "
    r"\quad \text{without the fraction whose logarithm is cut off}",
    derivation=(
        Line(
            r"\frac{\partial a}{\partial p} = \begin{cases} \frac{1}{p} & \ln p \ge c \\ 0 & \ln p < c \end{cases}",
            _a_slope,
        ),
        Line(
            r"\frac{\partial b}{\partial p} = \begin{cases} -\frac{1}{1 - p} & \ln(1 - p) \ge c \\"
            r" 0 & \ln(1 - p) < c \end{cases}",
            _b_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial p} = -t\,\frac{\partial a}{\partial p}"
            r" - (1 - t)\,\frac{\partial b}{\partial p}",
            _bce_slope,
        ),
    ),
    params={"log_clamp": Number("Logarithms are cut off here.", -100.0, -700.0, -1.0)},
    properties=Properties(
        convex_in_pred=no(
            "probabilities from 0 to 1; convex where no logarithm is cut off",
            {"pred": [0.0], "target": [1.0]},
            {"pred": [2 * math.exp(-2)], "target": [1.0]},
            log_clamp=-2.0,
        ),
        bounded=yes(_UNIT, constant=lambda p: -p["log_clamp"]),
        lipschitz=yes(
            "probabilities from 0 to 1, thanks to the cut alone", constant=lambda p: math.exp(-p["log_clamp"])
        ),
        smooth=no(_UNIT, {"pred": [1e-9], "target": [1.0]}, {"pred": [2e-9], "target": [1.0]}),
        robust=no(_UNIT, {"pred": [0.5], "target": [1.0]}, {"pred": [0.9], "target": [1.0]}),
        symmetric=yes(_UNIT),
        proper=yes(
            "probabilities whose logarithms are not cut off, log_clamp = -100",
            source="Gneiting and Raftery (2007), doi:10.1198/016214506000001437.",
            log_clamp=-100.0,
        ),
        calibrated=yes("two classes, log_clamp = -100", log_clamp=-100.0),
    ),
    pitfalls=(
        "A sigmoid before it has already lost what it needs: for a logit above 37 it gives exactly 1 in float64, "
        "and a wrong label then costs log_clamp and has no gradient. The loss of logits keeps both.",
        "Libraries cut off at different places: at a saturated wrong answer PyTorch says 100, Keras about 16 "
        "and scikit-learn about 36.",
        "PyTorch's gradient at exactly 0 or 1 is of the order of 1e12; here it is 0, as that of a constant.",
        "It takes probabilities: logits raise an error here as soon as one lies outside 0 to 1.",
    ),
    reference="Good (1952), Rational decisions, Journal of the Royal Statistical Society B 14, "
    "doi:10.1111/j.2517-6161.1952.tb00104.x.",
    code=Code(
        pytorch="import torch\n\n"
        "log_p = torch.log(pred).clamp(min={log_clamp})\n"
        "log_not_p = torch.log(1 - pred).clamp(min={log_clamp})\n"
        "loss = -(target * log_p + (1 - target) * log_not_p).mean()\n",
        keras="import keras\n\n"
        "log_p = keras.ops.maximum(keras.ops.log(pred), {log_clamp})\n"
        "log_not_p = keras.ops.maximum(keras.ops.log(1 - pred), {log_clamp})\n"
        "loss = -keras.ops.mean(target * log_p + (1 - target) * log_not_p)\n",
        optax=None,
        note="PyTorch's F.binary_cross_entropy is this with log_clamp = -100; "
        "Keras's binary_crossentropy clips the probability to 1e-7 from both ends instead.",
    ),
)


# --- focal loss of a sigmoid


def sigmoid_focal(*, pred: Tensor, target: Tensor, alpha: float | None = 0.25, gamma: float = 2.0) -> Tensor:
    """Binary cross-entropy times ``(1 - p)^gamma``, p being what the right class gets: the easy hardly count.

    Args:
        pred: logits, shape ``(*batch)``.
        target: labels, same shape; 0 or 1.
        alpha: weight of the positives, the negatives having ``1 - alpha``; from 0 to 1. ``None`` for no weights.
        gamma: how strongly confident samples are played down; 0 or more. At 0 it is the cross-entropy.

    Returns:
        Loss per value, shape ``(*batch)``, in nats times the weight.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Lin et al. (2017), arXiv:1708.02002.
    """
    require_elementwise(pred=pred, target=target)
    margin = _margin(pred=pred, target=target)
    return -_alpha(target, alpha) * (gamma * logsigmoid(-margin)).exp() * logsigmoid(margin)


def _margin(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (2 * target - 1) * pred


def _alpha(target: Tensor, alpha: float | None) -> Tensor | float:
    return 1.0 if alpha is None else alpha * target + (1 - alpha) * (1 - target)


def _focal_grad(*, pred: Tensor, target: Tensor, alpha: float | None, gamma: float) -> dict[str, Tensor]:
    margin = _margin(pred=pred, target=target)
    p, not_p = margin.sigmoid(), (-margin).sigmoid()
    slope = (gamma * logsigmoid(-margin)).exp() * (gamma * p * logsigmoid(margin) - not_p)
    return {"pred": _alpha(target, alpha) * (2 * target - 1) * slope}


def _check_focal(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"])
    check_among("target", inputs["target"], (0, 1), "0 or 1")


def _p_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return _margin(pred=pred, target=target).sigmoid()


def _focal_ce_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    margin = _margin(pred=pred, target=target)
    return relu(-margin) + margin.abs().neg().exp().log1p()


def _focal_line(*, pred: Tensor, target: Tensor, alpha: float | None, gamma: float) -> Tensor:
    factor = (-_margin(pred=pred, target=target)).sigmoid() ** gamma
    return _alpha(target, alpha) * factor * _focal_ce_line(pred=pred, target=target)


def _margin_slope(*, target: Tensor, **_: object) -> Tensor:
    return 2 * target - 1


def _log_p_by_margin(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (-_margin(pred=pred, target=target)).sigmoid()


def _factor_by_margin(*, pred: Tensor, target: Tensor, gamma: float, **_: object) -> Tensor:
    factor = (-_margin(pred=pred, target=target)).sigmoid() ** gamma
    return -gamma * _p_line(pred=pred, target=target) * factor


def _focal_by_margin(*, pred: Tensor, target: Tensor, alpha: float | None, gamma: float) -> Tensor:
    not_p = _log_p_by_margin(pred=pred, target=target)
    second = _factor_by_margin(pred=pred, target=target, gamma=gamma) * _focal_ce_line(pred=pred, target=target)
    return -_alpha(target, alpha) * (not_p**gamma * not_p - second)


def _focal_slope_line(*, pred: Tensor, target: Tensor, alpha: float | None, gamma: float) -> Tensor:
    outer = _focal_by_margin(pred=pred, target=target, alpha=alpha, gamma=gamma)
    return outer * _margin_slope(target=target)


def _heavier(alpha: float | None) -> float:
    return 1.0 if alpha is None else max(alpha, 1 - alpha)


def _focal_slope(params: Params) -> float:
    # -p log p is at most 1/e.
    return _heavier(params["alpha"]) * (1 + params["gamma"] / math.e)


def _focal_curvature(params: Params) -> float:
    gamma = params["gamma"]
    return _heavier(params["alpha"]) * (gamma * (1 + gamma / math.e) + gamma / math.e + (1 + gamma) / 4)


SIGMOID_FOCAL = Loss(
    key="sigmoid_focal",
    name="Focal loss (sigmoid)",
    name_zh="焦点损失（sigmoid）",
    family="binary",
    tasks=("classification", "detection"),
    input_kind="binary",
    inputs={"pred": "logit, any shape", "target": "label, 0 or 1, the shape of pred"},
    differentiable=("pred",),
    fn=sigmoid_focal,
    denominator=number_of_values,
    check=_check_focal,
    grad=_focal_grad,
    formula=(
        Line(r"p = \frac{1}{1 + e^{-m}}, \quad m = (2 t - 1)\,z", _p_line),
        Line(r"-\ln p = \max(0, -m) + \ln(1 + e^{-|m|})", _focal_ce_line),
        Line(r"\ell = -\alpha_t\,(1 - p)^\gamma \ln p", _focal_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z} = (2 t - 1)\,\alpha_t\,(1 - p)^\gamma "
    r"\left(\gamma\,p \ln p - (1 - p)\right)",
    derivation=(
        Line(r"\frac{\partial m}{\partial z} = 2 t - 1", _margin_slope),
        Line(
            r"\frac{d \ln p}{dm} = \frac{d}{dm} \left(-\ln(1 + e^{-m})\right) = \frac{e^{-m}}{1 + e^{-m}} = 1 - p",
            _log_p_by_margin,
        ),
        Line(
            r"\frac{d (1 - p)^\gamma}{dm} = \gamma (1 - p)^{\gamma - 1} \cdot \left(-p\,(1 - p)\right)"
            r" = -\gamma\,p\,(1 - p)^\gamma",
            _factor_by_margin,
        ),
        Line(
            r"\frac{d \ell}{dm} = -\alpha_t \left((1 - p)^\gamma\,\frac{d \ln p}{dm}"
            r" + \ln p\,\frac{d (1 - p)^\gamma}{dm}\right)"
            r" = \alpha_t (1 - p)^\gamma \left(\gamma\,p \ln p - (1 - p)\right)",
            _focal_by_margin,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z} = \frac{d \ell}{dm} \cdot \frac{\partial m}{\partial z}"
            r" = (2 t - 1)\,\alpha_t (1 - p)^\gamma \left(\gamma\,p \ln p - (1 - p)\right)",
            _focal_slope_line,
        ),
    ),
    params={
        "alpha": Number("Weight of the positives, the negatives having the rest.", 0.25, 0.0, 1.0, nullable=True),
        "gamma": Number("How strongly confident samples are played down.", 2.0, 0.0, 10.0),
    },
    properties=Properties(
        convex_in_logits=no(
            "all real logits; convex at gamma = 0 alone",
            {"pred": [-6.0], "target": [1.0]},
            {"pred": [-2.0], "target": [1.0]},
        ),
        bounded=no(_ALL_LOGITS, {"pred": [-1e6], "target": [1.0]}),
        lipschitz=yes(_ALL_LOGITS, constant=_focal_slope),
        smooth=yes(_ALL_LOGITS, constant=_focal_curvature),
        robust=no(_ALL_LOGITS, {"pred": [0.0], "target": [1.0]}, {"pred": [3.0], "target": [1.0]}),
        symmetric=yes("all real logits, no alpha", alpha=None),
        proper=no(
            "the sigmoid of the logit as forecast; proper at gamma = 0 alone",
            {"pred": [math.log(0.9 / 0.1)], "target": [1.0]},
            {"pred": [math.log(0.7 / 0.3)], "target": [1.0]},
            alpha=None,
        ),
        calibrated=yes(
            "no alpha",
            source="Charoenphakdee, Vongkulbhisal, Chairatanakul and Sugiyama (2021), arXiv:2011.09172.",
            alpha=None,
        ),
        scale_invariant=no(_ALL_LOGITS, {"pred": [1.0], "target": [1.0]}),
    ),
    pitfalls=(
        "alpha weighs the positives, so the 0.25 of the paper makes the rare class count less, not more: "
        "gamma has already silenced most of the negatives.",
        "The paper divides the sum by the number of positives; the mean here is far smaller where these are few.",
        "With gamma above 0 the sigmoid is under-confident after training.",
        "Some libraries write alpha = -1 for no weights, Keras ignores alpha unless told to balance the classes.",
    ),
    reference="Lin, Goyal, Girshick, He and Dollár (2017), Focal loss for dense object detection, arXiv:1708.02002.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "alpha = {alpha}  # weight of the positives, or None\n"
        "weight = 1.0 if alpha is None else alpha * target + (1 - alpha) * (1 - target)\n"
        'ce = F.binary_cross_entropy_with_logits(pred, target, reduction="none")\n'
        "loss = (weight * (1 - torch.exp(-ce)) ** {gamma} * ce).mean()\n",
        keras="import keras\n\n"
        "alpha = {alpha}  # weight of the positives, or None\n"
        "weight = 1.0 if alpha is None else alpha * target + (1 - alpha) * (1 - target)\n"
        "ce = keras.ops.binary_crossentropy(target, pred, from_logits=True)\n"
        "loss = keras.ops.mean(weight * (1 - keras.ops.exp(-ce)) ** {gamma} * ce)\n",
        optax="import optax\n\n"
        "loss = optax.losses.sigmoid_focal_loss(pred, target, alpha={alpha}, gamma={gamma}).mean()\n",
        note="Keras's binary_focal_crossentropy clips the probability at 1e-7, even from logits.",
    ),
)


# --- asymmetric loss


def asl(
    *,
    pred: Tensor,
    target: Tensor,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
    eps: float = 1e-8,
) -> Tensor:
    """Focal loss of many labels at once that plays down negatives more than positives and forgets easy negatives.

    The scalar is the sum over the labels, averaged over the rows.

    Args:
        pred: logits, shape ``(N, K)``.
        target: labels, same shape; 0 or 1.
        gamma_neg: how strongly confident negatives are played down; 0 or more.
        gamma_pos: the same for positives.
        clip: probabilities of negatives up to this are forgiven; 0 or more.
        eps: smallest number of which the logarithm is taken; above 0.

    Returns:
        Loss per label, shape ``(N, K)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Ridnik et al. (2021), arXiv:2009.14119.
    """
    _require_labels(pred=pred, target=target)
    positive = -(gamma_pos * logsigmoid(-pred)).exp() * logsigmoid(pred).clamp(min=math.log(eps))
    over, under = _shifted(pred, clip)
    # Where nothing is left, 0 ** gamma may have an infinite slope: the value is 0 there.
    left = over > 0
    weight = over.where(left, 1) ** gamma_neg
    negative = (-weight * under.clamp(min=eps).log()).where(left, 0)
    return target * positive + (1 - target) * negative


def _require_labels(*, pred: Tensor, target: Tensor) -> None:
    require_elementwise(pred=pred, target=target)
    require_axes("(N, K)", pred=pred)


def _shifted(pred: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """The probability less ``clip``, at least 0, and one minus it: from ``sigmoid(-z)``, which keeps its digits."""
    return relu(pred.sigmoid() - clip), ((-pred).sigmoid() + clip).clamp(max=1)


def _asl_grad(
    *, pred: Tensor, target: Tensor, gamma_neg: float, gamma_pos: float, clip: float, eps: float
) -> dict[str, Tensor]:
    p, not_p = pred.sigmoid(), (-pred).sigmoid()
    focus = (gamma_pos * logsigmoid(-pred)).exp()
    log_p = logsigmoid(pred)
    kept = (log_p >= math.log(eps)).to(pred.dtype)
    positive = focus * (gamma_pos * p * log_p.clamp(min=math.log(eps)) - not_p * kept)
    over, under = _shifted(pred, clip)
    left = over > 0
    over, kept = over.where(left, 1), (under >= eps).to(pred.dtype)
    under = under.clamp(min=eps)
    slope = over**gamma_neg * p * not_p * (kept / under - gamma_neg * under.log() / over)
    return {"pred": target * positive + (1 - target) * slope.where(left, 0)}


def _check_asl(inputs: Inputs, params: Params) -> None:
    _require_labels(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"])
    check_among("target", inputs["target"], (0, 1), "0 or 1")


def _asl_p_line(*, pred: Tensor, **_: object) -> Tensor:
    return pred.sigmoid()


def _over_line(*, pred: Tensor, clip: float, **_: object) -> Tensor:
    return (pred.sigmoid() - clip).clamp(min=0)


def _positive_line(*, pred: Tensor, gamma_pos: float, eps: float, **_: object) -> Tensor:
    return -((-pred).sigmoid() ** gamma_pos) * pred.sigmoid().clamp(min=eps).log()


def _negative_line(*, pred: Tensor, gamma_neg: float, clip: float, eps: float, **_: object) -> Tensor:
    over = _over_line(pred=pred, clip=clip)
    # From the larger part, which keeps its digits.
    under = (1 - over).where(over < 0.5, (-pred).sigmoid() + clip)
    return -(over**gamma_neg) * under.clamp(min=eps).log()


def _asl_line(*, pred: Tensor, target: Tensor, gamma_neg: float, gamma_pos: float, clip: float, eps: float) -> Tensor:
    positive = _positive_line(pred=pred, gamma_pos=gamma_pos, eps=eps)
    return positive.where(target == 1, _negative_line(pred=pred, gamma_neg=gamma_neg, clip=clip, eps=eps))


def _asl_p_slope(*, pred: Tensor, **_: object) -> Tensor:
    return pred.sigmoid() * (-pred).sigmoid()


def _positive_slope(*, pred: Tensor, gamma_pos: float, eps: float, **_: object) -> Tensor:
    p, not_p = pred.sigmoid(), (-pred).sigmoid()
    return not_p**gamma_pos * (gamma_pos * p * p.clamp(min=eps).log() - not_p * (p >= eps))


def _negative_by_over(*, pred: Tensor, gamma_neg: float, clip: float, eps: float, **_: object) -> Tensor:
    over, under = _shifted(pred, clip)
    left, held = over > 0, under.clamp(min=eps)
    slope = over**gamma_neg * (under >= eps) / held - gamma_neg * over.where(left, 1) ** (gamma_neg - 1) * held.log()
    return slope.where(left, 0)


def _asl_slope(*, pred: Tensor, target: Tensor, gamma_neg: float, gamma_pos: float, clip: float, eps: float) -> Tensor:
    positive = _positive_slope(pred=pred, gamma_pos=gamma_pos, eps=eps)
    negative = _negative_by_over(pred=pred, gamma_neg=gamma_neg, clip=clip, eps=eps) * _asl_p_slope(pred=pred)
    return target * positive + (1 - target) * negative


ASL = Loss(
    key="asl",
    name="Asymmetric loss",
    name_zh="非对称损失",
    family="binary",
    tasks=("classification", "detection"),
    input_kind="multilabel",
    inputs={"pred": "logits, (N, K)", "target": "labels, 0 or 1, the shape of pred"},
    differentiable=("pred",),
    fn=asl,
    denominator=number_of_rows,
    check=_check_asl,
    grad=_asl_grad,
    formula=(
        Line(r"p = \frac{1}{1 + e^{-z}}", _asl_p_line),
        Line(r"p_m = \max(p - c, 0)", _over_line),
        Line(r"\ell_1 = -(1 - p)^{\gamma_+} \ln \max(p, \varepsilon)", _positive_line),
        Line(r"\ell_0 = -p_m^{\gamma_-} \ln \max(1 - p_m, \varepsilon)", _negative_line),
        Line(r"\ell = t\,\ell_1 + (1 - t)\,\ell_0", _asl_line),
    ),
    gradient=r"\frac{\partial \ell_1}{\partial z} = (1 - p)^{\gamma_+} \left(\gamma_+ p \ln p - (1 - p)\right), \quad "
    r"\frac{\partial \ell_0}{\partial z} = p\,(1 - p)\,p_m^{\gamma_-} "
    r"\left(\frac{1}{1 - p_m} - \frac{\gamma_- \ln(1 - p_m)}{p_m}\right), "
    r"\quad \frac{\partial \ell_0}{\partial z} = 0 \text{ at } p \le c, \quad \text{all where no logarithm is cut off}",
    derivation=(
        Line(r"\frac{\partial p}{\partial z} = p\,(1 - p)", _asl_p_slope),
        Line(
            r"\frac{\partial \ell_1}{\partial z} = \left(\gamma_+ (1 - p)^{\gamma_+ - 1} \ln \max(p, \varepsilon)"
            r" - (1 - p)^{\gamma_+}\,\frac{[p \ge \varepsilon]}{p}\right) \cdot \frac{\partial p}{\partial z}"
            r" = (1 - p)^{\gamma_+} \left(\gamma_+ p \ln \max(p, \varepsilon) - (1 - p)\,[p \ge \varepsilon]\right)",
            _positive_slope,
        ),
        Line(
            r"\frac{\partial \ell_0}{\partial p_m} = p_m^{\gamma_-}\,\frac{[1 - p_m \ge \varepsilon]}{1 - p_m}"
            r" - \gamma_- p_m^{\gamma_- - 1} \ln \max(1 - p_m, \varepsilon) \quad (0 \text{ where } p_m = 0)",
            _negative_by_over,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z} = t\,\frac{\partial \ell_1}{\partial z}"
            r" + (1 - t)\,\frac{\partial \ell_0}{\partial p_m} \cdot \frac{\partial p_m}{\partial p} \cdot"
            r" \frac{\partial p}{\partial z}, \quad \frac{\partial p_m}{\partial p} = [p > c]",
            _asl_slope,
        ),
    ),
    params={
        "gamma_neg": Number("How strongly confident negatives are played down.", 4.0, 0.0, 10.0),
        "gamma_pos": Number("How strongly confident positives are played down.", 1.0, 0.0, 10.0),
        "clip": Number("Negatives with a probability up to this cost nothing.", 0.05, 0.0, 0.5),
        "eps": Number("Smallest number of which the logarithm is taken.", 1e-8, 1e-12, 1e-2, "log"),
    },
    properties=Properties(
        convex_in_logits=no(_ALL_LOGITS, {"pred": [[0.0]], "target": [[0.0]]}, {"pred": [[20.0]], "target": [[0.0]]}),
        bounded=yes(_ALL_LOGITS, constant=lambda p: -math.log(p["eps"])),
        lipschitz=yes(_ALL_LOGITS, constant=lambda p: 1 + max(p["gamma_pos"] / math.e, p["gamma_neg"])),
        smooth=no(
            "all real logits; kinks at p = clip and where a logarithm is cut off",
            {"pred": [[-1e-9]], "target": [[0.0]]},
            {"pred": [[1e-9]], "target": [[0.0]]},
            gamma_neg=0.0,
            clip=0.5,
        ),
        robust=no(_ALL_LOGITS, {"pred": [[0.0]], "target": [[1.0]]}, {"pred": [[3.0]], "target": [[1.0]]}),
        symmetric=no(
            "exchange of yes and no", {"pred": [[1.0]], "target": [[1.0]]}, {"pred": [[-1.0]], "target": [[0.0]]}
        ),
        proper=no(
            "the sigmoid of a logit as forecast; proper where gamma_neg, gamma_pos and clip are 0 and eps tiny",
            {"pred": [[-math.log(3)]], "target": [[1.0]]},
            {"pred": [[0.2]], "target": [[1.0]]},
        ),
        calibrated=no("each label alone: it says yes too soon", {"chances": [0.65, 0.35]}),
        scale_invariant=no(_ALL_LOGITS, {"pred": [[1.0]], "target": [[1.0]]}),
    ),
    pitfalls=(
        "A negative with a probability up to clip has neither loss nor gradient: a batch of them teaches nothing.",
        "The authors' code adds up the whole batch, later ports average the rows: "
        "the learning rate differs by the batch size.",
        "The authors' code may treat the focusing weight as a constant in the gradient; here it is differentiated.",
        "Where a probability falls below eps the positive term has no slope of its own any more.",
    ),
    reference="Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter and Zelnik-Manor (2021), "
    "Asymmetric loss for multi-label classification, arXiv:2009.14119.",
    code=Code(
        pytorch="import torch\n\n"
        "p = torch.sigmoid(pred)\n"
        "p_m = (p - {clip}).clamp(min=0)\n"
        "positive = -((1 - p) ** {gamma_pos}) * torch.log(p.clamp(min={eps}))\n"
        "negative = -(p_m ** {gamma_neg}) * torch.log((1 - p_m).clamp(min={eps}))\n"
        "loss = (target * positive + (1 - target) * negative).sum(-1).mean()\n",
        keras=None,
        optax=None,
        note="Known in timm as AsymmetricLossMultiLabel, which computes in float32.",
    ),
)


LOSSES: tuple[Loss, ...] = (BCE, SIGMOID_FOCAL, ASL)
