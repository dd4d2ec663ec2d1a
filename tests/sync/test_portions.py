"""A merge in portions: whole transactions, the same result, and turns for others in between."""

from __future__ import annotations

import random
import threading
import time
from itertools import pairwise

import pytest

from localcrm.kernel import ports as events
from localcrm.kernel.errors import AppError, ExchangeError
from localcrm.kernel.schema import entity
from localcrm.store import check
from localcrm.store.store import Store
from localcrm.store.turns import Pace
from localcrm.sync.codec import INSERT, UPDATE, Batch, Change, Changes, Tx
from localcrm.sync.merge import admit, apply
from localcrm.sync.portions import portions
from tests.factories import Company, Installation

CUSTOMER = entity("customer")


class Steady(Pace):
    """Portions of one size, whatever they take."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def took(self, changes: int, seconds: float) -> None:
        """Learn nothing."""


@pytest.fixture
def awaited(monkeypatch):
    """Somebody always waits: no two portions share a transaction."""
    monkeypatch.setattr(Store, "is_awaited", True)


def _mixed(count: int, seed: int = 1) -> list[Change]:
    dice = random.Random(seed)
    kinds = [(10, INSERT, [(1, "a"), (2, 3)]), (10, UPDATE, [(1, "a", "b")]), (10, UPDATE, [(2, 3, 4)]), (11, INSERT, [(7, b"x" * 16)])]
    made = []
    for number in range(count):
        table, op, values = dice.choice(kinds)
        made.append(Change(table, op, number.to_bytes(16), list(values), (0, number) if number and dice.random() < 0.5 else None))
    return made


def _batch(sizes: list[int], *, hlc: list[int] | None = None) -> Batch:
    txs, oseq = [], 1
    for number, size in enumerate(sizes):
        txs.append(Tx(0, oseq, size, (hlc or range(1, 1 + len(sizes)))[number], 1, None, oseq))
        oseq += size
    return Batch([(2, 5)], txs, _mixed(sum(sizes)))


@pytest.mark.parametrize(("first", "after"), [(0, 0), (0, 1), (3, 40), (39, 60), (0, 60)])
def test_a_part_of_the_changes_is_what_it_would_be_alone(first, after):
    whole = _mixed(60)
    part = Changes.of(whole).part(first, after)
    assert list(part) == whole[first:after]
    alone = Changes.of(whole[first:after])
    assert (part.groups, part.order, part.places) == (alone.groups, alone.order, alone.places)


def test_portions_are_whole_transactions_of_about_one_size_and_leave_nothing_out():
    batch = _batch([3, 1, 2, 5, 1, 1, 3, 4, 2, 8, 1, 2] * 10)
    parts = list(portions(batch, Steady(100)))
    assert [is_last for _part, is_last in parts] == [False] * (len(parts) - 1) + [True]
    assert [tx for part, _ in parts for tx in part.txs] == batch.txs
    assert [change for part, _ in parts for change in part.changes] == list(batch.changes)
    assert all(len(part.changes) == sum(tx.count for tx in part.txs) for part, _ in parts)
    sizes = [len(part.changes) for part, _ in parts]
    assert max(sizes) <= 100 + 8
    assert min(sizes) >= 60


def test_what_was_done_at_once_stays_together_however_much_it_is():
    batch = _batch([1, 500, 1, 40, 40, 40, 1], hlc=[1, 2, 3, 4, 4, 4, 5])  # the fourth is told in pieces
    parts = [part for part, _ in portions(batch, Steady(50))]
    assert all((before.txs[-1].origin, before.txs[-1].hlc) != (after.txs[0].origin, after.txs[0].hlc) for before, after in pairwise(parts))
    assert max(len(part.changes) for part in parts) == 501
    assert any([tx.hlc for tx in part.txs if tx.hlc == 4] == [4, 4, 4] for part in parts)


def test_an_empty_batch_is_one_portion():
    assert list(portions(Batch(), Steady(10))) == [(Batch(), True)]


def _all_in_single_steps(company: Company) -> None:
    for node in company.nodes:
        node.store.pace = Steady(1)


def _events(node: Installation) -> list[int]:
    """Grows with every commit of the node: how many changes its log has."""
    heads: list[int] = []
    node.store.listen(lambda _changes: heads.append(node.value("SELECT max(lseq) FROM sync_log")))
    return heads


@pytest.mark.parametrize("waits", [True, False])
def test_merged_in_single_steps_everybody_holds_the_same(company, hq, one, two, monkeypatch, waits):
    monkeypatch.setattr(Store, "is_awaited", waits)
    shared = [hq.new("customer", name=f"共享{number}", phone="1") for number in range(3)]
    company.exchange()
    _all_in_single_steps(company)
    for number, identity in enumerate(shared):
        one.set("customer", identity, phone=f"1{number}")
        two.set("customer", identity, phone=f"2{number}", address="上海")
    one.set("customer", one.new("customer", name="新"), phone="9")
    heads = _events(hq)
    company.exchange()
    company.exchange()
    # One event more when the search index has followed; as many commits as the branches had transactions, or as there were messages.
    assert len(set(heads)) == (8 if waits else 2)
    assert len(company.digests) == 1
    assert len(hq.conflicts()) == 3
    assert one.conflicts() == two.conflicts() == hq.conflicts()
    for node in company.nodes:
        assert check.check(node.store)["problems"] == []


@pytest.mark.usefixtures("awaited")
def test_a_clerk_saves_between_two_portions(company, hq, one):
    shared = hq.new("customer", name="共享", phone="1")
    company.exchange()
    _all_in_single_steps(company)
    for number in range(4):
        one.set("customer", shared, phone=f"1{number}")
    saved: list[str] = []

    def save(told: events.Changes) -> None:
        if told.remote and len(saved) < 3:
            saved.append(hq.new("customer", name=f"总部{len(saved) + 1}"))

    hq.store.listen(save)
    company.exchange()
    company.exchange()
    assert len(saved) == 3
    makers = [node for (node,) in hq.rows("SELECT node_no FROM sync_tx JOIN sync_origin USING (origin) ORDER BY first_lseq")]
    assert makers[-7:] == [2, 1, 2, 1, 2, 1, 2]  # the clerk's work stands among the branch's
    assert len(company.digests) == 1
    assert hq.get("customer", shared)["phone"] == "13"
    assert [one.get("customer", identity)["name"] for identity in saved] == ["总部1", "总部2", "总部3"]


def test_whoever_waits_in_the_midst_of_a_merge_is_next(company, hq, one):
    company.exchange()
    for number in range(4):
        one.new("customer", name=f"客户{number}")
    clerk = threading.Thread(target=lambda: hq.new("customer", name="总部"))

    class OnceAwaited(Steady):
        def took(self, changes: int, seconds: float) -> None:
            if clerk.ident is None:
                clerk.start()
                until = time.monotonic() + 5
                while not hq.store.is_awaited and time.monotonic() < until:
                    time.sleep(0.001)

    hq.store.pace = OnceAwaited(1)
    company.exchange("BR01")
    clerk.join(5)
    makers = [node for (node,) in hq.rows("SELECT node_no FROM sync_tx JOIN sync_origin USING (origin) ORDER BY first_lseq")]
    assert makers[-5:] == [2, 1, 2, 2, 2]  # the clerk after the first portion


class _Cut(Exception):
    """The power fails."""


@pytest.mark.usefixtures("awaited")
def test_interrupted_between_portions_a_branch_goes_on_where_it_was(company, hq, one):
    hq.new("customer", name="零")
    company.exchange()
    cursor = one.value("SELECT recv_hseq FROM sync_peer WHERE node_no = 1")
    made = [hq.new("customer", name=f"客户{number}") for number in range(5)]
    one.store.pace = Steady(1)
    commits = [0]

    def cut(_changes: object) -> None:
        commits[0] += 1
        if commits[0] == 2:
            raise _Cut

    one.store.listen(cut)
    with pytest.raises(_Cut):
        company.exchange("BR01")
    assert one.value("SELECT count(*) FROM customer WHERE name LIKE '客户%'") == 2
    assert one.value("SELECT recv_hseq FROM sync_peer WHERE node_no = 1") == cursor
    company.exchange("BR01")
    assert one.value("SELECT recv_hseq FROM sync_peer WHERE node_no = 1") > cursor
    assert [one.get("customer", identity)["name"] for identity in made] == [f"客户{number}" for number in range(5)]
    assert one.value("SELECT count(*) FROM search") == hq.value("SELECT count(*) FROM search")
    company.exchange()
    assert len(company.digests) == 1
    assert check.check(one.store)["problems"] == []


@pytest.mark.usefixtures("awaited")
def test_interrupted_between_portions_head_office_goes_on_where_it_was(company, hq, one):
    made = [one.new("customer", name=f"客户{number}") for number in range(5)]
    hq.store.pace = Steady(1)
    commits = [0]

    def cut(_changes: object) -> None:
        commits[0] += 1
        if commits[0] == 2:
            raise _Cut

    hq.store.listen(cut)
    with pytest.raises(_Cut):
        company.exchange("BR01")
    assert 0 < hq.value("SELECT count(*) FROM customer WHERE name LIKE '客户%'") < 5
    company.exchange()
    company.exchange()
    assert [hq.get("customer", identity)["name"] for identity in made] == [f"客户{number}" for number in range(5)]
    assert len(company.digests) == 1


def test_the_first_portion_that_a_branch_hears_is_merged_whole(company, one):
    """Before its cursor has moved, head office does not tell it what has left its scope."""
    with one.store.housekeeping() as connection:
        connection.execute("UPDATE sync_peer SET recv_hseq = 0 WHERE node_no = 1")
    epoch = one.value("SELECT epoch FROM sync_origin WHERE node_no = 1")
    changes = [Change(CUSTOMER.no, INSERT, bytes([n]) * 16, [(2, "客户")], None) for n in (1, 2, 3)]
    txs = [Tx(0, 1000 + n, 1, n << 40, n << 40, None, 1000 + n) for n in (1, 2, 3)]
    one.store.pace = Steady(1)
    heads = _events(one)
    apply(one.store, Batch([(1, int.from_bytes(epoch))], txs, changes), from_hseq=0, to_hseq=1003)
    assert one.value("SELECT count(*) FROM customer WHERE name = '客户'") == 3
    assert len(heads) == 1


def test_a_gap_in_the_midst_is_found_before_anything_is_applied(company, hq, one):
    hq.store.pace = Steady(1)
    number, epoch, have = hq.rows("SELECT node_no, epoch, have_oseq FROM sync_origin WHERE code = 'BR01'")[0]
    changes = [Change(CUSTOMER.no, INSERT, bytes([n]) * 16, [(2, "x")], None) for n in (1, 2)]
    txs = [Tx(0, have + 1, 1, 1 << 40, 1 << 40, None, 0), Tx(0, have + 3, 1, 2 << 40, 2 << 40, None, 0)]
    before = hq.digest
    with pytest.raises(ExchangeError) as refused:
        admit(hq.store, Batch([(number, int.from_bytes(epoch))], txs, changes), sender_no=number, sender_code="BR01")
    assert refused.value.code == "gap"
    assert hq.digest == before


@pytest.mark.parametrize("waits", [True, False])
def test_people_are_told_once_of_a_deleted_parent_however_many_portions_name_it(company, hq, one, monkeypatch, waits):
    monkeypatch.setattr(Store, "is_awaited", waits)
    parent = hq.new("customer", name="甲")
    company.exchange()
    for number in range(3):
        one.new("contact", customer_id=parent, name=f"联系人{number}")
    hq.delete("customer", parent)
    hq.store.pace = Steady(1)
    company.exchange("BR01")
    assert [found["kind"] for found in hq.conflicts()] == ["parent_deleted"]


@pytest.mark.usefixtures("awaited")
def test_what_makes_a_portion_fail_leaves_those_before_it(company, hq, one, monkeypatch):
    for number in range(3):
        one.new("customer", name=f"客户{number}")
    hq.store.pace = Steady(1)
    calls = [0]
    from localcrm.sync import merge

    usual = merge.follow_up

    def fail(*arguments: object) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise AppError("disk_full", "x")
        usual(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(merge, "follow_up", fail)
    with pytest.raises(AppError):
        company.exchange("BR01")
    monkeypatch.undo()
    company.exchange()
    company.exchange()
    assert len(company.digests) == 1
