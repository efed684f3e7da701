"""What is recorded of float16, bfloat16 and float32 is still so."""

import math

import pytest
import torch
from loss_samples import EVERY_LOSS

from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.precision import DTYPES, Record, measured_with, precision
from tools.precision import measure

# Errors of a fraction of a rounding unit come and go with the order of a sum.
UNITS = {name: torch.finfo(getattr(torch, name)).eps for name in DTYPES}
FACTOR = 4


@EVERY_LOSS
def test_every_loss_has_a_record_for_each_dtype(loss: Loss) -> None:
    records = precision(loss.key)
    assert [record.dtype for record in records] == list(DTYPES)
    for record in records:
        assert (record.value is None) == bool(record.failure)
        assert len(record.failure) <= 100 and "\n" not in record.failure
        assert record.scaled in ("", *loss.differentiable[:1])
        for error in (record.value, record.gradient):
            assert error is None or 0 <= error < math.inf
        if record.stops is not None:
            assert record.scaled and math.log2(record.stops) % 1 == 0


def test_every_loss_works_in_float32() -> None:
    for loss in CATALOGUE:
        *_, single = precision(loss.key)
        assert not single.failure and single.value is not None and single.value < 1e-5, loss.key


@EVERY_LOSS
def test_measuring_again_gives_the_same(loss: Loss) -> None:
    if torch.__version__.partition("+")[0] != measured_with():
        pytest.skip(f"measured with torch {measured_with()}; another version may round otherwise")
    for found, known in zip(measure(loss), precision(loss.key), strict=True):
        assert verdict(found) == verdict(known)
        for now, then in ((found.value, known.value), (found.gradient, known.gradient)):
            assert (now is None) == (then is None)
            if now is not None and then is not None:
                least = UNITS[known.dtype]
                assert max(now, least) <= FACTOR * max(then, least)
                assert max(then, least) <= FACTOR * max(now, least)


def verdict(record: Record) -> tuple[str, str, float | None]:
    return record.failure, record.scaled, record.stops


def test_a_loss_that_was_not_measured_has_no_record() -> None:
    assert precision("nothing") == ()
