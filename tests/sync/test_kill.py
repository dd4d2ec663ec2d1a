"""kill -9 at two hundred moments while a branch imports, posts, packs and merges: what was saved is whole, and everything still meets.

A child is forked from a warmed process, so that it starts at once, and works on a folder of its own until it is killed.
What it was told is saved it writes into a pipe; none of that may be missing afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from localcrm.domain.importing import import_rows
from localcrm.store import check
from localcrm.store.folder import DATABASE
from localcrm.sync import node_sync
from tests import factories
from tests.factories import Company, Installation

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill"), pytest.mark.slow]
KILLS = 200


def labour(node: Installation, other: Path, told: int, seed: int) -> None:
    """What the child does without end: everything that writes. ``told`` is the pipe of what was saved."""
    rng = Random(seed)
    product, warehouse = node.value("SELECT id FROM product LIMIT 1").hex(), node.value("SELECT id FROM warehouse LIMIT 1").hex()
    number = 0

    def saved(what: str) -> None:
        os.write(told, f"{what}\n".encode())

    def typing() -> None:
        customer = node.new("customer", name=f"{seed}-{number}")
        saved(f"customer {customer}")
        node.set("customer", customer, phone="1", address="2")
        node.delete("customer", node.new("customer", name=f"{seed}-{number}-x"))

    def bringing_in() -> None:
        rows = ((n, {"name": f"{seed}-{number}-{n}", "phone": "1"}) for n in range(30))
        import_rows(node.store, node.actor, entity="customer", rows=rows)

    def posting() -> None:
        order = node.order(node.value("SELECT id FROM customer WHERE deleted = 0").hex(), product, product, quantity="2")
        node.run("sales.post_order", order_id=order)
        saved(f"posted {order}")
        node.new("stock_move", product_id=product, warehouse_id=warehouse, quantity="3")
        node.run("sales.reverse_order", order_id=order)
        saved(f"reversed {order}")

    def merging() -> None:
        for file in sorted(other.glob("*.bsb")):
            node_sync.unpack(node.store, node.keys, file)
        node_sync.pack(node.store, node.keys, other / "out", for_code=None if node.code != "HQ" else "BR01")

    typing()
    while True:
        number += 1
        for work in rng.sample([typing, bringing_in, posting, merging], 4):
            work()


def fork(node_folder: Path, template: Installation, other: Path, seed: int) -> tuple[int, int]:
    """Start a child; returns its process id and the reading end of its pipe."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:  # the child never returns into the tests
        os.close(reading)
        labour(Installation(node_folder, template.code, template.keys, template.actor, template.clock), other, writing, seed)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(1)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Iterator[tuple[Company, Path]]:
    """A company with goods, closed, and a folder of exchange files that the victim has not read yet."""
    folder = factories.fast_folder()
    company = factories.copy_company(folder, branches=2)
    files = tmp_path_factory.mktemp("post")
    hq, two = company.hq, company.branches["BR02"]
    hq.new("product", code="P", name="布", price="9")
    hq.new("warehouse", code="W", name="仓")
    company.exchange()
    for number in range(40):
        customer = two.new("customer", name=f"客户{number}")
        two.run("sales.post_order", order_id=two.order(customer, two.value("SELECT id FROM product").hex()))
    node_sync.pack(two.store, two.keys, files / "up-BR02.bsb")
    company.up("BR02")
    node_sync.pack(hq.store, hq.keys, files / "down-BR01.bsb", for_code="BR01")
    company.close()
    yield company, files
    shutil.rmtree(folder, ignore_errors=True)


def story(start: tuple[Company, Path], code: str, folder: Path, seed: int, moment: float) -> set[str]:
    """One life: a copy of the company, a child that works as ``code``, its death; then everything is looked at."""
    company, files = start
    for node in company.nodes:
        shutil.copytree(node.folder, folder / node.code)
    other = folder / "post"
    other.mkdir()
    shutil.copy(files / ("down-BR01.bsb" if code == "BR01" else "up-BR02.bsb"), other / "in.bsb")
    victim = next(node for node in company.nodes if node.code == code)
    child, pipe = fork(folder / code, victim, other, seed)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    _child, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself: its own trouble is on stderr"
    with os.fdopen(pipe, "rb") as file:
        told = file.read().decode().split("\n")[:-1]
    look(company, folder, code, told)
    return {line.split()[0] for line in told}


def look(company: Company, folder: Path, code: str, told: list[str]) -> None:
    """Everything the child was told is there, every file is whole, and all can still meet."""
    nodes = {node.code: Installation(folder / node.code, node.code, node.keys, node.actor, node.clock) for node in company.nodes}
    made = Company(folder, nodes["HQ"], {name: node for name, node in nodes.items() if name != "HQ"})
    try:
        victim = nodes[code]
        assert check.check(victim.store)["problems"] == []
        assert victim.value("SELECT applying FROM sync_ctx") == 0
        for line in told:
            what, identity = line.split()
            if what == "customer":
                assert victim.value("SELECT count(*) FROM customer WHERE id = ?", bytes.fromhex(identity)) == 1
            elif what == "posted":
                assert victim.run("sales.order_with_lines", order_id=identity)["delivered"] == "all"
            else:
                assert victim.value("SELECT count(*) FROM sales_order WHERE reverses_id = ?", bytes.fromhex(identity)) == 1
        made.exchange("BR01", "BR02", "BR01")
        assert len(made.digests) == 1
        assert check.check(made.hq.store)["problems"] == []
    finally:
        made.close()


@pytest.mark.parametrize("code", ["BR01", "HQ"])
def test_killed_at_a_hundred_moments(start, code):
    rng = Random(code)
    reached: set[str] = set()
    for seed in range(KILLS // 2):
        folder = factories.fast_folder()
        try:
            reached |= story(start, code, folder, seed, moment=rng.uniform(0.005, 0.25))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    assert {"customer", "posted"} <= reached, "the child was killed before it could do anything worth killing"


def test_the_files_of_the_program_are_those_the_child_wrote(start):
    """The folder that is killed is a real data folder."""
    company, _files = start
    assert all((node.folder / DATABASE).exists() for node in company.nodes)
    assert sys.platform != "win32"
