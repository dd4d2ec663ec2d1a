"""Tickets on their way: entered, taken up, answered, closed with a solution, asked about again, merged.

The ticket keeps the state it is in; every step is a row of its own as well (``TicketEvent``). Of two steps made apart both rows stay, the later
state holds, and a person is told. Since when it waited and when it was answered follow from the rows (ADR 0043).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.approvals.documents import standing
from localcrm.domain.crm.checks import check_same_customer, filled_from
from localcrm.domain.crm.entities import Contact
from localcrm.domain.finance.entities import Expense
from localcrm.domain.numbering import next_number
from localcrm.domain.options.company import company_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.sales.entities import InstalledProduct
from localcrm.domain.service.entities import CannedAnswer, EventKind, Ticket, TicketEvent, TicketPart, TicketState
from localcrm.domain.service.promises import work_calendar
from localcrm.domain.service.rules import UNDONE
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, record_json, select
from localcrm.store.uow import UnitOfWork

TICKET, EVENT, CANNED = Ticket.entity_type, TicketEvent.entity_type, CannedAnswer.entity_type
_INSTALLED, _CONTACT = InstalledProduct.entity_type, Contact.entity_type
#: Clocks of two computers may differ so much.
_CLOCKS = dt.timedelta(hours=1)
#: Kinds of remarks that leave a ticket where it is.
_REMARKS = (EventKind.REMARK, EventKind.VISIT)


# entering -----------------------------------------------------------------------------------------------------------


def prepare_ticket(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new ticket gets a number, is of this moment and of this branch; its serial number says what it is about, its deal
    with whom.

    It is nobody's until somebody takes it up, unless whoever enters it sees only his own.
    """
    filled = filled_from(uow, actor, TICKET, values, "opportunity_id", "customer_id", "contact_id")
    if old is None:
        now = moment(uow.store.clock)
        filled["number"] = values.get("number") or next_number(uow, TICKET, now.astimezone().date())
        filled["opened_at"] = values.get("opened_at") or now
        seen = policy.reach(actor, "ticket.read")
        if seen is None or not (seen.everything or seen.branches):
            filled["assignee_id"] = values.get("assignee_id") or actor.user_id
        filled.setdefault("branch_id", uow.node.branch_id)
    elif "opened_at" in filled and not filled["opened_at"]:  # a clock begins somewhere
        filled["opened_at"] = old["opened_at"]
    return {**filled, **_of_product(uow, actor, filled, old)}


def _of_product(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """What the product in use that was chosen, or whose serial number was typed, says: which it is, whose, and until when we answer for it."""
    given = {key: values[key] for key in ("installed_id", "serial") if key in values and (old is None or values[key] != old[key])}
    chosen, serial = given.get("installed_id"), given.get("serial")
    if not any(isinstance(one, str) and one.strip() for one in (chosen, serial)):
        return dict.fromkeys(("installed_id", "warranty_until")) if given else {}
    known = {**(old or {}), **values}
    found = _by_id(uow.connection, actor, chosen) if chosen else _by_serial(uow.connection, actor, str(serial), known.get("customer_id"))
    if found is None:
        return {"installed_id": chosen, "warranty_until": None}
    told = {"installed_id": found["id"], "warranty_until": found.get("warranty_until")}
    for key in ("serial", "product_id", "customer_id"):
        stays = known.get(key) and (old is None or key == "customer_id" or known[key] != old[key])
        if found.get(key) is not None and not stays:
            told[key] = found[key]
    return told


def _by_id(connection: Connection, actor: Actor, identity: str) -> Record | None:
    """The product in use that was chosen, as far as the actor sees it."""
    seen = policy.seen(actor, _INSTALLED)
    query = ListQuery(_INSTALLED, where=(Condition("id", "=", identity),), limit=1, restrict=seen)
    return next(iter(select(connection, query, count=False).rows), None) if seen is not None else None


def _by_serial(connection: Connection, actor: Actor, serial: str, customer_id: str | None) -> Record | None:
    """The product in use with a serial number, among those the actor sees: this customer's, or the only one there is."""
    rows = products_by_serial(connection, actor, serial.strip())
    own = [row for row in rows if row.get("customer_id") == customer_id]
    candidates = own or rows
    return candidates[0] if len(candidates) == 1 or own else None


def products_by_serial(connection: Connection, actor: Actor, serial: str) -> list[Record]:
    """Products in use with exactly this serial number, the last sold first."""
    seen = policy.seen(actor, _INSTALLED)
    if seen is None or not seen.shows("serial"):
        return []
    query = ListQuery(
        _INSTALLED, where=(Condition("serial", "=", serial),), sort="-sold_on" if seen.shows("sold_on") else "", limit=20, restrict=seen
    )
    return select(connection, query, count=False).rows


def check_ticket(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """Contact and deal are of the customer, nothing was reported in the future, and one that has used parts is not deleted."""
    if new is old and has_parts(uow, old["id"]):
        raise Refused("ticket_has_parts", N_("“{title}” has used parts. Put them back first, or leave the ticket."), title=old["title"])
    if new["opened_at"] is not None and new["opened_at"] > moment(uow.store.clock) + _CLOCKS:
        raise InvalidInput("reported_later", N_("“{label}” lies in the future."), label=TICKET.fields["opened_at"].label, field="opened_at")
    if old is None or any(new[key] != old[key] for key in ("opportunity_id", "customer_id")):
        check_same_customer(uow, TICKET, new, "opportunity_id")
    if new["contact_id"] is None or (old is not None and all(new[key] == old[key] for key in ("contact_id", "customer_id"))):
        return
    contact = uow.find(_CONTACT, new["contact_id"])
    if contact is not None and contact["customer_id"] != new["customer_id"]:
        raise InvalidInput("not_of_customer", N_("This contact is at another customer. Choose one of this customer's."), field="contact_id")


def follow_ticket(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:
    """That it was entered, handed to somebody else or became more pressing is an event; what it cost us goes to its deal."""
    if old is None:
        _note(uow, actor, record, EventKind.OPENED, user_id=record["assignee_id"])
        return
    if record["opportunity_id"] != old["opportunity_id"]:
        for part in uow.where(TicketPart.entity_type, ticket_id=record["id"]):
            expense = uow.find(Expense.entity_type, part["expense_id"]) if part["expense_id"] else None
            now = standing(uow.connection, Expense.entity_type, expense) if expense else None
            if (
                expense and now and not now.is_waiting and not now.is_approved
            ):  # what somebody is asked about, or has agreed to, stays as it is
                uow.update(Expense.entity_type, expense["id"], {"opportunity_id": record["opportunity_id"]})
    if record["assignee_id"] != old["assignee_id"]:
        _note(uow, actor, record, EventKind.ASSIGNED, user_id=record["assignee_id"])
    if record["priority"] != old["priority"]:
        label = TICKET.fields["priority"].choices or {}
        _note(uow, actor, record, EventKind.PRIORITY, text=gettext(label[record["priority"]]))


# steps ---------------------------------------------------------------------------------------------------------------


def take_up(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId) -> dict[str, Any]:
    """Begin to work on a ticket; one of nobody becomes one's own. Returns it."""
    ticket = _in_state(uow, ticket_id, TicketState.OPEN)
    return _step(uow, actor, ticket, EventKind.TAKEN, {"state": TicketState.WORKING})


def assign(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, user_id: RecordId, text: str | None = None) -> dict[str, Any]:
    """Hand a ticket to somebody, perhaps with a word about it; returns it."""
    policy.require_record(uow.connection, actor, TICKET, ticket_id, "transfer")
    _in_state(uow, ticket_id, *UNDONE)
    records.update_record(uow, actor, entity=TICKET.key, id=ticket_id, values={"assignee_id": user_id})
    if (text or "").strip():
        _note(uow, actor, uow.get(TICKET, ticket_id), EventKind.REMARK, text=text)
    return _shown(uow, actor, ticket_id)


def add_remark(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, text: str, kind: str = EventKind.REMARK.value) -> dict[str, Any]:
    """Write down something about a ticket that the customer does not hear ("remark"), or that somebody was there ("visit"). Returns the ticket."""
    ticket = uow.get(TICKET, ticket_id)
    if kind not in _REMARKS:
        raise InvalidInput(
            "bad_choice",
            N_("{label}: “{value}” is not one of the choices."),
            label=EVENT.fields["kind"].label,
            value=kind[:60],
            field="kind",
        )
    _require_text(text, EVENT.fields["text"].label)
    takes_up = kind == EventKind.VISIT and ticket["state"] == TicketState.OPEN
    return _step(uow, actor, ticket, EventKind(kind), {"state": TicketState.WORKING} if takes_up else {}, text=text)


def answer(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, text: str, wait: bool = False) -> dict[str, Any]:
    """Write down what the customer was told; with ``wait`` it is his turn now and no clock runs. Returns the ticket."""
    ticket = _in_state(uow, ticket_id, *UNDONE)
    _require_text(text, EVENT.fields["text"].label)
    if wait and ticket["state"] != TicketState.WAITING:
        return _step(uow, actor, ticket, EventKind.WAITING, {"state": TicketState.WAITING}, text=text)
    takes_up = ticket["state"] == TicketState.OPEN
    return _step(uow, actor, ticket, EventKind.ANSWER, {"state": TicketState.WORKING} if takes_up else {}, text=text)


def resume(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, text: str | None = None) -> dict[str, Any]:
    """The customer has answered: the clock runs on. Returns the ticket."""
    ticket = _in_state(uow, ticket_id, TicketState.WAITING)
    return _step(uow, actor, ticket, EventKind.RESUMED, {"state": TicketState.WORKING}, text=text)


def close_ticket(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, solution: str, satisfaction: int | None = None) -> dict[str, Any]:
    """Close a ticket with its solution; some days later the customer is asked again. Returns it."""
    ticket = _in_state(uow, ticket_id, *UNDONE)
    _require_text(solution, TICKET.fields["solution"].label, field="solution")
    changes = {
        "state": TicketState.CLOSED,
        "solution": solution.strip(),
        "satisfaction": ticket["satisfaction"] if satisfaction is None else str(satisfaction),
        "revisit_on": _revisit_day(uow),
        "revisit_result": None,
    }
    return _step(uow, actor, ticket, EventKind.CLOSED, changes, text=solution)


def _revisit_day(uow: UnitOfWork) -> dt.date | None:
    """So many days from now, or the next day on which somebody works; None where the company does not ask again."""
    days = company_number(uow.connection, uow.node, "revisit_days")
    if not days:
        return None
    calendar = work_calendar(uow.connection)
    day = moment(uow.store.clock).astimezone().date() + dt.timedelta(days=days)
    return next((later for later in (day + dt.timedelta(days=n) for n in range(30)) if calendar.spans(later)), day)


def reopen_ticket(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, text: str | None = None) -> dict[str, Any]:
    """Go on with a ticket that was closed; its clock runs on from where it stood. Returns it."""
    ticket = _in_state(uow, ticket_id, TicketState.CLOSED)
    return _step(uow, actor, ticket, EventKind.REOPENED, {"state": TicketState.WORKING, "revisit_on": None}, text=text)


def record_revisit(
    uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, result: str, satisfaction: int | None = None, reopen: bool = False
) -> dict[str, Any]:
    """Write down what a customer said when he was asked again; ``reopen`` where it was not solved after all. Returns the ticket."""
    ticket = _in_state(uow, ticket_id, TicketState.CLOSED)
    _require_text(result, TICKET.fields["revisit_result"].label, field="result")
    changes: dict[str, Any] = {"revisit_result": result.strip()}
    if satisfaction is not None:
        changes["satisfaction"] = str(satisfaction)
    shown = _step(uow, actor, ticket, EventKind.REVISIT, changes, text=result)
    return reopen_ticket(uow, actor, ticket_id=ticket_id) if reopen else shown


# two that are one -----------------------------------------------------------------------------------------------------


def merge_tickets(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId, other_id: RecordId) -> dict[str, Any]:
    """Go on with one ticket for two of a customer that are about the same; returns the one that goes on. The other keeps its number and its history."""
    for one in (ticket_id, other_id):
        policy.require_record(uow.connection, actor, TICKET, one, "update")
    ticket, other = _in_state(uow, ticket_id, *UNDONE), uow.get(TICKET, other_id)
    if ticket_id == other_id:
        raise InvalidInput("same_ticket", N_("Choose another ticket than this one."), field="other_id")
    _require_state(other, (*UNDONE, TicketState.CLOSED))
    if other["customer_id"] != ticket["customer_id"]:
        raise Refused(
            "other_customer", N_("“{title}” is of another customer. Only tickets of one customer are merged."), title=other["title"]
        )
    _step(
        uow, actor, other, EventKind.MERGED, {"state": TicketState.MERGED, "merged_into": ticket_id, "revisit_on": None}, other_id=ticket_id
    )
    return _step(uow, actor, ticket, EventKind.MERGED, {}, other_id=other_id)


def split_ticket(uow: UnitOfWork, actor: Actor, *, ticket_id: RecordId) -> dict[str, Any]:
    """Take a ticket out of the one it was merged into; it is worked on again. Returns it."""
    ticket = _in_state(uow, ticket_id, TicketState.MERGED)
    return _step(uow, actor, ticket, EventKind.SPLIT, {"state": TicketState.WORKING, "merged_into": None}, other_id=ticket["merged_into"])


def family(connection: Connection, ticket_id: str) -> list[str]:
    """A ticket and all that were merged into it, at one or more removes, itself first."""
    rows = connection.all(
        """WITH RECURSIVE one(id) AS (SELECT ? UNION SELECT t.id FROM ticket t JOIN one ON t.merged_into = one.id WHERE t.deleted = 0)
           SELECT id FROM one""",
        (bytes.fromhex(ticket_id),),
    )
    return [ticket_id, *(row.hex() for (row,) in rows if row.hex() != ticket_id)]


def has_parts(uow: UnitOfWork, ticket_id: str) -> bool:
    """Whether a ticket has used parts that were not all put back."""
    found = uow.connection.value(
        "SELECT count(*) FROM (SELECT 1 FROM ticket_part WHERE ticket_id = ? AND deleted = 0 GROUP BY product_id, warehouse_id HAVING sum(quantity) <> 0)",
        (bytes.fromhex(ticket_id),),
    )
    return bool(found)


def open_circles(uow: UnitOfWork, ids: Sequence[str]) -> None:
    """Branches that merged A into B and B into A apart have left none to go on with: head office takes the oldest out again."""
    if not uow.node.is_office:
        return
    for identity in ids:
        circle = _circle(uow, identity)
        if circle:
            oldest = uow.get(TICKET, min(circle), deleted=True)
            uow.update(TICKET, oldest["id"], {"state": TicketState.WORKING, "merged_into": None})
            _note(uow, policy.SYSTEM, {**oldest, "state": TicketState.WORKING}, EventKind.SPLIT, other_id=oldest["merged_into"])


def _circle(uow: UnitOfWork, identity: str) -> list[str]:
    """The tickets of the circle that a ticket stands in; none where it does not."""
    way: list[str] = []
    step: str | None = identity
    while step is not None and step not in way:
        way.append(step)
        row = uow.find(TICKET, step, deleted=True)
        step = row["merged_into"] if row else None
    return way if step == identity else []


# what they share ------------------------------------------------------------------------------------------------------


def _in_state(uow: UnitOfWork, ticket_id: str, *states: TicketState) -> Record:
    ticket = uow.get(TICKET, ticket_id)
    _require_state(ticket, states)
    return ticket


def _require_state(ticket: Record, states: Iterable[TicketState]) -> None:
    if ticket["state"] not in states:
        raise Refused(
            "wrong_state",
            N_("“{title}” stands at “{state}”. Nothing was changed."),
            title=ticket["title"],
            state=gettext(TicketState(ticket["state"]).label),
        )


def _require_text(text: str, label: str, *, field: str = "text") -> None:
    if not text.strip():
        raise InvalidInput("required", N_("{label} is required."), label=label, field=field)


def _step(
    uow: UnitOfWork,
    actor: Actor,
    ticket: Record,
    kind: EventKind,
    changes: dict[str, Any],
    *,
    text: str | None = None,
    other_id: str | None = None,
) -> dict[str, Any]:
    """Write what changes of a ticket, checked, and the event; one of nobody becomes whose it is who moves it."""
    if changes.get("state") in {TicketState.WORKING, TicketState.WAITING, TicketState.CLOSED} and ticket["assignee_id"] is None:
        changes = {**changes, "assignee_id": actor.user_id}
    whole = {key: changes.get(key, ticket[key]) for key in TICKET.fields}
    typed = TICKET.validate(whole)
    uow.update(TICKET, ticket["id"], {key: typed[key] for key in changes})
    _note(uow, actor, {**ticket, **changes}, kind, text=text, other_id=other_id)
    return _shown(uow, actor, ticket["id"])


def _note(
    uow: UnitOfWork,
    actor: Actor,
    ticket: Record,
    kind: EventKind,
    *,
    text: str | None = None,
    user_id: str | None = None,
    other_id: str | None = None,
) -> None:
    values = {
        "ticket_id": ticket["id"],
        "at": moment(uow.store.clock),
        "kind": kind,
        "state": ticket["state"],
        "text": (text or "").strip() or None,
        "by_id": actor.user_id,
        "user_id": user_id,
        "other_id": other_id,
        "branch_id": uow.node.branch_id,
    }
    uow.insert(EVENT, EVENT.validate(values))


def _shown(uow: UnitOfWork, actor: Actor, ticket_id: str) -> dict[str, Any]:
    return record_json(TICKET, policy.shown(actor, TICKET, uow.get(TICKET, ticket_id)))


_UPDATE = "ticket.update"
BEHAVIOURS = {"ticket": Behaviour(prepare=prepare_ticket, check=check_ticket, after=follow_ticket)}
VERBS = (
    *(
        Verb(function, label, _UPDATE, record="ticket_id")
        for function, label in (
            (take_up, N_("Take up a ticket")),
            (add_remark, N_("Write a remark on a ticket")),
            (answer, N_("Answer a ticket")),
            (resume, N_("The customer of a ticket has answered")),
            (close_ticket, N_("Close a ticket")),
            (reopen_ticket, N_("Reopen a ticket")),
            (record_revisit, N_("Ask the customer of a ticket again")),
            (split_ticket, N_("Take merged tickets apart")),
        )
    ),
    Verb(assign, N_("Hand a ticket to somebody")),
    Verb(merge_tickets, N_("Merge two tickets")),
)
