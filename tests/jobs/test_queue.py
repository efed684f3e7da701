import threading
import time

import pytest

from lossviz.jobs.queue import Queue
from lossviz.runs import LossChoice, Run, RunSpec, Store, StoreError

from .conftest import FAKE, fake, over, wait_for


def test_a_run_is_trained_and_its_points_kept(store, queue):
    assert (queue.device, queue.waiting) == (None, 0)
    run = queue.submit(fake(0), "ann")
    assert run.status == "queued"
    done = over(store, run)
    assert (done.status, done.device, done.threads, done.bridges, done.way) == (
        "done",
        "fake",
        1,
        ("text",),
        "together",
    )
    assert [point.value for point in store.points(run.id)] == [1.0]
    assert queue.device == "fake"


def test_followers_hear_of_everything_once_and_only_after_it_is_stored(store, queue):
    heard, stored = [], []
    run = queue.submit(fake(4), "ann")

    def follow(news):
        stored.append((store.get(run.id), store.points(run.id)))
        heard.append(news)

    unsubscribe = queue.subscribe(run.id, follow)
    queue.subscribe(run.id, lambda news: 1 / 0)
    wait_for(lambda: store.get(run.id).status == "running" and store.points(run.id))
    queue.stop_run(run.id)
    over(store, run)
    wait_for(lambda: isinstance(heard[-1], Run) and heard[-1].over)
    points = [point for news in heard if not isinstance(news, Run) for point in news]
    assert points in ([], store.points(run.id))
    for news, (known, written) in zip(heard, stored, strict=True):
        assert known.status == news.status if isinstance(news, Run) else set(news) <= set(written)
    unsubscribe()
    assert list(queue._followers) == [run.id]


def test_people_take_turns_and_each_one_s_runs_stay_in_order(store, queue):
    first = queue.submit(fake(4), "ann")
    wait_for(lambda: queue.position(first.id) == 0)
    ann = [queue.submit(fake(0), "ann") for _ in range(3)]
    bob = [queue.submit(fake(0), "bob") for _ in range(2)]
    assert queue.waiting == 5
    order = [bob[0], ann[0], bob[1], ann[1], ann[2]]
    assert [queue.position(run.id) for run in order] == [1, 2, 3, 4, 5]
    assert queue.position("nobody") is None
    queue.stop_run(first.id)
    ended = [over(store, run) for run in order]
    assert [run.started for run in ended] == sorted(run.started for run in ended)
    assert queue.waiting == 0 and queue.position(first.id) is None


@pytest.mark.parametrize(("seed", "words"), [(1, ["SIGKILL", "step 1"]), (2, ["exit code 3", "step 1"])])
def test_a_worker_that_dies_fails_its_run_alone(store, queue, seed, words):
    run, after = queue.submit(fake(seed), "ann"), queue.submit(fake(0), "ann")
    failed = over(store, run)
    assert failed.status == "failed"
    for word in words:
        assert word in failed.message
    assert [point.step for point in store.points(run.id)] == [1]
    assert over(store, after).status == "done"


def test_an_error_of_the_training_is_a_sentence(store, queue):
    failed = over(store, queue.submit(fake(3), "ann"))
    assert (failed.status, failed.message) == ("failed", "The training cannot go on: it is Monday.")


def test_notes_add_up_and_a_run_without_a_survivor_has_failed(store, queue):
    failed = over(store, queue.submit(fake(6), "ann"))
    assert (failed.status, failed.message) == ("failed", "First. Second.")


def test_a_run_that_waits_is_stopped_at_once(store, queue):
    busy, waits = queue.submit(fake(4), "ann"), queue.submit(fake(0), "ann")
    queue.stop_run(waits.id)
    assert store.get(waits.id).status == "stopped"
    assert queue.position(waits.id) is None
    queue.stop_run(busy.id)
    assert over(store, busy).status == "stopped"
    queue.stop_run(busy.id)
    with pytest.raises(KeyError):
        queue.stop_run("nobody")


def test_a_worker_that_does_not_listen_is_ended_within_a_second(store, queue):
    run = queue.submit(fake(5), "ann")
    wait_for(lambda: store.points(run.id))
    start = time.monotonic()
    queue.stop_run(run.id)
    assert over(store, run).status == "stopped"
    assert time.monotonic() - start < 1.0
    assert over(store, queue.submit(fake(0), "ann")).status == "done"


def test_what_cannot_be_trained_is_refused_and_leaves_no_run(store, queue):
    with pytest.raises(ValueError, match="quantile"):
        queue.submit(RunSpec(losses=(LossChoice("quantile", {}),)), "ann")
    assert store.runs() == []


def test_closing_interrupts_what_runs_and_keeps_what_waits(tmp_path):
    path = tmp_path / "runs.sqlite"
    store = Store(path)
    queue = Queue(store, command=FAKE)
    queue.start()
    busy, waits = queue.submit(fake(4), "ann"), queue.submit(fake(0), "bob")
    wait_for(lambda: store.points(busy.id))
    (worker,) = queue._workers
    queue.close()
    assert worker.process.poll() is not None
    assert not worker.thread.is_alive()
    store.close()
    store = Store(path)
    assert store.get(busy.id).status == "interrupted"
    queue = Queue(store, command=FAKE)
    queue.start()
    assert over(store, waits).status == "done"
    queue.close()
    store.close()


def test_a_full_disk_fails_the_run_in_a_sentence_and_the_queue_goes_on(store, queue):
    run = queue.submit(fake(7), "ann")
    wait_for(lambda: len(store.points(run.id)) > 20)
    heard = []
    queue.subscribe(run.id, heard.append)
    with store._lock:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
    failed = wait_for(lambda: next((news for news in heard if isinstance(news, Run) and news.over), None))
    assert failed.status == "failed" and "no space is left on the disk" in failed.message
    kept = store.points(run.id)
    assert [point.step for point in kept] == list(range(1, len(kept) + 1))
    wait_for(lambda: queue.position(run.id) is None)
    with store._lock:
        store._connection.execute("PRAGMA max_page_count = 1000000")
    assert over(store, run).status == "failed"
    assert over(store, queue.submit(fake(0), "ann")).status == "done"
    assert len(store.points(run.id)) == len(kept)


def test_an_end_that_finds_no_space_is_written_later(store, queue, monkeypatch):
    finish = Store.finish
    full = threading.Event()
    full.set()

    def finish_or_fail(self, *arguments):
        if full.is_set():
            raise StoreError("no space is left on the disk")
        return finish(self, *arguments)

    monkeypatch.setattr(Store, "finish", finish_or_fail)
    heard = []
    run = queue.submit(fake(4), "ann")
    queue.subscribe(run.id, heard.append)
    wait_for(lambda: store.points(run.id))
    queue.stop_run(run.id)
    ended = wait_for(lambda: next((news for news in heard if isinstance(news, Run) and news.over), None))
    assert ended.status == "failed" and store.get(run.id).status == "running"
    full.clear()
    assert over(store, run).status == "failed"


def test_a_start_on_a_full_disk_tidies_up_once_there_is_space(tmp_path, monkeypatch, caplog):
    path = tmp_path / "runs.sqlite"
    dead = Store(path)
    run = dead.create(fake(0), "ann")
    dead.close()
    store = Store(path)
    monkeypatch.setattr("lossviz.jobs.queue.RETRY_SECONDS", 0.1)
    adopt = Store.adopt_queued
    full = threading.Event()
    full.set()

    def adopt_or_fail(self):
        if full.is_set():
            raise StoreError("no space is left on the disk")
        return adopt(self)

    monkeypatch.setattr(Store, "adopt_queued", adopt_or_fail)
    queue = Queue(store, command=FAKE)
    queue.start()
    assert "no space is left" in caplog.text and store.get(run.id).status == "queued"
    full.clear()
    assert over(store, run).status == "done"
    queue.close()
    store.close()


def test_a_worker_that_cannot_start_is_reported_and_tried_again(store):
    queue = Queue(store, command=(*FAKE, "--broken"))
    queue.start()
    assert "exit code 1" in wait_for(lambda: queue.problem)
    run = queue.submit(fake(0), "ann")
    assert queue.position(run.id) == 1
    queue._command = FAKE
    assert over(store, run).status == "done"
    assert queue.problem == ""
    queue.close()


def test_a_start_removes_what_was_deleted_long_ago(store, monkeypatch):
    old, new = store.create(fake(0), "ann"), store.create(fake(0), "ann")
    now = time.time()
    for run, age in ((old, 8), (new, 6)):
        store.finish(run.id, "stopped")
        monkeypatch.setattr(time, "time", lambda age=age: now - age * 86_400)
        store.delete(run.id, "ann")
    monkeypatch.undo()
    queue = Queue(store, command=FAKE)
    queue.start()
    queue.close()
    store.restore(new.id, "ann")
    with pytest.raises(KeyError):
        store.restore(old.id, "ann")


def test_several_workers_train_at_once(store):
    queue = Queue(store, workers=2, command=FAKE)
    queue.start()
    runs = [queue.submit(fake(4), "ann") for _ in range(2)]
    wait_for(lambda: all(store.points(run.id) for run in runs))
    assert [queue.position(run.id) for run in runs] == [0, 0]
    for run in runs:
        queue.stop_run(run.id)
        assert over(store, run).status == "stopped"
    queue.close()
