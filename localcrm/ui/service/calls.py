"""A ticket of the customer who calls, from the card of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.kernel.i18n import N_
from localcrm.ui.calls.deeds import FURTHER, CallAction, Card
from localcrm.ui.operations import run_verb
from localcrm.ui.service.deeds import new_ticket

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


async def _new(session: Session, card: Card) -> None:
    """With what the call tells already; once it is written down, nothing more need be done about the call."""
    told = {"customer_id": card.linked, "contact_id": card.contact, "channel": "telephone"}
    if await new_ticket(session, **{key: value for key, value in told.items() if value}):
        await run_verb(session, "calls.settle_calls", {"ids": [card.id]})


def _shown(session: Session, card: Card) -> bool:
    may = session.may("call.update") and session.may("ticket.create") and session.looking_as is None
    return may and bool(card.linked)


FURTHER.append(CallAction(id="ticket", label_msgid=N_("New ticket"), icon="confirmation_number", run=_new, key="insert", shown=_shown))
