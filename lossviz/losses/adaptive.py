"""Losses that tune their own shape or the weight of each sample."""

import math

import torch
from torch import Tensor

from lossviz.losses._checks import (
    check_above,
    check_between,
    check_finite,
    require_axes,
    require_elementwise,
    require_floating,
    require_shape,
)
from lossviz.losses.entry import Code, Inputs, Line, Loss, Number, Params, Properties, no, number_of_values, yes

# --- adaptive robust loss


def barron_adaptive(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    """Negative log-likelihood of the distribution behind Barron's loss: shape and width can be learnt with the rest.

    A wide or heavy-tailed distribution forgives outliers, but has to pay for it at every other sample.

    Args:
        pred: predictions, shape ``(*batch)``, in the unit of ``target``.
        target: labels, same shape.
        alpha: shape, ``()``; from 0 (Cauchy) to 2 (normal). Its gradient at the ends is the one just inside.
        c: width, ``()``, in the unit of ``target``; above 0.

    Returns:
        Loss per value, shape ``(*batch)``, in nats; it may be negative.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Barron (2019), arXiv:1701.03077.
    """
    _require_adaptive(pred, target, alpha, c)
    shape = _inner(alpha)
    distance = _rho(((pred - target) / c).double(), shape)
    return (distance + _log_partition(shape)).to(pred.dtype) + c.log()


def _require_adaptive(pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> None:
    require_elementwise(pred=pred, target=target)
    require_floating(pred=pred, alpha=alpha, c=c)
    for name, tensor in (("alpha", alpha), ("c", c)):
        require_shape(name, tensor, (), "one number for all samples")


def _inner(alpha: Tensor) -> Tensor:
    """The shape in double precision, kept off 0 and 2, where the general formula divides by 0; its gradient passes."""
    exact = alpha.double()
    return exact + (exact.clamp(1e-8, 2 - 1e-8) - exact).detach()


def _rho(x: Tensor, alpha: Tensor) -> Tensor:
    b = 2 - alpha
    return b * (0.5 * alpha * (x**2 / b).log1p()).expm1() / alpha


# Steps of a trapezoidal rule in t, x = sinh(pi / 2 sinh t): its error falls exponentially in the number of steps, even
# for the Cauchy distribution, whose tail would need a million steps in x.
_STEP = 0.02
_STEPS = 200


def _log_partition(alpha: Tensor) -> Tensor:
    """Logarithm of the integral of ``exp(-rho(x, alpha, 1))`` over all x."""
    t = torch.arange(-_STEPS, _STEPS + 1, dtype=torch.float64, device=alpha.device) * _STEP
    inner = 0.5 * math.pi * t.sinh()
    weight = _STEP * 0.5 * math.pi * t.cosh() * inner.cosh()
    return (weight * (-_rho(inner.sinh(), alpha)).exp()).sum().log()


def _barron_outputs(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> dict[str, Tensor]:
    return {"logZ": _log_z(alpha=alpha)}


def _check_adaptive(inputs: Inputs, params: Params) -> None:
    _require_adaptive(inputs["pred"], inputs["target"], inputs["alpha"], inputs["c"])
    check_finite(pred=inputs["pred"], target=inputs["target"])
    check_between("alpha", inputs["alpha"], 0, 2)
    check_above("c", inputs["c"], 0)


def _log_z(*, alpha: Tensor, **_: object) -> Tensor:
    return _log_partition(_inner(alpha)).to(alpha.dtype)


def _shape_term(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    a = _inner(alpha)
    u = ((pred - target) / c).double() ** 2
    return ((2 - a) / a * ((1 + u / (2 - a)).pow(0.5 * a) - 1)).to(pred.dtype)


def _adaptive_line(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    return _shape_term(pred=pred, target=target, alpha=alpha, c=c) + c.log() + _log_z(alpha=alpha)


def _base(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    u = ((pred - target) / c).double() ** 2
    return (u / (2 - _inner(alpha)) + 1).to(pred.dtype)


def _base_by_pred(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    return (2 * (pred - target) / (c**2 * (2 - _inner(alpha)))).to(pred.dtype)


def _shape_by_base(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    a, base = _inner(alpha), _base(pred=pred, target=target, alpha=alpha, c=c)
    return (0.5 * (2 - a) * base.double() ** (0.5 * a - 1)).to(pred.dtype)


def _normaliser_by_pred(*, pred: Tensor, **_: object) -> Tensor:
    return torch.zeros_like(pred)


def _adaptive_by_pred(*, pred: Tensor, target: Tensor, alpha: Tensor, c: Tensor) -> Tensor:
    by_base = _shape_by_base(pred=pred, target=target, alpha=alpha, c=c)
    return by_base * _base_by_pred(pred=pred, target=target, alpha=alpha, c=c)


BARRON_ADAPTIVE = Loss(
    key="barron_adaptive",
    name="Barron's adaptive robust loss",
    name_zh="Barron 自适应鲁棒损失",
    family="adaptive",
    tasks=("adaptive",),
    input_kind="robust_shape",
    inputs={
        "pred": "prediction, any shape",
        "target": "label, the shape of pred",
        "alpha": "shape from 0 to 2, ()",
        "c": "width above 0, ()",
    },
    differentiable=("pred", "alpha", "c"),
    fn=barron_adaptive,
    denominator=number_of_values,
    check=_check_adaptive,
    grad=None,
    formula=(
        Line(
            r"\rho = \frac{2 - \alpha}{\alpha} \left(\left(\frac{(\hat y - y)^2}{c^2 (2 - \alpha)} + 1\right)"
            r"^{\alpha / 2} - 1\right)",
            _shape_term,
        ),
        Line(r"\ln Z = \ln \int_{-\infty}^{\infty} e^{-\rho(x, \alpha, 1)} \, dx", _log_z),
        Line(r"\ell = \rho + \ln c + \ln Z", _adaptive_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat y} = \frac{\hat y - y}{c^2} "
    r"\left(\frac{(\hat y - y)^2}{c^2 (2 - \alpha)} + 1\right)^{\alpha / 2 - 1}, \quad "
    r"\frac{\partial \ell}{\partial \alpha} = \frac{\partial \rho}{\partial \alpha} - "
    r"\operatorname{E}_x\left[\frac{\partial \rho(x, \alpha, 1)}{\partial \alpha}\right]",
    derivation=(
        Line(r"k = \frac{(\hat y - y)^2}{c^2 (2 - \alpha)} + 1", _base),
        Line(r"\frac{\partial k}{\partial \hat y} = \frac{2 (\hat y - y)}{c^2 (2 - \alpha)}", _base_by_pred),
        Line(
            r"\frac{\partial \rho}{\partial k} = \frac{2 - \alpha}{\alpha} \cdot \frac{\alpha}{2} k^{\alpha / 2 - 1} = "
            r"\frac{2 - \alpha}{2} k^{\alpha / 2 - 1}",
            _shape_by_base,
        ),
        Line(r"\frac{\partial}{\partial \hat y} \left(\ln c + \ln Z\right) = 0", _normaliser_by_pred),
        Line(
            r"\frac{\partial \ell}{\partial \hat y} = \frac{\partial \rho}{\partial k} \cdot "
            r"\frac{\partial k}{\partial \hat y} + 0 = \frac{\hat y - y}{c^2} k^{\alpha / 2 - 1}",
            _adaptive_by_pred,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_pred=no(
            "all real predictions, a fixed shape; convex where it is 1 or more",
            {"pred": [0.0], "target": [0.0], "alpha": 0.0, "c": 1.0},
            {"pred": [10.0], "target": [0.0], "alpha": 0.0, "c": 1.0},
        ),
        bounded=no("all real predictions", {"pred": [1e6], "target": [0.0], "alpha": 1.0, "c": 1.0}),
        lipschitz=no(
            "all real predictions, a fixed shape and width; a shape of 1 or less has a slope of at most 1 / width",
            {"pred": [1e6], "target": [0.0], "alpha": 1.9, "c": 1.0},
        ),
        # With k as in the derivation the curvature is k^(alpha / 2 - 2) (1 + (alpha - 1) (k - 1)) / c^2. The second
        # factor is at most k in size.
        smooth=yes(
            "all real predictions, a fixed shape and a fixed width of 0.1 or more; the bound is 1 / width squared",
            constant=lambda _: 100.0,
        ),
        robust=no(
            "all real predictions and labels, shapes above 1", {"pred": [0.0], "target": [1e8], "alpha": 1.5, "c": 1.0}
        ),
        symmetric=yes("all real predictions and labels"),
        scale_invariant=no(
            "prediction and label together at a fixed shape and width",
            {"pred": [2.0], "target": [1.0], "alpha": 1.0, "c": 1.0},
        ),
    ),
    pitfalls=(
        "The logarithms keep it honest: without that of Z alpha runs to 0, without that of c the width grows for ever.",
        "Learn alpha and c through a sigmoid and a softplus, so that they stay in their ranges.",
        "At alpha = 2 the slope in alpha is infinite; near it the author's code is off, since it interpolates Z.",
        "A width below 0.4 at alpha = 2, or 0.22 at alpha = 0, makes it negative near the label: "
        "a density may exceed 1.",
    ),
    reference="Barron (2019), A general and adaptive robust loss function, arXiv:1701.03077.",
    code=Code(
        pytorch="import math\n\nimport torch\n\n\n"
        "def rho(x):\n"
        "    a = alpha.double().clamp(1e-8, 2 - 1e-8)\n"
        "    b = 2 - a\n"
        "    return b * torch.expm1(a / 2 * torch.log1p(x**2 / b)) / a\n\n\n"
        "# The integral of exp(-rho) with x = sinh(pi / 2 sinh(t)), by the trapezoidal rule.\n"
        "t = torch.linspace(-4, 4, 401, dtype=torch.float64)\n"
        "x = torch.sinh(math.pi / 2 * torch.sinh(t))\n"
        "slope = math.pi / 2 * torch.cosh(t) * torch.cosh(math.pi / 2 * torch.sinh(t))\n"
        "log_z = torch.log((torch.exp(-rho(x)) * slope).sum() * 8 / 400)\n"
        "loss = (rho((pred - target) / c) + torch.log(c) + log_z).mean()\n",
        keras=None,
        optax=None,
        note="The author's robust_loss_pytorch has it as AdaptiveLossFunction, with a spline for Z.",
    ),
    outputs=_barron_outputs,
)


# --- SuperLoss


def superloss(*, losses: Tensor, tau: float = 1.0, lambda_: float = 1.0) -> Tensor:
    """Wraps the loss of each sample and plays down those above a threshold: a curriculum without a schedule.

    Args:
        losses: loss of each sample, shape ``(N,)``; of either sign.
        tau: the threshold between easy and hard, in the unit of the losses; often their running mean.
        lambda_: how gently it weighs, in the unit of the losses; above 0. The larger, the nearer to no weighing.

    Returns:
        Loss per sample, shape ``(N,)``, in the unit of the losses; it may be negative.

    Raises:
        ValueError: shape or dtype does not fit, or the batch is empty.

    Reference: Castells, Weinzaepfel and Revaud (2020), SuperLoss: a generic loss for robust curriculum learning.
    """
    _require_losses(losses)
    log_sigma = -_lambert(losses.detach(), tau, lambda_)
    return (losses - tau) * log_sigma.exp() + lambda_ * log_sigma**2


def _require_losses(losses: Tensor) -> None:
    require_floating(losses=losses)
    require_axes("(N,)", losses=losses)


def _lambert(losses: Tensor, tau: float, lambda_: float) -> Tensor:
    """Lambert's W (``W exp(W) = z``, W at least -1) of half the excess over ``lambda_``, which is at least -1 / e."""
    z = (0.5 * (losses.double() - tau) / lambda_).clamp(min=-1 / math.e)
    p = (2 * (math.e * z + 1)).clamp(min=0).sqrt()
    # The series about the branch point, where Newton's steps divide by 0.
    near = -1 + p * (1 + p * (-1 / 3 + p * (11 / 72 + p * (-43 / 540 + p * 769 / 17280))))
    w = torch.where(z > 0, z.clamp(min=0).log1p(), near)
    for _ in range(12):
        w = torch.where(p > 1e-2, w - (w - z * (-w).exp()) / (1 + w), w)
    return w.to(losses.dtype)


def _sigma(*, losses: Tensor, tau: float, lambda_: float) -> Tensor:
    return (-_lambert(losses.detach(), tau, lambda_)).exp()


def _superloss_grad(*, losses: Tensor, tau: float, lambda_: float) -> dict[str, Tensor]:
    return {"losses": _sigma(losses=losses, tau=tau, lambda_=lambda_)}


def _superloss_outputs(*, losses: Tensor, tau: float, lambda_: float) -> dict[str, Tensor]:
    return {"sigma": _sigma(losses=losses, tau=tau, lambda_=lambda_)}


def _check_losses(inputs: Inputs, params: Params) -> None:
    _require_losses(inputs["losses"])
    check_finite(losses=inputs["losses"])


def _excess(*, losses: Tensor, tau: float, lambda_: float) -> Tensor:
    return (0.5 * (losses - tau) / lambda_).clamp(min=-1 / math.e)


def _superloss_line(*, losses: Tensor, tau: float, lambda_: float) -> Tensor:
    sigma = _sigma(losses=losses, tau=tau, lambda_=lambda_)
    return (losses - tau) * sigma + lambda_ * sigma.log() ** 2


_THRESHOLD = 1 - 2 / math.e


def _superloss_by_sigma(*, losses: Tensor, tau: float, lambda_: float) -> Tensor:
    sigma = _sigma(losses=losses, tau=tau, lambda_=lambda_)
    return losses - tau + 2 * lambda_ * sigma.log() / sigma


def _sigma_by_loss(*, losses: Tensor, tau: float, lambda_: float) -> Tensor:
    w = _lambert(losses, tau, lambda_)
    return torch.where(w > -1, -(-2 * w).exp() / (2 * lambda_ * (1 + w)), torch.zeros_like(w))


SUPERLOSS = Loss(
    key="superloss",
    name="SuperLoss",
    name_zh="SuperLoss（课程损失）",
    family="adaptive",
    tasks=("adaptive",),
    input_kind="per_sample",
    inputs={"losses": "loss of each sample, (N,)"},
    differentiable=("losses",),
    fn=superloss,
    denominator=number_of_values,
    check=_check_losses,
    grad=_superloss_grad,
    formula=(
        Line(r"z = \max\left(-\frac{1}{e}, \frac{\ell - \tau}{2 \lambda}\right)", _excess),
        Line(r"\sigma = e^{-W(z)}, \quad W e^W = z", _sigma),
        Line(r"L = (\ell - \tau)\,\sigma + \lambda \ln^2 \sigma", _superloss_line),
    ),
    gradient=r"\frac{\partial L}{\partial \ell} = \sigma",
    derivation=(
        Line(r"\frac{\partial L(\ell, \sigma)}{\partial \ell} = \sigma", _sigma),
        Line(
            r"\frac{\partial L(\ell, \sigma)}{\partial \sigma} = \ell - \tau + \frac{2 \lambda \ln \sigma}{\sigma} = "
            r"\ell - \tau - 2 \lambda z, \quad 0 \text{ where } z > -\frac{1}{e}",
            _superloss_by_sigma,
        ),
        Line(
            r"\frac{d \sigma}{d \ell} = -\frac{\sigma^2}{2 \lambda (1 + W)}, \quad "
            r"0 \text{ where } z = -\frac{1}{e}",
            _sigma_by_loss,
        ),
        Line(
            r"\frac{\partial L}{\partial \ell} = \sigma + \frac{\partial L(\ell, \sigma)}{\partial \sigma} \cdot "
            r"\frac{d \sigma}{d \ell} = \sigma + 0",
            _sigma,
        ),
    ),
    params={
        "tau": Number("Losses above this are hard, those below easy.", 1.0, -100.0, 100.0),
        "lambda_": Number("How gently it weighs; the larger, the more alike the weights.", 1.0, 0.01, 100.0, "log"),
    },
    properties=Properties(
        convex_in_pred=no("all real losses; it is concave", {"losses": [1.0]}, {"losses": [10.0]}),
        bounded=no("all real losses", {"losses": [1e100]}),
        lipschitz=yes("all real losses", constant=lambda _: math.e),
        smooth=no(
            "all real losses; the weight falls infinitely fast where it leaves its ceiling, e",
            {"losses": [_THRESHOLD]},
            {"losses": [_THRESHOLD + 1e-13]},
        ),
        symmetric=no("a loss above tau and one as far below it", {"losses": [2.0]}, {"losses": [0.0]}),
        scale_invariant=no("all real losses", {"losses": [2.0]}),
    ),
    pitfalls=(
        "It wants the loss of each sample: given the mean of a batch it weighs the whole batch alike.",
        "The weight is a constant for the gradient; it is the best weight, so nothing is lost by that.",
        "A threshold below all losses plays every sample down, which is but a smaller learning rate.",
        "SciPy's lambertw is NaN exactly at -1 / e, where the easiest samples end up.",
    ),
    reference="Castells, Weinzaepfel and Revaud (2020), SuperLoss: a generic loss for robust curriculum learning, "
    "Advances in Neural Information Processing Systems 33.",
    code=Code(
        pytorch="import math\n\nimport torch\n\n"
        "z = ((losses.detach().double() - {tau}) / (2 * {lambda_})).clamp(min=-1 / math.e)\n"
        "# Lambert's W by bisection: w * exp(w) = z.\n"
        "low, high = torch.full_like(z, -1.0), torch.log1p(z.clamp(min=0)) + 1e-12\n"
        "for _ in range(60):\n"
        "    w = (low + high) / 2\n"
        "    too_high = w * torch.exp(w) > z\n"
        "    low, high = torch.where(too_high, low, w), torch.where(too_high, w, high)\n"
        "w = torch.where(z > -1 / math.e, w, -1.0)  # there w * exp(w) is flat, and bisection is off by 1e-8\n"
        "sigma = torch.exp(-w).to(losses)\n"
        "loss = ((losses - {tau}) * sigma + {lambda_} * torch.log(sigma) ** 2).mean()\n",
        keras=None,
        optax=None,
        note="The authors take W from SciPy.",
    ),
    outputs=_superloss_outputs,
)


LOSSES: tuple[Loss, ...] = (BARRON_ADAPTIVE, SUPERLOSS)
