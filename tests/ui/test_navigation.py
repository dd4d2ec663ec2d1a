"""The navigation is markup in one piece: what a company calls its records stands in it as text, and numbers stand where they belong."""

from __future__ import annotations

import gc
import weakref

from nicegui import Client, ui

from localcrm.kernel.i18n import use_language
from localcrm.kernel.schema import shaped
from localcrm.ui.navigation import Navigation
from localcrm.ui.pages import load_screens
from tests.ui.conftest import Office


async def test_names_of_a_company_are_text_and_numbers_stand_beside_their_links(office: Office) -> None:
    load_screens()
    office.run("admin.rename", entity="customer", text='<img src=x onerror="a()">', language="en")
    session = office.program.sessions.resolve(office.token("admin"))
    assert session is not None
    with Client(ui.page("/somewhere"), request=None) as client, shaped(office.store.shapes), use_language("en"):
        drawn = Navigation(session, "customers")
        assert "&lt;img src=x onerror=&quot;a()&quot;&gt;" in drawn.bar.content
        assert "<img" not in drawn.bar.content
        assert drawn.bar.content.count("lc-nav-link lc-on") == 1
        drawn.show_count("reminders", 120)
        drawn.show_count("no such screen", 7)
        assert 'data-badge="reminders" title="120 reminders are due" aria-label="120 reminders are due">99+</span>' in drawn.bar.content
        drawn.show_count("reminders", 0)
        assert "99+" not in drawn.bar.content
    client.delete()


async def test_the_navigation_of_a_page_that_was_closed_is_forgotten(office: Office) -> None:
    load_screens()
    session = office.program.sessions.resolve(office.token("admin"))
    assert session is not None
    client = Client(ui.page("/somewhere"), request=None)
    with client:
        Navigation(session, "customers")
    gone = weakref.ref(client)
    client.delete()
    del client
    gc.collect()
    assert gone() is None
