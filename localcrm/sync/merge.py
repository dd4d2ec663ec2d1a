"""The merge: applies a batch of changes made elsewhere, in short transactions, by the rule of each table's class.

Head office admits what a branch sends (checks ownership, lowers stamps from the future, notes conflicts); a branch
applies what head office has admitted. Both keep every change in the log, also one that lost.

A change names the change of the same row that its author had seen last (``prev``). If that is still the row's newest
change, and nothing about the row was concurrent before, it simply applies. Otherwise the columns are decided one by
one: the later stamp in the total order (eff_hlc, node, epoch, number) wins (``conflicts``). What may not be applied at
all is kept out and kept (``faults``).
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass, field, fields
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from localcrm.domain import arrivals
from localcrm.domain.admin import after_merge
from localcrm.domain.admin.entities import Conflict
from localcrm.domain.crm import merging
from localcrm.domain.people import signing
from localcrm.kernel.clock import is_from_future, next_stamp
from localcrm.kernel.collector import collector_at_rest
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Field, Kind, Stored, entities, entity_by_no
from localcrm.store import changelog, erase, forget, marks, past
from localcrm.store.ddl import DELETED_NO, INSERT, UPDATE, VOID
from localcrm.store.node import branch_id, origin_of, stamp_of
from localcrm.store.shapes import SHAPING
from localcrm.store.uow import own_section
from localcrm.sync import scope, stamps
from localcrm.sync.codec import Batch, Changes
from localcrm.sync.columns import is_sound, stored_rows
from localcrm.sync.conflicts import Conflicts, Entry
from localcrm.sync.faults import Faults
from localcrm.sync.held import Awaited, write_raw
from localcrm.sync.known import Known, Row, Sender, Work, column_no
from localcrm.sync.portions import portions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.codec import Change, Group, Tx
    from localcrm.sync.stamps import Stamped

_CONFLICT = Conflict.entity_type
#: Rows that a statement writes.
_AT_ONCE = 32
#: What binds ids by the ten thousand: for ``bytes``, as for None, the driver looks each time for an adapter, which takes longer than
#: all else about a log row. Hence also what stands for None and is never meant by it (an id has 16 bytes, no number is 0), and ``nullif``.
_bound = bytearray
_NOTHING = _bound()
#: A cursor before every number.
_NOTHING_HEARD = -1


@dataclass(slots=True)
class Report:
    """What a merge did."""

    applied: int = 0
    duplicate: int = 0
    conflicts: int = 0
    quarantined: int = 0

    def add(self, other: Report) -> None:
        """Count what another part did."""
        for part in fields(other):
            setattr(self, part.name, getattr(self, part.name) + getattr(other, part.name))


@collector_at_rest()
def admit(store: Store, batch: Batch, *, sender_no: int, sender_code: str) -> Report:
    """Head office takes in a branch's changes; raises ExchangeError when some before them are missing."""
    sender = Sender(sender_no, sender_code, bytes.fromhex(branch_id(store.node.company_id, sender_code)))

    def merge(connection: Connection, part: Batch, _is_last: bool) -> Report:
        before = changelog.head(connection)
        report, found = _merge(store, connection, part, sender)
        follow_up(store, connection, report, found)
        erase.carry_out_since(store, connection, before)
        arrivals.follow(store, connection, before)
        return report

    # A branch numbers its work without a gap. Where that is not so, what is wrong must come out before anything is applied.
    is_sound = all(tx.origin == before.origin and tx.first_oseq == before.first_oseq + before.count for before, tx in pairwise(batch.txs))
    return _in_portions(store, batch, merge, whole=not is_sound)


def follow_up(store: Store, connection: Connection, report: Report, found: Found) -> None:
    """What head office writes of its own after a merge."""
    if found:
        with own_section(store, connection, actor=None) as uow:
            for values in found.conflicts:
                uow.insert(_CONFLICT, _CONFLICT.validate(values))
            report.conflicts += after_merge.note_same_values(uow, found.never_twice)
            after_merge.agree(uow, found.settled_apart)
            merging.settle(uow, found.merged)
            for held in found.tried_again:
                after_merge.note_tried_again(uow, held)


@collector_at_rest()
def apply(store: Store, batch: Batch, *, from_hseq: int, to_hseq: int, scope_at: int = 0) -> Report:
    """A branch applies a portion of head office's log, and then moves its cursor."""

    def merge(connection: Connection, part: Batch, is_last: bool) -> Report:
        cursor = _received(connection)
        if from_hseq > cursor:
            raise ExchangeError(
                "gap",
                N_(
                    "An earlier exchange file is missing: this one starts after change {start}, but only {have} have arrived. Read the earlier file first."
                ),
                start=from_hseq,
                have=cursor,
            )
        before = changelog.head(connection)
        is_about_rights = signing.concerns(_tables(part))
        if is_about_rights:
            signing.put_back(store, connection)  # what is signed next builds on what was signed last, not on what was changed by hand
        # Up to the cursor everything was told that was in the branch's scope then; where more is in it now, that too is looked for.
        report, found = _merge(store, connection, part, None, _NOTHING_HEARD if scope.is_told_anew(connection, scope_at) else cursor)
        if stamps.may_differ(connection):
            stamps.compare(connection, found.again, at_office=False)
        erase.carry_out_since(store, connection, before)
        _note_known(connection, part, store.node.node_no)
        if is_last:  # what came before it is known by its numbers when it comes again
            connection.execute("UPDATE sync_peer SET recv_hseq = max(recv_hseq, ?) WHERE node_no = 1", (to_hseq,))
            scope.note_told(connection, scope_at)
        if is_about_rights:
            signing.take_over(store, connection)
        arrivals.follow(store, connection, before)
        return report

    # A branch that has nothing by its cursor is told nothing of what has left its scope meanwhile; so it has all of the first portion or nothing.
    with store.read() as connection:
        has_nothing = not _received(connection)
    return _in_portions(store, batch, merge, whole=has_nothing)


def _note_known(connection: Connection, batch: Batch, node_no: int) -> None:
    """What head office tells a branch of that branch's own work, lost here and back again, it has: should it be restored, that is given back with
    what was built on it, and not after it.
    """
    upto: dict[tuple[int, int], int] = {}
    for tx in batch.txs:
        if batch.origins[tx.origin][0] == node_no:
            upto[batch.origins[tx.origin]] = tx.first_oseq + tx.count - 1
    connection.executemany(
        "UPDATE sync_origin SET acked_oseq = max(acked_oseq, min(have_oseq, ?)) WHERE node_no = ? AND epoch = ?",
        [(last, of, epoch.to_bytes(8)) for (of, epoch), last in upto.items()],
    )


def _received(connection: Connection) -> int:
    """The branch's cursor in head office's log."""
    return int(connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = 1") or 0)


@collector_at_rest()
def move_in(store: Store, batch: Batch, *, at: int) -> Report:
    """A branch takes in records that entered its scope, with all that happened to them before."""

    def merge(connection: Connection, part: Batch, _is_last: bool) -> Report:
        if not scope.is_news(connection, at):
            return Report(duplicate=len(part.changes))
        before = changelog.head(connection)
        report, _found = _merge(store, connection, part, None, _NOTHING_HEARD)
        erase.carry_out_since(store, connection, before)
        return report

    return _in_portions(store, batch, merge)


@collector_at_rest()
def take_back(store: Store, batch: Batch) -> Report:
    """A restored head office takes in what it once had, as it was admitted then."""

    def merge(connection: Connection, part: Batch, _is_last: bool) -> Report:
        before = changelog.head(connection)
        report, found = _merge(store, connection, part, None, _NOTHING_HEARD)
        stamps.compare(connection, found.again, at_office=True)
        erase.carry_out_since(store, connection, before)
        if signing.concerns(_tables(part)):
            signing.take_over(store, connection)
        return report

    return _in_portions(store, batch, merge)


def _in_portions(store: Store, batch: Batch, merge: Callable[[Connection, Batch, bool], Report], *, whole: bool = False) -> Report:
    """Merge a batch in portions so short that whoever saves meanwhile does not notice; ``merge`` is told which one is the last.

    Portions share a transaction until somebody waits for his turn: each would write the same pages of tables and indexes once more.
    What one person did at once stays together, however long that takes. Interrupted between two transactions, the batch comes again and
    what is here already is passed over.
    """
    report, pace = Report(), store.pace
    left = iter([(batch, True)] if whole else portions(batch, pace))
    part = next(left, None)
    while part:
        done = Report()
        with store.merging() as connection:
            while part:
                begun = pace.now()
                portion = merge(connection, *part)
                pace.took(portion.applied, pace.now() - begun)
                done.add(portion)
                part = next(left, None)
                if store.is_awaited:
                    break
        report.add(done)
    return report


def carry_over(store: Store, connection: Connection, batch: Batch) -> Report:
    """Inside a merging transaction: this node's own changes on top of data that were exchanged under them (see ``snapshot``)."""
    report, _found = _merge(store, connection, batch, None, _NOTHING_HEARD)
    return report


def _tables(batch: Batch) -> set[int]:
    return {group.table for group in Changes.of(batch.changes).groups}


@dataclass(slots=True)
class Found:
    """What head office follows up after a merge: conflicts to note, values written that may not repeat, conflicts settled apart, customers
    that were merged into others, and what became of changes that were kept aside.
    """

    conflicts: list[dict[str, Any]] = field(default_factory=list)
    never_twice: list[tuple[EntityType, Field, bytes]] = field(default_factory=list)
    settled_apart: list[after_merge.SettledApart] = field(default_factory=list)
    merged: set[str] = field(default_factory=set)
    tried_again: list[after_merge.TriedAgain] = field(default_factory=list)
    again: list[Stamped] = field(default_factory=list)
    """Transactions that were here already, at least in part, with the stamps they have elsewhere."""

    def __bool__(self) -> bool:
        return bool(self.conflicts or self.never_twice or self.settled_apart or self.merged or self.tried_again)

    def add(self, merge: _Merge) -> None:
        """What a merge at head office found."""
        self.conflicts += merge.conflicts
        self.never_twice += merge.never_twice()
        self.settled_apart += merge.settled_apart
        self.merged |= merge.merged


def _merge(store: Store, connection: Connection, batch: Batch, sender: Sender | None, cursor: int = 0) -> tuple[Report, Found]:
    """Apply a batch; what the company's fields are may change in its midst, and counts for what follows."""
    report, found = Report(), Found()
    for part, defines in _parts(batch):
        merge = _Merge(store, connection, part, sender, cursor)
        merge.run()
        report.add(merge.report)
        found.again += merge.again
        if sender:
            found.add(merge)
        if defines:
            store.reshape()
    return report, found


def _parts(batch: Batch) -> Iterator[tuple[Batch, bool]]:
    """A batch cut behind transactions that define fields, and whether a part ends with some."""
    shaping = {entity.no for entity in entities() if entity.key in SHAPING}
    changes = batch.changes
    if shaping.isdisjoint(_tables(batch)):
        yield batch, False
        return
    first_tx, first, place, defining = 0, 0, 0, False
    for number, tx in enumerate(batch.txs):
        defines = any(change.table in shaping for change in changes[place : place + tx.count])
        if defining and not defines:  # definitions in a row need not know of each other
            yield Batch(batch.origins, batch.txs[first_tx:number], changes[first:place]), True
            first_tx, first = number, place
        defining, place = defines, place + tx.count
    yield Batch(batch.origins, batch.txs[first_tx:], changes[first:place]), defining


class _Author(NamedTuple):
    """Who made a transaction, as which origin, and the stamp that counts."""

    origin: int
    node_no: int
    epoch: bytes
    stamp: int
    actor: bytes | None

    def total(self, oseq: int) -> tuple[int, int, bytes, int]:
        """Place of one change in the total order."""
        return (self.stamp, self.node_no, self.epoch, oseq)


class _Merge:
    def __init__(self, store: Store, connection: Connection, batch: Batch, sender: Sender | None, cursor: int = 0) -> None:
        self.report = Report()
        self.settled_apart: list[after_merge.SettledApart] = []
        self.again: list[Stamped] = []
        self._store, self._connection, self._batch, self._sender, self._cursor = store, connection, batch, sender, cursor
        self._known = known = Known(connection, sender)
        self._faults, self._conflicts, self._awaited = Faults(known), Conflicts(known), Awaited(connection)
        self._changes = Changes.of(batch.changes)
        self._works: list[Work | None] = []
        self._last_admitted: dict[int, int] = {}
        #: By origin and number: the stamp of a transaction of which a part is here.
        self._given: dict[tuple[int, int], int] = {}
        self._log: list[tuple[Any, ...]] = []
        self._quarantine: list[tuple[Any, ...]] = []
        self._wall = store.clock.now_ms()
        self._last_hlc = int(connection.value("SELECT last_hlc FROM sync_ctx"))
        self._next_tx = int(connection.value("SELECT coalesce(max(tx), 0) FROM sync_tx")) + 1
        self._next_lseq = changelog.head(connection) + 1
        self._origins = [origin_of(connection, no, epoch.to_bytes(8), known.code(no)) for no, epoch in batch.origins]
        self._have: dict[int, int] = dict(connection.all("SELECT origin, have_oseq FROM sync_origin"))
        #: Transactions not written yet, and by origin where those of this batch lie: first oseq, first lseq, count.
        self._txs: list[tuple[Any, ...]] = []
        self._spans: dict[int, list[tuple[int, int, int]]] = defaultdict(list)

    @property
    def conflicts(self) -> list[dict[str, Any]]:
        """Values of the conflict records to write."""
        return self._conflicts.found

    @property
    def merged(self) -> set[str]:
        """Ids of records that were merged into others."""
        return self._conflicts.merged

    # the way through a batch -----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Apply the whole batch."""
        self._check_senders()
        fresh = self._fresh()
        if not fresh:
            return
        self._load_rows(fresh)
        self._works = [self._work(group) for group in self._changes.groups]
        for tx, start in fresh:
            self._transaction(tx, start)
        self._flush()
        self._conflicts.note_parents()
        self.report.conflicts = len(self.conflicts)

    def never_twice(self) -> Iterator[tuple[EntityType, Field, bytes]]:
        """Values that the company wants only once and that this batch wrote or brought back: kind of record, field, row."""
        for table, rows in self._known.rows.items():
            entity = entity_by_no(table)
            for column in entity.fields.values() if entity else ():
                if entity and column.custom and column.custom.unique:
                    for pk, row in rows.items():
                        if row.new is not None or not {column.no, DELETED_NO}.isdisjoint(row.changed or ()):
                            yield entity, column, pk

    def _fresh(self) -> list[tuple[Tx, int]]:
        """Transactions that did not arrive before, each with the place of its first change."""
        fresh, start, known = [], 0, set[tuple[int, int]]()
        stamps_here = self._stamps_here()
        for tx in self._batch.txs:
            origin = self._origins[tx.origin]
            if self._is_duplicate(tx, origin, stamps_here) or (origin, tx.first_oseq) in known:
                self.report.duplicate += tx.count
            else:
                # Head office has a part of it where it was restored and another branch gave that part back.
                is_whole = self._sender is not None and tx.first_oseq > self._have[origin]
                parts = [(tx, start)] if is_whole else self._missing(tx, start, origin)
                told_again = tx.count - sum(part.count for part, _start in parts)
                self.report.duplicate += told_again
                if told_again and not self._sender:
                    self.again.append((origin, tx.first_oseq, tx.count, tx.eff_hlc))
                elif told_again and (part := changelog.transaction_of(self._connection, origin, tx.first_oseq)):
                    self._given |= {(origin, rest.first_oseq): part.eff_hlc for rest, _start in parts}
                fresh += parts
                known.add((origin, tx.first_oseq))
                self._have[origin] = max(self._have[origin], tx.first_oseq + tx.count - 1)
            start += tx.count
        return fresh

    def _stamps_here(self) -> dict[int, int]:
        """At head office: stamps that the branch gave to transactions which may have come before, by first number; of the origin of them all."""
        txs = self._batch.txs
        if not self._sender or len(self._origins) != 1 or not txs or txs[0].first_oseq > self._have[self._origins[0]]:
            return {}
        return dict(
            self._connection.all(
                "SELECT first_oseq, hlc FROM sync_tx WHERE origin = ? AND first_oseq BETWEEN ? AND ?",
                (self._origins[0], txs[0].first_oseq, txs[-1].first_oseq),
            )
        )

    def _missing(self, tx: Tx, start: int, origin: int) -> list[tuple[Tx, int]]:
        """The runs of a transaction that are not here; parts of it may have come before, with records that entered the branch's scope."""
        end = tx.first_oseq + tx.count
        there = sorted(
            run
            for table in ("sync_tx", "sync_past_span")
            for run in self._connection.all(
                f"""SELECT first_oseq, first_oseq + count FROM {table} WHERE origin = ?1 AND first_oseq < ?2 AND first_oseq >= coalesce(
               (SELECT max(first_oseq) FROM {table} WHERE origin = ?1 AND first_oseq <= ?3), 0)""",
                (origin, end, tx.first_oseq),
            )
        )
        runs, place = [], tx.first_oseq
        for first, after in [*there, (end, end)]:
            if place < min(first, end):
                runs.append((place, min(first, end)))
            place = max(place, after)
        return [(tx._replace(first_oseq=first, count=after - first), start + first - tx.first_oseq) for first, after in runs]

    def _transaction(self, tx: Tx, start: int) -> None:
        origin = self._origins[tx.origin]
        node_no, epoch = self._batch.origins[tx.origin]
        stamp = self._admitted_stamp(tx)
        self._last_hlc = max(self._last_hlc, stamp)
        self._txs.append(
            (self._next_tx, origin, tx.first_oseq, tx.count, self._next_lseq, tx.hlc, stamp, _bound(tx.actor) if tx.actor else _NOTHING)
        )
        insort(self._spans[origin], (tx.first_oseq, self._next_lseq, tx.count))
        author = _Author(origin, node_no, epoch.to_bytes(8), stamp, tx.actor)
        for index, oseq in enumerate(range(tx.first_oseq, tx.first_oseq + tx.count), start):
            reason = self._change(index, author, oseq)
            if reason:
                self._hold(self._changes[index], author, oseq, reason)
            else:
                self.report.applied += 1
            self._next_lseq += 1
        self._next_tx += 1

    def _check_senders(self) -> None:
        if self._sender and any(self._batch.origins[tx.origin][0] != self._sender.node_no for tx in self._batch.txs):
            raise ExchangeError("not_sender", N_("The exchange contains changes in another branch's name. Nothing of it was applied."))

    def _is_duplicate(self, tx: Tx, origin: int, stamps_here: dict[int, int]) -> bool:
        if self._sender is None:
            return tx.hseq <= self._cursor
        have = self._have[origin]
        if tx.first_oseq > have + 1:
            raise ExchangeError(
                "gap",
                N_(
                    "An earlier exchange file is missing: this one starts after change {start}, but only {have} have arrived. Read the earlier file first."
                ),
                start=tx.first_oseq - 1,
                have=have,
            )
        if tx.first_oseq > have:
            return False
        stamp = stamps_here.get(tx.first_oseq) or stamp_of(self._connection, origin, tx.first_oseq)
        if stamp is None:  # never came back after head office was restored
            return False
        if stamp != tx.hlc:
            raise ExchangeError(
                "copied_folder",
                N_(
                    "Branch {code} sends other work under numbers that have arrived before: there are two copies of its folder. Nothing of it was applied; at the copy that came second, make a backup and go on with “localcrm restore”."
                ),
                code=self._sender.code,
            )
        return tx.first_oseq + tx.count - 1 <= have

    def _admitted_stamp(self, tx: Tx) -> int:
        """The stamp that counts. Head office replaces one from the future by a tick of its own clock, never refuses it.

        So it does with one that is not later than the branch's change before it, which may have been given a tick while
        head office's own clock was wrong: who builds on a change must not lose to it.
        """
        if self._sender is None:
            return tx.eff_hlc
        origin = self._origins[tx.origin]
        if origin not in self._last_admitted:
            before = changelog.transaction_of(self._connection, origin, tx.first_oseq - 1)
            self._last_admitted[origin] = before.eff_hlc if before else 0
        fits = not is_from_future(tx.hlc, self._wall) and tx.hlc > self._last_admitted[origin]
        stamp = tx.hlc if fits else next_stamp(self._last_hlc, self._wall).stamp
        self._last_admitted[origin] = stamp = self._given.get((origin, tx.first_oseq), stamp)
        return stamp

    # one change ------------------------------------------------------------------------------------------------------

    def _change(self, index: int, author: _Author, oseq: int) -> str | None:
        """Apply one change; returns why it may not be, or None."""
        changes = self._changes
        work, place, pk, prev = self._works[changes.order[index]], changes.places[index], changes.pks[index], changes.prevs[index]
        if work is None:
            return "unknown_table"
        row = work.rows.get(pk)
        reason = self._faults.of(work, place, pk, row, author.actor)
        if reason:
            return reason
        group = work.group
        if row is None:
            prev_lseq, diff = None, ""
        else:
            if prev is not None and row.oseq == prev[1] and row.origin == self._origins[prev[0]]:
                prev_lseq = row.newest
            else:
                prev_lseq = self._local(*prev) if prev else None
            # What was removed is what stood here, not what its author says: others are told from it what the row began with.
            diff = work.diffs[place] if group.op == UPDATE else changelog.write_row(self._known.whole(work.entity, pk))
        self._log.append((self._next_lseq, self._next_tx, group.table, group.op, _bound(pk), diff, prev_lseq or 0))
        if row is None:
            self._insert(work, place, pk, author.origin, oseq)
        elif group.op == UPDATE:
            if work.quiet and row.chain and prev_lseq == row.newest:
                self._follow(work, place, row)
            else:
                self._weigh(work, place, pk, row, prev_lseq, author, oseq)
            row.newest, row.origin, row.oseq = self._next_lseq, author.origin, oseq
        else:
            row.gone, row.new = True, None
        return None

    def _insert(self, work: Work, place: int, pk: bytes, origin: int, oseq: int) -> None:
        work.rows[pk] = row = Row(self._next_lseq, origin, oseq, new=work.stored[place])
        if work.entity.kind is Kind.DOCUMENT:
            places = self._known.rules(work.entity).places
            assert row.new is not None
            status, owner = (row.new[places[column_no(work.entity, key)]] for key in ("status", "branch_id"))
            self._known.documents[pk] = (str(status), owner)  # type: ignore[assignment]  # a reference
        self._conflicts.note_targets(work, place)

    def _follow(self, work: Work, place: int, row: Row) -> None:
        """An update by somebody who had seen everything, and of columns that only concern the row."""
        changed = dict(zip(work.group.columns, work.values[place], strict=True))
        row.changed = {**row.changed, **changed} if row.changed else changed
        self._conflicts.note_targets(work, place)

    def _weigh(self, work: Work, place: int, pk: bytes, row: Row, prev: int | None, author: _Author, oseq: int) -> None:
        """Any other update: the columns it wins are written, and people hear of what they should."""
        entity = work.entity
        diff = {no: (old, new) for no, old, new in work.group.values(place)}
        code = self._known.code(author.node_no)
        mine = Entry(self._next_lseq, diff, prev, author.total(oseq), author.origin, author.actor, code)
        if row.chain and prev == row.newest:
            winners = diff
            self._conflicts.note_watched(entity, pk, mine, diff)
        else:
            row.chain = False
            self._flush_log()
            winners = self._conflicts.decide(entity, pk, mine)
            if self._sender and entity is _CONFLICT:
                self.settled_apart.append(after_merge.SettledApart(pk.hex(), self._next_lseq))
        now = {no: new for no, (_old, new) in winners.items()}
        row.changed = {**(row.changed or {}), **now}
        status = column_no(entity, "status") if entity.kind is Kind.DOCUMENT else None
        if status in now:
            _old, owner = self._known.documents.get(pk) or ("", None)
            self._known.documents[pk] = (str(now[status]), owner)
        if self._sender:
            if status in now and now[status] == "posted":
                self._conflicts.note_posted(entity, pk)
            self._conflicts.note_references(entity, now)
            if DELETED_NO in now:
                self._conflicts.note_register(entity, pk, now[DELETED_NO])

    def _work(self, group: Group) -> Work | None:
        """What to know of a group before its changes are applied one by one; None for a table this program does not know."""
        entity = entity_by_no(group.table)
        if entity is None:
            return None
        rules = self._known.rules(entity)
        columns = dict(zip(group.columns, group.new, strict=True))
        updates = group.op == UPDATE
        return Work(
            group=group,
            entity=entity,
            rows=self._known.rows[entity.no],
            sound=is_sound(group, entity, rules),
            free=self._faults.is_free(group, entity, rules),
            quiet=rules.loud.isdisjoint(group.columns),
            refs=[(key, columns[no]) for no, key in rules.refs.items() if no in columns] if self._sender else [],
            stored=stored_rows(columns, group.size, rules) if group.op == INSERT else [],
            values=list(zip(*group.new, strict=True)) if updates and columns else [()] * group.size,
            diffs=changelog.write_diffs(group.columns, group.old, group.new) if updates and columns else ["{}"] * group.size,
        )

    def _hold(self, change: Change, author: _Author, oseq: int, reason: str) -> None:
        """Keep what could not be applied, with its reason; its number stays taken."""
        self._log.append((self._next_lseq, self._next_tx, max(change.table, 0), VOID, None, "", 0))
        reason, raw = self._awaited.why(change, reason), write_raw(change, self._batch.origins)
        self._quarantine.append((author.origin, oseq, change.table, change.pk, reason, raw, self._store.clock.now_ms()))
        self.report.quarantined += 1
        self._conflicts.note_quarantined(change, reason, actor=author.actor, stamp=author.stamp)

    # loading and writing -------------------------------------------------------------------------------------------------

    def _load_rows(self, fresh: Iterable[tuple[Tx, int]]) -> None:
        groups, order, pks = self._changes.groups, self._changes.order, self._changes.pks
        wanted: dict[int, set[bytes]] = defaultdict(set)
        for tx, start in fresh:
            for index in range(start, start + tx.count):
                wanted[groups[order[index]].table].add(pks[index])
        for table, ids in wanted.items():
            entity = entity_by_no(table)
            if entity is not None:
                self._load_table(entity, sorted(ids))

    def _load_table(self, entity: EntityType, ids: list[bytes]) -> None:
        known = self._known.rows[entity.no]
        for start in range(0, len(ids), 500):
            portion: list[Any] = [_bound(pk) for pk in ids[start : start + 500]]
            portion += [None] * (-len(portion) % 100)  # few different statements: to prepare this one takes as long as 30 rows
            marks = ",".join("?" * len(portion))
            tips = {pk: (newest, chain) for pk, newest, chain in past.tips(self._connection, entity.no, portion)}
            for pk, lseq, prev, origin, oseq in self._connection.all(
                f"""SELECT pk, lseq, prev, origin, first_oseq + lseq - first_lseq FROM sync_log INDEXED BY sync_log_row JOIN sync_tx USING (tx)
                    WHERE tbl = ? AND pk IN ({marks}) ORDER BY pk, lseq""",
                (entity.no, *portion),
            ):
                row = known.get(pk)
                if row is None:
                    before, chain = tips.pop(pk, (None, True))
                    known[pk] = Row(lseq, origin, oseq, chain=chain and prev == before)
                else:
                    row.chain = row.chain and prev == row.newest
                    row.newest, row.origin, row.oseq = lseq, origin, oseq
            for pk, (newest, chain) in tips.items():
                first, _end, origin, first_oseq = past.run_at(self._connection, newest) or self._live_run(newest)
                known[pk] = Row(newest, origin, first_oseq + newest - first, chain=chain)
            if entity.kind is Kind.LINE:
                present = {row[0] for row in self._connection.all(f'SELECT id FROM "{entity.key}" WHERE id IN ({marks})', portion)}
                for pk in ids[start : start + 500]:
                    if pk in known and pk not in present:
                        known[pk].gone = True

    def _flush(self) -> None:
        for table, rows in self._known.rows.items():
            entity = entity_by_no(table)
            if entity is not None:
                self._write_table(entity, rows)
        self._flush_log()
        self._connection.executemany(
            "INSERT OR IGNORE INTO sync_quarantine(origin, oseq, tbl, pk, reason, raw, first_seen) VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._quarantine,
        )
        self._quarantine.clear()
        self._connection.execute("UPDATE sync_ctx SET last_hlc = max(last_hlc, ?)", (self._last_hlc,))
        self._connection.executemany(
            "UPDATE sync_origin SET have_oseq = ? WHERE origin = ?",
            [(self._have[origin], origin) for origin in self._spans if self._spans[origin]],
        )

    def _flush_log(self) -> None:
        self._connection.executemany(
            "INSERT INTO sync_tx(tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor) VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, x''))",
            self._txs,
        )
        self._txs.clear()
        self._connection.executemany(
            "INSERT INTO sync_log(lseq, tx, tbl, op, pk, diff, prev) VALUES (?, ?, ?, ?, ?, nullif(?, ''), nullif(?, 0))", self._log
        )
        self._log.clear()

    def _write_table(self, entity: EntityType, rows: dict[bytes, Row]) -> None:
        fresh = [(pk, row) for pk, row in rows.items() if row.new is not None]
        changed: dict[tuple[int, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for pk, row in rows.items():
            if row.changed and row.new is None and not row.gone:
                columns = tuple(sorted(row.changed))
                changed[columns].append((_bound(pk), *(row.changed[no] for no in columns)))
        added = self._insert_rows(entity, fresh)
        for columns, parameters in changed.items():
            self._update_rows(entity, columns, parameters)
        if entity.kind is Kind.LINE:
            self._connection.executemany(f'DELETE FROM "{entity.key}" WHERE id = ?', [(pk,) for pk, row in rows.items() if row.gone])
        self._note_marks(entity, added, changed)

    def _note_marks(
        self, entity: EntityType, added: Sequence[tuple[Any, ...]], changed: dict[tuple[int, ...], list[tuple[Any, ...]]]
    ) -> None:
        """What rows are known by; their text is indexed once the index follows the log."""
        marked = {field.no for field in marks.marked(entity)}
        if not marked:
            return
        touched = [row[0] for columns, rows in changed.items() if not (marked | {DELETED_NO}).isdisjoint(columns) for row in rows]
        if touched:
            listed = json.dumps([pk.hex() for pk in touched])
            found = self._connection.all(f'SELECT rid FROM "{entity.key}" WHERE id IN (SELECT unhex(value) FROM json_each(?))', (listed,))
            marks.renew(self._connection, entity, [row[0] for row in found])
        places = self._known.rules(entity).places
        values = itemgetter(*(2 + places[field.no] for field in entity.searched), 0)
        marks.add(self._connection, entity, [(row[0], values(row)[:-1]) for row in added if not row[-1]])

    def _insert_rows(self, entity: EntityType, fresh: list[tuple[bytes, Row]]) -> list[tuple[Any, ...]]:
        """Add rows; returns them as they were written: row number, id, columns, register."""
        first = int(self._connection.value(f'SELECT coalesce(max(rid), 0) FROM "{entity.key}"')) + 1
        places = self._known.rules(entity).places
        rows = [(rid, _bound(pk), *_as_added(row, places)) for rid, (pk, row) in enumerate(fresh, first)]
        names = ", ".join(f'"{column.key}"' for column in entity.fields.values())
        values = ", ".join(f"nullif(column{number}, x'')" for number in range(1, len(entity.fields) + 4))
        self._connection.write_rows(
            f'INSERT INTO "{entity.key}"(rid, id, {names}, deleted) SELECT {values} FROM ({{rows}})',
            [_bindable(row) for row in rows],
            at_once=_AT_ONCE,
        )
        return rows

    def _update_rows(self, entity: EntityType, columns: tuple[int, ...], rows: list[tuple[Any, ...]]) -> None:
        """Write the same columns of many rows: id, values."""
        names = ["deleted" if no == DELETED_NO else entity.by_no[no].key for no in columns]
        assignments = "".join(f'"{name}" = given.column{number}, ' for number, name in enumerate(names, 2))
        sql = f'UPDATE "{entity.key}" SET {assignments}version = version + 1 FROM ({{rows}}) AS given WHERE id = given.column1'
        nobody = (0,) * (len(columns) + 1)  # rather than a second statement for those left over: to prepare one takes as long as 60 rows
        self._connection.write_rows(sql, rows + [nobody] * (-len(rows) % _AT_ONCE), at_once=_AT_ONCE)

    # identities ----------------------------------------------------------------------------------------------------------

    def _live_run(self, lseq: int) -> tuple[int, int, int, int]:
        """The transaction of a change that has left the log, where its transaction has not."""
        found = self._connection.one(
            "SELECT first_lseq, first_lseq + count, origin, first_oseq FROM sync_tx WHERE first_lseq <= ? ORDER BY first_lseq DESC LIMIT 1",
            (lseq,),
        )
        assert found is not None
        return (found[0], found[1], found[2], found[3])

    def _local(self, origin_index: int, oseq: int) -> int | None:
        """Local log number of an earlier change named by its identity; None when it never arrived."""
        origin = self._origins[origin_index]
        spans = self._spans[origin]
        place = bisect_left(spans, (oseq + 1,)) - 1
        span: tuple[int, ...] | None = spans[place] if place >= 0 else None
        if span is None or oseq >= span[0] + span[2]:
            span = self._connection.one(
                "SELECT first_oseq, first_lseq, count FROM sync_tx WHERE origin = ? AND first_oseq <= ? ORDER BY first_oseq DESC LIMIT 1",
                (origin, oseq),
            )
        if span is None or oseq >= span[0] + span[2]:
            lseq = past.number_of(self._connection, origin, oseq)
        else:
            lseq = span[1] + oseq - span[0]
        # Nobody builds on what comes later; a chain of such would have no end.
        return lseq if lseq is not None and lseq < self._next_lseq else None


class _Again(_Merge):
    """Changes that were kept aside, one to a transaction, each with the stamp it was admitted with. What applies moves from its empty
    place in the log to the end, so that whoever follows the log comes by it; what does not stays where it is.
    """

    def __init__(self, store: Store, connection: Connection, batch: Batch, sender: Sender | None, awaited: Awaited) -> None:
        super().__init__(store, connection, batch, sender)
        self._awaited = awaited
        self.left: dict[tuple[int, int], str] = {}

    def _fresh(self) -> list[tuple[Tx, int]]:
        return [(tx, index) for index, tx in enumerate(self._batch.txs)]

    def _transaction(self, tx: Tx, start: int) -> None:
        origin, oseq = self._origins[tx.origin], tx.first_oseq
        node_no, epoch = self._batch.origins[tx.origin]
        reason = self._change(start, _Author(origin, node_no, epoch.to_bytes(8), tx.eff_hlc, tx.actor), oseq)
        if reason:
            self.left[origin, oseq] = self._awaited.why(self._changes[start], reason)
            return
        change = self._changes[start]
        empty = forget.cut_out(self._connection, origin, oseq, spare_tx=self._next_tx + 1)
        self._connection.execute(  # who built on it says so, so that what is told of it elsewhere stays true
            "UPDATE sync_log SET prev = ? WHERE tbl = ? AND pk = ? AND prev = ?", (self._next_lseq, change.table, change.pk, empty)
        )
        self._txs.append((self._next_tx, origin, oseq, 1, self._next_lseq, tx.hlc, tx.eff_hlc, tx.actor))
        insort(self._spans[origin], (oseq, self._next_lseq, 1))
        self.report.applied += 1
        self._next_lseq += 1
        self._next_tx += 3


@collector_at_rest()
def try_again(
    store: Store, connection: Connection, batch: Batch, sender: Sender | None, awaited: Awaited, found: Found
) -> tuple[Report, dict[tuple[int, int], str]]:
    """Apply changes that were kept aside, by the same rules; returns what it did, and by origin and number why others stay aside."""
    merge = _Again(store, connection, batch, sender, awaited)
    merge.run()
    if sender:
        found.add(merge)
    return merge.report, merge.left


def _bindable(row: Iterable[Any]) -> list[Any]:
    """A row as the driver binds it soonest; ``nullif`` makes it what it was."""
    return [_NOTHING if value is None else _bound(value) if value.__class__ is bytes else value for value in row]


def _as_added(row: Row, places: dict[int, int]) -> Sequence[Stored]:
    """A new row with what the batch changed of it afterwards."""
    assert row.new is not None
    if not row.changed:
        return row.new
    values = list(row.new)
    for no, value in row.changed.items():
        values[places[no]] = value
    return values
