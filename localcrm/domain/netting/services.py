"""A company that is supplier and customer: both balances side by side, and setting one off against the other.

What is set off is one entry of the supplier's account and receipts for orders of the customer that name it, written together; taking it
back adds the opposite of all of them. Two places that set off the same debt apart leave a balance in favour on both sides, which stays in
sight until one of them takes its part back (ADR 0053).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import PaymentMethod, Receipt
from localcrm.domain.finance.services import check_receipt, prepare_receipt
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.purchase.entities import EntryKind
from localcrm.domain.purchase.payables import ENTRY, SUPPLIER, insert_reversal, owed
from localcrm.domain.records import Behaviour
from localcrm.domain.sales.entities import SalesOrder
from localcrm.domain.typed import read_text
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import Forbidden, InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MONEY_SCALE, parse_decimal, round_to
from localcrm.store.connection import Connection
from localcrm.store.merged import one_of, survivor
from localcrm.store.query import Record, record_json, records_by_id
from localcrm.store.uow import UnitOfWork

_CUSTOMER, _ORDER, _RECEIPT = Customer.entity_type, SalesOrder.entity_type, Receipt.entity_type
_MONEY = _ORDER.fields["gross"]
_NOTHING = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Open:
    """A posted order that stands and is not paid in full."""

    id: str
    number: str | None
    date: str | None
    gross: Decimal
    open: Decimal


@dataclass(frozen=True, slots=True)
class Net:
    """Both sides. ``they_owe``: of all orders of the customer, below nothing where more was received · ``orders``: the open ones, the oldest first."""

    customer: str
    we_owe: Decimal
    they_owe: Decimal
    orders: Sequence[Open]

    @property
    def most(self) -> Decimal:
        """What can be set off: the smaller of both balances."""
        return max(_NOTHING, min(self.we_owe, self.they_owe, sum((one.open for one in self.orders), _NOTHING)))


def net_of(connection: Connection, actor: Actor, supplier: Record) -> Net | None:
    """Both balances of a supplier that is a customer too; None where it is none, or the actor may not see what they are made of."""
    orders, receipts = policy.seen(actor, _ORDER), policy.seen(actor, _RECEIPT)
    if supplier["customer_id"] is None or orders is None or receipts is None:
        return None
    customer = survivor(connection, _CUSTOMER, supplier["customer_id"])
    shown = all(map(orders.shows, ("customer_id", "status", "gross", "date", "reverses_id"))) and receipts.shows("amount")
    we = owed(connection, actor, [supplier["id"]], connection.today)
    if not shown or not we or not policy.visible(connection, actor, _CUSTOMER, customer):
        return None
    is_his, keys = one_of(connection, _CUSTOMER, customer)
    condition, params = orders.condition("o")
    # The plus keeps SQLite from reading every posted order there is.
    rows = connection.all(
        f"""SELECT o.id, o.number, o.date, o.gross, coalesce((SELECT sum(r.total) FROM order_received r WHERE r.order_id = o.id), 0),
            o.reverses_id IS NULL AND NOT EXISTS (SELECT 1 FROM sales_order r WHERE r.reverses_id = o.id AND r.deleted = 0)
            FROM sales_order o WHERE o.customer_id {is_his} AND +o.status = 'posted' AND o.deleted = 0 AND {condition} ORDER BY o.date, o.number""",
        [*keys, *params],
    )
    told = [
        (Open(key.hex(), number, date, _MONEY.load(gross), _MONEY.load(gross - paid)), stands)
        for key, number, date, gross, paid, stands in rows
    ]
    they = sum((one.open for one, _stands in told), _NOTHING)
    return Net(customer, we[supplier["id"]].balance, they, [one for one, stands in told if stands and one.open > 0])


def net_statement(uow: UnitOfWork, actor: Actor, *, supplier_id: RecordId) -> dict[str, Any]:
    """Both sides of a supplier that is a customer too; see ``both_sides``."""
    return both_sides(uow.connection, actor, supplier_id)


def both_sides(connection: Connection, actor: Actor, supplier_id: str) -> dict[str, Any]:
    """Of a supplier the actor sees: {"customer_id", "customer", "we_owe", "they_owe", "net", "most", "orders"}.

    net: what we owe less what they owe · most: what can be set off · orders: open ones, the oldest first, [{"id", "number", "date", "gross",
    "open"}]. Without a customer, or where the actor may not see both sides: {"customer_id": None}.
    """
    supplier = records_by_id(connection, SUPPLIER, [supplier_id])[0]
    net = net_of(connection, actor, supplier) if policy.view(actor, SUPPLIER).shows("customer_id") else None
    if net is None:
        return {"customer_id": None}
    name = policy.shown(actor, _CUSTOMER, records_by_id(connection, _CUSTOMER, [net.customer])[0]).get("name")
    sides = {"we_owe": net.we_owe, "they_owe": net.they_owe, "net": net.we_owe - net.they_owe, "most": net.most}
    return {"customer_id": net.customer, "customer": name, **sides, "orders": [asdict(one) for one in net.orders]}


def set_off(
    uow: UnitOfWork,
    actor: Actor,
    *,
    supplier_id: RecordId,
    amount: str | None = None,
    order_ids: list[RecordId] | None = None,
    date: str | None = None,
    remark: str | None = None,
) -> dict[str, Any]:
    """Set off what we owe a supplier against what he owes us as customer: all that can be, or ``amount``, for the orders named or the oldest.

    Returns {"entry": of the supplier's account, "receipts"}. Raises Refused for more than the smaller of both balances.
    """
    policy.require(actor, f"{ENTRY.key}.create")
    policy.require(actor, f"{_RECEIPT.key}.create")
    policy.require_parent(uow.connection, actor, ENTRY, {"supplier_id": supplier_id}, "create")
    supplier = uow.get(SUPPLIER, supplier_id)
    net = net_of(uow.connection, actor, supplier)
    if supplier["customer_id"] is None:
        raise Refused("no_customer_of_supplier", N_("Say first which customer this supplier is (“Also our customer”)."))
    if net is None:
        raise Forbidden("sees_part", N_("You do not see what both sides owe, so you cannot set it off."))
    chosen = [one for one in net.orders if order_ids is None or one.id in order_ids]
    most = min(net.most, sum((one.open for one in chosen), _NOTHING))
    what = most if amount is None else round_to(parse_decimal(amount), MONEY_SCALE)
    if what <= 0 or what > most:
        raise Refused(
            "more_than_both",
            N_("We owe {we}, they owe {they}; for these orders up to {most} can be set off. Nothing was entered."),
            we=f"{net.we_owe:,.2f}",
            they=f"{net.they_owe:,.2f}",
            most=f"{most:,.2f}",
        )
    day = ENTRY.fields["date"].load(str(read_text(ENTRY.fields["date"], date))) if date else uow.today
    values = {"date": day, "supplier_id": supplier_id, "kind": EntryKind.SET_OFF, "amount": what, "owed": -what}
    values |= {"customer_id": net.customer, "branch_id": uow.node.branch_id, "number": next_number(uow, ENTRY, day), "remark": remark}
    entry = uow.insert(ENTRY, ENTRY.validate(values))
    receipts, left = [], what
    for one in chosen:
        part = min(left, one.open)
        if part > 0:
            receipts.append(_receive(uow, actor, entry, one.id, part, day, remark))
            left -= part
    return _told(uow, actor, entry, receipts)


def take_back(uow: UnitOfWork, actor: Actor, *, entry_id: RecordId, remark: str | None = None) -> dict[str, Any]:
    """Take back what was set off, on both sides at once; returns the same as ``set_off`` of the opposite entries."""
    policy.require_record(uow.connection, actor, ENTRY, entry_id, "create")
    policy.require(actor, f"{_RECEIPT.key}.create")
    entry = uow.get(ENTRY, entry_id)
    if entry["kind"] != EntryKind.SET_OFF:
        raise InvalidInput("not_set_off", N_("Nothing was set off by this entry; reverse it instead."), field="entry_id")
    opposite = insert_reversal(uow, actor, entry, remark)
    day = uow.today
    receipts = [
        _receive(uow, actor, opposite, one["order_id"], -one["amount"], day, remark)
        for one in uow.where(_RECEIPT, supplier_entry_id=entry_id)
    ]
    return _told(uow, actor, opposite, receipts)


def _receive(uow: UnitOfWork, actor: Actor, entry: str, order: str, amount: Decimal, day: dt.date, remark: str | None) -> str:
    """A receipt for an order by an entry of a supplier's account, by the rules of any other; returns its id."""
    values: dict[str, Any] = {"order_id": order, "amount": amount, "method": PaymentMethod.SET_OFF, "account_id": None}
    values |= {"date": day, "remark": remark, "supplier_entry_id": entry}
    policy.require_parent(uow.connection, actor, _RECEIPT, values, "create")
    checked = _RECEIPT.validate(prepare_receipt(uow, actor, values, None))
    check_receipt(uow, actor, checked, None)
    return uow.insert(_RECEIPT, checked)


def _told(uow: UnitOfWork, actor: Actor, entry: str, receipts: Sequence[str]) -> dict[str, Any]:
    shown = [record_json(_RECEIPT, policy.shown(actor, _RECEIPT, uow.get(_RECEIPT, one))) for one in receipts]
    return {"entry": record_json(ENTRY, policy.shown(actor, ENTRY, uow.get(ENTRY, entry))), "receipts": shown}


BEHAVIOURS: dict[str, Behaviour] = {}
VERBS = (
    Verb(net_statement, N_("Show what a supplier who is a customer too owes and is owed"), "supplier.read", record="supplier_id"),
    Verb(set_off, N_("Set off what a supplier owes us as customer")),
    Verb(take_back, N_("Take back what was set off")),
)
