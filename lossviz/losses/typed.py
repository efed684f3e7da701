"""A typed formula as a loss: the tree of `lossviz.language` to numbers and to PyTorch, and a `Loss` of both."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from keyword import iskeyword

import torch
import torch.nn.functional as F
from torch import Tensor

from lossviz.language import (
    ATOM,
    BINDING,
    CONSTANTS,
    FUNCTIONS,
    KEY,
    LARGEST_VALUE,
    START,
    Apply,
    Formula,
    Name,
    Node,
    Number,
    is_condition,
    parse,
    to_latex,
)
from lossviz.losses import entry
from lossviz.losses.entry import Code, Inputs, Line, Loss, Params, Properties, number_of_values

_CACHED = 256

understood = lru_cache(_CACHED)(parse)
"""The formula that a text says; raises `FormulaError`."""


def _softplus(x: Tensor) -> Tensor:
    # torch's own is the identity above its threshold, with an error of 2e-9 there.
    return F.softplus(x, threshold=40)


def _where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(condition, yes, no)


def _clamp(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, low), high)


def _stacked(*arguments: Tensor) -> Tensor:
    every = reduce(torch.add, arguments)
    return torch.stack([argument.expand_as(every) for argument in arguments])


def _min(first: Tensor, *more: Tensor) -> Tensor:
    return reduce(torch.minimum, more, first) if more else first.amin(-1, keepdim=True)


def _max(first: Tensor, *more: Tensor) -> Tensor:
    return reduce(torch.maximum, more, first) if more else first.amax(-1, keepdim=True)


def _sum(first: Tensor, *more: Tensor) -> Tensor:
    return reduce(torch.add, more, first) if more else first.sum(-1, keepdim=True)


def _mean(first: Tensor, *more: Tensor) -> Tensor:
    return _sum(first, *more) / (1 + len(more)) if more else first.mean(-1, keepdim=True)


def _logsumexp(first: Tensor, *more: Tensor) -> Tensor:
    return _stacked(first, *more).logsumexp(0) if more else first.logsumexp(-1, keepdim=True)


def _softmax(first: Tensor, *more: Tensor) -> Tensor:
    return _stacked(first, *more).softmax(0)[0] if more else first.softmax(-1)


@dataclass(frozen=True, slots=True)
class _Way:
    """What a function computes, and how PyTorch writes it.

    Attributes:
        compute: from tensors.
        torch: as PyTorch; ``{0}`` is the first argument, ``{all}`` are all of them.
        alone: as PyTorch where it has one argument and reduces along the last axis.
    """

    compute: Callable[..., Tensor]
    torch: str
    alone: str = ""


_WAYS: Mapping[str, _Way] = {
    "where": _Way(_where, "torch.where({all})"),
    "abs": _Way(torch.abs, "torch.abs({0})"),
    "exp": _Way(torch.exp, "torch.exp({0})"),
    "log": _Way(torch.log, "torch.log({0})"),
    "log1p": _Way(torch.log1p, "torch.log1p({0})"),
    "expm1": _Way(torch.expm1, "torch.expm1({0})"),
    "sqrt": _Way(torch.sqrt, "torch.sqrt({0})"),
    "sin": _Way(torch.sin, "torch.sin({0})"),
    "cos": _Way(torch.cos, "torch.cos({0})"),
    "tanh": _Way(torch.tanh, "torch.tanh({0})"),
    "sigmoid": _Way(torch.sigmoid, "torch.sigmoid({0})"),
    "softplus": _Way(_softplus, "torch.nn.functional.softplus({0}, threshold=40)"),
    "relu": _Way(torch.relu, "torch.relu({0})"),
    "sign": _Way(torch.sign, "torch.sign({0})"),
    "clamp": _Way(_clamp, "torch.minimum(torch.maximum({0}, {1}), {2})"),
    "min": _Way(_min, "torch.minimum({0}, {1})", alone="{0}.amin(-1, keepdim=True)"),
    "max": _Way(_max, "torch.maximum({0}, {1})", alone="{0}.amax(-1, keepdim=True)"),
    "sum": _Way(_sum, "({0} + {1})", alone="{0}.sum(-1, keepdim=True)"),
    "mean": _Way(_mean, "", alone="{0}.mean(-1, keepdim=True)"),
    "logsumexp": _Way(
        _logsumexp, "torch.stack(torch.broadcast_tensors({all})).logsumexp(0)", alone="{0}.logsumexp(-1, keepdim=True)"
    ),
    "softmax": _Way(_softmax, "torch.stack(torch.broadcast_tensors({all})).softmax(0)[0]", alone="{0}.softmax(-1)"),
}
_FOLDED = ("min", "max", "sum")

_COMPARISONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "<": torch.lt,
    "<=": torch.le,
    ">": torch.gt,
    ">=": torch.ge,
    "==": torch.eq,
    "!=": torch.ne,
}
_OPERATORS: Mapping[str, Callable[..., Tensor]] = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "/": torch.div,
    "**": torch.pow,
    "neg": torch.neg,
}


# --- tree to numbers


def evaluate(node: Node, names: Mapping[str, Tensor]) -> Tensor:
    """The value of a tree.

    Args:
        node: what `parse` made.
        names: the inputs and the parameters; their shapes broadcast.

    Returns:
        The value, in the dtype and on the device of ``names``.
    """
    match node:
        case Number(value):
            return _like(names, value)
        case Name(name):
            return names[name] if name in names else _like(names, CONSTANTS[name])
        case Apply("**", (base, Number(value))):
            # As PyTorch's programs write it: a square is then a product, exact and many times as fast.
            return torch.pow(evaluate(base, names), value)
        case Apply(op, arguments):
            values = [evaluate(argument, names) for argument in arguments]
            compute = _WAYS[op].compute if op in _WAYS else _OPERATORS.get(op) or _COMPARISONS[op]
            return compute(*values)


def _like(names: Mapping[str, Tensor], value: float) -> Tensor:
    # Filled on the device: nothing has to be copied to it.
    return next(iter(names.values())).new_full((), value)


# --- tree to PyTorch


def to_pytorch(formula: Formula) -> str:
    """A program that leaves the mean of the formula over ``pred`` and ``target`` in ``loss``.

    Values of parameters are left open, as ``{name}``.
    """
    given = [f"{_python_name(name)} = torch.tensor({{{name}}}, dtype=pred.dtype)" for name in formula.parameters]
    return "\n".join([*given, f"loss = {_python(formula.root)[0]}", "loss = loss.mean()", ""])


def _python_name(name: str) -> str:
    # Longer than a parameter's name may be, so that it is nobody else's.
    return f"the_parameter_called_{name}" if iskeyword(name) or name in ("torch", "loss") else name


def _is_tensor(node: Node) -> bool:
    """Whether PyTorch's program has a tensor there, and no number of Python's."""
    match node:
        case Number():
            return False
        case Name(name):
            return name not in CONSTANTS
        case Apply(op, arguments):
            return op in FUNCTIONS or any(map(_is_tensor, arguments))


def _python(node: Node) -> tuple[str, int]:
    """The expression, and how tightly its outermost operation binds."""
    if not _is_tensor(node):
        # Python computes with numbers of its own, to which 1/0 is an error and 9**9**9**9 a week's work.
        value = float(evaluate(node, {"": torch.zeros((), dtype=torch.float64)}).item())
        if not math.isfinite(value):
            return f'float("{value}")', ATOM
        return repr(value), ATOM if value >= 0 else BINDING["neg"]
    match node:
        case Apply(op, arguments) if op in FUNCTIONS:
            return _python_call(op, [_python_tensor(argument) for argument in arguments])
        case Apply("neg", (operand,)):
            return f"-{_python_within(operand, BINDING['neg'])}", BINDING["neg"]
        case Apply(op, (left, right)):
            tight = BINDING[op]
            first = _python_within(left, tight + (op == "**"))
            second = _python_within(right, tight + (op != "**" and op not in ("+", "*")))
            return f"{first}**{second}" if op == "**" else f"{first} {op} {second}", tight
        case Name(name):
            return _python_name(name), ATOM
        case _:
            raise AssertionError(node)


def _python_within(node: Node, tight: int) -> str:
    text, own = _python(node)
    return text if own >= tight else f"({text})"


def _python_tensor(node: Node) -> str:
    text, own = _python(node)
    if _is_tensor(node):
        return text if own == ATOM else f"({text})"
    if is_condition(node):
        return f"torch.tensor({text == '1.0'})"
    return f"torch.tensor({text}, dtype=pred.dtype)"


def _python_call(op: str, arguments: list[str]) -> tuple[str, int]:
    way = _WAYS[op]
    if len(arguments) == 1 and way.alone:
        return way.alone.format(*arguments), ATOM
    bare = [argument[1:-1] if _wrapped(argument) else argument for argument in arguments]
    if op == "mean":
        return f"({' + '.join(arguments)}) / {len(arguments)}", BINDING["/"]
    if op == "sum":
        return f"({' + '.join(arguments)})", ATOM
    if op in _FOLDED:
        return reduce(lambda left, right: way.torch.format(left, right), bare), ATOM
    return way.torch.format(*bare, all=", ".join(bare)), ATOM


def _wrapped(text: str) -> bool:
    """Whether the first bracket closes with the last."""
    if not text.startswith("("):
        return False
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(text) - 1
    return False


# --- a formula as a loss


@lru_cache(_CACHED)
def typed_loss(text: str) -> Loss:
    """Return the formula that ``text`` says as a loss, whose parameters are 1 where nothing else is said.

    Raises:
        FormulaError: it says none.
    """
    formula = understood(text)
    fn = _Fn(formula)
    return Loss(
        key=KEY,
        name="Your formula",
        name_zh="自己的公式",
        family="own",
        tasks=("regression",),
        input_kind="regression",
        inputs={"pred": "predictions, shape ``(*batch)``", "target": "labels, same shape"},
        differentiable=("pred",),
        fn=fn,
        denominator=number_of_values,
        check=fn.check,
        grad=None,
        formula=(Line(r"\ell = " + to_latex(formula.root), fn),),
        gradient="",
        derivation=(),
        params={name: parameter(START) for name in formula.parameters},
        properties=Properties(),
        pitfalls=(),
        reference="",
        code=Code(pytorch=to_pytorch(formula), keras=None, optax=None),
    )


def parameter(value: float) -> entry.Number:
    """A parameter of a formula that is ``value`` where nothing else is said."""
    return entry.Number("A number in your formula.", value, -LARGEST_VALUE, LARGEST_VALUE)


class _Fn:
    """The formula, value by value: what it reduces, it reduces within one prediction."""

    def __init__(self, formula: Formula):
        self.formula = formula

    def __call__(self, /, *, pred: Tensor, target: Tensor, **params: float) -> Tensor:
        alone = {"pred": pred[..., None], "target": target[..., None]}
        given = {name: pred.new_full((), value) for name, value in params.items()}
        value = evaluate(self.formula.root, {**alone, **given})
        if pred.requires_grad and not value.requires_grad:
            # A condition of the prediction has a slope too: 0.
            always = torch.ones_like(value, dtype=torch.bool)
            value = torch.where(always, value, alone["pred"])
        return value.squeeze(-1)

    def check(self, inputs: Inputs, params: Params) -> None:
        pred, target = inputs["pred"], inputs["target"]
        if pred.shape != target.shape:
            raise ValueError(f"pred has shape {tuple(pred.shape)}, target {tuple(target.shape)}; allowed: the same.")
        with torch.no_grad():
            value = self(pred=pred, target=target, **params)
        bad = (~value.isfinite()).flatten().nonzero()
        if len(bad):
            place = int(bad[0])
            shown = f"prediction {pred.flatten()[place]:.4g}, label {target.flatten()[place]:.4g}"
            result = value.flatten()[place].item()
            raise ValueError(f"The formula gives {'no number' if result != result else result} at {shown}.")
