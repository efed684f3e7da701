"""What the explorer's component reports is untrusted: whatever comes, the address stays one that works."""

import math
from typing import Any

import pytest
from latex2mathml.converter import convert
from streamlit.testing.v1 import AppTest

from lossviz.losses import CATALOGUE
from lossviz.scenes.state import parse


def keep(report: object) -> None:
    """The page's script: the component has just reported."""
    import streamlit as st

    from lossviz.ui import explore

    st.session_state["stage"] = {"state": report}
    explore._keep("stage")


def after(report: object, **query: str) -> dict[str, str]:
    """The address that a report leaves behind."""
    page = AppTest.from_function(keep, kwargs={"report": report})
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, [each.value for each in page.exception]
    return {name: value[-1] if isinstance(value, list) else value for name, value in page.query_params.items()}


def test_a_report_is_written_into_the_address():
    report = {
        "handles": {"pred": 1.25, "target": -0.5},
        "params": {"huber": {"delta": 2.0}, "mse": {}},
        "focus": "mse",
        "tab": "surface",
        "revision": 3,
    }
    written = after(report, scene="regression", loss="huber,mse", present="1")
    assert written == {
        "scene": "regression",
        "loss": "huber,mse",
        "pred": "1.25",
        "target": "-0.5",
        "huber.delta": "2.0",
        "focus": "mse",
        "tab": "surface",
        "present": "1",
    }


HOSTILE: list[Any] = [
    None,
    "text",
    7,
    [],
    {},
    {"handles": None, "params": None},
    {"handles": [1, 2], "params": "x"},
    {"handles": {"pred": math.nan, "target": math.inf}},
    {"handles": {"pred": 10**400}},
    {"handles": {"pred": "1", "target": True}},
    {"handles": {f"h{i}": i for i in range(10_000)}},
    {"handles": {"scene": "moon", "x": 1}},
    {"handles": {"pred": [[[[]]]]}},
    {"params": {"huber": {"delta": -1}}},
    {"params": {"huber": {"delta": None, "x": 1}, "hinge": {"a": 1}}},
    {"params": {"huber": 5}},
    {"params": {7: {8: 9}}},
    {"focus": "x" * 10_000, "tab": ["surface"]},
    {"focus": {"a": 1}, "tab": 3, "revision": "x"},
    {"revision": True},
]


@pytest.mark.parametrize("report", HOSTILE, ids=lambda report: str(report)[:40])
def test_whatever_is_reported_the_address_still_works(report: Any):
    written = after(report, scene="regression", loss="huber,mse")
    state, problems = parse(written, CATALOGUE)
    assert problems == []
    assert [loss.key for loss in state.losses] == ["huber", "mse"]
    assert all(len(value) < 100 for value in written.values())


def test_every_formula_becomes_mathml():
    for loss in CATALOGUE:
        for latex in [line.latex for line in loss.formula] + [loss.gradient]:
            assert convert(latex).startswith("<math")
