"""The regression line in a real browser: points, slope and intercept are dragged, and every number is torch's."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from lossviz import value_and_grad
from lossviz.losses import get
from lossviz.scenes.fitting import fit
from tests.browser.stage import READ, centre, drag, handles, query, ready, settle, wait_for_query

ADDRESS = "/explore?scene=line&loss=mse,huber,mae,rmse&huber.delta=0.5"
PARAMS: dict[str, dict[str, Any]] = {"huber": {"delta": 0.5}}
Open = Callable[[str], Page]


def check(page: Page) -> dict[str, float]:
    """Compare every number shown with torch at the handles shown; returns the handles."""
    read = page.evaluate(READ)
    held: dict[str, float] = read["handles"]
    xs, ys = (torch.tensor([held[f"p{i}.{c}"] for i in range(9)], dtype=torch.float64) for c in "xy")
    shown: dict[str, dict[str, float]] = {}
    for output in read["outputs"]:
        shown.setdefault(output["loss"], {})[output["name"]] = float(output["value"])
    assert set(shown) == {"mse", "huber", "mae", "rmse"}
    for key, numbers in shown.items():
        params = get(key).resolve(PARAMS.get(key))
        named = {"pred": held["slope"] * xs + held["intercept"], "target": ys}
        value, grads = value_and_grad(key, named, params)
        best = fit(get(key), xs, ys, params)
        design = torch.stack([xs, torch.ones_like(xs)], -1)
        if key in ("mse", "rmse"):
            closed = torch.linalg.lstsq(design, ys[:, None]).solution.flatten().tolist()
            assert [numbers["fit.slope"], numbers["fit.intercept"]] == pytest.approx(closed, abs=1e-5)
        line = {"pred": design @ torch.tensor([best.slope, best.intercept], dtype=torch.float64), "target": ys}
        assert numbers["fit.loss"] == pytest.approx(value_and_grad(key, line, params)[0].item(), rel=1e-9, abs=1e-12)
        slopes = {"gradient.slope": (grads["pred"] * xs).sum(), "gradient.intercept": grads["pred"].sum()}
        expected = {"loss": value.item(), **{name: slope.item() for name, slope in slopes.items()}}
        expected |= {"fit.loss": best.loss, "fit.slope": best.slope, "fit.intercept": best.intercept}
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-11), key
    assert (held["line.slope"], held["line.intercept"]) == (held["slope"], held["intercept"])
    return held


def test_each_handle_moves_what_it_names_and_the_best_lines_follow(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    moves = [
        ("p7", 20, -150, {"p7.x", "p7.y"}),
        ("p0", 30, 40, {"p0.x", "p0.y"}),
        ("slope", 0, -70, {"slope", "line.slope"}),
        ("intercept", 0, 60, {"intercept", "line.intercept"}),
        ("line", 40, -50, {"slope", "line.slope", "intercept", "line.intercept"}),
    ]
    for handle, dx, dy, moved in moves:
        before = check(page)
        drag(page, handle, dx, dy)
        after = check(page)
        assert {name for name in before if after[name] != before[name]} == moved
    held = handles(page)
    wait_for_query(page, slope=f"{held['slope']:.12g}", intercept=f"{held['intercept']:.12g}")
    assert json.loads(f"[{query(page)['ys']}]") == [held[f"p{i}.y"] for i in range(9)]
    page.reload()
    ready(page)
    assert check(page) == held


def test_a_disc_lies_under_the_finger_and_the_slope_turns_towards_it(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    for handle, dx, dy in (("p4", 60, -80), ("intercept", 0, 50), ("line", 20, 30)):
        x, y = centre(page, f'[data-handle="{handle}"]')
        drag(page, handle, dx, dy)
        after = centre(page, f'[data-handle="{handle}"]')
        assert after == (pytest.approx(x + dx, abs=1.5), pytest.approx(y + dy, abs=1.5))
    # Far above the picture the line is as steep as it may be, and its disc still inside.
    drag(page, "slope", -60, -900)
    assert handles(page)["slope"] == 3
    frame = page.locator(".lv-line-main .lv-frame").bounding_box()
    x, y = centre(page, '[data-handle="slope"]')
    assert frame and frame["x"] < x < frame["x"] + frame["width"] and frame["y"] < y < frame["y"] + frame["height"]
    check(page)


def test_keys_move_points_and_steps_go_down_to_the_best_line(open_page: Open):
    page = open_page(f"{ADDRESS}&rate=0.3")
    ready(page)
    page.locator('[data-handle="p2"] [role=slider]').first.focus()
    before = handles(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    after = handles(page)
    assert after["p2.x"] == pytest.approx(before["p2.x"] + 0.1) and after["p2.y"] == pytest.approx(before["p2.y"] + 1)
    settle(page)
    check(page)
    page.click("[data-step]")
    page.wait_for_function("n => Number(document.querySelector('[data-handle=slope]').ariaValueNow) !== n", arg=-0.6)
    settle(page)
    check(page)
    page.click("[data-play]")
    best = page.locator("output[name='fit.loss'][data-loss=mse]").first.get_attribute("data-value")
    page.wait_for_function(
        "best => Number(document.querySelector('output[name=loss][data-loss=mse]').dataset.value) < best + 1e-3",
        arg=float(best or "nan"),
    )
    page.click("[data-play]")
    settle(page)
    check(page)


def test_nothing_sticks_out_on_a_phone(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    drag(page, "p7", -20, -60)
    check(page)
