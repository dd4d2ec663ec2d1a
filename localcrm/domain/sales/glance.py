"""A customer at a glance: what stands beside the name in a list, from contacts, activity records, orders and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.crm.entities import Activity, Contact
from localcrm.domain.policy import Actor
from localcrm.domain.sales.credit import owed
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection

_ACTIVITY = Activity.entity_type
_AT, _NEXT = _ACTIVITY.fields["at"], _ACTIVITY.fields["next_at"]


@dataclass(frozen=True, slots=True)
class Glance:
    """contact: name of the main contact · next_contact: the latest plan, unless something was recorded since the day it fell due began · last_*: the newest activity · unpaid: posted less received, None where that may not be seen."""

    contact: str | None = None
    next_contact: datetime | None = None
    last_at: datetime | None = None
    last_type: str | None = None
    last_content: str | None = None
    unpaid: Decimal | None = None


def customer_glances(connection: Connection, actor: Actor, ids: Sequence[str]) -> dict[str, Glance]:
    """Glances of the customers of one page by id, from what the actor may see; a handful of queries however many rows there are."""
    keys = [bytes.fromhex(identity) for identity in ids]
    people = policy.seen(actor, Contact.entity_type)
    # Of two that branches made the main one apart every node names the same: ids are alike everywhere, rids are not.
    order = "ORDER BY is_main, id DESC" if people is not None and people.shows("is_main") else "ORDER BY id DESC"
    contacts: dict[bytes, str] = dict(_rows(connection, actor, Contact.entity_type, "customer_id, name", keys, order))
    # With max() the other columns come from the row that holds the maximum.
    newest = {
        customer: (at, kind, content)
        for customer, at, kind, content in _rows(
            connection, actor, _ACTIVITY, "customer_id, max(at), type, substr(content, 1, 80)", keys, "GROUP BY 1"
        )
    }
    plans: dict[bytes, tuple[int, int]] = {
        customer: (due, made)
        for customer, due, made in _rows(
            connection, actor, _ACTIVITY, "customer_id, next_at, max(at)", keys, "AND next_at IS NOT NULL GROUP BY 1"
        )
    }
    planned = {customer: due for customer, (due, made) in plans.items() if not _is_settled(due, made, newest.get(customer))}
    unpaid = owed(connection, actor, ids)
    result = {}
    for identity, key in zip(ids, keys, strict=True):
        at, kind, content = newest.get(key, (None, None, None))
        result[identity] = Glance(
            contact=contacts.get(key),
            next_contact=_NEXT.load(planned.get(key)),
            last_at=_AT.load(at),
            last_type=kind,
            last_content=content,
            unpaid=None if unpaid is None else unpaid[identity],
        )
    return result


def _is_settled(due: int, made: int, newest: tuple[int | None, str, str] | None) -> bool:
    """Whether something was recorded after a plan was made, on the day it fell due or later (as ``store.tree.Planned`` asks)."""
    at = newest[0] if newest else None
    midnight = datetime.fromtimestamp(due / 1000).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return at is not None and at > made and at >= midnight.timestamp() * 1000


def _rows(connection: Connection, actor: Actor, kind: EntityType, columns: str, keys: Sequence[bytes], rest: str) -> list[tuple[Any, ...]]:
    """Columns of the live records of some customers that the actor may see; nothing where a field they are made of is hidden."""
    seen = policy.seen(actor, kind)
    if seen is None or not all(seen.shows(key) for key in kind.fields if key in columns):
        return []
    condition, params = seen.condition(kind.key)
    marks = ",".join("?" * len(keys))
    return connection.all(
        f"SELECT {columns} FROM {kind.key} WHERE customer_id IN ({marks}) AND deleted = 0 AND {condition} {rest}", [*keys, *params]
    )
