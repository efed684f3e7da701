"""The scene of sequences: CTC against all its paths written out, tokens against torch, and what the arrays mean."""

import math
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossviz import get
from lossviz.losses import CATALOGUE
from lossviz.scenes.sequence import CELLS, CLASSES, POSITIONS, PRESETS, REACH, frames_needed
from lossviz.scenes.sequence import SEQUENCE as SCENE

CTC, PLAIN, SMOOTHED = (get(key) for key in ("ctc", "seq_cross_entropy", "seq_label_smoothed_ce"))
logits = st.lists(st.floats(-REACH, REACH), min_size=CELLS, max_size=CELLS)
targets = st.lists(st.integers(0, CLASSES - 1), min_size=POSITIONS, max_size=POSITIONS)
positions = st.builds(lambda z, y, i: held(z, y, i), logits, targets, st.integers(0, CELLS - 1))
TEXTS = torch.tensor(list(product(range(CLASSES), repeat=POSITIONS)))
"""Every way to say one class in each frame."""


def held(z: Any, target: Any, cursor: int = 10, **options: Any) -> dict[str, Any]:
    return SCENE.parse_handles({"logits": list(z), "target": list(target), "cursor": cursor, **options})


def collapsed(text: Any) -> list[int]:
    """What a path says: repetitions first, then blanks left out."""
    kept = [said for t, said in enumerate(text) if not t or said != text[t - 1]]
    return [said for said in kept if said]


SAID = [collapsed(text) for text in TEXTS.tolist()]


def saying(labels: list[int]) -> Tensor:
    """The paths of CTC that say the labels, by trying all."""
    return TEXTS[[said == labels for said in SAID]]


def chances(handles: dict[str, Any], paths: Tensor) -> Tensor:
    z = torch.tensor(handles["logits"], dtype=torch.float64).reshape(POSITIONS, CLASSES)
    return z.softmax(-1)[torch.arange(POSITIONS), paths].prod(-1)


@given(handles=positions)
@settings(max_examples=40, deadline=None)
def test_ctc_is_the_sum_over_every_path_that_says_the_labels(handles: dict[str, Any]):
    frame = SCENE.views([CTC], handles, {}, ["cells:ctc", "lattice:ctc", "tokens"])
    labels = [int(label) for label in handles["target"] if label]
    paths = saying(labels)
    assert frame.arrays["tokens"].isnan().all() and frame.arrays["shares"].isnan().all()
    if not len(paths):
        assert frames_needed(labels) > POSITIONS
        assert frame.numbers == {} and "Too few frames" in frame.notes["ctc"]
        assert not {"posterior:ctc", "path:ctc", "gradient:ctc"} & set(frame.arrays)
        return
    assert frames_needed(labels) <= POSITIONS
    own = chances(handles, paths)
    total = own.sum()
    numbers = frame.numbers["ctc"]
    assert numbers["likelihood"] == pytest.approx(total.item(), rel=1e-9)
    assert numbers["loss"] == pytest.approx(-math.log(total.item()), rel=1e-9, abs=1e-9)
    assert numbers["best"] == pytest.approx(own.max().item(), rel=1e-9)
    assert numbers["share"] == pytest.approx((own.max() / total).item(), rel=1e-9)
    assert numbers["paths"] == len(paths)
    occupancy = torch.stack([((paths == k) * own[:, None]).sum(0) / total for k in range(CLASSES)], -1)
    torch.testing.assert_close(frame.arrays["wanted:ctc"], occupancy, rtol=1e-9, atol=1e-12)
    gradient = frame.arrays["gradient:ctc"]
    torch.testing.assert_close(gradient, frame.arrays["probs"] - occupancy, rtol=1e-8, atol=1e-11)
    i = int(handles["cursor"])
    shown = {name: numbers[name] for name in ("p", "wanted", "gradient")}
    arrays = {"p": "probs", "wanted": "wanted:ctc", "gradient": "gradient:ctc"}
    assert shown == {name: frame.arrays[array].flatten()[i].item() for name, array in arrays.items()}


@given(handles=positions)
@settings(max_examples=25, deadline=None)
def test_the_lattice_holds_chances_of_states_and_a_path_that_says_the_labels(handles: dict[str, Any]):
    arrays = SCENE.views([CTC], handles, {}, ["lattice:ctc"]).arrays
    states = arrays["states:ctc"].tolist()
    labels = [int(label) for label in handles["target"] if label]
    assert states[1::2] == labels and not any(states[::2])
    moves = {(int(a), int(b)) for a, b in arrays["moves:ctc"].tolist()}
    for a, b in product(range(len(states)), repeat=2):
        over = b - a == 2 and states[b] != 0 and states[a] != states[b]
        assert ((a, b) in moves) == (b - a in (0, 1) or over)
    if "posterior:ctc" not in arrays:
        return
    posterior = arrays["posterior:ctc"]
    assert posterior.shape == (POSITIONS, len(states))
    torch.testing.assert_close(posterior.sum(-1), torch.ones(POSITIONS, dtype=torch.float64))
    path = arrays["path:ctc"].tolist()
    assert collapsed([states[i] for i in path]) == labels
    assert path[0] <= 1 and path[-1] >= len(states) - 2 and set(pairwise(path)) <= moves
    best = chances(handles, torch.tensor([[states[i] for i in path]])).item()
    assert best == pytest.approx(chances(handles, saying(labels)).max().item())


@given(handles=positions, pad=st.sampled_from([0, 2, -100]), smoothing=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_tokens_are_torchs_cross_entropy_and_padding_is_left_out(handles: dict[str, Any], pad: int, smoothing: float):
    params = {PLAIN.key: {"pad_index": pad}, SMOOTHED.key: {"pad_index": pad, "smoothing": smoothing}}
    frame = SCENE.views([PLAIN, SMOOTHED], handles, params, ["tokens", *(f"cells:{key}" for key in params)])
    z = torch.tensor(handles["logits"], dtype=torch.float64).reshape(POSITIONS, CLASSES).requires_grad_()
    y = torch.tensor(handles["target"]).long()
    real = y != pad
    if not real.any():
        assert frame.numbers == {} and set(frame.notes) == set(params)
        assert frame.arrays["tokens"].isnan().all()
        return
    for row, (key, share) in enumerate(((PLAIN.key, 0.0), (SMOOTHED.key, smoothing))):
        value = cross_entropy(z, y, ignore_index=pad, label_smoothing=share)
        (slope,) = torch.autograd.grad(value, z)
        each = cross_entropy(z, y, ignore_index=pad, label_smoothing=share, reduction="none").detach()
        numbers = frame.numbers[key]
        assert numbers["loss"] == pytest.approx(value.item(), rel=1e-9, abs=1e-12)
        torch.testing.assert_close(frame.arrays[f"gradient:{key}"], slope, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(frame.arrays["tokens"][row], each, rtol=1e-9, atol=1e-12)
        assert frame.arrays["shares"][row].sum().item() == pytest.approx(value.item(), rel=1e-9, abs=1e-12)
        wanted = frame.arrays[f"wanted:{key}"]
        assert wanted[~real].isnan().all() and numbers["tokens"] == real.sum()
        label = (1 - share) * torch.eye(CLASSES, dtype=torch.float64)[y] + share / CLASSES
        torch.testing.assert_close(wanted[real], label[real], rtol=1e-9, atol=1e-12)
        i = int(handles["cursor"])
        assert numbers["gradient"] == frame.arrays[f"gradient:{key}"].flatten()[i].item()
        assert ("wanted" in numbers) == bool(real[i // CLASSES])


@pytest.mark.parametrize("loss", SCENE.losses(CATALOGUE), ids=lambda loss: loss.key)
@given(handles=positions)
@settings(max_examples=8, deadline=None)
def test_the_ways_to_the_slope_of_the_cell_meet(loss: Any, handles: dict[str, Any]):
    frame = SCENE.views([loss], handles, {}, [f"proof:{loss.key}", f"formula:{loss.key}"])
    if loss.key in frame.notes:
        return
    proof = frame.proofs[loss.key]
    assert proof.verdict == "agree", proof
    assert proof.autograd == pytest.approx(frame.numbers[loss.key]["gradient"], rel=1e-9, abs=1e-12)
    assert sum(frame.lines[loss.key][-1]) == pytest.approx(
        frame.arrays["probs"].new_tensor(loss.fn(**SCENE.inputs(handles, loss), **loss.resolve()).sum().item()).item()
    )


@pytest.mark.parametrize("loss", SCENE.losses(CATALOGUE), ids=lambda loss: loss.key)
def test_many_steps_learn_the_target(loss: Any):
    handles = held(PRESETS["start"][0], PRESETS["start"][1], rate=2.0)
    before = SCENE.views([loss], handles, {}, []).numbers[loss.key]["loss"]
    assert SCENE.step
    for _ in range(60):
        handles = SCENE.parse_handles({**handles, **SCENE.step(loss, handles, loss.resolve())})
    frame = SCENE.views([loss], handles, {}, ["lattice:ctc"])
    assert frame.numbers[loss.key]["loss"] < 0.35 * before
    if loss is CTC:
        path = [int(frame.arrays["states:ctc"][int(i)]) for i in frame.arrays["path:ctc"]]
        assert collapsed(frame.arrays["probs"].argmax(-1).tolist()) == collapsed(path) == [1, 2, 3]


def test_one_target_serves_both_kinds():
    handles = held([0.0] * CELLS, [0, 1, 0, 1, 3, 0])
    named = SCENE.inputs(handles, CTC)
    assert (named["target"].tolist(), named["target_lengths"].tolist()) == ([[1, 1, 3]], [3])
    assert SCENE.inputs(handles, PLAIN)["target"].tolist() == [[0, 1, 0, 1, 3, 0]]


def test_no_label_at_all_is_blanks_in_every_frame():
    frame = SCENE.views([CTC, PLAIN], held([0.0] * CELLS, [0] * POSITIONS), {}, ["lattice:ctc"])
    assert frame.numbers["ctc"]["loss"] == pytest.approx(POSITIONS * math.log(CLASSES))
    assert frame.numbers["ctc"]["share"] == pytest.approx(1) and frame.numbers["ctc"]["paths"] == 1
    assert frame.arrays["path:ctc"].tolist() == [0] * POSITIONS
    assert "padding" in frame.notes[PLAIN.key]


def test_presets_are_the_cases_that_their_names_say():
    frames = {name: SCENE.views([CTC], held(*start), {}, []) for name, start in PRESETS.items()}
    assert PRESETS["start"] == (SCENE.handles[0].default, SCENE.handles[1].default)
    assert frames["sharp"].numbers["ctc"]["share"] > 0.9 > 0.1 > frames["spread"].numbers["ctc"]["share"]
    assert frames["repeated label"].numbers["ctc"]["paths"] == len(saying([1, 1, 2]))
    sentence = frames["too few frames"].notes["ctc"]
    assert "need 9, 6 for labels and 3 for blanks between equal neighbours; there are 6" in sentence


def test_a_target_between_two_classes_is_refused():
    with pytest.raises(ValueError, match=r"Handle target is .*; allowed: 6 whole numbers from 0 to 3"):
        held([0.0] * CELLS, [0.5, *[1] * (POSITIONS - 1)])
