"""A branch that holds of orders, stock and money only its own: what it is sent, what enters its scope and what leaves it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from localcrm.domain.admin.entities import BranchHolds
from localcrm.kernel.errors import Refused
from localcrm.kernel.schema import entity
from localcrm.store import changelog
from localcrm.store.backup import backup, restore, settle_copy
from localcrm.store.node import branch_id, is_of, only_code
from localcrm.sync import compaction, exchange, extract, http, node_sync
from tests.factories import Company, Installation
from tests.sync.scoping import AT_ONCE, agree

LIMITED = ("sales_order", "sales_order_line", "stock_move", "receipt")


@pytest.fixture(autouse=True)
def warehouses(company: Company) -> dict[str, str]:
    """One at each place, known everywhere."""
    made = {
        node.code: company.hq.new("warehouse", code=node.code, name=node.code, branch_id=node.store.node.branch_id)
        for node in company.nodes
    }
    company.exchange()
    return made


@pytest.fixture
def customer(company: Company) -> str:
    identity = company.hq.new("customer", name="甲公司", phone="1")
    company.exchange()
    return identity


@pytest.fixture
def product(company: Company) -> str:
    identity = company.hq.new("product", code="P1", name="坯布", unit="米", price="9.00")
    company.exchange()
    return identity


def holds(company: Company, code: str, what: str) -> None:
    node_sync.set_holds(company.hq.store, company.hq.actor, code, BranchHolds(what))


def count(node: Installation, kind: str) -> int:
    return int(node.value(f'SELECT count(*) FROM "{kind}"'))


def history(node: Installation, order: str) -> list[tuple[Any, ...]]:
    with node.store.read() as connection:
        found = changelog.history(connection, entity("sales_order"), order)
    return [(row.at, row.node, row.field, row.old, row.new, row.first) for row in found]


def draft(node: Installation, customer: str, *products: str) -> str:
    order = node.order(customer, *products)
    node.set("sales_order", order, warehouse_id=node.value("SELECT id FROM warehouse WHERE code = ?", node.code).hex())
    return order


def posted(node: Installation, customer: str, product: str) -> str:
    order = draft(node, customer, product)
    node.run("sales.post_order", order_id=order)
    return order


def receive(node: Installation, product: str, warehouse: str, quantity: str) -> None:
    node.new("stock_move", product_id=product, warehouse_id=warehouse, quantity=quantity)


def test_a_branch_that_holds_its_own_gets_no_orders_stock_and_money_of_others(company, hq, one, two, customer, product):
    holds(company, "BR01", "own")
    company.exchange()
    mine, others = posted(one, customer, product), posted(two, customer, product)
    two.run("finance.receive_payment", order_id=others, amount="5.00")
    agree(company)
    assert [count(one, kind) for kind in LIMITED] == [1, 1, 1, 0]
    assert [count(two, kind) for kind in LIMITED] == [2, 2, 2, 1]
    assert [count(hq, kind) for kind in LIMITED] == [2, 2, 2, 1]
    assert one.get("sales_order", mine)["status"] == "posted"
    assert one.get("customer", customer)["name"] == "甲公司"


def test_head_offices_money_for_an_order_of_the_branch_arrives_there(company, hq, one, customer, product):
    holds(company, "BR01", "own")
    company.exchange()
    order = posted(one, customer, product)
    company.exchange()
    hq.run("finance.receive_payment", order_id=order, amount="5.00")
    agree(company)
    assert count(one, "receipt") == 1


def test_failure_26_what_leaves_a_branchs_scope_leaves_the_branch(company, one, two, customer, product):
    posted(two, customer, product)
    company.exchange()
    assert count(one, "sales_order") == 1
    holds(company, "BR01", "own")
    agree(company)
    assert [count(one, kind) for kind in LIMITED] == [0, 0, 0, 0]
    assert (
        one.value("SELECT count(*) FROM sync_log WHERE pk IS NOT NULL AND tbl IN (?, ?, ?)", *(entity(kind).no for kind in LIMITED[:3]))
        == 0
    )
    assert one.value("SELECT coalesce(sum(total), 0) FROM stock_on_hand") == 0
    agree(company)


def test_what_leaves_is_gone_from_the_past_too_and_comes_back_whole(company, hq, one, two, customer, product):
    order = draft(two, customer, product, product)
    lines = two.run("sales.order_with_lines", order_id=order)["lines"]
    company.exchange()
    two.run("sales.save_order", order_id=order, header={"remark": "急"}, lines=[{"id": lines[1]["id"], "quantity": "9"}])
    two.run("sales.post_order", order_id=order)
    company.exchange()
    for node in company.nodes:
        compaction.compact(node.store, AT_ONCE, pause_s=0)
    before = history(one, order)
    holds(company, "BR01", "own")
    agree(company)
    numbers = {entity(kind).no for kind in LIMITED}
    with one.store.read() as connection:
        assert [change for change in changelog.all_changes(connection) if change.table in numbers and change.pk] == []
    for node in company.nodes:
        compaction.compact(node.store, AT_ONCE, pause_s=0)
    agree(company)
    holds(company, "BR01", "all")
    agree(company)
    assert history(one, order) == history(hq, order) == before


def test_failure_27_what_enters_a_branchs_scope_arrives_however_long_ago_it_was_made(company, hq, one, two, customer, product):
    holds(company, "BR01", "own")
    company.exchange()
    order = draft(two, customer, product, product)
    company.exchange()
    lines = two.run("sales.order_with_lines", order_id=order)["lines"]
    two.run("sales.save_order", order_id=order, header={"remark": "急"}, lines=[{"id": lines[1]["id"], "quantity": "9"}])
    two.run("sales.post_order", order_id=order)
    for _ in range(3):
        agree(company)
    assert count(one, "sales_order") == 0
    holds(company, "BR01", "all")
    agree(company)
    assert [count(one, kind) for kind in LIMITED] == [count(hq, kind) for kind in LIMITED] == [1, 1, 1, 0]
    assert one.run("sales.order_with_lines", order_id=order)["lines"][0]["quantity"] == "9"
    assert history(one, order) == history(hq, order)


def test_failure_27_two_files_that_nobody_answers_bring_what_entered_in_between(company, hq, one, two, customer, product):
    """The second file begins where head office believes the branch to be; the branch is further, but was not told all of what lies between."""
    holds(company, "BR01", "own")
    posted(two, customer, product)
    company.up("BR02")
    company.down("BR01")
    assert [count(one, kind) for kind in LIMITED] == [0, 0, 0, 0]
    holds(company, "BR01", "all")
    company.down("BR01")
    assert [count(one, kind) for kind in LIMITED] == [1, 1, 1, 0]
    agree(company)


def test_a_warehouse_given_to_a_branch_brings_its_stock_along(company, hq, one, two, product):
    codes = {code: branch_id(hq.store.node.company_id, code) for code in ("HQ", "BR01", "BR02")}
    warehouse = hq.new("warehouse", code="W9", name="九号仓", branch_id=codes["BR02"])
    holds(company, "BR01", "own")
    company.exchange()
    receive(two, product, warehouse, "7")
    agree(company)
    assert count(one, "stock_move") == 0
    hq.set("warehouse", warehouse, branch_id=codes["BR01"])
    agree(company)
    assert one.value("SELECT total FROM stock_on_hand") == hq.value("SELECT total FROM stock_on_hand")
    hq.set("warehouse", warehouse, branch_id=codes["BR02"])
    agree(company)
    assert count(one, "stock_move") == 0


def test_what_a_branch_wrote_it_keeps(company, one, customer, product):
    order = posted(one, customer, product)
    company.exchange()
    holds(company, "BR01", "own")
    agree(company)
    assert one.get("sales_order", order)["status"] == "posted"


def test_changes_made_before_the_record_left_arrive_at_head_office(company, hq, one, two, customer, product):
    """The branch works on while it does not know yet that it is to hold less."""
    others = posted(two, customer, product)
    company.exchange()
    holds(company, "BR01", "own")
    mine = posted(one, customer, product)
    agree(company)
    assert count(hq, "sales_order") == 2
    assert one.value("SELECT count(*) FROM sales_order WHERE id = ?", bytes.fromhex(others)) == 0
    assert one.get("sales_order", mine)["status"] == "posted"


@pytest.mark.parametrize("seed", range(8))
def test_whatever_moves_a_branch_holds_exactly_its_scope(company, hq, warehouses, customer, product, seed):
    """Random work, transfers of warehouses and switches; after every exchange each branch holds what head office says it should."""
    chance = random.Random(seed)
    codes = {code: branch_id(hq.store.node.company_id, code) for code in ("HQ", "BR01", "BR02")}
    company.exchange()
    for _round in range(8):
        for _step in range(chance.randint(1, 4)):
            node = chance.choice(company.nodes)
            what = chance.random()
            if what < 0.4:
                order = draft(node, customer, product, product)
                if chance.random() < 0.3:
                    line = node.run("sales.order_with_lines", order_id=order)["lines"][0]
                    node.run("sales.save_order", order_id=order, header={}, lines=[{"id": line["id"], "quantity": "4"}])
                if chance.random() < 0.6:
                    node.run("sales.post_order", order_id=order)
            elif what < 0.6:
                receive(node, product, chance.choice(list(warehouses.values())), "3")
            elif what < 0.8:
                hq.set("warehouse", chance.choice(list(warehouses.values())), branch_id=codes[chance.choice(list(codes))])
            else:
                holds(company, chance.choice(("BR01", "BR02")), chance.choice(("all", "own")))
        if chance.random() < 0.5:
            compaction.compact(chance.choice(company.nodes).store, AT_ONCE, pause_s=0)
        if chance.random() < 0.5:
            company.exchange(chance.choice(("BR01", "BR02")))
        else:
            agree(company)
    agree(company)


def test_a_restored_head_office_gets_back_what_it_did_for_each_branch_alone(company, hq, one, two, customer, product, tmp_path):
    """Its own work lies in parts at the branches; what the first gives back does not hide what only the second has."""
    for code in company.branches:
        holds(company, code, "own")
    company.exchange()
    orders = [posted(node, customer, product) for node in (two, one)]
    company.exchange()
    backup(hq.store, tmp_path / "backup.zip")
    for order in orders:
        hq.run("finance.receive_payment", order_id=order, amount="5.00")
    company.exchange()
    assert [count(node, "receipt") for node in company.nodes] == [2, 1, 1]
    hq.store.close()
    restore(tmp_path / "backup.zip", tmp_path / "again")
    company.hq = Installation(tmp_path / "again", "HQ", hq.keys, hq.actor, hq.clock)
    assert settle_copy(company.hq.store)
    node_sync.take_back(company.hq.store, company.hq.actor)
    for _round in range(3):
        for code in company.branches:
            company.down(code)
            company.up(code)
    assert [count(node, "receipt") for node in company.nodes] == [2, 1, 1]
    agree(company)


def test_failure_06_a_branch_that_was_narrowed_after_the_backup_gets_nothing_it_holds_no_more(
    company, hq, one, customer, product, tmp_path
):
    """The backup says that it holds everything, so head office would go on with an order that it has let go."""
    order = draft(hq, customer, product)
    company.exchange("BR01", "BR01")
    hq.run("sales.post_order", order_id=order)
    company.down("BR01")
    backup(hq.store, tmp_path / "backup.zip")
    holds(company, "BR01", "own")
    company.exchange("BR01")
    assert count(one, "sales_order") == 0
    hq.store.close()
    restore(tmp_path / "backup.zip", tmp_path / "again")
    again = company.hq = Installation(tmp_path / "again", "HQ", hq.keys, hq.actor, hq.clock)
    assert settle_copy(again.store)
    node_sync.take_back(again.store, again.actor)
    for code in company.branches:
        assert company.down(code)["quarantined"] == 0
    assert count(one, "sales_order") == 0
    agree(company)
    holds(company, "BR01", "all")
    agree(company)
    assert count(one, "sales_order") == 1


def test_only_head_office_decides_what_a_branch_holds(company, one):
    with pytest.raises(Refused, match="总部"):
        node_sync.set_holds(one.store, one.actor, "BR02", BranchHolds.OWN)


def test_an_old_file_that_is_read_again_takes_nothing_away_and_brings_nothing_back(company, hq, one, two, customer, product, tmp_path):
    posted(two, customer, product)
    company.exchange()
    holds(company, "BR01", "own")
    node_sync.pack(hq.store, hq.keys, tmp_path / "narrow", for_code="BR01")
    node_sync.unpack(one.store, one.keys, tmp_path / "narrow")
    assert count(one, "sales_order") == 0
    company.exchange()
    holds(company, "BR01", "all")
    node_sync.pack(hq.store, hq.keys, tmp_path / "wide", for_code="BR01")
    node_sync.unpack(one.store, one.keys, tmp_path / "wide")
    node_sync.unpack(one.store, one.keys, tmp_path / "narrow")
    assert count(one, "sales_order") == 1
    company.exchange()
    holds(company, "BR01", "own")
    agree(company)
    node_sync.unpack(one.store, one.keys, tmp_path / "wide")
    assert count(one, "sales_order") == 0
    agree(company)


def test_what_entered_by_its_warehouse_arrives_also_when_the_branch_holds_everything_by_then(company, hq, one, two, warehouses, product):
    holds(company, "BR01", "own")
    company.exchange()
    receive(two, product, warehouses["BR02"], "7")
    agree(company)
    hq.set("warehouse", warehouses["BR02"], branch_id=one.store.node.branch_id)
    holds(company, "BR01", "all")
    agree(company)
    assert count(one, "stock_move") == 1


def test_what_entered_is_told_once_however_many_portions_follow(company, hq, one, two, customer, product, monkeypatch):
    holds(company, "BR01", "own")
    for _order in range(5):
        posted(two, customer, product)
    company.exchange()
    holds(company, "BR01", "all")
    for number in range(30):
        hq.set("customer", customer, phone=str(number))
    monkeypatch.setattr(http, "post_bundle", lambda _url, request, answer: node_sync.answer_bundle(hq.store, hq.keys, request, answer))
    monkeypatch.setattr(extract, "PORTION", 2)
    told, move_in = [], exchange.move_in
    monkeypatch.setattr(exchange, "move_in", lambda store, batch, *, at: told.append(len(batch.changes)) or move_in(store, batch, at=at))
    assert node_sync.run(one.store, one.keys, url="http://wire")["digest"] == "equal"
    assert count(one, "sales_order") == 5
    with hq.store.read() as connection:
        numbers = {entity(kind).no for kind in LIMITED}
        assert sum(told) == sum(change.table in numbers for change in changelog.all_changes(connection))


def test_numbers_of_a_branch_whose_code_begins_alike_are_others(company, one):
    with one.store.read() as connection:
        assert not is_of("BR010-", "BR01")
        assert [is_of(code, "BR1") for code in ("BR1", "BR1B", "BR1BXYZ", "BR10", "BR1BB", "AR1")] == [
            True, True, True, False, False, False,
        ]  # fmt: skip
        assert only_code(connection) is None
