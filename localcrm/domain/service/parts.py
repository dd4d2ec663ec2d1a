"""Parts that tickets take from stock, who bears them, and what is asked of the customer.

A part leaves by a movement of goods, like those of an order. Within the warranty it is an expense of ours for the customer; otherwise its price
is asked for together with the fee, by a sales order over a service, which is how money becomes owed here (ADR 0043).
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product, Warehouse
from localcrm.domain.catalog.rules import check_decimals
from localcrm.domain.catalog.services import unit_decimals
from localcrm.domain.finance.entities import Expense
from localcrm.domain.policy import Actor
from localcrm.domain.purchase.entities import SupplierPrice
from localcrm.domain.purchase.rules import price_for
from localcrm.domain.sales.entities import SalesOrder
from localcrm.domain.sales.services import save_order
from localcrm.domain.service.entities import TicketPart, TicketState
from localcrm.domain.service.rules import UNDONE, amount_of, is_covered
from localcrm.domain.service.tickets import TICKET, family
from localcrm.domain.stock.entities import MoveType, StockMove
from localcrm.domain.stock.services import require_enough
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.money import MONEY_SCALE, parse_decimal, round_to
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, every, record_json
from localcrm.store.uow import UnitOfWork

PART = TicketPart.entity_type
_MOVE, _PRODUCT, _WAREHOUSE = StockMove.entity_type, Product.entity_type, Warehouse.entity_type
_EXPENSE, _ORDER, _SUPPLIER_PRICE = Expense.entity_type, SalesOrder.entity_type, SupplierPrice.entity_type


def use_part(
    uow: UnitOfWork,
    actor: Actor,
    *,
    ticket_id: RecordId,
    product_id: RecordId,
    quantity: str = "1",
    warehouse_id: RecordId | None = None,
    covered: bool | None = None,
    price: str | None = None,
    cost: str | None = None,
    remark: str | None = None,
) -> dict[str, Any]:
    """Take a part from stock for a ticket; returns it.

    covered: whether we bear it; where nobody says, the warranty on the day the ticket was opened decides · price: of one, without it the list price ·
    cost: of one, without it what the cheapest supplier asks today, as far as the actor sees that. What we bear is an expense where the cost is known.
    """
    ticket, product = uow.get(TICKET, ticket_id), uow.get(_PRODUCT, product_id)
    if ticket["state"] not in UNDONE:
        raise Refused("ticket_done", N_("“{title}” is done with. Reopen it to use a part."), title=ticket["title"])
    if not product["stocked"]:
        raise Refused("not_stocked", N_("“{product}” is not kept in stock."), product=product["name"])
    pieces = parse_decimal(quantity)
    if pieces <= 0:
        raise InvalidInput("not_positive", N_("The quantity must be more than 0."), field="quantity")
    check_decimals(pieces, product["unit"], unit_decimals(uow.connection))
    now = moment(uow.store.clock)
    warehouse = warehouse_id or usual_warehouse(uow, actor)
    if warehouse is None:
        raise InvalidInput("required", N_("{label} is required."), label=PART.fields["warehouse_id"].label, field="warehouse_id")
    uow.get(_WAREHOUSE, warehouse)
    borne = is_covered(ticket["warranty_until"], ticket["opened_at"].astimezone().date()) if covered is None else covered
    each = _price(price, product["price"] if _sees(actor, "price") else None, "price")
    if not borne and each is None:
        raise InvalidInput("required", N_("{label} is required."), label=PART.fields["price"].label, field="price")
    unit_cost = _price(cost, None, "cost") if cost else purchase_price(uow.connection, actor, product_id, pieces, now.astimezone().date())
    values = PART.validate(
        {
            "ticket_id": ticket_id,
            "at": now,
            "product_id": product_id,
            "warehouse_id": warehouse,
            "quantity": pieces,
            "cost": None if unit_cost is None else round_to(unit_cost * pieces, MONEY_SCALE),
            "covered": borne,
            "price": None if borne else each,
            "amount": Decimal(0) if borne else amount_of(pieces, each),
            "move_id": "0" * 32,
            "by_id": actor.user_id,
            "branch_id": uow.node.branch_id,
            "remark": remark,
        }
    )
    policy.require_limits(actor, PART, values, None)
    enough = require_enough(uow, warehouse, {product_id: -pieces})
    values["move_id"] = _move(uow, ticket, values, MoveType.ISSUE, enough=bool(enough))
    values["expense_id"] = _expense(uow, actor, ticket, product, values) if borne and values["cost"] else None
    return _shown(uow, actor, uow.insert(PART, values))


def take_part_back(uow: UnitOfWork, actor: Actor, *, part_id: RecordId) -> dict[str, Any]:
    """Put a part that was not needed back into stock: a row with the opposite quantity; returns that. Only the branch that took it can."""
    part = uow.get(PART, part_id)
    policy.require_record(uow.connection, actor, TICKET, part["ticket_id"], "update")
    policy.require_limits(actor, PART, part, None)
    if part["branch_id"] != uow.node.branch_id:
        raise Refused("other_branch", N_("This part left the stock of another branch. It is put back there."))
    if part["reverses_id"] or uow.where(PART, reverses_id=part_id):
        raise Refused("part_is_back", N_("This part has been put back already."))
    ticket = uow.get(TICKET, part["ticket_id"])
    opposite = {key: part[key] for key in PART.fields} | {"at": moment(uow.store.clock), "by_id": actor.user_id, "reverses_id": part_id}
    opposite |= {"quantity": -part["quantity"], "amount": -part["amount"], "cost": None if part["cost"] is None else -part["cost"]}
    opposite["move_id"] = _move(uow, ticket, opposite, MoveType.RETURN)
    if part["expense_id"] and uow.find(_EXPENSE, part["expense_id"]):
        uow.set_deleted(_EXPENSE, part["expense_id"], deleted=True)
    return _shown(uow, actor, uow.insert(PART, PART.validate(opposite)))


def usual_warehouse(uow: UnitOfWork, actor: Actor) -> str | None:
    """The oldest warehouse of this branch among those the actor deals with."""
    known = uow.where(_WAREHOUSE, branch_id=uow.node.branch_id, active=True)
    return next((house["id"] for house in known if policy.is_within(actor, "warehouse", house["id"])), None)


def purchase_price(connection: Connection, actor: Actor, product_id: str, quantity: Decimal, today: dt.date) -> Decimal | None:
    """What the cheapest supplier asks for one of so many today; None where nobody is known to sell it, or the actor may not see."""
    seen = policy.seen(actor, _SUPPLIER_PRICE)
    if seen is None or not all(map(seen.shows, ("supplier_id", "product_id", "price", "from_quantity", "until"))):
        return None
    scales: dict[str, list[Record]] = {}
    for page in every(connection, ListQuery(_SUPPLIER_PRICE, where=(Condition("product_id", "=", product_id),), restrict=seen)):
        for row in page.rows:
            scales.setdefault(row["supplier_id"], []).append(row)
    steps = (price_for(scale, quantity, today) for scale in scales.values())
    return min((step["price"] for step in steps if step is not None), default=None)


def _sees(actor: Actor, key: str) -> bool:
    seen = policy.seen(actor, _PRODUCT)
    return seen is not None and seen.shows(key)


def _price(typed: str | None, usual: Decimal | None, field: str) -> Decimal | None:
    if not (typed or "").strip():
        return usual
    value = parse_decimal(str(typed))
    if value < 0:
        raise InvalidInput("too_small", N_("{label} must be at least {ge}."), label=PART.fields[field].label, ge=0, field=field)
    return value


def _move(uow: UnitOfWork, ticket: Record, part: Record, kind: MoveType, *, enough: bool = False) -> str:
    values = {key: part[key] for key in ("product_id", "warehouse_id", "branch_id")}
    values |= {
        "date": part["at"].astimezone().date(),
        "type": kind,
        "quantity": -part["quantity"],
        "remark": ticket["number"],
        "enough": enough,
    }
    return uow.insert(_MOVE, _MOVE.validate(values))


def _expense(uow: UnitOfWork, actor: Actor, ticket: Record, product: Record, part: Record) -> str:
    values = {
        "date": part["at"].astimezone().date(),
        "customer_id": ticket["customer_id"],
        "opportunity_id": ticket["opportunity_id"],
        "type": "warranty",
        "amount": part["cost"],
        "user_id": actor.user_id,
        "purpose": f"{ticket['number']} {product['name']}"[:500],
        "branch_id": uow.node.branch_id,
    }
    return uow.insert(_EXPENSE, _EXPENSE.validate(values))


# what the customer is asked for ------------------------------------------------------------------------------------------


def charge_of(connection: Connection, ticket_ids: list[str]) -> Decimal:
    """What a ticket and those merged into it come to for the customer: fees, and parts we do not bear."""
    marks, ids = ",".join("?" * len(ticket_ids)), [bytes.fromhex(one) for one in ticket_ids]
    fees = connection.value(f"SELECT coalesce(sum(fee), 0) FROM ticket WHERE deleted = 0 AND id IN ({marks})", ids)
    parts = connection.value(f"SELECT coalesce(sum(amount), 0) FROM ticket_part WHERE deleted = 0 AND ticket_id IN ({marks})", ids)
    amount = PART.fields["amount"]
    return Decimal(amount.load(fees + parts))


def bill_ticket(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, product_id: RecordId) -> dict[str, Any]:
    """Make the draft of a sales order over what the customer is asked for; ``product_id`` is the service it is called. Returns the order.

    The parts have left stock already, so the order moves no goods. Posted, it is owed like any other order.
    """
    policy.require(actor, "sales_order.create")
    policy.require_record(uow.connection, actor, TICKET, ticket_id, "update")
    ticket, product = uow.get(TICKET, ticket_id), uow.get(_PRODUCT, product_id)
    if ticket["state"] == TicketState.MERGED:
        raise Refused("ticket_merged", N_("“{title}” goes on in another ticket, which is billed for both."), title=ticket["title"])
    if product["stocked"]:
        raise InvalidInput(
            "goods_not_service",
            N_("“{product}” is kept in stock. Choose a service: the parts have left already."),
            product=product["name"],
            field="product_id",
        )
    billed = uow.find(_ORDER, ticket["order_id"]) if ticket["order_id"] else None
    if billed is not None and not uow.where(_ORDER, reverses_id=billed["id"]):
        raise Refused(
            "billed_already",
            N_("“{title}” is billed already, by the order {number}."),
            title=ticket["title"],
            number=billed["number"] or gettext(N_("(draft)")),
        )
    owed = charge_of(uow.connection, family(uow.connection, ticket_id))
    if owed <= 0:
        raise Refused(
            "nothing_to_bill",
            N_("Nothing is asked of the customer for “{title}”: no fee, and no part that we do not bear."),
            title=ticket["title"],
        )
    line = {"product_id": product_id, "description": f"{ticket['number']} {ticket['title']}"[:200], "quantity": "1", "price": str(owed)}
    order = save_order(uow, actor, header={"customer_id": ticket["customer_id"]}, lines=[line])
    uow.update(TICKET, ticket_id, {"order_id": order["id"]})
    return order


def _shown(uow: UnitOfWork, actor: Actor, part_id: str) -> dict[str, Any]:
    if not policy.may(actor, "ticket_part.read"):
        return {"id": part_id}
    return record_json(PART, policy.shown(actor, PART, uow.get(PART, part_id)))


VERBS = (
    Verb(use_part, N_("Use a part for a ticket"), "ticket.update", record="ticket_id"),
    Verb(take_part_back, N_("Put a part back into stock")),
    Verb(bill_ticket, N_("Bill a ticket")),
)
