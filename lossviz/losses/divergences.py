"""Distances between two distributions: a forecast and a target that is no single class."""

import math

import torch
from torch import Tensor, xlogy

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

_INPUTS = {"pred": "forecast probabilities q, (N, K)", "target": "true probabilities p, the shape of pred"}
_ALL_PAIRS = "all pairs of distributions"
_SWAP = "exchange of pred and target"
_ONE_HOT = "forecasts of one class, a one-hot target"
_UNEVEN = (
    {"pred": [[0.5, 0.5]], "target": [[1.0, 0.0]]},
    {"pred": [[0.9, 0.1]], "target": [[1.0, 0.0]]},
)


def _check_pair(inputs: Inputs, params: Params) -> None:
    require_rows(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"], target=inputs["target"])
    for name in ("pred", "target"):
        check_distribution(name, inputs[name])


# --- Kullback-Leibler


def kl_divergence(*, pred: Tensor, target: Tensor) -> Tensor:
    """How many nats are wasted by coding what comes from ``target`` as if it came from ``pred``.

    Where ``target`` is 0 a class costs nothing; where ``pred`` alone is 0 the loss is infinite.

    Args:
        pred: forecast probabilities q, shape ``(N, K)``; from 0 to 1, each row adding up to 1.
        target: true probabilities p, same shape.

    Returns:
        ``D(p || q)`` per row, shape ``(N,)``, in nats.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Kullback and Leibler (1951), doi:10.1214/aoms/1177729694.
    """
    require_rows(pred=pred, target=target)
    forecast = pred.where(target > 0, 1)
    return (xlogy(target, target) - target * forecast.log()).sum(-1)


def _kl_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": -target / pred.where(target > 0, 1)}


def _ratio_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return target.where(target > 0, 1) / pred.where(target > 0, 1)


def _kl_terms_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return target * _ratio_line(pred=pred, target=target).log()


def _kl_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _kl_terms_line(pred=pred, target=target).sum(-1)


def _ratio_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    slope = -_ratio_line(pred=pred, target=target) / pred
    return slope.where(target > 0, 0)


def _term_by_ratio(*, pred: Tensor, target: Tensor) -> Tensor:
    return target / _ratio_line(pred=pred, target=target)


def _kl_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _term_by_ratio(pred=pred, target=target) * _ratio_slope(pred=pred, target=target)


KL_DIVERGENCE = Loss(
    key="kl_divergence",
    name="Kullback-Leibler divergence",
    name_zh="KL 散度",
    family="divergences",
    tasks=("classification",),
    input_kind="distributions",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=kl_divergence,
    denominator=number_of_values,
    check=_check_pair,
    grad=_kl_grad,
    formula=(
        Line(r"r_k = \frac{p_k}{q_k} \quad (1 \text{ where } p_k = 0)", _ratio_line),
        Line(r"d_k = p_k \ln r_k", _kl_terms_line),
        Line(r"\ell = \sum_k d_k", _kl_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial q_k} = -\frac{p_k}{q_k}, \quad 0 \text{ where } p_k = 0",
    derivation=(
        Line(
            r"\frac{\partial r_k}{\partial q_k} = -\frac{p_k}{q_k^2} = -\frac{r_k}{q_k}"
            r" \quad (0 \text{ where } p_k = 0)",
            _ratio_slope,
        ),
        Line(r"\frac{\partial d_k}{\partial r_k} = \frac{p_k}{r_k}", _term_by_ratio),
        Line(
            r"\frac{\partial \ell}{\partial q_k} = \frac{\partial d_k}{\partial r_k} \cdot"
            r" \frac{\partial r_k}{\partial q_k} = -\frac{p_k}{q_k}",
            _kl_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_PAIRS, source="Cover and Thomas (2006), Elements of information theory, section 2.7."),
        bounded=no(_ALL_PAIRS, {"pred": [[1e-300, 1.0]], "target": [[1.0, 0.0]]}),
        lipschitz=no(_ALL_PAIRS, {"pred": [[1e-6, 1 - 1e-6]], "target": [[1.0, 0.0]]}),
        smooth=no(
            _ALL_PAIRS,
            {"pred": [[1e-6, 1 - 1e-6]], "target": [[1.0, 0.0]]},
            {"pred": [[2e-6, 1 - 2e-6]], "target": [[1.0, 0.0]]},
        ),
        robust=no(_ONE_HOT, *_UNEVEN),
        symmetric=no(
            _SWAP, {"pred": [[0.9, 0.1]], "target": [[0.5, 0.5]]}, {"pred": [[0.5, 0.5]], "target": [[0.9, 0.1]]}
        ),
        proper=yes(_ONE_HOT, source="Gneiting and Raftery (2007), doi:10.1198/016214506000001437."),
        calibrated=yes(_ONE_HOT),
    ),
    pitfalls=(
        "The order matters: this is the divergence of the target from the forecast, which makes the forecast cover "
        "all that is likely; the reverse makes it pick one part.",
        "PyTorch's kl_div takes log-probabilities as its first argument and divides by N K with reduction mean; "
        "batchmean is the mean over the rows.",
        "One class that is possible and has a forecast of exactly 0 makes the loss infinite. "
        "Keras hides this by clipping both at 1e-7.",
        "The gradient does not know that probabilities add up to 1, and never points at a class with a target of 0.",
    ),
    reference="Kullback and Leibler (1951), On information and sufficiency, doi:10.1214/aoms/1177729694.",
    code=Code(
        pytorch='import torch.nn.functional as F\n\nloss = F.kl_div(pred.log(), target, reduction="batchmean")\n',
        keras="import keras\n\n"
        "log_target = keras.ops.log(keras.ops.where(target > 0, target, 1.0))\n"
        "loss = keras.ops.mean(keras.ops.sum(target * (log_target - keras.ops.log(pred)), axis=-1))\n",
        optax="import jax.numpy as jnp\nimport optax\n\n"
        "loss = optax.losses.kl_divergence(jnp.log(pred), target).mean()\n",
        note="PyTorch and Optax take the logarithm of the forecast; Keras's kl_divergence clips both sides at 1e-7. "
        "Where a class is 0 in both, these programs give NaN.",
    ),
)


# --- Jensen-Shannon


def js_divergence(*, pred: Tensor, target: Tensor) -> Tensor:
    """The mean divergence of both distributions from their average: symmetric, and finite always.

    The slope at a forecast of exactly 0 is minus infinity; the gradient takes the logarithm of the smallest normal
    number there, which points the same way.

    Args:
        pred: forecast probabilities q, shape ``(N, K)``; from 0 to 1, each row adding up to 1.
        target: true probabilities p, same shape.

    Returns:
        Loss per row, shape ``(N,)``, in nats; from 0 to ln 2.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Lin (1991), doi:10.1109/18.61115.
    """
    require_rows(pred=pred, target=target)
    log_middle = _log(_middle_line(pred=pred, target=target))
    return 0.5 * (target * (_log(target) - log_middle) + pred * (_log(pred) - log_middle)).sum(-1)


def _log(p: Tensor) -> Tensor:
    """A finite logarithm; what it stands for is multiplied by 0."""
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()


def _js_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    tiny = torch.finfo(pred.dtype).tiny
    middle = _middle_line(pred=pred, target=target)
    # The two constants cancel wherever neither logarithm is held at its end.
    held = (pred >= tiny).to(pred.dtype) - (middle >= tiny).to(pred.dtype)
    return {"pred": 0.5 * (_log(pred) - _log(middle) + held)}


def _middle_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return (pred + target) / 2


def _entropy(p: Tensor) -> Tensor:
    return -xlogy(p, p).sum(-1)


def _middle_entropy_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _entropy(_middle_line(pred=pred, target=target))


def _mean_entropy_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return (_entropy(pred) + _entropy(target)) / 2


def _js_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _middle_entropy_line(pred=pred, target=target) - _mean_entropy_line(pred=pred, target=target)


def _middle_slope(*, pred: Tensor, **_: object) -> Tensor:
    return torch.full_like(pred, 0.5)


def _entropy_slope(p: Tensor) -> Tensor:
    return -_log(p) - (p >= torch.finfo(p.dtype).tiny).to(p.dtype)


def _entropy_by_middle(*, pred: Tensor, target: Tensor) -> Tensor:
    return _entropy_slope(_middle_line(pred=pred, target=target))


def _mean_entropy_slope(*, pred: Tensor, **_: object) -> Tensor:
    return _entropy_slope(pred) / 2


def _js_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    first = _entropy_by_middle(pred=pred, target=target) * _middle_slope(pred=pred)
    return first - _mean_entropy_slope(pred=pred)


_LEAST = 1e-27
# The slope ln(2 q / (p + q)) / 2 is from ln(2 q / (1 + q)) / 2 to ln(2) / 2. One class of three has a forecast of 1/3
# or more, where it is -ln(2) / 2 at least.
_JS_STEEPEST = math.hypot(math.sqrt(2) * math.log((1 + _LEAST) / (2 * _LEAST)), math.log(2)) / 2

JS_DIVERGENCE = Loss(
    key="js_divergence",
    name="Jensen-Shannon divergence",
    name_zh="JS 散度",
    family="divergences",
    tasks=("classification",),
    input_kind="distributions",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=js_divergence,
    denominator=number_of_values,
    check=_check_pair,
    grad=_js_grad,
    formula=(
        Line(r"m_k = \frac{p_k + q_k}{2}", _middle_line),
        Line(r"H(m) = -\sum_k m_k \ln m_k", _middle_entropy_line),
        Line(r"\bar{H} = \frac{H(p) + H(q)}{2}", _mean_entropy_line),
        Line(r"\ell = \frac{D(p \| m) + D(q \| m)}{2} = H(m) - \bar{H}", _js_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial q_k} = \frac{1}{2} \ln \frac{q_k}{m_k}",
    derivation=(
        Line(r"\frac{\partial m_k}{\partial q_k} = \frac{1}{2}", _middle_slope),
        Line(r"\frac{\partial H(m)}{\partial m_k} = -\ln m_k - 1", _entropy_by_middle),
        Line(r"\frac{\partial \bar{H}}{\partial q_k} = \frac{-\ln q_k - 1}{2}", _mean_entropy_slope),
        Line(
            r"\frac{\partial \ell}{\partial q_k} = \frac{\partial H(m)}{\partial m_k} \cdot"
            r" \frac{\partial m_k}{\partial q_k} - \frac{\partial \bar{H}}{\partial q_k}"
            r" = \frac{1}{2} \ln \frac{q_k}{m_k}",
            _js_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_ALL_PAIRS),
        bounded=yes(_ALL_PAIRS, source="Lin (1991), doi:10.1109/18.61115.", constant=lambda _: math.log(2)),
        lipschitz=yes(
            f"3 classes, none with a forecast below {_LEAST:g}; nearer to 0 the slope grows as the logarithm",
            constant=lambda _: _JS_STEEPEST,
        ),
        smooth=no(
            _ALL_PAIRS,
            {"pred": [[1e-9, 1 - 1e-9]], "target": [[1.0, 0.0]]},
            {"pred": [[2e-9, 1 - 2e-9]], "target": [[1.0, 0.0]]},
        ),
        robust=no(_ONE_HOT, *_UNEVEN),
        symmetric=yes(_SWAP),
        proper=no(
            _ONE_HOT, {"pred": [[0.8, 0.2]], "target": [[1.0, 0.0]]}, {"pred": [[0.95, 0.05]], "target": [[1.0, 0.0]]}
        ),
        calibrated=yes(_ONE_HOT),
    ),
    pitfalls=(
        "SciPy's jensenshannon is a distance: the square root of this.",
        "With logarithms to base 2 it reaches 1, here ln 2, about 0.693.",
        "Where the two have nothing in common it stays at ln 2 and says nothing of how far apart they are; "
        "this starves the generator of a GAN.",
        "The slope at a forecast of exactly 0 is minus infinity, though the loss is finite.",
    ),
    reference="Lin (1991), Divergence measures based on the Shannon entropy, doi:10.1109/18.61115.",
    code=Code(
        pytorch="import torch\n\n"
        "middle = (pred + target) / 2\n"
        "own = torch.xlogy(target, target) + torch.xlogy(pred, pred)\n"
        "shared = torch.xlogy(target + pred, middle)\n"
        "loss = 0.5 * (own - shared).sum(-1).mean()\n",
        keras=None,
        optax=None,
    ),
)


LOSSES: tuple[Loss, ...] = (KL_DIVERGENCE, JS_DIVERGENCE)
