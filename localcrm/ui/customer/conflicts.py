"""Tab: what work done apart left to decide about the customer, and about those that were merged into it, while nobody has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.admin.conflicts import CONFLICT, find_items
from localcrm.domain.crm.entities import Customer
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.connection import Connection
from localcrm.store.merged import ids_of
from localcrm.store.query import Condition, ListQuery, select
from localcrm.ui.conflict_words import Side, Teller, Told
from localcrm.ui.customer.tabs import Tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type
_MOST = 50


def _where(connection: Connection, identity: str) -> tuple[Condition, ...]:
    return (Condition("record", "in", ids_of(connection, CUSTOMER, identity)), Condition("state", "=", "open"))


def _read(session: Session, connection: Connection, identity: str) -> list[Told]:
    _total, items = find_items(connection, session.actor, _where(connection, identity), limit=_MOST)
    return list(Teller(connection, session.actor, items))


def count_open(session: Session, connection: Connection, identity: str) -> int:
    """How many nobody has looked at, up to fifty."""
    query = ListQuery(CONFLICT, where=_where(connection, identity), limit=_MOST, restrict=policy.view(session.actor, CONFLICT))
    return len(select(connection, query, count=False).rows)


def _draw(_bench: Workbench, found: Sequence[Told]) -> None:
    for one in found:
        with ui.element("div").classes("lc-told").mark("told").props("data-act=told"):
            with ui.element("div").classes("lc-row lc-wrap-row"):
                if one.label:
                    ui.label(one.label).classes("lc-chip")
                ui.label(one.reason).classes("lc-muted grow")
                with ui.element("a").props(f'href="/conflicts?record={one.item.conflict["record"]}"').mark("to-conflicts"):
                    ui.label(_("Settle under Conflicts"))
            if one.happened:
                ui.label(one.happened).classes("lc-wrap")
                ui.label(one.next_step).classes("lc-muted lc-wrap")
            else:
                _side(_("Value kept"), one.kept, one.kept_text)
                _side(_("Value overwritten"), one.lost, one.lost_text)


def _side(head: str, side: Side, text: str) -> None:
    with ui.element("div").classes("lc-row lc-wrap-row"):
        ui.label(head).classes("lc-muted lc-small-text")
        ui.label(text).classes("lc-strong lc-wrap")
        ui.label(" · ".join(filter(None, [side.who, side.at]))).classes("lc-muted lc-small-text")


CONFLICTS = Tab(
    id="conflicts",
    label_msgid=N_("Conflicts"),
    permission="conflict.read",
    count=count_open,
    read=_read,
    draw=_draw,
    shows=frozenset({"conflict"}),
    only_if_any=True,
)
