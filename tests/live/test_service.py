"""The server process stays light: torch on one thread, CUDA never touched."""

import re
from pathlib import Path

import torch

from lossviz.live import service
from lossviz.ui import WEB

PACKAGE = Path(service.__file__).parents[1]
SERVER_SIDE = ["live", "ui", "scenes", "figures", "runs", "losses"]


def test_the_service_runs_torch_on_one_thread_and_leaves_cuda_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("LOSSVIZ_HOME", str(tmp_path))
    monkeypatch.setattr(service.Queue, "start", lambda self: None)
    monkeypatch.setattr(service.Sidecar, "start", lambda self: None)
    torch.set_num_threads(2)
    try:
        service.start(WEB, "")
        assert torch.get_num_threads() == 1
        assert not torch.cuda.is_initialized()
    finally:
        service.stop()
        torch.set_num_threads(1)


def test_nothing_that_the_server_imports_speaks_of_cuda():
    files = [path for room in SERVER_SIDE for path in (PACKAGE / room).rglob("*.py")] + [PACKAGE / "jobs" / "queue.py"]
    assert len(files) > 20
    assert [path for path in files if re.search(r"\bcuda\b", path.read_text())] == []
