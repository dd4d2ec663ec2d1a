"""What was concurrent: decides column by column whose value stays, and notes what a person should see.

Only head office notes; branches hear of it as of any other record. What an author had seen follows from the star: its own
changes, and everything head office had admitted up to the last foreign change in its chain of ``prev``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from localcrm.domain import sets
from localcrm.domain.admin.conflicts import as_text
from localcrm.domain.admin.entities import ConflictKind
from localcrm.domain.crm import custody, merging
from localcrm.domain.people.shared_with import still_shared
from localcrm.domain.records import referred
from localcrm.kernel.clock import stamp_time
from localcrm.kernel.schema import EntityType, Kind, Stored, entities, entity_by_no
from localcrm.store import changelog
from localcrm.store.ddl import DELETED_NO, UPDATE
from localcrm.sync.known import Known, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from localcrm.store.connection import Connection
    from localcrm.sync.codec import Change

    Total: TypeAlias = "tuple[int, int, bytes, int]"
    Diff: TypeAlias = "dict[int, tuple[Stored, Stored]]"


@dataclass(slots=True)
class Entry:
    """One update of a row."""

    lseq: int
    diff: Diff
    """By column: old and new value."""
    prev: int | None
    stamp: Total
    """Place in the total order: stamp that counts, node, epoch, number."""
    origin: int
    actor: bytes | None
    code: str
    """Of the node it was made at."""


class Conflicts:
    """Decides, and collects what head office will write as records of its own once the batch is applied."""

    def __init__(self, known: Known) -> None:
        self.found: list[dict[str, Any]] = []
        """Values of ``conflict`` records."""
        self._known, self._at_office = known, known.sender is not None
        self._now_deleted: dict[EntityType, list[bytes]] = defaultdict(list)
        self._now_restored: list[tuple[EntityType, bytes]] = []
        self._referred: dict[str, set[bytes]] = defaultdict(set)
        self._posted: list[tuple[EntityType, bytes]] = []
        self._claimed: dict[EntityType, set[bytes]] = defaultdict(set)
        self.merged: set[str] = set()
        """Ids of records that were merged into others, and went now or are still referred to (``domain.crm.merging``)."""

    def decide(self, entity: EntityType, pk: bytes, mine: Entry) -> Diff:
        """The columns that a change wins against those before it, which must all be in the log."""
        if entity.merged and entity.fields[entity.merged].no in mine.diff:
            self._claimed[entity].add(pk)
        entries = _entries(self._known.connection, entity, pk, mine.lseq)
        seen = _seen(mine, {entry.lseq: entry for entry in entries})
        winners = {}
        for no, (old, new) in mine.diff.items():
            touching = [entry for entry in entries if no in entry.diff]
            rival = max(touching, key=lambda entry: entry.stamp, default=None)
            if rival is None or mine.stamp > rival.stamp:
                winners[no] = (old, new)
            unseen = [entry for entry in touching if entry.origin != mine.origin and not seen(entry)]
            if self._at_office and entity.kind is not Kind.STATE and unseen:
                other = max(unseen, key=lambda entry: entry.stamp)
                if other.diff[no][1] != new:
                    kept, lost = (mine, other) if no in winners else (rival or other, mine)
                    self._overwritten(entity, pk, no, old, kept, lost)
            elif no in winners:
                self.note_watched(entity, pk, mine, [no])
        if self._at_office and _deleted_by([*entries, mine]):
            self._deleted_edited(entity, pk, mine, [e for e in entries if e.origin != mine.origin and not seen(e)])
        return winners

    # values ----------------------------------------------------------------------------------------------------------------

    def note_watched(self, entity: EntityType, pk: bytes, mine: Entry, columns: Iterable[int]) -> None:
        """Those of these columns that people always want to see changed."""
        watched = self._known.rules(entity).watched
        if not self._at_office or not watched:
            return
        for no in columns:
            if no in watched:
                column, (old, new) = entity.by_no[no], mine.diff[no]
                self._note(
                    kind=ConflictKind.WATCHED,
                    entity=entity.key,
                    record=pk.hex(),
                    field=column.key,
                    base=as_text(column, old),
                    kept=as_text(column, new),
                    lost=as_text(column, old),
                    **_who("kept", mine),
                )

    def _overwritten(self, entity: EntityType, pk: bytes, no: int, base: Stored, kept: Entry, lost: Entry) -> None:
        if no == DELETED_NO or no in _moot(entity) or _goes_along(entity, no, kept, lost):
            return
        column = entity.by_no[no]
        self._note(
            kind=ConflictKind.MERGED if column.key == entity.merged else ConflictKind.OVERWRITTEN,
            entity=entity.key,
            record=pk.hex(),
            field=column.key,
            base=as_text(column, base),
            kept=as_text(column, kept.diff[no][1]),
            lost=as_text(column, lost.diff[no][1]),
            **_who("kept", kept),
            **_who("lost", lost),
        )

    def _deleted_edited(self, entity: EntityType, pk: bytes, mine: Entry, unseen: list[Entry]) -> None:
        """Deleted at one place, edited at the other: the row stays deleted, the edit stays underneath, a person decides."""
        mine_deletes = mine.diff.get(DELETED_NO, (0, 0))[1] == 1
        if mine_deletes:
            deletion, edits = mine, [e for e in reversed(unseen) if self._edits(entity, pk, e)]
        else:
            edits = [mine] if self._edits(entity, pk, mine) else []
            deletion_found = next((e for e in reversed(unseen) if e.diff.get(DELETED_NO, (0, 0))[1] == 1), None)
            if deletion_found is None:
                return
            deletion = deletion_found
        for edit in edits if self._is_merged(entity, pk) else edits[:1]:  # restored, a record has them all; merged, each is looked at
            self._note(
                kind=ConflictKind.DELETED_EDITED,
                entity=entity.key,
                record=pk.hex(),
                **_STAYS_DELETED,
                **_who("kept", deletion),
                **_who("lost", edit),
            )

    def _edits(self, entity: EntityType, pk: bytes, entry: Entry) -> bool:
        """Whether an update says more than that its record went, or into which one. That another one was merged into it does, unless
        it went into another one itself: those are brought to one by themselves.
        """
        into = {entity.fields[entity.merged].no} if entity.merged else set[int]()
        return bool(entry.diff.keys() - {DELETED_NO} - into - (_moot(entity) if self._is_merged(entity, pk) else set()))

    def _is_merged(self, entity: EntityType, pk: bytes) -> bool:
        return bool(entity.merged) and self._known.now(entity, pk, entity.fields[entity.merged or ""].no) is not None

    # references ------------------------------------------------------------------------------------------------------------

    def note_register(self, entity: EntityType, pk: bytes, deleted: Stored) -> None:
        """A row that was put into the recycle bin, or taken out of it."""
        if deleted:
            self._now_deleted[entity].append(pk)
        else:
            self._now_restored.append((entity, pk))

    def note_posted(self, entity: EntityType, pk: bytes) -> None:
        """A document that was posted: from now on what it names is needed for good, also where somebody kept that deleted while it was a draft."""
        self._posted.append((entity, pk))

    def note_references(self, entity: EntityType, values: dict[int, Stored]) -> None:
        """Records that these values of a row, by column, refer to."""
        for no, key in self._known.rules(entity).refs.items():
            target = values.get(no)
            if isinstance(target, bytes):
                self._referred[key].add(target)

    def note_targets(self, work: Work, place: int) -> None:
        """``note_references`` of every value that a change of this place writes."""
        for key, targets in work.refs:
            target = targets[place]
            if isinstance(target, bytes):
                self._referred[key].add(target)

    def note_parents(self) -> None:
        """Parents that stay deleted though somebody refers to them: asked once everything is written, told once per batch."""
        connection = self._known.connection
        orphaned = {(entity.key, pk) for entity, ids in self._now_deleted.items() for pk in referred(connection, entity, ids)}
        for entity, pk in self._now_restored:
            columns = ", ".join(f'"{column.key}"' for column in entity.refs)
            row = connection.one(f'SELECT {columns} FROM "{entity.key}" WHERE id = ?', (pk,)) if columns else None
            self.note_references(entity, dict(zip((column.no for column in entity.refs), row or (), strict=bool(row))))
        for entity, pk in self._posted:
            for kind in (entity, *(one for one in entities() if one.parent and one.fields[one.parent].f.ref == entity.key)):
                refs = [column for column in kind.refs if column.key != kind.parent]
                columns = ", ".join(f'"{column.key}"' for column in refs)
                named = "id" if kind is entity else f'"{kind.parent}"'
                for row in connection.all(f'SELECT {columns} FROM "{kind.key}" WHERE {named} = ? AND deleted = 0', (pk,)) if refs else ():
                    self.note_references(kind, dict(zip((column.no for column in refs), row, strict=True)))
        for parent, targets in self._referred.items():
            rows = connection.all(
                f'SELECT id FROM "{parent}" WHERE deleted = 1 AND id IN (SELECT unhex(value) FROM json_each(?))',
                (json.dumps([target.hex() for target in targets]),),
            )
            orphaned.update((parent, row[0]) for row in rows)
        orphaned = self._in_use(orphaned, self._merged_among(orphaned))
        if self._known.sender:
            orphaned -= self._known.sender.orphaned
            self._known.sender.orphaned.update(orphaned)
        for parent, pk in sorted(orphaned):
            self._note(kind=ConflictKind.PARENT_DELETED, entity=parent, record=pk.hex(), **_STAYS_DELETED)

    def _in_use(self, orphaned: set[tuple[str, bytes]], merged: set[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
        """Those that live records refer to as a deletion asks for them, and customers that went while another place shared them; without those
        that were merged into others.
        """
        connection, found = self._known.connection, set[tuple[str, bytes]]()
        for entity in entities():
            if ids := {pk for key, pk in orphaned - merged if key == entity.key}:
                found.update((entity.key, pk) for pk in referred(connection, entity, ids))
        customers = merging.CUSTOMER  # whose shares go along into the bin
        gone = [pk for pk in self._now_deleted.get(customers, ()) if (customers.key, pk) not in merged]
        found.update((customers.key, pk) for pk in (still_shared(connection, customers, gone) if gone else ()))
        return found

    def _merged_among(self, orphaned: set[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
        """Those that were merged into others, and are left to what follows of that; so are those that went in this batch, or that it wanted to go elsewhere."""
        found: set[tuple[str, bytes]] = set()
        for entity in (kind for kind in entities() if kind.merged):
            ids = {pk for key, pk in orphaned if key == entity.key}.union(self._now_deleted.get(entity, ()), self._claimed[entity])
            ids |= {pk for kind, pk in self._now_restored if kind is entity}  # merged away elsewhere, it may say both
            rows = self._known.connection.all(
                f'SELECT id FROM "{entity.key}" WHERE "{entity.merged}" IS NOT NULL AND id IN (SELECT unhex(value) FROM json_each(?))',
                (json.dumps([pk.hex() for pk in ids]),),
            )
            self.merged.update(row[0].hex() for row in rows)
            found.update((entity.key, row[0]) for row in rows)
        return found

    # what was kept out -------------------------------------------------------------------------------------------------------

    def note_quarantined(self, change: Change, reason: str, *, actor: bytes | None, stamp: int) -> None:
        """A change that was not applied, with who made it and when."""
        entity = entity_by_no(change.table)
        if self._known.sender:
            self._note(
                kind=ConflictKind.QUARANTINED,
                entity=entity.key if entity else str(change.table),
                record=change.pk.hex(),
                lost=reason,
                lost_node=self._known.sender.code,
                lost_by=actor.hex() if actor else None,
                lost_at=stamp_time(stamp),
            )

    def _note(self, **values: Any) -> None:
        self.found.append(values)


@cache
def _moot(entity: EntityType) -> frozenset[int]:
    """Columns that head office works out anew from what all places did."""
    aliases = frozenset(entity.fields[key].no for key in (*merging.ALIASES, *custody.ALONG)) if entity is merging.CUSTOMER else frozenset()
    return aliases | sets.columns(entity).keys()


@cache
def _along(entity: EntityType) -> tuple[int, frozenset[int]] | None:
    """Columns of whose a customer is, and of where it is at home and in which department: a hand-over writes them all."""
    if entity is not merging.CUSTOMER:
        return None
    return entity.fields["owner_id"].no, frozenset(entity.fields[key].no for key in ("branch_id", "department_id"))


def _goes_along(entity: EntityType, no: int, kept: Entry, lost: Entry) -> bool:
    """Whether people are told of a column with another one that the same changes wrote."""
    found = _along(entity)
    return found is not None and no in found[1] and found[0] in kept.diff and found[0] in lost.diff


_STAYS_DELETED = {"field": "deleted", "base": "false", "kept": "true", "lost": "false"}


def _who(side: str, entry: Entry) -> dict[str, Any]:
    return {f"{side}_by": entry.actor.hex() if entry.actor else None, f"{side}_at": stamp_time(entry.stamp[0]), f"{side}_node": entry.code}


def _entries(connection: Connection, entity: EntityType, pk: bytes, before: int) -> list[Entry]:
    """Updates of a row that stand in the log before a number, in its order."""
    nodes = {row[0]: row[1:] for row in connection.all("SELECT origin, node_no, epoch, code FROM sync_origin")}
    entries = []
    for change in changelog.changes_of(connection, entity, [pk]):
        if change.op == UPDATE and change.lseq < before:
            tx, (node_no, epoch, code) = change.tx, nodes[change.tx.origin]
            stamp = (tx.eff_hlc, node_no, epoch, change.oseq)
            diff = changelog.parse_diff(entity, change.diff or "{}")
            entries.append(Entry(change.lseq, diff, change.prev, stamp, tx.origin, tx.actor, code))
    return entries


def _seen(mine: Entry, by_lseq: dict[int, Entry]) -> Callable[[Entry], bool]:
    """Whether the author of a change had seen another one: its own, or admitted up to the last foreign one it built on.

    What the same node did in an earlier epoch it built on like on its own: that says nothing about what others had done by then.
    """
    previous, own = mine.prev, set[int]()
    while previous is not None:
        entry = by_lseq.get(previous)
        if entry is None or entry.stamp[1] != mine.stamp[1]:
            break
        own.add(previous)
        previous = entry.prev
    boundary = previous or 0
    return lambda entry: entry.origin == mine.origin or entry.lseq in own or entry.lseq <= boundary


def _deleted_by(entries: list[Entry]) -> bool:
    """Whether a row with these changes lies in the bin."""
    last = max((entry for entry in entries if DELETED_NO in entry.diff), key=lambda entry: entry.stamp, default=None)
    return last is not None and last.diff[DELETED_NO][1] == 1
