"""The critic scene: scores, gradients through the critic and training are what torch makes of them step by step."""

from bisect import bisect_right
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lossviz.losses import CATALOGUE, get, snippet
from lossviz.losses.entry import Loss
from lossviz.scenes.critic import (
    CLIP,
    CRITIC_SCENE,
    DISTANCES,
    GRID,
    HIGH,
    KNOT_REACH,
    LEARNING_RATE,
    LOW,
    PENALISED_RATE,
    PLACES,
    SAMPLES,
    SHARES,
    critic,
)

LOSSES = CRITIC_SCENE.losses(CATALOGUE)
SIDED = [loss for loss in LOSSES if "side" in loss.params]
PENALTY = get("gradient_penalty")
SIDES = ("discriminator", "generator")
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
every_sided = pytest.mark.parametrize("loss", SIDED, ids=lambda loss: loss.key)
both_sides = pytest.mark.parametrize("side", SIDES)
# On a knot the critic has two slopes.
off_knots = st.builds(
    lambda cell, share: cell + share / 1009, st.integers(int(LOW), int(HIGH) - 1), st.integers(1, 1008)
)
places = st.lists(off_knots, min_size=SAMPLES, max_size=SAMPLES)
heights = st.lists(st.floats(-KNOT_REACH, KNOT_REACH).map(lambda x: round(x, 3)), min_size=9, max_size=9)
held = st.fixed_dictionaries({"real": places, "fake": places, "knots": heights})


def t(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def straight(x: Tensor, knots: Tensor) -> Tensor:
    """Between the knots and beyond them, written as anybody would."""
    left = [min(7, max(0, bisect_right(PLACES.tolist(), place) - 1)) for place in x.tolist()]
    rise = knots[[k + 1 for k in left]] - knots[left]
    return knots[left] + rise * (x - PLACES[left])


def on_side(loss: Loss, side: str) -> dict[str, Any]:
    return loss.resolve({"side": side} if "side" in loss.params else {})


def on_a_kink(drawn: dict[str, Any]) -> bool:
    """Whether the penalty looks at a knot, or the critic is flat somewhere: its slope's length has a kink there."""
    between = SHARES * t(drawn["real"]) + (1 - SHARES) * t(drawn["fake"])
    flat = t(drawn["knots"]).diff().abs() < 1e-4
    return bool(((between - between.round()).abs() < 1e-4).any() or flat.any())


def through(loss: Loss, handles: dict[str, Any], params: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The reduced loss by autograd from the samples and the knots of a drawn critic to its value."""
    real, fake, knots = (t(handles[name]).requires_grad_() for name in ("real", "fake", "knots"))
    if loss.models:
        named = {"real": real[:, None], "fake": fake[:, None], "eps": SHARES}
        named["model"] = lambda x: straight(x[:, 0], knots)  # pyright: ignore[reportArgumentType]
    else:
        named = {"real": straight(real, knots), "fake": straight(fake, knots)}
    value = loss.reduce(loss.fn(**named, **params), named, params)
    slopes = torch.autograd.grad(value, [fake, knots], materialize_grads=True, allow_unused=True)
    return value.detach(), dict(zip(("fake", "knots"), slopes, strict=True))


@given(handles=held, x=st.lists(st.floats(-9, 9), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_drawn_critic_goes_straight_through_its_knots_and_on(handles: dict[str, Any], x: list[float]):
    model = critic(CRITIC_SCENE.parse_handles(handles), LOSSES[0])
    assert model(PLACES[:, None]).tolist() == pytest.approx(handles["knots"], abs=1e-12)
    assert model(t(x)[:, None]).tolist() == pytest.approx(straight(t(x), t(handles["knots"])).tolist(), abs=1e-11)


@every_loss
@both_sides
@given(drawn=held)
@settings(max_examples=8, deadline=None)
def test_numbers_are_those_of_autograd_through_the_critic(loss: Loss, side: str, drawn: dict[str, Any]):
    assume(loss is not PENALTY or not on_a_kink(drawn))
    handles, params = CRITIC_SCENE.parse_handles(drawn), on_side(loss, side)
    numbers = CRITIC_SCENE.views([loss], handles, {loss.key: params}, []).numbers[loss.key]
    value, slopes = through(loss, handles, params)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-10, abs=1e-10)
    received = [numbers[f"gradient.{i + 1}"] for i in range(SAMPLES)]
    assert received == pytest.approx(slopes["fake"].tolist(), rel=1e-9, abs=1e-10)
    for name in ("real", "fake"):
        mean = straight(t(drawn[name]), t(drawn["knots"])).mean().item()
        assert numbers[f"score.{name}"] == pytest.approx(mean, abs=1e-10)
    if loss is PENALTY:
        assert "pull" not in numbers
    else:
        _, generator = through(loss, handles, on_side(loss, "generator"))
        assert numbers["pull"] == pytest.approx(generator["fake"].abs().sum().item(), rel=1e-9, abs=1e-10)


@every_loss
@given(drawn=held)
@settings(max_examples=8, deadline=None)
def test_arrows_are_one_step_of_either_side(loss: Loss, drawn: dict[str, Any]):
    assume(loss is not PENALTY or not on_a_kink(drawn))
    handles = CRITIC_SCENE.parse_handles({**drawn, "rate": 0.7})
    arrays = CRITIC_SCENE.views([loss], handles, {}, ["curve"]).arrays
    _, slopes = through(loss, handles, on_side(loss, "discriminator"))
    learning = arrays["learning"][0]
    assert learning[:, 0].tolist() == drawn["knots"]
    assert learning[:, 1].tolist() == pytest.approx((t(drawn["knots"]) - 0.7 * slopes["knots"]).tolist(), abs=1e-9)
    if loss is PENALTY:
        assert arrays["arrows"][0, :, 1].isnan().all()
        return
    _, slopes = through(loss, handles, on_side(loss, "generator"))
    assert arrays["arrows"][0, :, 0].tolist() == drawn["fake"]
    moved = t(drawn["fake"]) - 0.7 * slopes["fake"]
    assert arrays["arrows"][0, :, 1].tolist() == pytest.approx(moved.tolist(), abs=1e-9)


# --- steps


@every_sided
def test_a_step_is_the_turn_of_the_side_in_play(loss: Loss):
    handles = CRITIC_SCENE.parse_handles({"rate": 0.5})
    arrays = CRITIC_SCENE.views([loss], handles, {}, ["curve"]).arrays
    assert CRITIC_SCENE.step
    generator = CRITIC_SCENE.step(loss, handles, on_side(loss, "generator"))
    assert set(generator) == {"fake"}
    assert generator["fake"] == pytest.approx(arrays["arrows"][0, :, 1].tolist(), abs=1e-12)
    learnt = CRITIC_SCENE.step(loss, handles, on_side(loss, "discriminator"))
    assert set(learnt) == {"knots"}
    assert learnt["knots"] == pytest.approx(arrays["learning"][0, :, 1].clamp(-KNOT_REACH, KNOT_REACH).tolist())


def test_a_penalty_moves_the_critic_towards_the_slope_it_wants():
    handles, steep = CRITIC_SCENE.parse_handles({"rate": 0.05}), []
    assert CRITIC_SCENE.step
    for _ in range(100):
        steep.append(CRITIC_SCENE.views([PENALTY], handles, {}, []).numbers[PENALTY.key]["loss"])
        handles = {**handles, **CRITIC_SCENE.step(PENALTY, handles, PENALTY.resolve())}
    assert steep == sorted(steep, reverse=True) and steep[-1] < 0.05 * steep[0]


def test_a_trained_critic_is_trained_a_step_further_until_the_last():
    assert CRITIC_SCENE.step
    for steps, after in ((0, 1), (12, 13), (200, 200)):
        handles = CRITIC_SCENE.parse_handles({"critic": "trained", "steps": steps})
        for loss in LOSSES:
            assert CRITIC_SCENE.step(loss, handles, on_side(loss, "discriminator")) == {"steps": after}


@pytest.mark.parametrize("key", ["gan_nonsaturating", "wgan", "lsgan", "gan_hinge", "gan_relativistic"])
def test_playing_the_generator_brings_its_samples_to_the_real_ones(key: str):
    handles, loss = CRITIC_SCENE.parse_handles({"rate": 1.0}), get(key)
    assert CRITIC_SCENE.step
    for _ in range(20):
        handles = {**handles, **CRITIC_SCENE.step(loss, handles, on_side(loss, "generator"))}
        assert all(LOW <= place <= HIGH for place in handles["fake"])
    assert min(handles["fake"]) > 0


# --- the pull over the distance


@every_sided
@pytest.mark.parametrize("kind", ["drawn", "trained"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_pull_now_lies_on_the_curve_of_the_pull(loss: Loss, kind: str, mirrored: bool):
    sign = -1 if mirrored else 1
    fake = [sign * x for x in (-2.5, -2.3, -2.0, -1.6, -1.2, -0.2)]
    real = [sign * x for x in (0.6, 1.3, 1.8, 2.3, 2.5, 3.9)]
    handles = CRITIC_SCENE.parse_handles({"critic": kind, "real": real, "fake": fake, "steps": 5})
    frame = CRITIC_SCENE.views([loss], handles, {}, ["reach"])
    apart = frame.arrays["apart"].item()
    assert apart == pytest.approx(sum(real) / 6 * sign - sum(fake) / 6 * sign)
    at = round(apart * 10)
    assert DISTANCES[at].item() == pytest.approx(apart)
    assert frame.arrays["reach"][0, at].item() == pytest.approx(frame.numbers[loss.key]["pull"], rel=1e-9)


@every_sided
def test_the_pull_at_a_distance_is_that_of_samples_put_there(loss: Loss):
    handles = CRITIC_SCENE.parse_handles({})
    frame = CRITIC_SCENE.views([loss], handles, {}, ["reach"])
    apart = frame.arrays["apart"].item()
    for at in (12, 25, 31, 43):
        shift = apart - DISTANCES[at].item()
        there = {**handles, "fake": [x + shift for x in handles["fake"]]}
        pull = CRITIC_SCENE.views([loss], there, {}, []).numbers[loss.key]["pull"]
        assert frame.arrays["reach"][0, at].item() == pytest.approx(pull, rel=1e-9)


def test_minimax_lets_go_of_samples_far_away_and_wasserstein_does_not():
    losses = [get(key) for key in ("gan_minimax", "gan_nonsaturating", "wgan", "gradient_penalty")]
    reach = CRITIC_SCENE.views(losses, CRITIC_SCENE.parse_handles({}), {}, ["reach"]).arrays["reach"]
    near, far = reach[:, 10], reach[:, 80]
    assert far[0] < 0.002 * near[0]
    assert far[1] > near[1]
    assert 0.7 < far[2] / near[2] < 1.4
    assert reach[3].isnan().all()


# --- training


def trained_by_autograd(loss: Loss, handles: dict[str, Any]) -> nn.Sequential:
    """The same first weights, descended by torch's own optimiser."""
    model = critic({**handles, "steps": 0}, loss)
    model = nn.Sequential(
        nn.Linear(1, 16, dtype=torch.float64), nn.Tanh(), nn.Linear(16, 1, dtype=torch.float64), nn.Flatten(0)
    )
    model.load_state_dict(critic({**handles, "steps": 0}, loss).state_dict())
    penalised = loss is PENALTY
    own = get("wgan") if penalised else loss
    optimiser = torch.optim.SGD(model.parameters(), lr=PENALISED_RATE if penalised else LEARNING_RATE)
    real, fake = (t(handles[name])[:, None] for name in ("real", "fake"))
    for _ in range(handles["steps"]):
        optimiser.zero_grad()
        value = own.fn(real=model(real), fake=model(fake), **own.resolve()).mean()
        if penalised:
            value = value + PENALTY.fn(model=model, real=real, fake=fake, eps=SHARES, **PENALTY.resolve()).mean()
        value.backward()
        optimiser.step()
        if loss.key == "wgan":
            with torch.no_grad():
                for weight in model.parameters():
                    weight.clamp_(-CLIP, CLIP)
    return model


@every_loss
def test_training_is_gradient_descent_on_the_critics_side(loss: Loss):
    handles = CRITIC_SCENE.parse_handles({"critic": "trained", "steps": 25})
    expected = trained_by_autograd(loss, handles).state_dict()
    for name, weight in critic(handles, loss).state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-8, atol=1e-10)


@every_loss
@both_sides
def test_a_trained_critic_stands_still_while_its_gradient_is_taken(loss: Loss, side: str):
    handles, params = CRITIC_SCENE.parse_handles({"critic": "trained"}), on_side(loss, side)
    numbers = CRITIC_SCENE.views([loss], handles, {loss.key: params}, []).numbers[loss.key]
    model = critic(handles, loss)
    real, fake = t(handles["real"])[:, None], t(handles["fake"])[:, None].requires_grad_()
    named = {"model": model, "real": real, "fake": fake, "eps": SHARES}
    if loss is not PENALTY:
        named = {"real": model(real), "fake": model(fake)}
    value = loss.reduce(loss.fn(**named, **params), named, params)
    (slope,) = torch.autograd.grad(value, fake)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12)
    assert [numbers[f"gradient.{i + 1}"] for i in range(6)] == pytest.approx(slope[:, 0].tolist(), rel=1e-9, abs=1e-12)


def test_training_separates_the_two_kinds_and_a_wasserstein_critic_stays_gentle():
    handles = CRITIC_SCENE.parse_handles({"critic": "trained", "steps": 200})
    frame = CRITIC_SCENE.views(SIDED, handles, {}, ["curve"])
    for loss in SIDED:
        assert frame.numbers[loss.key]["score.real"] > frame.numbers[loss.key]["score.fake"]
    steepest = [(curve.diff() / GRID.diff()).abs().max().item() for curve in frame.arrays["curve"]]
    gentle = steepest[[loss.key for loss in SIDED].index("wgan")]
    assert gentle <= 1 + 1e-9 < max(steepest)


@every_loss
@pytest.mark.parametrize("kind", ["drawn", "trained"])
def test_the_program_gives_the_number_shown(loss: Loss, kind: str):
    handles = CRITIC_SCENE.parse_handles({"critic": kind})
    program = snippet(loss, "pytorch", CRITIC_SCENE.inputs(handles, loss))
    assert program
    names: dict[str, Any] = {}
    exec(program, names)
    shown = CRITIC_SCENE.views([loss], handles, {}, []).numbers[loss.key]["loss"]
    assert names["loss"].item() == pytest.approx(shown, rel=1e-12)


@every_loss
@both_sides
@given(drawn=held, kind=st.sampled_from(["drawn", "trained"]))
@settings(max_examples=8, deadline=None)
def test_the_gradient_is_proven_wherever_the_samples_are(loss: Loss, side: str, drawn: dict[str, Any], kind: str):
    assume(loss is not PENALTY or not on_a_kink(drawn))
    handles = CRITIC_SCENE.parse_handles({**drawn, "critic": kind, "steps": 5})
    proof = CRITIC_SCENE.views([loss], handles, {loss.key: on_side(loss, side)}, [f"proof:{loss.key}"]).proofs[loss.key]
    assert proof.verdict != "differ", proof
    received = CRITIC_SCENE.views([loss], handles, {loss.key: on_side(loss, side)}, []).numbers[loss.key]["gradient.1"]
    assert proof.autograd == pytest.approx(received, rel=1e-9, abs=1e-12)
