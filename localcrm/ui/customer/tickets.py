"""Tab: the tickets of the customer, and the action that enters one. A double click opens one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.i18n import N_
from localcrm.ui.customer.actions import CustomerAction, Part, may
from localcrm.ui.customer.tables import record_tab
from localcrm.ui.service.deeds import new_ticket

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench


async def _new(bench: Workbench) -> None:
    await new_ticket(bench.session, customer_id=bench.customer)


async def _open(bench: Workbench, identity: str) -> None:  # noqa: ARG001 -- every tab gets its workbench
    ui.navigate.to(f"/tickets/{identity}")


TICKETS = record_tab(
    TICKET,
    ("number", "title", "type", "priority", "state", "left", "product_id", "serial", "assignee_id", "opened_at"),
    id="tickets",
    label=N_("Service"),
    new=N_("＋ New ticket"),
    empty=N_("No tickets of this customer yet."),
    sort="-opened_at",
    shows=frozenset({"ticket_event", "service_level", "work_hours", "calendar_day"}),
    start=_new,
    open_row=_open,
)
ACTIONS = (CustomerAction(id="ticket", label_msgid=N_("New ticket"), run=_new, shown=may("ticket.create"), part=Part.ADD),)
