"""Erasing a person's data: what was written is overwritten in the row, its history, conflicts about it, what is kept aside, and the index.

An order to erase is a record of head office's that travels; each node carries it out when it arrives, and once more whenever
a change of the record arrives that was made before its author knew. What is written instead is the same everywhere, so all
nodes hold the same again. The row, its random key and what refers to it stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from localcrm.kernel.attachments import read_attachments
from localcrm.kernel.schema import entities, entity as entity_type
from localcrm.store import blobs, changelog, digests, eventlog, past, search
from localcrm.store.ddl import UPDATE

if TYPE_CHECKING:
    from localcrm.kernel.attachments import Attachment
    from localcrm.kernel.schema import EntityType, Field, Stored
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

#: Stands where something must stand.
ERASED = "***"
#: Setting of a user at this node: what he looked for lately.
SEARCHES = "search_recent"
#: Pages.
_SCRUBBED_AT_ONCE = 1000
_PERSONAL = frozenset({"text", "longtext", "date", "datetime", "files"})
#: Columns of a conflict that hold values of the record it is about.
_TOLD = ("base", "kept", "lost")

#: What becomes of a column's values, by wire number.
_Overwrite = Mapping[int, Callable[["Stored"], "Stored"]]


def personal_fields(entity: EntityType) -> tuple[Field, ...]:
    """Fields that may say something of a person: whatever was written or dated."""
    return tuple(field for field in entity.fields.values() if field.kind in _PERSONAL)


def erased_value(field: Field) -> Stored:
    """What stands in a personal field afterwards."""
    return ERASED if field.required and field.custom is None else field.store(field.default)


@dataclass(frozen=True, slots=True)
class Reached:
    """Fields of other records that say something of a person: ``rows`` is SQL for their ids, of the person ?; ``persons`` for the persons of rows
    among those in the table ``came``.
    """

    of: str
    kind: str
    fields: tuple[str, ...]
    rows: str
    persons: str


#: What erasing a person reaches beyond the record of himself; the subjects add to it.
REACHED: list[Reached] = []


def naming(of: str, kind: str, by: str, *fields: str) -> Reached:
    """Records of a kind that name the person in a field of theirs."""
    return Reached(of, kind, fields, f"SELECT id FROM {kind} WHERE {by} = ?", f"SELECT {by} FROM {kind} WHERE id IN came")


def _perhaps() -> str:
    """Orders that came after a number of the log (?1), or whose record is named by what came after it or is kept aside, or that reach what came;
    there may be thousands of others.
    """
    reached = " UNION ".join(one.persons for one in REACHED) or "SELECT NULL"
    return f"""WITH came AS MATERIALIZED (SELECT pk FROM sync_log WHERE lseq > ?1),
        reached(person) AS MATERIALIZED ({reached})
        SELECT id, subject, record_id FROM erasure WHERE id IN came OR unhex(record_id) IN came
        OR unhex(record_id) IN (SELECT pk FROM sync_quarantine) OR unhex(record_id) IN reached ORDER BY rid"""


def carry_out_since(store: Store, connection: Connection, lseq: int) -> None:
    """After a merge: erase what orders that came with it say, and what it changed although it was erased before."""
    order = entity_type("erasure")
    known = {entity.key: entity for entity in entities()}
    if connection.value("SELECT 1 FROM erasure LIMIT 1") is None:
        return
    erased = False
    for identity, subject, record in connection.all(_perhaps(), (lseq,)):
        entity, pk = known.get(subject), bytes.fromhex(record)
        if entity is None:
            continue
        is_new = _logged_since(connection, order, identity, lseq)
        if is_new or _logged_since(connection, entity, pk, lseq) or _kept_aside(connection, entity, pk):
            carry_out(connection, entity, pk)
            erased = True
        else:
            erased |= _reach(connection, entity, pk, since=lseq)
        if is_new:
            eventlog.append(connection, at=store.clock.now_ms(), kind="erased", detail=f"{subject} {record}", sign=store.sign_log)
    if erased:
        scrub(connection)


def carry_out(connection: Connection, entity: EntityType, pk: bytes) -> None:
    """Erase one person inside the open transaction, and what other records say of him; doing it again changes nothing.

    Whoever calls it calls ``scrub`` when the last one is erased.
    """
    _erase(connection, entity, pk, personal_fields(entity))
    _reach(connection, entity, pk)


def scrub(connection: Connection) -> None:
    """Write over the pages of the file that nobody uses any more: what was moved and given up there long ago still stands in them, words of
    the search index above all, which moves all it holds again and again.

    It takes about a second for each 100 MB of such pages, during which nobody else saves. No statement that reads may be under way.
    """
    page = int(connection.value("PRAGMA page_size"))
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("CREATE TABLE scrubbed(blank BLOB)")
    while free := int(connection.value("PRAGMA freelist_count")):
        connection.execute("INSERT INTO scrubbed VALUES (zeroblob(?))", (min(free, _SCRUBBED_AT_ONCE) * page,))
    connection.execute("DROP TABLE scrubbed")
    connection.execute("PRAGMA secure_delete = FAST")


def _reach(connection: Connection, entity: EntityType, pk: bytes, *, since: int | None = None) -> bool:
    """Erase what other records say of a person; only in those that the log names after ``since``. Returns whether there were any."""
    erased = False
    for reached in REACHED:
        if reached.of == entity.key:
            kind = entity_type(reached.kind)
            for (other,) in connection.all(reached.rows, (pk,)):
                if since is None or _logged_since(connection, kind, other, since):
                    _erase(connection, kind, other, [kind.fields[key] for key in reached.fields])
                    erased = True
    return erased


def _erase(connection: Connection, entity: EntityType, pk: bytes, fields: Sequence[Field]) -> None:
    capturing = connection.value("SELECT applying FROM sync_ctx")
    connection.execute("PRAGMA secure_delete = ON")  # what is overwritten leaves no trace in the pages of the file
    connection.execute("UPDATE sync_ctx SET applying = 1")
    attached = _attached(connection, entity, pk) if any(field.kind == "files" for field in fields) else []
    _overwrite(connection, entity, pk, {field.no: _always(erased_value(field)) for field in fields})
    _erase_conflicts(connection, entity, pk, [field.key for field in fields])
    blobs.forget(connection, attached)
    if len(fields) == len(personal_fields(entity)):  # what is kept aside of a record that says more than that stays
        connection.execute("UPDATE sync_quarantine SET raw = ? WHERE tbl = ? AND pk = ?", (_nothing(entity, pk), entity.no, pk))
    connection.execute("DELETE FROM user_setting WHERE instr(key, ?) > 0", (pk.hex(),))  # a form that was not saved
    connection.execute("DELETE FROM user_setting WHERE key = ?", (SEARCHES,))  # a name may be among them
    rid = connection.value(f'SELECT rid FROM "{entity.key}" WHERE id = ?', (pk,))
    if rid is not None and entity.searched:
        search.index_rows(connection, entity, [rid])
        connection.execute("INSERT INTO search(search) VALUES ('optimize')")  # until then the words before stay in the index
    connection.execute("UPDATE sync_ctx SET applying = ?", (capturing,))
    connection.execute("PRAGMA secure_delete = FAST")


def _attached(connection: Connection, entity: EntityType, pk: bytes) -> list[Attachment]:
    """Files that a record names, or ever named."""
    fields = {field.no: field for field in blobs.file_fields(entity)}
    if not fields:
        return []
    names = ", ".join(f'"{field.key}"' for field in fields.values())
    texts = list(connection.one(f'SELECT {names} FROM "{entity.key}" WHERE id = ?', (pk,)) or ())
    for change in changelog.changes_of(connection, entity, [pk]):
        if change.op == UPDATE:
            for no, values in changelog.parse_diff(entity, change.diff or "{}").items():
                texts += values if no in fields else ()
    return [file for text in texts for file in read_attachments(text)]


def _logged_since(connection: Connection, entity: EntityType, pk: bytes, lseq: int) -> bool:
    return connection.one("SELECT 1 FROM sync_log WHERE tbl = ? AND pk = ? AND lseq > ?", (entity.no, pk, lseq)) is not None


def _kept_aside(connection: Connection, entity: EntityType, pk: bytes) -> bool:
    """Whether a change that was not accepted still says something."""
    found = "SELECT 1 FROM sync_quarantine WHERE tbl = ? AND pk = ? AND raw <> ?"
    return connection.one(found, (entity.no, pk, _nothing(entity, pk))) is not None


def _nothing(entity: EntityType, pk: bytes) -> bytes:
    """A change that says nothing, as changes are kept aside."""
    return msgspec.msgpack.encode([entity.no, UPDATE, pk, []])


def _erase_conflicts(connection: Connection, entity: EntityType, pk: bytes, fields: list[str]) -> None:
    conflict = entity_type("conflict")
    told: dict[int, Callable[[Stored], Stored]] = {conflict.fields[key].no: _where_filled for key in _TOLD}
    told[conflict.fields["resolution"].no] = lambda value: ERASED if str(value or "").startswith("value=") else value
    marks = ",".join("?" * len(fields))
    ids = connection.all(
        f"SELECT id FROM conflict WHERE entity = ? AND ? IN (record, other) AND field IN ({marks})", (entity.key, pk.hex(), *fields)
    )
    for (identity,) in ids:
        _overwrite(connection, conflict, identity, told)


def _overwrite(connection: Connection, entity: EntityType, pk: bytes, erased: _Overwrite) -> None:
    """Overwrite columns in the row and in every log entry of it."""
    digests.mark(connection, entity, pk)
    columns = {no: entity.by_no[no].key for no in erased}
    names = ", ".join(f'"{key}"' for key in columns.values())
    row = connection.one(f'SELECT {names} FROM "{entity.key}" WHERE id = ?', (pk,))
    if row is not None:
        values = [erased[no](value) for no, value in zip(columns, row, strict=True)]
        assignments = ", ".join(f'"{key}" = ?' for key in columns.values())
        connection.execute(f'UPDATE "{entity.key}" SET {assignments}, version = version + 1 WHERE id = ?', (*values, pk))

    def new_diff(op: int, diff: str) -> str:
        if op == UPDATE:
            pairs = changelog.parse_diff(entity, diff)
            return changelog.write_diff({no: (_by(erased, no, old), _by(erased, no, new)) for no, (old, new) in pairs.items()})
        return changelog.write_row({no: _by(erased, no, value) for no, value in changelog.parse_row(entity, diff).items()})

    logged = "SELECT lseq, op, diff FROM sync_log WHERE tbl = ? AND pk = ? AND diff IS NOT NULL"
    for lseq, op, diff in connection.all(logged, (entity.no, pk)):
        connection.execute("UPDATE sync_log SET diff = ? WHERE lseq = ?", (new_diff(op, diff), lseq))
    past.rewrite(connection, entity.no, pk, new_diff)


def _by(erased: _Overwrite, no: int, value: Stored) -> Stored:
    return erased[no](value) if no in erased else value


def _always(value: Stored) -> Callable[[Stored], Stored]:
    return lambda _before: value


def _where_filled(value: Stored) -> Stored:
    return None if value is None else ERASED
