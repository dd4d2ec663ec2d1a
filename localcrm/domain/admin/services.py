"""Setting up a node, and the table of what can be done to it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from localcrm.domain import policy, records
from localcrm.domain.admin import asof, conflicts, network, numbers, organisation, persons, undo
from localcrm.domain.admin.entities import Branch
from localcrm.domain.people.services import create_administrator
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.domain.roles import BasicRole
from localcrm.domain.verbs import Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.store import eventlog
from localcrm.store.node import branch_id
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

#: Rows of the system log that are younger are never removed.
KEPT_AT_LEAST = timedelta(days=365)
#: Older days are no moments everywhere.
_FIRST_DAY = date(1970, 1, 2)


def set_up_office(store: Store, *, login: str, name: str, password: str) -> Actor:
    """First records of a new company: head office itself and its administrator, who must have a password."""
    with store.unit_of_work(None) as uow:
        add_branch(uow, code=uow.node.code, name=uow.node.name, node_no=uow.node.node_no)
        user = create_administrator(uow, SYSTEM, login=login, name=name, password=password)
    return Actor(user["id"], user["login"], user["name"], BasicRole(user["role"]))


def add_branch(uow: UnitOfWork, *, code: str, name: str, node_no: int) -> str:
    """The record of head office or of a branch it invites; its id follows from its code."""
    identity = branch_id(uow.node.company_id, code)
    values = Branch.entity_type.validate({"code": code, "name": name, "node_no": node_no})
    return uow.insert(Branch.entity_type, values, identity=identity)


def shorten_log(uow: UnitOfWork, actor: Actor, *, before: str) -> dict[str, int]:
    """Remove the rows of the system log before a day, which is at least a year ago; returns {removed}.

    A signed note of where the log begins stays, from which the rest can be proven. Export the rows first if they may be asked for.
    """
    policy.require(actor, "settings.manage")
    try:
        day = date.fromisoformat(before)
    except ValueError:
        raise InvalidInput(
            "bad_date", N_("{label}: “{value}” is not a date (write 2026-11-23)."), label="before", value=before[:60], field="before"
        ) from None
    if day > uow.today - KEPT_AT_LEAST:
        raise Refused("log_too_young", N_("The rows of the last year always stay. Choose a day at least a year ago; nothing was removed."))
    store = uow.store
    midnight = int(datetime.combine(max(day, _FIRST_DAY), time()).astimezone().timestamp() * 1000)
    removed = eventlog.shorten(uow.connection, before=midnight, at=store.clock.now_ms(), user_id=actor.user_id, sign=store.sign_log)
    return {"removed": removed}


VERBS = (
    Verb(records.create_record, N_("Add a record")),
    Verb(records.update_record, N_("Change a record")),
    Verb(records.delete_record, N_("Delete a record")),
    Verb(records.undelete_record, N_("Restore a record")),
    Verb(records.take_back, N_("Put a value back from the history")),
    Verb(asof.restore_as_of, N_("Put a record back to what it was at a moment")),
    Verb(undo.undo_action, N_("Undo an action")),
    Verb(shorten_log, N_("Remove old rows of the system log")),
    Verb(numbers.set_number_format, N_("Set a number format")),
    Verb(numbers.preview_number, N_("Show the next number")),
    Verb(numbers.number_gaps, N_("Report missing numbers")),
    Verb(organisation.set_picture, N_("Set a logo or seal"), "legal_entity.update", record="legal_entity_id"),
    Verb(persons.person_data, N_("Take out a person's data")),
    Verb(persons.erase_person, N_("Erase a person's data")),
    *conflicts.VERBS,
    *network.VERBS,
)
BEHAVIOURS = {"bank_account": records.Behaviour(after=organisation.only_default)}
