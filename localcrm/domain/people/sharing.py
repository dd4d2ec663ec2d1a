"""Sharing single records with a user, a department or a branch; what is seen with a record is shared with it."""

from __future__ import annotations

from typing import Any

from localcrm.domain import policy
from localcrm.domain.people.entities import Share
from localcrm.domain.policy import Actor
from localcrm.domain.roles import ShareLevel
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.query import Record, record_json, titles
from localcrm.store.uow import UnitOfWork

_SHARE = Share.entity_type
_TARGETS = ("user_id", "department_id", "branch_id")


def share_record(
    uow: UnitOfWork,
    actor: Actor,
    *,
    entity: str,
    id: RecordId,
    user_id: RecordId | None = None,
    department_id: RecordId | None = None,
    branch_id: RecordId | None = None,
    level: str = ShareLevel.READ.value,
    until: str | None = None,
    without: list[str] | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """Share a record with one user, department (and those below it) or branch; again with the same one changes level, end and the rest.

    It shows the record to those who may look at records of its kind at all, and with a customer its opportunities, orders and the
    rest to those who may look at such, except the kinds in ``without``. Returns the share.
    """
    kind = _shareable(entity)
    policy.require_record(uow.connection, actor, kind, id, "share")
    if level == ShareLevel.WRITE:  # nobody gives more than he has
        policy.require_record(uow.connection, actor, kind, id, "update")
    uow.get(kind, id)
    target = {"user_id": user_id, "department_id": department_id, "branch_id": branch_id}
    if sum(value is not None for value in target.values()) != 1:
        raise InvalidInput("one_target", N_("Choose a user, a department or a branch to share with."), field="user_id")
    for key, value in target.items():
        if value is not None:
            uow.get(entity_type(_SHARE.fields[key].f.ref or ""), value)
    if (holder := _holder(uow, kind, id)) and holder == user_id:
        raise Refused("holder_shared", N_("{name} has it already: it is not shared with whoever it belongs to."), name=_name(uow, holder))
    left_out = " ".join(other.key for other in policy.goes_with(kind) if other.key in (without or ()))
    how = {"level": level, "until": until or None, "without": left_out or None, "reason": (reason or "").strip() or None}
    values = _SHARE.validate({"entity": entity, "record": id, **target, **how, "shared_by": actor.user_id})
    if values["until"] and values["until"] < uow.today:
        raise InvalidInput("end_passed", N_("The end of the share has passed already."), field="until")
    known = _same(uow, entity, id, target)
    if known:
        uow.update(_SHARE, known["id"], {key: values[key] for key in (*how, "shared_by")})
        return record_json(_SHARE, uow.get(_SHARE, known["id"]))
    return record_json(_SHARE, uow.get(_SHARE, uow.insert(_SHARE, values)))


def unshare(uow: UnitOfWork, actor: Actor, *, share_id: RecordId) -> dict[str, str]:
    """End a share; for whoever may share the record."""
    share = uow.get(_SHARE, share_id)
    policy.require_record(uow.connection, actor, _shareable(share["entity"]), parse_id(share["record"]), "share")
    uow.set_deleted(_SHARE, share_id, deleted=True)
    return {"id": share_id}


def _holder(uow: UnitOfWork, kind: EntityType, identity: str) -> str | None:
    """Whom a record belongs to."""
    owner: str | None = uow.get(kind, identity)[kind.owner] if kind.owner else None
    return owner


def _name(uow: UnitOfWork, user: str) -> str:
    return titles(uow.connection, entity_type("user"), [user]).get(user, "")


def _shareable(entity: str) -> EntityType:
    kind = entity_type(entity)
    if "share" not in policy.actions_of(kind):
        raise Refused("not_shared", N_("Records of the kind “{entity}” are not shared one by one."), entity=kind.label)
    return kind


def _same(uow: UnitOfWork, entity: str, identity: str, target: dict[str, Any]) -> Record | None:
    known = [row for row in uow.where(_SHARE, record=identity) if row["entity"] == entity]
    return next((row for row in known if all(row[key] == target[key] for key in _TARGETS)), None)


VERBS = (Verb(share_record, N_("Share a record")), Verb(unshare, N_("End a share")))
