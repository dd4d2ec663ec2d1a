"""Beside a call: a ticket of the customer who calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.kernel.i18n import N_
from localcrm.ui.calls.deeds import FURTHER, CallAction, Card
from localcrm.ui.operations import run_verb
from localcrm.ui.service.deeds import new_ticket

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


async def _ticket(session: Session, card: Card) -> None:
    """Enter it; the call is done with then."""
    preset = {"customer_id": card.linked, "contact_id": card.contact, "channel": "telephone"}
    if await new_ticket(session, **{key: value for key, value in preset.items() if value}):
        await run_verb(session, "calls.settle_calls", {"ids": [card.id]})


def _shown(session: Session, card: Card) -> bool:
    return bool(card.linked) and session.looking_as is None and session.may("call.update") and session.may("ticket.create")


FURTHER.append(CallAction(id="ticket", label_msgid=N_("New ticket"), icon="confirmation_number", run=_ticket, shown=_shown))
