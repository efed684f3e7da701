"""The real app, served as a person would serve it, for as long as a benchmark or a browser test needs it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
"""Seconds until the server must answer, on a machine that is busy with other things."""


class Served:
    """A Streamlit server of its own on a free port, which it keeps when it is started again."""

    def __init__(self, script: str, home: Path, base: str = "") -> None:
        """Prepare to serve ``script`` (a path from the repository's root) under ``base`` ("" or "/somewhere")."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = int(probe.getsockname()[1])
        self.home = home
        self.url = f"http://localhost:{self._port}{base}"
        options = {"server.port": self._port, "server.baseUrlPath": base.strip("/")}
        self._command = [sys.executable, "-m", "streamlit", "run", script, *(f"--{k}={v}" for k, v in options.items())]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: it ended, or did not answer in time; the end of its log says why.
        """
        environment = {**os.environ, "LOSSVIZ_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home / "server.log", "ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"The server does not answer. Its log ends:\n{self.log()[-2000:]}")
            time.sleep(0.1)

    @property
    def pid(self) -> int:
        """The server's process, once it is started."""
        assert self._process
        return self._process.pid

    def log(self) -> str:
        """What the server has said so far."""
        return (self.home / "server.log").read_text(errors="replace")

    def stop(self) -> None:
        """End the server as Ctrl-C does."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server without a warning."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def served(script: str, home: Path, base: str = "") -> Iterator[Served]:
    """Serve ``script`` while the block runs."""
    server = Served(script, home, base)
    server.start()
    try:
        yield server
    finally:
        server.stop()
