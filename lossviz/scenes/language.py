"""The language of typed formulas: text to a small tree, and the tree to numbers, LaTeX and PyTorch. Nothing is run.

Numbers, names, ``+ - * / **``, comparisons, and the functions of `FUNCTIONS`. ``pred`` and ``target`` are inputs,
``pi`` and ``e`` constants, every other name is a parameter. A comparison is a condition, which only `where` takes. A
reduction goes over its arguments; where it has only one, along the last axis, which stays with size 1.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from keyword import iskeyword
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from lossviz.losses.entry import nearest

MOST_CHARACTERS = 200
MOST_NODES = 100
"""Each costs one pass over the inputs, so that this bounds the time too."""
MOST_DEPTH = 20
MOST_PARAMETERS = 6
MOST_IN_A_NAME = 20
INPUTS = ("pred", "target")
CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}


class FormulaError(ValueError):
    """A text that is no formula: ``reason`` says why, ``position`` where, counted from 0."""

    def __init__(self, reason: str, text: str, position: int):
        self.reason, self.position = reason, position
        self.pointer = f"{text}\n{' ' * position}^"
        super().__init__(f"Character {position + 1} of the formula: {reason}")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """An input, a constant or a parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator (``neg`` is the unary minus) or function at its arguments."""

    op: str
    arguments: "tuple[Node, ...]"


Node: TypeAlias = Number | Name | Apply


@dataclass(frozen=True, slots=True)
class Formula:
    """A text that was understood; ``parameters`` in order of first appearance."""

    text: str
    root: Node
    parameters: tuple[str, ...]


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
class Function:
    """A word of the language: what it computes, and how PyTorch and LaTeX write it.

    Attributes:
        compute: from tensors.
        fewest: how many arguments it takes at least.
        most: how many at most.
        torch: as PyTorch; ``{0}`` is the first argument, ``{all}`` are all of them.
        latex: as LaTeX; empty for its name in front of brackets.
        alone: as PyTorch where it has one argument and reduces along the last axis.
    """

    compute: Callable[..., Tensor]
    fewest: int
    most: int
    torch: str
    latex: str = ""
    alone: str = ""


_MANY = 8
FUNCTIONS: Mapping[str, Function] = {
    "where": Function(
        _where,
        3,
        3,
        "torch.where({all})",
        r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    ),
    "abs": Function(torch.abs, 1, 1, "torch.abs({0})", r"\left| {0} \right|"),
    "exp": Function(torch.exp, 1, 1, "torch.exp({0})", r"e^{{{0}}}"),
    "log": Function(torch.log, 1, 1, "torch.log({0})", r"\ln \left( {0} \right)"),
    "log1p": Function(torch.log1p, 1, 1, "torch.log1p({0})", r"\ln \left( 1 + {0} \right)"),
    "expm1": Function(torch.expm1, 1, 1, "torch.expm1({0})", r"\left( e^{{{0}}} - 1 \right)"),
    "sqrt": Function(torch.sqrt, 1, 1, "torch.sqrt({0})", r"\sqrt{{{0}}}"),
    "sin": Function(torch.sin, 1, 1, "torch.sin({0})", r"\sin \left( {0} \right)"),
    "cos": Function(torch.cos, 1, 1, "torch.cos({0})", r"\cos \left( {0} \right)"),
    "tanh": Function(torch.tanh, 1, 1, "torch.tanh({0})", r"\tanh \left( {0} \right)"),
    "sigmoid": Function(torch.sigmoid, 1, 1, "torch.sigmoid({0})", r"\sigma \left( {0} \right)"),
    "softplus": Function(_softplus, 1, 1, "torch.nn.functional.softplus({0}, threshold=40)"),
    "relu": Function(torch.relu, 1, 1, "torch.relu({0})"),
    "sign": Function(torch.sign, 1, 1, "torch.sign({0})"),
    "clamp": Function(_clamp, 3, 3, "torch.minimum(torch.maximum({0}, {1}), {2})"),
    "min": Function(_min, 1, _MANY, "torch.minimum({0}, {1})", alone="{0}.amin(-1, keepdim=True)"),
    "max": Function(_max, 1, _MANY, "torch.maximum({0}, {1})", alone="{0}.amax(-1, keepdim=True)"),
    "sum": Function(_sum, 1, _MANY, "({0} + {1})", alone="{0}.sum(-1, keepdim=True)"),
    "mean": Function(_mean, 1, _MANY, "", alone="{0}.mean(-1, keepdim=True)"),
    "logsumexp": Function(
        _logsumexp,
        1,
        _MANY,
        "torch.stack(torch.broadcast_tensors({all})).logsumexp(0)",
        alone="{0}.logsumexp(-1, keepdim=True)",
    ),
    "softmax": Function(
        _softmax, 1, _MANY, "torch.stack(torch.broadcast_tensors({all})).softmax(0)[0]", alone="{0}.softmax(-1)"
    ),
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


# --- text to tree


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/<>(),])"
    r"|(?P<space>[ \t]+)"
)
_HINTS = {"^": "a power is written **", "=": "equality is written ==", "[": "use round brackets"}


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise FormulaError(_stranger(text[position]), text, position)
        kind = str(match.lastgroup)
        if kind == "name" and len(match.group()) > MOST_IN_A_NAME:
            raise FormulaError(f"a name has at most {MOST_IN_A_NAME} characters.", text, position)
        if kind == "number" and not math.isfinite(float(match.group())):
            raise FormulaError("the number is too large.", text, position)
        if kind != "space":
            yield _Token(kind, match.group(), position)
        position = match.end()
    yield _Token("end", "", len(text))


def _stranger(character: str) -> str:
    if character in _HINTS:
        return f"{character!r} is not part of the language; {_HINTS[character]}."
    name = unicodedata.name(character, "a control character")
    shown = f"{character!r}" if character.isascii() else f"{character!r} ({name.lower()})"
    return f"{shown} is not part of the language."


def parse(text: str) -> Formula:
    """Return the formula that ``text`` says.

    Raises:
        FormulaError: it says none, or is longer, deeper or larger than allowed.
    """
    if len(text) > MOST_CHARACTERS:
        raise FormulaError(
            f"a formula has at most {MOST_CHARACTERS} characters.", text[: MOST_CHARACTERS + 1], MOST_CHARACTERS
        )
    return _Parser(text).formula()


class _Parser:
    """Recursive descent; weakest binding first. Each method reads one phrase and leaves the next token in place."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = list(_tokens(text))
        self.at = self.nodes = self.depth = 0
        self.parameters: dict[str, int] = {}
        self.inputs: set[str] = set()

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def formula(self) -> Formula:
        if self.token.kind == "end":
            raise self.error("type a formula, such as abs(pred - target).")
        root = self.number()
        if self.token.kind != "end":
            raise self.unexpected()
        if "pred" not in self.inputs:
            raise self.error("pred does not appear: nothing could be learnt from this.")
        return Formula(self.text, root, tuple(self.parameters))

    # --- phrases

    def number(self) -> Node:
        """A phrase that has to be a number."""
        start = self.token
        node = self.comparison()
        if is_condition(node):
            raise self.error("a comparison is a condition; where(condition, a, b) makes a number of it.", start)
        return node

    def condition(self) -> Node:
        start = self.token
        node = self.comparison()
        if not is_condition(node):
            raise self.error("where wants a comparison first, such as pred < target.", start)
        return node

    def comparison(self) -> Node:
        left = self.sum()
        if self.token.text not in _COMPARISONS:
            return left
        operator = self.advance()
        node = self.apply(operator, operator.text, left, self.sum())
        if self.token.text in _COMPARISONS:
            raise self.error("compare two numbers at a time.")
        return node

    def sum(self) -> Node:
        return self.chain(self.product, "+", "-")

    def product(self) -> Node:
        return self.chain(self.signed, "*", "/")

    def chain(self, phrase: Callable[[], Node], *operators: str) -> Node:
        node = phrase()
        while self.token.text in operators:
            operator = self.advance()
            node = self.apply(operator, operator.text, node, phrase())
        return node

    def signed(self) -> Node:
        if self.token.text not in ("-", "+"):
            return self.power()
        sign = self.advance()
        operand = self.deeper(sign, self.signed)
        return operand if sign.text == "+" else self.apply(sign, "neg", operand)

    def power(self) -> Node:
        base = self.atom()
        if self.token.text != "**":
            return base
        operator = self.advance()
        return self.apply(operator, "**", base, self.deeper(operator, self.signed))

    def atom(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.advance()
            return self.counted(token, Number(float(token.text), token.text))
        if token.kind == "name":
            self.advance()
            return self.call(token) if self.token.text == "(" else self.name(token)
        if token.text != "(":
            raise self.unexpected()
        self.advance()
        node = self.deeper(token, self.comparison)
        self.expect(")", token)
        return node

    def name(self, token: _Token) -> Node:
        name = token.text
        if name in FUNCTIONS:
            raise self.error(f"{name} is a function; write {name}(...).", token)
        if name in INPUTS:
            self.inputs.add(name)
        elif name not in CONSTANTS and name not in self.parameters:
            if len(self.parameters) == MOST_PARAMETERS:
                raise self.error(f"{name} would be parameter {MOST_PARAMETERS + 1}; allowed: {MOST_PARAMETERS}.", token)
            self.parameters[name] = token.position
        return self.counted(token, Name(name))

    def call(self, token: _Token) -> Node:
        name = token.text
        function = FUNCTIONS.get(name)
        if function is None:
            raise self.error(f"there is no function {name}; nearest: {nearest(name, FUNCTIONS)}.", token)
        bracket = self.advance()
        arguments = [self.deeper(bracket, self.condition if name == "where" else self.number)]
        while self.token.text == ",":
            comma = self.advance()
            if len(arguments) == function.most:
                raise self.error(f"{name} takes {_count(function)}.", comma)
            arguments.append(self.deeper(comma, self.number))
        if len(arguments) < function.fewest:
            raise self.error(f"{name} takes {_count(function)}.")
        self.expect(")", bracket)
        return self.apply(token, name, *arguments)

    # --- tokens and bounds

    def advance(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, text: str, opened: _Token) -> None:
        if self.token.text != text:
            if self.token.kind == "end":
                raise self.error(f"the bracket at character {opened.position + 1} is not closed.")
            raise self.unexpected()
        self.advance()

    def deeper(self, token: _Token, phrase: Callable[[], Node]) -> Node:
        if self.depth == MOST_DEPTH:
            raise self.error(f"brackets, signs and powers nest at most {MOST_DEPTH} deep.", token)
        self.depth += 1
        node = phrase()
        self.depth -= 1
        return node

    def apply(self, token: _Token, op: str, *arguments: Node) -> Node:
        if op not in FUNCTIONS and any(map(is_condition, arguments)):
            raise self.error("a condition can't be computed with; where(condition, a, b) makes a number of it.", token)
        return self.counted(token, Apply(op, arguments))

    def counted(self, token: _Token, node: Node) -> Node:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise self.error(f"a formula has at most {MOST_NODES} numbers, names and operations.", token)
        return node

    def unexpected(self) -> FormulaError:
        token = self.token
        if token.kind == "end":
            return self.error("something is missing at the end.")
        if token.kind in ("name", "number") or token.text == "(":
            return self.error(f"an operator is missing before {token.text}.")
        return self.error(f"{token.text} does not belong here.")

    def error(self, reason: str, token: _Token | None = None) -> FormulaError:
        return FormulaError(reason, self.text, (token or self.token).position)


def _count(function: Function) -> str:
    if function.fewest == function.most:
        return f"{function.most} argument{'s' * (function.most > 1)}"
    return f"{function.fewest} to {function.most} arguments"


def is_condition(node: Node) -> bool:
    """Whether a node is true or false and no number."""
    return isinstance(node, Apply) and node.op in _COMPARISONS


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
            return next(iter(names.values())).new_tensor(value)
        case Name(name):
            return names[name] if name in names else next(iter(names.values())).new_tensor(CONSTANTS[name])
        case Apply(op, arguments):
            values = [evaluate(argument, names) for argument in arguments]
            compute = FUNCTIONS[op].compute if op in FUNCTIONS else _OPERATORS.get(op) or _COMPARISONS[op]
            return compute(*values)


# --- tree to LaTeX and PyTorch

_BINDING = {**dict.fromkeys(_COMPARISONS, 0), "+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}
_ATOM = 5
_GREEK = frozenset(
    ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "rho")
) | {"sigma", "tau", "phi", "chi", "psi", "omega"}
_SIGNS = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne", "==": "=", "*": r"\,"}


def to_latex(node: Node) -> str:
    """The tree as LaTeX."""
    return _latex(node)[0]


def _latex(node: Node) -> tuple[str, int]:
    """The LaTeX, and how tightly its outermost operation binds."""
    match node:
        case Number(_, text):
            return _latex_number(text)
        case Name(name):
            return _latex_name(name), _ATOM
        case Apply("/", (above, below)):
            return rf"\frac{{{to_latex(above)}}}{{{to_latex(below)}}}", _BINDING["/"]
        case Apply("**", (base, power)):
            return f"{{{_within(base, _ATOM)}}}^{{{to_latex(power)}}}", _BINDING["**"]
        case Apply("neg", (operand,)):
            return f"-{_within(operand, _BINDING['neg'])}", _BINDING["neg"]
        case Apply(op, (left, right)) if op in _BINDING:
            sign = r"\cdot" if op == "*" and _starts_with_number(right) else _SIGNS.get(op, op)
            tight = _BINDING[op]
            # A minus sign after an operator wants brackets, and so does a sum after a minus.
            return f"{_within(left, tight)} {sign} {_within(right, tight + (op in '-*'))}", tight
        case Apply("log1p", (operand,)):
            return rf"\ln \left( 1 + {_within(operand, _BINDING['+'])} \right)", _ATOM
        case Apply(op, arguments):
            shown = [to_latex(argument) for argument in arguments]
            written = FUNCTIONS[op].latex
            if written:
                return written.format(*shown), _BINDING["**"] if op == "exp" else 0 if op == "where" else _ATOM
            return rf"\operatorname{{{op}}} \left( {', '.join(shown)} \right)", _ATOM


def _within(node: Node, tight: int) -> str:
    latex, own = _latex(node)
    return latex if own >= tight else rf"\left( {latex} \right)"


def _latex_number(text: str) -> tuple[str, int]:
    digits, _, power = text.lower().partition("e")
    return (rf"{digits} \cdot 10^{{{int(power)}}}", _BINDING["*"]) if power else (digits, _ATOM)


def _latex_name(name: str) -> str:
    if name == "pred":
        return r"\hat{y}"
    if name == "target":
        return "y"
    if name == "pi" or name in _GREEK:
        return rf"\{name}"
    return name if len(name) == 1 else r"\mathrm{" + name.replace("_", r"\_") + "}"


def _starts_with_number(node: Node) -> bool:
    """Whether a product would read as one number."""
    match node:
        case Number():
            return True
        case Apply("*" | "/" | "**", (first, *_)):
            return _starts_with_number(first)
        case _:
            return False


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
            return f'float("{value}")', _ATOM
        return repr(value), _ATOM if value >= 0 else _BINDING["neg"]
    match node:
        case Apply(op, arguments) if op in FUNCTIONS:
            return _python_call(op, [_python_tensor(argument) for argument in arguments])
        case Apply("neg", (operand,)):
            return f"-{_python_within(operand, _BINDING['neg'])}", _BINDING["neg"]
        case Apply(op, (left, right)):
            tight = _BINDING[op]
            first = _python_within(left, tight + (op == "**"))
            second = _python_within(right, tight + (op != "**" and op not in ("+", "*")))
            return f"{first}**{second}" if op == "**" else f"{first} {op} {second}", tight
        case Name(name):
            return _python_name(name), _ATOM
        case _:
            raise AssertionError(node)


def _python_within(node: Node, tight: int) -> str:
    text, own = _python(node)
    return text if own >= tight else f"({text})"


def _python_tensor(node: Node) -> str:
    text, own = _python(node)
    if _is_tensor(node):
        return text if own == _ATOM else f"({text})"
    if is_condition(node):
        return f"torch.tensor({text == '1.0'})"
    return f"torch.tensor({text}, dtype=pred.dtype)"


def _python_call(op: str, arguments: list[str]) -> tuple[str, int]:
    function = FUNCTIONS[op]
    if len(arguments) == 1 and function.alone:
        return function.alone.format(*arguments), _ATOM
    bare = [argument[1:-1] if _wrapped(argument) else argument for argument in arguments]
    if op == "mean":
        return f"({' + '.join(arguments)}) / {len(arguments)}", _BINDING["/"]
    if op == "sum":
        return f"({' + '.join(arguments)})", _ATOM
    if op in _FOLDED:
        return reduce(lambda left, right: function.torch.format(left, right), bare), _ATOM
    return function.torch.format(*bare, all=", ".join(bare)), _ATOM


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
