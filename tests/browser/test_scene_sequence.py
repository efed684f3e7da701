"""The scene of sequences under hand and eye: cells, target, cursor, lattice; every number is torch's."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page
from torch.nn.functional import cross_entropy, ctc_loss

from tests.browser.stage import READ, centre, drag, query, ready, settle, wait_for_query

Open = Callable[[str], Page]
KEYS = ("ctc", "seq_cross_entropy", "seq_label_smoothed_ce")
ADDRESS = f"/explore?scene=sequence&loss={','.join(KEYS)}&seq_label_smoothed_ce.smoothing=0.3"
STATE = """() => ({
  logits: [...document.querySelectorAll("[data-handle^='logits.']")].map((e) => [Number(e.dataset.cell), Number(e.dataset.value)]).sort((a, b) => a[0] - b[0]).map((e) => e[1]),
  cursor: Number(document.querySelector(".lv-sequence-main .lv-sequence-cursor").dataset.cell),
})"""  # noqa: E501
T, K = 6, 4


def values(state: dict[str, Any], key: str) -> tuple[float, torch.Tensor]:
    """The loss and its gradient by logit, from torch alone."""
    z = torch.tensor(state["logits"], dtype=torch.float64).reshape(T, K).requires_grad_()
    target = torch.tensor(state["target"])
    if key == "ctc":
        labels = target[target > 0]
        lengths = torch.tensor([T]), torch.tensor([len(labels)])
        value = ctc_loss(z.log_softmax(-1)[:, None], labels[None], *lengths, reduction="sum")
    else:
        smoothing = 0.3 if key == "seq_label_smoothed_ce" else 0.0
        value = cross_entropy(z, target, ignore_index=0, label_smoothing=smoothing)
    (slope,) = torch.autograd.grad(value, z)
    return value.item(), slope.flatten()


def check(page: Page, focus: str = "ctc") -> dict[str, Any]:
    """Compare every number shown with torch at the handles shown."""
    read = page.evaluate(READ)
    state = page.evaluate(STATE)
    state["target"] = [int(read["handles"][f"target.{t}"]) for t in range(T)]
    probs = torch.tensor(state["logits"], dtype=torch.float64).reshape(T, K).softmax(-1).flatten()
    i = state["cursor"]
    seen: list[tuple[str, str]] = []
    for output in read["outputs"]:
        key, name = output["loss"], output["name"]
        value, slope = values(state, key)
        tokens = 1 if key == "ctc" else sum(label > 0 for label in state["target"])
        expected = {
            "loss": value,
            "gradient": slope[i].item(),
            "p": probs[i].item(),
            "wanted": (probs - tokens * slope)[i].item(),
            "likelihood": math.exp(-value),
        }
        if name in expected:
            if key != "ctc" and name == "wanted" and not state["target"][i // K]:
                assert output["value"] == ""
            else:
                assert float(output["value"]) == pytest.approx(expected[name], rel=1e-9, abs=1e-9), output
        seen.append((key, name))
    shown = {output["name"]: output["value"] for output in read["outputs"]}
    if focus == "ctc":
        path = cells(page, "ringed")
        assert len(path) == T
        best = probs[path].prod().item()
        likelihood = math.exp(-values(state, "ctc")[0])
        assert float(shown["best"]) == pytest.approx(best, rel=1e-9)
        assert float(shown["share"]) == pytest.approx(best / likelihood, rel=1e-9)
    reading = [(focus, name) for name in ("p", "wanted", "gradient")]
    lattice = [("ctc", name) for name in ("likelihood", "best", "share")] if focus == "ctc" else []
    assert sorted(seen) == sorted([(key, name) for key in KEYS for name in ("loss", "gradient")] + reading + lattice)
    return state


def cells(page: Page, how: str) -> list[int]:
    """The grid's cells that are marked so."""
    marked = page.locator(f".lv-sequence-main .lv-sequence-{how}")
    return marked.evaluate_all("cells => cells.map((cell) => Number(cell.dataset.cell))")


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    pairs = {name: enumerate(zip(before[name], after[name], strict=True)) for name in ("logits", "target")}
    return {f"{name}.{i}" for name, both in pairs.items() for i, (old, new) in both if old != new}


def test_cells_and_target_follow_the_mouse_and_the_keys_and_a_reload_keeps_them(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    before = check(page)
    drag(page, "logits.13", 12, -60)
    after = check(page)
    assert changed(before, after) == {"logits.13"} and after["cursor"] == 13
    assert after["logits"][13] == pytest.approx(before["logits"][13] + 3)
    before = after
    drag(page, "target.1", 0, 24)
    after = check(page)
    assert changed(before, after) == {"target.1"} and after["target"][1] == 1
    before = after
    x, y = centre(page, "[data-handle='target.3']")
    page.mouse.click(x, y)
    settle(page)
    after = check(page)
    assert changed(before, after) == {"target.3"} and after["target"][3] == 1
    before = after
    page.locator("[data-cell='13'][data-handle]").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    for key, change in (("+", 0.25), ("PageDown", -1.0), ("-", -0.25)):
        page.keyboard.press(key)
        settle(page)
        after = check(page)
        assert after["cursor"] == 12 and after["logits"][12] == pytest.approx(before["logits"][12] + change)
        before = after
    page.locator("[data-handle='target.5']").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    wait_for_query(page, target="1,1,3,1,0,2")
    wait_for_query(page, logits=",".join(f"{value:g}" for value in before["logits"]))
    settle(page)
    before = check(page)
    page.reload()
    ready(page)
    assert check(page) == before


def test_too_few_frames_get_a_sentence_and_no_number(open_page: Open):
    page = open_page(f"{ADDRESS}&target=1,1,2,2,3,3")
    ready(page)
    assert "Too few frames: the labels need 9" in page.locator("[data-note=ctc]").inner_text()
    outputs = page.evaluate(READ)["outputs"]
    assert {output["value"] for output in outputs if output["loss"] == "ctc"} == {""}
    assert all(output["value"] for output in outputs if output["loss"] != "ctc")
    assert page.locator(".lv-sequence-best").get_attribute("d") == ""
    page.locator("[data-preset=start]").click()
    page.wait_for_function("document.querySelector('output[name=loss]').dataset.value")
    settle(page)
    assert check(page)["target"] == [1, 2, 3, 0, 0, 0]
    assert "target" not in query(page)


def test_a_loss_of_tokens_shows_padding_and_what_each_position_adds(open_page: Open):
    page = open_page(f"{ADDRESS}&focus=seq_cross_entropy&target=1,0,3,2,0,0")
    ready(page)
    state = check(page, "seq_cross_entropy")
    assert sorted({cell // K for cell in cells(page, "padded")}) == [1, 4, 5]
    assert sorted(cells(page, "ringed")) == [1, 11, 14]
    adds = page.locator(".lv-sequence-adds").all_inner_texts()
    assert [text for text in adds if text != "padding"] and adds.count("padding") == 3
    total = sum(float(text) for text in adds if text != "padding")
    assert total == pytest.approx(values(state, "seq_cross_entropy")[0], abs=2e-3)
    x, y = centre(page, ".lv-sequence-pulls [data-cell='5']")
    page.mouse.click(x, y)
    settle(page)
    assert check(page, "seq_cross_entropy")["cursor"] == 5
    wait_for_query(page, cursor="5")


def test_a_step_and_play_lead_downhill(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    before = check(page)
    slope = values(before, "ctc")[1]
    page.locator("[data-step]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('logits')")
    settle(page)
    after = check(page)
    expected = [z - g for z, g in zip(before["logits"], slope.tolist(), strict=True)]
    assert after["logits"] == pytest.approx(expected, abs=1e-9)
    page.locator("[data-play]").click()
    page.wait_for_function("Number(document.querySelector('output[name=loss]').dataset.value) < 0.6")
    page.locator("[data-play]").click()
    settle(page)
    assert check(page)["logits"] != after["logits"]


def test_on_a_phone_nothing_overflows_and_cells_can_be_held(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    before = check(page)
    drag(page, "logits.0", 0, 40)
    assert changed(before, check(page)) == {"logits.0"}
