"""What a session keeps in memory of its user."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from localcrm.domain.people import preferences
from localcrm.ui.kit.syncstate import clock_warning
from localcrm.ui.sessions import Session
from tests.factories import HandClock
from tests.ui.conftest import Office


@pytest.fixture
def session(office: Office) -> Session:
    found = office.program.sessions.resolve(office.token())
    assert found is not None
    return found


def test_an_option_saved_while_another_thread_reads_them_all_is_not_lost(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clicks one after the other: language, then dark; the page had begun to read what holds after the first."""
    read, read_out, saved = preferences.preferences, threading.Event(), threading.Event()

    def slowly(*whose: object) -> dict[str, str]:
        found = read(*whose)  # type: ignore[arg-type]
        if threading.current_thread() is reader:
            read_out.set()
            saved.wait(0.5)
        return found

    reader = threading.Thread(target=session.take_options)
    monkeypatch.setattr(preferences, "preferences", slowly)
    reader.start()
    assert read_out.wait(5)
    session.save_setting("theme", "dark")
    saved.set()
    reader.join(5)
    assert session.setting("theme") == "dark"


@pytest.mark.parametrize(("days", "warned"), [(-7_300, True), (-1, False), (1, False), (300, False), (400, True)])
def test_a_clock_that_cannot_be_right_is_pointed_out_before_documents_get_its_date(office: Office, days: int, warned: bool) -> None:
    office.store.clock = clock = HandClock()
    office.new("customer", name="甲")
    clock.forward(days=days)
    text = clock_warning(office.store)
    assert bool(text) == warned
    if warned:
        assert datetime.fromtimestamp(clock.ms / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d") in text
