"""What merging a branch's work costs head office, with everything it keeps (log, totals), and the search index that follows, against writing the
same rows plainly.

Mixed changes (40 % inserts of 20 columns, 55 % two-column updates, 5 % deletions) made in a real branch file in small transactions and
taken out of it by the production extraction, in its portions. Plain: a table with the same columns and indexes and no triggers, one
transaction, ``executemany`` per kind of statement. What is taken out, mixed as it is, is compared with whole new rows as ``bench/capture.py``
writes them: 1,000 a transaction, totals kept, no capture.

    python bench/merge.py [CHANGES]
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from _company import CUSTOMER, Step, history, work
from _measure import Figure, folder, office, rotated, show
from capture import customers, write

from localcrm.store import search, search_follows
from localcrm.store.connection import WRITER_CACHE_KB, Connection
from localcrm.store.ddl import index_sqls, table_sql
from localcrm.store.store import Store
from localcrm.sync import codec
from localcrm.sync.extract import own_changes
from localcrm.sync.merge import admit


def measure(changes: int = 100_000, *, rounds: int = 5) -> list[Figure]:
    """The ratio, and changes a second of each step."""
    with folder() as place:
        transactions = list(history(changes))
        branch = office(place / "branch")
        made = work(branch, transactions)
        packed, encoding = list[bytes](), list[float]()
        best = rotated(
            {
                "extract": partial(_take_out, branch, packed, encoding),
                "plain": partial(_plain, place, transactions),
                "merge": partial(_merge, place, packed),
                "indexed": partial(_indexed, place, packed),
                "again": partial(_again, place, packed),
                "inserts": partial(_inserts, place, customers(changes)[1]),
            },
            rounds=rounds,
        )
        branch.close()
    return [
        Figure("merge / plain executemany", best["merge"] / best["plain"], goal=4),
        Figure("merge and the search index that follows it / plain executemany", best["indexed"] / best["plain"], goal=6),
        Figure("merge, changes a second", made / best["merge"], "/s"),
        Figure("plain executemany, changes a second", made / best["plain"], "/s"),
        Figure("the same batches again / first time", best["again"] / best["merge"], goal=0.2),
        Figure("extraction from the log, changes a second", made / best["extract"], "/s"),
        Figure(
            "mixed changes taken out of the log / plain inserts, a second",
            (made / best["extract"]) / (changes / best["inserts"]),
            goal=1,
            at_least=True,
        ),
        Figure("encoding and compressing, changes a second", made / min(encoding), "/s"),
    ]


def _take_out(store: Store, packed: list[bytes], encoding: list[float]) -> float:
    """CPU seconds of taking everything out of the log; and what that gives, encoded, with what encoding and compressing it took."""
    packed.clear()
    encoding.append(0.0)
    spent, position, more = 0.0, 0, True
    while more:
        start = time.process_time()
        with store.read() as connection:
            portion = own_changes(connection, 1, position)
        middle = time.process_time()
        packed.append(codec.encode_batch(portion.batch))
        codec.compress(packed[-1])
        spent += middle - start
        encoding[-1] += time.process_time() - middle
        position, more = portion.upto, portion.more
    return spent


def _inserts(place: Path, rows: list[tuple[Any, ...]]) -> float:
    spent: dict[tuple[str, str], list[float]] = {}
    write(place, "none", rows, spent, {})
    return spent["none", "insert"][0]


def _merge(place: Path, packed: list[bytes]) -> float:
    """A head office that takes everything in; only the merge itself is timed, with reading the batches."""
    store = _fresh(place)
    start = time.process_time()
    _admit(store, packed)
    spent = time.process_time() - start
    with store.read() as connection:
        assert connection.value("SELECT count(*) FROM sync_log") == sum(len(codec.decode_batch(data).changes) for data in packed)
        assert connection.value("SELECT count(*) FROM sync_quarantine") == 0
    store.close()
    return spent


def _indexed(place: Path, packed: list[bytes]) -> float:
    """The same, and the search index that follows once all of it is merged, as after an exchange by file."""
    store = _fresh(place)
    start = time.process_time()
    _admit(store, packed)
    search_follows.follow(store)
    spent = time.process_time() - start
    with store.read() as connection:
        assert search.count_rows(connection, CUSTOMER) == connection.value(f'SELECT count(*) FROM "{CUSTOMER.key}" WHERE deleted = 0')
    store.close()
    return spent


def _again(place: Path, packed: list[bytes]) -> float:
    store = _fresh(place)
    _admit(store, packed)
    start = time.process_time()
    _admit(store, packed)
    spent = time.process_time() - start
    store.close()
    return spent


def _admit(store: Store, packed: list[bytes]) -> None:
    for data in packed:
        batch = codec.decode_batch(data)
        batch.origins[0] = (2, batch.origins[0][1])
        admit(store, batch, sender_no=2, sender_code="BR01")


def _fresh(place: Path) -> Store:
    for number in range(1000):
        if not (place / f"office{number}").exists():
            return office(place / f"office{number}")
    raise AssertionError


def _plain(place: Path, transactions: list[list[Step]]) -> float:
    """The same rows, no triggers, nothing kept."""
    path = place / "plain.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    connection = Connection(path, key=None, cache_kb=WRITER_CACHE_KB)
    connection.script([table_sql(CUSTOMER), *index_sqls(CUSTOMER).values()])
    fields = list(CUSTOMER.fields.values())
    inserts: list[tuple[Any, ...]] = []
    updates: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    deletes: list[tuple[Any, ...]] = []
    for verb, identity, values in (step for steps in transactions for step in steps):
        key = bytes.fromhex(identity)
        if verb == "insert":
            inserts.append((key, *(field.store(values[field.key]) for field in fields)))
        elif verb == "update":
            updates[tuple(values)].append((*(CUSTOMER.fields[name].store(value) for name, value in values.items()), key))
        else:
            deletes.append((key,))
    start = time.process_time()
    connection.execute("BEGIN IMMEDIATE")
    names = ", ".join(f'"{field.key}"' for field in fields)
    connection.executemany(f'INSERT INTO "{CUSTOMER.key}"(id, {names}) VALUES (?{", ?" * len(fields)})', inserts)
    for columns, rows in updates.items():
        assignments = ", ".join(f'"{name}" = ?' for name in columns)
        connection.executemany(f'UPDATE "{CUSTOMER.key}" SET {assignments} WHERE id = ?', rows)
    connection.executemany(f'UPDATE "{CUSTOMER.key}" SET deleted = 1 WHERE id = ?', deletes)
    connection.execute("COMMIT")
    spent = time.process_time() - start
    connection.close()
    return spent


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
