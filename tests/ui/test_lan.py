"""The second server: on and off with the setting, on a port that stays, with a certificate a real client can compare."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from localcrm.domain import verbs
from localcrm.domain.admin.network import lan_is_on, lan_port
from localcrm.kernel.errors import AppError
from localcrm.store import eventlog
from localcrm.ui import lan as network
from localcrm.ui.lan import Lan
from tests.ui.conftest import PASSWORD, Office


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    """Answers with how it was reached."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


@pytest.fixture
async def lan(office: Office, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lan]:
    """A program that serves its network at 127.0.0.1, as if that were another computer's way in."""
    monkeypatch.setattr(network, "EVERYWHERE", ("127.0.0.1", "::1"))
    monkeypatch.setattr(network, "own_names", lambda _host=None: ("127.0.0.1", "hq-pc"))
    office.program.lan.app = hello
    yield office.program.lan
    await office.program.lan.close()


async def switch(office: Office, *, on: bool) -> None:
    await asyncio.to_thread(verbs.run, office.store, office.admin, "admin.switch_lan", {"on": on})
    await office.program.lan.settle()


def reach(port: int, *, at: str = "127.0.0.1", trusted: bytes | None = None) -> tuple[str, bytes]:
    """Fingerprint of the certificate and what is answered; ``trusted`` checks certificate and name as a browser does."""
    context = ssl.create_default_context(cadata=trusted.decode() if trusted else None)
    if trusted is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((at, port), timeout=5) as plain, context.wrap_socket(plain, server_hostname=at) as tls:
        certificate = tls.getpeercert(binary_form=True) or b""
        tls.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := tls.recv(1000):
            answer += piece
    return hashlib.sha256(certificate).digest().hex(":").upper(), answer


def shake_hands_plainly(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        try:
            return plain.recv(1000)
        except ConnectionResetError:
            return b""


async def test_it_is_off_until_somebody_switches_it_on(office: Office, lan: Lan) -> None:
    await lan.settle()
    assert (lan.is_open, lan.hosts, lan.addresses) == (False, frozenset(), [])
    assert not (office.store.folder / "keys" / "lan.key").exists()


async def test_a_client_compares_the_fingerprint_and_speaks_https(office: Office, lan: Lan) -> None:
    await switch(office, on=True)
    assert lan.certificate is not None
    assert lan.addresses == [f"https://127.0.0.1:{lan.port}/", f"https://hq-pc:{lan.port}/"]
    assert lan.hosts == {f"127.0.0.1:{lan.port}", f"hq-pc:{lan.port}"}
    fingerprint, answer = await asyncio.to_thread(reach, lan.port, trusted=lan.certificate.file.read_bytes())
    assert fingerprint == lan.certificate.fingerprint
    assert answer.endswith(b"https")


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="whether there is IPv6 is known on Linux only")
async def test_ipv6_is_served_on_the_same_port_and_stands_in_the_certificate(
    office: Office, lan: Lan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "own_names", lambda _host=None: ("127.0.0.1", "::1", "hq-pc"))
    await switch(office, on=True)
    assert lan.certificate is not None
    assert lan.addresses[:2] == [f"https://127.0.0.1:{lan.port}/", f"https://[::1]:{lan.port}/"]
    assert f"[::1]:{lan.port}" in lan.hosts
    for at in ("127.0.0.1", "::1"):
        answer = await asyncio.to_thread(reach, lan.port, at=at, trusted=lan.certificate.file.read_bytes())
        assert answer == (lan.certificate.fingerprint, answer[1])
        assert answer[1].endswith(b"https")
    await switch(office, on=False)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(reach, lan.port, at="::1")


async def test_a_computer_without_ipv6_is_served_as_ever(office: Office, lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "EVERYWHERE", ("127.0.0.1", "fd00:dead:beef::1"))  # not its own
    await switch(office, on=True)
    assert (await asyncio.to_thread(reach, lan.port))[1].endswith(b"https")


def test_addresses_that_last_are_shown_those_of_private_networks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "20010db8000000000000000000000005 02 40 00 80 eth0": "lasting",
        "20010db8000000000123456789abcdef 02 40 00 01 eth0": "made up for a day",
        "20010db8000000000000000000000006 02 40 00 20 eth0": "no longer used",
        "fd000000000000000000000000000005 02 40 00 80 eth0": "of a private network",
        "fe8000000000000000fc00fffe000001 02 40 20 80 eth0": "of one cable",
        "00000000000000000000000000000001 01 80 10 80 lo": "loopback",
    }
    known = tmp_path / "if_inet6"
    known.write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(network, "_KNOWN_TO_LINUX", known)
    assert [name for name in network.own_names() if ":" in name] == ["fd00::5", "2001:db8::5"]
    assert network.own_names("::") == network.own_names()
    assert not [name for name in network.own_names("0.0.0.0") if ":" in name]
    known.unlink()
    assert not [name for name in network.own_names() if name.startswith(("fe80", "::1"))]


async def test_plain_http_is_answered_nothing(office: Office, lan: Lan, caplog: pytest.LogCaptureFixture) -> None:
    await switch(office, on=True)
    assert await asyncio.to_thread(shake_hands_plainly, lan.port) == b""
    assert (await asyncio.to_thread(reach, lan.port))[1].endswith(b"https")  # and others are served on
    assert caplog.records == []


async def test_switching_off_closes_the_port_at_once(office: Office, lan: Lan) -> None:
    await switch(office, on=True)
    port = lan.port
    await switch(office, on=False)
    assert (lan.is_open, lan.hosts) == (False, frozenset())
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(reach, port)
    await switch(office, on=True)
    assert lan.port == port == lan_port(office.store)  # the address people noted stays good


async def test_a_new_address_gets_a_certificate_without_a_break(office: Office, lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    await switch(office, on=True)
    assert lan.certificate is not None
    before = lan.certificate.fingerprint
    monkeypatch.setattr(network, "own_names", lambda _host=None: ("127.0.0.1", "10.9.8.7"))
    monkeypatch.setattr(network, "LOOK_SECONDS", 0.0)
    await lan.settle()
    fingerprint, _answer = await asyncio.to_thread(reach, lan.port)
    assert before != fingerprint == lan.certificate.fingerprint
    assert lan.hosts == {f"127.0.0.1:{lan.port}", f"10.9.8.7:{lan.port}"}


async def test_a_taken_port_is_gone_round(office: Office, lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(network, "PREFERRED_PORT", other.getsockname()[1])
        await switch(office, on=True)
        assert lan.is_open
        assert lan.port != other.getsockname()[1]


async def test_what_keeps_it_from_listening_is_said_and_tried_again(office: Office, lan: Lan, monkeypatch: pytest.MonkeyPatch) -> None:
    names = network.own_names
    monkeypatch.setattr(network, "own_names", lambda _host=None: ())
    await switch(office, on=True)
    assert (lan.is_open, lan.problem.code if lan.problem else "") == (False, "no_network")
    monkeypatch.setattr(network, "own_names", names)
    (office.store.folder / "keys" / "lan.key").mkdir(parents=True)  # nothing can be written there
    monkeypatch.setattr(network, "LOOK_SECONDS", 0.0)
    await lan.settle()
    assert (lan.is_open, lan.problem.code if lan.problem else "") == (False, "no_certificate")
    (office.store.folder / "keys" / "lan.key").rmdir()
    await lan.settle()
    assert (lan.is_open, lan.problem) == (True, None)


def test_only_administrators_switch_and_it_is_noted(office: Office) -> None:
    from localcrm.domain.people.services import authenticate

    office.new("user", login="lin", name="林晓", password=PASSWORD, role="staff")
    with pytest.raises(AppError) as caught:
        verbs.run(office.store, authenticate(office.store, "lin", PASSWORD), "admin.switch_lan", {"on": True})
    assert caught.value.code == "admin_only"
    assert not lan_is_on(office.store)
    for on in (True, True, False):
        verbs.run(office.store, office.admin, "admin.switch_lan", {"on": on})
    with office.store.read() as connection:
        assert [event.detail for event in eventlog.rows(connection, eventlog.Wanted(kind="setting"))] == ["lan: on → off", "lan: off → on"]


def test_own_names_are_addresses_first_and_never_loopback() -> None:
    names = network.own_names()
    assert not [name for name in names if name.startswith(("127.", "0.", "localhost"))]
    assert network.own_names("192.168.1.5") == ("192.168.1.5",)
