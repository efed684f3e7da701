"""A mask of 8 by 8 pixels: painted probabilities against a painted truth, and what each pixel's gradient is.

Cells run row by row from the top left. Every loss gets the same image in the form that it takes: probabilities, logits
``ln(p / (1 - p))`` of probabilities kept between ``EDGE`` and ``1 - EDGE`` (`by` says which), or two classes, object
with p and background with 1 - p. Gradients are by what the loss takes; of two classes by p, where both move.
Numbers by loss: ``loss``; ``gradient`` of the cell under the cursor; ``intersection``, the sum of p t; ``area`` and
``area.target``, the sums of p and of t.
Arrays by view (L losses in the order asked): ``gradient:<key>``, by pixel, ``(SIDE, SIDE)``; ``profile``: loss while
the cell under the cursor has the probabilities of `PROFILE`, ``(L, N)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Loss, Number
from lossviz.losses.proof import Found, Proof, prove
from lossviz.scenes.scene import RATE, Frame, Handle, Params, Scene, Series, Values, line_values

SIDE = 8
CELLS = SIDE * SIDE
EDGE = 1e-3
"""How near to 0 and 1 a probability comes before it is made a logit: on the edge itself that is infinite."""
_NEAR = torch.tensor([0.0, 0.001, 0.002, 0.005, 0.0125], dtype=torch.float64)
PROFILE = torch.cat([_NEAR, torch.arange(1, 40, dtype=torch.float64) / 40, (1 - _NEAR).flip(0)])
"""Closer together at the ends, where logarithms are steep."""
START = 20
"""The cell that a newcomer finds the cursor at: inside the object, where the prediction is not sure."""
SMALL = 0.01
"""Sums below this are of the order of the losses' smoothing: a finite difference leaps over all that happens there."""


TIE = 1e-4
"""Errors nearer than this change their ranks within a finite difference."""


def _mask(*rows: str) -> tuple[float, ...]:
    """Cells from rows of digits, tenths, with ``#`` for 1."""
    return tuple(1.0 if cell == "#" else int(cell) / 10 for row in rows for cell in row)


EMPTY = (0.0,) * CELLS
OBJECT = _mask("00000000", "00000000", "000##000", "00####00", "00#####0", "000####0", "000##000", "00000000")
GUESS = _mask("00000000", "01231000", "03786200", "04998300", "02898520", "00566310", "00122100", "00000000")
PRESETS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "object": (GUESS, OBJECT),
    "empty truth": (GUESS, EMPTY),
    "empty prediction": (EMPTY, OBJECT),
    "both empty": (EMPTY, EMPTY),
    "one pixel": (
        tuple(0.6 if i == START else 0.0 for i in range(CELLS)),
        tuple(float(i == START) for i in range(CELLS)),
    ),
}
"""Prediction and truth to start from, by name."""


def by(loss: Loss) -> str:
    """What a pixel's gradient is taken by: ``"logit"``, ``"class"`` or ``"probability"``."""
    kinds = {"mask_logits": "logit", "binary": "logit", "class_masks": "class"}
    return kinds.get(loss.input_kind, "probability")


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` and ``target`` in the shape that the loss takes, float64; class indices int64."""
    pred, target = _image(handles, "pred"), _image(handles, "target")
    return {"pred": _taken(pred, loss), "target": _labels(target, loss)}


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    for loss in losses:
        _numbers(frame, loss, handles, chosen[loss.key], wanted)
    if "profile" in wanted:
        profiles = [_profile(frame, loss, handles, chosen[loss.key]) for loss in losses]
        frame.arrays["profile"] = torch.stack(profiles)
    return frame


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prediction after one step of all pixels against the gradient of what the loss takes."""
    _, slopes = value_and_grad(loss, inputs(handles, loss), params)
    slope, pred = _by_pixel(loss, slopes["pred"]), _image(handles, "pred")
    if by(loss) == "logit":
        # Where nothing pulls, a probability beyond the logits' reach stays what it is.
        moved = torch.where(slope == 0, pred, (_logits(pred) - handles["rate"] * slope).sigmoid())
    else:
        moved = (pred - handles["rate"] * slope).clamp(0.0, 1.0)
    return {"pred": [cell.item() for cell in moved.flatten()]}


def _image(handles: Values, name: str) -> Tensor:
    return torch.tensor(handles[name], dtype=torch.float64).reshape(SIDE, SIDE)


def _logits(pred: Tensor) -> Tensor:
    return pred.clamp(EDGE, 1 - EDGE).logit()


def _taken(pred: Tensor, loss: Loss) -> Tensor:
    """An image of probabilities as the loss takes it."""
    match loss.input_kind:
        case "masks":
            return pred[None, None]
        case "mask_logits":
            return _logits(pred)[None]
        case "class_masks":
            return torch.stack([1 - pred, pred])[None]
        case "binary":
            return _logits(pred)
        case _:
            return pred


def _labels(target: Tensor, loss: Loss) -> Tensor:
    match loss.input_kind:
        case "masks":
            return target[None, None]
        case "mask_logits":
            return target[None]
        case "class_masks":
            return target[None].long()
        case _:
            return target


def _by_pixel(loss: Loss, slope: Tensor) -> Tensor:
    """The gradient in the shape of the image."""
    return slope[0, 1] - slope[0, 0] if by(loss) == "class" else slope.reshape(SIDE, SIDE)


def _numbers(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], wanted: Sequence[str]) -> None:
    named = inputs(handles, loss)
    pred, target = _image(handles, "pred"), _image(handles, "target")
    try:
        if by(loss) == "class" and (target != target.round()).any():
            raise ValueError("The true mask holds values between 0 and 1; allowed: 0 or 1, since each is a class.")
        value, slopes = value_and_grad(loss, named, params)
    except ValueError as error:
        frame.notes[loss.key] = str(error)
        return
    slope = _by_pixel(loss, slopes["pred"])
    frame.numbers[loss.key] = {
        "loss": value.item(),
        "gradient": slope.flatten()[int(handles["cursor"])].item(),
        "intersection": (pred * target).sum().item(),
        "area": pred.sum().item(),
        "area.target": target.sum().item(),
    }
    if f"gradient:{loss.key}" in wanted:
        frame.arrays[f"gradient:{loss.key}"] = slope
    if f"formula:{loss.key}" in wanted:
        frame.lines[loss.key] = line_values(loss.formula, named, params)
    if f"proof:{loss.key}" in wanted and not _leaps(loss, handles):
        proof = _proof(loss, named, handles, params, (value, slopes))
        # Among equal errors the Lovász losses have a kink, often too slight to be told from a mistake.
        if proof.verdict != "differ" or not _tied(loss, handles):
            frame.proofs[loss.key] = proof


def _leaps(loss: Loss, handles: Values) -> bool:
    """Whether a finite difference misses the slope: at a cut-off logarithm, a power's foot, sums like the smoothing."""
    pred, target = _image(handles, "pred"), _image(handles, "target")
    p, t = (image.flatten()[int(handles["cursor"])].item() for image in (pred, target))
    cut_off = loss.input_kind == "binary_probabilities" and p in (0, 1) and p != t
    foot = "exponent" in loss.params and (pred - target).abs().sum().item() < SMALL
    return cut_off or foot or (loss.input_kind == "masks" and (pred + target).sum().item() < SMALL)


def _tied(loss: Loss, handles: Values) -> bool:
    """Whether the loss ranks pixels by their errors, and the cell under the cursor has that of another one."""
    if loss.input_kind not in ("mask_logits", "class_masks"):
        return False
    pred, side = _image(handles, "pred"), 2 * _image(handles, "target") - 1
    margin = (side * (_logits(pred) if by(loss) == "logit" else pred - 0.5)).flatten()
    return bool(((margin - margin[int(handles["cursor"])]).abs() < TIE).sum() > 1)


def _proof(loss: Loss, named: Mapping[str, Tensor], handles: Values, params: Mapping[str, Any], found: Found) -> Proof:
    """The slope by the cell under the cursor."""
    way = torch.zeros(CELLS, dtype=torch.float64)
    way[int(handles["cursor"])] = 1.0
    image = way.reshape(SIDE, SIDE)
    direction = torch.stack([-image, image])[None] if by(loss) == "class" else image.reshape(named["pred"].shape)
    cell = (named["pred"] * direction.clamp(min=0)).sum().item()

    def at(value: float) -> dict[str, Tensor]:
        return {**named, "pred": named["pred"] + (value - cell) * direction}

    return prove(loss, at, cell, params, {"pred": direction}, found)


def _profile(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    if loss.key in frame.notes:
        return torch.full_like(PROFILE, torch.nan)
    pred, target = _image(handles, "pred"), _labels(_image(handles, "target"), loss)
    images = pred.flatten().repeat(len(PROFILE), 1)
    images[:, int(handles["cursor"])] = PROFILE

    def value(image: Tensor) -> Tensor:
        named = {"pred": _taken(image.reshape(SIDE, SIDE), loss), "target": target}
        return loss.reduce(loss.fn(**named, **params), named, params)

    return torch.vmap(value)(images)


MASKS = Scene(
    key="masks",
    name="Masks",
    task="Paint the predicted mask: which pixels does each loss still want, and how badly?",
    handles=(
        Series("pred", "Predicted mask", 0.0, 1.0, 0.05, GUESS),
        Series("target", "True mask", 0.0, 1.0, 1.0, OBJECT),
        Handle("cursor", "Cell under the cursor", 0, CELLS - 1, 1, START, whole=True),
    ),
    input_kinds=("masks", "mask_logits", "class_masks", "binary", "binary_probabilities"),
    view_names=("gradient", "profile", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("dice", "bce", "lovasz_softmax"),
    options={
        "brush": Number("Probability that the brush paints.", 1.0, 0.0, 1.0),
        "rate": replace(RATE, default=2.0),
    },
    step=step,
)
