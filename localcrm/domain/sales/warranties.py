"""Warranties that end: an occasion to speak to the customer before they do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from localcrm.domain.catalog.entities import Product
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, before, morning
from localcrm.domain.options.company import company_days
from localcrm.domain.sales.entities import InstalledProduct

_CUSTOMER, _PRODUCT, _INSTALLED = Customer.entity_type, Product.entity_type, InstalledProduct.entity_type


def ending(ask: Ask) -> Iterator[Reminding]:
    """Products in use at customers of the user's own whose warranty ends, some days before, once or several times; until the day it ends."""
    numbers = company_days(ask.connection, ask.node, "warranty_days")
    customers, installed = ask.view(_CUSTOMER, "owner_id"), ask.view(_INSTALLED, "warranty_until", "customer_id", "product_id")
    if not numbers or customers is None or installed is None:
        return
    products = ask.view(_PRODUCT, "name")
    first, last = ask.now.astimezone().date(), ask.until.astimezone().date() + dt.timedelta(days=max(numbers))
    condition, params = installed.condition("installed_product")
    rows = ask.connection.all(
        f"""SELECT installed_product.id, warranty_until, serial, product.name, customer.id, customer.name
            FROM installed_product INDEXED BY installed_product__warranty_until
            CROSS JOIN customer ON customer.id = installed_product.customer_id JOIN product ON product.id = installed_product.product_id
            WHERE installed_product.deleted = 0 AND returned_on IS NULL AND warranty_until >= ? AND warranty_until <= ? AND customer.deleted = 0
            AND customer.owner_id = ? AND {condition} ORDER BY +warranty_until LIMIT {MOST}""",
        [first.isoformat(), last.isoformat(), ask.user, *params],
    )
    for identity, until, serial, product, customer, name in rows:
        day = dt.date.fromisoformat(until)
        if found := before(ask, day, numbers):
            due, mark = found
            what = [product if products is not None else "", serial if installed.shows("serial") else ""]
            yield Reminding(
                key=f"warranty:{identity.hex()}:{until}{mark}",
                kind="warranty",
                due=due,
                at=morning(day),
                title=name if customers.shows("name") else "",
                text=" ".join(filter(None, what)),
                customer=customer.hex(),
            )
