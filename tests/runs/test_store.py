import csv
import io
import json
import math
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from lossviz.runs import LossChoice, RunSpec, Store, StoreError, to_csv, to_json
from lossviz.runs import store as store_module

SPEC = RunSpec(losses=(LossChoice("mse", {}), LossChoice("huber", {"delta": 0.5})), epochs=1)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "runs.sqlite")
    yield store
    store.close()


def test_a_run_goes_through_its_life(store):
    run = store.create(SPEC, "ann")
    assert (run.status, run.owner, run.spec, run.total_steps) == ("queued", "ann", SPEC, 1875)
    assert len(run.id) >= 16
    run = store.begin(run.id, device="CPU", threads=1, bridges=["a", "b"])
    assert (run.status, run.device, run.threads, run.bridges) == ("running", "CPU", 1, ("a", "b"))
    store.append(run.id, [(0, 40, "train_loss", 0.5)])
    run = store.finish(run.id, "done", "")
    assert (run.status, run.step, run.over) == ("done", 40, True)
    assert store.finish(run.id, "failed", "too late").status == "done"
    assert store.begin(run.id, device="CPU", threads=1, bridges=[]).status == "done"


def test_points_come_back_in_order_and_in_full_nan_and_infinities_too(store):
    run = store.create(SPEC, "ann")
    values = [0.1 + 0.2, math.nan, math.inf, -math.inf, 5e-324]
    first = store.append(run.id, [(0, step, "train_loss", value) for step, value in enumerate(values)])
    second = store.append(run.id, [(1, 0, "train_loss", 1.0)])
    assert [point.seq for point in first + second] == list(range(1, 7))
    read = store.points(run.id)
    assert [repr(point.value) for point in read[:5]] == [repr(value) for value in values]
    assert store.points(run.id, after=5) == second
    assert store.latest(run.id, "train_loss")[1] == second[0]
    assert store.latest(run.id, "train_loss")[0].step == 4


def test_a_point_is_there_once_and_a_batch_wholly_or_not_at_all(store):
    run = store.create(SPEC, "ann")
    store.append(run.id, [(0, 1, "train_loss", 1.0)])
    with pytest.raises(StoreError, match="there already"):
        store.append(run.id, [(0, 2, "train_loss", 1.0), (0, 1, "train_loss", 1.0)])
    assert [point.step for point in store.points(run.id)] == [1]
    assert store.append(run.id, [(0, 2, "train_loss", 1.0)])[0].seq == 2


def test_an_unknown_run_is_named(store):
    with pytest.raises(KeyError, match="nope"):
        store.get("nope")
    with pytest.raises(StoreError, match="nope"):
        store.append("nope", [(0, 1, "train_loss", 1.0)])


def test_runs_are_listed_newest_first_and_filtered(store):
    first = store.create(SPEC, "ann")
    second = store.create(RunSpec(losses=(LossChoice("hinge", {}),), model="cnn"), "bob")
    store.finish(first.id, "stopped", "Stopped by hand.")
    assert [run.id for run in store.runs()] == [second.id, first.id]
    assert [run.id for run in store.runs(owner="ann")] == [first.id]
    assert [run.id for run in store.runs(status="queued")] == [second.id]
    assert [run.id for run in store.runs(text="HINGE cnn")] == [second.id]
    assert [run.id for run in store.runs(text="by hand")] == [first.id]
    assert store.runs(text="hinge huber") == []
    assert store.runs(text="%") == []


def test_only_the_owner_deletes_and_may_take_it_back(store):
    run = store.create(SPEC, "ann")
    store.append(run.id, [(0, 1, "train_loss", 1.0)])
    store.finish(run.id, "done")
    with pytest.raises(PermissionError):
        store.delete(run.id, "bob")
    store.delete(run.id, "ann")
    assert store.runs() == []
    assert store.purge(older_than=60) == 0
    store.restore(run.id, "ann")
    assert [r.id for r in store.runs()] == [run.id]
    store.delete(run.id, "ann")
    assert store.purge(older_than=-1) == 1
    with pytest.raises(KeyError):
        store.get(run.id)
    assert store.points(run.id) == []


def test_many_threads_read_and_write_at_once(store):
    runs = [store.create(SPEC, "ann") for _ in range(4)]

    def work(run):
        for step in range(50):
            store.append(run.id, [(0, step, "train_loss", 1.0), (1, step, "train_loss", 2.0)])
            store.points(run.id, after=2 * step)

    threads = [threading.Thread(target=work, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        assert [point.seq for point in store.points(run.id)] == list(range(1, 101))


def test_a_full_disk_is_a_sentence_and_loses_nothing_committed(store):
    run = store.create(SPEC, "ann")
    store.append(run.id, [(0, 1, "train_loss", 1.0)])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="no space is left"):
        store.append(run.id, [(0, step, "train_loss", 1.0) for step in range(2, 9000)])
    assert [point.step for point in store.points(run.id)] == [1]
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.append(run.id, [(0, step, "train_loss", 1.0) for step in range(2, 9000)])
    assert len(store.points(run.id)) == 8999


def test_a_locked_store_waits_then_says_so(store, tmp_path):
    run = store.create(SPEC, "ann")
    other = sqlite3.connect(tmp_path / "runs.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    store._connection.execute("PRAGMA busy_timeout = 100")
    with pytest.raises(StoreError, match="another program has kept it locked"):
        store.append(run.id, [(0, 1, "train_loss", 1.0)])
    assert store.points(run.id) == []
    store._connection.execute("PRAGMA busy_timeout = 10000")
    threading.Timer(0.2, lambda: other.execute("ROLLBACK")).start()
    store.append(run.id, [(0, 1, "train_loss", 1.0)])
    other.close()
    assert len(store.points(run.id)) == 1


def test_a_file_that_is_no_store_is_refused(tmp_path):
    path = tmp_path / "runs.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="no SQLite database"):
        Store(path)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(path / "below" / "a" / "file")


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "runs.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(store_module.MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="install a newer one"):
        Store(path)


def test_reopening_keeps_everything(tmp_path):
    store = Store(tmp_path / "runs.sqlite")
    run = store.create(SPEC, "ann")
    store.append(run.id, [(0, 1, "train_loss", 1.0)])
    store.close()
    again = Store(tmp_path / "runs.sqlite")
    assert [p.step for p in again.points(run.id)] == [1]
    again.close()


def test_opening_a_store_again_writes_nothing_so_that_a_full_disk_can_be_read(store):
    before = store._connection.execute("PRAGMA data_version").fetchone()[0]
    Store(store.path).close()
    assert store._connection.execute("PRAGMA data_version").fetchone()[0] == before


DIES = """
import os, sys
from pathlib import Path
from lossviz.runs import LossChoice, RunSpec, Store
store = Store(Path(sys.argv[1]))
spec = RunSpec(losses=(LossChoice("mse", {}),))
running, queued = store.create(spec, "ann"), store.create(spec, "bob")
store.begin(running.id, device="CPU", threads=1, bridges=[])
store.append(running.id, [(0, 1, "train_loss", 1.0)])
print(running.id, queued.id, flush=True)
sys.stdin.read()
"""


def test_runs_of_a_killed_process_are_interrupted_or_adopted_and_those_of_a_living_one_left_alone(tmp_path):
    path = tmp_path / "runs.sqlite"
    child = subprocess.Popen(
        [sys.executable, "-c", DIES, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    running, queued = child.stdout.readline().split()
    store = Store(path)
    try:
        assert store.interrupt_orphans() == store.adopt_queued() == []
        child.kill()
        child.communicate()
        (orphan,) = store.interrupt_orphans()
        assert (orphan.id, orphan.status) == (running, "interrupted")
        assert [point.step for point in store.points(running)] == [1]
        (adopted,) = store.adopt_queued()
        assert (adopted.id, adopted.status, adopted.writer) == (queued, "queued", store.writer.id)
        assert store.interrupt_orphans() == store.adopt_queued() == []
    finally:
        child.kill()
        store.close()


def test_exports_hold_every_point_and_a_spec_that_runs_again(store):
    run = store.create(SPEC, "ann")
    store.append(run.id, [(0, 1, "train_loss", 0.1), (1, 1, "train_loss", math.nan), (1, 2, "grad_norm", -math.inf)])
    points = store.points(run.id)
    lines = to_csv(run, points).splitlines()
    assert lines[0] == "run,member,loss,params,seed,step,metric,value"
    assert lines[1] == f"{run.id},0,mse,{{}},0,1,train_loss,0.1"
    assert lines[2].endswith(",nan") and lines[3].endswith(",-inf")
    assert '"{""delta"": 0.5}"' in lines[2]
    exported = json.loads(to_json(run, points), parse_constant=pytest.fail)
    assert RunSpec.parse(exported["spec"]) == SPEC
    assert exported["members"] == [{"loss": "mse", "seed": 0}, {"loss": "huber", "seed": 0}]
    assert exported["points"] == [
        [0, 1, "train_loss", 0.1],
        [1, 1, "train_loss", "NaN"],
        [1, 2, "grad_norm", "-Infinity"],
    ]


def test_exports_name_loss_and_seed_of_every_point(store):
    spec = replace(SPEC, seed=7, seeds=2)
    run = store.create(spec, "ann")
    store.append(run.id, [(member, 1, "train_loss", float(member)) for member in range(4)])
    points = store.points(run.id)
    rows = list(csv.DictReader(io.StringIO(to_csv(run, points))))
    named = [("mse", "7"), ("huber", "7"), ("mse", "8"), ("huber", "8")]
    assert [(row["loss"], row["seed"]) for row in rows] == named
    assert [float(row["value"]) for row in rows] == [0, 1, 2, 3]
    exported = json.loads(to_json(run, points))
    assert [(member["loss"], str(member["seed"])) for member in exported["members"]] == named


def test_how_members_are_trained_together_is_kept(store):
    run = store.create(SPEC, "ann")
    assert run.way == ""
    assert store.begin(run.id, device="CPU", threads=1, bridges=["a", "b"], way="Together.").way == "Together."


def test_a_store_from_before_there_were_seeds_opens_with_its_runs(tmp_path, monkeypatch):
    path = tmp_path / "runs.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "MIGRATIONS", store_module.MIGRATIONS[:1])
        Store(path).close()
    old = {key: value for key, value in SPEC.to_json().items() if key != "seeds"}
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO runs (id, owner, status, created, spec, losses, total_steps, writer)"
            " VALUES ('old', 'ann', 'done', 0, ?, 'mse huber', 1875, 'gone')",
            (json.dumps(old),),
        )
    connection.close()
    store = Store(path)
    run = store.get("old")
    assert (run.spec, run.way, len(run.spec.members())) == (SPEC, "", 2)
    store.close()


def test_an_append_is_quick_enough_for_twenty_a_second(store):
    run = store.create(SPEC, "ann")
    start = time.perf_counter()
    for step in range(100):
        store.append(run.id, [(member, step, "train_loss", 1.0) for member in range(8)])
    assert time.perf_counter() - start < 2.5
