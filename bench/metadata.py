"""What is kept beside the data for history and exchange, before and after the log is cut; and how long a step of that takes.

Mixed changes of a branch (inserts, two-column updates, deletions) in transactions of one to five, all of them old enough. Bytes by the page,
of tables with their indexes: data are the customers alone, metadata everything of the log and its past but the packed history itself.

    python bench/metadata.py [CHANGES]
"""

from __future__ import annotations

import gc
import shutil
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from statistics import median

from _company import CUSTOMER, history, work
from _measure import Figure, file_size, folder, office, show

from localcrm.store import past
from localcrm.store.folder import DATABASE
from localcrm.store.store import Store
from localcrm.sync import compaction

LOG = ("sync_log", "sync_tx", "sync_past_row", "sync_past_span")
#: However young.
RULE = compaction.Rule(-(10**13), -(10**13))


def measure(changes: int = 100_000) -> list[Figure]:
    """Ratios of bytes before and after, bytes a change in the history, and the CPU and wall time of a step."""
    with folder() as place:
        store = office(place / "HQ")
        done = work(store, history(changes))
        before = _sizes(store)
        steps, walls, moved = [], [], 1
        gc.collect()
        gc.freeze()  # what the bench itself has made is not looked through during a step
        while moved:
            start, wall = time.process_time(), time.perf_counter()
            moved = compaction.compact_some(store, RULE)
            steps.append((time.process_time() - start) * 1e3)
            walls.append((time.perf_counter() - wall) * 1e3)
        gc.unfreeze()
        after = _sizes(store)
        packed = after["sync_past"]
        asked = _asked(store)
        store.close()
    ratio = sum(after[name] for name in LOG) / after[CUSTOMER.key]
    return [
        Figure("metadata without history / data, after the log was cut", ratio, goal=0.35),
        Figure("metadata / data before", sum(before[name] for name in LOG) / before[CUSTOMER.key]),
        Figure("history / data", packed / after[CUSTOMER.key]),
        Figure("history, a change", packed / done, "B"),
        Figure("log before, a change", (before["sync_log"] + before["sync_tx"]) / done, "B"),
        Figure(f"a step of {past.CHUNK} changes", median(steps), "ms", goal=25),
        Figure("the longest step", max(steps), "ms", goal=50),
        Figure("a step by the clock on the wall", median(walls), "ms"),
        Figure("the longest step by the clock on the wall", max(walls), "ms"),
        Figure("history of one record out of the past", asked, "ms"),
    ]


def _sizes(store: Store) -> dict[str, int]:
    """Bytes of each table with its indexes; the library of the language can tell, of a copy."""
    file_size(store)  # nothing is left in the journal
    copy = Path(shutil.copy(store.path, store.folder / f"copy-{DATABASE}"))
    with closing(sqlite3.connect(copy)) as connection:
        query = "SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_master m USING (name) GROUP BY 1"
        found: dict[str, int] = dict(connection.execute(query).fetchall())
    copy.unlink()
    return found


def _asked(store: Store) -> float:
    """Milliseconds for all changes of a record that was changed as often as any, half of such records."""
    times = []
    with store.read() as connection:
        counted = Counter(change.pk for change in past.changes(connection) if change.pk)
        for pk, _count in counted.most_common(20):
            start = time.perf_counter()
            past.changes_of(connection, CUSTOMER.no, [pk])
            times.append((time.perf_counter() - start) * 1e3)
    return median(times)


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
