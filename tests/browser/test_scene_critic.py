"""The critic scene under hand and eye: samples, knots, turns, training; every number is torch's."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from lossviz.losses import get
from lossviz.scenes.critic import CRITIC_SCENE
from tests.browser.stage import READ, centre, drag, query, ready, settle, wait_for_query

Open = Callable[[str], Page]
ADDRESS = "/explore?scene=critic&loss=gan_minimax,lsgan,wgan,gradient_penalty&lsgan.c=2"
PARAMS: dict[str, dict[str, Any]] = {
    "gan_minimax": {"side": "generator"},
    "lsgan": {"side": "generator", "c": 2.0},
    "wgan": {"side": "generator"},
}


def check(page: Page, params: dict[str, dict[str, Any]] = PARAMS, **options: Any) -> dict[str, list[float]]:
    """Compare every number shown with torch at the handles shown."""
    read = page.evaluate(READ)
    held: dict[str, list[float]] = {"real": [], "fake": [], "knots": []}
    for name, value in read["handles"].items():
        held[name.partition(".")[0]].append(value)
    handles = CRITIC_SCENE.parse_handles({**held, **options})
    shown = 0
    for output in read["outputs"]:
        loss = get(output["loss"])
        numbers = CRITIC_SCENE.views([loss], handles, params, []).numbers[loss.key]
        if output["name"] in numbers:
            assert float(output["value"]) == pytest.approx(numbers[output["name"]], rel=1e-9, abs=1e-12), output
            shown += 1
        else:
            assert (output["name"], loss.key, output["value"]) == ("pull", "gradient_penalty", "")
    assert shown == 7
    return held


def moved(before: dict[str, list[float]], after: dict[str, list[float]]) -> set[str]:
    return {f"{name}.{i}" for name in before for i, value in enumerate(before[name]) if after[name][i] != value}


def test_samples_and_knots_follow_the_mouse_and_the_keys_and_a_reload_keeps_them(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    before = check(page)
    for name, dx, dy in (("fake.0", 90, 0), ("real.5", -40, 0), ("knots.4", 0, -40)):
        drag(page, name, dx, dy)
        after = check(page)
        assert moved(before, after) == {name}
        before = after
    for name, key, change in (("fake.2", "ArrowLeft", -0.1), ("real.0", "PageUp", 1.0), ("knots.8", "ArrowDown", -0.1)):
        page.locator(f'[data-handle="{name}"]').focus()
        page.keyboard.press(key)
        settle(page)
        after = check(page)
        series, i = name.split(".")
        assert after[series][int(i)] == pytest.approx(before[series][int(i)] + change)
        before = after
    wait_for_query(page, knots=",".join(f"{value:g}" for value in before["knots"]))
    page.reload()
    ready(page)
    assert check(page) == before


def test_each_side_has_its_turn(open_page: Open):
    page = open_page(ADDRESS + "&focus=wgan")
    ready(page)
    before = check(page)
    assert page.locator("[data-turn=generator]").get_attribute("aria-pressed") == "true"
    page.locator("[data-play]").click()
    page.wait_for_function("Number(document.querySelector('[data-handle=\"fake.0\"]').ariaValueNow) > -2")
    page.locator("[data-play]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('fake')")
    settle(page)
    played = check(page)
    assert moved(before, played) == {f"fake.{i}" for i in range(6)}
    page.locator("[data-turn=discriminator]").click()
    wait_for_query(page, **{"wgan.side": '"discriminator"', "lsgan.side": '"discriminator"'})
    settle(page)
    critics = {"lsgan": {"c": 2.0}}
    assert check(page, critics) == played
    page.locator("[data-step]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('knots')")
    settle(page)
    learnt = moved(played, check(page, critics))
    assert learnt and learnt <= {f"knots.{i}" for i in range(9)}


def test_a_trained_critic_has_no_knots_and_learns_from_the_samples_where_they_are(open_page: Open):
    page = open_page(f"{ADDRESS}&critic=trained&steps=9")
    ready(page)
    assert page.locator('[data-handle^="knots"]:visible').count() == 0
    before = check(page, critic="trained", steps=9)
    drag(page, "fake.5", 60)
    assert moved(before, check(page, critic="trained", steps=9)) == {"fake.5"}
    page.locator("[data-turn=discriminator]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('wgan.side')")
    settle(page)
    page.locator("[data-step]").click()
    wait_for_query(page, steps="10")
    settle(page)
    check(page, {"lsgan": {"c": 2.0}}, critic="trained", steps=10)
    assert query(page)["critic"] == "trained"


def test_arrows_can_be_left_out(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    paths = "[...document.querySelectorAll('.lv-critic-main .lv-lines path')].filter((p) => p.getAttribute('d')).length"
    shown = page.evaluate(paths)
    page.locator("[aria-label=arrows]").click()
    wait_for_query(page, arrows="false")
    settle(page)
    assert page.evaluate(paths) < shown


def test_on_a_phone_nothing_overflows_and_samples_can_be_held(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    before = check(page)
    centre(page, '[data-handle="fake.0"]')
    drag(page, "fake.0", -6)
    assert moved(before, check(page)) == {"fake.0"}
