"""What a delivery leaves at a customer: its goods with serial numbers become products in use once it is on its way.

Only the branch that sends a delivery writes them, also when the change that makes it go arrived from elsewhere: so there is one of each.
Whatever a delivery becomes, ``settle`` brings them to what it says now, and does nothing the second time.
"""

from __future__ import annotations

import calendar
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.catalog.entities import Product
from localcrm.domain.options.company import company_share
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.sales import sent
from localcrm.domain.sales.entities import Delivery, DeliveryLine, DeliveryStatus, InstalledProduct
from localcrm.domain.sales.serials import read_serials
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.query import Record, record_json
from localcrm.store.uow import UnitOfWork

_DELIVERY, _LINE, _INSTALLED = Delivery.entity_type, DeliveryLine.entity_type, InstalledProduct.entity_type
_PRODUCT = Product.entity_type
#: Days that follow from the day of sale, and the months of the product that say how.
_DAYS = (("warranty_until", "warranty_months"), ("consumable_on", "consumable_months"))
#: Once it is that far, the customer has the goods, or will have them.
_GONE = frozenset({DeliveryStatus.SHIPPED, DeliveryStatus.RECEIVED, DeliveryStatus.RETURNED})


def months_after(day: dt.date | None, months: int | None) -> dt.date | None:
    """The day until which a warranty of so many months runs, or a consumable lasts; a month that is too short ends with its last day."""
    if day is None or not months:
        return None
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


# what was sent -------------------------------------------------------------------------------------------------------------


def goods_of_order(uow: UnitOfWork, delivery: Record) -> None:
    """A new delivery of an order begins with what of its goods no other delivery takes along."""
    if not delivery["order_id"] or delivery["status"] == DeliveryStatus.RETURNED:
        return
    left = {product: one.ordered - one.before for product, one in sent.sent_of_order(uow, delivery).items()}
    products = {product: uow.get(_PRODUCT, product, deleted=True) for product, quantity in left.items() if quantity > 0}
    goods = [product for product in products.values() if product["stocked"] or product["warranty_months"]]
    for place, product in enumerate(goods, start=1):
        values = {"delivery_id": delivery["id"], "position": place, "product_id": product["id"], "description": product["name"][:200]}
        uow.insert(_LINE, _LINE.validate({**values, "quantity": left[product["id"]]}))


def prepare_line(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """Goods are called what their product is called; serial numbers stand one a line."""
    filled = dict(values)
    product = uow.find(_PRODUCT, filled["product_id"]) if filled.get("product_id") else None
    seen = policy.seen(actor, _PRODUCT)
    if product is not None and seen is not None and seen.shows("name") and (old is None or old["product_id"] != product["id"]):
        filled["description"] = filled.get("description") or product["name"][:200]
    if "serials" in filled:
        filled["serials"] = "\n".join(read_serials(str(filled["serials"] or ""))) or None
    return filled


def check_line(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """No more serial numbers than pieces, none twice, and none that stands at a customer already."""
    _check_unsigned(uow, new, old)
    binned = old is not None and new == old and not old["deleted"]
    if old is not None:
        _check_stand_again(uow, {} if binned else new, old)
    if binned:
        return
    serials = read_serials(new["serials"])
    delivery = uow.get(_DELIVERY, new["delivery_id"])
    others = [
        line
        for line in uow.where(_LINE, delivery_id=new["delivery_id"], product_id=new["product_id"])
        if line["id"] != (old or {}).get("id")
    ]
    taken = [serial for line in others for serial in read_serials(line["serials"])]
    twice = next((serial for place, serial in enumerate(serials) if serial in serials[:place] or serial in taken), None)
    if twice:
        raise InvalidInput("serial_twice", N_("The serial number “{serial}” is there twice."), serial=twice[:60], field="serials")
    if len(serials) > new["quantity"]:
        raise InvalidInput("more_serials", N_("There are more serial numbers than pieces."), field="serials")
    for serial in serials if not delivery["returns_id"] else ():
        _check_free(uow, delivery, new["product_id"], serial)


def _check_unsigned(uow: UnitOfWork, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """What somebody has signed for stays what it was; only serial numbers and words may still be mended."""
    stays = old is not None and new != old and all(new[key] == old[key] for key in ("delivery_id", "product_id", "quantity"))
    if not stays and any(uow.get(_DELIVERY, one["delivery_id"])["signature"] for one in (new, old) if one):
        raise Refused("signed_for", N_("The customer has signed for these goods. What comes back or goes again is entered by itself."))


def _check_stand_again(uow: UnitOfWork, new: Mapping[str, Any], old: Record) -> None:
    """What a line of a return does not say any more stands again where it had been delivered."""
    back = uow.get(_DELIVERY, old["delivery_id"])
    if back["returns_id"]:
        kept = read_serials(new["serials"]) if new.get("product_id") == old["product_id"] else []
        again = [(old["product_id"], serial) for serial in read_serials(old["serials"]) if serial not in kept]
        require_free(uow, back["returns_id"], again, but=back["id"])


def _check_free(uow: UnitOfWork, delivery: Record, product: str, serial: str) -> None:
    if len(serial) > 200:
        raise InvalidInput(
            "too_long",
            N_("{label} is too long (at most {max_length} characters)."),
            label=_INSTALLED.fields["serial"].label,
            max_length=200,
            field="serials",
        )
    for row in uow.where(_INSTALLED, product_id=product, serial=serial):
        mine = row["delivery_id"] == delivery["id"] or (row["delivery_id"] is None and row["customer_id"] == delivery["customer_id"])
        if row["returned_on"] is None and not mine and not _is_back(uow, row):
            text = N_("The piece with the serial number “{serial}” is at a customer already. Say first that it came back.")
            raise InvalidInput("serial_in_use", text, serial=serial, field="serials")


def _is_back(uow: UnitOfWork, piece: Record) -> bool:
    """Whether a piece came back here, and the branch that sent it has only not written that down yet."""
    back = sent.came_back(uow, piece["delivery_id"]).get(piece["product_id"]) if piece["delivery_id"] else None
    return back is not None and piece["serial"] in back.serials


def require_free(uow: UnitOfWork, delivery_id: str, pieces: Iterable[tuple[str, str]], *, but: str = "") -> None:
    """Refuse where pieces (product, serial) that stand where a delivery left them, but for what one return of it says, stand elsewhere too."""
    delivery, back = uow.get(_DELIVERY, delivery_id, deleted=True), sent.came_back(uow, delivery_id, but=but)
    for product, serial in pieces:
        row = next(iter(uow.where(_INSTALLED, delivery_id=delivery_id, product_id=product, serial=serial)), None)
        if _came_back(uow, delivery, back, (product, serial), row)["returned_on"] is None:
            _check_free(uow, delivery, product, serial)


def pieces_of(uow: UnitOfWork, delivery_id: str) -> dict[tuple[str, str], str | None]:
    """The batch of each piece with a serial number in a delivery, by product and serial."""
    lines = uow.where(_LINE, delivery_id=delivery_id)
    return {(line["product_id"], serial): line["batch"] for line in lines for serial in read_serials(line["serials"])}


def check_delivery_of_lines(uow: UnitOfWork, actor: Actor, delivery_id: str) -> None:  # noqa: ARG001
    """Only the branch that sends a delivery says what is in it."""
    if uow.get(_DELIVERY, delivery_id)["branch_id"] != uow.node.branch_id:
        raise Refused("other_branch", N_("This document belongs to another branch; only that branch can change it."))


def save_goods(uow: UnitOfWork, actor: Actor, *, delivery_id: RecordId, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Say what is in a delivery: product, quantity and serial numbers of each line (see ``records.save_lines``)."""
    policy.require_record(uow.connection, actor, _DELIVERY, delivery_id, "update")
    check_delivery_of_lines(uow, actor, delivery_id)
    records.save_lines(uow, actor, entity=_LINE.key, document=delivery_id, lines=lines)
    return goods(uow, actor, delivery_id=delivery_id)


def goods(uow: UnitOfWork, actor: Actor, *, delivery_id: RecordId) -> dict[str, Any]:
    """What is in a delivery: {"lines": […], "own": whether it may be changed here}.

    order: {product: {"name", "ordered", "before"}} of its order, "before" with other deliveries, where that is seen · allowed: the share
    of what was ordered that may go beyond it.
    """
    policy.require_record(uow.connection, actor, _DELIVERY, delivery_id, "read")
    rows = (
        sorted(uow.where(_LINE, delivery_id=delivery_id), key=lambda line: line["position"])
        if policy.may(actor, "delivery_line.read")
        else []
    )
    delivery = uow.get(_DELIVERY, delivery_id)
    own = delivery["branch_id"] == uow.node.branch_id
    return {
        "lines": [record_json(_LINE, policy.shown(actor, _LINE, row)) for row in rows],
        "own": own,
        "order": sent.told_of_order(uow, actor, delivery),
        "allowed": str(company_share(uow.connection, uow.node, sent.ALLOWED)),
    }


# what stands at the customer since -----------------------------------------------------------------------------------------


def settle(uow: UnitOfWork, delivery_id: str) -> None:
    """Bring the products in use of a delivery to what it says now; only where it was sent from."""
    delivery = uow.find(_DELIVERY, delivery_id, deleted=True)
    if delivery is not None and delivery["returns_id"]:
        delivery = uow.find(_DELIVERY, delivery["returns_id"], deleted=True)  # what came back is no more where that one left it
    if delivery is None or delivery["branch_id"] != uow.node.branch_id or delivery["returns_id"]:
        return
    gone = not delivery["deleted"] and delivery["status"] in _GONE
    wanted = pieces_of(uow, delivery["id"]) if gone else {}
    ids = uow.connection.all("SELECT id FROM installed_product WHERE delivery_id = ? ORDER BY rid", (bytes.fromhex(delivery["id"]),))
    held = {(row["product_id"], row["serial"]): row for (pk,) in ids for row in [uow.get(_INSTALLED, pk.hex(), deleted=True)]}
    back = sent.came_back(uow, delivery["id"])
    for (product, serial), batch in sorted(wanted.items()):
        row = held.get((product, serial)) or _known(uow, delivery, product, serial)
        says = _came_back(uow, delivery, back, (product, serial), row)
        _stands(uow, delivery, (product, serial), row, says | ({"batch": batch} if batch else {}))
    for key, row in held.items():
        if key not in wanted and not row["deleted"]:
            _is_gone(uow, row)


def _came_back(
    uow: UnitOfWork, delivery: Record, back: Mapping[str, sent.Back], piece: tuple[str, str], row: Record | None
) -> dict[str, Any]:
    """The day a piece came back, None where it stands, and whether its delivery says so; the day that somebody entered by hand stays."""
    product, serial = piece
    day = row["returned_on"] if row else None
    if row is not None and day and not row["back_noted"]:
        return {"returned_on": day, "back_noted": False}
    returned = back[product].serials.get(serial) if product in back else None
    if returned is None and delivery["status"] == DeliveryStatus.RETURNED:
        returned = day or uow.today
    return {"returned_on": returned, "back_noted": returned is not None}


def _known(uow: UnitOfWork, delivery: Record, product: str, serial: str) -> Record | None:
    """A piece that somebody entered by hand before it was delivered here."""
    rows = uow.where(_INSTALLED, product_id=product, serial=serial, customer_id=delivery["customer_id"])
    return next((row for row in rows if row["delivery_id"] is None and row["returned_on"] is None), None)


def _stands(uow: UnitOfWork, delivery: Record, piece: tuple[str, str], row: Record | None, says: dict[str, Any]) -> None:
    product, serial = piece
    sort, sold = uow.get(_PRODUCT, product, deleted=True), delivery["date"]
    says |= {"customer_id": delivery["customer_id"], "order_id": delivery["order_id"], "delivery_id": delivery["id"]}
    if row is None:
        days = {day: months_after(sold, sort[of]) for day, of in _DAYS}
        values = {**says, "product_id": product, "serial": serial, "sold_on": sold, **days}
        uow.insert(_INSTALLED, _INSTALLED.validate(values))
        return
    if row["deleted"]:
        uow.set_deleted(_INSTALLED, row["id"], deleted=False)
    if row["sold_on"] != sold:
        # A warranty that somebody extended by hand is his word, and a consumable that was supplied since is due by that; what followed from the
        # day follows it.
        follow = [(day, of) for day, of in _DAYS if row[day] in {None, months_after(row["sold_on"], sort[of])}]
        says |= {"sold_on": sold} | {day: months_after(sold, sort[of]) for day, of in follow}
    uow.update(_INSTALLED, row["id"], says)


def _is_gone(uow: UnitOfWork, row: Record) -> None:
    """It was not delivered after all: into the recycle bin, or where a ticket names it, noted as come back."""
    if records.references(uow.connection, _INSTALLED, row["id"]):
        if row["returned_on"] is None:
            uow.update(_INSTALLED, row["id"], {"returned_on": uow.today, "back_noted": True})
    else:
        uow.set_deleted(_INSTALLED, row["id"], deleted=True)


def follow_lines(uow: UnitOfWork, actor: Actor, delivery_id: str) -> None:
    """No more goes than was ordered or comes back than was sent, and what stands at the customer follows the goods of a delivery."""
    delivery = uow.get(_DELIVERY, delivery_id)
    if delivery["returns_id"]:
        sent.require_returnable(uow, delivery)
    else:
        sent.require_ordered(uow, actor, delivery)
        sent.require_came_back(uow, delivery)
    settle(uow, delivery_id)


def follow_bin(uow: UnitOfWork, actor: Actor, delivery: Record) -> None:  # noqa: ARG001
    """What stands at the customer follows; of a return that is taken away nothing stands again that has gone to somebody else since."""
    settle(uow, delivery["id"])
    if delivery["returns_id"]:
        require_free(uow, delivery["returns_id"], pieces_of(uow, delivery["id"]))


def follow_restored(uow: UnitOfWork, actor: Actor, delivery: Record) -> None:
    """One that comes out of the recycle bin is asked what its lines are asked."""
    follow_lines(uow, actor, delivery["id"])


def follow_arrived(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """The same for deliveries of this branch of which somebody elsewhere said what became."""
    for identity in ids:
        settle(uow, identity)


def follow_arrived_lines(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """And for what another branch wrote down of goods of this branch that came back there."""
    rows = uow.connection.all(
        """SELECT DISTINCT lower(hex(d.id)) FROM delivery_line l JOIN delivery d ON d.id = l.delivery_id
           WHERE l.id IN (SELECT unhex(value) FROM json_each(?)) AND d.returns_id IS NOT NULL ORDER BY d.rid""",
        (json.dumps(list(ids)),),
    )
    follow_arrived(uow, [identity for (identity,) in rows])


BEHAVIOURS = {
    "delivery_line": Behaviour(prepare=prepare_line, check=check_line, check_document=check_delivery_of_lines, after_document=follow_lines)
}
VERBS = (
    Verb(save_goods, N_("Say what is in a delivery")),
    Verb(goods, N_("Show what is in a delivery"), "delivery.read", record="delivery_id"),
)
