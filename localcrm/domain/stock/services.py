"""Stock: movements in, and what is on hand as their sum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.catalog.rules import check_decimals
from localcrm.domain.catalog.services import unit_decimals
from localcrm.domain.in_use import check_in_use
from localcrm.domain.options.company import company_value
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.stock.elsewhere import elsewhere
from localcrm.domain.stock.entities import MoveType, StockMove
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.connection import Connection
from localcrm.store.node import only_code
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

#: Kinds of movement that have one direction; opening stock, returns and adjustments have either.
_COMES_IN = {MoveType.RECEIPT: True, MoveType.ISSUE: False}
#: Products that a refusal names.
_NAMED = 3
_MOVE = StockMove.entity_type
_QUANTITY = _MOVE.fields["quantity"]


def prepare_move(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A movement is of today and of the branch that enters it."""
    return {**values, "date": values.get("date") or uow.today, "branch_id": uow.node.branch_id}


def check_move(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """Goods that are not kept in stock do not move, nothing is not a movement, and what is received comes in, what is issued goes out."""
    quantity = new["quantity"]
    if quantity == 0:
        raise Refused("no_quantity", N_("A movement needs a quantity other than zero."))
    if new["type"] in _COMES_IN and (quantity > 0) is not _COMES_IN[new["type"]]:
        raise InvalidInput(
            "wrong_sign",
            N_("“{type}” of {quantity} would move the stock the wrong way. Enter {expected}, or choose “{adjustment}”."),
            type=gettext(MoveType(new["type"]).label),
            quantity=_QUANTITY.to_json(quantity),
            expected=_QUANTITY.to_json(-quantity),
            adjustment=gettext(MoveType.ADJUST.label),
            field="quantity",
        )
    product = uow.get(Product.entity_type, new["product_id"])
    if not product["stocked"]:
        raise Refused("not_stocked", N_("“{product}” is not kept in stock."), product=product["name"])
    check_decimals(quantity, product["unit"], unit_decimals(uow.connection))
    if quantity > 0:
        check_in_use(uow, actor, _MOVE, new, old, "warehouse_id")  # what is out of use may be emptied
    if quantity < 0:  # what is written with the row says whether there was
        new["enough"] = bool(require_enough(uow, new["warehouse_id"], {new["product_id"]: quantity}))


def require_enough(uow: UnitOfWork, warehouse_id: str, moved: dict[str, Decimal]) -> set[str]:
    """Of goods out of a warehouse, quantities by product, those of which there is enough. Refuses the others where the company does not allow them.

    Counted from all movements, also those the actor may not see; so the refusal tells no quantity.
    """
    leaving = [product_id for product_id, quantity in moved.items() if quantity < 0]
    short = [product_id for product_id in leaving if _on_hand(uow, product_id, warehouse_id) + moved[product_id] < 0]
    if short and company_value(uow.connection, uow.node, "negative_stock") == "block":
        names = [str(uow.get(Product.entity_type, product_id, deleted=True)["name"]) for product_id in short[:_NAMED]]
        raise Refused(
            "not_enough_stock",
            N_(
                "There is not enough of {products} in this warehouse, and the company does not allow stock below zero. Nothing was changed."
            ),
            products=gettext(N_(", ")).join(f"“{name}”" for name in names) + ("…" if len(short) > _NAMED else ""),
        )
    return {product_id for product_id in leaving if product_id not in short}


def _on_hand(uow: UnitOfWork, product_id: str, warehouse_id: str) -> Decimal:
    total = uow.connection.value(
        "SELECT coalesce(sum(total), 0) FROM stock_on_hand WHERE product_id = ? AND warehouse_id = ?",
        (bytes.fromhex(product_id), bytes.fromhex(warehouse_id)),
    )
    return Decimal(_QUANTITY.load(total))


def stock_list(connection: Connection, actor: Actor, *, product_ids: list[str] | None = None) -> list[dict[str, Any]]:
    """What lies where, from the movements the actor may see: [{product_id, warehouse_id, quantity}], products in order of their code.

    Where a branch holds only its own, of warehouses of others a part of the movements at most is here, which is no stock (see ``elsewhere``).
    """
    source, params = _totals(connection, actor, product_ids, "product_id", "warehouse_id")
    if source is None:
        return []
    rows = connection.all(
        f"""SELECT s.product_id, s.warehouse_id, s.total FROM {source} s JOIN product p ON p.id = s.product_id
            WHERE s.total <> 0 ORDER BY p.code LIMIT 5000""",
        params,
    )
    return [{"product_id": p.hex(), "warehouse_id": w.hex(), "quantity": _QUANTITY.load(total)} for p, w, total in rows]


def _totals(connection: Connection, actor: Actor, product_ids: Sequence[str] | None, *by: str) -> tuple[str | None, list[Any]]:
    """Where quantities on hand by these fields come from: the kept totals, or the sum of the movements the actor may see; None without the right."""
    seen = policy.seen(actor, _MOVE)
    if seen is None or not all(seen.shows(key) for key in ("quantity", *by)):
        return None, []
    only = "1" if product_ids is None else "product_id IN (SELECT unhex(value) FROM json_each(?))"
    asked = [] if product_ids is None else [json.dumps(list(product_ids))]
    own = only_code(connection)
    if own is not None:
        only = f"{only} AND warehouse_id NOT IN (SELECT w.id FROM warehouse w JOIN branch b ON b.id = w.branch_id WHERE b.code <> ?)"
        asked.append(own)
    if seen.rows is None:
        return f"(SELECT product_id, warehouse_id, total FROM stock_on_hand WHERE {only})", asked
    condition, params = seen.condition("m", finds=product_ids is None)
    return (
        f"(SELECT product_id, warehouse_id, sum(quantity) AS total FROM stock_move m WHERE {only} AND deleted = 0 AND {condition} GROUP BY 1, 2)",
        [*asked, *params],
    )


def derive_product(connection: Connection, actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """Quantity on hand beside each product, from the movements the actor may see."""
    source, params = _totals(connection, actor, [record["id"] for record in records], "product_id")
    if source is None:
        return [{} for _record in records]
    totals = {key.hex(): total for key, total in connection.all(f"SELECT product_id, sum(total) FROM {source} GROUP BY product_id", params)}
    return [{"on_hand": _QUANTITY.to_json(_QUANTITY.load(totals.get(record["id"], 0)))} for record in records]


def stock_on_hand(uow: UnitOfWork, actor: Actor, *, product_id: RecordId, warehouse_id: RecordId | None = None) -> dict[str, Any]:
    """Quantity on hand of one product, from the movements the actor may see; what other branches have of it, where it is known by totals only."""
    found = stock_list(uow.connection, actor, product_ids=[product_id])
    quantity = sum((row["quantity"] for row in found if warehouse_id in {None, row["warehouse_id"]}), Decimal(0))
    others = [one for one in elsewhere(uow.connection, actor, product_ids=[product_id]) if warehouse_id in {None, one.warehouse_id}]
    told = [
        {"warehouse_id": one.warehouse_id, "quantity": _QUANTITY.to_json(one.quantity), "as_of": one.as_of.isoformat()} for one in others
    ]
    return {"product_id": product_id, "on_hand": _QUANTITY.to_json(quantity), **({"elsewhere": told} if told else {})}


BEHAVIOURS = {"stock_move": Behaviour(prepare=prepare_move, check=check_move)}
VERBS = (Verb(stock_on_hand, N_("Show stock on hand"), "stock_move.read"),)
