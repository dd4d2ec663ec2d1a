"""Maintenance plans: from each visit that is due an activity record is made, once, at the branch that serves."""

from __future__ import annotations

import datetime
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.crm.checks import check_same_customer, named
from localcrm.domain.crm.entities import DealState, Opportunity, ServicePlan
from localcrm.domain.crm.pipeline_rules import visit_after
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.spans import check_span
from localcrm.domain.verbs import Verb
from localcrm.kernel.clock import moment
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_PLAN, _OPPORTUNITY = ServicePlan.entity_type, Opportunity.entity_type
#: Visits begin in the morning.
_AT = datetime.time(9)
_AT_LEAST_AHEAD = datetime.timedelta(hours=1)


def prepare_plan(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new plan is served where the opportunity says, by whoever enters it, from its first visit on until its contract
    ends; a new first day begins it anew.
    """
    filled = dict(values)
    if old is None:
        above = uow.find(_OPPORTUNITY, values["opportunity_id"]) if isinstance(values.get("opportunity_id"), str) else None
        served = above and (above["service_branch_id"] or above["branch_id"])
        filled["branch_id"] = values.get("branch_id") or served or uow.node.branch_id
        filled["user_id"] = values.get("user_id") or actor.user_id
        filled["starts_on"] = values.get("starts_on") or uow.today
    contract = named(uow, _PLAN, values, "contract_id")
    if contract is not None and old is None and not filled.get("until"):
        filled["until"] = contract["ends_on"]
    begins_anew = "starts_on" in filled and (old is None or filled["starts_on"] not in (old["starts_on"], str(old["starts_on"])))
    if begins_anew and not filled.get("next_on"):
        filled["next_on"] = filled["starts_on"]
    return filled


def check_plan(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """It does not end before its first visit, and its contract is with the customer of the deal."""
    check_span(_PLAN, new, "starts_on", "until")
    deal = uow.find(_OPPORTUNITY, new["opportunity_id"])
    if deal is not None and new["contract_id"] and (old is None or new["contract_id"] != old["contract_id"]):
        check_same_customer(uow, _PLAN, {**new, "customer_id": deal["customer_id"]}, "contract_id")


def due_plans(connection: Connection, branch_id: str, today: datetime.date) -> list[str]:
    """Ids of the plans of a branch whose next visit is due to be written down, the earliest first."""
    rows = connection.all(
        """SELECT p.id FROM service_plan p JOIN opportunity o ON o.id = p.opportunity_id
           WHERE p.deleted = 0 AND p.branch_id = ? AND p.active = 1 AND p.next_on <= date(?, p.ahead || ' days')
           AND (p.until IS NULL OR p.next_on <= p.until) AND o.deleted = 0 AND o.state = ? ORDER BY p.next_on LIMIT 500""",
        (bytes.fromhex(branch_id), today.isoformat(), DealState.WON.value),
    )
    return [row[0].hex() for row in rows]


def write_visits(uow: UnitOfWork, actor: Actor) -> dict[str, int]:
    """Make an activity record of every visit that is due at this branch, and put each plan on to its next one; returns {visits}.

    Visits missed while the program was off come to one, and the plan goes on from today.
    """
    policy.require(actor, "settings.manage")
    today = uow.today
    due = due_plans(uow.connection, uow.node.branch_id, today)
    for identity in due:
        plan = uow.get(_PLAN, identity)
        opportunity = uow.get(_OPPORTUNITY, plan["opportunity_id"])
        # One that was missed is due now; what is planned lies ahead.
        planned = max(datetime.datetime.combine(plan["next_on"], _AT).astimezone(), moment(uow.store.clock) + _AT_LEAST_AHEAD)
        content = gettext(N_("Maintenance visit: {title} ({number} {opportunity})")).format(
            title=plan["title"], number=opportunity["number"] or "", opportunity=opportunity["title"]
        )
        values = {
            "customer_id": opportunity["customer_id"],
            "opportunity_id": opportunity["id"],
            "type": "visit",
            "content": content,
            "next_at": planned.isoformat(),
        }
        records.create_record(uow, SYSTEM, entity="activity", values={**values, "user_id": plan["user_id"] or opportunity["owner_id"]})
        start = plan["starts_on"] or plan["next_on"]
        uow.update(_PLAN, identity, {"next_on": visit_after(start, plan["every"], plan["unit"], max(today, plan["next_on"]))})
    return {"visits": len(due)}


BEHAVIOURS = {"service_plan": Behaviour(prepare=prepare_plan, check=check_plan)}
VERBS = (Verb(write_visits, N_("Write down the maintenance visits that are due"), "settings.manage"),)
