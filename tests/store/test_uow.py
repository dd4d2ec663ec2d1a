"""The unit of work: row and change record together or not at all, and a log from which the rows can be made again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from localcrm.kernel.errors import InvalidInput, NotFound, Refused, StaleRecord, StoreError
from localcrm.kernel.ids import new_id
from localcrm.kernel.ports import Changes
from localcrm.kernel.schema import Kind, entities, entity, entity_by_no
from localcrm.store.ddl import DELETED_NO, GONE, INSERT, UPDATE
from localcrm.sync.extract import own_changes
from tests import factories
from tests.factories import Installation

CUSTOMER, CONTACT, ORDER, LINE = entity("customer"), entity("contact"), entity("sales_order"), entity("sales_order_line")


@pytest.fixture
def hq() -> Iterator[Installation]:
    with factories.company(branches=1) as company:
        yield company.hq


def state(node: Installation) -> tuple[Any, ...]:
    return node.digest, node.rows("SELECT * FROM sync_log"), node.rows("SELECT * FROM sync_tx"), node.rows("SELECT * FROM sync_ctx")


def test_a_transaction_that_fails_leaves_nothing(hq):
    before = state(hq)
    with pytest.raises(ZeroDivisionError), hq.store.unit_of_work(hq.actor.user_id) as uow:  # noqa: PT012 -- fails at its end
        uow.insert(CUSTOMER, CUSTOMER.validate({"name": "甲"}))
        uow.next_number("C-HQ", "")
        raise ZeroDivisionError
    assert state(hq) == before
    assert hq.value("SELECT count(*) FROM number_series") == 0


def test_a_transaction_that_changes_nothing_leaves_no_trace(hq):
    before = state(hq)
    with hq.store.unit_of_work(hq.actor.user_id):
        pass
    assert state(hq) == before


def test_a_transaction_is_booked_with_author_stamp_and_numbers_without_a_hole(hq):
    for number in range(3):
        with hq.store.unit_of_work(hq.actor.user_id) as uow:
            for part in range(number + 1):
                uow.insert(CUSTOMER, CUSTOMER.validate({"name": f"{number}-{part}"}))
    rows = hq.rows("SELECT first_oseq, count, first_lseq, actor, hlc, eff_hlc FROM sync_tx ORDER BY tx DESC LIMIT 3")[::-1]
    start, first_lseq = rows[0][0], rows[0][2]
    assert [row[:3] for row in rows] == [(start, 1, first_lseq), (start + 1, 2, first_lseq + 1), (start + 3, 3, first_lseq + 3)]
    assert {row[3].hex() for row in rows} == {hq.actor.user_id}
    assert rows[0][4] < rows[1][4] < rows[2][4]
    assert all(row[4] == row[5] for row in rows)


def test_the_event_comes_after_the_commit_and_names_what_changed(hq):
    heard: list[tuple[Changes, int]] = []
    hq.store.listen(lambda changes: heard.append((changes, hq.value("SELECT count(*) FROM customer"))))
    customer = hq.new("customer", name="甲")
    hq.set("customer", customer, phone="1")
    with pytest.raises(ZeroDivisionError), hq.store.unit_of_work(None) as uow:  # noqa: PT012 -- fails at its end
        uow.insert(CUSTOMER, CUSTOMER.validate({"name": "乙"}))
        raise ZeroDivisionError
    (first, count), (second, _count) = heard
    assert (first.ids, first.remote, count) == ({"customer": frozenset({customer})}, False, 1)
    assert second.fields == {"customer": frozenset({"phone"})}
    assert second.touches("customer", customer)
    assert not second.touches("contact")


def test_a_merge_raises_the_same_event_marked_remote():
    with factories.company(branches=1) as company:
        heard: list[Changes] = []
        company.hq.store.listen(heard.append)
        customer = company.branches["BR01"].new("customer", name="甲")
        company.up("BR01")
        merged, indexed = heard  # lists that show what a search finds look again
        assert (merged.ids, merged.remote) == ({"customer": frozenset({customer})}, True)
        assert ({kind: ids for kind, ids in indexed.ids.items() if ids}, indexed.remote) == (merged.ids, merged.remote)


def test_what_another_program_wrote_is_noticed_once(hq):
    other = Installation(hq.folder, "HQ", hq.keys, hq.actor, hq.clock)
    heard: list[Changes] = []
    hq.store.listen(heard.append)
    customer = other.new("customer", name="甲")
    other.store.close()
    assert hq.store.notice_other_programs() is not None
    assert hq.store.notice_other_programs() is None
    assert [changes.ids for changes in heard] == [{"customer": frozenset({customer})}]


def test_a_stale_save_is_refused_with_the_difference(hq):
    customer = hq.new("customer", name="甲", phone="1")
    with hq.store.unit_of_work(None) as uow:
        version = uow.get(CUSTOMER, customer)["version"]
    hq.set("customer", customer, phone="2")
    with pytest.raises(StaleRecord) as refused, hq.store.unit_of_work(None) as uow:
        uow.update(CUSTOMER, customer, {"phone": "3", "name": "甲"}, version=version)
    assert refused.value.differences == [("phone", "3", "2")]
    assert hq.get("customer", customer)["phone"] == "2"


def test_a_record_that_is_not_there_is_named(hq):
    with pytest.raises(NotFound), hq.store.unit_of_work(None) as uow:
        uow.update(CUSTOMER, "0" * 32, {"phone": "3"})


def test_a_branch_that_is_not_enrolled_cannot_write(tmp_path):
    from localcrm.store.node import Node, save_node
    from localcrm.store.store import create_store

    store = create_store(tmp_path / "new")
    with store.housekeeping() as connection:
        save_node(connection, Node(b"c" * 16, "BR01", "新店", "branch", 0, b"e" * 8, 0))
    with pytest.raises(Refused) as refused, store.unit_of_work(None) as uow:
        uow.insert(CUSTOMER, CUSTOMER.validate({"name": "甲"}))
    assert refused.value.code == "not_enrolled"
    store.close()


# the log says the same as the rows --------------------------------------------------------------------------------------------


def replay(node: Installation) -> dict[int, dict[bytes, dict[int, Any]]]:
    """Every table made again from what the log would send."""
    tables: dict[int, dict[bytes, dict[int, Any]]] = {}
    position, more = 0, True
    with node.store.read() as connection:
        origin = connection.value("SELECT origin FROM sync_ctx")
        while more:
            portion = own_changes(connection, origin, position)
            position, more = portion.upto, portion.more
            for table, op, pk, values, _prev in portion.batch.changes:
                rows = tables.setdefault(table, {})
                if op == INSERT:
                    assert pk not in rows
                    rows[pk] = dict(values)
                elif op == UPDATE:
                    for no, old, new in values:
                        assert rows[pk].get(no, 0 if no == DELETED_NO else None) == old
                        rows[pk][no] = new
                else:
                    assert op == GONE
                    assert {no: value for no, value in rows.pop(pk).items() if value is not None} == dict(values)
    return tables


def stored(node: Installation, no: int) -> dict[bytes, dict[int, Any]]:
    kind = entity_by_no(no)
    assert kind is not None
    names = ", ".join(f'"{key}"' for key in kind.fields)
    rows = node.rows(f'SELECT id, deleted, {names} FROM "{kind.key}"')
    numbers = [DELETED_NO, *(field.no for field in kind.fields.values())]
    return {row[0]: dict(zip(numbers, row[1:], strict=True)) for row in rows}


def same(replayed: dict[bytes, dict[int, Any]], rows: dict[bytes, dict[int, Any]]) -> bool:
    def plain(table: dict[bytes, dict[int, Any]]) -> dict[bytes, dict[int, Any]]:
        return {
            pk: {no: value for no, value in row.items() if value is not None and (no, value) != (DELETED_NO, 0)}
            for pk, row in table.items()
        }

    return plain(replayed) == plain(rows)


#: What a careless or clever piece of SQL might do to masters and to the lines of drafts, inside a unit of work.
STATEMENTS = (
    "UPDATE customer SET phone = phone || '1', address = NULL WHERE rid % 2 = 0",
    "UPDATE customer SET owner_id = NULL WHERE rid % 3 = 0",
    "UPDATE customer SET owner_id = randomblob(16), credit_limit = credit_limit + 1",
    "UPDATE customer SET remark = char(34, 92, 10, 39) || '文' || rid, deleted = 1 - deleted WHERE rid % 3 = 1",
    "UPDATE customer SET name = name",
    "INSERT INTO customer(id, name) SELECT id, name || 'x' FROM customer WHERE true ON CONFLICT(id) DO UPDATE SET name = excluded.name",
    "INSERT INTO customer(id, name) VALUES (randomblob(16), '新'), (randomblob(16), NULL || 'x')",
    "INSERT OR IGNORE INTO customer(id, name) SELECT id, 'y' FROM customer",
    "UPDATE OR REPLACE customer SET phone = 'r'",
    "DELETE FROM sales_order_line WHERE rid % 4 = 0",
    "UPDATE sales_order_line SET quantity = quantity + 10000, remark = 'x', price = NULL WHERE rid % 2 = 1",
    "REPLACE INTO sales_order_line(rid, id, order_id, product_id, quantity) SELECT rid, randomblob(16), order_id, product_id, 70000 FROM sales_order_line",
    "INSERT INTO sales_order_line(id, order_id, product_id, quantity) SELECT randomblob(16), order_id, product_id, 1 FROM sales_order_line LIMIT 2",
    "UPDATE sales_order SET tax_included = 1 - tax_included, delivery_date = '2026-12-01'",
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=4), max_size=6))
def test_whatever_is_written_the_log_replayed_gives_the_rows(transactions):
    with factories.company(branches=1) as company:
        hq = company.hq
        product = hq.new("product", code="P", name="布", price="9")
        for number in range(4):
            hq.order(hq.new("customer", name=f"甲{number}", phone="1"), product, product)
        for statements in transactions:
            try:
                with hq.store.unit_of_work(None) as uow:
                    for statement in statements:
                        uow.connection.execute(statement)
            except Exception as error:
                if "NOT NULL" not in str(getattr(error, "params", "")):
                    raise
        replayed = replay(hq)
        for no in (CUSTOMER.no, ORDER.no, LINE.no):
            assert same(replayed.get(no, {}), stored(hq, no)), entity_by_no(no)


@pytest.mark.parametrize("way", ["REPLACE INTO", "INSERT OR REPLACE INTO", "INSERT INTO"])
def test_a_line_cannot_be_replaced_behind_the_logs_back(hq, way):
    order = hq.order(hq.new("customer", name="甲"), hq.new("product", code="P", name="布", price="9"))
    before = state(hq)
    with pytest.raises(StoreError) as refused, hq.store.unit_of_work(None) as uow:  # noqa: PT012 -- two steps of one transaction
        (line,) = uow.where(LINE, order_id=order)
        if way == "INSERT INTO":
            uow.remove(LINE, line["id"])
        uow.connection.execute(
            f"{way} sales_order_line(id, order_id, product_id, quantity) SELECT ?, id, ?, 5 FROM sales_order",
            (bytes.fromhex(line["id"]), bytes.fromhex(line["product_id"])),
        )
    assert refused.value.code == "id_reused"
    assert state(hq) == before


def test_verbs_of_every_kind_replayed_give_the_rows():
    with factories.company(branches=1) as company:
        hq, rng = company.hq, Random(5)
        from tests.sync import simulation

        simulation._stock(company)
        for _n in range(150):
            work = rng.choice([work for _weight, work in simulation.WORK.values()])
            try:
                work(hq, rng)
            except (Refused, NotFound, InvalidInput):
                continue
        replayed = replay(hq)
        for kind in entities():
            if kind.kind is not Kind.STATE:
                assert same(replayed.get(kind.no, {}), stored(hq, kind.no)), kind.key


def test_a_flood_of_changes_names_every_kind_it_touched(hq):
    heard: list[Changes] = []
    hq.store.listen(heard.append)
    customer, warehouse = entity("customer"), entity("warehouse")
    with hq.store.unit_of_work(None) as uow:
        uow.insert_many(customer, [{**customer.validate({"name": "甲"}), "id": new_id()} for _ in range(20_001)])
        uow.insert(warehouse, warehouse.validate({"code": "W", "name": "仓"}))
    assert heard[-1].touches("customer")
    assert heard[-1].touches("warehouse")
