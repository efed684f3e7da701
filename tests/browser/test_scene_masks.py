"""Masks painted in a real browser: strokes, keys, presets; every number shown is torch's."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from lossviz import get, value_and_grad
from lossviz.scenes import get_scene
from lossviz.scenes.masks import CELLS, PRESETS, SIDE
from tests.browser.stage import centre, settle

Open = Callable[[str], Page]
KEYS = ("dice", "bce", "sigmoid_focal", "lovasz_hinge", "lovasz_softmax", "tversky")
PATH = f"/explore?scene=masks&loss={','.join(KEYS)}&tversky.alpha=0.6"
PARAMS: dict[str, dict[str, Any]] = {"tversky": {"alpha": 0.6}}

SHOWN = """() => ({
  numbers: [...document.querySelectorAll("output[data-loss]:not([data-line])")].map((e) => [e.dataset.loss, e.name, Number(e.dataset.value)]),
  sums: Object.fromEntries([...document.querySelectorAll(".lv-masks-sum output")].map((e) => [e.name, Number(e.dataset.value)])),
  cells: Object.fromEntries(["pred", "target"].map((name) => [name, [...document.querySelectorAll(`.lv-masks-${name} .lv-masks-cell`)].map((e) => e.value)])),
  heat: [...document.querySelectorAll(".lv-masks-heat .lv-masks-cell")].map((e) => [e.dataset.sign, parseFloat(e.style.getPropertyValue("--share"))]),
  focus: document.querySelector("li:has([aria-pressed=true])").dataset.loss,
  cursor: Number(document.querySelector(".lv-masks-pred .lv-masks-cursor").dataset.cell),
  stale: document.querySelector(".lv-masks-heat .lv-masks-grid").dataset.seq !== document.querySelector("output[data-loss]").dataset.seq,
})"""  # noqa: E501


def ready(page: Page) -> None:
    page.wait_for_selector(".lv-masks-cell", state="attached")
    settle(page)


def check(page: Page, params: dict[str, dict[str, Any]] = PARAMS) -> dict[str, Any]:
    """Every number on screen against torch at the cells on screen; returns what is on screen."""
    shown = page.evaluate(SHOWN)
    values = get_scene("masks").parse_handles({**shown["cells"], "cursor": shown["cursor"]})
    by_loss: dict[str, dict[str, float]] = {}
    for loss, name, number in shown["numbers"]:
        by_loss.setdefault(loss, {})[name] = number
    slopes: dict[str, list[float]] = {}
    for key, numbers in by_loss.items():
        value, gradients = value_and_grad(key, get_scene("masks").inputs(values, get(key)), params.get(key))
        slope = gradients["pred"]
        slopes[key] = (slope[0, 1] - slope[0, 0] if key == "lovasz_softmax" else slope).flatten().tolist()
        expected = {"loss": value.item(), "gradient": slopes[key][shown["cursor"]]}
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-12), key
    pairs = list(zip(values["pred"], values["target"], strict=True))
    sums = {
        "intersection": sum(p * t for p, t in pairs),
        "area": sum(values["pred"]),
        "area.target": sum(values["target"]),
    }
    assert shown["sums"] == pytest.approx(sums, rel=1e-9, abs=1e-12)
    assert not shown["stale"]
    slope = slopes[shown["focus"]]
    most = max(map(abs, slope))
    for (sign, share), pull in zip(shown["heat"], slope, strict=True):
        assert sign == ("less" if pull < 0 else "more")
        assert share == pytest.approx(100 * abs(pull) / most if most else 0, abs=0.6)
    return shown


def cell(name: str, row: int, column: int) -> str:
    return f'[data-handle="{name}.{row * SIDE + column}"]:not([role=slider])'


def stroke(page: Page, name: str, start: tuple[int, int], end: tuple[int, int], steps: int = 2) -> None:
    page.mouse.move(*centre(page, cell(name, *start)))
    page.mouse.down()
    page.mouse.move(*centre(page, cell(name, *end)), steps=steps)
    page.mouse.up()
    settle(page)


def test_strokes_paint_without_gaps_and_clear_what_is_there(open_page: Open):
    page = open_page(f"{PATH}&brush=0.35")
    ready(page)
    before = check(page)["cells"]
    stroke(page, "pred", (7, 1), (7, 6))
    after = check(page)
    painted = [i for i in range(CELLS) if after["cells"]["pred"][i] != before["pred"][i]]
    assert painted == [7 * SIDE + column for column in range(1, 7)]
    assert {after["cells"]["pred"][i] for i in painted} == {0.35}
    assert after["cursor"] == 7 * SIDE + 6 and after["cells"]["target"] == before["target"]
    stroke(page, "pred", (7, 3), (7, 4))
    assert check(page)["cells"]["pred"][7 * SIDE + 3 : 7 * SIDE + 5] == [0, 0]
    stroke(page, "target", (0, 0), (3, 0))
    assert check(page)["cells"]["target"][::SIDE][:4] == [1, 1, 1, 1]
    check(page)


def test_the_pixel_under_the_cursor_slides_and_the_map_follows_the_focus(open_page: Open):
    page = open_page(PATH)
    ready(page)
    before = check(page)
    x, y = centre(page, ".lv-masks-profile [role=slider]")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y, steps=6)
    page.mouse.up()
    settle(page)
    after = check(page)
    changed = [i for i in range(CELLS) if after["cells"]["pred"][i] != before["cells"]["pred"][i]]
    assert changed == [before["cursor"]]
    for name, words in (("Lovász hinge", "kept between 0.001 and 0.999"), ("Lovász-softmax", "two classes")):
        page.locator(".lv-name", has_text=name).click()
        settle(page)
        assert words in page.inner_text(".lv-masks-heat .lv-masks-note")
        check(page)
    page.locator(".lv-masks-heat .lv-masks-cell >> nth=9").click()
    settle(page)
    assert check(page)["cursor"] == 9


def test_presets_are_the_empty_cases(open_page: Open):
    page = open_page(PATH)
    ready(page)
    for name in reversed(PRESETS):
        page.locator(f'[data-preset="{name}"]').click()
        settle(page)
        cells = check(page)["cells"]
        assert (tuple(cells["pred"]), tuple(cells["target"])) == PRESETS[name]


def test_the_cursor_obeys_keys_and_the_address_brings_it_all_back(open_page: Open):
    page = open_page(PATH)
    ready(page)
    start = check(page)
    grid = page.locator(".lv-masks-pred [role=grid]")
    assert grid.locator("[role=row]").count() == SIDE and grid.locator("[role=gridcell]").count() == CELLS
    assert grid.locator("[tabindex='0']").count() == 1
    page.locator(".lv-masks-pred .lv-masks-cursor").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "Space"):
        page.keyboard.press(key)
    page.wait_for_function(
        "c => new URLSearchParams(location.search).get('cursor') === c", arg=str(start["cursor"] + 1)
    )
    settle(page)
    after = check(page)
    assert after["cursor"] == start["cursor"] + 1
    assert page.evaluate("Number(document.activeElement.dataset.cell)") == after["cursor"]
    assert after["cells"]["pred"][after["cursor"]] == 1
    label = page.locator(".lv-masks-pred .lv-masks-cursor").get_attribute("aria-label")
    assert label == "row 3, column 6: 1"
    page.keyboard.press("Home")
    page.wait_for_function("new URLSearchParams(location.search).get('cursor') === '16'")
    page.locator("[data-step]").click()
    page.wait_for_function("(new URLSearchParams(location.search).get('pred') || '').length > 300")
    settle(page)
    held = check(page)
    page.reload()
    ready(page)
    again = check(page)
    assert again["cells"]["pred"] == pytest.approx(held["cells"]["pred"], abs=1e-11)
    assert again["cursor"] == held["cursor"] == 16


def test_a_finger_paints_on_a_narrow_screen(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + "/explore?scene=masks")
    ready(page)
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    page.touchscreen.tap(*centre(page, cell("pred", 0, 0)))
    settle(page)
    assert check(page, {})["cells"]["pred"][0] == 1
