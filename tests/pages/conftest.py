"""A started service without workers, and pages run as Streamlit runs them."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lossviz.jobs.queue import Queue
from lossviz.jobs.sidecar import Sidecar
from lossviz.live.service import Service, start, stop
from lossviz.runs import Store
from lossviz.ui import WEB

PAGES = Path(__file__).parents[2] / "pages"


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("LOSSVIZ_HOME", str(tmp_path))
    monkeypatch.setattr(sys.modules["lossviz.live.service"], "Queue", idle)
    monkeypatch.setattr(Sidecar, "start", lambda self: None)
    yield start(WEB, "")
    stop()


def idle(store: Store) -> Queue:
    """A queue that starts no worker."""
    return Queue(store, workers=0)


@pytest.fixture
def visit(ours: Service) -> Callable[..., AppTest]:
    """Opens a page by its address, through the router; what any run of it raises fails the test."""

    def run(name: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(PAGES / "_router.py"), default_timeout=30).run()
        page.switch_page(f"{name}.py")
        for key, value in query.items():
            page.query_params[key.replace("__", ".")] = value
        return well(page.run())

    return run


def well(page: AppTest) -> AppTest:
    """The page, unless its last run ended in an exception."""
    assert not page.exception, [each.value for each in page.exception]
    return page


def said(page: AppTest) -> str:
    """Every sentence in the page's boxes."""
    return " | ".join(box.value for box in (*page.warning, *page.error, *page.info))


def address(page: AppTest) -> dict[str, str]:
    """The query parameters that the page has left in the address."""
    return {name: value[-1] if isinstance(value, list) else value for name, value in page.query_params.items()}
