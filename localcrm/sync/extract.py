"""What travels: portions of the change log as batches, whole transactions only.

Inserts are logged as references; on the wire they carry the values the row was inserted with, whatever happened to it
since, so a batch says the same however often and wherever it is cut.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from localcrm.kernel.collector import collector_at_rest
from localcrm.kernel.schema import entity_by_no
from localcrm.store import changelog, past
from localcrm.store.ddl import GONE, INSERT, UPDATE, VOID
from localcrm.sync.codec import Batch, Change, Tx
from localcrm.sync.scope import Scope, outside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection

#: A message carries about this many changes; a larger transaction travels whole.
PORTION = 8000

_TX = "SELECT tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor FROM sync_tx"


@dataclass(frozen=True, slots=True)
class Portion:
    """A batch and the number it reaches: the sender's own for an upload, head office's for a download."""

    batch: Batch
    upto: int
    more: bool


def own_changes(connection: Connection, origin: int, after_oseq: int) -> Portion:
    """Changes this node made in one of its epochs, after a number of its own; the transaction that holds it whole, if it goes on."""
    head = int(connection.value("SELECT have_oseq FROM sync_origin WHERE origin = ?", (origin,)) or 0)
    rows = connection.stream(
        f"""{_TX} WHERE origin = ?1 AND first_oseq + count - 1 > ?2 AND first_oseq >= coalesce(
            (SELECT max(first_oseq) FROM sync_tx WHERE origin = ?1 AND first_oseq <= ?2 + 1), 0) ORDER BY first_oseq""",
        (origin, after_oseq),
    )
    picked, _last = _pick(chain(past.transactions_of(connection, origin, after_oseq), rows), skip=None)
    upto = picked[-1][2] + picked[-1][3] - 1 if picked else after_oseq
    return Portion(_batch(connection, picked), upto, more=upto < head)


def changes_for(connection: Connection, scope: Scope, epoch: bytes, after_hseq: int, *, upto: int) -> Portion:
    """Head office's log after a number and up to another, as far as it is in the branch's scope, without what the branch itself made in
    its present epoch.

    What it made in an earlier epoch goes along: a restored branch gets its own lost work back.
    """
    own = connection.value("SELECT origin FROM sync_origin WHERE node_no = ? AND epoch = ?", (scope.node_no, epoch))
    rows = connection.stream(f"{_TX} WHERE first_lseq > ? AND first_lseq <= ? ORDER BY first_lseq", (after_hseq, upto))
    picked, last = _pick(chain(past.transactions(connection, after_hseq, upto), rows), skip=own)
    reached = last[4] + last[3] - 1 if last else after_hseq
    return Portion(_batch(connection, picked, scope), reached, more=reached < upto)


def of_numbers(connection: Connection, numbers: Sequence[int]) -> Batch:
    """Single changes of the log by their numbers, which rise."""
    wanted = set(numbers)
    older = (change for change in past.changes(connection, numbers[0] - 1, numbers[-1]) if change.lseq in wanted)
    rows = connection.all(
        """SELECT l.lseq, l.tbl, l.op, l.pk, l.diff, l.prev, t.tx, t.origin, t.first_oseq, t.count, t.first_lseq, t.hlc, t.eff_hlc, t.actor
           FROM json_each(?) j JOIN sync_log l ON l.lseq = j.value JOIN sync_tx t ON t.tx = l.tx ORDER BY l.lseq""",
        (json.dumps(numbers),),
    )
    entries = chain(((change.tx, change[:6]) for change in older), ((row[6:], row[:6]) for row in rows))
    return _written(connection, [(tx, [entry for _tx, entry in group]) for tx, group in groupby(entries, key=itemgetter(0))])


def changes_beyond(connection: Connection, wanted: Mapping[int, tuple[int, int]], after_lseq: int) -> Portion:
    """Changes in the order of this log after a place in it: of each origin the transactions with a number after the first and up to the second one.

    Work that came back in parts may end inside of one.
    """
    rows = connection.stream(
        """SELECT tx, t.origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor FROM sync_tx t
           JOIN json_each(?) w ON t.origin = CAST(w.key AS INTEGER)
           WHERE first_lseq > ? AND first_oseq + count - 1 > json_extract(w.value, '$[0]') AND first_oseq <= json_extract(w.value, '$[1]')
           ORDER BY first_lseq""",
        (json.dumps({str(origin): bounds for origin, bounds in wanted.items()}), after_lseq),
    )
    older = (tx for tx in past.transactions(connection, after_lseq) if _is_beyond(tx, wanted))
    picked, last = _pick(chain(older, rows), skip=None)
    return Portion(_batch(connection, picked), last[4] if last else after_lseq, more=last is not None)


def _is_beyond(tx: past.Booked, wanted: Mapping[int, tuple[int, int]]) -> bool:
    after, upto = wanted.get(tx.origin, (0, 0))
    return after < tx.first_oseq + tx.size - 1 and tx.first_oseq <= upto


def everything_of(connection: Connection, entity: EntityType, pks: Sequence[bytes]) -> Batch:
    """Every change of these rows that is known here, whoever made it."""
    changes = sorted(changelog.changes_of(connection, entity, pks), key=itemgetter(0))
    return _written(connection, [(tx, [change[:6] for change in group]) for tx, group in groupby(changes, key=attrgetter("tx"))])


def _pick(rows: Any, *, skip: int | None) -> tuple[list[tuple[Any, ...]], tuple[Any, ...] | None]:
    picked: list[tuple[Any, ...]] = []
    total, last = 0, None
    for row in rows:
        last = row
        if row[1] != skip:
            picked.append(row)
            total += row[3]
        if total >= PORTION:
            break
    return picked, last


@collector_at_rest()
def _batch(connection: Connection, rows: list[tuple[Any, ...]], scope: Scope | None = None) -> Batch:
    if not rows:
        return Batch()
    logged = list(zip(rows, _logged(connection, rows), strict=True))
    if scope is not None and scope.limited:
        hidden = _outside(connection, scope, logged)
        logged = [(row, [entry for entry in entries if (entry[1], entry[3]) not in hidden]) for row, entries in logged]
    return _written(connection, logged)


def _outside(connection: Connection, scope: Scope, logged: list[tuple[Any, list[tuple[Any, ...]]]]) -> set[tuple[int, bytes]]:
    """Which rows of the log's entries are not in the scope: table and id."""
    named: dict[int, set[bytes]] = defaultdict(set)
    for _row, entries in logged:
        for _lseq, table, op, pk, _diff, _prev in entries:
            if op != VOID:
                named[table].add(pk)
    kinds = [entity for no in named if (entity := entity_by_no(no)) is not None]
    return {(kind.no, pk) for kind in kinds for pk in outside(connection, scope, kind, named[kind.no])}


@collector_at_rest()
def _written(connection: Connection, logged: list[tuple[tuple[Any, ...], list[tuple[Any, ...]]]]) -> Batch:
    entries = [entry for _row, members in logged for entry in members]
    inserted = _inserted_values(connection, entries)
    writer = _Writer(connection, {entry[5] for entry in entries if entry[5]})
    for row, entries in logged:
        writer.add(row, entries, inserted)
    return writer.batch


def _logged(connection: Connection, rows: list[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    """The changes of each transaction, of which the beginning, or all, may have left the log."""
    horizon, logged = past.horizon(connection), list[list[tuple[Any, ...]]]()
    for run in _neighbours(rows):
        first, after = run[0][4], run[-1][4] + run[-1][3]
        older = past.changes(connection, first - 1, after - 1) if first <= horizon else ()
        live = connection.all(
            "SELECT lseq, tbl, op, pk, diff, prev FROM sync_log WHERE lseq >= ? AND lseq < ? ORDER BY lseq", (first, after)
        )
        entries, place = [*(change[:6] for change in older), *live], 0
        for row in run:
            start = place
            place = bisect_left(entries, row[4] + row[3], lo=place, key=itemgetter(0))
            logged.append(entries[start:place])
    return logged


def _neighbours(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Transactions that lie one behind the other in the log, together."""
    run: list[tuple[Any, ...]] = []
    for row in rows:
        if run and row[4] != run[-1][4] + run[-1][3]:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _inserted_values(connection: Connection, entries: list[tuple[Any, ...]]) -> dict[tuple[int, bytes], dict[int, Any]]:
    wanted: dict[int, list[bytes]] = defaultdict(list)
    for _lseq, table, op, pk, _diff, _prev in entries:
        if op == INSERT:
            wanted[table].append(pk)
    found = {}
    for table, pks in wanted.items():
        entity = entity_by_no(table)
        if entity is not None:
            found.update({(table, pk): values for pk, values in changelog.first_values(connection, entity, pks).items()})
    return found


class _Writer:
    """Collects transactions into a batch, translating local numbers into identities."""

    def __init__(self, connection: Connection, earlier: set[int]) -> None:
        """``earlier``: local numbers of the changes that others of them name."""
        self._changes: list[Change] = []
        self.batch = Batch(changes=self._changes)
        self._connection = connection
        self._origins: dict[int, int] = {}
        self._ids: dict[int, frozenset[int] | None] = {}
        self._earlier = self._identities(earlier)

    def add(self, row: tuple[Any, ...], entries: list[tuple[Any, ...]], inserted: dict[tuple[int, bytes], dict[int, Any]]) -> None:
        """One transaction; quarantined changes leave a hole, and a hole starts a new ``Tx``."""
        _tx, origin, first_oseq, _count, first_lseq, hlc, eff_hlc, actor = row
        start, pending = 0, 0
        for lseq, table, op, pk, diff, prev in entries:
            place = lseq - first_lseq
            if op == VOID:
                continue
            if pending and place != start + pending:
                self._close(origin, first_oseq + start, pending, hlc, eff_hlc, actor, first_lseq + start)
                pending = 0
            start = start if pending else place
            self._changes.append(self._change(table, op, pk, diff, prev, inserted))
            pending += 1
        if pending:
            self._close(origin, first_oseq + start, pending, hlc, eff_hlc, actor, first_lseq + start)

    def _close(self, origin: int, first_oseq: int, count: int, hlc: int, eff_hlc: int, actor: bytes | None, hseq: int) -> None:
        self.batch.txs.append(Tx(self._origin(origin), first_oseq, count, hlc, eff_hlc, actor, hseq))

    def _change(self, table: int, op: int, pk: bytes, diff: str | None, prev: int | None, inserted: dict[Any, dict[int, Any]]) -> Change:
        values: list[Any] = []
        if op == INSERT:
            values = [(no, value) for no, value in inserted.get((table, pk), {}).items() if value is not None]
        elif op == UPDATE and (ids := self._ids_of(table)) is not None:
            values = [(no, old, new) for no, (old, new) in changelog.read_diff(diff or "{}", ids).items()]
        elif op == GONE and (entity := entity_by_no(table)) is not None:
            values = [(no, value) for no, value in changelog.parse_row(entity, diff or "{}").items() if value is not None]
        earlier = self._earlier.get(prev) if prev else None
        return Change(table, op, pk, values, None if earlier is None else (self._origin(earlier[0]), earlier[1]))

    def _ids_of(self, table: int) -> frozenset[int] | None:
        """Numbers of the columns that hold an id; None for a table that this program does not know."""
        if table not in self._ids:
            entity = entity_by_no(table)
            self._ids[table] = None if entity is None else entity.ids
        return self._ids[table]

    def _origin(self, origin: int) -> int:
        if origin not in self._origins:
            node_no, epoch = self._connection.one("SELECT node_no, epoch FROM sync_origin WHERE origin = ?", (origin,)) or (0, b"")
            self._origins[origin] = len(self.batch.origins)
            self.batch.origins.append((node_no, int.from_bytes(epoch)))
        return self._origins[origin]

    def _identities(self, numbers: set[int]) -> dict[int, tuple[int, int]]:
        """Origin and number there of local log rows; without those never heard of, or nobody's (``store.forget``)."""
        nobodys = {origin for (origin,) in self._connection.all("SELECT origin FROM sync_origin WHERE node_no = 0")}
        found: dict[int, tuple[int, int]] = {}
        for lseq, *live in self._connection.all(
            """SELECT j.value, t.first_lseq, t.first_lseq + t.count, t.origin, t.first_oseq FROM json_each(?) j
               LEFT JOIN sync_tx t ON t.first_lseq = (SELECT max(first_lseq) FROM sync_tx WHERE first_lseq <= j.value)""",
            (json.dumps(sorted(numbers)),),
        ):
            run = past.run_at(self._connection, lseq) if live[0] is None else live
            if run is not None and run[2] not in nobodys:
                found[lseq] = (run[2], run[3] + lseq - run[0])
        return found
