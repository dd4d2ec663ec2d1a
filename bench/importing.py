"""Customers and the people there from one spreadsheet through the road of the wizard: 10,000 rows, 3 in a hundred of them bad, and once more.

Run as ``python bench/importing.py [ROWS]``.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path

from _company import People
from _measure import Figure, folder, office, show

from localcrm.domain.admin.services import set_up_office
from localcrm.kernel.schema import entity
from localcrm.ui.import_job import ImportJob

HEADERS = ("客户名称", "客户编号", "等级", "电话", "地址", "税号", "联系人", "职务", "手机", "生日", "备注")
#: Every so many rows one has a birthday that is none.
BAD_EVERY = 33


def measure(rows: int = 10_000) -> list[Figure]:
    """Seconds of the first import and of the same file again, and how often the progress bar moved."""
    with folder() as place:
        store = office(place / "office")
        actor = set_up_office(store, login="admin", name="admin", password="bench-secret-1")
        bad = _write(place / "customers.csv", rows)
        job = ImportJob(store, actor, entity("customer"), place / "customers.csv", "customers.csv")
        seconds = []
        for _turn in range(2):
            start = time.perf_counter()
            result = job.run(dry_run=False).result
            seconds.append(time.perf_counter() - start)
            assert result.failed == bad, result.errors[:3]
        assert (result.created, result.updated, result.skipped) == (0, 0, rows - bad)
        store.close()
    return [
        Figure(f"{rows:,} rows of customers with contacts, {bad} refused, wall time", seconds[0], "s", goal=30),
        Figure("the same file again, which changes nothing, wall time", seconds[1], "s", goal=30),
        Figure("rows a second", rows / seconds[0], "/s"),
    ]


def _write(path: Path, rows: int) -> int:
    """A sheet in which one customer of four has two people; returns how many rows cannot be taken."""
    people, bad = People(), 0
    with path.open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADERS)
        customer = people.customer()
        for number in range(rows):
            if number % 5 != 1:
                customer = {**people.customer(), "name": f"{people.customer()['name']}{number}"}
            is_bad = number % BAD_EVERY == BAD_EVERY - 1
            bad += is_bad
            birthday = "某年某月" if is_bad else "1988-06-01"
            company = [customer["name"], "", *(customer[key] for key in ("level", "phone", "address", "tax_no"))]
            person = [f"{customer['contact']}{number}", "采购", f"139{number:08d}", birthday]
            writer.writerow([*company, *person, customer["remark"] or ""])
    return bad


if __name__ == "__main__":
    show(measure(*map(int, sys.argv[1:])))
