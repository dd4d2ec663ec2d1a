"""What of an order was sent: for each product what was ordered, what other deliveries take along, and what came back of them.

More than was ordered, beyond the share that the company allows, goes only with a reason, which stays with the line. Two branches that send
the same apart are not refused when they meet; what is open then is less than nothing, and says so.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.options.company import company_share
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import Delivery, DeliveryLine, DeliveryStatus, SalesOrder, SalesOrderLine
from localcrm.domain.sales.serials import read_serials
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import plain_decimal
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_DELIVERY, _LINE = Delivery.entity_type, DeliveryLine.entity_type
_ORDER, _ORDER_LINE = SalesOrder.entity_type, SalesOrderLine.entity_type
#: The company's option: the share of what was ordered that may go beyond it.
ALLOWED = "over_delivery"


@dataclass(slots=True)
class Sent:
    """Of one product of an order: what it is called there, how much was ordered, and how much goes with other deliveries."""

    name: str = ""
    ordered: Decimal = Decimal(0)
    before: Decimal = Decimal(0)


def sent_of_order(uow: UnitOfWork, delivery: Record) -> dict[str, Sent]:
    """By product, in the order of the lines, as far as the order of a delivery goes; what came back counts as not sent."""
    found: dict[str, Sent] = {}
    if not delivery["order_id"] or delivery["returns_id"]:
        return found
    for line in sorted(uow.where(_ORDER_LINE, order_id=delivery["order_id"]), key=lambda line: line["position"]):
        one = found.setdefault(line["product_id"], Sent(line["description"] or ""))
        one.ordered += line["quantity"]
    for other in uow.where(_DELIVERY, order_id=delivery["order_id"]):
        if other["status"] == DeliveryStatus.RETURNED:
            continue
        took = defaultdict[str, Decimal](Decimal)
        for line in uow.where(_LINE, delivery_id=other["id"]):
            took[line["product_id"]] += line["quantity"]
            if other["id"] != delivery["id"]:
                found.setdefault(line["product_id"], Sent(line["description"] or "")).before += line["quantity"]
        for product, back in came_back(uow, other["id"]).items():  # two places may have taken back the same goods
            found.setdefault(product, Sent()).before -= min(back.quantity, took[product])
    return found


@dataclass(slots=True)
class Back:
    """What came back of one product of a delivery: how much, and the day of each serial number."""

    quantity: Decimal = Decimal(0)
    serials: dict[str, dt.date] = field(default_factory=dict)


def came_back(uow: UnitOfWork, delivery_id: str, *, but: str = "") -> dict[str, Back]:
    """By product, what the returns of a delivery took back, but for one of them."""
    return _brought(uow, [one for one in uow.where(_DELIVERY, returns_id=delivery_id) if one["id"] != but])


def _brought(uow: UnitOfWork, returns: Sequence[Record]) -> dict[str, Back]:
    found: dict[str, Back] = {}
    for one in returns:
        for line in uow.where(_LINE, delivery_id=one["id"]):
            back = found.setdefault(line["product_id"], Back())
            back.quantity += line["quantity"]
            for serial in read_serials(line["serials"]):
                back.serials.setdefault(serial, one["date"])
    return found


def require_returnable(uow: UnitOfWork, back: Record) -> None:
    """Refuse a return of more than was sent, all returns together, or of pieces that were not."""
    before = came_back(uow, back["returns_id"], but=back["id"])
    sent = uow.where(_LINE, delivery_id=back["returns_id"])
    for product, one in _brought(uow, [back]).items():
        lines = [line for line in sent if line["product_id"] == product]
        name, known = (lines[0]["description"] if lines else "") or "", before.get(product, Back())
        left = sum((line["quantity"] for line in lines), Decimal(0)) - known.quantity
        if one.quantity > left:
            text = N_("“{product}”: at most {left} can still come back.")
            raise InvalidInput("over_return", text, product=name, left=plain_decimal(left), field="quantity")
        serials = [serial for line in lines for serial in read_serials(line["serials"])]
        for serial in one.serials:
            if serial not in serials or serial in known.serials:
                text = N_("The piece with the serial number “{serial}” was not in this delivery, or is back already.")
                raise InvalidInput("not_of_delivery", text, serial=serial[:60], field="serials")
        nameless = left + len(known.serials) - len(serials)  # pieces without a number that are still there
        if one.quantity - len(one.serials) > max(nameless, 0):
            raise InvalidInput(
                "which_pieces", N_("“{product}”: say by serial number which pieces came back."), product=name, field="serials"
            )


def require_came_back(uow: UnitOfWork, delivery: Record) -> None:
    """Refuse where less of a product stands in a delivery than came back of it, or a piece that did not; raises InvalidInput("came_back_in_part")."""
    lines = uow.where(_LINE, delivery_id=delivery["id"])
    for product, back in came_back(uow, delivery["id"]).items():
        own = [line for line in lines if line["product_id"] == product]
        serials = {serial for line in own for serial in read_serials(line["serials"])}
        if sum((line["quantity"] for line in own), Decimal(0)) < back.quantity or not back.serials.keys() <= serials:
            raise InvalidInput("came_back_in_part", N_("What came back of this delivery did go with it. Mend the return first."))


def require_ordered(uow: UnitOfWork, actor: Actor, delivery: Record) -> None:
    """Refuse more of a product than was ordered where no line of it says why; raises InvalidInput("over_delivery").

    What goes in exchange may be as much as came back for it, for whatever reason that had gone.
    """
    if not delivery["order_id"] or delivery["status"] == DeliveryStatus.RETURNED:
        return
    now: dict[str, Decimal] = {}
    lines = uow.where(_LINE, delivery_id=delivery["id"])
    for line in lines:
        now[line["product_id"]] = now.get(line["product_id"], Decimal(0)) + line["quantity"]
    sent, share = sent_of_order(uow, delivery), 1 + company_share(uow.connection, uow.node, ALLOWED)
    excused = {line["product_id"] for line in lines if line["over_reason"]}
    back = uow.find(_DELIVERY, delivery["replaces_id"]) if delivery["replaces_id"] else None
    brought = _brought(uow, [back] if back else [])
    for line in sorted(lines, key=lambda line: line["position"]):
        product, known = line["product_id"], sent.get(line["product_id"], Sent())
        goes_again = now[product] <= brought.get(product, Back()).quantity
        if product in excused or goes_again or known.before + now[product] <= known.ordered * share:
            continue
        if _may_see(uow, actor, delivery):
            told = {
                key: plain_decimal(value) for key, value in (("ordered", known.ordered), ("before", known.before), ("now", now[product]))
            }
            text = N_("“{product}”: {ordered} ordered, {before} sent before, {now} now. Say why more goes than was ordered.")
        else:
            told, text = {}, N_("“{product}”: this is more than was ordered. Say why.")
        raise InvalidInput("over_delivery", text, product=line["description"] or "", **told, field="over_reason")


def told_of_order(uow: UnitOfWork, actor: Actor, delivery: Record) -> dict[str, dict[str, Any]]:
    """The same for the screen, in JSON form; empty where the actor does not see the order or what was ordered."""
    if not _may_see(uow, actor, delivery):
        return {}
    return {
        product: {"name": one.name, "ordered": plain_decimal(one.ordered), "before": plain_decimal(one.before)}
        for product, one in sent_of_order(uow, delivery).items()
    }


def _may_see(uow: UnitOfWork, actor: Actor, delivery: Record) -> bool:
    lines = policy.seen(actor, _ORDER_LINE)
    shown = lines is not None and all(map(lines.shows, ("product_id", "description", "quantity")))
    return shown and bool(delivery["order_id"]) and policy.visible(uow.connection, actor, _ORDER, delivery["order_id"])
