"""Scalar regression: one prediction and one label on a line, and what each loss makes of their distance.

Arrays by view (L losses in the order asked, N grid points, all float64 until they are sent):
``curve``: loss over predictions at the label held, ``(L, N)``; ``tangent``: its end points, ``(L, 2, 2)`` as x, y;
``arrows``: where the prediction is and where a gradient step of the option ``rate`` moves it, ``(L, 2)``.
``derivative``: what the option ``below`` names, ``(L, N)``: the derivative by the prediction, the second derivative,
both over predictions; or the influence function, the same derivative at the prediction held, over labels. ``below``:
its value at the handles, ``(L,)``.
``surface:<key>``: loss over (label, prediction), ``(S, S)``, label along the first axis.
Values outside a loss's domain are NaN.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Choice, Loss
from lossviz.losses.proof import Found, Proof, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Values, line_values, stepped

LOW, HIGH = -5.0, 5.0
# Not linspace: its middle is a hair below 0, outside the domain of a loss that takes 0 or more.
GRID = LOW + (HIGH - LOW) * torch.arange(401, dtype=torch.float64) / 400
SURFACE_GRID = LOW + (HIGH - LOW) * torch.arange(61, dtype=torch.float64) / 60
TANGENT_REACH = 1.5
PRED = Handle("pred", "Prediction", LOW, HIGH, 0.1, 2.0)


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` and ``target``, shape ``(1,)``, float64; all of this scene's kinds take them as they are."""
    return {name: torch.tensor([handles[name]], dtype=torch.float64) for name in ("pred", "target")}


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for the arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    for loss in losses:
        named = inputs(handles, loss)
        try:
            found = value_and_grad(loss, named, chosen[loss.key])
        except ValueError as error:
            frame.notes[loss.key] = str(error)
        else:
            value, grads = found
            frame.numbers[loss.key] = {"loss": value.item(), "gradient": grads["pred"].item()}
            if f"proof:{loss.key}" in wanted:
                frame.proofs[loss.key] = _proof(loss, handles, chosen[loss.key], found)
            if f"formula:{loss.key}" in wanted:
                frame.lines[loss.key] = line_values(loss.formula, named, chosen[loss.key])
    label = torch.full_like(GRID, handles["target"])
    if "curve" in wanted:
        frame.arrays["curve"] = torch.stack([_on_domain(loss, GRID, label, chosen[loss.key]) for loss in losses])
        frame.arrays["arrows"] = torch.stack([_arrow(frame.numbers.get(loss.key), handles) for loss in losses])
        frame.arrays["tangent"] = torch.stack([_tangent(frame.numbers.get(loss.key), handles) for loss in losses])
    if "derivative" in wanted:
        draw = _BELOW[handles["below"]]
        frame.arrays["derivative"] = torch.stack([draw(loss, GRID, handles, chosen[loss.key]) for loss in losses])
        at = torch.tensor([handles["target" if handles["below"] == "influence" else "pred"]], dtype=torch.float64)
        frame.arrays["below"] = torch.cat([draw(loss, at, handles, chosen[loss.key]) for loss in losses])
    for loss in losses:
        if f"surface:{loss.key}" in wanted:
            target, pred = torch.meshgrid(SURFACE_GRID, SURFACE_GRID, indexing="ij")
            frame.arrays[f"surface:{loss.key}"] = _on_domain(loss, pred, target, chosen[loss.key])
    return frame


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prediction after one step against the gradient."""
    _, slopes = value_and_grad(loss, inputs(handles, loss), params)
    return {"pred": stepped(PRED, handles["pred"], slopes["pred"].item(), handles["rate"])}


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any], found: Found) -> Proof:
    def at(pred: float) -> dict[str, Tensor]:
        return inputs({**handles, "pred": pred}, loss)

    return prove(loss, at, handles["pred"], params, {"pred": torch.ones(1, dtype=torch.float64)}, found)


def _on_domain(loss: Loss, pred: Tensor, target: Tensor, params: Mapping[str, Any]) -> Tensor:
    if loss.input_kind != "nonnegative":
        return loss.fn(pred=pred, target=target, **params)
    outside, named = _inside(pred, target)
    return loss.fn(**named, **params).masked_fill(outside, torch.nan)


def _slope(loss: Loss, pred: Tensor, target: Tensor, params: Mapping[str, Any]) -> Tensor:
    if loss.input_kind != "nonnegative":
        return _derived(loss, {"pred": pred, "target": target}, params)
    outside, named = _inside(pred, target)
    return _derived(loss, named, params).masked_fill(outside, torch.nan)


def _inside(pred: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Which points are outside the domain of what takes 0 or more, and the points with 0 in their place."""
    outside = (pred < 0) | (target < 0)
    return outside, {"pred": pred.masked_fill(outside, 0.0), "target": target.masked_fill(outside, 0.0)}


def _derived(loss: Loss, named: Mapping[str, Tensor], params: Mapping[str, Any]) -> Tensor:
    return loss.grad(**named, **params)["pred"] if loss.grad else _by_autograd(loss, named, params)


def _by_autograd(loss: Loss, named: Mapping[str, Tensor], params: Mapping[str, Any]) -> Tensor:
    """Of a loss that has no gradient by hand, such as a typed formula; it can itself be differentiated."""
    with torch.enable_grad():
        pred = named["pred"]
        bent = pred.requires_grad
        pred = pred if bent else pred.clone().requires_grad_()
        value = loss.fn(pred=pred, target=named["target"], **params)
        (slope,) = torch.autograd.grad(value.sum(), pred, create_graph=bent)
    return slope


def _derivative(loss: Loss, grid: Tensor, handles: Values, params: Mapping[str, Any]) -> Tensor:
    return _slope(loss, grid, torch.full_like(grid, handles["target"]), params)


def _influence(loss: Loss, grid: Tensor, handles: Values, params: Mapping[str, Any]) -> Tensor:
    return _slope(loss, torch.full_like(grid, handles["pred"]), grid, params)


def _second(loss: Loss, grid: Tensor, handles: Values, params: Mapping[str, Any]) -> Tensor:
    """The derivative of the hand-written derivative; 0 where that is made of constant pieces."""
    with torch.enable_grad():
        pred = grid.clone().requires_grad_()
        slope = _derivative(loss, pred, handles, params)
        if not slope.requires_grad:
            return torch.zeros_like(grid).masked_fill(slope.isnan(), torch.nan)
        (bend,) = torch.autograd.grad(slope.nansum(), pred)
    return bend.masked_fill(slope.isnan(), torch.nan)


_BELOW = {"derivative": _derivative, "second derivative": _second, "influence": _influence}


def _arrow(numbers: Mapping[str, float] | None, handles: Values) -> Tensor:
    step = handles["rate"] * numbers["gradient"] if numbers else torch.nan
    return torch.tensor([handles["pred"], handles["pred"] - step], dtype=torch.float64)


def _tangent(numbers: Mapping[str, float] | None, handles: Values) -> Tensor:
    if numbers is None:
        return torch.full((2, 2), torch.nan, dtype=torch.float64)
    x = handles["pred"] + torch.tensor([-TANGENT_REACH, TANGENT_REACH], dtype=torch.float64)
    return torch.stack([x, numbers["loss"] + numbers["gradient"] * (x - handles["pred"])])


REGRESSION = Scene(
    key="regression",
    name="Scalar regression",
    task="Drag the prediction: how fast does each loss rise, and how hard does it pull back?",
    handles=(
        PRED,
        Handle("target", "Label", LOW, HIGH, 0.1, 0.5),
    ),
    input_kinds=("regression", "nonnegative"),
    view_names=("curve", "derivative", "surface", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("huber", "mse"),
    options={
        "below": Choice("What is drawn below the loss.", "derivative", tuple(_BELOW)),
        "rate": RATE,
        "arrows": ARROWS,
    },
    step=step,
)
