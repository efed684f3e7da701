"""Many people dragging at once, then many pages open that nobody touches; prints one JSON line.

    python -m benchmarks.load [--scene KEY|all] [--people 20] [--hz 30] [--seconds 10] [--pages 100] [--idle 60]

The real app is served. What a finger asks for is recorded first: a real Chromium opens the scene and drags the handle
of `benchmarks.drag`, and the requests it sends are kept. Then each of ``people`` plays them back, ``hz`` moves a
second, over a socket of its own that decides when to send as `lossviz/ui/web/socket.js` does. With ``all``, person i
drags in scene i of the fourteen.

A move is answered by the first answer to a request that was sent after it: that answer shows the move, or a later one.
``p50_ms``, ``p95_ms`` and ``p99_ms`` count from the move to that answer, ``trip_p95_ms`` from a request to its own.
``answered`` is the share of moves that were answered; ``pictures_per_s`` is for one person, ``slowest_...`` for the one
who gets the fewest. CPU is in cores: of the server, the evaluator and this program, which takes its part of the same
machine. ``stretch`` is how many times longer server and evaluator took than on processors of their own: near 1 on a
quiet machine, and where it is more, the milliseconds say more about what else was running.

A page that nobody touches is, for the server, a Streamlit session whose script has run and an evaluated scene, with
both sockets open. A hundred Chromium tabs would be the same to it and far too much for the machine, so the sockets are
opened here as the browser does. ``idle_cpu`` is what server, evaluator and the training queue's processes together
take then, in cores; processor times come from /proc, so that this runs on Linux.

The exit status is 1 where a limit is not kept: ``p95_ms`` at most 60, ``idle_cpu`` at most 0.1 for 100 pages.
"""

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.drag import GRIPS, chromium, shake
from benchmarks.served import Served, served
from lossviz.live.access import Gate

LIMIT_MS = 60
WARM_SECONDS = 2.0
IDLE_LIMIT = 0.1 / 100
"""Cores that an idle page may take."""

# As in socket.js.
FRAME_MS = 1000 / 30
MOST_IN_FLIGHT = 12
FIRST_TRIP_MS = 8

RECORD = """
const send = WebSocket.prototype.send;
window.lvSent = [];
WebSocket.prototype.send = function (data) {
  if (typeof data === "string" && data.startsWith('{"seq":')) window.lvSent.push([performance.now(), data]);
  return send.call(this, data);
};
"""
AT_REST = "() => window.lvSent.length && performance.now() - window.lvSent.at(-1)[0] > 700"
SEQ = re.compile(rb'"seq":(\d+)')


# --- what a finger asks for


def recorded(browser: Browser, url: str, scene: str, moves: int = 60) -> list[str]:
    """The requests that a real page sends while its handle is dragged, each without its beginning, ``{"seq":1,``."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script(RECORD)
    page.goto(f"{url}/explore?scene={scene}")
    page.wait_for_function("document.querySelector('output[name=loss]')?.dataset.seq")
    page.wait_for_function(AT_REST)
    page.evaluate("window.lvSent.length = 0")
    shake(page, f"[data-handle='{GRIPS[scene].handle}']", GRIPS[scene], moves)
    sent: list[tuple[float, str]] = page.evaluate("window.lvSent")
    page.close()
    return [text.partition(",")[2] for _, text in sent]


# --- a person


@dataclass
class Person:
    """One page's scene socket, as socket.js has it, and the finger that moves the handle."""

    requests: Iterator[str]
    waits: list[float] = field(default_factory=list[float])
    trips: list[float] = field(default_factory=list[float])
    moves: int = 0
    pictures: int = 0
    errors: list[str] = field(default_factory=list[str])
    _seq: int = 0
    _shown: int = 0
    _trip: float = FIRST_TRIP_MS
    _flying: dict[int, float] = field(default_factory=dict[int, float])
    _unsent: list[float] = field(default_factory=list[float])
    _carried: dict[int, list[float]] = field(default_factory=dict[int, list[float]])

    async def drag(self, url: str, token: str, hz: float, seconds: float, phase: float) -> None:
        """Open the socket, see the first picture, move; ``phase`` is this person's share of the time between moves."""
        async with connect(socket_address(url, "/live/scene"), max_size=None) as socket:
            await socket.send(json.dumps({"token": token}))
            receiving = asyncio.create_task(self._receive(socket))
            await self._move(socket)
            await self._until_answered()
            self.waits.clear()
            self.trips.clear()
            self.moves = self.pictures = 0
            begin = time.perf_counter() + phase / hz
            for i in range(round(hz * seconds)):
                await asyncio.sleep(begin + i / hz - time.perf_counter())
                await self._move(socket)
            await self._until_answered()
            receiving.cancel()

    async def _move(self, socket: ClientConnection) -> None:
        self.moves += 1
        self._unsent.append(time.perf_counter())
        await self._send(socket)

    async def _until_answered(self) -> None:
        async with asyncio.timeout(30):
            while self._unsent or self._carried:
                await asyncio.sleep(0.01)

    async def _send(self, socket: ClientConnection) -> None:
        if not self._unsent or len(self._flying) >= self._limit:
            return
        self._seq += 1
        self._flying[self._seq] = time.perf_counter()
        self._carried[self._seq], self._unsent = self._unsent, []
        await socket.send(f'{{"seq":{self._seq},{next(self.requests)}')

    @property
    def _limit(self) -> int:
        return min(MOST_IN_FLIGHT, max(1, -int(-self._trip // FRAME_MS)))

    async def _receive(self, socket: ClientConnection) -> None:
        async for message in socket:
            now = time.perf_counter()
            found = SEQ.search(message[:40] if isinstance(message, bytes) else message.encode())
            if isinstance(message, str):
                self.errors.append(message)
            seq = int(found[1]) if found else 0
            if seq in self._flying:
                trip = (now - self._flying[seq]) * 1000
                self.trips.append(trip)
                self._trip += 0.2 * (trip - self._trip)
            self._flying = {flown: sent for flown, sent in self._flying.items() if flown > seq}
            await self._send(socket)
            if isinstance(message, bytes) and seq > self._shown:
                self._shown = seq
                self.pictures += 1
                for carried in [carried for carried in self._carried if carried <= seq]:
                    self.waits += [(now - moved) * 1000 for moved in self._carried.pop(carried)]


async def crowd(server: Served, plays: Sequence[Sequence[str]], people: int, hz: float, seconds: float) -> list[Person]:
    """Let ``people`` drag at once, one recording after the other, each from another place in it and out of step."""
    gate = Gate(server.home)
    crowd = [Person(cycle([*plays[i % len(plays)][i:], *plays[i % len(plays)][:i]])) for i in range(people)]
    source = random.Random(people)
    await asyncio.gather(
        *(
            person.drag(server.url, gate.token(f"person {i}"), hz, seconds, source.random())
            for i, person in enumerate(crowd)
        )
    )
    return crowd


def socket_address(url: str, path: str) -> str:
    """Where a socket of the server is."""
    return url.replace("http", "ws", 1) + path


# --- pages that nobody touches


async def idle_page(
    server: Served, request: str, alone: asyncio.Semaphore
) -> tuple[ClientConnection, ClientConnection]:
    """Open both sockets of an explorer's page and wait until its script has run and its scene is evaluated."""
    async with alone:
        session = await connect(
            socket_address(server.url, "/_stcore/stream"),
            max_size=None,
            subprotocols=["streamlit"],  # pyright: ignore[reportArgumentType]
        )
        asked = BackMsg()
        asked.rerun_script.page_name = "explore"
        asked.rerun_script.query_string = "scene=regression"
        await session.send(asked.SerializeToString())
        told = ForwardMsg()
        while told.WhichOneof("type") != "script_finished":
            told.ParseFromString(await session.recv(decode=False))
        scene = await connect(socket_address(server.url, "/live/scene"), max_size=None)
        await scene.send(json.dumps({"token": Gate(server.home).token("nobody")}))
        await scene.send('{"seq":1,' + request)
        await scene.recv()
    return session, scene


async def idle(server: Served, request: str, pages: int, seconds: float) -> dict[str, float]:
    """Processor time that the server's processes take, in cores, while ``pages`` pages are open."""
    alone = asyncio.Semaphore(2)
    opened = await asyncio.gather(*(idle_page(server, request, alone) for _ in range(pages)))
    await at_rest(server)
    meter = Meter(server)
    await asyncio.sleep(seconds)
    used, _ = meter.read()
    for socket in (socket for page in opened for socket in page):
        await socket.close()
    return used


# --- processor time


async def at_rest(server: Served) -> None:
    """Wait until no process of the server does anything, such as getting ready to help with a crowd."""
    used = 1.0
    while used > 0.05:
        meter = Meter(server)
        await asyncio.sleep(0.5)
        cores, _ = meter.read()
        used = sum(cores.values()) - cores["client"]


class Meter:
    """What the server and the processes it started take of the processors, from now on."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._began = time.perf_counter()
        self._before = self._seconds()
        self._own = time.process_time()

    def read(self) -> tuple[dict[str, float], float]:
        """Cores used so far, and how many times longer the work took than it would on processors of its own.

        Cores by who used them: ``server``, ``evaluator``, ``worker`` (the queue's) and ``client``, this program.
        """
        passed = time.perf_counter() - self._began
        used: dict[str, float] = {}
        waited = 0.0
        for (pid, role), (ran, queued) in self._seconds().items():
            ran_before, queued_before = self._before.get((pid, role), (0.0, 0.0))
            used[role] = used.get(role, 0.0) + ran - ran_before
            waited += queued - queued_before
        worked = sum(used.values())
        cores = {role: seconds / passed for role, seconds in used.items()}
        return {**cores, "client": (time.process_time() - self._own) / passed}, 1 + waited / worked if worked else 1.0

    def _seconds(self) -> dict[tuple[int, str], tuple[float, float]]:
        """For each process the time it ran, and the time it was ready and had no processor."""
        return {(pid, role): _scheduled(pid) for pid, role in processes(self._server).items()}


def processes(server: Served) -> dict[int, str]:
    """The server's process and those it started, by id: ``server``, ``evaluator`` or ``worker``."""
    roles = {server.pid: "server"}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == server.pid:
                named = b"lossviz.live.evaluator" in (folder / "cmdline").read_bytes()
                roles[int(folder.name)] = "evaluator" if named else "worker"
    return roles


def _scheduled(pid: int) -> tuple[float, float]:
    ran = queued = 0.0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            first, second, _ = thread.read_text().split()
            ran, queued = ran + int(first) / 1e9, queued + int(second) / 1e9
    return ran, queued


# --- all of it


def figures(people: Sequence[Person], seconds: float) -> dict[str, Any]:
    """What is told of a crowd."""
    waits = sorted(wait for person in people for wait in person.waits)
    trips = sorted(trip for person in people for trip in person.trips)
    moves = sum(person.moves for person in people)
    rates = [person.pictures / seconds for person in people]
    return {
        "moves": moves,
        "answered": round(len(waits) / moves, 4),
        "p50_ms": round(quantile(waits, 0.5), 1),
        "p95_ms": round(quantile(waits, 0.95), 1),
        "p99_ms": round(quantile(waits, 0.99), 1),
        "trip_p50_ms": round(quantile(trips, 0.5), 1),
        "trip_p95_ms": round(quantile(trips, 0.95), 1),
        "pictures_per_s": round(statistics.median(rates), 1),
        "slowest_pictures_per_s": round(min(rates), 1),
        "errors": sum(len(person.errors) for person in people),
    }


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that ``share`` of them do not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rounded(cores: Mapping[str, float]) -> dict[str, float]:
    return {role: round(value, 3) for role, value in cores.items()}


def measure(server: Served, plays: Sequence[Sequence[str]], people: int, hz: float, seconds: float) -> dict[str, Any]:
    """Let people drag, and say how long they waited and what it cost."""

    async def dragging() -> dict[str, Any]:
        await crowd(server, plays, people, hz, WARM_SECONDS)
        await at_rest(server)
        meter = Meter(server)
        found = figures(await crowd(server, plays, people, hz, seconds), seconds)
        cores, stretch = meter.read()
        return {**found, "cores": rounded(cores), "stretch": round(stretch, 2)}

    return asyncio.run(dragging())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", choices=[*GRIPS, "all"], default="regression")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--hz", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--idle", type=float, default=60)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served("app.py", Path(folder)) as server:
        with chromium() as browser:
            plays = [recorded(browser, server.url, scene) for scene in (GRIPS if a.scene == "all" else [a.scene])]
        found = measure(server, plays, a.people, a.hz, a.seconds)
        resting = asyncio.run(idle(server, plays[0][0], a.pages, a.idle)) if a.pages else {}
    idle_cpu = sum(resting.get(role, 0.0) for role in ("server", "evaluator", "worker"))
    kept = found["p95_ms"] <= LIMIT_MS and idle_cpu <= IDLE_LIMIT * a.pages
    settings = {"benchmark": "load", "scene": a.scene, "people": a.people, "hz": a.hz, "seconds": a.seconds}
    told = {"pages": a.pages, "idle_cpu": round(idle_cpu, 4), "idle_cores": rounded(resting)}
    machine = {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "kept": kept}
    print(json.dumps({**settings, **found, **told, **machine}))
    sys.exit(not kept)


if __name__ == "__main__":
    main()
