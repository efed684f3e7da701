"""From a move of the pointer to the new number and the new pictures, in a real Chromium; prints one JSON line a scene.

    python -m benchmarks.drag [--scene KEY|all] [--moves 100] [--repeats 1]

The scene is as a newcomer finds it, and a handle is dragged for ``moves`` moves, one each 30 ms. Times are taken inside
the page, from a pointer event's own timeStamp to the moment at which ``data-seq`` is set on the number (``median_ms``,
``p95_ms``) and on the last of the 2-D pictures (``picture_...``), which happens after they are drawn. ``limits_ms`` are
what the scene's medians have to keep; the exit status is 1 where one does not.

Which answer belongs to which move: every request is seen as it is sent, with its seq. A move is answered by the first
number whose request was sent after that move's event had arrived, since each request holds the handles of its moment;
an answer to an earlier request shows an earlier position and does not count, however soon it comes after the move. A
picture may skip an answer for a newer one, so the first drawing with that seq or a later one counts, on each picture.

``baseline_median_ms``, for regression and classes, is the same for the pictures of `benchmarks/baselines/fragment.py`,
whose figures carry the number of the move they answer; ``ratio`` is ours / theirs, pictures both. ``p95_busy_ms`` is
the number's p95 while another browser opens one page after the other. With ``--scene all`` there is one line for each
scene, without those two; there ``--trip`` delays every message, and what counts is that pictures keep coming.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.served import served

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAUSE_MS = 30
PICTURES_A_SECOND = 15
"""At least so many come over a slow link."""
SOONER = ("regression", "margin", "classes", "distributions")
SOONER_LIMITS = (25, 50)
LIMITS = (40, 70)
"""Milliseconds until number and pictures: medians in a quiet browser on 2 cores."""
FRAGMENT_SCENES = ("regression", "classes")
FRAGMENT = "benchmarks/baselines/fragment.py"


@dataclass(frozen=True)
class Grip:
    """What is dragged in a scene, and how far to and fro: so that no move runs into a bound."""

    handle: str
    across: float = 0.0
    down: float = 0.0

    def way(self, x: float, y: float, moves: int) -> list[tuple[float, float]]:
        """Where the pointer goes: never twice in a row to the same place."""
        shares = [((i * 37) % 100) / 100 - 0.5 for i in range(moves)]
        return [(x + share * self.across, y + share * self.down) for share in shares]


GRIPS = {
    "regression": Grip("pred", across=400),
    "line": Grip("p4", down=160),
    "margin": Grip("score", across=300),
    "classes": Grip("z1", across=100),
    "distributions": Grip("q.2", down=60),
    "boxes": Grip("pred.centre", across=60, down=40),
    "masks": Grip("pred.27", across=240),
    "embeddings": Grip("points.at.1", across=80, down=40),
    "sequence": Grip("logits.13", down=60),
    "critic": Grip("fake.3", across=60),
    "tasks": Grip("g2", across=100, down=40),
    "perturbation": Grip("x", across=80, down=30),
    "sparse": Grip("optimum", across=80, down=40),
    "formula": Grip("pred", across=300),
}

SENT = """
const send = WebSocket.prototype.send;
window.lvLog = [];
WebSocket.prototype.send = function (data) {
  const seq = typeof data === "string" && /^{"seq":(\\d+)/.exec(data);
  if (seq) window.lvLog.push(["sent", performance.now(), Number(seq[1])]);
  return send.call(this, data);
};
"""
DELAY = """(half) => {
  const Native = WebSocket;
  window.WebSocket = class extends Native {
    send(data) {
      setTimeout(() => this.readyState === Native.OPEN && super.send(data), half);
    }
    set onmessage(listener) {
      super.onmessage = (event) => setTimeout(() => listener(event), half);
    }
  };
}"""
WATCH = """() => {
  addEventListener("pointermove", (e) => window.lvLog.push(["move", performance.now(), e.timeStamp]), true);
  const watch = (kind, element, i) => new MutationObserver(() => window.lvLog.push([kind, performance.now(), Number(element.dataset.seq), i]))
    .observe(element, { attributeFilter: ["data-seq"] });
  watch("number", document.querySelector("output[name=loss]"), 0);
  document.querySelectorAll(".js-plotly-plot:not(.lv-solid)").forEach((plot, i) => watch("picture", plot, i));
}"""  # noqa: E501
WATCH_FRAGMENT = """() => {
  window.lvLog = [];
  let n = 0;
  addEventListener("pointermove", (e) => {
    if (!e.buttons) return;
    n += 1;
    window.lvLog.push(["move", performance.now(), e.timeStamp], ["sent", performance.now(), n]);
  }, true);
  const shown = {};
  const look = () => document.querySelectorAll(".js-plotly-plot").forEach(({ layout }) => {
    const { n, chart } = layout?.meta ?? {};
    if (!(n > (shown[chart] ?? 0))) return;
    shown[chart] = n;
    window.lvLog.push(["picture", performance.now(), n, chart]);
  });
  // Of the whole page: Streamlit may put another element in a chart's place.
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, attributes: true });
}"""


def delayed(trip: float) -> str:
    """A script that makes every message wait: half of ``trip`` milliseconds on its way out, half on its way back."""
    return f"({DELAY})({trip / 2});"


@dataclass
class Times:
    """Milliseconds from a move to what it changed, one entry a move, and how often a picture came."""

    numbers: list[float] = field(default_factory=list[float])
    pictures: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])


def attribute(log: list[list[Any]], times: Times, trip: float = 0) -> None:
    """Read a page's log into ``times``; see the module for which answer belongs to which move.

    Pictures are counted from two round trips of ``trip`` milliseconds on: before that none can have come.

    Entries: ``[move, seen, timeStamp]``, ``[sent, when, seq]``, ``[number | picture, when, seq, which]``.
    """
    moves = [(seen, stamp) for kind, seen, stamp, *_ in log if kind == "move"]
    sent = sorted((seq, when) for kind, when, seq, *_ in log if kind == "sent")
    numbers = [(when, seq) for kind, when, seq, *_ in log if kind == "number"]
    pictures = [(when, seq, which) for kind, when, seq, *rest in log if kind == "picture" for which in rest]
    shown = {which for _, _, which in pictures}
    for seen, stamp in moves:
        wanted = next((seq for seq, when in sent if when >= seen), None)
        if wanted is None:
            continue
        if number := next((when for when, seq in numbers if seq >= wanted), None):
            times.numbers.append(number - stamp)
        drawn = [next((when for when, seq, i in pictures if i == which and seq >= wanted), None) for which in shown]
        known = [when for when in drawn if when is not None]
        if known and len(known) == len(drawn):
            times.pictures.append(max(known) - stamp)
    begin, end = moves[0][0] + 2 * trip, moves[-1][0]
    times.rates.append(1000 * len({seq for when, seq, _ in pictures if begin <= when <= end}) / (end - begin))


def shake(page: Page, selector: str, grip: Grip, moves: int, pause: float = PAUSE_MS) -> None:
    """Press in the middle of an element and move to and fro, one move each ``pause`` milliseconds."""
    box = page.locator(selector).first.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for to in grip.way(x, y, moves):
        page.mouse.move(*to)
        page.wait_for_timeout(pause)
    page.wait_for_timeout(300)
    page.mouse.up()


def ours(
    browser: Browser, url: str, scene: str, moves: int, times: Times, trip: float = 0, pause: float = PAUSE_MS
) -> None:
    """Drag a handle of the explorer, over a link whose round trip takes ``trip`` milliseconds longer."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script((delayed(trip) if trip else "") + SENT)
    page.goto(f"{url}/explore?scene={scene}")
    page.wait_for_function("document.querySelector('output[name=loss]')?.dataset.seq")
    page.wait_for_timeout(1500)
    page.evaluate(WATCH)
    page.evaluate("window.lvLog.length = 0")
    shake(page, f"[data-handle='{GRIPS[scene].handle}']", GRIPS[scene], moves, pause)
    # The first move goes to the handle itself and changes nothing.
    attribute(after_first_move(page.evaluate("window.lvLog")), times, trip)
    page.close()


def after_first_move(log: list[list[Any]]) -> list[list[Any]]:
    """The log without the move that only brought the pointer there."""
    first = next(i for i, entry in enumerate(log) if entry[0] == "move")
    return log[first + 1 :]


def theirs(browser: Browser, url: str, scene: str, moves: int, times: Times) -> None:
    """Drag along the strip of the fragment."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{url}/?scene={scene}")
    page.wait_for_function(
        "n => document.querySelectorAll('.js-plotly-plot').length === n", arg=3 - (scene == "classes")
    )
    page.wait_for_timeout(1500)
    page.evaluate(WATCH_FRAGMENT)
    shake(page, ".strip", Grip("", across=400), moves)
    attribute(page.evaluate("window.lvLog"), times)
    page.close()


@contextmanager
def visitors(url: str) -> Iterator[None]:
    """Another browser that opens one page after the other, each in a fresh profile."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.drag", "--visit", url])
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def open_pages(browser: Browser, url: str) -> None:
    """Open pages until this process is ended."""
    for path in cycle(("/explore", "/train", "/runs", "/explore?scene=classes")):
        page = browser.new_page()
        page.goto(url + path)
        page.wait_for_selector(".lv-plot, [data-testid=stAlert]")
        page.close()


def p95(values: list[float]) -> float:
    """The value that one in twenty exceeds."""
    return statistics.quantiles(values, n=20)[-1]


def result(scene: str, moves: int, repeats: int) -> dict[str, Any]:
    """Measure everything; each repeat drags ours and theirs in turn."""
    quiet, busy, fragment = Times(), Times(), Times()
    with (
        tempfile.TemporaryDirectory() as folder,
        served("app.py", Path(folder) / "ours") as app,
        served(FRAGMENT, Path(folder) / "theirs") as baseline,
        chromium() as browser,
    ):
        for _ in range(repeats):
            ours(browser, app.url, scene, moves, quiet)
            if scene in FRAGMENT_SCENES:
                theirs(browser, baseline.url, scene, moves, fragment)
        with visitors(app.url):
            ours(browser, app.url, scene, moves, busy)
    found = figures(scene, quiet, moves, repeats)
    if fragment.pictures:
        base = statistics.median(fragment.pictures)
        found["baseline_median_ms"] = round(base, 1)
        found["baseline_p95_ms"] = round(p95(fragment.pictures), 1)
        found["baseline_updates_per_s"] = round(statistics.median(fragment.rates), 1)
        found["ratio"] = round(statistics.median(quiet.pictures) / base, 3)
    return {**found, "p95_busy_ms": round(p95(busy.numbers), 1)}


def every_scene(moves: int, repeats: int, trip: float) -> Iterator[dict[str, Any]]:
    """Measure one scene after the other with the same server and browser."""
    with tempfile.TemporaryDirectory() as folder, served("app.py", Path(folder)) as app, chromium() as browser:
        for scene in GRIPS:
            times = Times()
            for _ in range(repeats):
                ours(browser, app.url, scene, moves, times, trip, PAUSE_MS / 2 if trip else PAUSE_MS)
            found = figures(scene, times, moves, repeats)
            if trip:
                found |= {"trip_ms": trip, "limit_per_s": PICTURES_A_SECOND}
                found["kept"] = found["updates_per_s"] >= PICTURES_A_SECOND
            yield found


def figures(scene: str, times: Times, moves: int, repeats: int) -> dict[str, Any]:
    """What is told of one scene."""
    number, picture = statistics.median(times.numbers), statistics.median(times.pictures)
    limits = SOONER_LIMITS if scene in SOONER else LIMITS
    return {
        "benchmark": "drag",
        "scene": scene,
        "moves": moves,
        "repeats": repeats,
        "answered": len(times.numbers),
        "median_ms": round(number, 1),
        "p95_ms": round(p95(times.numbers), 1),
        "picture_median_ms": round(picture, 1),
        "picture_p95_ms": round(p95(times.pictures), 1),
        "limits_ms": limits,
        "kept": number <= limits[0] and picture <= limits[1],
        "updates_per_s": round(statistics.median(times.rates), 1),
    }


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", choices=[*GRIPS, "all"], default="regression")
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--trip", type=float, default=0, help="with all: milliseconds that a round trip takes longer")
    parser.add_argument("--visit", metavar="URL", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.visit:
        with chromium() as browser:
            open_pages(browser, a.visit)
    kept = True
    for found in every_scene(a.moves, a.repeats, a.trip) if a.scene == "all" else [result(a.scene, a.moves, a.repeats)]:
        print(json.dumps(found), flush=True)
        kept &= found["kept"]
    sys.exit(not kept)


if __name__ == "__main__":
    main()
