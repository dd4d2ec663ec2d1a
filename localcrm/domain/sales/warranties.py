"""Warranties that end: an occasion to speak to the customer before they do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from localcrm.domain.catalog.entities import Product
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, before, morning
from localcrm.domain.options.company import company_days
from localcrm.domain.sales.entities import InstalledProduct

_CUSTOMER, _PRODUCT, _INSTALLED = Customer.entity_type, Product.entity_type, InstalledProduct.entity_type


@dataclass(frozen=True, slots=True)
class Piece:
    """A product in use of which a day comes: ``text`` names it, ``title`` its customer, as far as the user sees them."""

    id: str
    day: dt.date
    customer: str
    title: str
    text: str


def pieces_due(ask: Ask, key: str, first: dt.date, last: dt.date) -> Iterator[Piece]:
    """Products in use at customers of the user's own of which the day in a field, which has an index, lies between these two; the earliest first."""
    customers, installed = ask.view(_CUSTOMER, "owner_id"), ask.view(_INSTALLED, key, "customer_id", "product_id")
    if customers is None or installed is None:
        return
    products = ask.view(_PRODUCT, "name")
    condition, params = installed.condition("installed_product")
    rows = ask.connection.all(
        f"""SELECT installed_product.id, "{key}", serial, product.name, customer.id, customer.name
            FROM installed_product INDEXED BY installed_product__{key}
            CROSS JOIN customer ON customer.id = installed_product.customer_id JOIN product ON product.id = installed_product.product_id
            WHERE installed_product.deleted = 0 AND returned_on IS NULL AND "{key}" >= ? AND "{key}" <= ? AND customer.deleted = 0
            AND customer.owner_id = ? AND {condition} ORDER BY +"{key}" LIMIT {MOST}""",
        [first.isoformat(), last.isoformat(), ask.user, *params],
    )
    for identity, day, serial, product, customer, name in rows:
        what = [product if products is not None else "", serial if installed.shows("serial") else ""]
        title = name if customers.shows("name") else ""
        yield Piece(identity.hex(), dt.date.fromisoformat(day), customer.hex(), title, " ".join(filter(None, what)))


def ending(ask: Ask) -> Iterator[Reminding]:
    """Products in use at customers of the user's own whose warranty ends, some days before, once or several times; until the day it ends."""
    numbers = company_days(ask.connection, ask.node, "warranty_days")
    if not numbers:
        return
    last = ask.until.astimezone().date() + dt.timedelta(days=max(numbers))
    for one in pieces_due(ask, "warranty_until", ask.now.astimezone().date(), last):
        if found := before(ask, one.day, numbers):
            due, mark = found
            key = f"warranty:{one.id}:{one.day.isoformat()}{mark}"
            yield Reminding(key=key, kind="warranty", due=due, at=morning(one.day), title=one.title, text=one.text, customer=one.customer)
