"""Two distributions on a line of bins: p is true, q the forecast; both are dragged, as bars or as bell curves.

With the option ``shape`` at ``bars`` the handles are heights, which the scene normalises; at ``gaussians`` they are
centre and width of two normal densities, taken at the middle of each of `LINE` bins and normalised. Bins are 1 apart
and numbered from 1. Gradients are led on from the probabilities of q to what a finger holds.

Arrays by view (L losses in the order asked, K bins):
``pair``: the probabilities of p and of q, ``(2, K)``.
``pull``: gradient of each loss by the height of each bar of q; of bell curves by the weight of each bin before
normalising, where the weights add up to 1; ``(L, K)``, held at plus or minus `MOST`, NaN where the loss is not finite.
``slide``: each loss while q slides along the line, by the centre of q, ``(L, N)``, with ``slide.x`` ``(N,)``; NaN where
it is infinite. Bars slide over a line that goes on with empty bins, and share a bin's probability with the next one on
the way. ``slide.slope`` ``(L, N - 1)`` is how fast it changes from one such place to the next, at ``slide.between``.
``centres``: the centres of p and q, ``(2,)``.
``descent:<key>``: the heights of q, or its centre and width, after one step against the gradient; NaN where there is
none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import get, value_and_grad
from lossviz.losses.entry import Choice, Loss
from lossviz.losses.proof import Found, Proof, by_hand, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Series, Values, line_values, stepped

BINS = 6
LINE = 25
MOST = 1e30
"""Larger gradients than this are drawn as if they were this: float32 ends soon after."""
NARROWEST = 0.7
"""Then no bin's probability is ever too small for float64, and every divergence of two bell curves is finite."""
P = Series("p", "True distribution p", 0.0, 1.0, 0.02, (0.5, 0.9, 0.6, 0.25, 0.1, 0.05))
Q = Series("q", "Forecast q", 0.0, 1.0, 0.02, (0.08, 0.15, 0.3, 0.55, 0.8, 0.4))
P_MEAN = Handle("p.mean", "Centre of p", 1.0, LINE, 0.25, 9.0)
P_WIDTH = Handle("p.width", "Width of p", NARROWEST, 6.0, 0.1, 1.5)
Q_MEAN = Handle("q.mean", "Centre of q", 1.0, LINE, 0.25, 16.0)
Q_WIDTH = Handle("q.width", "Width of q", NARROWEST, 6.0, 0.1, 2.0)
SLIDE_REACH = 9.0
SLIDE_BARS = (BINS + 1) / 2 + SLIDE_REACH * torch.arange(-90, 91, dtype=torch.float64) / 90
SLIDE_BELLS = 1 + (LINE - 1) * torch.arange(97, dtype=torch.float64) / 96
SPARE = 15
"""Empty bins on either side, so that nothing slides off the line."""
KL = get("kl_divergence")


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` q and ``target`` p, shape ``(1, K)``, float64; NaN where all bars are 0."""
    p, q = _pair(handles)
    return {"pred": q[None], "target": p[None]}


def _bars(heights: Sequence[float]) -> Tensor:
    tensor = torch.tensor(heights, dtype=torch.float64)
    return tensor / tensor.sum()


def _bells(means: Tensor | float, width: float) -> Tensor:
    """One row for each mean."""
    means = torch.as_tensor(means, dtype=torch.float64)
    away = torch.arange(1, LINE + 1, dtype=torch.float64) - means[..., None]
    return torch.softmax(-(away**2) / (2 * width**2), -1)


def _pair(handles: Values) -> tuple[Tensor, Tensor]:
    if handles["shape"] == "bars":
        return _bars(handles["p"]), _bars(handles["q"])
    return _bells(handles["p.mean"], handles["p.width"]), _bells(handles["q.mean"], handles["q.width"])


def _ways(handles: Values, q: Tensor) -> dict[str, Tensor]:
    """How q moves with each number that a finger holds, by the number's name in `Frame.numbers`."""
    if handles["shape"] == "bars":
        ways = (torch.eye(BINS, dtype=torch.float64) - q) / sum(handles["q"])
        return {f"gradient.{k + 1}": way for k, way in enumerate(ways)}
    mean, width = handles["q.mean"], handles["q.width"]
    away = torch.arange(1, LINE + 1, dtype=torch.float64) - mean
    growth = {"gradient.mean": away / width**2, "gradient.width": away**2 / width**3}
    return {name: q * (rise - (q * rise).sum()) for name, rise in growth.items()}


def _empty(handles: Values) -> str:
    """A sentence where there is nothing to normalise."""
    names = [name for name in ("p", "q") if handles["shape"] == "bars" and not any(handles[name])]
    return f"All bars of {' and '.join(names)} are 0: there is nothing to normalise." if names else ""


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for the arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    p, q = _pair(handles)
    if "pair" in wanted:
        frame.arrays["pair"] = torch.stack([p, q])
    if "slide" in wanted or "pair" in wanted:
        frame.arrays["centres"] = _centres(handles, p, q)
    gone = _empty(handles)
    if gone:
        frame.notes.update({loss.key: gone for loss in losses})
        _blank(frame, losses, p, wanted)
        return frame
    shared = _shared(p, q)
    pulls: list[Tensor] = []
    for loss in losses:
        named = inputs(handles, loss)
        value, grads = value_and_grad(loss, named, chosen[loss.key])
        slope = grads["pred"][0]
        frame.numbers[loss.key] = {"loss": value.item(), **_held(handles, q, value, slope), **shared}
        pulls.append(_pull(handles, q, value, slope))
        if not value.isfinite():
            hole = int(((p > 0) & (q == 0)).nonzero()[0]) + 1
            frame.notes[loss.key] = f"Infinite: q gives nothing to bin {hole}, where p has {p[hole - 1].item():.3g}."
        elif f"proof:{loss.key}" in wanted:
            frame.proofs[loss.key] = _proof(loss, handles, chosen[loss.key], (value, grads))
        if f"formula:{loss.key}" in wanted:
            frame.lines[loss.key] = line_values(loss.formula, named, chosen[loss.key])
        if f"descent:{loss.key}" in wanted:
            frame.arrays[f"descent:{loss.key}"] = _descent(handles, frame.numbers[loss.key])
    if "pull" in wanted:
        frame.arrays["pull"] = torch.stack(pulls)
    if "slide" in wanted:
        _slide(frame, losses, handles, chosen, p, q)
    return frame


def _blank(frame: Frame, losses: Sequence[Loss], p: Tensor, wanted: Sequence[str]) -> None:
    nothing = torch.full((len(losses), len(p)), torch.nan, dtype=torch.float64)
    if "pull" in wanted:
        frame.arrays["pull"] = nothing
    if "slide" in wanted:
        gap = torch.full((len(losses), len(SLIDE_BARS)), torch.nan, dtype=torch.float64)
        frame.arrays.update(_slid(SLIDE_BARS, gap))
    for loss in losses:
        if f"descent:{loss.key}" in wanted:
            frame.arrays[f"descent:{loss.key}"] = nothing[0]


def _centres(handles: Values, p: Tensor, q: Tensor) -> Tensor:
    if handles["shape"] == "gaussians":
        return torch.tensor([handles["p.mean"], handles["q.mean"]], dtype=torch.float64)
    return torch.stack([p, q]) @ torch.arange(1, BINS + 1, dtype=torch.float64)


def _shared(p: Tensor, q: Tensor) -> dict[str, float]:
    """What information theory says of the pair, all from one divergence; in nats."""
    even = torch.full_like(p, 1 / len(p))
    kl, reverse, from_even = (
        KL.fn(pred=pred[None], target=target[None]).item() for pred, target in ((q, p), (p, q), (even, p))
    )
    entropy = math.log(len(p)) - from_even
    return {"kl": kl, "kl.reverse": reverse, "entropy": entropy, "cross_entropy": entropy + kl}


def _held(handles: Values, q: Tensor, value: Tensor, slope: Tensor) -> dict[str, float]:
    ways = _ways(handles, q)
    if not value.isfinite():
        return dict.fromkeys(ways, math.nan)
    return {name: (slope * way).sum().item() for name, way in ways.items()}


def _pull(handles: Values, q: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    if not value.isfinite():
        return torch.full_like(q, torch.nan)
    total = sum(handles["q"]) if handles["shape"] == "bars" else 1.0
    return ((slope - (q * slope).sum()) / total).clamp(-MOST, MOST)


def _descent(handles: Values, numbers: Mapping[str, float]) -> Tensor:
    moved = _after_step(handles, numbers)
    flat = moved["q"] if handles["shape"] == "bars" else list(moved.values())
    finite = math.isfinite(numbers["loss"])
    return torch.tensor(flat if finite else [math.nan] * len(flat), dtype=torch.float64)


def _after_step(handles: Values, numbers: Mapping[str, float]) -> dict[str, Any]:
    """What the forecast's handles are after a step; where they are if the loss is infinite, and no step is finite."""
    rate = handles["rate"] if math.isfinite(numbers["loss"]) else 0.0
    slope = {name: value if rate else 0.0 for name, value in numbers.items()}
    if handles["shape"] == "bars":
        heights = [h - rate * slope[f"gradient.{k + 1}"] for k, h in enumerate(handles["q"])]
        return {"q": [min(Q.high, max(Q.low, h)) for h in heights]}
    ends = ((Q_MEAN, "gradient.mean"), (Q_WIDTH, "gradient.width"))
    return {handle.name: stepped(handle, handles[handle.name], slope[name], rate) for handle, name in ends}


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the forecast's heights, or its centre and width, after one step against the gradient."""
    if _empty(handles):
        return {}
    return _after_step(handles, views([loss], handles, {loss.key: params}, []).numbers[loss.key])


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any], found: Found) -> Proof:
    """The slope by the highest bar of q, or by its centre."""
    _, q = _pair(handles)
    if handles["shape"] == "bars":
        top = max(range(BINS), key=lambda k: handles["q"][k])
        x, name = handles["q"][top], f"gradient.{top + 1}"

        def at(x: float) -> dict[str, Tensor]:
            heights = [x if k == top else h for k, h in enumerate(handles["q"])]
            return inputs({**handles, "q": heights}, loss)
    else:
        x, name = handles["q.mean"], "gradient.mean"

        def at(x: float) -> dict[str, Tensor]:
            return inputs({**handles, "q.mean": x}, loss)

    way = _ways(handles, q)[name]
    proof = prove(loss, at, x, params, {"pred": way}, found)
    if proof.deviation is None:
        return proof
    # By single bins gradients exceed all bounds where q is nearly 0, and so do their last digits: parts of the slope
    # are compared instead.
    apart = by_hand(loss, at(x), params)["pred"] - found[1]["pred"]
    return replace(proof, deviation=(apart * way).abs().max().item())


def _slide(
    frame: Frame, losses: Sequence[Loss], handles: Values, chosen: Mapping[str, Any], p: Tensor, q: Tensor
) -> None:
    if handles["shape"] == "bars":
        x = SLIDE_BARS
        places = torch.arange(1 - SPARE, BINS + SPARE + 1, dtype=torch.float64)
        bins = torch.arange(1, BINS + 1, dtype=torch.float64)
        away = x - frame.arrays["centres"][1]
        pred = (1 - (places[:, None] - bins - away[:, None, None]).abs()).clamp(min=0) @ q
        target = torch.nn.functional.pad(p, (SPARE, SPARE)).expand_as(pred)
    else:
        x = SLIDE_BELLS
        pred = _bells(x, handles["q.width"])
        target = p.expand_as(pred)
    values = torch.stack([loss.fn(pred=pred, target=target, **chosen[loss.key]) for loss in losses])
    frame.arrays.update(_slid(x, values.masked_fill(values.isinf(), torch.nan)))


def _slid(x: Tensor, values: Tensor) -> dict[str, Tensor]:
    slopes = (values[:, 1:] - values[:, :-1]) / (x[1:] - x[:-1])
    return {"slide.x": x, "slide": values, "slide.between": (x[1:] + x[:-1]) / 2, "slide.slope": slopes}


DISTRIBUTIONS = Scene(
    key="distributions",
    name="Two distributions",
    task="Drag the forecast away from the truth: which losses still say which way is back?",
    handles=(P, Q, P_MEAN, P_WIDTH, Q_MEAN, Q_WIDTH),
    input_kinds=("distributions",),
    view_names=("pair", "pull", "slide", "descent", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("wasserstein_1", "js_divergence", "total_variation", "kl_divergence"),
    options={
        "shape": Choice("Six bars, or two bell curves cut into 25 bins.", "bars", ("bars", "gaussians")),
        "slide": Choice("As q slides: each loss, or how fast it changes.", "loss", ("loss", "slope")),
        "rate": RATE,
        "arrows": ARROWS,
    },
    step=step,
)
