"""Eight embeddings in the plane or on the circle: each loss makes its inputs from the same points.

Points are numbered 1 to 8 and have two or three classes; the first four and the last four have the same ones in the
same order. Each class has a centre. Together they are the nodes: eight points, then the centres. By kind of input:

* ``pairs``: each point with the next one of its class.
* ``pairs_labelled``: all 28 pairs, similar where the classes are the same.
* ``triplets``: those that the option ``miner`` chooses by Euclidean distance. ``all``: every anchor with every other
  point of its class and every point of another class; ``first``: each anchor with the first of either; ``hard``: with
  the farthest of its class and the nearest of another; ``semi-hard``: each anchor with every other point of its class
  and the nearest of another class that is farther away than that one, or, where none is, the farthest.
  The choice is constant to the gradient.
* ``labelled_embeddings``: the points with their classes. ``centres``: the same, and the centres.
* ``views``: points 1 to 4 as one view, 5 to 8 as the other.

On the circle each node counts at its direction from the origin (at the origin: angle 0); gradients are those by a
node on the circle, along the circle.

Numbers by loss: ``loss``; ``gradient``, the length of the gradient by all nodes; ``gradient.<node>.x`` and ``.y``;
``within`` and ``between``, the mean distance of two points of the same and of different classes; ``spread``, the root
of the mean squared distance of the points from their mean.
Arrays by view (L losses in the order asked, K classes, 8 + K nodes): ``nodes``: where they lie, ``(8 + K, 2)``;
``distances``: of the 28 pairs of points, and 1 where the classes are the same, ``(28, 2)``.
``pulls``: the gradient's length at each node, ``(L, 8 + K)``, NaN where a loss has none there.
``arrows:<key>``: minus the gradient times the option ``rate`` at each node, ``(8 + K, 4)`` as x, y, dx, dy.
``links:<key>``: which two nodes are compared, ``(M, 6)`` as x, y, x, y, 1 to come closer or -1 to part, and whether
what they belong to costs anything.
``surface:<key>``: loss over the position of the point ``mover``, ``(S, S)``, y along the first axis; S even, so that
the origin is no place of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import atan2, cos, sin
from typing import Any, cast

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Choice, Loss, Number
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Params, Scene, Series, Values, line_values

REACH = 2.5
POINTS = 8
HALF = POINTS // 2
LABELS: Mapping[str, tuple[int, ...]] = {"two": (0, 0, 1, 1) * 2, "three": (0, 0, 1, 2) * 2}
SPACES = ("plane", "circle")
MINERS = ("hard", "semi-hard", "all", "first")
EDGES: Mapping[str, float] = {"plane": REACH, "circle": 1.4}
"""How far the pictures reach from the origin."""
SIDE = 48
COINCIDE = 1e-3
"""Points whose spread is smaller lie in one place."""
STILL = 1e-9
"""A gradient that is shorter moves nothing."""

_START = (0.9, 1.1, -1.3, 0.5, 0.3, -0.9, -0.6, 1.2, 1.5, -0.3, -0.5, -1.4, 1.2, 0.4, 0.2, 1.6)
_CENTRES = (1.1, 0.7, -1.2, -0.6, 0.4, -1.3)

Chosen = tuple[Tensor, ...]
"""Indices of nodes, one tensor for each of a loss's inputs that hold nodes."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """How a loss's inputs are made: which nodes each of them holds, what the others are, who is compared with whom."""

    nodes: dict[str, Tensor]
    still: dict[str, Tensor]
    links: tuple[tuple[str, str, Tensor], ...] = ()


def _labels(values: Values) -> Tensor:
    return torch.tensor(LABELS[values["classes"]])


def _nodes(values: Values) -> Tensor:
    """(8 + K, 2): points and centres where the scene has them."""
    count = int(_labels(values).max()) + 1
    held = [*values["points"], *values["centres"][: 2 * count]]
    return _placed(torch.tensor(held, dtype=torch.float64).reshape(-1, 2), values["space"])


def _placed(nodes: Tensor, space: str) -> Tensor:
    if space == "plane":
        return nodes
    angle = torch.atan2(nodes[..., 1], nodes[..., 0])
    return torch.stack([angle.cos(), angle.sin()], -1)


@lru_cache
def _pairs(classes: str) -> tuple[Chosen, Chosen, Chosen]:
    """Consecutive points of a class; all pairs; all triplets."""
    labels = torch.tensor(LABELS[classes])
    same = labels[:, None] == labels
    members = [torch.nonzero(labels == k)[:, 0] for k in range(int(labels.max()) + 1)]
    consecutive = torch.cat([rows[:-1] for rows in members]), torch.cat([rows[1:] for rows in members])
    every = torch.triu_indices(POINTS, POINTS, 1)
    others = same & ~torch.eye(POINTS, dtype=torch.bool)
    triplets = torch.nonzero(others[:, :, None] & ~same[:, None, :]).unbind(-1)
    return consecutive, (every[0], every[1]), triplets


def _distances(points: Tensor) -> Tensor:
    # Euclidean, written so that equal points have distance 0 and a batch of positions can be mapped over. A sum over an
    # axis of two would take longer than all of this.
    x, y = points.unbind(-1)
    return ((x[:, None] - x).square() + (y[:, None] - y).square()).sqrt()


def _triplets(points: Tensor, classes: str, miner: str) -> Chosen:
    labels = torch.tensor(LABELS[classes])
    same = labels[:, None] == labels
    own = same & ~torch.eye(POINTS, dtype=torch.bool)
    anchors = torch.arange(POINTS)
    if miner == "all":
        return _pairs(classes)[2]
    if miner == "first":
        return anchors, own.int().argmax(-1), (~same).int().argmax(-1)
    distance = _distances(points)
    if miner == "hard":
        farthest = distance.where(own, -torch.inf).argmax(-1)
        return anchors, farthest, distance.where(~same, torch.inf).argmin(-1)
    anchor, positive = torch.nonzero(own).unbind(-1)
    limit = distance[anchor, positive]
    others, apart = distance[anchor], ~same[anchor]
    beyond = others.where(apart & (others > limit[:, None]), torch.inf)
    farthest = others.where(apart, -torch.inf).argmax(-1)
    return anchor, positive, torch.where(beyond.amin(-1).isinf(), farthest, beyond.argmin(-1))


def _of_pairs(loss: Loss, nodes: Tensor, values: Values) -> _Batch:
    first, second = _pairs(values["classes"])[0]
    return _Batch({"x1": first, "x2": second}, {}, (("x1", "x2", torch.ones(len(first))),))


def _of_labelled_pairs(loss: Loss, nodes: Tensor, values: Values) -> _Batch:
    first, second = _pairs(values["classes"])[1]
    labels = _labels(values)
    similar = (labels[first] == labels[second]).double()
    # What the two losses of this kind call a pair that should be apart.
    apart = -1.0 if loss.key == "cosine_embedding" else 0.0
    target = torch.where(similar > 0, 1.0, torch.tensor(apart, dtype=torch.float64))
    return _Batch({"x1": first, "x2": second}, {"target": target}, (("x1", "x2", 2 * similar - 1),))


def _of_triplets(loss: Loss, nodes: Tensor, values: Values) -> _Batch:
    anchor, positive, negative = _triplets(nodes[:POINTS], values["classes"], values["miner"])
    links = ("anchor", "positive", torch.ones(len(anchor))), ("anchor", "negative", -torch.ones(len(anchor)))
    return _Batch({"anchor": anchor, "positive": positive, "negative": negative}, {}, links)


def _of_labelled(loss: Loss, nodes: Tensor, values: Values) -> _Batch:
    return _Batch({"pred": torch.arange(POINTS)}, {"target": _labels(values)})


def _of_centres(loss: Loss, nodes: Tensor, values: Values) -> _Batch:
    held = {"pred": torch.arange(POINTS), loss.differentiable[1]: torch.arange(POINTS, len(nodes))}
    return _Batch(held, {"target": _labels(values)})


def _of_views(loss: Loss, nodes: Tensor, values: Values) -> _Batch:
    first, second = loss.inputs
    held = {first: torch.arange(HALF), second: torch.arange(HALF, POINTS)}
    return _Batch(held, {}, ((first, second, torch.ones(HALF)),))


_KINDS: Mapping[str, Callable[[Loss, Tensor, Values], _Batch]] = {
    "pairs": _of_pairs,
    "pairs_labelled": _of_labelled_pairs,
    "triplets": _of_triplets,
    "labelled_embeddings": _of_labelled,
    "centres": _of_centres,
    "views": _of_views,
}


def _batch(loss: Loss, nodes: Tensor, values: Values) -> _Batch:
    return _KINDS[loss.input_kind](loss, nodes, values)


def _made(loss: Loss, batch: _Batch, nodes: Tensor) -> dict[str, Tensor]:
    named = {name: nodes[rows] for name, rows in batch.nodes.items()} | batch.still
    return {name: named[name] for name in loss.inputs}


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return the loss's inputs, float64, made from the points as the module says."""
    nodes = _nodes(handles)
    return _made(loss, _batch(loss, nodes, handles), nodes)


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    nodes, labels = _nodes(handles), _labels(handles)
    distances, same = _pair_distances(nodes, labels)
    centred = nodes[:POINTS] - nodes[:POINTS].mean(0)
    shape = {
        "within": distances[same].mean().item(),
        "between": distances[~same].mean().item(),
        "spread": centred.square().sum(-1).mean().sqrt().item(),
    }
    pulls: list[Tensor] = []
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        batch = _batch(loss, nodes, handles)
        named = _made(loss, batch, nodes)
        slopes = torch.full_like(nodes, torch.nan)
        try:
            value, grads = value_and_grad(loss, named, chosen)
        except ValueError as error:
            frame.notes[loss.key] = str(error)
        else:
            slopes = _by_node(batch, grads, nodes, handles["space"])
            by_node = {
                f"gradient.{k + 1}.{axis}": slopes[k, i].item()
                for k in range(len(nodes))
                for i, axis in enumerate("xy")
            }
            length = slopes.square().sum().sqrt().item()
            frame.numbers[loss.key] = {"loss": value.item(), "gradient": length, **by_node, **shape}
            if f"formula:{loss.key}" in wanted:
                frame.lines[loss.key] = line_values(loss.formula, named, chosen)
            if f"proof:{loss.key}" in wanted:
                frame.proofs[loss.key] = _proof(loss, batch, nodes, handles, chosen)
            if f"links:{loss.key}" in wanted:
                frame.arrays[f"links:{loss.key}"] = _links(loss, batch, named, nodes, chosen)
            if f"surface:{loss.key}" in wanted:
                frame.arrays[f"surface:{loss.key}"] = _surface(loss, nodes, handles, chosen)
        if f"arrows:{loss.key}" in wanted:
            frame.arrays[f"arrows:{loss.key}"] = torch.cat([nodes, -handles["rate"] * slopes], -1)
        pulls.append(_lengths(loss, slopes))
    if "nodes" in wanted:
        frame.arrays["nodes"] = nodes
    if "distances" in wanted:
        frame.arrays["distances"] = torch.stack([distances, same.double()], -1)
    if "pulls" in wanted:
        frame.arrays["pulls"] = torch.stack(pulls)
    return frame


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the points, and the centres where the loss has some, after one step against the gradient."""
    nodes = _nodes(handles)
    batch = _batch(loss, nodes, handles)
    _, grads = value_and_grad(loss, _made(loss, batch, nodes), params)
    ahead = nodes - handles["rate"] * _by_node(batch, grads, nodes, handles["space"])
    ahead = _placed(ahead, handles["space"]).clamp(-REACH, REACH)
    moved: dict[str, Any] = {"points": _flat(ahead[:POINTS])}
    if loss.input_kind == "centres":
        centres = _flat(ahead[POINTS:])
        moved["centres"] = [*centres, *handles["centres"][len(centres) :]]
    return moved


def _flat(nodes: Tensor) -> list[float]:
    return cast("list[float]", nodes.flatten().tolist())  # pyright: ignore[reportUnknownMemberType]


def _whole(numbers: Tensor) -> list[int]:
    return [int(number) for number in _flat(numbers)]


def _pair_distances(nodes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    first, second = torch.triu_indices(POINTS, POINTS, 1)
    return _distances(nodes[:POINTS])[first, second], labels[first] == labels[second]


def _by_node(batch: _Batch, grads: Mapping[str, Tensor], nodes: Tensor, space: str) -> Tensor:
    """The gradient by each node, (8 + K, 2); on the circle the part along it."""
    slopes = torch.zeros_like(nodes)
    for name, rows in batch.nodes.items():
        if name in grads:  # a loss may hold one of its inputs still
            slopes = slopes.index_add(0, rows, grads[name])
    if space == "plane":
        return slopes
    return slopes - (slopes * nodes).sum(-1, keepdim=True) * nodes


def _lengths(loss: Loss, slopes: Tensor) -> Tensor:
    lengths = slopes.square().sum(-1).sqrt()
    if loss.input_kind != "centres":
        lengths[POINTS:] = torch.nan
    return lengths


def _links(loss: Loss, batch: _Batch, named: Mapping[str, Tensor], nodes: Tensor, params: Mapping[str, Any]) -> Tensor:
    """Each two nodes once and for each direction: a pair that is in several triplets costs if one of them does."""
    mined = loss.input_kind in ("triplets", "pairs_labelled")
    found: dict[tuple[int, int, int], bool] = {}
    for one, other, ways in batch.links:
        ends = zip(_whole(batch.nodes[one]), _whole(batch.nodes[other]), _whole(ways), strict=True)
        costs = _whole(loss.fn(**named, **params) > 0) if mined else [1] * len(ways)
        for (i, j, way), cost in zip(ends, costs, strict=True):
            link = min(i, j), max(i, j), way
            found[link] = found.get(link, False) or bool(cost)
    if not found:
        return nodes.new_empty(0, 6)
    one, other, way = torch.tensor(list(found)).unbind(-1)
    costs = torch.tensor(list(found.values()))
    return torch.cat([nodes[one], nodes[other], way[:, None].double(), costs[:, None].double()], -1)


def _surface(loss: Loss, nodes: Tensor, handles: Values, params: Mapping[str, Any]) -> Tensor:
    space, mover = handles["space"], handles["mover"] - 1
    edge = EDGES[space]
    side = torch.linspace(-edge, edge, SIDE, dtype=torch.float64)
    y, x = torch.meshgrid(side, side, indexing="ij")
    places = _placed(torch.stack([x, y], -1).reshape(-1, 2), space)
    others = torch.arange(len(nodes)) == mover

    def value(place: Tensor) -> Tensor:
        moved = place.where(others[:, None], nodes)
        named = _made(loss, _batch(loss, moved, handles), moved)
        return loss.reduce(loss.fn(**named, **params), named, params)

    with torch.no_grad():
        return torch.vmap(value)(places).reshape(SIDE, SIDE)  # pyright: ignore[reportUnknownMemberType]


def _proof(loss: Loss, batch: _Batch, nodes: Tensor, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The slope by the mover's first coordinate, on the circle by its angle; the miner's choice stands still."""
    mover = handles["mover"] - 1
    way = torch.zeros_like(nodes)
    x, y = _flat(nodes[mover])
    if handles["space"] == "circle":
        at = atan2(y, x)
        way[mover] = torch.stack([-nodes[mover, 1], nodes[mover, 0]])
    else:
        at = x
        way[mover, 0] = 1.0

    def made(moved: float) -> dict[str, Tensor]:
        there = (cos(moved), sin(moved)) if handles["space"] == "circle" else (moved, y)
        placed = nodes.clone()
        placed[mover] = nodes.new_tensor(there)
        return _made(loss, batch, placed)

    directions = {name: way[rows] for name, rows in batch.nodes.items() if name in loss.differentiable}
    return prove(loss, made, at, params, directions)


EMBEDDINGS = Scene(
    key="embeddings",
    name="Embeddings",
    task="Drag the points, then press Play: which of them does each loss pull together, and which does it push apart?",
    handles=(
        Series("points", "Eight points", -REACH, REACH, 0.1, _START),
        Series("centres", "Centres of the classes", -REACH, REACH, 0.1, _CENTRES),
    ),
    input_kinds=tuple(_KINDS),
    view_names=("nodes", "distances", "pulls", "arrows", "links", "surface", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("triplet_margin", "supcon"),
    options={
        "space": Choice("Where the points live: in the plane, or on the circle of radius 1.", "plane", SPACES),
        "classes": Choice("How many classes the eight points have.", "three", tuple(LABELS)),
        "miner": Choice("Which triplets a triplet loss gets.", "hard", MINERS),
        "mover": Number("The point whose position the map moves.", 1, 1, POINTS, integer=True),
        "rate": RATE,
        "arrows": ARROWS,
    },
    step=step,
)
