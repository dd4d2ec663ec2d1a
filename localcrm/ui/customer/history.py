"""Tab: every change of the customer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.crm.entities import Customer
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.connection import Connection
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.asof import as_of_dialog
from localcrm.ui.kit.history import Line, history_lines, history_table, take_back
from localcrm.ui.kit.undoing import undo_dialog

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type


def _read(session: Session, _connection: Connection, identity: str) -> list[Line]:
    return history_lines(session, CUSTOMER, identity)


def _draw(bench: Workbench, lines: list[Line]) -> None:
    session, identity = bench.session, str(bench.customer)
    ui.button(_("As of…"), on_click=partial(as_of_dialog, session, CUSTOMER, identity)).props(
        "flat dense no-caps icon=history data-act=as-of"
    )
    history_table(lines, restore=partial(take_back, session, CUSTOMER, identity), undo=partial(undo_dialog, session))


HISTORY = Tab(id="history", label_msgid=N_("History"), read=_read, draw=_draw)
