"""The program ends at any statement of an extraction, or at any piece of the file it writes: the old file or the whole new one is there, and the next one says all."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import pytest

from localcrm.store import check
from localcrm.sync import node_sync
from tests import factories
from tests.factories import Installation
from tests.sync.test_kill_statements import counted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill")
OLD = b"the file of last week"
SAMPLE = 12


@dataclass
class Case:
    """A closed folder that has something to say, whom it says it to, and how the other stands when he has read all of it."""

    teller: Installation
    listener: Installation
    folder: Path
    target: str | None
    told: str = ""
    steps: int = 0

    def copy(self, node: Installation, name: str) -> Installation:
        """A folder as this node."""
        return Installation(Path(shutil.copytree(node.folder, self.folder / name)), node.code, node.keys, node.actor, node.clock)

    def write(self, node: Installation, end_before: int | None) -> int:
        """Write the file; returns how many statements and pieces of the file that took."""
        with counted(end_before) as steps, pytest.MonkeyPatch.context() as patched:
            opened = os.fdopen
            patched.setattr(os, "fdopen", lambda *how, **more: Halting(opened(*how, **more), steps))
            node_sync.pack(node.store, node.keys, self.folder / "file", for_code=self.target)
        return steps.passed

    def heard(self, name: str) -> str:
        """Everything the other holds once he has read the file."""
        node = self.copy(self.listener, name)
        node_sync.unpack(node.store, node.keys, self.folder / "file")
        assert check.check(node.store)["problems"] == []
        digest = node.digest
        node.store.close()
        shutil.rmtree(node.folder)
        return digest


class Halting:
    """A file of which each piece is written in two halves, and either may be the last."""

    def __init__(self, file: IO[bytes], steps: counted) -> None:
        self._file, self._steps = file, steps

    def write(self, data: bytes) -> int:
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            self._file.write(half)
            self._file.flush()
            self._steps._step()
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@pytest.fixture(scope="module", params=["HQ", "BR01"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """A branch with work of its own, and head office with that of another branch; one of them writes for the other."""
    folder = factories.fast_folder()
    company = factories.copy_company(folder)
    hq, one, two = company.nodes
    customer, product = hq.new("customer", name="甲公司", phone="1"), hq.new("product", code="P", name="布", price="9", stocked=False)
    company.exchange()
    two.new("contact", customer_id=customer, name="王")
    two.run("sales.post_order", order_id=two.order(customer, product))
    company.up("BR02")
    hq.set("customer", customer, phone="2")
    one.set("customer", customer, remark="常客")
    one.run("sales.post_order", order_id=one.order(one.new("customer", name="乙公司"), product, product))
    company.close()
    whole = Case(hq, one, folder, "BR01") if request.param == "HQ" else Case(one, hq, folder, None)
    node = whole.copy(whole.teller, "whole")
    whole.steps = whole.write(node, None)
    node.store.close()
    whole.told = whole.heard("heard")
    yield whole
    shutil.rmtree(folder, ignore_errors=True)


def killed_at(case: Case, number: int) -> None:
    """Written in a child that ends before the n-th step: what is left is whole, and writing it again says the same."""
    file = case.folder / "file"
    file.write_bytes(OLD)
    folder = Path(shutil.copytree(case.teller.folder, case.folder / "killed"))
    child = os.fork()
    if not child:
        try:
            node = Installation(folder, case.teller.code, case.teller.keys, case.teller.actor, case.teller.clock)
            if case.write(node, number) == number - 1:
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(0)  # never back into the tests
    _child, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the child did not reach step {number}"
    if file.read_bytes() != OLD:
        assert case.heard("heard") == case.told, number
    node = Installation(folder, case.teller.code, case.teller.keys, case.teller.actor, case.teller.clock)
    assert check.check(node.store)["problems"] == []
    case.write(node, None)
    node.store.close()
    assert case.heard("heard") == case.told, number
    shutil.rmtree(folder)


@pytest.mark.slow
def test_killed_at_some_steps_of_an_extraction(case: Case) -> None:
    assert case.steps > 2 * SAMPLE
    for number in (*range(1, case.steps, case.steps // SAMPLE), case.steps, case.steps + 1):
        killed_at(case, number)


@pytest.mark.soak
def test_killed_at_every_step_of_an_extraction(case: Case) -> None:
    for number in range(1, case.steps + 2):
        killed_at(case, number)
