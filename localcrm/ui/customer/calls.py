"""Tab: telephone calls with the customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcrm.domain.calls.entities import Call
from localcrm.domain.calls.services import calls_of, count_calls_of
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.connection import Connection
from localcrm.store.query import ref_titles
from localcrm.ui.calls.sheet import call_dialog
from localcrm.ui.calls.words import shown_number
from localcrm.ui.customer.tables import TAB_ROWS, record_table
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.columns import row_json

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CALL = Call.entity_type


def _count(session: Session, connection: Connection, identity: str) -> int:
    return count_calls_of(connection, session.actor, identity)


def _read(session: Session, connection: Connection, identity: str) -> list[dict[str, Any]]:
    found = calls_of(connection, session.actor, identity, limit=TAB_ROWS)
    rows = row_json(connection, session.actor, CALL, found, ref_titles(connection, CALL, found))
    for row, call in zip(rows, found, strict=True):
        row["number"] = shown_number(call.get("number"))
    return rows


def _draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
    async def open_row(identity: str) -> None:
        await call_dialog(bench.session, identity)

    record_table(
        bench,
        CALL,
        ("rang_at", "direction", "number", "state", "seconds", "user_id", "handled"),
        rows,
        empty=_("No calls with this customer yet."),
        open_row=open_row,
    )


CALLS = Tab(
    id="calls",
    label_msgid=N_("Calls"),
    permission="call.read",
    count=_count,
    read=_read,
    draw=_draw,
    shows=frozenset({"call", "call_party"}),
)
