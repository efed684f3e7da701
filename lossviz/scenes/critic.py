"""A critic over a line or a plane: it scores samples, and through it a generator's loss pulls the generated ones.

The critic is drawn by hand or trained by each loss; `lossviz.scenes.critics` says how. A place has one coordinate on
the line and two in the plane (D below); series of the plane hold them one after the other.

The gradient that a generated sample *receives* is that of the reduced loss by the sample's place, through the critic,
which stands still. ``pull`` is the sum of their lengths on the generator's side: the mean over the samples of how hard
the loss pulls at each, in units of loss by units of place. A gradient penalty is on the critic's side alone and has
none.

Numbers by loss: ``loss``, ``pull``, ``gradient.1`` to ``gradient.6`` (on the side of the loss's parameters; in the
plane ``gradient.1.x``, ``gradient.1.y``) and the mean scores ``score.real`` and ``score.fake``.
Arrays by view (L losses in the order asked; those of places have no last axis on the line):
``curve``: ``scores``: what the critic says of real samples, of generated ones and at the places ``between`` them,
``(6, D)``, where a gradient penalty looks, ``(L, 3, 6)``; ``steep``: its gradient there, ``(L, 6, D)``; ``arrows``:
where each generated sample is and where a step on the generator's side takes it, ``(L, 6, 2, D)``; ``learning``: each
height's value and where a step on the critic's side takes it, ``(L, K, 2)``, NaN for a trained critic; and on the line
``curve``: the critic over `GRID`, ``(L, N)``. The rows of a drawn critic are the same.
``surface:<key>``: in the plane, the critic over `SQUARE`, ``(S, S)``, the second coordinate along the first axis.
``bars``: the gradient that each generated sample receives, on the side of the loss's parameters, in the plane its
length, ``(L, 6)``.
``reach``: the pull if the generated samples stood at another distance from the real ones, with the same critic:
``(L, N)`` over `DISTANCES`. ``apart``: that distance now, ``(1,)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import CATALOGUE, value_and_grad
from lossviz.losses.entry import Choice, Loss, Number
from lossviz.losses.proof import Proof, by_hand, prove
from lossviz.scenes.critics import HIGH, KNOT_REACH, LOW, SAMPLES, SHARES, Critic, drawn, trained
from lossviz.scenes.scene import ARROWS, RATE, Frame, Params, Scene, Series, Values, line_values

GRID = LOW + (HIGH - LOW) * torch.arange(161, dtype=torch.float64) / 160
SQUARE = torch.linspace(LOW, HIGH, 33, dtype=torch.float64)
"""Of either coordinate; the middle is one of them, where a drawn critic has its kinks."""
DISTANCES = torch.arange(81, dtype=torch.float64) / 10
"""From where the two kinds meet to twice the width of the picture's half."""


@dataclass(frozen=True, slots=True)
class Space:
    """Where samples lie: the handles that hold them and the drawn critic, and what tells a place's numbers apart."""

    real: Series
    fake: Series
    heights: Series
    axes: tuple[str, ...]


def _real(name: str, *places: float) -> Series:
    return Series(name, "Real samples", LOW, HIGH, 0.1, places)


def _fake(name: str, *places: float) -> Series:
    return Series(name, "Generated samples", LOW, HIGH, 0.1, places)


def _heights(name: str, *heights: float) -> Series:
    return Series(name, "Critic's score", -KNOT_REACH, KNOT_REACH, 0.1, heights)


SPACES: Mapping[str, Space] = {
    "line": Space(
        _real("real", 0.7, 1.3, 1.8, 2.1, 2.6, 3.3),
        _fake("fake", -3.1, -2.6, -2.2, -1.6, -1.2, -0.6),
        _heights("knots", -5.9, -4.8, -3.6, -2.3, -0.8, 0.9, 2.2, 2.8, 3.0),
        ("",),
    ),
    "plane": Space(
        _real("plane_real", 1.4, 1.9, 2.2, 1.1, 2.7, 1.9, 1.6, -1.1, 2.4, -1.6, 3.2, -0.8),
        _fake("plane_fake", -3.3, 0.9, -1.6, 2.1, -2.2, 0.3, -3.0, -0.8, -2.0, -1.5, -0.9, -1.7),
        _heights("posts", 0.3, 2.4, -3.6, 1.8, -3.0),
        (".x", ".y"),
    ),
}
STEPS = Number("How many steps of gradient descent have trained the critic.", 30, 0, 200, integer=True)


# --- what a loss sees


def _space(handles: Values) -> Space:
    return SPACES[handles["space"]]


def _places(handles: Values) -> tuple[Tensor, Tensor]:
    """Real and generated samples, ``(6, D)``."""
    space = _space(handles)
    real, fake = (
        torch.tensor(handles[series.name], dtype=torch.float64).reshape(SAMPLES, -1)
        for series in (space.real, space.fake)
    )
    return real, fake


def critic(handles: Values, loss: Loss) -> Critic:
    """The critic that judges for ``loss``."""
    space = _space(handles)
    if handles["critic"] == "drawn":
        return drawn(tuple(handles[space.heights.name]))
    real, fake = (tuple(handles[series.name]) for series in (space.real, space.fake))
    return trained(loss.key, real, fake, int(handles["steps"]))


def inputs(handles: Values, loss: Loss) -> dict[str, Any]:
    """The critic's scores ``real`` and ``fake``, shape ``(6,)``; for a penalty itself and the samples ``(6, D)``."""
    return _seen(critic(handles, loss), *_places(handles), loss)


def _seen(model: Critic, real: Tensor, fake: Tensor, loss: Loss) -> dict[str, Any]:
    if loss.models:
        return {"model": model.module, "real": real, "fake": fake, "eps": SHARES}
    return {"real": model.scores(real), "fake": model.scores(fake)}


def _between(real: Tensor, fake: Tensor) -> Tensor:
    return SHARES[:, None] * real + (1 - SHARES[:, None]) * fake


def _generator(loss: Loss, named: Mapping[str, Any], params: Mapping[str, Any]) -> Tensor:
    """The generator's gradient by the scores of its samples."""
    return by_hand(loss, named, {**params, "side": "generator"})["fake"]


def _received(loss: Loss, slopes: Mapping[str, Tensor], steep: Tensor) -> Tensor:
    return slopes["fake"] if loss.models else slopes["fake"][:, None] * steep


def _pulled(loss: Loss, named: Mapping[str, Any], steep: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The gradient by each generated sample on the generator's side, ``(6, D)``; NaN for a loss without sides."""
    if "side" not in loss.params:
        return torch.full_like(steep, torch.nan)
    return _generator(loss, named, params)[:, None] * steep


def _learnt(loss: Loss, model: Critic, named: Mapping[str, Any], places: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The gradient by each height of a drawn critic on the critic's side, ``(K,)``: the score is linear in them."""
    if loss.models:
        _, slopes = value_and_grad(loss, named, params)
        return model.by_heights(slopes["model.2.weight"][0], slopes["model.2.bias"][0])
    own = by_hand(loss, named, {**params, "side": "discriminator"})
    by_score = torch.cat([own["real"], own["fake"]])
    return model.by_heights(by_score @ model.units(places), by_score.sum())


# --- the frame


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    rows: dict[str, list[Tensor]] = {}
    space = _space(handles)
    real, fake = _places(handles)
    between = _between(real, fake)
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        model = critic(handles, loss)
        named, steep = _seen(model, real, fake, loss), model.slopes(fake)
        value, slopes = value_and_grad(loss, named, chosen)
        received, pulled = _received(loss, slopes, steep), _pulled(loss, named, steep, chosen)
        scores = model.scores(torch.stack([real, fake, between]))
        frame.numbers[loss.key] = {
            "loss": value.item(),
            **({"pull": _lengths(pulled).sum().item()} if "side" in loss.params else {}),
            **_by_sample(received, space.axes),
            "score.real": scores[0].mean().item(),
            "score.fake": scores[1].mean().item(),
        }
        if f"proof:{loss.key}" in wanted:
            frame.proofs[loss.key] = _proof(loss, model, real, fake, chosen)
        if f"formula:{loss.key}" in wanted:
            frame.lines[loss.key] = line_values(loss.formula, named, chosen)
        if f"surface:{loss.key}" in wanted and handles["space"] == "plane":
            y, x = torch.meshgrid(SQUARE, SQUARE, indexing="ij")
            frame.arrays[f"surface:{loss.key}"] = model.scores(torch.stack([x, y], -1))
        own: dict[str, Tensor] = {}
        if "bars" in wanted:
            own["bars"] = _flat(received) if handles["space"] == "line" else _lengths(received)
        if "curve" in wanted:
            own |= {"scores": scores, "steep": _flat(model.slopes(between))}
            own["arrows"] = _flat(torch.stack([fake, fake - handles["rate"] * pulled], 1))
            own["learning"] = _learning(loss, handles, model, named, chosen)
            if handles["space"] == "line":
                own["curve"] = model.scores(GRID[:, None])
        if "reach" in wanted:
            own["reach"] = _reach(loss, model, real, fake, chosen)
        for name, array in own.items():
            rows.setdefault(name, []).append(array)
    frame.arrays.update({name: torch.stack(arrays) for name, arrays in rows.items()})
    if "curve" in wanted:
        frame.arrays["between"] = _flat(between)
    if "reach" in wanted:
        frame.arrays["apart"] = _lengths(real.mean(0) - fake.mean(0))[None]
    return frame


def _flat(places: Tensor) -> Tensor:
    """On the line a place is one number."""
    return places[..., 0] if places.shape[-1] == 1 else places


def _by_sample(slopes: Tensor, axes: Sequence[str]) -> dict[str, float]:
    return {
        f"gradient.{i + 1}{axis}": slope.item()
        for i, row in enumerate(slopes)
        for axis, slope in zip(axes, row, strict=True)
    }


def _lengths(places: Tensor) -> Tensor:
    return places.square().sum(-1).sqrt()


def _learning(
    loss: Loss, handles: Values, model: Critic, named: Mapping[str, Any], params: Mapping[str, Any]
) -> Tensor:
    now = torch.tensor(handles[_space(handles).heights.name], dtype=torch.float64)
    if model.held is None:
        return torch.full((len(now), 2), torch.nan, dtype=torch.float64)
    slopes = _learnt(loss, model, named, torch.cat(_places(handles)), params)
    return torch.stack([now, now - handles["rate"] * slopes], -1)


def _reach(loss: Loss, model: Critic, real: Tensor, fake: Tensor, params: Mapping[str, Any]) -> Tensor:
    """The pull with the generated samples together at each distance, on the side where they are now."""
    if "side" not in loss.params:
        return torch.full_like(DISTANCES, torch.nan)
    gap = fake.mean(0) - real.mean(0)
    apart = _lengths(gap)
    way = gap / apart if apart > 0 else -torch.eye(len(gap), dtype=torch.float64)[0]
    places = (fake - gap)[None] + DISTANCES[:, None, None] * way
    scores, real_scores = model.scores(places), model.scores(real)

    def slopes(fakes: Tensor) -> Tensor:
        return _generator(loss, {"real": real_scores, "fake": fakes}, params)

    by_score = torch.vmap(slopes)(scores)  # pyright: ignore[reportUnknownMemberType]
    return _lengths(by_score[..., None] * model.slopes(places)).sum(-1)


def _proof(loss: Loss, model: Critic, real: Tensor, fake: Tensor, params: Mapping[str, Any]) -> Proof:
    """The slope by the first coordinate of the first generated sample, the critic standing still."""
    way = torch.zeros_like(fake)
    way[0, 0] = 1.0

    def at(place: float) -> dict[str, Any]:
        return _seen(model, real, fake + (place - fake[0, 0]) * way, loss)

    by_input = way if loss.models else way[:, 0] * model.slopes(fake)[:, 0]
    return prove(loss, at, fake[0, 0].item(), params, {"fake": by_input})


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """The turn of the side whose loss it is: generated samples move, or the critic learns."""
    space, model = _space(handles), critic(handles, loss)
    real, fake = _places(handles)
    named = _seen(model, real, fake, loss)
    if params.get("side") == "generator":
        slopes = _pulled(loss, named, model.slopes(fake), params).flatten()
        return {space.fake.name: _moved(space.fake, handles, slopes)}
    if model.held is None:
        return {"steps": min(int(STEPS.high), int(handles["steps"]) + 1)}
    slopes = _learnt(loss, model, named, torch.cat([real, fake]), params)
    return {space.heights.name: _moved(space.heights, handles, slopes)}


def _moved(series: Series, handles: Values, slopes: Tensor) -> list[float]:
    moved = torch.tensor(handles[series.name], dtype=torch.float64) - handles["rate"] * slopes
    return [value.item() for value in moved.clamp(series.low, series.high)]


CRITIC_SCENE = Scene(
    key="critic",
    name="Critic and generator",
    task="Drag the generated samples away from the real ones: which loss still pulls them back?",
    handles=tuple(series for space in SPACES.values() for series in (space.real, space.fake, space.heights)),
    input_kinds=("critic", "critic_model"),
    view_names=("curve", "surface", "bars", "reach", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("gan_minimax", "gan_nonsaturating", "lsgan", "wgan"),
    options={
        "space": Choice("Where the samples lie.", "line", tuple(SPACES)),
        "critic": Choice(
            "Drawn by hand at knots on the line or posts in the plane, or a small network that each loss trains.",
            "drawn",
            ("drawn", "trained"),
        ),
        "steps": STEPS,
        "rate": replace(RATE, default=2.0),
        "arrows": ARROWS,
    },
    step=step,
    start={loss.key: {"side": "generator"} for loss in CATALOGUE if loss.input_kind == "critic"},
)
