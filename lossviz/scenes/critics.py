"""Critics with one hidden layer over a line or a plane, held up by hand or trained.

Held up on the line: straight between nine knots, going on straight beyond them. Held up in the plane: a tent over five
posts, one in the middle and one in each corner, flat between two neighbouring corners and the middle and going on flat
beyond. Both are linear in the heights.

Trained: 16 hidden units, begun anew from the same weights in every frame and trained by each loss on its critic's
side, with the loss's parameters at their defaults. The Wasserstein critic's weights are clipped so that it is
1-Lipschitz; the gradient penalty trains together with the Wasserstein loss, as in WGAN-GP. The critics of all losses of
scores are trained as one batch, whichever of them are looked at: so the same samples always give the same critic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from threading import Lock
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Loss, number_of_values

LOW, HIGH = -4.0, 4.0
SAMPLES = 6
KNOTS = 9
KNOT_REACH = 6.0
PLACES = torch.linspace(LOW, HIGH, KNOTS, dtype=torch.float64)
"""Of the knots on the line."""
CORNER = 3.0
POSTS = torch.tensor(
    [[0, 0], [CORNER, CORNER], [-CORNER, -CORNER], [CORNER, -CORNER], [-CORNER, CORNER]], dtype=torch.float64
)
"""Where the posts stand in the plane."""

HIDDEN = 16
LEARNING_RATE = 0.1
PENALISED_RATE = 0.01
"""The penalty is steep: beyond that the critic's slope jumps to and fro."""
SHARES = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
"""Where a gradient penalty looks: a share of the way for each pair, where training draws them at random."""
SIDED = tuple(loss for loss in CATALOGUE if loss.input_kind == "critic")
PENALTY = get("gradient_penalty")


@dataclass(frozen=True, eq=False)
class Critic:
    """One score a place: ``bend(places @ first.T + bias) @ last + end``.

    ``first`` is ``(H, D)``, ``bias`` and ``last`` are ``(H,)``, ``end`` is ``()``. ``held``: from the heights by which
    a hand holds it to ``last``, ``(H, K)``; the first height is ``end`` as well. ``None`` for a trained critic.
    """

    first: Tensor
    bias: Tensor
    last: Tensor
    end: Tensor
    bend: Literal["relu", "tanh"]
    held: Tensor | None = None

    def units(self, places: Tensor) -> Tensor:
        """What the hidden units say of places ``(..., D)``: ``(..., H)``."""
        bent = places @ self.first.T + self.bias
        return bent.relu() if self.bend == "relu" else bent.tanh()

    def scores(self, places: Tensor) -> Tensor:
        """``(...)`` for places ``(..., D)``."""
        return self.units(places) @ self.last + self.end

    def slopes(self, places: Tensor) -> Tensor:
        """The score's gradient by the place, ``(..., D)``; 0 by a unit that is just about to bend, as in torch."""
        units = self.units(places)
        steep = (units > 0).double() if self.bend == "relu" else 1 - units * units
        return (steep * self.last) @ self.first

    def by_heights(self, by_last: Tensor, by_end: Tensor) -> Tensor:
        """From a gradient by ``last`` and ``end`` to that by the heights, ``(K,)``.

        Raises:
            ValueError: it is trained and has none.
        """
        if self.held is None:
            raise ValueError("A trained critic has no heights; allowed: one that is drawn by hand.")
        slopes = self.held.T @ by_last
        slopes[0] += by_end
        return slopes

    @cached_property
    def module(self) -> nn.Sequential:
        """The same as a network of torch: one score a row of ``(N, D)``."""
        bend = nn.ReLU() if self.bend == "relu" else nn.Tanh()
        return nn.Sequential(
            _linear(self.first, self.bias), bend, _linear(self.last[None], self.end[None]), nn.Flatten(0)
        )


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")  # no random weights, which would be thrown away
    with torch.inference_mode(False):
        layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return layer


# --- held up by hand


def _bends() -> Tensor:
    """``(9, 9)``: from the knots' values to what the hidden units are worth, to the right of each knot and left of all.

    Each hidden unit bends the line at a knot by how much its slope changes there.
    """
    slopes = torch.eye(KNOTS, dtype=torch.float64).diff(dim=0) * (KNOTS - 1) / (HIGH - LOW)
    bends = torch.cat([slopes[:1], slopes.diff(dim=0)])
    return torch.cat([bends, -slopes[:1]])


_BENDS = _bends()
_RIGHT = torch.ones(KNOTS - 1, 1, dtype=torch.float64)
_LINE = torch.cat([_RIGHT, -_RIGHT[:1]]), torch.cat([-PLACES[:-1], PLACES[:1]])

_TOWARDS = POSTS[1:].sign()
"""Each hidden unit rises towards one corner and is 0 in the two beside it."""
_TENT = _TOWARDS, torch.zeros(len(_TOWARDS), dtype=torch.float64)
_SIDES = torch.cat([-torch.ones(len(_TOWARDS), 1), torch.eye(len(_TOWARDS))], 1).double() / (2 * CORNER)
"""``(4, 5)``: from the posts' heights to what the hidden units are worth."""


@lru_cache(32)
def drawn(heights: tuple[float, ...]) -> Critic:
    """The critic that nine knots hold up on the line, or five posts in the plane."""
    (first, bias), held = (_LINE, _BENDS) if len(heights) == KNOTS else (_TENT, _SIDES)
    values = torch.tensor(heights, dtype=torch.float64)
    return Critic(first, bias, held @ values, values[0], "relu", held)


# --- trained


def clip(dims: int) -> float:
    """The slope is at most the sum of 16 products of a weight and the length of ``dims`` weights: with these, 1."""
    return (HIDDEN * dims**0.5) ** -0.5


class Weights(NamedTuple):
    """Of L critics over D coordinates: ``first`` ``(D + 1, L, H)``, whose last row is the bias, ``last``, ``end``."""

    first: Tensor
    last: Tensor
    end: Tensor


class Course:
    """How the critics of losses learn from the same samples side by side, as far as anybody has asked.

    Args:
        real: real samples, ``(6, D)``.
        fake: generated samples, same shape.
        losses: losses of scores, or the gradient penalty alone, whose critic learns by the Wasserstein loss as well.
    """

    def __init__(self, real: Tensor, fake: Tensor, losses: tuple[Loss, ...]) -> None:
        """Begin, without a step."""
        self._dims = real.shape[1]
        self._rows = {loss.key: row for row, loss in enumerate(losses)}
        self._penalised = PENALTY in losses
        self._rate = PENALISED_RATE if self._penalised else LEARNING_RATE
        self._seen = _with_one(torch.cat([real, fake]))
        self._between = _with_one(SHARES[:, None] * real + (1 - SHARES[:, None]) * fake)
        self._sides = [_side(get("wgan") if self._penalised else loss) for loss in losses]
        self._penalty = PENALTY.resolve()
        self._reached = [_bounded(_first_weights(self._dims, len(losses)), self._rows.get("wgan"))]
        self._lock = Lock()

    def critic(self, key: str, steps: int) -> Critic:
        """The critic of a loss after ``steps`` steps."""
        with self._lock:  # pages ask from threads of their own
            while len(self._reached) <= steps:
                self._reached.append(self._ahead(self._reached[-1]))
        row, (first, last, end) = self._rows[key], self._reached[steps]
        return Critic(first[:-1, row].T, first[-1, row], last[row], end[row], "tanh")

    def _ahead(self, weights: Weights) -> Weights:
        """One step of every critic. The chain rule is written out: autograd takes many times as long."""
        first, last, end = weights
        bent = (self._seen @ first.flatten(1)).tanh_().view(-1, *last.shape)
        slope = self._slopes((bent * last).sum(-1) + end)
        each = slope[..., None]
        back = each * last * (1 - bent * bent)
        by_first = (self._seen.T @ back.flatten(1)).view(first.shape)
        by_last = (each * bent).sum(0)
        if self._penalised:
            self._add_penalty(first[:, 0], last[0], by_first[:, 0], by_last[0])
        by_weights = by_first, by_last, slope.sum(0)
        ahead = Weights(*(was.sub(by, alpha=self._rate) for was, by in zip(weights, by_weights, strict=True)))
        return _bounded(ahead, self._rows.get("wgan"))

    def _slopes(self, scores: Tensor) -> Tensor:
        """The gradient of each critic's loss by its scores of real and generated samples, ``(12, L)``."""
        halves = scores[:SAMPLES].unbind(1), scores[SAMPLES:].unbind(1)
        found = [side(real=real, fake=fake) for side, real, fake in zip(self._sides, *halves, strict=True)]
        real, fake = (torch.stack([slopes[kind] for slopes in found], 1) for kind in ("real", "fake"))
        return torch.cat([real, fake]) / SAMPLES

    def _add_penalty(self, first: Tensor, last: Tensor, by_first: Tensor, by_last: Tensor) -> None:
        """Add the gradient of the penalty's mean by a critic's weights, through the length of the score's own."""
        weight, between = first[: self._dims], self._between
        bent = (between @ first).tanh()
        straight = 1 - bent * bent
        slope = (straight * last) @ weight.T
        length = slope.square().sum(1, keepdim=True).sqrt()
        off = (2 * self._penalty["lambda_"] / SAMPLES) * (length - self._penalty["center"])
        by_slope = off * slope / length.masked_fill(length == 0, 1.0)
        along = straight * (by_slope @ weight)
        by_first += between.T @ (-2 * last * bent * along)
        by_first[: self._dims] += by_slope.T @ (straight * last)
        by_last += along.sum(0)


def _bounded(weights: Weights, row: int | None) -> Weights:
    """The same, the critic in ``row`` clipped in place."""
    if row is not None:
        most = clip(len(weights.first) - 1)
        for own in (weights.first[:, row], weights.last[row], weights.end[row]):
            own.clamp_(-most, most)
    return weights


def _with_one(places: Tensor) -> Tensor:
    """For the bias."""
    return torch.cat([places, torch.ones_like(places[:, :1])], 1)


def _first_weights(dims: int, count: int) -> Weights:
    """The same for each of ``count`` critics."""
    seeded = torch.Generator().manual_seed(0)
    *towards, bias, last = torch.randn(dims + 2, HIDDEN, generator=seeded, dtype=torch.float64)
    first = torch.stack([*towards, 1.5 * bias])
    return Weights(
        first[:, None].repeat(1, count, 1), (0.1 * last).repeat(count, 1), torch.zeros(count, dtype=torch.float64)
    )


def _side(loss: Loss) -> Callable[..., dict[str, Tensor]]:
    """The gradient of the critic's side by the scores, of the sum over the samples.

    Raises:
        ValueError: the loss has no gradient by hand, or is no mean over the samples.
    """
    if loss.grad is None or loss.denominator is not number_of_values:
        raise ValueError(f"{loss.name} is no mean with a hand-written gradient, by which this scene trains critics.")
    return partial(loss.grad, **loss.resolve({"side": "discriminator"}))


@lru_cache(16)
def _course(real: tuple[float, ...], fake: tuple[float, ...], penalised: bool) -> Course:
    places = torch.tensor([real, fake], dtype=torch.float64).reshape(2, SAMPLES, -1)
    return Course(places[0], places[1], (PENALTY,) if penalised else SIDED)


def trained(key: str, real: tuple[float, ...], fake: tuple[float, ...], steps: int) -> Critic:
    """The critic of a loss after ``steps`` steps; samples one after the other, as many coordinates as there are."""
    with torch.inference_mode(False), torch.no_grad():
        return _course(real, fake, key == PENALTY.key).critic(key, steps)
