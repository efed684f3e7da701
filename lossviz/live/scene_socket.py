"""The socket that evaluates a scene under the finger: newest request wins, older ones are dropped."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from lossviz.jobs.sidecar import Sidecar, SidecarError
from lossviz.live.access import Gate, same_origin
from lossviz.live.messages import MessageError, parse_json, parse_request

REQUESTS_A_SECOND = 240
"""Four times a display's frames: what comes faster waits in the network, not here."""

_log = logging.getLogger(__name__)


class _Newest:
    """The newest request that has passed the check; it may be replaced until it is taken."""

    def __init__(self) -> None:
        # A deque is safe to share with the thread that takes.
        self._request: deque[tuple[int, bytes]] = deque(maxlen=1)
        self._there = asyncio.Event()
        self.taken = 0

    def put(self, seq: int, request: bytes) -> None:
        self._request.append((seq, request))
        self._there.set()

    async def wait(self) -> None:
        """Until there is one to take."""
        while not self._request:
            self._there.clear()
            await self._there.wait()

    def take(self) -> bytes:
        """Return the newest request; `taken` is its seq. Another thread's business, while nobody waits here."""
        self.taken, request = self._request.popleft()
        return request


async def admitted(socket: WebSocket, gate: Gate) -> dict[str, object] | None:
    """Accept ``socket`` and return its first message if the token in it is good; otherwise close with a reason."""
    if not same_origin(socket):
        await socket.close(4403, "Another site's page may not open this socket.")
        return None
    await socket.accept()
    try:
        first = parse_json(await asyncio.wait_for(receive(socket), 10))
    except (MessageError, TimeoutError):
        first = {}
    if gate.person(first.get("token")) is None:
        await socket.close(4401, "The token is missing or has expired; the page gives a new one.")
        return None
    return first


async def receive(socket: WebSocket) -> str | bytes:
    """Return the next message, text or bytes; raise `WebSocketDisconnect` when the other side is gone."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return message.get("text") or message.get("bytes") or ""


async def refuse(socket: WebSocket, error: MessageError) -> None:
    """Tell the sender what was wrong with its message; the socket stays open."""
    at = {} if error.position is None else {"position": error.position}
    await socket.send_text(json.dumps({"error": str(error), "seq": error.seq, **at}))


async def both(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until the first one ends, end the others, and raise the first error among them."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Also where this task itself is cancelled, as a server does that shuts down: nothing may go on without it.
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    if error := next(filter(None, errors), None):
        raise error


async def scene_socket(socket: WebSocket, gate: Gate, evaluator: Sidecar) -> None:
    """Serve one page's scene until it leaves."""
    try:
        if await admitted(socket, gate) is None:
            return
        newest = _Newest()
        await both(_read(socket, newest), _answer(socket, newest, evaluator))
    except WebSocketDisconnect:
        pass


async def _read(socket: WebSocket, newest: _Newest) -> None:
    due = time.monotonic()
    while True:
        text = await receive(socket)
        now = time.monotonic()
        due = max(due, now - 0.5) + 1 / REQUESTS_A_SECOND
        if due > now:
            await asyncio.sleep(due - now)
        try:
            seq = parse_request(text).seq
        except MessageError as error:
            await refuse(socket, error)
            continue
        newest.put(seq, text.encode() if isinstance(text, str) else text)


async def _answer(socket: WebSocket, newest: _Newest, evaluator: Sidecar) -> None:
    """Stand in line for the evaluator, once for each socket, and ask what is newest when the turn comes."""
    while True:
        await newest.wait()
        try:
            answer = await evaluator.ask(newest.take)
        except SidecarError as error:
            _log.error("a scene could not be evaluated: %s", error)
            await refuse(socket, MessageError("This could not be evaluated; the server's log says why.", newest.taken))
            continue
        await socket.send_bytes(answer)
