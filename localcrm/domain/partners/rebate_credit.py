"""Rebates given as credit for goods: what of it is left, and that it pays for orders of the partner's own customer.

An order is paid with it by a receipt like any other, whose way of payment is the rebate credit; a refund gives it back. What is left is what
was given less these receipts, so nothing has to be kept beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.partners.entities import Partner, RebateSettlement
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import SalesOrder
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.merged import one_of, survivor
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import mask

PARTNER, SETTLED = Partner.entity_type, RebateSettlement.entity_type
_RECEIPT, _CUSTOMER = Receipt.entity_type, Customer.entity_type
_AMOUNT = SETTLED.fields["amount"]


def partner_of(connection: Connection, customer_id: str) -> tuple[str, str] | None:
    """Id and name of the partner who is this customer, whoever asks; None where nobody is."""
    row = connection.one(
        "SELECT id, name FROM partner WHERE customer_id = ? AND deleted = 0 ORDER BY id LIMIT 1",
        (bytes.fromhex(survivor(connection, _CUSTOMER, customer_id)),),
    )
    return (row[0].hex(), row[1]) if row else None


def left(connection: Connection, partner_id: str) -> Decimal:
    """What a partner still has of the credit he was given, whoever asks; below nothing where two places used the same credit apart."""
    given = connection.value(
        "SELECT coalesce(sum(amount), 0) FROM rebate_settlement WHERE partner_id = ? AND +way = 'credit' AND deleted = 0",
        (bytes.fromhex(partner_id),),
    )
    customer = connection.value("SELECT customer_id FROM partner WHERE id = ?", (bytes.fromhex(partner_id),))
    amount: Decimal = _AMOUNT.load(given - (_used(connection, customer.hex()) if customer else 0))
    return amount


def _used(connection: Connection, customer_id: str) -> int:
    """What a customer has paid with rebate credit, less what he was given back (stored units)."""
    is_his, ids = one_of(connection, _CUSTOMER, survivor(connection, _CUSTOMER, customer_id))
    used = connection.value(
        f"SELECT coalesce(sum(amount), 0) FROM receipt WHERE customer_id {is_his} AND +method = 'rebate' AND deleted = 0", ids
    )
    return int(used)


def sees_credit(actor: Actor) -> bool:
    """Whether he may learn what is left."""
    settled, receipts, partners = (policy.seen(actor, kind) for kind in (SETTLED, _RECEIPT, PARTNER))
    return (
        settled is not None
        and all(map(settled.shows, ("partner_id", "amount", "way")))
        and receipts is not None
        and receipts.rows is None
        and all(map(receipts.shows, ("customer_id", "amount", "method")))
        and partners is not None
        and partners.shows("customer_id")
    )


def credit_for(connection: Connection, actor: Actor, customer_id: str) -> Decimal | None:
    """What of the credit of the partner who is this customer is left; None where there is no such partner, or none for this actor to see."""
    found = partner_of(connection, customer_id)
    if found is None or not sees_credit(actor) or not policy.visible(connection, actor, PARTNER, found[0]):
        return None
    return left(connection, found[0])


def check_customer(uow: UnitOfWork, new: Mapping[str, Any], old: Record | None) -> None:
    """Whose orders a partner paid with his credit stays his customer: the credit would be there a second time."""
    before = old["customer_id"] if old else None
    if before is None or new["customer_id"] in {before, survivor(uow.connection, _CUSTOMER, before)}:
        return
    if _used(uow.connection, before):
        raise Refused(
            "credit_was_used",
            N_("This customer has paid orders with the partner's rebate credit, so the partner stays this customer. Nothing was changed."),
            field="customer_id",
        )


def check_credit(uow: UnitOfWork, actor: Actor, receipt: Mapping[str, Any]) -> None:
    """A receipt paid with rebate credit is of a partner who has so much left; a refund gives back no more than the order was paid with."""
    found = partner_of(uow.connection, receipt["customer_id"])
    if found is None:
        raise InvalidInput("no_partner", N_("Only a channel partner who is a customer too pays with rebate credit."), field="method")
    if receipt["amount"] < 0 and _paid_with(uow, receipt["order_id"]) + receipt["amount"] < 0:
        raise Refused(
            "more_than_paid_with_credit",
            N_("At most what was paid for this order with rebate credit becomes credit again. Nothing was entered."),
            field="amount",
        )
    there = left(uow.connection, found[0])
    if receipt["amount"] > max(there, Decimal(0)):
        raise Refused(
            "more_than_credit",
            N_("{left} of the rebate credit of “{partner}” is left. Nothing was entered."),
            left=f"{max(there, Decimal(0)):,.2f}" if sees_credit(actor) else str(mask(_AMOUNT, there)),
            partner=found[1] if policy.visible(uow.connection, actor, PARTNER, found[0]) else "…",
        )


def _paid_with(uow: UnitOfWork, order_id: str) -> Decimal:
    """What an order was paid with rebate credit, its reversal counted with it."""
    order = uow.get(SalesOrder.entity_type, order_id)
    total = uow.connection.value(
        """SELECT coalesce(sum(r.amount), 0) FROM sales_order o JOIN receipt r ON r.order_id = o.id
           WHERE (o.id = ?1 OR o.reverses_id = ?1) AND +r.method = 'rebate' AND r.deleted = 0""",
        (bytes.fromhex(order["reverses_id"] or order["id"]),),
    )
    amount: Decimal = _AMOUNT.load(total)
    return amount
