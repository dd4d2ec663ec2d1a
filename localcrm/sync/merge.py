"""The merge: applies a batch of changes made elsewhere, in one transaction, by the rule of each table's class.

Head office admits what a branch sends (checks ownership, lowers stamps from the future, notes conflicts); a branch
applies what head office has admitted. Both keep every change in the log, also one that lost.

A change names the change of the same row that its author had seen last (``prev``). If that is still the row's newest
change, and nothing about the row was concurrent before, it simply applies. Otherwise the columns are decided one by
one: the later stamp in the total order (eff_hlc, node, epoch, number) wins. What the author had seen follows from the
star: its own changes, and everything head office had admitted up to the last foreign change in its chain of ``prev``.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import msgspec

from localcrm.domain.admin.entities import Conflict, ConflictKind
from localcrm.domain.approvals.company import load_company
from localcrm.domain.approvals.entities import ApprovalRequest, ApprovalStep
from localcrm.domain.approvals.rules import decision_fault
from localcrm.domain.records import references
from localcrm.kernel.clock import is_from_future, next_stamp, stamp_time
from localcrm.kernel.errors import ExchangeError
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MAX_SCALED
from localcrm.kernel.schema import EntityType, Field, Kind, Stored, entities, entity_by_no
from localcrm.store import changelog, search
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE, VOID
from localcrm.store.node import branch_id, origin_of
from localcrm.store.shapes import SHAPING
from localcrm.store.uow import own_section
from localcrm.sync.codec import Batch

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store
    from localcrm.sync.codec import Change, Tx

_CONFLICT, _REQUEST, _STEP = Conflict.entity_type, ApprovalRequest.entity_type, ApprovalStep.entity_type
#: Longest value a conflict shows; the log keeps it whole.
_SHOWN = 100_000


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
        report, conflicts = _merge(store, connection, batch, sender)
        if conflicts:
            with own_section(store, connection, actor=None) as uow:
                for values in conflicts:
                    uow.insert(_CONFLICT, _CONFLICT.validate(values))
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
        report, _conflicts = _merge(store, connection, batch, None, cursor)
        connection.execute("UPDATE sync_peer SET recv_hseq = max(recv_hseq, ?) WHERE node_no = 1", (to_hseq,))
        return report


def _merge(
    store: Store, connection: Connection, batch: Batch, sender: Sender | None, cursor: int = 0
) -> tuple[Report, list[dict[str, Any]]]:
    """Apply a batch; what the company's fields are may change in its midst, and counts for what follows."""
    report, conflicts = Report(), list[dict[str, Any]]()
    for part, defines in _parts(batch):
        merge = _Merge(store, connection, part, sender, cursor)
        merge.run()
        report.add(merge.report)
        conflicts += merge.conflicts
        if defines:
            store.reshape()
    return report, conflicts


def _parts(batch: Batch) -> Iterator[tuple[Batch, bool]]:
    """A batch cut behind each transaction that defines fields, and whether a part does."""
    shaping = {entity.no for entity in entities() if entity.key in SHAPING}
    if not any(change.table in shaping for change in batch.changes):
        yield batch, False
        return
    part, start = Batch(batch.origins), 0
    for tx in batch.txs:
        changes = batch.changes[start : start + tx.count]
        start += tx.count
        part.txs.append(tx)
        part.changes += changes
        if any(change.table in shaping for change in changes):
            yield part, True
            part = Batch(batch.origins)
    yield part, False


@dataclass(slots=True)
class _Row:
    """What the merge knows of one row: its newest change, and what this batch does to it."""

    newest: int
    known_as: tuple[int, int]
    """Identity of the newest change: local number of its origin, oseq."""
    chain: bool = True
    """Whether every change of the row was made by somebody who had seen the one before it in this log."""
    new: dict[int, Stored] | None = None
    changed: dict[int, Stored] = field(default_factory=dict)
    gone: bool = False


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
        self._store, self._connection, self._batch, self._sender, self._cursor = store, connection, batch, sender, cursor
        self._rows: dict[int, dict[bytes, _Row]] = defaultdict(dict)
        self._documents: dict[bytes, tuple[str, bytes | None] | None] = {}
        self._last_admitted: dict[int, int] = {}
        self._now_deleted: list[tuple[EntityType, bytes]] = []
        self._now_restored: list[tuple[EntityType, bytes]] = []
        self._referred: dict[str, set[bytes]] = defaultdict(set)
        self._log: list[tuple[Any, ...]] = []
        self._quarantine: list[tuple[Any, ...]] = []
        self._last_hlc = int(connection.value("SELECT last_hlc FROM sync_ctx"))
        self._known_rules: dict[int, _Rules] = {}
        self._entities: dict[int, EntityType | None] = {}
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
        self._load_rows()
        start = 0
        for tx in self._batch.txs:
            changes = self._batch.changes[start : start + tx.count]
            start += tx.count
            if self._is_duplicate(tx):
                self.report.duplicate += tx.count
            else:
                self._transaction(tx, changes)
        self._flush()
        self._note_parents()

    def _transaction(self, tx: Tx, changes: list[Change]) -> None:
        origin = self._origins[tx.origin]
        node_no, epoch = self._batch.origins[tx.origin]
        stamp = self._admitted_stamp(tx)
        self._last_hlc = max(self._last_hlc, stamp)
        self._txs.append((self._next_tx, origin, tx.first_oseq, tx.count, self._next_lseq, tx.hlc, stamp, tx.actor))
        self._have[origin] = max(self._have[origin], tx.first_oseq + tx.count - 1)
        insort(self._spans[origin], (tx.first_oseq, self._next_lseq, tx.count))
        epoch_bytes = epoch.to_bytes(8)
        for place, change in enumerate(changes):
            total = (stamp, node_no, epoch_bytes, tx.first_oseq + place)
            reason = self._change(change, origin, total, tx.actor)
            if reason:
                self._hold(change, origin, tx.first_oseq + place, reason)
            else:
                self.report.applied += 1
            self._next_lseq += 1
        self._next_tx += 1

    def _check_senders(self) -> None:
        if self._sender and any(self._batch.origins[tx.origin][0] != self._sender.node_no for tx in self._batch.txs):
            raise ExchangeError("not_sender", N_("The exchange contains changes in another branch's name. Nothing of it was applied."))

    def _is_duplicate(self, tx: Tx) -> bool:
        if self._sender is None:
            return tx.hseq <= self._cursor or self._arrived(self._origins[tx.origin], tx.first_oseq)
        have = self._have[self._origins[tx.origin]]
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

    def _change(self, change: Change, origin: int, stamp: tuple[int, int, bytes, int], actor: bytes | None) -> str | None:
        """Apply one change; returns why it may not be, or None."""
        table, op, pk, values, prev = change
        entity = self._entity(table)
        if entity is None:
            return "unknown_table"
        row = self._rows[table].get(pk)
        reason = self._fault(entity, op, pk, values, row) or self._decision_fault(entity, op, values, actor)
        if reason:
            return reason
        if row is not None and prev is not None and row.known_as == (self._origins[prev[0]], prev[1]):
            prev_lseq: int | None = row.newest
        else:
            prev_lseq = self._local(*prev) if prev else None
        if op == INSERT:
            self._insert(entity, pk, values, (origin, stamp[3]))
            self._log_row(table, op, pk, None, None)
        elif op == UPDATE:
            assert row is not None
            diff = {no: (old, new) for no, old, new in values}
            if row.chain and prev_lseq == row.newest:
                winners = diff
                self._note_watched(entity, pk, diff, stamp, actor)
            else:
                row.chain = False
                winners = self._decide(
                    entity, pk, diff, _Entry(self._next_lseq, op, diff, prev_lseq, stamp, origin, actor, self._code(stamp[1]))
                )
            self._update(entity, pk, row, winners, (origin, stamp[3]))
            self._log_row(table, op, pk, changelog.write_diff(diff), prev_lseq)
        else:
            assert row is not None
            row.gone, row.new = True, None
            self._log_row(table, op, pk, changelog.write_row(dict(values)), prev_lseq)
        return None

    def _insert(self, entity: EntityType, pk: bytes, values: list[tuple[int, Stored]], identity: tuple[int, int]) -> None:
        row = _Row(self._next_lseq, identity, new=dict(values))
        self._rows[entity.no][pk] = row
        if entity.kind is Kind.DOCUMENT:
            self._documents[pk] = (str(row.new[_no(entity, "status")]), row.new.get(_no(entity, "branch_id")))  # type: ignore[index,union-attr,assignment]
        if self._sender:
            self._note_references(entity, row.new or {})

    def _update(
        self, entity: EntityType, pk: bytes, row: _Row, winners: dict[int, tuple[Stored, Stored]], identity: tuple[int, int]
    ) -> None:
        target = row.new if row.new is not None else row.changed
        target.update((no, new) for no, (_old, new) in winners.items())
        row.newest, row.known_as = self._next_lseq, identity
        status = _no(entity, "status") if entity.kind is Kind.DOCUMENT else None
        if status in winners:
            _old, owner = self._documents.get(pk) or ("", None)
            self._documents[pk] = (str(winners[status][1]), owner)
        if self._sender:
            self._note_references(entity, {no: new for no, (_old, new) in winners.items()})
            if DELETED_NO in winners:
                (self._now_deleted if winners[DELETED_NO][1] else self._now_restored).append((entity, pk))

    def _log_row(self, table: int, op: int, pk: bytes | None, diff: str | None, prev: int | None) -> None:
        self._log.append((self._next_lseq, self._next_tx, table, op, pk, diff, prev))

    # what may not be applied -------------------------------------------------------------------------------------------

    def _fault(self, entity: EntityType, op: int, pk: bytes, values: list[Any], row: _Row | None) -> str | None:
        rules = self._rules(entity)
        given = {value[0]: value[-1] for value in values}
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
        if not rules.fit(given):
            return "bad_value"
        # Others are told what a row began with from what its first change says was there.
        if op == UPDATE and not rules.fit({no: old for no, old, _new in values}):
            return "bad_value"
        return self._owner_fault(entity, op, pk, values)

    def _rules(self, entity: EntityType) -> _Rules:
        if entity.no not in self._known_rules:
            self._known_rules[entity.no] = _rules(entity)
        return self._known_rules[entity.no]

    def _entity(self, table: int) -> EntityType | None:
        if table not in self._entities:
            self._entities[table] = entity_by_no(table)
        return self._entities[table]

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
            homes = [value[-1] for value in values if value[0] == _no(entity, entity.home)]
            before = homes or [None] if op == INSERT else [self._now(entity, pk, entity.home)]
            return next(filter(None, map(self._foreign, [*before, *homes])), None)
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

    def _decision_fault(self, entity: EntityType, op: int, values: list[Any], actor: bytes | None) -> str | None:
        """Somebody submits in his own name, and decides only where and what he was asked; head office looks, branches trust it."""
        if self._sender is None or entity not in {_REQUEST, _STEP} or op != INSERT:
            return None
        given = dict(values)
        if entity is _REQUEST:
            return None if given[_no(entity, "author_id")] == actor else "not_author"
        made = {key: entity.fields[key].load(given[_no(entity, key)]) for key in ("request_id", "seat", "decision", "user_id")}
        request = bytes.fromhex(made["request_id"])
        asked = {key: self._now(_REQUEST, request, key) for key in ("author_id", "owner_id", "plan")}
        if asked["plan"] is None:
            return "unknown_parent"
        told = {key: _REQUEST.fields[key].load(value) for key, value in asked.items()}
        company, branch = load_company(self._connection), self._sender.branch_id.hex()
        return decision_fault(told, made, author=actor.hex() if actor else None, branch=branch, company=company)

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
        now = self._now(entity, pk, entity.by_no[no].key)
        return ladder.index(str(new)) < ladder.index(str(now))

    def _now(self, entity: EntityType, pk: bytes, key: str) -> Any:
        """What a column holds, with what this batch did to it so far."""
        row, no = self._rows[entity.no].get(pk), _no(entity, key)
        pending = {} if row is None else row.new if row.new is not None else row.changed
        if no in pending:
            return pending[no]
        return self._connection.value(f'SELECT "{key}" FROM "{entity.key}" WHERE id = ?', (pk,))

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
        now = self._now(entity, pk, entity.parent or "")
        return [now, *(named if op == UPDATE else [])]

    def _hold(self, change: Change, origin: int, oseq: int, reason: str) -> None:
        """Keep what could not be applied, with its reason; its number stays taken."""
        self._log_row(max(change.table, 0), VOID, None, None, None)
        raw = msgspec.msgpack.encode([change.table, change.op, change.pk, change.values])
        self._quarantine.append((origin, oseq, change.table, change.pk, reason, raw, self._store.clock.now_ms()))
        self.report.quarantined += 1
        entity = entity_by_no(change.table)
        if self._sender:
            self._conflict(
                kind=ConflictKind.QUARANTINED,
                entity=entity.key if entity else str(change.table),
                record=change.pk.hex(),
                lost=reason,
                lost_node=self._sender.code,
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
        for column in entity.refs:
            target = values.get(column.no)
            if isinstance(target, bytes) and column.key != entity.parent:
                self._referred[column.f.ref or ""].add(target)

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

    def _load_rows(self) -> None:
        wanted: dict[int, set[bytes]] = defaultdict(set)
        for change in self._batch.changes:
            wanted[change[0]].add(change[2])
        for table, pks in wanted.items():
            entity = entity_by_no(table)
            if entity is None:
                continue
            known = self._rows[table]
            listed = list(pks)
            for start in range(0, len(listed), 500):
                portion = listed[start : start + 500]
                marks = ",".join("?" * len(portion))
                for pk, newest, origin, oseq, breaks in self._connection.all(
                    f"""SELECT pk, newest, origin, first_oseq + newest - first_lseq, breaks FROM (
                        SELECT pk, max(lseq) AS newest, tx, sum(prev IS NOT before) AS breaks FROM (
                            SELECT pk, lseq, tx, prev, lag(lseq) OVER (PARTITION BY pk ORDER BY lseq) AS before
                            FROM sync_log INDEXED BY sync_log_row WHERE tbl = ? AND pk IN ({marks})) GROUP BY pk) JOIN sync_tx USING (tx)""",
                    (table, *portion),
                ):
                    known[pk] = _Row(newest, (origin, oseq), chain=not breaks)
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
        fresh: list[tuple[bytes, dict[int, Stored]]] = [(pk, row.new) for pk, row in rows.items() if row.new is not None]
        changed: dict[tuple[int, ...], list[tuple[Stored, ...]]] = defaultdict(list)
        touched: list[bytes] = []
        for pk, row in rows.items():
            if row.changed and not row.gone:
                columns = tuple(sorted(row.changed))
                changed[columns].append((*(row.changed[no] for no in columns), pk))
                if DELETED_NO in row.changed or any(f.no in row.changed for f in entity.searched):
                    touched.append(pk)
                row.changed = {}
        new_rids = self._insert_rows(entity, fresh)
        for pk, _values in fresh:
            rows[pk].new = None
        for columns, parameters in changed.items():
            assignments = ", ".join(f'"{"deleted" if no == DELETED_NO else entity.by_no[no].key}" = ?' for no in columns)
            self._connection.executemany(f'UPDATE "{entity.key}" SET {assignments}, version = version + 1 WHERE id = ?', parameters)
        if entity.kind is Kind.LINE:
            self._connection.executemany(f'DELETE FROM "{entity.key}" WHERE id = ?', [(pk,) for pk, row in rows.items() if row.gone])
        # Touched rows before new ones: the index starts a new segment whenever a number is lower than the one before.
        if touched:
            listed = json.dumps([pk.hex() for pk in touched])
            found = self._connection.all(f'SELECT rid FROM "{entity.key}" WHERE id IN (SELECT unhex(value) FROM json_each(?))', (listed,))
            search.index_rows(self._connection, entity, [row[0] for row in found])
        search.index_rows(self._connection, entity, new_rids, fresh=True)

    def _insert_rows(self, entity: EntityType, fresh: list[tuple[bytes, dict[int, Stored]]]) -> list[int]:
        if not fresh:
            return []
        first = int(self._connection.value(f'SELECT coalesce(max(rid), 0) FROM "{entity.key}"')) + 1
        columns = list(entity.fields.values())
        defaults = [column.store(column.default) for column in columns]
        numbers = [column.no for column in columns]
        names = ", ".join(f'"{column.key}"' for column in columns)
        parameters = []
        for place, (pk, values) in enumerate(fresh):
            stored = [values.get(no, default) for no, default in zip(numbers, defaults, strict=True)]
            parameters.append((first + place, pk, *stored, values.get(DELETED_NO, 0)))
        marks = ", ".join("?" * (len(columns) + 3))
        self._connection.executemany(f'INSERT INTO "{entity.key}"(rid, id, {names}, deleted) VALUES ({marks})', parameters)
        return list(range(first, first + len(fresh)))

    # identities ----------------------------------------------------------------------------------------------------------

    def _arrived(self, origin: int, oseq: int) -> bool:
        """Whether a transaction that starts with this number was applied before."""
        spans = self._spans[origin]
        place = bisect_left(spans, (oseq,))
        if place < len(spans) and spans[place][0] == oseq:
            return True
        return self._connection.one("SELECT 1 FROM sync_tx WHERE origin = ? AND first_oseq = ?", (origin, oseq)) is not None

    def _local(self, origin_index: int, oseq: int) -> int | None:
        """Local log number of a change named by its identity; None when it never arrived."""
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
        return span[1] + oseq - span[0]

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


def _text(column: Field, value: Stored) -> str | None:
    shown = column.show(value)
    if isinstance(shown, bool):
        return json.dumps(shown)
    return None if shown is None else str(shown)[:_SHOWN]


def _no(entity: EntityType, key: str) -> int:
    return entity.fields[key].no


@dataclass(frozen=True, slots=True)
class _LineType:
    entity: EntityType
    parent_type: str


def _line_types() -> list[_LineType]:
    return [_LineType(e, e.fields[e.parent or ""].f.ref or "") for e in entities() if e.kind is Kind.LINE]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What the merge asks of every change of a table, by wire number."""

    types: dict[int, tuple[type, ...]]
    closer: dict[int, Callable[[Stored], bool]]  # beyond the type; empty values are always well
    required: tuple[int, ...]
    office_only: dict[int, Stored]  # with the default that anybody may write
    watched: frozenset[int]

    def fit(self, given: dict[int, Stored]) -> bool:
        """Whether every value is one its column can hold."""
        types, closer = self.types, self.closer
        return all([type(value) in types[no] for no, value in given.items()]) and all(  # noqa: C419 -- a list is half the time
            closer[no](given[no]) for no in closer.keys() & given.keys()
        )


_TYPES: dict[str, type] = {"TEXT": str, "INTEGER": int, "BLOB": bytes}


def _rules(entity: EntityType) -> _Rules:
    columns = entity.by_no
    types = {no: _types(column) for no, column in columns.items()}
    closer = {no: check for no, column in columns.items() if (check := _closer(column))}
    return _Rules(
        types={DELETED_NO: (int,), **types},
        closer={DELETED_NO: lambda value: value in {0, 1}, **closer},
        required=tuple(no for no, column in columns.items() if column.required and not column.custom),
        office_only={no: column.store(column.default) for no, column in columns.items() if column.f.merge == "hub"},
        watched=frozenset(no for no, column in columns.items() if column.f.merge == "always_show"),
    )


def _types(column: Field) -> tuple[type, ...]:
    """Types a column takes; the declaration's own bounds are the author's business."""
    may_be_empty = column.custom is not None or (not column.required and column.default is None)
    return (_TYPES[column.sql_type], *([type(None)] if may_be_empty else []))


def _closer(column: Field) -> Callable[[Stored], bool] | None:
    """What the column's kind asks beyond its type."""
    if column.kind == "ref":
        return lambda value: value is None or (isinstance(value, bytes) and len(value) == 16)
    if column.kind == "choice" and not column.custom:  # its own options may not have arrived yet
        choices = column.choices or {}
        return lambda value: value is None or value in choices
    if column.kind in {"date", "datetime", "boolean"}:
        return lambda value: value is None or _loads(column, value)
    if column.scale:  # what no form takes would overflow the sums, and stop whoever adds to them next
        return lambda value: value is None or (isinstance(value, int) and -MAX_SCALED <= value <= MAX_SCALED)
    return None


def _loads(column: Field, value: Stored) -> bool:
    """Whether a value of the right type means something: a date that exists, a moment within the calendar, yes or no."""
    try:
        return column.store(column.load(value)) == value
    except (ValueError, OverflowError, OSError):
        return False
