"""What the search index cannot tell by itself, read from the indexes of single fields: names of attached files, and each of several
telephone numbers in one field.

Records without a value cost nothing. Only the newest HEARD records with files are also looked through by the sound of the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from localcrm.kernel.attachments import Attachment, read_attachments
from localcrm.kernel.likeness import plain_phones
from localcrm.kernel.schema import Field
from localcrm.store import blobs, search
from localcrm.store.connection import Connection
from localcrm.store.view import View

#: Records with files that are looked at by the sound of the names.
HEARD = 500
#: Values read that fit by their letters, for each one that is wanted: some do not once they are looked at.
_SPARE = 10
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a record names in a field."""

    entity: str
    id: str
    field: str
    file: Attachment


def find_files(connection: Connection, text: str, *, among: Iterable[View], limit: int) -> list[NamedFile]:
    """Files whose names answer what was typed, those of the newest records of each kind first."""
    asked = search.question(text)
    if asked is None:
        return []
    heard = any(run.isascii() and run.isalpha() for run in asked.runs)
    found: list[NamedFile] = []
    for view in among:
        for field in blobs.file_fields(view.entity):
            if not field.f.index or not view.shows(field.key):
                continue
            rids = _holding(connection, view, field, [f"%{run}%" for run in asked.runs], _SPARE * limit)
            rids += _holding(connection, view, field, [], HEARD) if heard else []
            named = {
                NamedFile(view.entity.key, identity, field.key, file): None
                for identity, value in _values(connection, view, field, rids)
                for file in read_attachments(value)
                if asked.answered_by([file.name])
            }
            found += list(named)[:limit]
    return found[:limit]


def find_phones(connection: Connection, text: str, view: View, *, limit: int) -> list[str]:
    """Ids of records one of whose several telephone numbers in one field ends so."""
    asked = search.question(text)
    if asked is None or asked.tail is None:
        return []
    found: dict[str, None] = {}
    for field in view.entity.searched:
        if field.f.mark == "phone" and field.f.index and view.shows(field.key):
            pattern = f"%{'%'.join(asked.tail)}%"  # signs may stand between digits
            for identity, value in _values(connection, view, field, _holding(connection, view, field, [pattern], _SPARE * limit)):
                if any(number.endswith(asked.tail) for number in plain_phones(value)):
                    found[identity] = None
    return list(found)[:limit]


def _holding(connection: Connection, view: View, field: Field, patterns: list[str], limit: int) -> list[int]:
    """Row numbers of live records whose field fits every pattern, newest first, by the field's index alone."""
    fits = "".join(f' AND "{field.key}" LIKE ?' for _pattern in patterns)
    table = f'"{view.entity.key}" INDEXED BY "{view.entity.key}__{field.key}"'  # else the table is read from its newest row on
    sql = f"SELECT rid FROM {table} WHERE deleted = 0 AND \"{field.key}\" > ''{fits} ORDER BY rid DESC LIMIT ?"
    return [row[0] for row in connection.all(sql, [*patterns, limit])]


def _values(connection: Connection, view: View, field: Field, rids: list[int]) -> Iterator[tuple[str, str]]:
    """Of these rows those that may be seen, newest first: id and value."""
    condition, params = view.condition(f'"{view.entity.key}"')
    for start in range(0, len(rids), _AT_ONCE):
        portion = rids[start : start + _AT_ONCE]
        sql = f'SELECT rid, id, "{field.key}" FROM "{view.entity.key}" WHERE rid IN ({",".join("?" * len(portion))}) AND {condition}'
        for _rid, identity, value in sorted(connection.all(sql, [*portion, *params]), reverse=True):
            yield identity.hex(), value
