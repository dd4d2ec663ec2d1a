"""What records are known by: plain forms of names, telephone numbers and codes, so that a record entered twice is found in milliseconds.

Derived from fields with a ``mark`` (``kernel.likeness`` makes the plain forms), written and rebuilt with the search index, never sent.
What is seen with another record is one of its marks: a contact's telephone number leads to the customer. A plain form is kept as a number made
from it, never as it stands: an index leaves traces of its rows in the file, and a person's data can be erased without trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from localcrm.kernel.likeness import VERSION, kept_forms, plain_forms
from localcrm.kernel.schema import EntityType, Field, Mark, Stored, entities
from localcrm.store.ddl import ROW_BITS, doc_id

if TYPE_CHECKING:
    from localcrm.store.connection import Connection

_READ_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Known:
    """A record that has a mark: id in hex, and the number of the kind whose field says so (its own, or that of what is under it)."""

    id: str
    by: int


def marked(entity: EntityType) -> list[Field]:
    """Fields of a kind that its records are known by."""
    return [field for field in entity.searched if field.f.mark]


def marks_of(fields: Iterable[Field], values: Mapping[str, Any]) -> Iterator[tuple[Field, Mark, str]]:
    """Field, mark and plain form for everything that values of these fields say."""
    for field in fields:
        if field.f.mark and values.get(field.key):
            for plain in plain_forms(field.f.mark, str(values[field.key])):
                yield field, field.f.mark, plain


def number_of(plain: str) -> int:
    """The number that stands for a plain form; 64 bits, so that two forms do not meet by chance."""
    return int.from_bytes(blake2b(plain.encode(), digest_size=8).digest(), signed=True)


# writing, with the search index ---------------------------------------------------------------------------------------


def add(connection: Connection, entity: EntityType, rows: Iterable[tuple[int, Iterable[Stored]]]) -> None:
    """Note the marks of rows that stand in their table and have none yet: row number, searched values."""
    places = [(place, field.f.mark) for place, field in enumerate(entity.searched) if field.f.mark]
    if not places:
        return
    found = [
        (kind, number_of(plain), doc_id(entity, rid), rid)
        for rid, values in rows
        for texts in [tuple(values)]
        for place, mark in places
        if texts[place]
        for kind, plain in kept_forms(mark, str(texts[place]))
    ]
    of = entity.under or "id"
    connection.executemany(
        f'INSERT OR IGNORE INTO mark(kind, value, of, doc) SELECT ?, ?, "{of}", ? FROM "{entity.key}" WHERE rid = ?', found
    )


def renew(connection: Connection, entity: EntityType, rids: Sequence[int], *, fresh: bool = False) -> None:
    """Note the marks of rows as they stand in their table; ``fresh`` when they have none yet."""
    if marked(entity):
        if not fresh:
            forget(connection, entity, rids)
        columns = ", ".join(f'"{field.key}"' for field in entity.searched)
        numbers = json.dumps(list(rids))
        sql = f'SELECT rid, {columns} FROM "{entity.key}" WHERE rid IN (SELECT value FROM json_each(?)) AND deleted = 0'
        add(connection, entity, [(row[0], row[1:]) for row in connection.all(sql, (numbers,))])


def forget(connection: Connection, entity: EntityType, rids: Iterable[int]) -> None:
    """Take the marks of rows away."""
    if marked(entity):
        connection.executemany("DELETE FROM mark WHERE doc = ?", [(doc_id(entity, rid),) for rid in rids])


def forget_all(connection: Connection) -> None:
    """Before all are made anew."""
    connection.execute("DELETE FROM mark")
    connection.execute("DELETE FROM mark_twice")


def rebuild(connection: Connection) -> None:
    """Make all anew from the tables."""
    forget_all(connection)
    for entity in entities():
        for rows in _rows(connection, entity):
            add(connection, entity, rows)


def version() -> str:
    """What the marks of a file depend on besides its rows: the rules, and the fields that have a mark."""
    fields = ",".join(f"{entity.no}.{field.no}{field.f.mark}" for entity in entities() for field in marked(entity))
    return f"{VERSION}:{fields}"


def _rows(connection: Connection, entity: EntityType) -> Iterator[list[tuple[int, Sequence[Stored]]]]:
    """Live rows of a kind in portions: row number, searched values; nothing of a kind without marks."""
    if not marked(entity):
        return
    columns, last = ", ".join(f'"{field.key}"' for field in entity.searched), -1
    statement = f'SELECT rid, {columns} FROM "{entity.key}" WHERE deleted = 0 AND rid > ? ORDER BY rid LIMIT {_READ_AT_ONCE}'
    while rows := connection.all(statement, (last,)):
        yield [(row[0], row[1:]) for row in rows]
        last = rows[-1][0]


# asking ---------------------------------------------------------------------------------------------------------------


def known_by(connection: Connection, mark: str, plain: str, *, limit: int) -> list[Known]:
    """Records with a mark, deleted ones too where something live is under them; at most ``limit``."""
    rows = connection.all(
        "SELECT DISTINCT of, doc >> ? FROM mark WHERE kind = ? AND value = ? LIMIT ?", (ROW_BITS, mark, number_of(plain), limit)
    )
    return [Known(of.hex(), by) for of, by in rows]


def rows_known_by(connection: Connection, kind: str, plain: str, *, limit: int) -> list[tuple[int, int]]:
    """Live rows whose own fields say it: number of the kind of record, row number; at most ``limit``."""
    rows = connection.all(
        "SELECT DISTINCT doc >> ?, doc & ? FROM mark WHERE kind = ? AND value = ? LIMIT ?",
        (ROW_BITS, (1 << ROW_BITS) - 1, kind, number_of(plain), limit),
    )
    return [(int(no), int(rid)) for no, rid in rows]


def twice(connection: Connection, *, limit: int) -> list[tuple[str, int]]:
    """Marks (kind, number of the plain form) of more than one record; at most ``limit``."""
    return connection.all("SELECT kind, value FROM mark_twice LIMIT ?", (limit,))


# checking -------------------------------------------------------------------------------------------------------------


def is_right(connection: Connection) -> bool:
    """Whether what is kept is what the rows say, no more and no less."""
    count = 0
    for entity in entities():
        of = entity.under or "id"
        for rows in _rows(connection, entity):
            first, last = rows[0][0], rows[-1][0]
            owners: dict[int, bytes] = dict(
                connection.all(f'SELECT rid, "{of}" FROM "{entity.key}" WHERE rid BETWEEN ? AND ?', (first, last))
            )
            wanted = {
                (kind, number_of(plain), owners[rid], doc_id(entity, rid))
                for rid, values in rows
                for field, value in zip(entity.searched, values, strict=True)
                if field.f.mark and value
                for kind, plain in kept_forms(field.f.mark, str(value))
            }
            kept = connection.all(
                "SELECT kind, value, of, doc FROM mark WHERE doc BETWEEN ? AND ?", (doc_id(entity, first), doc_id(entity, last))
            )
            if wanted != set(kept):
                return False
            count += len(kept)
    shared = "SELECT kind, value FROM mark WHERE kind <> 'tail' GROUP BY kind, value HAVING min(of) <> max(of)"
    differs = f"SELECT EXISTS ({shared} EXCEPT SELECT * FROM mark_twice) OR EXISTS (SELECT * FROM mark_twice EXCEPT {shared})"
    return count == connection.value("SELECT count(*) FROM mark") and not connection.value(differs)
