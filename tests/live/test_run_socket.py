"""The socket that follows a run: the past, then the news, each point once and none missing."""

import dataclasses
import json
import math
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from lossviz.jobs.queue import Queue
from lossviz.live.service import Service
from lossviz.runs import LossChoice, Run, RunSpec, Store
from tests.jobs.conftest import FAKE
from tests.live.conftest import TestClient

pytestmark = pytest.mark.timeout(60)
SPEC = RunSpec(losses=(LossChoice("mse", {}),), epochs=1)
STREAMS = RunSpec(losses=(LossChoice("mse", {}),), epochs=1, seed=7)
"""The fake worker sends points for this seed until it is stopped."""
run_socket = import_module("lossviz.live.run_socket")


class Follower:
    """What a page has been told so far."""

    def __init__(self, client: TestClient, token: str, run_id: str, after: object = 0):
        self._connecting = client.websocket_connect(f"/live/runs/{run_id}")
        self._first = {"token": token, "after": after}
        self.points: list[list[Any]] = []
        self.run: dict[str, Any] = {}

    def __enter__(self) -> "Follower":
        self._session = self._connecting.__enter__()
        self._session.send_text(json.dumps(self._first))
        return self

    def __exit__(self, *error: Any) -> None:
        self._connecting.__exit__(*error)

    def hear(self) -> None:
        message = self._session.receive()
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        news = json.loads(message["text"], parse_constant=pytest.fail)
        assert set(news) <= {"points", "run"} and news
        self.points += news.get("points", [])
        self.run = news.get("run", self.run)

    def hear_until(self, status: str) -> None:
        while self.run.get("status") != status:
            self.hear()

    def leave(self) -> None:
        self._session.close()


def rows(store: Store, run: Run, after: int = 0) -> list[list[Any]]:
    return [[p.seq, p.member, p.step, p.metric, p.value] for p in store.points(run.id, after)]


def stored(store: Store, steps: range) -> Run:
    """A run of this process with a point for each of ``steps``."""
    run = store.create(SPEC, "somebody")
    store.begin(run.id, device="cpu", threads=1, bridges=["text"])
    store.append(run.id, [(0, step, "train_loss", step / 3) for step in steps])
    return run


@pytest.fixture
def other(ours: Service) -> Iterator[Store]:
    """The same store as another program has it open."""
    store = Store(ours.store.path)
    yield store
    store.close()


# --- the past


@pytest.mark.parametrize("after", [0, 1, 17, 50, 99])
def test_a_follower_gets_what_it_does_not_have(ours: Service, client: TestClient, token: str, after: int):
    run = stored(ours.store, range(50))
    ours.store.finish(run.id, "done")
    with Follower(client, token, run.id, after) as follower:
        follower.hear_until("done")
    assert follower.points == rows(ours.store, run, after)
    assert [point[0] for point in follower.points] == list(range(after + 1, 51))


@pytest.mark.parametrize("after", [-1, 1.5, True, "3", None, [], 10**30])
def test_a_place_that_makes_no_sense_harms_nobody(ours: Service, client: TestClient, token: str, after: object):
    run = stored(ours.store, range(5))
    ours.store.finish(run.id, "done")
    with Follower(client, token, run.id, after) as follower:
        follower.hear_until("done")
    assert follower.points == rows(ours.store, run)


def test_a_long_past_comes_in_pieces(ours: Service, client: TestClient, token: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_socket, "BACKFILL", 7)
    run = stored(ours.store, range(30))
    ours.store.finish(run.id, "done")
    with Follower(client, token, run.id) as follower:
        follower.hear()
        assert len(follower.points) == 7
        follower.hear_until("done")
    assert follower.points == rows(ours.store, run)


def test_progress_says_what_a_page_shows(ours: Service, client: TestClient, token: str):
    run = stored(ours.store, range(5))
    ours.store.note(run.id, "A sentence.")
    with Follower(client, token, run.id) as follower:
        follower.hear_until("running")
        told = follower.run
    assert (told["status"], told["message"], told["step"], told["device"]) == ("running", "A sentence.", 4, "cpu")
    assert told["total_steps"] == run.total_steps
    assert 0 <= told["elapsed"] < 60


def test_numbers_that_json_lacks_survive_as_words(ours: Service, client: TestClient, token: str):
    run = stored(ours.store, range(0))
    ours.store.append(run.id, [(0, i, "train_loss", v) for i, v in enumerate([math.nan, math.inf, -math.inf, 0.5])])
    ours.store.finish(run.id, "failed", "It diverged.")
    with Follower(client, token, run.id) as follower:
        follower.hear_until("failed")
    assert [point[4] for point in follower.points] == ["NaN", "Infinity", "-Infinity", 0.5]
    assert follower.run["message"] == "It diverged."


# --- who is turned away


@pytest.mark.parametrize("run_id", ["nothing", "%20", "x" * 300])
def test_an_unknown_run_closes_with_its_own_code(client: TestClient, token: str, run_id: str):
    with Follower(client, token, run_id) as follower, pytest.raises(WebSocketDisconnect) as closed:
        follower.hear()
    assert closed.value.code == 4404
    assert closed.value.reason == "There is no such run."


def test_a_deleted_run_is_no_run_until_it_is_taken_back(ours: Service, client: TestClient, token: str):
    run = stored(ours.store, range(3))
    ours.store.finish(run.id, "done")
    ours.store.delete(run.id, "somebody")
    with Follower(client, token, run.id) as follower, pytest.raises(WebSocketDisconnect) as closed:
        follower.hear()
    assert closed.value.code == 4404
    ours.store.restore(run.id, "somebody")
    with Follower(client, token, run.id) as follower:
        follower.hear_until("done")
    assert len(follower.points) == 3


def test_without_a_good_token_there_is_nothing_to_follow(ours: Service, client: TestClient):
    run = stored(ours.store, range(3))
    with Follower(client, "forged", run.id) as follower, pytest.raises(WebSocketDisconnect) as closed:
        follower.hear()
    assert closed.value.code == 4401
    assert follower.points == []


# --- the news


@pytest.fixture
def streaming(ours: Service) -> Iterator[Queue]:
    """The service's store with a queue whose worker streams without end, put in the service's place."""
    queue = Queue(ours.store, command=FAKE)
    queue.start()
    service_module = import_module("lossviz.live.service")
    running = service_module._running
    service_module._running = dataclasses.replace(ours, queue=queue)
    yield queue
    service_module._running = running
    queue.close()


def test_nothing_is_lost_and_nothing_doubled_while_another_thread_appends(
    ours: Service, streaming: Queue, client: TestClient, token: str
):
    """Followers come at any moment of a stream, some from the start and some from where they were."""
    run = streaming.submit(STREAMS, "somebody")
    followers: list[Follower] = []
    failures: list[BaseException] = []

    def follow(delay: float, share: float) -> None:
        time.sleep(delay)
        after = int(share * ours.store.get(run.id).step)
        try:
            with Follower(client, token, run.id, after) as follower:
                follower.hear_until("stopped")
            assert [point[0] for point in follower.points] == list(range(after + 1, after + 1 + len(follower.points)))
            followers.append(follower)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=follow, args=(0.13 * i, (i % 4) / 4)) for i in range(10)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    streaming.stop_run(run.id)
    for thread in threads:
        thread.join(40)
    assert failures == []
    assert len(followers) == 10
    everything = rows(ours.store, run)
    assert len(everything) > 50
    for follower in followers:
        assert follower.points == everything[follower.points[0][0] - 1 :]


def test_stop_reaches_the_follower(ours: Service, streaming: Queue, client: TestClient, token: str):
    run = streaming.submit(STREAMS, "somebody")
    with Follower(client, token, run.id) as follower:
        while len(follower.points) < 5:
            follower.hear()
        streaming.stop_run(run.id)
        follower.hear_until("stopped")
    assert follower.run["message"].startswith("Stopped at step ")
    assert follower.points == rows(ours.store, run)


def test_a_follower_that_left_is_forgotten(ours: Service, streaming: Queue, client: TestClient, token: str):
    run = streaming.submit(STREAMS, "somebody")
    with Follower(client, token, run.id) as follower:
        follower.hear()
        assert len(streaming._followers[run.id]) == 1
        follower.leave()
        end = time.monotonic() + 10
        while streaming._followers and time.monotonic() < end:
            time.sleep(0.01)
        assert streaming._followers == {}
    streaming.stop_run(run.id)


def test_a_reader_that_is_far_too_slow_is_sent_away(
    ours: Service, streaming: Queue, client: TestClient, token: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_socket, "BEHIND", 3)
    sending = run_socket._send

    async def slowly(*arguments: Any) -> None:
        await import_module("asyncio").sleep(0.3)
        await sending(*arguments)

    monkeypatch.setattr(run_socket, "_send", slowly)
    run = streaming.submit(STREAMS, "somebody")
    with Follower(client, token, run.id) as follower, pytest.raises(WebSocketDisconnect) as closed:
        follower.hear_until("never")
    assert closed.value.code == 4408
    streaming.stop_run(run.id)
    seqs = [point[0] for point in follower.points]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_run_of_another_program_is_followed_to_its_end(
    ours: Service, client: TestClient, token: str, other: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_socket, "LOOK_AGAIN", 0.05)
    run = stored(other, range(10))
    with Follower(client, token, run.id) as follower:
        follower.hear_until("running")
        assert len(follower.points) == 10
        other.append(run.id, [(0, 10, "train_loss", 0.5)])
        while len(follower.points) < 11:
            follower.hear()
        # The last points and the end come between two looks.
        other.append(run.id, [(0, 11, "train_loss", 0.25)])
        other.finish(run.id, "done")
        follower.hear_until("done")
    assert follower.points == rows(other, run)


def test_points_that_come_while_the_past_is_read_are_not_lost_with_the_end(
    ours: Service, client: TestClient, token: str, other: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_socket, "LOOK_AGAIN", 0.05)
    run = stored(other, range(10))
    reading = ours.store.points

    def overtaken(*arguments: Any) -> Any:
        points = reading(*arguments)
        if not other.get(run.id).over:
            other.append(run.id, [(0, 10, "train_loss", 0.25)])
            other.finish(run.id, "done")
        return points

    monkeypatch.setattr(ours.store, "points", overtaken)
    with Follower(client, token, run.id) as follower:
        follower.hear_until("done")
    assert follower.points == rows(other, run)
