"""The same loss in other libraries: their values at the same inputs, and why, as ``tools/libraries.py`` found them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One loss in one library, measured.

    Attributes:
        library: the library's name.
        call: Python that calls it; it reads the inputs by their names, and the value of its last line is compared.
        params: the parameters of ours that are not the default ones.
        input: where both were evaluated, see :func:`inputs`.
        ours: our value.
        theirs: the value of ``call``.
        difference: theirs minus ours.
        ratio: theirs over ours; ``None`` where ours is 0 or infinite.
        kind: they agree as they are; they agree after ``adjust``; or they are different functions.
        adjust: what makes an explained pair agree: Python in place of ``call``, which may read its value as
            ``theirs``; or parameters of ours.
        adjusts: whether ``adjust`` changes theirs, ours or, where it is empty, nothing.
        adjusted: the adjusted value, to be compared with the other side; ``None`` where nothing is adjusted.
        tolerance: relative difference up to which two values count as the same.
        gradient_difference: the largest difference between the gradients by the first differentiable input, after
            ``adjust``, relative to the largest slope; ``None`` where the library gives no gradient.
        gradient: why the gradients differ, or why there is none to compare; empty where they agree.
        reason: why the values agree or differ, in sentences.
    """

    library: str
    call: str
    params: Mapping[str, Any]
    input: str
    ours: float
    theirs: float
    difference: float
    ratio: float | None
    kind: Literal["same", "explained", "different"]
    adjust: str
    adjusts: Literal["theirs", "ours", ""]
    adjusted: float | None
    tolerance: float
    gradient_difference: float | None
    gradient: str
    reason: str


def across(key: str) -> tuple[Comparison, ...]:
    """The comparisons of the loss with this key, library by library; none where no library has it."""
    return _comparisons().get(key, ())


def compared() -> tuple[str, ...]:
    """The keys of the losses that some library has too."""
    return tuple(_comparisons())


def versions() -> Mapping[str, str]:
    """The version of each package that was measured."""
    return MappingProxyType(_file()["versions"])


def imports(library: str) -> tuple[str, ...]:
    """The import lines that the calls of this library need."""
    return tuple(_file()["imports"][library])


def inputs(name: str) -> dict[str, Tensor]:
    """The inputs that a comparison names: whole numbers as int64, all others as float64."""
    return {key: _tensor(value) for key, value in _file()["inputs"][name].items()}


def _tensor(value: list[Any]) -> Tensor:
    tensor = torch.tensor(value)
    return tensor if tensor.dtype == torch.int64 else torch.tensor(value, dtype=torch.float64)


@cache
def _file() -> dict[str, Any]:
    return json.loads((files("lossviz.losses") / "libraries.json").read_text("utf-8"))


@cache
def _comparisons() -> Mapping[str, tuple[Comparison, ...]]:
    rows: dict[str, list[dict[str, Any]]] = _file()["rows"]
    return {key: tuple(_comparison(**row) for row in of_one) for key, of_one in rows.items()}


def _comparison(*, params: dict[str, Any], ours: Any, theirs: Any, difference: Any, **row: Any) -> Comparison:
    # Strict JSON has no infinity, so its name stands for it.
    return Comparison(
        params=MappingProxyType(params), ours=float(ours), theirs=float(theirs), difference=float(difference), **row
    )
