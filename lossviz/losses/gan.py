"""Losses of a critic and of the generator that it judges."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, relu
from torch.nn.functional import logsigmoid

from lossviz.losses._checks import (
    check_between,
    check_finite,
    require_floating,
    require_same_shape,
    require_shape,
)
from lossviz.losses.entry import (
    Choice,
    Code,
    Inputs,
    Line,
    Loss,
    Model,
    Number,
    Params,
    Properties,
    no,
    number_of_values,
    pairs,
    yes,
)

_INPUTS = {"real": "the critic's scores of real samples, any shape", "fake": "its scores of generated ones, same shape"}
# The generator has a say in fake alone, so it comes first: convexity is looked for along the first.
_DIFFERENTIABLE = ("fake", "real")
_SIDE = Choice("Whose loss it is.", "discriminator", ("discriminator", "generator"))
_SCORES = "all real scores"
_BCE = "import torch\nimport torch.nn.functional as F\n\nbce = F.binary_cross_entropy_with_logits\n"
_FAKE_ALONE = "the scores of generated samples alone"
_EXCHANGE = "real and fake exchanged and both signs changed"


def _require_scores(real: Tensor, fake: Tensor) -> None:
    require_floating(real=real, fake=fake)
    require_same_shape(real=real, fake=fake)


def _check_scores(inputs: Inputs, params: Params) -> None:
    _require_scores(inputs["real"], inputs["fake"])
    check_finite(real=inputs["real"], fake=inputs["fake"])


def _softplus(x: Tensor) -> Tensor:
    # torch's softplus drops the exponential above its threshold of 20.
    return -logsigmoid(-x)


def _log_one_plus_exp(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


def _is_critic(side: str) -> bool:
    return side == "discriminator"


def _both_sides(critic: float, generator: float) -> Callable[[Params], float]:
    """The constant of a claim, for either side."""
    return lambda params: critic if _is_critic(params["side"]) else generator


# --- minimax


def gan_minimax(*, real: Tensor, fake: Tensor, side: str = "discriminator") -> Tensor:
    """The first GAN game: the critic's cross-entropy of real against generated, and the same negated for the generator.

    Args:
        real: the critic's logits of real samples, any shape.
        fake: its logits of generated samples, same shape.
        side: whose loss, ``discriminator`` or ``generator``.

    Returns:
        Loss per pair, the shape of ``real``, in nats. The generator's is negative and does not depend on ``real``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Goodfellow et al. (2014), arXiv:1406.2661.
    """
    _require_scores(real, fake)
    return _softplus(-real) + _softplus(fake) if _is_critic(side) else -_softplus(fake)


def _critic_slopes(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    return {"real": -(-real).sigmoid(), "fake": fake.sigmoid()}


def _minimax_grad(*, real: Tensor, fake: Tensor, side: str) -> dict[str, Tensor]:
    if _is_critic(side):
        return _critic_slopes(real, fake)
    return {"real": torch.zeros_like(real), "fake": -fake.sigmoid()}


def _called_fake(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return _log_one_plus_exp(-real)


def _called_real(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return _log_one_plus_exp(fake)


def _minimax_line(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    d_fake = _called_real(real=real, fake=fake, side=side)
    return _called_fake(real=real, fake=fake, side=side) + d_fake if _is_critic(side) else -d_fake


def _chance_real(score: Tensor) -> Tensor:
    """The logistic function, written out."""
    return 1 / (1 + (-score).exp())


def _called_fake_slope(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return -_chance_real(-real)


def _called_real_slope(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return _chance_real(fake)


def _minimax_slope(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    slope = _called_real_slope(real=real, fake=fake, side=side)
    return slope if _is_critic(side) else -slope


_CALLED_FAKE_SLOPE = Line(r"\frac{d a}{d r} = \frac{-e^{-r}}{1 + e^{-r}} = -\sigma(-r)", _called_fake_slope)
_CALLED_REAL_SLOPE = Line(r"\frac{d b}{d f} = \frac{e^{f}}{1 + e^{f}} = \sigma(f)", _called_real_slope)


GAN_MINIMAX = Loss(
    key="gan_minimax",
    name="GAN (minimax)",
    name_zh="生成对抗损失（极小极大）",
    family="gan",
    tasks=("gan",),
    input_kind="critic",
    inputs=_INPUTS,
    differentiable=_DIFFERENTIABLE,
    fn=gan_minimax,
    denominator=number_of_values,
    check=_check_scores,
    grad=_minimax_grad,
    formula=(
        Line(r"a = -\ln \sigma(r) = \ln(1 + e^{-r})", _called_fake),
        Line(r"b = -\ln(1 - \sigma(f)) = \ln(1 + e^{f})", _called_real),
        Line(r"\ell_D = a + b, \quad \ell_G = -b", _minimax_line),
    ),
    gradient=r"\frac{\partial \ell_D}{\partial r} = -\sigma(-r), \quad "
    r"\frac{\partial \ell_D}{\partial f} = \sigma(f), \quad \frac{\partial \ell_G}{\partial f} = -\sigma(f)",
    derivation=(
        _CALLED_FAKE_SLOPE,
        _CALLED_REAL_SLOPE,
        Line(
            r"\frac{\partial \ell_D}{\partial f} = \frac{d b}{d f} = \sigma(f), \quad "
            r"\frac{\partial \ell_G}{\partial f} = -\frac{d b}{d f} = -\sigma(f)",
            _minimax_slope,
        ),
    ),
    params={"side": _SIDE},
    properties=Properties(
        convex_in_pred=no(
            "all real scores; the critic's side is convex, the generator's concave",
            {"real": [0.0], "fake": [-3.0]},
            {"real": [0.0], "fake": [3.0]},
            side="generator",
        ),
        bounded=no(_SCORES, {"real": [0.0], "fake": [1e6]}),
        lipschitz=yes(_SCORES, constant=_both_sides(math.sqrt(2), 1.0)),
        smooth=yes(_SCORES, constant=lambda _: 0.25),
        symmetric=yes(f"the critic's side; {_EXCHANGE}", side="discriminator"),
        scale_invariant=no(_FAKE_ALONE, {"real": [0.0], "fake": [1.0]}),
    ),
    pitfalls=(
        "Once the critic tells the two apart, the generator's gradient vanishes: that is why hardly anybody trains "
        "with this side of it.",
        "The generator's loss is negative and falls without limit; its size says nothing about the images.",
        "The critic gives logits: a sigmoid at its end would be applied twice.",
        "Some code halves the critic's loss.",
    ),
    reference="Goodfellow et al. (2014), Generative adversarial nets, arXiv:1406.2661.",
    code=Code(
        pytorch=_BCE + 'side = {side}\nif side == "discriminator":\n'
        "    loss = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))\n"
        "else:\n"
        "    loss = -bce(fake, torch.zeros_like(fake))\n",
        keras=None,
        optax=None,
        note="No library has it as one function; it is two binary cross-entropies.",
    ),
)


# --- non-saturating


def gan_nonsaturating(*, real: Tensor, fake: Tensor, side: str = "discriminator") -> Tensor:
    """The GAN that is used: the critic as in minimax, while the generator wants its samples called real.

    Args:
        real: the critic's logits of real samples, any shape.
        fake: its logits of generated samples, same shape.
        side: whose loss, ``discriminator`` or ``generator``.

    Returns:
        Loss per pair, the shape of ``real``, in nats; 0 or more. The generator's does not depend on ``real``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Goodfellow et al. (2014), arXiv:1406.2661.
    """
    _require_scores(real, fake)
    return _softplus(-real) + _softplus(fake) if _is_critic(side) else _softplus(-fake)


def _nonsaturating_grad(*, real: Tensor, fake: Tensor, side: str) -> dict[str, Tensor]:
    if _is_critic(side):
        return _critic_slopes(real, fake)
    return {"real": torch.zeros_like(real), "fake": -(-fake).sigmoid()}


def _nonsaturating_line(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    if not _is_critic(side):
        return _log_one_plus_exp(-fake)
    return _called_fake(real=real, fake=fake, side=side) + _called_real(real=real, fake=fake, side=side)


def _wished_real_slope(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return -_chance_real(-fake)


def _nonsaturating_slope(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    slope = _called_real_slope if _is_critic(side) else _wished_real_slope
    return slope(real=real, fake=fake, side=side)


GAN_NONSATURATING = Loss(
    key="gan_nonsaturating",
    name="GAN (non-saturating)",
    name_zh="生成对抗损失（非饱和）",
    family="gan",
    tasks=("gan",),
    input_kind="critic",
    inputs=_INPUTS,
    differentiable=_DIFFERENTIABLE,
    fn=gan_nonsaturating,
    denominator=number_of_values,
    check=_check_scores,
    grad=_nonsaturating_grad,
    formula=(
        Line(r"a = -\ln \sigma(r) = \ln(1 + e^{-r})", _called_fake),
        Line(r"b = -\ln(1 - \sigma(f)) = \ln(1 + e^{f})", _called_real),
        Line(r"\ell_D = a + b, \quad \ell_G = -\ln \sigma(f) = \ln(1 + e^{-f})", _nonsaturating_line),
    ),
    gradient=r"\frac{\partial \ell_D}{\partial r} = -\sigma(-r), \quad "
    r"\frac{\partial \ell_D}{\partial f} = \sigma(f), \quad \frac{\partial \ell_G}{\partial f} = -\sigma(-f)",
    derivation=(
        _CALLED_FAKE_SLOPE,
        _CALLED_REAL_SLOPE,
        Line(r"\frac{d \ell_G}{d f} = \frac{-e^{-f}}{1 + e^{-f}} = -\sigma(-f)", _wished_real_slope),
        Line(
            r"\frac{\partial \ell_D}{\partial f} = \frac{d b}{d f} = \sigma(f), \quad "
            r"\frac{\partial \ell_G}{\partial f} = -\sigma(-f)",
            _nonsaturating_slope,
        ),
    ),
    params={"side": _SIDE},
    properties=Properties(
        convex_in_pred=yes(_SCORES),
        bounded=no(_SCORES, {"real": [0.0], "fake": [1e6]}),
        lipschitz=yes(_SCORES, constant=_both_sides(math.sqrt(2), 1.0)),
        smooth=yes(_SCORES, constant=lambda _: 0.25),
        symmetric=yes(f"the critic's side; {_EXCHANGE}", side="discriminator"),
        scale_invariant=no(_FAKE_ALONE, {"real": [0.0], "fake": [1.0]}),
    ),
    pitfalls=(
        "The two sides no longer play for one number: the generator's loss is not the critic's negated.",
        "A generator's loss that falls may mean a weak critic rather than better samples.",
        "The critic gives logits: a sigmoid at its end would be applied twice.",
    ),
    reference="Goodfellow et al. (2014), Generative adversarial nets, arXiv:1406.2661.",
    code=Code(
        pytorch=_BCE + 'side = {side}\nif side == "discriminator":\n'
        "    loss = bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))\n"
        "else:\n"
        "    loss = bce(fake, torch.ones_like(fake))\n",
        keras=None,
        optax=None,
        note="Some code halves the critic's loss.",
    ),
)


# --- least squares


def lsgan(
    *, real: Tensor, fake: Tensor, side: str = "discriminator", a: float = 0.0, b: float = 1.0, c: float = 1.0
) -> Tensor:
    """Half the squared distance of the critic's scores to fixed labels: samples far on the right side still move.

    Args:
        real: the critic's scores of real samples, any shape; not through a sigmoid.
        fake: its scores of generated samples, same shape.
        side: whose loss, ``discriminator`` or ``generator``.
        a: the critic's label for generated samples.
        b: the critic's label for real samples.
        c: the score that the generator wants for its samples.

    Returns:
        Loss per pair, the shape of ``real``, in the unit of the score squared.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Mao et al. (2017), arXiv:1611.04076.
    """
    _require_scores(real, fake)
    return ((real - b) ** 2 + (fake - a) ** 2) / 2 if _is_critic(side) else (fake - c) ** 2 / 2


def _lsgan_grad(*, real: Tensor, fake: Tensor, side: str, a: float, b: float, c: float) -> dict[str, Tensor]:
    if _is_critic(side):
        return {"real": real - b, "fake": fake - a}
    return {"real": torch.zeros_like(real), "fake": fake - c}


def _off_real(*, real: Tensor, b: float, **_: object) -> Tensor:
    return real - b


def _off_fake(*, fake: Tensor, side: str, a: float, c: float, **_: object) -> Tensor:
    return fake - a if _is_critic(side) else fake - c


def _lsgan_line(*, real: Tensor, fake: Tensor, side: str, a: float, b: float, c: float) -> Tensor:
    u = _off_real(real=real, b=b)
    v = _off_fake(fake=fake, side=side, a=a, c=c)
    return 0.5 * (u * u + v * v) if _is_critic(side) else 0.5 * v * v


def _off_fake_slope(*, fake: Tensor, **_: object) -> Tensor:
    return torch.ones_like(fake)


LSGAN = Loss(
    key="lsgan",
    name="Least-squares GAN",
    name_zh="最小二乘生成对抗损失",
    family="gan",
    tasks=("gan",),
    input_kind="critic",
    inputs=_INPUTS,
    differentiable=_DIFFERENTIABLE,
    fn=lsgan,
    denominator=number_of_values,
    check=_check_scores,
    grad=_lsgan_grad,
    formula=(
        Line(r"u = r - b", _off_real),
        Line(r"v_D = f - a, \quad v_G = f - c", _off_fake),
        Line(r"\ell_D = \frac{u^2 + v_D^2}{2}, \quad \ell_G = \frac{v_G^2}{2}", _lsgan_line),
    ),
    gradient=r"\frac{\partial \ell_D}{\partial r} = r - b, \quad "
    r"\frac{\partial \ell_D}{\partial f} = f - a, \quad \frac{\partial \ell_G}{\partial f} = f - c",
    derivation=(
        Line(r"\frac{d v_D}{d f} = \frac{d v_G}{d f} = 1", _off_fake_slope),
        Line(
            r"\frac{\partial \ell_D}{\partial v_D} = \tfrac{1}{2} \cdot 2 v_D = v_D, \quad "
            r"\frac{\partial \ell_G}{\partial v_G} = v_G",
            _off_fake,
        ),
        Line(
            r"\frac{\partial \ell_D}{\partial f} = v_D \cdot 1 = f - a, \quad "
            r"\frac{\partial \ell_G}{\partial f} = v_G \cdot 1 = f - c",
            _off_fake,
        ),
    ),
    params={
        "side": _SIDE,
        "a": Number("The critic's label for generated samples.", 0.0, -10.0, 10.0),
        "b": Number("The critic's label for real samples.", 1.0, -10.0, 10.0),
        "c": Number("The score that the generator wants for its samples.", 1.0, -10.0, 10.0),
    },
    properties=Properties(
        convex_in_pred=yes(_SCORES),
        bounded=no(_SCORES, {"real": [0.0], "fake": [1e3]}),
        lipschitz=no(_SCORES, {"real": [0.0], "fake": [1e6]}),
        smooth=yes(_SCORES, constant=lambda _: 1.0),
        symmetric=yes(
            "the critic's side, labels 0 and 1; real and fake exchanged and taken from 1",
            side="discriminator",
            a=0.0,
            b=1.0,
        ),
        scale_invariant=no(_FAKE_ALONE, {"real": [0.0], "fake": [1.0]}),
    ),
    pitfalls=(
        "The scores are raw numbers: a sigmoid at the critic's end brings the vanishing gradients back.",
        "The labels (a, b, c) = (-1, 1, 0) minimise a Pearson divergence, (0, 1, 1) is what most code uses.",
        "The paper has a factor of one half on every term; code that leaves it out doubles the learning rate.",
    ),
    reference="Mao, Li, Xie, Lau, Wang and Smolley (2017), Least squares generative adversarial networks, "
    "arXiv:1611.04076.",
    code=Code(
        pytorch='side = {side}\nif side == "discriminator":\n'
        "    loss = 0.5 * ((real - {b}) ** 2).mean() + 0.5 * ((fake - {a}) ** 2).mean()\n"
        "else:\n"
        "    loss = 0.5 * ((fake - {c}) ** 2).mean()\n",
        keras=None,
        optax=None,
        note="A mean squared error against the labels is twice as large.",
    ),
)


# --- hinge


def gan_hinge(*, real: Tensor, fake: Tensor, side: str = "discriminator") -> Tensor:
    """The critic stops caring once a score is past its margin; the generator just raises the score of its samples.

    Args:
        real: the critic's scores of real samples, any shape.
        fake: its scores of generated samples, same shape.
        side: whose loss, ``discriminator`` or ``generator``.

    Returns:
        Loss per pair, the shape of ``real``, in the unit of the score. The generator's can be negative.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Lim and Ye (2017), arXiv:1705.02894.
    """
    _require_scores(real, fake)
    return relu(1 - real) + relu(1 + fake) if _is_critic(side) else -fake


def _gan_hinge_grad(*, real: Tensor, fake: Tensor, side: str) -> dict[str, Tensor]:
    if _is_critic(side):
        return {"real": -(real < 1).to(real.dtype), "fake": (fake > -1).to(fake.dtype)}
    return {"real": torch.zeros_like(real), "fake": -torch.ones_like(fake)}


def _real_short_of_margin(*, real: Tensor, **_: object) -> Tensor:
    return (1 - real).clamp(min=0)


def _fake_short_of_margin(*, fake: Tensor, **_: object) -> Tensor:
    return (1 + fake).clamp(min=0)


def _gan_hinge_line(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return _real_short_of_margin(real=real) + _fake_short_of_margin(fake=fake) if _is_critic(side) else 0 - fake


def _real_short_slope(*, real: Tensor, **_: object) -> Tensor:
    return -(real < 1).to(real.dtype)


def _fake_short_slope(*, fake: Tensor, **_: object) -> Tensor:
    return (fake > -1).to(fake.dtype)


def _gan_hinge_slope(*, fake: Tensor, side: str, **_: object) -> Tensor:
    return _fake_short_slope(fake=fake) if _is_critic(side) else -torch.ones_like(fake)


GAN_HINGE = Loss(
    key="gan_hinge",
    name="GAN (hinge)",
    name_zh="生成对抗损失（合页）",
    family="gan",
    tasks=("gan",),
    input_kind="critic",
    inputs=_INPUTS,
    differentiable=_DIFFERENTIABLE,
    fn=gan_hinge,
    denominator=number_of_values,
    check=_check_scores,
    grad=_gan_hinge_grad,
    formula=(
        Line(r"u = \max(0, 1 - r)", _real_short_of_margin),
        Line(r"v = \max(0, 1 + f)", _fake_short_of_margin),
        Line(r"\ell_D = u + v, \quad \ell_G = -f", _gan_hinge_line),
    ),
    gradient=r"\frac{\partial \ell_D}{\partial r} = -[r < 1], \quad "
    r"\frac{\partial \ell_D}{\partial f} = [f > -1], \quad \frac{\partial \ell_G}{\partial f} = -1",
    derivation=(
        Line(r"\frac{d u}{d r} = -[1 - r > 0] = -[r < 1]", _real_short_slope),
        Line(r"\frac{d v}{d f} = [1 + f > 0] = [f > -1]", _fake_short_slope),
        Line(
            r"\frac{\partial \ell_D}{\partial f} = \frac{d v}{d f} = [f > -1], \quad "
            r"\frac{\partial \ell_G}{\partial f} = -1",
            _gan_hinge_slope,
        ),
    ),
    params={"side": _SIDE},
    properties=Properties(
        convex_in_pred=yes(_SCORES),
        bounded=no(_SCORES, {"real": [0.0], "fake": [1e6]}),
        lipschitz=yes(_SCORES, constant=_both_sides(math.sqrt(2), 1.0)),
        smooth=no(_SCORES, {"real": [1 - 1e-9], "fake": [0.0]}, {"real": [1 + 1e-9], "fake": [0.0]}),
        symmetric=yes(f"the critic's side; {_EXCHANGE}", side="discriminator"),
        scale_invariant=no(_FAKE_ALONE, {"real": [0.0], "fake": [1.0]}),
    ),
    pitfalls=(
        "The generator's side has no hinge: a maximum there would stop it just where it wins.",
        "Some code halves the critic's loss, and with it the critic's learning rate.",
        "The generator's loss has no lower bound and is no measure of progress.",
    ),
    reference="Lim and Ye (2017), Geometric GAN, arXiv:1705.02894.",
    code=Code(
        pytorch="import torch\n\n"
        'side = {side}\nif side == "discriminator":\n'
        "    loss = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()\n"
        "else:\n"
        "    loss = -fake.mean()\n",
        keras=None,
        optax=None,
        note="The critic's side is the hinge loss with the labels +1 and -1, added up.",
    ),
)


# --- Wasserstein


def wgan(*, real: Tensor, fake: Tensor, side: str = "discriminator") -> Tensor:
    """The difference of the mean scores: with a 1-Lipschitz critic, the negative of a Wasserstein distance.

    Args:
        real: the critic's scores of real samples, any shape.
        fake: its scores of generated samples, same shape.
        side: whose loss, ``discriminator`` or ``generator``.

    Returns:
        Loss per pair, the shape of ``real``, in the unit of the score; of either sign.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Arjovsky, Chintala and Bottou (2017), arXiv:1701.07875.
    """
    _require_scores(real, fake)
    return fake - real if _is_critic(side) else -fake


def _wgan_grad(*, real: Tensor, fake: Tensor, side: str) -> dict[str, Tensor]:
    if _is_critic(side):
        return {"real": -torch.ones_like(real), "fake": torch.ones_like(fake)}
    return {"real": torch.zeros_like(real), "fake": -torch.ones_like(fake)}


def _gap(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return real - fake


def _wgan_line(*, real: Tensor, fake: Tensor, side: str) -> Tensor:
    return -_gap(real=real, fake=fake, side=side) if _is_critic(side) else 0 - fake


def _gap_slope(*, fake: Tensor, **_: object) -> Tensor:
    return -torch.ones_like(fake)


def _wgan_slope(*, fake: Tensor, side: str, **_: object) -> Tensor:
    slope = _gap_slope(fake=fake)
    return -slope if _is_critic(side) else slope


WGAN = Loss(
    key="wgan",
    name="Wasserstein GAN",
    name_zh="Wasserstein 生成对抗损失",
    family="gan",
    tasks=("gan",),
    input_kind="critic",
    inputs=_INPUTS,
    differentiable=_DIFFERENTIABLE,
    fn=wgan,
    denominator=number_of_values,
    check=_check_scores,
    grad=_wgan_grad,
    formula=(
        Line(r"g = r - f", _gap),
        Line(r"\ell_D = -g, \quad \ell_G = -f", _wgan_line),
    ),
    gradient=r"\frac{\partial \ell_D}{\partial r} = -1, \quad "
    r"\frac{\partial \ell_D}{\partial f} = 1, \quad \frac{\partial \ell_G}{\partial f} = -1",
    derivation=(
        Line(r"\frac{\partial g}{\partial f} = -1", _gap_slope),
        Line(
            r"\frac{\partial \ell_D}{\partial f} = -\frac{\partial g}{\partial f} = 1, \quad "
            r"\frac{\partial \ell_G}{\partial f} = -1",
            _wgan_slope,
        ),
    ),
    params={"side": _SIDE},
    properties=Properties(
        convex_in_pred=yes(_SCORES),
        bounded=no(_SCORES, {"real": [0.0], "fake": [1e6]}),
        lipschitz=yes(_SCORES, constant=_both_sides(math.sqrt(2), 1.0)),
        smooth=yes(_SCORES, constant=lambda _: 0.0),
        symmetric=yes(f"the critic's side; {_EXCHANGE}", side="discriminator"),
        scale_invariant=no(_FAKE_ALONE, {"real": [0.0], "fake": [1.0]}),
    ),
    pitfalls=(
        "Without a bound on the critic's slope (clipped weights, gradient penalty) the loss runs away.",
        "Many texts write what the critic maximises; here everything is minimised, so the signs are the other way.",
        "The critic gives raw scores: a sigmoid at its end makes another loss of it.",
    ),
    reference="Arjovsky, Chintala and Bottou (2017), Wasserstein GAN, arXiv:1701.07875.",
    code=Code(
        pytorch='side = {side}\nloss = fake.mean() - real.mean() if side == "discriminator" else -fake.mean()\n',
        keras=None,
        optax=None,
        note="The negative of the critic's loss estimates the distance, up to the critic's Lipschitz constant.",
    ),
)


# --- relativistic


def gan_relativistic(*, real: Tensor, fake: Tensor, side: str = "discriminator", variant: str = "average") -> Tensor:
    """The critic says how much more real a real sample looks than generated ones; the generator wants the opposite.

    Args:
        real: the critic's logits of real samples, any shape.
        fake: its logits of generated samples, same shape.
        side: whose loss, ``discriminator`` or ``generator``.
        variant: ``average`` compares with the mean of the other kind, ``paired`` with the sample at the same place.

    Returns:
        Loss per pair, the shape of ``real``, in nats; 0 or more. Either side depends on both inputs.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Jolicoeur-Martineau (2019), arXiv:1807.00734.
    """
    _require_scores(real, fake)
    sign = _sign(side)
    if variant == "paired":
        return _softplus(sign * (fake - real))
    return _softplus(sign * (fake.mean() - real)) + _softplus(sign * (fake - real.mean()))


def _sign(side: str) -> float:
    return 1.0 if _is_critic(side) else -1.0


def _relativistic_grad(*, real: Tensor, fake: Tensor, side: str, variant: str) -> dict[str, Tensor]:
    sign = _sign(side)
    if variant == "paired":
        slope = sign * (sign * (fake - real)).sigmoid()
        return {"real": -slope, "fake": slope}
    of_real = -sign * (sign * (fake.mean() - real)).sigmoid()
    of_fake = sign * (sign * (fake - real.mean())).sigmoid()
    return {"real": of_real - of_fake.mean(), "fake": of_fake - of_real.mean()}


def _real_ahead(*, real: Tensor, fake: Tensor, side: str, variant: str) -> Tensor:
    return real - (fake if variant == "paired" else fake.mean())


def _fake_ahead(*, real: Tensor, fake: Tensor, side: str, variant: str) -> Tensor:
    return fake - (real if variant == "paired" else real.mean())


def _relativistic_line(*, real: Tensor, fake: Tensor, side: str, variant: str) -> Tensor:
    u = _real_ahead(real=real, fake=fake, side=side, variant=variant)
    v = _fake_ahead(real=real, fake=fake, side=side, variant=variant)
    if not _is_critic(side):
        u, v = v, u
    return _log_one_plus_exp(-u) if variant == "paired" else _log_one_plus_exp(-u) + _log_one_plus_exp(v)


def _ahead_slope(*, real: Tensor, fake: Tensor, side: str, variant: str) -> Tensor:
    u = _real_ahead(real=real, fake=fake, side=side, variant=variant)
    v = _fake_ahead(real=real, fake=fake, side=side, variant=variant)
    return -_chance_real(-u if _is_critic(side) else -v)


def _behind_slope(*, real: Tensor, fake: Tensor, side: str, variant: str) -> Tensor:
    u = _real_ahead(real=real, fake=fake, side=side, variant=variant)
    v = _fake_ahead(real=real, fake=fake, side=side, variant=variant)
    return torch.zeros_like(u) if variant == "paired" else _chance_real(v if _is_critic(side) else u)


def _relativistic_slope(*, real: Tensor, fake: Tensor, side: str, variant: str) -> Tensor:
    alpha = _ahead_slope(real=real, fake=fake, side=side, variant=variant)
    beta = _behind_slope(real=real, fake=fake, side=side, variant=variant)
    by_fake, by_real = (beta, alpha) if _is_critic(side) else (alpha, beta)
    return by_fake - (by_real if variant == "paired" else by_real.mean())


def _of_variant(average: float, paired: float) -> Callable[[Params], float]:
    return lambda params: average if params["variant"] == "average" else paired


GAN_RELATIVISTIC = Loss(
    key="gan_relativistic",
    name="Relativistic GAN",
    name_zh="相对式生成对抗损失",
    family="gan",
    tasks=("gan",),
    input_kind="critic",
    inputs=_INPUTS,
    differentiable=_DIFFERENTIABLE,
    fn=gan_relativistic,
    denominator=number_of_values,
    check=_check_scores,
    grad=_relativistic_grad,
    formula=(
        Line(r"u_i = r_i - \bar f \quad (\text{paired: } r_i - f_i)", _real_ahead),
        Line(r"v_i = f_i - \bar r \quad (\text{paired: } f_i - r_i)", _fake_ahead),
        Line(
            r"\ell_D = \ln(1 + e^{-u}) + \ln(1 + e^{v}) \quad (\text{paired: the first term}); "
            r"\quad \ell_G: u \text{ and } v \text{ exchanged}",
            _relativistic_line,
        ),
    ),
    gradient=r"\alpha_i = -\sigma(-u_i), \; \beta_i = \sigma(v_i): \quad "
    r"\frac{\partial \sum \ell_D}{\partial r_i} = \alpha_i - \bar\beta, \quad "
    r"\frac{\partial \sum \ell_D}{\partial f_i} = \beta_i - \bar\alpha "
    r"\quad (\text{paired: } \alpha_i \text{ and } -\alpha_i)",
    derivation=(
        Line(
            r"\alpha_i = \frac{d}{d u_i} \ln(1 + e^{-u_i}) = -\sigma(-u_i) "
            r"\quad (\ell_G: v_i \text{ in place of } u_i)",
            _ahead_slope,
        ),
        Line(
            r"\beta_i = \frac{d}{d v_i} \ln(1 + e^{v_i}) = \sigma(v_i) \quad (\ell_G: u_i \text{ in place of } v_i; "
            r"\; \text{paired: } 0)",
            _behind_slope,
        ),
        Line(
            r"\frac{\partial v_i}{\partial f_i} = 1, \; \frac{\partial u_j}{\partial f_i} = -\tfrac{1}{n} "
            r"\text{ for all } j \; (\text{paired: } -1 \text{ for } j = i): \quad "
            r"\frac{\partial \sum \ell_D}{\partial f_i} = \beta_i - \bar\alpha, \; "
            r"\frac{\partial \sum \ell_G}{\partial f_i} = \alpha_i - \bar\beta \quad "
            r"(\text{paired: } -\alpha_i \text{ and } \alpha_i)",
            _relativistic_slope,
        ),
    ),
    params={
        "side": _SIDE,
        "variant": Choice(
            "What a sample is compared with: the mean of the other kind, or the sample at the same place.",
            "average",
            ("average", "paired"),
        ),
    },
    properties=Properties(
        convex_in_pred=yes(_SCORES),
        bounded=no(_SCORES, {"real": [0.0], "fake": [1e6]}),
        lipschitz=yes(_SCORES, constant=_of_variant(2 * math.sqrt(2), math.sqrt(2))),
        smooth=yes(_SCORES, constant=_of_variant(1.0, 0.5)),
        symmetric=yes(_EXCHANGE),
        scale_invariant=no(_FAKE_ALONE, {"real": [0.0], "fake": [1.0]}),
        needs_pairs=pairs("real and generated samples: each with one of the other kind, or with the mean of them"),
    ),
    pitfalls=(
        "The generator's loss depends on the scores of real samples too: do not leave them out of its graph.",
        "The mean over the other kind stays in the graph; detached it is another gradient.",
        "Adding one number to all scores changes nothing, so the critic's scores may drift.",
        "Much code halves the average form.",
    ),
    reference="Jolicoeur-Martineau (2019), The relativistic discriminator: a key element missing from standard GAN, "
    "arXiv:1807.00734.",
    code=Code(
        pytorch=_BCE + "side, variant = {side}, {variant}\n"
        'high, low = (real, fake) if side == "discriminator" else (fake, real)\n'
        'if variant == "paired":\n'
        "    loss = bce(high - low, torch.ones_like(high))\n"
        "else:\n"
        "    loss = bce(high - low.mean(), torch.ones_like(high)) + bce(low - high.mean(), torch.zeros_like(low))\n",
        keras=None,
        optax=None,
        note="The author's code divides the average form by 2.",
    ),
)


# --- gradient penalty


def gradient_penalty(
    *, model: Model, real: Tensor, fake: Tensor, eps: Tensor, lambda_: float = 10.0, center: float = 1.0
) -> Tensor:
    """Pulls the length of the critic's gradient to ``center``, at a point between each real and generated sample.

    Args:
        model: the critic, one score a row.
        real: real samples, shape ``(N, ...)``.
        fake: generated samples, same shape.
        eps: share of the real sample in the point between, shape ``(N,)``; 0 to 1.
        lambda_: weight of the penalty; 0 or more.
        center: length wanted; 1 for WGAN-GP, 0 for a penalty on every slope.

    Returns:
        Penalty per sample, shape ``(N,)``. Gradients reach the critic's weights by differentiating twice.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Gulrajani et al. (2017), arXiv:1704.00028.
    """
    _require_samples(real, fake, eps)
    slope = _slope(model, _between(real, fake, eps))
    return lambda_ * (_length(slope) - center) ** 2


def _require_samples(real: Tensor, fake: Tensor, eps: Tensor) -> None:
    require_floating(real=real, fake=fake, eps=eps)
    require_same_shape(real=real, fake=fake)
    require_shape("eps", eps, real.shape[:1], "one for each row")


def _between(real: Tensor, fake: Tensor, eps: Tensor) -> Tensor:
    share = _per_row(eps, real)
    return share * real + (1 - share) * fake


def _per_row(numbers: Tensor, rows: Tensor) -> Tensor:
    """So that (N,) fits (N, ...)."""
    return numbers.reshape(-1, *[1] * (rows.ndim - 1))


def _slope(model: Model, x: Tensor) -> Tensor:
    """Gradient of each row's score; differentiable once more where the caller records gradients."""
    again = torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x if x.requires_grad else x.clone().detach().requires_grad_()
        score = model(leaf)
        if score.numel() != len(x):
            raise ValueError(f"model's scores have shape {tuple(score.shape)}, allowed: one for each of {len(x)} rows")
        (slope,) = torch.autograd.grad(score.sum(), leaf, create_graph=again)
    return slope


def _length(slope: Tensor) -> Tensor:
    # The slope of a vector's norm is 0 at 0, that of a written-out square root is NaN.
    flat = slope.flatten(1)
    return torch.pairwise_distance(flat, torch.zeros_like(flat), 2.0, 0.0)


def _check_gradient_penalty(inputs: Inputs, params: Params) -> None:
    real, fake, eps = inputs["real"], inputs["fake"], inputs["eps"]
    _require_samples(real, fake, eps)
    check_finite(real=real, fake=fake)
    check_between("eps", eps, 0.0, 1.0)


def _between_line(*, real: Tensor, fake: Tensor, eps: Tensor, **_: object) -> Tensor:
    return _between(real, fake, eps)


def _slope_line(*, model: Model, real: Tensor, fake: Tensor, eps: Tensor, **_: object) -> Tensor:
    # One row at a time: a norm over the whole batch would show.
    return torch.cat([_slope(model, row[None]) for row in _between(real, fake, eps)])


def _length_line(**both: Any) -> Tensor:
    return (_slope_line(**both) ** 2).flatten(1).sum(1).sqrt()


def _penalty_line(*, model: Model, real: Tensor, fake: Tensor, eps: Tensor, lambda_: float, center: float) -> Tensor:
    return lambda_ * (_length_line(model=model, real=real, fake=fake, eps=eps) - center) ** 2


def _length_off_line(*, lambda_: float, center: float, **both: Any) -> Tensor:
    return 2 * lambda_ * (_length_line(**both) - center)


def _direction_line(**both: Any) -> Tensor:
    slope = _slope_line(**both)
    length = _per_row(_length_line(**both), slope)
    return slope / length.masked_fill(length == 0, 1.0)


def _bend_line(*, model: Model, real: Tensor, fake: Tensor, eps: Tensor, **both: Any) -> Tensor:
    direction = _direction_line(model=model, real=real, fake=fake, eps=eps, **both).detach()
    # The critic is any network: how its slope turns is not written down anywhere else.
    with torch.inference_mode(False), torch.enable_grad():
        point = _between(real, fake, eps).detach().clone().requires_grad_()
        along = (_slope(model, point) * direction.clone()).sum()
        if not along.requires_grad:
            return torch.zeros_like(point)
        return torch.autograd.grad(along, point, materialize_grads=True)[0]


def _penalty_slope(*, eps: Tensor, **both: Any) -> Tensor:
    bend = _bend_line(eps=eps, **both)
    return _per_row(eps * _length_off_line(eps=eps, **both), bend) * bend


GRADIENT_PENALTY = Loss(
    key="gradient_penalty",
    name="Gradient penalty (WGAN-GP)",
    name_zh="梯度惩罚（WGAN-GP）",
    family="gan",
    tasks=("gan",),
    input_kind="critic_model",
    inputs={
        "model": "the critic, one score a row",
        "real": "real samples, (N, ...)",
        "fake": "generated samples, same shape",
        "eps": "share of the real sample in the point between, (N,), 0 to 1",
    },
    differentiable=("real", "fake"),
    fn=gradient_penalty,
    denominator=number_of_values,
    check=_check_gradient_penalty,
    grad=None,
    formula=(
        Line(r"\hat x = \epsilon\, x_r + (1 - \epsilon)\, x_f", _between_line),
        Line(r"g = \nabla_{\hat x} D(\hat x)", _slope_line),
        Line(r"\ell = \lambda \left(\lVert g \rVert_2 - c\right)^2", _penalty_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \theta} = 2 \lambda \left(\lVert g \rVert_2 - c\right) "
    r"\frac{g^\top}{\lVert g \rVert_2} \frac{\partial g}{\partial \theta}",
    derivation=(
        Line(
            r"\frac{d \ell}{d \lVert g \rVert_2} = 2 \lambda \left(\lVert g \rVert_2 - c\right)",
            _length_off_line,
        ),
        Line(
            r"\frac{\partial \lVert g \rVert_2}{\partial g} = \frac{g}{\lVert g \rVert_2}, \quad 0 \text{ at } g = 0",
            _direction_line,
        ),
        Line(
            r"\frac{\partial \lVert g \rVert_2}{\partial \hat x} = \nabla^2 D(\hat x)\, \frac{g}{\lVert g \rVert_2}",
            _bend_line,
        ),
        Line(
            r"\frac{\partial \ell}{\partial x_r} = \epsilon\, \frac{\partial \ell}{\partial \hat x} = "
            r"2 \epsilon \lambda \left(\lVert g \rVert_2 - c\right) \nabla^2 D(\hat x)\, \frac{g}{\lVert g \rVert_2}",
            _penalty_slope,
        ),
    ),
    params={
        "lambda_": Number("Weight of the penalty.", 10.0, 0.0, 100.0),
        "center": Number("Length of the gradient that costs nothing.", 1.0, 0.0, 10.0),
    },
    properties=Properties(
        symmetric=yes("real and fake exchanged, and eps taken from 1"),
    ),
    pitfalls=(
        "One norm for each sample: a norm over the whole batch is another penalty for more than one sample.",
        "One eps for each sample, not for each pixel.",
        "The gradient has to stay in the graph (create_graph), or the penalty reaches no weight.",
        "Batch normalisation in the critic lets one sample's score depend on the others, and the gradient with it.",
    ),
    reference="Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville (2017), Improved training of Wasserstein GANs, "
    "arXiv:1704.00028.",
    code=Code(
        pytorch="import torch\n\n"
        "share = eps.reshape(-1, *[1] * (real.ndim - 1))\n"
        "x = (share * real + (1 - share) * fake).requires_grad_()\n"
        "(slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)\n"
        "loss = {lambda_} * ((slope.flatten(1).norm(dim=1) - {center}) ** 2).mean()\n",
        keras=None,
        optax=None,
        note="Training the critic needs no gradient to the samples: detach x there.",
    ),
    models=("model",),
)


LOSSES: tuple[Loss, ...] = (
    GAN_MINIMAX,
    GAN_NONSATURATING,
    LSGAN,
    GAN_HINGE,
    WGAN,
    GAN_RELATIVISTIC,
    GRADIENT_PENALTY,
)
