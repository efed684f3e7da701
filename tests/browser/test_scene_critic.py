"""The critic scene under hand and eye: samples, knots, posts, turns, training; every number is torch's."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from lossviz.losses import get
from lossviz.scenes.critic import CRITIC_SCENE, SPACES
from lossviz.scenes.critics import SAMPLES
from tests.browser.stage import PICTURES, READ, centre, drag, query, ready, wait_for_query

Open = Callable[[str], Page]
LINE = "/explore?scene=critic&loss=gan_minimax,lsgan,wgan,gradient_penalty&lsgan.c=2"
PLANE = LINE + "&space=plane"
PARAMS: dict[str, dict[str, Any]] = {
    "gan_minimax": {"side": "generator"},
    "lsgan": {"side": "generator", "c": 2.0},
    "wgan": {"side": "generator"},
}
EITHER = [(LINE, "line", "fake.{}"), (PLANE, "plane", "plane_fake.at.{}")]
CRITICS: dict[str, dict[str, Any]] = {"lsgan": {"c": 2.0}}
"""What the page's parameters are in the critic's turn."""

COUNT = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  const seq = typeof data === "string" && /^{"seq":(\\d+)/.exec(data);
  if (seq) window.lvAsked = Number(seq[1]);
  return send.call(this, data);
};
"""
# While an answer is drawn the next question has been asked, if there is one: nothing waits that is not counted.
ANSWERED = f"""(pictures) => {{
  const seqs = [...document.querySelectorAll(`output[data-loss], ${{pictures}}`)].map((e) => Number(e.dataset.seq));
  return seqs.length && seqs.every((seq) => seq === window.lvAsked) && JSON.stringify(({READ})());
}}"""
PATHS = """() => [...document.querySelectorAll(".lv-critic-main .lv-lines path")]
  .filter((path) => path.getAttribute("d"))
  .map((path) => [path.style.fill || path.style.stroke, path.getAttribute("d")])"""
COLOUR = """(i) => {
  const probe = document.querySelector(".lv-root").appendChild(document.createElement("i"));
  probe.style.color = `var(--lv-loss${i})`;
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}"""


@pytest.fixture
def open_page(visit: Any, site: Any) -> Open:
    """Opens an address in a profile that counts what it asks."""

    def come(path: str) -> Page:
        visitor = visit()
        visitor.context.add_init_script(COUNT)
        return visitor.page(site.url + path)

    return come


def answered(page: Page) -> dict[str, Any]:
    """What is shown once numbers and pictures are those of the newest question."""
    return json.loads(page.wait_for_function(ANSWERED, arg=PICTURES).json_value())


def check(
    page: Page, params: dict[str, dict[str, Any]] = PARAMS, space: str = "line", **options: Any
) -> dict[str, list[float]]:
    """Compare every number shown with torch at the handles shown."""
    read, names = answered(page), SPACES[space]
    held: dict[str, list[float]] = {series.name: [] for series in (names.real, names.fake, names.heights)}
    for name, value in read["handles"].items():
        held[name.partition(".")[0]].append(value)
    handles = CRITIC_SCENE.parse_handles({**held, **options, "space": space})
    shown: list[str] = []
    for output in read["outputs"]:
        loss = get(output["loss"])
        numbers = CRITIC_SCENE.views([loss], handles, params, []).numbers[loss.key]
        if output["name"] in numbers:
            assert float(output["value"]) == pytest.approx(numbers[output["name"]], rel=1e-9, abs=1e-12), output
            shown.append(output["name"])
        else:
            assert (output["name"], loss.key, output["value"]) == ("pull", "gradient_penalty", "")
    count = len({output["loss"] for output in read["outputs"]})
    pulls = count - ("gradient_penalty" in {output["loss"] for output in read["outputs"]})
    assert sorted(shown) == [*["loss"] * count, *["pull"] * pulls, "score.fake", "score.real"]
    return held


def moved(before: dict[str, list[float]], after: dict[str, list[float]]) -> set[str]:
    """Which values are others than before; the address keeps twelve digits of them."""
    pairs = [(f"{name}.{i}", was, after[name][i]) for name in before for i, was in enumerate(before[name])]
    return {name for name, was, now in pairs if now != pytest.approx(was, abs=1e-9)}


def table(page: Page, folder: Path) -> list[dict[str, str]]:
    """The picture's table twin, every digit of it, by column."""
    page.evaluate("document.querySelector('.lv-take').open = true")
    with page.expect_download() as download:
        page.click("[data-take='csv']")
    download.value.save_as(folder / "critic.csv")
    return list(csv.DictReader((folder / "critic.csv").read_text().splitlines()))


# --- on the line


def test_samples_and_knots_follow_the_mouse_and_the_keys_and_a_reload_keeps_them(open_page: Open):
    page = open_page(LINE)
    ready(page)
    before = check(page)
    for name, dx, dy in (("fake.0", 90, 0), ("real.5", -40, 0), ("knots.4", 0, -40)):
        drag(page, name, dx, dy)
        after = check(page)
        assert moved(before, after) == {name}
        before = after
    for name, key, change in (("fake.2", "ArrowLeft", -0.1), ("real.0", "PageUp", 1.0), ("knots.8", "ArrowDown", -0.1)):
        page.locator(f'[data-handle="{name}"]').focus()
        page.keyboard.press(key)
        after = check(page)
        series, i = name.split(".")
        assert after[series][int(i)] == pytest.approx(before[series][int(i)] + change)
        before = after
    wait_for_query(page, knots=",".join(f"{value:g}" for value in before["knots"]))
    page.reload()
    ready(page)
    assert check(page) == before


def test_each_side_has_its_turn(open_page: Open):
    page = open_page(LINE + "&focus=wgan")
    ready(page)
    before = check(page)
    assert page.locator("[data-turn=generator]").get_attribute("aria-pressed") == "true"
    page.locator("[data-play]").click()
    page.wait_for_function("Number(document.querySelector('[data-handle=\"fake.0\"]').ariaValueNow) > -2")
    page.locator("[data-play]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('fake')")
    played = check(page)
    assert moved(before, played) == {f"fake.{i}" for i in range(SAMPLES)}
    page.locator("[data-turn=discriminator]").click()
    wait_for_query(page, **{"wgan.side": '"discriminator"', "lsgan.side": '"discriminator"'})
    assert moved(played, check(page, CRITICS)) == set()
    page.locator("[data-step]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('knots')")
    learnt = moved(played, check(page, CRITICS))
    assert learnt and learnt <= {f"knots.{i}" for i in range(9)}


def test_arrows_can_be_left_out(open_page: Open):
    page = open_page(LINE)
    ready(page)
    shown = len(page.evaluate(PATHS))
    page.locator("[aria-label=arrows]").click()
    wait_for_query(page, arrows="false")
    answered(page)
    assert len(page.evaluate(PATHS)) < shown


# --- in the plane


def test_samples_and_posts_of_the_plane_follow_the_mouse_and_the_keys_and_a_reload_keeps_them(open_page: Open):
    page = open_page(PLANE)
    ready(page)
    before = check(page, space="plane")
    places = {"plane_fake.0", "plane_fake.1"}, {"plane_real.10", "plane_real.11"}
    for handle, dx, dy, changed in (
        ("plane_fake.at.0", 50, -30, places[0]),
        ("plane_real.at.5", -40, 25, places[1]),
        ("posts.0", 0, -25, {"posts.0"}),
    ):
        drag(page, handle, dx, dy)
        after = check(page, space="plane")
        assert moved(before, after) == changed
        before = after
    for name, key, changed, change in (
        ("plane_fake.4", "ArrowLeft", "plane_fake.4", -0.1),
        ("plane_fake.4", "ArrowUp", "plane_fake.5", 0.1),
        ("plane_real.2", "Shift+ArrowDown", "plane_real.3", -1.0),
        ("posts.2", "ArrowUp", "posts.2", 0.1),
        ("posts.3", "PageDown", "posts.3", -1.0),
    ):
        page.locator(f'[data-handle="{name}"]').focus()
        page.keyboard.press(key)
        after = check(page, space="plane")
        assert moved(before, after) == {changed}
        series, i = changed.split(".")
        assert after[series][int(i)] == pytest.approx(before[series][int(i)] + change)
        before = after
    wait_for_query(page, posts=",".join(f"{value:.12g}" for value in before["posts"]))
    page.reload()
    ready(page)
    assert check(page, space="plane") == before
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("!new URLSearchParams(location.search).has('plane_fake')")
    defaults = {
        series.name: list(series.default)
        for series in (SPACES["line"].real, SPACES["line"].fake, SPACES["line"].heights)
    }
    assert check(page, {**PARAMS, "lsgan": {"side": "generator"}}) == defaults


def test_each_side_has_its_turn_in_the_plane(open_page: Open):
    page = open_page(PLANE + "&focus=wgan")
    ready(page)
    before = check(page, space="plane")
    page.locator("[data-play]").click()
    page.wait_for_function("Number(document.querySelector('[data-handle=\"plane_fake.0\"]').ariaValueNow) > -2")
    page.locator("[data-play]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('plane_fake')")
    played = check(page, space="plane")
    assert moved(before, played) <= {f"plane_fake.{i}" for i in range(2 * SAMPLES)}
    page.locator("[data-turn=discriminator]").click()
    wait_for_query(page, **{"wgan.side": '"discriminator"', "lsgan.side": '"discriminator"'})
    assert moved(played, check(page, CRITICS, space="plane")) == set()
    page.locator("[data-step]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('posts')")
    learnt = moved(played, check(page, CRITICS, space="plane"))
    assert learnt and learnt <= {f"posts.{i}" for i in range(5)}


def test_the_table_has_the_gradient_by_either_coordinate(open_page: Open, tmp_path: Path):
    page = open_page(PLANE + "&critic=trained&steps=12")
    ready(page)
    held = check(page, space="plane", critic="trained", steps=12)
    rows = table(page, tmp_path)
    handles = CRITIC_SCENE.parse_handles({**held, "space": "plane", "critic": "trained", "steps": 12})
    assert [row["Sample"] for row in rows][SAMPLES] == "Generated sample 1" and len(rows) == 3 * SAMPLES
    for key in ("gan_minimax", "wgan", "gradient_penalty"):
        loss = get(key)
        frame = CRITIC_SCENE.views([loss], handles, PARAMS, ["curve"])
        for i in range(SAMPLES):
            row = rows[SAMPLES + i]
            assert [float(row["Place x"]), float(row["Place y"])] == held["plane_fake"][2 * i : 2 * i + 2]
            for axis in "xy":
                expected = frame.numbers[key][f"gradient.{i + 1}.{axis}"]
                assert float(row[f"{loss.name}: gradient {axis}"]) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        scores = [float(row[f"{loss.name}: score"]) for row in rows]
        assert scores == pytest.approx(frame.arrays["scores"].flatten().tolist(), rel=1e-6, abs=1e-6)
    words = page.locator(".lv-side [aria-live]").inner_text()
    assert "Generated sample" not in words and "(" in words and "Mean score" in words


def test_each_arrow_is_a_step_of_its_loss(open_page: Open):
    page = open_page("/explore?scene=critic&loss=lsgan&space=plane")
    ready(page)
    held = check(page, {"lsgan": {"side": "generator"}}, space="plane")
    handles = CRITIC_SCENE.parse_handles({**held, "space": "plane"})
    legend = page.locator(".lv-critic-legend").inner_text()
    factor = float(legend.split("×")[0].split()[-1])
    frame = CRITIC_SCENE.views([get("lsgan")], handles, {"lsgan": {"side": "generator"}}, ["curve"])
    tips = [
        [to * factor + at * (1 - factor) for at, to in zip(*step, strict=True)]
        for step in frame.arrays["arrows"][0].tolist()
    ]
    colour = page.evaluate(COLOUR, 0)
    heads = [path for fill, path in page.evaluate(PATHS) if fill == colour and "Z" in path]
    assert len(heads) == 1
    drawn = [[float(x) for x in head.split("L")[0].split()] for head in heads[0].split("M")[1:]]
    # Pixels by unit, from two discs that lie where they are held.
    area = page.locator(".lv-critic-main .lv-overlay").bounding_box()
    assert area
    discs = [centre(page, f'[data-handle="plane_fake.at.{i}"]') for i in range(SAMPLES)]
    (x0, y0), (x1, y1) = discs[0], discs[4]
    [ax, ay], [bx, by] = held["plane_fake"][0:2], held["plane_fake"][8:10]
    across, down = (x1 - x0) / (bx - ax), (y1 - y0) / (by - ay)
    for tip, (left, top) in zip(tips, drawn, strict=True):
        expected = x0 - area["x"] + across * (tip[0] - ax), y0 - area["y"] + down * (tip[1] - ay)
        assert (left, top) == pytest.approx(expected, abs=1.0)


def test_the_penalty_shows_where_it_looks_in_the_plane(open_page: Open):
    page = open_page(PLANE)
    ready(page)
    before = len(page.evaluate(PATHS))
    page.locator("li[data-loss=gradient_penalty] .lv-name").click()
    wait_for_query(page, focus="gradient_penalty")
    check(page, space="plane")
    assert len(page.evaluate(PATHS)) > before
    circles = page.locator(".lv-critic-main .lv-lines circle:visible")
    assert circles.count() == SAMPLES
    assert page.locator(".lv-critic-legend").inner_text().startswith("Dark arrows")


def test_the_samples_go_from_the_line_to_the_plane_and_back(open_page: Open):
    page = open_page(LINE)
    ready(page)
    line = check(page)
    page.locator("[aria-label=space]").select_option("plane")
    wait_for_query(page, space="plane")
    assert set(check(page, space="plane")) == {"plane_real", "plane_fake", "posts"}
    page.locator("[aria-label=space]").select_option("line")
    page.wait_for_function("!new URLSearchParams(location.search).has('space')")
    assert check(page) == line


# --- either way


@pytest.mark.parametrize(
    ("address", "space", "handle"), [(LINE, "line", "fake.5"), (PLANE, "plane", "plane_fake.at.5")]
)
def test_a_trained_critic_has_no_heights_and_learns_from_the_samples_where_they_are(
    open_page: Open, address: str, space: str, handle: str
):
    options: dict[str, Any] = {"space": space, "critic": "trained"}
    page = open_page(f"{address}&critic=trained&steps=9")
    ready(page)
    heights = SPACES[space].heights.name
    assert page.locator(f'[data-handle^="{heights}"]:visible').count() == 0
    before = check(page, **options, steps=9)
    drag(page, handle.format(5), 60)
    changed = moved(before, check(page, **options, steps=9))
    assert changed and all(name.startswith(SPACES[space].fake.name) for name in changed)
    page.locator("[data-turn=discriminator]").click()
    page.wait_for_function("new URLSearchParams(location.search).has('wgan.side')")
    page.locator("[data-step]").click()
    wait_for_query(page, steps="10")
    check(page, CRITICS, **options, steps=10)
    assert query(page)["critic"] == "trained"


@pytest.mark.parametrize(
    ("address", "space", "handle"), [(LINE, "line", "fake.0"), (PLANE, "plane", "plane_fake.at.0")]
)
def test_on_a_phone_nothing_overflows_and_samples_can_be_held(
    visit: Any, site: Any, address: str, space: str, handle: str
):
    visitor = visit(viewport={"width": 390, "height": 844}, has_touch=True)
    visitor.context.add_init_script(COUNT)
    page = visitor.page(site.url + address)
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    scroller = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{scroller}.scrollWidth - {scroller}.clientWidth") <= 0
    before = check(page, space=space)
    drag(page, handle.format(0), -6)
    changed = moved(before, check(page, space=space))
    assert changed == {f"{SPACES[space].fake.name}.0"}
