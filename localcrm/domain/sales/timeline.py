"""What happened with a customer, of every kind and in one order: newest first, as far as the actor may see it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import date, datetime

from localcrm.domain import policy
from localcrm.domain.crm.entities import Activity
from localcrm.domain.finance.entities import Receipt
from localcrm.domain.policy import Actor
from localcrm.domain.sales.entities import Contract, Delivery, Quote, SalesOrder
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: on a day, where it is known at a moment (UTC). ``shown`` names the fields that tell it."""

    kind: EntityType
    record: Record
    day: date
    at: datetime | None
    who: str
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Records of one kind: ``when`` dates them, ``by`` names the person, ``shown`` are the fields that tell what it was."""

    kind: EntityType
    when: str
    by: str
    shown: tuple[str, ...]


#: What stands in a timeline; subjects above this one add to it.
SOURCES = [
    Source(Activity.entity_type, "at", "user_id", ("type", "content", "next_at")),
    Source(SalesOrder.entity_type, "date", "owner_id", ("number", "status", "gross")),
    Source(Quote.entity_type, "date", "owner_id", ("number", "title", "amount", "status")),
    Source(Contract.entity_type, "signed_on", "owner_id", ("number", "title", "amount")),
    Source(Delivery.entity_type, "date", "owner_id", ("number", "status", "content", "carrier", "tracking_no")),
    Source(Receipt.entity_type, "date", "", ("number", "amount", "method")),
]


def kinds() -> frozenset[str]:
    """Keys of the kinds that stand in a timeline."""
    return frozenset(source.kind.key for source in SOURCES)


def customer_timeline(connection: Connection, actor: Actor, customer_id: str, *, limit: int = 50) -> list[Event]:
    """The newest events of a customer; on one day those with a time come first, the latest of them at the top."""
    streams = [_events(connection, actor, source, customer_id, limit) for source in SOURCES]
    merged = heapq.merge(*streams, key=_moment, reverse=True)
    return [event for event, _place in zip(merged, range(limit), strict=False)]


def _events(connection: Connection, actor: Actor, source: Source, customer_id: str, limit: int) -> list[Event]:
    seen = policy.seen(actor, source.kind)
    if seen is None or not seen.shows("customer_id") or not seen.shows(source.when):
        return []
    where = (Condition("customer_id", "=", customer_id), Condition(source.when, "filled"))
    query = ListQuery(source.kind, where=where, sort=f"-{source.when}", limit=limit, restrict=seen)
    rows = select(connection, query, count=False).rows
    names = ref_titles(connection, source.kind, rows).get(source.by, {})
    found = []
    for row in rows:
        when = row[source.when]
        day = when.astimezone().date() if isinstance(when, datetime) else when
        shown = tuple(key for key in source.shown if key in row)
        found.append(
            Event(source.kind, row, day, when if isinstance(when, datetime) else None, names.get(row.get(source.by) or "", ""), shown)
        )
    return sorted(found, key=_moment, reverse=True)


def _moment(event: Event) -> tuple[date, bool, float]:
    return event.day, event.at is not None, event.at.timestamp() if event.at else 0.0
