"""A quote that somebody has to agree to before it goes to the customer: what it tells the approvals, and what holds because of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from localcrm.domain.approvals.documents import Document, Words, standing
from localcrm.domain.approvals.rules import Fact
from localcrm.domain.crm.entities import Customer
from localcrm.domain.sales.entities import Quote, QuoteLine, QuoteStatus
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, records_by_id, titles
from localcrm.store.uow import UnitOfWork

_QUOTE, _LINE, _CUSTOMER = Quote.entity_type, QuoteLine.entity_type, Customer.entity_type
_FACTS = (
    Fact("amount", N_("Amount"), "money"),
    Fact("discount", N_("Lowest discount of a line"), "rate"),
    Fact("below", N_("A line is below its lowest price"), "boolean"),
    Fact("level", N_("Level of the customer"), "choice", options=_CUSTOMER.fields["level"].options),
    Fact("branch", N_("Branch"), "ref", ref="branch"),
)
_WORDS = Words(
    N_("This was approved just as it is; it can go to the customer."),
    N_("It needs no approval; it can go to the customer."),
    N_("This has to be approved before it goes to the customer."),
)
#: With the customer, so to speak.
_OUT = frozenset({QuoteStatus.SENT, QuoteStatus.ACCEPTED})
#: What a quote that is out may not become without being asked about again.
_OFFERED = ("customer_id", "amount", "tax_included")


def _facts(connection: Connection, quote: Record) -> Mapping[str, Any]:
    lowest, below = connection.one(
        "SELECT min(discount), count(below_reason) FROM quote_line WHERE quote_id = ? AND deleted = 0", (bytes.fromhex(quote["id"]),)
    ) or (None, 0)
    found = records_by_id(connection, _CUSTOMER, [quote["customer_id"]])
    return {
        "amount": quote["amount"],
        "discount": _LINE.fields["discount"].load(lowest),
        "below": bool(below),
        "level": found[0]["level"] if found else None,
        "branch": quote["branch_id"],
    }


def _describe(connection: Connection, quote: Mapping[str, Any]) -> str:
    """Number, customer and amount, as far as they may be seen."""
    customer, amount = quote.get("customer_id"), quote.get("amount")
    name = titles(connection, _CUSTOMER, [customer]).get(customer) if customer else None
    told = (quote.get("number"), name, f"{amount:,.2f}" if isinstance(amount, Decimal) else None)
    return " · ".join(part for part in told if part) or _QUOTE.label


def _check_ready(uow: UnitOfWork, quote: Record) -> None:
    """A quote that could be saved lacks nothing."""


QUOTE = Document(_FACTS, _facts, _describe, _check_ready, words=_WORDS)


def require_agreed(uow: UnitOfWork, quote: Record, old: Record | None) -> None:
    """Refuse to send, or to note as accepted, what a flow asks about and nobody has agreed to as it is."""
    if quote["status"] not in _OUT or (old is not None and old["status"] in _OUT and all(old[key] == quote[key] for key in _OFFERED)):
        return
    now = standing(uow.connection, _QUOTE, {**quote, "status": QuoteStatus.DRAFT})  # what becomes of it is no part of what was agreed to
    if now.flow is not None and not now.is_approved:
        text = N_("“{number}” needs an approval first (“{flow}”). Submit it before it goes to the customer; nothing was changed.")
        raise Refused("approval_needed", text, number=quote["number"] or "", flow=now.flow["name"])
