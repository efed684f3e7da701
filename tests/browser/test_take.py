"""What one takes along from the explorer: files that stand alone, and a picture for the lecture hall."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from lossviz import get, value_and_grad
from lossviz.scenes import get_scene
from tests.browser.stage import query, ready, settle

Open = Callable[[str], Page]
ADDRESS = "/explore?scene=regression&loss=huber,mse&pred=1.5"


def taken(page: Page, kind: str, folder: Path) -> bytes:
    if not page.locator(".lv-take").get_attribute("open"):
        page.evaluate("document.querySelector('.lv-take').open = true")
    with page.expect_download() as download:
        page.click(f"[data-take='{kind}']")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path.read_bytes()


def test_files_stand_alone(open_page: Open, tmp_path: Path):
    page = open_page(ADDRESS)
    ready(page)
    png = taken(page, "png", tmp_path)
    assert png.startswith(b"\x89PNG") and len(png) > 20_000
    svg = taken(page, "svg", tmp_path).decode()
    assert svg.startswith("<svg") and "Derivative over the prediction" in svg
    html = taken(page, "html", tmp_path).decode()
    assert "Huber loss" in html and "<script" not in html
    for text in (svg, html):
        assert "url(http" not in text and 'src="http' not in text
    alone = page.context.new_page()
    alone.set_content(html)
    assert alone.get_by_text("Mean squared error").count()
    rows = list(csv.reader(io.StringIO(taken(page, "csv", tmp_path).decode())))
    assert rows[0][:2] == ["Prediction", "Huber loss"] and len(rows) == 22
    scene = get_scene("regression")
    value, _ = value_and_grad("mse", scene.inputs({"pred": float(rows[1][0]), "target": 0.5}, get("mse")))
    assert float(rows[1][3]) == pytest.approx(value.item(), rel=1e-6)


def test_a_presentation_shows_the_picture_alone_and_ends(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    small = page.locator("output[name=loss]").first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    page.evaluate("document.querySelector('.lv-take').open = true")
    page.click("[data-present]")
    page.wait_for_selector(".lv-present .lv-leave")
    settle(page)
    assert query(page)["present"] == "1" and query(page)["pred"] == "1.5"
    assert not page.locator("[data-testid=stSidebar]").is_visible()
    assert page.locator("pre code").count() == 0
    large = page.locator("output[name=loss]").first.evaluate("e => parseFloat(getComputedStyle(e).fontSize)")
    assert large > 1.7 * small
    page.click(".lv-leave")
    page.wait_for_function("!new URLSearchParams(location.search).has('present')")
    page.wait_for_selector("[data-testid=stSidebar]", state="visible")


@pytest.mark.parametrize("scene", ["regression", "classes"])
def test_a_step_descends_and_play_arrives(open_page: Open, scene: str):
    page = open_page(f"/explore?scene={scene}")
    ready(page)
    before = float(page.locator("output[name=loss]").first.get_attribute("data-value") or "nan")
    page.click("[data-step]")
    page.wait_for_function(
        "before => Number(document.querySelector('output[name=loss]').dataset.value) < before", arg=before
    )
    after = float(page.locator("output[name=loss]").first.get_attribute("data-value") or "nan")
    page.click("[data-play]")
    page.wait_for_function(
        "after => Number(document.querySelector('output[name=loss]').dataset.value) < 0.9 * after", arg=after
    )
    page.click("[data-play]")
    settle(page)
    assert set(query(page)) & ({"pred"} if scene == "regression" else {"z1", "z2", "z3"})
