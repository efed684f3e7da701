"""What every scene has: handles that a finger holds, and a frame of numbers and arrays that answers them."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from lossviz.losses.entry import Flag, Formula, Loss, Number, Param
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
class Series:
    """Several draggable numbers of one kind: the cells of a grid, the coordinates of points.

    There may be ``fewest`` to ``most`` of them; where one is 0, as many as in ``default`` stands for it.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    default: tuple[float, ...]
    fewest: int = 0
    most: int = 0
    whole: bool = False

    def parse(self, value: object) -> list[float]:
        """Return ``value`` as a list of floats, or raise ``ValueError`` naming it and what is allowed."""
        fewest, most = self.fewest or len(self.default), self.most or len(self.default)
        count = str(fewest) if fewest == most else f"{fewest} to {most}"
        several = isinstance(value, list | tuple)
        entries = list(cast("Sequence[object]", value)) if several else []
        good = [entry for entry in entries if isinstance(entry, int | float) and not isinstance(entry, bool)]
        inside = [float(entry) for entry in good if self.low <= entry <= self.high and not (self.whole and entry % 1)]
        if not several or len(inside) < len(entries) or not fewest <= len(inside) <= most:
            allowed = f"{count} {'whole ' if self.whole else ''}numbers from {self.low:g} to {self.high:g}"
            raise ValueError(f"Handle {self.name} is {reprlib.repr(cast('object', value))}; allowed: {allowed}.")
        return inside


@dataclass(frozen=True, slots=True)
class Text:
    """A line that is typed: at most ``most`` characters, printable, and good enough for ``check``.

    ``check`` raises ``ValueError`` saying what is wrong; that is the handle's own error.
    """

    name: str
    label: str
    default: str
    most: int
    check: Callable[[str], object]

    def parse(self, value: object) -> str:
        """Return ``value``, or raise ``ValueError`` naming it and what is allowed."""
        if not isinstance(value, str) or not len(value) <= self.most or not value.isprintable():
            allowed = f"a line of at most {self.most} printable characters"
            raise ValueError(f"Handle {self.name} is {reprlib.repr(value)}; allowed: {allowed}.")
        self.check(value)
        return value


Values: TypeAlias = Mapping[str, Any]
"""A scene's handles and options by name: a float, a list of floats, or an option's value."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The answer to one position of the handles.

    ``numbers`` holds exact float64 values by loss and name; a loss that is undefined there has none and a sentence in
    ``notes`` instead. ``arrays`` hold what is drawn, by the names that the scene's views document. ``lines`` hold the
    values of a formula's lines, by loss, ``steps`` those of the gradient's derivation; ``proofs`` hold the gradient
    three ways, ``witnesses`` what the counter-examples of a loss's denied properties show. ``moved`` holds the handles
    after a step against the gradient, where one was asked for. ``told`` holds what else a scene has to say, as JSON.
    """

    numbers: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    arrays: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    lines: dict[str, list[list[float]]] = field(default_factory=dict[str, list[list[float]]])
    steps: dict[str, list[list[float]]] = field(default_factory=dict[str, list[list[float]]])
    proofs: dict[str, Proof] = field(default_factory=dict[str, Proof])
    witnesses: dict[str, dict[str, Witness]] = field(default_factory=dict[str, dict[str, Witness]])
    moved: dict[str, Any] = field(default_factory=dict[str, Any])
    told: dict[str, Any] = field(default_factory=dict[str, Any])


RATE = Number("How far one step against the gradient goes.", 0.25, 0.001, 10.0, "log")
ARROWS = Flag("Show where one step against the gradient leads.", True)


def stepped(handle: Handle | Series, value: float, slope: float, rate: float) -> float:
    """Where one step of gradient descent takes a handle, inside its bounds."""
    return min(handle.high, max(handle.low, value - rate * slope))


def as_listed(handles: Values, loss: Loss) -> Loss:
    """The loss of the catalogue itself, whatever the handles."""
    return loss


Params = Mapping[str, Mapping[str, Any]]
"""Hyperparameters by loss key, then by name; what is left out has its default."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A geometry: ``inputs(handles, loss)`` gives a loss's named tensors, ``views`` draws frames.

    ``views(losses, handles, params, wanted)`` takes at most eight losses and answers the wanted views in one frame.

    Attributes:
        key: stable name; addresses hold it.
        name: name for people.
        task: the sentence that the page begins with: what to do.
        handles: what a finger holds.
        input_kinds: kinds of inputs that it can make.
        view_names: what may be asked for, for one loss as ``"name:key"``.
        inputs: named tensors of a loss.
        views: evaluates losses.
        opening: keys of the losses that it begins with.
        options: choices, marks and numbers beside the handles, such as what an axis shows.
        without: keys of losses that fit by their kind and still cannot be drawn here.
        step: the handles after one step of gradient descent, those that move; ``None`` where there is nothing to do.
        own: by key the losses that it makes from its handles; it draws them before those of the catalogue.
        start: parameters that a newcomer finds, by loss and name, where a loss's own default shows little here.
        paired: names of series that always have as many entries as one another, such as the coordinates of points.
        drawn: what it makes of a loss of the catalogue at these handles: formula, code and ``inputs`` belong to it.
    """

    key: str
    name: str
    task: str
    handles: tuple[Handle | Series | Text, ...]
    input_kinds: tuple[str, ...]
    view_names: tuple[str, ...]
    inputs: Callable[[Values, Loss], dict[str, Any]]
    views: Callable[[Sequence[Loss], Values, Params, Sequence[str]], Frame]
    opening: tuple[str, ...]
    options: Mapping[str, Param] = field(default_factory=dict[str, Param])
    without: tuple[str, ...] = ()
    step: Callable[[Loss, Values, Mapping[str, Any]], dict[str, Any]] | None = None
    own: Mapping[str, Callable[[Values], Loss]] = field(default_factory=dict[str, Callable[[Values], Loss]])
    start: Params = field(default_factory=dict[str, Mapping[str, Any]])
    paired: tuple[tuple[str, ...], ...] = ()
    drawn: Callable[[Values, Loss], Loss] = as_listed

    @property
    def most(self) -> int:
        """How many losses of the catalogue it draws at once."""
        return MAX_LOSSES - len(self.own)

    def keys(self, losses: Sequence[Loss]) -> list[str]:
        """Return the keys of all losses that it draws, in order."""
        return [*self.own, *(loss.key for loss in losses)]

    def made(self, values: Values) -> tuple[Loss, ...]:
        """Return the losses that it makes itself, from its handles."""
        return tuple(make(values) for make in self.own.values())

    def losses(self, catalogue: Sequence[Loss]) -> tuple[Loss, ...]:
        """Return the catalogue's losses that fit this geometry, in display order."""
        fit = (loss for loss in catalogue if loss.input_kind in self.input_kinds)
        return tuple(loss for loss in fit if loss.key not in self.without)

    def resolve(self, loss: Loss) -> dict[str, Any]:
        """Return the parameters of a loss where a newcomer finds them."""
        return loss.resolve(self.start.get(loss.key))

    def parse_handles(self, values: Values) -> dict[str, Any]:
        """Return all handles and options, defaults where left out.

        Raises:
            ValueError: one is unknown, not finite, or outside what is allowed; or two that are paired differ in number.
        """
        known = {handle.name: handle for handle in self.handles}
        for name in values:
            if name not in known and name not in self.options:
                raise ValueError(f"Unknown handle {name[:40]!r}; this scene has {', '.join([*known, *self.options])}.")
        held: dict[str, Any] = {name: h.parse(values.get(name, h.default)) for name, h in known.items()}
        for names in self.paired:
            counts = [len(held[name]) for name in names]
            if len(set(counts)) > 1:
                found = " and ".join(f"{count} of {name}" for name, count in zip(names, counts, strict=True))
                raise ValueError(f"There are {found}; allowed: as many of each.")
        return held | {name: o.parse(name, values.get(name, o.default)) for name, o in self.options.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all handles and options."""
        return (*(handle.name for handle in self.handles), *self.options)

    @property
    def together(self) -> tuple[tuple[str, ...], ...]:
        """All names, those that can only be changed together as one."""
        bound = {name for names in self.paired for name in names}
        return (*self.paired, *((name,) for name in self.names if name not in bound))


def line_values(lines: Formula, named: Mapping[str, Any], params: Mapping[str, Any]) -> list[list[float]]:
    """Return the value of each line of a formula or derivation at the inputs ``named``, flattened."""
    with torch.no_grad():
        return [
            line.value(**named, **params).double().flatten().tolist()  # pyright: ignore[reportUnknownMemberType]
            for line in lines
        ]
