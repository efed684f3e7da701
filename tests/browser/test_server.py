"""Another path, a server that goes away and comes back, and pages that ask nobody else."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser
from websockets.sync.client import connect

from benchmarks.served import Served, served
from tests.browser.conftest import DESK, Visitor
from tests.browser.stage import check_numbers, drag, handles, ready, settle
from tests.live.frames import decode


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server under a path of its own, which a test may end and start again."""
    with served("app.py", tmp_path_factory.mktemp("lab"), "/lab") as server:
        yield server


def test_under_another_path_everything_works_and_comes_back_after_a_restart(browser: Browser, lab: Served):
    context = browser.new_context(viewport=DESK)  # pyright: ignore[reportArgumentType]
    visitor = Visitor(context, urlsplit(lab.url).netloc)
    page = visitor.page(lab.url + "/explore?loss=huber,mse")
    ready(page)
    drag(page, "pred", -120)
    before = check_numbers(page, "regression")
    page.wait_for_function("location.search.includes('pred=')")
    assert urlsplit(page.url).path == "/lab/explore"
    # Only now: a server that is gone makes errors of its own in the console.
    assert visitor.errors == []

    lab.kill()
    page.wait_for_selector(".lv-root.lv-offline")
    said = page.inner_text(".lv-status")
    assert re.fullmatch(r"Connection lost\. The picture is as of .*\d+:\d\d:\d\d.*; trying again\.", said)
    assert check_numbers(page, "regression") == before

    lab.start()
    page.wait_for_selector(".lv-root:not(.lv-offline)", timeout=40_000)
    assert page.inner_text(".lv-status") == ""
    drag(page, "pred", 60)
    assert check_numbers(page, "regression")["handles"] != before["handles"]
    # Streamlit's own connection comes back in its own time; what was done meanwhile reaches the address then.
    page.wait_for_function(
        "pred => new URLSearchParams(location.search).get('pred') === pred",
        arg=f"{handles(page)['pred']:.12g}",
        timeout=40_000,
    )
    check_numbers(page, "regression")
    assert visitor.foreign == []
    context.close()


def test_a_message_of_ten_megabytes_is_answered_by_the_real_server(visit: Any, site: Served):
    """The tests of the socket itself go past uvicorn, which has limits of its own."""
    page = visit().page(site.url + "/explore")
    first: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda sent: first.append(str(sent))))
    page.reload()
    ready(page)
    token = next(message for message in first if message.startswith('{"token"'))
    request = {"scene": "regression", "losses": ["mse"], "params": {}, "handles": {"pred": 1}, "views": ["curve"]}
    with connect(site.url.replace("http", "ws") + "/live/scene", max_size=None) as socket:
        socket.send(token)
        socket.send("x" * 10_000_000)
        assert json.loads(socket.recv(20))["error"].endswith("allowed: at most 16384.")
        socket.send(json.dumps({"seq": 3, **request}))
        answer = socket.recv(20)
        assert isinstance(answer, bytes) and decode(answer)[0]["seq"] == 3


def test_the_last_page_that_no_other_test_opens_asks_nobody_else(visit: Any, site: Served):
    """Every visit is checked for other hosts, errors and exceptions; this adds the surface of a simplex."""
    page = visit().page(site.url + "/explore?scene=classes&tab=surface")
    page.wait_for_function("document.querySelector('.lv-solid')?.dataset.seq")
    assert page.locator("[data-testid=stException]").count() == 0


def test_the_home_page_moves_by_itself_until_it_is_touched(visit: Any, site: Served):
    page = visit().page(site.url + "/")
    page.wait_for_selector('[data-handle="pred"]')
    began = handles(page)["pred"]
    page.wait_for_function(
        "was => document.querySelector('[data-handle=pred]').getAttribute('aria-valuenow') !== was", arg=str(began)
    )
    page.wait_for_function("document.querySelector('output[data-loss]').dataset.seq > 3")
    page.locator('[data-handle="pred"]').focus()
    settle(page)
    held = handles(page)["pred"]
    page.wait_for_timeout(300)
    assert handles(page)["pred"] == held
    drag(page, "pred", 40)
    check_numbers(page, "regression")


def test_a_home_page_that_nobody_looks_at_comes_to_rest(visit: Any, site: Served):
    visitor = visit()
    visitor.context.clock.install()
    page = visitor.page(site.url + "/")
    page.wait_for_function("document.querySelector('output[data-loss]')?.dataset.seq > 3")
    page.clock.fast_forward(60_000)
    settle(page)
    seq = page.locator("output[data-loss]").first.get_attribute("data-seq")
    page.wait_for_timeout(500)
    assert page.locator("output[data-loss]").first.get_attribute("data-seq") == seq
    assert handles(page)["pred"] == 0.5
    drag(page, "pred", 40)
    check_numbers(page, "regression")


@pytest.mark.slow
def test_who_asks_for_less_motion_gets_a_still_home_page(visit: Any, site: Served):
    page = visit(reduced_motion="reduce").page(site.url + "/")
    page.wait_for_selector('[data-handle="pred"]')
    settle(page)
    began = handles(page)["pred"]
    time.sleep(0.5)
    assert handles(page)["pred"] == began
