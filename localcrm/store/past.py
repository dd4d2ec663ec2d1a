"""The past: the older part of the change log in a denser form. Nothing of it is lost, and no stamp in it is ever rewritten.

A log row costs about as much as the row it is about: its own table, an index over records, a row per transaction with two more. What
nobody waits for any more is therefore moved, in the order of the log, into chunks of some hundred changes each (``sync_past``), packed
together with their transactions; each change there names the one before it of the same record. Beside them lies what must be found without
unpacking anything: of each record the number of its newest change there (``sync_past_row``), and where runs of an origin's numbers lie
(``sync_past_span``). So what is kept of a record beside its history does not grow, however often it changes.

How far the log was cut is not written down apart: it is the number of the last change in the last chunk (``horizon``). A transaction leaves
``sync_tx`` with its last change. The newest transaction of a file always stays, because the next numbers follow from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.store.ddl import VOID

if TYPE_CHECKING:
    from localcrm.store.connection import Connection

#: Its tables: whoever copies the log copies them too.
TABLES = ("sync_past", "sync_past_row", "sync_past_span")
#: Changes in a chunk: enough for repetitions to be found, few enough to be moved in some milliseconds.
CHUNK = 300
#: Characters of values after which a chunk is full, however few changes they are.
_MOST_TEXT = 200_000
_LEVEL = 9
#: Ids asked for in one statement.
_AT_ONCE = 500


class Booked(NamedTuple):
    """A transaction: a row of ``sync_tx``."""

    tx: int
    origin: int
    first_oseq: int
    size: int
    """How many changes."""
    first_lseq: int
    hlc: int
    eff_hlc: int
    actor: bytes | None

    @property
    def last_lseq(self) -> int:
        """Number of its last change in this log."""
        return self.first_lseq + self.size - 1


class Logged(NamedTuple):
    """A change: a row of ``sync_log`` with its transaction."""

    lseq: int
    table: int
    op: int
    pk: bytes | None
    diff: str | None
    prev: int | None
    tx: Booked

    @property
    def oseq(self) -> int:
        """Its number at its origin."""
        return self.tx.first_oseq + self.lseq - self.tx.first_lseq


class _Chunk(msgspec.Struct, array_like=True, gc=False):
    """Changes ``first`` … side by side, and every transaction that one of them belongs to."""

    first: int
    txs: list[Booked]
    tables: list[int]
    ops: list[int]
    pks: list[bytes | None]
    diffs: list[str | None]
    back: list[int | None]
    """How far before a change the one lies that its author had seen."""
    before: list[int | None]
    """How far before a change the one lies that stands before it in the log of the same record."""


_decode = msgspec.msgpack.Decoder(_Chunk).decode
_encode = msgspec.msgpack.Encoder().encode


# moving --------------------------------------------------------------------------------------------------------------------


def horizon(connection: Connection) -> int:
    """Number of the newest change that is no longer in the log; 0 as long as all are."""
    return int(connection.value("SELECT max(upto) FROM sync_past") or 0)


def compact(connection: Connection, upto: int, *, most: int = CHUNK) -> int:
    """Inside the caller's transaction: move the oldest changes of the log up to a number into the past; returns how many it moved.

    At most ``most``, as one chunk; 0 when there is nothing left to move. Raises StoreError("damaged_log") before it moves what is not whole.
    """
    head = connection.one("SELECT first_lseq FROM sync_tx ORDER BY tx DESC LIMIT 1")
    last = min(upto, head[0] - 1) if head else 0
    gone = horizon(connection)
    rows, size = [], 0
    for row in connection.stream(
        "SELECT lseq, tbl, op, pk, diff, prev, tx FROM sync_log WHERE lseq > ? AND lseq <= ? ORDER BY lseq LIMIT ?", (gone, last, most)
    ):
        rows.append(row)
        size += len(row[4] or "")
        if size > _MOST_TEXT:
            break
    if not rows:
        return 0
    first, last = rows[0][0], rows[-1][0]
    txs = [
        Booked(*row)
        for row in connection.all(
            """SELECT tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor FROM sync_tx
               WHERE first_lseq <= ? AND first_lseq + count > ? ORDER BY first_lseq""",
            (last, first),
        )
    ]
    if last - first + 1 != len(rows) or not txs or txs[0].first_lseq > first or txs[-1].last_lseq < last:
        raise _damaged()
    _, tables, ops, pks, diffs, prevs, _ = map(list, zip(*rows, strict=True))
    before = _note_rows(connection, first, list(zip(tables, pks, prevs, strict=True)))
    data = _pack(_Chunk(first, txs, tables, ops, pks, diffs, _distances(first, prevs), _distances(first, before)))
    connection.execute("INSERT INTO sync_past(upto, newest_hlc, data) VALUES (?, ?, ?)", (last, max(tx.eff_hlc for tx in txs), data))
    _note_spans(connection, [tx for tx in txs if tx.last_lseq <= last])
    connection.execute("PRAGMA secure_delete = ON")  # who is erased later must not be left in pages that nobody uses any more
    connection.execute("DELETE FROM sync_log WHERE lseq BETWEEN ? AND ?", (first, last))
    connection.execute("DELETE FROM sync_tx WHERE first_lseq <= ? AND first_lseq + count - 1 <= ?", (last, last))
    connection.execute("PRAGMA secure_delete = FAST")
    return len(rows)


def _note_rows(connection: Connection, first: int, changes: Sequence[tuple[int, bytes | None, int | None]]) -> list[int | None]:
    """Note of each record named by changes (table, id, number seen before) which is its newest one, and whether its chain is unbroken.

    Returns of each change the number of the one before it of the same record.
    """
    by_table: dict[int, set[bytes]] = defaultdict(set)
    for table, pk, _prev in changes:
        if pk is not None:
            by_table[table].add(pk)
    state = {(table, pk): (newest, chain) for table, pks in by_table.items() for pk, newest, chain in tips(connection, table, list(pks))}
    before: list[int | None] = []
    for lseq, (table, pk, prev) in enumerate(changes, first):
        if pk is None:  # kept out
            before.append(None)
            continue
        newest, chain = state.get((table, pk), (None, True))
        before.append(newest)
        state[table, pk] = (lseq, chain and prev == newest)
    connection.executemany(
        """INSERT INTO sync_past_row(tbl, pk, newest, chain) VALUES (?, ?, ?, ?)
           ON CONFLICT(tbl, pk) DO UPDATE SET newest = excluded.newest, chain = excluded.chain""",
        [(*key, newest, int(chain)) for key, (newest, chain) in state.items()],
    )
    return before


def _distances(first: int, numbers: Sequence[int | None]) -> list[int | None]:
    return [None if number is None else lseq - number for lseq, number in enumerate(numbers, first)]


def _note_spans(connection: Connection, txs: Iterable[Booked]) -> None:
    """Note where transactions lie; those that follow each other here and at their origin are one run."""
    last = connection.one("SELECT first_lseq, origin, first_oseq, count FROM sync_past_span ORDER BY first_lseq DESC LIMIT 1")
    runs = [list(last)] if last else []
    for tx in txs:
        if runs and tx.origin == runs[-1][1] and tx.first_lseq - runs[-1][0] == tx.first_oseq - runs[-1][2] == runs[-1][3]:
            runs[-1][3] += tx.size
        else:
            runs.append([tx.first_lseq, tx.origin, tx.first_oseq, tx.size])
    connection.executemany("INSERT OR REPLACE INTO sync_past_span(first_lseq, origin, first_oseq, count) VALUES (?, ?, ?, ?)", runs)


def rewrite(connection: Connection, table: int, pk: bytes, new_diff: Callable[[int, str], str]) -> None:
    """Say something else in every change of a record, in the caller's transaction: who is erased is erased here too.

    ``new_diff`` is given operation and text of each change that has one, and returns the text that stands there instead.
    """
    for upto, chunk in _chunks_of(connection, table, [pk]):
        texts = [
            new_diff(op, diff) if no == table and key == pk and diff is not None else diff
            for no, op, key, diff in zip(chunk.tables, chunk.ops, chunk.pks, chunk.diffs, strict=True)
        ]
        data = _pack(msgspec.structs.replace(chunk, diffs=texts))
        connection.execute("UPDATE sync_past SET data = ? WHERE upto = ?", (data, upto))


def replace_transactions(connection: Connection, pieces: Mapping[int, Sequence[Booked]], gone: AbstractSet[int]) -> None:
    """Cut transactions, named by their first number here, into runs, and empty the changes that are gone; what is not in the past is not touched."""
    upto = horizon(connection)
    runs = sorted(run for cut in pieces.values() for run in cut if run.first_lseq <= upto)
    if not runs:
        return
    low, high = min(run.first_lseq for run in runs), max(run.last_lseq for run in runs)
    for key, data in connection.all(
        """SELECT upto, data FROM sync_past WHERE upto >= ?1
           AND upto <= coalesce((SELECT min(upto) FROM sync_past WHERE upto >= ?2), ?2) ORDER BY upto""",
        (low, high),
    ):
        chunk = _unpack(data)
        if any(tx.first_lseq in pieces for tx in chunk.txs):
            connection.execute("UPDATE sync_past SET data = ? WHERE upto = ?", (_pack(_cut(chunk, key, pieces, gone)), key))
    for cut in pieces.values():
        settled = [run for run in cut if run.last_lseq <= upto]
        if settled:
            _cut_spans(connection, settled)


def _cut(chunk: _Chunk, upto: int, pieces: Mapping[int, Sequence[Booked]], gone: AbstractSet[int]) -> _Chunk:
    txs = [run for tx in chunk.txs for run in pieces.get(tx.first_lseq, (tx,)) if run.last_lseq >= chunk.first and run.first_lseq <= upto]
    empty = [lseq in gone for lseq in range(chunk.first, upto + 1)]
    return msgspec.structs.replace(
        chunk,
        txs=txs,
        ops=[VOID if gap else op for op, gap in zip(chunk.ops, empty, strict=True)],
        pks=[None if gap else pk for pk, gap in zip(chunk.pks, empty, strict=True)],
        diffs=[None if gap else diff for diff, gap in zip(chunk.diffs, empty, strict=True)],
        back=[None if gap else back for back, gap in zip(chunk.back, empty, strict=True)],
        before=[None if gap else before for before, gap in zip(chunk.before, empty, strict=True)],
    )


def _cut_spans(connection: Connection, runs: Sequence[Booked]) -> None:
    """Put runs that follow each other into the place of what the spans said of their numbers."""
    first, last = runs[0].first_lseq, runs[-1].last_lseq
    # Spans do not overlap: none that begins before the last one to begin at or before the first number reaches into it.
    within = """first_lseq <= ?1 AND first_lseq + count > ?2
        AND first_lseq >= coalesce((SELECT max(first_lseq) FROM sync_past_span WHERE first_lseq <= ?2), 0)"""
    spans = connection.all(f"SELECT first_lseq, origin, first_oseq, count FROM sync_past_span WHERE {within}", (last, first))
    connection.execute(f"DELETE FROM sync_past_span WHERE {within}", (last, first))
    kept = []
    for start, origin, oseq, count in spans:
        if start < first:
            kept.append((start, origin, oseq, first - start))
        if start + count - 1 > last:
            kept.append((last + 1, origin, oseq + last + 1 - start, start + count - 1 - last))
    kept += [(run.first_lseq, run.origin, run.first_oseq, run.size) for run in runs]
    connection.executemany("INSERT INTO sync_past_span(first_lseq, origin, first_oseq, count) VALUES (?, ?, ?, ?)", kept)


# reading: records ----------------------------------------------------------------------------------------------------------


def tips(connection: Connection, table: int, pks: Sequence[bytes]) -> list[tuple[bytes, int, bool]]:
    """Of those records that have a past: id, number of the newest change there, and whether each change there had seen the one before."""
    found: list[tuple[bytes, int, bool]] = []
    if not connection.value("SELECT EXISTS (SELECT 1 FROM sync_past_row WHERE tbl = ?)", (table,)):
        return found
    for start in range(0, len(pks), _AT_ONCE):
        portion = pks[start : start + _AT_ONCE]
        marks = ",".join("?" * len(portion))
        rows = connection.all(f"SELECT pk, newest, chain FROM sync_past_row WHERE tbl = ? AND pk IN ({marks})", (table, *portion))
        found += [(pk, newest, bool(chain)) for pk, newest, chain in rows]
    return found


def changes_of(connection: Connection, table: int, pks: Sequence[bytes]) -> list[Logged]:
    """Changes of some records of a table that are no longer in the log, in its order."""
    wanted = set(pks)
    return [
        change
        for _upto, chunk in _chunks_of(connection, table, pks)
        for change in _rows(chunk, lambda no, pk: no == table and pk in wanted)
    ]


# reading: the order of the log ---------------------------------------------------------------------------------------------


def changes(connection: Connection, after: int = 0, upto: int | None = None, *, tables: AbstractSet[int] | None = None) -> Iterator[Logged]:
    """Changes that are no longer in the log, with numbers after the first and up to the second one, in its order; of some tables or of all."""
    for chunk in _chunks(connection, after, upto):
        if tables is not None and tables.isdisjoint(chunk.tables):
            continue
        for change in _rows(chunk) if tables is None else _rows(chunk, lambda no, _pk: no in tables):
            if change.lseq > after and (upto is None or change.lseq <= upto):
                yield change


def transactions(connection: Connection, after: int = 0, upto: int | None = None) -> Iterator[Booked]:
    """Transactions that have left the log and begin after the first and up to the second number, in its order."""
    gone = horizon(connection)
    for chunk in _chunks(connection, after, upto):
        for tx in chunk.txs:
            if chunk.first <= tx.first_lseq and after < tx.first_lseq <= (gone if upto is None else upto) and tx.last_lseq <= gone:
                yield tx


def transactions_of(connection: Connection, origin: int, after_oseq: int = 0, *, after_lseq: int = 0) -> Iterator[Booked]:
    """Transactions of an origin that have left the log, end after a number of its own and begin after a number here, by their own numbers."""
    if after_lseq >= horizon(connection):
        return
    cut = transaction_of(connection, origin, after_oseq + 1) if after_oseq else None
    if cut is not None:  # the number may lie inside of one
        after_oseq = min(after_oseq, cut.first_oseq - 1)
    runs = connection.all(
        """SELECT first_lseq, first_oseq, count FROM sync_past_span WHERE origin = ?1 AND first_lseq + count - 1 > ?3
           AND first_oseq >= coalesce((SELECT max(first_oseq) FROM sync_past_span WHERE origin = ?1 AND first_oseq <= ?2), 0)
           ORDER BY first_oseq""",
        (origin, after_oseq, after_lseq),
    )
    for first_lseq, first_oseq, count in runs:
        after = max(first_lseq - 1, first_lseq + after_oseq - first_oseq, after_lseq)
        yield from transactions(connection, after, first_lseq + count - 1)


def number_of(connection: Connection, origin: int, oseq: int) -> int | None:
    """Number in this log of a change that has left it and is named by its origin; None when none is."""
    run = connection.one(
        "SELECT first_lseq, first_oseq, count FROM sync_past_span WHERE origin = ? AND first_oseq <= ? ORDER BY first_oseq DESC LIMIT 1",
        (origin, oseq),
    )
    return run[0] + oseq - run[1] if run and oseq < run[1] + run[2] else None


def run_at(connection: Connection, lseq: int) -> tuple[int, int, int, int] | None:
    """The run of an origin's numbers that a change lies in: first number here, number after the last, origin, first number there."""
    run = connection.one(
        "SELECT first_lseq, first_lseq + count, origin, first_oseq FROM sync_past_span WHERE first_lseq <= ? ORDER BY first_lseq DESC LIMIT 1",
        (lseq,),
    )
    return (run[0], run[1], run[2], run[3]) if run and lseq < run[1] else None


def transaction_of(connection: Connection, origin: int, oseq: int | None = None) -> Booked | None:
    """The transaction that has left the log and holds a change of an origin, or the newest one of it; None when there is none."""
    if oseq is None:
        oseq = connection.value("SELECT max(first_oseq + count - 1) FROM sync_past_span WHERE origin = ?", (origin,))
    lseq = None if oseq is None else number_of(connection, origin, oseq)
    if lseq is None:
        return None
    chunk = next(_chunks(connection, lseq - 1, lseq))
    return next(tx for tx in chunk.txs if tx.first_lseq <= lseq <= tx.last_lseq)


def newest_stamp(connection: Connection) -> int:
    """The latest stamp that counts in the past; 0 for none."""
    return int(connection.value("SELECT max(newest_hlc) FROM sync_past") or 0)


def faults(connection: Connection) -> Iterator[int]:
    """Numbers of changes at which the past cannot be read, or has a hole."""
    before: int | None = None
    for upto, data in connection.stream("SELECT upto, data FROM sync_past ORDER BY upto"):
        try:
            chunk = _unpack(data)
        except StoreError:
            yield upto
        else:
            is_whole = chunk.first + len(chunk.tables) - 1 == upto and before in {None, chunk.first - 1}
            if not is_whole:
                yield chunk.first
        before = upto


# chunks --------------------------------------------------------------------------------------------------------------------


def _chunks(connection: Connection, after: int, upto: int | None) -> Iterator[_Chunk]:
    for _key, data in connection.stream("SELECT upto, data FROM sync_past WHERE upto > ? ORDER BY upto", (after,)):
        chunk = _unpack(data)
        if upto is not None and chunk.first > upto:
            return
        yield chunk


def _chunks_of(connection: Connection, table: int, pks: Sequence[bytes]) -> list[tuple[int, _Chunk]]:
    """Chunks that speak of some records of a table, in the order of the log: from the newest change of each back to its first."""
    wanted, found = set(pks), dict[int, _Chunk]()
    ahead = {newest for _pk, newest, _chain in tips(connection, table, pks)}
    while ahead:
        upto, data = connection.one("SELECT upto, data FROM sync_past WHERE upto >= ? ORDER BY upto LIMIT 1", (max(ahead),)) or (0, b"")
        chunk = found[upto] = _unpack(data)
        if chunk.first > max(ahead):
            raise _damaged()
        earlier = {
            lseq - back
            for lseq, (no, pk, back) in enumerate(zip(chunk.tables, chunk.pks, chunk.before, strict=True), chunk.first)
            if back is not None and no == table and pk in wanted
        }
        ahead = {number for number in ahead | earlier if number < chunk.first}
    return sorted(found.items())


def _rows(chunk: _Chunk, wanted: Callable[[int, bytes | None], bool] = lambda _table, _pk: True) -> Iterator[Logged]:
    txs = iter(chunk.txs)
    tx = next(txs)
    columns = zip(chunk.tables, chunk.ops, chunk.pks, chunk.diffs, chunk.back, strict=True)
    for lseq, (table, op, pk, diff, back) in enumerate(columns, chunk.first):
        while lseq > tx.last_lseq:
            tx = next(txs)
        if wanted(table, pk):
            yield Logged(lseq, table, op, pk, diff, None if back is None else lseq - back, tx)


def _pack(chunk: _Chunk) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(_LEVEL, write_checksum=True).compress(_encode(chunk))


@lru_cache(maxsize=32)
def _unpack(data: bytes) -> _Chunk:
    import zstandard

    try:
        return _decode(zstandard.ZstdDecompressor().decompress(data))
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise _damaged() from error


def _damaged() -> StoreError:
    return StoreError(
        "damaged_log", N_("The change log is damaged. Nothing was changed; run “localcrm check” and restore the last backup that is good.")
    )
