"""Tab: everything that happened with the customer, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import subjects  # noqa: F401 -- they say what stands in it
from localcrm.domain.sales.timeline import Event, customer_timeline, kinds
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.connection import Connection
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.values import show, show_kind

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

_MOST = 100
#: By key of the kind of record.
ICONS = {
    "activity": "forum",
    "sales_order": "receipt_long",
    "quote": "request_quote",
    "contract": "history_edu",
    "delivery": "local_shipping",
    "receipt": "payments",
    "ticket": "confirmation_number",
}


def _read(session: Session, connection: Connection, identity: str) -> list[Event]:
    return customer_timeline(connection, session.actor, identity, limit=_MOST)


def _draw(_bench: Workbench, events: list[Event]) -> None:
    timeline(events)


def timeline(events: Sequence[Event]) -> None:
    """Events under their days."""
    if not events:
        ui.label(_("Nothing has happened yet.")).classes("lc-empty lc-muted")
        return
    day = None
    with ui.element("div").classes("lc-timeline").mark("timeline"):
        for event in events:
            if event.day != day:
                day = event.day
                ui.label(show_kind("date", day) or "").classes("lc-timeline-day")
            with ui.element("div").classes("lc-timeline-row"):
                ui.icon(ICONS[event.kind.key])
                with ui.element("div").classes("lc-timeline-text"):
                    ui.label(_said(event))
                    about = [event.at.astimezone().strftime("%H:%M") if event.at else "", event.who]
                    ui.label(" · ".join(filter(None, about))).classes("lc-muted lc-small-text")


def _said(event: Event) -> str:
    """The fields that tell what it was, in one line."""
    told = []
    for key in event.shown:
        field = event.kind.fields[key]
        text = show(field, event.record[key], {})
        if text:
            told.append(f"{field.label} {text}" if field.kind in {"datetime", "money"} else text)
    text = " · ".join(told)
    return text if event.kind.key == "activity" else _("{kind}: {text}").format(kind=event.kind.label, text=text)


TIMELINE = Tab(id="timeline", label_msgid=N_("Timeline"), read=_read, draw=_draw, shows=kinds())
