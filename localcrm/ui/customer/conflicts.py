"""Tab: values of the customer that were overwritten by work done apart, while nobody has looked at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.admin.entities import Conflict
from localcrm.domain.crm.entities import Customer
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.ui.customer.tabs import Tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER, CONFLICT = Customer.entity_type, Conflict.entity_type
_MOST = 50


def _read(session: Session, connection: Connection, identity: str) -> list[Record]:
    where = (Condition("record", "=", identity), Condition("state", "=", "open"))
    return select(
        connection, ListQuery(CONFLICT, where=where, limit=_MOST, restrict=policy.view(session.actor, CONFLICT)), count=False
    ).rows


def _count(session: Session, connection: Connection, identity: str) -> int:
    return len(_read(session, connection, identity))


def _draw(bench: Workbench, rows: list[Record]) -> None:
    with ui.element("table").classes("lc-table"):
        with ui.element("tr"):
            for head in (_("Field"), _("Value kept"), _("Value overwritten"), _("Kept value from"), _("Overwritten value from")):
                with ui.element("th"):
                    ui.label(head)
        for row in rows:
            field = CUSTOMER.fields.get(row["field"] or "")
            with ui.element("tr"):
                for text in (field.label if field else row["field"], row["kept"], row["lost"], row["kept_node"], row["lost_node"]):
                    with ui.element("td"):
                        ui.label(str(text or "—"))
    with ui.element("a").props(f'href="/conflicts?record={bench.customer}"').mark("to-conflicts"):
        ui.label(_("Settle under Conflicts"))


CONFLICTS = Tab(
    id="conflicts",
    label_msgid=N_("Conflicts"),
    permission="conflict.read",
    count=_count,
    read=_read,
    draw=_draw,
    shows=frozenset({"conflict"}),
    only_if_any=True,
)
