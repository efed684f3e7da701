"""Penalties that push weights or activations to zero, and the choice of few samples."""

import math
from collections import Counter
from itertools import chain

import torch
from torch import Tensor

from lossviz.losses._checks import check_between, check_finite, check_where, require_axes, require_floating
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Code,
    Flag,
    Groups,
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

_WEIGHTS = "all real weights"
_KINK = ({"w": [-1e-9]}, {"w": [1e-9]})


def _total(unreduced: Tensor, inputs: Inputs, params: Params) -> float:
    """Penalties are added up, not averaged."""
    return 1.0


def _check_weights(inputs: Inputs, params: Params) -> None:
    require_floating(w=inputs["w"])
    check_finite(w=inputs["w"])


def _size(*, w: Tensor, **_: object) -> Tensor:
    return w.maximum(-w)


# --- L1


def l1_penalty(*, w: Tensor, lambda_: float = 0.01) -> Tensor:
    """The sum of the weights' sizes: every weight is pulled to zero with the same force, however small it is.

    Args:
        w: weights, any shape.
        lambda_: strength of the pull; 0 or more.

    Returns:
        Penalty per weight, the shape of ``w``; their sum is the loss.

    Raises:
        ValueError: the dtype does not fit, or there is no weight.

    Reference: Tibshirani (1996), doi:10.1111/j.2517-6161.1996.tb02080.x.
    """
    require_floating(w=w)
    return lambda_ * w.abs()


def _l1_grad(*, w: Tensor, lambda_: float) -> dict[str, Tensor]:
    return {"w": lambda_ * w.sign()}


def _l1_line(*, w: Tensor, lambda_: float) -> Tensor:
    return lambda_ * _size(w=w)


def _size_slope(*, w: Tensor, **_: object) -> Tensor:
    return (w > 0).to(w.dtype) - (w < 0).to(w.dtype)


def _strength(*, w: Tensor, lambda_: float) -> Tensor:
    return torch.full_like(w, lambda_)


def _l1_slope(*, w: Tensor, lambda_: float) -> Tensor:
    return _strength(w=w, lambda_=lambda_) * _size_slope(w=w)


L1_PENALTY = Loss(
    key="l1_penalty",
    name="L1 penalty (lasso)",
    name_zh="L1 惩罚（套索）",
    family="sparse",
    tasks=("sparse",),
    input_kind="parameters",
    inputs={"w": "weights, any shape"},
    differentiable=("w",),
    fn=l1_penalty,
    denominator=_total,
    check=_check_weights,
    grad=_l1_grad,
    formula=(
        Line(r"a_i = |w_i|", _size),
        Line(r"t_i = \lambda\, a_i, \quad \ell = \sum_i t_i", _l1_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial w_i} = \lambda \operatorname{sign}(w_i), \quad 0 \text{ at } 0",
    derivation=(
        Line(r"\frac{\partial a_i}{\partial w_i} = \operatorname{sign}(w_i), \quad 0 \text{ at } 0", _size_slope),
        Line(r"\frac{\partial t_i}{\partial a_i} = \lambda", _strength),
        Line(
            r"\frac{\partial \ell}{\partial w_i} = \frac{\partial t_i}{\partial a_i} \cdot"
            r" \frac{\partial a_i}{\partial w_i} = \lambda \operatorname{sign}(w_i)",
            _l1_slope,
        ),
    ),
    params={"lambda_": Number("Strength of the pull.", 0.01, 0.0, 10.0)},
    properties=Properties(
        convex_in_pred=yes(_WEIGHTS),
        bounded=no(_WEIGHTS, {"w": [1e6]}),
        lipschitz=yes("a single weight", constant=lambda p: p["lambda_"]),
        smooth=no(_WEIGHTS, *_KINK),
        symmetric=yes("a weight changes sign"),
        scale_invariant=no(_WEIGHTS, {"w": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "Gradient steps jump over zero and back: weights become small but not exactly 0; a proximal step "
        "(soft thresholding) makes them 0.",
        "It is a sum: with a mean over the weights the same strength is far weaker in a large layer.",
        "Large weights that are needed are shrunk as much as those that are not, which biases them.",
    ),
    reference="Tibshirani (1996), Regression shrinkage and selection via the lasso, "
    "doi:10.1111/j.2517-6161.1996.tb02080.x.",
    code=Code(
        pytorch="loss = {lambda_} * w.abs().sum()\n",
        keras="import keras\n\nloss = keras.regularizers.L1({lambda_})(w)\n",
        optax=None,
        note="PyTorch's optimisers have no L1 decay; add the penalty to the loss.",
    ),
)


# --- L2


def l2_penalty(*, w: Tensor, lambda_: float = 0.01) -> Tensor:
    """The sum of the squared weights: large weights are pulled to zero hard, small ones hardly at all.

    Args:
        w: weights, any shape.
        lambda_: strength of the pull; 0 or more. There is no factor 1/2.

    Returns:
        Penalty per weight, the shape of ``w``; their sum is the loss.

    Raises:
        ValueError: the dtype does not fit, or there is no weight.

    Reference: Hoerl and Kennard (1970), doi:10.1080/00401706.1970.10488634.
    """
    require_floating(w=w)
    return lambda_ * w.square()


def _l2_grad(*, w: Tensor, lambda_: float) -> dict[str, Tensor]:
    return {"w": 2 * lambda_ * w}


def _square(*, w: Tensor, **_: object) -> Tensor:
    return w * w


def _l2_line(*, w: Tensor, lambda_: float) -> Tensor:
    return lambda_ * _square(w=w)


def _square_slope(*, w: Tensor, **_: object) -> Tensor:
    return w + w


def _l2_slope(*, w: Tensor, lambda_: float) -> Tensor:
    return _strength(w=w, lambda_=lambda_) * _square_slope(w=w)


L2_PENALTY = Loss(
    key="l2_penalty",
    name="L2 penalty (ridge, weight decay)",
    name_zh="L2 惩罚（岭、权重衰减）",
    family="sparse",
    tasks=("sparse",),
    input_kind="parameters",
    inputs={"w": "weights, any shape"},
    differentiable=("w",),
    fn=l2_penalty,
    denominator=_total,
    check=_check_weights,
    grad=_l2_grad,
    formula=(
        Line(r"a_i = w_i^2", _square),
        Line(r"t_i = \lambda\, a_i, \quad \ell = \sum_i t_i", _l2_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial w_i} = 2 \lambda\, w_i",
    derivation=(
        Line(r"\frac{\partial a_i}{\partial w_i} = 2 w_i", _square_slope),
        Line(r"\frac{\partial t_i}{\partial a_i} = \lambda", _strength),
        Line(
            r"\frac{\partial \ell}{\partial w_i} = \frac{\partial t_i}{\partial a_i} \cdot"
            r" \frac{\partial a_i}{\partial w_i} = 2 \lambda\, w_i",
            _l2_slope,
        ),
    ),
    params={"lambda_": Number("Strength of the pull.", 0.01, 0.0, 10.0)},
    properties=Properties(
        convex_in_pred=yes(_WEIGHTS),
        bounded=no(_WEIGHTS, {"w": [1e6]}),
        lipschitz=no(_WEIGHTS, {"w": [1e8]}),
        smooth=yes(_WEIGHTS, constant=lambda p: 2 * p["lambda_"]),
        symmetric=yes("a weight changes sign"),
        scale_invariant=no(_WEIGHTS, {"w": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "There is no 1/2 here, as in Keras and scikit-learn's Ridge; with one, as in much theory and in this "
        "catalogue's elastic net, the same strength pulls half as hard.",
        "PyTorch's SGD adds weight_decay times the weight to the gradient: weight_decay = 2 * lambda_ does the same.",
        "With Adam a penalty in the loss is not weight decay: its gradient is divided by the running size of all "
        "gradients, while AdamW shrinks the weights outside of that.",
        "It makes weights small, not zero: the pull fades with the weight.",
        "Biases and the scales of normalisation layers are mostly left out.",
    ),
    reference="Hoerl and Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems, "
    "doi:10.1080/00401706.1970.10488634.",
    code=Code(
        pytorch="loss = {lambda_} * w.square().sum()\n",
        keras="import keras\n\nloss = keras.regularizers.L2({lambda_})(w)\n",
        optax=None,
        note="Optax's add_decayed_weights changes the update, not the loss.",
    ),
)


# --- elastic net


def elastic_net(*, w: Tensor, alpha: float = 1.0, l1_ratio: float = 0.5) -> Tensor:
    """A mix of the L1 penalty and half the squared weights: sparse, and shared among weights that do the same.

    Args:
        w: weights, any shape.
        alpha: strength of both; 0 or more.
        l1_ratio: share of the L1 penalty, 0 to 1.

    Returns:
        Penalty per weight, the shape of ``w``; their sum is the loss.

    Raises:
        ValueError: the dtype does not fit, or there is no weight.

    Reference: Zou and Hastie (2005), doi:10.1111/j.1467-9868.2005.00503.x.
    """
    require_floating(w=w)
    return alpha * (l1_ratio * w.abs() + (1 - l1_ratio) / 2 * w**2)


def _elastic_grad(*, w: Tensor, alpha: float, l1_ratio: float) -> dict[str, Tensor]:
    return {"w": alpha * (l1_ratio * w.sign() + (1 - l1_ratio) * w)}


def _half_square(*, w: Tensor, **_: object) -> Tensor:
    return 0.5 * w * w


def _elastic_line(*, w: Tensor, alpha: float, l1_ratio: float) -> Tensor:
    return alpha * l1_ratio * _size(w=w) + alpha * (1 - l1_ratio) * _half_square(w=w)


def _half_square_slope(*, w: Tensor, **_: object) -> Tensor:
    return w


def _elastic_slope(*, w: Tensor, alpha: float, l1_ratio: float) -> Tensor:
    return alpha * l1_ratio * _size_slope(w=w) + alpha * (1 - l1_ratio) * _half_square_slope(w=w)


ELASTIC_NET = Loss(
    key="elastic_net",
    name="Elastic net",
    name_zh="弹性网惩罚",
    family="sparse",
    tasks=("sparse",),
    input_kind="parameters",
    inputs={"w": "weights, any shape"},
    differentiable=("w",),
    fn=elastic_net,
    denominator=_total,
    check=_check_weights,
    grad=_elastic_grad,
    formula=(
        Line(r"a_i = |w_i|", _size),
        Line(r"b_i = \tfrac{1}{2} w_i^2", _half_square),
        Line(r"t_i = \alpha \rho\, a_i + \alpha (1 - \rho)\, b_i, \quad \ell = \sum_i t_i", _elastic_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial w_i} = \alpha \left(\rho \operatorname{sign}(w_i) + (1 - \rho) w_i\right)",
    derivation=(
        Line(r"\frac{\partial a_i}{\partial w_i} = \operatorname{sign}(w_i), \quad 0 \text{ at } 0", _size_slope),
        Line(r"\frac{\partial b_i}{\partial w_i} = w_i", _half_square_slope),
        Line(
            r"\frac{\partial \ell}{\partial w_i} = \alpha \rho \frac{\partial a_i}{\partial w_i}"
            r" + \alpha (1 - \rho) \frac{\partial b_i}{\partial w_i}"
            r" = \alpha \left(\rho \operatorname{sign}(w_i) + (1 - \rho) w_i\right)",
            _elastic_slope,
        ),
    ),
    params={
        "alpha": Number("Strength of both penalties.", 1.0, 0.0, 10.0),
        "l1_ratio": Number("Share of the L1 penalty.", 0.5, 0.0, 1.0),
    },
    properties=Properties(
        convex_in_pred=yes(_WEIGHTS),
        bounded=no(_WEIGHTS, {"w": [1e6]}),
        lipschitz=no("all real weights; a pure L1 penalty is Lipschitz", {"w": [1e6]}),
        smooth=no("all real weights; smooth at l1_ratio = 0 alone", *_KINK),
        symmetric=yes("a weight changes sign"),
        scale_invariant=no(_WEIGHTS, {"w": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The squared part has a factor 1/2, as in scikit-learn and glmnet; Keras has none.",
        "In the article alpha is the mix; here, as in scikit-learn, it is the strength.",
        "Gradient steps give small weights but no exact zeros.",
    ),
    reference="Zou and Hastie (2005), Regularization and variable selection via the elastic net, "
    "doi:10.1111/j.1467-9868.2005.00503.x.",
    code=Code(
        pytorch="loss = {alpha} * ({l1_ratio} * w.abs().sum() + 0.5 * (1 - {l1_ratio}) * (w**2).sum())\n",
        keras="import keras\n\n"
        "loss = keras.regularizers.L1L2(l1={alpha} * {l1_ratio}, l2={alpha} * (1 - {l1_ratio}) / 2)(w)\n",
        optax=None,
        note="Keras takes the two strengths separately, and its squared part has no 1/2.",
    ),
)


# --- group lasso


def group_lasso(
    *, w: Tensor, lambda_: float = 0.01, groups: list[list[int]] | None = None, sqrt_size: bool = True
) -> Tensor:
    """The length of each group of weights: whole groups go to zero together.

    Args:
        w: weights, shape ``(D,)``.
        lambda_: strength of the pull; 0 or more.
        groups: indices of the weights in each group; a weight in no group is free. ``None``: one group of all.
        sqrt_size: whether each length is multiplied by the root of the group's size, so that large groups get no
            advantage.

    Returns:
        Penalty per group, shape ``(G,)``; their sum is the loss.

    Raises:
        ValueError: shape or dtype do not fit, there is no weight, or an index is too large or used twice.

    Reference: Yuan and Lin (2006), doi:10.1111/j.1467-9868.2005.00532.x.
    """
    members = _members(w, groups)
    lengths = torch.stack([_length(w[group]) for group in members])
    return lambda_ * lengths * _group_factors(w, members, sqrt_size)


def _members(w: Tensor, groups: list[list[int]] | None) -> list[list[int]]:
    require_floating(w=w)
    require_axes("(D,)", w=w)
    if groups is None:
        return [list(range(w.shape[0]))]
    for index, times in Counter(chain.from_iterable(groups)).items():
        if index >= w.shape[0]:
            raise ValueError(f"groups holds the index {index}, allowed: 0 to {w.shape[0] - 1}")
        if times > 1:
            raise ValueError(f"groups holds the index {index} {times} times, allowed: once at most")
    return groups


def _length(x: Tensor) -> Tensor:
    # torch.dist has the slope 0 at 0, a written-out square root NaN.
    return torch.dist(x, torch.zeros_like(x))


def _group_factors(w: Tensor, members: list[list[int]], sqrt_size: bool) -> Tensor:
    return w.new_tensor([math.sqrt(len(group)) if sqrt_size else 1.0 for group in members])


def _group_grad(*, w: Tensor, lambda_: float, groups: list[list[int]] | None, sqrt_size: bool) -> dict[str, Tensor]:
    members = _members(w, groups)
    slope = torch.zeros_like(w)
    for group, factor in zip(members, _group_factors(w, members, sqrt_size), strict=True):
        length = _length(w[group])
        direction = torch.where(length > 0, w[group] / length, torch.zeros_like(w[group]))
        slope = slope.index_add(0, torch.tensor(group, device=w.device), lambda_ * factor * direction)
    return {"w": slope}


def _check_groups(inputs: Inputs, params: Params) -> None:
    _members(inputs["w"], params["groups"])
    check_finite(w=inputs["w"])


def _group_sizes(*, w: Tensor, groups: list[list[int]] | None, **_: object) -> Tensor:
    return w.new_tensor([len(group) for group in _members(w, groups)])


def _group_lengths(*, w: Tensor, groups: list[list[int]] | None, **_: object) -> Tensor:
    return torch.stack([(w[group] ** 2).sum() for group in _members(w, groups)]).sqrt()


def _group_line(*, w: Tensor, lambda_: float, groups: list[list[int]] | None, sqrt_size: bool) -> Tensor:
    lengths = _group_lengths(w=w, groups=groups)
    return lambda_ * lengths * (_group_sizes(w=w, groups=groups).sqrt() if sqrt_size else 1.0)


def _length_by_square(*, w: Tensor, groups: list[list[int]] | None, **_: object) -> Tensor:
    lengths = _group_lengths(w=w, groups=groups)
    return torch.where(lengths > 0, 0.5 / lengths, torch.zeros_like(lengths))


def _length_by_weight(*, w: Tensor, groups: list[list[int]] | None, **_: object) -> Tensor:
    slopes = _length_by_square(w=w, groups=groups)
    by_weight = torch.zeros_like(w)
    for group, slope in zip(_members(w, groups), slopes, strict=True):
        by_weight[group] = slope * 2 * w[group]
    return by_weight


def _group_slope(*, w: Tensor, lambda_: float, groups: list[list[int]] | None, sqrt_size: bool) -> Tensor:
    by_weight = _length_by_weight(w=w, groups=groups)
    sizes = torch.zeros_like(w)
    for group in _members(w, groups):
        sizes[group] = len(group)
    return lambda_ * (sizes.sqrt() if sqrt_size else 1.0) * by_weight


GROUP_LASSO = Loss(
    key="group_lasso",
    name="Group lasso",
    name_zh="组套索惩罚",
    family="sparse",
    tasks=("sparse",),
    input_kind="groups",
    inputs={"w": "weights, (D,)"},
    differentiable=("w",),
    fn=group_lasso,
    denominator=_total,
    check=_check_groups,
    grad=_group_grad,
    formula=(
        Line(r"n_g = |g|", _group_sizes),
        Line(r"a_g = \lVert w_g \rVert_2", _group_lengths),
        Line(
            r"t_g = \lambda \sqrt{n_g}\, a_g \quad (\text{without the root of the size: } \lambda\, a_g), "
            r"\quad \ell = \sum_g t_g",
            _group_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial w_g} = \lambda \sqrt{n_g} \frac{w_g}{\lVert w_g \rVert_2}, "
    r"\quad 0 \text{ at } w_g = 0",
    derivation=(
        Line(
            r"\frac{\partial a_g}{\partial a_g^2} = \frac{d}{ds} \sqrt{s} \,\Big|_{s = a_g^2} = \frac{1}{2 a_g},"
            r" \quad 0 \text{ at } a_g = 0",
            _length_by_square,
        ),
        Line(
            r"\frac{\partial a_g}{\partial w_i} = \frac{1}{2 a_g} \cdot \frac{\partial}{\partial w_i}"
            r" \sum_{j \in g} w_j^2 = \frac{w_i}{a_g}, \quad i \in g",
            _length_by_weight,
        ),
        Line(
            r"\frac{\partial \ell}{\partial w_i} = \lambda \sqrt{n_g} \cdot \frac{\partial a_g}{\partial w_i}"
            r" = \lambda \sqrt{n_g} \frac{w_i}{a_g} \quad"
            r" (\text{without the root of the size: } \lambda \frac{w_i}{a_g})",
            _group_slope,
        ),
    ),
    params={
        "lambda_": Number("Strength of the pull.", 0.01, 0.0, 10.0),
        "groups": Groups("Indices of the weights in each group; null for one group of all."),
        "sqrt_size": Flag("Whether each length is multiplied by the root of the group's size.", True),
    },
    properties=Properties(
        convex_in_pred=yes(_WEIGHTS),
        bounded=no(_WEIGHTS, {"w": [1e6]}),
        lipschitz=yes(
            "one group, without the root of its size",
            constant=lambda p: p["lambda_"],
            groups=None,
            sqrt_size=False,
        ),
        smooth=no(_WEIGHTS, *_KINK),
        symmetric=yes("all weights change sign together"),
        scale_invariant=no(_WEIGHTS, {"w": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The length's gradient at a zero group is NaN where the root is written out; here it is 0.",
        "Without the root of the size, large groups are cheaper for each weight and survive longer.",
        "Within a group that stays, no weight is favoured: groups go to zero, single weights do not.",
        "Gradient steps do not reach exact zeros; a proximal step on each group does.",
    ),
    reference="Yuan and Lin (2006), Model selection and estimation in regression with grouped variables, "
    "doi:10.1111/j.1467-9868.2005.00532.x.",
    code=Code(
        pytorch="import math\n\n"
        "groups, sqrt_size = {groups} or [list(range(w.numel()))], {sqrt_size}\n"
        "factors = [math.sqrt(len(group)) if sqrt_size else 1.0 for group in groups]\n"
        "loss = {lambda_} * sum(factor * w[group].norm() for factor, group in zip(factors, groups))\n",
        keras=None,
        optax=None,
        note="Keras has no penalty on groups of weights.",
    ),
)


# --- online hard example mining


def ohem_topk(*, losses: Tensor, k: int = 3) -> Tensor:
    """Only the k hardest samples of a batch count.

    Args:
        losses: loss of each sample, shape ``(N,)``.
        k: number of samples to keep, 1 to N.

    Returns:
        The k largest losses, shape ``(k,)``, in falling order; their mean is the loss.

    Raises:
        ValueError: shape or dtype do not fit, the batch is empty, or it has fewer than k samples.

    Reference: Shrivastava, Gupta and Girshick (2016), arXiv:1604.03540.
    """
    _require_enough(losses, k)
    return losses.topk(k).values


def _require_enough(losses: Tensor, k: int) -> None:
    require_floating(losses=losses)
    require_axes("(N,)", losses=losses)
    if k > losses.shape[0]:
        raise ValueError(f"k is {k}, allowed: 1 to {losses.shape[0]}, the number of losses")


def _ohem_grad(*, losses: Tensor, k: int) -> dict[str, Tensor]:
    _require_enough(losses, k)
    kept = losses.topk(k).indices
    return {"losses": torch.zeros_like(losses).scatter(0, kept, torch.ones_like(losses))}


def _check_ohem(inputs: Inputs, params: Params) -> None:
    _require_enough(inputs["losses"], params["k"])
    check_finite(losses=inputs["losses"])


def _ranked(*, losses: Tensor, k: int) -> Tensor:
    return losses.sort(descending=True).values


def _ohem_line(*, losses: Tensor, k: int) -> Tensor:
    return _ranked(losses=losses, k=k)[:k]


_LOSSES_REAL = "all real losses"


def _kth_largest(*, losses: Tensor, k: int) -> Tensor:
    return _ranked(losses=losses, k=k)[k - 1 : k]


def _ranks(*, losses: Tensor, k: int) -> Tensor:
    # Which of equal losses is kept is up to topk.
    kept = losses.topk(k).indices
    others = losses.scatter(0, kept, -math.inf).sort(descending=True, stable=True).indices[: len(losses) - k]
    order = torch.cat([kept, others])
    return torch.empty_like(losses).scatter(0, order, torch.arange(1, len(losses) + 1).to(losses))


def _ohem_slope(*, losses: Tensor, k: int) -> Tensor:
    return (_ranks(losses=losses, k=k) <= k).to(losses.dtype)


OHEM_TOPK = Loss(
    key="ohem_topk",
    name="Online hard example mining (top k)",
    name_zh="在线难例挖掘（前 k 个）",
    family="sparse",
    tasks=("sparse",),
    input_kind="per_sample",
    inputs={"losses": "loss of each sample, (N,)"},
    differentiable=("losses",),
    fn=ohem_topk,
    denominator=number_of_values,
    check=_check_ohem,
    grad=_ohem_grad,
    formula=(
        Line(r"l_{(1)} \ge l_{(2)} \ge \dots \ge l_{(N)}", _ranked),
        Line(r"t = (l_{(1)}, \dots, l_{(k)}), \quad \ell = \frac{1}{k} \sum_{i \le k} l_{(i)}", _ohem_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial l_i} = \frac{1}{k}\, [l_i \text{ is among the } k \text{ largest}]",
    derivation=(
        Line(r"l_{(k)}, \text{ the smallest loss that is kept}", _kth_largest),
        Line(r"r_i = \text{the place of } l_i \text{ in falling order}", _ranks),
        Line(
            r"\frac{\partial}{\partial l_i} \sum_{j \le k} l_{(j)} = \sum_{j \le k} [r_i = j] = [r_i \le k],"
            r" \quad \frac{\partial \ell}{\partial l_i} = \frac{1}{k} [r_i \le k]",
            _ohem_slope,
        ),
    ),
    params={"k": Number("Number of samples to keep.", 3, 1, 100_000, integer=True)},
    properties=Properties(
        convex_in_pred=yes(_LOSSES_REAL),
        bounded=no(_LOSSES_REAL, {"losses": [1e6]}, k=1),
        lipschitz=yes(_LOSSES_REAL, constant=lambda p: p["k"] ** -0.5),
        smooth=no(_LOSSES_REAL, {"losses": [0.0, 1e-9]}, {"losses": [1e-9, 0.0]}, k=1),
        symmetric=yes("the samples permuted"),
        scale_invariant=no(_LOSSES_REAL, {"losses": [1.0]}, k=1),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The mean is over the k samples kept; dividing by the whole batch shrinks the gradient.",
        "A mislabelled sample is hard for ever, so it is always among those kept.",
        "A share of the batch has to be rounded to a number of at least 1.",
        "Where two losses tie at the border, either sample may be kept.",
        "In segmentation the name also covers a rule that keeps all pixels below some probability.",
    ),
    reference="Shrivastava, Gupta and Girshick (2016), "
    "Training region-based object detectors with online hard example mining, arXiv:1604.03540.",
    code=Code(
        pytorch="loss = losses.topk({k}).values.mean()\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.ops.top_k(losses, {k})[0])\n",
        optax="import jax\n\nloss = jax.lax.top_k(losses, {k})[0].mean()\n",
        note="The losses are those of an unreduced loss, one for each sample.",
    ),
)


# --- KL sparsity


def kl_sparsity(*, activations: Tensor, rho: float = 0.05) -> Tensor:
    """Wants each unit to be active in the share ``rho`` of the samples: how far its mean activation is from that.

    Args:
        activations: of sigmoid units, shape ``(N, D)``; 0 to 1, no unit's mean being 0 or 1.
        rho: wanted mean activation, between 0 and 1.

    Returns:
        Divergence per unit, shape ``(D,)``, in nats; their sum is the loss.

    Raises:
        ValueError: shape or dtype do not fit, or the batch is empty.

    Reference: Ng (2011), Sparse autoencoder, CS294A lecture notes, Stanford University.
    """
    _require_activations(activations)
    # The mean of 1 - a, not 1 minus the mean: units that are nearly always on keep their digits.
    on, off = activations.mean(0), (1 - activations).mean(0)
    return rho * (math.log(rho) - on.log()) + (1 - rho) * (math.log1p(-rho) - off.log())


def _require_activations(activations: Tensor) -> None:
    require_floating(activations=activations)
    require_axes("(N, D)", activations=activations)


def _kl_sparsity_grad(*, activations: Tensor, rho: float) -> dict[str, Tensor]:
    on, off = activations.mean(0), (1 - activations).mean(0)
    return {"activations": (((1 - rho) / off - rho / on) / activations.shape[0]).expand_as(activations)}


def _check_activations(inputs: Inputs, params: Params) -> None:
    activations = inputs["activations"]
    _require_activations(activations)
    check_between("activations", activations, 0.0, 1.0)
    on = activations.mean(0)
    check_where("the mean of activations", on, (on > 0) & (on < 1), "above 0 and below 1, for each unit")


def _mean_activation(*, activations: Tensor, rho: float) -> Tensor:
    return activations.sum(0) / activations.shape[0]


def _kl_sparsity_line(*, activations: Tensor, rho: float) -> Tensor:
    on = _mean_activation(activations=activations, rho=rho)
    return -rho * (on / rho).log() - (1 - rho) * ((1 - on) / (1 - rho)).log()


_UNITS = "activations from 0 to 1"


def _mean_by_activation(*, activations: Tensor, **_: object) -> Tensor:
    return torch.full_like(activations, 1 / len(activations))


def _divergence_by_mean(*, activations: Tensor, rho: float) -> Tensor:
    on = _mean_activation(activations=activations, rho=rho)
    return -rho / on + (1 - rho) / (1 - on)


def _kl_sparsity_slope(*, activations: Tensor, rho: float) -> Tensor:
    return _divergence_by_mean(activations=activations, rho=rho) * _mean_by_activation(activations=activations)


KL_SPARSITY = Loss(
    key="kl_sparsity",
    name="KL sparsity",
    name_zh="KL 稀疏惩罚",
    family="sparse",
    tasks=("sparse", "unsupervised"),
    input_kind="activations",
    inputs={"activations": "of sigmoid units, (N, D), 0 to 1"},
    differentiable=("activations",),
    fn=kl_sparsity,
    denominator=_total,
    check=_check_activations,
    grad=_kl_sparsity_grad,
    formula=(
        Line(r"\hat\rho_j = \frac{1}{N} \sum_i a_{ij}", _mean_activation),
        Line(
            r"t_j = \rho \ln \frac{\rho}{\hat\rho_j} + (1 - \rho) \ln \frac{1 - \rho}{1 - \hat\rho_j}, "
            r"\quad \ell = \sum_j t_j",
            _kl_sparsity_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial a_{ij}} = "
    r"\frac{1}{N} \left(\frac{1 - \rho}{1 - \hat\rho_j} - \frac{\rho}{\hat\rho_j}\right)",
    derivation=(
        Line(r"\frac{\partial \hat\rho_j}{\partial a_{ij}} = \frac{1}{N}", _mean_by_activation),
        Line(
            r"\frac{\partial t_j}{\partial \hat\rho_j} = \frac{\partial}{\partial \hat\rho_j}"
            r" \left(-\rho \ln \hat\rho_j - (1 - \rho) \ln(1 - \hat\rho_j)\right)"
            r" = \frac{1 - \rho}{1 - \hat\rho_j} - \frac{\rho}{\hat\rho_j}",
            _divergence_by_mean,
        ),
        Line(
            r"\frac{\partial \ell}{\partial a_{ij}} = \frac{\partial t_j}{\partial \hat\rho_j} \cdot"
            r" \frac{\partial \hat\rho_j}{\partial a_{ij}} = \frac{1}{N} \left(\frac{1 - \rho}{1 - \hat\rho_j}"
            r" - \frac{\rho}{\hat\rho_j}\right)",
            _kl_sparsity_slope,
        ),
    ),
    params={"rho": Number("Mean activation wanted of each unit.", 0.05, 0.001, 0.999)},
    properties=Properties(
        convex_in_pred=yes(_UNITS),
        bounded=no(_UNITS, {"activations": [[1e-300] * 20]}),
        lipschitz=no(_UNITS, {"activations": [[1e-9]]}),
        smooth=no(_UNITS, {"activations": [[1e-9]]}, {"activations": [[2e-9]]}),
        symmetric=no(
            "activations against 1 less them; symmetric at rho = 0.5 alone",
            {"activations": [[0.2]]},
            {"activations": [[0.8]]},
        ),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The mean over the batch comes first, then the divergence: the mean of the samples' divergences is another "
        "loss, which wants every single activation to be rho.",
        "It is made for sigmoid units; others leave the interval, or are exactly 0 in the whole batch.",
        "A small batch knows the mean badly: with 20 samples and rho = 0.05 that is one active sample.",
        "Every sample has the same gradient in a unit, whichever of them made it active.",
    ),
    reference="Ng (2011), Sparse autoencoder, CS294A lecture notes, Stanford University; a wanted mean activation, but "
    "a squared penalty: Lee, Ekanadham and Ng (2008), Sparse deep belief net model for visual area V2, "
    "Advances in Neural Information Processing Systems 20.",
    code=Code(
        pytorch="import math\n\n"
        "mean = activations.mean(0)\n"
        "on = {rho} * (math.log({rho}) - mean.log())\n"
        "off = (1 - {rho}) * (math.log(1 - {rho}) - (1 - mean).log())\n"
        "loss = (on + off).sum()\n",
        keras=None,
        optax=None,
        note="Keras can take it as an activity regulariser that one writes oneself.",
    ),
)


LOSSES: tuple[Loss, ...] = (L1_PENALTY, L2_PENALTY, ELASTIC_NET, GROUP_LASSO, OHEM_TOPK, KL_SPARSITY)
