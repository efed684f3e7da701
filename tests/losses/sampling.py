"""What the tests have to know of a loss: how its inputs are drawn, what is wrong with others, what to expect."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

Inputs = dict[str, Any]
CLASSES = 3


class Source(ABC):
    """Numbers to build inputs of; ``rows`` may be 0, and then so is the batch."""

    def __init__(self, rows: int, dtype: torch.dtype) -> None:
        self.rows, self.dtype = rows, dtype

    @abstractmethod
    def reals(self, *shape: int) -> Tensor:
        """Numbers of either sign and of very different sizes."""

    @abstractmethod
    def fractions(self, *shape: int) -> Tensor:
        """Numbers from 0 to 1."""

    @abstractmethod
    def pick(self, values: Sequence[float], *shape: int) -> Tensor:
        """Some of these values: int64 where they are whole numbers in Python, else of the source's dtype."""

    def nonnegative(self, *shape: int) -> Tensor:
        return self.reals(*shape).abs().clamp(max=1e6)

    def positive(self, *shape: int) -> Tensor:
        return self.reals(*shape).abs().clamp(1e-3, 1e6)

    def distributions(self, *shape: int) -> Tensor:
        """Probabilities, none of them 0, that add up to 1 along the last axis."""
        return self.reals(*shape).clamp(-30, 30).softmax(-1)

    def labels(self, classes: int, *shape: int) -> Tensor:
        return self.pick(range(classes), *shape)

    def of(self, values: Sequence[float], shape: tuple[int, ...]) -> Tensor:
        whole = bool(values) and all(isinstance(value, int) for value in values)
        return torch.tensor(values, dtype=torch.int64 if whole else self.dtype).reshape(shape)


class Random(Source):
    """Drawn by a seed; ``spread`` is how many powers of ten the sizes of the rows cover each way."""

    def __init__(self, rows: int, seed: int = 0, dtype: torch.dtype = torch.float64, spread: float = 1.0) -> None:
        super().__init__(rows, dtype)
        self.spread, self.generator = spread, torch.Generator().manual_seed(seed)

    def reals(self, *shape: int) -> Tensor:
        powers = self._uniform(*shape[:1]) * 2 - 1
        size = (10 ** (powers * self.spread)).reshape(*shape[:1], *[1] * (len(shape) - 1))
        return (torch.randn(shape, generator=self.generator, dtype=torch.float64) * size).to(self.dtype)

    def fractions(self, *shape: int) -> Tensor:
        return self._uniform(*shape).to(self.dtype)

    def pick(self, values: Sequence[float], *shape: int) -> Tensor:
        places = torch.randint(len(values), shape, generator=self.generator)
        return self.of(values, (len(values),))[places]

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=torch.float64)


class Drawn(Source):
    """Drawn by hypothesis, which looks for the smallest failing example; sizes up to ``reach``."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], rows: int, reach: float) -> None:
        super().__init__(rows, torch.float64)
        self.draw, self.reach = draw, reach

    def reals(self, *shape: int) -> Tensor:
        return self._several(st.floats(-self.reach, self.reach), shape)

    def fractions(self, *shape: int) -> Tensor:
        return self._several(st.floats(0.0, 1.0), shape)

    def pick(self, values: Sequence[float], *shape: int) -> Tensor:
        return self._several(st.sampled_from(list(values)), shape)

    def _several(self, one: st.SearchStrategy[float], shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape)
        return self.of(self.draw(st.lists(one, min_size=count, max_size=count)), shape)


@dataclass(frozen=True)
class Bad:
    """A value that ``check`` refuses at the first place of an input; ``message`` is a pattern of the error."""

    name: str
    value: float
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)


def _none(dtype: torch.dtype) -> list[Inputs]:
    return []


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How the tests treat one loss.

    Attributes:
        draw: valid inputs with ``source.rows`` rows.
        bad: values that ``check`` refuses.
        extremes: inputs at the ends of the domain, where value and gradients have to be finite.
        axis: which axis of an input counts the rows: the first where nothing is said, ``None`` where none does.
        rowwise: ``fn`` gives one value a row, and no row feels another. Properties are then claimed of a row, for
            fixed values of the inputs that count no rows.
        fewest: rows below which ``check`` refuses.
        lowest: the loss never falls below this.
        reach: largest size of the numbers that hypothesis draws.
        spread: powers of ten each way that the sizes in the search for refuted properties cover.
        free_rows: inputs that stand a row less without contradicting another input (class centres).
        free_shape: inputs of any shape at all.
        ends: for a parameter, the values to test instead of the ends of its range.
        mirror: the exchange that a symmetric loss does not notice; the int is a seed.
        moves_rows: the exchange is one of rows, so that their values change places too.
        scales: the inputs multiplied in the search for scale invariance.
        grid: predictions ``(G, K)`` among which the minimiser of the expected loss is looked for.
        forecast: the probabilities ``(N, labels)`` that scores stand for, where that is neither softmax nor sigmoid.
            A "yes" may be claimed of it; the page shows a "no" with softmax or sigmoid.
        difference: how closely central differences agree, relative to the largest slope; ``None`` where a part of the
            loss is detached by definition, so that they cannot.
        float32: relative error allowed in float32; ``None`` where a sign or a rank may flip.
        unbatched: why ``vmap`` cannot batch the loss; empty where it can.
    """

    draw: Callable[[Source], Inputs]
    bad: tuple[Bad, ...] = ()
    extremes: Callable[[torch.dtype], list[Inputs]] = _none
    axis: Mapping[str, int | None] = field(default_factory=dict)
    rowwise: bool = True
    fewest: int = 1
    lowest: float = 0.0
    reach: float = 1e3
    spread: float = 2.5
    free_rows: tuple[str, ...] = ()
    free_shape: tuple[str, ...] = ()
    ends: Mapping[str, list[Any]] = field(default_factory=dict)
    mirror: Callable[[Inputs, int], Inputs] | None = None
    moves_rows: bool = False
    scales: tuple[str, ...] = ()
    grid: Callable[[], Tensor] | None = None
    forecast: Callable[[Tensor], Tensor] | None = None
    difference: float | None = 1e-6
    float32: float | None = 2e-5
    unbatched: str = ""


# --- the geometries that several losses share; take one and change what differs with dataclasses.replace


def of(dtype: torch.dtype, *values: Any) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def _reflect(inputs: Inputs, seed: int) -> Inputs:
    return inputs | {"pred": 2 * inputs["target"] - inputs["pred"]}


def _permute(inputs: Inputs, seed: int) -> Inputs:
    order = torch.randperm(inputs["pred"].shape[1], generator=torch.Generator().manual_seed(seed))
    return inputs | {"pred": inputs["pred"][:, order], "target": order.argsort()[inputs["target"]]}


def _class_extremes(dtype: torch.dtype) -> list[Inputs]:
    labels = torch.arange(CLASSES)
    logits = of(dtype, [1000, -1000, 0], [1000, -1000, 0], [-1000, -1000, 1000])
    return [{"pred": logits, "target": labels}, {"pred": torch.zeros_like(logits), "target": labels}]


REGRESSION = Sample(
    draw=lambda s: {"pred": s.reals(s.rows), "target": s.reals(s.rows)},
    extremes=lambda d: [{"pred": of(d, 1e6, -1e6, 0, 3), "target": of(d, -1e6, 1e6, 0, 3)}],
    spread=4.0,
    mirror=_reflect,
    scales=("pred", "target"),
)
NONNEGATIVE = Sample(
    draw=lambda s: {"pred": s.nonnegative(s.rows), "target": s.nonnegative(s.rows)},
    bad=(Bad("pred", -0.5, r"pred at \(0,\) is -0.5, allowed: 0"), Bad("target", -0.5, r"target at .* is -0.5")),
    extremes=lambda d: [{"pred": of(d, 0, 1e6, 0, 1e6), "target": of(d, 0, 0, 1e6, 1e6)}],
    spread=6.0,
    mirror=_reflect,
    scales=("pred", "target"),
)
POSITIVE = Sample(
    draw=lambda s: {"pred": s.positive(s.rows), "target": s.positive(s.rows)},
    bad=(Bad("pred", 0.0, r"pred at \(0,\) is 0, allowed: "), Bad("pred", -1.0, r"pred at \(0,\) is -1, allowed: ")),
    extremes=lambda d: [{"pred": of(d, 1e-3, 1e6, 1, 1e-3), "target": of(d, 1e6, 1e-3, 1, 1e-3)}],
    mirror=_reflect,
    scales=("pred", "target"),
)
BINARY = Sample(
    draw=lambda s: {"pred": s.reals(s.rows), "target": s.pick([0.0, 1.0], s.rows)},
    bad=(
        Bad("target", 1.5, r"target at \(0,\) is 1.5, allowed: 0"),
        Bad("target", -1.0, r"target at .* is -1, allowed"),
    ),
    extremes=lambda d: [{"pred": of(d, 1000, -1000, 1000, -1000, 0), "target": of(d, 0, 0, 1, 1, 1)}],
    mirror=lambda inputs, _: {"pred": -inputs["pred"], "target": 1 - inputs["target"]},
)
MARGIN = Sample(
    draw=lambda s: {"pred": s.reals(s.rows), "target": s.pick([-1.0, 1.0], s.rows)},
    bad=(Bad("target", 0.0, r"target at \(0,\) is 0, allowed: -1 or \+1"),),
    extremes=lambda d: [{"pred": of(d, 1000, -1000, 1, 0), "target": of(d, 1, 1, 1, -1)}],
    spread=1.0,
    mirror=lambda inputs, _: {name: -value for name, value in inputs.items()},
)
CLASS_LOGITS = Sample(
    draw=lambda s: {"pred": s.reals(s.rows, CLASSES), "target": s.labels(CLASSES, s.rows)},
    bad=(
        Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2"),
        Bad("target", -1, r"target at \(0,\) is -1, allowed: 0 to 2"),
    ),
    extremes=_class_extremes,
    mirror=_permute,
)
PAIRS = Sample(
    draw=lambda s: {"x1": s.reals(s.rows, 4), "x2": s.reals(s.rows, 4)},
    mirror=lambda inputs, _: inputs | {"x1": inputs["x2"], "x2": inputs["x1"]},
)
