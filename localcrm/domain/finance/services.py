"""Money received for orders, and the accounts it goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.approvals.documents import check_editable
from localcrm.domain.crm.checks import check_same_customer, filled_from
from localcrm.domain.finance.approval import derive_expense
from localcrm.domain.finance.entities import Account, Expense, PaymentMethod, Receipt
from localcrm.domain.in_use import check_in_use
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour, create_record, update_record
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MONEY_SCALE, parse_decimal, round_to, spread
from localcrm.kernel.schema import EntityType, entity
from localcrm.store.query import Record, record_json
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import mask

_RECEIPT, _ACCOUNT, _EXPENSE = Receipt.entity_type, Account.entity_type, Expense.entity_type
#: What an expense may be about besides a customer, and what it takes over from each: the narrowest first.
_ABOUT = {
    "order_id": ("customer_id", "opportunity_id", "contract_id"),
    "contract_id": ("customer_id", "opportunity_id"),
    "opportunity_id": ("customer_id",),
}
#: What the parts of an expense have in common.
_SHARED = ("date", "type", "user_id", "invoice_no", "purpose", "branch_id", "files")

#: Ways in which no money moves, so that no account is named.
WITHOUT_MONEY = frozenset({PaymentMethod.SET_OFF, PaymentMethod.REBATE})
#: What more is asked of a receipt by its way of payment. Filled by the table of subjects: what it is paid with is known to those above.
ASKED_OF: dict[str, Callable[[UnitOfWork, Actor, Mapping[str, Any]], None]] = {}


def prepare_receipt(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A receipt is of today, of the order's customer, whatever became of him since, goes to the branch's account where it has but one, and is
    numbered at once.
    """
    order = uow.find(entity("sales_order"), values["order_id"]) if values.get("order_id") else None
    filled = {**values, "branch_id": uow.node.branch_id}
    if order is not None:
        filled["customer_id"] = order["customer_id"]  # money and order stay together, also when a merge of customers is undone
    if values.get("method") in WITHOUT_MONEY:
        filled["account_id"] = None
    elif "account_id" not in values and len(own := accounts_here(uow, actor)) == 1:
        filled["account_id"] = own[0]["id"]
    day = _RECEIPT.fields["date"].load(str(values["date"])) if values.get("date") else uow.today
    return {**filled, "date": day, "number": next_number(uow, _RECEIPT, day)}


def check_receipt(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """Money belongs to a posted order, never exceeds what is open, and a refund never exceeds what was received."""
    orders = entity("sales_order")
    order = uow.get(orders, new["order_id"])
    if order["status"] != "posted":
        raise Refused("not_posted", N_("Money can be received for posted orders only. Post the order first."))
    check_in_use(uow, actor, _RECEIPT, new, old, "account_id")
    if new["supplier_entry_id"] is None and new["method"] != PaymentMethod.REBATE:
        check_moves_money(new["method"])
    amount: Decimal = new["amount"]
    if amount == 0:
        raise InvalidInput("no_amount", N_("The amount must not be zero."), field="amount")
    gross, received = _account(uow, order["reverses_id"] or order["id"])
    if not min(Decimal(0), gross, received) <= received + amount <= max(Decimal(0), gross, received):
        raise Refused(
            "more_than_open",
            N_("The order is over {gross}, {received} has been received; {amount} does not fit. Nothing was entered."),
            gross=_sum_for(actor, orders, "gross", gross),
            received=_sum_for(actor, _RECEIPT, "amount", received),
            amount=f"{amount:,.2f}",
        )
    if ask := ASKED_OF.get(new["method"]):
        ask(uow, actor, new)


def check_moves_money(method: str | None) -> None:
    """Refuse ways of payment in which no money moves, where some is paid out or left with us."""
    if method == PaymentMethod.SET_OFF:
        raise InvalidInput(
            "set_off_at_supplier", N_("What is set off is entered on the supplier's page, on both sides at once."), field="method"
        )
    if method == PaymentMethod.REBATE:
        raise InvalidInput("credit_for_goods", N_("Rebate credit is for goods: it pays for orders of the partner."), field="method")


def prepare_expense(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new expense is of today, by whoever enters it, at the branch where that happens, for the customer and the deal of what it is about."""
    if old is not None:
        return values
    filled = {**values, "date": values.get("date") or uow.today, "user_id": values.get("user_id") or actor.user_id}
    filled.setdefault("branch_id", uow.node.branch_id)
    for above, keys in _ABOUT.items():
        filled = filled_from(uow, actor, _EXPENSE, filled, above, *keys)
    return filled


def check_expense(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """While somebody is asked about it, it stays as it is; the tax in it is less than what was spent, and all it names is of one customer."""
    if old is not None:
        check_editable(uow.connection, _EXPENSE, old)
    if new["customer_id"] and (old is None or any(old[key] != new[key] for key in ("customer_id", *_ABOUT))):
        check_same_customer(uow, _EXPENSE, new, *_ABOUT)
    if new["tax"] is not None and new["tax"] >= new["amount"]:
        raise InvalidInput("tax_too_high", N_("The tax in it must be less than the amount."), field="tax")


def split_expense(
    uow: UnitOfWork, actor: Actor, *, expense_id: RecordId, customer_ids: list[RecordId], amounts: list[str] | None = None
) -> dict[str, Any]:
    """Split an expense over several customers: in equal parts, or by ``amounts``, which come to the whole of it.

    The expense itself keeps the first part, the others are new ones that name it. Returns {"expenses": of all parts, in the order given}.
    """
    policy.require(actor, "expense.create")
    expense = uow.get(_EXPENSE, expense_id)
    if len(customer_ids) < 2 or len(set(customer_ids)) < len(customer_ids):
        raise InvalidInput("split_over_several", N_("Choose at least two customers, each of them once."), field="customer_id")
    for customer in customer_ids:
        policy.require_record(uow.connection, actor, entity("customer"), customer, "read")
    parts = [parse_decimal(amount) for amount in amounts] if amounts else spread(expense["amount"], [Decimal(1)] * len(customer_ids))
    if (
        len(parts) != len(customer_ids)
        or any(part <= 0 or round_to(part, MONEY_SCALE) != part for part in parts)
        or sum(parts) != expense["amount"]
    ):
        raise InvalidInput(
            "split_does_not_fit",
            N_("The parts must be more than 0 and come to {amount}."),
            amount=f"{expense['amount']:,.2f}",
            field="amount",
        )
    taxes: list[Decimal | None] = [*spread(expense["tax"], parts)] if expense["tax"] is not None else [None] * len(parts)
    shared = {key: _EXPENSE.fields[key].to_json(expense[key]) for key in _SHARED if expense[key] is not None}
    made = []
    for number, (customer, amount, tax) in enumerate(zip(customer_ids, parts, taxes, strict=True)):
        own = {"customer_id": customer, "amount": str(amount), "tax": "" if tax is None else str(tax)}
        if number == 0:
            about = {} if customer == expense["customer_id"] else dict.fromkeys(_ABOUT, "")
            update_record(uow, actor, entity=_EXPENSE.key, id=expense_id, values=own | about)
            made.append(expense_id)
            continue
        part = create_record(uow, actor, entity=_EXPENSE.key, values=shared | own)["id"]
        uow.update(_EXPENSE, part, {"split_of_id": expense["split_of_id"] or expense_id})
        made.append(part)
    return {"expenses": [record_json(_EXPENSE, policy.shown(actor, _EXPENSE, uow.get(_EXPENSE, one))) for one in made]}


def prepare_account(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A new account belongs to the branch that enters it."""
    return values if old is not None else {"branch_id": uow.node.branch_id, **values}


def check_account(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """Accounts of one branch are told apart by their names."""
    twins = [one for one in uow.where(_ACCOUNT, name=new["name"]) if one["branch_id"] == new["branch_id"]]
    if any(old is None or one["id"] != old["id"] for one in twins):
        raise InvalidInput("name_taken", N_("There is already “{name}”."), name=new["name"], field="name")


def accounts_here(uow: UnitOfWork, actor: Actor) -> list[Record]:
    """Accounts of this branch that are in use, among those the actor deals with."""
    if not policy.may(actor, "account.read"):
        return []
    known = uow.where(_ACCOUNT, branch_id=uow.node.branch_id, active=True)
    return [one for one in known if policy.is_within(actor, "account", one["id"])]


def _sum_for(actor: Actor, kind: EntityType, key: str, value: Decimal) -> str:
    """A sum in a sentence, covered for somebody who may not see what it is made of."""
    seen = policy.seen(actor, kind)
    return f"{value:,.2f}" if seen is not None and seen.shows(key) else str(mask(kind.fields[key], value))


def _account(uow: UnitOfWork, order_id: str) -> tuple[Decimal, Decimal]:
    """What an order comes to and what was received for it, its reversal counted with it: money is given back only once."""
    gross, received = uow.connection.one(
        """SELECT coalesce(sum(o.gross), 0), coalesce(sum(r.total), 0) FROM sales_order o LEFT JOIN order_received r ON r.order_id = o.id
           WHERE (o.id = ?1 OR o.reverses_id = ?1) AND +o.status = 'posted' AND o.deleted = 0""",
        (bytes.fromhex(order_id),),
    ) or (0, 0)
    amount = _RECEIPT.fields["amount"]
    return amount.load(gross), amount.load(received)


def receive_payment(
    uow: UnitOfWork,
    actor: Actor,
    *,
    order_id: RecordId,
    amount: str,
    date: str | None = None,
    method: str | None = None,
    account_id: RecordId | None = None,
    remark: str | None = None,
) -> dict[str, Any]:
    """Enter money received for an order; returns the receipt."""
    given = {"order_id": order_id, "amount": amount, "date": date, "method": method, "account_id": account_id, "remark": remark}
    values = {key: value for key, value in given.items() if value is not None}  # what was not entered may be protected
    return record_json(_RECEIPT, create_record(uow, actor, entity="receipt", values=values))


BEHAVIOURS = {
    "account": Behaviour(prepare=prepare_account, check=check_account),
    "expense": Behaviour(prepare=prepare_expense, check=check_expense, derive=derive_expense),
    "receipt": Behaviour(prepare=prepare_receipt, check=check_receipt, taken_over=("customer_id",)),
}
VERBS = (
    Verb(receive_payment, N_("Receive money for an order"), "receipt.create"),
    Verb(split_expense, N_("Split an expense over customers"), "expense.update", record="expense_id"),
)
