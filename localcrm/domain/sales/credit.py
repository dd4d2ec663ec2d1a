"""What customers owe, against what they may owe: posted orders less what was received for them. Said once, for whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.domain.sales.entities import SalesOrder
from localcrm.store.connection import Connection
from localcrm.store.merged import merged_into
from localcrm.store.query import Record

_CUSTOMER, _ORDER = Customer.entity_type, SalesOrder.entity_type
_GROSS = _ORDER.fields["gross"]


def owed(connection: Connection, actor: Actor, ids: Sequence[str]) -> dict[str, Decimal] | None:
    """What each of some customers owes, from the orders that the actor may see; None where he may not see what it is made of."""
    receipts, orders = policy.seen(actor, Receipt.entity_type), policy.seen(actor, _ORDER)
    if receipts is None or not receipts.shows("amount") or orders is None:
        return None
    if not all(map(orders.shows, ("customer_id", "status", "gross"))):
        return None
    became = dict.fromkeys(ids, "") | merged_into(connection, _CUSTOMER, ids)
    condition, params = orders.condition("sales_order")
    # The plus keeps SQLite from reading every posted order there is.
    rows = connection.all(
        f"""SELECT customer_id, sum(gross) - sum(coalesce((SELECT sum(r.total) FROM order_received r WHERE r.order_id = sales_order.id), 0))
            FROM sales_order WHERE customer_id IN ({",".join("?" * len(became))}) AND deleted = 0 AND {condition} AND +status = 'posted' GROUP BY 1""",
        [*map(bytes.fromhex, became), *params],
    )
    found = dict.fromkeys(ids, 0)
    for key, amount in rows:
        found[became[key.hex()] or key.hex()] += amount
    return {identity: _GROSS.load(amount) for identity, amount in found.items()}


def is_within_limit(connection: Connection, customer: Record, more: Decimal) -> bool | None:
    """Whether a customer keeps to his credit limit with so much more owed, as far as this place knows; None without a limit."""
    limit = customer["credit_limit"]
    now = owed(connection, SYSTEM, [customer["id"]]) if limit else None
    return None if now is None else bool(now[customer["id"]] + more <= limit)
