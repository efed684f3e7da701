"""Perturbation in a real browser: input, box and label are dragged, and every number is torch's."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page
from torch.nn.functional import cross_entropy

from lossviz import value_and_grad
from lossviz.losses import get
from lossviz.scenes import digitnet, toynet
from lossviz.scenes.perturbation import PERTURBATION
from tests.browser.stage import READ, centre, drag, handles, query, ready, settle, wait_for_query
from tests.scenes.test_perturbation import attack, value_with_move

ADDRESS = "/explore?scene=perturbation&loss=pgd_ce,fgsm_ce,trades,mart,vat&pgd_ce.steps=5&vat.epsilon=0.2"
PARAMS: dict[str, dict[str, Any]] = {"pgd_ce": {"steps": 5}, "vat": {"epsilon": 0.2}}
Open = Callable[[str], Page]


def check(page: Page, params: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Compare every number shown with an attack written out at the handles shown; returns the handles."""
    read = page.evaluate(READ)
    held: dict[str, float] = read["handles"]
    at = PERTURBATION.parse_handles({name: held[name.replace("x.", "")] for name in ("epsilon", "label")})
    at |= {"x1": held["x.x1"], "x2": held["x.x2"]}
    shown: dict[str, dict[str, float]] = {}
    for output in read["outputs"]:
        shown.setdefault(output["loss"], {})[output["name"]] = float(output["value"])
    assert len(shown) == 5
    for key, numbers in shown.items():
        loss, chosen = get(key), get(key).resolve(params.get(key))
        path = torch.cat(attack(loss, at, chosen))
        target = torch.full((len(path),), int(at["label"]) - 1)
        climb = cross_entropy(toynet.network()(path), target, reduction="none")
        leaf = path[:1].clone().requires_grad_()
        value = value_with_move(loss, leaf, path[-1:] - path[:1], at["label"], chosen)
        (slope,) = torch.autograd.grad(value, leaf)
        named = PERTURBATION.inputs(at, loss)
        reduced, _ = value_and_grad(loss, named, chosen)
        expected = {
            "loss": reduced.item(),
            "clean": climb[0].item(),
            "attacked": climb[-1].item(),
            "epsilon": chosen.get("epsilon", at["epsilon"]),
            "gradient.x1": slope[0, 0].item(),
            "gradient.x2": slope[0, 1].item(),
        }
        if key in ("trades", "mart"):
            first, _ = value_and_grad(loss, named, {"beta": 0.0})
            expected |= {"term.1": first.item(), "term.2": reduced.item() - first.item()}
        assert numbers == pytest.approx(expected, rel=1e-9, abs=1e-9), key
    return held


def test_input_box_and_label_are_dragged(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    before = check(page, PARAMS)
    drag(page, "x", 60, -25)
    after = check(page, PARAMS)
    assert {name for name in before if after[name] != before[name]} == {"x.x1", "x.x2"}
    x, y = centre(page, '[data-handle="epsilon"]')
    drag(page, "epsilon", 30)
    assert centre(page, '[data-handle="epsilon"]') == (pytest.approx(x + 30, abs=1.5), pytest.approx(y, abs=1))
    epsilon = handles(page)["epsilon"]
    assert epsilon > before["epsilon"]
    # One finger holds how far every attack may go.
    params = {key: {**PARAMS.get(key, {}), "epsilon": epsilon} for key in ("pgd_ce", "fgsm_ce", "vat")}
    check(page, params)
    wait_for_query(page, epsilon=f"{epsilon:.12g}", **{f"{key}.epsilon": f"{epsilon}" for key in params})
    drag(page, "label", 300)
    assert handles(page)["label"] == 2
    held = check(page, params)
    wait_for_query(page, label="2")
    page.reload()
    ready(page)
    assert check(page, params) == held
    assert query(page)["pgd_ce.steps"] == "5"


def test_keys_steps_and_what_the_network_says(open_page: Open):
    page = open_page(ADDRESS)
    ready(page)
    for key, name in (("ArrowRight", "x.x1"), ("ArrowUp", "x.x2")):
        before = handles(page)[name]
        page.locator('[data-handle="x"] [role=slider]').first.focus()
        page.keyboard.press(key)
        assert handles(page)[name] == pytest.approx(before + 0.01)
    settle(page)
    held = check(page, PARAMS)
    said = page.locator(".lv-perturbation-said").all_inner_texts()
    assert len(said) == 5 and said[0] == "class 1 → class 2"
    page.click("[data-step]")
    page.wait_for_function(
        "x => Number(document.querySelector('[data-handle=\"x.x1\"]').ariaValueNow) !== x", arg=held["x.x1"]
    )
    settle(page)
    check(page, PARAMS)
    page.locator('[data-handle="epsilon"]').focus()
    page.keyboard.press("Home")
    settle(page)
    check(page, {key: {**PARAMS.get(key, {}), "epsilon": 0.0} for key in ("pgd_ce", "fgsm_ce", "vat")})
    assert set(page.locator(".lv-perturbation-said").all_inner_texts()) == {"class 1 → class 1"}


def bars(page: Page, position: int) -> list[float]:
    """The widths of a loss's bars, as shares of the whole."""
    row = page.locator(".lv-perturbation-row").nth(position)
    return row.locator(".lv-perturbation-part").evaluate_all("bars => bars.map((b) => parseFloat(b.style.width) / 100)")


def test_two_terms_are_one_bar_that_moves_with_epsilon(open_page: Open):
    page = open_page("/explore?scene=perturbation&loss=trades,pgd_ce&epsilon=0.1")
    ready(page)

    def terms() -> list[float]:
        shown = [page.locator(f"output[name='term.{k}'][data-loss=trades]") for k in (1, 2)]
        return [float(output.get_attribute("data-value") or "nan") for output in shown]

    first = terms()
    full = sum(first)
    assert bars(page, 0) == pytest.approx([term / full for term in first], abs=1e-4)
    page.locator('[data-handle="epsilon"]').focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    settle(page)
    smaller = terms()
    # Less room for the attack: the clean term stays, the other one shrinks, on the scale that there was.
    assert smaller[0] == first[0] and smaller[1] < first[1] / 2
    assert bars(page, 0) == pytest.approx([term / full for term in smaller], abs=1e-4)


def test_a_digit_is_attacked_beside_it(open_page: Open):
    page = open_page(f"{ADDRESS}&digit=11")
    ready(page)
    page.wait_for_selector(".lv-perturbation-digits:not([hidden])")
    for focus in ("pgd_ce", "trades"):
        page.click(f"li[data-loss='{focus}'] .lv-name")
        settle(page)
        at = PERTURBATION.parse_handles({"digit": 11})
        numbers = PERTURBATION.views([get(focus)], at, {focus: PARAMS.get(focus, {})}, [f"digit:{focus}"]).numbers[
            focus
        ]
        for name in ("digit.loss", "digit.clean", "digit.attacked"):
            shown = float(page.locator(f"output[name='{name}']").get_attribute("data-value") or "nan")
            assert shown == pytest.approx(numbers[name], rel=1e-9), (focus, name)
        said = page.locator("output[name='digit.classes']").inner_text()
        assert said == f"{numbers['digit.before']:g} → {numbers['digit.after']:g}"
    # The picture is the digit: ink where MNIST has it.
    assert painted(page, ".lv-perturbation-digits canvas") == pytest.approx(
        digitnet.digits()[0][11].tolist(), abs=1 / 254
    )


def painted(page: Page, selector: str) -> list[float]:
    """Ink from 0 to 1, pixel by pixel."""
    read = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0)"
    return [1 - v / 255 for v in page.locator(selector).first.evaluate(read)]


def check_plane(page: Page, focus: str, params: dict[str, Any], **held: Any) -> dict[str, float]:
    """Compare what is shown at the point of the plane with the scene there; returns the numbers."""
    at = PERTURBATION.parse_handles({name: handles(page)[f"digit.{name}"] for name in ("along", "across")} | held)
    frame = PERTURBATION.views([get(focus)], at, {focus: params}, [f"at:{focus}"])
    numbers = frame.numbers[focus]
    for name in ("at.loss", "at.clean"):
        shown = float(page.locator(f"output[name='{name}']").get_attribute("data-value") or "nan")
        assert shown == pytest.approx(numbers[name], rel=1e-9, abs=1e-12), (focus, name)
    assert page.locator("output[name='at.class']").get_attribute("data-value") == f"{numbers['at.class']:g}"
    ink = frame.arrays[f"at:{focus}"].clamp(0, 1).tolist()
    assert painted(page, ".lv-perturbation-rider canvas") == pytest.approx(ink, abs=1 / 254)
    return numbers


def test_a_digit_is_dragged_over_the_plane_of_two_directions(open_page: Open):
    page = open_page(f"{ADDRESS}&digit=11")
    ready(page)
    page.wait_for_selector(".lv-perturbation-plane .lv-handle", state="visible")
    settle(page)
    start = check_plane(page, "pgd_ce", PARAMS["pgd_ce"], digit=11)
    drag(page, "digit", 40, 20)
    here = check_plane(page, "pgd_ce", PARAMS["pgd_ce"], digit=11)
    held = handles(page)
    assert here["at.clean"] != start["at.clean"] and held["digit.along"] > 0
    wait_for_query(page, **{name: f"{held[f'digit.{name}']:.12g}" for name in ("along", "across")})
    check(page, PARAMS)
    page.locator('[data-handle="digit"] [role=slider]').first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    settle(page)
    assert handles(page)["digit.along"] == pytest.approx(held["digit.along"] + 0.1)
    check_plane(page, "pgd_ce", PARAMS["pgd_ce"], digit=11)
    # The same in the table.
    page.get_by_text("Numbers as a table").click()
    row = page.locator(".lv-table tr").filter(has_text="Along the attack").locator("td").last
    assert float(row.inner_text().replace("−", "-")) == pytest.approx(handles(page)["digit.along"], rel=1e-3)
    page.reload()
    ready(page)
    page.wait_for_selector(".lv-perturbation-plane .lv-handle", state="visible")
    for focus in ("trades", "vat"):
        page.click(f"li[data-loss='{focus}'] .lv-name")
        settle(page)
        check_plane(page, focus, PARAMS.get(focus, {}), digit=11)
    # The attack's end is the place 1 along it.
    page.goto(page.url.split("?")[0] + ADDRESS.removeprefix("/explore") + "&digit=11&along=1&across=0")
    ready(page)
    page.wait_for_selector(".lv-perturbation-plane .lv-handle", state="visible")
    settle(page)
    attacked = float(page.locator("output[name='digit.attacked']").get_attribute("data-value") or "nan")
    assert check_plane(page, "pgd_ce", PARAMS["pgd_ce"], digit=11)["at.clean"] == pytest.approx(attacked, rel=1e-9)


def test_the_toy_network_is_dragged_without_the_digit(visit: Any, site: Any):
    page = visit().context.new_page()
    asked: list[list[str]] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda sent: asked.append(views_of(sent))))
    page.goto(site.url + ADDRESS)
    ready(page)
    page.wait_for_selector(".lv-perturbation-plane .lv-handle", state="visible")
    settle(page)
    asked.clear()
    drag(page, "x", 60, -25)
    assert any("attack" in views for views in asked)
    assert not [view for views in asked for view in views if view.startswith(("digit", "plane", "at:"))]
    asked.clear()
    drag(page, "digit", 30, 10)
    of_digit = {view for views in asked for view in views if view.startswith(("digit", "plane", "at:"))}
    assert of_digit == {"at:pgd_ce"}


def views_of(sent: str | bytes) -> list[str]:
    """The views that a message to the live socket asks for."""
    try:
        message = json.loads(sent)
    except ValueError:
        return []  # Streamlit's own
    return message.get("views", []) if isinstance(message, dict) else []


def test_an_attack_without_room_says_that_it_has_no_plane(open_page: Open):
    page = open_page(f"{ADDRESS}&pgd_ce.epsilon=0&epsilon=0")
    ready(page)
    page.wait_for_selector(".lv-perturbation-digits:not([hidden])")
    assert "moves nothing" in page.locator(".lv-perturbation-still").inner_text()
    assert not page.locator(".lv-perturbation-plane .lv-handle").is_visible()
    check(page, {key: {**PARAMS.get(key, {}), "epsilon": 0.0} for key in ("pgd_ce",)} | {"vat": PARAMS["vat"]})


def test_nothing_sticks_out_on_a_phone(visit: Any, site: Any):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(site.url + ADDRESS)
    ready(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    drag(page, "x", -15, 20)
    check(page, PARAMS)
