"""Losses between scores and the order that they should give."""

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from lossviz.losses._checks import (
    check_among,
    check_between,
    check_finite,
    check_where,
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
    number_of_rows,
    number_of_values,
    pairs,
    yes,
)

_LISTS = {
    "scores": "score of each item of each list, (N, L)",
    "relevance": "how relevant each item is, the higher the better, (N, L)",
}
_ALL_SCORES = "all real scores"
_ITEMS_PERMUTED = "the items of a list permuted, scores and relevance together"
_WHOLE_LISTS = pairs("the items of a list")
_PAIRS_OF_A_LIST = pairs("every two items of a list that differ in relevance")


def _require_lists(scores: Tensor, relevance: Tensor) -> None:
    require_floating(scores=scores, relevance=relevance)
    require_axes("(N, L)", scores=scores, relevance=relevance)
    require_same_shape(scores=scores, relevance=relevance)


def _check_lists(inputs: Inputs, params: Params) -> None:
    _require_lists(inputs["scores"], inputs["relevance"])
    check_finite(scores=inputs["scores"], relevance=inputs["relevance"])


def _pairs(values: Tensor) -> tuple[Tensor, Tensor]:
    """The value of item i and of item j, to compare at every place (n, i, j)."""
    return values[..., :, None], values[..., None, :]


def _in_order(relevance: Tensor) -> Tensor:
    """(N, L, L): 1 where item i should stand before item j."""
    first, second = _pairs(relevance)
    return (first > second).to(relevance.dtype)


def _differences(*, scores: Tensor, **_: object) -> Tensor:
    first, second = _pairs(scores)
    return first - second


# --- margin ranking


def margin_ranking(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float = 0.0) -> Tensor:
    """Zero once the right one of two scores leads by ``margin``, linear before.

    Args:
        x1: scores of the first items, shape ``(*batch)``.
        x2: scores of the second items, same shape.
        target: which should rank higher, same shape; +1 for the first, -1 for the second.
        margin: the lead that is asked for, in the unit of the scores; 0 or more.

    Returns:
        Loss per pair, shape ``(*batch)``, in the unit of the scores.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Joachims (2002), doi:10.1145/775047.775067.
    """
    _require_two(x1=x1, x2=x2, target=target)
    return relu(margin - target * (x1 - x2))


def _require_two(**tensors: Tensor) -> None:
    require_floating(**tensors)
    require_same_shape(**tensors)


def _margin_ranking_grad(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> dict[str, Tensor]:
    slope = -target * (target * (x1 - x2) < margin).to(x1.dtype)
    return {"x1": slope, "x2": -slope}


def _check_margin_ranking(inputs: Inputs, params: Params) -> None:
    _require_two(**inputs)
    check_finite(x1=inputs["x1"], x2=inputs["x2"])
    check_among("target", inputs["target"], (-1, 1), "-1 or +1")


def _lead(*, x1: Tensor, x2: Tensor, target: Tensor, **_: object) -> Tensor:
    return target * x1 - target * x2


def _margin_ranking_line(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> Tensor:
    return (margin - _lead(x1=x1, x2=x2, target=target)).clamp(min=0)


def _lead_slope(*, x1: Tensor, x2: Tensor, target: Tensor, **_: object) -> Tensor:
    return target


def _margin_ranking_by_lead(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> Tensor:
    return -(_lead(x1=x1, x2=x2, target=target) < margin).to(x1.dtype)


def _margin_ranking_slope(*, x1: Tensor, x2: Tensor, target: Tensor, margin: float) -> Tensor:
    by_lead = _margin_ranking_by_lead(x1=x1, x2=x2, target=target, margin=margin)
    return by_lead * _lead_slope(x1=x1, x2=x2, target=target)


MARGIN_RANKING = Loss(
    key="margin_ranking",
    name="Margin ranking loss",
    name_zh="间隔排序损失",
    family="ranking",
    tasks=("ranking",),
    input_kind="ranking_pairs",
    inputs={
        "x1": "score of the first item, any shape",
        "x2": "score of the second item, the shape of x1",
        "target": "+1 where the first should rank higher, else -1; the shape of x1",
    },
    differentiable=("x1", "x2"),
    fn=margin_ranking,
    denominator=number_of_values,
    check=_check_margin_ranking,
    grad=_margin_ranking_grad,
    formula=(
        Line(r"d = t (x_1 - x_2)", _lead),
        Line(r"\ell = \max(0, m - d)", _margin_ranking_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial x_1} = -t\,[d < m], \quad "
    r"\frac{\partial \ell}{\partial x_2} = t\,[d < m]",
    derivation=(
        Line(r"\frac{\partial d}{\partial x_1} = t", _lead_slope),
        Line(r"\frac{\partial \ell}{\partial d} = -[d < m]", _margin_ranking_by_lead),
        Line(
            r"\frac{\partial \ell}{\partial x_1} = \frac{\partial \ell}{\partial d} \cdot "
            r"\frac{\partial d}{\partial x_1} = -t\,[d < m]",
            _margin_ranking_slope,
        ),
    ),
    params={"margin": Number("The lead that the better item should have.", 0.0, 0.0, 10.0)},
    properties=Properties(
        convex_in_pred=yes(_ALL_SCORES),
        bounded=no(_ALL_SCORES, {"x1": [-1e6], "x2": [0.0], "target": [1.0]}),
        lipschitz=yes(_ALL_SCORES, constant=lambda _: math.sqrt(2)),
        smooth=no(
            _ALL_SCORES,
            {"x1": [-1e-9], "x2": [0.0], "target": [1.0]},
            {"x1": [1e-9], "x2": [0.0], "target": [1.0]},
        ),
        symmetric=yes("the two items change places and the label its sign"),
        scale_invariant=no(_ALL_SCORES, {"x1": [-1.0], "x2": [0.0], "target": [1.0]}),
        needs_pairs=pairs("two items, with a label that says which is better"),
    ),
    pitfalls=(
        "With the default margin of 0 two equal scores cost nothing: a network that ranks nothing is perfect.",
        "Labels are -1 and +1: with 0 the loss is the margin and has no gradient.",
        "Scores may grow or shrink freely together, so the margin means nothing without a limit on their size.",
    ),
    reference="Herbrich, Graepel and Obermayer (2000), Large margin rank boundaries for ordinal regression; "
    "Joachims (2002), Optimizing search engines using clickthrough data, doi:10.1145/775047.775067.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.margin_ranking_loss(x1, x2, target, margin={margin})\n",
        keras=None,
        optax=None,
        note="Exactly at the margin the slope is 0 here; PyTorch may take that of the wrong side.",
    ),
)


# --- RankNet


def ranknet(*, scores: Tensor, relevance: Tensor, sigma: float = 1.0) -> Tensor:
    """Cross-entropy of every pair of a list: the chance that its better item wins is the sigmoid of the lead.

    Args:
        scores: scores, shape ``(N, L)``.
        relevance: how relevant each item is, shape ``(N, L)``; pairs of equal relevance do not count.
        sigma: steepness, one over the unit of the scores; above 0.

    Returns:
        Sum over the pairs of a list, shape ``(N,)``, in nats. The scalar divides by the pairs of all lists together.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Burges et al. (2005), doi:10.1145/1102351.1102363.
    """
    _require_lists(scores, relevance)
    return -(_in_order(relevance) * logsigmoid(sigma * _differences(scores=scores))).sum((-2, -1))


def _number_of_pairs(unreduced: Tensor, inputs: Inputs, params: Params) -> Tensor:
    return _in_order(inputs["relevance"]).sum()


def _pull(scores: Tensor, weight: Tensor, sigma: float) -> Tensor:
    """Gradient of the weighted pairs' logistic losses by score."""
    force = weight * sigma * (-sigma * _differences(scores=scores)).sigmoid()
    return force.sum(-2) - force.sum(-1)


def _ranknet_grad(*, scores: Tensor, relevance: Tensor, sigma: float) -> dict[str, Tensor]:
    return {"scores": _pull(scores, _in_order(relevance), sigma)}


def _check_ranknet(inputs: Inputs, params: Params) -> None:
    _check_lists(inputs, params)
    if not bool(_in_order(inputs["relevance"]).any()):
        raise ValueError(
            "relevance has no two different values in any list, allowed: at least one pair to put in order"
        )


def _pair_losses(*, scores: Tensor, sigma: float, **_: object) -> Tensor:
    difference = _differences(scores=scores)
    return torch.logaddexp(torch.zeros_like(difference), -sigma * difference)


def _ranknet_line(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    losses = _pair_losses(scores=scores, sigma=sigma)
    return losses.where(_in_order(relevance) > 0, torch.zeros_like(losses)).sum((-2, -1))


def _by_difference(*, scores: Tensor, sigma: float, **_: object) -> Tensor:
    return -sigma * (-sigma * _differences(scores=scores)).sigmoid()


def _as_better(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    return (_in_order(relevance) * _by_difference(scores=scores, sigma=sigma)).sum(-1)


def _as_worse(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    return -(_in_order(relevance) * _by_difference(scores=scores, sigma=sigma)).sum(-2)


def _ranknet_slope(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    better = _as_better(scores=scores, relevance=relevance, sigma=sigma)
    return better + _as_worse(scores=scores, relevance=relevance, sigma=sigma)


RANKNET = Loss(
    key="ranknet",
    name="RankNet (pairwise logistic) loss",
    name_zh="RankNet 成对排序损失",
    family="ranking",
    tasks=("ranking",),
    input_kind="rankings",
    inputs=_LISTS,
    differentiable=("scores",),
    fn=ranknet,
    denominator=_number_of_pairs,
    check=_check_ranknet,
    grad=_ranknet_grad,
    formula=(
        Line(r"d_{ij} = s_i - s_j", _differences),
        Line(r"\ell_{ij} = \ln\left(1 + e^{-\sigma d_{ij}}\right)", _pair_losses),
        Line(r"\ell = \sum_{y_i > y_j} \ell_{ij}", _ranknet_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial s_i} = \sigma \left(\sum_{j: y_j > y_i} \frac{1}{1 + e^{\sigma d_{ji}}} - "
    r"\sum_{j: y_i > y_j} \frac{1}{1 + e^{\sigma d_{ij}}}\right)",
    derivation=(
        Line(
            r"\frac{\partial \ell_{ij}}{\partial d_{ij}} = "
            r"\frac{-\sigma\,e^{-\sigma d_{ij}}}{1 + e^{-\sigma d_{ij}}} = -\frac{\sigma}{1 + e^{\sigma d_{ij}}}",
            _by_difference,
        ),
        Line(
            r"\sum_{j: y_i > y_j} \frac{\partial \ell_{ij}}{\partial d_{ij}} \cdot "
            r"\frac{\partial d_{ij}}{\partial s_i} = -\sum_{j: y_i > y_j} \frac{\sigma}{1 + e^{\sigma d_{ij}}}, \quad "
            r"\frac{\partial d_{ij}}{\partial s_i} = 1",
            _as_better,
        ),
        Line(
            r"\sum_{j: y_j > y_i} \frac{\partial \ell_{ji}}{\partial d_{ji}} \cdot "
            r"\frac{\partial d_{ji}}{\partial s_i} = \sum_{j: y_j > y_i} \frac{\sigma}{1 + e^{\sigma d_{ji}}}, \quad "
            r"\frac{\partial d_{ji}}{\partial s_i} = -1",
            _as_worse,
        ),
        Line(
            r"\frac{\partial \ell}{\partial s_i} = \sum_{j: y_i > y_j} \frac{\partial \ell_{ij}}{\partial s_i} + "
            r"\sum_{j: y_j > y_i} \frac{\partial \ell_{ji}}{\partial s_i}",
            _ranknet_slope,
        ),
    ),
    params={"sigma": Number("How steeply the chance to win grows with the lead.", 1.0, 0.01, 100.0, "log")},
    properties=Properties(
        convex_in_pred=yes("all real scores; the mean over the pairs of all lists"),
        bounded=no(_ALL_SCORES, {"scores": [[-1e6, 0.0]], "relevance": [[1.0, 0.0]]}),
        lipschitz=yes(
            "all real scores; the mean over the pairs of all lists", constant=lambda p: math.sqrt(2) * p["sigma"]
        ),
        smooth=yes("all real scores; the mean over the pairs of all lists", constant=lambda p: p["sigma"] ** 2 / 2),
        symmetric=yes(_ITEMS_PERMUTED),
        scale_invariant=no(_ALL_SCORES, {"scores": [[-1.0, 0.0]], "relevance": [[1.0, 0.0]]}),
        needs_pairs=_PAIRS_OF_A_LIST,
    ),
    pitfalls=(
        "The mean goes over the pairs of all lists together, so long lists weigh more; others take a mean per list.",
        "A pair at the end of the list counts as much as one at the top: it does not aim at the first places.",
        "A hand-written max(-d, 0) + log(1 + exp(-|d|)) has a wrong automatic gradient where two scores are equal.",
    ),
    reference="Burges et al. (2005), Learning to rank using gradient descent, doi:10.1145/1102351.1102363.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "lead = scores[:, :, None] - scores[:, None, :]\n"
        "ordered = relevance[:, :, None] > relevance[:, None, :]\n"
        "loss = -F.logsigmoid({sigma} * lead[ordered]).mean()\n",
        keras=None,
        optax=None,
        note="In Rax, pairwise_logistic_loss is the same for one list at sigma = 1.",
    ),
)


# --- ListNet


def listnet(*, scores: Tensor, relevance: Tensor) -> Tensor:
    """Cross-entropy between two answers to "which item comes first?": that of the labels and that of the scores.

    Args:
        scores: scores, shape ``(N, L)``.
        relevance: how relevant each item is, shape ``(N, L)``; its softmax is the truth.

    Returns:
        Loss per list, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Cao et al. (2007), doi:10.1145/1273496.1273513.
    """
    _require_lists(scores, relevance)
    return -(relevance.softmax(-1) * scores.log_softmax(-1)).sum(-1)


def _listnet_grad(*, scores: Tensor, relevance: Tensor) -> dict[str, Tensor]:
    return {"scores": scores.softmax(-1) - relevance.softmax(-1)}


def _truth(*, relevance: Tensor, **_: object) -> Tensor:
    return relevance.softmax(-1)


def _log_sum(*, scores: Tensor, **_: object) -> Tensor:
    return scores.logsumexp(-1)


def _listnet_line(*, scores: Tensor, relevance: Tensor) -> Tensor:
    missing = _log_sum(scores=scores)[..., None] - scores
    return (_truth(relevance=relevance) * missing).sum(-1)


def _log_sum_slope(*, scores: Tensor, **_: object) -> Tensor:
    return (scores - _log_sum(scores=scores)[..., None]).exp()


def _truth_sum(*, relevance: Tensor, **_: object) -> Tensor:
    return _truth(relevance=relevance).sum(-1)


def _listnet_slope(*, scores: Tensor, relevance: Tensor) -> Tensor:
    total = _truth_sum(relevance=relevance)[..., None]
    return total * _log_sum_slope(scores=scores) - _truth(relevance=relevance)


LISTNET = Loss(
    key="listnet",
    name="ListNet (top-one) loss",
    name_zh="ListNet 列表排序损失",
    family="ranking",
    tasks=("ranking",),
    input_kind="rankings",
    inputs=_LISTS,
    differentiable=("scores",),
    fn=listnet,
    denominator=number_of_rows,
    check=_check_lists,
    grad=_listnet_grad,
    formula=(
        Line(r"q_i = \frac{e^{y_i}}{\sum_k e^{y_k}}", _truth),
        Line(r"Z = \ln \sum_k e^{s_k}", _log_sum),
        Line(r"\ell = \sum_i q_i (Z - s_i)", _listnet_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial s_i} = \frac{e^{s_i}}{\sum_k e^{s_k}} - q_i",
    derivation=(
        Line(
            r"\frac{\partial Z}{\partial s_i} = \frac{e^{s_i}}{\sum_k e^{s_k}} = e^{s_i - Z}",
            _log_sum_slope,
        ),
        Line(r"\ell = Z \sum_k q_k - \sum_k q_k s_k, \quad \sum_k q_k = 1", _truth_sum),
        Line(
            r"\frac{\partial \ell}{\partial s_i} = \frac{\partial Z}{\partial s_i} \sum_k q_k - q_i "
            r"= e^{s_i - Z} - q_i",
            _listnet_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_SCORES),
        bounded=no(_ALL_SCORES, {"scores": [[-1e6, 0.0]], "relevance": [[1.0, 0.0]]}),
        lipschitz=yes(_ALL_SCORES, constant=lambda _: math.sqrt(2)),
        smooth=yes(_ALL_SCORES, constant=lambda _: 0.5),
        symmetric=yes(_ITEMS_PERMUTED),
        scale_invariant=no(_ALL_SCORES, {"scores": [[-1.0, 0.0]], "relevance": [[1.0, 0.0]]}),
        needs_pairs=_WHOLE_LISTS,
    ),
    pitfalls=(
        "It is not 0 at the best scores: the entropy of the labels' softmax remains.",
        "The softmax makes the unit of the relevance matter: grades 0 to 4 and 0 to 40 are two different losses.",
        "Optax and Rax take the labels as they are, neither normalised nor through a softmax.",
    ),
    reference="Cao, Qin, Liu, Tsai and Li (2007), Learning to rank: from pairwise approach to listwise approach, "
    "doi:10.1145/1273496.1273513.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.cross_entropy(scores, relevance.softmax(-1))\n",
        keras="import keras\n\n"
        "chances = keras.ops.softmax(relevance)\n"
        "loss = keras.ops.mean(keras.losses.categorical_crossentropy(chances, scores, from_logits=True))\n",
        optax="import jax\nimport optax\n\n"
        "loss = optax.losses.ranking_softmax_loss(scores, jax.nn.softmax(relevance, axis=-1)).mean()\n",
        note="Optax's loss is the same only for labels that went through a softmax.",
    ),
)


# --- ListMLE


def listmle(*, scores: Tensor, relevance: Tensor) -> Tensor:
    """Negative log-likelihood of the right order when items are drawn one by one, by the softmax of their scores.

    Args:
        scores: scores, shape ``(N, L)``.
        relevance: how relevant each item is, shape ``(N, L)``; all different within a list.

    Returns:
        Loss per list, shape ``(N,)``, in nats: the sum over its places.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Xia et al. (2008), doi:10.1145/1390156.1390306.
    """
    _require_lists(scores, relevance)
    return (_rivals(scores, relevance).logsumexp(-1) - scores).sum(-1)


def _rivals(scores: Tensor, relevance: Tensor) -> Tensor:
    """(N, L, L): in row i the scores of item i and of those that come after it, minus infinity for the others."""
    return scores[..., None, :].masked_fill(_in_order(relevance).mT > 0, -math.inf)


def _listmle_grad(*, scores: Tensor, relevance: Tensor) -> dict[str, Tensor]:
    return {"scores": _rivals(scores, relevance).softmax(-1).sum(-2) - 1}


def _check_listmle(inputs: Inputs, params: Params) -> None:
    _check_lists(inputs, params)
    first, second = _pairs(inputs["relevance"])
    allowed = "values that differ within a list, since equal ones leave the order open"
    check_where("relevance", inputs["relevance"], (first == second).sum(-1) == 1, allowed)


def _sorted_scores(*, scores: Tensor, relevance: Tensor) -> Tensor:
    return scores.gather(-1, relevance.argsort(-1, descending=True))


def _remaining(*, scores: Tensor, relevance: Tensor) -> Tensor:
    return _sorted_scores(scores=scores, relevance=relevance).flip(-1).logcumsumexp(-1).flip(-1)


def _listmle_line(*, scores: Tensor, relevance: Tensor) -> Tensor:
    places = _remaining(scores=scores, relevance=relevance) - _sorted_scores(scores=scores, relevance=relevance)
    return places.sum(-1)


def _remaining_slopes(*, scores: Tensor, relevance: Tensor) -> Tensor:
    """(N, L, L): the slope of place k's logarithm by the score that stands at place i."""
    ordered = _sorted_scores(scores=scores, relevance=relevance)[..., None, :]
    shares = ordered - _remaining(scores=scores, relevance=relevance)[..., :, None]
    gone = torch.ones_like(shares, dtype=torch.bool).tril(-1)
    return shares.masked_fill(gone, -math.inf).exp()


def _sorted_slope(*, scores: Tensor, relevance: Tensor) -> Tensor:
    return _remaining_slopes(scores=scores, relevance=relevance).sum(-2) - 1


def _listmle_slope(*, scores: Tensor, relevance: Tensor) -> Tensor:
    place = relevance.argsort(-1, descending=True).argsort(-1)
    return _sorted_slope(scores=scores, relevance=relevance).gather(-1, place)


LISTMLE = Loss(
    key="listmle",
    name="ListMLE (Plackett-Luce) loss",
    name_zh="ListMLE 列表排序损失",
    family="ranking",
    tasks=("ranking",),
    input_kind="rankings",
    inputs=_LISTS,
    differentiable=("scores",),
    fn=listmle,
    denominator=number_of_rows,
    check=_check_listmle,
    grad=_listmle_grad,
    formula=(
        Line(r"s_{(1)}, s_{(2)}, \dots \; \text{ from the most to the least relevant}", _sorted_scores),
        Line(r"Z_k = \ln \sum_{j \ge k} e^{s_{(j)}}", _remaining),
        Line(r"\ell = \sum_k \left(Z_k - s_{(k)}\right)", _listmle_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial s_{(i)}} = \sum_{k \le i} e^{s_{(i)} - Z_k} - 1",
    derivation=(
        Line(
            r"\frac{\partial Z_k}{\partial s_{(i)}} = \frac{e^{s_{(i)}}}{\sum_{j \ge k} e^{s_{(j)}}} = "
            r"e^{s_{(i)} - Z_k}, \quad 0 \text{ for } i < k",
            _remaining_slopes,
        ),
        Line(
            r"\frac{\partial \ell}{\partial s_{(i)}} = \sum_k \left(\frac{\partial Z_k}{\partial s_{(i)}} - "
            r"[k = i]\right) = \sum_{k \le i} e^{s_{(i)} - Z_k} - 1",
            _sorted_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial s_j} = \frac{\partial \ell}{\partial s_{(i)}}, \quad "
            r"i = \text{place of item } j",
            _listmle_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_SCORES),
        bounded=no(_ALL_SCORES, {"scores": [[-1e6, 0.0]], "relevance": [[1.0, 0.0]]}),
        lipschitz=yes("all real scores, lists of 4 items", constant=lambda _: 3 * math.sqrt(2)),
        smooth=yes("all real scores, lists of 4 items", constant=lambda _: 1.5),
        symmetric=yes(_ITEMS_PERMUTED),
        scale_invariant=no(_ALL_SCORES, {"scores": [[-1.0, 0.0]], "relevance": [[1.0, 0.0]]}),
        needs_pairs=_WHOLE_LISTS,
    ),
    pitfalls=(
        "Items of equal relevance have no right order: here they are an error, elsewhere they are shuffled by chance.",
        "It is a sum over places, so long lists weigh more than short ones.",
        "The last places count as much as the first; what a reader sees is the first.",
    ),
    reference="Xia, Liu, Wang, Zhang and Li (2008), Listwise approach to learning to rank, "
    "doi:10.1145/1390156.1390306.",
    code=Code(
        pytorch="ordered = scores.gather(-1, relevance.argsort(-1, descending=True))\n"
        "remaining = ordered.flip(-1).logcumsumexp(-1).flip(-1)\n"
        "loss = (remaining - ordered).sum(-1).mean()\n",
        keras=None,
        optax=None,
        note="In Rax, listmle_loss has the same value, but a wrong gradient where scores are equal.",
    ),
)


# --- LambdaRank


def lambdarank(*, scores: Tensor, relevance: Tensor, sigma: float = 1.0) -> Tensor:
    """RankNet whose pairs weigh what swapping them would change in the list's NDCG: the top of the list counts.

    Args:
        scores: scores, shape ``(N, L)``.
        relevance: how relevant each item is, shape ``(N, L)``; 0 to 100, its gain is ``2**relevance - 1``.
        sigma: steepness, one over the unit of the scores; above 0.

    Returns:
        Loss per list, shape ``(N,)``, in nats; the weights have no gradient. Equal scores rank as they stand.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Burges, Ragno and Le (2006); Wang et al. (2018), doi:10.1145/3269206.3271784.
    """
    _require_lists(scores, relevance)
    weight = _ndcg_changes(scores=scores, relevance=relevance)
    return -(weight * logsigmoid(sigma * _differences(scores=scores))).sum((-2, -1))


def _discounts(ranks: Tensor) -> Tensor:
    return 1 / (1 + ranks).log2()


def _ranks(*, scores: Tensor, **_: object) -> Tensor:
    first, second = _pairs(scores)
    earlier = torch.ones(scores.shape[-1:] * 2, dtype=torch.bool, device=scores.device).tril(-1)
    ahead = (second > first) | ((second == first) & earlier)
    return 1 + ahead.sum(-1).to(scores.dtype)


def _ndcg_changes(*, scores: Tensor, relevance: Tensor, **_: object) -> Tensor:
    """(N, L, L): how much the list's NDCG changes if items i and j swap, where i should stand before j."""
    gains = 2**relevance - 1
    places = torch.arange(1, scores.shape[-1] + 1, dtype=scores.dtype, device=scores.device)
    best = (gains.sort(-1, descending=True).values * _discounts(places)).sum(-1)[..., None, None]
    gain, other_gain = _pairs(gains)
    discount, other_discount = _pairs(_discounts(_ranks(scores=scores)))
    # Without a relevant item there is no pair either: 0 / tiny.
    share = (gain - other_gain).abs() / best.clamp(min=torch.finfo(scores.dtype).tiny)
    return (_in_order(relevance) * share * (discount - other_discount).abs()).detach()


def _lambdarank_grad(*, scores: Tensor, relevance: Tensor, sigma: float) -> dict[str, Tensor]:
    return {"scores": _pull(scores, _ndcg_changes(scores=scores, relevance=relevance), sigma)}


def _check_lambdarank(inputs: Inputs, params: Params) -> None:
    _check_lists(inputs, params)
    check_between("relevance", inputs["relevance"], 0, 100)


def _lambdarank_line(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    weight = _ndcg_changes(scores=scores, relevance=relevance)
    return (weight * _pair_losses(scores=scores, sigma=sigma)).sum((-2, -1))


def _weighted_by_difference(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    """(N, L, L): zero where item i should not stand before item j, as the weights are."""
    return _ndcg_changes(scores=scores, relevance=relevance) * _by_difference(scores=scores, sigma=sigma)


def _weighted_as_better(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    return _weighted_by_difference(scores=scores, relevance=relevance, sigma=sigma).sum(-1)


def _weighted_as_worse(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    return -_weighted_by_difference(scores=scores, relevance=relevance, sigma=sigma).sum(-2)


def _lambdarank_slope(*, scores: Tensor, relevance: Tensor, sigma: float) -> Tensor:
    better = _weighted_as_better(scores=scores, relevance=relevance, sigma=sigma)
    return better + _weighted_as_worse(scores=scores, relevance=relevance, sigma=sigma)


_ITEMS = 4
# The differences of the gains add up to 3 times the best DCG at most: the k-th best gain counts 5 - 2 k times in them,
# and its discount is a third of that or more. No two discounts differ more than the first and the last.
_ALL_WEIGHTS = (_ITEMS - 1) * (1 - 1 / math.log2(1 + _ITEMS))

LAMBDARANK = Loss(
    key="lambdarank",
    name="LambdaRank loss",
    name_zh="LambdaRank 排序损失",
    family="ranking",
    tasks=("ranking",),
    input_kind="rankings",
    inputs=_LISTS,
    differentiable=("scores",),
    fn=lambdarank,
    denominator=number_of_rows,
    check=_check_lambdarank,
    grad=_lambdarank_grad,
    formula=(
        Line(r"r_i = \text{rank of item } i \text{ by score}", _ranks),
        Line(
            r"w_{ij} = \frac{\left|2^{y_i} - 2^{y_j}\right|}{\text{best DCG}} "
            r"\left|\frac{1}{\log_2(1 + r_i)} - \frac{1}{\log_2(1 + r_j)}\right|",
            _ndcg_changes,
        ),
        Line(r"\ell = \sum_{y_i > y_j} w_{ij} \ln\left(1 + e^{-\sigma (s_i - s_j)}\right)", _lambdarank_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial s_i} = \sigma \left(\sum_{j: y_j > y_i} "
    r"\frac{w_{ji}}{1 + e^{\sigma (s_j - s_i)}} - \sum_{j: y_i > y_j} "
    r"\frac{w_{ij}}{1 + e^{\sigma (s_i - s_j)}}\right)",
    derivation=(
        Line(
            r"\lambda_{ij} = w_{ij} \frac{\partial}{\partial s_i} \ln\left(1 + e^{-\sigma (s_i - s_j)}\right) = "
            r"-\frac{\sigma w_{ij}}{1 + e^{\sigma (s_i - s_j)}} \quad "
            r"(w_{ij} \text{ held constant; } 0 \text{ unless } y_i > y_j)",
            _weighted_by_difference,
        ),
        Line(
            r"\sum_{j: y_i > y_j} w_{ij} \frac{\partial}{\partial s_i} \ln\left(1 + e^{-\sigma (s_i - s_j)}\right) = "
            r"\sum_{j: y_i > y_j} \lambda_{ij}",
            _weighted_as_better,
        ),
        Line(
            r"\sum_{j: y_j > y_i} w_{ji} \frac{\partial}{\partial s_i} \ln\left(1 + e^{-\sigma (s_j - s_i)}\right) = "
            r"-\sum_{j: y_j > y_i} \lambda_{ji}",
            _weighted_as_worse,
        ),
        Line(
            r"\frac{\partial \ell}{\partial s_i} = \sum_{j: y_i > y_j} \lambda_{ij} - "
            r"\sum_{j: y_j > y_i} \lambda_{ji}",
            _lambdarank_slope,
        ),
    ),
    params={"sigma": Number("How steeply the chance to win grows with the lead.", 1.0, 0.01, 100.0, "log")},
    properties=Properties(
        convex_in_pred=no(
            "all real scores; the weights jump where two items change places",
            {"scores": [[1.0, 3.0, 0.0]], "relevance": [[2.0, 1.0, 0.0]]},
            {"scores": [[0.0, 3.0, 2.0]], "relevance": [[2.0, 1.0, 0.0]]},
        ),
        bounded=no(_ALL_SCORES, {"scores": [[-1e6, 0.0]], "relevance": [[1.0, 0.0]]}),
        lipschitz=yes(
            "scores of 4 items in a fixed order; where two change places the value itself jumps",
            constant=lambda p: math.sqrt(2) * p["sigma"] * _ALL_WEIGHTS,
        ),
        smooth=no(
            "all real scores; the weights jump where two items change places",
            {"scores": [[1e-9, 0.0, 1.0]], "relevance": [[2.0, 1.0, 0.0]]},
            {"scores": [[-1e-9, 0.0, 1.0]], "relevance": [[2.0, 1.0, 0.0]]},
        ),
        symmetric=yes(_ITEMS_PERMUTED),
        scale_invariant=no(_ALL_SCORES, {"scores": [[-1.0, 0.0]], "relevance": [[1.0, 0.0]]}),
        needs_pairs=_PAIRS_OF_A_LIST,
    ),
    pitfalls=(
        "Its value jumps where two items change places: watch NDCG, not the loss.",
        "Ranks and weights have to be kept out of the gradient; only the logistic part is differentiated.",
        "Libraries differ: allRank takes logarithms to base 2 and sums over the batch, "
        "Rax multiplies by the list's length.",
    ),
    reference="Burges, Ragno and Le (2006), Learning to rank with nonsmooth cost functions; "
    "Wang, Li, Golbandi, Bendersky and Najork (2018), The LambdaLoss framework for ranking metric optimization, "
    "doi:10.1145/3269206.3271784.",
    code=Code(
        pytorch="import torch\n"
        "import torch.nn.functional as F\n\n"
        "gain = 2**relevance - 1\n"
        "rank = scores.argsort(dim=-1, descending=True, stable=True).argsort(-1) + 1\n"
        "discount = 1 / torch.log2(1.0 + rank.to(scores.dtype))\n"
        "place = torch.arange(1, scores.shape[1] + 1).to(scores)\n"
        "best = (gain.sort(-1, descending=True).values / torch.log2(1 + place)).sum(-1)[:, None, None]\n"
        "change = (gain[:, :, None] - gain[:, None, :]).abs() / best.clamp(min=1e-30)\n"
        "weight = change * (discount[:, :, None] - discount[:, None, :]).abs()\n"
        "weight = weight * (relevance[:, :, None] > relevance[:, None, :])\n"
        "lead = scores[:, :, None] - scores[:, None, :]\n"
        "loss = -(weight.detach() * F.logsigmoid({sigma} * lead)).sum((1, 2)).mean()\n",
        keras=None,
        optax=None,
        note="In allRank, lambdaLoss with its lambdaRank_scheme and natural logarithm, divided by the number of lists.",
    ),
)


LOSSES: tuple[Loss, ...] = (MARGIN_RANKING, RANKNET, LISTNET, LISTMLE, LAMBDARANK)
