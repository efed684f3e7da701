"""Drag, keys, parameters: the picture follows the hand, and every number is torch's."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.stage import centre, check_numbers, drag, handles, ready, settle

REGRESSION = "/explore?scene=regression&loss=huber,mse,mae,quantile&huber.delta=2.5&quantile.q=0.8"
PARAMS: dict[str, dict[str, Any]] = {"huber": {"delta": 2.5}, "quantile": {"q": 0.8}}
CLASSES = "/explore?scene=classes&loss=cross_entropy,softmax_focal&softmax_focal.gamma=1.5"
FOCAL: dict[str, dict[str, Any]] = {"softmax_focal": {"gamma": 1.5}}
Open = Callable[[str], Page]

FOLLOW = """() => {
  window.seqs = {};
  const watched = [...document.querySelectorAll("output[name=loss], .lv-plot:not(.lv-solid)")];
  watched.forEach((element, i) => {
    const seen = (window.seqs[i] = []);
    const look = () => seen.push(Number(element.dataset.seq));
    new MutationObserver(look).observe(element, { attributeFilter: ["data-seq"] });
  });
}"""


def test_a_hundred_moves_and_every_number_is_torchs(open_page: Open):
    page = open_page(REGRESSION)
    ready(page)
    before = check_numbers(page, "regression", PARAMS)
    page.evaluate(FOLLOW)
    x, y = centre(page, '[data-handle="pred"]')
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(100):
        page.mouse.move(x - 200 + 4 * ((i * 37) % 100), y)
        page.wait_for_timeout(10)
    held = page.evaluate("window.seqs")
    page.mouse.up()
    settle(page)
    after = check_numbers(page, "regression", PARAMS)
    assert after["handles"]["pred"] != before["handles"]["pred"]
    assert after["handles"]["target"] == before["handles"]["target"]
    assert len(held) == 4 + 3
    for seqs in held.values():
        # While it moved, not after: many different answers, each newer than the one before.
        assert len(set(seqs)) >= 10
        assert seqs == sorted(seqs)


def test_each_handle_moves_what_it_names(open_page: Open):
    page = open_page(REGRESSION)
    ready(page)
    drags = [("target", 120, 0, {"target"}), ("point", 60, -50, {"pred", "target"}), ("pred", -2000, 0, {"pred"})]
    for handle, dx, dy, moved in drags:
        before = check_numbers(page, "regression", PARAMS)["handles"]
        drag(page, handle, dx, dy)
        after = check_numbers(page, "regression", PARAMS)["handles"]
        assert {name for name in before if after[name] != before[name]} == moved
        assert all(-5 <= value <= 5 for value in after.values())
    assert after["pred"] == -5


def test_logits_point_and_label_obey_mouse_and_keyboard(open_page: Open):
    page = open_page(CLASSES)
    ready(page)
    start = check_numbers(page, "classes", FOCAL)["handles"]
    for i, name in enumerate(("z1", "z2", "z3")):
        before = handles(page)
        drag(page, name, 70 - 50 * i)
        after = check_numbers(page, "classes", FOCAL)["handles"]
        assert {other for other in after if after[other] != before[other]} == {name}
    before = handles(page)
    drag(page, "p", 40, -60)
    after = check_numbers(page, "classes", FOCAL)["handles"]
    assert all(after[name] != before[name] for name in ("z1", "z2", "z3"))
    assert sum(after[f"z{k}"] for k in (1, 2, 3)) == pytest.approx(sum(before[f"z{k}"] for k in (1, 2, 3)), abs=0.01)
    shares = [float(page.locator(f"output[name='p.{k}']").get_attribute("data-value") or "nan") for k in (1, 2, 3)]
    held = handles(page)
    assert sum(shares) == pytest.approx(1, rel=1e-12)
    assert held["p.x"] == pytest.approx(shares[1] + shares[2] / 2, abs=1e-6)
    assert held["p.y"] == pytest.approx(shares[2] * 3**0.5 / 2, abs=1e-6)
    x, y = centre(page, '[data-handle="label"]')
    corner = centre(page, ".lv-corner >> nth=0")
    drag(page, "label", corner[0] - x, corner[1] - y)
    assert check_numbers(page, "classes", FOCAL)["handles"]["label"] == 1 != start["label"]
    for name, key, value in (("z2", "Home", -8), ("z3", "End", 8), ("label", "ArrowRight", 2), ("label", "End", 3)):
        page.locator(f'[data-handle="{name}"]').focus()
        page.keyboard.press(key)
        assert handles(page)[name] == value
        settle(page)
        check_numbers(page, "classes", FOCAL)


KEYS = [("ArrowRight", 0.1), ("ArrowLeft", -0.1), ("ArrowUp", 0.1), ("Shift+ArrowRight", 1.0), ("PageDown", -1.0)]


def test_every_slider_obeys_the_keyboard(open_page: Open):
    page = open_page(REGRESSION)
    ready(page)
    for name in ("pred", "target"):
        slider = page.locator(f'[data-handle="{name}"]')
        for attribute in ("aria-label", "aria-valuemin", "aria-valuemax", "aria-valuenow"):
            assert slider.get_attribute(attribute)
        slider.focus()
        for key, step in KEYS:
            before = handles(page)[name]
            page.keyboard.press(key)
            assert handles(page)[name] == pytest.approx(max(-5, min(5, before + step)), abs=1e-9), key
        for key, end in (("Home", -5), ("End", 5)):
            page.keyboard.press(key)
            assert handles(page)[name] == end
        settle(page)
        check_numbers(page, "regression", PARAMS)
    # A plane is a group of two sliders: left and right move the one, up and down the other.
    group = page.locator('[data-handle="point"]')
    assert group.get_attribute("role") == "group" and group.locator("[role=slider]").count() == 2
    group.locator("[role=slider]").first.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert (handles(page)["pred"], handles(page)["target"]) == (pytest.approx(4.9), pytest.approx(4.9))
    settle(page)
    check_numbers(page, "regression", PARAMS)


def test_a_parameter_is_live_while_its_slider_moves(open_page: Open):
    page = open_page("/explore?loss=huber")
    ready(page)
    box = page.locator(".lv-detail input[type=range]").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, y, steps=5)
    settle(page)
    # Not let go yet.
    delta = float(page.locator(".lv-detail input[type=number]").first.input_value())
    assert delta != 1
    check_numbers(page, "regression", {"huber": {"delta": delta}})
    page.mouse.up()
    page.wait_for_function("d => Number(new URLSearchParams(location.search).get('huber.delta')) === d", arg=delta)
    settle(page)
    check_numbers(page, "regression", {"huber": {"delta": delta}})

    exact = page.locator(".lv-detail input[type=number]")
    exact.fill("1000")
    exact.press("Enter")
    page.wait_for_function("document.querySelector('.lv-status').textContent")
    assert page.inner_text(".lv-status") == "huber.delta is 1000; allowed: 0.01 to 100."
    settle(page)
    check_numbers(page, "regression", {"huber": {"delta": delta}})
    exact.fill("0.5")
    exact.press("Enter")
    page.wait_for_function("new URLSearchParams(location.search).get('huber.delta') === '0.5'")
    settle(page)
    check_numbers(page, "regression", {"huber": {"delta": 0.5}})


def test_numbers_show_four_digits_and_the_formula_its_lines(open_page: Open):
    page = open_page("/explore?loss=huber,mse&pred=3.217&target=1&huber.delta=0.5")
    ready(page)
    for output in page.locator("output[data-loss]:not([data-line])").all():
        text, exact = output.inner_text(), float(output.get_attribute("data-value") or "nan")
        assert re.fullmatch(r"−?\d[\d.]*(e[+-]\d+)?", text)
        assert float(text.replace("−", "-")) == pytest.approx(exact, rel=5e-4)
    page.wait_for_selector("output[data-line]", state="attached")
    lines = [float(o.get_attribute("data-value") or "nan") for o in page.locator("output[data-line]").all()]
    assert lines == pytest.approx([2.217, 2.217**2 / 2, 0.5 * (2.217 - 0.25), 0.5 * (2.217 - 0.25)])


def test_the_surface_is_drawn_in_3d_behind_its_tab(open_page: Open):
    page = open_page("/explore?loss=mse&tab=surface")
    page.wait_for_function("document.querySelector('.lv-solid')?.dataset.seq")
    assert page.locator(".lv-solid canvas").count() >= 1
    page.locator("[data-tab=contour]").click()
    page.wait_for_function("document.querySelector('.lv-solid').hidden")
    page.wait_for_function("!new URLSearchParams(location.search).has('tab')")
    drag(page, "point", 30, 30)
    check_numbers(page, "regression")


@pytest.mark.parametrize("path", ["/explore", "/explore?scene=classes"])
def test_a_narrow_screen_has_no_horizontal_scroll_bar(visit: Any, site: Any, path: str):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + path)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    name = "z1" if "classes" in path else "pred"
    box = page.locator(f'[data-handle="{name}"]').bounding_box()
    assert box and box["width"] >= 44 and box["height"] >= 44
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390 + 22
    drag(page, name, 40)
    check_numbers(page, "classes" if "classes" in path else "regression")


def test_the_dark_theme_is_drawn_dark(visit: Any, site: Any):
    page = visit(color_scheme="dark").page(site.url + "/explore")
    ready(page)
    assert page.evaluate("document.querySelector('.lv-root').classList.contains('lv-dark')")
    text, ground = page.evaluate(
        """() => {
          const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).reduce((sum, v) => sum + Number(v), 0) / 765;
          const style = (selector) => getComputedStyle(document.querySelector(selector));
          return [light(style(".lv-plot .xtitle").fill), light(style(".stApp").backgroundColor)];
        }"""
    )
    assert text > 0.5 > 0.3 > ground
