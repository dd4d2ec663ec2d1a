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
from localcrm.domain.stock.services import stock_list
from localcrm.kernel.schema import Field
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, load_record, record_columns, select, titles

_PRODUCT, _WAREHOUSE = Product.entity_type, Warehouse.entity_type
_LINE, _ORDER = SalesOrderLine.entity_type, SalesOrder.entity_type


def find_products(
    connection: Connection, actor: Actor, *, text: str, customer_id: str | None = None, warehouse_id: str | None = None, limit: int = 12
) -> list[dict[str, Any]]:
    """Products for what was typed, an exact code or barcode first, then codes that begin so; with stock and the customer's last price (see ``offer``)."""
    restrict = policy.restrict(actor, _PRODUCT)
    typed = text.strip()
    found: dict[str, Record] = {record["id"]: record for record in exact_products(connection, [typed]).values()}
    beginning = ListQuery(_PRODUCT, where=(Condition("code", "starts", typed),), sort="code", limit=limit, restrict=restrict)
    matching = ListQuery(_PRODUCT, search=typed, sort="code", limit=limit, restrict=restrict)
    for query in (beginning, matching):
        if len(found) < limit:
            found.update({record["id"]: record for record in select(connection, query).rows if record["id"] not in found})
    return offers(connection, list(found.values())[:limit], customer_id=customer_id, warehouse_id=warehouse_id)


def exact_products(connection: Connection, texts: Sequence[str]) -> dict[str, Record]:
    """Live products by what names them exactly: code or barcode in any case, else a name that only one product has."""
    result: dict[str, Record] = {}
    columns = record_columns(_PRODUCT)
    for text in dict.fromkeys(text.strip() for text in texts):
        if not text:
            continue
        rows = connection.all(f"SELECT {columns} FROM product WHERE code = ? AND deleted = 0 LIMIT 1", (text,))
        rows = rows or connection.all(
            f"SELECT {columns} FROM product WHERE (code = ? COLLATE NOCASE OR barcode = ?) AND deleted = 0 LIMIT 2", (text, text)
        )
        rows = rows or connection.all(f"SELECT {columns} FROM product WHERE name = ? AND deleted = 0 LIMIT 2", (text,))
        if len(rows) == 1:
            result[text] = load_record(_PRODUCT, rows[0])
    return result


def offers(
    connection: Connection, products: Sequence[Record], *, customer_id: str | None, warehouse_id: str | None
) -> list[dict[str, Any]]:
    """Each product with ``available`` (in the warehouse), ``elsewhere`` [(warehouse, quantity)] and ``last_price`` of this customer."""
    stock = stock_list(connection, product_ids=[product["id"] for product in products]) if products else []
    names = titles(connection, _WAREHOUSE, [row["warehouse_id"] for row in stock])
    result = []
    for product in products:
        own = [row for row in stock if row["product_id"] == product["id"]]
        here = sum((row["quantity"] for row in own if warehouse_id in {None, row["warehouse_id"]}), Decimal(0))
        others = [(names[row["warehouse_id"]], row["quantity"]) for row in own if warehouse_id not in {None, row["warehouse_id"]}]
        deals = last_deals(connection, customer_id, product["id"], limit=1) if customer_id else []
        last = deals[0]["price"] if deals else None
        result.append({**product, "available": here, "elsewhere": [pair for pair in others if pair[1] > 0], "last_price": last})
    return result


def last_deals(connection: Connection, customer_id: str, product_id: str, *, limit: int = 5) -> list[dict[str, Any]]:
    """What this customer last paid for a product, newest first: [{date, price, quantity, unit, discount}]; reversed orders do not count."""
    rows = connection.all(
        """SELECT o.date, l.price, l.quantity, l.unit, l.discount FROM sales_order_line l JOIN sales_order o ON o.id = l.order_id
           WHERE l.product_id = ? AND l.deleted = 0 AND o.customer_id = ? AND o.status = 'posted' AND o.deleted = 0 AND o.reverses_id IS NULL
             AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = o.id AND r.deleted = 0)
           ORDER BY o.date DESC, o.rid DESC, l.position LIMIT ?""",
        (bytes.fromhex(product_id), bytes.fromhex(customer_id), limit),
    )
    fields: list[Field] = [_ORDER.fields["date"], *(_LINE.fields[key] for key in ("price", "quantity", "unit", "discount"))]
    return [{field.key: field.load(value) for field, value in zip(fields, row, strict=True)} for row in rows]


def customer_account(connection: Connection, actor: Actor, *, customer_id: str) -> dict[str, Any] | None:
    """{name, level, credit_limit, unpaid, last_order} of a customer; None when there is none."""
    customer = Customer.entity_type
    page = select(connection, ListQuery(customer, where=(Condition("id", "=", customer_id), *policy.restrict(actor, customer)), limit=1))
    if not page.rows:
        return None
    record = page.rows[0]
    newest = connection.value(
        "SELECT max(date) FROM sales_order WHERE customer_id = ? AND status = 'posted' AND reverses_id IS NULL AND deleted = 0",
        (bytes.fromhex(customer_id),),
    )
    unpaid = customer_glances(connection, [customer_id])[customer_id].unpaid
    return {
        "name": record["name"],
        "level": record["level"],
        "credit_limit": record["credit_limit"],
        "unpaid": unpaid,
        "last_order": date.fromisoformat(newest) if newest else None,
    }
