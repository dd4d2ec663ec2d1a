"""The door: foreign hosts and pages, missing sessions and endless bodies stay outside, whatever the framework would do with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from localcrm.domain.people import idle
from localcrm.domain.people.sessions import close_session, session_key
from localcrm.kernel.i18n import current_language
from localcrm.ui import guard
from localcrm.ui.lan import Lan
from tests.ui.conftest import COOKIE, HOST, Office, guarded


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what arrived."""
    if scope["type"] == "websocket":
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["type"]})
        await send({"type": "ended"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    names = sorted(name.decode() for name, _value in scope["headers"] if name.startswith(b"x-forwarded"))
    session = scope["localcrm.session"]
    answer = {
        "size": size,
        "forwarded": names,
        "user": session.actor.login if session and not session.locked else None,
        "language": current_language(),
    }
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def client(office: Office, *, signed_in: bool = True, host: str = HOST, scheme: str = "http") -> httpx.AsyncClient:
    cookies = {COOKIE: office.token()} if signed_in else {}
    transport = httpx.ASGITransport(app=guarded(office, echo))
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://{host}", cookies=cookies)


OURS = {"Origin": f"http://{HOST}"}
HEADER = {"X-Localcrm": "1"}


async def test_a_signed_in_user_passes(office: Office) -> None:
    async with client(office) as browser:
        answer = await browser.get("/customers")
    assert (answer.status_code, answer.json()) == (200, {"size": 0, "forwarded": [], "user": "admin", "language": "zh_CN"})


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8460", "127.0.0.1", "127.0.0.1:8461", "127.0.0.1.evil.example:8460", "localhost:80"]
)
async def test_another_name_in_host_is_refused(office: Office, host: str) -> None:
    async with client(office, host=host) as browser:
        answer = await browser.get("/login")
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_host")


@pytest.mark.parametrize("host", ["127.0.0.1:8460", "localhost:8460", "[::1]:8460"])
async def test_our_own_names_are_served(office: Office, host: str) -> None:
    async with client(office, host=host) as browser:
        assert (await browser.get("/login")).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:8460"])
async def test_a_foreign_page_is_refused_even_for_reading(office: Office, origin: str) -> None:
    async with client(office) as browser:
        answer = await browser.get("/customers", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin")


@pytest.fixture
def on_network(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """As if the network were served."""
    monkeypatch.setattr(Lan, "hosts", frozenset({"192.168.1.5:8461", "[fd00::5]:8461", "hq-pc.local:8461"}))
    return office


@pytest.mark.parametrize("host", ["192.168.1.5:8461", "[fd00::5]:8461", "[FD00::5]:8461", "HQ-PC.local:8461"])
async def test_the_network_is_served_under_its_own_names(on_network: Office, host: str) -> None:
    async with client(on_network, host=host, scheme="https") as browser:
        assert (await browser.get("/login", headers={"Origin": f"https://{host.lower()}"})).status_code == 200
        assert (await browser.get("/login", headers={"Origin": f"http://{host.lower()}"})).json()["code"] == "wrong_origin"


@pytest.mark.parametrize(
    "host", ["192.168.1.6:8461", "[fd00::6]:8461", "evil.example:8461", HOST, "localhost:8461", "192.168.1.5", "192.168.1.5:8460"]
)
async def test_the_network_is_served_under_no_other_name(on_network: Office, host: str) -> None:
    async with client(on_network, host=host, scheme="https") as browser:
        assert (await browser.get("/login")).json()["code"] == "wrong_host"


async def test_names_of_the_network_are_not_served_without_https(on_network: Office) -> None:
    async with client(on_network, host="192.168.1.5:8461") as browser:
        assert (await browser.get("/login")).json()["code"] == "wrong_host"


@pytest.mark.parametrize("path", ["/setup", "/unlock", "/join", "/join/upload/reply"])
async def test_setting_up_unlocking_and_joining_stay_on_the_computer(on_network: Office, path: str) -> None:
    async with client(on_network, host="192.168.1.5:8461", scheme="https") as browser:
        assert (await browser.get(path)).json()["code"] == "loopback_only"


async def test_nothing_is_served_while_the_network_is_off(office: Office) -> None:
    async with client(office, host="192.168.1.5:8461", scheme="https") as browser:
        assert (await browser.get("/login")).json()["code"] == "wrong_host"


async def test_what_changes_something_needs_our_page_and_the_api_our_header_too(office: Office) -> None:
    async with client(office) as browser:
        statuses = [
            (await browser.post(path, headers=headers)).status_code
            for path, headers in (
                ("/logout", {}),
                ("/logout", OURS),
                ("/api/list/customer", OURS),
                ("/api/list/customer", HEADER),
                ("/api/list/customer", OURS | HEADER),
            )
        ]
    assert statuses == [403, 200, 403, 200, 200]


@pytest.mark.parametrize("path", ["/", "/customers", "/api/search", "/_nicegui/client/abc/upload/7", "/_nicegui/3.18.0/static/x.js"])
async def test_without_a_session_nothing_but_the_open_paths(office: Office, path: str) -> None:
    async with client(office, signed_in=False) as browser:
        answer = await browser.get(path)
        page = await browser.get(path, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
    assert (page.status_code, page.headers["location"][:12]) == (303, "/login?next=")


async def test_open_paths_need_no_session(office: Office) -> None:
    async with client(office, signed_in=False) as browser:
        found = [(await browser.get(path)).status_code for path in ("/login", "/setup", "/static/localcrm.css", "/alive")]
        traps = [(await browser.get(path)).status_code for path in ("/loginx", "/setup/x", "/static", "/login/../api/search")]
    assert found == [200, 200, 200, 200]
    assert traps == [401, 401, 401, 401]


async def test_forwarding_headers_are_dropped(office: Office) -> None:
    async with client(office) as browser:
        answer = await browser.get("/", headers={"X-Forwarded-Prefix": "//evil.example", "X-Forwarded-Host": "evil.example"})
    assert answer.json()["forwarded"] == []


async def test_a_declared_body_beyond_the_limit_is_refused_unread(office: Office) -> None:
    async with client(office) as browser:
        answer = await browser.post("/api/list/customer", headers=OURS | HEADER, content=b"x" * (guard.BODY_LIMIT + 1))
        upload = await browser.post("/_nicegui/client/abc/upload/7", headers=OURS, content=b"x" * (guard.BODY_LIMIT + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert upload.json()["size"] == guard.BODY_LIMIT + 1


async def test_a_body_without_length_is_counted_while_it_streams(office: Office) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    async with client(office) as browser:
        answer = await browser.post("/api/list/customer", headers=OURS | HEADER, content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_every_answer_carries_the_security_headers(office: Office) -> None:
    async with client(office) as browser:
        headers = (await browser.get("/")).headers
    assert {name: headers[name] for name in ("x-frame-options", "x-content-type-options", "referrer-policy")} == {
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "http:" not in headers["content-security-policy"]


async def test_the_language_of_the_user_holds_for_the_whole_request(office: Office) -> None:
    async with client(office) as browser:
        await browser.get("/")
        session = office.program.sessions.known(browser.cookies[COOKIE])
        assert session is not None
        session.save_setting("language", "en")
        assert (await browser.get("/")).json()["language"] == "en"


async def test_a_request_cut_off_when_the_program_ends_is_no_fault(office: Office) -> None:
    """What the framework does with a request whose handler was cancelled: it answers 500 and complains."""

    async def cut_off(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        raise RuntimeError("No response returned.")

    transport = httpx.ASGITransport(app=guarded(office, cut_off))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as browser:
        with pytest.raises(RuntimeError):
            await browser.get("/login")
        office.program.stopping = True
        assert (await browser.get("/login")).status_code == 500


async def test_a_locked_session_is_answered_nothing_but_its_unlocking(office: Office) -> None:
    async with client(office) as browser:
        assert (await browser.get("/customers")).status_code == 200
        idle.lock(office.store, session_key(browser.cookies[COOKIE]))
        office.program.sessions.lock([session_key(browser.cookies[COOKIE])])
        shut = [await browser.get(path, headers=HEADER) for path in ("/customers", "/api/search", "/_nicegui/client/abc/upload/7")]
        use = await browser.post("/api/session/used", headers=HEADER)
        page = await browser.get("/customers?a=1", headers={"Accept": "text/html"})
        open_ = [(await browser.get(path)).status_code for path in ("/locked", "/static/localcrm.css", "/api/session/state")]
    assert {(answer.status_code, answer.json()["code"]) for answer in (*shut, use)} == {(423, "session_locked")}
    assert (page.status_code, page.headers["location"]) == (303, "/locked?next=%2Fcustomers%3Fa%3D1")
    assert open_ == [200, 200, 200]


async def test_what_was_locked_before_the_start_stays_locked(office: Office) -> None:
    async with client(office) as browser:
        idle.lock(office.store, session_key(browser.cookies[COOKIE]))
        assert (await browser.get("/customers")).status_code == 423


# sockets -----------------------------------------------------------------------------------------------------------


async def socket(
    office: Office, token: str | None, *, origin: str | None = f"http://{HOST}", messages: int = 1, between: Any = None, text: str = "click"
) -> list[str]:
    """Connect, send some messages; returns the types of what came back."""
    headers = [(b"host", HOST.encode())] + ([(b"origin", origin.encode())] if origin else [])
    headers += [(b"cookie", f"{COOKIE}={token}".encode())] if token else []
    scope = {"type": "websocket", "path": "/_nicegui_ws/socket.io/", "query_string": b"", "headers": headers}
    sent: list[str] = []
    count = 0

    async def receive() -> dict[str, Any]:
        nonlocal count
        count += 1
        if count > messages:
            return {"type": "websocket.disconnect", "code": 1000}
        if between and count == 2:
            await asyncio.to_thread(between)
        return {"type": "websocket.receive", "text": text}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"] + (f":{message['code']}" if "code" in message else ""))

    await guarded(office, echo)(scope, receive, send)
    return sent


async def test_a_socket_of_ours_is_served(office: Office) -> None:
    assert await socket(office, office.token(), messages=2) == ["websocket.send", "websocket.send", "ended"]


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000"])
async def test_a_socket_from_a_foreign_page_is_closed(office: Office, origin: str) -> None:
    assert await socket(office, office.token(), origin=origin) == ["websocket.close:1008"]


async def test_a_socket_without_a_session_is_closed(office: Office) -> None:
    assert await socket(office, None) == ["websocket.close:1008"]


async def test_a_revoked_session_is_cut_off_at_its_next_message(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcrm.ui.sessions.CHECK_SECONDS", 0.0)
    token = office.token()
    answers = await socket(office, token, messages=3, between=lambda: close_session(office.store, session_key(token)))
    assert answers == ["websocket.send", "ended"]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("3", True),
        ("40", True),
        ('42["handshake",{"client_id":"x"}]', True),
        ('420["ack",{"next_message_id":7}]', True),
        ('42["event",{"id":1}]', False),
        ('42["javascript_response",{}]', False),
        ('451-["event",{}]', False),
        ("", False),
    ],
)
async def test_a_locked_page_keeps_its_connection_and_nothing_else(office: Office, text: str, passes: bool) -> None:
    token = office.token()
    idle.lock(office.store, session_key(token))
    assert await socket(office, token, text=text) == (["websocket.send"] if passes else []) + ["ended"]
