"""A record as it stood at any moment, worked out from its history.

The value of a field then is what the latest change up to then made of it, in the order in which changes win; where no later
change is known that is today's value. Values of an erased person stay erased at every moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcrm.kernel.clock import to_iso
from localcrm.kernel.schema import EntityType, Kind, entities
from localcrm.store.changelog import HistoryRow, history, once_lines_of
from localcrm.store.query import load_record, record_columns

if TYPE_CHECKING:
    from datetime import datetime

    from localcrm.store.connection import Connection

#: The register among the fields of a history.
REGISTER = "deleted"


@dataclass(frozen=True, slots=True)
class Then:
    """A record as it stood: values in JSON form by field, without secrets, and whether it lay in the recycle bin."""

    values: Mapping[str, Any]
    deleted: bool


def record_as_of(connection: Connection, entity: EntityType, identity: str, moment: datetime) -> Then | None:
    """A record at a moment; None before it was there, and after a line was removed."""
    return _then(entity, history(connection, entity, identity), record_today(connection, entity, identity), to_iso(moment))


def record_today(connection: Connection, entity: EntityType, identity: str) -> Then | None:
    """The same of this moment; None where there is no such row."""
    row = connection.one(f'SELECT {record_columns(entity)} FROM "{entity.key}" WHERE id = ?', (bytes.fromhex(identity),))
    if row is None:
        return None
    record = load_record(entity, row)
    return Then({field.key: field.to_json(record[field.key]) for field in entity.readable}, bool(record["deleted"]))


def lines_as_of(connection: Connection, document: EntityType, identity: str, moment: datetime) -> dict[str, dict[str, Then]]:
    """The lines a document had at a moment, in their order: by kind of line and id."""
    found: dict[str, dict[str, Then]] = {}
    for kind in line_kinds(document):
        then = {one: record_as_of(connection, kind, one, moment) for one in once_lines_of(connection, kind, identity)}
        lines = [(one, line) for one, line in then.items() if line is not None and line.values[kind.parent or ""] == identity]
        found[kind.key] = dict(sorted(lines, key=lambda pair: (pair[1].values.get(kind.order_by or "") or 0, pair[0])))
    return found


def lines_today(connection: Connection, document: EntityType, identity: str) -> dict[str, dict[str, Then]]:
    """The lines it has now."""
    found: dict[str, dict[str, Then]] = {}
    for kind in line_kinds(document):
        rows = connection.all(f'SELECT id FROM "{kind.key}" WHERE "{kind.parent}" = ?', (bytes.fromhex(identity),))
        lines = {pk.hex(): record_today(connection, kind, pk.hex()) for (pk,) in rows}
        found[kind.key] = {one: line for one, line in lines.items() if line is not None}
    return found


def line_kinds(document: EntityType) -> list[EntityType]:
    """Kinds of lines that belong to a kind of document."""
    return [kind for kind in entities() if kind.kind is Kind.LINE and kind.fields[kind.parent or ""].f.ref == document.key]


def _then(entity: EntityType, rows: list[HistoryRow], today: Then | None, until: str) -> Then | None:
    began = [row.at for row in rows if row.first]
    if today is not None and began and min(began) > until:
        return None
    gone = [row for row in rows if row.gone]
    if today is None and (not began or min(began) > until or any(row.at <= until for row in gone)):
        return None
    changes: dict[str, list[HistoryRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.stamp, row.lseq)):
        if not row.gone:
            changes[row.field].append(row)
    last = {row.field: row.old for row in gone} if today is None else {**today.values, REGISTER: today.deleted}

    def value(key: str) -> Any:
        known = changes[key]
        before = [row for row in known if row.at <= until]
        if len(before) == len(known):
            return last.get(key)
        return before[-1].new if before else None

    return Then({field.key: value(field.key) for field in entity.readable}, bool(value(REGISTER)))
