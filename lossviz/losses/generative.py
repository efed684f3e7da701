"""Losses of networks that give their input back."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy

from lossviz.losses._checks import (
    check_between,
    check_finite,
    require_axes,
    require_floating,
    require_rows,
    require_same_shape,
    require_shape,
)
from lossviz.losses.entry import (
    Choice,
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

_KIND = Choice("Squared error of real numbers, or cross-entropy of probabilities from 0 to 1.", "mse", ("mse", "bce"))
_NUMBERS = "all real numbers (mse), probabilities above 1e-40 (bce)"


def _check_output(pred: Tensor, target: Tensor, kind: str) -> None:
    check_finite(pred=pred, target=target)
    if kind == "bce":
        check_between("pred", pred, 0.0, 1.0)
        check_between("target", target, 0.0, 1.0)


def _square_slope(pred: Tensor, target: Tensor) -> Tensor:
    return 2 * (pred - target)


def _bernoulli_slope(pred: Tensor, target: Tensor) -> Tensor:
    # PyTorch's own floor for p (1 - p), which keeps the ends finite.
    return (pred - target) / (pred * (1 - pred)).clamp(min=1e-12)


def _bernoulli(pred: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each feature, no logarithm below -100, as in PyTorch."""
    log_on, log_off = pred.log().clamp(min=-100), torch.log1p(-pred).clamp(min=-100)
    return -target * log_on - (1 - target) * log_off


# --- reconstruction


def reconstruction(*, pred: Tensor, target: Tensor, kind: str = "mse") -> Tensor:
    """How far an autoencoder's output is from its input, added up over the features.

    Args:
        pred: the output, shape ``(N, D)``; with ``bce`` probabilities, 0 to 1.
        target: the input, same shape; with ``bce`` 0 to 1.
        kind: ``mse`` for the squared error, ``bce`` for the cross-entropy of each feature.

    Returns:
        Loss per row, shape ``(N,)``: in the unit of the features squared, or in nats. With ``bce`` a feature costs at
        most 100.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Hinton and Salakhutdinov (2006), doi:10.1126/science.1127647.
    """
    require_rows(pred=pred, target=target)
    if kind == "bce":
        return binary_cross_entropy(pred, target, reduction="none").sum(-1)
    return (pred - target).square().sum(-1)


def _reconstruction_grad(*, pred: Tensor, target: Tensor, kind: str) -> dict[str, Tensor]:
    return {"pred": _bernoulli_slope(pred, target) if kind == "bce" else _square_slope(pred, target)}


def _check_reconstruction(inputs: Inputs, params: Params) -> None:
    require_rows(pred=inputs["pred"], target=inputs["target"])
    _check_output(inputs["pred"], inputs["target"], params["kind"])


def _feature_costs(*, pred: Tensor, target: Tensor, kind: str) -> Tensor:
    return _bernoulli(pred, target) if kind == "bce" else (pred - target) ** 2


def _reconstruction_line(*, pred: Tensor, target: Tensor, kind: str) -> Tensor:
    return _feature_costs(pred=pred, target=target, kind=kind).sum(-1)


def _cost_slopes(*, pred: Tensor, target: Tensor, kind: str) -> Tensor:
    if kind == "bce":
        return ((1 - target) * pred - target * (1 - pred)) / (pred * (1 - pred)).clamp(min=1e-12)
    return 2 * (pred - target)


def _sum_slope(*, pred: Tensor, **_: object) -> Tensor:
    return torch.ones_like(pred)


def _reconstruction_slope(*, pred: Tensor, target: Tensor, kind: str) -> Tensor:
    return _sum_slope(pred=pred) * _cost_slopes(pred=pred, target=target, kind=kind)


RECONSTRUCTION = Loss(
    key="reconstruction",
    name="Autoencoder reconstruction",
    name_zh="自编码器重构损失",
    family="generative",
    tasks=("unsupervised",),
    input_kind="reconstruction",
    inputs={"pred": "the output, (N, D)", "target": "the input, same shape"},
    differentiable=("pred",),
    fn=reconstruction,
    denominator=number_of_values,
    check=_check_reconstruction,
    grad=_reconstruction_grad,
    formula=(
        Line(
            r"c_j = (\hat x_j - x_j)^2 \quad "
            r"(\text{bce: } c_j = -x_j \ln \hat x_j - (1 - x_j) \ln(1 - \hat x_j))",
            _feature_costs,
        ),
        Line(r"\ell = \sum_j c_j", _reconstruction_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat x_j} = 2 (\hat x_j - x_j) \quad "
    r"\left(\text{bce: } \frac{\hat x_j - x_j}{\hat x_j (1 - \hat x_j)}\right)",
    derivation=(
        Line(
            r"\frac{\partial c_j}{\partial \hat x_j} = 2 (\hat x_j - x_j) \quad \left(\text{bce: }"
            r" -\frac{x_j}{\hat x_j} + \frac{1 - x_j}{1 - \hat x_j}"
            r" = \frac{(1 - x_j)\, \hat x_j - x_j (1 - \hat x_j)}{\hat x_j (1 - \hat x_j)}\right)",
            _cost_slopes,
        ),
        Line(r"\frac{\partial \ell}{\partial c_j} = 1", _sum_slope),
        Line(
            r"\frac{\partial \ell}{\partial \hat x_j} = \frac{\partial \ell}{\partial c_j} \cdot"
            r" \frac{\partial c_j}{\partial \hat x_j} = 2 (\hat x_j - x_j) \quad"
            r" \left(\text{bce: } \frac{\hat x_j - x_j}{\hat x_j (1 - \hat x_j)}\right)",
            _reconstruction_slope,
        ),
    ),
    params={"kind": _KIND},
    properties=Properties(
        convex_in_pred=yes(_NUMBERS),
        bounded=no(_NUMBERS, {"pred": [[0.0, 0.0, 0.0, 0.0]], "target": [[1.0, 1.0, 1.0, 1.0]]}, kind="bce"),
        lipschitz=no(_NUMBERS, {"pred": [[1e-9]], "target": [[1.0]]}, kind="bce"),
        smooth=no(
            "probabilities; smooth with the squared error",
            {"pred": [[1e-9]], "target": [[1.0]]},
            {"pred": [[2e-9]], "target": [[1.0]]},
            kind="bce",
        ),
        symmetric=yes("x replaced by 1 - x in input and output"),
        scale_invariant=no(_NUMBERS, {"pred": [[0.5]], "target": [[0.0]]}),
    ),
    pitfalls=(
        "The features are added up; a mean over them divides by D and changes the balance with any other term.",
        "With bce the output is a probability: without a sigmoid at the end it leaves the interval.",
        "With bce and inputs between 0 and 1 a perfect output does not cost 0 but the inputs' entropy.",
        "With bce PyTorch cuts logarithms at -100 and the slope's denominator at 1e-12; so does this.",
    ),
    reference="Hinton and Salakhutdinov (2006), Reducing the dimensionality of data with neural networks, "
    "doi:10.1126/science.1127647.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "kind = {kind}\n"
        'function = F.binary_cross_entropy if kind == "bce" else F.mse_loss\n'
        'loss = function(pred, target, reduction="none").sum(-1).mean()\n',
        keras=None,
        optax=None,
        note="The usual mean over all values is smaller by the number of features.",
    ),
)


# --- variational autoencoder


def vae_elbo(
    *, pred: Tensor, target: Tensor, mu: Tensor, logvar: Tensor, kind: str = "mse", beta: float = 1.0
) -> Tensor:
    """The negative evidence lower bound: giving the input back, and codes that look like a standard normal sample.

    Args:
        pred: the decoder's output, shape ``(N, D)``; with ``bce`` probabilities, 0 to 1.
        target: the input, same shape; with ``bce`` 0 to 1.
        mu: means of the codes, shape ``(N, Z)``.
        logvar: logarithms of their variances, same shape as ``mu``; from -80 to 80.
        kind: ``mse`` for a normal output of variance 1, ``bce`` for one of zeros and ones.
        beta: weight of the codes' divergence; 0 or more, 1 for the bound itself.

    Returns:
        Loss per row, shape ``(N,)``, in nats; with ``mse`` without the normal density's constant.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Kingma and Welling (2014), arXiv:1312.6114.
    """
    _require_vae(pred, target, mu, logvar)
    # expm1 keeps the digits that e^s - 1 - s loses near s = 0.
    divergence = 0.5 * (mu.square() + torch.expm1(logvar) - logvar).sum(-1)
    return _decoder_scale(kind) * reconstruction(pred=pred, target=target, kind=kind) + beta * divergence


def _decoder_scale(kind: str) -> float:
    return 1.0 if kind == "bce" else 0.5


def _require_vae(pred: Tensor, target: Tensor, mu: Tensor, logvar: Tensor) -> None:
    require_floating(pred=pred, target=target, mu=mu, logvar=logvar)
    require_rows(pred=pred, target=target)
    require_axes("(N, Z)", mu=mu)
    require_shape("mu", mu, (pred.shape[0], mu.shape[1]), "one for each row")
    require_same_shape(mu=mu, logvar=logvar)


def _vae_grad(*, pred: Tensor, target: Tensor, mu: Tensor, logvar: Tensor, kind: str, beta: float) -> dict[str, Tensor]:
    output = _reconstruction_grad(pred=pred, target=target, kind=kind)["pred"]
    return {
        "pred": _decoder_scale(kind) * output,
        "mu": beta * mu,
        "logvar": beta / 2 * torch.expm1(logvar),
    }


def _check_vae(inputs: Inputs, params: Params) -> None:
    pred, target, mu, logvar = inputs["pred"], inputs["target"], inputs["mu"], inputs["logvar"]
    _require_vae(pred, target, mu, logvar)
    _check_output(pred, target, params["kind"])
    check_finite(mu=mu)
    # Beyond, the variance leaves float32.
    check_between("logvar", logvar, -80.0, 80.0)


def _output_cost(*, pred: Tensor, target: Tensor, kind: str, **_: object) -> Tensor:
    return _decoder_scale(kind) * _reconstruction_line(pred=pred, target=target, kind=kind)


def _code_cost(*, mu: Tensor, logvar: Tensor, **_: object) -> Tensor:
    return (mu**2 + logvar.exp() - 1 - logvar).sum(-1) / 2


def _vae_line(*, pred: Tensor, target: Tensor, mu: Tensor, logvar: Tensor, kind: str, beta: float) -> Tensor:
    return _output_cost(pred=pred, target=target, kind=kind) + beta * _code_cost(mu=mu, logvar=logvar)


_VAE_NUMBERS = f"{_NUMBERS}, log-variances from -80 to 80"


def _vae_point(mu: float, logvar: float) -> dict[str, list[list[float]]]:
    return {"pred": [[0.5]], "target": [[0.5]], "mu": [[mu]], "logvar": [[logvar]]}


def _output_slope(*, pred: Tensor, target: Tensor, kind: str, **_: object) -> Tensor:
    return _decoder_scale(kind) * _cost_slopes(pred=pred, target=target, kind=kind)


def _code_slope(*, pred: Tensor, **_: object) -> Tensor:
    return torch.zeros_like(pred)


def _vae_slope(*, pred: Tensor, target: Tensor, mu: Tensor, logvar: Tensor, kind: str, beta: float) -> Tensor:
    return _output_slope(pred=pred, target=target, kind=kind) + beta * _code_slope(pred=pred)


VAE_ELBO = Loss(
    key="vae_elbo",
    name="Variational autoencoder (negative ELBO)",
    name_zh="变分自编码器（负 ELBO）",
    family="generative",
    tasks=("unsupervised",),
    input_kind="vae",
    inputs={
        "pred": "the decoder's output, (N, D)",
        "target": "the input, same shape",
        "mu": "means of the codes, (N, Z)",
        "logvar": "log-variances of the codes, (N, Z), -80 to 80",
    },
    differentiable=("pred", "mu", "logvar"),
    fn=vae_elbo,
    denominator=number_of_values,
    check=_check_vae,
    grad=_vae_grad,
    formula=(
        Line(
            r"r = \tfrac{1}{2} \sum_j (\hat x_j - x_j)^2 \quad "
            r"(\text{bce: } -\sum_j x_j \ln \hat x_j + (1 - x_j) \ln(1 - \hat x_j))",
            _output_cost,
        ),
        Line(r"d = \tfrac{1}{2} \sum_i \left(\mu_i^2 + e^{s_i} - 1 - s_i\right)", _code_cost),
        Line(r"\ell = r + \beta\, d", _vae_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial \hat x_j} = \hat x_j - x_j \quad "
    r"\left(\text{bce: } \frac{\hat x_j - x_j}{\hat x_j (1 - \hat x_j)}\right), \quad "
    r"\frac{\partial \ell}{\partial \mu_i} = \beta \mu_i, \quad "
    r"\frac{\partial \ell}{\partial s_i} = \frac{\beta}{2} \left(e^{s_i} - 1\right)",
    derivation=(
        Line(
            r"\frac{\partial r}{\partial \hat x_j} = \tfrac{1}{2} \cdot 2 (\hat x_j - x_j) \quad \left(\text{bce: }"
            r" -\frac{x_j}{\hat x_j} + \frac{1 - x_j}{1 - \hat x_j}\right)",
            _output_slope,
        ),
        Line(r"\frac{\partial d}{\partial \hat x_j} = 0", _code_slope),
        Line(
            r"\frac{\partial \ell}{\partial \hat x_j} = \frac{\partial r}{\partial \hat x_j}"
            r" + \beta \frac{\partial d}{\partial \hat x_j} = \hat x_j - x_j \quad"
            r" \left(\text{bce: } \frac{\hat x_j - x_j}{\hat x_j (1 - \hat x_j)}\right)",
            _vae_slope,
        ),
    ),
    params={
        "kind": _KIND,
        "beta": Number("Weight of the codes' divergence; 1 for the bound itself.", 1.0, 0.0, 100.0),
    },
    properties=Properties(
        convex_in_pred=yes(_VAE_NUMBERS),
        bounded=no(_VAE_NUMBERS, _vae_point(1e3, 0.0)),
        lipschitz=no(_VAE_NUMBERS, _vae_point(1e6, 0.0)),
        smooth=no(_VAE_NUMBERS, _vae_point(0.0, 29.0), _vae_point(0.0, 30.0)),
        symmetric=yes("x replaced by 1 - x in input and output, the codes' means by their negatives"),
        scale_invariant=no(
            f"output and input together; {_VAE_NUMBERS}",
            {"pred": [[0.5]], "target": [[0.0]], "mu": [[0.0]], "logvar": [[0.0]]},
        ),
    ),
    pitfalls=(
        "The squared error has the factor 1/2 of a normal density of variance 1; without it beta means half as much.",
        "Both terms are added up over features and codes; a mean over features beside a sum over codes multiplies "
        "beta by D, and the codes collapse.",
        "The encoder gives the logarithm of the variance, not of the deviation.",
        "Where the divergence wins early, the decoder learns to ignore the codes; raising beta slowly helps.",
    ),
    reference="Kingma and Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114; the weight beta is from "
    "Higgins et al. (2017), beta-VAE, International Conference on Learning Representations.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "kind = {kind}\n"
        'if kind == "bce":\n'
        '    output = F.binary_cross_entropy(pred, target, reduction="none").sum(-1)\n'
        "else:\n"
        "    output = 0.5 * ((pred - target) ** 2).sum(-1)\n"
        "codes = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)\n"
        "loss = (output + {beta} * codes).mean()\n",
        keras=None,
        optax=None,
        note="The divergence is that of torch.distributions.kl_divergence between the two normal distributions.",
    ),
)


LOSSES: tuple[Loss, ...] = (RECONSTRUCTION, VAE_ELBO)
