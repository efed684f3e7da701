"""What every test shares: one torch thread, a home of its own, and the things only some machines have."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from lossviz import data

torch.set_num_threads(1)
# The same examples every time, however slow the machine: a run that fails can be run again.
settings.register_profile("lossviz", derandomize=True, deadline=None)
settings.load_profile("lossviz")


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps runs and keys of the tests, and of the processes they start, out of the developer's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSVIZ_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def mnist() -> Path:
    """The folder of the real MNIST; `make test` fetches it, so its absence is a failure and not a skip."""
    found = data.find()
    assert found, "MNIST is not on this machine. Run `lossviz data`."
    return found


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium: the system's, else the one that `playwright install chromium` left."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    path = path or _playwrights_own()
    if path is None and os.environ.get("CI"):
        pytest.fail("No Chromium: in CI the browser tests must run.")
    if path is None:
        pytest.skip("No Chromium on this machine.")
    return path


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None
