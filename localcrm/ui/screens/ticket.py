"""The page of one ticket, where lists, boards and reminders lead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain.service.tickets import TICKET
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.ui.frame import page_frame
from localcrm.ui.kit.theme import asset
from localcrm.ui.registry import Screen, register
from localcrm.ui.service.sheet import TicketPage

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


async def ticket(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen of the ticket that the address names."""
    try:
        identity = parse_id(parameters["id"])
    except AppError:
        identity = "0" * 32
    with page_frame(session, title=TICKET.label, active="tickets"):
        ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}"><link rel="stylesheet" href="{asset("service.css")}">')
        await TicketPage(session, identity).build()


register(Screen("ticket", "/tickets/{id}", N_("Ticket"), "confirmation_number", "ticket.read", ticket, None))
