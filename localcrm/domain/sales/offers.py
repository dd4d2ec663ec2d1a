"""What a salesperson looks at while entering an order: products with stock and last price, the customer's account, last deals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product, Warehouse
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import SalesOrder, SalesOrderLine
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.sales.level_prices import level_prices, terms_of
from localcrm.domain.sales.overdue import overdue
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.schema import Field
from localcrm.store.connection import Connection
from localcrm.store.merged import one_of
from localcrm.store.query import Condition, ListQuery, Record, load_record, record_columns, select, titles

_PRODUCT, _WAREHOUSE = Product.entity_type, Warehouse.entity_type
_LINE, _ORDER = SalesOrderLine.entity_type, SalesOrder.entity_type


def find_products(
    connection: Connection, actor: Actor, *, text: str, customer_id: str | None = None, warehouse_id: str | None = None, limit: int = 12
) -> list[dict[str, Any]]:
    """Products for what was typed, an exact code or barcode first, then codes that begin so; with stock and the customer's last price (see ``offer``)."""
    restrict = policy.view(actor, _PRODUCT)
    offered = (Condition("active", "=", True),) if restrict.shows("active") else ()
    typed = text.strip()
    found: dict[str, Record] = {record["id"]: record for record in exact_products(connection, actor, [typed]).values()}
    matching = ListQuery(_PRODUCT, where=offered, search=typed, limit=limit, restrict=restrict)
    beginning = ListQuery(_PRODUCT, where=(Condition("code", "starts", typed), *offered), limit=limit, restrict=restrict)
    for query in (beginning, matching) if restrict.shows("code") else (matching,):
        if len(found) < limit:
            found.update({record["id"]: record for record in select(connection, query).rows if record["id"] not in found})
    return offers(connection, actor, list(found.values())[:limit], customer_id=customer_id, warehouse_id=warehouse_id)


def exact_products(connection: Connection, actor: Actor, texts: Sequence[str]) -> dict[str, Record]:
    """Live products by what names them exactly: code or barcode in any case, else a name that only one product has."""
    result: dict[str, Record] = {}
    seen, columns = policy.view(actor, _PRODUCT), record_columns(_PRODUCT)
    same = {"code": "code = ?1 COLLATE NOCASE", "barcode": "barcode = ?1"}
    either = " OR ".join(sql for key, sql in same.items() if seen.shows(key))
    ways = [("code = ?1", 1), (f"({either})", 2)] if seen.shows("code") else [(either, 2)] if either else []
    for text in dict.fromkeys(text.strip() for text in texts):
        if not text:
            continue
        rows: list[tuple[Any, ...]] = []
        for condition, most in [*ways, ("name = ?1", 2)]:
            rows = rows or connection.all(f"SELECT {columns} FROM product WHERE {condition} AND deleted = 0 LIMIT {most}", (text,))
        if len(rows) == 1:
            result[text] = seen.of(load_record(_PRODUCT, rows[0]))
    return result


def offers(
    connection: Connection, actor: Actor, products: Sequence[Record], *, customer_id: str | None, warehouse_id: str | None
) -> list[dict[str, Any]]:
    """Each product with ``available`` (in the warehouse), ``elsewhere`` [(warehouse, quantity)], ``level_price`` and ``last_price`` of this customer.

    discount: the share of the list price that was agreed with him, 1 where his level has a price; None where nothing was agreed.
    """
    stock = stock_list(connection, actor, product_ids=[product["id"] for product in products]) if products else []
    names = titles(connection, _WAREHOUSE, [row["warehouse_id"] for row in stock])
    levels = level_prices(connection, actor, [product["id"] for product in products], customer_id)
    agreed = terms_of(connection, actor, customer_id).discount
    result = []
    for product in products:
        own = [row for row in stock if row["product_id"] == product["id"]]
        here = sum((row["quantity"] for row in own if warehouse_id in {None, row["warehouse_id"]}), Decimal(0))
        others = [(names[row["warehouse_id"]], row["quantity"]) for row in own if warehouse_id not in {None, row["warehouse_id"]}]
        deals = last_deals(connection, actor, customer_id, product["id"], limit=1) if customer_id else []
        last = deals[0]["price"] if deals else None
        share = agreed if agreed is None or product["id"] not in levels else Decimal(1)
        prices = {"level_price": levels.get(product["id"]), "last_price": last, "discount": share}
        result.append({**product, "available": here, "elsewhere": [pair for pair in others if pair[1] > 0], **prices})
    return result


def last_deals(connection: Connection, actor: Actor, customer_id: str, product_id: str, *, limit: int = 5) -> list[dict[str, Any]]:
    """What this customer last paid for a product, newest first: [{date, price, quantity, unit, discount}]; reversed orders do not count.

    From orders the actor may see; nothing where one of these is hidden.
    """
    orders, lines = policy.seen(actor, _ORDER), policy.seen(actor, _LINE)
    if orders is None or not all(orders.shows(key) for key in ("customer_id", "date", "status")):
        return []
    if lines is None or not all(lines.shows(key) for key in ("product_id", "price", "quantity", "unit", "discount")):
        return []
    condition, params = orders.condition("o")
    is_his, customers = one_of(connection, Customer.entity_type, customer_id)
    rows = connection.all(
        f"""SELECT o.date, l.price, l.quantity, l.unit, l.discount FROM sales_order_line l JOIN sales_order o ON o.id = l.order_id
           WHERE +l.product_id = ? AND l.deleted = 0 AND o.customer_id {is_his} AND +o.status = 'posted' AND o.deleted = 0 AND o.reverses_id IS NULL
             AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = o.id AND r.deleted = 0)
             AND {condition} ORDER BY o.date DESC, o.rid DESC, l.position LIMIT ?""",
        (bytes.fromhex(product_id), *customers, *params, limit),
    )
    fields: list[Field] = [_ORDER.fields["date"], *(_LINE.fields[key] for key in ("price", "quantity", "unit", "discount"))]
    return [{field.key: field.load(value) for field, value in zip(fields, row, strict=True)} for row in rows]


def customer_account(connection: Connection, actor: Actor, *, customer_id: str) -> dict[str, Any] | None:
    """{name, level, credit_limit, credit_days, unpaid, overdue, last_order} of a customer; None when there is none."""
    customer = Customer.entity_type
    query = ListQuery(customer, where=(Condition("id", "=", customer_id),), limit=1, restrict=policy.view(actor, customer))
    page = select(connection, query)
    if not page.rows:
        return None
    record = page.rows[0]
    orders, newest = policy.seen(actor, _ORDER), None
    if orders is not None and all(orders.shows(key) for key in ("customer_id", "date", "status")):
        condition, params = orders.condition("sales_order")
        is_his, customers = one_of(connection, Customer.entity_type, customer_id)
        newest = connection.value(
            f"""SELECT max(date) FROM sales_order
                WHERE customer_id {is_his} AND +status = 'posted' AND reverses_id IS NULL AND opening = 0 AND deleted = 0 AND {condition}""",
            (*customers, *params),
        )
    unpaid = customer_glances(connection, actor, [customer_id])[customer_id].unpaid
    return {
        "name": record["name"],
        "level": record.get("level"),
        "credit_limit": record.get("credit_limit"),
        "credit_days": record.get("credit_days"),
        "unpaid": unpaid,
        "overdue": overdue(connection, actor, customer_id, unpaid, record.get("credit_days"), connection.today),
        "last_order": date.fromisoformat(newest) if newest else None,
    }
