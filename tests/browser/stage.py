"""The explorer through a browser's eyes and hands: drag a handle, read what is shown, compute the same with torch."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page

from lossviz import value_and_grad
from lossviz.losses import get
from lossviz.scenes import get_scene

PICTURES = ".js-plotly-plot:not(.lv-solid)"

# Numbers and pictures of one and the same answer, and no newer one for a while.
SETTLED = """async (pictures) => {
  const seqs = () => [...document.querySelectorAll(`output[data-loss], ${pictures}`)].map((e) => e.dataset.seq);
  let known, since = performance.now();
  while (performance.now() - since < 450) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = seqs();
    const same = now.length && now[0] && now.every((seq) => seq === now[0]);
    if (!same || now[0] !== known) since = performance.now();
    known = now[0];
    if (performance.now() - (window.lvBegan ??= performance.now()) > 20000) {
      delete window.lvBegan;
      throw new Error(`still moving: ${now.join(" ")}`);
    }
  }
  delete window.lvBegan;
}"""

READ = """() => ({
  handles: Object.fromEntries([...document.querySelectorAll("[data-handle][role=slider]")].map((e) => [e.dataset.handle, Number(e.getAttribute("aria-valuenow"))])),
  outputs: [...document.querySelectorAll("output[data-loss]:not([data-line])")].map((e) => ({...e.dataset, name: e.name, text: e.textContent})),
})"""  # noqa: E501


def ready(page: Page) -> None:
    """Wait for the first picture."""
    page.wait_for_selector("[data-handle]", state="attached")
    settle(page)


def settle(page: Page) -> None:
    """Wait until numbers and pictures have come to rest."""
    page.wait_for_function("document.querySelector('output[data-loss]')?.dataset.seq")
    page.evaluate(SETTLED, PICTURES)


def centre(page: Page, selector: str) -> tuple[float, float]:
    """The middle of an element, in pixels of the window."""
    page.locator(selector).first.scroll_into_view_if_needed()
    box = page.locator(selector).first.bounding_box()
    assert box, f"{selector} is not on screen"
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, handle: str, dx: float, dy: float = 0.0, moves: int = 15, pause: float = 8) -> None:
    """Take a handle, wander to and fro with the mouse, and let go ``(dx, dy)`` pixels from where it was."""
    x, y = centre(page, f'[data-handle="{handle}"]')
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(1, moves + 1):
        share = i / moves if i > moves - 3 else ((i * 37) % moves) / moves
        page.mouse.move(x + dx * share, y + dy * share)
        page.wait_for_timeout(pause)
    page.mouse.up()
    settle(page)


def query(page: Page) -> dict[str, str]:
    """The address's query parameters."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query, keep_blank_values=True).items()}


def wait_for_query(page: Page, **wanted: str) -> None:
    """Wait until the address holds these values."""
    page.wait_for_function(
        "wanted => Object.entries(wanted).every(([k, v]) => new URLSearchParams(location.search).get(k) === v)",
        arg=wanted,
    )


def handles(page: Page) -> dict[str, float]:
    """Every slider's value by name."""
    return page.evaluate(READ)["handles"]


def check_numbers(page: Page, scene: str, params: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
    """Compare every number shown with torch at the handles shown, options at their defaults; returns both."""
    read = page.evaluate(READ)
    held = {name: value for name, value in read["handles"].items() if "." not in name}
    shown: dict[str, dict[str, float]] = {}
    for output in read["outputs"]:
        shown.setdefault(output["loss"], {})[output["name"]] = float(output["value"])
    assert shown
    for key, numbers in shown.items():
        named = get_scene(scene).inputs(get_scene(scene).parse_handles(held), get(key))
        value, grads = value_and_grad(key, named, (params or {}).get(key))
        slopes = grads["pred"].flatten().tolist()
        names = ["gradient"] if len(slopes) == 1 else [f"gradient.{k + 1}" for k in range(len(slopes))]
        expected = {"loss": value.item(), **dict(zip(names, slopes, strict=True))}
        expected = {name: number for name, number in expected.items() if name in numbers}
        assert "loss" in expected
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-12), (key, held)
    return {"handles": held, "numbers": shown}
