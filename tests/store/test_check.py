"""The data doctor sees each kind of damage, and mends what can be computed anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcrm.store.check import check
from localcrm.store.connection import Connection
from tests.factories import Installation, company


@pytest.fixture
def office() -> Iterator[Installation]:
    """A head office with a posted order, its money and some changes."""
    with company(branches=1) as opened:
        hq = opened.hq
        customer = hq.new("customer", name="甲公司", level="deal")
        hq.set("customer", customer, phone="13800001111")
        product, _warehouse = hq.new("product", code="A", name="雪纺", price="10"), hq.new("warehouse", code="W", name="仓库")
        for _ in range(3):
            hq.run("sales.post_order", order_id=hq.order(customer, product, quantity="3"))
        opened.exchange()
        yield hq


def codes(office: Installation) -> set[str]:
    document = check(office.store)
    assert document["ok"] is not document["problems"] or document["problems"] == []
    return {problem["code"] for problem in document["problems"]}


def damage(office: Installation, *statements: str) -> None:
    """Write past every rule, as a broken disk or a stranger's tool would."""

    def write(connection: Connection) -> None:
        connection.execute("UPDATE sync_ctx SET applying = 1")
        for statement in statements:
            connection.execute(statement)
        connection.execute("UPDATE sync_ctx SET applying = 0")

    with office.store.housekeeping() as connection:
        write(connection)


def test_a_sound_folder_has_no_problem(office) -> None:
    assert check(office.store) == {"ok": True, "problems": []}


DAMAGES = {
    "a value changed past the log": (["UPDATE customer SET phone = '1'"], {"replay_differs"}),
    "a row added past the log": (["INSERT INTO customer(id, name) VALUES (zeroblob(16), 'x')"], {"row_not_logged", "search_index"}),
    "a row removed": (["DELETE FROM warehouse"], {"row_lost", "orphan"}),
    "a log row removed": (["DELETE FROM sync_log WHERE lseq = (SELECT max(lseq) FROM sync_log)"], {"log_hole"}),
    "a transaction removed": (["DELETE FROM sync_tx WHERE tx = (SELECT min(tx) FROM sync_tx)"], {"log_hole", "sequence_hole"}),
    "a total altered": (["UPDATE stock_on_hand SET total = 0"], {"wrong_total"}),
    "an index entry lost": (["DELETE FROM search WHERE rowid = (SELECT max(rowid) FROM search)"], {"search_index"}),
    "a trigger altered": (["DROP TRIGGER customer_upd"], {"wrong_trigger"}),
    "a trigger added": (["CREATE TRIGGER own AFTER INSERT ON customer BEGIN SELECT 1; END"], {"wrong_trigger"}),
    "an index dropped": (['DROP INDEX "customer__name"'], {"missing_index"}),
    "an amount altered": (["UPDATE sales_order SET gross = gross + 1 WHERE number LIKE '%-0001'"], {"document_total"}),
    "a number given twice": (["UPDATE sales_order SET number = replace(number, '-0002', '-0001')"], {"number_twice", "number_gap"}),
    "a number left out": (["UPDATE sales_order SET number = replace(number, '-0003', '-0004')"], {"number_gap"}),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_each_damage_is_seen(office, case) -> None:
    statements, expected = DAMAGES[case]
    damage(office, *statements)
    assert expected <= codes(office)


@pytest.mark.parametrize("case", ["a total altered", "an index entry lost", "a trigger altered", "a trigger added", "an index dropped"])
def test_what_is_derived_is_mended(office, case) -> None:
    damage(office, *DAMAGES[case][0])
    assert check(office.store, repair=True) == {"ok": True, "problems": []}
    assert check(office.store) == {"ok": True, "problems": []}


def test_what_is_not_derived_stays_reported(office) -> None:
    damage(office, "UPDATE customer SET phone = '1'")
    assert check(office.store, repair=True)["ok"] is False
    assert office.value("SELECT phone FROM customer") == "1"


def test_many_problems_of_a_kind_are_listed_up_to_twenty(office) -> None:
    damage(office, *(f"CREATE TRIGGER own{n} AFTER INSERT ON customer BEGIN SELECT 1; END" for n in range(30)))
    assert len(check(office.store)["problems"]) == 20
