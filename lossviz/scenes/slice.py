"""Any loss along its slice: one number moves through a small example, from 0 to 1 of its way.

Numbers by loss: ``x`` (where it is), ``loss``, ``gradient`` (of the reduced loss, along the slice). A transform of
gradients has no loss: ``loss`` is the length of the combined gradient, and there is no ``gradient``.
Arrays by view: ``curve:<key>`` and ``slopes:<key>``, ``(2, N)`` as x and value, NaN outside the loss's domain;
``tangent:<key>``, the tangent's end points, ``(2, 2)``. With the view ``inputs`` each tensor among the inputs as
``input.<name>:<key>`` and the gradient of the reduced loss by it as ``grad.<name>:<key>``. With the view ``witness``,
for a denied convexity, ``witness.<property>:<key>``: the loss on the way between the counter-example's points.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, get_args

import torch
from torch import Tensor

from lossviz.losses import get, value_and_grad
from lossviz.losses.entry import InputKind, Loss
from lossviz.losses.proof import along, by_hand, prove
from lossviz.losses.witness import Witness, witness
from lossviz.scenes.scene import Frame, Handle, Params, Scene, Values, line_values
from lossviz.scenes.slices import slice_of

POINTS = 81
TANGENT_SHARE = 0.14


def place(loss: Loss, share: float) -> float:
    """Where on the loss's slice the handle is, without the noise of the last digits."""
    line = slice_of(loss)
    return round(line.low + (line.high - line.low) * share, 9)


def share_at_start(loss: Loss) -> float:
    """Where on its way the handle is for a newcomer."""
    line = slice_of(loss)
    return (line.start - line.low) / (line.high - line.low)


def inputs(handles: Values, loss: Loss) -> dict[str, Any]:
    """Return the loss's inputs at the handle, float64."""
    return slice_of(loss).at(place(loss, handles["t"]))


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate each loss on its own slice; see the module for numbers and arrays."""
    frame = Frame()
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        _numbers(frame, loss, place(loss, handles["t"]), chosen, wanted)
        for view, curve in (("curve", _curve), ("slopes", _slopes)):
            if f"{view}:{loss.key}" in wanted:
                frame.arrays[f"{view}:{loss.key}"] = curve(loss.key, json.dumps(chosen))
        if f"witness:{loss.key}" in wanted:
            frame.witnesses[loss.key] = _witnesses(loss.key)
            for name, shown in frame.witnesses[loss.key].items():
                if shown.segment is not None:
                    frame.arrays[f"witness.{name}:{loss.key}"] = shown.segment
    return frame


def _numbers(frame: Frame, loss: Loss, x: float, params: Mapping[str, Any], wanted: Sequence[str]) -> None:
    line = slice_of(loss)
    named = line.at(x)
    if f"inputs:{loss.key}" in wanted:
        _tensors(frame, "input", loss, named)
    try:
        value, slopes = value_and_grad(loss, named, params)
    except ValueError as error:
        frame.notes[loss.key] = str(error)
        return
    if f"inputs:{loss.key}" in wanted:
        _tensors(frame, "grad", loss, slopes)
    if f"formula:{loss.key}" in wanted:
        frame.lines[loss.key] = line_values(loss.formula, named, params)
    if f"derivation:{loss.key}" in wanted:
        frame.steps[loss.key] = line_values(loss.derivation, named, params)
    if loss.returns == "gradients":
        frame.numbers[loss.key] = {"x": x, "loss": _length(value)}
        return
    slope = along(slopes, line.direction)
    frame.numbers[loss.key] = {"x": x, "loss": value.item(), "gradient": slope}
    if f"proof:{loss.key}" in wanted:
        frame.proofs[loss.key] = prove(loss, line.at, x, params, line.direction)
    if f"tangent:{loss.key}" in wanted:
        reach = TANGENT_SHARE * (line.high - line.low)
        ends = x + torch.tensor([-reach, reach], dtype=torch.float64)
        frame.arrays[f"tangent:{loss.key}"] = torch.stack([ends, value + slope * (ends - x)])


def _tensors(frame: Frame, what: str, loss: Loss, named: Mapping[str, Any]) -> None:
    for name in loss.inputs:
        if isinstance(named.get(name), Tensor):
            frame.arrays[f"{what}.{name}:{loss.key}"] = named[name]


def _length(vector: Tensor) -> float:
    return (vector * vector).sum().sqrt().item()


@lru_cache(1024)
def _curve(key: str, params: str) -> Tensor:
    """The reduced loss along its slice; the same for every visitor until a parameter changes."""
    loss, chosen = get(key), json.loads(params)

    def value(named: Mapping[str, Any]) -> float:
        loss.check(named, chosen)
        with torch.no_grad():
            reduced = loss.reduce(loss.fn(**named, **chosen), named, chosen)
        return _length(reduced) if loss.returns == "gradients" else reduced.item()

    return _along_slice(loss, value)


@lru_cache(1024)
def _slopes(key: str, params: str) -> Tensor:
    """The derivative along the slice, by hand where the loss has a closed form."""
    loss, chosen = get(key), json.loads(params)
    way = slice_of(loss).direction

    def slope(named: Mapping[str, Any]) -> float:
        loss.check(named, chosen)
        found = by_hand(loss, named, chosen) if loss.grad else value_and_grad(loss, named, chosen)[1]
        return along(found, way) if found else torch.nan

    return _along_slice(loss, slope)


@lru_cache(256)
def _witnesses(key: str) -> dict[str, Witness]:
    loss = get(key)
    claims = {field.name: getattr(loss.properties, field.name) for field in fields(loss.properties)}
    return {name: witness(loss, name) for name, claim in claims.items() if claim.counter_example}


def _along_slice(loss: Loss, value: Callable[[Mapping[str, Any]], float]) -> Tensor:
    line = slice_of(loss)
    xs = [line.low + (line.high - line.low) * k / (POINTS - 1) for k in range(POINTS)]
    values: list[float] = []
    for x in xs:
        try:
            values.append(value(line.at(x)))
        except ValueError:
            values.append(torch.nan)  # outside the loss's domain
    return torch.tensor([xs, values], dtype=torch.float64)


SLICE = Scene(
    key="slice",
    name="One number moves",
    task="Drag the point: what does the loss charge, and how steep is it there?",
    handles=(Handle("t", "Share of the way", 0.0, 1.0, 0.01, 0.5),),
    input_kinds=get_args(InputKind),
    view_names=("curve", "slopes", "tangent", "formula", "derivation", "proof", "witness", "inputs"),
    inputs=inputs,
    views=views,
    opening=("huber",),
)
