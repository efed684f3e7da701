"""Who may open a socket, and who a person is: signed tokens, the Origin check and a cookie with a random id."""

import os
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

COOKIE = "lossviz_person"
COOKIE_AGE = 365 * 24 * 3600
TOKEN_SECONDS = 300
PERSON = re.compile(r"[A-Za-z0-9_-]{22}")


class Gate:
    """Signs the tokens that pages hand to their components; the key persists, so a restart refuses no open page."""

    def __init__(self, folder: Path):
        """Read the signing key in ``folder``, or make one that only this user can read."""
        self._signer = URLSafeTimedSerializer(_key(folder / "signing-key"), salt="lossviz-live")

    def token(self, person: str) -> str:
        """Return a token that admits ``person``'s components for `TOKEN_SECONDS`."""
        return self._signer.dumps(person)

    def person(self, token: object) -> str | None:
        """Return whom an untrusted ``token`` admits, or ``None`` where it is forged, expired or no token at all."""
        if not isinstance(token, str) or len(token) > 400:
            return None
        try:
            person = self._signer.loads(token, max_age=TOKEN_SECONDS)
        except BadSignature:
            return None
        return person if isinstance(person, str) else None


def _key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    if not path.exists():
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(fresh, path)  # of two servers starting at once the first one's key holds for both
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()


def same_origin(socket: WebSocket) -> bool:
    """Say whether ``socket`` comes from a page of this very host; programs send no Origin, but need a token too."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


def person_in(cookie_header: str) -> str | None:
    """Return the person's id in a Cookie header, or ``None`` where there is none or it has another form than ours."""
    try:
        morsel = SimpleCookie(cookie_header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel and PERSON.fullmatch(morsel.value) else None


class PersonCookie:
    """ASGI middleware that gives every new browser a random id, kept from scripts (HttpOnly)."""

    def __init__(self, app: ASGIApp):
        """Wrap ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; add the cookie to the page that a browser without one asks for."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if "text/html" not in headers.get("accept", "") or person_in(headers.get("cookie", "")):
            await self.app(scope, receive, send)
            return

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                value = f"{COOKIE}={secrets.token_urlsafe(16)}; Path=/; Max-Age={COOKIE_AGE}; HttpOnly; SameSite=Lax"
                MutableHeaders(scope=message).append("set-cookie", value)
            await send(message)

        await self.app(scope, receive, with_cookie)
