"""Rules of customers, contacts and activity records."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from localcrm.domain import policy
from localcrm.domain.admin.persons import keep_erased
from localcrm.domain.crm import custody, pools, reclaim
from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.rules import plain_code, plain_name, plain_phones
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import N_
from localcrm.store.query import ListQuery, Record, every, record_json
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import View

_CUSTOMER = Customer.entity_type
#: Groups that one person can go through.
MOST_GROUPS = 200


def prepare_customer(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new customer gets a number, and belongs to whoever enters it and to the branch where that happens."""
    if old is not None:
        return values
    filled = {**values, "number": values.get("number") or next_number(uow, _CUSTOMER, datetime.date.today())}
    filled.setdefault("owner_id", actor.user_id)
    filled.setdefault("branch_id", uow.node.branch_id)
    return custody.begin(uow, filled)


def prepare_activity(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """A new record is of now and by the one who enters it."""
    if old is not None:
        return values
    return {**values, "at": values.get("at") or now_utc(), "user_id": values.get("user_id") or actor.user_id}


def find_duplicates(uow: UnitOfWork, actor: Actor) -> dict[str, Any]:
    """Customers the actor sees that look like one, by name, phone or tax number: {"rows": [{"reasons": {field: value}, "customers": [{id, …}]}]}.

    Customers that are alike for several reasons come once; a field that may not be read is no reason.
    """
    seen = policy.view(actor, _CUSTOMER)
    alike: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for page in every(uow.connection, ListQuery(_CUSTOMER, restrict=seen)):
        for customer in page.rows:
            for reason in dict.fromkeys(_marks(customer, seen)):
                alike[reason].append(customer)
    groups: dict[frozenset[str], dict[str, Any]] = {}
    for (field, value), customers in alike.items():
        if len(customers) > 1:
            members = frozenset(customer["id"] for customer in customers)
            group = groups.setdefault(members, {"reasons": {}, "customers": [record_json(_CUSTOMER, one) for one in customers]})
            group["reasons"][field] = value
    return {"rows": sorted(groups.values(), key=lambda group: -len(group["reasons"]))[:MOST_GROUPS]}


def _marks(customer: Record, seen: View) -> Iterator[tuple[str, str]]:
    """What a customer may be known by."""
    for field, plain in (("name", _one(plain_name)), ("phone", plain_phones), ("tax_no", _one(plain_code))):
        if seen.shows(field) and customer[field]:
            yield from ((field, value) for value in plain(customer[field]) if value)


def _one(plain: Callable[[str], str]) -> Callable[[str], list[str]]:
    return lambda text: [plain(text)]


BEHAVIOURS = {
    "customer": Behaviour(prepare=prepare_customer, check=custody.check_owner, after=custody.follow_owner),
    "contact": Behaviour(check=keep_erased),
    "activity": Behaviour(prepare=prepare_activity),
    **pools.BEHAVIOURS,
    **reclaim.BEHAVIOURS,
}
VERBS = (Verb(find_duplicates, N_("Find customers entered twice"), "customer.read"), *custody.VERBS, *pools.VERBS, *reclaim.VERBS)
