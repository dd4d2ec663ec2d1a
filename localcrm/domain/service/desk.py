"""What a service desk looks at: tickets by what runs out first, one ticket with all that happened, and what keeps coming back."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.catalog.entities import Product
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.domain.service.entities import TicketState
from localcrm.domain.service.parts import PART, charge_of
from localcrm.domain.service.promises import promises, work_calendar
from localcrm.domain.service.rules import RUNNING, UNDONE, USUAL, Clocks, Promise, clocks
from localcrm.domain.service.satisfaction import FAULTS
from localcrm.domain.service.tickets import CANNED, EVENT, TICKET, family
from localcrm.domain.service.worktime import WorkCalendar
from localcrm.domain.verbs import Verb
from localcrm.kernel.clock import moment, now_utc, to_iso
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, ref_titles, select, titles
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import Masked

#: Tickets that are not done with and are looked at together; a desk that has more has the oldest of them.
MOST = 1000
#: Events and parts that a sheet shows.
MOST_EVENTS = 500
_NEEDED = ("state", "priority", "opened_at")
_FAR = dt.datetime.max.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose tickets: of a person, of a branch, of a type; None for all."""

    assignee_id: str | None = None
    branch_id: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A ticket as the actor may see it, what its references are called, and how its clocks stand (None where that may not be seen)."""

    record: Record
    names: Mapping[str, str]
    clocks: Clocks | None

    @property
    def due(self) -> dt.datetime:
        """What runs out first; far away where nothing does."""
        return (self.clocks.next.due if self.clocks else None) or _FAR


@dataclass(frozen=True, slots=True)
class Rules:
    """What clocks go by, read once for many tickets."""

    calendar: WorkCalendar
    promises: Mapping[str, Promise]


def rules_of(connection: Connection) -> Rules:
    """What head office promises."""
    return Rules(work_calendar(connection), promises(connection))


def clocks_of(
    connection: Connection, tickets: Sequence[Mapping[str, Any]], now: dt.datetime, rules: Rules | None = None
) -> dict[str, Clocks]:
    """How tickets (``id``, ``state``, ``priority``, ``opened_at``) stand, by id; two queries however many there are."""
    told = [ticket for ticket in tickets if all(ticket.get(key) is not None and not isinstance(ticket[key], Masked) for key in _NEEDED)]
    if not told:
        return {}
    rules = rules or rules_of(connection)
    events: dict[str, list[dict[str, Any]]] = defaultdict(list)
    at = EVENT.fields["at"]
    for ticket, when, kind, state in connection.all(
        """SELECT ticket_id, at, kind, state FROM ticket_event
           WHERE deleted = 0 AND ticket_id IN (SELECT unhex(value) FROM json_each(?)) ORDER BY at, id""",
        (json.dumps([ticket["id"] for ticket in told]),),
    ):
        events[ticket.hex()].append({"at": at.load(when), "kind": kind, "state": state})
    return {
        ticket["id"]: clocks(rules.calendar, rules.promises.get(ticket["priority"], USUAL["usual"]), ticket, events[ticket["id"]], now)
        for ticket in told
    }


def undone(connection: Connection, actor: Actor, wanted: Wanted, now: dt.datetime, *, states: Sequence[TicketState] = UNDONE) -> list[Line]:
    """Tickets that are not done with, those first that run out first; at most ``MOST``, the oldest."""
    view = policy.view(actor, TICKET)
    where = [Condition("state", "in", [state.value for state in states])]
    where += [
        Condition(key, "=", value)
        for key, value in (("assignee_id", wanted.assignee_id), ("branch_id", wanted.branch_id), ("type", wanted.type))
        if value
    ]
    if not all(view.shows(part.field) for part in where):
        return []
    rows = select(
        connection,
        ListQuery(TICKET, where=tuple(where), sort="opened_at" if view.shows("opened_at") else "", limit=MOST, restrict=view),
        count=False,
    ).rows
    return sorted(_lines(connection, actor, rows, now), key=lambda line: (line.due, line.record["id"]))


def _lines(connection: Connection, actor: Actor, rows: Sequence[Record], now: dt.datetime) -> list[Line]:
    names = ref_titles(connection, TICKET, rows)
    stand = clocks_seen(connection, actor, rows, now)
    return [
        Line(row, {key: found[row[key]] for key, found in names.items() if row.get(key) in found}, stand.get(row["id"])) for row in rows
    ]


def clocks_seen(connection: Connection, actor: Actor, tickets: Sequence[Record], now: dt.datetime | None = None) -> dict[str, Clocks]:
    """Clocks of tickets as a query of this actor gave them, by id; none where he may not see what they follow from."""
    return clocks_of(connection, tickets, now or now_utc()) if policy.seen(actor, EVENT) is not None else {}


def derive_tickets(connection: Connection, actor: Actor, records: list[Record]) -> list[dict[str, Any]]:
    """Beside each ticket of a list: when it is due (ISO, None while nothing runs out) and in which colour that is."""
    stand = clocks_seen(connection, actor, records)
    rows: list[dict[str, Any]] = []
    for record in records:
        found = stand.get(record["id"])
        runs = found is not None and record["state"] in RUNNING
        due = found.next.due if found is not None and runs else None
        rows.append({"due": to_iso(due) if due else None, "due_colour": found.colour if found is not None else ""})
    return rows


# one ticket ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A record and what its references are called."""

    record: Record
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything about one ticket; what the actor may not see is left out. ``charge``: what the customer is asked for."""

    line: Line
    events: list[Row] = field(default_factory=list)
    parts: list[Row] = field(default_factory=list)
    merged: list[Row] = field(default_factory=list)
    answers: list[Record] = field(default_factory=list)
    charge: Decimal | None = None
    taken_back: frozenset[str] = frozenset()


def ticket_sheet(connection: Connection, actor: Actor, ticket_id: str, now: dt.datetime) -> Sheet:
    """One ticket with its events and parts, those of tickets merged into it among them; raises NotFound."""
    view = policy.view(actor, TICKET)
    rows = select(
        connection, ListQuery(TICKET, where=(Condition("id", "=", parse_id(ticket_id)),), limit=1, restrict=view), count=False
    ).rows
    if not rows:
        raise no_such_record(TICKET)
    (line,) = _lines(connection, actor, rows, now)
    ids = family(connection, ticket_id)
    events, parts = (hanging(connection, actor, kind, ids) for kind in (EVENT, PART))
    merged = ListQuery(TICKET, where=(Condition("merged_into", "in", ids),), restrict=view)
    others = select(connection, merged, count=False).rows if view.shows("merged_into") else []
    seen_parts, canned = policy.seen(actor, PART), policy.seen(actor, CANNED)
    told = view.shows("fee") and seen_parts is not None and seen_parts.shows("amount")
    return Sheet(
        line,
        events,
        parts,
        [Row(other, {}) for other in others],
        select(connection, ListQuery(CANNED, sort="title" if canned.shows("title") else "", limit=200, restrict=canned), count=False).rows
        if canned is not None
        else [],
        charge_of(connection, ids) if told else None,
        frozenset(str(part.record["reverses_id"]) for part in parts if part.record.get("reverses_id")),
    )


def hanging(connection: Connection, actor: Actor, kind: Any, ids: list[str]) -> list[Row]:
    """Events or parts of some tickets, as far as the actor sees them, the oldest first."""
    seen = policy.seen(actor, kind)
    if seen is None or not seen.shows("ticket_id"):
        return []
    query = ListQuery(
        kind, where=(Condition("ticket_id", "in", ids),), sort="at" if seen.shows("at") else "", limit=MOST_EVENTS, restrict=seen
    )
    rows = select(connection, query, count=False).rows
    names = ref_titles(connection, kind, rows)
    return [Row(row, {key: found[row[key]] for key, found in names.items() if row.get(key) in found}) for row in rows]


# what keeps coming back ---------------------------------------------------------------------------------------------------


def repeated_faults(uow: UnitOfWork, actor: Actor, *, days: int = 90, least: int = 3) -> dict[str, Any]:
    """Serial numbers and products with at least so many repairs, complaints and returns within so many days, the most of them first.

    Returns {"rows": [{"serial" (None for a product as a whole), "product_id", "product", "tickets", "last", "numbers"}]}; merged tickets count once.
    """
    if not 1 <= days <= 3660 or not 2 <= least <= 10_000:
        raise InvalidInput("bad_span", N_("Ask for 1 to 3660 days and at least 2 tickets."), field="days")
    view = policy.view(actor, TICKET)
    if not all(view.shows(key) for key in ("product_id", "serial", "opened_at", "type", "state", "number")):
        return {"rows": []}
    condition, params = view.condition("t")
    since = round((moment(uow.store.clock) - dt.timedelta(days=days)).timestamp() * 1000)
    found = []
    for serial, group in (("upper(trim(t.serial))", "t.serial IS NOT NULL"), ("NULL", "t.product_id IS NOT NULL")):
        by = "1" if serial != "NULL" else "t.product_id"
        found += uow.connection.all(
            f"""SELECT {serial}, max(t.product_id), count(*), max(t.opened_at), group_concat(t.number, ' ')
                FROM ticket t WHERE t.deleted = 0 AND t.opened_at >= ? AND t.type IN ({",".join("?" * len(FAULTS))}) AND t.state <> ?
                AND {group} AND {condition} GROUP BY {by} HAVING count(*) >= ? ORDER BY 3 DESC, 4 DESC LIMIT 200""",
            [since, *FAULTS, TicketState.MERGED, *params, least],
        )
    products = policy.seen(actor, Product.entity_type)
    names = (
        titles(uow.connection, Product.entity_type, [row[1].hex() for row in found if row[1]])
        if products is not None and products.shows("name")
        else {}
    )
    at = TICKET.fields["opened_at"]
    rows = [
        {
            "serial": serial,
            "product_id": product.hex() if product else None,
            "product": names.get(product.hex()) if product else None,
            "tickets": count,
            "last": to_iso(at.load(last)),
            "numbers": (numbers or "").split(),
        }
        for serial, product, count, last, numbers in found
    ]
    return {"rows": sorted(rows, key=lambda row: (-row["tickets"], row["serial"] is None))}


VERBS = (Verb(repeated_faults, N_("What keeps coming back"), "ticket.read"),)
