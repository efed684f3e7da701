"""A critic over a line: it scores real and generated samples, and through it a generator's loss pulls the latter.

The critic is drawn (straight between nine knots, going on straight beyond them) or trained: a network of 16 hidden
units, begun anew from the same weights in every frame and trained by each loss on its critic's side, with the loss's
parameters at their defaults. The Wasserstein critic's weights are clipped so that it is 1-Lipschitz; the gradient
penalty trains together with the Wasserstein loss, as in WGAN-GP.

The gradient that a generated sample *receives* is that of the reduced loss by the sample's place, through the critic,
which stands still. ``pull`` is the sum of their sizes on the generator's side: the mean over the samples of how hard
the loss pulls at each, in units of loss by units of the line. A gradient penalty is
on the critic's side alone and has none.

Numbers by loss: ``loss``, ``pull``, ``gradient.1`` to ``gradient.6`` (on the side of the loss's parameters) and the
mean scores ``score.real`` and ``score.fake``.
Arrays by view (L losses in the order asked):
``curve``: the critic over `GRID`, ``(L, N)``, and ``scores``: what it says of real samples, of generated ones and at
the places ``between`` them, ``(6,)``, where a gradient penalty looks, ``(L, 3, 6)``. The rows of a drawn critic are
the same.
``bars``: the gradient that each generated sample receives, on the side of the loss's parameters, ``(L, 6)``.
``arrows``: where each generated sample is and where a step on the generator's side takes it, ``(L, 6, 2)``;
``learning``: each knot's value and where a step on the critic's side takes it, ``(L, 9, 2)``, NaN for a trained critic.
``reach``: the pull if the generated samples stood at another distance from the real ones, with the same critic:
``(L, N)`` over `DISTANCES`. ``apart``: that distance now, ``(1,)``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from lossviz.losses import CATALOGUE, get, value_and_grad
from lossviz.losses.entry import Choice, Loss, Number
from lossviz.losses.proof import Proof, by_hand, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Params, Scene, Series, Values, line_values

LOW, HIGH = -4.0, 4.0
SAMPLES = 6
KNOTS = 9
KNOT_REACH = 6.0
GRID = LOW + (HIGH - LOW) * torch.arange(161, dtype=torch.float64) / 160
DISTANCES = torch.arange(81, dtype=torch.float64) / 10
"""From where the two kinds meet to twice the width of the picture's half."""
HIDDEN = 16
LEARNING_RATE = 0.1
PENALISED_RATE = 0.01
"""The penalty is steep: beyond that the critic's slope jumps to and fro."""
CLIP = HIDDEN**-0.5
"""The slope is at most the sum of 16 products of two weights: with these it is at most 1."""
SHARES = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
"""Where a gradient penalty looks: a share of the way for each pair, where training draws them at random."""

KNOTS_AT_START = (-5.9, -4.8, -3.6, -2.3, -0.8, 0.9, 2.2, 2.8, 3.0)
REAL = Series("real", "Real samples", LOW, HIGH, 0.1, (0.7, 1.3, 1.8, 2.1, 2.6, 3.3))
FAKE = Series("fake", "Generated samples", LOW, HIGH, 0.1, (-3.1, -2.6, -2.2, -1.6, -1.2, -0.6))
CRITIC = Series(
    "knots", "Critic's score", -KNOT_REACH, KNOT_REACH, 0.1, (-5.9, -4.8, -3.6, -2.3, -0.8, 0.9, 2.2, 2.8, 3)
)
KIND = Choice("Drawn by hand at nine knots, or a network that each loss trains.", "drawn", ("drawn", "trained"))
STEPS = Number("How many steps of gradient descent have trained the critic.", 30, 0, 200, integer=True)


# --- the critic


def _hinges() -> Tensor:
    """``(9, 9)``: from the knots' values to what the hidden units are worth, to the right of each knot and left of all.

    Each hidden unit bends the line at a knot by how much its slope changes there.
    """
    slopes = torch.eye(KNOTS, dtype=torch.float64).diff(dim=0) * (KNOTS - 1) / (HIGH - LOW)
    bends = torch.cat([slopes[:1], slopes.diff(dim=0)])
    return torch.cat([bends, -slopes[:1]])


HINGES = _hinges()
PLACES = torch.linspace(LOW, HIGH, KNOTS, dtype=torch.float64)


def _network(first: Tensor, bias: Tensor, bend: nn.Module, last: Tensor, end: Tensor) -> nn.Sequential:
    """One input, one hidden layer, one score a row."""
    return nn.Sequential(_linear(first[:, None], bias), bend, _linear(last[None], end), nn.Flatten(0))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")  # no random weights, which would be thrown away
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


@lru_cache(32)
def _drawn(knots: tuple[float, ...]) -> nn.Sequential:
    values = torch.tensor(knots, dtype=torch.float64)
    right = torch.ones(KNOTS - 1, dtype=torch.float64)
    first, bias = torch.cat([right, -right[:1]]), torch.cat([-PLACES[:-1], PLACES[:1]])
    return _network(first, bias, nn.ReLU(), HINGES @ values, values[:1])


@lru_cache(64)
def _trained(key: str, real: tuple[float, ...], fake: tuple[float, ...], steps: int) -> nn.Sequential:
    """The same samples, loss and steps give the same critic, to whoever asks."""
    samples = torch.tensor([*real, *fake], dtype=torch.float64)
    penalised = key == "gradient_penalty"
    rate = PENALISED_RATE if penalised else LEARNING_RATE
    slopes = _slopes_by_weight(get("wgan" if penalised else key), samples)
    with torch.inference_mode(False), torch.no_grad():
        weights = _bounded(key, _first_weights())
        for _ in range(steps):
            slope = slopes(weights) + _penalty_slope(samples, weights) if penalised else slopes(weights)
            weights = _bounded(key, weights - rate * slope)
    w, b, a, c = _parts(weights)
    return _network(w, b, nn.Tanh(), a, c)


def _parts(weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return weights[:HIDDEN], weights[HIDDEN : 2 * HIDDEN], weights[2 * HIDDEN : -1], weights[-1:]


def _first_weights() -> Tensor:
    seeded = torch.Generator().manual_seed(0)
    w, b, a = torch.randn(3, HIDDEN, generator=seeded, dtype=torch.float64)
    return torch.cat([w, 1.5 * b, 0.1 * a, torch.zeros(1, dtype=torch.float64)])


def _bounded(key: str, weights: Tensor) -> Tensor:
    return weights.clamp(-CLIP, CLIP) if key == "wgan" else weights


def _slopes_by_weight(loss: Loss, samples: Tensor) -> Callable[[Tensor], Tensor]:
    """The critic's gradient by its weights. The chain rule is written out: autograd takes four times as long."""
    if loss.grad is None or loss.denominator is None:
        raise ValueError(f"{loss.name} has no hand-written gradient, by which this scene trains critics.")
    by_score, params = loss.grad, loss.resolve({"side": "discriminator"})
    still = {"real": samples[:SAMPLES], "fake": samples[SAMPLES:]}
    count = loss.denominator(loss.fn(**still, **params), still, params)

    def slopes(weights: Tensor) -> Tensor:
        w, b, a, c = _parts(weights)
        bent = torch.addcmul(b, samples[:, None], w).tanh_()
        scores = torch.mv(bent, a) + c
        found = by_score(real=scores[:SAMPLES], fake=scores[SAMPLES:], **params)
        slope = torch.cat([found["real"], found["fake"]]) / count
        back = torch.outer(slope, a) * (1 - bent * bent)
        return torch.cat([samples @ back, back.sum(0), slope @ bent, slope.sum(0, keepdim=True)])

    return slopes


def _penalty_slope(samples: Tensor, weights: Tensor) -> Tensor:
    penalty = get("gradient_penalty")
    places = samples[:, None]
    with torch.enable_grad():
        leaf = weights.detach().requires_grad_()
        w, b, a, c = _parts(leaf)

        def model(x: Tensor) -> Tensor:
            return torch.tanh(x * w + b) @ a + c

        named = {"model": model, "real": places[:SAMPLES], "fake": places[SAMPLES:], "eps": SHARES}
        value = penalty.reduce(penalty.fn(**named, **penalty.resolve()), named, penalty.resolve())
        return torch.autograd.grad(value, leaf)[0]


def critic(handles: Values, loss: Loss) -> nn.Sequential:
    """The critic that judges for ``loss``: one score a row of ``(N, 1)``."""
    if handles["critic"] == "drawn":
        return _drawn(tuple(handles["knots"]))
    return _trained(loss.key, tuple(handles["real"]), tuple(handles["fake"]), int(handles["steps"]))


# --- what a loss sees


def _places(handles: Values) -> tuple[Tensor, Tensor]:
    real, fake = (torch.tensor(handles[name], dtype=torch.float64) for name in ("real", "fake"))
    return real, fake


def inputs(handles: Values, loss: Loss) -> dict[str, Any]:
    """The critic's scores ``real`` and ``fake``, shape ``(6,)``; for a penalty itself and the samples ``(6, 1)``."""
    return _seen(critic(handles, loss), *_places(handles), loss)


def _seen(model: nn.Sequential, real: Tensor, fake: Tensor, loss: Loss) -> dict[str, Any]:
    if loss.models:
        return {"model": model, "real": real[:, None], "fake": fake[:, None], "eps": SHARES}
    with torch.no_grad():
        return {"real": model(real[:, None]), "fake": model(fake[:, None])}


def _steepness(model: nn.Sequential, places: Tensor) -> Tensor:
    """The critic's slope at each place, any shape."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = places.detach().clone().reshape(-1, 1).requires_grad_()
        (slope,) = torch.autograd.grad(model(leaf).sum(), leaf)
    return slope.reshape(places.shape)


def _generator(loss: Loss, named: Mapping[str, Any], params: Mapping[str, Any]) -> Tensor:
    """The generator's gradient by the scores of its samples."""
    return by_hand(loss, named, {**params, "side": "generator"})["fake"]


def _received(loss: Loss, slopes: Mapping[str, Tensor], steep: Tensor) -> Tensor:
    return slopes["fake"][:, 0] if loss.models else slopes["fake"] * steep


def _pulled(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    """The gradient by each generated sample on the generator's side; NaN for a loss without sides."""
    if "side" not in loss.params:
        return torch.full((SAMPLES,), torch.nan, dtype=torch.float64)
    slopes = _generator(loss, inputs(handles, loss), params)
    return slopes * _steepness(critic(handles, loss), _places(handles)[1])


def _learnt(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    """The gradient by each knot's value on the critic's side, ``(9,)``: a drawn critic is linear in them."""
    named = inputs(handles, loss)
    if loss.models:
        _, slopes = value_and_grad(loss, named, params)
        by_units, by_end = slopes["model.2.weight"][0], slopes["model.2.bias"]
    else:
        own = by_hand(loss, named, {**params, "side": "discriminator"})
        by_score, model = torch.cat([own["real"], own["fake"]]), critic(handles, loss)
        with torch.no_grad():
            units = model[:2](torch.cat(_places(handles))[:, None])
        by_units, by_end = by_score @ units, by_score.sum(0, keepdim=True)
    return HINGES.T @ by_units + torch.cat([by_end, by_end.new_zeros(KNOTS - 1)])


# --- the frame


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    rows: dict[str, list[Tensor]] = {name: [] for name in ("curve", "scores", "bars", "arrows", "learning", "reach")}
    real, fake = _places(handles)
    between = SHARES * real + (1 - SHARES) * fake
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        model = critic(handles, loss)
        named = _seen(model, real, fake, loss)
        value, slopes = value_and_grad(loss, named, chosen)
        received, pulled = _received(loss, slopes, _steepness(model, fake)), _pulled(loss, handles, chosen)
        scores = _seen(model, real, fake, get("wgan"))
        frame.numbers[loss.key] = {
            "loss": value.item(),
            **({"pull": pulled.abs().sum().item()} if "side" in loss.params else {}),
            **{f"gradient.{i + 1}": slope.item() for i, slope in enumerate(received)},
            **{f"score.{name}": scores[name].mean().item() for name in ("real", "fake")},
        }
        if f"proof:{loss.key}" in wanted:
            frame.proofs[loss.key] = _proof(loss, model, handles, chosen)
        if f"formula:{loss.key}" in wanted:
            frame.lines[loss.key] = line_values(loss.formula, named, chosen)
        rows["bars"].append(received)
        if "curve" in wanted:
            with torch.no_grad():
                rows["curve"].append(model(GRID[:, None]))
                rows["scores"].append(torch.stack([scores["real"], scores["fake"], model(between[:, None])]))
            rows["arrows"].append(torch.stack([fake, fake - handles["rate"] * pulled], -1))
            rows["learning"].append(_learning(loss, handles, chosen))
        if "reach" in wanted:
            rows["reach"].append(_reach(loss, model, real, fake, chosen))
    if "curve" in wanted:
        frame.arrays.update({name: torch.stack(rows[name]) for name in ("curve", "scores", "arrows", "learning")})
        frame.arrays["between"] = between
    if "bars" in wanted:
        frame.arrays["bars"] = torch.stack(rows["bars"])
    if "reach" in wanted:
        frame.arrays["reach"] = torch.stack(rows["reach"])
        frame.arrays["apart"] = (real.mean() - fake.mean()).abs()[None]
    return frame


def _learning(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    now = torch.tensor(handles["knots"], dtype=torch.float64)
    if handles["critic"] != "drawn":
        return torch.full((KNOTS, 2), torch.nan, dtype=torch.float64)
    return torch.stack([now, now - handles["rate"] * _learnt(loss, handles, params)], -1)


def _reach(loss: Loss, model: nn.Sequential, real: Tensor, fake: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The pull with the generated samples together at each distance, on the side where they are now."""
    if "side" not in loss.params:
        return torch.full_like(DISTANCES, torch.nan)
    gap = fake.mean() - real.mean()
    side = 1.0 if gap > 0 else -1.0
    places = (fake - gap)[None] + side * DISTANCES[:, None]
    with torch.no_grad():
        scores = model(places.reshape(-1, 1)).reshape(places.shape)
        real_scores = model(real[:, None])

        def slopes(fakes: Tensor) -> Tensor:
            return _generator(loss, {"real": real_scores, "fake": fakes}, params)

        by_score = torch.vmap(slopes)(scores)
    return (by_score * _steepness(model, places)).abs().sum(-1)


def _proof(loss: Loss, model: nn.Sequential, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The slope by the place of the first generated sample, the critic standing still."""
    real, fake = _places(handles)

    def at(place: float) -> dict[str, Any]:
        return _seen(model, real, torch.cat([fake.new_tensor([place]), fake[1:]]), loss)

    steep = torch.ones(()) if loss.models else _steepness(model, fake)[0]
    way = torch.zeros_like(fake)
    way[0] = steep
    return prove(loss, at, fake[0].item(), params, {"fake": way[:, None] if loss.models else way})


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """The turn of the side whose loss it is: generated samples move, or the critic learns."""
    if params.get("side") == "generator":
        return {"fake": _moved(FAKE, handles["fake"], _pulled(loss, handles, params), handles["rate"])}
    if handles["critic"] != "drawn":
        return {"steps": min(int(STEPS.high), int(handles["steps"]) + 1)}
    return {"knots": _moved(CRITIC, handles["knots"], _learnt(loss, handles, params), handles["rate"])}


def _moved(series: Series, values: list[float], slopes: Tensor, rate: float) -> list[float]:
    moved = torch.tensor(values, dtype=torch.float64) - rate * slopes
    return [value.item() for value in moved.clamp(series.low, series.high)]


CRITIC_SCENE = Scene(
    key="critic",
    name="Critic and generator",
    task="Drag the generated samples away from the real ones: which loss still pulls them back?",
    handles=(REAL, FAKE, CRITIC),
    input_kinds=("critic", "critic_model"),
    view_names=("curve", "bars", "reach", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("gan_minimax", "gan_nonsaturating", "lsgan", "wgan"),
    options={
        "critic": Choice(
            "Drawn by hand at nine knots, or a small network that each loss trains.", "drawn", ("drawn", "trained")
        ),
        "steps": STEPS,
        "rate": replace(RATE, default=2.0),
        "arrows": ARROWS,
    },
    step=step,
    start={loss.key: {"side": "generator"} for loss in CATALOGUE if loss.input_kind == "critic"},
)
