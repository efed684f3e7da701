"""Several tasks, each with a loss and a gradient in a plane, and how each method makes one direction of them.

The gradients are those of the task losses by two shared weights; a step goes against the combined gradient. Weighting
methods add the gradients with their weights, by which the loss of each task counts; PCGrad and MGDA change the
gradients themselves, and what comes out is a weighted sum of them too. GradNorm's loss teaches only its weights: they
are scaled to add up to the number of tasks, as it wants them.

Numbers by loss: ``loss`` (of a transform of gradients, the combined gradient's length), ``x`` and ``y`` (the combined
gradient), ``length``; for each task ``weight.1`` and ``falls.1``, its gradient times the combined one: how fast its
loss falls along a step, below 0 it rises. For each pair ``dot.1.2`` and, unless a gradient is 0, ``cosine.1.2`` and
``angle.1.2`` in degrees.
Arrays by view (L losses in the order asked, T tasks):
``arrows``: the combined gradients, ``(L, 2)``; ``cone``: the corners of the region in which a combined gradient lets
no task's loss rise, ``(M, 2)``, NaN where there is no such region.
``bars``: the weights, ``(L, T)``; ``falls``: how fast each task's loss falls, ``(L, T)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import acos, cos, degrees, pi, sin
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Choice, Loss
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Series, Values, line_values

REACH = 3.0
"""Largest coordinate of a gradient."""
FAR = 100.0
"""Outside every picture."""
LEAST_LOSS = 0.05
"""GradNorm and DWA divide by losses."""
CONE_POINTS = 13

COUNTS = {"two": 2, "three": 3}
COUNT = Choice("How many tasks there are.", "two", tuple(COUNTS))
STARTS = ((2.4, 0.5), (-1.2, 0.8), (1.5, -0.6))
LOSSES = Series("losses", "Loss now", LEAST_LOSS, 5.0, 0.05, (2.0, 1.0, 1.5))
WEIGHTS = Series("weights", "Weight", 0.05, 3.0, 0.05, (1.0, 1.0, 1.0))
LOG_VAR = Series("log_var", "Log-variance", -3.0, 3.0, 0.1, (0.5, -0.5, 0.0))
INITIAL = Series("initial", "Loss at the start", LEAST_LOSS, 5.0, 0.05, (3.0, 3.0, 3.0))
LAST = Series("last", "Loss in the last epoch", LEAST_LOSS, 5.0, 0.05, (2.2, 1.4, 1.6))
BEFORE = Series("before", "Loss in the epoch before", LEAST_LOSS, 5.0, 0.05, (2.4, 2.6, 2.0))


def _of_tasks(handles: Values, series: Series) -> Tensor:
    return torch.tensor(handles[series.name][: COUNTS[handles["tasks"]]], dtype=torch.float64)


def gradients(handles: Values) -> Tensor:
    """Every task's gradient, ``(T, 2)``."""
    rows = [[handles[f"g{k}.{axis}"] for axis in "xy"] for k in range(1, COUNTS[handles["tasks"]] + 1)]
    return torch.tensor(rows, dtype=torch.float64)


def _lengths(vectors: Tensor) -> Tensor:
    """Of each row; longer than 0 unless the row is 0."""
    return torch.hypot(vectors[..., 0], vectors[..., 1])


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """What the loss takes, of ``losses``, ``weights`` and the others ``(T,)``, and ``grads`` ``(T, 2)``; float64."""
    grads, weights = gradients(handles), _of_tasks(handles, WEIGHTS)
    named = {
        "losses": _of_tasks(handles, LOSSES),
        "weights": len(weights) * weights / weights.sum() if loss.input_kind == "task_norms" else weights,
        "log_var": _of_tasks(handles, LOG_VAR),
        "initial_losses": _of_tasks(handles, INITIAL),
        "prev1": _of_tasks(handles, LAST),
        "prev2": _of_tasks(handles, BEFORE),
        "grad_norms": _lengths(grads),
        "grads": grads,
    }
    return {name: named[name] for name in loss.inputs}


NEEDS: Mapping[str, tuple[str, ...]] = {
    "tasks": ("losses", "weights"),
    "task_variances": ("losses", "log_var"),
    "task_norms": ("losses", "initial", "weights"),
    "task_history": ("losses", "last", "before"),
    "task_gradients": ("losses",),
}
"""The series that a kind of loss looks at, or that a step moves."""

SURGERY = 1
"""The line of PCGrad's derivation that says how much of each other gradient is added to a task's own."""


def weights_of(
    loss: Loss, named: Mapping[str, Tensor], slopes: Mapping[str, Tensor], params: Mapping[str, Any]
) -> Tensor:
    """How often each task's gradient is in the combined one, ``(T,)``."""
    if loss.key == "pcgrad":
        return 1 + loss.derivation[SURGERY].value(**named, **params).sum(0)
    if loss.input_kind == "task_norms":
        return named["weights"]
    made = loss.outputs(**named, **params) if loss.outputs else {}
    return made["weights"] if "weights" in made else slopes["losses"]


def _combined(
    loss: Loss, handles: Values, params: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """The value, the weights, the combined gradient and the gradients by the inputs."""
    named = inputs(handles, loss)
    value, slopes = value_and_grad(loss, named, params)
    weights = weights_of(loss, named, slopes, params)
    if loss.returns == "gradients":
        return _lengths(value), weights, value, slopes
    return value, weights, weights @ gradients(handles), slopes


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    grads = gradients(handles)
    pairs = _pairs(grads)
    rows: dict[str, list[Tensor]] = {"arrows": [], "bars": [], "falls": []}
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        value, weights, combined, _ = _combined(loss, handles, chosen)
        falls = grads @ combined
        frame.numbers[loss.key] = {
            "loss": value.item(),
            "x": combined[0].item(),
            "y": combined[1].item(),
            "length": _lengths(combined).item(),
            **{f"weight.{k + 1}": weight.item() for k, weight in enumerate(weights)},
            **{f"falls.{k + 1}": fall.item() for k, fall in enumerate(falls)},
            **pairs,
        }
        for name, row in zip(rows, (combined, weights, falls), strict=True):
            rows[name].append(row)
        if f"formula:{loss.key}" in wanted:
            frame.lines[loss.key] = line_values(loss.formula, inputs(handles, loss), chosen)
        if f"proof:{loss.key}" in wanted and loss.returns == "loss":
            frame.proofs[loss.key] = _proof(loss, handles, chosen)
    for name, row in rows.items():
        if name in wanted:
            frame.arrays[name] = torch.stack(row)
    if "arrows" in wanted:
        frame.arrays["cone"] = _cone(grads)
    return frame


def _pairs(grads: Tensor) -> dict[str, float]:
    """How two gradients each lie to one another."""
    numbers: dict[str, float] = {}
    for i, j in combinations(range(len(grads)), 2):
        dot, lengths = (grads[i] @ grads[j]).item(), [_lengths(grads[k]).item() for k in (i, j)]
        pair = f"{i + 1}.{j + 1}"
        numbers[f"dot.{pair}"] = dot
        if all(lengths):
            cosine = max(-1.0, min(1.0, dot / lengths[0] / lengths[1]))
            numbers |= {f"cosine.{pair}": cosine, f"angle.{pair}": degrees(acos(cosine))}
    return numbers


def _cone(grads: Tensor) -> Tensor:
    """From 0 along its edges as far as the picture's corners: where the product with every gradient is 0 or more."""
    angles = [torch.atan2(y, x).item() for x, y in grads if x or y]
    if not angles:
        return torch.full((CONE_POINTS + 1, 2), torch.nan, dtype=torch.float64)
    # Angles from the first gradient's on; each gradient leaves a right angle on either side of it.
    turns = [(angle - angles[0] + pi) % (2 * pi) - pi for angle in angles]
    low, high = max(turns) - pi / 2, min(turns) + pi / 2
    if low > high:
        return torch.full((CONE_POINTS + 1, 2), torch.nan, dtype=torch.float64)
    way = [angles[0] + low + (high - low) * k / (CONE_POINTS - 1) for k in range(CONE_POINTS)]
    return torch.tensor([(0.0, 0.0), *((FAR * cos(a), FAR * sin(a)) for a in way)], dtype=torch.float64)


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The slope by the first task's loss; GradNorm's by its weight."""
    named = inputs(handles, loss)
    name = "losses" if "losses" in loss.differentiable else "weights"
    way = torch.zeros_like(named[name])
    way[0] = 1.0

    def at(x: float) -> dict[str, Tensor]:
        return {**named, name: torch.where(way > 0, x, named[name])}

    return prove(loss, at, named[name][0].item(), params, {name: way})


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """The tasks' losses after a step against the combined gradient, to first order, and what is learnt beside them."""
    _, _, combined, slopes = _combined(loss, handles, params)
    rate = handles["rate"]
    moved = {"losses": _moved(LOSSES, handles, _of_tasks(handles, LOSSES) - rate * (gradients(handles) @ combined))}
    if loss.input_kind == "task_variances":
        moved["log_var"] = _moved(LOG_VAR, handles, _of_tasks(handles, LOG_VAR) - rate * slopes["log_var"])
    if loss.input_kind == "task_norms":
        moved["weights"] = _moved(WEIGHTS, handles, inputs(handles, loss)["weights"] - rate * slopes["weights"])
    return moved


def _moved(series: Series, handles: Values, to: Tensor) -> list[float]:
    """The whole series with the values of the tasks that there are."""
    inside = (value.item() for value in to.clamp(series.low, series.high))
    return [*inside, *handles[series.name][len(to) :]]


TASKS = Scene(
    key="tasks",
    name="Task gradients",
    task="Turn one task's gradient against the other's: which method still lets both losses fall?",
    handles=(
        *(
            Handle(f"g{k}.{axis}", f"Gradient of task {k}, {word}", -REACH, REACH, 0.1, start)
            for k, both in enumerate(STARTS, 1)
            for axis, word, start in zip("xy", ("across", "up"), both, strict=True)
        ),
        LOSSES,
        WEIGHTS,
        LOG_VAR,
        INITIAL,
        LAST,
        BEFORE,
    ),
    input_kinds=("tasks", "task_variances", "task_norms", "task_history", "task_gradients"),
    view_names=("arrows", "bars", "falls", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("weighted_sum", "pcgrad", "mgda"),
    options={"tasks": COUNT, "rate": replace(RATE, default=0.05), "arrows": ARROWS},
    step=step,
)
