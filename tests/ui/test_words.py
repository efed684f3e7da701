"""Every text for people goes through tr()."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossviz.ui import words
from lossviz.ui.words import tr

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "pages").glob("*.py"), *(ROOT / "lossviz" / "ui").glob("*.py")])
_SHOWING = """
title header subheader markdown caption text write info warning error success toast button download_button link_button
checkbox toggle radio selectbox multiselect select_slider slider text_input number_input text_area expander popover
dialog spinner status metric pills segmented_control file_uploader badge form_submit_button
Column TextColumn LinkColumn NumberColumn ProgressColumn DatetimeColumn CheckboxColumn SelectboxColumn
"""
FIRST = set(_SHOWING.split())
"""Calls whose first argument is shown."""
ALL = {"tabs"}
"""Calls whose first argument is a list of what is shown."""
KEYWORDS = {"help", "placeholder", "label", "title", "text", "display_text", "caption", "captions", "delta", "body"}


def shown(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call that people read."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "tr":
        return
    if name in FIRST | ALL and isinstance(call.func, ast.Attribute):
        yield from call.args[:1]
    # A keyword says what it is, in whatever call of Streamlit's it stands.
    if isinstance(call.func, ast.Attribute):
        yield from (keyword.value for keyword in call.keywords if keyword.arg in KEYWORDS)


def literals(node: ast.AST) -> Iterator[str]:
    """The string literals of an expression that are shown as they stand."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Call | ast.Subscript | ast.Compare | ast.Lambda):
        return
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)
    else:
        for child in ast.iter_child_nodes(node):
            yield from literals(child)


def readable(text: str) -> bool:
    """Whether there are words in it, icons and tags apart."""
    return bool(re.search(r"[^\W\d_]", re.sub(r":material/\w+:|<[^>]*>|\{\w+\}", "", text)))


def untranslated(source: str) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [text for call in calls for part in shown(call) for text in literals(part) if readable(text)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_text_is_shown_without_tr(path: Path):
    assert untranslated(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('st.title("Hello")', ["Hello"]),
        ('left.button(tr("Add"), help="More")', ["More"]),
        ('st.markdown(f"**{name} is done**")', [" is done**"]),
        ('st.tabs(["One", tr("Two")])', ["One"]),
        ('st.info(tr("No") if a else "Yes")', ["Yes"]),
        ('st.text_input(tr("Search"), key="search", placeholder="any")', ["any"]),
        ('st.column_config.TextColumn("Note")', ["Note"]),
        ("st.markdown(f\"**{tr('Drag')}**\")", []),
        ('st.button("", icon=":material/close:", key="close")', []),
        ('st.selectbox(tr("Loss"), keys, format_func=lambda key: tr(get(key).name))', []),
        ('st.page_link("train.py", label=tr("Train"))', []),
        ('st.page_link("train.py", label="Train")', ["Train"]),
        ("st.error(str(error))", []),
    ],
)
def test_the_search_itself_finds_what_it_should(source: str, found: list[str]):
    assert untranslated(source) == found


def test_what_is_translated_is_a_literal_or_comes_from_a_table():
    """A sentence put together before tr() is in no catalogue."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                assert not isinstance(node.args[0], ast.JoinedStr | ast.BinOp), f"{path.name}:{node.lineno}"


def test_values_are_filled_in_and_braces_without_values_stay():
    assert tr("{count} deleted.", count=2) == "2 deleted."
    assert tr("Prediction {pred}, label {target}.") == "Prediction {pred}, label {target}."


def test_a_translation_takes_the_place_of_its_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(words, "TRANSLATIONS", {"zh": {"{count} deleted.": "已删除 {count} 个。"}})
    monkeypatch.setattr(words, "LANGUAGE", "zh")
    assert tr("{count} deleted.", count=2) == "已删除 2 个。"
    assert tr("Runs") == "Runs"
