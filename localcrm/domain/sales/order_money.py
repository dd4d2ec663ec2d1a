"""What is left of a posted order: its net, less what the goods cost when they went and what was spent for it. Nothing of it is stored.

Goods leave stock with the posting, so a product costs what it cost then, whatever it costs since; that follows from its history. Where no
cost was known then, the one of today stands in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.finance.entities import Expense
from localcrm.domain.policy import Actor
from localcrm.domain.sales.deal_money import sum_of
from localcrm.domain.sales.entities import OrderStatus, SalesOrder, SalesOrderLine
from localcrm.kernel.money import MONEY_SCALE, round_to
from localcrm.store import asof
from localcrm.store.changelog import history
from localcrm.store.connection import Connection

_ORDER, _LINE, _PRODUCT, _EXPENSE = SalesOrder.entity_type, SalesOrderLine.entity_type, Product.entity_type, Expense.entity_type


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoney:
    """Sums of one order. ``goods``: what its goods cost · ``expenses``: what was spent for it · ``unknown``: products of which no cost is known."""

    net: Decimal
    goods: Decimal
    expenses: Decimal
    unknown: int

    @property
    def margin(self) -> Decimal | None:
        """What is left; None where the cost of a product is not known, for it would be too good."""
        return None if self.unknown else self.net - self.goods - self.expenses

    @property
    def percent(self) -> Decimal | None:
        """The same in percent of the net, with one place."""
        return None if self.margin is None or not self.net else round_to(self.margin * 100 / self.net, 1)


def order_money(connection: Connection, actor: Actor, order: Mapping[str, Any]) -> OrderMoney | None:
    """The sums of an order as the actor sees that.

    None for a draft, for whoever may not see a part of what they are made of, and where no cost is known at all, as of an opening balance.
    """
    orders, lines, products = (policy.seen(actor, kind) for kind in (_ORDER, _LINE, _PRODUCT))
    if orders is None or lines is None or products is None or not products.shows("cost"):
        return None
    if not all(map(lines.shows, ("product_id", "quantity"))) or not all(map(orders.shows, ("net", "status", "posted_at"))):
        return None
    if order["status"] != OrderStatus.POSTED:
        return None
    spent = policy.seen(actor, _EXPENSE)
    expenses = sum_of(connection, actor, _EXPENSE, "order_id", order["id"], ("amount",))
    if spent is None or spent.rows is not None or expenses is None:  # who sees some expenses only would read a margin that is too good
        return None
    rows = connection.all(
        "SELECT lower(hex(product_id)), quantity FROM sales_order_line WHERE order_id = ? AND deleted = 0", (bytes.fromhex(order["id"]),)
    )
    posted = _posted(connection, order)
    costs = {product: _cost(connection, product, posted) for product in {row[0] for row in rows}}
    if all(cost is None for cost in costs.values()):
        return None
    goods = sum(
        (round_to(_LINE.fields["quantity"].load(quantity) * (costs[product] or 0), MONEY_SCALE) for product, quantity in rows), Decimal(0)
    )
    return OrderMoney(net=order["net"], goods=goods, expenses=expenses, unknown=sum(cost is None for cost in costs.values()))


def _posted(connection: Connection, order: Mapping[str, Any]) -> datetime:
    """When the order was posted in the order in which changes win, so that clocks that differ do not matter."""
    rows = history(connection, _ORDER, order["id"])
    found = next((row.at for row in rows if row.field == "status" and row.new == OrderStatus.POSTED), None)
    return datetime.fromisoformat(found) if found else order["posted_at"]


def _cost(connection: Connection, product: str, posted: datetime) -> Decimal | None:
    """What one of a product cost at a moment, else what it costs today; None where neither is known."""
    for known in (asof.record_as_of(connection, _PRODUCT, product, posted), asof.record_today(connection, _PRODUCT, product)):
        if known is not None and known.values.get("cost") is not None:
            return Decimal(str(known.values["cost"]))
    return None
