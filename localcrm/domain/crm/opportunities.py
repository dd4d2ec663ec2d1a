"""Opportunities through their three phases: moved from stage to stage, won or lost, carried out as a project, looked after.

A move writes nothing of the opportunity but its stage, so that two branches that move it apart disagree about that alone; the
changes of stage of both stay. How long it has been where it is, and which items of a checklist are done, are rows of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.crm.contacts import with_main_contact
from localcrm.domain.crm.entities import DealState, Opportunity, Phase, ProjectTask, Stage, StageChange, StageTick
from localcrm.domain.crm.pipeline_rules import checklist
from localcrm.domain.crm.stage_sets import set_of, stages_of
from localcrm.domain.numbering import next_number
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.query import Condition, ListQuery, Record, record_json, select
from localcrm.store.uow import UnitOfWork

OPPORTUNITY, STAGE, CHANGE, TICK, TASK = (kind.entity_type for kind in (Opportunity, Stage, StageChange, StageTick, ProjectTask))


# entering -----------------------------------------------------------------------------------------------------------


def prepare_opportunity(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new one gets a number, belongs to whoever enters it where that happens, begins in the first stage, and is spoken of
    with the main contact.
    """
    if old is not None:
        return values
    filled = {**with_main_contact(uow, actor, values), "number": values.get("number") or next_number(uow, OPPORTUNITY, uow.today)}
    filled.setdefault("owner_id", actor.user_id)
    filled.setdefault("branch_id", uow.node.branch_id)
    filled["stage_id"] = _first_stage(uow, Phase.OPPORTUNITY, filled["owner_id"])
    return filled


def check_opportunity(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """The contact is one of the customer's."""
    if new["contact_id"] is None or (
        old is not None and (new["contact_id"], new["customer_id"]) == (old["contact_id"], old["customer_id"])
    ):
        return
    contact = uow.find(entity_type("contact"), new["contact_id"])
    if contact is not None and contact["customer_id"] != new["customer_id"]:
        raise InvalidInput("not_of_customer", N_("This contact is at another customer. Choose one of this customer's."), field="contact_id")


def follow_opportunity(uow: UnitOfWork, actor: Actor, record: Record, old: Record | None) -> None:
    """Its way through the stages begins."""
    if old is None:
        _note(uow, actor, record, from_stage=None)


# moving -------------------------------------------------------------------------------------------------------------


def move_opportunity(
    uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, stage_id: RecordId, remark: str | None = None
) -> dict[str, Any]:
    """Put an opportunity into another stage of its phase; returns it. Going on past open items of a checklist needs a remark that says why.

    Raises Refused("checklist_open") with the open items, Refused("decided") for a lost or closed one.
    """
    record = _going_on(uow, opportunity_id)
    stage = uow.get(STAGE, stage_id)
    if stage["phase"] != record["phase"]:
        raise Refused("other_phase", N_("“{stage}” is a stage of another phase. Nothing was moved."), stage=stage["name"])
    if stage["department_id"] != set_of(uow.connection, Phase(record["phase"]), record["owner_id"]):
        raise Refused(
            "other_department",
            N_("“{stage}” is a stage of another department than the salesperson goes through. Nothing was moved."),
            stage=stage["name"],
        )
    if record["stage_id"] == stage_id:
        return _shown(uow, actor, opportunity_id)
    now = uow.find(STAGE, record["stage_id"]) if record["stage_id"] else None
    same_way = now is not None and (now["phase"], now["department_id"]) == (stage["phase"], stage["department_id"])
    goes_on = same_way and now is not None and stage["position"] > now["position"]
    if goes_on and now is not None and not (remark or "").strip() and (left := open_items(uow, opportunity_id, now)):
        raise Refused(
            "checklist_open",
            N_("“{stage}” is not finished yet: {items}. Tick these, or say why it goes on without them."),
            stage=now["name"],
            items="; ".join(left),
        )
    _write(uow, actor, record, {"stage_id": stage_id}, remark)
    return _shown(uow, actor, opportunity_id)


def tick_item(uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, item: str, done: bool = True) -> dict[str, Any]:
    """Tick an item of the checklist of the stage an opportunity is in, or take the tick away; returns {items: {item: done}}."""
    record = _going_on(uow, opportunity_id)
    stage = uow.find(STAGE, record["stage_id"]) if record["stage_id"] else None
    if stage is None or item not in checklist(stage["checklist"]):
        raise Refused("no_such_item", N_("The checklist of this stage has no such item (any more). Look at it again."))
    ticks = [tick for tick in uow.where(TICK, opportunity_id=opportunity_id, stage_id=stage["id"]) if tick["item"] == item]
    if done and not ticks:
        values = {"opportunity_id": opportunity_id, "stage_id": stage["id"], "item": item, "user_id": actor.user_id}
        uow.insert(TICK, TICK.validate(values))
    for tick in [] if done else ticks:
        uow.set_deleted(TICK, tick["id"], deleted=True)
    left = open_items(uow, opportunity_id, stage)
    return {"items": {each: each not in left for each in checklist(stage["checklist"])}}


def open_items(uow: UnitOfWork, opportunity_id: str, stage: Mapping[str, Any]) -> list[str]:
    """Items of a stage's checklist that nobody has ticked for this opportunity."""
    done = {tick["item"] for tick in uow.where(TICK, opportunity_id=opportunity_id, stage_id=stage["id"])}
    return [item for item in checklist(stage["checklist"]) if item not in done]


# what becomes of it -------------------------------------------------------------------------------------------------


def win(uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, reason: str, remark: str | None = None) -> dict[str, Any]:
    """An opportunity was won; the reason, one of the list or another, is asked for. Returns it."""
    return _decide(uow, actor, opportunity_id, DealState.WON, reason, remark)


def lose(uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, reason: str, remark: str | None = None) -> dict[str, Any]:
    """An opportunity was lost; the reason, one of the list or another, is asked for. Returns it."""
    return _decide(uow, actor, opportunity_id, DealState.LOST, reason, remark)


def _decide(uow: UnitOfWork, actor: Actor, opportunity_id: str, state: DealState, reason: str, remark: str | None) -> dict[str, Any]:
    record = uow.get(OPPORTUNITY, opportunity_id)
    if record["state"] != DealState.OPEN:
        raise Refused("decided", N_("“{title}” is decided already. Reopen it first."), title=record["title"])
    if not reason.strip():
        raise InvalidInput("required", N_("{label} is required."), label=OPPORTUNITY.fields["reason"].label, field="reason")
    _write(uow, actor, record, {"state": state, "reason": reason.strip(), "decided_on": uow.today}, remark)
    return _shown(uow, actor, opportunity_id)


def reopen(uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, remark: str | None = None) -> dict[str, Any]:
    """Go on with one that was lost, or won by mistake, as an opportunity, and with one whose aftercare was closed in its aftercare."""
    record = uow.get(OPPORTUNITY, opportunity_id)
    if record["state"] == DealState.CLOSED:
        changes: dict[str, Any] = {"state": DealState.WON}
    elif record["state"] == DealState.LOST or (record["state"] == DealState.WON and record["phase"] == Phase.OPPORTUNITY):
        changes = {"state": DealState.OPEN, "reason": None, "decided_on": None, **_in_phase(uow, record, Phase.OPPORTUNITY)}
    else:
        raise Refused("not_reopened", N_("“{title}” is being worked on. There is nothing to reopen."), title=record["title"])
    _write(uow, actor, record, changes, remark)
    return _shown(uow, actor, opportunity_id)


def start_project(uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, remark: str | None = None) -> dict[str, Any]:
    """Carry out what was won: the same record goes on as a project, in the first stage of that phase."""
    record = uow.get(OPPORTUNITY, opportunity_id)
    _require_won(record)
    if record["phase"] != Phase.OPPORTUNITY:
        raise Refused("is_project_already", N_("“{title}” is a project already."), title=record["title"])
    _write(uow, actor, record, _in_phase(uow, record, Phase.PROJECT), remark)
    return _shown(uow, actor, opportunity_id)


def start_aftercare(
    uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, plan: dict[str, Any] | None = None, remark: str | None = None
) -> dict[str, Any]:
    """Look after what was delivered, also where no project was needed; ``plan`` are the values of a first maintenance plan."""
    record = uow.get(OPPORTUNITY, opportunity_id)
    _require_won(record)
    if record["phase"] == Phase.AFTERCARE:
        raise Refused("is_in_aftercare", N_("“{title}” is being looked after already."), title=record["title"])
    _write(uow, actor, record, _in_phase(uow, record, Phase.AFTERCARE), remark)
    if plan is not None:
        records.create_record(uow, actor, entity="service_plan", values={**plan, "opportunity_id": opportunity_id})
    return _shown(uow, actor, opportunity_id)


def close_aftercare(uow: UnitOfWork, actor: Actor, *, opportunity_id: RecordId, remark: str | None = None) -> dict[str, Any]:
    """The aftercare has ended: the deal is closed, no more visits come of its plans."""
    record = uow.get(OPPORTUNITY, opportunity_id)
    _require_won(record)
    if record["phase"] != Phase.AFTERCARE:
        raise Refused("not_in_aftercare", N_("“{title}” is not in aftercare yet."), title=record["title"])
    _write(uow, actor, record, {"state": DealState.CLOSED}, remark)
    return _shown(uow, actor, opportunity_id)


def _require_won(record: Record) -> None:
    if record["state"] != DealState.WON:
        raise Refused("not_won", N_("“{title}” has not been won."), title=record["title"])


def _going_on(uow: UnitOfWork, opportunity_id: str) -> Record:
    """An opportunity that can still be moved."""
    record = uow.get(OPPORTUNITY, opportunity_id)
    if record["state"] in {DealState.LOST, DealState.CLOSED}:
        raise Refused("decided", N_("“{title}” is decided already. Reopen it first."), title=record["title"])
    return record


def _in_phase(uow: UnitOfWork, record: Record, phase: Phase) -> dict[str, Any]:
    """The columns of a phase; a stage that belongs to it already stays."""
    now = uow.find(STAGE, record["stage_id"]) if record["stage_id"] else None
    stays = now is not None and now["phase"] == phase
    return {"phase": phase, "stage_id": record["stage_id"] if stays else _first_stage(uow, phase, record["owner_id"])}


def _first_stage(uow: UnitOfWork, phase: Phase, owner: str | None) -> str | None:
    """The stage a phase begins with for somebody's opportunities; None in a company without stages."""
    stages = stages_of(uow.connection, phase, set_of(uow.connection, phase, owner))
    return stages[0]["id"] if stages else None


def _write(uow: UnitOfWork, actor: Actor, record: Record, changes: dict[str, Any], remark: str | None) -> None:
    before = record["stage_id"]
    uow.update(OPPORTUNITY, record["id"], changes)
    _note(uow, actor, {**record, **changes}, from_stage=before, remark=remark)


def _note(uow: UnitOfWork, actor: Actor, record: Mapping[str, Any], *, from_stage: str | None, remark: str | None = None) -> None:
    values = {
        "opportunity_id": record["id"],
        "at": now_utc(),
        "user_id": actor.user_id,
        "from_stage_id": from_stage,
        "to_stage_id": record["stage_id"],
        "phase": record["phase"],
        "state": record["state"],
        "remark": (remark or "").strip() or None,
        "branch_id": uow.node.branch_id,
    }
    uow.insert(CHANGE, CHANGE.validate(values))


def _shown(uow: UnitOfWork, actor: Actor, opportunity_id: str) -> dict[str, Any]:
    record = policy.shown(actor, OPPORTUNITY, uow.get(OPPORTUNITY, opportunity_id))
    return record_json(OPPORTUNITY, record)


def prepare_line(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new line takes name and price from its product where nothing else was entered, as far as the actor sees them."""
    product_id = values.get("product_id")
    product, seen = entity_type("product"), policy.seen(actor, entity_type("product"))
    found = uow.find(product, product_id) if old is None and isinstance(product_id, str) and seen is not None else None
    if found is None or seen is None:
        return values
    known = {key: found[source] for key, source in (("description", "name"), ("price", "price")) if seen.shows(source)}
    filled = {key: str(value)[:200] if key == "description" else value for key, value in known.items() if values.get(key) is None}
    return {**values, **filled}


def prepare_task(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """Hours without a cost of their own cost what an hour of the same person did last, as far as the actor sees that."""
    whole, seen = {**(old or {}), **values}, policy.seen(actor, TASK)
    user = whole.get("user_id")
    entered = values.get("hours") and (old is None or values["hours"] not in (old["hours"], str(old["hours"])))
    if not entered or whole.get("hour_cost") not in (None, "") or not isinstance(user, str) or seen is None:
        return values
    if not seen.shows("user_id") or not seen.shows("hour_cost"):
        return values
    where = (Condition("user_id", "=", user), Condition("hour_cost", "filled"))
    known = select(uow.connection, ListQuery(TASK, where=where, limit=1, restrict=seen), count=False).rows
    return {**values, "hour_cost": known[0]["hour_cost"]} if known else values


_UPDATE = "opportunity.update"
BEHAVIOURS = {
    "project_task": Behaviour(prepare=prepare_task),
    "opportunity": Behaviour(prepare=prepare_opportunity, check=check_opportunity, after=follow_opportunity),
    "opportunity_line": Behaviour(prepare=prepare_line),
}
VERBS = tuple(
    Verb(function, label, _UPDATE, record="opportunity_id")
    for function, label in (
        (move_opportunity, N_("Move an opportunity to another stage")),
        (tick_item, N_("Tick an item of a checklist")),
        (win, N_("Win an opportunity")),
        (lose, N_("Lose an opportunity")),
        (reopen, N_("Reopen an opportunity")),
        (start_project, N_("Start the project of a won opportunity")),
        (start_aftercare, N_("Start the aftercare of a won opportunity")),
        (close_aftercare, N_("Close the aftercare")),
    )
)
