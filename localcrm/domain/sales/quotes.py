"""Quotes: offered with a date until which they hold, replaced by newer versions, and what the opportunity is worth once one is accepted.

A quote with lines comes to their sum. They change while it is a draft, and only where it was written: what two branches made of one line
apart would add up to nothing. Who goes on with a quote elsewhere, or after it was sent, writes a new version, which takes the lines along.
"""

from __future__ import annotations

from typing import Any

from localcrm.domain import policy
from localcrm.domain.approvals.documents import check_editable
from localcrm.domain.crm.checks import check_same_customer, filled_from
from localcrm.domain.crm.contacts import with_main_contact
from localcrm.domain.crm.entities import Customer, DealState, Opportunity
from localcrm.domain.numbering import next_number
from localcrm.domain.options.company import company_yes
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour, create_record, update_record
from localcrm.domain.sales import lines as sale_lines, quote_approval, rules
from localcrm.domain.sales.entities import Quote, QuoteLine, QuoteStatus, SalesOrder, SalesOrderLine
from localcrm.domain.spans import check_span
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, record_json
from localcrm.store.uow import UnitOfWork

_QUOTE, _LINE, _OPPORTUNITY = Quote.entity_type, QuoteLine.entity_type, Opportunity.entity_type
_check_line = sale_lines.checking(_LINE)
_ORDER, _ORDER_LINE, _CUSTOMER = SalesOrder.entity_type, SalesOrderLine.entity_type, Customer.entity_type
#: What a new version takes over.
_COPIED = ("title", "customer_id", "opportunity_id", "contact_id", "amount", "remark", "owner_id", "tax_included")
#: What an order takes over from its quote.
_ORDERED = ("customer_id", "opportunity_id", "tax_included", "remark")


def begin_quote(connection: Connection, node: Node) -> dict[str, Any]:
    """A new quote begins with prices as the company has them, with tax or without."""
    return {"tax_included": company_yes(connection, node, "prices_include_tax")}


def prepare_quote(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new quote is numbered and of today, by whoever writes it; what it does not say itself it takes from its opportunity,
    or it goes to the main contact.
    """
    if old is not None:
        return values
    day = _QUOTE.fields["date"].load(str(values["date"])) if values.get("date") else uow.today
    filled = {**values, "date": day, "number": values.get("number") or next_number(uow, _QUOTE, day), "branch_id": uow.node.branch_id}
    filled["owner_id"] = filled.get("owner_id") or actor.user_id
    return with_main_contact(uow, actor, filled_from(uow, actor, _QUOTE, filled, "opportunity_id", "customer_id", "contact_id", "title"))


def check_quote(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """It holds until a day after its own, is for the customer of its opportunity and contact, and comes to what its lines come to."""
    check_span(_QUOTE, new, "date", "valid_until")
    check_same_customer(uow, _QUOTE, new, "opportunity_id", "contact_id")
    if old is not None:
        check_editable(uow.connection, _QUOTE, old)
        quote_approval.require_agreed(uow, {**old, **new}, old)
    if old is None or all(old[key] == new[key] for key in ("amount", "tax_included")) or not uow.where(_LINE, quote_id=old["id"]):
        return
    if old["amount"] != new["amount"]:
        raise InvalidInput("amount_of_lines", N_("The amount is the sum of the lines. Change it there."), field="amount")
    _check_changeable(uow, old)


def _check_changeable(uow: UnitOfWork, quote: Record) -> None:
    """Refuse to change the lines of a quote that was written elsewhere, or is no draft any more."""
    if quote["branch_id"] != uow.node.branch_id:
        raise Refused(
            "quote_elsewhere",
            N_("The lines of “{number}” belong to the branch that wrote it. Write a new version; it takes them along."),
            number=quote["number"],
        )
    check_editable(uow.connection, _QUOTE, quote)
    if quote["status"] != QuoteStatus.DRAFT:
        raise Refused("quote_no_draft", N_("“{number}” is no draft any more. Write a new version instead."), number=quote["number"])


def check_quote_of_lines(uow: UnitOfWork, actor: Actor, quote_id: str) -> None:  # noqa: ARG001
    """Lines change only while their quote is a draft, and where it was written."""
    _check_changeable(uow, uow.get(_QUOTE, quote_id))


def refresh_quote(uow: UnitOfWork, actor: Actor, quote_id: str) -> None:  # noqa: ARG001
    """The quote comes to what its lines come to; whoever still looks at it as it was must look again."""
    if not _refresh(uow, quote_id):
        uow.touch(_QUOTE, quote_id)


def _refresh(uow: UnitOfWork, quote_id: str) -> bool:
    """Net, tax and amount of a quote from its lines; one without lines keeps the amount it has. Returns whether anything was different."""
    lines = sale_lines.lines_of(uow, _LINE, quote_id)
    found = rules.totals(lines)
    return uow.update(_QUOTE, quote_id, {"net": found.net, "tax": found.tax, **({"amount": found.gross} if lines else {})})


def follow_quote(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:
    """Lines follow when it changes between prices with and without tax; an opportunity that is still open is worth what the accepted quote says."""
    if old is not None and old["tax_included"] != record["tax_included"]:
        sale_lines.reprice(uow, actor, _LINE, record)
        _refresh(uow, record["id"])
    quote_approval.require_agreed(uow, uow.get(_QUOTE, record["id"]), old)
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
    if lines := sale_lines.lines_of(uow, _LINE, quote_id):
        sale_lines.copy(uow, lines, _LINE, made["id"])
        _refresh(uow, made["id"])
    return policy.shown(actor, _QUOTE, uow.get(_QUOTE, made["id"]))


def save_quote(
    uow: UnitOfWork,
    actor: Actor,
    *,
    header: dict[str, Any],
    lines: list[dict[str, Any]],
    quote_id: RecordId | None = None,
    version: int | None = None,
) -> dict[str, Any]:
    """Save a whole quote: header and lines as they stand on the form (see ``save_order``). Without a title it is called after its customer."""
    given = dict(header)
    if quote_id is not None:
        policy.require_record(uow.connection, actor, _QUOTE, quote_id, "update")
        _check_changeable(uow, uow.get(_QUOTE, quote_id))
    if not given.get("title") and not given.get("opportunity_id"):
        customer = uow.find(_CUSTOMER, given["customer_id"]) if given.get("customer_id") else None
        seen = policy.seen(actor, _CUSTOMER)
        if customer is not None and seen is not None and seen.shows("name"):
            given["title"] = customer["name"]
    saved = sale_lines.save(uow, actor, _LINE, header=given, lines=lines, identity=quote_id, version=version)
    return quote_with_lines(uow, actor, quote_id=saved)


def quote_with_lines(uow: UnitOfWork, actor: Actor, *, quote_id: RecordId) -> dict[str, Any]:
    """A quote in JSON form with its lines, as the actor may see it."""
    policy.require_record(uow.connection, actor, _QUOTE, quote_id, "read")
    quote = policy.shown(actor, _QUOTE, uow.get(_QUOTE, quote_id))
    lines = sale_lines.lines_of(uow, _LINE, quote_id) if policy.may(actor, "quote_line.read") else []
    shown = [record_json(_LINE, policy.shown(actor, _LINE, line)) for line in lines]
    return {**record_json(_QUOTE, quote), "version": quote["version"], "lines": shown}


def order_from_quote(uow: UnitOfWork, actor: Actor, *, quote_id: RecordId) -> dict[str, str]:
    """A draft order with the lines of an accepted quote, at the prices that were offered; returns its id."""
    policy.require_record(uow.connection, actor, _QUOTE, quote_id, "read")
    quote = uow.get(_QUOTE, quote_id)
    if quote["status"] != QuoteStatus.ACCEPTED:
        raise Refused("quote_not_accepted", N_("“{number}” has not been accepted yet."), number=quote["number"])
    # What was accepted is not asked again, whatever the product costs by then.
    lines = [{**line, "list_price": None} for line in sale_lines.lines_of(uow, _LINE, quote_id)]
    if not lines:
        raise Refused("quote_without_lines", N_("“{number}” has no lines that could be ordered."), number=quote["number"])
    if made := order_of_quote(uow, quote_id):
        raise Refused(
            "quote_ordered",
            N_("“{number}” has become a sales order already ({order})."),
            number=quote["number"],
            order=made["number"] or _ORDER.label,
        )
    values = {key: quote[key] for key in _ORDERED if quote[key] is not None}
    order = create_record(uow, actor, entity="sales_order", values=values)
    uow.update(_ORDER, order["id"], {"quote_id": quote_id})
    sale_lines.copy(uow, lines, _ORDER_LINE, order["id"])
    found = sale_lines.total_of(uow, _ORDER_LINE, order["id"])
    uow.update(_ORDER, order["id"], {"net": found.net, "tax": found.tax, "gross": found.gross})
    return {"id": order["id"]}


def order_of_quote(uow: UnitOfWork, quote_id: str) -> Record | None:
    """The order a quote became, draft or posted and not reversed; None where there is none."""
    orders = uow.where(_ORDER, quote_id=quote_id)
    return next((order for order in orders if not order["reverses_id"] and not uow.where(_ORDER, reverses_id=order["id"])), None)


BEHAVIOURS = {
    "quote": Behaviour(begin=begin_quote, prepare=prepare_quote, check=check_quote, after=follow_quote),
    "quote_line": Behaviour(
        prepare=sale_lines.preparing(_LINE), check=_check_line, check_document=check_quote_of_lines, after_document=refresh_quote
    ),
}
VERBS = (
    Verb(new_quote_version, N_("Write a new version of a quote")),
    Verb(save_quote, N_("Save a quote")),
    Verb(quote_with_lines, N_("Show a quote"), "quote.read", record="quote_id"),
    Verb(order_from_quote, N_("Make a sales order of a quote")),
)
