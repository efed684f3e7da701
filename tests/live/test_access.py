"""Tokens, their key, the Origin check and the cookie that makes a browser a person."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route
from starlette.websockets import WebSocket

from lossviz.live import access
from lossviz.live.access import COOKIE, TOKEN_SECONDS, Gate, PersonCookie, person_in, same_origin
from tests.live.conftest import TestClient

PERSON = "abcdefghijklmnopqrstuv"


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_a_token_says_for_whom_it_was_made(gate: Gate):
    assert gate.person(gate.token(PERSON)) == PERSON


@pytest.mark.parametrize(("age", "admitted"), [(0, True), (TOKEN_SECONDS - 2, True), (TOKEN_SECONDS + 2, False)])
def test_a_token_lives_for_minutes(gate: Gate, monkeypatch: pytest.MonkeyPatch, age: float, admitted: bool):
    token, now = gate.token(PERSON), time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now + age)
        assert (gate.person(token) == PERSON) == admitted


@pytest.mark.parametrize("position", [0, 5, -5])
def test_a_token_with_one_letter_changed_admits_nobody(gate: Gate, position: int):
    token = list(gate.token(PERSON))
    token[position] = "A" if token[position] != "A" else "B"
    assert gate.person("".join(token)) is None


@pytest.mark.parametrize("token", [None, 1, True, [], {}, "", "x", "a.b.c", "é" * 100, "." * 401, b"bytes"])
def test_what_is_no_token_admits_nobody(gate: Gate, token: object):
    assert gate.person(token) is None


def test_a_token_of_another_key_admits_nobody(gate: Gate, tmp_path: Path):
    assert gate.person(Gate(tmp_path / "elsewhere").token(PERSON)) is None


def test_a_signed_value_that_is_no_person_admits_nobody(gate: Gate):
    assert gate.person(gate.token({"person": PERSON})) is None  # pyright: ignore[reportArgumentType]


def test_the_key_outlives_the_server_and_is_this_users_alone(tmp_path: Path):
    token = Gate(tmp_path / "home").token(PERSON)
    assert Gate(tmp_path / "home").person(token) == PERSON
    (key,) = (tmp_path / "home").iterdir()
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_text()) >= 43


def test_two_servers_that_start_at_once_end_with_one_key(tmp_path: Path):
    # The file alone: the package around it would bring torch, and both processes would wait for that.
    program = f"""
import importlib.util, pathlib, sys, time
spec = importlib.util.spec_from_file_location("access", {access.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
start = float(sys.stdin.readline())
while time.time() < start:
    pass
for i in range(100):
    print(module.Gate(pathlib.Path({str(tmp_path)!r}) / str(i)).token("x"), flush=True)
    while time.time() < start + (i + 1) * 0.01:
        pass
"""
    command = [sys.executable, "-c", program]
    starting = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    begin = f"{time.time() + 1.5}\n"
    for process in starting:
        assert process.stdin
        process.stdin.write(begin)
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0].split() for process in starting]
    assert [process.returncode for process in starting] == [0, 0]
    for i, tokens in enumerate(zip(*outputs, strict=True)):
        assert [Gate(tmp_path / str(i)).person(token) for token in tokens] == ["x", "x"]
        assert len(list((tmp_path / str(i)).iterdir())) == 1


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"host": "lossviz.test:8501"}, True),
        ({"host": "lossviz.test:8501", "origin": "http://lossviz.test:8501"}, True),
        ({"host": "lossviz.test:8501", "origin": "https://lossviz.test:8501"}, True),
        ({"host": "lossviz.test:8501", "origin": "http://lossviz.test:8502"}, False),
        ({"host": "lossviz.test", "origin": "http://evil.test"}, False),
        ({"host": "lossviz.test", "origin": "http://lossviz.test.evil.test"}, False),
        ({"host": "lossviz.test", "origin": "http://lossviz.test@evil.test"}, False),
        ({"host": "lossviz.test", "origin": "null"}, False),
        ({"host": "lossviz.test", "origin": ""}, False),
    ],
)
def test_only_pages_of_the_same_host_pass(headers: dict[str, str], same: bool):
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def never() -> None:
        raise AssertionError

    scope = {"type": "websocket", "headers": raw}
    assert same_origin(WebSocket(scope, never, never)) == same  # pyright: ignore[reportArgumentType]


# --- the cookie


@pytest.fixture
def visitor() -> TestClient:
    async def page(request: object) -> HTMLResponse:
        return HTMLResponse("<p>page</p>", headers={"set-cookie": "other=1"})

    async def data(request: object) -> JSONResponse:
        return JSONResponse({})

    return TestClient(Starlette(routes=[Route("/", page), Route("/data", data)], middleware=[Middleware(PersonCookie)]))


HTML = {"accept": "text/html,application/xhtml+xml"}


def person_given(response: object) -> list[str]:
    cookies = response.headers.get_list("set-cookie")  # pyright: ignore[reportAttributeAccessIssue]
    return [cookie for cookie in cookies if cookie.startswith(COOKIE)]


def test_a_new_browser_gets_an_id_that_scripts_cannot_read(visitor: TestClient):
    response = visitor.get("/", headers=HTML)
    (cookie,) = person_given(response)
    assert re.fullmatch(COOKIE + r"=[\w-]{22}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax", cookie)
    assert "other=1" in response.headers.get_list("set-cookie")
    assert visitor.get("/", headers=HTML).headers.get_list("set-cookie") == ["other=1"]


def test_two_browsers_get_two_ids(visitor: TestClient):
    first = visitor.get("/", headers=HTML).cookies[COOKIE]
    visitor.cookies.clear()
    assert visitor.get("/", headers=HTML).cookies[COOKIE] != first


@pytest.mark.parametrize("headers", [{"accept": "*/*"}, {"accept": "application/json"}, {}])
def test_only_pages_give_one(visitor: TestClient, headers: dict[str, str]):
    assert person_given(visitor.get("/data", headers=headers)) == []


MALFORMED = ["short", PERSON + "x", PERSON[:-1] + "!", "", '"' + PERSON[:-2] + ' "', "<script>" + PERSON[:14]]


@pytest.mark.parametrize("value", MALFORMED)
def test_a_cookie_of_another_form_is_replaced(visitor: TestClient, value: str):
    assert person_in(f"{COOKIE}={value}") is None
    assert len(person_given(visitor.get("/", headers={**HTML, "cookie": f"{COOKIE}={value}"}))) == 1


@pytest.mark.parametrize(
    "header", ["", ";;;", "=", "\x00", "a=b; c", f"x{COOKIE}={PERSON}", f"{COOKIE.upper()}={PERSON}"]
)
def test_a_header_without_our_cookie_names_nobody(header: str):
    assert person_in(header) is None


def test_our_cookie_is_found_among_others():
    assert person_in(f"a=b; {COOKIE}={PERSON}; _streamlit_xsrf=2|1:x") == PERSON
