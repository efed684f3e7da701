"""How each loss behaves in float16, bfloat16 and float32 on the CPU, as ``tools/precision.py`` measured it."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias, cast

DType: TypeAlias = Literal["float16", "bfloat16", "float32"]
DTYPES: tuple[DType, ...] = ("float16", "bfloat16", "float32")


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one loss in one dtype.

    The reference is float64 with the very numbers that the inputs have after rounding to the dtype, so that only the
    loss's own arithmetic counts; parameters stay Python numbers. The points lie along the loss's slice, end to end.

    Attributes:
        dtype: the inputs' dtype.
        failure: what torch says where it cannot compute the loss, shortened; empty where it can.
        value: largest error of the reduced loss, relative to the largest value; ``None`` after a failure.
        gradient: largest error of autograd's gradient, relative to its largest entry; ``None`` also where no input
            has a gradient.
        scaled: the input that was scaled to look for the end of the range; empty where its domain has an end of its
            own, or where there is none to scale.
        stops: the smallest power of two to which the largest entry of ``scaled`` was brought, in either sign, and at
            which value or gradient is no longer finite; ``None`` where they are up to the largest one of the dtype.
    """

    dtype: DType
    failure: str
    value: float | None
    gradient: float | None
    scaled: str
    stops: float | None


def precision(key: str) -> tuple[Record, ...]:
    """What was measured of the loss with this key, a record for each dtype; none where nothing was."""
    return _records().get(key, ())


def measured_with() -> str:
    """The version of torch that was measured."""
    return cast("str", _content()["torch"])


@cache
def _content() -> dict[str, Any]:
    return json.loads((files("lossviz.losses") / "precision.json").read_text("utf-8"))


@cache
def _records() -> dict[str, tuple[Record, ...]]:
    losses: dict[str, list[dict[str, Any]]] = _content()["losses"]
    return {key: tuple(Record(**record) for record in records) for key, records in losses.items()}
