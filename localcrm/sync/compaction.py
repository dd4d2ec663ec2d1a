"""What may leave the change log for its past (``store.past``), and the work of moving it.

A change may leave when it is older than KEEP_MS and nobody waits for it any more: at a branch what head office has acknowledged, at head
office what every branch that is not closed has received. A branch that is silent does not hold the log up for ever: what is older than the
company's ``silent_days`` leaves all the same, and a branch that has not received it is *stale*. Nothing is lost to it. Its own work is taken
in as ever, since the past keeps every stamp and every deletion; and what it has missed is read out of the past, unless so much is
missing that a snapshot pays (``sync.snapshot``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from localcrm.domain.options.company import company_number
from localcrm.store import past, search_follows

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.store.store import Store

DAY_MS = 24 * 3600 * 1000
#: Younger changes stay in the log: what people look at and exchange is found there fastest.
KEEP_MS = 30 * DAY_MS
#: Between two steps whoever waits to write gets his turn.
PAUSE_S = 0.005


@dataclass(frozen=True, slots=True)
class Moved:
    """What a run did: how many changes it moved, and the number of the newest change that is no longer in the log."""

    changes: int
    horizon: int

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return {"moved": self.changes, "horizon": self.horizon}


@dataclass(frozen=True, slots=True)
class Rule:
    """How old a change must be, how long silent branches are waited for (None: as the company says), how many changes a step moves."""

    keep_ms: int = KEEP_MS
    patience_ms: int | None = None
    most: int = past.CHUNK


BY_THE_BOOK = Rule()


def compact(store: Store, rule: Rule = BY_THE_BOOK, *, pause_s: float = PAUSE_S, most_s: float = inf) -> Moved:
    """Move all that may leave the log, or what of it can be moved in so many seconds; in steps of some milliseconds with a commit each."""
    moved, until = 0, time.monotonic() + most_s
    while time.monotonic() < until and (step := compact_some(store, rule)):
        moved += step
        time.sleep(pause_s)
    with store.read() as connection:
        return Moved(moved, past.horizon(connection))


def compact_some(store: Store, rule: Rule = BY_THE_BOOK) -> int:
    """One step; returns how many changes it moved."""
    with store.housekeeping() as connection:
        return past.compact(connection, safe_point(store, connection, rule), most=rule.most)


def safe_point(store: Store, connection: Connection, rule: Rule = BY_THE_BOOK) -> int:
    """Number up to which changes may leave the log in the next step; not above ``horizon`` when none may.

    It is worked out anew for every step, from what stands in the same transaction: what was cut and what may still be asked for as a change
    of the log are the two sides of one number, ``horizon``.
    """
    horizon, now = past.horizon(connection), store.clock.now_ms()
    window = (horizon, horizon + rule.most)
    settled = min(
        _before(connection, window, "t.eff_hlc >= ?", now - rule.keep_ms << 16),
        _before(connection, window, _UNSENT, store.node.node_no),
        (search_follows.first_awaited(connection) or window[1] + 1) - 1,
    )
    if not store.node.is_office:
        return settled
    heard = connection.value("SELECT min(recv_hseq) FROM sync_peer WHERE state = 'active'")
    if heard is None or heard >= settled:
        return settled
    patience = company_number(connection, store.node, "silent_days") * DAY_MS if rule.patience_ms is None else rule.patience_ms
    return max(int(heard), min(settled, _before(connection, window, "t.eff_hlc >= ?", now - patience << 16)))


#: Made here and not acknowledged. Head office acknowledges itself nothing: its branches have what they have received.
_UNSENT = "t.first_oseq + t.count - 1 > o.acked_oseq AND o.node_no = ? AND o.node_no <> 1"


def _before(connection: Connection, window: tuple[int, int], condition: str, value: int) -> int:
    """Number of the last change in a part of the log before the first transaction there of which a condition holds."""
    found = connection.value(
        f"""SELECT min(t.first_lseq) FROM sync_tx t JOIN sync_origin o ON o.origin = t.origin
            WHERE t.first_lseq > ? AND t.first_lseq <= ? AND {condition}""",
        (*window, value),
    )
    return window[1] if found is None else int(found) - 1


def is_stale(connection: Connection, received: int) -> bool:
    """Whether whoever has received head office's log up to a number lacks changes that have left it."""
    return received < past.horizon(connection)


def waiting_in_past(connection: Connection, received: int, node_no: int) -> int:
    """How many changes that have left the log a branch has not received, but for its own."""
    return int(
        connection.value(
            """SELECT coalesce(sum(min(s.count, s.first_lseq + s.count - 1 - ?1)), 0) FROM sync_past_span s
               JOIN sync_origin o ON o.origin = s.origin WHERE s.first_lseq + s.count - 1 > ?1 AND o.node_no <> ?2""",
            (received, node_no),
        )
    )


def kinds_in_past(connection: Connection, received: int, node_no: int) -> dict[int, int]:
    """The same by number of table."""
    own = {row[0] for row in connection.all("SELECT origin FROM sync_origin WHERE node_no = ?", (node_no,))}
    counts: dict[int, int] = {}
    for change in past.changes(connection, received):
        if change.tx.origin not in own:
            counts[change.table] = counts.get(change.table, 0) + 1
    return counts
