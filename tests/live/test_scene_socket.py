"""The scene socket from outside: who is let in, what is answered, and that no message closes it."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.websockets import WebSocketDisconnect

from lossviz import get, value_and_grad
from lossviz.live import routes
from lossviz.live.messages import evaluate, parse_request
from lossviz.live.service import Service
from lossviz.scenes import get_scene
from tests.live.conftest import TestClient
from tests.live.frames import decode

pytestmark = pytest.mark.timeout(60)
PATH = "/live/scene"
# The package's attribute of that name is the function in it.
scene_socket = import_module("lossviz.live.scene_socket")


def request(seq: int = 1, **changes: Any) -> dict[str, Any]:
    message = {"scene": "regression", "losses": ["huber"], "params": {}, "handles": {"pred": 2.0}, "views": ["curve"]}
    return {"seq": seq, **message, **changes}


class Page:
    """The other end of the socket."""

    def __init__(self, session: Any):
        self.session = session

    def send(self, message: object) -> None:
        if isinstance(message, bytes):
            self.session.send_bytes(message)
        else:
            self.session.send_text(message if isinstance(message, str) else json.dumps(message))

    def answer(self) -> dict[str, Any]:
        """The next frame's header, or the error."""
        message = self.session.receive()
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        return json.loads(message["text"]) if message.get("text") else decode(message["bytes"])[0]

    def ask(self, message: object) -> dict[str, Any]:
        self.send(message)
        return self.answer()


@pytest.fixture
def connect(client: TestClient, token: str) -> Callable[[], Any]:
    @contextmanager
    def connected() -> Iterator[Page]:
        with client.websocket_connect(PATH) as session:
            page = Page(session)
            page.send({"token": token})
            yield page

    return connected


def alive(page: Page) -> None:
    """The socket still evaluates."""
    assert page.ask(request(990))["seq"] == 990


# --- who is let in


@pytest.mark.parametrize(
    "first",
    [
        {},
        {"token": "forged"},
        {"token": None},
        {"token": ["x"]},
        "",
        "no JSON",
        "[]",
        b"\xff",
        request(),
        "x" * 100_000,
    ],
    ids=lambda first: str(first)[:20],
)
def test_without_a_good_token_first_the_socket_closes(client: TestClient, first: object):
    with client.websocket_connect(PATH) as session:
        page = Page(session)
        page.send(first)
        with pytest.raises(WebSocketDisconnect) as closed:
            page.answer()
    assert closed.value.code == 4401
    assert "token" in closed.value.reason


def test_a_token_in_the_address_is_worth_nothing(client: TestClient, token: str):
    with client.websocket_connect(f"{PATH}?token={token}") as session:
        page = Page(session)
        page.send(request())
        with pytest.raises(WebSocketDisconnect) as closed:
            page.answer()
    assert closed.value.code == 4401


def test_another_sites_page_is_turned_away_before_it_says_a_word(client: TestClient):
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect(PATH, headers={"origin": "http://evil.test"}),
    ):
        pass
    assert closed.value.code == 4403


def test_our_own_page_is_let_in(client: TestClient, token: str):
    with client.websocket_connect(PATH, headers={"origin": "http://testserver"}) as session:
        page = Page(session)
        page.send({"token": token})
        alive(page)


def test_a_silent_visitor_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    waited = scene_socket.asyncio.wait_for
    monkeypatch.setattr(scene_socket.asyncio, "wait_for", lambda coroutine, seconds: waited(coroutine, seconds / 50))
    with client.websocket_connect(PATH) as session, pytest.raises(WebSocketDisconnect) as closed:
        Page(session).answer()
    assert closed.value.code == 4401


def test_a_token_admits_opening_only(connect: Any, monkeypatch: pytest.MonkeyPatch):
    with connect() as page:
        alive(page)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 10_000)
        alive(page)


def test_the_path_that_the_app_is_served_under_is_honoured(ours: Service, token: str):
    client = TestClient(Starlette(routes=routes("/lab")))
    assert client.get("/lab/live/health").json()["status"] == "ok"
    with client.websocket_connect("/lab" + PATH) as session:
        page = Page(session)
        page.send({"token": token})
        alive(page)
    assert client.get("/live/health").status_code == 404


# --- what is answered


def test_a_request_is_answered_with_torchs_numbers(connect: Any):
    handles = {"pred": 1.25, "target": -0.75}
    with connect() as page:
        header = page.ask(request(5, losses=["huber", "mse"], params={"huber": {"delta": 0.5}}, handles=handles))
    scene = get_scene("regression")
    for key, params in (("huber", {"delta": 0.5}), ("mse", {})):
        value, grads = value_and_grad(key, scene.inputs(handles, get(key)), params)
        assert header["numbers"][key] == {"loss": value.item(), "gradient": grads["pred"].item()}
    assert header["seq"] == 5
    assert header["handles"] == scene.parse_handles(handles)


BAD = {
    "an unknown loss": (request(3, losses=["hubr"]), "Did you mean huber?"),
    "an unknown scene": (request(3, scene="moon"), "there are regression, "),
    "a parameter out of range": (
        request(3, params={"huber": {"delta": -1}}),
        "huber.delta is -1, allowed: 0.01 to 100",
    ),
    "a far handle": (request(3, handles={"pred": 9}), "Handle pred is 9; allowed: a number from -5 to 5"),
    "NaN": ('{"seq": 3, "handles": {"pred": NaN}}', "The message holds NaN; allowed: finite numbers"),
    "Infinity": ('{"seq": 3, "handles": {"pred": -Infinity}}', "The message holds -Infinity"),
    "a number too large for a float": (json.dumps(request(3)).replace("2.0", "1e999"), "Handle pred is inf; allowed"),
    "a whole number too large": (request(3, handles={"pred": 10**1000}), "allowed: a number from -5 to 5"),
    "no JSON": ("hello", "no JSON"),
    "nothing": ("", "no JSON"),
    "bytes": (b"\x00\xff", "no JSON"),
    "10 MB": ("x" * 10_000_000, "10000000 bytes; allowed: at most 16384"),
    "10 MB of brackets": ("[" * 10_000_000, "10000000 bytes; allowed: at most 16384"),
    "10 MB of bytes": (b"x" * 10_000_000, "10000000 bytes; allowed: at most 16384"),
}


@pytest.mark.parametrize(("message", "sentence"), BAD.values(), ids=BAD.keys())
def test_a_bad_message_gets_a_sentence_and_the_socket_stays_open(connect: Any, message: object, sentence: str):
    with connect() as page:
        answer = page.ask(message)
        assert sentence in answer["error"]
        assert answer["seq"] == (3 if isinstance(message, dict) or "1e999" in str(message) else None)
        alive(page)


FORMULA = {"scene": "formula", "losses": [], "views": ["curve", "checks", "proof:formula", "step:formula"]}


def typed(formula: object, **handles: object) -> dict[str, Any]:
    return request(3, **FORMULA, handles={"formula": formula, **handles})


def test_a_formula_is_answered_with_its_numbers_and_how_it_was_understood(connect: Any):
    with connect() as page:
        answer = page.ask(typed("q * abs(pred - target)", pred=2.0, target=-1.0, values=[0.5, 1, 1, 1, 1, 1]))
    assert answer["numbers"]["formula"] == {"loss": 1.5, "gradient": 0.5}
    assert answer["told"]["parameters"] == ["q"] and answer["told"]["mathml"].startswith("<math")
    assert {check["name"]: check["holds"] for check in answer["told"]["checks"]}["convex"] is True
    assert answer["moved"] == {"pred": 1.875}


@pytest.mark.parametrize(
    ("formula", "sentence", "position"),
    [
        ("__import__('os').system('true')", "'_' is not part of the language", 0),
        ("pred.__class__", "'.' is not part of the language", 4),
        ("lambda: pred", "':' is not part of the language", 6),
        ("pred + \ud800", "allowed: a line of at most 200 printable characters", None),
        ("pred\n", "allowed: a line of at most 200 printable characters", None),
        ("(" * 100 + "pred", "at most 20 deep", 20),
        ("pred" + "**9" * 60, "nest at most 20 deep", 64),
        ("9" * 15000, "allowed: a line of at most 200 printable characters", None),
        ("", "type a formula", 0),
        (7, "Handle formula is 7", None),
        (None, "Handle formula is None", None),
        (["pred"], "Handle formula is ['pred']", None),
    ],
)
def test_what_is_no_formula_gets_an_error_that_points_at_the_character(
    connect: Any, formula: object, sentence: str, position: int | None
):
    with connect() as page:
        answer = page.ask(typed(formula))
        assert sentence in answer["error"] and answer["seq"] == 3
        assert answer.get("position") == position
        alive(page)


def test_a_formula_of_huge_numbers_is_answered_and_harms_nobody(connect: Any):
    with connect() as page:
        answer = page.ask(typed("9**9**9**9 * pred + exp(exp(exp(exp(pred))))"))
        assert "The formula gives inf at" in answer["notes"]["formula"] and answer["numbers"] == {}
        alive(page)


def test_an_evaluation_that_fails_is_answered_too(
    ours: Service, connect: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fails(message: bytes) -> bytes:
        if parse_request(message).seq == 4:
            raise RuntimeError("a bug")
        return evaluate(parse_request(message))

    monkeypatch.setattr(ours.evaluator, "answer", fails)
    with connect() as page:
        assert page.ask(request(4)) == {"error": "This could not be evaluated; the server's log says why.", "seq": 4}
        alive(page)
    assert "a bug" in caplog.text


def mutated(source: random.Random) -> str | bytes:
    """A good request with something wrong in it, most of the time."""
    message: Any = request(source.randrange(100), views=["curve", "surface:huber"])
    junk = [None, True, -1, 1.5, 1e308, "", "x" * 300, [], {}, [[]], {"a": {"a": 1}}, "huber", "𝕏", "\ud800", 10**30]
    kind = source.randrange(6)
    if kind == 0:
        message[source.choice(list(message))] = source.choice(junk)
    elif kind == 1:
        del message[source.choice(list(message))]
    elif kind == 2:
        message["handles"] = {source.choice(["pred", "target", "z1", ""]): source.choice(junk)}
    elif kind == 3:
        message[source.choice(["losses", "views"])] = [source.choice(junk) for _ in range(source.randrange(12))]
    elif kind == 4:
        message["params"] = {
            source.choice(["huber", "mse", "x"]): source.choice([*junk, {"delta": source.choice(junk)}])
        }
    text = json.dumps(message)
    if kind == 5:
        at = source.randrange(len(text))
        text = text[:at] + source.choice(["", "NaN", "}", '"', "\x00", "[" * 3000, "é"]) + text[at + 1 :]
    return text.encode() if source.random() < 0.3 else text


def test_three_hundred_malformed_messages_are_all_answered(connect: Any):
    source = random.Random(2)
    refused = 0
    with connect() as page:
        for _ in range(300):
            answer = page.ask(mutated(source))
            refused += "error" in answer
            assert answer.get("error") or answer["numbers"] is not None
        alive(page)
    assert 200 < refused < 300


# --- under the finger


def test_the_newest_request_wins_and_the_last_one_is_always_answered(
    ours: Service, connect: Any, monkeypatch: pytest.MonkeyPatch
):
    going, done = threading.Event(), []

    def slowly(message: bytes) -> bytes:
        going.wait(10)
        done.append(parse_request(message).seq)
        return evaluate(parse_request(message))

    monkeypatch.setattr(ours.evaluator, "answer", slowly)
    with connect() as page:
        for seq in range(1, 31):
            page.send(request(seq))
        # An error is answered out of turn: when it is here, all thirty have been read.
        assert "error" in page.ask("hello")
        going.set()
        assert [page.answer()["seq"], page.answer()["seq"]] == [1, 30]
        alive(page)
    assert done[:2] == [1, 30]


def test_a_flood_is_slowed_down_but_a_fingers_pace_is_not(connect: Any):
    with connect() as page:
        started = time.monotonic()
        for _ in range(240):
            page.send("x")
        answers = [page.answer() for _ in range(240)]
        assert all("error" in answer for answer in answers)
        # Half a second's worth may come at once; the rest comes at the rate allowed.
        assert time.monotonic() - started > 0.4
        time.sleep(0.6)
        started = time.monotonic()
        for seq in range(1, 21):
            assert page.ask(request(seq))["seq"] == seq
        assert time.monotonic() - started < 5


def test_a_page_that_leaves_in_the_middle_troubles_nobody(connect: Any, caplog: pytest.LogCaptureFixture):
    for _ in range(5):
        with connect() as page:
            for seq in range(10):
                page.send(request(seq))
    with connect() as page:
        alive(page)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
