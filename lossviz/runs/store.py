"""The run store: SQLite on a local disk, in WAL mode. A point is acknowledged once ``append`` has returned."""

import contextlib
import fcntl
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from lossviz.data.folders import home
from lossviz.runs.spec import RunSpec

Status = Literal["queued", "running", "done", "failed", "stopped", "interrupted"]
STATUSES: tuple[Status, ...] = get_args(Status)
OVER: tuple[Status, ...] = ("done", "failed", "stopped", "interrupted")

BUSY_SECONDS = 10.0
"""How long a statement waits for another process's lock before it is an error."""

MIGRATIONS = (
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        status TEXT NOT NULL,
        message TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL,
        started REAL,
        finished REAL,
        deleted REAL,
        spec TEXT NOT NULL,
        losses TEXT NOT NULL,
        device TEXT NOT NULL DEFAULT '',
        threads INTEGER,
        bridges TEXT NOT NULL DEFAULT '[]',
        total_steps INTEGER NOT NULL,
        step INTEGER NOT NULL DEFAULT 0,
        writer TEXT NOT NULL
    );
    CREATE INDEX runs_by_owner ON runs (owner, number);
    CREATE INDEX runs_by_status ON runs (status, number);
    CREATE TABLE points (
        run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
        seq INTEGER NOT NULL,
        member INTEGER NOT NULL,
        step INTEGER NOT NULL,
        metric TEXT NOT NULL,
        value REAL,
        PRIMARY KEY (run, seq)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX points_by_key ON points (run, member, metric, step);
    """,
    "ALTER TABLE runs ADD COLUMN way TEXT NOT NULL DEFAULT ''",
)
"""Schema changes in order; ``user_version`` counts those a file has. Never edit one that has landed: add the next."""

_COLUMNS = (
    "id, owner, status, message, created, started, finished, deleted, spec, device, threads, bridges, "
    "way, total_steps, step, writer"
)


class StoreError(Exception):
    """The store could not be read or written; the sentence says why. What was committed before is safe."""


class Point(NamedTuple):
    """One measured number of a run, with its place in the run's order of arrival."""

    seq: int
    member: int
    step: int
    metric: str
    value: float


Measured = tuple[int, int, str, float]
"""A point not yet stored: member, step, metric, value (NaN and infinities are values too)."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the store knows it.

    Times are seconds since 1970, ``bridges`` one sentence for each loss, ``way`` one on how the members are trained
    together.
    """

    id: str
    owner: str
    status: Status
    message: str
    created: float
    started: float | None
    finished: float | None
    deleted: float | None
    spec: RunSpec
    device: str
    threads: int | None
    bridges: tuple[str, ...]
    way: str
    total_steps: int
    step: int
    writer: str

    @property
    def over(self) -> bool:
        """Whether no more points will come."""
        return self.status in OVER


class _Writer(NamedTuple):
    id: str
    path: Path
    descriptor: int


def default_path() -> Path:
    """Where the store lies: in the folder named by LOSSVIZ_HOME, else in the user's data folder."""
    return home() / "runs.sqlite"


class Store:
    """All runs and their points; may be shared by any number of threads.

    One connection writes, behind a lock; each read opens its own, so that a page never waits for a worker's points.
    """

    def __init__(self, path: Path) -> None:
        """Open the store at ``path``, making or migrating it as needed.

        Raises:
            StoreError: it cannot be opened, is no store, or is of a newer lossviz.
        """
        self.path = path
        self._lock = threading.RLock()
        with _sentences(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connect()
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file and give the writer's lock back; runs still marked as running are interrupted ones then."""
        with self._lock:
            self._connection.close()
            if "writer" in self.__dict__:
                os.close(self.writer.descriptor)
                self.writer.path.unlink(missing_ok=True)
                del self.writer

    def create(self, spec: RunSpec, owner: str) -> Run:
        """Add a queued run of ``owner``, written by this process."""
        run_id = secrets.token_urlsafe(12)
        losses = " ".join(choice.key for choice in spec.losses)
        values = (run_id, owner, "queued", time.time(), json.dumps(spec.to_json()), losses, spec.total_steps)
        with self._write() as connection:
            connection.execute(
                "INSERT INTO runs (id, owner, status, created, spec, losses, total_steps, writer)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, self.writer.id),
            )
        return self.get(run_id)

    def get(self, run_id: str) -> Run:
        """The run of that id, deleted ones too (an owner may take a deletion back).

        Raises:
            KeyError: there is none.
        """
        with self._read() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise KeyError(f"there is no run {run_id[:40]!r}")
        return _run(row)

    def runs(
        self, *, owner: str | None = None, status: Status | None = None, text: str = "", limit: int = 1_000
    ) -> list[Run]:
        """Runs that are not deleted, newest first.

        Args:
            owner: only this person's.
            status: only those with this status.
            text: only those with every word of it in the run's id, spec (losses, model, optimiser) or message.
            limit: at most so many.
        """
        wanted, values = ["deleted IS NULL"], list[str | int]()
        for column, value in (("owner", owner), ("status", status)):
            if value is not None:
                wanted.append(f"{column} = ?")
                values.append(value)
        for word in text.split():
            wanted.append("instr(lower(id || ' ' || spec || ' ' || message), ?) > 0")
            values.append(word.lower())
        with self._read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM runs WHERE {' AND '.join(wanted)} ORDER BY number DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [_run(row) for row in rows]

    def begin(self, run_id: str, *, device: str, threads: int, bridges: Iterable[str], way: str = "") -> Run:
        """Mark a queued run as running, with what it runs on and how its losses and members are joined."""
        with self._write() as connection:
            connection.execute(
                "UPDATE runs SET status = 'running', started = ?, device = ?, threads = ?, bridges = ?, way = ?,"
                " writer = ?"
                " WHERE id = ? AND status = 'queued'",
                (time.time(), device, threads, json.dumps(list(bridges)), way, self.writer.id, run_id),
            )
        return self.get(run_id)

    def append(self, run_id: str, points: Iterable[Measured]) -> list[Point]:
        """Store points in one transaction and number them; once this returns they survive the death of the process.

        Raises:
            StoreError: nothing of this call was stored (no space, locked for long, or a point that is there already).
        """
        with self._write() as connection:
            number, last = connection.execute(
                "SELECT number, (SELECT coalesce(max(seq), 0) FROM points WHERE run = number) FROM runs WHERE id = ?",
                (run_id,),
            ).fetchone() or (None, 0)
            if number is None:
                raise StoreError(f"there is no run {run_id[:40]!r} to add points to")
            stored = [Point(last + 1 + place, *point) for place, point in enumerate(points)]
            connection.executemany(
                "INSERT INTO points (run, seq, member, step, metric, value) VALUES (?, ?, ?, ?, ?, ?)",
                [(number, *point) for point in stored],
            )
            top = max((point.step for point in stored), default=0)
            connection.execute("UPDATE runs SET step = max(step, ?) WHERE number = ?", (top, number))
        return stored

    def points(self, run_id: str, after: int = 0) -> list[Point]:
        """The run's points with a sequence number above ``after``, in the order in which they came."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT seq, member, points.step, metric, value FROM points JOIN runs ON run = number"
                " WHERE id = ? AND seq > ? ORDER BY seq",
                (run_id, after),
            ).fetchall()
        return [Point(seq, member, step, metric, _number(value)) for seq, member, step, metric, value in rows]

    def latest(self, run_id: str, metric: str) -> dict[int, Point]:
        """The newest point of a metric, for each member that has one."""
        with self._read() as connection:
            rows = connection.execute(
                "SELECT seq, member, max(points.step), metric, value FROM points JOIN runs ON run = number"
                " WHERE id = ? AND metric = ? GROUP BY member",
                (run_id, metric),
            ).fetchall()
        return {member: Point(seq, member, step, metric, _number(value)) for seq, member, step, metric, value in rows}

    def note(self, run_id: str, message: str) -> Run:
        """Set the sentence that stands beside a run."""
        with self._write() as connection:
            connection.execute("UPDATE runs SET message = ? WHERE id = ?", (message, run_id))
        return self.get(run_id)

    def finish(self, run_id: str, status: Status, message: str | None = None) -> Run:
        """End a run that is queued or running; one that has ended keeps its status. ``None`` keeps the message."""
        with self._write() as connection:
            connection.execute(
                "UPDATE runs SET status = ?, finished = ?, message = coalesce(?, message)"
                " WHERE id = ? AND status IN ('queued', 'running')",
                (status, time.time(), message, run_id),
            )
        return self.get(run_id)

    def delete(self, run_id: str, owner: str) -> None:
        """Hide a run of ``owner``; ``restore`` takes it back until ``purge`` removes it.

        Raises:
            PermissionError: it is somebody else's.
            KeyError: there is none.
        """
        self._set_deleted(run_id, owner, time.time())

    def restore(self, run_id: str, owner: str) -> None:
        """Take a deletion back; raises as ``delete`` does."""
        self._set_deleted(run_id, owner, None)

    def purge(self, older_than: float) -> int:
        """Remove the runs deleted more than ``older_than`` seconds ago, with their points; returns how many."""
        with self._write() as connection:
            return connection.execute(
                "DELETE FROM runs WHERE deleted < ? AND status NOT IN ('queued', 'running')",
                (time.time() - older_than,),
            ).rowcount

    def interrupt_orphans(self) -> list[Run]:
        """Mark running runs whose process has died as interrupted; their points stay."""
        orphans = self._of_dead_writers("running")
        message = "The program that trained it ended; the points up to there are kept."
        return [self.finish(run.id, "interrupted", message) for run in orphans]

    def adopt_queued(self) -> list[Run]:
        """Take over queued runs whose process has died, oldest first, so that this process may run them."""
        orphans = self._of_dead_writers("queued")
        with self._write() as connection:
            for run in orphans:
                connection.execute(
                    "UPDATE runs SET writer = ? WHERE id = ? AND writer = ?", (self.writer.id, run.id, run.writer)
                )
        return [self.get(run.id) for run in orphans]

    @cached_property
    def writer(self) -> _Writer:
        """This process's lock file: as long as it is locked, the process that runs a run is alive."""
        with self._lock:
            return _take_writer(self.path.parent / "writers")

    def _of_dead_writers(self, status: Status) -> list[Run]:
        with self._read() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM runs WHERE status = ? ORDER BY number", (status,)
            ).fetchall()
        runs = [_run(row) for row in rows]
        dead = {name for name in {run.writer for run in runs} if not self._alive(name)}
        return [run for run in runs if run.writer in dead]

    def _alive(self, writer: str) -> bool:
        own = self.__dict__.get("writer")
        return (own is not None and own.id == writer) or _locked(self.path.parent / "writers" / f"{writer}.lock")

    def _set_deleted(self, run_id: str, owner: str, when: float | None) -> None:
        if self.get(run_id).owner != owner:
            raise PermissionError("this run belongs to somebody else; only its owner may delete it")
        with self._write() as connection:
            connection.execute("UPDATE runs SET deleted = ? WHERE id = ?", (when, run_id))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    @contextlib.contextmanager
    def _read(self) -> Generator[sqlite3.Connection]:
        with _sentences(self.path), contextlib.closing(self._connect()) as connection:
            yield connection

    @contextlib.contextmanager
    def _write(self) -> Generator[sqlite3.Connection]:
        with self._lock, _sentences(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself where the disk is full.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _migrate(self) -> None:
        with self._write() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"{self.path} has schema {version}, this lossviz knows up to {len(MIGRATIONS)}: install a newer one"
                )
            for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in script.split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")


def _take_writer(folder: Path) -> _Writer:
    folder.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(8)
    path = folder / f"{name}.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return _Writer(name, path, descriptor)


def _locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    return False


@contextlib.contextmanager
def _sentences(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        reason = {
            "SQLITE_FULL": "no space is left on the disk; free some and try again",
            "SQLITE_IOERR_WRITE": "the disk refused to write (it may be full)",
            "SQLITE_BUSY": f"another program has kept it locked for more than {BUSY_SECONDS:.0f} seconds",
            "SQLITE_NOTADB": "this file is no SQLite database",
            "SQLITE_CONSTRAINT_UNIQUE": "a point with the same member, step and metric is there already",
        }.get(getattr(error, "sqlite_errorname", ""), str(error))
        raise StoreError(f"the run store {path} cannot be used: {reason}") from error
    except OSError as error:
        raise StoreError(f"the run store {path} cannot be used: {error.strerror or error}") from error


def _number(value: float | None) -> float:
    """SQLite keeps infinities but turns NaN into NULL, and nothing else in that column is NULL."""
    return float("nan") if value is None else value


def _run(row: sqlite3.Row) -> Run:
    values: dict[str, Any] = dict(row)
    values["spec"] = RunSpec.parse(json.loads(values["spec"]))
    values["bridges"] = tuple(json.loads(values["bridges"]))
    return Run(**values)
