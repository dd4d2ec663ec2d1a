"""What capturing every change costs: a table with its triggers against the same table without, and a whole save beside both.

Plain statements through ``executemany``, 1,000 rows a transaction, a table of 20 columns with the same indexes; each with its totals kept and
without search, which the unit of work writes. File growth compares the files after the inserts.

    python bench/capture.py [ROWS]
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from _company import CUSTOMER, People
from _measure import Figure, file_size, folder, office, rotated, show

from localcrm.domain import records
from localcrm.domain.admin.services import set_up_office
from localcrm.domain.policy import SYSTEM
from localcrm.kernel.schema import EntityType
from localcrm.store import ddl
from localcrm.store.store import Store

PORTION = 1_000


def measure(rows: int = 100_000, *, rounds: int = 3) -> list[Figure]:
    """Ratios of inserts, two-column updates and deletions, the growth of the file, and what a whole save takes."""
    made, stored = customers(rows)
    spent: dict[tuple[str, str], list[float]] = {}
    sizes: dict[str, int] = {}
    with folder() as place:
        works = {kind: partial(write, place, kind, stored, spent, sizes) for kind in ("none", "capture")}
        rotated(works, rounds=rounds)
        saves = min(_saves(place, made[: max(20, rows // 50)]) for _ in range(rounds))

    def ratio(step: str) -> float:
        return min(spent["capture", step]) / min(spent["none", step])

    plain = min(spent["none", "insert"]) / rows
    return [
        Figure("insert with capture / without", ratio("insert"), goal=1.5),
        Figure("two-column update with capture / without", ratio("update"), goal=2.5),
        Figure("deletion with capture / without", ratio("delete")),
        Figure("file after inserts with capture / without", sizes["capture"] / sizes["none"], goal=1.2),
        Figure("plain insert, a row", plain * 1e6, "µs"),
        Figure("whole save (checked, captured, searched, counted), a record", saves * 1e6, "µs"),
        Figure("whole save / plain insert", saves / plain),
    ]


def customers(count: int) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """So many new customers, and as they are stored."""
    people = People()
    made = [people.customer() for _ in range(count)]
    fields = list(CUSTOMER.fields.values())
    return made, [(n, bytes.fromhex(people.identity()), *(f.store(row[f.key]) for f in fields)) for n, row in enumerate(made, start=1)]


def write(place: Path, kind: str, rows: list[tuple[Any, ...]], spent: dict[tuple[str, str], list[float]], sizes: dict[str, int]) -> float:
    """Insert, update and delete rows, of kind "capture" or "none" of it; CPU seconds, by step in ``spent``, and bytes of the file after the inserts."""
    store = _store(place)
    if kind == "none":
        with store.housekeeping() as connection:
            for name in _capture_triggers(CUSTOMER):
                connection.execute(f'DROP TRIGGER "{name}"')
    names = ", ".join(f'"{key}"' for key in CUSTOMER.fields)
    total = 0.0
    for step, statement, values in (
        ("insert", f'INSERT INTO "{CUSTOMER.key}"(rid, id, {names}) VALUES (?, ?{", ?" * len(CUSTOMER.fields)})', rows),
        ("update", f'UPDATE "{CUSTOMER.key}" SET state = ?, touched = ? WHERE id = ?', [("已变更", "2026-12-01", row[1]) for row in rows]),
        ("delete", f'UPDATE "{CUSTOMER.key}" SET deleted = 1 WHERE id = ?', [(row[1],) for row in rows[::10]]),
    ):
        start = time.process_time()
        for first in range(0, len(values), PORTION):
            with store.unit_of_work(None) as uow:
                uow.connection.executemany(statement, values[first : first + PORTION])
        spent.setdefault((kind, step), []).append(time.process_time() - start)
        total += spent[kind, step][-1]
        if step == "insert":
            sizes[kind] = file_size(store)
    store.close()
    return total


def _capture_triggers(entity: EntityType) -> list[str]:
    """Every trigger but those of the totals, which a plain program would keep as well."""
    totals = tuple(total.name for total in entity.totals)
    return [name for name in ddl.trigger_sqls(entity) if not name.startswith(totals)]


def _saves(place: Path, rows: list[dict[str, Any]]) -> float:
    """CPU seconds of one customer through the road every form takes, each in a unit of work of its own."""
    store = _store(place)
    set_up_office(store, login="admin", name="admin", password="bench-secret-1")
    keys = ("name", "short_name", "phone", "level", "address", "source", "tax_no", "remark")
    values = [{key: row[key] for key in keys} for row in rows]
    start = time.process_time()
    for given in values:
        with store.unit_of_work(None) as uow:
            records.create_record(uow, SYSTEM, entity="customer", values=given)
    spent = (time.process_time() - start) / len(rows)
    store.close()
    return spent


def _store(place: Path) -> Store:
    return office(place / f"{time.monotonic_ns()}")


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
