"""Two to ten classes: logits, the probabilities they make, and the label; with three, all of it on the simplex.

A loss gets the logits divided by the temperature, or where ``twice`` is set the probabilities that softmax made of
them: the published mistake of a softmax in front of a loss that has its own. Gradients are by the logits held.
The label is a class, or where ``soft`` has entries their shares of the classes there are; see `soft` for what a loss
makes of it. The shares are told as ``"soft"``.
The picture's plane holds a probability vector p at ``p2 * (1, 0) + p3 * (1/2, sqrt(3)/2)``: class 1 at the origin.
Numbers by loss: ``loss``; by class ``gradient.k`` and ``p.k``; with ``twice`` also ``corner``, the loss where the
probabilities are the label, which for the cross-entropy of a class is the floor ln(1 + (K - 1) / e).
Arrays by view (L losses in the order asked, K classes):
``bars``: gradient of each loss by the logits, ``(L, K)``; ``probs``: softmax of the logits over the temperature,
``(K,)``.
With three classes also ``surface:<key>``: loss over the plane, ``(S, S)``, y along the first axis, NaN where
farther than `RIM` outside the triangle; ``arrows:<key>``: where a small step of gradient descent on the logits moves
p, ``(M, 4)`` as x, y, dx, dy. A loss without a value has all NaN and no arrows.
``batch:<key>`` tells of a batch, the row held and `BATCH`, under ``"batch"``: what each row adds to what ``reduction``
makes of the values, how much it counts in the mean's denominator, and what the gradient is by its logits. Without a
reduction it is that of each row's own value. The other rows have the ``labels`` held: 0 is to be ignored, and one
beyond the classes begins again at 1.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Choice, Flag, Loss, Number
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Series, Values, line_values, stepped
from lossviz.scenes.soft import soft

SIMPLEX = 3
"""How many classes the picture of a triangle has."""
FEWEST, MOST = 2, 10
LOGIT_REACH = 8.0
LOGITS = tuple(
    Handle(f"z{k}", f"Logit of class {k}", -LOGIT_REACH, LOGIT_REACH, 0.1, start)
    for k, start in ((1, 1.0), (2, 0.5), (3, -0.5))
)
MORE = Series(
    "more", "Logits of further classes", -LOGIT_REACH, LOGIT_REACH, 0.1, (-1.0, 0.2, -0.6, -1.5, 0.0, -0.3, -2.0)
)
WEIGHTS = Series("weights", "Weight of each class", 0.0, 10.0, 0.1, (1.0,) * MOST)
SOFT = Series("soft", "Soft label: share of each class", 0.0, 1.0, 0.01, (), most=MOST)
"""Classes left out have no share; with no entries the label is a class."""
BATCH: tuple[tuple[float, ...], ...] = (
    (3.0, 0.0, -1.0, -0.5, 0.3, -1.2, 0.1, -0.8, -0.4, 0.2),
    (0.5, 0.2, 0.4, 0.3, 0.1, 0.0, 0.6, 0.2, 0.3, 0.1),
    (2.5, -1.0, 0.5, -0.7, 0.4, 0.0, -1.1, 0.2, -0.2, -0.5),
)
"""Logits of the rows beside the one held: with the labels they begin with sure and right, not sure, sure and wrong."""
LABELS = Series("labels", "Labels of the batch's other rows; 0 to ignore", 0, MOST, 1, (1.0, 3.0, 2.0), whole=True)
SIDE = 81
RIM = 1.75 / (SIDE - 1)
"""The map goes on this far outside the triangle, as on its edge, so that the picture can be cut off along the edge."""
HEIGHT = sqrt(3) / 2
EDGE = 1e-3
"""Smallest probability drawn: on the edge itself the cross-entropy of an absent class is infinite."""
ARROW_ROWS = 9


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` ``(1, K)`` float64 as it is fed, ``target`` and, where taken, class weights.

    ``target`` is ``(1,)`` int64, and of a soft label ``(1, K)`` float64.
    """
    pred = _fed(_scaled([_logits(handles)], handles), handles)
    return _accepted(loss, pred, _target(handles), handles)


def drawn(handles: Values, loss: Loss) -> Loss:
    """Return the loss as it takes the label held: of a soft one its mean."""
    return soft(loss) if handles["soft"] else loss


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the logits after one step against the gradient."""
    _, slopes = value_and_grad(drawn(handles, loss), inputs(handles, loss), params)
    slope = _by_logit(slopes["pred"], _probs(handles), handles)[0]
    rate = handles["rate"]
    first = {z.name: stepped(z, handles[z.name], by, rate) for z, by in zip(LOGITS, _list(slope), strict=False)}
    further = [stepped(MORE, z, by, rate) for z, by in zip(handles["more"], _list(slope[SIMPLEX:]), strict=False)]
    return {**first, "more": further + handles["more"][len(further) :]} if further else first


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The slope by the logit of the labelled class, of a soft label the one with the largest share."""
    label = int(_target(handles).argmax()) if handles["soft"] else int(handles["label"]) - 1
    way = torch.zeros(1, _count(handles), dtype=torch.float64)
    way[0, label] = 1.0
    # The way from logits to what is fed has a symmetric derivative.
    way = _by_logit(way, _probs(handles), handles)

    def at(logit: float) -> dict[str, Tensor]:
        return inputs({**handles, **_with_logit(handles, label, logit)}, loss)

    return prove(loss, at, _logits(handles)[label], params, {"pred": way})


def _with_logit(handles: Values, index: int, logit: float) -> dict[str, Any]:
    if index < SIMPLEX:
        return {f"z{index + 1}": logit}
    return {"more": [logit if i == index - SIMPLEX else z for i, z in enumerate(handles["more"])]}


def _count(handles: Values) -> int:
    return int(handles["classes"])


def _logits(handles: Values) -> list[float]:
    return [*(handles[z.name] for z in LOGITS), *handles["more"]][: _count(handles)]


def _target(handles: Values) -> Tensor:
    """The class as an index, or the shares of all classes, which add up to 1 wherever there are any."""
    if not handles["soft"]:
        return torch.tensor([int(handles["label"]) - 1])
    count = _count(handles)
    held = torch.tensor([handles["soft"][:count]], dtype=torch.float64)
    shares = torch.nn.functional.pad(held, (0, count - held.shape[1]))
    total = shares.sum()
    return shares / total if total > 0 else shares


def _beyond(handles: Values) -> str:
    """What is wrong with a label for so many classes; empty for nothing."""
    count = _count(handles)
    if handles["soft"]:
        nothing = f"The soft label has no share of the {count} classes; allowed: at least one of them has some."
        return "" if any(handles["soft"][:count]) else f"{nothing} Drag one up, or take a single class."
    label = int(handles["label"])
    beyond = f"The label is class {label} of {count} classes; allowed: 1 to {count}. Move it, or add classes."
    return beyond if label > count else ""


def _scaled(logits: Sequence[Sequence[float]], handles: Values) -> Tensor:
    return torch.tensor(logits, dtype=torch.float64) / handles["temperature"]


def _list(values: Tensor) -> list[float]:
    return [value.item() for value in values]


def _probs(handles: Values) -> Tensor:
    return _scaled([_logits(handles)], handles).softmax(-1)


def _fed(scaled: Tensor, handles: Values) -> Tensor:
    """What a loss gets where logits belong, from logits over the temperature."""
    return scaled.softmax(-1) if handles["twice"] else scaled


def _by_logit(slope: Tensor, probs: Tensor, handles: Values) -> Tensor:
    """The gradient by the logits held, from that by what is fed."""
    if handles["twice"]:
        slope = probs * (slope - (probs * slope).sum(-1, keepdim=True))
    return slope / handles["temperature"]


def _accepted(loss: Loss, pred: Tensor, target: Tensor, handles: Values) -> dict[str, Tensor]:
    weight = torch.tensor(handles["weights"][: _count(handles)], dtype=torch.float64)
    named = {"pred": pred, "target": target, "weight": weight}
    return {name: named[name] for name in loss.inputs}


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for the arrays."""
    frame = Frame()
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    count = _count(handles)
    frame.arrays["probs"] = _probs(handles)[0]
    if handles["soft"]:
        frame.told["soft"] = _list(_target(handles)[0])
    if beyond := _beyond(handles):
        frame.notes.update({loss.key: beyond for loss in losses})
    losses = [drawn(handles, loss) for loss in losses]
    evaluated = [] if beyond else losses
    gradients = [_evaluate(frame, loss, handles, chosen[loss.key], wanted) for loss in evaluated]
    if "bars" in wanted:
        frame.arrays["bars"] = torch.stack(gradients) if gradients else torch.full((len(chosen), count), torch.nan)
    for loss in evaluated:
        if f"batch:{loss.key}" in wanted:
            frame.told["batch"] = _batch(loss, handles, chosen[loss.key])
    for loss in losses if count == SIMPLEX else []:
        defined = loss.key not in frame.notes
        if f"surface:{loss.key}" in wanted:
            surface = _surface(loss, handles, chosen[loss.key]) if defined else torch.full((SIDE, SIDE), torch.nan)
            frame.arrays[f"surface:{loss.key}"] = surface
        if f"arrows:{loss.key}" in wanted:
            arrows = _arrows(loss, handles, chosen[loss.key]) if defined else torch.empty(0, 4)
            frame.arrays[f"arrows:{loss.key}"] = arrows
    return frame


def _evaluate(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], wanted: Sequence[str]) -> Tensor:
    """Put numbers, lines and proof of one loss into the frame; return its gradient by the logits."""
    named, probs = inputs(handles, loss), _probs(handles)
    try:
        value, grads = value_and_grad(loss, named, params)
    except ValueError as error:
        frame.notes[loss.key] = str(error)
        return torch.full_like(probs[0], torch.nan)
    slope = _by_logit(grads["pred"], probs, handles)[0]
    if f"proof:{loss.key}" in wanted and value.isfinite():
        frame.proofs[loss.key] = _proof(loss, handles, params)
    if f"formula:{loss.key}" in wanted:
        frame.lines[loss.key] = line_values(loss.formula, named, params)
    numbers = frame.numbers[loss.key] = {
        "loss": value.item(),
        **{f"gradient.{k + 1}": by for k, by in enumerate(_list(slope))},
        **{f"p.{k + 1}": p for k, p in enumerate(_list(probs[0]))},
    }
    if handles["twice"]:
        target = named["target"]
        sure = target if handles["soft"] else torch.zeros_like(probs).index_fill_(1, target, 1.0)
        numbers["corner"] = value_and_grad(loss, {**named, "pred": sure}, params)[0].item()
    return slope


def _batch(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of the batch, or a note why there is nothing to tell."""
    count = _count(handles)
    scaled = _scaled([_logits(handles), *(logits[:count] for logits in BATCH)], handles)
    others = [int(label) and (int(label) - 1) % count + 1 for label in handles["labels"]]
    try:
        _require_ignorable(loss, handles)
        named = _accepted(loss, _fed(scaled, handles), _batch_target(others, handles, params), handles)
        mean, grads = value_and_grad(loss, named, params)
    except ValueError as error:
        return {"note": str(error)}
    values = loss.fn(**named, **params)
    if loss.denominator is None or values.shape != (len(scaled),):
        raise TypeError(f"{loss.name} has no value for each row, which this scene shows.")
    if not values.isfinite().all():
        way = "Move your logits, or the loss's parameters."
        return {"note": f"The loss of a row is infinite, and so there is nothing to share out. {way}"}
    over, total = float(loss.denominator(values, named, params)), values.sum().item()
    counts = [float(loss.denominator(values[i : i + 1], _one_row(named, i), params)) for i in range(len(values))]
    scale = over if handles["reduction"] == "mean" else 1.0
    slopes = _by_logit(grads["pred"], scaled.softmax(-1), handles) * (over / scale)
    rows = [
        {
            "label": label,
            "ignored": not handles["soft"] and index.item() == params.get("ignore_index"),
            "loss": value,
            "part": None if handles["reduction"] == "none" else value / scale,
            "share": value / total if total and handles["reduction"] != "none" else None,
            "counts": counted,
            "gradient": _list(slope),
        }
        for label, index, value, counted, slope in zip(
            [_own(handles), *others], named["target"], _list(values), counts, slopes, strict=True
        )
    ]
    numbers = {"sum": total, "over": over, "mean": mean.item(), "plain": total / len(rows)}
    return {"rows": rows, "reduction": handles["reduction"], **numbers}


def _own(handles: Values) -> int | None:
    """The class of the row held; ``None`` for a soft label."""
    return None if handles["soft"] else int(handles["label"])


def _require_ignorable(loss: Loss, handles: Values) -> None:
    if all(handles["labels"]):
        return
    if "ignore_index" not in loss.params:
        raise ValueError(f"{loss.name} has no ignore_index: it counts every row. Give the ignored row a class.")
    if handles["soft"]:
        way = "Give the ignored row a class, or take a single class as your label."
        raise ValueError(
            f"With a soft label every row's target is probabilities, and those have no ignore_index. {way}"
        )


def _batch_target(others: Sequence[int], handles: Values, params: Mapping[str, Any]) -> Tensor:
    """Indices, the ignored ones as the loss knows them; with a soft label probabilities for every row."""
    if handles["soft"]:
        whole = torch.eye(_count(handles), dtype=torch.float64)
        return torch.cat([_target(handles), whole[[label - 1 for label in others]]])
    return torch.tensor(
        [int(handles["label"]) - 1, *(label - 1 if label else params["ignore_index"] for label in others)]
    )


def _one_row(named: Mapping[str, Tensor], i: int) -> dict[str, Tensor]:
    return {name: value if name == "weight" else value[i : i + 1] for name, value in named.items()}


def _rows(loss: Loss, probs: Tensor, handles: Values) -> dict[str, Tensor]:
    """Inputs for one row at each of these probabilities."""
    label = _target(handles)
    return _accepted(loss, _fed(probs.log(), handles), label.expand(len(probs), *label.shape[1:]), handles)


def _grid() -> tuple[Tensor, Tensor]:
    """Which places of the square are inside the triangle or its rim, ``(S * S,)``, and the probabilities of those."""
    y, x = torch.meshgrid(
        torch.linspace(0, HEIGHT, SIDE, dtype=torch.float64),
        torch.linspace(0, 1, SIDE, dtype=torch.float64),
        indexing="ij",
    )
    third = y / HEIGHT
    second = x - third / 2
    probs = torch.stack([1 - second - third, second, third], -1).reshape(-1, SIMPLEX)
    inside = (probs >= -RIM).all(-1)
    kept = probs[inside].clamp(min=EDGE)
    return inside, kept / kept.sum(-1, keepdim=True)


INSIDE, GRID = _grid()


def _surface(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    values = torch.full((SIDE * SIDE,), torch.nan, dtype=torch.float64)
    values[INSIDE] = loss.fn(**_rows(loss, GRID, handles), **params)
    return values.reshape(SIDE, SIDE)


def _arrows(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Tensor:
    if loss.grad is None:
        raise ValueError(f"{loss.name} has no hand-written gradient, which this scene draws.")
    counts = [(i, j, ARROW_ROWS - i - j) for i in range(1, ARROW_ROWS) for j in range(1, ARROW_ROWS - i)]
    probs = torch.tensor(counts, dtype=torch.float64) / ARROW_ROWS
    slope = _by_logit(loss.grad(**_rows(loss, probs, handles), **params)["pred"], probs, handles)
    step = -probs * (slope - (probs * slope).sum(-1, keepdim=True)) / handles["temperature"]
    return torch.cat([_plane(probs), _plane(step)], -1)


def _plane(p: Tensor) -> Tensor:
    return torch.stack([p[:, 1] + p[:, 2] / 2, p[:, 2] * HEIGHT], -1)


CLASSES_SCENE = Scene(
    key="classes",
    name="Several classes",
    task="Drag a logit, or with three classes the point: what does each loss still want from the logits?",
    handles=(
        *LOGITS,
        Handle("label", "Label", 1, MOST, 1, 2, whole=True),
        MORE,
        WEIGHTS,
        SOFT,
        LABELS,
    ),
    input_kinds=("classes",),
    view_names=("bars", "surface", "arrows", "batch", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("cross_entropy", "softmax_focal"),
    options={
        "classes": Number("How many classes; three fill a triangle.", 3, 2, MOST, integer=True),
        "temperature": Number("Logits are divided by it: high ones even p out.", 1.0, 0.1, 10.0, "log"),
        "twice": Flag("Softmax twice, a mistake: probabilities are fed where logits belong.", False),
        "batch": Flag("Show a batch of four rows, and what each adds to the mean and its gradient.", False),
        "reduction": Choice("What is made of the batch's values.", "mean", ("mean", "sum", "none")),
        "rate": RATE,
        "arrows": ARROWS,
    },
    step=step,
    drawn=drawn,
)
