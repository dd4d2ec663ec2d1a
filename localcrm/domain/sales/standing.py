"""How a customer stands: what he last paid for each product, and how often he buys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import SalesOrder, SalesOrderLine
from localcrm.domain.sales.rules import Rhythm, rhythm
from localcrm.store.connection import Connection
from localcrm.store.merged import one_of
from localcrm.store.query import titles

_ORDER, _LINE, _PRODUCT = SalesOrder.entity_type, SalesOrderLine.entity_type, Product.entity_type
#: Orders that tell the rhythm: older ones say little of how somebody buys today.
_LAST_ORDERS = 12
#: A posted order that stands: not reversed, no reversal itself, and no opening balance.
_STANDS = """+o.status = 'posted' AND o.deleted = 0 AND o.reverses_id IS NULL AND o.opening = 0
    AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = o.id AND r.deleted = 0)"""


@dataclass(frozen=True, slots=True)
class LastPrice:
    """What a customer last paid for a product."""

    product: str
    day: date
    price: Decimal
    quantity: Decimal
    unit: str


def last_prices(connection: Connection, actor: Actor, customer_id: str, *, limit: int = 8) -> list[LastPrice]:
    """The last price of each product he bought, the newest first; from orders the actor may see, nothing where a field of them is hidden."""
    orders, lines, products = policy.seen(actor, _ORDER), policy.seen(actor, _LINE), policy.seen(actor, _PRODUCT)
    if orders is None or lines is None or products is None or not products.shows("name"):
        return []
    if not all(map(orders.shows, ("customer_id", "date", "status"))) or not all(
        map(lines.shows, ("product_id", "price", "quantity", "unit"))
    ):
        return []
    condition, params = orders.condition("o")
    is_his, customers = one_of(connection, Customer.entity_type, customer_id)
    # With max() the other columns come from the row that holds the maximum.
    rows = connection.all(
        f"""SELECT l.product_id, max(o.date), l.price, l.quantity, l.unit
            FROM sales_order o JOIN sales_order_line l ON l.order_id = o.id AND l.deleted = 0
            WHERE o.customer_id {is_his} AND {_STANDS} AND l.price IS NOT NULL AND {condition} GROUP BY 1 ORDER BY 2 DESC LIMIT ?""",
        (*customers, *params, limit),
    )
    names = titles(connection, _PRODUCT, [row[0].hex() for row in rows])
    price, quantity = _LINE.fields["price"], _LINE.fields["quantity"]
    return [
        LastPrice(names.get(product.hex(), ""), date.fromisoformat(day), price.load(paid), quantity.load(bought), unit or "")
        for product, day, paid, bought, unit in rows
    ]


def purchase_rhythm(connection: Connection, actor: Actor, customer_id: str, today: date) -> Rhythm | None:
    """How often he buys; None where that cannot be told or may not be seen."""
    orders = policy.seen(actor, _ORDER)
    if orders is None or not all(map(orders.shows, ("customer_id", "date", "status"))):
        return None
    condition, params = orders.condition("o")
    is_his, customers = one_of(connection, Customer.entity_type, customer_id)
    rows = connection.all(
        f"SELECT DISTINCT o.date FROM sales_order o WHERE o.customer_id {is_his} AND o.date <= ? AND {_STANDS} AND {condition} ORDER BY 1 DESC LIMIT ?",
        (*customers, today.isoformat(), *params, _LAST_ORDERS),
    )
    return rhythm([date.fromisoformat(day) for (day,) in rows], today)
