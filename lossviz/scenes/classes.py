"""Three classes: logits, the probabilities they make on the simplex, and the label at one of its corners.

The picture's plane holds a probability vector p at ``p2 * (1, 0) + p3 * (1/2, sqrt(3)/2)``: class 1 at the origin.
Arrays by view (L losses in the order asked):
``bars``: gradient of each loss by the three logits, ``(L, 3)``; ``probs``: softmax of the logits, ``(3,)``.
``surface:<key>``: loss over the plane, ``(S, S)``, y along the first axis, NaN outside the triangle.
``arrows:<key>``: where a small step of gradient descent on the logits moves p, ``(M, 4)`` as x, y, dx, dy.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Loss
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Values, line_values, stepped

CLASSES = 3
LOGIT_REACH = 8.0
LOGITS = tuple(
    Handle(f"z{k}", f"Logit of class {k}", -LOGIT_REACH, LOGIT_REACH, 0.1, start)
    for k, start in ((1, 1.0), (2, 0.5), (3, -0.5))
)
SIDE = 81
HEIGHT = sqrt(3) / 2
EDGE = 1e-3
"""Smallest probability drawn: on the edge itself the cross-entropy of an absent class is infinite."""
ARROW_ROWS = 9


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` ``(1, 3)`` float64 logits, ``target`` ``(1,)`` int64 and, where taken, even class weights."""
    return _accepted(loss, _logits(handles), torch.tensor([int(handles["label"]) - 1]))


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the logits after one step against the gradient."""
    _, slopes = value_and_grad(loss, inputs(handles, loss), params)
    return {
        z.name: stepped(z, handles[z.name], slopes["pred"][0, k].item(), handles["rate"]) for k, z in enumerate(LOGITS)
    }


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The slope by the logit of the labelled class."""
    label = int(handles["label"])
    way = torch.zeros(1, CLASSES, dtype=torch.float64)
    way[0, label - 1] = 1.0

    def at(logit: float) -> dict[str, Tensor]:
        return inputs({**handles, f"z{label}": logit}, loss)

    return prove(loss, at, handles[f"z{label}"], params, {"pred": way})


def _logits(handles: Values) -> Tensor:
    return torch.tensor([[handles[f"z{k + 1}"] for k in range(CLASSES)]], dtype=torch.float64)


def _accepted(loss: Loss, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    named = {"pred": pred, "target": target, "weight": torch.ones(CLASSES, dtype=torch.float64)}
    return {name: named[name] for name in loss.inputs}


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for the arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    target = int(handles["label"]) - 1
    gradients: list[Tensor] = []
    probs = torch.softmax(_logits(handles)[0], -1)
    for loss in losses:
        named = inputs(handles, loss)
        try:
            value, grads = value_and_grad(loss, named, chosen[loss.key])
        except ValueError as error:
            frame.notes[loss.key] = str(error)
            gradients.append(torch.full_like(probs, torch.nan))
            continue
        gradients.append(grads["pred"][0])
        if f"proof:{loss.key}" in wanted:
            frame.proofs[loss.key] = _proof(loss, handles, chosen[loss.key])
        if f"formula:{loss.key}" in wanted:
            frame.lines[loss.key] = line_values(loss.formula, named, chosen[loss.key])
        slopes = {f"gradient.{k + 1}": grads["pred"][0, k].item() for k in range(CLASSES)}
        shares = {f"p.{k + 1}": probs[k].item() for k in range(CLASSES)}
        frame.numbers[loss.key] = {"loss": value.item(), **slopes, **shares}
    frame.arrays["probs"] = probs
    if "bars" in wanted:
        frame.arrays["bars"] = torch.stack(gradients)
    for loss in losses:
        if f"surface:{loss.key}" in wanted:
            frame.arrays[f"surface:{loss.key}"] = _surface(loss, target, chosen[loss.key])
        if f"arrows:{loss.key}" in wanted:
            frame.arrays[f"arrows:{loss.key}"] = _arrows(loss, target, chosen[loss.key])
    return frame


def _rows(loss: Loss, probs: Tensor, target: int) -> dict[str, Tensor]:
    return _accepted(loss, probs.log(), torch.full((len(probs),), target))


def _surface(loss: Loss, target: int, params: Mapping[str, Any]) -> Tensor:
    y, x = torch.meshgrid(
        torch.linspace(0, HEIGHT, SIDE, dtype=torch.float64),
        torch.linspace(0, 1, SIDE, dtype=torch.float64),
        indexing="ij",
    )
    third = y / HEIGHT
    second = x - third / 2
    probs = torch.stack([1 - second - third, second, third], -1).reshape(-1, CLASSES)
    outside = (probs < -1e-9).any(-1)
    kept = probs.clamp(min=EDGE)
    value = loss.fn(**_rows(loss, kept / kept.sum(-1, keepdim=True), target), **params)
    return value.masked_fill(outside, torch.nan).reshape(SIDE, SIDE)


def _arrows(loss: Loss, target: int, params: Mapping[str, Any]) -> Tensor:
    if loss.grad is None:
        raise ValueError(f"{loss.name} has no hand-written gradient, which this scene draws.")
    counts = [(i, j, ARROW_ROWS - i - j) for i in range(1, ARROW_ROWS) for j in range(1, ARROW_ROWS - i)]
    probs = torch.tensor(counts, dtype=torch.float64) / ARROW_ROWS
    slope = loss.grad(**_rows(loss, probs, target), **params)["pred"]
    step = -probs * (slope - (probs * slope).sum(-1, keepdim=True))
    return torch.cat([_plane(probs), _plane(step)], -1)


def _plane(p: Tensor) -> Tensor:
    return torch.stack([p[:, 1] + p[:, 2] / 2, p[:, 2] * HEIGHT], -1)


CLASSES_SCENE = Scene(
    key="classes",
    name="Three classes",
    task="Drag the point towards a corner: what does each loss still want from the logits?",
    handles=(
        *LOGITS,
        Handle("label", "Label", 1, CLASSES, 1, 2, whole=True),
    ),
    input_kinds=("classes",),
    view_names=("bars", "surface", "arrows", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("cross_entropy", "softmax_focal"),
    options={"rate": RATE, "arrows": ARROWS},
    step=step,
)
