"""The comparisons with other libraries: complete, consistent, about today's losses; measured anew where installed."""

import ast
import builtins
import importlib
import importlib.util
import json
import math
import re
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lossviz.losses import CATALOGUE, get, libraries, value_and_grad
from lossviz.losses.libraries import Comparison, across, compared, imports, inputs, versions

FILE = Path(libraries.__file__).with_suffix(".json")
CONTENT: dict[str, Any] = json.loads(FILE.read_text("utf-8"))


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("libraries_tool", Path(__file__).parents[2] / "tools/libraries.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
ROWS = [(key, row) for key in compared() for row in across(key)]
EVERY_ROW = pytest.mark.parametrize(
    ("key", "row"), ROWS, ids=[f"{get(key).family}.{key}-{row.library}-{n}" for n, (key, row) in enumerate(ROWS)]
)
EVERY_LIBRARY = pytest.mark.parametrize("library", list(TOOL.LIBRARIES))


def close(a: float, b: float, tolerance: float) -> bool:
    return math.isclose(a, b, rel_tol=tolerance)


# --- the file


def test_the_file_has_its_parts_in_order() -> None:
    assert list(CONTENT) == ["versions", "imports", "inputs", "rows"]
    for part in CONTENT.values():
        assert list(part) == sorted(part)
    assert FILE.stat().st_size < 200_000


def test_the_file_holds_the_rows_of_the_tool_and_no_others() -> None:
    wanted: dict[str, list[tuple[Any, ...]]] = {}
    for row in TOOL.ROWS:
        stated = (row.library, row.call, dict(row.params), row.at, row.kind, row.close)
        wanted.setdefault(row.key, []).append(stated)
    found = {
        key: [(r.library, r.call, dict(r.params), r.input, r.kind, r.tolerance) for r in across(key)]
        for key in compared()
    }
    assert found == wanted


def test_the_file_tells_what_the_tool_tells() -> None:
    for key in compared():
        for row, told in zip([row for row in TOOL.ROWS if row.key == key], across(key), strict=True):
            library = TOOL.LIBRARIES[row.library]
            assert told.reason in (row.reason, f"{row.reason} {library.precision}")
            assert told.gradient == (row.gradient or library.no_gradient)
            assert told.adjusts == ("theirs" if row.adjust else "ours" if row.ours else "")
            assert told.adjust == (row.adjust or ", ".join(f"{name}={value!r}" for name, value in row.ours.items()))


def test_the_inputs_are_those_of_the_tool() -> None:
    assert set(CONTENT["inputs"]) == {row.input for _, row in ROWS}
    for name in CONTENT["inputs"]:
        want, got = TOOL.tensors(name), inputs(name)
        assert list(got) == list(want)
        for key, tensor in got.items():
            assert tensor.dtype == want[key].dtype
            assert torch.equal(tensor, want[key])


def test_versions_and_imports_are_told() -> None:
    named = {name for library in TOOL.LIBRARIES.values() for name in library.distributions}
    assert set(versions()) == named
    assert all(version[0].isdigit() and "+" not in version for version in versions().values())
    for library in TOOL.LIBRARIES:
        assert imports(library) == TOOL.LIBRARIES[library].imports


def test_a_loss_that_no_library_has_has_no_rows() -> None:
    assert across("squentropy") == ()
    assert across("no such loss") == ()


def test_what_is_handed_out_cannot_be_changed() -> None:
    row = across("huber")[0]
    with pytest.raises(FrozenInstanceError):
        row.ours = 0.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        row.params["delta"] = 0.0  # type: ignore[index]
    with pytest.raises(TypeError):
        versions()["keras"] = ""  # type: ignore[index]


# --- each row


@EVERY_ROW
def test_our_value_is_that_of_today(key: str, row: Comparison) -> None:
    value, _ = value_and_grad(key, inputs(row.input), row.params)
    assert close(float(value), row.ours, 1e-9)
    if row.adjusts == "ours":
        changed = {name: ast.literal_eval(text) for name, text in (part.split("=") for part in row.adjust.split(", "))}
        value, _ = value_and_grad(key, inputs(row.input), {**row.params, **changed})
        assert row.adjusted is not None
        assert close(float(value), row.adjusted, 1e-9)


@EVERY_ROW
def test_the_kind_is_what_the_numbers_say(key: str, row: Comparison) -> None:
    agree = close(row.ours, row.theirs, row.tolerance)
    assert agree == (row.kind == "same")
    assert (row.kind == "explained") == (row.adjusted is not None) == bool(row.adjust) == bool(row.adjusts)
    if row.adjusted is not None:
        other = row.ours if row.adjusts == "theirs" else row.theirs
        assert close(row.adjusted, other, row.tolerance)
        assert row.difference != 0


@EVERY_ROW
def test_difference_and_ratio_belong_to_the_values(key: str, row: Comparison) -> None:
    assert row.difference == pytest.approx(row.theirs - row.ours, rel=1e-11, abs=1e-11 * abs(row.theirs))
    if row.ratio is None:
        assert row.ours == 0 or math.isinf(row.ours)
    else:
        assert close(row.ratio, row.theirs / row.ours, 1e-10)


@EVERY_ROW
def test_the_gradient_is_compared_or_it_says_why_not(key: str, row: Comparison) -> None:
    if row.gradient_difference is None:
        assert row.gradient
    elif row.kind != "different":
        assert (row.gradient_difference > 10 * row.tolerance) == bool(row.gradient)


@EVERY_ROW
def test_texts_of_a_row_are_sentences(key: str, row: Comparison) -> None:
    names = ("kornia", "scikit-learn", "torchvision")
    for text in (row.reason, *([row.gradient] if row.gradient else [])):
        assert text[0].isupper() or text.startswith(names), text
        assert text.endswith("."), text
        assert "  " not in text
        assert text.isascii()


@EVERY_ROW
def test_the_code_reads_the_inputs_and_what_is_imported(key: str, row: Comparison) -> None:
    assert set(inputs(row.input)) == set(get(key).inputs)
    imported = {
        alias.asname or alias.name.partition(".")[0]
        for line in imports(row.library)
        for node in ast.walk(ast.parse(line))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for code in (row.call, *([row.adjust] if row.adjusts == "theirs" else [])):
        tree = ast.parse(code)
        assert isinstance(tree.body[-1], ast.Expr)
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        known = stored | imported | set(inputs(row.input)) | set(dir(builtins)) | {"theirs"}
        assert {node.id for node in names} <= known
        assert max(len(line) for line in code.splitlines()) <= 120


# --- nothing is left out


@EVERY_LIBRARY
def test_every_public_loss_has_its_rows_or_a_reason(library: str) -> None:
    told, keys = TOOL.COVERAGE[library], {loss.key for loss in CATALOGUE}
    for name, fate in told.items():
        if isinstance(fate, str):
            assert fate in told or (fate.startswith("No loss of the catalogue: ") and fate.endswith(".")), name
            continue
        assert fate, name
        for key in fate:
            assert key in keys
            calls = [row.call for row in across(key) if row.library == library]
            assert any(name in words(call) for call in calls), f"no row of {key} calls {name}"


@EVERY_LIBRARY
def test_a_second_name_leads_to_a_first_one(library: str) -> None:
    told = TOOL.COVERAGE[library]
    for fate in told.values():
        if isinstance(fate, str) and fate in told:
            assert not (isinstance(told[fate], str) and told[fate] in told)


def test_every_row_is_of_a_loss_that_the_coverage_names() -> None:
    for key, row in ROWS:
        called = words(row.call)
        named = [name for name, fate in TOOL.COVERAGE[row.library].items() if name in called and key in fate]
        # The one loss that scikit-learn keeps to itself.
        assert named or called & {"ExponentialLoss"}, (key, row.call)


def words(code: str) -> set[str]:
    """The names and attributes in the code."""
    nodes = list(ast.walk(ast.parse(code)))
    return {n.attr for n in nodes if isinstance(n, ast.Attribute)} | {n.id for n in nodes if isinstance(n, ast.Name)}


# --- measured anew; other people's warnings are none of ours


def installed(library: str, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("KERAS_BACKEND", "torch")
    for line in imports(library):
        name = line.split()[1]
        pytest.importorskip(name, reason=f"{name} is not installed: pip install -e '.[oracles]'", exc_type=ImportError)


@pytest.mark.filterwarnings("ignore")
@EVERY_LIBRARY
def test_the_library_offers_the_losses_that_are_accounted_for(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(library, monkeypatch)
    assert TOOL.public_losses(library) == set(TOOL.COVERAGE[library])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", TOOL.ROWS, ids=[f"{row.key}-{row.library}-{n}" for n, row in enumerate(TOOL.ROWS)])
def test_the_library_still_gives_what_is_stored(row: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(row.library, monkeypatch)
    again = TOOL.measure(row)
    stored = across(row.key)[[other for other in TOOL.ROWS if other.key == row.key].index(row)]
    assert close(float(again["theirs"]), stored.theirs, stored.tolerance)
    assert again["kind"] == stored.kind


# --- the tool itself, on a library that is always there


@pytest.fixture
def plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    library = TOOL.Library(
        imports=("import torch.nn.functional as F",),
        distributions=("torch",),
        arrays="torch",
        tolerance=1e-9,
        public={},
    )
    monkeypatch.setitem(TOOL.LIBRARIES, "PyTorch", library)


SUM = 'F.mse_loss(pred, target, reduction="sum")'


def test_a_row_that_its_reason_accounts_for_is_measured(plain_torch: None) -> None:
    row = TOOL.measure(TOOL.explained("mse", "PyTorch", SUM, "It adds up.", adjust="theirs / pred.numel()"))
    assert row["theirs"] == pytest.approx(5 * row["ours"])
    assert row["adjusted"] == row["ours"]
    assert row["gradient_difference"] == 0
    row = TOOL.measure(
        TOOL.explained("huber", "PyTorch", "F.huber_loss(pred, target, delta=0.7)", "", ours={"delta": 0.7})
    )
    assert row["adjusted"] == row["theirs"] != row["ours"]


@pytest.mark.parametrize(
    ("kind", "call", "details", "message"),
    [
        ("same", SUM, {}, "same: ours 2.548, theirs 12.74"),
        ("explained", SUM, {"adjust": "theirs / 4"}, "explained by theirs / 4: ours 2.548, theirs 3.185"),
        ("explained", SUM, {}, "explained with the adjustment {}"),
        ("explained", "F.mse_loss(pred, target)", {"adjust": "theirs * 1"}, "explained: ours 2.548, theirs 2.548"),
        ("different", "F.mse_loss(pred, target)", {}, "different: ours 2.548"),
        ("same", "F.mse_loss(pred.detach(), target) + 0 * pred.sum()", {}, "gradient differs by 1.0"),
        ("same", "F.mse_loss(pred, target)", {"gradient": "They differ."}, "said of it: 'They differ.'"),
        ("same", "loss = F.mse_loss(pred, target)", {}, "the last line is no expression"),
    ],
)
def test_a_row_that_claims_what_is_not_so_fails(
    kind: str, call: str, details: dict[str, Any], message: str, plain_torch: None
) -> None:
    row = getattr(TOOL, kind)("mse", "PyTorch", call, "It is so.", **details)
    with pytest.raises(ValueError, match="^.*" + re.escape(message)):
        TOOL.measure(row)


def test_one_wrong_row_keeps_the_file_from_being_written(
    plain_torch: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "libraries.json"
    right = TOOL.same("mse", "PyTorch", "F.mse_loss(pred, target)", "It is so.")
    monkeypatch.setattr(TOOL, "FILE", file)
    monkeypatch.setattr(TOOL, "ROWS", (right, TOOL.same("mse", "PyTorch", SUM, "It is so.")))
    assert TOOL.main() == 1
    assert not file.exists()
    assert "1 of 2 rows are wrong" in capsys.readouterr().out
