"""The program ends at any statement with which a snapshot takes its place: all of it is there or nothing, and the same file finishes it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from localcrm.sync import node_sync, snapshot
from tests import factories
from tests.sync.test_kill_statements import SAMPLE, Case, end_everywhere, lived

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill")


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    """A branch with work of its own that nobody has seen, and head office's file with a snapshot."""
    folder = factories.fast_folder()
    company = factories.copy_company(folder)
    hq, one, _two = company.nodes
    customer, product = hq.new("customer", name="甲公司", phone="1"), hq.new("product", code="P", name="布", price="9")
    company.exchange()
    hq.set("customer", customer, phone="2")
    one.set("customer", customer, phone="3")
    one.order(one.new("customer", name="未发送"), product)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshot, "LEAST_CHANGES", 1)
        patched.setattr(snapshot, "LEAST_PART", 0)
        node_sync.pack(hq.store, hq.keys, folder / "file", for_code="BR01")
    company.close()
    yield lived(one, folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_killed_at_some_statements_of_a_swap(case: Case) -> None:
    assert case.statements > 2 * SAMPLE
    assert end_everywhere(case, 5 * case.statements // SAMPLE) == set(range(len(case.states)))


@pytest.mark.soak
def test_killed_at_every_statement_of_a_swap(case: Case) -> None:
    assert end_everywhere(case, 1) == set(range(len(case.states)))
