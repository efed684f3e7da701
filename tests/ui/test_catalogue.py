"""What the gallery and a loss's page report is untrusted: the address they leave behind always works."""

import math
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lossviz.losses import get
from lossviz.ui.catalogue import _state


def keep_filter(report: object) -> None:
    """The page's script: the gallery has just reported."""
    import streamlit as st

    from lossviz.ui import catalogue

    st.session_state["gallery"] = {"state": report, "open": report}
    catalogue._keep_filter()
    catalogue._open()


def keep_entry(report: object) -> None:
    """The page's script: the page of Huber's loss has just reported."""
    import streamlit as st

    from lossviz.losses import get
    from lossviz.ui import catalogue

    st.session_state["entry.huber"] = {"state": report}
    catalogue._keep_entry(get("huber"))


def after(script: Any, report: object, **query: str) -> dict[str, str]:
    """The address that a report leaves behind."""
    page = AppTest.from_function(script, kwargs={"report": report})
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, [each.value for each in page.exception]
    return {name: value[-1] if isinstance(value, list) else value for name, value in page.query_params.items()}


def test_a_search_is_written_into_the_address():
    report = {"q": "focal", "task": "detection", "claims": {"convex": "no", "smooth": "yes"}, "revision": 3}
    written = after(keep_filter, report, present="1", q="old", bounded="yes")
    assert written == {"q": "focal", "task": "detection", "convex": "no", "smooth": "yes", "present": "1"}


def test_opening_a_loss_writes_its_key_alone():
    assert after(keep_filter, "huber", q="focal", present="1") == {"loss": "huber", "present": "1"}


def test_a_loss_reports_its_handle_and_parameters():
    report = {"handles": {"t": 0.25}, "params": {"huber": {"delta": 2.5}}, "revision": 1}
    written = after(keep_entry, report, loss="huber", present="1")
    assert written == {"loss": "huber", "t": "0.25", "huber.delta": "2.5", "present": "1"}


def test_a_loss_as_one_finds_it_needs_no_more_than_its_key():
    state, _ = _state(get("huber"), {})
    report = {"handles": state.handles, "params": {"huber": {"delta": 1.0}}, "revision": 1}
    assert after(keep_entry, report, loss="huber", t="0.9") == {"loss": "huber"}


HOSTILE: list[Any] = [
    None,
    "nothing",
    7,
    [],
    {},
    {"q": "x" * 10_000, "task": ["a"], "claims": "x", "revision": "x"},
    {"q": None, "task": {"a": 1}, "claims": {"convex": "maybe", "loss": "huber", "t": "9"}},
    {"claims": {f"c{i}": "yes" for i in range(10_000)}},
    {"handles": {"t": math.nan}, "params": {"huber": {"delta": -1}, "mse": 3}},
    {"handles": {"t": 10**400, "pred": 3}, "params": 7},
]


@pytest.mark.parametrize("script", [keep_filter, keep_entry])
@pytest.mark.parametrize("report", HOSTILE, ids=lambda report: str(report)[:40])
def test_whatever_is_reported_the_address_still_works(script: Any, report: Any):
    written = after(script, report, loss="huber")
    assert set(written) <= {"loss", "q", "task", "t"} and all(len(value) < 100 for value in written.values())
    assert _state(get("huber"), written)[1] == []
