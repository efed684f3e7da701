"""Press Train: a stream and not a replay, whoever looks and whatever is reloaded."""

import re
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from benchmarks.served import Served
from lossviz.runs import RunSpec, Store

Open = Callable[[str], Page]
FIRST_POINT = 6.0
"""Seconds; a bound for a machine that is busy with other things. The promise, measured on a quiet one, is 1."""


def form(page: Page, epochs: int, learning_rate: str | None = None) -> None:
    """Fill in the softmax layer for so many epochs, and wait for a warm worker."""
    page.get_by_text("Trains on").wait_for(timeout=90_000)
    page.locator("[data-testid=stRadio]").get_by_text("Softmax layer").click()
    set_number(page, "Epochs", str(epochs))
    if learning_rate:
        set_number(page, "Learning rate", learning_rate)


def set_number(page: Page, label: str, value: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    field.press("Enter")


def press_train(page: Page) -> None:
    page.locator("[data-testid=stSidebar]").get_by_role("button", name="Train", exact=True).click()


def warm(page: Page) -> None:
    """Until the worker is warm, the rail says so; the page asks again when it is run again."""
    end = time.monotonic() + 90
    while not page.get_by_text("Trains on").count():
        assert time.monotonic() < end, "the worker is still not warm"
        page.wait_for_timeout(500)
        page.reload()
        page.get_by_role("button", name="Train", exact=True).first.wait_for()
        page.wait_for_timeout(500)


def first_point(page: Page) -> None:
    page.wait_for_function("Number(document.querySelector('.lv-root output[name=train_loss]')?.dataset.seq) > 0")


def step(page: Page) -> int:
    return int(page.evaluate("document.querySelector('.lv-root progress').value"))


def final(page: Page) -> dict[str, float]:
    """The numbers of a run that is over, by metric and member."""
    read = """() => Object.fromEntries([...document.querySelectorAll("output[data-member]")].map((e) => [`${e.name}/${e.dataset.member}`, Number(e.dataset.value)]))"""  # noqa: E501
    return page.evaluate(read)


def wait_until_drawn(page: Page, last: int) -> None:
    """Wait until every number and picture shows all points up to the last one."""
    read = """() => [...document.querySelectorAll("output[data-member], .js-plotly-plot")].map((e) => e.dataset.seq)"""
    end = time.monotonic() + 20
    while set(seqs := page.evaluate(read)) != {str(last)}:
        assert time.monotonic() < end, f"drawn up to {seqs} of {last}: {page.inner_text('.lv-root')}"
        page.wait_for_timeout(50)


def wait_for_status(page: Page, status: str, seconds: float = 90) -> None:
    page.wait_for_selector(f".lv-training[data-status={status}]", timeout=seconds * 1000)


def run_id(page: Page) -> str:
    page.wait_for_function("new URLSearchParams(location.search).has('run')")
    return page.evaluate("new URLSearchParams(location.search).get('run')")


@pytest.fixture
def store(site: Served) -> Any:
    store = Store(site.home / "runs.sqlite")
    yield store
    store.close()


def latest(store: Store, run: str) -> dict[str, float]:
    """The last value of each metric that the page shows: of all test images where there is one."""
    found: dict[str, float] = {}
    for metric in ("test_accuracy", "test_loss", "train_loss"):
        for member, point in store.latest(run, metric).items():
            found[f"{metric}/{member}"] = point.value
    return found


def test_train_stream_reload_and_a_second_computer(open_page: Open, store: Store):
    page = open_page("/train")
    warm(page)
    form(page, epochs=5)
    pressed = time.monotonic()
    press_train(page)
    first_point(page)
    waited = time.monotonic() - pressed
    run = run_id(page)
    spec = store.get(run).spec
    total = spec.total_steps
    assert waited < FIRST_POINT
    assert (spec.model, spec.epochs, [choice.key for choice in spec.losses]) == ("softmax", 5, ["cross_entropy", "mse"])
    assert 0 < step(page) < total / 5

    # A stream: the bar moves by little steps.
    seen = [step(page)]
    while seen[-1] < total * 0.3:
        page.wait_for_function("was => document.querySelector('.lv-root progress').value > was", arg=seen[-1])
        seen.append(step(page))
    assert len(seen) >= 3 and max(b - a for a, b in pairwise(seen)) < total / 4

    page.reload()
    first_point(page)
    moved = step(page)
    assert moved >= seen[-1]
    other = open_page(f"/train?run={run}")
    first_point(other)
    assert other.locator("[data-testid=stMain]").get_by_role("button", name="Stop").count() == 0
    for each in (page, other):
        wait_for_status(each, "done")
        assert "Finished" in each.inner_text(".lv-progress-words")
        each.wait_for_function("document.querySelector('output[name=test_accuracy]').dataset.value !== ''")
    last = len(store.points(run))
    for each in (page, other):
        wait_until_drawn(each, last)
    assert final(page) == final(other) == latest(store, run)
    assert all(0.8 < value < 1 for name, value in final(page).items() if name.startswith("test_accuracy"))


def test_stop_works_within_a_second_or_so_and_keeps_the_points(open_page: Open, store: Store):
    page = open_page("/train")
    warm(page)
    form(page, epochs=50)
    press_train(page)
    first_point(page)
    run = run_id(page)
    stop = page.locator(".lv-progress").get_by_role("button", name="Stop")
    pressed = time.monotonic()
    stop.click()
    wait_for_status(page, "stopped", 10)
    assert time.monotonic() - pressed < 4
    found = store.get(run)
    assert found.status == "stopped"
    assert 0 < found.step < found.total_steps / 5
    assert found.finished and found.finished - found.started < 60  # pyright: ignore[reportOperatorIssue]
    page.wait_for_function("document.querySelector('.lv-status').textContent.startsWith('Stopped at step ')")
    points = len(store.points(run))
    page.wait_for_timeout(500)
    assert len(store.points(run)) == points > 0
    # The next one starts on a worker that is warm again or still.
    set_number(page, "Epochs", "1")
    press_train(page)
    page.wait_for_function("was => new URLSearchParams(location.search).get('run') !== was", arg=run)
    wait_for_status(page, "running", 60)
    page.locator(".lv-progress").get_by_role("button", name="Stop").click()
    wait_for_status(page, "stopped", 10)


def test_closing_the_browser_does_not_hurt_the_run(visit: Any, site: Served, store: Store):
    visitor = visit()
    page = visitor.page(site.url + "/train")
    warm(page)
    form(page, epochs=1)
    press_train(page)
    first_point(page)
    run = run_id(page)
    page.close()
    end = time.monotonic() + 60
    while not store.get(run).over and time.monotonic() < end:
        time.sleep(0.2)
    assert store.get(run).status == "done"
    page = visitor.page(f"{site.url}/train?run={run}")
    wait_for_status(page, "done")
    page.wait_for_function("document.querySelector('output[name=test_accuracy]').dataset.value !== ''")
    assert final(page) == latest(store, run)


def test_a_run_of_several_seeds_is_drawn_as_means_with_bands(open_page: Open, store: Store):
    spec = RunSpec.parse({"losses": [{"key": "mse"}, {"key": "mae"}], "epochs": 1, "seeds": 3})
    run = store.create(spec, "somebody else")
    store.begin(run.id, device="CPU, 1 thread", threads=1, bridges=["one", "two"], way="All together.")
    early = [(member, 100, "test_accuracy_sample", 0.5 + member / 100) for member in range(6)]
    # The second seed of mae has not told of step 200 yet: until it has, its line ends at step 100.
    late = [(member, 200, "test_accuracy_sample", 0.7 + member / 100) for member in range(6) if member != 3]
    store.append(run.id, [*early, *late])
    page = open_page(f"/train?run={run.id}")
    shown = "output[name=test_accuracy][data-member='{}']"

    def reads(place: int, value: float) -> None:
        """Wait until the loss's number is this mean."""
        page.wait_for_function(
            "([where, value]) => Math.abs(Number(document.querySelector(where)?.dataset.value) - value) < 1e-12",
            arg=[shown.format(place), value],
        )

    reads(0, 0.72)
    reads(1, 0.53)
    assert page.inner_text(shown.format(0) + " + small") == "0.7000 to 0.7400"
    assert page.inner_text(shown.format(1) + " + small") == "0.5100 to 0.5500"
    assert "All together." in page.inner_text(".lv-progress-words")
    labels = page.locator(".lv-end").all_inner_texts()
    assert [" ".join(label.split()) for label in labels] == [
        "0.7200 Mean squared error 0.7000 to 0.7400",
        "0.5300 Mean absolute error 0.5100 to 0.5500",
    ]
    bands = page.locator(".lv-main .lv-lines path")
    assert all((bands.nth(place).get_attribute("d") or "").count("L") >= 1 for place in range(2))
    store.append(run.id, [(3, 200, "test_accuracy_sample", 0.73)])
    reads(1, 0.73)
    # A seed that has ended is not in the mean of what comes after it.
    last = {"test_accuracy": 1875, "test_loss": 1875}
    points = [(member, step, name, member / 10) for name, step in last.items() for member in range(6) if member != 5]
    store.append(run.id, points)
    store.finish(run.id, "done")
    wait_for_status(page, "done", 20)
    reads(0, 0.2)
    reads(1, 0.2)
    assert page.inner_text(shown.format(1) + " + small") == "0.1000 to 0.3000"


def test_an_unknown_run_is_said_to_be_none(open_page: Open):
    page = open_page("/train?run=nothing")
    page.get_by_text(re.compile("There is no such run")).wait_for()


def test_the_runs_page_lists_what_was_trained(open_page: Open, store: Store):
    spec = RunSpec.parse({"losses": [{"key": "mse"}], "epochs": 1})
    run = store.create(spec, "somebody else")
    store.finish(run.id, "stopped", "Stopped before it began.")
    page = open_page("/runs")
    page.locator("[data-testid=stDataFrame]").wait_for()
    search = page.get_by_role("textbox", name="Search")
    search.fill(run.id)
    search.press("Enter")
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
