"""Which properties a loss of one prediction and one label lacks: a bounded search for counter-examples.

It refutes and never proves. Random trials are the same each time. What isn't finite is left out of all searches but the
one for it. Slopes are autograd's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from typing import Literal, TypeAlias

import torch
from torch import Tensor

LossFn: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""The loss at predictions and labels, elementwise."""
Name: TypeAlias = Literal["convex", "minimum", "nonnegative", "symmetric", "bounded", "smooth", "finite"]

TRIALS = 1000
REACH = 5.0
TOLERANCE = 1e-9
"""Relative: what rounding may do to a sum of values."""
FAR = 1e4
"""A bounded slope has reached its bound at this error."""
FARTHEST, NEAREST = 1e8, 1e-10
GROWTH = 1.02
LABELS = (0.0, 1.3, -2.1)
INTERVALS = 80
PARTS = 8
ROUNDS = 7
RESOLVED = 2
"""After this round a smooth loss is straight inside an interval: its curvature grows no more."""
SHARPER = 1.3
ASIDE = 1e-6
"""How far from a jump or kink what is before and after it is looked at."""


@dataclass(frozen=True, slots=True)
class Refutation:
    """A property, and what the search for a counter-example found.

    Attributes:
        name: the property.
        holds: ``False`` where it is refuted, ``True`` where it was not, ``None`` where nothing could be compared.
        trials: how many comparisons were made.
        kind: which sentence the numbers belong to.
        numbers: the counter-example; of a bounded slope that was not refuted, the steepest one.
    """

    name: Name
    holds: bool | None
    trials: int
    kind: str = ""
    numbers: dict[str, float] = field(default_factory=dict[str, float])


def refute(loss: LossFn) -> tuple[Refutation, ...]:
    """Search for counter-examples to each property."""
    target, pred, other = _trials()
    here, there = pred + 0.5 * (other - pred), 2 * target - pred
    points = torch.stack([pred, other, here, there, target])
    with torch.no_grad():
        values = loss(points, target.expand_as(points))
    at, beside, middle, mirrored, home = values
    where = {"pred": pred, "target": target, "value": at}
    mean = 0.5 * (at + beside)
    low = torch.where(home.isfinite(), home, at)
    chord = {**where, "other": other, "middle": here, "low": mean, "high": middle}
    return (
        _worst("convex", middle - mean, _rounding(at, beside), chord),
        _worst("minimum", home - at, _rounding(home, at), {**where, "home": home}),
        _worst("nonnegative", -torch.fmin(at, low), _rounding(low), _lower(where, low)),
        _worst(
            "symmetric", (at - mirrored).abs(), _rounding(at, mirrored), {**where, "other": there, "mirrored": mirrored}
        ),
        _bounded(loss),
        _smooth(loss),
        _finite(loss, pred, target),
    )


@cache
def _trials() -> tuple[Tensor, Tensor, Tensor]:
    """Labels, predictions, and other predictions near and far from them."""
    source = torch.Generator().manual_seed(0)
    target, pred, width, side = torch.rand(4, TRIALS, generator=source, dtype=torch.float64)
    pred = REACH * (2 * pred - 1)
    away = 10 ** (-2 + 3 * width) * torch.where(side < 0.5, -1.0, 1.0)
    return REACH * (2 * target - 1), pred, (pred + away).clamp(-REACH, REACH)


def _lower(where: dict[str, Tensor], home: Tensor) -> dict[str, Tensor]:
    """The trial's own point, or the one at the label where that lies lower."""
    low = (home < where["value"]) | where["value"].isnan()
    return {
        "pred": torch.where(low, where["target"], where["pred"]),
        "target": where["target"],
        "value": torch.where(low, home, where["value"]),
    }


def _rounding(*values: Tensor) -> Tensor:
    return TOLERANCE * (1 + sum((value.abs() for value in values), torch.zeros(())))


def _worst(name: Name, excess: Tensor, allowed: Tensor, numbers: dict[str, Tensor]) -> Refutation:
    """Refuted where ``excess`` is above what is ``allowed``; of several counter-examples the clearest is given."""
    known = excess.isfinite() & allowed.isfinite()
    count = int(known.sum())
    if not count:
        return Refutation(name, None, 0)
    over = torch.where(known, excess / allowed, -torch.inf)
    worst = int(over.argmax())
    if over[worst] <= 1:
        return Refutation(name, True, count)
    return Refutation(name, False, count, "", {key: float(value[worst]) for key, value in numbers.items()})


def _slopes(loss: LossFn, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Values and slopes by the prediction."""
    with torch.enable_grad():
        leaf = pred.detach().clone().requires_grad_()
        value = loss(leaf, target)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), slope


@cache
def _errors() -> Tensor:
    sizes = torch.logspace(-10, 8, 145, dtype=torch.float64)
    return torch.stack([sizes, -sizes]).flatten()


def _bounded(loss: LossFn) -> Refutation:
    """Whether the slope still grows far from the label, or close to it."""
    error = _errors()
    value, slope = _slopes(loss, error, torch.zeros_like(error))
    known = slope.isfinite()
    if not known.any():
        return Refutation("bounded", None, 0)
    steep = torch.where(known, slope.abs(), 0.0)
    between = (error.abs() >= 1 / FAR) & (error.abs() <= FAR)
    usual = float(steep[between].max())
    worst = int(steep.argmax())
    endless = value.isinf() | slope.isinf()
    steepest = {"at": float(error[worst]), "slope": float(slope[worst])}
    if not endless.any() and float(steep[worst]) <= GROWTH * usual + TOLERANCE:
        return Refutation("bounded", True, int(known.sum()), "", {"slope": float(steep[worst])})
    if not known[worst]:
        # All that is finite is flat: the first error at which it is not finite shows it.
        return Refutation("bounded", False, int(known.sum()), "endless", {"at": float(error[endless][0])})
    first = float(torch.where(error[worst] > 0, 1.0, -1.0))
    _, before = _slopes(loss, torch.tensor([first], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    if not isfinite(before.item()):
        return Refutation("bounded", False, int(known.sum()), "steep", steepest)
    return Refutation(
        "bounded", False, int(known.sum()), "grows", {**steepest, "first": first, "before": before.item()}
    )


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Where a function changes most within each interval, after all rounds of cutting; shape ``(intervals,)`` each."""

    pred: Tensor
    target: Tensor
    change: Tensor
    resolved: Tensor
    width: float
    size: Tensor


def _cut(function: LossFn) -> _Cuts:
    """Cut each interval into parts, go on with the one across which ``function`` changes most, and so forth."""
    ends = torch.linspace(-REACH, REACH, INTERVALS + 1, dtype=torch.float64)
    target = torch.tensor(LABELS, dtype=torch.float64).repeat_interleave(INTERVALS)
    left = ends[:-1].repeat(len(LABELS))
    width = 2 * REACH / INTERVALS
    steps = torch.arange(PARTS + 1, dtype=torch.float64)
    rows = torch.arange(len(left))
    resolved = change = size = torch.zeros_like(left)
    for turn in range(ROUNDS):
        width /= PARTS
        pred = left[:, None] + steps * width
        values = function(pred, target[:, None].expand_as(pred))
        changes = torch.nan_to_num(values.diff(dim=-1).abs(), posinf=0.0)
        part = changes.argmax(-1)
        change, size, left = changes[rows, part], values[rows, part].abs(), pred[rows, part]
        if turn == RESOLVED:
            resolved = change
    return _Cuts(left, target, change, resolved, width, size)


def _smooth(loss: LossFn) -> Refutation:
    """Inside ever smaller intervals a smooth loss is ever straighter; at a jump or kink it isn't."""
    with torch.no_grad():
        jumps = _cut(loss)
    over = torch.nan_to_num(jumps.change - 0.5 * jumps.resolved - _rounding(jumps.size), nan=-torch.inf)
    worst = int(over.argmax())
    if over[worst] > 0:
        return _broken(loss, "jump", jumps, worst)
    kinks = _cut(lambda pred, target: _slopes(loss, pred, target)[1])
    grown = kinks.change - SHARPER * kinks.resolved / PARTS ** (ROUNDS - 1 - RESOLVED)
    over = torch.nan_to_num(grown - _rounding(kinks.size), nan=-torch.inf)
    worst = int(over.argmax())
    if over[worst] > 0:
        sudden = float(kinks.change[worst]) > 1e-3 * (1 + float(kinks.size[worst]))
        return _broken(loss, "kink" if sudden else "bend", kinks, worst)
    return Refutation("smooth", True, len(kinks.pred))


def _broken(loss: LossFn, kind: str, cuts: _Cuts, worst: int) -> Refutation:
    """A counter-example: values (of a jump) or slopes just before and after the place."""
    place, target = float(cuts.pred[worst]), float(cuts.target[worst])
    aside = torch.tensor([place - ASIDE, place + ASIDE], dtype=torch.float64)
    values, slopes = _slopes(loss, aside, torch.full_like(aside, target))
    aside = values if kind == "jump" else slopes
    numbers = {"pred": round(place, 6) + 0.0, "target": target, "left": float(aside[0]), "right": float(aside[1])}
    numbers["bend"] = float(cuts.change[worst]) / cuts.width
    return Refutation("smooth", False, len(cuts.pred), kind, {k: v for k, v in numbers.items() if isfinite(v)})


def _finite(loss: LossFn, pred: Tensor, target: Tensor) -> Refutation:
    """Whether value and slope are numbers, at random points and where the prediction is right."""
    value, slope = _slopes(loss, torch.cat([pred, target[:8]]), torch.cat([target, target[:8]]))
    pred, target = torch.cat([pred, target[:8]]), torch.cat([target, target[:8]])
    for kind, numbers in (("value", value), ("slope", slope)):
        bad = (~numbers.isfinite()).nonzero()
        if len(bad):
            place = int(bad[0])
            shown = {"pred": float(pred[place]), "target": float(target[place])}
            return Refutation("finite", False, len(pred), kind, shown)
    return Refutation("finite", True, len(pred))
