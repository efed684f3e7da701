"""The real app in a real Chromium: one server and one browser for all tests here, a fresh profile for each visit."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from benchmarks.served import Served, served

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESK = {"width": 1440, "height": 900}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker("browser")


# Of the package and not of the session: Playwright keeps an event loop running, which other tests would stumble over.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Iterator[Served]:
    with served("app.py", tmp_path_factory.mktemp("site")) as server:
        yield server


class Visitor:
    """A browser profile that remembers what went wrong in it."""

    def __init__(self, context: BrowserContext, host: str):
        self.context = context
        self.host = host
        self.foreign: list[str] = []
        self.errors: list[str] = []
        context.on("request", lambda request: self._asked(request.url))
        context.on("console", self._said)
        context.on("weberror", lambda error: self.errors.append(f"{error.error}"))

    def page(self, url: str) -> Page:
        page = self.context.new_page()
        page.on("websocket", lambda socket: self._asked(socket.url))
        page.goto(url)
        return page

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self.host:
            self.foreign.append(url)

    def _said(self, message: ConsoleMessage) -> None:
        # Streamlit looks for its server under each part of the address in turn, and most of these do not exist.
        probe = "/_stcore/" in message.location.get("url", "") and "404" in message.text
        if message.type == "error" and not probe:
            self.errors.append(f"{message.text} ({message.location.get('url')})")


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser, site: Served) -> Iterator[Visit]:
    """Makes visitors; at the end none of them may have seen an error or asked another host for anything."""
    visitors: list[Visitor] = []

    def come(**options: object) -> Visitor:
        context = browser.new_context(**{"viewport": DESK, **options})  # pyright: ignore[reportArgumentType]
        context.set_default_timeout(20_000)
        visitors.append(Visitor(context, urlsplit(site.url).netloc))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.context.close()
    assert [url for visitor in visitors for url in visitor.foreign] == []
    assert [error for visitor in visitors for error in visitor.errors] == []


@pytest.fixture
def open_page(visit: Visit, site: Served) -> Callable[[str], Page]:
    """Opens an address of the app in a profile of its own."""
    return lambda path: visit().page(site.url + path)
