"""Losses that put a margin on the angle between an embedding and its class's centre."""

import math

import torch
from torch import Tensor

from lossviz.losses._checks import check_finite, check_labels
from lossviz.losses._embeddings import cosine_slopes, norm, one_hot, require_centres, through_unit, unit
from lossviz.losses.entry import Code, Inputs, Line, Loss, Number, Params, Properties, no, number_of_values, yes

_INPUTS = {
    "pred": "embeddings, (N, D)",
    "weight": "class centres, (K, D)",
    "target": "class index, 0 to K - 1, (N,) int64",
}
_EVERYWHERE = "all real embeddings and centres"
_NOT_CONVEX = (
    {"pred": [[3.0, 0.1]], "weight": [[1.0, 0.0], [0.0, 1.0]], "target": [1]},
    {"pred": [[-1.0, 0.1]], "weight": [[1.0, 0.0], [0.0, 1.0]], "target": [1]},
)
_SCALE = Number("Factor on the cosines, the softmax's inverse temperature.", 64.0, 1.0, 128.0, "log")
_SHORT = "all real embeddings and centres; short ones turn fast"
_CENTRES_ACROSS = {"weight": [[1.0, 0.0], [0.0, 1.0]], "target": [1]}
_SHORT_ROW = ({"pred": [[1e-8, 0.0]], **_CENTRES_ACROSS}, {"pred": [[2e-8, 0.0]], **_CENTRES_ACROSS})
_CLASSES = 3


def _check(inputs: Inputs, params: Params) -> None:
    pred, weight, target = inputs["pred"], inputs["weight"], inputs["target"]
    require_centres("weight", weight, pred=pred, target=target)
    check_finite(pred=pred, weight=weight)
    check_labels(target, weight.shape[0])


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return -logits.log_softmax(-1).gather(-1, target[:, None])[:, 0]


def _cosines(*, pred: Tensor, weight: Tensor, **_: object) -> Tensor:
    return unit(pred) @ unit(weight).mT


def _log_share(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy as the logarithm of a sum over the classes, each against the label's logit."""
    return (logits - logits.gather(-1, target[:, None])).logsumexp(-1)


def _cosine_slopes(*, pred: Tensor, weight: Tensor, **_: object) -> Tensor:
    return cosine_slopes(pred, weight)


_COSINE_SLOPES = Line(
    r"\frac{\partial c_k}{\partial x} = \frac{w_k}{\lVert x \rVert\,\lVert w_k \rVert} - "
    r"\frac{c_k}{\lVert x \rVert} \frac{\partial \lVert x \rVert}{\partial x} = "
    r"\frac{1}{\lVert x \rVert} \left(\hat w_k - c_k \hat x\right)",
    _cosine_slopes,
)


# --- CosFace


def cosface(*, pred: Tensor, weight: Tensor, target: Tensor, s: float = 64.0, m: float = 0.35) -> Tensor:
    """Softmax over scaled cosines, with a margin taken off the right one: it has to win by ``m``.

    Args:
        pred: embeddings, shape ``(N, D)``; their length does not count.
        weight: class centres, shape ``(K, D)``; their length does not count.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        s: factor on the cosines; above 0.
        m: margin, in units of the cosine; 0 or more.

    Returns:
        Loss per row, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Wang et al. (2018), arXiv:1801.09414.
    """
    require_centres("weight", weight, pred=pred, target=target)
    return _cross_entropy(_cosface_logits(pred=pred, weight=weight, target=target, s=s, m=m), target)


def _cosface_logits(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    return s * (_cosines(pred=pred, weight=weight) - m * one_hot(target, weight))


def _cosface_grad(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> dict[str, Tensor]:
    logits = _cosface_logits(pred=pred, weight=weight, target=target, s=s, m=m)
    by_cosine = s * (logits.softmax(-1) - one_hot(target, weight))
    return {
        "pred": through_unit(pred, by_cosine @ unit(weight)),
        "weight": through_unit(weight, by_cosine.mT @ unit(pred)),
    }


def _cosface_line(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    return _log_share(_cosface_logits(pred=pred, weight=weight, target=target, s=s, m=m), target)


def _cosface_by_logit(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    logits = _cosface_logits(pred=pred, weight=weight, target=target, s=s, m=m)
    return logits.softmax(-1) - one_hot(target, weight)


def _cosface_by_cosine(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    return s * _cosface_by_logit(pred=pred, weight=weight, target=target, s=s, m=m)


def _cosface_slope(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    by_cosine = _cosface_by_cosine(pred=pred, weight=weight, target=target, s=s, m=m)
    return (by_cosine[:, :, None] * _cosine_slopes(pred=pred, weight=weight)).sum(1)


COSFACE = Loss(
    key="cosface",
    name="CosFace (large-margin cosine)",
    name_zh="CosFace 余弦间隔损失",
    family="angular",
    tasks=("similarity",),
    input_kind="centres",
    inputs=_INPUTS,
    differentiable=("pred", "weight"),
    fn=cosface,
    denominator=number_of_values,
    check=_check,
    grad=_cosface_grad,
    formula=(
        Line(r"c_k = \frac{x \cdot w_k}{\lVert x \rVert\,\lVert w_k \rVert}", _cosines),
        Line(r"z_k = s \left(c_k - m\,[k = y]\right)", _cosface_logits),
        Line(r"\ell = -\ln \frac{e^{z_y}}{\sum_k e^{z_k}} = \ln \sum_k e^{z_k - z_y}", _cosface_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial c_k} = s \left(p_k - [k = y]\right), \quad "
    r"p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \quad "
    r"\frac{\partial \ell}{\partial x} = \frac{1}{\lVert x \rVert} \sum_k \frac{\partial \ell}{\partial c_k} "
    r"\left(\hat w_k - c_k \hat x\right)",
    derivation=(
        Line(
            r"\frac{\partial \ell}{\partial z_k} = \frac{e^{z_k}}{\sum_j e^{z_j}} - [k = y] = p_k - [k = y]",
            _cosface_by_logit,
        ),
        Line(
            r"\frac{\partial \ell}{\partial c_k} = \frac{\partial \ell}{\partial z_k} \cdot "
            r"\frac{\partial z_k}{\partial c_k} = s \left(p_k - [k = y]\right)",
            _cosface_by_cosine,
        ),
        _COSINE_SLOPES,
        Line(
            r"\frac{\partial \ell}{\partial x} = \sum_k \frac{\partial \ell}{\partial c_k} \cdot "
            r"\frac{\partial c_k}{\partial x}",
            _cosface_slope,
        ),
    ),
    params={"s": _SCALE, "m": Number("How much the right cosine has to exceed the others.", 0.35, 0.0, 1.0)},
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, *_NOT_CONVEX),
        bounded=yes(
            "3 classes; the bound grows with the logarithm of their number",
            constant=lambda p: p["s"] * (2 + p["m"]) + math.log(_CLASSES),
        ),
        lipschitz=no(_SHORT, _SHORT_ROW[0]),
        smooth=no(_SHORT, *_SHORT_ROW),
        symmetric=yes("the classes permuted"),
        scale_invariant=yes("embeddings that are not zero"),
    ),
    pitfalls=(
        "The margin comes off the cosine before the scaling: taken off the logit it would be s times too small.",
        "With m above 0 the loss does not reach 0 where the embedding lies on its centre, unless s is large.",
        "Too small an s leaves a floor under the loss: cosines end at 1, so the softmax cannot become sharp.",
        "It trains only; for a prediction use the cosines without the margin.",
    ),
    reference="Wang et al. (2018), CosFace: Large margin cosine loss for deep face recognition, arXiv:1801.09414.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "cosine = F.normalize(pred) @ F.normalize(weight).mT\n"
        "margin = {m} * F.one_hot(target, weight.shape[0]).to(pred.dtype)\n"
        "loss = F.cross_entropy({s} * (cosine - margin), target)\n",
        keras=None,
        optax="import jax\nimport jax.numpy as jnp\nimport optax\n\n"
        "unit_pred = pred / jnp.maximum(jnp.linalg.norm(pred, axis=-1, keepdims=True), 1e-12)\n"
        "unit_weight = weight / jnp.maximum(jnp.linalg.norm(weight, axis=-1, keepdims=True), 1e-12)\n"
        "margin = {m} * jax.nn.one_hot(target, weight.shape[0], dtype=pred.dtype)\n"
        "logits = {s} * (unit_pred @ unit_weight.T - margin)\n"
        "loss = optax.losses.softmax_cross_entropy_with_integer_labels(logits, target).mean()\n",
        note="In pytorch-metric-learning it is CosFaceLoss, whose weights are (D, K), one column a class.",
    ),
)


# --- ArcFace


def arcface(*, pred: Tensor, weight: Tensor, target: Tensor, s: float = 64.0, m: float = 0.5) -> Tensor:
    """Softmax over scaled cosines, with a margin added to the right class's angle.

    Beyond ``theta = pi - m``, where ``cos(theta + m)`` would rise again, the cosine less ``m sin(m)`` takes its place.

    Args:
        pred: embeddings, shape ``(N, D)``; their length does not count.
        weight: class centres, shape ``(K, D)``; their length does not count.
        target: class index, shape ``(N,)``, int64; 0 to K - 1.
        s: factor on the cosines; above 0.
        m: margin in radians; 0 or more.

    Returns:
        Loss per row, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Deng et al. (2019), arXiv:1801.07698.
    """
    require_centres("weight", weight, pred=pred, target=target)
    return _cross_entropy(_arcface_logits(pred=pred, weight=weight, target=target, s=s, m=m), target)


def _arcface_logits(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    cosine = _cosines(pred=pred, weight=weight)
    right, across = _right_angle(cosine, pred, weight, target)
    # A centre that is zero is at right angles to everything.
    sine = torch.where(unit(weight)[target].any(-1, keepdim=True), norm(across), 1.0)
    moved = right * math.cos(m) - sine * math.sin(m)
    moved = moved.where(right >= -math.cos(m), right - m * math.sin(m))
    return s * moved.where(one_hot(target, weight) > 0, cosine)


def _right_angle(cosine: Tensor, pred: Tensor, weight: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 1) cosine with the right centre, and (N, D) the part of the right centre that is across the embedding.

    The latter's length is the sine: taken from the cosine it would lose half its digits near 0, its slope all of them.
    """
    right = cosine.gather(-1, target[:, None])
    return right, unit(weight)[target] - right * unit(pred)


def _arcface_grad(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> dict[str, Tensor]:
    u, v, label = unit(pred), unit(weight), one_hot(target, weight)
    right, across = _right_angle(u @ v.mT, pred, weight, target)
    by_logit = _arcface_logits(pred=pred, weight=weight, target=target, s=s, m=m).softmax(-1) - label
    by_right = s * (by_logit * label).sum(-1, keepdim=True)
    others = s * by_logit * (1 - label)
    # The label's logit moves with the cosine and, in the first branch, with the sine.
    sine = norm(across)
    towards = across / sine.where(sine > 0, torch.ones_like(sine))
    turn = math.sin(m) * (right >= -math.cos(m)).to(pred.dtype)
    straight = torch.where(turn > 0, math.cos(m), torch.ones_like(turn)) + turn * (towards * u).sum(-1, keepdim=True)
    by_u = others @ v + by_right * (straight * v[target] + turn * right * towards)
    by_v = others.mT @ u + label.mT @ (by_right * (straight * u - turn * towards))
    return {"pred": through_unit(pred, by_u), "weight": through_unit(weight, by_v)}


def _angle(*, pred: Tensor, weight: Tensor, target: Tensor, **_: object) -> Tensor:
    u, v = unit(pred), unit(weight)[target]
    return 2 * torch.atan2(norm(u - v), norm(u + v))[:, 0]


def _moved_cosine(*, pred: Tensor, weight: Tensor, target: Tensor, m: float, **_: object) -> Tensor:
    angle = _angle(pred=pred, weight=weight, target=target)
    return (angle + m).cos().where(angle <= math.pi - m, angle.cos() - m * math.sin(m))


def _arcface_line(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    moved = _moved_cosine(pred=pred, weight=weight, target=target, m=m)[:, None]
    label = one_hot(target, weight)
    return _log_share(s * (moved * label + _cosines(pred=pred, weight=weight) * (1 - label)), target)


def _arcface_by_logit(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    moved = _moved_cosine(pred=pred, weight=weight, target=target, m=m)[:, None]
    label = one_hot(target, weight)
    logits = s * (moved * label + _cosines(pred=pred, weight=weight) * (1 - label))
    return logits.softmax(-1) - label


def _angle_slope(*, pred: Tensor, weight: Tensor, target: Tensor, **_: object) -> Tensor:
    right = one_hot(target, weight)[:, :, None] * _cosine_slopes(pred=pred, weight=weight)
    sine = _angle(pred=pred, weight=weight, target=target).sin()[:, None]
    return -right.sum(1) / sine.where(sine > 0, torch.ones_like(sine))


def _moved_slope(*, pred: Tensor, weight: Tensor, target: Tensor, m: float, **_: object) -> Tensor:
    angle = _angle(pred=pred, weight=weight, target=target)
    return -(angle + m).sin().where(angle <= math.pi - m, angle.sin())


def _arcface_slope(*, pred: Tensor, weight: Tensor, target: Tensor, s: float, m: float) -> Tensor:
    by_logit = s * _arcface_by_logit(pred=pred, weight=weight, target=target, s=s, m=m)
    label = one_hot(target, weight)
    others = ((by_logit * (1 - label))[:, :, None] * _cosine_slopes(pred=pred, weight=weight)).sum(1)
    turn = _moved_slope(pred=pred, weight=weight, target=target, m=m)
    by_angle = (by_logit * label).sum(-1) * turn
    return by_angle[:, None] * _angle_slope(pred=pred, weight=weight, target=target) + others


ARCFACE = Loss(
    key="arcface",
    name="ArcFace (additive angular margin)",
    name_zh="ArcFace 加性角度间隔损失",
    family="angular",
    tasks=("similarity",),
    input_kind="centres",
    inputs=_INPUTS,
    differentiable=("pred", "weight"),
    fn=arcface,
    denominator=number_of_values,
    check=_check,
    grad=_arcface_grad,
    formula=(
        Line(r"c_k = \frac{x \cdot w_k}{\lVert x \rVert\,\lVert w_k \rVert}", _cosines),
        Line(
            r"\theta_y = \arccos c_y = 2 \arctan "
            r"\frac{\lVert \hat x - \hat w_y \rVert}{\lVert \hat x + \hat w_y \rVert}",
            _angle,
        ),
        Line(
            r"\tilde c_y = \begin{cases} \cos(\theta_y + m) & \theta_y \le \pi - m \\ "
            r"\cos \theta_y - m \sin m & \theta_y > \pi - m \end{cases}",
            _moved_cosine,
        ),
        Line(r"\ell = -\ln \frac{e^{s \tilde c_y}}{e^{s \tilde c_y} + \sum_{k \ne y} e^{s c_k}}", _arcface_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial c_k} = s \left(p_k - [k = y]\right) d_k, \quad "
    r"p = \operatorname{softmax}(s c_1, \dots, s \tilde c_y, \dots), \quad d_y = \begin{cases} "
    r"\frac{\sin(\theta_y + m)}{\sin \theta_y} & \theta_y \le \pi - m \\ 1 & \theta_y > \pi - m \end{cases}, "
    r"\quad d_k = 1 \ (k \ne y), \quad \frac{\partial \ell}{\partial x} = \frac{1}{\lVert x \rVert} "
    r"\sum_k \frac{\partial \ell}{\partial c_k} \left(\hat w_k - c_k \hat x\right)",
    derivation=(
        Line(
            r"\frac{\partial \ell}{\partial z_k} = p_k - [k = y], \quad z_y = s \tilde c_y, \quad "
            r"z_k = s c_k \ (k \ne y)",
            _arcface_by_logit,
        ),
        _COSINE_SLOPES,
        Line(
            r"\frac{\partial \theta_y}{\partial x} = \frac{d \arccos c_y}{d c_y} \cdot "
            r"\frac{\partial c_y}{\partial x} = -\frac{1}{\sin \theta_y} \frac{\partial c_y}{\partial x}",
            _angle_slope,
        ),
        Line(
            r"\frac{d \tilde c_y}{d \theta_y} = \begin{cases} -\sin(\theta_y + m) & \theta_y \le \pi - m \\ "
            r"-\sin \theta_y & \theta_y > \pi - m \end{cases}",
            _moved_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial x} = s (p_y - 1) \frac{d \tilde c_y}{d \theta_y} \cdot "
            r"\frac{\partial \theta_y}{\partial x} + s \sum_{k \ne y} p_k \frac{\partial c_k}{\partial x}",
            _arcface_slope,
        ),
    ),
    params={"s": _SCALE, "m": Number("Margin on the angle, in radians.", 0.5, 0.0, 1.5)},
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, *_NOT_CONVEX),
        bounded=yes(
            "3 classes; the bound grows with the logarithm of their number",
            constant=lambda p: p["s"] * (2 + p["m"] * math.sin(p["m"])) + math.log(_CLASSES),
        ),
        lipschitz=no(_SHORT, _SHORT_ROW[0]),
        smooth=no(
            "all real embeddings and centres: short ones turn fast, and at theta = pi - m the value jumps",
            {"pred": [[-math.cos(0.5), math.sin(0.5) + 1e-9]], "weight": [[1.0, 0.0], [0.0, 1.0]], "target": [0]},
            {"pred": [[-math.cos(0.5), math.sin(0.5) - 1e-9]], "weight": [[1.0, 0.0], [0.0, 1.0]], "target": [0]},
        ),
        symmetric=yes("the classes permuted"),
        scale_invariant=yes("embeddings that are not zero"),
    ),
    pitfalls=(
        "The margin is in radians here; pytorch-metric-learning takes degrees, where 0.5 radians are 28.6.",
        "Written with arccos its gradient is infinite where embedding and centre are parallel; here it stays bounded.",
        "At theta = pi - m the value jumps: the two branches do not meet.",
        "With s = 64 the loss starts at 20 or more, so warm up the margin or the learning rate.",
    ),
    reference="Deng, Guo, Xue and Zafeiriou (2019), ArcFace: Additive angular margin loss for deep face recognition, "
    "arXiv:1801.07698.",
    code=Code(
        pytorch="import math\n\nimport torch.nn.functional as F\n\n"
        "cosine = F.normalize(pred) @ F.normalize(weight).mT\n"
        "theta = cosine.clamp(-1 + 1e-15, 1 - 1e-15).acos()\n"
        "linear = cosine - {m} * math.sin({m})\n"
        "moved = (theta + {m}).cos().where(theta <= math.pi - {m}, linear)\n"
        "logits = {s} * moved.where(F.one_hot(target, weight.shape[0]) > 0, cosine)\n"
        "loss = F.cross_entropy(logits, target)\n",
        keras=None,
        optax=None,
        note="In pytorch-metric-learning it is ArcFaceLoss, with the margin in degrees and weights of shape (D, K).",
    ),
)


LOSSES: tuple[Loss, ...] = (ARCFACE, COSFACE)
