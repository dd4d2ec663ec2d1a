"""Money that partners left with us as security: paid in, used, paid back; only ever added to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.finance.services import accounts_here, check_moves_money
from localcrm.domain.in_use import check_in_use
from localcrm.domain.ledgers import add_opposite
from localcrm.domain.numbering import next_number
from localcrm.domain.partners.entities import DepositKind, PartnerDeposit
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Record, record_json
from localcrm.store.uow import UnitOfWork

DEPOSIT = PartnerDeposit.entity_type
_HELD = DEPOSIT.fields["held"]


def prepare_deposit(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """An entry is of today; money goes to and comes from the branch's account where it has but one."""
    kind = values.get("kind") or DepositKind.PAID_IN
    day = DEPOSIT.fields["date"].load(str(values["date"])) if values.get("date") else uow.today
    filled = {**values, "kind": kind, "date": day, "branch_id": uow.node.branch_id}
    if kind == DepositKind.USED:
        filled |= {"method": None, "account_id": None}
    elif "account_id" not in values and len(own := accounts_here(uow, actor)) == 1:
        filled["account_id"] = own[0]["id"]
    amount = DEPOSIT.validate(filled)["amount"]
    return {**filled, "held": amount if kind == DepositKind.PAID_IN else -amount, "number": next_number(uow, DEPOSIT, day)}


def check_deposit(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:
    """It is over something, and no more is used or paid back than is there."""
    if new["amount"] <= 0:
        raise InvalidInput("not_positive_amount", N_("The amount must be more than 0."), field="amount")
    check_moves_money(new["method"])
    check_in_use(uow, actor, DEPOSIT, new, old, "account_id")
    _check_there(uow.connection, new["partner_id"], new["held"])


def _check_there(connection: Connection, partner_id: str, change: Decimal) -> None:
    there = held(connection, partner_id)
    if change < 0 and there + change < 0:
        raise Refused(
            "more_than_deposited",
            N_("{held} of this partner's deposit is left. Nothing was entered."),
            held=f"{max(there, Decimal(0)):,.2f}",
        )


def held(connection: Connection, partner_id: str) -> Decimal:
    """What we hold of a partner's; below nothing where two places used the same money apart."""
    total = connection.value("SELECT coalesce(sum(total), 0) FROM partner_deposited WHERE partner_id = ?", (bytes.fromhex(partner_id),))
    amount: Decimal = _HELD.load(total)
    return amount


def sees_deposits(actor: Actor) -> bool:
    """Whether he may learn what we hold."""
    seen = policy.seen(actor, DEPOSIT)
    return seen is not None and all(map(seen.shows, ("partner_id", "kind", "amount", "held"))) and "account" not in policy.limits(actor)


def reverse_deposit(uow: UnitOfWork, actor: Actor, *, entry_id: RecordId, remark: str | None = None) -> dict[str, Any]:
    """Reverse an entry of a partner's deposit by another one of today; returns that."""
    entry = uow.get(DEPOSIT, entry_id)
    opposite = add_opposite(uow, actor, DEPOSIT, entry, "amount", "held", remark=remark)
    if entry["held"] > 0 and held(uow.connection, entry["partner_id"]) < 0:
        raise Refused("deposit_used", N_("This money was used or paid back meanwhile. Reverse that first; nothing was entered."))
    return record_json(DEPOSIT, policy.shown(actor, DEPOSIT, uow.get(DEPOSIT, opposite)))


BEHAVIOURS = {"partner_deposit": Behaviour(prepare=prepare_deposit, check=check_deposit)}
VERBS = (Verb(reverse_deposit, N_("Reverse an entry of a partner's deposit"), "partner_deposit.create", record="entry_id"),)
