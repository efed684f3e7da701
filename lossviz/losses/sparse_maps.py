"""Cross-entropy's relatives for maps from scores to probabilities that give some classes exactly 0.

Both are Fenchel-Young losses: the gradient is the map's probabilities less the one-hot label.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import relu

from lossviz.losses._checks import require_classes
from lossviz.losses._logits import ALL_LOGITS, CLASS_INPUTS, at_label, check_class_logits, is_label, shifted_line
from lossviz.losses.entry import Code, Line, Loss, Properties, no, number_of_values, yes

_FENCHEL_YOUNG = "Blondel, Martins and Niculae (2020), arXiv:1901.02324."


def _bisected(scores: Tensor, power: int) -> Tensor:
    """For the formula: the threshold at which ``sum(max(0, scores - threshold) ** power)`` is 1, by halving.

    The largest score of a row is 0, so it lies between -1 and 0.
    """
    low = torch.full_like(scores[:, :1], -1.0)
    step = 1.0
    for _ in range(60):
        step /= 2
        above = relu(scores - low - step).pow(power).sum(-1, keepdim=True) >= 1
        low = low + step * above
    return low


# --- sparsemax


def sparsemax_loss(*, pred: Tensor, target: Tensor) -> Tensor:
    """What the cross-entropy is to the softmax, for the nearest point of the simplex: 0 from a lead of 1 on.

    Args:
        pred: scores, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.

    Returns:
        Loss per row, shape ``(N,)``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Martins and Astudillo (2016), arXiv:1602.02068.
    """
    require_classes(pred=pred, target=target)
    scores = shifted_line(pred=pred)
    p = _sparsemax(scores)
    return (p * scores).sum(-1) + 0.5 * (1 - p.square().sum(-1)) - at_label(scores, target)


def sparsemax(pred: Tensor) -> Tensor:
    """The nearest point of the simplex, ``(N, K)``, to scores ``(N, K)``; many of its probabilities are exactly 0."""
    return _sparsemax(shifted_line(pred=pred))


def _sparsemax(scores: Tensor) -> Tensor:
    ordered = scores.sort(-1, descending=True).values
    k = torch.arange(1, scores.shape[1] + 1, dtype=scores.dtype, device=scores.device)
    # The k largest scores share what they hold beyond the threshold; the last k whose own score is above it is right.
    size = (ordered > (ordered.cumsum(-1) - 1) / k).sum(-1, keepdim=True)
    kept = scores >= ordered.gather(-1, size - 1)
    threshold = (scores.masked_fill(~kept, 0).sum(-1, keepdim=True) - 1) / kept.sum(-1, keepdim=True)
    return relu(scores - threshold)


def _sparsemax_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": sparsemax(pred) - is_label(pred, target).to(pred.dtype)}


def _sparse_threshold_line(*, pred: Tensor, **_: object) -> Tensor:
    return _bisected(shifted_line(pred=pred), 1)


def _sparse_p_line(*, pred: Tensor, **_: object) -> Tensor:
    return (shifted_line(pred=pred) - _sparse_threshold_line(pred=pred)).clamp(min=0)


def _sparsemax_line(*, pred: Tensor, target: Tensor) -> Tensor:
    scores, threshold = shifted_line(pred=pred), _sparse_threshold_line(pred=pred)
    squares = (scores.square() - threshold.square()).where(scores > threshold, 0)
    return 0.5 * squares.sum(-1) + 0.5 - at_label(scores, target)


def _sparse_threshold_slope(*, pred: Tensor, **_: object) -> Tensor:
    kept = _sparse_p_line(pred=pred) > 0
    return kept / kept.sum(-1, keepdim=True, dtype=pred.dtype)


def _squares_slope(*, pred: Tensor, **_: object) -> Tensor:
    return shifted_line(pred=pred).masked_fill(_sparse_p_line(pred=pred) == 0, 0)


def _threshold_squares_slope(*, pred: Tensor, **_: object) -> Tensor:
    count = (_sparse_p_line(pred=pred) > 0).sum(-1, keepdim=True)
    return count * _sparse_threshold_line(pred=pred) * _sparse_threshold_slope(pred=pred)


def _sparsemax_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    p = _squares_slope(pred=pred) - _threshold_squares_slope(pred=pred)
    return p - is_label(pred, target).to(pred.dtype)


SPARSEMAX_LOSS = Loss(
    key="sparsemax_loss",
    name="Sparsemax loss",
    name_zh="稀疏 softmax（sparsemax）损失",
    family="sparse_maps",
    tasks=("classification", "sparse"),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=sparsemax_loss,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_sparsemax_grad,
    formula=(
        Line(r"s_k = z_k - \max_j z_j", shifted_line),
        Line(r"\tau: \sum_k \max(0, s_k - \tau) = 1", _sparse_threshold_line),
        Line(r"p_k = \max(0, s_k - \tau)", _sparse_p_line),
        Line(
            r"\ell = \sum_k p_k s_k + \frac{1}{2} \left(1 - \sum_k p_k^2\right) - s_y"
            r" = \frac{1}{2} \sum_{p_k > 0} \left(s_k^2 - \tau^2\right) + \frac{1}{2} - s_y",
            _sparsemax_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = p_k - [k = y]",
    derivation=(
        Line(
            r"\sum_{p_j > 0} \left([j = k] - \frac{\partial \tau}{\partial s_k}\right) = 0"
            r" \Rightarrow \frac{\partial \tau}{\partial s_k} = \frac{[p_k > 0]}{n}, \quad n = \sum_j [p_j > 0]",
            _sparse_threshold_slope,
        ),
        Line(
            r"\frac{\partial}{\partial s_k} \left(\frac{1}{2} \sum_{p_j > 0} s_j^2\right) = s_k\,[p_k > 0]",
            _squares_slope,
        ),
        Line(
            r"\frac{\partial}{\partial s_k} \left(\frac{1}{2} \sum_{p_j > 0} \tau^2\right)"
            r" = n \tau\,\frac{\partial \tau}{\partial s_k} = \tau\,[p_k > 0]",
            _threshold_squares_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{\partial \ell}{\partial s_k}"
            r" = (s_k - \tau)\,[p_k > 0] - [k = y] = p_k - [k = y]"
            r" \quad \left(\max_j z_j \text{ cancels, since } \sum_k p_k = 1\right)",
            _sparsemax_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=yes(ALL_LOGITS, source=_FENCHEL_YOUNG),
        bounded=no(ALL_LOGITS, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(ALL_LOGITS, constant=lambda _: math.sqrt(2)),
        smooth=yes(ALL_LOGITS, constant=lambda _: 1.0),
        robust=no(ALL_LOGITS, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(ALL_LOGITS),
        proper=yes("the sparsemax of the scores as forecast", source=_FENCHEL_YOUNG),
        calibrated=yes(ALL_LOGITS, source=_FENCHEL_YOUNG),
        scale_invariant=no(ALL_LOGITS, {"pred": [[0.5, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "It takes scores, not the output of sparsemax.",
        "Once the right class leads by 1 a row has neither loss nor gradient, as with a hinge.",
        "The probabilities belong to sparsemax: a softmax of the same scores is far too flat.",
        "Optax's sparsemax_loss is the one for two classes; the other is called multiclass_sparsemax_loss.",
    ),
    reference="Martins and Astudillo (2016), From softmax to sparsemax: a sparse model of attention and multi-label "
    "classification, arXiv:1602.02068.",
    code=Code(
        pytorch="import torch\n\n"
        "ordered = pred.sort(-1, descending=True).values\n"
        "k = torch.arange(1, pred.shape[1] + 1)\n"
        "thresholds = (ordered.cumsum(-1) - 1) / k\n"
        "size = (ordered > thresholds).sum(-1, keepdim=True)\n"
        "p = torch.relu(pred - thresholds.gather(-1, size - 1))\n"
        "right = pred.gather(-1, target[:, None])[:, 0]\n"
        "loss = ((p * pred).sum(-1) + (1 - (p**2).sum(-1)) / 2 - right).mean()\n",
        keras=None,
        optax="import optax\n\nloss = optax.losses.multiclass_sparsemax_loss(pred, target).mean()\n",
        note="The entmax package calls it sparsemax_loss as well.",
    ),
)


# --- 1.5-entmax


def entmax15_loss(*, pred: Tensor, target: Tensor) -> Tensor:
    """Half way between the cross-entropy and the sparsemax loss: 0 from a lead of 2 on, with a smoother map.

    Args:
        pred: scores, shape ``(N, K)``.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.

    Returns:
        Loss per row, shape ``(N,)``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Peters, Niculae and Martins (2019), arXiv:1905.05702.
    """
    require_classes(pred=pred, target=target)
    scores = shifted_line(pred=pred)
    root = _entmax15_root(scores)
    inner = (root.square() * scores).sum(-1)
    return inner + 4 / 3 * (1 - root.pow(3).sum(-1)) - at_label(scores, target)


def entmax15(pred: Tensor) -> Tensor:
    """Probabilities, ``(N, K)``, of scores ``(N, K)`` half way between softmax and sparsemax; some are exactly 0."""
    return _entmax15_root(shifted_line(pred=pred)).square()


def _entmax15_root(scores: Tensor) -> Tensor:
    """The square roots of the probabilities, ``(N, K)``: ``max(0, scores / 2 - threshold)``."""
    halves = scores / 2
    ordered = halves.sort(-1, descending=True).values
    k = torch.arange(1, scores.shape[1] + 1, dtype=scores.dtype, device=scores.device)
    mean = ordered.cumsum(-1) / k
    spread = ordered.square().cumsum(-1) - k * mean.square()
    # For the k largest, sum((half - threshold)^2) = 1 is a quadratic equation; where it has no solution k is too large.
    size = (ordered > mean - ((1 - spread) / k).clamp(min=0).sqrt()).sum(-1, keepdim=True)
    kept = halves >= ordered.gather(-1, size - 1)
    # Solved again for those that are kept, since the square root's slope is infinite where there is no solution.
    count = kept.sum(-1, keepdim=True)
    mean = halves.masked_fill(~kept, 0).sum(-1, keepdim=True) / count
    spread = (halves - mean).masked_fill(~kept, 0).square().sum(-1, keepdim=True)
    return relu(halves - mean + ((1 - spread) / count).sqrt())


def _entmax15_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": entmax15(pred) - is_label(pred, target).to(pred.dtype)}


def _entmax_threshold_line(*, pred: Tensor, **_: object) -> Tensor:
    return _bisected(shifted_line(pred=pred) / 2, 2)


def _entmax_p_line(*, pred: Tensor, **_: object) -> Tensor:
    return (shifted_line(pred=pred) / 2 - _entmax_threshold_line(pred=pred)).clamp(min=0).square()


def _entmax_line(*, pred: Tensor, target: Tensor) -> Tensor:
    cubes = _entmax_p_line(pred=pred).sqrt().pow(3).sum(-1)
    threshold = _entmax_threshold_line(pred=pred)[:, 0]
    return 2 * threshold + 2 / 3 * cubes + 4 / 3 - at_label(shifted_line(pred=pred), target)


def _entmax_root_line(*, pred: Tensor, **_: object) -> Tensor:
    return _entmax_p_line(pred=pred).sqrt()


def _entmax_threshold_slope(*, pred: Tensor, **_: object) -> Tensor:
    root = _entmax_root_line(pred=pred)
    return root / (2 * root.sum(-1, keepdim=True))


def _cubes_slope(*, pred: Tensor, **_: object) -> Tensor:
    return _entmax_p_line(pred=pred) - 2 * _entmax_threshold_slope(pred=pred)


def _entmax_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    first = 2 * _entmax_threshold_slope(pred=pred) + _cubes_slope(pred=pred)
    return first - is_label(pred, target).to(pred.dtype)


ENTMAX15_LOSS = Loss(
    key="entmax15_loss",
    name="1.5-entmax loss",
    name_zh="1.5-entmax 损失",
    family="sparse_maps",
    tasks=("classification", "sparse"),
    input_kind="classes",
    inputs=CLASS_INPUTS,
    differentiable=("pred",),
    fn=entmax15_loss,
    denominator=number_of_values,
    check=check_class_logits,
    grad=_entmax15_grad,
    formula=(
        Line(r"s_k = z_k - \max_j z_j", shifted_line),
        Line(r"\tau: \sum_k \max\left(0, \frac{s_k}{2} - \tau\right)^2 = 1", _entmax_threshold_line),
        Line(r"p_k = \max\left(0, \frac{s_k}{2} - \tau\right)^2", _entmax_p_line),
        Line(
            r"\ell = \sum_k p_k s_k + \frac{4}{3} \left(1 - \sum_k p_k^{3/2}\right) - s_y"
            r" = 2 \tau + \frac{2}{3} \sum_k p_k^{3/2} + \frac{4}{3} - s_y",
            _entmax_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = p_k - [k = y]",
    derivation=(
        Line(r"r_k = p_k^{1/2} = \max\left(0, \frac{s_k}{2} - \tau\right)", _entmax_root_line),
        Line(
            r"\sum_j 2 r_j \left(\frac{[j = k]}{2} - \frac{\partial \tau}{\partial s_k}\right) = 0"
            r" \Rightarrow \frac{\partial \tau}{\partial s_k} = \frac{r_k}{2 \sum_j r_j}",
            _entmax_threshold_slope,
        ),
        Line(
            r"\frac{\partial}{\partial s_k} \left(\frac{2}{3} \sum_j r_j^3\right)"
            r" = \sum_j 2 r_j^2 \left(\frac{[j = k]}{2} - \frac{\partial \tau}{\partial s_k}\right)"
            r" = p_k - 2\,\frac{\partial \tau}{\partial s_k}",
            _cubes_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{\partial \ell}{\partial s_k}"
            r" = 2\,\frac{\partial \tau}{\partial s_k} + p_k - 2\,\frac{\partial \tau}{\partial s_k} - [k = y]"
            r" = p_k - [k = y] \quad \left(\max_j z_j \text{ cancels, since } \sum_k p_k = 1\right)",
            _entmax_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=yes(ALL_LOGITS, source=_FENCHEL_YOUNG),
        bounded=no(ALL_LOGITS, {"pred": [[-1e6, 0.0]], "target": [0]}),
        lipschitz=yes(ALL_LOGITS, constant=lambda _: math.sqrt(2)),
        smooth=yes(ALL_LOGITS, constant=lambda _: 1.0),
        robust=no(ALL_LOGITS, {"pred": [[0.0, 0.0]], "target": [0]}, {"pred": [[3.0, 0.0]], "target": [0]}),
        symmetric=yes(ALL_LOGITS),
        proper=yes("the 1.5-entmax of the scores as forecast", source=_FENCHEL_YOUNG),
        calibrated=yes(ALL_LOGITS, source=_FENCHEL_YOUNG),
        scale_invariant=no(ALL_LOGITS, {"pred": [[0.5, 0.0]], "target": [0]}),
    ),
    pitfalls=(
        "It takes scores, not the output of entmax.",
        "Once the right class leads by 2 a row has neither loss nor gradient.",
        "The threshold belongs to half of the scores: forgetting the factor gives another temperature.",
        "The probabilities belong to 1.5-entmax, not to a softmax of the same scores.",
    ),
    reference="Peters, Niculae and Martins (2019), Sparse sequence-to-sequence models, arXiv:1905.05702.",
    code=Code(
        pytorch="import torch\n\n"
        "halves = (pred - pred.amax(-1, keepdim=True)) / 2\n"
        "low = torch.full_like(halves[:, :1], -1.0)\n"
        "for i in range(1, 60):  # the threshold by halving\n"
        "    middle = low + 0.5**i\n"
        "    total = (torch.relu(halves - middle) ** 2).sum(-1, keepdim=True)\n"
        "    low = torch.where(total >= 1, middle, low)\n"
        "p = torch.relu(halves.detach() - low) ** 2  # it is the best p, so that no gradient passes through it\n"
        "right = pred.gather(-1, target[:, None])[:, 0]\n"
        "loss = ((p * pred).sum(-1) + (1 - (p**1.5).sum(-1)) * 4 / 3 - right).mean()\n",
        keras=None,
        optax=None,
        note="The entmax package calls it entmax15_loss as well.",
    ),
)


LOSSES: tuple[Loss, ...] = (SPARSEMAX_LOSS, ENTMAX15_LOSS)
