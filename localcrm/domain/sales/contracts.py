"""Contracts: how much of each was ordered and paid, by whichever branch, and the one that carries it on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.checks import check_same_customer, filled_from, named
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour, create_record
from localcrm.domain.sales.entities import Contract, ContractStatus, SalesOrder
from localcrm.domain.spans import check_span
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.store.uow import UnitOfWork

_CONTRACT, _ORDER, _RECEIPT = Contract.entity_type, SalesOrder.entity_type, Receipt.entity_type
#: Contracts of a chain that are looked for.
_LONGEST = 50
_COPIED = ("title", "customer_id", "opportunity_id", "contact_id", "amount", "owner_id")


def prepare_contract(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new contract is numbered and belongs to whoever enters it; what it does not say itself it takes from its opportunity.

    One that is signed was signed today where nobody says otherwise.
    """
    filled = dict(values)
    signed = filled.get("status", old["status"] if old else None) == ContractStatus.SIGNED
    if signed and not filled.get("signed_on", old["signed_on"] if old else None):
        filled["signed_on"] = uow.today
    if old is None:
        filled["number"] = filled.get("number") or next_number(uow, _CONTRACT, uow.today)
        filled["branch_id"] = uow.node.branch_id
        filled["owner_id"] = filled.get("owner_id") or actor.user_id
        filled = filled_from(uow, actor, _CONTRACT, filled, "opportunity_id", "customer_id", "contact_id", "title", "amount")
    return filled


def check_contract(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """It ends after it began, and is with the customer of its opportunity and contact."""
    check_span(_CONTRACT, new, "starts_on", "ends_on")
    check_same_customer(uow, _CONTRACT, new, "opportunity_id", "contact_id")


def check_contract_of_order(uow: UnitOfWork, order: dict[str, Any]) -> None:
    """An order is written under a contract of its own customer, and one that counts."""
    check_same_customer(uow, _ORDER, order, "contract_id")
    contract = named(uow, _ORDER, order, "contract_id")
    if contract is not None and contract["status"] == ContractStatus.CANCELLED:
        raise InvalidInput("contract_cancelled", N_("“{number}” was cancelled."), number=contract["number"], field="contract_id")


def derive_contract(connection: Connection, actor: Actor, contracts: list[Record]) -> list[dict[str, Any]]:
    """Of each: what posted orders under it come to, what was received for them, both in percent of its amount, and what is still to come in.

    As far as the actor sees orders and receipts.
    """
    orders, receipts = policy.seen(actor, _ORDER), policy.seen(actor, _RECEIPT)
    if orders is None or not all(map(orders.shows, ("contract_id", "gross", "status"))):
        return [{} for _contract in contracts]
    condition, params = orders.condition("o")
    of = f"FROM sales_order o %s WHERE o.contract_id IN ({_marks(contracts)}) AND +o.status = 'posted' AND o.deleted = 0 AND {condition} GROUP BY 1"
    given = [*(bytes.fromhex(contract["id"]) for contract in contracts), *params]
    ordered: dict[bytes, int] = dict(connection.all(f"SELECT o.contract_id, sum(o.gross) {of % ''}", given))
    received: dict[bytes, int] = {}
    if receipts is not None and receipts.shows("amount"):
        paid = of % "JOIN order_received r ON r.order_id = o.id"
        received = dict(connection.all(f"SELECT o.contract_id, sum(r.total) {paid}", given))
    money = _ORDER.fields["gross"]
    found = []
    for contract in contracts:
        key = bytes.fromhex(contract["id"])
        sums = {"ordered": money.load(ordered.get(key, 0))}
        if receipts is not None and receipts.shows("amount"):
            sums["received"] = money.load(received.get(key, 0))
            if isinstance(amount := contract.get("amount"), Decimal):  # covered, it is a text
                sums["unreceived"] = amount - sums["received"]
        shares = {f"{name}_percent": _percent(sums[name], contract.get("amount")) for name in ("ordered", "received") if name in sums}
        found.append(
            {name: money.to_json(value) for name, value in sums.items()} | {key: one for key, one in shares.items() if one is not None}
        )
    return found


def _percent(part: Decimal, amount: Any) -> int | None:
    """A part in whole percent, cut off: 100 is only what is complete. None without an amount, or where it may not be seen."""
    return int(part * 100 / amount) if isinstance(amount, Decimal) and amount else None


def _marks(records: Sequence[Record]) -> str:
    return ",".join("?" * len(records))


def renew_contract(uow: UnitOfWork, actor: Actor, *, contract_id: RecordId) -> Record:
    """A draft that carries a contract on: it begins when that one ends, and runs as long; returns it."""
    policy.require_record(uow.connection, actor, _CONTRACT, contract_id, "update")
    contract = uow.get(_CONTRACT, contract_id)
    if uow.where(_CONTRACT, previous_id=contract_id):
        raise Refused("contract_renewed", N_("“{number}” has been renewed already."), number=contract["number"])
    values = {key: contract[key] for key in _COPIED if contract[key] is not None}
    if contract["ends_on"]:
        values["starts_on"] = contract["ends_on"] + dt.timedelta(days=1)
        if contract["starts_on"]:
            values["ends_on"] = contract["ends_on"] + (values["starts_on"] - contract["starts_on"])
    made = create_record(uow, actor, entity="contract", values=values)
    uow.update(_CONTRACT, made["id"], {"previous_id": contract_id})
    return policy.shown(actor, _CONTRACT, uow.get(_CONTRACT, made["id"]))


def chain_of(connection: Connection, actor: Actor, contract_id: str) -> list[Record]:
    """A contract among those that it carries on and those that carry it on, the oldest first, as far as the actor sees them.

    Two branches may each have carried the same one on, so one may have several after it.
    """
    seen = policy.seen(actor, _CONTRACT)
    if seen is None or not seen.shows("previous_id"):
        return []

    def found(key: str, value: str) -> list[Record]:
        return select(connection, ListQuery(_CONTRACT, where=(Condition(key, "=", value),), restrict=seen), count=False).rows

    chain = found("id", contract_id)
    known = {row["id"] for row in chain}
    while chain and len(chain) < _LONGEST and (previous := chain[0]["previous_id"]) and previous not in known:
        before = found("id", previous)
        if not before:
            break
        known.add(previous)
        chain = before + chain
    waiting = [contract_id]
    while waiting and len(chain) < _LONGEST:
        later = [row for row in found("previous_id", waiting.pop(0))[::-1] if row["id"] not in known]
        known |= {row["id"] for row in later}
        waiting += [row["id"] for row in later]
        chain += later
    return chain


BEHAVIOURS = {"contract": Behaviour(prepare=prepare_contract, check=check_contract, derive=derive_contract)}
VERBS = (Verb(renew_contract, N_("Renew a contract")),)
