"""Two stamps of one transaction: head office had admitted it, lost its disk, and admitted it once more before the first stamp came back.

The lower one counts, everywhere: who built on the transaction had seen it with that one at the latest, and must not lose to it. Head office
tells the branches while it takes work back; a branch that has a lower one gives the transaction back.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from localcrm.kernel.schema import entity_by_no
from localcrm.store import changelog, past
from localcrm.store.ddl import UPDATE
from localcrm.store.migrate import get_meta, set_meta
from localcrm.sync import codec, repair
from localcrm.sync.extract import of_numbers
from localcrm.sync.messages import GiveBack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from localcrm.store.connection import Connection
    from localcrm.store.past import Booked
    from localcrm.store.store import Store

    #: Part of an origin's numbers, and the stamp it has elsewhere: origin here, first number, how many, stamp.
    Stamped = tuple[int, int, int, int]
    #: The same by names that mean the same everywhere: node, epoch, first number, how many, stamp.
    Told = tuple[int, int, int, int, int]

#: Meta key of a branch: every epoch of head office that it has left for a later one.
LEFT = "office_epochs_left"
#: Meta key of head office: stamps that were admitted twice, with the one that counts (``Told``).
_COUNTS = "stamps_that_count"
#: Meta key of a branch: transactions that have a lower stamp here than at head office (node, epoch, first number, how many).
_LOWER = "lower_stamps"


def may_differ(connection: Connection) -> bool:
    """Whether this branch has known a head office that lost its disk."""
    return get_meta(connection, LEFT) is not None


def compare(connection: Connection, stamped: Iterable[Stamped], *, at_office: bool) -> None:
    """Let the lower stamp count for what is here with another one; what the other side should hear of is noted. In the caller's transaction."""
    touched: dict[int, set[bytes]] = defaultdict(set)
    for origin, first, size, stamp in stamped:
        for tx in _here(connection, origin, first, size):
            if tx.eff_hlc == stamp:
                continue
            if stamp < tx.eff_hlc:
                _settle(connection, tx, stamp, touched)
            node_no, epoch = connection.one("SELECT node_no, epoch FROM sync_origin WHERE origin = ?", (origin,)) or (0, b"")
            named = [node_no, int.from_bytes(epoch), tx.first_oseq, tx.size]
            if at_office:
                _note(connection, _COUNTS, [*named, min(stamp, tx.eff_hlc)])
            elif tx.eff_hlc < stamp:
                _note(connection, _LOWER, named)
    _follow_log(connection, touched)


def that_count(connection: Connection) -> list[Told]:
    """What head office tells the branches."""
    return [(node_no, epoch, first, size, stamp) for node_no, epoch, first, size, stamp in json.loads(_noted(connection, _COUNTS))]


def hear(store: Store, told: Sequence[Told], *, is_open: bool) -> None:
    """A branch hears which stamps count; what it gives back for that is heard of, or, where work is taken back no more, not wanted."""
    with store.read() as connection:
        waiting = json.loads(_noted(connection, _LOWER))
        if not waiting and not any(_differing(connection, told)):
            return
    known = {named[:3] for named in told}
    with store.merging() as connection:
        touched: dict[int, set[bytes]] = defaultdict(set)
        for tx, stamp in list(_differing(connection, told)):
            _settle(connection, tx, stamp, touched)
        _follow_log(connection, touched)
        set_meta(connection, _LOWER, json.dumps([named for named in waiting if is_open and tuple(named[:3]) not in known]))


def _differing(connection: Connection, told: Iterable[Told]) -> Iterator[tuple[Booked, int]]:
    for node_no, epoch, first, size, stamp in told:
        origin = connection.value("SELECT origin FROM sync_origin WHERE node_no = ? AND epoch = ?", (node_no, epoch.to_bytes(8)))
        for tx in _here(connection, origin, first, size) if origin is not None else ():
            if tx.eff_hlc != stamp:
                yield tx, stamp


def to_give_back(store: Store) -> Iterator[GiveBack]:
    """The transactions of which head office should hear a lower stamp."""
    with store.read() as connection:
        numbers = set[int]()
        for node_no, epoch, first, size in json.loads(_noted(connection, _LOWER)):
            origin = connection.value("SELECT origin FROM sync_origin WHERE node_no = ? AND epoch = ?", (node_no, epoch.to_bytes(8)))
            for tx in _here(connection, origin, first, size):
                numbers.update(range(tx.first_lseq, tx.last_lseq + 1))
        if numbers:
            yield GiveBack(codec.encode_batch(of_numbers(connection, sorted(numbers))))


def _here(connection: Connection, origin: int, first: int, size: int) -> list[Booked]:
    """The transactions here that hold some of an origin's numbers."""
    found: list[Booked] = []
    number: int | None = first
    while number is not None and number < first + size:
        tx = changelog.transaction_of(connection, origin, number)
        if tx is not None:
            found.append(tx)
            number = tx.first_oseq + tx.size
        else:
            number = connection.value(
                """SELECT min(next) FROM (SELECT min(first_oseq) AS next FROM sync_tx WHERE origin = ?1 AND first_oseq > ?2
                   UNION ALL SELECT min(first_oseq) FROM sync_past_span WHERE origin = ?1 AND first_oseq > ?2)""",
                (origin, number),
            )
    return found


def _settle(connection: Connection, tx: Booked, stamp: int, touched: dict[int, set[bytes]]) -> None:
    connection.execute("UPDATE sync_tx SET eff_hlc = ? WHERE origin = ? AND first_oseq = ?", (stamp, tx.origin, tx.first_oseq))
    past.replace_transactions(connection, {tx.first_lseq: [tx._replace(eff_hlc=stamp)]}, frozenset())
    older = past.changes(connection, tx.first_lseq - 1, tx.last_lseq)
    live = connection.all("SELECT tbl, pk, op FROM sync_log WHERE lseq BETWEEN ? AND ?", (tx.first_lseq, tx.last_lseq))
    for table, pk, op in [*((change.table, change.pk, change.op) for change in older), *live]:
        if op == UPDATE and pk is not None:
            touched[table].add(pk)


def _follow_log(connection: Connection, touched: dict[int, set[bytes]]) -> None:
    for table, pks in touched.items():
        entity = entity_by_no(table)
        if entity is not None:
            repair.follow_log(connection, entity, sorted(pks))


def _noted(connection: Connection, key: str) -> str:
    return str(get_meta(connection, key) or "[]")


def _note(connection: Connection, key: str, what: list[int]) -> None:
    """Note what is said of a transaction in the place of what was said of it before."""
    kept = [other for other in json.loads(_noted(connection, key)) if other[:3] != what[:3]]
    set_meta(connection, key, json.dumps([*kept, what]))
