"""Every bench, one after the other, and the table of their figures in bench/RESULTS.md.

python bench/run_all.py [NAME ...]      only these, without writing the table
"""

from __future__ import annotations

import datetime
import importlib
import sys
import time
from pathlib import Path

from _measure import Figure, machine, show

BENCHES = (
    "capture",
    "merge",
    "digests",
    "snapshot",
    "exchange",
    "bundles",
    "metadata",
    "posting",
    "importing",
    "commands",
    "scale",
    "queries",
    "workbench",
    "finding",
    "rights",
    "calls",
    "start",
)
TITLES = {
    "capture": "Capture of every change",
    "merge": "Merge",
    "digests": "Comparing all data after an exchange",
    "snapshot": "Snapshot of head office's data",
    "exchange": "Exchange",
    "bundles": "Size of what travels",
    "metadata": "What is kept beside the data",
    "posting": "Posting",
    "importing": "Import",
    "commands": "Commands",
    "scale": "Waiting at a thousand, a hundred thousand and a million customers",
    "queries": "Lists of customers narrowed by questions",
    "workbench": "The workbench in Chromium",
    "finding": "The search centre",
    "rights": "What rights cost a list",
    "calls": "Whose number it is",
    "start": "Start, size, memory",
}


def main(names: list[str]) -> int:
    """Run and print; without names also write the table."""
    results: dict[str, list[Figure]] = {}
    for name in names or BENCHES:
        began = time.perf_counter()
        print(f"\n{TITLES[name]}", flush=True)
        results[name] = importlib.import_module(name).measure()
        show(results[name])
        print(f"({time.perf_counter() - began:.0f} s)", flush=True)
    if not names:
        Path(__file__).with_name("RESULTS.md").write_text(table(results), encoding="utf-8")
    return sum(figure.verdict == "over" for figures in results.values() for figure in figures)


def table(results: dict[str, list[Figure]]) -> str:
    """The figures as Markdown."""
    lines = [
        "# Figures",
        "",
        f"Taken {datetime.date.today().isoformat()} on {machine()}, with `make bench`. Files in memory where there is such a thing;",
        "ratios compare two works of one run, each the shortest CPU time of several turns; times of a page are wall time.",
    ]
    for name, figures in results.items():
        first = (importlib.import_module(name).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        lines += ["", f"## {TITLES[name]}", "", first, "", "| Figure | Measured | Goal | |", "|---|---:|---:|---|"]
        lines += [f"| {f.name} | {f.shown} | {f.goal_shown} | {f.verdict} |" for f in figures]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
