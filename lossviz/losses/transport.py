"""How much probability has to be moved to make one distribution the other, and how far."""

import math

import torch
from torch import Tensor

from lossviz.losses._checks import check_distribution, check_finite, require_rows
from lossviz.losses.entry import (
    Code,
    Inputs,
    Line,
    Loss,
    Params,
    Properties,
    no,
    number_of_values,
    yes,
)

_ALL_PAIRS = "all pairs of distributions"
_SWAP = "exchange of pred and target"
_ONE_HOT = "forecasts of one bin, a one-hot target"
_TRUTH = {"pred": [[0.4, 0.25, 0.35]], "target": [[1.0, 0.0, 0.0]]}
_KINK = (
    {"pred": [[0.5 - 1e-9, 0.5 + 1e-9]], "target": [[0.5, 0.5]]},
    {"pred": [[0.5 + 1e-9, 0.5 - 1e-9]], "target": [[0.5, 0.5]]},
)


def _check_pair(inputs: Inputs, params: Params) -> None:
    require_rows(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"], target=inputs["target"])
    for name in ("pred", "target"):
        check_distribution(name, inputs[name])


def _sides(gaps: Tensor) -> Tensor:
    return (gaps > 0).to(gaps.dtype) - (gaps < 0).to(gaps.dtype)


# --- Wasserstein


def wasserstein_1(*, pred: Tensor, target: Tensor) -> Tensor:
    """The least work that makes one heap of earth the other, bins being 1 apart: amount times distance.

    Args:
        pred: forecast probabilities q of bins in order, shape ``(N, K)``; from 0 to 1, each row adding up to 1.
        target: true probabilities p, same shape.

    Returns:
        Loss per row, shape ``(N,)``, in bins; from 0 to ``K - 1``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Vallender (1974), doi:10.1137/1118101.
    """
    require_rows(pred=pred, target=target)
    return _carried(pred=pred, target=target).abs().sum(-1)


def _carried(*, pred: Tensor, target: Tensor) -> Tensor:
    """(N, K - 1): what goes over each border. The last sum is left out: it is 0 but for rounding, which has a sign."""
    return (pred - target).cumsum(-1)[..., :-1]


def _wasserstein_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    sides = _carried(pred=pred, target=target).sign()
    # A bin counts in every sum from its own on, so signs are added from the right.
    return {"pred": torch.cat([sides.flip(-1).cumsum(-1).flip(-1), torch.zeros_like(pred[..., :1])], -1)}


def _pred_sums(*, pred: Tensor, target: Tensor) -> Tensor:
    return pred.cumsum(-1)


def _target_sums(*, pred: Tensor, target: Tensor) -> Tensor:
    return target.cumsum(-1)


def _wasserstein_line(*, pred: Tensor, target: Tensor) -> Tensor:
    ahead = _pred_sums(pred=pred, target=target)[..., :-1]
    behind = _target_sums(pred=pred, target=target)[..., :-1]
    return (ahead.maximum(behind) - ahead.minimum(behind)).sum(-1)


def _border_sides(*, pred: Tensor, target: Tensor) -> Tensor:
    return _sides(_carried(pred=pred, target=target))


def _counted(*, pred: Tensor, target: Tensor) -> Tensor:
    bins = torch.arange(pred.shape[-1], device=pred.device)
    return (bins <= bins[:-1, None]).to(pred.dtype)


def _wasserstein_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _border_sides(pred=pred, target=target) @ _counted(pred=pred, target=target)


WASSERSTEIN_1 = Loss(
    key="wasserstein_1",
    name="Wasserstein-1 (earth mover's) distance",
    name_zh="一维 Wasserstein 距离（推土机距离）",
    family="transport",
    tasks=("classification",),
    input_kind="distributions",
    inputs={
        "pred": "forecast probabilities q of bins in order, (N, K)",
        "target": "true probabilities p, the shape of pred",
    },
    differentiable=("pred",),
    fn=wasserstein_1,
    denominator=number_of_values,
    check=_check_pair,
    grad=_wasserstein_grad,
    formula=(
        Line(r"Q_k = \sum_{j \le k} q_j", _pred_sums),
        Line(r"P_k = \sum_{j \le k} p_j", _target_sums),
        Line(r"\ell = \sum_{k < K} |Q_k - P_k|", _wasserstein_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial q_j} = \sum_{j \le k < K} \operatorname{sign}(Q_k - P_k)",
    derivation=(
        Line(r"d_k = Q_k - P_k = \sum_{j \le k} (q_j - p_j), \quad k < K", _carried),
        Line(
            r"\frac{\partial \ell}{\partial d_k} = \operatorname{sign}(d_k), \quad 0 \text{ at } d_k = 0",
            _border_sides,
        ),
        Line(r"\frac{\partial d_k}{\partial q_j} = [j \le k]", _counted),
        Line(
            r"\frac{\partial \ell}{\partial q_j} = \sum_{k < K} \frac{\partial \ell}{\partial d_k} \cdot"
            r" \frac{\partial d_k}{\partial q_j} = \sum_{j \le k < K} \operatorname{sign}(d_k)",
            _wasserstein_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_PAIRS),
        bounded=yes("three bins; K - 1 for K of them", constant=lambda _: 2.0),
        lipschitz=yes("three bins", constant=lambda _: math.sqrt(5)),
        smooth=no(_ALL_PAIRS, *_KINK),
        robust=no(
            "three bins or more, a one-hot target: it is dear to miss by far",
            {"pred": [[0.0, 1.0, 0.0]], "target": [[1.0, 0.0, 0.0]]},
            {"pred": [[1.0, 0.0, 0.0]], "target": [[1.0, 0.0, 0.0]]},
        ),
        symmetric=yes(_SWAP),
        proper=no(
            f"{_ONE_HOT}: all on the median is cheapest",
            _TRUTH,
            {"pred": [[0.0, 1.0, 0.0]], "target": [[1.0, 0.0, 0.0]]},
        ),
        calibrated=no(
            "three bins or more, a one-hot target: the median need not be the likeliest bin",
            {"chances": [0.4, 0.25, 0.35]},
        ),
    ),
    pitfalls=(
        "The bins have an order and stand 1 apart: for classes without an order it means nothing, and for bins of "
        "another width it has to be multiplied by that.",
        "The formula is for a line; on a plane, or with other costs, a transport problem has to be solved.",
        "For ordered classes the sums' differences are often squared instead: that is another loss.",
        "The gradient is whole numbers, the same however far there is to go: it keeps its size right up to the target.",
        "The gradient does not know that probabilities add up to 1: behind a softmax only its differences count.",
    ),
    reference="Vallender (1974), Calculation of the Wasserstein distance between probability distributions on the "
    "line, doi:10.1137/1118101.",
    code=Code(
        pytorch="borders = (pred - target).cumsum(-1)[:, :-1]\nloss = borders.abs().sum(-1).mean()\n",
        keras=None,
        optax=None,
        note="SciPy's wasserstein_distance takes the bins' places first, the probabilities as weights.",
    ),
)


# --- total variation


def total_variation(*, pred: Tensor, target: Tensor) -> Tensor:
    """The share of probability that has to be moved, however far: the most that two chances of one event differ.

    Args:
        pred: forecast probabilities q, shape ``(N, K)``; from 0 to 1, each row adding up to 1.
        target: true probabilities p, same shape.

    Returns:
        Loss per row, shape ``(N,)``; from 0 to 1.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Gibbs and Su (2002), arXiv:math/0209021.
    """
    require_rows(pred=pred, target=target)
    return 0.5 * (pred - target).abs().sum(-1)


def _variation_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": 0.5 * (pred - target).sign()}


def _gaps(*, pred: Tensor, target: Tensor) -> Tensor:
    return pred - target


def _shared(*, pred: Tensor, target: Tensor) -> Tensor:
    return pred.minimum(target)


def _variation_line(*, pred: Tensor, target: Tensor) -> Tensor:
    shared = _shared(pred=pred, target=target).sum(-1)
    return (pred.sum(-1) + target.sum(-1)) / 2 - shared


def _gap_sides(*, pred: Tensor, target: Tensor) -> Tensor:
    return _sides(_gaps(pred=pred, target=target))


def _variation_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return 0.5 * _gap_sides(pred=pred, target=target)


TOTAL_VARIATION = Loss(
    key="total_variation",
    name="Total variation distance",
    name_zh="全变差距离",
    family="transport",
    tasks=("classification",),
    input_kind="distributions",
    inputs={"pred": "forecast probabilities q, (N, K)", "target": "true probabilities p, the shape of pred"},
    differentiable=("pred",),
    fn=total_variation,
    denominator=number_of_values,
    check=_check_pair,
    grad=_variation_grad,
    formula=(
        Line(r"d_k = q_k - p_k", _gaps),
        Line(r"s_k = \min(q_k, p_k)", _shared),
        Line(r"\ell = \tfrac{1}{2} \sum_k |d_k| = 1 - \sum_k s_k", _variation_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial q_k} = \tfrac{1}{2} \operatorname{sign}(q_k - p_k)",
    derivation=(
        Line(r"d_k = q_k - p_k, \quad \frac{\partial d_k}{\partial q_k} = 1", _gaps),
        Line(
            r"\frac{\partial |d_k|}{\partial d_k} = \operatorname{sign}(d_k), \quad 0 \text{ at } d_k = 0", _gap_sides
        ),
        Line(
            r"\frac{\partial \ell}{\partial q_k} = \tfrac{1}{2} \cdot \frac{\partial |d_k|}{\partial d_k} \cdot"
            r" \frac{\partial d_k}{\partial q_k} = \tfrac{1}{2} \operatorname{sign}(d_k)",
            _variation_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_PAIRS),
        bounded=yes(_ALL_PAIRS, constant=lambda _: 1.0),
        lipschitz=yes("three classes; half the root of K for K of them", constant=lambda _: math.sqrt(3) / 2),
        smooth=no(_ALL_PAIRS, *_KINK),
        robust=yes(_ONE_HOT, source="Ghosh, Kumar and Sastry (2017), arXiv:1712.09482."),
        symmetric=yes(_SWAP),
        proper=no(
            f"{_ONE_HOT}: all on the likeliest is cheapest",
            _TRUTH,
            {"pred": [[1.0, 0.0, 0.0]], "target": [[1.0, 0.0, 0.0]]},
        ),
        calibrated=yes(_ONE_HOT),
    ),
    pitfalls=(
        "Half the sum of the differences' sizes: without the 1/2 it reaches 2, and some texts mean that.",
        "It does not see how far apart two classes are: moving a share to the next bin costs what moving it to the "
        "last one does.",
        "Where the two have nothing in common it stays at 1 and has no pull towards each other's classes.",
        "In images the name stands for another thing, the sum of differences of neighbouring pixels.",
    ),
    reference="Gibbs and Su (2002), On choosing and bounding probability metrics, "
    "doi:10.1111/j.1751-5823.2002.tb00178.x, arXiv:math/0209021.",
    code=Code(
        pytorch="loss = 0.5 * (pred - target).abs().sum(-1).mean()\n",
        keras=None,
        optax=None,
        note="The mean absolute error of libraries divides by K in place of 2.",
    ),
)


LOSSES: tuple[Loss, ...] = (WASSERSTEIN_1, TOTAL_VARIATION)
