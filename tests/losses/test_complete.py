"""Somebody adds a loss: what the entry lacks is said in one sentence each, with the file to write it in."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from latex2mathml.converter import convert
from loss_samples import name_of
from samples import SAMPLES

import lossviz
from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.libraries import across
from lossviz.losses.precision import precision
from lossviz.losses.snippets import snippet
from lossviz.scenes.slices import example, slice_of

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def drawn(loss: Loss) -> bool:
    return all("merror" not in convert(line.latex) for line in (*loss.formula, *loss.derivation))


def programs(loss: Loss) -> bool:
    return "loss" in (snippet(loss, "pytorch", example(loss)) or "")


WANTED: dict[str, tuple[Callable[[Loss], object], str]] = {
    "name_zh": (lambda loss: CHINESE.search(loss.name_zh), "its Chinese name"),
    "tasks": (
        lambda loss: loss.tasks and len(set(loss.tasks)) == len(loss.tasks),
        "one task or more, the main one first",
    ),
    "formula": (lambda loss: len(loss.formula) >= 2 and drawn(loss), "two lines or more, the last one the loss"),
    "derivation": (lambda loss: len(loss.derivation) >= 2, "two lines or more that lead to the gradient"),
    "gradient": (lambda loss: loss.gradient, "the gradient in LaTeX"),
    "pitfalls": (lambda loss: loss.pitfalls, "what goes wrong with it in practice, sentence by sentence"),
    "reference": (lambda loss: loss.reference.endswith("."), "where it comes from, as a sentence"),
    "fn": (
        lambda loss: (loss.fn.__doc__ or "").partition("\n")[0].strip().endswith("."),
        "a docstring that begins with what it does",
    ),
    "input_kind": (
        lambda loss: set(slice_of(loss).origin) == set(loss.inputs),
        "a slice through its inputs in lossviz/scenes/slices.py",
    ),
    "code": (programs, "PyTorch code that leaves the value in `loss`"),
}


def missing(loss: Loss) -> list[str]:
    """What is still to be written, a sentence each."""
    where = f"lossviz/losses/{loss.family}.py: {loss.key}"
    found = [f"{where} has to say in `{name}` {what}." for name, (good, what) in WANTED.items() if not good(loss)]
    if loss.key not in SAMPLES:
        found.append(f"tests/losses/samples/{loss.family}.py has to say how inputs of {loss.key} are drawn.")
    if not precision(loss.key):
        found.append(f"python tools/precision.py has not measured {loss.key} yet.")
    return found


@pytest.mark.parametrize("loss", CATALOGUE, ids=name_of)
def test_an_entry_is_complete(loss: Loss) -> None:
    assert missing(loss) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"derivation": ()},
            "regression.py: mae has to say in `derivation` two lines or more that lead to the gradient.",
        ),
        ({"name_zh": "MAE"}, "regression.py: mae has to say in `name_zh` its Chinese name."),
        ({"tasks": ()}, "regression.py: mae has to say in `tasks` one task or more, the main one first."),
        ({"pitfalls": ()}, "regression.py: mae has to say in `pitfalls` what goes wrong with it in practice"),
        ({"key": "mean"}, "tests/losses/samples/regression.py has to say how inputs of mean are drawn."),
    ],
)
def test_what_is_missing_is_said(change: dict[str, object], sentence: str) -> None:
    assert any(sentence in said for said in missing(replace(lossviz.get("mae"), **change)))


def test_a_field_that_is_left_out_is_named() -> None:
    fields = {name: getattr(lossviz.get("mae"), name) for name in Loss.__dataclass_fields__ if name != "derivation"}
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'derivation'"):
        Loss(**fields)


def test_a_new_loss_has_no_comparison_and_that_is_no_error() -> None:
    assert across("a loss of tomorrow") == ()
