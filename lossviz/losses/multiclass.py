"""Relatives of the cross-entropy between class scores or probabilities and a class index."""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossviz.losses._checks import (
    check_distribution,
    check_finite,
    check_labels,
    require_classes,
    require_one_per_class,
)
from lossviz.losses._logits import (
    ALL_LOGITS,
    CLASS_INPUTS,
    LOG_P_SLOPE,
    P_SLOPE,
    SOFTMAX,
    SOFTMAX_FORECAST,
    at_label,
    ce_line,
    check_class_logits,
    is_label,
    log_p_label,
    log_p_slope_line,
    p_line,
    p_slope_line,
    rest,
    rest_line,
    shifted_line,
    softmax_line,
    surplus,
)
from lossviz.losses.entry import (
    Choice,
    Code,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    Vector,
    no,
    number_of_values,
    yes,
)

_PROPER_SOURCE = "Gneiting and Raftery (2007), doi:10.1198/016214506000001437."
_SQRT2 = math.sqrt(2)


# --- negative log-likelihood


def nll(*, pred: Tensor, target: Tensor) -> Tensor:
    """The negative of the label's entry: the cross-entropy of rows that are log-probabilities already.

    Args:
        pred: log-probabilities, shape ``(N, K)``; their exponentials add up to 1, which is not checked.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.

    Returns:
        Loss per row, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_classes(pred=pred, target=target)
    return -at_label(pred, target)


def _nll_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": -is_label(pred, target).to(pred.dtype)}


def _one_hot_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return torch.eye(pred.shape[1], dtype=pred.dtype, device=pred.device)[target]


def _nll_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return -(_one_hot_line(pred=pred, target=target) * pred).sum(-1)


def _nll_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return -_one_hot_line(pred=pred, target=target)


_LOG_PROBABILITIES = "log-probabilities"

NLL = Loss(
    key="nll",
    name="Negative log-likelihood (log-probabilities)",
    name_zh="负对数似然",
    family="multiclass",
    tasks=("classification",),
    input_kind="log_probabilities",
    inputs={"pred": "log-probabilities, (N, K)", "target": "class index, 0 to K - 1, (N,) int64"},
    differentiable=("pred",),
    fn=nll,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_nll_grad,
    formula=(Line(r"o_k = [k = y]", _one_hot_line), Line(r"\ell = -\sum_k o_k \ln p_k", _nll_line)),
    gradient=r"\frac{\partial \ell}{\partial \ln p_k} = -[k = y]",
    derivation=(
        Line(r"\frac{\partial}{\partial \ln p_k} \left(o_k \ln p_k\right) = o_k", _one_hot_line),
        Line(
            r"\frac{\partial \ell}{\partial \ln p_k}"
            r" = -\sum_j \frac{\partial}{\partial \ln p_k} \left(o_j \ln p_j\right) = -o_k = -[k = y]",
            _nll_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_LOG_PROBABILITIES),
        bounded=no(_LOG_PROBABILITIES, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(_LOG_PROBABILITIES, constant=lambda _: 1.0),
        smooth=yes(_LOG_PROBABILITIES, constant=lambda _: 0.0),
        robust=no(
            _LOG_PROBABILITIES,
            {"pred": [[math.log(0.5), math.log(0.5)]], "target": [0]},
            {"pred": [[math.log(0.9), math.log(0.1)]], "target": [0]},
        ),
        symmetric=yes(_LOG_PROBABILITIES),
        proper=yes(_LOG_PROBABILITIES, source=_PROPER_SOURCE),
        calibrated=yes(_LOG_PROBABILITIES),
        scale_invariant=no(_LOG_PROBABILITIES, {"pred": [[math.log(0.5), math.log(0.5)]], "target": [0]}),
    ),
    pitfalls=(
        "Logits or probabilities instead of log-probabilities raise no error: the loss then falls without end, "
        "and a negative value is the first sign of it.",
        "Its gradient never fades: only the log-softmax before it makes the row's other classes matter.",
        "The logarithm of a softmax, computed in two steps, is minus infinity where the log-softmax is not.",
    ),
    reference="Fisher (1922), On the mathematical foundations of theoretical statistics, doi:10.1098/rsta.1922.0009.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.nll_loss(pred, target)\n",
        keras=None,
        optax=None,
        note="Keras and Optax have the cross-entropy alone, of probabilities or logits.",
    ),
)


# --- label smoothing


def label_smoothing_ce(*, pred: Tensor, target: Tensor, smoothing: float = 0.1, spread: str = "all") -> Tensor:
    """Cross-entropy against a label that gives a little of its probability away to the classes.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        smoothing: the share that is given away; from 0 to below 1.
        spread: to whom: evenly to ``"all"`` classes, the label among them, or to the ``"others"`` only.

    Returns:
        Loss per row, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Szegedy et al. (2016), arXiv:1512.00567.
    """
    require_classes(pred=pred, target=target)
    own, other = _shares(pred, smoothing, spread)
    log_p = pred.log_softmax(-1)
    return -(own - other) * at_label(log_p, target) - other * log_p.sum(-1)


def _shares(pred: Tensor, smoothing: float, spread: str) -> tuple[float, float]:
    """The smoothed label's probability of the right class and of each other one."""
    classes = pred.shape[1]
    if spread == "others":
        return 1 - smoothing, smoothing / (classes - 1)
    return 1 - smoothing + smoothing / classes, smoothing / classes


def _smoothed(*, pred: Tensor, target: Tensor, smoothing: float, spread: str) -> Tensor:
    own, other = _shares(pred, smoothing, spread)
    return other + (own - other) * is_label(pred, target).to(pred.dtype)


def _smoothing_grad(*, pred: Tensor, target: Tensor, smoothing: float, spread: str) -> dict[str, Tensor]:
    return {"pred": pred.softmax(-1) - _smoothed(pred=pred, target=target, smoothing=smoothing, spread=spread)}


def _log_sum_line(*, pred: Tensor, **_: object) -> Tensor:
    return shifted_line(pred=pred).exp().sum(-1).log()


def _smoothing_line(*, pred: Tensor, target: Tensor, smoothing: float, spread: str) -> Tensor:
    q = _smoothed(pred=pred, target=target, smoothing=smoothing, spread=spread)
    return _log_sum_line(pred=pred) - (q * shifted_line(pred=pred)).sum(-1)


def _unshifted_line(*, pred: Tensor, target: Tensor, smoothing: float, spread: str) -> Tensor:
    q = _smoothed(pred=pred, target=target, smoothing=smoothing, spread=spread)
    return pred.logsumexp(-1) - (q * pred).sum(-1)


def _smoothing_slope(*, pred: Tensor, target: Tensor, smoothing: float, spread: str) -> Tensor:
    return softmax_line(pred=pred) - _smoothed(pred=pred, target=target, smoothing=smoothing, spread=spread)


LABEL_SMOOTHING_CE = Loss(
    key="label_smoothing_ce",
    name="Label-smoothed cross-entropy",
    name_zh="标签平滑交叉熵",
    family="multiclass",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=label_smoothing_ce,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_smoothing_grad,
    formula=(
        Line(
            r"q_k = (1 - \varepsilon)\,[k = y] + \varepsilon u_k,"
            r" \quad u_k = \frac{1}{K} \text{ (all) or } \frac{[k \ne y]}{K - 1} \text{ (others)}",
            _smoothed,
        ),
        Line(r"s_k = z_k - \max_j z_j", shifted_line),
        Line(r"L = \ln \sum_k e^{s_k}", _log_sum_line),
        Line(r"\ell = -\sum_k q_k \ln p_k = L - \sum_k q_k s_k", _smoothing_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = p_k - q_k",
    derivation=(
        Line(
            r"\ell = \ln \sum_j e^{z_j} - \sum_j q_j z_j"
            r" \quad \left(\max_j z_j \text{ cancels, since } \sum_j q_j = 1\right)",
            _unshifted_line,
        ),
        SOFTMAX,
        Line(r"\frac{\partial}{\partial z_k} \sum_j q_j z_j = q_k", _smoothed),
        Line(r"\frac{\partial \ell}{\partial z_k} = p_k - q_k", _smoothing_slope),
    ),
    params={
        "smoothing": Number("The share of the label that is given away.", 0.1, 0.0, 0.99),
        "spread": Choice("Who gets it: all classes, or all but the label's.", "all", ("all", "others")),
    },
    properties=Properties(
        convex_in_logits=yes(ALL_LOGITS),
        bounded=no(ALL_LOGITS, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(ALL_LOGITS, constant=lambda _: _SQRT2),
        smooth=yes(ALL_LOGITS, constant=lambda _: 0.5),
        robust=no(ALL_LOGITS, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(ALL_LOGITS),
        proper=no(
            f"{SOFTMAX_FORECAST}; proper at smoothing = 0 alone",
            {"pred": [[math.log(0.99), math.log(0.01)]], "target": [0]},
            {"pred": [[math.log(0.94), math.log(0.06)]], "target": [0]},
        ),
        calibrated=yes("smoothing = 0.1", smoothing=0.1),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "Two conventions: PyTorch, Keras and Optax spread over all K classes, "
        "fairseq and tensor2tensor over the K - 1 others, which smooths K / (K - 1) times as much.",
        "The loss of a perfect answer is not 0 but the entropy of the smoothed label.",
        "Beyond the best point it pushes confident logits back, so distances between logits stay small; "
        "a student learns less from such a teacher.",
        "Spread over the others with a smoothing above (K - 1) / K the right class gets less than each wrong one.",
    ),
    reference="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), Rethinking the Inception architecture for "
    "computer vision, arXiv:1512.00567.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "smoothing, spread, classes = {smoothing}, {spread}, pred.shape[1]\n"
        'if spread == "others":  # as much to the others as a larger smoothing gives to all\n'
        "    smoothing = smoothing * classes / (classes - 1)\n"
        "label = F.one_hot(target, classes).to(pred.dtype)\n"
        "loss = F.cross_entropy(pred, (1 - smoothing) * label + smoothing / classes)\n",
        keras="import keras\n\n"
        "smoothing, spread, classes = {smoothing}, {spread}, pred.shape[1]\n"
        'if spread == "others":\n'
        "    smoothing = smoothing * classes / (classes - 1)\n"
        "label = keras.ops.one_hot(target, classes)\n"
        "loss = keras.ops.mean(\n"
        "    keras.losses.categorical_crossentropy(label, pred, from_logits=True, label_smoothing=smoothing)\n"
        ")\n",
        optax="import jax\n"
        "import optax\n\n"
        "smoothing, spread, classes = {smoothing}, {spread}, pred.shape[1]\n"
        'if spread == "others":\n'
        "    smoothing = smoothing * classes / (classes - 1)\n"
        "label = optax.losses.smooth_labels(jax.nn.one_hot(target, classes), smoothing)\n"
        "loss = optax.losses.softmax_cross_entropy(pred, label).mean()\n",
        note="PyTorch's label_smoothing, Keras and Optax give spread = all.",
    ),
)


# --- class-balanced cross-entropy


def class_balanced_ce(
    *,
    pred: Tensor,
    target: Tensor,
    beta: float = 0.999,
    samples_per_class: float | list[float] | Tensor = 100.0,
) -> Tensor:
    """Cross-entropy weighted by the inverse of each class's effective number of samples.

    A further sample of a class adds ever less: n of them count ``(1 - beta^n) / (1 - beta)``. The weights are scaled
    so that they add up to K, and the mean divides by the number of rows.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        beta: from 0 (every class weighs the same) to below 1 (weights near the inverse counts).
        samples_per_class: training samples of each class, shape ``(K,)``; 1 or more. One number where all have as
            many, which gives the plain cross-entropy.

    Returns:
        Loss per row, shape ``(N,)``, in nats times the weight.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Cui et al. (2019), arXiv:1901.05555.
    """
    require_classes(pred=pred, target=target)
    return -_weights(pred, beta, samples_per_class)[target] * log_p_label(pred, target)


def _weights(pred: Tensor, beta: float, samples_per_class: float | list[float] | Tensor) -> Tensor:
    counts = torch.as_tensor(samples_per_class, dtype=torch.float64, device=pred.device)
    if counts.ndim == 0:
        counts = counts.expand(pred.shape[1])
    require_one_per_class("samples_per_class", counts, pred)
    # In float64 and with expm1: 1 - beta^n has no digits in float32 where beta is near 1.
    inverse = -1 / torch.expm1(counts * _log(beta))
    return (inverse * pred.shape[1] / inverse.sum()).to(pred.dtype)


def _log(beta: float) -> float:
    return math.log(beta) if beta > 0 else -math.inf


def _balanced_grad(
    *, pred: Tensor, target: Tensor, beta: float, samples_per_class: float | list[float] | Tensor
) -> dict[str, Tensor]:
    return {"pred": _weights(pred, beta, samples_per_class)[target][:, None] * surplus(pred, target)}


def _check_balanced(inputs: Inputs, params: Params) -> None:
    check_class_logits(inputs, params)
    _weights(inputs["pred"], params["beta"], params["samples_per_class"])


def _effective_line(
    *, pred: Tensor, beta: float, samples_per_class: float | list[float] | Tensor, **_: object
) -> Tensor:
    counts = torch.as_tensor(samples_per_class, dtype=torch.float64, device=pred.device).expand(pred.shape[1])
    return torch.ones_like(counts) if beta == 0 else -(counts * math.log(beta)).expm1() / (1 - beta)


def _weight_line(*, pred: Tensor, beta: float, samples_per_class: float | list[float] | Tensor, **_: object) -> Tensor:
    inverse = 1 / _effective_line(pred=pred, beta=beta, samples_per_class=samples_per_class)
    return (inverse / inverse.mean()).to(pred.dtype)


def _balanced_line(
    *, pred: Tensor, target: Tensor, beta: float, samples_per_class: float | list[float] | Tensor
) -> Tensor:
    weight = _weight_line(pred=pred, beta=beta, samples_per_class=samples_per_class)
    return weight[target] * ce_line(pred=pred, target=target)


def _balanced_by_log_p(
    *, pred: Tensor, target: Tensor, beta: float, samples_per_class: float | list[float] | Tensor
) -> Tensor:
    return -_weight_line(pred=pred, beta=beta, samples_per_class=samples_per_class)[target]


def _balanced_slope(
    *, pred: Tensor, target: Tensor, beta: float, samples_per_class: float | list[float] | Tensor
) -> Tensor:
    outer = _balanced_by_log_p(pred=pred, target=target, beta=beta, samples_per_class=samples_per_class)
    return outer[:, None] * log_p_slope_line(pred=pred, target=target)


def _largest_weight(params: Params) -> float:
    counts: float | list[float] = params["samples_per_class"]
    if not isinstance(counts, list):
        return 1.0
    return float(_weight_line(pred=torch.zeros(1, len(counts), dtype=torch.float64), **params).max())


_EVEN = "as many samples in every class"

CLASS_BALANCED_CE = Loss(
    key="class_balanced_ce",
    name="Class-balanced cross-entropy",
    name_zh="类别平衡交叉熵",
    family="multiclass",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=class_balanced_ce,
    denominator=number_of_values,
    check=_check_balanced,
    grad=_balanced_grad,
    formula=(
        Line(r"E_k = \frac{1 - \beta^{n_k}}{1 - \beta}", _effective_line),
        Line(r"w_k = \frac{K / E_k}{\sum_j 1 / E_j}", _weight_line),
        Line(r"-\ln p_y = \ln \sum_k e^{z_k} - z_y", ce_line),
        Line(r"\ell = -w_y \ln p_y", _balanced_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = w_y \left(p_k - [k = y]\right)",
    derivation=(
        SOFTMAX,
        LOG_P_SLOPE,
        Line(
            r"\frac{\partial \ell}{\partial \ln p_y} = -w_y \quad (w_y \text{ does not depend on } z)",
            _balanced_by_log_p,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{\partial \ell}{\partial \ln p_y} \cdot"
            r" \frac{\partial \ln p_y}{\partial z_k} = w_y \left(p_k - [k = y]\right)",
            _balanced_slope,
        ),
    ),
    params={
        "beta": Number("From equal weights at 0 to inverse counts near 1.", 0.999, 0.0, 0.999999999),
        "samples_per_class": Vector("Training samples of each class, or one number for all.", 100.0, 1.0, 1e9),
    },
    properties=Properties(
        convex_in_logits=yes(ALL_LOGITS),
        bounded=no(ALL_LOGITS, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(ALL_LOGITS, constant=lambda p: _SQRT2 * _largest_weight(p)),
        smooth=yes(ALL_LOGITS, constant=lambda p: 0.5 * _largest_weight(p)),
        robust=no(ALL_LOGITS, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(f"all real logits, {_EVEN}", samples_per_class=100.0),
        proper=yes(f"{SOFTMAX_FORECAST}, {_EVEN}", source=_PROPER_SOURCE, samples_per_class=100.0),
        calibrated=yes(_EVEN, samples_per_class=100.0),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "The mean divides by the number of rows. PyTorch's cross_entropy with the same weights divides by the "
        "weights of the labels, which makes another loss.",
        "With beta near 1 the power of beta loses all digits in float32, the more so for rare classes.",
        "Weights that add up to K say nothing about the batch: one of rare classes only is as large as its weights.",
        "With weights the softmax no longer estimates probabilities.",
    ),
    reference="Cui, Jia, Lin, Song and Belongie (2019), Class-balanced loss based on effective number of samples, "
    "arXiv:1901.05555.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "counts = torch.tensor({samples_per_class}, dtype=torch.float64).expand(pred.shape[1])\n"
        "inverse = -1 / torch.expm1(counts * torch.tensor({beta}, dtype=torch.float64).log())\n"
        "weight = (inverse * pred.shape[1] / inverse.sum()).to(pred.dtype)\n"
        'loss = (weight[target] * F.cross_entropy(pred, target, reduction="none")).mean()\n',
        keras=None,
        optax=None,
        note="Keras's class_weight in fit also divides by the number of rows.",
    ),
)


# --- PolyLoss


def poly1_ce(*, pred: Tensor, target: Tensor, epsilon: float = 2.0) -> Tensor:
    """Cross-entropy plus ``epsilon (1 - p)``: the first term of its series in ``1 - p`` counts more, or less.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        epsilon: what is added to the first coefficient, which is 1; -1 or more.

    Returns:
        Loss per row, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Leng et al. (2022), arXiv:2204.12511.
    """
    require_classes(pred=pred, target=target)
    return cross_entropy(pred, target, reduction="none") + epsilon * rest(pred, target)


def _poly_grad(*, pred: Tensor, target: Tensor, epsilon: float) -> dict[str, Tensor]:
    p = log_p_label(pred, target).exp()
    return {"pred": (1 + epsilon * p)[:, None] * surplus(pred, target)}


def _poly_line(*, pred: Tensor, target: Tensor, epsilon: float) -> Tensor:
    return ce_line(pred=pred, target=target) + epsilon * rest_line(pred=pred, target=target)


def _poly_slope_line(*, pred: Tensor, target: Tensor, epsilon: float) -> Tensor:
    return -log_p_slope_line(pred=pred, target=target) - epsilon * p_slope_line(pred=pred, target=target)


def _poly_slope(params: Params) -> float:
    return max(1.0, 1 + params["epsilon"])


POLY1_CE = Loss(
    key="poly1_ce",
    name="PolyLoss (Poly-1 cross-entropy)",
    name_zh="多项式损失（Poly-1）",
    family="multiclass",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=poly1_ce,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_poly_grad,
    formula=(
        Line(r"-\ln p_y = \ln \sum_k e^{z_k} - z_y", ce_line),
        Line(r"1 - p_y = \sum_{k \ne y} p_k", rest_line),
        Line(r"\ell = -\ln p_y + \varepsilon\,(1 - p_y)", _poly_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = (1 + \varepsilon p_y) \left(p_k - [k = y]\right)",
    derivation=(
        SOFTMAX,
        LOG_P_SLOPE,
        P_SLOPE,
        Line(
            r"\frac{\partial \ell}{\partial z_k} = -\frac{\partial \ln p_y}{\partial z_k}"
            r" - \varepsilon\,\frac{\partial p_y}{\partial z_k}"
            r" = (1 + \varepsilon p_y) \left(p_k - [k = y]\right)",
            _poly_slope_line,
        ),
    ),
    params={"epsilon": Number("What is added to the first coefficient of the series.", 2.0, -1.0, 10.0)},
    properties=Properties(
        convex_in_logits=no(
            "all real logits, epsilon = 2",
            {"pred": [[-6.0, 0.0]], "target": [0]},
            {"pred": [[-2.0, 0.0]], "target": [0]},
        ),
        bounded=no(ALL_LOGITS, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(ALL_LOGITS, constant=lambda p: _SQRT2 * _poly_slope(p)),
        # p (1 - p)^2 is at most 4/27, and the squared length of the surplus at most 2 (1 - p)^2.
        smooth=yes(ALL_LOGITS, constant=lambda p: 0.5 * _poly_slope(p) + abs(p["epsilon"]) * 8 / 27),
        robust=no(ALL_LOGITS, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(ALL_LOGITS),
        proper=no(
            f"{SOFTMAX_FORECAST}; proper at epsilon = 0 alone",
            {"pred": [[math.log(0.9), math.log(0.1)]], "target": [0]},
            {"pred": [[math.log(0.95), math.log(0.05)]], "target": [0]},
        ),
        calibrated=yes("epsilon of -1 or more"),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "epsilon has to be tuned for each task: the paper uses 2 for ImageNet and negative values for detection.",
        "With epsilon above 0 the softmax is over-confident, with epsilon below 0 under-confident.",
        "It is epsilon of the series in 1 - p, no smoothing of the label, which is also called epsilon.",
    ),
    reference="Leng, Tan, Liu, Cubuk, Shi, Cheng and Anguelov (2022), PolyLoss: a polynomial expansion perspective "
    "of classification loss functions, arXiv:2204.12511.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        'ce = F.cross_entropy(pred, target, reduction="none")\n'
        "loss = (ce + {epsilon} * (1 - torch.exp(-ce))).mean()\n",
        keras=None,
        optax="import jax\nimport optax\n\n"
        "labels = jax.nn.one_hot(target, pred.shape[1])\n"
        "loss = optax.losses.poly_loss_cross_entropy(pred, labels, epsilon={epsilon}).mean()\n",
        note="Optax and timm also begin with epsilon = 2.",
    ),
)


# --- squentropy


def squentropy(*, pred: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus the mean square of the wrong classes' logits, which keeps them near 0.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.

    Returns:
        Loss per row, shape ``(N,)``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Hui, Belkin and Wright (2023), arXiv:2302.03952.
    """
    require_classes(pred=pred, target=target)
    return cross_entropy(pred, target, reduction="none") + _square_line(pred=pred, target=target)


def _wrong(pred: Tensor, target: Tensor) -> Tensor:
    return pred.masked_fill(is_label(pred, target), 0)


def _square_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _wrong(pred, target).square().sum(-1) / (pred.shape[1] - 1)


def _squentropy_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": surplus(pred, target) + 2 * _wrong(pred, target) / (pred.shape[1] - 1)}


def _squentropy_line(*, pred: Tensor, target: Tensor) -> Tensor:
    every = pred.square().sum(-1)
    own = at_label(pred, target) ** 2
    # The difference loses the digits of small wrong logits beside a large right one.
    wrong = (every - own).where(own < 100, _square_line(pred=pred, target=target) * (pred.shape[1] - 1))
    return ce_line(pred=pred, target=target) + wrong / (pred.shape[1] - 1)


def _square_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return (2 * pred / (pred.shape[1] - 1)).masked_fill(is_label(pred, target), 0)


def _squentropy_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return -log_p_slope_line(pred=pred, target=target) + _square_slope(pred=pred, target=target)


SQUENTROPY = Loss(
    key="squentropy",
    name="Squentropy",
    name_zh="平方熵损失",
    family="multiclass",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=squentropy,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_squentropy_grad,
    formula=(
        Line(r"-\ln p_y = \ln \sum_k e^{z_k} - z_y", ce_line),
        Line(r"S = \frac{1}{K - 1} \sum_{k \ne y} z_k^2", _square_line),
        Line(r"\ell = -\ln p_y + S", _squentropy_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = p_k - [k = y] + \frac{2 z_k}{K - 1} [k \ne y]",
    derivation=(
        SOFTMAX,
        LOG_P_SLOPE,
        Line(r"\frac{\partial S}{\partial z_k} = \frac{2 z_k}{K - 1} [k \ne y]", _square_slope),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = -\frac{\partial \ln p_y}{\partial z_k}"
            r" + \frac{\partial S}{\partial z_k} = p_k - [k = y] + \frac{2 z_k}{K - 1} [k \ne y]",
            _squentropy_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=yes(ALL_LOGITS),
        bounded=no(ALL_LOGITS, {"pred": [[0.0, 100.0]], "target": [0]}),
        lipschitz=no(ALL_LOGITS, {"pred": [[0.0, 1e6]], "target": [0]}),
        smooth=yes("all real logits of two classes or more", constant=lambda _: 2.5),
        robust=no(ALL_LOGITS, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(ALL_LOGITS),
        proper=no(
            f"{SOFTMAX_FORECAST}: adding a number to all logits changes the loss",
            {"pred": [[math.log(0.9), math.log(0.1)]], "target": [0]},
            {"pred": [[0.5, -0.3]], "target": [0]},
        ),
        calibrated=yes("logits from -0.8 to 1.2"),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "It is not blind to a number added to all logits, as the cross-entropy is: wrong classes are drawn to 0.",
        "The square is divided by K - 1, so with many classes it hardly weighs on each logit.",
        "The right class's logit is not squared: it may grow without end, slowly.",
    ),
    reference="Hui, Belkin and Wright (2023), Cut your losses with squentropy, arXiv:2302.03952.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "wrong = 1 - F.one_hot(target, pred.shape[1])\n"
        "square = (wrong * pred**2).sum(-1) / (pred.shape[1] - 1)\n"
        "loss = F.cross_entropy(pred, target) + square.mean()\n",
        keras=None,
        optax=None,
    ),
)


# --- Taylor cross-entropy


def taylor_ce(*, pred: Tensor, target: Tensor, n: int = 2) -> Tensor:
    """The first ``n`` terms of the cross-entropy's series in ``1 - p``: bounded, so a wrong label costs little.

    Args:
        pred: logits, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        n: how many terms; 1 or more. One gives ``1 - p``, many give the cross-entropy.

    Returns:
        Loss per row, shape ``(N,)``, in nats; from 0 to the sum of 1/k up to ``n``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Feng et al. (2020), doi:10.24963/ijcai.2020/305.
    """
    require_classes(pred=pred, target=target)
    k = torch.arange(1, n + 1, dtype=pred.dtype, device=pred.device)
    return (rest(pred, target)[:, None] ** k / k).sum(-1)


def _taylor_grad(*, pred: Tensor, target: Tensor, n: int) -> dict[str, Tensor]:
    # p times the sum of the first powers of 1 - p is 1 - (1 - p)^n, from log1p because p may be tiny.
    steepness = -torch.expm1(n * torch.log1p(-log_p_label(pred, target).exp()))
    return {"pred": steepness[:, None] * surplus(pred, target)}


def _taylor_line(*, pred: Tensor, target: Tensor, n: int) -> Tensor:
    r = rest_line(pred=pred, target=target)
    total = torch.zeros_like(r)
    for k in range(n, 0, -1):
        total = r * (1 / k + total)
    return total


def _taylor_by_rest(*, pred: Tensor, target: Tensor, n: int) -> Tensor:
    r = rest_line(pred=pred, target=target)
    total = torch.zeros_like(r)
    for _ in range(n):
        total = 1 + r * total
    return total


def _taylor_slope(*, pred: Tensor, target: Tensor, n: int) -> Tensor:
    outer = _taylor_by_rest(pred=pred, target=target, n=n)
    return -outer[:, None] * p_slope_line(pred=pred, target=target)


def _harmonic(n: int) -> float:
    return sum(1 / k for k in range(1, n + 1))


def _taylor_curvature(params: Params) -> float:
    n = params["n"]
    return 0.5 + 2 * n / (n + 2) * ((n + 1) / (n + 2)) ** (n + 1)


TAYLOR_CE = Loss(
    key="taylor_ce",
    name="Taylor cross-entropy",
    name_zh="泰勒交叉熵",
    family="multiclass",
    tasks=("classification",),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=taylor_ce,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_taylor_grad,
    formula=(
        Line(r"p_y = \frac{e^{z_y}}{\sum_k e^{z_k}}", p_line),
        Line(r"r = 1 - p_y = \sum_{k \ne y} p_k", rest_line),
        Line(r"\ell = \sum_{k=1}^{n} \frac{r^k}{k}", _taylor_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = \left(1 - r^n\right) \left(p_k - [k = y]\right)",
    derivation=(
        SOFTMAX,
        LOG_P_SLOPE,
        P_SLOPE,
        Line(
            r"\frac{d \ell}{dr} = \sum_{i=1}^{n} r^{i - 1} = \frac{1 - r^n}{1 - r} = \frac{1 - r^n}{p_y}",
            _taylor_by_rest,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{d \ell}{dr} \cdot"
            r" \left(-\frac{\partial p_y}{\partial z_k}\right) = \left(1 - r^n\right) \left(p_k - [k = y]\right)",
            _taylor_slope,
        ),
    ),
    params={"n": Number("How many terms of the series are kept.", 2, 1, 50, integer=True)},
    properties=Properties(
        convex_in_logits=no(ALL_LOGITS, {"pred": [[-10.0, 0.0]], "target": [0]}, {"pred": [[0.0, 0.0]], "target": [0]}),
        bounded=yes(ALL_LOGITS, constant=lambda p: _harmonic(p["n"])),
        lipschitz=yes(ALL_LOGITS, constant=lambda _: _SQRT2),
        smooth=yes(ALL_LOGITS, constant=_taylor_curvature),
        robust=yes(
            "all real logits, n = 1",
            source="Ghosh, Kumar and Sastry (2017), arXiv:1712.09482.",
            n=1,
        ),
        symmetric=yes(ALL_LOGITS),
        proper=no(
            f"{SOFTMAX_FORECAST}, n = 2",
            {"pred": [[math.log(0.7), math.log(0.3)]], "target": [0]},
            {"pred": [[math.log(0.99), math.log(0.01)]], "target": [0]},
        ),
        calibrated=yes(ALL_LOGITS),
        scale_invariant=no(ALL_LOGITS, {"pred": [[1.0, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "A sample that is far on the wrong side has no gradient: with few terms a bad start is hard to leave.",
        "Only with one term is it robust to symmetric label noise in the strict sense.",
        "With few terms the softmax is over-confident: one term alone makes the likeliest class certain.",
    ),
    reference="Feng, Shu, Lin, Lv, Li and An (2020), Can cross entropy loss be robust to label noise?, "
    "doi:10.24963/ijcai.2020/305.",
    code=Code(
        pytorch="rest = 1 - pred.softmax(-1).gather(-1, target[:, None])[:, 0]\n"
        "loss = sum(rest**k / k for k in range(1, {n} + 1)).mean()\n",
        keras=None,
        optax=None,
        note="One term is half of the absolute error between the probabilities and the one-hot label.",
    ),
)


# --- Brier score


def brier(*, pred: Tensor, target: Tensor) -> Tensor:
    """Squared distance between the forecast probabilities and the one-hot label, added up over the classes.

    Args:
        pred: probabilities, shape ``(N, K)``; from 0 to 1, each row adding up to 1.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.

    Returns:
        Loss per row, shape ``(N,)``; from 0 to 2.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    require_classes(pred=pred, target=target)
    return (pred - is_label(pred, target).to(pred.dtype)).square().sum(-1)


def _brier_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": 2 * (pred - is_label(pred, target).to(pred.dtype))}


def _check_brier(inputs: Inputs, params: Params) -> None:
    require_classes(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"])
    check_distribution("pred", inputs["pred"])
    check_labels(inputs["target"], inputs["pred"].shape[1])


def _p_y_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return at_label(pred, target)


def _squares_line(*, pred: Tensor, **_: object) -> Tensor:
    return (pred * pred).sum(-1)


def _brier_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return 1 - 2 * _p_y_line(pred=pred, target=target) + _squares_line(pred=pred)


def _squares_slope(*, pred: Tensor, **_: object) -> Tensor:
    return 2 * pred


def _brier_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _squares_slope(pred=pred) - 2 * _one_hot_line(pred=pred, target=target)


_ALL_DISTRIBUTIONS = "all probabilities"

BRIER = Loss(
    key="brier",
    name="Brier score",
    name_zh="Brier 分数",
    family="multiclass",
    tasks=("classification",),
    input_kind="probabilities",
    inputs={"pred": "probabilities, (N, K)", "target": "class index, 0 to K - 1, (N,) int64"},
    differentiable=("pred",),
    fn=brier,
    denominator=number_of_values,
    check=_check_brier,
    grad=_brier_grad,
    formula=(
        Line(r"p_y", _p_y_line),
        Line(r"S = \sum_k p_k^2", _squares_line),
        Line(r"\ell = \sum_k (p_k - [k = y])^2 = 1 - 2 p_y + S", _brier_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p_k} = 2 \left(p_k - [k = y]\right)",
    derivation=(
        Line(r"\frac{\partial p_y}{\partial p_k} = [k = y]", _one_hot_line),
        Line(r"\frac{\partial S}{\partial p_k} = 2 p_k", _squares_slope),
        Line(
            r"\frac{\partial \ell}{\partial p_k} = -2\,\frac{\partial p_y}{\partial p_k}"
            r" + \frac{\partial S}{\partial p_k} = 2 \left(p_k - [k = y]\right)",
            _brier_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_DISTRIBUTIONS),
        bounded=yes(_ALL_DISTRIBUTIONS, constant=lambda _: 2.0),
        lipschitz=yes(_ALL_DISTRIBUTIONS, constant=lambda _: 2 * _SQRT2),
        smooth=yes(_ALL_DISTRIBUTIONS, constant=lambda _: 2.0),
        robust=no(_ALL_DISTRIBUTIONS, {"pred": [[0.5, 0.5]], "target": [0]}, {"pred": [[0.9, 0.1]], "target": [0]}),
        symmetric=yes(_ALL_DISTRIBUTIONS),
        proper=yes(_ALL_DISTRIBUTIONS, source=_PROPER_SOURCE),
        calibrated=yes(_ALL_DISTRIBUTIONS),
    ),
    pitfalls=(
        "Three conventions: added up over the classes as here (0 to 2), halved for two classes, or averaged over K.",
        "After a softmax a confidently wrong answer has hardly any gradient, since that of the softmax fades.",
        "It is convex in the probabilities, not in the logits before the softmax.",
        "The gradient does not know that probabilities add up to 1: "
        "a step along it leaves the simplex unless a softmax comes before.",
    ),
    reference="Brier (1950), Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, "
    "doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "label = F.one_hot(target, pred.shape[1]).to(pred.dtype)\n"
        "loss = ((pred - label) ** 2).sum(-1).mean()\n",
        keras="import keras\n\n"
        "label = keras.ops.one_hot(target, pred.shape[1])\n"
        "loss = pred.shape[1] * keras.ops.mean(keras.losses.mean_squared_error(label, pred))\n",
        optax="import jax\n"
        "import optax\n\n"
        "label = jax.nn.one_hot(target, pred.shape[1])\n"
        "loss = optax.losses.squared_error(pred, label).sum(-1).mean()\n",
        note="Keras's mean_squared_error on the one-hot label divides by K once more.",
    ),
)


LOSSES: tuple[Loss, ...] = (NLL, LABEL_SMOOTHING_CE, CLASS_BALANCED_CE, POLY1_CE, SQUENTROPY, TAYLOR_CE, BRIER)
