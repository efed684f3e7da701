"""The language of formulas: it agrees with Python's arithmetic, and no text gets anything else out of it."""

import ast
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from inspect import getsource
from types import ModuleType

import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from latex2mathml.converter import convert

from lossviz import language
from lossviz.language import (
    CONSTANTS,
    FUNCTIONS,
    INPUTS,
    MOST_CHARACTERS,
    MOST_DEPTH,
    MOST_NODES,
    MOST_PARAMETERS,
    Apply,
    FormulaError,
    Name,
    Node,
    Number,
    is_condition,
    parse,
    to_latex,
)
from lossviz.losses import typed
from lossviz.losses.typed import evaluate, to_pytorch

PARAMETERS = ("a", "b", "delta", "gamma_2")
POINT = {"pred": 1.7, "target": -0.4, "a": 0.6, "b": -2.3, "delta": 1.25, "gamma_2": 3.0}


def value(text: str, **names: float) -> float:
    given = {name: torch.tensor([number], dtype=torch.float64) for name, number in {**POINT, **names}.items()}
    return evaluate(parse(text).root, given).item()


# --- what a text means


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("pred - 1 - 2", "(pred - 1) - 2"),
        ("pred - 2 * 3 + 4", "(pred - (2 * 3)) + 4"),
        ("pred / 2 / 4 * 3", "((pred / 2) / 4) * 3"),
        ("-pred**2", "-(pred**2)"),
        ("2**3**2 * pred", "(2**(3**2)) * pred"),
        ("pred**-2", "1 / (pred * pred)"),
        ("--pred", "pred"),
        ("+pred", "pred"),
        ("2 ** -  1 * pred", "pred / 2"),
        ("1e-2 * pred + .5 - 2.", "0.01 * pred - 1.5"),
        ("\tpred  +\t1 ", "pred + 1"),
        ("where(pred < target, 1, 2)", "where((pred) >= (target), 2, 1)"),
        ("clamp(pred, -1, 1)", "min(max(pred, -1), 1)"),
        ("max(pred, target, 9)", "9 + 0*pred"),
        ("mean(pred, target)", "(pred + target) / 2"),
        ("sum(pred, 1, 2)", "pred + 3"),
        ("logsumexp(pred, 0)", "softplus(pred)"),
        ("softmax(pred, 0)", "sigmoid(pred)"),
        ("expm1(log1p(pred))", "pred"),
        ("cos(pi) * pred", "-pred"),
        ("log(e) * pred", "pred"),
    ],
)
def test_texts_that_mean_the_same(text: str, same: str):
    assert value(text) == pytest.approx(value(same), rel=1e-13)


def test_one_argument_reduces_along_the_last_axis_and_keeps_it():
    pred = torch.tensor([[1.0, 2.0, 4.0], [0.0, -1.0, 1.0]])
    for word, expected in (("sum", [7, 0]), ("mean", [7 / 3, 0]), ("min", [1, -1]), ("max", [4, 1])):
        result = evaluate(parse(f"{word}(pred)").root, {"pred": pred})
        torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float32)[:, None])
    torch.testing.assert_close(evaluate(parse("softmax(pred)").root, {"pred": pred}), pred.softmax(-1))
    torch.testing.assert_close(evaluate(parse("logsumexp(pred)").root, {"pred": pred}), pred.logsumexp(-1)[:, None])


def test_parameters_come_in_order_of_appearance():
    assert parse("b * pred - a * (target + b) + pi * e").parameters == ("b", "a")


# --- generated trees, written out, read back, and computed with Python's floats

SAFE: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0),
    "relu": lambda x: max(x, 0.0),
    "sign": lambda x: (x > 0) - (x < 0),
    "clamp": lambda x, low, high: min(max(x, low), high),
    "min": min,
    "max": max,
    "sum": lambda *x: sum(x),
    "mean": lambda *x: sum(x) / len(x),
    "logsumexp": lambda *x: max(x) + math.log(sum(math.exp(y - max(x)) for y in x)),
    "softmax": lambda *x: math.exp(x[0] - max(x)) / sum(math.exp(y - max(x)) for y in x),
    "where": lambda condition, yes, no: yes if condition else no,
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": math.pow,
    "neg": lambda x: -x,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
}


def oracle(node: Node) -> float:
    match node:
        case Number(number):
            return number
        case Name(name):
            return {**CONSTANTS, **POINT}[name]
        case Apply(op, arguments):
            return SAFE[op](*map(oracle, arguments))


def spelt(node: Node) -> str:
    """The tree as text, with a bracket around everything."""
    match node:
        case Number(_, text):
            return text
        case Name(name):
            return name
        case Apply("neg", (operand,)):
            return f"(-{spelt(operand)})"
        case Apply(op, arguments) if op in FUNCTIONS:
            return f"{op}({', '.join(map(spelt, arguments))})"
        case Apply(op, (left, right)):
            return f"({spelt(left)}{op}{spelt(right)})"
        case _:
            raise AssertionError(node)


LEAVES = st.sampled_from([*INPUTS, *PARAMETERS, *CONSTANTS]).map(Name) | st.sampled_from(
    ["0", "1", "2", "0.5", ".25", "3.", "1e-3", "12.75"]
).map(lambda text: Number(float(text), text))


def grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    pair = st.tuples(inner, inner)
    condition = st.builds(Apply, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), pair)
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    one = [word for word, function in FUNCTIONS.items() if function.most == 1]
    return st.one_of(
        st.builds(Apply, st.sampled_from(["+", "-", "*", "/", "**"]), pair),
        st.builds(Apply, st.just("neg"), st.tuples(inner)),
        st.builds(Apply, st.sampled_from(one), st.tuples(inner)),
        st.builds(Apply, st.just("clamp"), st.tuples(inner, inner, inner)),
        st.builds(Apply, st.sampled_from(["min", "max", "sum", "mean", "logsumexp", "softmax"]), several),
        st.builds(Apply, st.just("where"), st.tuples(condition, inner, inner)),
    )


TREES = st.recursive(LEAVES, grown, max_leaves=9)


@given(tree=TREES)
@settings(max_examples=400, deadline=None)
def test_numbers_agree_with_pythons_arithmetic(tree: Node):
    text = f"{spelt(tree)}+0*pred"
    assume(len(text) <= MOST_CHARACTERS)
    try:
        formula = parse(text)
    except FormulaError as error:
        assert "nest" in error.reason
        return
    assert formula.root == Apply("+", (tree, Apply("*", (Number(0.0, "0"), Name("pred")))))
    try:
        expected = oracle(tree)
    except (ArithmeticError, ValueError):
        return
    assume(abs(expected) < 1e100)
    assert value(text) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(tree=TREES)
@settings(max_examples=200, deadline=None)
def test_the_pytorch_program_gives_the_same_number(tree: Node):
    text = f"{spelt(tree)}+pred"
    assume(len(text) <= MOST_CHARACTERS)
    try:
        formula = parse(text)
    except FormulaError:
        return
    program = to_pytorch(formula).format(**{name: repr(POINT[name]) for name in formula.parameters})
    names: dict[str, object] = {"torch": torch}
    names |= {name: torch.tensor([POINT[name]], dtype=torch.float64) for name in INPUTS}
    exec(compile(program, "formula", "exec"), names)
    shown = names["loss"]
    assert isinstance(shown, torch.Tensor)
    expected = torch.tensor(value(text), dtype=torch.float64)
    torch.testing.assert_close(shown, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@given(tree=TREES)
@settings(max_examples=200, deadline=None)
def test_every_tree_can_be_shown(tree: Node):
    assert convert(to_latex(tree)).startswith("<math")


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("(pred - target)**2 / 2", r"\frac{{\left( \hat{y} - y \right)}^{2}}{2}"),
        ("pred - (target - a)", r"\hat{y} - \left( y - a \right)"),
        ("-(pred + 1)", r"-\left( \hat{y} + 1 \right)"),
        ("(-pred)**2", r"{\left( -\hat{y} \right)}^{2}"),
        ("2 * (3 * pred)", r"2 \cdot \left( 3 \, \hat{y} \right)"),
        ("abs(pred)**delta", r"{\left| \hat{y} \right|}^{\delta}"),
        ("exp(pred)**2", r"{\left( e^{\hat{y}} \right)}^{2}"),
        ("2e3 * pred", r"2 \cdot 10^{3} \, \hat{y}"),
        ("low_end * pred", r"\mathrm{low\_end} \, \hat{y}"),
    ],
)
def test_latex(text: str, latex: str):
    assert to_latex(parse(text).root) == latex


def test_names_that_python_or_the_program_needs_are_changed():
    program = to_pytorch(parse("lambda * pred + torch + loss"))
    ast.parse(program.format(**{"lambda": 1, "torch": 2, "loss": 3}))
    assert "the_parameter_called_lambda" in program and "\ntorch =" not in program


# --- what is no formula


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "type a formula"),
        ("   ", 3, "type a formula"),
        ("abs(pred", 8, "bracket at character 4 is not closed"),
        ("pred +", 6, "missing at the end"),
        ("pred * * 2", 7, "does not belong here"),
        ("2pred", 1, "an operator is missing before pred"),
        ("(pred)(target)", 6, "an operator is missing before ("),
        ("pred)", 4, ") does not belong here"),
        ("abs pred", 0, "abs is a function"),
        ("abbs(pred)", 0, "nearest: abs"),
        ("open(pred)", 0, "there is no function open"),
        ("pred(1)", 0, "there is no function pred"),
        ("clamp(pred, 1)", 13, "clamp takes 3 arguments"),
        ("abs(pred, 1)", 8, "abs takes 1 argument."),
        ("min(pred,1,2,3,4,5,6,7,8)", 22, "min takes 1 to 8 arguments"),
        ("abs()", 4, ") does not belong here"),
        ("pred < 1", 0, "a comparison is a condition"),
        ("1 + (pred < 1)", 2, "a condition can't be computed with"),
        ("where(pred, 1, 2)", 6, "where wants a comparison first"),
        ("where(pred < 1, pred > 2, 2)", 16, "a comparison is a condition"),
        ("where(1 < pred < 2, 1, 2)", 15, "compare two numbers at a time"),
        ("target", 6, "pred does not appear"),
        ("pred^2", 4, "a power is written **"),
        ("pred = 2", 5, "equality is written =="),
        ("pred[0]", 4, "use round brackets"),
        ("pred.real", 4, "'.' is not part of the language"),
        ("__import__('os')", 0, "'_' is not part of the language"),
        ("pred + рred", 7, "cyrillic small letter er"),
        ("pred − 1", 5, "minus sign"),
        ("𝒑red", 0, "mathematical bold italic small p"),
        ("pred\n+1", 4, "is not part of the language"),
        ("pred + \x00", 7, "is not part of the language"),
        ("lambda: pred", 6, "':' is not part"),
        ("pred if 1 else 2", 5, "an operator is missing before if"),
        ("1e999 * pred", 0, "the number is too large"),
        ("pred * abcdefghijklmnopqrstu", 7, "a name has at most 20 characters"),
        ("a+b+c+d+f+g+h+pred", 12, "h would be parameter 7; allowed: 6"),
        ("(" * 30 + "pred" + ")" * 30, MOST_DEPTH, "at most 20 deep"),
        ("-" * 30 + "pred", MOST_DEPTH, "at most 20 deep"),
        ("+".join(["1"] * 60) + "*pred", 99, "at most 100 numbers"),
        ("pred" + " " * 200, 200, "at most 200 characters"),
    ],
)
def test_an_error_points_at_the_character(text: str, position: int, reason: str):
    with pytest.raises(FormulaError) as caught:
        parse(text)
    error = caught.value
    assert (error.position, reason in error.reason) == (position, True), error
    assert str(error).startswith(f"Character {position + 1} of the formula: ")
    assert error.pointer.splitlines()[-1] == " " * position + "^"


def test_the_bounds_themselves_are_allowed():
    assert parse("(" * MOST_DEPTH + "pred" + ")" * MOST_DEPTH)
    assert parse("+".join(["1"] * (MOST_NODES // 2 - 1)) + "+pred")
    assert parse("pred".ljust(MOST_CHARACTERS))
    assert len(parse("+".join(["pred", *"abcdfg"])).parameters) == MOST_PARAMETERS


WORDS = [*FUNCTIONS, *INPUTS, *CONSTANTS, "a", "lambda", "__class__", "import", "eval", "exec", "os", "pred", "pred"]
SIGNS = [*"()(),+-*/<> .[]{}:'\"\\`#;=@%&|~\n\x00", "**", "<=", "==", "!=", "\ud800", *"р＋𝟏९∞"]
NUMBERS = ["9", "9**9**9**9", "1e308", "1e999", ".", "0", "-", "1_000", "0x10", "1j", "((((((((((((((((((((("]
GOOD = ["pred", "target", "a", "2", "+", "-", "*", "**", "abs(pred)", "(", ")", "where(pred<a,1,2)"]
PIECES = st.sampled_from([*WORDS, *SIGNS, *NUMBERS])
HOSTILE = st.one_of(
    st.text(max_size=300),
    st.lists(PIECES, max_size=60).map("".join),
    st.lists(PIECES, max_size=12).map(lambda pieces: f"abs(pred{''.join(pieces)})"),
    TREES.map(spelt),
)


@given(text=HOSTILE)
@example(text="9**9**9**9**pred")
@example(text="pred" + "**pred" * 30)
@example(text="exp(" * 19 + "pred" + ")" * 19)
@example(text="-" * 10**6)
@example(text="(" * 10**6)
@example(text="pred.__class__.__mro__[1].__subclasses__()")
@example(text="[x for x in (1).__class__.__base__.__subclasses__()]")
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_text_gets_more_than_a_number_or_an_error(text: str):
    harmless(text)


def test_ten_thousand_random_texts():
    source = random.Random(4)
    pieces = [*WORDS, *SIGNS, *NUMBERS]
    understood = 0
    for _ in range(10_000):
        words = source.choices(pieces if source.random() < 0.3 else GOOD, k=source.randrange(1, 9))
        understood += harmless("".join(words))
    assert 100 < understood < 5000


def harmless(text: str) -> bool:
    """Whether it is a formula; if not, there was the language's own error and no other."""
    began = time.perf_counter()
    try:
        formula = parse(text)
    except FormulaError as error:
        assert 0 <= error.position <= min(len(text), MOST_CHARACTERS)
        assert len(str(error)) < 400
        return False
    finally:
        assert time.perf_counter() - began < 1
    names = used(formula.root)
    assert names <= {*INPUTS, *CONSTANTS, *formula.parameters}
    assert all(name.isascii() and name[0].isalpha() and name not in FUNCTIONS for name in names)
    point = {name: torch.tensor([0.7], dtype=torch.float64) for name in ("pred", "target", *formula.parameters)}
    assert evaluate(formula.root, point).numel() == 1
    assert not is_condition(formula.root)
    ast.parse(to_pytorch(formula).format(**dict.fromkeys(formula.parameters, "1.0")))
    to_latex(formula.root)
    assert time.perf_counter() - began < 2
    return True


def used(node: Node) -> set[str]:
    match node:
        case Name(name):
            return {name}
        case Apply(op, arguments):
            assert op in SAFE
            return set().union(*map(used, arguments))
        case _:
            return set()


@pytest.mark.parametrize("module", [language, typed], ids=lambda module: module.__name__)
def test_nothing_in_the_language_runs_text(module: ModuleType):
    tree = ast.parse(getsource(module))
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__", "getattr", "globals", "open"}
    assert not {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names} & {"ast"}


def test_every_word_means_something():
    assert {*language.FUNCTIONS} == {*typed._WAYS}
    assert {*language.COMPARISONS} == {*typed._COMPARISONS}


def test_reading_a_formula_needs_no_torch():
    code = "import sys, lossviz.language as l; l.parse('abs(pred - target)**p / p'); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
