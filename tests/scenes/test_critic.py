"""The critic scene, on the line and in the plane: numbers, arrows and steps are what autograd makes of the critic."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossviz.losses import CATALOGUE, get, snippet
from lossviz.losses.entry import Loss
from lossviz.scenes.critic import CRITIC_SCENE, DISTANCES, GRID, SPACES, SQUARE, critic
from lossviz.scenes.critics import HIGH, KNOT_REACH, LOW, PENALTY, SAMPLES, SHARES
from tests.scenes.test_critics import BY_HAND, t

LOSSES = CRITIC_SCENE.losses(CATALOGUE)
SIDED = [loss for loss in LOSSES if "side" in loss.params]
SIDES = ("discriminator", "generator")
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
every_sided = pytest.mark.parametrize("loss", SIDED, ids=lambda loss: loss.key)
every_space = pytest.mark.parametrize("space", SPACES)
both_kinds = pytest.mark.parametrize("kind", ["drawn", "trained"])
both_sides = pytest.mark.parametrize("side", SIDES)
height = st.floats(-KNOT_REACH, KNOT_REACH).map(lambda x: round(x, 3))


def coordinate(parts: int) -> st.SearchStrategy[float]:
    """Never whole: on a knot the critic has two slopes."""
    cells = st.integers(int(LOW), int(HIGH) - 1), st.integers(1, parts - 1)
    return st.builds(lambda cell, share: cell + share / parts, *cells)


def held(space: str) -> st.SearchStrategy[dict[str, Any]]:
    """Samples and heights; in the plane no two coordinates have one size, since the tent's sides meet there."""
    series = SPACES[space]
    # No fraction of one denominator is one of the other.
    place = st.tuples(*map(coordinate, (1009, 997)[: len(series.axes)]))
    samples = st.lists(place, min_size=SAMPLES, max_size=SAMPLES).map(lambda all: [x for each in all for x in each])
    count = len(series.heights.default)
    heights = st.lists(height, min_size=count, max_size=count)
    return st.fixed_dictionaries(
        {series.real.name: samples, series.fake.name: samples, series.heights.name: heights, "space": st.just(space)}
    )


any_held = st.one_of(*map(held, SPACES))


def on_side(loss: Loss, side: str) -> dict[str, Any]:
    return loss.resolve({"side": side} if "side" in loss.params else {})


def leaves(handles: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Real and generated samples ``(6, D)`` and the critic's heights."""
    space = SPACES[handles["space"]]
    real, fake = (t(handles[series.name]).reshape(SAMPLES, -1) for series in (space.real, space.fake))
    return real, fake, t(handles[space.heights.name])


def on_a_kink(handles: dict[str, Any]) -> bool:
    """Whether the penalty looks where the critic bends, or the critic is flat: its slope's length has a kink there."""
    real, fake, _ = leaves(handles)
    between = SHARES[:, None] * real + (1 - SHARES[:, None]) * fake
    off = (between - between.round() if between.shape[1] == 1 else between[:, :1].abs() - between[:, 1:].abs()).abs()
    steep = critic(CRITIC_SCENE.parse_handles({**handles, "critic": "drawn"}), PENALTY).slopes(between)
    return bool((off < 1e-4).any() or (steep.norm(dim=1) < 1e-4).any())


def through(loss: Loss, handles: dict[str, Any], params: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The reduced loss by autograd from the samples and the heights of a drawn critic to its value."""
    real, fake, heights = (leaf.requires_grad_() for leaf in leaves(handles))
    score = BY_HAND[handles["space"]]
    if loss.models:
        named: dict[str, Any] = {"real": real, "fake": fake, "eps": SHARES, "model": lambda x: score(x, heights)}
    else:
        named = {"real": score(real, heights), "fake": score(fake, heights)}
    value = loss.reduce(loss.fn(**named, **params), named, params)
    slopes = torch.autograd.grad(value, [fake, heights], materialize_grads=True, allow_unused=True)
    return value.detach(), dict(zip(("fake", "heights"), slopes, strict=True))


def received(numbers: dict[str, float], space: str) -> list[list[float]]:
    return [[numbers[f"gradient.{i + 1}{axis}"] for axis in SPACES[space].axes] for i in range(SAMPLES)]


def near(values: Tensor) -> Any:
    return pytest.approx(values.flatten().tolist(), rel=1e-9, abs=1e-9)


@every_loss
@both_sides
@given(drawn=any_held)
@settings(max_examples=12, deadline=None)
def test_numbers_are_those_of_autograd_through_the_critic(loss: Loss, side: str, drawn: dict[str, Any]):
    assume(loss is not PENALTY or not on_a_kink(drawn))
    handles, params = CRITIC_SCENE.parse_handles(drawn), on_side(loss, side)
    numbers = CRITIC_SCENE.views([loss], handles, {loss.key: params}, []).numbers[loss.key]
    value, slopes = through(loss, handles, params)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-10, abs=1e-10)
    shown = received(numbers, drawn["space"])
    assert [x for row in shown for x in row] == near(slopes["fake"])
    real, fake, heights = leaves(handles)
    for name, samples in (("real", real), ("fake", fake)):
        mean = BY_HAND[drawn["space"]](samples, heights).mean().item()
        assert numbers[f"score.{name}"] == pytest.approx(mean, abs=1e-10)
    if loss is PENALTY:
        assert "pull" not in numbers
    else:
        _, generator = through(loss, handles, on_side(loss, "generator"))
        assert numbers["pull"] == pytest.approx(generator["fake"].norm(dim=1).sum().item(), rel=1e-9, abs=1e-10)


@every_loss
@given(drawn=any_held)
@settings(max_examples=12, deadline=None)
def test_arrows_are_one_step_of_either_side(loss: Loss, drawn: dict[str, Any]):
    assume(loss is not PENALTY or not on_a_kink(drawn))
    handles = CRITIC_SCENE.parse_handles({**drawn, "rate": 0.7})
    arrays = CRITIC_SCENE.views([loss], handles, {}, ["curve"]).arrays
    _, slopes = through(loss, handles, on_side(loss, "discriminator"))
    _, fake, heights = leaves(handles)
    learning, arrows = arrays["learning"][0], arrays["arrows"][0]
    assert learning[:, 0].tolist() == heights.tolist()
    assert learning[:, 1].tolist() == near(heights - 0.7 * slopes["heights"])
    if loss is PENALTY:
        assert arrows[:, 1].isnan().all()
        return
    _, slopes = through(loss, handles, on_side(loss, "generator"))
    assert arrows[:, 0].flatten().tolist() == fake.flatten().tolist()
    assert arrows[:, 1].flatten().tolist() == near(fake - 0.7 * slopes["fake"])


@every_loss
@every_space
@both_kinds
def test_arrays_are_what_the_network_says_point_by_point(loss: Loss, space: str, kind: str):
    handles = CRITIC_SCENE.parse_handles({"space": space, "critic": kind, "steps": 11})
    frame = CRITIC_SCENE.views([loss], handles, {}, ["curve", "bars", f"surface:{loss.key}"])
    arrays, model = frame.arrays, critic(handles, loss).module
    real, fake, _ = leaves(handles)
    between = (SHARES[:, None] * real + (1 - SHARES[:, None]) * fake).requires_grad_()
    (steep,) = torch.autograd.grad(model(between).sum(), between)
    assert arrays["between"].flatten().tolist() == near(between.detach())
    assert arrays["steep"][0].flatten().tolist() == near(steep)
    for row, samples in zip(arrays["scores"][0], (real, fake, between), strict=True):
        assert row.tolist() == near(model(samples).detach())
    lengths = t(received(frame.numbers[loss.key], space))
    assert arrays["bars"][0].tolist() == near(lengths if space == "line" else lengths.norm(dim=1))
    if space == "line":
        assert f"surface:{loss.key}" not in arrays
        assert arrays["curve"][0].tolist() == near(model(GRID[:, None]).detach())
        return
    for row, y in zip(arrays[f"surface:{loss.key}"], SQUARE, strict=True):
        assert row.tolist() == near(model(torch.stack([SQUARE, y.expand_as(SQUARE)], -1)).detach())


# --- steps


@every_sided
@every_space
def test_a_step_is_the_turn_of_the_side_in_play(loss: Loss, space: str):
    handles, names = CRITIC_SCENE.parse_handles({"space": space, "rate": 0.5}), SPACES[space]
    arrays = CRITIC_SCENE.views([loss], handles, {}, ["curve"]).arrays
    assert CRITIC_SCENE.step
    generator = CRITIC_SCENE.step(loss, handles, on_side(loss, "generator"))
    assert set(generator) == {names.fake.name}
    assert generator[names.fake.name] == pytest.approx(arrays["arrows"][0, :, 1].flatten().tolist(), abs=1e-12)
    learnt = CRITIC_SCENE.step(loss, handles, on_side(loss, "discriminator"))
    assert set(learnt) == {names.heights.name}
    expected = arrays["learning"][0, :, 1].clamp(-KNOT_REACH, KNOT_REACH).tolist()
    assert learnt[names.heights.name] == pytest.approx(expected)


@every_space
def test_a_penalty_moves_the_critic_towards_the_slope_it_wants(space: str):
    handles, steep = CRITIC_SCENE.parse_handles({"space": space, "rate": 0.05}), []
    assert CRITIC_SCENE.step
    for _ in range(100):
        steep.append(CRITIC_SCENE.views([PENALTY], handles, {}, []).numbers[PENALTY.key]["loss"])
        handles = {**handles, **CRITIC_SCENE.step(PENALTY, handles, PENALTY.resolve())}
    assert steep == sorted(steep, reverse=True) and steep[-1] < 0.05 * steep[0]


@every_space
def test_a_trained_critic_is_trained_a_step_further_until_the_last(space: str):
    assert CRITIC_SCENE.step
    for steps, after in ((0, 1), (12, 13), (200, 200)):
        handles = CRITIC_SCENE.parse_handles({"space": space, "critic": "trained", "steps": steps})
        for loss in LOSSES:
            assert CRITIC_SCENE.step(loss, handles, on_side(loss, "discriminator")) == {"steps": after}


@every_space
@pytest.mark.parametrize("key", ["gan_nonsaturating", "wgan", "lsgan", "gan_hinge", "gan_relativistic"])
def test_playing_the_generator_brings_its_samples_to_the_real_ones(key: str, space: str):
    handles, loss = CRITIC_SCENE.parse_handles({"space": space, "rate": 1.0}), get(key)
    name = SPACES[space].fake.name
    assert CRITIC_SCENE.step
    for _ in range(30):
        handles = {**handles, **CRITIC_SCENE.step(loss, handles, on_side(loss, "generator"))}
        assert all(LOW <= place <= HIGH for place in handles[name])
    _, fake, _ = leaves(handles)
    assert fake[:, 0].min() > 0


# --- the pull over the distance


@every_sided
@both_kinds
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
@every_space
def test_the_pull_at_a_distance_is_that_of_samples_put_there(loss: Loss, space: str):
    handles, name = CRITIC_SCENE.parse_handles({"space": space}), SPACES[space].fake.name
    frame = CRITIC_SCENE.views([loss], handles, {}, ["reach"])
    real, fake, _ = leaves(handles)
    gap = fake.mean(0) - real.mean(0)
    assert frame.arrays["apart"].item() == pytest.approx(gap.norm().item())
    for at in (12, 25, 31, 43):
        moved = fake - gap + DISTANCES[at] * gap / gap.norm()
        there = {**handles, name: moved.flatten().tolist()}
        pull = CRITIC_SCENE.views([loss], there, {}, []).numbers[loss.key]["pull"]
        assert frame.arrays["reach"][0, at].item() == pytest.approx(pull, rel=1e-9)


@every_space
def test_samples_that_lie_on_one_another_part_to_the_left(space: str):
    names, loss = SPACES[space], get("gan_nonsaturating")
    same = {names.fake.name: list(names.real.default)}
    handles = CRITIC_SCENE.parse_handles({"space": space, **same})
    frame = CRITIC_SCENE.views([loss], handles, {}, ["reach"])
    real, _, _ = leaves(handles)
    assert frame.arrays["apart"].item() == 0
    for at in (0, 9):
        way = torch.zeros_like(real)
        way[:, 0] = DISTANCES[at]
        there = {**handles, names.fake.name: (real - way).flatten().tolist()}
        pull = CRITIC_SCENE.views([loss], there, {}, []).numbers[loss.key]["pull"]
        assert frame.arrays["reach"][0, at].item() == pytest.approx(pull, rel=1e-9)


@every_space
def test_minimax_lets_go_of_samples_far_away_and_wasserstein_does_not(space: str):
    losses = [get(key) for key in ("gan_minimax", "gan_nonsaturating", "wgan", "gradient_penalty")]
    handles = CRITIC_SCENE.parse_handles({"space": space})
    reach = CRITIC_SCENE.views(losses, handles, {}, ["reach"]).arrays["reach"]
    near, far = reach[:, 10], reach[:, 80]
    assert far[0] < 0.01 * near[0]
    assert far[1] > near[1]
    assert 0.7 < far[2] / near[2] < 2
    assert reach[3].isnan().all()


# --- through a network


@every_loss
@every_space
@both_sides
def test_a_trained_critic_stands_still_while_its_gradient_is_taken(loss: Loss, space: str, side: str):
    handles, params = CRITIC_SCENE.parse_handles({"space": space, "critic": "trained"}), on_side(loss, side)
    numbers = CRITIC_SCENE.views([loss], handles, {loss.key: params}, []).numbers[loss.key]
    model = critic(handles, loss).module
    real, fake, _ = leaves(handles)
    named = {"model": model, "real": real, "fake": fake.requires_grad_(), "eps": SHARES}
    if loss is not PENALTY:
        named = {"real": model(real), "fake": model(fake)}
    value = loss.reduce(loss.fn(**named, **params), named, params)
    (slope,) = torch.autograd.grad(value, fake)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-12)
    shown = [x for row in received(numbers, space) for x in row]
    assert shown == pytest.approx(slope.flatten().tolist(), rel=1e-9, abs=1e-12)


@every_loss
@every_space
@both_kinds
def test_the_program_gives_the_number_shown(loss: Loss, space: str, kind: str):
    handles = CRITIC_SCENE.parse_handles({"space": space, "critic": kind})
    program = snippet(loss, "pytorch", CRITIC_SCENE.inputs(handles, loss))
    assert program
    names: dict[str, Any] = {}
    exec(program, names)
    shown = CRITIC_SCENE.views([loss], handles, {}, []).numbers[loss.key]["loss"]
    assert names["loss"].item() == pytest.approx(shown, rel=1e-12)


@every_loss
@both_sides
@given(drawn=any_held, kind=st.sampled_from(["drawn", "trained"]))
@settings(max_examples=12, deadline=None)
def test_the_gradient_is_proven_wherever_the_samples_are(loss: Loss, side: str, drawn: dict[str, Any], kind: str):
    assume(loss is not PENALTY or not on_a_kink(drawn))
    handles = CRITIC_SCENE.parse_handles({**drawn, "critic": kind, "steps": 5})
    proof = CRITIC_SCENE.views([loss], handles, {loss.key: on_side(loss, side)}, [f"proof:{loss.key}"]).proofs[loss.key]
    assert proof.verdict != "differ", proof
    numbers = CRITIC_SCENE.views([loss], handles, {loss.key: on_side(loss, side)}, []).numbers[loss.key]
    assert proof.autograd == pytest.approx(received(numbers, drawn["space"])[0][0], rel=1e-9, abs=1e-12)
