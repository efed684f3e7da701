"""What a catalogue entry is: a loss, its parameters, formula and properties, and the same loss in other libraries."""

import difflib
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeGuard, cast

from torch import Tensor

Inputs: TypeAlias = Mapping[str, Any]
"""Named tensors; for the few losses that act through a network also ``model``, a :data:`Model`."""
Model: TypeAlias = Callable[[Tensor], Tensor]
"""A network as a loss sees it. Where it is a ``torch.nn.Module``, its weights have gradients too."""
Params: TypeAlias = Mapping[str, Any]
InputKind: TypeAlias = Literal[
    # a number and its label: elementwise; then the same, coupled over the batch
    "regression",
    "nonnegative",
    "positive",
    "counts",
    "mean_variance",
    "robust_shape",
    "regression_batch",
    "nonnegative_batch",
    # scores, logits or probabilities and a class
    "binary",
    "binary_probabilities",
    "margin",
    "multilabel",
    "classes",
    "log_probabilities",
    "probabilities",
    "distributions",
    "logits",
    # embeddings
    "pairs",
    "pairs_labelled",
    "triplets",
    "views",
    "labelled_embeddings",
    "centres",
    # lists of scores
    "ranking_pairs",
    "rankings",
    # boxes, images, sequences
    "boxes",
    "box_deltas",
    "masks",
    "mask_logits",
    "class_masks",
    "tokens",
    "ctc",
    "rnnt",
    # two networks, or a network and its inputs
    "critic",
    "critic_model",
    "model",
    "model_directions",
    "clean_adversarial",
    "student_teacher",
    "peers",
    "teacher",
    "weak_strong",
    "reconstruction",
    "vae",
    # several tasks, weights of a network, losses of samples
    "tasks",
    "task_variances",
    "task_norms",
    "task_history",
    "task_gradients",
    "per_sample",
    "parameters",
    "groups",
    "activations",
]

Task: TypeAlias = Literal[
    "regression",
    "classification",
    "similarity",
    "detection",
    "segmentation",
    "sequence",
    "gan",
    "multi-task",
    "adaptive",
    "adversarial",
    "joint",
    "sparse",
    "unsupervised",
    "semi-supervised",
    "ranking",
]


def nearest(word: object, known: Iterable[str]) -> str:
    """The known words closest to a misspelt one, or all of them where none is close, as text for an error."""
    words = list(known)
    return ", ".join(difflib.get_close_matches(str(word)[:50], words) or words)


@dataclass(frozen=True, slots=True)
class Number:
    """A real or whole number.

    Attributes:
        meaning: what it does, a plain sentence.
        default: the value when none is given.
        low: smallest allowed value; a slider begins here.
        high: largest allowed value; a slider ends here.
        scale: how a slider spaces its values.
        integer: whole numbers only.
        nullable: ``None`` is allowed too.
        also: single values outside ``low`` to ``high`` that are allowed too, such as minus infinity.
    """

    meaning: str
    default: float | None
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    integer: bool = False
    nullable: bool = False
    also: tuple[float, ...] = ()

    def parse(self, name: str, value: object) -> float | int | None:
        """The number in an untrusted JSON value; ``name`` (``"huber.delta"``) appears in the error.

        Raises:
            ValueError: it is no number, not finite, outside ``low`` to ``high``, or not whole where it has to be.
        """
        if value is None and self.nullable:
            return None
        for extra in self.also:
            # Strict JSON has no infinity, so its name stands for it.
            if not isinstance(value, bool) and value in (extra, str(extra)):
                return extra
        if not _is_number_between(value, self.low, self.high) or (self.integer and float(value) % 1):
            raise ValueError(f"{name} is {reprlib.repr(value)}, allowed: {self.allowed}")
        return int(value) if self.integer else float(value)

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        span = f"{self.low:g} to {self.high:g}"
        others = [*(f"{extra:g}" for extra in self.also), *(["null"] if self.nullable else [])]
        return ("a whole number, " if self.integer else "") + span + "".join(f", or {other}" for other in others)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    meaning: str
    default: str
    options: tuple[str, ...]

    def parse(self, name: str, value: object) -> str:
        """The option in an untrusted JSON value.

        Raises:
            ValueError: it is none of the options.
        """
        if not isinstance(value, str) or value not in self.options:
            raise ValueError(f"{name} is {reprlib.repr(value)}, allowed: {self.allowed}")
        return value

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return ", ".join(self.options)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    meaning: str
    default: bool

    def parse(self, name: str, value: object) -> bool:
        """The truth value in an untrusted JSON value.

        Raises:
            ValueError: it is neither true nor false.
        """
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {reprlib.repr(value)}, allowed: {self.allowed}")
        return value

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return "true or false"


@dataclass(frozen=True, slots=True)
class Vector:
    """One number for all classes, or one for each; ``Loss.check`` compares the length with the inputs."""

    meaning: str
    default: float | list[float] | None
    low: float
    high: float
    nullable: bool = False

    def parse(self, name: str, value: object) -> float | list[float] | None:
        """The number or numbers in an untrusted JSON value.

        Raises:
            ValueError: an entry is no number, not finite or outside ``low`` to ``high``, or the list is empty.
        """
        if value is None and self.nullable:
            return None
        several = isinstance(value, list | tuple)
        entries = list(cast("Iterable[object]", value)) if several else [value]
        numbers = [float(entry) for entry in entries if _is_number_between(entry, self.low, self.high)]
        if not entries or len(numbers) < len(entries):
            raise ValueError(f"{name} is {reprlib.repr(cast('object', value))}, allowed: {self.allowed}")
        return numbers if several else numbers[0]

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return f"{self.low:g} to {self.high:g}, or a list of such numbers" + (", or null" if self.nullable else "")


@dataclass(frozen=True, slots=True)
class Groups:
    """Lists of indices, or ``None``; ``Loss.check`` compares them with the inputs."""

    meaning: str
    default: list[list[int]] | None = None

    def parse(self, name: str, value: object) -> list[list[int]] | None:
        """The lists in an untrusted JSON value.

        Raises:
            ValueError: it is no list of lists of whole numbers of 0 or more, or one of them is empty.
        """
        if value is None:
            return None
        groups = [_indices(group) for group in cast("list[object]", value)] if isinstance(value, list) else []
        if not groups or not all(groups):
            raise ValueError(f"{name} is {reprlib.repr(cast('object', value))}, allowed: {self.allowed}")
        return groups

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        return "lists of whole numbers of 0 or more, or null"


def _indices(value: object) -> list[int]:
    """The list's whole numbers; empty where it is no list or holds anything else."""
    entries = cast("list[object]", value) if isinstance(value, list) else []
    whole = [entry for entry in entries if isinstance(entry, int) and not isinstance(entry, bool) and entry >= 0]
    return whole if len(whole) == len(entries) else []


Param: TypeAlias = Number | Choice | Flag | Vector | Groups


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a formula: LaTeX beside the function that computes the line from all inputs and parameters."""

    latex: str
    value: Callable[..., Tensor]


Formula: TypeAlias = tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class CounterExample:
    """Inputs (nested lists, as JSON has them) at which a property fails, with the parameters it fails for.

    Where ``calibrated`` fails it is the class probabilities instead, ``{"chances": [0.4, 0.3, 0.3]}``.
    """

    points: tuple[Mapping[str, Any], ...]
    params: Params = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Property:
    """A claim about a loss.

    Attributes:
        holds: yes, no, or ``None`` for not applicable.
        domain: where it is claimed.
        evidence: a source, or that a search did not refute it; never a bare "proven".
        counter_example: for "no", inputs that show it.
        constant: for "yes", the constant in the claim (a bound, a Lipschitz constant) from the parameters.
        fixed: for "yes", the parameters the claim is limited to.
    """

    holds: bool | None
    domain: str
    evidence: str
    counter_example: CounterExample | None = None
    constant: Callable[[Params], float] | None = None
    fixed: Params = field(default_factory=dict[str, Any])


TRIALS = 2000
SEARCHED = f"Not refuted in {TRIALS:,} random trials."
NOT_APPLICABLE = Property(None, "", "")


def yes(
    domain: str, *, source: str = "", constant: Callable[[Params], float] | None = None, **fixed: object
) -> Property:
    """A property that holds on ``domain``, for the ``fixed`` parameters where any are given."""
    return Property(True, domain, f"{source} {SEARCHED}".strip(), None, constant, fixed)


def pairs(what: str) -> Property:
    """The property of needing pairs: ``what`` is put together, such as "triplets, chosen by labels"."""
    return Property(True, what, "Seen in the inputs: one example alone says nothing.")


ALONE = Property(False, "any batch", f"A batch costs what its rows cost alone. {SEARCHED}")
"""The property of needing no pairs."""


def no(domain: str, *points: Mapping[str, Any], **params: object) -> Property:
    """A property that fails at the given points, with parameters that are not the default ones named."""
    return Property(False, domain, "Refuted by the counter-example.", CounterExample(points, params))


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What is claimed of a loss, value by value of the unreduced loss, for a fixed label and fixed parameters.

    Where values depend on other rows, or ``fn`` gives the scalar, it is claimed of the reduced loss. An entry names
    what applies to it; all else is not applicable.

    Attributes:
        convex_in_pred: the value at the middle of two predictions is at most the mean of their values.
        convex_in_logits: the same, where the prediction is a vector of logits.
        bounded: no value exceeds ``constant``.
        lipschitz: the gradient's Euclidean norm is at most ``constant``.
        smooth: the gradient is Lipschitz with ``constant`` (no kinks).
        robust: regression: the gradient stays below ``constant`` however wrong the label. Where a whole batch has one
            value: a single label, however wrong, does not outvote all others about a prediction that rows share.
            Classification: values summed over all labels do not depend on the prediction, which makes the minimiser
            immune to symmetric label noise (Ghosh et al. 2017, arXiv:1712.09482).
        symmetric: regression: an error of +r costs what -r costs. Binary: exchanging the classes changes nothing.
            Classes: permuting them changes nothing. Pairs: swapping the two changes nothing. Elsewhere ``domain``
            names the exchange.
        proper: the expected value is smallest at the true class probabilities.
        calibrated: the minimiser of the expected value decides for the likeliest class.
        scale_invariant: multiplying by a positive number changes nothing: prediction and label together in
            regression, else the first differentiable input alone.
        needs_pairs: examples are compared with one another, in pairs, triplets, lists or within the batch, so that a
            sampler or miner has a say in what is learnt.
    """

    convex_in_pred: Property = NOT_APPLICABLE
    convex_in_logits: Property = NOT_APPLICABLE
    bounded: Property = NOT_APPLICABLE
    lipschitz: Property = NOT_APPLICABLE
    smooth: Property = NOT_APPLICABLE
    robust: Property = NOT_APPLICABLE
    symmetric: Property = NOT_APPLICABLE
    proper: Property = NOT_APPLICABLE
    calibrated: Property = NOT_APPLICABLE
    scale_invariant: Property = NOT_APPLICABLE
    needs_pairs: Property = ALONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The same loss, reduced, in other libraries; ``{delta}`` and the like stand for parameters.

    Each snippet reads the entry's inputs by their names and leaves its result in ``loss``.

    Attributes:
        pytorch: PyTorch.
        keras: Keras 3, ``None`` where it lacks the loss.
        optax: Optax, ``None`` where it lacks the loss.
        factors: functions that are easily taken for this loss, with what they return divided by this loss.
        note: how conventions differ, a sentence.
    """

    pytorch: str
    keras: str | None
    optax: str | None
    factors: Mapping[str, float] = field(default_factory=dict[str, float])
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loss:
    """A catalogue entry.

    Attributes:
        key: stable name; addresses and stored runs hold it.
        name: name for people.
        name_zh: its Chinese name.
        family: the file it lives in.
        tasks: what it is used for, the main use first.
        input_kind: which geometry of inputs fits.
        inputs: meaning and shape of each input of ``fn``.
        differentiable: the inputs that have gradients.
        fn: pure torch function of the named inputs and parameters, unreduced; checks shapes and dtypes only.
        denominator: what the summed values are divided by, from ``(unreduced, inputs, params)``;
            ``None`` says that ``fn`` already gives the scalar (or, for a transform, that there is none).
        check: raises ``ValueError`` where ``(inputs, params)`` have a wrong shape or dtype, as ``fn`` does, or hold a
            value outside the loss's domain.
        grad: gradient of the sum of the unreduced values for each differentiable input, in closed form, without
            autograd; ``None`` where no closed form exists.
        formula: lines that lead to the unreduced value; the last one equals ``fn``.
        gradient: the gradient in LaTeX.
        derivation: lines that lead to the gradient of the unreduced value by the first differentiable input, rule by
            rule; the last one equals it. Of a transform: lines that lead to what it returns.
        params: the parameters of ``fn`` beside its inputs.
        properties: claims, each with evidence.
        pitfalls: plain sentences.
        reference: where it comes from.
        code: the same loss in other libraries.
        detached: what the gradient takes as constant although it moves with the inputs, as part of a sentence ("the
            weights"), so that finite differences of the value differ from it; empty where nothing is.
        models: the inputs that are networks and not tensors.
        outputs: what the loss makes on its way (an adversarial input, the weights of the tasks), by name, from all
            inputs and parameters; ``None`` where there is nothing of the kind.
        returns: ``"gradients"`` for a transform of the gradients of several tasks: ``fn`` gives them row by row, their
            sum over the tasks is the result.
    """

    key: str
    name: str
    name_zh: str
    family: str
    tasks: tuple[Task, ...]
    input_kind: InputKind
    inputs: Mapping[str, str]
    differentiable: tuple[str, ...]
    fn: Callable[..., Tensor]
    denominator: Callable[[Tensor, Inputs, Params], Tensor | float] | None
    check: Callable[[Inputs, Params], None]
    grad: Callable[..., dict[str, Tensor]] | None
    formula: Formula
    gradient: str
    derivation: Formula
    params: Mapping[str, Param]
    properties: Properties
    pitfalls: tuple[str, ...]
    reference: str
    code: Code
    detached: str = ""
    models: tuple[str, ...] = ()
    outputs: Callable[..., dict[str, Tensor]] | None = None
    returns: Literal["loss", "gradients"] = "loss"

    def reduce(self, unreduced: Tensor, inputs: Inputs, params: Params) -> Tensor:
        """The scalar loss from the values of ``fn``; of a transform, the combined gradient."""
        if self.returns == "gradients":
            return unreduced.sum(0)
        if self.denominator is None:
            return unreduced
        return unreduced.sum() / self.denominator(unreduced, inputs, params)

    def resolve(self, params: Mapping[str, object] | None = None) -> dict[str, Any]:
        """All parameters from untrusted JSON values, with defaults for those not given.

        Raises:
            ValueError: a name is unknown, or a value is of the wrong type or outside its range.
        """
        given = params or {}
        for name in given:
            if name not in self.params:
                hint = f"nearest: {nearest(name, self.params)}" if self.params else "it has none"
                raise ValueError(f"{self.key} has no parameter {reprlib.repr(name)}; {hint}")
        return {
            name: param.parse(f"{self.key}.{name}", given.get(name, param.default))
            for name, param in self.params.items()
        }


def number_of_values(unreduced: Tensor, inputs: Inputs, params: Params) -> float:
    """The denominator of a plain mean."""
    return unreduced.numel()


def number_of_rows(unreduced: Tensor, inputs: Inputs, params: Params) -> float:
    """The denominator where the values of a row are added up and the rows averaged."""
    return unreduced.shape[0]


def split_weight(name: str) -> tuple[str, str]:
    """A network and its weight from the name of a gradient: ``("model", "0.bias")``; of a tensor ``("pred", "")``."""
    owner, _, weight = name.partition(".")
    return owner, weight


def _is_number_between(value: object, low: float, high: float) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
