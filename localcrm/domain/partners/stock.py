"""What partners have in stock, as they report it: entered by hand or imported, the newest report of each product counts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.partners.entities import PartnerStock
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, titles
from localcrm.store.uow import UnitOfWork

STOCK, _PRODUCT = PartnerStock.entity_type, Product.entity_type


@dataclass(frozen=True, slots=True)
class Level:
    """The newest report of a product; ``before``: the quantity of the report before it."""

    id: str
    product: str
    day: dt.date
    quantity: Decimal
    before: Decimal | None


def prepare_stock(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A report is of today unless it says otherwise."""
    return values if old is not None or values.get("date") else {**values, "date": uow.today}


def check_stock(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A partner reports a product once a day."""
    same = uow.where(STOCK, partner_id=new["partner_id"], product_id=new["product_id"], date=new["date"])
    if any(one["id"] != (old or {}).get("id") for one in same):
        raise InvalidInput("reported_already", N_("This partner's stock of this product on that day is entered already."), field="date")


def newest(connection: Connection, actor: Actor, partner_id: str) -> list[Level]:
    """The newest report of each product of a partner, by the product's name; none where a field of them is hidden."""
    seen, products = policy.seen(actor, STOCK), policy.seen(actor, _PRODUCT)
    if seen is None or products is None or not all(map(seen.shows, ("product_id", "date", "quantity"))) or not products.shows("name"):
        return []
    condition, params = seen.condition("s")
    rows = connection.all(
        f"""SELECT id, product_id, date, quantity, before, place FROM (
                SELECT s.id, s.product_id, s.date, s.quantity, row_number() OVER each AS place, lead(s.quantity) OVER each AS before
                FROM partner_stock s WHERE s.partner_id = ? AND s.deleted = 0 AND {condition}
                WINDOW each AS (PARTITION BY s.product_id ORDER BY s.date DESC, s.id DESC)) WHERE place = 1""",
        [bytes.fromhex(partner_id), *params],
    )
    names, load = titles(connection, _PRODUCT, [row[1].hex() for row in rows]), STOCK.fields["quantity"].load
    found = [
        Level(key.hex(), names.get(product.hex(), ""), dt.date.fromisoformat(day), load(quantity), load(before))
        for key, product, day, quantity, before, _place in rows
        if day
    ]
    return sorted(found, key=lambda one: (one.product, one.id))


BEHAVIOURS = {"partner_stock": Behaviour(prepare=prepare_stock, check=check_stock, distinct=("date",))}
