"""A started service without workers, and its routes behind Starlette's test client."""

import asyncio
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from lossviz.jobs.queue import Queue
from lossviz.jobs.sidecar import SidecarError
from lossviz.live import routes
from lossviz.live.messages import evaluate, parse_request
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


class Here:
    """An evaluator in this very process, whose `answer` a test may replace."""

    def __init__(self, module: str, most: int) -> None:
        assert module == "lossviz.live.evaluator" and most >= 1

    def start(self) -> None: ...

    def close(self) -> None: ...

    def answer(self, message: bytes) -> bytes:
        return evaluate(parse_request(message))

    async def ask(self, message: Callable[[], bytes]) -> bytes:
        try:
            return await asyncio.to_thread(lambda: self.answer(message()))
        except RuntimeError as error:
            raise SidecarError(repr(error)) from error


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("LOSSVIZ_HOME", str(tmp_path))
    # By its name in sys.modules: lossviz.live.service is also the function of that name.
    monkeypatch.setattr(sys.modules["lossviz.live.service"], "Queue", idle)
    monkeypatch.setattr(sys.modules["lossviz.live.service"], "Sidecar", Here)
    yield start(WEB, "")
    stop()


@pytest.fixture
def client(ours: Service) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=routes(ours.base))) as client:
        yield client


@pytest.fixture
def token(ours: Service) -> str:
    return ours.gate.token("somebody")
