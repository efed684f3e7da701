"""The scene of two distributions in a real browser: bars and bell curves dragged, each number compared with torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor

from lossviz import value_and_grad
from tests.browser.stage import READ, centre, drag, handles, ready, settle, wait_for_query

Open = Callable[[str], Page]
KEYS = ("wasserstein_1", "js_divergence", "kl_divergence", "total_variation")
ADDRESS = f"/explore?scene=distributions&loss={','.join(KEYS)}"
BELLS = f"{ADDRESS}&shape=gaussians&focus=js_divergence"


def pair(held: dict[str, float], shape: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The two distributions at the handles on screen, and the leaves that q is made of."""
    if shape == "bars":
        p, q = (torch.tensor([held[f"{name}.{k}"] for k in range(6)], dtype=torch.float64) for name in "pq")
        leaves = [q.requires_grad_()]
        return p / p.sum(), q / q.sum(), leaves
    bins = torch.arange(1, 26, dtype=torch.float64)
    leaves = [torch.tensor(held[f"q.{what}"], dtype=torch.float64).requires_grad_() for what in ("mean", "width")]

    def bell(mean: Any, width: Any) -> Tensor:
        density = torch.exp(-0.5 * ((bins - mean) / width) ** 2)
        return density / density.sum()

    return bell(held["p.mean"], held["p.width"]), bell(*leaves), leaves


def expected(key: str, held: dict[str, float], shape: str) -> dict[str, float]:
    """All that is shown of a loss, by torch."""
    p, q, leaves = pair(held, shape)
    value, grads = value_and_grad(key, {"pred": q.detach()[None], "target": p[None]})
    slopes = torch.cat([s.flatten() for s in torch.autograd.grad(q, leaves, grads["pred"][0])]).tolist()
    names = [f"gradient.{k + 1}" for k in range(6)] if shape == "bars" else ["gradient.mean", "gradient.width"]
    q = q.detach()
    entropy = -torch.xlogy(p, p).sum().item()
    kl = (torch.xlogy(p, p) - torch.xlogy(p, q)).sum().item()
    reverse = (torch.xlogy(q, q) - torch.xlogy(q, p)).sum().item()
    both = {"kl": kl, "kl.reverse": reverse, "entropy": entropy, "cross_entropy": entropy + kl}
    return {"loss": value.item(), **dict(zip(names, slopes, strict=True)), **both}


def visible(page: Page) -> dict[str, float]:
    """The handles of the shape on screen."""
    shown = page.evaluate("[...document.querySelectorAll('[data-handle]:not([hidden])')].map((e) => e.dataset.handle)")
    held = handles(page)
    return {name: held[name] for name in shown}


def check(page: Page, shape: str) -> dict[str, float]:
    """Compare every number on screen with torch at the handles on screen; return the handles."""
    held = visible(page)
    assert len(held) == (12 if shape == "bars" else 4)
    seen: set[str] = set()
    for output in page.evaluate(READ)["outputs"]:
        value = expected(output["loss"], held, shape)[output["name"]]
        where = (output["loss"], output["name"], held)
        if output["value"] == "":
            assert value == float("inf") and output["text"] == "∞", where
        else:
            assert float(output["value"]) == pytest.approx(value, rel=1e-9, abs=1e-11), where
        seen.add(output["name"])
    assert seen == set(expected("js_divergence", held, shape))
    return held


def test_every_bar_is_dragged(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    check(page, "bars")
    for name, dy in (("p.0", -20), ("p.5", -60), ("q.1", 40), ("q.4", -50)):
        before = visible(page)
        drag(page, name, 0, dy)
        after = check(page, "bars")
        assert {other for other in after if after[other] != before[other]} == {name}
        # Upwards is more for p, and less for q, which hangs down.
        assert (after[name] > before[name]) == ((dy < 0) == name.startswith("p"))
    # The disc lies at its height, the bar at its probability.
    q = [after[f"q.{k}"] for k in range(6)]
    zero = page.locator(".lv-main .zl").bounding_box() or page.locator(".lv-main .yzl").bounding_box()
    assert zero
    bars = (
        page.locator(".lv-main .lv-lines g[clip-path] > g")
        .nth(1)
        .locator("rect")
        .evaluate_all("(bars) => bars.slice(0, 6).map((e) => e.getBoundingClientRect().height)")
    )
    discs = [centre(page, f'[data-handle="q.{k}"]')[1] - zero["y"] - zero["height"] / 2 for k in range(6)]
    for k in range(6):
        assert discs[k] / max(discs) == pytest.approx(q[k] / max(q), abs=0.02)
        assert bars[k] / max(bars) == pytest.approx(q[k] / max(q), abs=0.02)
    assert max(bars) / max(discs) == pytest.approx(1 / sum(q), abs=0.02)


def test_bell_curves_are_dragged_and_the_address_keeps_them(open_page: Open):
    page = open_page(BELLS)
    ready(page)
    for name, dx in (("p.mean", 40), ("p.width", 30), ("q.mean", -60), ("q.width", -20)):
        before = check(page, "gaussians")
        drag(page, name, dx)
        after = check(page, "gaussians")
        assert {other for other in after if after[other] != before[other]} == {name}
    wait_for_query(page, **{"q.width": f"{after['q.width']:.12g}"})
    page.reload()
    ready(page)
    assert check(page, "gaussians") == pytest.approx(after)
    # Another shape keeps its own handles; the numbers beside the bins change with it.
    page.get_by_label("shape", exact=True).select_option("bars")
    page.wait_for_selector("[data-handle='q.0']:not([hidden])")
    settle(page)
    check(page, "bars")
    page.get_by_label("slide", exact=True).select_option("slope")
    wait_for_query(page, slide="slope")
    settle(page)
    check(page, "bars")


def test_keys_empty_bins_and_steps(open_page: Open):
    page = open_page(ADDRESS + "&q=0,0.15,0.3,0.55,0.8,0.4")
    ready(page)
    held = check(page, "bars")
    assert "Infinite: q gives nothing to bin 1" in page.inner_text("[data-note='kl_divergence']")
    for key, value in (("ArrowUp", 0.02), ("PageUp", 0.22), ("ArrowDown", 0.2)):
        page.locator('[data-handle="q.0"]').focus()
        page.keyboard.press(key)
        assert handles(page)["q.0"] == pytest.approx(value)
    settle(page)
    held = check(page, "bars")
    assert page.inner_text("[data-note='kl_divergence']") == ""
    page.wait_for_timeout(600)  # a key holds its handle for a moment
    slopes = expected("wasserstein_1", held, "bars")
    page.locator("[data-step]").click()
    page.wait_for_function(
        "old => Number(document.querySelector('[data-handle=\"q.0\"]').getAttribute('aria-valuenow')) !== old",
        arg=held["q.0"],
    )
    settle(page)
    after = check(page, "bars")
    for k in range(6):
        moved = min(1.0, max(0.0, held[f"q.{k}"] - 0.25 * slopes[f"gradient.{k + 1}"]))
        assert after[f"q.{k}"] == pytest.approx(moved, abs=1e-9)
    # Nothing left to normalise: said, and alive again with the next bar.
    page.goto(page.url.split("/explore")[0] + ADDRESS + "&q=0,0,0,0,0,0")
    page.wait_for_function(
        "document.querySelector('[data-note=wasserstein_1]')?.textContent.includes('nothing to normalise')"
    )
    page.wait_for_selector("[data-handle='q.3']")
    drag(page, "q.3", 0, 60)
    assert handles(page)["q.3"] > 0.1
    check(page, "bars")


@pytest.mark.parametrize("shape", ["bars", "gaussians"])
def test_on_a_phone(visit: Any, site: Any, shape: str):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(f"{site.url}{ADDRESS}&shape={shape}")
    ready(page)
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    for name in visible(page):
        box = page.locator(f'[data-handle="{name}"]').bounding_box()
        assert box and min(box["width"], box["height"]) > 43.9 and box["x"] >= -22 and box["x"] + 22 <= 390
    if shape == "bars":
        drag(page, "q.3", 0, 30)
    else:
        drag(page, "q.mean", 30)
    check(page, shape)
