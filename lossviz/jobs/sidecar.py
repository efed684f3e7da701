"""A process beside the server that answers messages one by one, so that pages' scripts cannot keep it waiting."""

import asyncio
import contextlib
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

CLOSE_SECONDS = 2.0


class SidecarError(Exception):
    """The process failed at a message or has died; the next message finds a new one."""


def environment(threads: int) -> dict[str, str]:
    """What a process of ours is started with: this very lossviz, and as many threads as it is given."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


class Sidecar:
    """Starts ``python -m module`` and speaks with it: length and bytes there; status byte, length and bytes back."""

    def __init__(self, module: str) -> None:
        """Name the module; ``start`` starts it."""
        self._command: Sequence[str] = (sys.executable, "-m", module)
        self._process: subprocess.Popen[bytes] | None = None
        self._line = ThreadPoolExecutor(1, "sidecar")

    def start(self) -> None:
        """Start the process without waiting for it."""
        self._line.submit(self._running)

    async def ask(self, message: Callable[[], bytes]) -> bytes:
        """Return the answer to ``message()``, which is called, in another thread, when those before it are answered.

        So whoever waits in line may still change what it asks.

        Raises:
            SidecarError: the process said that it failed, or it died.
        """
        return await asyncio.get_running_loop().run_in_executor(self._line, self._ask, message)

    def close(self) -> None:
        """End the process."""
        self._line.shutdown(cancel_futures=True)
        if self._process is not None:
            assert self._process.stdin and self._process.stdout
            self._process.stdin.close()
            try:
                self._process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._process = None

    @property
    def pid(self) -> int | None:
        """The process's id, ``None`` while there is none."""
        return self._process.pid if self._process else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # A session of its own: a Ctrl-C in the terminal is for the server, which ends it by closing its stdin.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(1),
                start_new_session=True,
            )
        return self._process

    def _ask(self, message: Callable[[], bytes]) -> bytes:
        process = self._running()
        assert process.stdin and process.stdout
        content = message()
        try:
            process.stdin.write(struct.pack("<I", len(content)) + content)
            process.stdin.flush()
            failed, length = struct.unpack("<BI", read_exactly(process.stdout, 5))
            answer = read_exactly(process.stdout, length)
        except (BrokenPipeError, EOFError) as error:
            process.kill()
            code = process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            self._process = None
            raise SidecarError(f"{self._command[-1]} ended with code {code}") from error
        if failed:
            raise SidecarError(answer.decode())
        return answer


def read_exactly(stream: IO[bytes], length: int) -> bytes:
    """Read ``length`` bytes; raise ``EOFError`` where the stream ends before."""
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content
