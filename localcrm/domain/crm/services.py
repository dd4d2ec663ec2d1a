"""Rules of customers, contacts and activity records."""

from __future__ import annotations

import datetime
from typing import Any

from localcrm.domain.admin.persons import keep_erased
from localcrm.domain.crm import alike, merging
from localcrm.domain.crm.entities import Customer
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.kernel.clock import now_utc
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_CUSTOMER = Customer.entity_type


def prepare_customer(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new customer gets a number, and belongs to whoever enters it and to the branch where that happens."""
    if old is not None:
        return values
    filled = {**values, "number": values.get("number") or next_number(uow, _CUSTOMER, datetime.date.today())}
    filled.setdefault("owner_id", actor.user_id)
    filled.setdefault("branch_id", uow.node.branch_id)
    return filled


def prepare_activity(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A new record is of now and by the one who enters it."""
    if old is not None:
        return values
    return {**values, "at": values.get("at") or now_utc(), "user_id": values.get("user_id") or actor.user_id}


BEHAVIOURS = {
    "customer": Behaviour(prepare=prepare_customer, restored=merging.take_apart),
    "contact": Behaviour(check=keep_erased),
    "activity": Behaviour(prepare=prepare_activity),
}
VERBS = (*alike.VERBS, *merging.VERBS)
