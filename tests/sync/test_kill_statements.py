"""A merge that ends at any of its statements, or whose power fails at any page: before or after, and the same file finishes it.

The child is forked from a warm process and kills itself before the n-th statement, rows of one statement counted one by one. A failing
power supply is modelled by what is left of the journal: everything up to some page, or half of one.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from localcrm.store import check
from localcrm.store.connection import Connection
from localcrm.store.folder import DATABASE
from localcrm.sync import node_sync
from tests import factories
from tests.factories import Installation

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill")
#: The ordinary run tries about so many places of each kind, the long one every place.
SAMPLE = 40
WAL_HEADER, FRAME_HEADER = 32, 24


@dataclass
class Case:
    """A closed folder, and a file it has not read."""

    node: Installation
    file: Path
    states: list[tuple[object, ...]]
    """What may be found afterwards: each that a commit leaves."""
    statements: int
    commits: list[int]
    """Which of the statements are commits."""
    folder: Path

    def open(self, folder: Path) -> Installation:
        """A folder as this node, whose clock ticks as it did before."""
        node = Installation(folder, self.node.code, self.node.keys, self.node.actor, self.node.clock)
        node.store.step = self.node.store.step
        return node


def state(node: Installation) -> tuple[object, ...]:
    """Data, log, clock and cursors; conflicts by what they say, because head office gives them new ids each time it finds them."""
    tables = node_sync.digest(node.store)["tables"]
    del tables["conflict"]
    return (
        tables,
        node.rows("SELECT kind, entity, record, field, kept, lost FROM conflict ORDER BY rid"),
        node.value("SELECT max(lseq) FROM sync_log"),
        node.value("SELECT last_hlc FROM sync_ctx"),
        node.rows("SELECT origin, have_oseq, acked_oseq FROM sync_origin ORDER BY origin"),
        node.rows("SELECT node_no, recv_hseq FROM sync_peer ORDER BY node_no"),
        node.value("SELECT count(*) FROM search"),
    )


@pytest.fixture(scope="module", params=["HQ", "BR01"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """Head office with a branch's file, and a branch with head office's: records new and changed, a conflict, orders, one thrown away."""
    folder = factories.fast_folder()
    company = factories.copy_company(folder)
    hq, one, two = company.nodes
    customer = hq.new("customer", name="甲公司", phone="1")
    product, _warehouse = hq.new("product", code="P", name="布", price="9"), hq.new("warehouse", code="W", name="仓")
    company.exchange()
    two.set("customer", customer, phone="2")
    two.new("contact", customer_id=customer, name="王")
    two.run("sales.post_order", order_id=two.order(two.new("customer", name="乙公司"), product, product))
    two.delete("sales_order", two.order(customer, product))
    one.set("customer", customer, phone="3")
    company.exchange("BR01")
    node = hq if request.param == "HQ" else one
    if node is one:
        company.up("BR02")
        node_sync.pack(hq.store, hq.keys, folder / "file", for_code="BR01")
    else:
        node_sync.pack(two.store, two.keys, folder / "file")
    company.close()
    yield lived(node, folder)
    shutil.rmtree(folder, ignore_errors=True)


def lived(node: Installation, folder: Path) -> Case:
    """The case of a closed node and the file that lies in the folder, read twice: once for what it goes through, once counted."""
    case = Case(node, folder / "file", [], 0, [], folder)
    case.states = states(case, folder / "lived")
    counts = statements(case, folder / "counted")
    case.statements, case.commits = counts.passed, counts.commits
    return case


def states(case: Case, folder: Path) -> list[tuple[object, ...]]:
    """The states that reading the file goes through, one per commit."""
    shutil.copytree(case.node.folder, folder)
    node, found = case.open(folder), list[tuple[object, ...]]()
    execute = Connection.execute

    def noting(self: Connection, sql: str, params: Any = ()) -> Any:
        done = execute(self, sql, params)
        if sql == "COMMIT" and (left := state(node)) != found[-1]:
            found.append(left)
        return done

    with pytest.MonkeyPatch.context() as patched:
        found.append(state(node))
        patched.setattr(Connection, "execute", noting)
        node_sync.unpack(node.store, node.keys, case.file)
    node.store.close()
    return found


def statements(case: Case, folder: Path) -> counted:
    """The statements that reading the file takes."""
    shutil.copytree(case.node.folder, folder)
    node = case.open(folder)
    with counted(None) as counts:
        node_sync.unpack(node.store, node.keys, case.file)
    node.store.close()
    return counts


class counted:  # noqa: N801 -- reads as what it does
    """Statements and rows counted while a block runs; the process ends before the one named."""

    def __init__(self, end_before: int | None) -> None:
        self._end_before, self._patched = end_before, pytest.MonkeyPatch()
        self.passed, self.commits = 0, list[int]()

    def _step(self) -> None:
        self.passed += 1
        if self.passed == self._end_before:
            os.kill(os.getpid(), signal.SIGKILL)

    def __enter__(self) -> Self:
        run, many = Connection._run, Connection.executemany

        def running(connection: Connection, sql: str, params: Any) -> Any:
            self._step()
            if sql == "COMMIT":
                self.commits.append(self.passed)
            return run(connection, sql, params)

        def stepping(rows: Iterable[Any]) -> Iterator[Any]:
            for row in rows:
                self._step()
                yield row

        self._patched.setattr(Connection, "_run", running)
        self._patched.setattr(Connection, "executemany", lambda connection, sql, rows: many(connection, sql, stepping(rows)))
        return self

    def __exit__(self, *_error: object) -> None:
        self._patched.undo()


def killed_at(case: Case, number: int, folder: Path) -> None:
    """Read the file in a child that ends before its n-th statement, or right after the last."""
    shutil.copytree(case.node.folder, folder)
    child = os.fork()
    if not child:
        try:
            node = case.open(folder)
            with counted(number) as counts:
                node_sync.unpack(node.store, node.keys, case.file)
                if counts.passed == number - 1:
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)  # never back into the tests
    _child, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the child did not reach statement {number}"


def look(case: Case, folder: Path) -> int:
    """The folder is in one of the states that a commit leaves, and reading the file again ends in the last; returns which it was."""
    node = case.open(folder)
    try:
        found = case.states.index(state(node))
        assert node.value("SELECT applying FROM sync_ctx") == 0
        node_sync.unpack(node.store, node.keys, case.file)
        assert state(node)[:-1] == case.states[-1][:-1]
        assert check.check(node.store)["problems"] == []
    finally:
        node.store.close()
    shutil.rmtree(folder)
    return found


def end_everywhere(case: Case, step: int) -> set[int]:
    """The states in which folders killed at every so many statements, and before and after each commit, were found."""
    found = set()
    for number in sorted({*range(1, case.statements + 1, step), *case.commits, *(number + 1 for number in case.commits)}):
        killed_at(case, number, case.folder / "killed")
        found.add(look(case, case.folder / "killed"))
    return found


@pytest.mark.slow
def test_killed_at_some_statements_of_a_merge(case: Case) -> None:
    assert case.statements > 2 * SAMPLE
    assert end_everywhere(case, case.statements // SAMPLE) == set(range(len(case.states)))


@pytest.mark.soak
def test_killed_at_every_statement_of_a_merge(case: Case) -> None:
    assert end_everywhere(case, 1) == set(range(len(case.states)))


def journal(case: Case) -> tuple[Path, int]:
    """A folder whose journal still holds the whole merge, and the length of one frame of it."""
    folder = case.folder / "journal"
    shutil.rmtree(folder, ignore_errors=True)
    scratch = case.folder / "scratch"
    shutil.copytree(case.node.folder, scratch)
    node = case.open(scratch)
    node_sync.unpack(node.store, node.keys, case.file)
    shutil.copytree(scratch, folder)  # as it lies on the disk while the program runs
    size = node.value("PRAGMA page_size")
    node.store.close()
    shutil.rmtree(scratch)
    (folder / f"{DATABASE}-shm").unlink()
    return folder, FRAME_HEADER + size


def cut_everywhere(case: Case, most: int | None) -> set[int]:
    """The same for folders whose journal was cut, at pages and within them; at about so many places, or all."""
    folder, frame = journal(case)
    wal = (folder / f"{DATABASE}-wal").read_bytes()
    frames = (len(wal) - WAL_HEADER) // frame
    found = set()
    for number in range(frames, -1, -max(1, frames // most) if most else -1):
        for torn in (0, frame // 2):
            left = case.folder / "left"
            shutil.copytree(folder, left)
            (left / f"{DATABASE}-wal").write_bytes(wal[: WAL_HEADER + number * frame + torn])
            found.add(look(case, left))
    return found


@pytest.mark.slow
def test_power_fails_at_some_pages_of_the_journal(case: Case) -> None:
    assert len(cut_everywhere(case, SAMPLE // 4)) > 1


@pytest.mark.soak
def test_power_fails_at_every_page_of_the_journal(case: Case) -> None:
    assert {0, len(case.states) - 1} <= cut_everywhere(case, None)
