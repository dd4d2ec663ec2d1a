"""A product in use in one place: the tickets about it, when somebody was there for it, and the parts it took."""

from __future__ import annotations

from dataclasses import dataclass

from localcrm.domain import policy
from localcrm.domain.policy import Actor
from localcrm.domain.service.desk import hanging
from localcrm.domain.service.entities import EventKind
from localcrm.domain.service.parts import PART
from localcrm.domain.service.tickets import EVENT, TICKET
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select

#: Tickets about one piece that are looked at, the newest.
MOST = 100


@dataclass(frozen=True, slots=True)
class Life:
    """What happened to a product in use as far as the actor sees it, the newest first."""

    tickets: list[Record]
    visits: list[Record]
    parts: list[Record]


def life_of(connection: Connection, actor: Actor, installed_id: str) -> Life:
    """Tickets, visits and parts of a product in use."""
    seen = policy.seen(actor, TICKET)
    if seen is None or not seen.shows("installed_id"):
        return Life([], [], [])
    query = ListQuery(TICKET, where=(Condition("installed_id", "=", installed_id),), limit=MOST, restrict=seen)
    tickets = select(connection, query, count=False).rows
    ids = [row["id"] for row in tickets]
    events, parts = ([row.record for row in hanging(connection, actor, kind, ids)][::-1] for kind in (EVENT, PART))
    return Life(tickets, [event for event in events if event.get("kind") == EventKind.VISIT], parts)
