"""The mutation run: what it changes in a small module, whose code that is, and that a planted fault is caught."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.mutants import EXPLAINED, Module, Mutant, draw, entries_in, modules_in, mutants_by_loss, names_of

ROOT = Path(__file__).parents[2]

SHARED = """
from torch import Tensor


def check_between(name: str, x: Tensor, low: float, high: float) -> None:
    if not low <= x.min():
        raise ValueError(f"{name} is {low + 1}")


def clipped(x: Tensor, eps: float = 1e-6) -> Tensor:
    return x.clamp(min=eps)
"""
FAMILY = '''
from lossviz.losses._shared import check_between, clipped
from lossviz.losses.entry import Loss, number_of_values

_HALF = 0.5


def tilted(*, pred: Tensor, target: Tensor) -> Tensor:
    """Twice 2 * 3 - 1 is no code."""
    shifted = clipped(pred - 1)
    return _HALF * (shifted - target).abs() ** 2 + shifted.detach().mean(-1)


def _slope(*, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return {"pred": -pred.where(pred > 0, target)}


def _check(inputs: Inputs, params: Params) -> None:
    check_between("pred", inputs["pred"], 0, 1)


def unused(x: Tensor) -> Tensor:
    return 3 * x


TILTED = Loss(
    key="tilted",
    fn=tilted,
    grad=_slope,
    check=_check,
    denominator=number_of_values,
    inputs={"pred": "2 * 3", "target": "a label"},
    differentiable=("pred",),
)
PLAIN = Loss(
    key="plain",
    fn=clipped,
    grad=None,
    check=_check,
    denominator=None,
    inputs={"x": "a number"},
    differentiable=("x",),
)
'''


@pytest.fixture
def sample(tmp_path: Path) -> dict[str, Module]:
    folder = tmp_path / "lossviz/losses"
    folder.mkdir(parents=True)
    (folder / "_shared.py").write_text(SHARED)
    (folder / "family.py").write_text(FAMILY)
    return modules_in(tmp_path)


def by_loss(sample: dict[str, Module]) -> dict[str, list[Mutant]]:
    return mutants_by_loss(sample, entries_in(sample))


def test_every_mutant_parses_and_is_another_program(sample: dict[str, Module]) -> None:
    mutants = {mutant for own in by_loss(sample).values() for mutant in own}
    programs = set()
    for mutant in mutants:
        source = sample[mutant.module].source
        program = ast.dump(ast.parse(source[: mutant.start] + mutant.text.encode() + source[mutant.end :]))
        assert program != ast.dump(ast.parse(source))
        programs.add((mutant.module, program))
    assert len(programs) == len(mutants)


def test_each_kind_of_change_is_made(sample: dict[str, Module]) -> None:
    changed = {(mutant.kind, plain(mutant.where)) for mutant in by_loss(sample)["tilted"]}
    square = "family.py, tilted: return _HALF * (shifted - target).abs() ** 2 + shifted.detach().mean(-1) -> return "
    for kind, where in (
        ("factor", square + "(shifted - target).abs() ** 2 + shifted.detach().mean(-1)"),
        ("factor", square + "_HALF * (shifted - target).abs() + shifted.detach().mean(-1)"),
        ("sign", square + "_HALF * (shifted + target).abs() ** 2 + shifted.detach().mean(-1)"),
        ("reduction", square + "_HALF * (shifted - target).abs() ** 2 + shifted.detach().sum(-1)"),
        ("detach", square + "_HALF * (shifted - target).abs() ** 2 + shifted.mean(-1)"),
        ("detach", square + "_HALF * (shifted.detach() - target).abs() ** 2 + shifted.detach().mean(-1)"),
        ("number", "family.py, _HALF: _HALF = 0.5 -> _HALF = 0.6"),
        (
            "bound",
            'family.py, _slope: return {"pred": -pred.where(pred > 0, target)} -> '
            'return {"pred": -pred.where((pred >= 0), target)}',
        ),
        (
            "swap",
            'family.py, _slope: return {"pred": -pred.where(pred > 0, target)} -> '
            'return {"pred": -target.where(pred > 0, pred)}',
        ),
        (
            "number",
            'family.py, _check: check_between("pred", inputs["pred"], 0, 1) -> '
            'check_between("pred", inputs["pred"], 0, 1.1)',
        ),
        ("clamp", "_shared.py, clipped: return x.clamp(min=eps) -> return x"),
        ("extreme", "_shared.py, clipped: return x.clamp(min=eps) -> return x.clamp(max=eps)"),
        ("reduction", "family.py, tilted: number_of_values -> (lambda *_: 1.0)"),
    ):
        assert (kind, plain(where)) in changed, (kind, where)


def plain(where: str) -> str:
    """Without brackets, of which mutants have more than needed."""
    return re.sub(r"[()]", "", where)


def test_a_mutant_belongs_to_the_losses_that_reach_its_code(sample: dict[str, Module]) -> None:
    found = by_loss(sample)
    assert {mutant.function for mutant in found["tilted"]} == {"tilted", "_HALF", "_slope", "_check", "clipped"} | {
        "check_between"
    }
    assert {mutant.function for mutant in found["plain"]} == {"clipped", "_check", "check_between"}


def test_texts_defaults_errors_and_constants_of_the_gradient_are_left_alone(sample: dict[str, Module]) -> None:
    mutants = {mutant for own in by_loss(sample).values() for mutant in own}
    for mutant in mutants:
        assert '"""' not in mutant.statement and "raise" not in mutant.statement and "def " not in mutant.statement
        assert not (mutant.kind == "detach" and mutant.function in ("_slope", "_check"))
        assert "target.detach()" not in mutant.changed


def test_every_explanation_is_of_a_change_that_can_be_made() -> None:
    modules = modules_in(ROOT)
    mutants = {mutant for own in mutants_by_loss(modules, entries_in(modules)).values() for mutant in own}
    assert set(EXPLAINED) <= {name for mutant in mutants for name in names_of(mutant)}


def test_the_draw_depends_on_the_seed_alone_and_covers_every_loss(sample: dict[str, Module]) -> None:
    found = by_loss(sample)
    assert draw(found, 10, 3) == draw(found, 10, 3) != draw(found, 10, 4)
    drawn = draw(found, 10, 3)
    assert len({mutant for _, mutant in drawn}) == 10
    assert [key for key, _ in drawn].count("tilted") == 5
    everything = draw(found, 1000, 3)
    assert {mutant for _, mutant in everything} == {mutant for own in found.values() for mutant in own}


PLANTED = """
import json
import tempfile
from pathlib import Path

from tools.mutants import Job, entries_in, modules_in, mutants_by_loss, run_all, snapshot_of, warm

warm()
with tempfile.TemporaryDirectory() as folder:
    snapshot = snapshot_of(Path(), Path(folder))
    modules = modules_in(snapshot)
    huber = [entry for entry in entries_in(modules) if entry.key == "huber"]
    own = mutants_by_loss(modules, huber)["huber"]
    planted = next(m for m in own if m.changed == "return (near**2) + delta * (distance - near)")
    jobs = [Job(("huber",), planted), Job(("huber",), None, all_failures=True)]
    found = {}

    def done(job, outcome):
        found["planted" if job.mutant else "untouched"] = outcome.failed
        return []

    run_all(snapshot, jobs, 2, done)
print(json.dumps(found))
"""


def test_a_planted_fault_is_caught() -> None:
    """In processes of their own: the faulty copy must not be the package that is imported here."""
    done = subprocess.run([sys.executable, "-c", PLANTED], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Tests of the whole catalogue fail on the short one that the runs are given.
    assert not [name for name in found["untouched"] if "regression.huber" in name]
    assert len(found["planted"]) == 1 and "test_golden.py::test_values[regression.huber" in found["planted"][0]
