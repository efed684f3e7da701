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
    count = sum(name.endswith(".x") for name in held)
    xs, ys = (torch.tensor([held[f"p{i}.{c}"] for i in range(count)], dtype=torch.float64) for c in "xy")
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


def count(page: Page) -> int:
    """How many points there are, after the page's word for it."""
    points = page.locator(".lv-line-point").count()
    assert page.locator(".lv-line-count").inner_text().startswith(f"{points} points")
    # Nothing is left of a point that has gone.
    assert page.locator(".lv-line-pulls .lv-lines g[clip-path] > g").first.locator("rect").count() == points
    return points


def place_of(page: Page, x: float, y: float) -> tuple[float, float]:
    """Pixels of the window where a point of the main picture lies."""
    left, top = page.evaluate(
        """([x, y]) => {
          const plot = document.querySelector('.lv-line-main .lv-plot');
          const { xaxis, yaxis } = plot._fullLayout;
          const box = plot.getBoundingClientRect();
          return [box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y)];
        }""",
        [x, y],
    )
    return left, top


def test_a_double_press_makes_a_point_that_is_dragged_at_once(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    before = check(page)
    place = place_of(page, -1.2, 6.0)
    page.mouse.move(*place)
    page.mouse.down()
    page.mouse.up()
    page.mouse.down()
    assert centre(page, '[data-handle="p9"]') == (pytest.approx(place[0], abs=1), pytest.approx(place[1], abs=1))
    page.mouse.move(place[0] + 40, place[1] + 30)
    page.mouse.up()
    settle(page)
    now = check(page)
    assert {name: now[name] for name in before} == before and len(now) == len(before) + 2 and count(page) == 10
    assert centre(page, '[data-handle="p9"]') == (
        pytest.approx(place[0] + 40, abs=1),
        pytest.approx(place[1] + 30, abs=1),
    )
    # All of it is one step for the Back button, and the address has it.
    wait_for_query(page, ys=",".join(f"{now[f'p{i}.y']:.12g}" for i in range(10)))
    address = page.url
    page.go_back()
    page.wait_for_function("document.querySelectorAll('.lv-line-point').length === 9")
    settle(page)
    assert check(page) == before
    page.goto(address)
    ready(page)
    assert check(page) == now
    # A press on a point is none on the plot.
    page.locator('[data-handle="p4"]').dblclick()
    settle(page)
    assert count(page) == 10


def test_keys_alone_add_move_and_remove_points(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    page.locator("[data-act=add]").focus()
    page.keyboard.press("Enter")
    settle(page)
    held = check(page)
    # On the line held, in the widest gap.
    assert held["p9.y"] == pytest.approx(held["slope"] * held["p9.x"] + held["intercept"], abs=1e-3)
    assert 1.0 < held["p9.x"] < 1.6 and count(page) == 10
    page.keyboard.press("ArrowUp")
    settle(page)
    assert check(page)["p9.y"] == pytest.approx(held["p9.y"] + 0.1)
    page.keyboard.press("Delete")
    settle(page)
    assert check(page) == {name: value for name, value in held.items() if not name.startswith("p9.")}
    # The neighbour is held now: a second press takes that one.
    page.locator('[data-handle="p2"] [role=slider]').first.focus()
    page.keyboard.press("Backspace")
    settle(page)
    after = check(page)
    assert [after[f"p{i}.x"] for i in range(8)] == [held[f"p{i}.x"] for i in (0, 1, 3, 4, 5, 6, 7, 8)]
    assert page.evaluate("document.activeElement.closest('[data-handle=p2]') !== null")
    page.get_by_role("button", name="Reset").click()
    settle(page)
    assert count(page) == 9
    assert handles(page) == {name: value for name, value in held.items() if not name.startswith("p9.")}


def test_an_outlier_is_far_from_the_best_line(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    best = {
        name: float(page.locator(f"output[name='fit.{name}'][data-loss=mse]").get_attribute("data-value") or "nan")
        for name in ("slope", "intercept")
    }
    page.click("[data-act=outlier]")
    settle(page)
    held = check(page)
    away = [abs(held[f"p{i}.y"] - best["slope"] * held[f"p{i}.x"] - best["intercept"]) for i in range(10)]
    assert max(away[:9]) < away[9] and away[9] > 5


def test_there_is_a_word_at_either_end_of_how_many_points_there_may_be(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    for _ in range(15):
        page.click("[data-act=add]")
    settle(page)
    held = check(page)
    assert count(page) == 24 and "no room for more" in page.locator(".lv-line-note").inner_text()
    assert page.locator("[data-act=add]").get_attribute("aria-disabled") == "true"
    page.mouse.dblclick(*place_of(page, -1.2, 6.0))
    settle(page)
    assert check(page) == held
    page.locator('[data-handle="p0"] [role=slider]').first.focus()
    for _ in range(30):
        page.keyboard.press("Delete")
    settle(page)
    check(page)
    assert count(page) == 2 and "fewest" in page.locator(".lv-line-note").inner_text()
    page.click("[data-act=add]")
    settle(page)
    assert count(page) == 3 and not page.locator(".lv-line-note").is_visible()
    page.keyboard.press("Delete")
    assert page.locator("[data-act=remove]").get_attribute("aria-disabled") == "true"


def test_a_finger_that_rests_makes_a_point_and_a_button_takes_it_away(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    x, y = place_of(page, -1.2, 6.0)
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *at: tuple[float, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in at]})

    touch("touchStart", (x, y))
    page.wait_for_selector("[data-handle=p9].lv-held")
    for k in range(1, 9):
        touch("touchMove", (x + 5 * k, y + 5 * k))
    touch("touchEnd")
    settle(page)
    check(page)
    assert count(page) == 10
    assert centre(page, '[data-handle="p9"]') == (pytest.approx(x + 40, abs=2), pytest.approx(y + 40, abs=2))
    wait_for_query(page, ys=",".join(f"{handles(page)[f'p{i}.y']:.12g}" for i in range(10)))
    assert page.locator("[data-act=remove]").inner_text() == "Remove point 10"
    box = page.locator("[data-act=remove]").bounding_box()
    assert box and box["height"] >= 40
    page.locator('[data-handle="p3"]').tap()
    assert page.locator("[data-act=remove]").inner_text() == "Remove point 4"
    page.locator("[data-act=remove]").tap()
    settle(page)
    check(page)
    assert count(page) == 9


def test_nothing_sticks_out_on_a_phone(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    drag(page, "p7", -20, -60)
    check(page)
