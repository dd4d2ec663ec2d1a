"""Keys are pressed while a list is read anew: the next key meets the line that is shown as chosen."""

from __future__ import annotations

from typing import Any

from nicegui import Client, ui

from localcrm.domain.admin.entities import Conflict
from localcrm.kernel.i18n import use_language
from localcrm.ui.kit.places import place_of
from localcrm.ui.pages import load_screens
from localcrm.ui.screens.conflicts import Inbox
from tests.ui.conftest import Office

CONFLICT = Conflict.entity_type


def test_the_chosen_one_stays_and_one_that_is_gone_leaves_its_place() -> None:
    assert place_of(["a", "b", "c"], "c", 0) == 2
    assert place_of(["a", "b"], "gone", 2) == 1
    assert place_of(["a", "b"], None, 1) == 1
    assert place_of([], "gone", 4) == 0


async def test_a_line_chosen_while_the_list_is_read_stays_chosen(office: Office, monkeypatch: Any) -> None:
    load_screens()
    customer = office.new("customer", name="绍兴恒远", phone="0571-6666")
    with office.store.unit_of_work(None) as uow:
        for lost in ("0575-1111", "0575-2222"):
            values = {"kind": "overwritten", "entity": "customer", "record": customer["id"], "field": "phone", "kept": "0571-6666"}
            uow.insert(CONFLICT, CONFLICT.validate({**values, "lost": lost, "kept_node": "BR01", "lost_node": "HQ"}))
    session = office.program.sessions.resolve(office.token("admin"))
    assert session is not None
    with Client(ui.page("/somewhere"), request=None) as client, use_language("en"):
        inbox = Inbox(session, {})
        await inbox.build()
        assert (len(inbox.shown), inbox.at) == (2, 0)
        read = inbox._read

        def read_while_a_key_is_pressed() -> Any:
            inbox._mark(1, follow=False)
            return read()

        monkeypatch.setattr(inbox, "_read", read_while_a_key_is_pressed)
        await inbox.draw()
        assert inbox.at == 1
    client.delete()
