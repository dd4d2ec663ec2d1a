"""Create, change, delete and restore any record: the one path every form, import and command takes.

A subject may add its own rules for an entity through the ``BEHAVIOURS`` table (see ``subjects``): plain functions that
fill in values, check them, follow up, or derive what is not stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from localcrm.domain import attachments, own_fields, policy
from localcrm.domain.policy import Actor
from localcrm.domain.typed import read_text
from localcrm.kernel.errors import InvalidInput, NotFound, Refused, StaleRecord
from localcrm.kernel.i18n import N_, gettext
from localcrm.kernel.ids import parse_id
from localcrm.kernel.schema import EntityType, Field, Kind, entities, entity as entity_type
from localcrm.store import merged, search
from localcrm.store.changelog import HistoryRow, history
from localcrm.store.connection import Connection
from localcrm.store.kinds import kinds_with_hits
from localcrm.store.node import Node, may_lack
from localcrm.store.query import Condition, ListQuery, Record, record_json, select, stored_value
from localcrm.store.uow import UnitOfWork
from localcrm.store.view import mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Rules of one entity beyond its declaration.

    begin: what a new record begins with where that is not for the declaration to say · prepare: fills in values before they are checked (old is None for a new record) · check: refuses what the
    declaration cannot know · after: follows up in the same transaction · derive: values that are shown but not stored,
    in JSON form; what the actor may not see is left out of them · distinct: fields whose value ``check`` compares with those of other
    records of the kind · taken_over: references that ``prepare`` takes from another record of the same matter, whatever became of what they
    name since · binned, restored: follow up when a record has gone into the recycle bin or come back from it. For lines, with the id of their document: check_document refuses any change of its lines · after_document follows
    up when some have changed; once, however many are written together.
    """

    begin: Callable[[Connection, Node], dict[str, Any]] | None = None
    prepare: Callable[[UnitOfWork, Actor, dict[str, Any], Record | None], dict[str, Any]] | None = None
    check: Callable[[UnitOfWork, Actor, dict[str, Any], Record | None], None] | None = None
    after: Callable[[UnitOfWork, Actor, Record, Record | None], None] | None = None
    check_document: Callable[[UnitOfWork, Actor, str], None] | None = None
    after_document: Callable[[UnitOfWork, Actor, str], None] | None = None
    derive: Callable[[Connection, Actor, list[Record]], list[dict[str, Any]]] | None = None
    distinct: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()
    restored: Callable[[UnitOfWork, Actor, Record], None] | None = None
    binned: Callable[[UnitOfWork, Actor, Record], None] | None = None


_NO_BEHAVIOUR = Behaviour()
BEHAVIOURS: dict[str, Behaviour] = {}


def create_record(uow: UnitOfWork, actor: Actor, *, entity: str, values: Mapping[str, Any]) -> Record:
    """Add a record from values as typed; returns it. Raises InvalidInput, Refused or Forbidden."""
    return _create(uow, actor, entity, values, BEHAVIOURS.get(entity, _NO_BEHAVIOUR))


def _create(uow: UnitOfWork, actor: Actor, entity: str, values: Mapping[str, Any], behaviour: Behaviour) -> Record:
    kind = entity_type(entity)
    policy.require(actor, f"{entity}.create")
    if not policy.written_by_hand(kind):
        raise Refused("not_by_hand", N_("Records of the kind “{entity}” are not entered by hand."), entity=kind.label)
    require_here(uow, kind)
    begun = behaviour.begin(uow.connection, uow.node) if behaviour.begin else {}
    blank = _blank(kind, begun)
    given = {key: blank[key] if key in begun and values[key] == "" else value for key, value in _given(kind, values).items()}
    policy.require_fields(actor, kind, given, blank)
    _check_editable(kind, given, blank)
    policy.require_parent(uow.connection, actor, kind, given, "create")
    given = {**begun, **given}
    prepared = behaviour.prepare(uow, actor, given, None) if behaviour.prepare else given
    checked = kind.validate({**own_fields.starting_values(uow, kind, given), **prepared})
    _check_hub_fields(uow, kind, checked, blank)
    policy.require_limits(actor, kind, checked, None)
    _check_references(uow, kind, checked, None)
    own_fields.check(uow, kind, checked, None)
    attachments.check_here(uow, kind, checked, None)
    if behaviour.check:
        behaviour.check(uow, actor, checked, None)
    _check_documents(uow, actor, kind, behaviour, checked)
    record = uow.get(kind, uow.insert(kind, checked))
    if policy.may(actor, f"{entity}.read"):
        policy.require_record(uow.connection, actor, kind, record["id"], "create")
    if behaviour.after:
        behaviour.after(uow, actor, record, None)
        record = uow.get(kind, record["id"])
    _follow_documents(uow, actor, kind, behaviour, record)
    return policy.shown(actor, kind, record)


def blank_record(connection: Connection, node: Node, kind: EntityType) -> dict[str, Any]:
    """Typed values that a new record begins with, for a form."""
    behaviour = BEHAVIOURS.get(kind.key, _NO_BEHAVIOUR)
    begun = behaviour.begin(connection, node) if behaviour.begin else {}
    return _blank(kind, begun)


def _blank(kind: EntityType, begun: Mapping[str, Any]) -> dict[str, Any]:
    return {field.key: field.initial for field in kind.fields.values()} | dict(begun)


def update_record(uow: UnitOfWork, actor: Actor, *, entity: str, id: str, values: Mapping[str, Any], version: int | None = None) -> Record:
    """Change some fields of a record; with ``version`` a stale save is refused. Returns the record."""
    return _update(uow, actor, entity, id, values, BEHAVIOURS.get(entity, _NO_BEHAVIOUR), version=version)


def _update(
    uow: UnitOfWork, actor: Actor, entity: str, id: str, values: Mapping[str, Any], behaviour: Behaviour, *, version: int | None = None
) -> Record:
    kind = entity_type(entity)
    policy.require(actor, f"{entity}.update")
    require_here(uow, kind)
    policy.require_record(uow.connection, actor, kind, parse_id(id), "update")
    if kind.kind is Kind.LEDGER:
        raise Refused("ledger_row", N_("A posted movement is never changed. Enter a correcting movement instead."))
    current = uow.get(kind, parse_id(id))
    given = _given(kind, values)
    policy.require_fields(actor, kind, given, current)
    policy.require_parent(uow.connection, actor, kind, given, "update")
    _check_editable(kind, given, current)
    prepared = behaviour.prepare(uow, actor, given, current) if behaviour.prepare else given
    checked = kind.validate({**{key: current[key] for key in kind.fields}, **prepared})
    _check_hub_fields(uow, kind, checked, current)
    policy.require_limits(actor, kind, checked, current)
    _check_references(uow, kind, checked, current)
    own_fields.check(uow, kind, checked, current, identity=current["id"])
    attachments.check_here(uow, kind, checked, current)
    if kind.owner and kind.owner in kind.fields and checked[kind.owner] != current[kind.owner]:
        policy.require_record(uow.connection, actor, kind, current["id"], "transfer")
    if behaviour.check:
        behaviour.check(uow, actor, checked, current)
    _check_documents(uow, actor, kind, behaviour, checked, current)
    try:
        uow.update(kind, current["id"], {key: checked[key] for key in prepared}, version=version)
    except StaleRecord as stale:  # the rules fill in values too, such as amounts, and not all of them may be seen
        seen = policy.view(actor, kind)
        stale.differences = [difference for difference in stale.differences if seen.shows(difference[0])]
        raise
    record = uow.get(kind, current["id"])
    if behaviour.after:
        behaviour.after(uow, actor, record, current)
        record = uow.get(kind, current["id"])
    if record["version"] != current["version"]:
        _follow_documents(uow, actor, kind, behaviour, record, current)
    return policy.shown(actor, kind, record)


def delete_record(uow: UnitOfWork, actor: Actor, *, entity: str, id: str) -> dict[str, str]:
    """Put a record into the recycle bin; refused, with the list, while live records refer to it."""
    return _delete(uow, actor, entity, id, BEHAVIOURS.get(entity, _NO_BEHAVIOUR))


def _delete(uow: UnitOfWork, actor: Actor, entity: str, id: str, behaviour: Behaviour) -> dict[str, str]:
    kind = entity_type(entity)
    policy.require(actor, f"{entity}.delete")
    require_here(uow, kind)
    policy.require_record(uow.connection, actor, kind, parse_id(id), "delete")
    record = uow.get(kind, parse_id(id))
    _check_deletable(kind)
    if kind.kind is Kind.DOCUMENT and record["status"] == "posted":
        raise Refused("posted_document", N_("A posted document is never changed. Reverse it instead."))
    if behaviour.check:
        behaviour.check(uow, actor, record, record)
    _check_documents(uow, actor, kind, behaviour, record)
    if kind.kind is Kind.LINE:
        uow.remove(kind, record["id"])
        if behaviour.after:
            behaviour.after(uow, actor, record, record)
        _follow_documents(uow, actor, kind, behaviour, record)
        return {"id": record["id"]}
    users = used_by(uow.connection, actor, kind, record["id"])
    if users:
        raise Refused(
            "referenced", N_("“{title}” is still in use ({users}) and was not deleted."), title=record[kind.title_field], users=users
        )
    uow.set_deleted(kind, record["id"], deleted=True)
    if behaviour.binned:
        behaviour.binned(uow, actor, record)
    _follow_documents(uow, actor, kind, behaviour, record)
    return {"id": record["id"]}


def undelete_record(uow: UnitOfWork, actor: Actor, *, entity: str, id: str) -> dict[str, str]:
    """Bring a record back from the recycle bin."""
    return _undelete(uow, actor, entity, id, BEHAVIOURS.get(entity, _NO_BEHAVIOUR))


def _undelete(uow: UnitOfWork, actor: Actor, entity: str, id: str, behaviour: Behaviour) -> dict[str, str]:
    kind = entity_type(entity)
    policy.require(actor, f"{entity}.delete")
    require_here(uow, kind)
    policy.require_record(uow.connection, actor, kind, parse_id(id), "delete")
    record = uow.get(kind, parse_id(id), deleted=True)
    _check_deletable(kind)
    if record["deleted"]:
        _check_parents(uow, kind, record)
        if behaviour.check:
            behaviour.check(uow, actor, dict(record), record)
        _check_documents(uow, actor, kind, behaviour, record)
        uow.set_deleted(kind, record["id"], deleted=False)
        if behaviour.restored:
            behaviour.restored(uow, actor, record)
        _follow_documents(uow, actor, kind, behaviour, record)
    return {"id": record["id"]}


def save_lines(uow: UnitOfWork, actor: Actor, *, entity: str, document: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Make these the lines of a document, in this order: those without ``id`` are new, those with nothing else stay as they are, absent ones go.

    For a verb that has written the head of the same document in the same breath: that head's own check has said whether the
    document may change at all, so it is not asked again with every line. What follows from the lines follows once, at the end.
    """
    kind, behaviour = entity_type(entity), BEHAVIOURS.get(entity, _NO_BEHAVIOUR)
    parent, place = str(kind.parent), str(kind.order_by)
    each = replace(behaviour, check_document=None, after_document=None)
    before = _versions(uow, kind, {parent: document})
    given = [{**line, "id": parse_id(str(line["id"])) if line.get("id") else ""} for line in lines]
    kept = {line["id"] for line in given}
    for identity in before:
        if identity not in kept:
            _delete(uow, actor, entity, identity, each)
    for position, line in enumerate(given, start=1):
        given_values = {key: value for key, value in line.items() if key != "id"}
        values = given_values | {parent: document, place: position}
        if not given_values and line["id"] in before:
            uow.update(kind, line["id"], {place: position})
        elif line["id"]:  # a line of another document is taken from it by that one's rules
            _update(uow, actor, entity, line["id"], values, each if line["id"] in before else behaviour)
        else:
            _create(uow, actor, entity, values, each)
    if behaviour.after_document and _versions(uow, kind, {parent: document}) != before:
        behaviour.after_document(uow, actor, document)


def _versions(uow: UnitOfWork, kind: EntityType, where: Mapping[str, str]) -> dict[str, int]:
    return {row["id"]: row["version"] for row in uow.where(kind, **where)}


# what was once there, put back as it was --------------------------------------------------------------------------------


def put_values_back(uow: UnitOfWork, actor: Actor, *, entity: str, id: str, values: Mapping[str, Any]) -> None:
    """Give fields of a record values they had, typed, also those the program keeps.

    By every rule that checks, and none that fills in or follows up: what followed from the change is put back beside it. What a document
    is asked about its lines is asked once all of them are put back (``follow_put_back``).
    """
    kind, behaviour = entity_type(entity), BEHAVIOURS.get(entity, _NO_BEHAVIOUR)
    policy.require(actor, f"{entity}.update")
    require_here(uow, kind)
    policy.require_record(uow.connection, actor, kind, id, "update")
    current = uow.get(kind, id)
    entered = {key: value for key, value in values.items() if kind.fields[key].f.editable}
    policy.require_fields(actor, kind, entered, current)
    policy.require_parent(uow.connection, actor, kind, entered, "update")
    whole = {**{key: current[key] for key in kind.fields}, **values}
    _check_put_back(uow, actor, kind, whole, current)
    if kind.owner and kind.owner in values and values[kind.owner] != current[kind.owner]:
        policy.require_record(uow.connection, actor, kind, id, "transfer")
    if behaviour.check:
        behaviour.check(uow, actor, whole, current)
    _check_documents(uow, actor, kind, behaviour, whole, current)
    uow.update(kind, id, values)
    _touch_document(uow, kind, whole)


def put_line_back(uow: UnitOfWork, actor: Actor, *, entity: str, values: Mapping[str, Any]) -> str:
    """Add a line as it was when it was removed from its draft, typed; returns its id, which is a new one."""
    kind, behaviour = entity_type(entity), BEHAVIOURS.get(entity, _NO_BEHAVIOUR)
    policy.require(actor, f"{entity}.create")
    policy.require_parent(uow.connection, actor, kind, values, "create")
    protected = [key for key, value in values.items() if value is not None and not policy.may_write(actor, kind, kind.fields[key])]
    policy.require_fields(actor, kind, {key: values[key] for key in protected}, _blank(kind, {}))
    whole = {key: values.get(key) for key in kind.fields}
    _check_put_back(uow, actor, kind, whole, None)
    _check_documents(uow, actor, kind, behaviour, whole)
    identity = uow.insert(kind, whole)
    _touch_document(uow, kind, whole)
    return identity


def take_line_away(uow: UnitOfWork, actor: Actor, *, entity: str, id: str) -> None:
    """Remove a line from its draft, where what follows from that is put back beside it."""
    kind, behaviour = entity_type(entity), BEHAVIOURS.get(entity, _NO_BEHAVIOUR)
    policy.require_record(uow.connection, actor, kind, id, "delete")
    record = uow.get(kind, id)
    _check_documents(uow, actor, kind, behaviour, record)
    uow.remove(kind, id)
    _touch_document(uow, kind, record)


def put_in_bin(uow: UnitOfWork, actor: Actor, *, entity: str, id: str) -> None:
    """Put a record into the recycle bin again, among others that are put back with it."""
    _delete(uow, actor, entity, id, _among_others(entity))


def take_out_of_bin(uow: UnitOfWork, actor: Actor, *, entity: str, id: str) -> None:
    """Take it out again, among others that are put back with it."""
    _undelete(uow, actor, entity, id, _among_others(entity))


def follow_put_back(uow: UnitOfWork, actor: Actor, documents: Iterable[tuple[str, str]]) -> None:
    """Ask of documents what any change of their lines asks, now that all is put back: (kind of the lines, id of the document)."""
    for entity, document in documents:
        behaviour, kind = BEHAVIOURS.get(entity, _NO_BEHAVIOUR), entity_type(entity)
        if behaviour.after_document and uow.find(entity_type(kind.fields[str(kind.parent)].f.ref or ""), document):
            behaviour.after_document(uow, actor, document)


def _among_others(entity: str) -> Behaviour:
    return replace(BEHAVIOURS.get(entity, _NO_BEHAVIOUR), after_document=None)


def _check_put_back(uow: UnitOfWork, actor: Actor, kind: EntityType, whole: Mapping[str, Any], current: Record | None) -> None:
    kind.validate(whole)
    if current is not None:
        _check_hub_fields(uow, kind, whole, current)
    policy.require_limits(actor, kind, whole, current)
    _check_references(uow, kind, whole, current)
    own_fields.check(uow, kind, whole, current, identity=current["id"] if current else "")
    attachments.check_here(uow, kind, whole, current)


def _touch_document(uow: UnitOfWork, kind: EntityType, row: Mapping[str, Any]) -> None:
    """Whoever still looks at the document of a line as it was must look again."""
    if kind.parent:
        uow.touch(entity_type(kind.fields[kind.parent].f.ref or ""), row[kind.parent])


def _check_documents(uow: UnitOfWork, actor: Actor, kind: EntityType, behaviour: Behaviour, *rows: Mapping[str, Any]) -> None:
    if behaviour.check_document:
        for document in {row[str(kind.parent)] for row in rows}:
            behaviour.check_document(uow, actor, document)


def _follow_documents(uow: UnitOfWork, actor: Actor, kind: EntityType, behaviour: Behaviour, *rows: Mapping[str, Any]) -> None:
    if behaviour.after_document:
        for document in {row[str(kind.parent)] for row in rows}:
            behaviour.after_document(uow, actor, document)


def read_record(connection: Connection, actor: Actor, *, entity: str, id: str, deleted: bool = True) -> dict[str, Any]:
    """A record in JSON form with what is derived for it; raises NotFound."""
    kind = entity_type(entity)
    query = ListQuery(kind, where=(Condition("id", "=", parse_id(id)),), limit=1, restrict=policy.view(actor, kind))
    page = select(connection, query)
    if not page.rows and deleted:
        page = select(connection, ListQuery(kind, where=query.where, limit=1, deleted=True, restrict=query.restrict))
    if not page.rows:
        raise NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=kind.label)
    return records_json(connection, actor, kind, page.rows)[0]


def records_json(connection: Connection, actor: Actor, entity: EntityType, records: list[Record]) -> list[dict[str, Any]]:
    """Records, as a query of this actor gave them, in JSON form, each with what is derived for it."""
    rows = [record_json(entity, record) for record in records]
    behaviour = BEHAVIOURS.get(entity.key, _NO_BEHAVIOUR)
    if behaviour.derive:
        rows = [{**row, **extra} for row, extra in zip(rows, behaviour.derive(connection, actor, records), strict=True)]
    return rows


def read_history(connection: Connection, actor: Actor, *, entity: str, id: str) -> list[HistoryRow]:
    """Every change of a record the actor may see, newest first, without its hidden fields; raises NotFound."""
    kind, identity = entity_type(entity), parse_id(id)
    seen = policy.view(actor, kind)
    rows = history(connection, kind, identity)
    if not (policy.visible(connection, actor, kind, identity) or _was_visible(connection, actor, kind, rows)):
        raise no_such_record(kind)
    return [
        replace(row, old=mask(kind.fields[row.field], row.old), new=mask(kind.fields[row.field], row.new))
        if row.field in seen.masked
        else row
        for row in rows
        if row.field not in seen.hidden
    ]


def no_such_record(kind: EntityType) -> NotFound:
    """The answer where a record is not there, or not for this actor."""
    return NotFound("not_found", N_("{entity}: this record does not exist or was deleted."), entity=kind.label)


def take_back(uow: UnitOfWork, actor: Actor, *, entity: str, id: str, field: str, change: int) -> Record:
    """Put a field back to what it was before a change of the record's history; an ordinary change, by all rules. Returns the record."""
    kind, identity = entity_type(entity), parse_id(id)
    found = [row for row in read_history(uow.connection, actor, entity=entity, id=identity) if (row.field, row.lseq) == (field, change)]
    column = kind.fields.get(field)
    if not found or column is None or not can_take_back(actor, kind, found[0]):
        raise Refused("not_in_history", N_("This value cannot be put back from here. Nothing was changed."))
    old = column.load(stored_value(column, found[0].old))
    return update_record(uow, actor, entity=entity, id=identity, values={field: column.to_json(old) if old is not None else ""})


def can_take_back(actor: Actor, kind: EntityType, row: HistoryRow) -> bool:
    """Whether a line of the history names a value that this actor may write again: a changed one, of a field that is entered by hand."""
    field = kind.fields.get(row.field)
    created = row.old is None and row.first
    return field is not None and not created and not field.secret and field.f.editable and policy.may_write(actor, kind, field)


def _was_visible(connection: Connection, actor: Actor, kind: EntityType, rows: list[HistoryRow]) -> bool:
    """Whether a line that was removed from its draft belonged to a document the actor may see."""
    if kind.kind is not Kind.LINE:
        return False
    documents = {row.old or row.new for row in rows if row.field == kind.parent}
    document = entity_type(kind.fields[kind.parent or ""].f.ref or "")
    return bool(documents) and all(policy.visible(connection, actor, document, str(one)) for one in documents)


def find_everywhere(connection: Connection, actor: Actor, *, text: str, limit: int = 20) -> list[search.Hit]:
    """Records of every kind the actor may see."""
    answering = kinds_with_hits(connection, text)
    return search.find(connection, text, among=[view for view in policy.views(actor) if view.entity.no in answering], limit=limit)


def references(connection: Connection, entity: EntityType, identity: str) -> list[tuple[str, int]]:
    """Live records that refer to a record: (kind, how many); the lines of a deleted draft do not count, nor what only hangs on it."""
    found: dict[str, int] = {}
    for one in merged.ids_of(connection, entity, identity):
        for kind, referring in _referring(entity, "?"):
            count = connection.value(f"SELECT count(*) FROM ({referring} LIMIT 1000)", (bytes.fromhex(one),))
            if count:
                found[kind] = found.get(kind, 0) + int(count)
    return list(found.items())


def referred(connection: Connection, entity: EntityType, ids: Iterable[bytes]) -> set[bytes]:
    """Those of these records that have ``references``."""
    listed = json.dumps([pk.hex() for pk in ids])
    found: set[bytes] = set()
    for _kind, referring in _referring(entity, "unhex(wanted.value)"):
        rows = connection.all(f"SELECT unhex(wanted.value) FROM json_each(?) wanted WHERE EXISTS ({referring})", (listed,))
        found.update(row[0] for row in rows)
    return found


def _referring(entity: EntityType, record: str) -> Iterator[tuple[str, str]]:
    """Where a record may be referred to: kind, and a query for its live records that refer to ``record``, an expression for its id."""
    for other in entities():
        for field in other.refs:
            if field.f.ref == entity.key and other.kind is not Kind.STATE and other.parent != field.key and not _hangs_on(other, field):
                document = other.fields[other.parent].f.ref if other.parent else None
                alive = f' AND EXISTS (SELECT 1 FROM "{document}" d WHERE d.id = o."{other.parent}" AND d.deleted = 0)' if document else ""
                yield other.key, f'SELECT 1 FROM "{other.key}" o WHERE o."{field.key}" = {record} AND o.deleted = 0{alive}'


def bound_by(connection: Connection, entity: EntityType, identity: str) -> bool:
    """Whether something refers to a record that can never refer to another one: a posted document, one of its lines, an entry of a book."""
    ids = [bytes.fromhex(one) for one in merged.ids_of(connection, entity, identity)]
    return any(connection.one(f"{referring} AND {posted} LIMIT 1", (pk,)) for referring, posted in _posted_referring(entity) for pk in ids)


def may_be_used_elsewhere(connection: Connection, entity: EntityType) -> bool:
    """Whether what refers to records of a kind may be at head office and other branches only."""
    lacks = may_lack(connection)
    return any(lacks(entity_type(kind)) for kind, _rows in _referring(entity, "?"))


def _posted_referring(entity: EntityType) -> Iterator[tuple[str, str]]:
    for key, referring in _referring(entity, "?"):
        kind = entity_type(key)
        document = kind if kind.kind is Kind.DOCUMENT else entity_type(kind.fields[kind.parent].f.ref or "") if kind.parent else None
        if kind.kind is Kind.LEDGER:
            yield referring, "1"
        elif document is not None and document.kind is Kind.DOCUMENT:
            place = "o.id" if document is kind else f'o."{kind.parent}"'
            yield referring, f"EXISTS (SELECT 1 FROM \"{document.key}\" p WHERE p.id = {place} AND p.status = 'posted')"


def _hangs_on(kind: EntityType, field: Field) -> bool:
    """Whether records of a kind mean nothing without the one a field names: what verbs keep about it, such as a user's options, or about two of them."""
    return kind.under is not None and not kind.by_hand and field.f.ref == kind.fields[kind.under].f.ref


def used_by(connection: Connection, actor: Actor, kind: EntityType, identity: str) -> str:
    """Live records that refer to a record, in words for this actor; "" where there are none."""
    return gettext(N_(", ")).join(_in_use(actor, entity_type(key), count) for key, count in references(connection, kind, identity))


def _in_use(actor: Actor, kind: EntityType, count: int) -> str:
    """A kind of record that still refers to another, and how many there are where the actor sees them all."""
    seen = policy.seen(actor, kind)
    return f"{kind.label} {count}" if seen is not None and seen.rows is None else kind.label


def require_here(uow: UnitOfWork, kind: EntityType) -> None:
    """What head office sets for all is written there alone."""
    if kind.kind is Kind.HUB and not uow.node.is_office:
        raise Refused("office_only", N_("{label} is set by head office. Nothing was changed."), label=kind.label)


def _check_deletable(kind: EntityType) -> None:
    """What only verbs take away only verbs bring back."""
    if kind.kind is Kind.LEDGER or not policy.written_by_hand(kind):
        raise Refused("cannot_delete", N_("Records of the kind “{entity}” cannot be deleted."), entity=kind.label)


def _given(kind: EntityType, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as typed, with an emptied field meaning its default."""
    given: dict[str, Any] = {}
    for key, value in values.items():
        field = kind.field(key)
        if isinstance(value, str) and not value.strip() and not field.required:
            given[key] = field.default
        elif isinstance(value, str) and not field.secret:  # a password may begin or end with a space
            given[key] = read_text(field, value.strip())
        elif field.kind in _READ_AS_TEXT and value is not None and not isinstance(value, date):
            given[key] = read_text(field, str(value))
        else:
            given[key] = value
    return given


#: Rules look at these before the declaration has checked them, so a number in their place must not get that far.
_READ_AS_TEXT = frozenset({"ref", "date", "datetime"})


def _check_editable(kind: EntityType, given: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """What only verbs write must stay as it is; it cannot be emptied either."""
    for key, value in given.items():
        field = kind.fields[key]
        if not field.f.editable and value not in (now[key], field.to_json(now[key])):
            raise InvalidInput("not_editable", N_("{label} is kept by the program and cannot be entered."), label=field.label, field=key)


def _check_hub_fields(uow: UnitOfWork, kind: EntityType, new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    if uow.node.is_office:
        return
    for field in kind.fields.values():
        if field.f.merge == "hub" and new[field.key] != old[field.key]:
            raise Refused("office_only", N_("{label} is set by head office. Nothing was changed."), label=field.label, field=field.key)


def _check_parents(uow: UnitOfWork, kind: EntityType, record: Record) -> None:
    """What a record cannot be without must be there; a salesperson who has left keeps nothing in the bin."""
    for field in kind.refs:
        if field.required and uow.find(entity_type(field.f.ref or ""), record[field.key]) is None:
            raise Refused(
                "parent_deleted",
                N_("“{title}” was not restored: the record under “{label}” is deleted too. Restore that one first."),
                title=record[kind.title_field],
                label=field.label,
            )


def _check_references(uow: UnitOfWork, kind: EntityType, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    taken_over = BEHAVIOURS.get(kind.key, _NO_BEHAVIOUR).taken_over
    for field in kind.refs:
        value = new[field.key]
        if field.key in taken_over:
            continue
        if value is None or (old is not None and old[field.key] == value):
            continue
        if not uow.exists(entity_type(field.f.ref or ""), value):
            raise InvalidInput(
                "no_such_record", N_("{label}: the record referred to does not exist or was deleted."), label=field.label, field=field.key
            )
