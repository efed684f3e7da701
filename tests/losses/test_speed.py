"""The catalogue costs little beside torch, with a slack of 1.5 for a busy machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
IMPORT_SECONDS = 0.3
RATIO = 3.0


def benchmark(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.catalogue", *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


def test_a_call_through_the_catalogue_takes_at_most_three_times_the_bare_one() -> None:
    found = benchmark("--repeats", "15", "--imports", "3")
    assert found["ratio"] <= 1.5 * RATIO, found["worst"]
    # By the clock it would measure what else runs: these tests share their cores.
    assert found["import_cpu_seconds"] <= 1.5 * IMPORT_SECONDS


@pytest.mark.slow
def test_whole_and_without_slack() -> None:
    found = benchmark()
    assert found["ratio"] <= RATIO, found["worst"]
    assert found["import_seconds"] <= IMPORT_SECONDS
