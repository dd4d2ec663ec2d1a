"""Taking records out of the change log, and out of its past, as though nothing had ever been heard of them.

Each of their changes becomes an empty place of the same number, booked to nobody: the log has no hole, what surrounds it keeps its numbers
and its origin's numbers, and a change that is heard of again later is news. Whoever calls this removes the rows themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    if not changes:
        return
    gone = {change.lseq for change in changes}
    nobody = origin_of(connection, 0, b"", "")
    txs = {change.tx.first_lseq: change.tx for change in changes}
    pieces = {first: list(_pieces(tx, gone, nobody)) for first, tx in txs.items()}
    past.replace_transactions(connection, pieces, lambda lseq: lseq in gone)
    connection.executemany(
        f"UPDATE sync_log SET op = {VOID}, pk = NULL, diff = NULL, prev = NULL WHERE lseq = ?", [(lseq,) for lseq in sorted(gone)]
    )
    _rebook(connection, pieces)
    connection.executemany("DELETE FROM sync_past_row WHERE tbl = ? AND pk = ?", [(entity.no, pk) for pk in ids])
    connection.executemany("DELETE FROM sync_quarantine WHERE tbl = ? AND pk = ?", [(entity.no, pk) for pk in ids])


def _pieces(tx: Booked, gone: set[int], nobody: int) -> Iterator[Booked]:
    """A transaction cut into runs: what stays, under its origin's numbers, and what is nobody's, under the numbers of this log."""
    run: list[int] = []
    for lseq in range(tx.first_lseq, tx.last_lseq + 1):
        if run and (lseq in gone) != (run[0] in gone):
            yield _piece(tx, run, gone, nobody)
            run = []
        run.append(lseq)
    yield _piece(tx, run, gone, nobody)


def _piece(tx: Booked, run: list[int], gone: set[int], nobody: int) -> Booked:
    if run[0] in gone:
        return tx._replace(origin=nobody, first_oseq=run[0], size=len(run), first_lseq=run[0], actor=None)
    return tx._replace(first_oseq=tx.first_oseq + run[0] - tx.first_lseq, size=len(run), first_lseq=run[0])


def _rebook(connection: Connection, pieces: dict[int, list[Booked]]) -> None:
    """Transactions that are not, or not all, in the past."""
    horizon = past.horizon(connection)
    for runs in pieces.values():
        if runs[-1].last_lseq <= horizon:
            continue
        connection.execute("DELETE FROM sync_tx WHERE tx = ?", (runs[0].tx,))
        live = [run for run in runs if run.last_lseq > horizon]
        for number, run in enumerate(live):
            tx = run.tx if not number else int(connection.value("SELECT max(tx) FROM sync_tx")) + 1
            connection.execute(
                "INSERT INTO sync_tx(tx, origin, first_oseq, count, first_lseq, hlc, eff_hlc, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                run._replace(tx=tx),
            )
            if number:
                connection.execute("UPDATE sync_log SET tx = ? WHERE lseq BETWEEN ? AND ?", (tx, run.first_lseq, run.last_lseq))
