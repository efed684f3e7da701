"""A started service without workers, and its routes behind Starlette's test client."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from lossviz.jobs.queue import Queue
from lossviz.live import routes
from lossviz.live.service import Service, start, stop
from lossviz.runs import Store
from lossviz.ui import WEB

with warnings.catch_warnings():
    # It would rather have httpx2, which nothing else here needs.
    warnings.simplefilter("ignore", UserWarning)
    from starlette.testclient import TestClient


def idle(store: Store) -> Queue:
    """A queue that starts no worker."""
    return Queue(store, workers=0)


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("LOSSVIZ_HOME", str(tmp_path))
    # By its name in sys.modules: lossviz.live.service is also the function of that name.
    monkeypatch.setattr(sys.modules["lossviz.live.service"], "Queue", idle)
    yield start(WEB, "")
    stop()


@pytest.fixture
def client(ours: Service) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes(ours.base))) as client:
        yield client


@pytest.fixture
def token(ours: Service) -> str:
    return ours.gate.token("somebody")
