"""Losses between a probability map, or a map of logits, and a mask."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lossviz.losses._checks import (
    check_among,
    check_between,
    check_finite,
    check_labels,
    check_where,
    require_axes,
    require_floating,
    require_index,
    require_same_shape,
)
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Choice,
    Code,
    Flag,
    Inputs,
    Line,
    Loss,
    Number,
    Param,
    Params,
    Properties,
    no,
    number_of_values,
    yes,
)

_MAPS = {"pred": "probabilities, (N, C, H, W)", "target": "masks, 0 or 1, (N, C, H, W)"}
_ALL_MAPS = "all probability maps and masks"
_SMOOTH: dict[str, Param] = {
    "smooth_nr": Number("Added above the fraction bar.", 1e-5, 0.0, 10.0),
    "smooth_dr": Number("Added below the fraction bar.", 1e-5, 1e-7, 10.0, "log"),
}
_BATCH: dict[str, Param] = {
    "batch": Flag("One value a channel, over all images together; else one for each image and channel.", False)
}


# --- what the losses of masks share


def _require_maps(pred: Tensor, target: Tensor) -> None:
    require_floating(pred=pred, target=target)
    require_same_shape(pred=pred, target=target)
    require_axes("(N, C, H, W)", pred=pred)


def _check_maps(inputs: Inputs, params: Params) -> None:
    pred, target = inputs["pred"], inputs["target"]
    _require_maps(pred, target)
    check_between("pred", pred, 0.0, 1.0)
    _check_mask(target)


def _check_mask(target: Tensor) -> None:
    check_among("target", target, (0, 1), "0 or 1")


def _sum(pixels: Tensor, batch: bool) -> Tensor:
    """(N, C), or (C,) for the whole batch."""
    return pixels.sum((0, 2, 3) if batch else (2, 3))


def _spread(sums: Tensor) -> Tensor:
    """So that (N, C) or (C,) fits (N, C, H, W)."""
    return sums[..., None, None]


def _size(pixels: Tensor, squared_pred: bool) -> Tensor:
    return pixels.square() if squared_pred else pixels


def _size_slope(pred: Tensor, squared_pred: bool) -> Tensor:
    return 2 * pred if squared_pred else torch.ones_like(pred)


def _quotient_slope(top: Tensor, top_slope: Tensor, bottom: Tensor, bottom_slope: Tensor) -> Tensor:
    return (top_slope - _spread(top / bottom) * bottom_slope) / _spread(bottom)


# --- lines of formulas; sums over pixels as sums over those inside and outside the mask


def _common_line(*, pred: Tensor, target: Tensor, batch: bool, **_: object) -> Tensor:
    return _sum(pred.masked_fill(target == 0, 0.0), batch)


def _size_line(*, pred: Tensor, batch: bool, squared_pred: bool, **_: object) -> Tensor:
    return _sum(pred**2 if squared_pred else pred, batch)


def _mask_line(*, target: Tensor, batch: bool, **_: object) -> Tensor:
    return _sum((target != 0).to(target.dtype), batch)


def _false_positives(*, pred: Tensor, target: Tensor, batch: bool, **_: object) -> Tensor:
    return _sum(pred.masked_fill(target == 1, 0.0), batch)


def _false_negatives(*, pred: Tensor, target: Tensor, batch: bool, **_: object) -> Tensor:
    return _sum((1 - pred).masked_fill(target == 0, 0.0), batch)


_COMMON = Line(r"I = \sum_i p_i t_i", _common_line)
_SIZE = Line(r"P = \sum_i p_i \quad (p_i^2 \text{ if squared})", _size_line)
_MASK = Line(r"T = \sum_i t_i", _mask_line)
_FP = Line(r"F_+ = \sum_i p_i (1 - t_i)", _false_positives)
_FN = Line(r"F_- = \sum_i (1 - p_i)\, t_i", _false_negatives)

# --- lines of derivations: how a sum moves with each pixel of the probability map, (N, C, H, W)


def _common_slope(*, target: Tensor, **_: object) -> Tensor:
    return target


def _size_slope_line(*, pred: Tensor, squared_pred: bool, **_: object) -> Tensor:
    return pred + pred if squared_pred else torch.ones_like(pred)


def _false_positives_slope(*, target: Tensor, **_: object) -> Tensor:
    return 1 - target


def _false_negatives_slope(*, target: Tensor, **_: object) -> Tensor:
    return -target


def _quotient_rule(top: Tensor, top_slope: Tensor, bottom: Tensor, bottom_slope: Tensor) -> Tensor:
    top, bottom = _spread(top), _spread(bottom)
    return (top_slope * bottom - top * bottom_slope) / bottom**2


_COMMON_SLOPE = Line(r"\frac{\partial I}{\partial p_i} = t_i", _common_slope)
_SIZE_SLOPE = Line(r"\frac{\partial P}{\partial p_i} = 1 \quad (2 p_i \text{ if squared})", _size_slope_line)
_FP_SLOPE = Line(r"\frac{\partial F_+}{\partial p_i} = 1 - t_i", _false_positives_slope)
_FN_SLOPE = Line(r"\frac{\partial F_-}{\partial p_i} = -t_i", _false_negatives_slope)

_HALF_RIGHT = {"pred": [[[[1.0, 0.0]]]], "target": [[[[1.0, 0.0]]]]}
_HALF_WRONG = {"pred": [[[[1.0, 1.0]]]], "target": [[[[1.0, 0.0]]]]}
_EXCHANGED = {"pred": _HALF_WRONG["target"], "target": _HALF_WRONG["pred"]}
_NOT_CONVEX = no("the probability map, for a fixed mask", _HALF_RIGHT, _HALF_WRONG)
_SIZES = (
    "batch, squared_pred = {batch}, {squared_pred}\n"
    "axes = (0, 2, 3) if batch else (2, 3)\n"
    "common = (pred * target).sum(axes)\n"
    "sizes = (pred**2 if squared_pred else pred).sum(axes) + target.sum(axes)\n"
)
_EMPTY = (
    "Where mask and prediction are both empty the smoothing alone decides: 0 if smooth_nr equals smooth_dr, "
    "1 if smooth_nr is 0, below 0 if it is the larger one."
)
_PER_IMAGE = (
    "One value for each image and channel, as in MONAI, is not one value over the batch, as in Keras and "
    "segmentation-models: small batches differ most."
)


# --- how steep and how bent a fraction of two sums over pixels is

_IMAGES, _CHANNELS, _PIXELS = 5, 2, 6
_FIXED_SIZE = (
    f"batches of {_IMAGES} images with {_CHANNELS} channels of {_PIXELS} pixels; where smooth_dr is small, "
    "an empty mask makes the bound large"
)


class _Bounds(NamedTuple):
    """Of one value: the length of its slope and its second derivative."""

    slope: float
    bend: float


def _pixels(p: Params) -> int:
    """How many pixels a value depends on."""
    return _IMAGES * _PIXELS if p["batch"] else _PIXELS


def _empty(weight: float, squared_pred: bool, p: Params) -> _Bounds:
    """Where the mask is empty: smooth_nr over smooth_dr and ``weight`` times the size."""
    above, below = p["smooth_nr"], p["smooth_dr"]
    if squared_pred:
        # Steepest at a size of smooth_dr / 3, most bent at 0.
        return _Bounds(9 / 8 / math.sqrt(3) * above / below**1.5, 2 * above / below**2)
    return _Bounds(math.sqrt(_pixels(p)) * weight * above / below**2, 2 * _pixels(p) * weight**2 * above / below**3)


def _filled(top: float, bottom: float, bend: float, least: float, p: Params) -> _Bounds:
    """Where the mask is not empty: a fraction whose numerator is linear in the probabilities.

    Args:
        top: bound of the numerator's slope by a pixel.
        bottom: bound of the denominator's slope by a pixel.
        bend: bound of the denominator's curvature along a pixel; pixels do not mix.
        least: the denominator is this or more, and the numerator no larger than it, both without smoothing.
        p: all parameters.
    """
    floor = least + p["smooth_dr"]
    ratio = max(1.0, (least + p["smooth_nr"]) / floor)
    slope = (top + ratio * bottom) / floor
    return _Bounds(math.sqrt(_pixels(p)) * slope, 2 * _pixels(p) * bottom * slope / floor + ratio * bend / floor)


def _values(p: Params) -> int:
    """How many values the mean goes over; no pixel belongs to two."""
    return _CHANNELS if p["batch"] else _IMAGES * _CHANNELS


def _steepest(cases: tuple[_Bounds, ...], p: Params) -> float:
    return max(case.slope for case in cases) / math.sqrt(_values(p))


def _most_bent(cases: tuple[_Bounds, ...], p: Params) -> float:
    return max(case.bend for case in cases) / _values(p)


# --- Dice


def dice(
    *,
    pred: Tensor,
    target: Tensor,
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    squared_pred: bool = False,
    batch: bool = False,
) -> Tensor:
    """One minus twice the common mass over the mass of both: background that is right does not count.

    Args:
        pred: probabilities, shape ``(N, C, H, W)``; 0 to 1.
        target: masks, same shape; 0 or 1.
        smooth_nr: added to the numerator; 0 or more.
        smooth_dr: added to the denominator; above 0.
        squared_pred: sizes are sums of squares, as in V-Net.
        batch: sums run over the images too.

    Returns:
        Loss per image and channel, shape ``(N, C)``, or per channel, ``(C,)``, if ``batch``; without unit, at most 1,
        and not below 0 unless ``smooth_nr`` exceeds ``smooth_dr``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Milletari et al. (2016), arXiv:1606.04797.
    """
    top, bottom = _dice_parts(pred, target, smooth_nr, smooth_dr, squared_pred, batch)
    return 1 - top / bottom


def _dice_parts(
    pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> tuple[Tensor, Tensor]:
    _require_maps(pred, target)
    sizes = _size(pred, squared_pred) + _size(target, squared_pred)
    return 2 * _sum(pred * target, batch) + smooth_nr, _sum(sizes, batch) + smooth_dr


def _dice_grad(
    *, pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> dict[str, Tensor]:
    top, bottom = _dice_parts(pred, target, smooth_nr, smooth_dr, squared_pred, batch)
    return {"pred": -_quotient_slope(top, 2 * target, bottom, _size_slope(pred, squared_pred))}


def _dice_line(
    *, pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> Tensor:
    common = _common_line(pred=pred, target=target, batch=batch)
    sizes = _size_line(pred=pred, batch=batch, squared_pred=squared_pred) + _mask_line(target=target, batch=batch)
    return (sizes + smooth_dr - 2 * common - smooth_nr) / (sizes + smooth_dr)


def _dice_fraction_slope(
    *, pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> Tensor:
    top = 2 * _common_line(pred=pred, target=target, batch=batch) + smooth_nr
    sizes = _size_line(pred=pred, batch=batch, squared_pred=squared_pred) + _mask_line(target=target, batch=batch)
    size_slope = _size_slope_line(pred=pred, squared_pred=squared_pred)
    return _quotient_rule(top, 2 * _common_slope(target=target), sizes + smooth_dr, size_slope)


def _dice_slope(**both: Any) -> Tensor:
    return -_dice_fraction_slope(**both)


def _dice_cases(p: Params) -> tuple[_Bounds, ...]:
    bottom, bend = (2.0, 2.0) if p["squared_pred"] else (1.0, 0.0)
    return _empty(1.0, p["squared_pred"], p), _filled(2.0, bottom, bend, 1.0, p)


DICE = Loss(
    key="dice",
    name="Dice loss",
    name_zh="Dice 损失",
    family="segmentation",
    tasks=("segmentation",),
    input_kind="masks",
    inputs=_MAPS,
    differentiable=("pred",),
    fn=dice,
    denominator=number_of_values,
    check=_check_maps,
    grad=_dice_grad,
    formula=(
        _COMMON,
        _SIZE,
        _MASK,
        Line(r"\ell = 1 - \frac{2 I + s_n}{P + T + s_d}", _dice_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p_i} = -\frac{1}{P + T + s_d} \left(2 t_i - "
    r"\frac{2 I + s_n}{P + T + s_d} \frac{\partial P}{\partial p_i}\right)",
    derivation=(
        _COMMON_SLOPE,
        _SIZE_SLOPE,
        Line(
            r"N = 2 I + s_n, \; B = P + T + s_d: \quad \frac{\partial}{\partial p_i} \frac{N}{B} = "
            r"\frac{2 \frac{\partial I}{\partial p_i} B - N \frac{\partial P}{\partial p_i}}{B^2}",
            _dice_fraction_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial p_i} = -\frac{\partial}{\partial p_i} \frac{N}{B} = "
            r"-\frac{1}{B} \left(2 t_i - \frac{N}{B} \frac{\partial P}{\partial p_i}\right)",
            _dice_slope,
        ),
    ),
    params={
        **_SMOOTH,
        "squared_pred": Flag("Sizes are sums of squared probabilities.", False),
        **_BATCH,
    },
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_MAPS, constant=lambda _: 1.0),
        lipschitz=yes(_FIXED_SIZE, constant=lambda p: _steepest(_dice_cases(p), p)),
        smooth=yes(_FIXED_SIZE, constant=lambda p: _most_bent(_dice_cases(p), p)),
        symmetric=yes("exchanging the probability map and the mask"),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        _EMPTY,
        "Segmentation-models and Optax add their smoothing to I and to half of P + T: their s is 2 s here.",
        _PER_IMAGE,
        "Squared and plain sizes are two losses of the same name; with plain ones the best map is always black "
        "and white, so the probabilities are over-confident.",
        "On a small object one pixel changes the value a lot: the gradient is noisy.",
    ),
    reference="Milletari, Navab and Ahmadi (2016), V-Net: fully convolutional neural networks for volumetric medical "
    "image segmentation, arXiv:1606.04797; with plain sizes: Sudre, Li, Vercauteren, Ourselin and Cardoso (2017), "
    "Generalised Dice overlap as a deep learning loss function for highly unbalanced segmentations, "
    "doi:10.1007/978-3-319-67558-9_28, arXiv:1707.03237.",
    code=Code(
        pytorch=_SIZES + "loss = (1 - (2 * common + {smooth_nr}) / (sizes + {smooth_dr})).mean()\n",
        keras=None,
        optax=None,
        note="In MONAI, DiceLoss has the same smoothing; Keras smooths the denominator alone and without axis "
        "sums over the batch.",
    ),
)


# --- Jaccard


def jaccard(
    *,
    pred: Tensor,
    target: Tensor,
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    squared_pred: bool = False,
    batch: bool = False,
) -> Tensor:
    """One minus the common mass over the mass of the union: the overlap that evaluation reports, made soft.

    Args:
        pred: probabilities, shape ``(N, C, H, W)``; 0 to 1.
        target: masks, same shape; 0 or 1.
        smooth_nr: added to the numerator; 0 or more.
        smooth_dr: added to the denominator; above 0.
        squared_pred: sizes are sums of squares.
        batch: sums run over the images too.

    Returns:
        Loss per image and channel, shape ``(N, C)``, or per channel, ``(C,)``, if ``batch``; without unit, at most 1,
        and not below 0 unless ``smooth_nr`` exceeds ``smooth_dr``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Rahman and Wang (2016), doi:10.1007/978-3-319-50835-1_22.
    """
    top, bottom = _jaccard_parts(pred, target, smooth_nr, smooth_dr, squared_pred, batch)
    return 1 - top / bottom


def _jaccard_parts(
    pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> tuple[Tensor, Tensor]:
    _require_maps(pred, target)
    common = _sum(pred * target, batch)
    sizes = _size(pred, squared_pred) + _size(target, squared_pred)
    return common + smooth_nr, _sum(sizes, batch) - common + smooth_dr


def _jaccard_grad(
    *, pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> dict[str, Tensor]:
    top, bottom = _jaccard_parts(pred, target, smooth_nr, smooth_dr, squared_pred, batch)
    return {"pred": -_quotient_slope(top, target, bottom, _size_slope(pred, squared_pred) - target)}


def _union_line(*, pred: Tensor, target: Tensor, batch: bool, squared_pred: bool, **_: object) -> Tensor:
    # Pixel by pixel p + t - pt: no difference of two large sums.
    outside = (pred**2 if squared_pred else pred).masked_fill(target == 1, 0.0)
    inside = (pred**2 - pred if squared_pred else torch.zeros_like(pred)) + 1
    return _sum(outside + inside.masked_fill(target == 0, 0.0), batch)


def _jaccard_line(
    *, pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> Tensor:
    union = _union_line(pred=pred, target=target, batch=batch, squared_pred=squared_pred) + smooth_dr
    return (union - _common_line(pred=pred, target=target, batch=batch) - smooth_nr) / union


def _union_slope(*, pred: Tensor, target: Tensor, squared_pred: bool, **_: object) -> Tensor:
    return _size_slope_line(pred=pred, squared_pred=squared_pred) - _common_slope(target=target)


def _jaccard_fraction_slope(
    *, pred: Tensor, target: Tensor, smooth_nr: float, smooth_dr: float, squared_pred: bool, batch: bool
) -> Tensor:
    common = _common_line(pred=pred, target=target, batch=batch) + smooth_nr
    union = _union_line(pred=pred, target=target, batch=batch, squared_pred=squared_pred) + smooth_dr
    union_slope = _union_slope(pred=pred, target=target, squared_pred=squared_pred)
    return _quotient_rule(common, _common_slope(target=target), union, union_slope)


def _jaccard_slope(**both: Any) -> Tensor:
    return -_jaccard_fraction_slope(**both)


def _jaccard_cases(p: Params) -> tuple[_Bounds, ...]:
    # In the mask a pixel adds 1 to the union, or 1 - p + p^2, which is 3/4 or more.
    bottom, bend, least = (2.0, 2.0, 0.75) if p["squared_pred"] else (1.0, 0.0, 1.0)
    return _empty(1.0, p["squared_pred"], p), _filled(1.0, bottom, bend, least, p)


JACCARD = Loss(
    key="jaccard",
    name="Jaccard loss (soft IoU)",
    name_zh="Jaccard 损失（软交并比）",
    family="segmentation",
    tasks=("segmentation",),
    input_kind="masks",
    inputs=_MAPS,
    differentiable=("pred",),
    fn=jaccard,
    denominator=number_of_values,
    check=_check_maps,
    grad=_jaccard_grad,
    formula=(
        _COMMON,
        _SIZE,
        _MASK,
        Line(r"U = P + T - I", _union_line),
        Line(r"\ell = 1 - \frac{I + s_n}{U + s_d}", _jaccard_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p_i} = -\frac{1}{U + s_d} \left(t_i - \frac{I + s_n}{U + s_d} "
    r"\left(\frac{\partial P}{\partial p_i} - t_i\right)\right)",
    derivation=(
        _COMMON_SLOPE,
        _SIZE_SLOPE,
        Line(
            r"\frac{\partial U}{\partial p_i} = \frac{\partial P}{\partial p_i} - \frac{\partial I}{\partial p_i}",
            _union_slope,
        ),
        Line(
            r"N = I + s_n, \; B = U + s_d: \quad \frac{\partial}{\partial p_i} \frac{N}{B} = "
            r"\frac{\frac{\partial I}{\partial p_i} B - N \frac{\partial U}{\partial p_i}}{B^2}",
            _jaccard_fraction_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial p_i} = -\frac{\partial}{\partial p_i} \frac{N}{B} = "
            r"-\frac{1}{B} \left(t_i - \frac{N}{B} \left(\frac{\partial P}{\partial p_i} - t_i\right)\right)",
            _jaccard_slope,
        ),
    ),
    params={
        **_SMOOTH,
        "squared_pred": Flag("Sizes are sums of squared probabilities.", False),
        **_BATCH,
    },
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_MAPS, constant=lambda _: 1.0),
        lipschitz=yes(_FIXED_SIZE, constant=lambda p: _steepest(_jaccard_cases(p), p)),
        smooth=yes(_FIXED_SIZE, constant=lambda p: _most_bent(_jaccard_cases(p), p)),
        symmetric=yes("exchanging the probability map and the mask"),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        _EMPTY,
        "MONAI writes 2 I over 2 U, so that its smoothing is twice the one here.",
        "It is no multiple of the Dice loss D but D / (2 - D) without smoothing: both rank single images alike, "
        "means over images not.",
        _PER_IMAGE,
    ),
    reference="Rahman and Wang (2016), Optimizing intersection-over-union in deep neural networks for image "
    "segmentation, doi:10.1007/978-3-319-50835-1_22.",
    code=Code(
        pytorch=_SIZES + "loss = (1 - (common + {smooth_nr}) / (sizes - common + {smooth_dr})).mean()\n",
        keras=None,
        optax=None,
        note="In MONAI, DiceLoss(jaccard=True) needs twice the smoothing for the same value.",
    ),
)


# --- Tversky


def tversky(
    *,
    pred: Tensor,
    target: Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
) -> Tensor:
    """Like Dice, but with a weight each for what is marked wrongly and for what is missed.

    Args:
        pred: probabilities, shape ``(N, C, H, W)``; 0 to 1.
        target: masks, same shape; 0 or 1.
        alpha: weight of false positives; 0 or more.
        beta: weight of false negatives; 0 or more.
        smooth_nr: added to the numerator; 0 or more.
        smooth_dr: added to the denominator; above 0.
        batch: sums run over the images too.

    Returns:
        Loss per image and channel, shape ``(N, C)``, or per channel, ``(C,)``, if ``batch``; without unit, at most 1,
        and not below 0 unless ``smooth_nr`` exceeds ``smooth_dr``.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Salehi et al. (2017), arXiv:1706.05721.
    """
    missed, bottom = _tversky_parts(pred, target, alpha, beta, smooth_nr, smooth_dr, batch)
    return missed / bottom


def _tversky_parts(
    pred: Tensor, target: Tensor, alpha: float, beta: float, smooth_nr: float, smooth_dr: float, batch: bool
) -> tuple[Tensor, Tensor]:
    """The loss as a fraction; its numerator is what is wrong, so no digits are lost near the perfect map."""
    _require_maps(pred, target)
    wrong = alpha * _sum(pred * (1 - target), batch) + beta * _sum((1 - pred) * target, batch)
    return wrong + (smooth_dr - smooth_nr), wrong + _sum(pred * target, batch) + smooth_dr


def _tversky_grad(
    *, pred: Tensor, target: Tensor, alpha: float, beta: float, smooth_nr: float, smooth_dr: float, batch: bool
) -> dict[str, Tensor]:
    missed, bottom = _tversky_parts(pred, target, alpha, beta, smooth_nr, smooth_dr, batch)
    wrong_slope = alpha * (1 - target) - beta * target
    return {"pred": _quotient_slope(missed, wrong_slope, bottom, wrong_slope + target)}


def _index_line(
    *,
    pred: Tensor,
    target: Tensor,
    alpha: float,
    beta: float,
    smooth_nr: float,
    smooth_dr: float,
    batch: bool,
    **_: object,
) -> Tensor:
    common = _common_line(pred=pred, target=target, batch=batch)
    false_positives = _false_positives(pred=pred, target=target, batch=batch)
    false_negatives = _false_negatives(pred=pred, target=target, batch=batch)
    return (common + smooth_nr) / (common + alpha * false_positives + beta * false_negatives + smooth_dr)


def _tversky_line(**both: Any) -> Tensor:
    return 1 - _index_line(**both)


_WEIGHTS: dict[str, Param] = {
    "alpha": Number("Weight of what is marked although it is background (false positives).", 0.3, 0.0, 2.0),
    "beta": Number("Weight of what is missed (false negatives).", 0.7, 0.0, 2.0),
}
_INDEX = Line(r"S = \frac{I + s_n}{I + \alpha F_+ + \beta F_- + s_d}", _index_line)
_TVERSKY_CODE = (
    "batch = {batch}\n"
    "axes = (0, 2, 3) if batch else (2, 3)\n"
    "common = (pred * target).sum(axes)\n"
    "wrong = {alpha} * (pred * (1 - target)).sum(axes) + {beta} * ((1 - pred) * target).sum(axes)\n"
)


def _wrong_slope(*, target: Tensor, alpha: float, beta: float, **_: object) -> Tensor:
    return alpha * _false_positives_slope(target=target) + beta * _false_negatives_slope(target=target)


def _bottom_slope(**both: Any) -> Tensor:
    return _common_slope(**both) + _wrong_slope(**both)


def _tversky_slope(*, smooth_nr: float, smooth_dr: float, **both: Any) -> Tensor:
    common = _common_line(**both)
    bottom = common + _wrong_line(**both) + smooth_dr
    return -_quotient_rule(common + smooth_nr, _common_slope(**both), bottom, _bottom_slope(**both))


def _tversky_cases(p: Params) -> tuple[_Bounds, ...]:
    alpha, beta = p["alpha"], p["beta"]
    return _empty(alpha, False, p), _filled(1.0, max(alpha, abs(1 - beta)), 0.0, min(1.0, beta), p)


TVERSKY = Loss(
    key="tversky",
    name="Tversky loss",
    name_zh="Tversky 损失",
    family="segmentation",
    tasks=("segmentation",),
    input_kind="masks",
    inputs=_MAPS,
    differentiable=("pred",),
    fn=tversky,
    denominator=number_of_values,
    check=_check_maps,
    grad=_tversky_grad,
    formula=(_COMMON, _FP, _FN, _INDEX, Line(r"\ell = 1 - S", _tversky_line)),
    gradient=r"\frac{\partial \ell}{\partial p_i} = -\frac{1}{B} \left(t_i - S \left(t_i + \alpha (1 - t_i) "
    r"- \beta t_i\right)\right), \quad B = I + \alpha F_+ + \beta F_- + s_d",
    derivation=(
        _COMMON_SLOPE,
        _FP_SLOPE,
        _FN_SLOPE,
        Line(
            r"B = I + \alpha F_+ + \beta F_- + s_d: \quad \frac{\partial B}{\partial p_i} = "
            r"t_i + \alpha (1 - t_i) - \beta t_i",
            _bottom_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial p_i} = -\frac{\partial}{\partial p_i} \frac{I + s_n}{B} = "
            r"-\frac{\frac{\partial I}{\partial p_i} B - (I + s_n) \frac{\partial B}{\partial p_i}}{B^2}",
            _tversky_slope,
        ),
    ),
    params={**_WEIGHTS, **_SMOOTH, **_BATCH},
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_MAPS, constant=lambda _: 1.0),
        lipschitz=yes(_FIXED_SIZE, constant=lambda p: _steepest(_tversky_cases(p), p)),
        smooth=yes(_FIXED_SIZE, constant=lambda p: _most_bent(_tversky_cases(p), p)),
        symmetric=no(
            "exchanging the probability map and the mask; symmetric for alpha = beta alone", _HALF_WRONG, _EXCHANGED
        ),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "alpha weighs false positives and beta false negatives, as in the paper; Keras has them the other way round.",
        "alpha = beta = 0.5 is the Dice loss with twice the smoothing there, alpha = beta = 1 the Jaccard loss.",
        "A large beta finds more of a small object and marks more of its surroundings: the best map grows.",
        _EMPTY,
    ),
    reference="Salehi, Erdogmus and Gholipour (2017), Tversky loss function for image segmentation using 3D fully "
    "convolutional deep networks, arXiv:1706.05721.",
    code=Code(
        pytorch=_TVERSKY_CODE + "loss = (1 - (common + {smooth_nr}) / (common + wrong + {smooth_dr})).mean()\n",
        keras=None,
        optax=None,
        note="In MONAI, TverskyLoss is the same; in Keras exchange alpha and beta.",
    ),
)


# --- focal Tversky


def focal_tversky(
    *,
    pred: Tensor,
    target: Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    exponent: float = 0.75,
    smooth_nr: float = 1e-5,
    smooth_dr: float = 1e-5,
    batch: bool = False,
) -> Tensor:
    """A power of the Tversky loss: below 1 it keeps pulling at maps that are nearly right, above 1 it lets them be.

    Args:
        pred: probabilities, shape ``(N, C, H, W)``; 0 to 1.
        target: masks, same shape; 0 or 1.
        alpha: weight of false positives; 0 or more.
        beta: weight of false negatives; 0 or more.
        exponent: the power itself; above 0.
        smooth_nr: added to the numerator; from 0 to ``smooth_dr``, so that there is no power of a negative number.
        smooth_dr: added to the denominator; above 0.
        batch: sums run over the images too.

    Returns:
        Loss per image and channel, shape ``(N, C)``, or per channel, ``(C,)``, if ``batch``; 0 to 1, without unit.
        On the perfect map, where an exponent below 1 has an infinite slope, the gradient is 0.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Abraham and Khan (2019), arXiv:1810.07842.
    """
    missed, bottom = _tversky_parts(pred, target, alpha, beta, smooth_nr, smooth_dr, batch)
    ratio = missed / bottom
    perfect = ratio <= 0
    return (ratio.masked_fill(perfect, 1.0) ** exponent).masked_fill(perfect, 0.0)


def _focal_grad(
    *,
    pred: Tensor,
    target: Tensor,
    alpha: float,
    beta: float,
    exponent: float,
    smooth_nr: float,
    smooth_dr: float,
    batch: bool,
) -> dict[str, Tensor]:
    missed, bottom = _tversky_parts(pred, target, alpha, beta, smooth_nr, smooth_dr, batch)
    ratio = missed / bottom
    perfect = ratio <= 0
    steepness = (exponent * ratio.masked_fill(perfect, 1.0) ** (exponent - 1)).masked_fill(perfect, 0.0)
    slope = _tversky_grad(
        pred=pred,
        target=target,
        alpha=alpha,
        beta=beta,
        smooth_nr=smooth_nr,
        smooth_dr=smooth_dr,
        batch=batch,
    )
    return {"pred": _spread(steepness) * slope["pred"]}


def _check_focal(inputs: Inputs, params: Params) -> None:
    _check_maps(inputs, params)
    if params["smooth_nr"] > params["smooth_dr"]:
        raise ValueError(f"smooth_nr is {params['smooth_nr']:g}, allowed: 0 to smooth_dr, {params['smooth_dr']:g}")


def _wrong_line(*, pred: Tensor, target: Tensor, alpha: float, beta: float, batch: bool, **_: object) -> Tensor:
    false_positives = _false_positives(pred=pred, target=target, batch=batch)
    return alpha * false_positives + beta * _false_negatives(pred=pred, target=target, batch=batch)


def _focal_line(*, exponent: float, smooth_nr: float, smooth_dr: float, **both: Any) -> Tensor:
    wrong = _wrong_line(**both)
    return ((wrong + (smooth_dr - smooth_nr)) / (_common_line(**both) + wrong + smooth_dr)) ** exponent


def _ratio_and_bottom(*, smooth_nr: float, smooth_dr: float, **both: Any) -> tuple[Tensor, Tensor]:
    wrong = _wrong_line(**both)
    bottom = _common_line(**both) + wrong + smooth_dr
    return (wrong + (smooth_dr - smooth_nr)) / bottom, bottom


def _ratio_slope(**both: Any) -> Tensor:
    ratio, bottom = _ratio_and_bottom(**both)
    return _quotient_rule(ratio * bottom, _wrong_slope(**both), bottom, _bottom_slope(**both))


def _power_slope(*, exponent: float, **both: Any) -> Tensor:
    ratio, _ = _ratio_and_bottom(**both)
    return (exponent * ratio ** (exponent - 1)).masked_fill(ratio <= 0, 0.0)


def _focal_slope(**both: Any) -> Tensor:
    return _spread(_power_slope(**both)) * _ratio_slope(**both)


def _nearly_right(rest: float) -> dict[str, Any]:
    return {"pred": [[[[1.0, rest]]]], "target": [[[[1.0, 0.0]]]]}


FOCAL_TVERSKY = Loss(
    key="focal_tversky",
    name="Focal Tversky loss",
    name_zh="焦点 Tversky 损失",
    family="segmentation",
    tasks=("segmentation",),
    input_kind="masks",
    inputs=_MAPS,
    differentiable=("pred",),
    fn=focal_tversky,
    denominator=number_of_values,
    check=_check_focal,
    grad=_focal_grad,
    formula=(
        _COMMON,
        _FP,
        _FN,
        _INDEX,
        Line(r"F = \alpha F_+ + \beta F_-", _wrong_line),
        Line(r"\ell = (1 - S)^\gamma = \left(\frac{F + s_d - s_n}{I + F + s_d}\right)^\gamma", _focal_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p_i} = \gamma\,(1 - S)^{\gamma - 1}\, "
    r"\frac{\partial (1 - S)}{\partial p_i}, \quad 0 \text{ at } S = 1",
    derivation=(
        Line(r"\frac{\partial F}{\partial p_i} = \alpha (1 - t_i) - \beta t_i", _wrong_slope),
        Line(
            r"R = 1 - S = \frac{N}{B}, \; N = F + s_d - s_n, \; B = I + F + s_d: \quad "
            r"\frac{\partial R}{\partial p_i} = "
            r"\frac{\frac{\partial F}{\partial p_i} B - N \left(t_i + \frac{\partial F}{\partial p_i}\right)}{B^2}",
            _ratio_slope,
        ),
        Line(r"\frac{d \ell}{d R} = \gamma R^{\gamma - 1}, \quad 0 \text{ at } R = 0", _power_slope),
        Line(
            r"\frac{\partial \ell}{\partial p_i} = \frac{d \ell}{d R} \cdot \frac{\partial R}{\partial p_i}",
            _focal_slope,
        ),
    ),
    params={
        **_WEIGHTS,
        "exponent": Number("The power to which the Tversky loss is raised.", 0.75, 0.25, 4.0),
        **_SMOOTH,
        **_BATCH,
    },
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_MAPS, constant=lambda _: 1.0),
        lipschitz=no(
            "exponents below 1: near the perfect map the slope has no bound, unless smooth_nr is below smooth_dr",
            _nearly_right(1e-32),
        ),
        smooth=no(
            "exponents below 2 but 1: near the perfect map the slope changes without bound, unless smooth_nr is below "
            "smooth_dr",
            _nearly_right(1e-32),
            _nearly_right(2e-32),
        ),
        symmetric=no(
            "exchanging the probability map and the mask; symmetric for alpha = beta alone", _HALF_WRONG, _EXCHANGED
        ),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The paper's gamma is the reciprocal of the exponent: its 4/3 is 0.75 here and in the authors' own code.",
        "The power is taken for each channel, then the mean; segmentation-models takes it of the mean.",
        "With an exponent below 1 the slope grows without bound towards the perfect map; exactly there it is 0 here.",
        "smooth_nr above smooth_dr would mean powers of negative numbers and is refused.",
    ),
    reference="Abraham and Khan (2019), A novel focal Tversky loss function with improved attention U-Net for lesion "
    "segmentation, arXiv:1810.07842.",
    code=Code(
        pytorch=_TVERSKY_CODE + "index = (common + {smooth_nr}) / (common + wrong + {smooth_dr})\n"
        "loss = ((1 - index) ** {exponent}).mean()\n",
        keras=None,
        optax=None,
        note="In segmentation-models, TverskyLoss(gamma=exponent) is the same for one channel.",
    ),
)


# --- the Lovász extension of the Jaccard loss


def _jaccard_of_first(mask: Tensor, order: Tensor) -> Tensor:
    """At place k the Jaccard loss of a map that is wrong in the first k + 1 pixels of the order alone."""
    ranked = mask.gather(-1, order)
    left = mask.sum(-1, keepdim=True) - ranked.cumsum(-1)
    return 1 - left / (mask.sum(-1, keepdim=True) + (1 - ranked).cumsum(-1))


def _pixel_weights(errors: Tensor, mask: Tensor) -> Tensor:
    """The share of each pixel's error in the loss, in the order of the pixels; 0 or more, at most 1 in all."""
    _, order = errors.detach().sort(-1, descending=True)
    steps = _jaccard_of_first(mask, order)
    steps = torch.cat([steps[..., :1], steps.diff(dim=-1)], -1)
    return steps.gather(-1, order.argsort(-1))


def _extension_line(errors: Tensor, mask: Tensor) -> Tensor:
    """Summed by parts: each drop from one error to the next smaller one, times the Jaccard loss so far."""
    ranked, order = errors.sort(-1, descending=True)
    drops = ranked - torch.cat([ranked[..., 1:], torch.zeros_like(ranked[..., :1])], -1)
    return (drops * _jaccard_of_first(mask, order)).sum(-1)


def lovasz_hinge(*, pred: Tensor, target: Tensor) -> Tensor:
    """Hinge errors of all pixels, weighted by what each adds to the Jaccard loss when it is wrong too.

    Args:
        pred: logits, shape ``(N, H, W)``.
        target: masks, same shape; 0 or 1.

    Returns:
        Loss per image, shape ``(N,)``, in the unit of the logits.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Berman, Rannen Triki and Blaschko (2018), arXiv:1705.08790.
    """
    errors, mask = _hinge_errors(pred, target), target.flatten(1)
    return (_pixel_weights(errors, mask) * errors).sum(-1)


def _require_logits(pred: Tensor, target: Tensor) -> None:
    require_floating(pred=pred, target=target)
    require_same_shape(pred=pred, target=target)
    require_axes("(N, H, W)", pred=pred)


def _hinge_errors(pred: Tensor, target: Tensor) -> Tensor:
    """One row of pixels an image."""
    _require_logits(pred, target)
    return (1 - pred * (2 * target - 1)).relu().flatten(1)


def _lovasz_hinge_grad(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    errors, mask = _hinge_errors(pred, target), target.flatten(1)
    slope = _pixel_weights(errors, mask) * (errors > 0).to(pred.dtype) * (1 - 2 * mask)
    return {"pred": slope.reshape(pred.shape)}


def _check_lovasz_hinge(inputs: Inputs, params: Params) -> None:
    pred, target = inputs["pred"], inputs["target"]
    _require_logits(pred, target)
    check_finite(pred=pred)
    _check_mask(target)


def _hinge_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return torch.where(target == 1, 1 - pred, 1 + pred).clamp(min=0)


def _rank_line(*, pred: Tensor, target: Tensor) -> Tensor:
    errors = _hinge_line(pred=pred, target=target).flatten(1)
    return _jaccard_of_first(target.flatten(1), errors.argsort(-1, descending=True))


def _lovasz_hinge_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return _extension_line(_hinge_line(pred=pred, target=target).flatten(1), target.flatten(1))


def _jaccard_steps(errors: Tensor, mask: Tensor) -> Tensor:
    """What each pixel adds to the Jaccard loss when it is wrong too, after all with larger errors."""
    order = errors.argsort(-1, descending=True)
    jaccard = _jaccard_of_first(mask, order)
    before = torch.cat([torch.zeros_like(jaccard[..., :1]), jaccard[..., :-1]], -1)
    return torch.zeros_like(errors).scatter(-1, order, jaccard - before)


def _hinge_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return (1 - 2 * target).masked_fill(_hinge_line(pred=pred, target=target) <= 0, 0.0)


def _steps_line(*, pred: Tensor, target: Tensor) -> Tensor:
    errors = _hinge_line(pred=pred, target=target)
    return _jaccard_steps(errors.flatten(1), target.flatten(1)).reshape(pred.shape)


def _sum_by_pixels_line(*, pred: Tensor, target: Tensor) -> Tensor:
    return (_hinge_line(pred=pred, target=target) * _steps_line(pred=pred, target=target)).flatten(1).sum(-1)


def _lovasz_hinge_slope(*, pred: Tensor, target: Tensor) -> Tensor:
    return _steps_line(pred=pred, target=target) * _hinge_slope(pred=pred, target=target)


_ALL_LOGITS = "all real logits"
_RANK_LATEX = (
    r"J_k = \text{Jaccard loss if the } k \text{ worst pixels were wrong}, \quad e_{(1)} \ge e_{(2)} \ge \dots"
)
_EXTENSION_LATEX = r"\sum_k \left(e_{(k)} - e_{(k + 1)}\right) J_k, \quad e_{(M + 1)} = 0"
_LOVASZ_CODE = (
    "import torch\n\n\n"
    "def lovasz(errors, mask):\n"
    "    errors, order = errors.sort(descending=True)\n"
    "    mask = mask[order]\n"
    "    jaccard = 1 - (mask.sum() - mask.cumsum(0)) / (mask.sum() + (1 - mask).cumsum(0))\n"
    "    return errors @ torch.cat([jaccard[:1], jaccard.diff()])\n\n\n"
)

LOVASZ_HINGE = Loss(
    key="lovasz_hinge",
    name="Lovász hinge",
    name_zh="Lovász 合页损失",
    family="segmentation",
    tasks=("segmentation",),
    input_kind="mask_logits",
    inputs={"pred": "logits, (N, H, W)", "target": "masks, 0 or 1, (N, H, W)"},
    differentiable=("pred",),
    fn=lovasz_hinge,
    denominator=number_of_values,
    check=_check_lovasz_hinge,
    grad=_lovasz_hinge_grad,
    formula=(
        Line(r"e_i = \max(0, 1 - z_i (2 t_i - 1))", _hinge_line),
        Line(_RANK_LATEX, _rank_line),
        Line(rf"\ell = {_EXTENSION_LATEX}", _lovasz_hinge_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_i} = -(2 t_i - 1) \left(J_k - J_{k - 1}\right) [e_i > 0], "
    r"\quad k \text{ the rank of } e_i, \; J_0 = 0",
    derivation=(
        Line(r"\frac{\partial e_i}{\partial z_i} = -(2 t_i - 1)\, [e_i > 0]", _hinge_slope),
        Line(
            r"\ell = \sum_k \left(e_{(k)} - e_{(k + 1)}\right) J_k = \sum_k e_{(k)} \left(J_k - J_{k - 1}\right), "
            r"\quad J_0 = 0",
            _sum_by_pixels_line,
        ),
        Line(
            r"\frac{\partial \ell}{\partial e_i} = J_k - J_{k - 1}, \quad k \text{ the rank of } e_i, "
            r"\text{ which a small change leaves as it is}",
            _steps_line,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_i} = \frac{\partial \ell}{\partial e_i} \cdot "
            r"\frac{\partial e_i}{\partial z_i} = -(2 t_i - 1) \left(J_k - J_{k - 1}\right) [e_i > 0]",
            _lovasz_hinge_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=yes(_ALL_LOGITS, source="Berman et al. (2018), arXiv:1705.08790."),
        bounded=no(_ALL_LOGITS, {"pred": [[[1e6, 0.0]]], "target": [[[0.0, 1.0]]]}),
        lipschitz=yes(_ALL_LOGITS, constant=lambda _: 1.0),
        smooth=no(
            "all real logits; the kinks are at margins of 1 and where two errors are equal",
            {"pred": [[[1 - 1e-9]]], "target": [[[1.0]]]},
            {"pred": [[[1 + 1e-9]]], "target": [[[1.0]]]},
        ),
        symmetric=no(
            "exchanging object and background",
            {"pred": [[[2.0, 0.5, 0.5]]], "target": [[[0.0, 0.0, 1.0]]]},
            {"pred": [[[-2.0, -0.5, -0.5]]], "target": [[[1.0, 1.0, 0.0]]]},
        ),
        scale_invariant=no(_ALL_LOGITS, {"pred": [[[0.5]]], "target": [[[1.0]]]}),
    ),
    pitfalls=(
        "It takes logits; given probabilities every margin is below 1 and every pixel stays in error.",
        "The value is one for each image; all images as one large image give another number.",
        "On an image without object the worst pixel alone counts: all others get no gradient.",
        "Some code uses elu(1 - m) + 1 in place of the hinge: smoother, and never exactly 0.",
    ),
    reference="Berman, Rannen Triki and Blaschko (2018), The Lovász-softmax loss: a tractable surrogate for the "
    "optimization of the intersection-over-union measure in neural networks, doi:10.1109/cvpr.2018.00464, "
    "arXiv:1705.08790.",
    code=Code(
        pytorch=_LOVASZ_CODE + "errors = (1 - pred * (2 * target - 1)).relu()\n"
        "images = [lovasz(e.flatten(), t.flatten()) for e, t in zip(errors, target)]\n"
        "loss = torch.stack(images).mean()\n",
        keras=None,
        optax=None,
        note="In kornia, lovasz_hinge_loss is the same.",
    ),
)


def lovasz_softmax(*, pred: Tensor, target: Tensor, per_image: bool = False, classes: str = "present") -> Tensor:
    """Errors of the probabilities, class by class, weighted by what each pixel adds to that class's Jaccard loss.

    Args:
        pred: probabilities that add up to 1 over the classes, shape ``(N, C, H, W)``.
        target: class index, shape ``(N, H, W)``, int64; 0 to C - 1.
        per_image: one value for each image; else one over all images together.
        classes: ``"present"`` leaves out classes that no label of the image (or of the batch) has; ``"all"`` does not.

    Returns:
        Loss per image, shape ``(N,)``, or ``(1,)`` for all together; 0 to 1, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Berman, Rannen Triki and Blaschko (2018), arXiv:1705.08790.
    """
    errors, mask = _class_errors(pred, target, per_image)
    return ((_pixel_weights(errors, mask) * errors).sum(-1) * _class_weights(mask, classes)).sum(-1)


def _require_class_maps(pred: Tensor, target: Tensor) -> None:
    require_floating(pred=pred)
    require_axes("(N, C, H, W)", pred=pred)
    require_index("target", target, (pred.shape[0], *pred.shape[2:]), "one for each pixel")


def _is_class(pred: Tensor, target: Tensor) -> Tensor:
    """(N, C, H, W), true where the label is the channel's class."""
    return target[:, None] == torch.arange(pred.shape[1], device=pred.device)[:, None, None]


def _by_group(maps: Tensor, per_image: bool) -> Tensor:
    """(N, C, H W), or (1, C, N H W) for all images together."""
    return maps.flatten(2) if per_image else maps.movedim(1, 0).flatten(1)[None]


def _class_errors(pred: Tensor, target: Tensor, per_image: bool) -> tuple[Tensor, Tensor]:
    """Distance of each probability from 0 or 1, and the mask of each class."""
    _require_class_maps(pred, target)
    is_class = _is_class(pred, target)
    errors = torch.where(is_class, 1 - pred, pred)
    return _by_group(errors, per_image), _by_group(is_class.to(pred.dtype), per_image)


def _as_maps(groups: Tensor, pred: Tensor, per_image: bool) -> Tensor:
    """Back from (N, C, H W) or (1, C, N H W) to the shape of ``pred``."""
    if per_image:
        return groups.reshape(pred.shape)
    return groups[0].reshape(pred.movedim(1, 0).shape).movedim(0, 1).contiguous()


def _class_weights(mask: Tensor, classes: str) -> Tensor:
    """(G, C): equal for the classes that count, 0 for others; they add up to 1."""
    counts = mask.amax(-1) if classes == "present" else torch.ones_like(mask[..., 0])
    return counts / counts.sum(-1, keepdim=True)


def _lovasz_softmax_grad(*, pred: Tensor, target: Tensor, per_image: bool, classes: str) -> dict[str, Tensor]:
    errors, mask = _class_errors(pred, target, per_image)
    slope = _pixel_weights(errors, mask) * _class_weights(mask, classes)[..., None] * (1 - 2 * mask)
    return {"pred": _as_maps(slope, pred, per_image)}


def _check_lovasz_softmax(inputs: Inputs, params: Params) -> None:
    pred, target = inputs["pred"], inputs["target"]
    _require_class_maps(pred, target)
    check_between("pred", pred, 0.0, 1.0)
    total = pred.sum(1)
    check_where("the sum of pred over the classes", total, (total - 1).abs() <= 1e-3, "1, since it holds probabilities")
    check_labels(target, pred.shape[1])


def _distance_line(*, pred: Tensor, target: Tensor, per_image: bool, **_: object) -> Tensor:
    return _by_group((_is_class(pred, target).to(pred.dtype) - pred).abs(), per_image)


def _masks(pred: Tensor, target: Tensor, per_image: bool) -> Tensor:
    return _by_group(_is_class(pred, target).to(pred.dtype), per_image)


def _class_rank_line(*, pred: Tensor, target: Tensor, per_image: bool, **_: object) -> Tensor:
    errors = _distance_line(pred=pred, target=target, per_image=per_image)
    return _jaccard_of_first(_masks(pred, target, per_image), errors.argsort(-1, descending=True))


def _class_line(*, pred: Tensor, target: Tensor, per_image: bool, **_: object) -> Tensor:
    errors = _distance_line(pred=pred, target=target, per_image=per_image)
    return _extension_line(errors, _masks(pred, target, per_image))


def _lovasz_softmax_line(*, pred: Tensor, target: Tensor, per_image: bool, classes: str) -> Tensor:
    values = _class_line(pred=pred, target=target, per_image=per_image)
    if classes == "all":
        return values.mean(-1)
    present = _masks(pred, target, per_image).sum(-1) > 0
    return values.masked_fill(~present, 0.0).sum(-1) / present.sum(-1)


def _distance_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return 1 - 2 * _is_class(pred, target).to(pred.dtype)


def _class_steps_line(*, pred: Tensor, target: Tensor, per_image: bool, **_: object) -> Tensor:
    errors = _distance_line(pred=pred, target=target, per_image=per_image)
    return _as_maps(_jaccard_steps(errors, _masks(pred, target, per_image)), pred, per_image)


def _mean_slope(*, pred: Tensor, target: Tensor, per_image: bool, classes: str) -> Tensor:
    counts = (_masks(pred, target, per_image).sum(-1) > 0) | (classes == "all")
    return counts / counts.sum(-1, keepdim=True).to(pred.dtype)


def _lovasz_softmax_slope(*, pred: Tensor, target: Tensor, per_image: bool, classes: str) -> Tensor:
    by_error = _class_steps_line(pred=pred, target=target, per_image=per_image)
    by_class = _mean_slope(pred=pred, target=target, per_image=per_image, classes=classes)
    return _spread(by_class) * by_error * _distance_slope(pred=pred, target=target)


_ALL_CLASS_MAPS = "all maps of class probabilities"

LOVASZ_SOFTMAX = Loss(
    key="lovasz_softmax",
    name="Lovász-softmax",
    name_zh="Lovász-softmax 损失",
    family="segmentation",
    tasks=("segmentation",),
    input_kind="class_masks",
    inputs={"pred": "class probabilities, (N, C, H, W)", "target": "class index, 0 to C - 1, (N, H, W) int64"},
    differentiable=("pred",),
    fn=lovasz_softmax,
    denominator=number_of_values,
    check=_check_lovasz_softmax,
    grad=_lovasz_softmax_grad,
    formula=(
        Line(r"e_{c,i} = \lvert [t_i = c] - p_{c,i} \rvert", _distance_line),
        Line(_RANK_LATEX, _class_rank_line),
        Line(rf"\ell_c = {_EXTENSION_LATEX}", _class_line),
        Line(r"\ell = \text{mean of } \ell_c \text{ over the classes that count}", _lovasz_softmax_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p_{c,i}} = \frac{1}{K} \left(1 - 2 [t_i = c]\right) "
    r"\left(J_k - J_{k - 1}\right), \quad k \text{ the rank of } e_{c,i}, \; K \text{ classes that count}",
    derivation=(
        Line(r"\frac{\partial e_{c,i}}{\partial p_{c,i}} = 1 - 2 [t_i = c]", _distance_slope),
        Line(
            r"\ell_c = \sum_k e_{(k)} \left(J_k - J_{k - 1}\right), \; J_0 = 0: \quad "
            r"\frac{\partial \ell_c}{\partial e_{c,i}} = J_k - J_{k - 1}, \quad k \text{ the rank of } e_{c,i}",
            _class_steps_line,
        ),
        Line(
            r"\frac{\partial \ell}{\partial \ell_c} = \frac{1}{K} \text{ for the } K \text{ classes that count, "
            r"0 for others}",
            _mean_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial p_{c,i}} = \frac{\partial \ell}{\partial \ell_c} \cdot "
            r"\frac{\partial \ell_c}{\partial e_{c,i}} \cdot \frac{\partial e_{c,i}}{\partial p_{c,i}}",
            _lovasz_softmax_slope,
        ),
    ),
    params={
        "per_image": Flag("One value for each image; else one over all images together.", False),
        "classes": Choice("Which classes count: those that a label has, or all.", "present", ("present", "all")),
    },
    properties=Properties(
        convex_in_pred=yes(_ALL_CLASS_MAPS, source="Berman et al. (2018), arXiv:1705.08790."),
        bounded=yes(_ALL_CLASS_MAPS, constant=lambda _: 1.0),
        lipschitz=yes(_ALL_CLASS_MAPS, constant=lambda _: 1.0),
        smooth=no(
            "all maps; the kinks are where two errors are equal",
            {"pred": [[[[0.5 - 1e-9, 0.5]], [[0.5 + 1e-9, 0.5]]]], "target": [[[0, 1]]]},
            {"pred": [[[[0.5 + 1e-9, 0.5]], [[0.5 - 1e-9, 0.5]]]], "target": [[[0, 1]]]},
        ),
        symmetric=yes("permuting the classes"),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "It takes probabilities, after the softmax; kornia's function of the same name takes logits.",
        'Whether absent classes count is a choice: "present" in the authors\' code, "all" in kornia.',
        "Over a batch and per image are two losses; a class that is rare in an image weighs more per image.",
        'A class that is absent counts its worst pixel alone, so with "all" few pixels get all of its gradient.',
    ),
    reference="Berman, Rannen Triki and Blaschko (2018), The Lovász-softmax loss: a tractable surrogate for the "
    "optimization of the intersection-over-union measure in neural networks, doi:10.1109/cvpr.2018.00464, "
    "arXiv:1705.08790.",
    code=Code(
        pytorch=_LOVASZ_CODE + "per_image, classes = {per_image}, {classes}\n"
        "values = []\n"
        "for p, t in zip(pred, target) if per_image else [(pred.movedim(1, 0), target)]:\n"
        "    masks = [(t == c).to(p.dtype).flatten() for c in range(len(p))]\n"
        '    each = [lovasz((m - q.flatten()).abs(), m) for q, m in zip(p, masks) if classes == "all" or m.any()]\n'
        "    values.append(torch.stack(each).mean())\n"
        "loss = torch.stack(values).mean()\n",
        keras=None,
        optax=None,
        note="In kornia, lovasz_softmax_loss counts all classes of each image, and takes logits.",
    ),
)


LOSSES: tuple[Loss, ...] = (DICE, JACCARD, TVERSKY, FOCAL_TVERSKY, LOVASZ_HINGE, LOVASZ_SOFTMAX)
