"""The address holds the state: reload, Back, a copy in another browser."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.stage import check_numbers, drag, handles, query, ready, settle, wait_for_query

Open = Callable[[str], Page]


def text(value: float) -> str:
    """A handle's value as the address has it."""
    return f"{value:.12g}"


def choose_loss(page: Page, name: str) -> None:
    """Add a loss in the page's own list."""
    page.get_by_label("Losses", exact=True).click()
    page.keyboard.type(name)
    page.get_by_role("option", name=name, exact=True).click()
    page.keyboard.press("Escape")


def test_drag_widget_reload_and_back_each_give_what_one_expects(open_page: Open):
    page = open_page("/explore?loss=huber,mse")
    ready(page)
    drag(page, "pred", -150)
    first = handles(page)
    wait_for_query(page, pred=text(first["pred"]))
    drag(page, "target", 90)
    second = handles(page)
    wait_for_query(page, pred=text(second["pred"]), target=text(second["target"]))

    choose_loss(page, "Mean absolute error")
    wait_for_query(page, loss="huber,mse,mae")
    page.wait_for_selector("output[data-loss=mae]", state="attached")
    settle(page)
    assert handles(page) == second
    assert set(check_numbers(page, "regression")["numbers"]) == {"huber", "mse", "mae"}

    page.reload()
    ready(page)
    assert handles(page) == second
    assert set(check_numbers(page, "regression")["numbers"]) == {"huber", "mse", "mae"}

    page.go_back()
    page.wait_for_selector("output[data-loss=mae]", state="detached")
    settle(page)
    assert handles(page) == second
    assert set(check_numbers(page, "regression")["numbers"]) == {"huber", "mse"}

    page.go_back()
    page.wait_for_function(
        "v => document.querySelector('[data-handle=target]').getAttribute('aria-valuenow') !== v",
        arg=str(second["target"]),
    )
    settle(page)
    assert handles(page) == first
    check_numbers(page, "regression")

    page.go_forward()
    page.wait_for_function(
        "v => document.querySelector('[data-handle=target]').getAttribute('aria-valuenow') === v",
        arg=str(second["target"]),
    )
    settle(page)
    assert handles(page) == second
    check_numbers(page, "regression")


def test_a_copied_address_shows_another_browser_the_same(open_page: Open):
    page = open_page("/explore?loss=huber,mse&huber.delta=0.7")
    ready(page)
    drag(page, "point", 44, 31)
    wait_for_query(page, pred=text(handles(page)["pred"]), target=text(handles(page)["target"]))
    mine = check_numbers(page, "regression", {"huber": {"delta": 0.7}})
    other = open_page(page.url[page.url.index("/explore") :])
    ready(other)
    assert check_numbers(other, "regression", {"huber": {"delta": 0.7}}) == mine


def test_focus_and_tab_are_in_the_address(open_page: Open):
    page = open_page("/explore?loss=huber,mse")
    ready(page)
    page.locator("li[data-loss=mse] .lv-name").click()
    wait_for_query(page, focus="mse")
    page.locator("[data-tab=surface]").click()
    wait_for_query(page, focus="mse", tab="surface")
    page.reload()
    page.wait_for_function("document.querySelector('.lv-solid')?.dataset.seq")
    assert page.locator("li[data-loss=mse] .lv-name").get_attribute("aria-pressed") == "true"
    assert page.locator("[data-tab=surface]").get_attribute("aria-selected") == "true"
    page.locator("li[data-loss=huber] .lv-name").click()
    page.locator("[data-tab=contour]").click()
    page.wait_for_function("!location.search.includes('focus') && !location.search.includes('tab')")


def test_another_scene_starts_afresh_and_back_returns(open_page: Open):
    page = open_page("/explore?loss=mse&pred=3.25")
    ready(page)
    page.locator("[data-testid=stRadio]").get_by_text("Several classes").click()
    page.wait_for_selector('[data-handle="z1"]')
    settle(page)
    assert query(page)["scene"] == "classes"
    assert "pred" not in query(page)
    check_numbers(page, "classes")
    page.go_back()
    page.wait_for_selector('[data-handle="pred"]')
    settle(page)
    assert check_numbers(page, "regression")["handles"]["pred"] == 3.25


def test_reset_takes_everything_back(open_page: Open):
    page = open_page("/explore?loss=huber&huber.delta=3&pred=4&target=-1")
    ready(page)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("!location.search.includes('delta') && !location.search.includes('pred')")
    settle(page)
    assert check_numbers(page, "regression")["handles"] == {"pred": 2.0, "target": 0.5}
