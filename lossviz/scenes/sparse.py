"""Sparsity twice: penalties on two weights, and maps from three scores to probabilities that may be exactly 0.

Penalties (kinds ``parameters`` and ``groups``): a data term ``(w - o)^T H (w - o) / 2`` wants the weights at the
unconstrained optimum o; H has ones on its diagonal and the option ``correlation`` beside it. Data term and penalty
together are smallest at the solution, found by accelerated proximal steps. The draggable ``w`` are weights on their way
there: the loss's input. A step of ``method`` *gradient* is one of (sub)gradient descent on the sum; of *proximal* it is
a gradient step on the data term and then a proximal one of the penalty.

Maps (losses of scores whose probabilities come from sparsemax or 1.5-entmax): the three scores and a label are the
loss's input; softmax, 1.5-entmax and sparsemax of the scores are shown side by side.

Numbers by loss: ``loss``; ``gradient``, its length; ``gradient.<k>`` by each weight or score; of every loss
``softmax.<k>``, ``entmax15.<k>`` and ``sparsemax.<k>``, the probabilities. Of a penalty also ``data`` and ``total``,
data term and sum at ``w``; ``solution.1``, ``solution.2`` and ``smallest``, the sum there.
Arrays by view (L losses in the order asked; P places on a closed line; NaN where there is nothing):
``data``: level sets of the data term, ``(M, P, 2)``; ``solutions``: ``(L, 2)``; ``paths``: strength, and the solution
for it, ``(L, S, 3)``; ``maps``: probabilities by softmax, 1.5-entmax and sparsemax, ``(3, 3)``.
``levels:<key>``: level sets of the penalty, ``(M, P, 2)``; ``touch:<key>``: the level sets of data term and penalty
through the solution, ``(2, P, 2)``; ``pulls:<key>``: what the data term, the penalty, and a step of the option
``rate`` do to w, ``(3, 4)`` as x, y, dx, dy.
``surface:<key>``: of a penalty the sum over both weights, of another loss its value over the first two scores;
``(S, S)``, the second along the first axis.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import pi, sqrt
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import CATALOGUE, get, proximal, value_and_grad
from lossviz.losses.entry import Choice, Loss, Number
from lossviz.losses.proof import Proof, prove
from lossviz.losses.sparse_maps import entmax15, sparsemax
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Values, line_values, stepped

REACH = 3.0
SCORE_REACH = 4.0
PENALTIES = ("parameters", "groups")
MAPS = ("softmax", "entmax15", "sparsemax")
METHODS = ("gradient", "proximal")
SIDE = 61
GROUPINGS: tuple[list[list[int]] | None, ...] = (None, [[0], [1]], [[0]])
"""Groups of the two weights for a penalty that has groups: all in one; each alone; the first alone, the other free."""
STRONGEST = 10.0
STRENGTHS = STRONGEST * (torch.arange(81, dtype=torch.float64) / 80) ** 2
"""From no penalty to the strongest there is, closest together where most happens."""
ROUND = 2 * pi * torch.arange(121, dtype=torch.float64) / 120
LEVELS = torch.tensor([0.75, 1.5, 2.25, 3.0], dtype=torch.float64)
"""Level sets are drawn through these places on the first axis, of the data term seen from the optimum."""
STILL = 1e-14
MOST_STEPS = 2000
NEWTON_STEPS = 60

WEIGHTS = (
    Handle("w.x", "First weight", -REACH, REACH, 0.1, 2.6),
    Handle("w.y", "Second weight", -REACH, REACH, 0.1, 1.6),
)
OPTIMUM = (
    Handle("optimum.x", "First weight without a penalty", -REACH, REACH, 0.1, 2.2),
    Handle("optimum.y", "Second weight without a penalty", -REACH, REACH, 0.1, 0.5),
)
SCORES = tuple(
    Handle(f"z{k}", f"Score of class {k}", -SCORE_REACH, SCORE_REACH, 0.1, start)
    for k, start in ((1, 1.2), (2, 0.7), (3, -0.8))
)
LABEL = Handle("label", "Label", 1, len(SCORES), 1, 1, whole=True)


def _held(handles: Values, names: Sequence[Handle]) -> Tensor:
    return torch.tensor([handles[handle.name] for handle in names], dtype=torch.float64)


def _is_penalty(loss: Loss) -> bool:
    return loss.input_kind in PENALTIES


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``w`` ``(2,)`` for a penalty; else ``pred`` ``(1, 3)`` scores and ``target`` ``(1,)`` int64."""
    if _is_penalty(loss):
        return {"w": _held(handles, WEIGHTS)}
    return {"pred": _held(handles, SCORES)[None], "target": torch.tensor([int(handles["label"]) - 1])}


def strength(loss: Loss) -> str:
    """The parameter by which a penalty is made stronger."""
    return "lambda_" if "lambda_" in loss.params else "alpha"


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    probs = _probabilities(_held(handles, SCORES))
    shares = {f"{name}.{k + 1}": probs[i, k].item() for i, name in enumerate(MAPS) for k in range(len(SCORES))}
    for loss in losses:
        named = inputs(handles, loss)
        try:
            value, grads = value_and_grad(loss, named, chosen[loss.key])
        except ValueError as error:
            frame.notes[loss.key] = str(error)
            continue
        slopes = grads[loss.differentiable[0]].flatten()
        by_part = {f"gradient.{k + 1}": slopes[k].item() for k in range(len(slopes))}
        length = slopes.square().sum().sqrt().item()
        frame.numbers[loss.key] = {"loss": value.item(), "gradient": length, **by_part, **shares}
        if _is_penalty(loss):
            frame.numbers[loss.key] |= _with_data(loss, handles, chosen[loss.key], value)
        if f"formula:{loss.key}" in wanted:
            frame.lines[loss.key] = line_values(loss.formula, named, chosen[loss.key])
        if f"proof:{loss.key}" in wanted:
            frame.proofs[loss.key] = _proof(loss, handles, chosen[loss.key])
        if f"surface:{loss.key}" in wanted:
            surface = _sum_surface if _is_penalty(loss) else _score_surface
            frame.arrays[f"surface:{loss.key}"] = surface(loss, handles, chosen[loss.key])
        if _is_penalty(loss):
            _geometry(frame, loss, handles, chosen[loss.key], slopes, wanted)
    if "data" in wanted:
        frame.arrays["data"] = _ellipses(handles, LEVELS)
    if "maps" in wanted:
        frame.arrays["maps"] = probs
    drawn = [loss if _is_penalty(loss) and loss.key in frame.numbers else None for loss in losses]
    if "solutions" in wanted:
        nothing = torch.full((2,), torch.nan, dtype=torch.float64)
        frame.arrays["solutions"] = torch.stack(
            [_solution(loss, handles, chosen[loss.key]) if loss else nothing for loss in drawn]
        )
    if "paths" in wanted:
        nothing = torch.full((len(STRENGTHS), 3), torch.nan, dtype=torch.float64)
        frame.arrays["paths"] = torch.stack(
            [_path_of(loss, handles, chosen[loss.key]) if loss else nothing for loss in drawn]
        )
    return frame


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights or scores after one step; see the module."""
    _, grads = value_and_grad(loss, inputs(handles, loss), params)
    slopes = grads[loss.differentiable[0]].flatten()
    rate = handles["rate"]
    if not _is_penalty(loss):
        return {z.name: stepped(z, handles[z.name], slopes[k].item(), rate) for k, z in enumerate(SCORES)}
    w = _held(handles, WEIGHTS)
    ahead = w - rate * _data_slope(handles, w)
    ahead = ahead - rate * slopes if handles["method"] == "gradient" else proximal.step(loss.key, ahead, rate, params)
    return {handle.name: ahead[k].clamp(-REACH, REACH).item() for k, handle in enumerate(WEIGHTS)}


# --- the data term and the solution


def _vector(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _curvature(correlation: float) -> Tensor:
    return torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)


def _data_slope(handles: Values, w: Tensor) -> Tensor:
    return (w - _held(handles, OPTIMUM)) @ _curvature(handles["correlation"])


def _data(handles: Values, w: Tensor) -> Tensor:
    return 0.5 * ((w - _held(handles, OPTIMUM)) * _data_slope(handles, w)).sum(-1)


def _penalty(loss: Loss, w: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The reduced penalty of each of the weights ``(..., 2)``."""

    def alone(weights: Tensor) -> Tensor:
        return loss.reduce(loss.fn(w=weights, **params), {"w": weights}, params)

    with torch.no_grad():
        values = torch.vmap(alone)(w.reshape(-1, 2))  # pyright: ignore[reportUnknownMemberType]
    return values.reshape(w.shape[:-1])


def _solved(key: str, params: Mapping[str, Any], optimum: Tensor, curvature: Tensor, count: int) -> Tensor:
    """Where data term and penalty together are smallest, ``(count, 2)``; ``params`` may hold as many strengths.

    Accelerated proximal steps, Nesterov's constant scheme for a strongly convex function: with the condition number
    k they come nearer by 1 - 1 / sqrt(k) each, until a plain proximal step moves by less than 1e-14.
    """
    beside = abs(curvature[0, 1].item())
    steep, flat = sqrt(1 + beside), sqrt(1 - beside)
    momentum = (steep - flat) / (steep + flat)
    rate = 1 / (1 + beside)
    w = ahead = optimum.expand(count, 2)
    for _ in range(MOST_STEPS):
        last, start = w, ahead
        w = proximal.step(key, start - rate * ((start - optimum) @ curvature), rate, params)
        ahead = w + momentum * (w - last)
        if (w - start).abs().max().item() < STILL:
            break
    return w


def _solution(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    return _single(loss.key, json.dumps(params), handles["optimum.x"], handles["optimum.y"], handles["correlation"])


@lru_cache(256)
def _single(key: str, params: str, x: float, y: float, correlation: float) -> Tensor:
    return _solved(key, json.loads(params), _vector(x, y), _curvature(correlation), 1)[0]


def _path_of(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    others = json.dumps({name: value for name, value in params.items() if name != strength(loss)})
    return _path(loss.key, others, handles["optimum.x"], handles["optimum.y"], handles["correlation"])


@lru_cache(256)
def _path(key: str, others: str, x: float, y: float, correlation: float) -> Tensor:
    """Strengths and their solutions, ``(S, 3)``: they stay the same while weights, scores and the strength move."""
    params = json.loads(others) | {strength(get(key)): STRENGTHS[:, None]}
    solutions = _solved(key, params, _vector(x, y), _curvature(correlation), len(STRENGTHS))
    return torch.cat([STRENGTHS[:, None], solutions], -1)


def _with_data(loss: Loss, handles: Values, params: Mapping[str, Any], value: Tensor) -> dict[str, float]:
    solution = _solution(loss, handles, params)
    data = _data(handles, _held(handles, WEIGHTS))
    return {
        "data": data.item(),
        "total": (data + value).item(),
        "solution.1": solution[0].item(),
        "solution.2": solution[1].item(),
        "smallest": (_data(handles, solution) + _penalty(loss, solution, params)).item(),
    }


# --- what is drawn


def _ellipses(handles: Values, radii: Tensor) -> Tensor:
    """Level sets of the data term that lie ``radii`` from the optimum along the first axis, ``(M, P, 2)``."""
    way = torch.stack([ROUND.cos(), ROUND.sin()], -1)
    size = (way @ _curvature(handles["correlation"]) * way).sum(-1, keepdim=True).sqrt()
    return _held(handles, OPTIMUM) + radii[:, None, None] * way / size


def _level_sets(loss: Loss, params: Mapping[str, Any], levels: Tensor) -> Tensor:
    """Where the penalty has these values, ``(M, P, 2)``; NaN where it never has.

    Along each ray from the origin a penalty is convex and rises from 0: Newton's steps from beyond come down to it.
    """
    way = torch.stack([ROUND.cos(), ROUND.sin()], -1)
    if loss.grad is None:
        raise ValueError(f"{loss.name} has no hand-written gradient, which this scene draws.")
    grad = loss.grad

    def alone(weights: Tensor) -> tuple[Tensor, Tensor]:
        return loss.reduce(loss.fn(w=weights, **params), {"w": weights}, params), grad(w=weights, **params)["w"]

    far = torch.full((len(levels), len(ROUND)), 3 * REACH, dtype=torch.float64)
    unreached = torch.zeros_like(far, dtype=torch.bool)
    with torch.no_grad():
        for round in range(NEWTON_STEPS):
            values, slopes = torch.vmap(alone)((far[..., None] * way).reshape(-1, 2))  # pyright: ignore
            excess = values.reshape(far.shape) - levels[:, None]
            rise = (slopes.reshape(*far.shape, 2) * way).sum(-1)
            if round == 0:
                unreached = (excess < 0) | (rise <= 0)
            far = torch.where(excess > 0, far - excess / rise, far)
            if not (excess > 1e-12 * (1 + levels[:, None])).any().item():
                break
    far = torch.where(levels[:, None] > 0, far, 0.0)
    return (far[..., None] * way).masked_fill(unreached[..., None], torch.nan)


@lru_cache(256)
def _levels(key: str, params: str) -> Tensor:
    loss, chosen = get(key), json.loads(params)
    on_axis = torch.stack([LEVELS, torch.zeros_like(LEVELS)], -1)
    return _level_sets(loss, chosen, _penalty(loss, on_axis, chosen))


def _geometry(
    frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], slopes: Tensor, wanted: Sequence[str]
) -> None:
    if f"levels:{loss.key}" in wanted:
        frame.arrays[f"levels:{loss.key}"] = _levels(loss.key, json.dumps(params))
    if f"touch:{loss.key}" in wanted:
        solution = _solution(loss, handles, params)
        radius = (2 * _data(handles, solution)).sqrt()
        level = _penalty(loss, solution, params)
        through = _ellipses(handles, radius[None]), _level_sets(loss, params, level[None])
        frame.arrays[f"touch:{loss.key}"] = torch.cat(through)
    if f"pulls:{loss.key}" in wanted:
        w, rate = _held(handles, WEIGHTS), handles["rate"]
        moved = step(loss, handles, params)
        ahead = torch.tensor([moved[handle.name] for handle in WEIGHTS], dtype=torch.float64)
        ways = torch.stack([-rate * _data_slope(handles, w), -rate * slopes, ahead - w])
        frame.arrays[f"pulls:{loss.key}"] = torch.cat([w.expand(3, 2), ways], -1)


def _grid(reach: float) -> Tensor:
    side = torch.linspace(-reach, reach, SIDE, dtype=torch.float64)
    second, first = torch.meshgrid(side, side, indexing="ij")
    return torch.stack([first, second], -1)


def _sum_surface(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    grid = _grid(REACH)
    return _data(handles, grid) + _penalty(loss, grid, params)


def _score_surface(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    grid = _grid(SCORE_REACH).reshape(-1, 2)
    pred = torch.cat([grid, grid.new_full((len(grid), 1), handles[SCORES[2].name])], -1)
    target = torch.full((len(grid),), int(handles["label"]) - 1)
    return loss.fn(pred=pred, target=target, **params).reshape(SIDE, SIDE)


def _probabilities(scores: Tensor) -> Tensor:
    return torch.cat([torch.softmax(scores[None], -1), entmax15(scores[None]), sparsemax(scores[None])])


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The slope by the first weight, or by the score of the labelled class."""
    name = WEIGHTS[0].name if _is_penalty(loss) else f"z{int(handles['label'])}"
    moving = inputs(handles, loss)[loss.differentiable[0]]
    way = torch.zeros_like(moving)
    way.view(-1)[0 if _is_penalty(loss) else int(handles["label"]) - 1] = 1.0

    def at(place: float) -> dict[str, Tensor]:
        return inputs({**handles, name: place}, loss)

    return prove(loss, at, handles[name], params, {loss.differentiable[0]: way})


SPARSE = Scene(
    key="sparse",
    name="Sparse penalties and maps",
    task="Drag the diamond: when does a weight become exactly zero, and when does it only shrink?",
    handles=(*OPTIMUM, *WEIGHTS, *SCORES, LABEL),
    input_kinds=(*PENALTIES, "classes"),
    view_names=("data", "solutions", "paths", "maps", "levels", "touch", "pulls", "surface", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("l1_penalty", "l2_penalty"),
    options={
        "correlation": Number("How much the two weights do the same work.", 0.3, -0.9, 0.9),
        "method": Choice(
            "What a step is: plain (sub)gradient, or proximal, which reaches exact zeros.", "gradient", METHODS
        ),
        "rate": RATE,
        "arrows": ARROWS,
    },
    # Of the losses of scores only those whose probabilities can be 0.
    without=tuple(loss.key for loss in CATALOGUE if loss.input_kind == "classes" and loss.family != "sparse_maps"),
    step=step,
    start={
        "l1_penalty": {"lambda_": 0.8},
        "l2_penalty": {"lambda_": 0.4},
        "elastic_net": {"alpha": 0.8},
        "group_lasso": {"lambda_": 0.8},
    },
)
