"""The socket that follows a run: first what is stored, then each batch as it is committed; none lost, none doubled."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from lossviz.jobs.queue import Queue
from lossviz.live.access import Gate
from lossviz.live.messages import MAX_SEQ
from lossviz.live.scene_socket import admitted, both, receive
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
        if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= MAX_SEQ:
            after = 0
        try:
            run = await asyncio.to_thread(store.get, run_id)
        except KeyError:
            run = None
        if run is None or run.deleted is not None:
            await socket.close(4404, "There is no such run.")
            return
        await both(_until_left(socket), _follow(socket, run_id, after, store, queue))
    except WebSocketDisconnect:
        pass


async def _follow(socket: WebSocket, run_id: str, after: int, store: Store, queue: Queue) -> None:
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[Run | Sequence[Point]] = asyncio.Queue()

    def tell(item: Run | Sequence[Point]) -> None:
        loop.call_soon_threadsafe(news.put_nowait, item)

    # Subscribed before the past is read: what is committed in between comes twice and is dropped by its number.
    unsubscribe = queue.subscribe(run_id, tell)
    try:
        last, over = await _backfill(socket, run_id, after, store)
        while True:
            try:
                items = [await asyncio.wait_for(news.get(), LOOK_AGAIN)]
            except TimeoutError:
                # Silence: perhaps another program trains the run, which tells nobody here of its points or its end.
                if not over and await asyncio.to_thread(queue.position, run_id) is None:
                    last, over = await _backfill(socket, run_id, last, store)
                continue
            if news.qsize() > BEHIND:
                await socket.close(4408, "Too far behind; come back for the rest.")
                return
            while not news.empty():
                items.append(news.get_nowait())
            points = [point for item in items if not isinstance(item, Run) for point in item if point.seq > last]
            runs = [item for item in items if isinstance(item, Run)]
            await _send(socket, points, runs[-1] if runs else None)
            last = points[-1].seq if points else last
            over = over or any(run.over for run in runs)
    finally:
        unsubscribe()


async def _backfill(socket: WebSocket, run_id: str, after: int, store: Store) -> tuple[int, bool]:
    """Send what came after ``after``; return the last number sent, and whether the run is over."""
    # Read before the points: a run that is over has no more of them, one that ends in between is asked about again.
    run = await asyncio.to_thread(store.get, run_id)
    points = await asyncio.to_thread(store.points, run_id, after)
    for start in range(0, len(points), BACKFILL):
        await _send(socket, points[start : start + BACKFILL], None)
    await _send(socket, [], run)
    return (points[-1].seq if points else after), run.over


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
        "way": run.way,
        "started": run.started,
        "elapsed": time.time() - run.started if run.started else 0.0,
        "finished": run.finished,
    }
