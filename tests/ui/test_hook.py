"""The hook of the telephone system: with its key only, small bodies only, and off unless switched on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from localcrm.sync.http import Guesses
from localcrm.ui import hook
from tests.ui.conftest import HOST, Office, guarded

RING = {"event": "ring", "id": "1", "caller": "013905751234", "called": "801", "whatever": {"else": 1}}


@pytest.fixture
async def system(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    """The telephone system, as it reaches the program."""
    transport = httpx.ASGITransport(app=guarded(office, Starlette(routes=hook.routes(office.program))))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        yield client


def key_of(office: Office) -> str:
    office.run("calls.change_settings", values={"hook": True})
    return str(office.run("calls.make_hook_key")["key"])


async def post(system: httpx.AsyncClient, key: str, body: Any = None, **headers: str) -> tuple[int, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await system.post(hook.PATH, headers={"Authorization": f"Bearer {key}", **headers}, content=content)
    return answer.status_code, answer.json().get("code", "")


def calls(office: Office) -> list[tuple[Any, ...]]:
    with office.store.read() as connection:
        return connection.all("SELECT number, state, source FROM call")


async def test_a_call_is_told_with_the_key_and_written_down(system: httpx.AsyncClient, office: Office) -> None:
    key = key_of(office)
    assert await post(system, key, RING) == (200, "")
    answer = await system.post(hook.PATH, json={"id": "1", "event": "end", "answered": True}, headers={"X-Key": key})
    assert answer.status_code == 200
    assert calls(office) == [("13905751234", "answered", "hook")]


async def test_nothing_is_taken_while_it_is_off_or_with_another_key(system: httpx.AsyncClient, office: Office) -> None:
    assert await post(system, "x" * 32, RING) == (404, "hook_off")
    key = key_of(office)
    for wrong in ("", "x" * 32, key[:-1], f"{key}x", "%00"):
        assert await post(system, wrong, RING) == (403, "wrong_key")
    office.run("calls.make_hook_key")
    assert await post(system, key, RING) == (403, "wrong_key")
    office.run("calls.change_settings", values={"hook": False})
    assert await post(system, key, RING) == (404, "hook_off")
    assert calls(office) == []


async def test_guesses_are_braked(system: httpx.AsyncClient, office: Office) -> None:
    key = key_of(office)
    for _guess in range(Guesses.WRONG):
        assert await post(system, "x" * 32, RING) == (403, "wrong_key")
    assert await post(system, "x" * 32, RING) == (409, "too_many_tries")
    assert await post(system, key, RING) == (409, "too_many_tries")


NO_CALLS = [
    *(b"", b"{", b"[]", b"[" * 5000, b'{"event": "dance"}', b'{"id": 7}', b'{"caller": "' + b"1" * 300 + b'"}', b'{"answered": "yes"}'),
    *(b"\xff\xfe", b'{"caller": "\\ud800"}', b'{"id": "a\\u0000b", "caller": "1"}'),
]


async def test_what_is_no_call_is_refused(system: httpx.AsyncClient, office: Office) -> None:
    key = key_of(office)
    for body in NO_CALLS:
        status, code = await post(system, key, body)
        assert (status, code in {"bad_request", "bad_parameter"}) == (422, True), body
    assert calls(office) == []


async def test_a_large_body_a_foreign_page_and_another_host_do_not_get_in(system: httpx.AsyncClient, office: Office) -> None:
    key = key_of(office)
    assert (await post(system, key, b" " * (hook.BODY_LIMIT + 1)))[0] == 413
    assert await post(system, key, RING, Origin="http://evil.example") == (403, "wrong_origin")
    assert await post(system, key, RING, Host="evil.example") == (403, "wrong_host")
    assert (await system.get(hook.PATH)).status_code == 405
