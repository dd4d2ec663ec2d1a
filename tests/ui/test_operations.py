"""What a page does beside the loop, and what becomes of it when the page is closed meanwhile."""

from __future__ import annotations

import asyncio
import threading

import pytest
from nicegui import Client, ui

from localcrm.ui.operations import apart


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


async def test_what_was_read_comes_back_to_an_open_page() -> None:
    with Client(ui.page("/somewhere"), request=None) as client:
        assert await apart(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]
    client.delete()
