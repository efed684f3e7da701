"""What one server process shares: its sockets' gate, the files it serves, the queue of its runs, its evaluator."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from lossviz.data.folders import home
from lossviz.jobs.queue import Queue
from lossviz.jobs.sidecar import Sidecar
from lossviz.live.access import Gate
from lossviz.live.static import Assets
from lossviz.runs import Store, default_path

MOST_EVALUATORS = 4
"""Processes that evaluate scenes: one for one finger, more only when several people drag at once."""


@dataclass(frozen=True, slots=True)
class Service:
    """``base`` is the path under which the app is served, without a slash at its end ("" at the root)."""

    gate: Gate
    assets: Assets
    store: Store
    queue: Queue
    evaluator: Sidecar
    base: str


_running: Service | None = None


def start(web: Path, base: str) -> Service:
    """Start this process's service: ``web`` holds the components' files. The queue's workers warm up meanwhile."""
    global _running
    torch.set_num_threads(1)
    store = Store(default_path())
    queue = Queue(store)
    evaluator = Sidecar("lossviz.live.evaluator", min(MOST_EVALUATORS, os.cpu_count() or 1))
    _running = Service(Gate(home()), Assets(web), store, queue, evaluator, base)
    evaluator.start()
    queue.start()
    return _running


def stop() -> None:
    """End the workers and close the store; what was committed stays."""
    global _running
    if _running:
        _running.evaluator.close()
        _running.queue.close()
        _running.store.close()
    _running = None


def service() -> Service:
    """Return this process's service."""
    if _running is None:
        raise RuntimeError("The service has not been started; app.py starts it.")
    return _running
