"""Goods that come back: a delivery the other way, of single pieces or of many, with or without something in exchange.

What the customer has in use follows: a piece that came back stands there no more, and what goes in exchange stands there once it has gone.
Any branch takes goods back, whichever sent them; the one that did writes down what that means for the products in use (``installed``).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import Delivery, DeliveryLine, DeliveryStatus
from localcrm.domain.sales.sent import Back, came_back
from localcrm.domain.sales.serials import read_serials
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import plain_decimal
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_DELIVERY, _LINE = Delivery.entity_type, DeliveryLine.entity_type


def returnable(uow: UnitOfWork, actor: Actor, *, delivery_id: RecordId) -> list[dict[str, Any]]:
    """What may still come back of a delivery: {product_id, name, sent, left, serials} of each product; nothing of one that has not gone.

    serials: of pieces that have one and are not back yet. Raises Refused("back_already") for one that is back as a whole.
    """
    policy.require_record(uow.connection, actor, _DELIVERY, delivery_id, "read")
    delivery = uow.get(_DELIVERY, delivery_id)
    if delivery["status"] == DeliveryStatus.RETURNED:
        raise Refused("back_already", N_("All of this is back already."))
    seen = policy.seen(actor, _LINE)
    if seen is None or not all(map(seen.shows, ("product_id", "description", "quantity", "serials"))):
        return []
    if not _has_gone(delivery):
        return []
    back, found = came_back(uow, delivery_id), dict[str, dict[str, Any]]()
    for line in sorted(uow.where(_LINE, delivery_id=delivery_id), key=lambda line: line["position"]):
        product = line["product_id"]
        one = found.setdefault(product, {"product_id": product, "name": line["description"] or "", "sent": Decimal(0), "serials": []})
        one["sent"] += line["quantity"]
        one["serials"] += [serial for serial in read_serials(line["serials"]) if serial not in back.get(product, Back()).serials]
    for product, one in found.items():
        one["left"] = plain_decimal(max(Decimal(0), one["sent"] - back.get(product, Back()).quantity))  # two places may have taken it back
        one["sent"] = plain_decimal(one["sent"])
    return list(found.values())


def take_back(
    uow: UnitOfWork, actor: Actor, *, delivery_id: RecordId, lines: list[dict[str, Any]], reason: str | None = None, exchange: bool = False
) -> dict[str, Any]:
    """Goods of a delivery came back; with ``exchange`` the same goods are packed to go again.

    lines: product_id, quantity and serials of each product; those of no quantity are passed over. Returns {"id" of the return,
    "replacement": id of the delivery in exchange, or None}. Raises Refused("not_sent") for a delivery that has not gone,
    InvalidInput("over_return", "not_of_delivery", "which_pieces").
    """
    policy.require_record(uow.connection, actor, _DELIVERY, delivery_id, "read")
    original = uow.get(_DELIVERY, delivery_id)
    if not _has_gone(original):
        raise Refused("not_sent", N_("Only what has been sent can come back."))
    taken = [line for line in lines if str(line.get("quantity") or "0") not in {"0", ""}]
    if not taken:
        raise InvalidInput("nothing_back", N_("Say what came back."), field="quantity")
    made = _write(uow, actor, original, {"status": DeliveryStatus.RETURNED, "returns_id": delivery_id, "remark": reason or None})
    kept = [{"product_id": line.get("product_id"), "quantity": line["quantity"], "serials": line.get("serials")} for line in taken]
    records.save_lines(uow, actor, entity=_LINE.key, document=made, lines=kept)
    replacement = None
    if exchange:
        replacement = _write(uow, actor, original, {"replaces_id": made, "address": original["address"]})
        again = [{"product_id": line["product_id"], "quantity": line["quantity"]} for line in kept]
        records.save_lines(uow, actor, entity=_LINE.key, document=replacement, lines=again)
    return {"id": made, "replacement": replacement}


def _has_gone(delivery: Record) -> bool:
    return not delivery["returns_id"] and delivery["status"] in {DeliveryStatus.SHIPPED, DeliveryStatus.RECEIVED}


def _write(uow: UnitOfWork, actor: Actor, original: Record, values: dict[str, Any]) -> str:
    """A delivery beside another one, of today, of this branch."""
    day = uow.today
    kept = {key: original[key] for key in ("customer_id", "order_id")} | {"branch_id": uow.node.branch_id, "owner_id": actor.user_id}
    back = {"date": day} if values.get("returns_id") else {}
    made = uow.insert(_DELIVERY, _DELIVERY.validate({**kept, **back, "number": next_number(uow, _DELIVERY, day), **values}))
    policy.require_record(uow.connection, actor, _DELIVERY, made, "create")
    return made


VERBS = (
    Verb(returnable, N_("Show what may come back of a delivery"), "delivery.read", record="delivery_id"),
    Verb(take_back, N_("Take goods back"), "delivery.create"),
)
