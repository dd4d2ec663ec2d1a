"""Dialling and writing to whoever is chosen: at once where there is one number or address, else after choosing one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Contact, Customer
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.links import pieces
from localcrm.ui.operations import run_service, toast

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER, CONTACT = Customer.entity_type, Contact.entity_type
PHONE, EMAIL = "phone", "email"
#: By what: the widget of the fields that hold it, what is said where there is none, and above several.
_WORDS = {
    PHONE: (N_("No telephone number is known here."), N_("Which number?")),
    EMAIL: (N_("No e-mail address is known here."), N_("Which address?")),
}
#: People at one customer that are offered.
_MOST = 100


@dataclass(frozen=True, slots=True)
class Way:
    """One number or address: whose, as it is written, and the address that dials or writes."""

    who: str
    text: str
    path: str


def ways_of(session: Session, connection: Connection, kind: EntityType, identity: str, by: str) -> list[Way]:
    """How a contact, or a customer and the people there, can be reached, as far as this user may read it; who has left comes last."""
    found = _of(session, connection, kind, Condition("id", "=", identity), by)
    if kind is CUSTOMER and session.may("contact.read"):
        found += _of(session, connection, CONTACT, Condition("customer_id", "=", identity), by)
    return list({way.path: way for way in reversed(found)}.values())[::-1]


def _of(session: Session, connection: Connection, kind: EntityType, where: Condition, by: str) -> list[Way]:
    query = ListQuery(kind, where=(where,), limit=_MOST, restrict=policy.view(session.actor, kind))
    rows: Sequence[Record] = sorted(
        select(connection, query, count=False).rows, key=lambda row: (bool(row.get("has_left")), not row.get("is_main"))
    )
    fields = [field for field in kind.fields.values() if field.f.widget == by]
    return [
        Way(str(row.get(kind.title_field) or ""), text, path)
        for row in rows
        for field in fields
        for text, path in pieces(field, row.get(field.key))
        if path
    ]


async def reach(session: Session, kind: EntityType, identity: str, by: str, *, letter: str = "") -> None:
    """Dial (PHONE) or write to (EMAIL) a contact or customer with the system's own program for it.

    letter: what a letter begins with, as the end of a mailto address (RFC 6068), "?subject=…".
    """

    def read() -> list[Way]:
        with session.store.read() as connection:
            return ways_of(session, connection, kind, identity, by)

    outcome = await run_service(session, read)
    if not outcome.ok:
        return
    ways: list[Way] = outcome.value
    none, which = _WORDS[by]
    if not ways:
        toast(gettext(none))
    elif len(ways) == 1:
        ui.run_javascript(f"localcrm.follow({json.dumps(ways[0].path + letter)})")
    else:
        with page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("reach").props("data-act=reach"):
            ui.label(gettext(which)).classes("lc-dialog-title")
            with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table"):
                for way in ways:
                    with ui.element("tr"):
                        with ui.element("td"):
                            ui.label(way.who).classes("lc-strong")
                        with ui.element("td").classes("lc-num"):
                            ui.link(way.text, way.path + letter).on("click", dialog.close)
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Close"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
        await answer_of(dialog)
