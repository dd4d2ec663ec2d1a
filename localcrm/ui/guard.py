"""The outermost door, pure ASGI so that it sees sockets too: right host, right origin, right size, signed in.

What is refused here never reaches the framework. A socket is looked at again with every message, so a session that was
revoked stops at once, whatever page it has open. The language of the user is set for everything a request starts.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import quote

from localcrm.kernel.errors import AppError, Forbidden, InvalidInput, SessionLocked, SignInNeeded
from localcrm.kernel.i18n import N_, set_language
from localcrm.sync.http import MAX_REQUEST as EXCHANGE_LIMIT, PATH as EXCHANGE_PATH, PATHS as EXCHANGE_PATHS
from localcrm.ui.hook import BODY_LIMIT as HOOK_LIMIT, PATH as HOOK_PATH
from localcrm.ui.kit.look import set_look

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from localcrm.ui.program import Program
    from localcrm.ui.sessions import Session, Sessions

BODY_LIMIT = 2 * 1024 * 1024
UPLOAD_LIMIT = 220 * 1024 * 1024
#: A branch that moves to this computer brings everything it has; read only for whoever sits here and has the address that was printed.
MOVED_PATH, MOVED_LIMIT = "/setup/upload/moved", 64 * 1024 * 1024 * 1024

#: Reachable without a session: signing in, its style sheet, the exchange, whose messages prove who sends them, and the telephone system with its key.
OPEN_PATHS = (
    "/login",
    "/forgot",
    "/setup",
    MOVED_PATH,
    "/unlock",
    "/join",
    "/join/",
    "/static/",
    *EXCHANGE_PATHS,
    HOOK_PATH,
    "/favicon.ico",
    "/alive",
)
#: Set-up, unlocking and enrolment of a folder are for whoever sits at the computer.
HERE_ONLY = ("/setup", MOVED_PATH, "/unlock", "/join", "/join/")
#: What a locked session may still ask for.
LOCKED_PATHS = ("/locked", "/logout", "/api/session/state", "/api/session/unlock", "/favicon.ico", "/alive")
#: Of the framework's socket: pings, connecting, and its two messages that carry nothing a user did.
_ALIVE = re.compile(r'[1235]|4[01]|42\d*\["(?:handshake|ack)",')
#: The framework compiles templates in the browser and writes inline styles; everything else comes from us alone.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' {socket}; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


class TooLarge(Exception):
    """More was sent than the route takes; raised into whoever reads the body."""


class Guard:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, program: Program, sessions: Sessions, *, cookie: str) -> None:
        self.app = app
        self.program = program
        self.sessions = sessions
        self.cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        try:
            self._check_address(scope, headers)
            session = await self._session(headers)
            if session is None and not _open(scope["path"]):
                raise SignInNeeded
            if session is not None and session.locked and scope["type"] == "http" and not _open_when_locked(scope["path"]):
                raise SessionLocked
        except AppError as error:
            await _refuse(scope, headers, send, error)
            return
        scope = {**scope, "headers": _without_forwarding(scope), "localcrm.session": session, "localcrm.token": self._token(headers)}
        if session is not None:
            set_language(session.language)
            set_look(session.look)
        if scope["type"] == "websocket":
            await self.app(scope, self._checked(receive, session), send)
        else:
            await self._http(scope, headers, receive, send)

    # who and from where ------------------------------------------------------------------------------------------

    def _check_address(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """Our own name in Host (no DNS rebinding), our own page in Origin (no foreign page acts in a user's name)."""
        port, secure = self.program.port, scope.get("scheme") in {"https", "wss"}  # HTTPS: it came by the network's own port
        hosts = self.program.lan.hosts if secure else {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
        host = headers.get("host", "").lower()
        if host not in hosts:
            raise Forbidden("wrong_host", N_("This address is not served here."))
        if secure and _under(scope["path"], HERE_ONLY):
            raise Forbidden("loopback_only", N_("This page opens on the computer itself only."))
        origin = headers.get("origin")
        if origin is not None and origin != f"{'https' if secure else 'http'}://{host}":
            raise Forbidden("wrong_origin", N_("Requests from other pages are refused."))
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"} or scope["path"] in {*EXCHANGE_PATHS, HOOK_PATH}:
            return
        # A form can be sent across origins, our header cannot; browsers send Origin with every form.
        if origin is None and headers.get("x-localcrm") != "1":
            raise Forbidden("wrong_origin", N_("Requests from other pages are refused."))
        if scope["path"].startswith("/api/") and headers.get("x-localcrm") != "1":
            raise Forbidden("wrong_origin", N_("Requests from other pages are refused."))

    async def _session(self, headers: Mapping[str, str]) -> Session | None:
        token = self._token(headers)
        if not token:
            return None
        return self.sessions.known(token) or await asyncio.to_thread(self.sessions.resolve, token)

    def _token(self, headers: Mapping[str, str]) -> str:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return cookie.value if cookie else ""

    def _checked(self, receive: Receive, session: Session | None) -> Receive:
        async def checked() -> Message:
            while True:
                message = await receive()
                if session is None or message["type"] != "websocket.receive":
                    return message
                if session.needs_check:
                    await asyncio.to_thread(session.check)
                if session.ended:
                    session.send_to_login()
                    return {"type": "websocket.disconnect", "code": 1008}
                if not session.locked or _keeps_alive(message):
                    return message

        return checked

    # what comes in and goes out ----------------------------------------------------------------------------------

    async def _http(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        limit, started, gone = _limit(scope["path"]), False, False
        read = 0

        async def counted() -> Message:
            nonlocal read, gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            read += len(message.get("body", b""))
            if read > limit:
                raise TooLarge
            return message

        policy = CONTENT_POLICY.format(socket=f"ws://{headers.get('host')} wss://{headers.get('host')}")

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", []), *_security_headers(policy)]}
            await send(message)

        declared = headers.get("content-length", "0")
        try:
            if not declared.isdigit() or int(declared) > limit:
                raise TooLarge
            await self.app(scope, counted, guarded)
        except TooLarge:
            if not started:
                await _refuse(
                    scope,
                    headers,
                    send,
                    InvalidInput("too_large", N_("This is more than can be taken at once ({limit} MB)."), limit=limit >> 20),
                )
        except RuntimeError as error:
            # The framework's middleware complains of no answer, and answers 500 itself, when the browser left the page, or we end,
            # before an answer came.
            if str(error) != "No response returned." or not (gone or self.program.stopping):
                raise


def _open(path: str) -> bool:
    return _under(path, OPEN_PATHS)


def _under(path: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a path is one of these; one that ends with a slash stands for everything below it."""
    return any(path == prefix or (prefix.endswith("/") and path.startswith(prefix)) for prefix in prefixes)


def _open_when_locked(path: str) -> bool:
    return path in LOCKED_PATHS or path.startswith("/static/")


def _keeps_alive(message: Message) -> bool:
    """Whether a message only holds the connection of a page, so that what was typed there outlives the lock."""
    return _ALIVE.match(message.get("text") or "") is not None


def _limit(path: str) -> int:
    if path == EXCHANGE_PATH:
        return EXCHANGE_LIMIT
    if path == HOOK_PATH:
        return HOOK_LIMIT
    if path == MOVED_PATH:
        return MOVED_LIMIT
    return UPLOAD_LIMIT if "/upload/" in path or path.startswith("/api/upload") else BODY_LIMIT


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _without_forwarding(scope: Scope) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in scope["headers"] if not name.lower().startswith(b"x-forwarded-")]


def _security_headers(policy: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-security-policy", policy.encode("latin-1")),
        (b"x-frame-options", b"DENY"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]


async def _refuse(scope: Scope, headers: Mapping[str, str], send: Send, error: AppError) -> None:
    """Close a socket; send a browser that wants a page to the sign-in page; else one JSON sentence."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    wants_page = "text/html" in headers.get("accept", "") and scope["method"] == "GET"
    fields = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    if isinstance(error, (SignInNeeded, SessionLocked)) and wants_page:
        query = scope["query_string"].decode("latin-1")
        target = quote(scope["path"] + (f"?{query}" if query else ""), safe="")
        status, body = 303, b""
        place = "/locked" if isinstance(error, SessionLocked) else "/login"
        fields.append((b"location", f"{place}?next={target}".encode("latin-1")))
    else:
        status, body = (
            error.http_status if error.code != "too_large" else 413,
            json.dumps({"code": error.code, "message": error.message}).encode(),
        )
        fields.append((b"content-type", b"application/json; charset=utf-8"))
    await send({"type": "http.response.start", "status": status, "headers": [*fields, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
