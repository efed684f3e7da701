"""Real processes, killed in the middle: what was acknowledged is there, nothing is left behind, the queue goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lossviz.jobs.queue import Queue
from lossviz.runs import LossChoice, RunSpec, Store
from tests.jobs.conftest import over, wait_for

pytestmark = pytest.mark.usefixtures("mnist")

LONG = RunSpec(losses=(LossChoice("cross_entropy", {}), LossChoice("mse", {})), epochs=100)
SHORT = RunSpec(losses=(LossChoice("mse", {}),), epochs=1, batch_size=1000)
ROOT = Path(__file__).parents[2]
SERVER = (sys.executable, "-m", "tests.faults.server")


# One for the module: a worker needs seconds to get warm.
@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store") / "runs.sqlite")
    yield store
    store.close()


@pytest.fixture(scope="module")
def queue(store):
    queue = Queue(store)
    queue.start()
    wait_for(lambda: queue.device, 60)
    yield queue
    queue.close()


def gone(pid):
    """Whether no process has that id, or only its remains have, which its new parent has yet to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def assert_whole(store, run):
    """The points are numbered without a gap and none is there twice."""
    points = store.points(run.id)
    assert [point.seq for point in points] == list(range(1, len(points) + 1))
    assert len({point[1:4] for point in points}) == len(points)
    return points


def test_click_to_first_point_is_within_a_second_and_stop_too(store, queue):
    heard = []
    start = time.monotonic()
    run = queue.submit(LONG, "ann")
    queue.subscribe(run.id, lambda news: heard.append((time.monotonic() - start, news)))
    first = wait_for(lambda: next((when for when, news in heard if isinstance(news, list)), None))
    assert first < 1.0
    point = store.points(run.id)[0]
    assert point.step < run.total_steps / 5
    time.sleep(2)
    start = time.monotonic()
    queue.stop_run(run.id)
    stopped = over(store, run)
    assert time.monotonic() - start < 1.0
    assert stopped.status == "stopped" and stopped.step > 0
    assert_whole(store, run)
    arrivals = {when for when, news in heard if isinstance(news, list) for p in news if p.metric == "train_loss"}
    assert len([when for when in arrivals if first < when < first + 2]) >= 10


def test_stop_holds_within_a_second_in_the_heaviest_run(store, queue):
    losses = tuple(LossChoice("cross_entropy", {}) for _ in range(8))
    run = queue.submit(RunSpec(losses=losses, model="cnn", batch_size=2048), "ann")
    wait_for(lambda: store.points(run.id), 30)
    start = time.monotonic()
    queue.stop_run(run.id)
    assert over(store, run).status == "stopped"
    assert time.monotonic() - start < 1.0


def kill_a_worker(store, queue, after):
    run, next_one = queue.submit(LONG, "ann"), queue.submit(SHORT, "ann")
    wait_for(lambda: store.points(run.id), 60)
    time.sleep(after)
    (worker,) = queue._workers
    os.kill(worker.process.pid, signal.SIGKILL)
    failed = over(store, run)
    assert failed.status == "failed" and "SIGKILL" in failed.message and f"{failed.step:,}" in failed.message
    points = assert_whole(store, run)
    assert points[-1].step == failed.step
    assert over(store, next_one, 60).status == "done"
    assert len(store.points(run.id)) == len(points)
    assert gone(worker.process.pid)


def test_a_worker_killed_in_the_middle(store, queue):
    kill_a_worker(store, queue, after=0.5)


@pytest.mark.slow
def test_a_worker_killed_at_random_moments(store, queue):
    for _ in range(20):
        kill_a_worker(store, queue, after=random.random())


def kill_a_server(path):
    command = [*SERVER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        for owner, spec in (("ann", LONG), ("bob", SHORT)):
            server.stdin.write(json.dumps({"owner": owner, "spec": spec.to_json()}) + "\n")
        server.stdin.flush()
        said, acknowledged = [], 0
        while len(said) < 2 or acknowledged < 60:
            message = json.loads(server.stdout.readline())
            if isinstance(message, dict):
                said.append(message)
            else:
                acknowledged = message
        os.kill(server.pid, signal.SIGKILL)
        server.stdin.close()
        # Whatever it said before it died was acknowledged too.
        acknowledged = max([acknowledged, *(int(line) for line in server.stdout if line.endswith("\n"))])
    killed = time.monotonic()
    wait_for(lambda: all(gone(pid) for pid in said[0]["workers"]))
    assert time.monotonic() - killed < 2.0
    return [message["run"] for message in said], acknowledged


def restart_after_a_kill(path):
    (cut, waiting), acknowledged = kill_a_server(path)
    store = Store(path)
    queue = Queue(store)
    queue.start()
    try:
        run = store.get(cut)
        assert run.status == "interrupted" and run.message
        assert len(assert_whole(store, run)) >= acknowledged
        assert over(store, store.get(waiting), 60).status == "done"
    finally:
        queue.close()
        store.close()


def test_a_server_killed_in_the_middle(tmp_path):
    restart_after_a_kill(tmp_path / "runs.sqlite")


@pytest.mark.slow
def test_a_server_killed_again_and_again(tmp_path):
    for _ in range(10):
        restart_after_a_kill(tmp_path / "runs.sqlite")


def test_the_process_that_has_the_queue_never_initialises_cuda(tmp_path):
    code = """
import sys, torch
from pathlib import Path
from lossviz.jobs.queue import Queue
from lossviz.runs import ARTICLE, Store
queue = Queue(Store(Path(sys.argv[1])))
queue.start()
queue.submit(ARTICLE, "ann")
queue.close()
print(torch.cuda.is_initialized())
"""
    command = [sys.executable, "-c", code, str(tmp_path / "runs.sqlite")]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout == "False\n"


def test_without_data_a_run_fails_in_a_sentence_and_works_once_they_are_there(tmp_path, mnist, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("LOSSVIZ_DATA_DIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "runs.sqlite")
    queue = Queue(store)
    queue.start()
    try:
        failed = over(store, queue.submit(SHORT, "ann"), 60)
        assert failed.status == "failed" and "lossviz data" in failed.message
        assert "lossviz data" in queue.problem
        (folder / "mnist").symlink_to(mnist)
        assert over(store, queue.submit(SHORT, "ann"), 60).status == "done"
    finally:
        queue.close()
        store.close()
