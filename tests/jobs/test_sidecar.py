"""The evaluator's process: the same numbers as here, and no harm done by its death or its server's."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lossviz.jobs.sidecar import TOO_OFTEN, Sidecar, SidecarError, environment
from lossviz.live.messages import evaluate, parse_request

VIEWS = ["curve", "derivative", "surface:huber", "formula:huber"]
REQUEST = json.dumps(
    {"seq": 3, "scene": "regression", "losses": ["huber"], "params": {}, "handles": {"pred": 1.25}, "views": VIEWS}
).encode()


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Sidecar]:
    sidecar = Sidecar("lossviz.live.evaluator")
    sidecar.start()
    yield sidecar
    sidecar.close()


def ask(sidecar: Sidecar, message: bytes = REQUEST) -> bytes:
    return asyncio.run(sidecar.ask(lambda: message))


def gone(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            # Ended; whoever adopted it has only not looked yet.
            return True
        time.sleep(0.02)
    return False


def test_it_answers_what_this_process_would(evaluator: Sidecar):
    assert ask(evaluator) == evaluate(parse_request(REQUEST))


def test_who_waits_in_line_asks_what_is_newest_at_its_turn(evaluator: Sidecar):
    going = threading.Event()
    moved = REQUEST.replace(b"1.25", b"2.5")
    wanted = [REQUEST]

    def slowly() -> bytes:
        going.wait(10)
        return REQUEST

    async def two_in_line() -> list[bytes]:
        both = [asyncio.create_task(evaluator.ask(message)) for message in (slowly, lambda: wanted[-1])]
        await asyncio.sleep(0)
        wanted.append(moved)
        going.set()
        return await asyncio.gather(*both)

    assert asyncio.run(two_in_line()) == [evaluate(parse_request(message)) for message in (REQUEST, moved)]


def test_where_too_many_wait_long_another_process_helps(monkeypatch: pytest.MonkeyPatch):
    sidecar = Sidecar("lossviz.live.evaluator", 2)

    async def together(message: Callable[[], bytes], count: int) -> list[bytes]:
        return await asyncio.gather(*(sidecar.ask(message) for _ in range(count)))

    try:
        monkeypatch.setattr("lossviz.jobs.sidecar.PATIENCE", 1000.0)
        asyncio.run(together(lambda: REQUEST, 2 * TOO_OFTEN))
        monkeypatch.setattr("lossviz.jobs.sidecar.PATIENCE", -1.0)
        asyncio.run(together(lambda: REQUEST, TOO_OFTEN - 1))
        assert len(sidecar.pids) == 1
        answers = asyncio.run(together(lambda: REQUEST, 2))
        assert answers == [evaluate(parse_request(REQUEST))] * 2
        both = threading.Barrier(2, timeout=60)

        def at_once() -> bytes:
            both.wait()
            return REQUEST

        assert asyncio.run(together(at_once, 4)) == [evaluate(parse_request(REQUEST))] * 4
        assert len(sidecar.pids) == 2
    finally:
        sidecar.close()
    assert sidecar.pids == ()


def test_a_failure_is_told_and_the_process_goes_on(evaluator: Sidecar):
    ask(evaluator)
    pids = evaluator.pids
    with pytest.raises(SidecarError, match="no JSON"):
        ask(evaluator, b"no JSON")
    assert ask(evaluator) == evaluate(parse_request(REQUEST))
    assert evaluator.pids == pids


def test_after_a_kill_the_next_message_finds_a_new_process(evaluator: Sidecar):
    ask(evaluator)
    (pid,) = evaluator.pids
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(SidecarError, match="ended with code -9"):
        ask(evaluator)
    assert ask(evaluator) == evaluate(parse_request(REQUEST))
    assert pid not in evaluator.pids
    assert gone(pid, 1)


def test_it_ends_when_its_server_is_killed():
    script = (
        "import asyncio, sys, time\n"
        "from lossviz.jobs.sidecar import Sidecar\n"
        "sidecar = Sidecar('lossviz.live.evaluator')\n"
        f"asyncio.run(sidecar.ask(lambda: {REQUEST!r}))\n"
        "print(*sidecar.pids, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment(1)
    ) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        server.kill()
    assert gone(pid, 2)
