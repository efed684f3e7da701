"""Several classes in a real browser: hard and soft labels dragged, a batch's reductions, labels and an ignored row."""

import csv
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from lossviz import get
from lossviz.scenes import get_scene
from tests.browser.stage import READ, centre, drag, handles, query, ready, settle, wait_for_query

Open = Callable[[str], Page]
CLASSES = "/explore?scene=classes&loss=cross_entropy,softmax_focal&softmax_focal.gamma=1.5"
FOCAL: dict[str, dict[str, Any]] = {"softmax_focal": {"gamma": 1.5}}
EXACT = "all => all.map((o) => [o.name, o.dataset.value === '' ? NaN : Number(o.dataset.value)])"


def shown(page: Page, selector: str) -> dict[str, float]:
    """Exact numbers on screen by the names of their outputs; NaN where there is none."""
    return dict(page.eval_on_selector_all(selector, EXACT))


def check_classes(page: Page, **options: Any) -> dict[str, Any]:
    """Compare what the scene of several classes shows with torch at its handles; returns the handles held."""
    scene = get_scene("classes")
    held = handles(page)
    more = list(scene.parse_handles({})["more"])
    for name, value in held.items():
        if name.startswith("more."):
            more[int(name.removeprefix("more."))] = value
    soft = [value for name, value in held.items() if name.startswith("soft.") and name[5:].isdigit()]
    values = {name: value for name, value in held.items() if "." not in name}
    values = scene.parse_handles({**values, "more": more, "soft": soft, **options})
    focus = get("cross_entropy")
    views = [f"{view}:{focus.key}" for view in ("batch", "formula", "proof")]
    frame = scene.views([focus, get("softmax_focal")], values, FOCAL, views)
    for output in page.evaluate(READ)["outputs"]:
        expected = frame.numbers[output["loss"]][output["name"]]
        assert float(output["value"]) == pytest.approx(expected, rel=1e-9, abs=1e-12), (output, values)
    numbers = frame.numbers[focus.key]
    expected = {name: numbers[name] for name in numbers if name.startswith(("p.", "corner"))}
    expected |= {f"y.{k + 1}": share for k, share in enumerate(frame.told.get("soft", []))}
    assert shown(page, "output[name^='p.'], output[name^='y.'], output[name=corner]") == pytest.approx(
        expected, rel=1e-9, abs=1e-12
    )
    lines = page.eval_on_selector_all("output[data-lines]", "all => all.map((o) => JSON.parse(o.dataset.value))")
    assert [line if isinstance(line, list) else [line] for line in lines] == [
        pytest.approx(line, rel=1e-9, abs=1e-12) for line in frame.lines[focus.key]
    ]
    assert shown(page, "output[name='proof.autograd']")["proof.autograd"] == pytest.approx(
        frame.proofs[focus.key].autograd, rel=1e-9, abs=1e-12
    )
    if values["batch"]:
        check_batch(page, frame.told["batch"])
    return values


def check_batch(page: Page, told: dict[str, Any]) -> None:
    numbers = {f"batch.{name}": told[name] for name in ("sum", "over", "mean", "plain")}
    rows: dict[str, Any] = {}
    for i, row in enumerate(told["rows"]):
        rows |= {f"batch.{i}.{name}": math.nan if row[name] is None else row[name] for name in ("loss", "part")}
        rows |= {f"batch.{i}.gradient.{k + 1}": slope for k, slope in enumerate(row["gradient"])}
    seen = shown(page, "output[name^='batch.']")
    assert set(rows) <= set(seen)
    expected = {name: (numbers | rows)[name] for name in seen}
    assert seen == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def reduction(page: Page, name: str) -> None:
    """Choose what is made of the batch's values, and wait for the numbers."""
    page.click(f"[data-reduction={name}]")
    page.wait_for_function(
        "n => document.querySelector(`[data-reduction=${n}]`).getAttribute('aria-pressed') === 'true'", arg=name
    )
    settle(page)


def turn(page: Page, kind: str) -> None:
    """Make the label one class, or soft, and wait for the scene that the page builds for it."""
    page.click(f"[data-label={kind}]")
    page.wait_for_selector(f"[data-label={kind}][aria-pressed=true]")
    settle(page)


def test_ten_classes_fed_twice_obey_mouse_and_keyboard_and_have_a_floor(open_page: Open):
    options: dict[str, Any] = {"classes": 10, "twice": True, "temperature": 2.0, "batch": True}
    page = open_page(CLASSES + "&classes=10&twice=true&temperature=2&batch=true&label=4")
    ready(page)
    assert page.locator("[data-handle=p]").count() == 0
    start = check_classes(page, **options)
    floor = page.locator(".lv-classes-floor output")
    assert floor.inner_text() == "1.461"
    for name, dx in (("z2", 50), ("more.0", -40), ("more.6", 60)):
        before = handles(page)
        drag(page, name, dx)
        after = handles(page)
        assert {other for other in after if after[other] != before[other]} == {name}
        check_classes(page, **options)
    _, y = centre(page, '[data-handle="label"]')
    drag(page, "label", 0, centre(page, '[data-handle="more.5"]')[1] - y)
    assert handles(page)["label"] == 9 != start["label"]
    check_classes(page, **options)
    page.locator('[data-handle="label"]').focus()
    page.keyboard.press("End")
    assert handles(page)["label"] == 10
    page.locator('[data-handle="more.6"]').focus()
    page.keyboard.press("Home")
    assert handles(page)["more.6"] == -8
    settle(page)
    page.locator('[data-handle="weights.1"]').evaluate(
        "e => { e.value = 4; for (const name of ['input', 'change']) e.dispatchEvent(new Event(name)); }"
    )
    page.wait_for_function("new URLSearchParams(location.search).get('weights')?.startsWith('1,4,1')")
    settle(page)
    weights = [1.0, 4.0, *[1.0] * 8]
    held = check_classes(page, **options, weights=weights)
    page.reload()
    ready(page)
    assert check_classes(page, **options, weights=weights) == held


def test_the_number_of_classes_changes_the_picture_and_a_label_beyond_is_said(open_page: Open):
    page = open_page(CLASSES + "&label=3")
    ready(page)
    assert page.locator("[data-handle=p]").count() == 1
    count = page.locator(".lv-options input[type=number]").first
    count.fill("2")
    count.press("Enter")
    page.wait_for_selector(".lv-classes-ladder")
    page.wait_for_function("document.querySelector('[data-note=cross_entropy]').textContent")
    assert page.inner_text("[data-note=cross_entropy]").startswith(
        "The label is class 3 of 2 classes; allowed: 1 to 2."
    )
    count = page.locator(".lv-options input[type=number]").first
    count.fill("5")
    count.press("Enter")
    page.wait_for_selector("[data-handle='more.1']", state="attached")
    settle(page)
    check_classes(page, classes=5)
    assert query(page)["classes"] == "5"


def test_a_soft_label_is_a_point_and_a_disc_for_each_class(open_page: Open):
    page = open_page(CLASSES + "&label=3&z3=3")
    ready(page)
    turn(page, "soft")
    start = check_classes(page)
    assert start["soft"] == [0.1, 0.1, 0.8]
    assert page.locator("[data-handle=label]").count() == 0
    assert page.locator("li[data-loss=cross_entropy] .lv-number span").first.inner_text() == "Expected loss"
    assert "mean over the label" in page.inner_text(".lv-classes-label")
    for k, dx in ((0, 50), (1, 30), (2, -40)):
        before = check_classes(page)["soft"]
        drag(page, f"soft.{k}", dx)
        after = check_classes(page)["soft"]
        assert (after[k] > before[k]) == (dx > 0)
        assert sum(after) == pytest.approx(1, abs=1e-12)
        # The others keep their proportions, to the thousandth.
        first, second = [j for j in range(3) if j != k]
        assert after[first] * before[second] == pytest.approx(after[second] * before[first], abs=1e-3)
    drag(page, "soft", -60, -50)
    held = handles(page)
    shares = check_classes(page)["soft"]
    assert shares != after and sum(shares) == pytest.approx(1, abs=1e-12)
    assert held["soft.x"] == pytest.approx(shares[1] + shares[2] / 2, abs=1e-9)
    assert held["soft.y"] == pytest.approx(shares[2] * 3**0.5 / 2, abs=1e-9)
    wait_for_query(page, soft=",".join(f"{share:.12g}" for share in shares))
    for name in ("z1", "p"):
        drag(page, name, 30, -20)
        assert check_classes(page)["soft"] == shares
    page.reload()
    ready(page)
    assert check_classes(page)["soft"] == shares
    turn(page, "class")
    back = check_classes(page)
    assert back["soft"] == [] and back["label"] == 1 + shares.index(max(shares))
    page.wait_for_function("!new URLSearchParams(location.search).has('soft')")
    page.go_back()
    page.wait_for_selector("[data-label=soft][aria-pressed=true]")
    settle(page)
    assert check_classes(page)["soft"] == shares


def test_shares_obey_the_keyboard_and_come_back_as_they_were(open_page: Open):
    page = open_page(CLASSES + "&soft=0.2,0.5,0.3")
    ready(page)
    disc = page.locator("[data-handle='soft.1']")
    assert disc.get_attribute("aria-label") == "Label’s share of class 2"
    disc.focus()
    for key, value in (("ArrowRight", 0.51), ("Shift+ArrowLeft", 0.41), ("End", 1), ("ArrowLeft", 0.99), ("Home", 0)):
        page.keyboard.press(key)
        assert handles(page)["soft.1"] == pytest.approx(value, abs=1e-9), key
        held = handles(page)
        assert sum(held[f"soft.{k}"] for k in range(3)) == pytest.approx(1, abs=1e-12)
        assert held["soft.0"] * 3 == pytest.approx(held["soft.2"] * 2, abs=6e-3)
    settle(page)
    assert check_classes(page)["soft"] == [0.4, 0, 0.6]
    page.locator("[data-handle=soft] [role=slider]").first.focus()
    page.keyboard.press("ArrowRight")
    settle(page)
    assert handles(page)["soft.1"] > 0
    check_classes(page)
    page.locator("[data-label=class]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-label=class][aria-pressed=true]")
    assert page.evaluate("document.activeElement.dataset.label") == "class"


def test_ten_shares_lie_beside_ten_probabilities(open_page: Open):
    options: dict[str, Any] = {"classes": 10, "batch": True, "twice": True}
    page = open_page(CLASSES + "&classes=10&batch=true&twice=true&soft=0.2,0.5,0.3")
    ready(page)
    start = check_classes(page, **options)["soft"]
    assert start == [0.2, 0.5, 0.3, *[0] * 7]
    drag(page, "soft.8", 40)
    after = check_classes(page, **options)["soft"]
    assert after[8] > 0.2 and sum(after) == pytest.approx(1, abs=1e-12)
    assert "where the probabilities are the label itself" in page.inner_text(".lv-classes-floor")
    page.evaluate("document.querySelector('.lv-table').open = true")
    page.wait_for_selector(".lv-table tbody tr")
    heads = page.locator(".lv-table th").all_inner_texts()
    place = heads.index("Label")
    cells = [row.locator("td").nth(place).inner_text() for row in page.locator(".lv-table tbody tr").all()]
    assert [float(cell) for cell in cells] == pytest.approx(after, abs=1e-3)
    page.wait_for_function("document.querySelector('.lv-side .lv-hidden').textContent.includes('shares are')")


def test_the_program_and_the_formula_are_those_of_the_soft_label(open_page: Open):
    weights = [2.0, 0.5, 1.0, *[1.0] * 7]
    page = open_page(CLASSES + "&soft=0.2,0.5,0.3&weights=" + ",".join(f"{w:g}" for w in weights))
    ready(page)
    held = check_classes(page, weights=weights)
    drag(page, "soft", 30, 30)
    held = check_classes(page, weights=weights)
    text = f"[{', '.join(str(share) for share in held['soft'])}]"
    page.wait_for_function("t => document.querySelector('pre code').textContent.includes(t)", arg=text)
    program = page.locator("pre code").first.inner_text()
    assert "F.cross_entropy(pred, target, weight=weight)" in program
    names: dict[str, Any] = {}
    exec(program, names)  # our own text, from the page
    loss = shown(page, "li[data-loss=cross_entropy] output[name=loss]")["loss"]
    assert names["loss"].item() == pytest.approx(loss, rel=1e-9)
    gradients = shown(page, "li[data-loss=cross_entropy] output[name^='gradient.']")
    assert names["pred"].grad[0].tolist() == pytest.approx(list(gradients.values()), rel=1e-9)


def test_a_batch_follows_reduction_labels_and_an_ignored_row(open_page: Open):
    page = open_page(CLASSES + "&batch=true")
    ready(page)
    check_classes(page, batch=True)
    assert page.locator("output[name='batch.plain']").count() == 0
    for name in ("sum", "none", "mean"):
        reduction(page, name)
        check_classes(page, batch=True, reduction=name)
    reduction(page, "sum")
    wait_for_query(page, reduction="sum")
    page.locator("[data-handle='labels.0']").select_option("3")
    wait_for_query(page, labels="3,3,2")
    settle(page)
    check_classes(page, batch=True, reduction="sum", labels=[3, 3, 2])
    reduction(page, "mean")
    # With the keyboard: the last of the choices is to ignore the row.
    page.locator("[data-handle='labels.1']").focus()
    page.keyboard.press("End")
    wait_for_query(page, labels="3,0,2")
    settle(page)
    held = check_classes(page, batch=True, labels=[3, 0, 2])
    assert page.locator(".lv-classes-ignored").count() == 1
    numbers = shown(page, ".lv-classes-sum output")
    assert numbers["batch.over"] == 3
    assert numbers["batch.plain"] == pytest.approx(numbers["batch.sum"] / 4, rel=1e-12)
    assert "÷ (1 + 1 + 0 + 1 = 3)" in page.inner_text(".lv-classes-sum")
    # The first row's label is the picture's.
    page.locator("[data-handle='batch.label']").select_option("1")
    settle(page)
    assert handles(page)["label"] == 1
    wait_for_query(page, label="1")
    held = check_classes(page, batch=True, labels=[3, 0, 2])
    page.reload()
    ready(page)
    assert check_classes(page, batch=True, labels=[3, 0, 2]) == held
    # The focal loss knows no ignored rows, and says so instead of numbers.
    page.locator("li[data-loss=softmax_focal] .lv-name").click()
    page.wait_for_function("document.querySelector('.lv-classes-batch .lv-note').textContent")
    assert "has no ignore_index" in page.inner_text(".lv-classes-batch .lv-note")
    assert all(math.isnan(number) for number in shown(page, "output[name^='batch.']").values())


def test_a_soft_batch_divides_by_its_rows(open_page: Open):
    page = open_page(CLASSES + "&batch=true&soft=0.2,0.5,0.3&weights=1,3,1,1,1,1,1,1,1,1")
    ready(page)
    check_classes(page, batch=True, weights=[1, 3, *[1] * 8])
    assert shown(page, "output[name='batch.over']") == {"batch.over": 4}
    assert "divides by the rows, whatever the class weights" in page.inner_text(".lv-classes-sum")
    assert "Class weights" in page.inner_text(".lv-classes-label")


def test_a_soft_label_steps_and_goes_with_reset(open_page: Open):
    start = "/explore?scene=classes&loss=cross_entropy"
    page = open_page(start + "&soft=0.2,0.5,0.3&z1=3&tab=surface&batch=true&reduction=sum&labels=1,0,2")
    page.wait_for_function("document.querySelector('.lv-solid')?.dataset.seq")
    settle(page)
    before = shown(page, "li[data-loss=cross_entropy] output[name=loss]")["loss"]
    page.click("[data-step]")
    page.wait_for_function(
        "b => Number(document.querySelector('li[data-loss=cross_entropy] output[name=loss]').dataset.value) < b",
        arg=before,
    )
    page.get_by_role("button", name="Reset").click()
    page.wait_for_selector("[data-handle=label]", state="attached")
    page.wait_for_function("!['soft', 'z1', 'labels', 'reduction'].some((n) => location.search.includes(n + '='))")
    settle(page)
    held = check_classes(page)
    assert held["label"] == 2 and held["soft"] == []


def test_what_has_no_value_leaves_no_map_behind(open_page: Open):
    page = open_page(CLASSES + "&soft=0.2,0.5,0.3")
    ready(page)
    lines = "document.querySelector('.lv-main .lv-lines path').getAttribute('d')"
    page.wait_for_function(f"{lines}.length > 100")
    exact = page.locator(".lv-detail input[type=number]").first
    exact.fill("1")
    exact.press("Enter")
    page.wait_for_function(f"{lines} === ''")
    note = page.locator("[data-note=cross_entropy]")
    assert note.inner_text().startswith("cross_entropy.ignore_index is 1, allowed: below 0 with a soft label")
    turn(page, "class")
    page.wait_for_function(f"{lines} === ''")  # class 2 is the one that is ignored
    assert "every row is ignored" in page.locator("[data-note=cross_entropy]").inner_text()
    page.locator("[data-handle=label]").focus()
    page.keyboard.press("End")
    page.wait_for_function(f"{lines}.length > 100")


def test_axe_finds_nothing_serious_in_a_soft_batch(visit: Any, site: Any):
    for scheme, more in (("light", ""), ("dark", ""), ("light", "&classes=10")):
        page = visit(color_scheme=scheme).page(
            f"{site.url}{CLASSES}&soft=0.2,0.5,0.3&batch=true&twice=true&weights=1,3,1,1,1,1,1,1,1,1{more}"
        )
        ready(page)
        violations = Axe().run(page, context={"include": [[".lv-root"]]}).response["violations"]
        assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []


def test_a_label_beyond_the_classes_is_said_once_by_the_code(open_page: Open):
    page = open_page(CLASSES + "&label=5")
    page.wait_for_function("document.querySelector('[data-note=cross_entropy]')?.textContent")
    page.wait_for_selector("[data-testid=stAlert]")
    assert page.locator("[data-testid=stAlert]").count() == 1
    assert page.locator("[data-testid=stAlert]").inner_text().endswith("allowed: 0 to 2, or -100 to ignore the row")
    assert page.locator("[data-testid=stTab]").count() == 0


def test_a_soft_label_fits_a_phone(visit: Any, site: Any):
    for more in ("", "&classes=10"):
        page = visit(viewport={"width": 390, "height": 844}, has_touch=True).page(
            f"{site.url}{CLASSES}&soft=0.2,0.5,0.3&batch=true{more}"
        )
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator("[data-handle='soft.1']").bounding_box()
        assert box and box["width"] >= 44 and box["height"] >= 44
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        drag(page, "soft.1", 20)
        check_classes(page, batch=True, **({"classes": 10} if more else {}))


def test_the_data_of_a_soft_label_have_its_shares(open_page: Open):
    page = open_page(CLASSES + "&soft=0.2,0.5,0.3")
    ready(page)
    page.evaluate("document.querySelector('.lv-take').open = true")
    with page.expect_download() as download:
        page.click("[data-take=csv]")
    rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert rows[0][3] == "Label"
    assert [float(row[3]) for row in rows[1:]] == pytest.approx([0.2, 0.5, 0.3], rel=1e-12)
