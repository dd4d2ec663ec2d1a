"""The stages that opportunities, projects and aftercare go through; head office keeps them, every company begins with a usual set."""

from __future__ import annotations

from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.crm.entities import Phase, Stage
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_, gettext
from localcrm.store.query import Record
from localcrm.store.uow import UnitOfWork

_STAGE = Stage.entity_type
#: phase → (name, probability, too long after days, checklist)
STANDARD: dict[Phase, tuple[tuple[str, int, int, str], ...]] = {
    Phase.OPPORTUNITY: (
        (N_("First contact"), 10, 14, N_("Person who decides is known")),
        (N_("Need understood"), 30, 14, N_("Need and date written down\nBudget asked for")),
        (N_("Offer made"), 50, 14, N_("Samples sent\nPrice given")),
        (N_("Negotiation"), 75, 10, N_("Terms of payment agreed\nDelivery date agreed")),
        (N_("Contract being signed"), 90, 7, ""),
    ),
    Phase.PROJECT: (
        (N_("Preparation"), 100, 14, N_("Person in charge named\nDates agreed with the customer")),
        (N_("Carrying out"), 100, 0, ""),
        (N_("Acceptance by the customer"), 100, 14, N_("Accepted by the customer\nInvoice sent")),
    ),
    Phase.AFTERCARE: ((N_("Under warranty"), 100, 0, ""), (N_("Under maintenance"), 100, 0, "")),
}


def add_standard_stages(uow: UnitOfWork, actor: Actor) -> dict[str, int]:
    """Give every phase that has no stages the usual ones, in the language of the moment; returns {added}."""
    policy.require(actor, "stage.create")
    records.require_here(uow, _STAGE)
    added = 0
    for phase, stages in STANDARD.items():
        if any(stage["department_id"] is None for stage in uow.where(_STAGE, phase=phase)):
            continue
        for position, (name, probability, stuck_days, items) in enumerate(stages, start=1):
            values = {"name": gettext(name), "phase": phase, "position": position * 10, "probability": probability}
            values |= {"stuck_days": stuck_days, "checklist": gettext(items) if items else None}
            uow.insert(_STAGE, _STAGE.validate(values))
            added += 1
    return {"added": added}


def check_stage(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A name stands once in its phase and department; a stage that is in use stays in its phase."""
    own, department = (old or {}).get("id"), new["department_id"]
    alike = uow.where(_STAGE, phase=new["phase"], name=new["name"])
    if any(other["id"] != own and other["department_id"] == department for other in alike):
        raise InvalidInput("in_list_already", N_("“{name}” is in the list already."), name=new["name"], field="name")
    if old is not None and new["phase"] != old["phase"] and records.references(uow.connection, _STAGE, old["id"]):
        raise Refused(
            "stage_in_use", N_("“{name}” is in use and stays in its phase. Add a stage to the other one instead."), name=old["name"]
        )


BEHAVIOURS = {"stage": Behaviour(check=check_stage)}
VERBS = (Verb(add_standard_stages, N_("Add the usual stages"), "stage.create"),)
