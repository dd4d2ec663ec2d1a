"""What head office does about conflicts once a merge is written: values given twice apart are told, settlements made apart come to one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from localcrm.domain.admin.conflicts import CONFLICT, WITH_ANOTHER, as_text, chosen_text, concerned_field, live_text
from localcrm.domain.admin.entities import ConflictKind, ConflictState
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.changelog import history
from localcrm.store.query import stored_value

if TYPE_CHECKING:
    from localcrm.kernel.schema import EntityType, Field
    from localcrm.store.changelog import HistoryRow
    from localcrm.store.query import Record
    from localcrm.store.uow import UnitOfWork

#: Records with one value that may not repeat, told of for one that arrives.
MOST_ALIKE = 20


def note_same_values(uow: UnitOfWork, written: Iterable[tuple[EntityType, Field, bytes]]) -> int:
    """Of values that may not repeat and have just arrived, tell once of each pair of live records that share one; returns how many.

    Both records stay as they are: what was entered apart is nobody's fault, and a person knows which of the two is wrong.
    """
    told = 0
    for kind, field, pk in written:
        column = f'"{field.key}"'
        alike = uow.connection.all(
            f'SELECT o.id, o.{column} FROM "{kind.key}" r JOIN "{kind.key}" o ON o.{column} = r.{column} AND o.id <> r.id '
            f"WHERE r.id = ? AND r.deleted = 0 AND o.deleted = 0 ORDER BY o.rid LIMIT {MOST_ALIKE}",
            (pk,),
        )
        for other, stored in alike:
            told += _note_same_value(uow, kind, field, pk.hex(), other.hex(), as_text(field, stored))
    return told


def _note_same_value(uow: UnitOfWork, kind: EntityType, field: Field, record: str, other: str, value: str | None) -> bool:
    known = """SELECT 1 FROM conflict WHERE kind = ? AND entity = ? AND field = ? AND kept = ?
               AND ((record = ? AND other = ?) OR (record = ? AND other = ?))"""
    if uow.connection.one(known, (ConflictKind.DUPLICATE.value, kind.key, field.key, value, record, other, other, record)):
        return False
    values: dict[str, Any] = {"kind": ConflictKind.DUPLICATE, "entity": kind.key, "record": record, "other": other, "field": field.key}
    values |= {"kept": value, "lost": value, **_author(uow, kind, field, other, "kept"), **_author(uow, kind, field, record, "lost")}
    uow.insert(CONFLICT, CONFLICT.validate(values))
    return True


def _author(uow: UnitOfWork, kind: EntityType, field: Field, identity: str, side: str) -> dict[str, Any]:
    """Who wrote the value of a record that is there now, as one side of a conflict."""
    row = next((row for row in history(uow.connection, kind, identity) if row.field == field.key), None)
    return {f"{side}_by": row.user_id, f"{side}_at": row.at, f"{side}_node": row.node} if row else {}


def agree(uow: UnitOfWork, settled_apart: Collection[bytes]) -> None:
    """Conflicts that two places settled apart: the later settlement counts, and the record says so too.

    The merge has chosen the later settlement. Where that left the value alone, the earlier one may have written another:
    the value goes back, unless somebody else has changed it since.
    """
    for pk in sorted(settled_apart):
        conflict = uow.find(CONFLICT, pk.hex())
        if conflict is None or conflict["state"] != ConflictState.RESOLVED or conflict["kind"] not in WITH_ANOTHER:
            continue
        found, wanted = live_text(uow.connection, conflict), chosen_text(conflict, str(conflict["resolution"]))
        if found is None or found[0] == wanted or found[0] not in _decided(history(uow.connection, CONFLICT, pk.hex()), conflict):
            continue
        kind, field = entity_type(conflict["entity"]), concerned_field(conflict)[1]
        if field is None:
            uow.set_deleted(kind, conflict["record"], deleted=wanted == "true")
        else:
            uow.update(kind, conflict["record"], {field.key: field.load(stored_value(field, wanted))})


def _decided(rows: Iterable[HistoryRow], conflict: Record) -> set[str | None]:
    """Every value that somebody settled the conflict with."""
    return {chosen_text(conflict, str(row.new)) for row in rows if row.field == "resolution" and row.new is not None}
