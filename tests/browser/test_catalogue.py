"""The catalogue in a real browser: thumbnails that follow the pointer, search, a loss's page, and the way back."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from lossviz import get, value_and_grad
from lossviz.losses import CATALOGUE
from lossviz.losses.proof import prove
from lossviz.scenes.slice import place
from lossviz.scenes.slices import slice_of
from tests.browser.stage import drag, handles, query, ready, settle, wait_for_query

Open = Callable[[str], Page]
NUMBERS = "a[data-loss='{}'] .lv-thumb-numbers"


def gallery(open_page: Open, path: str = "/catalogue") -> Page:
    page = open_page(path)
    page.wait_for_selector("a.lv-thumb[data-seq]")
    return page


def shown(page: Page) -> list[str]:
    return page.eval_on_selector_all("a.lv-thumb:not([hidden])", "cards => cards.map((card) => card.dataset.loss)")


def number(page: Page, name: str) -> float:
    return float(page.locator(f"output[name='{name}']").first.get_attribute("data-value") or "nan")


def slope(key: str, x: float, params: dict[str, Any]) -> tuple[float, float]:
    line = slice_of(get(key))
    value, gradients = value_and_grad(key, line.at(x), params)
    return value.item(), sum(float((gradients[name] * step).sum()) for name, step in line.direction.items())


def test_every_loss_has_a_curve_once_it_is_in_sight(open_page: Open):
    page = gallery(open_page)
    assert shown(page) and set(shown(page)) == {loss.key for loss in CATALOGUE}
    for loss in CATALOGUE[::9]:
        card = page.locator(f"a[data-loss='{loss.key}']")
        card.scroll_into_view_if_needed()
        page.wait_for_selector(f"a[data-loss='{loss.key}'][data-seq] .lv-spark-curve[d^='M']", state="attached")
        assert len(card.locator(".lv-spark-curve").get_attribute("d") or "") > 200


@pytest.mark.parametrize("key", ["huber", "cross_entropy", "mse"])
def test_a_thumbnail_follows_the_pointer_with_torchs_numbers(open_page: Open, key: str):
    page = gallery(open_page)
    page.locator(f"a[data-loss='{key}']").scroll_into_view_if_needed()
    box = page.locator(f"a[data-loss='{key}'] .lv-spark").bounding_box()
    assert box
    seen: set[float] = set()
    for share in (0.2, 0.45, 0.8):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 20, steps=4)
        page.wait_for_timeout(500)
        told = page.locator(NUMBERS.format(key)).evaluate("e => ({...e.dataset})")
        x = float(told["x"])
        assert [float(told["loss"]), float(told["gradient"])] == pytest.approx(slope(key, x, {}), rel=1e-9, abs=1e-12)
        seen.add(x)
    assert len(seen) == 3


def test_the_arrow_keys_move_the_point_of_a_thumbnail(open_page: Open):
    page = gallery(open_page)
    page.focus("a[data-loss='mae']")
    page.wait_for_selector("a[data-loss='mae'].lv-live")
    before = page.locator(NUMBERS.format("mae")).get_attribute("data-x")
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_function(
        "([selector, before]) => document.querySelector(selector).dataset.x !== before",
        arg=[NUMBERS.format("mae"), before],
    )


def test_search_by_english_and_chinese_words_by_task_and_property(open_page: Open):
    page = gallery(open_page)
    page.keyboard.press("/")
    page.keyboard.type("焦点")
    page.wait_for_function("document.querySelector('output[name=count]').dataset.value < 10")
    assert set(shown(page)) == {"sigmoid_focal", "softmax_focal", "focal_tversky"}
    wait_for_query(page, q="焦点")
    page.click("[data-task='detection'].lv-chip")
    assert set(shown(page)) == {"sigmoid_focal", "softmax_focal"}
    page.fill(".lv-search", "lin goyal")
    assert set(shown(page)) == {"sigmoid_focal", "softmax_focal"}
    page.fill(".lv-search", "no such loss")
    assert shown(page) == [] and page.locator(".lv-empty").is_visible()
    page.click(".lv-empty button")
    assert len(shown(page)) == len(CATALOGUE)
    page.click("[data-property='convex'].lv-chip")
    page.click("[data-property='convex'].lv-chip")
    page.click("[data-property='robust'].lv-chip")
    wait_for_query(page, convex="no", robust="yes")
    assert "welsch" in shown(page) and "mae" not in shown(page)
    page.reload()
    page.wait_for_selector("a.lv-thumb[data-seq]")
    assert "welsch" in shown(page) and "mae" not in shown(page)


def test_a_loss_is_opened_dragged_and_left_again(open_page: Open):
    page = gallery(open_page, "/catalogue?task=regression")
    page.click("a[data-loss='huber']")
    ready(page)
    assert query(page) == {"loss": "huber"}
    assert page.locator("h3", has_text="Huber loss").count()
    before = handles(page)["t"]
    drag(page, "t", -260)
    after = handles(page)["t"]
    assert after < before
    wait_for_query(page, t=f"{after:.12g}")
    x = place(get("huber"), after)
    assert number(page, "x") == x
    assert (number(page, "loss"), number(page, "gradient")) == pytest.approx(slope("huber", x, {}), rel=1e-9)
    page.wait_for_function(f"document.querySelector('pre code, [data-testid=stCode]').innerText.includes('[{x!r}]')")
    page.go_back()
    page.wait_for_function("!new URLSearchParams(location.search).get('t')")
    page.go_back()
    page.wait_for_selector("a.lv-thumb[data-seq]")
    assert query(page) == {"task": "regression"}
    assert "cross_entropy" not in shown(page)


def test_the_badge_shows_the_gradient_three_ways(open_page: Open):
    page = open_page("/catalogue?loss=softmax_focal&t=0.35&softmax_focal.gamma=3")
    ready(page)
    loss, x = get("softmax_focal"), number(page, "x")
    line = slice_of(loss)
    proof = prove(loss, line.at, x, loss.resolve({"gamma": 3.0}), line.direction)
    ways = {"hand": proof.hand, "autograd": proof.autograd, "difference": proof.difference}
    assert {way: number(page, f"proof.{way}") for way in ways} == pytest.approx(ways, rel=1e-9)
    assert page.locator(".lv-proof").get_attribute("data-verdict") == "agree"


def test_a_kink_is_named(open_page: Open):
    page = open_page("/catalogue?loss=hinge")
    ready(page)
    page.focus("[data-handle='t']")
    page.keyboard.press("Home")
    share = (1 - slice_of(get("hinge")).low) / (slice_of(get("hinge")).high - slice_of(get("hinge")).low)
    page.goto(re.sub(r"\?.*", f"?loss=hinge&t={share!r}", page.url))
    ready(page)
    assert page.locator(".lv-proof").get_attribute("data-verdict") == "kink"
    assert "slope is −1.000 before it and" in page.locator(".lv-verdict").inner_text()


def test_denied_properties_are_shown_at_work(open_page: Open):
    page = open_page("/catalogue?loss=welsch")
    ready(page)
    row = page.locator("[data-property='convex_in_pred']")
    numbers = json.loads(row.locator(".lv-witness").get_attribute("data-numbers") or "{}")
    assert numbers["middle"] > numbers["chord"]
    assert row.locator(".lv-chord path").count() == 2
    assert page.locator(".lv-properties li").count() == 11
    assert page.locator("[data-lines='steps']").count() == len(get("welsch").derivation)
    last = json.loads(page.locator("[data-lines='steps']").last.get_attribute("data-value") or "nan")
    assert last == pytest.approx(number(page, "gradient"), rel=1e-9)


def test_words_and_marks_are_parameters_too(open_page: Open):
    page = open_page("/catalogue?loss=contrastive")
    ready(page)
    page.uncheck(".lv-param input[type='checkbox'][aria-label='half']")
    settle(page)
    wait_for_query(page, **{"contrastive.half": "false"})
    x = number(page, "x")
    assert number(page, "loss") == pytest.approx(slope("contrastive", x, {"half": False})[0], rel=1e-9)
    page.goto(re.sub(r"\?.*", "?loss=reconstruction", page.url))
    ready(page)
    page.select_option(".lv-param select[aria-label='kind']", "bce")
    settle(page)
    wait_for_query(page, **{"reconstruction.kind": '"bce"'})
    x = number(page, "x")
    assert number(page, "loss") == pytest.approx(slope("reconstruction", x, {"kind": "bce"})[0], rel=1e-9)


def test_from_a_loss_to_the_explorer_and_to_training(open_page: Open):
    page = open_page("/catalogue?loss=softmax_focal")
    ready(page)
    page.get_by_text("Open in the explorer").click()
    page.wait_for_url("**/explore?*")
    ready(page)
    assert query(page)["scene"] == "classes" and query(page)["loss"] == "softmax_focal"
    page.go_back()
    page.wait_for_selector(".lv-below")
    page.get_by_text("Train with it").click()
    page.wait_for_url("**/train*")
    page.wait_for_selector(".lv-training")
    assert page.get_by_text("Focal loss (softmax)").count()


@pytest.mark.parametrize("path", ["/catalogue", "/catalogue?loss=giou"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(visit: Any, site: Any, path: str, scheme: str):
    page = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True).page(site.url + path)
    page.wait_for_selector("a.lv-thumb[data-seq], .lv-below")
    page.wait_for_timeout(500)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    wide = "e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.lv-chips, .lv-wide-table, math, pre')"
    outside = page.evaluate(
        f"[...document.querySelectorAll('.lv-root *')].filter({wide}).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert outside == []
