"""Two boxes on a canvas: how much they share, and where each loss pulls the corners of the predicted one.

The canvas is ``WIDTH`` by ``HEIGHT`` units, y downwards as in images; a box is its corners x1, y1, x2, y2. A box with
x1 above x2 or y1 above y2 is none: losses then have a note and no numbers. Losses of box offsets get both boxes encoded
by `encode`; their gradient is led back to the corners, so that all losses speak of the same four numbers.
Arrays by view (L losses in the order asked, all float64 until they are sent, NaN where a box is none):
``canvas``: ``overlap`` and ``outer``, what both boxes share (or NaN) and the smallest box around both, ``(4,)``;
``pull``: minus the gradient at the corners of the predicted box, clockwise from x1, y1, ``(L, 4, 4)`` as x, y, dx, dy.
``slide``: loss while the predicted box slides from left to right, by its centre on `SLIDE_GRID`, ``(L, N)``.
``surface:<key>``: loss over the centre of the predicted box, y along the first axis, ``(len(MAP_Y), len(MAP_X))``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import get, value_and_grad
from lossviz.losses.entry import Choice, Flag, Loss
from lossviz.losses.proof import Found, Proof, prove
from lossviz.scenes.scene import RATE, Frame, Handle, Params, Scene, Values, line_values, stepped

WIDTH, HEIGHT = 16.0, 8.0
SMALLEST = 0.2
"""No hand and no step makes a side shorter than this."""
ANCHOR = 4.0
"""The anchor of the offsets is a square of this side; where it lies makes no difference to their difference."""
EDGES = ("x1", "y1", "x2", "y2")
BOXES = {"pred": "predicted", "target": "true"}
SLIDE_GRID = WIDTH * torch.arange(161, dtype=torch.float64) / 160
MAP_X = WIDTH * torch.arange(65, dtype=torch.float64) / 64
MAP_Y = HEIGHT * torch.arange(33, dtype=torch.float64) / 32


def _edge(box: str, edge: str, start: float) -> Handle:
    words = {"x1": "left", "y1": "top", "x2": "right", "y2": "bottom"}
    high = WIDTH if edge[0] == "x" else HEIGHT
    return Handle(f"{box}.{edge}", f"{BOXES[box].capitalize()} box: {words[edge]} edge", 0.0, high, 0.1, start)


PRED = tuple(_edge("pred", edge, start) for edge, start in zip(EDGES, (2.5, 3.6, 6.0, 6.6), strict=True))
TARGET = tuple(_edge("target", edge, start) for edge, start in zip(EDGES, (7.5, 1.5, 12.0, 4.8), strict=True))


def box(values: Values, name: str) -> Tensor:
    """The box as ``(1, 4)``, float64."""
    return torch.tensor([[values[f"{name}.{edge}"] for edge in EDGES]], dtype=torch.float64)


def encode(boxes: Tensor, offsets: str) -> Tensor:
    """Boxes as offsets, ``(N, 4)`` both.

    Args:
        boxes: corners x1, y1, x2, y2.
        offsets: ``"anchor"`` for the centre's distance from the anchor's (here the origin) over the anchor's side and
            the logarithms of width and height over it, as in Faster R-CNN; ``"corners"`` for the corners as they are.
    """
    if offsets == "corners":
        return boxes
    low, high = boxes[:, :2], boxes[:, 2:]
    return torch.cat([(low + high) / 2 / ANCHOR, ((high - low) / ANCHOR).log()], -1)


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` and ``target``, ``(1, 4)`` float64: boxes, or their offsets where the loss takes these."""
    return {name: _taken(box(handles, name), loss, handles) for name in BOXES}


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for the arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    pulls = [_numbers(frame, loss, handles, chosen[loss.key], wanted) for loss in losses]
    if "canvas" in wanted:
        frame.arrays["overlap"], frame.arrays["outer"] = _shared(handles)
        frame.arrays["pull"] = torch.stack([_at_corners(handles, pull) for pull in pulls])
    if "slide" in wanted:
        row = _translated(handles, SLIDE_GRID, _centre(handles)[1].expand(len(SLIDE_GRID)))
        frame.arrays["slide"] = torch.stack([_over(loss, row, handles, chosen[loss.key]) for loss in losses])
    for loss in losses:
        if f"surface:{loss.key}" in wanted:
            y, x = torch.meshgrid(MAP_Y, MAP_X, indexing="ij")
            everywhere = _over(loss, _translated(handles, x.flatten(), y.flatten()), handles, chosen[loss.key])
            frame.arrays[f"surface:{loss.key}"] = everywhere.reshape(x.shape)
    return frame


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the predicted box after one step against the gradient, no side shorter than ``SMALLEST``."""
    _, slopes = value_and_grad(loss, inputs(handles, loss), params)
    slope = _by_edges(loss, handles, slopes["pred"])
    moved = [stepped(h, handles[h.name], part.item(), handles["rate"]) for h, part in zip(PRED, slope, strict=True)]
    for low, most in ((0, WIDTH), (1, HEIGHT)):
        if moved[low + 2] - moved[low] < SMALLEST:
            middle = min(most - SMALLEST / 2, max(SMALLEST / 2, (moved[low] + moved[low + 2]) / 2))
            moved[low], moved[low + 2] = middle - SMALLEST / 2, middle + SMALLEST / 2
    return {handle.name: value for handle, value in zip(PRED, moved, strict=True)}


def _numbers(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], wanted: Sequence[str]) -> Tensor:
    """Put what is known of a loss into the frame; return its gradient by the edges, NaN where there is none."""
    problem = _disorder(loss, handles)
    named = inputs(handles, loss)
    try:
        if problem:
            raise ValueError(problem)
        value, slopes = value_and_grad(loss, named, params)
    except ValueError as error:
        frame.notes[loss.key] = str(error)
        return torch.full((4,), torch.nan, dtype=torch.float64)
    slope = _by_edges(loss, handles, slopes["pred"])
    by_edge = {f"gradient.{edge}": part.item() for edge, part in zip(EDGES, slope, strict=True)}
    frame.numbers[loss.key] = {"loss": value.item(), "iou": _iou(handles), **by_edge}
    if f"proof:{loss.key}" in wanted:
        frame.proofs[loss.key] = _proof(loss, handles, params, (value, slopes))
    if f"formula:{loss.key}" in wanted:
        frame.lines[loss.key] = line_values(loss.formula, named, params)
    return slope


def _taken(boxes: Tensor, loss: Loss, handles: Values) -> Tensor:
    return encode(boxes, handles["offsets"]) if loss.input_kind == "box_deltas" else boxes


def _disorder(loss: Loss, handles: Values) -> str:
    """What keeps a loss from seeing boxes here, in words; empty if nothing does."""
    logarithms = loss.input_kind == "box_deltas" and handles["offsets"] == "anchor"
    for name, words in BOXES.items():
        for axis in "xy":
            low, high = handles[f"{name}.{axis}1"], handles[f"{name}.{axis}2"]
            if low > high:
                return (
                    f"The {words} box has {axis}1 = {low:g} and {axis}2 = {high:g}; allowed: {axis}1 at most {axis}2."
                )
            if low == high and logarithms:
                return f"The {words} box has {axis}1 = {axis}2 = {low:g}; allowed: a side whose logarithm is finite."
    return ""


def _iou(handles: Values) -> float:
    loss = get("iou")
    return 1 - loss.fn(pred=box(handles, "pred"), target=box(handles, "target"), **loss.resolve()).item()


def _moves(loss: Loss, handles: Values) -> Tensor:
    """How the loss's four numbers move with the four edges of the predicted box, ``(4, 4)``."""
    if loss.input_kind == "boxes":
        return torch.eye(4, dtype=torch.float64)
    pred = box(handles, "pred").requires_grad_()
    taken = _taken(pred, loss, handles)[0]
    return torch.stack([torch.autograd.grad(number, pred, retain_graph=True)[0][0] for number in taken])


def _by_edges(loss: Loss, handles: Values, slope: Tensor) -> Tensor:
    """From the gradient by what the loss takes, ``(1, 4)``, to that by the edges of the predicted box, ``(4,)``."""
    return slope[0] if loss.input_kind == "boxes" else slope[0] @ _moves(loss, handles)


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any], found: Found) -> Proof:
    """The slope by the left edge of the predicted box."""

    def at(x1: float) -> dict[str, Tensor]:
        return inputs({**handles, "pred.x1": x1}, loss)

    return prove(loss, at, handles["pred.x1"], params, {"pred": _moves(loss, handles)[None, :, 0]}, found)


def _shared(handles: Values) -> tuple[Tensor, Tensor]:
    """What both boxes share, NaN if that is nothing, and the smallest box around both."""
    both = torch.cat([box(handles, name) for name in BOXES])
    low, high = both[:, :2], both[:, 2:]
    overlap, outer = torch.cat([low.amax(0), high.amin(0)]), torch.cat([low.amin(0), high.amax(0)])
    return overlap.masked_fill((overlap[:2] >= overlap[2:]).any(), torch.nan), outer


def _at_corners(handles: Values, slope: Tensor) -> Tensor:
    """Where minus the gradient pulls the corners, ``(4, 4)``; an edge pulls at both of its ends."""
    clockwise = torch.tensor([[0, 1], [2, 1], [2, 3], [0, 3]])
    return torch.cat([box(handles, "pred")[0][clockwise], -slope[clockwise]], -1)


def _centre(handles: Values) -> Tensor:
    """(2,)."""
    pred = box(handles, "pred")[0]
    return (pred[:2] + pred[2:]) / 2


def _translated(handles: Values, x: Tensor, y: Tensor) -> Tensor:
    """The predicted box with its centre at each of the points, ``(N, 4)``."""
    centres = torch.stack([x, y], -1)
    return torch.cat([centres, centres], -1) + box(handles, "pred") - _centre(handles).repeat(2)


def _over(loss: Loss, boxes: Tensor, handles: Values, params: Mapping[str, Any]) -> Tensor:
    """The loss of each box, ``(N,)``."""
    if _disorder(loss, handles):
        return torch.full((len(boxes),), torch.nan, dtype=torch.float64)
    target = box(handles, "target").expand(len(boxes), 4)
    return loss.fn(pred=_taken(boxes, loss, handles), target=_taken(target, loss, handles), **params)


BOXES_SCENE = Scene(
    key="boxes",
    name="Boxes",
    task="Drag the orange box onto the other and away again: which loss still pulls when they no longer touch?",
    handles=(*PRED, *TARGET),
    input_kinds=("boxes", "box_deltas"),
    view_names=("canvas", "slide", "surface", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("giou", "iou", "diou"),
    options={
        "rate": replace(RATE, default=4.0),
        "arrows": Flag("Show minus the gradient at every corner, all at one scale.", True),
        "offsets": Choice(
            "What smooth L1 compares: centre and log of the size relative to an anchor of 4 x 4, or plain corners.",
            "anchor",
            ("anchor", "corners"),
        ),
    },
    step=step,
)
