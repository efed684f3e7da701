"""The margin scene in a real browser: both handles dragged, each number compared with torch, each axis tried."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page

from lossviz import get, value_and_grad
from tests.browser.stage import READ, centre, drag, handles, ready, settle, wait_for_query

Open = Callable[[str], Page]
KEYS = ("hinge", "bce_with_logits", "bce", "sigmoid_focal")
ADDRESS = f"/explore?scene=margin&loss={','.join(KEYS)}&bce_with_logits.pos_weight=2.5"
PARAMS: dict[str, dict[str, Any]] = {"bce_with_logits": {"pos_weight": 2.5}}


def expected(key: str, score: float, label: float) -> dict[str, float]:
    """All that is shown of a loss, by torch."""
    kind = get(key).input_kind
    z = torch.tensor([score], dtype=torch.float64)
    p = torch.sigmoid(z)
    rise = (p * torch.sigmoid(-z)).item()
    pred = p if kind == "binary_probabilities" else z
    target = torch.tensor([2 * label - 1 if kind == "margin" else label], dtype=torch.float64)
    value, grads = value_and_grad(key, {"pred": pred, "target": target}, PARAMS.get(key))
    slope = grads["pred"].item()
    by_logit, by_probability = (slope * rise, slope) if kind == "binary_probabilities" else (slope, slope / rise)
    return {
        "loss": value.item(),
        "gradient.logit": by_logit,
        "gradient.probability": by_probability,
        "rise": rise,
        "margin": (2 * label - 1) * score,
        "probability": p.item(),
        "residual": p.item() - label,
    }


def check(page: Page) -> dict[str, float]:
    """Compare every number on screen with torch at the handles on screen; return the handles."""
    read = page.evaluate(READ)
    held = read["handles"]
    seen: set[str] = set()
    for output in read["outputs"]:
        key, name = output["loss"], output["name"]
        value = expected(key, held["score"], held["label"])[name]
        assert float(output["value"]) == pytest.approx(value, rel=1e-9, abs=1e-12), (key, name, held)
        seen.add(name)
    assert seen == set(expected("hinge", 0.0, 1.0))
    return held


def on_axis(page: Page) -> set[str]:
    """The names of the numbers that are marked as the axis's derivative."""
    return set(page.evaluate("[...document.querySelectorAll('.lv-by-axis output')].map((e) => e.name)"))


def test_both_handles_are_dragged_on_each_axis(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    check(page)
    for axis, by in (("logit", "logit"), ("probability", "probability"), ("residual", "probability")):
        if axis != "logit":
            page.get_by_label("axis", exact=True).select_option(axis)
            wait_for_query(page, axis=axis)
            settle(page)
        assert on_axis(page) == {f"gradient.{by}"}
        before = check(page)
        drag(page, "score", 90)
        after = check(page)
        assert after["score"] > before["score"] and after["label"] == before["label"]
        # The handle lies where the axis says: its guide over the point drawn.
        x, _ = centre(page, '[data-handle="score"]')
        dots = page.locator(".lv-main .lv-lines circle").evaluate_all(
            "(dots) => dots.map((e) => e.getBoundingClientRect()).map((box) => box.left + box.width / 2)"
        )
        assert dots and all(abs(dot - x) < 2 for dot in dots)
        stop = centre(page, f".lv-margin-stop >> nth={0 if after['label'] else 1}")[0]
        drag(page, "label", stop - centre(page, '[data-handle="label"]')[0])
        assert check(page)["label"] == 1 - after["label"]


def test_keys_steps_and_the_address(open_page: Open):
    page = open_page(f"{ADDRESS}&score=-0.4&axis=probability&focus=bce")
    ready(page)
    for name, key, value in (("score", "ArrowRight", -0.3), ("score", "Home", -8), ("label", "ArrowLeft", 0)):
        page.locator(f'[data-handle="{name}"]').focus()
        page.keyboard.press(key)
        assert handles(page)[name] == pytest.approx(value)
        settle(page)
        check(page)
    page.keyboard.press("End")
    wait_for_query(page, score="-8", axis="probability")
    # Far on the wrong side the derivative by probability is off the picture, and said at its edge.
    page.wait_for_function(
        "[...document.querySelectorAll('.lv-outside:not([hidden])')].some((e) => e.textContent.startsWith('▼'))"
    )
    page.wait_for_timeout(600)  # a key holds its handle for a moment
    before = check(page)
    page.locator("[data-step]").click()
    page.wait_for_function("Number(document.querySelector('[data-handle=score]').getAttribute('aria-valuenow')) > -8")
    settle(page)
    after = check(page)
    moved = before["score"] - 0.25 * expected("bce", before["score"], before["label"])["gradient.logit"]
    assert after["score"] == pytest.approx(moved, abs=1e-9)
    page.wait_for_timeout(300)
    shown = page.evaluate(READ)["outputs"]
    page.reload()
    ready(page)
    held = check(page)
    assert held == pytest.approx(after, abs=1e-9)
    assert [(o["name"], o["text"]) for o in page.evaluate(READ)["outputs"]] == [(o["name"], o["text"]) for o in shown]


def test_on_a_phone(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    for name in ("score", "label"):
        box = page.locator(f'[data-handle="{name}"]').bounding_box()
        assert box and min(box["width"], box["height"]) > 43.9
    drag(page, "score", 40)
    check(page)
