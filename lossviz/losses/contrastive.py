"""Losses between two views of the same samples."""

import math

import torch
from torch import Tensor
from torch.nn.functional import relu

from lossviz.losses._checks import check_finite, require_rows
from lossviz.losses._embeddings import (
    check_labelled,
    cosine_slopes,
    cosines,
    itself,
    length,
    positives,
    require_labelled,
    through_cosines,
    through_unit,
    unit,
)
from lossviz.losses.entry import (
    Code,
    Flag,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    no,
    number_of_values,
    pairs,
    yes,
)

_VIEWS = {"z1": "embeddings of one view, (N, D)", "z2": "embeddings of the other view, (N, D)"}
_EVERYWHERE = "all real embeddings"
_NOT_ZERO = "embeddings that are not zero"
_SHORT = "all real embeddings; short ones turn fast"
_TWO_VIEWS = pairs("two views of each sample")
_FEW = 5
_TEMPERATURE = "Divides the similarities: the smaller, the more the nearest negatives count."


def _temperature(default: float) -> Number:
    return Number(_TEMPERATURE, default, 1e-3, 10.0, "log")


def _bound(params: Params, negatives: int) -> float:
    """The largest cross-entropy of cosines divided by a temperature."""
    return 2 / params["temperature"] + math.log(1 + negatives)


# --- InfoNCE


def info_nce(*, query: Tensor, positive: Tensor, temperature: float = 0.1, normalize: bool = True) -> Tensor:
    """Which of the rows of ``positive`` belongs to this query? Cross-entropy, with the other rows as wrong answers.

    Args:
        query: embeddings, shape ``(N, D)``.
        positive: embeddings, same shape; row i belongs to query i.
        temperature: divides the similarities; above 0.
        normalize: similarities are cosines; otherwise inner products.

    Returns:
        Loss per query, shape ``(N,)``, in nats, 0 or more.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: van den Oord, Li and Vinyals (2018), arXiv:1807.03748.
    """
    require_rows(query=query, positive=positive)
    logits = _similarities(query=query, positive=positive, temperature=temperature, normalize=normalize)
    return -logits.log_softmax(-1).diagonal()


def _similarities(*, query: Tensor, positive: Tensor, temperature: float, normalize: bool) -> Tensor:
    q, k = (unit(query), unit(positive)) if normalize else (query, positive)
    return q @ k.mT / temperature


def _info_nce_grad(*, query: Tensor, positive: Tensor, temperature: float, normalize: bool) -> dict[str, Tensor]:
    logits = _similarities(query=query, positive=positive, temperature=temperature, normalize=normalize)
    slopes = (logits.softmax(-1) - torch.eye(len(query), dtype=query.dtype, device=query.device)) / temperature
    if not normalize:
        return {"query": slopes @ positive, "positive": slopes.mT @ query}
    return {
        "query": through_unit(query, slopes @ unit(positive)),
        "positive": through_unit(positive, slopes.mT @ unit(query)),
    }


def _check_info_nce(inputs: Inputs, params: Params) -> None:
    query, positive = inputs["query"], inputs["positive"]
    require_rows(query=query, positive=positive)
    check_finite(query=query, positive=positive)


def _info_nce_line(*, query: Tensor, positive: Tensor, temperature: float, normalize: bool) -> Tensor:
    logits = _similarities(query=query, positive=positive, temperature=temperature, normalize=normalize)
    return (logits - logits.diagonal()[:, None]).logsumexp(-1)


def _guesses(*, query: Tensor, positive: Tensor, temperature: float, normalize: bool) -> Tensor:
    return _similarities(query=query, positive=positive, temperature=temperature, normalize=normalize).softmax(-1)


def _info_nce_by_similarity(*, query: Tensor, positive: Tensor, temperature: float, normalize: bool) -> Tensor:
    guesses = _guesses(query=query, positive=positive, temperature=temperature, normalize=normalize)
    return guesses - itself(guesses).to(guesses.dtype)


def _similarity_slopes(*, query: Tensor, positive: Tensor, temperature: float, normalize: bool) -> Tensor:
    slopes = cosine_slopes(query, positive) if normalize else positive.expand(len(query), *positive.shape)
    return slopes / temperature


def _info_nce_slope(*, query: Tensor, positive: Tensor, temperature: float, normalize: bool) -> Tensor:
    by_similarity = _info_nce_by_similarity(
        query=query, positive=positive, temperature=temperature, normalize=normalize
    )
    slopes = _similarity_slopes(query=query, positive=positive, temperature=temperature, normalize=normalize)
    return (by_similarity[:, :, None] * slopes).sum(1)


INFO_NCE = Loss(
    key="info_nce",
    name="InfoNCE (in-batch negatives)",
    name_zh="InfoNCE 对比损失",
    family="contrastive",
    tasks=("similarity", "unsupervised"),
    input_kind="views",
    inputs={"query": "embeddings, (N, D)", "positive": "embeddings, row i belongs to query i, (N, D)"},
    differentiable=("query", "positive"),
    fn=info_nce,
    denominator=number_of_values,
    check=_check_info_nce,
    grad=_info_nce_grad,
    formula=(
        Line(
            r"s_{ij} = \frac{\hat q_i \cdot \hat k_j}{\tau} \quad (\text{inner products: } "
            r"\frac{q_i \cdot k_j}{\tau})",
            _similarities,
        ),
        Line(r"\ell_i = -\ln \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}} = \ln \sum_j e^{s_{ij} - s_{ii}}", _info_nce_line),
    ),
    gradient=r"\frac{\partial \ell_i}{\partial s_{ij}} = p_{ij} - [i = j], \quad "
    r"p_{ij} = \frac{e^{s_{ij}}}{\sum_k e^{s_{ik}}}",
    derivation=(
        Line(
            r"\frac{\partial}{\partial s_{ij}} \ln \sum_k e^{s_{ik}} = \frac{e^{s_{ij}}}{\sum_k e^{s_{ik}}} = p_{ij}",
            _guesses,
        ),
        Line(r"\frac{\partial \ell_i}{\partial s_{ij}} = p_{ij} - [i = j]", _info_nce_by_similarity),
        Line(
            r"\frac{\partial s_{ij}}{\partial q_i} = \frac{1}{\tau \lVert q_i \rVert} "
            r"\left(\hat k_j - (\hat q_i \cdot \hat k_j)\,\hat q_i\right) \quad "
            r"(\text{inner products: } \frac{k_j}{\tau})",
            _similarity_slopes,
        ),
        Line(
            r"\frac{\partial \ell_i}{\partial q_i} = \sum_j \left(p_{ij} - [i = j]\right) "
            r"\frac{\partial s_{ij}}{\partial q_i}",
            _info_nce_slope,
        ),
    ),
    params={
        "temperature": _temperature(0.1),
        "normalize": Flag("Take cosines; otherwise inner products, where the length of the embeddings counts.", True),
    },
    properties=Properties(
        convex_in_pred=no(
            "the queries, as cosines; convex as inner products",
            {"query": [[3.0, 0.1], [0.0, 1.0]], "positive": [[0.0, 1.0], [1.0, 0.0]]},
            {"query": [[-1.0, 0.1], [0.0, 1.0]], "positive": [[0.0, 1.0], [1.0, 0.0]]},
        ),
        bounded=no(
            "inner products; cosines are bounded by 2 / temperature and the logarithm of the batch size",
            {"query": [[100.0], [-100.0]], "positive": [[-1.0], [1.0]]},
            normalize=False,
        ),
        lipschitz=no(_SHORT, {"query": [[1e-8, 0.0], [0.0, 1.0]], "positive": [[0.0, 1.0], [1.0, 0.0]]}),
        smooth=no(
            _SHORT,
            {"query": [[1e-8, 0.0], [0.0, 1.0]], "positive": [[0.0, 1.0], [1.0, 0.0]]},
            {"query": [[2e-8, 0.0], [0.0, 1.0]], "positive": [[0.0, 1.0], [1.0, 0.0]]},
        ),
        symmetric=no(
            "queries and positives exchanged",
            {"query": [[1.0, 0.0], [1.0, 0.1]], "positive": [[0.0, 1.0], [1.0, 0.0]]},
            {"query": [[0.0, 1.0], [1.0, 0.0]], "positive": [[1.0, 0.0], [1.0, 0.1]]},
        ),
        scale_invariant=yes(_NOT_ZERO, normalize=True),
        needs_pairs=pairs("a query and its positive, and the other rows' positives as negatives"),
    ),
    pitfalls=(
        "It looks one way only: CLIP averages it with queries and positives exchanged.",
        "The wrong answers are the other rows, so its value depends on the batch size: N guesses cost ln N.",
        "Two rows of one class in a batch are treated as negatives of each other.",
        "Whether embeddings are normalised inside differs between libraries; done twice it changes nothing, "
        "left out it explodes.",
    ),
    reference="van den Oord, Li and Vinyals (2018), Representation learning with contrastive predictive coding, "
    "arXiv:1807.03748.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "normalize = {normalize}\n"
        "q, k = (F.normalize(query), F.normalize(positive)) if normalize else (query, positive)\n"
        "loss = F.cross_entropy(q @ k.mT / {temperature}, torch.arange(len(q), device=q.device))\n",
        keras=None,
        optax=None,
        note="The package info-nce-pytorch calls the second input positive_key.",
    ),
)


# --- NT-Xent


def nt_xent(*, z1: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
    """Which of the other 2N - 1 embeddings is the other view of this one? SimCLR's cross-entropy of cosines.

    Args:
        z1: embeddings of one view, shape ``(N, D)``.
        z2: embeddings of the other view, same shape; row i shows the same sample.
        temperature: divides the cosines; above 0.

    Returns:
        Loss per embedding, those of ``z1`` first, shape ``(2 N,)``, in nats, 0 or more.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Chen, Kornblith, Norouzi and Hinton (2020), arXiv:2002.05709.
    """
    require_rows(z1=z1, z2=z2)
    log_share = _other_logits(torch.cat([z1, z2]), temperature).log_softmax(-1)
    n = len(z1)
    return -torch.cat([log_share.diagonal(n), log_share.diagonal(-n)])


def _other_logits(z: Tensor, temperature: float) -> Tensor:
    """(N, N): cosines divided by the temperature, minus infinity with itself."""
    return (cosines(z) / temperature).masked_fill(itself(z), -math.inf)


def _nt_xent_grad(*, z1: Tensor, z2: Tensor, temperature: float) -> dict[str, Tensor]:
    both = torch.cat([z1, z2])
    share = _other_logits(both, temperature).softmax(-1)
    partner = torch.eye(len(both), dtype=z1.dtype, device=z1.device).roll(len(z1), 0)
    first, second = through_cosines(both, (share - partner) / temperature).chunk(2)
    return {"z1": first, "z2": second}


def _check_views(inputs: Inputs, params: Params) -> None:
    require_rows(z1=inputs["z1"], z2=inputs["z2"])
    check_finite(z1=inputs["z1"], z2=inputs["z2"])


def _all_cosines(*, z1: Tensor, z2: Tensor, **_: object) -> Tensor:
    return cosines(torch.cat([z1, z2]))


def _positive_cosine(*, z1: Tensor, z2: Tensor, **_: object) -> Tensor:
    return (unit(z1) * unit(z2)).sum(-1).repeat(2)


def _nt_xent_line(*, z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    above = _all_cosines(z1=z1, z2=z2) - _positive_cosine(z1=z1, z2=z2)[:, None]
    return (above / temperature).masked_fill(itself(above), -math.inf).logsumexp(-1)


_BATCH_SLOPE = (
    r"\frac{\partial}{\partial z_i} \sum_k \ell_k = \sum_j \left(g_{ij} + g_{ji}\right) "
    r"\frac{\partial c_{ij}}{\partial z_i}"
)
_COSINE_SLOPE = (
    r"\frac{\partial c_{ij}}{\partial z_i} = \frac{1}{\lVert z_i \rVert} "
    r"\left(\hat z_j - c_{ij} \hat z_i\right)"
)


def _view_shares(*, z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    return _other_logits(torch.cat([z1, z2]), temperature).softmax(-1)


def _nt_xent_by_cosine(*, z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    share = _view_shares(z1=z1, z2=z2, temperature=temperature)
    partner = itself(share).to(share.dtype).roll(len(z1), 0)
    return (share - partner) / temperature


def _view_cosine_slopes(*, z1: Tensor, z2: Tensor, **_: object) -> Tensor:
    return cosine_slopes(z1, torch.cat([z1, z2]))


def _nt_xent_slope(*, z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    by_cosine = _nt_xent_by_cosine(z1=z1, z2=z2, temperature=temperature)
    both = (by_cosine + by_cosine.mT)[: len(z1)]
    return (both[:, :, None] * _view_cosine_slopes(z1=z1, z2=z2)).sum(1)


NT_XENT = Loss(
    key="nt_xent",
    name="NT-Xent (SimCLR)",
    name_zh="NT-Xent（SimCLR）对比损失",
    family="contrastive",
    tasks=("similarity", "unsupervised"),
    input_kind="views",
    inputs=_VIEWS,
    differentiable=("z1", "z2"),
    fn=nt_xent,
    denominator=number_of_values,
    check=_check_views,
    grad=_nt_xent_grad,
    formula=(
        Line(r"c_{ij} = \hat z_i \cdot \hat z_j, \quad z = [z_1; z_2]", _all_cosines),
        Line(r"c_{i+} = \hat z_{1,i} \cdot \hat z_{2,i}", _positive_cosine),
        Line(
            r"\ell_i = -\ln \frac{e^{c_{i+} / \tau}}{\sum_{j \ne i} e^{c_{ij} / \tau}} "
            r"= \ln \sum_{j \ne i} e^{(c_{ij} - c_{i+}) / \tau}",
            _nt_xent_line,
        ),
    ),
    gradient=r"\frac{\partial \ell_i}{\partial c_{ij}} = \frac{1}{\tau} \left(p_{ij} - [j = +]\right), \quad "
    r"p_{ij} = \frac{e^{c_{ij} / \tau}}{\sum_{k \ne i} e^{c_{ik} / \tau}}, \quad j \ne i",
    derivation=(
        Line(
            r"\tau \frac{\partial}{\partial c_{ij}} \ln \sum_{k \ne i} e^{c_{ik} / \tau} = "
            r"\frac{e^{c_{ij} / \tau}}{\sum_{k \ne i} e^{c_{ik} / \tau}} = p_{ij}, \quad p_{ii} = 0",
            _view_shares,
        ),
        Line(
            r"g_{ij} = \frac{\partial \ell_i}{\partial c_{ij}} = \frac{1}{\tau} \left(p_{ij} - [j = +]\right)",
            _nt_xent_by_cosine,
        ),
        Line(_COSINE_SLOPE + r", \quad i \le N", _view_cosine_slopes),
        Line(_BATCH_SLOPE + r", \quad i \le N \ (\text{the rows of } z_1)", _nt_xent_slope),
    ),
    params={"temperature": _temperature(0.5)},
    properties=Properties(
        convex_in_pred=no(
            "the first view",
            {"z1": [[3.0, 0.1], [0.0, 1.0]], "z2": [[0.0, 1.0], [1.0, 0.0]]},
            {"z1": [[-1.0, 0.1], [0.0, 1.0]], "z2": [[0.0, 1.0], [1.0, 0.0]]},
        ),
        bounded=yes(
            f"batches of {_FEW} samples; the bound grows with the logarithm of the batch size",
            constant=lambda p: _bound(p, 2 * _FEW - 2),
        ),
        lipschitz=no(_SHORT, {"z1": [[1e-8, 0.0], [0.0, 1.0]], "z2": [[0.0, 1.0], [1.0, 0.0]]}),
        smooth=no(
            _SHORT,
            {"z1": [[1e-8, 0.0], [0.0, 1.0]], "z2": [[0.0, 1.0], [1.0, 0.0]]},
            {"z1": [[2e-8, 0.0], [0.0, 1.0]], "z2": [[0.0, 1.0], [1.0, 0.0]]},
        ),
        symmetric=yes("the two views exchanged"),
        scale_invariant=yes(_NOT_ZERO),
        needs_pairs=pairs("two views of each sample, and the other samples of the batch as negatives"),
    ),
    pitfalls=(
        "Each embedding's similarity with itself must be left out of the softmax, or it always wins.",
        "The mean is over 2N embeddings, each view being the other's question.",
        "Its value depends on the batch size: collapsed embeddings cost ln(2N - 1).",
        "At a small temperature almost all of the gradient comes from the hardest negatives, false ones included.",
    ),
    reference="Chen, Kornblith, Norouzi and Hinton (2020), A simple framework for contrastive learning of visual "
    "representations, arXiv:2002.05709.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "n = len(z1)\n"
        "z = F.normalize(torch.cat([z1, z2]))\n"
        'logits = (z @ z.mT / {temperature}).fill_diagonal_(float("-inf"))\n'
        "partner = torch.arange(2 * n, device=z.device).roll(n)\n"
        "loss = F.cross_entropy(logits, partner)\n",
        keras=None,
        optax="import jax.numpy as jnp\n"
        "import optax\n\n"
        "z = jnp.concatenate([z1, z2])\n"
        "labels = jnp.tile(jnp.arange(len(z1)), 2)  # which embeddings belong together\n"
        "loss = optax.losses.ntxent(z, labels, temperature={temperature})\n",
        note="Optax's ntxent takes one array of embeddings and labels that say which belong together.",
    ),
)


# --- supervised contrastive


def supcon(*, pred: Tensor, target: Tensor, temperature: float = 0.1) -> Tensor:
    """NT-Xent with labels: all other rows of one's class are right answers, and the mean is outside the logarithm.

    Args:
        pred: embeddings, shape ``(N, D)``; their length does not count.
        target: class index, shape ``(N,)``, int64.
        temperature: divides the cosines; above 0.

    Returns:
        Loss per row, shape ``(N,)``, in nats; 0 for a row that is alone in its class. The scalar is the mean over the
        other rows.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Khosla et al. (2020), arXiv:2004.11362.
    """
    require_labelled(pred=pred, target=target)
    cost = -_other_logits(pred, temperature).log_softmax(-1)
    right = positives(target)
    return cost.where(right, torch.zeros_like(cost)).sum(-1) / right.sum(-1).clamp(min=1)


def _anchors(unreduced: Tensor, inputs: Inputs, params: Params) -> Tensor:
    return positives(inputs["target"]).any(-1).sum()


def _supcon_grad(*, pred: Tensor, target: Tensor, temperature: float) -> dict[str, Tensor]:
    right = positives(target)
    share = _other_logits(pred, temperature).softmax(-1)
    wanted = right / right.sum(-1, keepdim=True).clamp(min=1).to(pred.dtype)
    counts = right.any(-1, keepdim=True).to(pred.dtype)
    return {"pred": through_cosines(pred, (counts * share - wanted) / temperature)}


def _check_supcon(inputs: Inputs, params: Params) -> None:
    check_labelled(pred=inputs["pred"], target=inputs["target"])
    if not bool(positives(inputs["target"]).any()):
        raise ValueError("target has no class with 2 rows, allowed: labels of which one occurs twice or more")


def _row_cosines(*, pred: Tensor, **_: object) -> Tensor:
    return cosines(pred)


def _log_others(*, pred: Tensor, temperature: float, **_: object) -> Tensor:
    return _other_logits(pred, temperature).logsumexp(-1)


def _supcon_line(*, pred: Tensor, target: Tensor, temperature: float) -> Tensor:
    right = positives(target).to(pred.dtype)
    above = _log_others(pred=pred, temperature=temperature)[:, None] - cosines(pred) / temperature
    return (right * above).sum(-1) / right.sum(-1).clamp(min=1)


def _row_shares(*, pred: Tensor, temperature: float, **_: object) -> Tensor:
    log_others = _log_others(pred=pred, temperature=temperature)[:, None]
    return (_other_logits(pred, temperature) - log_others).exp()


def _supcon_by_cosine(*, pred: Tensor, target: Tensor, temperature: float) -> Tensor:
    right = positives(target).to(pred.dtype)
    count = right.sum(-1, keepdim=True)
    pull = count.clamp(max=1) * _row_shares(pred=pred, temperature=temperature)
    return (pull - right / count.clamp(min=1)) / temperature


def _row_cosine_slopes(*, pred: Tensor, **_: object) -> Tensor:
    return cosine_slopes(pred, pred)


def _supcon_slope(*, pred: Tensor, target: Tensor, temperature: float) -> Tensor:
    by_cosine = _supcon_by_cosine(pred=pred, target=target, temperature=temperature)
    both = by_cosine + by_cosine.mT
    return (both[:, :, None] * _row_cosine_slopes(pred=pred)).sum(1)


SUPCON = Loss(
    key="supcon",
    name="Supervised contrastive loss",
    name_zh="监督对比损失",
    family="contrastive",
    tasks=("similarity",),
    input_kind="labelled_embeddings",
    inputs={"pred": "embeddings, (N, D)", "target": "class index, (N,) int64"},
    differentiable=("pred",),
    fn=supcon,
    denominator=_anchors,
    check=_check_supcon,
    grad=_supcon_grad,
    formula=(
        Line(r"c_{ij} = \hat z_i \cdot \hat z_j", _row_cosines),
        Line(r"L_i = \ln \sum_{a \ne i} e^{c_{ia} / \tau}", _log_others),
        Line(
            r"\ell_i = \frac{1}{|P_i|} \sum_{p \in P_i} \left(L_i - \frac{c_{ip}}{\tau}\right), \quad "
            r"P_i = \{p \ne i : y_p = y_i\}",
            _supcon_line,
        ),
    ),
    gradient=r"\frac{\partial \ell_i}{\partial c_{ij}} = \frac{1}{\tau} "
    r"\left(p_{ij} - \frac{[j \in P_i]}{|P_i|}\right), \quad p_{ij} = e^{c_{ij} / \tau - L_i}, \quad j \ne i, \quad "
    r"0 \text{ where } P_i \text{ is empty}",
    derivation=(
        Line(
            r"\tau \frac{\partial L_i}{\partial c_{ij}} = \frac{e^{c_{ij} / \tau}}{\sum_{a \ne i} e^{c_{ia} / \tau}} "
            r"= e^{c_{ij} / \tau - L_i} = p_{ij}, \quad p_{ii} = 0",
            _row_shares,
        ),
        Line(
            r"g_{ij} = \frac{\partial \ell_i}{\partial c_{ij}} = \frac{1}{\tau} "
            r"\left(p_{ij} - \frac{[j \in P_i]}{|P_i|}\right), \quad 0 \text{ where } P_i \text{ is empty}",
            _supcon_by_cosine,
        ),
        Line(_COSINE_SLOPE, _row_cosine_slopes),
        Line(_BATCH_SLOPE, _supcon_slope),
    ),
    params={"temperature": _temperature(0.1)},
    properties=Properties(
        convex_in_pred=no(
            _EVERYWHERE,
            {"pred": [[3.0, 0.1], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
            {"pred": [[-1.0, 0.1], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
        ),
        bounded=yes(
            f"batches of {_FEW} rows; the bound grows with the logarithm of the batch size",
            constant=lambda p: _bound(p, _FEW - 2),
        ),
        lipschitz=no(_SHORT, {"pred": [[1e-8, 0.0], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]}),
        smooth=no(
            _SHORT,
            {"pred": [[1e-8, 0.0], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
            {"pred": [[2e-8, 0.0], [0.0, 1.0], [1.0, 0.0]], "target": [0, 0, 1]},
        ),
        symmetric=yes("the samples permuted, the classes renamed"),
        scale_invariant=yes(_NOT_ZERO),
        needs_pairs=pairs("all pairs of a batch, told apart by the labels of their rows"),
    ),
    pitfalls=(
        "Rows that are alone in their class are left out of the mean; if all are, there is no loss, only an error.",
        "The authors' code multiplies by temperature / base_temperature, which is 1 only where both are 0.07.",
        "The mean over the positives is outside the logarithm; inside it, it is another and worse loss of that paper.",
        "With three rows or more of a class it cannot reach 0: the positives compete with each other.",
    ),
    reference="Khosla et al. (2020), Supervised contrastive learning, arXiv:2004.11362.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "z = F.normalize(pred)\n"
        "alone = torch.eye(len(z), dtype=torch.bool, device=z.device)\n"
        'logits = (z @ z.mT / {temperature}).masked_fill(alone, float("-inf"))\n'
        "right = (target[:, None] == target) & ~alone\n"
        "cost = -logits.log_softmax(-1).masked_fill(~right, 0).sum(-1)\n"
        "anchors = right.any(-1)\n"
        "loss = (cost[anchors] / right.sum(-1)[anchors]).mean()\n",
        keras=None,
        optax=None,
        note="In pytorch-metric-learning it is SupConLoss.",
    ),
)


# --- Barlow Twins


def barlow_twins(*, z1: Tensor, z2: Tensor, lambda_: float = 5e-3, eps: float = 1e-5) -> Tensor:
    """Each feature should agree between the views and tell nothing of the others: correlations towards the identity.

    Args:
        z1: embeddings of one view, shape ``(N, D)``; 2 rows or more.
        z2: embeddings of the other view, same shape.
        lambda_: weight of the correlations between different features; 0 or more.
        eps: added to the (biased) variances, in the unit of ``z1`` squared; above 0.

    Returns:
        The scalar, shape ``()``, without unit: a sum over the ``D x D`` correlations, 0 or more.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch has fewer than 2 rows.

    Reference: Zbontar, Jing, Misra, LeCun and Deny (2021), arXiv:2103.03230.
    """
    _require_batch(z1=z1, z2=z2)
    correlation = _standard(z1, eps).mT @ _standard(z2, eps) / len(z1)
    apart = correlation.diagonal() - 1
    others = _off_diagonal(correlation)
    return apart.square().sum() + lambda_ * others.square().sum()


def _require_batch(*, z1: Tensor, z2: Tensor) -> None:
    require_rows(z1=z1, z2=z2)
    if len(z1) < 2:
        raise ValueError(f"z1 has shape {tuple(z1.shape)}, allowed: (N, D) with 2 rows or more, for their variance")


def _centred(z: Tensor) -> Tensor:
    return z - z.mean(0)


def _deviation(z: Tensor, eps: float) -> Tensor:
    return (_centred(z).square().mean(0) + eps).sqrt()


def _standard(z: Tensor, eps: float) -> Tensor:
    return _centred(z) / _deviation(z, eps)


def _off_diagonal(matrix: Tensor) -> Tensor:
    return matrix.masked_fill(itself(matrix), 0)


def _barlow_twins_grad(*, z1: Tensor, z2: Tensor, lambda_: float, eps: float) -> dict[str, Tensor]:
    a, b = _standard(z1, eps), _standard(z2, eps)
    correlation = a.mT @ b / len(z1)
    slopes = 2 * torch.where(itself(correlation), correlation - 1, lambda_ * correlation) / len(z1)

    def of(z: Tensor, standard: Tensor, slope: Tensor) -> Tensor:
        # Moving all rows alike changes nothing, and the deviation moves along with its feature.
        along = standard * (slope * standard).mean(0)
        return (slope - slope.mean(0) - along) / _deviation(z, eps)

    return {"z1": of(z1, a, b @ slopes.mT), "z2": of(z2, b, a @ slopes)}


def _check_batch(inputs: Inputs, params: Params) -> None:
    _require_batch(z1=inputs["z1"], z2=inputs["z2"])
    check_finite(z1=inputs["z1"], z2=inputs["z2"])


def _deviations(*, z1: Tensor, z2: Tensor, eps: float, **_: object) -> Tensor:
    return torch.stack([(z.var(0, correction=0) + eps).sqrt() for z in (z1, z2)])


def _correlation(*, z1: Tensor, z2: Tensor, eps: float, **_: object) -> Tensor:
    first, second = _deviations(z1=z1, z2=z2, eps=eps)
    return _covariance(z1, z2, len(z1)) / (first[:, None] * second)


def _covariance(z1: Tensor, z2: Tensor, divisor: int) -> Tensor:
    return _centred(z1).mT @ _centred(z2) / divisor


def _barlow_twins_line(*, z1: Tensor, z2: Tensor, lambda_: float, eps: float) -> Tensor:
    correlation = _correlation(z1=z1, z2=z2, eps=eps)
    same = itself(correlation).to(z1.dtype)
    return ((lambda_ + (1 - lambda_) * same) * (correlation - same).square()).sum()


def _by_correlation(*, z1: Tensor, z2: Tensor, lambda_: float, eps: float) -> Tensor:
    correlation = _correlation(z1=z1, z2=z2, eps=eps)
    same = itself(correlation).to(z1.dtype)
    return 2 * (lambda_ + (1 - lambda_) * same) * (correlation - same)


def _by_standard(*, z1: Tensor, z2: Tensor, lambda_: float, eps: float) -> Tensor:
    standard = _centred(z2) / _deviations(z1=z1, z2=z2, eps=eps)[1]
    return standard @ _by_correlation(z1=z1, z2=z2, lambda_=lambda_, eps=eps).mT / len(z1)


def _standard_slopes(*, z1: Tensor, z2: Tensor, eps: float, **_: object) -> Tensor:
    """(D, N, N): for each feature, the slope of the first row's standardised value by the second row's value."""
    deviation = _deviations(z1=z1, z2=z2, eps=eps)[0][:, None, None]
    standard = (_centred(z1) / _deviations(z1=z1, z2=z2, eps=eps)[0]).mT
    rows = torch.eye(len(z1), dtype=z1.dtype, device=z1.device)
    return (rows - (1 + standard[:, :, None] * standard[:, None, :]) / len(z1)) / deviation


def _barlow_twins_slope(*, z1: Tensor, z2: Tensor, lambda_: float, eps: float) -> Tensor:
    by_standard = _by_standard(z1=z1, z2=z2, lambda_=lambda_, eps=eps).mT[:, :, None]
    return (by_standard * _standard_slopes(z1=z1, z2=z2, eps=eps)).sum(1).mT


_FEATURES = 4

# A standardised column is sqrt(N) v / sqrt(|v|^2 + N eps), with the centred column v. It is at most sqrt(N) long, its
# first derivative at most 1 / sqrt(eps), its second at most 2 / sqrt(3) / (sqrt(N) eps). No correlation exceeds 1.
_FIXED_SIZE = f"batches of {_FEW} rows with {_FEATURES} features; the smaller eps, the larger the bound"


def _barlow_twins_pull(params: Params) -> float:
    """The longest slope by a standardised column, times the square root of the number of rows."""
    return 4 + 2 * params["lambda_"] * (_FEATURES - 1)


def _barlow_twins_steepness(params: Params) -> float:
    return math.sqrt(2 * _FEATURES / (_FEW * params["eps"])) * _barlow_twins_pull(params)


def _barlow_twins_bend(params: Params) -> float:
    # Slopes by the columns times their second derivatives, then second derivatives by two columns times their slopes.
    own = 2 / math.sqrt(3) * _barlow_twins_pull(params)
    return (own + 8 + 6 * params["lambda_"] * (_FEATURES - 1)) / (_FEW * params["eps"])


BARLOW_TWINS = Loss(
    key="barlow_twins",
    name="Barlow Twins",
    name_zh="Barlow Twins 冗余约简损失",
    family="contrastive",
    tasks=("unsupervised", "similarity"),
    input_kind="views",
    inputs=_VIEWS,
    differentiable=("z1", "z2"),
    fn=barlow_twins,
    denominator=None,
    check=_check_batch,
    grad=_barlow_twins_grad,
    formula=(
        Line(r"\sigma_{v,j} = \sqrt{\operatorname{var}(z_{v,j}) + \varepsilon}", _deviations),
        Line(
            r"C_{ij} = \frac{1}{N} \sum_n \frac{(z_{1,ni} - \bar z_{1,i}) (z_{2,nj} - \bar z_{2,j})}"
            r"{\sigma_{1,i}\,\sigma_{2,j}}",
            _correlation,
        ),
        Line(r"L = \sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2", _barlow_twins_line),
    ),
    gradient=r"\frac{\partial L}{\partial C_{ii}} = -2 (1 - C_{ii}), \quad "
    r"\frac{\partial L}{\partial C_{ij}} = 2 \lambda C_{ij}, \quad "
    r"\frac{\partial L}{\partial z_1} = \frac{1}{\sigma_1} \left(g - \bar g - "
    r"\hat z_1\,\overline{g\,\hat z_1}\right), \quad "
    r"g = \frac{1}{N}\,\hat z_2 \left(\frac{\partial L}{\partial C}\right)^\top, \quad "
    r"\hat z_v = \frac{z_v - \bar z_v}{\sigma_v}",
    derivation=(
        Line(
            r"\frac{\partial L}{\partial C_{ij}} = \begin{cases} -2 (1 - C_{ii}) & i = j \\ "
            r"2 \lambda C_{ij} & i \ne j \end{cases}",
            _by_correlation,
        ),
        Line(
            r"g_{ni} = \frac{\partial L}{\partial \hat z_{1,ni}} = \sum_j \frac{\partial L}{\partial C_{ij}} \cdot "
            r"\frac{\partial C_{ij}}{\partial \hat z_{1,ni}} = \frac{1}{N} \sum_j "
            r"\frac{\partial L}{\partial C_{ij}}\,\hat z_{2,nj}",
            _by_standard,
        ),
        Line(
            r"\frac{\partial \hat z_{1,mi}}{\partial z_{1,ni}} = \frac{1}{\sigma_{1,i}} \left([m = n] - \frac{1}{N} - "
            r"\frac{\hat z_{1,mi}\,\hat z_{1,ni}}{N}\right)",
            _standard_slopes,
        ),
        Line(
            r"\frac{\partial L}{\partial z_{1,ni}} = \sum_m g_{mi} \frac{\partial \hat z_{1,mi}}{\partial z_{1,ni}} = "
            r"\frac{1}{\sigma_{1,i}} \left(g_{ni} - \bar g_i - \hat z_{1,ni}\,\overline{g_i\,\hat z_{1,i}}\right)",
            _barlow_twins_slope,
        ),
    ),
    params={
        "lambda_": Number("How much correlations between different features cost.", 5e-3, 0.0, 1.0),
        "eps": Number("Added to the variances, so that a dead feature has correlation 0.", 1e-5, 1e-8, 1e-2, "log"),
    },
    properties=Properties(
        convex_in_pred=no(
            "the first view",
            {"z1": [[1.0], [-1.0]], "z2": [[1.0], [-1.0]]},
            {"z1": [[-3.0], [3.0]], "z2": [[1.0], [-1.0]]},
        ),
        bounded=yes(
            f"{_FEATURES} features; the bound grows with their number, and the part weighed by lambda_ with its square",
            constant=lambda p: _FEATURES * (4 + p["lambda_"] * (_FEATURES - 1)),
        ),
        lipschitz=yes(_FIXED_SIZE, constant=_barlow_twins_steepness),
        smooth=yes(_FIXED_SIZE, constant=_barlow_twins_bend),
        symmetric=yes("the two views exchanged"),
        scale_invariant=no(
            "the first view; features that vary by much more than the root of eps hardly notice",
            {"z1": [[1e-3], [-1e-3]], "z2": [[1.0], [-1.0]]},
        ),
        needs_pairs=_TWO_VIEWS,
    ),
    pitfalls=(
        "It divides by the biased deviation, as batch normalisation does; with the unbiased one it never reaches 0.",
        "It is a sum over D x D correlations: the authors scale it by 0.024 or 1/32 to fit their learning rate.",
        "The batch is the statistic: with few rows chance correlations dominate, and the mean of two batches' values "
        "is not the value of both together.",
    ),
    reference="Zbontar, Jing, Misra, LeCun and Deny (2021), Barlow Twins: Self-supervised learning via redundancy "
    "reduction, arXiv:2103.03230.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "a, b = (F.batch_norm(z, None, None, training=True, eps={eps}) for z in (z1, z2))\n"
        "c = a.mT @ b / len(z1)\n"
        "same = torch.eye(len(c), dtype=c.dtype, device=c.device)\n"
        "weight = same + {lambda_} * (1 - same)\n"
        "loss = (weight * (c - same) ** 2).sum()\n",
        keras=None,
        optax=None,
        note="MONAI's BarlowTwinsLoss divides by the unbiased deviation.",
    ),
)


# --- VICReg


def vicreg(
    *, z1: Tensor, z2: Tensor, lambda_: float = 25.0, mu: float = 25.0, nu: float = 1.0, eps: float = 1e-4
) -> Tensor:
    """The views should agree, each feature vary by 1 or more over the batch, and no two features say the same.

    Args:
        z1: embeddings of one view, shape ``(N, D)``; 2 rows or more.
        z2: embeddings of the other view, same shape.
        lambda_: weight of the squared distance between the views; 0 or more.
        mu: weight of what the deviations lack to 1; 0 or more.
        nu: weight of the squared covariances between features; 0 or more.
        eps: added to the (unbiased) variances, in the unit of ``z1`` squared; above 0.

    Returns:
        The scalar, shape ``()``, 0 or more.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch has fewer than 2 rows.

    Reference: Bardes, Ponce and LeCun (2022), arXiv:2105.04906.
    """
    _require_batch(z1=z1, z2=z2)
    apart = (z1 - z2).square().mean()
    narrow = (_lack(z1, eps) + _lack(z2, eps)) / 2
    return lambda_ * apart + mu * narrow + nu * (_redundancy(z1) + _redundancy(z2))


def _spread(z: Tensor, eps: float) -> Tensor:
    """Unbiased standard deviation of each feature, with ``eps`` under the root."""
    return (_centred(z).square().sum(0) / (len(z) - 1) + eps).sqrt()


def _lack(z: Tensor, eps: float) -> Tensor:
    return relu(1 - _spread(z, eps)).mean()


def _redundancy(z: Tensor) -> Tensor:
    return _off_diagonal(_covariance(z, z, len(z) - 1)).square().sum() / z.shape[1]


def _vicreg_grad(*, z1: Tensor, z2: Tensor, lambda_: float, mu: float, nu: float, eps: float) -> dict[str, Tensor]:
    rows, features = z1.shape

    def of_one(z: Tensor) -> Tensor:
        centred, spread = _centred(z), _spread(z, eps)
        narrow = -(spread < 1).to(z.dtype) * centred / (spread * (rows - 1))
        covariance = _off_diagonal(_covariance(z, z, rows - 1))
        return (mu / 2 * narrow + 4 * nu / (rows - 1) * centred @ covariance) / features

    pull = 2 * lambda_ * (z1 - z2) / (rows * features)
    return {"z1": pull + of_one(z1), "z2": -pull + of_one(z2)}


def _apart(*, z1: Tensor, z2: Tensor, **_: object) -> Tensor:
    return (z1.square() - 2 * z1 * z2 + z2.square()).sum() / z1.numel()


def _spreads(*, z1: Tensor, z2: Tensor, eps: float, **_: object) -> Tensor:
    return torch.stack([(z.var(0) + eps).sqrt() for z in (z1, z2)])


def _lacks(*, z1: Tensor, z2: Tensor, eps: float, **_: object) -> Tensor:
    return (1 - _spreads(z1=z1, z2=z2, eps=eps).clamp(max=1)).mean()


def _redundancies(*, z1: Tensor, z2: Tensor, **_: object) -> Tensor:
    covariances = torch.stack([_covariance(z, z, len(z) - 1) for z in (z1, z2)])
    different = 1 - torch.eye(z1.shape[1], dtype=z1.dtype, device=z1.device)
    return (covariances * different).square().sum() / z1.shape[1]


def _vicreg_line(*, z1: Tensor, z2: Tensor, lambda_: float, mu: float, nu: float, eps: float) -> Tensor:
    apart, redundancies = _apart(z1=z1, z2=z2), _redundancies(z1=z1, z2=z2)
    return lambda_ * apart + mu * _lacks(z1=z1, z2=z2, eps=eps) + nu * redundancies


def _apart_slope(*, z1: Tensor, z2: Tensor, **_: object) -> Tensor:
    return 2 * (z1 - z2) / z1.numel()


def _spread_slope(*, z1: Tensor, z2: Tensor, eps: float, **_: object) -> Tensor:
    return _centred(z1) / ((len(z1) - 1) * _spreads(z1=z1, z2=z2, eps=eps)[0])


def _lack_slope(*, z1: Tensor, z2: Tensor, eps: float, **_: object) -> Tensor:
    narrow = (_spreads(z1=z1, z2=z2, eps=eps)[0] < 1).to(z1.dtype)
    return -narrow * _spread_slope(z1=z1, z2=z2, eps=eps) / (2 * z1.shape[1])


def _redundancy_slope(*, z1: Tensor, **_: object) -> Tensor:
    centred, freedom = _centred(z1), len(z1) - 1
    covariance = centred.mT @ centred / freedom
    return 4 * centred @ (covariance - covariance.diagonal().diag_embed()) / (z1.shape[1] * freedom)


def _vicreg_slope(*, z1: Tensor, z2: Tensor, lambda_: float, mu: float, nu: float, eps: float) -> Tensor:
    apart, lack = _apart_slope(z1=z1, z2=z2), _lack_slope(z1=z1, z2=z2, eps=eps)
    return lambda_ * apart + mu * lack + nu * _redundancy_slope(z1=z1)


# Of two rows x and -x: 2 x^2 + eps is 1.
_DEVIATION_1 = math.sqrt((1 - 1e-4) / 2)

VICREG = Loss(
    key="vicreg",
    name="VICReg (variance, invariance, covariance)",
    name_zh="VICReg 方差-不变-协方差损失",
    family="contrastive",
    tasks=("unsupervised", "similarity"),
    input_kind="views",
    inputs=_VIEWS,
    differentiable=("z1", "z2"),
    fn=vicreg,
    denominator=None,
    check=_check_batch,
    grad=_vicreg_grad,
    formula=(
        Line(r"A = \frac{1}{N D} \sum_{n,j} (z_{1,nj} - z_{2,nj})^2", _apart),
        Line(r"\sigma_{v,j} = \sqrt{\operatorname{var}_{N-1}(z_{v,j}) + \varepsilon}", _spreads),
        Line(r"V = \frac{1}{2 D} \sum_{v,j} \max(0, 1 - \sigma_{v,j})", _lacks),
        Line(
            r"K = \frac{1}{D} \sum_v \sum_{i \ne j} \operatorname{cov}_{N-1}(z_{v,i}, z_{v,j})^2",
            _redundancies,
        ),
        Line(r"L = \lambda A + \mu V + \nu K", _vicreg_line),
    ),
    gradient=r"\frac{\partial L}{\partial z_1} = \frac{2 \lambda}{N D} (z_1 - z_2) - \frac{\mu}{2 D (N - 1)} "
    r"\frac{z_1 - \bar z_1}{\sigma_1}\,[\sigma_1 < 1] + \frac{4 \nu}{D (N - 1)} (z_1 - \bar z_1)\,"
    r"\operatorname{off}(\operatorname{cov}(z_1))",
    derivation=(
        Line(r"\frac{\partial A}{\partial z_1} = \frac{2}{N D} (z_1 - z_2)", _apart_slope),
        Line(
            r"\frac{\partial \sigma_{1,j}}{\partial z_{1,nj}} = \frac{1}{2 \sigma_{1,j}} \cdot "
            r"\frac{2 (z_{1,nj} - \bar z_{1,j})}{N - 1} = \frac{z_{1,nj} - \bar z_{1,j}}{(N - 1)\,\sigma_{1,j}}",
            _spread_slope,
        ),
        Line(
            r"\frac{\partial V}{\partial z_{1,nj}} = -\frac{1}{2 D}\,[\sigma_{1,j} < 1]\,"
            r"\frac{\partial \sigma_{1,j}}{\partial z_{1,nj}}",
            _lack_slope,
        ),
        Line(
            r"\frac{\partial K}{\partial z_{1,nj}} = \frac{1}{D} \sum_{i \ne j} 2 \cdot 2 \operatorname{cov}_{N-1}"
            r"(z_{1,i}, z_{1,j}) \frac{z_{1,ni} - \bar z_{1,i}}{N - 1}",
            _redundancy_slope,
        ),
        Line(
            r"\frac{\partial L}{\partial z_1} = \lambda \frac{\partial A}{\partial z_1} + "
            r"\mu \frac{\partial V}{\partial z_1} + \nu \frac{\partial K}{\partial z_1}",
            _vicreg_slope,
        ),
    ),
    params={
        "lambda_": Number("How much the distance between the views costs.", 25.0, 0.0, 100.0),
        "mu": Number("How much a feature that varies too little costs.", 25.0, 0.0, 100.0),
        "nu": Number("How much covariances between features cost.", 1.0, 0.0, 100.0),
        "eps": Number("Added to the variances under the root.", 1e-4, 1e-8, 1e-2, "log"),
    },
    properties=Properties(
        convex_in_pred=no(
            "the first view; a collapsed batch lies between two spread ones",
            {"z1": [[1.0], [-1.0]], "z2": [[1.0], [-1.0]]},
            {"z1": [[-1.0], [1.0]], "z2": [[1.0], [-1.0]]},
            lambda_=0.0,
        ),
        bounded=no(_EVERYWHERE, {"z1": [[100.0], [-100.0]], "z2": [[0.0], [0.0]]}),
        lipschitz=no(_EVERYWHERE, {"z1": [[1e6], [-1e6]], "z2": [[0.0], [0.0]]}),
        smooth=no(
            "all real embeddings: a feature has a kink at deviation 1, and the covariances bend without bound",
            {"z1": [[_DEVIATION_1 - 1e-9], [-_DEVIATION_1]], "z2": [[1.0], [-1.0]]},
            {"z1": [[_DEVIATION_1 + 1e-9], [-_DEVIATION_1]], "z2": [[1.0], [-1.0]]},
        ),
        symmetric=yes("the two views exchanged"),
        scale_invariant=no(_EVERYWHERE, {"z1": [[1.0], [-1.0]], "z2": [[1.0], [-1.0]]}),
        needs_pairs=_TWO_VIEWS,
    ),
    pitfalls=(
        "The variance term is halved in the authors' code and not in their paper.",
        "Variances are unbiased here, divided by N - 1; in Barlow Twins they are biased.",
        "The covariances grow with the fourth power of the embeddings' size: long embeddings make nu the largest term.",
        "Embeddings collapsed to one point have the gradient 0 in the variance term: it keeps from collapse, "
        "it does not lead out of it.",
    ),
    reference="Bardes, Ponce and LeCun (2022), VICReg: Variance-invariance-covariance regularization for "
    "self-supervised learning, arXiv:2105.04906.",
    code=Code(
        pytorch="import torch\nimport torch.nn.functional as F\n\n"
        "different = 1 - torch.eye(z1.shape[1], dtype=z1.dtype, device=z1.device)\n"
        "loss = {lambda_} * F.mse_loss(z1, z2)\n"
        "for z in (z1, z2):\n"
        "    loss = loss + {mu} * torch.relu(1 - (z.var(0) + {eps}).sqrt()).mean() / 2\n"
        "    loss = loss + {nu} * ((different * torch.cov(z.mT)) ** 2).sum() / z.shape[1]\n",
        keras=None,
        optax=None,
        note="In lightly it is VICRegLoss.",
    ),
)


# --- negative cosine


def negative_cosine(*, p: Tensor, z: Tensor) -> Tensor:
    """Minus the cosine, with the second vector held still: SimSiam's and BYOL's loss, which needs no negatives.

    Args:
        p: outputs of the predictor, shape ``(N, D)``.
        z: outputs of the projector for the other view, same shape; no gradient flows into it.

    Returns:
        Loss per row, shape ``(N,)``, from -1 (same direction) to 1 (opposite), without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Chen and He (2021), arXiv:2011.10566.
    """
    require_rows(p=p, z=z)
    return -(unit(p) * unit(z.detach())).sum(-1)


def _negative_cosine_grad(*, p: Tensor, z: Tensor) -> dict[str, Tensor]:
    return {"p": through_unit(p, -unit(z))}


def _check_negative_cosine(inputs: Inputs, params: Params) -> None:
    require_rows(p=inputs["p"], z=inputs["z"])
    check_finite(p=inputs["p"], z=inputs["z"])


def _inner(*, p: Tensor, z: Tensor) -> Tensor:
    return (p * z).sum(-1)


def _negative_cosine_line(*, p: Tensor, z: Tensor) -> Tensor:
    return -_inner(p=p, z=z) / (length(p) * length(z))[:, 0]


def _inner_slope(*, p: Tensor, z: Tensor) -> Tensor:
    return z


def _predictor_direction(*, p: Tensor, z: Tensor) -> Tensor:
    return unit(p)


def _negative_cosine_slope(*, p: Tensor, z: Tensor) -> Tensor:
    lengths = length(p) * length(z)
    along = _inner(p=p, z=z)[:, None] / (lengths * length(p)) * _predictor_direction(p=p, z=z)
    return along - _inner_slope(p=p, z=z) / lengths


NEGATIVE_COSINE = Loss(
    key="negative_cosine",
    name="Negative cosine similarity (SimSiam, BYOL)",
    name_zh="负余弦相似度",
    family="contrastive",
    tasks=("unsupervised", "similarity"),
    input_kind="views",
    inputs={"p": "outputs of the predictor, (N, D)", "z": "outputs of the projector, held still, (N, D)"},
    differentiable=("p",),
    fn=negative_cosine,
    denominator=number_of_values,
    check=_check_negative_cosine,
    grad=_negative_cosine_grad,
    formula=(
        Line(r"a = p \cdot z", _inner),
        Line(r"\ell = -\frac{a}{\lVert p \rVert\,\lVert z \rVert}", _negative_cosine_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p} = -\frac{1}{\lVert p \rVert} "
    r"\left(\hat z - (\hat p \cdot \hat z)\,\hat p\right), \quad \frac{\partial \ell}{\partial z} := 0",
    derivation=(
        Line(r"\frac{\partial a}{\partial p} = z, \quad z \text{ held constant}", _inner_slope),
        Line(
            r"\frac{\partial \lVert p \rVert}{\partial p} = \frac{p}{\lVert p \rVert} = \hat p",
            _predictor_direction,
        ),
        Line(
            r"\frac{\partial \ell}{\partial p} = -\frac{1}{\lVert p \rVert\,\lVert z \rVert} "
            r"\frac{\partial a}{\partial p} + \frac{a}{\lVert p \rVert^2\,\lVert z \rVert} "
            r"\frac{\partial \lVert p \rVert}{\partial p} = -\frac{1}{\lVert p \rVert} "
            r"\left(\hat z - (\hat p \cdot \hat z)\,\hat p\right)",
            _negative_cosine_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=no(
            "p, for a fixed z", {"p": [[3.0, 0.1]], "z": [[-1.0, 0.0]]}, {"p": [[-1.0, 0.1]], "z": [[-1.0, 0.0]]}
        ),
        bounded=yes(_EVERYWHERE, constant=lambda _: 1.0),
        lipschitz=no(_SHORT, {"p": [[1e-6, 0.0]], "z": [[0.0, 1.0]]}),
        smooth=no(_SHORT, {"p": [[1e-6, 0.0]], "z": [[0.0, 1.0]]}, {"p": [[2e-6, 0.0]], "z": [[0.0, 1.0]]}),
        symmetric=yes("the two exchanged; the value alone, since the second has no gradient"),
        scale_invariant=yes(_NOT_ZERO),
        needs_pairs=_TWO_VIEWS,
    ),
    pitfalls=(
        "The second vector has to be detached exactly once, in the caller or in the loss; "
        "without it the embeddings collapse to a point.",
        "BYOL writes 2 - 2 cos, which is this twice plus 2.",
        "SimSiam averages it over both directions, each view being predicted from the other.",
        "It is at its best at -1, so a falling curve does not end at 0.",
    ),
    reference="Chen and He (2021), Exploring simple Siamese representation learning, arXiv:2011.10566.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = -F.cosine_similarity(p, z.detach(), dim=-1).mean()\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.cosine_similarity(keras.ops.stop_gradient(z), p))\n",
        optax="import jax\nimport optax\n\n"
        "loss = -optax.losses.cosine_similarity(p, jax.lax.stop_gradient(z), epsilon=1e-16).mean()\n",
        note="Keras's cosine_similarity is minus the cosine; that of Optax is the cosine.",
    ),
)


LOSSES: tuple[Loss, ...] = (INFO_NCE, NT_XENT, SUPCON, BARLOW_TWINS, VICREG, NEGATIVE_COSINE)
