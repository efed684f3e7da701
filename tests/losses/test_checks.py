"""No bad value slips through the quick pass that spares good ones the search for a place."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from lossviz.losses._checks import (
    check_above,
    check_among,
    check_at_least,
    check_between,
    check_distribution,
    check_finite,
    check_labels,
)

Check = Callable[[Tensor], None]
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
ENDLESS = (math.nan, math.inf, -math.inf)
# Each: the check, values it takes (the ends of its range among them), values it refuses, and what it says of them.
CHECKS: dict[str, tuple[Check, Sequence[float], Sequence[float], str]] = {
    "finite": (lambda x: check_finite(x=x), (0.0, -6e4, 6e4), ENDLESS, "finite numbers"),
    "between": (lambda x: check_between("x", x, -1.0, 2.0), (-1.0, 0.5, 2.0), (-1.125, 2.125, *ENDLESS), "-1 to 2"),
    "at least": (lambda x: check_at_least("x", x, 0.0), (0.0, 0.5, 6e4), (-0.125, *ENDLESS), "0 or more"),
    "above": (lambda x: check_above("x", x, 0.0), (6e-8, 0.5, 6e4), (0.0, -0.125, *ENDLESS), "finite numbers above 0"),
    "among": (lambda x: check_among("x", x, (0, 1), "0 or 1"), (0.0, 1.0), (6e-8, 0.5, 2.0, -1.0, *ENDLESS), "0 or 1"),
    "signs": (lambda x: check_among("x", x, (-1, 1), "-1 or +1"), (-1.0, 1.0), (0.0, 1.125, *ENDLESS), "-1 or +1"),
}


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", CHECKS)
def test_a_bad_value_is_found_wherever_it_stands(name: str, dtype: torch.dtype) -> None:
    check, good, bad, allowed = CHECKS[name]
    # Long enough for a vectorised loop and what is left over behind it.
    for length in (1, 7, 64, 133):
        values = torch.tensor(good, dtype=dtype).repeat(length)[:length]
        check(values)
        for place in {0, length // 2, length - 1}:
            for value in bad:
                spoilt = values.clone()
                spoilt[place] = value
                with pytest.raises(ValueError) as error:
                    check(spoilt)
                assert str(error.value) == f"x at ({place},) is {spoilt[place].item():g}, allowed: {allowed}"


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_checked_may_be_empty_a_single_number_or_part_of_a_graph(name: str) -> None:
    check, good, bad, _ = CHECKS[name]
    check(torch.zeros(0))
    check(torch.tensor(good).requires_grad_())
    check(torch.tensor(good[-1]))
    with pytest.raises(ValueError, match=rf"^x is {bad[0]:g}, allowed: "):
        check(torch.tensor(bad[0]))


def test_labels_and_probabilities() -> None:
    check_labels(torch.tensor([0, 2, 1]), 3)
    for bad in (-1, 3, -(2**63), 2**63 - 1):
        with pytest.raises(ValueError, match=r"^target at \(1,\) is \S+, allowed: 0 to 2$"):
            check_labels(torch.tensor([0, bad, 1]), 3)
    check_distribution("p", torch.tensor([[0.3, 0.7009], [0.3, 0.6991]]))
    for share in (0.702, 0.698):
        with pytest.raises(ValueError, match=r"^the sum of p at \(1,\) is \S+, allowed: 1, since"):
            check_distribution("p", torch.tensor([[0.3, 0.7], [0.3, share]]))
    with pytest.raises(ValueError, match=r"^p at \(0, 1\) is nan, allowed: 0 to 1$"):
        check_distribution("p", torch.tensor([[0.3, math.nan]]))
