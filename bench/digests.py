"""What it costs to compare the data of two nodes: digests brought up to date after a few changes, and computed from every row.

One table of 20 columns in a file whose digests were kept; then two-column updates spread over it, as a branch makes them between two exchanges.
Looking through some rows for what was changed past the log is part of the figures, as in every exchange.

    python bench/digests.py [ROWS]
"""

from __future__ import annotations

import sys
import time

from _company import CUSTOMER, People
from _measure import Figure, folder, office, show

from localcrm.store import digests
from localcrm.store.store import Store

#: Distinct records; a million of them would take longer to make up than to measure.
_MADE = 2_000


def measure(rows: int = 1_000_000, *, rounds: int = 5) -> list[Figure]:
    """CPU milliseconds of digests brought up to date and computed whole, and what they add to the file."""
    people = People()
    fields = list(CUSTOMER.fields.values())
    made = [tuple(f.store(row[f.key]) for f in fields) for row in (people.customer() for _ in range(min(rows, _MADE)))]
    ids = [bytes.fromhex(people.identity()) for _ in range(rows)]
    with folder() as place:
        store = office(place / "office")
        names = ", ".join(f'"{field.key}"' for field in fields)
        with store.merging() as connection:
            connection.executemany(
                f'INSERT INTO "{CUSTOMER.key}"(rid, id, {names}) VALUES (?, ?{", ?" * len(fields)})',
                ((n + 1, pk, *made[n % len(made)]) for n, pk in enumerate(ids)),
            )
        first = _spent(store, look=0)
        full = min(_spent(store, look=None) for _ in range(2))
        quiet = min(_spent(store) for _ in range(rounds))
        few = min(_after(store, ids, people, 20) for _ in range(rounds))
        many = min(_after(store, ids, people, 500) for _ in range(rounds))
        with store.read() as connection:
            kept = connection.value("SELECT coalesce(sum(length(first) + length(digest) + 8), 0) FROM sync_digest")
        store.close()
    size = f"{rows:,} rows"
    return [
        Figure(f"digests of {size}, nothing changed", quiet * 1e3, "ms", goal=50),
        Figure(f"digests of {size} after 20 changes", few * 1e3, "ms", goal=50),
        Figure(f"digests of {size} after 500 changes", many * 1e3, "ms"),
        Figure(f"digests of {size}, every row looked at", full * 1e3, "ms", goal=5_000),
        Figure(f"digests of {size} for the first time", first * 1e3, "ms", goal=5_000),
        Figure("kept for them, a row", kept / rows, "bytes"),
    ]


def _after(store: Store, ids: list[bytes], people: People, changes: int) -> float:
    with store.unit_of_work(None) as uow:
        for _ in range(changes):
            uow.update(CUSTOMER, people.rng.choice(ids).hex(), people.edit())
    return _spent(store)


def _spent(store: Store, *, look: int | None = digests.LOOK) -> float:
    start = time.process_time()
    digests.current(store, look=look)
    return time.process_time() - start


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
