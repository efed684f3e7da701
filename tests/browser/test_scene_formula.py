"""Your own loss in a real browser: typed, dragged, refused, reloaded; each number shown is torch's."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page

from benchmarks.served import Served
from lossviz import get, value_and_grad
from lossviz.runs import LossChoice, Store
from lossviz.scenes import get_scene
from lossviz.scenes.formula import own_loss
from lossviz.ui.scenes.formula import PRESETS
from tests.browser.stage import READ, centre, drag, handles, query, ready, settle, wait_for_query
from tests.browser.test_train import (
    final,
    first_point,
    latest,
    press_train,
    run_id,
    set_number,
    wait_for_status,
    wait_until_drawn,
    warm,
)

Open = Callable[[str], Page]
SCENE = get_scene("formula")
ADDRESS = "/explore?scene=formula&loss=huber,mse&huber.delta=2.5"
SLIDER = '[data-handle="values.{}"]'
FIELD = ".lv-formula-field"
CHECKS = "[...document.querySelectorAll('.lv-formula-checks li')].map((e) => [e.dataset.property, e.dataset.holds])"


def shown_values(page: Page) -> list[float]:
    """What the numbers beside the sliders say."""
    numbers = page.locator(".lv-formula-parameters .lv-param-head input[type=number]")
    return [float(numbers.nth(i).input_value()) for i in range(numbers.count())]


def check(page: Page, formula: str | None = None) -> dict[str, float]:
    """Compare every number on screen with torch at what the field, sliders and handles show; return the handles."""
    read = page.evaluate(READ)
    text = formula or page.locator(FIELD).input_value()
    values = shown_values(page)
    moved = {name: read["handles"][name] for name in ("pred", "target")}
    assert (read["handles"]["point.pred"], read["handles"]["point.target"]) == (moved["pred"], moved["target"])
    held = SCENE.parse_handles({**moved, "formula": text, "values": [*values, *[1.0] * (6 - len(values))]})
    seen: set[tuple[str, str]] = set()
    for output in read["outputs"]:
        loss = own_loss(held) if output["loss"] == "formula" else get(output["loss"])
        params: dict[str, Any] = {"delta": 2.5} if loss.key == "huber" else {}
        value, slopes = value_and_grad(loss, SCENE.inputs(held, loss), params)
        expected = {"loss": value.item(), "gradient": slopes["pred"].item()}[output["name"]]
        assert float(output["value"]) == pytest.approx(expected, rel=1e-9, abs=1e-12), (loss.key, output["name"], held)
        seen.add((loss.key, output["name"]))
    assert seen == {(key, name) for key in ("formula", "huber", "mse") for name in ("loss", "gradient")}
    return moved


def test_every_handle_and_slider(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    check(page)
    for name, dx, dy, moving in (
        ("pred", 60, 0, {"pred"}),
        ("target", -50, 0, {"target"}),
        ("point", -30, 20, {"pred", "target"}),
    ):
        before = check(page)
        drag(page, name, dx, dy)
        after = check(page)
        assert {other for other in after if after[other] != before[other]} == moving
    x, y = centre(page, SLIDER.format(0))
    box = page.locator(SLIDER.format(0)).bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.65, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] * 0.3, y, steps=8)
    settle(page)
    # Not let go yet.
    assert shown_values(page)[0] > 2
    check(page)
    page.mouse.up()
    page.locator(SLIDER.format(0)).focus()
    before = shown_values(page)
    page.keyboard.press("ArrowLeft")
    settle(page)
    assert shown_values(page)[0] < before[0]
    check(page)
    page.locator('[data-handle="pred"]').focus()
    page.keyboard.press("End")
    assert handles(page)["pred"] == 5
    settle(page)
    check(page)


def test_what_is_typed_is_drawn_refused_kept_and_found_again(open_page: Open):
    page = open_page(f"{ADDRESS}&formula=delta*abs(pred-target)%2Bpred&values=0.5,1,1,1,1,1")
    ready(page)
    check(page)
    assert shown_values(page) == [0.5]
    field = page.locator(FIELD)
    field.press("End")
    field.press_sequentially(" + q*(pred - 1)**2", delay=15)
    page.wait_for_selector(SLIDER.format(1))
    settle(page)
    check(page)
    assert shown_values(page) == [0.5, 1]
    # A parameter in front of the others: each keeps its value.
    field.fill("q*(pred-1)**2 + delta*abs(pred-target) + pred")
    wait_for_query(page, formula="q*(pred-1)**2 + delta*abs(pred-target) + pred")
    settle(page)
    assert shown_values(page) == [1, 0.5]
    check(page)
    assert query(page)["values"] == "1,0.5,1,1,1,1"
    good, address = field.input_value(), page.url
    field.fill("q*(pred-1)**2 + abs(pred – target)")
    page.wait_for_selector(".lv-formula-failed")
    said = page.locator(".lv-formula-said")
    assert "Character 26" in said.inner_text() and "(en dash) is not part of the language" in said.inner_text()
    text, pointer = page.locator(".lv-formula-said pre").inner_text().split("\n")
    assert text[pointer.index("^")] == "–"
    assert field.get_attribute("aria-invalid") == "true"
    # The last good one stays, can still be dragged, and is what the address says.
    drag(page, "pred", -40)
    check(page, good)
    assert field.input_value().endswith("abs(pred – target)")
    assert query(page)["formula"] == good and page.url != address
    field.fill("(pred - target)**2")
    page.wait_for_selector(".lv-formula-failed", state="detached")
    wait_for_query(page, formula="(pred - target)**2")
    settle(page)
    after = check(page)
    shown = page.evaluate(READ)["outputs"]
    page.reload()
    ready(page)
    assert check(page) == after
    assert [(o["name"], o["value"]) for o in page.evaluate(READ)["outputs"]] == [(o["name"], o["value"]) for o in shown]


def test_examples_and_their_properties(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    for name, formula, values in PRESETS:
        page.locator(f'[data-preset="{name}"]').click()
        page.wait_for_function("text => document.querySelector('.lv-formula-field').value === text", arg=formula)
        wait_for_query(page, formula=formula) if name != "Power" else settle(page)
        settle(page)
        assert shown_values(page) == list(values)
        check(page)
        found = dict(page.evaluate(CHECKS))
        assert found["convex"] == str(name != "Welsch").lower(), name
        assert found["symmetric"] == str(name not in ("Quantile", "LINEX")).lower(), name
    assert "torch.exp" in page.locator("[data-testid=stCode]").first.inner_text()


def test_the_range_of_a_slider(open_page: Open):
    page = open_page(f"{ADDRESS}&formula=w*abs(pred-target)%2Bdelta*(pred-target)**2&ranges=delta:0.1:10:log")
    ready(page)
    delta, w = page.locator(SLIDER.format(1)), page.locator(SLIDER.format(0))
    assert page.locator("[data-range] summary").all_inner_texts() == ["−5 to 5", "0.1 to 10, log"]
    delta.focus()
    page.keyboard.press("End")
    settle(page)
    assert shown_values(page) == [1.5, 10]
    check(page)
    # The middle of a logarithmic slider.
    box = delta.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    settle(page)
    assert shown_values(page)[1] == pytest.approx(1, rel=0.1)
    check(page)
    span = page.locator('[data-range="w"]')
    span.locator("summary").click()
    low, high, log = (span.locator("input").nth(i) for i in range(3))
    high.fill("1")
    high.press("Enter")
    wait_for_query(page, ranges="w:-5:1,delta:0.1:10:log")
    settle(page)
    # What was held lies inside it.
    assert shown_values(page)[0] == 1 and (w.get_attribute("min"), w.get_attribute("max")) == ("-5", "1")
    check(page)
    log.check()
    assert span.locator(".lv-formula-error").inner_text().startswith("Allowed: from −1000000 to 1000000")
    assert query(page)["ranges"] == "w:-5:1,delta:0.1:10:log"
    low.fill("0.001")
    low.press("Enter")
    wait_for_query(page, ranges="w:0.001:1:log,delta:0.1:10:log")
    settle(page)
    w.focus()
    page.keyboard.press("Home")
    settle(page)
    assert shown_values(page)[0] == 0.001
    check(page)
    wait_for_query(page, values="0.001," + query(page)["values"].partition(",")[2])
    before = shown_values(page)
    page.reload()
    ready(page)
    assert page.locator("[data-range] summary").all_inner_texts() == ["0.001 to 1, log", "0.1 to 10, log"]
    assert shown_values(page) == before
    # Another formula of the same names keeps them.
    page.locator(FIELD).fill("delta*abs(pred-target)")
    wait_for_query(page, formula="delta*abs(pred-target)", ranges="delta:0.1:10:log")
    settle(page)
    assert page.locator("[data-range] summary").all_inner_texts() == ["0.1 to 10, log"]
    check(page)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("!new URLSearchParams(location.search).has('ranges')")


def test_train_with_it(open_page: Open, site: Served):
    page = open_page("/explore?scene=formula&loss=huber,quantile&huber.delta=2.5")
    ready(page)
    formula = "k * abs(pred - target)**p"
    page.locator(FIELD).fill(formula)
    page.get_by_role("button", name="Train with it").click()
    page.wait_for_url("**/train?**")
    assert query(page) == {
        "loss": "formula,huber",
        "formula": formula,
        "formula.k": "1.0",
        "formula.p": "1.5",
        "huber.delta": "2.5",
    }
    warm(page)
    assert page.get_by_label("loss(pred, target) =").input_value() == formula
    set_number(page, "Epochs", "1")
    press_train(page)
    first_point(page)
    run = run_id(page)
    assert query(page) == {"run": run}
    with closing(Store(site.home / "runs.sqlite")) as store:
        assert store.get(run).spec.losses == (
            LossChoice("formula", {"k": 1.0, "p": 1.5}, formula),
            LossChoice("huber", {"delta": 2.5}),
        )
        wait_for_status(page, "done")
        wait_until_drawn(page, len(store.points(run)))
        assert final(page) == latest(store, run)
        assert final(page)["test_accuracy/0"] > 0.8
    assert page.locator(".lv-losses .lv-name").first.inner_text() == f"{formula} (k 1, p 1.5)"
    # Back finds the form, and then what was typed.
    page.go_back()
    page.wait_for_url("**/train?loss=**")
    page.go_back()
    page.wait_for_url("**/explore?**")
    ready(page)
    assert page.locator(FIELD).input_value() == formula


def test_what_is_no_formula_is_not_trained_with(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    page.locator(FIELD).fill("abs(pred - target")
    page.wait_for_selector(".lv-formula-failed")
    assert page.get_by_role("button", name="Train with it").is_disabled()


def test_on_a_phone(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    page.locator(FIELD).fill("abs(pred - target")
    page.wait_for_selector(".lv-formula-failed")
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
