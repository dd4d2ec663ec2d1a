"""Setting up a node, and settling what the merge found."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from localcrm.domain import policy, records
from localcrm.domain.admin import network, numbers, organisation, persons
from localcrm.domain.admin.entities import Branch, Conflict, ConflictState
from localcrm.domain.people.services import create_administrator
from localcrm.domain.policy import SYSTEM, Actor
from localcrm.domain.roles import BasicRole
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import entity as entity_type
from localcrm.store import eventlog
from localcrm.store.node import branch_id
from localcrm.store.query import Record, record_json
from localcrm.store.store import Store
from localcrm.store.uow import UnitOfWork

_CONFLICT = Conflict.entity_type
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


def resolve_conflict(uow: UnitOfWork, actor: Actor, *, id: RecordId, keep: str) -> dict[str, Any]:
    """Settle a conflict: keep = "kept", "lost" or "value=…". What is taken is written as an ordinary change."""
    conflict = uow.get(_CONFLICT, id)
    if conflict["state"] == ConflictState.RESOLVED:
        raise Refused("already_settled", N_("This conflict has already been settled."))
    if keep not in {"kept", "lost"} and not keep.startswith("value="):
        raise InvalidInput("bad_parameter_keep", N_("Choose “kept”, “lost” or “value=…”."))
    if keep != "kept" and conflict["field"]:
        _take(uow, actor, conflict, conflict["lost"] if keep == "lost" else keep.removeprefix("value="))
    uow.update(_CONFLICT, id, {"state": ConflictState.RESOLVED, "resolved_by": actor.user_id, "resolution": keep})
    return record_json(_CONFLICT, policy.shown(actor, _CONFLICT, uow.get(_CONFLICT, id)))


def _take(uow: UnitOfWork, actor: Actor, conflict: Record, value: str | None) -> None:
    """Write the value a person chose, by the rules of its record."""
    kind, identity, key = entity_type(conflict["entity"]), conflict["record"], conflict["field"]
    policy.require(actor, f"{kind.key}.update")
    if key == "deleted":
        is_deleted, should_be = uow.get(kind, identity, deleted=True)["deleted"], value == "true"
        if is_deleted != should_be:
            (records.delete_record if should_be else records.undelete_record)(uow, actor, entity=kind.key, id=identity)
    elif kind.field(key).secret:  # what is chosen stays in the conflict for everybody to read
        raise Refused(
            "secret_field", N_("{label} cannot be chosen here. Settle this with “kept” and set a new one."), label=kind.field(key).label
        )
    else:
        records.update_record(uow, actor, entity=kind.key, id=identity, values={key: value})


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
    if day > date.today() - KEPT_AT_LEAST:
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
    Verb(shorten_log, N_("Remove old rows of the system log")),
    Verb(resolve_conflict, N_("Settle a conflict"), "conflict.resolve", record="id"),
    Verb(numbers.set_number_format, N_("Set a number format")),
    Verb(numbers.preview_number, N_("Show the next number")),
    Verb(numbers.number_gaps, N_("Report missing numbers")),
    Verb(organisation.set_picture, N_("Set a logo or seal"), "legal_entity.update", record="legal_entity_id"),
    Verb(persons.person_data, N_("Take out a person's data")),
    Verb(persons.erase_person, N_("Erase a person's data")),
    *network.VERBS,
)
BEHAVIOURS = {"bank_account": records.Behaviour(after=organisation.only_default)}
