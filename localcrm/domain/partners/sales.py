"""What partners sold on, as they report it: entered by hand or imported, each line matched with our customer of that name where there is one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.crm.alike import Reader, seen_customers
from localcrm.domain.crm.entities import Customer
from localcrm.domain.options.company import today
from localcrm.domain.partners.entities import PartnerSale
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.store import marks
from localcrm.store.connection import Connection
from localcrm.store.query import Record, titles
from localcrm.store.uow import UnitOfWork

SALE, _PRODUCT, _CUSTOMER = PartnerSale.entity_type, Product.entity_type, Customer.entity_type
#: What two lines have in common that are one sale reported twice.
_SAME = ("partner_id", "date", "buyer", "product_id", "quantity", "amount", "number")
#: Records of one name that are looked at.
_MOST_ALIKE = 20


@dataclass(frozen=True, slots=True)
class Sold:
    """What a partner sold of a product. buyers: to how many · known: how many of these are customers of ours."""

    product: str
    quantity: Decimal
    amount: Decimal
    buyers: int
    known: int


def prepare_sale(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A sale is of today unless it says otherwise, and to our customer of the buyer's name."""
    filled = values if old is not None or values.get("date") else {**values, "date": today()}
    if values.get("buyer") and "customer_id" not in values and (old is None or old["buyer"] != values["buyer"]):
        filled = {**filled, "customer_id": _customer_named(uow, actor, str(values["buyer"])[:1000])}
    return filled


def _customer_named(uow: UnitOfWork, actor: Actor, name: str) -> str | None:
    """The one customer of this name among those the actor sees, written in whatever way; None where there is none, or several."""
    reader = Reader(actor)
    known = {
        one.id
        for _field, mark, plain in marks.marks_of(marks.marked(_CUSTOMER), {"name": name})
        for one in marks.known_by(uow.connection, mark, plain, limit=_MOST_ALIKE)
        if one.by == _CUSTOMER.no and reader.reads(mark, one.by)
    }
    found = list(seen_customers(uow.connection, actor, known))
    return found[0] if len(found) == 1 else None


def check_sale(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """It is over something, and was not reported before."""
    if new["quantity"] == 0:
        raise InvalidInput("no_quantity", N_("The quantity must not be 0. What came back is negative."), field="quantity")
    same = uow.where(SALE, **{key: new[key] for key in _SAME})
    if any(one["id"] != (old or {}).get("id") for one in same):
        raise InvalidInput(
            "sale_reported", N_("This sale is entered already. If it is another one, give it the number of its paper."), field="buyer"
        )


def sold(connection: Connection, actor: Actor, partner_id: str, since: dt.date) -> list[Sold]:
    """What a partner reported to have sold from a day on by product, the most first; nothing where a field of it is hidden."""
    seen, products = policy.seen(actor, SALE), policy.seen(actor, _PRODUCT)
    shown = ("product_id", "date", "quantity", "amount", "buyer", "customer_id")
    if seen is None or products is None or not all(map(seen.shows, shown)) or not products.shows("name"):
        return []
    condition, params = seen.condition("s")
    rows = connection.all(
        f"""SELECT s.product_id, sum(s.quantity), sum(coalesce(s.amount, 0)), count(DISTINCT s.buyer), count(DISTINCT s.customer_id)
            FROM partner_sale s WHERE s.partner_id = ? AND s.date >= ? AND s.deleted = 0 AND {condition} GROUP BY 1""",
        [bytes.fromhex(partner_id), since.isoformat(), *params],
    )
    names = titles(connection, _PRODUCT, [row[0].hex() for row in rows])
    quantity, amount = SALE.fields["quantity"].load, SALE.fields["amount"].load
    found = [Sold(names.get(row[0].hex(), ""), quantity(row[1]), amount(row[2]), row[3], row[4]) for row in rows]
    return sorted(found, key=lambda one: (-one.amount, -one.quantity, one.product))


BEHAVIOURS = {"partner_sale": Behaviour(prepare=prepare_sale, check=check_sale, distinct=("buyer",))}
