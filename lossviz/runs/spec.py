"""What a run is: a frozen description from which the same series of points comes out every time."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from lossviz import language
from lossviz.runs import pace

Recipe = Literal["mnist"]
Model = Literal["softmax", "mlp", "cnn"]
Optimizer = Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"]
Schedule = Literal["constant", "cosine", "one-cycle", "step"]
ParamValue = float | int | bool | str | list[float] | None

RECIPES: tuple[Recipe, ...] = get_args(Recipe)
MODELS: tuple[Model, ...] = get_args(Model)
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)

TRAIN_IMAGES = 60_000
MAX_LOSSES = 8
MAX_SEEDS = 10
MAX_BATCH = 2_048
MAX_EPOCHS = 100
MAX_LEARNING_RATE = 10.0
MAX_WEIGHT_DECAY = 1.0
MAX_CLIP = 1_000.0
MAX_SEED = 2**32 - 1
MAX_VECTOR = 1_000

FIELDS = (
    "recipe",
    "losses",
    "model",
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "clip",
    "batch_size",
    "epochs",
    "seed",
    "seeds",
    "record_every",
    "evaluate_every",
)
"""Of a spec as JSON."""


@dataclass(frozen=True, slots=True)
class LossChoice:
    """A loss by its key, with the parameters that differ from its defaults (or all of them).

    A typed formula has the key ``formula``, its text in ``formula``, and all of its parameters.
    """

    key: str
    params: Mapping[str, ParamValue]
    formula: str = ""

    @property
    def name(self) -> str:
        """The loss's key, or what was typed."""
        return self.formula or self.key

    def label(self, most: int = language.MOST_CHARACTERS) -> str:
        """The loss as people read it, a formula with at most so many characters: ``huber (delta=0.5)``."""
        name = shortened(self.name, most)
        if not self.params:
            return name
        return f"{name} ({', '.join(f'{param}={value}' for param, value in self.params.items())})"

    def to_json(self) -> dict[str, Any]:
        """The choice as JSON values."""
        typed = {"formula": self.formula} if self.formula else {}
        return {"key": self.key, "params": dict(self.params), **typed}


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a run.

    Attributes:
        place: which loss of the spec it learns.
        loss: that loss's label.
        seed: where its weights and the order of its images start.
        name: for people: the label, with the seed where the run has several.
    """

    place: int
    loss: str
    seed: int
    name: str


@dataclass(frozen=True, slots=True)
class RunSpec:
    """Everything that decides a run's series of points, but the device and its thread count.

    Every loss is trained once from every seed: ``members`` lists them, first all losses from the first seed, then all
    from the second, and a point names its member by the place in that list. Members of one seed are paired: they share
    initial weights and batches.

    Attributes:
        recipe: the task; ``mnist`` is the classification of the ten digits.
        losses: 1 to 8 losses, compared paired; the same one may be there twice.
        model: the network.
        optimizer: plain ``sgd``, ``momentum`` (0.9), ``nesterov`` (0.9), ``adam``, ``adamw``, ``rmsprop`` or
            ``adagrad``, each at PyTorch's default settings.
        learning_rate: above 0, at most 10; where a schedule changes it, the highest.
        schedule: ``constant``; ``cosine`` down to 0; ``one-cycle``, up for three tenths of the run and then down to
            nearly 0; ``step``, a tenth after each third of the run.
        weight_decay: what is added of the weights to their gradient, 0 to 1; ``adamw`` takes it off the weights
            themselves, in parts of the learning rate.
        clip: the norm to which each network's gradient is shortened where it is longer, at most 1,000; 0 leaves it.
        batch_size: images a step, 1 to 2,048; the last batch of an epoch may be smaller.
        epochs: passes over the 60,000 training images, 1 to 100.
        seed: start of the initial weights and of the order of the images.
        seeds: how many seeds each loss is trained from, 1 to 10: ``seed`` and those that follow it.
        record_every: steps between two points of train loss and gradient norm; 0 takes it from ``pace``.
        evaluate_every: steps between two evaluations on 1,000 test images; 0 takes it from ``pace``.
    """

    losses: tuple[LossChoice, ...]
    recipe: Recipe = "mnist"
    model: Model = "softmax"
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    weight_decay: float = 0.0
    clip: float = 0.0
    batch_size: int = 32
    epochs: int = 10
    seed: int = 0
    seeds: int = 1
    record_every: int = 0
    evaluate_every: int = 0

    def __post_init__(self) -> None:
        if self.record_every == 0:
            object.__setattr__(self, "record_every", pace.record_every(self.model, self.batch_size))
        if self.evaluate_every == 0:
            object.__setattr__(self, "evaluate_every", pace.evaluate_every(self.model, self.batch_size))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one pass over the training images."""
        return math.ceil(TRAIN_IMAGES / self.batch_size)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs

    def members(self) -> tuple[Member, ...]:
        """Every network of the run, in the order in which points number them."""
        return tuple(
            Member(place, label, seed, f"{label}, seed {seed}" if self.seeds > 1 else label)
            for seed in range(self.seed, self.seed + self.seeds)
            for place, label in enumerate(self.labels())
        )

    def labels(self) -> tuple[str, ...]:
        """One distinct name per loss: the loss's name, with ``#2``, ``#3`` for one that is entered again."""
        return distinct([choice.name for choice in self.losses])

    def to_json(self) -> dict[str, Any]:
        """The spec as JSON values; ``RunSpec.parse`` reads it back."""
        return {
            "recipe": self.recipe,
            "losses": [choice.to_json() for choice in self.losses],
            "model": self.model,
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "schedule": self.schedule,
            "weight_decay": self.weight_decay,
            "clip": self.clip,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "seed": self.seed,
            "seeds": self.seeds,
            "record_every": self.record_every,
            "evaluate_every": self.evaluate_every,
        }

    @classmethod
    def parse(cls, value: object) -> "RunSpec":
        """Read a spec from JSON values that nobody has checked.

        Whether each loss exists, takes its parameters and can be trained is ``lossviz.training.validate``'s to say.

        Raises:
            ValueError: names the value and what is allowed.
        """
        fields = _object(value, "a run's spec")
        for name in fields:
            _one_of(name, FIELDS, "field of a run's spec")
        if "losses" not in fields:
            raise ValueError("a run needs losses: a list of 1 to 8 entries such as {'key': 'mse', 'params': {}}")
        epochs = _whole(fields.get("epochs", 10), "epochs", 1, MAX_EPOCHS)
        batch_size = _whole(fields.get("batch_size", 32), "batch_size", 1, MAX_BATCH)
        steps = math.ceil(TRAIN_IMAGES / batch_size) * epochs
        seeds = _whole(fields.get("seeds", 1), "seeds", 1, MAX_SEEDS)
        return cls(
            recipe=cast(Recipe, _one_of(fields.get("recipe", "mnist"), RECIPES, "recipe")),
            losses=_losses(fields["losses"]),
            model=cast(Model, _one_of(fields.get("model", "softmax"), MODELS, "model")),
            optimizer=cast(Optimizer, _one_of(fields.get("optimizer", "adam"), OPTIMIZERS, "optimizer")),
            learning_rate=_learning_rate(fields.get("learning_rate", 1e-3)),
            schedule=cast(Schedule, _one_of(fields.get("schedule", "constant"), SCHEDULES, "schedule")),
            weight_decay=_from_zero(fields.get("weight_decay", 0.0), "weight_decay", MAX_WEIGHT_DECAY),
            clip=_from_zero(fields.get("clip", 0.0), "clip", MAX_CLIP),
            batch_size=batch_size,
            epochs=epochs,
            seed=_whole(fields.get("seed", 0), "seed", 0, MAX_SEED + 1 - seeds),
            seeds=seeds,
            record_every=_whole(fields["record_every"], "record_every", 1, steps) if "record_every" in fields else 0,
            evaluate_every=_whole(fields["evaluate_every"], "evaluate_every", 1, steps)
            if "evaluate_every" in fields
            else 0,
        )


def shortened(name: str, most: int) -> str:
    """The name of a loss in at most so many characters."""
    return name if len(name) <= most else name[: most - 1].rstrip() + "…"


def distinct(keys: Sequence[str]) -> tuple[str, ...]:
    """The keys, with ``#2``, ``#3`` at those that have come before."""
    seen = [keys[: place + 1].count(key) for place, key in enumerate(keys)]
    return tuple(key if count == 1 else f"{key}#{count}" for key, count in zip(keys, seen, strict=True))


ARTICLE = RunSpec(losses=(LossChoice("cross_entropy", {}),))
"""The article's experiment: a softmax layer, Adam at 1e-3, batches of 32, 10 epochs."""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be an object with named fields, not {_shown(value)}")
    fields = cast(Mapping[object, object], value)
    return {str(name): entry for name, entry in fields.items()}


def _one_of(value: object, allowed: Iterable[str], what: str) -> str:
    names = tuple(allowed)
    if isinstance(value, str) and value in names:
        return value
    near = difflib.get_close_matches(value, names, n=1) if isinstance(value, str) else []
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(f"unknown {what} {_shown(value)}{hint}; allowed: {', '.join(names) or 'none'}")


def _whole(value: object, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} is {_shown(value)}; it must be a whole number from {low} to {high}")
    return value


def _learning_rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_LEARNING_RATE:
        raise ValueError(f"learning_rate is {_shown(value)}; it must be a number above 0 and at most 10")
    return float(value)


def _from_zero(value: object, name: str, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
        raise ValueError(f"{name} is {_shown(value)}; it must be a number from 0 to {high:g}")
    return float(value)


def _losses(value: object) -> tuple[LossChoice, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"losses is {_shown(value)}; it must be a list of 1 to {MAX_LOSSES} losses")
    entries = cast(Sequence[object], value)
    if not 1 <= len(entries) <= MAX_LOSSES:
        raise ValueError(f"losses has {len(entries)} entries; a run compares 1 to {MAX_LOSSES} losses")
    return tuple(_loss(entry) for entry in entries)


def _loss(value: object) -> LossChoice:
    fields = _object(value, "each loss")
    for name in fields:
        _one_of(name, ("key", "params", "formula"), "field of a loss")
    key = fields.get("key")
    if not isinstance(key, str) or not 1 <= len(key) <= 64:
        raise ValueError(f"a loss's key is {_shown(key)}; it must be a name such as 'mse'")
    params = _object(fields.get("params", {}), f"params of {key}")
    if key == language.KEY:
        return _typed(fields.get("formula"), params)
    if "formula" in fields:
        raise ValueError(f"{key} comes with a formula; allowed: a formula with the key {language.KEY!r}")
    return LossChoice(key, {name: _param(entry, f"{key}.{name}") for name, entry in params.items()})


def _typed(text: object, params: Mapping[str, object]) -> LossChoice:
    """A typed formula, by the language's own parser and within its limits."""
    if not isinstance(text, str):
        example = "{'key': 'formula', 'formula': 'abs(pred - target)**p', 'params': {'p': 1.5}}"
        raise ValueError(f"a formula is {_shown(text)}; it must be a text, as in {example}")
    names = language.parse(text).parameters
    for name in params:
        _one_of(name, names, "parameter of the formula")
    return LossChoice(language.KEY, {name: _number(params.get(name, language.START), name) for name in names}, text)


def _number(value: object, name: str) -> float:
    bound = language.LARGEST_VALUE
    if isinstance(value, bool) or not isinstance(value, int | float) or not -bound <= value <= bound:
        raise ValueError(f"formula.{name} is {_shown(value)}; it must be a number from {-bound:g} to {bound:g}")
    return float(value)


def _param(value: object, name: str) -> ParamValue:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 64:
        return value
    if isinstance(value, int | float) and _finite(value):
        return value
    if isinstance(value, list | tuple):
        entries = cast(Sequence[object], value)
        numbers = [float(e) for e in entries if isinstance(e, int | float) and not isinstance(e, bool) and _finite(e)]
        if len(numbers) == len(entries) <= MAX_VECTOR:
            return numbers
    raise ValueError(
        f"{name} is {_shown(cast(object, value))}; it must be a finite number, a name of at most 64 letters, true, "
        f"false, null or a list of at most {MAX_VECTOR} finite numbers"
    )


def _finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
