"""Losses that want a margin: of a score over zero, or of the right class's score over its rivals."""

import math

from torch import Tensor
from torch.nn.functional import relu

from lossviz.losses._checks import check_among, check_finite, require_classes, require_elementwise
from lossviz.losses._logits import at_label, check_class_logits, is_label
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

_ALL_SCORES = "all real scores"
_TWO_CLASS_SOURCE = "Bartlett, Jordan and McAuliffe (2006), doi:10.1198/016214505000000907."
_COMPOSITE_SOURCE = "Reid and Williamson (2010), Composite binary losses, arXiv:0912.3301."
_MARGIN_INPUTS = {"pred": "score, any shape", "target": "label, -1 or +1, the shape of pred"}
_SCORE_INPUTS = {"pred": "scores, (N, K)", "target": "class index, 0 to K - 1, (N,) int64"}


def _check_margin(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"])
    check_among("target", inputs["target"], (-1, 1), "-1 or +1")


def _margin(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return target * pred


def _margin_slope(*, target: Tensor, **_: object) -> Tensor:
    return target


_MARGIN_SLOPE = Line(r"\frac{\partial m}{\partial s} = t", _margin_slope)


# --- squared hinge


def squared_hinge(*, pred: Tensor, target: Tensor) -> Tensor:
    """The hinge loss squared: no kink at the margin, and a wrong sample pulls the harder the further it is off.

    Args:
        pred: scores, shape ``(*batch)``.
        target: labels, same shape; -1 or +1.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of the score squared.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    return relu(1 - target * pred) ** 2


def _squared_hinge_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": -2 * target * (1 - target * pred).clamp(min=0)}


def _squared_hinge_line(*, pred: Tensor, target: Tensor) -> Tensor:
    margin = _margin(pred=pred, target=target)
    return (margin - 1).square().where(margin < 1, 0)


def _squared_hinge_by_margin(*, pred: Tensor, target: Tensor) -> Tensor:
    return 2 * (_margin(pred=pred, target=target) - 1).clamp(max=0)


def _squared_hinge_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _squared_hinge_by_margin(pred=pred, target=target) * _margin_slope(target=target)


SQUARED_HINGE = Loss(
    key="squared_hinge",
    name="Squared hinge loss",
    name_zh="平方合页损失",
    family="margins",
    tasks=("classification",),
    input_kind="margin",
    inputs=_MARGIN_INPUTS,
    differentiable=("pred",),
    fn=squared_hinge,
    denominator=number_of_values,
    check=_check_margin,
    grad=_squared_hinge_grad,
    formula=(
        Line(r"m = t\,s", _margin),
        Line(r"\ell = \begin{cases} (m - 1)^2 & m < 1 \\ 0 & m \ge 1 \end{cases}", _squared_hinge_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial s} = -2\,t\,\max(0, 1 - m)",
    derivation=(
        _MARGIN_SLOPE,
        Line(
            r"\frac{d \ell}{dm} = \begin{cases} 2 (m - 1) & m < 1 \\ 0 & m \ge 1 \end{cases} = -2 \max(0, 1 - m)",
            _squared_hinge_by_margin,
        ),
        Line(
            r"\frac{\partial \ell}{\partial s} = \frac{d \ell}{dm} \cdot \frac{\partial m}{\partial s}"
            r" = -2\,t\,\max(0, 1 - m)",
            _squared_hinge_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_SCORES),
        bounded=no(_ALL_SCORES, {"pred": [-1e6], "target": [1.0]}),
        lipschitz=no(_ALL_SCORES, {"pred": [-1e6], "target": [1.0]}),
        smooth=yes(_ALL_SCORES, constant=lambda _: 2.0),
        robust=no(_ALL_SCORES, {"pred": [0.0], "target": [1.0]}, {"pred": [3.0], "target": [1.0]}),
        symmetric=yes(_ALL_SCORES),
        proper=yes("(1 + s) / 2 as forecast, kept between 0 and 1", source=_COMPOSITE_SOURCE),
        calibrated=yes("two classes", source=_TWO_CLASS_SOURCE),
        scale_invariant=no(_ALL_SCORES, {"pred": [0.5], "target": [1.0]}),
    ),
    pitfalls=(
        "Labels are -1 and +1: with 0 and 1 every negative sample has loss 1 and no gradient.",
        "One mislabelled sample far on the wrong side outweighs many others: its pull grows with its distance.",
        "The pull fades towards the margin, so samples tend to stop just short of it.",
    ),
    reference="The loss of the L2 support-vector machine; Chang, Hsieh and Lin (2008), "
    "Coordinate descent method for large-scale L2-loss linear support vector machines, JMLR 9.",
    code=Code(
        pytorch="import torch\n\nloss = (torch.relu(1 - target * pred) ** 2).mean()\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.squared_hinge(target, pred))\n",
        optax="import optax\n\nloss = (optax.losses.hinge_loss(pred, target) ** 2).mean()\n",
        note="Keras turns labels of 0 and 1 into -1 and +1 in silence.",
    ),
)


# --- exponential


def exponential(*, pred: Tensor, target: Tensor) -> Tensor:
    """The loss that AdaBoost descends: each further unit on the wrong side costs e times as much.

    Args:
        pred: scores, shape ``(*batch)``.
        target: labels, same shape; -1 or +1.

    Returns:
        Loss per value, shape ``(*batch)``, without unit; infinite where a margin below -709 (float64) or -88
        (float32) exceeds the dtype.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Freund and Schapire (1997), doi:10.1006/jcss.1997.1504.
    """
    require_elementwise(pred=pred, target=target)
    return (-target * pred).exp()


def _exponential_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": -target * (-target * pred).exp()}


def _exponential_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return 1 / _margin(pred=pred, target=target).exp()


def _exponential_by_margin(*, pred: Tensor, target: Tensor) -> Tensor:
    return -_exponential_line(pred=pred, target=target)


def _exponential_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _exponential_by_margin(pred=pred, target=target) * _margin_slope(target=target)


EXPONENTIAL = Loss(
    key="exponential",
    name="Exponential loss",
    name_zh="指数损失",
    family="margins",
    tasks=("classification",),
    input_kind="margin",
    inputs=_MARGIN_INPUTS,
    differentiable=("pred",),
    fn=exponential,
    denominator=number_of_values,
    check=_check_margin,
    grad=_exponential_grad,
    formula=(Line(r"m = t\,s", _margin), Line(r"\ell = e^{-m} = \frac{1}{e^{m}}", _exponential_line)),
    gradient=r"\frac{\partial \ell}{\partial s} = -t\,e^{-m}",
    derivation=(
        _MARGIN_SLOPE,
        Line(r"\frac{d \ell}{dm} = -e^{-m} = -\ell", _exponential_by_margin),
        Line(
            r"\frac{\partial \ell}{\partial s} = \frac{d \ell}{dm} \cdot \frac{\partial m}{\partial s} = -t\,e^{-m}",
            _exponential_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_SCORES),
        bounded=no(_ALL_SCORES, {"pred": [-10.0], "target": [1.0]}),
        lipschitz=no(_ALL_SCORES, {"pred": [-20.0], "target": [1.0]}),
        smooth=no(_ALL_SCORES, {"pred": [-20.0], "target": [1.0]}, {"pred": [-20.1], "target": [1.0]}),
        robust=no(_ALL_SCORES, {"pred": [0.0], "target": [1.0]}, {"pred": [3.0], "target": [1.0]}),
        symmetric=yes(_ALL_SCORES),
        proper=yes("the sigmoid of 2 s as forecast", source=_COMPOSITE_SOURCE),
        calibrated=yes("two classes", source=_TWO_CLASS_SOURCE),
        scale_invariant=no(_ALL_SCORES, {"pred": [0.5], "target": [1.0]}),
    ),
    pitfalls=(
        "One mislabelled sample can outweigh the whole batch: at a margin of -10 it counts like 22,000 undecided ones.",
        "It overflows at a margin of -89 in float32 and of -710 in float64.",
        "The score estimates half the log-odds, so the probability is the sigmoid of twice the score.",
        "It never reaches zero: right samples go on pushing the scores apart.",
    ),
    reference="Freund and Schapire (1997), A decision-theoretic generalization of on-line learning and an "
    "application to boosting, doi:10.1006/jcss.1997.1504.",
    code=Code(
        pytorch="import torch\n\nloss = torch.exp(-target * pred).mean()\n",
        keras=None,
        optax=None,
        note="The exponential loss of scikit-learn takes labels of 0 and 1.",
    ),
)


# --- multi-class hinge


def multiclass_hinge(*, pred: Tensor, target: Tensor) -> Tensor:
    """Zero once the right class leads its strongest rival by 1, linear before: only that rival is pushed down.

    Args:
        pred: scores, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.

    Returns:
        Loss per row, shape ``(N,)``, in the unit of the score.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Crammer and Singer (2001), JMLR 2.
    """
    require_classes(pred=pred, target=target)
    return relu(1 + _rivals(pred, target).amax(-1) - at_label(pred, target))


def _rivals(pred: Tensor, target: Tensor) -> Tensor:
    return pred.masked_fill(is_label(pred, target), -math.inf)


def _multiclass_hinge_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    rivals = _rivals(pred, target)
    strongest = rivals == rivals.amax(-1, keepdim=True)
    short = rivals.amax(-1) + 1 > at_label(pred, target)
    # Rivals that tie share the push, as they do in the gradient of torch's amax.
    push = strongest.to(pred.dtype) / strongest.sum(-1, keepdim=True) - is_label(pred, target).to(pred.dtype)
    return {"pred": push * short[:, None]}


def _rival_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _rivals(pred, target).topk(1).values[:, 0]


def _lead_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return at_label(pred, target) - _rival_line(pred=pred, target=target)


def _multiclass_hinge_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return 1 - _lead_line(pred=pred, target=target).clamp(max=1)


def _rival_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    at_top = _rivals(pred, target) == _rival_line(pred=pred, target=target)[:, None]
    return at_top / at_top.sum(-1, keepdim=True, dtype=pred.dtype)


def _lead_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return is_label(pred, target).to(pred.dtype) - _rival_slope(pred=pred, target=target)


def _multiclass_hinge_by_lead(*, pred: Tensor, target: Tensor) -> Tensor:
    return -(_lead_line(pred=pred, target=target) < 1).to(pred.dtype)


def _multiclass_hinge_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _multiclass_hinge_by_lead(pred=pred, target=target)[:, None] * _lead_slope(pred=pred, target=target)


MULTICLASS_HINGE = Loss(
    key="multiclass_hinge",
    name="Multi-class hinge loss (Crammer and Singer)",
    name_zh="多类合页损失",
    family="margins",
    tasks=("classification",),
    input_kind="classes",
    inputs=_SCORE_INPUTS,
    differentiable=("pred",),
    fn=multiclass_hinge,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_multiclass_hinge_grad,
    formula=(
        Line(r"r = \max_{k \ne y} s_k", _rival_line),
        Line(r"m = s_y - r", _lead_line),
        Line(r"\ell = 1 - \min(m, 1)", _multiclass_hinge_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial s_y} = -1, \quad "
    r"\frac{\partial \ell}{\partial s_r} = 1 \text{ for the strongest rival, shared in a tie;} "
    r"\quad 0 \text{ where } m \ge 1",
    derivation=(
        Line(
            r"\frac{\partial r}{\partial s_k} = \frac{1}{n}\,[k \ne y]\,[s_k = r],"
            r" \quad n = \sum_{j \ne y} [s_j = r]",
            _rival_slope,
        ),
        Line(r"\frac{\partial m}{\partial s_k} = [k = y] - \frac{\partial r}{\partial s_k}", _lead_slope),
        Line(r"\frac{d \ell}{dm} = \begin{cases} -1 & m < 1 \\ 0 & m \ge 1 \end{cases}", _multiclass_hinge_by_lead),
        Line(
            r"\frac{\partial \ell}{\partial s_k} = \frac{d \ell}{dm} \cdot \frac{\partial m}{\partial s_k}"
            r" = [m < 1] \left(\frac{\partial r}{\partial s_k} - [k = y]\right)",
            _multiclass_hinge_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=yes(_ALL_SCORES),
        bounded=no(_ALL_SCORES, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(_ALL_SCORES, constant=lambda _: math.sqrt(2)),
        smooth=no(_ALL_SCORES, {"pred": [[1 - 1e-9, 0.0]], "target": [0]}, {"pred": [[1 + 1e-9, 0.0]], "target": [0]}),
        robust=no(_ALL_SCORES, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(_ALL_SCORES),
        calibrated=no(
            "three classes or more, none of them more likely than not: equal scores are cheapest then",
            {"chances": [0.3, 0.4, 0.3]},
        ),
        scale_invariant=no(_ALL_SCORES, {"pred": [[0.5, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "Where no class has more than half of the probability it learns to give all classes the same score.",
        "Only the strongest rival learns from a sample; torch's MultiMarginLoss pushes every rival within the margin.",
        "Keras's categorical_hinge takes its maximum over a zero for the right class too, "
        "which is another loss where all rivals are negative.",
    ),
    reference="Crammer and Singer (2001), On the algorithmic implementation of multiclass kernel-based vector "
    "machines, Journal of Machine Learning Research 2.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "label = F.one_hot(target, pred.shape[1]).bool()\n"
        'rival = pred.masked_fill(label, float("-inf")).amax(-1)\n'
        "loss = torch.relu(1 + rival - pred[label]).mean()\n",
        keras=None,
        optax="import optax\n\nloss = optax.losses.multiclass_hinge_loss(pred, target).mean()\n",
        note="Where rivals tie, libraries choose different subgradients. Keras's categorical_hinge is another loss: "
        "rivals below 0 count as 0.",
    ),
)


# --- multi-margin


def multi_margin(*, pred: Tensor, target: Tensor, p: int = 1, margin: float = 1.0) -> Tensor:
    """Every rival that comes closer to the right class than ``margin`` costs something; their sum is divided by K.

    Args:
        pred: scores, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        p: power of what is missing; 1 or 2.
        margin: the lead wanted over each rival, in the unit of the score; above 0.

    Returns:
        Loss per row, shape ``(N,)``, in the unit of the score to the power of ``p``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Weston and Watkins (1999), ESANN.
    """
    return (_missing(pred, target, margin) ** p).sum(-1) / pred.shape[1]


def _missing(pred: Tensor, target: Tensor, margin: float) -> Tensor:
    require_classes(pred=pred, target=target)
    lead = at_label(pred, target)[:, None] - pred
    return relu(margin - lead).masked_fill(is_label(pred, target), 0)


def _multi_margin_grad(*, pred: Tensor, target: Tensor, p: int, margin: float) -> dict[str, Tensor]:
    missing = _missing(pred, target, margin)
    push = (missing > 0).to(pred.dtype) if p == 1 else 2 * missing
    own = push.sum(-1, keepdim=True) * is_label(pred, target).to(pred.dtype)
    return {"pred": (push - own) / pred.shape[1]}


def _leads_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return at_label(pred, target)[:, None] - pred


def _missing_line(*, pred: Tensor, target: Tensor, margin: float, **_: object) -> Tensor:
    return margin - _leads_line(pred=pred, target=target).clamp(max=margin)


def _multi_margin_line(*, pred: Tensor, target: Tensor, p: int, margin: float) -> Tensor:
    # The right class leads itself by 0, so the sum over all classes holds the margin once too often.
    every = _missing_line(pred=pred, target=target, margin=margin).pow(p).mean(-1)
    return every - margin**p / pred.shape[1]


def _missing_slope(*, pred: Tensor, target: Tensor, margin: float, **_: object) -> Tensor:
    short = _leads_line(pred=pred, target=target) < margin
    return (short & ~is_label(pred, target)).to(pred.dtype)


def _multi_margin_by_missing(*, pred: Tensor, target: Tensor, p: int, margin: float) -> Tensor:
    missing = _missing_line(pred=pred, target=target, margin=margin)
    return (p / pred.shape[1] * missing ** (p - 1)).masked_fill(is_label(pred, target), 0)


def _rivals_slope(*, pred: Tensor, target: Tensor, p: int, margin: float) -> Tensor:
    outer = _multi_margin_by_missing(pred=pred, target=target, p=p, margin=margin)
    return outer * _missing_slope(pred=pred, target=target, margin=margin)


def _multi_margin_slope(*, pred: Tensor, target: Tensor, p: int, margin: float) -> Tensor:
    rivals = _rivals_slope(pred=pred, target=target, p=p, margin=margin)
    return rivals.where(~is_label(pred, target), -rivals.sum(-1, keepdim=True))


MULTI_MARGIN = Loss(
    key="multi_margin",
    name="Multi-margin loss (Weston and Watkins)",
    name_zh="多类间隔损失",
    family="margins",
    tasks=("classification",),
    input_kind="classes",
    inputs=_SCORE_INPUTS,
    differentiable=("pred",),
    fn=multi_margin,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_multi_margin_grad,
    formula=(
        Line(r"m_k = s_y - s_k", _leads_line),
        Line(r"d_k = \max(0, \mu - m_k)", _missing_line),
        Line(
            r"\ell = \frac{1}{K} \sum_{k \ne y} d_k^p = \frac{1}{K} \sum_k d_k^p - \frac{\mu^p}{K}", _multi_margin_line
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial s_k} = \frac{p}{K} d_k^{p - 1} [d_k > 0] \quad (k \ne y), \quad "
    r"\frac{\partial \ell}{\partial s_y} = -\sum_{k \ne y} \frac{\partial \ell}{\partial s_k}",
    derivation=(
        Line(
            r"\frac{\partial d_k}{\partial s_k} = -\frac{\partial d_k}{\partial s_y} = [d_k > 0]"
            r" \quad (k \ne y; \text{ else } 0)",
            _missing_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial d_k} = \frac{p}{K} d_k^{p - 1} \quad (k \ne y; \text{ else } 0)",
            _multi_margin_by_missing,
        ),
        Line(
            r"g_k = \frac{\partial \ell}{\partial d_k} \cdot \frac{\partial d_k}{\partial s_k}"
            r" = \frac{p}{K} d_k^{p - 1} [d_k > 0] \quad (k \ne y; \text{ else } 0)",
            _rivals_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial s_k} = \begin{cases} g_k & k \ne y \\ -\sum_j g_j & k = y \end{cases}",
            _multi_margin_slope,
        ),
    ),
    params={
        "p": Number("Power of what is missing to the margin.", 1, 1, 2, integer=True),
        "margin": Number("The lead wanted over each rival.", 1.0, 0.01, 100.0, "log"),
    },
    properties=Properties(
        convex_in_logits=yes(_ALL_SCORES),
        bounded=no(_ALL_SCORES, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes("all real scores, p = 1", constant=lambda _: 1.0, p=1),
        smooth=no(
            "all real scores, p = 1",
            {"pred": [[1 - 1e-9, 0.0]], "target": [0]},
            {"pred": [[1 + 1e-9, 0.0]], "target": [0]},
        ),
        robust=no(_ALL_SCORES, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(_ALL_SCORES),
        calibrated=no("three classes or more, p = 1", {"chances": [0.37, 0.14, 0.49]}),
        scale_invariant=no(_ALL_SCORES, {"pred": [[0.5, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "The sum over the rivals is divided by K, not by K - 1, so a loss of 1 for every rival gives less than 1.",
        "The more classes, the weaker the push on each: with a thousand of them a rival's slope is a thousandth.",
        "With p = 1 two likely classes can end with the same score, although one is likelier.",
    ),
    reference="Weston and Watkins (1999), Support vector machines for multi-class pattern recognition, ESANN.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.multi_margin_loss(pred, target, p={p}, margin={margin})\n",
        keras=None,
        optax=None,
        note="PyTorch's is the same; its class weights are not offered here.",
    ),
)


LOSSES: tuple[Loss, ...] = (SQUARED_HINGE, EXPONENTIAL, MULTICLASS_HINGE, MULTI_MARGIN)
