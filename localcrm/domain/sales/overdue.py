"""How much of what a customer owes is past the days of credit he has."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import SalesOrder
from localcrm.store.connection import Connection
from localcrm.store.merged import one_of

_ORDER, _CUSTOMER = SalesOrder.entity_type, Customer.entity_type


def overdue(
    connection: Connection, actor: Actor, customer_id: str, unpaid: Decimal | None, days: int | None, today: date
) -> Decimal | None:
    """Of ``unpaid`` what is left without the orders that are not due yet; None without agreed days, or where that may not be seen.

    What was paid settles what fell due first, as with suppliers (ADR 0053), so no receipt has to name a bill.
    """
    seen = policy.seen(actor, _ORDER)
    if (
        unpaid is None
        or days is None
        or seen is None
        or not all(map(seen.shows, ("customer_id", "date", "status", "gross", "reverses_id")))
    ):
        return None
    condition, params = seen.condition("o")
    is_his, customers = one_of(connection, _CUSTOMER, customer_id)
    coming = connection.value(
        f"""SELECT coalesce(sum(o.gross), 0) FROM sales_order o
            WHERE o.customer_id {is_his} AND o.date >= ? AND +o.status = 'posted' AND o.deleted = 0 AND o.gross > 0 AND o.reverses_id IS NULL
              AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = o.id AND r.deleted = 0) AND {condition}""",
        (*customers, (today - timedelta(days=days)).isoformat(), *params),
    )
    not_due: Decimal = _ORDER.fields["gross"].load(coming)
    return max(Decimal("0.00"), unpaid - not_due)
