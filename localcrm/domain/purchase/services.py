"""Suppliers and what they ask for their goods."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from localcrm.domain import policy
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.purchase import payables
from localcrm.domain.purchase.entities import Supplier, SupplierPrice
from localcrm.domain.purchase.rules import price_for, smallest
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MONEY_SCALE, parse_decimal, round_to
from localcrm.store.query import Condition, ListQuery, Record, every, records_by_id
from localcrm.store.uow import UnitOfWork

_SUPPLIER, _PRICE = Supplier.entity_type, SupplierPrice.entity_type


def prepare_supplier(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new supplier gets a number, and belongs to whoever enters it and to the branch where that happens."""
    if old is not None:
        return values
    filled = {**values, "number": values.get("number") or next_number(uow, _SUPPLIER, uow.today)}
    filled.setdefault("buyer_id", actor.user_id)
    filled.setdefault("branch_id", uow.node.branch_id)
    return filled


def check_price(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A supplier asks one price for a product from one quantity on."""
    key = ("supplier_id", "product_id", "from_quantity")
    if old is not None and not old["deleted"] and all(new[part] == old[part] for part in key):
        return
    same = uow.where(_PRICE, supplier_id=new["supplier_id"], product_id=new["product_id"])
    if any(other["from_quantity"] == new["from_quantity"] and other["id"] != (old or {}).get("id") for other in same):
        raise InvalidInput(
            "price_there_already", N_("This supplier already has a price for this product from this quantity on."), field="from_quantity"
        )


def compare_prices(uow: UnitOfWork, actor: Actor, *, product_id: RecordId, quantity: str = "1") -> dict[str, Any]:
    """What each supplier asks for a quantity of a product today, the lowest first, then the quickest; last those who sell only more of it.

    Returns {"rows": [{supplier_id, supplier, rating, price, amount, from_quantity, lead_days, until, too_few}]}; only suppliers and fields the
    actor sees. too_few: less than the supplier sells; price and amount are those of his smallest quantity.
    """
    wanted = parse_decimal(quantity)
    if wanted <= 0:
        raise InvalidInput("not_positive", N_("The quantity must be more than 0."), field="quantity")
    seen, suppliers = policy.seen(actor, _PRICE), policy.seen(actor, _SUPPLIER)
    if seen is None or suppliers is None or not all(map(seen.shows, ("supplier_id", "product_id", "price", "from_quantity", "until"))):
        return {"rows": []}
    scales: dict[str, list[Record]] = defaultdict(list)
    for page in every(uow.connection, ListQuery(_PRICE, where=(Condition("product_id", "=", product_id),), restrict=seen)):
        for row in page.rows:
            scales[row["supplier_id"]].append(row)
    known = {supplier["id"]: supplier for supplier in records_by_id(uow.connection, _SUPPLIER, list(scales))}
    rows = []
    for supplier_id, scale in scales.items():
        fitting = price_for(scale, wanted, uow.today)
        step = fitting or smallest(scale, uow.today)
        supplier = known.get(supplier_id)
        if step is not None and supplier is not None and supplier["active"] and not supplier["deleted"]:
            told = suppliers.of(supplier)
            rows.append(
                {
                    "supplier_id": supplier_id,
                    "supplier": told.get("name"),
                    "rating": told.get("rating"),
                    "price": step["price"],
                    "amount": round_to(step["price"] * (wanted if fitting else step["from_quantity"]), MONEY_SCALE),
                    "from_quantity": step["from_quantity"],
                    "lead_days": step.get("lead_days"),
                    "until": step["until"],
                    "too_few": fitting is None,
                }
            )
    return {
        "rows": sorted(rows, key=lambda row: (row["too_few"], row["price"], row["lead_days"] if row["lead_days"] is not None else 10_000))
    }


BEHAVIOURS = {
    **payables.BEHAVIOURS,
    "supplier": Behaviour(prepare=prepare_supplier, derive=payables.derive_supplier),
    "supplier_price": Behaviour(check=check_price, distinct=("from_quantity",)),
}
VERBS = (*payables.VERBS, Verb(compare_prices, N_("Compare suppliers' prices"), "product.read", record="product_id"))
