"""Embeddings in the browser: points and centres obey mouse and keyboard, and every number shown is torch's."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from playwright.sync_api import Page

from lossviz.losses import get
from lossviz.scenes.embeddings import EMBEDDINGS, LABELS, POINTS
from tests.browser.stage import READ, drag, handles, query, ready, settle, wait_for_query
from tests.scenes.test_embeddings import by_hand, nodes_of

Open = Callable[[str], Page]
WARM = {"supcon": {"temperature": 0.5}}
START = "/explore?scene=embeddings&loss=triplet_margin,center,supcon&miner=semi-hard&supcon.temperature=0.5"


def check(page: Page, params: Mapping[str, Mapping[str, Any]] | None = None, **options: Any) -> dict[str, Any]:
    """Compare every number shown with torch at the points shown; returns the handles."""
    read = page.evaluate(READ)
    shown = handles(page)
    series = {name: [shown[f"{name}.{i}"] for i in range(count)] for name, count in (("points", 16), ("centres", 6))}
    held = EMBEDDINGS.parse_handles({**series, **options})
    nodes = nodes_of(held)
    labels = LABELS[held["classes"]]
    pairs = [(i, j) for i in range(POINTS) for j in range(i + 1, POINTS)]
    same = [math.dist(nodes[i], nodes[j]) for i, j in pairs if labels[i] == labels[j]]
    apart = [math.dist(nodes[i], nodes[j]) for i, j in pairs if labels[i] != labels[j]]
    mean = [sum(node[k] for node in nodes[:POINTS]) / POINTS for k in (0, 1)]
    spread = math.sqrt(sum(math.dist(node, mean) ** 2 for node in nodes[:POINTS]) / POINTS)
    shape = {"within": sum(same) / len(same), "between": sum(apart) / len(apart), "spread": spread}
    seen: set[str] = set()
    for output in read["outputs"]:
        loss, name = get(output["loss"]), output["name"]
        value, slopes = by_hand(loss, held, loss.resolve((params or {}).get(loss.key)))
        expected = {"loss": value.item(), "gradient": slopes.norm().item(), **shape}[name]
        assert float(output["value"]) == pytest.approx(expected, rel=1e-9, abs=1e-9), (loss.key, name)
        seen.add(name)
    assert seen == {"loss", "gradient", *shape}
    return held


def test_every_point_and_centre_is_dragged_and_every_number_is_torchs(open_page: Open):
    page = open_page(START)
    ready(page)
    held = check(page, WARM, miner="semi-hard")
    for series, i, dx, dy in (("points", 0, 70, 40), ("points", 7, -50, 60), ("centres", 1, 90, -30)):
        drag(page, f"{series}.at.{i}", dx, dy)
        now = check(page, WARM, miner="semi-hard")
        moved = [k for k, (was, value) in enumerate(zip(held[series], now[series], strict=True)) if was != value]
        assert moved == [2 * i, 2 * i + 1]
        held = now
    assert query(page)["mover"] == "8"
    page.locator('[data-handle="points.at.3"] [role=slider]').first.focus()
    for key, axis, step in (("ArrowRight", 0, 0.1), ("ArrowDown", 1, -0.1), ("Shift+ArrowUp", 1, 1.0)):
        before = handles(page)[f"points.{6 + axis}"]
        page.keyboard.press(key)
        assert handles(page)[f"points.{6 + axis}"] == pytest.approx(max(-2.5, min(2.5, before + step)), abs=1e-9)
    settle(page)
    held = check(page, WARM, miner="semi-hard")
    wait_for_query(page, mover="4")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    ready(page)
    again = check(page, WARM, miner="semi-hard")
    assert (again["points"], again["centres"]) == (held["points"], held["centres"])


def test_on_the_circle_a_dragged_point_stays_on_it(open_page: Open):
    page = open_page("/explore?scene=embeddings&loss=arcface,contrastive&space=circle&classes=two&rate=0.01")
    ready(page)
    check(page, space="circle", classes="two")
    drag(page, "points.at.1", 160, 90)
    held = check(page, space="circle", classes="two")
    assert math.hypot(*held["points"][2:4]) == pytest.approx(1, abs=1e-3)
    assert page.locator('[data-handle="centres.at.2"]').is_hidden()


def test_played_the_classes_part_and_collapse_is_said(open_page: Open):
    page = open_page("/explore?scene=embeddings&loss=supcon,nt_xent")
    ready(page)
    read = "(name) => Number(document.querySelector(`output[name=${name}]`).dataset.value)"
    shape = f"() => ['within', 'between'].map({read})"
    within, between = page.evaluate(shape)
    assert within > between
    page.locator("[data-play]").click()
    page.wait_for_function(f"() => {{ const [within, between] = ({shape})(); return 2 * within < between; }}")
    page.locator("[data-play]").click()
    settle(page)
    check(page)
    note = page.locator(".lv-embeddings-note")
    assert note.is_hidden()
    page.locator("[data-act=collapse]").click()
    settle(page)
    check(page)
    assert note.inner_text() == "Collapsed: all points are in one place. No loss pulls: every gradient is zero."
    page.locator("[data-act=scatter]").click()
    settle(page)
    check(page)
    assert note.is_hidden()


def test_a_phone_has_all_of_it_in_one_column(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + START)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator('[data-handle="points.at.0"]').bounding_box()
    assert box and box["width"] >= 44 and box["x"] >= 0 and box["x"] + box["width"] <= 390
    drag(page, "points.at.0", -30, 20)
    check(page, WARM, miner="semi-hard")
