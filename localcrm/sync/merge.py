"""The merge: applies a batch of changes made elsewhere, in one transaction, by the rule of each table's class.

Head office admits what a branch sends (checks ownership, lowers stamps from the future, notes conflicts); a branch
applies what head office has admitted. Both keep every change in the log, also one that lost.

A change names the change of the same row that its author had seen last (``prev``). If that is still the row's newest
change, and nothing about the row was concurrent before, it simply applies. Otherwise the columns are decided one by
one: the later stamp in the total order (eff_hlc, node, epoch, number) wins. What the author had seen follows from the
star: its own changes, and everything head office had admitted up to the last foreign change in its chain of ``prev``.
"""

from __future__ import annotations

import gc
import json
from bisect import bisect_left, insort
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from localcrm.domain.admin import after_merge
from localcrm.domain.admin.conflicts import as_text as _text
from localcrm.domain.admin.entities import Conflict, ConflictKind, CustomFieldRecord
from localcrm.domain.approvals.company import load_company
from localcrm.domain.approvals.entities import ApprovalRequest, ApprovalStep
from localcrm.domain.approvals.rules import Company, decision_fault
from localcrm.domain.people import signing
from localcrm.domain.records import references
from localcrm.kernel.clock import is_from_future, next_stamp, stamp_time
from localcrm.kernel.custom import MOST_OF_BRANCH, may_become, node_of
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Field, Kind, Stored, entities, entity_by_no
from localcrm.store import changelog, erase, search
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE, VOID
from localcrm.store.node import branch_id, origin_of
from localcrm.store.shapes import SHAPING
from localcrm.store.uow import own_section
from localcrm.sync.codec import Batch, Changes
from localcrm.sync.columns import Rules, is_sound, rules_of, stored_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.codec import Change, Group, Tx

_CONFLICT, _REQUEST, _STEP = Conflict.entity_type, ApprovalRequest.entity_type, ApprovalStep.entity_type
_DEFINITION = CustomFieldRecord.entity_type


@dataclass(frozen=True, slots=True)
class Sender:
    """The branch whose changes head office is admitting."""

    node_no: int
    code: str
    branch_id: bytes


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


def admit(store: Store, batch: Batch, *, sender_no: int, sender_code: str) -> Report:
    """Head office takes in a branch's changes; raises ExchangeError when some before them are missing."""
    sender = Sender(sender_no, sender_code, bytes.fromhex(branch_id(store.node.company_id, sender_code)))
    with store.merging() as connection:
        before = changelog.head(connection)
        report, found = _merge(store, connection, batch, sender)
        if found:
            with own_section(store, connection, actor=None) as uow:
                for values in found.conflicts:
                    uow.insert(_CONFLICT, _CONFLICT.validate(values))
                report.conflicts += after_merge.note_same_values(uow, found.never_twice)
                after_merge.agree(uow, found.settled_apart)
        erase.carry_out_since(store, connection, before)
        return report


def apply(store: Store, batch: Batch, *, from_hseq: int, to_hseq: int) -> Report:
    """A branch applies a portion of head office's log and moves its cursor, in one transaction."""
    with store.merging() as connection:
        cursor = int(connection.value("SELECT recv_hseq FROM sync_peer WHERE node_no = 1") or 0)
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
        is_about_rights = signing.concerns(_tables(batch))
        if is_about_rights:
            signing.put_back(store, connection)  # what is signed next builds on what was signed last, not on what was changed by hand
        report, _found = _merge(store, connection, batch, None, cursor)
        erase.carry_out_since(store, connection, before)
        connection.execute("UPDATE sync_peer SET recv_hseq = max(recv_hseq, ?) WHERE node_no = 1", (to_hseq,))
        if is_about_rights:
            signing.take_over(store, connection)
        return report


def _tables(batch: Batch) -> set[int]:
    return {group.table for group in Changes.of(batch.changes).groups}


@dataclass(slots=True)
class _Found:
    """What head office follows up after a merge: conflicts to note, values written that may not repeat, conflicts settled apart."""

    conflicts: list[dict[str, Any]] = field(default_factory=list)
    never_twice: list[tuple[EntityType, Field, bytes]] = field(default_factory=list)
    settled_apart: list[bytes] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.conflicts or self.never_twice or self.settled_apart)


def _merge(store: Store, connection: Connection, batch: Batch, sender: Sender | None, cursor: int = 0) -> tuple[Report, _Found]:
    """Apply a batch; what the company's fields are may change in its midst, and counts for what follows."""
    report, found = Report(), _Found()
    for part, defines in _parts(batch):
        merge = _Merge(store, connection, part, sender, cursor)
        with _collector_at_rest():
            merge.run()
        report.add(merge.report)
        found.conflicts += merge.conflicts
        found.never_twice += merge.never_twice() if sender else ()
        found.settled_apart += merge.settled_apart
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


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the collector of cycles from looking again and again at what a portion makes by ten thousands and gives back as a whole.

    A merge makes no cycles. What other threads leave behind meanwhile is collected afterwards; where two merges of one process overlap,
    the collector is at work again as soon as the one that put it to rest ends.
    """
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


@dataclass(slots=True)
class _Row:
    """What the merge knows of one row: its newest change, and what this batch does to it."""

    newest: int
    origin: int
    """Of the newest change: local number."""
    oseq: int
    chain: bool = True
    """Whether every change of the row was made by somebody who had seen the one before it in this log."""
    new: tuple[Stored, ...] | None = None
    """The whole row, as this batch adds it."""
    changed: dict[int, Stored] | None = None
    """What changes of this batch make of a row, also of a new one."""
    gone: bool = False


@dataclass(slots=True)
class _Work:
    """One group of the batch: what can be said of all its changes at once, and their values as the tables take them."""

    group: Group
    entity: EntityType
    rows: dict[bytes, _Row]
    """Rows of the table."""
    sound: bool
    """Whether every change may be made as far as its table, columns and values tell."""
    free: bool
    """Whether nobody owns what the changes touch."""
    quiet: bool
    """Whether updates that simply apply have no consequence beyond their row."""
    refs: list[tuple[str, Sequence[Stored]]]
    """References to other records than the parent: entity, one value per change."""
    stored: list[tuple[Stored, ...]]
    """INSERT: whole rows."""
    values: list[tuple[Stored, ...]]
    """UPDATE: the new values."""
    diffs: list[str]
    """UPDATE: as the log keeps them."""


@dataclass(frozen=True, slots=True)
class _Author:
    """Who made a transaction, as which origin, and the stamp that counts."""

    origin: int
    node_no: int
    epoch: bytes
    stamp: int
    actor: bytes | None

    def total(self, oseq: int) -> tuple[int, int, bytes, int]:
        """Place of one change in the total order."""
        return (self.stamp, self.node_no, self.epoch, oseq)


@dataclass(slots=True)
class _Entry:
    """One earlier change of a row, as the slow path needs it."""

    lseq: int
    op: int
    diff: dict[int, tuple[Stored, Stored]]
    prev: int | None
    stamp: tuple[int, int, bytes, int]
    origin: int
    actor: bytes | None
    code: str


class _Merge:
    def __init__(self, store: Store, connection: Connection, batch: Batch, sender: Sender | None, cursor: int = 0) -> None:
        self.report = Report()
        self.conflicts: list[dict[str, Any]] = []
        self.settled_apart: list[bytes] = []
        self._store, self._connection, self._batch, self._sender, self._cursor = store, connection, batch, sender, cursor
        self._changes = Changes.of(batch.changes)
        self._works: list[_Work | None] = []
        self._rows: dict[int, dict[bytes, _Row]] = defaultdict(dict)
        self._documents: dict[bytes, tuple[str, bytes | None] | None] = {}
        self._last_admitted: dict[int, int] = {}
        self._now_deleted: list[tuple[EntityType, bytes]] = []
        self._now_restored: list[tuple[EntityType, bytes]] = []
        self._referred: dict[str, set[bytes]] = defaultdict(set)
        self._log: list[tuple[Any, ...]] = []
        self._quarantine: list[tuple[Any, ...]] = []
        self._last_hlc = int(connection.value("SELECT last_hlc FROM sync_ctx"))
        self._known_rules: dict[int, Rules] = {}
        self._next_tx = int(connection.value("SELECT coalesce(max(tx), 0) FROM sync_tx")) + 1
        self._next_lseq = changelog.head(connection) + 1
        self._origins = [origin_of(connection, no, epoch.to_bytes(8), self._code(no)) for no, epoch in batch.origins]
        self._have: dict[int, int] = dict(connection.all("SELECT origin, have_oseq FROM sync_origin"))
        #: Transactions not written yet, and by origin where those of this batch lie: first oseq, first lseq, count.
        self._txs: list[tuple[Any, ...]] = []
        self._spans: dict[int, list[tuple[int, int, int]]] = defaultdict(list)

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
        self._note_parents()

    def never_twice(self) -> Iterator[tuple[EntityType, Field, bytes]]:
        """Values that the company wants only once and that this batch wrote or brought back: kind of record, field, row."""
        for table, rows in self._rows.items():
            entity = entity_by_no(table)
            for column in entity.fields.values() if entity else ():
                if entity and column.custom and column.custom.unique:
                    for pk, row in rows.items():
                        if row.new is not None or not {column.no, DELETED_NO}.isdisjoint(row.changed or ()):
                            yield entity, column, pk

    def _fresh(self) -> list[tuple[Tx, int]]:
        """Transactions that did not arrive before, each with the place of its first change."""
        fresh, start, known = [], 0, set[tuple[int, int]]()
        for tx in self._batch.txs:
            origin = self._origins[tx.origin]
            if self._is_duplicate(tx, origin) or (origin, tx.first_oseq) in known:
                self.report.duplicate += tx.count
            else:
                fresh.append((tx, start))
                known.add((origin, tx.first_oseq))
                self._have[origin] = max(self._have[origin], tx.first_oseq + tx.count - 1)
            start += tx.count
        return fresh

    def _transaction(self, tx: Tx, start: int) -> None:
        origin = self._origins[tx.origin]
        node_no, epoch = self._batch.origins[tx.origin]
        stamp = self._admitted_stamp(tx)
        self._last_hlc = max(self._last_hlc, stamp)
        self._txs.append((self._next_tx, origin, tx.first_oseq, tx.count, self._next_lseq, tx.hlc, stamp, tx.actor))
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

    def _is_duplicate(self, tx: Tx, origin: int) -> bool:
        if self._sender is None:
            return tx.hseq <= self._cursor or self._arrived(origin, tx.first_oseq)
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
        if tx.first_oseq <= have < tx.first_oseq + tx.count - 1:
            raise ExchangeError("bad_message", N_("The exchange contains a message that cannot be understood. Nothing of it was applied."))
        return tx.first_oseq <= have

    def _admitted_stamp(self, tx: Tx) -> int:
        """The stamp that counts. Head office replaces one from the future by a tick of its own clock, never refuses it.

        So it does with one that is not later than the branch's change before it, which may have been given a tick while
        head office's own clock was wrong: who builds on a change must not lose to it.
        """
        if self._sender is None:
            return tx.eff_hlc
        wall = self._store.clock.now_ms()
        origin = self._origins[tx.origin]
        if origin not in self._last_admitted:
            before = "SELECT eff_hlc FROM sync_tx WHERE origin = ? ORDER BY first_oseq DESC LIMIT 1"
            self._last_admitted[origin] = int(self._connection.value(before, (origin,)) or 0)
        fits = not is_from_future(tx.hlc, wall) and tx.hlc > self._last_admitted[origin]
        self._last_admitted[origin] = stamp = tx.hlc if fits else next_stamp(self._last_hlc, wall).stamp
        return stamp

    # one change ------------------------------------------------------------------------------------------------------

    def _change(self, index: int, author: _Author, oseq: int) -> str | None:
        """Apply one change; returns why it may not be, or None."""
        changes = self._changes
        work, place, pk, prev = self._works[changes.order[index]], changes.places[index], changes.pks[index], changes.prevs[index]
        if work is None:
            return "unknown_table"
        row = work.rows.get(pk)
        reason = self._fault(work, place, pk, row) or self._decision_fault(work, place, author.actor)
        if reason:
            return reason
        if row is None:
            self._insert(work, place, pk, author.origin, oseq)
            self._log_row(work.group, pk, None, None)
            return None
        if prev is not None and row.oseq == prev[1] and row.origin == self._origins[prev[0]]:
            prev_lseq: int | None = row.newest
        else:
            prev_lseq = self._local(*prev) if prev else None
        if work.group.op == UPDATE:
            self._log_row(work.group, pk, work.diffs[place], prev_lseq)
            if work.quiet and row.chain and prev_lseq == row.newest:
                self._follow(work, place, row)
            else:
                self._weigh(work, place, pk, row, prev_lseq, author, oseq)
            row.newest, row.origin, row.oseq = self._next_lseq, author.origin, oseq
        else:
            row.gone, row.new = True, None
            self._log_row(work.group, pk, changelog.write_row(dict(work.group.values(place))), prev_lseq)
        return None

    def _insert(self, work: _Work, place: int, pk: bytes, origin: int, oseq: int) -> None:
        work.rows[pk] = row = _Row(self._next_lseq, origin, oseq, new=work.stored[place])
        if work.entity.kind is Kind.DOCUMENT:
            places = self._rules(work.entity).places
            assert row.new is not None
            status, owner = row.new[places[_no(work.entity, "status")]], row.new[places[_no(work.entity, "branch_id")]]
            self._documents[pk] = (str(status), owner)  # type: ignore[assignment]  # a reference
        self._note_targets(work, place)

    def _follow(self, work: _Work, place: int, row: _Row) -> None:
        """An update by somebody who had seen everything, and of columns that only concern the row."""
        changed = dict(zip(work.group.columns, work.values[place], strict=True))
        row.changed = {**row.changed, **changed} if row.changed else changed
        self._note_targets(work, place)

    def _weigh(self, work: _Work, place: int, pk: bytes, row: _Row, prev: int | None, author: _Author, oseq: int) -> None:
        """Any other update: the columns it wins are written, and people hear of what they should."""
        entity = work.entity
        diff = {no: (old, new) for no, old, new in work.group.values(place)}
        stamp = author.total(oseq)
        if row.chain and prev == row.newest:
            winners = diff
            self._note_watched(entity, pk, diff, stamp, author.actor)
        else:
            row.chain = False
            mine = _Entry(self._next_lseq, UPDATE, diff, prev, stamp, author.origin, author.actor, self._code(author.node_no))
            winners = self._decide(entity, pk, diff, mine)
            if self._sender and entity is _CONFLICT:
                self.settled_apart.append(pk)
        row.changed = {**(row.changed or {}), **{no: new for no, (_old, new) in winners.items()}}
        status = _no(entity, "status") if entity.kind is Kind.DOCUMENT else None
        if status in winners:
            _old, owner = self._documents.get(pk) or ("", None)
            self._documents[pk] = (str(winners[status][1]), owner)
        if self._sender:
            self._note_references(entity, {no: new for no, (_old, new) in winners.items()})
            if DELETED_NO in winners:
                (self._now_deleted if winners[DELETED_NO][1] else self._now_restored).append((entity, pk))

    def _log_row(self, group: Group, pk: bytes, diff: str | None, prev: int | None) -> None:
        self._log.append((self._next_lseq, self._next_tx, group.table, group.op, pk, diff, prev))

    # what may not be applied -------------------------------------------------------------------------------------------

    def _work(self, group: Group) -> _Work | None:
        """What to know of a group before its changes are applied one by one; None for a table this program does not know."""
        entity = entity_by_no(group.table)
        if entity is None:
            return None
        rules = self._rules(entity)
        columns = dict(zip(group.columns, group.new, strict=True))
        updates = group.op == UPDATE
        return _Work(
            group=group,
            entity=entity,
            rows=self._rows[entity.no],
            sound=is_sound(group, entity, rules),
            free=self._is_free(group, entity, rules),
            quiet=rules.loud.isdisjoint(group.columns),
            refs=[(key, columns[no]) for no, key in rules.refs.items() if no in columns] if self._sender else [],
            stored=stored_rows(columns, group.size, rules) if group.op == INSERT else [],
            values=list(zip(*group.new, strict=True)) if updates and columns else [()] * group.size,
            diffs=changelog.write_diffs(group.columns, group.old, group.new) if updates and columns else ["{}"] * group.size,
        )

    def _is_free(self, group: Group, entity: EntityType, rules: Rules) -> bool:
        """Whether ``_owner_fault`` has nothing to ask of any change of a group."""
        if entity.kind in {Kind.DOCUMENT, Kind.LINE}:
            return False
        mine = entity.kind is Kind.MASTER and not entity.home and rules.office_only.keys().isdisjoint(group.columns)
        return self._sender is None or mine

    def _fault(self, work: _Work, place: int, pk: bytes, row: _Row | None) -> str | None:
        entity, op = work.entity, work.group.op
        if not work.sound:
            return self._fault_of_one(entity, op, pk, work.group.values(place), row)
        if op == INSERT:
            if row is not None:
                return "duplicate_id"
        elif row is None or row.gone:
            return "unknown_row"
        return None if work.free else self._owner_fault(entity, op, pk, work.group.values(place))

    def _fault_of_one(self, entity: EntityType, op: int, pk: bytes, values: list[Any], row: _Row | None) -> str | None:
        """What is wrong with one change of a group in which something is."""
        rules = self._rules(entity)
        given = {value[0]: value[-1] for value in values}
        if op not in {INSERT, UPDATE, GONE}:
            return "unknown_op"
        if not given.keys() <= rules.types.keys():
            return "unknown_column"
        if op == INSERT:
            if row is not None:
                return "duplicate_id"
            if any(given.get(no) is None for no in rules.required):
                return "missing_value"
        elif row is None or row.gone:
            return "unknown_row"
        elif entity.kind is Kind.LEDGER:
            return "ledger_row"
        if op == GONE and entity.kind is not Kind.LINE:
            return "physical_delete"
        if not all(rules.fits(no, [value]) for no, value in given.items()):
            return "bad_value"
        # Others are told what a row began with from what its first change says was there.
        if op == UPDATE and not all(rules.fits(no, [old]) for no, old, _new in values):
            return "bad_value"
        return self._owner_fault(entity, op, pk, values)

    def _rules(self, entity: EntityType) -> Rules:
        if entity.no not in self._known_rules:
            self._known_rules[entity.no] = rules_of(entity)
        return self._known_rules[entity.no]

    def _owner_fault(self, entity: EntityType, op: int, pk: bytes, values: list[Any]) -> str | None:
        """Ownership and immutability; a branch trusts that head office has checked who owns what."""
        if entity.kind is Kind.DOCUMENT:
            known = None if op == INSERT else self._document(pk)
            if known and known[0] == "posted":
                return "posted_document"
            named = [value[-1] for value in values if value[0] == _no(entity, "branch_id")]
            owners = named or [None] if op == INSERT else [(known or ("", None))[1], *named]
            return next(filter(None, map(self._foreign, owners)), None)
        if entity.kind is Kind.LINE:
            return next(filter(None, (self._document_fault(parent) for parent in self._parents(entity, op, pk, values))), None)
        if self._sender is None:
            return None
        if entity.kind is Kind.LEDGER:
            return self._foreign(dict(values).get(_no(entity, "branch_id")))
        if entity.home:
            return self._home_fault(entity, op, pk, values)
        if entity.kind is Kind.HUB or (entity.kind is Kind.STATE and op == INSERT):
            return "head_office_only"
        if entity.kind is Kind.STATE and any(self._goes_back(entity, pk, no, new) for no, _old, new in values):
            return "state_goes_back"
        office_only = self._rules(entity).office_only
        if office_only:
            for no, *rest in values:
                # An update touches what it names: what it says was there before is only the branch's word.
                if no in office_only and (op == UPDATE or rest[-1] != office_only[no]):
                    return "head_office_only"
        return None

    def _home_fault(self, entity: EntityType, op: int, pk: bytes, values: list[Any]) -> str | None:
        """A branch writes what it has defined for itself, and does not make something else of it."""
        assert self._sender is not None
        given = {value[0]: value[-1] for value in values}
        home = _no(entity, entity.home or "")
        owners = [given.get(home)] if op == INSERT else [self._now(entity, pk, home), *([given[home]] if home in given else [])]
        if foreign := next(filter(None, map(self._foreign, owners)), None):
            return foreign
        if op == UPDATE and any(no in entity.by_no and entity.by_no[no].f.fixed for no in given):
            return "fixed_column"
        return self._definition_fault(op, pk, given) if entity is _DEFINITION else None

    def _definition_fault(self, op: int, pk: bytes, given: dict[int, Any]) -> str | None:
        """What a definition would do to the tables of everybody (see ``kernel.custom``)."""
        assert self._sender is not None
        kind = _no(_DEFINITION, "type")
        if op == UPDATE:
            return "type_loses" if kind in given and not may_become(str(self._now(_DEFINITION, pk, kind)), given[kind]) else None
        if node_of(given[_no(_DEFINITION, "number")]) != self._sender.node_no:
            return "not_owner"
        table = given[_no(_DEFINITION, "entity")]
        arriving = sum(
            row.new is not None and row.new[self._rules(_DEFINITION).places[_no(_DEFINITION, "entity")]] == table
            for row in self._rows[_DEFINITION.no].values()
        )
        counted = "SELECT count(*) FROM custom_field WHERE entity = ? AND branch_id = ?"
        there = int(self._connection.value(counted, (table, self._sender.branch_id)))
        return "too_many_fields" if there + arriving >= MOST_OF_BRANCH else None

    def _decision_fault(self, work: _Work, place: int, actor: bytes | None) -> str | None:
        """Somebody submits in his own name, and decides only where and what he was asked; head office looks, branches trust it."""
        entity = work.entity
        if self._sender is None or entity not in {_REQUEST, _STEP} or work.group.op != INSERT:
            return None
        given = dict(work.group.values(place))
        if entity is _REQUEST:
            return None if given[_no(entity, "author_id")] == actor else "not_author"
        made = {key: entity.fields[key].load(given[_no(entity, key)]) for key in ("request_id", "seat", "decision", "user_id")}
        request = bytes.fromhex(made["request_id"])
        asked = {key: self._now(_REQUEST, request, _no(_REQUEST, key)) for key in ("author_id", "owner_id", "branch_id", "plan")}
        if asked["plan"] is None:
            return "unknown_parent"
        told = {key: _REQUEST.fields[key].load(value) for key, value in asked.items()}
        branch = self._sender.branch_id.hex()
        return decision_fault(told, made, author=actor.hex() if actor else None, branch=branch, company=self._company)

    @cached_property
    def _company(self) -> Company:
        """Who is who, as it was before this batch."""
        return load_company(self._connection)

    def _document_fault(self, document_id: bytes | None) -> str | None:
        """Why a line of this document may not be touched."""
        document = self._document(document_id) if document_id else None
        if document is None:
            return "unknown_parent"
        return "posted_document" if document[0] == "posted" else self._foreign(document[1])

    def _goes_back(self, entity: EntityType, pk: bytes, no: int, new: Stored) -> bool:
        """Whether a closed list would move against the order in which it was declared: what was settled stays settled."""
        ladder = list(entity.by_no[no].choices or ()) if no != DELETED_NO else []
        if not ladder:
            return False
        return ladder.index(str(new)) < ladder.index(str(self._now(entity, pk, no)))

    def _foreign(self, owner: Stored) -> str | None:
        return "not_owner" if self._sender and owner != self._sender.branch_id else None

    def _document(self, pk: bytes) -> tuple[str, bytes | None] | None:
        if pk not in self._documents:
            self._documents[pk] = None
            for kind in {e.parent_type for e in _line_types()}:
                found = self._connection.one(f'SELECT status, branch_id FROM "{kind}" WHERE id = ?', (pk,))
                if found:
                    self._documents[pk] = (found[0], found[1])
        return self._documents[pk]

    def _parents(self, entity: EntityType, op: int, pk: bytes, values: list[Any]) -> list[bytes | None]:
        """The document a line belongs to, and the one it is moved to."""
        key = _no(entity, entity.parent or "")
        named = [value[-1] for value in values if value[0] == key]
        if op == INSERT:
            return named or [None]
        now = self._now(entity, pk, key)
        return [now if isinstance(now, bytes) else None, *(named if op == UPDATE else [])]

    def _now(self, entity: EntityType, pk: bytes, no: int) -> Stored:
        """A column of a row as the batch has left it so far."""
        row = self._rows[entity.no].get(pk)
        if row is not None and row.changed and no in row.changed:
            return row.changed[no]
        if row is not None and row.new is not None:
            return row.new[self._rules(entity).places[no]]
        found: Stored = self._connection.value(f'SELECT "{entity.by_no[no].key}" FROM "{entity.key}" WHERE id = ?', (pk,))
        return found

    def _hold(self, change: Change, author: _Author, oseq: int, reason: str) -> None:
        """Keep what could not be applied, with its reason; its number stays taken."""
        self._log.append((self._next_lseq, self._next_tx, max(change.table, 0), VOID, None, None, None))
        raw = msgspec.msgpack.encode([change.table, change.op, change.pk, change.values])
        self._quarantine.append((author.origin, oseq, change.table, change.pk, reason, raw, self._store.clock.now_ms()))
        self.report.quarantined += 1
        entity = entity_by_no(change.table)
        if self._sender:
            self._conflict(
                kind=ConflictKind.QUARANTINED,
                entity=entity.key if entity else str(change.table),
                record=change.pk.hex(),
                lost=reason,
                lost_node=self._sender.code,
                lost_by=author.actor.hex() if author.actor else None,
                lost_at=stamp_time(author.stamp),
            )

    # concurrent changes ------------------------------------------------------------------------------------------------

    def _decide(
        self, entity: EntityType, pk: bytes, diff: dict[int, tuple[Stored, Stored]], mine: _Entry
    ) -> dict[int, tuple[Stored, Stored]]:
        """The columns that this change wins; at head office, notes what was overwritten."""
        self._flush_log()
        entries = self._entries(entity, pk)
        seen = _seen(mine, {entry.lseq: entry for entry in entries})
        winners = {}
        for no, (old, new) in diff.items():
            touching = [entry for entry in entries if no in entry.diff]
            rival = max(touching, key=lambda entry: entry.stamp, default=None)
            if rival is None or mine.stamp > rival.stamp:
                winners[no] = (old, new)
            unseen = [entry for entry in touching if entry.origin != mine.origin and not seen(entry)]
            if self._sender and entity.kind is not Kind.STATE and unseen:
                other = max(unseen, key=lambda entry: entry.stamp)
                if other.diff[no][1] != new:
                    kept, lost = (mine, other) if no in winners else (rival or other, mine)
                    self._overwritten(entity, pk, no, old, kept, lost)
            elif no in winners:
                self._note_watched(entity, pk, {no: (old, new)}, mine.stamp, mine.actor)
        if self._sender and _deleted_by([*entries, mine]):
            self._note_deleted_edited(entity, pk, diff, mine, [e for e in entries if e.origin != mine.origin and not seen(e)])
        return winners

    def _entries(self, entity: EntityType, pk: bytes) -> list[_Entry]:
        rows = self._connection.all(
            """SELECT l.lseq, l.op, l.diff, l.prev, t.eff_hlc, o.node_no, o.epoch, t.first_oseq + l.lseq - t.first_lseq, t.origin, t.actor, o.code
               FROM sync_log l JOIN sync_tx t ON t.tx = l.tx JOIN sync_origin o ON o.origin = t.origin
               WHERE l.tbl = ? AND l.pk = ? AND l.op = ? AND l.lseq < ? ORDER BY l.lseq""",
            (entity.no, pk, UPDATE, self._next_lseq),
        )
        return [
            _Entry(row[0], row[1], changelog.parse_diff(entity, row[2]), row[3], (row[4], row[5], row[6], row[7]), row[8], row[9], row[10])
            for row in rows
        ]

    def _overwritten(self, entity: EntityType, pk: bytes, no: int, base: Stored, kept: _Entry, lost: _Entry) -> None:
        if no == DELETED_NO:
            return
        column = entity.by_no[no]
        self._conflict(
            kind=ConflictKind.OVERWRITTEN,
            entity=entity.key,
            record=pk.hex(),
            field=column.key,
            base=_text(column, base),
            kept=_text(column, kept.diff[no][1]),
            lost=_text(column, lost.diff[no][1]),
            **_who("kept", kept),
            **_who("lost", lost),
        )

    def _note_deleted_edited(self, entity: EntityType, pk: bytes, diff: dict[int, Any], mine: _Entry, unseen: list[_Entry]) -> None:
        """Deleted at one place, edited at the other: the row stays deleted, the edit stays underneath, a person decides."""
        mine_deletes = diff.get(DELETED_NO, (0, 0))[1] == 1
        if mine_deletes:
            deletion, edit = mine, next((e for e in reversed(unseen) if set(e.diff) - {DELETED_NO}), None)
        else:
            edit = mine if set(diff) - {DELETED_NO} else None
            deletion_found = next((e for e in reversed(unseen) if e.diff.get(DELETED_NO, (0, 0))[1] == 1), None)
            if deletion_found is None:
                return
            deletion = deletion_found
        if edit is None:
            return
        self._conflict(
            kind=ConflictKind.DELETED_EDITED,
            entity=entity.key,
            record=pk.hex(),
            field="deleted",
            base="false",
            kept="true",
            lost="false",
            **_who("kept", deletion),
            **_who("lost", edit),
        )

    def _note_watched(
        self, entity: EntityType, pk: bytes, diff: dict[int, tuple[Stored, Stored]], stamp: tuple[int, int, bytes, int], actor: bytes | None
    ) -> None:
        watched = self._rules(entity).watched
        if self._sender is None or not watched:
            return
        for no, (old, new) in diff.items():
            if no in watched:
                column = entity.by_no[no]
                author = _Entry(0, UPDATE, diff, None, stamp, 0, actor, self._code(stamp[1]))
                self._conflict(
                    kind=ConflictKind.WATCHED,
                    entity=entity.key,
                    record=pk.hex(),
                    field=column.key,
                    base=_text(column, old),
                    kept=_text(column, new),
                    lost=_text(column, old),
                    **_who("kept", author),
                )

    def _note_references(self, entity: EntityType, values: dict[int, Stored]) -> None:
        for no, key in self._rules(entity).refs.items():
            target = values.get(no)
            if isinstance(target, bytes):
                self._referred[key].add(target)

    def _note_targets(self, work: _Work, place: int) -> None:
        """``_note_references`` of every value that a change of this place writes."""
        for key, targets in work.refs:
            target = targets[place]
            if isinstance(target, bytes):
                self._referred[key].add(target)

    def _note_parents(self) -> None:
        """Parents that stay deleted though somebody refers to them: asked once everything is written, told once per batch."""
        orphaned = {(entity.key, pk) for entity, pk in self._now_deleted if references(self._connection, entity, pk.hex())}
        for entity, pk in self._now_restored:
            columns = ", ".join(f'"{column.key}"' for column in entity.refs)
            row = self._connection.one(f'SELECT {columns} FROM "{entity.key}" WHERE id = ?', (pk,)) if columns else None
            self._note_references(entity, dict(zip((column.no for column in entity.refs), row or (), strict=bool(row))))
        for parent, targets in self._referred.items():
            rows = self._connection.all(
                f'SELECT id FROM "{parent}" WHERE deleted = 1 AND id IN (SELECT unhex(value) FROM json_each(?))',
                (json.dumps([target.hex() for target in targets]),),
            )
            orphaned.update((parent, row[0]) for row in rows)
        for parent, pk in sorted(orphaned):
            values = {"field": "deleted", "base": "false", "kept": "true", "lost": "false"}
            self._conflict(kind=ConflictKind.PARENT_DELETED, entity=parent, record=pk.hex(), **values)

    def _conflict(self, **values: Any) -> None:
        self.conflicts.append(values)
        self.report.conflicts += 1

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
                self._load_table(entity, list(ids))

    def _load_table(self, entity: EntityType, ids: list[bytes]) -> None:
        known = self._rows[entity.no]
        for start in range(0, len(ids), 500):
            portion = ids[start : start + 500]
            marks = ",".join("?" * len(portion))
            for pk, newest, origin, oseq, breaks in self._connection.all(
                f"""SELECT pk, newest, origin, first_oseq + newest - first_lseq, breaks FROM (
                    SELECT pk, max(lseq) AS newest, tx, sum(prev IS NOT before) AS breaks FROM (
                        SELECT pk, lseq, tx, prev, lag(lseq) OVER (PARTITION BY pk ORDER BY lseq) AS before
                        FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk IN ({marks})) GROUP BY pk) JOIN sync_tx USING (tx)""",
                (entity.no, *portion),
            ):
                known[pk] = _Row(newest, origin, oseq, chain=not breaks)
            if entity.kind is Kind.LINE:
                present = {row[0] for row in self._connection.all(f'SELECT id FROM "{entity.key}" WHERE id IN ({marks})', portion)}
                for pk in portion:
                    if pk in known and pk not in present:
                        known[pk].gone = True

    def _flush(self) -> None:
        for table, rows in self._rows.items():
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
            "INSERT INTO sync_tx(tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._txs
        )
        self._txs.clear()
        self._connection.executemany("INSERT INTO sync_log(lseq, tx, tbl, op, pk, diff, prev) VALUES (?, ?, ?, ?, ?, ?, ?)", self._log)
        self._log.clear()

    def _write_table(self, entity: EntityType, rows: dict[bytes, _Row]) -> None:
        fresh = [(pk, row) for pk, row in rows.items() if row.new is not None]
        changed: dict[tuple[int, ...], list[tuple[Stored, ...]]] = defaultdict(list)
        for pk, row in rows.items():
            if row.changed and row.new is None and not row.gone:
                columns = tuple(sorted(row.changed))
                changed[columns].append((*(row.changed[no] for no in columns), pk))
        added = self._insert_rows(entity, fresh)
        for columns, parameters in changed.items():
            assignments = ", ".join(f'"{"deleted" if no == DELETED_NO else entity.by_no[no].key}" = ?' for no in columns)
            self._connection.executemany(f'UPDATE "{entity.key}" SET {assignments}, version = version + 1 WHERE id = ?', parameters)
        if entity.kind is Kind.LINE:
            self._connection.executemany(f'DELETE FROM "{entity.key}" WHERE id = ?', [(pk,) for pk, row in rows.items() if row.gone])
        # Touched rows before new ones: the index starts a new segment whenever a number is lower than the one before.
        shown = {DELETED_NO, *(field.no for field in entity.searched)}
        touched = [row[-1] for columns, parameters in changed.items() if not shown.isdisjoint(columns) for row in parameters]
        if touched:
            listed = json.dumps([pk.hex() for pk in touched])  # type: ignore[union-attr]  # ids
            found = self._connection.all(f'SELECT rid FROM "{entity.key}" WHERE id IN (SELECT unhex(value) FROM json_each(?))', (listed,))
            search.index_rows(self._connection, entity, [row[0] for row in found])
        if entity.searched:
            places = self._rules(entity).places
            values = itemgetter(*(2 + places[field.no] for field in entity.searched), 0)
            search.index_new(self._connection, entity, [(row[0], values(row)[:-1]) for row in added if not row[-1]])

    def _insert_rows(self, entity: EntityType, fresh: list[tuple[bytes, _Row]]) -> list[tuple[Any, ...]]:
        """Add rows; returns them as they were written: row number, id, columns, register."""
        first = int(self._connection.value(f'SELECT coalesce(max(rid), 0) FROM "{entity.key}"')) + 1
        places = self._rules(entity).places
        rows = [(rid, pk, *_as_added(row, places)) for rid, (pk, row) in enumerate(fresh, first)]
        names = ", ".join(f'"{column.key}"' for column in entity.fields.values())
        marks = ", ".join("?" * (len(entity.fields) + 3))
        self._connection.executemany(f'INSERT INTO "{entity.key}"(rid, id, {names}, deleted) VALUES ({marks})', rows)
        return rows

    # identities ----------------------------------------------------------------------------------------------------------

    def _arrived(self, origin: int, oseq: int) -> bool:
        """Whether a transaction that starts with this number was applied by an earlier batch."""
        return self._connection.one("SELECT 1 FROM sync_tx WHERE origin = ? AND first_oseq = ?", (origin, oseq)) is not None

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
            return None
        lseq = span[1] + oseq - span[0]
        # Nobody builds on what comes later; a chain of such would have no end.
        return lseq if lseq < self._next_lseq else None

    def _code(self, node_no: int) -> str:
        found = self._connection.value("SELECT code FROM branch WHERE node_no = ?", (node_no,)) or self._connection.value(
            "SELECT code FROM sync_peer WHERE node_no = ?", (node_no,)
        )
        return str(found or f"#{node_no}")


def _seen(mine: _Entry, by_lseq: dict[int, _Entry]) -> Any:
    """Whether the author of a change had seen another one: its own, or admitted up to the last foreign one it built on."""
    previous = mine.prev
    while previous is not None:
        entry = by_lseq.get(previous)
        if entry is None or entry.origin != mine.origin:
            break
        previous = entry.prev
    boundary = previous or 0
    return lambda entry: entry.origin == mine.origin or entry.lseq <= boundary


def _deleted_by(entries: list[_Entry]) -> bool:
    """Whether a row with these changes lies in the bin."""
    last = max((entry for entry in entries if DELETED_NO in entry.diff), key=lambda entry: entry.stamp, default=None)
    return last is not None and last.diff[DELETED_NO][1] == 1


def _who(side: str, entry: _Entry) -> dict[str, Any]:
    return {f"{side}_by": entry.actor.hex() if entry.actor else None, f"{side}_at": stamp_time(entry.stamp[0]), f"{side}_node": entry.code}


def _no(entity: EntityType, key: str) -> int:
    return entity.fields[key].no


@dataclass(frozen=True, slots=True)
class _LineType:
    entity: EntityType
    parent_type: str


def _line_types() -> list[_LineType]:
    return [_LineType(e, e.fields[e.parent or ""].f.ref or "") for e in entities() if e.kind is Kind.LINE]


def _as_added(row: _Row, places: dict[int, int]) -> Sequence[Stored]:
    """A new row with what the batch changed of it afterwards."""
    assert row.new is not None
    if not row.changed:
        return row.new
    values = list(row.new)
    for no, value in row.changed.items():
        values[places[no]] = value
    return values
