"""What the form looks up while an order is entered: products, last deals, the account of the customer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.sales import offers
from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.ui.kit.values import grouped, show
from localcrm.ui.order_form.grid import money, number_text, percent
from localcrm.ui.order_form.head import CUSTOMER

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session


def products(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Products for what was typed into a row, with stock and last price."""
    with session.store.read() as connection:
        found = offers.find_products(
            connection,
            session.actor,
            text=str(body.get("text") or "")[:100],
            customer_id=body.get("customer_id") or None,
            warehouse_id=body.get("warehouse_id") or None,
        )
    return {"rows": [offer_texts(row) for row in found]}


def offer_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """A product as the list of offers and a row show it. ``first_price`` and ``discount`` (None: as it is in the row) are what a row begins with."""
    price = number_text(row, "price", lambda price: grouped(price, "price"))
    level, last = (grouped(row[key], "price") if row[key] is not None else "" for key in ("level_price", "last_price"))
    return {
        "product_id": row["id"],
        "code": row.get("code") or "",
        "name": row["name"],
        "spec": row.get("spec") or "",
        "unit": row.get("unit") or "",
        "price": price,
        "level_price": level,
        "last_price": last,
        "first_price": level or ("" if row["discount"] is not None else last) or price,
        "discount": None if row["discount"] is None else "" if row["discount"] == 1 else percent(row["discount"]),
        "tax_rate": number_text(row, "tax_rate", percent),
        "stocked": row.get("stocked", True),
        "available": grouped(row["available"]),
        "short": row.get("stocked", True) and row["available"] <= 0,
        "elsewhere": " · ".join(f"{name} {grouped(quantity)}" for name, quantity in row["elsewhere"][:2]),
    }


def deals(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """What this customer last paid for a product."""
    policy.require(session.actor, "sales_order.read")
    customer, product = body.get("customer_id"), body.get("product_id")
    if not customer or not product:
        return {"rows": []}
    with session.store.read() as connection:
        found = offers.last_deals(connection, session.actor, parse_id(customer), parse_id(product))
    return {
        "rows": [
            {
                "date": f"{row['date']:%Y-%m-%d}" if row["date"] else "",
                "text": f"{grouped(row['price'], 'price')} × {grouped(row['quantity'])} {row['unit'] or ''}".strip(),
            }
            for row in found
        ]
    }


def account(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Chips about the customer: what is open against the limit, level, how long ago the last order was."""
    identity = body.get("customer_id")
    with session.store.read() as connection:
        found = offers.customer_account(connection, session.actor, customer_id=parse_id(identity)) if identity else None
    if not found:
        return {"chips": []}
    unpaid, limit = found["unpaid"], found["credit_limit"]
    chips = []
    if unpaid is None:
        pass  # what is owed may not be seen
    elif isinstance(limit, Decimal) and limit:
        text = _("Unpaid {unpaid} / credit limit {limit}").format(unpaid=money(unpaid), limit=money(limit))
        chips.append({"text": text, "tone": "bad" if unpaid > limit else "warn" if unpaid * 5 > limit * 3 else ""})
    else:
        chips.append({"text": _("Unpaid {unpaid}").format(unpaid=money(unpaid)), "tone": "warn" if unpaid else ""})
    if found["overdue"]:
        text = _("Overdue {amount} (more than {days} days)").format(amount=money(found["overdue"]), days=found["credit_days"])
        chips.append({"text": text, "tone": "bad"})
    if found["level"]:
        chips.append({"text": _("Level: {level}").format(level=show(CUSTOMER.fields["level"], found["level"])), "tone": ""})
    if found["last_order"]:
        days = (date.today() - found["last_order"]).days
        text = _("Last order today") if days <= 0 else _("Last order {days} days ago").format(days=days)
        chips.append({"text": text, "tone": ""})
    else:
        chips.append({"text": _("No orders yet"), "tone": ""})
    return {"chips": chips}
