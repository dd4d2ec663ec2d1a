"""A modem on a serial port that tells who calls: RING, and the number as +CLIP (mobile networks) or NMBR (analogue lines)."""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from localcrm.channels.heard import Event, SourceState
from localcrm.kernel.i18n import N_

if TYPE_CHECKING:
    from serial import Serial

#: Both ways to ask for callers' numbers; a modem knows one of them and answers ERROR to the others.
COMMANDS = (b"ATZ\r", b"ATE0\r", b"AT+CLIP=1\r", b"AT+VCID=1\r", b"AT#CID=1\r")
#: Seconds after RING in which the number comes, and after the last RING until the call is over.
NUMBER_WITHIN, OVER_AFTER = 4.0, 8.0
#: Seconds until a port that failed is tried again, and until a silent modem is asked whether it is there.
AGAIN, ASK_AFTER = 5.0, 60.0
MAX_LINE = 200
_TICK = 0.2
_CLIP = re.compile(r'\+CLIP:\s*"([^"]{0,60})"', re.IGNORECASE)
_NUMBER = re.compile(r"(?:NMBR|DDN_NMBR)\s*=\s*(.{0,60})", re.IGNORECASE)
_RING = re.compile(r"(?:\+?RING\b|\+CRING:).*", re.IGNORECASE)
_OVER = frozenset({"NO CARRIER", "BUSY", "NO ANSWER"})
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Listener:
    """What the lines of a modem say of calls; no port, no clock of its own."""

    key: str = ""
    since: float = 0.0
    last: float = 0.0
    told: bool = False

    def heard(self, line: str, now: float) -> Iterator[Event]:
        """What a line leads to."""
        text = line.strip()
        if _RING.fullmatch(text):
            self._ring(now)
        elif found := _CLIP.match(text) or _NUMBER.fullmatch(text):
            self._ring(now)
            yield from self._tell(found[1].strip())
        elif text.upper() in _OVER or text.upper().startswith("MISSED_CALL"):
            yield from self._over()

    def later(self, now: float) -> Iterator[Event]:
        """What follows from nothing being said."""
        if self.key and not self.told and now - self.since >= NUMBER_WITHIN:
            yield from self._tell("")
        if self.key and now - self.last >= OVER_AFTER:
            yield from self._over()

    def close(self) -> Iterator[Event]:
        """Nobody listens any more."""
        yield from self._over()

    def _ring(self, now: float) -> None:
        if not self.key:
            self.key, self.since, self.told = secrets.token_hex(8), now, False
        self.last = now

    def _tell(self, caller: str) -> Iterator[Event]:
        if not self.told:
            self.told = True
            yield Event("ring", key=self.key, caller=caller)

    def _over(self) -> Iterator[Event]:
        if self.key:
            yield from self._tell("")  # it was over before its number came
            yield Event("end", key=self.key)
        self.key = ""


class Modem:
    """Reads a serial port, in a thread of its own, until it is stopped; a port that fails is opened again."""

    def __init__(self, port: str, rate: int, *, tell: Callable[[Event], None]) -> None:
        self.port, self.rate, self.tell = port, rate, tell
        self.listener = Listener()
        self.problem = ""
        self.running = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="modem", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)

    @property
    def state(self) -> SourceState:
        """How it stands."""
        return SourceState(running=self.running, problem=self.problem, place=self.port)

    def _run(self) -> None:
        import serial

        while not self._stopping.is_set():
            try:
                with serial.Serial(self.port, self.rate, timeout=_TICK, write_timeout=2) as opened:
                    self._serve(opened)
            except (OSError, ValueError, serial.SerialException) as error:
                log.warning("modem: %s: %s", self.port, error)
                self.running, self.problem = False, N_("The serial port cannot be opened or does not answer.")
                self._say(self.listener.close())
                self._stopping.wait(AGAIN)
        self._say(self.listener.close())

    def _serve(self, opened: Serial) -> None:
        for command in COMMANDS:
            opened.write(command)
            self._stopping.wait(0.1)
        self.running, self.problem = True, ""
        line, spoken = bytearray(), time.monotonic()
        while not self._stopping.is_set():
            found = opened.read(max(1, min(opened.in_waiting, MAX_LINE)))
            now = time.monotonic()
            for sign in found:
                if sign in b"\r\n":
                    self._say(self.listener.heard(line.decode("ascii", "replace"), now))
                    line.clear()
                elif len(line) < MAX_LINE:  # noise on the line has no end
                    line.append(sign)
            self._say(self.listener.later(now))
            if found:
                spoken = now
            elif now - spoken > ASK_AFTER:
                opened.write(b"AT\r")  # a port that was pulled out fails here
                spoken = now

    def _say(self, events: Iterator[Event]) -> None:
        for event in events:
            self.tell(event)


def ports() -> list[tuple[str, str]]:
    """Serial ports of this computer: name as it is opened, what it is."""
    found: list[tuple[str, str]] = []
    with suppress(ImportError, OSError):
        from serial.tools.list_ports import comports

        found = [(port.device, port.description or port.device) for port in comports()]
    return found
