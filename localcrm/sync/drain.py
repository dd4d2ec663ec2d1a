"""What was kept aside because it was not understood is applied once it is: after an update of the program, or once fields were defined.

Each change is merged with the stamp and the author it was admitted with, by the same rules as when it came. Portions of whole
transactions are one transaction each, so whoever is killed in the midst goes on the next time. At head office a change moves to the end
of the log and so reaches those branches that have passed its place (ADR 0027).
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from localcrm import __version__
from localcrm.domain.admin.after_merge import TriedAgain
from localcrm.domain.people import signing
from localcrm.kernel.clock import stamp_time
from localcrm.kernel.schema import entity_by_no
from localcrm.store import changelog, erase, eventlog
from localcrm.store.migrate import get_meta, set_meta
from localcrm.store.node import OFFICE_NO, branch_id
from localcrm.store.shapes import SHAPING
from localcrm.sync import held
from localcrm.sync.codec import Batch, Tx
from localcrm.sync.held import AWAITED, Awaited, Held
from localcrm.sync.known import Sender
from localcrm.sync.merge import Found, Report, follow_up, try_again

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

#: About so many changes are tried in one transaction; those of one transaction stay together.
PORTION = 500
#: Meta key: what the program and the file knew when everything kept aside was tried last.
_TRIED = "held.tried"


def is_wanted(store: Store) -> bool:
    """Whether something is kept aside that was not understood, and more is known here than when it was tried last."""
    with store.read() as connection:
        if get_meta(connection, _TRIED) == _knowledge(connection):
            return False
        return connection.one(f"SELECT 1 FROM sync_quarantine WHERE {AWAITED} LIMIT 1") is not None


def carry_out(store: Store) -> Report:
    """Apply what is understood by now; what it defines may let more be understood. Nothing to do costs next to nothing."""
    report = Report()
    while is_wanted(store):
        _try_all(store, report)
    if report.applied and not store.node.is_office:
        signing.examine(store)
    return report


def _knowledge(connection: Connection) -> str:
    return f"{__version__} {get_meta(connection, 'ddl')!s}"


def _try_all(store: Store, report: Report) -> None:
    """One pass over all that is kept aside, which ends early where fields were defined meanwhile."""
    with store.read() as connection:
        known, places = _knowledge(connection), _places(connection)
    awaited = Awaited()
    for portion in _portions(places):
        with store.merging() as connection:
            if _knowledge(connection) != known:
                return
            report.add(_try_portion(store, connection, portion, awaited))
    with store.housekeeping() as connection:
        set_meta(connection, _TRIED, known)


def _places(connection: Connection) -> list[tuple[int, int, int]]:
    """Transaction, origin and number of what is kept aside, in the order of the log."""
    found = []
    for origin, oseq in connection.all(f"SELECT origin, oseq FROM sync_quarantine WHERE {AWAITED}"):
        tx = changelog.transaction_of(connection, origin, oseq)
        if tx is not None:
            found.append((tx.first_lseq, origin, oseq))
    return sorted(found)


def _portions(places: list[tuple[int, int, int]]) -> Iterator[list[tuple[int, int]]]:
    portion: list[tuple[int, int]] = []
    for _tx, members in groupby(places, key=itemgetter(0)):
        portion += [(origin, oseq) for _tx, origin, oseq in members]
        if len(portion) >= PORTION:
            yield portion
            portion = []
    if portion:
        yield portion


def _try_portion(store: Store, connection: Connection, places: list[tuple[int, int]], awaited: Awaited) -> Report:
    before, report, found = changelog.head(connection), Report(), Found()
    tried: list[Held] = []
    for place in places:
        change = held.find(connection, *place)
        if change is not None and not change.is_understood:
            awaited.add(change.change.pk)
        elif change is not None:  # else another program was faster
            tried.append(change)
    tables = {one.change.table for one in tried}
    if signing.concerns(tables) and not store.node.is_office:
        signing.put_back(store, connection)
    for origin, members in groupby(tried, key=lambda one: one.origin):
        run = list(members)
        sender = _sender(store, connection, origin)
        batch = _batch(connection, run)
        done, left = try_again(store, connection, batch, sender, awaited, found)
        report.add(done)
        for one, tx in zip(run, batch.txs, strict=True):
            reason = left.get((one.origin, one.oseq))
            _note(connection, one, reason)
            if sender and reason != one.reason:
                found.tried_again.append(_told(one, tx, sender, reason))
    if report.applied:
        _log(store, connection, report)
    follow_up(store, connection, report, found)
    erase.carry_out_since(store, connection, before)
    if signing.concerns(tables) and not store.node.is_office:
        signing.take_over(store, connection)
    if any((kind := entity_by_no(no)) is not None and kind.key in SHAPING for no in tables):
        store.reshape()
    return report


def _sender(store: Store, connection: Connection, origin: int) -> Sender | None:
    """At head office the branch that a change came from; None for what head office, now or before a restore, has admitted."""
    node_no, code = connection.one("SELECT node_no, code FROM sync_origin WHERE origin = ?", (origin,)) or (OFFICE_NO, "")
    if not store.node.is_office or node_no == OFFICE_NO:
        return None
    code = str(connection.value("SELECT code FROM sync_peer WHERE node_no = ?", (node_no,)) or code)
    return Sender(node_no, code, bytes.fromhex(branch_id(store.node.company_id, code)))


def _batch(connection: Connection, run: Sequence[Held]) -> Batch:
    """Changes of one origin as they came, each a transaction of its own."""
    batch = Batch(origins=[_identity(connection, run[0].origin)])
    changes = []
    for one in run:
        tx = changelog.transaction_of(connection, one.origin, one.oseq)
        assert tx is not None
        batch.txs.append(Tx(0, one.oseq, 1, tx.hlc, tx.eff_hlc, tx.actor, 0))
        changes.append(one.change._replace(prev=_prev(batch, one)))
    batch.changes = changes
    return batch


def _identity(connection: Connection, origin: int) -> tuple[int, int]:
    node_no, epoch = connection.one("SELECT node_no, epoch FROM sync_origin WHERE origin = ?", (origin,)) or (0, b"")
    return node_no, int.from_bytes(epoch)


def _prev(batch: Batch, one: Held) -> tuple[int, int] | None:
    """The predecessor as a place in the batch; nobody builds on what he did only later, or a chain of such would have no end."""
    if one.prev is None:
        return None
    node_no, epoch, oseq = one.prev
    if (node_no, epoch) not in batch.origins:
        batch.origins.append((node_no, epoch))
    index = batch.origins.index((node_no, epoch))
    return None if index == 0 and oseq >= one.oseq else (index, oseq)


def _note(connection: Connection, one: Held, reason: str | None) -> None:
    if reason is None:
        connection.execute("DELETE FROM sync_quarantine WHERE origin = ? AND oseq = ?", (one.origin, one.oseq))
    else:
        again = "UPDATE sync_quarantine SET reason = ?, tries = tries + 1 WHERE origin = ? AND oseq = ?"
        connection.execute(again, (reason, one.origin, one.oseq))


def _told(one: Held, tx: Tx, sender: Sender, reason: str | None) -> TriedAgain:
    """What the conflict about a change says that was kept aside, as ``Conflicts.note_quarantined`` wrote it, and what became of it."""
    return TriedAgain(one.change.pk.hex(), sender.code, stamp_time(tx.eff_hlc), one.reason, reason)


def _log(store: Store, connection: Connection, report: Report) -> None:
    now, detail = store.clock.now_ms(), f"applied={report.applied}"
    eventlog.append(connection, at=now, kind="held_applied", detail=detail, sign=store.sign_log)
