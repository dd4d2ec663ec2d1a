"""What is known of one person, all in one place, and erasing it on request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcrm.domain import policy
from localcrm.domain.admin.entities import Erasure
from localcrm.domain.policy import Actor
from localcrm.domain.records import records_json, require_here
from localcrm.domain.verbs import RecordId
from localcrm.kernel.clock import now_utc, to_iso
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, entities, entity as entity_type
from localcrm.store import erase, eventlog
from localcrm.store.changelog import history
from localcrm.store.connection import Connection
from localcrm.store.eventlog import Wanted
from localcrm.store.query import Record, record_json, records_by_id
from localcrm.store.uow import UnitOfWork

_ERASURE = Erasure.entity_type
#: Kinds of records that are persons; of these, those whose data may be erased: a user's name stays on what he did.
PERSONS, ERASABLE = ("contact", "user"), ("contact",)
#: Records that refer to a person and rows of the system log, at most so many of a kind.
MOST = 1000


def person_data(uow: UnitOfWork, actor: Actor, *, entity: str, id: RecordId) -> dict[str, Any]:
    """Everything known of a person: {"entity", "record", "history", "related": {kind: [record]}, "log", "settings", "sessions"}."""
    policy.require_admin(actor)
    kind, connection = _person(entity, PERSONS), uow.connection
    record = uow.get(kind, id, deleted=True)
    uow.log("person_export", f"{entity} {id}")
    is_user = kind.key == "user"
    return {
        "entity": entity,
        "record": records_json(connection, actor, kind, [record])[0],
        "history": [
            {"at": row.at, "user": row.user_id, "node": row.node, "field": row.field, "old": row.old, "new": row.new}
            for row in history(connection, kind, id)
        ],
        "related": _related(connection, kind, id),
        "log": [event._asdict() for event in eventlog.rows(connection, Wanted(user_id=id), limit=MOST)] if is_user else [],
        "settings": dict(connection.all("SELECT key, value FROM user_setting WHERE user_id = ?", (bytes.fromhex(id),))) if is_user else {},
        "sessions": _sessions(uow, id) if is_user else [],
    }


def _related(connection: Connection, kind: EntityType, id: str) -> dict[str, list[dict[str, Any]]]:
    """Records that refer to a person, or are about its record, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for other in entities():
        asked: list[tuple[str, tuple[Any, ...]]] = [
            (f'"{field.key}" = ?', (bytes.fromhex(id),)) for field in other.refs if field.f.ref == kind.key
        ]
        asked += [("entity = ? AND record = ?", (kind.key, id))] if other.about else []
        ids = {row[0].hex() for condition, params in asked for row in _rows(connection, other, condition, params)}
        if ids:
            found[other.key] = [record_json(other, one) for one in records_by_id(connection, other, sorted(ids))]
    return found


def _rows(connection: Connection, kind: EntityType, condition: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return connection.all(f'SELECT id FROM "{kind.key}" WHERE {condition} ORDER BY rid LIMIT {MOST}', params)


def _sessions(uow: UnitOfWork, id: str) -> list[dict[str, Any]]:
    rows = uow.connection.all("SELECT created, seen, client FROM session WHERE user_id = ? ORDER BY created", (bytes.fromhex(id),))
    return [{"created": created, "seen": seen, "client": client} for created, seen, client in rows]


def erase_person(uow: UnitOfWork, actor: Actor, *, entity: str, id: RecordId, name: str) -> dict[str, Any]:
    """Overwrite what is known of a person, here now and on every other node when the order arrives there; ``name`` as it stands on the record."""
    policy.require_admin(actor)
    require_here(uow, _ERASURE)
    kind = _person(entity, ERASABLE)
    record = uow.get(kind, id, deleted=True)
    if uow.where(_ERASURE, record_id=id):
        raise Refused("already_erased", N_("This person's data have already been erased."))
    if name.strip() != record[kind.title_field]:
        raise InvalidInput("other_name", N_("The name is not the one on the record. Nothing was erased."), field="name")
    at = now_utc()
    order = {"subject": entity, "record_id": id, "at": at, "by_id": actor.user_id}
    identity = uow.insert(_ERASURE, _ERASURE.validate(order))
    erase.carry_out(uow.connection, kind, bytes.fromhex(id))
    erase.scrub(uow.connection)
    uow.log("erased", f"{entity} {id}")
    return {"id": identity, "record": id, "at": to_iso(at)}


def keep_erased(uow: UnitOfWork, actor: Actor, new: Mapping[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """What was erased stays so: nothing of a person is written into the record again."""
    if old is None:
        return
    for order in uow.where(_ERASURE, record_id=old["id"]):
        if any(new[field.key] != old[field.key] for field in erase.personal_fields(entity_type(order["subject"]))):
            raise Refused(
                "person_erased", N_("This person's data were erased on request; the record takes none again. Add a new contact instead.")
            )


def _person(entity: str, kinds: tuple[str, ...]) -> EntityType:
    if entity not in kinds:
        raise InvalidInput(
            "no_person", N_("Records of the kind “{entity}” are no persons whose data could be taken out or erased."), entity=entity[:60]
        )
    return entity_type(entity)
