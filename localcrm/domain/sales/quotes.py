"""Quotes: offered with a date until which they hold, replaced by newer versions, and what the opportunity is worth once one is accepted."""

from __future__ import annotations

import datetime as dt
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.checks import check_same_customer, filled_from
from localcrm.domain.crm.entities import DealState, Opportunity
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour, create_record, update_record
from localcrm.domain.sales.entities import Quote, QuoteStatus
from localcrm.domain.spans import check_span
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_QUOTE, _OPPORTUNITY = Quote.entity_type, Opportunity.entity_type
#: What a new version takes over.
_COPIED = ("title", "customer_id", "opportunity_id", "contact_id", "amount", "remark", "owner_id")


def prepare_quote(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new quote is numbered and of today, by whoever writes it; what it does not say itself it takes from its opportunity."""
    if old is not None:
        return values
    day = _QUOTE.fields["date"].load(str(values["date"])) if values.get("date") else dt.date.today()
    filled = {**values, "date": day, "number": values.get("number") or next_number(uow, _QUOTE, day), "branch_id": uow.node.branch_id}
    filled["owner_id"] = filled.get("owner_id") or actor.user_id
    return filled_from(uow, actor, _QUOTE, filled, "opportunity_id", "customer_id", "contact_id", "title")


def check_quote(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """It holds until a day after its own, and is for the customer of its opportunity and contact."""
    check_span(_QUOTE, new, "date", "valid_until")
    check_same_customer(uow, _QUOTE, new, "opportunity_id", "contact_id")


def follow_quote(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:  # noqa: ARG001
    """An opportunity that is still open is worth what the accepted quote says."""
    if record["status"] != QuoteStatus.ACCEPTED or (old is not None and all(old[key] == record[key] for key in ("status", "amount"))):
        return
    opportunity = uow.find(_OPPORTUNITY, record["opportunity_id"]) if record["opportunity_id"] else None
    if opportunity is not None and opportunity["state"] == DealState.OPEN and opportunity["amount"] != record["amount"]:
        uow.update(_OPPORTUNITY, opportunity["id"], {"amount": record["amount"]})


def new_quote_version(uow: UnitOfWork, actor: Actor, *, quote_id: RecordId) -> Record:
    """A draft that takes a quote's place; returns it. What the customer had accepted is not replaced."""
    policy.require_record(uow.connection, actor, _QUOTE, quote_id, "update")
    quote = uow.get(_QUOTE, quote_id)
    if quote["status"] == QuoteStatus.ACCEPTED:
        raise Refused("quote_accepted", N_("“{number}” has been accepted. Write a new quote instead."), number=quote["number"])
    if uow.where(_QUOTE, replaces_id=quote_id):
        raise Refused("quote_replaced", N_("There is a newer version of “{number}” already."), number=quote["number"])
    update_record(uow, actor, entity="quote", id=quote_id, values={"status": QuoteStatus.REPLACED})
    made = create_record(uow, actor, entity="quote", values={key: quote[key] for key in _COPIED if quote[key] is not None})
    uow.update(_QUOTE, made["id"], {"replaces_id": quote_id, "version_no": quote["version_no"] + 1})
    return policy.shown(actor, _QUOTE, uow.get(_QUOTE, made["id"]))


BEHAVIOURS = {"quote": Behaviour(prepare=prepare_quote, check=check_quote, after=follow_quote)}
VERBS = (Verb(new_quote_version, N_("Write a new version of a quote")),)
