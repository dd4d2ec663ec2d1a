"""What screens show of approvals: the boxes of the inbox, the strip of a document, and whom a flow would ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localcrm.domain import policy
from localcrm.domain.approvals import rules
from localcrm.domain.approvals.company import company_for, load_company
from localcrm.domain.approvals.documents import DOCUMENTS, Request, Standing, latest_request, rows_of, standing, waits_for, with_decisions
from localcrm.domain.approvals.entities import ApprovalRequest, ApprovalStep, Decision
from localcrm.domain.approvals.rules import Company, Seat
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, records_by_id, titles
from localcrm.store.store import Store

_REQUEST, _STEP, _USER = ApprovalRequest.entity_type, ApprovalStep.entity_type, User.entity_type


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the inbox. ``title`` is empty where the document may not be seen (any more); ``asked``: whose turn it is; ``decision``: the actor's own."""

    request: Request
    title: str
    names: Mapping[str, str]
    asked: Sequence[str] = ()
    decision: Record | None = None


BOXES = ("waiting", "mine", "decided")
#: Lines that a box shows at most.
MOST_ENTRIES = 200


def inbox(connection: Connection, actor: Actor, *, box: str) -> list[Entry]:
    """What waits for the actor (the oldest first), what he submitted, or what he decided (the newest first)."""
    if actor.user_id is None:
        return []
    me = bytes.fromhex(actor.user_id)
    if box == "waiting":
        found = waits_for(connection, actor.user_id)
        return _entries(connection, actor, [(one, None) for one in found[:MOST_ENTRIES]])
    if box == "mine":
        rows = rows_of(connection, _REQUEST, "author_id = ? AND deleted = 0", (me,))[-MOST_ENTRIES:]
        return _entries(connection, actor, [(one, None) for one in reversed(with_decisions(connection, rows))])
    steps = rows_of(connection, _STEP, "user_id = ? AND deleted = 0", (me,))[-MOST_ENTRIES:]
    known = {one["id"]: one for one in records_by_id(connection, _REQUEST, list(dict.fromkeys(step["request_id"] for step in steps)))}
    requests = {one.record["id"]: one for one in with_decisions(connection, list(known.values()))}
    return _entries(connection, actor, [(requests[step["request_id"]], step) for step in reversed(steps) if step["request_id"] in requests])


def waiting_count(connection: Connection, actor: Actor) -> int:
    """How many documents wait for the actor."""
    return len(waits_for(connection, actor.user_id)) if actor.user_id else 0


def _entries(connection: Connection, actor: Actor, found: Sequence[tuple[Request, Record | None]]) -> list[Entry]:
    company = load_company(connection) if found else None
    entries = []
    for request, decision in found:
        if not request.is_sound:
            continue
        kind = entity_type(request.record["entity"])
        asked = [user for seat in rules.open_seats(request.plan, request.pairs) if company for user in request.asked(seat, company)]
        users = [request.record["author_id"], *asked, *(one["user_id"] for one in request.decisions)]
        title = ""
        if policy.visible(connection, actor, kind, request.record["record"]):
            document = policy.shown(actor, kind, records_by_id(connection, kind, [request.record["record"]])[0])
            title = DOCUMENTS[kind.key].describe(connection, document)
        entries.append(Entry(request, title, titles(connection, _USER, users), list(dict.fromkeys(asked)), decision))
    return entries


@dataclass(frozen=True, slots=True)
class Place:
    """One seat as the page of a document shows it."""

    step: int
    names: Sequence[str]
    decision: Record | None
    decided_by: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """The approval of one document for the actor: its state, and which of the four actions are his to take."""

    standing: Standing
    places: Sequence[Place]
    author: str
    may_submit: bool
    may_withdraw: bool
    may_decide: bool


def progress(connection: Connection, node: Node, actor: Actor, *, entity: str, id: str) -> Progress | None:
    """What the page of a document shows of its approval; None where there is nothing to show. Raises NotFound."""
    kind = entity_type(entity)
    policy.require_record(connection, actor, kind, id, "read")
    document = records_by_id(connection, kind, [id])[0]
    draft = DOCUMENTS[kind.key].is_open(document)
    latest = latest_request(connection, kind, document)
    now = standing(connection, kind, document) if draft else Standing(latest)
    if now.request is None and now.flow is None:
        return None
    request, company = now.request, load_company(connection)
    own = draft and document["branch_id"] == node.branch_id and not actor.watched_by
    places, author = _places(connection, request, company) if request else ([], "")
    waits = now.is_waiting and actor.user_id is not None and not actor.watched_by
    return Progress(
        now,
        places,
        author,
        may_submit=own and now.flow is not None and policy.visible(connection, actor, kind, id, action="update"),
        may_withdraw=waits and request is not None and request.record["author_id"] == actor.user_id,
        may_decide=waits and request is not None and request.seat_of(actor.user_id or "", company) is not None,
    )


def _places(connection: Connection, request: Request, company: Company) -> tuple[list[Place], str]:
    opened = rules.open_seats(request.plan, request.pairs)
    asked = {seat: request.asked(seat, company) if seat in opened else list(request.plan[seat].users) for seat in range(len(request.plan))}
    users = [
        *(user for some in asked.values() for user in some),
        *(one["user_id"] for one in request.decisions),
        request.record["author_id"],
    ]
    names = titles(connection, _USER, users)
    places = []
    for number, seat in enumerate(request.plan):
        made = [one for one in request.decisions if one["seat"] == number]
        # Of two made apart the one that counts.
        decision = next((one for one in made if one["decision"] == Decision.REJECTED), made[0] if made else None)
        by = names.get(decision["user_id"], "") if decision else ""
        places.append(Place(seat.step, [names[user] for user in asked[number] if user in names], decision, by, number in opened))
    return places, names.get(request.record["author_id"], "")


def preview_flow(
    store: Store, connection: Connection, actor: Actor, *, entity: str, steps: str, author: str
) -> list[tuple[Seat, list[str]]]:
    """Whom these steps would ask about a document of this author: each seat with the names."""
    policy.require(actor, "approval_flow.read")
    company = company_for(store, connection, entity_type(entity))
    plan = rules.seats(rules.read_steps(steps), author=author, barred={author}, company=company)
    names = titles(connection, _USER, [user for seat in plan for user in seat.users])
    return [(seat, [names[user] for user in seat.users]) for seat in plan]
