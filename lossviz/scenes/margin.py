"""Binary margin: one score and a yes-or-no label, over the score, its probability or the residual.

Every loss reads the score z as a logit: p is its sigmoid, also for a loss of margins, and a loss of probabilities gets
p. The residual is r = p - y with the label y of 0 or 1. One step of gradient descent is taken by the score, which is
what a network puts out.

Arrays by view (L losses in the order asked, N grid points evenly spaced in the score):
``curve``: loss over the axis at the label held, ``(L, N)``; ``x``: where the grid lies on the axis, ``(N,)``;
``tangent``: its end points, ``(L, 2, 2)`` as x, y; ``arrows``: where the score is on the axis and where a gradient step
of the option ``rate`` moves it, ``(L, 2)``.
``derivative``: the loss's derivative by the quantity on the axis, ``(L, N)``.
``other:<key>``: the same loss at the other label, ``(2, N)`` as x, y.
``sizes:<key>``: sizes of the gradient by logit and by probability over the score, ``(2, N)``, NaN where they are 0,
which a logarithmic scale does not have.
On the axes of probability and residual the ends, where the logit is infinite, are left out: the grid ends where the
score does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Choice, Loss
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Values, line_values, stepped

REACH = 8.0
SCORE = Handle("score", "Score", -REACH, REACH, 0.1, -1.5)
LABEL = Handle("label", "Label", 0, 1, 1, 1, whole=True)
GRID = -REACH + 2 * REACH * torch.arange(401, dtype=torch.float64) / 400
TANGENT_REACH = {"logit": 1.5, "probability": 0.12, "residual": 0.12}
AXIS = Choice(
    "What the horizontal axis shows and the derivative is taken by.", "logit", ("logit", "probability", "residual")
)


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` and ``target``, shape ``(1,)``, float64: score or probability, label -1/+1 or 0/1."""
    return _named(loss, torch.tensor([handles["score"]], dtype=torch.float64), handles["label"])


def _named(loss: Loss, score: Tensor, label: float) -> dict[str, Tensor]:
    pred = torch.sigmoid(score) if loss.input_kind == "binary_probabilities" else score
    return {"pred": pred, "target": torch.full_like(score, 2 * label - 1 if loss.input_kind == "margin" else label)}


def _rise(score: Tensor) -> Tensor:
    """How fast the probability grows with the score: p (1 - p)."""
    return torch.sigmoid(score) * torch.sigmoid(-score)


def _both(loss: Loss, score: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient by logit and by probability, from that by the loss's own input."""
    if loss.input_kind == "binary_probabilities":
        return slope * _rise(score), slope
    return slope, slope / _rise(score)


def _on_axis(axis: str, score: Tensor, label: float) -> Tensor:
    if axis == "logit":
        return score
    return torch.sigmoid(score) - (label if axis == "residual" else 0.0)


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for the arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    axis, label = handles["axis"], handles["label"]
    for loss in losses:
        frame.numbers[loss.key] = _numbers(loss, handles, chosen[loss.key])
        if f"proof:{loss.key}" in wanted:
            frame.proofs[loss.key] = _proof(loss, handles, chosen[loss.key])
        if f"formula:{loss.key}" in wanted:
            frame.lines[loss.key] = line_values(loss.formula, inputs(handles, loss), chosen[loss.key])
        if f"other:{loss.key}" in wanted:
            other = loss.fn(**_named(loss, GRID, 1 - label), **chosen[loss.key])
            frame.arrays[f"other:{loss.key}"] = torch.stack([_on_axis(axis, GRID, 1 - label), other])
        if f"sizes:{loss.key}" in wanted:
            sizes = torch.stack(_slopes(loss, label, chosen[loss.key])).abs()
            frame.arrays[f"sizes:{loss.key}"] = sizes.masked_fill(sizes == 0, torch.nan)
    if "curve" in wanted:
        frame.arrays["x"] = _on_axis(axis, GRID, label)
        frame.arrays["curve"] = torch.stack(
            [loss.fn(**_named(loss, GRID, label), **chosen[loss.key]) for loss in losses]
        )
        frame.arrays["arrows"] = torch.stack([_arrow(frame.numbers[loss.key], handles) for loss in losses])
        frame.arrays["tangent"] = torch.stack([_tangent(frame.numbers[loss.key], handles) for loss in losses])
    if "derivative" in wanted:
        by = 0 if axis == "logit" else 1  # the residual grows as fast as the probability
        frame.arrays["derivative"] = torch.stack([_slopes(loss, label, chosen[loss.key])[by] for loss in losses])
    return frame


def _numbers(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, float]:
    score, label = torch.tensor([handles["score"]], dtype=torch.float64), handles["label"]
    value, grads = value_and_grad(loss, inputs(handles, loss), params)
    by_logit, by_probability = _both(loss, score, grads["pred"])
    probability = torch.sigmoid(score).item()
    return {
        "loss": value.item(),
        "gradient.logit": by_logit.item(),
        "gradient.probability": by_probability.item(),
        "rise": _rise(score).item(),
        "margin": (2 * label - 1) * handles["score"],
        "probability": probability,
        "residual": probability - label,
    }


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the score after one step against the gradient by logit."""
    return {"score": _after_step(_numbers(loss, handles, params), handles)}


def _after_step(numbers: Mapping[str, float], handles: Values) -> float:
    return stepped(SCORE, handles["score"], numbers["gradient.logit"], handles["rate"])


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The slope by the score: by the probability itself, differences lose their digits near 0 and 1."""
    score = torch.tensor([handles["score"]], dtype=torch.float64)
    way = _rise(score) if loss.input_kind == "binary_probabilities" else torch.ones_like(score)

    def at(z: float) -> dict[str, Tensor]:
        return inputs({**handles, "score": z}, loss)

    return prove(loss, at, handles["score"], params, {"pred": way})


def _slopes(loss: Loss, label: float, params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    if loss.grad is None:
        raise ValueError(f"{loss.name} has no hand-written gradient, which this scene draws.")
    return _both(loss, GRID, loss.grad(**_named(loss, GRID, label), **params)["pred"])


def _arrow(numbers: Mapping[str, float], handles: Values) -> Tensor:
    ends = torch.tensor([handles["score"], _after_step(numbers, handles)], dtype=torch.float64)
    return _on_axis(handles["axis"], ends, handles["label"])


def _tangent(numbers: Mapping[str, float], handles: Values) -> Tensor:
    axis = handles["axis"]
    here = _on_axis(axis, torch.tensor(handles["score"], dtype=torch.float64), handles["label"])
    away = torch.tensor([-TANGENT_REACH[axis], TANGENT_REACH[axis]], dtype=torch.float64)
    slope = numbers["gradient.logit" if axis == "logit" else "gradient.probability"]
    return torch.stack([here + away, numbers["loss"] + slope * away])


MARGIN = Scene(
    key="margin",
    name="Binary margin",
    task="Drag the score across the label's side, then change the axis: which gradient are you looking at?",
    handles=(SCORE, LABEL),
    input_kinds=("margin", "binary", "binary_probabilities"),
    view_names=("curve", "derivative", "other", "sizes", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("bce_with_logits", "hinge", "exponential", "sigmoid_focal"),
    options={"axis": AXIS, "rate": RATE, "arrows": ARROWS},
    step=step,
)
