"""What is switched on listens within a second and writes down what it hears; what is off has no port open."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcrm.channels import lines
from localcrm.domain.calls.entities import Source
from tests.channels.test_sip import packet
from tests.factories import Company, Installation, copy_company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    opened = copy_company(tmp_path, branches=0)
    yield opened
    opened.close()


def wait(condition: Callable[[], object], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    assert condition()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def states(node: Installation) -> list[tuple[str, str, int]]:
    return [tuple(row) for row in node.rows("SELECT number, state, source = 'sip' FROM call ORDER BY rid")]  # type: ignore[misc]


def test_sip_is_heard_from_switching_on_to_switching_off(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LOOK_SECONDS", 0.05)
    office, port = company.hq, free_port()
    stop = lines.start(office.store)
    try:
        time.sleep(0.2)
        assert lines.states(office.store) == {}
        office.run("calls.change_settings", values={"sip": True, "sip_port": str(port)})
        wait(lambda: Source.SIP in lines.states(office.store) and lines.states(office.store)[Source.SIP].running)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.1", 0))
            client.settimeout(5)
            via = f"127.0.0.1:{client.getsockname()[1]};branch".encode()

            def send(method: str, call: str) -> bytes:
                client.sendto(packet(method, call=call).replace(b"127.0.0.1:5070;branch", via), ("127.0.0.1", port))
                return client.recv(2000).split(b"\r\n")[0]

            assert send("INVITE", "a") == b"SIP/2.0 180 Ringing"
            wait(lambda: states(office) == [("013905751234".removeprefix("0"), "ringing", 1)])
            assert send("CANCEL", "a") == b"SIP/2.0 200 OK"
            wait(lambda: [state for _number, state, _sip in states(office)] == ["missed"])
            client.recv(2000)
            send("INVITE", "b")
            wait(lambda: len(states(office)) == 2)
            # Switched off: what rings has ended, and the port is free again.
            office.run("calls.change_settings", values={"sip": False})
            wait(lambda: lines.states(office.store) == {} and states(office)[1][1] == "missed")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", port))
    finally:
        stop()
    assert lines.states(office.store) == {}
