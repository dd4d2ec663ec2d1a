"""A modem tells who calls: its lines in their order, and a real serial port, whose other end a test holds."""

from __future__ import annotations

import os
import pty
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from localcrm.channels import modem
from localcrm.channels.heard import Event
from localcrm.channels.modem import Listener, Modem


class Script:
    """Lines at their times, and what came of them."""

    def __init__(self) -> None:
        self.listener = Listener()
        self.told: list[Event] = []

    def say(self, now: float, *lines: str) -> list[tuple[str, str]]:
        self.told.extend(event for event in self.listener.later(now))
        for line in lines:
            self.told.extend(self.listener.heard(line, now))
        return [(event.event, event.caller) for event in self.told]


def test_a_mobile_modem_says_the_number_with_each_ring() -> None:
    script = Script()
    script.say(0, "RING", '+CLIP: "13905751234",129,"",0,"",0')
    script.say(3, "RING", '+CLIP: "13905751234",129,"",0,"",0')
    assert script.say(6, "RING") == [("ring", "13905751234")]
    assert script.say(15) == [("ring", "13905751234"), ("end", "")]
    assert len({event.key for event in script.told}) == 1
    assert script.say(20, "RING", '+CLIP: "10086",129')[-1] == ("ring", "10086")
    assert script.told[-1].key != script.told[0].key


def test_an_analogue_modem_says_it_between_the_first_ring_and_the_second() -> None:
    script = Script()
    script.say(0, "", "RING", "")
    script.say(1.5, "DATE = 1127", "TIME = 0310", "NMBR = 057584123367", "NAME = X")
    assert script.say(5, "RING") == [("ring", "057584123367")]
    assert script.say(5.1, "NO CARRIER") == [("ring", "057584123367"), ("end", "")]


def test_a_number_that_is_withheld_or_does_not_come_is_a_call_all_the_same() -> None:
    script = Script()
    script.say(0, "RING")
    script.say(3, "RING")
    assert script.say(4.5) == [("ring", "")]
    assert script.say(5, '+CLIP: "13905751234",129') == [("ring", "")]  # too late: it stands on the screens already
    assert script.say(20) == [("ring", ""), ("end", "")]
    short = Script()
    assert short.say(0, "RING", "NO CARRIER") == [("ring", ""), ("end", "")]


@given(st.lists(st.text(max_size=80), max_size=20))
def test_noise_is_no_call(lines: list[str]) -> None:
    quiet = [line for line in lines if "RING" not in line.upper() and "CLIP" not in line.upper() and "NMBR" not in line.upper()]
    assert Script().say(0, *quiet) == []


class Port:
    """A serial port of this machine with a modem of ours at the other end."""

    def __init__(self) -> None:
        self.ours, theirs = pty.openpty()
        self.name = os.ttyname(theirs)
        self._theirs = theirs
        self.asked = b""
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        with suppress(OSError):
            while data := os.read(self.ours, 1000):
                self.asked += data
                os.write(self.ours, b"\r\nERROR\r\n" * data.count(b"\r"))

    def say(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def close(self) -> None:
        for end in (self._theirs, self.ours):
            with suppress(OSError):
                os.close(end)


@pytest.fixture
def port() -> Iterator[Port]:
    opened = Port()
    yield opened
    opened.close()


def wait(condition: object, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:  # type: ignore[operator]
        time.sleep(0.02)
    assert condition()  # type: ignore[operator]


def test_a_call_over_a_real_serial_port(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modem, "OVER_AFTER", 0.6)
    told: list[Event] = []
    listening = Modem(port.name, 9600, tell=told.append)
    listening.start()
    try:
        wait(lambda: listening.state.running)
        assert port.asked.split(b"\r")[:3] == [b"ATZ", b"ATE0", b"AT+CLIP=1"]
        port.say("\r\nRI")
        port.say('NG\r\n\r\n+CLIP: "139057')
        time.sleep(0.1)
        port.say('51234",129,"",0\r\n' + "x" * 1000 + "\r\n")
        wait(lambda: len(told) == 2)
        assert [(event.event, event.caller) for event in told] == [("ring", "13905751234"), ("end", "")]
    finally:
        listening.stop()


def test_a_port_that_is_not_there_is_said_so_and_tried_again(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modem, "AGAIN", 0.1)
    listening = Modem("/dev/localcrm-no-such-port", 9600, tell=lambda _event: None)
    listening.start()
    try:
        wait(lambda: bool(listening.state.problem))
        assert not listening.state.running
        listening.port = port.name  # plugged in
        wait(lambda: listening.state.running)
        assert not listening.state.problem
    finally:
        listening.stop()
