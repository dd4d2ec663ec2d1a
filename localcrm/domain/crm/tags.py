"""Tags of customers: whatever people write, offered to the next one because somebody uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from localcrm.domain import policy, records, sets
from localcrm.domain.crm.entities import Customer
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import as_set, split_choices, write_set
from localcrm.store.connection import Connection
from localcrm.store.query import grouped, record_json
from localcrm.store.uow import UnitOfWork

_CUSTOMER = Customer.entity_type
TAGS = _CUSTOMER.fields["tags"]


def tags_in_use(connection: Connection, actor: Actor) -> list[str]:
    """Every tag of the customers somebody sees, the most used first; none for who may not see tags."""
    seen = policy.seen(actor, _CUSTOMER)
    if seen is None or not seen.shows(TAGS.key):
        return []
    counts: dict[str, int] = {}
    for (held,), count, _total in grouped(connection, seen, [TAGS.key]):
        for tag in split_choices(held or ""):
            counts[tag] = counts.get(tag, 0) + count
    return sorted(counts, key=lambda tag: (-counts[tag], tag))


def retagged(held: str | None, *, add: str = "", remove: str = "") -> str:
    """The tags of a customer with some more, and without others; "" for none."""
    gone = as_set(split_choices(remove))
    return write_set({key: tag for key, tag in as_set(split_choices(f"{held or ''}\n{add}")).items() if key not in gone})


def tag_customer(uow: UnitOfWork, actor: Actor, *, customer: RecordId, add: str = "", remove: str = "") -> dict[str, Any]:
    """Give a customer some tags and take others away, written with ";" between them. Returns the customer."""
    policy.require_record(uow.connection, actor, _CUSTOMER, customer, "update")
    held = uow.get(_CUSTOMER, customer)[TAGS.key]
    tags = retagged(held, add=add, remove=remove)
    if tags != (held or ""):
        records.update_record(uow, actor, entity=_CUSTOMER.key, id=customer, values={TAGS.key: tags})
    return record_json(_CUSTOMER, policy.shown(actor, _CUSTOMER, uow.get(_CUSTOMER, customer)))


def bring_together(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """Tags that were set apart all stay."""
    sets.bring_together(uow, _CUSTOMER, ids)


VERBS = (Verb(tag_customer, N_("Tag a customer"), "customer.update", record="customer"),)
