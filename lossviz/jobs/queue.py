"""The queue: runs wait here for a worker, and what the worker reports is committed and then handed to whoever follows.

First in, first out for each person, and person by person in turn. One thread reads each worker's reports; a point is in
the store before any follower hears of it.
"""

import contextlib
import dataclasses
import itertools
import json
import logging
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from lossviz.jobs.sidecar import environment
from lossviz.runs import Point, Run, RunSpec, Status, Store, StoreError
from lossviz.training import chosen_threads, validate

STOP_SECONDS = 0.7
"""A worker that has not stopped by then is ended, so that Stop holds within a second."""
CLOSE_SECONDS = 2.0
RETRY_SECONDS = 2.0
LONGEST_PAUSE = 30.0
KEEP_DELETED_SECONDS = 7 * 86_400.0
"""A deleted run can be restored for a week; the first start after that removes it."""

COMMAND = (sys.executable, "-m", "lossviz.jobs.worker")

News = Run | Sequence[Point]
"""What a follower gets: points just committed, or the run with its new status or message."""
Follower = Callable[[News], None]

log = logging.getLogger(__name__)


class _Worker:
    """A worker process and what it is doing."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            bufsize=1,
            env=environment(chosen_threads()),
            # A Ctrl-C in the terminal is for the server, which ends its workers itself.
            start_new_session=True,
        )
        self.ready = False
        self.run: Run | None = None
        self.stopping = False
        self.abandoned = False
        self.thread: threading.Thread | None = None

    def tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
        except (BrokenPipeError, ValueError):
            # It has died; the thread that reads from it sees that and says so.
            log.info("worker %d took no message", self.process.pid)

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def end(self) -> int:
        """Wait for a worker that has been hung up on, kill it if it lingers; its exit code."""
        try:
            return self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Queue:
    """Runs in waiting, the workers that train them, and the followers of each."""

    def __init__(self, store: Store, *, workers: int = 1, command: Sequence[str] = COMMAND) -> None:
        """Make a queue on ``store``; ``command`` starts a worker."""
        self.device: str | None = None
        self.problem = ""
        self._store = store
        self._wanted = workers
        self._command = command
        self._lock = threading.RLock()
        self._workers: list[_Worker] = []
        self._pending: dict[str, deque[Run]] = {}
        self._served: dict[str, int] = {}
        self._turns = itertools.count(1)
        self._followers: dict[str, list[Follower]] = {}
        self._unwritten: dict[str, tuple[Status, str]] = {}
        self._deaths = 0
        self._closing = False

    def start(self) -> None:
        """Interrupt what a dead process left running, take over what it left waiting, and warm the workers."""
        for _ in range(self._wanted):
            self._spawn()
        self._take_over()

    def close(self) -> None:
        """End the workers; their runs are interrupted, those in waiting stay queued for the next start."""
        with self._lock:
            self._closing = True
            workers = list(self._workers)
        for worker in workers:
            worker.hang_up()
        for worker in workers:
            worker.end()
            if worker.thread is not None:
                worker.thread.join()

    @property
    def waiting(self) -> int:
        """How many runs wait for a worker."""
        with self._lock:
            return sum(map(len, self._pending.values()))

    def submit(self, spec: RunSpec, owner: str) -> Run:
        """Add a run to the queue.

        Raises:
            ValueError: a loss cannot be trained on; names it and what is allowed.
            StoreError: the run could not be recorded.
        """
        validate(spec)
        run = self._store.create(spec, owner)
        self._enqueue(run)
        self._dispatch()
        return run

    def stop_run(self, run_id: str) -> None:
        """Stop a run that waits or is being trained; its points stay. One that is over stays as it is.

        Raises:
            KeyError: there is no such run.
            ValueError: another program trains it.
        """
        with self._lock:
            waiting = self._take_from_line(run_id)
            worker = next((w for w in self._workers if w.run is not None and w.run.id == run_id), None)
            if worker is not None:
                worker.stopping = True
                worker.tell({"stop": run_id})
                _later(STOP_SECONDS, lambda: self._kill_if_still_at(worker, run_id))
        if waiting is not None:
            self._finish(waiting, "stopped", "Stopped before it began.")
        elif worker is None and not self._store.get(run_id).over:
            raise ValueError("this run is trained by another program; stop it there")

    def position(self, run_id: str) -> int | None:
        """0 while the run is trained, 1 if it is next in line and so on; ``None`` if it is not here."""
        with self._lock:
            if any(worker.run is not None and worker.run.id == run_id for worker in self._workers):
                return 0
            line = {owner: deque(runs) for owner, runs in self._pending.items()}
            served, turns = dict(self._served), itertools.count(next(self._turns))
            for place in itertools.count(1):
                run = _next(line, served, turns)
                if run is None or run.id == run_id:
                    return place if run else None
        return None

    def subscribe(self, run_id: str, follower: Follower) -> Callable[[], None]:
        """Call ``follower`` with each news of a run, from a thread of the queue: it must return at once.

        Returns:
            What ends the subscription.
        """
        with self._lock:
            self._followers.setdefault(run_id, []).append(follower)

        def unsubscribe() -> None:
            with self._lock:
                left = [other for other in self._followers.get(run_id, []) if other is not follower]
                if left:
                    self._followers[run_id] = left
                else:
                    self._followers.pop(run_id, None)

        return unsubscribe

    # --- the line

    def _enqueue(self, run: Run) -> None:
        with self._lock:
            self._pending.setdefault(run.owner, deque()).append(run)

    def _take_over(self) -> None:
        """Tidy up after dead processes; on a full disk runs can be read meanwhile, and it is tried again."""
        if self._closing:
            return
        try:
            self._store.purge(KEEP_DELETED_SECONDS)
            self._store.interrupt_orphans()
            for run in self._store.adopt_queued():
                self._enqueue(run)
            self._dispatch()
        except StoreError as error:
            log.error("the runs of dead processes wait to be tidied up: %s", error)
            _later(RETRY_SECONDS, self._take_over)

    def _take_from_line(self, run_id: str) -> Run | None:
        for owner, runs in self._pending.items():
            for run in runs:
                if run.id == run_id:
                    runs.remove(run)
                    if not runs:
                        del self._pending[owner]
                    return run
        return None

    def _dispatch(self) -> None:
        with self._lock:
            for worker in self._workers:
                if worker.ready and worker.run is None and not self._closing:
                    worker.run = _next(self._pending, self._served, self._turns)
                    if worker.run is None:
                        break
                    worker.stopping = worker.abandoned = False
                    worker.tell({"run": worker.run.id, "spec": worker.run.spec.to_json()})
            active = {*self._pending, *(worker.run.owner for worker in self._workers if worker.run)}
            self._served = {owner: turn for owner, turn in self._served.items() if owner in active}

    # --- workers

    def _spawn(self) -> None:
        with self._lock:
            if self._closing:
                return
            worker = _Worker(self._command)
            self._workers.append(worker)
            worker.thread = threading.Thread(target=self._listen, args=[worker], name="worker", daemon=True)
            worker.thread.start()

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        try:
            with worker.process.stdout as lines:
                for line in lines:
                    # The last line of a worker that is killed may be cut short.
                    if line.endswith("\n"):
                        self._hear(worker, json.loads(line))
        finally:
            # Also after an error of ours: a worker that nobody listens to must not live on.
            worker.hang_up()
            self._bury(worker, worker.end())

    def _bury(self, worker: _Worker, code: int) -> None:
        with self._lock:
            self._workers.remove(worker)
            run, worker.run = worker.run, None
            self._deaths = 0 if worker.ready else self._deaths + 1
            if not worker.ready:
                self.problem = f"The worker cannot be started: it {_end(code)}; its error output says why."
            pause = 0.0 if worker.ready else min(LONGEST_PAUSE, 2.0**self._deaths)
            closing = self._closing
        if not closing:
            _later(pause, self._spawn)
        if run is not None and not worker.abandoned:
            step = self._store.get(run.id).step
            if worker.stopping:
                self._finish(run, "stopped", f"Stopped at step {step:,}.")
            elif closing:
                self._finish(run, "interrupted", f"The server was stopped at step {step:,}; the points are kept.")
            else:
                reason = f"The worker {_end(code)} after step {step:,}; the points up to there are kept."
                self._finish(run, "failed", reason)

    def _kill_if_still_at(self, worker: _Worker, run_id: str) -> None:
        with self._lock:
            if worker.run is not None and worker.run.id == run_id and worker in self._workers:
                worker.process.kill()

    # --- reports

    def _hear(self, worker: _Worker, message: dict[str, Any]) -> None:
        event = message["event"]
        run = worker.run
        if event == "ready":
            with self._lock:
                worker.ready, self.device, self.problem = True, message["device"], message["problem"]
            self._dispatch()
        elif run is None or message["run"] != run.id:
            log.warning("a worker spoke of run %s, which it does not have", message.get("run"))
        else:
            if not worker.abandoned:
                try:
                    self._record(run, message)
                except StoreError as error:
                    self._abandon(worker, run, str(error))
            if event in ("done", "stopped", "error"):
                with self._lock:
                    worker.run = None
                self._dispatch()

    def _record(self, run: Run, message: dict[str, Any]) -> None:
        match message["event"]:
            case "points":
                self._publish(run.id, self._store.append(run.id, [tuple(point) for point in message["points"]]))
            case "started":
                uses = {key: message[key] for key in ("device", "threads", "bridges", "way")}
                self._publish(run.id, self._store.begin(run.id, **uses))
            case "note":
                before = self._store.get(run.id).message
                self._publish(run.id, self._store.note(run.id, f"{before} {message['message']}".strip()))
            case "done":
                learned = any(accuracy is not None for accuracy in message["test_accuracy"])
                self._publish(run.id, self._store.finish(run.id, "done" if learned else "failed"))
            case "stopped":
                step = self._store.get(run.id).step
                self._publish(run.id, self._store.finish(run.id, "stopped", f"Stopped at step {step:,}."))
            case "error":
                self._publish(run.id, self._store.finish(run.id, "failed", message["message"]))
            case event:
                log.warning("a worker reported %r, which nobody knows", event)

    def _abandon(self, worker: _Worker, run: Run, reason: str) -> None:
        """Give a run up whose points can no longer be stored; what was committed stays."""
        with self._lock:
            worker.abandoned = True
            worker.tell({"stop": run.id})
            _later(STOP_SECONDS, lambda: self._kill_if_still_at(worker, run.id))
        self._finish(run, "failed", f"The run was given up because {reason}. The points stored before are kept.")

    def _finish(self, run: Run, status: Status, message: str) -> None:
        try:
            ended = self._store.finish(run.id, status, message)
        except StoreError as error:
            log.error("the end of run %s waits to be written: %s", run.id, error)
            ended = dataclasses.replace(run, status=status, message=message)
            with self._lock:
                self._unwritten[run.id] = (status, message)
            _later(RETRY_SECONDS, self._write_ends)
        self._publish(run.id, ended)

    def _write_ends(self) -> None:
        """Write the ends of runs that found no space when they came; later again if there still is none."""
        with self._lock:
            if self._closing:
                return
            waiting = dict(self._unwritten)
        try:
            for run_id, (status, message) in waiting.items():
                self._store.finish(run_id, status, message)
                with self._lock:
                    self._unwritten.pop(run_id, None)
        except StoreError:
            _later(RETRY_SECONDS, self._write_ends)

    def _publish(self, run_id: str, news: News) -> None:
        with self._lock:
            followers = list(self._followers.get(run_id, ()))
        for follower in followers:
            try:
                follower(news)
            except Exception:
                log.exception("a follower of run %s failed", run_id)


def _next(pending: dict[str, deque[Run]], served: dict[str, int], turns: "itertools.count[int]") -> Run | None:
    """Take the oldest run of the person who has waited longest for a turn."""
    if not pending:
        return None
    owner = min(pending, key=lambda person: served.get(person, 0))
    served[owner] = next(turns)
    run = pending[owner].popleft()
    if not pending[owner]:
        del pending[owner]
    return run


def _end(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _later(seconds: float, function: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, function)
    timer.daemon = True
    timer.start()
