"""Two boxes in a real browser: every grip moves what it names, and every number is torch's."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from lossviz import get, value_and_grad
from lossviz.scenes import get_scene
from lossviz.scenes.boxes import EDGES, SMALLEST, encode
from tests.browser.stage import centre, drag, handles, ready, settle

Open = Callable[[str], Page]
KEYS = ("giou", "iou", "diou", "ciou", "box_smooth_l1")
PATH = f"/explore?scene=boxes&loss={','.join(KEYS)}&giou.eps=0.001"
PARAMS: dict[str, dict[str, Any]] = {"giou": {"eps": 0.001}}
CORNERS = ("x1y1", "x2y2", "x2y1", "x1y2")
NAMES = [f"{box}.{edge}" for box in ("pred", "target") for edge in EDGES]

SHOWN = """() => [...document.querySelectorAll("output[data-loss]:not([data-line])")]
  .map((e) => [e.dataset.loss, e.name, Number(e.dataset.value)])"""


def check(page: Page, offsets: str = "anchor", params: dict[str, Any] = PARAMS) -> dict[str, float]:
    """Every number on screen against torch at the edges on screen; returns these."""
    held = {name: value for name, value in handles(page).items() if name in NAMES}
    values = get_scene("boxes").parse_handles({**held, "offsets": offsets})
    shown: dict[str, dict[str, float]] = {}
    for loss, name, number in page.evaluate(SHOWN):
        shown.setdefault(loss, {})[name] = number
    assert shown
    for key, numbers in shown.items():
        loss = get(key)
        value, slopes = value_and_grad(loss, get_scene("boxes").inputs(values, loss), params.get(key))
        slope = slopes["pred"]
        if key == "box_smooth_l1":
            pred = torch.tensor([[held[f"pred.{e}"] for e in EDGES]], dtype=torch.float64, requires_grad=True)
            slope = torch.autograd.grad(encode(pred, offsets), pred, slope)[0]
        expected = {"loss": value.item(), **dict(zip([f"gradient.{e}" for e in EDGES], slope[0].tolist(), strict=True))}
        overlap = numbers.pop("iou")
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-12), (key, held)
        assert overlap == shown["iou"].get("iou", overlap)
    return held


def test_body_centre_and_corners_move_what_they_name(open_page: Open):
    page = open_page(PATH)
    ready(page)
    before = check(page)
    for box, (dx, dy) in (("pred", (-16, 10)), ("target", (14, -12))):
        for grip, moved in (
            *((f"{box}.{corner}", {f"{box}.{corner[:2]}", f"{box}.{corner[2:]}"}) for corner in CORNERS),
            (f"{box}.centre", {f"{box}.{edge}" for edge in EDGES}),
        ):
            drag(page, grip, dx, dy, moves=6)
            after = check(page)
            assert {name for name in NAMES if abs(after[name] - before[name]) > 1e-9} == moved, grip
            if grip.endswith("centre"):
                for axis in "xy":
                    assert after[f"{box}.{axis}2"] - after[f"{box}.{axis}1"] == pytest.approx(
                        before[f"{box}.{axis}2"] - before[f"{box}.{axis}1"]
                    )
            before = after
    x, y = centre(page, ".lv-boxes-part.lv-boxes-pred")
    page.mouse.move(x + 30, y + 22)
    page.mouse.down()
    page.mouse.move(x + 90, y - 10, steps=6)
    page.mouse.up()
    settle(page)
    after = check(page)
    assert {name for name in NAMES if abs(after[name] - before[name]) > 1e-9} == {f"pred.{edge}" for edge in EDGES}
    drag(page, "pred.place", 25, 15)
    assert check(page) != after


def test_handles_lie_on_the_corners_and_no_box_turns_inside_out(open_page: Open):
    page = open_page(PATH)
    ready(page)
    body = page.locator(".lv-boxes-part.lv-boxes-pred").bounding_box()
    assert body
    x, y = centre(page, '[data-handle="pred.x2y2"]')
    assert (x, y) == (
        pytest.approx(body["x"] + body["width"], abs=1.5),
        pytest.approx(body["y"] + body["height"], abs=1.5),
    )
    drag(page, "pred.x1y1", 2000, 2000)
    held = check(page)
    assert held["pred.x2"] - held["pred.x1"] == pytest.approx(SMALLEST)
    assert held["pred.y2"] - held["pred.y1"] == pytest.approx(SMALLEST)
    drag(page, "target.centre", -3000, -3000)
    held = check(page)
    assert (held["target.x1"], held["target.y1"]) == (0, 0)


def test_apart_iou_is_silent_and_play_stays_until_another_loss_pulls(open_page: Open):
    page = open_page(f"{PATH}&focus=iou&rate=8")
    ready(page)
    assert page.inner_text(".lv-boxes-notes").startswith("No gradient here: IoU loss")
    assert "relative to a 4 x 4 anchor" in page.inner_text(".lv-boxes-notes")
    before = check(page)
    page.locator("[data-step]").click()
    settle(page)
    assert check(page) == before
    page.locator(".lv-name", has_text="Generalised").click()
    page.locator("[data-play]").click()
    page.wait_for_function("document.querySelector('output[name=iou]').dataset.value > 0.05")
    page.locator("[data-play]").click()
    settle(page)
    after = check(page)
    assert after != before and all(after[name] == before[name] for name in NAMES if name.startswith("target"))
    assert "No gradient" not in page.inner_text(".lv-boxes-notes")
    page.locator("select[aria-label=offsets]").select_option("corners")
    settle(page)
    check(page, "corners")
    assert "corners as they are" in page.inner_text(".lv-boxes-notes")


def test_keys_move_edges_and_the_address_brings_them_back(open_page: Open):
    page = open_page(PATH)
    ready(page)
    start = check(page)
    for name, key, change in (
        ("pred.x1", "ArrowRight", 0.1),
        ("pred.y2", "ArrowUp", -0.1),
        ("target.y1", "ArrowDown", 0.1),
    ):
        page.locator(f'[data-handle="{name}"]').focus()
        page.keyboard.press(key)
        assert handles(page)[name] == pytest.approx(start[name] + change)
    settle(page)
    page.wait_for_function("new URLSearchParams(location.search).has('target.y1')")
    held = check(page)
    page.reload()
    ready(page)
    assert check(page) == pytest.approx(held)


def test_a_box_the_wrong_way_round_says_so(open_page: Open):
    page = open_page("/explore?scene=boxes&pred.x1=7&pred.x2=3")
    page.wait_for_selector("[data-note=giou]:not(:empty)")
    assert "x1 = 7 and x2 = 3; allowed: x1 at most x2." in page.inner_text("[data-note=giou]")


def test_a_narrow_screen_holds_both_boxes(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + "/explore?scene=boxes")
    ready(page)
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    for grip in ("pred.centre", "target.x2y2"):
        box = page.locator(f'[data-handle="{grip}"]').bounding_box()
        assert box and box["width"] >= 44 and box["x"] >= 0 and box["x"] + box["width"] <= 390 + 22
    drag(page, "pred.centre", 40, -20)
    check(page, params={})
