"""What orders are over, in one glance: products, quantities, prices and discounts of their lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import SalesOrder, SalesOrderLine
from localcrm.store.connection import Connection

_ORDER, _LINE = SalesOrder.entity_type, SalesOrderLine.entity_type
#: Lines of an order that are told; the others are counted.
MOST = 3


@dataclass(frozen=True, slots=True)
class Good:
    """One line of an order. ``price``, ``discount``: None where they may not be seen; a discount of 1 is none."""

    product: str
    quantity: Decimal
    unit: str
    price: Decimal | None
    discount: Decimal | None


@dataclass(frozen=True, slots=True)
class Goods:
    """The first lines of an order, and how many more there are."""

    first: Sequence[Good]
    more: int


def goods_of(connection: Connection, actor: Actor, order_ids: Sequence[str]) -> dict[str, Goods]:
    """What each of some orders, which the actor sees, is over; nothing where he may not see products and quantities of lines."""
    seen = policy.seen(actor, _LINE)
    if seen is None or not all(map(seen.shows, ("order_id", "description", "quantity", "unit"))):
        return {}
    condition, params = seen.condition("l")
    rows = connection.all(
        f"""SELECT order_id, description, quantity, unit, price, discount, place, lines FROM (
                SELECT l.order_id, l.description, l.quantity, l.unit, l.price, l.discount,
                       row_number() OVER (PARTITION BY l.order_id ORDER BY l.position, l.rid) AS place, count(*) OVER (PARTITION BY l.order_id) AS lines
                FROM sales_order_line l WHERE l.order_id IN (SELECT unhex(value) FROM json_each(?)) AND l.deleted = 0 AND {condition})
            WHERE place <= ? ORDER BY order_id, place""",
        [json.dumps(list(order_ids)), *params, MOST],
    )
    load = {key: field.load for key, field in _LINE.fields.items()}
    found: dict[str, list[Good]] = {}
    counts: dict[str, int] = {}
    for order, product, quantity, unit, price, discount, _place, lines in rows:
        good = Good(
            product or "",
            load["quantity"](quantity),
            unit or "",
            load["price"](price) if seen.shows("price") else None,
            load["discount"](discount) if seen.shows("discount") else None,
        )
        found.setdefault(order.hex(), []).append(good)
        counts[order.hex()] = lines
    return {order: Goods(first, counts[order] - len(first)) for order, first in found.items()}
