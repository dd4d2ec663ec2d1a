"""Taking records out of the change log, and out of its past, as though nothing had ever been heard of them.

Each of their changes becomes an empty place of the same number, booked to nobody: the log has no hole, what surrounds it keeps its numbers
and its origin's numbers, and a change that is heard of again later is news. Whoever calls this removes the rows themselves.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import groupby
from typing import TYPE_CHECKING

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.store import changelog, past
from localcrm.store.ddl import VOID
from localcrm.store.node import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcrm.kernel.schema import EntityType
    from localcrm.store.connection import Connection
    from localcrm.store.past import Booked


def forget_changes(connection: Connection, entity: EntityType, ids: Sequence[bytes]) -> None:
    """In the caller's transaction: empty every change of some records, live and past."""
    changes = list(changelog.changes_of(connection, entity, ids))
    txs = {change.tx.first_lseq: change.tx for change in changes}
    gone = {change.lseq for change in changes}
    for origin, oseq in _held(connection, entity, ids):  # their places name no record
        if tx := changelog.transaction_of(connection, origin, oseq):
            txs[tx.first_lseq] = tx
            gone.add(tx.first_lseq + oseq - tx.first_oseq)
    _empty(connection, txs, sorted(gone))
    connection.executemany("DELETE FROM sync_past_row WHERE tbl = ? AND pk = ?", [(entity.no, pk) for pk in ids])
    connection.executemany("DELETE FROM sync_quarantine WHERE tbl = ? AND pk = ?", [(entity.no, pk) for pk in ids])


def _held(connection: Connection, entity: EntityType, ids: Sequence[bytes]) -> list[tuple[int, int]]:
    """Origin and number of changes of some records that are kept aside."""
    marks = ",".join("?" * len(ids))
    return connection.all(f"SELECT origin, oseq FROM sync_quarantine WHERE tbl = ? AND pk IN ({marks})", (entity.no, *ids))


def cut_out(connection: Connection, origin: int, oseq: int, *, spare_tx: int) -> int:
    """Let the place of a change that was kept aside be nobody's, so that it can stand elsewhere; returns the number of the place.

    ``spare_tx`` and the number after it are of transactions that nobody has yet.
    """
    tx = changelog.transaction_of(connection, origin, oseq)
    if tx is None:
        raise StoreError("damaged", N_("The data file is damaged. Nothing was changed; restore the last backup."))
    lseq = tx.first_lseq + oseq - tx.first_oseq
    _empty(connection, {tx.first_lseq: tx}, [lseq], spare_tx=spare_tx)
    return lseq


def _empty(connection: Connection, txs: dict[int, Booked], gone: list[int], *, spare_tx: int | None = None) -> None:
    """Empty places, in rising order, of transactions by their first number here."""
    if not gone:
        return
    nobody = origin_of(connection, 0, b"", "")
    pieces = {first: list(_pieces(tx, gone, nobody)) for first, tx in txs.items()}
    past.replace_transactions(connection, pieces, set(gone))
    connection.executemany(
        f"UPDATE sync_log SET op = {VOID}, pk = NULL, diff = NULL, prev = NULL WHERE lseq = ?", [(lseq,) for lseq in gone]
    )
    _rebook(connection, pieces, spare_tx)


def _pieces(tx: Booked, gone: list[int], nobody: int) -> Iterator[Booked]:
    """A transaction cut into runs: what stays, under its origin's numbers, and what is nobody's, under the numbers of this log."""
    place = tx.first_lseq
    inside = gone[bisect_left(gone, tx.first_lseq) : bisect_right(gone, tx.last_lseq)]
    for _distance, members in groupby(enumerate(inside), key=lambda pair: pair[1] - pair[0]):
        run = [lseq for _number, lseq in members]
        if place < run[0]:
            yield _part(tx, place, run[0])
        yield tx._replace(origin=nobody, first_oseq=run[0], size=len(run), first_lseq=run[0], actor=None)
        place = run[-1] + 1
    if place <= tx.last_lseq:
        yield _part(tx, place, tx.last_lseq + 1)


def _part(tx: Booked, first: int, after: int) -> Booked:
    return tx._replace(first_oseq=tx.first_oseq + first - tx.first_lseq, size=after - first, first_lseq=first)


def _rebook(connection: Connection, pieces: dict[int, list[Booked]], spare_tx: int | None) -> None:
    """Transactions that are not, or not all, in the past; the last run of each keeps its number, so that cutting on touches it once."""
    horizon = past.horizon(connection)
    for first, runs in pieces.items():
        # A transaction that lies half in the past has another number there once it was cut: that of the log counts.
        number = connection.value("SELECT tx FROM sync_tx WHERE first_lseq = ?", (first,))
        live = [run for run in runs if run.last_lseq > horizon]
        if number is None or not live:
            continue
        *before, last = live
        spare = int(connection.value("SELECT max(tx) FROM sync_tx")) + 1 if spare_tx is None else spare_tx
        connection.execute("DELETE FROM sync_tx WHERE tx = ?", (number,))
        for tx, run in [*enumerate(before, spare), (number, last)]:
            connection.execute(
                "INSERT INTO sync_tx(tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                run._replace(tx=tx),
            )
            if tx != number:
                connection.execute("UPDATE sync_log SET tx = ? WHERE lseq BETWEEN ? AND ?", (tx, run.first_lseq, run.last_lseq))
