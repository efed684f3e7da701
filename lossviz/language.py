"""The language of typed formulas: text to a small tree, and the tree to LaTeX. Nothing is run, and torch isn't needed.

Numbers, names, ``+ - * / **``, comparisons, and the functions of `FUNCTIONS`. ``pred`` and ``target`` are inputs,
``pi`` and ``e`` constants, every other name is a parameter. A comparison is a condition, which only `where` takes. A
reduction goes over its arguments; where it has only one, along the last axis, which stays with size 1. What a tree
computes is `lossviz.losses.typed`'s to say.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

MOST_CHARACTERS = 200
MOST_NODES = 100
"""Each costs one pass over the inputs, so that this bounds the time too."""
MOST_DEPTH = 20
MOST_PARAMETERS = 6
MOST_IN_A_NAME = 20
LARGEST_VALUE = 1e6
"""How far from 0 a parameter's value may be."""
START = 1.0
"""The value of a parameter that was given none."""
KEY = "formula"
"""What a typed formula is called where a loss of the catalogue has its key."""
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


@dataclass(frozen=True, slots=True)
class Function:
    """A word of the language, and how LaTeX writes it.

    Attributes:
        fewest: how many arguments it takes at least.
        most: how many at most.
        latex: as LaTeX; ``{0}`` is the first argument. Empty for its name in front of brackets.
    """

    fewest: int
    most: int
    latex: str = ""


_MANY = 8
FUNCTIONS: Mapping[str, Function] = {
    "where": Function(3, 3, r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}"),
    "abs": Function(1, 1, r"\left| {0} \right|"),
    "exp": Function(1, 1, r"e^{{{0}}}"),
    "log": Function(1, 1, r"\ln \left( {0} \right)"),
    "log1p": Function(1, 1, r"\ln \left( 1 + {0} \right)"),
    "expm1": Function(1, 1, r"\left( e^{{{0}}} - 1 \right)"),
    "sqrt": Function(1, 1, r"\sqrt{{{0}}}"),
    "sin": Function(1, 1, r"\sin \left( {0} \right)"),
    "cos": Function(1, 1, r"\cos \left( {0} \right)"),
    "tanh": Function(1, 1, r"\tanh \left( {0} \right)"),
    "sigmoid": Function(1, 1, r"\sigma \left( {0} \right)"),
    "softplus": Function(1, 1),
    "relu": Function(1, 1),
    "sign": Function(1, 1),
    "clamp": Function(3, 3),
    "min": Function(1, _MANY),
    "max": Function(1, _MANY),
    "sum": Function(1, _MANY),
    "mean": Function(1, _MANY),
    "logsumexp": Function(1, _MANY),
    "softmax": Function(1, _MANY),
}

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


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
        if self.token.text not in COMPARISONS:
            return left
        operator = self.advance()
        node = self.apply(operator, operator.text, left, self.sum())
        if self.token.text in COMPARISONS:
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
            raise self.error(f"there is no function {name}; nearest: {_nearest(name)}.", token)
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


def _nearest(name: str) -> str:
    return ", ".join(get_close_matches(name, FUNCTIONS) or FUNCTIONS)


def is_condition(node: Node) -> bool:
    """Whether a node is true or false and no number."""
    return isinstance(node, Apply) and node.op in COMPARISONS


# --- tree to LaTeX

BINDING = {**dict.fromkeys(COMPARISONS, 0), "+": 1, "-": 1, "*": 2, "/": 2, "neg": 3, "**": 4}
ATOM = 5
"""How tightly what needs no brackets binds."""
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
            return _latex_name(name), ATOM
        case Apply("/", (above, below)):
            return rf"\frac{{{to_latex(above)}}}{{{to_latex(below)}}}", BINDING["/"]
        case Apply("**", (base, power)):
            return f"{{{_within(base, ATOM)}}}^{{{to_latex(power)}}}", BINDING["**"]
        case Apply("neg", (operand,)):
            return f"-{_within(operand, BINDING['neg'])}", BINDING["neg"]
        case Apply(op, (left, right)) if op in BINDING:
            sign = r"\cdot" if op == "*" and _starts_with_number(right) else _SIGNS.get(op, op)
            tight = BINDING[op]
            # A minus sign after an operator wants brackets, and so does a sum after a minus.
            return f"{_within(left, tight)} {sign} {_within(right, tight + (op in '-*'))}", tight
        case Apply("log1p", (operand,)):
            return rf"\ln \left( 1 + {_within(operand, BINDING['+'])} \right)", ATOM
        case Apply(op, arguments):
            shown = [to_latex(argument) for argument in arguments]
            written = FUNCTIONS[op].latex
            if written:
                return written.format(*shown), BINDING["**"] if op == "exp" else 0 if op == "where" else ATOM
            return rf"\operatorname{{{op}}} \left( {', '.join(shown)} \right)", ATOM


def _within(node: Node, tight: int) -> str:
    latex, own = _latex(node)
    return latex if own >= tight else rf"\left( {latex} \right)"


def _latex_number(text: str) -> tuple[str, int]:
    digits, _, power = text.lower().partition("e")
    return (rf"{digits} \cdot 10^{{{int(power)}}}", BINDING["*"]) if power else (digits, ATOM)


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
