"""Processes beside the server that answer messages one by one, so that pages' scripts cannot keep them waiting."""

import asyncio
import contextlib
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import IO

CLOSE_SECONDS = 2.0
PATIENCE = 0.03
"""Seconds in line that a finger does not feel yet."""
TOO_OFTEN = 30
"""How many in a row wait longer before another process is started, which takes seconds of processor time."""


class SidecarError(Exception):
    """The process failed at a message or has died; the next message finds a new one."""


@dataclass(frozen=True, slots=True)
class _Asked:
    message: Callable[[], bytes]
    since: float = field(default_factory=time.monotonic)
    answer: Future[bytes] = field(default_factory=Future[bytes])


def environment(threads: int) -> dict[str, str]:
    """What a process of ours is started with: this very lossviz, and as many threads as it is given."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


class Sidecar:
    """Starts ``python -m module`` and speaks with it: length and bytes there; status byte, length and bytes back.

    The answer to no bytes is no bytes, as soon as the process is ready. All who ask stand in one line; where too many
    wait longer than `PATIENCE`, another process is started, up to ``most``.
    """

    def __init__(self, module: str, most: int = 1) -> None:
        """Name the module; ``start`` starts it."""
        self._command: Sequence[str] = (sys.executable, "-m", module)
        self._most = most
        self._line: SimpleQueue[_Asked | None] = SimpleQueue()
        self._growing = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start the first process without waiting for it."""
        self._grow(1)

    async def ask(self, message: Callable[[], bytes]) -> bytes:
        """Return the answer to ``message()``, which is called, in another thread, when those before it are answered.

        So whoever waits in line may still change what it asks.

        Raises:
            SidecarError: the process said that it failed, or it died.
        """
        self._grow(1)
        asked = _Asked(message)
        self._line.put(asked)
        return await asyncio.wrap_future(asked.answer)

    def close(self) -> None:
        """End the processes."""
        for _ in self._threads:
            self._line.put(None)
        for thread in self._threads:
            thread.join()
        for process in self._processes.values():
            assert process.stdin and process.stdout
            process.stdin.close()
            try:
                process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        self._threads.clear()
        self._processes.clear()

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the processes that there are."""
        return tuple(process.pid for process in list(self._processes.values()))

    def _grow(self, count: int) -> None:
        """See to it that there are ``count`` threads, each with a process of its own, or as many as there may be."""
        with self._growing:
            while len(self._threads) < min(count, self._most):
                thread = threading.Thread(target=self._serve, name="sidecar", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self) -> None:
        # Nobody is taken from the line before the process is there. Where it isn't, whoever comes is told.
        with contextlib.suppress(SidecarError):
            self._running()
        ready = time.monotonic()
        late = 0
        while asked := self._line.get():
            late = late + 1 if time.monotonic() - max(asked.since, ready) > PATIENCE else 0
            if late == TOO_OFTEN:
                self._grow(len(self._threads) + 1)
                late = 0
            if not asked.answer.set_running_or_notify_cancel():
                continue
            try:
                asked.answer.set_result(self._ask(asked.message))
            except Exception as error:
                asked.answer.set_exception(error)

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._processes.get(threading.get_ident())
        if process is None:
            try:
                # A session of its own: a Ctrl-C in the terminal is for the server, which ends it by closing its stdin.
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=environment(1),
                    start_new_session=True,
                )
            except OSError as error:
                raise SidecarError(f"{self._command[-1]} could not be started: {error}") from error
            self._processes[threading.get_ident()] = process
            self._exchange(process, b"")
        return process

    def _ask(self, message: Callable[[], bytes]) -> bytes:
        failed, answer = self._exchange(self._running(), message())
        if failed:
            raise SidecarError(answer.decode())
        return answer

    def _exchange(self, process: subprocess.Popen[bytes], content: bytes) -> tuple[bool, bytes]:
        assert process.stdin and process.stdout
        try:
            process.stdin.write(struct.pack("<I", len(content)) + content)
            process.stdin.flush()
            failed, length = struct.unpack("<BI", read_exactly(process.stdout, 5))
            return bool(failed), read_exactly(process.stdout, length)
        except (BrokenPipeError, EOFError) as error:
            process.kill()
            code = process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            del self._processes[threading.get_ident()]
            raise SidecarError(f"{self._command[-1]} ended with code {code}") from error


def read_exactly(stream: IO[bytes], length: int) -> bytes:
    """Read ``length`` bytes; raise ``EOFError`` where the stream ends before."""
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
