"""The runs page's script: list, filter, compare, delete and undo."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from lossviz.live.service import Service
from lossviz.runs import LossChoice, Run, RunSpec, to_csv, to_json
from tests.pages.conftest import said, well

Visit = Callable[..., AppTest]
ME = "nobody"
"""Who somebody without cookies is."""


def trained(ours: Service, loss: str, owner: str, accuracy: float = 0.9) -> Run:
    """A finished run with a few points."""
    run = ours.store.create(RunSpec(losses=(LossChoice(loss, {}),), epochs=1), owner)
    ours.store.begin(run.id, device="cpu", threads=1, bridges=["text"])
    ours.store.append(run.id, [(0, 100, "train_loss", 0.5), (0, 1875, "test_accuracy", accuracy)])
    return ours.store.finish(run.id, "done")


@pytest.fixture
def three(ours: Service) -> list[Run]:
    """Newest first, as the page lists them: another's, mine, mine."""
    runs = [trained(ours, "mse", ME, 0.81), trained(ours, "huber", ME, 0.82), trained(ours, "mae", "else", 0.83)]
    return runs[::-1]


def listed(page: AppTest) -> list[str]:
    """The ids of the runs in the table."""
    return [address.split("=")[1] for address in page.dataframe[0].value["open"]] if page.dataframe else []


def tick(page: AppTest, *rows: int) -> AppTest:
    page.session_state["table"] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return well(page.run())


def test_without_runs_the_page_leads_to_the_first_one(visit: Visit):
    page = visit("runs")
    assert "No runs yet." in said(page)
    assert not page.dataframe


def test_all_runs_are_listed_newest_first(visit: Visit, three: list[Run]):
    page = visit("runs")
    assert listed(page) == [run.id for run in three]
    table = page.dataframe[0].value
    assert list(table["accuracy"]) == ["0.8300", "0.8200", "0.8100"]
    assert list(table["mine"]) == [False, True, True]
    assert set(table["status"]) == {"Finished"}


def test_a_run_of_several_seeds_shows_mean_and_range_of_each_loss(visit: Visit, ours: Service):
    spec = RunSpec(losses=(LossChoice("mse", {}), LossChoice("mae", {})), epochs=1, seed=4, seeds=3)
    run = ours.store.create(spec, ME)
    ours.store.begin(run.id, device="cpu", threads=1, bridges=["text", "text"])
    accuracies = [0.81, 0.7, 0.82, 0.71, 0.83]
    ours.store.append(run.id, [(member, 1875, "test_accuracy", value) for member, value in enumerate(accuracies)])
    page = visit("runs")
    table = page.dataframe[0].value
    assert list(table["accuracy"]) == ["0.8200 (0.8100–0.8300), 0.7050 (0.7000–0.7100)"]
    assert "seeds 4 to 6" in table["settings"][0]


def test_filters_by_word_status_and_owner(visit: Visit, ours: Service, three: list[Run]):
    other, huber, mse = three
    stopped = ours.store.create(RunSpec(losses=(LossChoice("huber", {}),)), ME)
    ours.store.finish(stopped.id, "stopped", "Stopped before it began.")
    page = visit("runs")
    page.text_input(key="search").set_value("huber").run()
    assert listed(well(page)) == [stopped.id, huber.id]
    page.selectbox(key="status").set_value("done").run()
    assert listed(well(page)) == [huber.id]
    page.text_input(key="search").set_value("").run()
    assert listed(well(page)) == [other.id, huber.id, mse.id]
    page.toggle(key="mine").set_value(True).run()
    assert listed(well(page)) == [huber.id, mse.id]
    page.text_input(key="search").set_value("no such words").run()
    assert "No run fits. Clear the filters to see all." in said(well(page))


def test_one_or_more_ticked_runs_are_compared_and_taken_along(visit: Visit, three: list[Run]):
    page = visit("runs")
    with pytest.raises(KeyError):
        page.selectbox(key="metric")
    tick(page, 0)
    assert "delete" in [button.key for button in page.button]
    tick(page, 0, 2)
    page.selectbox(key="metric").set_value("train_loss").run()
    well(page)


def test_delete_takes_ones_own_and_undo_brings_them_back(visit: Visit, ours: Service, three: list[Run]):
    other, huber, mse = three
    page = tick(visit("runs"), 0, 1, 2)
    well(page.button(key="delete").click().run())
    assert {run.id for run in ours.store.runs()} == {other.id}
    assert listed(page) == [other.id]
    assert "2 deleted." in " ".join(each.value for each in page.markdown)
    well(page.button(key="undo").click().run())
    assert listed(page) == [other.id, huber.id, mse.id]
    assert len(ours.store.points(huber.id)) == 2
    with pytest.raises(KeyError):
        page.button(key="undo")


def test_another_persons_run_cannot_be_deleted(visit: Visit, three: list[Run]):
    page = tick(visit("runs"), 0)
    assert page.button(key="delete").disabled
    assert "owner" in (page.button(key="delete").help or "")


def test_deleting_a_run_that_waits_takes_it_out_of_the_queue(visit: Visit, ours: Service):
    run = ours.queue.submit(RunSpec(losses=(LossChoice("mse", {}),)), ME)
    page = tick(visit("runs"), 0)
    well(page.button(key="delete").click().run())
    assert ours.queue.waiting == 0
    assert ours.store.get(run.id).status == "stopped"
    assert ours.store.runs() == []


def test_a_run_that_another_program_trains_cannot_be_deleted_from_here(visit: Visit, ours: Service):
    run = ours.store.create(RunSpec(losses=(LossChoice("mse", {}),)), ME)
    ours.store.begin(run.id, device="cpu", threads=1, bridges=["text"])
    page = tick(visit("runs"), 0)
    page.button(key="delete").click().run()
    assert "trained by another program" in said(well(page))
    assert [each.id for each in ours.store.runs()] == [run.id]


def test_a_typed_formula_is_listed_searched_compared_and_taken_along(visit: Visit, ours: Service):
    formula = "where(pred < target, 2, 1) * abs(pred - target) + 0 * where(pred > target, 1, pred)"
    spec = RunSpec(losses=(LossChoice("formula", {}, formula), LossChoice("formula", {}, formula)), epochs=1)
    runs = [ours.store.create(spec, ME) for _ in range(2)]
    for run in runs:
        ours.store.append(run.id, [(member, 1875, "test_accuracy", 0.9) for member in (0, 1)])
    page = visit("runs")
    name = "where(pred < target, 2, 1) * abs(pred - target) + 0 * where…"
    assert list(page.dataframe[0].value["losses"]) == [f"{name}, {name} #2"] * 2
    page.text_input(key="search").set_value("where(pred").run()
    assert len(listed(well(page))) == 2
    tick(page, 0, 1)
    (chart,) = page.get("plotly_chart")
    # Plotly takes what is between < and > for a tag.
    assert "where(pred &lt; target, 2, 1)" in chart.proto.spec
    text = to_csv(runs[0], ours.store.points(runs[0].id))
    assert [row[2] for row in csv.reader(io.StringIO(text))] == ["loss", formula, f"{formula}#2"]
    told = json.loads(to_json(runs[0], ours.store.points(runs[0].id)))
    assert RunSpec.parse(told["spec"]) == spec
    assert [member["loss"] for member in told["members"]] == [formula, f"{formula}#2"]
