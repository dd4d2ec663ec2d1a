"""What every bench shares: figures with their goals, rotated timing, folders that vanish.

A machine is never idle, so a figure is a ratio of two works of one run wherever that is possible: both are done in turn, several times,
and the shortest CPU time of each counts.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
for place in (str(ROOT), str(HERE)):
    if place not in sys.path:
        sys.path.insert(0, place)

from localcrm.store.node import Node, save_node  # noqa: E402 -- the lines above make a script find the package
from localcrm.store.store import Store, create_store  # noqa: E402

#: Files that take minutes to build stay here between runs.
CACHE = ROOT / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: ``goal`` is its upper bound (lower when ``at_least``), None for a figure that only informs."""

    name: str
    value: float
    unit: str = "×"
    goal: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        """Say "ok" or "over"; nothing without a goal."""
        if self.goal is None:
            return ""
        return "ok" if (self.value >= self.goal if self.at_least else self.value <= self.goal) else "over"

    @property
    def shown(self) -> str:
        """The value with its unit."""
        return f"{self.value:,.{0 if self.value >= 1000 else 1 if self.value >= 100 else 2}f} {self.unit}"

    @property
    def goal_shown(self) -> str:
        """The goal with its direction."""
        return "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal:g} {self.unit}"


def show(figures: list[Figure]) -> None:
    """One line per figure."""
    for figure in figures:
        print(f"{figure.name:72} {figure.shown:>14}  {figure.goal_shown:>12}  {figure.verdict}", flush=True)


def rotated(works: Mapping[str, Callable[[], float | None]], *, rounds: int = 3) -> dict[str, float]:
    """Shortest CPU time of each work in seconds; a work may time its own part and return that instead."""
    names = list(works)
    best: dict[str, float] = {}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.process_time()
            own = works[name]()
            spent = time.process_time() - start if own is None else own
            best[name] = min(best.get(name, spent), spent)
    return best


def shortest(work: Callable[[], object], *, rounds: int = 5) -> float:
    """Shortest wall time in seconds, for what a person waits for."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory where there is such a thing, so that the disk is not what is measured."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="localcrm-bench-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def office(path: Path, *, code: str = "HQ", role: str = "office") -> Store:
    """A new data folder, of a head office unless said otherwise."""
    store = create_store(path)
    node = Node(secrets.token_bytes(16), code, code, role, 1 if role == "office" else 0, secrets.token_bytes(8), 0)  # type: ignore[arg-type]
    with store.housekeeping() as connection:
        save_node(connection, node)
    store.forget_node()
    return store


def file_size(store: Store) -> int:
    """Bytes of the data file with nothing left in its log."""
    with store._write_lock:  # noqa: SLF001 -- no other thread writes in a bench
        store._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # noqa: SLF001
    return store.path.stat().st_size


def machine() -> str:
    """The machine in general words."""
    with_cores = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return with_cores + load


def python(code: str, *arguments: str) -> dict[str, float]:
    """CPU and wall seconds of another interpreter running ``code``."""
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)  # os.times() counts in hundredths, a sixth of the shortest run
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": time.perf_counter() - started}


def save_figures(figures: list[Figure], path: Path) -> None:
    """Figures as JSON, for a script that runs in a process of its own."""
    path.write_text(json.dumps([[f.name, f.value, f.unit, f.goal, f.at_least] for f in figures]))
