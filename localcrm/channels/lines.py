"""The sources that listen while the program runs: those that are switched on, each in a thread, and one that writes down what they hear.

The settings are looked at every second, so that whatever is switched on or off by a screen or another program counts at once. Nothing here
belongs to the event loop of the screens.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from localcrm.channels.heard import Event, SourceState
from localcrm.channels.modem import Modem
from localcrm.channels.sip import Account, Telephone
from localcrm.domain import verbs
from localcrm.domain.calls.entities import Source
from localcrm.domain.calls.rules import plain_line
from localcrm.domain.calls.services import forgotten_calls, own_lines
from localcrm.domain.calls.settings import CallSettings, call_settings
from localcrm.domain.policy import SYSTEM
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import AppError

if TYPE_CHECKING:
    from localcrm.store.store import Store

LOOK_SECONDS, TIDY_EVERY = 1.0, 60
#: What is not written down yet; more at once is noise.
_MOST_WAITING = 1000
_TRIES = 5
log = logging.getLogger(__name__)
_running: dict[Path, Lines] = {}


def start(store: Store) -> Callable[[], None]:
    """Listen from now on; returns what stops it."""
    lines = Lines(store)
    _running[store.folder] = lines
    lines.start()

    def stop() -> None:
        lines.stop()
        _running.pop(store.folder, None)

    return stop


def states(store: Store) -> dict[Source, SourceState]:
    """How the sources of a folder stand that this program listens to; empty where it does not run here."""
    lines = _running.get(store.folder)
    return lines.states if lines else {}


class Lines:
    """What listens for one folder."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sip: Telephone | None = None
        self.modem: Modem | None = None
        self._known = CallSettings()
        self._lines: Collection[str] = ()
        self._waiting: queue.Queue[tuple[Source, Event] | None] = queue.Queue(_MOST_WAITING)
        self._stopping = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="lines", daemon=True)
        self._writing = threading.Thread(target=self._write, name="calls heard", daemon=True)

    @property
    def states(self) -> dict[Source, SourceState]:
        """How those stand that are switched on."""
        found: dict[Source, Telephone | Modem | None] = {Source.SIP: self.sip, Source.MODEM: self.modem}
        return {source: one.state for source, one in found.items() if one is not None}

    def start(self) -> None:
        """Begin."""
        self._writing.start()
        self._watching.start()

    def stop(self) -> None:
        """Stop every source, then write down what they still said."""
        self._stopping.set()
        self._watching.join(30)
        self._waiting.put(None)
        self._writing.join(30)

    def _watch(self) -> None:
        turn = 0
        while not self._stopping.is_set():
            try:
                with self.store.read() as connection:
                    wanted, self._lines = call_settings(connection), own_lines(connection, self.store.node)
                    forgotten = turn % TIDY_EVERY == 0 and forgotten_calls(connection, self.store.node, moment(self.store.clock))
                if forgotten:
                    verbs.run(self.store, SYSTEM, "calls.close_forgotten", {})
            except AppError as error:  # a data file that cannot be read just now
                log.warning("calls: %s", error.code)
            else:
                self._follow(wanted)
            turn += 1
            self._stopping.wait(LOOK_SECONDS)
        self._follow(CallSettings())

    def _follow(self, wanted: CallSettings) -> None:
        """Bring what listens in line with the settings."""
        if _of_sip(wanted) != _of_sip(self._known):
            if self.sip is not None:
                self.sip.stop()
            self.sip = self._telephone(wanted) if wanted.sip else None
            if self.sip is not None:
                self.sip.start()
        if _of_modem(wanted) != _of_modem(self._known):
            if self.modem is not None:
                self.modem.stop()
            self.modem = (
                Modem(wanted.modem_port, wanted.modem_rate, tell=lambda event: self._tell(Source.MODEM, event)) if wanted.modem else None
            )
            if self.modem is not None:
                self.modem.start()
        self._known = wanted

    def _telephone(self, wanted: CallSettings) -> Telephone:
        host, _colon, port = wanted.registrar.partition(":") if wanted.registrar.count(":") <= 1 else (wanted.registrar, "", "")
        account = Account(host, int(port or 5060), wanted.sip_user, wanted.sip_password) if wanted.registrar else None
        return Telephone(
            (wanted.sip_host, wanted.sip_port),
            tell=lambda event: self._tell(Source.SIP, event),
            lines=lambda: self._lines,
            is_line=lambda text, lines: plain_line(text) in lines,
            may_announce=wanted.may_announce,
            account=account,
        )

    def _tell(self, source: Source, event: Event) -> None:
        try:
            self._waiting.put_nowait((source, event))
        except queue.Full:
            log.warning("calls: more than can be written down")

    def _write(self) -> None:
        """Write down what was heard, in its order; a data file that is busy is tried again."""
        while (told := self._waiting.get()) is not None:
            source, event = told
            for _try in range(_TRIES):
                try:
                    verbs.run(self.store, SYSTEM, "calls.heard", {"source": source, **asdict(event)})
                except AppError as error:
                    log.warning("calls: %s could not be written down: %s", source.value, error.code)
                    if error.http_status != 503 or self._stopping.wait(1):
                        break
                else:
                    break


def _of_sip(settings: CallSettings) -> tuple[object, ...]:
    if not settings.sip:
        return ()
    return (settings.sip_host, settings.sip_port, settings.sip_from, settings.registrar, settings.sip_user, settings.sip_password)


def _of_modem(settings: CallSettings) -> tuple[object, ...]:
    return (settings.modem_port, settings.modem_rate) if settings.modem else ()
