"""Documents that can need an approval: how they are bound, what was asked about them, and what holds because of it.

A subject binds its documents in ``DOCUMENTS``; it asks ``check_editable`` before a draft changes and ``check_approved``
before it is posted. Requests and decisions are only ever added: what became of a request follows from its decisions
(``rules.state``), so those made apart are all kept and come to the same everywhere. Rows from elsewhere may hold anything.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from localcrm.domain.approvals import rules
from localcrm.domain.approvals.company import load_company
from localcrm.domain.approvals.entities import ApprovalFlow, ApprovalRequest, ApprovalStep
from localcrm.domain.approvals.rules import Company, Fact, Seat, State
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, Field, entities, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Record, load_record, record_columns
from localcrm.store.uow import UnitOfWork

_FLOW, _REQUEST, _STEP = ApprovalFlow.entity_type, ApprovalRequest.entity_type, ApprovalStep.entity_type


@dataclass(frozen=True, slots=True)
class Words:
    """What people are told of a kind of document (msgids): that it was approved as it is, needs no approval, needs one."""

    approved: str
    needless: str
    needed: str


POSTED = Words(
    N_("This was approved just as it is; it can be posted."),
    N_("It needs no approval; it can be posted."),
    N_("This has to be approved before it can be posted."),
)
COUNTS = Words(
    N_("This was approved just as it is; it counts."),
    N_("It needs no approval; it counts."),
    N_("This has to be approved before it counts."),
)


@dataclass(frozen=True, slots=True)
class Document:
    """How a kind of document is bound: the facts conditions may ask for, how they are found, one line that says which it is, and what
    refuses a draft that lacks something it is not posted without: nobody is asked about that one. ``is_posted``: False for what never stops
    being a draft, such as an expense: it may be submitted as long as it is there, and counts once it was approved as it is.
    """

    facts: tuple[Fact, ...]
    read: Callable[[Connection, Record], Mapping[str, Any]]
    describe: Callable[[Connection, Mapping[str, Any]], str]
    check_ready: Callable[[UnitOfWork, Record], None]
    is_posted: bool = True
    words: Words = POSTED

    def is_open(self, document: Mapping[str, Any]) -> bool:
        """Whether a document may still be submitted."""
        return not document["deleted"] and (not self.is_posted or document["status"] == "draft")


#: Of requests about documents that are never posted, those that came last.
_LOOKED_AT = 5000
#: Documents that can need an approval, by kind of record (see ``subjects``).
DOCUMENTS: dict[str, Document] = {}


@dataclass(frozen=True)
class Request:
    """A request with what was decided about it."""

    record: Record
    decisions: Sequence[Record] = ()

    @property
    def is_sound(self) -> bool:
        """Whether it names a document at all; one from elsewhere may name anything."""
        kind, identity = self.record["entity"], self.record["record"]
        return kind in DOCUMENTS and len(identity) == 32 and set(identity) <= set("0123456789abcdef")

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
    latest = latest_request(connection, kind, document)
    if latest is not None and latest.state == State.WAITING:
        return Standing(latest)
    changed = _changed(_read_content(latest.record["content"]), content(connection, kind, document)) if latest else ()
    now = Standing(latest, changed)
    return now if now.is_approved else Standing(latest, changed, fitting_flow(connection, kind, document))


def latest_request(connection: Connection, kind: EntityType, document: Mapping[str, Any]) -> Request | None:
    """The request that came last about a document. Only its own branch submits it, so they come in the same order everywhere."""
    asked = (document["id"], kind.key, bytes.fromhex(document["branch_id"]) if document["branch_id"] else None)
    rows = rows_of(connection, _REQUEST, "record = ? AND entity = ? AND +branch_id IS ? AND deleted = 0", asked)
    return with_decisions(connection, rows[-1:])[0] if rows else None


def waiting_requests(connection: Connection) -> list[Request]:
    """Every request that waits: of documents that are drafts, and of those that are never posted the ones asked about lately."""
    found: list[Record] = []
    if connection.value("SELECT 1 FROM approval_request LIMIT 1"):
        for key, binding in DOCUMENTS.items():
            # From the few drafts to their requests, never through all that were ever made (the plus keeps the index of branches out of it).
            about_drafts = f"""SELECT r.rid FROM "{key}" d CROSS JOIN approval_request r ON r.record = lower(hex(d.id)) AND r.deleted = 0
                WHERE d.status = 'draft' AND d.deleted = 0 AND +r.branch_id IS d.branch_id AND r.entity = ?"""
            # What is no draft is looked for among the requests that came last, without those whose places are all filled.
            undecided = f"""SELECT r.rid FROM (SELECT * FROM approval_request ORDER BY rid DESC LIMIT {_LOOKED_AT}) r
                JOIN "{key}" d ON d.id = unhex(r.record) AND d.deleted = 0 AND d.branch_id IS r.branch_id WHERE r.deleted = 0 AND r.entity = ?
                AND (SELECT count(DISTINCT s.seat) FROM approval_step s WHERE s.request_id = r.id AND s.deleted = 0)
                    < CASE WHEN json_valid(r.plan) THEN json_array_length(r.plan) ELSE 0 END"""
            found += rows_of(connection, _REQUEST, f"rid IN ({about_drafts if binding.is_posted else undecided})", (key,))
    return [request for request in with_decisions(connection, found) if request.state == State.WAITING]


def waits_for(connection: Connection, user: str) -> list[Request]:
    """Requests that somebody can decide now."""
    waiting = waiting_requests(connection)
    company = load_company(connection) if waiting else None
    return [request for request in waiting if company and request.seat_of(user, company) is not None]


def shown_to_approver(connection: Connection, user: str) -> list[tuple[str, str]]:
    """(kind, id) of the documents somebody sees because they wait for him."""
    return [(request.record["entity"], request.record["record"]) for request in waits_for(connection, user)]


def with_decisions(connection: Connection, requests: Sequence[Record]) -> list[Request]:
    """Requests with what was decided about each, in the order of the clock."""
    decisions: dict[str, list[Record]] = defaultdict(list)
    for start in range(0, len(requests), 500):
        keys = [bytes.fromhex(request["id"]) for request in requests[start : start + 500]]
        for row in rows_of(connection, _STEP, f"request_id IN ({','.join('?' * len(keys))}) AND deleted = 0", keys):
            decisions[row["request_id"]].append(row)
    in_order = {key: sorted(rows, key=lambda row: (row["decided_at"], row["id"])) for key, rows in decisions.items()}
    return [Request(request, in_order.get(request["id"], [])) for request in requests]


def rows_of(connection: Connection, kind: EntityType, where: str, params: Sequence[Any]) -> list[Record]:
    """Rows of a kind in the order they came, whole: for working out, never for a screen."""
    rows = connection.all(f'SELECT {record_columns(kind)} FROM "{kind.key}" WHERE {where} ORDER BY rid', params)
    return [load_record(kind, row) for row in rows]


def fitting_flow(connection: Connection, kind: EntityType, document: Record) -> Record | None:
    """The first active flow that a document fits."""
    binding = DOCUMENTS.get(kind.key)
    flows = rows_of(connection, _FLOW, "entity = ? AND active = 1 AND deleted = 0", (kind.key,)) if binding else []
    if binding is None or not flows:
        return None
    facts = binding.read(connection, document)
    ordered = sorted(flows, key=lambda flow: (flow["position"], flow["id"]))
    return next((flow for flow in ordered if rules.fits(flow["conditions"], facts)), None)


def content(connection: Connection, kind: EntityType, document: Record) -> dict[str, str]:
    """A digest of every part of a document that people enter: by field, of lines by column."""
    parts = {f"{kind.key}.{field.key}": _digest(field, [document]) for field in kind.fields.values() if field.f.editable}
    for line in entities():
        if line.parent and line.fields[line.parent].f.ref == kind.key:
            rows = rows_of(connection, line, f'"{line.parent}" = ? AND deleted = 0', (bytes.fromhex(document["id"]),))
            rows.sort(key=lambda row: row["id"])
            fields = [field for field in line.fields.values() if field.f.editable and field.key not in {line.parent, line.order_by}]
            parts |= {f"{line.key}.{field.key}": _digest(field, rows) for field in fields}
    return parts


def _digest(field: Field, rows: Sequence[Record]) -> str:
    """Of the values that are not the usual one, so that a field added later is no change until something is entered in it."""
    values = [[row["id"], row[field.key]] for row in rows if row[field.key] != field.default]
    return hashlib.blake2b(json.dumps(values, default=str, ensure_ascii=False).encode(), digest_size=8).hexdigest() if values else ""


def _read_content(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}


def _changed(before: Mapping[str, Any], now: Mapping[str, str]) -> tuple[str, ...]:
    """Labels of what differs."""
    found = []
    for key, digest in now.items():
        if before.get(key, "") != digest:
            kind, field = entity_type(key.partition(".")[0]), key.partition(".")[2]
            label = kind.fields[field].label
            found.append(gettext(N_("{label} of the lines")).format(label=label) if kind.parent else label)
    return tuple(found)


# what holds because of it ------------------------------------------------------------------------------------------------


def check_editable(connection: Connection, kind: EntityType, document: Record) -> None:
    """Refuse to change, delete or post a document while somebody is asked about it."""
    latest = latest_request(connection, kind, document)
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
