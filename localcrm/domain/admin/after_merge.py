"""What head office does about conflicts once a merge is written: values given twice apart are told, settlements made apart come to one,
and what is told of a change that was kept aside is brought up to date once it was tried again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from localcrm.domain.admin.conflicts import CONFLICT, WITH_ANOTHER, as_text, chosen_text, live_text, settled_here
from localcrm.domain.admin.entities import ConflictKind, ConflictState
from localcrm.kernel.clock import now_utc
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.changelog import changes_of, history
from localcrm.store.query import stored_value

if TYPE_CHECKING:
    from datetime import datetime

    from localcrm.kernel.schema import EntityType, Field
    from localcrm.store.changelog import HistoryRow
    from localcrm.store.uow import UnitOfWork

#: Records with one value that may not repeat, told of for one that arrives.
MOST_ALIKE = 20
#: Columns that say how a conflict was settled.
_SETTLEMENT = ("resolution", "resolved_by", "resolved_at")


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
            told += note_same_value(uow, kind, field, pk.hex(), other.hex(), as_text(field, stored))
    return told


def note_alike(uow: UnitOfWork, arrived: Sequence[str], *, kind: str, same: Sequence[str], field: str) -> None:
    """At head office, of records that arrive: tell of others of their kind, made at another place, that say the same in all these fields, such as two
    parts of one expense for one customer. ``field``: the one that people are told of.
    """
    if not uow.node.is_office:
        return
    entity = entity_type(kind)
    first, *others = same  # a plus keeps the search at the index of the first
    alike = "".join(f' AND +b."{key}" = a."{key}"' for key in others)
    for identity, other, value in uow.connection.all(
        f"""SELECT a.id, b.id, a."{field}" FROM json_each(?) j CROSS JOIN "{kind}" a ON a.id = unhex(j.value)
            CROSS JOIN "{kind}" b ON b."{first}" = a."{first}"{alike} AND b.id <> a.id WHERE a.deleted = 0 AND b.deleted = 0 ORDER BY a.rid, b.rid""",
        (json.dumps(arrived),),
    ):
        if len({_made_at(uow, entity, pk) for pk in (identity, other)}) > 1:
            note_same_value(uow, entity, entity.fields[field], identity.hex(), other.hex(), as_text(entity.fields[field], value))


def _made_at(uow: UnitOfWork, kind: EntityType, pk: bytes) -> int | None:
    """The node that made a record."""
    first = next(changes_of(uow.connection, kind, [pk]), None)
    known = uow.connection.value("SELECT node_no FROM sync_origin WHERE origin = ?", (first.tx.origin,)) if first else None
    return int(known) if known is not None else None


def note_same_value(uow: UnitOfWork, kind: EntityType, field: Field, record: str, other: str, value: str | None) -> bool:
    """Tell of two records with the same value; returns whether that was not told before."""
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


class SettledApart(NamedTuple):
    """A conflict that was changed by somebody who had not seen what another place had done with it, and the number of that change in the log."""

    conflict: str
    lseq: int


def agree(uow: UnitOfWork, settled_apart: Iterable[SettledApart]) -> None:
    """Conflicts that two places settled apart: they say what the record says.

    Of two chosen values the later one is live, and so is its settlement; that they differ is a conflict of its own. But whoever left things as
    they were wrote nothing, so a value chosen elsewhere stands even if that was earlier: the conflict then names that settlement instead of the
    later one, and people are told that somebody had decided otherwise.
    """
    for identity, changes in groupby(sorted(settled_apart), key=attrgetter("conflict")):
        arrived = [change.lseq for change in changes]
        conflict = uow.find(CONFLICT, identity)
        found = live_text(uow.connection, conflict) if conflict is not None else None
        if conflict is None or found is None or conflict["state"] != ConflictState.RESOLVED or conflict["kind"] not in WITH_ANOTHER:
            continue
        words = _words(history(uow.connection, CONFLICT, identity))
        chosen = [one for one in words if one.keep not in {None, "kept"} and chosen_text(conflict, str(one.keep)) == found[0]]
        standing = min(chosen, key=lambda one: one.by is None, default=None)  # rather a person's than what was brought into line here
        if standing is None:
            continue
        if found[0] != chosen_text(conflict, str(conflict["resolution"])):
            told = {key: CONFLICT.fields[key].load(stored_value(CONFLICT.fields[key], standing.values.get(key))) for key in _SETTLEMENT}
            uow.update(CONFLICT, identity, told)
        heard = [max((one for one in words if one.lseq in arrived), key=attrgetter("lseq"), default=None)]
        heard.append(max((one for one in words if one.lseq < arrived[0]), key=attrgetter("lseq"), default=None))
        for one in heard:
            if one is not None and one.keep == "kept" and conflict["field"] != "deleted":
                _note_overruled(uow, conflict, standing, one, found[0])


def _note_overruled(uow: UnitOfWork, conflict: Mapping[str, Any], standing: _Word, overruled: _Word, live: str | None) -> None:
    """Tell once of two people who decided one conflict differently, as of any value that was overwritten apart; nothing of who has written the
    field since, for then that was told.
    """
    kind = entity_type(conflict["entity"])
    field = kind.fields[conflict["field"]]
    rows = [row for row in history(uow.connection, kind, conflict["record"]) if row.field == field.key]
    if any(row.node == overruled.node and row.stamp >= overruled.stamp for row in rows):
        return
    seen = [row for row in rows if row.stamp < overruled.stamp and row.lseq < overruled.lseq]
    left = next((row.new for row in seen if (row.node, row.stamp) != (standing.node, standing.stamp)), None)
    who = {f"{side}_{key}": getattr(one, key) for side, one in (("kept", standing), ("lost", overruled)) for key in ("by", "at", "node")}
    about = {key: conflict[key] for key in ("entity", "record", "field", "base")}
    told = {"kind": ConflictKind.OVERWRITTEN, **about, "kept": live, "lost": as_text(field, stored_value(field, left)), **who}
    values = CONFLICT.validate(told)
    same = ("record", "field", "lost_node", "lost_at")
    is_told = uow.connection.one(  # by its record: most others differ in that
        "SELECT 1 FROM conflict WHERE record = ? AND +field = ? AND +lost_node = ? AND +lost_at = ? AND id <> ?",
        [*(CONFLICT.fields[key].store(values[key]) for key in same), bytes.fromhex(conflict["id"])],
    )
    if values["lost"] != live and not is_told:
        uow.insert(CONFLICT, values)


class _Word(NamedTuple):
    """What somebody said of a conflict: the columns that say how it is settled, and where that stands in the log and among what was done apart."""

    lseq: int
    stamp: int
    by: str | None
    at: str
    node: str
    values: dict[str, Any]

    @property
    def keep(self) -> str | None:
        """The choice; None where it was to wait again."""
        choice: str | None = self.values.get("resolution")
        return choice


def _words(rows: Iterable[HistoryRow]) -> list[_Word]:
    """Everything that was said of a conflict since it was found, newest first."""
    found: dict[int, _Word] = {}
    for row in rows:
        if row.field in _SETTLEMENT and not row.first:
            word = found.setdefault(row.lseq, _Word(row.lseq, row.stamp, row.user_id, row.at, row.node, {}))
            word.values[row.field] = row.new
    return list(found.values())


@dataclass(frozen=True, slots=True)
class TriedAgain:
    """A change that was kept aside: what people were told of it, and why it stays aside now; ``left`` None where it was applied."""

    record: str
    node: str
    at: datetime
    reason: str
    left: str | None


def note_tried_again(uow: UnitOfWork, tried: TriedAgain) -> None:
    """Settle the open conflict that tells of a change which has been applied by now, or tell the reason for which it stays aside."""
    told = {"kind": ConflictKind.QUARANTINED, "lost": tried.reason, "lost_node": tried.node, "lost_at": tried.at}
    same = " AND ".join(f'"{key}" IS ?' for key in told)
    conflict = uow.connection.value(  # by its record: most that are open are others
        f"SELECT id FROM conflict WHERE record = ? AND +state = ? AND deleted = 0 AND {same} ORDER BY rid",
        [tried.record, ConflictState.OPEN.value, *(CONFLICT.fields[key].store(value) for key, value in told.items())],
    )
    if conflict is None:  # a person has settled it meanwhile
        return
    if tried.left is None:
        told = {"state": ConflictState.RESOLVED, "resolution": "applied", "resolved_at": now_utc()}
        uow.update(CONFLICT, conflict.hex(), told | settled_here(uow, uow.get(CONFLICT, conflict.hex())))
    else:
        uow.update(CONFLICT, conflict.hex(), {"lost": tried.left})
