"""Breaks losses in small ways and runs their tests: a fault that no test notices is a gap in the tests.

    python -m tools.mutants [--mutants 230] [--seed 0] [--workers 2] [--root .] [--only KEY ...]

A mutant is one change of one expression: a dropped factor, a swapped sign, a shifted number, a detached term and the
like. Every loss gets its share, drawn by the seed from all code that the loss reaches: its value, its gradient, the
lines of its formula and derivation, its denominator and its check. The tests of that loss then run on a copy of the
package with this one change; if they pass, those of the other losses that reach the changed code run too.

A change that changes no number is no fault: ``EXPLAINED`` names those that are known, each with its reason. Where one
is drawn it runs too, and has to survive, but it is no part of the rate: another is drawn in its place.

Prints a line for each survivor and one JSON line at the end. Exit status 1: fewer than 98 in 100 were caught, a
survivor is not explained, or an explanation is refuted. Tests that fail without any mutant are left out and counted,
since they prove nothing.
"""

import argparse
import ast
import inspect
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WANTED_RATE = 0.98
TIME_LIMIT = 120.0
MOST_NEIGHBOURS = 12
"""So many other losses' tests run at most, where those of the drawn loss let a mutant of shared code pass."""
PACKAGE = "lossviz/losses"
TESTS = "tests/losses"

# Long: each names its change in full, so that it says nothing of another one.
# ruff: noqa: E501
EXPLAINED = {
    "adaptive.py, _lambert: z = (0.5 * (losses.double() - tau) / lambda_).clamp(min=-1 / math.e) -> z = (0.5 * (losses.double() - tau) / lambda_).clamp(min=-1.1 / math.e)": "Below -1 / e the root is clamped to 0 as well, and the series gives -1.",
    "adversarial.py, _divergence: return (log_p.exp() * (log_p - log_q)).sum(-1) -> return (log_p.exp() * (log_p.detach() - log_q)).sum(-1)": "p times the slope of ln p is the slope of p, and those add up to 0.",
    "gan.py, _slope: leaf = x if x.requires_grad else x.clone().detach().requires_grad_() -> leaf = x if x.requires_grad else x.clone().requires_grad_()": "The copy of what needs no gradient needs none either.",
    '_checks.py, check_distribution: check_where(f"the sum of {name}", total, (total - 1).abs() <= 1e-3, "1, since it holds probabilities") -> check_where(f"the sum of {name}", total, ((total - 1).abs() < 1e-3), "1, since it holds probabilities")': "No sum near 1 is off by 0.001 exactly: that has no short binary fraction.",
    "_checks.py, check_among: parts = torch.split(tensor.flatten(), 2**15) -> parts = torch.split(tensor.flatten(), 2)": "How many values are looked at together changes the time alone.",
    "angular.py, _moved_cosine: return (angle + m).cos().where(angle <= math.pi - m, angle.cos() - m * math.sin(m)) -> return (angle + m).cos().where((angle < (math.pi - m)), angle.cos() - m * math.sin(m))": "At the angle pi - m itself, where the value jumps, rounding decides for either side.",
    "angular.py, _arcface_grad: straight = torch.where(turn > 0, math.cos(m), torch.ones_like(turn)) + turn * (towards * u).sum(-1, keepdim=True) -> straight = torch.where(turn > 0, math.cos(m), torch.ones_like(turn)) + (towards * u).sum(-1, keepdim=True)": "What points across has no part along u: the product is a rounding error.",
    "contrastive.py, _barlow_twins_grad: return (slope - slope.mean(0) - along) / _deviation(z, eps) -> return ((slope + slope.mean(0)) - along) / _deviation(z, eps)": "The slope is a mix of standardised columns, whose mean is 0.",
    "detection.py, _aspect: weight = penalty / (1 - _overlap(pred, target, eps) + penalty + eps) -> weight = penalty / (1 - _overlap(pred, target, eps) + penalty.detach() + eps)": "The weight is detached as a whole.",
    "detection.py, _ciou_grad: point = longer < _POINT -> point = (longer <= _POINT)": "Differs for a box of exactly 1e-30 alone, where both sides of the limit give 0 in all digits.",
    "divergences.py, _entropy_slope: return -_log(p) - (p >= torch.finfo(p.dtype).tiny).to(p.dtype) -> return -_log(p) - ((p > torch.finfo(p.dtype).tiny)).to(p.dtype)": "Differs for a probability of exactly 2.2e-308 alone, where the clamp's slope may be 0 or 1.",
    "divergences.py, _js_grad: held = (pred >= tiny).to(pred.dtype) - (middle >= tiny).to(pred.dtype) -> held = ((pred > tiny)).to(pred.dtype) - (middle >= tiny).to(pred.dtype)": "Differs for a probability of exactly 2.2e-308 alone, where the clamp's slope may be 0 or 1.",
    "multitask.py, _terms_by_losses: return weights.diag() + losses[:, None] * _weights_by_losses(losses=losses) -> return weights.diag() + _weights_by_losses(losses=losses)": "The slope of the weights, which are constants, is 0 with any factor.",
    "multitask.py, _terms_by_losses: return weights.diag() + losses[:, None] * _weights_by_losses(losses=losses) -> return (weights.diag() - (losses[:, None] * _weights_by_losses(losses=losses)))": "The slope of the weights, which are constants, is 0 with either sign.",
    "multitask.py, gradnorm: return (weights * grad_norms - _norm_targets(losses, initial_losses, grad_norms, weights, alpha)).abs() -> return (weights * grad_norms - _norm_targets(losses, initial_losses, grad_norms, weights, alpha).detach()).abs()": "The targets come detached.",
    "sparse.py, _ranks: return torch.empty_like(losses).scatter(0, order, torch.arange(1, len(losses) + 1).to(losses)) -> return torch.empty_like(losses).scatter(0, order, torch.arange(1, len(losses) + 1.1).to(losses))": "One rank more than there are losses: scatter takes as many as it needs.",
    "multiclass.py, _weights: inverse = -1 / torch.expm1(counts * _log(beta)) -> inverse = -1.1 / torch.expm1(counts * _log(beta))": "The weights are brought to a sum: a common factor cancels.",
    "multitask.py, pcgrad: square = (direction * direction).sum().clamp(min=torch.finfo(grads.dtype).tiny) -> square = (direction * direction).sum()": "A zero gradient gives 0 / 0 then, which is not below 0 either: it conflicts with none.",
    "multitask.py, _shortest_weights: chosen = [int(points.square().sum(-1).argmin())] -> chosen = [int(points.square().mean(-1).argmin())]": "The smallest sum has the smallest mean.",
    "deviance.py, tweedie_deviance: return 2 * torch.where(above & (ratio > 0.5) & (ratio < 2), close, far) -> return 2 * torch.where(above & (ratio > 0.5) & (ratio < 3), close, far)": "Between 2 and 3 both are right to fourteen digits, and so are their gradients.",
    "ranking.py, _listnet_slope: return total * _log_sum_slope(scores=scores) - _truth(relevance=relevance) -> return _log_sum_slope(scores=scores) - _truth(relevance=relevance)": "The total is that of a softmax: 1. It stands there because the line above it is q's sum.",
    "ranking.py, _discounts: return 1 / (1 + ranks).log2() -> return 1.1 / (1 + ranks).log2()": "Gains are divided by the best order's gain: a common factor cancels.",
    "multiclass.py, _weight_line: inverse = 1 / _effective_line(pred=pred, beta=beta, samples_per_class=samples_per_class) -> inverse = 1.1 / _effective_line(pred=pred, beta=beta, samples_per_class=samples_per_class)": "The weights are brought to a sum: a common factor cancels.",
    "multitask.py, _first_shares: return shares - shares.diag().diag() -> return (shares + shares.diag().diag())": "A gradient does not point against itself: the diagonal was clamped to 0 already.",
    "multitask.py, _nearest: weights = (weights + shares.min() * (goal - weights)).clamp(min=0) -> weights = (weights + shares.min() * (goal - weights)).clamp(min=0.1)": "Which corner leaves first: another path to the same point, as 160 random sets of up to 20 tasks showed.",
    "multitask.py, _nearest: weights = (weights + shares.min() * (goal - weights)).clamp(min=0) -> weights = (weights + shares.min()).clamp(min=0)": "Which corner leaves first: another path to the same point, as 160 random sets of up to 20 tasks showed.",
    "multitask.py, _nearest: weights = (weights + shares.min() * (goal - weights)).clamp(min=0) -> weights = (weights + shares.min() * ((goal + weights))).clamp(min=0)": "Which corner leaves first: another path to the same point, as 160 random sets of up to 20 tasks showed.",
    "multitask.py, _nearest: shares = weights[out] / (weights - goal)[out] -> shares = weights[out]": "Which corner leaves first: another path to the same point, as 160 random sets of up to 20 tasks showed.",
    "noise_robust.py, bi_tempered: cross = (label * (log_label - log_forecast)).where(label > 0, 0) -> cross = (label * (log_label.detach() - log_forecast)).where(label > 0, 0)": "Labels have no gradient, smoothed or not.",
    "noise_robust.py, _tempered_log_softmax: level = level + _newton_step(scores - level, t) -> level = level + _newton_step(scores - level.detach(), t)": "The steps before are made of detached scores: the level has no gradient.",
    "robust.py, log_cosh: near = (2 * (0.5 * residual.clamp(-1, 1)).sinh() ** 2).log1p() -> near = (2 * (0.5 * residual.clamp(-1, 1.1)).sinh() ** 2).log1p()": "Beyond 1 the other branch is taken; the clamp only keeps this one finite.",
    "robust.py, _inside_by_residual: return 2 * residual / c**2 * (residual.abs() < c).to(pred.dtype) -> return 2 * residual / c**2 * ((residual.abs() <= c)).to(pred.dtype)": "At c itself either slope is right, and it is multiplied by 0.",
    "sequence.py, _ctc_states: return states, emit, (states != 0) & (place >= 2) & (states != states.roll(2, -1)) -> return states, emit, (states != 0) & ((place > 2)) & (states != states.roll(2, -1))": "The state at place 2 is a blank, which the first condition leaves out.",
    "sequence.py, _ctc_line: return torch.where(total < _NEVER / 2, torch.full_like(total, math.inf), -total) -> return torch.where(total < _NEVER / 2.1, torch.full_like(total, math.inf), -total)": "Paths that exist lie far above the limit, those that do not far below it.",
    "segmentation.py, _jaccard_of_first [detach]": "It is made of labels and of an order, which have no gradient.",
    "semisupervised.py, entropy_min: return -(log_p.exp() * log_p).sum(-1) -> return -(log_p.exp() * log_p.detach()).sum(-1)": "p times the slope of ln p is the slope of p, and those add up to 0.",
    "sparse_maps.py, _entmax15_root: spread = ordered.square().cumsum(-1) - k * mean.square() [detach]": "It is but compared with.",
    "sparse_maps.py, _bisected: above = relu(scores - low - step).pow(power).sum(-1, keepdim=True) >= 1 -> above = (relu(scores - low - step).pow(power).sum(-1, keepdim=True) > 1)": "Where the sum is exactly 1 the halving ends at the same threshold from the other side.",
    "multitask.py, pcgrad: conflict = (along < 0) & others[j] -> conflict = ((along <= 0)) & others[j]": "At exactly 0 nothing is taken away either way.",
    "noise_robust.py, _tempered_log_softmax: level = level + _newton_step(scores - level, t) -> level = level.detach() + _newton_step(scores - level, t)": "The level before the last step is made of scores without a gradient.",
}
"""Changes that change no number, in full or as all of one kind in a statement or function, each with its reason."""


# --- which code belongs to which loss


@dataclass(frozen=True)
class Definition:
    """A function, a constant or part of an entry, by the module and the name that it has there."""

    module: str
    name: str


@dataclass
class Module:
    """A parsed file: its top-level names, and those it imports from its neighbours."""

    path: str
    source: bytes
    names: dict[str, ast.AST] = field(default_factory=dict[str, ast.AST])
    imported: dict[str, Definition] = field(default_factory=dict[str, Definition])

    def __post_init__(self) -> None:
        """Parse, and note where each line begins, since the parser counts columns in bytes."""
        self.starts = [0]
        for line in self.source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        for node in ast.parse(self.source).body:
            match node:
                case ast.FunctionDef() | ast.ClassDef():
                    self.names[node.name] = node
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    self.names[name] = node
                case ast.ImportFrom(module=str(module)) if module.startswith("lossviz.losses."):
                    for alias in node.names:
                        self.imported[alias.asname or alias.name] = Definition(module.rpartition(".")[2], alias.name)
                case _:
                    pass

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where the node's text begins and ends."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr | ast.stmt) -> str:
        """The node's text."""
        start, end = self.span(node)
        return self.source[start:end].decode()

    def bracketed(self, node: ast.expr) -> str:
        """The node's text as part of any other expression."""
        whole = ast.Name | ast.Constant | ast.Call | ast.Attribute | ast.Subscript
        return self.text(node) if isinstance(node, whole) else f"({self.text(node)})"


def modules_in(root: Path) -> dict[str, Module]:
    """The modules of the catalogue."""
    return {
        path.stem: Module(f"{PACKAGE}/{path.name}", path.read_bytes()) for path in sorted((root / PACKAGE).glob("*.py"))
    }


@dataclass(frozen=True)
class Entry:
    """A loss as its file states it: its key, and what it reaches."""

    key: str
    module: str
    reached: frozenset[Definition]
    moved: Mapping[Definition, frozenset[str]]
    """What autograd goes through on its way back from ``fn``, with the arguments that it goes on to."""
    denominator: ast.expr


EVALUATED = ("fn", "grad", "denominator", "check", "formula", "derivation", "outputs")


def entries_in(modules: dict[str, Module]) -> list[Entry]:
    """Every ``NAME = Loss(...)`` of the modules."""
    found: list[Entry] = []
    for stem, module in modules.items():
        for node in module.names.values():
            call = node.value if isinstance(node, ast.Assign) else None
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Loss"):
                continue
            parts = {keyword.arg: keyword.value for keyword in call.keywords}
            evaluated = [parts[name] for name in EVALUATED if name in parts]
            moving = {
                word
                for name in ("differentiable", "models")
                if name in parts
                for word in words_in(modules, stem, parts[name])
            }
            found.append(
                Entry(
                    ast.literal_eval(parts["key"]),
                    stem,
                    frozenset(reach(modules, stem, evaluated)),
                    way_back(modules, Definition(stem, ast.unparse(parts["fn"])), moving),
                    parts["denominator"],
                )
            )
    return found


def words_in(modules: dict[str, Module], stem: str, node: ast.AST) -> set[str]:
    """The texts of an entry's part, which may be a name for it or be put together from several."""
    named = [modules[d.module].names[d.name] for d in reach(modules, stem, [node])]
    parts = [child for whole in (node, *named) for child in ast.walk(whole)]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def way_back(modules: dict[str, Module], fn: Definition, moving: set[str]) -> dict[Definition, frozenset[str]]:
    """The functions that a gradient goes through, from what ``fn`` calls with its moving arguments on."""
    found: dict[Definition, set[str]] = {}
    waiting = [(fn, moving)] if moving else []
    while waiting:
        definition, arguments = waiting.pop()
        module = modules[definition.module]
        node = module.names.get(definition.name)
        if not isinstance(node, ast.FunctionDef) or arguments <= found.get(definition, set()):
            continue
        found.setdefault(definition, set()).update(arguments)
        local = moving_names(node, found[definition])
        for call in (part for statement in node.body for part in ast.walk(statement) if isinstance(part, ast.Call)):
            if isinstance(call.func, ast.Name):
                name = call.func.id
                callee = module.imported.get(name, Definition(definition.module, name))
                waiting.append((callee, moving_arguments(modules, callee, call, local)))
    return {definition: frozenset(arguments) for definition, arguments in found.items() if arguments}


def moving_arguments(modules: dict[str, Module], callee: Definition, call: ast.Call, moving: set[str]) -> set[str]:
    """The names that the called function has for those of its arguments that move."""
    node = modules[callee.module].names.get(callee.name) if callee.module in modules else None
    if not isinstance(node, ast.FunctionDef):
        return set()
    names = [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
    given = dict(zip(names, call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    return {name for name, value in given.items() if moves(value, moving)}


def reach(modules: dict[str, Module], stem: str, roots: Sequence[ast.AST]) -> set[Definition]:
    """The functions and constants that the roots name, and those that these name in turn."""
    found: set[Definition] = set()
    waiting = [Definition(stem, name) for root in roots for name in names_in(root)]
    while waiting:
        definition = waiting.pop()
        module = modules.get(definition.module)
        if module is None:
            continue
        if definition.name in module.imported:
            waiting.append(module.imported[definition.name])
        elif definition.name in module.names and definition not in found:
            found.add(definition)
            waiting += [Definition(definition.module, name) for name in names_in(module.names[definition.name])]
    return found


def names_in(node: ast.AST) -> set[str]:
    """Every name that the node reads."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


# --- the changes


@dataclass(frozen=True)
class Mutant:
    """One change of one expression."""

    module: str
    path: str
    function: str
    kind: str
    start: int
    end: int
    text: str
    statement: str
    changed: str

    @property
    def where(self) -> str:
        """What changes, in words that outlive a shift of lines."""
        return f"{self.path.rpartition('/')[2]}, {self.function}: {self.statement} -> {self.changed}"


Change = tuple[str, ast.expr, str]
"""A kind, the expression and the text that takes its place."""

_OPPOSITE = {"amax": "amin", "amin": "amax", "maximum": "minimum", "minimum": "maximum", "argmax": "argmin"}
_OPPOSITE |= {"argmin": "argmax", "max": "min", "min": "max", "mean": "sum", "sum": "mean", "cummax": "cummin"}
_REDUCTIONS = {"mean", "sum"}
_COMPARED = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="}
_SIGNS = {ast.Add: "-", ast.Sub: "+"}
_COMMUTES = {"maximum", "minimum", "max", "min", "logaddexp", "isinstance", "zip", "cat", "stack", "dist", "complex"}
_COMMUTES |= {"pairwise_distance", "smooth_l1_loss", "_areas", "_offset", "_common_sides", "_outer_sides", "_outer_box"}
_COMMUTES |= {"_overlap", "_dice_parts", "_jaccard_parts"}
"""Functions whose first two arguments may change places: what is made of the result is the same."""
_CHECKS_OF_NUMBERS = {"check_between", "check_at_least", "check_above", "check_among"}
_TAKES_NUMBERS = {"clamp", "full", "full_like", "new_full", "tensor", "pow"}
_WITHOUT_SLOPE = {"argmax", "argmin", "argsort", "sign", "detach", "size", "numel", "isfinite", "zeros_like"}
_WITHOUT_SLOPE |= {"is_label", "_is_label", "one_hot", "_one_hot", "_is_class", "_masks", "_class_weights", "itself"}
_WITHOUT_SLOPE |= {"ones_like", "shape", "dtype", "device", "ndim", "long", "bool", "round", "floor"}


def changes(module: Module, node: ast.AST, moved: frozenset[str]) -> Iterator[Change]:
    """Every change of a function's body or of a constant; of gradients too, where some of its arguments are moved."""
    for parent, child in evaluated(node):
        yield from changes_of(module, parent, child)
    if moved and isinstance(node, ast.FunctionDef):
        moving = moving_names(node, moved)
        for part in node.body:
            yield from detachments(module, part, moving)


def evaluated(node: ast.AST) -> Iterator[tuple[ast.AST, ast.expr]]:
    """Each expression that makes numbers, after the node around it: no annotations, defaults, texts or errors."""
    if isinstance(node, ast.FunctionDef):
        inner: Iterable[ast.AST] = node.body
    elif isinstance(node, ast.AnnAssign):
        inner = [node.value] if node.value else []
    elif isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.ClassDef):
        inner = []
    else:
        inner = ast.iter_child_nodes(node)
    for child in inner:
        if isinstance(child, ast.expr):
            yield node, child
        if not (isinstance(child, ast.UnaryOp) and is_place(node, child)):
            yield from evaluated(child)


def changes_of(module: Module, parent: ast.AST, node: ast.expr) -> Iterator[Change]:
    """The changes of one expression that have nothing to do with gradients."""
    text = module.bracketed
    match node:
        case ast.BinOp(left, ast.Mult(), right):
            yield "factor", node, text(left)
            yield "factor", node, text(right)
        case ast.BinOp(left, ast.Div() | ast.Pow(), _):
            yield "factor", node, text(left)
        case ast.BinOp(left, ast.Add() | ast.Sub() as sign, right):
            yield "sign", node, f"({text(left)} {_SIGNS[type(sign)]} {text(right)})"
        case ast.UnaryOp(ast.USub(), operand) if not is_place(parent, node):
            yield "sign", node, text(operand)
        case ast.Compare(left, [operator], [right]) if type(operator) in _COMPARED:
            yield "bound", node, f"({text(left)} {_COMPARED[type(operator)]} {text(right)})"
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as number) if holds_number(parent, node):
            yield "number", node, repr(number + 1) if isinstance(parent, ast.Compare) else shifted(number)
        case ast.Subscript(value, ast.Constant(value=int() as place)) if not isinstance(place, bool):
            yield "place", node, f"{text(value)}[{place + 1}]"
        case ast.Slice(lower=ast.Constant(value=int() as place) as lower):
            yield "place", lower, str(place + 1)
        case ast.Call(ast.Attribute() as method):
            yield from changes_of_call(module, node, method)
        case ast.Call(ast.Name(name), args):
            if name == "relu":
                yield "clamp", node, text(args[0])
            yield from swaps(module, node, name)
        case _:
            pass


def changes_of_call(module: Module, node: ast.Call, method: ast.Attribute) -> Iterator[Change]:
    """The changes of ``owner.name(...)``."""
    # From the text of the whole: that of the owner alone lacks the brackets around it.
    name, args, head = method.attr, node.args, module.text(method)
    owner, inside = head[: -len(name) - 1], module.text(node)[len(head) :]
    if name in _OPPOSITE:
        yield "reduction" if name in _REDUCTIONS else "extreme", node, f"{owner}.{_OPPOSITE[name]}{inside}"
    if name == "square":
        yield "factor", node, owner
    if name in ("clamp", "relu") and owner != "torch":
        yield "clamp", node, owner
        for keyword in node.keywords:
            if len(node.keywords) == 1 and keyword.arg in ("min", "max"):
                yield "extreme", node, f"{owner}.clamp({_OPPOSITE[keyword.arg]}={module.text(keyword.value)})"
    if name == "where" and owner != "torch" and len(args) == 2 and not isinstance(args[1], ast.Constant):
        yield "swap", node, f"{module.bracketed(args[1])}.where({module.text(args[0])}, {owner})"
    elif name == "where" and len(args) == 3:
        condition, first, second = map(module.text, args)
        yield "swap", node, f"{owner}.where({condition}, {second}, {first})"
    elif owner == "torch" or name == "clamp":
        yield from swaps(module, node, name)


def swaps(module: Module, node: ast.Call, function: str) -> Iterator[Change]:
    """A call whose first two arguments change places; not where keywords tell them apart, nor where it is the same."""
    if function in _COMMUTES or function.startswith(("require_", "check_", "_require", "_check")):
        return
    if len(node.args) < 2 or any(isinstance(arg, ast.Constant | ast.Starred) for arg in node.args[:2]):
        return
    first, second = map(module.span, node.args[:2])
    start, end = module.span(node)
    raw = module.source
    parts = (raw[start : first[0]], raw[slice(*second)], raw[first[1] : second[0]], raw[slice(*first)])
    yield "swap", node, (b"".join(parts) + raw[second[1] : end]).decode()


def is_place(parent: ast.AST, node: ast.UnaryOp) -> bool:
    """Whether it is the number of an axis, such as the last one: -1 and 1 are the same axis of a matrix."""
    if not (isinstance(node.operand, ast.Constant) and isinstance(node.operand.value, int)):
        return False
    if isinstance(parent, ast.Call):
        return called(parent) not in _TAKES_NUMBERS
    return isinstance(parent, ast.Tuple | ast.List | ast.Subscript | ast.Slice) or (
        isinstance(parent, ast.keyword) and parent.arg in ("dim", "axis")
    )


def holds_number(parent: ast.AST, node: ast.expr) -> bool:
    """Whether the literal is a quantity and no axis, shape or place."""
    match parent:
        case ast.BinOp(right=right, op=ast.Pow()):
            return node is not right
        case ast.BinOp() | ast.Compare() | ast.UnaryOp():
            return True
        case ast.Call():
            return called(parent) in _TAKES_NUMBERS | _CHECKS_OF_NUMBERS
        case ast.keyword(arg=arg):
            return arg in ("min", "max", "value", "eps", "low", "high")
        case ast.Assign() | ast.AnnAssign() | ast.Return():
            return True
        case _:
            return False


def called(call: ast.Call) -> str:
    """The last part of the called function's name."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def shifted(number: float) -> str:
    """Ten times a tiny number, else a tenth more."""
    return repr(number * 10) if 0 < abs(number) <= 0.01 else repr(number + 0.1)


def moving_names(function: ast.FunctionDef, moved: Iterable[str]) -> set[str]:
    """The arguments that are moved, and the local variables that move with them."""
    moving = set(moved)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and moves(node.value, moving):
            moving |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return moving


def moves(node: ast.AST, moving: set[str]) -> bool:
    """Whether a gradient may go through the expression."""
    if isinstance(node, ast.Name):
        return node.id in moving
    return any(moves(child, moving) for child in differentiated(node))


def differentiated(node: ast.AST) -> Iterable[ast.AST]:
    """The parts that a gradient may go on to."""
    match node:
        case (
            ast.Compare()
            | ast.Attribute(attr="shape" | "dtype" | "device" | "ndim" | "indices")
            | ast.Raise()
            | ast.Constant()
        ):
            return []
        case ast.Call() if called(node) in _WITHOUT_SLOPE:
            return []
        case ast.Call() if called(node) == "grad" and not any(k.arg == "create_graph" for k in node.keywords):
            return []
        case ast.Subscript(value=value):
            return [value]
        case ast.If(body=body, orelse=orelse):
            return [*body, *orelse]
        case _:
            return list(ast.iter_child_nodes(node))


def detachments(module: Module, node: ast.AST, moving: set[str]) -> Iterator[Change]:
    """A term that no gradient goes through any longer, and one that it goes through although it should not."""
    match node:
        case ast.Call(ast.Attribute(value, "detach")) if moves(value, moving):
            yield "detach", node, module.bracketed(value)
        case ast.BinOp(left, _, right):
            for operand in (left, right):
                if moves(operand, moving):
                    yield "detach", operand, f"{module.bracketed(operand)}.detach()"
        case ast.Call(ast.Attribute(value, name)) if name not in _WITHOUT_SLOPE and moves(value, moving):
            yield "detach", value, f"{module.bracketed(value)}.detach()"
        case _:
            pass
    for child in differentiated(node):
        yield from detachments(module, child, moving)


def mutants_of(modules: dict[str, Module], definition: Definition, moved: frozenset[str]) -> list[Mutant]:
    """Every mutant of a function or constant; none that does not parse or changes nothing."""
    module = modules[definition.module]
    node = module.names[definition.name]
    if isinstance(node, ast.ClassDef) or (definition.module == "entry" and not isinstance(node, ast.FunctionDef)):
        return []
    return [
        mutant
        for kind, expression, text in changes(module, node, moved)
        if (mutant := mutant_of(module, definition, node, kind, expression, text))
    ]


def mutant_of(
    module: Module, definition: Definition, node: ast.AST, kind: str, expression: ast.expr, text: str
) -> Mutant | None:
    """The change as a mutant, described by the smallest statement around it; ``None`` where nothing changes."""
    if ast.dump(ast.parse(f"({module.text(expression)})")) == ast.dump(ast.parse(f"({text})")):
        return None
    start, end = module.span(expression)
    around = [span for span in lines_of(module, node) if span[0] <= start and end <= span[1]]
    first, last = min(around, key=lambda span: span[1] - span[0])
    changed = module.source[first:start] + text.encode() + module.source[end:last]
    one_line = [" ".join(part.decode().split()) for part in (module.source[first:last], changed)]
    return Mutant(definition.module, module.path, definition.name, kind, start, end, text, *one_line)


def lines_of(module: Module, node: ast.AST) -> Iterator[tuple[int, int]]:
    """Where each statement begins and ends; of an ``if`` or ``for``, its head."""
    for part in ast.walk(node):
        if isinstance(part, ast.stmt):
            start, end = module.span(part)
            body: list[ast.stmt] = getattr(part, "body", [])
            yield start, module.span(body[0])[0] if body else end


def mutants_by_loss(modules: dict[str, Module], entries: Sequence[Entry]) -> dict[str, list[Mutant]]:
    """The mutants of all code that each loss reaches."""
    known: dict[tuple[Definition, frozenset[str]], list[Mutant]] = {}
    found: dict[str, list[Mutant]] = {}
    for entry in entries:
        found[entry.key] = []
        for definition in sorted(entry.reached, key=lambda d: (d.module, d.name)):
            case = definition, entry.moved.get(definition, frozenset())
            if case not in known:
                known[case] = mutants_of(modules, *case)
            found[entry.key] += known[case]
        found[entry.key] += mutants_of_denominator(modules[entry.module], entry)
    return found


def mutants_of_denominator(module: Module, entry: Entry) -> list[Mutant]:
    """The entry that adds up where it should average."""
    name = module.text(entry.denominator)
    if name not in ("number_of_rows", "number_of_values"):
        return []
    start, end = module.span(entry.denominator)
    total = "(lambda *_: 1.0)"
    return [
        Mutant(entry.module, module.path, entry.key, "reduction", start, end, total, name, total),
    ]


def draw(by_loss: dict[str, list[Mutant]], number: int, seed: int) -> list[tuple[str, Mutant]]:
    """So many different mutants, as many for one loss as for another, of all its kinds; explained ones come on top."""
    source = random.Random(seed)
    queues: dict[str, list[Mutant]] = {}
    for key, mutants in sorted(by_loss.items()):
        source.shuffle(mutants := list(mutants))
        kinds = {kind: [m for m in mutants if m.kind == kind] for kind in dict.fromkeys(m.kind for m in mutants)}
        rounds = max(map(len, kinds.values()), default=0)
        queues[key] = [own[i] for i in range(rounds) for own in kinds.values() if i < len(own)]
    keys = sorted(queues)
    source.shuffle(keys)
    drawn: dict[Mutant, str] = {}
    while number and any(queues.values()):
        for key in keys:
            queue = queues[key]
            while queue and queue[0] in drawn:
                queue.pop(0)
            if queue and number:
                number -= not explanation(queue[0])
                drawn[queue.pop(0)] = key
    return [(key, mutant) for mutant, key in drawn.items()]


def explanation(mutant: Mutant) -> str:
    """Why no test can catch it; empty where nothing is known."""
    return next((EXPLAINED[name] for name in names_of(mutant) if name in EXPLAINED), "")


def names_of(mutant: Mutant) -> tuple[str, str, str]:
    """Its own name, and those of all changes of its kind in the same statement and in the same function."""
    function = mutant.where.partition(":")[0]
    return mutant.where, f"{function}: {mutant.statement} [{mutant.kind}]", f"{function} [{mutant.kind}]"


# --- running tests


@dataclass
class Outcome:
    """What became of one run of tests: which failed first, or how it ended."""

    failed: list[str]
    ran: int
    seconds: float
    hung: bool = False

    @property
    def caught(self) -> bool:
        """Whether anything noticed."""
        return bool(self.failed) or self.hung


@dataclass
class Job:
    """Tests of some losses on a copy of the package, with one change or none."""

    losses: tuple[str, ...]
    mutant: Mutant | None
    skipped: frozenset[str] = frozenset()
    all_failures: bool = False
    time_limit: float = TIME_LIMIT


OPTIONS = [
    *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=0"),
    # Measurements of time, and of precision, say nothing that the other tests do not.
    *(f"--ignore={TESTS}/{name}" for name in ("test_speed.py", "test_precision.py")),
    # The parent imported hypothesis before any pytest could rewrite its assertions.
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
]


class Select:
    """A pytest plugin: keeps the tests of some losses, and notes which fail."""

    def __init__(self, job: Job) -> None:
        self.job, self.failed, self.ran = job, list[str](), 0

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        """Golden values first: they are quick and see most."""
        kept = [item for item in items if self.concerns(item) and item.nodeid not in self.job.skipped]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = sorted(kept, key=lambda item: "test_golden" not in item.nodeid)

    def concerns(self, item: Any) -> bool:
        """Whether it is parametrised by one of the losses, its code names one, or its file the shared module."""
        call = getattr(item, "callspec", None)
        if call and "loss" in call.params:
            return getattr(call.params["loss"], "key", None) in self.job.losses
        if call and "key" in call.params:
            return call.params["key"] in self.job.losses
        module = self.job.mutant.module if self.job.mutant else ""
        if module.startswith("_") and module in Path(item.path).read_text():
            return True
        source = inspect.getsource(item.function)
        named = {key for key in self.job.losses if f'"{key}"' in source}
        own = {value.key for value in vars(item.module).values() if type(value).__name__ == "Loss"}
        return bool(named or own & set(self.job.losses))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count, and note a failure."""
        self.ran += report.when == "call"
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """A file that cannot even be read."""
        if report.failed:
            self.failed.append(f"{report.nodeid} (import)")


def copy_of(snapshot: Path, mutant: Mutant | None, folder: Path) -> Path:
    """A tree of hard links to the snapshot, in which the mutated file alone is a new one."""
    shutil.copytree(snapshot, folder, copy_function=os.link)
    if mutant:
        path = folder / mutant.path
        source = path.read_bytes()
        path.unlink()
        path.write_bytes(source[: mutant.start] + mutant.text.encode() + source[mutant.end :])
        # Written in the same second, the old byte code could pass for that of the new text.
        for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
            stale.unlink()
    return folder


def run_tests(tree: Path, job: Job) -> dict[str, Any]:
    """Run in a forked child: imports the tree's package and runs the tests of the job's losses."""
    import pytest

    os.chdir(tree)
    sys.path.insert(0, str(tree))
    select = Select(job)
    try:
        import lossviz.losses

        assert Path(lossviz.losses.__file__).is_relative_to(tree), lossviz.losses.__file__
        # The tests parametrise over what they find here: a short list is quickly collected.
        lossviz.losses.CATALOGUE = tuple(lossviz.losses.get(key) for key in job.losses)
    except Exception as error:
        return {"failed": [f"import of lossviz.losses ({type(error).__name__})"], "ran": 0}
    status = pytest.main([TESTS, *OPTIONS, *([] if job.all_failures else ["-x"])], plugins=[select])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        select.failed.append(f"pytest ended with {status!r}")
    return {"failed": select.failed, "ran": select.ran}


def warm() -> None:
    """Import what every child needs, so that each of them finds it there."""
    import hypothesis
    import pytest
    import torch

    torch.set_num_threads(1)
    sys.dont_write_bytecode = True
    assert hypothesis and pytest and "lossviz" not in sys.modules


@dataclass
class Child:
    """A forked run, where it writes its result, and when it has to be over."""

    job: Job
    folder: Path
    began: float


def run_all(snapshot: Path, jobs: Iterable[Job], workers: int, done: Callable[[Job, Outcome], list[Job]]) -> None:
    """Run the jobs in forked children, so many at a time; ``done`` may answer a result with further jobs."""
    waiting, children, last = list(jobs), dict[int, Child](), iter(range(10**9))
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        while waiting or children:
            while waiting and len(children) < workers:
                job = waiting.pop(0)
                folder = Path(scratch) / str(next(last))
                copy_of(snapshot, job.mutant, folder / "tree")
                children[start(folder, job)] = Child(job, folder, time.monotonic())
            for pid, child in list(children.items()):
                outcome = finished(pid, child)
                if outcome:
                    del children[pid]
                    shutil.rmtree(child.folder)
                    waiting = [*done(child.job, outcome), *waiting]
            time.sleep(0.02)


def start(folder: Path, job: Job) -> int:
    """Fork a child that runs the tests and writes what it found; its id."""
    pid = os.fork()
    if pid:
        return pid
    with quietly(folder / "log"):
        os.setsid()
        result = run_tests(folder / "tree", job)
        (folder / "result.json").write_text(json.dumps(result))
    raise AssertionError("a child has come back")


def finished(pid: int, child: Child) -> Outcome | None:
    """The child's outcome; ``None`` while it runs. One that takes too long is ended, and counts as caught."""
    seconds = time.monotonic() - child.began
    if os.waitpid(pid, os.WNOHANG)[0]:
        result = child.folder / "result.json"
        if not result.exists():
            return Outcome([f"the process died: {(child.folder / 'log').read_text()[-2000:]}"], 0, seconds)
        return Outcome(**json.loads(result.read_text()), seconds=seconds)
    if seconds < child.job.time_limit:
        return None
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return Outcome([], 0, seconds, hung=True)


def snapshot_of(root: Path, folder: Path) -> Path:
    """A copy of what the tests need: nobody's later edits reach it."""
    for name in ("lossviz", "tests", "tools", "benchmarks"):
        if (root / name).exists():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", folder)
    compile_all(folder)
    return folder


def compile_all(snapshot: Path) -> None:
    """Leave the byte code of the package and of the tests beside them, so that no copy has to compile them again."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    with quietly():
        import pytest

        os.chdir(snapshot)
        sys.path.insert(0, str(snapshot))
        sys.dont_write_bytecode = False
        pytest.main([TESTS, "--collect-only", *OPTIONS])


@contextmanager
def quietly(log: Path = Path(os.devnull)) -> Iterator[None]:
    """What a forked child does: its words go to the log, and it never comes back."""
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


# --- the whole


@dataclass
class Verdict:
    """A mutant with the loss that it was drawn for and what the tests said."""

    loss: str
    mutant: Mutant
    outcome: Outcome

    @property
    def explanation(self) -> str:
        """Why no test can catch it; empty where nothing is known."""
        return explanation(self.mutant)


def judge(root: Path, number: int, seed: int, workers: int, only: Sequence[str]) -> tuple[list[Verdict], int]:
    """Draw mutants, run their tests; the verdicts, and how many tests fail without any mutant."""
    warm()
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="snapshot-") as folder:
        snapshot = snapshot_of(root, Path(folder))
        modules = modules_in(snapshot)
        by_loss = mutants_by_loss(modules, entries_in(modules))
        drawn = draw({key: own for key, own in by_loss.items() if not only or key in only}, number, seed)
        users = neighbours(by_loss, drawn)
        skipped = failing_before(snapshot, {key for key, _ in drawn}.union(*users.values()), workers)
        loss_of = {mutant: key for key, mutant in drawn}

        def done(job: Job, outcome: Outcome) -> list[Job]:
            assert job.mutant
            others = users[job.mutant]
            if not outcome.caught and others and job.losses != others:
                return [Job(others, job.mutant, skipped)]
            verdicts.append(Verdict(loss_of[job.mutant], job.mutant, outcome))
            progress(verdicts[-1], len(verdicts), len(drawn))
            return []

        run_all(snapshot, [Job((key,), mutant, skipped) for key, mutant in drawn], workers, done)
    return verdicts, len(skipped)


def neighbours(by_loss: dict[str, list[Mutant]], drawn: list[tuple[str, Mutant]]) -> dict[Mutant, tuple[str, ...]]:
    """For each mutant, other losses that reach the changed code."""
    users: dict[Mutant, list[str]] = {}
    for key, mutants in by_loss.items():
        for mutant in mutants:
            users.setdefault(mutant, []).append(key)
    return {mutant: tuple(key for key in users[mutant] if key != own)[:MOST_NEIGHBOURS] for own, mutant in drawn}


def failing_before(snapshot: Path, losses: Iterable[str], workers: int) -> frozenset[str]:
    """The tests that fail as things are."""
    found: set[str] = set()
    keys = sorted(losses)
    parts = [tuple(keys[i : i + MOST_NEIGHBOURS]) for i in range(0, len(keys), MOST_NEIGHBOURS)]

    def done(job: Job, outcome: Outcome) -> list[Job]:
        if not outcome.ran:
            raise RuntimeError(f"no test of {job.losses} ran: {outcome.failed}")
        found.update(outcome.failed)
        return []

    run_all(snapshot, [Job(part, None, time_limit=600, all_failures=True) for part in parts], workers, done)
    return frozenset(found)


def progress(verdict: Verdict, at: int, of: int) -> None:
    """One line on the error stream."""
    how = "hung" if verdict.outcome.hung else (verdict.outcome.failed or ["SURVIVED"])[0]
    print(f"{at}/{of} {verdict.loss} [{verdict.mutant.kind}] {verdict.mutant.where} | {how}", file=sys.stderr)


def main() -> int:
    """Run, print, and say whether the tests are good enough."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=230)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--only", nargs="*", default=[], metavar="KEY")
    a = parser.parse_args()
    began = time.monotonic()
    verdicts, failing = judge(a.root, a.mutants, a.seed, a.workers, a.only)
    faults = [verdict for verdict in verdicts if not verdict.explanation]
    equivalent = [verdict for verdict in verdicts if verdict.explanation]
    caught = sum(verdict.outcome.caught for verdict in faults)
    refuted = [verdict for verdict in equivalent if verdict.outcome.caught]
    for verdict in verdicts:
        if not verdict.outcome.caught or verdict in refuted:
            print(f"{verdict.loss} [{verdict.mutant.kind}] {verdict.mutant.where}")
            print(f"    {verdict.explanation or 'NOT EXPLAINED'}{' BUT CAUGHT' if verdict in refuted else ''}")
    summary = {
        "seed": a.seed,
        "losses": len({verdict.loss for verdict in verdicts}),
        "mutants": len(faults),
        "caught": caught,
        "hung": sum(verdict.outcome.hung for verdict in faults),
        "survived": len(faults) - caught,
        "rate": round(caught / len(faults), 4),
        "equivalent": len(equivalent),
        "rate_of_all": round(caught / len(verdicts), 4),
        "failing_before": failing,
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(summary))
    return int(caught < WANTED_RATE * len(faults) or caught < len(faults) or bool(refuted))


if __name__ == "__main__":
    sys.exit(main())
