"""A log that is being cut ends at any statement, or its power fails at any page: every change is there, once, and the next run goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcrm.store import past
from localcrm.store.changelog import all_changes
from localcrm.store.check import check
from localcrm.store.folder import DATABASE
from localcrm.sync import compaction, node_sync
from tests import factories
from tests.factories import Installation
from tests.sync.test_kill_statements import FRAME_HEADER, WAL_HEADER, counted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill")
#: Steps small enough for some of them.
RULE = compaction.Rule(-(10**13), -(10**13), most=14)
SAMPLE = 12


class Case:
    """A closed folder with a log that may be cut, and what can be read of it."""

    def __init__(self, node: Installation, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.said = said(node)

    def open(self, folder: Path) -> Installation:
        """A folder as this node."""
        return Installation(folder, self.node.code, self.node.keys, self.node.actor, self.node.clock)

    def copy(self, name: str) -> Path:
        """The folder as it was."""
        return Path(shutil.copytree(self.node.folder, self.folder / name))


def said(node: Installation) -> tuple[object, ...]:
    """Data, every change, clock and cursors."""
    with node.store.read() as connection:
        changes = list(all_changes(connection))
    return (
        node_sync.digest(node.store)["tables"],
        changes,
        node.rows("SELECT * FROM sync_ctx"),
        node.rows("SELECT * FROM sync_origin"),
        node.rows("SELECT node_no, recv_hseq FROM sync_peer"),
    )


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    folder = factories.fast_folder()
    company = factories.copy_company(folder)
    hq, one, two = company.nodes
    customer = hq.new("customer", name="甲公司", phone="1")
    product = hq.new("product", code="P", name="布", price="9")
    company.exchange()
    for n in range(5):
        one.set("customer", customer, phone=f"1{n}")
        two.set("customer", customer, address=f"路{n}")
        two.order(customer, product, product)
        company.exchange()
    made = Case(hq, folder)
    company.close()
    yield made
    shutil.rmtree(folder, ignore_errors=True)


def look(case: Case, folder: Path) -> int:
    """Nothing is missing and nothing is there twice; the next run ends what this one began. Returns how far it had come."""
    node = case.open(folder)
    try:
        with node.store.read() as connection:
            reached = past.horizon(connection)
        assert said(node) == case.said
        assert check(node.store)["problems"] == []
        compaction.compact(node.store, RULE, pause_s=0)
        assert said(node) == case.said
        assert node.value("SELECT count(*) FROM sync_tx") == 1
        assert check(node.store)["problems"] == []
    finally:
        node.store.close()
    shutil.rmtree(folder)
    return reached


def end_everywhere(case: Case, most: int | None) -> set[int]:
    """Where killed runs had got to; killed at about so many statements, or at every one."""
    node = case.open(case.copy("counted"))
    with counted(None) as counts:
        compaction.compact(node.store, RULE, pause_s=0)
    node.store.close()
    shutil.rmtree(node.folder)
    reached = set()
    for number in range(1, counts.passed + 1, counts.passed // most if most else 1):
        folder = case.copy("killed")
        child = os.fork()
        if not child:
            try:
                node = case.open(folder)
                with counted(number):
                    compaction.compact(node.store, RULE, pause_s=0)
            finally:
                os._exit(0)  # never back into the tests
        _child, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the child did not reach statement {number}"
        reached.add(look(case, folder))
    return reached


@pytest.mark.slow
def test_killed_at_some_statements_of_a_compaction(case: Case) -> None:
    assert len(end_everywhere(case, SAMPLE)) > 3


@pytest.mark.soak
def test_killed_at_every_statement_of_a_compaction(case: Case) -> None:
    assert len(end_everywhere(case, None)) > 3


def cut_everywhere(case: Case, most: int | None) -> set[int]:
    """The same for folders whose journal was cut, at pages and within them."""
    node = case.open(case.copy("scratch"))
    compaction.compact(node.store, RULE, pause_s=0)
    frame = FRAME_HEADER + node.value("PRAGMA page_size")
    whole = Path(shutil.copytree(node.folder, case.folder / "journal"))  # as it lies on the disk while the program runs
    node.store.close()
    shutil.rmtree(node.folder)
    (whole / f"{DATABASE}-shm").unlink()
    wal = (whole / f"{DATABASE}-wal").read_bytes()
    frames, reached = (len(wal) - WAL_HEADER) // frame, set()
    for number in range(frames, -1, -max(1, frames // most) if most else -1):
        for torn in (0, frame // 2):
            left = Path(shutil.copytree(whole, case.folder / "left"))
            (left / f"{DATABASE}-wal").write_bytes(wal[: WAL_HEADER + number * frame + torn])
            reached.add(look(case, left))
    shutil.rmtree(whole)
    return reached


@pytest.mark.slow
def test_power_fails_at_some_pages_of_the_journal_of_a_compaction(case: Case) -> None:
    assert len(cut_everywhere(case, SAMPLE // 3)) > 1


@pytest.mark.soak
def test_power_fails_at_every_page_of_the_journal_of_a_compaction(case: Case) -> None:
    assert {0} < cut_everywhere(case, None)
