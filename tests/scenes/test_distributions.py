"""The scene of two distributions: numbers are torch's through the handles, arrays mean what they say."""

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import kl_div

from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Loss
from lossviz.scenes import get_scene
from lossviz.scenes.distributions import BINS, LINE, MOST, NARROWEST, SLIDE_BARS, SLIDE_BELLS

SCENE = get_scene("distributions")
LOSSES = SCENE.losses(CATALOGUE)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.key)
heights = st.lists(st.floats(0.01, 1), min_size=BINS, max_size=BINS)
centres = st.floats(1, LINE)
widths = st.floats(NARROWEST, 6)
WORDS = ("p.mean", "p.width", "q.mean", "q.width")


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def frame_of(loss: Loss, *wanted: str, **held: Any) -> Any:
    return SCENE.views([loss], SCENE.parse_handles(held), {}, wanted)


def bell(centre: Tensor, width: Tensor) -> Tensor:
    """Normal densities at the middles of the bins, over their sum."""
    bins = torch.arange(1, LINE + 1, dtype=torch.float64)
    density = torch.exp(-0.5 * ((bins - centre) / width) ** 2)
    return density / density.sum()


def value_of(loss: Loss, p: Tensor, q: Tensor) -> Tensor:
    return loss.fn(pred=q[None], target=p[None])[0]


def far_from_kinks(loss: Loss, p: Tensor, q: Tensor) -> bool:
    gaps = (q - p).cumsum(0)[:-1] if loss.key == "wasserstein_1" else q - p
    return loss.key in ("kl_divergence", "js_divergence") or bool((gaps.abs() > 1e-12).all())


@every_loss
@given(p=heights, q=heights)
@settings(max_examples=40, deadline=None)
def test_bars_are_normalised_and_gradients_led_on_to_heights(loss: Loss, p: list[float], q: list[float]) -> None:
    frame = frame_of(loss, "pair", "pull", p=p, q=q)
    truth, held = tensor(p), tensor(q).requires_grad_()
    value = value_of(loss, truth / truth.sum(), held / held.sum())
    (slope,) = torch.autograd.grad(value, held)
    numbers = frame.numbers[loss.key]
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-9, abs=1e-12)
    torch.testing.assert_close(frame.arrays["pair"], torch.stack([truth / truth.sum(), tensor(q) / sum(q)]))
    if far_from_kinks(loss, truth / truth.sum(), held.detach() / held.detach().sum()):
        shown = [numbers[f"gradient.{k + 1}"] for k in range(BINS)]
        assert shown == pytest.approx(slope.tolist(), rel=1e-9, abs=1e-10)
        assert frame.arrays["pull"][0].tolist() == pytest.approx(slope.tolist(), rel=1e-9, abs=1e-10)
    # Only shares count: a little more of everything changes nothing.
    assert sum(numbers[f"gradient.{k + 1}"] * h for k, h in enumerate(q)) == pytest.approx(0, abs=1e-9)


@every_loss
@given(held=st.tuples(centres, widths, centres, widths))
@settings(max_examples=40, deadline=None)
def test_bell_curves_are_cut_and_gradients_led_on_to_centre_and_width(loss: Loss, held: tuple[float, ...]) -> None:
    named = dict(zip(WORDS, held, strict=True))
    frame = frame_of(loss, "pair", f"proof:{loss.key}", shape="gaussians", **named)
    numbers = frame.numbers[loss.key]
    assert all(map(math.isfinite, numbers.values()))
    p = bell(tensor(named["p.mean"]), tensor(named["p.width"]))
    mean, width = tensor(named["q.mean"]).requires_grad_(), tensor(named["q.width"]).requires_grad_()
    q = bell(mean, width)
    torch.testing.assert_close(frame.arrays["pair"], torch.stack([p, q.detach()]), rtol=1e-9, atol=1e-300)
    value = value_of(loss, p, q)
    assert numbers["loss"] == pytest.approx(value.item(), rel=1e-9, abs=1e-12)
    assert frame.proofs[loss.key].verdict in ("agree", "kink"), frame.proofs[loss.key]
    if far_from_kinks(loss, p, q.detach()):
        slopes = torch.autograd.grad(value, [mean, width])
        size = 1 + max(abs(slope.item()) for slope in slopes)
        for name, slope in zip(("mean", "width"), slopes, strict=True):
            assert numbers[f"gradient.{name}"] == pytest.approx(slope.item(), rel=1e-8, abs=1e-9 * size)


@given(p=heights, q=heights)
@settings(max_examples=30, deadline=None)
def test_what_both_have_in_common_is_information_theory(p: list[float], q: list[float]) -> None:
    numbers = frame_of(get("wasserstein_1"), p=p, q=q).numbers["wasserstein_1"]
    first, second = (tensor(h) / sum(h) for h in (p, q))
    expected = {
        "kl": kl_div(second.log(), first, reduction="sum").item(),
        "kl.reverse": kl_div(first.log(), second, reduction="sum").item(),
        "entropy": torch.distributions.Categorical(probs=first).entropy().item(),
        "cross_entropy": -(first * second.log()).sum().item(),
    }
    assert {name: numbers[name] for name in expected} == pytest.approx(expected, rel=1e-9, abs=1e-12)


@every_loss
def test_a_slide_of_bars_shares_a_bin_with_the_next(loss: Loss) -> None:
    p, q = [0.2, 1, 0.4, 0, 0, 0], [0, 0, 0, 0.3, 0.9, 0.3]
    arrays = frame_of(loss, "slide", p=p, q=q).arrays
    truth, forecast = tensor(p) / sum(p), tensor(q) / sum(q)
    bins = torch.arange(1, BINS + 1, dtype=torch.float64)
    assert arrays["centres"].tolist() == pytest.approx([(truth @ bins).item(), (forecast @ bins).item()])
    assert torch.equal(arrays["slide.x"], SLIDE_BARS)
    for i in range(0, len(SLIDE_BARS), 7):
        away = (SLIDE_BARS[i] - forecast @ bins).item()
        line = dict.fromkeys(range(-30, 40), 0.0)
        for k, share in enumerate(forecast.tolist()):
            whole = math.floor(k + away)
            line[whole] += share * (1 - (k + away - whole))
            line[whole + 1] += share * (k + away - whole)
        padded = tensor([truth[k].item() if 0 <= k < BINS else 0.0 for k in line])
        expected = value_of(loss, padded, tensor(list(line.values()))).item()
        drawn = arrays["slide"][0, i].item()
        assert (math.isnan(drawn) and math.isinf(expected)) or drawn == pytest.approx(expected, rel=1e-9, abs=1e-9)


@every_loss
def test_a_slide_of_bell_curves_moves_the_centre_of_q(loss: Loss) -> None:
    named = {"p.mean": 9.0, "p.width": 1.5, "q.width": 2.0}
    arrays = frame_of(loss, "slide", shape="gaussians", **named).arrays
    p = bell(tensor(9.0), tensor(1.5))
    values = [value_of(loss, p, bell(x, tensor(2.0))).item() for x in SLIDE_BELLS]
    assert arrays["slide"][0].tolist() == pytest.approx(values, rel=1e-9, abs=1e-12)
    slopes = [(b - a) / 0.25 for a, b in itertools.pairwise(values)]
    assert arrays["slide.slope"][0].tolist() == pytest.approx(slopes, rel=1e-6, abs=1e-9)
    assert arrays["slide.between"].tolist() == pytest.approx([1.125 + 0.25 * i for i in range(96)])


def test_jensen_shannon_goes_flat_where_wasserstein_keeps_its_slope() -> None:
    held = {"shape": "gaussians", "p.mean": 5.0, "p.width": 1.0, "q.mean": 17.0, "q.width": 1.0}
    frame = SCENE.views(LOSSES, SCENE.parse_handles(held), {}, [])
    slope = {key: numbers["gradient.mean"] for key, numbers in frame.numbers.items()}
    assert frame.numbers["js_divergence"]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert abs(slope["js_divergence"]) < 1e-6 and abs(slope["total_variation"]) < 1e-6
    assert slope["wasserstein_1"] == pytest.approx(1, abs=1e-6) and slope["kl_divergence"] == pytest.approx(
        12, rel=0.01
    )


def test_an_infinite_loss_says_where_and_stays() -> None:
    held = SCENE.parse_handles({"p": [1, 1, 0, 0, 0, 0], "q": [0, 0.5, 0, 0, 1, 1]})
    wanted = ["pull", "slide", "descent:kl_divergence", "proof:kl_divergence"]
    frame = SCENE.views(LOSSES, held, {}, wanted)
    assert frame.notes == {"kl_divergence": "Infinite: q gives nothing to bin 1, where p has 0.5."}
    assert frame.numbers["kl_divergence"]["loss"] == math.inf and not frame.proofs
    assert frame.numbers["js_divergence"]["loss"] < math.log(2)
    rows = {loss.key: frame.arrays["pull"][i] for i, loss in enumerate(LOSSES)}
    assert rows["kl_divergence"].isnan().all() and not rows["wasserstein_1"].isnan().any()
    assert frame.arrays["descent:kl_divergence"].isnan().all()
    assert SCENE.step and SCENE.step(get("kl_divergence"), held, {}) == {"q": held["q"]}


@every_loss
@pytest.mark.parametrize("name", ["p", "q"])
def test_nothing_to_normalise_is_said(loss: Loss, name: str) -> None:
    held = SCENE.parse_handles({name: [0] * BINS})
    frame = SCENE.views([loss], held, {}, ["pair", "pull", "slide", f"descent:{loss.key}", f"formula:{loss.key}"])
    assert frame.numbers == {}
    assert frame.notes == {loss.key: f"All bars of {name} are 0: there is nothing to normalise."}
    assert frame.arrays["slide"].isnan().all() and frame.arrays["pull"].isnan().all()
    with pytest.raises(ValueError, match="finite numbers"):
        loss.check(SCENE.inputs(held, loss), {})


def test_huge_gradients_are_held_for_the_picture_alone() -> None:
    held = {"shape": "gaussians", "p.mean": 1.0, "p.width": NARROWEST, "q.mean": LINE, "q.width": NARROWEST}
    pull = frame_of(get("kl_divergence"), "pull", **held).arrays["pull"]
    assert pull.abs().max() == MOST and pull.to(torch.float32).isfinite().all()


@every_loss
@pytest.mark.parametrize("shape", ["bars", "gaussians"])
def test_a_step_goes_where_the_arrows_point(loss: Loss, shape: str) -> None:
    held = SCENE.parse_handles({"shape": shape, "rate": 0.05})
    frame = SCENE.views([loss], held, {}, [f"descent:{loss.key}"])
    numbers = frame.numbers[loss.key]
    assert SCENE.step
    moved = SCENE.step(loss, held, {})
    if shape == "bars":
        expected = [h - 0.05 * numbers[f"gradient.{k + 1}"] for k, h in enumerate(held["q"])]
        expected = [min(1.0, max(0.0, h)) for h in expected]
        assert moved == {"q": pytest.approx(expected)}
    else:
        expected = [16 - 0.05 * numbers["gradient.mean"], 2 - 0.05 * numbers["gradient.width"]]
        assert [moved["q.mean"], moved["q.width"]] == pytest.approx(expected)
    assert frame.arrays[f"descent:{loss.key}"].tolist() == pytest.approx(expected)
    after = SCENE.views([loss], SCENE.parse_handles({**held, **moved}), {}, []).numbers[loss.key]
    assert after["loss"] < numbers["loss"]
