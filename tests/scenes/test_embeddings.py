"""Embeddings: each loss's inputs are those that the module promises, and numbers, pictures and steps are torch's."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz.losses import CATALOGUE, get, value_and_grad
from lossviz.losses.entry import Loss
from lossviz.scenes.embeddings import COINCIDE, EDGES, EMBEDDINGS, LABELS, MINERS, POINTS, REACH, SIDE, SPACES, STILL

EXACT = {"rtol": 1e-9, "atol": 1e-9}
LOSSES = EMBEDDINGS.losses(CATALOGUE)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)

# Apart from one another and from the origin: no ties for a miner, no kink of a distance.
coordinates = st.floats(-REACH, REACH).filter(lambda x: abs(x) > 0.01)
held = st.fixed_dictionaries(
    {
        "points": st.lists(coordinates, min_size=16, max_size=16, unique=True),
        "centres": st.lists(coordinates, min_size=6, max_size=6, unique=True),
        "space": st.sampled_from(SPACES),
        "classes": st.sampled_from(tuple(LABELS)),
        "miner": st.sampled_from(MINERS),
        "mover": st.integers(1, POINTS),
    }
).map(EMBEDDINGS.parse_handles)


def nodes_of(handles: dict[str, Any]) -> list[tuple[float, float]]:
    count = max(LABELS[handles["classes"]]) + 1
    flat = [*handles["points"], *handles["centres"][: 2 * count]]
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    if handles["space"] == "circle":
        pairs = [(x / math.hypot(x, y), y / math.hypot(x, y)) for x, y in pairs]
    return pairs


def mined(nodes: list[tuple[float, float]], labels: tuple[int, ...], miner: str) -> list[tuple[int, int, int]]:
    """Triplets by the rules of the module, one by one."""

    def far(i: int, j: int) -> float:
        return math.dist(nodes[i], nodes[j])

    found: list[tuple[int, int, int]] = []
    for a in range(POINTS):
        own = [j for j in range(POINTS) if j != a and labels[j] == labels[a]]
        others = [j for j in range(POINTS) if labels[j] != labels[a]]
        if miner == "all":
            found += [(a, p, n) for p in own for n in others]
        elif miner == "first":
            found.append((a, own[0], others[0]))
        elif miner == "hard":
            found.append((a, max(own, key=lambda p: far(a, p)), min(others, key=lambda n: far(a, n))))
        else:
            for p in own:
                beyond = [n for n in others if far(a, n) > far(a, p)]
                best = min(beyond, key=lambda n: far(a, n)) if beyond else max(others, key=lambda n: far(a, n))
                found.append((a, p, best))
    return found


def made(loss: Loss, nodes: Tensor, handles: dict[str, Any]) -> dict[str, Tensor]:
    """The loss's inputs by the words of the module."""
    labels = LABELS[handles["classes"]]
    target = torch.tensor(labels)
    points, centres = nodes[:POINTS], nodes[POINTS:]
    if loss.input_kind == "pairs":
        rows = [[i for i, label in enumerate(labels) if label == k] for k in range(max(labels) + 1)]
        ends = [pair for row in rows for pair in pairwise(row)]
        return {"x1": points[[i for i, _ in ends]], "x2": points[[j for _, j in ends]]}
    if loss.input_kind == "pairs_labelled":
        ends = [(i, j) for i in range(POINTS) for j in range(i + 1, POINTS)]
        apart = {"cosine_embedding": -1.0, "contrastive": 0.0}[loss.key]
        same = [1.0 if labels[i] == labels[j] else apart for i, j in ends]
        first, second = points[[i for i, _ in ends]], points[[j for _, j in ends]]
        return {"x1": first, "x2": second, "target": torch.tensor(same, dtype=torch.float64)}
    if loss.input_kind == "triplets":
        chosen = mined(nodes_of(handles), labels, handles["miner"])
        return {name: points[[t[k] for t in chosen]] for k, name in enumerate(("anchor", "positive", "negative"))}
    if loss.input_kind == "centres":
        return {"pred": points, loss.differentiable[1]: centres, "target": target}
    if loss.input_kind == "views":
        return dict(zip(loss.inputs, (points[:4], points[4:]), strict=True))
    return {"pred": points, "target": target}


def by_hand(loss: Loss, handles: dict[str, Any], params: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Loss, and its gradient by the nodes; on the circle through the normalisation."""
    leaf = torch.tensor(nodes_of(handles), dtype=torch.float64, requires_grad=True)
    placed = leaf / leaf.norm(dim=-1, keepdim=True) if handles["space"] == "circle" else leaf
    named = made(loss, placed, handles)
    # What a loss holds still gets no gradient.
    named = {name: value if name in loss.differentiable else value.detach() for name, value in named.items()}
    value = loss.reduce(loss.fn(**named, **params), named, params)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@every_loss
@given(handles=held)
@settings(max_examples=12, deadline=None)
def test_numbers_are_those_of_the_inputs_that_the_module_promises(loss: Loss, handles: dict[str, Any]) -> None:
    params = loss.resolve()
    value, slopes = by_hand(loss, handles, params)
    numbers = EMBEDDINGS.views([loss], handles, {}, []).numbers[loss.key]
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-9, abs=1e-9)
    size = 1e-7 * (1 + slopes.abs().max().item())
    for k, (x, y) in enumerate(slopes.tolist()):
        assert numbers[f"gradient.{k + 1}.x"] == pytest.approx(x, rel=1e-7, abs=size)
        assert numbers[f"gradient.{k + 1}.y"] == pytest.approx(y, rel=1e-7, abs=size)
    assert numbers["gradient"] == pytest.approx(slopes.norm().item(), rel=1e-7, abs=size)
    named = EMBEDDINGS.inputs(handles, loss)
    assert value_and_grad(loss, named, params)[0].item() == numbers["loss"]
    for name, tensor in made(loss, torch.tensor(nodes_of(handles), dtype=torch.float64), handles).items():
        torch.testing.assert_close(named[name], tensor, **EXACT)


@given(handles=held)
@settings(max_examples=40, deadline=None)
def test_distances_within_and_between_classes_and_the_spread(handles: dict[str, Any]) -> None:
    frame = EMBEDDINGS.views([get("supcon")], handles, {}, ["distances", "nodes"])
    nodes, labels = nodes_of(handles), LABELS[handles["classes"]]
    torch.testing.assert_close(frame.arrays["nodes"], torch.tensor(nodes, dtype=torch.float64), **EXACT)
    pairs = [(i, j) for i in range(POINTS) for j in range(i + 1, POINTS)]
    rows = [[math.dist(nodes[i], nodes[j]), float(labels[i] == labels[j])] for i, j in pairs]
    torch.testing.assert_close(frame.arrays["distances"], torch.tensor(rows, dtype=torch.float64), **EXACT)
    numbers = frame.numbers["supcon"]
    for name, same in (("within", 1.0), ("between", 0.0)):
        own = [distance for distance, kind in rows if kind == same]
        assert numbers[name] == pytest.approx(sum(own) / len(own), rel=1e-9)
    points = torch.tensor(nodes[:POINTS], dtype=torch.float64)
    assert numbers["spread"] == pytest.approx(points.var(0, correction=0).sum().sqrt().item(), rel=1e-9)


@every_loss
@given(handles=held)
@settings(max_examples=4, deadline=None)
def test_the_map_is_the_loss_at_each_place_of_the_mover(loss: Loss, handles: dict[str, Any]) -> None:
    drawn = EMBEDDINGS.views([loss], handles, {}, [f"surface:{loss.key}"]).arrays[f"surface:{loss.key}"]
    assert drawn.shape == (SIDE, SIDE)
    edge = EDGES[handles["space"]]
    start = 2 * (handles["mover"] - 1)
    for i, j in ((0, 0), (5, 40), (23, 24), (47, 13), (30, 30)):
        points = list(handles["points"])
        points[start : start + 2] = [-edge + 2 * edge * k / (SIDE - 1) for k in (j, i)]
        there = EMBEDDINGS.views([loss], {**handles, "points": points}, {}, []).numbers[loss.key]["loss"]
        assert drawn[i, j].item() == pytest.approx(there, rel=1e-9, abs=1e-9)


@every_loss
@pytest.mark.parametrize("space", SPACES)
def test_a_step_goes_against_the_gradient_and_arrows_say_so(loss: Loss, space: str) -> None:
    held = EMBEDDINGS.parse_handles({"space": space, "rate": 1e-3})
    frame = EMBEDDINGS.views([loss], held, {}, [f"arrows:{loss.key}", "nodes", "pulls"])
    nodes, arrows = frame.arrays["nodes"], frame.arrays[f"arrows:{loss.key}"]
    torch.testing.assert_close(arrows[:, :2], nodes, **EXACT)
    numbers = frame.numbers[loss.key]
    slopes = torch.tensor(
        [[numbers[f"gradient.{k + 1}.{axis}"] for axis in "xy"] for k in range(len(nodes))], dtype=torch.float64
    )
    torch.testing.assert_close(arrows[:, 2:], -1e-3 * slopes, **EXACT)
    lengths = slopes.norm(dim=-1)
    lengths[POINTS:] = lengths[POINTS:] if loss.input_kind == "centres" else torch.nan
    torch.testing.assert_close(frame.arrays["pulls"][0], lengths, equal_nan=True)
    moved = EMBEDDINGS.step(loss, held, loss.resolve()) if EMBEDDINGS.step else {}
    assert set(moved) == ({"points", "centres"} if loss.input_kind == "centres" else {"points"})
    ends = nodes + arrows[:, 2:]
    ends = ends / ends.norm(dim=-1, keepdim=True) if space == "circle" else ends
    assert moved["points"] == pytest.approx(ends[:POINTS].flatten().tolist(), rel=1e-9, abs=1e-12)
    after = EMBEDDINGS.views([loss], EMBEDDINGS.parse_handles({**held, **moved}), {}, []).numbers[loss.key]
    if not loss.detached:
        assert after["loss"] < numbers["loss"]


@pytest.mark.parametrize(("key", "space"), [("triplet_margin", "plane"), ("supcon", "plane"), ("supcon", "circle")])
def test_played_from_the_start_clusters_form(key: str, space: str) -> None:
    loss, held = get(key), EMBEDDINGS.parse_handles({"space": space})
    before = EMBEDDINGS.views([loss], held, {}, []).numbers[key]
    assert before["within"] > before["between"]
    for _ in range(60):
        held |= EMBEDDINGS.step(loss, held, loss.resolve()) if EMBEDDINGS.step else {}
    after = EMBEDDINGS.views([loss], held, {}, []).numbers[key]
    assert 3 * after["within"] < after["between"]


@every_loss
def test_collapsed_points_have_no_spread_and_every_loss_still_has_a_value(loss: Loss) -> None:
    for space in SPACES:
        held = EMBEDDINGS.parse_handles({"points": [0.6, 0.8] * POINTS, "space": space})
        numbers = EMBEDDINGS.views([loss], held, {}, []).numbers[loss.key]
        assert numbers["spread"] < COINCIDE and all(math.isfinite(number) for number in numbers.values())
        # What compares points with one another cannot get them apart again; centres can.
        if loss.input_kind in ("triplets", "labelled_embeddings", "pairs", "views") and loss.key != "vicreg":
            assert numbers["gradient"] < STILL
        elif loss.input_kind == "centres":
            assert numbers["gradient"] > STILL


def test_a_point_without_a_direction_has_one_on_the_circle() -> None:
    held = EMBEDDINGS.parse_handles({"points": [0.0] * 2 + [1.0] * 14, "space": "circle"})
    nodes = EMBEDDINGS.views([get("supcon")], held, {}, ["nodes"]).arrays["nodes"]
    assert nodes[0].tolist() == [1.0, 0.0]


def test_what_a_loss_holds_still_does_not_move() -> None:
    loss, held = get("negative_cosine"), EMBEDDINGS.parse_handles({})
    moved = EMBEDDINGS.step(loss, held, {}) if EMBEDDINGS.step else {}
    assert moved["points"][8:] == held["points"][8:] and moved["points"][:8] != held["points"][:8]


def test_two_classes_have_two_centres_and_the_third_stays_where_it_is() -> None:
    loss, held = get("center"), EMBEDDINGS.parse_handles({"classes": "two"})
    assert EMBEDDINGS.inputs(held, loss)["centers"].shape == (2, 2)
    moved = EMBEDDINGS.step(loss, held, {}) if EMBEDDINGS.step else {}
    assert moved["centres"][4:] == held["centres"][4:] and moved["centres"][:4] != held["centres"][:4]


@given(handles=held)
@settings(max_examples=30, deadline=None)
def test_links_are_the_miners_choice_each_once(handles: dict[str, Any]) -> None:
    loss = get("triplet_margin")
    links = EMBEDDINGS.views([loss], handles, {}, ["links:triplet_margin"]).arrays["links:triplet_margin"]
    nodes = nodes_of(handles)
    wanted: dict[tuple[int, int, float], float] = {}
    for a, p, n in mined(nodes, LABELS[handles["classes"]], handles["miner"]):
        costs = math.dist(nodes[a], nodes[p]) - math.dist(nodes[a], nodes[n]) + 1 > 0
        for other, way in ((p, 1.0), (n, -1.0)):
            link = min(a, other), max(a, other), way
            wanted[link] = max(wanted.get(link, 0.0), float(costs))
    expected = [[*nodes[i], *nodes[j], way, costs] for (i, j, way), costs in wanted.items()]
    assert len(links) == len(expected)
    ours = torch.tensor(sorted(expected), dtype=torch.float64)
    torch.testing.assert_close(torch.tensor(sorted(links.tolist()), dtype=torch.float64), ours, **EXACT)


def test_links_of_pairs_and_views_and_none_where_all_are_compared() -> None:
    held = EMBEDDINGS.parse_handles({})
    counts = {"cosine_similarity": 5, "contrastive": 28, "info_nce": 4, "supcon": 0, "arcface": 0}
    for key, count in counts.items():
        links = EMBEDDINGS.views([get(key)], held, {}, [f"links:{key}"]).arrays[f"links:{key}"]
        assert links.shape == (count, 6)
    links = EMBEDDINGS.views([get("contrastive")], held, {}, ["links:contrastive"]).arrays["links:contrastive"]
    lengths = (links[:, :2] - links[:, 2:4]).norm(dim=-1)
    costs = torch.where(links[:, 4] > 0, lengths > 0, lengths < 1)
    assert (links[:, 5] == costs).all()


def test_points_do_not_leave_the_plane() -> None:
    loss, held = get("vicreg"), EMBEDDINGS.parse_handles({"rate": 10})
    moved = EMBEDDINGS.step(loss, held, loss.resolve()) if EMBEDDINGS.step else {}
    assert max(map(abs, moved["points"])) == REACH
