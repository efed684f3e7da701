"""Critics drawn by hand and trained: scores, slopes and training are what torch makes of them step by step."""

import time
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Loss
from lossviz.scenes.critic import CRITIC_SCENE, SPACES, critic
from lossviz.scenes.critics import (
    CORNER,
    KNOT_REACH,
    LEARNING_RATE,
    PENALISED_RATE,
    PENALTY,
    PLACES,
    POSTS,
    SAMPLES,
    SHARES,
    SIDED,
    Course,
    clip,
    drawn,
    trained,
)

LOSSES = CRITIC_SCENE.losses(CATALOGUE)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
every_space = pytest.mark.parametrize("space", SPACES)
height = st.floats(-KNOT_REACH, KNOT_REACH).map(lambda x: round(x, 3))


def t(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def places(count: int, dims: int, seed: int) -> Tensor:
    return 8 * torch.rand(count, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 4


def straight(where: Tensor, knots: Tensor) -> Tensor:
    """Between the knots and beyond them, written as anybody would; places ``(N, 1)``."""
    x = where[:, 0]
    left = [min(7, max(0, bisect_right(PLACES.tolist(), place) - 1)) for place in x.tolist()]
    rise = knots[[k + 1 for k in left]] - knots[left]
    return knots[left] + rise * (x - PLACES[left])


def tent(where: Tensor, posts: Tensor) -> Tensor:
    """On the flat side through the middle and the two corners next to it, for places ``(N, 2)``."""
    x, y = where.detach().unbind(1)
    side = torch.where((x + y > 0)[:, None], POSTS[1], POSTS[2]), torch.where((x - y > 0)[:, None], POSTS[3], POSTS[4])
    shares = torch.linalg.solve(torch.stack(side, -1), where)
    ends = torch.where(x + y > 0, posts[1], posts[2]), torch.where(x - y > 0, posts[3], posts[4])
    return posts[0] + (shares * (torch.stack(ends, -1) - posts[0])).sum(-1)


BY_HAND = {"line": straight, "plane": tent}


@given(heights=st.lists(height, min_size=9, max_size=9), x=st.lists(st.floats(-9, 9), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_knots_hold_a_critic_straight_between_them_and_beyond(heights: list[float], x: list[float]):
    model = drawn(tuple(heights))
    assert model.scores(PLACES[:, None]).tolist() == pytest.approx(heights, abs=1e-12)
    assert model.scores(t(x)[:, None]).tolist() == pytest.approx(
        straight(t(x)[:, None], t(heights)).tolist(), abs=1e-11
    )


@given(heights=st.lists(height, min_size=5, max_size=5), seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_posts_hold_a_tent_that_is_flat_between_them_and_beyond(heights: list[float], seed: int):
    model = drawn(tuple(heights))
    assert model.scores(POSTS).tolist() == pytest.approx(heights, abs=1e-12)
    where = 2 * places(20, 2, seed)
    assert model.scores(where).tolist() == pytest.approx(tent(where, t(heights)).tolist(), abs=1e-11)


def test_the_posts_are_the_middle_and_the_corners():
    assert sorted(POSTS.tolist()) == sorted([[0, 0], *([x, y] for x in (-CORNER, CORNER) for y in (-CORNER, CORNER))])


@every_loss
@every_space
@pytest.mark.parametrize("kind", ["drawn", "trained"])
def test_slopes_and_scores_are_those_of_the_network_by_autograd(loss: Loss, space: str, kind: str):
    model = critic(CRITIC_SCENE.parse_handles({"space": space, "critic": kind, "steps": 7}), loss)
    where = places(40, len(SPACES[space].axes), 3).requires_grad_()
    scores = model.module(where)
    (slopes,) = torch.autograd.grad(scores.sum(), where)
    torch.testing.assert_close(model.scores(where.detach()), scores.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.slopes(where.detach()), slopes, rtol=1e-12, atol=1e-12)


@every_space
def test_heights_are_asked_of_a_drawn_critic_alone(space: str):
    model = critic(CRITIC_SCENE.parse_handles({"space": space, "critic": "trained"}), LOSSES[0])
    with pytest.raises(ValueError, match="A trained critic has no heights; allowed: one that is drawn by hand"):
        model.by_heights(model.last, model.end)


# --- training


def trained_by_autograd(loss: Loss, handles: dict[str, Any]) -> nn.Sequential:
    """The same first weights, descended by torch's own optimiser."""
    space = SPACES[handles["space"]]
    dims = len(space.axes)
    model = nn.Sequential(
        nn.Linear(dims, 16, dtype=torch.float64), nn.Tanh(), nn.Linear(16, 1, dtype=torch.float64), nn.Flatten(0)
    )
    model.load_state_dict(critic({**handles, "steps": 0}, loss).module.state_dict())
    penalised = loss is PENALTY
    own = get("wgan") if penalised else loss
    optimiser = torch.optim.SGD(model.parameters(), lr=PENALISED_RATE if penalised else LEARNING_RATE)
    real, fake = (t(handles[series.name]).reshape(SAMPLES, dims) for series in (space.real, space.fake))
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
                    weight.clamp_(-clip(dims), clip(dims))
    return model


@every_loss
@every_space
@pytest.mark.parametrize("steps", [1, 60])
def test_training_is_gradient_descent_on_the_critics_side(loss: Loss, space: str, steps: int):
    handles = CRITIC_SCENE.parse_handles({"space": space, "critic": "trained", "steps": steps})
    expected = trained_by_autograd(loss, handles).state_dict()
    for name, weight in critic(handles, loss).module.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-9, atol=1e-10)


# Loss, first sample's gradient and mean score of real samples, from when each critic was trained alone by autograd.
ALONE = {
    "gan_minimax": (0.0700086763248499, 0.00033842727694480414, 3.8803602434531435),
    "gan_nonsaturating": (0.0700086763248499, 0.00033842727694480414, 3.8803602434531435),
    "lsgan": (0.00392072988620367, -1.1543237260051335e-05, 0.9888205139030207),
    "gan_hinge": (0.0, 0.0, 2.045910379905312),
    "wgan": (-3.429606006335636, 0.09043848365674426, 1.5928598491242216),
    "gan_relativistic": (0.012153321687603283, 0.00017082544529803908, 2.5815115422932027),
    "gradient_penalty": (0.9856485608625322, -0.5547987837348015, 1.1685889906623805),
}


def test_critics_trained_side_by_side_are_those_trained_alone():
    handles = CRITIC_SCENE.parse_handles({"critic": "trained"})
    numbers = CRITIC_SCENE.views(LOSSES, handles, {}, []).numbers
    for key, expected in ALONE.items():
        shown = [numbers[key][name] for name in ("loss", "gradient.1", "score.real")]
        assert shown == pytest.approx(expected, rel=1e-9, abs=1e-12), key


@every_space
def test_a_critic_is_the_same_whoever_asked_before(space: str):
    dims = len(SPACES[space].axes)
    real, fake = (tuple(places(SAMPLES, dims, seed).flatten().tolist()) for seed in (5, 6))
    alone = {
        (loss.key, steps): Course(t(real).reshape(SAMPLES, dims), t(fake).reshape(SAMPLES, dims), group)
        .critic(loss.key, steps)
        .last
        for steps in (30, 4)
        for group in (SIDED, (PENALTY,))
        for loss in group
    }
    with ThreadPoolExecutor(8) as pool:
        asked = {each: pool.submit(trained, each[0], real, fake, each[1]) for each in alone}
        for each, answer in asked.items():
            assert answer.result().last.tolist() == alone[each].tolist(), each


def test_a_step_further_costs_one_step():
    real, fake = places(SAMPLES, 2, 8), places(SAMPLES, 2, 9)
    course = Course(real, fake, SIDED)
    steps = 0

    def counted(scores: Tensor, ask: Any = course._slopes) -> Tensor:  # pyright: ignore[reportPrivateUsage]
        nonlocal steps
        steps += 1
        return ask(scores)

    course._slopes = counted  # pyright: ignore[reportPrivateUsage]
    for asked, done in ((30, 30), (31, 31), (12, 31), (31, 31)):
        course.critic("wgan", asked)
        assert steps == done


def test_training_all_critics_costs_less_than_half_of_training_those_shown_by_autograd():
    opening = [get(key) for key in CRITIC_SCENE.opening]
    moved = count()

    def seconds(train: Any) -> float:
        times: list[float] = []
        for _ in range(7):
            real = [0.7, 1.3, 1.8, 2.1, 2.6, 3.3 + next(moved) / 1e6]
            handles = CRITIC_SCENE.parse_handles({"critic": "trained", "real": real})
            began = time.process_time()
            for loss in opening:
                train(loss, handles)
            times.append(time.process_time() - began)
        return sorted(times)[3]

    ours = seconds(lambda loss, handles: critic(handles, loss))
    assert ours < 0.5 * seconds(trained_by_autograd)


@every_space
def test_training_separates_the_two_kinds_and_a_wasserstein_critic_stays_gentle(space: str):
    handles = CRITIC_SCENE.parse_handles({"space": space, "critic": "trained", "steps": 200})
    frame = CRITIC_SCENE.views(SIDED, handles, {}, [])
    where = places(2000, len(SPACES[space].axes), 1)
    steepest: dict[str, float] = {}
    for loss in SIDED:
        assert frame.numbers[loss.key]["score.real"] > frame.numbers[loss.key]["score.fake"]
        steepest[loss.key] = critic(handles, loss).slopes(where).norm(dim=1).max().item()
    assert steepest["wgan"] <= 1 + 1e-9 < max(steepest.values())


@every_space
def test_training_with_the_penalty_brings_slopes_between_the_samples_to_one(space: str):
    def penalty(steps: int) -> float:
        handles = CRITIC_SCENE.parse_handles({"space": space, "critic": "trained", "steps": steps})
        return CRITIC_SCENE.views([PENALTY], handles, {}, []).numbers[PENALTY.key]["loss"]

    assert penalty(200) < 0.25 * penalty(0)


def test_a_loss_that_cannot_train_a_critic_is_named():
    loss = replace(get("lsgan"), grad=None)
    with pytest.raises(ValueError, match="Least-squares GAN is no mean with a hand-written gradient"):
        Course(places(SAMPLES, 1, 0), places(SAMPLES, 1, 1), (loss,))
