"""What the generated triggers write down, and what they refuse."""

from __future__ import annotations

import json

import pytest

from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.changelog import parse_diff
from tests import factories

CUSTOMER = entity("customer")


def last_diff(node: factories.Installation) -> dict[str, tuple[object, object]]:
    """The newest update in the log by field."""
    diff = node.value("SELECT diff FROM sync_log WHERE op = 2 ORDER BY lseq DESC LIMIT 1")
    return {CUSTOMER.by_no[no].key: pair for no, pair in parse_diff(CUSTOMER, diff).items()}


def test_a_cleared_reference_is_logged_as_nothing():
    with factories.company() as company:
        customer, branch = company.hq.new("customer", name="甲"), company.hq.store.node.branch_id
        company.hq.set("customer", customer, branch_id=None)
        assert last_diff(company.hq) == {"branch_id": (bytes.fromhex(branch), None)}
        company.hq.set("customer", customer, branch_id=branch)
        assert last_diff(company.hq) == {"branch_id": (None, bytes.fromhex(branch))}


def test_an_update_logs_exactly_the_columns_that_changed_with_both_values():
    with factories.company() as company:
        customer = company.hq.new("customer", name="甲", phone="1", address="上海")
        company.hq.set("customer", customer, name="甲", phone="2", address=None, credit_limit="1.50")
        assert last_diff(company.hq) == {"phone": ("1", "2"), "address": ("上海", None), "credit_limit": (0, 150)}


def test_an_update_to_the_same_values_logs_nothing():
    with factories.company() as company:
        customer = company.hq.new("customer", name="甲", phone="1")
        head = company.hq.value("SELECT max(lseq) FROM sync_log")
        company.hq.set("customer", customer, name="甲", phone="1")
        assert company.hq.value("SELECT max(lseq) FROM sync_log") == head


@pytest.mark.parametrize("text", ['"', "\\", "\n\t\x01", "\u2028", "𝄞🙂", "'; DROP TABLE customer; --", "</script>", "a" * 20_000])
def test_any_text_survives_the_log(text):
    with factories.company() as company:
        customer = company.hq.new("customer", name="甲", remark="x")
        with company.hq.store.unit_of_work(None) as uow:
            uow.update(CUSTOMER, customer, {"remark": text})
        assert last_diff(company.hq) == {"remark": ("x", text)}
        json.loads(company.hq.value("SELECT diff FROM sync_log ORDER BY lseq DESC LIMIT 1"))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO customer(id, name) VALUES (randomblob(16), 'x')",
        "UPDATE customer SET phone = '9'",
        "DELETE FROM customer",
        "REPLACE INTO customer(rid, id, name) SELECT rid, id, 'x' FROM customer",
        "INSERT INTO customer(id, name) SELECT id, 'x' FROM customer WHERE true ON CONFLICT(id) DO UPDATE SET name = 'x'",
    ],
)
def test_a_write_outside_a_unit_of_work_is_refused(statement):
    with factories.company() as company:
        company.hq.new("customer", name="甲")
        before = company.hq.digest
        with pytest.raises(AppError) as refused, company.hq.store.housekeeping() as connection:
            connection.execute(statement)
        assert refused.value.code in {"no_unit_of_work", "physical_delete"}
        assert company.hq.digest == before


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM customer", "physical_delete"),
        ("REPLACE INTO customer(rid, id, name) SELECT rid, id, 'x' FROM customer", "physical_delete"),
        ("UPDATE customer SET id = randomblob(16)", "key_changed"),
        ("UPDATE stock_move SET quantity = quantity + 1", "ledger_row"),
        ("DELETE FROM stock_move", "physical_delete"),
        ("UPDATE sales_order SET remark = 'x' WHERE status = 'posted'", "posted_document"),
        ("UPDATE sales_order_line SET quantity = 1", "posted_document"),
        ("DELETE FROM sales_order_line", "posted_document"),
    ],
)
def test_what_must_never_change_is_refused_even_inside_a_unit_of_work(statement, code):
    with factories.company() as company:
        hq = company.hq
        product, _warehouse = hq.new("product", code="P", name="布", price="9"), hq.new("warehouse", code="W", name="仓")
        order = hq.order(hq.new("customer", name="甲"), product)
        hq.run("sales.post_order", order_id=order)
        before = hq.digest
        with pytest.raises(AppError) as refused, hq.store.unit_of_work(None) as uow:
            uow.connection.execute(statement)
        assert refused.value.code == code
        assert hq.digest == before
