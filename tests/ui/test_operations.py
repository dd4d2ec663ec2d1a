"""What a page does beside the loop, and what becomes of it when the page is closed meanwhile."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from functools import partial

import pytest
from nicegui import Client, ui

from localcrm.jobs.work import Job
from localcrm.kernel.errors import ExchangeError
from localcrm.store.store import Store
from localcrm.ui.kit.jobs import do_job
from localcrm.ui.operations import apart, set_places
from tests.ui.conftest import Office


async def test_what_was_under_way_for_a_page_that_is_closed_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    client, read = Client(ui.page("/somewhere"), request=None), threading.Event()

    async def draw() -> None:
        with client:
            await apart(read.wait)
            ui.label("nobody sees this")

    task = asyncio.create_task(draw())
    await asyncio.sleep(0.05)
    client.delete()
    read.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not caplog.records


async def test_a_failure_goes_when_the_same_is_tried_again_and_others_stay(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Head office is not reached, then it is: nobody reads both on one page."""
    monkeypatch.setattr("localcrm.ui.kit.jobs.toast", lambda _text: None)
    broken = {"exchange", "backup"}

    def run(store: Store, keys: object, *, name: str) -> None:
        if name in broken:
            raise ExchangeError("no_connection", "Nobody answers.", detail="[Errno 111] Connection refused")

    jobs = {name: Job(name, name, timedelta(hours=1), partial(run, name=name), lambda _store: True) for name in ("exchange", "backup")}
    session = office.program.sessions.resolve(office.token())
    assert session is not None
    with Client(ui.page("/somewhere"), request=None) as client:
        notices, toasts, place = ui.element(), ui.element(), ui.element()
        set_places(notices, toasts)
        for name in ("exchange", "backup", "exchange"):
            await do_job(session, jobs[name], place)
        assert told(notices) == ["Nobody answers.", "Nobody answers."]  # one of each, without what only a programmer reads
        broken.remove("exchange")
        await do_job(session, jobs["exchange"], place)
        assert told(notices) == ["Nobody answers."]
    client.delete()


def told(notices: ui.element) -> list[str]:
    """The sentences of the notices that stand there."""
    return [part.text for box in notices for part in box if isinstance(part, ui.label)]


async def test_what_was_read_comes_back_to_an_open_page() -> None:
    with Client(ui.page("/somewhere"), request=None) as client:
        assert await apart(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]
    client.delete()
