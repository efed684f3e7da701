"""Perturbation: attacks are the catalogue's, numbers are torch's, and the toy network is the same every time."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div

from lossviz import value_and_grad
from lossviz.losses import CATALOGUE, adversarial, get, snippet
from lossviz.losses.entry import Loss
from lossviz.scenes import digitnet, toynet
from lossviz.scenes.perturbation import PERTURBATION, PLANE_SIDE, SIDE, WAYS

LOSSES = PERTURBATION.losses(CATALOGUE)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
EXACT = {"rtol": 1e-10, "atol": 1e-12}
inside = st.floats(0, 1)


def ce(x: Tensor, label: float) -> Tensor:
    return cross_entropy(toynet.network()(x), torch.full((len(x),), int(label) - 1), reduction="none")


def pgd(x: Tensor, label: float, epsilon: float, step_size: float, steps: int) -> list[Tensor]:
    """The attack written out: every place it has been, the input first."""
    path = [x]
    for _ in range(steps):
        leaf = path[-1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(ce(leaf, label).sum(), leaf)
        box = torch.minimum(torch.maximum(path[-1] + step_size * slope.sign(), x - epsilon), x + epsilon)
        path.append(box.clamp(0, 1))
    return path


def attack(loss: Loss, handles: dict[str, Any], params: dict[str, Any]) -> list[Tensor]:
    x = torch.tensor([[handles["x1"], handles["x2"]]], dtype=torch.float64)
    label = handles["label"]
    if loss.key == "fgsm_ce":
        return pgd(x, label, params["epsilon"], params["epsilon"], 1)
    if loss.key == "pgd_ce":
        return pgd(x, label, params["epsilon"], params["step_size"], params["steps"])
    if loss.key == "vat":
        move = loss.outputs(**PERTURBATION.inputs(handles, loss), **params)["r_adv"] if loss.outputs else x
        return [x, x + move]
    return pgd(x, label, handles["epsilon"], handles["step_size"], handles["steps"])


def value_with_move(loss: Loss, x: Tensor, move: Tensor, label: float, params: dict[str, Any]) -> Tensor:
    net = toynet.network()
    if loss.key == "vat":
        return kl_div(net(x + move).log_softmax(-1), net(x).log_softmax(-1), reduction="sum", log_target=True)
    if loss.key in ("fgsm_ce", "pgd_ce"):
        return ce(x + move, label)[0]
    target = torch.full((1,), int(label) - 1)
    return loss.fn(clean=net(x), adv=net(x + move), target=target, **params)[0]


# --- the network


def test_the_network_has_learnt_its_points_and_is_drawn_again_the_same():
    places, classes = toynet.points()
    assert bool(((places >= 0) & (places <= 1)).all())
    with torch.no_grad():
        assert (toynet.network()(places).argmax(-1) == classes).float().mean() > 0.97
    before = {name: weight.clone() for name, weight in toynet.network().state_dict().items()}
    toynet.network.cache_clear()
    with torch.inference_mode():
        again = toynet.network().state_dict()
    for name, weight in before.items():
        assert torch.equal(weight, again[name])
        assert torch.equal(weight, (weight * 1000).round() / 1000)


@every_loss
def test_it_can_be_copied_as_a_program(loss: Loss):
    program = snippet(loss, "pytorch", PERTURBATION.inputs(PERTURBATION.parse_handles({}), loss))
    assert program and len(program) < 20_000


# --- numbers


@every_loss
@given(x1=inside, x2=inside, epsilon=st.floats(0, 0.5), label=st.integers(1, 2), steps=st.integers(0, 9))
@settings(max_examples=12, deadline=None)
def test_numbers_are_those_of_an_attack_written_out(
    loss: Loss, x1: float, x2: float, epsilon: float, label: int, steps: int
):
    held = {"x1": x1, "x2": x2, "epsilon": epsilon, "label": label, "steps": steps, "step_size": 0.04}
    handles = PERTURBATION.parse_handles(held)
    own = {"epsilon": epsilon, "steps": steps, "power_iterations": 2}
    params = loss.resolve({name: value for name, value in own.items() if name in loss.params})
    frame = PERTURBATION.views([loss], handles, {loss.key: params}, ["attack", f"arrow:{loss.key}"])
    path = torch.cat(attack(loss, handles, params))
    drawn = frame.arrays[f"attack:{loss.key}"]
    if loss.key != "fgsm_ce" and len(path) == 1:
        path = torch.cat([path, path])
    torch.testing.assert_close(drawn, path, **EXACT)
    with torch.no_grad():
        climb, logits = ce(path, label), toynet.network()(path)
    torch.testing.assert_close(frame.arrays[f"climb:{loss.key}"], climb, **EXACT)
    numbers = frame.numbers[loss.key]
    leaf = path[:1].clone().requires_grad_()
    value = value_with_move(loss, leaf, path[-1:] - path[:1], label, params)
    (slope,) = torch.autograd.grad(value, leaf)
    expected = {
        "loss": value.item(),
        "clean": climb[0].item(),
        "attacked": climb[-1].item(),
        "epsilon": epsilon,
        "class.before": logits[0].argmax().item() + 1,
        "class.after": logits[-1].argmax().item() + 1,
        "gradient.x1": slope[0, 0].item(),
        "gradient.x2": slope[0, 1].item(),
    }
    assert {name: numbers[name] for name in expected} == pytest.approx(expected, rel=1e-8, abs=1e-9)
    reduced, _ = value_and_grad(loss, PERTURBATION.inputs(handles, loss), params)
    assert numbers["loss"] == pytest.approx(reduced.item(), rel=1e-12, abs=1e-12)
    arrow = path[:1] - handles["rate"] * slope
    torch.testing.assert_close(frame.arrays[f"arrow:{loss.key}"], torch.cat([path[:1], arrow]), rtol=1e-8, atol=1e-9)


@every_loss
def test_the_gradient_is_that_of_the_whole_attack_where_its_move_does_not_turn(loss: Loss):
    handles, step = PERTURBATION.parse_handles({"x1": 0.31, "x2": 0.66}), 1e-6
    small = {"epsilon": 0.05} if loss.key == "vat" else {}
    numbers = PERTURBATION.views([loss], handles, {loss.key: small}, []).numbers[loss.key]
    for name in ("x1", "x2"):
        ends = [
            PERTURBATION.views([loss], {**handles, name: handles[name] + d}, {loss.key: small}, []).numbers[loss.key]
            for d in (step, -step)
        ]
        slope = (ends[0]["loss"] - ends[1]["loss"]) / (2 * step)
        if loss.key == "vat":
            continue  # its direction turns with the input; the move is held
        assert slope == pytest.approx(numbers[f"gradient.{name}"], rel=1e-5)


@given(x1=inside, x2=inside, beta=st.floats(0, 20))
@settings(max_examples=20, deadline=None)
def test_two_terms_add_up_and_the_second_is_weighted_by_beta(x1: float, x2: float, beta: float):
    handles = PERTURBATION.parse_handles({"x1": x1, "x2": x2})
    for key in ("trades", "mart"):
        numbers = PERTURBATION.views([get(key)], handles, {key: {"beta": beta}}, []).numbers[key]
        alone = PERTURBATION.views([get(key)], handles, {key: {"beta": 0.0}}, []).numbers[key]
        assert numbers["term.1"] + numbers["term.2"] == pytest.approx(numbers["loss"], rel=1e-12, abs=1e-12)
        assert numbers["term.1"] == pytest.approx(alone["loss"], rel=1e-9, abs=1e-9)
        assert numbers["term.2"] >= -1e-12
    trades = PERTURBATION.views([get("trades")], handles, {}, []).numbers["trades"]
    assert trades["term.1"] == pytest.approx(trades["clean"], rel=1e-9, abs=1e-12)


def test_losses_that_are_given_one_attack_walk_it_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[Tensor] = []
    ascent = adversarial._ascent

    def counted(model: Any, x: Tensor, target: Tensor) -> Tensor:
        asked.append(x)
        return ascent(model, x, target)

    monkeypatch.setattr(adversarial, "_ascent", counted)
    handles = PERTURBATION.parse_handles({"x1": 0.2718, "steps": 7})
    PERTURBATION.views([get(key) for key in ("pgd_ce", "trades", "mart")], handles, {}, ["attack"])
    assert len(asked) == 7


def test_no_room_is_no_attack():
    handles = PERTURBATION.parse_handles({"epsilon": 0})
    for loss in LOSSES:
        none = {"epsilon": 0.0} if "epsilon" in loss.params else {}
        numbers = PERTURBATION.views([loss], handles, {loss.key: none}, []).numbers[loss.key]
        assert numbers["clean"] == numbers["attacked"] and numbers["class.before"] == numbers["class.after"]


def test_an_input_outside_the_allowed_range_has_a_note():
    frame = PERTURBATION.views(
        [get("pgd_ce")],
        PERTURBATION.parse_handles({"x1": 0.9}),
        {"pgd_ce": {"clip_max": 0.5}},
        ["attack", "surface:pgd_ce"],
    )
    assert frame.numbers == {} and "0.5" in frame.notes["pgd_ce"]
    assert not frame.arrays["surface:pgd_ce"].isinf().any()


# --- maps


@every_loss
@pytest.mark.parametrize("shown", ["clean", "attacked"])
def test_the_map_is_the_loss_of_an_input_at_each_place(loss: Loss, shown: str):
    held = {"map": shown, "label": 2, "epsilon": 0.15, "steps": 4}
    handles = PERTURBATION.parse_handles(held)
    arrays = PERTURBATION.views([loss], handles, {}, [f"surface:{loss.key}", f"boundary:{loss.key}"]).arrays
    surface, boundary = arrays[f"surface:{loss.key}"], arrays[f"boundary:{loss.key}"]
    assert surface.shape == boundary.shape == (SIDE, SIDE)
    for i in range(0, SIDE, 10):
        for j in range(0, SIDE, 10):
            at = PERTURBATION.parse_handles({**held, "x1": j / (SIDE - 1), "x2": i / (SIDE - 1)})
            numbers = PERTURBATION.views([loss], at, {}, []).numbers[loss.key]
            expected = numbers["clean"] if shown == "clean" else numbers["loss"]
            assert surface[i, j].item() == pytest.approx(expected, rel=1e-9, abs=1e-11)
            decided = 1 + (boundary[i, j].item() > 0)
            assert decided == numbers["class.before"] or abs(boundary[i, j].item()) < 1e-9


def test_steps_lead_to_where_the_network_is_right_again():
    loss, handles = get("pgd_ce"), PERTURBATION.parse_handles({"x1": 0.4, "x2": 0.5, "rate": 0.01})
    start = PERTURBATION.views([loss], handles, {}, []).numbers["pgd_ce"]
    assert start["class.after"] == 2
    assert PERTURBATION.step
    for _ in range(60):
        handles |= PERTURBATION.step(loss, handles, loss.resolve())
    end = PERTURBATION.views([loss], handles, {}, []).numbers["pgd_ce"]
    assert end["class.after"] == 1 and end["loss"] < math.log(2) < start["loss"]


# --- the digit


@every_loss
@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize("epsilon", [0.0, 0.12])
def test_a_digit_is_attacked_in_the_same_way(loss: Loss, epsilon: float):
    handles = PERTURBATION.parse_handles({"digit": 7, "epsilon": epsilon, "steps": 5, "step_size": 0.03})
    own = {"epsilon": epsilon, "steps": 5, "step_size": 0.03}
    params = loss.resolve({name: value for name, value in own.items() if name in loss.params})
    frame = PERTURBATION.views([loss], handles, {loss.key: params}, [f"digit:{loss.key}"])
    images, labels = digitnet.digits()
    net, numbers = digitnet.network(), frame.numbers[loss.key]
    before, move, after = frame.arrays[f"digit:{loss.key}"]
    assert torch.equal(before, images[7])
    torch.testing.assert_close(before + move, after, **EXACT)
    if loss.key == "vat":
        assert move.norm().item() == pytest.approx(epsilon, abs=1e-9)
    else:
        assert move.abs().max().item() <= epsilon + 1e-12 and after.min() >= 0 and after.max() <= 1
        expected, steps = images[7:8], 1 if loss.key == "fgsm_ce" else 5
        for _ in range(steps):
            leaf = expected.clone().requires_grad_()
            (slope,) = torch.autograd.grad(cross_entropy(net(leaf), labels[7:8]), leaf)
            expected = expected + (epsilon if steps == 1 else 0.03) * slope.sign()
            expected = torch.minimum(torch.maximum(expected, images[7:8] - epsilon), images[7:8] + epsilon).clamp(0, 1)
        torch.testing.assert_close(after, expected[0], **EXACT)
    with torch.no_grad():
        logits = net(torch.stack([before, after]))
        costs = cross_entropy(logits, labels[7].expand(2), reduction="none").tolist()
    assert [numbers["digit.clean"], numbers["digit.attacked"]] == pytest.approx(costs, rel=1e-9)
    said = [numbers["digit.before"], numbers["digit.after"]]
    assert said == logits.argmax(-1).tolist()
    if loss.input_kind == "model":
        assert numbers["digit.loss"] == pytest.approx(costs[1], rel=1e-9)
    elif loss.input_kind == "clean_adversarial":
        value = loss.fn(clean=logits[:1], adv=logits[1:], target=labels[7:8], **params)
        assert numbers["digit.loss"] == pytest.approx(value.item(), rel=1e-9)


def on_the_plane(loss: Loss, *views: str, **held: Any) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Numbers and arrays of a digit within a small box, arrays by view."""
    own = {"epsilon": 0.12, "steps": 5, "step_size": 0.03}
    params = {loss.key: {name: value for name, value in own.items() if name in loss.params}}
    handles = PERTURBATION.parse_handles({"digit": 7, **own, **held})
    frame = PERTURBATION.views([loss], handles, params, [f"{view}:{loss.key}" for view in views])
    return frame.numbers[loss.key], {view: frame.arrays[f"{view}:{loss.key}"] for view in views}


@every_loss
@pytest.mark.usefixtures("mnist")
def test_two_directions_of_one_length_lead_from_the_digit_at_a_right_angle(loss: Loss):
    numbers, arrays = on_the_plane(loss, "digit", "at", along=1.0, across=0.0)
    x, move, attacked = arrays["digit"]
    torch.testing.assert_close(arrays["at"], attacked, **EXACT)
    assert numbers["at.loss"] == pytest.approx(numbers["digit.loss"], rel=1e-9, abs=1e-12)
    assert numbers["at.clean"] == pytest.approx(numbers["digit.attacked"], rel=1e-9)
    assert numbers["at.class"] == numbers["digit.after"]
    other = on_the_plane(loss, "at", along=0.0, across=1.0)[1]["at"] - x
    assert other.norm().item() == pytest.approx(move.norm().item(), rel=1e-12)
    assert (other @ move).item() == pytest.approx(0, abs=1e-14 * move.norm().item() ** 2 + 1e-15)
    numbers, arrays = on_the_plane(loss, "at", along=-0.6, across=1.3)
    torch.testing.assert_close(arrays["at"], x - 0.6 * move + 1.3 * other, **EXACT)
    _, labels = digitnet.digits()
    with torch.no_grad():
        logits = digitnet.network()(torch.stack([x, arrays["at"]]))
    assert numbers["at.clean"] == pytest.approx(cross_entropy(logits[1], labels[7]).item(), rel=1e-9)
    assert numbers["at.class"] == logits[1].argmax().item()
    if loss.input_kind == "clean_adversarial":
        value = loss.fn(clean=logits[:1], adv=logits[1:], target=labels[7:8], **loss.resolve()).item()
    elif loss.key == "vat":
        logs = logits.log_softmax(-1)
        value = kl_div(logs[1], logs[0], reduction="sum", log_target=True).item()
    else:
        value = numbers["at.clean"]
    assert numbers["at.loss"] == pytest.approx(value, rel=1e-9)
    # Another digit has another random direction.
    assert not torch.equal(on_the_plane(loss, "at", digit=8, across=1.0)[1]["at"], arrays["at"])


@every_loss
@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize("shown", ["clean", "attacked"])
def test_the_map_of_the_plane_is_the_loss_of_the_digit_at_each_place(loss: Loss, shown: str):
    surface, margin = on_the_plane(loss, "plane", map=shown)[1]["plane"]
    assert surface.shape == margin.shape == (PLANE_SIDE, PLANE_SIDE)
    label = digitnet.digits()[1][7].item()
    for i, j in ((0, 0), (15, 15), (15, 22), (30, 7), (24, 12)):
        numbers, _ = on_the_plane(loss, map=shown, along=WAYS[j].item(), across=WAYS[i].item())
        assert "at.loss" not in numbers  # only what is asked for
        numbers, _ = on_the_plane(loss, "at", map=shown, along=WAYS[j].item(), across=WAYS[i].item())
        expected = numbers["at.clean" if shown == "clean" else "at.loss"]
        assert surface[i, j].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert (margin[i, j].item() > 0) == (numbers["at.class"] == label)


@every_loss
@pytest.mark.usefixtures("mnist")
def test_an_attack_that_moves_nothing_has_no_plane(loss: Loss):
    none = {"epsilon": 0.0} if "epsilon" in loss.params else {}
    handles = PERTURBATION.parse_handles({"epsilon": 0.0})
    wanted = [f"{view}:{loss.key}" for view in ("digit", "plane", "at")]
    frame = PERTURBATION.views([loss], handles, {loss.key: none}, wanted)
    assert set(frame.arrays) == {f"digit:{loss.key}"} and "at.loss" not in frame.numbers[loss.key]


@pytest.mark.usefixtures("mnist")
def test_the_layer_reads_most_digits_and_is_learnt_again_the_same():
    images, labels = digitnet.digits()
    with torch.no_grad():
        before = digitnet.network()(images)
    assert (before.argmax(-1) == labels).float().mean() > 0.85
    digitnet.network.cache_clear()
    with torch.no_grad():
        torch.testing.assert_close(digitnet.network()(images), before, **EXACT)


def test_without_mnist_there_is_no_digit_and_all_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("lossviz.data.mnist._places", lambda: (tmp_path,))
    wanted = ["digit:pgd_ce", "plane:pgd_ce", "at:pgd_ce", "attack"]
    frame = PERTURBATION.views([get("pgd_ce")], PERTURBATION.parse_handles({}), {}, wanted)
    assert set(frame.arrays) == {"attack:pgd_ce", "climb:pgd_ce"}
    assert "digit.loss" not in frame.numbers["pgd_ce"]
