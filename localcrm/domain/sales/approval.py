"""What a sales order tells the approvals about itself."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from localcrm.domain.approvals.documents import Document
from localcrm.domain.approvals.rules import Fact
from localcrm.domain.crm.entities import Customer
from localcrm.domain.sales.credit import is_within_limit
from localcrm.domain.sales.entities import SalesOrder, SalesOrderLine
from localcrm.domain.sales.services import check_ready
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, records_by_id, titles

_CUSTOMER, _ORDER, _LINE = Customer.entity_type, SalesOrder.entity_type, SalesOrderLine.entity_type

FACTS = (
    Fact("amount", N_("Order total"), "money"),
    Fact("discount", N_("Lowest discount of a line"), "rate"),
    Fact("level", N_("Level of the customer"), "choice", options=_CUSTOMER.fields["level"].options),
    Fact("branch", N_("Branch"), "ref", ref="branch"),
    Fact("over_limit", N_("Customer above the credit limit"), "boolean"),
)


def order_facts(connection: Connection, order: Record) -> Mapping[str, Any]:
    """The facts of a draft; whether the customer is above the limit counts this order in."""
    lowest = connection.value(
        "SELECT min(discount) FROM sales_order_line WHERE order_id = ? AND deleted = 0", (bytes.fromhex(order["id"]),)
    )
    found = records_by_id(connection, _CUSTOMER, [order["customer_id"]]) if order["customer_id"] else []
    return {
        "amount": order["gross"],
        "discount": _LINE.fields["discount"].load(lowest),
        "level": found[0]["level"] if found else None,
        "branch": order["branch_id"],
        "over_limit": bool(found) and is_within_limit(connection, found[0], order["gross"]) is False,
    }


def describe_order(connection: Connection, order: Mapping[str, Any]) -> str:
    """Customer and total, as far as they may be seen."""
    customer = order.get("customer_id")
    name = titles(connection, _CUSTOMER, [customer]).get(customer) if customer else None
    gross = order.get("gross")
    amount = f"{gross:,.2f}" if isinstance(gross, Decimal) else None
    return " · ".join(part for part in (order.get("number"), name, amount) if part) or _ORDER.label


ORDER = Document(FACTS, order_facts, describe_order, check_ready)
