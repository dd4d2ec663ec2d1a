"""Sales orders: entered as drafts, posted once, reversed by a posted reversal.

Posting gives the number, freezes amounts and the customer's name, and issues the goods, all in one transaction.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Set as AbstractSet
from decimal import Decimal
from typing import Any

from localcrm.domain import own_fields, policy
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.admin.organisation import company_of_branch
from localcrm.domain.approvals.documents import check_approved, check_editable
from localcrm.domain.catalog.entities import Product, Warehouse
from localcrm.domain.crm.checks import check_same_customer, filled_from
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.in_use import check_in_use
from localcrm.domain.ledgers import check_own
from localcrm.domain.numbering import next_number
from localcrm.domain.options.company import company_value, company_yes
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.sales import (
    consumables,
    contracts,
    deliveries,
    installed,
    level_prices,
    lines as sale_lines,
    opening,
    quotes,
    returns,
    rules,
    signing,
)
from localcrm.domain.sales.contracts import check_contract_of_order
from localcrm.domain.sales.credit import is_within_limit
from localcrm.domain.sales.entities import OrderStatus, SalesOrder, SalesOrderLine
from localcrm.domain.stock.entities import MoveType, StockMove
from localcrm.domain.stock.services import require_enough, stock_list
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import LineAmounts
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, record_json, records_by_id
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

_ORDER, _LINE, _MOVE = SalesOrder.entity_type, SalesOrderLine.entity_type, StockMove.entity_type
_RECEIPT = Receipt.entity_type


# drafts ----------------------------------------------------------------------------------------------------------


def begin_order(connection: Connection, node: Node) -> dict[str, Any]:
    """A new order begins with prices as the company has them, with tax or without."""
    return {"tax_included": company_yes(connection, node, "prices_include_tax")}


def prepare_order(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new order is of today, by whoever enters it, from the branch's first warehouse, in the name of the branch's company; of the deal its contract is of."""
    under = values.get("contract_id")
    if under and (old is None or (under != old["contract_id"] and old["opportunity_id"] is None)):
        values = filled_from(uow, actor, _ORDER, values, "contract_id", "opportunity_id")
    if old is not None:
        return values
    filled = filled_from(uow, actor, _ORDER, {**values, "branch_id": uow.node.branch_id}, "opportunity_id", "customer_id")
    filled["date"] = filled.get("date") or uow.today
    filled["owner_id"] = filled.get("owner_id") or actor.user_id
    if not filled.get("warehouse_id"):
        filled["warehouse_id"] = _first_warehouse(uow, actor)
    if not filled.get("legal_entity_id"):
        filled["legal_entity_id"] = company_of_branch(uow.connection, uow.node.branch_id)
    return filled


def _first_warehouse(uow: UnitOfWork, actor: Actor) -> str | None:
    """The oldest warehouse of the branch, else of the company, among those the actor deals with."""
    known = [house for house in uow.where(Warehouse.entity_type, active=True) if policy.is_within(actor, "warehouse", house["id"])]
    own = [house for house in known if house["branch_id"] == uow.node.branch_id]
    return next((house["id"] for house in own or known), None)


def check_order(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """Only the owning branch edits a draft; nobody edits a posted order; who is no longer dealt with gets no new one."""
    if old is not None:
        _check_editable_here(uow, old)
    if new["customer_id"] is not None and (old is None or old["customer_id"] != new["customer_id"]):
        customer = uow.find(Customer.entity_type, new["customer_id"])
        if customer is not None and customer["inactive"]:
            raise InvalidInput(
                "customer_inactive",
                N_("“{name}” is marked as no longer dealt with. Choose another customer, or take the mark off first."),
                name=customer["name"],
                field="customer_id",
            )
    check_in_use(uow, actor, _ORDER, new, old, "warehouse_id")
    check_contract_of_order(uow, new)
    check_same_customer(uow, _ORDER, new, "opportunity_id")


def reprice_order(uow: UnitOfWork, actor: Actor, order: Record, old: Record | None) -> None:
    """Lines follow when the order changes between prices with and without tax."""
    if old is not None and old["tax_included"] != order["tax_included"]:
        sale_lines.reprice(uow, actor, _LINE, order)
        _refresh_totals(uow, order["id"])


def check_order_of_lines(uow: UnitOfWork, actor: Actor, order_id: str) -> None:  # noqa: ARG001
    """Lines change only while their order is a draft of this branch."""
    _check_editable_here(uow, uow.get(_ORDER, order_id))


def refresh_order(uow: UnitOfWork, actor: Actor, order_id: str) -> None:  # noqa: ARG001
    """The order's totals follow its lines; whoever still looks at the order as it was must look again."""
    if not _refresh_totals(uow, order_id):
        uow.touch(_ORDER, order_id)


def save_order(
    uow: UnitOfWork,
    actor: Actor,
    *,
    header: dict[str, Any],
    lines: list[dict[str, Any]],
    order_id: RecordId | None = None,
    version: int | None = None,
) -> dict[str, Any]:
    """Save a whole draft: header and lines as they stand on the form. Lines without ``id`` are new, with nothing else unchanged, absent ones go."""
    saved = sale_lines.save(uow, actor, _LINE, header=header, lines=lines, identity=order_id, version=version)
    return order_with_lines(uow, actor, order_id=saved)


def order_with_lines(uow: UnitOfWork, actor: Actor, *, order_id: RecordId) -> dict[str, Any]:
    """An order in JSON form with its lines and what is derived from movements and receipts, as the actor may see it."""
    order = policy.shown(actor, _ORDER, uow.get(_ORDER, order_id))
    if not policy.may(actor, "sales_order.read"):
        return order
    shown = {**record_json(_ORDER, order), **derive_order(uow.connection, actor, [order])[0], "version": order["version"]}
    lines = order_lines(uow, order_id) if policy.may(actor, "sales_order_line.read") else []
    return {**shown, "lines": [record_json(_LINE, policy.shown(actor, _LINE, line)) for line in lines]}


# posting -----------------------------------------------------------------------------------------------------------


def post_order(uow: UnitOfWork, actor: Actor, *, order_id: RecordId) -> dict[str, Any]:
    """Post a draft; returns the order with its number and, under ``warnings``, what is now short in stock."""
    order = uow.get(_ORDER, order_id)
    _check_editable_here(uow, order)
    check_ready(uow, order)
    check_approved(uow.connection, _ORDER, order)
    _check_quote(uow, order)
    lines = order_lines(uow, order_id)
    warnings = _post(uow, actor, order, lines, _stocked_products(uow, lines))
    return {**order_with_lines(uow, actor, order_id=order_id), "warnings": warnings}


def _check_quote(uow: UnitOfWork, order: Record) -> None:
    """A quote is ordered once; made of it at two places apart, only the first order is posted."""
    others = uow.where(_ORDER, quote_id=order["quote_id"], status=OrderStatus.POSTED) if order["quote_id"] else []
    standing = [one for one in others if not one["reverses_id"] and not uow.where(_ORDER, reverses_id=one["id"], status=OrderStatus.POSTED)]
    if standing:
        raise Refused(
            "quote_ordered_elsewhere",
            N_(
                "The quote of this order has become {order} already, which is posted. Nothing was posted; delete this draft, or reverse that order first."
            ),
            order=standing[0]["number"],
        )


def check_ready(uow: UnitOfWork, order: Record) -> None:
    """Refuse an order that lacks what it is not posted without; where an approval is needed, before anybody is asked."""
    lines = order_lines(uow, order["id"])
    if order["customer_id"] is None:
        raise InvalidInput("no_customer", N_("Choose a customer before posting."), field="customer_id")
    if not lines:
        raise Refused("no_lines", N_("The order has no lines yet; nothing was posted."))
    own_fields.check_complete(_ORDER, order)
    for row, line in enumerate(lines, start=1):
        own_fields.check_complete(_LINE, line, row=row)


def reverse_order(uow: UnitOfWork, actor: Actor, *, order_id: RecordId, remark: str | None = None) -> dict[str, Any]:
    """Reverse a posted order: a new posted order of today with the opposite quantities; returns it."""
    order = uow.get(_ORDER, order_id)
    _check_own(uow, order)
    if order["status"] != OrderStatus.POSTED:
        raise Refused("not_posted", N_("Only a posted order can be reversed; a draft is simply deleted."))
    if order["reverses_id"]:
        raise Refused("is_reversal", N_("{number} is itself a reversal and cannot be reversed."), number=order["number"])
    if uow.where(_ORDER, reverses_id=order_id):
        raise Refused("already_reversed", N_("{number} has already been reversed."), number=order["number"])
    copied = (
        "customer_id",
        "warehouse_id",
        "owner_id",
        "branch_id",
        "tax_included",
        "customer_name",
        "legal_entity_id",
        "legal_entity_name",
        "contract_id",
        "opportunity_id",
        "opening",
    )
    values = {key: order[key] for key in copied} | {"reverses_id": order_id, "date": uow.today, "remark": remark}
    if order["opening"]:
        values |= {key: -order[key] for key in ("net", "tax", "gross")}
    own = {key: order[key] for key, field in _ORDER.fields.items() if field.custom and not field.custom.unique}
    reversal_id = uow.insert(_ORDER, {**_ORDER.validate(values), **own})  # what may be written today does not bind what was written then
    for line in order_lines(uow, order_id):
        opposite = {**{key: line[key] for key in _LINE.fields}, "order_id": reversal_id}
        for key in ("quantity", "net", "tax", "gross"):
            opposite[key] = -line[key]
        uow.insert(_LINE, opposite)
    _refresh_totals(uow, reversal_id)
    issued = {move["product_id"] for move in uow.where(_MOVE, order_id=order_id)}
    _post(uow, actor, uow.get(_ORDER, reversal_id), order_lines(uow, reversal_id), issued)
    return order_with_lines(uow, actor, order_id=reversal_id)


def _post(uow: UnitOfWork, actor: Actor, order: Record, lines: list[Record], stocked: AbstractSet[str]) -> list[dict[str, Any]]:
    """Number and freeze an order; the goods of the ``stocked`` products move. Returns what is now short, as far as the actor sees stock."""
    moved = [line for line in lines if line["product_id"] in stocked and line["quantity"]]
    if moved and order["warehouse_id"] is None:
        raise InvalidInput("no_warehouse", N_("Choose the warehouse the goods leave from before posting."), field="warehouse_id")
    customer = uow.get(Customer.entity_type, order["customer_id"], deleted=True)
    amounts = _amounts(order, lines)
    day = order["date"] or uow.today
    enough = require_enough(uow, order["warehouse_id"], _leaving(moved)) if moved else set()
    for line in moved:
        uow.insert(_MOVE, _issue(order, line, day, enough=line["product_id"] in enough))
    products = list(dict.fromkeys(line["product_id"] for line in moved))
    stock = stock_list(uow.connection, actor, product_ids=products) if products else []
    left = {row["product_id"]: row["quantity"] for row in stock if row["warehouse_id"] == order["warehouse_id"]}
    warnings = [
        {
            "product_id": product_id,
            "product": _product(uow, product_id)["name"],
            "on_hand": _MOVE.fields["quantity"].to_json(left[product_id]),
        }
        for product_id in products
        if left.get(product_id, 0) < 0 and company_value(uow.connection, uow.node, "negative_stock") != "allow"
    ]
    uow.update(
        _ORDER,
        order["id"],
        {
            "status": OrderStatus.POSTED,
            "number": next_number(uow, _ORDER, day),
            "date": day,
            "net": amounts.net,
            "tax": amounts.tax,
            "gross": amounts.gross,
            "customer_name": customer["name"][:200],
            "legal_entity_name": order["legal_entity_name"] or _company_name(uow, order),  # a reversal says what its order said
            "posted_at": now_utc(),
            "within_limit": bool(is_within_limit(uow.connection, customer, amounts.gross)),
        },
    )
    return warnings


def _company_name(uow: UnitOfWork, order: Record) -> str | None:
    company = order["legal_entity_id"] and uow.find(LegalEntity.entity_type, order["legal_entity_id"], deleted=True)
    return company["name"][:200] if company else None


def _issue(order: Record, line: Record, day: datetime.date, *, enough: bool) -> dict[str, Any]:
    kind = MoveType.RETURN if line["quantity"] < 0 else MoveType.ISSUE
    values = {
        "date": day,
        "type": kind,
        "product_id": line["product_id"],
        "warehouse_id": order["warehouse_id"],
        "quantity": -line["quantity"],
        "enough": enough,
    }
    return _MOVE.validate({**values, "order_id": order["id"], "order_line_id": line["id"], "branch_id": order["branch_id"]})


def _leaving(lines: list[Record]) -> dict[str, Decimal]:
    """What lines move by product, goods that leave counting as negative."""
    moved: dict[str, Decimal] = {}
    for line in lines:
        moved[line["product_id"]] = moved.get(line["product_id"], Decimal(0)) - line["quantity"]
    return moved


def _stocked_products(uow: UnitOfWork, lines: list[Record]) -> set[str]:
    return {product_id for product_id in {line["product_id"] for line in lines} if _product(uow, product_id)["stocked"]}


def _product(uow: UnitOfWork, product_id: str) -> Record:
    return uow.get(Product.entity_type, product_id, deleted=True)


# what is derived -----------------------------------------------------------------------------------------------------


def order_lines(uow: UnitOfWork, order_id: str) -> list[Record]:
    """Lines of an order in their order."""
    return sale_lines.lines_of(uow, _LINE, order_id)


def derive_order(connection: Connection, actor: Actor, orders: list[Record]) -> list[dict[str, Any]]:
    """Progress of orders: state, delivered, paid, received and open amounts — from movements and receipts, never stored.

    Who may not see what a part of it is worked out from does not learn of it from that part either.
    """
    views = {kind: policy.seen(actor, kind) for kind in (_ORDER, _LINE, _MOVE, _RECEIPT)}
    told = {part for part, made in _MADE_OF.items() if all((seen := views[kind]) is not None and seen.shows(key) for kind, key in made)}
    stored = orders if told == _MADE_OF.keys() else _stored(connection, orders)
    moves = views[_MOVE] or View(_MOVE, rows=())
    return [{part: value for part, value in _progress(connection, order, moves).items() if part in told} for order in stored]


#: What the parts of an order's progress are worked out from; what was received comes to the total once all is paid.
_MADE_OF: Mapping[str, tuple[tuple[EntityType, str], ...]] = {
    "state": ((_ORDER, "status"), (_ORDER, "reverses_id")),
    "delivered": ((_LINE, "quantity"), (_MOVE, "quantity")),
    "paid": ((_ORDER, "gross"), (_ORDER, "status"), (_RECEIPT, "amount")),
    "received": ((_ORDER, "gross"), (_RECEIPT, "amount")),
    "open": ((_ORDER, "gross"), (_ORDER, "status"), (_RECEIPT, "amount")),
    "reversed_by": ((_ORDER, "reverses_id"),),
}


def _stored(connection: Connection, orders: list[Record]) -> list[Record]:
    """The orders as they are in the data file: progress follows from fields that the list may not show."""
    found = {record["id"]: record for record in records_by_id(connection, _ORDER, [order["id"] for order in orders])}
    return [found[order["id"]] for order in orders]


def _progress(connection: Connection, order: Record, moves: View) -> dict[str, Any]:
    key = bytes.fromhex(order["id"])
    money, quantity = _ORDER.fields["gross"], _LINE.fields["quantity"]
    received = money.load(int(connection.value("SELECT coalesce(sum(total), 0) FROM order_received WHERE order_id = ?", (key,))))
    moved, params = _moved(moves, key)
    pairs = connection.all(
        f"""SELECT l.quantity, coalesce(m.total, 0) FROM sales_order_line l LEFT JOIN {moved} m ON m.order_line_id = l.id
           JOIN product p ON p.id = l.product_id WHERE l.order_id = ? AND l.deleted = 0 AND p.stocked = 1""",
        (*params, key),
    )
    reversed_by = connection.value("SELECT id FROM sales_order WHERE reverses_id = ? AND deleted = 0", (key,))
    posted = order["status"] == OrderStatus.POSTED
    state = "reversed" if reversed_by else "reversal" if order["reverses_id"] and posted else str(order["status"])
    open_amount = order["gross"] - received if state == "posted" else Decimal("0.00")
    return {
        "state": state,
        "delivered": None
        if order.get("opening")
        else rules.delivery_state([(quantity.load(ordered), quantity.load(moved)) for ordered, moved in pairs]),
        "paid": rules.payment_state(order["gross"], received) if posted else "none",
        "received": money.to_json(received),
        "open": money.to_json(open_amount),
        "reversed_by": reversed_by.hex() if reversed_by else None,
    }


def _moved(moves: View, order: bytes) -> tuple[str, list[Any]]:
    """What has moved by order line: the kept totals, or the sum of this order's movements that may be seen."""
    if moves.rows is None:
        return "order_line_moved", []
    condition, params = moves.condition("one")
    summed = (
        f"SELECT order_line_id, sum(quantity) AS total FROM stock_move one WHERE order_id = ? AND deleted = 0 AND {condition} GROUP BY 1"
    )
    return f"({summed})", [order, *params]


def _refresh_totals(uow: UnitOfWork, order_id: str) -> bool:
    amounts = _amounts(uow.get(_ORDER, order_id), order_lines(uow, order_id))
    return uow.update(_ORDER, order_id, {"net": amounts.net, "tax": amounts.tax, "gross": amounts.gross})


def _amounts(order: Record, lines: list[Record]) -> LineAmounts:
    """What an order comes to: the sum of its lines, and of an opening balance what was entered."""
    return LineAmounts(order["net"], order["tax"], order["gross"]) if order["opening"] else rules.totals(lines)


def _check_editable_here(uow: UnitOfWork, order: Record) -> None:
    if order["status"] == OrderStatus.POSTED:
        raise Refused("posted_document", N_("A posted document is never changed. Reverse it instead."))
    _check_own(uow, order)
    check_editable(uow.connection, _ORDER, order)


def _check_own(uow: UnitOfWork, order: Record) -> None:
    check_own(uow, _ORDER, order)


def check_installed(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A warranty does not end before it began."""
    if new["sold_on"] and new["warranty_until"] and new["warranty_until"] < new["sold_on"]:
        raise InvalidInput("end_before_start", N_("The warranty ends before the day of sale."), field="warranty_until")


BEHAVIOURS = {
    **quotes.BEHAVIOURS,
    **contracts.BEHAVIOURS,
    **deliveries.BEHAVIOURS,
    **level_prices.BEHAVIOURS,
    **installed.BEHAVIOURS,
    "installed_product": Behaviour(prepare=consumables.prepare_installed, check=check_installed),
    "sales_order": Behaviour(begin=begin_order, prepare=prepare_order, check=check_order, after=reprice_order, derive=derive_order),
    "sales_order_line": Behaviour(
        prepare=sale_lines.preparing(_LINE),
        check=sale_lines.checking(_LINE),
        check_document=check_order_of_lines,
        after_document=refresh_order,
    ),
}
VERBS = (
    *quotes.VERBS,
    *contracts.VERBS,
    *deliveries.VERBS,
    *installed.VERBS,
    *signing.VERBS,
    *returns.VERBS,
    *consumables.VERBS,
    *opening.VERBS,
    Verb(save_order, N_("Save a sales order")),
    Verb(order_with_lines, N_("Show a sales order"), "sales_order.read", record="order_id"),
    Verb(post_order, N_("Post a sales order"), "sales_order.post", record="order_id"),
    Verb(reverse_order, N_("Reverse a sales order"), "sales_order.reverse", record="order_id"),
)
