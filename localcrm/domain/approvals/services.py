"""Approvals of any document: submitting it, deciding, withdrawing, and what holds because of it.

A subject binds its documents in ``DOCUMENTS``; it asks ``check_editable`` before a draft changes and ``check_approved``
before it is posted. Requests and decisions are only ever added: what became of a request follows from its decisions
(``rules.state``), so those made apart are all kept and come to the same everywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from localcrm.domain import policy
from localcrm.domain.approvals import rules
from localcrm.domain.approvals.company import company_for, load_company
from localcrm.domain.approvals.entities import AfterRejection, ApprovalFlow, ApprovalRequest, ApprovalStep, Decision
from localcrm.domain.approvals.rules import WHOLE, Company, Fact, Seat, State
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Kind, entities, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Record, load_record, record_columns, records_by_id, titles
from localcrm.store.uow import UnitOfWork

_FLOW, _REQUEST, _STEP, _USER = ApprovalFlow.entity_type, ApprovalRequest.entity_type, ApprovalStep.entity_type, User.entity_type


@dataclass(frozen=True, slots=True)
class Document:
    """How a kind of document is bound: the facts conditions may ask for, how they are found, and one line that says which it is."""

    facts: tuple[Fact, ...]
    read: Callable[[Connection, Record], Mapping[str, Any]]
    describe: Callable[[Connection, Mapping[str, Any]], str]


#: Documents that can need an approval, by kind of record (see ``subjects``).
DOCUMENTS: dict[str, Document] = {}


@dataclass(frozen=True)
class Request:
    """A request with what was decided about it."""

    record: Record
    decisions: Sequence[Record] = ()

    @cached_property
    def plan(self) -> list[Seat]:
        """Its seats."""
        return rules.read_plan(self.record["plan"])

    @cached_property
    def pairs(self) -> list[tuple[int, str]]:
        """(seat, decision) of each decision."""
        return [(one["seat"], one["decision"]) for one in self.decisions]

    @property
    def state(self) -> State:
        """What became of it."""
        return rules.state(self.plan, self.pairs)

    @property
    def barred(self) -> set[str]:
        """Who may not decide: the document is his."""
        return {user for user in (self.record["author_id"], self.record["owner_id"]) if user}

    def asked(self, seat: int, company: Company) -> list[str]:
        """Who may fill a seat today."""
        return rules.sitting(self.plan[seat], author=self.record["author_id"], barred=self.barred, company=company)

    def seat_of(self, user: str, company: Company) -> int | None:
        """The open seat that somebody may fill now."""
        return next((seat for seat in rules.open_seats(self.plan, self.pairs) if user in self.asked(seat, company)), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a document stands: its latest request, what changed since, and the flow that would be asked now where posting needs one."""

    request: Request | None
    changed: tuple[str, ...] = ()
    flow: Record | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is asked right now."""
        return self.request is not None and self.request.state == State.WAITING

    @property
    def is_approved(self) -> bool:
        """Whether the document was approved exactly as it is."""
        return self.request is not None and self.request.state == State.APPROVED and not self.changed


# how things stand ------------------------------------------------------------------------------------------------------


def standing(connection: Connection, kind: EntityType, document: Record) -> Standing:
    """How a document stands, from all of it: what is read here is for the program's own working out."""
    latest = latest_request(connection, kind, document["id"])
    if latest is not None and latest.state == State.WAITING:
        return Standing(latest)
    changed = _changed(json.loads(latest.record["content"]), content(connection, kind, document)) if latest else ()
    now = Standing(latest, changed)
    return now if now.is_approved else Standing(latest, changed, fitting_flow(connection, kind, document))


def latest_request(connection: Connection, kind: EntityType, identity: str) -> Request | None:
    """The request that came last about a document: one branch alone submits it, so they come in the same order everywhere."""
    rows = _rows(connection, _REQUEST, "record = ? AND entity = ? AND deleted = 0", (identity, kind.key))
    return _with_decisions(connection, rows[-1:])[0] if rows else None


def waiting_requests(connection: Connection) -> list[Request]:
    """Every request that waits: of documents that are drafts, for nothing else can."""
    found: list[Record] = []
    if connection.value("SELECT 1 FROM approval_request LIMIT 1"):
        for kind in entities():
            if kind.kind is Kind.DOCUMENT:
                drafts = f"record IN (SELECT lower(hex(id)) FROM \"{kind.key}\" WHERE status = 'draft' AND deleted = 0)"
                found += _rows(connection, _REQUEST, f"entity = ? AND deleted = 0 AND {drafts}", (kind.key,))
    return [request for request in _with_decisions(connection, found) if request.state == State.WAITING]


def waits_for(connection: Connection, user: str) -> list[Request]:
    """Requests that somebody can decide now."""
    waiting = waiting_requests(connection)
    company = load_company(connection) if waiting else None
    return [request for request in waiting if company and request.seat_of(user, company) is not None]


def shown_to_approver(connection: Connection, user: str) -> list[tuple[str, str]]:
    """(kind, id) of the documents somebody sees because they wait for him."""
    return [(request.record["entity"], request.record["record"]) for request in waits_for(connection, user)]


def _with_decisions(connection: Connection, requests: Sequence[Record]) -> list[Request]:
    decisions: dict[str, list[Record]] = defaultdict(list)
    for start in range(0, len(requests), 500):
        keys = [bytes.fromhex(request["id"]) for request in requests[start : start + 500]]
        for row in _rows(connection, _STEP, f"request_id IN ({','.join('?' * len(keys))}) AND deleted = 0", keys):
            decisions[row["request_id"]].append(row)
    in_order = {key: sorted(rows, key=lambda row: (row["decided_at"], row["id"])) for key, rows in decisions.items()}
    return [Request(request, in_order.get(request["id"], [])) for request in requests]


def _rows(connection: Connection, kind: EntityType, where: str, params: Sequence[Any]) -> list[Record]:
    rows = connection.all(f'SELECT {record_columns(kind)} FROM "{kind.key}" WHERE {where} ORDER BY rid', params)
    return [load_record(kind, row) for row in rows]


def fitting_flow(connection: Connection, kind: EntityType, document: Record) -> Record | None:
    """The first active flow that a document fits."""
    binding = DOCUMENTS.get(kind.key)
    flows = _rows(connection, _FLOW, "entity = ? AND active = 1 AND deleted = 0", (kind.key,)) if binding else []
    if binding is None or not flows:
        return None
    facts = binding.read(connection, document)
    ordered = sorted(flows, key=lambda flow: (flow["position"], flow["id"]))
    return next((flow for flow in ordered if rules.fits(flow["conditions"], facts)), None)


def content(connection: Connection, kind: EntityType, document: Record) -> dict[str, str]:
    """A digest of every part of a document that people enter: by field, of lines by column."""
    parts = {f"{kind.key}.{field.key}": _digest([document[field.key]]) for field in kind.fields.values() if field.f.editable}
    for line in entities():
        if line.kind is Kind.LINE and line.parent and line.fields[line.parent].f.ref == kind.key:
            rows = _rows(connection, line, f'"{line.parent}" = ? AND deleted = 0', (bytes.fromhex(document["id"]),))
            rows.sort(key=lambda row: row["id"])
            fields = [field for field in line.fields.values() if field.f.editable and field.key not in {line.parent, line.order_by}]
            parts |= {f"{line.key}.{field.key}": _digest([[row["id"], row[field.key]] for row in rows]) for field in fields}
    return parts


def _digest(values: Any) -> str:
    return hashlib.blake2b(json.dumps(values, default=str, ensure_ascii=False).encode(), digest_size=8).hexdigest()


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Labels of what differs. A field that was added since differs once something is entered in it."""
    found = []
    for key, digest in now.items():
        name, _dot, field = key.partition(".")
        if before.get(key, _digest([None])) != digest:
            kind = entity_type(name)
            label = kind.fields[field].label
            of_line = gettext(N_("{label} of the lines")).format(label=label)
            found.append(of_line if kind.kind is Kind.LINE else label)
    return tuple(found)


# what holds because of it ------------------------------------------------------------------------------------------------


def check_editable(connection: Connection, kind: EntityType, document: Record) -> None:
    """Refuse to change, delete or post a document while somebody is asked about it."""
    latest = latest_request(connection, kind, document["id"])
    if latest is not None and latest.state == State.WAITING:
        raise Refused(
            "approval_waiting", N_("This document waits for approval and stays as it is until then. Whoever submitted it can withdraw it.")
        )


def check_approved(connection: Connection, kind: EntityType, document: Record) -> None:
    """Refuse to post a document that a flow asks about, unless exactly this was approved."""
    now = standing(connection, kind, document)
    if now.is_approved or now.flow is None:
        return
    state = now.request.state if now.request else None
    if state == State.APPROVED:
        raise Refused(
            "approval_needed",
            N_("It was changed after it was approved ({changed}), so the approval no longer counts. Submit it again; nothing was posted."),
            changed=gettext(N_(", ")).join(now.changed),
        )
    if state == State.REJECTED:
        raise Refused(
            "approval_needed", N_("It was rejected. Correct it and submit it again (“{flow}”); nothing was posted."), flow=now.flow["name"]
        )
    raise Refused("approval_needed", N_("It needs an approval first (“{flow}”). Submit it; nothing was posted."), flow=now.flow["name"])


# verbs ---------------------------------------------------------------------------------------------------------------------


def submit(uow: UnitOfWork, actor: Actor, *, entity: str, id: RecordId, comment: str | None = None) -> dict[str, Any]:
    """Submit a draft for approval; returns {request_id, flow, asked: names of those whose turn it is}."""
    kind = entity_type(entity)
    if kind.key not in DOCUMENTS:
        raise Refused("not_approved", N_("Records of the kind “{entity}” need no approval."), entity=kind.label)
    policy.require_record(uow.connection, actor, kind, id, "update")
    author, document = _user(actor), uow.get(kind, id)
    if document["status"] != "draft":
        raise Refused("posted_document", N_("A posted document is never changed. Reverse it instead."))
    if document["branch_id"] != uow.node.branch_id:
        raise Refused("other_branch", N_("This document belongs to another branch; only that branch can change it."))
    check_editable(uow.connection, kind, document)
    now = standing(uow.connection, kind, document)
    if now.is_approved:
        raise Refused("already_approved", N_("This was approved just as it is; it can be posted."))
    if now.flow is None:
        raise Refused("no_flow", N_("It needs no approval; it can be posted."))
    owner = document[kind.owner] if kind.owner else None
    plan = _plan(uow, kind, now.flow, author, {author, owner} - {None}, now.request)
    if not all(seat.users for seat in plan):
        raise Refused(
            "no_approver",
            N_(
                "There is nobody who could approve this (“{flow}”): ask an administrator of head office to name somebody. Nothing was changed."
            ),
            flow=now.flow["name"],
        )
    values = {
        "entity": kind.key,
        "record": document["id"],
        "flow_id": now.flow["id"],
        "flow": now.flow["name"][:200],
        "author_id": author,
        "owner_id": owner,
        "plan": rules.write_plan(plan),
        "content": json.dumps(content(uow.connection, kind, document)),
        "comment": _comment(comment),
        "submitted_at": now_utc(),
        "branch_id": uow.node.branch_id,
    }
    request = Request(uow.get(_REQUEST, uow.insert(_REQUEST, _REQUEST.validate(values))))
    return {"request_id": request.record["id"], "flow": now.flow["name"], "asked": _names(uow.connection, request)}


def _plan(uow: UnitOfWork, kind: EntityType, flow: Record, author: str, barred: set[Any], before: Request | None) -> list[Seat]:
    company = company_for(uow.connection, uow.node, kind)
    plan = rules.seats(rules.read_steps(flow["steps"]), author=author, barred=barred, company=company)
    again = before is not None and before.state == State.REJECTED and before.record["flow_id"] == flow["id"]
    if before is not None and again and flow["after_rejection"] == AfterRejection.REJECTED:
        return rules.carried_on(plan, before.plan, before.pairs)
    return plan


def approve(uow: UnitOfWork, actor: Actor, *, request_id: RecordId, comment: str | None = None) -> dict[str, Any]:
    """Approve what waits for one; returns {request_id, state, asked}."""
    return _decide(uow, actor, request_id, Decision.APPROVED, comment)


def reject(uow: UnitOfWork, actor: Actor, *, request_id: RecordId, comment: str) -> dict[str, Any]:
    """Reject what waits for one, and say why; returns {request_id, state, asked}."""
    if not comment.strip():
        raise InvalidInput("reason_needed", N_("Say why it is rejected, so that it can be corrected."), field="comment")
    return _decide(uow, actor, request_id, Decision.REJECTED, comment)


def withdraw(uow: UnitOfWork, actor: Actor, *, request_id: RecordId, comment: str | None = None) -> dict[str, Any]:
    """Take back what one has submitted, to change it; returns {request_id, state, asked}."""
    request = _request(uow, actor, request_id)
    if request.record["author_id"] != actor.user_id:
        raise Forbidden("not_author", N_("Only whoever submitted it can withdraw it."))
    _check_open(uow.connection, request)
    return _write(uow, actor, request, WHOLE, Decision.WITHDRAWN, comment)


def _decide(uow: UnitOfWork, actor: Actor, request_id: str, decision: Decision, comment: str | None) -> dict[str, Any]:
    request, company = _request(uow, actor, request_id), load_company(uow.connection)
    _check_open(uow.connection, request)
    user = _user(actor)
    seat = request.seat_of(user, company)
    if seat is None:
        _check_not_taken(uow.connection, request, user)
        raise Forbidden("not_asked", N_("This does not wait for you."))
    if not rules.decides_at(user, uow.node.branch_id, company):
        raise Refused(
            "decides_elsewhere", N_("You belong to another branch: decide there. What is decided here in your name would not be accepted.")
        )
    return _write(uow, actor, request, seat, decision, comment)


def _write(uow: UnitOfWork, actor: Actor, request: Request, seat: int, decision: Decision, comment: str | None) -> dict[str, Any]:
    values = {"request_id": request.record["id"], "seat": seat, "decision": decision, "user_id": _user(actor)}
    values |= {"comment": _comment(comment), "decided_at": now_utc(), "branch_id": uow.node.branch_id}
    uow.insert(_STEP, _STEP.validate(values))
    decided = _with_decisions(uow.connection, [request.record])[0]
    return {"request_id": request.record["id"], "state": decided.state.value, "asked": _names(uow.connection, decided)}


def _request(uow: UnitOfWork, actor: Actor, request_id: str) -> Request:
    """A request of, to, or about a document seen by the actor; raises NotFound."""
    request = _with_decisions(uow.connection, [uow.get(_REQUEST, request_id)])[0]
    concerned = request.barred.union(*(seat.users for seat in request.plan))
    if actor.user_id not in concerned:
        kind = entity_type(request.record["entity"])
        if not policy.visible(uow.connection, actor, kind, request.record["record"]):
            raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=_REQUEST.label)
    return request


def _check_open(connection: Connection, request: Request) -> None:
    if request.state != State.WAITING:
        last = request.decisions[-1]
        raise Refused(
            "approval_decided",
            N_("This was settled already: {decision} by {name}. Nothing was changed."),
            decision=gettext(Decision(last["decision"]).label),
            name=titles(connection, _USER, [last["user_id"]])[last["user_id"]],
        )


def _check_not_taken(connection: Connection, request: Request, user: str) -> None:
    """Tell who was quicker, where somebody comes second."""
    taken = [one for one in request.decisions if one["seat"] >= 0 and user in request.plan[one["seat"]].users]
    if taken:
        by = taken[-1]["user_id"]
        raise Refused(
            "approval_decided",
            N_("This was settled already: {decision} by {name}. Nothing was changed."),
            decision=gettext(Decision(taken[-1]["decision"]).label),
            name=titles(connection, _USER, [by])[by],
        )


def _names(connection: Connection, request: Request) -> list[str]:
    seats = rules.open_seats(request.plan, request.pairs)
    company = load_company(connection) if seats else None
    users = [user for seat in seats if company for user in request.asked(seat, company)]
    found = titles(connection, _USER, users)
    return [found[user] for user in dict.fromkeys(users)]


# flows ---------------------------------------------------------------------------------------------------------------------


def prepare_flow(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """Conditions and steps are kept in one way of writing, and only where they can be meant."""
    filled = dict(values)
    binding = DOCUMENTS.get(filled.get("entity") or (old or _BLANK)["entity"])
    if binding is None:
        raise InvalidInput("bad_flow_entity", N_("Records of this kind need no approval."), field="entity")
    if "conditions" in filled:
        filled["conditions"] = rules.written(rules.read_conditions(filled["conditions"], binding.facts))
    if "steps" in filled:
        steps = rules.read_steps(filled["steps"])
        for step in steps:
            if step.id:
                uow.get(_USER if step.who == rules.Who.USER else entity_type("role"), step.id)
        filled["steps"] = rules.written(steps)
    return filled


_BLANK: Mapping[str, Any] = {"entity": ApprovalFlow.entity_type.fields["entity"].default}


def preview_flow(connection: Connection, node: Node, actor: Actor, *, entity: str, steps: str, author: str) -> list[tuple[Seat, list[str]]]:
    """Whom these steps would ask about a document of this author: each seat with the names."""
    policy.require(actor, "approval_flow.read")
    company = company_for(connection, node, entity_type(entity))
    plan = rules.seats(rules.read_steps(steps), author=author, barred={author}, company=company)
    names = titles(connection, _USER, [user for seat in plan for user in seat.users])
    return [(seat, [names[user] for user in seat.users]) for seat in plan]


# what screens show -----------------------------------------------------------------------------------------------------------


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
        rows = _rows(connection, _REQUEST, "author_id = ? AND deleted = 0", (me,))[-MOST_ENTRIES:]
        return _entries(connection, actor, [(one, None) for one in reversed(_with_decisions(connection, rows))])
    steps = _rows(connection, _STEP, "user_id = ? AND deleted = 0", (me,))[-MOST_ENTRIES:]
    known = {one["id"]: one for one in records_by_id(connection, _REQUEST, list(dict.fromkeys(step["request_id"] for step in steps)))}
    requests = {one.record["id"]: one for one in _with_decisions(connection, list(known.values()))}
    return _entries(connection, actor, [(requests[step["request_id"]], step) for step in reversed(steps) if step["request_id"] in requests])


def _entries(connection: Connection, actor: Actor, found: Sequence[tuple[Request, Record | None]]) -> list[Entry]:
    company = load_company(connection) if found else None
    entries = []
    for request, decision in found:
        kind = entity_type(request.record["entity"])
        asked = [user for seat in rules.open_seats(request.plan, request.pairs) if company for user in request.asked(seat, company)]
        users = [request.record["author_id"], *asked, *(one["user_id"] for one in request.decisions)]
        title = ""
        if kind.key in DOCUMENTS and policy.visible(connection, actor, kind, request.record["record"]):
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
    draft = document["status"] == "draft" and not document["deleted"]
    latest = latest_request(connection, kind, id)
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


def _user(actor: Actor) -> str:
    if actor.user_id is None:
        raise Forbidden("forbidden", N_("Only a person can submit or decide."))
    return actor.user_id


def _comment(text: str | None) -> str | None:
    return (text or "").strip() or None


BEHAVIOURS = {"approval_flow": Behaviour(prepare=prepare_flow)}
VERBS = (Verb(submit, N_("Submit for approval")), Verb(approve, N_("Approve")), Verb(reject, N_("Reject")), Verb(withdraw, N_("Withdraw")))
