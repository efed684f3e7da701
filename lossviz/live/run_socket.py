"""The socket that follows a run: first what is stored, then each batch as it is committed; none lost, none doubled."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from lossviz.jobs.queue import Queue
from lossviz.live.access import Gate
from lossviz.live.scene_socket import admitted, receive
from lossviz.runs import Point, Run, Store, json_number

BACKFILL = 20_000
"""Points in one message of the past."""
LOOK_AGAIN = 1.0
"""Seconds of silence after which the store is asked about a run that another program trains."""
BEHIND = 2_000
"""Batches that wait for a slow reader before it is sent away to come back and read the store instead."""


async def run_socket(socket: WebSocket, gate: Gate, store: Store, queue: Queue) -> None:
    """Serve one follower of the run that the path names until it leaves."""
    run_id = str(socket.path_params["run"])
    try:
        first = await admitted(socket, gate)
        if first is None:
            return
        after = first.get("after")
        if not isinstance(after, int) or isinstance(after, bool) or after < 0:
            after = 0
        try:
            await asyncio.to_thread(store.get, run_id)
        except KeyError:
            await socket.close(4404, "There is no such run.")
            return
        await _follow(socket, run_id, after, store, queue)
    except WebSocketDisconnect:
        pass


async def _follow(socket: WebSocket, run_id: str, after: int, store: Store, queue: Queue) -> None:
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[Run | Sequence[Point]] = asyncio.Queue()

    def hear(item: Run | Sequence[Point]) -> None:
        loop.call_soon_threadsafe(news.put_nowait, item)

    # Subscribed before the past is read: what is committed in between comes twice and is dropped by its number.
    unsubscribe = queue.subscribe(run_id, hear)
    leaving = asyncio.create_task(_until_left(socket))
    try:
        last = await _backfill(socket, run_id, after, store)
        while not leaving.done():
            getting = asyncio.create_task(news.get())
            await asyncio.wait((getting, leaving), timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                if not leaving.done() and await asyncio.to_thread(_elsewhere, run_id, store, queue):
                    last = await _backfill(socket, run_id, last, store)
                continue
            if news.qsize() > BEHIND:
                await socket.close(4408, "Too far behind; come back for the rest.")
                return
            items = [getting.result()]
            while not news.empty():
                items.append(news.get_nowait())
            last = await _pass_on(socket, items, last)
    finally:
        unsubscribe()
        leaving.cancel()


def _elsewhere(run_id: str, store: Store, queue: Queue) -> bool:
    """Whether another program trains the run, one that tells nobody here of its points."""
    return queue.position(run_id) is None and not store.get(run_id).over


async def _pass_on(socket: WebSocket, items: Sequence[Run | Sequence[Point]], last: int) -> int:
    points = [point for item in items if not isinstance(item, Run) for point in item if point.seq > last]
    runs = [item for item in items if isinstance(item, Run)]
    await _send(socket, points, runs[-1] if runs else None)
    return points[-1].seq if points else last


async def _backfill(socket: WebSocket, run_id: str, after: int, store: Store) -> int:
    points = await asyncio.to_thread(store.points, run_id, after)
    for start in range(0, len(points), BACKFILL):
        await _send(socket, points[start : start + BACKFILL], None)
    # Read after the points: a run that is over by now has no more of them.
    await _send(socket, [], await asyncio.to_thread(store.get, run_id))
    return points[-1].seq if points else after


async def _until_left(socket: WebSocket) -> None:
    try:
        while True:
            await receive(socket)
    except WebSocketDisconnect:
        pass


async def _send(socket: WebSocket, points: Sequence[Point], run: Run | None) -> None:
    message: dict[str, Any] = {}
    if points:
        message["points"] = [[p.seq, p.member, p.step, p.metric, json_number(p.value)] for p in points]
    if run:
        message["run"] = progress(run)
    if message:
        await socket.send_text(json.dumps(message, allow_nan=False))


def progress(run: Run) -> dict[str, Any]:
    """Return what a follower shows of a run beside its points."""
    return {
        "status": run.status,
        "message": run.message,
        "step": run.step,
        "total_steps": run.total_steps,
        "device": run.device,
        "threads": run.threads,
        "started": run.started,
        "elapsed": time.time() - run.started if run.started else 0.0,
        "finished": run.finished,
    }
