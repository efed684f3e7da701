"""The scene of task gradients under hand and eye: arrows, sliders, options; every number is torch's."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from lossviz.losses import get
from lossviz.scenes.tasks import TASKS
from tests.browser.stage import READ, drag, ready, settle, wait_for_query

Open = Callable[[str], Page]
ADDRESS = "/explore?scene=tasks&loss=weighted_sum,uncertainty_weighting,gradnorm,dwa,pcgrad,mgda&gradnorm.alpha=0.5"
PARAMS: dict[str, dict[str, Any]] = {"gradnorm": {"alpha": 0.5}}
SERIES = ("losses", "weights", "log_var", "initial", "last", "before")
PAIRS = """() => [...document.querySelectorAll(".lv-tasks-pair:not([hidden])")].map((pair) => ({
  verdict: pair.querySelector("b").textContent,
  numbers: Object.fromEntries([...pair.querySelectorAll("output")].map((o) => [o.name, Number(o.dataset.value)])),
}))"""


def check(page: Page, **options: Any) -> dict[str, Any]:
    """Compare every number shown with torch at the handles shown."""
    read = page.evaluate(READ)
    held: dict[str, Any] = {name: [] for name in SERIES}
    for name, value in read["handles"].items():
        series = name.partition(".")[0]
        if series in held:
            held[series].append(value)
        else:
            held[name] = value
    handles = TASKS.parse_handles({**held, **options})
    shown = 0
    for output in read["outputs"]:
        loss = get(output["loss"])
        numbers = TASKS.views([loss], handles, PARAMS, []).numbers[loss.key]
        if output["name"] in numbers:
            assert float(output["value"]) == pytest.approx(numbers[output["name"]], rel=1e-9, abs=1e-12), output
            shown += 1
        else:
            assert (output["name"], output["value"]) == ("falls.3", "")
    count = 3 if options.get("tasks") == "three" else 2
    assert shown == 6 * (1 + count)
    pairs = page.evaluate(PAIRS)
    assert len(pairs) == count * (count - 1) / 2
    for pair in pairs:
        assert pair["numbers"] == pytest.approx({name: numbers[name] for name in pair["numbers"]}, rel=1e-9)
        dot = numbers["dot." + next(iter(pair["numbers"])).partition(".")[2]]
        assert pair["verdict"] == ("conflict" if dot < 0 else "no conflict")
    return held


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    single = {name for name in before if name not in SERIES and before[name] != after[name]}
    return single | {f"{name}.{i}" for name in SERIES for i in range(3) if before[name][i] != after[name][i]}


def test_gradients_and_sliders_follow_the_mouse_and_the_keys_and_a_reload_keeps_them(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    before = check(page)
    drag(page, "g2", 150, -40)  # from conflict to none
    after = check(page)
    assert changed(before, after) == {"g2.x", "g2.y"}
    assert page.evaluate(PAIRS)[0]["verdict"] == "no conflict"
    before = after
    for name in SERIES:
        drag(page, f"{name}.0", 25, moves=5)
        after = check(page)
        assert changed(before, after) == {f"{name}.0"}
        before = after
    page.locator('[data-handle="g1.x"]').focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    settle(page)
    after = check(page)
    assert (after["g1.x"], after["g1.y"]) == (pytest.approx(2.3), pytest.approx(0.4))
    page.locator('[data-handle="log_var.1"]').focus()
    page.keyboard.press("Home")
    wait_for_query(page, log_var=f"{after['log_var'][0]:.12g},-3,0")
    settle(page)
    after = check(page)
    page.reload()
    ready(page)
    assert check(page) == after


def test_a_third_task_comes_and_steps_let_losses_fall(open_page: Open):
    page = open_page(ADDRESS + "&tasks=three&focus=mgda")
    ready(page)
    before = check(page, tasks="three")
    assert page.locator('[data-handle="g3"]').is_visible()
    drag(page, "g3", 20, 30)
    after = check(page, tasks="three")
    assert changed(before, after) == {"g3.x", "g3.y"}
    page.locator("[data-step]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('losses')")
    settle(page)
    stepped = check(page, tasks="three")
    assert all(new <= old for new, old in zip(stepped["losses"], after["losses"], strict=True))
    page.locator("[aria-label=tasks]").select_option("two")
    page.wait_for_function("!new URLSearchParams(location.search).has('tasks')")
    settle(page)
    check(page)
    assert not page.locator('[data-handle="g3"]').is_visible()


def test_methods_that_need_no_numbers_show_none_and_arrows_can_be_left_out(open_page: Open):
    page = open_page("/explore?scene=tasks&loss=pcgrad,mgda")
    ready(page)
    assert page.locator('[data-handle^="losses."]:visible').count() == 2
    assert page.locator('[data-handle^="weights."]').count() == 0
    paths = "[...document.querySelectorAll('.lv-tasks-plane .lv-lines path')].filter((p) => p.getAttribute('d')).length"
    shown = page.evaluate(paths)
    page.locator("[aria-label=arrows]").click()
    wait_for_query(page, arrows="false")
    settle(page)
    assert page.evaluate(paths) < shown


def test_on_a_phone_nothing_overflows_and_gradients_can_be_held(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    before = check(page)
    drag(page, "g1", -20, 10)
    drag(page, "losses.1", 10)
    assert changed(before, check(page)) == {"g1.x", "g1.y", "losses.1"}
