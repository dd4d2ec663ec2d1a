"""Whom a ticket is told to: whoever is responsible when it is due soon or overdue, his superior where that was promised, and the day to ask again.

Nothing is written for the future; it all follows from the tickets (ADR 0039).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, morning
from localcrm.domain.service.desk import clocks_of, rules_of
from localcrm.domain.service.entities import TicketState, Told
from localcrm.domain.service.rules import RUNNING, Clock, Promise
from localcrm.domain.service.tickets import EVENT, TICKET

_CUSTOMER = Customer.entity_type
#: What has been overdue for longer belongs into a list, not on the screen.
_PAST = dt.timedelta(days=30)
_NEEDED = ("state", "priority", "opened_at", "assignee_id")


def running_out(ask: Ask) -> Iterator[Reminding]:
    """Tickets of the user's own, or of nobody that he entered, and those of people he is the superior of, when they are due soon and when they are overdue."""
    tickets, events = ask.view(TICKET, *_NEEDED), ask.view(EVENT, "at", "kind", "state", "ticket_id")
    if tickets is None or events is None:
        return
    condition, params = tickets.condition("ticket")
    opened = TICKET.fields["opened_at"]
    rows = ask.connection.all(
        f"""SELECT ticket.id, ticket.state, ticket.priority, ticket.opened_at, ticket.title, ticket.number, c.id, c.name, responsible = ?1 FROM (
                SELECT ticket.*, coalesce(assignee_id, (SELECT by_id FROM ticket_event e WHERE e.ticket_id = ticket.id AND e.kind = 'opened' AND e.deleted = 0)) AS responsible
                FROM ticket WHERE state IN (?2, ?3) AND deleted = 0) AS ticket
            LEFT JOIN customer c ON c.id = ticket.customer_id
            WHERE (responsible = ?1 OR responsible IN (SELECT id FROM "user" WHERE superior_id = ?1 AND deleted = 0)) AND {condition}
            ORDER BY opened_at DESC LIMIT {MOST}""",
        [ask.user, *RUNNING, *params],
    )
    customers = ask.view(_CUSTOMER, "name")
    rules = rules_of(ask.connection)
    known = [
        ({"id": row.hex(), "state": state, "priority": priority, "opened_at": opened.load(at)}, title, number, customer, name, own)
        for row, state, priority, at, title, number, customer, name, own in rows
    ]
    stand = clocks_of(ask.connection, [ticket for ticket, *_rest in known], ask.now, rules)
    for ticket, title, number, customer, name, own in known:
        found = stand.get(ticket["id"])
        if found is None:
            continue
        told = [number if tickets.shows("number") else "", title if tickets.shows("title") else ""]
        for due, at in _occasions(found.next, found.promise, is_own=bool(own)):
            if ask.now - _PAST < due <= ask.until:
                yield Reminding(
                    key=f"ticket:{ticket['id']}:{round(due.timestamp() * 1000)}",
                    kind="ticket",
                    due=due,
                    at=at,
                    title=" ".join(filter(None, told)),
                    text=name or "" if customers is not None and tickets.shows("customer_id") else "",
                    customer=customer.hex() if customer is not None and customers is not None else None,
                    ticket=ticket["id"],
                )


def _occasions(clock: Clock, promise: Promise, *, is_own: bool) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """When a promise that is open is told, and the time it is about: before it runs out, and when it has."""
    if clock.due is None or clock.kept is not None:
        return
    soon = is_own or promise.superior is Told.SOON
    if soon and promise.warn:
        yield clock.due - dt.timedelta(minutes=promise.warn), clock.due
    if is_own or promise.superior is not Told.NEVER:
        yield clock.due, clock.due


def to_ask_again(ask: Ask) -> Iterator[Reminding]:
    """Closed tickets of the user's own whose customer is to be asked again whether it is well."""
    tickets = ask.view(TICKET, "state", "revisit_on", "revisit_result", "assignee_id")
    if tickets is None:
        return
    condition, params = tickets.condition("ticket")
    today = ask.now.astimezone().date()
    rows: list[tuple[Any, ...]] = ask.connection.all(
        f"""SELECT ticket.id, ticket.revisit_on, ticket.title, c.id, c.name FROM ticket INDEXED BY ticket__revisit_on
            LEFT JOIN customer c ON c.id = ticket.customer_id
            WHERE ticket.deleted = 0 AND revisit_on >= ? AND revisit_on <= ? AND state = ? AND revisit_result IS NULL AND assignee_id = ? AND {condition}
            ORDER BY +revisit_on LIMIT {MOST}""",
        [(today - _PAST).isoformat(), ask.until.astimezone().date().isoformat(), TicketState.CLOSED, ask.user, *params],
    )
    customers = ask.view(_CUSTOMER, "name")
    for row, day, title, customer, name in rows:
        due = morning(dt.date.fromisoformat(day))
        if due <= ask.until:
            yield Reminding(
                key=f"revisit:{row.hex()}:{day}",
                kind="revisit",
                due=due,
                at=due,
                title=name or "" if customers is not None else "",
                text=title if tickets.shows("title") else "",
                customer=customer.hex() if customer is not None and customers is not None else None,
                ticket=row.hex(),
            )
