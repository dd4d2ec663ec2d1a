"""What is remembered of a page for late clicks goes with the page."""

from __future__ import annotations

import gc
import weakref

from nicegui import Client, ui

from localcrm.ui.kit.late_clicks import hear_late_clicks


def test_a_page_that_was_closed_is_forgotten_though_its_buttons_name_it() -> None:
    hear_late_clicks()
    client = Client(ui.page("/late"), request=None)
    with client:
        ui.button("?", on_click=lambda page=client: page.id)
    gone = weakref.ref(client)
    client.delete()
    del client
    gc.collect()
    assert gone() is None
