"""Deliveries: how goods went to a customer, and who took them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.checks import check_same_customer
from localcrm.domain.crm.entities import Customer
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour, create_record
from localcrm.domain.sales import installed, sent
from localcrm.domain.sales.entities import Delivery, DeliveryLine, DeliveryStatus, OrderStatus, SalesOrder
from localcrm.domain.spans import check_span
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

#: It is on its way to the customer, or with him.
GONE = frozenset({DeliveryStatus.SHIPPED, DeliveryStatus.RECEIVED})
#: What a signature is for.
_SIGNED = ("customer_id", "order_id", "received_by", "received_on")
_DELIVERY, _LINE, _ORDER, _CUSTOMER = Delivery.entity_type, DeliveryLine.entity_type, SalesOrder.entity_type, Customer.entity_type


def prepare_delivery(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new delivery is numbered, goes to its order's customer, and to his address unless another is given; days follow the state."""
    filled = dict(values)
    if old is None:
        filled["number"] = filled.get("number") or next_number(uow, _DELIVERY, uow.today)
        filled["branch_id"] = uow.node.branch_id
        filled["owner_id"] = filled.get("owner_id") or actor.user_id
        order = uow.find(_ORDER, filled["order_id"]) if filled.get("order_id") else None
        if order is not None:
            filled["customer_id"] = filled.get("customer_id") or order["customer_id"]
        customer = uow.find(_CUSTOMER, filled["customer_id"]) if filled.get("customer_id") else None
        seen = policy.seen(actor, _CUSTOMER)
        if customer is not None and seen is not None and seen.shows("address"):
            filled["address"] = filled.get("address") or customer["address"]
    status = filled.get("status", old["status"] if old else None)
    gone = status in GONE
    for key, due in (("date", gone), ("received_on", status == DeliveryStatus.RECEIVED)):
        if due and not filled.get(key, old[key] if old else None):
            filled[key] = uow.today
    return filled


def check_delivery(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """It arrives after it left, and goes to the customer of its order, no more than was ordered; what came back of it, and that it did, stays so."""
    if old is not None and old["signature"] and new["signature"] == old["signature"]:
        _check_signed(new, old)
    if old is not None and new["status"] != old["status"]:
        if old["returns_id"]:
            raise Refused("is_return", N_("What came back stays what it is. If it did not come back, delete this record."))
        if new["status"] == DeliveryStatus.PACKED and uow.where(_DELIVERY, returns_id=old["id"]):
            raise Refused("came_back_in_part", N_("Goods of this delivery came back, so it did go."))
    check_span(_DELIVERY, new, "date", "received_on")
    check_same_customer(uow, _DELIVERY, new, "order_id")
    if old is not None and (new["order_id"] != old["order_id"] or old["status"] == DeliveryStatus.RETURNED != new["status"]):
        sent.require_ordered(uow, actor, {**old, **new})


def _check_signed(new: Mapping[str, Any], old: Record) -> None:
    """What somebody signed for stays what it was as long as his signature does; it may come back, or not have come back after all."""
    if any(new[key] != old[key] for key in _SIGNED) or new["status"] not in {DeliveryStatus.RECEIVED, DeliveryStatus.RETURNED}:
        raise Refused(
            "signed_for",
            N_("The customer has signed for this delivery: what was sent to whom, and who received it when, stays. He can sign again."),
        )


def follow_delivery(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:  # noqa: ARG001
    """It begins with the goods of its order, and what it leaves at the customer follows it."""
    if old is None:
        installed.goods_of_order(uow, record)
    installed.settle(uow, record["id"])
    if old is not None and record["status"] in GONE and old["status"] not in GONE:
        installed.require_free(uow, record["id"], installed.pieces_of(uow, record["id"]))


def deliver_order(uow: UnitOfWork, actor: Actor, *, order_id: RecordId) -> Record:
    """A new delivery of what is left of a posted order; raises Refused("not_posted", "already_reversed", "nothing_to_send")."""
    policy.require_record(uow.connection, actor, _ORDER, order_id, "read")
    order = uow.get(_ORDER, order_id)
    if order["status"] != OrderStatus.POSTED:
        raise Refused("not_posted", N_("Only a posted order is delivered. Post it first."))
    if uow.where(_ORDER, reverses_id=order_id):
        raise Refused("already_reversed", N_("{number} has already been reversed."), number=order["number"])
    made = create_record(uow, actor, entity=_DELIVERY.key, values={"order_id": order_id})
    if not uow.where(_LINE, delivery_id=made["id"]):
        raise Refused("nothing_to_send", N_("Nothing of this order is left to send."))
    return made


BEHAVIOURS = {
    "delivery": Behaviour(
        prepare=prepare_delivery,
        check=check_delivery,
        after=follow_delivery,
        binned=installed.follow_bin,
        restored=installed.follow_restored,
    )
}
VERBS = (Verb(deliver_order, N_("Send what is left of an order")),)
