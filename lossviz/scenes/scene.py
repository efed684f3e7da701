"""What every scene has: handles that a finger holds, and a frame of numbers and arrays that answers them."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lossviz.losses.entry import Formula, Loss
from lossviz.losses.proof import Proof
from lossviz.losses.witness import Witness

MAX_LOSSES = 8
"""Colours and dashes that can still be told apart end here."""


@dataclass(frozen=True, slots=True)
class Handle:
    """One draggable number: its bounds, its keyboard step and what a newcomer finds it at.

    A handle with ``step=1`` and whole bounds is a choice (a class label) and takes whole numbers only.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    default: float
    whole: bool = False

    def parse(self, value: object) -> float:
        """Return ``value`` as a float, or raise ``ValueError`` naming it and what is allowed."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.low <= value <= self.high:
            span = f"{self.low:g} to {self.high:g}"
            raise ValueError(f"Handle {self.name} is {reprlib.repr(value)}; allowed: a number from {span}.")
        if self.whole and value % 1:
            raise ValueError(f"Handle {self.name} is {value!r}; allowed: a whole number.")
        return float(value)


@dataclass(frozen=True, slots=True)
class Frame:
    """The answer to one position of the handles.

    ``numbers`` holds exact float64 values by loss and name; a loss that is undefined there has none and a sentence in
    ``notes`` instead. ``arrays`` hold what is drawn, by the names that the scene's views document. ``lines`` hold the
    values of a formula's lines, by loss, ``steps`` those of the gradient's derivation; ``proofs`` hold the gradient
    three ways, ``witnesses`` what the counter-examples of a loss's denied properties show.
    """

    numbers: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    arrays: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    lines: dict[str, list[list[float]]] = field(default_factory=dict[str, list[list[float]]])
    steps: dict[str, list[list[float]]] = field(default_factory=dict[str, list[list[float]]])
    proofs: dict[str, Proof] = field(default_factory=dict[str, Proof])
    witnesses: dict[str, dict[str, Witness]] = field(default_factory=dict[str, dict[str, Witness]])


Params = Mapping[str, Mapping[str, Any]]
"""Hyperparameters by loss key, then by name; what is left out has its default."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A geometry: ``inputs(handles, loss)`` gives a loss's named tensors, ``views`` draws frames.

    ``views(losses, handles, params, wanted)`` takes at most eight losses and answers the wanted views in one frame.
    """

    key: str
    name: str
    task: str
    handles: tuple[Handle, ...]
    input_kinds: tuple[str, ...]
    view_names: tuple[str, ...]
    inputs: Callable[[Mapping[str, float], Loss], dict[str, Any]]
    views: Callable[[Sequence[Loss], Mapping[str, float], Params, Sequence[str]], Frame]

    def losses(self, catalogue: Sequence[Loss]) -> tuple[Loss, ...]:
        """Return the catalogue's losses that fit this geometry, in display order."""
        return tuple(loss for loss in catalogue if loss.input_kind in self.input_kinds)

    def parse_handles(self, values: Mapping[str, object]) -> dict[str, float]:
        """Return all handles, defaults where left out; raise ``ValueError`` for an unknown, non-finite or far one."""
        known = {handle.name: handle for handle in self.handles}
        for name in values:
            if name not in known:
                raise ValueError(f"Unknown handle {name[:40]!r}; this scene has {', '.join(known)}.")
        return {name: h.parse(values[name]) if name in values else h.default for name, h in known.items()}


def line_values(lines: Formula, named: Mapping[str, Any], params: Mapping[str, Any]) -> list[list[float]]:
    """Return the value of each line of a formula or derivation at the inputs ``named``, flattened."""
    with torch.no_grad():
        return [
            line.value(**named, **params).double().flatten().tolist()  # pyright: ignore[reportUnknownMemberType]
            for line in lines
        ]
