"""Several classes: temperature, softmax twice, soft labels and a batch; every number is what torch gives."""

import math
import os
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz import snippet
from lossviz.losses import CATALOGUE, get, value_and_grad
from lossviz.losses.entry import Loss
from lossviz.losses.snippets import Library
from lossviz.scenes import get_scene
from lossviz.scenes.classes import BATCH, HEIGHT, MOST, SIDE
from lossviz.scenes.soft import soft

CLASSES = get_scene("classes")
LOSSES = CLASSES.losses(CATALOGUE)


def drawn_classes() -> st.SearchStrategy[dict[str, Any]]:
    logit = st.floats(-8, 8)
    held = {
        **{f"z{k}": logit for k in (1, 2, 3)},
        "more": st.lists(logit, min_size=7, max_size=7),
        "weights": st.lists(st.floats(0.1, 10), min_size=MOST, max_size=MOST),
        "temperature": st.floats(0.1, 10),
        "twice": st.booleans(),
        "label": st.integers(1, MOST),
        "classes": st.integers(2, MOST),
        "labels": st.lists(st.integers(1, MOST), min_size=3, max_size=3),
    }
    fit = st.fixed_dictionaries(held).map(lambda h: {**h, "label": min(h["label"], h["classes"])})
    return fit.map(CLASSES.parse_handles)


def logits_of(handles: dict[str, Any]) -> Tensor:
    held = [handles["z1"], handles["z2"], handles["z3"], *handles["more"]]
    return torch.tensor(held[: int(handles["classes"])], dtype=torch.float64)


def fed(logits: Tensor, handles: dict[str, Any]) -> Tensor:
    scaled = logits / handles["temperature"]
    return torch.softmax(scaled, -1) if handles["twice"] else scaled


@given(handles=drawn_classes(), loss=st.sampled_from(LOSSES))
@settings(max_examples=120, deadline=None)
def test_gradients_are_by_the_logits_through_temperature_and_a_second_softmax(handles: dict[str, Any], loss: Loss):
    frame = CLASSES.views([loss], handles, {}, [f"proof:{loss.key}", "bars"])
    logits = logits_of(handles).requires_grad_()
    named = {
        "pred": fed(logits, handles)[None],
        "target": torch.tensor([handles["label"] - 1]).long(),
        "weight": torch.tensor(handles["weights"][: int(handles["classes"])], dtype=torch.float64),
    }
    named = {name: named[name] for name in loss.inputs}
    value = loss.reduce(loss.fn(**named, **loss.resolve()), named, loss.resolve())
    (slope,) = torch.autograd.grad(value, logits)
    numbers = frame.numbers[loss.key]
    count = int(handles["classes"])
    shown = [numbers[f"gradient.{k + 1}"] for k in range(count)]
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    assert shown == pytest.approx(slope.tolist(), rel=1e-9, abs=1e-12)
    assert frame.arrays["bars"][0].tolist() == shown
    probs = torch.softmax(logits.detach() / handles["temperature"], -1).tolist()
    assert [numbers[f"p.{k + 1}"] for k in range(count)] == pytest.approx(probs, rel=1e-12)
    assert f"gradient.{count + 1}" not in numbers and f"p.{count + 1}" not in numbers
    proof = frame.proofs[loss.key]
    assert proof.autograd == pytest.approx(shown[int(handles["label"]) - 1], rel=1e-9, abs=1e-12)


@given(handles=drawn_classes())
@settings(max_examples=40, deadline=None)
def test_softmax_twice_has_a_floor(handles: dict[str, Any]):
    handles = {**handles, "twice": True}
    numbers = CLASSES.views([get("cross_entropy")], handles, {}, [])
    count = int(handles["classes"])
    shown = numbers.numbers["cross_entropy"]
    assert shown["corner"] == pytest.approx(math.log(1 + (count - 1) / math.e), rel=1e-12)
    assert shown["loss"] >= shown["corner"] - 1e-12


def test_the_floor_of_ten_classes_is_the_published_one_and_only_the_mistake_has_it():
    held = {"classes": 10, "z2": 8, "z1": -8, "z3": -8, "more": [-8] * 7}
    numbers = CLASSES.views([get("cross_entropy")], CLASSES.parse_handles({**held, "twice": True}), {}, [])
    assert numbers.numbers["cross_entropy"]["corner"] == pytest.approx(1.461, abs=5e-4)
    assert numbers.numbers["cross_entropy"]["loss"] == pytest.approx(1.461, abs=5e-4)
    right = CLASSES.views([get("cross_entropy")], CLASSES.parse_handles(held), {}, []).numbers["cross_entropy"]
    assert "corner" not in right and right["loss"] < 1e-5


@given(handles=drawn_classes(), loss=st.sampled_from(LOSSES))
@settings(max_examples=40, deadline=None)
def test_a_small_step_moves_all_logits_and_no_other_downhill(handles: dict[str, Any], loss: Loss):
    assert CLASSES.step
    handles = {**handles, "rate": 1e-4}
    before = CLASSES.views([loss], handles, {}, []).numbers[loss.key]
    moved = CLASSES.step(loss, handles, {})
    after = {**handles, **moved}
    CLASSES.parse_handles({**after, "rate": 1e-3})
    assert CLASSES.views([loss], after, {}, []).numbers[loss.key]["loss"] <= before["loss"] + 1e-9
    held = [*(after[f"z{k}"] for k in (1, 2, 3)), *after["more"]]
    start = [*(handles[f"z{k}"] for k in (1, 2, 3)), *handles["more"]]
    count = int(handles["classes"])
    assert held[count:] == start[count:]
    expected = [max(-8, min(8, z - 1e-4 * before[f"gradient.{k + 1}"])) for k, z in enumerate(start[:count])]
    assert held[:count] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("twice", [False, True])
def test_map_and_arrows_go_through_temperature_and_a_second_softmax(twice: bool):
    loss, handles = get("cross_entropy"), CLASSES.parse_handles({"temperature": 2.5, "twice": twice})
    arrays = CLASSES.views([loss], handles, {}, ["surface:cross_entropy", "arrows:cross_entropy"]).arrays
    at = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    surface = arrays["surface:cross_entropy"]
    # (x, y) = (0.375, 0.25 * height) is a point of the grid: 30 of 80 across, 20 of 80 up.
    value = F.cross_entropy(fed(2.5 * at.log(), handles)[None], torch.tensor([1])).item()
    assert surface[20, 30].item() == pytest.approx(value, rel=1e-12)
    logits = (2.5 * torch.tensor([3, 3, 3], dtype=torch.float64).log()).requires_grad_()
    value = F.cross_entropy(fed(logits, handles)[None], torch.tensor([1]))
    (slope,) = torch.autograd.grad(value, logits)
    _, moved = torch.autograd.functional.jvp(lambda z: torch.softmax(z / 2.5, -1), logits.detach(), -slope)
    drawn = next(
        arrow for arrow in arrays["arrows:cross_entropy"] if arrow[:2].tolist() == pytest.approx([0.5, HEIGHT / 3])
    )
    assert drawn[2:].tolist() == pytest.approx([(moved[1] + moved[2] / 2).item(), moved[2].item() * HEIGHT], rel=1e-9)


def test_a_label_beyond_the_classes_gets_a_sentence_and_no_numbers():
    frame = CLASSES.views(
        [get("cross_entropy")], CLASSES.parse_handles({"label": 5}), {}, ["bars", "batch:cross_entropy"]
    )
    assert frame.numbers == {} and frame.told == {} and frame.arrays["bars"].isnan().all()
    assert frame.notes["cross_entropy"].startswith("The label is class 5 of 3 classes; allowed: 1 to 3.")


def test_only_three_classes_have_a_triangle():
    views = ["surface:cross_entropy", "arrows:cross_entropy", "bars"]
    for count in (2, 4, 10):
        arrays = CLASSES.views([get("cross_entropy")], CLASSES.parse_handles({"classes": count}), {}, views).arrays
        assert set(arrays) == {"probs", "bars"} and arrays["bars"].shape == (1, count)


@given(handles=drawn_classes(), loss=st.sampled_from(LOSSES))
@settings(max_examples=60, deadline=None)
def test_a_batch_tells_what_each_row_adds(handles: dict[str, Any], loss: Loss):
    told = CLASSES.views([loss], handles, {}, [f"batch:{loss.key}"]).told["batch"]
    count = int(handles["classes"])
    logits = torch.stack([logits_of(handles), *(torch.tensor(row[:count], dtype=torch.float64) for row in BATCH)])
    logits.requires_grad_()
    labels = [int(handles["label"]), *((int(label) - 1) % count + 1 for label in handles["labels"])]
    named = {
        "pred": fed(logits, handles),
        "target": torch.tensor(labels) - 1,
        "weight": torch.tensor(handles["weights"][:count], dtype=torch.float64),
    }
    named = {name: named[name] for name in loss.inputs}
    value = loss.reduce(loss.fn(**named, **loss.resolve()), named, loss.resolve())
    (slopes,) = torch.autograd.grad(value, logits)
    rows = told["rows"]
    assert [row["label"] for row in rows] == labels
    assert told["mean"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    assert sum(row["part"] for row in rows) == pytest.approx(told["mean"], rel=1e-12, abs=1e-12)
    assert told["sum"] / told["over"] == pytest.approx(told["mean"], rel=1e-12, abs=1e-12)
    for row, slope in zip(rows, slopes.tolist(), strict=True):
        assert row["gradient"] == pytest.approx(slope, rel=1e-9, abs=1e-12)
        assert not row["ignored"]


def test_an_ignored_row_of_a_batch_adds_nothing_and_weights_change_the_shares():
    loss, view = get("cross_entropy"), ["batch:cross_entropy"]
    held = CLASSES.parse_handles({"weights": [1, 3, 1, *[1] * 7]})
    told = CLASSES.views([loss], held, {}, view).told["batch"]
    assert told["over"] == 3 + 1 + 1 + 3  # summed weights of the labels 2, 1, 3, 2
    plain = F.cross_entropy(torch.tensor([BATCH[0][:3]], dtype=torch.float64), torch.tensor([0]))
    assert told["rows"][1]["part"] == pytest.approx(plain.item() / 8, rel=1e-12)
    # Row 4 has the label 2, that is index 1, as the row held.
    told = CLASSES.views([loss], held, {"cross_entropy": {"ignore_index": 1}}, view).told["batch"]
    assert [row["ignored"] for row in told["rows"]] == [True, False, False, True]
    assert told["rows"][0]["part"] == 0 and told["rows"][3]["gradient"] == [0, 0, 0]
    assert told["over"] == 2


def test_rows_of_a_batch_have_the_labels_held_and_one_is_ignored():
    held = CLASSES.parse_handles({"labels": [2, 0, 1], "batch": True})
    told = CLASSES.views([get("cross_entropy")], held, {}, ["batch:cross_entropy"]).told["batch"]
    logits = batch_logits(held).requires_grad_()
    target = torch.tensor([1, 1, -100, 0])
    value = F.cross_entropy(logits, target, ignore_index=-100)
    (slopes,) = torch.autograd.grad(value, logits)
    assert [row["label"] for row in told["rows"]] == [2, 2, 0, 1]
    assert [row["ignored"] for row in told["rows"]] == [False, False, True, False]
    assert [row["counts"] for row in told["rows"]] == [1, 1, 0, 1]
    assert told["mean"] == pytest.approx(value.item(), rel=1e-12)
    assert told["over"] == 3 and told["plain"] == pytest.approx(told["sum"] / 4, rel=1e-12)
    for row, slope in zip(told["rows"], slopes.tolist(), strict=True):
        assert row["gradient"] == pytest.approx(slope, rel=1e-9, abs=1e-12)
    # Whatever index is the ignored one, the row has it.
    moved = CLASSES.views([get("cross_entropy")], held, {"cross_entropy": {"ignore_index": 2}}, ["batch:cross_entropy"])
    assert moved.told["batch"]["rows"] == told["rows"]


@given(handles=drawn_classes(), loss=st.sampled_from(LOSSES), reduction=st.sampled_from(["sum", "none"]))
@settings(max_examples=40, deadline=None)
def test_without_a_mean_nothing_is_divided(handles: dict[str, Any], loss: Loss, reduction: str):
    told = CLASSES.views([loss], {**handles, "reduction": reduction}, {}, [f"batch:{loss.key}"]).told["batch"]
    count = int(handles["classes"])
    logits = batch_logits(handles).requires_grad_()
    labels = [handles["label"], *((label - 1) % count + 1 for label in handles["labels"])]
    named = {
        "pred": fed(logits, handles),
        "target": torch.tensor(labels).long() - 1,
        "weight": torch.tensor(handles["weights"][:count], dtype=torch.float64),
    }
    values = loss.fn(**{name: named[name] for name in loss.inputs}, **loss.resolve())
    (slopes,) = torch.autograd.grad(values.sum(), logits)
    for row, value, slope in zip(told["rows"], values.tolist(), slopes.tolist(), strict=True):
        assert row["loss"] == pytest.approx(value, rel=1e-12, abs=1e-12)
        assert row["part"] == (row["loss"] if reduction == "sum" else None)
        assert (row["share"] is None) == (reduction == "none" or told["sum"] == 0)
        assert row["gradient"] == pytest.approx(slope, rel=1e-9, abs=1e-12)
    assert told["sum"] == pytest.approx(values.sum().item(), rel=1e-12, abs=1e-12)


def test_a_loss_without_an_ignore_index_says_so():
    held = CLASSES.parse_handles({"labels": [1, 0, 2]})
    told = CLASSES.views([get("softmax_focal")], held, {}, ["batch:softmax_focal"]).told["batch"]
    assert set(told) == {"note"} and told["note"].startswith("Focal loss (softmax) has no ignore_index")


@pytest.mark.parametrize("held", [{"label": 5}, {"label": 2}, {"soft": [0.2, 0.8]}, {"soft": [0, 0, 0, 1]}])
def test_a_loss_without_a_value_has_no_map_of_another_label(held: dict[str, Any]):
    views, ignored = ["surface:cross_entropy", "arrows:cross_entropy"], {"cross_entropy": {"ignore_index": 1}}
    frame = CLASSES.views([get("cross_entropy")], CLASSES.parse_handles(held), ignored, views)
    assert frame.notes["cross_entropy"] and frame.numbers == {}
    assert frame.arrays["surface:cross_entropy"].shape == (SIDE, SIDE)
    assert frame.arrays["surface:cross_entropy"].isnan().all()
    assert frame.arrays["arrows:cross_entropy"].shape == (0, 4)


INFINITE = {"z1": 8, "z2": 8, "z3": -8, "more": [-8, *[0] * 6], "classes": 4, "temperature": 0.1}
STEEP = {"bi_tempered": {"t1": 1.0, "t2": 0.8, "smoothing": 0.5}}


def test_an_infinite_loss_has_no_proof_and_no_batch_but_a_sentence():
    views = ["batch:bi_tempered", "proof:bi_tempered"]
    frame = CLASSES.views([get("bi_tempered")], CLASSES.parse_handles(INFINITE), STEEP, views)
    assert frame.numbers["bi_tempered"]["loss"] == math.inf and frame.proofs == {}
    assert set(frame.told["batch"]) == {"note"} and "infinite" in frame.told["batch"]["note"]


def test_classes_without_a_share_may_have_infinite_losses():
    logits = {**INFINITE, "soft": [0, 0, 0, 1], "temperature": 1}
    params = {"bi_tempered": {"t1": 1.0, "t2": 0.8, "smoothing": 0.0}}
    loss = get("bi_tempered")
    lost = CLASSES.views([loss], CLASSES.parse_handles(logits), params, []).numbers["bi_tempered"]["loss"]
    assert lost == math.inf
    kept = CLASSES.parse_handles({**logits, "soft": [0.5, 0.5]})
    shown = CLASSES.views([loss], kept, params, [f"proof:{loss.key}"])
    named = {"pred": logits_of(kept).repeat(2, 1), "target": torch.tensor([0, 1])}
    value = loss.fn(**named, **loss.resolve(params["bi_tempered"])).mean().item()
    assert math.isfinite(value) and shown.numbers["bi_tempered"]["loss"] == pytest.approx(value, rel=1e-12)
    assert shown.proofs["bi_tempered"].verdict == "agree"


# --- soft labels


def batch_logits(handles: dict[str, Any]) -> Tensor:
    count = int(handles["classes"])
    return torch.stack([logits_of(handles), *(torch.tensor(row[:count], dtype=torch.float64) for row in BATCH)])


def shares_of(handles: dict[str, Any]) -> Tensor:
    count = int(handles["classes"])
    held = [*handles["soft"], *[0.0] * MOST][:count]
    return torch.tensor(held, dtype=torch.float64) / sum(held)


def weight_of(handles: dict[str, Any]) -> Tensor:
    return torch.tensor(handles["weights"][: int(handles["classes"])], dtype=torch.float64)


@st.composite
def softly(draw: st.DrawFn) -> dict[str, Any]:
    handles = draw(drawn_classes())
    soft_label = draw(st.lists(st.floats(0, 1).map(lambda y: round(y, 3)), min_size=1, max_size=MOST))
    assume(sum(soft_label[: int(handles["classes"])]) > 0)
    return CLASSES.parse_handles({**handles, "soft": soft_label})


@given(handles=softly(), loss=st.sampled_from(LOSSES))
@settings(max_examples=150, deadline=None)
def test_a_soft_label_takes_the_mean_of_the_losses_of_its_classes(handles: dict[str, Any], loss: Loss):
    frame = CLASSES.views([loss], handles, {}, [f"proof:{loss.key}", f"formula:{loss.key}", "bars"])
    count = int(handles["classes"])
    logits, shares = logits_of(handles).requires_grad_(), shares_of(handles)

    def of_class(k: int) -> Tensor:
        named = {"pred": fed(logits, handles)[None], "target": torch.tensor([k]), "weight": weight_of(handles)}
        return loss.fn(**{name: named[name] for name in loss.inputs}, **loss.resolve())[0]

    value = cast("Tensor", sum(shares[k] * of_class(k) for k in range(count)))
    (slope,) = torch.autograd.grad(value, logits)
    numbers = frame.numbers[loss.key]
    shown = [numbers[f"gradient.{k + 1}"] for k in range(count)]
    assert frame.told["soft"] == pytest.approx(shares.tolist(), rel=1e-12)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    assert shown == pytest.approx(slope.tolist(), rel=1e-9, abs=1e-11)
    assert frame.arrays["bars"][0].tolist() == shown
    assert frame.lines[loss.key][-1] == [pytest.approx(value.item(), rel=1e-12, abs=1e-12)]
    by_class = frame.lines[loss.key][-2]
    by_class = by_class * count if len(by_class) == 1 else by_class
    assert by_class == pytest.approx([of_class(k).item() for k in range(count)], rel=1e-8, abs=1e-8)
    proof = frame.proofs[loss.key]
    assert proof.autograd == pytest.approx(shown[int(shares.argmax())], rel=1e-9, abs=1e-11)
    assert proof.verdict != "differ", proof


@given(handles=softly(), reduction=st.sampled_from(["mean", "sum", "none"]))
@settings(max_examples=60, deadline=None)
def test_the_cross_entropy_of_a_soft_label_is_pytorchs_weights_reductions_and_all(
    handles: dict[str, Any], reduction: str
):
    loss, weight = get("cross_entropy"), weight_of(handles)
    frame = CLASSES.views([loss], {**handles, "reduction": reduction}, {}, ["batch:cross_entropy"])
    logits = logits_of(handles).requires_grad_()
    value = F.cross_entropy(fed(logits, handles)[None], shares_of(handles)[None], weight=weight)
    (slope,) = torch.autograd.grad(value, logits)
    numbers = frame.numbers["cross_entropy"]
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    shown = [numbers[f"gradient.{k + 1}"] for k in range(int(handles["classes"]))]
    assert shown == pytest.approx(slope.tolist(), rel=1e-9, abs=1e-11)

    count = int(handles["classes"])
    others = F.one_hot(torch.tensor([(int(label) - 1) % count for label in handles["labels"]]), count)
    target = torch.cat([shares_of(handles)[None], others])
    logits = batch_logits(handles).requires_grad_()
    value = F.cross_entropy(fed(logits, handles), target, weight=weight, reduction=reduction)
    (slopes,) = torch.autograd.grad(value.sum(), logits)
    told = frame.told["batch"]
    assert told["rows"][0]["label"] is None and not any(row["ignored"] for row in told["rows"])
    if reduction == "none":
        assert [row["loss"] for row in told["rows"]] == pytest.approx(value.tolist(), rel=1e-12, abs=1e-12)
    else:
        assert told[reduction] == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
        assert sum(row["part"] for row in told["rows"]) == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
    assert told["over"] == sum(row["counts"] for row in told["rows"]) == 4
    for row, slope in zip(told["rows"], slopes.tolist(), strict=True):
        assert row["gradient"] == pytest.approx(slope, rel=1e-9, abs=1e-11)


def test_smoothing_a_soft_label_is_pytorchs():
    held = CLASSES.parse_handles({"soft": [0.2, 0.5, 0.3]})
    params = {"label_smoothing_ce": {"smoothing": 0.3}}
    shown = CLASSES.views([get("label_smoothing_ce")], held, params, []).numbers["label_smoothing_ce"]["loss"]
    value = F.cross_entropy(logits_of(held)[None], shares_of(held)[None], label_smoothing=0.3)
    assert shown == pytest.approx(value.item(), rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
def test_all_shares_on_one_class_are_that_class(loss: Loss):
    views = [f"{view}:{loss.key}" for view in ("surface", "arrows", "proof", "batch")]
    whole = CLASSES.views([loss], CLASSES.parse_handles({"soft": [0, 0, 1]}), {}, views)
    single = CLASSES.views([loss], CLASSES.parse_handles({"label": 3}), {}, views)
    assert whole.numbers[loss.key] == pytest.approx(single.numbers[loss.key], rel=1e-12, abs=1e-12)
    for name in ("surface", "arrows"):
        of = f"{name}:{loss.key}"
        torch.testing.assert_close(whole.arrays[of], single.arrays[of], rtol=1e-12, atol=1e-12, equal_nan=True)
    assert whole.proofs[loss.key].autograd == pytest.approx(single.proofs[loss.key].autograd, rel=1e-12, abs=1e-12)
    assert whole.told["batch"]["mean"] == pytest.approx(single.told["batch"]["mean"], rel=1e-12, abs=1e-12)


def test_map_and_arrows_are_those_of_a_soft_label():
    weights, shares = [1.0, 3.0, 0.5], torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)
    held = CLASSES.parse_handles({"soft": shares[0].tolist(), "weights": [*weights, *[1] * 7]})
    arrays = CLASSES.views([get("cross_entropy")], held, {}, ["surface:cross_entropy", "arrows:cross_entropy"]).arrays
    weight = torch.tensor(weights, dtype=torch.float64)
    at = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    value = F.cross_entropy(at.log(), shares, weight=weight).item()
    assert arrays["surface:cross_entropy"][20, 30].item() == pytest.approx(value, rel=1e-12)
    logits = torch.full((1, 3), 1 / 3, dtype=torch.float64).log().requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(logits, shares, weight=weight), logits)
    jvp = torch.autograd.functional.jvp(lambda z: z.softmax(-1), logits.detach(), -slope)
    moved = cast("tuple[Tensor, Tensor]", jvp)[1]
    middle = next(a for a in arrays["arrows:cross_entropy"] if a[:2].tolist() == pytest.approx([0.5, HEIGHT / 3]))
    expected = [(moved[0, 1] + moved[0, 2] / 2).item(), moved[0, 2].item() * HEIGHT]
    assert middle[2:].tolist() == pytest.approx(expected, rel=1e-9)


def test_softmax_twice_is_said_where_the_probabilities_are_the_label():
    held = CLASSES.parse_handles({"soft": [0.2, 0.5, 0.3], "twice": True})
    corner = CLASSES.views([get("cross_entropy")], held, {}, []).numbers["cross_entropy"]["corner"]
    shares = shares_of(held)[None]
    assert corner == pytest.approx(F.cross_entropy(shares, shares).item(), rel=1e-12)


# At a kink no slope need lead downhill.
@given(handles=softly(), loss=st.sampled_from([loss for loss in LOSSES if loss.properties.smooth.holds]))
@settings(max_examples=30, deadline=None)
def test_a_small_step_descends_towards_a_soft_label(handles: dict[str, Any], loss: Loss):
    assert CLASSES.step
    handles = {**handles, "rate": 1e-4}
    before = CLASSES.views([loss], handles, {}, []).numbers[loss.key]["loss"]
    moved = CLASSES.step(loss, handles, {})
    after = CLASSES.views([loss], {**handles, **moved}, {}, []).numbers[loss.key]["loss"]
    assert "soft" not in moved and after <= before + 1e-9


def test_what_a_soft_label_cannot_have_is_said():
    loss, views = get("cross_entropy"), ["bars", "batch:cross_entropy"]
    none = CLASSES.views([loss], CLASSES.parse_handles({"soft": [0, 0, 0, 1]}), {}, views)
    assert none.numbers == {} and none.arrays["bars"].isnan().all() and "batch" not in none.told
    assert none.notes["cross_entropy"].startswith("The soft label has no share of the 3 classes")
    held = CLASSES.parse_handles({"soft": [0.5, 0.5]})
    ignored = CLASSES.views([loss], held, {"cross_entropy": {"ignore_index": 1}}, views)
    assert "cross_entropy.ignore_index is 1, allowed: below 0 with a soft label" in ignored.notes["cross_entropy"]
    with pytest.raises(RuntimeError, match="ignore_index is not supported"):  # as in PyTorch itself
        F.cross_entropy(logits_of(held)[None], shares_of(held)[None], ignore_index=1)
    told = CLASSES.views([loss], {**held, "labels": [1, 0, 2]}, {}, views).told["batch"]
    assert told["note"].startswith("With a soft label every row's target is probabilities")


def test_shares_are_of_the_classes_there_are():
    held = {"soft": [0.1, 0.3, 0.2, 0.4]}
    for count, shares in ((2, [0.25, 0.75]), (4, held["soft"]), (5, [*held["soft"], 0])):
        frame = CLASSES.views([get("cross_entropy")], CLASSES.parse_handles({**held, "classes": count}), {}, [])
        assert frame.told["soft"] == pytest.approx(shares, rel=1e-12)
    assert "soft" not in CLASSES.views([get("cross_entropy")], CLASSES.parse_handles({}), {}, []).told


@pytest.mark.parametrize("value", ["", "x", 0.5, {}, None, [2], [-0.1], [0.1] * 11])
def test_a_bad_soft_label_is_refused(value: object):
    with pytest.raises(ValueError, match=r"Handle soft is .*; allowed: 0 to 10 numbers from 0 to 1"):
        CLASSES.parse_handles({"soft": value})


def test_a_loss_with_a_soft_label_checks_it():
    loss = soft(get("cross_entropy"))
    pred, weight = torch.zeros(1, 3), torch.ones(3)
    for target, words in (
        (torch.tensor([[0.5, 0.5]]), "target has shape"),
        (torch.tensor([[1, 0, 0]]), "target has dtype"),
        (torch.tensor([[0.5, 0.6, 0.0]]), "the sum of target"),
        (torch.tensor([[1.5, -0.5, 0.0]]), "target at"),
    ):
        with pytest.raises(ValueError, match=words):
            value_and_grad(loss, {"pred": pred, "target": target, "weight": weight})


@pytest.mark.parametrize("library", ["pytorch", "keras", "optax"])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
def test_the_program_of_a_soft_label_gives_its_number(
    loss: Loss, library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    weights = [1.0, 3.0, 0.5, *[1.0] * 7]
    held = CLASSES.parse_handles({"soft": [0.2, 0.5, 0.3], "weights": weights, "temperature": 2.0})
    drawn, named = CLASSES.drawn(held, loss), CLASSES.inputs(held, loss)
    program = snippet(drawn, library, named)
    assert (program is None) == (getattr(loss.code, library) is None)
    if program is None:
        return
    monkeypatch.setenv("KERAS_BACKEND", os.environ.get("KERAS_BACKEND", "torch"))
    pytest.importorskip({"pytorch": "torch"}.get(library, library))
    names: dict[str, Any] = {}
    exec(program, names)  # our own text, from the catalogue
    value, grads = value_and_grad(drawn, named)
    # Keras computes in float32.
    precision = 1e-5 if library == "keras" else 1e-9
    assert float(capsys.readouterr().out.splitlines()[0]) == pytest.approx(value.item(), rel=precision)
    if library == "pytorch":
        torch.testing.assert_close(names["pred"].grad, grads["pred"], rtol=1e-9, atol=1e-12)


def test_a_single_class_is_drawn_by_the_loss_of_the_catalogue_itself():
    loss = get("cross_entropy")
    assert CLASSES.drawn(CLASSES.parse_handles({}), loss) is loss
    assert CLASSES.drawn(CLASSES.parse_handles({"soft": [1]}), loss) is soft(loss) is not loss
