"""The straight line of smallest loss through a few points: exact for kinks, from several starts for valleys.

Newton steps settle losses that are smooth. Where a loss has kinks, as the absolute error has, its lowest line lies in a
corner of a landscape of facets; every edge there is a turn of the line about one of the points, so that searching along
those turns ends in the corner. Lines through every two points and a coarse grid are where both begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from lossviz.losses.entry import Loss, number_of_values

TOLERANCE = 1e-6
"""A fit has converged when no turn about a point and no shift of this size, in the unit of y, lowers the loss."""
STARTS = 12
APART = 0.4
"""Starts closer than this, in the unit of y, would roll into the same valley."""
MOST_STEPS = 60
MOST_SEARCHES = 60
GRID = 13
ROUNDING = 1e-14
LEAST_SPREAD = 1e-9
_LENGTHS = torch.cat([torch.zeros(1), 2.0 ** torch.arange(2, -12, -1)]).double()
_REACHES = torch.logspace(-9, 1, 41, dtype=torch.float64)
_WAYS = torch.cat([-_REACHES.flip(0), torch.zeros(1, dtype=torch.float64), _REACHES])
_ZOOM = torch.linspace(-1, 1, 33, dtype=torch.float64)
_ZOOMS = 6
_FINER = 16
_PROBE = 1e-5


@dataclass(frozen=True, slots=True)
class Fit:
    """The line found and its reduced loss.

    Attributes:
        slope: of the line.
        intercept: where it crosses x = 0.
        loss: reduced.
        converged: whether it is lowest to `TOLERANCE`.
        sloped: whether the points have different x at all; if not, any slope fits as well and 0 is taken.
    """

    slope: float
    intercept: float
    loss: float
    converged: bool
    sloped: bool


def batch_loss(loss: Loss, pred: Tensor, target: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The reduced loss, ``(M,)``, of each row of ``pred`` ``(M, N)``, NaN off its domain; ``target`` is ``(N,)``."""
    outside = _outside(loss, pred)
    kept = pred.masked_fill(outside, 0.0)
    if loss.denominator is number_of_values:
        value = loss.fn(pred=kept, target=target.expand_as(kept), **params).mean(-1)
    else:

        def one(row: Tensor) -> Tensor:
            inputs = {"pred": row, "target": target}
            return loss.reduce(loss.fn(**inputs, **params), inputs, params)

        value = torch.vmap(one)(kept)
    return value.masked_fill(outside.any(-1), torch.nan)


def batch_slopes(loss: Loss, pred: Tensor, target: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The gradient of the reduced loss by each prediction, by hand: ``(M, N)``.

    Raises:
        ValueError: the loss has no hand-written gradient.
    """
    if loss.grad is None:
        raise ValueError(f"{loss.name} has no hand-written gradient, which this scene draws.")
    by_hand = loss.grad
    kept = pred.masked_fill(_outside(loss, pred), 0.0)
    if loss.denominator is number_of_values:
        return by_hand(pred=kept, target=target.expand_as(kept), **params)["pred"] / pred.shape[-1]

    def one(row: Tensor) -> Tensor:
        return by_hand(pred=row, target=target, **params)["pred"]

    return torch.vmap(one)(kept)


def _outside(loss: Loss, pred: Tensor) -> Tensor:
    return pred < (0.0 if loss.input_kind.startswith("nonnegative") else -torch.inf)


def fit(loss: Loss, xs: Tensor, ys: Tensor, params: Mapping[str, Any]) -> Fit:
    """The line of smallest reduced loss.

    Args:
        loss: a loss of a number and its label.
        xs: where the points are, ``(N,)``, float64.
        ys: their labels, ``(N,)``.
        params: all parameters, resolved.

    Raises:
        ValueError: the labels are outside the loss's domain, or it has no hand-written gradient.
    """
    loss.check({"pred": ys, "target": ys}, params)
    problem = _Problem(loss, xs, ys, params)
    best = problem.newton(problem.starts())
    converged = problem.lowest(best)
    for _ in range(MOST_SEARCHES):
        if converged:
            break
        best = problem.search(best)
        converged = problem.lowest(best)
    turn, level = best[0].item(), best[1].item()
    slope = turn / problem.spread
    return Fit(slope, level - slope * problem.middle, problem.value(best[None]).item(), converged, problem.sloped)


def _convex(loss: Loss, params: Mapping[str, Any]) -> bool:
    """Whether the loss has a single valley, whatever the points."""
    claim = loss.properties.convex_in_pred
    return claim.holds is True and all(params[name] == value for name, value in claim.fixed.items())


def _eigen(matrices: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = cast("tuple[Tensor, Tensor]", torch.linalg.eigh(matrices))  # pyright: ignore[reportUnknownMemberType]
    return values, vectors


class _Problem:
    """The loss of lines ``turn * u + level`` over ``u``, the ``xs`` centred and scaled to spread 1."""

    def __init__(self, loss: Loss, xs: Tensor, ys: Tensor, params: Mapping[str, Any]):
        self.loss, self.ys, self.params = loss, ys, params
        self.middle = xs.mean().item()
        away = xs - self.middle
        spread = away.square().mean().sqrt().item()
        self.sloped = spread > LEAST_SPREAD
        self.spread = spread if self.sloped else 1.0
        self.u = away / self.spread if self.sloped else torch.zeros_like(xs)
        self.columns = torch.stack([self.u, torch.ones_like(xs)], -1)
        turns = torch.stack([torch.ones_like(xs), -self.u], -1)
        axes = torch.eye(2, dtype=xs.dtype)
        ways = torch.cat([turns, axes])
        self.ways = ways / (ways @ self.columns.T).abs().amax(-1, keepdim=True).clamp(min=LEAST_SPREAD)

    def value(self, lines: Tensor) -> Tensor:
        """The loss of each line ``(M, 2)``, infinite outside the domain."""
        value = batch_loss(self.loss, lines @ self.columns.T, self.ys, self.params)
        return value.nan_to_num(torch.inf)

    def slopes(self, lines: Tensor) -> Tensor:
        """The gradient by turn and level of each line: ``(M, 2)``."""
        return batch_slopes(self.loss, lines @ self.columns.T, self.ys, self.params) @ self.columns

    def starts(self) -> Tensor:
        """The best of least squares, of the lines through two points or level with one, and of a grid: ``(S, 2)``."""
        u, y = self.u, self.ys
        squares = torch.stack([(u * y).mean(), y.mean()])
        i, j = torch.triu_indices(len(u), len(u), 1)
        apart = (u[i] - u[j]).abs() > LEAST_SPREAD
        i, j = i[apart], j[apart]
        turn = (y[i] - y[j]) / (u[i] - u[j])
        pairs = torch.stack([turn, y[i] - turn * u[i]], -1)
        level = torch.stack([torch.zeros_like(y), y], -1)
        reach = max((y.max() - y.min()).item(), 1.0)
        sides = torch.linspace(-reach, reach, GRID, dtype=y.dtype)
        grid = torch.cartesian_prod(sides, y.mean() + sides)
        every = torch.cat([squares[None], pairs, level, grid])
        value = self.value(every)
        chosen: list[Tensor] = []
        for _ in range(1 if _convex(self.loss, self.params) else STARTS):
            lowest = value.argmin()
            chosen.append(every[lowest])
            value = value.masked_fill((every - every[lowest]).abs().amax(-1) < APART, torch.inf)
        return torch.stack(chosen)

    def newton(self, lines: Tensor) -> Tensor:
        """The best line after damped Newton steps from each of ``lines``."""
        probes = _PROBE * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]], dtype=lines.dtype)
        value = self.value(lines)
        for _ in range(MOST_STEPS):
            around = self.slopes((lines[:, None] + probes).reshape(-1, 2)).reshape(-1, len(probes), 2)
            slope = around[:, 4]
            bend = torch.stack([around[:, 0] - around[:, 1], around[:, 2] - around[:, 3]], -1) / (2 * _PROBE)
            size, axes = _eigen((bend + bend.mT) / 2)
            # A saddle is left downhill as well: only the size of a bend counts, not its sign.
            size = size.abs().clamp(min=1e-8)
            step = -(axes @ ((axes.mT @ slope[..., None]) / size[..., None]))[..., 0]
            # Far out, where a loss is all but flat, a step may not leave the picture.
            step = step / (step.square().sum(-1, keepdim=True).sqrt() / (self.ys.abs().max() + 1)).clamp(min=1)
            trials = lines[:, None] + _LENGTHS[:, None] * step[:, None]
            reached = self.value(trials.reshape(-1, 2)).reshape(-1, len(_LENGTHS))
            lowest, chosen = reached.min(-1)
            lines = trials[torch.arange(len(lines)), chosen]
            if not (lowest < value - ROUNDING * (1 + value.abs())).any():
                break
            value = lowest
        return lines[self.value(lines).argmin()]

    def search(self, line: Tensor) -> Tensor:
        """The lowest line along each turn about a point and each shift."""
        steps = _WAYS.expand(len(self.ways), -1)
        at, chosen = self._lowest_along(line, steps)
        after = _WAYS[(chosen + 1).clamp(max=len(_WAYS) - 1)]
        before = _WAYS[(chosen - 1).clamp(min=0)]
        width = torch.maximum(after - at, at - before)
        for _ in range(_ZOOMS):
            at, _ = self._lowest_along(line, at + width * _ZOOM)
            width = width / _FINER
        every = torch.cat([line[None], line + at * self.ways])
        return every[self.value(every).argmin()]

    def _lowest_along(self, line: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Of the steps ``(W, K)`` along each way the best, and its place among them: ``(W, 1)`` both."""
        trials = line + steps[..., None] * self.ways[:, None]
        chosen = self.value(trials.reshape(-1, 2)).reshape(steps.shape).argmin(-1, keepdim=True)
        return steps.gather(-1, chosen), chosen

    def lowest(self, line: Tensor) -> bool:
        """Whether no turn about a point and no shift of `TOLERANCE` goes below."""
        here = self.value(line[None])
        around = self.value(line + TOLERANCE * torch.cat([self.ways, -self.ways]))
        return bool((around >= here - ROUNDING * (1 + here.abs())).all())
