"""The checks that all entries share: where each range ends, what their quick way spares, which shapes they refuse."""

import math
import re
import sys
from collections.abc import Callable
from functools import partial

import pytest
import torch
from loss_samples import draw
from sampling import of
from torch import Tensor

import lossviz
from lossviz.losses import _checks as checks

Check = Callable[[Tensor], None]
LARGEST = sys.float_info.max
ABOVE_0 = math.nextafter(0.0, 1.0)
BELOW_0 = -ABOVE_0
ABOVE_1 = math.nextafter(1.0, 2.0)

BETWEEN: Check = partial(checks.check_between, "x", low=0.0, high=1.0)
AT_LEAST: Check = partial(checks.check_at_least, "x", low=0.0)
ABOVE: Check = partial(checks.check_above, "x", low=0.0)
AMONG: Check = partial(checks.check_among, "x", values=(-1.0, 0.0, 1.0), allowed="-1, 0 or 1")
DISTRIBUTION: Check = partial(checks.check_distribution, "x")


def finite(x: Tensor) -> None:
    checks.check_finite(x=x)


# A check, values that it lets pass (the ends of its range among them), and such as it refuses.
RANGES = [
    pytest.param(finite, [LARGEST, -LARGEST, 0.0], [math.inf, -math.inf, math.nan], "finite numbers", id="finite"),
    pytest.param(BETWEEN, [0.0, 0.5, 1.0], [BELOW_0, ABOVE_1, math.nan, math.inf], "0 to 1", id="between"),
    pytest.param(AT_LEAST, [0.0, 0.5, LARGEST], [BELOW_0, math.nan, math.inf], "0 or more", id="at-least"),
    pytest.param(ABOVE, [ABOVE_0, 0.5, LARGEST], [0.0, -1.0, math.nan, math.inf], "finite numbers above 0", id="above"),
    pytest.param(AMONG, [-1.0, 0.0, 1.0], [0.5, 2.0, -ABOVE_1, ABOVE_0, math.nan, math.inf], "-1, 0 or 1", id="among"),
]


@pytest.mark.parametrize(("check", "good", "bad", "allowed"), RANGES)
def test_a_range_ends_where_it_says(check: Check, good: list[float], bad: list[float], allowed: str) -> None:
    check(of(torch.float64, *good))
    check(of(torch.float64))
    for value in bad:
        # All good values stand before it and behind it, none of which the error may name.
        tensor = torch.stack([of(torch.float64, *good), of(torch.float64, *good[:-1], value), of(torch.float64, *good)])
        place = (1, len(good) - 1)
        with pytest.raises(ValueError, match=f"^{re.escape(f'x at {place} is {value:g}, allowed: {allowed}')}$"):
            check(tensor)


@pytest.mark.parametrize(("check", "good", "bad", "allowed"), RANGES)
def test_good_values_are_not_looked_at_one_by_one(
    check: Check, good: list[float], bad: list[float], allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is what keeps a check cheaper than the loss that it guards."""
    monkeypatch.delattr(checks, "check_where")
    check(of(torch.float64, *good))


def test_values_among_many_are_all_looked_at() -> None:
    for place in (0, 2**15 - 1, 2**15, 2**16 + 5):
        tensor = torch.zeros(2**16 + 7, dtype=torch.float64)
        tensor[place] = 3
        with pytest.raises(ValueError, match=rf"x at \({place},\) is 3"):
            AMONG(tensor)


def test_labels_in_range_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(checks, "check_where")
    checks.check_labels(torch.tensor([0, 2]), 3)
    DISTRIBUTION(of(torch.float64, 0.5, 0.5009))


def test_probabilities_add_up_to_1_within_a_thousandth() -> None:
    for off in (-0.0009, 0.0, 0.0009):
        DISTRIBUTION(of(torch.float64, [0.5, 0.5], [0.25, 0.75 + off]))
    for off in (-0.0011, 0.0011):
        with pytest.raises(ValueError, match=rf"^the sum of x at \(1,\) is {1 + off:g}, allowed: 1, since"):
            DISTRIBUTION(of(torch.float64, [0.5, 0.5], [0.25, 0.75 + off], [0.5, 0.5]))


# --- shapes and dtypes


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def whole(*shape: int) -> Tensor:
    return zeros(*shape, dtype=torch.int64)


def test_what_fits_passes() -> None:
    checks.require_floating(a=zeros(1), b=zeros(2, 3))
    checks.require_same_shape(a=zeros(2), b=whole(2))
    checks.require_elementwise(pred=zeros(2), target=zeros(2))
    checks.require_classes(pred=zeros(1, 2), target=whole(1))
    checks.require_one_per_class("weight", zeros(3), zeros(1, 3))
    checks.require_axes("(N, D)", a=zeros(1, 2))
    checks.require_axes("(N,)", a=zeros(1))
    checks.require_axes("()", a=zeros())
    checks.require_axes("(N, K, H, W)", a=zeros(1, 2, 3, 4))
    checks.require_shape("a", zeros(2, 3), (2, 3), "why")
    checks.require_rows(a=zeros(1, 2), b=zeros(1, 2))
    checks.require_index("a", whole(2), (2,))


DOUBLE = zeros(2, dtype=torch.float64)
MISFITS: list[tuple[Callable[[], None], str]] = [
    (lambda: checks.require_floating(a=zeros(1), b=whole(1)), "b has dtype torch.int64, allowed: a floating dtype"),
    (lambda: checks.require_floating(a=zeros(1), b=DOUBLE), "b has dtype torch.float64, allowed: that of a, torch.fl"),
    (lambda: checks.require_floating(a=zeros(1), b=zeros(0)), r"b has shape \(0,\): the batch is empty, allowed: one"),
    (lambda: checks.require_same_shape(a=zeros(2), b=zeros(2, 1)), r"b has shape \(2, 1\), allowed: that of a, \(2,\)"),
    (
        lambda: checks.require_elementwise(pred=zeros(2), target=zeros(3)),
        r"target has shape \(3,\), allowed: that of p",
    ),
    (lambda: checks.require_elementwise(pred=zeros(2), target=whole(2)), "target has dtype torch.int64, allowed: a fl"),
    (lambda: checks.require_classes(pred=zeros(2), target=whole(2)), r"pred has shape \(2,\), allowed: \(N, K\) with"),
    (lambda: checks.require_classes(pred=zeros(2, 2, 1), target=whole(2)), r"pred has shape \(2, 2, 1\), allowed: \("),
    (lambda: checks.require_classes(pred=zeros(2, 1), target=whole(2)), r"pred has shape \(2, 1\), allowed: \(N, K\) "),
    (lambda: checks.require_classes(pred=whole(2, 2), target=whole(2)), "pred has dtype torch.int64, allowed: a float"),
    (lambda: checks.require_classes(pred=zeros(2, 2), target=zeros(2)), "target has dtype torch.float32, allowed: tor"),
    (lambda: checks.require_classes(pred=zeros(2, 2), target=whole(3)), r"target has shape \(3,\), allowed: \(2,\), o"),
    (lambda: checks.require_one_per_class("w", zeros(2), zeros(1, 3)), r"w has shape \(2,\), allowed: \(3,\), one for"),
    (lambda: checks.require_axes("(N, D)", a=zeros(1, 1), b=zeros(1)), r"b has shape \(1,\), allowed: \(N, D\)"),
    (lambda: checks.require_axes("(N, D)", a=zeros(1, 1, 1)), r"a has shape \(1, 1, 1\), allowed: \(N, D\)"),
    (lambda: checks.require_axes("(N,)", a=zeros()), r"a has shape \(\), allowed: \(N,\)"),
    (lambda: checks.require_axes("()", a=zeros(1)), r"a has shape \(1,\), allowed: \(\)"),
    (lambda: checks.require_shape("a", zeros(2), (3,), "why"), r"a has shape \(2,\), allowed: \(3,\), why"),
    (lambda: checks.require_rows(a=zeros(2), b=zeros(2)), r"a has shape \(2,\), allowed: \(N, D\)"),
    (lambda: checks.require_rows(a=zeros(2, 1), b=zeros(2, 2)), r"b has shape \(2, 2\), allowed: that of a, \(2, 1\)"),
    (lambda: checks.require_rows(a=whole(2, 1)), "a has dtype torch.int64, allowed: a floating dtype"),
    (lambda: checks.require_index("a", zeros(2), (2,)), "a has dtype torch.float32, allowed: torch.int64, an index"),
    (lambda: checks.require_index("a", whole(2), (3,)), r"a has shape \(2,\), allowed: \(3,\), one for each row"),
]


@pytest.mark.parametrize(("require", "message"), MISFITS)
def test_what_does_not_fit_is_named(require: Callable[[], None], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        require()


@pytest.mark.parametrize("key", ["fgsm_ce", "pgd_ce"])
def test_an_attack_needs_room(key: str) -> None:
    loss = lossviz.get(key)
    inputs = draw(loss, 3)
    for low, high in ((0.5, 0.5), (0.75, 0.5)):
        with pytest.raises(ValueError, match=rf"^clip_min is {low:g}, allowed: below clip_max, {high:g}$"):
            loss.check(inputs, loss.resolve({"clip_min": low, "clip_max": high}))


def below(x: float) -> float:
    return math.nextafter(x, -math.inf)


def above(x: float) -> float:
    return math.nextafter(x, math.inf)


# Of each loss and input, the numbers at the ends of its range, and those just beyond.
ENDS: list[tuple[str, str, tuple[float, ...], tuple[float, ...]]] = [
    ("barron_adaptive", "alpha", (0.0, 2.0), (below(0.0), above(2.0))),
    ("barron_adaptive", "c", (above(0.0),), (0.0,)),
    ("bce", "pred", (0.0, 1.0), (below(0.0), above(1.0))),
    ("msle", "pred", (0.0,), (below(0.0),)),
    ("poisson_nll", "target", (0.0,), (below(0.0),)),
    ("gaussian_nll", "var", (0.0,), (below(0.0),)),
    ("gamma_deviance", "pred", (above(0.0),), (0.0,)),
    ("gamma_deviance", "target", (above(0.0),), (0.0,)),
    ("gradient_penalty", "eps", (0.0, 1.0), (below(0.0), above(1.0))),
    ("vae_elbo", "logvar", (-80.0, 80.0), (below(-80.0), above(80.0))),
    ("weighted_sum", "weights", (0.0,), (below(0.0),)),
    ("uncertainty_weighting", "log_var", (-50.0, 50.0), (below(-50.0), above(50.0))),
    ("gradnorm", "losses", (above(0.0),), (0.0,)),
    ("gradnorm", "initial_losses", (above(0.0),), (0.0,)),
    ("gradnorm", "grad_norms", (0.0,), (below(0.0),)),
    ("gradnorm", "weights", (0.0,), (below(0.0),)),
    ("dwa", "prev1", (0.0,), (below(0.0),)),
    ("dwa", "prev2", (1e-3,), (0.0,)),
    ("lambdarank", "relevance", (0.0, 100.0), (below(0.0), above(100.0))),
    ("dice", "pred", (0.0, 1.0), (below(0.0), above(1.0))),
    ("lovasz_softmax", "pred", (), (below(0.0), above(1.0))),
    ("kl_sparsity", "activations", (0.0, 1.0), (below(0.0), above(1.0))),
]


@pytest.mark.parametrize(("key", "name", "good", "bad"), ENDS)
def test_the_range_of_an_input_ends_where_the_entry_says(
    key: str, name: str, good: tuple[float, ...], bad: tuple[float, ...]
) -> None:
    loss = lossviz.get(key)
    inputs, params = draw(loss, 3), loss.resolve()
    for value in (*good, *bad):
        changed = inputs[name].clone()
        changed.view(-1)[0] = value
        if value in good:
            loss.check(inputs | {name: changed}, params)
        else:
            with pytest.raises(ValueError, match=rf"^{name}( at \(.*\))? is \S+, allowed: "):
                loss.check(inputs | {name: changed}, params)


@pytest.mark.parametrize("key", ["reconstruction", "vae_elbo"])
@pytest.mark.parametrize("name", ["pred", "target"])
def test_pixels_are_probabilities_where_their_cross_entropy_is_taken(key: str, name: str) -> None:
    loss = lossviz.get(key)
    inputs, params = draw(loss, 3), loss.resolve({"kind": "bce"})
    for value in (0.0, 1.0, below(0.0), above(1.0)):
        changed = inputs[name].clone()
        changed.view(-1)[0] = value
        if value in (0.0, 1.0):
            loss.check(inputs | {name: changed}, params)
        else:
            with pytest.raises(ValueError, match=rf"^{name} at \(.*\) is \S+, allowed: 0 to 1$"):
                loss.check(inputs | {name: changed}, params)


def test_a_progress_that_only_the_temperature_makes_infinite_is_refused() -> None:
    loss = lossviz.get("dwa")
    one = torch.ones(2, dtype=torch.float64)
    inputs = {"losses": one, "prev1": 5e307 * one, "prev2": one}
    loss.check(inputs, loss.resolve({"temperature": 1.0}))
    with pytest.raises(ValueError, match=r"^prev2 at \(0,\) is 1, allowed: large enough"):
        loss.check(inputs, loss.resolve({"temperature": 0.1}))
