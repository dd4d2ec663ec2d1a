"""A company begins its books: what customers owed before is owed, paid and set off like orders, and sells nothing."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from localcrm.channels.columns import recognise_columns
from localcrm.channels.tables import read_table
from localcrm.domain.conditions import PRESETS, Asking, tree_query
from localcrm.domain.crm.custody import sold_under
from localcrm.domain.importing import ImportResult, import_rows
from localcrm.domain.people.services import actor_by_id
from localcrm.domain.sales.glance import customer_glances
from localcrm.domain.sales.offers import customer_account
from localcrm.domain.sales.standing import last_prices, purchase_rhythm
from localcrm.kernel.errors import AppError
from localcrm.kernel.schema import entity
from localcrm.store.query import select
from tests.factories import Company, Installation


def unpaid(at: Installation, customer: str) -> str:
    with at.store.read() as connection:
        return f"{customer_glances(connection, at.actor, [customer])[customer].unpaid:.2f}"


def asked(at: Installation, preset: str) -> list[str]:
    kind = entity("customer")
    with at.store.read() as connection:
        return [row["name"] for row in select(connection, tree_query(kind, PRESETS[kind.key][preset].tree, Asking(at.actor))).rows]


def test_an_old_debt_is_owed_and_paid_and_is_no_sale(company: Company):
    hq, branch = company.hq, company.branches["BR01"]
    mill, other = hq.new("customer", name="永盛织造厂"), hq.new("customer", name="老客户布行")
    before = (hq.store.today - timedelta(days=90)).isoformat()
    debt: dict[str, Any] = hq.run("sales.enter_opening_balance", customer_id=mill, amount="12600.50", date=before, remark="2025 年尾款")
    hq.run("sales.enter_opening_balance", customer_id=other, amount="-300")

    assert (debt["status"], debt["gross"], debt["date"], bool(debt["number"])) == ("posted", "12600.50", before, True)
    assert (unpaid(hq, mill), unpaid(hq, other), asked(hq, "owing")) == ("12600.50", "-300.00", ["永盛织造厂"])
    with hq.store.read() as connection:
        assert sold_under(connection, hq.actor, mill) == []
        assert last_prices(connection, hq.actor, mill) == []
        assert purchase_rhythm(connection, hq.actor, mill, hq.store.today) is None

    # It is paid in parts at the place that entered it, and what was paid is kept when it is reversed only as far as it fits.
    hq.run("finance.receive_payment", order_id=debt["id"], amount="12000")
    with pytest.raises(AppError, match="600"):
        hq.run("finance.receive_payment", order_id=debt["id"], amount="700")
    assert unpaid(hq, mill) == "600.50"

    # The branch hears of it as of an order.
    company.exchange()
    assert unpaid(branch, mill) == "600.50"
    with pytest.raises(AppError) as refused:
        branch.run("sales.reverse_order", order_id=debt["id"])
    assert refused.value.code == "other_branch"

    wrong = hq.run("sales.enter_opening_balance", customer_id=mill, amount="99")
    back = hq.run("sales.reverse_order", order_id=wrong["id"], remark="录错")
    assert (back["gross"], back["opening"], unpaid(hq, mill)) == ("-99.00", True, "600.50")
    for amount, day in (("0", ""), ("1.005", ""), ("一百", ""), ("5", "昨天"), ("5", "2099-01-01")):
        with pytest.raises(AppError):
            hq.run("sales.enter_opening_balance", customer_id=mill, amount=amount, date=day)


def test_who_may_enter_orders_may_not_therefore_enter_opening_balances(hq: Installation):
    mill, user = hq.new("customer", name="永盛织造厂"), hq.new("user", login="wang", name="王芳", password="Correct-Horse-7", role="staff")
    hq.actor = actor_by_id(hq.store, user) or hq.actor
    with pytest.raises(AppError) as refused:
        hq.run("sales.enter_opening_balance", customer_id=mill, amount="100")
    assert refused.value.code == "forbidden"


def test_what_is_past_the_days_of_credit_is_told(hq: Installation):
    mill, product = (
        hq.new("customer", name="永盛织造厂", credit_days="30"),
        hq.new("product", code="P", name="线", price="1", stocked="false"),
    )
    today = hq.store.today

    def ordered(days_ago: int, quantity: str) -> str:
        header = {"customer_id": mill, "date": (today - timedelta(days=days_ago)).isoformat()}
        order = hq.run("sales.save_order", header=header, lines=[{"product_id": product, "quantity": quantity}])["id"]
        hq.run("sales.post_order", order_id=order)
        return str(order)

    _old, _due_today, new, back = ordered(45, "1000"), ordered(30, "50"), ordered(3, "200"), ordered(2, "70")
    hq.run("sales.reverse_order", order_id=back)
    hq.run("sales.enter_opening_balance", customer_id=mill, amount="-100")  # in his favour, whenever it was
    hq.run("finance.receive_payment", order_id=new, amount="50")  # of whatever order it names, it pays the oldest
    with hq.store.read() as connection:
        found = customer_account(connection, hq.actor, customer_id=mill)
    assert found is not None
    assert (found["unpaid"], found["overdue"]) == (Decimal("1100.00"), Decimal("850.00"))


LIST = """客户名称,电话,联系人,期初应收,期初日期
永盛织造厂,0575-84123456,王芳,"12,600.50",2025-12-31
老客户布行,,,-300,2025-12-31
新开户,,,0,
永盛织造厂,,,800,2026-01-15
写错的,,,一百,2025-12-31
来日的,,,50,2099-01-01
"""


def brought(at: Installation, path: Path, *, dry_run: bool = False) -> ImportResult:
    """A list from the old program, columns as the program recognises them."""
    table = read_table(path)
    mapping = recognise_columns(table.headers, entity("customer"))
    rows = ((number, {key: cells[index] for index, key in mapping.items()}) for number, cells in table)
    return import_rows(at.store, at.actor, entity="customer", rows=rows, update_on="name", dry_run=dry_run)


def test_what_customers_owed_comes_with_the_list_of_customers(hq: Installation, tmp_path: Path):
    path = tmp_path / "customers.csv"
    path.write_text(LIST, encoding="gb18030")
    assert recognise_columns(read_table(path).headers, entity("customer")) == {
        0: "name",
        1: "phone",
        2: "contact.name",
        3: "opening.amount",
        4: "opening.date",
    }
    tried = brought(hq, path, dry_run=True)
    assert hq.value("SELECT count(*) FROM sales_order") == 0
    done = brought(hq, path)
    for result in (tried, done):
        assert (result.created, result.updated, result.skipped, result.failed) == (3, 1, 0, 2)
        assert [(fault["row"], fault["field"]) for fault in result.errors] == [(6, "opening.amount"), (7, "opening.date")]
    ids = {name: identity.hex() for identity, name in hq.rows("SELECT id, name FROM customer")}
    assert set(ids) == {"永盛织造厂", "老客户布行", "新开户"}  # a row stands or falls as a whole
    assert {name: unpaid(hq, identity) for name, identity in ids.items()} == {
        "永盛织造厂": "13400.50",
        "老客户布行": "-300.00",
        "新开户": "0.00",
    }
    assert hq.rows("SELECT date, gross FROM sales_order WHERE opening AND gross > 0 ORDER BY date") == [
        ("2025-12-31", 1_260_050),
        ("2026-01-15", 80_000),
    ]
    again = brought(hq, path)
    assert (again.created, again.updated, again.skipped, again.failed) == (0, 0, 4, 2)
    assert unpaid(hq, ids["永盛织造厂"]) == "13400.50"

    # What was reversed is entered again when the list says it again.
    order = hq.value("SELECT id FROM sales_order WHERE gross = 80000")
    hq.run("sales.reverse_order", order_id=order.hex(), remark="录错")
    assert unpaid(hq, ids["永盛织造厂"]) == "12600.50"
    assert brought(hq, path).updated == 1
    assert unpaid(hq, ids["永盛织造厂"]) == "13400.50"


def test_what_others_customers_owe_is_not_confirmed_by_an_import(hq: Installation, tmp_path: Path):
    mill = hq.new("customer", name="永盛织造厂")
    hq.run("sales.enter_opening_balance", customer_id=mill, amount="100")
    user = hq.new("user", login="wang", name="王芳", password="Correct-Horse-7", role="none")
    role = hq.new("role", name="导入")
    for action, scope in (("read", "all"), ("create", "all"), ("update", "all"), ("import", "all"), ("opening", "own")):
        hq.run("people.set_role_right", role_id=role, entity="customer", action=action, scope=scope)
    hq.run("people.set_roles", login="wang", roles=[role])
    hq.actor = actor_by_id(hq.store, user) or hq.actor
    path = tmp_path / "customers.csv"
    for guess in ("100", "200"):
        path.write_text(f"客户名称,期初应收\n永盛织造厂,{guess}\n", encoding="utf-8")
        assert [fault["code"] for fault in brought(hq, path).errors] == ["out_of_reach"], guess


def test_who_may_import_customers_may_not_therefore_say_what_they_owe(hq: Installation, tmp_path: Path):
    user = hq.new("user", login="wang", name="王芳", password="Correct-Horse-7", role="staff")
    role = hq.new("role", name="导入")
    for action in ("read", "create", "update", "import"):
        hq.run("people.set_role_right", role_id=role, entity="customer", action=action, scope="all")
    hq.run("people.set_roles", login="wang", roles=[role])
    hq.actor = actor_by_id(hq.store, user) or hq.actor
    path = tmp_path / "customers.csv"
    path.write_text("客户名称,期初应收\n永盛织造厂,100\n没有欠款的,\n", encoding="utf-8")
    done = brought(hq, path)
    assert (done.created, [(fault["row"], fault["code"]) for fault in done.errors]) == (1, [(2, "forbidden")])
    assert hq.value("SELECT count(*) FROM sales_order") == 0
