"""What a customer owed, or had to his credit, when the books began: a posted order without goods, paid and reversed like every other."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import LegalEntity
from localcrm.domain.admin.organisation import company_of_branch
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.import_columns import Beside
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.sales.credit import is_within_limit
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
OPENING = "customer.opening"
_ENTER = N_("Enter the amount, in cents at the finest; it must not be zero.")


def enter_opening_balance(
    uow: UnitOfWork, actor: Actor, *, customer_id: RecordId, amount: str, date: str | None = None, remark: str | None = None
) -> dict[str, Any]:
    """Enter what a customer owes from before the books began, below nothing what he has to his credit; one for each old bill, or one for all.

    It is owed, paid, set off and aged as an order is, and counts as none: it sells nothing. Returns it. What is wrong is reversed.
    """
    owed = _amount(amount)
    if owed == 0:
        raise InvalidInput("no_opening_amount", _ENTER, field="amount")
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
    within = bool(is_within_limit(uow.connection, customer, owed))
    posted = {"status": OrderStatus.POSTED, "number": next_number(uow, _ORDER, day), "posted_at": now_utc(), "within_limit": within}
    made = uow.insert(_ORDER, _ORDER.validate(values | posted))
    return record_json(_ORDER, policy.shown(actor, _ORDER, uow.get(_ORDER, made)))


def _amount(text: Any) -> Decimal:
    try:
        owed = parse_decimal(str(text))
    except InvalidInput as error:
        error.params["field"] = "amount"
        raise
    if round_to(owed, MONEY_SCALE) != owed:
        raise InvalidInput("no_opening_amount", _ENTER, field="amount")
    return owed


def _check_cells(cells: Mapping[str, Any]) -> None:
    """An amount, without which a date or a remark says nothing."""
    if "amount" not in cells:
        raise InvalidInput("no_opening_amount", _ENTER, field="amount")
    _amount(cells["amount"])


def _write_cells(uow: UnitOfWork, actor: Actor, customer_id: str, cells: Mapping[str, Any]) -> str:
    """Enter what a row says a customer owes; nothing where that is zero, or stands already as the row says it."""
    _check_cells(cells)
    owed, day = _amount(cells["amount"]), cells.get("date")
    if owed == 0:
        return "skipped"
    policy.require_record(uow.connection, actor, _CUSTOMER, customer_id, OPENING.partition(".")[2])  # before anything is compared
    given = {"date": _ORDER.fields["date"].load(str(day)) if day else None, "remark": cells.get("remark")}
    there = uow.where(_ORDER, customer_id=customer_id, opening=True, status=OrderStatus.POSTED.value, gross=owed)
    same = [one for one in there if one["remark"] == given["remark"] and given["date"] in {None, one["date"]}]
    if any(not uow.where(_ORDER, reverses_id=one["id"]) for one in same):
        return "skipped"
    enter_opening_balance(uow, actor, customer_id=customer_id, amount=str(owed), date=str(day) if day else None, remark=given["remark"])
    return "created"


#: With the customers of a table comes what they owed.
WITH_CUSTOMERS = Beside(
    key="opening",
    label_msgid=N_("Opening balance"),
    fields={"amount": Receipt.entity_type.fields["amount"], "date": _ORDER.fields["date"], "remark": _ORDER.fields["remark"]},
    permission=OPENING,
    check=_check_cells,
    write=_write_cells,
)
VERBS = (Verb(enter_opening_balance, N_("Enter a customer's opening balance"), OPENING, record="customer_id"),)
