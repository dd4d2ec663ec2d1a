"""Rules of customers, contacts and activity records."""

from __future__ import annotations

from typing import Any

from localcrm.domain.crm import (
    activities,
    alike,
    allotting,
    apart,
    contacts,
    custody,
    files,
    groups,
    maintenance,
    merging,
    opportunities,
    pool_admins,
    pools,
    queries,
    reclaim,
    reminders,
    same_phone,
    stage_sets,
    stages,
    tags,
    ties,
)
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.protection import check_protected
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_CUSTOMER = Customer.entity_type


def prepare_customer(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new customer gets a number, and belongs to whoever enters it and to the branch where that happens."""
    if old is not None:
        return values
    filled = {**values, "number": values.get("number") or next_number(uow, _CUSTOMER, uow.today)}
    filled.setdefault("owner_id", actor.user_id)
    filled.setdefault("branch_id", uow.node.branch_id)
    return custody.begin(uow, filled)


def check_customer(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> None:
    """Nobody gets round what a salesperson may have, or round the protection of another one's customer."""
    custody.check_owner(uow, actor, values, old)
    check_protected(uow, actor, values, old)


def bin_customer(uow: UnitOfWork, actor: Actor, record: Record) -> None:  # noqa: ARG001
    """What hangs on a customer goes along into the recycle bin."""
    apart.into_bin(uow, record["id"])


def restore_customer(uow: UnitOfWork, actor: Actor, record: Record) -> None:
    """What went along comes back, and one that was merged is one of its own again."""
    merging.take_apart(uow, actor, record)
    apart.out_of_bin(uow, record["id"])


BEHAVIOURS = {
    "customer": Behaviour(
        prepare=prepare_customer, check=check_customer, after=custody.follow_owner, restored=restore_customer, binned=bin_customer
    ),
    **contacts.BEHAVIOURS,
    **activities.BEHAVIOURS,
    **pools.BEHAVIOURS,
    **reclaim.BEHAVIOURS,
    **allotting.BEHAVIOURS,
    **opportunities.BEHAVIOURS,
    **stages.BEHAVIOURS,
    **maintenance.BEHAVIOURS,
}
VERBS = (
    *alike.VERBS,
    *same_phone.VERBS,
    *merging.VERBS,
    *custody.VERBS,
    *pools.VERBS,
    *pool_admins.VERBS,
    *reclaim.VERBS,
    *allotting.VERBS,
    *activities.VERBS,
    *reminders.VERBS,
    *opportunities.VERBS,
    *stages.VERBS,
    *stage_sets.VERBS,
    *maintenance.VERBS,
    *queries.VERBS,
    *groups.VERBS,
    *tags.VERBS,
    *ties.VERBS,
    *files.VERBS,
)
