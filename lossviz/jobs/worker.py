"""The process that trains: ``python -m lossviz.jobs.worker``. JSON lines come on stdin and go on stdout.

In: ``{"run": id, "spec": {...}}`` trains, ``{"stop": id}`` stops. Out, each with its ``event``: ``ready`` (device,
threads, data), and for a run ``started``, ``points``, ``note``, then ``done``, ``stopped`` or ``error``. When stdin
closes, because the parent closed it or died, the process ends at once, in the middle of a step too.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TextIO

import torch

from lossviz.data import DataError
from lossviz.models import NETWORKS
from lossviz.runs import LossChoice, Measured, RunSpec
from lossviz.training import (
    Dataset,
    Diverged,
    Done,
    Event,
    Points,
    Started,
    choose_device,
    chosen_threads,
    device_name,
    offered,
    train,
)

FLUSH_SECONDS = 0.03
"""Points wait at most this long for others, so that a fast device does not send a line for each step."""

Send = Callable[[dict[str, Any]], None]


def main() -> None:
    """Serve until stdin closes."""
    # The server shares this machine, and a drag must not wait for a training.
    os.nice(5)
    torch.set_num_threads(chosen_threads())
    send = _sender(_own_stdout())
    commands: SimpleQueue[dict[str, Any]] = SimpleQueue()
    stops: set[str] = set()
    threading.Thread(target=_read, args=(commands, stops), name="commands", daemon=True).start()

    device = choose_device()
    data, problem = _load(device)
    if data is not None:
        _warm_up(data)
    send({"event": "ready", "device": device_name(device), "threads": torch.get_num_threads(), "problem": problem})
    while True:
        command = commands.get()
        run_id = command["run"]
        if data is None:
            data, problem = _load(device)
        if data is None:
            send({"event": "error", "run": run_id, "message": problem})
        else:
            _work(run_id, command["spec"], data, stops, send)
        stops.discard(run_id)


def _work(run_id: str, spec: dict[str, Any], data: Dataset, stops: set[str], send: Send) -> None:
    try:
        outbox = _Outbox(run_id, send)
        for event in train(RunSpec.parse(spec), data):
            if run_id in stops:
                outbox.send("stopped")
                return
            outbox.take(event)
    except (ValueError, RuntimeError, MemoryError) as error:
        # RuntimeError is what torch raises when memory is short, on the card and off it.
        message = str(error).splitlines()[0] if str(error) else "there is not enough memory"
        send({"event": "error", "run": run_id, "message": f"The training cannot go on: {message}"})
        print(f"run {run_id}: {error!r}", file=sys.stderr, flush=True)


class _Outbox:
    """Turns the engine's events into lines, gathering points for a moment; before any other event they go out."""

    def __init__(self, run_id: str, send: Send) -> None:
        self._run = run_id
        self._send = send
        self._points: list[Measured] = []
        self._last = 0.0

    def take(self, event: Event) -> None:
        match event:
            case Points(points):
                self._points += points
            case Started(device, threads, _, bridges, way):
                self.send("started", device=device, threads=threads, bridges=bridges, way=way)
            case Diverged(_, _, message):
                self.send("note", message=message)
            case Done(accuracy, seconds, _):
                self.send("done", test_accuracy=accuracy, seconds=seconds)
            case _:
                pass
        if self._points and time.monotonic() - self._last >= FLUSH_SECONDS:
            self._flush()

    def send(self, event: str, **content: object) -> None:
        self._flush()
        self._send({"event": event, "run": self._run, **content})

    def _flush(self) -> None:
        if self._points:
            self._send({"event": "points", "run": self._run, "points": self._points})
            self._points = []
            self._last = time.monotonic()


def _read(commands: "SimpleQueue[dict[str, Any]]", stops: set[str]) -> None:
    for line in sys.stdin:
        command = json.loads(line)
        if "stop" in command:
            stops.add(command["stop"])
        else:
            commands.put(command)
    os._exit(0)


def _own_stdout() -> TextIO:
    """The pipe to the parent, kept from anything that prints: that goes to stderr from here on."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def _sender(pipe: TextIO) -> Send:
    def send(message: dict[str, Any]) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    return send


def _load(device: torch.device) -> tuple[Dataset | None, str]:
    try:
        return Dataset.load(device), ""
    except DataError as error:
        return None, str(error)


def _warm_up(data: Dataset) -> None:
    """A few steps of each model and loss, so that the first click does not pay for what torch does only once."""
    losses = tuple(LossChoice(key, {}) for key in offered()[:8])
    for model in NETWORKS:
        spec = RunSpec(losses=losses, model=model, record_every=1, evaluate_every=1)  # pyright: ignore[reportArgumentType]
        for event in train(spec, data):
            if isinstance(event, Points) and event.points[0][1] == 2:
                break


if __name__ == "__main__":
    main()
