import sys
import time
from pathlib import Path

import pytest

from lossviz.jobs.queue import Queue
from lossviz.runs import LossChoice, RunSpec, Store

FAKE = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


def fake(seed):
    """A spec whose seed tells the fake worker what to do."""
    return RunSpec(losses=(LossChoice("mse", {}),), epochs=1, seed=seed)


def wait_for(condition, seconds=10.0):
    """The condition's first true value; fails the test when it stays false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    pytest.fail(f"nothing within {seconds} s")


def over(store, run, seconds=10.0):
    """The run once it has ended."""
    return wait_for(lambda: (found := store.get(run.id)).over and found, seconds)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs.sqlite")
    yield store
    store.close()


@pytest.fixture
def queue(store):
    queue = Queue(store, command=FAKE)
    queue.start()
    yield queue
    queue.close()
