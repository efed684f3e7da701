"""Ten thousand hostile messages and formulas: each is answered, none takes long, none leaves a trace."""

import asyncio
import json
import os
import random
import socket as sockets
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.load import at_rest, processes
from benchmarks.served import Served, served
from lossviz.language import FormulaError, parse
from lossviz.live.access import Gate
from lossviz.live.messages import MessageError, evaluate, parse_request
from lossviz.scenes import EVERY_SCENE
from tests.live.frames import decode
from tests.live.hostile import Message, formula, good, message

MESSAGES, FORMULAS, OVER_THE_WIRE, SOCKETS = 5600, 3000, 2400, 12
LONGEST = 4000
"""Characters of an error; the longest one lists every loss of the catalogue."""
ECHO = 300
"""Characters in a row that an error may repeat of what was sent."""
SECONDS = 2.0
"""Processor time that one message may take."""


def assert_says_why(error: str, sent: Message) -> None:
    assert 10 < len(error) <= LONGEST, error
    assert " " in error and error.isprintable(), error
    assert "Traceback" not in error and " object at 0x" not in error, error
    text = sent if isinstance(sent, str) else sent.decode(errors="replace")
    for start in range(0, len(error) - ECHO, 10):
        assert error[start : start + ECHO] not in text, f"echoed: {error}"


def outcome(sent: Message) -> str:
    """``"error"`` or ``"frame"``; fails on anything else, and on what takes long."""
    began = time.process_time()
    try:
        request = parse_request(sent)
    except MessageError as error:
        assert_says_why(str(error), sent)
        assert json.dumps(str(error))
        kind = "error"
    else:
        header, _ = decode(evaluate(request))
        assert header["seq"] == request.seq
        kind = "frame"
    assert time.process_time() - began < SECONDS, sent
    return kind


def test_hostile_messages_of_every_scene_are_answered():
    source = random.Random(4)
    for scene in EVERY_SCENE:
        assert outcome(json.dumps(good(source, scene))) == "frame", scene.key
    kinds = [outcome(message(source)) for _ in range(MESSAGES)]
    assert kinds.count("error") > 0.7 * MESSAGES
    assert kinds.count("frame") > 0.02 * MESSAGES


def test_hostile_formulas_are_answered():
    """All are parsed; a tenth is evaluated too, with the search for counter-examples, which is what takes long."""
    source = random.Random(4)
    refused = 0
    for i in range(FORMULAS):
        text = formula(source)
        began = time.process_time()
        try:
            parse(text)
        except FormulaError as error:
            refused += 1
            assert 0 <= error.position <= len(text)
            assert 10 < len(error.reason) < 200
        assert time.process_time() - began < 0.1, text
        if i % 10 == 0:
            views = ["curve", "derivative", "surface:formula", "proof:formula", "formula:formula", "checks"]
            request = {"seq": i, "scene": "formula", "losses": [], "params": {}, "handles": {"formula": text}}
            outcome(json.dumps({**request, "views": views}))
    assert 0.5 * FORMULAS < refused < 0.95 * FORMULAS


# --- the real server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served("app.py", tmp_path_factory.mktemp("hostile")) as server:
        yield server


def address(site: Served) -> str:
    return site.url.replace("http", "ws", 1) + "/live/scene"


async def opened(site: Served) -> ClientConnection:
    socket = await connect(address(site), max_size=None)
    await socket.send(json.dumps({"token": Gate(site.home).token("eve")}))
    return socket


async def ask(socket: ClientConnection, sent: Message) -> str:
    """Send a message and wait for what it is answered with."""
    as_text = isinstance(sent, str) and sent.isascii()
    await socket.send(sent if isinstance(sent, bytes) or as_text else sent.encode(errors="surrogatepass"))
    answer = await asyncio.wait_for(socket.recv(), 60)
    if isinstance(answer, bytes):
        decode(answer)
        return "frame"
    told = json.loads(answer)
    assert_says_why(told["error"], sent)
    assert "could not be evaluated" not in told["error"], sent
    return "error"


async def attack(site: Served, source: random.Random, count: int) -> list[str]:
    socket = await opened(site)
    kinds: list[str] = []
    for i in range(count):
        if i % 4 == 3:
            request = {
                "seq": i,
                "scene": "formula",
                "losses": [],
                "params": {},
                "handles": {"formula": formula(source)},
            }
            sent: Message = json.dumps({**request, "views": ["curve", "proof:formula"]})
        else:
            sent = message(source)
        kinds.append(await ask(socket, sent))
    await socket.close()
    return kinds


async def evaluators(site: Served) -> set[int]:
    """The processes that evaluate, once one has done so."""
    socket = await opened(site)
    assert await ask(socket, json.dumps(good(random.Random(0)))) == "frame"
    await socket.close()
    return {pid for pid, role in processes(site).items() if role == "evaluator"}


def held(pid: int) -> dict[str, int]:
    """What a process holds: memory in MB, open files, threads."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return {"mb": int(status["VmRSS"].split()[0]) // 1024, "files": files, "threads": int(status["Threads"])}


@pytest.mark.timeout(240)
def test_hostile_messages_leave_no_trace_in_the_real_server(site: Served):
    async def attacks(seed: int) -> list[str]:
        each = OVER_THE_WIRE // 2 // SOCKETS
        found = await asyncio.gather(*(attack(site, random.Random(seed + i), each) for i in range(SOCKETS)))
        return [kind for kinds in found for kind in kinds]

    async def measured() -> None:
        first = await evaluators(site)
        kinds = await attacks(100)
        await at_rest(site)
        pids = await evaluators(site)
        before = {process: held(process) for process in (site.pid, *pids)}
        kinds += await attacks(200)
        # There may be more by now, but none has died.
        assert first <= pids <= await evaluators(site)
        after = {process: held(process) for process in before}
        assert len(kinds) == OVER_THE_WIRE and kinds.count("error") > 0.6 * OVER_THE_WIRE
        for process, held_before in before.items():
            assert after[process]["mb"] - held_before["mb"] < 40, (before, after)
            assert after[process]["files"] <= held_before["files"], (before, after)
            assert after[process]["threads"] <= held_before["threads"] + 1, (before, after)

    asyncio.run(measured())
    assert "Traceback" not in site.log(), site.log()[-3000:]


# --- below the messages: what is no WebSocket at all

HANDSHAKE = (
    "GET /live/scene HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def framed(
    payload: bytes, opcode: int = 1, masked: bool = True, length: int | None = None, final: bool = True
) -> bytes:
    """A frame of the WebSocket protocol, which may lie about its length."""
    size = len(payload) if length is None else length
    head = struct.pack("!B", final << 7 | opcode)
    flag = masked << 7
    if size < 126:
        head += struct.pack("!B", flag | size)
    elif size < 65536:
        head += struct.pack("!BH", flag | 126, size)
    else:
        head += struct.pack("!BQ", flag | 127, size)
    return head + (b"\x00" * 4 if masked else b"") + payload


RAW = {
    "text that is no UTF-8": (framed(b'{"seq": "\xff"}'), 1007),
    "a frame without a mask": (framed(b"{}", masked=False), 1002),
    "an opcode that does not exist": (framed(b"{}", opcode=5), 1002),
    "a continuation of nothing": (framed(b"{}", opcode=0), 1002),
    "a long ping": (framed(b"x" * 200, opcode=9), 1002),
    "a ping in pieces": (framed(b"x", opcode=9, final=False), 1002),
    "a length beyond all bounds": (framed(b"{}", length=2**62), 1009),
    "a close without a good code": (framed(struct.pack("!H", 5), opcode=8), 1002),
    "no frame at all": (b"GET / HTTP/1.1\r\n\r\n" * 20, 1002),
}


def raw(site: Served) -> sockets.socket:
    host, port = site.url.removeprefix("http://").split(":")
    connection = sockets.create_connection((host, int(port)), timeout=20)
    connection.sendall(HANDSHAKE.format(host=f"{host}:{port}").encode())
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += connection.recv(1)
    assert b" 101 " in said
    return connection


def close_code(connection: sockets.socket) -> int:
    """The code of the close frame that the other side ends with."""
    said = b""
    while piece := connection.recv(4096):
        said += piece
    assert said[0] == 0x88, said
    return int(struct.unpack("!H", said[2:4])[0])


@pytest.mark.parametrize(("sent", "code"), RAW.values(), ids=RAW.keys())
def test_what_is_no_message_closes_its_own_socket_alone(site: Served, sent: bytes, code: int):
    async def answered() -> None:
        bystander = await opened(site)
        with raw(site) as connection:
            connection.sendall(framed(json.dumps({"token": Gate(site.home).token("eve")}).encode()) + sent)
            assert await asyncio.to_thread(close_code, connection) == code
        assert await ask(bystander, json.dumps(good(random.Random(1)))) == "frame"
        await bystander.close()

    asyncio.run(answered())


def test_sockets_that_break_off_in_the_middle_leave_nothing_open(site: Served):
    async def broken_off() -> None:
        await evaluators(site)
        before = held(site.pid)["files"]
        token = framed(json.dumps({"token": Gate(site.home).token("eve")}).encode())
        request = framed(json.dumps(good(random.Random(2))).encode())
        for sent in (b"", token[:9], token, token + request[:20], token + request, token + request * 50):
            for _ in range(5):
                with raw(site) as connection:
                    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.sendall(sent)
        with pytest.raises(ConnectionClosed):
            socket = await connect(address(site))
            await socket.send("no token")
            await socket.recv()
        async with asyncio.timeout(30):
            while held(site.pid)["files"] > before:
                await asyncio.sleep(0.05)
        await evaluators(site)

    asyncio.run(broken_off())
    assert "Exception in ASGI" not in site.log(), site.log()[-3000:]
