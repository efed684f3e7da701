"""Sparse penalties and maps in the browser: every handle moves what it names, and every number shown is torch's."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from lossviz.losses import get, proximal, value_and_grad
from lossviz.losses.sparse_maps import entmax15, sparsemax
from tests.browser.stage import READ, drag, handles, query, ready, settle, wait_for_query

Open = Callable[[str], Page]
START = "/explore?scene=sparse&loss=l1_penalty,elastic_net,sparsemax_loss&l1_penalty.lambda_=0.7&correlation=0.5"
PARAMS: Mapping[str, Mapping[str, Any]] = {"l1_penalty": {"lambda_": 0.7}, "elastic_net": {"alpha": 0.8}}


def solved(key: str, held: Mapping[str, float], correlation: float) -> list[float]:
    """The solution by very many plain proximal steps."""
    curvature = torch.tensor([[1.0, correlation], [correlation, 1.0]], dtype=torch.float64)
    optimum = torch.tensor([held["optimum.x"], held["optimum.y"]], dtype=torch.float64)
    params, rate, w = get(key).resolve(PARAMS[key]), 1 / (1 + abs(correlation)), optimum
    for _ in range(400):
        w = proximal.step(key, w - rate * (curvature @ (w - optimum)), rate, params)
    return w.tolist()


def check(page: Page, correlation: float = 0.5) -> dict[str, float]:
    """Compare every number shown with torch at the handles shown; returns the handles."""
    read, held = page.evaluate(READ), handles(page)
    scores = torch.tensor([[held[f"z{k}"] for k in (1, 2, 3)]], dtype=torch.float64)
    w = torch.tensor([held["w.x"], held["w.y"]], dtype=torch.float64)
    maps = {"softmax": torch.softmax(scores, -1)[0], "entmax15": entmax15(scores)[0], "sparsemax": sparsemax(scores)[0]}
    seen: set[str] = set()
    for output in read["outputs"]:
        key, name = output["loss"], output["name"]
        kind, _, k = name.partition(".")
        named = {"w": w} if key in PARAMS else {"pred": scores, "target": torch.tensor([int(held["label"]) - 1])}
        value, grads = value_and_grad(key, named, PARAMS.get(key))
        if kind in maps:
            expected = maps[kind][int(k) - 1].item()
        elif kind == "solution":
            expected = solved(key, held, correlation)[int(k) - 1]
        else:
            expected = value.item() if name == "loss" else next(iter(grads.values())).norm().item()
        assert float(output["value"]) == pytest.approx(expected, rel=1e-9, abs=1e-11), (key, name)
        assert ("exactly" in output["text"]) == (float(output["value"]) == 0 and kind in {*maps, "solution"})
        seen.add(kind)
    assert seen == {"loss", "gradient", "solution", *maps}
    return held


def moved(before: Mapping[str, float], after: Mapping[str, float]) -> set[str]:
    return {name for name in before if after[name] != before[name]}


def test_every_handle_moves_what_it_names_and_every_number_is_torchs(open_page: Open):
    page = open_page(START)
    ready(page)
    held = check(page)
    drags = [("optimum", -60, 50), ("w", -120, 90), ("z1", -60, 0), ("z3", 90, 0), ("label", 0, 45)]
    for name, dx, dy in drags:
        drag(page, name, dx, dy)
        now = check(page)
        assert moved(held, now) == ({f"{name}.x", f"{name}.y"} if name in ("optimum", "w") else {name})
        held = now
    page.locator('[data-handle="optimum"] [role=slider]').first.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    assert moved(held, handles(page)) == {"optimum.x", "optimum.y"}
    page.locator('[data-handle="z2"]').focus()
    page.keyboard.press("End")
    assert handles(page)["z2"] == 4
    settle(page)
    held = check(page)
    wait_for_query(page, z2="4")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    ready(page)
    assert check(page) == held


def test_steps_walk_to_the_solution_and_the_strength_is_the_losses_own(open_page: Open):
    page = open_page("/explore?scene=sparse&loss=l1_penalty&method=proximal&rate=1")
    ready(page)
    # A newcomer's strength is the scene's, and it is not in the address.
    assert page.locator(".lv-detail input[type=number]").first.input_value() == "0.8"
    assert "l1_penalty.lambda_" not in query(page)
    for _ in range(2):
        page.locator("[data-step]").click()
        settle(page)
    page.locator("[data-play]").click()
    page.wait_for_function("document.querySelector('[data-play]').textContent === 'Play'")
    settle(page)
    held = handles(page)
    shown = [page.locator(f"output[name='solution.{k}']").get_attribute("data-value") for k in (1, 2)]
    assert [held["w.x"], held["w.y"]] == pytest.approx([float(value or "nan") for value in shown], abs=1e-9)
    assert held["w.y"] == 0
    exact = page.locator(".lv-detail input[type=number]").first
    exact.fill("3")
    exact.press("Enter")
    wait_for_query(page, **{"l1_penalty.lambda_": "3.0"})
    settle(page)
    assert page.locator(".lv-sparse-solution").inner_text().endswith("w = (0 exactly, 0 exactly)")


def test_a_loss_of_scores_has_its_own_map(open_page: Open):
    page = open_page(START + "&focus=sparsemax_loss&tab=contour")
    ready(page)
    assert page.locator(".lv-sparse-map .xtitle").text_content() == "Score of class 1"
    held = check(page)
    page.locator("[data-step]").click()
    settle(page)
    assert moved(held, check(page)) == {"z1", "z2"}
    page.locator("button.lv-name").first.click()
    settle(page)
    page.wait_for_function("document.querySelector('.lv-sparse-map .xtitle').textContent === 'First weight'")
    check(page)


def test_group_lasso_takes_the_weights_together_or_each_alone(open_page: Open):
    page = open_page("/explore?scene=sparse&loss=group_lasso,l1_penalty&focus=l1_penalty")
    ready(page)

    def solution(key: str) -> list[float]:
        shown = [page.locator(f"[data-solution={key}] output[name='solution.{k}']") for k in (1, 2)]
        return [float(output.get_attribute("data-value") or "nan") for output in shown]

    def pressed() -> list[str]:
        return page.locator(".lv-sparse-groups [aria-pressed=true]").all_inner_texts()

    assert pressed() == ["together"]
    assert 0 not in solution("group_lasso")
    page.get_by_role("button", name="each alone").click()
    wait_for_query(page, **{"group_lasso.groups": "[[0], [1]]"})
    settle(page)
    # The level sets are now this penalty's, and its solution that of the L1 penalty of the same strength.
    page.wait_for_function("document.querySelector('.lv-sparse-focus').dataset.solution === 'group_lasso'")
    assert pressed() == ["each alone"]
    assert solution("group_lasso") == pytest.approx(solution("l1_penalty"), abs=1e-9)
    assert solution("group_lasso")[1] == 0
    page.reload()
    ready(page)
    assert pressed() == ["each alone"] and solution("group_lasso")[1] == 0
    page.go_back()
    now = "name => document.querySelector('.lv-sparse-groups [aria-pressed=true]').innerText === name"
    page.wait_for_function(now, arg="together")
    page.go_forward()
    page.wait_for_function(now, arg="each alone")
    free = page.get_by_role("button", name="only w₁")
    free.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert pressed() == ["only w₁"]
    held = handles(page)
    x, y = solution("group_lasso")
    assert y == pytest.approx(held["optimum.y"] - 0.3 * (x - held["optimum.x"]), abs=1e-9)
    drag(page, "optimum", -50, -60)
    held = handles(page)
    x, y = solution("group_lasso")
    assert y == pytest.approx(held["optimum.y"] - 0.3 * (x - held["optimum.x"]), abs=1e-9)


def test_a_phone_has_all_of_it_in_one_column(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + START)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("optimum", "z1", "label"):
        box = page.locator(f'[data-handle="{name}"]').bounding_box()
        assert box and box["width"] >= 44 and box["x"] >= -1 and box["x"] + box["width"] <= 390
    drag(page, "optimum", -40, -30)
    drag(page, "z2", 30)
    check(page)
