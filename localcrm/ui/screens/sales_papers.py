"""Lists of quotes, contracts and deliveries, with what is done with each beyond changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localcrm.domain.sales.entities import Contract, DeliveryStatus, Quote, QuoteStatus
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.operations import run_verb
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import Further, list_screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localcrm.ui.sessions import Session


async def new_version(session: Session, quote: str) -> str | None:
    """A newer version of a quote, opened to be changed."""
    outcome = await run_verb(session, "sales.new_quote_version", {"quote_id": quote}, done=_("New version written"))
    if not outcome.ok:
        return None
    await edit_dialog(session, Quote.entity_type, identity=outcome.value["id"])
    return str(outcome.value["id"])


async def renew(session: Session, contract: str) -> str | None:
    """A contract that carries another one on, opened to be changed."""
    outcome = await run_verb(session, "sales.renew_contract", {"contract_id": contract}, done=_("Renewal written"))
    if not outcome.ok:
        return None
    await edit_dialog(session, Contract.entity_type, identity=outcome.value["id"])
    return str(outcome.value["id"])


def _becomes(kind: str, status: str, done: str) -> Callable[[Session, str], Awaitable[str | None]]:
    async def run(session: Session, identity: str) -> str | None:
        parameters = {"entity": kind, "id": identity, "values": {"status": status}}
        outcome = await run_verb(session, "records.update_record", parameters, done=_(done))
        return identity if outcome.ok else None

    return run


QUOTE_ACTIONS = (
    Further("sent", N_("Sent to the customer"), "quote.update", _becomes("quote", QuoteStatus.SENT, N_("Noted: sent"))),
    Further("accepted", N_("The customer accepts"), "quote.update", _becomes("quote", QuoteStatus.ACCEPTED, N_("Noted: accepted"))),
    Further("turned-down", N_("The customer declines"), "quote.update", _becomes("quote", QuoteStatus.REJECTED, N_("Noted: declined"))),
    Further("version", N_("New version"), "quote.create", new_version),
)
CONTRACT_ACTIONS = (Further("renew", N_("Renew"), "contract.create", renew),)
DELIVERY_ACTIONS = (
    Further(
        "shipped", N_("Handed to the carrier"), "delivery.update", _becomes("delivery", DeliveryStatus.SHIPPED, N_("Noted: on its way"))
    ),
    Further(
        "received", N_("The customer has it"), "delivery.update", _becomes("delivery", DeliveryStatus.RECEIVED, N_("Noted: signed for"))
    ),
)

register(
    *(
        Screen(kind, f"/records/{kind}", label, icon, f"{kind}.read", list_screen(kind, kind, further), "selling", place, lists=kind)
        for place, kind, label, icon, further in (
            (20, "quote", N_("Quotes"), "request_page", QUOTE_ACTIONS),
            (30, "contract", N_("Contracts"), "history_edu", CONTRACT_ACTIONS),
            (40, "delivery", N_("Deliveries"), "local_shipping", DELIVERY_ACTIONS),
        )
    )
)
