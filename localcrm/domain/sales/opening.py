"""What a customer owed, or had to his credit, when the books began: a posted order without goods, paid and reversed like every other."""

from __future__ import annotations

from typing import Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.admin.organisation import company_of_branch
from localcrm.domain.crm.entities import Customer
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import OrderStatus, SalesOrder
from localcrm.domain.typed import read_text
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MONEY_SCALE, parse_decimal, round_to
from localcrm.store.query import record_json, titles
from localcrm.store.uow import UnitOfWork

_ORDER, _CUSTOMER = SalesOrder.entity_type, Customer.entity_type


def enter_opening_balance(
    uow: UnitOfWork, actor: Actor, *, customer_id: RecordId, amount: str, date: str | None = None, remark: str | None = None
) -> dict[str, Any]:
    """Enter what a customer owes from before the books began, below nothing what he has to his credit; one for each old bill, or one for all.

    It is owed, paid, set off and aged as an order is, and counts as none: it sells nothing. Returns it. What is wrong is reversed.
    """
    owed = parse_decimal(amount)
    if owed == 0 or round_to(owed, MONEY_SCALE) != owed:
        raise InvalidInput("no_opening_amount", N_("Enter the amount, in cents at the finest; it must not be zero."), field="amount")
    customer = uow.get(_CUSTOMER, customer_id)
    dated = _ORDER.fields["date"]
    day = dated.load(str(read_text(dated, date))) if date else uow.today
    if day > uow.today:
        raise InvalidInput("opening_later", N_("“{label}” lies in the future."), label=dated.label, field="date")
    company = company_of_branch(uow.connection, uow.node.branch_id)
    values = {
        "customer_id": customer_id,
        "opening": True,
        "date": day,
        "net": owed,
        "gross": owed,
        "owner_id": customer["owner_id"] or actor.user_id,
        "branch_id": uow.node.branch_id,
        "legal_entity_id": company,
        "legal_entity_name": titles(uow.connection, LegalEntity.entity_type, [company])[company][:200] if company else None,
        "customer_name": customer["name"][:200],
        "remark": remark,
    }
    posted = {"status": OrderStatus.POSTED, "number": next_number(uow, _ORDER, day), "posted_at": now_utc()}
    made = uow.insert(_ORDER, _ORDER.validate(values | posted))
    return record_json(_ORDER, policy.shown(actor, _ORDER, uow.get(_ORDER, made)))


VERBS = (Verb(enter_opening_balance, N_("Enter a customer's opening balance"), "customer.opening", record="customer_id"),)
