"""Losses between a number and its label that outliers cannot drag away, and their relatives."""

import math

import torch
from torch import Tensor
from torch.nn.functional import relu, smooth_l1_loss

from lossviz.losses._checks import check_finite, require_elementwise
from lossviz.losses.entry import (
    NOT_APPLICABLE,
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

_INPUTS = {"pred": "prediction, any shape", "target": "label, the shape of pred"}
_EVERYWHERE = "all real predictions and labels"


def _check_finite(inputs: Inputs, params: Params) -> None:
    require_elementwise(pred=inputs["pred"], target=inputs["target"])
    check_finite(pred=inputs["pred"], target=inputs["target"])


def _residual(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return pred - target


def _residual_by_pred(*, pred: Tensor, **_: object) -> Tensor:
    return torch.ones_like(pred)


def _distance_by_residual(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (pred - target).sign()


_RESIDUAL_BY_PRED = Line(r"\frac{\partial r}{\partial \hat y} = 1", _residual_by_pred)
_DISTANCE_BY_RESIDUAL = Line(
    r"\frac{d |r|}{d r} = \operatorname{sign}(r), \quad 0 \text{ at } r = 0", _distance_by_residual
)
_CHAIN = r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d r} \cdot \frac{\partial r}{\partial \hat y} = "


# --- root mean squared error


def rmse(*, pred: Tensor, target: Tensor) -> Tensor:
    """Root of the mean squared error: as convex and as easily dragged as ``mse``, in the unit of the label.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.

    Returns:
        The scalar, shape ``()``: no mean of losses of samples gives it.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    # The distance's slope at 0 is 0; that of the square root of a mean is infinite, times 0: NaN.
    return torch.dist(pred, target) / math.sqrt(pred.numel())


def _rmse_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    value = rmse(pred=pred, target=target)
    slope = (pred - target) / (pred.numel() * value)
    return {"pred": torch.where(value > 0, slope, torch.zeros_like(slope))}


def _mean_square(*, pred: Tensor, target: Tensor) -> Tensor:
    return ((pred - target) ** 2).mean()


def _rmse_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _mean_square(pred=pred, target=target).sqrt()


def _mean_square_by_pred(*, pred: Tensor, target: Tensor) -> Tensor:
    return 2 / pred.numel() * _residual(pred=pred, target=target)


def _rmse_by_mean_square(*, pred: Tensor, target: Tensor) -> Tensor:
    value = _rmse_line(pred=pred, target=target)
    return torch.where(value > 0, 0.5 / value, torch.zeros_like(value))


def _rmse_by_pred(*, pred: Tensor, target: Tensor) -> Tensor:
    return _rmse_by_mean_square(pred=pred, target=target) * _mean_square_by_pred(pred=pred, target=target)


RMSE = Loss(
    key="rmse",
    name="Root mean squared error",
    name_zh="均方根误差",
    family="robust",
    tasks=("regression",),
    input_kind="regression_batch",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=rmse,
    denominator=None,
    check=_check_finite,
    grad=_rmse_grad,
    formula=(
        Line(r"r_i = \hat y_i - y_i", _residual),
        Line(r"m = \frac{1}{N} \sum_i r_i^2", _mean_square),
        Line(r"L = \sqrt{m}", _rmse_line),
    ),
    gradient=r"\frac{\partial L}{\partial \hat y_i} = \frac{r_i}{N L}, \quad 0 \text{ at } L = 0",
    derivation=(
        Line(r"\frac{\partial r_i}{\partial \hat y_i} = 1", _residual_by_pred),
        Line(
            r"\frac{\partial m}{\partial \hat y_i} = \frac{1}{N} \cdot 2 r_i \cdot "
            r"\frac{\partial r_i}{\partial \hat y_i} = \frac{2 r_i}{N}",
            _mean_square_by_pred,
        ),
        Line(
            r"\frac{d L}{d m} = \frac{1}{2 \sqrt{m}} = \frac{1}{2 L}, \quad 0 \text{ at } L = 0", _rmse_by_mean_square
        ),
        Line(
            r"\frac{\partial L}{\partial \hat y_i} = \frac{d L}{d m} \cdot \frac{\partial m}{\partial \hat y_i} = "
            r"\frac{r_i}{N L}",
            _rmse_by_pred,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=lambda _: 1.0),
        smooth=no(_EVERYWHERE, {"pred": [-1e-9], "target": [0.0]}, {"pred": [1e-9], "target": [0.0]}),
        robust=no(_EVERYWHERE, {"pred": [1e3] * 5, "target": [0.0, 0.0, 0.0, 0.0, 1e6]}),
        symmetric=yes("all errors of the batch change sign together"),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "It is no mean over samples: the mean of the batches' values is not the value of all samples together.",
        "A plain square root has the gradient NaN where every prediction is exact; here it is 0.",
    ),
    reference="Legendre (1805), Nouvelles méthodes pour la détermination des orbites des comètes.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.mse_loss(pred, target).sqrt()\n",
        keras="import keras\n\nloss = keras.ops.sqrt(keras.ops.mean(keras.losses.mean_squared_error(target, pred)))\n",
        optax="import jax.numpy as jnp\nimport optax\n\n"
        "loss = jnp.sqrt(optax.losses.squared_error(pred, target).mean())\n",
        note="In scikit-learn, root_mean_squared_error is the same for one output.",
    ),
)


# --- smooth L1


def smooth_l1(*, pred: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """Absolute error with its corner rounded off: squared within ``beta`` of the label, slope 1 beyond.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        beta: where the two halves meet, in the unit of ``target``; 0 or more. At 0 it is the absolute error.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Girshick (2015), arXiv:1504.08083.
    """
    require_elementwise(pred=pred, target=target)
    return smooth_l1_loss(pred, target, reduction="none", beta=beta)


def _smooth_l1_grad(*, pred: Tensor, target: Tensor, beta: float) -> dict[str, Tensor]:
    residual = pred - target
    return {"pred": (residual / beta).clamp(-1, 1) if beta > 0 else residual.sign()}


def _within(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    return (pred - target).abs().clamp(max=beta)


def _smooth_l1_line(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    distance, near = (pred - target).abs(), _within(pred=pred, target=target, beta=beta)
    return distance - near * (1 - 0.5 * near / beta) if beta > 0 else distance


def _within_by_residual(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    residual = _residual(pred=pred, target=target)
    return residual.sign() * (residual.abs() < beta).to(pred.dtype)


def _smooth_l1_by_within(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    within = _within(pred=pred, target=target, beta=beta)
    return within / beta - 1 if beta > 0 else torch.zeros_like(within)


def _smooth_l1_by_pred(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    through_within = _smooth_l1_by_within(pred=pred, target=target, beta=beta)
    distance = _distance_by_residual(pred=pred, target=target)
    return distance + through_within * _within_by_residual(pred=pred, target=target, beta=beta)


SMOOTH_L1 = Loss(
    key="smooth_l1",
    name="Smooth L1",
    name_zh="平滑 L1 损失",
    family="robust",
    tasks=("regression", "detection"),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=smooth_l1,
    denominator=number_of_values,
    check=_check_finite,
    grad=_smooth_l1_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(r"m = \min(|r|, \beta)", _within),
        Line(r"\ell = |r| - m + \frac{m^2}{2 \beta} \quad (|r| \text{ at } \beta = 0)", _smooth_l1_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \min(\max(r / \beta, -1), 1)",
    derivation=(
        _RESIDUAL_BY_PRED,
        _DISTANCE_BY_RESIDUAL,
        Line(
            r"\frac{d m}{d r} = \begin{cases} \operatorname{sign}(r) & |r| < \beta \\ 0 & |r| \ge \beta \end{cases}",
            _within_by_residual,
        ),
        Line(
            r"\frac{\partial \ell}{\partial m} = -1 + \frac{m}{\beta} \quad (0 \text{ at } \beta = 0)",
            _smooth_l1_by_within,
        ),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \left(\frac{d |r|}{d r} + \frac{\partial \ell}{\partial m} \cdot "
            r"\frac{d m}{d r}\right) \frac{\partial r}{\partial \hat y} = \min(\max(r / \beta, -1), 1)",
            _smooth_l1_by_pred,
        ),
    ),
    params={"beta": Number("Residuals below this are counted squared; at 0 none are.", 1.0, 0.0, 100.0)},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=lambda _: 1.0),
        smooth=no(
            "all real predictions and labels; with a beta above 0 it is smooth with the constant 1 / beta",
            {"pred": [-1e-9], "target": [0.0]},
            {"pred": [1e-9], "target": [0.0]},
            beta=0.0,
        ),
        robust=yes(_EVERYWHERE, constant=lambda _: 1.0),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "It is Huber's loss divided by beta: as beta shrinks, its steep part near the label gets steeper, "
        "while Huber's far part gets flatter.",
        "beta is in the unit of the label; the usual 1 or 1/9 are meant for normalised box offsets.",
        "With a large beta it is nearly flat: the squared part is divided by beta.",
    ),
    reference="Girshick (2015), Fast R-CNN, arXiv:1504.08083.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.smooth_l1_loss(pred, target, beta={beta})\n",
        keras="import keras\n\n"
        "beta = {beta}\n"
        "if beta > 0:\n"
        "    loss = keras.ops.mean(keras.losses.huber(target, pred, delta=beta)) / beta\n"
        "else:\n"
        "    loss = keras.ops.mean(keras.losses.mean_absolute_error(target, pred))\n",
        optax="import jax.numpy as jnp\n"
        "import optax\n\n"
        "beta = {beta}\n"
        "if beta > 0:\n"
        "    loss = optax.losses.huber_loss(pred, target, delta=beta).mean() / beta\n"
        "else:\n"
        "    loss = jnp.abs(pred - target).mean()\n",
        note="Keras and Optax have Huber's loss alone; with delta = beta it is beta times this.",
    ),
)


# --- log-cosh


def log_cosh(*, pred: Tensor, target: Tensor) -> Tensor:
    """Logarithm of the hyperbolic cosine of the error: half its square when small, its size less ln 2 when large.

    Args:
        pred: predictions, shape ``(*batch)``.
        target: labels, same shape.

    Returns:
        Loss per value, shape ``(*batch)``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    require_elementwise(pred=pred, target=target)
    residual = pred - target
    distance = residual.abs()
    # cosh overflows far from the label, and the form without it loses all digits near the label.
    near = (2 * (0.5 * residual.clamp(-1, 1)).sinh() ** 2).log1p()
    far = distance + (-2 * distance).exp().log1p() - math.log(2)
    return near.where(distance < 1, far)


def _log_cosh_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": (pred - target).tanh()}


def _log_cosh_line(*, pred: Tensor, target: Tensor) -> Tensor:
    residual = pred - target
    return torch.logaddexp(residual, -residual) - math.log(2)


def _share_above(*, pred: Tensor, target: Tensor) -> Tensor:
    return (2 * _residual(pred=pred, target=target)).sigmoid()


def _log_cosh_by_residual(*, pred: Tensor, target: Tensor) -> Tensor:
    # The mirror image's share of it keeps the digits that 1 minus the share loses.
    return _share_above(pred=pred, target=target) - _share_above(pred=target, target=pred)


LOG_COSH = Loss(
    key="log_cosh",
    name="Log-cosh loss",
    name_zh="对数双曲余弦损失",
    family="robust",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=log_cosh,
    denominator=number_of_values,
    check=_check_finite,
    grad=_log_cosh_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(r"\ell = \ln \cosh r = \ln\left(e^{r} + e^{-r}\right) - \ln 2", _log_cosh_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \tanh r",
    derivation=(
        _RESIDUAL_BY_PRED,
        Line(r"p = \frac{e^{r}}{e^{r} + e^{-r}}", _share_above),
        Line(r"\frac{d \ell}{d r} = \frac{e^{r} - e^{-r}}{e^{r} + e^{-r}} = p - (1 - p)", _log_cosh_by_residual),
        Line(_CHAIN + r"\tanh r", _log_cosh_by_residual),
    ),
    params={},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=lambda _: 1.0),
        smooth=yes(_EVERYWHERE, constant=lambda _: 1.0),
        robust=yes(_EVERYWHERE, constant=lambda _: 1.0),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "It has no parameter: the bend is at an error of about 1, so the unit of the label decides what an outlier is.",
        "Written as log(cosh(r)) it overflows at an error of 710, in single precision at 89.",
        "Far from the label it is the absolute error less ln 2, near it half the squared error.",
    ),
    reference="Green (1990), Bayesian reconstructions from emission tomography data using a modified EM algorithm, "
    "doi:10.1109/42.52985.",
    code=Code(
        pytorch="import math\n\nimport torch\n\n"
        "error = pred - target\n"
        "loss = (torch.logaddexp(error, -error) - math.log(2)).mean()\n",
        keras="import keras\n\nloss = keras.ops.mean(keras.losses.log_cosh(target, pred))\n",
        optax="import optax\n\nloss = optax.losses.log_cosh(pred, target).mean()\n",
        note="All three agree.",
    ),
)


# --- Barron's general loss, and the members of its family that have names of their own


_C = Number("Width of the bowl around the label: errors well beyond it are outliers.", 1.0, 0.01, 100.0, "log")


def _u(*, pred: Tensor, target: Tensor, c: float, **_: object) -> Tensor:
    return ((pred - target) / c) ** 2


def _u_by_pred(*, pred: Tensor, target: Tensor, c: float, **_: object) -> Tensor:
    return 2 * (pred - target) / c**2


_U_BY_PRED = Line(r"\frac{\partial u}{\partial \hat y} = \frac{2 (\hat y - y)}{c^2}", _u_by_pred)
_U_CHAIN = r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d u} \cdot \frac{\partial u}{\partial \hat y} = "


def _inverse_c_squared(params: Params) -> float:
    return 1 / params["c"] ** 2


def barron(*, pred: Tensor, target: Tensor, alpha: float = 1.0, c: float = 1.0) -> Tensor:
    """One loss with a dial for robustness: squared at ``alpha`` 2, Charbonnier 1, Cauchy 0, Geman-McClure -2.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        alpha: the shape; the smaller, the less an outlier pulls. Minus infinity gives Welsch's loss.
        c: width of the bowl around the label, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Barron (2019), arXiv:1701.03077.
    """
    require_elementwise(pred=pred, target=target)
    u, b = _u(pred=pred, target=target, c=c), abs(alpha - 2)
    if b == 0:
        return 0.5 * u
    if alpha == -math.inf:
        return -(-0.5 * u).expm1()
    growth = (u / b).log1p()
    # Below this the limit is exact, and dividing by alpha would underflow.
    return 0.5 * b * growth if abs(alpha) < 1e-15 else b * ((0.5 * alpha * growth).expm1() / alpha)


def _barron_grad(*, pred: Tensor, target: Tensor, alpha: float, c: float) -> dict[str, Tensor]:
    u, b = _u(pred=pred, target=target, c=c), abs(alpha - 2)
    slope = (pred - target) / c**2
    if b == 0:
        return {"pred": slope}
    return {"pred": slope * ((-0.5 * u).exp() if alpha == -math.inf else (u / b + 1) ** (0.5 * alpha - 1))}


def _barron_line(*, pred: Tensor, target: Tensor, alpha: float, c: float) -> Tensor:
    u, b = _u(pred=pred, target=target, c=c), abs(alpha - 2)
    limits = {2.0: 0.5 * u, 0.0: (1 + 0.5 * u).log(), -math.inf: 1 - (-0.5 * u).exp()}
    return limits[alpha] if alpha in limits else b / alpha * ((u / b + 1) ** (0.5 * alpha) - 1)


def _barron_base(*, pred: Tensor, target: Tensor, alpha: float, c: float) -> Tensor:
    u, b = _u(pred=pred, target=target, c=c), abs(alpha - 2)
    return u / b + 1 if b > 0 else torch.ones_like(u)


def _barron_by_u(*, pred: Tensor, target: Tensor, alpha: float, c: float) -> Tensor:
    if alpha == -math.inf:
        return 0.5 * (-0.5 * _u(pred=pred, target=target, c=c)).exp()
    return 0.5 * _barron_base(pred=pred, target=target, alpha=alpha, c=c) ** (0.5 * alpha - 1)


def _barron_by_pred(*, pred: Tensor, target: Tensor, alpha: float, c: float) -> Tensor:
    return _barron_by_u(pred=pred, target=target, alpha=alpha, c=c) * _u_by_pred(pred=pred, target=target, c=c)


BARRON = Loss(
    key="barron",
    name="Barron's general robust loss",
    name_zh="Barron 通用鲁棒损失",
    family="robust",
    tasks=("regression", "adaptive"),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=barron,
    denominator=number_of_values,
    check=_check_finite,
    grad=_barron_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(r"u = (r / c)^2", _u),
        Line(
            r"\ell = \begin{cases} \tfrac{1}{2} u & \alpha = 2 \\ \ln\left(1 + \tfrac{1}{2} u\right) & \alpha = 0 \\ "
            r"1 - e^{-u / 2} & \alpha = -\infty \\ \frac{|\alpha - 2|}{\alpha} "
            r"\left(\left(\frac{u}{|\alpha - 2|} + 1\right)^{\alpha / 2} - 1\right) & \text{else} \end{cases}",
            _barron_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{r}{c^2} "
    r"\left(\frac{u}{|\alpha - 2|} + 1\right)^{\alpha / 2 - 1} \quad "
    r"\left(\frac{r}{c^2} e^{-u / 2} \text{ at } \alpha = -\infty\right)",
    derivation=(
        _U_BY_PRED,
        Line(r"k = \frac{u}{|\alpha - 2|} + 1 \quad (1 \text{ at } \alpha = 2)", _barron_base),
        Line(
            r"\frac{d \ell}{d u} = \begin{cases} \tfrac{1}{2} e^{-u / 2} & \alpha = -\infty \\ "
            r"\frac{|\alpha - 2|}{\alpha} \cdot \frac{\alpha}{2} k^{\alpha / 2 - 1} \cdot \frac{1}{|\alpha - 2|} = "
            r"\tfrac{1}{2} k^{\alpha / 2 - 1} & \text{else} \end{cases}",
            _barron_by_u,
        ),
        Line(
            _U_CHAIN + r"\frac{r}{c^2} k^{\alpha / 2 - 1} \quad "
            r"\left(\frac{r}{c^2} e^{-u / 2} \text{ at } \alpha = -\infty\right)",
            _barron_by_pred,
        ),
    ),
    params={
        "alpha": Number(
            "Shape: 2 is squared error, 1 a smooth absolute error, below 0 outliers are given up.",
            1.0,
            -16.0,
            4.0,
            also=(-math.inf,),
        ),
        "c": _C,
    },
    properties=Properties(
        convex_in_pred=no(
            "all real predictions and labels; convex where alpha is 1 or more",
            {"pred": [0.0], "target": [0.0]},
            {"pred": [10.0], "target": [0.0]},
            alpha=0.0,
        ),
        bounded=no(
            "all real predictions and labels; where alpha is below 0, (alpha - 2) / alpha is the bound",
            {"pred": [1e6], "target": [0.0]},
        ),
        lipschitz=no(
            "all real predictions and labels; Lipschitz with the constant 1 / c where alpha is at most 1",
            {"pred": [1e6], "target": [0.0]},
            alpha=2.0,
        ),
        smooth=no(
            "all real predictions and labels; smooth with the constant 1 / c^2 where alpha is at most 2",
            {"pred": [1e4], "target": [0.0]},
            {"pred": [1e4 + 1], "target": [0.0]},
            alpha=4.0,
        ),
        robust=no(
            "all real predictions and labels; robust where alpha is at most 1",
            {"pred": [0.0], "target": [1e6]},
            alpha=2.0,
        ),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "The general formula divides by zero at alpha = 0 and alpha = 2; there the limits are meant.",
        "Below alpha = 1 it is not convex, and a sample that starts far away may never be fitted: "
        "begin high, then lower it.",
        "Its members are scaled so that all have the same curvature at the label; the same names elsewhere "
        "often mean another factor or another c.",
    ),
    reference="Barron (2019), A general and adaptive robust loss function, arXiv:1701.03077.",
    code=Code(
        pytorch="import torch\n\n"
        "alpha, u = {alpha}, ((pred - target) / {c}) ** 2\n"
        "if alpha == 2:\n    loss = (u / 2).mean()\n"
        "elif alpha == 0:\n    loss = torch.log1p(u / 2).mean()\n"
        'elif alpha == float("-inf"):\n    loss = -torch.expm1(-u / 2).mean()\n'
        "else:\n"
        "    b = abs(alpha - 2)\n"
        "    loss = (b / alpha * torch.expm1(alpha / 2 * torch.log1p(u / b))).mean()\n",
        keras=None,
        optax=None,
        note="At c = 1 kornia has charbonnier_loss, cauchy_loss, geman_mcclure_loss and welsch_loss.",
    ),
)


def cauchy(*, pred: Tensor, target: Tensor, c: float = 1.0) -> Tensor:
    """Logarithm of one plus half the squared error: the pull of an outlier fades as one over its distance.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        c: width of the bowl around the label, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Black and Anandan (1996), doi:10.1006/cviu.1996.0006; scale of Barron (2019), arXiv:1701.03077.
    """
    require_elementwise(pred=pred, target=target)
    return (0.5 * _u(pred=pred, target=target, c=c)).log1p()


def _cauchy_grad(*, pred: Tensor, target: Tensor, c: float) -> dict[str, Tensor]:
    residual = pred - target
    return {"pred": 2 * residual / (2 * c**2 + residual**2)}


def _cauchy_line(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return (1 + 0.5 * _u(pred=pred, target=target, c=c)).log()


def _cauchy_slope(params: Params) -> float:
    return math.sqrt(0.5) / params["c"]


def _cauchy_by_u(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return 1 / (2 + _u(pred=pred, target=target, c=c))


def _cauchy_by_pred(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return _cauchy_by_u(pred=pred, target=target, c=c) * _u_by_pred(pred=pred, target=target, c=c)


CAUCHY = Loss(
    key="cauchy",
    name="Cauchy (Lorentzian) loss",
    name_zh="柯西（洛伦兹）损失",
    family="robust",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=cauchy,
    denominator=number_of_values,
    check=_check_finite,
    grad=_cauchy_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(r"u = (r / c)^2", _u),
        Line(r"\ell = \ln\left(1 + \tfrac{1}{2} u\right)", _cauchy_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{2 r}{2 c^2 + r^2}",
    derivation=(
        _U_BY_PRED,
        Line(r"\frac{d \ell}{d u} = \frac{1}{1 + \tfrac{1}{2} u} \cdot \tfrac{1}{2} = \frac{1}{2 + u}", _cauchy_by_u),
        Line(_U_CHAIN + r"\frac{2 r}{c^2 (2 + u)} = \frac{2 r}{2 c^2 + r^2}", _cauchy_by_pred),
    ),
    params={"c": _C},
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, {"pred": [0.0], "target": [0.0]}, {"pred": [10.0], "target": [0.0]}),
        bounded=no(_EVERYWHERE, {"pred": [1e100], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=_cauchy_slope),
        smooth=yes(_EVERYWHERE, constant=_inverse_c_squared),
        robust=yes(_EVERYWHERE, constant=_cauchy_slope),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "Texts on M-estimators write it as half c squared times ln(1 + (r / c)^2): another scale, "
        "and their c is this one times the square root of 2.",
        "It is not convex: where most labels are far away, the fit depends on where it starts.",
        "It is the negative log-likelihood of a Cauchy distribution of scale c times the square root of 2, "
        "without its constant.",
    ),
    reference="Black and Anandan (1996), The robust estimation of multiple motions: parametric and piecewise-smooth "
    "flow fields, doi:10.1006/cviu.1996.0006.",
    code=Code(
        pytorch="import torch\n\nloss = torch.log1p(((pred - target) / {c}) ** 2 / 2).mean()\n",
        keras=None,
        optax=None,
        note="In kornia it is cauchy_loss, at c = 1. SciPy's least_squares has ln(1 + (r / c)^2).",
    ),
)


def geman_mcclure(*, pred: Tensor, target: Tensor, c: float = 1.0) -> Tensor:
    """Squared error that levels off at 2: an outlier's pull fades as one over the cube of its distance.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        c: width of the bowl around the label, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit; from 0 to 2.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Geman and McClure (1985); scale of Barron (2019), arXiv:1701.03077.
    """
    require_elementwise(pred=pred, target=target)
    u = _u(pred=pred, target=target, c=c)
    return 2 * u / (u + 4)


def _geman_mcclure_grad(*, pred: Tensor, target: Tensor, c: float) -> dict[str, Tensor]:
    return {"pred": (pred - target) / c**2 * _kept(pred=pred, target=target, c=c) ** 2}


def _kept(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return 4 / (_u(pred=pred, target=target, c=c) + 4)


def _geman_mcclure_line(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return 2 * (1 - _kept(pred=pred, target=target, c=c))


def _geman_mcclure_slope(params: Params) -> float:
    return 3 * math.sqrt(3) / 8 / params["c"]


def _kept_by_u(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return -(_kept(pred=pred, target=target, c=c) ** 2) / 4


def _geman_mcclure_by_kept(*, pred: Tensor, **_: object) -> Tensor:
    return torch.full_like(pred, -2)


def _geman_mcclure_by_pred(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    by_u = _geman_mcclure_by_kept(pred=pred) * _kept_by_u(pred=pred, target=target, c=c)
    return by_u * _u_by_pred(pred=pred, target=target, c=c)


GEMAN_MCCLURE = Loss(
    key="geman_mcclure",
    name="Geman-McClure loss",
    name_zh="Geman-McClure 损失",
    family="robust",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=geman_mcclure,
    denominator=number_of_values,
    check=_check_finite,
    grad=_geman_mcclure_grad,
    formula=(
        Line(r"u = \left(\frac{\hat y - y}{c}\right)^2", _u),
        Line(r"w = \frac{4}{u + 4}", _kept),
        Line(r"\ell = \frac{2 u}{u + 4} = 2 (1 - w)", _geman_mcclure_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{\hat y - y}{c^2} w^2",
    derivation=(
        _U_BY_PRED,
        Line(r"\frac{d w}{d u} = -\frac{4}{(u + 4)^2} = -\frac{w^2}{4}", _kept_by_u),
        Line(r"\frac{d \ell}{d w} = -2", _geman_mcclure_by_kept),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d w} \cdot \frac{d w}{d u} \cdot "
            r"\frac{\partial u}{\partial \hat y} = \frac{\hat y - y}{c^2} w^2",
            _geman_mcclure_by_pred,
        ),
    ),
    params={"c": _C},
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, {"pred": [0.0], "target": [0.0]}, {"pred": [10.0], "target": [0.0]}),
        bounded=yes(_EVERYWHERE, constant=lambda _: 2.0),
        lipschitz=yes(_EVERYWHERE, constant=_geman_mcclure_slope),
        smooth=yes(_EVERYWHERE, constant=_inverse_c_squared),
        robust=yes(_EVERYWHERE, constant=_geman_mcclure_slope),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "The original is r^2 / (1 + r^2), which levels off at 1; here it levels off at 2, "
        "and the curvature at the label is 1 / c^2.",
        "Far from the label nearly nothing pulls: a poor start stays poor.",
    ),
    reference="Geman and McClure (1985), Bayesian image analysis: an application to single photon emission tomography, "
    "Proceedings of the Statistical Computing Section, American Statistical Association.",
    code=Code(
        pytorch="u = ((pred - target) / {c}) ** 2\nloss = (2 * u / (u + 4)).mean()\n",
        keras=None,
        optax=None,
        note="At c = 1 it is kornia's geman_mcclure_loss.",
    ),
)


def welsch(*, pred: Tensor, target: Tensor, c: float = 1.0) -> Tensor:
    """One minus a bell curve of the error: beyond a few ``c`` a sample no longer counts at all.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        c: width of the bowl around the label, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, without unit; from 0 to 1.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Dennis and Welsch (1978), doi:10.1080/03610917808812083; scale of Barron (2019), arXiv:1701.03077.
    """
    require_elementwise(pred=pred, target=target)
    return -(-0.5 * _u(pred=pred, target=target, c=c)).expm1()


def _welsch_grad(*, pred: Tensor, target: Tensor, c: float) -> dict[str, Tensor]:
    return {"pred": (pred - target) / c**2 * _bell(pred=pred, target=target, c=c)}


def _bell(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return (-0.5 * _u(pred=pred, target=target, c=c)).exp()


def _welsch_line(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return 1 - _bell(pred=pred, target=target, c=c)


def _welsch_slope(params: Params) -> float:
    return math.exp(-0.5) / params["c"]


def _bell_by_u(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return -0.5 * _bell(pred=pred, target=target, c=c)


def _welsch_by_bell(*, pred: Tensor, **_: object) -> Tensor:
    return -torch.ones_like(pred)


def _welsch_by_pred(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    by_u = _welsch_by_bell(pred=pred) * _bell_by_u(pred=pred, target=target, c=c)
    return by_u * _u_by_pred(pred=pred, target=target, c=c)


WELSCH = Loss(
    key="welsch",
    name="Welsch (Leclerc) loss",
    name_zh="Welsch（Leclerc）损失",
    family="robust",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=welsch,
    denominator=number_of_values,
    check=_check_finite,
    grad=_welsch_grad,
    formula=(
        Line(r"u = \left(\frac{\hat y - y}{c}\right)^2", _u),
        Line(r"w = e^{-u / 2}", _bell),
        Line(r"\ell = 1 - w", _welsch_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{\hat y - y}{c^2} w",
    derivation=(
        _U_BY_PRED,
        Line(r"\frac{d w}{d u} = -\tfrac{1}{2} e^{-u / 2} = -\tfrac{1}{2} w", _bell_by_u),
        Line(r"\frac{d \ell}{d w} = -1", _welsch_by_bell),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d w} \cdot \frac{d w}{d u} \cdot "
            r"\frac{\partial u}{\partial \hat y} = \frac{\hat y - y}{c^2} w",
            _welsch_by_pred,
        ),
    ),
    params={"c": _C},
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, {"pred": [0.0], "target": [0.0]}, {"pred": [10.0], "target": [0.0]}),
        bounded=yes(_EVERYWHERE, constant=lambda _: 1.0),
        lipschitz=yes(_EVERYWHERE, constant=_welsch_slope),
        smooth=yes(_EVERYWHERE, constant=_inverse_c_squared),
        robust=yes(_EVERYWHERE, constant=_welsch_slope),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "Ten widths from the label the gradient is 0 to twenty digits: such samples never come back.",
        "Texts on M-estimators write half c squared times (1 - exp(-(r / c)^2)): another scale, "
        "and their c is this one times the square root of 2.",
        "Written as 1 - exp(...) it loses all digits near the label; expm1 keeps them.",
    ),
    reference="Dennis and Welsch (1978), Techniques for nonlinear least squares and robust regression, "
    "doi:10.1080/03610917808812083.",
    code=Code(
        pytorch="import torch\n\nloss = -torch.expm1(-(((pred - target) / {c}) ** 2) / 2).mean()\n",
        keras=None,
        optax=None,
        note="At c = 1 it is kornia's welsch_loss.",
    ),
)


# --- pseudo-Huber


def pseudo_huber(*, pred: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
    """Huber's loss without a seam: half the squared error near the label, slope ``delta`` far from it.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        delta: about where it turns from one to the other, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target`` squared.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Charbonnier et al. (1994), doi:10.1109/ICIP.1994.413553.
    """
    require_elementwise(pred=pred, target=target)
    # The root minus 1 would lose all digits near the label.
    return (pred - target) ** 2 / (1 + _stretch(pred=pred, target=target, delta=delta))


def _stretch(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    return (1 + ((pred - target) / delta) ** 2).sqrt()


def _pseudo_huber_grad(*, pred: Tensor, target: Tensor, delta: float) -> dict[str, Tensor]:
    return {"pred": (pred - target) / _stretch(pred=pred, target=target, delta=delta)}


def _pseudo_huber_line(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    return delta**2 * (_stretch(pred=pred, target=target, delta=delta) - 1)


def _stretch_by_residual(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    return _residual(pred=pred, target=target) / (delta**2 * _stretch(pred=pred, target=target, delta=delta))


def _pseudo_huber_by_stretch(*, pred: Tensor, delta: float, **_: object) -> Tensor:
    return torch.full_like(pred, delta**2)


def _pseudo_huber_by_pred(*, pred: Tensor, target: Tensor, delta: float) -> Tensor:
    by_stretch = _pseudo_huber_by_stretch(pred=pred, delta=delta)
    return by_stretch * _stretch_by_residual(pred=pred, target=target, delta=delta)


PSEUDO_HUBER = Loss(
    key="pseudo_huber",
    name="Pseudo-Huber (Charbonnier) loss",
    name_zh="伪 Huber（Charbonnier）损失",
    family="robust",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=pseudo_huber,
    denominator=number_of_values,
    check=_check_finite,
    grad=_pseudo_huber_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(r"s = \sqrt{1 + (r / \delta)^2}", _stretch),
        Line(r"\ell = \delta^2 (s - 1)", _pseudo_huber_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{r}{s}",
    derivation=(
        _RESIDUAL_BY_PRED,
        Line(
            r"\frac{d s}{d r} = \frac{1}{2 s} \cdot \frac{2 r}{\delta^2} = \frac{r}{\delta^2 s}", _stretch_by_residual
        ),
        Line(r"\frac{d \ell}{d s} = \delta^2", _pseudo_huber_by_stretch),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d s} \cdot \frac{d s}{d r} \cdot "
            r"\frac{\partial r}{\partial \hat y} = \frac{r}{s}",
            _pseudo_huber_by_pred,
        ),
    ),
    params={"delta": Number("Errors well beyond this pull with this strength.", 1.0, 0.01, 100.0, "log")},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=lambda p: p["delta"]),
        smooth=yes(_EVERYWHERE, constant=lambda _: 1.0),
        robust=yes(_EVERYWHERE, constant=lambda p: p["delta"]),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "Papers on images write Charbonnier's loss as the root of r^2 + eps^2, which is eps and not 0 at the label.",
        "It is not Huber's loss: far from the label it is smaller by half of delta squared.",
        "Barron's loss at alpha = 1 is this divided by delta squared.",
    ),
    reference="Charbonnier, Blanc-Féraud, Aubert and Barlaud (1994), Two deterministic half-quadratic regularization "
    "algorithms for computed imaging, doi:10.1109/ICIP.1994.413553.",
    code=Code(
        pytorch="import torch\n\n"
        "loss = ({delta} ** 2 * (torch.sqrt(1 + ((pred - target) / {delta}) ** 2) - 1)).mean()\n",
        keras=None,
        optax=None,
        note="SciPy's scipy.special.pseudo_huber(delta, r) is the same.",
    ),
)


# --- Tukey's biweight


def tukey_biweight(*, pred: Tensor, target: Tensor, c: float = 4.685) -> Tensor:
    """Squared error near the label that bends until it is flat at ``c``: beyond, a sample has no say whatever.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        c: from here on the loss is constant, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target`` squared; from 0 to ``c**2 / 6``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Beaton and Tukey (1974), doi:10.1080/00401706.1974.10489171.
    """
    require_elementwise(pred=pred, target=target)
    u = _inside(pred=pred, target=target, c=c)
    # 1 - (1 - u)^3 multiplied out, since the difference loses all digits near the label.
    return c**2 / 6 * u * (3 - 3 * u + u**2)


def _inside(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return _u(pred=pred, target=target, c=c).clamp(max=1)


def _tukey_grad(*, pred: Tensor, target: Tensor, c: float) -> dict[str, Tensor]:
    return {"pred": (pred - target) * (1 - _inside(pred=pred, target=target, c=c)) ** 2}


def _tukey_line(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return c**2 / 6 * (1 - (1 - _inside(pred=pred, target=target, c=c)) ** 3)


def _tukey_slope(params: Params) -> float:
    return 16 * math.sqrt(5) / 125 * params["c"]


def _inside_by_residual(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    residual = _residual(pred=pred, target=target)
    return 2 * residual / c**2 * (residual.abs() < c).to(pred.dtype)


def _tukey_by_inside(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    return c**2 / 2 * (1 - _inside(pred=pred, target=target, c=c)) ** 2


def _tukey_by_pred(*, pred: Tensor, target: Tensor, c: float) -> Tensor:
    by_inside = _tukey_by_inside(pred=pred, target=target, c=c)
    return by_inside * _inside_by_residual(pred=pred, target=target, c=c)


TUKEY_BIWEIGHT = Loss(
    key="tukey_biweight",
    name="Tukey's biweight (bisquare) loss",
    name_zh="Tukey 双权损失",
    family="robust",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=tukey_biweight,
    denominator=number_of_values,
    check=_check_finite,
    grad=_tukey_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(r"u = \min\left((r / c)^2, 1\right)", _inside),
        Line(r"\ell = \frac{c^2}{6} \left(1 - (1 - u)^3\right)", _tukey_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = r (1 - u)^2",
    derivation=(
        _RESIDUAL_BY_PRED,
        Line(r"\frac{d u}{d r} = \begin{cases} 2 r / c^2 & |r| < c \\ 0 & |r| \ge c \end{cases}", _inside_by_residual),
        Line(r"\frac{d \ell}{d u} = \frac{c^2}{6} \cdot 3 (1 - u)^2 = \frac{c^2}{2} (1 - u)^2", _tukey_by_inside),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d u} \cdot \frac{d u}{d r} \cdot "
            r"\frac{\partial r}{\partial \hat y} = r (1 - u)^2",
            _tukey_by_pred,
        ),
    ),
    params={
        "c": Number("Errors beyond this are given up; 4.685 suits errors whose scale is 1.", 4.685, 0.01, 100.0, "log")
    },
    properties=Properties(
        convex_in_pred=no(_EVERYWHERE, {"pred": [0.0], "target": [0.0]}, {"pred": [20.0], "target": [0.0]}),
        bounded=yes(_EVERYWHERE, constant=lambda p: p["c"] ** 2 / 6),
        lipschitz=yes(_EVERYWHERE, constant=_tukey_slope),
        smooth=yes(_EVERYWHERE, constant=lambda _: 1.0),
        robust=yes(_EVERYWHERE, constant=_tukey_slope),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "Beyond c the gradient is exactly 0: a network that starts too far away does not learn at all.",
        "The 4.685 is 95 % efficient on normal errors of scale 1: divide the errors by a robust scale first, "
        "such as 1.4826 times their median absolute deviation.",
        "Some libraries divide by c^2 / 6, so that it levels off at 1.",
    ),
    reference="Beaton and Tukey (1974), The fitting of power series, meaning polynomials, illustrated on "
    "band-spectroscopic data, doi:10.1080/00401706.1974.10489171.",
    code=Code(
        pytorch="u = (((pred - target) / {c}) ** 2).clamp(max=1)\nloss = ({c} ** 2 / 6 * (1 - (1 - u) ** 3)).mean()\n",
        keras=None,
        optax=None,
        note="The rho of statsmodels' TukeyBiweight is the same.",
    ),
)


# --- epsilon-insensitive


def epsilon_insensitive(*, pred: Tensor, target: Tensor, epsilon: float = 0.1) -> Tensor:
    """Absolute error with a free tube: what is closer to the label than ``epsilon`` costs nothing.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        epsilon: half the width of the tube, in the unit of ``target``; 0 or more. At 0 it is the absolute error.

    Returns:
        Loss per value, shape ``(*batch)``, in the unit of ``target``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Vapnik (1995), doi:10.1007/978-1-4757-2440-0.
    """
    require_elementwise(pred=pred, target=target)
    return relu((pred - target).abs() - epsilon)


def _epsilon_insensitive_grad(*, pred: Tensor, target: Tensor, epsilon: float) -> dict[str, Tensor]:
    residual = pred - target
    return {"pred": residual.sign() * (residual.abs() > epsilon).to(pred.dtype)}


def _epsilon_insensitive_line(*, pred: Tensor, target: Tensor, epsilon: float) -> Tensor:
    residual = pred - target
    return (residual - epsilon).maximum(-residual - epsilon).clamp(min=0)


def _outside_tube(*, pred: Tensor, target: Tensor, epsilon: float) -> Tensor:
    return (_residual(pred=pred, target=target).abs() > epsilon).to(pred.dtype)


def _epsilon_insensitive_by_pred(*, pred: Tensor, target: Tensor, epsilon: float) -> Tensor:
    outside = _outside_tube(pred=pred, target=target, epsilon=epsilon)
    return outside * _distance_by_residual(pred=pred, target=target)


EPSILON_INSENSITIVE = Loss(
    key="epsilon_insensitive",
    name="Epsilon-insensitive loss",
    name_zh="ε-不敏感损失",
    family="robust",
    tasks=("regression",),
    input_kind="regression",
    inputs=_INPUTS,
    differentiable=("pred",),
    fn=epsilon_insensitive,
    denominator=number_of_values,
    check=_check_finite,
    grad=_epsilon_insensitive_grad,
    formula=(
        Line(r"r = \hat y - y", _residual),
        Line(
            r"\ell = \max(0, |r| - \epsilon) = \max(0, r - \epsilon, -r - \epsilon)",
            _epsilon_insensitive_line,
        ),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = "
    r"\begin{cases} \operatorname{sign}(r) & |r| > \epsilon \\ 0 & |r| \le \epsilon \end{cases}",
    derivation=(
        _RESIDUAL_BY_PRED,
        _DISTANCE_BY_RESIDUAL,
        Line(
            r"\frac{d \ell}{d |r|} = \begin{cases} 1 & |r| > \epsilon \\ 0 & |r| \le \epsilon \end{cases}",
            _outside_tube,
        ),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{d \ell}{d |r|} \cdot \frac{d |r|}{d r} \cdot "
            r"\frac{\partial r}{\partial \hat y} = "
            r"\begin{cases} \operatorname{sign}(r) & |r| > \epsilon \\ 0 & |r| \le \epsilon \end{cases}",
            _epsilon_insensitive_by_pred,
        ),
    ),
    params={"epsilon": Number("Errors up to this size are free.", 0.1, 0.0, 10.0)},
    properties=Properties(
        convex_in_pred=yes(_EVERYWHERE),
        bounded=no(_EVERYWHERE, {"pred": [1e6], "target": [0.0]}),
        lipschitz=yes(_EVERYWHERE, constant=lambda _: 1.0),
        smooth=no(_EVERYWHERE, {"pred": [0.1 - 1e-9], "target": [0.0]}, {"pred": [0.1 + 1e-9], "target": [0.0]}),
        robust=yes(_EVERYWHERE, constant=lambda _: 1.0),
        symmetric=yes(_EVERYWHERE),
        scale_invariant=no(_EVERYWHERE, {"pred": [2.0], "target": [1.0]}),
    ),
    pitfalls=(
        "epsilon is in the unit of the label: after rescaling the labels it has to be rescaled too.",
        "Inside the tube there is no gradient: the fit stops at its wall, not at the label.",
        "Its square is another loss, squared_epsilon_insensitive in scikit-learn.",
    ),
    reference="Vapnik (1995), The Nature of Statistical Learning Theory, doi:10.1007/978-1-4757-2440-0.",
    code=Code(
        pytorch="import torch\n\nloss = torch.relu((pred - target).abs() - {epsilon}).mean()\n",
        keras=None,
        optax=None,
        note="It is what SVR in scikit-learn minimises.",
    ),
)


LOSSES: tuple[Loss, ...] = (
    RMSE,
    SMOOTH_L1,
    LOG_COSH,
    BARRON,
    CAUCHY,
    GEMAN_MCCLURE,
    WELSCH,
    PSEUDO_HUBER,
    TUKEY_BIWEIGHT,
    EPSILON_INSENSITIVE,
)
