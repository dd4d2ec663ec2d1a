"""Approvals of any document: submitting it, approving, rejecting, withdrawing; and the flows of head office."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.approvals import rules
from localcrm.domain.approvals.company import company_for, load_company
from localcrm.domain.approvals.documents import DOCUMENTS, Request, check_editable, content, standing, with_decisions
from localcrm.domain.approvals.entities import AfterRejection, ApprovalFlow, ApprovalRequest, ApprovalStep, Decision
from localcrm.domain.approvals.rules import WHOLE, Seat, State
from localcrm.domain.people.entities import User
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import Forbidden, InvalidInput, NotFound, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Record, titles
from localcrm.store.uow import UnitOfWork

_REQUEST, _STEP, _USER = ApprovalRequest.entity_type, ApprovalStep.entity_type, User.entity_type


# verbs ---------------------------------------------------------------------------------------------------------------------


def submit(uow: UnitOfWork, actor: Actor, *, entity: str, id: RecordId, comment: str | None = None) -> dict[str, Any]:
    """Submit a draft for approval; returns {request_id, flow, asked: names of those whose turn it is}."""
    kind = entity_type(entity)
    binding = DOCUMENTS.get(kind.key)
    if binding is None:
        raise Refused("not_approved", N_("Records of the kind “{entity}” need no approval."), entity=kind.label)
    policy.require_record(uow.connection, actor, kind, id, "update")
    author, document = _user(actor), uow.get(kind, id)
    if not binding.is_open(document):
        raise Refused("posted_document", N_("A posted document is never changed. Reverse it instead."))
    if document["branch_id"] != uow.node.branch_id:
        raise Refused("other_branch", N_("This document belongs to another branch; only that branch can change it."))
    check_editable(uow.connection, kind, document)
    now = standing(uow.connection, kind, document)
    if now.is_approved:
        raise Refused("already_approved", binding.words.approved)
    if now.flow is None:
        raise Refused("no_flow", binding.words.needless)
    binding.check_ready(uow, document)
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
    company = company_for(uow.store, uow.connection, kind)
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
    decided = with_decisions(uow.connection, [request.record])[0]
    return {"request_id": request.record["id"], "state": decided.state.value, "asked": _names(uow.connection, decided)}


def _request(uow: UnitOfWork, actor: Actor, request_id: str) -> Request:
    """A request of, to, or about a document seen by the actor; raises NotFound."""
    request = with_decisions(uow.connection, [uow.get(_REQUEST, request_id)])[0]
    concerned = request.barred.union(*(seat.users for seat in request.plan))
    kind, identity = request.record["entity"], request.record["record"]
    if not request.is_sound or (actor.user_id not in concerned and not policy.visible(uow.connection, actor, entity_type(kind), identity)):
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
    taken = [one for one in request.decisions if 0 <= one["seat"] < len(request.plan) and user in request.plan[one["seat"]].users]
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


def _user(actor: Actor) -> str:
    if actor.user_id is None:
        raise Forbidden("forbidden", N_("Only a person can submit or decide."))
    return actor.user_id


def _comment(text: str | None) -> str | None:
    return (text or "").strip() or None


# flows ---------------------------------------------------------------------------------------------------------------------


def prepare_flow(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:  # noqa: ARG001
    """Conditions and steps are kept in one way of writing, and only where they can be meant."""
    filled = dict(values)
    binding = DOCUMENTS.get(str(filled.get("entity") or (old or _BLANK)["entity"]))
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


BEHAVIOURS = {"approval_flow": Behaviour(prepare=prepare_flow)}
VERBS = (Verb(submit, N_("Submit for approval")), Verb(approve, N_("Approve")), Verb(reject, N_("Reject")), Verb(withdraw, N_("Withdraw")))
