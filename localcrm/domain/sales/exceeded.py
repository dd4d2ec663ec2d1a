"""What each place was right to do, and none would have done had it known of the others: together it is too much.

A customer owes more than the credit limit, bought though another place had stopped dealing with it, has goods of an order that was reversed
elsewhere; more went out of a warehouse than was there. Whoever knew that when it was done was told then and decided so; that is told to nobody
again. What a place knew is noted with what it posted (``within_limit``, ``enough``), or follows from what it would have been refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

from localcrm.domain.catalog.entities import Product, Warehouse
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.open_work import UNPAID, WAS_REVERSED
from localcrm.domain.crm.reminders import MOST, Ask, Reminding
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.options.company import company_value
from localcrm.domain.sales.credit import owed
from localcrm.domain.sales.entities import Delivery, DeliveryStatus, SalesOrder
from localcrm.domain.sales.overpaid import IS_HIS, LOOKED_AT, WHOSE, from_ms, him
from localcrm.domain.stock.entities import StockMove
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.ids import made_at
from localcrm.kernel.schema import EntityType, plain_decimal
from localcrm.store.changelog import changes_of, parse_diff
from localcrm.store.ddl import INSERT, UPDATE
from localcrm.store.merged import one_of
from localcrm.store.past import Logged

_ORDER, _CUSTOMER, _DELIVERY = SalesOrder.entity_type, Customer.entity_type, Delivery.entity_type
_RECEIPT = Receipt.entity_type
_MOVE, _PRODUCT, _WAREHOUSE = StockMove.entity_type, Product.entity_type, Warehouse.entity_type
#: Customers above their limit that are told of: nobody reads more, and of each it is asked when its limit was set.
_MOST_ABOVE = 100
#: Of each kind of record those that came last: what arrived late is among them, whatever its date.
_LAST = "(SELECT * FROM {kind} WHERE deleted = 0 ORDER BY rid DESC LIMIT {most})"
_LAST_ORDERS, _LAST_DELIVERIES, _LAST_MOVES = (_LAST.format(kind=kind.key, most=LOOKED_AT) for kind in (_ORDER, _DELIVERY, _MOVE))
#: An order ``w`` that sells something and counts.
_SELLS = f"w.status = 'posted' AND w.reverses_id IS NULL AND w.gross > 0 AND NOT {WAS_REVERSED}"
#: Whose matter the limit of a customer ``c`` is: its salesperson's, unless what others post never comes to his place.
_WHOSE_LIMIT = """(SELECT u.id FROM user u LEFT JOIN branch b ON b.id = u.branch_id WHERE u.id = c.owner_id AND u.active = 1 AND u.deleted = 0
    AND (b.id IS NULL OR b.holds = 'all' OR b.id = ?))"""


def orders(ask: Ask) -> Iterator[Reminding]:
    """Customers above their limit, and orders of customers that were no longer dealt with, until they are paid, allowed or reversed."""
    yield from _above_limit(ask)
    yield from _stopped(ask)


def _above_limit(ask: Ask) -> Iterator[Reminding]:
    """Customers whose newest order kept to the limit where it was posted, and who owe more with those of other places."""
    customers = ask.view(_CUSTOMER, "credit_limit", "owner_id")
    if customers is None:
        return
    condition, params = customers.condition("c")
    rows = ask.connection.all(
        f"""WITH looked_at AS MATERIALIZED (SELECT c.id, c.name, c.credit_limit, newest.id AS newest, newest.at, {_WHOSE_LIMIT} AS whose FROM
            (SELECT coalesce(k.merged_into_id, k.id) AS customer, w.id, w.within_limit, max(w.posted_at) AS at
             FROM {_LAST_ORDERS} w JOIN customer k ON k.id = w.customer_id WHERE {_SELLS} GROUP BY 1) newest
            JOIN customer c ON c.id = newest.customer
            WHERE newest.within_limit = 1 AND c.deleted = 0 AND c.credit_limit > 0 AND {condition})
            SELECT * FROM looked_at WHERE {IS_HIS}""",
        [bytes.fromhex(ask.node.branch_id), *params, *him(ask)],
    )
    debts = owed(ask.connection, ask.actor, [row[0].hex() for row in rows]) if rows else None
    if debts is None:
        return
    load = _CUSTOMER.fields["credit_limit"].load
    above = [row for row in rows if debts[row[0].hex()] > load(row[2])][:_MOST_ABOVE]
    posted_at = _written(ask, _ORDER, {row[3] for row in above}, "posted_at")
    limited_at = _written(ask, _CUSTOMER, {row[0] for row in above}, "credit_limit")
    for customer, name, stored, order, posted, _whose in above:
        debt, limit = debts[customer.hex()], load(stored)
        places = _places(ask, customer.hex())
        is_limit_older = limited_at.get(customer, 0) <= posted_at.get(order, 0)  # who has set it since knew what is owed
        if len(places) > 1 and is_limit_older and debt + _received_since(ask, customer, posted) > limit:
            text = gettext(
                N_("{places}: together {owed} is owed, above the credit limit of {limit}. Whoever posted the last order could not see that")
            )
            at = from_ms(posted)
            yield Reminding(
                key=f"limit:{order.hex()}",
                kind="limit",
                due=at,
                at=at,
                title=name if customers.shows("name") else "",
                text=text.format(places=gettext(N_(", ")).join(places), limit=f"{limit:,.2f}", owed=f"{debt:,.2f}"),
                customer=customer.hex(),
            )


def _received_since(ask: Ask, customer: bytes, moment_ms: int) -> Decimal:
    """What came in from a customer, less what went back, after a moment: it says nothing about what was known then."""
    is_his, ids = one_of(ask.connection, _CUSTOMER, customer.hex())
    received = ask.connection.value(
        f"""SELECT coalesce(sum(r.amount), 0) FROM sales_order w CROSS JOIN receipt r ON r.order_id = w.id
            WHERE w.customer_id {is_his} AND r.deleted = 0 AND r.id > ?""",
        [*ids, moment_ms.to_bytes(6) + bytes(10)],
    )
    return Decimal(_RECEIPT.fields["amount"].load(received))


def _places(ask: Ask, customer: str) -> list[str]:
    """Where the orders were posted that a customer has not paid, as far as the user may see them."""
    seen = ask.view(_ORDER, "branch_id")
    condition, params = seen.condition("w") if seen is not None else ("0", [])
    is_his, ids = one_of(ask.connection, _CUSTOMER, customer)
    rows = ask.connection.all(
        f"""SELECT DISTINCT b.code, b.name FROM sales_order w JOIN branch b ON b.id = w.branch_id
            WHERE w.customer_id {is_his} AND w.deleted = 0 AND {UNPAID} AND {condition} ORDER BY 1""",
        [*ids, *params],
    )
    return [name for _code, name in rows]


def _stopped(ask: Ask) -> Iterator[Reminding]:
    """Orders of customers who were no longer dealt with when they were chosen: a place that had heard of it would have refused."""
    seen, customers = ask.view(_ORDER, "customer_id", "owner_id", "number"), ask.view(_CUSTOMER, "inactive")
    if seen is None or customers is None:
        return
    (condition, params), (is_seen, customer_params) = seen.condition("w"), customers.condition("c")
    rows = ask.connection.all(
        f"""WITH looked_at AS MATERIALIZED (SELECT w.id, w.number, w.posted_at, b.name AS place, c.id AS customer, c.name, {WHOSE.format(order="w")} AS whose
            FROM {_LAST_ORDERS} w JOIN customer c ON c.id = w.customer_id JOIN branch b ON b.id = w.branch_id
            WHERE c.inactive = 1 AND c.deleted = 0 AND w.opening = 0 AND {_SELLS} AND {condition} AND {is_seen})
            SELECT * FROM looked_at WHERE {IS_HIS} LIMIT {MOST}""",
        [*params, *customer_params, *him(ask)],
    )
    marked = _written(ask, _CUSTOMER, {row[4] for row in rows}, "inactive")
    chosen = _written(ask, _ORDER, {row[0] for row in rows}, "customer_id")
    for order, number, posted, place, customer, name, _whose in rows:
        if marked.get(customer, 0) < chosen.get(order, 0):
            at = from_ms(posted)
            text = N_(
                "{number} of {place}: this customer had been marked elsewhere as no longer dealt with. Reverse the order, or take the mark off"
            )
            yield Reminding(
                key=f"stopped:{order.hex()}",
                kind="stopped",
                due=at,
                at=at,
                title=name if customers.shows("name") else "",
                text=gettext(text).format(number=number, place=place),
                record=(_ORDER.key, order.hex()),
            )


def _written(ask: Ask, kind: EntityType, ids: Collection[bytes], field: str) -> dict[bytes, int]:
    """When a field of some records was written last, in the order in which changes win."""
    found: dict[bytes, int] = {}
    for change in changes_of(ask.connection, kind, list(ids)):
        if change.pk and _says(change, kind, field):
            found[change.pk] = max(found.get(change.pk, 0), change.tx.eff_hlc)
    return found


def _says(change: Logged, kind: EntityType, field: str) -> bool:
    return change.op == INSERT or (change.op == UPDATE and kind.fields[field].no in parse_diff(kind, change.diff or "{}"))


def deliveries(ask: Ask) -> Iterator[Reminding]:
    """Goods that one place packed or sent for an order that another place reversed, until they are back or go with another order."""
    seen, sent, customers = (
        ask.view(_ORDER, "owner_id", "number"),
        ask.view(_DELIVERY, "order_id", "status", "number"),
        ask.view(_CUSTOMER, "name"),
    )
    if seen is None or sent is None:
        return
    (of_order, order_params), (of_delivery, delivery_params) = seen.condition("o"), sent.condition("d")
    is_seen, customer_params = customers.condition("c") if customers is not None else ("0", [])
    rows = ask.connection.all(
        f"""WITH looked_at AS MATERIALIZED
            (SELECT d.id, d.number, d.status, o.number AS ordered, x.posted_at, b.name AS place, CASE WHEN {is_seen} THEN c.name ELSE '' END AS name, {WHOSE.format(order="o")} AS whose FROM
             (SELECT id FROM {_LAST_DELIVERIES}
              UNION SELECT n.id FROM {_LAST_ORDERS} y CROSS JOIN delivery n ON n.order_id = y.reverses_id WHERE n.deleted = 0) looked
             CROSS JOIN delivery d ON d.id = looked.id CROSS JOIN sales_order x ON x.reverses_id = d.order_id AND x.branch_id <> d.branch_id
             CROSS JOIN sales_order o ON o.id = d.order_id JOIN customer c ON c.id = o.customer_id JOIN branch b ON b.id = x.branch_id
             WHERE x.deleted = 0 AND o.deleted = 0 AND d.status <> 'returned' AND {of_order} AND {of_delivery})
            SELECT * FROM looked_at d WHERE {IS_HIS} AND {_OUT} LIMIT {MOST}""",
        [*customer_params, *order_params, *delivery_params, *him(ask)],
    )
    for delivery, number, status, order, reversed_at, place, name, _whose in rows:
        at = from_ms(reversed_at)
        yield Reminding(
            key=f"recalled:{delivery.hex()}",
            kind="recalled",
            due=at,
            at=at,
            title=name,
            text=gettext(_PACKED if status == DeliveryStatus.PACKED else _GONE).format(delivery=number, order=order, place=place),
            record=(_DELIVERY.key, delivery.hex()),
        )


#: Goods of a delivery ``d``, of which some product did not come back whole; what it took along may never have been entered.
_OUT = """(NOT EXISTS (SELECT 1 FROM delivery_line l WHERE l.delivery_id = d.id AND l.deleted = 0)
    OR EXISTS (SELECT 1 FROM delivery_line l WHERE l.delivery_id = d.id AND l.deleted = 0 GROUP BY l.product_id HAVING sum(l.quantity) >
        coalesce((SELECT sum(r.quantity) FROM delivery back CROSS JOIN delivery_line r ON r.delivery_id = back.id AND r.deleted = 0
                  WHERE back.returns_id = d.id AND back.deleted = 0 AND +r.product_id = l.product_id), 0)))"""
_PACKED = N_("{delivery} is packed for {order}, which {place} has reversed: do not send it, or send it for another order")
_GONE = N_("{delivery} went out for {order}, which {place} has reversed: take the goods back, or enter the delivery for another order")


def stock(ask: Ask) -> Iterator[Reminding]:
    """Goods below zero, as the user sees stock, of which there was enough for whoever took the last of them; until there are some again."""
    if company_value(ask.connection, ask.node, "negative_stock") == "allow":
        return
    products, houses = ask.view(_PRODUCT, "name"), ask.view(_WAREHOUSE, "name")
    rows = ask.connection.all(
        f"""WITH looked_at AS MATERIALIZED
            (SELECT newest.id, newest.product_id, newest.warehouse_id, p.name, h.name AS house, {WHOSE.format(order="o")} AS whose FROM
            (SELECT m.product_id, m.warehouse_id, m.enough, m.order_id, max(m.id) AS id FROM {_LAST_MOVES} m WHERE m.quantity < 0 GROUP BY 1, 2) newest
            JOIN stock_on_hand s ON s.product_id = newest.product_id AND s.warehouse_id = newest.warehouse_id
            JOIN product p ON p.id = newest.product_id JOIN warehouse h ON h.id = newest.warehouse_id
            LEFT JOIN sales_order o ON o.id = newest.order_id LEFT JOIN customer c ON c.id = o.customer_id
            WHERE newest.enough = 1 AND s.total < 0)
            SELECT * FROM looked_at WHERE {IS_HIS} LIMIT {MOST}""",
        him(ask),
    )
    known = stock_list(ask.connection, ask.actor, product_ids=[row[1].hex() for row in rows]) if rows else []
    left = {(row["product_id"], row["warehouse_id"]): row["quantity"] for row in known}
    for move, product, house, name, place, _whose in rows:
        quantity = left.get((product.hex(), house.hex()), 0)
        if quantity < 0:
            at = made_at(move.hex())
            text = N_(
                "{warehouse}: {quantity} on hand. Whoever took goods out last saw enough of them; what else had gone out was not known there yet"
            )
            yield Reminding(
                key=f"short:{move.hex()}",
                kind="short",
                due=at,
                at=at,
                title=name if products is not None else "",
                text=gettext(text).format(warehouse=place if houses is not None else _WAREHOUSE.label, quantity=plain_decimal(quantity)),
                record=(_PRODUCT.key, product.hex()),
            )
